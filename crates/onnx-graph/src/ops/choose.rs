//! `Min`, `Max` and `Where`: each element of the output is one of the inputs.

use super::arithmetic::joined;
use super::{Gradient, Op, Site, Spread};
use crate::error::{Error, Result};
use crate::shape::{Info, broadcast};

/// The smallest or largest of any number of inputs.
pub struct Extreme {
    name: &'static str,
}

/// The smallest of the inputs.
pub static MIN: Extreme = Extreme { name: "Min" };

/// The largest of the inputs.
pub static MAX: Extreme = Extreme { name: "Max" };

impl Op for Extreme {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![super::sum::all_joined(s)?])
    }

    // Equal winners share the gradient, as in torch for two of them.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let y = g.y();
        let count = g.node.input.len();
        let mut wins = Vec::with_capacity(count);
        for i in 0..count {
            let x = g.x(i);
            wins.push(g.mask("Equal", &x, &y));
        }
        let names: Vec<&str> = wins.iter().map(String::as_str).collect();
        let winners = g.b.node("Sum", &names, []);
        let share = g.b.node("Div", &[g.dy, &winners], []);
        Ok(wins.iter().map(|won| Some(g.mul(&share, won))).collect())
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Axes
    }
}

/// `a` where the condition (input 0) holds, `b` elsewhere.
pub struct Where;

impl Op for Where {
    fn name(&self) -> &'static str {
        "Where"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let (condition, a, b) = (s.x(0)?, s.x(1)?, s.x(2)?);
        let dims = match (&condition.dims, &a.dims, &b.dims) {
            (Some(c), Some(a), Some(b)) => Some(broadcast(c, &broadcast(a, b)?)?),
            _ => None,
        };
        if a.ty != b.ty {
            return Err(Error::new(format!("its values are {} and {}", a.ty.name(), b.ty.name())));
        }
        Ok(vec![Info { ty: a.ty, dims }])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let condition = g.x(0);
        let zero = g.b.float(0.0);
        let da = g.b.node("Where", &[&condition, g.dy, &zero], []);
        let db = g.b.node("Where", &[&condition, &zero, g.dy], []);
        Ok(vec![None, Some(da), Some(db)])
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Axes
    }
}

/// A comparison's result: as the operands spread, boolean.
pub(super) fn compared(s: &Site) -> Result<Info> {
    Ok(Info { ty: crate::tensor::DataType::Bool, dims: joined(s)?.dims })
}
