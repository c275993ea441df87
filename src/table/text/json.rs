//! JSON: an array of objects, or objects one after the other (one a line, as a rule).

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};

use indexmap::IndexMap;
use polars::prelude::{DataType, NamedFrom, Series};
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::super::dtype;
use super::super::frame::{Frame, size};
use super::cell::{Filler, Kind};
use super::csv::stated_dtype;
use super::{Source, TextOptions};
use crate::fs::Context;
use crate::stage::Failure;

/// What to do after a row.
#[derive(PartialEq)]
enum Next {
    More,
    Stop,
}

type Row = Map<String, Value>;
type OnRow<'a> = dyn FnMut(usize, Row) -> Result<Next, Failure> + 'a;

/// Calls `on_row` with every object of a file and its number, from 1.
fn rows(source: Source, on_row: &mut OnRow) -> Result<(), Failure> {
    let file = File::open(source.path).at("open", source.path)?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let named = |error: serde_json::Error| Failure::new(format!("{}: {error}", source.name));
    if first_byte(&mut reader).at("read", source.path)? != Some(b'[') {
        let objects = serde_json::Deserializer::from_reader(reader).into_iter::<Row>();
        for (index, row) in objects.enumerate() {
            if on_row(index + 1, row.map_err(named)?)? == Next::Stop {
                break;
            }
        }
        return Ok(());
    }
    let mut ended = None;
    let array = Array { on_row, ended: &mut ended };
    let mut json = serde_json::Deserializer::from_reader(reader);
    let result = array.deserialize(&mut json).and_then(|()| json.end());
    match (ended, result) {
        (Some(ended), _) => ended,
        (None, result) => result.map_err(named),
    }
}

/// The first byte that is no white space, left in the reader.
fn first_byte(reader: &mut impl BufRead) -> std::io::Result<Option<u8>> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let blank = |b: &u8| b.is_ascii_whitespace() || [0xef, 0xbb, 0xbf].contains(b);
        match buffer.iter().position(|b| !blank(b)) {
            Some(place) => {
                let byte = buffer[place];
                reader.consume(place);
                return Ok(Some(byte));
            }
            None => {
                let length = buffer.len();
                reader.consume(length);
            }
        }
    }
}

/// Walks an array without holding it; a stop or a failure leaves through `ended`.
struct Array<'a, 'b> {
    on_row: &'a mut OnRow<'b>,
    ended: &'a mut Option<Result<(), Failure>>,
}

impl<'de> DeserializeSeed<'de> for Array<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        let mut number = 0;
        while let Some(row) = array.next_element::<Row>()? {
            number += 1;
            let ended = match (self.on_row)(number, row) {
                Ok(Next::More) => continue,
                Ok(Next::Stop) => Ok(()),
                Err(failure) => Err(failure),
            };
            *self.ended = Some(ended);
            return Err(A::Error::custom("stopped"));
        }
        Ok(())
    }
}

/// Nested objects become columns with dots in their names.
fn flat(row: Row) -> Row {
    fn add(to: &mut Row, prefix: &str, row: Row) {
        for (name, value) in row {
            let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
            match value {
                Value::Object(inner) if !inner.is_empty() => add(to, &name, inner),
                value => {
                    to.insert(name, value);
                }
            }
        }
    }
    if !row.values().any(Value::is_object) {
        return row;
    }
    let mut to = Map::new();
    add(&mut to, "", row);
    to
}

/// The type of a column so far: a scalar, or tensors of one shape.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Scalar(Kind),
    Tensor(Vec<usize>, Kind),
}

impl Shape {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Shape::Scalar(Kind::Unknown),
            Value::Bool(_) => Shape::Scalar(Kind::Bool),
            Value::Number(n) if n.is_i64() => Shape::Scalar(Kind::Int),
            Value::Number(_) => Shape::Scalar(Kind::Float),
            Value::String(_) | Value::Object(_) => Shape::Scalar(Kind::Text),
            Value::Array(items) => {
                let mut inner = items.iter().map(Shape::of);
                let first = inner.next().unwrap_or(Shape::Scalar(Kind::Text));
                match inner.fold(first, Shape::or) {
                    Shape::Scalar(kind @ (Kind::Int | Kind::Float)) => Shape::Tensor(vec![items.len()], kind),
                    Shape::Tensor(mut shape, kind) => {
                        shape.insert(0, items.len());
                        Shape::Tensor(shape, kind)
                    }
                    Shape::Scalar(_) => Shape::Scalar(Kind::Text),
                }
            }
        }
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Shape::Scalar(a), Shape::Scalar(b)) => Shape::Scalar(a.or(b)),
            (Shape::Tensor(a, x), Shape::Tensor(b, y)) if a == b => Shape::Tensor(a, x.or(y)),
            _ => Shape::Scalar(Kind::Text),
        }
    }
}

/// A column being filled.
enum Column {
    Scalar(DataType, Filler),
    Tensor(Vec<usize>, DataType, Vec<f64>),
}

/// The table and how many rows came from each file.
pub(super) fn read(
    sources: &[Source],
    text: &TextOptions,
    limit: Option<usize>,
) -> Result<(Frame, Vec<usize>), Failure> {
    let Some(first) = sources.first() else {
        return Err(Failure::new("there are no files to read"));
    };
    let mut columns = decide(*first, text)?;
    let mut left = limit.unwrap_or(usize::MAX);
    let mut counts = Vec::with_capacity(sources.len());
    for source in sources {
        let before = left;
        rows(*source, &mut |number, row| {
            if left == 0 {
                return Ok(Next::Stop);
            }
            left -= 1;
            let mut row = flat(row);
            for (name, column) in &mut columns {
                let value = row.remove(name).unwrap_or(Value::Null);
                if !push(column, &value, &text.null_values) {
                    return Err(unfit(source.name, number, name, column, &value));
                }
            }
            match row.keys().next() {
                None => Ok(Next::More),
                Some(extra) => Err(Failure::new(format!(
                    "{}, object {number}: `{extra}` is not among the columns of the first {} rows",
                    source.name, text.infer_rows
                ))
                .hint("raise `infer_rows`")),
            }
        })?;
        counts.push(before - left);
    }
    let mut frame = Frame::new();
    for (name, column) in columns {
        match column {
            Column::Scalar(dtype, filler) => frame.push(filler.finish(&name, &dtype)?)?,
            Column::Tensor(shape, dtype, values) => {
                let values = Series::new(name.as_str().into(), values);
                let values = values.cast(&dtype).map_err(super::super::failure)?;
                frame.push_tensor(&name, values, &shape)?;
            }
        }
    }
    Ok((frame, counts))
}

/// Names and types from the first objects of the first file.
fn decide(source: Source, text: &TextOptions) -> Result<IndexMap<String, Column>, Failure> {
    let mut shapes: IndexMap<String, Shape> = IndexMap::new();
    rows(source, &mut |number, row| {
        if number > text.infer_rows {
            return Ok(Next::Stop);
        }
        for (name, value) in flat(row) {
            let null = value.as_str().is_some_and(|s| text.null_values.iter().any(|n| n == s));
            let found = if null { Shape::Scalar(Kind::Unknown) } else { Shape::of(&value) };
            let known = shapes.entry(name).or_insert(Shape::Scalar(Kind::Unknown));
            *known = match (known.clone(), found) {
                (Shape::Scalar(Kind::Unknown), found) if number == 1 => found,
                (known, found) => known.or(found),
            };
        }
        Ok(Next::More)
    })?;
    if shapes.is_empty() {
        return Err(Failure::new(format!("{} holds no objects", source.name)));
    }
    shapes
        .into_iter()
        .map(|(name, shape)| {
            let stated = text.dtypes.get(&name);
            let column = match (stated, shape) {
                (None, Shape::Tensor(shape, kind)) if size(&shape) > 0 => {
                    let int = kind == Kind::Int;
                    let dtype = if int { DataType::Int64 } else { DataType::Float64 };
                    Column::Tensor(shape, dtype, Vec::new())
                }
                (stated, shape) => {
                    let found = match shape {
                        Shape::Scalar(kind) => kind,
                        Shape::Tensor(..) => Kind::Text,
                    };
                    let dtype = stated_dtype(&name, stated.map_or(found.word(), String::as_str))?;
                    let filler = Filler::of(&dtype).ok_or_else(|| Failure::new("no such type"))?;
                    Column::Scalar(dtype, filler)
                }
            };
            Ok((name, column))
        })
        .collect()
}

/// Appends a value; false if it does not fit.
fn push(column: &mut Column, value: &Value, nulls: &[String]) -> bool {
    match column {
        Column::Scalar(_, filler) => match value {
            Value::Null => filler.push(None),
            Value::String(text) if nulls.contains(text) => filler.push(None),
            Value::String(text) => filler.push(Some(text)),
            other => filler.push(Some(&other.to_string())),
        },
        Column::Tensor(shape, _, values) => match Shape::of(value) {
            Shape::Tensor(found, _) if found == *shape => {
                leaves(value, values);
                true
            }
            _ => false,
        },
    }
}

fn leaves(value: &Value, to: &mut Vec<f64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| leaves(item, to)),
        other => to.extend(other.as_f64()),
    }
}

fn unfit(file: &str, number: usize, name: &str, column: &Column, value: &Value) -> Failure {
    let word = match column {
        Column::Scalar(dtype, _) => dtype::word(dtype),
        Column::Tensor(shape, dtype, _) => format!("{} of shape {shape:?}", dtype::word(dtype)),
    };
    let value: String = value.to_string().chars().take(60).collect();
    Failure::new(format!("{file}, object {number}: `{name}` is {value}, not {word}"))
        .hint(format!("correct it, or state the type: `dtypes: {{ {name}: string }}`"))
}
