//! Ops that make values from indices and counts. They pass no gradient.

use super::{Gradient, Op, Site, axis};
use crate::error::Result;
use crate::model::{attribute, int_attribute};
use crate::shape::{Dim, Info};
use crate::tensor::DataType;

/// The place of the largest or smallest element along an axis.
pub struct Place {
    name: &'static str,
}

/// The place of the largest.
pub static ARG_MAX: Place = Place { name: "ArgMax" };

/// The place of the smallest.
pub static ARG_MIN: Place = Place { name: "ArgMin" };

impl Op for Place {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let Some(mut dims) = s.x(0)?.dims.clone() else {
            return Ok(vec![Info { ty: DataType::Int64, dims: None }]);
        };
        let at = axis(int_attribute(s.node, "axis", 0), dims.len())?;
        if int_attribute(s.node, "keepdims", 1) == 0 {
            dims.remove(at);
        } else {
            dims[at] = Dim::Size(1);
        }
        Ok(vec![Info::new(DataType::Int64, dims)])
    }

    fn gradient(&self, _g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![None])
    }
}

/// One value over a shape.
pub struct ConstantOfShape;

impl Op for ConstantOfShape {
    fn name(&self) -> &'static str {
        "ConstantOfShape"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let value = attribute(s.node, "value").and_then(|a| a.t.as_ref());
        let ty = value.map_or(DataType::Float, |t| DataType::from_code(t.data_type.unwrap_or(0)));
        let dims = s.values.sizes(0).or_else(|| match s.x(0).ok()?.dims.as_deref()? {
            [Dim::Size(rank @ 0..=64)] => Some(vec![Dim::Unknown; *rank as usize]),
            _ => None,
        });
        Ok(vec![Info { ty, dims }])
    }

    fn gradient(&self, _g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![None])
    }
}

/// The places of what is not 0, one column each.
pub struct NonZero;

impl Op for NonZero {
    fn name(&self) -> &'static str {
        "NonZero"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let rank = s.x(0)?.dims.as_ref().map_or(Dim::Unknown, |d| Dim::Size(d.len() as i64));
        Ok(vec![Info::new(DataType::Int64, vec![rank, Dim::Unknown])])
    }

    fn gradient(&self, _g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![None])
    }
}

/// Rows that are off everywhere but at an index.
pub struct OneHot;

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "OneHot"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let ty = s.x(2)?.ty;
        let Some(mut dims) = s.x(0)?.dims.clone() else { return Ok(vec![Info { ty, dims: None }]) };
        let at = axis(int_attribute(s.node, "axis", -1), dims.len() + 1)?;
        let depth = s.values.sizes(1).and_then(|d| d.first().cloned()).unwrap_or(Dim::Unknown);
        dims.insert(at, depth);
        Ok(vec![Info::new(ty, dims)])
    }

    fn gradient(&self, _g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![None; 3])
    }
}

/// start, start + step, … before limit.
pub struct Range;

impl Op for Range {
    fn name(&self) -> &'static str {
        "Range"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let one = |i: usize| s.values.numbers(i).and_then(|v| v.first()).copied();
        let length = match (one(0), one(1), one(2)) {
            (Some(start), Some(limit), Some(step)) if step != 0.0 => {
                Dim::Size(((limit - start) / step).ceil().max(0.0) as i64)
            }
            _ => Dim::Unknown,
        };
        Ok(vec![Info::new(s.x(0)?.ty, vec![length])])
    }

    fn gradient(&self, _g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![None; 3])
    }
}
