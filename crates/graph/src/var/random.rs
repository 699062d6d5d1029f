//! Random numbers: each draw is a function of (seed, ordinal of the draw in its stream, step, element), so that replays
//! draw anew, recomputation draws the same, and threads do not matter.

use retrograde_ops::{Binary, Unary};
use retrograde_storage::{DType, IntoShape, Shape};

use super::{Float, Index, Rec, Var};
use crate::error::{ErrorKind, Fault};
use crate::infer;
use crate::list::Value;
use crate::op::{Attr, Draw, Op};
use crate::recorder::Recording;

/// A stream of random numbers. Copies share it: whoever draws takes the next ordinal.
#[derive(Clone, Copy)]
pub struct Rng<'t> {
    rec: Rec<'t>,
    stream: u32,
}

impl<'t> Rec<'t> {
    /// A stream of random numbers. Streams of one seed are equal.
    pub fn rng(self, seed: u64) -> Rng<'t> {
        let mut state = self.recorder.state.borrow_mut();
        state.streams.push((seed, 0));
        let stream = (state.streams.len() - 1) as u32;
        drop(state);
        Rng { rec: self, stream }
    }
}

/// Draws; a range, probability or deviation out of its domain is an error.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let rng = tape.rec().rng(7);
/// let x = rng.uniform([100], -1.0_f64, 1.0);
/// assert!(x.ge(-1.0).and(x.lt(1.0)).all().item()?);
/// assert!(rng.normal([10_000], 5.0_f64, 2.0).mean().item()? - 5.0 < 0.2);
/// assert!(rng.bernoulli([8], 1.0).all().item()?);
/// assert!(rng.randint::<u32>([100], 3, 6).ge(3).all().item()?);
/// let mut order = rng.permutation(5).to_vec()?;
/// order.sort();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// assert!(rng.uniform([2], 1.0_f64, f64::NAN).value().is_err());
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t> Rng<'t> {
    /// Uniform in `[low, high)`; all `low` where the two are equal. An error unless both are finite and `low <= high`.
    #[track_caller]
    pub fn uniform<T: Float>(self, shape: impl IntoShape, low: T, high: T) -> Var<'t, T> {
        self.rec.create("uniform", shape, |s, shape| {
            let bounds = [low.to_f64(), high.to_f64()];
            if !bounds.iter().all(|x| x.is_finite()) || bounds[0] > bounds[1] {
                let reason = format!(
                    "the bounds must be finite and in order, but {} and {} were given",
                    low.to_f64(),
                    high.to_f64()
                );
                return Err(infer::argument(reason));
            }
            let unit = self.draw(s, Draw::Uniform, shape, T::DTYPE);
            if low.to_f64() == 0.0 && high.to_f64() == 1.0 {
                return Ok(unit);
            }
            let width = s.scalar(high.to_f64() - low.to_f64(), T::DTYPE);
            let low = s.scalar(low.to_f64(), T::DTYPE);
            let part = s.list.mul(unit, width);
            Ok(s.list.add(part, low))
        })
    }

    /// Normal of a mean and a standard deviation. An error unless both are finite and the deviation is not negative.
    #[track_caller]
    pub fn normal<T: Float>(self, shape: impl IntoShape, mean: T, std: T) -> Var<'t, T> {
        self.rec.create("normal", shape, |s, shape| {
            let finite = mean.to_f64().is_finite() && std.to_f64().is_finite();
            if !finite || std.to_f64() < 0.0 {
                let reason = format!(
                    "the mean must be finite and the standard deviation finite and not negative, but {} and {} were given",
                    mean.to_f64(),
                    std.to_f64()
                );
                return Err(infer::argument(reason));
            }
            let standard = self.draw(s, Draw::Normal, shape, T::DTYPE);
            if mean.to_f64() == 0.0 && std.to_f64() == 1.0 {
                return Ok(standard);
            }
            let (mean, std) = (
                s.scalar(mean.to_f64(), T::DTYPE),
                s.scalar(std.to_f64(), T::DTYPE),
            );
            let part = s.list.mul(standard, std);
            Ok(s.list.add(part, mean))
        })
    }

    /// True with probability `p`.
    #[track_caller]
    pub fn bernoulli(self, shape: impl IntoShape, p: f64) -> Var<'t, bool> {
        self.rec.create("bernoulli", shape, |s, shape| {
            infer::probability(p)?;
            Ok(self.holds(s, shape, p, DType::F32))
        })
    }

    /// Integers from `low` to `high - 1`, equally likely up to one part in `2^32 / (high - low)`. An error unless
    /// `low < high`, the two at most `2^32` apart and exact in `f64`.
    #[track_caller]
    pub fn randint<I: Index>(self, shape: impl IntoShape, low: i64, high: i64) -> Var<'t, I> {
        self.rec.create("randint", shape, |s, shape| {
            let span = high
                .checked_sub(low)
                .filter(|n| (1..=1i64 << 32).contains(n));
            let exact = low.unsigned_abs() < 1 << 52 && high.unsigned_abs() < 1 << 52;
            let fits = I::DTYPE != DType::U32 || (low >= 0 && high <= 1 << 32);
            let Some(span) = span.filter(|_| exact && fits) else {
                let reason = format!(
                    "the range {low}..{high} is empty, too wide or not of type {}",
                    I::DTYPE
                );
                return Err(infer::argument(reason));
            };
            let bits = self.draw(s, Draw::Bits, shape, DType::U32);
            let l = &mut s.list;
            // floor(bits span / 2^32): exact in f64 but for its rounding, which cannot reach the next integer.
            let bits = l.cast(bits, DType::F64);
            let scaled = l.scale(bits, span as f64 / 4294967296.0);
            let offset = l.unary(Unary::Floor, scaled);
            let low = l.float(low as f64, DType::F64);
            let drawn = l.add(offset, low);
            Ok(l.cast(drawn, I::DTYPE))
        })
    }

    /// A permutation of `0..n`, all equally likely.
    #[track_caller]
    pub fn permutation(self, n: usize) -> Var<'t, u32> {
        self.rec.create("permutation", [n], |s, shape| {
            if u32::try_from(n).is_err() {
                return Err(infer::argument(format!(
                    "{n} indices are more than u32 can count"
                )));
            }
            Ok(self.draw(s, Draw::Permutation, shape, DType::U32))
        })
    }

    fn draw(self, s: &mut Recording, what: Draw, shape: Shape, dtype: DType) -> Value {
        let (_, next) = &mut s.streams[self.stream as usize];
        let ordinal = *next;
        *next += 1;
        s.list.push(
            Op::Random(what),
            &[],
            Attr::draw(self.stream, ordinal),
            shape,
            dtype,
        )
    }

    fn holds(self, s: &mut Recording, shape: Shape, p: f64, dtype: DType) -> Value {
        let unit = self.draw(s, Draw::Uniform, shape, dtype);
        let p = s.scalar(p, dtype);
        s.list.binary(Binary::Lt, unit, p)
    }

    /// That this stream is of the recording in which something is to be dropped with probability `p`.
    pub(super) fn fits(self, rec: Rec<'t>, p: f64) -> Result<(), Fault> {
        if !std::ptr::eq(self.rec.recorder, rec.recorder) {
            let reason =
                "the random stream belongs to another tape; make one with `x.rec().rng(seed)`";
            return Err(Fault::new(ErrorKind::Foreign, reason));
        }
        infer::probability(p)
    }

    /// Each element 0 with probability `p`, else divided by `1 - p`.
    pub(super) fn dropped(self, s: &mut Recording, x: Value, p: f64) -> Value {
        if p == 0.0 {
            return x;
        }
        let (shape, dtype) = (s.list.shape(x), s.list.dtype(x));
        let dropped = self.holds(s, shape, p, dtype);
        let zero = s.list.like(0.0, x);
        if p == 1.0 {
            return s.list.expand(zero, shape);
        }
        let factor = s.scalar(1.0 / (1.0 - p), dtype);
        let scaled = s.list.mul(x, factor);
        s.list.select(dropped, zero, scaled)
    }
}

impl std::fmt::Debug for Rng<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rng({})", self.stream)
    }
}

impl<'t, T: Float> Var<'t, T> {
    /// Each element 0 with probability `p`, else divided by `1 - p`, so that the mean stays.
    #[track_caller]
    pub fn dropout(self, p: f64, rng: Rng<'t>) -> Self {
        self.map("dropout", |s, x| {
            rng.fits(self.rec, p)?;
            Ok(rng.dropped(s, x, p))
        })
    }
}
