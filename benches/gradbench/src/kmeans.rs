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
        Ok([
            matrix("points", &self.points, [n, d])?,
            matrix("centroids", &self.centroids, [k, d])?,
        ])
    }
}

/// `sum_i min_j |p_i - c_j|^2`. Which centroid is nearest is found by `|c|^2 - 2 c p`, a product of matrices, and needs
/// no derivative; the cost of that choice is that of one row a point.
fn spread<'t>([points, centroids]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    let (p, c) = (points.detach(), centroids.detach());
    let distances = (c * c).sum_over(keep(1)) - 2.0 * c.matmul(p.t());
    let nearest = distances.argmin_over(0);
    let offsets = points - centroids.index_select(0, nearest);
    (offsets * offsets).sum()
}

/// The gradient by the centroids, divided by the diagonal of the Hessian: as the Hessian has nothing else, the diagonal
/// is the Hessian times ones.
fn newton<'t>(t: Rec<'t>, [points, centroids]: [Var<'t, f64>; 2]) -> Var<'t, f64> {
    let [gradient] = spread([points, centroids]).grad_of([centroids]);
    gradient / gradient.jvp_of([centroids], [t.ones([1, 1]) + 0.0 * centroids])
}

fn cost(input: &Value) -> Result<Evaluated, Failure> {
    let inputs = read::<Input>(input)?.arrays()?;
    let (mut replay, mut cost) = (Replay::default(), [0.0]);
    let times = timed(input, || {
        let record = || Program::record(&inputs, |_, v| spread(v));
        replay.run(record, &inputs, &mut [cost.as_mut_slice().into()])
    })?;
    Ok(times.output(cost[0]))
}

fn direction(input: &Value) -> Result<Evaluated, Failure> {
    let inputs = read::<Input>(input)?.arrays()?;
    let (mut replay, mut direction) = (Replay::default(), inputs[1].clone());
    let times = timed(input, || {
        let record = || Program::record(&inputs, newton);
        replay.run(record, &inputs, &mut [(&mut direction).into()])
    })?;
    Ok(times.output(rows(&direction)))
}
