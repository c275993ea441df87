//! Landmarks of each image as a table: `id`, `region`, `row`, `column`, in pixels.

use std::collections::{BTreeMap, BTreeSet};

use science::maps::Layout;
use science::maps::regions::nearest;

use crate::stage::{Complaint, Failure, TableFacts};
use crate::table::Frame;

/// Refuses a table without landmarks.
pub fn check(table: &TableFacts) -> Result<(), Complaint> {
    match ["id", "region", "row", "column"].into_iter().find(|name| table.column(name).is_none()) {
        Some(missing) => Err(Complaint::port("landmarks", format!("the table has no column `{missing}`"))
            .hint("it needs `id`, `region`, `row` and `column`, a row a landmark, in pixels")),
        None => Ok(()),
    }
}

/// The regions' names, sorted, and for each of `maps` the region of every pixel: that of its nearest landmark.
///
/// # Errors
/// If an image has no landmark, or one of them is no point.
pub fn regions(
    table: &Frame,
    maps: &[String],
    layout: Layout,
) -> Result<(Vec<String>, Vec<Vec<usize>>), Failure> {
    let (ids, names) = (table.strings("id")?, table.strings("region")?);
    let (rows, columns) = (table.f64s("row")?, table.f64s("column")?);
    if rows.iter().chain(&columns).any(|v| !v.is_finite()) {
        return Err(Failure::new("a landmark is no point"));
    }
    let all: Vec<String> = names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    let mut points: BTreeMap<&str, Vec<(usize, [f64; 2])>> = BTreeMap::new();
    for (place, id) in ids.iter().enumerate() {
        let region = all.binary_search(&names[place]).unwrap_or_default();
        points.entry(id).or_default().push((region, [rows[place], columns[place]]));
    }
    let of = |id: &String| {
        let own = points
            .get(id.as_str())
            .ok_or_else(|| Failure::new(format!("the image {id} has no landmarks")))?;
        let near =
            nearest(&own.iter().map(|(_, point)| *point).collect::<Vec<_>>(), layout.height, layout.width);
        Ok(near.into_iter().map(|number| own[number].0).collect())
    };
    let of = maps.iter().map(of).collect::<Result<_, Failure>>()?;
    Ok((all, of))
}
