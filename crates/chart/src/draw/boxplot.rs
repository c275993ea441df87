//! Boxes after Tukey: quartiles, median, whiskers to the last value within 1.5 of the quartiles'
//! distance, and a dot for each value beyond.

use super::View;
use super::bar::breadth;
use crate::Error;
use crate::canvas::{Canvas, pen};
use crate::figure::{Layer, quantile};
use crate::items::Item;

/// Draws them; `sideways` if values grow to the right.
pub fn draw(
    canvas: &mut Canvas,
    view: &View,
    layer: &Layer,
    sideways: bool,
    items: &[&Item],
) -> Result<(), Error> {
    for item in items {
        let mut values = item.values.clone();
        if values.is_empty() {
            continue;
        }
        let [low, middle, high] = [0.25, 0.5, 0.75].map(|q| quantile(&mut values, q));
        let fence = 1.5 * (high - low);
        let inside = |v: &&f64| (low - fence..=high + fence).contains(*v);
        // With few values a quartile may lie beyond them.
        let least = values.iter().find(inside).copied().unwrap_or(low).min(low);
        let most = values.iter().rev().find(inside).copied().unwrap_or(high).max(high);
        let slot = if sideways { &item.y } else { &item.x };
        let (a, b) = breadth(view, layer, sideways, slot, item);
        let (a, b) = if slot.is_none() { (a + (b - a) * 0.3, b - (b - a) * 0.3) } else { (a, b) };
        let centre = (a + b) / 2.0;
        let at = |across: f64, v: f64| {
            if sideways { (view.px(view.x.at(v)), across) } else { (across, view.py(view.y.at(v))) }
        };
        let color = view.color(item.color.as_ref());
        let line = pen(color).width(1.3);
        canvas.line(at(centre, least), at(centre, low), line)?;
        canvas.line(at(centre, high), at(centre, most), line)?;
        canvas.rect(at(a, low), at(b, high), pen(color).alpha(0.25))?;
        canvas.frame(at(a, low), at(b, high), line)?;
        canvas.line(at(a, middle), at(b, middle), pen(color).width(2.4))?;
        for v in values.iter().filter(|v| !inside(v)) {
            canvas.dot(at(centre, *v), 2.2, pen(color).alpha(0.8))?;
        }
    }
    Ok(())
}
