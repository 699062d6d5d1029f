//! Pooling over the last axes of `[batch, channels, height, width]`.

use retrograde_ops::{Binary, Window};
use retrograde_storage::{DType, Shape};

use super::conv::{PerAxis, at_least_one, outputs, rank};
use super::{Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// A window of pooling: its size, its stride (the size, unless said otherwise), and padding (0).
///
/// Numbers that do not fit are an error of the value they are used for.
///
/// ```
/// # use retrograde_graph::PoolOptions;
/// let overlapping = PoolOptions::kernel(3).stride(2).padding(1);
/// assert_eq!((overlapping.kernel, overlapping.stride), ([3, 3], [2, 2]));
/// assert_eq!(PoolOptions::kernel([2, 1]).stride, [2, 1]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolOptions {
    /// Rows and columns of the window, 1 at least.
    pub kernel: [usize; 2],
    /// From one window to the next, 1 at least.
    pub stride: [usize; 2],
    /// Beyond either side of the image, half the kernel at most. Nothing there is ever the largest.
    pub padding: [usize; 2],
    /// Whether a mean counts what is beyond the image, as zeros.
    pub count_include_pad: bool,
}

impl PoolOptions {
    /// Windows of this size, side by side.
    pub fn kernel(kernel: impl PerAxis) -> Self {
        let kernel = kernel.per_axis();
        Self {
            kernel,
            stride: kernel,
            padding: [0, 0],
            count_include_pad: true,
        }
    }
    /// With this [`stride`](Self::stride).
    #[must_use]
    pub fn stride(mut self, stride: impl PerAxis) -> Self {
        self.stride = stride.per_axis();
        self
    }
    /// With this [`padding`](Self::padding).
    #[must_use]
    pub fn padding(mut self, padding: impl PerAxis) -> Self {
        self.padding = padding.per_axis();
        self
    }
    /// With a mean that [counts](Self::count_include_pad) what is beyond the image, or does not.
    #[must_use]
    pub fn count_include_pad(mut self, count: bool) -> Self {
        self.count_include_pad = count;
        self
    }
}

/// Pooling: one number for each place of a window, of `[n, channels, h, w]` with `(h + 2 pad - rows) / stride + 1` rows,
/// rounded down, and columns likewise. A window that does not fit is an error, and so is an image without elements.
///
/// ```
/// # use retrograde_graph::{PoolOptions, Tape};
/// # use retrograde_storage::Array;
/// # let tape = Tape::new();
/// let x = tape.variable(Array::from([[[[1.0_f64, 4.0, 4.0, 0.0], [2.0, 3.0, 1.0, 5.0]]]]));
/// let largest = x.max_pool2d(PoolOptions::kernel(2));
/// assert_eq!(largest.flatten().value()?, Array::from([4.0, 5.0]));
/// let [g] = largest.sum().grad_of([x]);
/// assert_eq!(g.flatten().value()?, Array::from([0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]));
/// let mean = x.avg_pool2d(PoolOptions::kernel([2, 4]));
/// assert_eq!(mean.flatten().value()?, Array::from([2.5]));
/// let error = x.max_pool2d(PoolOptions::kernel(3)).value().unwrap_err().to_string();
/// assert!(error.starts_with("max_pool2d of [1, 1, 2, 4] f64: a kernel of 3 does not fit 2 rows"), "{error}");
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Float> Var<'_, T> {
    /// The largest element under the window; NaN if one is. The gradient goes to the first of equals, row by row (the
    /// first NaN).
    #[track_caller]
    pub fn max_pool2d(self, options: PoolOptions) -> Self {
        self.map("max_pool2d", |s, x| {
            let l = &mut s.list;
            let (window, shape) = pooled(l.shape(x), &options)?;
            let attr = l.add_window(window);
            Ok(l.push(Op::MaxPool, &[x, x], attr, shape, T::DTYPE))
        })
    }

    /// The mean of the elements under the window. What is beyond the image counts as zeros, or with
    /// [`count_include_pad`](PoolOptions::count_include_pad) off not at all.
    #[track_caller]
    pub fn avg_pool2d(self, options: PoolOptions) -> Self {
        self.map("avg_pool2d", |s, x| {
            let l = &mut s.list;
            let (window, shape) = pooled(l.shape(x), &options)?;
            let attr = l.add_window(window);
            let sum = l.push(Op::SumPool, &[x], attr, shape, T::DTYPE);
            let count = if options.count_include_pad || options.padding == [0, 0] {
                // As floats: a kernel may be larger than memory.
                let [rows, columns] = window.kernel.map(|k| k as f64);
                l.float(rows * columns, T::DTYPE)
            } else {
                counts(l, x, attr, shape, T::DTYPE)?
            };
            Ok(l.binary(Binary::Div, sum, count))
        })
    }
}

/// How many elements of the image each window sees, `[1, 1, ..]`.
fn counts(
    list: &mut List,
    x: Value,
    attr: Attr,
    pooled: Shape,
    dtype: DType,
) -> Result<Value, Fault> {
    let one_plane = |dims: &[usize]| infer::shape(&[1, 1, dims[2], dims[3]]);
    let (image, pooled) = (one_plane(list.dims(x))?, one_plane(pooled.dims())?);
    let ones = list.filled(1.0, dtype, image);
    Ok(list.push(Op::SumPool, &[ones], attr, pooled, dtype))
}

/// The window and the shape of what is pooled.
fn pooled(shape: Shape, options: &PoolOptions) -> Result<(Window, Shape), Fault> {
    let &[n, channels, height, width] = shape.dims() else {
        return Err(rank(
            "the images",
            "[batch, channels, height, width]",
            shape,
        ));
    };
    at_least_one("kernel", options.kernel)?;
    at_least_one("stride", options.stride)?;
    if (0..2).any(|axis| options.padding[axis] > options.kernel[axis] / 2) {
        return Err(infer::argument(format!(
            "the padding is {:?}; half the kernel, {:?}, is the most, or windows would see nothing of the image",
            options.padding, options.kernel
        )));
    }
    infer::not_empty(shape, 0b1100)?;
    let window = Window {
        kernel: options.kernel,
        stride: options.stride,
        padding: options.padding,
        dilation: [1, 1],
        groups: 1,
    };
    let [rows, columns] = outputs(&window, [height, width])?;
    Ok((window, infer::shape(&[n, channels, rows, columns])?))
}
