//! What became of a run, epoch by epoch.

use super::params::Loss;
use crate::stage::Failure;
use crate::table::Frame;

/// Loss and accuracy.
pub type Score = (f64, f64);

/// One row of the table.
struct Epoch {
    step: usize,
    loss: f64,
    accuracy: f64,
    held_out: Option<Score>,
}

/// Collects the numbers of steps into epochs.
pub struct History {
    /// Steps of an epoch.
    length: usize,
    batch: usize,
    step: usize,
    count: usize,
    loss: f64,
    right: f64,
    epochs: Vec<Epoch>,
}

impl History {
    /// Of epochs of `length` steps with batches of `batch` rows.
    pub fn new(length: usize, batch: usize) -> Self {
        History { length, batch, step: 0, count: 0, loss: 0.0, right: 0.0, epochs: Vec::new() }
    }

    /// Takes the losses and right answers of further steps.
    pub fn extend(&mut self, losses: &[f32], right: &[f32]) {
        for (i, loss) in losses.iter().enumerate() {
            self.step += 1;
            self.count += 1;
            self.loss += f64::from(*loss);
            self.right += right.get(i).map_or(0.0, |r| f64::from(*r));
            if self.step.is_multiple_of(self.length) {
                self.end();
            }
        }
    }

    /// Ends an epoch, the last one perhaps early.
    pub fn end(&mut self) {
        if self.count > 0 {
            let count = self.count as f64;
            self.epochs.push(Epoch {
                step: self.step,
                loss: self.loss / count,
                accuracy: self.right / (count * self.batch as f64),
                held_out: None,
            });
            (self.count, self.loss, self.right) = (0, 0.0, 0.0);
        }
    }

    /// What was measured on held-out rows behind the last epoch.
    pub fn held_out(&mut self, score: Score) {
        if let Some(last) = self.epochs.last_mut() {
            last.held_out = Some(score);
        }
    }

    /// The table.
    ///
    /// # Errors
    /// If its columns are not equally long.
    pub fn frame(&self, loss: Loss) -> Result<Frame, Failure> {
        let all = |f: &dyn Fn(&Epoch) -> f64| self.epochs.iter().map(f).collect::<Vec<f64>>();
        let mut frame = Frame::new();
        frame.push_i64s("epoch", (1..=self.epochs.len() as i64).collect())?;
        frame.push_i64s("step", self.epochs.iter().map(|e| e.step as i64).collect())?;
        frame.push_f64s("loss", all(&|e| e.loss))?;
        let classified = loss != Loss::MeanSquaredError;
        if classified {
            frame.push_f64s("accuracy", all(&|e| e.accuracy))?;
        }
        if self.epochs.iter().any(|e| e.held_out.is_some()) {
            frame.push_f64s("validation_loss", all(&|e| e.held_out.map_or(f64::NAN, |h| h.0)))?;
            if classified {
                frame.push_f64s("validation_accuracy", all(&|e| e.held_out.map_or(f64::NAN, |h| h.1)))?;
            }
        }
        Ok(frame)
    }
}
