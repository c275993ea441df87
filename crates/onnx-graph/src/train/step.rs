//! One optimizer step: batch, forward, loss, backward, update, and what is measured of it.

use super::optimizer::{Updated, slot_name};
use super::record::{Flat, Kept, Record};
use super::running::Running;
use super::{Settings, State, parameters};
use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::grad::{Backward, backward, live};
use crate::inner;
use crate::loss::{Loss, emit, nearer, odd_ones, right};
use crate::model::{Model, node_label};
use crate::ops;
use crate::passes::batch_last;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::shape::{Dim, Info, Infos, infer};
use crate::tensor::DataType;

/// Names that the graph around the model uses.
pub(super) const OUTER: &[&str] = &[
    "data",
    "target",
    "order",
    "learning_rate",
    "gain",
    "mean_left",
    "deviation_left",
    "start",
    "reference",
    "directions",
    "bucket",
    "sign",
    "segments",
];

/// A value that goes round the loop: its name inside, its new value's name, its shape, and the graph's
/// input and output for it.
pub(super) struct Carried {
    pub inner: String,
    pub new: String,
    pub info: Info,
    pub ports: (String, String),
}

/// The nodes of one step. They read `iteration`, the step's row in what is fed.
pub(super) struct Step {
    pub nodes: Vec<NodeProto>,
    pub constants: Vec<TensorProto>,
    pub states: Vec<State>,
    pub trained: usize,
    pub carried: Vec<Carried>,
    /// A number of every step: the graph's output and the value's name.
    pub numbers: Vec<(&'static str, String)>,
    pub records: Vec<Kept>,
    /// Whether there is another step.
    pub go_on: Option<String>,
    pub data: Info,
    pub target: Option<Info>,
    pub work: u64,
}

impl Step {
    pub fn build(model: &Model, settings: &Settings, record: Option<&Record>) -> Result<Self> {
        let mut graph = model.graph()?.clone();
        let (input, data) = only_input(model)?;
        let names = parameters::moving(&graph, settings)?;
        let running = Running::switch_on(&mut graph, &names)?;
        let fed = fed(&data, settings);
        // What the file states of ops that are not understood was stated of its own batch.
        let batch = |info: &Info| info.dims.as_ref().and_then(|dims| dims.first().cloned());
        if batch(&data) != batch(&fed) {
            graph.value_info.retain(|v| !matches!(batch(&Info::of(v)), Some(Dim::Size(_))));
        }
        graph.input = vec![fed.value(&input)];
        apart(&mut graph, &names)?;
        let input = graph.input.first().and_then(|v| v.name.clone()).unwrap_or(input);
        let infos = infer(&graph)?;
        let output = graph.output.first().and_then(|v| v.name.clone());
        let output = output.ok_or_else(|| Error::new("the model has no output"))?;
        let dims = sizes(&graph, &infos, &output)?;
        let info = Info::new(DataType::Float, dims.iter().map(|d| Dim::Size(*d)).collect());
        let slots = settings.optimizer.slots();
        let mut states = Vec::new();
        for name in &names {
            states.extend(constant(&graph, name).map(|t| parameters::state(t, slots)).transpose()?);
        }
        let trained = states.len();

        let mut b = Builder::new("t_");
        let mut labels = "target".to_owned();
        if settings.whole {
            b.named_node("Identity", &["data"], &[&input], []);
        } else {
            let rows = b.node("Gather", &["order", "iteration"], [("axis", Attr::Int(0))]);
            b.named_node("Gather", &["data", &rows], &[&input], [("axis", Attr::Int(0))]);
            if settings.loss.has_targets() {
                labels = b.node("Gather", &["target", &rows], [("axis", Attr::Int(0))]);
            }
        }
        let mut nodes = std::mem::take(&mut b.nodes);
        let (loss, seed) = emit(settings.loss, &mut b, &output, &labels, &dims);
        let mut numbers = vec![("losses", loss)];
        match settings.loss {
            Loss::CrossEntropy if settings.accuracy => {
                numbers.push(("right", right(&mut b, &output, &labels)));
            }
            Loss::OddOneOut if settings.accuracy => {
                numbers.push(("right", odd_ones(&mut b, &output, &dims)));
            }
            Loss::Triplet { .. } if settings.accuracy => {
                numbers.push(("right", nearer(&mut b, &output, &dims)));
            }
            _ => {}
        }
        let behind = std::mem::take(&mut b.nodes);
        let wrt: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut back = backward(&graph, &[(&output, &seed)], &wrt, Builder::new("g_"))?;
        let shapes = shapes(&mut graph, &mut back, (&seed, &info))?;
        let mut laid = Builder::new("l_");
        nodes.extend(batch_last(back.forward, &shapes, &mut laid)?);
        nodes.extend(behind);
        nodes.extend(batch_last(back.nodes, &shapes, &mut laid)?);

        let updates = update(&mut b, &states, &back.gradients, settings);
        let mut carried = Vec::new();
        for (state, update) in states.iter().zip(&updates) {
            let inner = state.parameter.clone();
            carried.push(carry(state, inner, update.value.clone(), &state.value));
            for ((slot, ports), new) in slots.iter().zip(&state.slots).zip(&update.slots) {
                carried.push(carry(state, slot_name(slot, &state.parameter), new.clone(), ports));
            }
        }
        for (name, new) in running.update(&mut b, &infos)? {
            if let Some(tensor) = constant(&graph, &name) {
                let state = parameters::state(tensor, &[])?;
                carried.push(carry(&state, name, new, &state.value));
                states.push(state);
            }
        }
        let mut flat = Flat::new(&states[..trained], &updates);
        let mut go_on = None;
        if let Some(tolerance) = settings.stop {
            let square = flat.gradient_square(&mut b);
            let length = b.node("Sqrt", &[&square], []);
            let tolerance = b.float(tolerance);
            // What is no number stops too.
            go_on = Some(b.node("GreaterOrEqual", &[&length, &tolerance], []));
            numbers.push(("gradients", length));
        }
        let records = record.map_or_else(Vec::new, |r| flat.record(&mut b, r));
        nodes.extend(b.nodes);
        let kept = |t: &&TensorProto| !states.iter().any(|s| s.parameter == parameters::name(t));
        let mut constants: Vec<TensorProto> = graph.initializer.iter().filter(kept).cloned().collect();
        constants.extend(b.constants);
        constants.extend(back.constants);
        constants.extend(laid.constants);
        let work = work(&graph, &infos);
        let target = target(settings.loss, &dims);
        Ok(Step {
            nodes,
            constants,
            states,
            trained,
            carried,
            numbers,
            records,
            go_on,
            data: rows(&data),
            target,
            work,
        })
    }
}

fn constant<'g>(graph: &'g GraphProto, name: &str) -> Option<&'g TensorProto> {
    graph.initializer.iter().find(|t| parameters::name(t) == name)
}

/// Types and shapes of the values forward and backward, from the gradient at the output on. Both are as before
/// afterwards; the constants, which may be large, are lent and not copied.
fn shapes(graph: &mut GraphProto, back: &mut Backward, seed: (&str, &Info)) -> Result<Infos> {
    let own = graph.initializer.len();
    let mut whole = GraphProto {
        node: back.forward.iter().chain(&back.nodes).cloned().collect(),
        initializer: std::mem::take(&mut graph.initializer),
        input: graph.input.clone(),
        value_info: graph.value_info.clone(),
        ..GraphProto::default()
    };
    whole.initializer.append(&mut back.constants);
    whole.input.push(seed.1.value(seed.0));
    let infos = infer(&whole);
    back.constants = whole.initializer.split_off(own);
    graph.initializer = whole.initializer;
    infos
}

fn carry(state: &State, inner: String, new: String, ports: &(String, String)) -> Carried {
    Carried { inner, new, info: state.info(), ports: ports.clone() }
}

/// Emits the update of every parameter, each with its own factor on the learning rate.
fn update(b: &mut Builder, states: &[State], gradients: &[String], settings: &Settings) -> Vec<Updated> {
    let at = |b: &mut Builder, name: &str| b.node("Gather", &[name, "iteration"], [("axis", Attr::Int(0))]);
    let rate = at(b, "learning_rate");
    let scalars: Vec<String> = settings.optimizer.scalars(1).iter().map(|(name, _)| at(b, name)).collect();
    let mut rates: Vec<(u32, String)> = vec![(1.0f32.to_bits(), rate.clone())];
    let mut updates = Vec::new();
    for (state, gradient) in states.iter().zip(gradients) {
        let factor = settings.rate(&state.parameter);
        let known = rates.iter().find(|(bits, _)| *bits == factor.to_bits()).map(|(_, name)| name.clone());
        let own = known.unwrap_or_else(|| {
            let constant = b.float(factor);
            let own = b.node("Mul", &[&rate, &constant], []);
            rates.push((factor.to_bits(), own.clone()));
            own
        });
        updates.push(settings.optimizer.update(b, state, gradient, &own, &scalars));
    }
    updates
}

/// Gives the model's own values other names where the graph around it uses theirs.
fn apart(graph: &mut GraphProto, names: &[String]) -> Result<()> {
    let taken = |name: &str| OUTER.contains(&name) || name == "iteration" || name == "go_on";
    debug_assert!(names.iter().all(|n| !taken(n)));
    inner::apart(graph, &taken).map_err(|e| Error::new(format!("training {e}")))
}

fn only_input(model: &Model) -> Result<(String, Info)> {
    match &model.inputs()[..] {
        [(name, info)] if info.ty == DataType::Float => Ok((name.clone(), info.clone())),
        [(name, info)] => Err(Error::new(format!("the input `{name}` is {}, not float32", info.ty.name()))),
        other => Err(Error::new(format!("the model has {} inputs; training needs one", other.len()))),
    }
}

/// The shape of a batch. Open sizes of the model's input are those of the data.
fn fed(input: &Info, settings: &Settings) -> Info {
    let rows = Dim::Size(settings.batch as i64);
    let row = settings.row.iter().flatten().map(|s| Dim::Size(*s));
    let row: Vec<Dim> = std::iter::once(rows).chain(row).collect();
    let dims = input.dims.as_ref().map(|dims| {
        let closed = |(i, d): (usize, &Dim)| match (d, row.get(i)) {
            (_, Some(own)) if i == 0 => own.clone(),
            (Dim::Size(_), _) | (_, None) => d.clone(),
            (_, Some(own)) => own.clone(),
        };
        dims.iter().enumerate().map(closed).collect()
    });
    Info { ty: input.ty, dims }
}

/// The sizes of the output `name`, all of which must be known.
fn sizes(graph: &GraphProto, infos: &Infos, name: &str) -> Result<Vec<i64>> {
    let closed = |name: &str| infos.get(name).and_then(Info::sizes);
    match closed(name) {
        Some(sizes) if sizes.len() >= 2 => return Ok(sizes),
        Some(sizes) => {
            let axes = sizes.len();
            return Err(Error::new(format!(
                "the output `{name}` has {axes} axes; a loss needs rows and columns"
            )));
        }
        None => {}
    }
    // The first node on the way to it that leaves something open.
    let nodes = live(graph.node.clone(), &[name.to_owned()]);
    let open = |n: &&NodeProto| n.output.first().is_some_and(|y| closed(y).is_none());
    let Some(node) = nodes.iter().find(open) else {
        return Err(Error::new(format!("no node makes the output `{name}`")));
    };
    ops::find(node)?;
    Err(Error::new(format!(
        "{}: the shape of what it gives is not known before it runs; training needs every shape",
        node_label(node)
    )))
}

/// The same with any number of rows.
fn rows(of: &Info) -> Info {
    let rest = of.dims.iter().flatten().skip(1).cloned();
    Info::new(of.ty, std::iter::once(Dim::Name("N".to_owned())).chain(rest).collect())
}

fn target(loss: Loss, output: &[i64]) -> Option<Info> {
    let rows = std::iter::once(Dim::Name("N".to_owned()));
    match loss {
        Loss::CrossEntropy => Some(Info::new(DataType::Int64, rows.collect())),
        Loss::MeanSquaredError => {
            let dims = rows.chain(output.iter().skip(1).map(|d| Dim::Size(*d)));
            Some(Info::new(DataType::Float, dims.collect()))
        }
        Loss::OddOneOut | Loss::Triplet { .. } => None,
    }
}

/// Multiplications of products and convolutions for one row.
fn work(graph: &GraphProto, infos: &Infos) -> u64 {
    let count = |name: Option<&String>, skip: usize| {
        let dims = name.and_then(|n| infos.get(n)).and_then(|i| i.dims.as_ref());
        let size = |d: &Dim| if let Dim::Size(s) = d { s.unsigned_abs() } else { 1 };
        dims.map_or(0, |dims| dims.iter().skip(skip).map(size).fold(1u64, u64::saturating_mul))
    };
    let of = |node: &NodeProto| match node.op_type.as_deref() {
        // Every pixel of the output sees every weight once, of those of one channel.
        Some("Conv") => count(node.input.get(1), 0).saturating_mul(count(node.output.first(), 2)),
        Some("Gemm" | "MatMul") => count(node.input.get(1), 0),
        _ => 0,
    };
    graph.node.iter().map(of).fold(0, u64::saturating_add)
}
