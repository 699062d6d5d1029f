//! Eigenvalues and singular values by Jacobi's rotations, QR by Gram and Schmidt: not the algorithms of the kernels. Factors
//! row under row, as `Linalg` says.

/// Columns, not rows.
type Columns = Vec<Vec<f64>>;

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

fn turn(x: &mut [f64], y: &mut [f64], c: f64, s: f64) {
    for (x, y) in x.iter_mut().zip(y) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

/// Columns `i < j`.
fn two(a: &mut Columns, i: usize, j: usize) -> (&mut [f64], &mut [f64]) {
    let (head, tail) = a.split_at_mut(j);
    (&mut head[i], &mut tail[0])
}

/// Cosine and sine of the smaller rotation that makes `[[p, o], [o, q]]` diagonal.
fn rotation(p: f64, o: f64, q: f64) -> (f64, f64) {
    let cot = (q - p) / (2.0 * o);
    let tan = cot.signum() / (cot.abs() + cot.hypot(1.0));
    let cos = 1.0 / tan.hypot(1.0);
    (cos, tan * cos)
}

/// The first element of at least 15/16 of the largest magnitude made positive; whether that turned the vector.
fn upright(x: &mut [f64]) -> bool {
    let largest = x.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    let first = x.iter().find(|x| x.abs() >= largest * 0.9375);
    let negative = first.is_some_and(|&x| x < 0.0);
    if negative {
        x.iter_mut().for_each(|x| *x = -*x);
    }
    negative
}

/// In how many sweeps over all pairs rotations end: they converge quadratically.
const SWEEPS: usize = 40;

/// The eigenvalues of the lower triangle's matrix, ascending, above the eigenvectors as columns.
pub(super) fn eigen(a: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n = a.len();
    let mut a: Columns = (0..n)
        .map(|i| (0..n).map(|j| a[i.max(j)][i.min(j)]).collect())
        .collect();
    let mut v: Columns = (0..n)
        .map(|j| (0..n).map(|i| f64::from(u8::from(i == j))).collect())
        .collect();
    let pairs = |n: usize| (0..n).flat_map(|j| (0..j).map(move |i| (i, j)));
    for (i, j) in (0..SWEEPS).flat_map(|_| pairs(n)) {
        if a[i][j].abs() <= 1e-18 * (a[i][i].abs() + a[j][j].abs()) {
            continue;
        }
        let (c, s) = rotation(a[i][i], a[i][j], a[j][j]);
        let (x, y) = two(&mut a, i, j);
        turn(x, y, c, s);
        for column in &mut a {
            (column[i], column[j]) = (c * column[i] - s * column[j], s * column[i] + c * column[j]);
        }
        let (x, y) = two(&mut v, i, j);
        turn(x, y, c, s);
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[i][i].total_cmp(&a[j][j]));
    let columns = order.iter().map(|&j| {
        upright(&mut v[j]);
        [&[a[j][j]], &v[j][..]].concat()
    });
    let columns: Columns = columns.collect();
    rows(&columns, n + 1)
}

/// `U` above the singular values, descending, above `V`, by rotations that make the columns of the longer side orthogonal.
/// Vectors of singular values that are zero are zero on that side.
pub(super) fn singular(a: &[Vec<f64>], n: usize) -> Vec<Vec<f64>> {
    let m = a.len();
    let mut long: Columns = if m < n { a.to_vec() } else { rows(a, n) };
    let k = long.len();
    let mut short: Columns = (0..k)
        .map(|j| (0..k).map(|i| f64::from(u8::from(i == j))).collect())
        .collect();
    let pairs = |n: usize| (0..n).flat_map(|j| (0..j).map(move |i| (i, j)));
    for (i, j) in (0..SWEEPS).flat_map(|_| pairs(k)) {
        let [p, o, q] = [(i, i), (i, j), (j, j)].map(|(i, j)| dot(&long[i], &long[j]));
        if o.abs() <= 1e-17 * (p * q).sqrt() {
            continue;
        }
        let (c, s) = rotation(p, o, q);
        for columns in [&mut long, &mut short] {
            let (x, y) = two(columns, i, j);
            turn(x, y, c, s);
        }
    }
    let lengths: Vec<f64> = long.iter().map(|x| dot(x, x).sqrt()).collect();
    let mut order: Vec<usize> = (0..k).collect();
    order.sort_by(|&i, &j| lengths[j].total_cmp(&lengths[i]));
    let columns = order.iter().map(|&j| {
        let by = if lengths[j] == 0.0 { 1.0 } else { lengths[j] };
        long[j].iter_mut().for_each(|x| *x /= by);
        let (left, right) = if m < n {
            (&mut short[j], &mut long[j])
        } else {
            (&mut long[j], &mut short[j])
        };
        if upright(left) {
            right.iter_mut().for_each(|x| *x = -*x);
        }
        [&left[..], &[lengths[j]], &right[..]].concat()
    });
    let columns: Columns = columns.collect();
    rows(&columns, m + 1 + n)
}

/// `Q` above `R`, each column made orthogonal to those before it twice.
pub(super) fn qr(a: &[Vec<f64>], n: usize) -> Vec<Vec<f64>> {
    let mut q: Columns = rows(a, n);
    let mut columns: Columns = Vec::new();
    for j in 0..n {
        let mut r = vec![0.0; n];
        for i in (0..j).chain(0..j) {
            let (x, y) = two(&mut q, i, j);
            let by = dot(x, y);
            y.iter_mut().zip(x).for_each(|(y, &mut x)| *y -= by * x);
            r[i] += by;
        }
        r[j] = dot(&q[j], &q[j]).sqrt();
        q[j].iter_mut().for_each(|x| *x /= r[j]);
        columns.push([&q[j][..], &r].concat());
    }
    rows(&columns, a.len() + n)
}

/// Columns as `count` rows, or the other way round.
fn rows(columns: &[Vec<f64>], count: usize) -> Vec<Vec<f64>> {
    (0..count)
        .map(|i| columns.iter().map(|column| column[i]).collect())
        .collect()
}
