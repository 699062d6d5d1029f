//! The gradients of queries, keys and values.

use retrograde_storage::{Packet, View};

use super::careful;
use super::element::Element;
use super::matrix::Matrix;
use super::multiply::Multiply;
use super::seen::Seen;
use super::softmax::{self, Rows};
use super::spec::{Layout, Matrices, Spec, Tile};
use crate::Level;
use crate::product::Strides;

/// A planned gradient of an attention; see [`Forward`](super::Forward).
#[derive(Debug)]
pub struct Backward<T: Element> {
    level: Level,
    layout: Layout,
    g: Matrices,
    out: [Matrices; 3],
    /// By tile of queries.
    products: Vec<Products<T>>,
}

/// The products of a tile. With `P` the weights, `G` the result's gradient, `D` that of the products of queries and keys.
#[derive(Debug)]
struct Products<T: Element> {
    /// `Q K^T`
    scores: Multiply<T>,
    /// `G V^T`
    weights: Multiply<T>,
    /// `D K`
    q: Multiply<T>,
    /// `D^T Q`
    k: Multiply<T>,
    /// `P^T G`
    v: Multiply<T>,
}

impl<T: Element> Products<T> {
    fn scratch_packets(&self) -> usize {
        let all = [&self.scores, &self.weights, &self.q, &self.k, &self.v];
        let each = all.into_iter().map(Multiply::scratch_packets);
        each.max().unwrap_or(0)
    }
}

/// Where the buffers of one run start.
#[derive(Clone, Copy, Debug)]
pub struct BackwardPointers<T> {
    /// Of the queries.
    pub q: *const T,
    /// Of the keys.
    pub k: *const T,
    /// Of the values.
    pub v: *const T,
    /// Of the mask; anything without one.
    pub mask: *const u8,
    /// Of the result's gradient.
    pub g: *const T,
    /// Of the gradients of queries, keys and values, one buffer for all.
    pub out: *mut T,
}

/// The matrices of one batch index.
struct Item<T> {
    q: Matrix<T>,
    k: Matrix<T>,
    v: Matrix<T>,
    g: Matrix<T>,
    out: [Matrix<T>; 3],
}

impl<T: Element> Backward<T> {
    /// Plans the gradients for that of the result, `g` `[.., queries, dv]`. Those of queries, keys and values, of the
    /// operands' shapes, go to three views of one buffer, where elements of a row are neighbours.
    pub fn new(level: Level, spec: &Spec, g: &View, out: &[View; 3]) -> Self {
        let layout = Layout::new::<T>(spec);
        let (g, out) = (Matrices::of(g), out.each_ref().map(Matrices::of));
        let scores = Strides::row_major(layout.score_stride::<T>());
        let of = |x: &Matrices| Strides {
            row: x.row,
            column: x.column,
        };
        let [q, k, v] = [of(&layout.q), of(&layout.k), of(&layout.v)];
        let (d, dv) = (layout.q.columns, layout.v.columns);
        let products = (0..layout.tiles()).map(|i| {
            let tile = layout.tile(i);
            let (m, n) = (tile.queries.len(), tile.keys);
            let by_key = scores.transposed();
            let new = |extents, strides| Multiply::new(level, extents, strides);
            Products {
                scores: new([m, n, d], [q, k.transposed(), scores]),
                weights: new([m, n, dv], [of(&g), v.transposed(), scores]),
                q: new([m, d, n], [scores, k, of(&out[0])]),
                k: new([n, d, m], [by_key, q, of(&out[1])]),
                v: new([n, dv, m], [by_key, of(&g), of(&out[2])]),
            }
        });
        Self {
            level,
            products: products.collect(),
            layout,
            g,
            out,
        }
    }

    /// Blocks to be run: a batch index each, since every query adds to the gradients of the keys it sees.
    pub fn blocks(&self) -> usize {
        self.layout.q.count()
    }

    /// Packets of scratch that a thread running a block needs.
    pub fn scratch_packets(&self) -> usize {
        let most = self.products.iter().map(Products::scratch_packets).max();
        2 * self.layout.score_packets::<T>() + most.unwrap_or(0)
    }

    /// Runs one block.
    ///
    /// # Safety
    /// As [`Forward::run_block`](super::Forward::run_block).
    ///
    /// # Panics
    /// If `scratch` is shorter than [`scratch_packets`](Self::scratch_packets).
    pub unsafe fn run_block(&self, block: usize, at: &BackwardPointers<T>, scratch: &mut [Packet]) {
        let layout = &self.layout;
        let item = Item {
            q: layout.q.get(at.q, block),
            k: layout.k.get(at.k, block),
            v: layout.v.get(at.v, block),
            g: self.g.get(at.g, block),
            out: self.out.each_ref().map(|x| x.get(at.out, block)),
        };
        // SAFETY: the caller's promise, for the elements of this batch index.
        unsafe {
            let mut careful = false;
            if layout.is_masked() {
                let operands = [&item.q, &item.k, &item.v, &item.g];
                careful = !operands.into_iter().all(|x| careful::finite(self.level, x));
            }
            // The last tile sees every key that any sees: it writes what the others add to.
            let tiles = layout.tiles();
            for i in (0..tiles).rev() {
                let tile = layout.tile(i);
                let seen = Seen::new(layout, at.mask, block, &tile);
                self.run_tile(i, &tile, &item, &seen, scratch, careful, i + 1 < tiles);
            }
            let unseen = layout.tile(tiles - 1).keys..layout.k.rows;
            for out in &item.out[1..] {
                let out = out.slice(unseen.clone());
                for r in 0..out.rows {
                    (0..out.columns).for_each(|c| out.set(r, c, T::default()));
                }
            }
        }
    }

    /// One tile of queries. `accumulate` says whether gradients of keys and values are there already.
    ///
    /// # Safety
    /// As [`run_block`](Self::run_block).
    #[expect(
        clippy::too_many_arguments,
        reason = "what a tile is computed from, once"
    )]
    unsafe fn run_tile(
        &self,
        i: usize,
        tile: &Tile,
        item: &Item<T>,
        seen: &Seen<T>,
        scratch: &mut [Packet],
        careful: bool,
        accumulate: bool,
    ) {
        let (layout, products) = (&self.layout, &self.products[i]);
        let packets = layout.score_packets::<T>();
        let (p, scratch) = scratch.split_at_mut(packets);
        let (d, scratch) = scratch.split_at_mut(packets);
        let p: &mut [T] = bytemuck::cast_slice_mut(p);
        let d: &mut [T] = bytemuck::cast_slice_mut(d);
        let rows = Rows {
            count: tile.queries.len(),
            keys: tile.keys,
            stride: layout.score_stride::<T>(),
        };
        let matrix = |buffer: &mut [T]| Matrix::of(buffer, rows.count, rows.keys, rows.stride);
        let (q, g) = (
            item.q.slice(tile.queries.clone()),
            item.g.slice(tile.queries.clone()),
        );
        let (k, v) = (item.k.slice(0..tile.keys), item.v.slice(0..tile.keys));
        let dq = item.out[0].slice(tile.queries.clone());
        let (dk, dv) = (
            item.out[1].slice(0..tile.keys),
            item.out[2].slice(0..tile.keys),
        );
        // SAFETY: the caller's promise for operands and gradients; weights and their gradient are this thread's scratch,
        // handed to products as matrices and to the rows' functions as slices in turn. Extents and strides are those of
        // the plans. Gradients to be added to were written by the last tile, whose keys include all of these.
        unsafe {
            let s = matrix(p);
            products.scores.run(&s, &q, &k.transposed(), scratch, false);
            softmax::weights(self.level, p, rows, layout.scale, seen);
            let s = matrix(d);
            let v_t = v.transposed();
            products.weights.run(&s, &g, &v_t, scratch, false);
            softmax::score_gradients(self.level, p, d, rows, layout.scale, seen);
            let (p, d) = (matrix(p), matrix(d));
            let (p_t, d_t) = (p.transposed(), d.transposed());
            if careful {
                careful::product(&dq, &d, &k, false, |r, c| seen.sees(r, c));
                careful::product(&dk, &d_t, &q, accumulate, |c, r| seen.sees(r, c));
                careful::product(&dv, &p_t, &g, accumulate, |c, r| seen.sees(r, c));
            } else {
                products.q.run(&dq, &d, &k, scratch, false);
                products.k.run(&dk, &d_t, &q, scratch, accumulate);
                products.v.run(&dv, &p_t, &g, scratch, accumulate);
            }
        }
    }
}
