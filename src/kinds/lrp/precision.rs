//! How many digits relevance maps keep.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Significant bits of the maps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// All 24.
    #[default]
    Float32,
    /// 11: halves, but for their range, which small relevance would fall below.
    Float16,
}

impl Precision {
    /// Rounds values to the nearest, ties to even.
    pub(super) fn round(self, values: &mut [f32]) {
        const DROPPED: u32 = 13;
        if self == Precision::Float16 {
            for value in values.iter_mut().filter(|value| value.is_finite()) {
                let bits = value.to_bits();
                let odd = bits >> DROPPED & 1;
                let rounded = f32::from_bits((bits + (1 << (DROPPED - 1)) - 1 + odd) >> DROPPED << DROPPED);
                // What would round to infinity keeps its digits.
                if rounded.is_finite() {
                    *value = rounded;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round(value: f32) -> f32 {
        let mut values = [value];
        Precision::Float16.round(&mut values);
        values[0]
    }

    #[test]
    fn what_is_no_number_stays_so() {
        for bits in [0x7fff_ffff_u32, 0x7f80_0001, 0xffff_ffff, 0x7fc0_0000] {
            assert!(round(f32::from_bits(bits)).is_nan(), "{bits:x}");
        }
        assert_eq!([f32::INFINITY, f32::MAX, f32::MIN].map(round), [f32::INFINITY, f32::MAX, f32::MIN]);
    }

    proptest! {
        #[test]
        fn halves_keep_eleven_bits_over_the_whole_range(value in proptest::num::f32::NORMAL | proptest::num::f32::SUBNORMAL | proptest::num::f32::ZERO) {
            let rounded = round(value);
            let far = (f64::from(rounded) - f64::from(value)).abs();
            prop_assert!(far <= f64::from(value).abs() / 2048.0 || value.is_subnormal());
            prop_assert_eq!(round(rounded).to_bits(), rounded.to_bits());
            prop_assert_eq!(rounded.is_sign_negative(), value.is_sign_negative());
        }
    }
}
