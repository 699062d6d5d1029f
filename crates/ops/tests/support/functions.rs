//! The table of functions: kernel, reference, published bounds.

use super::kernels::{
    Cos, Erf, Erfc, Exp, Expm1, Ln, Log1p, NormalCdf, Pow, Rsqrt, Sigmoid, Sin, Softplus, Sqrt,
    Tan, Tanh, run, run_narrow,
};
use super::reference;
use retrograde_ops::Level;

/// A kernel over slices: both operands and the result.
pub type Map<T> = fn(Level, &[T], &[T], &mut [T]);

/// Bounds of the error in ulp.
#[derive(Clone, Copy)]
pub struct Bounds {
    pub single: f64,
    pub double: f64,
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
    pub has_two_operands: bool,
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
    ($($name:literal $kernel:ident $exact:expr, $two:literal, $range:expr, $fused:expr, $unfused:expr;)*) => {
        vec![$(Function {
            name: $name,
            single: run::<f32, $kernel>,
            double: run::<f64, $kernel>,
            single_narrow: run_narrow::<f32, $kernel>,
            double_narrow: run_narrow::<f64, $kernel>,
            exact: $exact,
            has_two_operands: $two,
            range: $range,
            fused: Bounds { single: $fused.0, double: $fused.1 },
            unfused: Bounds { single: $unfused.0, double: $unfused.1 },
        }),*]
    };
}

/// The functions that are not exact by construction.
pub fn functions() -> Vec<Function> {
    functions! {
        "exp" Exp |x, _| core_math::exp(x), false, (-10.0, 10.0), (1.25, 2.0), (1.25, 2.0);
        "expm1" Expm1 |x, _| core_math::expm1(x), false, (-10.0, 10.0), (1.5, 2.0), (1.5, 3.0);
        "ln" Ln |x, _| core_math::log(x), false, (0.001, 1000.0), (1.0, 2.0), (1.0, 2.0);
        "log1p" Log1p |x, _| core_math::log1p(x), false, (-0.9, 10.0), (1.0, 2.0), (1.0, 2.0);
        "sqrt" Sqrt |x, _| x.sqrt(), false, (0.0, 100.0), (0.5, 0.0), (0.5, 0.0);
        "rsqrt" Rsqrt |x, _| core_math::rsqrt(x), false, (0.0, 100.0), (1.5, 1.0), (1.5, 1.0);
        "sin" Sin |x, _| core_math::sin(x), false, (-30.0, 30.0), (2.0, 2.0), (2.0, 2.0);
        "cos" Cos |x, _| core_math::cos(x), false, (-30.0, 30.0), (2.0, 2.0), (2.0, 2.0);
        "tan" Tan |x, _| core_math::tan(x), false, (-30.0, 30.0), (4.0, 3.0), (4.0, 3.0);
        "tanh" Tanh |x, _| core_math::tanh(x), false, (-4.0, 4.0), (1.5, 2.0), (1.5, 2.0);
        "sigmoid" Sigmoid |x, _| reference::sigmoid(x), false, (-4.0, 4.0), (2.5, 2.0), (2.5, 3.0);
        "softplus" Softplus |x, _| reference::softplus(x), false, (-4.0, 4.0), (2.0, 2.0), (2.0, 3.0);
        "erf" Erf |x, _| core_math::erf(x), false, (-4.0, 4.0), (1.5, 2.0), (1.5, 2.0);
        "erfc" Erfc |x, _| core_math::erfc(x), false, (-4.0, 4.0), (3.5, 4.0), (3.5, 6.0);
        "normal_cdf" NormalCdf |x, _| reference::normal_cdf(x), false, (-4.0, 4.0), (3.5, 5.0), (4.5, 6.0);
        "pow" Pow core_math::pow, true, (0.1, 10.0), (1.0, 2.0), (1.0, 2.0);
    }
}
