//! Strided to strided copies: materialised views, concatenation, stack, roll, flip, tile, transposes.

use bytemuck::Pod;

use super::loops::{Loops, shift};
use super::memory::{Dest, RawView, Source};
use super::sizes::{MOVE_BLOCK, TRANSPOSE_TILE};
use super::{Mismatch, ensure, part};
use crate::Level;

const TILE: usize = TRANSPOSE_TILE;
/// Tiles of a transpose that make a block.
const TILES: usize = MOVE_BLOCK / (TILE * TILE);

/// `dst[i] = src[i]` for every index `i` of one shape, any dtype, any strides. Bits are moved, never interpreted.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    /// What is read.
    pub src: RawView,
    /// What is written: same dtype, same shape.
    pub dst: RawView,
}

/// How a copy goes about it.
enum Plan {
    /// Run by run along the destination's innermost axis.
    Runs(Loops<2>),
    /// The source's innermost axis is another one: both innermost axes tile by tile, so that whole cache lines are read
    /// and whole ones written.
    Tiles {
        outer: Loops<2>,
        /// Extent and steps along which the source is (most nearly) contiguous.
        rows: (usize, [isize; 2]),
        /// Extent and steps along which the destination is.
        columns: (usize, [isize; 2]),
    },
}

impl Copy {
    /// Dtypes and shapes agree.
    pub fn check(&self) -> Result<(), Mismatch> {
        ensure(self.src.dtype == self.dst.dtype, "copy", "one dtype")?;
        ensure(self.src.shape == self.dst.shape, "copy", "one shape")
    }

    /// Pieces the work divides into.
    pub fn blocks(&self) -> usize {
        if self.dst.shape.is_empty() {
            return 0;
        }
        match self.plan() {
            Plan::Runs(loops) => loops.len().div_ceil(MOVE_BLOCK),
            Plan::Tiles {
                outer,
                rows,
                columns,
            } => (outer.len() * rows.0.div_ceil(TILE) * columns.0.div_ceil(TILE)).div_ceil(TILES),
        }
    }

    /// Does one piece.
    ///
    /// # Safety
    /// [The block contract](super).
    pub unsafe fn run_block(&self, _level: Level, block: usize) {
        // SAFETY: the block contract covers what `source` and `dest` ask for; blocks write disjoint visits of the plan.
        unsafe {
            match self.src.dtype.size() {
                1 => self.run(&self.src.source::<u8>(), &mut self.dst.dest(), block),
                4 => self.run(&self.src.source::<u32>(), &mut self.dst.dest(), block),
                _ => self.run(&self.src.source::<u64>(), &mut self.dst.dest(), block),
            }
        }
    }

    fn plan(&self) -> Plan {
        let loops = Loops::new(
            self.dst.dims(),
            [&self.dst.strides, &self.src.strides],
            [self.dst.offset, self.src.offset],
        )
        .merged()
        .ordered_by_first()
        .merged();
        let (width, [_, far]) = loops.inner();
        let near = (0..loops.rank().saturating_sub(1))
            .filter(|&axis| loops.axis(axis).1[1] != 0)
            .min_by_key(|&axis| loops.axis(axis).1[1].abs());
        if let Some(near) = near {
            let (height, [_, step]) = loops.axis(near);
            // Narrow strips would copy mostly padding.
            if step.abs() < far.abs() && width >= TILE / 2 && height >= TILE / 2 {
                let mut outer = loops;
                let columns = outer.take_axis(loops.rank() - 1);
                let rows = outer.take_axis(near);
                return Plan::Tiles {
                    outer,
                    rows,
                    columns,
                };
            }
        }
        Plan::Runs(loops)
    }

    fn run<T: Pod>(&self, src: &Source<T>, dst: &mut Dest<T>, block: usize) {
        match self.plan() {
            Plan::Runs(loops) => {
                let (_, [to, from]) = loops.inner();
                loops.runs(part(loops.len(), MOVE_BLOCK, block), |_, [d, s], len| {
                    copy_run(src, dst, [d, s], [to, from], len);
                });
            }
            Plan::Tiles {
                outer,
                rows,
                columns,
            } => {
                let (down, across) = (rows.0.div_ceil(TILE), columns.0.div_ceil(TILE));
                for tile in part(outer.len() * down * across, TILES, block) {
                    let (r, c) = (tile / across % down * TILE, tile % across * TILE);
                    let mut place = outer.at(tile / (across * down));
                    shift(&mut place, rows.1, r as isize);
                    shift(&mut place, columns.1, c as isize);
                    let extent = [TILE.min(rows.0 - r), TILE.min(columns.0 - c)];
                    copy_tile(src, dst, place, extent, rows.1, columns.1);
                }
            }
        }
    }
}

/// One run: `dst[d + i * to] = src[s + i * from]`.
#[inline(always)]
pub(super) fn copy_run<T: Pod>(
    src: &Source<T>,
    dst: &mut Dest<T>,
    [d, s]: [isize; 2],
    [to, from]: [isize; 2],
    len: usize,
) {
    if to == 1 && from == 1 {
        dst.row_mut(d, len).copy_from_slice(src.row(s, len));
    } else if to == 1 && from == 0 {
        dst.row_mut(d, len).fill(src.get(s));
    } else {
        let (src, mut dst) = (src.run(s, from, len), dst.run_mut(d, to, len));
        for i in 0..len {
            dst.set(i, src.get(i));
        }
    }
}

/// One tile, through a buffer on the stack: power-of-two strides map a column of a matrix onto one cache set, so that
/// lines half read or half written would be evicted before the other half is needed.
fn copy_tile<T: Pod>(
    src: &Source<T>,
    dst: &mut Dest<T>,
    [d, s]: [isize; 2],
    [height, width]: [usize; 2],
    rows: [isize; 2],
    columns: [isize; 2],
) {
    let mut tile = [[T::zeroed(); TILE]; TILE];
    if height == TILE && width == TILE && rows[1] == 1 && columns[0] == 1 {
        for (j, line) in tile.iter_mut().enumerate() {
            line.copy_from_slice(src.row(s + j as isize * columns[1], TILE));
        }
        for i in 0..TILE {
            let out = dst.row_mut(d + i as isize * rows[0], TILE);
            for (x, line) in out.iter_mut().zip(&tile) {
                *x = line[i];
            }
        }
        return;
    }
    for (j, line) in tile.iter_mut().enumerate().take(width) {
        let run = src.run(s + j as isize * columns[1], rows[1], height);
        for (i, x) in line.iter_mut().enumerate().take(height) {
            *x = run.get(i);
        }
    }
    for i in 0..height {
        let mut run = dst.run_mut(d + i as isize * rows[0], columns[0], width);
        for (j, line) in tile.iter().enumerate().take(width) {
            run.set(j, line[i]);
        }
    }
}
