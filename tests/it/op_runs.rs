//! Every op, its gradient and its second derivative in the real ONNX Runtime, in float32, against the reference
//! evaluator in float64.

use onnx_graph::model::Model;
use onnx_graph::ops::OPS;
use onnx_graph::reference::Value;
use sulcus::model::{Session, Values};

use super::models::{floats, runtime};
use super::op_case::{Case, run};
use super::op_cases::cases;

/// Of the largest magnitude of a value, or of 1; float32 itself costs up to some 6e-7 here.
const TOLERANCE: f64 = 3e-6;

/// The worst error of a case's values.
fn error(case: &Case) -> f64 {
    let derived = case.derived();
    let y = case.output(&case.inputs);
    let mut feed = case.feed(&y);
    feed.iter_mut().flat_map(|(_, x)| &mut x.data).for_each(|v| *v = f64::from(*v as f32));
    let wanted = run(&case.label, &derived.graph, &feed);
    let names: Vec<String> = std::iter::once("y".to_owned())
        .chain(derived.gradients)
        .chain(derived.products.into_iter().flatten())
        .collect();
    let mut session = Session::new(runtime(), &Model::new(derived.graph).to_bytes(), &["cpu".to_owned()], 1)
        .unwrap_or_else(|e| panic!("{}: {e}", case.label));
    let fed = feed.into_iter().map(|(name, x)| (name, single(x))).collect();
    let found = session.run(fed).unwrap_or_else(|e| panic!("{}: {e}", case.label));
    let off = |name: &String| {
        let (dims, values) = &found[name];
        let wanted = &wanted[name];
        let same = dims.iter().map(|d| *d as usize).eq(wanted.dims.iter().copied());
        assert!(same, "{} {name}: {dims:?} for {:?}", case.label, wanted.dims);
        let scale = wanted.data.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
        let pairs = floats(values).iter().zip(&wanted.data);
        let errors: Vec<f64> = pairs.map(|(f, w)| (f64::from(*f) - w).abs() / scale).collect();
        // NaN is within no tolerance.
        let near = errors.iter().all(|error| *error <= TOLERANCE);
        let worst = errors.into_iter().fold(0.0, f64::max);
        assert!(near, "{} {name}: error {worst:e} or NaN", case.label);
        worst
    };
    names.iter().map(off).fold(0.0, f64::max)
}

fn single(x: Value) -> (Vec<i64>, Values) {
    let dims = x.dims.iter().map(|d| *d as i64).collect();
    (dims, Values::F32(x.data.iter().map(|v| *v as f32).collect()))
}

#[test]
fn every_op_and_its_derivatives_in_onnx_runtime() {
    for op in OPS {
        let errors: Vec<f64> = cases(op.name()).iter().map(error).collect();
        let worst = errors.iter().copied().fold(0.0, f64::max);
        println!("{}: {} cases, largest error {worst:.1e}", op.name(), errors.len());
    }
}
