//! How good predictions are.

use retrograde::{Array, Error, ErrorKind, Float, Result};

/// The share of rows of `logits`, `[n, classes]`, whose first largest element stands at the row's label. NaN is never
/// largest.
pub fn accuracy<T: Float>(logits: &Array<T>, labels: &Array<u32>) -> Result<f64> {
    logits.check()?;
    labels.check()?;
    let &[n, classes] = logits.shape() else {
        return Err(Error::new(ErrorKind::Shape, format!("accuracy of logits {:?}: expected [n, classes]", logits.shape())));
    };
    if labels.shape() != [n] || n * classes == 0 {
        let message = format!("accuracy of logits [{n}, {classes}]: expected a label for each row, found {:?}", labels.shape());
        return Err(Error::new(ErrorKind::Shape, message));
    }
    let rows = logits.as_slice().chunks_exact(classes);
    let hits = rows.zip(labels.iter()).filter(|(row, label)| largest(row) == Some(**label as usize)).count();
    Ok(hits as f64 / n as f64)
}

fn largest<T: Float>(row: &[T]) -> Option<usize> {
    let mut best: Option<(usize, T)> = None;
    for (i, &x) in row.iter().enumerate() {
        if best.map_or(x == x, |(_, b)| x > b) {
            best = Some((i, x));
        }
    }
    best.map(|b| b.0)
}
