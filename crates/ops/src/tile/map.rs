//! The loops of elementwise micro-ops: one function an operation and level, `vectorize`'s, which enters its level by
//! itself. All else is inlined into the dispatch, because a tile is only some tens of packets long: ten nanoseconds on
//! the way to the loop would be a quarter of the time.

use std::cell::Cell;

use fearless_simd::Simd;
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

/// An operand's packets.
#[derive(Clone, Copy)]
pub(super) struct Operand<'s> {
    /// The slot, as long as the walk needs.
    pub cells: &'s [Cell<Packet>],
    /// How it broadcasts.
    pub walk: Walk,
}

/// The result's packets.
#[derive(Clone, Copy)]
pub(super) struct Target<'s> {
    /// The slot.
    pub cells: &'s [Cell<Packet>],
    /// Packets in a row.
    pub columns: usize,
}

impl<'s> Operand<'s> {
    /// The packets for row `row` of `columns`: all, or the one that serves the whole row.
    #[inline(always)]
    fn row(&self, row: usize, columns: usize) -> &'s [Cell<Packet>] {
        match self.walk {
            Walk::Each => &self.cells[row * columns..][..columns],
            Walk::Row => &self.cells[row..=row],
            Walk::One => &self.cells[..1],
        }
    }
}

/// Rows to walk and their length: one long row unless an operand changes with the row.
#[inline(always)]
fn rows(target: Target<'_>, operands: &[Operand<'_>]) -> (usize, usize) {
    if target.cells.is_empty() {
        (0, 0)
    } else if operands.iter().any(|o| o.walk == Walk::Row) {
        (target.cells.len() / target.columns, target.columns)
    } else {
        (1, target.cells.len())
    }
}

/// Packets of one turn of a loop. A tile is short: with a branch a packet, the branches of the loops would push those
/// that tell one micro-op from the next out of the processor's history, and each micro-op would begin with a wrong guess.
const TURN: usize = 8;

/// `target = f(a, b)`, packet by packet, all of one length.
#[inline(always)]
fn each2(
    target: &[Cell<Packet>],
    a: &[Cell<Packet>],
    b: &[Cell<Packet>],
    f: impl Fn(Packet, Packet) -> Packet,
) {
    let (a, b) = (&a[..target.len()], &b[..target.len()]);
    let (turns, rest) = target.as_chunks::<TURN>();
    let (a_turns, a_rest) = a.as_chunks::<TURN>();
    let (b_turns, b_rest) = b.as_chunks::<TURN>();
    for ((d, a), b) in turns.iter().zip(a_turns).zip(b_turns) {
        for i in 0..TURN {
            d[i].set(f(a[i].get(), b[i].get()));
        }
    }
    for ((d, a), b) in rest.iter().zip(a_rest).zip(b_rest) {
        d.set(f(a.get(), b.get()));
    }
}

/// `target = f(a)`, packet by packet, both of one length.
#[inline(always)]
fn each1(target: &[Cell<Packet>], a: &[Cell<Packet>], f: impl Fn(Packet) -> Packet) {
    let a = &a[..target.len()];
    let (turns, rest) = target.as_chunks::<TURN>();
    let (a_turns, a_rest) = a.as_chunks::<TURN>();
    for (d, a) in turns.iter().zip(a_turns) {
        for i in 0..TURN {
            d[i].set(f(a[i].get()));
        }
    }
    for (d, a) in rest.iter().zip(a_rest) {
        d.set(f(a.get()));
    }
}

/// `target = f(a)`, `a` of the same class.
#[inline(always)]
pub(super) fn map1<S: Simd>(
    simd: S,
    target: Target<'_>,
    a: Operand<'_>,
    f: impl Fn(Packet) -> Packet,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            for (d, a) in target.cells.iter().zip(a.cells) {
                d.set(f(a.get()));
            }
        },
    );
}

/// `target = f(a, b)`, at least one operand of the target's class.
#[inline(always)]
pub(super) fn map2<S: Simd>(
    simd: S,
    target: Target<'_>,
    a: Operand<'_>,
    b: Operand<'_>,
    f: impl Fn(Packet, Packet) -> Packet,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            if a.walk == Walk::Each && b.walk == Walk::Each {
                each2(target.cells, a.cells, b.cells, f);
                return;
            }
            let (count, columns) = rows(target, &[a, b]);
            for row in 0..count {
                let d = &target.cells[row * columns..][..columns];
                let (x, y) = (a.row(row, columns), b.row(row, columns));
                match (a.walk, b.walk) {
                    (Walk::Each, _) => {
                        let y = y[0].get();
                        each1(
                            d,
                            x,
                            #[inline(always)]
                            |x| f(x, y),
                        );
                    }
                    _ => {
                        let x = x[0].get();
                        each1(
                            d,
                            y,
                            #[inline(always)]
                            |y| f(x, y),
                        );
                    }
                }
            }
        },
    );
}

/// As [`map2`] for operations of many instructions: one loop for all operands, not three.
#[inline(always)]
pub(super) fn map2_long<S: Simd>(
    simd: S,
    target: Target<'_>,
    a: Operand<'_>,
    b: Operand<'_>,
    f: impl Fn(Packet, Packet) -> Packet,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let (count, columns) = rows(target, &[a, b]);
            for row in 0..count {
                let d = &target.cells[row * columns..][..columns];
                let (x, y) = (a.row(row, columns), b.row(row, columns));
                for (i, d) in d.iter().enumerate() {
                    d.set(f(x[i.min(x.len() - 1)].get(), y[i.min(y.len() - 1)].get()));
                }
            }
        },
    );
}

/// `target = f(a, b, c)`, at least one operand of the target's class.
#[inline(always)]
pub(super) fn map3<S: Simd>(
    simd: S,
    target: Target<'_>,
    [a, b, c]: [Operand<'_>; 3],
    f: impl Fn(Packet, Packet, Packet) -> Packet,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let (count, columns) = rows(target, &[a, b, c]);
            for row in 0..count {
                let d = &target.cells[row * columns..][..columns];
                let x = a.row(row, columns);
                let y = b.row(row, columns);
                let z = c.row(row, columns);
                if x.len() == columns && y.len() == columns && z.len() == columns {
                    for (((d, x), y), z) in d.iter().zip(x).zip(y).zip(z) {
                        d.set(f(x.get(), y.get(), z.get()));
                    }
                } else {
                    for (i, d) in d.iter().enumerate() {
                        let [x, y, z] = [x, y, z].map(|o| o[i.min(o.len() - 1)].get());
                        d.set(f(x, y, z));
                    }
                }
            }
        },
    );
}

/// `target = a`, which may be of a narrower class.
pub(super) fn copy(target: Target<'_>, a: Operand<'_>) {
    let (count, columns) = rows(target, &[a]);
    for row in 0..count {
        let d = &target.cells[row * columns..][..columns];
        let a = a.row(row, columns);
        for (i, d) in d.iter().enumerate() {
            d.set(a[i.min(a.len() - 1)].get());
        }
    }
}
