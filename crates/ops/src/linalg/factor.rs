//! Factorisations of one matrix, column-major in scratch.

use faer::linalg::cholesky::llt::factor::{
    LltError, LltRegularization, cholesky_in_place, cholesky_in_place_scratch,
};
use faer::linalg::lu::partial_pivoting::factor::{lu_in_place, lu_in_place_scratch};
use faer::{MatMut, Par, Spec};
use retrograde_storage::{PACKET_BYTES, Packet};

use super::Element;
use super::scratch::{packets, stack, take};

/// Packets that [`cholesky`] takes beside the matrix.
pub(super) fn cholesky_packets<T: Element>(n: usize) -> usize {
    let request = cholesky_in_place_scratch::<T>(n, Par::Seq, Spec::default());
    request.unaligned_bytes_required().div_ceil(PACKET_BYTES)
}

/// Overwrites the lower triangle of `a` by its Cholesky factor.
///
/// # Errors
/// The first pivot that is not positive.
pub(super) fn cholesky<T: Element>(
    a: &mut [T],
    n: usize,
    scratch: &mut [Packet],
) -> Result<(), usize> {
    let matrix = MatMut::from_column_major_slice_mut(a, n, n);
    let done = cholesky_in_place(
        matrix,
        LltRegularization::default(),
        Par::Seq,
        stack(scratch),
        Spec::default(),
    );
    match done {
        Ok(_) => Ok(()),
        Err(LltError::NonPositivePivot { index }) => Err(index),
    }
}

/// Packets that [`lu`] takes beside the matrix.
pub(super) fn lu_packets<T: Element>(n: usize) -> usize {
    let request = lu_in_place_scratch::<u32, T>(n, n, Par::Seq, Spec::default());
    let own = request.unaligned_bytes_required().div_ceil(PACKET_BYTES);
    2 * packets(n, size_of::<u32>()) + own
}

/// Overwrites `a` by its LU factors with partial pivoting; returns which row of `a` each row of their product is.
pub(super) fn lu<'s, T: Element>(a: &mut [T], n: usize, scratch: &'s mut [Packet]) -> &'s [u32] {
    let (forward, rest) = take::<u32>(scratch, n);
    let (inverse, rest) = take::<u32>(rest, n);
    let matrix = MatMut::from_column_major_slice_mut(a, n, n);
    lu_in_place(
        matrix,
        forward,
        inverse,
        Par::Seq,
        stack(rest),
        Spec::default(),
    );
    forward
}
