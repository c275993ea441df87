//! What chains do in the phase plane of one eigendirection: positions and velocities around their means.

use crate::error::{Error, Result};

/// Positions and velocities of one chain, recorded at even steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Orbit {
    /// a.
    pub positions: Vec<f64>,
    /// u.
    pub velocities: Vec<f64>,
}

/// A mean over chains and its standard error, no number for one chain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Its standard error.
    pub error: f64,
}

/// What was measured; every chain counts from its own mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Var a.
    pub position_variance: Mean,
    /// Var u.
    pub velocity_variance: Mean,
    /// ½ (a_k u_(k+s) − u_k a_(k+s)) for s steps between records.
    pub area_rate: Mean,
    /// Radians a step of the linear map that leads from one record to the next (least squares), if it turns.
    pub angle: Option<f64>,
}

/// Measures orbits with `spacing` steps between records.
///
/// # Errors
/// If there is no chain, a chain has fewer than eight records, or a value is no number.
pub fn measure(orbits: &[Orbit], spacing: u64) -> Result<Measured> {
    if orbits.is_empty() {
        return Err(Error::new("there is no chain"));
    }
    let mut each = Vec::with_capacity(orbits.len());
    // Sums of z' zᵀ and z zᵀ over all chains, for the map z' = B z.
    let (mut cross, mut own) = ([[0.0; 2]; 2], [[0.0; 2]; 2]);
    for orbit in orbits {
        let n = orbit.positions.len();
        if n < 8 || orbit.velocities.len() != n {
            return Err(Error::new(format!("a chain of {n} records is too short; eight are needed")));
        }
        let (a, u) = (centred(&orbit.positions), centred(&orbit.velocities));
        if !a.iter().chain(&u).all(|v| v.is_finite()) {
            return Err(Error::new("a position or velocity is no number"));
        }
        let square = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>() / n as f64;
        let mut area = 0.0;
        for k in 0..n - 1 {
            let (now, then) = ([a[k], u[k]], [a[k + 1], u[k + 1]]);
            area += 0.5 * (now[0] * then[1] - now[1] * then[0]);
            for i in 0..2 {
                for j in 0..2 {
                    cross[i][j] += then[i] * now[j];
                    own[i][j] += now[i] * now[j];
                }
            }
        }
        each.push((square(&a), square(&u), area / (n - 1) as f64));
    }
    Ok(Measured {
        position_variance: mean(each.iter().map(|e| e.0)),
        velocity_variance: mean(each.iter().map(|e| e.1)),
        area_rate: mean(each.iter().map(|e| e.2)),
        angle: angle(&cross, &own).map(|turn| turn / spacing.max(1) as f64),
    })
}

/// The angle by which B = (Σ z' zᵀ)(Σ z zᵀ)⁻¹ turns, if its eigenvalues are complex.
fn angle(cross: &[[f64; 2]; 2], own: &[[f64; 2]; 2]) -> Option<f64> {
    let det = |m: &[[f64; 2]; 2]| m[0][0] * m[1][1] - m[0][1] * m[1][0];
    let scale = det(own);
    // tr B and det B, with the inverse written out.
    let trace = (cross[0][0] * own[1][1] - cross[0][1] * own[1][0] + cross[1][1] * own[0][0]
        - cross[1][0] * own[0][1])
        / scale;
    let product = det(cross) / scale;
    let cosine = trace / (2.0 * product.sqrt());
    (product > 0.0 && cosine.abs() < 1.0).then(|| cosine.acos())
}

fn centred(values: &[f64]) -> Vec<f64> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|v| v - mean).collect()
}

fn mean(values: impl Iterator<Item = f64>) -> Mean {
    let all: Vec<f64> = values.collect();
    let n = all.len() as f64;
    let value = all.iter().sum::<f64>() / n;
    let square: f64 = all.iter().map(|v| (v - value).powi(2)).sum();
    Mean { value, error: (square / (n - 1.0) / n).sqrt() }
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::Xoshiro256PlusPlus;
    use rand_xoshiro::rand_core::SeedableRng;

    use super::*;
    use crate::dynamics::modes::Mode;
    use crate::dynamics::skip::Jump;

    #[test]
    fn orbits_of_the_exact_process_have_the_predicted_moments() {
        let mode = Mode { learning_rate: 0.05, momentum: 0.9, curvature: 1.3 };
        let noise = 0.02;
        for spacing in [1u64, 4] {
            let jump = Jump::new(&mode, noise, spacing);
            let orbit = |seed| {
                let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
                let mut orbit = Orbit::default();
                let mut z = Jump::new(&mode, noise, 1000).draw((0.0, 0.0), &mut random);
                for _ in 0..20_000 {
                    z = jump.draw(z, &mut random);
                    orbit.positions.push(z.0);
                    orbit.velocities.push(z.1);
                }
                orbit
            };
            let orbits: Vec<Orbit> = (0..8).map(orbit).collect();
            let found = measure(&orbits, spacing).unwrap();
            let near = |found: Mean, wanted: f64| {
                assert!((found.value - wanted).abs() < 5.0 * found.error, "{found:?} against {wanted}");
                assert!(found.error < 0.05 * wanted.abs());
            };
            near(found.position_variance, mode.position_variance(noise));
            near(found.velocity_variance, mode.velocity_variance(noise));
            near(found.area_rate, mode.area_rate(noise, spacing));
            assert!(mode.area_rate(noise, spacing) < 0.0);
            let angle = mode.angle().unwrap();
            assert!((found.angle.unwrap() / angle - 1.0).abs() < 0.02, "{:?} against {angle}", found.angle);
        }
    }

    #[test]
    fn what_does_not_turn_has_no_angle() {
        let mode = Mode { learning_rate: 0.05, momentum: 0.5, curvature: 0.1 };
        let jump = Jump::new(&mode, 1.0, 1);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let (mut orbit, mut z) = (Orbit::default(), (0.0, 0.0));
        for _ in 0..50_000 {
            z = jump.draw(z, &mut random);
            orbit.positions.push(z.0);
            orbit.velocities.push(z.1);
        }
        assert_eq!(measure(&[orbit], 1).unwrap().angle, None);
        assert!(measure(&[], 1).is_err() && measure(&[Orbit::default()], 1).is_err());
    }
}
