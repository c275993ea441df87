//! `Identity`.

use super::{Gradient, Op, same};
use crate::error::Result;
use crate::proto::NodeProto;
use crate::shape::Info;

/// `x`.
pub struct Identity;

impl Op for Identity {
    fn name(&self) -> &'static str {
        "Identity"
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
        Ok(vec![Some(g.dy.to_owned())])
    }
}
