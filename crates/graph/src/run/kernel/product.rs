//! Matrix products: one for each index of the batch axes.

use std::ops::Range;

use retrograde_ops::Level;
use retrograde_ops::product::{Float, Operands, Plan, Spec, Strides};
use retrograde_ops::structured::Mismatch;
use retrograde_storage::{MAX_RANK, Packet, Shape, View};

use super::{Block, Memory, Operand, Rows, Strip, Work};
use crate::run::bind::Bindings;

/// `C[.., m, n] = A[.., m, k] B[.., k, n]`, batch axes of A and B broadcast to C's.
#[derive(Debug)]
pub(super) struct Product<T: Float> {
    plan: Plan<T>,
    /// A, B and C.
    operands: [Operand; 3],
    /// The batch axes of each: C's extents, and strides.
    batch: [View; 3],
    spec: Spec,
}

/// Blocks wanted of a product at most: a few for each of many cores. Bits do not depend on it.
const PRODUCT_BLOCKS: usize = 8;
/// Bytes of rows of a matrix that a block multiplies by a vector, if there are more than [`PRODUCT_BLOCKS`] times as
/// many: what goes on with the block finds them in the second-level cache.
const VECTOR_BLOCK_BYTES: usize = 512 << 10;
/// Nanoseconds a multiply-add of 4-byte elements takes: 80 GFLOP/s. One of 8-byte elements takes twice that.
pub(super) const PRODUCT_NS: f64 = 0.025;

impl<T: Float> Product<T> {
    /// Operands of rank 2 or more whose extents fit, as recording checked.
    pub(super) fn new(level: Level, a: Operand, b: Operand, c: Operand) -> Self {
        let operands = [a, b, c];
        let [(m, k, sa), (_, n, sb), (_, _, sc)] = operands.each_ref().map(matrix);
        let count = lead(&c).shape.len();
        // With a batch, each product is one block: enough to share out, and nothing to pack for others.
        let max_blocks = if count > 1 {
            1
        } else if n == 1 && sa.column == 1 {
            let bytes = m.saturating_mul(k).saturating_mul(size_of::<T>());
            PRODUCT_BLOCKS.max(bytes / VECTOR_BLOCK_BYTES)
        } else {
            PRODUCT_BLOCKS
        };
        let spec = Spec {
            m,
            n,
            k,
            a: sa,
            b: sb,
            c: sc,
            max_blocks,
        };
        let batch = lead(&c).shape;
        Self {
            plan: Plan::new(level, &spec),
            batch: operands.each_ref().map(|x| lead(x).expand(batch)),
            operands,
            spec,
        }
    }

    /// Whether each block multiplies rows of a matrix by a vector that the same block of `other` multiplies by another.
    pub(super) fn shares_rows(&self, other: &Self) -> bool {
        let ([a, ..], [b, ..]) = (&self.operands, &other.operands);
        let same =
            |a: Memory, b: Memory| matches!((a, b), (Memory::Value(a), Memory::Value(b)) if a == b);
        self.spec.n == 1
            && self.count() == 1
            && self.spec == other.spec
            && same(a.at, b.at)
            && a.view == b.view
            && self.batch == other.batch
            && self.plan.parts() == 0
    }

    /// Cuts it into blocks of rows: what goes on with it.
    pub(super) fn cut_by_rows(&mut self, unit: usize, blocks: usize) {
        self.plan = self.plan.by_rows(unit, blocks).unwrap_or(self.plan);
    }

    /// Number of products.
    fn count(&self) -> usize {
        self.batch[2].shape.len()
    }

    /// Where the matrices of batch index `i` start.
    fn addresses(&self, bindings: &Bindings<'_>, i: usize) -> Operands<T> {
        let start = |x: usize| {
            let base = bindings.address(self.operands[x].at).cast::<T>();
            base.wrapping_offset(position(&self.batch[x], i))
        };
        Operands {
            a: start(0),
            b: start(1),
            c: start(2),
        }
    }
}

impl<T: Float> Work for Product<T> {
    /// [`Product::new`] took the strides from the operands' own views: nothing is left to check.
    fn check(&self) -> Result<(), Mismatch> {
        Ok(())
    }

    fn phases(&self) -> Vec<usize> {
        let blocks = self.plan.blocks() * self.count();
        match self.plan.parts() {
            0 => vec![blocks],
            parts => vec![parts, blocks],
        }
    }

    fn cost_ns(&self) -> f64 {
        let Spec { m, n, k, .. } = self.spec;
        let each = PRODUCT_NS * (size_of::<T>() / size_of::<f32>()) as f64;
        m as f64 * n as f64 * k as f64 * self.count() as f64 * each
    }

    /// Whole rows of C.
    fn writes(&self, block: usize) -> Option<Range<usize>> {
        let each = self.plan.blocks();
        let first = block / each * self.spec.m;
        let (rows, columns) = self.plan.block(block % each);
        let n = self.spec.n;
        (columns == (0..n)).then(|| (first + rows.start) * n..(first + rows.end) * n)
    }

    fn shared_packets(&self) -> usize {
        self.plan.shared_packets().unwrap_or(usize::MAX)
    }

    fn scratch_packets(&self) -> usize {
        self.plan.scratch_packets()
    }

    /// What a chain asks of a product of row-major matrices, without batch.
    fn rows(&self) -> Option<Rows> {
        let Spec { m, n, k, a, .. } = self.spec;
        let [left, right, _] = &self.operands;
        let Memory::Value(b) = right.at else {
            return None;
        };
        let whole = a == Strides::row_major(k) && left.view.offset == 0;
        let whole = whole && left.view.shape.len() == m * k;
        (self.count() == 1 && self.plan.by_rows(1, 1).is_some()).then(|| Rows {
            m,
            n,
            k,
            a: match left.at {
                Memory::Value(a) if whole => Some(a),
                _ => None,
            },
            b,
            piece: self.plan.piece(),
            strip: self.plan.strip_unit(),
            blocks: self.plan.blocks(),
            by_rows: self.plan.block(0).1 == (0..n),
        })
    }

    unsafe fn run_strip(
        &self,
        bindings: &Bindings<'_>,
        strip: Strip,
        shared: *mut Packet,
        scratch: &mut [Packet],
    ) {
        let operands = self.addresses(bindings, 0);
        // SAFETY: the caller's contract.
        unsafe { self.plan.run_strip(strip, &operands, shared, scratch) }
    }

    unsafe fn run(&self, at: Block<'_>, scratch: &mut [Packet]) {
        let prepares = self.plan.parts() > 0;
        if prepares && at.phase == 0 {
            let operands = self.addresses(at.bindings, 0);
            // SAFETY: the caller's contract; only a product without batch prepares, so index 0 is the whole of it, and
            // `shared` has the packets that `shared_packets` asked for.
            unsafe {
                self.plan.prepare(at.block, &operands, at.shared, scratch);
            }
        } else {
            let each = self.plan.blocks();
            let operands = self.addresses(at.bindings, at.block / each);
            // SAFETY: the caller's contract. Preparation, if any, was the phase before; different batch indices write
            // different matrices of C, which is dense.
            unsafe {
                self.plan.run_block(
                    at.block % each,
                    &operands,
                    at.shared,
                    scratch,
                    false,
                    |_, _| {},
                );
            }
        }
    }
}

/// Extents and strides of the last two axes.
fn matrix(x: &Operand) -> (usize, usize, Strides) {
    let (dims, first) = (x.view.shape.dims(), x.view.shape.rank() - 2);
    let strides = Strides {
        row: x.view.strides[first],
        column: x.view.strides[first + 1],
    };
    (dims[first], dims[first + 1], strides)
}

/// The axes before the last two.
fn lead(x: &Operand) -> View {
    let rank = x.view.shape.rank() - 2;
    let mut strides = [0; MAX_RANK];
    strides[..rank].copy_from_slice(&x.view.strides[..rank]);
    View {
        shape: Shape::new(&x.view.shape.dims()[..rank]).expect("fewer axes than a shape has"),
        offset: x.view.offset,
        strides,
    }
}

/// Position of the element of row-major number `i`.
fn position(view: &View, i: usize) -> isize {
    let (mut rest, mut at) = (i, view.offset);
    for (axis, &d) in view.shape.dims().iter().enumerate().rev() {
        at += (rest % d) as isize * view.strides[axis];
        rest /= d;
    }
    at
}
