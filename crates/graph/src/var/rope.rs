//! Rotary position embedding.

use retrograde_ops::Unary;
use retrograde_storage::DType;

use super::{Float, Var};
use crate::error::Fault;
use crate::infer::{self, Few};
use crate::list::{List, Value};
use crate::op::SliceSpec;

/// How [`Var::rope`] turns features: by which frequencies, from which position on, and which features are a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Rope {
    /// Pair `i` of `d / 2` turns by `position base^(-2 i / d)`; 10000 unless said otherwise.
    pub base: f64,
    /// The position of the first row, 0 unless said otherwise: how much of a sequence stands before.
    pub offset: usize,
    /// Whether features `2 i` and `2 i + 1` are a pair, as in the paper, and not `i` and `i + d / 2`, as most weights
    /// that are handed around want it.
    pub interleaved: bool,
}

impl Default for Rope {
    fn default() -> Self {
        Self {
            base: 10000.0,
            offset: 0,
            interleaved: false,
        }
    }
}

impl Rope {
    /// With this [`base`](Self::base).
    #[must_use]
    pub fn base(mut self, base: f64) -> Self {
        self.base = base;
        self
    }
    /// With this [`offset`](Self::offset).
    #[must_use]
    pub fn offset(mut self, offset: usize) -> Self {
        self.offset = offset;
        self
    }
    /// With this [`interleaved`](Self::interleaved).
    #[must_use]
    pub fn interleaved(mut self, interleaved: bool) -> Self {
        self.interleaved = interleaved;
        self
    }
}

impl<T: Float> Var<'_, T> {
    /// Every pair `(a, b)` of features turned by an angle that grows with the position:
    /// `(a cos - b sin, b cos + a sin)`, with the angle `position base^(-2 i / d)` of pair `i`. Of `[.., positions, d]`,
    /// `d` even: queries and keys, before attention, whose scores then depend on how far apart they are alone.
    ///
    /// ```
    /// # use retrograde_graph::{Rope, Tape};
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.variable(Array::from([[1.0_f64, 0.0], [1.0, 0.0]]));
    /// let y = x.rope(Rope::default());
    /// assert_eq!(y.at(0, 0).value()?, Array::from([1.0, 0.0]));
    /// assert!((y.at(0, 1).at(0, 0).item()? - 1f64.cos()).abs() < 1e-15);
    /// assert!((y.at(0, 1).at(0, 1).item()? - 1f64.sin()).abs() < 1e-15);
    /// assert_eq!(x.rope(Rope::default().offset(1)).at(0, 0).value()?, y.at(0, 1).value()?);
    /// assert!(x.t().narrow(1, 0, 1).rope(Rope::default()).value().is_err(), "one feature is no pair");
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn rope(self, how: Rope) -> Self {
        self.map("rope", |s, x| {
            let shape = s.list.shape(x);
            infer::rank_at_least(shape, 2)?;
            infer::room_for_axis(shape)?;
            let [.., positions, d] = *shape.dims() else {
                return Err(Fault::shape("expected [.., positions, d]"));
            };
            if !d.is_multiple_of(2) {
                let reason = format!("the features are turned in pairs, but there are {d}; an even number is needed");
                return Err(Fault::shape(reason));
            }
            let exact = how.offset.checked_add(positions).is_some_and(|p| p < 1 << 52);
            if !(how.base.is_finite() && how.base > 0.0 && exact) {
                return Err(infer::argument(format!(
                    "the base must be finite and above 0 and positions below 2^52, but they are {} and {} and more",
                    how.base, how.offset
                )));
            }
            // Both members of a pair at once: what each is multiplied by, and the other one, which is a view reversed.
            let rank = shape.rank();
            let (pair, index) = if how.interleaved { (rank, rank - 1) } else { (rank - 1, rank) };
            let mut dims = Few::from_slice(shape.dims());
            dims[rank - 1] = d / 2;
            dims.insert(pair, 2);
            let l = &mut s.list;
            let pairs = l.reshape(x, infer::shape(&dims)?);
            let mut spec = SliceSpec {
                start: [0; retrograde_storage::MAX_RANK],
                step: [1; retrograde_storage::MAX_RANK],
            };
            (spec.start[pair], spec.step[pair]) = (1, -1);
            let other = l.slice(pairs, spec, infer::shape(&dims)?);
            let [cos, sin] = tables(l, how, [positions, d], [pair - (rank - 2), index - (rank - 2)])?;
            let (cos, sin) = (l.cast(cos, T::DTYPE), l.cast(sin, T::DTYPE));
            let (kept, turned) = (l.mul(pairs, cos), l.mul(other, sin));
            let sum = l.add(kept, turned);
            Ok(l.reshape(sum, shape))
        })
    }
}

/// Cosines and sines of all positions and pairs, in f64, where angles of far positions keep their digits. The sine of the
/// first member is negative. Axes: the positions, and where `at` says the members and the pairs.
fn tables(
    l: &mut List,
    how: Rope,
    [positions, d]: [usize; 2],
    [member, pair]: [usize; 2],
) -> Result<[Value; 2], Fault> {
    let line = |l: &mut List, axis: usize, n: usize| {
        let mut dims = [1; 3];
        dims[axis] = n;
        Ok::<_, Fault>(l.iota(axis, infer::shape(&dims)?, DType::F64))
    };
    let position = line(l, 0, positions)?;
    let offset = l.float(how.offset as f64, DType::F64);
    let position = l.add(position, offset);
    let index = line(l, pair, d / 2)?;
    let exponent = l.scale(index, -2.0 * how.base.ln() / d.max(1) as f64);
    let frequency = l.unary(Unary::Exp, exponent);
    let angle = l.mul(position, frequency);
    let (cos, sin) = (l.unary(Unary::Cos, angle), l.unary(Unary::Sin, angle));
    // -1 and 1.
    let sign = line(l, member, 2)?;
    let sign = l.scale(sign, 2.0);
    let one = l.float(1.0, DType::F64);
    let sign = l.sub(sign, one);
    Ok([cos, l.mul(sin, sign)])
}
