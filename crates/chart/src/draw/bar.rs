//! Bars from zero.

use super::View;
use crate::Error;
use crate::canvas::{Canvas, INK, pen};
use crate::figure::{Layer, Share};
use crate::items::{Item, Place};
use crate::scale::{Axis, Colors};

/// Draws them; `sideways` if they grow to the right.
pub fn draw(
    canvas: &mut Canvas,
    view: &View,
    layer: &Layer,
    sideways: bool,
    items: &[&Item],
) -> Result<(), Error> {
    for item in items {
        let (slot, value) = if sideways { (&item.y, &item.x) } else { (&item.x, &item.y) };
        let axis = if sideways { view.x } else { view.y };
        let (from, to) = match value {
            Some(Place::Span(a, b)) => (axis.at(*a), axis.at(*b)),
            Some(place) => (axis.base(), axis.middle(place)),
            None => continue,
        };
        let (a, b) = breadth(view, layer, sideways, slot, item);
        let color = view.color(item.color.as_ref());
        if sideways {
            canvas.rect((view.px(from), a), (view.px(to), b), pen(color))?;
        } else {
            canvas.rect((a, view.py(from)), (b, view.py(to)), pen(color))?;
            view.whisker(canvas, item, (a + b) / 2.0, INK)?;
        }
    }
    Ok(())
}

/// From where to where, in pixels, a bar or box reaches across its own direction.
pub fn breadth(view: &View, layer: &Layer, sideways: bool, slot: &Option<Place>, item: &Item) -> (f64, f64) {
    let axis: &Axis = if sideways { view.y } else { view.x };
    let (low, high) = slot.as_ref().map_or((0.0, 1.0), |place| axis.reach(place));
    let pixels = |share: f64| if sideways { view.py(share) } else { view.px(share) };
    let (a, b) = (pixels(low).min(pixels(high)), pixels(low).max(pixels(high)));
    match slot {
        Some(Place::At(_)) => (a - 2.5, b + 2.5),
        Some(Place::Span(..)) if b - a > 3.0 => (a + 0.5, b - 0.5),
        Some(Place::Span(..)) => (a, b),
        _ => {
            let inner = (a + 0.12 * (b - a), b - 0.12 * (b - a));
            part(view, layer, item, inner)
        }
    }
}

/// The part of a band that belongs to the colour of an item, where colours stand side by side.
fn part(view: &View, layer: &Layer, item: &Item, (a, b): (f64, f64)) -> (f64, f64) {
    let (Share::Group, Colors::Each(keys), Some(key)) = (layer.share, view.colors, &item.color) else {
        return (a, b);
    };
    let by = layer.color.as_ref().and_then(|c| c.field.as_ref());
    let slot = if layer.x.as_ref().and_then(|c| c.field.as_ref()) == by {
        None
    } else {
        keys.binary_search(key).ok()
    };
    // A colour that only repeats the axis takes the whole band.
    let Some(i) = slot else { return (a, b) };
    let each = (b - a) / keys.len() as f64;
    (a + each * i as f64, a + each * (i + 1) as f64)
}
