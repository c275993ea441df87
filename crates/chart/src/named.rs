//! Named charts: the few words that most figures need.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::figure::{Aggregate, Channel, Facet, Figure, Layer, Role, Shape, Share};

/// What a named chart looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum NamedChart {
    /// Lines in the order of `x`, one for each colour.
    Line,
    /// A dot a row.
    Scatter,
    /// A bar for each `x`, side by side for each colour.
    Bar,
    /// How often values of `x` occur.
    Histogram,
    /// A coloured tile for each `x` and `y`.
    Heatmap,
    /// Median, quartiles and outliers of `y` for each `x`.
    Box,
}

/// A chart by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// What it looks like
    pub chart: NamedChart,
    /// Column from left to right
    pub x: String,
    /// Column from bottom to top; a histogram counts instead
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// Column that decides the colour; for a heatmap, its value
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Column that divides rows among panels
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facet: Option<String>,
    /// Column of half-widths: an error bar, or for lines a band, from y - error to y + error
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// One value for rows that share x, colour and panel (bars and heatmaps: mean unless said)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<Aggregate>,
    /// About how many bins a histogram has
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<usize>,
    /// Stands above the chart
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Title of the x axis instead of the column's name
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_label: Option<String>,
    /// Title of the y axis instead of the column's name
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y_label: Option<String>,
    /// Logarithmic x axis
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log_x: bool,
    /// Logarithmic y axis
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub log_y: bool,
    /// Of the whole figure, in pixels (640, or more with panels)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<f64>,
    /// Of the whole figure, in pixels (400, or more with panels)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<f64>,
}

impl Named {
    /// The figure.
    ///
    /// # Errors
    /// If something is missing or does not go together.
    pub fn figure(&self) -> Result<Figure, Error> {
        let kind = self.chart;
        let mut x = Channel { title: self.x_label.clone(), log: self.log_x, ..Channel::of(&self.x) };
        let mut y = self.y.as_deref().map(Channel::of).unwrap_or(Channel::empty());
        let mut color = self.color.as_deref().map(Channel::of);
        self.check()?;
        y.aggregate = self.aggregate;
        let shape = match kind {
            NamedChart::Line => Shape::Line,
            NamedChart::Scatter => Shape::Point,
            NamedChart::Bar => {
                x.role = Role::Category;
                y.aggregate = self.aggregate.or(self.error.is_none().then_some(Aggregate::Mean));
                Shape::Bar
            }
            NamedChart::Histogram => {
                (x.role, x.bins) = (Role::Number, Some(self.bins.unwrap_or(20)));
                y.aggregate = Some(Aggregate::Count);
                Shape::Bar
            }
            NamedChart::Heatmap => {
                (x.role, y.role, y.aggregate) = (Role::Category, Role::Category, None);
                if let Some(c) = &mut color {
                    (c.role, c.aggregate) = (Role::Number, Some(self.aggregate.unwrap_or(Aggregate::Mean)));
                    c.title = self.color.clone();
                }
                Shape::Rect
            }
            NamedChart::Box => {
                (x.role, y.aggregate) = (Role::Category, None);
                Shape::Box
            }
        };
        let averaged = kind == NamedChart::Bar && self.aggregate.is_none();
        y.title = self.y_label.clone().or(averaged.then(|| self.y.clone()).flatten());
        y.log = self.log_y;
        let share = match kind {
            NamedChart::Histogram => Share::Stack,
            NamedChart::Bar | NamedChart::Box => Share::Group,
            _ => Share::Overlay,
        };
        let layer = Layer {
            shape,
            x: Some(x),
            y: Some(y),
            color,
            detail: None,
            order: None,
            paint: None,
            error: self.error.clone(),
            share,
            points: false,
        };
        Figure {
            title: self.title.clone(),
            width: self.width,
            height: self.height,
            facet: self.facet.clone().map_or(Facet::None, Facet::Wrap),
            layers: vec![layer],
        }
        .check()
    }

    /// Options that this chart has no use for are mistakes, not wishes to be passed over.
    fn check(&self) -> Result<(), Error> {
        use NamedChart::{Bar, Box, Heatmap, Histogram, Line, Scatter};
        let kind = self.chart;
        let word = format!("{kind:?}").to_lowercase();
        if self.y.is_none() && kind != Histogram {
            return Err(Error(format!("a {word} chart needs `y`")));
        }
        if self.color.is_none() && kind == Heatmap {
            return Err(Error("a heatmap needs `color`: the column whose values it shows".to_owned()));
        }
        let useless = [
            ("y", self.y.is_some() && kind == Histogram),
            ("error", self.error.is_some() && !matches!(kind, Line | Scatter | Bar)),
            ("aggregate", self.aggregate.is_some() && !matches!(kind, Line | Scatter | Bar | Heatmap)),
            ("bins", self.bins.is_some() && kind != Histogram),
            ("log_x", self.log_x && matches!(kind, Bar | Histogram | Heatmap | Box)),
            ("log_y", self.log_y && kind == Heatmap),
        ];
        if let Some((name, _)) = useless.iter().find(|(_, wrong)| *wrong) {
            return Err(Error(format!("a {word} chart has no use for `{name}`; take it out")));
        }
        if self.error.is_some() && self.aggregate.is_some() {
            return Err(Error(
                "`error` and `aggregate` do not go together: give a table with one row for each mark"
                    .to_owned(),
            ));
        }
        Ok(())
    }
}
