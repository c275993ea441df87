//! Numbers drawn from a seed and a name: the same on every machine and in every order.

/// A uniform number in [0, 1) that depends on `seed`, `purpose` and `key` alone.
pub(in crate::kinds) fn uniform(seed: u64, purpose: &str, key: &[u8]) -> f64 {
    // The top 53 bits fill the mantissa of a double exactly.
    (bits(seed, purpose, key) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A uniform whole number below `bound`, which is at least 1.
pub(super) fn below(seed: u64, purpose: &str, key: &[u8], bound: usize) -> usize {
    // The upper half of a 128-bit product; the bias is below bound / 2⁶⁴.
    let wide = u128::from(bits(seed, purpose, key)) * bound as u128;
    (wide >> 64) as usize
}

/// 64 uniform bits.
pub(in crate::kinds) fn bits(seed: u64, purpose: &str, key: &[u8]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(key);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform() {
        let draws: Vec<f64> = (0..20_000_u64).map(|i| uniform(1, "t", &i.to_le_bytes())).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        // Five standard errors of the mean of uniform draws.
        assert!((mean - 0.5).abs() < 5.0 * (1.0 / 12.0_f64 / 20_000.0).sqrt(), "{mean}");
        let mut counts = [0; 7];
        for i in 0..7_000_u64 {
            counts[below(2, "t", &i.to_le_bytes(), 7)] += 1;
        }
        assert!(counts.iter().all(|c| (850..1150).contains(c)), "{counts:?}");
    }
}
