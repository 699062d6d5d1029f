//! The attention's result.

use retrograde_storage::{Packet, View};

use super::careful;
use super::element::Element;
use super::matrix::Matrix;
use super::multiply::Multiply;
use super::seen::Seen;
use super::softmax::{self, Rows};
use super::spec::{Layout, Matrices, Spec};
use crate::Level;
use crate::product::Strides;

/// A planned attention. Immutable and free of pointers: any number of threads may run it at once, every block once, in
/// any order.
#[derive(Debug)]
pub struct Forward<T: Element> {
    level: Level,
    layout: Layout,
    out: Matrices,
    /// By tile of queries.
    products: Vec<Products<T>>,
}

/// The products of a tile: `Q K^T` and `P V`.
#[derive(Debug)]
struct Products<T: Element> {
    scores: Multiply<T>,
    result: Multiply<T>,
}

/// Where the buffers of one run start.
#[derive(Clone, Copy, Debug)]
pub struct ForwardPointers<T> {
    /// Of the queries.
    pub q: *const T,
    /// Of the keys.
    pub k: *const T,
    /// Of the values.
    pub v: *const T,
    /// Of the mask; anything without one.
    pub mask: *const u8,
    /// Of the result.
    pub out: *mut T,
}

impl<T: Element> Forward<T> {
    /// Plans an attention whose result `[.., queries, dv]` goes to `out`, where elements of a row are neighbours.
    pub fn new(level: Level, spec: &Spec, out: &View) -> Self {
        let layout = Layout::new::<T>(spec);
        let out = Matrices::of(out);
        let stride = layout.score_stride::<T>();
        let products = (0..layout.tiles()).map(|i| {
            let tile = layout.tile(i);
            let (m, n) = (tile.queries.len(), tile.keys);
            let scores = Strides::row_major(stride);
            let of = |x: &Matrices| Strides {
                row: x.row,
                column: x.column,
            };
            Products {
                scores: Multiply::new(
                    level,
                    [m, n, layout.q.columns],
                    [of(&layout.q), of(&layout.k).transposed(), scores],
                ),
                result: Multiply::new(
                    level,
                    [m, layout.v.columns, n],
                    [scores, of(&layout.v), of(&out)],
                ),
            }
        });
        Self {
            level,
            products: products.collect(),
            layout,
            out,
        }
    }

    /// Blocks to be run: a tile of queries each.
    pub fn blocks(&self) -> usize {
        self.layout.q.count() * self.layout.tiles()
    }

    /// Packets of scratch that a thread running a block needs.
    pub fn scratch_packets(&self) -> usize {
        let each = self.products.iter();
        let most = each.map(|p| p.scores.scratch_packets().max(p.result.scratch_packets()));
        self.layout.score_packets::<T>() + most.max().unwrap_or(0)
    }

    /// Runs one block.
    ///
    /// # Safety
    /// `block < self.blocks()`. The operands' elements (by the views) are readable and written by nobody meanwhile; the
    /// result's are writable, each addressed once, apart from all operands, and those of the block accessed by nobody
    /// else.
    ///
    /// # Panics
    /// If `scratch` is shorter than [`scratch_packets`](Self::scratch_packets).
    pub unsafe fn run_block(&self, block: usize, at: &ForwardPointers<T>, scratch: &mut [Packet]) {
        let (item, i) = (block / self.layout.tiles(), block % self.layout.tiles());
        let (layout, products, tile) = (&self.layout, &self.products[i], self.layout.tile(i));
        let (buffer, scratch) = scratch.split_at_mut(layout.score_packets::<T>());
        let buffer: &mut [T] = bytemuck::cast_slice_mut(buffer);
        let rows = Rows {
            count: tile.queries.len(),
            keys: tile.keys,
            stride: layout.score_stride::<T>(),
        };
        let q = layout.q.get(at.q, item).slice(tile.queries.clone());
        let k = layout.k.get(at.k, item).slice(0..tile.keys);
        let v = layout.v.get(at.v, item).slice(0..tile.keys);
        let out = self.out.get(at.out, item).slice(tile.queries.clone());
        let seen = Seen::new(layout, at.mask, item, &tile);
        let scores = |buffer: &mut [T]| Matrix::of(buffer, rows.count, rows.keys, rows.stride);
        // SAFETY: the caller's promise for operands and result; the scores are this thread's scratch, handed to a
        // product as a matrix and to the softmax as a slice in turn. Extents and strides are those of the plans.
        unsafe {
            let s = scores(buffer);
            products.scores.run(&s, &q, &k.transposed(), scratch, false);
            softmax::weights(self.level, buffer, rows, layout.scale, &seen);
            let p = scores(buffer);
            if layout.is_masked() && !careful::finite(self.level, &v) {
                careful::product(&out, &p, &v, false, |r, c| seen.sees(r, c));
            } else {
                products.result.run(&out, &p, &v, scratch, false);
            }
        }
    }
}
