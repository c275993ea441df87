//! The transport problem by successive shortest paths with potentials (a generalised Hungarian method):
//! exact for whole units.

use crate::linalg::MatRef;

/// Where a path came from.
#[derive(Clone, Copy)]
struct Step {
    row: usize,
    distance: f64,
    done: bool,
}

/// Ships `supply` units from every row to the columns, at most `capacity` to each, so that the sum of
/// values × units is greatest. Gives (row, column, units) of every route used, in order. The columns
/// must be able to take what leaves the rows.
pub(super) fn transport(
    value: MatRef<'_, f64>,
    supply: usize,
    capacity: usize,
) -> Vec<(usize, usize, usize)> {
    let (rows, columns) = (value.nrows(), value.ncols());
    debug_assert!(rows * supply <= columns * capacity);
    let mut flow = vec![0_usize; rows * columns];
    let mut free = vec![capacity; columns];
    // Reduced costs −value − u − v are at least 0, and 0 where units flow.
    let mut u: Vec<f64> =
        (0..rows).map(|i| -value.row(i).iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect();
    let mut v = vec![0.0; columns];
    let mut steps = vec![Step { row: 0, distance: 0.0, done: false }; columns];
    let mut from = vec![usize::MAX; rows];
    let mut reached = vec![0.0; rows];
    for source in 0..rows {
        let mut left = supply;
        while left > 0 {
            steps.fill(Step { row: source, distance: f64::INFINITY, done: false });
            from.fill(usize::MAX);
            let mut visited = vec![source];
            reached[source] = 0.0;
            let mut next = 0;
            let (end, length) = loop {
                // Rows that were reached since the last look offer their columns.
                for row in visited.drain(next..).collect::<Vec<_>>() {
                    for (j, step) in steps.iter_mut().enumerate().filter(|(_, s)| !s.done) {
                        let distance = reached[row] + (-value[(row, j)] - u[row] - v[j]).max(0.0);
                        if distance < step.distance {
                            *step = Step { row, distance, done: false };
                        }
                    }
                    visited.push(row);
                }
                next = visited.len();
                let nearest = (0..columns)
                    .filter(|j| !steps[*j].done)
                    .min_by(|a, b| steps[*a].distance.total_cmp(&steps[*b].distance));
                let Some(column) = nearest else { return routes(&flow, columns) };
                steps[column].done = true;
                if free[column] > 0 {
                    break (column, steps[column].distance);
                }
                for row in 0..rows {
                    if flow[row * columns + column] > 0 && row != source && from[row] == usize::MAX {
                        from[row] = column;
                        reached[row] = steps[column].distance;
                        visited.push(row);
                    }
                }
            };
            for row in visited {
                u[row] += length - reached[row];
            }
            for (j, step) in steps.iter().enumerate().filter(|(_, s)| s.done) {
                v[j] -= length - step.distance;
            }
            // Back along the path: how much, then the change.
            let path = || {
                std::iter::successors(Some((steps[end].row, end)), |(row, _)| {
                    let column = *from.get(*row)?;
                    (column != usize::MAX).then(|| (steps[column].row, column))
                })
            };
            let backward = path().filter(|(row, _)| from[*row] != usize::MAX);
            let most = backward.map(|(row, _)| flow[row * columns + from[row]]).min().unwrap_or(left);
            let units = left.min(free[end]).min(most);
            for (row, column) in path().collect::<Vec<_>>() {
                flow[row * columns + column] += units;
                if from[row] != usize::MAX {
                    flow[row * columns + from[row]] -= units;
                }
            }
            free[end] -= units;
            left -= units;
        }
    }
    routes(&flow, columns)
}

fn routes(flow: &[usize], columns: usize) -> Vec<(usize, usize, usize)> {
    let used = flow.iter().enumerate().filter(|(_, units)| **units > 0);
    used.map(|(at, units)| (at / columns, at % columns, *units)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::linalg::Mat;

    /// The best sum over all ways to give rows distinct columns.
    fn exhaustive(c: MatRef<'_, f64>, row: usize, taken: &mut Vec<bool>) -> f64 {
        if row == c.nrows() {
            return 0.0;
        }
        let mut best = f64::NEG_INFINITY;
        for j in 0..c.ncols() {
            if !taken[j] {
                taken[j] = true;
                best = best.max(c[(row, j)] + exhaustive(c, row + 1, taken));
                taken[j] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn one_unit_each_is_the_best_assignment(
            rows in 1_usize..5, more in 0_usize..3, values in prop::collection::vec(-1.0_f64..1.0, 35),
        ) {
            let columns = rows + more;
            let c = Mat::from_fn(rows, columns, |i, j| values[i * columns + j]);
            let flow = transport(c.as_ref(), 1, 1);
            let sum: f64 = flow.iter().map(|(i, j, _)| c[(*i, *j)]).sum();
            prop_assert_eq!(flow.len(), rows);
            prop_assert!((sum - exhaustive(c.as_ref(), 0, &mut vec![false; columns])).abs() < 1e-12);
        }

        #[test]
        fn every_row_sends_and_every_column_takes_its_share(
            p in 1_usize..6, q in 1_usize..6, values in prop::collection::vec(-1.0_f64..1.0, 25),
        ) {
            let c = Mat::from_fn(p, q, |i, j| values[i * q + j]);
            let flow = transport(c.as_ref(), q, p);
            for i in 0..p {
                prop_assert_eq!(flow.iter().filter(|f| f.0 == i).map(|f| f.2).sum::<usize>(), q);
            }
            for j in 0..q {
                prop_assert_eq!(flow.iter().filter(|f| f.1 == j).map(|f| f.2).sum::<usize>(), p);
            }
        }
    }
}
