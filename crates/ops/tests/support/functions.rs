//! The table of functions: kernel, reference, published bounds.

use fearless_simd::Simd;
use retrograde_ops::Level;
use retrograde_ops::math::{self, Lanes};

use super::kernels::{Kernel, run, run_narrow};
use super::reference;
use super::samples::{Random, double, power};

/// A kernel over slices: both operands and the result.
pub type Map<T> = fn(Level, &[T], &[T], &mut [T]);

/// Bounds of the error in ulp.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub single: f64,
    pub double: f64,
}

/// What the arguments of a function are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// One number.
    One,
    /// One number; its magnitude in tests of the relative error, which is not bounded left of 0: there are zeros between
    /// poles.
    Right,
    /// Two numbers.
    Two,
    /// A base and an exponent.
    Power,
}

impl Domain {
    /// Whether there are two arguments.
    pub fn is_two(self) -> bool {
        matches!(self, Self::Two | Self::Power)
    }

    /// Random arguments; of a power mostly such that it is finite in a format whose largest number is `e^bound`.
    pub fn point(self, random: &mut Random, bound: f64) -> (f64, f64) {
        match self {
            Self::One | Self::Right => {
                let x = self.fold(double(random));
                (x, x)
            }
            Self::Two => {
                let x = double(random);
                // Often of similar size.
                let y = if random.bits().is_multiple_of(2) {
                    double(random)
                } else {
                    x * random.within(4.0)
                };
                (x, y)
            }
            Self::Power => power(random, bound),
        }
    }

    /// An argument within the domain.
    pub fn fold<T: Into<f64> + Copy + std::ops::Neg<Output = T>>(self, x: T) -> T {
        if self == Self::Right && x.into().is_sign_negative() {
            -x
        } else {
            x
        }
    }
}

/// A function with its reference and its error bounds; those of one operand ignore the second.
pub struct Function {
    pub name: &'static str,
    pub single: Map<f32>,
    pub double: Map<f64>,
    pub single_narrow: Map<f32>,
    pub double_narrow: Map<f64>,
    /// The value, correctly rounded to `f64` or nearly.
    pub exact: fn(f64, f64) -> f64,
    pub domain: Domain,
    /// Arguments between which its speed is measured.
    pub range: (f64, f64),
    /// At every level with fused multiply-add.
    pub fused: Bounds,
    /// At the level without.
    pub unfused: Bounds,
}

impl Function {
    /// The bounds that hold at `level`.
    pub fn bounds(&self, level: Level) -> Bounds {
        if level == Level::Baseline {
            self.unfused
        } else {
            self.fused
        }
    }
}

macro_rules! functions {
    ($($name:ident $kernel:ident $exact:expr, $domain:ident, $range:expr, $fused:expr, $unfused:expr;)*) => {{
        $(
            struct $kernel;
            impl Kernel for $kernel {
                #[inline(always)]
                fn call<S: Simd, V: Lanes<S>>(simd: S, x: V, y: V) -> V {
                    functions!(@$domain $name simd x y)
                }
            }
        )*
        vec![$(Function {
            name: stringify!($name),
            single: run::<f32, $kernel>,
            double: run::<f64, $kernel>,
            single_narrow: run_narrow::<f32, $kernel>,
            double_narrow: run_narrow::<f64, $kernel>,
            exact: $exact,
            domain: Domain::$domain,
            range: $range,
            fused: Bounds { single: $fused.0, double: $fused.1 },
            unfused: Bounds { single: $unfused.0, double: $unfused.1 },
        }),*]
    }};
    (@One $name:ident $simd:ident $x:ident $y:ident) => {{
        let _ = $y;
        math::$name($simd, $x)
    }};
    (@Right $($rest:tt)*) => { functions!(@One $($rest)*) };
    (@Two $name:ident $simd:ident $x:ident $y:ident) => { math::$name($simd, $x, $y) };
    (@Power $($rest:tt)*) => { functions!(@Two $($rest)*) };
}

/// The functions that are not exact by construction.
pub fn functions() -> Vec<Function> {
    functions! {
        exp Exp |x, _| core_math::exp(x), One, (-10.0, 10.0), (1.25, 2.0), (1.25, 2.0);
        expm1 Expm1 |x, _| core_math::expm1(x), One, (-10.0, 10.0), (1.5, 2.0), (1.5, 3.0);
        ln Ln |x, _| core_math::log(x), One, (0.001, 1000.0), (1.0, 2.0), (1.0, 2.0);
        log1p Log1p |x, _| core_math::log1p(x), One, (-0.9, 10.0), (1.0, 2.0), (1.0, 2.0);
        sqrt Sqrt |x, _| x.sqrt(), One, (0.0, 100.0), (0.5, 0.0), (0.5, 0.0);
        rsqrt Rsqrt |x, _| core_math::rsqrt(x), One, (0.0, 100.0), (1.5, 1.0), (1.5, 1.0);
        sin Sin |x, _| core_math::sin(x), One, (-30.0, 30.0), (2.0, 2.0), (2.0, 2.0);
        cos Cos |x, _| core_math::cos(x), One, (-30.0, 30.0), (2.0, 2.0), (2.0, 2.0);
        tan Tan |x, _| core_math::tan(x), One, (-30.0, 30.0), (4.0, 3.0), (4.0, 3.0);
        tanh Tanh |x, _| core_math::tanh(x), One, (-4.0, 4.0), (1.5, 2.0), (1.5, 2.0);
        sigmoid Sigmoid |x, _| reference::sigmoid(x), One, (-4.0, 4.0), (2.5, 2.0), (2.5, 3.0);
        softplus Softplus |x, _| reference::softplus(x), One, (-4.0, 4.0), (2.0, 2.0), (2.0, 3.0);
        erf Erf |x, _| core_math::erf(x), One, (-4.0, 4.0), (1.5, 2.0), (1.5, 2.0);
        erfc Erfc |x, _| core_math::erfc(x), One, (-4.0, 4.0), (4.0, 4.0), (4.0, 6.0);
        normal_cdf NormalCdf |x, _| reference::normal_cdf(x), One, (-4.0, 4.0), (5.0, 5.0), (5.0, 6.0);
        exp2 Exp2 |x, _| core_math::exp2(x), One, (-10.0, 10.0), (1.5, 2.0), (1.5, 2.0);
        log2 Log2 |x, _| core_math::log2(x), One, (0.001, 1000.0), (1.0, 1.0), (1.0, 1.0);
        log10 Log10 |x, _| core_math::log10(x), One, (0.001, 1000.0), (1.0, 1.0), (1.0, 1.0);
        cbrt Cbrt |x, _| core_math::cbrt(x), One, (-100.0, 100.0), (1.0, 1.0), (1.0, 1.0);
        asin Asin |x, _| core_math::asin(x), One, (-1.0, 1.0), (2.0, 2.0), (2.5, 3.0);
        acos Acos |x, _| core_math::acos(x), One, (-1.0, 1.0), (2.0, 2.0), (2.0, 2.0);
        atan Atan |x, _| core_math::atan(x), One, (-10.0, 10.0), (2.0, 2.0), (2.0, 2.0);
        sinh Sinh |x, _| core_math::sinh(x), One, (-4.0, 4.0), (2.0, 2.0), (2.0, 2.0);
        cosh Cosh |x, _| core_math::cosh(x), One, (-4.0, 4.0), (2.0, 2.0), (2.0, 2.0);
        asinh Asinh |x, _| core_math::asinh(x), One, (-10.0, 10.0), (2.0, 2.0), (2.0, 2.0);
        acosh Acosh |x, _| core_math::acosh(x), One, (1.0, 10.0), (2.0, 2.0), (2.0, 2.0);
        atanh Atanh |x, _| core_math::atanh(x), One, (-1.0, 1.0), (2.0, 2.0), (2.0, 2.0);
        sinc Sinc |x, _| reference::sinc(x), One, (-4.0, 4.0), (3.5, 3.0), (3.5, 4.0);
        normal_icdf NormalIcdf |x, _| reference::normal_icdf(x), One, (0.0, 1.0), (5.0, 5.0), (5.0, 6.0);
        lgamma Lgamma |x, _| core_math::lgamma(x), Right, (0.0, 20.0), (4.0, 4.0), (4.0, 4.0);
        digamma Digamma |x, _| reference::digamma(x), Right, (0.0, 20.0), (4.5, 4.0), (4.5, 5.0);
        trigamma Trigamma |x, _| reference::trigamma(x), Right, (0.0, 20.0), (4.0, 4.0), (4.0, 4.0);
        tetragamma Tetragamma |x, _| reference::tetragamma(x), Right, (0.0, 20.0), (5.0, 5.0), (5.0, 5.0);
        atan2 Atan2 core_math::atan2, Two, (-10.0, 10.0), (2.0, 2.0), (2.0, 2.0);
        hypot Hypot core_math::hypot, Two, (-10.0, 10.0), (2.0, 2.0), (2.0, 2.0);
        pow Pow core_math::pow, Power, (0.1, 10.0), (1.0, 2.0), (1.0, 2.0);
    }
}
