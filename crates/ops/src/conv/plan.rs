//! The plan of a convolution: how it is cut, and the products that its pieces are.

use retrograde_storage::{PACKET_BYTES, packets_for};

use super::geometry::{Columns, Cut, Rows, Tiling};
use super::patches::Layout;
use crate::product::{self, Float, Isa, Strides};
use crate::{Level, Window};

/// Which of the three maps is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The convolution.
    Output,
    /// Its adjoint with respect to the image.
    Image,
    /// Its adjoint with respect to the weight.
    Weight,
}

/// A convolution of `[batch, channels, height, width]` by `[outputs, channels / groups, kernel]`.
///
/// The window fits the image, and its groups divide channels and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What is computed of it.
    pub kind: Kind,
    /// Images.
    pub batch: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Height and width of an image.
    pub extent: [usize; 2],
    /// Channels of the output.
    pub outputs: usize,
    /// Kernel, stride, padding, dilation, groups.
    pub window: Window,
}

/// Terms of a product that channels are added up to: those of one piece, see [`product::tuning::PIECE`].
const CHUNK_TERMS: usize = product::tuning::PIECE;
/// Bytes of the patches of one tile and chunk: a quarter of the second-level cache of most machines.
const PATCH_BYTES: usize = 256 * 1024;
/// The same for patches that a product goes over once, because there are no more outputs than columns in its tiles: the
/// first-level cache, so that what was packed is read where it was written.
const PATCH_BYTES_READ_ONCE: usize = 24 * 1024;
/// Outputs that a product makes in one go over its patches.
const OUTPUTS_AT_ONCE: usize = 6;
/// Outputs that a tile has at least where the image has them, though its patches take more: vectors of a whole panel.
const TILE_MIN: usize = 64;
/// Tasks that an image is cut into where there are not as many images.
const TASKS: usize = 8;
/// Sums that a weight's gradient is added up in, and then added together.
const PARTIALS: usize = 16;
/// Elements that these may take together.
const PARTIAL_ELEMENTS: usize = 1 << 20;

/// A planned convolution. Immutable and free of pointers: any number of threads may run it at once.
///
/// To run: every block of phase 0, then, after all of them, every block of phase 1 if there is one; in any order and on
/// any thread, each block once.
#[derive(Clone, Copy, Debug)]
pub struct Plan<T: Float> {
    pub(super) isa: Isa,
    pub(super) spec: Spec,
    /// Outputs of an image, and of a group.
    pub(super) plane: usize,
    pub(super) group_outputs: usize,
    pub(super) group_channels: usize,
    pub(super) tiling: Tiling,
    /// Channels of a group.
    pub(super) chunks: Cut,
    pub(super) layout: Layout,
    /// The weight's gradient: tiles of all images, cut into what is added in a row.
    pub(super) partials: Cut,
    /// Columns of such a sum: the taps of the largest chunk, in whole vectors.
    pub(super) partial_width: usize,
    /// By class of the tile and of the chunk.
    pub(super) products: [[product::Plan<T>; 2]; 2],
}

impl<T: Float> Plan<T> {
    /// Plans a convolution.
    pub fn new(level: Level, spec: &Spec) -> Self {
        let window = spec.window;
        let outputs = [0, 1].map(|axis| window.outputs(axis, spec.extent[axis]).unwrap_or(0));
        // A stride beyond the padded image is of a single output: any such one will do, and none overflows then.
        let stride = [0, 1].map(|axis| {
            let padded = window.padded(axis, spec.extent[axis]).unwrap_or(1);
            window.stride[axis].min(padded.max(1))
        });
        let plane = outputs[0] * outputs[1];
        let group_outputs = spec.outputs / window.groups;
        let group_channels = spec.channels / window.groups;
        let area = window.area();
        let chunks = Cut::of(group_channels, (CHUNK_TERMS / area).max(1));
        let terms = chunks.longest() * area;
        let images = (spec.batch * window.groups).max(1);
        let bytes = match spec.kind {
            Kind::Output if group_outputs <= OUTPUTS_AT_ONCE => PATCH_BYTES_READ_ONCE,
            Kind::Output | Kind::Image | Kind::Weight => PATCH_BYTES,
        };
        let most = bytes / size_of::<T>() / terms.max(1);
        let shared_out = plane.div_ceil(TASKS.div_ceil(images));
        let tiling = Tiling::new(outputs, most.min(shared_out).max(TILE_MIN));
        let tiles = tiling.lengths();
        let (rows, columns) = (tiling.rows.longest(), tiling.columns.longest());
        let layout = Layout {
            kernel: window.kernel,
            stride,
            padding: window.padding,
            extent: spec.extent,
            rows: Rows::new(rows, window.kernel[0], stride[0], window.dilation[0]),
            columns: Columns::new(
                columns,
                window.kernel[1],
                stride[1],
                window.dilation[1],
                T::LANES,
            ),
            pitch: pitch::<T>(tiles[1]),
        };
        let partial_width = terms.next_multiple_of(T::LANES);
        let units = spec.batch * tiling.count();
        let weight = (spec.outputs * chunks.count * partial_width).max(1);
        let partials = Cut::into(units, PARTIALS.min(PARTIAL_ELEMENTS / weight).max(1));
        let of = |tile: usize, chunk: usize| {
            let row_major = |columns: usize| Strides::row_major(columns);
            let weight = row_major(group_channels * area);
            let (image, patches) = (row_major(plane), row_major(layout.pitch));
            let (m, n, k, a, b, c) = match spec.kind {
                Kind::Output => (group_outputs, tile, chunk, weight, patches, image),
                Kind::Image => (
                    chunk,
                    tile,
                    group_outputs,
                    weight.transposed(),
                    image,
                    patches,
                ),
                Kind::Weight => (
                    group_outputs,
                    partial_width,
                    tile,
                    image,
                    patches.transposed(),
                    row_major(partial_width),
                ),
            };
            let max_blocks = 1;
            product::Plan::new(
                level,
                &product::Spec {
                    m,
                    n,
                    k,
                    a,
                    b,
                    c,
                    max_blocks,
                },
            )
        };
        let lengths = chunks.lengths().map(|channels| channels * area);
        Self {
            isa: Isa::new(level),
            spec: *spec,
            plane,
            group_outputs,
            group_channels,
            tiling,
            chunks,
            layout,
            partials,
            partial_width,
            products: tiles.map(|tile| lengths.map(|chunk| of(tile, chunk))),
        }
    }

    /// Multiplications.
    pub fn terms(&self) -> f64 {
        let taps = self.group_channels * self.spec.window.area();
        self.spec.batch as f64 * self.spec.outputs as f64 * self.plane as f64 * taps as f64
    }

    /// Pieces of work in phase 0, of which a block is several.
    pub(super) fn tasks(&self) -> usize {
        let groups = self.spec.window.groups;
        match self.spec.kind {
            Kind::Output => self.spec.batch * groups * self.tiling.count(),
            Kind::Image => self.spec.batch * groups * self.chunks.count,
            Kind::Weight => self.partials.count * groups * self.chunks.count,
        }
    }

    /// Blocks of each phase; 0 for one that there is not.
    pub fn blocks(&self) -> [usize; 2] {
        let enough = (self.terms() / product::tuning::BLOCK_MIN_TERMS as f64) as usize;
        let tasks = self.tasks();
        let sums = match self.spec.kind {
            Kind::Output | Kind::Image => 0,
            Kind::Weight => self.sum_blocks(),
        };
        [enough.clamp(tasks.min(1), tasks), sums]
    }

    /// Blocks that add partial sums: whole rows of the weight.
    pub(super) fn sum_blocks(&self) -> usize {
        let row = self.partials.count * self.chunks.count * self.partial_width;
        let rows = (crate::structured::sizes::MOVE_BLOCK / row.max(1)).max(1);
        self.spec.outputs.div_ceil(rows)
    }

    /// Elements of the sums of one task.
    pub(super) fn partial_len(&self) -> usize {
        self.group_outputs * self.partial_width
    }

    /// Packets that all blocks share: the partial sums of a weight. `None` on overflow.
    pub fn shared_packets(&self) -> Option<usize> {
        match self.spec.kind {
            Kind::Output | Kind::Image => Some(0),
            Kind::Weight => packets_for(
                self.tasks().checked_mul(self.partial_len())?,
                size_of::<T>(),
            ),
        }
    }

    /// Packets of scratch that a thread running a block needs.
    pub fn scratch_packets(&self) -> usize {
        let own = (self.patch_elements() + self.buffer_elements()) * size_of::<T>();
        let products = self.products.as_flattened().iter();
        let most = products.map(product::Plan::scratch_packets).max();
        own / PACKET_BYTES + most.unwrap_or(0)
    }

    /// Elements of the patches of one tile and chunk, in whole packets.
    pub(super) fn patch_elements(&self) -> usize {
        self.partial_width * self.layout.pitch
    }

    /// Elements of the buffer that patches go through, in whole packets.
    pub(super) fn buffer_elements(&self) -> usize {
        let rows = self.tiling.rows.longest();
        self.layout.buffer(rows).next_multiple_of(T::LANES)
    }
}

/// From one tap's patches to the next: whole vectors and one to run over into, and not a multiple of 1 KiB, so that
/// taps do not collide in the first-level cache.
fn pitch<T: Float>(tile: usize) -> usize {
    let vectors = tile.div_ceil(T::LANES) + 1;
    (vectors | 1) * T::LANES
}
