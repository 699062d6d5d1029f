//! Factorisations and solves of batches of matrices.

use retrograde_ops::Level;
use retrograde_ops::linalg::{Kernel, Linalg, Operands, Solver};
use retrograde_ops::structured::Mismatch;
use retrograde_storage::Packet;

use super::{Block, Operand, Work};
use crate::list::{List, Value};
use crate::passes::places::Places;
use crate::run::bind::Bindings;

/// A kernel of linear algebra with operands that have no addresses yet.
#[derive(Debug)]
pub(super) struct Matrices {
    op: Linalg,
    how: Solver,
    level: Level,
    matrix: Operand,
    right: Option<Operand>,
    dst: Operand,
}

impl Matrices {
    /// The kernel of `v`, an `Op::Linalg`.
    pub(super) fn new(level: Level, op: Linalg, list: &List, places: &Places, v: Value) -> Self {
        let arg = |i: usize| Operand::of(list, places, list.arg(v, i));
        // What takes a matrix and its factors reads the factors: the matrix is there for its derivative.
        let (matrix, right) = match op {
            Linalg::Cholesky | Linalg::Lu | Linalg::SignDet => (0, None),
            Linalg::Eigh | Linalg::Svd | Linalg::Qr => (0, None),
            Linalg::TriangularSolve => (0, Some(1)),
            Linalg::Solve => (2, Some(1)),
            Linalg::Det | Linalg::LogAbsDet => (1, None),
            // Lowered to views; the kernel's check refuses them.
            Linalg::Eigenvalues | Linalg::Eigenvectors => (0, None),
            Linalg::LeftVectors | Linalg::SingularValues | Linalg::RightVectors => (0, None),
            Linalg::Orthogonal | Linalg::Upper => (0, None),
        };
        Self {
            op,
            how: list.attr(v).as_solver(),
            level,
            matrix: arg(matrix),
            right: right.map(arg),
            dst: Operand::result(list, v),
        }
    }

    fn bind<'a>(&self, bindings: &Bindings<'a>, site: u32) -> Kernel<'a> {
        Kernel {
            op: self.op,
            how: self.how,
            level: self.level,
            operands: Operands {
                matrix: self.matrix.raw(bindings),
                right: self.right.as_ref().map(|r| r.raw(bindings)),
            },
            dst: self.dst.raw(bindings),
            errors: bindings.errors,
            site,
        }
    }

    /// The kernel at no address, for what does not depend on one.
    fn nowhere(&self) -> Kernel<'static> {
        self.bind(&Bindings::nowhere(), 0)
    }
}

impl Work for Matrices {
    fn check(&self) -> Result<(), Mismatch> {
        self.nowhere().check()
    }

    fn phases(&self) -> Vec<usize> {
        vec![self.nowhere().blocks()]
    }

    fn cost_ns(&self) -> f64 {
        self.nowhere().cost_ns()
    }

    fn scratch_packets(&self) -> usize {
        self.nowhere().scratch_packets()
    }

    unsafe fn run(&self, at: Block<'_>, scratch: &mut [Packet]) {
        let kernel = self.bind(at.bindings, at.site);
        // SAFETY: the caller's contract is the kernel's; binding changed addresses alone, so what `check` found for the
        // operands holds for what is bound to them; scratch is what was asked for.
        unsafe { kernel.run_block(at.block, scratch) }
    }
}
