//! Bounds on gradients, for the two-call form of an optimiser: `backward`, clip, `update`.

use retrograde::{Error, ErrorKind, Float, Gradients, Result};

/// Scales all gradients together so that their Euclidean norm is `limit` at most; returns the norm before.
///
/// A norm that is not finite is an error and nothing is changed: scaling by it would turn every gradient into NaN.
pub fn clip_norm<T: Float>(grads: &mut Gradients<T>, limit: f64) -> Result<f64> {
    check(limit)?;
    let norm = grads.norm();
    if !norm.is_finite() {
        return Err(Error::new(
            ErrorKind::NotFinite,
            format!("the gradients' norm is {norm}; they cannot be clipped"),
        ));
    }
    if norm > limit {
        grads.scale(T::of(limit / norm));
    }
    Ok(norm)
}

/// Moves every gradient into `[-limit, limit]`; NaN stays.
pub fn clip_value<T: Float>(grads: &mut Gradients<T>, limit: f64) -> Result<()> {
    check(limit)?;
    let (low, high) = (T::of(-limit), T::of(limit));
    for g in grads.column_mut() {
        if *g > high {
            *g = high;
        } else if *g < low {
            *g = low;
        }
    }
    Ok(())
}

fn check(limit: f64) -> Result<()> {
    if limit >= 0.0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Setting,
        format!("a limit on gradients must be a number that is not negative, not {limit}"),
    ))
}
