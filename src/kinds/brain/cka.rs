//! `brain.cka`

use schemars::JsonSchema;
use science::brain::similarity::{cca, cka, matching, shape};
use science::linalg::{Mat, with_threads};
use serde::{Deserialize, Serialize};

use super::common;
use super::trained;
use crate::kinds::artefacts::put_table;
use crate::kinds::{columns, words, wrong};
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports};
use crate::table::{self, Frame};

/// `brain.cka`: similarity of responses to the same stimuli.
pub struct Cka;

/// A similarity of two sets of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// Centred kernel alignment of linear kernels.
    Cka,
    /// The same from unbiased estimates, which do not grow with the number of channels.
    CkaDebiased,
    /// Of Gaussian kernels, `width` times as wide as the median distance.
    CkaRbf,
    /// Mean canonical correlation.
    Cca,
    /// Of the leading directions with 99 % of the variance.
    Svcca,
    /// Share of the variance of the first that a linear map of the second explains, on the same stimuli.
    LinearRegression,
    /// Angle that the best rotation leaves, in radians: 0 for equal shapes.
    ProcrustesAngular,
    /// Squared distance that the best rotation leaves: it keeps the scale of both sides.
    ProcrustesSquared,
    /// The same of sides scaled to length 1: 0 for equal shapes, 2 at most.
    ProcrustesNormalisedSquared,
    /// Mean correlation of each channel of the first with its best of the second.
    SemiMatch,
    /// Mean correlation of the best one-to-one pairs of channels.
    HardMatch,
    /// Greatest mean correlation over transport plans.
    SoftMatch,
}

impl Measure {
    fn metric(self, width: f64) -> String {
        let name = match self {
            Measure::Cka => "cka:linear-biased",
            Measure::CkaDebiased => "cka:linear-debiased-hsic",
            Measure::CkaRbf if width != 1.0 => return format!("cka:rbf-biased:{width}-of-median-distance"),
            Measure::CkaRbf => "cka:rbf-biased:median-distance",
            Measure::Cca => "cca:mean",
            Measure::Svcca => "svcca:mean:0.99-of-variance",
            Measure::LinearRegression => "linear-regression:r2:second-to-first",
            Measure::ProcrustesAngular => "procrustes:angular-radians",
            Measure::ProcrustesSquared => "procrustes:squared",
            Measure::ProcrustesNormalisedSquared => "procrustes:normalised-squared",
            Measure::SemiMatch => "semi-match:pearson:first-to-second",
            Measure::HardMatch => "hard-match:pearson:mean-of-pairs",
            Measure::SoftMatch => "soft-match:pearson:uniform-transport",
        };
        name.to_owned()
    }

    fn of(self, x: &Mat<f64>, y: &Mat<f64>, width: f64) -> science::error::Result<f64> {
        let (x, y) = (x.as_ref(), y.as_ref());
        Ok(match self {
            Measure::Cka => cka::linear(x, y)?,
            Measure::CkaDebiased => cka::linear_debiased(x, y)?,
            Measure::CkaRbf => cka::rbf(x, y, width)?,
            Measure::Cca => cca::cca_mean(x, y)?,
            Measure::Svcca => cca::svcca(x, y, 0.99)?.mean,
            Measure::LinearRegression => shape::explained(x, y)?,
            Measure::ProcrustesAngular => shape::procrustes(x, y)?.angular,
            Measure::ProcrustesSquared => shape::procrustes(x, y)?.squared,
            Measure::ProcrustesNormalisedSquared => shape::procrustes(x, y)?.normalized_squared,
            Measure::SemiMatch => matching::semi_match(matching::correlations(x, y)?.as_ref()),
            Measure::HardMatch => {
                let (sum, pairs) = matching::hard_match(matching::correlations(x, y)?.as_ref());
                sum / pairs.len() as f64
            }
            Measure::SoftMatch => matching::soft_match(matching::correlations(x, y)?.as_ref()),
        })
    }
}

/// Parameters of `brain.cka`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The similarities.
    #[serde(default = "measures")]
    pub measures: Vec<Measure>,
    /// `cka-rbf`: the width of the kernels, as a multiple of the median distance of the stimuli on each side.
    #[serde(default = "width")]
    pub width: f64,
    /// The columns that hold responses; if none are named, every tensor column of each table.
    #[serde(default)]
    pub columns: Vec<String>,
    /// The column that names the stimulus of a row.
    #[serde(default = "id")]
    pub id: String,
}

fn measures() -> Vec<Measure> {
    vec![Measure::CkaDebiased]
}

fn width() -> f64 {
    1.0
}

fn id() -> String {
    "id".to_owned()
}

const COLUMNS: &[(&str, &str)] = &[
    ("first", "string"),
    ("second", "string"),
    ("metric", "string"),
    ("value", "float64"),
    ("stimuli", "int64"),
];

impl Kind for Cka {
    type Params = Params;

    const NAME: &'static str = "brain.cka";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "\
Similarity of responses to the same stimuli, for every pair of tables.

Rows are joined by their id; all tables must have the same stimuli. `similarity` has one row a pair and \
measure with `first`, `second` (the matrix axes of the tables, or their numbers), the full name of the \
measure as `metric`, `value` and the number of `stimuli`. What a measure ignores: CKA and Procrustes \
rotations of the channels, CCA every invertible linear map, matching permutations of channels only.

Rows that a model before learned from are refused by name: see the port `trained`.";
    const EXAMPLE: &'static str = "\
cka:
  uses: brain.cka
  in: { tables: \"activations[*]\" }
  with: { measures: [cka-debiased, procrustes-angular], columns: [hidden] }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("tables", PortType::Table, "Responses: one row a stimulus.").many(),
                trained::port(),
            ],
            outputs: vec![Port::new("similarity", PortType::Table, "One row a pair and measure.")],
            ..Ports::default()
        }
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        if !(params.width > 0.0 && params.width.is_finite()) {
            return Err(Complaint::param("width", format!("{} is not a positive number", params.width)));
        }
        let tables = context.inputs.get("tables").map_or(&[][..], Vec::as_slice);
        if tables.len() == 1 {
            return Err(Complaint::port("tables", "there is one table: similarity needs two"));
        }
        for table in tables.iter().filter_map(|t| t.facts.table()) {
            columns::exists(table, &params.id, "id")?;
            columns::chosen(table, &params.columns, "columns")?;
        }
        trained::check(context, &params.id, "tables")?;
        Ok(Outputs::from([("similarity".to_owned(), columns::facts(COLUMNS))]))
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let mut sides: Vec<(String, Mat<f64>)> = Vec::new();
        let mut order: Vec<String> = Vec::new();
        for (index, bound) in io.many("tables").iter().enumerate() {
            let name = words::label(&bound.axes, index, "table");
            let frame = table::read(bound, None)?;
            let columns = columns::chosen(&frame.facts(), &params.columns, "columns");
            let columns = columns.map_err(|c| Failure::new(c.message))?;
            let (ids, places) = columns::by_id(&frame, &params.id)?;
            if order.is_empty() {
                order = common::in_order(ids.clone());
            }
            let rows: Option<Vec<usize>> = order.iter().map(|id| places.get(id).copied()).collect();
            let Some(rows) = rows.filter(|r| r.len() == ids.len()) else {
                return Err(Failure::new(format!("`{name}` has other stimuli than the first table"))
                    .hint("join the tables with table.sql"));
            };
            sides.push((name, columns::matrix(&frame.take(&rows)?, &columns)?));
        }
        trained::refuse(io, &params.id, &order)?;
        let mut rows: Vec<(&str, &str, String, f64)> = Vec::new();
        for (i, (first, x)) in sides.iter().enumerate() {
            for (second, y) in &sides[i + 1..] {
                io.check_cancelled()?;
                for measure in &params.measures {
                    let value = with_threads(io.threads, || measure.of(x, y, params.width)).and_then(|v| v);
                    let context = |e| wrong(e).context(format!("`{first}` and `{second}`"));
                    rows.push((first, second, measure.metric(params.width), value.map_err(context)?));
                }
            }
        }
        let mut out = Frame::new();
        out.push_strings("first", &rows.iter().map(|r| r.0).collect::<Vec<_>>())?;
        out.push_strings("second", &rows.iter().map(|r| r.1).collect::<Vec<_>>())?;
        out.push_strings("metric", &rows.iter().map(|r| &r.2).collect::<Vec<_>>())?;
        out.push_f64s("value", rows.iter().map(|r| r.3).collect())?;
        out.push_i64s("stimuli", vec![order.len() as i64; rows.len()])?;
        put_table(io, "similarity", out)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::run_tables;

    #[test]
    fn rows_are_joined_by_their_id() {
        let table = |order: &[i64]| {
            let mut frame = Frame::new();
            frame.push_i64s("id", order.to_vec()).unwrap();
            frame.push_f64s("a", order.iter().map(|i| (i * i % 7) as f64).collect()).unwrap();
            frame.push_f64s("b", order.iter().map(|i| (i * 3 % 5) as f64).collect()).unwrap();
            frame
        };
        let run = |second| {
            let inputs = [("tables", table(&[0, 1, 2, 3, 4, 5, 6]), &[][..]), ("tables", second, &[][..])];
            let with =
                json!({"measures": ["cka", "hard-match", "procrustes-angular"], "columns": ["a", "b"]});
            run_tables(&Cka, with, &inputs)
        };
        let same = run(table(&[6, 2, 0, 1, 5, 4, 3])).unwrap();
        let values = same.table("similarity").f64s("value").unwrap();
        assert!((values[0] - 1.0).abs() < 1e-12 && (values[1] - 1.0).abs() < 1e-12, "{values:?}");
        assert!(values[2].abs() < 1e-6, "{values:?}");
        assert_eq!(same.inferred("similarity").columns, same.table("similarity").facts().columns);
        assert!(run(table(&[1, 2, 3])).err().unwrap().contains("other stimuli"));
        assert!(run(table(&[0, 0, 2, 3, 4, 5, 6])).err().unwrap().contains("same `id`: 0"));
    }

    /// Uneven responses of ten stimuli, `scale` times as large.
    fn uneven(scale: f64, step: usize) -> Frame {
        let mut frame = Frame::new();
        frame.push_i64s("id", (0..10).collect()).unwrap();
        for (name, prime) in [("a", 7), ("b", 11), ("c", 13)] {
            let value = |i: usize| scale * ((i * i * step + i) % prime) as f64;
            frame.push_f64s(name, (0..10).map(value).collect()).unwrap();
        }
        frame
    }

    fn similarity(with: serde_json::Value, y: Frame) -> Frame {
        let mut params = json!({"columns": ["a", "b", "c"]});
        params.as_object_mut().unwrap().extend(with.as_object().unwrap().clone());
        let tables = [("tables", uneven(1.0, 1), &[][..]), ("tables", y, &[][..])];
        run_tables(&Cka, params, &tables).unwrap().table("similarity")
    }

    #[test]
    fn the_forms_of_procrustes_agree_with_each_other() {
        let names = ["procrustes-angular", "procrustes-squared", "procrustes-normalised-squared"];
        let values = |y: Frame| similarity(json!({"measures": names}), y).f64s("value").unwrap();
        let found = values(uneven(1.0, 2));
        assert!((found[2] - (2.0 - 2.0 * found[0].cos())).abs() < 1e-12, "{found:?}");
        assert!(found[1] > 1.0 && found[0] > 0.1);
        // Only the squared distance sees the scale.
        let scaled = values(uneven(3.0, 2));
        assert!((scaled[0] - found[0]).abs() < 1e-9 && (scaled[2] - found[2]).abs() < 1e-9);
        assert!((scaled[1] - found[1]).abs() > 1.0, "{scaled:?}");
    }

    #[test]
    fn the_width_of_kernels_is_chosen_and_named() {
        let at =
            |width: f64| similarity(json!({"measures": ["cka-rbf", "cka"], "width": width}), uneven(1.0, 2));
        let metric = |width: f64| at(width).strings("metric").unwrap()[0].clone();
        assert_eq!(metric(1.0), "cka:rbf-biased:median-distance");
        assert_eq!(metric(0.5), "cka:rbf-biased:0.5-of-median-distance");
        // A kernel that is much wider than all distances is linear.
        let wide = at(1000.0).f64s("value").unwrap();
        assert!((wide[0] - wide[1]).abs() < 1e-4, "{wide:?}");
        assert!((at(0.5).f64s("value").unwrap()[0] - wide[1]).abs() > 1e-3);
        let tables = [("tables", uneven(1.0, 1), &[][..]), ("tables", uneven(1.0, 2), &[][..])];
        let text = run_tables(&Cka, json!({"columns": ["a"], "width": 0.0}), &tables).err().unwrap();
        assert!(text.starts_with("0 is not a positive number"), "{text}");
    }

    #[test]
    fn stimuli_that_entered_training_are_named() {
        let mut seen = Frame::new();
        seen.push_i64s("id", vec![8, 3, 99]).unwrap();
        let tables = [
            ("tables", uneven(1.0, 1), &[][..]),
            ("tables", uneven(1.0, 2), &[][..]),
            ("trained", seen, &[][..]),
        ];
        let text = run_tables(&Cka, json!({"columns": ["a", "b"]}), &tables).err().unwrap();
        assert!(text.starts_with("2 rows entered training and cannot be scored: 3, 8"), "{text}");
    }
}
