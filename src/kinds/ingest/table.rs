//! `ingest.table`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ID, complaint};
use crate::fs::Context;
use crate::kinds::artefacts::put_table;
use crate::stage::{
    Complaint, Facts, Failure, FileForm, FileIn, FileParam, InferContext, Io, Kind, Outputs, Port, PortType,
    Ports,
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
    fn text_options(&self) -> TextOptions {
        TextOptions {
            dtypes: self.dtypes.clone(),
            infer_rows: self.infer_rows.max(1),
            null_values: self.null_values.clone(),
        }
    }

    fn csv_options(&self, format: Format, head: &[u8]) -> Result<CsvOptions, Complaint> {
        let delimiter = match (&self.delimiter, format) {
            (Some(text), _) => one_byte("delimiter", text)?,
            (None, Format::Tsv) => b'\t',
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
fn read(params: &Params, files: &[FileIn], limit: Option<usize>) -> Result<(Frame, Vec<usize>), Failure> {
    let Some(first) = files.first() else {
        return Err(Failure::new("there is no file to read"));
    };
    let (format, head) = look(params, &first.path)?;
    let sources: Vec<Source> = files.iter().map(|f| Source { name: &f.name, path: &f.path }).collect();
    match format {
        Format::Auto | Format::Csv | Format::Tsv => {
            let csv = params.csv_options(format, &head).map_err(|c| Failure::new(c.message))?;
            text::read_csv(&sources, &csv, &params.text_options(), limit)
        }
        Format::Json | Format::Ndjson => {
            let (frame, counts) = text::read_json(&sources, &params.text_options(), limit)?;
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
        let file = "A pinned download `{ url: …, blake3: … }` or another stage's file, in place of `path`.";
        Ports {
            inputs: vec![Port::new("file", PortType::File, file).optional()],
            outputs: vec![Port::new("table", PortType::Table, "The rows of all files.")],
            ..Ports::default()
        }
    }

    fn files(params: &Params) -> Vec<FileParam> {
        let named = |path: &String| FileParam {
            param: "path".to_owned(),
            path: path.clone(),
            form: FileForm::FileOrGlob,
            names_matter: params.file_column.is_some(),
        };
        params.path.iter().map(named).collect()
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        params.csv_options(params.format, b"")?;
        match (&params.path, context.inputs.contains_key("file")) {
            (None, false) => {
                return Err(Complaint::param("path", "there is nothing to read")
                    .hint("write `path: data/….csv`, or `in: { file: { url: …, blake3: … } }`"));
            }
            (Some(_), true) => {
                return Err(Complaint::param("path", "the port `file` is bound too: leave one of them out"));
            }
            _ => {}
        }
        let Some(paths) = context.files.get("path") else {
            return Ok(Outputs::new());
        };
        let named = |path: &PathBuf| FileIn {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.clone(),
        };
        let files: Vec<FileIn> = paths.iter().map(named).collect();
        let failed = |failure| complaint("path", failure);
        if let Some(first) = paths.first() {
            let size = std::fs::metadata(first).map_or(0, |m| m.len());
            let format = look(params, first).map_err(failed)?.0;
            if format == Format::Json && size > LOOK_AT_MOST {
                return Ok(Outputs::new());
            }
        }
        let (frame, counts) = read(params, &files, Some(0)).map_err(failed)?;
        let mut facts = complete(params, &frame, &files, &counts).map_err(failed)?.facts();
        facts.rows = None;
        Ok(Outputs::from([("table".to_owned(), Facts::Table(facts))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let bound = io.optional("file").map(|b| FileIn { name: "file".to_owned(), path: b.path.clone() });
        let files = bound.map_or_else(|| io.files("path").to_vec(), |file| vec![file]);
        let (frame, counts) = read(params, &files, None)?;
        let frame = complete(params, &frame, &files, &counts)?;
        let rows = frame.rows() as u64;
        io.progress.advance("rows", rows, Some(rows));
        io.check_cancelled()?;
        put_table(io, "table", frame)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Run, run_files};

    const PLAIN: &str = "name,mass,year\nada,3750.5,2007\n\"o\"\"k\",NA,2008\n";

    fn ingest(with: serde_json::Value, files: &[(&str, &str)]) -> Result<Run, String> {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(n, text)| (*n, text.as_bytes())).collect();
        run_files(&Table, with, &files)
    }

    fn schema(run: &Run) -> Vec<(String, String)> {
        run.inferred("table").columns.into_iter().map(|c| (c.name, c.dtype)).collect()
    }

    #[test]
    fn the_plan_knows_the_schema_and_rows_have_an_id() {
        let run = ingest(json!({"path": "a.csv", "dtypes": {"year": "int16"}}), &[("a.csv", PLAIN)]).unwrap();
        let words = [("id", "int64"), ("name", "string"), ("mass", "float64"), ("year", "int16")];
        assert_eq!(schema(&run), words.map(|(n, d)| (n.to_owned(), d.to_owned())));
        let frame = run.table("table");
        assert_eq!(frame.facts().columns, run.inferred("table").columns);
        assert_eq!(frame.strings("name").unwrap(), ["ada", "o\"k"]);
        assert_eq!(frame.i64s("id").unwrap(), [0, 1]);
    }

    #[test]
    fn quotes_and_delimiters_and_line_ends_do_not_change_the_digests() {
        let digests = |file: &str| {
            let run = ingest(json!({"path": "a.csv"}), &[("a.csv", file)]).unwrap();
            run.made("table").columns
        };
        let plain = digests(PLAIN);
        assert!(plain.iter().all(|c| c.digest.is_some()));
        let quoted =
            "\"name\",\"mass\",\"year\"\r\n\"ada\",\"3750.5\",\"2007\"\r\n\"o\"\"k\",\"NA\",\"2008\"\r\n";
        assert_eq!(plain, digests(quoted));
        assert_eq!(plain, digests("name;mass;year\nada;3750.5;2007\n\"o\"\"k\";NA;2008"));
        assert_ne!(plain, digests(&PLAIN.replace("2008", "2009")));
    }

    #[test]
    fn a_glob_is_stacked_with_the_names_of_the_files() {
        let files = [("d/a.tsv", "k\tv\nx\t1\n"), ("d/b.tsv", "v\tk\n2\ty\n3\tz\n")];
        let run = ingest(json!({"path": "d/*.tsv", "id": "k", "file_column": "file"}), &files).unwrap();
        let frame = run.table("table");
        assert_eq!(frame.names(), ["id", "v", "file"]);
        assert_eq!(frame.strings("id").unwrap(), ["x", "y", "z"]);
        assert_eq!(frame.i64s("v").unwrap(), [1, 2, 3]);
        assert_eq!(frame.strings("file").unwrap(), ["d/a.tsv", "d/b.tsv", "d/b.tsv"]);
    }

    #[test]
    fn parquet_and_json_are_told_by_their_bytes() {
        let csv = ingest(json!({"path": "a.csv"}), &[("a.csv", PLAIN)]).unwrap();
        let parquet = csv.bytes("table");
        let with = || json!({"path": "a.data", "columns": ["id", "name"]});
        let again = run_files(&Table, with(), &[("a.data", &parquet)]).unwrap();
        assert_eq!(again.table("table").names(), ["id", "name"]);
        assert_eq!(again.made("table").columns[..], csv.made("table").columns[..2]);
        let json = r#"[{"id": 7, "name": "ada", "extra": null}]"#;
        let run = ingest(with(), &[("a.data", json)]).unwrap();
        assert_eq!(run.table("table").i64s("id").unwrap(), [7]);
        assert_eq!(schema(&run).len(), 2);
        let cut = &parquet[..parquet.len() / 2];
        let text = run_files(&Table, with(), &[("a.data", cut)]).err().unwrap();
        assert!(text.contains("a.data as Parquet"), "{text}");
    }

    #[test]
    fn mistakes_are_named() {
        let text = |with, file: &str| ingest(with, &[("a.csv", file)]).err().unwrap();
        let ragged = text(json!({"path": "a.csv"}), "a,b\n1,2\n3\n");
        assert!(ragged.starts_with("a.csv:3: 1 cells where the first line has 2"), "{ragged}");
        let id = text(json!({"path": "a.csv", "id": "nam"}), PLAIN);
        assert_eq!(id, "there is no column `nam` (did you mean `name`?)");
        let columns = text(json!({"path": "a.csv", "columns": ["name", "mas"]}), PLAIN);
        assert_eq!(columns, "a.csv: `columns` names `mas`, which is no column (did you mean `mass`?)");
        let delimiter = text(json!({"path": "a.csv", "delimiter": "ab"}), PLAIN);
        assert_eq!(delimiter, "`ab` is not one ASCII character");
        let word = text(json!({"path": "a.csv", "dtypes": {"mass": "float"}}), PLAIN);
        assert!(word.starts_with("`dtypes.mass`: `float` is not a type"), "{word}");
        let late = text(json!({"path": "a.csv", "infer_rows": 1}), "a\n1\nx\n");
        assert!(late.starts_with("a.csv:3: column `a`: `x` is not int64"), "{late}");
    }
}
