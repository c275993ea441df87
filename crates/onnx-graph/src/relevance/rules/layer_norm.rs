//! Layer normalisation y = s (x − mean) / σ + b with σ held constant, which makes it linear: x · Jᵀ(R / stab(y)),
//! and the bias takes its share (Achtibat et al. 2024, arXiv 2402.05602, proposition 3.4).

use super::{Context, Site};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute};

pub(in crate::relevance) fn apply(
    c: &mut Context,
    site: &Site,
    relevance: &str,
) -> Result<Vec<Option<String>>> {
    let node = site.node;
    let ("LayerNormalization", [x, scale, ..], Some(y)) = (site.op(), &node.input[..], node.output.first())
    else {
        return Err(Error::new("the rule `layer_norm` is for the op `LayerNormalization`"));
    };
    let rank = site
        .known
        .infos
        .get(x)
        .ok_or_else(|| Error::new(format!("`{x}` is not known")))?
        .rank("its input")?
        .len();
    let axis = int_attribute(node, "axis", -1);
    let first = if axis < 0 { axis + rank as i64 } else { axis };
    let axes: Vec<i64> = (first..rank as i64).collect();
    let mean = |c: &mut Context, value: &str| {
        let axes = c.b.ints(&axes);
        c.b.node("ReduceMean", &[value, &axes], [("keepdims", Attr::Int(1))])
    };
    let bias = node.input.get(2).filter(|name| !name.is_empty()).cloned();
    let (stabiliser, left_out) = (c.stabiliser, c.zero_bias);
    let (d, bias) = match &bias {
        Some(bias) if left_out => (c.b.node("Sub", &[y, bias], []), None),
        bias => (y.clone(), bias.as_deref()),
    };
    let s = c.quotient(relevance, &d, (stabiliser, false), bias, 1.0);
    let scaled = c.mul(&s, scale);
    let shift = mean(c, &scaled);
    let centred = c.b.node("Sub", &[&scaled, &shift], []);
    let x_mean = mean(c, x);
    let x_centred = c.b.node("Sub", &[x, &x_mean], []);
    let square = c.mul(&x_centred, &x_centred);
    let variance = mean(c, &square);
    let epsilon = attribute(node, "epsilon").and_then(|a| a.f).unwrap_or(1e-5);
    let epsilon = c.b.float(epsilon);
    let raised = c.b.node("Add", &[&variance, &epsilon], []);
    let sigma = c.b.node("Sqrt", &[&raised], []);
    let back = c.b.node("Div", &[&centred, &sigma], []);
    let mut made = vec![Some(c.mul(x, &back))];
    made.resize(node.input.len(), None);
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::super::variable::*;
    use crate::relevance::composite::Rule;

    #[test]
    fn dense_oracle() {
        let (x, r, scale) = ([1.0, -2.0, 0.5, 3.0], [0.5, -1.0, 2.0, 0.25], [1.5, -0.5]);
        for plain in [false, true] {
            let made = run("LayerNormalization", Rule::LayerNorm, &[("x", x)], r, plain, scale);
            let mut wanted = [0.0; 4];
            for row in [0, 2] {
                let mean = (x[row] + x[row + 1]) / 2.0;
                let variance = ((x[row] - mean).powi(2) + (x[row + 1] - mean).powi(2)) / 2.0;
                let sigma = (variance + f64::from(1e-5f32)).sqrt();
                let y = |i: usize| scale[i] * (x[row + i] - mean) / sigma;
                let s = |i: usize| scale[i] * r[row + i] / stab(y(i), plain);
                for i in 0..2 {
                    wanted[row + i] = x[row + i] * (s(i) - (s(0) + s(1)) / 2.0) / sigma;
                }
            }
            close(&made.relevance[0], &wanted);
            let total = made.relevance[0].iter().sum::<f64>() + made.bias + made.stabiliser;
            close(&[total], &[r.iter().sum()]);
        }
    }
}
