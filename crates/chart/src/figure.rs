//! What every chart becomes before it is drawn: layers of marks on shared axes, in panels.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;

/// A figure: one or more panels that share their scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Stands above the panels.
    pub title: Option<String>,
    /// Of the whole figure, in pixels.
    pub width: Option<f64>,
    /// Of the whole figure, in pixels.
    pub height: Option<f64>,
    /// How rows are divided among panels.
    pub facet: Facet,
    /// Drawn one over the other.
    pub layers: Vec<Layer>,
}

/// Division into panels by columns of the data.
#[derive(Clone, Debug, PartialEq)]
pub enum Facet {
    /// One panel.
    None,
    /// A panel for each value, in lines of panels.
    Wrap(String),
    /// A grid: values of `row` from top to bottom, of `column` from left to right.
    Grid {
        /// Divides from top to bottom.
        row: Option<String>,
        /// Divides from left to right.
        column: Option<String>,
    },
}

/// The shapes that stand for rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A dot.
    Point,
    /// A line in the order of x.
    Line,
    /// A line with the space below filled.
    Area,
    /// A bar from zero.
    Bar,
    /// A rectangle of the two categories or bins.
    Rect,
    /// A short stroke.
    Tick,
    /// A line across the panel.
    Rule,
    /// Median, quartiles, whiskers and outliers.
    Box,
}

/// How colours share a bar or an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Each stands on zero.
    Overlay,
    /// Each stands on the one before.
    Stack,
    /// Bars stand side by side.
    Group,
}

/// One kind of mark with what it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// How rows are drawn.
    pub shape: Shape,
    /// From left to right.
    pub x: Option<Channel>,
    /// From bottom to top.
    pub y: Option<Channel>,
    /// Colour, and what divides lines.
    pub color: Option<Channel>,
    /// Column that divides lines beside the colour.
    pub detail: Option<String>,
    /// Column of numbers in whose order a line goes, instead of that of x.
    pub order: Option<String>,
    /// Red, green, blue of all marks, instead of colours that stand for something.
    pub paint: Option<(u8, u8, u8)>,
    /// Column of half-widths of error bars or bands around y.
    pub error: Option<String>,
    /// How colours share bars and areas.
    pub share: Share,
    /// Dots on lines.
    pub points: bool,
}

/// What a channel's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// As the column is.
    Auto,
    /// Numbers on a continuous axis.
    Number,
    /// One place for each value.
    Category,
}

/// Where a position or colour comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// The column; none for a count or a constant.
    pub field: Option<String>,
    /// What its values are.
    pub role: Role,
    /// One value for all rows that share the other channels.
    pub aggregate: Option<Aggregate>,
    /// Into about this many bins.
    pub bins: Option<usize>,
    /// Logarithmic axis.
    pub log: bool,
    /// Axis or legend title instead of the column's name.
    pub title: Option<String>,
    /// The same number for all.
    pub datum: Option<f64>,
}

impl Channel {
    /// A channel of the column `field`.
    pub fn of(field: &str) -> Self {
        Channel { field: Some(field.to_owned()), ..Channel::empty() }
    }

    /// A channel of nothing.
    pub fn empty() -> Self {
        Channel {
            field: None,
            role: Role::Auto,
            aggregate: None,
            bins: None,
            log: false,
            title: None,
            datum: None,
        }
    }

    /// What stands beside its axis or legend.
    pub fn label(&self) -> String {
        if let Some(title) = &self.title {
            return title.clone();
        }
        let field = self.field.as_deref().unwrap_or("");
        match self.aggregate {
            Some(Aggregate::Count) => "count".to_owned(),
            Some(aggregate) => format!("{} of {field}", aggregate.word()),
            None => field.to_owned(),
        }
    }
}

/// How many values become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    /// Arithmetic mean.
    Mean,
    /// The middle value, or the mean of the two middle ones.
    Median,
    /// Sum.
    Sum,
    /// How many rows.
    Count,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

impl Aggregate {
    fn word(self) -> &'static str {
        match self {
            Aggregate::Mean => "mean",
            Aggregate::Median => "median",
            Aggregate::Sum => "sum",
            Aggregate::Count => "count",
            Aggregate::Min => "least",
            Aggregate::Max => "greatest",
        }
    }

    /// The value for `values`; none for no values, except that their count and sum are 0.
    pub fn of(self, values: &mut [f64]) -> Option<f64> {
        let n = values.len();
        match self {
            Aggregate::Count => Some(n as f64),
            Aggregate::Sum => Some(values.iter().sum()),
            _ if n == 0 => None,
            // Each is divided first, so that the sum of large values stays finite.
            Aggregate::Mean => Some(values.iter().map(|v| v / n as f64).sum()),
            Aggregate::Median => Some(quantile(values, 0.5)),
            Aggregate::Min => values.iter().copied().reduce(f64::min),
            Aggregate::Max => values.iter().copied().reduce(f64::max),
        }
    }
}

/// The quantile `q` of at least one value, linear between neighbours (type 7 of Hyndman and Fan 1996).
/// Sorts `values`.
pub fn quantile(values: &mut [f64], q: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let place = q * last as f64;
    let below = (place.floor() as usize).min(last);
    let share = place - below as f64;
    match (values.get(below), values.get((below + 1).min(last))) {
        (Some(a), Some(b)) => a * (1.0 - share) + b * share,
        _ => f64::NAN,
    }
}

impl Figure {
    /// Every column that is drawn.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        let facets = match &self.facet {
            Facet::None => vec![],
            Facet::Wrap(by) => vec![by.as_str()],
            Facet::Grid { row, column } => row.iter().chain(column).map(String::as_str).collect(),
        };
        let channels = self.layers.iter().flat_map(|l| {
            let fields = [&l.x, &l.y, &l.color].into_iter().flatten().filter_map(|c| c.field.as_deref());
            fields.chain([&l.error, &l.detail, &l.order].into_iter().filter_map(|c| c.as_deref()))
        });
        facets.into_iter().chain(channels)
    }

    /// Checks what does not depend on data.
    ///
    /// # Errors
    /// Names what is missing or impossible.
    pub fn check(self) -> Result<Self, Error> {
        for (name, size) in [("width", self.width), ("height", self.height)] {
            if let Some(size) = size.filter(|s| !(100.0..=10_000.0).contains(s)) {
                return Err(Error(format!("`{name}` is {size}, and must be from 100 to 10000 pixels")));
            }
        }
        if self.layers.is_empty() {
            return Err(Error("the chart has nothing to draw: give it a `mark`, or a `layer`".to_owned()));
        }
        for layer in &self.layers {
            layer.check()?;
        }
        Ok(self)
    }
}

impl Layer {
    fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error(text.to_owned()));
        let channels = [&self.x, &self.y, &self.color].into_iter().flatten();
        if channels.filter(|c| c.aggregate.is_some()).count() > 1 {
            return wrong(
                "only one of `x`, `y` and `color` can be aggregated; the others say what the groups are",
            );
        }
        if self.shape != Shape::Line && (self.detail.is_some() || self.order.is_some()) {
            return wrong("`detail` and `order` belong to lines");
        }
        if self.paint.is_some() && self.color.is_some() {
            return wrong(
                "`mark.color` and `color` do not go together: marks have one colour or stand for values",
            );
        }
        for (name, channel) in [("x", &self.x), ("y", &self.y), ("color", &self.color)] {
            let Some(c) = channel else { continue };
            if c.field.is_none() && c.datum.is_none() && c.aggregate != Some(Aggregate::Count) {
                return Err(Error(format!("`{name}` needs a `field`")));
            }
            if c.bins.is_some_and(|n| !(1..=1000).contains(&n)) {
                return Err(Error(format!("`{name}` can be divided into 1 to 1000 bins")));
            }
            if c.bins.is_some() && (name == "color" || c.aggregate.is_some() || c.role == Role::Category) {
                return Err(Error(format!(
                    "`{name}` cannot be divided into bins here; bins are for numbers on x or y"
                )));
            }
            if c.log && c.role == Role::Category {
                return Err(Error(format!("`{name}` cannot be logarithmic: its values are categories")));
            }
        }
        let both = self.x.is_some() && self.y.is_some();
        match self.shape {
            Shape::Rule if self.x.is_none() && self.y.is_none() => wrong("a rule needs `x` or `y`"),
            Shape::Rule | Shape::Tick | Shape::Box | Shape::Point if self.x.is_some() || self.y.is_some() => {
                Ok(())
            }
            _ if !both => wrong("this chart needs `x` and `y`"),
            _ => Ok(()),
        }
    }
}
