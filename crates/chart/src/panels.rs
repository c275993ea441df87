//! Panels: rows divided by the values of one or two columns.

use std::collections::BTreeSet;

use crate::figure::{Facet, Figure};
use crate::items::Key;
use crate::reader::key;
use crate::{Data, Error};

/// The panels of a figure.
#[derive(Debug)]
pub struct Panels {
    /// The panel of each row; none for a row whose facet is missing.
    pub of_row: Vec<Option<usize>>,
    /// What stands above each panel.
    pub titles: Vec<String>,
    /// How many stand beside one another.
    pub across: usize,
}

/// More panels than a page can show are a mistake.
const MOST_PANELS: usize = 64;

impl Panels {
    /// Divides rows among panels.
    ///
    /// # Errors
    /// If a column is missing or there are too many panels.
    pub fn new(figure: &Figure, data: &Data) -> Result<Self, Error> {
        let rows = data.rows()?;
        let keys = |name: &str| -> Result<Vec<Option<Key>>, Error> {
            let column = data.column(name)?;
            Ok((0..rows).map(|row| key(column, row)).collect())
        };
        let distinct = |keys: &[Option<Key>]| -> Vec<Key> {
            keys.iter().flatten().cloned().collect::<BTreeSet<Key>>().into_iter().collect()
        };
        let one = || (vec![Some(Key::of(0.0)); rows], vec![Key::of(0.0)]);
        let read = |name: &Option<String>| match name {
            Some(name) => keys(name).map(|k| {
                let d = distinct(&k);
                (k, d)
            }),
            None => Ok(one()),
        };
        let (row, column) = match &figure.facet {
            Facet::None => (&None, &None),
            Facet::Wrap(by) => (&None, &Some(by.clone())),
            Facet::Grid { row, column } => (row, column),
        };
        let ((row_keys, down), (column_keys, across)) = (read(row)?, read(column)?);
        let count = down.len() * across.len();
        if count > MOST_PANELS {
            return Err(Error(format!(
                "{count} panels are too many to read; at most {MOST_PANELS} are drawn"
            )));
        }
        let place = |r: &Option<Key>, c: &Option<Key>| {
            let down = down.binary_search(r.as_ref()?).ok()?;
            Some(down * across.len() + across.binary_search(c.as_ref()?).ok()?)
        };
        let of_row = row_keys.iter().zip(&column_keys).map(|(r, c)| place(r, c)).collect();
        let title = |name: &Option<String>, key: &Key| name.as_ref().map(|n| format!("{n} = {}", key.text()));
        let titles = down.iter().flat_map(|d| across.iter().map(move |a| (d, a)));
        let titles: Vec<String> = titles
            .map(|(d, a)| {
                [title(row, d), title(column, a)].into_iter().flatten().collect::<Vec<_>>().join(", ")
            })
            .collect();
        let wrapped = (count as f64).sqrt().ceil() as usize;
        let across = if matches!(figure.facet, Facet::Wrap(_)) { wrapped } else { across.len() };
        let titles = if titles.is_empty() { vec![String::new()] } else { titles };
        Ok(Panels { of_row, titles, across: across.max(1) })
    }
}
