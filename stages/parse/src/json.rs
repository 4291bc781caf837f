//! JSON and JSON Lines: valid JSON is kept as it is written, invalid JSON is taken as plain text and marked so.

use docmill_api::{StepContext, TextKind};
use serde::de::IgnoredAny;

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
        Ok(without_structure("json", &text))
    }
}

/// Checks without building values and without recursion: `IgnoredAny` is skipped over with a stack of one bit a level.
fn is_valid(text: &str, lines: bool) -> bool {
    if lines {
        return serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>().all(|value| value.is_ok());
    }
    serde_json::from_str::<IgnoredAny>(text).is_ok()
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
}
