//! `brain.encode`'s whole analysis again, each time without another part of the stimuli: its interval is then one
//! over new experiments, in which maps are fitted to other stimuli too.

use science::brain::jackknife;
use science::error::{Error, Result};
use science::linalg::Mat;

use super::encode::{LEAST_REFITS, Params};
use super::held_out::Data;
use super::pooled::correlation;
use crate::stage::{Cancel, Progress};

/// Without each part.
#[derive(Default)]
pub(super) struct Refits {
    /// The part of every row; empty without refits.
    pub(super) part_of: Vec<i64>,
    /// The correlation of every target's predictions without each part; `None` where the target is constant.
    pub(super) without: Vec<Vec<Option<f64>>>,
}

impl Params {
    /// As many refits as are asked for.
    pub(super) fn refit(
        &self,
        data: &Data,
        projection: Option<&Mat<f64>>,
        cancel: &Cancel,
        progress: &dyn Progress,
    ) -> Result<Refits> {
        let mut refits = Refits::default();
        if self.refits == 0 {
            return Ok(refits);
        }
        let count = data.clusters.len().min(self.refits as usize);
        if count < LEAST_REFITS as usize {
            return Err(Error::new(format!(
                "{count} stimuli are too few for an interval by refits, which takes {LEAST_REFITS}: `refits: 0` asks for \
                 one by draws"
            )));
        }
        refits.part_of = vec![0; data.ids.len()];
        for (at, clusters) in jackknife::parts(data.clusters.len(), count, self.seed).iter().enumerate() {
            let mut part: Vec<usize> = clusters.iter().flat_map(|c| data.clusters[*c].clone()).collect();
            part.sort_unstable();
            part.iter().for_each(|row| refits.part_of[*row] = at as i64);
            let fewer = data.without(&part);
            let of = |e: Error| Error::new(format!("refit {at}, of {} stimuli: {e}", fewer.ids.len()));
            if fewer.folds.len() < 2 {
                return Err(of(Error::new("one fold alone has stimuli")));
            }
            let (predictions, _) = self.predict(&fewer, projection, cancel).map_err(of)?;
            let all: Vec<usize> = (0..fewer.ids.len()).collect();
            let target = |j| correlation(&fewer.y, &predictions, j, &all);
            refits.without.push((0..fewer.targets.len()).map(target).collect());
            progress.advance("refits", at as u64 + 1, Some(count as u64));
        }
        Ok(refits)
    }
}
