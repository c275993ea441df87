//! `Sigmoid`. Gradient dy · y · (1 − y).

use super::{Gradient, Op, same};
use crate::error::Result;
use crate::proto::NodeProto;
use crate::shape::Info;

/// 1 / (1 + exp(−x)).
pub struct Sigmoid;

impl Op for Sigmoid {
    fn name(&self) -> &'static str {
        "Sigmoid"
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
        let rest = g.b.node("Sub", &[&one, &y], []);
        let slope = g.b.node("Mul", &[&y, &rest], []);
        Ok(vec![Some(g.b.node("Mul", &[g.dy, &slope], []))])
    }
}
