//! Axes, their labels and the grid.

use plotters::style::text_anchor::{HPos, VPos};

use super::page::{LABEL, LONGEST, Page};
use super::{Scene, View};
use crate::Error;
use crate::canvas::{Canvas, GREY, LIGHT, Text, pen, text, width_of};
use crate::figure::{Channel, Layer};
use crate::items;
use crate::scale::Axis;

/// Thin lines at round numbers, below everything else.
pub fn grid(canvas: &mut Canvas, view: &View) -> Result<(), Error> {
    let (right, bottom) = (view.left + view.width, view.top + view.height);
    if !matches!(view.x, Axis::Band(_)) {
        for (share, _) in view.x.marks() {
            canvas.line((view.px(share), view.top), (view.px(share), bottom), pen(LIGHT))?;
        }
    }
    if !matches!(view.y, Axis::Band(_)) {
        for (share, _) in view.y.marks() {
            canvas.line((view.left, view.py(share)), (right, view.py(share)), pen(LIGHT))?;
        }
    }
    Ok(())
}

/// The lines of both axes, and labels where no panel stands between them and the margin.
pub fn draw(canvas: &mut Canvas, view: &View, page: &Page, panel: usize) -> Result<(), Error> {
    let (right, bottom) = (view.left + view.width, view.top + view.height);
    canvas.line((view.left, bottom), (right, bottom), pen(GREY))?;
    canvas.line((view.left, view.top), (view.left, bottom), pen(GREY))?;
    if panel + page.across >= page.panels {
        below(canvas, view, page, bottom)?;
    }
    if panel.is_multiple_of(page.across) {
        beside(canvas, view)?;
    }
    Ok(())
}

fn below(canvas: &mut Canvas, view: &View, page: &Page, bottom: f64) -> Result<(), Error> {
    let marks = view.x.marks();
    let widest = marks.iter().map(|(_, text)| width_of(text, LABEL)).fold(0.0, f64::max);
    let each = if page.upright { LABEL + 2.0 } else { widest.min(LONGEST as f64 * LABEL * 0.6) + 8.0 };
    for (share, label) in thinned(marks, each, view.width) {
        let x = view.px(share);
        canvas.line((x, bottom), (x, bottom + 4.0), pen(GREY))?;
        let style = if page.upright {
            Text { side: HPos::Right, upwards: true, ..text(LABEL) }
        } else {
            Text { height: VPos::Top, ..text(LABEL) }
        };
        canvas.text(&label, (x, bottom + 7.0), style, LONGEST)?;
    }
    Ok(())
}

fn beside(canvas: &mut Canvas, view: &View) -> Result<(), Error> {
    for (share, label) in thinned(view.y.marks(), LABEL + 2.0, view.height) {
        let y = view.py(share);
        canvas.line((view.left - 4.0, y), (view.left, y), pen(GREY))?;
        let style = Text { side: HPos::Right, ..text(LABEL) };
        canvas.text(&label, (view.left - 7.0, y), style, LONGEST)?;
    }
    Ok(())
}

/// Every n-th mark, so that each has `each` pixels.
fn thinned(marks: Vec<(f64, String)>, each: f64, room: f64) -> impl Iterator<Item = (f64, String)> {
    let fit = (room / each.max(1.0)).floor().max(1.0) as usize;
    let stride = marks.len().div_ceil(fit).max(1);
    marks.into_iter().step_by(stride)
}

/// Titles of both axes: those that layers give, each once.
pub fn titles(canvas: &mut Canvas, scene: &Scene, page: &Page) -> Result<(), Error> {
    let all = |channel: fn(&Layer) -> &Option<Channel>| {
        let mut titles: Vec<String> = Vec::new();
        for title in scene.figure.layers.iter().filter_map(|l| channel(l).as_ref()).map(Channel::label) {
            if !title.is_empty() && !titles.contains(&title) {
                titles.push(title);
            }
        }
        titles.join(", ")
    };
    let note = if items::missing(&scene.marks) > 0 { 12.0 } else { 0.0 };
    let at = (page.middle(), page.height - 13.0 - note);
    canvas.text(&all(|l| &l.x), at, text(12.0), (page.width / 7.0) as usize)?;
    let at = (14.0, (page.top + page.bottom) / 2.0);
    canvas.text(&all(|l| &l.y), at, Text { upwards: true, ..text(12.0) }, (page.height / 7.0) as usize)
}
