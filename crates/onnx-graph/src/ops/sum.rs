//! `Sum` and `Mean` of any number of inputs, with broadcasting.

use super::{Gradient, Op, Site, Spread};
use crate::error::Result;
use crate::shape::{Info, broadcast};

/// Σ of the inputs.
pub struct Sum;

/// Type of the first input, and the common shape of all.
pub(super) fn all_joined(s: &Site) -> Result<Info> {
    let mut joined = s.x(0)?.clone();
    for i in 1..s.inputs.len() {
        joined.dims = match (&joined.dims, &s.x(i)?.dims) {
            (Some(a), Some(b)) => Some(broadcast(a, b)?),
            _ => None,
        };
    }
    Ok(joined)
}

impl Op for Sum {
    fn name(&self) -> &'static str {
        "Sum"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![all_joined(s)?])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(g.node.input.iter().map(|_| Some(g.dy.to_owned())).collect())
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Axes
    }
}

/// The mean of the inputs.
pub struct Mean;

impl Op for Mean {
    fn name(&self) -> &'static str {
        "Mean"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![all_joined(s)?])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let count = g.b.float(g.inputs.len() as f32);
        let share = g.b.node("Div", &[g.dy, &count], []);
        Ok(vec![Some(share); g.inputs.len()])
    }

    fn spread(&self, _input: usize) -> Spread {
        Spread::Axes
    }
}
