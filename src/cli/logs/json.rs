//! A log line as JSON: `{"timestamp", "level", "target", "message", …}` and the event's own fields beside them, on one line.
//! Written here because `tracing-subscriber`'s own needs features of crates that half of the dependencies share.

use std::error::Error;
use std::fmt;
use std::io;

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::report::is_obeyed;

/// What every line has, whatever the event's fields are called.
const OWN: [&str; 3] = ["timestamp", "level", "target"];

/// Writes events as lines of JSON. Spans are left out: docmill opens none.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut to: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("timestamp".into(), Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true).into());
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("target".into(), metadata.target().into());
        // Keeps its place: fields may be recorded before it.
        line.insert("message".into(), Value::Null);
        event.record(&mut Fields(&mut line));
        if line["message"].is_null() {
            line.shift_remove("message");
        }
        let mut bytes = Vec::new();
        line.serialize(&mut Serializer::with_formatter(&mut bytes, Escapes)).map_err(|_| fmt::Error)?;
        writeln!(to, "{}", String::from_utf8(bytes).map_err(|_| fmt::Error)?)
    }
}

/// Takes an event's fields into a line.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        let name = if OWN.contains(&name) { format!("{name}_") } else { name.to_owned() };
        self.0.insert(name, value.into());
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for what is no number.
        if value.is_finite() { self.put(field, value) } else { self.put(field, value.to_string()) }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

/// JSON that may be looked at on a terminal: JSON itself only wants the first 32 characters escaped, and a terminal obeys
/// others as well.
struct Escapes;

impl Formatter for Escapes {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, to: &mut W, fragment: &str) -> io::Result<()> {
        let mut shown = 0;
        for (at, c) in fragment.char_indices().filter(|(_, c)| is_obeyed(*c)) {
            to.write_all(&fragment.as_bytes()[shown..at])?;
            // All of them have four digits.
            write!(to, "\\u{:04x}", u32::from(c))?;
            shown = at + c.len_utf8();
        }
        to.write_all(&fragment.as_bytes()[shown..])
    }
}
