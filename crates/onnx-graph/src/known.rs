//! Small values that are known before anything runs: constants, and what exporters compute from shapes.
//!
//! Exporters write `Reshape(x, Concat(Gather(Shape(x), 0), [-1]))` where they mean "keep the batch". The
//! nodes of such chains are evaluated by the reference while shapes are inferred. A symbolic size takes
//! part as a number that no shape can hold, so that ops that only move elements carry it along.

use std::collections::HashMap;

use crate::model::int_attribute;
use crate::proto::{NodeProto, TensorProto};
use crate::reference::{Value, evaluate_node};
use crate::shape::{Dim, Info};
use crate::tensor::{DataType, elements};

/// Values of more elements are not followed.
const MOST: usize = 4096;
/// Symbols are numbered downwards from here: far from any size, and exact in float64.
const FIRST: f64 = -4_503_599_627_370_496.0;
const SYMBOLS: f64 = 1_048_576.0;

/// Ops that move elements without computing with them.
const MOVES: &[&str] = &[
    "Cast",
    "Concat",
    "Equal",
    "Expand",
    "Flatten",
    "Gather",
    "Identity",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
    "Where",
];

/// Known values by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    values: HashMap<String, Value>,
    symbols: Vec<Dim>,
}

impl Known {
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    pub(crate) fn insert(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    /// A value that is known to the last number.
    pub(crate) fn whole(&self, name: &str) -> Option<Value> {
        self.get(name).filter(|v| v.data.iter().all(|n| !Known::is_symbol(*n))).cloned()
    }

    /// The sizes that a value lists, symbolic ones too.
    pub(crate) fn sizes(&self, name: &str) -> Option<Vec<Dim>> {
        Some(self.get(name)?.data.iter().map(|v| self.size(*v)).collect())
    }

    /// A constant of the graph, if it is small and of a type that is followed.
    pub(crate) fn constant(&mut self, name: &str, tensor: &TensorProto) {
        if elements(&tensor.dims).is_ok_and(|n| n <= MOST)
            && let Ok(value) = Value::of(tensor)
        {
            self.insert(name, value);
        }
    }

    /// Whether a number stands for a symbolic size.
    pub(crate) fn is_symbol(number: f64) -> bool {
        number <= FIRST && number > FIRST - SYMBOLS
    }

    /// The size that a number stands for.
    pub(crate) fn size(&self, number: f64) -> Dim {
        if Known::is_symbol(number) {
            self.symbols.get((FIRST - number) as usize).cloned().unwrap_or(Dim::Unknown)
        } else {
            Dim::Size(number as i64)
        }
    }

    fn number(&mut self, dim: &Dim) -> Option<f64> {
        if let Dim::Size(size) = dim {
            return Some(*size as f64);
        }
        // Two unknown sizes are not the same one.
        let same = |d: &Dim| *dim != Dim::Unknown && d == dim;
        let index = self.symbols.iter().position(same).unwrap_or(self.symbols.len());
        if index == self.symbols.len() {
            self.symbols.push(dim.clone());
        }
        ((index as f64) < SYMBOLS).then_some(FIRST - index as f64)
    }

    /// The values of a node's outputs, as far as they are known. `first` are the dimensions of its first
    /// input, `outputs` its inferred outputs.
    pub(crate) fn values(&mut self, node: &NodeProto, first: Option<&[Dim]>, outputs: &[Info]) -> Vec<Value> {
        let values = match (node.op_type.as_deref(), first) {
            (Some("Shape"), Some(dims)) => self.shape(node, dims).map(|v| vec![v]),
            (Some("Size"), Some(dims)) => size(dims).map(|v| vec![v]),
            _ => self.evaluated(node, outputs),
        };
        values.unwrap_or_default()
    }

    fn shape(&mut self, node: &NodeProto, dims: &[Dim]) -> Option<Value> {
        let rank = dims.len() as i64;
        let place = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
        let (start, end) = (place(int_attribute(node, "start", 0)), place(int_attribute(node, "end", rank)));
        let part = dims.iter().take(end).skip(start);
        let numbers: Vec<f64> = part.map(|d| self.number(d)).collect::<Option<_>>()?;
        Value::new(DataType::Int64, &[numbers.len()], numbers).ok()
    }

    fn evaluated(&self, node: &NodeProto, outputs: &[Info]) -> Option<Vec<Value>> {
        let small = |info: &Info| {
            let sizes = info.dims.iter().flatten().map(|d| d.size().unwrap_or(-1));
            info.dims.is_some() && elements(&sizes.collect::<Vec<i64>>()).is_ok_and(|n| n <= MOST)
        };
        if !outputs.iter().all(small) || outputs.is_empty() || node.attribute.iter().any(|a| a.g.is_some()) {
            return None;
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(if name.is_empty() { None } else { Some(self.values.get(name)?) });
        }
        let symbolic = inputs.iter().flatten().any(|v| v.data.iter().any(|n| Known::is_symbol(*n)));
        let moves = MOVES.contains(&node.op_type.as_deref().unwrap_or(""))
            && outputs.iter().all(|o| matches!(o.ty, DataType::Int64 | DataType::Bool));
        if symbolic && !moves {
            return None;
        }
        let mut values = evaluate_node(node, inputs).ok()?;
        // What the runtime rounds to float32 is rounded here: `Floor` of a product of sizes tells them apart.
        for value in values.iter_mut().filter(|v| v.ty == DataType::Float) {
            value.data.iter_mut().for_each(|v| *v = f64::from(*v as f32));
        }
        Some(values)
    }
}

fn size(dims: &[Dim]) -> Option<Value> {
    let sizes: Option<Vec<i64>> = dims.iter().map(Dim::size).collect();
    Value::new(DataType::Int64, &[], vec![elements(&sizes?).ok()? as f64]).ok()
}

/// What is known of the inputs of one node.
pub struct Values<'a> {
    values: Vec<Option<&'a Value>>,
    known: &'a Known,
}

impl<'a> Values<'a> {
    /// Those of `node`.
    pub(crate) fn of(node: &NodeProto, known: &'a Known) -> Self {
        Values { values: node.input.iter().map(|name| known.get(name)).collect(), known }
    }

    /// The numbers of input `i`, if all are known.
    pub fn numbers(&self, i: usize) -> Option<&'a [f64]> {
        let value = self.values.get(i).copied().flatten()?;
        value.data.iter().all(|v| !Known::is_symbol(*v)).then_some(&value.data[..])
    }

    /// As [`Values::numbers`], of an input of integers.
    pub fn ints(&self, i: usize) -> Option<Vec<i64>> {
        Some(self.numbers(i)?.iter().map(|v| *v as i64).collect())
    }

    /// The sizes that the integers of input `i` stand for, symbolic ones too.
    pub fn sizes(&self, i: usize) -> Option<Vec<Dim>> {
        let value = self.values.get(i).copied().flatten()?;
        Some(value.data.iter().map(|v| self.known.size(*v)).collect())
    }
}
