//! What one line of Markdown is: a fence, a heading, the rule under a title or under a table's header. Apart because
//! the outline and the search for tables have to agree on it; neither text nor state is kept here.

/// The mark that begins a fenced block of code: what ends it is as long at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    mark: u8,
    length: usize,
}

impl Fence {
    /// The fence that a line opens.
    pub(crate) fn opened_by(line: &str) -> Option<Self> {
        let line = flush(line)?;
        let mark = *line.as_bytes().first().filter(|mark| matches!(mark, b'`' | b'~'))?;
        let info = line.trim_start_matches(char::from(mark));
        let length = line.len() - info.len();
        (length >= 3 && !(mark == b'`' && info.contains('`'))).then_some(Self { mark, length })
    }

    /// Whether a line closes it.
    pub(crate) fn is_closed_by(self, line: &str) -> bool {
        flush(line).is_some_and(|line| {
            let info = line.trim_start_matches(char::from(self.mark));
            line.len() - info.len() >= self.length && info.trim_end().is_empty()
        })
    }
}

/// The level and the words of a heading that is marked with `#`; the words may be none.
pub(crate) fn heading(line: &str) -> Option<(usize, &str)> {
    let line = flush(line)?;
    let title = line.trim_start_matches('#');
    let level = line.len() - title.len();
    if !(1..=6).contains(&level) || !(title.trim_end().is_empty() || title.starts_with([' ', '\t'])) {
        return None;
    }
    let title = title.trim();
    let bare = title.trim_end_matches('#');
    Some((level, if bare.is_empty() || bare.ends_with([' ', '\t']) { bare.trim_end() } else { title }))
}

/// The level that a line gives to the title above it: `=====` is 1, `-----` is 2.
pub(crate) fn underline(line: &str) -> Option<usize> {
    let line = flush(line)?.trim_end();
    match line.as_bytes().first() {
        Some(b'=') if line.bytes().all(|byte| byte == b'=') => Some(1),
        Some(b'-') if line.bytes().all(|byte| byte == b'-') => Some(2),
        _ => None,
    }
}

/// The words of a line that is a title if it is underlined: no list, quotation, table, heading or rule.
pub(crate) fn title(line: &str) -> Option<&str> {
    let line = flush(line)?.trim_end();
    let first = *line.as_bytes().first()?;
    let is_list = matches!(first, b'-' | b'*' | b'+') && line[1..].starts_with([' ', '\t']);
    let number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let is_numbered = number.len() < line.len() && number.starts_with(['.', ')']) && number[1..].starts_with(' ');
    let is_other = matches!(first, b'>' | b'#' | b'|' | b'<' | b'=') || Fence::opened_by(line).is_some();
    (!is_list && !is_numbered && !is_other && underline(line).is_none()).then_some(line)
}

/// How many cells a line of a table has.
pub(crate) fn cells(line: &str) -> usize {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let (mut count, mut escaped, mut open) = (0, false, true);
    for byte in line.bytes() {
        if byte == b'|' && !escaped {
            count += 1;
            open = false;
        } else {
            open = true;
        }
        escaped = byte == b'\\' && !escaped;
    }
    count + usize::from(open)
}

/// Whether a line is the rule between a table's header and its rows.
pub(crate) fn is_separator(line: &str) -> bool {
    flush(line).is_some_and(|line| {
        let (mut pipe, mut dash) = (false, false);
        let known = line.trim_end().bytes().all(|byte| {
            pipe |= byte == b'|';
            dash |= byte == b'-';
            matches!(byte, b'|' | b'-' | b':' | b' ' | b'\t')
        });
        known && pipe && dash
    })
}

/// Whether a line ends the table above it.
pub(crate) fn ends_table(line: &str) -> bool {
    let Some(line) = flush(line) else { return false };
    line.trim().is_empty() || line.starts_with('>') || heading(line).is_some() || Fence::opened_by(line).is_some()
}

/// Where the line that begins at `from` ends, with its line end.
pub(crate) fn line_end(text: &str, from: usize) -> usize {
    memchr::memchr(b'\n', &text.as_bytes()[from..]).map_or(text.len(), |at| from + at + 1)
}

/// The line without the spaces before it; four of them make it code.
fn flush(line: &str) -> Option<&str> {
    let content = line.trim_start_matches(' ');
    (line.len() - content.len() <= 3).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_underlined_and_lists_are_not() {
        assert_eq!(underline("=====  "), Some(1));
        assert_eq!(underline("   ---"), Some(2));
        assert_eq!((underline("- -"), underline("=-="), underline("    ==="), underline("")), (None, None, None, None));
        assert_eq!(title("  A title  "), Some("A title"));
        assert_eq!(title("-dash"), Some("-dash"));
        for line in ["", "- item", "12. item", "> quoted", "| a |", "# heading", "---", "```rust", "    code", "<p>"] {
            assert_eq!(title(line), None, "{line}");
        }
    }

    #[test]
    fn cells_and_separators_are_told() {
        for (line, count) in [("| a | b |", 2), ("a | b", 2), ("|a|", 1), ("a \\| b | c", 2), ("||", 1), ("a", 1)] {
            assert_eq!(cells(line), count, "{line}");
        }
        assert!(is_separator("|---|:-:|") && is_separator("--- | ---") && is_separator(" | -|\n"));
        assert!(!is_separator("---") && !is_separator("| a |") && !is_separator("||") && !is_separator("    |-|-|"));
    }
}
