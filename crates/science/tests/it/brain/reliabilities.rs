//! Reliability of responses.

use science::brain::reliability::{Repeats, leave_one_subject_out, normalize, signal_noise, split_half};
use science::brain::stats;

use super::{EXACT, agree, cases, rows};

#[test]
fn golden_reliability() {
    for (name, case) in cases("reliability") {
        let d = &case["D"];
        let [stimuli, repeats, voxels] = d.shape[..] else { panic!("{:?}", d.shape) };
        let splits: Vec<Vec<usize>> =
            rows(&case["splits"]).iter().map(|r| r.iter().map(|v| *v as usize).collect()).collect();
        let voxel =
            |v: usize| -> Vec<f64> { (0..stimuli * repeats).map(|i| d.data[i * voxels + v]).collect() };
        let mut found = std::collections::BTreeMap::<&str, Vec<f64>>::new();
        let mut by_split = [vec![0.0; splits.len() * voxels], vec![0.0; splits.len() * voxels]];
        for v in 0..voxels {
            let values = voxel(v);
            let data = Repeats { values: &values, repeats };
            let halves = split_half(data, &splits).unwrap();
            for (s, (r, sb)) in halves.r.iter().zip(&halves.sb).enumerate() {
                by_split[0][s * voxels + v] = *r;
                by_split[1][s * voxels + v] = *sb;
            }
            let noise = signal_noise(data).unwrap();
            let predicted: Vec<f64> = (0..stimuli).map(|i| case["pred"].data[i * voxels + v]).collect();
            let raw = stats::pearson(&predicted, &data.means()).unwrap();
            let (r, r2) = normalize(raw, halves.mean_of_sb).unwrap_or((f64::NAN, f64::NAN));
            for (what, value) in [
                ("mean_of_sb", halves.mean_of_sb),
                ("sb_of_mean_r", halves.sb_of_mean_r),
                ("signal_var", noise.signal),
                ("noise_var", noise.noise),
                ("nc_r2", noise.ceiling),
                ("raw_r", raw),
                ("norm_r", r),
                ("norm_r2", r2),
            ] {
                found.entry(what).or_default().push(value);
            }
        }
        for (what, values) in found {
            agree(&name, what, &values, &case[&format!("out_{what}")], EXACT);
        }
        agree(&name, "split_r", &by_split[0], &case["out_split_r"], EXACT);
        agree(&name, "split_sb", &by_split[1], &case["out_split_sb"], EXACT);

        let s = &case["subjects"];
        let [people, items, voxels] = s.shape[..] else { panic!("{:?}", s.shape) };
        let (mut lower, mut upper) = (vec![0.0; people * voxels], vec![0.0; people * voxels]);
        for v in 0..voxels {
            let own = |p: usize| -> Vec<f64> { (0..items).map(|i| s.row(p)[i * voxels + v]).collect() };
            let all: Vec<Vec<f64>> = (0..people).map(own).collect();
            let all: Vec<&[f64]> = all.iter().map(Vec::as_slice).collect();
            for (p, (low, high)) in leave_one_subject_out(&all).unwrap().into_iter().enumerate() {
                lower[p * voxels + v] = low;
                upper[p * voxels + v] = high;
            }
        }
        agree(&name, "loso_lower", &lower, &case["out_loso_lower"], EXACT);
        agree(&name, "loso_upper", &upper, &case["out_loso_upper"], EXACT);
    }
}
