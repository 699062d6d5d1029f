//! Products of few outputs and many terms: threads share out the pieces of the terms, each piece's sums stand in a buffer,
//! and one thread adds them in the order in which a block would.

use std::ops::Range;

use retrograde_storage::{PACKET_BYTES, packets_for};

use super::Float;
use super::plan::Plan;
use super::run::Operands;

/// Lanes of a column of sums: whole packets.
fn stride<T: Float>(plan: &Plan<T>) -> usize {
    plan.lanes.next_multiple_of(T::LANES)
}

/// Packets of the sums of one piece; `None` on overflow.
pub(super) fn packets<T: Float>(plan: &Plan<T>) -> Option<usize> {
    packets_for(stride(plan).checked_mul(plan.columns)?, size_of::<T>())
}

/// Where the sums of a piece start.
fn offset<T: Float>(plan: &Plan<T>, piece: usize) -> usize {
    let packets = packets(plan).expect("the buffer was made");
    piece * packets * (PACKET_BYTES / size_of::<T>())
}

/// The sums of the terms of some pieces.
///
/// # Safety
/// As [`Plan::prepare`] for a product of tiles with as many pieces; `sums` are the shared packets.
pub(super) unsafe fn run<T: Float>(
    plan: &Plan<T>,
    operands: &Operands<T>,
    pieces: Range<usize>,
    scratch: &mut [T],
    sums: *mut T,
) {
    let into = Plan {
        out_stride: stride(plan) as isize,
        ..*plan
    };
    for piece in pieces {
        let first = piece * plan.piece();
        let terms = first..plan.k.min(first + plan.piece());
        let operands = Operands {
            // The buffer has room for the sums of all pieces.
            c: sums.wrapping_add(offset(plan, piece)),
            ..*operands
        };
        let outputs = (0..plan.lanes, 0..plan.columns, terms);
        // SAFETY: the caller promises the operands; the output is this piece's own part of the buffer, a column every
        // `stride` elements. Nothing is packed for all blocks.
        unsafe {
            into.run_tiles(
                &operands,
                std::ptr::null(),
                scratch,
                false,
                outputs,
                &mut |_, _| {},
            );
        }
    }
}

/// The outputs, from the sums of all pieces.
///
/// # Safety
/// As [`Plan::run_block`]; `sums` holds what [`run`] left of every piece, and nobody writes it.
pub(super) unsafe fn add<T: Float>(
    plan: &Plan<T>,
    operands: &Operands<T>,
    sums: *const T,
    accumulate: bool,
) {
    for piece in 0..plan.pieces() {
        for column in 0..plan.columns {
            let at = offset(plan, piece) + column * stride(plan);
            // SAFETY: a column of this piece's sums; the column of C, along which lanes are neighbours in a product of
            // tiles, is ours alone and apart from the sums.
            let (sums, to) = unsafe {
                let to = operands
                    .c
                    .wrapping_offset(column as isize * plan.out_stride);
                (
                    std::slice::from_raw_parts(sums.add(at), plan.lanes),
                    std::slice::from_raw_parts_mut(to, plan.lanes),
                )
            };
            if piece == 0 && !accumulate {
                to.copy_from_slice(sums);
            } else {
                to.iter_mut().zip(sums).for_each(|(to, &sum)| *to += sum);
            }
        }
    }
}
