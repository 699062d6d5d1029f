//! `ht`: how far the points of a posed hand are from measured ones, and the Jacobian of that by the pose and, if points
//! move on their triangles, by their positions there.
//!
//! Values that depend on the pose have a last axis of lanes, one for each direction of differentiation: the Jacobian by
//! the pose is one forward derivative along all unit vectors at once.

use retrograde::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::measure::{Evaluated, Failure, Function, Replay, read, timed};

pub(crate) const FUNCTIONS: &[(&str, Function)] =
    &[("objective", objective), ("jacobian", jacobian)];

/// Rotation and translation of the hand, then four angles a finger.
const POSE: usize = 26;
const FINGERS: usize = 5;
/// Bones before those of the fingers, and bones a finger, of which the last does not turn.
const WRIST: usize = 2;
const FINGER: usize = 4;

#[derive(Deserialize)]
struct Input {
    theta: Vec<f64>,
    data: Data,
    #[serde(default)]
    us: Vec<[f64; 2]>,
}

#[derive(Deserialize)]
struct Data {
    model: Model,
    correspondences: Vec<u32>,
    points: Vec<[f64; 3]>,
}

type Matrix = [[f64; 4]; 4];

#[derive(Deserialize)]
struct Model {
    parents: Vec<i64>,
    base_relatives: Vec<Matrix>,
    inverse_base_absolutes: Vec<Matrix>,
    base_positions: Vec<[f64; 4]>,
    weights: Vec<Vec<f64>>,
    triangles: Vec<[u32; 3]>,
    is_mirrored: bool,
}

/// The problem as a program takes it.
struct Hand {
    /// The pose `[26]`, positions on triangles `[points, 2]`, matrices of the bones `[2, bones, 3, 4]` (relative to the
    /// parent, and from the rest pose), vertices `[vertices, 4 + bones]` (position and weights), points `[points, 3]`,
    /// vertices of each point `[1 or 3, points]`.
    arrays: (
        Array<f64>,
        Array<f64>,
        Array<f64>,
        Array<f64>,
        Array<f64>,
        Array<u32>,
    ),
    parents: Vec<Option<usize>>,
    mirrored: bool,
    points: usize,
    /// Whether points move on their triangles.
    complicated: bool,
}

impl Input {
    fn hand(&self) -> Result<Hand, Failure> {
        let (model, data) = (&self.data.model, &self.data);
        let (bones, points) = (model.parents.len(), data.points.len());
        let complicated = !self.us.is_empty();
        let fits = self.theta.len() == POSE
            && bones >= WRIST + FINGERS * FINGER
            && model.base_relatives.len() == bones
            && model.inverse_base_absolutes.len() == bones
            && model.weights.len() == model.base_positions.len()
            && model.weights.iter().all(|w| w.len() == bones)
            && data.correspondences.len() == points
            && (!complicated || self.us.len() == points)
            && points > 0;
        if !fits {
            let message = "`theta` must be 26 numbers; bones, vertices and points must be as many in all their lists";
            return Err(Failure::new(message));
        }
        let parent = |(bone, &parent): (usize, &i64)| match usize::try_from(parent) {
            Ok(p) if p < bone => Ok(Some(p)),
            Err(_) if parent == -1 => Ok(None),
            _ => Err(Failure::new("`parents` must stand before their bones")),
        };
        let parents = model.parents.iter().enumerate().map(parent);
        let corners = if complicated {
            let triangle = |&c: &u32| {
                let found = model.triangles.get(c as usize).copied();
                found.ok_or_else(|| Failure::new("a correspondence is no triangle"))
            };
            let triangles = data.correspondences.iter().map(triangle);
            let triangles = triangles.collect::<Result<Vec<_>, _>>()?;
            let corner = |i: usize| triangles.iter().map(move |t| t[i]);
            (0..3).flat_map(corner).collect()
        } else {
            data.correspondences.clone()
        };
        // The last row of every matrix is 0 0 0 1, and is left out.
        let affine = |m: &Matrix| m[..3].concat();
        let matrices = model
            .base_relatives
            .iter()
            .chain(&model.inverse_base_absolutes);
        let vertices = model.base_positions.iter().zip(&model.weights);
        let vertices = vertices.flat_map(|(p, w)| p.iter().chain(w).copied());
        Ok(Hand {
            arrays: (
                Array::from(self.theta.clone()),
                Array::from_vec(self.us.concat(), [self.us.len(), 2])?,
                Array::from_vec(matrices.flat_map(affine).collect(), [2, bones, 3, 4])?,
                Array::from_vec(vertices.collect(), [model.weights.len(), 4 + bones])?,
                Array::from_vec(data.points.concat(), [points, 3])?,
                Array::from_vec(corners, [if complicated { 3 } else { 1 }, points])?,
            ),
            parents: parents.collect::<Result<_, _>>()?,
            mirrored: model.is_mirrored,
            points,
            complicated,
        })
    }
}

/// The product of `[i, k, ..]` and `[k, j, ..]`, matrices along the first axes.
fn product<'t>(a: Var<'t, f64>, b: Var<'t, f64>) -> Var<'t, f64> {
    (a.unsqueeze(2) * b.unsqueeze(0)).sum_over(1)
}

/// The product of affine maps `[3, 4, ..]`.
fn compose<'t>(a: Var<'t, f64>, b: Var<'t, f64>) -> Var<'t, f64> {
    let (turn, offset) = (a.narrow(1, 0, 3), a.narrow(1, 3, 1));
    let moved = product(turn, b);
    let rec = a.rec();
    rec.concat(&[moved.narrow(1, 0, 3), moved.narrow(1, 3, 1) + offset], 1)
}

/// A matrix `[3, 3, ..]` of its entries, row by row.
fn matrix<'t>(entries: [[Var<'t, f64>; 3]; 3]) -> Var<'t, f64> {
    let t = entries[0][0].rec();
    t.stack(&entries.map(|row| t.stack(&row, 0)), 0)
}

/// The rotation about the axis `r` `[3, lanes]` by its length; none if that is tiny.
fn rotation<'t>(r: Var<'t, f64>, tiny: bool) -> Var<'t, f64> {
    let t = r.rec();
    let (zero, one) = (0.0 * r.at(0, 0).detach(), 0.0 * r.at(0, 0).detach() + 1.0);
    if tiny {
        return matrix([[one, zero, zero], [zero, one, zero], [zero, zero, one]]);
    }
    let _ = t;
    let angle = (r * r).sum_over(0).sqrt();
    let (s, c) = (angle.sin(), angle.cos());
    let [x, y, z] = [0, 1, 2].map(|i| r.at(0, i) / angle);
    let rest = 1.0 - c;
    matrix([
        [
            x * x + (1.0 - x * x) * c,
            x * y * rest - z * s,
            x * z * rest + y * s,
        ],
        [
            x * y * rest + z * s,
            y * y + (1.0 - y * y) * c,
            y * z * rest - x * s,
        ],
        [
            x * z * rest - y * s,
            z * y * rest + x * s,
            z * z + (1.0 - z * z) * c,
        ],
    ])
}

/// What a program's closure gets.
type Vars<'t> = (
    Var<'t, f64>,
    Var<'t, f64>,
    Var<'t, f64>,
    Var<'t, f64>,
    Var<'t, f64>,
    Var<'t, u32>,
);

impl Hand {
    /// The bones' turns `[3, 3, bones, lanes]`: of a finger's bones the first turns about two axes, the next two about
    /// one, the last not.
    fn turns<'t>(&self, theta: Var<'t, f64>, lanes: usize) -> Var<'t, f64> {
        let t = theta.rec();
        let others = self.parents.len() - WRIST - FINGERS * FINGER;
        let fingers = theta.narrow(0, 6, 4 * FINGERS).reshape([FINGERS, 4, lanes]);
        let still = |bones: usize| t.zeros::<f64>([FINGERS, bones, lanes]);
        let angles = |parts: &[Var<'t, f64>]| {
            let of_fingers = t.concat(parts, 1).reshape([FINGERS * FINGER, lanes]);
            t.concat(
                &[
                    t.zeros([WRIST, lanes]),
                    of_fingers,
                    t.zeros([others, lanes]),
                ],
                0,
            )
        };
        let x = angles(&[fingers.narrow(1, 0, 1), fingers.narrow(1, 2, 2), still(1)]);
        let z = angles(&[fingers.narrow(1, 1, 1), still(3)]);
        let (sx, cx, sz, cz) = (x.sin(), x.cos(), z.sin(), z.cos());
        let zero = t.zeros([self.parents.len(), lanes]);
        matrix([
            [cz, -sz * cx, sz * sx],
            [sz, cz * cx, -cz * sx],
            [zero, sx, cx],
        ])
    }

    /// Where every vertex is `[vertices, 3, lanes]`, for poses `theta` `[26, lanes]`.
    fn vertices<'t>(
        &self,
        theta: Var<'t, f64>,
        lanes: usize,
        tiny: bool,
        bones: Var<'t, f64>,
        vertices: Var<'t, f64>,
    ) -> Var<'t, f64> {
        let t = theta.rec();
        let count = self.parents.len();
        // Both `[3, 4, bones, 1]`.
        let [relative, from_rest] = [0, 1].map(|i| bones.at(0, i).permute([1, 2, 0]).unsqueeze(3));
        let turned = product(relative.narrow(1, 0, 3), self.turns(theta, lanes));
        let offsets = relative.narrow(1, 3, 1).expand([3, 1, count, lanes]);
        let relative = t.concat(&[turned, offsets], 1);
        // Bones of one depth at a time, from those without a parent on.
        let mut absolute: Vec<Option<Var<'t, f64>>> = vec![None; count];
        loop {
            let ready = |&b: &usize| {
                absolute[b].is_none() && self.parents[b].is_none_or(|p| absolute[p].is_some())
            };
            let level: Vec<usize> = (0..count).filter(ready).collect();
            if level.is_empty() {
                break;
            }
            let own: Vec<_> = level.iter().map(|&b| relative.at(2, b as isize)).collect();
            let parents = level
                .iter()
                .filter_map(|&b| self.parents[b].and_then(|p| absolute[p]));
            let parents: Vec<_> = parents.collect();
            let own = t.stack(&own, 2);
            let level_absolute = if parents.len() == level.len() {
                compose(t.stack(&parents, 2), own)
            } else {
                own
            };
            for (i, &b) in level.iter().enumerate() {
                absolute[b] = Some(level_absolute.at(2, i as isize));
            }
        }
        let absolute: Vec<_> = absolute.into_iter().flatten().collect();
        let transforms = compose(t.stack(&absolute, 2), from_rest);
        let transforms = if self.mirrored {
            let mirror = [-1.0, 1.0, 1.0].map(|s| t.scalar(s));
            transforms * t.stack(&mirror, 0).reshape([3, 1, 1, 1])
        } else {
            transforms
        };
        let placed = product(
            rotation(theta.narrow(0, 0, 3), tiny).unsqueeze(2),
            transforms,
        );
        // Every vertex is the sum of what all bones make of it, by weights.
        let (at_rest, weights) = (vertices.narrow(1, 0, 4), vertices.narrow(1, 4, count));
        let skin = (at_rest.unsqueeze(2) * weights.unsqueeze(1)).flatten_axes(1, 2);
        let maps = placed.permute([1, 2, 0, 3]).reshape([4 * count, 3 * lanes]);
        let translation = theta.narrow(0, 3, 3).reshape([1, 3 * lanes]);
        (skin.matmul(maps) + translation).reshape([vertices_len(vertices), 3, lanes])
    }

    /// Distances from the points `[points, 3, lanes]`.
    fn errors<'t>(
        &self,
        (us, points, corners): (Var<'t, f64>, Var<'t, f64>, Var<'t, u32>),
        vertices: Var<'t, f64>,
    ) -> Var<'t, f64> {
        let corner = |i| vertices.index_select(0, corners.at(0, i));
        let points = points.unsqueeze(2);
        if !self.complicated {
            return points - corner(0);
        }
        let [u, v] = [0, 1].map(|i| us.narrow(1, i, 1).unsqueeze(2));
        points - (u * corner(0) + v * corner(1) + (1.0 - u - v) * corner(2))
    }

    /// The distances, and if asked for the derivatives by pose `[points, 3, 26]` and positions `[points, 3, 2]`.
    fn record(&self, derivatives: bool) -> retrograde::Result<Program> {
        Program::try_record(&self.arrays, |t, v: Vars<'_>| {
            let (theta, us, bones, vertices, points, corners) = v;
            // A hand that does not turn is another function: the program remembers which one this is.
            let turn = theta.narrow(0, 0, 3);
            let tiny = (turn * turn).sum().sqrt().lt(1e-4).item()?;
            let pose = theta.unsqueeze(1);
            let posed = self.vertices(pose, 1, tiny, bones, vertices);
            let errors = self.errors((us, points, corners), posed);
            if !derivatives {
                return Ok(errors.into());
            }
            let poses = pose.expand([POSE, POSE]);
            let posed_lanes = self.vertices(poses, POSE, tiny, bones, vertices);
            let by_pose = self
                .errors((us, points, corners), posed_lanes)
                .jvp_of([poses], [t.eye(POSE)]);
            if !self.complicated {
                return Ok([by_pose].into());
            }
            let along = |i: usize| {
                let direction =
                    [0, 1].map(|j| t.full([self.points], if i == j { 1.0 } else { 0.0 }));
                errors.jvp_of([us], [t.stack(&direction, 1)])
            };
            let by_position = t.concat(&[along(0), along(1)], 2);
            Ok([by_pose, by_position].into())
        })
    }

    fn feed(
        &self,
    ) -> (
        &Array<f64>,
        &Array<f64>,
        &Array<f64>,
        &Array<f64>,
        &Array<f64>,
        &Array<u32>,
    ) {
        let (a, b, c, d, e, f) = &self.arrays;
        (a, b, c, d, e, f)
    }
}

fn vertices_len(vertices: Var<'_, f64>) -> usize {
    vertices.shape().map_or(0, |s| s[0])
}

fn objective(input: &Value) -> Result<Evaluated, Failure> {
    let hand = read::<Input>(input)?.hand()?;
    let (mut replay, mut errors) = (Replay::default(), vec![0.0; 3 * hand.points]);
    let times = timed(input, || {
        let outputs = &mut [errors.as_mut_slice().into()];
        replay.run(|| hand.record(false), hand.feed(), outputs)
    })?;
    Ok(times.output(errors))
}

fn jacobian(input: &Value) -> Result<Evaluated, Failure> {
    let hand = read::<Input>(input)?.hand()?;
    let n = 3 * hand.points;
    let positions = if hand.complicated { 2 } else { 0 };
    let mut replay = Replay::default();
    let (mut by_pose, mut by_position) = (vec![0.0; POSE * n], vec![0.0; positions * n]);
    let times = timed(input, || {
        let mut outputs = vec![by_pose.as_mut_slice().into()];
        if hand.complicated {
            outputs.push(by_position.as_mut_slice().into());
        }
        replay.run(|| hand.record(true), hand.feed(), &mut outputs)
    })?;
    // A row a component of a point: its own two positions first, then the pose.
    let row = |i: usize| {
        let position = by_position[positions * i..][..positions].iter();
        Value::from_iter(position.chain(&by_pose[POSE * i..][..POSE]).copied())
    };
    Ok(times.output((0..n).map(row).collect::<Value>()))
}
