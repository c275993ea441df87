//! `lrp.regions`: how much relevance lies in which part of an image.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use science::maps::Layout;
use science::maps::contrast::{Draws, mean};
use science::maps::regions::{Held, held, nearest};
use serde::{Deserialize, Serialize};

use super::images::{Channels, Planes, check_maps, ids, layout, matched, schema};
use super::landmarks;
use super::mask::{check_resamples, resamples};
use crate::kinds::artefacts::put_table;
use crate::kinds::columns;
use crate::kinds::model::facts::input_column;
use crate::stage::{Complaint, Failure, InferContext, Io, Kind, Outputs, Port, PortType, Ports, Reads};
use crate::table::{Frame, read};

/// Relevance by region.
pub struct Regions;

/// Parameters of `lrp.regions`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Rectangles of pixels; a pixel belongs to the first that holds it, all others to `rest`.
    #[serde(default)]
    pub boxes: Vec<Area>,
    /// Points `name: [row, column]`; a pixel belongs to the nearest.
    #[serde(default)]
    pub landmarks: BTreeMap<String, [f64; 2]>,
    /// With label images: the column that holds them; if not given the only tensor column.
    #[serde(default)]
    pub labels: Option<String>,
    /// With label images: names of the labels 0, 1, …; others keep their numbers.
    #[serde(default)]
    pub names: Vec<String>,
    /// Bootstrap resamples of the images for the intervals.
    #[serde(default = "resamples")]
    pub resamples: usize,
    /// Seed of the resamples.
    #[serde(default)]
    pub seed: u64,
    /// Which axis of a map holds the channels, which are added up.
    #[serde(default)]
    pub channels: Channels,
}

/// A rectangle of pixels.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Area {
    /// The region's name.
    pub region: String,
    /// First row, and the row after the last.
    pub rows: [usize; 2],
    /// First column, and the column after the last.
    pub columns: [usize; 2],
}

const REST: &str = "rest";
const EACH: &[(&str, &str)] = &[
    ("id", "string"),
    ("region", "string"),
    ("pixels", "int64"),
    ("relevance", "float64"),
    ("share", "float64"),
    ("density", "float64"),
];
const SUMMARY: &[(&str, &str)] = &[
    ("region", "string"),
    ("images", "int64"),
    ("area", "float64"),
    ("share", "float64"),
    ("low", "float64"),
    ("high", "float64"),
    ("p", "float64"),
];

/// The regions' names, and the region of each pixel: of every image, or of all alike.
struct Parts {
    names: Vec<String>,
    of: Vec<Vec<usize>>,
}

impl Params {
    fn of_boxes(&self, layout: Layout) -> Parts {
        let mut names: Vec<String> = Vec::new();
        for area in &self.boxes {
            if !names.contains(&area.region) {
                names.push(area.region.clone());
            }
        }
        names.push(REST.to_owned());
        let rest = names.len() - 1;
        let within = |[first, end]: [usize; 2], place: usize| first <= place && place < end;
        let region = |pixel: usize| {
            let (row, column) = (pixel / layout.width, pixel % layout.width);
            let own = self.boxes.iter().find(|a| within(a.rows, row) && within(a.columns, column));
            own.and_then(|a| names.iter().position(|n| *n == a.region)).unwrap_or(rest)
        };
        let of = (0..layout.pixels()).map(region).collect();
        Parts { names, of: vec![of] }
    }

    fn of_landmarks(&self, layout: Layout) -> Parts {
        let points: Vec<[f64; 2]> = self.landmarks.values().copied().collect();
        let of = nearest(&points, layout.height, layout.width);
        Parts { names: self.landmarks.keys().cloned().collect(), of: vec![of] }
    }

    /// The regions of label images: one for all maps, or one for each, found by its id.
    fn of_labels(&self, io: &Io, maps: &[String], layout: Layout) -> Result<Parts, Failure> {
        let bound = io.input("regions")?;
        let facts = schema(bound)?;
        let column =
            input_column(&facts, self.labels.as_deref(), "labels").map_err(|c| Failure::new(c.message))?;
        let frame = read(bound, None)?;
        let images = frame.tensor_f64(&column)?;
        if images.row_size() != layout.pixels() {
            return Err(Failure::new(format!(
                "the label images have the shape {:?}, and the maps {} × {} pixels",
                images.row_shape, layout.height, layout.width
            )));
        }
        let rows = match frame.rows() {
            1 => vec![0],
            _ => matched(maps, &ids(&frame)?, "label images")?,
        };
        if let Some(wrong) = images.values.iter().find(|v| v.fract() != 0.0 || v.abs() > 1e9) {
            return Err(Failure::new(format!("a label image holds {wrong}, which is no label")));
        }
        let labels: BTreeSet<i64> = images.values.iter().map(|v| *v as i64).collect();
        let name = |label: &i64| {
            let named = usize::try_from(*label).ok().and_then(|place| self.names.get(place));
            named.cloned().unwrap_or_else(|| label.to_string())
        };
        let places: BTreeMap<i64, usize> = labels.iter().copied().zip(0..).collect();
        let of = |row: &usize| {
            let image = images.values.iter().skip(row * layout.pixels()).take(layout.pixels());
            image.map(|v| places.get(&(*v as i64)).copied().unwrap_or(usize::MAX)).collect()
        };
        Ok(Parts { names: labels.iter().map(name).collect(), of: rows.iter().map(of).collect() })
    }
}

impl Kind for Regions {
    type Params = Params;
    const NAME: &'static str = "lrp.regions";
    const REVISION: u32 = 1;
    const ABOUT: &'static str = "How much relevance lies in which part of an image.\n\n\
        Parts are `boxes`, the neighbourhoods of `landmarks`, or the labels of images at the port `regions`: one \
        image for all maps, or one for each, with its `id`. Landmarks are the same for all images, or those of each \
        at the port `landmarks`: a table of `id`, `region`, `row` and `column`. Maps are summed over channels. `table` has for each map \
        and region the sum of its `relevance`, its `share` of the map's magnitudes (Σ|R| in the region ÷ Σ|R|), and \
        its `density`: share ÷ share of the pixels, more than 1 where the model looks more than by chance.\n\n\
        `summary` has for each region the mean `share` over images with a 95 % bootstrap interval, beside its share \
        of the pixels, `area`; p is from flipping the signs of the differences between the two. Maps that are zero \
        have no share, and are left out of it.";
    const EXAMPLE: &'static str = "\
parts:
  uses: lrp.regions
  in: { maps: maps.table }
  with:
    boxes:
      - { region: eyes, rows: [7, 12], columns: [4, 21] }
      - { region: mouth, rows: [16, 21], columns: [7, 18] }
";

    fn ports(_params: Option<&Params>) -> Ports {
        Ports {
            inputs: vec![
                Port::new("maps", PortType::Table, "maps of images"),
                Port::new("regions", PortType::Table, "label images: one, or one for each map").optional(),
                Port::new("landmarks", PortType::Table, "landmarks of each image: id, region, row, column")
                    .optional(),
            ],
            outputs: vec![
                Port::new("table", PortType::Table, "one row a map and region"),
                Port::new("summary", PortType::Table, "one row a region"),
            ],
            ..Ports::default()
        }
    }

    fn reads(_params: &Params, _context: &InferContext) -> BTreeMap<String, Reads> {
        BTreeMap::from([("maps".to_owned(), Reads::columns(["id", "relevance"]))])
    }

    fn infer(params: &Params, context: &InferContext) -> Result<Outputs, Complaint> {
        check_resamples(params.resamples)?;
        let bound = |port: &str| context.inputs.get(port).is_some_and(|r| !r.is_empty());
        let (labelled, marked) = (bound("regions"), bound("landmarks"));
        let ways = [labelled, marked, !params.boxes.is_empty(), !params.landmarks.is_empty()];
        if ways.iter().filter(|way| **way).count() != 1 {
            return Err(Complaint::param(
                "boxes",
                "regions come from one of three: boxes, landmarks, images",
            )
            .hint("give `boxes`, or `landmarks`, or bind label images to the port `regions`"));
        }
        if marked && let Some(table) = context.input("landmarks").table() {
            landmarks::check(table)?;
        }
        if let Some(area) = params
            .boxes
            .iter()
            .find(|a| [a.rows, a.columns].iter().any(|[first, end]| first >= end) || a.region == REST)
        {
            let text = format!("the box `{}` holds no pixels, or is called `{REST}`", area.region);
            return Err(Complaint::param("boxes", text).hint("rows: [first, one after the last]"));
        }
        if params.landmarks.values().flatten().any(|v| !v.is_finite()) {
            return Err(Complaint::param("landmarks", "a landmark is no point"));
        }
        context.input("maps").table().map_or(Ok(()), check_maps)?;
        if labelled && let Some(table) = context.input("regions").table() {
            input_column(table, params.labels.as_deref(), "labels")?;
        }
        let outputs = [("table", EACH), ("summary", SUMMARY)];
        Ok(outputs.into_iter().map(|(port, columns)| (port.to_owned(), columns::facts(columns))).collect())
    }

    fn run(params: &Params, io: &mut Io) -> Result<(), Failure> {
        let own = |shape: &[usize]| layout("relevance", shape, params.channels);
        let (maps, layout) = Planes::read(io.input("maps")?, own)?;
        let parts = if !params.boxes.is_empty() {
            params.of_boxes(layout)
        } else if !params.landmarks.is_empty() {
            params.of_landmarks(layout)
        } else if !io.many("landmarks").is_empty() {
            let (names, of) = landmarks::regions(&read(io.input("landmarks")?, None)?, &maps.ids, layout)?;
            Parts { names, of }
        } else {
            params.of_labels(io, &maps.ids, layout)?
        };
        let count = parts.names.len();
        let shared = parts.of.first().filter(|_| parts.of.len() == 1);
        let found: Vec<Vec<Held>> = maps
            .planes
            .iter()
            .enumerate()
            .map(|(row, plane)| {
                let regions = shared.or_else(|| parts.of.get(row)).map_or(&[][..], Vec::as_slice);
                held(plane, regions, count)
            })
            .collect();
        put_table(io, "table", each(&maps.ids, &parts.names, &found)?)?;
        let draws = Draws { count: params.resamples, seed: params.seed };
        put_table(io, "summary", summary(&parts.names, &found, draws)?)
    }
}

fn each(ids: &[String], names: &[String], found: &[Vec<Held>]) -> Result<Frame, Failure> {
    let mut frame = Frame::new();
    let repeated: Vec<&String> = ids.iter().flat_map(|id| std::iter::repeat_n(id, names.len())).collect();
    let regions: Vec<&String> = ids.iter().flat_map(|_| names).collect();
    let numbers = |of: &dyn Fn(&Held) -> f64| found.iter().flatten().map(of).collect();
    frame.push_strings("id", &repeated)?;
    frame.push_strings("region", &regions)?;
    frame.push_i64s("pixels", found.iter().flatten().map(|h| h.pixels as i64).collect())?;
    frame.push_f64s("relevance", numbers(&|h| h.relevance))?;
    frame.push_known_f64s("share", numbers(&|h| h.share))?;
    frame.push_known_f64s("density", numbers(&|h| h.share / h.area))?;
    Ok(frame)
}

fn summary(names: &[String], found: &[Vec<Held>], draws: Draws) -> Result<Frame, Failure> {
    let mut columns: [Vec<f64>; 5] = Default::default();
    let mut images = Vec::new();
    for region in 0..names.len() {
        let held: Vec<Held> =
            found.iter().filter_map(|f| f.get(region).copied()).filter(|h| h.share.is_finite()).collect();
        let of = |value: &dyn Fn(&Held) -> f64| mean(&held.iter().map(value).collect::<Vec<_>>(), draws);
        let share = of(&|h| h.share).map_or([f64::NAN; 3], |e| [e.value, e.low, e.high]);
        let area = of(&|h| h.area).map_or(f64::NAN, |e| e.value);
        let p = of(&|h| h.share - h.area).map_or(f64::NAN, |e| e.p);
        images.push(held.len() as i64);
        let row = [area, share[0], share[1], share[2], p];
        columns.iter_mut().zip(row).for_each(|(column, value)| column.push(value));
    }
    let mut frame = Frame::new();
    frame.push_strings("region", names)?;
    frame.push_i64s("images", images)?;
    for (name, column) in ["area", "share", "low", "high", "p"].into_iter().zip(columns) {
        frame.push_known_f64s(name, column)?;
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{Input, Run, run_tables};
    use crate::table::Tensor;

    fn table(name: &str, shape: &[usize], values: &[f32]) -> Frame {
        let rows = values.len() / shape.iter().product::<usize>();
        let mut frame = Frame::new();
        frame.push_i64s("id", (0..rows as i64).collect()).unwrap();
        let tensor = Tensor { row_shape: shape.to_vec(), values: values.to_vec() };
        frame.push_tensor_f32(name, tensor).unwrap();
        frame
    }

    fn maps() -> Frame {
        table("relevance", &[1, 2, 2], &[1.0, -1.0, 2.0, 0.0, 0.0, 0.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    }

    fn run(with: serde_json::Value, more: Vec<Input>) -> Result<Run, String> {
        run_tables(&Regions, with, &[vec![("maps", maps(), &[][..])], more].concat())
    }

    #[test]
    fn boxes_landmarks_and_label_images_say_the_same() {
        let boxes = json!({"boxes": [{"region": "top", "rows": [0, 1], "columns": [0, 2]}]});
        let landmarks = json!({"landmarks": {"rest": [1.0, 0.5], "top": [0.0, 0.5]}});
        let image = table("part", &[2, 2], &[0.0, 0.0, 1.0, 1.0]);
        let labels = json!({"names": ["top", "rest"]});
        let points = |ids: &[i64]| {
            let mut frame = Frame::new();
            let twice = ids.iter().flat_map(|id| [*id; 2]).collect();
            frame.push_i64s("id", twice).unwrap();
            frame.push_strings("region", &["top", "rest"].repeat(ids.len())).unwrap();
            frame.push_f64s("row", [0.0, 1.0].repeat(ids.len())).unwrap();
            frame.push_f64s("column", vec![0.5; 2 * ids.len()]).unwrap();
            frame
        };
        let missing = run(json!({}), vec![("landmarks", points(&[0, 1]), &[][..])]).err().unwrap();
        assert!(missing.contains("the image 2 has no landmarks"), "{missing}");
        let each = table("part", &[2, 2], &[0.0, 0.0, 1.0, 1.0].repeat(3));
        let of = |run: &Run, region: &str| -> Vec<f64> {
            let table = run.table("table");
            let names = table.strings("region").unwrap();
            let values = table.f64s("share").unwrap();
            names.iter().zip(values).filter(|(n, _)| *n == region).map(|(_, v)| v).collect()
        };
        for (with, more) in [
            (boxes, vec![]),
            (landmarks, vec![]),
            (json!({}), vec![("landmarks", points(&[2, 0, 1]), &[][..])]),
            (labels.clone(), vec![("regions", image, &[][..])]),
            (labels, vec![("regions", each, &[][..])]),
        ] {
            let run = run(with, more).unwrap();
            assert_eq!((&of(&run, "top")[..2], &of(&run, "rest")[..2]), (&[0.5, 0.0][..], &[0.5, 1.0][..]));
            assert!(of(&run, "top")[2].is_nan());
            let summary = run.table("summary");
            assert_eq!(summary.i64s("images").unwrap(), [2, 2]);
            let mut shares = summary.f64s("share").unwrap();
            shares.sort_by(f64::total_cmp);
            assert_eq!(shares, [0.25, 0.75]);
            for port in ["table", "summary"] {
                assert_eq!(run.inferred(port).columns, run.table(port).facts().columns, "{port}");
            }
        }
    }

    #[test]
    fn mistakes_are_named() {
        let error = |with, more| run(with, more).err().unwrap();
        assert!(error(json!({}), vec![]).starts_with("regions come from one of three"));
        let empty = json!({"boxes": [{"region": "top", "rows": [1, 1], "columns": [0, 2]}]});
        assert!(error(empty, vec![]).contains("`top` holds no pixels"));
        let image = |values: &[f32]| vec![("regions", table("part", &[2, 2], values), &[][..])];
        assert!(error(json!({}), image(&[0.5; 4])).contains("which is no label"));
        assert!(error(json!({}), image(&[1.0; 8])).contains("no row with the id 2"));
        let small = vec![("regions", table("part", &[2, 1], &[0.0; 2]), &[][..])];
        assert!(error(json!({}), small).contains("2 × 2 pixels"));
    }
}
