//! Running a block, and combining what blocks left.

use std::cell::Cell;

use retrograde_storage::Packet;

use super::{Geometry, Group};
use crate::Level;

impl Group {
    /// Runs one block.
    ///
    /// # Safety
    /// The group passed [`Group::check`] and `geometry` is one of its own. `bases[k]` is valid for every element that
    /// view `k` has in the space, `partials[r]` for [`Group::partial_bytes`] of reduction `r`, aligned to a packet.
    /// Blocks may run on several threads at once; nothing else may access memory that is stored to or partial results
    /// while they run, and no stored element may be an element that another position loads or stores.
    pub unsafe fn run_block(
        &self,
        level: Level,
        geometry: &Geometry,
        bases: &[*mut u8],
        partials: &[*mut u8],
        block: usize,
        scratch: &[Cell<Packet>],
    ) {
        let _ = (level, geometry, bases, partials, block, scratch);
    }

    /// Combines the partial results of reduction `r` into `out`, [`Group::result_len`] elements.
    ///
    /// # Safety
    /// All blocks ran; `partial` is valid for reads of [`Group::partial_bytes`], `out` for writes of the result, and
    /// the two do not overlap.
    pub unsafe fn finish(&self, level: Level, r: usize, partial: *const u8, out: *mut u8) {
        let _ = (level, r, partial, out);
    }
}
