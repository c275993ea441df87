//! Products of two variables share relevance evenly between them (Achtibat et al. 2024, arXiv 2402.05602,
//! propositions 3.2 and 3.3). `Mul`: R / 2 each. `MatMul` of A and B: A · (R / stab(2 A B)) Bᵀ and
//! B · Aᵀ (R / stab(2 A B)). A constant factor leaves all to the other.

use super::{Context, Site};
use crate::error::Result;
use crate::grad::node_gradients;
use crate::proto::NodeProto;

pub(in crate::relevance) fn apply(
    c: &mut Context,
    site: &Site,
    relevance: &str,
) -> Result<Vec<Option<String>>> {
    let node = site.node;
    let sharers = node.input.iter().filter(|x| !(site.constant)(x)).count().max(1) as f32;
    if node.op_type.as_deref() == Some("Mul") {
        let part = c.b.float(1.0 / sharers);
        let share = c.mul(relevance, &part);
        // Relevance of a factor that was spread is added up, as the gradient of a sum does.
        let mut sum = NodeProto { op_type: Some("Add".to_owned()), ..node.clone() };
        return node_gradients(c.b, &mut sum, site.known, &[Some(share)], site.wanted);
    }
    let y = node.output.first().cloned().unwrap_or_default();
    let factor = c.b.float(sharers);
    let d = c.mul(&y, &factor);
    let stabiliser = c.stabiliser;
    let s = c.quotient(relevance, &d, (stabiliser, false), None, 1.0);
    let gradients = node_gradients(c.b, &mut node.clone(), site.known, &[Some(s)], site.wanted)?;
    let share = |(x, gradient): (&String, Option<String>)| gradient.map(|g| c.mul(x, &g));
    Ok(node.input.iter().zip(gradients).map(share).collect())
}

#[cfg(test)]
mod tests {
    use super::super::variable::*;
    use crate::relevance::composite::Rule;

    const A: [f64; 4] = [1.0, -2.0, 0.5, 3.0];
    const B: [f64; 4] = [-1.0, 0.25, 2.0, 1.5];
    const R: [f64; 4] = [0.5, -1.0, 2.0, 0.25];

    #[test]
    fn dense_oracle_of_matrices() {
        for plain in [false, true] {
            let made = run("MatMul", Rule::Product, &[("a", A), ("b", B)], R, plain, []);
            let (mut a, mut b, mut taken) = ([0.0; 4], [0.0; 4], 0.0);
            for (i, k) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let z: f64 = (0..2).map(|j| A[2 * i + j] * B[2 * j + k]).sum();
                let s = R[2 * i + k] / stab(2.0 * z, plain);
                taken += R[2 * i + k] - 2.0 * z * s;
                for j in 0..2 {
                    a[2 * i + j] += A[2 * i + j] * B[2 * j + k] * s;
                    b[2 * j + k] += A[2 * i + j] * B[2 * j + k] * s;
                }
            }
            close(&made.relevance[0], &a);
            close(&made.relevance[1], &b);
            close(&[made.stabiliser], &[taken]);
        }
    }

    #[test]
    fn dense_oracle_of_elements() {
        let made = run("Mul", Rule::Product, &[("a", A), ("b", B)], R, false, []);
        close(&made.relevance[0], &R.map(|r| r / 2.0));
        close(&made.relevance[1], &R.map(|r| r / 2.0));
        let made = run("Mul", Rule::Product, &[("a", A)], R, false, B);
        close(&made.relevance[0], &R);
    }
}
