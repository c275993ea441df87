//! Nodes of older operator sets written as this crate's set has them.

use super::learn::plain;
use crate::build::{Attr, Builder};
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute, ints_attribute, node_label};
use crate::proto::NodeProto;
use crate::shape::{Dim, Infos};
use crate::tensor::{flag, floats};

/// The oldest operator set that is understood, and the newest: from 22 on, the supported ops gained element
/// types only.
pub(super) const KNOWN: std::ops::RangeInclusive<i64> = 7..=24;

/// Rewrites a node of operator set `version`; new nodes and constants go to `b`.
pub(super) fn raise(node: &NodeProto, version: i64, infos: &Infos, b: &mut Builder) -> Result<()> {
    if node.domain.as_deref() == Some("ai.onnx.ml") && plain(node, b)? {
        return Ok(());
    }
    let mut node = node.clone();
    let op = node.op_type.clone().unwrap_or_default();
    match op.as_str() {
        "Softmax" | "LogSoftmax" if version < 13 => return softmax(node, &op, infos, b),
        "ReduceSum" | "Squeeze" | "Unsqueeze" if version < 13 => attribute_to_input(&mut node, "axes", 1, b),
        "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
        | "ReduceLogSum" | "ReduceLogSumExp" | "ReduceSumSquare"
            if version < 18 =>
        {
            attribute_to_input(&mut node, "axes", 1, b);
        }
        "Split" if version < 18 => {
            attribute_to_input(&mut node, "split", 1, b);
            if node.input.len() < 2 {
                let count = node.output.len() as i64;
                node.attribute.push(Attr::Int(count).named("num_outputs"));
            }
        }
        "Clip" if version < 11 => {
            float_to_input(&mut node, "min", 1, b);
            float_to_input(&mut node, "max", 2, b);
        }
        "Pad" if version < 11 => {
            attribute_to_input(&mut node, "pads", 1, b);
            float_to_input(&mut node, "value", 2, b);
        }
        "Slice" if version < 10 => {
            for (i, name) in ["starts", "ends", "axes"].into_iter().enumerate() {
                attribute_to_input(&mut node, name, i + 1, b);
            }
        }
        "Dropout" if node.input.get(2).is_none_or(String::is_empty) => return dropout(&node, version, b),
        "BatchNormalization" if version < 14 => {
            node.output.truncate(1);
            node.attribute.retain(|a| a.name.as_deref() != Some("spatial"));
        }
        // The other value gives its type only, and must not stand between a constant and its use.
        "CastLike" => {
            let like = node.input.get(1).and_then(|name| infos.get(name)).map_or(0, |info| info.ty.code());
            if like != 0 {
                node.op_type = Some("Cast".to_owned());
                node.input.truncate(1);
                node.attribute.push(Attr::Int(i64::from(like)).named("to"));
            }
        }
        "GroupNormalization" if version < 21 => group_norm(&mut node, infos, b)?,
        // Until set 10 pixels were taken as points at their corners.
        "Upsample" | "Resize" if version < 11 => {
            let (x, scales) = (node.input.first().cloned(), node.input.get(1).cloned());
            let (Some(x), Some(scales)) = (x, scales) else {
                return Err(Error::new(format!("{}: its scales are no input", node_label(&node))));
            };
            node.op_type = Some("Resize".to_owned());
            node.input = vec![x, String::new(), scales];
            node.attribute.push(Attr::Text("asymmetric").named("coordinate_transformation_mode"));
            node.attribute.push(Attr::Text("floor").named("nearest_mode"));
        }
        _ => {}
    }
    b.nodes.push(node);
    Ok(())
}

/// Puts `name` at input `i`; inputs left out before it get empty names.
fn set_input(node: &mut NodeProto, i: usize, name: String) {
    while node.input.len() <= i {
        node.input.push(String::new());
    }
    node.input[i] = name;
}

fn attribute_to_input(node: &mut NodeProto, name: &str, i: usize, b: &mut Builder) {
    if let Some(values) = ints_attribute(node, name) {
        node.attribute.retain(|a| a.name.as_deref() != Some(name));
        set_input(node, i, b.ints(&values));
    }
}

fn float_to_input(node: &mut NodeProto, name: &str, i: usize, b: &mut Builder) {
    if let Some(value) = attribute(node, name).and_then(|a| a.f) {
        node.attribute.retain(|a| a.name.as_deref() != Some(name));
        let constant = b.fresh(name);
        b.constants.push(floats(&constant, &[], &[value]));
        set_input(node, i, constant);
    }
}

/// Before set 21, scale and bias were those of groups: each is repeated for the group's channels.
fn group_norm(node: &mut NodeProto, infos: &Infos, b: &mut Builder) -> Result<()> {
    let x = node.input.first().and_then(|x| infos.get(x)).and_then(|i| i.dims.as_ref()?.get(1).cloned());
    let (Some(Dim::Size(channels)), groups @ 1.., [_, _, _]) =
        (x, int_attribute(node, "num_groups", 0), &node.input[..])
    else {
        return Err(Error::new(format!("{}: its channels are not known", node_label(node))));
    };
    let (column, wide, flat) = (b.ints(&[groups, 1]), b.ints(&[groups, channels / groups]), b.ints(&[-1]));
    for i in [1, 2] {
        let apart = b.node("Reshape", &[&node.input[i], &column], []);
        let repeated = b.node("Expand", &[&apart, &wide], []);
        node.input[i] = b.node("Reshape", &[&repeated, &flat], []);
    }
    Ok(())
}

/// At rest `Dropout` passes its input on, and its mask, which hardly anything reads, keeps all.
fn dropout(node: &NodeProto, version: i64, b: &mut Builder) -> Result<()> {
    let (Some(x), Some(y)) = (node.input.first(), node.output.first()) else {
        return Err(Error::new(format!("{}: it has no input or no output", node_label(node))));
    };
    let passed = NodeProto {
        op_type: Some("Identity".to_owned()),
        input: vec![x.clone()],
        output: vec![y.clone()],
        ..node.clone()
    };
    b.nodes.push(NodeProto { attribute: Vec::new(), ..passed });
    if let Some(mask) = node.output.get(1).filter(|name| !name.is_empty()) {
        let kept = b.fresh("kept");
        // Until set 9 a mask had the type of the input.
        b.constants.push(if version < 10 { floats(&kept, &[], &[1.0]) } else { flag(&kept, true) });
        let shape = b.node("Shape", &[x], []);
        b.named_node("Expand", &[&kept, &shape], &[mask], []);
    }
    Ok(())
}

/// Before set 13, all axes from `axis` (by default 1) on were taken together.
fn softmax(mut node: NodeProto, op: &str, infos: &Infos, b: &mut Builder) -> Result<()> {
    let axis = int_attribute(&node, "axis", 1);
    let (x, y) = (node.input.first().cloned().unwrap_or_default(), node.output.first().cloned());
    let rank = infos.get(&x).and_then(|i| i.dims.as_ref()).map(|d| d.len() as i64);
    node.attribute.retain(|a| a.name.as_deref() != Some("axis"));
    if axis == -1 || rank.is_some_and(|r| axis == r - 1) {
        node.attribute.push(Attr::Int(-1).named("axis"));
        b.nodes.push(node);
        return Ok(());
    }
    let (Some(y), Some(_)) = (y, rank) else {
        return Err(Error::new(format!(
            "{}: the number of axes of its input is not known",
            node_label(&node)
        )));
    };
    let shape = b.node("Shape", &[&x], []);
    let flat = b.node("Flatten", &[&x], [("axis", Attr::Int(axis))]);
    let made = b.node(op, &[&flat], [("axis", Attr::Int(-1))]);
    b.named_node("Reshape", &[&made, &shape], &[&y], []);
    Ok(())
}
