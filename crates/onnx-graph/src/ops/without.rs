//! Ops that pass no gradient: comparisons, logic, shapes; and `Cast`, which passes one between floats.

use super::choose::compared;
use super::{Gradient, Op, Site};
use crate::build::Attr;
use crate::error::Result;
use crate::model::int_attribute;
use crate::shape::{Dim, Info};
use crate::tensor::DataType;

/// An op of one or two operands that gives booleans.
pub struct Logic {
    name: &'static str,
    operands: usize,
}

impl Op for Logic {
    fn name(&self) -> &'static str {
        self.name
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![if self.operands == 1 { s.x(0)?.clone() } else { compared(s)? }])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![None; g.node.input.len()])
    }
}

const fn two(name: &'static str) -> Logic {
    Logic { name, operands: 2 }
}

/// Both.
pub static AND: Logic = two("And");
/// a = b.
pub static EQUAL: Logic = two("Equal");
/// a > b.
pub static GREATER: Logic = two("Greater");
/// a ≥ b.
pub static GREATER_OR_EQUAL: Logic = two("GreaterOrEqual");
/// a < b.
pub static LESS: Logic = two("Less");
/// a ≤ b.
pub static LESS_OR_EQUAL: Logic = two("LessOrEqual");
/// Not.
pub static NOT: Logic = Logic { name: "Not", operands: 1 };
/// At least one.
pub static OR: Logic = two("Or");

/// Another element type.
pub struct Cast;

impl Op for Cast {
    fn name(&self) -> &'static str {
        "Cast"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let code = i32::try_from(int_attribute(s.node, "to", 0)).unwrap_or(0);
        Ok(vec![Info { ty: DataType::from_code(code), dims: s.x(0)?.dims.clone() }])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (from, to) = (g.inputs[0].ty, int_attribute(g.node, "to", 0));
        let to = DataType::from_code(i32::try_from(to).unwrap_or(0));
        if !from.is_float() || !to.is_float() {
            return Ok(vec![None]);
        }
        Ok(vec![Some(g.b.node("Cast", &[g.dy], [("to", Attr::Int(i64::from(from.code())))]))])
    }
}

/// The sizes of the axes from `start` to before `end`.
pub struct Shape;

impl Op for Shape {
    fn name(&self) -> &'static str {
        "Shape"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let Some(dims) = &s.x(0)?.dims else {
            return Ok(vec![Info::new(DataType::Int64, vec![Dim::Unknown])]);
        };
        let (start, end) = shape_range(s, dims.len());
        Ok(vec![Info::new(DataType::Int64, vec![Dim::Size(end.saturating_sub(start) as i64)])])
    }

    fn gradient(&self, _g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![None])
    }
}

/// The range of axes that a `Shape` node asks for, of a value of `rank` axes.
fn shape_range(s: &Site, rank: usize) -> (usize, usize) {
    let rank = rank as i64;
    let place = |v: i64| (if v < 0 { v.saturating_add(rank) } else { v }).clamp(0, rank) as usize;
    (place(int_attribute(s.node, "start", 0)), place(int_attribute(s.node, "end", rank)))
}

/// The number of elements.
pub struct Size;

impl Op for Size {
    fn name(&self) -> &'static str {
        "Size"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        s.x(0)?;
        Ok(vec![Info::new(DataType::Int64, Vec::new())])
    }

    fn gradient(&self, _g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![None])
    }
}
