//! Reductions in their canonical order: chunk by chunk over four accumulators of lanes, then trees.

use std::cell::Cell;

use fearless_simd::prelude::*;
use retrograde_storage::Packet;

use super::geometry::ACCUMULATORS;
use super::lanes::{Combine, InPacket, Number, Wide};
use super::memory::{Flat, Tile};
use super::order::Chunks;
use super::{Class, Elem, Geometry, Group, Over, Reduction};
use crate::Reduce;
use crate::thresholds::CHUNK;

/// `a + b`
struct Sum;
/// `a * b`
struct Prod;
/// The larger.
struct Max;
/// The smaller.
struct Min;

macro_rules! combine {
    ($($kind:ident: $identity:ident, |$a:ident, $b:ident| $f:expr;)*) => {$(
        impl Combine for $kind {
            #[inline(always)]
            fn identity<S: Simd, V: Number<S>>() -> V::Element {
                V::$identity
            }
            #[inline(always)]
            fn apply<S: Simd, V: Number<S>>($a: V, $b: V) -> V {
                $f
            }
        }
    )*};
}
combine! {
    Sum: ZERO, |a, b| a + b;
    Prod: ONE, |a, b| a * b;
    Max: LOWEST, |a, b| a.larger(b);
    Min: HIGHEST, |a, b| a.smaller(b);
}

/// Calls `$f::<S, W, V, C>` with the vector type `V` of `$elem` and the operation `C` of `$kind`.
macro_rules! at_kind {
    ($elem:expr, $kind:expr, $f:ident::<$s:ty, $w:ty>($($arg:expr),*)) => {
        match ($elem, $kind) {
            (Elem::Int, Reduce::Sum) => $f::<$s, $w, <$w>::Int<$s>, Sum>($($arg),*),
            (Elem::Int, Reduce::Prod) => $f::<$s, $w, <$w>::Int<$s>, Prod>($($arg),*),
            (Elem::Int, Reduce::Max) => $f::<$s, $w, <$w>::Int<$s>, Max>($($arg),*),
            (Elem::Int, Reduce::Min) => $f::<$s, $w, <$w>::Int<$s>, Min>($($arg),*),
            (_, Reduce::Sum) => $f::<$s, $w, <$w>::Float<$s>, Sum>($($arg),*),
            (_, Reduce::Prod) => $f::<$s, $w, <$w>::Float<$s>, Prod>($($arg),*),
            (_, Reduce::Max) => $f::<$s, $w, <$w>::Float<$s>, Max>($($arg),*),
            (_, Reduce::Min) => $f::<$s, $w, <$w>::Float<$s>, Min>($($arg),*),
        }
    };
}

/// Four accumulators at their identity.
#[inline(always)]
fn begin<S: Simd, V: Number<S>, C: Combine>(simd: S) -> [V; ACCUMULATORS] {
    [V::splat(simd, C::identity::<S, V>()); ACCUMULATORS]
}

/// The accumulators combined.
#[inline(always)]
fn join<S: Simd, V: Number<S>, C: Combine>([a, b, c, d]: [V; ACCUMULATORS]) -> V {
    C::apply(C::apply(a, b), C::apply(c, d))
}

/// Adds packets to accumulators, the first packet to accumulator 0. The last packet has `tail` valid lanes, all of them
/// if `None`.
#[inline(always)]
fn accumulate<S: Simd, V: Number<S> + InPacket<S>, C: Combine>(
    simd: S,
    accumulators: &mut [V; ACCUMULATORS],
    cells: &[Cell<Packet>],
    tail: Option<usize>,
) {
    let (whole, last) = match tail {
        Some(_) => cells.split_at(cells.len() - 1),
        None => (cells, &cells[..0]),
    };
    let [mut a, mut b, mut c, mut d] = *accumulators;
    let mut quads = whole.chunks_exact(ACCUMULATORS);
    for quad in &mut quads {
        a = C::apply(a, V::load(simd, quad[0].get()));
        b = C::apply(b, V::load(simd, quad[1].get()));
        c = C::apply(c, V::load(simd, quad[2].get()));
        d = C::apply(d, V::load(simd, quad[3].get()));
    }
    *accumulators = [a, b, c, d];
    let rest = quads.remainder();
    for (accumulator, cell) in accumulators.iter_mut().zip(rest) {
        *accumulator = C::apply(*accumulator, V::load(simd, cell.get()));
    }
    if let (Some(valid), [cell]) = (tail, last) {
        let accumulator = &mut accumulators[rest.len()];
        let identity = V::splat(simd, C::identity::<S, V>());
        let mask = V::Mask::from_bitmask(simd, (1 << valid) - 1);
        let lanes = mask.select(V::load(simd, cell.get()), identity);
        *accumulator = C::apply(*accumulator, lanes);
    }
}

/// A pairwise tree over values that come one by one, split at the largest power of two: a binary counter of subtrees.
///
/// Made once and used for many sums: filling its levels takes as long as adding some hundred packets.
struct Tree<V> {
    count: usize,
    levels: [V; usize::BITS as usize],
}

impl<V: Copy> Tree<V> {
    #[inline(always)]
    fn new(filler: V) -> Self {
        Self {
            count: 0,
            levels: [filler; usize::BITS as usize],
        }
    }

    /// As new. What the levels hold is not read: no bit of the count says that it is there.
    #[inline(always)]
    fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds the next value.
    #[inline(always)]
    fn push(&mut self, value: V, combine: impl Fn(V, V) -> V) {
        let mut value = value;
        let mut level = 0;
        while self.count >> level & 1 == 1 {
            value = combine(self.levels[level], value);
            level += 1;
        }
        self.levels[level] = value;
        self.count += 1;
    }

    /// All values combined, `None` if there were none.
    #[inline(always)]
    fn finish(&self, combine: impl Fn(V, V) -> V) -> Option<V> {
        let mut result = None;
        let mut left = self.count;
        while left != 0 {
            let subtree = self.levels[left.trailing_zeros() as usize];
            result = Some(result.map_or(subtree, |right| combine(subtree, right)));
            left &= left - 1;
        }
        result
    }
}

/// `target` (a column) = each of `tile`'s rows in `source` reduced; the tile spans rows of `inner` elements.
pub(super) fn rows<S: Simd, W: Wide>(
    simd: S,
    elem: Elem,
    kind: Reduce,
    target: &[Cell<Packet>],
    source: &[Cell<Packet>],
    inner: usize,
) {
    at_kind!(elem, kind, rows_of::<S, W>(simd, target, source, inner));
}

#[inline(never)]
fn rows_of<S: Simd, W: Wide, V: Number<S> + InPacket<S>, C: Combine>(
    simd: S,
    target: &[Cell<Packet>],
    source: &[Cell<Packet>],
    inner: usize,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let packets = inner.div_ceil(V::LEN);
            let tail = (!inner.is_multiple_of(V::LEN)).then_some(inner % V::LEN);
            for (row, target) in target.iter().enumerate() {
                let cells = &source[row * packets..][..packets];
                let reduced = if packets * V::LEN <= CHUNK {
                    let mut accumulators = begin::<S, V, C>(simd);
                    accumulate::<S, V, C>(simd, &mut accumulators, cells, tail);
                    join::<S, V, C>(accumulators).fold::<C>()
                } else {
                    let mut tree = Tree::new(V::splat(simd, C::identity::<S, V>()));
                    let mut pieces = cells.chunks(CHUNK / V::LEN).peekable();
                    while let Some(piece) = pieces.next() {
                        let mut accumulators = begin::<S, V, C>(simd);
                        let tail = tail.filter(|_| pieces.peek().is_none());
                        accumulate::<S, V, C>(simd, &mut accumulators, piece, tail);
                        tree.push(join::<S, V, C>(accumulators).fold::<C>(), C::apply);
                    }
                    tree.finish(C::apply)
                        .unwrap_or(V::splat(simd, C::identity::<S, V>()))
                };
                target.set(reduced.packet());
            }
        },
    );
}

/// One reduction as a block sees it.
#[derive(Clone, Copy)]
pub(super) struct Reducing<'r> {
    pub reduction: Reduction,
    pub chunks: Chunks,
    /// Elements of a row that the reduction sees.
    pub inner: usize,
    /// Where partial results go.
    pub partial: Flat<'r>,
    /// Four packets that live through the block.
    pub accumulators: &'r [Cell<Packet>],
}

impl<'r> Reducing<'r> {
    pub(super) fn new(
        group: &Group,
        geometry: &Geometry,
        r: usize,
        partial: Flat<'r>,
        accumulators: &'r [Cell<Packet>],
    ) -> Self {
        let reduction = group.reductions[r];
        Self {
            reduction,
            chunks: geometry.partials[r].0,
            inner: group.reduced_inner(reduction.class),
            partial,
            accumulators,
        }
    }

    /// Reduces what a tile has in `source`.
    pub(super) fn tile<S: Simd, W: Wide>(&self, simd: S, tile: Tile, source: &[Cell<Packet>]) {
        // A column is a row of one packet.
        let tile = match self.reduction.class {
            Class::Full => tile,
            Class::Column | Class::Scalar => Tile {
                packet: 0,
                packets: 1,
                ..tile
            },
        };
        let Reduction { elem, kind, .. } = self.reduction;
        if self.reduction.over == Over::All {
            at_kind!(elem, kind, all_of::<S, W>(simd, self, tile, source));
        } else {
            at_kind!(elem, kind, outer_of::<S, W>(simd, self, tile, source));
        }
    }
}

/// Everything to one value: a chunk's packets, row after row, go round the accumulators.
#[inline(never)]
fn all_of<S: Simd, W: Wide, V: Number<S> + InPacket<S>, C: Combine>(
    simd: S,
    to: &Reducing<'_>,
    tile: Tile,
    source: &[Cell<Packet>],
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let row_packets = to.inner.div_ceil(V::LEN);
            let cut = to.chunks.pieces > 1;
            // Of a packet of a row: the piece of the row that it is in, and its place there. No division by a number
            // that the compiler does not know: a tile is short.
            let piece = const { CHUNK / V::LEN };
            let in_piece = |at: usize| {
                if cut {
                    (at / piece, at % piece)
                } else {
                    (0, at)
                }
            };
            let shift = to.chunks.rows.trailing_zeros();
            for row in tile.row..tile.row + tile.rows {
                let cells = &source[(row - tile.row) * tile.packets..][..tile.packets];
                let row_in_chunk = row & (to.chunks.rows - 1);
                let chunk_ends = row_in_chunk + 1 == to.chunks.rows || row + 1 == to.chunks.span;
                let mut at = tile.packet;
                let end = tile.packet + tile.packets;
                while at < end {
                    let (number, within) = in_piece(at);
                    let next = if cut {
                        (number + 1) * piece
                    } else {
                        row_packets
                    };
                    let (from, until) = (at, next.min(end));
                    at = until;
                    let cells = &cells[from - tile.packet..until - tile.packet];
                    // The packet's place in its chunk decides its accumulator.
                    let place = row_in_chunk * row_packets + within;
                    let mut accumulators = if place == 0 {
                        begin::<S, V, C>(simd)
                    } else {
                        std::array::from_fn(|i| {
                            let i = (place + i) % ACCUMULATORS;
                            V::load(simd, to.accumulators[i].get())
                        })
                    };
                    let last = until == row_packets;
                    let tail = (last && to.inner > 1 && !to.inner.is_multiple_of(V::LEN))
                        .then_some(to.inner % V::LEN);
                    accumulate::<S, V, C>(simd, &mut accumulators, cells, tail);
                    for (i, accumulator) in accumulators.iter().enumerate() {
                        to.accumulators[(place + i) % ACCUMULATORS].set(accumulator.packet());
                    }
                    if (last && chunk_ends) || (cut && (last || until == next)) {
                        let accumulators =
                            std::array::from_fn(|i| V::load(simd, to.accumulators[i].get()));
                        let joined = join::<S, V, C>(accumulators);
                        // Rows of one element stand in lane 0 alone.
                        let value = if to.inner > 1 {
                            joined.fold::<C>()
                        } else {
                            joined
                        };
                        let chunk = (row >> shift) * to.chunks.pieces + number;
                        to.partial.set_lanes::<W::Bits>(chunk, 1, value.packet());
                    }
                }
            }
        },
    );
}

/// Rows to one row a chunk: packet by packet, rows in order.
#[inline(never)]
fn outer_of<S: Simd, W: Wide, V: Number<S> + InPacket<S>, C: Combine>(
    simd: S,
    to: &Reducing<'_>,
    tile: Tile,
    source: &[Cell<Packet>],
) {
    simd.vectorize(
        #[inline(always)]
        || {
            // A power of two.
            let Chunks { rows, span, .. } = to.chunks;
            let shift = rows.trailing_zeros();
            let row_packets = to.inner.div_ceil(V::LEN);
            let mut row = tile.row;
            let end = tile.row + tile.rows;
            while row < end {
                let (spans, in_span) = if row < span {
                    (0, row)
                } else {
                    (row / span, row % span)
                };
                let chunk = spans * ((span + rows - 1) >> shift) + (in_span >> shift);
                let in_chunk = in_span & (rows - 1);
                let begins = in_chunk == 0;
                let until = (row + rows - in_chunk).min(row + span - in_span).min(end);
                let cells =
                    &source[(row - tile.row) * tile.packets..(until - tile.row) * tile.packets];
                for packet in 0..tile.packets {
                    let at = chunk * row_packets + tile.packet + packet;
                    let mut accumulator = if begins {
                        V::splat(simd, C::identity::<S, V>())
                    } else {
                        V::load(simd, to.partial.packet(at))
                    };
                    for cell in cells[packet..].iter().step_by(tile.packets) {
                        accumulator = C::apply(accumulator, V::load(simd, cell.get()));
                    }
                    to.partial.set_packet(at, accumulator.packet());
                }
                row = until;
            }
        },
    );
}

/// Combines partial results into the result.
pub(super) fn finish<S: Simd, W: Wide>(
    simd: S,
    group: &Group,
    r: usize,
    chunks: Chunks,
    partial: Flat<'_>,
    out: Flat<'_>,
) {
    let Reduction { elem, kind, .. } = group.reductions[r];
    at_kind!(
        elem,
        kind,
        finish_of::<S, W>(simd, group, r, chunks, partial, out)
    );
}

#[inline(never)]
fn finish_of<S: Simd, W: Wide, V: Number<S> + InPacket<S>, C: Combine>(
    simd: S,
    group: &Group,
    r: usize,
    chunks: Chunks,
    partial: Flat<'_>,
    out: Flat<'_>,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let reduction = group.reductions[r];
            let identity = V::splat(simd, C::identity::<S, V>());
            if reduction.over == Over::All && chunks.count == 1 {
                // Small sums are many, and a tree of one value is that value.
                out.set_lanes::<W::Bits>(0, 1, V::load(simd, partial.lane::<W::Bits>(0)).packet());
                return;
            }
            let mut tree = Tree::new(identity);
            if reduction.over == Over::All {
                for chunk in 0..chunks.count {
                    let value = V::load(simd, partial.lane::<W::Bits>(chunk));
                    tree.push(value, C::apply);
                }
                let value = tree.finish(C::apply).unwrap_or(identity);
                out.set_lanes::<W::Bits>(0, 1, value.packet());
                return;
            }
            let inner = group.reduced_inner(reduction.class);
            let row_packets = inner.div_ceil(V::LEN);
            let spans = group.result_len(r).checked_div(inner).unwrap_or(0);
            let per_span = chunks.span.div_ceil(chunks.rows);
            for span in 0..spans {
                for packet in 0..row_packets {
                    tree.clear();
                    for chunk in span * per_span..(span + 1) * per_span {
                        let value = V::load(simd, partial.packet(chunk * row_packets + packet));
                        tree.push(value, C::apply);
                    }
                    let value = tree.finish(C::apply).unwrap_or(identity);
                    let first = packet * V::LEN;
                    let count = V::LEN.min(inner - first);
                    out.set_lanes::<W::Bits>(span * inner + first, count, value.packet());
                }
            }
        },
    );
}
