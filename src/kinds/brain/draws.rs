//! What of `brain.rsa`'s subjects and stimuli is drawn anew or left out, and how far scores would go by that.

use science::brain::bootstrap::{self, Draw, Factor};
use science::brain::spread::{LeftOut, Spread, spread};

use super::compared::Compared;
use crate::kinds::wrong;
use crate::stage::Failure;
use crate::table::Frame;

/// The samples of one benchmark.
pub(super) struct Draws {
    /// Bootstraps of both factors, of subjects and of stimuli, each with its name.
    kinds: Vec<(&'static str, Vec<Draw>)>,
    left_out: LeftOut,
    left: Vec<Draw>,
    subjects: usize,
    conditions: usize,
}

impl Draws {
    pub(super) fn new(count: u32, seed: u64, subjects: usize, conditions: usize) -> Self {
        // One subject cannot be drawn anew: stimuli alone are.
        let factors: &[(&str, Factor)] = match subjects {
            1 => &[("stimuli", Factor::Stimuli)],
            _ => &[("both", Factor::Both), ("subjects", Factor::Subjects), ("stimuli", Factor::Stimuli)],
        };
        let draw = |(at, (name, factor)): (usize, &(&'static str, Factor))| {
            let own = seed.wrapping_mul(3).wrapping_add(at as u64);
            (*name, bootstrap::draws(*factor, subjects, conditions, count as usize, own))
        };
        let left_out = LeftOut::new(conditions, count as usize, seed);
        let left = left_out.draws(subjects);
        Draws { kinds: factors.iter().enumerate().map(draw).collect(), left_out, left, subjects, conditions }
    }

    /// Every index, for the key of a benchmark.
    pub(super) fn indices(&self) -> impl Iterator<Item = usize> {
        let drawn = self.kinds.iter().flat_map(|(_, all)| all);
        let drawn = drawn.flat_map(|d| d.subjects.iter().chain(&d.stimuli)).copied();
        drawn.chain(self.left_out.stimuli().flatten())
    }

    /// The scores of the models in all samples.
    pub(super) fn scores(
        &self,
        compared: Compared,
        models: &[&[f64]],
        subjects: &[&[f64]],
    ) -> Result<Scores<'_>, Failure> {
        let mut bootstraps = Vec::new();
        for (_, all) in &self.kinds {
            let scores = compared.drawn(models, subjects, all).map_err(wrong)?;
            let defined: Vec<Vec<f64>> = scores.into_iter().flatten().collect();
            if defined.len() * 10 < all.len() * 9 || defined.len() < 2 {
                return Err(Failure::new(format!(
                    "`{}` is undefined in {} of {} bootstrap draws: there are too few conditions",
                    compared.name(),
                    all.len() - defined.len(),
                    all.len()
                )));
            }
            bootstraps.push(defined);
        }
        let left = compared.drawn(models, subjects, &self.left).map_err(wrong)?;
        Ok(Scores { draws: self, bootstraps, left })
    }

    pub(super) fn table(&self) -> Result<Frame, Failure> {
        let (mut factor, mut number, mut side) = (Vec::new(), Vec::new(), Vec::new());
        let (mut position, mut index) = (Vec::new(), Vec::new());
        let mut push = |name, at: usize, what, members: &[usize]| {
            for (place, member) in members.iter().enumerate() {
                factor.push(name);
                number.push(at as i64);
                side.push(what);
                position.push(place as i64);
                index.push(*member as i64);
            }
        };
        for (name, draws) in &self.kinds {
            for (at, draw) in draws.iter().enumerate() {
                push(*name, at, "subject", &draw.subjects);
                push(*name, at, "condition", &draw.stimuli);
            }
        }
        for (at, out) in self.left_out.stimuli().enumerate() {
            push("left out", at, "condition", &out);
        }
        let mut frame = Frame::new();
        frame.push_strings("factor", &factor)?;
        frame.push_i64s("draw", number)?;
        frame.push_strings("side", &side)?;
        frame.push_i64s("position", position)?;
        frame.push_i64s("index", index)?;
        Ok(frame)
    }
}

/// The scores of the models in every sample.
pub(super) struct Scores<'a> {
    draws: &'a Draws,
    bootstraps: Vec<Vec<Vec<f64>>>,
    left: Vec<Option<Vec<f64>>>,
}

impl Scores<'_> {
    /// How far a number goes that is this of the models' scores, and `whole` of the scores of all subjects and stimuli.
    pub(super) fn spread(&self, whole: f64, of: &dyn Fn(&[f64]) -> f64) -> Spread {
        let bootstraps: Vec<Vec<f64>> =
            self.bootstraps.iter().map(|drawn| drawn.iter().map(|scores| of(scores)).collect()).collect();
        let left: Vec<Option<f64>> = self.left.iter().map(|scores| scores.as_deref().map(of)).collect();
        let of_pairs = self.draws.left_out.of_pairs(whole, &left);
        spread(&bootstraps, of_pairs, (self.draws.subjects, self.draws.conditions))
    }
}
