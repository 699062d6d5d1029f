//! Kernels of one phase over strided operands: those of [`retrograde_ops::structured`] with operands that are bound to
//! addresses when a block runs.

use retrograde_ops::structured as kernels;
use retrograde_ops::{Level, Window};
use retrograde_storage::Packet;

use super::{Block, Operand, Work};
use crate::run::bind::Bindings;

/// A kernel with operands that have no addresses yet.
#[derive(Debug)]
pub(super) enum Structured {
    Copy {
        src: Operand,
        dst: Operand,
    },
    Fill {
        dst: Operand,
        bits: u64,
    },
    Cast {
        src: Operand,
        dst: Operand,
    },
    Gather {
        src: Operand,
        index: Operand,
        dst: Operand,
        axis: usize,
    },
    ScatterAdd {
        src: Operand,
        index: Operand,
        dst: Operand,
        axis: usize,
    },
    Divide {
        what: kernels::Division,
        x: Operand,
        y: Operand,
        dst: Operand,
    },
    /// Writes nothing: the checked index is the operand itself.
    CheckIndex {
        index: Operand,
        bound: usize,
    },
    Lines {
        walk: kernels::Walk,
        x: Operand,
        y: Option<Operand>,
        dst: Operand,
        axis: usize,
    },
    Pool {
        kind: kernels::Pooling,
        window: Window,
        src: Operand,
        by: Option<Operand>,
        dst: Operand,
    },
    Random {
        dst: Operand,
        draw: kernels::Draw,
        stream: u32,
        ordinal: u32,
    },
    Permutation {
        dst: Operand,
        stream: u32,
        ordinal: u32,
    },
}

/// Nanoseconds a byte takes through a kernel that moves elements.
const BYTE_NS: f64 = 0.2;

/// What all kernels of [`retrograde_ops::structured`] have in common.
trait Bound {
    fn check(&self) -> Result<(), kernels::Mismatch>;
    fn blocks(&self) -> usize;
    /// # Safety
    /// The [block contract](kernels).
    unsafe fn run_block(&self, level: Level, block: usize);
}

/// [`Bound`] by the methods of the same names.
macro_rules! bound {
    ($($kernel:ty: $check:expr),* $(,)?) => {$(
        impl Bound for $kernel {
            fn check(&self) -> Result<(), kernels::Mismatch> {
                $check(self)
            }
            fn blocks(&self) -> usize {
                <$kernel>::blocks(self)
            }
            unsafe fn run_block(&self, level: Level, block: usize) {
                // SAFETY: the caller's contract is the kernel's.
                unsafe { <$kernel>::run_block(self, level, block) }
            }
        }
    )*};
}

bound! {
    kernels::Copy: kernels::Copy::check,
    // Any dtype and shape can be filled.
    kernels::Fill: |_| Ok(()),
    kernels::Cast: kernels::Cast::check,
    kernels::Gather<'_>: kernels::Gather::check,
    kernels::Scatter<'_>: kernels::Scatter::check,
    kernels::Divide<'_>: kernels::Divide::check,
    kernels::CheckIndex<'_>: kernels::CheckIndex::check,
    kernels::Lines: kernels::Lines::check,
    kernels::Pool: kernels::Pool::check,
    kernels::Random: kernels::Random::check,
    kernels::Permutation: kernels::Permutation::check,
}

impl Structured {
    /// Calls `f` with the kernel on the addresses of a run.
    fn bind<R>(&self, bindings: &Bindings<'_>, site: u32, f: impl FnOnce(&dyn Bound) -> R) -> R {
        let raw = |operand: &Operand| operand.raw(bindings);
        let errors = bindings.errors;
        match *self {
            Self::Copy { ref src, ref dst } => f(&kernels::Copy {
                src: raw(src),
                dst: raw(dst),
            }),
            Self::Fill { ref dst, bits } => f(&kernels::Fill {
                dst: raw(dst),
                bits,
            }),
            Self::Cast { ref src, ref dst } => f(&kernels::Cast {
                src: raw(src),
                dst: raw(dst),
            }),
            Self::Gather {
                ref src,
                ref index,
                ref dst,
                axis,
            } => f(&kernels::Gather {
                src: raw(src),
                index: raw(index),
                dst: raw(dst),
                axis,
                errors,
                site,
            }),
            Self::ScatterAdd {
                ref src,
                ref index,
                ref dst,
                axis,
            } => f(&kernels::Scatter {
                src: raw(src),
                index: raw(index),
                base: None,
                dst: raw(dst),
                axis,
                combine: kernels::Combine::Add,
                errors,
                site,
            }),
            Self::Divide {
                what,
                ref x,
                ref y,
                ref dst,
            } => f(&kernels::Divide {
                what,
                x: raw(x),
                y: raw(y),
                dst: raw(dst),
                errors,
                site,
            }),
            Self::CheckIndex { ref index, bound } => f(&kernels::CheckIndex {
                index: raw(index),
                bound,
                ignored: None,
                errors,
                site,
            }),
            Self::Lines {
                walk,
                ref x,
                ref y,
                ref dst,
                axis,
            } => f(&kernels::Lines {
                walk,
                x: raw(x),
                y: y.as_ref().map(raw),
                dst: raw(dst),
                axis,
            }),
            Self::Pool {
                kind,
                window,
                ref src,
                ref by,
                ref dst,
            } => f(&kernels::Pool {
                kind,
                window,
                src: raw(src),
                by: by.as_ref().map(raw),
                dst: raw(dst),
            }),
            Self::Random {
                ref dst,
                draw,
                stream,
                ordinal,
            } => f(&kernels::Random {
                counter: counter(bindings, stream, ordinal),
                draw,
                dst: raw(dst),
            }),
            Self::Permutation {
                ref dst,
                stream,
                ordinal,
            } => f(&kernels::Permutation {
                counter: counter(bindings, stream, ordinal),
                dst: raw(dst),
            }),
        }
    }
}

impl Work for Structured {
    fn check(&self) -> Result<(), kernels::Mismatch> {
        self.bind(&Bindings::nowhere(), 0, |kernel| kernel.check())
    }

    fn phases(&self) -> Vec<usize> {
        // Blocks depend on shapes alone, so any address will do.
        vec![self.bind(&Bindings::nowhere(), 0, |kernel| kernel.blocks())]
    }

    fn cost_ns(&self) -> f64 {
        match self {
            Self::Copy { dst, .. }
            | Self::Fill { dst, .. }
            | Self::Cast { dst, .. }
            | Self::Gather { dst, .. } => dst.bytes() * BYTE_NS,
            Self::CheckIndex { index, .. } => index.bytes() * BYTE_NS,
            Self::Random { dst, .. } | Self::Permutation { dst, .. } => dst.bytes(),
            Self::Divide { dst, .. } => dst.bytes(),
            Self::Lines { x, .. } => x.bytes(),
            Self::ScatterAdd { src, dst, .. } => (src.bytes() + dst.bytes()) * BYTE_NS,
            Self::Pool { src, dst, .. } => src.bytes().max(dst.bytes()) * BYTE_NS,
        }
    }

    unsafe fn run(&self, at: Block<'_>, _scratch: &mut [Packet]) {
        if let Self::Copy { src, dst } = self
            && dst.view.shape.len() == 1
        {
            let (from, to) = (src.first(at.bindings), dst.first(at.bindings));
            // SAFETY: `check` found that both have as many elements, of one type, and the caller's contract is that
            // they are there. A scalar comes out of most programs: finding blocks and strides for it takes longer than
            // small programs do.
            unsafe { std::ptr::copy_nonoverlapping(from, to, dst.dtype.size()) }
            return;
        }
        self.bind(at.bindings, at.site, |kernel| {
            // SAFETY: the caller's contract is the kernel's; binding changed addresses alone, so what `check` found for
            // the operands holds for what is bound to them.
            unsafe { kernel.run_block(at.bindings.level, at.block) }
        });
    }
}

/// The numbers of a draw: its stream's seed, its ordinal, the run.
fn counter(bindings: &Bindings<'_>, stream: u32, ordinal: u32) -> kernels::Counter {
    let key = bindings.seeds.get(stream as usize).copied();
    kernels::Counter {
        key: key.unwrap_or_default(),
        ordinal,
        step: bindings.step,
    }
}
