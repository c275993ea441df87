//! `Sigmoid`. Gradient dy · y · (1 − y).

use super::{Gradient, Op};
use crate::error::Result;

/// 1 / (1 + exp(−x)).
pub struct Sigmoid;

impl Op for Sigmoid {
    fn name(&self) -> &'static str {
        "Sigmoid"
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let y = g.y();
        let one = g.b.float(1.0);
        let rest = g.b.node("Sub", &[&one, &y], []);
        let slope = g.b.node("Mul", &[&y, &rest], []);
        Ok(vec![Some(g.b.node("Mul", &[g.dy, &slope], []))])
    }
}
