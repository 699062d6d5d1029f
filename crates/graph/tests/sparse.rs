//! Sparse Jacobians and Hessians against dense ones that know of no pattern, and against central differences.

use retrograde_graph::{
    Attention, ConvOptions, Direction, Order, Pattern, PoolOptions, Program, Rec, Var,
};
use retrograde_storage::{Array, Create};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Numbers that repeat.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn array(&mut self, shape: &[usize], low: f64, high: f64) -> Array<f64> {
        Array::from_shape_fn(shape.to_vec(), |_| {
            low + (high - low) * (self.next() >> 11) as f64 / (1u64 << 53) as f64
        })
    }
}

/// Every row by a reverse sweep of its own: no pattern, no colours, one seed a replay.
fn dense(f: &Program, inputs: &[&Array<f64>], wrt: usize) -> Result<Array<f64>> {
    let vjp = f.vjp()?.output(1 + wrt)?;
    let shape = f.output_shape(0).unwrap_or(&[]).to_vec();
    let (m, n) = (shape.iter().product(), inputs[wrt].len());
    let (mut ws, mut jacobian) = (vjp.workspace()?, Array::<f64>::try_zeros([m, n])?);
    ws.set_repeat(true);
    for row in 0..m {
        let mut seed = Array::<f64>::try_zeros(shape.clone())?;
        seed.as_mut_slice()[row] = 1.0;
        let feed: Vec<&Array<f64>> = inputs.iter().copied().chain([&seed]).collect();
        let out = vjp.run(&mut ws, &feed[..])?;
        jacobian.as_mut_slice()[row * n..][..n].copy_from_slice(out.slice(0)?);
    }
    Ok(jacobian)
}

fn agree(what: &str, found: &Array<f64>, expected: &Array<f64>) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (e, (a, b)) in found.iter().zip(expected.iter()).enumerate() {
        assert!(
            (a - b).abs() <= 1e-12 * (1.0 + b.abs()),
            "{what}: element {e} is {a}, not {b}"
        );
    }
}

/// The pattern misses no element that is not zero, and what comes out is the Jacobian.
fn check_jacobian(what: &str, f: &Program, inputs: &[&Array<f64>], wrt: usize) -> Result<Pattern> {
    let expected = dense(f, inputs, wrt)?;
    let sparse = f.sparse_jacobian(wrt)?;
    let pattern = sparse.pattern().clone();
    let n = pattern.columns();
    for (e, x) in expected.iter().enumerate() {
        let known = pattern.position(e / n, e % n).is_some();
        assert!(
            known || *x == 0.0,
            "{what}: ({}, {}) is {x}, and no place",
            e / n,
            e % n
        );
    }
    let mut ws = sparse.workspace::<f64>()?;
    let mut matrix = sparse.matrix()?;
    for _ in 0..2 {
        sparse.run_into(&mut ws, inputs, &mut matrix)?;
        agree(what, &matrix.to_dense()?, &expected);
    }
    agree(what, &f.jacobian(wrt)?.run(inputs)?, &expected);
    Ok(pattern)
}

fn check_hessian(what: &str, f: &Program, inputs: &[&Array<f64>], wrt: usize) -> Result<Pattern> {
    let gradient = f.value_and_grad_of(&[wrt])?.output(1)?;
    let expected = dense(&gradient, inputs, wrt)?;
    let sparse = f.sparse_hessian(wrt)?;
    let (pattern, found) = (sparse.pattern().clone(), sparse.run::<f64>(inputs)?);
    agree(what, &found.to_dense()?, &expected);
    agree(what, &f.hessian(wrt)?.run(inputs)?, &expected);
    assert_eq!(
        pattern,
        pattern.transposed(),
        "{what}: a Hessian is symmetric"
    );
    Ok(pattern)
}

/// Bundle adjustment: reprojection error of points seen by cameras (rotation as an axis times an angle, position, focal
/// length, centre, two coefficients of distortion), each weighted. Cameras, points and weights are one vector.
fn bundle<'t>(
    rec: Rec<'t>,
    x: Var<'t, f64>,
    [cameras, points]: [usize; 2],
    observed: &[(u32, u32)],
) -> Var<'t, f64> {
    let n = observed.len();
    let column = |pick: &dyn Fn(&(u32, u32)) -> u32| {
        let all: Vec<_> = observed.iter().map(|o| rec.scalar(pick(o))).collect();
        rec.stack(&all, 0)
    };
    let parts = x.split(&[11 * cameras, 3 * points, n], 0);
    let (camera, point) = (
        parts[0].reshape([cameras, 11]),
        parts[1].reshape([points, 3]),
    );
    let weight = parts[2];
    let c = camera.index_select(0, column(&|o| o.0));
    let p = point.index_select(0, column(&|o| o.1));
    let part = |i: usize, k: usize| c.slice_axis(i, k);
    let (rotation, position) = (part(0, 3), part(3, 3));
    let moved = p - position;
    let angle2 = rotation.square().sum_over(retrograde_graph::keep(1)) + 1e-12;
    let angle = angle2.sqrt();
    let axis = rotation / angle;
    let (sin, cos) = (angle.sin(), angle.cos());
    let cross = |a: Var<'t, f64>, b: Var<'t, f64>| {
        let col = |v: Var<'t, f64>, i: usize| v.slice_axis(i, 1);
        let minor = |i: usize, j: usize| col(a, i) * col(b, j) - col(a, j) * col(b, i);
        rec.concat(&[minor(1, 2), minor(2, 0), minor(0, 1)], 1)
    };
    let along = (axis * moved).sum_over(retrograde_graph::keep(1));
    let turned = moved * cos + cross(axis, moved) * sin + axis * along * (1.0 - cos);
    let flat = turned.slice_axis(0, 2) / turned.slice_axis(2, 1);
    let r2 = flat.square().sum_over(retrograde_graph::keep(1));
    let distorted = flat * (1.0 + part(9, 1) * r2 + part(10, 1) * r2.square());
    let pixel = part(7, 2) + part(6, 1) * distorted;
    let target = rec.linspace::<f64>(-1.0, 1.0, 2 * n).reshape([n, 2]);
    let error = weight.reshape([n, 1]) * (pixel - target);
    rec.concat(&[error.flatten(), 1.0 - weight.square()], 0)
}

trait SliceAxis {
    /// Columns `start..start + len`.
    fn slice_axis(self, start: usize, len: usize) -> Self;
}
impl SliceAxis for Var<'_, f64> {
    fn slice_axis(self, start: usize, len: usize) -> Self {
        self.narrow(1, start, len)
    }
}

#[test]
fn bundle_adjustment_has_fourteen_places_a_residual() -> Result {
    let (cameras, points, mut numbers) = (4, 20, Numbers(1));
    let mut observed = Vec::new();
    for c in 0..cameras {
        for p in 0..points {
            if numbers.below(3) > 0 {
                observed.push((c as u32, p as u32));
            }
        }
    }
    let n = observed.len();
    let length = 11 * cameras + 3 * points + n;
    let x = numbers.array(&[length], 0.2, 1.0);
    let seen = observed.clone();
    let f = Program::record(&[x.clone()], move |rec, [x]| {
        bundle(rec, x, [cameras, points], &seen)
    })?;

    let pattern = check_jacobian("ba", &f, &[&x], 0)?;
    for (i, &(c, p)) in observed.iter().enumerate() {
        let (camera, point) = (11 * c, 11 * cameras as u32 + 3 * p);
        let weight = (11 * cameras + 3 * points + i) as u32;
        let all = || {
            (camera..camera + 11)
                .chain(point..point + 3)
                .chain([weight])
        };
        // A coordinate of the centre moves one coordinate of the picture.
        for (row, not) in [(2 * i, camera + 8), (2 * i + 1, camera + 7)] {
            let expected: Vec<u32> = all().filter(|&j| j != not).collect();
            assert_eq!(pattern.row(row), expected);
        }
        assert_eq!(pattern.row(2 * n + i), [weight]);
    }
    assert_eq!(pattern.len(), 29 * n);

    let jacobian = f.sparse_jacobian(0)?;
    assert_eq!(jacobian.direction(), Direction::Forward);
    assert_eq!(jacobian.products(), 14, "no more than a row has places");
    let found = jacobian.run::<f64>([&x])?;
    let mut ws = f.workspace()?;
    let mut value = |x: &Array<f64>| -> Result<Array<f64>> { Ok(f.run(&mut ws, [x])?.array(0)?) };
    for j in [0, 5, 10, 12, 11 * cameras + 7, length - 1] {
        let moved = |by: f64| {
            let mut moved = x.clone();
            moved.as_mut_slice()[j] += by;
            moved
        };
        let (above, below) = (value(&moved(1e-6))?, value(&moved(-1e-6))?);
        for i in 0..pattern.rows() {
            let difference = (above.as_slice()[i] - below.as_slice()[i]) / 2e-6;
            let by_rule = found.get(i, j);
            assert!(
                (by_rule - difference).abs() < 1e-5 * (1.0 + difference.abs()),
                "({i}, {j})"
            );
        }
    }
    Ok(())
}

#[test]
fn means_of_clusters_have_a_diagonal_hessian() -> Result {
    // k-means: the squared distance of every point to the nearest centre.
    let mut numbers = Numbers(2);
    let (points, centres) = (
        numbers.array(&[50, 3], 0.0, 1.0),
        numbers.array(&[5, 3], 0.0, 1.0),
    );
    let f = Program::record(&[points.clone(), centres.clone()], |_, [p, c]| {
        let apart = (p.unsqueeze(1) - c.unsqueeze(0)).square().sum_over(2);
        apart.min_over(1).sum()
    })?;
    let pattern = check_hessian("kmeans", &f, &[&points, &centres], 1)?;
    let diagonal: Vec<u32> = (0..15).collect();
    assert_eq!(pattern.indices(), diagonal);
    assert_eq!(f.sparse_hessian(1)?.products(), 1);
    assert_eq!(f.hessian(1)?.products(), 1);
    Ok(())
}

#[test]
fn arrows_bands_and_blocks() -> Result {
    let x = Numbers(3).array(&[40], 0.5, 1.5);
    let hessian = |f: &Program| -> Result<(usize, usize)> {
        let pattern = check_hessian("shape", f, &[&x], 0)?;
        Ok((pattern.len(), f.sparse_hessian(0)?.products()))
    };
    let arrow = Program::record(&[x.clone()], |_, [x]| (x.slice(0, ..1) * x).sin().sum())?;
    assert_eq!(hessian(&arrow)?, (40 + 2 * 39, 2));
    let band = Program::record(&[x.clone()], |_, [x]| {
        (100.0 * (x.slice(0, 1..) - x.slice(0, ..39).square()).square()).sum()
            + (1.0 - x).square().sum()
    })?;
    assert_eq!(hessian(&band)?, (40 + 2 * 39, 3), "Rosenbrock's function");
    let blocks = Program::record(&[x.clone()], |_, [x]| x.reshape([10, 4]).prod_over(1).sum())?;
    assert_eq!(hessian(&blocks)?.1, 4);
    let linear = Program::record(&[x.clone()], |_, [x]| (3.0 * x).sum())?;
    assert_eq!(hessian(&linear)?, (0, 0));
    let full = Program::record(&[x.clone()], |_, [x]| x.sum().square())?;
    assert_eq!(hessian(&full)?, (1600, 40));
    Ok(())
}

#[test]
fn every_kind_of_operation_keeps_apart_what_is_apart() -> Result {
    let mut numbers = Numbers(4);
    /// Name, shape of the input, places of the pattern, function.
    macro_rules! cases {
        ($($name:literal $shape:expr, $places:expr => $f:expr;)*) => {$({
            let x = numbers.array(&$shape, 0.5, 1.5);
            let f = Program::record(&[x.clone()], $f)?;
            let pattern = check_jacobian($name, &f, &[&x], 0)?;
            assert_eq!(pattern.len(), $places, "{}", $name);
        })*};
    }
    cases! {
        "elementwise" [6], 6 => |_, [x]| x.sin() * x + x.powi(0) * x;
        "transposed and sliced" [3, 4], 8 => |_, [x]| x.t().slice_axis(0, 2).flip(0).exp();
        "rows" [3, 4], 48 => |_, [x]| x.softmax(1);
        "sums of columns" [3, 4], 12 => |_, [x]| x.sum_over(0).square();
        "cumulative sums" [4], 10 => |_, [x]| x.cumsum(0).exp();
        "cumulative products" [4], 10 => |_, [x]| x.cumprod(0);
        "lower triangle" [4, 4], 10 => |_, [x]| x.tril(0).square();
        "diagonal" [4, 4], 4 => |_, [x]| x.diag();
        "matrix times constant" [3, 4], 3 * 4 * 2 => |t, [x]| x.matmul(t.ones([4, 2]));
        "constant times matrix" [3, 4], 2 * 4 * 3 => |t, [x]| t.ones::<f64>([2, 3]).matmul(x).sin();
        "matrix times itself" [3, 3], 9 * 5 => |_, [x]| x.matmul(x);
        "batches" [2, 3, 3], 2 * 81 => |_, [x]| x.matmul(x).inverse();
        "gather of literals" [5], 4 => |t, [x]| x.take(t.stack(&[0, 3, 3, 1].map(|i| t.scalar(i as u32)), 0)).exp();
        "gather by position" [5], 25 => |_, [x]| x.take(x.detach().argsort(0, Order::Ascending)).exp();
        "scattered" [4], 4 => |t, [x]| t.zeros::<f64>([3]).scatter_add(0, t.stack(&[0, 2, 2, 1].map(|i| t.scalar(i as u32)), 0), x.exp());
        "joined" [4], 12 => |t, [x]| t.concat(&[x, x.flip(0), x * 2.0], 0).square();
        "pooled" [1, 1, 4, 4], 16 => |_, [x]| x.max_pool2d(PoolOptions::kernel(2)).square();
        "pooled by mean, overlapping" [1, 2, 3, 3], 2 * 4 * 4 => |_, [x]| x.avg_pool2d(PoolOptions::kernel(2).stride(1)).square();
        "convolved" [2, 1, 4, 4], 2 * 2 * 9 * 4 => |t, [x]| x.conv2d(t.ones([2, 1, 2, 2]), ConvOptions::default()).square();
        "weights" [2, 1, 2, 2], 2 * 9 * 4 => |t, [w]| t.linspace::<f64>(0.1, 1.0, 16).reshape([1, 1, 4, 4]).conv2d(w, ConvOptions::default()).square();
        "attention" [3, 2, 2], 3 * 2 * (2 + 4) => |_, [x]| x.scaled_dot_product_attention(x, x, Attention::causal());
        "attention of fixed keys" [3, 2, 2], 12 * 2 => |_, [x]| x.scaled_dot_product_attention(x.detach(), x.detach(), Attention::causal());
    }
    Ok(())
}

#[test]
fn loops_are_followed_step_by_step() -> Result {
    let mut numbers = Numbers(5);
    let (x, w) = (
        numbers.array(&[6, 2], 0.5, 1.5),
        numbers.array(&[2], 0.5, 1.5),
    );
    // Two recurrences that never meet.
    let f = Program::record(&[x.clone(), w.clone()], |t, [x, w]| {
        let (last, outputs) = t.scan(t.zeros::<f64>([2]), x, move |h, x| {
            let h = (w * h + x).sin();
            (h, h)
        });
        t.concat(&[outputs.flatten(), last], 0)
    })?;
    let by_x = check_jacobian("loop", &f, &[&x, &w], 0)?;
    assert_eq!(by_x.len(), 2 * (1 + 2 + 3 + 4 + 5 + 6) + 2 * 6);
    assert_eq!(by_x.row(3), [1, 3]);
    let by_w = check_jacobian("loop", &f, &[&x, &w], 1)?;
    assert_eq!((by_w.row(2), by_w.row(13)), (&[0][..], &[1][..]));
    let s = Program::record(&[x.clone(), w.clone()], |t, [x, w]| {
        t.scan(t.zeros::<f64>([2]), x, move |h, x| {
            let h = (w * h + x).sin();
            (h, h)
        })
        .1
        .square()
        .sum()
    })?;
    let pattern = check_hessian("loop", &s, &[&x, &w], 1)?;
    assert_eq!(pattern.indices(), [0, 1]);
    Ok(())
}

/// A program of random elementwise operations, sums of windows and permutations.
fn random_program(x: &Array<f64>, seed: u64) -> Result<Program> {
    Ok(Program::record(&[x.clone()], move |t, [x]| {
        let (n, mut numbers) = (12, Numbers(seed));
        let mut values = vec![x, x.sin()];
        for _ in 0..8 {
            let a = values[numbers.below(values.len())];
            let b = values[numbers.below(values.len())];
            let k = 1 + numbers.below(n - 1);
            let next = match numbers.below(9) {
                0 => a * b,
                1 => a + b.exp() * 0.1,
                2 => a.roll(k as isize, 0),
                3 => t
                    .concat(&[a.narrow(0, 0, k), b.narrow(0, k, n - k)], 0)
                    .tanh(),
                4 => {
                    a.reshape([4, 3])
                        .sum_over(retrograde_graph::keep(1))
                        .expand_rows(3)
                        * b
                }
                5 => a.gt(b).select(a, b.square()),
                6 => t.arange::<u32>(n).lt(k as u32).select(a, b) / (1.0 + b.square()),
                7 => {
                    let index: Vec<_> =
                        (0..n).map(|i| t.scalar(((5 * i + k) % n) as u32)).collect();
                    a.take(t.stack(&index, 0))
                }
                _ => a.maximum(b).sigmoid(),
            };
            values.push(next);
        }
        values[values.len() - 1] * values[values.len() - 2]
    })?)
}

trait ExpandRows {
    fn expand_rows(self, n: usize) -> Self;
}
impl ExpandRows for Var<'_, f64> {
    fn expand_rows(self, n: usize) -> Self {
        self.broadcast_to([4, n]).flatten()
    }
}

#[test]
fn random_programs_are_as_their_dense_selves() -> Result {
    for seed in 0..60 {
        let x = Numbers(1000 + seed).array(&[12], 0.2, 1.4);
        let f = random_program(&x, seed)?;
        check_jacobian(&format!("seed {seed}"), &f, &[&x], 0)?;
    }
    Ok(())
}

#[test]
fn indices_that_are_inputs_are_taken_as_given_or_any() -> Result {
    let x = Numbers(6).array(&[8], 0.5, 1.5);
    let (index, mask) = (Array::from([1_u32, 1, 7]), Array::from([true, false, true]));
    let inputs = (x.clone(), index.clone(), mask.clone());
    let f = Program::record(&inputs, |_, (x, i, m)| {
        m.select(x.take(i).square(), x.take(i).detach())
    })?;
    assert_eq!(f.pattern(0)?.len(), 24);
    let feed = (&x, &index, &mask);
    let pattern = f.pattern_at(0, feed)?;
    assert_eq!(
        (pattern.row(0), pattern.row(1), pattern.row(2)),
        (&[1][..], &[][..], &[7][..])
    );
    let jacobian = f.sparse_jacobian_at(0, feed)?;
    let j = jacobian.run::<f64>(feed)?;
    assert_eq!(j.to_dense()?, f.jacobian(0)?.run::<f64>(feed)?);
    let message = |e: retrograde_graph::Error| e.to_string();
    let other = Array::from([true, true, true]);
    assert_eq!(
        message(jacobian.run::<f64>((&x, &index, &other)).unwrap_err()),
        "input 2 (bool): element 1 is 1, but was 0 when the pattern was made; a pattern holds for the indices and masks \
         that it was made for"
    );
    assert_eq!(
        message(jacobian.run::<f64>((&x, &index)).unwrap_err()),
        "the program takes 3 inputs, given were 2"
    );
    assert_eq!(
        message(f.pattern_at(0, (&x, &index)).unwrap_err()),
        "the program takes 3 inputs, given were 2"
    );
    // A Hessian of chosen elements.
    let s = Program::record(&(x.clone(), index.clone()), |_, (x, i)| {
        x.take(i).powi(3).sum()
    })?;
    let h = s.sparse_hessian_at(0, (&x, &index))?;
    assert_eq!((h.pattern().indices(), h.products()), (&[1_u32, 7][..], 1));
    let found = h.run::<f64>((&x, &index))?;
    assert!((found.get(1, 1) - 12.0 * x.as_slice()[1]).abs() < 1e-12);
    Ok(())
}

#[test]
fn mistakes_name_what_is_wrong() -> Result {
    let (x, single) = (Array::<f64>::arange(6), Array::<f32>::arange(2));
    let inputs = (x.clone(), single, Array::from([0_u32]));
    let f = Program::record(&inputs, |_, (x, _, _)| x.square())?;
    let message = |e: retrograde_graph::Error| e.to_string();
    let refused = |wrt| f.sparse_jacobian(wrt).map(drop).unwrap_err();
    assert_eq!(
        message(refused(9)),
        "sparse_jacobian: input 9 does not exist, the program has 3"
    );
    assert_eq!(
        message(refused(1)),
        "sparse_jacobian: input 1 is f32, the output is f64"
    );
    assert_eq!(
        message(f.pattern(2).unwrap_err()),
        "pattern: input 2 is u32, the output is f64"
    );
    assert_eq!(
        message(f.sparse_hessian(0).unwrap_err()),
        "sparse_hessian of [6] f64: only a scalar has a gradient; record `.sum()`, or use `vjp` with a seed"
    );
    let jacobian = f.sparse_jacobian(0)?;
    assert_eq!(
        message(jacobian.matrix::<f32>().unwrap_err()),
        "the Jacobian is not of f32"
    );
    let other = Program::record(&[x.clone()], |_, [x]| x.sum())?.sparse_jacobian(0)?;
    let mut wrong = other.matrix::<f64>()?;
    let error = jacobian.run_into(
        &mut jacobian.workspace()?,
        (&x, &inputs.1, &inputs.2),
        &mut wrong,
    );
    assert_eq!(
        message(error.unwrap_err()),
        "the matrix is a Pattern(1 x 6, 6 places), the Jacobian a Pattern(6 x 6, 6 places); make one with \
         `jacobian.matrix()`"
    );
    Ok(())
}

#[test]
fn sizes_of_nothing_and_of_one() -> Result {
    let none = Array::<f64>::try_zeros([0])?;
    let f = Program::record(&[none.clone()], |_, [x]| x.square())?;
    let j = f.sparse_jacobian(0)?.run::<f64>([&none])?;
    assert_eq!((j.values().len(), j.to_dense()?.shape()), (0, &[0, 0][..]));
    let one = Array::<f64>::scalar(3.0);
    let f = Program::record(&[one.clone()], |_, [x]| x.square())?;
    assert_eq!(f.sparse_jacobian(0)?.run::<f64>([&one])?.values(), [6.0]);
    assert_eq!(f.sparse_hessian(0)?.run::<f64>([&one])?.values(), [2.0]);
    let constant = Program::record(&[one.clone()], |t, [_]| t.ones::<f64>([5]))?;
    let j = constant.sparse_jacobian(0)?;
    assert_eq!(
        (j.products(), j.run::<f64>([&one])?.to_dense()?.as_slice()),
        (0, &[0.0; 5][..])
    );
    Ok(())
}
