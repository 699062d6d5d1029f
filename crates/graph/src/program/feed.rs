//! What programs are recorded on and run with: [`Inputs`] declare, a [`Feed`] is read.

use retrograde_storage::{AnyArray, Array, ArrayError, ArrayRef, DType, Element, Shape};

use crate::error::{Error, ErrorKind, Result};
use crate::var::{Rec, Var};

mod sealed {
    /// A feed is asked twice for its ports, once to check and once to read; only types of this file, which answer the
    /// same both times, may be trusted with that.
    pub trait Sealed {}
}
use sealed::Sealed;

/// Inputs of one run, in the order and of the shapes of the recording: arrays of [`&Array`](Array), of
/// [`ArrayRef`] (a slice and a shape), slices of either, tuples of references for mixed element types, or
/// [`AnyArray`]s. Sealed.
pub trait Feed: Sealed {
    /// How many there are.
    fn count(&self) -> usize;
    /// Type, shape and elements of input `i`.
    fn port(&self, i: usize) -> Option<FeedPort<'_>>;
    /// The elements of input `i`, if it has this type and shape and holds no error. Every run asks for every input, and a
    /// port with its shape goes through memory more than once on its way: 10 ns of a run that may take 200.
    fn elements(&self, i: usize, dtype: DType, shape: &Shape) -> Option<&[u8]> {
        self.port(i).and_then(|port| port.elements(dtype, shape))
    }
    /// The elements of input `i`, whatever they are.
    fn bytes(&self, i: usize) -> Option<&[u8]> {
        self.port(i).map(|port| port.bytes)
    }
}

/// Example inputs of a program: owned arrays of one element type, or a tuple of arrays of several. They give element
/// types and shapes, and the values that branches are recorded on. A program without inputs has `()`. Sealed.
pub trait Inputs: Feed {
    /// The handles that the closure gets.
    type Vars<'t>;
    /// Declares inputs of these element types on a recording, with shapes and elements of `feed`.
    fn declare<'t>(rec: Rec<'t>, feed: &dyn Feed) -> Result<Self::Vars<'t>>;
}

/// One input of a run.
#[derive(Clone, Copy)]
pub struct FeedPort<'a> {
    dtype: DType,
    shape: Shape,
    bytes: &'a [u8],
    fault: Option<&'a ArrayError>,
}

impl<'a> FeedPort<'a> {
    /// Elements in memory that is aligned for their type and large enough.
    pub(crate) fn new(dtype: DType, shape: Shape, bytes: &'a [u8]) -> Self {
        Self {
            dtype,
            shape,
            bytes,
            fault: None,
        }
    }
    /// See [`Feed::elements`].
    #[inline(always)]
    fn elements(self, dtype: DType, shape: &Shape) -> Option<&'a [u8]> {
        let fits = self.dtype == dtype && self.shape == *shape && self.fault.is_none();
        fits.then_some(self.bytes)
    }
    /// A type and a shape, for those that ask for no more.
    pub(crate) fn of_type(dtype: DType, shape: Shape) -> FeedPort<'static> {
        FeedPort::new(dtype, shape, &[])
    }
    /// The element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }
    /// The extents.
    pub fn shape(&self) -> Shape {
        self.shape
    }
    /// The elements' memory, row-major, aligned for their type.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
    /// A copy of the elements.
    pub fn to_array<T: Element>(&self) -> Result<Array<T>> {
        if self.dtype != T::DTYPE {
            let message = format!("the input is {}, asked for was {}", self.dtype, T::DTYPE);
            return Err(Error::new(ErrorKind::DType, message));
        }
        Ok(Array::from_vec(
            crate::tape::decode(self.bytes),
            self.shape,
        )?)
    }
}

impl FeedPort<'_> {
    /// A copy, whatever the element type.
    pub fn to_any(&self) -> Result<AnyArray> {
        Ok(match self.dtype {
            DType::F32 => self.to_array::<f32>()?.into(),
            DType::F64 => self.to_array::<f64>()?.into(),
            DType::U32 => self.to_array::<u32>()?.into(),
            DType::I64 => self.to_array::<i64>()?.into(),
            DType::Bool => self.to_array::<bool>()?.into(),
        })
    }
}

impl<'a, T: Element> From<ArrayRef<'a, T>> for FeedPort<'a> {
    #[inline(always)]
    fn from(x: ArrayRef<'a, T>) -> Self {
        Self {
            dtype: T::DTYPE,
            shape: x.shape_of(),
            bytes: x.as_bytes(),
            fault: x.error(),
        }
    }
}

impl<'a> From<&'a AnyArray> for FeedPort<'a> {
    #[inline(always)]
    fn from(x: &'a AnyArray) -> Self {
        Self {
            dtype: x.dtype(),
            shape: x.shape_of(),
            bytes: x.as_bytes(),
            fault: x.error(),
        }
    }
}

/// Port `i` of a feed, of whatever type, unless it is missing or an array that holds an error.
pub(crate) fn port(feed: &dyn Feed, i: usize) -> Result<FeedPort<'_>> {
    let port = feed.port(i).ok_or_else(|| {
        let message = format!("input {i} is missing: given were {}", feed.count());
        Error::new(ErrorKind::Inputs, message)
    })?;
    match port.fault {
        None => Ok(port),
        Some(fault) => Err(Error::new(ErrorKind::Inputs, format!("input {i}: {fault}"))),
    }
}

/// Checks that the first ports of a feed have these types.
fn check_types(feed: &dyn Feed, dtypes: &[DType]) -> Result<()> {
    for (i, &dtype) in dtypes.iter().enumerate() {
        let found = port(feed, i)?.dtype;
        if found != dtype {
            let message = format!("input {i} is {found}, the closure takes {dtype}");
            return Err(Error::new(ErrorKind::Inputs, message));
        }
    }
    Ok(())
}

/// A leaf for port `i`, which was checked.
fn leaf<'t, T: Element>(rec: Rec<'t>, feed: &dyn Feed, i: usize) -> Var<'t, T> {
    match feed.port(i) {
        Some(p) => rec.leaf_of_bytes(p.shape, p.bytes),
        None => unreachable!("every port was checked"),
    }
}

impl<T: Element, const N: usize> Inputs for [Array<T>; N] {
    type Vars<'t> = [Var<'t, T>; N];
    fn declare<'t>(rec: Rec<'t>, feed: &dyn Feed) -> Result<[Var<'t, T>; N]> {
        check_types(feed, &[T::DTYPE; N])?;
        Ok(std::array::from_fn(|i| leaf(rec, feed, i)))
    }
}

/// Feeds that are slices of something with a port.
macro_rules! slices {
    ($([$($generics:tt)*] $slice:ty, $a:ident => $port:expr;)*) => {$(
        impl<$($generics)*> Sealed for $slice {}
        impl<$($generics)*> Feed for $slice {
            fn count(&self) -> usize {
                self.len()
            }
            fn port(&self, i: usize) -> Option<FeedPort<'_>> {
                self.get(i).map(|$a| $port)
            }
            fn elements(&self, i: usize, dtype: DType, shape: &Shape) -> Option<&[u8]> {
                self.get(i).and_then(|$a| FeedPort::elements($port, dtype, shape))
            }
            fn bytes(&self, i: usize) -> Option<&[u8]> {
                self.get(i).map(|$a| $a.as_bytes())
            }
        }
    )*};
}
slices! {
    [T: Element, const N: usize] [Array<T>; N], a => a.view().into();
    [T: Element, const N: usize] [&Array<T>; N], a => a.view().into();
    [T: Element, const N: usize] [ArrayRef<'_, T>; N], a => (*a).into();
    [const N: usize] [AnyArray; N], a => a.into();
    [T: Element] [Array<T>], a => a.view().into();
    [T: Element] [&Array<T>], a => a.view().into();
    [T: Element] [ArrayRef<'_, T>], a => (*a).into();
    [] [AnyArray], a => a.into();
}

impl<F: Feed + ?Sized> Sealed for &F {}
impl<F: Feed + ?Sized> Feed for &F {
    fn count(&self) -> usize {
        (**self).count()
    }
    fn port(&self, i: usize) -> Option<FeedPort<'_>> {
        (**self).port(i)
    }
    fn elements(&self, i: usize, dtype: DType, shape: &Shape) -> Option<&[u8]> {
        (**self).elements(i, dtype, shape)
    }
    fn bytes(&self, i: usize) -> Option<&[u8]> {
        (**self).bytes(i)
    }
}

/// For programs without inputs.
impl Sealed for () {}
impl Feed for () {
    fn count(&self) -> usize {
        0
    }
    fn port(&self, _: usize) -> Option<FeedPort<'_>> {
        None
    }
}
impl Inputs for () {
    type Vars<'t> = ();
    fn declare(_: Rec<'_>, _: &dyn Feed) -> Result<()> {
        Ok(())
    }
}

macro_rules! tuples {
    ($(($($t:ident $i:tt),+)),*) => {$(
        impl<$($t: Element),+> Sealed for ($(Array<$t>,)+) {}
        impl<$($t: Element),+> Feed for ($(Array<$t>,)+) {
            fn count(&self) -> usize { [$($i),+].len() }
            fn port(&self, i: usize) -> Option<FeedPort<'_>> {
                match i {
                    $($i => Some(self.$i.view().into()),)+
                    _ => None,
                }
            }
        }
        impl<$($t: Element),+> Inputs for ($(Array<$t>,)+) {
            type Vars<'t> = ($(Var<'t, $t>,)+);
            fn declare<'t>(rec: Rec<'t>, feed: &dyn Feed) -> Result<Self::Vars<'t>> {
                check_types(feed, &[$($t::DTYPE),+])?;
                Ok(($(leaf::<$t>(rec, feed, $i),)+))
            }
        }
        impl<$($t: Element),+> Sealed for ($(&Array<$t>,)+) {}
        impl<$($t: Element),+> Feed for ($(&Array<$t>,)+) {
            fn count(&self) -> usize { [$($i),+].len() }
            fn port(&self, i: usize) -> Option<FeedPort<'_>> {
                match i {
                    $($i => Some(self.$i.view().into()),)+
                    _ => None,
                }
            }
        }
    )*};
}
tuples!((A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4), (A 0, B 1, C 2, D 3, E 4, F 5));

/// A feed of ports.
pub(crate) struct Ports<'a>(pub &'a [FeedPort<'a>]);

impl Sealed for Ports<'_> {}
impl Feed for Ports<'_> {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn port(&self, i: usize) -> Option<FeedPort<'_>> {
        self.0.get(i).copied()
    }
}

/// Ports, and a feed that follows them.
pub(crate) struct Followed<'a> {
    /// The same each time it is asked.
    pub first: &'a dyn Fn(usize) -> Option<FeedPort<'a>>,
    pub count: usize,
    pub then: &'a dyn Feed,
}

impl Sealed for Followed<'_> {}
impl Feed for Followed<'_> {
    fn count(&self) -> usize {
        self.count + self.then.count()
    }
    fn port(&self, i: usize) -> Option<FeedPort<'_>> {
        match i.checked_sub(self.count) {
            None => (self.first)(i),
            Some(i) => self.then.port(i),
        }
    }
}

/// A feed followed by further arrays: seeds and tangents after a program's own inputs.
pub(crate) struct Extended<'a, T: Element> {
    pub base: &'a dyn Feed,
    pub extra: &'a [Array<T>],
}

impl<T: Element> Sealed for Extended<'_, T> {}
impl<T: Element> Feed for Extended<'_, T> {
    fn count(&self) -> usize {
        self.base.count() + self.extra.len()
    }
    fn port(&self, i: usize) -> Option<FeedPort<'_>> {
        match i.checked_sub(self.base.count()) {
            None => self.base.port(i),
            Some(i) => self.extra.get(i).map(|a| a.view().into()),
        }
    }
}
