//! `kmeans`: the squared distances of points from their nearest centroids, and Newton's direction for the centroids.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Evaluated, Failure, Function, Replay, matrix, read, rows, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] = &[("cost", cost), ("dir", direction)];

#[derive(Deserialize)]
struct Input {
    points: Vec<Vec<f64>>,
    centroids: Vec<Vec<f64>>,
}

impl Input {
    /// Points and centroids as matrices.
    fn arrays(&self) -> Result<[Array<f64>; 2], Failure> {
        let (n, k) = (self.points.len(), self.centroids.len());
        let d = self.centroids.first().map_or(0, Vec::len);
        if n == 0 || k == 0 {
            return Err(Failure::new("`points` and `centroids` must not be empty"));
        }
        Ok([
            matrix("points", &self.points, [n, d])?,
            matrix("centroids", &self.centroids, [k, d])?,
        ])
    }
}

/// Below so many centroids the minimum is differentiated as it stands, by products with the mask of who is nearest; from
/// there on as the distance from whom it chose, which is one row a point.
const MANY: usize = 32;

/// `sum_i min_j |p_i - c_j|^2`, where `|p - c|^2 = |p|^2 + |c|^2 - 2 p c`, a product for all pairs. The longer side goes
/// along the last axis, where vectors run.
fn spread<'t>(t: Rec<'t>, [points, centroids]: [Var<'t, f64>; 2], k: usize) -> Var<'t, f64> {
    if k < MANY {
        let (p, c) = (points, centroids);
        let distances = (c * c).sum_over(keep(1)) - 2.0 * c.matmul(p.t());
        return distances.min_over(0).sum() + (p * p).sum();
    }
    // Who is nearest has no derivative. The first of those at the least distance, by operations that go on while a
    // product's rows are in cache.
    let (p, c) = (points.detach(), centroids.detach());
    let distances = (c * c).sum_over(1) - p.matmul(2.0 * c.t());
    let nearest = distances.eq(distances.min_over(keep(1)));
    let nearest = nearest
        .select(t.arange::<f64>(k), k as f64 - 1.0)
        .min_over(1);
    let offsets = points - centroids.index_select(0, nearest.cast::<u32>());
    (offsets * offsets).sum()
}

/// The gradient by the centroids, divided by the diagonal of the Hessian: as the Hessian has nothing else, the diagonal
/// is the Hessian times ones.
fn newton<'t>(t: Rec<'t>, v: [Var<'t, f64>; 2], shape: [usize; 2]) -> Var<'t, f64> {
    let [gradient] = spread(t, v, shape[0]).grad_of([v[1]]);
    gradient / gradient.jvp_of([v[1]], [t.ones(shape)])
}

fn cost(input: &Value) -> Result<Evaluated, Failure> {
    let inputs = read::<Input>(input)?.arrays()?;
    let (mut replay, mut cost) = (Replay::default(), [0.0]);
    let times = timed(input, || {
        let record = || Program::record(&inputs, |t, v| spread(t, v, inputs[1].shape()[0]));
        replay.run(record, &inputs, &mut [cost.as_mut_slice().into()])
    })?;
    Ok(times.output(cost[0]))
}

fn direction(input: &Value) -> Result<Evaluated, Failure> {
    let inputs = read::<Input>(input)?.arrays()?;
    let (mut replay, mut direction) = (Replay::default(), inputs[1].clone());
    let times = timed(input, || {
        let [k, d] = [0, 1].map(|axis| inputs[1].shape()[axis]);
        let record = || Program::record(&inputs, |t, v| newton(t, v, [k, d]));
        replay.run(record, &inputs, &mut [(&mut direction).into()])
    })?;
    Ok(times.output(rows(&direction)))
}
