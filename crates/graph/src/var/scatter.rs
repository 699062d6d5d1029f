//! Writing at indices, and picking by a mask.

use retrograde_ops::Binary;
use retrograde_storage::{Array, DType, Element};

use super::index::{from_the_end, gathered, indexed_axis, source_at};
use super::{Float, Index, Operand, Order, Var};
use crate::error::{Error, ErrorKind, Fault};
use crate::infer::{self, Few};
use crate::list::{List, Value};
use crate::op::{Attr, Indexing, Op};

/// Writing at indices.
///
/// ```
/// # use retrograde_graph::Tape;
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::<f64>::arange(4));
/// let source = tape.variable(Array::from([10.0, 20.0, 30.0]));
/// let index = tape.constant(Array::from([2_u32, 0, 2]));
/// let y = x.scatter(0, index, source);
/// assert_eq!(y.value()?, Array::from([20.0, 1.0, 30.0, 3.0]));
/// let [gx, gs] = y.sum().grad_of([x, source]);
/// assert_eq!(gx.value()?, Array::from([0.0, 1.0, 0.0, 1.0]));
/// assert_eq!(gs.value()?, Array::from([0.0, 1.0, 1.0]), "the first was overwritten");
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t, T: Float> Var<'t, T> {
    /// `x` with `source` written at indices along an axis: `r[i, index[i, j, k], k] = source[i, j, k]` (for axis 1 of
    /// three), of equal indices the last one. Shapes are those of [`scatter_add`](Self::scatter_add). What is
    /// overwritten, in `x` or by a later element of `source`, has gradient 0.
    ///
    /// The indices are sorted to find which ones are the last: where none is repeated,
    /// [`scatter_add`](Self::scatter_add) of differences is cheaper.
    #[track_caller]
    pub fn scatter<I: Index>(
        self,
        axis: isize,
        index: Var<'t, I>,
        source: impl Operand<'t, T>,
    ) -> Self {
        let source = source.lift(self.rec);
        let operands = [self.into(), index.into(), source.into()];
        self.rec.apply("scatter", &operands, |s| {
            let l = &mut s.list;
            let axis = indexed_axis(l, self.id, index.id, axis)?;
            written(l, self.id, index.id, source.id, axis)
        })
    }
}

fn written(
    l: &mut List,
    x: Value,
    index: Value,
    source: Value,
    axis: usize,
) -> Result<Value, Fault> {
    let shape = l.shape(x);
    let count = l.dims(index)[axis];
    if u32::try_from(count).is_err() {
        return Err(infer::argument(format!(
            "{count} indices are more than u32 can count"
        )));
    }
    let source = source_at(l, shape, index, source, axis)?;
    let added = l.shape(source);
    if count == 0 {
        return Ok(x);
    }
    let index = l.checked_index(index, shape.dims()[axis], Indexing::Scatter);
    let index = from_the_end(l, index, shape.dims()[axis]);
    // Sorted, stably: the last of every run of equal indices is the one that is written.
    let order_of = l.shape(index);
    let order = l.push(
        Op::ArgSort,
        &[index],
        Attr::axis(axis, false),
        order_of,
        DType::U32,
    );
    let sorted = gathered(l, index, order, axis)?;
    let source = gathered(l, source, order, axis)?;
    let (this, next) = (
        l.narrow(sorted, axis, 0, count - 1),
        l.narrow(sorted, axis, 1, count - 1),
    );
    let differ = l.binary(Binary::Ne, this, next);
    let mut one = Few::from_slice(order_of.dims());
    one[axis] = 1;
    let end = l.int(1, DType::Bool);
    let end = l.expand(end, infer::shape(&one)?);
    let last = l.push(
        Op::Concat,
        &[differ, end],
        Attr::axis(axis, false),
        order_of,
        DType::Bool,
    );
    let dtype = l.dtype(x);
    let zero = l.float(0.0, dtype);
    let scattered = |l: &mut List, source: Value| {
        let source = l.select(last, source, zero);
        let source = l.expand(source, added);
        let operands = [source, sorted];
        l.push(
            Op::ScatterAdd,
            &operands,
            Attr::axis(axis, false),
            shape,
            dtype,
        )
    };
    let values = scattered(l, source);
    let one = l.float(1.0, dtype);
    let hits = scattered(l, one);
    let hit = l.binary(Binary::Gt, hits, zero);
    Ok(l.select(hit, values, x))
}

impl<'t, T: Element> Var<'t, T> {
    /// The elements where a mask is true, in row-major order, as a vector. The mask broadcasts to the shape of `x`.
    ///
    /// How many there are depends on the mask's values, which are read here and now: so this is for tapes alone, and an
    /// error while a [`Program`](crate::Program) is recorded, whose shapes are fixed. There,
    /// [`masked_fill`](Self::masked_fill) and [`select`](Var::select) keep the shape.
    ///
    /// ```
    /// # use retrograde_graph::{Program, Tape};
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.variable(Array::from([3.0_f64, -1.0, 4.0]));
    /// let positive = x.masked_select(x.gt(0.0));
    /// assert_eq!(positive.value()?, Array::from([3.0, 4.0]));
    /// positive.square().sum().backward()?;
    /// assert_eq!(x.grad()?, Array::from([6.0, 0.0, 8.0]));
    /// let error = Program::record(&[Array::scalar(1.0_f64)], |_, [x]| x.masked_select(x.gt(0.0)).sum()).unwrap_err();
    /// assert!(error.to_string().contains("masked_select"), "{error}");
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn masked_select(self, mask: Var<'t, bool>) -> Self {
        let operands = [self.into(), mask.into()];
        // Checks, and the mask in the shape of the values.
        let wide: Var<'t, bool> = self.rec.apply("masked_select", &operands, |s| {
            if s.store.recording {
                return Err(Fault::new(
                    ErrorKind::Unknown,
                    "how many elements are selected is not known while a program is recorded; try `masked_fill` or \
                     `select`, which keep the shape, or a tape",
                ));
            }
            let shape = s.list.shape(self.id);
            infer::broadcasts_to(s.list.shape(mask.id), shape)?;
            Ok(s.list.expand(mask.id, shape))
        });
        if let Err(error) = wide.shape_checked() {
            return self.poisoned(error);
        }
        let picked = match wide.value() {
            Ok(picked) => picked,
            Err(error) => {
                let message = format!("masked_select reads its mask: {}", error.message());
                let named = Error::new(error.kind(), message).at(error.location());
                return self.poisoned(named);
            }
        };
        let at: Vec<i64> = (0..)
            .zip(picked.iter())
            .filter(|(_, m)| **m)
            .map(|(i, _)| i)
            .collect();
        self.take(self.rec.leaf(Array::from_slice(&at).view(), false))
    }

    /// The distinct elements in ascending order, as a vector; every NaN is one of its own. The gradient of each goes to
    /// the first element equal to it. How many there are depends on the values: for tapes alone, as
    /// [`masked_select`](Self::masked_select).
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.constant(Array::from([3_u32, 1, 3, 2, 1]));
    /// assert_eq!(x.unique().value()?, Array::from([1_u32, 2, 3]));
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn unique(self) -> Self {
        let sorted = self.flatten().sort(0, Order::Ascending);
        let first: Var<'t, bool> = sorted.map("unique", |s, x| {
            let l = &mut s.list;
            let n = l.shape(x).len();
            let start = l.int(1, DType::Bool);
            let start = l.expand(start, infer::shape(&[n.min(1)])?);
            if n < 2 {
                return Ok(start);
            }
            let (before, after) = (l.narrow(x, 0, 0, n - 1), l.narrow(x, 0, 1, n - 1));
            let differs = l.binary(Binary::Ne, before, after);
            let (parts, along) = ([start, differs], Attr::axis(0, false));
            Ok(l.push(Op::Concat, &parts, along, infer::shape(&[n])?, DType::Bool))
        });
        sorted.masked_select(first)
    }

    /// A value that has none, for a reason met on the way.
    #[track_caller]
    fn poisoned(self, error: Error) -> Self {
        let mut state = self.rec.recorder.state.borrow_mut();
        let id = state.push_poison(error, T::DTYPE);
        drop(state);
        self.rec.var(id)
    }
}
