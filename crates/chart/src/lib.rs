//! Charts from columns of numbers and text: named charts and a subset of Vega-Lite, as SVG and PNG.
//!
//! A [`Chart`] is read by serde, [`columns_read`] says which columns it needs, [`svg`] draws it and
//! [`png()`] turns the drawing into pixels. The same input gives the same bytes everywhere: the fonts of
//! pictures are part of this crate.

mod canvas;
mod draw;
mod figure;
mod items;
mod named;
mod panels;
mod png;
mod reader;
mod scale;
mod spec;
mod ticks;
pub mod tiles;
mod vegalite;

pub use figure::Aggregate;
pub use named::{Named, NamedChart};
pub use png::png;
pub use spec::Chart;
pub use vegalite::{
    Bin, Channel, Encoding, FieldType, Layer, Mark, MarkName, Scale, ScaleType, Title, VegaLite,
};

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Numbers; what is not finite counts as missing.
    Number(Vec<f64>),
    /// Texts.
    Text(Vec<String>),
}

impl Column {
    /// How many values it holds.
    pub fn len(&self) -> usize {
        match self {
            Column::Number(values) => values.len(),
            Column::Text(values) => values.len(),
        }
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Columns by name, all of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    /// Name and values.
    pub columns: Vec<(String, Column)>,
}

impl Data {
    /// The column called `name`.
    ///
    /// # Errors
    /// If there is none; lists those that there are.
    fn column(&self, name: &str) -> Result<&Column, Error> {
        let found = self.columns.iter().find(|(n, _)| n == name);
        found.map(|(_, column)| column).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|(n, _)| n.as_str()).collect();
            Error(format!("there is no column `{name}` to draw; the table has {}", listed(&names)))
        })
    }

    /// How many rows every column has.
    fn rows(&self) -> Result<usize, Error> {
        let rows = self.columns.first().map_or(0, |(_, c)| c.len());
        match self.columns.iter().find(|(_, c)| c.len() != rows) {
            Some((name, c)) => Err(Error(format!("column `{name}` has {} rows and others {rows}", c.len()))),
            None => Ok(rows),
        }
    }
}

/// What is wrong with a chart or its data, one sentence for the reader.
#[derive(Clone, Debug, PartialEq)]
pub struct Error(pub String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// The columns that a chart reads, sorted, each once.
///
/// # Errors
/// If the chart is wrong in itself, whatever the data.
pub fn columns_read(chart: &Chart) -> Result<Vec<String>, Error> {
    let mut names: Vec<String> = spec::figure(chart)?.columns().map(str::to_owned).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

/// Draws a chart as an SVG document.
///
/// # Errors
/// If the chart is wrong, or the data lack a column or have text where numbers are drawn.
pub fn svg(chart: &Chart, data: &Data) -> Result<String, Error> {
    draw::figure(&spec::figure(chart)?, data)
}

/// Names in backticks with commas.
fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", ")
}
