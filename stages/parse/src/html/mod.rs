//! Web pages to Markdown: the main content by `dom_smoothie`, or the whole page, through `htmd`. Both build a tree and
//! recurse over it, so a page that nests or repeats without measure is read by `tags` alone, which does neither.

mod convert;
mod entities;
mod pieces;
mod tags;
mod xhtml;

pub(crate) use self::entities::unescaped;
pub(crate) use self::tags::{declared_charset, text as text_of_tags};

use docmill_api::{StepContext, TextKind};
use dom_smoothie::{Config, Readability};

use crate::encoding;
use crate::factory::HtmlPart;
use crate::plain::with_encoding;
use crate::reader::{Input, PLAIN_TEXT_NOTE, Parsed, ReadError, Reader, contained};
use crate::text::{first_heading, tidy, title};

/// Reads web pages.
#[derive(Debug)]
pub(crate) struct HtmlReader {
    part: HtmlPart,
}

/// Below this share of the page's text the main content is taken for a mistake: a list page, of which one entry was
/// picked. Real articles among menus and comments hold more.
const MAIN_SHARE: usize = 4;

impl HtmlReader {
    pub(crate) fn new(part: HtmlPart) -> Self {
        Self { part }
    }
}

impl Reader for HtmlReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        let declared = input.charset.map(str::to_owned).or_else(|| tags::declared_charset(input.bytes));
        let decoded = encoding::decode(input.bytes, declared.as_deref())
            .ok_or_else(|| ReadError::Broken("binary data where HTML was expected".to_owned()))?;
        let html = tidy(&decoded.text);
        let html = xhtml::closed(&html);
        let (markdown, reader) = self.convert(&html, cx)?;
        let mut parsed = Parsed::new(reader, TextKind::Markdown, &*tidy(&markdown));
        if reader == TAGS {
            let (key, value) = PLAIN_TEXT_NOTE;
            parsed = parsed.note(key, value);
        }
        parsed.title = tags::title(&html).as_deref().and_then(title).or_else(|| first_heading(&parsed.content));
        Ok(with_encoding(parsed, decoded.encoding))
    }
}

/// HTML that is a part of something else, a chapter or a mail's body, as Markdown: all of it.
pub(crate) fn fragment(html: &str, cx: &StepContext) -> Result<String, ReadError> {
    let html = tidy(html);
    let (markdown, _) = HtmlReader::new(HtmlPart::Whole).convert(&xhtml::closed(&html), cx)?;
    Ok(tidy(&markdown).into_owned())
}

const TAGS: &str = "tags";

impl HtmlReader {
    /// Markdown, and who made it.
    fn convert(&self, html: &str, cx: &StepContext) -> Result<(String, &'static str), ReadError> {
        if !tags::fits_a_tree(html) {
            return Ok((tags::text(html), TAGS));
        }
        let Ok(whole) = contained(|| Ok(convert::to_markdown(html))) else { return Ok((tags::text(html), TAGS)) };
        if cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
        if whole.trim().is_empty() {
            return Ok((tags::text(html), TAGS));
        }
        if self.part == HtmlPart::Main
            && let Ok(main) = contained(|| Ok(main_content(html)))
            && let Some(main) = main
            && letters(&main) * MAIN_SHARE >= letters(&whole)
        {
            return Ok((main, "dom_smoothie"));
        }
        Ok((whole, "htmd"))
    }
}

/// The article of a page, where there is one to be told apart.
fn main_content(html: &str) -> Option<String> {
    let mut page = Readability::new(html, None, Some(Config::default())).ok()?;
    if !page.is_probably_readable() {
        return None;
    }
    let article = page.parse().ok()?;
    // Read again by a second parser: what the first wrote may nest deeper than what it was given.
    tags::fits_a_tree(&article.content).then(|| convert::to_markdown(&article.content))
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphanumeric()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(html: &str, part: HtmlPart) -> Parsed {
        let bytes = html.as_bytes().to_vec().into();
        HtmlReader::new(part).read(&Input { bytes: &bytes, charset: None }, &StepContext::detached()).expect("read")
    }

    const SENTENCE: &str = "The quorvex of the northern valleys, which nobody had counted, slept until the thaw came. ";

    fn article() -> String {
        let paragraphs = format!("<p>{}</p>", SENTENCE.repeat(6)).repeat(6);
        format!(
            "<html><head><title>On the quorvex</title><script>var bad = 1</script></head><body>\
             <nav><a href=/>Home</a></nav><div class=sidebar>Subscribe to zantletter</div>\
             <article><h1>Quorvex</h1>{paragraphs}</article><footer>Imprint</footer></body></html>"
        )
    }

    #[test]
    fn the_main_content_is_told_apart() {
        let parsed = read(&article(), HtmlPart::Main);
        assert_eq!(parsed.reader, "dom_smoothie");
        assert_eq!(parsed.title.as_deref(), Some("On the quorvex"));
        assert!(parsed.content.contains("northern valleys"));
        assert!(!parsed.content.contains("var bad") && !parsed.content.contains("Home"));
        let whole = read(&article(), HtmlPart::Whole);
        assert!(whole.content.contains("zantletter") && !whole.content.contains("var bad"), "{}", whole.content);
    }

    #[test]
    fn an_article_keeps_its_headings_and_tables() {
        let table = "<h2>Counts</h2><table><tr><th>valley<th>zant<tr><td>north<td>seven</table><p>";
        let html = article().replacen("</p><p>", &format!("</p>{table}"), 1);
        let parsed = read(&html, HtmlPart::Main);
        assert_eq!(parsed.reader, "dom_smoothie");
        assert!(parsed.content.contains("## Counts"), "{}", parsed.content);
        assert!(parsed.content.contains("| valley | zant |\n| --- | --- |\n| north | seven |"), "{}", parsed.content);
    }

    #[test]
    fn a_page_without_an_article_is_taken_whole() {
        let items: String = (0..200).map(|n| format!("<li><a href=/{n}>Entry zant{n}</a></li>")).collect();
        let parsed = read(&format!("<title>List</title><ul>{items}</ul>"), HtmlPart::Main);
        assert!(parsed.content.contains("zant0") && parsed.content.contains("zant199"));
    }

    #[test]
    fn pages_that_no_tree_survives_still_give_their_text() {
        let deep = format!("{}quorvex{}", "<div>".repeat(100_000), "</div>".repeat(100_000));
        let tables = "<table><tr><td>".repeat(20_000) + "quorvex";
        let bold: String = (0..20_000).map(|n| format!("<p><font size={n}>zant quorvex</p>")).collect();
        let attributes: String = (0..100_000).map(|n| format!(" a{n}=1")).collect();
        for html in [deep, tables, bold, format!("<p{attributes}>quorvex</p>")] {
            let parsed = read(&html, HtmlPart::Main);
            assert_eq!(parsed.reader, TAGS);
            assert!(parsed.content.contains("quorvex"));
        }
    }

    #[test]
    fn the_deepest_page_that_is_let_in_fits_a_small_stack() {
        let levels = tags::MAX_DEPTH - 4;
        let html = format!("{}quorvex{}", "<ul><li>".repeat(levels), "</ul>".repeat(levels));
        let parsed = read(&html, HtmlPart::Main);
        assert_eq!(parsed.reader, "htmd");
        assert!(parsed.content.contains("quorvex"));
    }
}
