//! The operations of the instruction list.
//!
//! Every instruction has one result, an element type and a shape (columns of [`List`](crate::list::List)). Elementwise
//! operands broadcast as in `NumPy`. Attributes are eight bytes, read and written by the functions of [`Attr`].

use retrograde_ops::linalg::{Linalg, Solver};
use retrograde_ops::structured::Division;
use retrograde_ops::{Binary, Reduce, Ternary, Unary};

/// What an instruction does. In the formulas `x`, `y`, `z` are its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// A tensor given from outside: a variable, an input, a parameter. Attribute: the leaf's number.
    Input,
    /// A rank-0 literal that is part of the program. Attribute: its bits.
    Const,
    /// A rank-0 literal that is data: recordings that differ only in it share one program. Attribute: its number.
    Uniform,
    /// `0, 1, 2, ...` along the only axis that is not 1. Attribute: that axis.
    Iota,
    /// Numbers from a counter, see [`Draw`]. Attribute: stream and ordinal.
    Random(Draw),

    /// Elementwise, one operand.
    Unary(Unary),
    /// Elementwise, two operands.
    Binary(Binary),
    /// `x / y` or `x % y` of integers, broadcast. By zero it fails, so that it is not [elementwise](Self::is_elementwise).
    Division(Division),
    /// Elementwise, three operands.
    Ternary(Ternary),
    /// `x` to an integer power. Attribute: the exponent.
    PowI,
    /// `x` in the result's element type, as Rust's `as`; to bool: `x != 0`.
    Cast,
    /// `x`, with nothing behind it for a derivative.
    Detach,

    /// Reduction; the reduced axes stay with extent 1. Attribute: the axes.
    Reduce(Reduce),
    /// `ln(sum(exp x))`, safe for any magnitude; reduced axes stay with extent 1. Attribute: the axes.
    LogSumExp,
    /// `exp x / sum(exp x)`; zeros where every `x` is negative infinity. Attribute: the axes.
    Softmax,
    /// `x - logsumexp x`. Attribute: the axes.
    LogSoftmax,
    /// Index (u32) of the first largest element, extent 1 kept; NaN counts as largest. Attribute: the axis.
    ArgMax,
    /// Index (u32) of the first smallest element, extent 1 kept; NaN counts as smallest. Attribute: the axis.
    ArgMin,

    /// `r[i] = y[i] + x[i] r[i-1]` along an axis, `r[-1] = 0`. Attribute: axis, and whether it runs from the end.
    Recurrence,
    /// Positions (u32) of the elements in ascending order along an axis, ties as they stand, NaN as largest. Attribute:
    /// the axis, and whether the order is descending.
    ArgSort,
    /// How many (u32) elements of `x`, sorted along the last axis, stand before each of `y`. Attribute: 1 if those equal to
    /// it do, else 0.
    SearchSorted,
    /// Running maximum along an axis. Attribute: the axis.
    CumMax,
    /// Index (u32) of the running maximum's first occurrence. Attribute: the axis.
    CumArgMax,
    /// `ln(cumsum(exp x))` along an axis. Attribute: the axis.
    LogCumSumExp,

    /// The same elements in row-major order under another shape.
    Reshape,
    /// Axes reordered. Attribute: the order.
    Permute,
    /// Every axis cut to `start, start + step, ...`. Attribute: number of the [`SliceSpec`].
    Slice,
    /// Adjoint of `Slice`: zeros of the result's shape with `x` written at the slice. Attribute: the [`SliceSpec`].
    Unslice,
    /// `x` broadcast to the result's shape.
    Expand,
    /// `x`, for instructions that are not to be run before `y` is there.
    After,
    /// `x` in dense memory of its own: what passes insert where no strides serve a kernel.
    Copy,
    /// Operands (in the pool) joined along an axis. Attribute: the axis.
    Concat,

    /// `x[..., m, k] y[..., k, n]`, batch axes broadcast. Both operands have rank 2 at least.
    MatMul,

    /// Of matrices in the last two axes: a factorisation, or something that one is for. Attribute: [`Attr::solver`].
    Linalg(Linalg),

    /// `softmax(scale x y^T + mask) z` of queries `x` `[.., queries, heads, d]`, keys `y` `[.., keys, heads, d]` and values
    /// `z` `[.., keys, heads, dv]`, a product for each head and index of the leading axes; the result is
    /// `[.., queries, heads, dv]`. A fourth operand is the mask `[.., heads, queries, keys]`: bools, whether a query sees
    /// a key, or floats, added to the scores. Attribute: [`Attr::attention`].
    Attention,
    /// Gradients of `x`, `y`, `z` under `Attention`, given that of the result. Operands: `x`, `y`, `z`, the gradient, the
    /// mask if there is one. The result is `[.., queries, 3, heads, d]` where all three have one shape and the rank
    /// allows, which is how a layer makes them, else a vector that holds one after the other. Attribute: as `Attention`.
    AttentionGrad,
    /// Convolution of images `x[n, c, h, w]` by a weight `y[o, c, i, j]`: `r[n, o, p, q]`. Attribute: the [`Window`](retrograde_ops::Window).
    Conv2d,
    /// Adjoint of `Conv2d` with respect to the images: of outputs `x` and a weight `y`. Attribute: the [`Window`](retrograde_ops::Window).
    ConvInput,
    /// Adjoint of `Conv2d` with respect to the weight: of images `x` and outputs `y`. Attribute: the [`Window`](retrograde_ops::Window).
    ConvWeight,
    /// The element of `x` where `y` has its first largest, for every place of a window over their last two axes: of `x`
    /// and `x` the largest. Attribute: the [`Window`](retrograde_ops::Window).
    MaxPool,
    /// Adjoint of `MaxPool` with respect to `x`: `y` says where. Attribute: the [`Window`](retrograde_ops::Window).
    MaxPoolInput,
    /// Sum of the elements under every place of a window. Attribute: the [`Window`](retrograde_ops::Window).
    SumPool,
    /// Adjoint of `SumPool`. Attribute: the [`Window`](retrograde_ops::Window).
    SumPoolInput,

    /// A function of the user's, of one operand or more. Attribute: number of the call.
    Custom,
    /// Gradients of a custom function's operands on slices, one after the other in a vector. Operands: those of the
    /// function, its result, that one's gradient. Attribute: number of the call.
    CustomGrad,

    /// `r[o, k, i] = x[o, y[o, k, i], i]`; `y` (u32 or i64) may have extent 1 on the other axes. Attribute: the axis.
    Gather,
    /// Adjoint of `Gather`: zeros of the result's shape, `r[o, y[o, k, i], i] += x[o, k, i]`. Attribute: the axis.
    ScatterAdd,
    /// A body of instructions run once for every step of a loop, see [`body`](crate::body): of initial carries, per-step
    /// inputs and constants, as many as the body has. The result is a vector of the last carries and the outputs of all
    /// steps. Attribute: number of the body, the length and the direction.
    Scan,

    /// `x`, an index tensor, after the check that all are below the bound; takes no memory. Attribute: [`Attr::bound`].
    CheckIndex,
}

/// Which of the user's operations an index is for, so that an error can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Indexing {
    Gather,
    IndexSelect,
    Take,
    Embedding,
    Scatter,
    ScatterAdd,
    IndexAdd,
    OneHot,
    CrossEntropy,
    Nll,
}

impl Indexing {
    /// All of them with their names, in order. No more than 16: see [`Attr::bound`].
    const NAMES: [(Self, &str); 10] = [
        (Self::Gather, "gather"),
        (Self::IndexSelect, "index_select"),
        (Self::Take, "take"),
        (Self::Embedding, "embedding"),
        (Self::Scatter, "scatter"),
        (Self::ScatterAdd, "scatter_add"),
        (Self::IndexAdd, "index_add"),
        (Self::OneHot, "one_hot"),
        (Self::CrossEntropy, "cross_entropy"),
        (Self::Nll, "nll"),
    ];

    /// The name the user knows.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }
}

/// What [`Op::Random`] draws. Elements depend on (seed, ordinal, step, element) alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Draw {
    /// Uniform in `[0, 1)`.
    Uniform,
    /// Standard normal.
    Normal,
    /// Uniform integers (u32) in `[0, 2^32)`.
    Bits,
    /// A permutation (u32) of `0..n`.
    Permutation,
}

impl Op {
    /// Whether element `e` of the result depends on element `e` of each (broadcast) operand alone.
    pub fn is_elementwise(self) -> bool {
        matches!(
            self,
            Self::Unary(_) | Self::Binary(_) | Self::Ternary(_) | Self::PowI | Self::Cast
        )
    }

    /// Whether a run may find that an operand's elements are not what the operation takes: an index out of range, a
    /// matrix without an inverse. (Of a scan, see [`List::may_fail`](crate::list::List::may_fail).)
    pub(crate) fn may_fail(self) -> bool {
        match self {
            Self::Gather | Self::ScatterAdd | Self::CheckIndex | Self::Division(_) => true,
            Self::Custom | Self::CustomGrad => true,
            Self::Linalg(op) => op.may_fail(),
            _ => false,
        }
    }

    /// Whether the attribute is the number of a [`Window`](retrograde_ops::Window).
    pub fn has_window(self) -> bool {
        let pools = matches!(
            self,
            Self::MaxPool | Self::MaxPoolInput | Self::SumPool | Self::SumPoolInput
        );
        pools || matches!(self, Self::Conv2d | Self::ConvInput | Self::ConvWeight)
    }

    /// Whether it is a function of the user's.
    pub fn is_custom(self) -> bool {
        matches!(self, Self::Custom | Self::CustomGrad)
    }

    /// Whether its kernel reads dense memory only.
    pub(crate) fn reads_dense(self) -> bool {
        self.has_window() || self.is_custom() || self == Self::Scan
    }

    /// Whether the result is a strided view of its operand, so that nothing needs to be computed.
    pub fn is_view(self) -> bool {
        matches!(
            self,
            Self::Reshape | Self::Permute | Self::Slice | Self::Expand | Self::Detach | Self::After
        )
    }

    /// Whether the result comes from outside the list.
    pub fn is_leaf(self) -> bool {
        matches!(
            self,
            Self::Input | Self::Const | Self::Uniform | Self::Iota | Self::Random(_)
        )
    }

    /// The name printed in listings and errors.
    pub fn name(self) -> String {
        match self {
            Self::Unary(u) => format!("{u:?}").to_lowercase(),
            Self::Binary(b) => format!("{b:?}").to_lowercase(),
            Self::Ternary(t) => format!("{t:?}").to_lowercase(),
            Self::Reduce(r) => format!("reduce_{r:?}").to_lowercase(),
            Self::Division(d) => d.name().to_owned(),
            Self::Linalg(op) => op.name().to_owned(),
            Self::Random(d) => format!("random_{d:?}").to_lowercase(),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

/// Where a slice starts and how it steps, for each axis; its extents are the result's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SliceSpec {
    /// Index of the first element along each axis.
    pub start: [usize; retrograde_storage::MAX_RANK],
    /// Distance between elements along each axis, not 0, may be negative.
    pub step: [isize; retrograde_storage::MAX_RANK],
}

/// Eight bytes that say more about an instruction, read according to its [`Op`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attr(pub u64);

impl Attr {
    /// No attribute.
    pub const NONE: Self = Self(0);

    /// A float literal ([`Op::Const`] of a float type).
    pub fn float(x: f64) -> Self {
        Self(x.to_bits())
    }
    /// The float literal.
    pub fn as_float(self) -> f64 {
        f64::from_bits(self.0)
    }
    /// An integer: a literal of an integer or bool type, an exponent, a bound, a number in a pool.
    pub fn int(x: i64) -> Self {
        Self(x as u64)
    }
    /// The integer.
    pub fn as_int(self) -> i64 {
        self.0 as i64
    }
    /// What indices are to be below, and what they are for. An extent is less than 2^60, as [`Shape`] sees to.
    ///
    /// [`Shape`]: retrograde_storage::Shape
    pub(crate) fn bound(bound: usize, what: Indexing) -> Self {
        Self(bound as u64 | (what as u64) << 60)
    }
    /// What indices are to be below.
    pub(crate) fn as_bound(self) -> usize {
        (self.0 & ((1 << 60) - 1)) as usize
    }
    /// What indices are for.
    pub(crate) fn as_indexing(self) -> Indexing {
        let number = (self.0 >> 60) as usize;
        Indexing::NAMES
            .get(number)
            .map_or(Indexing::Gather, |(what, _)| *what)
    }
    /// A set of axes, bit `i` for axis `i`.
    pub fn axes(mask: u8) -> Self {
        Self(mask.into())
    }
    /// The set of axes.
    pub fn as_axes(self) -> u8 {
        self.0 as u8
    }
    /// One axis, and for scans whether they run from the end.
    pub fn axis(axis: usize, reverse: bool) -> Self {
        Self(axis as u64 | u64::from(reverse) << 8)
    }
    /// The axis.
    pub fn as_axis(self) -> usize {
        (self.0 & 0xff) as usize
    }
    /// Whether a scan runs from the end.
    pub fn is_reverse(self) -> bool {
        self.0 & 0x100 != 0
    }
    /// The same for a recurrence whose coefficients times zero are zero.
    pub fn strong(self) -> Self {
        Self(self.0 | 0x200)
    }
    /// The same for a recurrence by plain products.
    pub fn plain(self) -> Self {
        Self(self.0 & !0x200)
    }
    /// Whether a recurrence's coefficients times zero are zero.
    pub fn is_strong(self) -> bool {
        self.0 & 0x200 != 0
    }
    /// An order of axes, four bits each.
    pub fn order(order: &[usize]) -> Self {
        Self(
            order
                .iter()
                .enumerate()
                .fold(0, |bits, (i, &axis)| bits | (axis as u64) << (4 * i)),
        )
    }
    /// The order of `rank` axes.
    pub fn as_order(self, rank: usize) -> Vec<usize> {
        (0..rank)
            .map(|i| (self.0 >> (4 * i) & 0xf) as usize)
            .collect()
    }
    /// Of an attention: whether query `i` sees keys `0..=i` alone, and whether scores are divided by `sqrt(d)`.
    pub fn attention(causal: bool, scaled: bool) -> Self {
        Self(u64::from(causal) | u64::from(scaled) << 1)
    }
    /// (causal, scaled).
    pub fn as_attention(self) -> (bool, bool) {
        (self.0 & 1 != 0, self.0 & 2 != 0)
    }
    /// How a system is solved.
    pub fn solver(how: Solver) -> Self {
        Self(u64::from(how.upper) | u64::from(how.unit) << 1 | u64::from(how.transposed) << 2)
    }
    /// How a system is solved.
    pub fn as_solver(self) -> Solver {
        Solver {
            upper: self.0 & 1 != 0,
            unit: self.0 & 2 != 0,
            transposed: self.0 & 4 != 0,
        }
    }
    /// A random stream's number and the ordinal of the draw within it.
    pub fn draw(stream: u32, ordinal: u32) -> Self {
        Self(u64::from(stream) << 32 | u64::from(ordinal))
    }
    /// (stream, ordinal).
    pub fn as_draw(self) -> (u32, u32) {
        ((self.0 >> 32) as u32, self.0 as u32)
    }
}
