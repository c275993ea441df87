//! Softmax s of x: x · (R − s Σ R), its Taylor expansion at x (Achtibat et al. 2024, arXiv 2402.05602,
//! proposition 3.1). What the expansion's constant holds counts as a bias. Masked places (−∞) get nothing.

use super::{Context, Site};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::int_attribute;

pub(in crate::relevance) fn apply(
    c: &mut Context,
    site: &Site,
    relevance: &str,
) -> Result<Vec<Option<String>>> {
    let ("Softmax", [x], [y]) = (site.op(), &site.node.input[..], &site.node.output[..]) else {
        return Err(Error::new("the rule `softmax` is for the op `Softmax`"));
    };
    let axes = c.b.ints(&[int_attribute(site.node, "axis", -1)]);
    let total = c.b.node("ReduceSum", &[relevance, &axes], [("keepdims", Attr::Int(1))]);
    let spread = c.mul(y, &total);
    let rest = c.b.node("Sub", &[relevance, &spread], []);
    let lowest = c.b.float(f32::MIN);
    let masked = c.b.node("Less", &[x, &lowest], []);
    let zero = c.b.float(0.0);
    let finite = c.b.node("Where", &[&masked, &zero, x], []);
    let made = c.mul(&finite, &rest);
    if c.ledger.is_some() {
        let kept = c.b.node("Sub", &[relevance, &made], []);
        if let Some(ledger) = &mut c.ledger {
            ledger.bias.push((1.0, kept));
        }
    }
    Ok(vec![Some(made)])
}

#[cfg(test)]
mod tests {
    use super::super::variable::*;
    use crate::relevance::composite::Rule;

    #[test]
    fn dense_oracle() {
        let (x, r) = ([1.0, -2.0, 0.5, f64::NEG_INFINITY], [0.5, -1.0, 2.0, 0.25]);
        let made = run("Softmax", Rule::Softmax, &[("x", x)], r, false, []);
        let mut wanted = [0.0; 4];
        for row in [0, 2] {
            let top = x[row].max(x[row + 1]);
            let parts = [(x[row] - top).exp(), (x[row + 1] - top).exp()];
            let total = r[row] + r[row + 1];
            for i in 0..2 {
                let s = parts[i] / (parts[0] + parts[1]);
                let x = if x[row + i].is_finite() { x[row + i] } else { 0.0 };
                wanted[row + i] = x * (r[row + i] - s * total);
            }
        }
        close(&made.relevance[0], &wanted);
        close(&[made.relevance[0].iter().sum::<f64>() + made.bias], &[r.iter().sum()]);
    }
}
