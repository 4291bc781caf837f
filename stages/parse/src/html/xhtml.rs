//! XHTML made fit for HTML parsers: in XML `<title/>` is a whole element, to an HTML parser it is one that is never
//! closed, and everything behind it is its content. Nothing but closing tags is added.

use std::borrow::Cow;

use super::pieces::{Piece, Pieces, is_one_of};
use super::tags::VOID;

/// How far into a page its declaration or its namespace stands.
const HEAD: usize = 1024;

/// The page with `<a/>` written as `<a></a>`, where it is XHTML; other pages are not copied.
pub(super) fn closed(html: &str) -> Cow<'_, str> {
    let head = &html[..html.floor_char_boundary(HEAD)];
    if !html.contains("/>") || !(head.trim_start().starts_with("<?xml") || head.contains("www.w3.org/1999/xhtml")) {
        return Cow::Borrowed(html);
    }
    let mut out = String::with_capacity(html.len() + html.len() / 16);
    let mut pieces = Pieces::of(html, &[]);
    let mut written = 0;
    while let Some(piece) = pieces.next() {
        let end = html.len() - pieces.rest().len();
        if let Piece::Open { name, closed: true, .. } = piece
            && !is_one_of(name, &VOID)
            && let Some(tag) = html[written..end].strip_suffix("/>")
        {
            out.push_str(tag);
            out.push_str("></");
            out.push_str(name);
            out.push('>');
        } else {
            out.push_str(&html[written..end]);
        }
        written = end;
    }
    out.push_str(&html[written..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_without_content_are_closed_in_xhtml_alone() {
        let page = "<?xml version='1.0'?><html><head><title/></head><!-- <a/> --><a id=\"x\"/><br/>quorvex</html>";
        let closed_page =
            "<?xml version='1.0'?><html><head><title></title></head><!-- <a/> --><a id=\"x\"></a><br/>quorvex</html>";
        assert_eq!(closed(page), closed_page);
        assert!(matches!(closed("<p><a href=x/>quorvex"), Cow::Borrowed(_)));
    }
}
