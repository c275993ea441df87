//! The training graph of every architecture: its gradients, its optimizer, its loop.

use std::collections::{HashMap, HashSet};

use onnx_graph::architectures::{ARCHITECTURES, Spec, build};
use onnx_graph::loss::Loss;
use onnx_graph::model::{attribute, node_label};
use onnx_graph::random::Random;
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::train::{Optimizer, Settings, Sgd, State, Training, training};

use crate::numeric::{central, close};

pub const PLAIN: Sgd = Sgd { momentum: 0.0, dampening: 0.0, weight_decay: 0.0, nesterov: false };

/// Batches of `batch` rows.
pub fn sgd(loss: Loss, sgd: Sgd, batch: usize) -> Settings {
    Settings::new(loss, Optimizer::Sgd(sgd), batch)
}

/// Small enough for differences in every weight, and smooth so that they exist.
pub fn small(architecture: &str, activation: &str) -> Spec {
    let (input, hidden) = match architecture {
        "linear" => (vec![5], vec![]),
        "mlp" => (vec![5], vec![6, 4]),
        "lenet" => (vec![1, 8, 8], vec![5, 4]),
        "vgg" | "resnet" => (vec![1, 8, 8], vec![]),
        other => panic!("{other} has no case here: add one"),
    };
    Spec {
        input,
        classes: 3,
        hidden,
        activation: activation.to_owned(),
        scale: 0.5,
        width: 2,
        ..Spec::default()
    }
}

/// What a training graph reads besides its states.
#[derive(Clone)]
pub struct Feed {
    pub data: Value,
    pub target: Value,
    pub order: Value,
    pub rates: Vec<f64>,
    pub optimizer: Optimizer,
}

impl Feed {
    fn random(spec: &Spec, loss: Loss, rows: usize, steps: usize, batch: usize, rate: f64) -> Self {
        let mut random = Random::new(11);
        let dims = [&[rows], &spec.input[..]].concat();
        let mut numbers = |n: usize| (0..n).map(|_| random.uniform() * 2.0 - 1.0).collect::<Vec<f64>>();
        let data = Value::floats(&dims, numbers(dims.iter().product())).unwrap();
        let target = match loss {
            Loss::CrossEntropy => {
                Value::ints(&[rows], &(0..rows).map(|i| (i % spec.classes) as i64).collect::<Vec<_>>())
                    .unwrap()
            }
            _ => Value::floats(&[rows, spec.classes], numbers(rows * spec.classes)).unwrap(),
        };
        let order: Vec<i64> = (0..steps * batch).map(|i| (i * 7 % rows) as i64).collect();
        Feed {
            data,
            target,
            order: Value::ints(&[steps, batch], &order).unwrap(),
            rates: vec![rate; steps],
            optimizer: Optimizer::Sgd(PLAIN),
        }
    }

    /// Step `k` alone.
    fn step(&self, k: usize) -> Feed {
        let batch = self.order.dims[1];
        let rows = self.order.data[k * batch..(k + 1) * batch].to_vec();
        let order = Value { dims: vec![1, batch], data: rows, ..self.order.clone() };
        Feed { order, rates: vec![self.rates[k]], ..self.clone() }
    }
}

/// The states' values: parameters, then velocities, by the names of their inputs.
pub fn first(states: &[State]) -> HashMap<String, Value> {
    let mut values = HashMap::new();
    for state in states {
        let dims: Vec<usize> = state.dims.iter().map(|d| *d as usize).collect();
        let numbers = state.values.iter().map(|v| f64::from(*v)).collect();
        values.insert(state.value.0.clone(), Value::floats(&dims, numbers).unwrap());
        for (input, _) in &state.slots {
            values.insert(input.clone(), Value::floats(&dims, vec![0.0; state.values.len()]).unwrap());
        }
    }
    values
}

/// Runs the graph; returns the states under the names of their inputs, and the losses.
pub fn run(t: &Training, states: &HashMap<String, Value>, feed: &Feed) -> (HashMap<String, Value>, Vec<f64>) {
    let rates = Value::floats(&[feed.rates.len()], feed.rates.clone()).unwrap();
    let mut inputs: Vec<(&str, Value)> = states.iter().map(|(name, v)| (name.as_str(), v.clone())).collect();
    inputs.push(("data", feed.data.clone()));
    if t.model.inputs().iter().any(|(name, _)| name == "target") {
        inputs.push(("target", feed.target.clone()));
    }
    inputs.extend([("order", feed.order.clone()), ("learning_rate", rates)]);
    let steps = feed.rates.len();
    for (i, (name, _)) in feed.optimizer.scalars(1).into_iter().enumerate() {
        let values = (1..=steps as u64).map(|k| f64::from(feed.optimizer.scalars(k)[i].1)).collect();
        inputs.push((name, Value::floats(&[steps], values).unwrap()));
    }
    let values = evaluate(t.model.graph().unwrap(), &inputs).unwrap();
    let names = t.states.iter().flat_map(|s| std::iter::once(&s.value).chain(&s.slots));
    let new = names.map(|(from, to)| (from.clone(), values[to].clone())).collect();
    (new, values["losses"].data.clone())
}

#[test]
fn every_architecture_has_the_right_gradients() {
    for architecture in ARCHITECTURES {
        let triplet = Loss::Triplet { margin: 0.3 };
        let losses =
            [(Loss::CrossEntropy, 4), (Loss::MeanSquaredError, 4), (Loss::OddOneOut, 6), (triplet, 6)];
        for (loss, batch) in losses {
            // The loss's part is the same for all, and deep networks take long.
            if !loss.has_targets() && architecture.name != "mlp" {
                continue;
            }
            let spec = small(architecture.name, "Tanh");
            let t = training(&build(architecture.name, &spec, 3).unwrap(), &sgd(loss, PLAIN, batch)).unwrap();
            let feed = Feed::random(&spec, loss, 6, 1, batch, 1.0);
            let still = Feed { rates: vec![0.0], ..Feed::random(&spec, loss, 6, 1, batch, 1.0) };
            let states = first(&t.states);
            // With a rate of 1, no momentum and no decay, a step is the gradient.
            let (moved, _) = run(&t, &states, &feed);
            let most = if t.trained > 12 { 1 } else { 60 };
            for state in &t.states[..t.trained] {
                let name = &state.value.0;
                // Enough of a large weight's elements to meet every kernel tap and unit.
                let stride = state.values.len().div_ceil(most);
                for p in (0..state.values.len()).step_by(stride) {
                    let gradient = states[name].data[p] - moved[name].data[p];
                    let numeric = central(states[name].data[p], |v| {
                        let mut states = states.clone();
                        states.get_mut(name).unwrap().data[p] = v;
                        run(&t, &states, &still).1[0]
                    });
                    close(gradient, numeric, 1e-7, &format!("{} {loss:?} {name} at {p}", architecture.name));
                }
            }
        }
    }
}

#[test]
fn many_steps_in_one_loop_are_single_steps_repeated() {
    for architecture in ARCHITECTURES {
        let spec = small(architecture.name, "Relu");
        let nesterov = Sgd { momentum: 0.9, weight_decay: 0.01, nesterov: true, ..PLAIN };
        let settings = sgd(Loss::CrossEntropy, nesterov, 4);
        let t = training(&build(architecture.name, &spec, 3).unwrap(), &settings).unwrap();
        let feed = Feed::random(&spec, Loss::CrossEntropy, 12, 5, 4, 0.05);
        let (together, losses) = run(&t, &first(&t.states), &feed);
        let mut states = first(&t.states);
        for (k, loss) in losses.iter().enumerate() {
            let (next, one) = run(&t, &states, &feed.step(k));
            assert_eq!(one, [*loss], "{} step {k}", architecture.name);
            states = next;
        }
        assert_eq!(states, together, "{}", architecture.name);
    }
}

#[test]
fn training_learns() {
    for architecture in ARCHITECTURES {
        // Two channels without normalisation are too few for a deep network to learn, and so are narrow
        // fully connected layers with the small weights that VGG begins with.
        let mut spec = Spec { scale: 1.0, width: 4, batch_norm: true, ..small(architecture.name, "Relu") };
        if architecture.name == "vgg" {
            spec.hidden.clear();
        }
        let settings = sgd(Loss::CrossEntropy, Sgd { momentum: 0.9, ..PLAIN }, 6);
        let t = training(&build(architecture.name, &spec, 3).unwrap(), &settings).unwrap();
        let feed = Feed::random(&spec, Loss::CrossEntropy, 6, 150, 6, 0.05);
        let (_, losses) = run(&t, &first(&t.states), &feed);
        assert!(losses[149] < 0.5 * losses[0], "{}: {} → {}", architecture.name, losses[0], losses[149]);
    }
}

#[test]
fn a_step_computes_nothing_that_nobody_reads() {
    for architecture in ARCHITECTURES {
        let model = build(architecture.name, &small(architecture.name, "Relu"), 3).unwrap();
        let t = training(&model, &sgd(Loss::CrossEntropy, PLAIN, 4)).unwrap();
        let mut loops = t.model.graph().unwrap().node.iter().filter_map(|n| attribute(n, "body"));
        let body = loops.next().unwrap().g.as_ref().unwrap();
        let mut read: HashSet<&str> = body.node.iter().flat_map(|n| &n.input).map(String::as_str).collect();
        read.extend(body.output.iter().filter_map(|v| v.name.as_deref()));
        for node in &body.node {
            let used = node.output.iter().any(|y| read.contains(y.as_str()));
            assert!(used, "{}: {}", architecture.name, node_label(node));
        }
    }
}
