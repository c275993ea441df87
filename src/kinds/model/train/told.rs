//! What a run tells, call by call, and how it is taken up again behind a checkpoint.

use super::checkpoint::Past;
use super::history::{History, Score};
use super::rows::Measure;
use super::trajectory::Trajectory;
use crate::model::{Progress, Rates};
use crate::stage::Failure;

/// Takes what a run tells.
pub struct Told {
    /// Epoch by epoch.
    pub history: History,
    /// Recorded steps, if any are.
    pub trajectory: Option<Trajectory>,
    measure: Option<Measure>,
    rates: Rates,
    losses: Vec<f32>,
    right: Vec<f32>,
    held_out: Vec<Score>,
}

impl Told {
    /// At the beginning of a run.
    pub fn new(
        history: History,
        trajectory: Option<Trajectory>,
        measure: Option<Measure>,
        rates: Rates,
    ) -> Self {
        let (losses, right, held_out) = (Vec::new(), Vec::new(), Vec::new());
        Told { history, trajectory, measure, rates, losses, right, held_out }
    }

    /// Takes one call.
    pub fn take(&mut self, p: &Progress) -> Result<(), Failure> {
        self.history.extend(p.losses, p.right);
        self.losses.extend(p.losses);
        self.right.extend(p.right);
        if let Some(trajectory) = &mut self.trajectory {
            trajectory.extend(p, |step| self.rates.at(step));
        }
        if let Some(measure) = self.measure.as_mut().filter(|_| p.step.is_multiple_of(self.rates.epoch)) {
            let score = measure.score(p.states)?;
            self.history.held_out(score);
            self.held_out.push(score);
        }
        Ok(())
    }

    /// All of it so far.
    pub fn past(&self) -> Past {
        let (recorded, values) = self.trajectory.as_ref().map(Trajectory::so_far).unwrap_or_default();
        Past {
            losses: self.losses.clone(),
            right: self.right.clone(),
            held_out: self.held_out.clone(),
            recorded,
            values,
        }
    }

    /// Takes up what a run told before it was killed.
    pub fn replay(&mut self, past: Past) {
        let epoch = self.rates.epoch.max(1);
        for (index, losses) in past.losses.chunks(epoch).enumerate() {
            let from = index * epoch;
            self.history.extend(losses, past.right.get(from..from + losses.len()).unwrap_or_default());
            if let Some(score) = past.held_out.get(index) {
                self.history.held_out(*score);
            }
        }
        let told = Progress {
            step: past.losses.len(),
            steps: self.rates.steps,
            losses: &past.losses,
            right: &past.right,
            recorded: &past.recorded,
            values: &past.values,
            states: &[],
            lost: None,
            ended: false,
        };
        if let Some(trajectory) = &mut self.trajectory {
            trajectory.extend(&told, |step| self.rates.at(step));
        }
        (self.losses, self.right, self.held_out) = (past.losses, past.right, past.held_out);
    }
}
