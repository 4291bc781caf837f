//! CSV and TSV: a small table becomes a Markdown table, a large one a list of `header: value` records, so that every
//! chunk of it says what its values are. What is no table stays plain text.

use std::fmt::Write;

use ::csv::{ReaderBuilder, StringRecord};
use docmill_api::{StepContext, TextKind};

use crate::plain::{decoded, with_encoding, without_structure};
use crate::reader::{Input, Parsed, ReadError, Reader};

/// Reads CSV.
#[derive(Debug)]
pub(crate) struct CsvReader {
    /// What separates cells; guessed from the first lines where it is not known.
    pub(crate) delimiter: Option<u8>,
}

/// The largest table that is written as one: it fits a chunk or two, so that its header is near its rows.
const TABLE_ROWS: usize = 50;
const TABLE_COLUMNS: usize = 20;

/// A header's longest name: it is repeated in every record.
const NAME_CHARACTERS: usize = 80;

/// How much larger than the file its records may be: a file of single letters under long headers would fill the memory.
const GROWTH: usize = 4;

/// More columns than any table has that a person reads; each cell costs its place beside its bytes.
const MAX_COLUMNS: usize = 2000;

/// How much of the text shows what separates its cells.
const SAMPLE: usize = 64 << 10;

impl Reader for CsvReader {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        let text = decoded(input)?;
        let delimiter = self.delimiter.unwrap_or_else(|| guess_delimiter(&text.text));
        let Some((table, kind)) = convert(&text.text, delimiter, cx)? else {
            return Ok(without_structure("csv", &text));
        };
        Ok(with_encoding(Parsed::new("csv", kind, table), text.encoding))
    }
}

/// The table as text, or `None` where it is none: one column, unreadable, or growing without measure.
fn convert(text: &str, delimiter: u8, cx: &StepContext) -> Result<Option<(String, TextKind)>, ReadError> {
    let separators = memchr::memchr_iter(delimiter, text.as_bytes()).count();
    if separators / (memchr::memchr_iter(b'\n', text.as_bytes()).count() + 1) > MAX_COLUMNS {
        return Ok(None);
    }
    let Ok(head) = rows(text, delimiter).take(TABLE_ROWS + 1).collect::<Result<Vec<_>, _>>() else { return Ok(None) };
    let columns = head.iter().map(StringRecord::len).max().unwrap_or(0);
    if !(2..=MAX_COLUMNS).contains(&columns) {
        return Ok(None);
    }
    let named = is_header(&head[0]);
    let names = names(&head[0], columns, named);
    if head.len() <= TABLE_ROWS && columns <= TABLE_COLUMNS {
        let body = if named { &head[1..] } else { &head[..] };
        return Ok(Some((markdown_table(&names, body), TextKind::Markdown)));
    }
    let limit = text.len() * GROWTH + (64 << 10);
    let mut out = String::with_capacity(text.len() * 2);
    for (index, row) in rows(text, delimiter).skip(usize::from(named)).enumerate() {
        let Ok(row) = row else { return Ok(None) };
        write_record(&mut out, &names, &row);
        if out.len() > limit {
            return Ok(None);
        }
        if index % 4096 == 0 && cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
    }
    Ok(Some((out, TextKind::Plain)))
}

fn rows(text: &str, delimiter: u8) -> impl Iterator<Item = Result<StringRecord, ::csv::Error>> + '_ {
    let reader =
        ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(text.as_bytes());
    reader.into_records().filter(|row| !matches!(row, Ok(row) if row.iter().all(|cell| cell.trim().is_empty())))
}

/// The separator that cuts the first lines into the most cells, all lines alike.
fn guess_delimiter(text: &str) -> u8 {
    let text = &text[..text.floor_char_boundary(SAMPLE)];
    let score = |delimiter: u8| {
        let counts: Vec<usize> = rows(text, delimiter).take(20).flatten().map(|row| row.len()).collect();
        let first = counts.first().copied().unwrap_or(0);
        if first < 2 {
            0
        } else {
            counts.iter().filter(|count| **count == first).count() * 100 / counts.len() + first.min(9)
        }
    };
    // The last of equal maxima wins, so the usual one stands last.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(|delimiter| score(*delimiter)).unwrap_or(b',')
}

/// A first row names the columns unless it holds a number: years and totals are data.
fn is_header(row: &StringRecord) -> bool {
    row.iter().all(|cell| cell.trim().parse::<f64>().is_err()) && row.iter().any(|cell| !cell.trim().is_empty())
}

fn names(row: &StringRecord, columns: usize, named: bool) -> Vec<String> {
    let name = |index: usize| {
        let cell = row.get(index).filter(|_| named).map(one_line).unwrap_or_default();
        if cell.is_empty() { format!("column {}", index + 1) } else { cell.chars().take(NAME_CHARACTERS).collect() }
    };
    (0..columns).map(name).collect()
}

fn one_line(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn markdown_table(names: &[String], rows: &[StringRecord]) -> String {
    let mut out = String::new();
    write_row(&mut out, names.iter().map(String::as_str));
    write_row(&mut out, names.iter().map(|_| "---"));
    for row in rows {
        write_row(&mut out, (0..names.len()).map(|index| row.get(index).unwrap_or_default()));
    }
    out
}

fn write_row<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    out.push('|');
    for cell in cells {
        out.push(' ');
        out.push_str(&one_line(cell).replace('|', "\\|"));
        out.push_str(" |");
    }
    out.push('\n');
}

fn write_record(out: &mut String, names: &[String], row: &StringRecord) {
    for (index, cell) in row.iter().enumerate() {
        let cell = cell.trim();
        if cell.is_empty() {
            continue;
        }
        // A row beyond the 51st may be wider than those that the names were counted from.
        let written = match names.get(index) {
            Some(name) => writeln!(out, "{name}: {cell}"),
            None => writeln!(out, "column {}: {cell}", index + 1),
        };
        debug_assert!(written.is_ok(), "writing to a string does not fail");
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Option<(String, TextKind)> {
        convert(text, guess_delimiter(text), &StepContext::detached()).expect("in time")
    }

    #[test]
    fn a_small_table_is_markdown_whatever_separates_its_cells() {
        for separator in [',', ';', '\t', '|'] {
            let text = "name,colour\nquorvex,\"a b\"\nzant,red\n".replace(',', &separator.to_string());
            let (out, kind) = table(&text).expect("a table");
            assert_eq!(out, "| name | colour |\n| --- | --- |\n| quorvex | a b |\n| zant | red |\n");
            assert_eq!(kind, TextKind::Markdown);
        }
        let (out, _) = table("2019,2020\n1,a|b\n").expect("a table");
        assert_eq!(out, "| column 1 | column 2 |\n| --- | --- |\n| 2019 | 2020 |\n| 1 | a\\|b |\n");
    }

    #[test]
    fn a_large_table_repeats_its_headers() {
        let mut text = String::from("id,name\n");
        (0..200).for_each(|n| writeln!(text, "{n},quorvex {n}").expect("written"));
        let (out, kind) = table(&text).expect("a table");
        assert!(out.starts_with("id: 0\nname: quorvex 0\n\nid: 1\n"), "{}", &out[..60]);
        assert!(out.ends_with("id: 199\nname: quorvex 199\n\n"));
        assert_eq!(kind, TextKind::Plain);
    }

    #[test]
    fn what_is_no_table_or_a_bomb_is_left_alone() {
        assert_eq!(table("one line\nanother\n"), None);
        let header = ["long header name that is repeated"; 40].join(",");
        let bomb = format!("{header}\n{}", format!("{}\n", ["x"; 40].join(",")).repeat(5000));
        assert_eq!(table(&bomb), None, "records would be many times the file");
        assert_eq!(table(&",".repeat(1 << 20)), None, "no table has a million columns");
    }
}
