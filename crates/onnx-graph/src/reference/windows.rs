//! Ops that move a window over images [N, C, …] of any number of axes.

use super::Call;
use super::value::{Value, count, each_index, strides};
use crate::error::{Error, Result};
use crate::model::attribute;

/// Stride, dilation and pads of one axis, and its sizes: input, kernel, output.
#[derive(Clone, Copy)]
struct Axis {
    stride: usize,
    dilation: usize,
    pad: usize,
    pad_end: usize,
    size: usize,
    kernel: usize,
    out: usize,
}

impl Axis {
    /// The place in the padded input that tap `tap` of window `window` reads.
    fn padded(&self, window: usize, tap: usize) -> usize {
        window * self.stride + tap * self.dilation
    }

    /// The place in the input, if it is no padding.
    fn place(&self, window: usize, tap: usize) -> Option<usize> {
        self.padded(window, tap).checked_sub(self.pad).filter(|p| *p < self.size)
    }
}

/// The axes of a node; `transposed` computes the output size of the transposed op.
fn axes(call: &Call, x: &Value, kernel: &[usize], transposed: bool) -> Result<Vec<Axis>> {
    let n = kernel.len();
    if n == 0 || x.dims.len() != n + 2 {
        return Err(Error::new("images and kernels differ in their dimensions"));
    }
    let auto = attribute(call.node, "auto_pad").and_then(|a| a.s.as_deref()).unwrap_or(b"NOTSET");
    let list = |name: &str, length: usize, default: usize| -> Result<Vec<usize>> {
        let Some(given) = call.ints(name).filter(|v| !v.is_empty()) else { return Ok(vec![default; length]) };
        let sizes: Option<Vec<usize>> = given
            .iter()
            .map(|v| usize::try_from(*v).ok().filter(|v| *v >= default && *v < 1 << 20))
            .collect();
        let fits = sizes.filter(|s| s.len() == length);
        fits.ok_or_else(|| Error::new(format!("{name} {given:?} is impossible")))
    };
    let (strides, dilations) = (list("strides", n, 1)?, list("dilations", n, 1)?);
    let (pads, more) = (list("pads", 2 * n, 0)?, list("output_padding", n, 0)?);
    let wanted = match call.ints("output_shape").filter(|v| transposed && !v.is_empty()) {
        Some(whole) if whole.len() == n + 2 => {
            Some(whole[2..].iter().map(|v| *v as usize).collect::<Vec<_>>())
        }
        Some(_) => Some(list("output_shape", n, 0)?),
        None => None,
    };
    let axis = |i: usize| -> Result<Axis> {
        let (size, kernel, stride, dilation) = (x.dims[i + 2], kernel[i], strides[i], dilations[i]);
        let reach = dilation * kernel.saturating_sub(1) + 1;
        let (mut pad, mut pad_end) = if auto == b"VALID" { (0, 0) } else { (pads[i], pads[i + n]) };
        let same = auto == b"SAME_UPPER" || auto == b"SAME_LOWER";
        if transposed {
            if let Some(asked) = wanted.as_ref().map(|w| w[i]).or(same.then_some(size * stride)) {
                let total = (stride * size.saturating_sub(1) + more[i] + reach).saturating_sub(asked);
                (pad, pad_end) = (total - total / 2, total / 2);
                if auto == b"SAME_UPPER" {
                    (pad, pad_end) = (pad_end, pad);
                }
            }
        } else if same {
            let total = ((size.div_ceil(stride) - 1) * stride + reach).saturating_sub(size);
            (pad, pad_end) = (total / 2, total - total / 2);
            if auto == b"SAME_LOWER" {
                (pad, pad_end) = (pad_end, pad);
            }
        }
        let out = if transposed {
            let asked = wanted.as_ref().map_or(0, |w| w[i]);
            (stride * size.saturating_sub(1) + more[i] + reach)
                .checked_sub(pad + pad_end)
                .map(|out| out.max(asked))
        } else {
            (size + pad + pad_end).checked_sub(reach).map(|room| {
                let up = call.int("ceil_mode", 0) != 0 && room % stride != 0;
                let out = room / stride + 1;
                // A window that would begin behind the input and its first pad does not exist.
                if up && out * stride < size + pad { out + 1 } else { out }
            })
        };
        let out = out.ok_or_else(|| Error::new(format!("a window of {kernel} does not fit into {size}")))?;
        Ok(Axis { stride, dilation, pad, pad_end, size, kernel, out })
    };
    (0..n).map(axis).collect()
}

/// Visits every window of one channel and in it every tap that reads the input: number of the window, flat
/// position of the tap in the kernel, flat position in the channel.
fn walk(axes: &[Axis], mut visit: impl FnMut(usize, usize, usize)) {
    let outs: Vec<usize> = axes.iter().map(|a| a.out).collect();
    let kernel: Vec<usize> = axes.iter().map(|a| a.kernel).collect();
    let steps = strides(&axes.iter().map(|a| a.size).collect::<Vec<_>>());
    let mut window = 0;
    each_index(&outs, |at| {
        let mut number = 0;
        each_index(&kernel, |tap| {
            let places = axes.iter().enumerate().map(|(i, a)| a.place(at[i], tap[i]));
            if let Some(place) = places.zip(&steps).map(|(p, s)| p.map(|p| p * s)).sum::<Option<usize>>() {
                visit(window, number, place);
            }
            number += 1;
        });
        window += 1;
    });
}

fn size(axes: &[Axis], of: impl Fn(&Axis) -> usize) -> Result<usize> {
    count(&axes.iter().map(of).collect::<Vec<_>>())
}

fn output(n: usize, channels: usize, axes: &[Axis]) -> Vec<usize> {
    [n, channels].into_iter().chain(axes.iter().map(|a| a.out)).collect()
}

pub(super) fn conv(call: &Call) -> Result<Vec<Value>> {
    let (x, w) = (call.x(0)?, call.x(1)?);
    let [outputs, channels, kernel @ ..] = &w.dims[..] else {
        return Err(Error::new("kernels need at least 3 dimensions"));
    };
    let axes = axes(call, x, kernel, false)?;
    let group = call.int("group", 1).max(1) as usize;
    if x.dims[1] != channels * group || outputs % group != 0 {
        return Err(Error::new(format!("{} channels do not fit {channels} × {group}", x.dims[1])));
    }
    let (pixels, windows) = (size(&axes, |a| a.size)?, size(&axes, |a| a.out)?);
    let taps = size(&axes, |a| a.kernel)?;
    let dims = output(x.dims[0], *outputs, &axes);
    let mut data = vec![0.0; count(&dims)?];
    for (n, o) in (0..dims[0]).flat_map(|n| (0..*outputs).map(move |o| (n, o))) {
        let to = &mut data[(n * outputs + o) * windows..][..windows];
        to.fill(call.optional(2).and_then(|b| b.data.get(o)).copied().unwrap_or(0.0));
        for c in 0..*channels {
            let from = n * x.dims[1] + o / (outputs / group) * channels + c;
            walk(&axes, |window, tap, place| {
                to[window] += w.data[(o * channels + c) * taps + tap] * x.data[from * pixels + place];
            });
        }
    }
    Ok(vec![x.like(&dims, data)?])
}

/// Every input element spreads its kernel over the output.
pub(super) fn conv_transpose(call: &Call) -> Result<Vec<Value>> {
    let (x, w) = (call.x(0)?, call.x(1)?);
    let [inputs, channels, kernel @ ..] = &w.dims[..] else {
        return Err(Error::new("kernels need at least 3 dimensions"));
    };
    let axes = axes(call, x, kernel, true)?;
    let group = call.int("group", 1).max(1) as usize;
    if x.dims[1] != *inputs || inputs % group != 0 {
        return Err(Error::new(format!("the images have {} channels and the kernels {inputs}", x.dims[1])));
    }
    // Seen from its output, it is a convolution whose windows are the elements of x.
    let turned: Vec<Axis> = axes.iter().map(|a| Axis { size: a.out, out: a.size, ..*a }).collect();
    let (pixels, windows) = (size(&axes, |a| a.out)?, size(&axes, |a| a.size)?);
    let taps = size(&axes, |a| a.kernel)?;
    let outputs = channels * group;
    let dims = output(x.dims[0], outputs, &axes);
    let mut data = vec![0.0; count(&dims)?];
    for o in 0..outputs {
        for n in 0..dims[0] {
            let bias = call.optional(2).and_then(|b| b.data.get(o)).copied().unwrap_or(0.0);
            data[(n * outputs + o) * pixels..][..pixels].fill(bias);
        }
    }
    for (n, c) in (0..dims[0]).flat_map(|n| (0..*inputs).map(move |c| (n, c))) {
        for k in 0..*channels {
            let o = c / (inputs / group) * channels + k;
            walk(&turned, |window, tap, place| {
                let value = x.data[(n * inputs + c) * windows + window];
                data[(n * outputs + o) * pixels + place] += w.data[(c * channels + k) * taps + tap] * value;
            });
        }
    }
    Ok(vec![x.like(&dims, data)?])
}

fn kernel_shape(call: &Call) -> Result<Vec<usize>> {
    let given = call.ints("kernel_shape").unwrap_or_default();
    let sizes: Option<Vec<usize>> =
        given.iter().map(|k| usize::try_from(*k).ok().filter(|k| *k > 0)).collect();
    sizes.ok_or_else(|| Error::new(format!("kernel_shape {given:?} is impossible")))
}

/// The first of equal maxima counts. The second output is its position in the flat input.
pub(super) fn max_pool(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let axes = axes(call, x, &kernel_shape(call)?, false)?;
    let (pixels, windows) = (size(&axes, |a| a.size)?, size(&axes, |a| a.out)?);
    let dims = output(x.dims[0], x.dims[1], &axes);
    let mut largest = vec![f64::NEG_INFINITY; count(&dims)?];
    let mut places = vec![0; largest.len()];
    for image in 0..dims[0] * dims[1] {
        walk(&axes, |window, _, place| {
            let (at, to) = (image * pixels + place, image * windows + window);
            if x.data[at] > largest[to] {
                (largest[to], places[to]) = (x.data[at], at as i64);
            }
        });
    }
    Ok(vec![x.like(&dims, largest)?, Value::ints(&dims, &places)?])
}

pub(super) fn average_pool(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let axes = axes(call, x, &kernel_shape(call)?, false)?;
    let (pixels, windows) = (size(&axes, |a| a.size)?, size(&axes, |a| a.out)?);
    let dims = output(x.dims[0], x.dims[1], &axes);
    let mut counts = vec![0.0; windows];
    if call.int("count_include_pad", 0) == 0 {
        walk(&axes, |window, _, _| counts[window] += 1.0);
    } else {
        // The padding counts, what a rounded-up last window reads beyond it does not.
        let padded = |a: &Axis| Axis { pad: 0, size: a.pad + a.size + a.pad_end, ..*a };
        walk(&axes.iter().map(padded).collect::<Vec<_>>(), |window, _, _| counts[window] += 1.0);
    }
    let mut data = vec![0.0; count(&dims)?];
    for image in 0..dims[0] * dims[1] {
        walk(&axes, |window, _, place| {
            data[image * windows + window] += x.data[image * pixels + place] / counts[window];
        });
    }
    Ok(vec![x.like(&dims, data)?])
}
