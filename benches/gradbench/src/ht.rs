//! `ht`: how far the points of a posed hand are from measured ones, and the Jacobian of that by the pose and, if points
//! move on their triangles, by their positions there.
//!
//! What depends on the pose has an axis of lanes, one for each direction of differentiation: the Jacobian by the pose is
//! one forward derivative along all unit vectors at once. Bones are followed one by one, each entry of their maps a value
//! of its own; vertices are tensors.

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
    /// parent, and from the rest pose), vertices `[4 + bones, vertices]` (position and weights), points `[points, 3]`,
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
    vertices: usize,
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
        let coordinates = (0..4).flat_map(|j| model.base_positions.iter().map(move |p| p[j]));
        let weights = (0..bones).flat_map(|b| model.weights.iter().map(move |w| w[b]));
        let vertices = coordinates.chain(weights);
        Ok(Hand {
            arrays: (
                Array::from(self.theta.clone()),
                Array::from_vec(self.us.concat(), [self.us.len(), 2])?,
                Array::from_vec(matrices.flat_map(affine).collect(), [2, bones, 3, 4])?,
                Array::from_vec(vertices.collect(), [4 + bones, model.weights.len()])?,
                Array::from_vec(data.points.concat(), [points, 3])?,
                Array::from_vec(corners, [if complicated { 3 } else { 1 }, points])?,
            ),
            parents: parents.collect::<Result<_, _>>()?,
            mirrored: model.is_mirrored,
            vertices: model.weights.len(),
            points,
            complicated,
        })
    }
}

/// An affine map of space, each entry a row of lanes, or one element where it does not depend on the pose.
type Map<'t> = [[Var<'t, f64>; 4]; 3];

/// `outer` after `inner`.
fn compose<'t>(outer: &Map<'t>, inner: &Map<'t>) -> Map<'t> {
    std::array::from_fn(|i| {
        std::array::from_fn(|j| {
            let [a, b, c, offset] = outer[i];
            let sum = a * inner[0][j] + b * inner[1][j] + c * inner[2][j];
            if j == 3 { sum + offset } else { sum }
        })
    })
}

/// The map after a turn by `angle` that takes axis `a` to axis `b`.
fn turned<'t>(map: &Map<'t>, [a, b]: [usize; 2], angle: Var<'t, f64>) -> Map<'t> {
    let (sine, cosine) = (angle.sin(), angle.cos());
    map.map(|mut row| {
        (row[a], row[b]) = (
            row[a] * cosine + row[b] * sine,
            row[b] * cosine - row[a] * sine,
        );
        row
    })
}

/// The rotation about the axis `r` by its length; none if that is `tiny`.
fn rotation(r: [Var<'_, f64>; 3], tiny: bool) -> Map<'_> {
    let t = r[0].rec();
    let [zero, one] = [0.0, 1.0].map(|x| t.full([1], x));
    if tiny {
        let row = |i| std::array::from_fn(|j| if i == j { one } else { zero });
        return std::array::from_fn(row);
    }
    let angle = (r[0] * r[0] + r[1] * r[1] + r[2] * r[2]).sqrt();
    let (s, c) = (angle.sin(), angle.cos());
    let [x, y, z] = r.map(|r| r / angle);
    let rest = 1.0 - c;
    [
        [
            x * x + (1.0 - x * x) * c,
            x * y * rest - z * s,
            x * z * rest + y * s,
            zero,
        ],
        [
            x * y * rest + z * s,
            y * y + (1.0 - y * y) * c,
            y * z * rest - x * s,
            zero,
        ],
        [
            x * z * rest - y * s,
            z * y * rest + x * s,
            z * z + (1.0 - z * z) * c,
            zero,
        ],
    ]
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
    /// A bone's map relative to its parent: of a finger's bones the first turns about two axes, the next two about one.
    fn relative<'t>(&self, bone: usize, base: &Map<'t>, theta: &[Var<'t, f64>]) -> Map<'t> {
        let Some(finger) = bone.checked_sub(WRIST).filter(|b| *b < FINGERS * FINGER) else {
            return *base;
        };
        let angle = |i: usize| theta[6 + finger / FINGER * 4 + i];
        match finger % FINGER {
            0 => turned(&turned(base, [0, 1], angle(1)), [1, 2], angle(0)),
            joint if joint < FINGER - 1 => turned(base, [1, 2], angle(joint + 1)),
            _ => *base,
        }
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
        let angles: Vec<Var<'t, f64>> = (0..POSE).map(|i| theta.at(0, i as isize)).collect();
        let constants = bones.reshape([2 * count * 12]);
        let constant = |which: usize, bone: usize| -> Map<'t> {
            let first = 12 * (which * count + bone);
            std::array::from_fn(|i| {
                std::array::from_fn(|j| constants.narrow(0, first + 4 * i + j, 1))
            })
        };
        let mut hand = rotation([angles[0], angles[1], angles[2]], tiny);
        if self.mirrored {
            hand.iter_mut().for_each(|row| row[0] = -row[0]);
        }
        let (mut absolute, mut from_rest) = (Vec::<Map<'t>>::new(), Vec::<Map<'t>>::new());
        for (bone, parent) in self.parents.iter().enumerate() {
            let parent = parent.map_or(hand, |p| absolute[p]);
            let map = compose(&parent, &self.relative(bone, &constant(0, bone), &angles));
            absolute.push(map);
            from_rest.push(compose(&map, &constant(1, bone)));
        }
        // The maps' columns, which `[x, y, z, 1]` multiplies, one below the other.
        let column = |j: usize| from_rest.iter().flat_map(move |map| map.map(|row| row[j]));
        let entries = (0..4).flat_map(column).map(|entry| entry.expand([lanes]));
        let maps = t
            .concat(&entries.collect::<Vec<_>>(), 0)
            .reshape([4 * count, 3 * lanes]);
        // Every vertex is the sum of what all bones make of it, by weights.
        let (at_rest, weights) = (vertices.narrow(0, 0, 4), vertices.narrow(0, 4, count));
        let skin = (at_rest.unsqueeze(1) * weights.unsqueeze(0))
            .flatten_axes(0, 1)
            .t();
        let translation = theta.narrow(0, 3, 3).reshape([1, 3 * lanes]);
        (skin.matmul(maps) + translation).reshape([self.vertices, 3, lanes])
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
}

fn objective(input: &Value) -> Result<Evaluated, Failure> {
    let hand = read::<Input>(input)?.hand()?;
    let (mut replay, mut errors) = (Replay::default(), vec![0.0; 3 * hand.points]);
    let times = timed(input, || {
        let outputs = &mut [errors.as_mut_slice().into()];
        replay.run(|| hand.record(false), &hand.arrays, outputs)
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
        replay.run(|| hand.record(true), &hand.arrays, &mut outputs)
    })?;
    // A row a component of a point: its own two positions first, then the pose.
    let row = |i: usize| {
        let position = by_position[positions * i..][..positions].iter();
        let row = position.chain(&by_pose[POSE * i..][..POSE]);
        row.copied().collect::<Value>()
    };
    Ok(times.output((0..n).map(row).collect::<Value>()))
}
