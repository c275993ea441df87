//! Drawing: items to axes, axes to a page.

use std::collections::BTreeSet;

use crate::canvas::{self, Canvas, GREY, INK, pen, text};
use crate::figure::{Channel, Figure, Layer, Role, Shape};
use crate::items::{self, Item, Key, Marks, Place};
use crate::panels::Panels;
use crate::scale::{Axis, Colors};
use crate::{Data, Error};

mod axes;
mod bar;
mod boxplot;
mod legend;
mod line;
mod page;
mod point;
mod rect;
mod rule;

use page::Page;
use plotters::style::text_anchor::{HPos, VPos};

/// Everything that is drawn, in units of the data.
pub struct Scene<'a> {
    figure: &'a Figure,
    panels: Panels,
    marks: Vec<Marks>,
    x: Axis,
    y: Axis,
    colors: Colors,
}

/// One panel on the page.
#[derive(Clone, Copy)]
pub struct View<'a> {
    x: &'a Axis,
    y: &'a Axis,
    colors: &'a Colors,
    /// The one colour of the layer that is drawn.
    paint: Option<canvas::Rgb>,
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl View<'_> {
    /// The colour of what has this key.
    fn color(&self, key: Option<&Key>) -> canvas::Rgb {
        self.paint.unwrap_or_else(|| self.colors.of(key))
    }

    /// Pixels for a share of the x axis.
    fn px(&self, share: f64) -> f64 {
        self.left + share * self.width
    }

    /// Pixels for a share of the y axis: numbers grow upwards, categories read downwards.
    fn py(&self, share: f64) -> f64 {
        match self.y {
            Axis::Band(_) => self.top + share * self.height,
            _ => self.top + (1.0 - share) * self.height,
        }
    }

    /// The middle of an item; the middle of the panel where it has no place.
    fn point(&self, item: &Item) -> (f64, f64) {
        let share = |axis: &Axis, place: &Option<Place>| place.as_ref().map_or(0.5, |p| axis.middle(p));
        (self.px(share(self.x, &item.x)), self.py(share(self.y, &item.y)))
    }

    /// An error bar over `x`, from `y - error` to `y + error`.
    fn whisker(&self, canvas: &mut Canvas, item: &Item, x: f64, color: canvas::Rgb) -> Result<(), Error> {
        let (Some(error), Some(y)) = (item.error, item.y.as_ref().and_then(Place::value)) else {
            return Ok(());
        };
        let (low, high) = (self.py(self.y.at(y - error)), self.py(self.y.at(y + error)));
        let pen = pen(color).width(1.2);
        canvas.line((x, low), (x, high), pen)?;
        canvas.line((x - 3.0, low), (x + 3.0, low), pen)?;
        canvas.line((x - 3.0, high), (x + 3.0, high), pen)
    }
}

/// Draws a figure.
///
/// # Errors
/// If the data do not fit it.
pub fn figure(figure: &Figure, data: &Data) -> Result<String, Error> {
    let panels = Panels::new(figure, data)?;
    let marks: Vec<Marks> =
        figure.layers.iter().map(|layer| Marks::new(layer, data, &panels)).collect::<Result<_, _>>()?;
    let x = axis(figure, &marks, true)?;
    let y = axis(figure, &marks, false)?;
    let colors = colors(figure, &marks);
    let scene = Scene { figure, panels, marks, x, y, colors };
    let page = Page::new(&scene);
    canvas::page(page.width, page.height, |canvas| draw(&scene, &page, canvas))
}

/// The x or y axis of all layers.
fn axis(figure: &Figure, marks: &[Marks], is_x: bool) -> Result<Axis, Error> {
    let name = if is_x { "x" } else { "y" };
    let channel = |layer: &Layer| if is_x { layer.x.clone() } else { layer.y.clone() };
    let log = figure.layers.iter().filter_map(channel).any(|c| c.log);
    let (mut keys, mut numbers) = (BTreeSet::new(), Vec::new());
    let (mut zero, mut exact, mut tiled) = (false, is_x, false);
    for (layer, marks) in figure.layers.iter().zip(marks) {
        let values = marks.sideways == is_x;
        zero |= values && matches!(layer.shape, Shape::Bar | Shape::Area);
        exact &= matches!(layer.shape, Shape::Line | Shape::Area | Shape::Rule)
            || !values && marks.items.iter().any(|i| matches!(i.x, Some(Place::Span(..))));
        // Tiles fill the panel.
        tiled |=
            layer.shape == Shape::Rect && marks.items.iter().any(|i| matches!(i.y, Some(Place::Span(..))));
        for item in &marks.items {
            match if is_x { &item.x } else { &item.y } {
                _ if layer.shape == Shape::Box && values => numbers.extend(&item.values),
                Some(Place::Category(key)) => {
                    keys.insert(key.clone());
                }
                Some(Place::At(v)) => numbers.push(*v),
                Some(Place::Span(a, b)) => numbers.extend([*a, *b]),
                None => {}
            }
            if let (false, Some(e), Some(v)) = (is_x, item.error, item.y.as_ref().and_then(Place::value)) {
                numbers.extend([v - e, v + e]);
            }
        }
    }
    if keys.is_empty() {
        let drawn = numbers.into_iter().filter(|v| v.is_finite() && !(log && *v <= 0.0));
        return Ok(Axis::continuous(drawn, log, zero, exact || tiled));
    }
    if numbers.is_empty() {
        return Ok(Axis::Band(keys.into_iter().collect()));
    }
    Err(Error(format!("layers disagree about `{name}`: one has categories, another numbers")))
}

/// How colours stand for values in all layers.
fn colors(figure: &Figure, marks: &[Marks]) -> Colors {
    let keys: BTreeSet<Key> =
        marks.iter().flat_map(|m| m.items.iter().filter_map(|i| i.color.clone())).collect();
    let keys: Vec<Key> = keys.into_iter().collect();
    let numbers: Option<Vec<f64>> = keys.iter().map(Key::number).collect();
    let channels = || figure.layers.iter().filter_map(|l| l.color.as_ref());
    let quantity = |c: &Channel| c.role == Role::Number || c.aggregate.is_some();
    match numbers {
        _ if keys.is_empty() => Colors::One,
        Some(numbers)
            if channels().any(quantity) || many(&keys) && channels().all(|c| c.role == Role::Auto) =>
        {
            let log = channels().any(|c| c.log) && numbers.iter().all(|v| *v > 0.0);
            Colors::Ramp(Axis::continuous(numbers.into_iter(), log, false, true))
        }
        _ => Colors::Each(keys),
    }
}

/// More than the palette can tell apart.
fn many(keys: &[Key]) -> bool {
    keys.len() > crate::scale::PALETTE.len()
}

fn draw(scene: &Scene, page: &Page, canvas: &mut Canvas) -> Result<(), Error> {
    if let Some(title) = &scene.figure.title {
        let style = canvas::Text { bold: true, height: VPos::Top, ..text(15.0) };
        canvas.text(title, (page.middle(), 12.0), style, (page.width / 8.0) as usize)?;
    }
    for panel in 0..scene.panels.titles.len() {
        let mut view = page.view(scene, panel);
        axes::grid(canvas, &view)?;
        for (layer, marks) in scene.figure.layers.iter().zip(&scene.marks) {
            let items: Vec<&Item> = marks.items.iter().filter(|i| i.panel == panel).collect();
            view.paint = layer.paint;
            match layer.shape {
                Shape::Point => point::draw(canvas, &view, &items)?,
                Shape::Line => line::draw(canvas, &view, layer, &items)?,
                Shape::Area => line::area(canvas, &view, layer, &items)?,
                Shape::Bar => bar::draw(canvas, &view, layer, marks.sideways, &items)?,
                Shape::Rect => rect::draw(canvas, &view, &items)?,
                Shape::Tick => rule::tick(canvas, &view, layer, marks.sideways, &items)?,
                Shape::Rule => rule::draw(canvas, &view, &items)?,
                Shape::Box => boxplot::draw(canvas, &view, layer, marks.sideways, &items)?,
            }
        }
        axes::draw(canvas, &view, page, panel)?;
        let title = &scene.panels.titles[panel];
        if !title.is_empty() {
            let at = (view.left + view.width / 2.0, view.top - 9.0);
            canvas.text(title, at, canvas::Text { color: INK, ..text(11.0) }, (view.width / 6.0) as usize)?;
        }
    }
    axes::titles(canvas, scene, page)?;
    legend::draw(canvas, scene, page)?;
    let missing = items::missing(&scene.marks);
    if missing > 0 {
        let rows = if missing == 1 { "row" } else { "rows" };
        let note = format!("{missing} {rows} with missing values left out");
        let style = canvas::Text { side: HPos::Left, color: GREY, ..text(9.5) };
        canvas.text(&note, (10.0, page.height - 9.0), style, 80)?;
    }
    Ok(())
}
