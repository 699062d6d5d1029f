//! The vectors that a packet is read as, generic over the width of a lane and the SIMD level.

use fearless_simd::prelude::*;
use fearless_simd::{
    f32x4, f32x8, f32x16, f64x2, f64x4, f64x8, i32x16, i64x2, i64x4, i64x8, mask32x16, mask64x8,
    u32x4, u32x8, u32x16,
};
use retrograde_storage::{PACKET_BYTES, Packet};

use crate::math;

/// A vector of one packet.
pub(super) trait InPacket<S: Simd>: Copy {
    /// The packet's bits as this vector.
    fn load(simd: S, packet: Packet) -> Self;
    /// The vector's bits.
    fn packet(self) -> Packet;
}

macro_rules! in_packet {
    ($($vector:ident = [$element:ty; $n:literal]),*) => {$(
        impl<S: Simd> InPacket<S> for $vector<S> {
            #[inline(always)]
            fn load(simd: S, packet: Packet) -> Self {
                Self::simd_from(simd, packet.lanes::<[$element; $n]>())
            }
            #[inline(always)]
            fn packet(self) -> Packet {
                Packet::from_lanes::<[$element; $n]>(self.into())
            }
        }
    )*};
}
in_packet!(
    f32x16 = [f32; 16],
    u32x16 = [u32; 16],
    f64x8 = [f64; 8],
    i64x8 = [i64; 8]
);

impl<S: Simd> InPacket<S> for mask32x16<S> {
    #[inline(always)]
    fn load(simd: S, packet: Packet) -> Self {
        Self::from_vector(i32x16::simd_from(simd, packet.lanes::<[i32; 16]>()))
    }
    #[inline(always)]
    fn packet(self) -> Packet {
        Packet::from_lanes::<[i32; 16]>(self.to_vector().into())
    }
}

impl<S: Simd> InPacket<S> for mask64x8<S> {
    #[inline(always)]
    fn load(simd: S, packet: Packet) -> Self {
        Self::from_vector(i64x8::load(simd, packet))
    }
    #[inline(always)]
    fn packet(self) -> Packet {
        self.to_vector().packet()
    }
}

/// A [`Width`](super::Width) as a type: the vectors of its three kinds of element.
pub(super) trait Wide: 'static {
    /// Bits of one lane.
    type Bits: bytemuck::Pod;
    /// Lanes of masks.
    type Mask<S: Simd>: SimdMask<S> + InPacket<S> + Select<Self::Float<S>> + Select<Self::Int<S>>;
    /// Lanes of floats.
    type Float<S: Simd>: math::Lanes<S>
        + SimdBase<S, Mask = Self::Mask<S>>
        + InPacket<S>
        + Number<S>;
    /// Lanes of integers.
    type Int<S: Simd>: SimdInt<S, Mask = Self::Mask<S>> + InPacket<S> + Number<S>;

    /// The nearest float.
    fn to_float<S: Simd>(x: Self::Int<S>) -> Self::Float<S>;
    /// Towards zero, saturating, NaN to 0.
    fn to_int<S: Simd>(x: Self::Float<S>) -> Self::Int<S>;
    /// Every lane `value`.
    fn float<S: Simd>(simd: S, value: f64) -> Self::Float<S>;
    /// Every lane the low bits of `value`.
    fn int<S: Simd>(simd: S, value: u64) -> Self::Int<S>;
    /// 0, 1, 2...
    fn ramp<S: Simd>(simd: S) -> Self::Int<S>;
    /// One lane of a mask.
    fn mask_lane(value: bool) -> Self::Bits;
    /// A mask from bools, of which the first are taken where there are more than lanes.
    fn mask_of(bools: [u8; BOOLS]) -> Packet;
    /// A mask's bools, zeros after them.
    fn bools_of(mask: Packet) -> [u8; BOOLS];
}

/// The most lanes that a packet has.
pub(super) const BOOLS: usize = 16;

/// Four-byte lanes.
pub(super) struct Four;
/// Eight-byte lanes.
pub(super) struct Eight;

macro_rules! wide {
    ($width:ident: $bits:ty, $mask:ident, $float:ident of $f:ty, $int:ident of $i:ty) => {
        impl Wide for $width {
            type Bits = $bits;
            type Mask<S: Simd> = $mask<S>;
            type Float<S: Simd> = $float<S>;
            type Int<S: Simd> = $int<S>;

            #[inline(always)]
            fn to_float<S: Simd>(x: $int<S>) -> $float<S> {
                x.to_float()
            }
            #[inline(always)]
            fn to_int<S: Simd>(x: $float<S>) -> $int<S> {
                x.to_int_precise()
            }
            #[inline(always)]
            fn float<S: Simd>(simd: S, value: f64) -> $float<S> {
                $float::splat(simd, value as $f)
            }
            #[inline(always)]
            fn int<S: Simd>(simd: S, value: u64) -> $int<S> {
                $int::splat(simd, value as $i)
            }
            #[inline(always)]
            fn ramp<S: Simd>(simd: S) -> $int<S> {
                $int::from_fn(simd, |lane| lane as $i)
            }
            #[inline(always)]
            fn mask_lane(value: bool) -> $bits {
                <$bits>::from(value).wrapping_neg()
            }
            #[inline(always)]
            fn mask_of(bools: [u8; BOOLS]) -> Packet {
                let lanes: [$bits; PACKET_BYTES / size_of::<$bits>()] =
                    std::array::from_fn(|lane| Self::mask_lane(bools[lane] != 0));
                bytemuck::cast(lanes)
            }
            #[inline(always)]
            fn bools_of(mask: Packet) -> [u8; BOOLS] {
                let lanes: [$bits; PACKET_BYTES / size_of::<$bits>()] = bytemuck::cast(mask);
                std::array::from_fn(|lane| lanes.get(lane).map_or(0, |&l| u8::from(l != 0)))
            }
        }
    };
}
wide!(Four: u32, mask32x16, f32x16 of f32, u32x16 of u32);
wide!(Eight: u64, mask64x8, f64x8 of f64, i64x8 of i64);

/// What reductions and `Max`/`Min` need of floats and integers alike, at every vector length that folding passes
/// through.
pub(super) trait Number<S: Simd>: SimdBase<S> {
    /// The larger; NaN if either is; `other` where they compare equal.
    fn larger(self, other: Self) -> Self;
    /// The smaller; NaN if either is; `other` where they compare equal.
    fn smaller(self, other: Self) -> Self;
    /// The smallest value, identity of `larger`.
    const LOWEST: Self::Element;
    /// The largest value, identity of `smaller`.
    const HIGHEST: Self::Element;
    /// 0, identity of addition.
    const ZERO: Self::Element;
    /// 1, identity of multiplication.
    const ONE: Self::Element;
    /// All lanes combined in a tree: lane `i` with lane `i + half`, until one is left, given back in every lane.
    fn fold<C: Combine>(self) -> Self;
}

/// An operation that a reduction repeats.
pub(super) trait Combine: 'static {
    /// What leaves the other operand as it is.
    fn identity<S: Simd, V: Number<S>>() -> V::Element;
    /// Lane by lane.
    fn apply<S: Simd, V: Number<S>>(a: V, b: V) -> V;
}

macro_rules! fold {
    (split, $v:expr, $c:ty) => {{
        let (low, high) = $v.split();
        let half = <$c>::apply(low, high).fold::<$c>();
        Self::splat($v.token(), half[0])
    }};
    (four, $v:expr, $c:ty) => {{
        let v = <$c>::apply($v, $v.slide::<2>($v));
        let v = <$c>::apply(v, v.slide::<1>(v));
        Self::splat(v.token(), v[0])
    }};
    (two, $v:expr, $c:ty) => {{
        let v = <$c>::apply($v, $v.slide::<1>($v));
        Self::splat(v.token(), v[0])
    }};
}

macro_rules! numbers {
    (float $($vector:ident of $e:ident: $fold:ident),*) => {$(
        impl<S: Simd> Number<S> for $vector<S> {
            const LOWEST: $e = $e::NEG_INFINITY;
            const HIGHEST: $e = $e::INFINITY;
            const ZERO: $e = 0.0;
            const ONE: $e = 1.0;
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                self.is_nan().select(self, self.simd_gt(other).select(self, other))
            }
            #[inline(always)]
            fn smaller(self, other: Self) -> Self {
                self.is_nan().select(self, self.simd_lt(other).select(self, other))
            }
            #[inline(always)]
            fn fold<C: Combine>(self) -> Self {
                fold!($fold, self, C)
            }
        }
    )*};
    (integer $($vector:ident of $e:ident: $fold:ident),*) => {$(
        impl<S: Simd> Number<S> for $vector<S> {
            const LOWEST: $e = $e::MIN;
            const HIGHEST: $e = $e::MAX;
            const ZERO: $e = 0;
            const ONE: $e = 1;
            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                self.max(other)
            }
            #[inline(always)]
            fn smaller(self, other: Self) -> Self {
                self.min(other)
            }
            #[inline(always)]
            fn fold<C: Combine>(self) -> Self {
                fold!($fold, self, C)
            }
        }
    )*};
}
numbers!(float f32x16 of f32: split, f32x8 of f32: split, f32x4 of f32: four);
numbers!(float f64x8 of f64: split, f64x4 of f64: split, f64x2 of f64: two);
numbers!(integer u32x16 of u32: split, u32x8 of u32: split, u32x4 of u32: four);
numbers!(integer i64x8 of i64: split, i64x4 of i64: split, i64x2 of i64: two);
