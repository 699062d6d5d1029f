//! Determinants from LU factors.

use super::{Element, Linalg};

/// Of a diagonal and the permutation of rows, which is used up: what `op` says.
pub(super) fn determinant<T: Element>(op: Linalg, diagonal: &[T], rows: &mut [u32]) -> T {
    let one = T::from_f64(1.0);
    let exchanges = exchanges(rows);
    let even = exchanges.is_multiple_of(2);
    let sign = if even { one } else { -one };
    match op {
        Linalg::Det => diagonal.iter().fold(sign, |product, &u| product * u),
        Linalg::LogAbsDet => {
            let sum = diagonal
                .iter()
                .fold(0.0, |sum, &u| sum + u.to_f64().abs().ln());
            T::from_f64(sum)
        }
        _ => diagonal.iter().fold(sign, |sign, &u| {
            let zero = T::default();
            if u > zero {
                sign
            } else if u < zero {
                -sign
            } else {
                // Zero, or NaN.
                sign * u
            }
        }),
    }
}

/// How many exchanges of two make the permutation; sorts it.
fn exchanges(rows: &mut [u32]) -> usize {
    let mut count = 0;
    for i in 0..rows.len() {
        // Each exchange brings one row home, so there are fewer than rows.
        while rows[i] as usize != i && count < rows.len() {
            let at = rows[i] as usize;
            rows.swap(i, at);
            count += 1;
        }
    }
    count
}
