//! `ingest.arrays`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats::{self, ONLY};
use super::{ID, complaint, files, id_facts};
use crate::kinds::artefacts::put_table;
use crate::spec::suggest::nearest;
use crate::stage::{
    Complaint, Facts, Failure, FileParam, InferContext, Io, Kind, Outputs, Port, PortType, Ports, TableFacts,
};
use crate::table::{ArrayFacts, Frame};

/// `ingest.arrays`: numeric arrays become a table.
pub struct Arrays;

/// Parameters of `ingest.arrays`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// A file of arrays, or a glob; the rows of several files are stacked in the order of their names.
    #[serde(default)]
    pub path: Option<String>,
    /// Column → file with one array in it, for arrays that lie in separate files.
    #[serde(default)]
    pub arrays: IndexMap<String, String>,
    /// Column → name of an array in `path`, or a list of names. Left out, every array becomes a column of
    /// its name.
    #[serde(default, deserialize_with = "renamed")]
    #[schemars(with = "Chosen")]
    pub columns: IndexMap<String, String>,
}

/// How `columns` may be written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Chosen {
    /// Arrays that keep their names.
    Names(Vec<String>),
    /// Column → array.
    Renamed(IndexMap<String, String>),
}

pub(super) fn renamed<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<IndexMap<String, String>, D::Error> {
    Ok(match Chosen::deserialize(from) {
        Ok(Chosen::Names(names)) => names.into_iter().map(|name| (name.clone(), name)).collect(),
        Ok(Chosen::Renamed(columns)) => columns,
        Err(_) => {
            return Err(serde::de::Error::custom(
                "expected a list of names, or a map of column to array name",
            ));
        }
    })
}

/// A column to make: from which files, which array in each.
struct Wanted {
    column: String,
    param: String,
    /// The array's name, `None` for the only one.
    array: Option<String>,
}

impl Params {
    /// The columns to make, given what the first file of `path` holds.
    fn wanted(&self, held: &[ArrayFacts]) -> Vec<Wanted> {
        let of_path = |column: &str, array: &str| Wanted {
            column: column.to_owned(),
            param: "path".to_owned(),
            array: Some(array.to_owned()),
        };
        let mut wanted: Vec<Wanted> = if self.columns.is_empty() {
            held.iter().map(|a| of_path(&a.name, &a.name)).collect()
        } else {
            self.columns.iter().map(|(c, a)| of_path(c, a)).collect()
        };
        wanted.extend(self.arrays.keys().map(|column| Wanted {
            column: column.clone(),
            param: format!("arrays.{column}"),
            array: None,
        }));
        wanted
    }

    fn check(&self) -> Result<(), Complaint> {
        if self.path.is_none() && self.arrays.is_empty() {
            return Err(Complaint::param("path", "there is nothing to read")
                .hint("give `path: file.npy`, or `arrays: { column: file.npy }`"));
        }
        if self.path.is_none() && !self.columns.is_empty() {
            return Err(Complaint::param("columns", "`columns` names arrays of `path`, which is not set"));
        }
        Ok(())
    }
}

/// The array in `held` that is wanted.
fn pick<'a>(wanted: &Wanted, held: &'a [ArrayFacts], path: &Path) -> Result<&'a ArrayFacts, Failure> {
    let file = path.display();
    match (&wanted.array, held) {
        (None, [only]) => Ok(only),
        (None, _) => Err(Failure::new(format!("{file} holds {} arrays", held.len()))
            .hint("name it in `path`, and choose arrays with `columns`")),
        (Some(name), _) => held.iter().find(|a| a.name == *name).ok_or_else(|| {
            let names: Vec<&str> = held.iter().map(|a| a.name.as_str()).collect();
            let near = nearest(name, names.iter().copied()).map(str::to_owned);
            let hint = near.map_or_else(
                || format!("it holds `{}`", names.join("`, `")),
                |near| format!("did you mean `{near}`?"),
            );
            Failure::new(format!("{file} has no array `{name}`")).hint(hint)
        }),
    }
}

/// One column's facts over all its files, whose arrays agree in all but the number of rows.
fn column_facts(wanted: &Wanted, files: &[PathBuf]) -> Result<ArrayFacts, Failure> {
    let mut joined: Option<ArrayFacts> = None;
    for path in files {
        let held = formats::headers(path)?;
        let found = pick(wanted, &held, path)?;
        let rows = found.rows().map_err(|f| f.context(path.display()))?;
        match &mut joined {
            None => joined = Some(found.clone()),
            Some(joined) => {
                if (joined.element, &joined.shape[1..]) != (found.element, &found.shape[1..]) {
                    return Err(Failure::new(format!(
                        "{}: array `{}` has other types or axes than in the first file",
                        path.display(),
                        found.name
                    )));
                }
                joined.shape[0] = joined.shape[0].saturating_add(rows);
            }
        }
    }
    joined.ok_or_else(|| Failure::new(format!("no file for column `{}`", wanted.column)))
}

/// The columns with their facts, checked to have the same number of rows.
fn survey(
    params: &Params,
    files: &BTreeMap<String, Vec<PathBuf>>,
) -> Result<Vec<(Wanted, ArrayFacts)>, (String, Failure)> {
    let of = |param: &str| files.get(param).map_or(&[][..], Vec::as_slice);
    let held = match of("path").first() {
        Some(first) => formats::headers(first).map_err(|f| ("path".to_owned(), f))?,
        None => Vec::new(),
    };
    let mut found: Vec<(Wanted, ArrayFacts)> = Vec::new();
    for wanted in params.wanted(&held) {
        let facts = column_facts(&wanted, of(&wanted.param));
        let facts = facts.map_err(|f| (wanted.param.clone(), f))?;
        if let Some((first, other)) = found.first().filter(|(_, f)| f.shape[0] != facts.shape[0]) {
            let text = format!(
                "column `{}` has {} rows, column `{}` has {}",
                first.column, other.shape[0], wanted.column, facts.shape[0]
            );
            let failure = Failure::new(text).hint("choose arrays of equal length with `columns`");
            return Err((wanted.param, failure));
        }
        found.push((wanted, facts));
    }
    Ok(found)
}

impl Kind for Arrays {
    type Params = Params;

    const NAME: &'static str = "ingest.arrays";
    const REVISION: u32 = 2;
    const ABOUT: &'static str = "\
Reads numeric arrays as a table: npy, npz, idx (MNIST, also gzipped) and safetensors.

The first axis counts rows. Further axes make the column a tensor column; an array with one axis is a \
plain column. The file's kind is told by its bytes, not its name. Integers, floats (16 to 64 bit), truth \
values and fixed-width text are read in either byte order and either axis order; pickled Python objects \
are refused, because reading them can run code.

In npz and safetensors files arrays have names, which become the names of the columns (`columns` selects \
and renames); the only array of an npy or idx file is called `value`. A column `id` with the row's number \
is added in front unless an array makes one.";
    const EXAMPLE: &'static str = "\
digits:
  uses: ingest.arrays
  with:
    arrays:
      image: data/digits/images.npy
      label: data/digits/labels.npy
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            outputs: vec![Port::new("table", PortType::Table, "One row for every entry of the first axis.")],
            ..Ports::default()
        }
    }

    fn files(params: &Params) -> Vec<FileParam> {
        let path = params.path.iter().map(|path| ("path".to_owned(), path));
        let arrays = params.arrays.iter().map(|(c, path)| (format!("arrays.{c}"), path));
        path.chain(arrays).map(|(param, path)| files(&param, path, false)).collect()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.check()?;
        if Self::files(params).iter().any(|f| !context.files.contains_key(&f.param)) {
            return Ok(Outputs::new());
        }
        let found = survey(params, &context.files).map_err(|(param, f)| complaint(&param, f))?;
        let mut columns = Vec::new();
        if !found.iter().any(|(w, _)| w.column == ID) {
            columns.push(id_facts());
        }
        columns.extend(found.iter().map(|(w, facts)| facts.column(&w.column)));
        let rows = found.first().map(|(_, facts)| facts.shape[0] as u64);
        let facts = Facts::Table(TableFacts { rows, columns });
        Ok(Outputs::from([("table".to_owned(), facts)]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let files: BTreeMap<String, Vec<PathBuf>> = io
            .files
            .iter()
            .map(|(param, files)| (param.clone(), files.iter().map(|f| f.path.clone()).collect()))
            .collect();
        let found = survey(params, &files).map_err(|(_, failure)| failure)?;
        let rows = found.first().map_or(0, |(_, facts)| facts.shape[0]);
        let mut frame = Frame::new();
        if !found.iter().any(|(w, _)| w.column == ID) {
            frame.push_i64s(ID, (0..rows as i64).collect())?;
        }
        for (wanted, facts) in &found {
            io.check_cancelled()?;
            let mut bytes = Vec::new();
            for path in files.get(&wanted.param).into_iter().flatten() {
                let name = wanted.array.as_deref().unwrap_or(ONLY);
                let name = if wanted.array.is_some() { name } else { &facts.name };
                let part = formats::values(path, name)?.1;
                if bytes.is_empty() { bytes = part } else { bytes.extend_from_slice(&part) }
            }
            frame.push_array(&wanted.column, facts, &bytes)?;
        }
        io.progress.advance("rows", rows as u64, Some(rows as u64));
        put_table(io, "table", frame)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::{column, run_files};
    use crate::stage::Stage;

    fn npy(descr: &str, shape: &str, values: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(values);
        bytes
    }

    #[test]
    fn separate_files_make_columns_and_the_plan_knows_the_schema() {
        let images = npy("|u1", "3, 1, 2", &[1, 2, 3, 4, 5, 6]);
        let labels: Vec<u8> = [7_i64, 8, 9].iter().flat_map(|v| v.to_be_bytes()).collect();
        let labels = npy(">i8", "3,", &labels);
        let with = serde_json::json!({"arrays": {"image": "i.npy", "label": "l.npy"}});
        let run = run_files(&Arrays, with, &[("i.npy", &images), ("l.npy", &labels)]).unwrap();
        let frame = run.table("table");
        assert_eq!(frame.names(), ["id", "image", "label"]);
        assert_eq!(frame.i64s("label").unwrap(), [7, 8, 9]);
        assert_eq!(frame.tensor_f32("image").unwrap().row_shape, [1, 2]);
        assert_eq!(run.inferred("table"), frame.facts());
        assert_eq!(column(&run.made("table"), "image").dtype, "tensor(uint8)");
    }

    #[test]
    fn files_of_a_glob_are_stacked() {
        let part = |values: &[u8]| npy("|i1", &format!("{}, 2", values.len() / 2), values);
        let with = serde_json::json!({"path": "*.npy", "columns": {"x": "value"}});
        let run = run_files(&Arrays, with, &[("a.npy", &part(&[1, 2])), ("b.npy", &part(&[3, 4, 5, 255]))]);
        let frame = run.unwrap().table("table");
        assert_eq!(frame.tensor_f32("x").unwrap().values, [1.0, 2.0, 3.0, 4.0, 5.0, -1.0]);
        assert_eq!(frame.i64s("id").unwrap(), [0, 1, 2]);
    }

    #[test]
    fn mistakes_are_found_before_a_run() {
        let bytes = npy("|u1", "3,", &[1, 2, 3]);
        let complaint = |with: serde_json::Value, files: &[(&str, &[u8])]| {
            run_files(&Arrays, with, files).err().expect("a complaint")
        };
        let with = serde_json::json!({"path": "a.npy", "columns": {"x": "valu"}});
        let text = complaint(with, &[("a.npy", &bytes)]);
        assert!(text.ends_with("a.npy has no array `valu` (did you mean `value`?)"), "{text}");
        let short = npy("|u1", "2,", &[1, 2]);
        let with = serde_json::json!({"arrays": {"a": "a.npy", "b": "b.npy"}});
        let text = complaint(with, &[("a.npy", &bytes), ("b.npy", &short)]);
        assert!(text.starts_with("column `a` has 3 rows, column `b` has 2"), "{text}");
        assert!(complaint(serde_json::json!({}), &[]).starts_with("there is nothing to read"));
        assert!(Arrays.check(&serde_json::json!({"paths": "a"})).is_err());
    }
}
