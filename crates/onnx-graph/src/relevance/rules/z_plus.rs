//! z⁺: d = stab(W⁺x⁺ + b⁺ + W⁻x⁻); x⁺ · W⁺ᵀ(R / d) + x⁻ · W⁻ᵀ(R / d) (Montavon et al. 2017, for inputs of any
//! sign). The positive part of the bias takes its share.

use super::{Context, Linear, Part};

/// `factor` is that of the whole term in its rule.
pub(super) fn apply(c: &mut Context, layer: &Linear, relevance: &str, factor: f32) -> String {
    one_sign(c, layer, relevance, (Part::Positive, Part::Negative), factor)
}

/// The contributions of one sign: `same` weights with positive inputs, `other` ones with negative inputs.
pub(super) fn one_sign(
    c: &mut Context,
    layer: &Linear,
    relevance: &str,
    (same, other): (Part, Part),
    factor: f32,
) -> String {
    let (positive, negative) = c.halves(layer);
    let forward = layer.forward(c.b, &positive, same);
    let across = negative.as_ref().map(|x| layer.forward(c.b, x, other));
    let bias = c.bias(layer, same);
    let d = c.sum(forward, [across, bias.clone()]);
    let stabiliser = c.stabiliser;
    let s = c.quotient(relevance, &d, (stabiliser, same == Part::Positive), bias.as_deref(), factor);
    let back = layer.back(c.b, &s, same);
    let from_positive = c.mul(&positive, &back);
    let from_negative = negative.map(|x| {
        let back = layer.back(c.b, &s, other);
        c.mul(&x, &back)
    });
    c.sum(from_positive, [from_negative])
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
