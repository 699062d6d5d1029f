//! Batching of operations that only move elements.

use retrograde_storage::MAX_RANK;

use super::{Batch, Lane};
use crate::error::Result;
use crate::list::Value;
use crate::op::{Attr, Op, SliceSpec};

impl Batch<'_> {
    pub(super) fn permute(&mut self, v: Value) -> Result<Value> {
        let rank = self.from.shape(v).rank();
        let x = self.arg(v, 0)?.v;
        let order = self.from.attr(v).as_order(rank);
        // A batch axis that does not fit is found here.
        self.shape(v)?;
        let order: Vec<usize> = [0].into_iter().chain(order.iter().map(|a| a + 1)).collect();
        Ok(self.to.permute(x, &order))
    }

    /// Of a slice and of its adjoint.
    pub(super) fn slice(&mut self, v: Value) -> Result<Value> {
        let spec = *self.from.slice_spec(v);
        let of = self.from.arg(v, 0);
        if let Some(piece) = self.piece(v, of, &spec) {
            let len = self.from.shape(v).len();
            let piece = self.wide(v, piece)?;
            return Ok(self.reshaped(piece, &[self.samples, len]));
        }
        let (x, shape) = (self.lane(of)?.v, self.shape(v)?);
        let mut wide = SliceSpec {
            start: [0; MAX_RANK],
            step: [1; MAX_RANK],
        };
        wide.start[1..].copy_from_slice(&spec.start[..MAX_RANK - 1]);
        wide.step[1..].copy_from_slice(&spec.step[..MAX_RANK - 1]);
        Ok(match self.from.op(v) {
            Op::Slice => self.to.slice(x, wide, shape),
            _ => self.to.unslice(x, wide, shape),
        })
    }

    /// What the slice `v` cuts out of a batched scan, if it is a piece that all samples share.
    pub(super) fn shared_piece(&mut self, v: Value) -> Option<Value> {
        if self.from.op(v) != Op::Slice {
            return None;
        }
        let piece = self.piece(v, self.from.arg(v, 0), self.from.slice_spec(v))?;
        let shape = self.from.shape(v);
        (!piece.batched).then(|| self.to.reshape(piece.v, shape))
    }

    /// The piece of a batched scan that the slice `v` cuts out.
    fn piece(&self, v: Value, of: Value, spec: &SliceSpec) -> Option<Lane> {
        let pieces = self.scans.get(&of)?;
        let scan = self.from.scan_spec(of);
        if self.from.op(v) != Op::Slice || spec.step[0] != 1 {
            return None;
        }
        let at = scan.piece_at(spec.start[0], self.from.shape(v).len())?;
        Some(pieces[at])
    }

    pub(super) fn expand(&mut self, v: Value) -> Result<Value> {
        let (x, shape) = (self.arg(v, 0)?, self.shape(v)?);
        let x = self.lined_up(x, shape.rank() - 1);
        Ok(self.to.expand(x, shape))
    }

    /// The batch axis, the first, in the place of axis `axis`; axes between move to the left.
    pub(crate) fn move_batch(&mut self, x: Value, axis: usize) -> Value {
        let rank = self.to.shape(x).rank();
        let mut order: Vec<usize> = (1..rank).collect();
        order.insert(axis, 0);
        self.permuted(x, &order)
    }

    /// Axis `axis` as the first: the batch axis.
    pub(crate) fn batch_first(&mut self, x: Value, axis: usize) -> Value {
        let rank = self.to.shape(x).rank();
        let mut order: Vec<usize> = (0..rank).collect();
        order.remove(axis);
        order.insert(0, axis);
        self.permuted(x, &order)
    }

    /// A permutation, where it is one.
    pub(super) fn permuted(&mut self, x: Value, order: &[usize]) -> Value {
        if order.iter().enumerate().all(|(i, &axis)| i == axis) {
            return x;
        }
        self.to.permute(x, order)
    }

    /// The attribute of a first axis.
    pub(super) fn axis(axis: usize) -> Attr {
        Attr::axis(axis, false)
    }
}
