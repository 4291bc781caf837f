//! HTML to Markdown through `htmd`, with handlers of our own where its output does not suit a store: what is no content
//! is left out, images give their description, and tables are not padded with blanks to the width of their widest cell.

use htmd::element_handler::{HandlerResult, Handlers};
use htmd::{Element, HtmlToMarkdown};

/// Never content, whatever is in them.
const NO_CONTENT: [&str; 12] =
    ["script", "style", "noscript", "template", "svg", "head", "iframe", "object", "canvas", "audio", "video", "nav"];

/// End of a cell, of a header cell, of a row. Control characters are taken out of a page before it gets here.
const CELL: char = '\u{1f}';
const HEADER: char = '\u{1e}';
const ROW: char = '\u{1d}';

/// The page as Markdown; navigation is left out unless there is nothing else.
pub(super) fn to_markdown(html: &str) -> String {
    let markdown = converter(&NO_CONTENT).convert(html).unwrap_or_default();
    if !markdown.trim().is_empty() {
        return markdown;
    }
    converter(&NO_CONTENT[..NO_CONTENT.len() - 1]).convert(html).unwrap_or_default()
}

fn converter(skipped: &[&str]) -> HtmlToMarkdown {
    HtmlToMarkdown::builder()
        .skip_tags(skipped.to_vec())
        .add_handler(vec!["img"], |_: &dyn Handlers, element: Element<'_>| {
            let alt = element.attrs.iter().find(|attribute| &*attribute.name.local == "alt")?;
            Some(HandlerResult::from(alt.value.trim()))
        })
        .add_handler(vec!["td"], |handlers: &dyn Handlers, element: Element<'_>| ended(handlers, &element, CELL))
        .add_handler(vec!["th"], |handlers: &dyn Handlers, element: Element<'_>| ended(handlers, &element, HEADER))
        .add_handler(vec!["tr", "caption"], |handlers: &dyn Handlers, element: Element<'_>| {
            ended(handlers, &element, ROW)
        })
        .add_handler(vec!["thead", "tbody", "tfoot"], |handlers: &dyn Handlers, element: Element<'_>| {
            Some(handlers.walk_children(element.node))
        })
        .add_handler(vec!["table"], |handlers: &dyn Handlers, element: Element<'_>| {
            Some(HandlerResult::from(table(&handlers.walk_children(element.node).content)))
        })
        .build()
}

#[expect(clippy::unnecessary_wraps, reason = "a handler returns an option")]
fn ended(handlers: &dyn Handlers, element: &Element<'_>, end: char) -> Option<HandlerResult> {
    let mut content = handlers.walk_children(element.node).content;
    content.push(end);
    Some(content.into())
}

/// A table from its marked cells: pipes where it holds data, paragraphs where it only arranges a page.
fn table(marked: &str) -> String {
    let mut out = String::from("\n\n");
    let mut width = 0;
    let layout = !marked.contains(HEADER) && marked.split([CELL, ROW]).any(|cell| cell.trim().contains("\n\n"));
    for row in marked.split(ROW) {
        let cells: Vec<&str> = row.split_inclusive([CELL, HEADER]).collect();
        let only = cells.len() == 1;
        if layout || only || !row.contains([CELL, HEADER]) {
            // A caption, a row of one cell, or a page's arrangement.
            for cell in row.split([CELL, HEADER]).map(str::trim).filter(|cell| !cell.is_empty()) {
                out.push_str(cell);
                out.push_str("\n\n");
            }
            width = 0;
            continue;
        }
        out.push('|');
        for cell in cells.iter().filter_map(|cell| cell.strip_suffix([CELL, HEADER])) {
            let line = cell.split_whitespace().collect::<Vec<_>>().join(" ");
            out.push(' ');
            out.push_str(&line.replace('|', "\\|"));
            out.push_str(" |");
        }
        out.push('\n');
        if width == 0 {
            width = cells.len();
            out.push('|');
            out.push_str(&" --- |".repeat(width));
            out.push('\n');
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_compact_and_keep_their_header() {
        let html = "<table><caption>Zant</caption><tr><th>name<th>a|b<tr><td>quorvex<td><b>red</b><br>x</table>";
        let markdown = to_markdown(html);
        assert!(markdown.contains("Zant\n\n| name | a\\|b |\n| --- | --- |\n| quorvex | **red** x |"), "{markdown}");
        let wide = format!("<table><tr><td>{}<td>b{}</table>", "w".repeat(5000), "<tr><td>c<td>d".repeat(1000));
        assert!(to_markdown(&wide).len() < wide.len(), "no padding");
    }

    #[test]
    fn a_table_that_arranges_a_page_is_paragraphs() {
        let markdown = to_markdown("<table><tr><td><p>One</p><p>Two</p></td><td>Three</td></tr></table>");
        assert_eq!(markdown.split_whitespace().collect::<Vec<_>>(), ["One", "Two", "Three"]);
    }

    #[test]
    fn pictures_give_their_description() {
        let markdown = to_markdown("<p>See <img src='data:image/png;base64,AAAA' alt='the quorvex'>.</p>");
        assert_eq!(markdown, "See the quorvex.");
    }
}
