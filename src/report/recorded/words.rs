//! Numbers as a person reads them: rates, spans, shares. Sizes and counts are those of the run's report.

use super::super::{count, printable};

/// How long a text of a document's may be in a report, in characters: an address or an error of some kilobytes tells no
/// more than its beginning.
const LONGEST: usize = 400;

/// A count as a number to reckon with.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}

/// A number of things in a list.
#[expect(clippy::cast_precision_loss, reason = "a list of some thousands")]
pub(super) fn number(count: usize) -> f64 {
    count as f64
}

/// A number without the digits that say nothing: what a format holds of a thousandth is noise.
pub(super) fn rounded(number: f64) -> f64 {
    if number.is_finite() { (number * 1000.0).round() / 1000.0 } else { 0.0 }
}

/// A rate with the digits that count, however slow it is.
pub(super) fn rounded_rate(rate: f64) -> f64 {
    if rate.abs() >= 1.0 || !rate.is_finite() { rounded(rate) } else { (rate * 1e6).round() / 1e6 }
}

/// Something per second, with three digits that count.
pub(super) fn rate(rate: f64) -> String {
    match rate {
        rate if rate >= 100.0 => count(whole(rate)),
        rate if rate >= 10.0 => format!("{rate:.1}"),
        rate if rate >= 1.0 => format!("{rate:.2}"),
        rate if rate > 0.0 => format!("{rate:.3}"),
        _ => "0".to_owned(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number that is not below 0, to be shown"
)]
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}

/// A span of time: `12.3 s`, `4 min 12 s`, `1 h 02 min`.
#[must_use]
pub fn span(seconds: f64) -> String {
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let all = whole(seconds);
    if all < 3600 {
        return format!("{} min {:02} s", all / 60, all % 60);
    }
    format!("{} h {:02} min", all / 3600, all % 3600 / 60)
}

/// A moment of a run: `0:07`, `4:12`, `1:02:10`.
pub(super) fn clock(seconds: f64) -> String {
    let all = whole(seconds.max(0.0));
    let (hours, minutes, seconds) = (all / 3600, all % 3600 / 60, all % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A share: `31 %`, `0.2 %` where it is small, and `< 0.1 %` where it is next to nothing.
pub(super) fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent > 0.0 && percent < 0.05 {
        return "< 0.1 %".to_owned();
    }
    if percent == 0.0 || percent.abs() >= 9.95 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// By how much something grew or shrank: `+31 %`, and `×9.7` where it is a multiple.
pub(super) fn signed(share: f64) -> String {
    if share >= 2.0 {
        return format!("×{:.1}", 1.0 + share);
    }
    let words = percent(share.abs());
    match share {
        _ if words == "0 %" || words == "< 0.1 %" => "±0 %".to_owned(),
        share if share < 0.0 => format!("−{words}"),
        _ => format!("+{words}"),
    }
}

/// Milliseconds: `0.21 ms`, `152 ms`, `2.4 s`.
pub(super) fn millis(millis: f64) -> String {
    match millis {
        millis if millis >= 60_000.0 => span(millis / 1000.0),
        millis if millis >= 1000.0 => format!("{:.1} s", millis / 1000.0),
        millis if millis >= 10.0 => format!("{millis:.0} ms"),
        millis if millis >= 1.0 => format!("{millis:.1} ms"),
        millis if millis > 0.0 => format!("{millis:.2} ms"),
        _ => "–".to_owned(),
    }
}

/// `1 document`, `2 documents`.
pub(super) fn documents(number: u64) -> String {
    if number == 1 { "1 document".to_owned() } else { format!("{} documents", count(number)) }
}

/// A name in backticks; it holds none itself, so that it ends where it ends.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", clipped(name).replace('`', "'"))
}

/// A text of a document's on one line, without what a terminal obeys, and cut where it is too long.
pub(super) fn clipped(text: &str) -> String {
    let text = printable(text);
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0.0, 0.25, 7.0, 73.14, 18_402.4].map(rate), ["0", "0.250", "7.00", "73.1", "18,402"]);
        assert_eq!([0.4, 59.97, 252.0, 3725.0].map(span), ["0.4 s", "1 min 00 s", "4 min 12 s", "1 h 02 min"]);
        assert_eq!([7.0, 252.0, 3730.0].map(clock), ["0:07", "4:12", "1:02:10"]);
        assert_eq!([0.0, 0.0001, 0.0022, 0.31, 1.2].map(percent), ["0 %", "< 0.1 %", "0.2 %", "31 %", "120 %"]);
        assert_eq!([0.31, -0.05, 0.0001, 8.65].map(signed), ["+31 %", "−5.0 %", "±0 %", "×9.7"]);
        assert_eq!([0.0, 0.214, 152.3, 2400.0].map(millis), ["–", "0.21 ms", "152 ms", "2.4 s"]);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let cut = clipped(&"ü".repeat(10_000));
        assert_eq!(cut.chars().count(), LONGEST + 1);
        assert_eq!(clipped("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb c");
    }
}
