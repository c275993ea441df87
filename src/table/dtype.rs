//! The words for column types, and the empty table of a schema.

use polars::prelude::{
    Column as PolarsColumn, CompatLevel, DataFrame, DataType, Field, Series, TimeUnit, TimeZone,
};

use crate::stage::{Column, TableFacts};

/// This project's word for a polars type: see [`Column::dtype`].
pub(super) fn word(dtype: &DataType) -> String {
    match dtype {
        DataType::Boolean => "bool".to_owned(),
        DataType::UInt8 => "uint8".to_owned(),
        DataType::UInt16 => "uint16".to_owned(),
        DataType::UInt32 => "uint32".to_owned(),
        DataType::UInt64 => "uint64".to_owned(),
        DataType::UInt128 => "uint128".to_owned(),
        DataType::Int8 => "int8".to_owned(),
        DataType::Int16 => "int16".to_owned(),
        DataType::Int32 => "int32".to_owned(),
        DataType::Int64 => "int64".to_owned(),
        DataType::Int128 => "int128".to_owned(),
        DataType::Float16 => "float16".to_owned(),
        DataType::Float32 => "float32".to_owned(),
        DataType::Float64 => "float64".to_owned(),
        DataType::Decimal(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::String | DataType::Categorical(..) | DataType::Enum(..) => "string".to_owned(),
        DataType::Binary | DataType::BinaryOffset => "binary".to_owned(),
        DataType::Date => "date".to_owned(),
        DataType::Datetime(unit, None) => format!("datetime({})", unit_word(*unit)),
        DataType::Datetime(unit, Some(zone)) => format!("datetime({},{zone})", unit_word(*unit)),
        DataType::Duration(unit) => format!("duration({})", unit_word(*unit)),
        DataType::Time => "time".to_owned(),
        DataType::Array(inner, _) => format!("tensor({})", word(inner)),
        DataType::List(inner) => format!("list({})", word(inner)),
        DataType::Null => "null".to_owned(),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|f| format!("{}: {}", f.name(), word(f.dtype()))).collect();
            format!("struct({})", fields.join(", "))
        }
        DataType::Unknown(_) => "unknown".to_owned(),
    }
}

fn unit_word(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Nanoseconds => "ns",
        TimeUnit::Microseconds => "us",
        TimeUnit::Milliseconds => "ms",
    }
}

/// The polars type that a word means; for a tensor, `width` is the number of values in a row.
/// `None` for words of structs and unknown words.
pub(super) fn parse(word: &str, width: usize) -> Option<DataType> {
    Some(match word {
        "bool" => DataType::Boolean,
        "uint8" => DataType::UInt8,
        "uint16" => DataType::UInt16,
        "uint32" => DataType::UInt32,
        "uint64" => DataType::UInt64,
        "int8" => DataType::Int8,
        "int16" => DataType::Int16,
        "int32" => DataType::Int32,
        "int64" => DataType::Int64,
        "int128" => DataType::Int128,
        "float16" => DataType::Float16,
        "float32" => DataType::Float32,
        "float64" => DataType::Float64,
        "string" => DataType::String,
        "binary" => DataType::Binary,
        "date" => DataType::Date,
        "time" => DataType::Time,
        "null" => DataType::Null,
        _ => {
            let (outer, rest) = word.split_once('(')?;
            let inner = rest.strip_suffix(')')?;
            match outer {
                "tensor" => DataType::Array(Box::new(parse(inner, 0)?), width),
                "list" => DataType::List(Box::new(parse(inner, 0)?)),
                "duration" => DataType::Duration(parse_unit(inner)?),
                "datetime" => match inner.split_once(',') {
                    None => DataType::Datetime(parse_unit(inner)?, None),
                    Some((unit, zone)) => {
                        DataType::Datetime(parse_unit(unit)?, TimeZone::opt_try_new(Some(zone)).ok()?)
                    }
                },
                "decimal" => {
                    let (precision, scale) = inner.split_once(',')?;
                    DataType::Decimal(precision.parse().ok()?, scale.parse().ok()?)
                }
                _ => return None,
            }
        }
    })
}

fn parse_unit(word: &str) -> Option<TimeUnit> {
    Some(match word {
        "ns" => TimeUnit::Nanoseconds,
        "us" => TimeUnit::Microseconds,
        "ms" => TimeUnit::Milliseconds,
        _ => return None,
    })
}

/// The facts of one column.
pub(super) fn facts(name: &str, dtype: &DataType, shape: Option<&[usize]>) -> Column {
    let shape = match dtype {
        DataType::Array(_, width) => Some(shape.map_or_else(|| vec![*width], <[usize]>::to_vec)),
        _ => None,
    };
    Column { name: name.to_owned(), dtype: word(dtype), shape, digest: None }
}

/// A table of no rows with this schema; `None` if a type's word cannot be turned back into a type.
pub(super) fn empty(facts: &TableFacts) -> Option<DataFrame> {
    let columns: Option<Vec<PolarsColumn>> = facts
        .columns
        .iter()
        .map(|c| {
            let width = c.shape.iter().flatten().product();
            let dtype = parse(&c.dtype, width)?;
            Some(Series::new_empty(c.name.as_str().into(), &dtype).into())
        })
        .collect();
    DataFrame::new(0, columns?).ok()
}

/// Bytes that one value takes when decoded; text and lists are taken as 32.
pub(super) fn width(dtype: &DataType) -> usize {
    match dtype {
        DataType::Boolean | DataType::UInt8 | DataType::Int8 | DataType::Null => 1,
        DataType::UInt16 | DataType::Int16 | DataType::Float16 => 2,
        DataType::UInt32 | DataType::Int32 | DataType::Float32 | DataType::Date => 4,
        DataType::Array(inner, count) => width(inner).saturating_mul(*count),
        DataType::Struct(fields) => fields.iter().map(|f| width(f.dtype())).sum(),
        DataType::UInt64
        | DataType::Int64
        | DataType::Float64
        | DataType::Datetime(..)
        | DataType::Duration(_)
        | DataType::Time => 8,
        DataType::UInt128 | DataType::Int128 | DataType::Decimal(..) => 16,
        _ => 32,
    }
}

/// The Arrow field of a column, in types that every Arrow reader knows.
pub(super) fn arrow_field(field: &Field) -> polars::prelude::ArrowField {
    field.dtype().to_arrow_field(field.name().clone(), CompatLevel::oldest())
}
