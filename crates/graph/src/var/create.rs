//! Constants of the recording. They take no memory: a scalar broadcast, or numbers counted while they are used.

use retrograde_ops::Binary;
use retrograde_storage::{DType, Element, IntoShape, Shape};

use super::{Float, Rec, Var};
use crate::error::Fault;
use crate::infer;
use crate::recorder::Recording;

/// Creation; a shape whose elements cannot be counted is an error.
///
/// ```
/// # use retrograde_graph::{INFER, Tape, keep};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let rec = tape.rec();
/// assert_eq!(rec.zeros::<f64>([2]).value()?, Array::from([0.0, 0.0]));
/// assert_eq!(rec.full([2], 7_i64).value()?, Array::from([7_i64, 7]));
/// assert_eq!(rec.arange::<f64>(3).value()? * 2.0, rec.linspace(0.0, 4.0, 3).value()?);
/// assert_eq!(rec.eye::<f64>(2).value()?, Array::from([[1.0, 0.0], [0.0, 1.0]]));
/// assert!(rec.ones::<f64>([usize::MAX]).value().is_err());
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t> Rec<'t> {
    /// Zeros (or `false`).
    #[track_caller]
    pub fn zeros<T: Element>(self, shape: impl IntoShape) -> Var<'t, T> {
        self.filled("zeros", T::from_f64(0.0), shape)
    }

    /// Ones (or `true`).
    #[track_caller]
    pub fn ones<T: Element>(self, shape: impl IntoShape) -> Var<'t, T> {
        self.filled("ones", T::from_f64(1.0), shape)
    }

    /// One value everywhere.
    #[track_caller]
    pub fn full<T: Element>(self, shape: impl IntoShape, value: T) -> Var<'t, T> {
        self.filled("full", value, shape)
    }

    #[track_caller]
    fn filled<T: Element>(self, name: &str, value: T, shape: impl IntoShape) -> Var<'t, T> {
        self.create(name, shape, |s, shape| {
            let value = s.literal(value);
            Ok(s.list.expand(value, shape))
        })
    }

    /// Records something of a given shape.
    #[track_caller]
    pub(super) fn create<T: Element>(
        self,
        name: &str,
        shape: impl IntoShape,
        build: impl FnOnce(&mut Recording, Shape) -> Result<crate::list::Value, Fault>,
    ) -> Var<'t, T> {
        let shape = shape.into_shape();
        self.apply(name, &[], |s| {
            build(s, shape.map_err(|e| Fault::shape(e.to_string()))?)
        })
    }

    /// `0, 1, ..., n - 1`.
    #[track_caller]
    pub fn arange<T: Element>(self, n: usize) -> Var<'t, T> {
        self.create("arange", [n], |s, shape| {
            if T::DTYPE == DType::Bool {
                return Err(Fault::new(
                    crate::ErrorKind::DType,
                    "a range has no bool elements; try u32",
                ));
            }
            Ok(s.list.iota(0, shape, T::DTYPE))
        })
    }

    /// `n` numbers from `start` to `end`, both included, equally far apart. One number is `start`.
    #[track_caller]
    pub fn linspace<T: Float>(self, start: T, end: T, n: usize) -> Var<'t, T> {
        self.create("linspace", [n], |s, shape| {
            let from = s.scalar(start.to_f64(), T::DTYPE);
            if n <= 1 {
                return Ok(s.list.expand(from, shape));
            }
            let to = s.scalar(end.to_f64(), T::DTYPE);
            let l = &mut s.list;
            let index = l.iota(0, shape, T::DTYPE);
            let last = l.float((n - 1) as f64, T::DTYPE);
            let way = l.sub(to, from);
            let step = l.binary(Binary::Div, way, last);
            let distance = l.mul(index, step);
            let point = l.add(from, distance);
            // The steps round; the end is exact.
            let at_end = l.binary(Binary::Eq, index, last);
            Ok(l.select(at_end, to, point))
        })
    }

    /// The identity matrix `[n, n]`.
    #[track_caller]
    pub fn eye<T: Element>(self, n: usize) -> Var<'t, T> {
        self.create("eye", [n, n], |s, _| {
            let row = s.list.iota(0, infer::shape(&[n, 1])?, DType::U32);
            let diagonal = s.list.one_hot_mask(row, 1, n);
            Ok(if T::DTYPE == DType::Bool {
                diagonal
            } else {
                s.list.cast(diagonal, T::DTYPE)
            })
        })
    }
}
