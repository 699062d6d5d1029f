//! Windows side by side: of images as columns, and along one axis.

use retrograde_ops::{Binary, Window};
use retrograde_storage::{DType, Element};

use super::conv::{ConvOptions, PerAxis, at_least_one, no_output_padding, outputs, rank};
use super::index::gathered;
use super::{Float, Var};
use crate::error::Fault;
use crate::infer::{self, Few};
use crate::list::{List, Value};

impl<T: Float> Var<'_, T> {
    /// The patches that a [`conv2d`](Self::conv2d) with this kernel sees, as columns: `[n, channels, h, w]` gives
    /// `[n, channels rows columns, places]`, channels first, then rows and columns of the kernel, places row by row.
    /// Beyond the image are zeros; there are no groups. A product with a weight of `[outputs, channels rows columns]`
    /// is that convolution.
    ///
    /// ```
    /// # use retrograde_graph::{ConvOptions, Tape};
    /// # use retrograde_storage::{Array, Create};
    /// # let tape = Tape::new();
    /// let x = tape.variable(Array::<f64>::arange(6).reshape([1, 1, 2, 3])?);
    /// let patches = x.unfold([2, 2], ConvOptions::default());
    /// assert_eq!(patches.at(0, 0).t().value()?, Array::from([[0.0, 1.0, 3.0, 4.0], [1.0, 2.0, 4.0, 5.0]]));
    /// assert_eq!(x.unfold(2, ConvOptions::default().padding(1)).shape()?, [1, 4, 12]);
    /// assert!(x.unfold(3, ConvOptions::default()).value().is_err());
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn unfold(self, kernel: impl PerAxis, options: ConvOptions) -> Self {
        let kernel = kernel.per_axis();
        self.map("unfold", |s, x| {
            let l = &mut s.list;
            let shape = l.shape(x);
            let &[n, channels, height, width] = shape.dims() else {
                let form = "[batch, channels, height, width]";
                return Err(rank("the images", form, shape));
            };
            at_least_one("stride", options.stride)?;
            at_least_one("dilation", options.dilation)?;
            at_least_one("kernel", kernel)?;
            no_output_padding(&options)?;
            if options.groups != 1 {
                let reason = format!(
                    "there are no groups of patches, but {} are asked for",
                    options.groups
                );
                return Err(infer::argument(reason));
            }
            let window = options.window(kernel);
            let places = outputs(&window, [height, width])?;
            let mut result = [n, channels, kernel[0], kernel[1], places[0], places[1]];
            infer::shape(&result)?;
            result[1] = channels * kernel[0] * kernel[1];
            result[2] = places[0] * places[1];
            let result = infer::shape(&result[..3])?;
            if n * channels == 0 {
                // Nothing is computed of places in images that are not there.
                return Ok(l.reshape(x, result));
            }
            // Rows and columns are gathered one after the other: rows of patches, then their columns.
            let mut x = x;
            for axis in [0, 1] {
                x = taken(l, x, &window, axis, places[axis])?;
            }
            let apart = [n, channels, kernel[0], places[0], kernel[1], places[1]];
            let apart = l.reshape(x, infer::shape(&apart)?);
            let apart = l.permute(apart, &[0, 1, 2, 4, 3, 5]);
            Ok(l.reshape(apart, result))
        })
    }
}

/// Along rows (0) or columns (1) of images: for every tap, what it sees at every place; zeros beyond the image.
fn taken(
    list: &mut List,
    x: Value,
    window: &Window,
    axis: usize,
    count: usize,
) -> Result<Value, Fault> {
    let (stride, dilation) = (window.stride[axis], window.dilation[axis]);
    let (padding, taps) = (window.padding[axis], window.kernel[axis]);
    let at = axis + 2;
    let extent = list.dims(x)[at];
    fits(extent.saturating_add(padding.saturating_mul(2)))?;
    let tap = list.iota(0, infer::shape(&[taps, 1])?, DType::I64);
    let place = list.iota(1, infer::shape(&[1, count])?, DType::I64);
    let position = |list: &mut List, v: Value, step: usize| {
        let step = list.int(step as i64, DType::I64);
        list.mul(v, step)
    };
    let (tap, place) = (position(list, tap, dilation), position(list, place, stride));
    let seen = list.add(tap, place);
    let before = list.int(padding as i64, DType::I64);
    let seen = list.sub(seen, before);
    let mut line = [1; 4];
    line[at] = taps * count;
    let seen = list.reshape(seen, infer::shape(&line)?);
    if padding == 0 {
        return gathered(list, x, seen, at);
    }
    let zero = list.int(0, DType::I64);
    let end = list.int(extent as i64, DType::I64);
    let low = list.binary(Binary::Lt, seen, zero);
    let high = list.binary(Binary::Ge, seen, end);
    let outside = list.binary(Binary::Or, low, high);
    let zeros = list.like(0.0, x);
    if extent == 0 {
        let mut dims = Few::from_slice(list.dims(x));
        dims[at] = taps * count;
        return Ok(list.expand(zeros, infer::shape(&dims)?));
    }
    let within = list.select(outside, zero, seen);
    let x = gathered(list, x, within, at)?;
    Ok(list.select(outside, zeros, x))
}

impl<T: Element> Var<'_, T> {
    /// Windows of `size` elements along an axis, `step` apart, as a new last axis (`PyTorch`'s `Tensor.unfold`): an
    /// extent of `n` becomes `(n - size) / step + 1`, rounded down. Windows that do not overlap are a view.
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::{Array, Create};
    /// # let tape = Tape::new();
    /// let x = tape.variable(Array::<f64>::arange(5));
    /// assert_eq!(x.windows(0, 3, 1).value()?, Array::from([[0.0, 1.0, 2.0], [1.0, 2.0, 3.0], [2.0, 3.0, 4.0]]));
    /// assert_eq!(x.windows(0, 2, 2).value()?, Array::from([[0.0, 1.0], [2.0, 3.0]]));
    /// assert!(x.windows(0, 6, 1).value().is_err());
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    #[track_caller]
    pub fn windows(self, axis: isize, size: usize, step: usize) -> Self {
        self.map("windows", |s, x| {
            let l = &mut s.list;
            let shape = l.shape(x);
            let axis = infer::axis(shape, axis)?;
            infer::room_for_axis(shape)?;
            let extent = shape.dims()[axis];
            if step == 0 || size == 0 || size > extent {
                return Err(infer::argument(format!(
                    "windows of {size} elements, {step} apart, of an axis of {extent}: both must be 1 at least, and \
                     the window no longer than the axis"
                )));
            }
            let count = (extent - size) / step + 1;
            let mut dims = Few::from_slice(shape.dims());
            dims[axis] = count;
            dims.insert(axis + 1, size);
            let apart = infer::shape(&dims)?;
            if shape.is_empty() {
                // Nor of windows over nothing.
                let inner = dims.remove(axis + 1);
                dims.push(inner);
                return Ok(l.reshape(x, infer::shape(&dims)?));
            }
            let flat = if step == size {
                l.narrow(x, axis, 0, count * size)
            } else {
                fits(extent)?;
                let start = l.iota(0, infer::shape(&[count, 1])?, DType::I64);
                let step = l.int(step as i64, DType::I64);
                let start = l.mul(start, step);
                let within = l.iota(1, infer::shape(&[1, size])?, DType::I64);
                let at = l.add(start, within);
                let mut line = Few::from_elem(1, shape.rank());
                line[axis] = count * size;
                let at = l.reshape(at, infer::shape(&line)?);
                gathered(l, x, at, axis)?
            };
            let windows = l.reshape(flat, apart);
            let mut order: Few = (0..=shape.rank()).collect();
            let inner = order.remove(axis + 1);
            order.push(inner);
            Ok(l.permute(windows, &order))
        })
    }
}

/// That positions along an axis are i64.
fn fits(extent: usize) -> Result<(), Fault> {
    match i64::try_from(extent) {
        Ok(_) => Ok(()),
        Err(_) => Err(infer::argument(format!(
            "positions in {extent} elements are more than i64 can count"
        ))),
    }
}
