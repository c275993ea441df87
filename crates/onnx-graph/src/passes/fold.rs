//! The constants of a graph, and what can be computed from constants alone.

use std::collections::HashMap;

use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::reference::{MAX_VALUES, Value, evaluate};
use crate::tensor::{constant_of, elements};

/// All folded constants together may have so many elements; a few bytes must not become gigabytes.
const MOST_FOLDED: usize = 1 << 26;

/// Constants by name.
#[derive(Default)]
pub(super) struct Constants {
    pub(super) tensors: HashMap<String, TensorProto>,
    /// The order in which constants were met, so that equal graphs give equal files.
    pub(super) order: Vec<String>,
    folded: usize,
}

impl Constants {
    /// Notes a constant.
    pub(super) fn insert(&mut self, name: &str, tensor: TensorProto) {
        if self
            .tensors
            .insert(name.to_owned(), TensorProto { name: Some(name.to_owned()), ..tensor })
            .is_none()
        {
            self.order.push(name.to_owned());
        }
    }

    /// Computes the node's outputs if they depend on constants alone; true if it is not needed any more.
    pub(super) fn fold(&mut self, node: &NodeProto) -> bool {
        let op = node.op_type.as_deref().unwrap_or("");
        if op == "Constant" {
            if let ([name], Some(tensor)) = (&node.output[..], crate::ops::constant_tensor(node)) {
                self.insert(name, tensor);
                return true;
            }
            return false;
        }
        let given: Option<Vec<&TensorProto>> =
            node.input.iter().filter(|i| !i.is_empty()).map(|i| self.tensors.get(i)).collect();
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
}

/// A value as a constant of a graph, where its type can be written.
pub(super) fn tensor(name: &str, value: &Value) -> Option<TensorProto> {
    let dims: Vec<i64> = value.dims.iter().map(|d| *d as i64).collect();
    constant_of(name, value.ty, &dims, &value.data).ok()
}
