//! The table of functions: kernel, references, published bounds.

use super::kernels::*;
use super::reference;
use retrograde_ops::Level;

/// A kernel over slices: both operands and the result.
pub type Map<T> = fn(Level, &[T], &[T], &mut [T]);

/// A function with its references, and its error bounds: at levels with fused multiply-add, and without.
pub struct Function {
    pub name: &'static str,
    pub single: Map<f32>,
    pub double: Map<f64>,
    pub single_narrow: Map<f32>,
    pub double_narrow: Map<f64>,
    /// The exact value for an `f32` argument, to `f64`.
    pub of_single: fn(f64) -> f64,
    /// The correctly rounded value for an `f64` argument.
    pub of_double: fn(f64) -> f64,
    /// Arguments between which its speed is measured.
    pub range: (f64, f64),
    /// Bounds in ulp in `f32` and `f64`, of every level with fused multiply-add.
    pub fused: (f64, f64),
    /// Bounds of the level without.
    pub unfused: (f64, f64),
}

macro_rules! functions {
    ($($name:literal $kernel:ident $single:expr, $double:expr, $range:expr, $fused:expr, $unfused:expr;)*) => {
        vec![$(Function {
            name: $name,
            single: run::<f32, $kernel>,
            double: run::<f64, $kernel>,
            single_narrow: run_narrow::<f32, $kernel>,
            double_narrow: run_narrow::<f64, $kernel>,
            of_single: $single,
            of_double: $double,
            range: $range,
            fused: $fused,
            unfused: $unfused,
        }),*]
    };
}

/// The functions of one operand that are not exact by construction.
pub fn functions() -> Vec<Function> {
    functions! {
        "exp" Exp core_math::exp, core_math::exp, (-10.0, 10.0), (2.0, 2.0), (4.0, 4.0);
        "expm1" Expm1 core_math::expm1, core_math::expm1, (-10.0, 10.0), (2.0, 2.0), (4.0, 4.0);
        "ln" Ln core_math::log, core_math::log, (0.001, 1000.0), (2.0, 2.0), (4.0, 4.0);
        "log1p" Log1p core_math::log1p, core_math::log1p, (-0.9, 10.0), (2.0, 2.0), (4.0, 4.0);
        "sqrt" Sqrt f64::sqrt, f64::sqrt, (0.0, 100.0), (0.5, 0.0), (0.5, 0.0);
        "rsqrt" Rsqrt reference::rsqrt, reference::rsqrt, (0.0, 100.0), (1.5, 1.0), (1.5, 1.0);
        "sin" Sin core_math::sin, core_math::sin, (-30.0, 30.0), (2.0, 2.0), (4.0, 4.0);
        "cos" Cos core_math::cos, core_math::cos, (-30.0, 30.0), (2.0, 2.0), (4.0, 4.0);
        "tan" Tan core_math::tan, core_math::tan, (-30.0, 30.0), (4.0, 4.0), (4.0, 4.0);
        "tanh" Tanh core_math::tanh, core_math::tanh, (-4.0, 4.0), (2.0, 2.0), (4.0, 4.0);
        "sigmoid" Sigmoid reference::sigmoid, reference::sigmoid, (-4.0, 4.0), (2.0, 2.0), (4.0, 4.0);
        "softplus" Softplus reference::softplus, reference::softplus, (-4.0, 4.0), (2.0, 2.0), (4.0, 4.0);
        "erf" Erf core_math::erf, core_math::erf, (-4.0, 4.0), (2.0, 2.0), (4.0, 4.0);
        "erfc" Erfc core_math::erfc, core_math::erfc, (-4.0, 4.0), (4.0, 4.0), (4.0, 4.0);
        "normal_cdf" NormalCdf reference::normal_cdf, reference::normal_cdf, (-4.0, 4.0), (4.0, 4.0), (4.0, 4.0);
    }
}

/// The power; the references of one operand do not apply.
pub fn pow() -> Function {
    functions! { "pow" Pow |x| x, |x| x, (0.1, 10.0), (1.0, 4.0), (1.0, 4.0); }.remove(0)
}
