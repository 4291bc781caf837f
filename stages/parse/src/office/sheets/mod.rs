//! Excel workbooks by `calamine`: every sheet a section and a page, its cells a Markdown table, its comments and the text
//! of its drawings below. Cells are streamed (xlsx, xlsb) or their extent is checked before they are held (xls): a sheet
//! of two cells in far corners would otherwise take gigabytes.

mod biff;
mod comments;
mod value;

use std::io::Cursor;

use calamine::{DataType, Reader as _, Xls, XlsError, Xlsb, Xlsx, XlsxError};
use docmill_api::StepContext;

use super::grid::Grid;
use super::out::Out;
use super::parts::Parts;
use super::{Kind, legacy};
use crate::package;
use crate::reader::{Input, Parsed, ReadError, brief, contained};

type Bytes<'a> = Cursor<&'a [u8]>;

/// How many cells are read between two looks at the clock.
const CELLS_BETWEEN_LOOKS: usize = 32_768;

const READER: &str = "calamine";

/// Reads a workbook.
pub(super) fn read(kind: Kind, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
    match kind {
        Kind::Xls => read_xls(input.bytes, cx),
        _ => read_package(kind, input.bytes, cx),
    }
}

fn read_package(kind: Kind, bytes: &[u8], cx: &StepContext) -> Result<Parsed, ReadError> {
    let mut parts = Parts::open(bytes, cx)?;
    package::check_inflated(bytes, ".bin", cx)?;
    let title = parts.title(cx)?;
    let extras = comments::Extras::find(&mut parts, cx)?;
    let mut out = Out::default();
    let lost = match kind {
        Kind::Xlsb => {
            let mut book = Xlsb::new(Cursor::new(bytes)).map_err(|error| broken(&error))?;
            let names = book.sheet_names();
            each_sheet(&names, &mut out, |name, out| {
                let grid = xlsb_cells(&mut book, name, cx);
                let beside = extras.beside(name, &mut parts, cx)?;
                write_sheet(out, name, grid, &beside, cx)
            })?
        }
        _ => {
            let mut book: Xlsx<Bytes<'_>> = Xlsx::new(Cursor::new(bytes)).map_err(|error| match error {
                XlsxError::Password => ReadError::Encrypted("a workbook that needs a password".to_owned()),
                error => broken(&error),
            })?;
            let names = book.sheet_names();
            each_sheet(&names, &mut out, |name, out| {
                let grid = xlsx_cells(&mut book, name, cx);
                let beside = extras.beside(name, &mut parts, cx)?;
                write_sheet(out, name, grid, &beside, cx)
            })?
        }
    };
    finish(out, title, lost)
}

/// Reads one sheet after another. One that is broken does not cost the others; what stops the document does.
fn each_sheet(
    names: &[String],
    out: &mut Out,
    mut read: impl FnMut(&str, &mut Out) -> Result<(), ReadError>,
) -> Result<Vec<String>, ReadError> {
    let mut lost = Vec::new();
    for name in names {
        match contained(|| read(name, out)) {
            Err(ReadError::Broken(reason)) => lost.push(format!("{name}: {reason}")),
            outcome => outcome?,
        }
    }
    Ok(lost)
}

fn finish(out: Out, title: Option<String>, lost: Vec<String>) -> Result<Parsed, ReadError> {
    if out.is_empty() {
        return Err(match lost.into_iter().next() {
            Some(first) => ReadError::Broken(format!("sheet {first}")),
            None => ReadError::Skipped("empty workbook".to_owned()),
        });
    }
    let parsed = out.finish(READER, title);
    Ok(if lost.is_empty() { parsed } else { parsed.note("lost_sheets", lost) })
}

/// The sheet under its name, with what stands beside its cells. One that holds nothing has a page and no heading.
fn write_sheet(
    out: &mut Out,
    name: &str,
    grid: Result<Grid, ReadError>,
    beside: &str,
    cx: &StepContext,
) -> Result<(), ReadError> {
    out.begin_page();
    let (grid, broken) = match grid {
        Err(error @ ReadError::Broken(_)) => (Grid::default(), Err(error)),
        grid => (grid?, Ok(())),
    };
    if !grid.is_empty() || !beside.is_empty() {
        out.heading(2, name)?;
        out.block(&grid.render(cx)?)?;
        out.block(beside)?;
    }
    broken
}

/// Adds cells to a grid, and looks at the clock now and then.
struct Filling<'a> {
    grid: Grid,
    seen: usize,
    text: String,
    cx: &'a StepContext,
}

impl<'a> Filling<'a> {
    fn new(cx: &'a StepContext) -> Self {
        Self { grid: Grid::default(), seen: 0, text: String::new(), cx }
    }

    fn add(&mut self, (row, column): (u32, u32), value: &impl DataType) -> Result<(), ReadError> {
        self.seen += 1;
        if self.seen.is_multiple_of(CELLS_BETWEEN_LOOKS) && self.cx.is_over() {
            return Err(ReadError::OutOfTime);
        }
        if let Some(text) = value.get_string() {
            return self.grid.push(row, column, text);
        }
        self.text.clear();
        value::push(&mut self.text, value);
        self.grid.push(row, column, &self.text)
    }
}

fn xlsx_cells(book: &mut Xlsx<Bytes<'_>>, name: &str, cx: &StepContext) -> Result<Grid, ReadError> {
    let mut cells = match book.worksheet_cells_reader(name) {
        Ok(cells) => cells,
        // A sheet that is a chart has no cells.
        Err(XlsxError::NotAWorksheet(_)) => return Ok(Grid::default()),
        Err(error) => return Err(broken(&error)),
    };
    let mut filling = Filling::new(cx);
    while let Some(cell) = cells.next_cell().map_err(|error| broken(&error))? {
        filling.add(cell.get_position(), cell.get_value())?;
    }
    Ok(filling.grid)
}

fn xlsb_cells(book: &mut Xlsb<Bytes<'_>>, name: &str, cx: &StepContext) -> Result<Grid, ReadError> {
    let mut cells = book.worksheet_cells_reader(name).map_err(|error| broken(&error))?;
    let mut filling = Filling::new(cx);
    while let Some(cell) = cells.next_cell().map_err(|error| broken(&error))? {
        filling.add(cell.get_position(), cell.get_value())?;
    }
    Ok(filling.grid)
}

fn read_xls(bytes: &[u8], cx: &StepContext) -> Result<Parsed, ReadError> {
    let mut container = legacy::container(bytes)?;
    biff::check(&mut container)?;
    let mut book: Xls<Bytes<'_>> = Xls::new(Cursor::new(bytes)).map_err(|error| match error {
        XlsError::Password => ReadError::Encrypted("a workbook that needs a password".to_owned()),
        error => broken(&error),
    })?;
    if cx.is_over() {
        return Err(ReadError::OutOfTime);
    }
    let title = book.workbook_properties().ok().and_then(|properties| properties.title);
    let mut out = Out::default();
    let names = book.sheet_names();
    let lost = each_sheet(&names, &mut out, |name, out| {
        let range = book.worksheet_range(name).map_err(|error| broken(&error))?;
        let (top, left) = range.start().unwrap_or_default();
        let mut filling = Filling::new(cx);
        for (row, column, value) in range.used_cells() {
            let place = |offset: usize, from: u32| from.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
            filling.add((place(row, top), place(column, left)), value)?;
        }
        write_sheet(out, name, Ok(filling.grid), "", cx)
    })?;
    finish(out, title.as_deref().and_then(crate::text::title), lost)
}

fn broken(error: &impl std::fmt::Display) -> ReadError {
    ReadError::Broken(format!("spreadsheet: {}", brief(&error.to_string())))
}
