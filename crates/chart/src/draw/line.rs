//! Lines in the order of x, one for each colour, with bands; and areas below them.

use std::collections::BTreeMap;

use super::View;
use crate::Error;
use crate::canvas::{Canvas, pen};
use crate::figure::Layer;
use crate::items::{Item, Key, Place};

/// The items of each colour and detail, in the order of x or in their own.
fn series<'a>(view: &View, items: &[&'a Item]) -> Vec<(Option<&'a Key>, Vec<&'a Item>)> {
    let mut series: BTreeMap<(Option<&Key>, Option<&Key>), Vec<&Item>> = BTreeMap::new();
    for item in items {
        series.entry((item.color.as_ref(), item.detail.as_ref())).or_default().push(item);
    }
    for items in series.values_mut() {
        let place = |i: &Item| i.order.or(i.x.as_ref().map(|p| view.x.middle(p))).unwrap_or(0.0);
        items.sort_by(|a, b| place(a).total_cmp(&place(b)));
    }
    series.into_iter().map(|((color, _), items)| (color, items)).collect()
}

/// Draws lines; a line of one point is a dot.
pub fn draw(canvas: &mut Canvas, view: &View, layer: &Layer, items: &[&Item]) -> Result<(), Error> {
    let series = series(view, items);
    for (key, items) in &series {
        let edge = |sign: f64| {
            items.iter().filter_map(move |i| {
                let y = i.y.as_ref()?.value()? + sign * i.error?;
                Some((view.point(i).0, view.py(view.y.at(y))))
            })
        };
        let band: Vec<(f64, f64)> =
            edge(1.0).chain(edge(-1.0).collect::<Vec<_>>().into_iter().rev()).collect();
        if band.len() > 2 {
            canvas.polygon(&band, pen(view.color(*key)).alpha(0.18))?;
        }
    }
    for (key, items) in &series {
        let color = view.color(*key);
        let points: Vec<(f64, f64)> = items.iter().map(|i| view.point(i)).collect();
        if points.len() > 1 {
            canvas.path(&points, pen(color).width(1.8))?;
        }
        if layer.points || points.len() == 1 {
            for (item, at) in items.iter().zip(&points) {
                if points.len() == 1 {
                    view.whisker(canvas, item, at.0, color)?;
                }
                canvas.dot(*at, 3.0, pen(color))?;
            }
        }
    }
    Ok(())
}

/// Fills from the base, or from the area below, to each line.
pub fn area(canvas: &mut Canvas, view: &View, layer: &Layer, items: &[&Item]) -> Result<(), Error> {
    for (key, items) in series(view, items) {
        let color = view.color(key);
        let upper: Vec<(f64, f64)> =
            items.iter().map(|i| (view.point(i).0, view.py(height(view, i, true)))).collect();
        let lower = items.iter().map(|i| (view.point(i).0, view.py(height(view, i, false))));
        let outline: Vec<(f64, f64)> =
            upper.iter().copied().chain(lower.collect::<Vec<_>>().into_iter().rev()).collect();
        if upper.len() > 1 {
            canvas.polygon(&outline, pen(color).alpha(0.45))?;
            canvas.path(&upper, pen(color).width(1.5))?;
        }
        if layer.points || upper.len() == 1 {
            for at in upper {
                canvas.dot(at, 3.0, pen(color))?;
            }
        }
    }
    Ok(())
}

/// The share of the y axis at the upper or lower edge of an item.
fn height(view: &View, item: &Item, upper: bool) -> f64 {
    match &item.y {
        Some(Place::Span(_, v)) if upper => view.y.at(*v),
        Some(Place::Span(v, _)) => view.y.at(*v),
        Some(place) if upper => view.y.middle(place),
        _ => view.y.base(),
    }
}
