//! `Identity`.

use super::{Gradient, Op};
use crate::error::Result;

/// `x`.
pub struct Identity;

impl Op for Identity {
    fn name(&self) -> &'static str {
        "Identity"
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![Some(g.dy.to_owned())])
    }
}
