//! Equality and closeness.

use super::{Array, ArrayError};
use crate::Element;

/// Equal shapes and equal elements, by IEEE: NaN is not equal to itself, and neither is an array that holds an error.
impl<T: Element> PartialEq for Array<T> {
    fn eq(&self, other: &Self) -> bool {
        self.fault.is_none()
            && other.fault.is_none()
            && self.shape == other.shape
            && self.data == other.data
    }
}

/// By how much `|x - y|` exceeds `atol + rtol * |y|`. Equal values, infinities too, are within; where one of two
/// different values is infinite this is infinite or NaN, never within, however infinite the tolerance.
fn excess(x: f64, y: f64, rtol: f64, atol: f64) -> f64 {
    if x == y {
        return f64::NEG_INFINITY;
    }
    (x - y).abs() - (atol + rtol * y.abs())
}

impl<T: Element> Array<T> {
    /// Whether the shapes are equal and all `|self - other| <= atol + rtol * |other|`. NaN is close to nothing.
    pub fn allclose(&self, other: &Self, rtol: f64, atol: f64) -> bool {
        self.check_close(other, rtol, atol).is_ok()
    }

    /// As [`allclose`](Self::allclose), with an error that counts the differences and shows the worst.
    pub fn check_close(&self, expected: &Self, rtol: f64, atol: f64) -> Result<(), ArrayError> {
        self.check_pair(expected)?;
        let mut count = 0;
        let mut worst = (0, f64::NEG_INFINITY);
        for (i, (x, y)) in self.data.iter().zip(&expected.data).enumerate() {
            let excess = excess(x.to_f64(), y.to_f64(), rtol, atol);
            if excess <= 0.0 {
                continue;
            }
            count += 1;
            // NaN is worse than anything; the first of equals stays.
            if excess > worst.1 || (excess.is_nan() && !worst.1.is_nan()) {
                worst = (i, excess);
            }
        }
        if count == 0 {
            return Ok(());
        }
        let at = worst.0;
        Err(ArrayError::NotClose {
            count,
            of: self.len(),
            rtol,
            atol,
            index: self.shape.index_of(at)[..self.rank()].into(),
            found: self.data[at].to_f64(),
            expected: expected.data[at].to_f64(),
        })
    }

    /// [`check_close`](Self::check_close) for tests.
    ///
    /// # Panics
    /// If the arrays are not close, with that error's message.
    #[track_caller]
    pub fn assert_close(&self, expected: &Self, rtol: f64, atol: f64) {
        if let Err(error) = self.check_close(expected, rtol, atol) {
            panic!("{error}");
        }
    }

    /// The largest `|self - other|` of arrays of equal shape, 0 for empty ones, NaN if any difference is NaN.
    pub fn max_abs_diff(&self, other: &Self) -> Result<f64, ArrayError> {
        self.check_pair(other)?;
        let differences = self.data.iter().zip(&other.data).map(|(x, y)| {
            let (x, y) = (x.to_f64(), y.to_f64());
            if x == y { 0.0 } else { (x - y).abs() }
        });
        Ok(differences.fold(0.0, |max, d| if d > max || d.is_nan() { d } else { max }))
    }

    fn check_pair(&self, other: &Self) -> Result<(), ArrayError> {
        self.check()?;
        other.check()?;
        if self.shape == other.shape {
            Ok(())
        } else {
            Err(ArrayError::Mismatch {
                operation: "compare",
                left: self.shape().into(),
                right: other.shape().into(),
            })
        }
    }
}
