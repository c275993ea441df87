//! Simulated ensembles with known truth: how often intervals of the exponent hold it, and how often the generating
//! model is chosen. `fits coverage CHAINS ENSEMBLES` or `fits selection CASES`.

use std::collections::BTreeMap;

use rayon::prelude::*;
use science::error::{Error, Result};

#[path = "../tests/it/processes.rs"]
mod processes;

use processes::{CLASSES, chosen, covered, filter};

fn coverage(chains: usize, ensembles: u64) -> Result<()> {
    for truth in [0.5, 1.0, 1.5] {
        let filter = filter(truth);
        let inside = |seed: u64| covered(&filter, truth, chains, seed);
        let all: Vec<_> = (0..ensembles).into_par_iter().map(inside).collect::<Result<_>>()?;
        for (k, name) in ["time-averaged", "ensemble"].into_iter().enumerate() {
            let share = all.iter().filter(|e| e[k].0).count() as f64 / all.len() as f64;
            let width = all.iter().map(|e| e[k].1).sum::<f64>() / all.len() as f64;
            println!("c {truth} {chains} chains {name}: coverage {share:.3}, mean width {width:.3}");
        }
    }
    Ok(())
}

fn selection(cases: u64) -> Result<()> {
    let (slow, fast) = (filter(0.6), filter(1.4));
    for class in CLASSES {
        let one = |seed: u64| chosen([&slow, &fast], class, seed);
        let all: Vec<String> = (0..cases).into_par_iter().map(one).collect::<Result<_>>()?;
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        all.iter().for_each(|name| *counts.entry(name).or_default() += 1);
        println!("{class}: {counts:?} of {cases}");
    }
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |k: usize| words.get(k).and_then(|w| w.parse::<u64>().ok());
    match (words.first().map(String::as_str), number(1), number(2)) {
        (Some("coverage"), Some(chains), Some(ensembles)) => coverage(chains as usize, ensembles),
        (Some("selection"), Some(cases), _) => selection(cases),
        _ => Err(Error::new("fits coverage CHAINS ENSEMBLES | fits selection CASES")),
    }
}
