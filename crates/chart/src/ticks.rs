//! Round numbers for axes, and how numbers are written on them.

/// Round values that enclose `lo..hi`, about `count` of them and at most 3 more; none where the span is
/// too small or too large for doubles.
pub fn linear(lo: f64, hi: f64, count: usize) -> Vec<f64> {
    let n = count.max(2) as f64;
    // Divided first: the difference of the ends may exceed every double.
    let raw = hi / n - lo / n;
    let step = round_step(raw);
    if !step.is_normal() {
        return Vec::new();
    }
    let (first, last) = ((lo / step + 1e-9).floor(), (hi / step - 1e-9).ceil());
    let steps = last - first;
    if !(1.0..=n + 2.0).contains(&steps) || first.abs().max(last.abs()) > 1e15 {
        return Vec::new();
    }
    let values: Vec<f64> = (0..=steps as usize).map(|i| (first + i as f64) * step + 0.0).collect();
    if values.iter().all(|v| v.is_finite()) { values } else { Vec::new() }
}

/// The least of 1, 2, 5 times a power of ten that is not below `raw`.
fn round_step(raw: f64) -> f64 {
    if !(raw.is_normal() && raw > 0.0) {
        return f64::NAN;
    }
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|f| f * power >= raw * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// Powers of ten within `lo..hi` (both above 0), at most some ten; with their double and fivefold where
/// there are few.
pub fn logarithmic(lo: f64, hi: f64) -> Vec<f64> {
    let (first, last) = ((lo.log10() + 1e-9).floor() as i32, (hi.log10() - 1e-9).ceil() as i32);
    let stride = ((last - first) / 8 + 1).max(1);
    let factors: &[f64] = if last - first <= 2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let powers = (first..=last).step_by(stride as usize).map(|k| 10f64.powi(k));
    let all = powers.flat_map(|p| factors.iter().map(move |f| f * p));
    let inside = |v: &f64| v.is_finite() && *v >= lo * (1.0 - 1e-9) && *v <= hi * (1.0 + 1e-9);
    all.filter(inside).collect()
}

/// Writes the ticks of one axis alike: with as many decimals as tell them apart.
pub fn labels(ticks: &[f64]) -> Vec<String> {
    let largest = ticks.iter().fold(0f64, |m, v| m.max(v.abs()));
    let step = ticks.windows(2).map(|w| (w[1] - w[0]).abs()).fold(f64::INFINITY, f64::min);
    if largest >= 1e6 || (largest > 0.0 && largest < 1e-3) {
        return ticks.iter().map(|v| scientific(*v)).collect();
    }
    let decimals =
        if step.is_normal() { (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize } else { 3 };
    ticks.iter().map(|v| format!("{v:.decimals$}")).map(without_minus_zero).collect()
}

/// Writes one number by itself, in at most some eight signs.
pub fn number(v: f64) -> String {
    let size = v.abs();
    if v == 0.0 {
        "0".to_owned()
    } else if v == v.trunc() && size < 1e7 {
        format!("{v:.0}")
    } else if !(1e-3..1e6).contains(&size) {
        scientific(v)
    } else {
        let decimals = (4.0 - size.log10().floor()).clamp(0.0, 7.0) as usize;
        trimmed(&format!("{v:.decimals$}"))
    }
}

fn scientific(v: f64) -> String {
    if v == 0.0 {
        return "0".to_owned();
    }
    let text = format!("{v:.2e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) => format!("{}e{exponent}", trimmed(mantissa)),
        None => text,
    }
}

/// Without zeros at the end of the decimals.
fn trimmed(text: &str) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text.to_owned()
    }
}

fn without_minus_zero(text: String) -> String {
    if text.starts_with('-') && text.chars().all(|c| matches!(c, '-' | '0' | '.')) {
        return text.trim_start_matches('-').to_owned();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_and_written_alike() {
        let marks = linear(0.37, 0.94, 6);
        assert_eq!(labels(&marks), ["0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1.0"]);
        assert_eq!(labels(&linear(-1.0, 1.0, 4)), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(&linear(0.0, 3e7, 3)), ["0", "1e7", "2e7", "3e7"]);
        assert_eq!(logarithmic(0.5, 2000.0), [1.0, 10.0, 100.0, 1000.0]);
        assert_eq!(logarithmic(1.0, 10.0), [1.0, 2.0, 5.0, 10.0]);
    }

    #[test]
    fn numbers_are_short() {
        let written = [0.0, 3.0, -2.5, 0.1 + 0.2, 1234567.0, 1e-9, 6.02214e23].map(number);
        assert_eq!(written, ["0", "3", "-2.5", "0.3", "1234567", "1e-9", "6.02e23"]);
    }

    proptest! {
        #[test]
        fn ticks_enclose_the_values(lo in -1e12..1e12f64, span in 1e-3..1e12f64, count in 2usize..30) {
            let hi = lo + span;
            let marks = linear(lo, hi, count);
            // A span too small for its place has none; else they rise evenly and enclose.
            prop_assume!(span / lo.abs().max(1.0) > 1e-9);
            prop_assert!(marks.len() >= 2 && marks.len() <= count + 3);
            let slack = 1e-6 * span;
            prop_assert!(marks[0] <= lo + slack && marks[marks.len() - 1] >= hi - slack);
            prop_assert!(marks.windows(2).all(|w| w[1] > w[0]));
        }
    }
}
