//! Hessian-vector products against differences of gradients, Gauss-Newton products against JᵀHJ.

use std::collections::HashMap;

use onnx_graph::architectures::{ARCHITECTURES, Spec, build};
use onnx_graph::build::{Attr, Builder};
use onnx_graph::hessian::{Curvature, Products, losses, products};
use onnx_graph::loss::Loss;
use onnx_graph::model::Model;
use onnx_graph::proto::GraphProto;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::shape::{Dim, Info};
use onnx_graph::tensor::DataType;
use science::dynamics::spectrum::{Wanted, dense, lanczos};

use crate::architectures::small;
use crate::numeric::close;
use crate::op_case::spaced;

/// Float constants of a model that are no scalars.
fn parameters(model: &Model) -> Vec<String> {
    let constants = model.graph().unwrap().initializer.iter();
    constants
        .filter(|t| t.data_type == Some(1) && !t.dims.is_empty())
        .filter_map(|t| t.name.clone())
        .filter(|name| !name.contains(".running_"))
        .collect()
}

/// Gives normalisations statistics whose deviations are exact in float32. They are constants of the graph
/// and folded in float32, while the forward pass of the reference has them in float64: with others, twenty
/// layers differ from themselves by some 1e-7.
fn exact_statistics(model: &mut Model) {
    let epsilon = 2f32.powi(-16);
    let graph = model.0.graph.as_mut().unwrap();
    for attribute in graph.node.iter_mut().flat_map(|n| &mut n.attribute) {
        if attribute.name.as_deref() == Some("epsilon") {
            attribute.f = Some(epsilon);
        }
    }
    for tensor in &mut graph.initializer {
        let name = tensor.name.clone().unwrap();
        let count = tensor.dims.iter().product::<i64>() as usize;
        let two = match name.rsplit_once('.') {
            Some((_, "running_mean")) => [0.25, -0.125],
            Some((_, "running_var")) => [0.75f32.powi(2) - epsilon, 1.25f32.powi(2) - epsilon],
            _ => continue,
        };
        let values: Vec<f32> = two.into_iter().cycle().take(count).collect();
        *tensor = onnx_graph::tensor::floats(&name, &[count as i64], &values);
    }
}

type Values = HashMap<String, Value>;

fn run(p: &Products, feed: &Values) -> Values {
    let inputs: Vec<(&str, Value)> = feed.iter().map(|(name, v)| (name.as_str(), v.clone())).collect();
    evaluate(p.model.graph().unwrap(), &inputs).unwrap()
}

/// Data, targets, and the values and vectors of the parameters.
fn feed(model: &Model, p: &Products, loss: Loss, rows: usize) -> Values {
    let dims = |info: &Info| -> Vec<usize> {
        let size = |d: &Dim| if let Dim::Size(s) = d { *s as usize } else { rows };
        info.dims.iter().flatten().map(size).collect()
    };
    let (_, data) = model.inputs().remove(0);
    let (_, out) = model.outputs().remove(0);
    let mut feed = Values::new();
    feed.insert("data".into(), spaced(&dims(&data), 3));
    let classes = dims(&out)[1];
    feed.insert(
        "target".into(),
        match loss {
            Loss::CrossEntropy => {
                Value::ints(&[rows], &(0..rows).map(|i| (i % classes) as i64).collect::<Vec<_>>()).unwrap()
            }
            _ => spaced(&dims(&out), 4),
        },
    );
    for (i, (name, dims)) in p.parameters.iter().enumerate() {
        let tensor =
            model.graph().unwrap().initializer.iter().find(|t| t.name.as_ref() == Some(name)).unwrap();
        feed.insert(format!("parameter.{name}"), Value::of(tensor).unwrap());
        let dims: Vec<usize> = dims.iter().map(|d| *d as usize).collect();
        feed.insert(format!("vector.{name}"), spaced(&dims, 100 + i as u64));
    }
    feed
}

/// H v is the derivative of the gradient along v.
fn check_hessian(label: &str, model: &Model, loss: Loss, names: &[String]) {
    let p = products(model, loss, names, Curvature::Hessian, true).unwrap();
    let mut feed = feed(model, &p, loss, 4);
    // Biases that begin at zero put units whose inputs are zero exactly on the kink of `Relu`.
    for (name, _) in &p.parameters {
        let vector = feed[&format!("vector.{name}")].data.clone();
        let value = feed.get_mut(&format!("parameter.{name}")).unwrap();
        value.data.iter_mut().zip(vector).for_each(|(x, v)| *x += 0.1 * v);
    }
    let made = run(&p, &feed);
    let at = |step: f64| {
        let mut moved = feed.clone();
        for (name, _) in &p.parameters {
            let vector = feed[&format!("vector.{name}")].data.clone();
            let value = moved.get_mut(&format!("parameter.{name}")).unwrap();
            value.data.iter_mut().zip(vector).for_each(|(x, v)| *x += step * v);
        }
        run(&p, &moved)
    };
    // Exact up to the fifth derivative of the loss, which is large in deep networks: the step is small, and
    // rounding costs some 1e-9.
    let h = 2e-6;
    let [far, near] = [h, h / 2.0].map(|h| (h, at(h), at(-h)));
    for (name, _) in &p.parameters {
        let (product, gradient) = (format!("product.{name}"), format!("gradient.{name}"));
        for i in 0..made[&product].data.len() {
            let slope =
                |(h, a, b): &(f64, Values, Values)| (a[&gradient].data[i] - b[&gradient].data[i]) / (2.0 * h);
            let numeric = (4.0 * slope(&near) - slope(&far)) / 3.0;
            close(made[&product].data[i], numeric, 1e-7, &format!("{label} {loss:?} {name} at {i}"));
        }
    }
}

#[test]
fn hessian_products_of_architectures() {
    for architecture in ARCHITECTURES {
        for activation in ["Tanh", "Relu"] {
            let spec = Spec { batch_norm: true, ..small(architecture.name, activation) };
            let mut model = build(architecture.name, &spec, 3).unwrap();
            exact_statistics(&mut model);
            for loss in [Loss::CrossEntropy, Loss::MeanSquaredError] {
                let names = parameters(&model);
                check_hessian(&format!("{} {activation}", architecture.name), &model, loss, &names);
            }
        }
    }
}

#[test]
fn constants_and_inputs_give_the_same_products() {
    let model = build("mlp", &small("mlp", "Tanh"), 3).unwrap();
    let of =
        |fed| products(&model, Loss::CrossEntropy, &parameters(&model), Curvature::Hessian, fed).unwrap();
    let (fed, fixed) = (of(true), of(false));
    let feed = feed(&model, &fed, Loss::CrossEntropy, 4);
    let (a, b) = (run(&fed, &feed), run(&fixed, &feed));
    for (name, _) in &fed.parameters {
        assert_eq!(a[&format!("product.{name}")], b[&format!("product.{name}")]);
    }
    assert_eq!(a["loss"], b["loss"]);
}

#[test]
fn the_loss_alone_is_that_of_the_products_at_any_weights() {
    for architecture in ARCHITECTURES {
        let model = build(architecture.name, &small(architecture.name, "Tanh"), 3).unwrap();
        for loss in [Loss::CrossEntropy, Loss::MeanSquaredError] {
            let names = parameters(&model);
            let whole = products(&model, loss, &names, Curvature::Hessian, true).unwrap();
            let alone = losses(&model, loss, &names).unwrap();
            assert_eq!(alone.parameters, whole.parameters);
            assert_eq!(alone.model.outputs().len(), 1);
            let mut feed = feed(&model, &whole, loss, 4);
            let mut seen = Vec::new();
            for _ in 0..2 {
                let mut bare = feed.clone();
                bare.retain(|name, _| !name.starts_with("vector."));
                let (a, b) = (run(&whole, &feed)["loss"].data[0], run(&alone, &bare)["loss"].data[0]);
                close(a, b, 1e-12, &format!("{} {loss:?}", architecture.name));
                seen.push(b);
                for (name, _) in &whole.parameters {
                    let value = feed.get_mut(&format!("parameter.{name}")).unwrap();
                    value.data.iter_mut().for_each(|x| *x = 0.5 * *x + 0.01);
                }
            }
            assert!((seen[0] - seen[1]).abs() > 1e-6, "{} {loss:?}: {seen:?}", architecture.name);
        }
    }
}

#[test]
fn gauss_newton_is_the_hessian_where_the_network_is_linear() {
    let model = build("linear", &small("linear", "Tanh"), 3).unwrap();
    for loss in [Loss::CrossEntropy, Loss::MeanSquaredError] {
        let of = |c| products(&model, loss, &parameters(&model), c, true).unwrap();
        let (h, g) = (of(Curvature::Hessian), of(Curvature::GaussNewton));
        let feed = feed(&model, &h, loss, 4);
        let (a, b) = (run(&h, &feed), run(&g, &feed));
        for (name, _) in &h.parameters {
            let name = format!("product.{name}");
            for (x, y) in a[&name].data.iter().zip(&b[&name].data) {
                close(*x, *y, 1e-12, &name);
            }
        }
    }
}

#[test]
fn gauss_newton_products_are_symmetric_and_never_negative() {
    for architecture in ["mlp", "lenet"] {
        let model = build(architecture, &small(architecture, "Tanh"), 3).unwrap();
        for loss in [Loss::CrossEntropy, Loss::MeanSquaredError] {
            let p = products(&model, loss, &parameters(&model), Curvature::GaussNewton, true).unwrap();
            let first = feed(&model, &p, loss, 4);
            let mut second = first.clone();
            for (i, (name, dims)) in p.parameters.iter().enumerate() {
                let dims: Vec<usize> = dims.iter().map(|d| *d as usize).collect();
                second.insert(format!("vector.{name}"), spaced(&dims, 200 + i as u64));
            }
            let dot = |a: &Values, (of, b): (&str, &Values)| -> f64 {
                let both = |(name, _): &(String, Vec<i64>)| {
                    let (x, y) = (&a[&format!("product.{name}")].data, &b[&format!("{of}.{name}")].data);
                    x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>()
                };
                p.parameters.iter().map(both).sum()
            };
            let (gv, gw) = (run(&p, &first), run(&p, &second));
            assert!(dot(&gv, ("vector", &first)) > 0.0);
            let (vw, wv) = (dot(&gv, ("vector", &second)), dot(&gw, ("vector", &first)));
            close(vw, wv, 1e-12, architecture);
        }
    }
}

/// A convolutional network with what research uses in it, 2-d images of 6×5 in two channels.
fn network() -> Model {
    let mut b = Builder::new("");
    let weight = |b: &mut Builder, name: &str, dims: &[i64], seed| {
        let dims_of: Vec<usize> = dims.iter().map(|d| *d as usize).collect();
        let values: Vec<f32> = spaced(&dims_of, seed).data.iter().map(|v| *v as f32 * 0.3).collect();
        b.constants.push(onnx_graph::tensor::floats(name, dims, &values));
    };
    weight(&mut b, "w1", &[4, 2, 3, 3], 1);
    weight(&mut b, "scale", &[4], 2);
    weight(&mut b, "shift", &[4], 3);
    weight(&mut b, "w2", &[4, 2, 2, 2], 4);
    weight(&mut b, "w3", &[3, 4], 5);
    weight(&mut b, "b3", &[3], 6);
    b.constants.push(onnx_graph::tensor::floats("mean", &[4], &[0.0; 4]));
    b.constants.push(onnx_graph::tensor::floats("variance", &[4], &[1.0; 4]));
    let one = [1; 4];
    b.named_node(
        "Conv",
        &["x", "w1"],
        &["a"],
        [("pads", Attr::Ints(&one)), ("strides", Attr::Ints(&[2, 1]))],
    );
    let norm = ["a", "scale", "shift", "mean", "variance"];
    b.named_node("BatchNormalization", &norm, &["n"], [("training_mode", Attr::Int(1))]);
    b.named_node("Elu", &["n"], &["e"], []);
    b.named_node("Conv", &["e", "w2"], &["c"], [("group", Attr::Int(2)), ("dilations", Attr::Ints(&[2, 2]))]);
    b.named_node("MaxPool", &["c"], &["m"], [("kernel_shape", Attr::Ints(&[1, 2]))]);
    b.named_node("AveragePool", &["m"], &["v"], [("kernel_shape", Attr::Ints(&[1, 2]))]);
    b.named_node("GlobalAveragePool", &["v"], &["g"], []);
    b.named_node("Flatten", &["g"], &["f"], []);
    b.named_node("Gemm", &["f", "w3", "b3"], &["y"], [("transB", Attr::Int(1))]);
    let batch = |dims: &[i64]| {
        let sizes = dims.iter().map(|d| Dim::Size(*d));
        Info::new(DataType::Float, std::iter::once(Dim::Name("N".to_owned())).chain(sizes).collect())
    };
    Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![batch(&[2, 6, 5]).value("x")],
        output: vec![batch(&[3]).value("y")],
        ..GraphProto::default()
    })
}

#[test]
fn hessian_products_through_convolutions_pools_and_normalisation() {
    let model = network();
    let names: Vec<String> = ["w1", "scale", "shift", "w2", "w3", "b3"].map(str::to_owned).to_vec();
    check_hessian("network", &model, Loss::CrossEntropy, &names);
}

#[test]
fn a_parameter_that_is_not_there_is_named() {
    let model = build("linear", &small("linear", "Tanh"), 3).unwrap();
    let error =
        products(&model, Loss::CrossEntropy, &["w".to_owned()], Curvature::Hessian, true).unwrap_err();
    assert!(error.to_string().contains("`w`"), "{error}");
}

/// The nets of `tests/golden/dynamics/hessian.npz` (its README describes them).
fn golden_net(key: &str, shapes: &[Vec<i64>], input: &[i64]) -> (Model, Loss, f64) {
    let mut b = Builder::new("");
    for (name, dims) in ["W1", "b1", "W2", "b2"].iter().zip(shapes) {
        let zeros = vec![0.0; dims.iter().product::<i64>() as usize];
        b.constants.push(onnx_graph::tensor::floats(name, dims, &zeros));
    }
    let transposed = || [("transB", Attr::Int(1))];
    if key.starts_with("conv") {
        b.named_node("Conv", &["x", "W1", "b1"], &["c"], []);
        b.named_node("Tanh", &["c"], &["h"], []);
        b.named_node("Flatten", &["h"], &["f"], []);
        b.named_node("Gemm", &["f", "W2", "b2"], &["y"], transposed());
    } else {
        let activation = if key.contains("tanh") { "Tanh" } else { "Softplus" };
        b.named_node("Gemm", &["x", "W1", "b1"], &["a"], transposed());
        b.named_node(activation, &["a"], &["h"], []);
        b.named_node("Gemm", &["h", "W2", "b2"], &["y"], transposed());
    }
    let value = |name: &str, rest: &[i64]| {
        let sizes = rest.iter().map(|d| Dim::Size(*d));
        let dims = std::iter::once(Dim::Name("N".to_owned())).chain(sizes).collect();
        Info::new(DataType::Float, dims).value(name)
    };
    let model = Model::new(GraphProto {
        node: b.nodes,
        initializer: b.constants,
        input: vec![value("x", input)],
        output: vec![value("y", &shapes[2][..1])],
        ..GraphProto::default()
    });
    // Half the mean square is theirs.
    if key.ends_with("mse") { (model, Loss::MeanSquaredError, 0.5) } else { (model, Loss::CrossEntropy, 1.0) }
}

/// A golden net at its weights, ready to be evaluated; `factor` brings our loss to theirs.
struct Golden {
    products: Products,
    feed: Values,
    sizes: Vec<(String, Vec<usize>)>,
    factor: f64,
}

impl Golden {
    fn read(key: &str, arrays: &std::collections::BTreeMap<String, crate::npz::Array>) -> Self {
        let array = |part: &str| &arrays[&format!("{key}_{part}")];
        let shapes: Vec<Vec<i64>> = array("shapes")
            .data
            .chunks(array("shapes").shape[1])
            .map(|row| row.iter().filter(|d| **d > 0.0).map(|d| *d as i64).collect())
            .collect();
        let input: Vec<i64> = array("x").shape[1..].iter().map(|d| *d as i64).collect();
        let (model, loss, factor) = golden_net(key, &shapes, &input);
        let names = ["W1", "b1", "W2", "b2"].map(str::to_owned);
        let products = products(&model, loss, &names, Curvature::Hessian, true).unwrap();
        let mut feed = Values::new();
        feed.insert("data".into(), Value::floats(&array("x").shape, array("x").data.clone()).unwrap());
        let y = array("y");
        let target = if loss == Loss::CrossEntropy {
            Value::new(DataType::Int64, &y.shape, y.data.clone())
        } else {
            Value::floats(&y.shape, y.data.clone())
        };
        feed.insert("target".into(), target.unwrap());
        let sizes = names
            .iter()
            .zip(&shapes)
            .map(|(name, dims)| (name.clone(), dims.iter().map(|d| *d as usize).collect()))
            .collect();
        let mut golden = Golden { products, feed, sizes, factor };
        golden.set("parameter", &array("theta").data);
        golden
    }

    /// Feeds a flat vector.
    fn set(&mut self, what: &str, flat: &[f64]) {
        let mut start = 0;
        for (name, dims) in &self.sizes {
            let end = start + dims.iter().product::<usize>();
            let value = Value::floats(dims, flat[start..end].to_vec()).unwrap();
            self.feed.insert(format!("{what}.{name}"), value);
            start = end;
        }
    }

    /// The loss and the flat gradient and product.
    fn evaluate(&mut self, vector: &[f64]) -> (f64, Vec<f64>, Vec<f64>) {
        self.set("vector", vector);
        let made = run(&self.products, &self.feed);
        let flat = |what: &str| -> Vec<f64> {
            let values = self.sizes.iter().flat_map(|(n, _)| made[&format!("{what}.{n}")].data.clone());
            values.map(|v| v * self.factor).collect()
        };
        (made["loss"].data[0] * self.factor, flat("gradient"), flat("product"))
    }
}

/// Every net of the golden files, by its key.
fn each_golden(check: impl Fn(&str, Golden, &dyn Fn(&str) -> Vec<f64>)) {
    for file in crate::npz::files("dynamics", "hessian", ".npz") {
        let arrays = crate::npz::read(&file);
        let keys: Vec<&str> = arrays.keys().filter_map(|k| k.strip_suffix("_hvp_v")).collect();
        assert!(!keys.is_empty(), "{file} holds no net");
        for key in keys {
            check(key, Golden::read(key, &arrays), &|part| arrays[&format!("{key}_{part}")].data.clone());
        }
    }
}

fn error(found: &[f64], wanted: &[f64]) -> f64 {
    let scale = wanted.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    found.iter().zip(wanted).fold(0.0, |m: f64, (f, w)| m.max((f - w).abs())) / scale
}

#[test]
fn golden_hessian_products() {
    each_golden(|key, mut golden, array| {
        let (loss, gradient, product) = golden.evaluate(&array("hvp_v"));
        let errors = [
            error(&[loss], &array("loss")),
            error(&gradient, &array("grad")),
            error(&product, &array("hvp")),
        ];
        println!("{key}: loss, gradient, product {errors:?}");
        assert!(errors.iter().all(|e| *e < 1e-9), "{key}: {errors:?}");
    });
}

#[test]
fn golden_eigenpairs() {
    each_golden(|key, mut golden, array| {
        let (top, bottom) = (array("eig_top10"), array("eig_bottom5"));
        let mut apply = |v: &[f64]| -> science::error::Result<Vec<f64>> { Ok(golden.evaluate(v).2) };
        let n = array("theta").len();
        let wanted =
            Wanted { largest: top.len(), smallest: bottom.len(), tolerance: 1e-9, products: 3000, seed: 1 };
        let found = lanczos(n, &wanted, &mut apply).unwrap();
        let whole = dense(n, &mut apply).unwrap();
        let off = |values: Vec<f64>| {
            let wanted = top.iter().chain(&bottom);
            values.iter().zip(wanted).fold(0.0, |m: f64, (f, w)| m.max((f - w).abs())) / top[0]
        };
        let ends = off(found.pairs.iter().map(|p| p.value).collect());
        let picked = whole.values[..top.len()].iter().chain(&whole.values[n - bottom.len()..]);
        let all = off(picked.copied().collect());
        let residual = found.pairs.iter().fold(0.0, |m: f64, p| m.max(p.residual)) / top[0];
        println!(
            "{key}: lanczos {ends:.1e} ({} products, residual {residual:.1e}), dense {all:.1e}",
            found.products
        );
        assert!(found.converged && ends < 1e-7 && all < 1e-7, "{key}: {ends} {all}");
        let (trace, squares) = (array("trace")[0], array("frob2")[0]);
        assert!((whole.trace - trace).abs() < 1e-7 * trace.abs(), "{key}: {} {trace}", whole.trace);
        let sum: f64 = whole.values.iter().map(|v| v * v).sum();
        assert!((sum - squares).abs() < 1e-7 * squares, "{key}: {sum} {squares}");
        let vectors = array("evec_top3");
        let count = vectors.len() / n;
        for (k, pair) in found.pairs.iter().take(count).enumerate() {
            // The golden file has one vector a column.
            let cosine: f64 = pair.vector.iter().enumerate().map(|(i, v)| v * vectors[i * count + k]).sum();
            assert!(cosine.abs() > 1.0 - 1e-6, "{key} vector {k}: {cosine}");
        }
    });
}
