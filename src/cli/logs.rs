//! Where log lines go and what they look like: to standard error, as text or as JSON; while a dashboard has the terminal
//! they are kept, the last of them, and written when it is given back. That one terminal belongs to the whole process is why
//! this is a static.

mod json;

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{Dispatch, dispatcher};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::debug_fn;

use crate::report::printable;

/// Says which lines are written.
const FILTER: &str = "DOCMILL_LOG";
/// Says what they look like: `text` or `json`.
const FORMAT: &str = "DOCMILL_LOG_FORMAT";
/// What is written where [`FILTER`] does not say.
const USUAL: &str = "docmill=warn,docmill_source=warn,docmill_download=warn,docmill_parse=error,docmill_store=warn";

/// How much is kept: some hundred lines.
const KEPT: usize = 64 << 10;

static HELD: Mutex<Option<VecDeque<u8>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<VecDeque<u8>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Begins to log, as the environment says. A program that embeds docmill may have begun before: then that stays.
pub(super) fn begin() {
    let format = std::env::var(FORMAT).unwrap_or_default();
    let filter = EnvFilter::try_from_env(FILTER).unwrap_or_else(|_| EnvFilter::new(USUAL));
    let dispatch = match format.as_str() {
        "json" => json(filter, || Lines),
        _ => text(filter, || Lines, io::stderr().is_terminal()),
    };
    let begun = dispatcher::set_global_default(dispatch).is_ok();
    if begun && !matches!(format.as_str(), "" | "text" | "json") {
        tracing::warn!(format, "`DOCMILL_LOG_FORMAT` is neither `text` nor `json`: lines are text");
    }
}

/// Lines for people.
fn text(filter: EnvFilter, to: impl for<'a> MakeWriter<'a> + Send + Sync + 'static, colours: bool) -> Dispatch {
    // What is told of may be called anything, also what a terminal obeys. Not done to the whole line, which has colours of
    // its own.
    let fields = debug_fn(|line, field, value| {
        let value = printable(&format!("{value:?}"));
        if field.name() == "message" { write!(line, "{value}") } else { write!(line, "{}={value}", field.name()) }
    });
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .fmt_fields(fields.delimited(" "))
        .with_writer(to)
        .with_target(false)
        .with_ansi(colours);
    Dispatch::new(lines.finish())
}

/// Lines for programs.
fn json(filter: EnvFilter, to: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) -> Dispatch {
    // Without colours also on a terminal: who asked for JSON reads JSON.
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).event_format(json::JsonLines);
    Dispatch::new(lines.with_writer(to).finish())
}

/// Keeps lines from here on.
pub(super) fn hold() {
    held().get_or_insert_default();
}

/// Writes what was kept, and all that follows, to standard error.
pub(super) fn release() {
    if let Some(kept) = held().take() {
        // Where standard error is gone there is nobody to tell.
        let _ = io::stderr().write_all(&Vec::from(kept));
    }
}

/// Writes one line.
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut held = held();
        let Some(kept) = held.as_mut() else { return io::stderr().write(bytes) };
        kept.extend(bytes);
        // The first line that is kept may be half of one.
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    /// What a terminal obeys: a colour in seven bits and in eight, a title, a new line, and what turns the direction.
    const HOSTILE: &str = "a\u{1b}[31mb\u{9b}31mc\u{7}\u{7f}d\ne\u{202e}f";

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `tells` logs.
    fn logged(format: impl FnOnce(EnvFilter, Kept) -> Dispatch, tells: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        dispatcher::with_default(&format(EnvFilter::new("info"), kept.clone()), tells);
        let bytes = kept.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
    }

    fn as_json(filter: EnvFilter, kept: Kept) -> Dispatch {
        json(filter, move || kept.clone())
    }

    fn as_text(filter: EnvFilter, kept: Kept) -> Dispatch {
        text(filter, move || kept.clone(), true)
    }

    fn hostile() {
        let error = io::Error::other(HOSTILE);
        tracing::warn!(name = HOSTILE, shown = %HOSTILE, debugged = ?HOSTILE, %error, "it is called {HOSTILE}");
        tracing::warn!(error = &error as &(dyn std::error::Error + 'static), "it failed");
    }

    #[test]
    fn a_line_of_json_holds_what_was_said_with_its_types() {
        let lines = logged(as_json, || {
            tracing::warn!(attempt = 3, share = 0.5, dry = true, name = "a.pdf", "call {} failed", 7);
            tracing::info!(target: "elsewhere", level = "mine", timestamp = 1, big = u64::MAX, none = f64::NAN);
            tracing::debug!("nobody wants it");
        });
        let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let [first, second] = lines.as_slice() else { panic!("two lines, not {lines:?}") };
        let names: Vec<&String> = first.as_object().expect("an object").keys().collect();
        assert_eq!(names, ["timestamp", "level", "target", "message", "attempt", "share", "dry", "name"]);
        assert!(first["timestamp"].as_str().is_some_and(|at| chrono::DateTime::parse_from_rfc3339(at).is_ok()));
        assert_eq!((&first["level"], &first["message"]), (&json!("WARN"), &json!("call 7 failed")));
        assert_eq!(first["target"], json!(module_path!()));
        let said = json!([first["attempt"], first["share"], first["dry"], first["name"]]);
        assert_eq!(said, json!([3, 0.5, true, "a.pdf"]));
        // What is called like a field of every line stands beside it.
        assert_eq!((&second["level"], &second["level_"]), (&json!("INFO"), &json!("mine")));
        assert_eq!((&second["target"], &second["timestamp_"]), (&json!("elsewhere"), &json!(1)));
        assert_eq!((&second["big"], &second["none"]), (&json!(u64::MAX), &json!("NaN")));
        assert!(second.get("message").is_none());
    }

    #[test]
    fn json_keeps_a_hostile_name_and_shows_a_terminal_nothing_to_obey() {
        let lines = logged(as_json, hostile);
        assert_eq!(lines.len(), 2, "{lines:?}");
        for line in &lines {
            assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
        let first: Value = serde_json::from_str(&lines[0]).expect("JSON");
        for field in ["name", "shown", "error"] {
            assert_eq!(first[field], json!(HOSTILE), "{field}");
        }
        assert_eq!(first["message"], json!(format!("it is called {HOSTILE}")));
        let second: Value = serde_json::from_str(&lines[1]).expect("JSON");
        assert_eq!(second["error"], json!(HOSTILE));
    }

    #[test]
    fn text_is_one_line_without_what_a_terminal_obeys_but_for_its_own_colours() {
        let lines = logged(as_text, hostile);
        assert_eq!(lines.len(), 2, "{lines:?}");
        for line in &lines {
            assert!(line.contains("WARN"), "{line:?}");
            assert!(!line.contains("[31mb\u{9b}"), "{line:?}");
            let own = ["\u{1b}[0m", "\u{1b}[2m", "\u{1b}[33m"];
            let bare = own.iter().fold(line.clone(), |line, own| line.replace(own, ""));
            assert!(!bare.chars().any(|c| c.is_control() || c == '\u{202e}'), "{bare:?}");
        }
    }
}
