//! Where elementwise micro-ops meet their packets: operands, results, and the loops over them.
//!
//! With `memory.rs` the file of the tile engine that dereferences pointers; `run.rs` makes the promises that both rest on.
//! An [`Operand`] or a [`Target`] is made with a promise about what it points to; everything done with them afterwards stays inside that.

use std::marker::PhantomData;

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

/// The packets of an operand, in a slot or in memory that is not aligned.
#[derive(Clone, Copy)]
pub(super) struct Operand<'s> {
    at: *const Packet,
    /// How it broadcasts.
    pub walk: Walk,
    life: PhantomData<&'s Packet>,
}

/// The packets of a result, in a slot or in memory that is not aligned.
#[derive(Clone, Copy)]
pub(super) struct Target<'s> {
    at: *mut Packet,
    /// Rows.
    pub rows: usize,
    /// Packets in a row.
    pub columns: usize,
    life: PhantomData<&'s Packet>,
}

impl Operand<'_> {
    /// # Safety
    /// For the lifetime, `at` is valid for reads of as many packets as the walk reads beside any target that it is used
    /// with: all of its packets, its rows, or one. It need not be aligned.
    #[inline(always)]
    pub(super) unsafe fn new(at: *const Packet, walk: Walk) -> Self {
        Self {
            at,
            walk,
            life: PhantomData,
        }
    }

    /// The packets beside row `row` of a target.
    #[inline(always)]
    fn row(self, row: usize, columns: usize) -> Part {
        let (offset, mask) = match self.walk {
            Walk::Each => (row * columns, usize::MAX),
            Walk::Row => (row, 0),
            Walk::One => (0, 0),
        };
        Part {
            at: self.at.wrapping_add(offset),
            mask,
        }
    }
}

impl Target<'_> {
    /// # Safety
    /// For the lifetime, `at` is valid for writes of `rows * columns` packets, free of data races. It need not be
    /// aligned. Where it overlaps an operand that is used with it, the two are the same packets in the same order.
    #[inline(always)]
    pub(super) unsafe fn new(at: *mut Packet, rows: usize, columns: usize) -> Self {
        Self {
            at,
            rows,
            columns,
            life: PhantomData,
        }
    }
}

/// An operand beside a run of a target's packets: packet `i & mask` of it beside packet `i`.
#[derive(Clone, Copy)]
struct Part {
    at: *const Packet,
    mask: usize,
}

impl Part {
    /// # Safety
    /// `i` is the position of a packet of the run.
    #[inline(always)]
    unsafe fn read(self, i: usize) -> Packet {
        // SAFETY: promised when the operand was made: with all bits set in the mask it has a packet beside each of the
        // run's, with none set it has one.
        unsafe { self.at.add(i & self.mask).read_unaligned() }
    }
}

/// Packets of one turn of an unrolled loop. A tile is short: with a branch a packet, the branches of the loops would
/// push those that tell one micro-op from the next out of the processor's history, and each micro-op would begin with a
/// wrong guess.
const TURN: usize = 8;

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

/// `target = f(a)`, `a` of the same class.
#[inline(always)]
pub(super) fn each1(target: Target<'_>, a: Operand<'_>, f: impl Fn(Packet) -> Packet) {
    for i in 0..target.rows * target.columns {
        // SAFETY: both have `rows * columns` packets, as was promised when they were made.
        unsafe {
            target
                .at
                .add(i)
                .write_unaligned(f(a.at.add(i).read_unaligned()));
        }
    }
}

/// `target = f(a, b)`, at least one operand of the target's class.
#[inline(always)]
pub(super) fn each2(
    target: Target<'_>,
    a: Operand<'_>,
    b: Operand<'_>,
    f: impl Fn(Packet, Packet) -> Packet,
) {
    for_rows(
        target,
        [a, b],
        #[inline(always)]
        |at, count, [x, y]| {
            // SAFETY: `for_rows` hands out a run of the target's packets and what stands beside them; a mask of 0 means
            // the one packet that is read, and then there is at least one packet in the run.
            unsafe {
                if x.mask == 0 && count > 0 {
                    let x = x.at.read_unaligned();
                    turns(
                        at,
                        count,
                        #[inline(always)]
                        |i| f(x, y.read(i)),
                    );
                } else if y.mask == 0 && count > 0 {
                    let y = y.at.read_unaligned();
                    turns(
                        at,
                        count,
                        #[inline(always)]
                        |i| f(x.at.add(i).read_unaligned(), y),
                    );
                } else {
                    turns(
                        at,
                        count,
                        #[inline(always)]
                        |i| f(x.at.add(i).read_unaligned(), y.at.add(i).read_unaligned()),
                    );
                }
            }
        },
    );
}

/// As [`each2`] for operations of many instructions: one loop for all operands, not three.
#[inline(always)]
pub(super) fn each2_long(
    target: Target<'_>,
    a: Operand<'_>,
    b: Operand<'_>,
    f: impl Fn(Packet, Packet) -> Packet,
) {
    for_rows(
        target,
        [a, b],
        #[inline(always)]
        |at, count, [x, y]| {
            for i in 0..count {
                // SAFETY: as in `each2`.
                unsafe { at.add(i).write_unaligned(f(x.read(i), y.read(i))) };
            }
        },
    );
}

/// `target = f(a, b, c)`, operands of the target's class or narrower.
#[inline(always)]
pub(super) fn each3(
    target: Target<'_>,
    operands: [Operand<'_>; 3],
    f: impl Fn(Packet, Packet, Packet) -> Packet,
) {
    for_rows(
        target,
        operands,
        #[inline(always)]
        |at, count, [x, y, z]| {
            // SAFETY: as in `each2`.
            unsafe {
                turns(
                    at,
                    count,
                    #[inline(always)]
                    |i| f(x.read(i), y.read(i), z.read(i)),
                );
            };
        },
    );
}

/// As [`each3`] for operations of many instructions.
#[inline(always)]
pub(super) fn each3_long(
    target: Target<'_>,
    operands: [Operand<'_>; 3],
    f: impl Fn(Packet, Packet, Packet) -> Packet,
) {
    for_rows(
        target,
        operands,
        #[inline(always)]
        |at, count, [x, y, z]| {
            for i in 0..count {
                // SAFETY: as in `each2`.
                unsafe {
                    at.add(i)
                        .write_unaligned(f(x.read(i), y.read(i), z.read(i)));
                };
            }
        },
    );
}

/// `target = a`, which may be of a narrower class.
pub(super) fn copy(target: Target<'_>, a: Operand<'_>) {
    each2_long(
        target,
        a,
        a,
        #[inline(always)]
        |x, _| x,
    );
}

/// Calls `f` with runs of the target's packets and what stands beside them: one run unless an operand changes with the
/// row.
#[inline(always)]
fn for_rows<const N: usize>(
    target: Target<'_>,
    operands: [Operand<'_>; N],
    f: impl Fn(*mut Packet, usize, [Part; N]),
) {
    let mut by_row = false;
    for operand in &operands {
        by_row |= operand.walk == Walk::Row;
    }
    let (rows, columns) = if by_row {
        (target.rows, target.columns)
    } else {
        (1, target.rows * target.columns)
    };
    for row in 0..rows {
        let parts = operands.map(
            #[inline(always)]
            |o| o.row(row, columns),
        );
        f(target.at.wrapping_add(row * columns), columns, parts);
    }
}
