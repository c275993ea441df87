//! Ops that move a window over images [N, C, H, W].

use super::Call;
use super::value::{Value, count};
use crate::error::{Error, Result};
use crate::model::attribute;

/// Stride, dilation and first pad of one axis, and its sizes: input, kernel, output.
#[derive(Clone, Copy)]
struct Axis {
    stride: usize,
    dilation: usize,
    pad: usize,
    size: usize,
    kernel: usize,
    out: usize,
}

impl Axis {
    /// The place that tap `tap` of window `window` reads, if it is no padding.
    fn place(&self, window: usize, tap: usize) -> Option<usize> {
        (window * self.stride + tap * self.dilation).checked_sub(self.pad).filter(|p| *p < self.size)
    }
}

/// The two axes of a node; `transposed` computes the output size of the transposed op.
fn axes(call: &Call, x: &Value, kernel: &[usize], transposed: bool) -> Result<[Axis; 2]> {
    let auto = attribute(call.node, "auto_pad").and_then(|a| a.s.as_deref()).unwrap_or(b"NOTSET");
    if auto != b"NOTSET" || call.int("group", 1) != 1 || call.int("ceil_mode", 0) != 0 {
        return Err(Error::new("auto_pad, group and ceil_mode are not known here"));
    }
    let list = |name: &str, length: usize, default: usize| -> Result<Vec<usize>> {
        let Some(given) = call.ints(name) else { return Ok(vec![default; length]) };
        let sizes: Option<Vec<usize>> = given
            .iter()
            .map(|v| usize::try_from(*v).ok().filter(|v| *v >= default && *v < 1 << 20))
            .collect();
        let fits = sizes.filter(|s| s.len() == length);
        fits.ok_or_else(|| Error::new(format!("{name} {given:?} is impossible")))
    };
    let (strides, dilations) = (list("strides", 2, 1)?, list("dilations", 2, 1)?);
    let (pads, more) = (list("pads", 4, 0)?, list("output_padding", 2, 0)?);
    let (&[_, _, h, w], &[kh, kw]) = (&x.dims[..], kernel) else {
        return Err(Error::new("images and kernels need 4 dimensions"));
    };
    let axis = |i: usize, size: usize, kernel: usize| -> Result<Axis> {
        let (stride, dilation, padding) = (strides[i], dilations[i], pads[i] + pads[i + 2]);
        let reach = dilation * kernel.saturating_sub(1) + 1;
        let out = if transposed {
            (stride * size.saturating_sub(1) + more[i] + reach).checked_sub(padding)
        } else {
            (size + padding).checked_sub(reach).map(|room| room / stride + 1)
        };
        let out = out.ok_or_else(|| Error::new(format!("a window of {kernel} does not fit into {size}")))?;
        Ok(Axis { stride, dilation, pad: pads[i], size, kernel, out })
    };
    Ok([axis(0, h, kh)?, axis(1, w, kw)?])
}

fn kernel_of(w: &Value) -> Result<[usize; 4]> {
    w.dims[..].try_into().map_err(|_| Error::new("images and kernels need 4 dimensions"))
}

pub(super) fn conv(call: &Call) -> Result<Vec<Value>> {
    let (x, w) = (call.x(0)?, call.x(1)?);
    let [outputs, channels, kh, kw] = kernel_of(w)?;
    let [v, h] = axes(call, x, &[kh, kw], false)?;
    if x.dims[1] != channels {
        return Err(Error::new(format!("the images have {} channels and the kernels {channels}", x.dims[1])));
    }
    let dims = [x.dims[0], outputs, v.out, h.out];
    let mut data = Vec::with_capacity(count(&dims)?);
    for (n, o) in (0..dims[0]).flat_map(|n| (0..outputs).map(move |o| (n, o))) {
        let bias = call.optional(2).and_then(|b| b.data.get(o)).copied().unwrap_or(0.0);
        for (i, j) in (0..v.out).flat_map(|i| (0..h.out).map(move |j| (i, j))) {
            let mut total = bias;
            for (c, a, b) in taps(channels, v, h) {
                if let (Some(p), Some(q)) = (v.place(i, a), h.place(j, b)) {
                    let weight = w.data[((o * channels + c) * kh + a) * kw + b];
                    total += weight * x.data[((n * channels + c) * v.size + p) * h.size + q];
                }
            }
            data.push(total);
        }
    }
    Ok(vec![x.like(&dims, data)?])
}

/// Channel, row and column of every tap of a kernel.
fn taps(channels: usize, v: Axis, h: Axis) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..channels).flat_map(move |c| (0..v.kernel).flat_map(move |a| (0..h.kernel).map(move |b| (c, a, b))))
}

/// Every input element spreads its kernel over the output.
pub(super) fn conv_transpose(call: &Call) -> Result<Vec<Value>> {
    let (x, w) = (call.x(0)?, call.x(1)?);
    let [inputs, outputs, kh, kw] = kernel_of(w)?;
    let [v, h] = axes(call, x, &[kh, kw], true)?;
    if x.dims[1] != inputs {
        return Err(Error::new(format!("the images have {} channels and the kernels {inputs}", x.dims[1])));
    }
    let dims = [x.dims[0], outputs, v.out, h.out];
    let mut data = vec![0.0; count(&dims)?];
    for (position, value) in x.data.iter().enumerate() {
        let (image, i, j) = (position / (v.size * h.size), position / h.size % v.size, position % h.size);
        let (n, c) = (image / inputs, image % inputs);
        for (o, a, b) in taps(outputs, v, h) {
            let to = |axis: Axis, i: usize, tap: usize| {
                (i * axis.stride + tap * axis.dilation).checked_sub(axis.pad).filter(|p| *p < axis.out)
            };
            if let (Some(p), Some(q)) = (to(v, i, a), to(h, j, b)) {
                let weight = w.data[((c * outputs + o) * kh + a) * kw + b];
                data[((n * outputs + o) * v.out + p) * h.out + q] += weight * value;
            }
        }
    }
    Ok(vec![x.like(&dims, data)?])
}

/// The first of equal maxima counts. The second output is its position in the flat input.
pub(super) fn max_pool(call: &Call) -> Result<Vec<Value>> {
    let x = call.x(0)?;
    let kernel: Option<Vec<usize>> =
        call.ints("kernel_shape").unwrap_or_default().iter().map(|k| usize::try_from(*k).ok()).collect();
    let [v, h] = axes(call, x, &kernel.unwrap_or_default(), false)?;
    let dims = [x.dims[0], x.dims[1], v.out, h.out];
    let (mut largest, mut places) = (Vec::with_capacity(count(&dims)?), Vec::new());
    for image in 0..dims[0] * dims[1] {
        for (i, j) in (0..v.out).flat_map(|i| (0..h.out).map(move |j| (i, j))) {
            let (mut best, mut place) = (f64::NEG_INFINITY, 0);
            for (_, a, b) in taps(1, v, h) {
                if let (Some(p), Some(q)) = (v.place(i, a), h.place(j, b)) {
                    let at = (image * v.size + p) * h.size + q;
                    if x.data[at] > best {
                        (best, place) = (x.data[at], at as i64);
                    }
                }
            }
            largest.push(best);
            places.push(place);
        }
    }
    Ok(vec![x.like(&dims, largest)?, Value::ints(&dims, &places)?])
}
