//! How a convolution is cut, and how the image under a tile of outputs is laid out.

use std::ops::Range;

/// `0..len` cut into pieces whose lengths differ by at most one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    len: usize,
    pub(super) count: usize,
}

impl Cut {
    /// As few pieces as `most` elements a piece allow.
    pub(super) fn of(len: usize, most: usize) -> Self {
        Self::into(len, len.div_ceil(most.max(1)))
    }

    /// That many pieces, no more than there are elements, one at least.
    pub(super) fn into(len: usize, count: usize) -> Self {
        Self {
            len,
            count: count.min(len).max(1),
        }
    }

    pub(super) fn get(self, i: usize) -> Range<usize> {
        let start = |i: usize| {
            let (each, longer) = (self.len / self.count, self.len % self.count);
            i * each + i.min(longer)
        };
        start(i)..start(i + 1)
    }

    pub(super) fn longest(self) -> usize {
        self.len.div_ceil(self.count)
    }

    /// The two lengths that pieces have.
    pub(super) fn lengths(self) -> [usize; 2] {
        [self.len / self.count, self.longest()]
    }

    /// Which of [`lengths`](Self::lengths) that is.
    pub(super) fn class(self, len: usize) -> usize {
        usize::from(len > self.len / self.count)
    }
}

/// Outputs of one image cut into tiles: whole rows, or parts of one row, so that a tile is one stretch of the plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiling {
    pub(super) rows: Cut,
    pub(super) columns: Cut,
    width: usize,
}

/// A tile of outputs.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
    /// Its first element in the plane of outputs.
    pub(super) first: usize,
    /// Which of the two lengths of tiles it has.
    pub(super) class: usize,
}

impl Tiling {
    /// Tiles of about `most` outputs at most.
    pub(super) fn new([height, width]: [usize; 2], most: usize) -> Self {
        let rows = most / width.max(1);
        let (rows, columns) = if rows > 0 {
            (Cut::of(height, rows), Cut::into(width, 1))
        } else {
            (Cut::into(height, height), Cut::of(width, most))
        };
        Self {
            rows,
            columns,
            width,
        }
    }

    pub(super) fn count(&self) -> usize {
        self.rows.count * self.columns.count
    }

    pub(super) fn get(&self, i: usize) -> Tile {
        let rows = self.rows.get(i / self.columns.count);
        let columns = self.columns.get(i % self.columns.count);
        Tile {
            first: rows.start * self.width + columns.start,
            // One of the two directions is cut into single rows or not at all, so that its pieces have one length.
            class: self.rows.class(rows.len()) | self.columns.class(columns.len()),
            rows,
            columns,
        }
    }

    /// The two lengths that tiles have.
    pub(super) fn lengths(&self) -> [usize; 2] {
        let (rows, columns) = (self.rows.lengths(), self.columns.lengths());
        [0, 1].map(|class| rows[class] * columns[class])
    }
}

/// The rows of the image that a tile sees, as slots of a buffer: tap `t` of the tile's output row `o` reads slot
/// `o * by_output + t * by_tap`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    by_output: usize,
    by_tap: usize,
    stride: usize,
    dilation: usize,
    taps: usize,
    shared: bool,
}

impl Rows {
    /// Neighbouring outputs share rows, unless that means keeping more rows that nobody sees.
    pub(super) fn new(outputs: usize, taps: usize, stride: usize, dilation: usize) -> Self {
        let span = (outputs.max(1) - 1) * stride + (taps - 1) * dilation + 1;
        let shared = span <= outputs * taps;
        let (by_output, by_tap) = if shared {
            (stride, dilation)
        } else {
            (taps, 1)
        };
        Self {
            by_output,
            by_tap,
            stride,
            dilation,
            taps,
            shared,
        }
    }

    /// Slots for that many rows of outputs.
    pub(super) fn count(&self, outputs: usize) -> usize {
        (outputs.max(1) - 1) * self.by_output + (self.taps - 1) * self.by_tap + 1
    }

    pub(super) fn slot(&self, output: usize, tap: usize) -> usize {
        output * self.by_output + tap * self.by_tap
    }

    /// Which row of the padded image a slot holds, counted from the first that the tile sees.
    pub(super) fn origin(&self, slot: usize) -> usize {
        if self.shared {
            slot
        } else {
            slot / self.taps * self.stride + slot % self.taps * self.dilation
        }
    }
}

/// The columns of the image that a tile sees: a row of it is kept as several lines, in each of which neighbouring
/// outputs find their taps side by side. Element `q` of a line is column `origin(line) + q * stride`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Columns {
    pub(super) lines: usize,
    /// Elements of a line, with room for a vector that starts at its last one.
    pub(super) length: usize,
    stride: usize,
    dilation: usize,
    shared: bool,
}

impl Columns {
    /// Taps whose columns are a multiple of the stride apart share a line, unless a line a tap is shorter.
    pub(super) fn new(
        outputs: usize,
        taps: usize,
        stride: usize,
        dilation: usize,
        lanes: usize,
    ) -> Self {
        let reach = (taps - 1) * dilation / stride;
        let shared = stride.saturating_mul(outputs + reach) <= taps * outputs.max(lanes);
        let (lines, length) = if shared {
            (stride, outputs + reach)
        } else {
            (taps, outputs)
        };
        Self {
            lines,
            length: length + lanes,
            stride,
            dilation,
            shared,
        }
    }

    /// Line and first element of a tap.
    pub(super) fn tap(&self, tap: usize) -> (usize, usize) {
        if self.shared {
            let column = tap * self.dilation;
            (column % self.stride, column / self.stride)
        } else {
            (tap, 0)
        }
    }

    /// Column of the padded image where a line starts, counted from the first that the tile sees.
    pub(super) fn origin(&self, line: usize) -> usize {
        if self.shared {
            line
        } else {
            line * self.dilation
        }
    }
}
