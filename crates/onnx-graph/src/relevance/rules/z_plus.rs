//! z⁺: d = stab(W⁺x⁺ + b⁺ + W⁻x⁻); x⁺ · W⁺ᵀ(R / d) + x⁻ · W⁻ᵀ(R / d) (Montavon et al. 2017, for inputs of any
//! sign). The positive part of the bias takes its share.

use super::{Context, Linear, Part, one_sign};

/// `factor` is that of the whole term in its rule.
pub(super) fn apply(c: &mut Context, layer: &Linear, relevance: &str, factor: f32) -> String {
    one_sign(c, layer, relevance, (Part::Positive, Part::Negative), factor)
}

#[cfg(test)]
mod tests {
    use super::super::dense::*;
    use crate::relevance::composite::Rule;

    #[test]
    fn dense_oracle() {
        for positive in [false, true] {
            let case = Dense::new(positive);
            let (made, bias, stabiliser) = case.run(Rule::ZPlus, positive, None);
            let part = |j: usize, i: usize| (case.w[j][i] * case.x[i]).max(0.0);
            let d = |j: usize| stab(case.b[j].max(0.0) + (0..INPUTS).map(|i| part(j, i)).sum::<f64>());
            let wanted: Vec<f64> =
                (0..INPUTS).map(|i| (0..OUTPUTS).map(|j| part(j, i) * case.r[j] / d(j)).sum()).collect();
            close(&made, &wanted);
            close(&[made.iter().sum::<f64>() + bias + stabiliser], &[case.r.iter().sum()]);
        }
    }
}
