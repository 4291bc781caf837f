//! Sizes and times as people write them in `pipeline.toml`: `"512MiB"`, `"30s"`.

use std::fmt;
use std::time::Duration;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A size in bytes, written `"10MiB"`, `"2 GB"` or as a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// A time, written `"30s"`, `"200ms"`, `"1h 30m"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// Reads a size.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_size(text: &str) -> Result<Size, String> {
    text.parse::<bytesize::ByteSize>()
        .map(|size| Size(size.as_u64()))
        .map_err(|_| format!("`{text}` is no size; write it as \"10MiB\" or \"2GB\""))
}

/// Reads a time.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse_span(text: &str) -> Result<Span, String> {
    humantime::parse_duration(text)
        .map(Span)
        .map_err(|_| format!("`{text}` is no time; write it with a unit, as \"30s\", \"200ms\" or \"5m\""))
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        for (unit, name) in units {
            if self.0 >= unit {
                let whole = self.0.is_multiple_of(unit);
                #[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
                let value = self.0 as f64 / unit as f64;
                return if whole { write!(f, "{value:.0}{name}") } else { write!(f, "{value:.1}{name}") };
            }
        }
        write!(f, "{}B", self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = humantime::format_duration(self.0).to_string();
        f.write_str(&text.replace(' ', ""))
    }
}

struct Reads<T>(&'static str, fn(&str) -> Result<T, String>, fn(u64) -> Option<T>);

impl<T> Visitor<'_> for Reads<T> {
    type Value = T;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).map_err(E::custom)
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        (self.2)(number).ok_or_else(|| E::custom(format!("`{number}` has no unit")))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        u64::try_from(number)
            .map_err(|_| E::custom(format!("`{number}` is below nought")))
            .and_then(|number| self.visit_u64(number))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reads("a size such as \"10MiB\"", parse_size, |bytes| Some(Self(bytes))))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reads("a time such as \"30s\"", parse_span, |_| None))
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_as_people_write_them() {
        assert_eq!(parse_size("512MiB"), Ok(Size(512 << 20)));
        assert_eq!(parse_size("10 MB"), Ok(Size(10_000_000)));
        assert_eq!(serde_json::from_str::<Size>("4096").map_err(|_| ()), Ok(Size(4096)));
        assert!(serde_json::from_str::<Size>("-1").is_err());
        assert!(parse_size("lots").is_err());
        assert_eq!(parse_span("200ms"), Ok(Span(Duration::from_millis(200))));
        assert!(parse_span("30").is_err(), "a time without a unit is refused");
        assert!(serde_json::from_str::<Span>("30").is_err());
        assert_eq!(Size(512 << 20).to_string(), "512MiB");
        assert_eq!(Size(1_500_000).to_string(), "1.4MiB");
        assert_eq!(Span(Duration::from_secs(90)).to_string(), "1m30s");
    }
}
