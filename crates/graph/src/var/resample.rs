//! Images of another size: means over adaptive windows, and interpolation.

use retrograde_ops::{Binary, Reduce, Unary};
use retrograde_storage::{DType, Shape};

use super::conv::{PerAxis, at_least_one, rank};
use super::index::gathered;
use super::{Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};

/// How [`Var::upsample`] finds what is between pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// The pixel whose cell the point is in: row `floor(i h / rows)` for row `i`.
    #[default]
    Nearest,
    /// The mean of the four pixels around it, weighted by how near they are; beyond the outermost their own value.
    /// Pixels are cells, whose outer borders fall together: row `i` is `(i + 1/2) h / rows - 1/2`.
    Bilinear,
    /// The same with the centres of the corner pixels falling together: row `i` is `i (h - 1) / (rows - 1)`.
    BilinearAligned,
}

/// Resizing the last two axes of `[batch, channels, height, width]`. Another rank, a size of 0, and images without
/// elements are errors.
///
/// ```
/// # use retrograde_graph::{Interpolation, Tape};
/// # use retrograde_storage::Array;
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([[[[1.0_f64, 3.0, 5.0], [0.0, 2.0, 4.0]]]]));
/// assert_eq!(x.adaptive_avg_pool2d(1).flatten().value()?, Array::from([2.5]));
/// assert_eq!(x.adaptive_avg_pool2d([1, 2]).flatten().value()?, Array::from([1.5, 3.5]));
/// let wide = x.upsample([2, 6], Interpolation::Nearest);
/// assert_eq!(wide.at(2, 0).flatten().value()?, Array::from([1.0, 1.0, 3.0, 3.0, 5.0, 5.0]));
/// let smooth = x.upsample([2, 5], Interpolation::BilinearAligned);
/// assert_eq!(smooth.at(2, 0).flatten().value()?, Array::from([1.0, 2.0, 3.0, 4.0, 5.0]));
/// let cells = x.narrow(3, 0, 2).upsample([2, 4], Interpolation::Bilinear);
/// assert_eq!(cells.at(2, 0).flatten().value()?, Array::from([1.0, 1.5, 2.5, 3.0]));
/// assert!(x.upsample([0, 2], Interpolation::Nearest).value().is_err());
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Float> Var<'_, T> {
    /// Means over as many windows as asked for, rows and columns, which cover the image: row `i` of `rows` is the mean
    /// of rows `floor(i h / rows)` to `ceil((i + 1) h / rows)`, the last not included; columns likewise.
    #[track_caller]
    pub fn adaptive_avg_pool2d(self, size: impl PerAxis) -> Self {
        let size = size.per_axis();
        self.map("adaptive_avg_pool2d", |s, x| {
            let extents = images(&s.list, x, size)?;
            if let Some(none) = of_no_images(&mut s.list, x, size) {
                return Ok(none);
            }
            let mut x = x;
            for axis in [0, 1] {
                x = averaged(&mut s.list, x, axis + 2, extents[axis], size[axis])?;
            }
            Ok(x)
        })
    }

    /// The images with so many rows and columns, fewer or more than before, by [`Interpolation`].
    #[track_caller]
    pub fn upsample(self, size: impl PerAxis, how: Interpolation) -> Self {
        let size = size.per_axis();
        self.map("upsample", |s, x| {
            let extents = images(&s.list, x, size)?;
            if let Some(none) = of_no_images(&mut s.list, x, size) {
                return Ok(none);
            }
            let mut x = x;
            for axis in [0, 1] {
                let (from, to) = (extents[axis], size[axis]);
                if from == to {
                    continue;
                }
                x = match how {
                    Interpolation::Nearest => nearest(&mut s.list, x, axis + 2, from, to)?,
                    _ => linear(&mut s.list, x, axis + 2, [from, to], how)?,
                };
            }
            Ok(x)
        })
    }
}

/// Rows and columns of the images, after the check that there are any and that some are asked for.
fn images(list: &List, x: Value, size: [usize; 2]) -> Result<[usize; 2], Fault> {
    let shape = list.shape(x);
    let &[n, channels, height, width] = shape.dims() else {
        let form = "[batch, channels, height, width]";
        return Err(rank("the images", form, shape));
    };
    at_least_one("size", size)?;
    infer::not_empty(shape, 0b1100)?;
    infer::shape(&[n, channels, size[0], size[1]])?;
    // Positions are computed in f64, where these products are exact, and are u32.
    for (from, to) in [(height, size[0]), (width, size[1])] {
        let exact = (from as u128) * (to as u128) < 1 << 52;
        if !exact || u32::try_from(from).is_err() {
            let reason =
                format!("{from} rows or columns to {to} are more than positions can tell apart");
            return Err(infer::argument(reason));
        }
    }
    Ok([height, width])
}

/// No images of that size, if there are none: nothing is computed of rows that nobody has.
fn of_no_images(list: &mut List, x: Value, size: [usize; 2]) -> Option<Value> {
    let &[n, channels, ..] = list.dims(x) else {
        return None;
    };
    let shape = Shape::new(&[n, channels, size[0], size[1]]).ok()?;
    (n * channels == 0).then(|| list.reshape(x, shape))
}

/// `0, 1, .., n - 1` in f64 along an axis of four.
fn numbers(list: &mut List, n: usize, axis: usize) -> Value {
    let mut dims = [1; 4];
    dims[axis] = n;
    let shape = Shape::new(&dims).expect("an extent that was checked");
    list.iota(axis, shape, DType::F64)
}

/// `floor(i from / to)`: exact, because the quotient of two integers below 2^52 is rounded to no integer that it is not.
fn scaled_down(list: &mut List, i: Value, from: usize, to: usize) -> Value {
    let product = list.scale(i, from as f64);
    let to = list.float(to as f64, DType::F64);
    let quotient = list.binary(Binary::Div, product, to);
    list.unary(Unary::Floor, quotient)
}

fn nearest(list: &mut List, x: Value, axis: usize, from: usize, to: usize) -> Result<Value, Fault> {
    if to.is_multiple_of(from) {
        // Every row several times: a broadcast axis.
        let mut dims = crate::infer::Few::from_slice(list.dims(x));
        dims[axis] = to;
        let result = infer::shape(&dims)?;
        dims[axis] = from;
        dims.insert(axis + 1, 1);
        let apart = list.reshape(x, infer::shape(&dims)?);
        dims[axis + 1] = to / from;
        let repeated = list.expand(apart, infer::shape(&dims)?);
        return Ok(list.reshape(repeated, result));
    }
    let i = numbers(list, to, axis);
    let at = scaled_down(list, i, from, to);
    let at = list.cast(at, DType::U32);
    gathered(list, x, at, axis)
}

/// Between the two rows around every point: both are gathered, the second only where it has a share.
fn linear(
    list: &mut List,
    x: Value,
    axis: usize,
    [from, to]: [usize; 2],
    how: Interpolation,
) -> Result<Value, Fault> {
    let i = numbers(list, to, axis);
    let point = if how == Interpolation::BilinearAligned {
        if to == 1 {
            return Ok(list.narrow(x, axis, 0, 1));
        }
        let reach = list.scale(i, (from - 1) as f64);
        let steps = list.float((to - 1) as f64, DType::F64);
        list.binary(Binary::Div, reach, steps)
    } else {
        let half = list.float(0.5, DType::F64);
        let centre = list.add(i, half);
        let reach = list.scale(centre, from as f64);
        let steps = list.float(to as f64, DType::F64);
        let point = list.binary(Binary::Div, reach, steps);
        let point = list.sub(point, half);
        let zero = list.float(0.0, DType::F64);
        let last = list.float((from - 1) as f64, DType::F64);
        let low = list.binary(Binary::Max, point, zero);
        list.binary(Binary::Min, low, last)
    };
    let before = list.unary(Unary::Floor, point);
    let share = list.sub(point, before);
    let after = list.unary(Unary::Ceil, point);
    let rows = [before, after].map(|at| list.cast(at, DType::U32));
    let [a, b] = rows;
    let (a, b) = (gathered(list, x, a, axis)?, gathered(list, x, b, axis)?);
    let share = list.cast(share, list.dtype(x));
    let one = list.like(1.0, x);
    let rest = list.sub(one, share);
    let (part_a, part_b) = (list.mul(a, rest), list.mul(b, share));
    let between = list.add(part_a, part_b);
    // On a row: that row, infinite or not.
    let zero = list.like(0.0, x);
    let on_row = list.binary(Binary::Eq, share, zero);
    Ok(list.select(on_row, a, between))
}

/// Means over `to` windows along an axis: of equal windows by a reduction, else of windows gathered side by side.
fn averaged(
    list: &mut List,
    x: Value,
    axis: usize,
    from: usize,
    to: usize,
) -> Result<Value, Fault> {
    if from == to {
        return Ok(x);
    }
    let mut dims = crate::infer::Few::from_slice(list.dims(x));
    dims[axis] = to;
    let result = infer::shape(&dims)?;
    let mask = 1 << (axis + 1);
    if from.is_multiple_of(to) {
        dims.insert(axis + 1, from / to);
        let windows = list.reshape(x, infer::shape(&dims)?);
        let mean = list.mean(windows, mask);
        return Ok(list.reshape(mean, result));
    }
    // The longest window: two ends that are rounded apart.
    let longest = from.div_ceil(to) + 1;
    let line = |at: usize, n: usize| {
        let mut dims = [1; 5];
        dims[at] = n;
        Shape::new(&dims).expect("an extent that was checked")
    };
    let window = list.iota(axis, line(axis, to), DType::F64);
    let start = scaled_down(list, window, from, to);
    let one = list.float(1.0, DType::F64);
    let next = list.add(window, one);
    // ceil(a / b) = floor((a + b - 1) / b), exact as the quotient above.
    let product = list.scale(next, from as f64);
    let to_value = list.float(to as f64, DType::F64);
    let round = list.float((to - 1) as f64, DType::F64);
    let product = list.add(product, round);
    let end = list.binary(Binary::Div, product, to_value);
    let end = list.unary(Unary::Floor, end);
    let within = list.iota(axis + 1, line(axis + 1, longest), DType::F64);
    let at = list.add(start, within);
    let inside = list.binary(Binary::Lt, at, end);
    let last = list.float((from - 1) as f64, DType::F64);
    let at = list.binary(Binary::Min, at, last);
    let at = list.cast(at, DType::U32);
    let mut flat = [1; 4];
    flat[axis] = to
        .checked_mul(longest)
        .ok_or_else(|| Fault::shape("the windows have more elements than memory can address"))?;
    let at = list.reshape(at, infer::shape(&flat)?);
    let gathered = gathered(list, x, at, axis)?;
    dims.insert(axis + 1, longest);
    let windows = list.reshape(gathered, infer::shape(&dims)?);
    let zero = list.like(0.0, x);
    let windows = list.select(inside, windows, zero);
    let sum = list.reduce(Reduce::Sum, windows, mask);
    let count = list.sub(end, start);
    let count = list.cast(count, list.dtype(x));
    let mean = list.binary(Binary::Div, sum, count);
    Ok(list.reshape(mean, result))
}
