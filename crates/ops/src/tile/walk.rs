//! Where elementwise micro-ops meet their packets: the loops over a result and its operands.
//!
//! With `memory.rs` the file of the tile engine that dereferences pointers; `run.rs` makes the promises that both rest on.

use retrograde_storage::Packet;

/// How an operand is walked while the result's packets are written one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Walk {
    /// A packet for each of the result's.
    Each,
    /// A packet for each row of the result.
    Row,
    /// One packet for all.
    One,
}

/// How the operands of a step are walked, in one word, so that a kernel's arguments fit registers: for each operand two
/// bits, then the packets of a row of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walks(usize);

/// The bits of the walks; above them stand the columns.
const BITS: u32 = 6;
/// One of the operands is walked by rows.
const BY_ROW: usize = 0b10_10_10;

impl Walks {
    /// All operands have a packet for each of the result's.
    pub(super) const EACH: Self = Self(0);

    /// Of three operands, those that a step does not use as [`Walk::Each`].
    pub(super) fn new(walks: [Walk; 3]) -> Self {
        let bits = walks.map(|walk| match walk {
            Walk::Each => 0,
            Walk::One => 1,
            Walk::Row => 2,
        });
        Self(bits[0] | bits[1] << 2 | bits[2] << 4)
    }

    /// The same beside rows of so many packets.
    #[inline(always)]
    pub(super) fn with_columns(self, columns: usize) -> Self {
        Self(self.0 | columns << BITS)
    }

    #[inline(always)]
    fn columns(self) -> usize {
        self.0 >> BITS
    }

    #[inline(always)]
    fn is_each(self) -> bool {
        self.0 & ((1 << BITS) - 1) == 0
    }

    #[inline(always)]
    fn is_by_row(self) -> bool {
        self.0 & BY_ROW != 0
    }

    #[inline(always)]
    fn is_one(self, operand: usize) -> bool {
        self.0 >> (2 * operand) & 1 != 0
    }

    /// By how many packets an operand moves on with each packet of a row, and with each row.
    #[inline(always)]
    fn strides(self, operand: usize) -> (usize, usize) {
        match self.0 >> (2 * operand) & 3 {
            0 => (1, self.columns()),
            1 => (0, 0),
            _ => (0, 1),
        }
    }
}

/// Packets of one turn of an unrolled loop. A tile is short: with a branch a packet, the branches of the loops would
/// push those that tell one micro-op from the next out of the processor's history, and each micro-op would begin with a
/// wrong guess.
pub(super) const TURN: usize = 8;

/// Sets `count` packets to `f(i)`, unrolled.
///
/// # Safety
/// `at` is valid for writes of `count` packets.
#[inline(always)]
unsafe fn turns(at: *mut Packet, count: usize, f: impl Fn(usize) -> Packet) {
    let mut i = 0;
    while i + TURN <= count {
        for j in 0..TURN {
            // SAFETY: `i + j < count`.
            unsafe { at.add(i + j).write_unaligned(f(i + j)) };
        }
        i += TURN;
    }
    while i < count {
        // SAFETY: `i < count`.
        unsafe { at.add(i).write_unaligned(f(i)) };
        i += 1;
    }
}

/// `dst = f(a)`, packet by packet.
///
/// # Safety
/// `dst` is valid for writes and `a` for reads of `count` packets, free of data races; where they overlap they are the
/// same packets. Neither need be aligned.
#[inline(always)]
pub(super) unsafe fn each1(
    dst: *mut Packet,
    a: *const Packet,
    count: usize,
    f: impl Fn(Packet) -> Packet,
) {
    for i in 0..count {
        // SAFETY: `i < count`.
        unsafe { dst.add(i).write_unaligned(f(a.add(i).read_unaligned())) };
    }
}

/// `dst = f(a, b)`, operands walked as `walks` says; in loops of their own where one of them is one packet, unrolled.
///
/// # Safety
/// As [`each1`], and each operand has the packets that its walk reads: as many as the result, as its rows, or one. By
/// rows, `walks` has the result's columns, which divide `count`.
#[inline(always)]
pub(super) unsafe fn each2(
    dst: *mut Packet,
    [a, b]: [*const Packet; 2],
    count: usize,
    walks: Walks,
    f: impl Fn(Packet, Packet) -> Packet,
) {
    // SAFETY: the caller's promise; `i < count` throughout, and one packet is read only if there is a result.
    unsafe {
        if walks.is_each() {
            turns(
                dst,
                count,
                #[inline(always)]
                |i| f(a.add(i).read_unaligned(), b.add(i).read_unaligned()),
            );
        } else if walks.is_by_row() || count == 0 {
            stepping2(dst, [a, b], count, walks, f);
        } else if walks.is_one(0) {
            let x = a.read_unaligned();
            turns(
                dst,
                count,
                #[inline(always)]
                |i| f(x, b.add(i).read_unaligned()),
            );
        } else {
            let y = b.read_unaligned();
            turns(
                dst,
                count,
                #[inline(always)]
                |i| f(a.add(i).read_unaligned(), y),
            );
        }
    }
}

/// As [`each2`] for operations of many instructions: one loop for all operands, not four.
///
/// # Safety
/// As [`each2`].
#[inline(always)]
pub(super) unsafe fn stepping2(
    dst: *mut Packet,
    [a, b]: [*const Packet; 2],
    count: usize,
    walks: Walks,
    f: impl Fn(Packet, Packet) -> Packet,
) {
    // SAFETY: the caller's promise.
    unsafe {
        stepping(
            dst,
            [a, b],
            count,
            walks,
            #[inline(always)]
            |[x, y]| f(x, y),
        );
    }
}

/// `dst = f(a, b, c)`, as [`each2`]: unrolled where all operands have a packet for each of the result's.
///
/// # Safety
/// As [`each2`].
#[inline(always)]
pub(super) unsafe fn each3(
    dst: *mut Packet,
    [a, b, c]: [*const Packet; 3],
    count: usize,
    walks: Walks,
    f: impl Fn(Packet, Packet, Packet) -> Packet,
) {
    // SAFETY: the caller's promise; `i < count`.
    unsafe {
        if walks.is_each() {
            turns(
                dst,
                count,
                #[inline(always)]
                |i| {
                    let (x, y) = (a.add(i).read_unaligned(), b.add(i).read_unaligned());
                    f(x, y, c.add(i).read_unaligned())
                },
            );
        } else {
            stepping(
                dst,
                [a, b, c],
                count,
                walks,
                #[inline(always)]
                |[x, y, z]| f(x, y, z),
            );
        }
    }
}

/// Any walks: operands move on by one packet or not at all.
///
/// # Safety
/// As [`each2`].
#[inline(always)]
pub(super) unsafe fn stepping<const N: usize>(
    dst: *mut Packet,
    mut operands: [*const Packet; N],
    count: usize,
    walks: Walks,
    f: impl Fn([Packet; N]) -> Packet,
) {
    let strides: [(usize, usize); N] = std::array::from_fn(|i| walks.strides(i));
    let columns = if walks.is_by_row() {
        walks.columns().max(1)
    } else {
        count
    };
    let mut at = 0;
    while at < count {
        let mut row = operands;
        for i in at..at + columns {
            // SAFETY: operands have a packet where their walk says, as was promised; `i < count`, because the columns
            // divide it.
            let packets = row.map(
                #[inline(always)]
                |x| unsafe { x.read_unaligned() },
            );
            // SAFETY: as above.
            unsafe { dst.add(i).write_unaligned(f(packets)) };
            for (x, stride) in row.iter_mut().zip(&strides) {
                *x = x.wrapping_add(stride.0);
            }
        }
        for (x, stride) in operands.iter_mut().zip(&strides) {
            *x = x.wrapping_add(stride.1);
        }
        at += columns;
    }
}
