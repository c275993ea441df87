//! How the learning rate changes over a run.

use serde::{Deserialize, Serialize};

/// How the learning rate changes over the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// It falls to zero along half a cosine.
    Cosine,
    /// It is multiplied by `factor` after every `every` epochs.
    Step {
        /// Epochs between two falls.
        every: usize,
        /// What it is multiplied by.
        factor: f64,
    },
}

/// A run's learning rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// At the beginning, warm-up aside.
    pub first: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// Steps over which it first rises in equal parts.
    pub warmup: usize,
    /// Steps of an epoch.
    pub epoch: usize,
    /// Steps of the run.
    pub steps: usize,
}

impl Rates {
    /// The rate of a step, counted from 0.
    pub fn at(&self, step: usize) -> f32 {
        let factor = match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Cosine => {
                let behind = step.saturating_sub(self.warmup) as f64;
                let length = self.steps.saturating_sub(self.warmup).max(1) as f64;
                0.5 * (1.0 + (std::f64::consts::PI * behind / length).cos())
            }
            Schedule::Step { every, factor } => factor.powf((step / self.epoch.max(1) / every.max(1)) as f64),
        };
        let rise = if step < self.warmup { (step + 1) as f64 / self.warmup as f64 } else { 1.0 };
        (self.first * factor * rise) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_fall_and_stay() {
        let rates = |schedule, warmup| Rates { first: 0.8, schedule, warmup, epoch: 10, steps: 100 };
        assert_eq!(rates(Schedule::Constant, 4).at(0), 0.2);
        assert_eq!(rates(Schedule::Constant, 4).at(50), 0.8);
        assert_eq!(rates(Schedule::Cosine, 0).at(0), 0.8);
        assert!((rates(Schedule::Cosine, 20).at(60) - 0.4).abs() < 1e-6);
        let step = Schedule::Step { every: 3, factor: 0.5 };
        assert_eq!([0, 29, 30, 60].map(|s| rates(step, 0).at(s)), [0.8, 0.8, 0.4, 0.2]);
    }
}
