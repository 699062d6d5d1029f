//! The two element types of a product: their packet of lanes and their micro-kernel tables.

use fearless_simd::{Level as Token, Simd, SimdBase, SimdFloat, SimdFloatElement, f32x16, f64x8};
use retrograde_storage::Real;

use super::kernel::{self, Kernels};
use crate::Level;

/// An element type that products are computed in: `f32` or `f64`.
pub trait Float: Real + Kernel + SimdFloatElement {
    /// Logical lanes: elements in a packet, at every level.
    const LANES: usize;
    /// A packet of lanes.
    type Vector<S: Simd>: SimdFloat<S, Element = Self>;
    /// Transposes the square block of `LANES` vectors in place.
    fn transpose<S: Simd>(block: &mut [Self::Vector<S>; 16]);
}

/// The part of [`Float`] that is this module's own business.
#[expect(
    private_interfaces,
    reason = "sealed by `Real`; the tables are not public"
)]
pub trait Kernel: Sized {
    /// The micro-kernels of a level.
    #[doc(hidden)]
    fn kernels(token: Token) -> &'static Kernels<Self>;
}

/// A level together with its token, found once: asking the processor costs more than a 4 x 4 product.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Isa {
    pub(super) token: Token,
}

impl Isa {
    pub(crate) fn new(level: Level) -> Self {
        Self {
            token: level.token(),
        }
    }

    /// What `at_level!` asks a level for.
    pub(crate) fn token(self) -> Token {
        self.token
    }
}

/// The perfect-shuffle network: interleaving the first half of the rows with the second, log2(rows) times, transposes.
macro_rules! float {
    ($t:ident, $vector:ident, $lanes:literal, $rounds:literal) => {
        impl Float for $t {
            const LANES: usize = $lanes;
            type Vector<S: Simd> = $vector<S>;

            #[inline(always)]
            fn transpose<S: Simd>(block: &mut [Self::Vector<S>; 16]) {
                for _ in 0..$rounds {
                    let old = *block;
                    for i in 0..$lanes / 2 {
                        let (low, high) = (old[i], old[i + $lanes / 2]);
                        block[2 * i] = low.zip_low(high);
                        block[2 * i + 1] = low.zip_high(high);
                    }
                }
            }
        }

        #[expect(private_interfaces, reason = "see the trait")]
        impl Kernel for $t {
            fn kernels(token: Token) -> &'static Kernels<Self> {
                kernel::$t(token)
            }
        }
    };
}
float!(f32, f32x16, 16, 4);
float!(f64, f64x8, 8, 3);
