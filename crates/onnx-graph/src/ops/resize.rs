//! `Resize` by nearest, linear or cubic interpolation. Every axis is a product with a matrix of weights, so
//! that the gradient is the product with its transpose.

use super::{Gradient, Op, Site, axis};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute, ints_attribute};
use crate::proto::NodeProto;
use crate::shape::{Dim, Info};
use crate::tensor::floats;

/// x at other sizes.
pub struct Resize;

/// One resized axis.
pub(crate) struct Axis {
    pub(crate) at: usize,
    pub(crate) from: i64,
    pub(crate) to: i64,
    scale: f64,
}

/// Matrices of more weights are refused.
const MOST: i64 = 1 << 26;

/// How the sizes of axes are given; `None` for an axis that stays as it is.
pub(crate) enum Wanted {
    /// As factors.
    Scales(Vec<Option<f64>>),
    /// As they are.
    Sizes(Vec<Option<f64>>),
}

/// The axes of `dims` that change; `None` where a size is not known.
pub(crate) fn axes(node: &NodeProto, dims: &[Option<i64>], wanted: &Wanted) -> Result<Option<Vec<Axis>>> {
    let text = |name: &str| attribute(node, name).and_then(|a| a.s.as_deref());
    if int_attribute(node, "antialias", 0) != 0 {
        return Err(Error::new("antialias is not supported"));
    }
    if !matches!(text("keep_aspect_ratio_policy"), None | Some(b"stretch")) {
        return Err(Error::new("only the keep_aspect_ratio_policy `stretch` is supported"));
    }
    let which: Vec<usize> = match ints_attribute(node, "axes").filter(|a| !a.is_empty()) {
        Some(given) => given.iter().map(|a| axis(*a, dims.len())).collect::<Result<_>>()?,
        None => (0..dims.len()).collect(),
    };
    let (Wanted::Scales(values) | Wanted::Sizes(values)) = wanted;
    if values.len() != which.len() || values.iter().flatten().any(|v| !(v.is_finite() && *v > 0.0)) {
        return Err(Error::new(format!("{values:?} do not fit {} axes", which.len())));
    }
    let mut all = Vec::new();
    for (at, value) in which.into_iter().zip(values) {
        let Some(value) = value else { continue };
        let Some(from) = dims[at] else { return Ok(None) };
        let (to, scale) = match wanted {
            Wanted::Scales(_) => ((from as f64 * value).floor(), *value),
            Wanted::Sizes(_) => (*value, value / from as f64),
        };
        if from < 1 || to < 1.0 || to > MOST as f64 || (to as i64).checked_mul(from).is_none_or(|n| n > MOST)
        {
            return Err(Error::new(format!("an axis of {from} cannot be resized to {to}")));
        }
        if (scale - 1.0).abs() > 0.0 {
            all.push(Axis { at, from, to: to as i64, scale });
        }
    }
    Ok(Some(all))
}

impl Axis {
    /// The weights [to, from] of the node's interpolation, row by row.
    pub(crate) fn weights(&self, node: &NodeProto) -> Result<Vec<f64>> {
        let text = |name: &str, default: &'static str| {
            let given = attribute(node, name).and_then(|a| a.s.as_deref());
            given.map_or(default.to_owned(), |s| String::from_utf8_lossy(s).into_owned())
        };
        let mode = text("mode", "nearest");
        let place = text("coordinate_transformation_mode", "half_pixel");
        let nearest = text("nearest_mode", "round_prefer_floor");
        let sharpness = attribute(node, "cubic_coeff_a").and_then(|a| a.f).map_or(-0.75, f64::from);
        let exclude = int_attribute(node, "exclude_outside", 0) != 0;
        let (from, mut weights) = (self.from as usize, Vec::with_capacity((self.to * self.from) as usize));
        for o in 0..self.to {
            let x = self.place(o as f64, &place)?;
            let taps: Vec<(i64, f64)> = match mode.as_str() {
                "nearest" => vec![(nearest_place(x, &nearest)?, 1.0)],
                "linear" => {
                    let first = x.floor();
                    vec![(first as i64, 1.0 - (x - first)), (first as i64 + 1, x - first)]
                }
                "cubic" => (-1..3)
                    .map(|k| (x.floor() as i64 + k, x - x.floor() - f64::from(k as i32)))
                    .map(|(i, t)| (i, cubic(t.abs(), sharpness)))
                    .collect(),
                other => return Err(Error::new(format!("there is no interpolation `{other}`"))),
            };
            let inside = |i: i64| (0..self.from).contains(&i);
            let total: f64 = taps.iter().filter(|(i, _)| !exclude || inside(*i)).map(|(_, w)| w).sum();
            let mut row = vec![0.0; from];
            for (i, weight) in taps.into_iter().filter(|(i, _)| !exclude || inside(*i)) {
                // Beyond an edge the edge goes on.
                row[i.clamp(0, self.from - 1) as usize] += weight / if exclude { total } else { 1.0 };
            }
            weights.append(&mut row);
        }
        Ok(weights)
    }

    /// Where the output's place `o` lies in the input.
    fn place(&self, o: f64, mode: &str) -> Result<f64> {
        let (from, to) = (self.from as f64, self.to as f64);
        let half = (o + 0.5) / self.scale - 0.5;
        Ok(match mode {
            "half_pixel" => half,
            "pytorch_half_pixel" => {
                if self.to > 1 {
                    half
                } else {
                    0.0
                }
            }
            "half_pixel_symmetric" => half + from / 2.0 * (1.0 - to / (from * self.scale)),
            "align_corners" => {
                if self.to > 1 {
                    o * (from - 1.0) / (to - 1.0)
                } else {
                    0.0
                }
            }
            "asymmetric" => o / self.scale,
            other => return Err(Error::new(format!("the coordinates `{other}` are not supported"))),
        })
    }
}

fn nearest_place(x: f64, mode: &str) -> Result<i64> {
    let place = match mode {
        "round_prefer_floor" => (x - 0.5).ceil(),
        "round_prefer_ceil" => (x + 0.5).floor(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        other => return Err(Error::new(format!("there is no nearest_mode `{other}`"))),
    };
    Ok(place as i64)
}

/// The weight of a pixel at distance `t` (Keys 1981).
fn cubic(t: f64, a: f64) -> f64 {
    if t <= 1.0 {
        ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    } else if t < 2.0 {
        ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    } else {
        0.0
    }
}

fn of(s: &Site) -> Result<Option<Vec<Axis>>> {
    let own = s.x(0)?.rank("its input")?;
    let dims: Vec<Option<i64>> = own.iter().map(Dim::size).collect();
    let given = |i: usize| s.values.numbers(i).filter(|v| !v.is_empty());
    let wanted = if let Some(scales) = given(2) {
        Wanted::Scales(scales.iter().map(|v| (*v != 1.0).then_some(*v)).collect())
    } else {
        let Some(sizes) = s.values.sizes(3) else { return Ok(None) };
        if sizes.len() == own.len() && sizes.iter().zip(own).any(|(d, x)| d.size().is_none() && d != x) {
            return Ok(None);
        }
        Wanted::Sizes(sizes.iter().map(|d| d.size().map(|s| s as f64)).collect())
    };
    axes(s.node, &dims, &wanted)
}

impl Op for Resize {
    fn name(&self) -> &'static str {
        "Resize"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        let x = s.x(0)?;
        let mut dims = x.rank("its input")?.to_vec();
        match of(s)? {
            Some(axes) => axes.iter().for_each(|a| dims[a.at] = Dim::Size(a.to)),
            None => dims.iter_mut().skip(2).for_each(|d| *d = Dim::Unknown),
        }
        Ok(vec![Info::new(x.ty, dims)])
    }

    // Axis by axis: it comes last, is multiplied with the weights, and goes back.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let axes = of(&g.site())?.ok_or_else(|| Error::new("its sizes are not known"))?;
        let rank = g.dims(0)?.len();
        let mut dy = g.dy.to_owned();
        for axis in axes {
            let weights: Vec<f32> = axis.weights(g.node)?.into_iter().map(|w| w as f32).collect();
            let name = g.b.fresh("weights");
            g.b.constants.push(floats(&name, &[axis.to, axis.from], &weights));
            let mut order: Vec<i64> = (0..rank as i64).collect();
            order.swap(axis.at, rank - 1);
            let last = axis.at == rank - 1;
            let turn = |g: &mut Gradient, x: &str| {
                if last { x.to_owned() } else { g.b.node("Transpose", &[x], [("perm", Attr::Ints(&order))]) }
            };
            let turned = turn(g, &dy);
            let product = g.b.node("MatMul", &[&turned, &name], []);
            dy = turn(g, &product);
        }
        let mut gradients = vec![None; g.node.input.len()];
        gradients[0] = Some(dy);
        Ok(gradients)
    }
}
