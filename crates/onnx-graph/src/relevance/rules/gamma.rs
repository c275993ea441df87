//! γ for inputs of any sign: where z > 0 positive contributions are raised by γ, where z < 0 negative ones; where
//! z = 0 nothing passes (Montavon et al. 2019, generalised as in zennit 0.5.1).

use super::{Context, Linear, Part, one_sign};
use crate::build::Attr;

pub(super) fn apply(c: &mut Context, layer: &Linear, relevance: &str, gamma: f32) -> String {
    let raised = (Part::RaisedPositive(gamma), Part::RaisedNegative(gamma));
    if c.positive_relevance {
        // Nothing arrives where z ≤ 0: one side is enough, and no mask.
        return one_sign(c, layer, relevance, raised, 1.0);
    }
    let zero = c.b.float(0.0);
    let mut masked = |op: &str| {
        let holds = c.b.node(op, &[&layer.y, &zero], []);
        let holds = c.b.node("Cast", &[&holds], [("to", Attr::Int(1))]);
        c.b.node("Mul", &[relevance, &holds], [])
    };
    let (above, below) = (masked("Greater"), masked("Less"));
    let above = one_sign(c, layer, &above, raised, 1.0);
    let below = one_sign(c, layer, &below, (raised.1, raised.0), 1.0);
    c.b.node("Add", &[&above, &below], [])
}

#[cfg(test)]
mod tests {
    use super::super::dense::*;
    use crate::relevance::composite::Rule;

    #[test]
    fn dense_oracle() {
        for positive in [false, true] {
            let case = Dense::new(positive);
            let (made, bias, stabiliser) = case.run(Rule::Gamma { gamma: 0.25 }, positive, None);
            let z = case.z();
            // A contribution of the output's own sign counts 1.25 times.
            let raise = |j: usize, v: f64| if v * z[j] > 0.0 { 1.25 * v } else { v };
            let part = |j: usize, i: usize| raise(j, case.w[j][i] * case.x[i]);
            let d = |j: usize| stab(raise(j, case.b[j]) + (0..INPUTS).map(|i| part(j, i)).sum::<f64>());
            let wanted: Vec<f64> =
                (0..INPUTS).map(|i| (0..OUTPUTS).map(|j| part(j, i) * case.r[j] / d(j)).sum()).collect();
            close(&made, &wanted);
            close(&[made.iter().sum::<f64>() + bias + stabiliser], &[case.r.iter().sum()]);
        }
    }
}
