//! z-box for inputs within [l, h]: d = stab(W x − W⁺ l − W⁻ h); x · Wᵀ(R / d) − l · W⁺ᵀ(R / d) − h · W⁻ᵀ(R / d)
//! (Montavon et al. 2017, eq. 18). The bias cancels.

use super::{Context, Linear, Part};
use crate::error::{Error, Result};

pub(super) fn apply(c: &mut Context, layer: &Linear, relevance: &str) -> Result<String> {
    let bounds = c
        .bounds
        .ok_or_else(|| Error::new("the box rule needs the bounds of the input: `box: [low, high]`"))?;
    let low = layer.filled(c.b, &bounds.low)?;
    let high = layer.filled(c.b, &bounds.high)?;
    let z = match layer.bias(c.b, Part::Whole) {
        Some(bias) => c.b.node("Sub", &[&layer.y, &bias], []),
        None => layer.y.clone(),
    };
    // These two do not depend on the data: the runtime computes them once.
    let (from_low, from_high) =
        (layer.forward(c.b, &low, Part::Positive), layer.forward(c.b, &high, Part::Negative));
    let d = c.b.node("Sub", &[&z, &from_low], []);
    let d = c.b.node("Sub", &[&d, &from_high], []);
    let stabiliser = c.stabiliser;
    let s = c.quotient(relevance, &d, (stabiliser, false), None, 1.0);
    let mut parts = Vec::with_capacity(3);
    for (value, part) in [(&layer.x, Part::Whole), (&low, Part::Positive), (&high, Part::Negative)] {
        let back = layer.back(c.b, &s, part);
        parts.push(c.mul(value, &back));
    }
    let rest = c.b.node("Sub", &[&parts[0], &parts[1]], []);
    Ok(c.b.node("Sub", &[&rest, &parts[2]], []))
}

#[cfg(test)]
mod tests {
    use super::super::dense::*;
    use crate::relevance::Bounds;
    use crate::relevance::composite::Rule;

    #[test]
    fn dense_oracle() {
        let case = Dense::new(false);
        let bounds = Bounds { low: vec![-2.0, -1.5, -1.0, -1.0], high: vec![3.0, 2.0, 2.0, 2.5] };
        let (made, bias, stabiliser) = case.run(Rule::ZBox, false, Some(&bounds));
        let part = |j: usize, i: usize| {
            let w = case.w[j][i];
            w * case.x[i] - w.max(0.0) * f64::from(bounds.low[i]) - w.min(0.0) * f64::from(bounds.high[i])
        };
        let d = |j: usize| stab((0..INPUTS).map(|i| part(j, i)).sum());
        let wanted: Vec<f64> =
            (0..INPUTS).map(|i| (0..OUTPUTS).map(|j| part(j, i) * case.r[j] / d(j)).sum()).collect();
        close(&made, &wanted);
        close(&[made.iter().sum::<f64>() + bias + stabiliser], &[case.r.iter().sum()]);
    }
}
