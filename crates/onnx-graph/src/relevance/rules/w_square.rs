//! w²: d = stab(Σ W² over the inputs that are there + b²); Wᵀ²(R / d) (Montavon et al. 2017, eq. 10).

use super::{Context, Linear, Part};
use crate::error::Result;

pub(super) fn apply(c: &mut Context, layer: &Linear, relevance: &str) -> Result<String> {
    let ones = layer.filled(c.b, &[1.0])?;
    let forward = layer.forward(c.b, &ones, Part::Square);
    let bias = c.bias(layer, Part::Square);
    let d = c.sum(forward, [bias.clone()]);
    let stabiliser = c.stabiliser;
    let s = c.quotient(relevance, &d, (stabiliser, true), bias.as_deref(), 1.0);
    Ok(layer.back(c.b, &s, Part::Square))
}

#[cfg(test)]
mod tests {
    use super::super::dense::*;
    use crate::relevance::composite::Rule;

    #[test]
    fn dense_oracle() {
        let case = Dense::new(false);
        let (made, bias, stabiliser) = case.run(Rule::WSquare, false, None);
        let d = |j: usize| stab(case.b[j].powi(2) + case.w[j].iter().map(|w| w * w).sum::<f64>());
        let wanted: Vec<f64> = (0..INPUTS)
            .map(|i| (0..OUTPUTS).map(|j| case.w[j][i].powi(2) * case.r[j] / d(j)).sum())
            .collect();
        close(&made, &wanted);
        close(&[made.iter().sum::<f64>() + bias + stabiliser], &[case.r.iter().sum()]);
    }
}
