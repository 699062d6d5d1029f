//! Sorting by counting what stands before each element.

/// Whether `x` stands before `y` in ascending order: NaN after everything.
fn less(x: f64, y: f64) -> bool {
    x < y || (!x.is_nan() && y.is_nan())
}

/// The positions of the elements in order, ties as they stand.
pub(super) fn order(x: &[f64], descending: bool) -> Vec<usize> {
    let before = |i: usize, j: usize| {
        let (a, b) = if descending {
            (x[j], x[i])
        } else {
            (x[i], x[j])
        };
        less(a, b) || (!less(b, a) && i < j)
    };
    let mut order = vec![0; x.len()];
    for j in 0..x.len() {
        order[(0..x.len()).filter(|&i| before(i, j)).count()] = j;
    }
    order
}

/// How many of the sorted elements stand before `y`, those equal to it included or not.
pub(super) fn before(sorted: &[f64], y: f64, equal: bool) -> usize {
    sorted
        .iter()
        .filter(|&&x| less(x, y) || (equal && !less(y, x)))
        .count()
}
