//! What charts are made of: a frame with its axes, lines and areas in it, and what a reader without eyes is told.

use std::fmt::Write;

use super::super::words::{clock, rate};
use super::escape::escape;

/// Space beside and below what is drawn, for labels.
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 26.0;

/// A chart over time.
pub(super) struct Frame {
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    seconds: f64,
    top_value: f64,
    body: String,
}

impl Frame {
    /// An empty chart over a run's seconds, from 0 to at least `most`.
    pub(super) fn new(size: (f64, f64), seconds: f64, most: f64) -> Self {
        let top_value = round_up(most);
        let (width, height) = size;
        Self { width, height, left: LEFT, right: RIGHT, seconds: seconds.max(0.001), top_value, body: String::new() }
    }

    /// With bytes as values: an axis that is round in powers of two.
    pub(super) fn of_bytes(self, most: f64) -> Self {
        let power = 2_f64.powf(most.max(1024.0).log2().floor());
        Self { top_value: if power >= most { power } else { 2.0 * power }, ..self }
    }

    /// With other room for labels at the sides.
    pub(super) fn with_sides(self, left: f64, right: f64) -> Self {
        Self { left, right, ..self }
    }

    /// Where a moment is.
    pub(super) fn x(&self, seconds: f64) -> f64 {
        self.left + (seconds / self.seconds).clamp(0.0, 1.0) * (self.width - self.left - self.right)
    }

    /// Where a value is.
    fn y(&self, value: f64) -> f64 {
        let full = self.bottom() - TOP;
        self.bottom() - (value / self.top_value).clamp(0.0, 1.05) * full
    }

    fn bottom(&self) -> f64 {
        self.height - BOTTOM
    }

    /// Something that is drawn as it is.
    pub(super) fn raw(&mut self, svg: &str) {
        self.body.push_str(svg);
    }

    /// A text at a place.
    pub(super) fn text(&mut self, (x, y): (f64, f64), class: &str, text: &str) {
        let _ = write!(self.body, r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{}</text>"#, escape(text));
    }

    /// The axis of values, with its lines, labelled by `label`.
    pub(super) fn values(&mut self, label: impl Fn(f64) -> String) {
        for part in 0..=4_u32 {
            let value = self.top_value * f64::from(part) / 4.0;
            let (y, left, right) = (self.y(value), self.left, self.width - self.right);
            let _ = write!(self.body, r#"<path class="grid" d="M{left:.1} {y:.1}H{right:.1}"/>"#);
            self.text((left - 8.0, y + 4.0), "tick end", &label(value));
        }
    }

    /// The axis of time.
    pub(super) fn times(&mut self) {
        let y = self.bottom();
        let (left, right) = (self.left, self.width - self.right);
        let _ = write!(self.body, r#"<path class="axis" d="M{left:.1} {y:.1}H{right:.1}"/>"#);
        for at in ticks(self.seconds, (self.width / 90.0).max(2.0)) {
            let x = self.x(at);
            let _ = write!(self.body, r#"<path class="axis" d="M{x:.1} {y:.1}v4"/>"#);
            self.text((x, y + 17.0), "tick middle", &clock(at));
        }
    }

    /// The points of a series, each in the middle of its piece, with the first and the last drawn out to the ends.
    fn points(&self, step: f64, values: &[f64], end: f64) -> Vec<(f64, f64)> {
        let mut points = Vec::with_capacity(values.len() + 2);
        let mut from = 0.0;
        for (index, value) in values.iter().enumerate() {
            let to = if index + 1 == values.len() { end } else { from + step };
            points.push((f64::midpoint(from, to), *value));
            from = to;
        }
        if let (Some(first), Some(last)) = (values.first(), values.last()) {
            points.insert(0, (0.0, *first));
            points.push((end, *last));
        }
        points
    }

    /// A line through a series.
    pub(super) fn line(&mut self, class: &str, step: f64, values: &[f64], end: f64) {
        let path = self.path(&self.points(step, values, end));
        let _ = write!(self.body, r#"<path class="line {class}" d="{path}"/>"#);
    }

    /// The area below a series.
    pub(super) fn area(&mut self, class: &str, step: f64, values: &[f64], end: f64) {
        let path = self.path(&self.points(step, values, end));
        let (left, right, bottom) = (self.x(0.0), self.x(end), self.bottom());
        let _ = write!(self.body, r#"<path class="{class}" d="{path}L{right:.1} {bottom:.1}H{left:.1}Z"/>"#);
    }

    fn path(&self, points: &[(f64, f64)]) -> String {
        let mut path = String::new();
        for (index, (at, value)) in points.iter().enumerate() {
            let verb = if index == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{verb}{:.1} {:.1}", self.x(*at), self.y(*value));
        }
        path
    }

    /// A level that does not change, with its name at the right end.
    pub(super) fn level(&mut self, class: &str, value: f64, name: &str) {
        let (y, left, right) = (self.y(value), self.left, self.width - self.right);
        let _ = write!(self.body, r#"<path class="line {class}" d="M{left:.1} {y:.1}H{right:.1}"/>"#);
        let y = if y - 5.0 < 12.0 { y + 13.0 } else { y - 5.0 };
        self.text((right - 4.0, y), "label end", name);
    }

    /// A mark over the whole height: a number, and what it stands for where one points at it.
    pub(super) fn mark(&mut self, at: f64, number: Option<usize>, title: &str) {
        let (x, bottom) = (self.x(at), self.bottom());
        let _ =
            write!(self.body, r#"<g class="mark"><title>{}</title><path d="M{x:.1} 16V{bottom:.1}"/>"#, escape(title));
        if let Some(number) = number {
            let _ = write!(self.body, r#"<circle cx="{x:.1}" cy="9" r="8"/>"#);
            let _ = write!(self.body, r#"<text x="{x:.1}" y="12.5" class="middle">{number}</text>"#);
        }
        self.body.push_str("</g>");
    }

    /// The finished chart, named and described; `id` is unique in the page.
    pub(super) fn finish(self, id: &str, title: &str, description: &str) -> String {
        let (width, height, body) = (self.width, self.height, &self.body);
        let (title, description) = (escape(title), escape(description));
        format!(
            r#"<svg role="img" aria-labelledby="{id}-t {id}-d" viewBox="0 0 {width} {height}"><title id="{id}-t">{title}</title><desc id="{id}-d">{description}</desc>{body}</svg>"#
        )
    }
}

/// A value of an axis without the zeros that say nothing: `7.5`, `40`, `1,200`.
pub(super) fn tick(value: f64) -> String {
    if value >= 1000.0 {
        return rate(value);
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The next round number that four lines divide well.
fn round_up(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 1.2, 1.6, 2.0, 2.4, 3.2, 4.0, 6.0, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|top| *top >= most).unwrap_or(10.0 * power)
}

/// Moments at which an axis of time has a label: `most` at most.
fn ticks(seconds: f64, most: f64) -> Vec<f64> {
    let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0, 21_600.0];
    let step = steps.into_iter().find(|step| seconds / step <= most).unwrap_or_else(|| (seconds / most).ceil());
    let mut at = 0.0;
    let mut ticks = Vec::new();
    while at <= seconds {
        ticks.push(at);
        at += step;
    }
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_round() {
        assert_eq!([0.0, 0.7, 73.0, 100.0, 101.0, 950.0].map(round_up), [1.0, 0.8, 80.0, 100.0, 120.0, 1000.0]);
        assert_eq!([0.0, 0.25, 7.5, 40.0, 1200.0].map(tick), ["0", "0.25", "7.5", "40", "1,200"]);
        let bytes = |most| Frame::new((100.0, 100.0), 1.0, 1.0).of_bytes(most).top_value;
        assert_eq!([0.0, 1300.0, 2049.0].map(bytes), [1024.0, 2048.0, 4096.0]);
        assert_eq!(ticks(252.0, 6.0), [0.0, 60.0, 120.0, 180.0, 240.0]);
        assert_eq!(ticks(0.2, 6.0), [0.0]);
    }
}
