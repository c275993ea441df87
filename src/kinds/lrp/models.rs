//! Models told apart by their matrix cells, and what is asked of their pairs.

use science::maps::contrast::{Draws, Estimate, Exchange, Pairs};
use serde_json::Value;

use crate::kinds::artefacts::put_table;
use crate::stage::{Axes, Bound, Column, Facts, Failure, InputFacts, Outputs};
use crate::table::{Frame, gather_facts, stack};

/// Most resamples and permutations.
pub const MOST_RESAMPLES: usize = 100_000;

/// The cells of a port's artefacts; their numbers where they come from no matrix.
pub fn cells<'a>(axes: impl IntoIterator<Item = &'a Axes>) -> Vec<Axes> {
    let axes: Vec<Axes> = axes.into_iter().cloned().collect();
    if axes.iter().all(|a| !a.is_empty()) {
        return axes;
    }
    (0..axes.len()).map(|i| vec![("number".to_owned(), Value::from(i))]).collect()
}

/// The cells of what is bound to a port.
pub fn bound_cells(bounds: &[Bound]) -> Vec<Axes> {
    cells(bounds.iter().map(|b| &b.axes))
}

/// For each of `cells` the place of its equal among `others`.
///
/// # Errors
/// If one has none or two cells are equal.
pub fn partners(cells: &[Axes], others: &[Axes]) -> Result<Vec<usize>, String> {
    if cells.len() != others.len() {
        return Err(format!("there are maps of {} models and {} models", cells.len(), others.len()));
    }
    let equal = |a: &Axes, b: &Axes| a.len() == b.len() && a.iter().all(|axis| b.contains(axis));
    let find =
        |cell: &Axes| match others.iter().enumerate().filter(|(_, o)| equal(cell, o)).collect::<Vec<_>>()[..]
        {
            [(place, _)] => Ok(place),
            [] => Err(format!("no model belongs to the maps of {}", label(cell))),
            _ => Err(format!("several models belong to the maps of {}", label(cell))),
        };
    cells.iter().map(find).collect()
}

/// A cell in words.
pub fn label(cell: &Axes) -> String {
    cell.iter().map(|(name, value)| format!("{name}={}", word(value))).collect::<Vec<_>>().join(" ")
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The axes of a pair: each model's, with its prefix.
pub fn pair(first: &Axes, second: &Axes, prefixes: (&str, &str)) -> Axes {
    let with = |prefix: &str, cell: &Axes| -> Axes {
        cell.iter().map(|(name, value)| (format!("{prefix}_{name}"), value.clone())).collect()
    };
    [with(prefixes.0, first), with(prefixes.1, second)].concat()
}

/// A question about groups of pairs.
pub struct Question {
    /// In words: `seed: same - different`.
    pub name: String,
    /// Groups of the pairs [models × models]: counted with, against, or not at all.
    sides: Vec<Option<bool>>,
    exchange: Exchange,
}

/// What can be asked of models with these axes: does it matter whether two models share an axis's value;
/// and, where the order of a pair matters, is a model better with itself, and are two values of an axis
/// asymmetric. `skip` names an axis whose values are mere repetitions.
pub fn questions(cells: &[Axes], directed: bool, skip: Option<&str>) -> Vec<Question> {
    let count = cells.len();
    let ask = |name: String, exchange, side: &dyn Fn(usize, usize) -> Option<bool>| {
        let sides: Vec<Option<bool>> = (0..count * count).map(|i| side(i / count, i % count)).collect();
        let both = sides.contains(&Some(true)) && sides.contains(&Some(false));
        both.then_some(Question { name, sides, exchange })
    };
    let mut all = Vec::new();
    if directed {
        all.extend(ask("self - other".to_owned(), Exchange::Seconds, &|a, b| Some(a == b)));
    }
    for (axis, _) in cells.first().into_iter().flatten() {
        let values: Vec<String> = cells
            .iter()
            .map(|cell| cell.iter().find(|(name, _)| name == axis).map_or(String::new(), |(_, v)| word(v)))
            .collect();
        let same = |a: usize, b: usize| (a != b).then(|| values[a] == values[b]);
        all.extend(ask(format!("{axis}: same - different"), Exchange::Models, &same));
        if !directed || skip == Some(axis) {
            continue;
        }
        let mut levels: Vec<&String> = Vec::new();
        values.iter().for_each(|v| {
            if !levels.contains(&v) {
                levels.push(v)
            }
        });
        for (place, one) in levels.iter().enumerate() {
            for other in &levels[place + 1..] {
                let side = |a: usize, b: usize| match (&values[a], &values[b]) {
                    (x, y) if x == *one && y == *other => Some(true),
                    (x, y) if x == *other && y == *one => Some(false),
                    _ => None,
                };
                let name = format!("{axis}: {one} to {other} - {other} to {one}");
                all.extend(ask(name, Exchange::Models, &side));
            }
        }
    }
    all
}

impl Question {
    /// The answer from values of every pair on every image.
    pub fn answer(
        &self,
        pairs: &Pairs,
        models: usize,
        clusters: Option<&[usize]>,
        draws: Draws,
    ) -> Option<Estimate> {
        pairs.contrast(&|a, b| self.sides[a * models + b], self.exchange, clusters, draws)
    }
}

/// Numbers the models by their value on an axis; none if they have no such axis.
pub fn clusters(cells: &[Axes], axis: &str) -> Option<Vec<usize>> {
    let mut seen: Vec<&Value> = Vec::new();
    cells
        .iter()
        .map(|cell| {
            let (_, value) = cell.iter().find(|(name, _)| name == axis)?;
            let place = seen.iter().position(|s| *s == value);
            Some(place.unwrap_or_else(|| {
                seen.push(value);
                seen.len() - 1
            }))
        })
        .collect()
}

/// Estimates with their names: columns of text, then value, low, high and p.
#[derive(Default)]
pub struct Estimates {
    names: Vec<Vec<String>>,
    estimates: Vec<Estimate>,
}

impl Estimates {
    /// Adds one, if it is defined.
    pub fn add(&mut self, names: &[&str], estimate: Option<Estimate>) {
        if let Some(estimate) = estimate {
            self.names.push(names.iter().map(|n| (*n).to_owned()).collect());
            self.estimates.push(estimate);
        }
    }

    /// The table with these columns of names.
    pub fn table(&self, columns: &[&str]) -> Result<Frame, Failure> {
        let mut frame = Frame::new();
        for (index, column) in columns.iter().enumerate() {
            let texts: Vec<&str> =
                self.names.iter().filter_map(|n| n.get(index)).map(String::as_str).collect();
            frame.push_strings(column, &texts)?;
        }
        let numbers = |of: &dyn Fn(&Estimate) -> f64| self.estimates.iter().map(of).collect();
        frame.push_f64s("value", numbers(&|e| e.value))?;
        frame.push_f64s("low", numbers(&|e| e.low))?;
        frame.push_f64s("high", numbers(&|e| e.high))?;
        frame.push_f64s("p", numbers(&|e| e.p))?;
        Ok(frame)
    }
}

/// The columns of [`Estimates::table`].
pub fn estimate_columns(columns: &[&str]) -> Vec<Column> {
    let texts = columns.iter().map(|name| Column::new(*name, "string"));
    texts.chain(["value", "low", "high", "p"].map(|name| Column::new(name, "float64"))).collect()
}

/// What is known of a table that [`stack`] will make of cells with these columns.
pub fn stacked(cells: Vec<Axes>, columns: Vec<Column>) -> Option<Facts> {
    let facts = Facts::columns(columns);
    let inputs: Vec<InputFacts> =
        cells.into_iter().map(|axes| InputFacts { facts: facts.clone(), axes }).collect();
    Some(Facts::Table(gather_facts(&inputs).ok()??))
}

/// Stacks tables of pairs, writes them to a port.
pub fn put_stacked(io: &mut crate::stage::Io, port: &str, cells: Vec<(Axes, Frame)>) -> Result<(), Failure> {
    put_table(io, port, stack(cells)?)
}

/// Adds facts to outputs where they are known.
pub fn state(outputs: &mut Outputs, port: &str, facts: Option<Facts>) {
    outputs.extend(facts.map(|f| (port.to_owned(), f)));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn grid() -> Vec<Axes> {
        let cell = |s: i64, t: &str| vec![("seed".to_owned(), json!(s)), ("task".to_owned(), json!(t))];
        vec![cell(0, "a"), cell(0, "b"), cell(1, "a"), cell(1, "b")]
    }

    #[test]
    fn questions_follow_the_axes() {
        let names = |directed| -> Vec<String> {
            questions(&grid(), directed, Some("seed")).into_iter().map(|q| q.name).collect()
        };
        assert_eq!(names(false), ["seed: same - different", "task: same - different"]);
        assert_eq!(
            names(true),
            ["self - other", "seed: same - different", "task: same - different", "task: a to b - b to a"]
        );
        // One model has no pairs to ask about.
        assert!(questions(&grid()[..1], true, None).is_empty());
    }

    #[test]
    fn maps_find_their_models() {
        let mut turned = grid();
        turned.swap(0, 3);
        turned[1].reverse();
        assert_eq!(partners(&grid(), &turned).unwrap(), [3, 1, 2, 0]);
        turned[0] = turned[1].clone();
        assert!(
            partners(&grid(), &turned)
                .unwrap_err()
                .contains("several models belong to the maps of seed=0 task=b")
        );
        assert!(partners(&grid(), &grid()[1..]).is_err());
        assert_eq!(clusters(&grid(), "seed").unwrap(), [0, 0, 1, 1]);
        assert_eq!(clusters(&grid(), "size"), None);
    }
}
