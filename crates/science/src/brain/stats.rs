//! Small statistics that the measures share.

use crate::error::{Error, Result};

/// Arithmetic mean; NaN of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Variance with n − 1 in the denominator; NaN of fewer than two values.
pub fn variance(values: &[f64]) -> f64 {
    let center = mean(values);
    let squares: f64 = values.iter().map(|v| (v - center) * (v - center)).sum();
    if values.len() < 2 { f64::NAN } else { squares / (values.len() - 1) as f64 }
}

/// Pearson's correlation; `None` if either side is constant.
pub fn pearson(x: &[f64], y: &[f64]) -> Option<f64> {
    let (mx, my) = (mean(x), mean(y));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - mx, b - my);
        xy += a * b;
        xx += a * a;
        yy += b * b;
    }
    (varies(xx, mx, x.len()) && varies(yy, my, y.len())).then(|| xy / (xx.sqrt() * yy.sqrt()))
}

/// Is a sum of squared deviations more than what rounding leaves of `count` equal values?
pub(crate) fn varies(squares: f64, mean: f64, count: usize) -> bool {
    squares > count as f64 * (4.0 * f64::EPSILON * mean).powi(2)
}

/// Ranks from 1, ties with the mean of their ranks.
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let keyed = keyed(values);
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0;
    for group in keyed.chunk_by(|a, b| a >> 32 == b >> 32) {
        let rank = before as f64 + (group.len() + 1) as f64 / 2.0;
        for key in group {
            ranks[*key as u32 as usize] = rank;
        }
        before += group.len();
    }
    ranks
}

/// The indices of `values` in ascending order of value; equal values keep theirs.
pub(crate) fn order(values: &[f64]) -> Vec<u32> {
    keyed(values).into_iter().map(|key| key as u32).collect()
}

/// Value and index of each, in ascending order. They are one number: two of those are compared without a
/// branch, which sorts a quarter faster than pairs.
fn keyed(values: &[f64]) -> Vec<u128> {
    let keyed = values.iter().zip(0..).map(|(v, i): (_, u32)| u128::from(sortable(*v)) << 32 | u128::from(i));
    let mut keyed: Vec<u128> = keyed.collect();
    keyed.sort_unstable();
    keyed
}

/// Bits that are ordered as the numbers are; -0 is 0.
fn sortable(value: f64) -> u64 {
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// The `q`-quantile (0 to 1) by linear interpolation between order statistics (type 7 of Hyndman and
/// Fan 1996).
///
/// # Errors
/// If there are no values or one of them is no number.
pub fn quantile(values: &[f64], q: f64) -> Result<f64> {
    super::finite(values, "the sample")?;
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(last), true) = (sorted.len().checked_sub(1), (0.0..=1.0).contains(&q)) else {
        return Err(Error::new(format!("no quantile {q} of {} values", values.len())));
    };
    let at = q * last as f64;
    let low = (at.floor() as usize).min(last);
    let high = (low + 1).min(last);
    Ok(sorted[low] + (at - low as f64) * (sorted[high] - sorted[low]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_mean_rank() {
        assert_eq!(ranks(&[3.0, -1.0, 3.0, 0.0, -0.0]), [4.5, 1.0, 4.5, 2.5, 2.5]);
    }

    #[test]
    fn a_constant_has_no_correlation() {
        assert_eq!(pearson(&[0.1; 7], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), None);
        assert!((pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]).unwrap() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[4.0, 1.0, 2.0, 3.0], 0.5), Ok(2.5));
        assert!(quantile(&[], 0.5).is_err());
    }
}
