//! Patches of one tile: packed from an image, or added back to one.
//!
//! Both go channel by channel through a buffer that holds the part of the padded image under the tile, laid out so that
//! the patch of a tap is made of whole vectors, whatever stride, dilation and padding are.

use std::ops::Range;

use fearless_simd::{Select, Simd, SimdBase, SimdMask};

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

    /// Calls `f(element of the buffer, element of the patches, whether it ends a row)` for every vector of every row of
    /// every tap, in order.
    #[inline(always)]
    fn vectors(&self, tile: &Tile, lanes: usize, mut f: impl FnMut(usize, usize, bool)) {
        let Columns { lines, length, .. } = self.columns;
        let (rows, width) = (tile.rows.len(), tile.columns.len());
        let step = self.rows.slot(1, 0) * lines * length;
        let count = width.div_ceil(lanes);
        for i in 0..self.kernel[0] {
            for j in 0..self.kernel[1] {
                let (line, shift) = self.columns.tap(j);
                let first = (self.rows.slot(0, i) * lines + line) * length + shift;
                let patch = (i * self.kernel[1] + j) * self.pitch;
                for row in 0..rows {
                    let (at, patch) = (first + row * step, patch + row * width);
                    // Most rows are short: as many vectors as were counted, without a loop for few.
                    match count {
                        1 => f(at, patch, true),
                        2 => {
                            f(at, patch, false);
                            f(at + lanes, patch + lanes, true);
                        }
                        _ => (0..count).for_each(
                            #[inline(always)]
                            |v| f(at + v * lanes, patch + v * lanes, v + 1 == count),
                        ),
                    }
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
            self.vectors(
                tile,
                T::LANES,
                #[inline(always)]
                |at, patch, _| {
                    // The last vector of a row runs over into the next row's place, which is written after it.
                    let row = T::Vector::<S>::from_slice(simd, &buffer[at..at + T::LANES]);
                    row.store_slice(&mut to[patch..patch + T::LANES]);
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
        let last = u64::MAX >> (64 + whole - width - T::LANES);
        let inside = <T::Vector<S> as SimdBase<S>>::Mask::from_bitmask(simd, last);
        let used = self.buffer(tile.rows.len());
        let buffer = &mut buffer[..used];
        for (plane, from) in planes.chunks_exact_mut(size).zip(from.chunks_exact(taps)) {
            buffer.fill(T::default());
            self.vectors(
                tile,
                T::LANES,
                #[inline(always)]
                |at, patch, last| {
                    let to = &mut buffer[at..at + T::LANES];
                    let mut term = T::Vector::<S>::from_slice(simd, &from[patch..patch + T::LANES]);
                    if last {
                        // Beyond its end are elements of the next row: they are not added here.
                        term = inside.select(term, zero);
                    }
                    (T::Vector::<S>::from_slice(simd, to) + term).store_slice(to);
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
