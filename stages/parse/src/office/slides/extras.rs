//! What belongs to a slide and stands in parts of its own: comments and who wrote them, the text of diagrams (SmartArt),
//! charts as tables. A part that cannot be read is passed over: the slide is there.

use std::collections::BTreeMap;

use docmill_api::StepContext;

use crate::office::grid::Grid;
use crate::office::out::{Out, one_line};
use crate::office::parts::{Parts, Relation};
use crate::office::xml::{Token, Xml, attribute};
use crate::reader::ReadError;

/// Names of those who comment, by their numbers.
pub(super) type Authors = BTreeMap<String, String>;

/// Reads who comments in a presentation.
pub(super) fn authors(relations: &[Relation], parts: &mut Parts<'_>, cx: &StepContext) -> Result<Authors, ReadError> {
    let mut authors = Authors::new();
    for relation in relations.iter().filter(|relation| matches!(relation.kind.as_str(), "commentAuthors" | "authors")) {
        let Ok(Some(text)) = parts.text(&relation.target) else { continue };
        let mut xml = Xml::new(&text, cx);
        loop {
            match xml.next()? {
                Token::Open(element) if matches!(element.local_name().as_ref(), "cmAuthor" | "author") => {
                    let value = |name| attribute(&element, name).unwrap_or_default().into_owned();
                    authors.insert(value("id"), one_line(&value("name")));
                }
                Token::End => break,
                _ => {}
            }
        }
    }
    Ok(authors)
}

/// Comments and the replies to them, in the form of before 2019 and in today's.
pub(super) fn write_comments(
    part: &str,
    authors: &Authors,
    parts: &mut Parts<'_>,
    out: &mut Out,
    cx: &StepContext,
) -> Result<(), ReadError> {
    let Ok(Some(text)) = parts.text(part) else { return Ok(()) };
    let mut xml = Xml::new(&text, cx);
    // Replies stand within what they reply to.
    let (mut speakers, mut said): (Vec<&str>, String) = (Vec::new(), String::new());
    loop {
        match xml.next()? {
            Token::Open(element) => match element.local_name().as_ref() {
                "cm" | "reply" => {
                    let id = attribute(&element, "authorId").unwrap_or_default();
                    speakers.push(authors.get(id.as_ref()).map_or("", String::as_str));
                }
                "text" | "t" => said.push_str(&xml.text()?),
                _ => {}
            },
            Token::Close(element) => match element.local_name().as_ref() {
                "p" => said.push(' '),
                "txBody" => write_comment(speakers.last(), &mut said, out)?,
                "cm" | "reply" => write_comment(speakers.pop().as_ref(), &mut said, out)?,
                _ => {}
            },
            Token::Text(_) => {}
            Token::End => return write_comment(None, &mut said, out),
        }
    }
}

fn write_comment(author: Option<&&str>, said: &mut String, out: &mut Out) -> Result<(), ReadError> {
    let words = one_line(&std::mem::take(said));
    if words.is_empty() {
        return Ok(());
    }
    match author {
        Some(author) if !author.is_empty() => out.block(&format!("Comment ({author}): {words}")),
        _ => out.block(&format!("Comment: {words}")),
    }
}

/// A diagram's texts as a list, in the order of its data.
pub(super) fn write_diagram(
    part: &str,
    parts: &mut Parts<'_>,
    out: &mut Out,
    cx: &StepContext,
) -> Result<(), ReadError> {
    let Ok(Some(text)) = parts.text(part) else { return Ok(()) };
    let mut xml = Xml::new(&text, cx);
    let (mut point, mut list) = (String::new(), String::new());
    loop {
        match xml.next()? {
            // The diagram's own `t` holds the paragraphs.
            Token::Open(element) if element.name().as_ref() == "a:t" => point.push_str(&xml.text()?),
            Token::Close(element) if element.local_name().as_ref() == "p" => point.push(' '),
            Token::Close(element) if element.local_name().as_ref() == "pt" => {
                let words = one_line(&std::mem::take(&mut point));
                if !words.is_empty() {
                    list.push_str("- ");
                    list.push_str(&words);
                    list.push('\n');
                }
            }
            Token::End => return out.block(&list),
            _ => {}
        }
    }
}

/// A chart: its titles, then a row for each category and a column for each series.
pub(super) fn write_chart(part: &str, parts: &mut Parts<'_>, out: &mut Out, cx: &StepContext) -> Result<(), ReadError> {
    let Ok(Some(text)) = parts.text(part) else { return Ok(()) };
    let mut xml = Xml::new(&text, cx);
    let (mut titles, mut grid) = (Vec::new(), Grid::default());
    let (mut series, mut in_series, mut place, mut point) = (0_u32, false, Place::Nowhere, 0_u32);
    loop {
        match xml.next()? {
            Token::Open(element) => match element.local_name().as_ref() {
                "ser" => (series, in_series) = (series + 1, true),
                "tx" if in_series => place = Place::Name,
                "cat" | "xVal" => place = Place::Category,
                "val" | "yVal" => place = Place::Value,
                "bubbleSize" => place = Place::Nowhere,
                "pt" => point = attribute(&element, "idx").and_then(|index| index.parse().ok()).unwrap_or(0),
                "t" => titles.push(xml.text()?),
                "v" => {
                    let value = xml.text()?;
                    let value = value.trim();
                    let rounded = value.parse::<f64>().ok().filter(|_| value.len() > 15);
                    let value = rounded.map_or_else(|| value.to_owned(), |number| format!("{number:.4}"));
                    match place {
                        Place::Name => grid.push(0, series, &value)?,
                        // Series share their categories.
                        Place::Category => grid.push(point.saturating_add(1), 0, &value)?,
                        Place::Value => grid.push(point.saturating_add(1), series, &value)?,
                        Place::Nowhere => {}
                    }
                }
                _ => {}
            },
            Token::Close(element) => match element.local_name().as_ref() {
                "tx" | "cat" | "val" | "xVal" | "yVal" => place = Place::Nowhere,
                "title" => titles.push("\n".to_owned()),
                "ser" => in_series = false,
                _ => {}
            },
            Token::Text(_) => {}
            Token::End => break,
        }
    }
    for title in titles.concat().lines() {
        out.block(&one_line(title))?;
    }
    if grid.is_empty() {
        return Ok(());
    }
    out.block(&grid.render(cx)?)
}

/// Where a chart's value belongs.
#[derive(Clone, Copy)]
enum Place {
    Nowhere,
    Name,
    Category,
    Value,
}
