//! What a cell says, as a person would read it: numbers without the digits that binary fractions add, dates as ISO dates.
//! Number formats (currencies, percentages, decimals) are not applied: calamine tells dates apart and nothing else.

use std::fmt::Write;

use calamine::{DataType, ExcelDateTime};

/// Appends a cell's value; nothing for an empty cell.
pub(super) fn push(out: &mut String, value: &impl DataType) {
    if let Some(text) = value.get_string() {
        out.push_str(text);
    } else if let Some(number) = value.get_float() {
        push_number(out, number);
    } else if let Some(date) = value.get_datetime() {
        push_date(out, date);
    } else if let Some(iso) = value.get_datetime_iso().or_else(|| value.get_duration_iso()) {
        out.push_str(iso.strip_suffix("T00:00:00").unwrap_or(iso));
    } else {
        let written = if let Some(number) = value.get_int() {
            write!(out, "{number}")
        } else if let Some(truth) = value.get_bool() {
            write!(out, "{}", if truth { "TRUE" } else { "FALSE" })
        } else if let Some(error) = value.get_error() {
            write!(out, "{error}")
        } else {
            Ok(())
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
}

/// Spreadsheets show 15 digits: `0.1 + 0.2` is `0.3`.
fn push_number(out: &mut String, number: f64) {
    let size = number.abs();
    let written = if number.fract() == 0.0 && size < 1e15 {
        write!(out, "{number:.0}")
    } else if !number.is_finite() || (size != 0.0 && !(1e-9..1e21).contains(&size)) {
        write!(out, "{number:e}")
    } else {
        let rounded = format!("{number:.14e}").parse::<f64>().unwrap_or(number);
        write!(out, "{rounded}")
    };
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

fn push_date(out: &mut String, date: ExcelDateTime) {
    let days = date.as_f64();
    let written = if date.is_duration() {
        let seconds = (days * 86_400.0).round();
        let (sign, seconds) = if seconds < 0.0 { ("-", -seconds) } else { ("", seconds) };
        let (hours, rest) = ((seconds / 3600.0).floor(), seconds % 3600.0);
        write!(out, "{sign}{hours}:{:02}:{:02}", (rest / 60.0).floor(), rest % 60.0)
    } else if !(0.0..2_958_466.0).contains(&days) {
        // No date: years end at 9999.
        return push_number(out, days);
    } else {
        let (year, month, day, hour, minute, second, _) = date.to_ymd_hms_milli();
        let timed = days.fract() != 0.0;
        let whole = days >= 1.0;
        if whole && timed {
            write!(out, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
        } else if whole {
            write!(out, "{year:04}-{month:02}-{day:02}")
        } else {
            write!(out, "{hour:02}:{minute:02}:{second:02}")
        }
    };
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

#[cfg(test)]
mod tests {
    use calamine::{CellErrorType, Data, ExcelDateTimeType};

    use super::*;

    fn text(value: &Data) -> String {
        let mut out = String::new();
        push(&mut out, value);
        out
    }

    #[test]
    fn numbers_are_as_a_person_reads_them() {
        let sum = 0.1 + 0.2;
        for (number, expected) in
            [(12.0, "12"), (-0.5, "-0.5"), (sum, "0.3"), (1e300, "1e300"), (1_234_567.891, "1234567.891"), (0.0, "0")]
        {
            assert_eq!(text(&Data::Float(number)), expected);
        }
        assert_eq!(text(&Data::Bool(true)), "TRUE");
        assert_eq!(text(&Data::Error(CellErrorType::Div0)), "#DIV/0!");
        assert_eq!(text(&Data::Empty), "");
    }

    #[test]
    fn dates_are_iso() {
        let date = |value, kind| text(&Data::DateTime(ExcelDateTime::new(value, kind, false)));
        assert_eq!(date(45_943.0, ExcelDateTimeType::DateTime), "2025-10-13");
        assert_eq!(date(45_943.5, ExcelDateTimeType::DateTime), "2025-10-13 12:00:00");
        assert_eq!(date(0.75, ExcelDateTimeType::DateTime), "18:00:00");
        assert_eq!(date(1.5, ExcelDateTimeType::TimeDelta), "36:00:00");
        assert_eq!(date(1e12, ExcelDateTimeType::DateTime), "1000000000000");
        assert_eq!(text(&Data::DateTimeIso("2025-10-13T00:00:00".into())), "2025-10-13");
    }
}
