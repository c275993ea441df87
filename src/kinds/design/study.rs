//! Images that climb, and what models that made them or never saw them say of the result.

use science::brain::stats;
use science::design::ascent::Climber;
use science::design::image::{self, Canvas};
use science::maps::Layout;

use super::goal::{Target, Wanted};
use super::seer::Seer;
use super::synthesize::{Parametrisation, Params};
use crate::kinds::model::facts;
use crate::kinds::words::label;
use crate::kinds::wrong;
use crate::stage::{Failure, Io};
use crate::table::{self, Tensor};

/// Candidates and models, and what the models make of the candidates.
pub struct Study {
    pub column: String,
    pub ids: Vec<String>,
    pub tensor: Tensor<f32>,
    pub layout: Layout,
    bounds: (f64, f64),
    pub names: Vec<String>,
    pub seen: Side,
    unseen: Option<Side>,
}

/// Models that judge together, their outputs for the pool, and the goals as they look to them.
pub struct Side {
    pub seers: Vec<Seer>,
    pool: Vec<Vec<f64>>,
    pub targets: Vec<Target>,
}

impl Side {
    fn new(
        port: &str,
        slopes: bool,
        params: &Params,
        pool: (&[String], &Tensor<f32>),
        io: &Io,
    ) -> Result<Self, Failure> {
        let (ids, tensor) = pool;
        let mut seers = Vec::new();
        let mut outputs = Vec::new();
        for bound in io.many(port) {
            io.check_cancelled()?;
            let mut seer = Seer::new(bound, params.tensor.as_deref(), tensor, slopes, io)?;
            outputs.push(seer.outputs(&tensor.values)?);
            seers.push(seer);
        }
        let widths: Vec<usize> = seers.iter().map(|s| s.width).collect();
        let sides = params.grouped(io.many(port).iter().map(|b| &b.axes)).map_err(Failure::new)?;
        let wanted = Wanted {
            sides: &sides,
            goal: params.goal,
            units: &params.units,
            classes: &params.classes,
            n: params.n,
            seed: params.seed,
            ids,
            pool: &outputs,
            widths: &widths,
        };
        let targets = wanted.targets()?;
        Ok(Side { seers, pool: outputs, targets })
    }

    /// The value of one image by the outputs of all models (model, images × width).
    fn value(
        &self,
        target: &Target,
        outputs: &[Vec<f64>],
        image: usize,
    ) -> Result<(f64, Vec<Vec<f64>>), Failure> {
        let of = |m: &usize| {
            let width = self.seers[*m].width;
            &outputs[*m][image * width..][..width]
        };
        target.slope(&target.models.iter().map(of).collect::<Vec<_>>())
    }

    /// What the models say of images.
    fn look(&mut self, images: &[f32]) -> Result<Vec<Vec<f64>>, Failure> {
        self.seers.iter_mut().map(|seer| seer.outputs(images)).collect()
    }
}

impl Study {
    /// Reads the pool and makes the models ready.
    pub fn read(params: &Params, io: &Io) -> Result<Self, Failure> {
        let bound = io.input("pool")?;
        let schema = bound.facts.table().cloned().unwrap_or_default();
        let column = facts::input_column(&schema, params.input.as_deref(), "input");
        let column = column.map_err(|c| Failure::new(c.message))?;
        let id = schema.column("id").map(|_| "id");
        let wanted: Vec<&str> = id.into_iter().chain([column.as_str()]).collect();
        let frame = table::read(bound, Some(&wanted))?;
        let ids = match id {
            Some(id) => frame.strings(id)?,
            None => (0..frame.rows()).map(|row| row.to_string()).collect(),
        };
        if frame.rows() == 0 {
            return Err(Failure::new("the pool has no rows: made stimuli are compared with those of a pool"));
        }
        let tensor = frame.tensor_f32(&column)?;
        let layout = Layout::of(&tensor.row_shape, false).map_err(wrong)?;
        if let Some(at) = tensor.values.iter().position(|v| !v.is_finite()) {
            let row = at / tensor.row_size().max(1);
            return Err(Failure::new(format!("column `{column}`, row {row}: a value is no finite number")));
        }
        let range =
            tensor.values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let bounds = params.bounds.unwrap_or((f64::from(range.0), f64::from(range.1)));
        if bounds.0 >= bounds.1 {
            return Err(Failure::new("all values of the pool are the same: an image has no bounds")
                .hint("say `bounds: [low, high]`"));
        }
        let names = io.many("models").iter().enumerate().map(|(i, b)| label(&b.axes, i, "model")).collect();
        let seen = Side::new("models", true, params, (&ids, &tensor), io)?;
        let unseen = if io.many("unseen").is_empty() {
            None
        } else {
            Some(Side::new("unseen", false, params, (&ids, &tensor), io)?)
        };
        Ok(Study { column, ids, tensor, layout, bounds, names, seen, unseen })
    }

    /// Stimuli for the goals from `first`, with the value after every step.
    pub fn climb(
        &mut self,
        params: &Params,
        first: usize,
        count: usize,
        io: &Io,
    ) -> Result<Climbed, Failure> {
        let kind = match params.parametrisation {
            Parametrisation::Pixel => image::Parametrisation::Pixel,
            Parametrisation::Fourier => image::Parametrisation::Fourier,
        };
        let canvas = Canvas::new(self.layout, self.bounds.0, self.bounds.1, kind);
        let size = canvas.size();
        let mut parameters: Vec<Vec<f64>> =
            (0..count).map(|i| image::noise(size, params.seed, (first + i) as u64)).collect();
        let mut climbers: Vec<Climber> =
            (0..count).map(|_| Climber::new(size, params.learning_rate)).collect();
        let mut history = vec![Vec::with_capacity(params.steps); count];
        for step in 0..params.steps {
            io.check_cancelled()?;
            let images: Vec<Vec<f64>> = parameters.iter().map(|z| canvas.image(z)).collect();
            let shift = image::shift(params.jitter, params.seed, step as u64);
            let shown: Vec<f32> = images
                .iter()
                .flat_map(|image| canvas.shifted(image, shift.0, shift.1))
                .map(|v| v as f32)
                .collect();
            let outputs = self.seen.look(&shown)?;
            let mut seeds: Vec<Vec<f32>> =
                self.seen.seers.iter().map(|seer| vec![0.0; count * seer.width]).collect();
            for (at, values) in history.iter_mut().enumerate() {
                let target = &self.seen.targets[first + at];
                let (value, slopes) = self.seen.value(target, &outputs, at)?;
                values.push(value);
                for (model, slope) in target.models.iter().zip(slopes) {
                    let width = self.seen.seers[*model].width;
                    let own = &mut seeds[*model][at * width..][..width];
                    own.iter_mut().zip(slope).for_each(|(seed, s)| *seed = s as f32);
                }
            }
            let mut gradient = vec![0.0; count * size];
            for (seer, seeds) in self.seen.seers.iter_mut().zip(&seeds) {
                let own = seer.gradients(&shown, seeds)?;
                gradient.iter_mut().zip(own).for_each(|(total, g)| *total += g);
            }
            for (at, (z, climber)) in parameters.iter_mut().zip(&mut climbers).enumerate() {
                let mut own = canvas.shifted(&gradient[at * size..][..size], -shift.0, -shift.1);
                if params.total_variation > 0.0 {
                    let (_, rough) = canvas.total_variation(&images[at]);
                    own.iter_mut().zip(rough).for_each(|(g, r)| *g -= params.total_variation * r);
                }
                climber.climb(z, &canvas.back(&images[at], &own));
            }
            io.progress.advance("steps", step as u64 + 1, Some(params.steps as u64));
        }
        let images = parameters.iter().flat_map(|z| canvas.image(z)).map(|v| v as f32).collect();
        Ok(Climbed { images, history })
    }
}

pub struct Climbed {
    pub images: Vec<f32>,
    pub history: Vec<Vec<f64>>,
}

/// One line of `transfer`.
pub struct Judged {
    pub stimulus: usize,
    pub judge: &'static str,
    pub value: f64,
    pub best: f64,
    pub chosen: f64,
    pub spread: f64,
}

/// Compares the stimuli with `compared` rows of the pool, by the models that they were made for and by unseen ones.
pub fn judge(study: &mut Study, images: &[f32], compared: &[usize]) -> Result<Vec<Judged>, Failure> {
    let looked = study.seen.look(images)?;
    let by_others = study.unseen.as_mut().map(|side| side.look(images)).transpose()?;
    let mut lines = Vec::new();
    for stimulus in 0..study.seen.targets.len() {
        let row_values = |side: &Side| -> Result<Vec<f64>, Failure> {
            let target = &side.targets[stimulus];
            let rows = compared.iter().filter(|row| Some(**row) != target.reference);
            rows.map(|row| Ok(side.value(target, &side.pool, *row)?.0)).collect()
        };
        let top =
            |values: &[f64]| (0..values.len()).fold(0, |b, i| if values[i] > values[b] { i } else { b });
        let own = row_values(&study.seen)?;
        let chosen = top(&own);
        let sides = [
            ("seen", Some((&study.seen, &looked))),
            ("unseen", study.unseen.as_ref().zip(by_others.as_ref())),
        ];
        for (name, side) in sides {
            let Some((side, outputs)) = side else { continue };
            let values = row_values(side)?;
            let value = side.value(&side.targets[stimulus], outputs, stimulus)?.0;
            let (best, of_chosen) = (values.get(top(&values)), values.get(chosen));
            let (Some(best), Some(of_chosen)) = (best, of_chosen) else {
                return Err(Failure::new("the pool has no stimulus to compare with"));
            };
            let (best, of_chosen, spread) = (*best, *of_chosen, stats::variance(&values).sqrt());
            lines.push(Judged { stimulus, judge: name, value, best, chosen: of_chosen, spread });
        }
    }
    Ok(lines)
}
