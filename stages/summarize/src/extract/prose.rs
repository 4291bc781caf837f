//! Lines to paragraphs of running text: what is no prose (headings, tables, code, lists of links) is left out.
//!
//! A reader of Markdown it is not: a line that it takes for something else costs a sentence, never more.

use crate::extract::inline;

/// The paragraphs of a text, each on one line, without markup.
pub(crate) fn paragraphs(text: &str, markdown: bool) -> Vec<String> {
    let mut reader = Reader { markdown, ..Reader::default() };
    let body = if markdown { without_front_matter(text) } else { text };
    for line in body.lines() {
        reader.line(line);
    }
    reader.end();
    reader.paragraphs
}

/// Skips the `---` block at the top that some Markdown files carry their metadata in.
fn without_front_matter(text: &str) -> &str {
    text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).map_or(text, |(_, body)| body)
}

/// More of a list item than this in links makes it part of a table of contents, in hundredths.
const MOSTLY_LINKS: usize = 60;

#[derive(Default)]
struct Reader {
    markdown: bool,
    paragraphs: Vec<String>,
    /// The paragraph being read, as it stands in the text.
    open: String,
    /// Whether it began as a list item.
    item: bool,
    /// The mark of the code fence being read.
    fence: Option<char>,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let trimmed = line.trim();
        if self.markdown && self.fences(trimmed) {
            return;
        }
        if trimmed.is_empty() {
            return self.end();
        }
        if is_table(trimmed) {
            return self.end();
        }
        if self.markdown {
            self.markdown_line(line, trimmed);
        } else {
            self.append(trimmed);
        }
    }

    /// Whether the line is within code or at its edge.
    fn fences(&mut self, trimmed: &str) -> bool {
        let mark = trimmed.chars().next().filter(|mark| matches!(mark, '`' | '~'));
        let edge = mark.filter(|mark| trimmed.chars().take_while(|next| next == mark).count() >= 3);
        match (self.fence, edge) {
            (Some(open), Some(close)) if open == close => self.fence = None,
            (None, Some(open)) => {
                self.end();
                self.fence = Some(open);
            }
            (Some(_), _) => {}
            (None, None) => return false,
        }
        true
    }

    fn markdown_line(&mut self, line: &str, trimmed: &str) {
        let code = self.open.is_empty() && (line.starts_with("    ") || line.starts_with('\t'));
        if code || is_heading(trimmed) || trimmed.starts_with('<') || is_definition(trimmed) {
            return self.end();
        }
        if trimmed.bytes().all(|byte| byte == b'=') || trimmed.bytes().all(|byte| matches!(byte, b'-' | b'*' | b'_')) {
            // A line across, or the line below a heading: then what is open is that heading.
            self.open.clear();
            return;
        }
        let quoted = trimmed.trim_start_matches(['>', ' ']);
        match item(quoted) {
            Some(rest) => {
                self.end();
                self.item = true;
                self.append(rest);
            }
            None => self.append(quoted),
        }
    }

    fn append(&mut self, line: &str) {
        // Scripts without spaces have none at a line's end either.
        let joined = self.open.chars().next_back().zip(line.chars().next()).is_some_and(|(before, after)| {
            crate::extract::words::is_unspaced(before) || crate::extract::words::is_unspaced(after)
        });
        if !self.open.is_empty() && !joined {
            self.open.push(' ');
        }
        self.open.push_str(line);
    }

    /// Ends the paragraph, if one is open.
    fn end(&mut self) {
        if !self.open.is_empty() {
            let (text, linked) = if self.markdown { inline::plain(&self.open) } else { (self.open.clone(), 0) };
            let contents = self.item && linked * 100 > text.len() * MOSTLY_LINKS;
            if !contents {
                self.paragraphs.push(text);
            }
            self.open.clear();
        }
        self.item = false;
    }
}

fn is_heading(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    (1..=6).contains(&level) && (rest.is_empty() || rest.starts_with(' '))
}

/// A row of a table: drawn with bars, or columns parted by tabs or wide gaps.
fn is_table(line: &str) -> bool {
    line.starts_with('|')
        || line.matches(" | ").count() >= 2
        || line.matches('\t').count() >= 2
        || line.split("   ").filter(|column| !column.trim().is_empty()).count() >= 3
}

/// Where a link or a footnote is defined.
fn is_definition(line: &str) -> bool {
    line.starts_with('[') && line.split_once(']').is_some_and(|(_, rest)| rest.starts_with(':'))
}

/// The text of a list item.
fn item(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix(['-', '*', '+']) {
        return rest.strip_prefix(' ');
    }
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = line.len() - rest.len();
    if (1..=3).contains(&digits) { rest.strip_prefix(['.', ')'])?.strip_prefix(' ') } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_markdown_the_running_text_is_left() {
        let text = "---\ntitle: x\n---\n# Heading\n\nFirst *line*\nsecond `line`.\n\nUnderlined\n----------\n\n```rust\nfn \
                    code() {}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted text\n\n- [One](#one)\n- [Two](#two) \n- An \
                    item that says [something](x).\n1. numbered\n\n    indented();\n\n<div>html</div>\n\n[ref]: http://x\n\nLast.";
        let expected = ["First line second line.", "quoted text", "An item that says something.", "numbered", "Last."];
        assert_eq!(paragraphs(text, true), expected);
    }

    #[test]
    fn of_plain_text_all_but_tables_is_left() {
        let text = "One line\nand *another*.\n\nname\tsize\tdate\nx   12   3\n\n# no heading here";
        assert_eq!(paragraphs(text, false), ["One line and *another*.", "# no heading here"]);
    }

    #[test]
    fn lines_of_a_script_without_spaces_are_joined_without_one() {
        assert_eq!(paragraphs("日本語の文\nです。", false), ["日本語の文です。"]);
    }

    #[test]
    fn a_fence_that_never_ends_swallows_the_rest_and_nothing_else() {
        assert_eq!(paragraphs("before.\n\n```\ncode\n~~~\nmore", true), ["before."]);
    }
}
