//! Times one analysis on data without a pattern, for `benches/brain.py`:
//! `brain TASK THREADS` prints seconds and a checksum.

use std::time::Instant;

use science::brain::compare::{Measure, compare};
use science::brain::encode::folds::contiguous;
use science::brain::encode::ridge::{Ridge, best};
use science::brain::rdm;
use science::error::{Error, Result};
use science::linalg::{Mat, product, with_threads};

/// Little-endian floats of a file that the other side wrote, row by row.
fn read<T: Copy>(path: &str, columns: usize, of: impl Fn(&[u8]) -> T) -> Result<Mat<T>> {
    let bytes = std::fs::read(path).map_err(|e| Error::new(format!("{path}: {e}")))?;
    let values: Vec<T> = bytes.chunks_exact(size_of::<T>()).map(of).collect();
    Ok(Mat::from_fn(values.len() / columns, columns, |i, j| values[i * columns + j]))
}

fn wide(bytes: &[u8]) -> f64 {
    f64::from_le_bytes(std::array::from_fn(|i| bytes[i]))
}

fn narrow(bytes: &[u8]) -> f32 {
    f32::from_le_bytes(std::array::from_fn(|i| bytes[i]))
}

fn task(name: &str, folder: &str) -> Result<(f64, String)> {
    let path = |file: &str| format!("{folder}/{file}");
    if name == "ridge" || name == "gemm" {
        let x = read(&path("x32.bin"), 4096, narrow)?;
        let begun = Instant::now();
        if name == "gemm" {
            let peak = product(x.as_ref(), x.transpose());
            return Ok((begun.elapsed().as_secs_f64(), format!("{}", peak[(0, 0)])));
        }
        let y = read(&path("y32.bin"), 1000, narrow)?;
        let begun = Instant::now();
        let alphas: Vec<f64> = (0..20).map(|i| 10_f64.powf(-1.0 + 7.0 * f64::from(i) / 19.0)).collect();
        let rows: Vec<usize> = (0..x.nrows()).collect();
        let ridge = Ridge::new(x.as_ref(), y.as_ref())?;
        let chosen = best(ridge.cross_validate(&rows, &contiguous(&rows, 5)?, &alphas)?.as_ref());
        let fit = ridge.fit(&rows, &chosen.iter().map(|i| alphas[*i]).collect::<Vec<_>>())?;
        let taken = begun.elapsed().as_secs_f64();
        let chosen: Vec<String> = chosen.iter().map(usize::to_string).collect();
        return Ok((taken, format!("{:.6} {}", fit.coefficients[(0, 0)], chosen.join(","))));
    }
    if name == "rdm" {
        let x = read(&path("x64.bin"), 5000, wide)?;
        let begun = Instant::now();
        let found = rdm::correlation(x.as_ref())?;
        return Ok((begun.elapsed().as_secs_f64(), format!("{:.12}", found.iter().sum::<f64>())));
    }
    let measure = Measure::ALL.iter().find(|(own, _)| *own == name);
    let (_, measure) = measure.ok_or_else(|| Error::new(format!("there is no task {name}")))?;
    let rows = |file: &str| -> Result<Vec<Vec<f64>>> {
        let all = read(&path(file), 499_500, wide)?;
        Ok((0..all.nrows()).map(|i| all.row(i).iter().copied().collect()).collect())
    };
    let (a, b) = (rows("r1.bin")?, rows("r2.bin")?);
    let begun = Instant::now();
    let found = compare(*measure, &a, &b)?;
    Ok((begun.elapsed().as_secs_f64(), format!("{:.12}", found.sum())))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, name, threads, folder] = &arguments[..] else {
        eprintln!("usage: brain TASK THREADS FOLDER");
        std::process::exit(2);
    };
    let threads = threads.parse().unwrap_or(1);
    match with_threads(threads, || task(name, folder)).and_then(|done| done) {
        Ok((seconds, check)) => println!("{seconds} {check}"),
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}
