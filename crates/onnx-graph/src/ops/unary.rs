//! Functions of one value, element by element.

use super::{Gradient, Op};
use crate::error::Result;

/// A function and how its gradient is emitted; `None`: its slope is 0 wherever it has one.
pub struct Unary {
    pub(super) name: &'static str,
    pub(super) gradient: Option<fn(&mut Gradient) -> String>,
}

impl Op for Unary {
    fn name(&self) -> &'static str {
        self.name
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        Ok(vec![self.gradient.map(|emit| emit(g))])
    }
}

/// |x|; slope sign(x), 0 at 0.
pub static ABS: Unary = Unary {
    name: "Abs",
    gradient: Some(|g| {
        let x = g.x(0);
        let sign = g.b.node("Sign", &[&x], []);
        g.dy_times(&sign)
    }),
};

/// The next integer above.
pub static CEIL: Unary = Unary { name: "Ceil", gradient: None };

/// cos x; slope −sin x.
pub static COS: Unary = Unary {
    name: "Cos",
    gradient: Some(|g| {
        let x = g.x(0);
        let sin = g.b.node("Sin", &[&x], []);
        let slope = g.b.node("Neg", &[&sin], []);
        g.dy_times(&slope)
    }),
};

/// eˣ; slope y.
pub static EXP: Unary = Unary {
    name: "Exp",
    gradient: Some(|g| {
        let y = g.y();
        g.dy_times(&y)
    }),
};

/// The next integer below.
pub static FLOOR: Unary = Unary { name: "Floor", gradient: None };

/// ln x; slope 1 / x.
pub static LOG: Unary = Unary {
    name: "Log",
    gradient: Some(|g| {
        let x = g.x(0);
        g.b.node("Div", &[g.dy, &x], [])
    }),
};

/// −x.
pub static NEG: Unary = Unary { name: "Neg", gradient: Some(|g| g.b.node("Neg", &[g.dy], [])) };

/// 1 / x; slope −y².
pub static RECIPROCAL: Unary = Unary {
    name: "Reciprocal",
    gradient: Some(|g| {
        let y = g.y();
        let square = g.mul(&y, &y);
        let slope = g.b.node("Neg", &[&square], []);
        g.dy_times(&slope)
    }),
};

/// The nearest integer, halves to the even one.
pub static ROUND: Unary = Unary { name: "Round", gradient: None };

/// −1, 0 or 1.
pub static SIGN: Unary = Unary { name: "Sign", gradient: None };

/// sin x; slope cos x.
pub static SIN: Unary = Unary {
    name: "Sin",
    gradient: Some(|g| {
        let x = g.x(0);
        let slope = g.b.node("Cos", &[&x], []);
        g.dy_times(&slope)
    }),
};

/// √x; slope 1 / 2y.
pub static SQRT: Unary = Unary {
    name: "Sqrt",
    gradient: Some(|g| {
        let y = g.y();
        let two = g.b.float(2.0);
        let twice = g.mul(&y, &two);
        g.b.node("Div", &[g.dy, &twice], [])
    }),
};
