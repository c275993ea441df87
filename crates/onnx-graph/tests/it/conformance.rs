//! The node tests of the ONNX standard, against `tests/golden/onnx_node_tests.txt`: the cases whose inferred
//! types and shapes and whose evaluated values are those that the standard's tests give.
//!
//! The cases are data of the Python package `onnx` (1.17.0: up to operator set 22), which is not stored here:
//! `pip install onnx==1.17.0`, then `SULCUS_ONNX_NODE_TESTS=…/onnx/backend/test/data/node cargo test
//! conformance` runs all of them and compares with the list; `SULCUS_WRITE=1` writes it anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use onnx_graph::model::Model;
use onnx_graph::ops::OPS;
use onnx_graph::passes::normal;
use onnx_graph::proto::{GraphProto, TensorProto};
use onnx_graph::reference::{Value, evaluate};
use onnx_graph::shape::{Dim, Info, infer};
use onnx_graph::tensor::DataType;
use prost::Message;

fn list() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/onnx_node_tests.txt")
}

/// The listed cases by op.
fn listed() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(list()).unwrap();
    let lines = text.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let case = |line: &str| {
        let (op, cases) = line.split_once(": ").unwrap();
        (op.to_owned(), cases.split(' ').map(str::to_owned).collect())
    };
    lines.map(case).collect()
}

/// `input_0.pb`, `input_1.pb`, … of a folder.
fn tensors(folder: &Path, kind: &str) -> Option<Vec<TensorProto>> {
    let path = |i: usize| folder.join(format!("{kind}_{i}.pb"));
    let read = |path: PathBuf| TensorProto::decode(&*std::fs::read(path).unwrap()).ok();
    (0..).map(path).take_while(|p| p.exists()).map(read).collect()
}

/// Runs a case; the error says what is wrong with it.
fn run(folder: &Path) -> Result<(), String> {
    let mut model =
        Model::read(&std::fs::read(folder.join("model.onnx")).unwrap()).map_err(|e| e.to_string())?;
    let graph = model.0.graph.as_mut().unwrap();
    let data = folder.join("test_data_set_0");
    let inputs = tensors(&data, "input").ok_or("its inputs are no tensors")?;
    let wanted = tensors(&data, "output").ok_or("its outputs are no tensors")?;
    let names: Vec<String> = graph.input.iter().filter_map(|v| v.name.clone()).collect();
    let mut feed = Vec::new();
    for (i, (name, tensor)) in names.iter().zip(&inputs).enumerate() {
        let ty = DataType::from_code(tensor.data_type.unwrap_or(0));
        // Axes, shapes and the like come as inputs there; in models they are constants.
        let resize = graph.node.len() == 1 && graph.node[0].op_type.as_deref() == Some("Resize");
        if i > 0 && (resize || !ty.is_float() && ty != DataType::Bool) {
            graph.input.retain(|v| v.name.as_ref() != Some(name));
            graph.initializer.push(TensorProto { name: Some(name.clone()), ..tensor.clone() });
        } else {
            feed.push((name.as_str(), Value::of(tensor).map_err(|e| e.to_string())?));
        }
    }
    let model = normal(&model).map_err(|e| e.to_string())?;
    let graph = model.graph().map_err(|e| e.to_string())?;
    check(graph, &feed, &wanted)
}

fn check(graph: &GraphProto, feed: &[(&str, Value)], wanted: &[TensorProto]) -> Result<(), String> {
    // Without what the file says of its outputs, which would stand in for what is not inferred.
    let mut silent = graph.clone();
    silent.output.iter_mut().for_each(|v| v.r#type = None);
    let infos = infer(&silent).map_err(|e| e.to_string())?;
    let values = evaluate(graph, feed).map_err(|e| e.to_string())?;
    for (value, wanted) in graph.output.iter().zip(wanted) {
        let name = value.name.as_deref().unwrap_or("");
        let tensor = Value::of(wanted).map_err(|e| e.to_string())?;
        let found = values.get(name).ok_or_else(|| format!("`{name}` is not made"))?;
        let info = infos.get(name).ok_or_else(|| format!("`{name}` is not inferred"))?;
        if info.ty != tensor.ty || !fits(info, &tensor.dims) {
            return Err(format!("`{name}` is inferred as {info:?}, not {:?} {:?}", tensor.ty, tensor.dims));
        }
        if found.dims != tensor.dims {
            return Err(format!("`{name}` is made as {:?}, not {:?}", found.dims, tensor.dims));
        }
        let (relative, absolute) = match tensor.ty.code() {
            10 | 16 => (1e-2, 1e-3),
            _ => (1e-4, 1e-6),
        };
        let same = |(a, b): (&f64, &f64)| {
            (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= absolute + relative * b.abs()
        };
        if let Some(i) = found.data.iter().zip(&tensor.data).position(|pair| !same(pair)) {
            return Err(format!("`{name}` at {i} is {}, not {}", found.data[i], tensor.data[i]));
        }
    }
    Ok(())
}

/// Does an inferred shape allow `dims`? A rank must be known.
fn fits(info: &Info, dims: &[usize]) -> bool {
    info.dims.as_ref().is_some_and(|own| {
        let same = |(d, size): (&Dim, &usize)| !matches!(d, Dim::Size(s) if *s != *size as i64);
        own.len() == dims.len() && own.iter().zip(dims).all(same)
    })
}

/// The op that a case is about, if this crate supports it.
fn op(folder: &Path) -> Option<String> {
    let model = Model::read(&std::fs::read(folder.join("model.onnx")).ok()?).ok()?;
    let [node] = &model.graph().ok()?.node[..] else { return None };
    let op = node.op_type.clone().unwrap_or_default();
    OPS.iter().any(|known| known.name() == op).then_some(op)
}

#[test]
fn conformance_to_the_standards_node_tests() {
    let Some(folder) = std::env::var_os("SULCUS_ONNX_NODE_TESTS").map(PathBuf::from) else {
        eprintln!("skipped: SULCUS_ONNX_NODE_TESTS names no folder (see tests/it/conformance.rs)");
        return;
    };
    let mut passing: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut others = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().trim_start_matches("test_").to_owned();
        let Some(op) = op(&path) else { continue };
        match run(&path) {
            Ok(()) => drop(passing.entry(op).or_default().insert(name)),
            Err(why) => others.push(format!("{op} {name}: {why}")),
        }
    }
    others.sort();
    println!("{} cases pass, {} do not:", passing.values().map(BTreeSet::len).sum::<usize>(), others.len());
    others.iter().for_each(|line| println!("{line}"));
    if std::env::var_os("SULCUS_WRITE").is_some() {
        let head = "# Cases of the ONNX standard's node tests (package onnx 1.17.0) whose shapes and values are\n\
                    # right, by op. Written by `tests/it/conformance.rs` of onnx-graph, which says how.\n";
        let line = |(op, cases): (&String, &BTreeSet<String>)| {
            format!("{op}: {}\n", cases.iter().cloned().collect::<Vec<_>>().join(" "))
        };
        std::fs::write(list(), head.to_owned() + &passing.iter().map(line).collect::<String>()).unwrap();
    }
    assert_eq!(passing, listed(), "the list is not what passes: write it anew (see above)");
}

#[test]
fn conformance_covers_every_op_that_the_standard_tests() {
    // Its cases are of operator set 1.
    let untested = ["Not"];
    let listed = listed();
    for op in OPS.iter().map(|op| op.name()).filter(|op| !untested.contains(op)) {
        assert!(listed.contains_key(op), "no case of {op} is listed");
    }
}
