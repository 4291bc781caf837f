//! What stands on a slide, a notes page or in a sheet's drawing: text, tables, pictures with a description, diagrams and
//! charts, in drawing order, those within groups as well. One pass over the part's XML; elements are told by their names
//! without prefix, since slides and sheets have the same ones under different prefixes.

use docmill_api::StepContext;

use crate::office::grid::Grid;
use crate::office::xml::{Token, Xml, attribute};
use crate::reader::ReadError;

/// One thing on a slide.
#[derive(Debug)]
pub(super) enum Shape {
    /// Paragraphs, a line each, and which placeholder they fill.
    Text {
        placeholder: Option<String>,
        paragraphs: String,
    },
    Table(Grid),
    /// A picture's description.
    Picture(String),
    /// The relation to a diagram's data.
    Diagram(String),
    /// The relation to a chart.
    Chart(String),
}

impl Shape {
    pub(super) fn is_title(&self) -> bool {
        matches!(self, Self::Text { placeholder: Some(kind), .. } if matches!(kind.as_str(), "title" | "ctrTitle"))
    }

    /// Whether it is what programs put on every page of notes.
    pub(super) fn is_page_furniture(&self) -> bool {
        matches!(self, Self::Text { placeholder: Some(kind), .. } if matches!(kind.as_str(), "sldImg" | "dt" | "hdr" | "ftr"))
    }

    /// Its paragraphs, where it has some.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text { paragraphs, .. } => paragraphs.clone(),
            _ => String::new(),
        }
    }
}

/// All shapes of a part.
pub(super) fn read(part: &str, cx: &StepContext) -> Result<Vec<Shape>, ReadError> {
    let mut pass = Pass::default();
    let mut xml = Xml::new(part, cx);
    loop {
        match xml.next()? {
            Token::Open(element) => match element.local_name().as_ref() {
                // The other form of what was just read, for programs that do not know the first.
                "Fallback" => xml.skip()?,
                "cNvPr" => pass.description = attribute(&element, "descr").map(|text| text.into_owned()),
                "ph" => pass.placeholder = Some(attribute(&element, "type").map_or("obj".into(), |kind| kind.into())),
                "pPr" => pass.begin_properties(&attribute(&element, "lvl").unwrap_or_default()),
                "buNone" => pass.bullet = Some(false),
                "buChar" | "buAutoNum" => pass.bullet = Some(true),
                "tbl" => pass.table = Some((Grid::default(), 0, 0)),
                "relIds" => pass.refer(attribute(&element, "dm").map(|id| Shape::Diagram(id.into_owned()))),
                "chart" => pass.refer(attribute(&element, "r:id").map(|id| Shape::Chart(id.into_owned()))),
                "br" => pass.paragraph.push(' '),
                "t" => pass.paragraph.push_str(&xml.text()?),
                "tab" => pass.paragraph.push('\t'),
                _ => {}
            },
            Token::Close(element) => pass.close(element.local_name().as_ref())?,
            Token::Text(_) => {}
            Token::End => break,
        }
    }
    if xml.damaged && pass.shapes.is_empty() {
        return Err(ReadError::Broken("its XML is damaged".to_owned()));
    }
    Ok(pass.shapes)
}

#[derive(Default)]
struct Pass {
    shapes: Vec<Shape>,
    description: Option<String>,
    placeholder: Option<String>,
    /// The paragraph that is being read.
    paragraph: String,
    level: usize,
    /// Whether the paragraph says itself that it is an item of a list.
    bullet: Option<bool>,
    /// The paragraphs of the shape or cell that is being read.
    body: String,
    /// A table with the next row and column.
    table: Option<(Grid, u32, u32)>,
}

impl Pass {
    fn begin_properties(&mut self, level: &str) {
        // Office knows nine levels.
        self.level = level.parse::<usize>().unwrap_or(0).min(8);
    }

    fn refer(&mut self, shape: Option<Shape>) {
        self.shapes.extend(shape);
    }

    fn close(&mut self, name: &str) -> Result<(), ReadError> {
        match name {
            "p" => self.end_paragraph(),
            "tc" => {
                let cell = std::mem::take(&mut self.body);
                if let Some((grid, row, column)) = &mut self.table {
                    grid.push(*row, *column, &cell)?;
                    *column += 1;
                }
            }
            "tr" => {
                if let Some((_, row, column)) = &mut self.table {
                    (*row, *column) = (*row + 1, 0);
                }
            }
            "tbl" => {
                let grid = self.table.take().map(|(grid, ..)| grid).filter(|grid| !grid.is_empty());
                self.shapes.extend(grid.map(Shape::Table));
            }
            "sp" | "cxnSp" => {
                let paragraphs = std::mem::take(&mut self.body);
                let placeholder = self.placeholder.take();
                let described = self.description.take();
                // The number of a slide is no text of it.
                if placeholder.as_deref() == Some("sldNum") {
                } else if !paragraphs.trim().is_empty() {
                    self.shapes.push(Shape::Text { placeholder, paragraphs });
                } else {
                    self.describe(described);
                }
            }
            "pic" | "graphicFrame" => {
                self.placeholder = None;
                let described = self.description.take();
                self.describe(described);
            }
            _ => {}
        }
        Ok(())
    }

    fn describe(&mut self, description: Option<String>) {
        self.shapes.extend(description.filter(|text| !text.trim().is_empty()).map(Shape::Picture));
    }

    fn end_paragraph(&mut self) {
        let text = std::mem::take(&mut self.paragraph);
        let (level, bullet) = (std::mem::take(&mut self.level), self.bullet.take());
        if text.trim().is_empty() {
            return;
        }
        let item = self.table.is_none() && bullet.unwrap_or_else(|| self.is_list());
        if !self.body.is_empty() {
            self.body.push('\n');
        }
        if item {
            (0..level).for_each(|_| self.body.push_str("  "));
            self.body.push_str("- ");
        }
        self.body.push_str(text.trim());
    }

    /// Placeholders for content are lists unless they say otherwise.
    fn is_list(&self) -> bool {
        matches!(self.placeholder.as_deref(), Some("body" | "obj"))
    }
}
