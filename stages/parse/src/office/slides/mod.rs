//! Presentations (pptx): every slide a section and a page, in the order in which they are shown, with what belongs to it:
//! notes, comments, diagrams, charts. Which part is which comes from the package's relations; what stands on a slide is
//! read in `shapes`.

mod extras;
mod shapes;

use std::collections::BTreeSet;

use docmill_api::StepContext;

use super::out::{Out, one_line};
use super::parts::{Parts, Relation};
use super::xml::{Token, Xml, attribute};
use crate::reader::{Input, Parsed, ReadError};
use shapes::Shape;

/// Reads a presentation.
pub(super) fn read(input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
    let mut parts = Parts::open(input.bytes, cx)?;
    let title = parts.title(cx)?;
    let presentation = parts.relations("", cx)?.into_iter().find(|relation| relation.kind == "officeDocument");
    let presentation = presentation.map_or_else(|| "ppt/presentation.xml".to_owned(), |relation| relation.target);
    let relations = parts.relations(&presentation, cx)?;
    let authors = extras::authors(&relations, &mut parts, cx)?;
    let mut out = Out::default();
    let (mut lost, mut first) = (Vec::new(), None);
    for (index, slide) in slides(&presentation, &relations, &mut parts, cx)?.iter().enumerate() {
        let number = index + 1;
        out.begin_page();
        match write_slide(number, slide, &mut parts, &authors, &mut out, cx) {
            Err(ReadError::Broken(why)) => {
                lost.push(number);
                first.get_or_insert(format!("slide {number} cannot be read: {why}"));
            }
            outcome => outcome?,
        }
    }
    match (out.is_empty(), first) {
        (true, Some(why)) => Err(ReadError::Broken(why)),
        (true, None) => Err(ReadError::Skipped("empty presentation".to_owned())),
        (false, first) => {
            let parsed = out.finish("pptx", title);
            Ok(if first.is_none() { parsed } else { parsed.note("lost_slides", lost) })
        }
    }
}

/// The slides' parts in the order in which they are shown; by their numbers where the list of them is lost.
fn slides(
    presentation: &str,
    relations: &[Relation],
    parts: &mut Parts<'_>,
    cx: &StepContext,
) -> Result<Vec<String>, ReadError> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    if let Ok(Some(text)) = parts.text(presentation) {
        let mut xml = Xml::new(&text, cx);
        loop {
            match xml.next()? {
                Token::Open(element) if element.local_name().as_ref() == "sldId" => {
                    let id = attribute(&element, "r:id").unwrap_or_default();
                    let slide = relations.iter().find(|relation| relation.id == id && relation.kind == "slide");
                    // A part is one slide, however often the list names it.
                    found.extend(slide.map(|slide| slide.target.clone()).filter(|name| seen.insert(name.clone())));
                }
                Token::End => break,
                _ => {}
            }
        }
    }
    if found.is_empty() {
        let names = parts.names("ppt/slides/");
        found = names.into_iter().filter(|name| name.ends_with(".xml")).collect();
    }
    Ok(found)
}

fn write_slide(
    number: usize,
    slide: &str,
    parts: &mut Parts<'_>,
    authors: &extras::Authors,
    out: &mut Out,
    cx: &StepContext,
) -> Result<(), ReadError> {
    let text = parts.text(slide)?.ok_or_else(|| ReadError::Broken(format!("no part `{slide}`")))?;
    let shapes = shapes::read(&text, cx)?;
    let relations = parts.relations(slide, cx)?;
    let title = shapes.iter().find(|shape| shape.is_title()).map(|shape| one_line(&shape.text()));
    let mut body = Out::default();
    let mut titled = false;
    for shape in shapes {
        // The first title is the heading; a second one is text.
        if shape.is_title() && !titled {
            titled = true;
            continue;
        }
        write_shape(shape, &relations, parts, &mut body, cx)?;
    }
    for relation in &relations {
        match relation.kind.as_str() {
            "notesSlide" => write_notes(&relation.target, parts, &mut body, cx)?,
            "comments" => extras::write_comments(&relation.target, authors, parts, &mut body, cx)?,
            _ => {}
        }
    }
    match title.filter(|title| !title.is_empty()) {
        Some(title) => out.heading(2, &title)?,
        // A slide without a word has no heading either.
        None if body.is_empty() => {}
        None => out.heading(2, &format!("Slide {number}"))?,
    }
    out.block(&body.into_text())
}

fn write_shape(
    shape: Shape,
    relations: &[Relation],
    parts: &mut Parts<'_>,
    out: &mut Out,
    cx: &StepContext,
) -> Result<(), ReadError> {
    let target = |id: &str| relations.iter().find(|relation| relation.id == id).map(|relation| relation.target.clone());
    match shape {
        Shape::Text { paragraphs, .. } => out.block(&paragraphs),
        Shape::Table(grid) => out.block(&grid.render(cx)?),
        Shape::Picture(description) => out.block(&format!("Image: {}", one_line(&description))),
        Shape::Diagram(id) => target(&id).map_or(Ok(()), |part| extras::write_diagram(&part, parts, out, cx)),
        Shape::Chart(id) => target(&id).map_or(Ok(()), |part| extras::write_chart(&part, parts, out, cx)),
    }
}

/// What a speaker has written under a slide; the slide's picture, number and date on the notes page are not notes.
fn write_notes(part: &str, parts: &mut Parts<'_>, out: &mut Out, cx: &StepContext) -> Result<(), ReadError> {
    let Ok(Some(text)) = parts.text(part) else { return Ok(()) };
    let notes: Vec<Shape> = shapes::read(&text, cx)?.into_iter().filter(|shape| !shape.is_page_furniture()).collect();
    if notes.iter().all(|shape| shape.text().trim().is_empty() && !matches!(shape, Shape::Table(_))) {
        return Ok(());
    }
    out.block("Notes:")?;
    notes.into_iter().try_for_each(|shape| write_shape(shape, &[], parts, out, cx))
}

/// The text of a sheet's drawing: its boxes, diagrams and charts.
pub(super) fn write_drawing(
    part: &str,
    parts: &mut Parts<'_>,
    out: &mut Out,
    cx: &StepContext,
) -> Result<(), ReadError> {
    let Ok(Some(text)) = parts.text(part) else { return Ok(()) };
    let relations = parts.relations(part, cx)?;
    shapes::read(&text, cx)?.into_iter().try_for_each(|shape| write_shape(shape, &relations, parts, out, cx))
}
