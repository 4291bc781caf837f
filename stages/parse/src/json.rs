//! JSON and JSON Lines: valid JSON is kept as it is written, invalid JSON is taken as plain text and marked so. In JSON
//! Lines a line that is no JSON is kept as it stands, counted, and costs no other.

use docmill_api::{StepContext, TextKind};
use serde::de::IgnoredAny;

use crate::encoding::Decoded;
use crate::plain::{decoded, verbatim, without_structure};
use crate::reader::{Input, Parsed, ReadError, Reader};

/// Reads JSON.
#[derive(Debug)]
pub(crate) struct JsonReader {
    /// Whether it is a sequence of values, as JSON Lines is.
    pub(crate) lines: bool,
}

impl Reader for JsonReader {
    fn read(&self, input: &Input<'_>, _cx: &StepContext) -> Result<Parsed, ReadError> {
        let text = decoded(input)?;
        if is_valid(&text.text, self.lines) {
            return Ok(verbatim("json", TextKind::Code("json".to_owned()), &text));
        }
        let good = if self.lines { with_bad_lines(&text) } else { None };
        Ok(good.unwrap_or_else(|| without_structure("json", &text)))
    }
}

/// Checks without building values and without recursion: `IgnoredAny` is skipped over with a stack of one bit a level.
fn is_valid(text: &str, lines: bool) -> bool {
    if lines {
        return serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>().all(|value| value.is_ok());
    }
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// The text with its bad lines as they stand and counted, since what is not JSON may still be what is searched for;
/// `None` where most are bad.
fn with_bad_lines(text: &Decoded) -> Option<Parsed> {
    let (mut good, mut bad, mut first) = (0_usize, 0_usize, 0_usize);
    for (number, line) in (1..).zip(text.text.lines()) {
        if is_valid(line, false) {
            good += 1;
        } else if !line.trim().is_empty() {
            bad += 1;
            first = if bad == 1 { number } else { first };
        }
    }
    if bad > good {
        return None;
    }
    let parsed = verbatim("json", TextKind::Code("json".to_owned()), text);
    Some(parsed.note("lines_broken", bad).note("first_line_broken", first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_is_checked_at_any_depth() {
        assert!(is_valid("{\"a\": [1, 2]}", false));
        assert!(!is_valid("{\"a\": 1}\n{\"a\": 2}\n", false));
        assert!(is_valid("{\"a\": 1}\n{\"a\": 2}\n", true));
        assert!(!is_valid("{a: 1}", true));
        let deep = format!("{}{}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert!(is_valid(&deep, false), "no recursion, so no limit on depth and no overflow");
        assert!(!is_valid(&deep[..1_500_000], false));
    }

    #[test]
    fn a_bad_line_is_counted_and_costs_no_other() {
        let read = |text: &'static str| with_bad_lines(&Decoded { text: text.into(), encoding: "UTF-8" });
        let parsed = read("{\"a\": \"quorvex\"}\n{\"a\": zant\n\n{\"a\": \"brindle\"}\n{oops}").expect("most are good");
        assert!(parsed.content.contains("{\"a\": zant\n") && parsed.content.contains("brindle"), "kept as they stand");
        assert!(parsed.lines);
        assert_eq!((&parsed.notes["lines_broken"], &parsed.notes["first_line_broken"]), (&2.into(), &2.into()));
        assert!(read("quorvex\nslept\n{}").is_none(), "prose is no JSON Lines");
    }
}
