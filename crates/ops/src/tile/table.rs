//! What each elementwise operation does to a vector of floats: the one definition behind the tile engine and the scalar
//! interpreter, which therefore agree bit for bit.
//!
//! Dispatch is by macros because every operation must become a function of its own in each engine: `$float!` and
//! `$mask!` are the engine's, and wrap a closure from vectors to a vector of floats or to a mask. The rows are those of
//! [`elementwise`](crate::elementwise).

/// Dispatches a [`Unary`](crate::Unary) on floats; `$long!` is `$float!` for operations of many instructions; evaluates to
/// `$none` for those that floats do not have.
macro_rules! unary_table {
    ($what:expr, $simd:expr, $float:ident, $long:ident, $mask:ident, $none:expr) => {
        $crate::elementwise::unary_operations! {
            unary_arms! ($what, $simd, $float, $long, $mask, $none)
        }
    };
}
macro_rules! unary_arms {
    (
        ($what:expr, $simd:expr, $float:ident, $long:ident, $mask:ident, $none:expr)
        $($(#[$doc:meta])* $name:ident $kind:ident $function:ident $cost:literal;)*
    ) => {{
        let simd = $simd;
        match $what {
            $($crate::Unary::$name => unary_arms!(@$kind $function simd $float $long $mask $none),)*
        }
    }};
    (@float $function:ident $simd:ident $float:ident $long:ident $mask:ident $none:expr) => {
        $float!(|x| $crate::math::$function($simd, x))
    };
    (@long $function:ident $simd:ident $float:ident $long:ident $mask:ident $none:expr) => {
        $long!(|x| $crate::math::$function($simd, x))
    };
    (@mask $function:ident $simd:ident $float:ident $long:ident $mask:ident $none:expr) => {
        $mask!(|x| $crate::math::$function($simd, x))
    };
    (@logic $function:ident $simd:ident $float:ident $long:ident $mask:ident $none:expr) => { $none };
}
pub(crate) use {unary_arms, unary_table};

/// Dispatches a [`Binary`](crate::Binary) on floats.
macro_rules! binary_table {
    ($what:expr, $simd:expr, $float:ident, $long:ident, $mask:ident, $none:expr) => {
        $crate::elementwise::binary_operations! {
            binary_arms! ($what, $simd, $float, $long, $mask, $none)
        }
    };
}
macro_rules! binary_arms {
    (
        ($what:expr, $simd:expr, $float:ident, $long:ident, $mask:ident, $none:expr)
        $($(#[$doc:meta])* $name:ident $kind:ident $function:ident $cost:literal;)*
    ) => {{
        let simd = $simd;
        match $what {
            $($crate::Binary::$name => binary_arms!(@$kind $function simd $float $long $mask $none),)*
        }
    }};
    (@float $function:ident $simd:ident $float:ident $long:ident $mask:ident $none:expr) => {
        $float!(|x, y| $crate::math::$function($simd, x, y))
    };
    (@long $function:ident $simd:ident $float:ident $long:ident $mask:ident $none:expr) => {
        $long!(|x, y| $crate::math::$function($simd, x, y))
    };
    (@mask $function:ident $simd:ident $float:ident $long:ident $mask:ident $none:expr) => {
        $mask!(|x, y| $crate::math::$function($simd, x, y))
    };
    (@logic $function:ident $simd:ident $float:ident $long:ident $mask:ident $none:expr) => { $none };
}
pub(crate) use {binary_arms, binary_table};
