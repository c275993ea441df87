//! A displacement curve of known shape, as theory gives it.

use crate::stage::Failure;
use crate::table::Frame;

/// The logarithms of rising times and of the displacements at them.
pub(super) struct Given {
    points: Vec<(f64, f64)>,
}

impl Given {
    /// The columns `time` and `curve` of a table; what lies at time 0 or before has no logarithm and is left out.
    ///
    /// # Errors
    /// If a time comes twice, or a displacement is not above 0.
    pub fn of(frame: &Frame, time: &str, curve: &str) -> Result<Self, Failure> {
        let (times, values) = (frame.f64s(time)?, frame.f64s(curve)?);
        let mut points = Vec::with_capacity(times.len());
        for (t, d) in times.into_iter().zip(values).filter(|(t, _)| *t > 0.0) {
            if !d.is_finite() || d <= 0.0 {
                return Err(Failure::new(format!(
                    "the given curve is {d} at time {t}, which is not above 0"
                )));
            }
            points.push((t.ln(), d.ln()));
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if points.windows(2).any(|w| w[0].0 >= w[1].0) {
            return Err(Failure::new("the given curve has two values at one time"));
        }
        Ok(Given { points })
    }

    /// The curve at these lags, between its points by straight lines in log-log.
    ///
    /// # Errors
    /// If a lag lies outside.
    pub fn at(&self, lags: &[f64]) -> Result<Vec<f64>, Failure> {
        lags.iter().map(|lag| self.one(*lag)).collect()
    }

    fn one(&self, lag: f64) -> Result<f64, Failure> {
        let x = lag.ln();
        let after = self.points.partition_point(|p| p.0 < x);
        let before = after.checked_sub(1).and_then(|k| self.points.get(k));
        match (before, self.points.get(after)) {
            (_, Some(point)) if point.0 == x => Ok(point.1.exp()),
            (Some(a), Some(b)) => Ok((a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0)).exp()),
            _ => Err(Failure::new(format!("the given curve does not reach time {lag}"))
                .hint("narrow the fit with `from` and `to`")),
        }
    }
}
