//! A product that is added to a multiple of a value kept from before is one `Gemm`: for large layers the momentum's
//! two passes over memory cost as much as a fifth of the product.

use std::collections::{HashMap, HashSet};

use crate::build::Attr;
use crate::model::attribute;
use crate::proto::{NodeProto, TensorProto};
use crate::tensor::read_floats;

/// Puts `Gemm(a, b, c; beta = k)` in the place of `Gemm(a, b)` + k · c, where c is one of `velocities`, k one of
/// `constants`, and nothing else, none of `outputs` either, reads the product or k · c. Every velocity has the shape of
/// what it is added to.
pub(crate) fn accumulate(
    nodes: &mut Vec<NodeProto>,
    constants: &[TensorProto],
    velocities: &HashSet<String>,
    outputs: &HashSet<String>,
) {
    let mut readers: HashMap<&str, usize> = HashMap::new();
    for name in nodes.iter().flat_map(|n| &n.input) {
        *readers.entry(name).or_default() += 1;
    }
    let made: HashMap<&str, usize> =
        nodes.iter().enumerate().filter_map(|(at, n)| Some((n.output.first()?.as_str(), at))).collect();
    let source = |value: &str, op: &str| {
        let at = *made.get(value)?;
        let alone = readers.get(value) == Some(&1) && !outputs.contains(value);
        (alone && nodes[at].op_type.as_deref() == Some(op)).then_some(at)
    };
    let number = |name: &str| -> Option<f32> {
        let tensor = constants.iter().find(|t| t.name.as_deref() == Some(name))?;
        match read_floats(tensor).ok()?[..] {
            [number] if tensor.dims.is_empty() => Some(number),
            _ => None,
        }
    };
    let one = |(at, add): (usize, &NodeProto)| {
        let [a, b] = &add.input[..] else { return None };
        let (product, scaled) = [(a, b), (b, a)]
            .into_iter()
            .find_map(|(p, s)| Some((source(p, "Gemm")?, source(s, "Mul")?)))
            .filter(|_| add.op_type.as_deref() == Some("Add"))?;
        let [velocity, factor] = &nodes[scaled].input[..] else { return None };
        let gemm = &nodes[product];
        if gemm.input.len() != 2 || !velocities.contains(velocity) || attribute(gemm, "beta").is_some() {
            return None;
        }
        let mut whole = gemm.clone();
        whole.input.push(velocity.clone());
        whole.output.clone_from(&add.output);
        whole.attribute.push(Attr::Float(number(factor)?).named("beta"));
        Some((at, whole, [product, scaled]))
    };
    let found: Vec<(usize, NodeProto, [usize; 2])> = nodes.iter().enumerate().filter_map(one).collect();
    let gone: HashSet<usize> = found.iter().flat_map(|(_, _, gone)| *gone).collect();
    for (at, whole, _) in found {
        nodes[at] = whole;
    }
    let mut at = 0..;
    nodes.retain(|_| at.next().is_none_or(|at| !gone.contains(&at)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Builder;
    use crate::proto::GraphProto;
    use crate::reference::{Value, evaluate};
    use crate::tensor::{DataType, floats};

    /// The ops that are left of k · v + xᵀ y, after a check that the answer is the same; `more` may read its parts.
    fn left(factor: &[i64], more: impl Fn(&mut Builder, &str, &str)) -> Vec<String> {
        let mut b = Builder::new("");
        let count: i64 = factor.iter().product();
        b.constants.push(floats("k", factor, &vec![0.75; count as usize]));
        let product = b.node("Gemm", &["x", "y"], [("alpha", Attr::Float(0.5)), ("transA", Attr::Int(1))]);
        let scaled = b.node("Mul", &["v", "k"], []);
        b.named_node("Add", &[&scaled, &product], &["sum"], []);
        more(&mut b, &product, &scaled);
        let mut nodes = b.nodes.clone();
        let names = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<HashSet<String>>();
        accumulate(&mut nodes, &b.constants, &names(&["v"]), &names(&["sum", "out"]));
        let run = |nodes: &[NodeProto]| {
            let graph = GraphProto {
                node: nodes.to_vec(),
                initializer: b.constants.clone(),
                ..GraphProto::default()
            };
            let value = |dims: &[usize], step: f64| {
                let count = dims.iter().product::<usize>();
                let data = (0..count).map(|i| (i as f64 * step).sin()).collect();
                Value::new(DataType::Float, dims, data).unwrap()
            };
            let inputs = [("x", value(&[4, 2], 0.7)), ("y", value(&[4, 3], 1.3)), ("v", value(&[2, 3], 2.1))];
            evaluate(&graph, &inputs).unwrap().remove("sum").unwrap().data
        };
        for (a, b) in run(&nodes).iter().zip(run(&b.nodes)) {
            assert!((a - b).abs() < 1e-12);
        }
        nodes.into_iter().filter_map(|n| n.op_type).collect()
    }

    #[test]
    fn a_velocity_is_added_by_the_product() {
        assert_eq!(left(&[], |_, _, _| ()), ["Gemm"]);
    }

    #[test]
    fn what_somebody_else_reads_stays() {
        let whole = ["Gemm", "Mul", "Add"];
        assert_eq!(left(&[3], |_, _, _| ()), whole, "a factor for each column");
        let read = |name: &'static str| {
            move |b: &mut Builder, product: &str, scaled: &str| {
                b.named_node("Neg", &[if name == "product" { product } else { scaled }], &["out"], []);
            }
        };
        for name in ["product", "scaled"] {
            assert_eq!(left(&[], read(name))[..3], whole, "{name}");
        }
    }
}
