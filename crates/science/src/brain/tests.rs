//! Tests of scores: Student's t over subjects, false discovery rate.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::error::{Error, Result};

use super::stats;

/// A t statistic with its degrees of freedom.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct T {
    /// Mean ÷ standard error. Infinite where all values are equal and not zero.
    pub statistic: f64,
    /// Number of values − 1.
    pub degrees: f64,
}

impl T {
    /// Of the mean of `values` against zero. Values that are all zero have the statistic 0.
    ///
    /// # Errors
    /// If there are fewer than two values or one is no number.
    pub fn of(values: &[f64]) -> Result<T> {
        super::finite(values, "the sample")?;
        if values.len() < 2 {
            return Err(Error::new(format!("a t-test needs two values, there are {}", values.len())));
        }
        let (mean, error) = (stats::mean(values), (stats::variance(values) / values.len() as f64).sqrt());
        let statistic = if mean == 0.0 { 0.0 } else { mean / error };
        Ok(T { statistic, degrees: (values.len() - 1) as f64 })
    }

    /// Probability of a statistic at least this large if the mean is zero.
    ///
    /// # Errors
    /// If the degrees of freedom are not positive.
    pub fn one_sided(self) -> Result<f64> {
        if self.statistic.is_infinite() {
            return Ok(if self.statistic > 0.0 { 0.0 } else { 1.0 });
        }
        Ok(distribution(self.degrees)?.sf(self.statistic))
    }

    /// Probability of a statistic at least this far from zero if the mean is zero.
    ///
    /// # Errors
    /// If the degrees of freedom are not positive.
    pub fn two_sided(self) -> Result<f64> {
        T { statistic: self.statistic.abs(), ..self }.one_sided().map(|p| 2.0 * p)
    }
}

/// The `q`-quantile of Student's t.
///
/// # Errors
/// If the degrees of freedom are not positive or `q` is not between 0 and 1.
pub fn t_quantile(q: f64, degrees: f64) -> Result<f64> {
    if !(q > 0.0 && q < 1.0) {
        return Err(Error::new(format!("there is no quantile {q}")));
    }
    Ok(distribution(degrees)?.inverse_cdf(q))
}

fn distribution(degrees: f64) -> Result<StudentsT> {
    StudentsT::new(0.0, 1.0, degrees)
        .map_err(|_| Error::new(format!("Student's t has no {degrees} degrees of freedom")))
}

/// p values adjusted for the false discovery rate (Benjamini and Hochberg 1995).
pub fn false_discovery_rate(p: &[f64]) -> Vec<f64> {
    let count = p.len() as f64;
    let mut adjusted = vec![0.0; p.len()];
    let mut least = 1.0_f64;
    for (below, index) in stats::order(p).into_iter().enumerate().rev() {
        let index = index as usize;
        least = least.min(p[index] * count / (below + 1) as f64);
        adjusted[index] = least;
    }
    adjusted
}

#[cfg(test)]
mod cases {
    use super::*;

    #[test]
    fn adjusted_p_values_are_those_of_the_paper() {
        let adjusted = false_discovery_rate(&[0.01, 0.04, 0.03, 0.9]);
        let expected = [0.04, 0.16 / 3.0, 0.16 / 3.0, 0.9];
        assert!(adjusted.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-15), "{adjusted:?}");
    }

    #[test]
    fn equal_values_are_certain() {
        assert_eq!(T::of(&[1.0, 1.0, 1.0]).unwrap().two_sided(), Ok(0.0));
        assert_eq!(T::of(&[0.0, 0.0]).unwrap().two_sided(), Ok(1.0));
        assert!(T::of(&[1.0]).is_err());
    }
}
