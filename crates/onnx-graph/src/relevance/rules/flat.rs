//! Flat: every input that is there gets the same share, whatever weights and values (Lapuschkin et al. 2019).

use super::{Context, Linear, Part};
use crate::error::Result;

pub(super) fn apply(c: &mut Context, layer: &Linear, relevance: &str) -> Result<String> {
    let ones = layer.filled(c.b, &[1.0])?;
    let count = layer.forward(c.b, &ones, Part::Ones);
    let stabiliser = c.stabiliser;
    let s = c.quotient(relevance, &count, (stabiliser, true), None, 1.0);
    Ok(layer.back(c.b, &s, Part::Ones))
}

#[cfg(test)]
mod tests {
    use super::super::dense::*;
    use crate::relevance::composite::Rule;

    #[test]
    fn dense_oracle() {
        let case = Dense::new(false);
        let (made, bias, stabiliser) = case.run(Rule::Flat, false, None);
        let share: f64 = case.r.iter().map(|r| r / stab(INPUTS as f64)).sum();
        close(&made, &[share; INPUTS]);
        close(&[made.iter().sum::<f64>() + bias + stabiliser], &[case.r.iter().sum()]);
    }
}
