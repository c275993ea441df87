//! Does another execution provider compute what the processor computes?

use super::runtime::Runtime;
use super::session::{Array, Held, Session, Values};
use crate::stage::Failure;

/// How far a value may lie from the processor's, in units of the largest of its tensor. Float32 in another
/// order of summation differs by 1e-6 to 1e-5, bfloat16 by 1e-2, which is how a provider that quietly
/// computes in less than float32 shows.
const TOLERANCE: f32 = 1e-3;

/// What is needed to run a model again on the processor.
pub(super) struct Check {
    runtime: &'static Runtime,
    model: Vec<u8>,
    threads: usize,
}

impl Check {
    pub(super) fn new(runtime: &'static Runtime, model: &[u8], threads: usize) -> Self {
        Check { runtime, model: model.to_vec(), threads }
    }

    /// Compares the outputs of `provider` with the processor's on the same inputs.
    ///
    /// # Errors
    /// If they differ by more than float32 explains: where and by how much.
    pub(super) fn compare(
        self,
        provider: &str,
        inputs: &[(&str, &Held)],
        outputs: &[(String, Array)],
    ) -> Result<(), Failure> {
        let mut session = Session::new(self.runtime, &self.model, &["cpu".to_owned()], self.threads)?;
        let names: Vec<&str> = outputs.iter().map(|(name, _)| name.as_str()).collect();
        let expected = session.run_held(inputs, &names)?;
        for ((name, (shape, values)), expected) in outputs.iter().zip(&expected) {
            let (own_shape, own) = expected.array(name)?;
            if *shape != own_shape {
                return Err(refused(provider, name, &format!("shape {shape:?} instead of {own_shape:?}")));
            }
            if let (Values::F32(values), Values::F32(own)) = (values, &own) {
                let off = deviation(values, own);
                if off > TOLERANCE {
                    let text = format!("values that lie {:.2} % of the largest away", off * 100.0);
                    return Err(refused(provider, name, &text));
                }
            }
        }
        Ok(())
    }
}

fn refused(provider: &str, output: &str, what: &str) -> Failure {
    Failure::new(format!(
        "the execution provider `{provider}` does not compute what the processor does: the output `{output}` \
         has {what}"
    ))
    .hint(format!("{} % are allowed. Use `provider: cpu`, or set the provider to float32", TOLERANCE * 100.0))
}

/// The largest difference, in units of the largest expected value. Values that are no numbers must be so in
/// both.
fn deviation(values: &[f32], expected: &[f32]) -> f32 {
    let largest = expected.iter().filter(|v| v.is_finite()).fold(0.0_f32, |a, b| a.max(b.abs()));
    let apart = values.iter().zip(expected).map(|(a, b)| match (a.is_nan(), b.is_nan()) {
        (true, true) => 0.0,
        (false, false) if a == b => 0.0,
        (false, false) => (a - b).abs(),
        _ => f32::INFINITY,
    });
    let apart = apart.fold(0.0_f32, f32::max);
    if apart == 0.0 { 0.0 } else { apart / largest.max(f32::MIN_POSITIVE) }
}

#[cfg(test)]
mod tests {
    use super::deviation;

    #[test]
    fn deviations_count_against_the_largest_value() {
        assert_eq!(deviation(&[1.0, -2.0], &[1.0, -2.0]), 0.0);
        assert!((deviation(&[1.0, -2.02], &[1.0, -2.0]) - 0.01).abs() < 1e-6);
        assert!(deviation(&[0.0, 0.1], &[0.0, 0.0]) > 1.0);
    }

    #[test]
    fn what_is_no_number_must_be_so_in_both() {
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        assert_eq!(deviation(&[nan, inf, 1.0], &[nan, inf, 1.0]), 0.0);
        assert_eq!(deviation(&[nan, 1.0], &[2.0, 1.0]), inf);
        assert_eq!(deviation(&[2.0, 1.0], &[nan, 1.0]), inf);
        assert_eq!(deviation(&[inf, 1.0], &[2.0, 1.0]), inf);
    }
}
