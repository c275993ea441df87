//! `Tanh`. Gradient dy · (1 − y²).

use super::{Gradient, Op, same};
use crate::error::Result;
use crate::proto::NodeProto;
use crate::shape::Info;

/// tanh(x).
pub struct Tanh;

impl Op for Tanh {
    fn name(&self) -> &'static str {
        "Tanh"
    }

    fn infer(
        &self,
        _node: &NodeProto,
        inputs: &[Info],
        _constant: &dyn Fn(usize) -> Option<Vec<i64>>,
    ) -> Result<Vec<Info>> {
        same(inputs)
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let y = g.y();
        let one = g.b.float(1.0);
        let square = g.b.node("Mul", &[&y, &y], []);
        let slope = g.b.node("Sub", &[&one, &square], []);
        Ok(vec![Some(g.b.node("Mul", &[g.dy, &slope], []))])
    }
}
