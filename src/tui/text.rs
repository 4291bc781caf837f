//! Figures as the screen shows them: three digits and a unit, so that columns stay narrow and none is off by a hundredth.

use std::borrow::Cow;

use ratatui::buffer::CellWidth;

/// A number as a float.
#[expect(clippy::cast_precision_loss, reason = "figures that are shown")]
pub(super) fn float(number: u64) -> f64 {
    number as f64
}

/// A count of things in memory as a float.
pub(super) fn size_float(number: usize) -> f64 {
    float(number as u64)
}

/// A share of a number of cells, rounded down.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the cells that there are")]
pub(super) fn cells(share: f64, cells: usize) -> usize {
    if share.is_finite() { (share.clamp(0.0, 1.0) * size_float(cells)) as usize } else { 0 }
}

/// A rate: `0.25`, `9.71`, `73.1`, `731`, `1.92k`, `1.02M`.
pub(super) fn rate(value: f64) -> String {
    if !value.is_finite() || value <= 0.0 {
        return "0".into();
    }
    let (value, unit) = match value {
        value if value < 999.5 => (value, ""),
        value if value < 999_500.0 => (value / 1e3, "k"),
        value if value < 999_500_000.0 => (value / 1e6, "M"),
        value => (value / 1e9, "G"),
    };
    let digits = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.digits$}{unit}")
}

/// Bytes: `12M`, `1.1G`.
pub(super) fn bytes(bytes: u64) -> String {
    byte_rate(float(bytes))
}

/// Bytes, or bytes in a second.
pub(super) fn byte_rate(mut value: f64) -> String {
    let mut units = ["", "K", "M", "G", "T", "P"].into_iter();
    let mut unit = units.next().unwrap_or_default();
    for next in units {
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    let digits = usize::from(value < 9.95 && !unit.is_empty());
    format!("{value:.digits$}{unit}")
}

/// Two sizes with one unit if they have the same: `3.1/8.0G`, `310M/4.0G`; one where the other is not known.
pub(super) fn bytes_of(used: u64, of: u64) -> String {
    if of == 0 {
        return bytes(used);
    }
    let (used, of) = (bytes(used), bytes(of));
    match (used.chars().last(), of.chars().last()) {
        (Some(unit), Some(other)) if unit == other && unit.is_ascii_alphabetic() => {
            format!("{}/{of}", &used[..used.len() - 1])
        }
        _ => format!("{used}/{of}"),
    }
}

/// A time in milliseconds: `0.4ms`, `152ms`, `2.4s`, `3m10s`.
pub(super) fn millis(value: f64) -> String {
    match value {
        value if !value.is_finite() || value <= 0.0 => "0".into(),
        value if value < 9.95 => format!("{value:.1}ms"),
        value if value < 999.5 => format!("{value:.0}ms"),
        value if value < 59_950.0 => format!("{:.1}s", value / 1000.0),
        value => span(value / 1000.0),
    }
}

/// A time in seconds: `12s`, `7m10s`, `2h05m`, `3d04h`.
pub(super) fn span(seconds: f64) -> String {
    let seconds = whole(seconds);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A moment of the run: `04:12`, `1:04:12`.
pub(super) fn clock(seconds: f64) -> String {
    let seconds = whole(seconds);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours == 0 { format!("{minutes:02}:{seconds:02}") } else { format!("{hours}:{minutes:02}:{seconds:02}") }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a clock shows")]
pub(super) fn whole(value: f64) -> u64 {
    if value.is_finite() { value.clamp(0.0, 1e12).round() as u64 } else { 0 }
}

/// A share: `0.22%`, `36.8%`, `100%`.
pub(super) fn percent(share: f64) -> String {
    let value = 100.0 * share;
    match value {
        value if !value.is_finite() || value <= 0.0 => "0%".into(),
        value if value < 0.995 => format!("{value:.2}%"),
        value if value < 99.95 => format!("{value:.1}%"),
        value => format!("{value:.0}%"),
    }
}

/// A share with its sign: `+35%`, `-4%`.
pub(super) fn signed(share: f64) -> String {
    format!("{:+.0}%", 100.0 * share)
}

/// How many columns of a terminal a text takes.
pub(super) fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { usize::from(text.cell_width()) }
}

/// A text that takes so many columns at most; what is cut off is told by `dots`.
pub(super) fn fit<'a>(text: &'a str, width: usize, dots: &str) -> Cow<'a, str> {
    if columns(text) <= width {
        return text.into();
    }
    let room = width.saturating_sub(columns(dots));
    let kept = head(text, room);
    if columns(dots) > width { head(text, width).into() } else { format!("{kept}{dots}").into() }
}

/// The longest beginning of a text that takes so many columns.
fn head(text: &str, width: usize) -> &str {
    let mut used = 0;
    let mut buffer = [0; 4];
    for (at, letter) in text.char_indices() {
        used += columns(letter.encode_utf8(&mut buffer));
        if used > width {
            return &text[..at];
        }
    }
    text
}

/// A text in lines of so many columns, broken between words where that can be.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    if width == 0 {
        return lines;
    }
    for word in text.split_whitespace() {
        let mut word = word;
        if !line.is_empty() && columns(&line) + 1 + columns(word) > width {
            lines.push(std::mem::take(&mut line));
        }
        while columns(word) > width {
            let kept = head(word, width);
            // A letter that is wider than the line would never fit.
            if kept.is_empty() {
                return lines;
            }
            lines.push(kept.to_owned());
            word = &word[kept.len()..];
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_never_off_by_a_hundredth() {
        for step in 1..2000_u32 {
            let value = f64::from(step).powi(2) * 0.37;
            let shown = rate(value);
            let (digits, unit) = shown.split_at(shown.trim_end_matches(char::is_alphabetic).len());
            let factor = match unit {
                "k" => 1e3,
                "M" => 1e6,
                _ => 1.0,
            };
            let read = digits.parse::<f64>().expect("a number") * factor;
            assert!((read - value).abs() <= value * 0.01, "{value} is shown as {shown}");
            assert!(shown.len() <= 5, "{shown}");
        }
        assert_eq!((rate(73.1), rate(1920.0), rate(10_000.0)), ("73.1".into(), "1.92k".into(), "10.0k".into()));
    }

    #[test]
    fn sizes_and_times_are_short() {
        assert_eq!((bytes(310 << 20), bytes(1_181_116_006), bytes(12)), ("310M".into(), "1.1G".into(), "12".into()));
        assert_eq!(bytes_of(3_328_599_654, 8 << 30), "3.1/8.0G");
        assert_eq!((millis(0.41), millis(152.3), millis(2400.0)), ("0.4ms".into(), "152ms".into(), "2.4s".into()));
        assert_eq!((span(430.0), span(7500.0), clock(252.0)), ("7m10s".into(), "2h05m".into(), "04:12".into()));
        assert_eq!((percent(0.0022), percent(0.368), percent(1.0)), ("0.22%".into(), "36.8%".into(), "100%".into()));
    }

    #[test]
    fn texts_are_cut_between_letters_of_any_width() {
        assert_eq!(fit("summarize", 6, "…"), "summa…");
        assert_eq!(fit("日本語の文書", 6, "…"), "日本…");
        assert_eq!(wrap("parse limits the run", 8), ["parse", "limits", "the run"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcd", "efgh", "ij k"]);
        assert!(wrap("日", 1).is_empty());
    }
}
