//! A dot for each item, with its error bar.

use super::View;
use crate::Error;
use crate::canvas::{Canvas, pen};
use crate::items::Item;

/// Draws them.
pub fn draw(canvas: &mut Canvas, view: &View, items: &[&Item]) -> Result<(), Error> {
    let radius = if items.len() > 1000 { 1.8 } else { 3.0 };
    for item in items {
        let color = view.color(item.color.as_ref());
        let (x, y) = view.point(item);
        view.whisker(canvas, item, x, color)?;
        canvas.dot((x, y), radius, pen(color).alpha(0.8))?;
    }
    Ok(())
}
