//! `ba`: bundle adjustment: how far projected points are from where cameras saw them, and the sparse Jacobian of that.
//!
//! Every observation depends on its own camera, point and weight alone. So the function is recorded once for all
//! observations, a parameter a row with the observations along it, and the gradient of the sum of all first (second)
//! errors by the parameters as observed is the first (second) row of every block of the Jacobian.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::measure::{Evaluated, Failure, Function, Replay, read, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] =
    &[("objective", objective), ("jacobian", jacobian)];

/// Parameters of a camera: rotation, centre, focal length, principal point, radial distortion.
const CAMERA: usize = 11;
/// Columns of an observation's block: its camera, its point, its weight.
const BLOCK: usize = CAMERA + 3 + 1;

#[derive(Deserialize)]
struct Input {
    n: usize,
    m: usize,
    p: usize,
    cam: Vec<f64>,
    x: Vec<f64>,
    w: f64,
    feat: Vec<f64>,
}

/// The problem, made of one camera, point, weight and feature as the eval specifies.
struct Problem {
    /// Cameras `[n, 11]`, points `[m, 3]`, weights `[p]`, features `[p, 2]`, and the camera and point of each
    /// observation.
    arrays: (
        Array<f64>,
        Array<f64>,
        Array<f64>,
        Array<f64>,
        Array<u32>,
        Array<u32>,
    ),
    cameras: usize,
    points: usize,
    observations: usize,
}

impl Input {
    fn problem(&self) -> Result<Problem, Failure> {
        let sizes = [self.n, self.m, self.p].map(u32::try_from);
        let [Ok(n @ 1..), Ok(m @ 1..), Ok(p @ 1..)] = sizes else {
            return Err(Failure::new(
                "`n`, `m` and `p` must be positive and fit 32 bits",
            ));
        };
        if (self.cam.len(), self.x.len(), self.feat.len()) != (CAMERA, 3, 2) {
            return Err(Failure::new(
                "`cam`, `x` and `feat` must be 11, 3 and 2 numbers",
            ));
        }
        // All columns must have a number of the type that the result has.
        let columns = CAMERA as u64 * u64::from(n) + 3 * u64::from(m) + u64::from(p);
        let entries = (2 * BLOCK as u64 + 1) * u64::from(p);
        if columns.max(entries) > u64::from(u32::MAX) / 2 {
            return Err(Failure::new("the Jacobian has too many columns or entries"));
        }
        let repeated =
            |row: &[f64], times: usize| Array::from_vec(row.repeat(times), [times, row.len()]);
        let index = |of: u32| Array::from((0..p).map(|i| i % of).collect::<Vec<u32>>());
        Ok(Problem {
            arrays: (
                repeated(&self.cam, self.n)?,
                repeated(&self.x, self.m)?,
                Array::from(vec![self.w; self.p]),
                repeated(&self.feat, self.p)?,
                index(n),
                index(m),
            ),
            cameras: self.n,
            points: self.m,
            observations: self.p,
        })
    }
}

/// A vector in space for each observation.
type Vector<'t> = [Var<'t, f64>; 3];

fn dot<'t>(a: Vector<'t>, b: Vector<'t>) -> Var<'t, f64> {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn cross<'t>(a: Vector<'t>, b: Vector<'t>) -> Vector<'t> {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

/// `x` turned about the axis `r` by the angle `|r|` (Rodrigues), which for no angle is `x + r x x`.
fn rotate<'t>(r: Vector<'t>, x: Vector<'t>) -> Vector<'t> {
    let square = dot(r, r);
    let turns = square.ne(0.0);
    // Where there is no rotation the root is of 1, so that neither branch is infinite.
    let angle = turns.select(square, 1.0).sqrt();
    let (sine, cosine) = (angle.sin(), angle.cos());
    let axis = r.map(|r| r / angle);
    let along = dot(axis, x) * (1.0 - cosine);
    let (turned, moved) = (cross(axis, x), cross(r, x));
    std::array::from_fn(|i| {
        let rotated = x[i] * cosine + turned[i] * sine + axis[i] * along;
        turns.select(rotated, x[i] + moved[i])
    })
}

/// Weighted distances from the features, for parameters of which each is a row of all observations.
fn errors<'t>(
    camera: Var<'t, f64>,
    point: Var<'t, f64>,
    weight: Var<'t, f64>,
    features: Var<'t, f64>,
) -> [Var<'t, f64>; 2] {
    let camera = |i| camera.at(0, i);
    let offset: Vector<'t> =
        std::array::from_fn(|i| point.at(0, i as isize) - camera(3 + i as isize));
    let [x, y, z] = rotate([camera(0), camera(1), camera(2)], offset);
    let (x, y) = (x / z, y / z);
    let square = x * x + y * y;
    let distortion = 1.0 + camera(9) * square + camera(10) * square * square;
    let error = |of: Var<'t, f64>, i: isize| {
        let projected = of * distortion * camera(6) + camera(7 + i);
        weight * (projected - features.at(1, i))
    };
    [error(x, 0), error(y, 1)]
}

/// What [`Problem::record`]'s closure gets.
type Vars<'t> = (
    Var<'t, f64>,
    Var<'t, f64>,
    Var<'t, f64>,
    Var<'t, f64>,
    Var<'t, u32>,
    Var<'t, u32>,
);

impl Problem {
    fn record(
        &self,
        f: impl for<'t> Fn(Rec<'t>, Vars<'t>) -> [Var<'t, f64>; 2],
    ) -> retrograde::Result<Program> {
        Program::try_record(&self.arrays, |t, v| Ok(f(t, v).into()))
    }

    fn feed(
        &self,
    ) -> (
        &Array<f64>,
        &Array<f64>,
        &Array<f64>,
        &Array<f64>,
        &Array<u32>,
        &Array<u32>,
    ) {
        let (a, b, c, d, e, f) = &self.arrays;
        (a, b, c, d, e, f)
    }
}

/// Errors of the observations `[p, 2]`, and of the weights `[p]`.
fn objectives<'t>(
    t: Rec<'t>,
    (cameras, points, weights, features, camera_of, point_of): Vars<'t>,
) -> [Var<'t, f64>; 2] {
    let camera = cameras.t().index_select(1, camera_of);
    let point = points.t().index_select(1, point_of);
    let pair = errors(camera, point, weights, features);
    [t.stack(&pair, 1), 1.0 - weights * weights]
}

/// Blocks of the Jacobian `[p, 2, 15]`, and its diagonal by weights `[p]`.
fn blocks<'t>(
    t: Rec<'t>,
    (cameras, points, weights, features, camera_of, point_of): Vars<'t>,
) -> [Var<'t, f64>; 2] {
    let camera = cameras.t().index_select(1, camera_of);
    let point = points.t().index_select(1, point_of);
    let of_row = |error: Var<'t, f64>| {
        let [camera, point] = error.sum().grad_of([camera, point]);
        let [weight] = error.sum().grad_of([weights]);
        t.concat(&[camera, point, weight.unsqueeze(0)], 0)
    };
    let rows = errors(camera, point, weights, features).map(of_row);
    let [diagonal] = (1.0 - weights * weights).sum().grad_of([weights]);
    [t.stack(&rows, 0).permute([2, 0, 1]), diagonal]
}

/// A Jacobian by compressed rows.
#[derive(Default)]
struct Sparse {
    /// Where each row starts, and the end.
    rows: Vec<u32>,
    cols: Vec<u32>,
    vals: Vec<f64>,
}

impl Sparse {
    /// Two rows an observation, then one a weight.
    fn fill(&mut self, problem: &Problem) {
        let (cameras, points) = (problem.arrays.4.as_slice(), problem.arrays.5.as_slice());
        let first_point = (CAMERA * problem.cameras) as u32;
        let first_weight = first_point + 3 * problem.points as u32;
        let (p, width) = (problem.observations as u32, BLOCK as u32);
        self.rows.clear();
        self.rows.extend((0..2 * p).map(|row| row * width));
        self.rows.extend((0..=p).map(|row| 2 * p * width + row));
        self.cols.clear();
        for ((&camera, &point), observation) in cameras.iter().zip(points).zip(0..) {
            let mut block = [0; BLOCK];
            for (column, i) in block.iter_mut().zip(0..) {
                *column = match i {
                    i if i < CAMERA as u32 => CAMERA as u32 * camera + i,
                    i if i < width - 1 => first_point + 3 * point + i - CAMERA as u32,
                    _ => first_weight + observation,
                };
            }
            self.cols.extend(block);
            self.cols.extend(block);
        }
        self.cols.extend(first_weight..first_weight + p);
    }

    /// The first block and the last entry, which is what the eval compares.
    fn sample(&self) -> Value {
        fn ends<T: Copy>(of: &[T]) -> Vec<T> {
            of.iter()
                .take(2 * BLOCK)
                .chain(of.last())
                .copied()
                .collect()
        }
        json!({ "rows": ends(&self.rows), "cols": ends(&self.cols), "vals": ends(&self.vals) })
    }
}

fn objective(input: &Value) -> Result<Evaluated, Failure> {
    let problem = read::<Input>(input)?.problem()?;
    let p = problem.observations;
    let (mut replay, mut reprojection, mut weights) =
        (Replay::default(), vec![0.0; 2 * p], vec![0.0; p]);
    let times = timed(input, || {
        let record = || problem.record(objectives);
        let outputs = &mut [
            reprojection.as_mut_slice().into(),
            weights.as_mut_slice().into(),
        ];
        replay.run(record, problem.feed(), outputs)
    })?;
    Ok(times.output(json!({
        "reproj_error": { "elements": reprojection[..2], "repeated": p },
        "w_err": { "element": weights[0], "repeated": p },
    })))
}

fn jacobian(input: &Value) -> Result<Evaluated, Failure> {
    let problem = read::<Input>(input)?.problem()?;
    let blocks_end = 2 * BLOCK * problem.observations;
    let mut replay = Replay::default();
    let mut sparse = Sparse {
        vals: vec![0.0; blocks_end + problem.observations],
        ..Sparse::default()
    };
    let times = timed(input, || {
        let record = || problem.record(blocks);
        let (of_observations, of_weights) = sparse.vals.split_at_mut(blocks_end);
        let outputs = &mut [of_observations.into(), of_weights.into()];
        replay.run(record, problem.feed(), outputs)?;
        sparse.fill(&problem);
        Ok(())
    })?;
    Ok(times.output(sparse.sample()))
}
