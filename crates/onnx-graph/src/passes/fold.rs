//! What is known of a value before the graph runs: a constant, or a list of sizes of which some are open.

use std::collections::HashMap;

use crate::model::int_attribute;
use crate::ops::{Site, shape_range};
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::reference::{MAX_VALUES, Value, evaluate};
use crate::shape::{Dim, Infos};
use crate::tensor::{DataType, elements};

/// All folded constants together may have so many elements; a few bytes must not become gigabytes.
const MOST_FOLDED: usize = 1 << 26;

/// Constants by name, and lists of sizes.
#[derive(Default)]
pub(super) struct Known {
    pub(super) constants: HashMap<String, TensorProto>,
    /// The order in which constants were met, so that equal graphs give equal files.
    pub(super) order: Vec<String>,
    sizes: HashMap<String, Vec<Dim>>,
    folded: usize,
}

impl Known {
    /// Notes a constant.
    pub(super) fn insert(&mut self, name: &str, tensor: TensorProto) {
        if self
            .constants
            .insert(name.to_owned(), TensorProto { name: Some(name.to_owned()), ..tensor })
            .is_none()
        {
            self.order.push(name.to_owned());
        }
    }

    /// The values of a short int64 constant.
    pub(super) fn ints(&self, name: &str) -> Option<Vec<i64>> {
        crate::tensor::read_ints(self.constants.get(name)?).ok()
    }

    /// The sizes that `name` lists, if that is known.
    pub(super) fn sizes(&self, name: &str) -> Option<Vec<Dim>> {
        let open = || self.sizes.get(name).cloned();
        self.ints(name).map(|v| v.into_iter().map(Dim::Size).collect()).or_else(open)
    }

    /// Computes the node's outputs if they depend on constants alone; true if it is not needed any more.
    pub(super) fn constant(&mut self, node: &NodeProto) -> bool {
        let op = node.op_type.as_deref().unwrap_or("");
        if op == "Constant" {
            if let ([name], Some(tensor)) = (&node.output[..], crate::ops::constant_tensor(node)) {
                self.insert(name, tensor);
                return true;
            }
            return false;
        }
        let given: Option<Vec<&TensorProto>> =
            node.input.iter().filter(|i| !i.is_empty()).map(|i| self.constants.get(i)).collect();
        let Some(given) = given.filter(|g| !g.is_empty()) else { return false };
        if let ("Identity", [tensor], [name]) = (op, &given[..], &node.output[..]) {
            let tensor = (*tensor).clone();
            self.insert(name, tensor);
            return true;
        }
        let total = given.iter().try_fold(0usize, |n, t| n.checked_add(elements(&t.dims).ok()?));
        if total.is_none_or(|n| n > MAX_VALUES) || !node.attribute.iter().all(|a| a.g.is_none()) {
            return false;
        }
        let graph = GraphProto {
            node: vec![node.clone()],
            initializer: given.into_iter().cloned().collect(),
            ..GraphProto::default()
        };
        let Ok(mut values) = evaluate(&graph, &[]) else { return false };
        let made: Option<Vec<(String, TensorProto)>> =
            node.output.iter().map(|y| Some((y.clone(), tensor(y, &values.remove(y)?)?))).collect();
        let Some(made) = made else { return false };
        let size: usize = made.iter().filter_map(|(_, t)| elements(&t.dims).ok()).sum();
        if self.folded.saturating_add(size) > MOST_FOLDED {
            return false;
        }
        self.folded += size;
        made.into_iter().for_each(|(name, tensor)| self.insert(&name, tensor));
        true
    }

    /// Notes the sizes that a node lists: `Shape`, and what exporters do with its result. True if all
    /// are known, so that the node is not needed any more.
    pub(super) fn listed(&mut self, node: &NodeProto, infos: &Infos) -> bool {
        let Some(sizes) = self.list(node, infos) else { return false };
        let Some(name) = node.output.first() else { return false };
        let known: Option<Vec<i64>> =
            sizes.iter().map(|d| if let Dim::Size(s) = d { Some(*s) } else { None }).collect();
        let scalar = infos.get(name).and_then(|i| i.dims.as_ref()).is_some_and(Vec::is_empty);
        match known {
            Some(known) if scalar || known.len() == 1 || !known.is_empty() => {
                let dims = if scalar { Vec::new() } else { vec![known.len() as i64] };
                self.insert(name, crate::tensor::ints(name, &dims, &known));
                true
            }
            _ => {
                self.sizes.insert(name.clone(), sizes);
                false
            }
        }
    }

    fn list(&self, node: &NodeProto, infos: &Infos) -> Option<Vec<Dim>> {
        let input = |i: usize| node.input.get(i);
        let first = || self.sizes(input(0)?);
        match node.op_type.as_deref()? {
            "Shape" => {
                let dims = infos.get(input(0)?)?.dims.clone()?;
                let site = Site { node, inputs: &[], constant: &|_| None };
                let (start, end) = shape_range(&site, dims.len());
                Some(dims.get(start..end.max(start))?.to_vec())
            }
            "Gather" if int_attribute(node, "axis", 0) == 0 => {
                let from = first()?;
                let place = |i: &i64| usize::try_from(if *i < 0 { i + from.len() as i64 } else { *i }).ok();
                self.ints(input(1)?)?.iter().map(|i| from.get(place(i)?).cloned()).collect()
            }
            "Slice" => {
                let (from, starts, ends) = (first()?, self.ints(input(1)?)?, self.ints(input(2)?)?);
                let steps = input(4).map_or(Some(vec![1]), |name| self.ints(name))?;
                let n = from.len() as i64;
                let place = |v: i64| (if v < 0 { v.saturating_add(n) } else { v }).clamp(0, n) as usize;
                match (&starts[..], &ends[..], &steps[..]) {
                    ([start], [end], [1]) => {
                        Some(from.get(place(*start)..place(*end).max(place(*start)))?.to_vec())
                    }
                    _ => None,
                }
            }
            "Concat" => {
                let parts: Option<Vec<Vec<Dim>>> = node.input.iter().map(|i| self.sizes(i)).collect();
                Some(parts?.concat())
            }
            "Unsqueeze" | "Squeeze" | "Identity" => first(),
            "Cast" if int_attribute(node, "to", 0) == 7 => first(),
            _ => None,
        }
    }
}

/// A value as a constant of a graph, where its type can be written.
fn tensor(name: &str, value: &Value) -> Option<TensorProto> {
    let dims: Vec<i64> = value.dims.iter().map(|d| *d as i64).collect();
    let bytes = |each: &dyn Fn(f64) -> Vec<u8>| value.data.iter().flat_map(|v| each(*v)).collect::<Vec<u8>>();
    let raw = match value.ty {
        DataType::Float => bytes(&|v| (v as f32).to_le_bytes().to_vec()),
        DataType::Int64 => bytes(&|v| (v as i64).to_le_bytes().to_vec()),
        DataType::Bool => bytes(&|v| vec![u8::from(v != 0.0)]),
        DataType::Double => bytes(&|v| v.to_le_bytes().to_vec()),
        DataType::Other(6) => bytes(&|v| (v as i32).to_le_bytes().to_vec()),
        DataType::Other(_) => return None,
    };
    Some(TensorProto {
        dims,
        data_type: Some(value.ty.code()),
        name: Some(name.to_owned()),
        raw_data: Some(raw),
        ..TensorProto::default()
    })
}
