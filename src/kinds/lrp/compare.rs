//! `lrp.compare`: how well the maps of several models agree.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use science::maps::Layout;
use science::maps::agreement::{cosine, ranks, spearman, ssim, top_iou};
use science::maps::contrast::{Draws, Pairs, mean};
use serde::{Deserialize, Serialize};

use super::images::{Channels, Planes, check_maps, layout};
use super::mask::{check_resamples, resamples};
use super::models::{
    Estimates, bound_cells, cells, clusters, estimate_columns, pair, put_stacked, questions, stacked, state,
};
use super::transfer::repeats;
use crate::stage::{
    Axes, Column, Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads,
};
use crate::table::{Frame, Tensor};

/// Agreement of maps.
pub struct Compare;

/// Parameters of `lrp.compare`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// What is measured.
    #[serde(default = "measures")]
    pub measures: Vec<Measure>,
    /// Share of the pixels that counts as a map's top.
    #[serde(default = "top")]
    pub top: f64,
    /// Resamples for the intervals, and permutations for the tests.
    #[serde(default = "resamples")]
    pub resamples: usize,
    /// Seed of resamples and permutations.
    #[serde(default)]
    pub seed: u64,
    /// The axis whose values repeat a model, such as `seed`: the bootstrap draws them whole.
    #[serde(default = "repeats")]
    pub repeats: String,
    /// Which axis of a map holds the channels, which are added up.
    #[serde(default)]
    pub channels: Channels,
}

/// A measure of agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Spearman's rank correlation over pixels.
    Spearman,
    /// Cosine of the angle between the maps.
    Cosine,
    /// Shared ÷ all pixels of both maps' tops.
    TopIou,
    /// Structural similarity.
    Ssim,
}

impl Measure {
    pub(super) fn name(self) -> &'static str {
        match self {
            Measure::Spearman => "spearman",
            Measure::Cosine => "cosine",
            Measure::TopIou => "top_iou",
            Measure::Ssim => "ssim",
        }
    }

    pub(super) fn of(self, a: &[f32], b: &[f32], layout: Layout, top: f64) -> Option<f64> {
        match self {
            Measure::Spearman => spearman(a, b),
            Measure::Cosine => cosine(a, b),
            Measure::TopIou => top_iou(a, b, top),
            Measure::Ssim => ssim(a, b, layout.height, layout.width),
        }
    }
}

fn measures() -> Vec<Measure> {
    vec![Measure::Spearman, Measure::Cosine, Measure::TopIou, Measure::Ssim]
}

pub(super) fn top() -> f64 {
    0.1
}

/// Refuses to measure nothing, and a top that is no share.
pub(super) fn check_measures(measures: &[Measure], top: f64) -> Result<(), Complaint> {
    if measures.is_empty() {
        return Err(Complaint::param("measures", "there is nothing to measure"));
    }
    if !(top > 0.0 && top <= 1.0) {
        return Err(Complaint::param("top", "the top must be more than 0 and at most 1"));
    }
    Ok(())
}

const SIDES: (&str, &str) = ("first", "second");

/// Every pair of two cells, in order.
fn unordered(cells: &[Axes]) -> Vec<Axes> {
    let rest = |a: usize| cells[a + 1..].iter().map(move |b| pair(&cells[a], b, SIDES));
    (0..cells.len()).flat_map(rest).collect()
}

impl Kind for Compare {
    type Params = Params;
    const NAME: &'static str = "lrp.compare";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "How well the maps of several models agree, image by image.\n\n\
        Maps are summed over channels and matched by `id`. `pairs` has for every two models and measure the mean \
        over images with a 95 % bootstrap interval, the models' axes in columns `first_…` and `second_…`; images on \
        which a measure is not defined (a map that is zero or constant) are left out, `images` counts the others. \
        Structural similarity is that of maps divided by their largest magnitude, with σ = 1.5.\n\n`contrasts` has \
        for each axis `same - different`: pairs of two models that share its value against those which do not, over \
        the images on which all pairs are defined; 95 % intervals are from a paired bootstrap over images and over \
        the values of the axis `repeats`, p from permutations of models.\n\n`consensus` is a map for each image: \
        the mean rank of each pixel over models, from 0 (least relevant) to 1. It can be masked with `lrp.mask`.";
    const EXAMPLE: &'static str = "\
agreement:
  uses: lrp.compare
  in: { maps: \"maps[*].table\" }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![Port::new("maps", PortType::Table, "maps of several models").many()],
            outputs: vec![
                Port::new("pairs", PortType::Table, "one row a pair of models and measure"),
                Port::new("contrasts", PortType::Table, "differences between groups of pairs"),
                Port::new("consensus", PortType::Table, "id, relevance: mean ranks of pixels"),
            ],
            ..Ports::default()
        }
    }

    fn reads(_params: &Params, _context: &InferContext) -> BTreeMap<String, Reads> {
        BTreeMap::from([("maps".to_owned(), Reads::columns(["id", "target", "relevance"]))])
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        check_resamples(params.resamples)?;
        check_measures(&params.measures, params.top)?;
        let maps = context.inputs.get("maps").map_or(&[][..], Vec::as_slice);
        if maps.len() < 2 {
            return Err(Complaint::port("maps", "there is one table of maps; agreement needs two")
                .hint("gather a matrix: `maps: \"maps[*]\"`"));
        }
        for maps in maps {
            maps.facts.table().map_or(Ok(()), check_maps)?;
        }
        let cells = cells(maps.iter().map(|i| &i.axes));
        let mut columns = estimate_columns(&["measure"]);
        columns.push(Column::new("images", "int64"));
        let mut outputs = Outputs::new();
        state(&mut outputs, "pairs", stacked(unordered(&cells), columns));
        state(
            &mut outputs,
            "contrasts",
            stacked(vec![Axes::new()], estimate_columns(&["contrast", "measure"])),
        );
        Ok(outputs)
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let cells = bound_cells(io.many("maps"));
        let mut ids = Vec::new();
        let mut maps: Vec<Vec<Vec<f32>>> = Vec::new();
        let mut layout_of = None;
        for bound in io.many("maps") {
            let own = |shape: &[usize]| layout("relevance", shape, params.channels);
            let (planes, layout) = Planes::read(bound, own)?;
            if maps.is_empty() {
                ids.clone_from(&planes.ids);
            }
            let first = *layout_of.get_or_insert(layout);
            if (first.height, first.width) != (layout.height, layout.width) {
                return Err(Failure::new(format!(
                    "there are maps of {} × {} and of {} × {} pixels",
                    first.height, first.width, layout.height, layout.width
                )));
            }
            maps.push(planes.ordered(&ids)?);
        }
        let Some(layout) = layout_of else { return Err(Failure::new("there are no maps")) };
        let draws = Draws { count: params.resamples, seed: params.seed };
        let repeats = clusters(&cells, &params.repeats);
        let questions = questions(&cells, false, None);
        let count = cells.len();
        let mut pairs: Vec<(Estimates, Vec<i64>)> =
            unordered(&cells).iter().map(|_| (Estimates::default(), Vec::new())).collect();
        let mut contrasts = Estimates::default();
        for (done, measure) in params.measures.iter().enumerate() {
            let mut images = vec![vec![Some(1.0); count * count]; ids.len()];
            let mut slots = pairs.iter_mut();
            for a in 0..count {
                for b in a + 1..count {
                    io.check_cancelled()?;
                    let found: Vec<Option<f64>> = (0..ids.len())
                        .map(|row| measure.of(&maps[a][row], &maps[b][row], layout, params.top))
                        .collect();
                    let defined: Vec<f64> = found.iter().copied().flatten().collect();
                    if let Some((estimates, counts)) = slots.next() {
                        let estimate = mean(&defined, draws);
                        counts.extend(estimate.map(|_| defined.len() as i64));
                        estimates.add(&[measure.name()], estimate);
                    }
                    for (image, value) in images.iter_mut().zip(found) {
                        image[a * count + b] = value;
                        image[b * count + a] = value;
                    }
                }
            }
            let complete: Vec<Vec<f64>> =
                images.into_iter().filter_map(|i| i.into_iter().collect()).collect();
            let groups = Pairs::new(count, complete).filter(|_| !ids.is_empty());
            for question in &questions {
                let found =
                    groups.as_ref().and_then(|g| question.answer(g, count, repeats.as_deref(), draws));
                contrasts.add(&[&question.name, measure.name()], found);
            }
            io.progress.advance("measures", done as u64 + 1, Some(params.measures.len() as u64));
        }
        let tables = pairs.into_iter().map(|(estimates, counts)| {
            let mut frame = estimates.table(&["measure"])?;
            frame.push_i64s("images", counts)?;
            Ok(frame)
        });
        let tables: Vec<Frame> = tables.collect::<Result<_, Failure>>()?;
        put_stacked(io, "pairs", unordered(&cells).into_iter().zip(tables).collect())?;
        put_stacked(io, "contrasts", vec![(Axes::new(), contrasts.table(&["contrast", "measure"])?)])?;
        put_stacked(io, "consensus", vec![(Axes::new(), consensus(&ids, &maps, layout)?)])
    }
}

/// For each image the mean over models of the pixels' ranks, from 0 to 1.
fn consensus(ids: &[String], maps: &[Vec<Vec<f32>>], layout: Layout) -> Result<Frame, Failure> {
    let scale = ((layout.pixels().max(2) - 1) * maps.len().max(1)) as f64;
    let mut values = Vec::with_capacity(ids.len() * layout.pixels());
    for row in 0..ids.len() {
        let mut sum = vec![0.0; layout.pixels()];
        for map in maps {
            sum.iter_mut().zip(ranks(&map[row])).for_each(|(s, rank)| *s += (rank - 1.0) / scale);
        }
        values.extend(sum.into_iter().map(|v| v as f32));
    }
    let mut frame = Frame::new();
    frame.push_strings("id", ids)?;
    frame.push_tensor_f32("relevance", Tensor { row_shape: vec![layout.height, layout.width], values })?;
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Input, run_tables};

    /// Maps of three images of 2 × 2 pixels, the rows in this order.
    fn maps(rows: [usize; 3], sign: f32) -> Frame {
        let images = [[1.0, 2.0, 3.0, 4.0], [4.0, 1.0, 2.0, 3.0], [-1.0, 0.0, 5.0, 2.0]];
        let values = rows.iter().flat_map(|r| images[*r]).map(|v| v * sign).collect();
        let mut frame = Frame::new();
        frame.push_i64s("id", rows.iter().map(|r| *r as i64).collect()).unwrap();
        frame.push_tensor_f32("relevance", Tensor { row_shape: vec![1, 2, 2], values }).unwrap();
        frame
    }

    fn inputs(axes: &[[(&'static str, serde_json::Value); 2]; 4]) -> [Frame; 4] {
        assert_eq!(axes.len(), 4);
        [maps([0, 1, 2], 1.0), maps([2, 0, 1], 1.0), maps([0, 2, 1], -1.0), maps([0, 1, 2], -1.0)]
    }

    #[test]
    fn maps_of_one_sign_agree_and_rows_find_each_other() {
        let axes =
            [(0, "a"), (1, "a"), (0, "b"), (1, "b")].map(|(s, t)| [("seed", json!(s)), ("task", json!(t))]);
        let frames = inputs(&axes);
        let bound: Vec<Input> = frames.into_iter().zip(&axes).map(|(f, a)| ("maps", f, &a[..])).collect();
        let run =
            run_tables(&Compare, json!({"measures": ["spearman", "cosine"], "top": 0.25}), &bound).unwrap();
        let pairs = run.table("pairs");
        assert_eq!(
            pairs.names(),
            [
                "first_seed",
                "first_task",
                "second_seed",
                "second_task",
                "measure",
                "value",
                "low",
                "high",
                "p",
                "images"
            ]
        );
        assert_eq!(
            pairs.f64s("value").unwrap().iter().map(|v| v.round() as i64).collect::<Vec<_>>(),
            [1, 1, -1, -1, -1, -1, -1, -1, -1, -1, 1, 1]
        );
        let contrasts = run.table("contrasts");
        let names = contrasts.strings("contrast").unwrap();
        let task = names.iter().position(|n| n == "task: same - different").unwrap();
        assert!((contrasts.f64s("value").unwrap()[task] - 2.0).abs() < 1e-9);
        let consensus = run.table("consensus").tensor_f32("relevance").unwrap();
        assert_eq!(consensus.row_shape, [2, 2]);
        assert!(consensus.values.iter().all(|v| (v - 0.5).abs() < 1e-6), "{:?}", consensus.values);
        for port in ["pairs", "contrasts"] {
            assert_eq!(run.inferred(port).columns, run.table(port).facts().columns, "{port}");
        }
    }

    #[test]
    fn mistakes_are_named() {
        let one = maps([0, 1, 2], 1.0);
        let error = |with, frames: &[Frame]| {
            let bound: Vec<Input> = frames.iter().map(|f| ("maps", f.clone(), &[][..])).collect();
            run_tables(&Compare, with, &bound).map(|_| ()).unwrap_err()
        };
        assert!(error(json!({}), std::slice::from_ref(&one)).starts_with("there is one table of maps"));
        let two = [one.clone(), one.clone()];
        assert!(error(json!({"top": 0.0}), &two).starts_with("the top must be"));
        let other = one.take(&[0, 1]).unwrap();
        assert!(error(json!({}), &[one, other]).contains("no row with the id 2"));
    }
}
