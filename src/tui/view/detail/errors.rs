//! What went wrong at a stage: by class, then the documents, then one of them.

use super::super::super::layout::Pane;
use super::super::super::model::Model;
use super::super::super::paint::scrolled;
use super::super::super::text::wrap;
use super::{Lines, tail};
use crate::monitor::{Ended, StageSnapshot};
use crate::report::{count, place, printable};

pub(super) fn draw(model: &Model, stage: &StageSnapshot, lines: &mut Lines<'_>) {
    if let Some(document) = &model.document {
        one(document, lines);
        return;
    }
    let theme = lines.theme;
    let classes: Vec<String> = stage.errors.iter().map(|(class, times)| format!("{times} {class}")).collect();
    let mut pen = lines.next();
    let text = format!("failed {}", count(stage.failed));
    pen.put(&text, if stage.failed > 0 { theme.bad } else { theme.text });
    if !classes.is_empty() {
        pen.put(&printable(&format!(" ({})", classes.join(", "))), theme.text);
    }
    pen.put(&format!("  retries {}  timeouts {}", stage.retries, stage.timeouts), theme.text);
    let failures: Vec<&Ended> = model.failures().collect();
    if failures.is_empty() {
        let kept = if stage.failed > 0 {
            "no longer among the last failures that are kept"
        } else {
            "no document failed here"
        };
        lines.next().put(kept, theme.dim);
        return;
    }
    let shown = usize::from(lines.left());
    let chosen = model.failure.min(failures.len() - 1);
    let first = scrolled(chosen, failures.len(), shown);
    let focus = model.pane == Pane::Detail;
    for (at, ended) in failures.iter().enumerate().skip(first).take(shown) {
        let document = printable(&place(&ended.document));
        let selected = focus && at == chosen;
        let style = if selected { theme.text.patch(theme.selected) } else { theme.text };
        let mut pen = lines.next();
        pen.put(if selected { theme.glyphs.select } else { " " }, theme.key).put(" ", theme.text);
        let half = pen.room() / 2;
        pen.left(&tail(&document, half, theme), half, style, theme).put("  ", theme.text);
        let reason = printable(&ended.reason);
        let room = pen.room();
        pen.left(&reason, room, theme.dim, theme);
    }
}

fn one(document: &Ended, lines: &mut Lines<'_>) {
    let theme = lines.theme;
    let width = usize::from(lines.inner.width);
    for line in wrap(&printable(&place(&document.document)), width) {
        lines.next().put(&line, theme.title);
    }
    let times = if document.attempts == 1 { "once".to_owned() } else { format!("{} times", document.attempts) };
    let class = if document.class.is_empty() { "skipped" } else { &document.class };
    lines.say(&printable(&format!("{class} at {}, tried {times}", document.stage)));
    for line in wrap(&printable(&document.reason), width) {
        lines.next().put(&line, theme.bad);
    }
}
