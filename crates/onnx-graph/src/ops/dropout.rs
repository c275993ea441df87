//! `Dropout`, which passes its input on unless it trains.

use super::{Gradient, Op, Site};
use crate::error::{Error, Result};
use crate::shape::Info;
use crate::tensor::DataType;

/// The input; in training mode (input 2), which is not supported, some of it set to zero.
pub struct Dropout;

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "Dropout"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        Ok(vec![x.clone(), Info { ty: DataType::Bool, dims: x.dims.clone() }])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        if g.has(2) {
            return Err(Error::new(
                "dropout with a training mode is not supported; export the model in eval mode",
            ));
        }
        Ok(vec![Some(g.dy.to_owned()), None])
    }
}
