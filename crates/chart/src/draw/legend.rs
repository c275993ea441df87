//! What colours mean, to the right of the panels.

use plotters::style::text_anchor::HPos;

use super::Scene;
use super::page::{LABEL, LONGEST, Page};
use crate::Error;
use crate::canvas::{Canvas, Text, pen, shown, text, width_of};
use crate::figure::Channel;
use crate::scale::{Axis, Colors, ramp};

/// Longer lists end in a line that says how many more there are.
const MOST: usize = 20;

fn title(scene: &Scene) -> String {
    scene.figure.layers.iter().find_map(|l| l.color.as_ref()).map(Channel::label).unwrap_or_default()
}

/// The texts of the legend.
fn entries(colors: &Colors) -> Vec<String> {
    match colors {
        Colors::One => Vec::new(),
        Colors::Each(keys) => keys.iter().take(MOST).map(|k| shown(&k.text(), LONGEST)).collect(),
        Colors::Ramp(axis) => axis.marks().into_iter().map(|(_, text)| text).collect(),
    }
}

/// How many pixels it takes.
pub fn width(scene: &Scene) -> f64 {
    let entries = entries(&scene.colors);
    if entries.is_empty() {
        return 0.0;
    }
    let widest = entries.iter().map(|e| width_of(e, LABEL)).fold(0.0, f64::max);
    (widest + 24.0).max(width_of(&shown(&title(scene), LONGEST), LABEL)) + 14.0
}

/// Draws it.
pub fn draw(canvas: &mut Canvas, scene: &Scene, page: &Page) -> Result<(), Error> {
    let left = page.right + 14.0;
    let style = Text { side: HPos::Left, ..text(LABEL) };
    if !matches!(scene.colors, Colors::One) {
        canvas.text(&title(scene), (left, page.top + 5.0), Text { bold: true, ..style }, LONGEST)?;
    }
    match &scene.colors {
        Colors::One => Ok(()),
        Colors::Each(keys) => {
            let mut y = page.top + 24.0;
            for (key, entry) in keys.iter().zip(entries(&scene.colors)) {
                canvas.rect((left, y - 5.0), (left + 10.0, y + 5.0), pen(scene.colors.of(Some(key))))?;
                canvas.text(&entry, (left + 16.0, y), style, LONGEST)?;
                y += 17.0;
            }
            match keys.len().saturating_sub(MOST) {
                0 => Ok(()),
                more => canvas.text(&format!("and {more} more"), (left, y), style, LONGEST),
            }
        }
        Colors::Ramp(axis) => bar(canvas, axis, left, page.top + 18.0),
    }
}

/// A bar of all colours with numbers beside it.
fn bar(canvas: &mut Canvas, axis: &Axis, left: f64, top: f64) -> Result<(), Error> {
    const HEIGHT: f64 = 130.0;
    const STEPS: usize = 65;
    let y = |share: f64| top + (1.0 - share) * HEIGHT;
    for i in 0..STEPS {
        let (low, high) = (i as f64 / STEPS as f64, (i + 1) as f64 / STEPS as f64);
        // A little overlap, so that no white shows between two steps.
        let corners = ((left, (y(high) - 0.3).max(top)), (left + 12.0, y(low)));
        canvas.rect(corners.0, corners.1, pen(ramp((low + high) / 2.0)))?;
    }
    for (share, label) in axis.marks() {
        let style = Text { side: HPos::Left, ..text(LABEL) };
        canvas.text(&label, (left + 18.0, y(share)), style, LONGEST)?;
    }
    Ok(())
}
