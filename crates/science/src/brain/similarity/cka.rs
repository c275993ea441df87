//! Centred kernel alignment (Kornblith et al. 2019): the correlation of two kernels of the stimuli.
//! Linear CKA is invariant to rotation and to scaling as a whole, not to scaling of single channels.

use crate::error::{Error, Result};
use crate::linalg::{Mat, MatRef, gram, product};

use super::sides;

/// `cka:linear-biased`: ‖xᵀy‖² ÷ (‖xᵀx‖ ‖yᵀy‖).
///
/// # Errors
/// If the sides do not fit or one is constant.
pub fn linear(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<f64> {
    let (x, y) = sides(x, y)?;
    // Whichever kernels are smaller: of the channels or of the stimuli.
    if x.ncols().max(y.ncols()) <= x.nrows() {
        let shared = product(x.transpose(), y.as_ref()).squared_norm_l2();
        let own = |m: &Mat<f64>| gram(m.transpose()).norm_l2();
        return Ok(shared / (own(&x) * own(&y)));
    }
    let (k, l) = (gram(x.as_ref()), gram(y.as_ref()));
    Ok(dot(&k, &l) / (k.norm_l2() * l.norm_l2()))
}

/// `cka:linear-debiased`: the same from unbiased estimates of HSIC (Song et al. 2012), which do not grow
/// with the number of channels. May be negative.
///
/// # Errors
/// As [`linear`]; if there are fewer than four stimuli, or an own estimate is not positive.
pub fn linear_debiased(x: MatRef<'_, f64>, y: MatRef<'_, f64>) -> Result<f64> {
    let (x, y) = sides(x, y)?;
    if x.nrows() < 4 {
        return Err(Error::new("debiased CKA needs four stimuli"));
    }
    let kernel = |m: &Mat<f64>| {
        let mut kernel = gram(m.as_ref());
        (0..kernel.nrows()).for_each(|i| kernel[(i, i)] = 0.0);
        kernel
    };
    let (k, l) = (kernel(&x), kernel(&y));
    let own = hsic(&k, &k) * hsic(&l, &l);
    if own.is_nan() || own <= 0.0 {
        return Err(Error::new("debiased CKA is undefined: a side has no similarity beyond its bias"));
    }
    Ok(hsic(&k, &l) / own.sqrt())
}

/// `cka:rbf-biased`: of the kernels exp(−d² ÷ 2 f² m), m the median of d² over pairs of stimuli and f
/// the `fraction`.
///
/// # Errors
/// As [`linear`]; if half of the stimuli of a side are equal.
pub fn rbf(x: MatRef<'_, f64>, y: MatRef<'_, f64>, fraction: f64) -> Result<f64> {
    if !(fraction > 0.0 && fraction.is_finite()) {
        return Err(Error::new(format!("the kernel's width {fraction} is not positive")));
    }
    let (x, y) = sides(x, y)?;
    let kernel = |m: &Mat<f64>| -> Result<Mat<f64>> {
        let inner = gram(m.as_ref());
        let square = |i: usize, j: usize| (inner[(i, i)] + inner[(j, j)] - 2.0 * inner[(i, j)]).max(0.0);
        let all: Vec<f64> = crate::brain::pairs(m.nrows()).map(|(i, j)| square(i, j)).collect();
        let median = crate::brain::stats::quantile(&all, 0.5)?;
        if median <= 0.0 {
            return Err(Error::new("half of the pairs of stimuli are equal: the kernel has no width"));
        }
        let value = |i, j| (-square(i, j) / (2.0 * fraction * fraction * median)).exp();
        Ok(double_centered(&Mat::from_fn(m.nrows(), m.nrows(), value)))
    };
    let (k, l) = (kernel(&x)?, kernel(&y)?);
    Ok(dot(&k, &l) / (k.norm_l2() * l.norm_l2()))
}

fn dot(k: &Mat<f64>, l: &Mat<f64>) -> f64 {
    (0..k.ncols())
        .map(|j| k.col_as_slice(j).iter().zip(l.col_as_slice(j)).map(|(a, b)| a * b).sum::<f64>())
        .sum()
}

fn sums(k: &Mat<f64>) -> Vec<f64> {
    (0..k.ncols()).map(|j| k.col_as_slice(j).iter().sum()).collect()
}

fn double_centered(k: &Mat<f64>) -> Mat<f64> {
    let n = k.nrows() as f64;
    let rows = sums(k);
    let all: f64 = rows.iter().sum::<f64>() / (n * n);
    Mat::from_fn(k.nrows(), k.ncols(), |i, j| k[(i, j)] - rows[i] / n - rows[j] / n + all)
}

/// The unbiased estimate of kernels whose diagonal is zero.
fn hsic(k: &Mat<f64>, l: &Mat<f64>) -> f64 {
    let n = k.nrows() as f64;
    let (a, b) = (sums(k), sums(l));
    let (all_k, all_l): (f64, f64) = (a.iter().sum(), b.iter().sum());
    let crossed: f64 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
    let corrected = dot(k, l) + all_k * all_l / ((n - 1.0) * (n - 2.0)) - 2.0 / (n - 2.0) * crossed;
    corrected / (n * (n - 3.0))
}
