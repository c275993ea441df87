//! Gradients by central differences in float64, and the comparison with those that the walk emits.

use onnx_graph::build::Builder;
use onnx_graph::grad::backward;
use onnx_graph::proto::GraphProto;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::{DataType, floats, ints};

/// A graph of float inputs `x0`, `x1`, … and integer constants, whose output is `y`.
#[derive(Clone, Debug)]
pub struct Case {
    /// For messages.
    pub label: String,
    pub graph: GraphProto,
    pub inputs: Vec<Value>,
}

impl Case {
    /// `shapes` are those of the float inputs; `emit` adds the nodes. The first axis of `x0` is given by
    /// name only if `symbolic`, as a batch is.
    pub fn new(label: &str, shapes: &[&[usize]], symbolic: bool, emit: impl FnOnce(&mut Builder)) -> Self {
        let mut b = Builder::new("f_");
        emit(&mut b);
        let inputs: Vec<Value> = shapes.iter().enumerate().map(|(i, dims)| spaced(dims, i as u64)).collect();
        let info = |(i, dims): (usize, &&[usize])| {
            let mut dims: Vec<Dim> = dims.iter().map(|d| Dim::Size(*d as i64)).collect();
            if let (true, 0, Some(first)) = (symbolic, i, dims.first_mut()) {
                *first = Dim::Name("N".to_owned());
            }
            Info::new(DataType::Float, dims).value(&format!("x{i}"))
        };
        let graph = GraphProto {
            node: b.nodes,
            initializer: b.constants,
            input: shapes.iter().enumerate().map(info).collect(),
            output: vec![Info { ty: DataType::Float, dims: None }.value("y")],
            ..GraphProto::default()
        };
        Case { label: label.to_owned(), graph, inputs }
    }

    /// Adds an integer constant that a node reads.
    pub fn with_ints(mut self, name: &str, values: &[i64]) -> Self {
        self.graph.initializer.push(ints(name, &[values.len() as i64], values));
        self
    }

    /// Sets inputs to one value each and keeps only the first `count` as those that are differentiated.
    pub fn with_values(mut self, values: &[(usize, f64)], count: usize) -> Self {
        for (i, value) in values {
            self.inputs[*i].data.fill(*value);
            let tensor = floats(&format!("x{i}"), &[], &[*value as f32]);
            self.graph.initializer.push(tensor);
        }
        self.inputs.truncate(count);
        self.graph.input.truncate(count);
        self
    }

    fn output(&self, inputs: &[Value]) -> Value {
        let names: Vec<String> = (0..inputs.len()).map(|i| format!("x{i}")).collect();
        let named: Vec<(&str, Value)> =
            names.iter().map(String::as_str).zip(inputs.iter().cloned()).collect();
        let mut values = evaluate(&self.graph, &named).unwrap_or_else(|e| panic!("{}: {e}", self.label));
        values.remove("y").unwrap()
    }

    /// The gradients of Σ dy · y that the walk's graph computes.
    pub fn gradients(&self, dy: &Value) -> Vec<Value> {
        let names: Vec<String> = (0..self.inputs.len()).map(|i| format!("x{i}")).collect();
        let wrt: Vec<&str> = names.iter().map(String::as_str).collect();
        let back = backward(&self.graph, &[("y", "dy")], &wrt, Builder::new("g_"))
            .unwrap_or_else(|e| panic!("{}: {e}", self.label));
        let mut graph = self.graph.clone();
        graph.node = back.forward;
        graph.node.extend(back.nodes);
        graph.initializer.extend(back.constants);
        let mut named: Vec<(&str, Value)> = wrt.iter().copied().zip(self.inputs.iter().cloned()).collect();
        named.push(("dy", dy.clone()));
        let values = evaluate(&graph, &named).unwrap_or_else(|e| panic!("{}: {e}", self.label));
        back.gradients.iter().map(|name| values[name].clone()).collect()
    }

    /// Fails unless every gradient is that of the central differences.
    pub fn check(&self) {
        let y = self.output(&self.inputs);
        let dy = Value { data: spaced(&y.dims, 77).data, ..y };
        let weighted = |inputs: &[Value]| -> f64 {
            self.output(inputs).data.iter().zip(&dy.data).map(|(y, d)| y * d).sum()
        };
        for (i, gradient) in self.gradients(&dy).iter().enumerate() {
            assert_eq!(gradient.dims, self.inputs[i].dims, "{}: shape of gradient {i}", self.label);
            // Of a large input every so many elements, an odd stride so that all rows are met.
            for p in (0..gradient.data.len()).step_by((gradient.data.len() / 60) | 1) {
                let numeric = central(self.inputs[i].data[p], |v| {
                    let mut inputs = self.inputs.clone();
                    inputs[i].data[p] = v;
                    weighted(&inputs)
                });
                close(gradient.data[p], numeric, 1e-7, &format!("{}: gradient {i} at {p}", self.label));
            }
        }
    }
}

/// The derivative of `f` at `x`, exact up to the fifth derivative.
pub fn central(x: f64, mut f: impl FnMut(f64) -> f64) -> f64 {
    // Small, so that hardly any kink lies within it; rounding then costs some 1e-10.
    let h = 1e-5;
    let mut slope = |h: f64| (f(x + h) - f(x - h)) / (2.0 * h);
    let (wide, narrow) = (slope(h), slope(h / 2.0));
    (4.0 * narrow - wide) / 3.0
}

/// Fails unless `a` and `b` agree to `tolerance`, relative above 1.
pub fn close(a: f64, b: f64, tolerance: f64, label: &str) {
    let error = (a - b).abs() / a.abs().max(b.abs()).max(1.0);
    assert!(error <= tolerance, "{label}: {a} against {b}, error {error:e}");
}

/// Numbers in no order, none near 0 and no two near each other, so that no kink of `Relu` or `MaxPool`
/// lies within the steps of the differences.
pub fn spaced(dims: &[usize], seed: u64) -> Value {
    let n: usize = dims.iter().product();
    let order = onnx_graph::random::Random::new(seed).permutation(n);
    let step = 4.0 / n.max(20) as f64;
    let data = order.iter().map(|rank| (*rank as f64 - (n as f64 - 1.0) / 2.0 + 0.25) * step).collect();
    Value::floats(dims, data).unwrap()
}
