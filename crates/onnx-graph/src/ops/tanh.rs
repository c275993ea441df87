//! `Tanh`. Gradient dy · (1 − y²).

use super::{Gradient, Op};
use crate::error::Result;

/// tanh(x).
pub struct Tanh;

impl Op for Tanh {
    fn name(&self) -> &'static str {
        "Tanh"
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let y = g.y();
        let one = g.b.float(1.0);
        let square = g.b.node("Mul", &[&y, &y], []);
        let slope = g.b.node("Sub", &[&one, &square], []);
        Ok(vec![Some(g.b.node("Mul", &[g.dy, &slope], []))])
    }
}
