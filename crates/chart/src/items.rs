//! From rows of data to the things that are drawn: cells read, binned, aggregated and stacked.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::figure::{Aggregate, Channel, Layer, Shape, Share};
use crate::panels::Panels;
use crate::reader::{Reader, key};
use crate::{Column, Data, Error, ticks};

/// A value that orders and divides: numbers by size, then texts by character.
#[derive(Clone, Debug)]
pub enum Key {
    /// A number; never NaN, never -0.
    Number(f64),
    /// A text.
    Text(String),
}

impl Key {
    /// The key of a number.
    pub fn of(v: f64) -> Key {
        Key::Number(v + 0.0)
    }

    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        if let Key::Number(v) = self { Some(*v) } else { None }
    }

    /// As it is written.
    pub fn text(&self) -> String {
        match self {
            Key::Number(v) => ticks::number(*v),
            Key::Text(text) => text.clone(),
        }
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Key::Number(a), Key::Number(b)) => a.total_cmp(b),
            (Key::Text(a), Key::Text(b)) => a.cmp(b),
            (Key::Number(_), Key::Text(_)) => Ordering::Less,
            (Key::Text(_), Key::Number(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Key {}

/// A place on an axis.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    /// A number.
    At(f64),
    /// From one number to another.
    Span(f64, f64),
    /// The band of a key.
    Category(Key),
}

impl Place {
    fn key(&self) -> Key {
        match self {
            Place::At(v) | Place::Span(v, _) => Key::of(*v),
            Place::Category(key) => key.clone(),
        }
    }

    /// The number that a bar, line or dot shows: the far end of a span.
    pub fn value(&self) -> Option<f64> {
        match self {
            Place::At(v) | Place::Span(_, v) => Some(*v),
            Place::Category(_) => None,
        }
    }
}

/// One mark.
#[derive(Clone, Debug)]
pub struct Item {
    /// From left to right.
    pub x: Option<Place>,
    /// From bottom to top.
    pub y: Option<Place>,
    /// What decides its colour.
    pub color: Option<Key>,
    /// What divides lines beside the colour.
    pub detail: Option<Key>,
    /// Where on its line it lies, if not by x.
    pub order: Option<f64>,
    /// In which panel it lies.
    pub panel: usize,
    /// Half-width of its error bar, if it has one.
    pub error: Option<f64>,
    /// The values of a box, at least one.
    pub values: Vec<f64>,
}

/// The items of a layer.
#[derive(Debug)]
pub struct Marks {
    /// In the order they are drawn.
    pub items: Vec<Item>,
    /// True if values run from left to right, and not from bottom to top.
    pub sideways: bool,
    /// Of each row, whether it was left out because a value is missing.
    pub left_out: Vec<bool>,
}

/// How many rows no layer draws. Where layers read columns of their own, a row says by what it lacks to which it belongs.
pub fn missing(layers: &[Marks]) -> usize {
    let rows = layers.first().map_or(0, |l| l.left_out.len());
    (0..rows).filter(|row| layers.iter().all(|l| l.left_out.get(*row).copied().unwrap_or(true))).count()
}

/// The first item, the values and the rows of each group.
type Groups = BTreeMap<Group, (Item, Vec<f64>, Vec<usize>)>;

/// What makes rows fall into one group: panel, and the places and colour that are not aggregated.
type Group = (usize, Option<Key>, Option<Key>, Option<Key>);

impl Marks {
    /// The items of one layer.
    ///
    /// # Errors
    /// If a column is missing, or holds text where numbers are needed.
    pub fn new(layer: &Layer, data: &Data, panels: &Panels) -> Result<Self, Error> {
        let tiles = layer.shape == Shape::Rect;
        // A box between two columns of numbers stands over each value of x.
        let boxes = layer.shape == Shape::Box && layer.y.is_some();
        let x = reader(&layer.x, data, tiles || boxes)?;
        let y = reader(&layer.y, data, tiles)?;
        let sideways = sideways(layer, &x, &y)?;
        let color = layer.color.as_ref().map(|c| Shades::new(c, data)).transpose()?;
        let errors =
            layer.error.as_deref().map(|name| numbers(data, name, "half-widths are numbers")).transpose()?;
        let order =
            layer.order.as_deref().map(|name| numbers(data, name, "an order is of numbers")).transpose()?;
        let detail = layer.detail.as_deref().map(|name| data.column(name)).transpose()?;
        let left_out = vec![false; panels.of_row.len()];
        let mut marks = Marks { items: Vec::new(), sideways, left_out };
        let mut groups: Groups = BTreeMap::new();
        let aggregate = [&layer.x, &layer.y, &layer.color].into_iter().flatten().find_map(|c| c.aggregate);
        let grouped = aggregate.is_some() || layer.shape == Shape::Box;
        for (row, panel) in panels.of_row.iter().enumerate() {
            let place = |r: &Option<Reader>| r.as_ref().map(|r| r.place(row).ok_or(())).transpose();
            let shade = color.as_ref().map(|c| c.key(row).ok_or(())).transpose();
            let detail = detail.map(|column| key(column, row).ok_or(())).transpose();
            let order = order.map(|o| o.get(row).copied().filter(|v| v.is_finite()).ok_or(())).transpose();
            let (Some(panel), Ok(x), Ok(y), Ok(color), Ok(detail), Ok(order)) =
                (*panel, place(&x), place(&y), shade, detail, order)
            else {
                marks.left_out[row] = true;
                continue;
            };
            let error = errors.and_then(|e| e.get(row)).copied().filter(|e| e.is_finite() && *e >= 0.0);
            let item = Item { x, y, color, detail, order, panel, error, values: Vec::new() };
            if grouped {
                let (group, value) = divided(layer, sideways, &item);
                let (_, values, rows) = groups.entry(group).or_insert((item, Vec::new(), Vec::new()));
                values.push(value);
                rows.push(row);
            } else {
                marks.items.push(item);
            }
        }
        marks.gather(groups, layer, aggregate);
        if tiles {
            marks.lay();
        }
        if layer.share == Share::Stack {
            marks.stack();
        }
        if layer.shape == Shape::Rule {
            marks.constants(layer, panels.titles.len());
        }
        Ok(marks)
    }

    /// One item for each group.
    fn gather(&mut self, groups: Groups, layer: &Layer, how: Option<Aggregate>) {
        let aggregated = |c: &Option<Channel>| c.as_ref().is_some_and(|c| c.aggregate.is_some());
        let log = |c: &Option<Channel>| c.as_ref().is_some_and(|c| c.log);
        for (_, (mut item, mut values, rows)) in groups {
            let Some(how) = how else {
                item.values = values;
                self.items.push(item);
                continue;
            };
            let (slot, log) = if aggregated(&layer.x) {
                (Some(&mut item.x), log(&layer.x))
            } else {
                (aggregated(&layer.y).then_some(&mut item.y), log(&layer.y))
            };
            match (how.of(&mut values).filter(|v| v.is_finite() && !(log && *v <= 0.0)), slot) {
                (Some(v), Some(slot)) => *slot = Some(Place::At(v)),
                (Some(v), None) => item.color = Some(Key::of(v)),
                (None, _) => {
                    rows.iter().for_each(|row| self.left_out[*row] = true);
                    continue;
                }
            }
            self.items.push(item);
        }
    }

    /// Tiles at numbers reach half-way to the next number.
    fn lay(&mut self) {
        for place in [(|i| &mut i.x) as fn(&mut Item) -> &mut Option<Place>, |i| &mut i.y] {
            let at = |item: &mut Item| match place(item) {
                Some(Place::At(v)) => Some(*v),
                _ => None,
            };
            let mut numbers: Vec<f64> = self.items.iter_mut().filter_map(at).collect();
            numbers.sort_by(f64::total_cmp);
            numbers.dedup();
            // What differs by rounding alone is one place.
            let least = numbers.last().zip(numbers.first()).map_or(0.0, |(b, a)| (b - a) * 1e-9);
            let gaps = numbers.windows(2).map(|w| w[1] - w[0]).filter(|gap| *gap > least);
            let half = gaps.fold(f64::MAX, f64::min) / 2.0;
            // Of a single number, and of gaps that overflow, none is known.
            if half > f64::MAX / 4.0 {
                continue;
            }
            for item in &mut self.items {
                if let Some(v) = at(item) {
                    *place(item) = Some(Place::Span(v - half, v + half));
                }
            }
        }
    }

    /// A constant is the same in every row: one line is enough, wherever the row itself lies. A line that
    /// depends on no row stands in every panel.
    fn constants(&mut self, layer: &Layer, panels: usize) {
        let constant = |c: &Option<Channel>| c.as_ref().is_some_and(|c| c.datum.is_some());
        let (x, y) = (constant(&layer.x), constant(&layer.y));
        for item in &mut self.items {
            if y && !x && matches!(item.x, Some(Place::At(_))) {
                item.x = None;
            }
            if x && !y && matches!(item.y, Some(Place::At(_))) {
                item.y = None;
            }
        }
        let mut seen = BTreeSet::new();
        let key = |place: &Option<Place>| place.as_ref().map(Place::key);
        self.items.retain(|i| seen.insert((i.panel, key(&i.x), key(&i.y), i.color.clone())));
        let fixed = |i: &Item| (x || i.x.is_none()) && (y || i.y.is_none()) && i.color.is_none();
        if self.items.iter().all(fixed)
            && let Some(one) = self.items.first().cloned()
        {
            self.items = (0..panels).map(|panel| Item { panel, ..one.clone() }).collect();
        }
    }

    /// Puts each bar or area on the one before at the same place; what is below 0 goes downwards.
    fn stack(&mut self) {
        let mut heights: BTreeMap<(usize, Option<Key>, bool), f64> = BTreeMap::new();
        for item in &mut self.items {
            let at = if self.sideways { &item.y } else { &item.x }.as_ref().map(Place::key);
            let slot = if self.sideways { &mut item.x } else { &mut item.y };
            let Some(Place::At(v)) = *slot else { continue };
            let height = heights.entry((item.panel, at, v < 0.0)).or_insert(0.0);
            let top = (*height + v).clamp(f64::MIN, f64::MAX);
            *slot = Some(Place::Span(*height, top));
            *height = top;
        }
    }
}

fn reader<'a>(
    channel: &'a Option<Channel>,
    data: &'a Data,
    category: bool,
) -> Result<Option<Reader<'a>>, Error> {
    channel.as_ref().map(|c| Reader::new(c, data, category)).transpose()
}

/// Whether values run from left to right.
fn sideways(layer: &Layer, x: &Option<Reader>, y: &Option<Reader>) -> Result<bool, Error> {
    let value = |r: &Option<Reader>| r.as_ref().is_some_and(Reader::is_value);
    let (along_x, along_y) = (value(x), value(y));
    if matches!(layer.shape, Shape::Bar | Shape::Area | Shape::Box) && !along_x && !along_y {
        return Err(Error(
            "bars, areas and boxes need numbers on x or y, and both are categories".to_owned(),
        ));
    }
    let aggregated = x.as_ref().is_some_and(|r| r.aggregate().is_some());
    Ok(along_x && (!along_y || aggregated))
}

/// The group of a row and the value that it brings.
fn divided(layer: &Layer, sideways: bool, item: &Item) -> (Group, f64) {
    let aggregated = |c: &Option<Channel>| c.as_ref().is_some_and(|c| c.aggregate.is_some());
    let boxes = layer.shape == Shape::Box;
    let (free_x, free_y) =
        (aggregated(&layer.x) || boxes && sideways, aggregated(&layer.y) || boxes && !sideways);
    let free_color = aggregated(&layer.color);
    let key = |place: &Option<Place>, free: bool| place.as_ref().filter(|_| !free).map(Place::key);
    let color = item.color.clone();
    let value = match () {
        () if free_x => item.x.as_ref().and_then(Place::value),
        () if free_y => item.y.as_ref().and_then(Place::value),
        () => color.as_ref().and_then(Key::number),
    };
    let group = (item.panel, key(&item.x, free_x), key(&item.y, free_y), color.filter(|_| !free_color));
    (group, value.unwrap_or(1.0))
}

/// The numbers of a column.
fn numbers<'a>(data: &'a Data, name: &str, why: &str) -> Result<&'a [f64], Error> {
    match data.column(name)? {
        Column::Number(values) => Ok(values),
        Column::Text(_) => Err(Error(format!("column `{name}` holds text, and {why}"))),
    }
}

/// What decides the colour of rows.
struct Shades<'a>(Option<&'a Column>);

impl<'a> Shades<'a> {
    fn new(channel: &Channel, data: &'a Data) -> Result<Self, Error> {
        let column = channel.field.as_deref().map(|name| data.column(name)).transpose()?;
        if let (Some(Column::Text(_)), Some(how)) = (column, channel.aggregate)
            && how != Aggregate::Count
        {
            let name = channel.field.as_deref().unwrap_or("");
            return Err(Error(format!(
                "column `{name}` holds text, and only numbers can be aggregated to a colour"
            )));
        }
        Ok(Shades(column))
    }

    fn key(&self, row: usize) -> Option<Key> {
        self.0.map_or(Some(Key::of(1.0)), |column| key(column, row))
    }
}
