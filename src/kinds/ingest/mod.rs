//! Kinds that bring files of the project in as tables.

pub mod arrays;
mod bids;
mod formats;
pub mod hdf5;
pub mod images;
#[cfg(feature = "models")]
pub mod model_file;
pub mod table;

use crate::stage::{Column, Complaint, Failure, FileForm, FileParam, InferContext};

/// The column that identifies rows.
const ID: &str = "id";

/// The facts of a generated `id` column: row numbers.
fn id_facts() -> Column {
    Column::new(ID, "int64")
}

/// What the port is for that some kinds have beside `path`.
const FILE: &str = "A pinned download `{ url: …, blake3: … }` or another stage's file, in place of `path`.";

/// The files that a parameter names.
fn files(param: &str, path: &str, names_matter: bool) -> FileParam {
    FileParam { param: param.to_owned(), path: path.to_owned(), form: FileForm::FileOrGlob, names_matter }
}

/// Refuses to read nothing, and to read from `path` and from the port `file`. Files have names such as `….ending`.
fn one_source(path: Option<&String>, context: &InferContext, ending: &str) -> Result<(), Complaint> {
    match (path, context.inputs.contains_key("file")) {
        (None, false) => Err(Complaint::param("path", "there is nothing to read")
            .hint(format!("write `path: data/….{ending}`, or `in: {{ file: {{ url: …, blake3: … }} }}`"))),
        (Some(_), true) => {
            Err(Complaint::param("path", "the port `file` is bound too: leave one of them out"))
        }
        _ => Ok(()),
    }
}

/// A failure to look at a file before a run, as a complaint about the parameter that names it.
fn complaint(param: &str, failure: Failure) -> Complaint {
    Complaint { message: failure.message, at: Some(param.to_owned()), within: None, hint: failure.hint }
}
