//! Comparing results bit by bit.

use retrograde::{Array, Real};

/// Where two arrays first differ in shape or bits; any NaN equals any NaN.
pub fn first_difference<T: Real>(a: &Array<T>, b: &Array<T>) -> Option<String> {
    if a.shape() != b.shape() {
        return Some(format!("shapes {:?} and {:?}", a.shape(), b.shape()));
    }
    let differ = |x: T, y: T| {
        let (x, y) = (x.to_f64(), y.to_f64());
        x.to_bits() != y.to_bits() && !(x.is_nan() && y.is_nan())
    };
    let at = a.iter().zip(b.iter()).position(|(&x, &y)| differ(x, y))?;
    Some(format!(
        "element {at} of {:?}: {:?} and {:?}",
        a.shape(),
        a.as_slice()[at],
        b.as_slice()[at]
    ))
}

/// Where several results first differ.
pub fn first_difference_of_all<T: Real>(a: &[Array<T>], b: &[Array<T>]) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} results and {}", a.len(), b.len()));
    }
    a.iter()
        .zip(b)
        .enumerate()
        .find_map(|(i, (a, b))| Some(format!("result {i}, {}", first_difference(a, b)?)))
}

/// Where two results differ by more than `tolerance` of the largest magnitude in them; what is not finite is left out,
/// because rounding decides when it overflows.
pub fn first_distance<T: Real>(a: &[Array<T>], b: &[Array<T>], tolerance: f64) -> Option<String> {
    for (i, (a, b)) in a.iter().zip(b).enumerate() {
        let scale = a
            .iter()
            .map(|x| x.to_f64().abs())
            .filter(|x| x.is_finite())
            .fold(1.0, f64::max);
        for (at, (x, y)) in a.iter().zip(b.iter()).enumerate() {
            let (x, y) = (x.to_f64(), y.to_f64());
            if x.is_finite() && y.is_finite() && (x - y).abs() > tolerance * scale {
                return Some(format!(
                    "result {i}, element {at}: {x:e} and {y:e}, scale {scale:e}"
                ));
            }
        }
    }
    None
}
