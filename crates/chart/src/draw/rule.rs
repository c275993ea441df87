//! Lines across a panel, and short strokes.

use super::View;
use super::bar::breadth;
use crate::Error;
use crate::canvas::{Canvas, INK, Rgb, pen};
use crate::figure::Layer;
use crate::items::{Item, Place};
use crate::scale::Colors;

/// Rules are dark unless coloured: they stand for limits, not for data.
fn color(view: &View, item: &Item) -> Rgb {
    if item.color.is_none() || matches!(view.colors, Colors::One) {
        view.paint.unwrap_or(INK)
    } else {
        view.color(item.color.as_ref())
    }
}

/// A line at each x and each y across the panel; where x is a category, at y across its band.
pub fn draw(canvas: &mut Canvas, view: &View, items: &[&Item]) -> Result<(), Error> {
    for item in items {
        let pen = pen(color(view, item)).width(1.2);
        let (x, y) = view.point(item);
        let band = item.x.as_ref().filter(|place| !matches!(place, Place::At(_)));
        if item.y.is_some() {
            let (left, right) = band.map_or((0.0, 1.0), |place| view.x.reach(place));
            canvas.line((view.px(left), y), (view.px(right), y), pen)?;
        }
        if item.x.is_some() && (item.y.is_none() || band.is_none()) {
            canvas.line((x, view.top), (x, view.top + view.height), pen)?;
        }
    }
    Ok(())
}

/// A stroke at each value, across the direction in which values grow.
pub fn tick(
    canvas: &mut Canvas,
    view: &View,
    layer: &Layer,
    sideways: bool,
    items: &[&Item],
) -> Result<(), Error> {
    for item in items {
        let pen = pen(view.color(item.color.as_ref())).width(1.2);
        let slot = if sideways { &item.y } else { &item.x };
        let (x, y) = view.point(item);
        let (a, b) = match slot {
            Some(Place::Category(_)) => breadth(view, layer, sideways, slot, item),
            _ if sideways => (y - 6.0, y + 6.0),
            _ => (x - 6.0, x + 6.0),
        };
        let (from, to) = if sideways { ((x, a), (x, b)) } else { ((a, y), (b, y)) };
        canvas.line(from, to, pen)?;
    }
    Ok(())
}
