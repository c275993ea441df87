//! Maps as one number a channel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::table::Tensor;

/// How the values of a channel become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// Their mean.
    Mean,
    /// The largest; NaN if one is.
    Max,
}

impl Pool {
    /// A row's tensor of shape [channels, …] as [channels]; `None` where no axis is behind the channels, or one
    /// of them is empty.
    pub(super) fn apply(self, tensor: &Tensor<f32>) -> Option<Tensor<f32>> {
        let (channels, behind) = tensor.row_shape.split_first()?;
        let size: usize = behind.iter().product();
        if behind.is_empty() || size == 0 {
            return None;
        }
        let values = tensor.values.chunks_exact(size).map(|channel| self.of(channel)).collect();
        Some(Tensor { row_shape: vec![*channels], values })
    }

    fn of(self, values: &[f32]) -> f32 {
        match self {
            Pool::Mean => (values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64) as f32,
            Pool::Max => values.iter().fold(f32::NEG_INFINITY, |most, v| match *v > most || v.is_nan() {
                true => *v,
                false => most,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_channel_becomes_its_mean_or_its_largest_value() {
        let values =
            vec![1.0, 2.0, 3.0, 6.0, -1.0, -2.0, -3.0, -6.0, 0.0, f32::NAN, 9.0, 1.0, 2.0, 2.0, 2.0, 2.0];
        let two_rows = Tensor { row_shape: vec![2, 2, 2], values };
        let mean = Pool::Mean.apply(&two_rows).unwrap();
        assert_eq!((mean.row_shape, &mean.values[..2], mean.values[3]), (vec![2], &[3.0, -3.0][..], 2.0));
        let max = Pool::Max.apply(&two_rows).unwrap().values;
        assert_eq!((&max[..2], max[3]), (&[6.0, -1.0][..], 2.0));
        assert!(mean.values[2].is_nan() && max[2].is_nan());
        for row_shape in [vec![], vec![4], vec![4, 0]] {
            assert!(Pool::Mean.apply(&Tensor { row_shape, values: vec![] }).is_none());
        }
    }
}
