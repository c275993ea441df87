//! Images and maps that belong together.

use std::collections::HashMap;

use schemars::JsonSchema;
use science::maps::Layout;
use serde::{Deserialize, Serialize};

use crate::kinds::model::facts;
use crate::stage::{Bound, Complaint, Failure, TableFacts};
use crate::table::{Frame, Tensor, facts_of, read};

/// Which axis of an image holds the channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// [C, H, W].
    #[default]
    First,
    /// [H, W, C].
    Last,
}

/// The layout of a column's tensors.
pub fn layout(column: &str, shape: &[usize], channels: Channels) -> Result<Layout, Failure> {
    Layout::of(shape, channels == Channels::Last)
        .map_err(|e| Failure::new(e.0).context(format!("column `{column}`")))
}

/// What `bound` is known to hold, from the plan or else from the file.
pub fn schema(bound: &Bound) -> Result<TableFacts, Failure> {
    bound.facts.table().cloned().map_or_else(|| facts_of(&bound.path), Ok)
}

/// Checks that a table holds maps.
pub fn check_maps(maps: &TableFacts) -> Result<(), Complaint> {
    let column = maps.column("relevance").ok_or_else(|| {
        Complaint::port("maps", "the table has no column `relevance`")
            .hint("maps are what lrp.attribute makes")
    })?;
    match column.shape {
        Some(_) => Ok(()),
        None => Err(Complaint::port("maps", "the column `relevance` does not hold tensors")),
    }
}

/// The rows of `table` by the text of their `id`, else by number.
pub fn ids(frame: &Frame) -> Result<Vec<String>, Failure> {
    if frame.has("id") {
        frame.strings("id")
    } else {
        Ok((0..frame.rows()).map(|row| row.to_string()).collect())
    }
}

/// For each of `ids` its row among `others`.
///
/// # Errors
/// If one is not there, or stands there twice.
pub fn matched(ids: &[String], others: &[String], of: &str) -> Result<Vec<usize>, Failure> {
    let mut rows = HashMap::new();
    for (row, id) in others.iter().enumerate() {
        if rows.insert(id.as_str(), row).is_some() {
            return Err(Failure::new(format!("the {of} have the id {id} twice")));
        }
    }
    let find = |id: &String| {
        rows.get(id.as_str()).copied().ok_or_else(|| {
            Failure::new(format!("the {of} have no row with the id {id}"))
                .hint("maps belong to the rows that they were made of")
        })
    };
    ids.iter().map(find).collect()
}

/// Maps summed over channels, with the ids of their rows.
pub struct Planes {
    pub ids: Vec<String>,
    pub planes: Vec<Vec<f32>>,
    /// Explained classes, where they are whole numbers.
    pub targets: Option<Vec<i64>>,
}

impl Planes {
    /// Reads maps of images of `layout`; without one the maps' own, with `channels`.
    pub fn read(
        bound: &Bound,
        layout: impl FnOnce(&[usize]) -> Result<Layout, Failure>,
    ) -> Result<(Self, Layout), Failure> {
        let facts = schema(bound)?;
        check_maps(&facts).map_err(|c| Failure::new(c.message))?;
        let wanted: Vec<&str> =
            ["id", "target", "relevance"].into_iter().filter(|n| facts.column(n).is_some()).collect();
        let frame = read(bound, Some(&wanted))?;
        let maps = frame.tensor_f32("relevance")?;
        let layout = layout(&maps.row_shape)?;
        let ids = ids(&frame)?;
        let plane = |(row, map): (usize, &[f32])| {
            layout
                .plane(map)
                .map_err(|e| Failure::new(e.0).context(format!("the map of the row {}", ids[row])))
        };
        let rows = maps.values.chunks_exact(maps.row_size().max(1)).enumerate();
        let planes = rows.map(plane).collect::<Result<_, _>>()?;
        let targets = if frame.has("target") { frame.i64s("target").ok() } else { None };
        Ok((Planes { ids, planes, targets }, layout))
    }

    /// The planes in the order of other ids.
    pub fn ordered(mut self, ids: &[String]) -> Result<Vec<Vec<f32>>, Failure> {
        let rows = matched(ids, &self.ids, "maps")?;
        Ok(rows.into_iter().map(|row| std::mem::take(&mut self.planes[row])).collect())
    }
}

/// Images with what is true of them.
pub struct Images {
    pub ids: Vec<String>,
    /// The column that holds them.
    pub column: String,
    pub layout: Layout,
    pub tensor: Tensor<f32>,
    /// True classes, if the table has a column with them.
    pub classes: Option<Vec<i64>>,
}

/// The columns of images: input and, if there is one or it is named, the class.
pub fn columns(
    table: &TableFacts,
    input: Option<&str>,
    target: Option<&str>,
) -> Result<(String, Option<String>), Complaint> {
    let input = facts::input_column(table, input, "input")?;
    let target = match target {
        Some(_) => Some(facts::target_column(table, target)?),
        None => facts::target_column(table, None).ok(),
    };
    let whole = |name: &String| {
        let dtype = table.column(name).map_or("", |c| c.dtype.as_str());
        dtype.starts_with("int") || dtype.starts_with("uint") || dtype == "bool"
    };
    match target {
        Some(name) if !whole(&name) => {
            Err(Complaint::param("target", format!("the column `{name}` does not hold class numbers"))
                .hint("recode it with table.sql, or name another with `target: …`"))
        }
        other => Ok((input, other)),
    }
}

impl Images {
    /// Reads the images at a port.
    pub fn read(
        bound: &Bound,
        input: Option<&str>,
        target: Option<&str>,
        channels: Channels,
    ) -> Result<Self, Failure> {
        let facts = schema(bound)?;
        let (input, target) = columns(&facts, input, target).map_err(|c| Failure::new(c.message))?;
        let id = facts.column("id").map(|_| "id");
        let wanted: Vec<&str> = [id, Some(input.as_str()), target.as_deref()].into_iter().flatten().collect();
        let frame = read(bound, Some(&wanted))?;
        let tensor = frame.tensor_f32(&input)?;
        let layout = layout(&input, &tensor.row_shape, channels)?;
        let classes = target.map(|name| frame.i64s(&name)).transpose()?;
        Ok(Images { ids: ids(&frame)?, column: input, layout, tensor, classes })
    }

    /// One image.
    pub fn of(&self, row: usize) -> &[f32] {
        let each = self.layout.values();
        self.tensor.values.get(row * each..(row + 1) * each).unwrap_or_default()
    }

    /// Only the images that have these ids, in their order.
    pub fn ordered(self, ids: &[String]) -> Result<Self, Failure> {
        let rows = matched(ids, &self.ids, "images")?;
        let values = rows.iter().flat_map(|row| self.of(*row)).copied().collect();
        let classes = self.classes.as_ref().map(|all| rows.iter().map(|row| all[*row]).collect());
        Ok(Images {
            ids: ids.to_vec(),
            tensor: Tensor { values, row_shape: self.tensor.row_shape },
            classes,
            ..self
        })
    }
}
