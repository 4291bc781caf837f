//! HTML as a row of tags, without a tree: says whether a page is fit for the parsers that build one, and takes the text
//! of those that are not. Linear in the page's length, no recursion.

use super::entities::unescaped;
use super::pieces::{Piece, Pieces, find_close, is_one_of};

/// Elements within elements. Browsers stop at 512; the parsers here recurse, and their output indents with depth.
pub(super) const MAX_DEPTH: usize = 200;
/// Attributes of one tag: the parser compares each with all before it.
const MAX_ATTRIBUTES: usize = 1000;
/// Elements of a page: the tree takes some 500 bytes for each, and merging neighbours is quadratic.
const MAX_TAGS: usize = 200_000;

/// Elements whose content is no markup.
const RAW: [&str; 6] = ["script", "style", "iframe", "textarea", "title", "xmp"];

/// Elements whose content is nothing to read.
const UNREAD: [&str; 6] = ["script", "style", "iframe", "noscript", "template", "svg"];

/// Elements without content.
pub(super) const VOID: [&str; 14] =
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];

/// Closed by the next of their kind, so that their number is not their depth.
const CLOSED_BY_THE_NEXT: [&str; 13] =
    ["p", "li", "td", "th", "tr", "dt", "dd", "option", "thead", "tbody", "tfoot", "html", "body"];

/// Carried over into the next block while they are open, all of them.
const FORMATTING: [&str; 13] =
    ["b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"];

/// Whether parsers that build a tree get through the page in time and within their stack.
pub(super) fn fits_a_tree(html: &str) -> bool {
    let (mut open, mut formatting, mut count): (Vec<&str>, usize, usize) = (Vec::new(), 0, 0);
    let mut drawing = 0_usize;
    let mut pieces = Pieces::of(html, &RAW);
    while let Some(piece) = pieces.next() {
        count += usize::from(matches!(piece, Piece::Open { .. }));
        // Within a drawing or a formula, styles and titles are elements like any other.
        match piece {
            Piece::Open { name, closed: false, .. } if is_one_of(name, &["svg", "math"]) => drawing += 1,
            Piece::Close { name } if is_one_of(name, &["svg", "math"]) => drawing = drawing.saturating_sub(1),
            _ => {}
        }
        if drawing > 0 {
            pieces.enter();
        }
        match piece {
            Piece::Text(_) => continue,
            Piece::Open { attributes, .. } if attributes > MAX_ATTRIBUTES => return false,
            Piece::Open { name, .. } if is_one_of(name, &VOID) || is_one_of(name, &CLOSED_BY_THE_NEXT) => {}
            Piece::Open { closed: true, .. } if drawing > 0 => {}
            Piece::Open { name, .. } => {
                formatting += usize::from(is_one_of(name, &FORMATTING));
                open.push(name);
            }
            Piece::Close { name } => {
                if is_one_of(name, &FORMATTING) {
                    formatting = formatting.saturating_sub(1);
                }
                // A closing tag closes what is open within its element; one that fits nothing near is ignored.
                let near = open.iter().rev().take(32).position(|each| each.eq_ignore_ascii_case(name));
                if let Some(above) = near {
                    open.truncate(open.len() - above - 1);
                }
            }
        }
        if open.len() > MAX_DEPTH || formatting > MAX_DEPTH || count > MAX_TAGS {
            return false;
        }
    }
    true
}

/// The page's text with its headings, list items and paragraphs, by its tags alone.
pub(crate) fn text(html: &str) -> String {
    let mut out = String::with_capacity(html.len() / 2);
    let mut in_title = false;
    for piece in Pieces::of(html, &UNREAD) {
        match piece {
            Piece::Text(_) if in_title => {}
            Piece::Text(text) => push_words(&mut out, &unescaped(text)),
            Piece::Open { name, .. } if name.eq_ignore_ascii_case("title") => in_title = true,
            Piece::Close { name } if name.eq_ignore_ascii_case("title") => in_title = false,
            Piece::Open { name, .. } => match heading_level(name) {
                Some(level) => {
                    new_line(&mut out, 2);
                    out.push_str(&"#".repeat(level));
                    out.push(' ');
                }
                None if name.eq_ignore_ascii_case("li") => {
                    new_line(&mut out, 1);
                    out.push_str("- ");
                }
                None if is_one_of(name, &["br", "tr", "dt", "dd", "option"]) => new_line(&mut out, 1),
                None if is_one_of(name, &["td", "th"]) => push_words(&mut out, " "),
                None if is_block(name) => new_line(&mut out, 2),
                None => {}
            },
            Piece::Close { name } if heading_level(name).is_some() || is_block(name) => new_line(&mut out, 2),
            Piece::Close { .. } => {}
        }
    }
    out
}

fn heading_level(name: &str) -> Option<usize> {
    match name.as_bytes() {
        [b'h' | b'H', digit @ b'1'..=b'6'] => Some(usize::from(digit - b'0')),
        _ => None,
    }
}

fn is_block(name: &str) -> bool {
    const BLOCKS: [&str; 18] = [
        "p",
        "div",
        "section",
        "article",
        "header",
        "footer",
        "main",
        "aside",
        "ul",
        "ol",
        "dl",
        "table",
        "blockquote",
        "pre",
        "form",
        "figure",
        "hr",
        "address",
    ];
    is_one_of(name, &BLOCKS)
}

/// Adds text with every run of blanks as one.
fn push_words(out: &mut String, text: &str) {
    for c in text.chars() {
        if !c.is_whitespace() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with([' ', '\n']) {
            out.push(' ');
        }
    }
}

/// Ends the line, with at most `lines` line ends in a row.
fn new_line(out: &mut String, lines: usize) {
    while out.ends_with(' ') {
        out.pop();
    }
    if out.is_empty() {
        return;
    }
    let have = out.len() - out.trim_end_matches('\n').len();
    out.extend(std::iter::repeat_n('\n', lines.saturating_sub(have)));
}

/// What `<title>` says.
pub(super) fn title(html: &str) -> Option<String> {
    let mut pieces = Pieces::of(html, &UNREAD);
    pieces.by_ref().find(|piece| matches!(piece, Piece::Open { name, .. } if name.eq_ignore_ascii_case("title")))?;
    let end = find_close(pieces.rest(), "title");
    Some(unescaped(&pieces.rest()[..end]).into_owned())
}

/// The encoding that a page declares in its first bytes.
pub(crate) fn declared_charset(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(2048)]).to_ascii_lowercase();
    let at = head.find("charset=").map(|at| at + "charset=".len());
    let at = at.or_else(|| head.find("encoding=").map(|at| at + "encoding=".len()))?;
    let value = head[at..].trim_start_matches(['"', '\'', ' ']);
    let end = value.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c))).unwrap_or(value.len());
    (end > 0).then(|| value[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_out_of_tags() {
        let html = "<html><title>T &amp; U</title><style>p{}</style><h2>Head</h2><p a=\"x>y\">One &lt;two&gt;\n &#8364;\
                    <script>if (a < b) {}</script></p><ul><li>x<li>y</ul><!-- no -->a < b";
        assert_eq!(text(html), "## Head\n\nOne <two> €\n\n- x\n- y\n\na < b");
        assert_eq!(title(html).as_deref(), Some("T & U"));
    }

    #[test]
    fn honest_pages_fit() {
        assert!(fits_a_tree(&"<p>one<p>two<br><li>x".repeat(10_000)));
        assert!(fits_a_tree(&"<div><b>x</b></div>".repeat(10_000)));
        assert!(!fits_a_tree(&"<div>".repeat(MAX_DEPTH + 1)));
    }

    #[test]
    fn charsets_are_found_in_the_head() {
        assert_eq!(declared_charset(b"<meta charset=\"Shift_JIS\">").as_deref(), Some("shift_jis"));
        assert_eq!(declared_charset(b"<meta content='text/html; charset=koi8-r'>").as_deref(), Some("koi8-r"));
        assert_eq!(declared_charset(b"<?xml version='1.0' encoding='latin1'?>").as_deref(), Some("latin1"));
        assert_eq!(declared_charset(b"<p>"), None);
    }
}
