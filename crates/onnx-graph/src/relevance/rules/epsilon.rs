//! Epsilon: x · Wᵀ(R / stab(W x + b)) (Bach et al. 2015, eq. 58). The bias takes its share.

use super::{Context, Linear, Part};

pub(super) fn apply(c: &mut Context, layer: &Linear, relevance: &str, epsilon: f32) -> String {
    let bias = layer.has_bias().then(|| layer.bias(c.b, Part::Whole)).flatten();
    let (z, bias) = match bias {
        Some(bias) if c.zero_bias => (c.b.node("Sub", &[&layer.y, &bias], []), None),
        bias => (layer.y.clone(), bias),
    };
    let s = c.quotient(relevance, &z, (epsilon, false), bias.as_deref(), 1.0);
    let back = layer.back(c.b, &s, Part::Whole);
    c.mul(&layer.x, &back)
}

#[cfg(test)]
mod tests {
    use super::super::dense::*;
    use crate::relevance::composite::Rule;

    #[test]
    fn dense_oracle() {
        let case = Dense::new(false);
        let (made, bias, stabiliser) = case.run(Rule::Epsilon { epsilon: 1e-6 }, false, None);
        let z = case.z();
        let wanted: Vec<f64> = (0..INPUTS)
            .map(|i| (0..OUTPUTS).map(|j| case.x[i] * case.w[j][i] * case.r[j] / stab(z[j])).sum())
            .collect();
        close(&made, &wanted);
        // Nothing is lost unseen.
        close(&[made.iter().sum::<f64>() + bias + stabiliser], &[case.r.iter().sum()]);
    }
}
