//! A table of an OpenDocument file, cell by cell. Cells and rows say how often they are repeated, and a file may claim a
//! million rows: what is empty only moves the place of what follows, what is not is written a bounded number of times.

use quick_xml::events::BytesStart;

use crate::office::grid::Grid;
use crate::office::out::check_length;
use crate::office::xml::attribute;
use crate::reader::ReadError;

/// How often a cell or a row that says it is repeated is written: repeated text says nothing new.
const MAX_REPEATS: u32 = 100;

/// A table under way.
#[derive(Default)]
pub(super) struct Table {
    pub(super) grid: Grid,
    /// What it is called: a sheet's name.
    pub(super) name: String,
    row: u32,
    column: u32,
    row_repeats: u32,
    column_repeats: u32,
    /// What the row holds, until it ends.
    cells: Vec<(u32, String)>,
    row_bytes: usize,
    value: Option<Value>,
}

/// What a cell's attributes say beside the text that it shows.
enum Value {
    /// Written whatever is shown: dates, which are shown in the order of the author's country.
    Instead(String),
    /// Written where nothing is shown.
    Otherwise(String),
}

impl Table {
    pub(super) fn named(name: String) -> Self {
        Self { name, ..Self::default() }
    }

    pub(super) fn begin_row(&mut self, element: &BytesStart<'_>) {
        self.row_repeats = repeats(element, "table:number-rows-repeated");
        (self.column, self.row_bytes) = (0, 0);
    }

    pub(super) fn begin_cell(&mut self, element: &BytesStart<'_>) {
        self.column_repeats = repeats(element, "table:number-columns-repeated");
        let kind = attribute(element, "office:value-type").unwrap_or_default();
        let value = |name| attribute(element, name).map(|value| value.into_owned());
        self.value = match &*kind {
            "date" => {
                let date = value("office:date-value").map(|date| date.trim_end_matches("T00:00:00").replace('T', " "));
                date.map(Value::Instead)
            }
            "float" | "percentage" | "currency" => value("office:value").map(Value::Otherwise),
            "boolean" => value("office:boolean-value").map(Value::Otherwise),
            "string" => value("office:string-value").map(Value::Otherwise),
            _ => None,
        };
    }

    /// Takes the text that the cell shows.
    pub(super) fn end_cell(&mut self, shown: String) -> Result<(), ReadError> {
        let text = match self.value.take() {
            Some(Value::Instead(value)) => value,
            Some(Value::Otherwise(value)) if shown.trim().is_empty() => value,
            _ => shown,
        };
        if !text.trim().is_empty() {
            let times = self.column_repeats.min(MAX_REPEATS);
            self.row_bytes += text.len() * times as usize;
            check_length(self.row_bytes)?;
            self.cells.extend((0..times).map(|n| (self.column.saturating_add(n), text.clone())));
        }
        self.column = self.column.saturating_add(self.column_repeats);
        Ok(())
    }

    pub(super) fn end_row(&mut self) -> Result<(), ReadError> {
        let cells = std::mem::take(&mut self.cells);
        if !cells.is_empty() {
            for n in 0..self.row_repeats.min(MAX_REPEATS) {
                for (column, text) in &cells {
                    self.grid.push(self.row.saturating_add(n), *column, text)?;
                }
            }
        }
        self.row = self.row.saturating_add(self.row_repeats);
        Ok(())
    }
}

/// How often a cell or row stands there, at least once.
fn repeats(element: &BytesStart<'_>, name: &str) -> u32 {
    attribute(element, name).and_then(|count| count.parse().ok()).unwrap_or(1).max(1)
}
