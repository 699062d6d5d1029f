//! Patches of one tile: packed from an image, or added back to one.
//!
//! Both go channel by channel through a buffer that holds the part of the padded image under the tile, laid out so that
//! the patch of a tap is made of whole vectors, whatever stride, dilation and padding are.

use std::ops::Range;

use fearless_simd::{Select, Simd, SimdBase};

use super::geometry::{Columns, Rows, Tile};
use crate::at_level;
use crate::product::{Float, Isa};

/// Where patches come from and how they are laid out: tap `(i, j)` of channel `c` at output `e` of the tile stands at
/// `(c * taps + i * kernel[1] + j) * pitch + e`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) kernel: [usize; 2],
    pub(super) stride: [usize; 2],
    pub(super) padding: [usize; 2],
    /// Extents of the image.
    pub(super) extent: [usize; 2],
    pub(super) rows: Rows,
    pub(super) columns: Columns,
    /// From one tap to the next: at least a vector more than a tile has outputs.
    pub(super) pitch: usize,
}

impl Layout {
    /// Elements of the buffer, for tiles of that many rows.
    pub(super) fn buffer(&self, rows: usize) -> usize {
        self.rows.count(rows) * self.columns.lines * self.columns.length
    }

    /// Calls `f(tap, first element in the buffer, row of the tile)` for every tap and row, in order.
    #[inline(always)]
    fn taps(&self, tile: &Tile, mut f: impl FnMut(usize, usize, usize)) {
        let Columns { lines, length, .. } = self.columns;
        for i in 0..self.kernel[0] {
            for j in 0..self.kernel[1] {
                let (line, shift) = self.columns.tap(j);
                for row in 0..tile.rows.len() {
                    let at = (self.rows.slot(row, i) * lines + line) * length + shift;
                    f(i * self.kernel[1] + j, at, row);
                }
            }
        }
    }

    /// Calls `f(first element in the buffer, elements of the line that are in the image, place of the first of them in
    /// the plane)` for every line of the buffer.
    #[inline(always)]
    fn lines(&self, tile: &Tile, mut f: impl FnMut(usize, Range<usize>, usize)) {
        let Columns { lines, length, .. } = self.columns;
        let (stride, [top, left], [height, width]) = (self.stride, self.padding, self.extent);
        for line in 0..lines {
            // Columns `column + q * stride` of the padded image; those from `left` to `left + width` are the image's.
            let column = tile.columns.start * stride[1] + self.columns.origin(line);
            let until = |end: usize| {
                let room = end.saturating_sub(column).div_ceil(stride[1]);
                room.min(length)
            };
            let inside = until(left)..until(left + width);
            for slot in 0..self.rows.count(tile.rows.len()) {
                let at = (slot * lines + line) * length;
                let row = tile.rows.start * stride[0] + self.rows.origin(slot);
                if inside.is_empty() || row < top || row >= top + height {
                    f(at, 0..0, 0);
                } else {
                    let first = column + inside.start * stride[1] - left;
                    f(at, inside.clone(), (row - top) * width + first);
                }
            }
        }
    }

    /// Writes the patches of a tile, of planes that follow one another, by way of a buffer of
    /// [`buffer`](Self::buffer) elements.
    pub(super) fn pack<T: Float>(
        &self,
        isa: Isa,
        tile: &Tile,
        planes: &[T],
        buffer: &mut [T],
        to: &mut [T],
    ) {
        at_level!(isa, simd => simd.vectorize(
            #[inline(always)]
            || self.pack_at(simd, tile, planes, buffer, to)
        ));
    }

    #[inline(always)]
    fn pack_at<S: Simd, T: Float>(
        &self,
        simd: S,
        tile: &Tile,
        planes: &[T],
        buffer: &mut [T],
        to: &mut [T],
    ) {
        let (size, taps) = self.sizes();
        let width = tile.columns.len();
        let whole = width.next_multiple_of(T::LANES);
        for (plane, to) in planes.chunks_exact(size).zip(to.chunks_exact_mut(taps)) {
            self.lines(
                tile,
                #[inline(always)]
                |at, inside, first| {
                    let line = &mut buffer[at..at + self.columns.length];
                    line[..inside.start].fill(T::default());
                    line[inside.end..].fill(T::default());
                    let line = &mut line[inside];
                    if self.stride[1] == 1 {
                        line.copy_from_slice(&plane[first..first + line.len()]);
                    } else if !line.is_empty() {
                        let plane = plane[first..].iter().step_by(self.stride[1]);
                        line.iter_mut()
                            .zip(plane)
                            .for_each(|(to, &from)| *to = from);
                    }
                },
            );
            self.taps(
                tile,
                #[inline(always)]
                |tap, at, row| {
                    // The last vector runs over into the next row's place, which is written after it.
                    let from = buffer[at..at + whole].chunks_exact(T::LANES);
                    let to = &mut to[tap * self.pitch + row * width..][..whole];
                    for (to, from) in to.chunks_exact_mut(T::LANES).zip(from) {
                        T::Vector::<S>::from_slice(simd, from).store_slice(to);
                    }
                },
            );
        }
    }

    /// Adds the patches of a tile to the planes they are patches of: the adjoint of [`pack`](Self::pack). Of an element
    /// that several taps see, these are added in the order of the taps first.
    pub(super) fn add<T: Float>(
        &self,
        isa: Isa,
        tile: &Tile,
        planes: &mut [T],
        buffer: &mut [T],
        from: &[T],
    ) {
        at_level!(isa, simd => simd.vectorize(
            #[inline(always)]
            || self.add_at(simd, tile, planes, buffer, from)
        ));
    }

    #[inline(always)]
    fn add_at<S: Simd, T: Float>(
        &self,
        simd: S,
        tile: &Tile,
        planes: &mut [T],
        buffer: &mut [T],
        from: &[T],
    ) {
        let (size, taps) = self.sizes();
        let width = tile.columns.len();
        let whole = width.next_multiple_of(T::LANES);
        let zero = T::Vector::<S>::splat(simd, T::default());
        // Lanes of the last vector that belong to the row.
        let mut numbers = [T::default(); 16];
        for (i, number) in numbers.iter_mut().enumerate() {
            *number = T::from_f64(i as f64);
        }
        let numbers = T::Vector::<S>::from_slice(simd, &numbers[..T::LANES]);
        let last = T::from_f64((width + T::LANES - whole) as f64);
        let inside = numbers.simd_lt(T::Vector::<S>::splat(simd, last));
        let used = self.buffer(tile.rows.len());
        let buffer = &mut buffer[..used];
        for (plane, from) in planes.chunks_exact_mut(size).zip(from.chunks_exact(taps)) {
            buffer.fill(T::default());
            self.taps(
                tile,
                #[inline(always)]
                |tap, at, row| {
                    let from =
                        from[tap * self.pitch + row * width..][..whole].chunks_exact(T::LANES);
                    let to = buffer[at..at + whole].chunks_exact_mut(T::LANES);
                    let count = whole / T::LANES;
                    for (i, (to, from)) in to.zip(from).enumerate() {
                        let sum = T::Vector::<S>::from_slice(simd, to);
                        let mut term = T::Vector::<S>::from_slice(simd, from);
                        if i + 1 == count {
                            // Beyond are elements of the next row: they are not added here.
                            term = inside.select(term, zero);
                        }
                        (sum + term).store_slice(to);
                    }
                },
            );
            self.lines(
                tile,
                #[inline(always)]
                |at, inside, first| {
                    let line = &buffer[at..at + self.columns.length][inside];
                    if self.stride[1] == 1 {
                        let plane = &mut plane[first..first + line.len()];
                        plane
                            .iter_mut()
                            .zip(line)
                            .for_each(|(to, &from)| *to = *to + from);
                    } else if !line.is_empty() {
                        let plane = plane[first..].iter_mut().step_by(self.stride[1]);
                        plane.zip(line).for_each(|(to, &from)| *to = *to + from);
                    }
                },
            );
        }
    }

    /// Elements of a plane of the image, and of a plane's patches.
    fn sizes(&self) -> (usize, usize) {
        let taps = self.kernel[0] * self.kernel[1];
        (self.extent[0] * self.extent[1], taps * self.pitch)
    }
}
