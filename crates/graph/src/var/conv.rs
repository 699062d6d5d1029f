//! Convolutions over the last axes of `[batch, channels, height, width]`.

use retrograde_ops::Window;
use retrograde_storage::Shape;

use super::{Float, Var};
use crate::error::Fault;
use crate::infer;
use crate::list::{List, Value};
use crate::op::Op;

/// A number for both axes, or one for rows and one for columns: `2`, `[2, 1]`.
pub trait PerAxis {
    /// `[rows, columns]`.
    fn per_axis(self) -> [usize; 2];
}
impl PerAxis for usize {
    fn per_axis(self) -> [usize; 2] {
        [self; 2]
    }
}
impl PerAxis for [usize; 2] {
    fn per_axis(self) -> [usize; 2] {
        self
    }
}

/// How a convolution moves over its image: stride 1, padding 0, dilation 1, one group, unless said otherwise.
///
/// Numbers that do not fit are an error of the value they are used for.
///
/// ```
/// # use retrograde_graph::ConvOptions;
/// let halved = ConvOptions::default().stride(2).padding([1, 2]).groups(4);
/// assert_eq!((halved.stride, halved.padding, halved.dilation), ([2, 2], [1, 2], [1, 1]));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConvOptions {
    /// From one output to the next, 1 at least.
    pub stride: [usize; 2],
    /// Zeros added on either side of the image.
    pub padding: [usize; 2],
    /// From one tap of the kernel to the next, 1 at least.
    pub dilation: [usize; 2],
    /// Parts of the channels, each seen by its own part of the outputs. Must divide both.
    pub groups: usize,
    /// Of a transposed convolution alone: further rows and columns at the end of its result, less than the stride.
    pub output_padding: [usize; 2],
}

impl Default for ConvOptions {
    fn default() -> Self {
        Self {
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
            groups: 1,
            output_padding: [0, 0],
        }
    }
}

impl ConvOptions {
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
    /// With this [`dilation`](Self::dilation).
    #[must_use]
    pub fn dilation(mut self, dilation: impl PerAxis) -> Self {
        self.dilation = dilation.per_axis();
        self
    }
    /// With this number of [`groups`](Self::groups).
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }
    /// With this [`output_padding`](Self::output_padding).
    #[must_use]
    pub fn output_padding(mut self, padding: impl PerAxis) -> Self {
        self.output_padding = padding.per_axis();
        self
    }

    pub(super) fn window(&self, kernel: [usize; 2]) -> Window {
        Window {
            kernel,
            stride: self.stride,
            padding: self.padding,
            dilation: self.dilation,
            groups: self.groups,
        }
    }

    /// The same along one axis: columns. Of the pairs the second number counts.
    fn of_columns(self) -> Self {
        Self {
            stride: [1, self.stride[1]],
            padding: [0, self.padding[1]],
            dilation: [1, self.dilation[1]],
            output_padding: [0, self.output_padding[1]],
            ..self
        }
    }
}

/// Convolutions: cross-correlations, as all networks mean them. A weight that does not fit its images is an error.
///
/// A bias is added by broadcasting, for each output channel: `x.conv2d(w, options) + b.reshape([outputs, 1, 1])`.
///
/// ```
/// # use retrograde_graph::{ConvOptions, Tape};
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let x = tape.variable(Array::<f64>::arange(16).reshape([1, 1, 4, 4])?);
/// let w = tape.variable(Array::<f64>::ones([1, 1, 3, 3]));
/// let y = x.conv2d(w, ConvOptions::default());
/// assert_eq!(y.flatten().value()?, Array::from([45.0, 54.0, 81.0, 90.0]));
/// let [seen] = y.sum().grad_of([x]);   // how many windows see an element
/// assert_eq!(seen.at(2, 0).flatten().value()?, Array::from([1.0, 2.0, 2.0, 1.0]));
/// let halved = ConvOptions::default().stride(2).padding(1);
/// assert_eq!(x.conv2d(w, halved).shape()?, [1, 1, 2, 2]);
/// assert_eq!(y.conv_transpose2d(w, ConvOptions::default()).shape()?, [1, 1, 4, 4]);
/// let line = tape.constant(Array::from([[[1.0_f64, 4.0, 9.0, 16.0]]]));
/// let difference = tape.constant(Array::from([[[-1.0_f64, 1.0]]]));
/// let steps = line.conv1d(difference, ConvOptions::default());
/// assert_eq!(steps.value()?, Array::from([[[3.0, 5.0, 7.0]]]));
/// let error = x.conv2d(w, ConvOptions::default().stride(0)).value().unwrap_err();
/// assert!(error.to_string().starts_with("conv2d of [1, 1, 4, 4] f64 and [1, 1, 3, 3] f64: the stride is [0, 0]"));
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<T: Float> Var<'_, T> {
    /// `y[n, o, p, q] = sum over c, i, j of w[o, c, i, j] x[n, c, p s + i d - pad, q s + j d - pad]`, where `x` is zero
    /// outside its extents: images `[n, channels, h, w]` and a weight `[outputs, channels / groups, rows, columns]` give
    /// `[n, outputs, ..]` with `(h + 2 pad - d (rows - 1) - 1) / s + 1` rows, rounded down, and columns likewise.
    ///
    /// With groups, outputs of group `g` see the channels of group `g` alone.
    #[track_caller]
    pub fn conv2d(self, weight: Self, options: ConvOptions) -> Self {
        self.rec
            .apply("conv2d", &[self.into(), weight.into()], |s| {
                no_output_padding(&options)?;
                conv(&mut s.list, self.id, weight.id, options)
            })
    }

    /// [`conv2d`](Self::conv2d) along one axis: `[n, channels, length]` and `[outputs, channels / groups, taps]` give
    /// `[n, outputs, ..]`. Of pairs in the options the second number counts.
    #[track_caller]
    pub fn conv1d(self, weight: Self, options: ConvOptions) -> Self {
        self.rec
            .apply("conv1d", &[self.into(), weight.into()], |s| {
                no_output_padding(&options)?;
                let l = &mut s.list;
                let x = as_row(l, self.id, "the images", "[batch, channels, length]")?;
                let w = as_row(
                    l,
                    weight.id,
                    "the weight",
                    "[outputs, channels / groups, taps]",
                )?;
                let y = conv(l, x, w, options.of_columns())?;
                let &[n, o, _, length] = l.dims(y) else {
                    unreachable!("a convolution has four axes")
                };
                let shape = infer::shape(&[n, o, length])?;
                Ok(l.reshape(y, shape))
            })
    }

    /// The adjoint of [`conv2d`](Self::conv2d) with respect to its images, also called deconvolution: images `[n,
    /// inputs, h, w]` and a weight `[inputs, outputs / groups, rows, columns]` give `[n, outputs, ..]` with
    /// `(h - 1) s - 2 pad + d (rows - 1) + 1 + output_padding` rows, and columns likewise.
    #[track_caller]
    pub fn conv_transpose2d(self, weight: Self, options: ConvOptions) -> Self {
        self.rec
            .apply("conv_transpose2d", &[self.into(), weight.into()], |s| {
                transposed(&mut s.list, self.id, weight.id, options)
            })
    }
}

/// `[a, b, n]` as `[a, b, 1, n]`.
fn as_row(list: &mut List, x: Value, what: &str, expected: &str) -> Result<Value, Fault> {
    let &[a, b, n] = list.dims(x) else {
        return Err(rank(what, expected, list.shape(x)));
    };
    let shape = infer::shape(&[a, b, 1, n])?;
    Ok(list.reshape(x, shape))
}

pub(super) fn rank(what: &str, expected: &str, found: Shape) -> Fault {
    Fault::shape(format!(
        "{what} must have shape {expected}, but {found} has rank {}; try `unsqueeze` or `reshape`",
        found.rank()
    ))
}

/// The four extents of images and of a weight, and the window, which is sound.
fn checked(
    list: &List,
    [x, w]: [Value; 2],
    options: &ConvOptions,
    expected: &str,
) -> Result<([usize; 4], [usize; 4], Window), Fault> {
    let (images, weight) = (list.shape(x), list.shape(w));
    let Ok(image) = <[usize; 4]>::try_from(images.dims()) else {
        let form = "[batch, channels, height, width]";
        return Err(rank("the images", form, images));
    };
    let Ok(kernel) = <[usize; 4]>::try_from(weight.dims()) else {
        return Err(rank("the weight", expected, weight));
    };
    at_least_one("stride", options.stride)?;
    at_least_one("dilation", options.dilation)?;
    at_least_one("kernel", [kernel[2], kernel[3]])?;
    if options.groups == 0 {
        return Err(infer::argument("there must be one group at least, not 0"));
    }
    Ok((image, kernel, options.window([kernel[2], kernel[3]])))
}

pub(super) fn at_least_one(name: &str, pair: [usize; 2]) -> Result<(), Fault> {
    if pair.contains(&0) {
        return Err(infer::argument(format!(
            "the {name} is {pair:?}; it must be 1 at least on both axes"
        )));
    }
    Ok(())
}

fn divides(groups: usize, what: &str, count: usize) -> Result<(), Fault> {
    if count.is_multiple_of(groups) {
        return Ok(());
    }
    Err(infer::argument(format!(
        "{groups} groups do not divide {count} {what}"
    )))
}

pub(super) fn no_output_padding(options: &ConvOptions) -> Result<(), Fault> {
    if options.output_padding == [0, 0] {
        return Ok(());
    }
    Err(infer::argument(format!(
        "output_padding is {:?}, but only a transposed convolution has any",
        options.output_padding
    )))
}

/// Extents of what a window gives, whatever slides over rows and columns of `extent`.
pub(super) fn outputs(window: &Window, extent: [usize; 2]) -> Result<[usize; 2], Fault> {
    let mut outputs = [0; 2];
    for (axis, name) in ["rows", "columns"].into_iter().enumerate() {
        let (taps, dilation) = (window.kernel[axis], window.dilation[axis]);
        let (extent, padding) = (extent[axis], window.padding[axis]);
        outputs[axis] = window.outputs(axis, extent).ok_or_else(|| {
            let apart = match dilation {
                1 => String::new(),
                _ => format!(" taps {dilation} apart"),
            };
            let padded = match padding {
                0 => String::new(),
                _ => format!(" with padding {padding} on either side"),
            };
            Fault::shape(format!(
                "a kernel of {taps}{apart} does not fit {extent} {name}{padded}"
            ))
        })?;
    }
    Ok(outputs)
}

fn conv(list: &mut List, x: Value, w: Value, options: ConvOptions) -> Result<Value, Fault> {
    let form = "[outputs, channels / groups, rows, columns]";
    let (image, weight, window) = checked(list, [x, w], &options, form)?;
    let ([n, channels, height, width], [outs, per_group, ..]) = (image, weight);
    divides(options.groups, "channels", channels)?;
    divides(options.groups, "outputs", outs)?;
    if channels / options.groups != per_group {
        return Err(Fault::shape(format!(
            "the images have {channels} channels, so with {} groups the weight must have shape [outputs, {}, rows, \
             columns]",
            options.groups,
            channels / options.groups
        )));
    }
    let [rows, columns] = outputs(&window, [height, width])?;
    let shape = infer::shape(&[n, outs, rows, columns])?;
    let attr = list.add_window(window);
    let dtype = list.dtype(x);
    Ok(list.push(Op::Conv2d, &[x, w], attr, shape, dtype))
}

fn transposed(list: &mut List, x: Value, w: Value, options: ConvOptions) -> Result<Value, Fault> {
    let form = "[inputs, outputs / groups, rows, columns]";
    let (image, weight, window) = checked(list, [x, w], &options, form)?;
    let ([n, inputs, height, width], [of_weight, per_group, ..]) = (image, weight);
    divides(options.groups, "inputs", inputs)?;
    if inputs != of_weight {
        return Err(Fault::shape(format!(
            "the images have {inputs} channels, so the weight must have shape [{inputs}, outputs / groups, rows, columns]"
        )));
    }
    let mut extent = [0; 2];
    for (axis, (given, name)) in [(height, "rows"), (width, "columns")]
        .into_iter()
        .enumerate()
    {
        let (stride, extra) = (options.stride[axis], options.output_padding[axis]);
        if extra >= stride {
            return Err(infer::argument(format!(
                "output_padding is {:?}; it must be less than the stride, {:?}",
                options.output_padding, options.stride
            )));
        }
        let padding = options.padding[axis];
        let wide = given
            .checked_sub(1)
            .and_then(|steps| steps.checked_mul(stride))
            .and_then(|reach| reach.checked_add(window.span(axis)?))
            .and_then(|reach| reach.checked_add(extra));
        let left = wide.and_then(|wide| wide.checked_sub(padding.checked_mul(2)?));
        extent[axis] = left.filter(|&left| left > 0).ok_or_else(|| {
            Fault::shape(format!(
                "{given} {name} with stride {stride}, dilation {} and padding {padding} leave no {name} of the result",
                options.dilation[axis]
            ))
        })?;
    }
    let outs = per_group.saturating_mul(options.groups);
    let shape = infer::shape(&[n, outs, extent[0], extent[1]])?;
    let attr = list.add_window(window);
    let dtype = list.dtype(x);
    Ok(list.push(Op::ConvInput, &[x, w], attr, shape, dtype))
}
