//! Activations with parameters: `LeakyRelu`, `PRelu`, `Elu`, `Clip`.

use super::{Gradient, Op, Site, Spread};
use crate::error::Result;
use crate::model::attribute;
use crate::proto::NodeProto;
use crate::shape::Info;

/// The slope below 0 or the like.
fn alpha(node: &NodeProto, default: f32) -> f32 {
    attribute(node, "alpha").and_then(|a| a.f).unwrap_or(default)
}

/// x above 0, α x below.
pub struct LeakyRelu;

impl Op for LeakyRelu {
    fn name(&self) -> &'static str {
        "LeakyRelu"
    }

    // Slope α + (1 − α) · [x > 0].
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (x, alpha) = (g.x(0), alpha(g.node, 0.01));
        let (zero, below, rise) = (g.b.float(0.0), g.b.float(alpha), g.b.float(1.0 - alpha));
        let positive = g.mask("Greater", &x, &zero);
        let above = g.mul(&positive, &rise);
        let slope = g.b.node("Add", &[&above, &below], []);
        Ok(vec![Some(g.dy_times(&slope))])
    }
}

/// x above 0, slope · x below; the slope is an input that is spread over x.
pub struct PRelu;

impl Op for PRelu {
    fn name(&self) -> &'static str {
        "PRelu"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        s.x(1)?;
        Ok(vec![s.x(0)?.clone()])
    }

    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (x, slope) = (g.x(0), g.x(1));
        let zero = g.b.float(0.0);
        let above = g.mask("Greater", &x, &zero);
        let below = g.mask("LessOrEqual", &x, &zero);
        let sloped = g.mul(&below, &slope);
        let total = g.b.node("Add", &[&above, &sloped], []);
        let negative = g.b.node("Min", &[&x, &zero], []);
        Ok(vec![Some(g.dy_times(&total)), Some(g.dy_times(&negative))])
    }

    fn spread(&self, input: usize) -> Spread {
        if input == 1 { Spread::Axes } else { Spread::Not }
    }
}

/// x above 0, α (eˣ − 1) below.
pub struct Elu;

impl Op for Elu {
    fn name(&self) -> &'static str {
        "Elu"
    }

    // Below 0 the slope is α eˣ, above 1; the exponent is cut at 0 so that it cannot overflow.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let (x, alpha) = (g.x(0), alpha(g.node, 1.0));
        let (zero, alpha) = (g.b.float(0.0), g.b.float(alpha));
        let above = g.mask("Greater", &x, &zero);
        let below = g.mask("LessOrEqual", &x, &zero);
        let cut = g.b.node("Min", &[&x, &zero], []);
        let exp = g.b.node("Exp", &[&cut], []);
        let curve = g.mul(&exp, &alpha);
        let curve = g.mul(&below, &curve);
        let slope = g.b.node("Add", &[&above, &curve], []);
        Ok(vec![Some(g.dy_times(&slope))])
    }
}

/// x cut to [min, max], both optional inputs.
pub struct Clip;

impl Op for Clip {
    fn name(&self) -> &'static str {
        "Clip"
    }

    // As in torch, the slope at the bounds themselves is 1.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let x = g.x(0);
        let mut dx = g.dy.to_owned();
        for (i, op) in [(1, "GreaterOrEqual"), (2, "LessOrEqual")] {
            if g.has(i) {
                let bound = g.x(i);
                let inside = g.mask(op, &x, &bound);
                dx = g.mul(&dx, &inside);
            }
        }
        Ok(vec![Some(dx)])
    }
}
