//! Tiles of a heat map.

use super::View;
use crate::Error;
use crate::canvas::{Canvas, INK, Text, pen, text, width_of};
use crate::items::{Item, Place};
use crate::scale::{Axis, Colors};
use crate::ticks;

/// Draws tiles, and their numbers where these fit.
pub fn draw(canvas: &mut Canvas, view: &View, items: &[&Item]) -> Result<(), Error> {
    let number = |item: &Item| item.color.as_ref().and_then(|k| k.number()).map(ticks::number);
    let widest = items.iter().filter_map(|i| number(i)).map(|n| width_of(&n, 10.0)).fold(0.0, f64::max);
    for item in items {
        let reach = |axis: &Axis, place: &Option<Place>| place.as_ref().map_or((0.0, 1.0), |p| axis.reach(p));
        let (x, y) = (reach(view.x, &item.x), reach(view.y, &item.y));
        let (mut a, mut b) = ((view.px(x.0), view.py(y.0)), (view.px(x.1), view.py(y.1)));
        if a.0 == b.0 {
            (a.0, b.0) = (a.0 - 3.0, b.0 + 3.0);
        }
        if a.1 == b.1 {
            (a.1, b.1) = (a.1 - 3.0, b.1 + 3.0);
        }
        // A little overlap, so that no white shows between tiles that touch.
        if matches!((&item.x, &item.y), (Some(Place::Span(..)), Some(Place::Span(..)))) {
            (b.0, a.1) = (b.0 + 0.3, a.1 + 0.3);
        }
        let color = view.color(item.color.as_ref());
        canvas.rect(a, b, pen(color))?;
        let fits = (b.0 - a.0).abs() > widest + 4.0 && (b.1 - a.1).abs() > 13.0;
        if let (true, Colors::Ramp(_), Some(number)) = (fits, view.colors, number(item)) {
            let middle = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
            let ink = if bright(color) { INK } else { (255, 255, 255) };
            canvas.text(&number, middle, Text { color: ink, ..text(10.0) }, 12)?;
        }
    }
    Ok(())
}

/// Whether dark text reads better on a colour: relative luminance by ITU-R BT.709.
fn bright((r, g, b): (u8, u8, u8)) -> bool {
    0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b) > 125.0
}
