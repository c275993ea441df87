//! `ingest.hdf5`

use std::path::Path;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arrays::{Chosen, renamed};
use super::formats::hdf5::{Array, Hdf5};
use super::{FILE, ID, complaint, files, id_facts, one_source};
use crate::kinds::artefacts::put_table;
use crate::stage::{
    Column, Complaint, Facts, Failure, FileParam, InferContext, Io, Kind, Outputs, Port, PortType, Ports,
    TableFacts,
};
use crate::table::Frame;

/// The column that says which row of the file's table a value of its lists belongs to.
const ROW: &str = "row";
/// The column of times that a series has or that its clock makes.
const TIMES: &str = "timestamps";

/// `ingest.hdf5`: datasets of an HDF5 file become a table.
pub struct IngestHdf5;

/// Parameters of `ingest.hdf5`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The file. Left out where the port `file` is bound.
    #[serde(default)]
    pub path: Option<String>,
    /// The group to read, for example `units` or `intervals/trials`. Left out, the file's root.
    #[serde(default)]
    pub group: String,
    /// Column → dataset in the group (`a/b` below it, `/a/b` from the file's root), or a list of names.
    /// Left out, every dataset of the group becomes a column.
    #[serde(default, deserialize_with = "renamed")]
    #[schemars(with = "Chosen")]
    pub columns: IndexMap<String, String>,
    /// A column with a list in each row, such as `spike_times`: one row is made of each of its values.
    #[serde(default)]
    pub explode: Option<String>,
}

/// A column with lists: all values, and where each row's end among them.
struct Lists {
    column: String,
    values: Array,
    ends: Array,
}

/// What a table is made of.
struct Survey {
    columns: Vec<(String, Array)>,
    lists: Option<Lists>,
    /// Start and rate of the column of times to add.
    clock: Option<(f64, f64)>,
    rows: usize,
}

fn index_of(name: &str) -> String {
    format!("{name}_index")
}

/// The whole group: datasets that end lists are no columns.
fn whole_group(params: &Params, file: &Hdf5) -> Result<Survey, Failure> {
    let mut arrays = file.arrays(&params.group)?;
    let names: Vec<String> = arrays.iter().map(|a| a.facts.name.clone()).collect();
    let listed = |name: &str| names.iter().any(|n| *n == index_of(name));
    let ends = |name: &str| name.strip_suffix("_index").is_some_and(|base| names.iter().any(|n| n == base));
    let mut lists = None;
    if let Some(wanted) = &params.explode {
        if listed(&index_of(wanted)) {
            return Err(Failure::new(format!("`{wanted}` holds lists of lists")));
        }
        let mut take = |name: &str| {
            let at = arrays.iter().position(|a| a.facts.name == name)?;
            Some(arrays.remove(at))
        };
        let (Some(values), Some(ends)) = (take(wanted), take(&index_of(wanted))) else {
            return Err(no_lists(wanted));
        };
        lists = Some(Lists { column: wanted.clone(), values, ends });
    } else if let Some(name) = names.iter().find(|n| listed(n)) {
        return Err(Failure::new(format!("`{name}` has a list in each row"))
            .hint(format!("`explode: {name}` makes a row of each value; `columns` leaves it out")));
    }
    arrays.retain(|a| !listed(&a.facts.name) && !ends(&a.facts.name));
    if arrays.is_empty() && lists.is_none() {
        let text = format!("group `{}` has no dataset with rows of numbers or text", params.group);
        return Err(Failure::new(text).hint("name a group further down in `group`"));
    }
    let timed = arrays.iter().any(|a| a.facts.name == TIMES);
    let clock = if timed { None } else { file.clock(&params.group) };
    let columns = arrays.into_iter().map(|a| (a.facts.name.clone(), a)).collect();
    Ok(Survey { columns, lists, clock, rows: 0 })
}

fn no_lists(name: &str) -> Failure {
    Failure::new(format!("`explode` names `{name}`, which has no lists"))
        .hint("lists are a dataset `x` with all values and a dataset `x_index` with the end of each row's")
}

/// The columns that are named.
fn chosen(params: &Params, file: &Hdf5) -> Result<Survey, Failure> {
    let mut survey = Survey { columns: Vec::new(), lists: None, clock: None, rows: 0 };
    for (column, dataset) in &params.columns {
        let path = match dataset.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => format!("{}/{dataset}", params.group),
        };
        let path = path.trim_matches('/');
        let array = file.array(path)?;
        if params.explode.as_ref() == Some(column) {
            let ends = file.array(&index_of(path)).map_err(|_| no_lists(column))?;
            survey.lists = Some(Lists { column: column.clone(), values: array, ends });
        } else {
            survey.columns.push((column.clone(), array));
        }
    }
    if let (Some(name), None) = (&params.explode, &survey.lists) {
        return Err(Failure::new(format!("`explode` names `{name}`, which is none of `columns`")));
    }
    Ok(survey)
}

/// The columns, checked to have the same number of rows.
fn survey(params: &Params, path: &Path) -> Result<Survey, Failure> {
    let file = Hdf5::open(path)?;
    let found = if params.columns.is_empty() { whole_group(params, &file) } else { chosen(params, &file) };
    let mut found = found.map_err(|f| f.context(path.display()))?;
    let ends = found.lists.iter().map(|l| (l.ends.facts.name.as_str(), l.ends.rows()));
    let columns = found.columns.iter().map(|(name, array)| (name.as_str(), array.rows()));
    let mut rows = ends.chain(columns);
    if let Some((first, count)) = rows.next() {
        if let Some((name, other)) = rows.find(|(_, other)| *other != count) {
            return Err(Failure::new(format!(
                "{}: `{first}` has {count} rows, `{name}` has {other}",
                path.display()
            ))
            .hint("choose datasets of equal length with `columns`"));
        }
        found.rows = count;
    }
    Ok(found)
}

impl Survey {
    fn facts(&self) -> TableFacts {
        let mut columns = vec![id_facts()];
        let ids = self.columns.iter().find(|(name, _)| name == ID);
        if self.lists.is_some() {
            columns.push(ids.map_or_else(|| Column::new(ROW, "int64"), |(_, a)| a.facts.column(ROW)));
        } else if let Some((_, ids)) = ids {
            columns[0] = ids.facts.column(ID);
        }
        let others = self.columns.iter().filter(|(name, _)| name != ID);
        columns.extend(others.map(|(name, array)| array.facts.column(name)));
        columns.extend(self.clock.map(|_| Column::new(TIMES, "float64")));
        columns.extend(self.lists.iter().map(|l| l.values.facts.column(&l.column)));
        let rows = self.lists.as_ref().map_or(self.rows, |l| l.values.rows());
        TableFacts { rows: Some(rows as u64), columns }
    }

    /// The rows of the file's table; where they are to be exploded, their `id` is called `row`.
    fn frame(&self) -> Result<Frame, Failure> {
        let mut frame = Frame::new();
        let id = if self.lists.is_some() { ROW } else { ID };
        match self.columns.iter().find(|(name, _)| name == ID) {
            Some((_, ids)) => ids.push(&mut frame, id)?,
            None => frame.push_i64s(id, (0..self.rows as i64).collect())?,
        }
        for (name, array) in self.columns.iter().filter(|(name, _)| name != ID) {
            array.push(&mut frame, name)?;
        }
        if let Some((start, rate)) = self.clock {
            frame.push_f64s(TIMES, (0..self.rows).map(|i| start + i as f64 / rate).collect())?;
        }
        Ok(frame)
    }
}

impl Lists {
    /// One row for each value, beside the row that its list is in.
    fn explode(&self, rows: &Frame) -> Result<Frame, Failure> {
        let count = self.values.rows();
        let mut of = Vec::with_capacity(count);
        for (row, end) in self.ends.counts()?.into_iter().enumerate() {
            if end < of.len() || end > count {
                return Err(Failure::new(format!(
                    "row {row}'s list in `{}` ends at {end} of {count} values, behind the one before or too far",
                    self.column
                )));
            }
            of.resize(end, row);
        }
        if of.len() < count {
            return Err(Failure::new(format!(
                "the lists in `{}` end at {} of {count} values",
                self.column,
                of.len()
            )));
        }
        let mut frame = Frame::new();
        frame.push_i64s(ID, (0..count as i64).collect())?;
        let repeated = rows.take(&of)?;
        for name in repeated.names() {
            frame.push_column_of(&repeated, name)?;
        }
        self.values.push(&mut frame, &self.column)?;
        Ok(frame)
    }
}

impl Kind for IngestHdf5 {
    type Params = Params;

    const NAME: &'static str = "ingest.hdf5";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Reads datasets of an HDF5 file, such as an NWB recording, as a table.

The datasets of a group become columns: the first axis counts rows, further axes make a tensor column. Of \
an NWB file, `units`, `intervals/trials` and a series such as `acquisition/eye` are groups. Integers, \
floats (16 to 64 bit), truth values and text are read, plain, chunked or packed with gzip, shuffle, \
Fletcher-32, n-bit, scale-offset or szip; enumerations are read as their numbers. Datasets with records, \
references or a single value are left out, and refused where `columns` names them.

Lists of varying length, a dataset `x` with all values and `x_index` with the end of each row's, are opened \
by `explode: x`: a row for each value, with the `id` of its row in the column `row`; other lists are left \
out. A series that is sampled evenly (`starting_time` with a `rate`) gets its column `timestamps`, in \
seconds. Values are those stored: a series' `conversion` is not applied.

Links lead to their targets within the file. What lies in other files is not read. A column `id` with the \
row's number is added unless a dataset makes one.";
    const EXAMPLE: &'static str = "\
spikes:
  uses: ingest.hdf5
  with:
    path: recording.nwb
    group: units
    explode: spike_times
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("file", PortType::File, FILE).optional()],
            outputs: vec![Port::new("table", PortType::Table, "The rows of the datasets.")],
            ..Ports::default()
        }
    }

    fn files(params: &Params) -> Vec<FileParam> {
        params.path.iter().map(|path| files("path", path, false)).collect()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        one_source(params.path.as_ref(), context, "nwb")?;
        let Some(paths) = context.files.get("path") else {
            return Ok(Outputs::new());
        };
        let [path] = paths.as_slice() else {
            let text = format!("the pattern matches {} files, not one", paths.len());
            return Err(
                Complaint::param("path", text).hint("a `matrix` over the files makes a table of each")
            );
        };
        let facts = survey(params, path).map_err(|f| complaint("path", f))?.facts();
        Ok(Outputs::from([("table".to_owned(), Facts::Table(facts))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let bound = io.optional("file").map(|b| b.path.clone());
        let path = bound.or_else(|| io.files("path").first().map(|f| f.path.clone()));
        let path = path.ok_or_else(|| Failure::new("there is no file to read"))?;
        let found = survey(params, &path)?;
        let made = || {
            let frame = found.frame()?;
            found.lists.as_ref().map_or(Ok(frame.clone()), |lists| lists.explode(&frame))
        };
        let frame = made().map_err(|f: Failure| f.context(path.display()))?;
        let rows = frame.rows() as u64;
        io.progress.advance("rows", rows, Some(rows));
        io.check_cancelled()?;
        put_table(io, "table", frame)
    }
}

#[cfg(test)]
mod tests;
