//! What a text cell can be, and columns filled from text.

use polars::prelude::{DataType, NamedFrom, Series};

use super::super::{dtype, failure};
use crate::stage::Failure;

/// The types that a column of text can turn out to have, from narrow to wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing seen but missing values.
    Unknown,
    Bool,
    Int,
    Float,
    Date,
    Datetime,
    Text,
}

impl Kind {
    /// The narrowest type of one cell.
    pub(super) fn of(cell: &str) -> Self {
        let cell = cell.trim();
        if parse_bool(cell).is_some() {
            Kind::Bool
        } else if parse_int(cell).is_some() {
            Kind::Int
        } else if parse_float(cell).is_some() && !looks_like_a_label(cell) {
            Kind::Float
        } else if parse_date(cell).is_some() {
            Kind::Date
        } else if parse_datetime(cell).is_some() {
            Kind::Datetime
        } else {
            Kind::Text
        }
    }

    /// The narrowest type that holds both.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Kind::Unknown, other) | (other, Kind::Unknown) => other,
            (Kind::Int, Kind::Float) | (Kind::Float, Kind::Int) => Kind::Float,
            (Kind::Date, Kind::Datetime) | (Kind::Datetime, Kind::Date) => Kind::Datetime,
            _ => Kind::Text,
        }
    }

    /// The word of the column's type; a column of missing values is text.
    pub(super) fn word(self) -> &'static str {
        match self {
            Kind::Bool => "bool",
            Kind::Int => "int64",
            Kind::Float => "float64",
            Kind::Date => "date",
            Kind::Datetime => "datetime(us)",
            Kind::Unknown | Kind::Text => "string",
        }
    }
}

/// Whole numbers with leading zeros or too many digits are labels (postal codes, serial numbers).
fn looks_like_a_label(cell: &str) -> bool {
    let digits = cell.trim_start_matches(['-', '+']);
    digits.bytes().all(|b| b.is_ascii_digit())
}

fn parse_bool(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn parse_int(cell: &str) -> Option<i64> {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let plain = digits == "0" || digits.starts_with(|c: char| ('1'..='9').contains(&c));
    if plain { cell.parse().ok() } else { None }
}

fn parse_float(cell: &str) -> Option<f64> {
    match cell {
        "nan" | "NaN" | "NAN" => Some(f64::NAN),
        "inf" | "Inf" | "+inf" | "+Inf" => Some(f64::INFINITY),
        "-inf" | "-Inf" => Some(f64::NEG_INFINITY),
        _ if cell.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
            && cell.ends_with(|c: char| c.is_ascii_digit() || c == '.') =>
        {
            cell.parse().ok()
        }
        _ => None,
    }
}

/// Days since 1970-01-01 of `YYYY-MM-DD`.
fn parse_date(cell: &str) -> Option<i32> {
    let bytes = cell.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = cell.get(from..to)?;
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        if plain { digits.parse().ok() } else { None }
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    if !(1..=length).contains(&day) {
        return None;
    }
    let before: i64 = lengths.iter().take((month - 1) as usize).sum();
    // Leap days of all years before this one, then before 1970.
    let leaps =
        |year: i64| (year - 1).div_euclid(4) - (year - 1).div_euclid(100) + (year - 1).div_euclid(400);
    let days = (year - 1970) * 365 + leaps(year) - leaps(1970) + before + day - 1;
    i32::try_from(days).ok()
}

/// Microseconds since 1970-01-01 of `YYYY-MM-DD[T ]HH:MM:SS[.f…]`, or of a date alone.
fn parse_datetime(cell: &str) -> Option<i64> {
    const DAY: i64 = 86_400_000_000;
    let days = i64::from(parse_date(cell.get(..10)?)?);
    let rest = &cell[10..];
    if rest.is_empty() {
        return days.checked_mul(DAY);
    }
    let time = rest.strip_prefix(['T', ' '])?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = clock.split(':').map(|p| {
        let plain = p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit());
        if plain { p.parse::<i64>().ok() } else { None }
    });
    let (hour, minute) = (parts.next()??, parts.next()??);
    let second = parts.next().unwrap_or(Some(0))?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let micros = format!("{fraction:0<6}").parse::<i64>().ok()?;
    let seconds = (hour * 60 + minute) * 60 + second;
    days.checked_mul(DAY)?.checked_add(seconds * 1_000_000 + micros)
}

/// A column being filled with text cells.
pub(super) enum Filler {
    Bool(Vec<Option<bool>>),
    Int(Vec<Option<i64>>),
    Float(Vec<Option<f64>>),
    Date(Vec<Option<i32>>),
    Datetime(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
}

impl Filler {
    /// For columns of this type; integers and floats of any width are filled at full width first.
    pub(super) fn of(dtype: &DataType) -> Option<Self> {
        Some(match dtype {
            DataType::Boolean => Filler::Bool(Vec::new()),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Filler::Float(Vec::new()),
            DataType::String => Filler::Text(Vec::new()),
            DataType::Date => Filler::Date(Vec::new()),
            DataType::Datetime(..) => Filler::Datetime(Vec::new()),
            dtype if dtype.is_integer() => Filler::Int(Vec::new()),
            _ => return None,
        })
    }

    /// Appends one cell; false if its text does not fit.
    pub(super) fn push(&mut self, cell: Option<&str>) -> bool {
        fn add<T>(to: &mut Vec<Option<T>>, cell: Option<&str>, parse: fn(&str) -> Option<T>) -> bool {
            let value = cell.and_then(|text| parse(text.trim()));
            let fits = value.is_some() == cell.is_some();
            to.push(value);
            fits
        }
        match self {
            Filler::Bool(to) => add(to, cell, parse_bool),
            Filler::Int(to) => add(to, cell, |t| t.parse().ok()),
            Filler::Float(to) => add(to, cell, parse_float),
            Filler::Date(to) => add(to, cell, parse_date),
            Filler::Datetime(to) => add(to, cell, parse_datetime),
            Filler::Text(to) => {
                to.push(cell.map(str::to_owned));
                true
            }
        }
    }

    /// The finished column in its type.
    pub(super) fn finish(self, name: &str, dtype: &DataType) -> Result<Series, Failure> {
        let name = name.into();
        let series = match self {
            Filler::Bool(values) => Series::new(name, values),
            Filler::Int(values) => Series::new(name, values),
            Filler::Float(values) => Series::new(name, values),
            Filler::Date(values) => Series::new(name, values),
            Filler::Datetime(values) => Series::new(name, values),
            Filler::Text(values) => Series::new(name, values),
        };
        series.strict_cast(dtype).map_err(|error| {
            failure(error).context(format!("column `{}` as {}", series.name(), dtype::word(dtype)))
        })
    }
}
