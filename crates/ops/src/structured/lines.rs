//! What runs along an axis element after element: recurrences, running maxima, positions of extremes.
//!
//! Lines are independent of each other, and each is walked by one thread in order, so bits are fixed.

use bytemuck::Pod;
use retrograde_storage::{DType, Element};

use super::memory::{Dest, RawView, Source};
use super::{Mismatch, ensure, part};
use crate::Level;

/// What is done along each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Walk {
    /// `r[i] = y[i] + x[i] r[i-1]` from `r[-1] = 0`; from the end if `reverse`. Closed under differentiation: running
    /// sums (`x = 1`) and running products are recurrences, and so are their adjoints.
    Recurrence {
        /// Whether the line is walked from its end.
        reverse: bool,
        /// Whether `x[i]` times a zero is zero, whatever `x[i]`: for adjoints of lines that nothing depends on.
        strong: bool,
    },
    /// Largest element so far; NaN from the first NaN on.
    CumMax,
    /// Position (u32) of the first occurrence of the largest element so far.
    CumArgMax,
    /// `ln(sum of exp x[..=i])`, relative to the larger of the two terms, so that nothing overflows.
    LogCumSumExp,
    /// Position (u32) of the first largest element of the line; NaN counts as largest.
    ArgMax,
    /// Position (u32) of the first smallest element of the line; NaN counts as smallest.
    ArgMin,
}

/// A walk along `axis` of `x` (and `y`, for recurrences).
#[derive(Clone, Copy, Debug)]
pub struct Lines {
    /// What is done.
    pub walk: Walk,
    /// Elements of `f32` or `f64`; integers too, whose sums and products wrap, but for `LogCumSumExp`.
    pub x: RawView,
    /// The terms of a recurrence: `x`'s type, and the shape both broadcast to is `dst`'s.
    pub y: Option<RawView>,
    /// What is written: elements of `x`'s type, or `u32` for positions; extent 1 on the axis for `ArgMax` and `ArgMin`.
    pub dst: RawView,
    /// The axis.
    pub axis: usize,
}

/// Elements of the lines that one block walks: some ten microseconds at a nanosecond an element.
const LINE_BLOCK: usize = 16 << 10;

impl Lines {
    /// Types and shapes agree.
    pub fn check(&self) -> Result<(), Mismatch> {
        let positions = matches!(self.walk, Walk::CumArgMax | Walk::ArgMax | Walk::ArgMin);
        let expected = if positions { DType::U32 } else { self.x.dtype };
        let numbers = match self.walk {
            Walk::LogCumSumExp => self.x.dtype.is_float(),
            _ => self.x.dtype != DType::Bool,
        };
        ensure(numbers, "lines", "numbers that the walk has")?;
        ensure(
            self.dst.dtype == expected,
            "lines",
            "a destination of the walk's type",
        )?;
        ensure(
            self.axis < self.x.shape.rank(),
            "lines",
            "an axis of the operand",
        )?;
        let recurrence = matches!(self.walk, Walk::Recurrence { .. });
        ensure(
            self.y.is_some() == recurrence,
            "lines",
            "terms for a recurrence and for nothing else",
        )?;
        ensure(
            self.y
                .is_none_or(|y| y.shape == self.x.shape && y.dtype == self.x.dtype),
            "lines",
            "terms like the operand",
        )
    }

    fn length(&self) -> usize {
        self.x.dims()[self.axis]
    }

    fn count(&self) -> usize {
        let others = self
            .x
            .dims()
            .iter()
            .enumerate()
            .filter(|&(i, _)| i != self.axis);
        others.map(|(_, &d)| d).product()
    }

    fn lines_a_block(&self) -> usize {
        (LINE_BLOCK / self.length().max(1)).max(1)
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        if self.length() == 0 {
            0
        } else {
            self.count().div_ceil(self.lines_a_block())
        }
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, _level: Level, block: usize) {
        // SAFETY: the block contract covers what `source` and `dest` ask for; blocks write different lines.
        unsafe {
            match self.x.dtype {
                DType::F32 => self.typed::<f32>(block),
                DType::U32 => self.typed::<u32>(block),
                DType::I64 => self.typed::<i64>(block),
                _ => self.typed::<f64>(block),
            }
        }
    }

    /// # Safety
    /// As [`run_block`](Self::run_block), and `T` is the operand's type.
    unsafe fn typed<T: Number>(&self, block: usize) {
        // SAFETY: the block contract.
        let (x, y) = unsafe { (self.x.source::<T>(), self.y.map(|y| y.source::<T>())) };
        for line in part(self.count(), self.lines_a_block(), block) {
            let starts = Starts {
                x: self.start(&self.x, line),
                y: self.y.map_or(0, |y| self.start(&y, line)),
                dst: self.start(&self.dst, line),
            };
            // SAFETY: the block contract; the destination's type was checked.
            unsafe {
                match self.walk {
                    Walk::CumArgMax | Walk::ArgMax | Walk::ArgMin => {
                        self.positions(&x, &mut self.dst.dest::<u32>(), &starts);
                    }
                    _ => self.values(&x, y.as_ref(), &mut self.dst.dest::<T>(), &starts),
                }
            }
        }
    }

    /// Where line `line` of a view starts.
    fn start(&self, view: &RawView, line: usize) -> isize {
        let (mut rest, mut at) = (line, view.offset);
        for axis in (0..self.x.dims().len()).rev().filter(|&a| a != self.axis) {
            let d = self.x.dims()[axis];
            at += (rest % d) as isize * view.strides[axis];
            rest /= d;
        }
        at
    }

    fn values<T: Number>(
        &self,
        x: &Source<T>,
        y: Option<&Source<T>>,
        dst: &mut Dest<T>,
        starts: &Starts,
    ) {
        let n = self.length();
        let (sx, sd) = (self.x.strides[self.axis], self.dst.strides[self.axis]);
        let x_at = |i: usize| x.get(starts.x + i as isize * sx);
        match self.walk {
            Walk::Recurrence { reverse, strong } => {
                let sy = self.y.map_or(0, |y| y.strides[self.axis]);
                let mut r = T::default();
                for step in 0..n {
                    let i = if reverse { n - 1 - step } else { step };
                    let term = y.map_or(T::default(), |y| y.get(starts.y + i as isize * sy));
                    // Nothing comes before the first element: its coefficient, be it infinite, multiplies nothing.
                    let carries = step > 0 && !(strong && r == T::default());
                    r = if carries {
                        term.plus(x_at(i).times(r))
                    } else {
                        term
                    };
                    dst.set(starts.dst + i as isize * sd, r);
                }
            }
            Walk::CumMax => {
                let mut top = x_at(0);
                for i in 0..n {
                    if x_at(i).beats(top) {
                        top = x_at(i);
                    }
                    dst.set(starts.dst + i as isize * sd, top);
                }
            }
            _ => {
                // `f64` throughout: its error is far below an ulp of `f32`, and the functions are few beside the walk.
                let mut sum = f64::NEG_INFINITY;
                for i in 0..n {
                    sum = log_add(sum, x_at(i).to_f64());
                    dst.set(starts.dst + i as isize * sd, T::from_f64(sum));
                }
            }
        }
    }

    fn positions<T: Number>(&self, x: &Source<T>, dst: &mut Dest<u32>, starts: &Starts) {
        let (sx, sd) = (self.x.strides[self.axis], self.dst.strides[self.axis]);
        let x_at = |i: usize| x.get(starts.x + i as isize * sx);
        let (mut top, mut best) = (x_at(0), 0);
        for i in 0..self.length() {
            let next = x_at(i);
            let wins = if self.walk == Walk::ArgMin {
                next.undercuts(top)
            } else {
                next.beats(top)
            };
            if wins {
                (top, best) = (next, i as u32);
            }
            if self.walk == Walk::CumArgMax {
                dst.set(starts.dst + i as isize * sd, best);
            }
        }
        if self.walk != Walk::CumArgMax {
            dst.set(starts.dst, best);
        }
    }
}

/// First elements of a line.
struct Starts {
    x: isize,
    y: isize,
    dst: isize,
}

/// What lines are made of.
trait Number: Element + Pod {
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    /// Not a number.
    fn is_nan(self) -> bool;

    /// Whether it is larger than the largest so far: NaN is, unless there was one already.
    fn beats(self, top: Self) -> bool {
        self > top || self.is_nan() && !top.is_nan()
    }

    /// Whether it is smaller than the smallest so far: NaN is, unless there was one already.
    fn undercuts(self, least: Self) -> bool {
        self < least || self.is_nan() && !least.is_nan()
    }
}

macro_rules! floats {
    ($($t:ty),*) => {$(
        impl Number for $t {
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self + other }
            #[inline(always)]
            fn times(self, other: Self) -> Self { self * other }
            #[inline(always)]
            fn is_nan(self) -> bool { <$t>::is_nan(self) }
        }
    )*};
}
floats!(f32, f64);

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Number for $t {
            #[inline(always)]
            fn plus(self, other: Self) -> Self { self.wrapping_add(other) }
            #[inline(always)]
            fn times(self, other: Self) -> Self { self.wrapping_mul(other) }
            #[inline(always)]
            fn is_nan(self) -> bool { false }
        }
    )*};
}
integers!(u32, i64);

/// `ln(e^a + e^b)`.
fn log_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a > b || a.is_nan() { (a, b) } else { (b, a) };
    if high.is_infinite() {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrograde_storage::{Shape, View};

    fn run(walk: Walk, x: &[f64], y: Option<&[f64]>) -> (Vec<f64>, Vec<u32>) {
        let view = |p: *const f64, n: usize| {
            RawView::new(
                p.cast_mut().cast(),
                DType::F64,
                &View::dense(Shape::new(&[n]).unwrap()),
            )
        };
        let (mut values, mut positions) = (vec![0.0; x.len()], vec![0u32; x.len()]);
        let mut dst = view(values.as_mut_ptr(), x.len());
        if matches!(walk, Walk::CumArgMax | Walk::ArgMax | Walk::ArgMin) {
            dst = RawView {
                ptr: positions.as_mut_ptr().cast(),
                dtype: DType::U32,
                ..dst
            };
        }
        let lines = Lines {
            walk,
            x: view(x.as_ptr(), x.len()),
            y: y.map(|y| view(y.as_ptr(), y.len())),
            dst,
            axis: 0,
        };
        lines.check().unwrap();
        for block in 0..lines.blocks() {
            // SAFETY: vectors of the views' lengths, used by nobody else.
            unsafe { lines.run_block(Level::Baseline, block) }
        }
        (values, positions)
    }

    #[test]
    fn recurrences_both_ways() {
        let (x, y) = ([f64::INFINITY, 2.0, 3.0], [1.0, 10.0, 100.0]);
        assert_eq!(
            run(
                Walk::Recurrence {
                    reverse: false,
                    strong: false
                },
                &x,
                Some(&y)
            )
            .0,
            [1.0, 12.0, 136.0]
        );
        let x = [2.0, 3.0, f64::NAN];
        assert_eq!(
            run(
                Walk::Recurrence {
                    reverse: true,
                    strong: false
                },
                &x,
                Some(&y)
            )
            .0,
            [621.0, 310.0, 100.0]
        );
    }

    #[test]
    fn extremes_take_the_first_and_nan_wins() {
        let x = [1.0, 5.0, 5.0, 2.0];
        assert_eq!(run(Walk::ArgMax, &x, None).1[0], 1);
        assert_eq!(run(Walk::ArgMin, &x, None).1[0], 0);
        assert_eq!(run(Walk::CumArgMax, &x, None).1, [0, 1, 1, 1]);
        assert_eq!(run(Walk::CumMax, &x, None).0, [1.0, 5.0, 5.0, 5.0]);
        assert_eq!(run(Walk::ArgMax, &[1.0, f64::NAN, 9.0], None).1[0], 1);
        assert_eq!(run(Walk::ArgMin, &[1.0, f64::NAN, -9.0], None).1[0], 1);
    }

    #[test]
    fn log_sums_do_not_overflow() {
        let found = run(
            Walk::LogCumSumExp,
            &[1000.0, 1000.0, f64::NEG_INFINITY],
            None,
        )
        .0;
        assert!((found[1] - (1000.0 + 2f64.ln())).abs() < 1e-12 && found[2] == found[1]);
    }
}
