//! Prose in XML to Markdown: titles become headings as deep as they stand, list items get a dash, cells a bar, the rest
//! is paragraphs. Line `n` of the text is line `n` of the source where the source begins its paragraphs on lines of
//! their own; where it does not, paragraphs are set apart and lines are lost.

use docmill_api::{StepContext, TextKind};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::EVENTS_A_LOOK;
use crate::html;
use crate::reader::{Parsed, ReadError, brief};
use crate::text::first_heading;

/// Elements that stand within a line.
const INLINE: [&str; 44] = [
    "a",
    "abbr",
    "abbrev",
    "acronym",
    "application",
    "b",
    "bold",
    "citetitle",
    "classname",
    "code",
    "command",
    "constant",
    "date",
    "em",
    "email",
    "emphasis",
    "envar",
    "ext-link",
    "filename",
    "firstterm",
    "function",
    "hi",
    "i",
    "italic",
    "keycap",
    "link",
    "literal",
    "name",
    "option",
    "parameter",
    "persName",
    "phrase",
    "placeName",
    "q",
    "quote",
    "ref",
    "replaceable",
    "span",
    "strong",
    "sub",
    "sup",
    "ulink",
    "varname",
    "xref",
];

/// Elements whose lines and blanks mean something.
const PREFORMATTED: [&str; 7] = ["programlisting", "screen", "literallayout", "synopsis", "pre", "eg", "code-block"];

/// Elements that hold a heading of what stands around them.
const TITLES: [&str; 2] = ["title", "head"];

/// Elements that stand between a title and what it is the title of.
const WRAPPERS: [&str; 10] = [
    "info",
    "articleinfo",
    "bookinfo",
    "chapterinfo",
    "sectioninfo",
    "title-group",
    "article-meta",
    "front",
    "titleStmt",
    "fileDesc",
];

const ITEMS: [&str; 3] = ["listitem", "list-item", "li"];
const CELLS: [&str; 4] = ["entry", "td", "th", "cell"];

/// Names of `INLINE` that stand on their own in a feed.
const BLOCKS_IN_FEEDS: [&str; 4] = ["date", "email", "link", "name"];

/// Elements of feeds that a reader has no use for.
const UNREAD_IN_FEEDS: [&str; 8] = ["guid", "id", "generator", "ttl", "docs", "language", "logo", "icon"];

/// Elements of feeds that hold HTML, written out or escaped.
const HTML_IN_FEEDS: [&str; 4] = ["description", "encoded", "content", "summary"];

/// Converts a document that is known to be well formed.
pub(super) fn convert(xml: &str, feed: bool, cx: &StepContext) -> Result<Parsed, ReadError> {
    let mut prose = Prose::new(feed, !feed);
    prose.run(xml, cx)?;
    // More than one paragraph in ten in the middle of a line: the source is not laid out for reading.
    if prose.keeps_lines && prose.misplaced * 10 > prose.blocks {
        prose = Prose::new(feed, false);
        prose.run(xml, cx)?;
    }
    let lines = prose.keeps_lines;
    let mut parsed = Parsed::new("xml", TextKind::Markdown, prose.out);
    parsed.title = first_heading(&parsed.content);
    parsed.lines = lines;
    Ok(parsed)
}

/// Text as it grows.
struct Prose {
    feed: bool,
    keeps_lines: bool,
    out: String,
    /// Names of the open elements.
    open: Vec<String>,
    /// How many of them stand between a title and what it is the title of.
    wrappers: usize,
    /// What is written before the next word: a heading's marks, a dash.
    mark: String,
    /// Depth of the first title, from which headings count.
    top: Option<usize>,
    /// How many open elements keep their blanks.
    preformatted: usize,
    /// The depth of an element that is passed over.
    unread: Option<usize>,
    /// The content of an element that may hold HTML.
    html: Option<String>,
    blocks: usize,
    misplaced: usize,
}

impl Prose {
    fn new(feed: bool, keeps_lines: bool) -> Self {
        Self {
            feed,
            keeps_lines,
            out: String::new(),
            open: Vec::new(),
            wrappers: 0,
            mark: String::new(),
            top: None,
            preformatted: 0,
            unread: None,
            html: None,
            blocks: 0,
            misplaced: 0,
        }
    }

    fn run(&mut self, xml: &str, cx: &StepContext) -> Result<(), ReadError> {
        let mut events = Reader::from_str(xml);
        for count in 1_usize.. {
            let before = events.buffer_position();
            let event = events.read_event().map_err(|error| ReadError::Broken(brief(&error.to_string())))?;
            match event {
                Event::Start(element) => {
                    self.start(&element);
                    self.keep_line_ends(element.attributes_raw());
                }
                Event::Empty(element) => {
                    self.start(&element);
                    self.keep_line_ends(element.attributes_raw());
                    self.end();
                }
                Event::End(_) => self.end(),
                Event::Text(text) => self.text(&text),
                Event::CData(text) => self.text(&text),
                Event::GeneralRef(reference) => self.text(&html::unescaped(&format!("&{};", &*reference))),
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::DocType(_) | Event::PI(_) => {
                    let markup = xml.get(position(before)..position(events.buffer_position())).unwrap_or_default();
                    self.keep_line_ends(markup);
                }
            }
            if count.is_multiple_of(EVENTS_A_LOOK) && cx.is_over() {
                return Err(ReadError::OutOfTime);
            }
        }
        self.out.truncate(self.out.trim_end().len());
        self.out.push('\n');
        Ok(())
    }

    /// Writes the line ends of what is not written itself.
    fn keep_line_ends(&mut self, markup: &str) {
        if self.keeps_lines {
            for _ in memchr::memchr_iter(b'\n', markup.as_bytes()) {
                self.line_end();
            }
        }
    }

    fn line_end(&mut self) {
        while self.out.ends_with([' ', '\t']) {
            self.out.pop();
        }
        self.out.push('\n');
    }

    fn start(&mut self, element: &BytesStart<'_>) {
        let local = element.local_name();
        let name: &str = local.as_ref();
        self.flush_html();
        self.open.push(name.to_owned());
        self.wrappers += usize::from(WRAPPERS.contains(&name));
        if self.unread.is_some() {
            return;
        }
        if self.feed && UNREAD_IN_FEEDS.contains(&name) {
            self.unread = Some(self.open.len());
            return;
        }
        if self.is_inline(name) {
            return;
        }
        if CELLS.contains(&name) {
            if self.line_is_begun() {
                self.out.push_str(" | ");
            }
            return;
        }
        self.block();
        if TITLES.contains(&name) {
            self.mark = format!("{} ", "#".repeat(self.level()));
        } else if ITEMS.contains(&name) {
            self.mark = "- ".to_owned();
        } else if self.feed {
            // An author's name is an element of its own, and keeps the label of what it stands in.
            if !label(name).is_empty() {
                self.mark = label(name).to_owned();
            }
            if HTML_IN_FEEDS.contains(&name) {
                self.html = Some(String::new());
            }
        }
        if PREFORMATTED.contains(&name) {
            self.preformatted += 1;
            if !self.keeps_lines && self.preformatted == 1 {
                self.out.push_str("```\n");
            }
        }
    }

    fn end(&mut self) {
        if self.unread == Some(self.open.len()) {
            self.unread = None;
        }
        self.flush_html();
        let name = self.open.pop().unwrap_or_default();
        self.wrappers -= usize::from(WRAPPERS.contains(&name.as_str()));
        if PREFORMATTED.contains(&name.as_str()) {
            self.preformatted = self.preformatted.saturating_sub(1);
            if !self.keeps_lines && self.preformatted == 0 {
                self.out.truncate(self.out.trim_end().len());
                self.out.push_str("\n```");
            }
        }
        if self.unread.is_some() || self.is_inline(&name) || CELLS.contains(&name.as_str()) {
            return;
        }
        self.mark.clear();
        if !self.keeps_lines {
            self.block();
        }
    }

    fn is_inline(&self, name: &str) -> bool {
        INLINE.contains(&name) && !(self.feed && BLOCKS_IN_FEEDS.contains(&name))
    }

    /// Begins a paragraph.
    fn block(&mut self) {
        if self.keeps_lines {
            self.blocks += 1;
            if self.line_is_begun() {
                self.misplaced += 1;
                self.out.push(' ');
            }
        } else if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.truncate(self.out.trim_end().len());
            self.out.push_str("\n\n");
        }
    }

    /// Whether there is anything on the last line. Not by going back to its beginning: all of a document may be one line.
    fn line_is_begun(&self) -> bool {
        let last = self.out.chars().rev().find(|c| *c == '\n' || !c.is_whitespace());
        last.is_some_and(|last| last != '\n')
    }

    /// How deep the title that was just opened stands, from 1.
    fn level(&mut self) -> usize {
        let around = self.open.len() - self.wrappers;
        let top = *self.top.get_or_insert(around);
        (around.saturating_sub(top) + 1).clamp(1, 6)
    }

    fn text(&mut self, text: &str) {
        if self.unread.is_some() {
            self.keep_line_ends(text);
            return;
        }
        if let Some(html) = &mut self.html {
            html.push_str(text);
            return;
        }
        if self.preformatted > 0 {
            self.write_mark_before(text);
            self.out.push_str(text);
            return;
        }
        for c in text.chars() {
            if c == '\n' && self.keeps_lines {
                self.line_end();
            } else if c.is_whitespace() {
                if !self.out.is_empty() && !self.out.ends_with([' ', '\n']) {
                    self.out.push(' ');
                }
            } else {
                if !self.mark.is_empty() {
                    let mark = std::mem::take(&mut self.mark);
                    self.out.push_str(&mark);
                }
                self.out.push(c);
            }
        }
    }

    fn write_mark_before(&mut self, text: &str) {
        if !text.trim().is_empty() {
            let mark = std::mem::take(&mut self.mark);
            self.out.push_str(&mark);
        }
    }

    /// Ends the content that may be HTML: tags in it are taken for what they are.
    fn flush_html(&mut self) {
        let Some(collected) = self.html.take() else { return };
        if collected.contains('<') {
            self.mark.clear();
            self.out.push_str(html::text_of_tags(&collected).trim());
        } else {
            self.text(&collected);
        }
    }
}

/// What is written before the content of a feed's element.
fn label(name: &str) -> &'static str {
    match name {
        "pubDate" | "published" | "date" => "Published: ",
        "updated" | "lastBuildDate" => "Updated: ",
        "creator" | "author" => "By: ",
        "category" => "Category: ",
        _ => "",
    }
}

/// A place in a text that is in memory.
fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prose(xml: &str, feed: bool) -> Parsed {
        convert(xml, feed, &StepContext::detached()).expect("in time")
    }

    const DOCBOOK: &str = "<?xml version=\"1.0\"?>\n<!-- two\n lines --><book>\n  <info><title>Zant</title></info>\n\
        <chapter\n   id='x'>\n  <title>The <emphasis>quorvex</emphasis></title>\n  <para>Sleeps\n    until\n  thaw.</para>\n\
        <itemizedlist>\n<listitem>\n<para>one</para>\n</listitem></itemizedlist>\n\
        <programlisting>\n  let x = 1;\n</programlisting>\n</chapter></book>";

    #[test]
    fn docbook_keeps_its_lines() {
        let parsed = prose(DOCBOOK, false);
        assert!(parsed.lines);
        assert_eq!(parsed.title.as_deref(), Some("Zant"));
        let lines: Vec<&str> = parsed.content.lines().collect();
        for (number, text) in [
            (4, "# Zant"),
            (7, "## The quorvex"),
            (8, "Sleeps"),
            (9, "until"),
            (10, "thaw."),
            (13, "- one"),
            (16, "  let x = 1;"),
        ] {
            assert_eq!(lines[number - 1], text, "{lines:#?}");
        }
    }

    #[test]
    fn paragraphs_on_one_line_are_set_apart() {
        let parsed = prose(&DOCBOOK.replace('\n', " "), false);
        assert!(!parsed.lines);
        assert_eq!(
            &*parsed.content,
            "# Zant\n\n## The quorvex\n\nSleeps until thaw.\n\n- one\n\n```\n   let x = 1;\n```\n"
        );
    }

    #[test]
    fn work_grows_with_the_document_however_long_its_lines_are() {
        // Going back to the beginning of the line for each paragraph, or through all that is open for each title, would
        // take hours.
        const MANY: usize = 100_000;
        let line = format!("<article>{}</article>", "<para>The quorvex sleeps until thaw.</para>".repeat(MANY));
        let parsed = prose(&line, false);
        assert_eq!((parsed.lines, parsed.content.matches("\n\n").count()), (false, MANY - 1));
        let sections = "<section><title>Zant</title>".repeat(MANY) + &"</section>".repeat(MANY);
        assert_eq!(prose(&sections, false).content.matches("###### Zant").count(), MANY - 5);
    }

    #[test]
    fn a_feed_reads_as_a_list_of_entries() {
        let parsed = prose(
            "<rss><channel><title>Quorvex news</title><item><title>Thaw</title><guid>123</guid>\
             <pubDate>Mon, 6 Sep 2010</pubDate><description>&lt;p&gt;It &lt;b&gt;came&lt;/b&gt;.&lt;/p&gt;</description></item>\
             <item><title>Frost</title><description><![CDATA[<p>Gone &amp; lost</p>]]></description></item></channel></rss>",
            true,
        );
        assert_eq!(
            &*parsed.content,
            "# Quorvex news\n\n## Thaw\n\nPublished: Mon, 6 Sep 2010\n\nIt came.\n\n## Frost\n\nGone & lost\n"
        );
        assert_eq!(parsed.title.as_deref(), Some("Quorvex news"));
    }
}
