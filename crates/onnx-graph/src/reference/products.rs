//! Matrix products.

use super::Call;
use super::elementwise::{broadcast, stretched};
use super::value::{Value, count};
use crate::error::{Error, Result};

/// The product of an m×k and a k×n matrix, added to `out`.
fn product(a: &[f64], b: &[f64], (m, k, n): (usize, usize, usize), out: &mut Vec<f64>) {
    for row in 0..m {
        for column in 0..n {
            out.push((0..k).map(|i| a[row * k + i] * b[i * n + column]).sum());
        }
    }
}

/// Stacks of matrices; the axes before the last two broadcast.
pub(super) fn matmul(call: &Call) -> Result<Vec<Value>> {
    let (a, b) = (call.x(0)?, call.x(1)?);
    let ([stack_a @ .., m, k], [stack_b @ .., l, n]) = (&a.dims[..], &b.dims[..]) else {
        return Err(Error::new("a factor has fewer than 2 dimensions"));
    };
    if k != l {
        return Err(Error::new(format!("the inner sizes {k} and {l} differ")));
    }
    let stack = broadcast(stack_a, stack_b)?;
    let whole = |tail: [usize; 2]| [&stack[..], &tail[..]].concat();
    let (x, y) = (stretched(a, &whole([*m, *k]))?, stretched(b, &whole([*k, *n]))?);
    let dims = whole([*m, *n]);
    let mut data = Vec::with_capacity(count(&dims)?);
    for i in 0..count(&stack)? {
        let (left, right) = (&x.data[i * m * k..(i + 1) * m * k], &y.data[i * k * n..(i + 1) * k * n]);
        product(left, right, (*m, *k, *n), &mut data);
    }
    Ok(vec![a.like(&dims, data)?])
}

pub(super) fn gemm(call: &Call) -> Result<Vec<Value>> {
    let matrix = |i: usize, flag: &str| -> Result<Value> {
        let x = call.x(i)?;
        let [rows, columns] = x.dims[..] else {
            return Err(Error::new(format!("a factor has {} dimensions, not 2", x.dims.len())));
        };
        if call.int(flag, 0) == 0 {
            return Ok(x.clone());
        }
        let data = (0..rows * columns).map(|p| x.data[p % rows * columns + p / rows]).collect();
        x.like(&[columns, rows], data)
    };
    let (a, b) = (matrix(0, "transA")?, matrix(1, "transB")?);
    let (m, k, n) = (a.dims[0], a.dims[1], b.dims[1]);
    if k != b.dims[0] {
        return Err(Error::new(format!("the inner sizes {k} and {} differ", b.dims[0])));
    }
    let mut data = Vec::with_capacity(count(&[m, n])?);
    product(&a.data, &b.data, (m, k, n), &mut data);
    let alpha = call.float("alpha", 1.0);
    data.iter_mut().for_each(|v| *v *= alpha);
    if let Some(c) = call.optional(2) {
        if broadcast(&c.dims, &[m, n])? != [m, n] {
            return Err(Error::new(format!("the addend of shape {:?} does not fit", c.dims)));
        }
        let (beta, addend) = (call.float("beta", 1.0), stretched(c, &[m, n])?);
        data.iter_mut().zip(&addend.data).for_each(|(v, c)| *v += beta * c);
    }
    Ok(vec![a.like(&[m, n], data)?])
}
