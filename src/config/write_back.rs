//! Writes widths back into a pipeline file: the text stays as its author wrote it, comments and all, but for the numbers.
//! Pure: text in, text out.

use toml_edit::{DocumentMut, Item, TableLike, Value};

/// A file's text with some widths changed, and the lines that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The whole text.
    pub text: String,
    /// Number of the line in the new text, the line as it was (none for one that is added), and as it is then.
    pub lines: Vec<(usize, Option<String>, String)>,
}

/// Why widths cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteBackError {
    /// The file is no TOML any more.
    #[error("the file is not valid TOML now: {0}")]
    Invalid(#[from] toml_edit::TomlError),
    /// It does not declare the stage.
    #[error("the file has no table `[stages.{0}]`")]
    NoStage(String),
}

/// Changes the start widths of stages. A width given as a number, as `"auto"` or left out becomes the number; of
/// `{ min, max }` the bounds are widened where the number lies outside, and `min`, where a run starts, is set to it.
///
/// # Errors
/// The text is no TOML, or has no such stage.
pub fn set_widths(text: &str, widths: &[(String, usize)]) -> Result<Rewritten, WriteBackError> {
    let mut document: DocumentMut = text.parse()?;
    for (stage, width) in widths {
        let table = document
            .get_mut("stages")
            .and_then(Item::as_table_like_mut)
            .and_then(|stages| stages.get_mut(stage))
            .and_then(Item::as_table_like_mut)
            .ok_or_else(|| WriteBackError::NoStage(stage.clone()))?;
        set_width(table, i64::try_from(*width).unwrap_or(i64::MAX));
    }
    let mut written = document.to_string();
    if text.contains("\r\n") {
        // The library writes the ends of lines as it likes.
        written = written.replace("\r\n", "\n").replace('\n', "\r\n");
    }
    let lines = differences(text, &written);
    Ok(Rewritten { text: written, lines })
}

fn set_width(stage: &mut dyn TableLike, width: i64) {
    let Some(item) = stage.get_mut("width") else {
        stage.insert("width", Item::Value(width.into()));
        return;
    };
    match item {
        Item::Value(value) if value.is_inline_table() => {
            if let Some(bounds) = value.as_inline_table_mut() {
                set_bounds(bounds, width);
            }
        }
        Item::Table(bounds) => set_bounds(bounds, width),
        Item::Value(value) => replace(value, width),
        other => *other = Item::Value(width.into()),
    }
}

fn set_bounds(bounds: &mut dyn TableLike, width: i64) {
    let max = bounds.get("max").and_then(Item::as_integer);
    for (name, changes) in [("min", true), ("max", max.is_some_and(|max| max < width))] {
        match bounds.get_mut(name) {
            Some(Item::Value(value)) if changes => replace(value, width),
            None if changes => {
                bounds.insert(name, Item::Value(width.into()));
            }
            _ => {}
        }
    }
}

/// Another value in the same place: what stands before and behind it stays, as a comment at the line's end.
fn replace(value: &mut Value, width: i64) {
    let decor = value.decor().clone();
    *value = width.into();
    *value.decor_mut() = decor;
}

/// The lines that differ. Widths change lines and add some, nothing else: a line of which the old text has none here is one
/// that was added.
fn differences(before: &str, after: &str) -> Vec<(usize, Option<String>, String)> {
    let mut old = before.lines().peekable();
    let mut added = after.lines().count().saturating_sub(before.lines().count());
    let is_width = |line: &str| line.trim_start().starts_with("width");
    let mut lines = Vec::new();
    for (index, line) in after.lines().enumerate() {
        let was = old.peek().copied();
        if was == Some(line) {
            old.next();
        } else if added > 0 && is_width(line) && was.is_none_or(|was| !is_width(was)) {
            added -= 1;
            lines.push((index + 1, None, line.to_owned()));
        } else {
            lines.push((index + 1, old.next().map(str::to_owned), line.to_owned()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# A pipeline.\n[run]\nmemory = \"1GiB\"   # enough\n\n[stages.source]\nkind = \"files\"\n\n\
                        [stages.embed] # the slow one\nkind = \"embed\"\nwidth =  5 # two a core\nqueue = 50\n\n\
                        [stages.chunk]\nkind = \"chunk\" # no width\n\n[stages]\n\
                        parse = { kind = \"parse\", width = { min = 1, max = 4 } }\n";

    #[test]
    fn only_the_width_changes_and_comments_stay() {
        let changed = set_widths(FILE, &[("embed".into(), 11)]).expect("it is there");
        assert_eq!(changed.text, FILE.replace("width =  5 # two", "width =  11 # two"));
        let line = (10, Some("width =  5 # two a core".to_owned()), "width =  11 # two a core".to_owned());
        assert_eq!(changed.lines, [line]);
    }

    #[test]
    fn a_width_that_is_not_there_is_added_and_bounds_are_kept_or_widened() {
        let changed = set_widths(FILE, &[("chunk".into(), 3), ("parse".into(), 6)]).expect("they are there");
        let expected = FILE
            .replace("kind = \"chunk\" # no width\n", "kind = \"chunk\" # no width\nwidth = 3\n")
            .replace("min = 1, max = 4", "min = 6, max = 6");
        assert_eq!(changed.text, expected);
        assert_eq!(changed.lines.len(), 2, "{:?}", changed.lines);
        assert_eq!(changed.lines[0], (15, None, "width = 3".to_owned()));
        let within = set_widths(FILE, &[("parse".into(), 2)]).expect("it is there");
        assert!(within.text.contains("{ min = 2, max = 4 }"), "{}", within.text);
    }

    #[test]
    fn the_ends_of_lines_stay() {
        let windows = FILE.replace('\n', "\r\n");
        let changed = set_widths(&windows, &[("embed".into(), 11)]).expect("it is there");
        assert_eq!(changed.text, windows.replace("width =  5 # two", "width =  11 # two"));
        assert_eq!(changed.lines.len(), 1);
    }

    #[test]
    fn what_is_not_there_or_not_toml_is_told() {
        assert!(
            matches!(set_widths(FILE, &[("nowhere".into(), 1)]), Err(WriteBackError::NoStage(name)) if name == "nowhere")
        );
        assert!(matches!(set_widths("[stages", &[]), Err(WriteBackError::Invalid(_))));
        assert_eq!(set_widths(FILE, &[]).expect("nothing to do").lines, []);
    }
}
