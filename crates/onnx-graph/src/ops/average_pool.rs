//! `AveragePool`. Gradient: each window spreads its share over its inputs.

use super::max_pool::pooled;
use super::window::{Axis, Window};
use super::{Gradient, Op, Site};
use crate::build::Attr;
use crate::error::{Error, Result};
use crate::model::{int_attribute, ints_attribute};
use crate::shape::Info;
use crate::tensor::floats;

/// The mean of each window.
pub struct AveragePool;

/// More windows than this per channel are refused.
const MOST_WINDOWS: i64 = 1 << 24;

impl Op for AveragePool {
    fn name(&self) -> &'static str {
        "AveragePool"
    }

    fn infer(&self, s: &Site) -> Result<Vec<Info>> {
        Ok(vec![pooled(s)?])
    }

    // dy / (elements in the window), spread by a transposed convolution of ones over each channel alone.
    fn gradient(&self, g: &mut Gradient) -> Result<Vec<Option<String>>> {
        let kernel = ints_attribute(g.node, "kernel_shape").unwrap_or_default();
        let window = Window::of(g.node, &kernel)?;
        let axes = window.axes(g.dims(0)?.get(2..).unwrap_or_default())?;
        let counts = counts(&axes, int_attribute(g.node, "count_include_pad", 0) != 0)?;
        let out: Vec<i64> = [1, 1].into_iter().chain(axes.iter().map(|a| a.out)).collect();
        let shares: Vec<f32> = counts.iter().map(|c| 1.0 / *c as f32).collect();
        let shares = constant(g, &out, &shares);
        let ones = vec![1.0; kernel.iter().product::<i64>() as usize];
        let ones = constant(g, &[&[1, 1], &kernel[..]].concat(), &ones);

        let shared = g.dy_times(&shares);
        let alone: Vec<i64> = [-1, 1].into_iter().chain(axes.iter().map(|a| a.out)).collect();
        let alone = g.b.ints(&alone);
        let shared = g.b.node("Reshape", &[&shared, &alone], []);
        let back: Vec<(i64, i64)> = axes.iter().map(Axis::back).collect();
        let pads: Vec<i64> = axes.iter().map(|a| a.before).chain(back.iter().map(|b| b.0)).collect();
        let more: Vec<i64> = back.iter().map(|b| b.1).collect();
        let spread = g.b.node(
            "ConvTranspose",
            &[&shared, &ones],
            [
                ("strides", Attr::Ints(&window.strides)),
                ("dilations", Attr::Ints(&window.dilations)),
                ("pads", Attr::Ints(&pads)),
                ("output_padding", Attr::Ints(&more)),
            ],
        );
        Ok(vec![Some(g.shaped_as(0, &spread))])
    }
}

fn constant(g: &mut Gradient, dims: &[i64], values: &[f32]) -> String {
    let name = g.b.fresh("f");
    g.b.constants.push(floats(&name, dims, values));
    name
}

/// How many elements each window averages, row by row: those of the input, and those of the padding (but
/// not of what lies beyond it) if they count.
fn counts(axes: &[Axis], padding: bool) -> Result<Vec<i64>> {
    let windows = axes.iter().try_fold(1i64, |n, a| n.checked_mul(a.out)).filter(|n| *n <= MOST_WINDOWS);
    windows.ok_or_else(|| Error::new("there are too many windows"))?;
    let along = |a: &Axis| -> Vec<i64> {
        let (first, end) =
            if padding { (0, a.before + a.size + a.after) } else { (a.before, a.before + a.size) };
        let inside = |p: &i64| (first..end).contains(p);
        (0..a.out)
            .map(|o| (0..a.kernel).map(|k| o * a.stride + k * a.dilation).filter(inside).count() as i64)
            .collect()
    };
    Ok(axes.iter().fold(vec![1], |all, axis| {
        let own = along(axis);
        all.iter().flat_map(|n| own.iter().map(move |m| n * m)).collect()
    }))
}
