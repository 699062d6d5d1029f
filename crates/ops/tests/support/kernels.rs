//! Functions of `math` as kernels over slices, at a chosen level and width; those that are exact by name.

use fearless_simd::{Simd, f32x4, f32x16, f64x2, f64x8};
use retrograde_ops::math::{self, Lanes};
use retrograde_ops::{Level, at_level};

/// A function of two vectors; those of one ignore the second.
pub trait Kernel {
    fn call<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V;
}

/// An element type whose vectors the kernels run on.
pub trait Sample: Copy + Default {
    fn map<S: Simd, K: Kernel>(simd: S, xs: &[Self], ys: &[Self], out: &mut [Self]);
    fn map_narrow<S: Simd, K: Kernel>(simd: S, xs: &[Self], ys: &[Self], out: &mut [Self]);
}

#[inline(always)]
fn map_chunks<S: Simd, V: Lanes<S>, K: Kernel>(
    simd: S,
    xs: &[V::Element],
    ys: &[V::Element],
    out: &mut [V::Element],
) {
    assert!(xs.len() % V::LEN == 0, "whole vectors only");
    simd.vectorize(
        #[inline(always)]
        || {
            for ((x, y), o) in xs
                .chunks_exact(V::LEN)
                .zip(ys.chunks_exact(V::LEN))
                .zip(out.chunks_exact_mut(V::LEN))
            {
                K::call(simd, V::from_slice(simd, x), V::from_slice(simd, y)).store_slice(o);
            }
        },
    );
}

macro_rules! sample {
    ($t:ident $packet:ident $narrow:ident) => {
        impl Sample for $t {
            #[inline(always)]
            fn map<S: Simd, K: Kernel>(simd: S, xs: &[Self], ys: &[Self], out: &mut [Self]) {
                map_chunks::<S, $packet<S>, K>(simd, xs, ys, out);
            }

            #[inline(always)]
            fn map_narrow<S: Simd, K: Kernel>(simd: S, xs: &[Self], ys: &[Self], out: &mut [Self]) {
                map_chunks::<S, $narrow<S>, K>(simd, xs, ys, out);
            }
        }
    };
}
sample!(f32 f32x16 f32x4);
sample!(f64 f64x8 f64x2);

/// `out[i] = K(xs[i], ys[i])` on full packets.
pub fn run<T: Sample, K: Kernel>(level: Level, xs: &[T], ys: &[T], out: &mut [T]) {
    at_level!(level, simd => T::map::<_, K>(simd, xs, ys, out));
}

/// `out[i] = K(xs[i], ys[i])` on vectors of 128 bits.
pub fn run_narrow<T: Sample, K: Kernel>(level: Level, xs: &[T], ys: &[T], out: &mut [T]) {
    at_level!(level, simd => T::map_narrow::<_, K>(simd, xs, ys, out));
}

macro_rules! kernels {
    ($x:ident $y:ident: $($name:ident $function:ident $(, $second:ident)?;)*) => {$(
        pub struct $name;
        impl Kernel for $name {
            #[inline(always)]
            #[allow(unused_variables, reason = "functions of one operand")]
            fn call<S: Simd, V: Lanes<S>>(simd: S, $x: V, $y: V) -> V {
                math::$function(simd, $x $(, $second)?)
            }
        }
    )*};
}
// The others are in `functions`.
kernels! { x y:
    Floor floor; Ceil ceil; Round round; Trunc trunc; Sqrt sqrt; Sign sign; Relu relu;
    Rem rem, y; Remainder remainder, y; Max max, y; Min min, y; Copysign copysign, y;
    Hardshrink hardshrink, y;
}
