//! What is read of a row to make its map, and what is written of it.

use onnx_graph::relevance::Attribution;

use super::explain::Explained;
use super::params::Params;
use crate::kinds::chunks::row_digests;
use crate::stage::{Digest, Failure};
use crate::table::{Frame, Tensor};

/// Digests of all that is read of each row: its input, the start relevance that it gives, and, where noise is
/// drawn by the number of the row, that number. The first row has the number `at`.
pub(super) fn read_of_rows(
    params: &Params,
    tensor: &Tensor<f32>,
    given: Option<&[f32]>,
    width: usize,
    at: usize,
) -> Vec<Digest> {
    let mut rows = row_digests(tensor);
    let noisy = params.composite.is("smooth_grad");
    if given.is_none() && !noisy {
        return rows;
    }
    for (number, row) in rows.iter_mut().enumerate() {
        let start = given.map_or(&[][..], |g| &g[number * width..][..width]);
        let mut bytes = row.bytes().to_vec();
        bytes.extend(start.iter().flat_map(|v| v.to_le_bytes()));
        if noisy {
            bytes.extend(((at + number) as u64).to_le_bytes());
        }
        *row = Digest::of(&bytes);
    }
    rows
}

/// The columns that are kept of rows: what was explained, its value and the map.
pub(super) fn written(params: &Params, result: Explained) -> Result<Frame, Failure> {
    let completeness = params.completeness.then(|| completeness(&result.maps, &result.whole));
    let mut maps = summed(result.maps, params.sum_channels);
    params.precision.round(&mut maps.values);
    let (rows, mut frame) = (result.targets.len(), Frame::new());
    frame.push_i64s("target", result.targets)?;
    frame.push_f64s("logit", result.logits)?;
    frame.push_tensor_f32("relevance", maps)?;
    if let Some(column) = completeness {
        frame.push_f64s("completeness", column)?;
    }
    if params.conservation {
        let row_shape = vec![result.counts.len() / rows.max(1)];
        frame.push_tensor_f32("counts", Tensor { row_shape, values: result.counts })?;
    }
    Ok(frame)
}

/// How far the sum of each map is from what a complete one sums to, as a share of that; no number where that is
/// nought, as a contrast's start is but for rounding.
fn completeness(maps: &Tensor<f32>, whole: &[f64]) -> Vec<f64> {
    let sum = |map: &[f32]| map.iter().map(|v| f64::from(*v)).sum::<f64>();
    let sums = maps.values.chunks(maps.row_size().max(1)).map(sum);
    let share = |(sum, whole): (f64, &f64)| {
        if whole.abs() < 1e-6 { f64::NAN } else { (sum - whole).abs() / whole.abs() }
    };
    sums.zip(whole).map(share).collect()
}

/// Adds up the first axis of each map.
fn summed(maps: Tensor<f32>, channels: bool) -> Tensor<f32> {
    let (Some((count, rest)), true) = (maps.row_shape.split_first(), channels) else { return maps };
    let plane = rest.iter().product::<usize>().max(1);
    let add = |map: &[f32]| -> Vec<f32> {
        let pixel = |p: usize| (0..*count).map(|c| f64::from(map[c * plane + p])).sum::<f64>() as f32;
        (0..plane).map(pixel).collect()
    };
    let values = maps.values.chunks_exact(count * plane).flat_map(add).collect();
    Tensor { row_shape: rest.to_vec(), values }
}

/// The table of what each layer passed on, from means over rows, four a layer.
pub(super) fn conservation(made: &Attribution, means: &[f64]) -> Result<Frame, Failure> {
    let mut frame = Frame::new();
    let text =
        |pick: fn(&onnx_graph::relevance::Line) -> &String| made.lines.iter().map(pick).collect::<Vec<_>>();
    frame.push_i64s("order", (0..made.lines.len() as i64).collect())?;
    frame.push_strings("node", &text(|l| &l.node))?;
    frame.push_strings("op", &text(|l| &l.op))?;
    frame.push_strings("rule", &text(|l| &l.rule))?;
    let names = ["relevance_out", "relevance_in", "absorbed_by_bias", "absorbed_by_stabiliser"];
    for (k, name) in names.into_iter().enumerate() {
        let column = means.chunks_exact(4).map(|line| line[k]).collect();
        frame.push_f64s(name, column)?;
    }
    Ok(frame)
}
