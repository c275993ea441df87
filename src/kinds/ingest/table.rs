//! `ingest.table`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bids::{self, Levels};
use super::{FILE, ID, complaint, files, one_source};
use crate::fs::Context;
use crate::kinds::artefacts::put_table;
use crate::stage::{
    Complaint, Facts, Failure, FileIn, FileParam, InferContext, Io, Kind, Outputs, Port, PortType, Ports,
};
use crate::table::text::{self, CsvOptions, Source, TextOptions};
use crate::table::{self, Frame};

/// A JSON file is read for its schema before a run only up to this size: an array has to be parsed.
const LOOK_AT_MOST: u64 = 256 << 20;

/// `ingest.table`: files of rows become a table.
pub struct Table;

/// What a file holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Told by the file's first bytes.
    #[default]
    Auto,
    /// Text, cells separated by commas unless `delimiter` says otherwise.
    Csv,
    /// Text, cells separated by tabs.
    Tsv,
    /// A table of BIDS, such as `events.tsv`: cells separated by tabs, missing ones `n/a`.
    Bids,
    /// An array of objects.
    Json,
    /// An object a line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow's file format (Feather 2).
    Arrow,
}

/// Parameters of `ingest.table`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// A file, or a glob such as `data/*.csv`; the rows of several files are stacked in the order of
    /// their names. Left out where the port `file` is bound.
    #[serde(default)]
    pub path: Option<String>,
    /// What the files hold.
    #[serde(default)]
    pub format: Format,
    /// The columns to keep, in this order. Left out, all are kept.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
    /// The column that identifies rows; it is renamed to `id`. Left out, a column `id` is used as it
    /// is, and if there is none, the row's number becomes the `id`.
    #[serde(default)]
    pub id: Option<String>,
    /// Add a column of this name with the name of the file that each row comes from.
    #[serde(default)]
    pub file_column: Option<String>,
    /// Text: types of columns, for example `{ age: float32, code: string }`. Left out, a column has the
    /// narrowest of bool, int64, float64, date, datetime and string that fits.
    #[serde(default)]
    pub dtypes: IndexMap<String, String>,
    /// Text: the number of rows, of the first file, that decide the types of columns.
    #[serde(default = "infer_rows")]
    pub infer_rows: usize,
    /// Text: cells that stand for a missing value.
    #[serde(default = "null_values")]
    pub null_values: Vec<String>,
    /// BIDS: the JSON file that describes the columns. Those with `Levels` are text, and hold nothing else.
    #[serde(default)]
    pub sidecar: Option<String>,
    /// CSV: the character between two cells. Left out, the commonest of comma, tab and semicolon in the
    /// first line.
    #[serde(default)]
    pub delimiter: Option<String>,
    /// CSV: the character around cells that hold delimiters; an empty text if there is none.
    #[serde(default = "quote")]
    pub quote: String,
    /// CSV: whether the first line holds the names of the columns. If not, they are `column_1`,
    /// `column_2`, ….
    #[serde(default = "yes")]
    pub header: bool,
}

fn infer_rows() -> usize {
    10_000
}

fn null_values() -> Vec<String> {
    vec![String::new(), "NA".to_owned()]
}

fn quote() -> String {
    "\"".to_owned()
}

fn yes() -> bool {
    true
}

impl Params {
    fn text_options(&self, levels: Option<&Levels>) -> TextOptions {
        let mut dtypes = self.dtypes.clone();
        for column in levels.into_iter().flat_map(Levels::columns) {
            dtypes.entry(column.to_owned()).or_insert_with(|| "string".to_owned());
        }
        let null_values = match self.format {
            Format::Bids => vec![bids::MISSING.to_owned()],
            _ => self.null_values.clone(),
        };
        TextOptions { dtypes, infer_rows: self.infer_rows.max(1), null_values }
    }

    fn csv_options(&self, format: Format, head: &[u8]) -> Result<CsvOptions, Complaint> {
        let delimiter = match (&self.delimiter, format) {
            (Some(text), _) => one_byte("delimiter", text)?,
            (None, Format::Tsv | Format::Bids) => b'\t',
            (None, _) => text::sniff_delimiter(head),
        };
        let quote = match self.quote.as_str() {
            "" => None,
            text => Some(one_byte("quote", text)?),
        };
        Ok(CsvOptions { delimiter, quote, header: self.header, columns: self.columns.clone() })
    }
}

fn one_byte(param: &str, text: &str) -> Result<u8, Complaint> {
    match text.as_bytes() {
        [byte] if !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        _ if text == "\\t" => Ok(b'\t'),
        _ => Err(Complaint::param(param, format!("`{text}` is not one ASCII character"))),
    }
}

/// The format of a file, and its first bytes.
fn look(params: &Params, path: &Path) -> Result<(Format, Vec<u8>), Failure> {
    let mut head = Vec::new();
    let file = File::open(path).at("open", path)?;
    file.take(1 << 16).read_to_end(&mut head).at("read", path)?;
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
    let first = text.iter().find(|b| !b.is_ascii_whitespace());
    let format = match params.format {
        Format::Auto if head.starts_with(b"PAR1") => Format::Parquet,
        Format::Auto if head.starts_with(b"ARROW1") => Format::Arrow,
        Format::Auto => match first {
            Some(b'[') => Format::Json,
            Some(b'{') => Format::Ndjson,
            _ => Format::Csv,
        },
        stated => stated,
    };
    Ok((format, head))
}

/// Reads the files, or for a schema alone at most `limit` rows of text. Gives also the rows of each file.
fn read(
    params: &Params,
    files: &[FileIn],
    sidecar: Option<&Path>,
    limit: Option<usize>,
) -> Result<(Frame, Vec<usize>), Failure> {
    let Some(first) = files.first() else {
        return Err(Failure::new("there is no file to read"));
    };
    let (format, head) = look(params, &first.path)?;
    let sources: Vec<Source> = files.iter().map(|f| Source { name: &f.name, path: &f.path }).collect();
    match format {
        Format::Auto | Format::Csv | Format::Tsv | Format::Bids => {
            let csv = params.csv_options(format, &head).map_err(|c| Failure::new(c.message))?;
            let levels = sidecar.map(Levels::read).transpose()?;
            let (frame, counts) =
                text::read_csv(&sources, &csv, &params.text_options(levels.as_ref()), limit)?;
            if let Some(levels) = levels {
                levels.check(&frame).map_err(|f| f.context(&first.name))?;
            }
            Ok((frame, counts))
        }
        Format::Json | Format::Ndjson => {
            let (frame, counts) = text::read_json(&sources, &params.text_options(None), limit)?;
            Ok((keep(&frame, params)?, counts))
        }
        Format::Parquet | Format::Arrow => {
            let mut frame = Frame::new();
            let mut counts = Vec::new();
            for file in files {
                let part = match (format, limit) {
                    (Format::Parquet, None) => table::read_path(&file.path, None)?,
                    (_, None) => table::read_arrow(&file.path)?,
                    (Format::Parquet, Some(_)) => table::schema_of(&file.path)?,
                    (_, Some(_)) => table::arrow_schema_of(&file.path)?,
                };
                counts.push(part.rows());
                frame.vstack(&part).map_err(|f| f.context(&file.name))?;
            }
            Ok((keep(&frame, params)?, counts))
        }
    }
}

fn keep(frame: &Frame, params: &Params) -> Result<Frame, Failure> {
    match &params.columns {
        Some(columns) => {
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            frame.select(&columns)
        }
        None => Ok(frame.clone()),
    }
}

/// Adds `id` in front and the file's name, if asked, at the end.
fn complete(params: &Params, frame: &Frame, files: &[FileIn], counts: &[usize]) -> Result<Frame, Failure> {
    let mut whole = Frame::new();
    let source = params.id.as_deref().unwrap_or(ID);
    if frame.has(source) {
        if source != ID && frame.has(ID) {
            return Err(Failure::new(format!("`{source}` cannot be the `id`: there is a column `id`")));
        }
        whole.push_renamed(frame, source, ID)?;
    } else if let Some(missing) = &params.id {
        // Says which columns there are.
        frame.select(&[missing.as_str()])?;
    } else {
        whole.push_i64s(ID, (0..frame.rows() as i64).collect())?;
    }
    for name in frame.names().into_iter().filter(|n| *n != source) {
        whole.push_column_of(frame, name)?;
    }
    if let Some(name) = &params.file_column {
        let repeated = files.iter().zip(counts);
        let values: Vec<&str> =
            repeated.flat_map(|(file, rows)| std::iter::repeat_n(file.name.as_str(), *rows)).collect();
        whole.push_strings(name, &values)?;
    }
    Ok(whole)
}

impl Kind for Table {
    type Params = Params;

    const NAME: &'static str = "ingest.table";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Reads rows from csv, tsv, json, ndjson, parquet and arrow files.

The format is told by the file's bytes, not its name. In text, types are decided by the first \
`infer_rows` rows and do not depend on quoting, so rewriting a file with other quotes changes nothing \
downstream; whole numbers with leading zeros stay text. A cell that does not fit is an error with file \
and line. Nested JSON objects become columns such as `a.b`; lists of numbers of one shape become tensor \
columns, other lists text.

`format: bids` reads the tables of the Brain Imaging Data Structure, such as `sub-01_task-rest_events.tsv`, \
by their rules; with their `sidecar` a cell that is none of its column's levels is an error.

Rows are identified by a column `id`: the column named by `id`, else a column of that name, else the \
row's number.";
    const EXAMPLE: &'static str = "\
penguins:
  uses: ingest.table
  with:
    path: data/penguins/penguins.csv
    null_values: [\"\", NA]
    dtypes: { year: int32 }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("file", PortType::File, FILE).optional()],
            outputs: vec![Port::new("table", PortType::Table, "The rows of all files.")],
            ..Ports::default()
        }
    }

    fn files(params: &Params) -> Vec<FileParam> {
        let named = params.path.iter().map(|path| files("path", path, params.file_column.is_some()));
        named.chain(params.sidecar.iter().map(|path| files("sidecar", path, false))).collect()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.csv_options(params.format, b"")?;
        if params.sidecar.is_some() && params.format != Format::Bids {
            return Err(Complaint::param("sidecar", "only tables of BIDS have a sidecar")
                .hint("write `format: bids`"));
        }
        one_source(params.path.as_ref(), context, "csv")?;
        let Some(paths) = context.files.get("path") else {
            return Ok(Outputs::new());
        };
        let named = |path: &PathBuf| FileIn {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.clone(),
        };
        let files: Vec<FileIn> = paths.iter().map(named).collect();
        let failed = |failure| complaint("path", failure);
        let sidecar = context.files.get("sidecar").and_then(|s| s.first()).map(PathBuf::as_path);
        if let Some(first) = paths.first() {
            let size = std::fs::metadata(first).map_or(0, |m| m.len());
            let format = look(params, first).map_err(failed)?.0;
            if format == Format::Json && size > LOOK_AT_MOST {
                return Ok(Outputs::new());
            }
        }
        let (frame, counts) = read(params, &files, sidecar, Some(0)).map_err(failed)?;
        let mut facts = complete(params, &frame, &files, &counts).map_err(failed)?.facts();
        facts.rows = None;
        Ok(Outputs::from([("table".to_owned(), Facts::Table(facts))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let bound = io.optional("file").map(|b| FileIn { name: "file".to_owned(), path: b.path.clone() });
        let files = bound.map_or_else(|| io.files("path").to_vec(), |file| vec![file]);
        let sidecar =
            params.sidecar.iter().flat_map(|_| io.files("sidecar")).next().map(|f| f.path.as_path());
        let (frame, counts) = read(params, &files, sidecar, None)?;
        let frame = complete(params, &frame, &files, &counts)?;
        let rows = frame.rows() as u64;
        io.progress.advance("rows", rows, Some(rows));
        io.check_cancelled()?;
        put_table(io, "table", frame)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
