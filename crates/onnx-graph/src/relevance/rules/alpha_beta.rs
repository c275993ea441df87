//! α β: α times the positive contributions minus β times the negative ones (Bach et al. 2015, eq. 60), each with
//! its own denominator and part of the bias.

use super::{Context, Linear, Part, one_sign};

pub(super) fn apply(c: &mut Context, layer: &Linear, relevance: &str, alpha: f32, beta: f32) -> String {
    let positive = one_sign(c, layer, relevance, (Part::Positive, Part::Negative), alpha);
    let alpha = c.b.float(alpha);
    let positive = c.mul(&positive, &alpha);
    if beta.abs() <= 0.0 {
        return positive;
    }
    let negative = one_sign(c, layer, relevance, (Part::Negative, Part::Positive), -beta);
    let beta = c.b.float(beta);
    let negative = c.mul(&negative, &beta);
    c.b.node("Sub", &[&positive, &negative], [])
}

#[cfg(test)]
mod tests {
    use super::super::dense::*;
    use crate::relevance::composite::Rule;

    #[test]
    fn dense_oracle() {
        for (positive, alpha, beta) in [(false, 2.0f32, 1.0f32), (true, 2.0, 1.0), (false, 1.0, 0.0)] {
            let case = Dense::new(positive);
            let (made, bias, stabiliser) = case.run(Rule::AlphaBeta { alpha, beta }, positive, None);
            let sided = |i: usize, keep: fn(f64) -> f64| -> f64 {
                let part = |j: usize, i: usize| keep(case.w[j][i] * case.x[i]);
                let d = |j: usize| stab(keep(case.b[j]) + (0..INPUTS).map(|i| part(j, i)).sum::<f64>());
                (0..OUTPUTS).map(|j| part(j, i) * case.r[j] / d(j)).sum()
            };
            let (alpha, beta) = (f64::from(alpha), f64::from(beta));
            let wanted: Vec<f64> = (0..INPUTS)
                .map(|i| alpha * sided(i, |v| v.max(0.0)) - beta * sided(i, |v| v.min(0.0)))
                .collect();
            close(&made, &wanted);
            close(
                &[made.iter().sum::<f64>() + bias + stabiliser],
                &[(alpha - beta) * case.r.iter().sum::<f64>()],
            );
        }
    }
}
