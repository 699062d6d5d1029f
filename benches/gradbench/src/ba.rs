//! `ba`: bundle adjustment: how far projected points are from where cameras saw them, and the sparse Jacobian of that.
//!
//! Every observation depends on its own camera, point and weight alone. So the function is recorded once for all
//! observations, a parameter a row with the observations along it, and the gradient of the sum of all first (second)
//! errors by the parameters as observed is the first (second) row of every block of the Jacobian. What is left is to write
//! those blocks as the sparse matrix that the eval asks for.

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

/// What an observation depends on, each for all observations: the parameters of its camera, its point and its weight.
type Parameters<'t> = [Var<'t, f64>; BLOCK];

/// Weighted distances from the features `[observations]`.
fn errors<'t>(p: &Parameters<'t>, features: Var<'t, f64>) -> [Var<'t, f64>; 2] {
    let offset: Vector<'t> = std::array::from_fn(|i| p[CAMERA + i] - p[3 + i]);
    let [x, y, z] = rotate([p[0], p[1], p[2]], offset);
    let (x, y) = (x / z, y / z);
    let square = x * x + y * y;
    let distortion = 1.0 + p[9] * square + p[10] * square * square;
    let error = |of: Var<'t, f64>, i: usize| {
        let projected = of * distortion * p[6] + p[7 + i];
        p[BLOCK - 1] * (projected - features.at(1, i as isize))
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
        f: impl for<'t> Fn(Rec<'t>, Vars<'t>) -> Vec<Var<'t, f64>>,
    ) -> retrograde::Result<Program> {
        Program::try_record(&self.arrays, |t, v| Ok(f(t, v).into()))
    }
}

/// The parameters as observed.
fn parameters((cameras, points, weights, _, camera_of, point_of): Vars<'_>) -> Parameters<'_> {
    std::array::from_fn(|i| match i {
        i if i < CAMERA => cameras.at(1, i as isize).index_select(0, camera_of),
        i if i < CAMERA + 3 => points
            .at(1, (i - CAMERA) as isize)
            .index_select(0, point_of),
        _ => weights,
    })
}

/// Errors of the observations `[p, 2]`, and of the weights `[p]`.
fn objectives<'t>(t: Rec<'t>, v: Vars<'t>) -> Vec<Var<'t, f64>> {
    let pair = errors(&parameters(v), v.3);
    vec![t.stack(&pair, 1), 1.0 - v.2 * v.2]
}

/// Columns of the two rows of the observations' blocks, one after another, and the diagonal by weights: 31 of `[p]`.
fn columns<'t>(_: Rec<'t>, v: Vars<'t>) -> Vec<Var<'t, f64>> {
    let parameters = parameters(v);
    let rows = errors(&parameters, v.3).map(|error| error.sum().grad_of(parameters));
    let diagonal = (1.0 - v.2 * v.2).sum().grad_of([v.2]);
    [rows.concat(), diagonal.to_vec()].concat()
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
    /// Two rows an observation, then one a weight, of the columns that [`columns`] computed.
    fn fill(&mut self, problem: &Problem, columns: &[f64]) {
        let p = problem.observations;
        let (blocks, diagonal) = columns.split_at(2 * BLOCK * p);
        let columns: Vec<&[f64]> = blocks.chunks_exact(p).collect();
        self.vals.clear();
        for observation in 0..p {
            self.vals
                .extend(columns.iter().map(|column| column[observation]));
        }
        self.vals.extend(diagonal);
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
        replay.run(record, &problem.arrays, outputs)
    })?;
    Ok(times.output(json!({
        "reproj_error": { "elements": reprojection[..2], "repeated": p },
        "w_err": { "element": weights[0], "repeated": p },
    })))
}

fn jacobian(input: &Value) -> Result<Evaluated, Failure> {
    let problem = read::<Input>(input)?.problem()?;
    let p = problem.observations;
    let (mut replay, mut sparse) = (Replay::default(), Sparse::default());
    let mut found = vec![0.0; (2 * BLOCK + 1) * p];
    let times = timed(input, || {
        let mut outputs: Vec<_> = found.chunks_exact_mut(p).map(Into::into).collect();
        replay.run(|| problem.record(columns), &problem.arrays, &mut outputs)?;
        sparse.fill(&problem, &found);
        Ok(())
    })?;
    Ok(times.output(sparse.sample()))
}
