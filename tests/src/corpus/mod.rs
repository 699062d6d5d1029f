//! The conformance corpus: every operator, on shapes and views of every kind, as data.
//!
//! A [`Case`] is a name, sets of inputs, and a closure that records outputs. It knows nothing of how it is run: the tests
//! in `tests/corpus.rs` run each through the reference evaluator and every way to compile and replay, compare both
//! derivatives with differences, and demand that every operation of the list has a case.
//!
//! One file a family of operators. A new operator gets a case here, and its own oracle beside the others in `tests/ops`.

#![allow(
    unused_braces,
    reason = "the formatter puts them around closures of `case!`, which drops them"
)]

mod control;
mod elementwise;
mod images;
mod indexing;
mod integers;
mod linalg;
mod losses;
mod products;
mod reductions;
mod rows;
mod shapes;
mod view;

use retrograde::prelude::*;

pub use view::View;

/// Inputs that every case has; those it does not name are scalars that nobody reads.
pub const INPUTS: usize = 5;

/// Records the outputs of a case.
pub type Build<T> = for<'t> fn(&[Var<'t, T>; INPUTS]) -> Vec<Var<'t, T>>;

/// One input: its extents and the range of its elements, which are all different.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// The extents.
    pub dims: Vec<usize>,
    /// The range.
    pub range: (f64, f64),
}

/// An input of these extents, elements between -1 and 1.
pub fn any(dims: &[usize]) -> Given {
    within(dims, -1.0, 1.0)
}

/// An input of these extents, elements between `low` and `high`.
pub fn within(dims: &[usize], low: f64, high: f64) -> Given {
    Given {
        dims: dims.to_vec(),
        range: (low, high),
    }
}

/// An operator and what it is run on.
pub struct Case {
    /// Names it in failures.
    pub name: &'static str,
    /// One run for each.
    pub sets: Vec<Vec<Given>>,
    /// In double precision.
    pub double: Build<f64>,
    /// In single precision.
    pub single: Build<f32>,
    /// Whether its derivatives exist at the inputs and are compared with differences.
    pub smooth: bool,
    /// Whether inputs may have equal elements, as those of expanded ones are.
    pub repeats: bool,
    /// What `f32` may be off from `f64`, relative to the largest element; 0 if they are not compared.
    pub single_tolerance: f64,
}

impl Case {
    /// A case of which everything holds.
    pub fn new(
        name: &'static str,
        sets: Vec<Vec<Given>>,
        double: Build<f64>,
        single: Build<f32>,
    ) -> Self {
        Self {
            name,
            sets,
            double,
            single,
            smooth: true,
            repeats: true,
            single_tolerance: 2e-5,
        }
    }

    /// Its derivatives are not compared with differences: they jump, or there are none.
    pub fn rough(mut self) -> Self {
        self.smooth = false;
        self
    }

    /// Equal elements would be ties, or make a matrix singular.
    pub fn distinct(mut self) -> Self {
        self.repeats = false;
        self
    }

    /// Single precision may be off by this.
    pub fn single_within(mut self, tolerance: f64) -> Self {
        self.single_tolerance = tolerance;
        self
    }
}

/// What a closure of a case may return.
pub trait Outputs<'t, T> {
    /// One by one.
    fn outputs(self) -> Vec<Var<'t, T>>;
}
impl<'t, T> Outputs<'t, T> for Var<'t, T> {
    fn outputs(self) -> Vec<Var<'t, T>> {
        vec![self]
    }
}
impl<'t, T> Outputs<'t, T> for Vec<Var<'t, T>> {
    fn outputs(self) -> Vec<Var<'t, T>> {
        self
    }
}
impl<'t, T, const N: usize> Outputs<'t, T> for [Var<'t, T>; N] {
    fn outputs(self) -> Vec<Var<'t, T>> {
        self.into()
    }
}

/// `case!("name", sets, |x, y| outputs)`: the closure once in each precision.
macro_rules! case {
    ($name:expr, $sets:expr, |$($x:ident),*| $body:expr) => {
        $crate::corpus::Case::new(
            $name,
            $sets,
            |v| {
                let [$($x,)* ..] = *v;
                $crate::corpus::Outputs::outputs($body)
            },
            |v| {
                let [$($x,)* ..] = *v;
                $crate::corpus::Outputs::outputs($body)
            },
        )
    };
}
use case;

/// Indices as a recorded vector.
pub fn indices<'t>(rec: Rec<'t>, index: &[u32]) -> Var<'t, u32> {
    let each: Vec<_> = index.iter().map(|&i| rec.scalar(i)).collect();
    rec.stack(&each, 0)
}

/// Indices that count from the end where negative.
pub fn signed<'t>(rec: Rec<'t>, index: &[i64]) -> Var<'t, i64> {
    let each: Vec<_> = index.iter().map(|&i| rec.scalar(i)).collect();
    rec.stack(&each, 0)
}

/// One set for each shape: one input, of these extents.
fn each(shapes: &[&[usize]], low: f64, high: f64) -> Vec<Vec<Given>> {
    shapes.iter().map(|s| vec![within(s, low, high)]).collect()
}

/// Ranks 0 to 5, extents 1 and 0, part packets, more than a chunk.
const SHAPES: &[&[usize]] = &[
    &[2, 3],
    &[],
    &[1],
    &[0],
    &[17],
    &[3, 0, 2],
    &[1, 4, 1],
    &[2, 1, 3, 2],
    &[2, 1, 2, 1, 3],
    &[1030],
];

/// All families, by name.
pub fn families() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("control", control::cases()),
        ("elementwise", elementwise::cases()),
        ("images", images::cases()),
        ("indexing", indexing::cases()),
        ("integers", integers::cases()),
        ("linalg", linalg::cases()),
        ("losses", losses::cases()),
        ("products", products::cases()),
        ("reductions", reductions::cases()),
        ("rows", rows::cases()),
        ("shapes", shapes::cases()),
    ]
}
