//! Windows that move over images: strides, dilations, pads, and the output's size.

use crate::error::{Error, Result};
use crate::model::{attribute, int_attribute, ints_attribute};
use crate::proto::NodeProto;
use crate::shape::Dim;

/// Larger sizes, strides, dilations and pads are refused, so that their products fit into 64 bits.
const LIMIT: i64 = 1 << 30;

/// How pads are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    /// As given.
    Given,
    /// So that the output has size / stride windows, the odd pad last (or first).
    Same { odd_first: bool },
}

/// The attributes of a window of any number of axes.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// Sizes.
    pub(crate) kernel: Vec<i64>,
    /// Steps.
    pub(crate) strides: Vec<i64>,
    /// Distances between taps.
    pub(crate) dilations: Vec<i64>,
    pads: Vec<i64>,
    padding: Padding,
    ceil: bool,
}

/// One axis of a window over an input of known size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Axis {
    /// The input's size.
    pub(crate) size: i64,
    /// Taps.
    pub(crate) kernel: i64,
    /// Step.
    pub(crate) stride: i64,
    /// Distance between taps.
    pub(crate) dilation: i64,
    /// Padding before the first element.
    pub(crate) before: i64,
    /// Padding after the last.
    pub(crate) after: i64,
    /// Windows.
    pub(crate) out: i64,
}

impl Axis {
    /// How far the windows reach in the padded input.
    fn reach(&self) -> i64 {
        (self.out - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
    }

    /// Pad at the end and output padding that make the transposed convolution give `size` again.
    pub(crate) fn back(&self) -> (i64, i64) {
        let excess = self.reach() - self.before - self.size;
        (excess.max(0), (-excess).max(0))
    }
}

impl Window {
    /// Reads the attributes of a node over `axes` spatial axes, with this kernel.
    pub(crate) fn of(node: &NodeProto, kernel: &[i64]) -> Result<Self> {
        let axes = kernel.len();
        let auto = attribute(node, "auto_pad").and_then(|a| a.s.as_deref()).unwrap_or(b"NOTSET");
        let padding = match auto {
            b"NOTSET" | b"VALID" => Padding::Given,
            b"SAME_UPPER" => Padding::Same { odd_first: false },
            b"SAME_LOWER" => Padding::Same { odd_first: true },
            other => {
                return Err(Error::new(format!("there is no auto_pad {}", String::from_utf8_lossy(other))));
            }
        };
        let list = |name: &str, length: usize, least: i64| -> Result<Vec<i64>> {
            // An empty list means the default, as exporters write it.
            let given = ints_attribute(node, name).filter(|v| !v.is_empty());
            let values = given.unwrap_or_else(|| vec![least; length]);
            if values.len() != length || values.iter().any(|v| !(least..=LIMIT).contains(v)) {
                return Err(Error::new(format!("{name} {values:?} do not fit {axes} axes")));
            }
            Ok(values)
        };
        if let Some(bad) = kernel.iter().find(|k| !(1..=LIMIT).contains(*k)) {
            return Err(Error::new(format!("a window of {bad} is impossible")));
        }
        let pads = if auto == b"VALID" { vec![0; 2 * axes] } else { list("pads", 2 * axes, 0)? };
        Ok(Window {
            kernel: kernel.to_vec(),
            strides: list("strides", axes, 1)?,
            dilations: list("dilations", axes, 1)?,
            pads,
            padding,
            ceil: int_attribute(node, "ceil_mode", 0) != 0,
        })
    }

    /// Axis `i` over an input of this size.
    pub(crate) fn axis(&self, i: usize, size: i64) -> Result<Axis> {
        if !(0..=LIMIT).contains(&size) {
            return Err(Error::new(format!("images of {size} pixels along a side are impossible")));
        }
        let (kernel, stride, dilation) = (self.kernel[i], self.strides[i], self.dilations[i]);
        let span = dilation * (kernel - 1) + 1;
        if let Padding::Same { odd_first } = self.padding {
            let out = (size + stride - 1) / stride;
            let total = ((out - 1) * stride + span - size).max(0);
            let before = if odd_first { total - total / 2 } else { total / 2 };
            return Ok(Axis { size, kernel, stride, dilation, before, after: total - before, out });
        }
        let (before, after) = (self.pads[i], self.pads[i + self.kernel.len()]);
        let room = size + before + after - span;
        if room < 0 {
            return Err(Error::new(format!("a window of {span} does not fit into {size}")));
        }
        let mut out = room / stride + 1;
        // Rounded up, but no window may begin in the padding at the end.
        if self.ceil && room % stride != 0 && out * stride < size + before {
            out += 1;
        }
        Ok(Axis { size, kernel, stride, dilation, before, after, out })
    }

    /// Every axis over inputs of known sizes.
    pub(crate) fn axes(&self, dims: &[Dim]) -> Result<Vec<Axis>> {
        let known = dims.iter().enumerate().map(|(i, d)| match d {
            Dim::Size(size) => self.axis(i, *size),
            _ => Err(Error::new("the images' size is not known")),
        });
        known.collect()
    }

    /// The output's spatial dimensions.
    pub(crate) fn output(&self, dims: &[Dim]) -> Result<Vec<Dim>> {
        if dims.len() != self.kernel.len() {
            return Err(Error::new(format!(
                "a window of {} axes does not fit images of {}",
                self.kernel.len(),
                dims.len()
            )));
        }
        let known = dims.iter().enumerate().map(|(i, d)| match d {
            Dim::Size(size) => Ok(Dim::Size(self.axis(i, *size)?.out)),
            _ => Ok(Dim::Unknown),
        });
        known.collect()
    }
}

/// First pads, then last pads, as the attribute has them.
pub(crate) fn pads(axes: &[Axis]) -> Vec<i64> {
    axes.iter().map(|a| a.before).chain(axes.iter().map(|a| a.after)).collect()
}

/// The attributes of a transposed window over inputs of some sizes.
#[derive(Clone, Debug)]
pub(super) struct Spread {
    /// Sizes.
    pub(super) kernel: Vec<i64>,
    /// Steps.
    pub(super) strides: Vec<i64>,
    /// Distances between taps.
    pub(super) dilations: Vec<i64>,
    /// What is cut off: first pads, then last pads.
    pub(super) pads: Vec<i64>,
    /// The output's spatial dimensions.
    pub(super) out: Vec<Dim>,
}

impl Spread {
    /// Reads the attributes of a node over the spatial dimensions `dims`, with this kernel.
    pub(super) fn of(node: &NodeProto, kernel: &[i64], dims: &[Dim]) -> Result<Self> {
        let Window { strides, dilations, mut pads, padding, .. } = Window::of(node, kernel)?;
        let n = kernel.len();
        let list = |name: &str| ints_attribute(node, name).filter(|v| !v.is_empty());
        let (more, wanted) = (list("output_padding").unwrap_or_else(|| vec![0; n]), list("output_shape"));
        // Some exporters give the whole shape, with batch and channels.
        let wanted = wanted.map(|w| if w.len() == n + 2 { w[2..].to_vec() } else { w });
        let fits = |values: &Vec<i64>| values.len() == n && values.iter().all(|v| (0..=LIMIT).contains(v));
        if dims.len() != n || !fits(&more) || !wanted.as_ref().is_none_or(fits) {
            return Err(Error::new(format!("output_padding or output_shape do not fit {n} axes")));
        }
        let mut out = Vec::with_capacity(n);
        for (i, dim) in dims.iter().enumerate() {
            let same = padding != Padding::Given;
            let Dim::Size(size) = dim else {
                if same || wanted.is_some() {
                    return Err(Error::new("padding by name or by shape needs images of a known size"));
                }
                out.push(Dim::Unknown);
                continue;
            };
            if !(1..=LIMIT).contains(size) {
                return Err(Error::new(format!("images of {size} pixels along a side are impossible")));
            }
            let full = strides[i] * (size - 1) + more[i] + dilations[i] * (kernel[i] - 1) + 1;
            if let Some(asked) = wanted.as_ref().map(|w| w[i]).or(same.then_some(size * strides[i])) {
                // A larger output has zeros at its end, as with output padding.
                let total = (full - asked).max(0);
                let half = total / 2;
                // Here the odd pixel comes first unless SAME_UPPER says otherwise.
                let first = if padding == (Padding::Same { odd_first: false }) { half } else { total - half };
                (pads[i], pads[i + n]) = (first, total - first);
            }
            let given = wanted.as_ref().map_or(0, |w| w[i]);
            let left = (full - pads[i] - pads[i + n]).max(given);
            if left < 1 {
                return Err(Error::new(format!("the pads leave nothing of {full} pixels")));
            }
            out.push(Dim::Size(left));
        }
        Ok(Spread { kernel: kernel.to_vec(), strides, dilations, pads, out })
    }
}

/// The first two of `rank` axes change places.
pub(super) fn swap(rank: usize) -> Vec<i64> {
    [1, 0].into_iter().chain(2..rank as i64).collect()
}
