//! CSV, TSV and their kin.

use std::fs::File;

use csv::{ReaderBuilder, StringRecord};
use polars::prelude::DataType;

use super::super::frame::Frame;
use super::super::{column_hint, dtype};
use super::cell::{Filler, Kind};
use super::{Source, TextOptions};
use crate::fs::Context;
use crate::stage::Failure;

/// How a file is cut into cells.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// Between two cells.
    pub delimiter: u8,
    /// Around a cell that holds delimiters; `None` if quotes mean nothing.
    pub quote: Option<u8>,
    /// Does the first line hold the names? Else they are `column_1`, `column_2`, ….
    pub header: bool,
    /// Keep these columns, in this order; else all.
    pub columns: Option<Vec<String>>,
}

struct Reader<'a> {
    source: Source<'a>,
    records: csv::Reader<File>,
    names: Vec<String>,
    /// The first record of a file without a header line.
    first: Option<StringRecord>,
}

impl<'a> Reader<'a> {
    fn open(source: Source<'a>, options: &CsvOptions) -> Result<Self, Failure> {
        let file = File::open(source.path).at("open", source.path)?;
        let mut records = ReaderBuilder::new()
            .has_headers(false)
            .delimiter(options.delimiter)
            .quoting(options.quote.is_some())
            .quote(options.quote.unwrap_or(b'"'))
            .buffer_capacity(1 << 16)
            .from_reader(file);
        let mut first = StringRecord::new();
        let some = records.read_record(&mut first).map_err(|e| damaged(source, &e))?;
        if !some {
            return Err(Failure::new(format!("{} is empty", source.name)));
        }
        let mut names: Vec<String> = if options.header {
            first.iter().map(|n| n.trim().to_owned()).collect()
        } else {
            (1..=first.len()).map(|n| format!("column_{n}")).collect()
        };
        if let Some(name) = names.first_mut().filter(|n| n.starts_with('\u{feff}')) {
            *name = name.trim_start_matches('\u{feff}').trim_matches('"').to_owned();
        }
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                let text = format!("{}: two columns are called `{name}`", source.name);
                return Err(Failure::new(text).hint("rename one of them in the file"));
            }
            if name.is_empty() {
                let text = format!("{}: column {} has no name", source.name, index + 1);
                return Err(Failure::new(text).hint("name it, or set `header: false`"));
            }
        }
        Ok(Reader { source, records, names, first: (!options.header).then_some(first) })
    }

    /// The next record, or false at the end.
    fn next(&mut self, record: &mut StringRecord) -> Result<bool, Failure> {
        if let Some(first) = self.first.take() {
            *record = first;
            return Ok(true);
        }
        self.records.read_record(record).map_err(|e| damaged(self.source, &e))
    }
}

fn damaged(source: Source, error: &csv::Error) -> Failure {
    let name = source.name;
    match error.kind() {
        csv::ErrorKind::Io(error) => Failure::new(format!("cannot read {name}: {error}")),
        csv::ErrorKind::Utf8 { pos, .. } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            Failure::new(format!("{name}:{line}: the line is not UTF-8")).hint("save the file as UTF-8")
        }
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            Failure::new(format!("{name}:{line}: {len} cells where the first line has {expected_len}"))
                .hint("check the delimiter and the quotes of that line")
        }
        _ => Failure::new(format!("{name}: {error}")),
    }
}

/// The table and how many rows came from each file.
pub(super) fn read(
    sources: &[Source],
    options: &CsvOptions,
    text: &TextOptions,
    limit: Option<usize>,
) -> Result<(Frame, Vec<usize>), Failure> {
    let Some(first) = sources.first() else {
        return Err(Failure::new("there are no files to read"));
    };
    let columns = decide(*first, options, text)?;
    let mut fillers: Vec<Filler> = columns.iter().filter_map(|c| Filler::of(&c.dtype)).collect();
    let mut record = StringRecord::new();
    let mut left = limit.unwrap_or(usize::MAX);
    let mut counts = Vec::with_capacity(sources.len());
    for source in sources {
        let mut reader = Reader::open(*source, options)?;
        let places = places(&reader, &columns, first.name)?;
        let before = left;
        while left > 0 && reader.next(&mut record)? {
            left -= 1;
            for ((column, place), filler) in columns.iter().zip(&places).zip(&mut fillers) {
                let cell = record.get(*place).unwrap_or_default();
                let missing = text.null_values.iter().any(|n| n == cell);
                if !filler.push((!missing).then_some(cell)) {
                    let line = record.position().map_or(1, csv::Position::line);
                    return Err(unfit(source.name, line, column, cell, text));
                }
            }
        }
        counts.push(before - left);
    }
    let mut frame = Frame::new();
    for (column, filler) in columns.iter().zip(fillers) {
        frame.push(filler.finish(&column.name, &column.dtype)?)?;
    }
    Ok((frame, counts))
}

struct Decided {
    name: String,
    dtype: DataType,
    stated: bool,
}

/// Names and types, from the first rows of the first file and what the user states.
fn decide(source: Source, options: &CsvOptions, text: &TextOptions) -> Result<Vec<Decided>, Failure> {
    let mut reader = Reader::open(source, options)?;
    let mut kinds = vec![Kind::Unknown; reader.names.len()];
    let mut record = StringRecord::new();
    for _ in 0..text.infer_rows {
        if !reader.next(&mut record)? {
            break;
        }
        for (kind, cell) in kinds.iter_mut().zip(&record) {
            if *kind != Kind::Text && !text.null_values.iter().any(|n| n == cell) {
                *kind = kind.or(Kind::of(cell));
            }
        }
    }
    let names: Vec<&str> = reader.names.iter().map(String::as_str).collect();
    let known = |name: &str, what: &str| {
        if names.contains(&name) {
            return Ok(());
        }
        let text = format!("{}: `{what}` names `{name}`, which is no column", source.name);
        Err(Failure::new(text).hint(column_hint(name, &names)))
    };
    for name in text.dtypes.keys() {
        known(name, "dtypes")?;
    }
    for name in options.columns.iter().flatten() {
        known(name, "columns")?;
    }
    let wanted: Vec<&str> = match &options.columns {
        Some(columns) => columns.iter().map(String::as_str).collect(),
        None => names.clone(),
    };
    wanted
        .into_iter()
        .map(|name| {
            let stated = text.dtypes.get(name);
            let index = names.iter().position(|n| *n == name).unwrap_or(0);
            let word = stated.map_or(kinds[index].word(), String::as_str);
            let dtype = stated_dtype(name, word)?;
            Ok(Decided { name: name.to_owned(), dtype, stated: stated.is_some() })
        })
        .collect()
}

/// The type that a word in `dtypes` means.
pub(super) fn stated_dtype(name: &str, word: &str) -> Result<DataType, Failure> {
    let word = if word == "datetime" { "datetime(us)" } else { word };
    dtype::parse(word, 0).filter(|dtype| Filler::of(dtype).is_some()).ok_or_else(|| {
        Failure::new(format!("`dtypes.{name}`: `{word}` is not a type that text can hold"))
            .hint("use bool, int8 … int64, uint8 … uint64, float32, float64, string, date or datetime")
    })
}

/// Where each column stands in this file.
fn places(reader: &Reader, columns: &[Decided], first: &str) -> Result<Vec<usize>, Failure> {
    columns
        .iter()
        .map(|column| {
            reader.names.iter().position(|n| *n == column.name).ok_or_else(|| {
                let names: Vec<&str> = reader.names.iter().map(String::as_str).collect();
                Failure::new(format!(
                    "{} has no column `{}`, which {first} has",
                    reader.source.name, column.name
                ))
                .hint(column_hint(&column.name, &names))
            })
        })
        .collect()
}

fn unfit(file: &str, line: u64, column: &Decided, cell: &str, text: &TextOptions) -> Failure {
    let cell: String = cell.chars().take(60).collect();
    let word = dtype::word(&column.dtype);
    let name = &column.name;
    let failure = Failure::new(format!("{file}:{line}: column `{name}`: `{cell}` is not {word}"));
    if column.stated {
        failure.hint(format!("correct the cell or `dtypes.{name}`, or add it to `null_values`"))
    } else {
        failure.hint(format!(
            "the first {} rows are {word}; state the type with `dtypes: {{ {name}: {} }}`",
            text.infer_rows,
            Kind::of(&cell).word()
        ))
    }
}
