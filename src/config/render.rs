//! Draws complaints: as text with the line and a caret under it, and as JSON.
//!
//! What a file says is shown as it is, except that control characters are not sent to the terminal.

use serde_json::{Value, json};

use crate::plan::{Diagnostic, Diagnostics, Location, Place, Severity};

/// Longer lines are cut around the place: a minified value of a megabyte is no help on a screen.
const MAX_COLUMNS: usize = 100;

/// All complaints as text, an empty line between two, the count at the end.
#[must_use]
pub fn render_all(all: &Diagnostics) -> String {
    let mut out = String::new();
    for one in all {
        out.push_str(&render(one));
        out.push('\n');
    }
    let count = |severity| all.iter().filter(|one| one.severity == severity).count();
    let told = |count: usize, word: &str| match count {
        0 => None,
        1 => Some(format!("1 {word}")),
        many => Some(format!("{many} {word}s")),
    };
    let counts = [told(count(Severity::Error), "error"), told(count(Severity::Warning), "warning")];
    let counts: Vec<String> = counts.into_iter().flatten().collect();
    out.push_str(&format!("{}\n", counts.join(", ")));
    out
}

/// One complaint as text.
///
/// ```text
/// error[docmill-E0011]: unknown key `widht` in stage `parse`
///   --> pipeline.toml:14:1
///    |
/// 14 | widht = 3
///    | ^^^^^
///    = help: did you mean `width`?
/// ```
#[must_use]
pub fn render(one: &Diagnostic) -> String {
    let severity = word(one.severity);
    let mut out = format!("{severity}[{}]: {}\n", one.code, printable(&one.message));
    let mut gutter = 1;
    match &one.place {
        Place::Whole(file) => out.push_str(&format!(" --> {}\n", printable(file))),
        Place::Environment(name) => out.push_str(&format!(" --> environment variable {}\n", printable(name))),
        Place::Set(text) => out.push_str(&format!(" --> --set {}\n", printable(text))),
        Place::File(at) => {
            gutter = at.line.to_string().len();
            out.push_str(&excerpt(at, gutter));
        }
    }
    if let Some(help) = &one.help {
        out.push_str(&format!("{:gutter$} = help: {}\n", "", printable(help)));
    }
    out
}

fn excerpt(at: &Location, gutter: usize) -> String {
    let symbols: Vec<char> = at.text.chars().collect();
    let start = (at.column - 1).min(symbols.len());
    // The place stands in the first half of what is shown, so that both its sides can be seen.
    let from = if symbols.len() > MAX_COLUMNS { start.saturating_sub(MAX_COLUMNS / 2) } else { 0 };
    let to = (from + MAX_COLUMNS).min(symbols.len());
    let before: String = symbols[from..start].iter().map(|symbol| shown(*symbol)).collect();
    let rest: String = symbols[start..to].iter().map(|symbol| shown(*symbol)).collect();
    let meant: String =
        symbols[start..(start + at.length).clamp(start, to)].iter().map(|symbol| shown(*symbol)).collect();
    let (head, tail) = (if from > 0 { "…" } else { "" }, if to < symbols.len() { "…" } else { "" });
    let indent = " ".repeat(columns(head) + columns(&before));
    let carets = "^".repeat(columns(&meant).max(1));
    let (line, column, file) = (at.line, at.column, printable(&at.file));
    let empty = " ".repeat(gutter);
    let excerpt = format!("{line} | {head}{before}{rest}{tail}\n{empty} | {indent}{carets}\n");
    format!("{empty}--> {file}:{line}:{column}\n{empty} |\n{excerpt}")
}

fn shown(symbol: char) -> String {
    match symbol {
        '\t' => "    ".into(),
        symbol if symbol.is_control() => "\u{fffd}".into(),
        symbol => symbol.into(),
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|symbol| if symbol.is_control() { '\u{fffd}' } else { symbol }).collect()
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// How many columns a character takes: East Asian wide ranges and emoji two, combining marks none. A caret that is off
/// by one on rarer scripts still stands in the right line.
fn width(symbol: char) -> usize {
    match u32::from(symbol) {
        0x300..=0x36f | 0x200b..=0x200f | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => 2,
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1f64f | 0x1f900..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// All complaints as JSON: what `check --format json` prints under `diagnostics`.
pub fn to_json<'a>(all: impl IntoIterator<Item = &'a Diagnostic>) -> Value {
    all.into_iter().map(one_to_json).collect()
}

fn one_to_json(one: &Diagnostic) -> Value {
    let (file, line, column, origin) = match &one.place {
        Place::File(at) => (Some(at.file.as_str()), Some(at.line), Some(at.column), None),
        Place::Whole(file) => (Some(file.as_str()), None, None, None),
        Place::Environment(name) => (None, None, None, Some(format!("${name}"))),
        Place::Set(text) => (None, None, None, Some(format!("--set {text}"))),
    };
    json!({
        "code": one.code, "severity": word(one.severity), "message": one.message,
        "file": file, "line": line, "column": column, "origin": origin, "help": one.help,
    })
}
