//! First and second derivatives by central differences in float64, and the comparison with those that the
//! walk emits.

use std::collections::HashMap;

use onnx_graph::reference::Value;
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::DataType;

use crate::op_case::{Case, Derived, run, spaced};

impl Case {
    /// Fails unless every gradient and every second derivative is that of the central differences.
    pub fn check(&self) {
        let y = self.output(&self.inputs);
        let (derived, feed) = (self.derived(), self.feed(&y));
        let values = run(&self.label, &derived.graph, &feed);
        self.check_first(&derived.gradients, &values, &y);
        self.check_second(&derived, &feed);
    }

    /// The sizes of the images `x0` are given by no name and no number: only channels are known.
    pub fn with_open_sizes(mut self) -> Self {
        let mut dims: Vec<Dim> = self.inputs[0].dims.iter().map(|_| Dim::Unknown).collect();
        dims[1] = Dim::Size(self.inputs[0].dims[1] as i64);
        self.graph.input[0] = Info::new(DataType::Float, dims).value("x0");
        self
    }

    /// Fails unless every gradient is that of the central differences; for what has no second derivative.
    pub fn check_once(&self) {
        let y = self.output(&self.inputs);
        let (graph, gradients) = self.with_gradients();
        let feed = self.feed(&y);
        self.check_first(&gradients, &run(&self.label, &graph, &feed[..=self.inputs.len()]), &y);
    }

    fn check_first(&self, gradients: &[String], values: &HashMap<String, Value>, y: &Value) {
        let dy = spaced(&y.dims, 77);
        let weighted = |inputs: &[Value]| -> f64 {
            self.output(inputs).data.iter().zip(&dy.data).map(|(y, d)| y * d).sum()
        };
        for (i, name) in gradients.iter().enumerate() {
            let gradient = &values[name];
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

    /// A Hessian is symmetric, so that its product with v is the change of the gradient along v; and what the
    /// gradient graph is by `dy` is the change of y along v.
    fn check_second(&self, derived: &Derived, feed: &[(String, Value)]) {
        let n = self.inputs.len();
        let at = |step: f64| {
            let mut moved = feed.to_vec();
            for i in 0..n {
                let vector = &feed[n + 1 + i].1.data;
                moved[i].1.data.iter_mut().zip(vector).for_each(|(x, v)| *x += step * v);
            }
            run(&self.label, &derived.graph, &moved)
        };
        let values = at(0.0);
        // As in `central`, for all elements at once.
        let h = 1e-5;
        let [wide, narrow] = [h, h / 2.0].map(|h| (h, at(h), at(-h)));
        let changing = derived.gradients.iter().map(String::as_str).chain(["y"]);
        for (i, (value, product)) in changing.zip(&derived.products).enumerate() {
            let slope = |(h, a, b): &(f64, _, _), p: usize| {
                let [a, b]: [&HashMap<String, Value>; 2] = [a, b];
                (a[value].data[p] - b[value].data[p]) / (2.0 * h)
            };
            let made = product.as_ref().map(|name| &values[name]);
            let label = format!("{}: second derivative {i}", self.label);
            assert!(made.is_none_or(|m| m.dims == values[value].dims), "{label}: its shape");
            for p in 0..values[value].data.len() {
                let numeric = (4.0 * slope(&narrow, p) - slope(&wide, p)) / 3.0;
                close(made.map_or(0.0, |m| m.data[p]), numeric, 1e-7, &format!("{label} at {p}"));
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
