//! Element types: a tag for the inside ([`DType`]), a trait for the statically typed outside ([`Element`], [`Real`]).

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DType {
    /// 32-bit IEEE float, differentiable.
    F32,
    /// 64-bit IEEE float, differentiable.
    F64,
    /// Unsigned 32-bit integer: labels and indices.
    U32,
    /// Signed 64-bit integer: indices that may be negative.
    I64,
    /// Truth value, one byte an element in memory.
    Bool,
}

impl DType {
    /// Bytes an element takes in a buffer.
    pub const fn size(self) -> usize {
        match self {
            Self::F32 | Self::U32 => 4,
            Self::F64 | Self::I64 => 8,
            Self::Bool => 1,
        }
    }

    /// Whether values of this type carry gradients.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// Rust's name of the type: `f32`, `f64`, `u32`, `i64`, `bool`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::U32 => "u32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    use super::Element;
    use crate::{AnyArray, Array};

    /// Closes [`Element`] and ties each type to its variant of [`AnyArray`].
    pub trait Sealed: Sized {
        fn erase(array: Array<Self>) -> AnyArray
        where
            Self: Element;
        fn peek(array: &AnyArray) -> Option<&Array<Self>>
        where
            Self: Element;
        fn peek_mut(array: &mut AnyArray) -> Option<&mut Array<Self>>
        where
            Self: Element;
    }

    macro_rules! variants {
        ($($t:ty => $tag:ident),*) => {$(
            impl Sealed for $t {
                fn erase(array: Array<Self>) -> AnyArray { AnyArray::$tag(array) }
                fn peek(array: &AnyArray) -> Option<&Array<Self>> {
                    if let AnyArray::$tag(array) = array { Some(array) } else { None }
                }
                fn peek_mut(array: &mut AnyArray) -> Option<&mut Array<Self>> {
                    if let AnyArray::$tag(array) = array { Some(array) } else { None }
                }
            }
        )*};
    }
    variants!(f32 => F32, f64 => F64, u32 => U32, i64 => I64, bool => Bool);
}

/// A Rust type that can be an element: `f32`, `f64`, `u32`, `i64`, `bool`. Sealed.
pub trait Element:
    sealed::Sealed
    + bytemuck::NoUninit
    + bytemuck::Zeroable
    + bytemuck::CheckedBitPattern
    + Copy
    + Default
    + PartialEq
    + PartialOrd
    + fmt::Debug
    + fmt::Display
    + Send
    + Sync
    + 'static
{
    /// The tag of this type.
    const DTYPE: DType;

    /// The value as Rust's `as` converts it: to floats the nearest, to integers towards zero and saturating with NaN as
    /// 0, to `bool` whether it is not zero.
    fn from_f64(x: f64) -> Self;

    /// The value as `f64`, exact but for `i64` beyond 2^53.
    fn to_f64(self) -> f64;

    /// The element in native-endian `bytes`, of which there are `DTYPE.size()`; zero if there are not.
    fn from_bytes(bytes: &[u8]) -> Self;
}

macro_rules! number_elements {
    ($($t:ty => $tag:ident),*) => {$(
        impl Element for $t {
            const DTYPE: DType = DType::$tag;
            fn from_f64(x: f64) -> Self { x as $t }
            fn to_f64(self) -> f64 { self as f64 }
            fn from_bytes(bytes: &[u8]) -> Self { bytes.try_into().map_or(Self::default(), Self::from_ne_bytes) }
        }
    )*};
}
number_elements!(f32 => F32, f64 => F64, u32 => U32, i64 => I64);

impl Element for bool {
    const DTYPE: DType = DType::Bool;
    fn from_f64(x: f64) -> Self {
        x != 0.0
    }
    fn to_f64(self) -> f64 {
        f64::from(u8::from(self))
    }
    fn from_bytes(bytes: &[u8]) -> Self {
        bytes.first().is_some_and(|&b| b != 0)
    }
}

/// An element type that carries gradients: `f32` or `f64`.
pub trait Real:
    Element
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
    + bytemuck::Pod
{
    /// Not-a-number.
    const NAN: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// Distance from 1 to the next larger value.
    const EPSILON: Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// Square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

macro_rules! reals {
    ($($t:ident),*) => {$(
        impl Real for $t {
            const NAN: Self = $t::NAN;
            const INFINITY: Self = $t::INFINITY;
            const EPSILON: Self = $t::EPSILON;
            fn abs(self) -> Self { $t::abs(self) }
            fn sqrt(self) -> Self { $t::sqrt(self) }
            fn is_finite(self) -> bool { $t::is_finite(self) }
        }
    )*};
}
reals!(f32, f64);
