//! One op in a graph: its inputs, and the graphs of its first and second derivatives.

use std::collections::HashMap;

use onnx_graph::build::Builder;
use onnx_graph::grad::{backward, reached};
use onnx_graph::proto::GraphProto;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::shape::{Dim, Info, infer};
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
        let inputs = shapes.iter().enumerate().map(|(i, dims)| {
            let mut x = spaced(dims, i as u64);
            // No two inputs are equal anywhere: `Max` has a kink there.
            x.data.iter_mut().for_each(|v| *v += 0.013 * i as f64);
            x
        });
        let inputs: Vec<Value> = inputs.collect();
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

    /// The names of the inputs that are differentiated.
    fn names(&self) -> Vec<String> {
        (0..self.inputs.len()).map(|i| format!("x{i}")).collect()
    }

    /// The graph with the gradients, whose names follow. Its inputs are the case's and `dy`.
    pub fn with_gradients(&self) -> (GraphProto, Vec<String>) {
        let fail = |e: onnx_graph::error::Error| -> ! { panic!("{}: {e}", self.label) };
        let mut graph = self.graph.clone();
        let infos = infer(&graph).unwrap_or_else(|e| fail(e));
        let names = self.names();
        let wrt: Vec<&str> = names.iter().map(String::as_str).collect();
        graph.input.push(infos["y"].value("dy"));
        let first = backward(&graph, &[("y", "dy")], &wrt, Builder::new("g_")).unwrap_or_else(|e| fail(e));
        graph.node = first.forward;
        graph.node.extend(first.nodes);
        graph.initializer.extend(first.constants);
        (graph, first.gradients)
    }

    /// The graph with both derivatives. Its inputs are the case's, `dy` and the vectors `v0`, `v1`, ….
    pub fn derived(&self) -> Derived {
        let fail = |e: onnx_graph::error::Error| -> ! { panic!("{}: {e}", self.label) };
        let infos = infer(&self.graph).unwrap_or_else(|e| fail(e));
        let names = self.names();
        let mut wrt: Vec<&str> = names.iter().map(String::as_str).collect();
        let (mut graph, gradients) = self.with_gradients();

        let vectors: Vec<String> = (0..names.len()).map(|i| format!("v{i}")).collect();
        graph.input.extend(vectors.iter().zip(&names).map(|(v, x)| infos[x].value(v)));
        let seeds: Vec<(&str, &str)> =
            gradients.iter().map(String::as_str).zip(vectors.iter().map(String::as_str)).collect();
        wrt.push("dy");
        let (second, products) =
            reached(&graph, &seeds, &wrt, Builder::new("h_")).unwrap_or_else(|e| fail(e));
        graph.node = second.forward;
        graph.node.extend(second.nodes);
        graph.initializer.extend(second.constants);

        // Under names of their own: some are inputs handed through.
        let mut b = Builder::new("out_");
        let mut out = |value: &String, name: String| {
            b.named_node("Identity", &[value], &[&name], []);
            graph.output.push(Info { ty: DataType::Float, dims: None }.value(&name));
            name
        };
        let gradients = gradients.iter().zip(&names).map(|(g, x)| out(g, format!("gradient.{x}")));
        let gradients = gradients.collect();
        let products = products.iter().zip(&wrt).map(|(p, x)| Some(out(p.as_ref()?, format!("product.{x}"))));
        let products = products.collect();
        graph.node.append(&mut b.nodes);
        Derived { graph, gradients, products }
    }

    /// Values of the inputs of [`Case::derived`]; `y` is the case's output, of which only the shape counts.
    pub fn feed(&self, y: &Value) -> Vec<(String, Value)> {
        let mut feed: Vec<(String, Value)> =
            self.names().into_iter().zip(self.inputs.iter().cloned()).collect();
        feed.push(("dy".to_owned(), spaced(&y.dims, 77)));
        let vector = |(i, x): (usize, &Value)| (format!("v{i}"), spaced(&x.dims, 500 + i as u64));
        feed.extend(self.inputs.iter().enumerate().map(vector));
        feed
    }

    /// The output `y` at these values of the inputs.
    pub fn output(&self, inputs: &[Value]) -> Value {
        let named: Vec<(String, Value)> = self.names().into_iter().zip(inputs.iter().cloned()).collect();
        let mut values = run(&self.label, &self.graph, &named);
        values.remove("y").unwrap()
    }
}

/// A case's graph with g = ∂(Σ dy · y)/∂x and, differentiated again, ∂(Σ v · g).
pub struct Derived {
    pub graph: GraphProto,
    /// g by each input.
    pub gradients: Vec<String>,
    /// ∂(Σ v · g) by each input (the Hessian of Σ dy · y times v) and last by `dy` (the Jacobian of y times
    /// v); nothing where it is zero by the graph's form.
    pub products: Vec<Option<String>>,
}

/// Every value of a graph, by the reference evaluator.
pub fn run(label: &str, graph: &GraphProto, feed: &[(String, Value)]) -> HashMap<String, Value> {
    let named: Vec<(&str, Value)> = feed.iter().map(|(name, v)| (name.as_str(), v.clone())).collect();
    evaluate(graph, &named).unwrap_or_else(|e| panic!("{label}: {e}"))
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
