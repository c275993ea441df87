//! The tables of `dynamics.plane`.

use science::dynamics::plane::{Plane, Spread};

use super::batches::Samples;
use super::curvature::Setting;
use super::landscape::Landscape;
use super::orbits::Modes;
use super::plane::Params;
use crate::kinds::wrong;
use crate::stage::{Failure, Io};
use crate::table::Frame;

/// Points of an ellipse; the first stands at its end again, so that a line closes.
const POINTS: usize = 96;
/// Standard deviations that a plane reaches if nothing else is said.
const DEVIATIONS: f64 = 3.0;

/// The two directions, how far the plane reaches along them, and the stationary state over it.
pub struct Survey<'a> {
    params: &'a Params,
    vectors: [Vec<f64>; 2],
    eigenvalues: [f64; 2],
    /// Half-widths.
    reach: [f64; 2],
    theory: Option<Theory>,
}

/// The stationary state of chains, and the sampler that it assumes.
struct Theory {
    plane: Plane,
    sampler: &'static str,
}

impl<'a> Survey<'a> {
    /// Of the rows of `directions` that the parameters name; `rows` is N of the noise.
    ///
    /// # Errors
    /// If a mode is not there, a vector or eigenvalue is no number, or the chains have no stationary state.
    pub fn new(params: &'a Params, directions: &Frame, rows: usize) -> Result<Self, Failure> {
        let (ranks, values) = (directions.i64s("mode")?, directions.f64s("eigenvalue")?);
        let vectors = directions.tensor_f64("vector")?;
        let width = vectors.row_size();
        let place = |mode: i64| {
            ranks.iter().position(|r| *r == mode).ok_or_else(|| {
                let known: Vec<String> = ranks.iter().map(i64::to_string).collect();
                Failure::new(format!("`directions` has no mode {mode}; it has {}", known.join(", ")))
                    .hint("name others in `modes`, or raise `largest` of `dynamics.hessian`")
            })
        };
        let at = [place(params.modes[0])?, place(params.modes[1])?];
        let vector =
            |k: usize| vectors.values.iter().skip(k * width).take(width).copied().collect::<Vec<f64>>();
        let (vectors, eigenvalues) = (at.map(vector), at.map(|k| values[k]));
        if vectors.iter().flatten().chain(&eigenvalues).any(|v| !v.is_finite()) {
            return Err(Failure::new("a direction or its eigenvalue is no number")
                .hint("bind `pairs` of `dynamics.hessian`"));
        }
        let theory = match params.settings() {
            None => None,
            Some((sgd, sampler)) => {
                sgd.check(rows).map_err(wrong)?;
                let factor = sampler.drawn().factor(rows, sgd.batch_size);
                let modes = Modes::of(directions, &sgd, factor)?;
                let hint = "name other `modes`, or leave out `sgd` and give `reach`";
                let both = at.map(|k| (modes.rows[k].2, modes.rows[k].3));
                let plane = Plane::new(both).map_err(|e| wrong(e).hint(hint))?;
                Some(Theory { plane, sampler: sampler.drawn().assumed().name() })
            }
        };
        let wide = theory.as_ref().map(|t| t.plane.positions.deviations().map(|d| DEVIATIONS * d));
        // Of the two one is given: the parameters were checked.
        let reach = params.half_widths().or(wide).unwrap_or([f64::NAN; 2]);
        Ok(Survey { params, vectors, eigenvalues, reach, theory })
    }

    /// Places along one side: evenly from −reach to reach, and exactly opposite each other.
    fn side(&self, reach: f64) -> Vec<f64> {
        let last = (self.params.points - 1) as f64;
        (0..self.params.points).map(|k| reach * (2.0 * k as f64 - last) / last).collect()
    }

    /// All places of a plane with these half-widths, `second` by `second`.
    fn places(&self, reach: [f64; 2]) -> Vec<[f64; 2]> {
        let [across, up] = reach.map(|r| self.side(r));
        up.iter().flat_map(|b| across.iter().map(|a| [*a, *b])).collect()
    }

    /// The loss over the plane, and the provider that ran it.
    ///
    /// # Errors
    /// If the directions are not of this model, the graph fails, or the step was asked to stop.
    pub fn grid(
        &self,
        io: &Io,
        setting: &Setting,
        samples: &Samples,
    ) -> Result<(Frame, &'static str), Failure> {
        let mut landscape = Landscape::new(setting, samples.batches(self.params.batch_size)?)?;
        let [first, second] = &self.vectors;
        if first.len() != landscape.size() {
            return Err(Failure::new(format!(
                "the directions have {} values, and the model has {} parameters",
                first.len(),
                landscape.size()
            ))
            .hint("bind `pairs` of a `dynamics.hessian` of this model at the port `directions`"));
        }
        // Weights at which the loss is no number are told before the plane is gone over.
        let (base, slopes) = self.slopes(setting, samples)?;
        let places = self.places(self.reach);
        let (mut losses, mut decayed) = (Vec::with_capacity(places.len()), Vec::with_capacity(places.len()));
        for (done, [a, b]) in places.iter().enumerate() {
            io.check_cancelled()?;
            let (loss, square) = landscape.at([(first, *a), (second, *b)])?;
            losses.push(loss);
            decayed.push(loss + 0.5 * self.params.weight_decay * square);
            io.progress.advance("points", done as u64 + 1, Some(places.len() as u64));
        }
        let bent = |[a, b]: &[f64; 2]| {
            base + slopes[0] * a
                + slopes[1] * b
                + 0.5 * (self.eigenvalues[0] * a * a + self.eigenvalues[1] * b * b)
        };
        let mut frame = places_of(&places)?;
        frame.push_f64s("loss", losses)?;
        frame.push_f64s("decayed_loss", decayed)?;
        frame.push_f64s("quadratic", places.iter().map(bent).collect())?;
        if let Some(theory) = &self.theory {
            theory.modified(&mut frame, &theory.plane.positions, &places)?;
        }
        Ok((frame, landscape.provider()))
    }

    /// The loss at the model's weights, and its slopes along both directions.
    fn slopes(&self, setting: &Setting, samples: &Samples) -> Result<(f64, [f64; 2]), Failure> {
        let (mut base, mut slopes) = (0.0, [0.0; 2]);
        let mut gradients = setting.gradients(samples.batches(self.params.batch_size)?)?;
        gradients.each_gradient(&mut |share, loss, gradient| {
            base += share * loss;
            for (slope, vector) in slopes.iter_mut().zip(&self.vectors) {
                *slope += share * gradient.iter().zip(vector).map(|(g, v)| g * v).sum::<f64>();
            }
            Ok(())
        })?;
        Ok((base, slopes))
    }

    /// What theory says, for each port that there is: velocities over as many standard deviations as positions, and the
    /// ellipses of both.
    ///
    /// # Errors
    /// If a table cannot be made.
    pub fn theory(&self) -> Result<Vec<(&'static str, Frame)>, Failure> {
        let Some(theory) = &self.theory else { return Ok(Vec::new()) };
        let plane = &theory.plane;
        let (a, u) = (plane.positions.deviations(), plane.velocities.deviations());
        let places = self.places([self.reach[0] / a[0] * u[0], self.reach[1] / a[1] * u[1]]);
        let mut velocities = places_of(&places)?;
        theory.modified(&mut velocities, &plane.velocities, &places)?;
        Ok(vec![("velocities", velocities), ("ellipses", theory.ellipses()?)])
    }
}

fn places_of(places: &[[f64; 2]]) -> Result<Frame, Failure> {
    let mut frame = Frame::new();
    frame.push_f64s("first", places.iter().map(|p| p[0]).collect())?;
    frame.push_f64s("second", places.iter().map(|p| p[1]).collect())?;
    Ok(frame)
}

impl Theory {
    fn modified(&self, frame: &mut Frame, spread: &Spread, places: &[[f64; 2]]) -> Result<(), Failure> {
        frame.push_f64s("modified_loss", places.iter().map(|p| spread.modified_loss(*p)).collect())?;
        frame.push_strings("assumed_sampler", &vec![self.sampler; places.len()])
    }

    fn ellipses(&self) -> Result<Frame, Failure> {
        let (mut of, mut kinds, mut points, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (what, spread) in [("position", &self.plane.positions), ("velocity", &self.plane.velocities)] {
            for (kind, radius) in [("1 sigma", 1.0), ("2 sigma", 2.0)] {
                let around = spread.ellipse(radius, POINTS);
                for (point, place) in around.iter().chain(around.first()).enumerate() {
                    of.push(what);
                    kinds.push(kind);
                    points.push(point as i64);
                    places.push(*place);
                }
            }
        }
        let mut frame = Frame::new();
        frame.push_strings("of", &of)?;
        frame.push_strings("kind", &kinds)?;
        frame.push_i64s("point", points)?;
        frame.push_f64s("first", places.iter().map(|p| p[0]).collect())?;
        frame.push_f64s("second", places.iter().map(|p| p[1]).collect())?;
        frame.push_strings("assumed_sampler", &vec![self.sampler; places.len()])?;
        Ok(frame)
    }
}
