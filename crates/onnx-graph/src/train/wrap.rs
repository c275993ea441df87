//! Loops around the step.

use std::collections::HashSet;

use super::record::{self, Kept};
use super::step::{Carried, OUTER, Step};
use super::{Settings, Training};
use crate::build::{Attr, Builder};
use crate::error::Result;
use crate::inner;
use crate::model::Model;
use crate::proto::{GraphProto, ValueInfoProto};
use crate::shape::{Dim, Info};
use crate::tensor::{DataType, flag};

fn scalar(ty: DataType) -> Info {
    Info::new(ty, Vec::new())
}

fn list(ty: DataType, name: &str) -> Info {
    Info::new(ty, vec![Dim::Name(name.to_owned())])
}

/// Every step is recorded, or none: one loop.
pub(super) fn every(model: &Model, settings: &Settings, step: Step) -> Result<Training> {
    let mut body = body(&step, "iteration", "go_on");
    for (_, value) in &step.numbers {
        body.output.push(scalar(DataType::Float).value(value));
    }
    body.output.extend(step.records.iter().map(|kept| kept.info().value(&kept.value)));
    let mut outer = Builder::new("o_");
    let count = outer.node("Shape", &["learning_rate"], [("start", Attr::Int(0)), ("end", Attr::Int(1))]);
    outer.named_node("Squeeze", &[&count], &["steps"], []);
    let mut inputs = vec!["steps".to_owned(), "always".to_owned()];
    inputs.extend(step.carried.iter().map(|c| c.ports.0.clone()));
    let mut outputs: Vec<String> = step.carried.iter().map(|c| c.ports.1.clone()).collect();
    outputs.extend(step.numbers.iter().map(|(name, _)| (*name).to_owned()));
    outputs.extend(step.records.iter().map(Kept::looped));
    add_loop(&mut outer, &inputs, &outputs, body);
    finish(model, settings, step, outer)
}

/// Each recorded step is the last of a segment whose other steps run in a loop of their own.
pub(super) fn spaced(model: &Model, settings: &Settings, step: Step, between: Step) -> Result<Training> {
    let mut segment = body(&step, "segment", "go_on");
    let between = Step { go_on: None, ..between };
    let carried_names: Vec<&str> = step.carried.iter().map(|c| c.inner.as_str()).collect();
    // The loop between takes the segment's values under the model's names, and its own body has others.
    let mut inner = body(&between, "between", "inner_go_on");
    let mut at = Builder::new("at_");
    at.named_node("Add", &["at", "between"], &["iteration"], []);
    inner.node.splice(0..0, at.nodes);
    for (_, value) in &between.numbers {
        inner.output.push(scalar(DataType::Float).value(value));
    }
    let mut own: HashSet<&str> = OUTER.iter().copied().collect();
    own.insert("at");
    prefix(&mut inner, "i.", &own);

    let mut b = Builder::new("s_");
    let count = b.node("Gather", &["segments", "segment"], [("axis", Attr::Int(0))]);
    let mut inputs = vec![count.clone(), "always".to_owned()];
    inputs.extend(step.carried.iter().map(|c| format!("before.{}", c.inner)));
    let mut outputs: Vec<String> = carried_names.iter().map(|n| (*n).to_owned()).collect();
    outputs.extend(step.numbers.iter().map(|(name, _)| format!("between.{name}")));
    add_loop(&mut b, &inputs, &outputs, inner);
    b.named_node("Add", &["at", &count], &["iteration"], []);
    let mut behind = Builder::new("e_");
    let one = behind.fresh("one");
    behind.constants.push(crate::tensor::ints(&one, &[], &[1]));
    let next = behind.node("Add", &["iteration", &one], []);
    // Numbers of every step: those of the segments before, of the steps between, and of this one.
    let first = behind.ints(&[0]);
    let mut joined = Vec::new();
    for (name, value) in &step.numbers {
        let last = behind.node("Unsqueeze", &[value, &first], []);
        let parts = [format!("before.{name}"), format!("between.{name}"), last];
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        joined.push(behind.node("Concat", &parts, [("axis", Attr::Int(0))]));
    }
    for (carried, value) in step.carried.iter().zip(segment.input.iter_mut().skip(2)) {
        *value = carried.info.value(&format!("before.{}", carried.inner));
    }
    segment.node.splice(0..0, b.nodes);
    segment.node.extend(behind.nodes);
    segment.initializer.extend(b.constants);
    segment.initializer.extend(behind.constants);
    segment.input.push(scalar(DataType::Int64).value("at"));
    segment.output.push(scalar(DataType::Int64).value(&next));
    for ((name, _), joined) in step.numbers.iter().zip(&joined) {
        segment.input.push(list(DataType::Float, "before").value(&format!("before.{name}")));
        segment.output.push(list(DataType::Float, "after").value(joined));
    }
    segment.output.extend(step.records.iter().map(|kept| kept.info().value(&kept.value)));

    let mut outer = Builder::new("o_");
    let count = outer.node("Shape", &["segments"], [("start", Attr::Int(0)), ("end", Attr::Int(1))]);
    outer.named_node("Squeeze", &[&count], &["count"], []);
    let zero = outer.fresh("zero");
    outer.constants.push(crate::tensor::ints(&zero, &[], &[0]));
    let none = outer.fresh("none");
    outer.constants.push(crate::tensor::floats(&none, &[0], &[]));
    let mut inputs = vec!["count".to_owned(), "always".to_owned()];
    inputs.extend(step.carried.iter().map(|c| c.ports.0.clone()));
    inputs.push(zero);
    inputs.extend(step.numbers.iter().map(|_| none.clone()));
    let mut outputs: Vec<String> = step.carried.iter().map(|c| c.ports.1.clone()).collect();
    outputs.push("steps_done".to_owned());
    outputs.extend(step.numbers.iter().map(|(name, _)| (*name).to_owned()));
    outputs.extend(step.records.iter().map(Kept::looped));
    add_loop(&mut outer, &inputs, &outputs, segment);
    finish(model, settings, step, outer)
}

/// The step as a loop's body with its condition and carried values.
fn body(step: &Step, iteration: &str, go_on: &str) -> GraphProto {
    let mut b = Builder::new("b_");
    let result = b.node("Identity", &[step.go_on.as_deref().unwrap_or(go_on)], []);
    let mut body = GraphProto {
        name: Some("step".to_owned()),
        node: step.nodes.clone(),
        initializer: step.constants.clone(),
        input: vec![scalar(DataType::Int64).value(iteration), scalar(DataType::Bool).value(go_on)],
        output: vec![scalar(DataType::Bool).value(&result)],
        ..GraphProto::default()
    };
    body.node.extend(b.nodes);
    let value = |c: &Carried, name: &str| c.info.value(name);
    body.input.extend(step.carried.iter().map(|c| value(c, &c.inner)));
    body.output.extend(step.carried.iter().map(|c| value(c, &c.new)));
    body
}

fn add_loop(b: &mut Builder, inputs: &[String], outputs: &[String], body: GraphProto) {
    let from: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let to: Vec<&str> = outputs.iter().map(String::as_str).collect();
    b.named_node("Loop", &from, &to, [("body", Attr::Graph(Box::new(body)))]);
}

/// Puts `prefix` before every name of a graph but those of `outer`: names of nested graphs must differ.
fn prefix(graph: &mut GraphProto, prefix: &str, outer: &HashSet<&str>) {
    let mut rename = |name: &mut String| {
        if !name.is_empty() && !outer.contains(name.as_str()) {
            name.insert_str(0, prefix);
        }
    };
    for node in &mut graph.node {
        inner::rename(node, &mut rename);
        node.name.iter_mut().for_each(&mut rename);
    }
    let values = graph.input.iter_mut().chain(&mut graph.output).filter_map(|v| v.name.as_mut());
    values.chain(graph.initializer.iter_mut().filter_map(|t| t.name.as_mut())).for_each(rename);
}

/// Gives the graph its inputs and outputs.
fn finish(model: &Model, settings: &Settings, step: Step, mut outer: Builder) -> Result<Training> {
    step.records.iter().for_each(|kept| kept.behind(&mut outer));
    let mut inputs: Vec<ValueInfoProto> = step.carried.iter().map(|c| c.info.value(&c.ports.0)).collect();
    let mut outputs: Vec<ValueInfoProto> = step.carried.iter().map(|c| c.info.value(&c.ports.1)).collect();
    inputs.push(step.data.value("data"));
    inputs.extend(step.target.as_ref().map(|t| t.value("target")));
    if !settings.whole {
        let order = vec![Dim::Name("K".to_owned()), Dim::Size(settings.batch as i64)];
        inputs.push(Info::new(DataType::Int64, order).value("order"));
    }
    inputs.push(list(DataType::Float, "K").value("learning_rate"));
    for (name, _) in settings.optimizer.scalars(1) {
        inputs.push(list(DataType::Float, "K").value(name));
    }
    if let Some(record) = &settings.record {
        let elements = record::size(&step.states[..step.trained])?;
        inputs.extend(record.inputs(elements).iter().map(|(name, info)| info.value(name)));
    }
    outputs.extend(step.numbers.iter().map(|(name, _)| list(DataType::Float, "steps_run").value(name)));
    for Kept { recorded, .. } in &step.records {
        let mut dims = vec![Dim::Name("R".to_owned())];
        dims.extend(recorded.info().dims.into_iter().flatten());
        outputs.push(Info::new(DataType::Float, dims).value(&recorded.output()));
    }
    let name = model.graph()?.name.clone();
    let mut initializer = vec![flag("always", true)];
    initializer.extend(outer.constants);
    let graph = GraphProto {
        name: Some(format!("train_{}", name.as_deref().unwrap_or("model"))),
        node: outer.nodes,
        initializer,
        input: inputs,
        output: outputs,
        ..GraphProto::default()
    };
    Ok(Training {
        model: Model::new(graph),
        states: step.states,
        trained: step.trained,
        work: step.work,
        recorded: step.records.into_iter().map(|kept| kept.recorded).collect(),
    })
}
