//! Thresholds of a load test: what was measured is compared with them, and a command's exit code tells.

use std::fmt;

use docmill_api::units::{Size, Span, parse_size, parse_span};
use serde::Serialize;

/// What is measured for thresholds, over all that is not warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Percentiles of the time from admission to a document's end, in milliseconds.
    pub document_ms: crate::monitor::ServiceTimes,
    /// Documents that came to an end in a second.
    pub documents_per_second: f64,
    /// Bytes read in a second.
    pub bytes_per_second: f64,
    /// Documents that failed.
    pub failed: u64,
    /// Documents that came to an end.
    pub ended: u64,
    /// The most that process and children held together, in bytes.
    pub memory: u64,
    /// CPUs in use, on average.
    pub cpu: f64,
}

/// What a threshold is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measure {
    P50,
    P95,
    P99,
    Max,
    DocumentsPerSecond,
    BytesPerSecond,
    Errors,
    Failed,
    Memory,
    Cpu,
}

/// How a measure's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Time,
    Number,
    Share,
    Bytes,
}

const MEASURES: [(&str, Measure, Unit, &str); 10] = [
    ("p50", Measure::P50, Unit::Time, "p50<200ms"),
    ("p95", Measure::P95, Unit::Time, "p95<800ms"),
    ("p99", Measure::P99, Unit::Time, "p99<2s"),
    ("max", Measure::Max, Unit::Time, "max<10s"),
    ("documents_per_second", Measure::DocumentsPerSecond, Unit::Number, "documents_per_second>50"),
    ("bytes_per_second", Measure::BytesPerSecond, Unit::Bytes, "bytes_per_second>1MiB"),
    ("errors", Measure::Errors, Unit::Share, "errors<1%"),
    ("failed", Measure::Failed, Unit::Number, "failed<5"),
    ("memory", Measure::Memory, Unit::Bytes, "memory<1GiB"),
    ("cpu", Measure::Cpu, Unit::Number, "cpu<3.5"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Less,
    AtMost,
    More,
    AtLeast,
}

/// Two letters before one: `<` is the beginning of `<=`.
const COMPARISONS: [(&str, Comparison); 4] =
    [("<=", Comparison::AtMost), (">=", Comparison::AtLeast), ("<", Comparison::Less), (">", Comparison::More)];

/// A bound that a measure is to keep: `p95<800ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    measure: Measure,
    name: &'static str,
    unit: Unit,
    comparison: Comparison,
    sign: &'static str,
    bound: f64,
}

/// What became of a threshold.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The threshold: `p95<800ms`.
    pub threshold: String,
    /// What was measured, as a person writes it.
    pub measured: String,
    /// The same as a number: milliseconds, bytes, a share of 1, or a count; none where no document came to an end.
    pub value: Option<f64>,
    /// Whether it was kept.
    pub ok: bool,
}

impl std::str::FromStr for Threshold {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sign = COMPARISONS.iter().find_map(|(sign, comparison)| Some((text.split_once(sign)?, *sign, *comparison)));
        let Some(((name, bound), sign, comparison)) = sign else {
            return Err(format!("`{text}` is no threshold: there is no `<`, `<=`, `>` or `>=` in it; {}", examples()));
        };
        let (name, bound) = (name.trim(), bound.trim());
        let Some((name, measure, unit, example)) = MEASURES.iter().find(|(known, ..)| *known == name) else {
            return Err(format!("`{name}` is not measured; {}", examples()));
        };
        let bound = unit.read(bound).ok_or_else(|| format!("`{bound}` is no {}: write `{example}`", unit.called()))?;
        Ok(Self { measure: *measure, name, unit: *unit, comparison, sign, bound })
    }
}

fn examples() -> String {
    let all: Vec<String> = MEASURES.iter().map(|(.., example)| format!("`{example}`")).collect();
    format!("thresholds are {}", all.join(", "))
}

impl Unit {
    fn called(self) -> &'static str {
        match self {
            Self::Time => "time with a unit",
            Self::Number => "number",
            Self::Share => "share",
            Self::Bytes => "size with a unit",
        }
    }

    fn read(self, text: &str) -> Option<f64> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0);
        match self {
            Self::Time => parse_span(text).ok().map(|Span(time)| time.as_secs_f64() * 1000.0),
            Self::Number => number(text),
            Self::Share => match text.strip_suffix('%') {
                Some(percent) => number(percent).map(|percent| percent / 100.0),
                None => number(text),
            }
            .filter(|share| *share <= 1.0),
            #[expect(clippy::cast_precision_loss, reason = "a bound is compared, not reckoned with")]
            Self::Bytes => parse_size(text).ok().map(|Size(bytes)| bytes as f64),
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Time => time(value),
            Self::Number => trimmed(value),
            Self::Share => format!("{}%", trimmed(100.0 * value)),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes, which are whole")]
            Self::Bytes => Size(value as u64).to_string(),
        }
    }
}

fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Milliseconds as a person writes them: `820ms`, `1.4s`.
#[must_use]
pub fn time(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{}ms", trimmed(ms)),
        ms if ms < 1000.0 => format!("{ms:.0}ms"),
        ms if ms < 120_000.0 => format!("{}s", trimmed(ms / 1000.0)),
        ms => format!("{:.1}min", ms / 60_000.0),
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.name, self.sign, self.unit.show(self.bound))
    }
}

impl Threshold {
    /// Whether it is about documents that fail.
    #[must_use]
    pub fn is_of_failures(&self) -> bool {
        matches!(self.measure, Measure::Errors | Measure::Failed)
    }

    /// Whether it was kept. One that is about documents is missed where none came to an end.
    #[must_use]
    pub fn verdict(&self, measured: &Measured) -> Verdict {
        let value = self.value(measured);
        let ok = value.is_some_and(|value| match self.comparison {
            Comparison::Less => value < self.bound,
            Comparison::AtMost => value <= self.bound,
            Comparison::More => value > self.bound,
            Comparison::AtLeast => value >= self.bound,
        });
        let shown = value.map_or_else(|| "nothing".to_owned(), |value| self.unit.show(value));
        Verdict { threshold: self.to_string(), measured: shown, value, ok }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts and bytes are compared, not reckoned with")]
    fn value(&self, measured: &Measured) -> Option<f64> {
        let Measured { document_ms: times, .. } = measured;
        let some = measured.ended > 0;
        match self.measure {
            Measure::P50 => some.then_some(times.p50),
            Measure::P95 => some.then_some(times.p95),
            Measure::P99 => some.then_some(times.p99),
            Measure::Max => some.then_some(times.max),
            Measure::DocumentsPerSecond => some.then_some(measured.documents_per_second),
            Measure::BytesPerSecond => some.then_some(measured.bytes_per_second),
            Measure::Errors => some.then(|| measured.failed as f64 / measured.ended as f64),
            Measure::Failed => some.then_some(measured.failed as f64),
            Measure::Memory => Some(measured.memory as f64),
            Measure::Cpu => Some(measured.cpu),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::ServiceTimes;

    fn read(text: &str) -> Result<Threshold, String> {
        text.parse()
    }

    fn measured() -> Measured {
        Measured {
            document_ms: ServiceTimes { p50: 100.0, p95: 800.0, p99: 1500.0, max: 2500.0 },
            documents_per_second: 50.0,
            bytes_per_second: 2e6,
            failed: 2,
            ended: 200,
            memory: 512 << 20,
            cpu: 1.5,
        }
    }

    #[test]
    fn every_example_is_a_threshold_and_is_written_as_it_was_read() {
        for (name, _, _, example) in MEASURES {
            let threshold = read(example).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(threshold.to_string(), example);
        }
        assert_eq!(read(" p95 <=  1.5s "), read("p95<=1500ms"));
        assert_eq!(read("errors<1%"), read("errors < 0.01"));
    }

    #[test]
    fn a_bound_is_kept_or_missed() {
        let ok = |text: &str| read(text).expect("a threshold").verdict(&measured()).ok;
        assert!(!ok("p95<800ms") && ok("p95<=800ms") && ok("p50 < 1s") && !ok("max<2s") && ok("p99<2s"));
        assert!(ok("errors<=1%") && !ok("errors<1%") && ok("failed<3") && !ok("failed<2"));
        assert!(ok("documents_per_second>=50") && !ok("documents_per_second>50") && ok("bytes_per_second>1MiB"));
        assert!(ok("memory<1GiB") && !ok("memory<100MB") && ok("cpu<2") && !ok("cpu<1"));
        let verdict = read("p95<700ms").expect("a threshold").verdict(&measured());
        assert_eq!((verdict.threshold.as_str(), verdict.measured.as_str()), ("p95<700ms", "800ms"));
    }

    #[test]
    fn where_nothing_came_to_an_end_no_threshold_about_documents_is_kept() {
        let nothing = Measured::default();
        for (.., example) in MEASURES.iter().filter(|(name, ..)| !["memory", "cpu"].contains(name)) {
            assert!(!read(example).expect("a threshold").verdict(&nothing).ok, "{example}");
        }
    }

    #[test]
    fn what_is_no_threshold_is_refused_with_those_there_are() {
        assert!(
            read("p90<1s").is_err_and(|error| error.contains("`p90` is not measured") && error.contains("p95<800ms"))
        );
        assert!(read("p95").is_err_and(|error| error.contains("no `<`")));
        assert!(read("p95<800").is_err_and(|error| error.contains("no time with a unit")));
        assert!(read("errors<200%").is_err() && read("memory<lots").is_err() && read("failed<-1").is_err());
        assert!(read("p95=800ms").is_err());
    }
}
