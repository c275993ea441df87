//! Cells of columns as places on an axis.

use std::cmp::Ordering;

use crate::figure::{Aggregate, Channel, Role};
use crate::items::{Key, Place};
use crate::{Column, Data, Error, ticks};

/// The key of a cell; none if it is missing.
pub fn key(column: &Column, row: usize) -> Option<Key> {
    match column {
        Column::Number(values) => values.get(row).filter(|v| v.is_finite()).map(|v| Key::of(*v)),
        Column::Text(values) => values.get(row).map(|v| Key::Text(v.clone())),
    }
}

/// Reads one channel row by row.
pub struct Reader<'a> {
    channel: &'a Channel,
    column: Option<&'a Column>,
    category: bool,
    edges: Vec<f64>,
}

impl<'a> Reader<'a> {
    /// True if it gives numbers that bars and lines can show as a height.
    pub fn is_value(&self) -> bool {
        !self.category && self.edges.is_empty()
    }

    /// How its rows become one.
    pub fn aggregate(&self) -> Option<Aggregate> {
        self.channel.aggregate
    }

    /// Reads `channel`; numbers that are not said to be quantities are categories if `category`.
    ///
    /// # Errors
    /// If the column is missing, or holds text where numbers are needed.
    pub fn new(channel: &'a Channel, data: &'a Data, category: bool) -> Result<Self, Error> {
        let column = channel.field.as_deref().map(|name| data.column(name)).transpose()?;
        let text = matches!(column, Some(Column::Text(_)));
        let numeric = channel.role == Role::Number || channel.log || channel.bins.is_some();
        if text && (numeric || channel.aggregate.is_some_and(|a| a != Aggregate::Count)) {
            let name = channel.field.as_deref().unwrap_or("");
            return Err(Error(format!("column `{name}` holds text, and this chart needs numbers there")));
        }
        let category = channel.aggregate.is_none()
            && channel.bins.is_none()
            && (text || channel.role == Role::Category || (category && channel.role == Role::Auto));
        let edges = match (channel.bins, column) {
            (Some(bins), Some(Column::Number(values))) => edges(values, bins),
            _ => Vec::new(),
        };
        Ok(Reader { channel, column, category, edges })
    }

    /// The place of a row; none if it is missing.
    pub fn place(&self, row: usize) -> Option<Place> {
        if let Some(v) = self.channel.datum {
            return Some(Place::At(v)).filter(|_| v.is_finite());
        }
        let Some(column) = self.column else { return Some(Place::At(1.0)) };
        let key = key(column, row)?;
        if self.category {
            return Some(Place::Category(key));
        }
        let Some(v) = key.number() else { return Some(Place::At(1.0)) };
        if self.channel.log && v <= 0.0 {
            return None;
        }
        if self.edges.len() < 2 {
            return Some(Place::At(v));
        }
        let bin = self.edges.partition_point(|e| *e <= v).clamp(1, self.edges.len() - 1);
        Some(Place::Span(self.edges[bin - 1], self.edges[bin]))
    }
}

/// Round edges of about `bins` bins over the finite values.
fn edges(values: &[f64], bins: usize) -> Vec<f64> {
    let finite = values.iter().copied().filter(|v| v.is_finite());
    let (lo, hi) = finite.fold((f64::MAX, f64::MIN), |(l, h), v| (l.min(v), h.max(v)));
    match lo.partial_cmp(&hi) {
        Some(Ordering::Less) => {
            let round = ticks::linear(lo, hi, bins);
            if round.is_empty() { vec![lo, hi] } else { round }
        }
        Some(Ordering::Equal) => vec![lo - 0.5, lo + 0.5],
        _ => Vec::new(),
    }
}
