//! `Softmax` and `LogSoftmax` along one axis (operator set 13 on: that axis alone).

use super::{Gradient, Op, axis};
use crate::build::Attr;
use crate::error::Result;
use crate::model::int_attribute;

fn summed(g: &mut Gradient, value: &str) -> Result<String> {
    let rank = g.inputs[0].rank("its input")?.len();
    let axis = axis(int_attribute(g.node, "axis", -1), rank)? as i64;
    let axes = g.b.ints(&[axis]);
    Ok(g.b.node("ReduceSum", &[value, &axes], [("keepdims", Attr::Int(1))]))
}

/// exp(x) / Σ exp(x).
pub struct Softmax;

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "Softmax"
    }

    // dx = y · (dy − Σ dy·y)
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let y = g.y();
        let weighted = g.b.node("Mul", &[g.dy, &y], []);
        let total = summed(g, &weighted)?;
        let centred = g.b.node("Sub", &[g.dy, &total], []);
        Ok(vec![Some(g.b.node("Mul", &[&y, &centred], []))])
    }
}

/// x − log Σ exp(x).
pub struct LogSoftmax;

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "LogSoftmax"
    }

    // dx = dy − exp(y) · Σ dy
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let y = g.y();
        let dy = g.dy.to_owned();
        let total = summed(g, &dy)?;
        let softmax = g.b.node("Exp", &[&y], []);
        let share = g.b.node("Mul", &[&softmax, &total], []);
        Ok(vec![Some(g.b.node("Sub", &[g.dy, &share], []))])
    }
}
