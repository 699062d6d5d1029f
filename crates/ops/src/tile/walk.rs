//! One loop over operands that are as long as the result or stand for a whole row: the second file of the tile engine
//! with `unsafe` in it, because an index that is masked is beyond what the compiler proves in bounds.

use std::cell::Cell;

use retrograde_storage::Packet;

/// Packets of one turn of the loop, written out.
const TURN: usize = 4;

/// Cells to read at `i & mask`.
#[derive(Clone, Copy)]
struct Walker<'s> {
    cells: &'s [Cell<Packet>],
    mask: usize,
}

impl<'s> Walker<'s> {
    /// A walk over `len` packets.
    ///
    /// # Panics
    /// If the cells are neither `len` nor one.
    #[inline(always)]
    fn new(cells: &'s [Cell<Packet>], len: usize) -> Self {
        let mask = if cells.len() == len {
            usize::MAX
        } else {
            assert_eq!(cells.len(), 1);
            0
        };
        Self { cells, mask }
    }

    /// # Safety
    /// `i` is below the length of the walk.
    #[inline(always)]
    unsafe fn at(self, i: usize) -> Packet {
        // SAFETY: with all bits set in the mask there are as many cells as the walk is long, and `i` is below that;
        // with none set the index is 0, and there is one cell. `new` saw to both.
        unsafe { self.cells.get_unchecked(i & self.mask) }.get()
    }
}

/// `target = f(a, b, c)`, each operand of the target's length or a single packet.
#[inline(always)]
pub(super) fn each3(
    target: &[Cell<Packet>],
    operands: [&[Cell<Packet>]; 3],
    f: impl Fn(Packet, Packet, Packet) -> Packet,
) {
    let len = target.len();
    let walkers = operands.map(
        #[inline(always)]
        |cells| Walker::new(cells, len),
    );
    let (turns, rest) = target.as_chunks::<TURN>();
    for (turn, d) in turns.iter().enumerate() {
        for (i, d) in d.iter().enumerate() {
            // SAFETY: the position of `d` in the target is below the length of the walks.
            let [x, y, z] = unsafe { read(walkers, turn * TURN + i) };
            d.set(f(x, y, z));
        }
    }
    for (i, d) in rest.iter().enumerate() {
        // SAFETY: as above.
        let [x, y, z] = unsafe { read(walkers, turns.len() * TURN + i) };
        d.set(f(x, y, z));
    }
}

/// Packet `i` of each.
///
/// # Safety
/// `i` is below the length of the walks.
#[inline(always)]
unsafe fn read(walkers: [Walker<'_>; 3], i: usize) -> [Packet; 3] {
    walkers.map(
        #[inline(always)]
        // SAFETY: the caller's promise.
        |walker| unsafe { walker.at(i) },
    )
}
