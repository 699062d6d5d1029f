//! Where tiles meet memory: with `walk.rs` the only file of the tile engine that dereferences pointers.
//!
//! [`Outside`] is built once a block from the caller's pointers; all else here is safe to call, because whoever built
//! it promised that the pointers are good for the whole space and every access is checked to stay inside it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

use bytemuck::Pod;
use fearless_simd::Simd;
use retrograde_storage::{DType, PACKET_BYTES, Packet};

use super::direct::Reach;
use super::geometry::Ahead;
use super::lanes::{BOOLS, Wide};
use super::{Class, Geometry, Group, ViewSpec};

/// The part of the space that a tile covers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// First row.
    pub row: usize,
    /// Rows.
    pub rows: usize,
    /// First packet of each row.
    pub packet: usize,
    /// Packets of each row.
    pub packets: usize,
}

/// A group's memory for the time of one block.
#[derive(Clone, Copy)]
pub(super) struct Outside<'g> {
    group: &'g Group,
    geometry: &'g Geometry,
    bases: &'g [*mut u8],
    /// Bits of the views that are windows.
    windows: u32,
    partials: &'g [*mut u8],
}

impl<'g> Outside<'g> {
    /// # Safety
    /// As [`Group::run_part`].
    pub(super) unsafe fn new(
        group: &'g Group,
        geometry: &'g Geometry,
        (bases, windows): (&'g [*mut u8], u32),
        partials: &'g [*mut u8],
    ) -> Self {
        Self {
            group,
            geometry,
            bases,
            windows,
            partials,
        }
    }

    /// The memory of view `index`.
    pub(super) fn view(&self, index: u32) -> Strided<'g> {
        Strided {
            base: self.bases[index as usize],
            spec: self.group.views[index as usize],
            space: self.group.space,
            lanes: self.group.width.lanes(),
            group: PhantomData,
        }
    }

    /// Asks for lines of a tile, the bytes `tile` of a contiguous view, to be brought into the second-level cache. A
    /// hint: no effect but on time.
    #[inline(always)]
    pub(super) fn fetch(&self, ahead: Ahead, tile: &Range<usize>) {
        let first = self.bases[ahead.view as usize].wrapping_add(tile.start);
        let end = (ahead.to as usize * PACKET_BYTES).min(tile.end - tile.start);
        let mut at = ahead.from as usize * PACKET_BYTES;
        while at < end {
            prefetch(first.wrapping_add(at));
            at += PACKET_BYTES;
        }
    }

    /// Where element `start` of the space stands in a contiguous view.
    #[inline(always)]
    pub(super) fn address(&self, view: u32, start: usize) -> *mut Packet {
        self.bases[view as usize]
            .wrapping_add(start * self.group.width.bytes())
            .cast()
    }

    /// Whether the memory of two views, one of them stored to, has bytes in common.
    pub(super) fn overlap(&self, a: Reach, b: Reach) -> bool {
        let range = |of: Reach| {
            let base = self.bases[of.view as usize].addr();
            base.wrapping_add_signed(of.low)..base.wrapping_add_signed(of.high)
        };
        // Where a window would begin if it were a whole tensor, something else may stand.
        let window = |of: Reach| self.windows.checked_shr(of.view).unwrap_or(0) & 1 == 1;
        if window(a) || window(b) {
            return false;
        }
        let (a, b) = (range(a), range(b));
        a.start < b.end && b.start < a.end
    }

    /// The memory for partial results of reduction `r`, as large as [`Group::partial_bytes`] says.
    pub(super) fn partial(&self, r: usize) -> Flat<'g> {
        // SAFETY: promised when `self` was made: each block accesses the chunks that it holds alone. The geometry is
        // the group's.
        unsafe { Flat::new(self.partials[r], self.geometry.partials[r].1) }
    }
}

/// A view of memory with the promise that every element of the space is there.
#[derive(Clone, Copy)]
pub(super) struct Strided<'g> {
    base: *mut u8,
    spec: ViewSpec,
    space: [usize; 3],
    lanes: usize,
    group: PhantomData<&'g Group>,
}

/// One row of a tile in memory.
struct Row {
    /// The row's first element within the tile.
    first: *mut u8,
    /// Valid elements.
    len: usize,
}

/// Copies less than a packet, `bytes` of them, which must be a multiple of 4: in pieces of fixed sizes, where a call of
/// `memmove` takes longer than what it does. A packet put together on the stack and read back as a whole is slower still,
/// for the read waits until all pieces are written: so were 37% of the time of a loop over rows of 14 doubles spent.
///
/// # Safety
/// `from` may be read and `to` written for that many bytes, which are apart.
#[inline(always)]
unsafe fn copy_part(from: *const u8, to: *mut u8, bytes: usize) {
    debug_assert!(bytes < PACKET_BYTES && bytes.is_multiple_of(4));
    let mut at = 0;
    // SAFETY: the pieces taken are those of the binary digits of `bytes`, one after the other, so they end there; arrays
    // of integers may be read and written anywhere, any bits are valid.
    unsafe {
        if bytes & 32 != 0 {
            let piece = from.cast::<[u64; 4]>().read_unaligned();
            to.cast::<[u64; 4]>().write_unaligned(piece);
            at = 32;
        }
        if bytes & 16 != 0 {
            let piece = from.add(at).cast::<[u64; 2]>().read_unaligned();
            to.add(at).cast::<[u64; 2]>().write_unaligned(piece);
            at += 16;
        }
        if bytes & 8 != 0 {
            let piece = from.add(at).cast::<u64>().read_unaligned();
            to.add(at).cast::<u64>().write_unaligned(piece);
            at += 8;
        }
        if bytes & 4 != 0 {
            let piece = from.add(at).cast::<u32>().read_unaligned();
            to.add(at).cast::<u32>().write_unaligned(piece);
        }
    }
}

/// So many bools, and zeros.
///
/// # Safety
/// They may be read, and are no more than [`BOOLS`].
#[inline(always)]
unsafe fn bools(from: *const u8, count: usize) -> [u8; BOOLS] {
    // SAFETY: the caller promises that there are so many bytes; arrays of them may be read anywhere.
    unsafe {
        match count {
            BOOLS => from.cast::<[u8; BOOLS]>().read(),
            8 => u128::from(u64::from_le_bytes(from.cast::<[u8; 8]>().read())).to_le_bytes(),
            _ => (0..count)
                .fold(0, |word, i| {
                    word | u128::from(from.add(i).read()) << (8 * i)
                })
                .to_le_bytes(),
        }
    }
}

/// Writes so many bools.
///
/// # Safety
/// There is room for them, and they are no more than [`BOOLS`].
#[inline(always)]
unsafe fn write_bools(bools: [u8; BOOLS], to: *mut u8, count: usize) {
    let word = u128::from_le_bytes(bools);
    // SAFETY: the caller promises that there is room for so many bytes; arrays of them may be written anywhere.
    unsafe {
        match count {
            BOOLS => to.cast::<[u8; BOOLS]>().write(bools),
            8 => to.cast::<[u8; 8]>().write((word as u64).to_le_bytes()),
            _ => (0..count).for_each(|i| to.add(i).write((word >> (8 * i)) as u8)),
        }
    }
}

impl Strided<'_> {
    /// The rows of a tile.
    ///
    /// # Panics
    /// If the tile is not inside the space.
    #[inline(always)]
    fn rows(&self, tile: Tile) -> impl Iterator<Item = Row> {
        let [outer, middle, inner] = self.space;
        let first = tile.packet * self.lanes;
        assert!(tile.row + tile.rows <= outer * middle && first <= inner);
        let len = (tile.packets * self.lanes).min(inner - first);
        let size = self.spec.dtype.size() as isize;
        let [so, sm, sn] = self.spec.strides.map(|s| s * size);
        let (mut o, mut m) = if tile.row < middle || tile.rows == 0 {
            // As a division takes as long as a packet's work, not where it is known what comes out.
            (0, tile.row)
        } else {
            (tile.row / middle, tile.row % middle)
        };
        let base = self.base;
        (0..tile.rows).map(move |_| {
            let offset = o as isize * so + m as isize * sm + first as isize * sn;
            m += 1;
            if m == middle {
                (o, m) = (o + 1, 0);
            }
            Row {
                // Wrapping: with `len` 0 there may be no element, and then the pointer is not read.
                first: base.wrapping_offset(offset),
                len,
            }
        })
    }

    /// The bytes between neighbours along the inner axis.
    fn step(&self) -> isize {
        self.spec.strides[2] * self.spec.dtype.size() as isize
    }

    /// Reads a tile into a slot.
    #[inline(never)]
    pub(super) fn load<S: Simd, W: Wide>(
        &self,
        simd: S,
        tile: Tile,
        slot: &[Cell<Packet>],
        class: Class,
    ) {
        simd.vectorize(
            #[inline(always)]
            || {
                if self.spec.dtype == DType::Bool {
                    if class == Class::Full && self.step() == 1 {
                        return self.load_bools::<W>(tile, slot);
                    }
                    // SAFETY: called with the address of an element of the view: a byte.
                    let read = |at: *const u8| W::mask_lane(unsafe { at.read() } != 0);
                    self.load_with(tile, slot, class, self.step(), read);
                } else if class == Class::Full && self.step() == size_of::<W::Bits>() as isize {
                    self.load_dense(tile, slot);
                } else {
                    // SAFETY: called with the address of an element of the view, which has the size of `W::Bits` by
                    // the verifier; any bits are a valid integer.
                    let read = |at: *const u8| unsafe { at.cast::<W::Bits>().read_unaligned() };
                    self.load_with(tile, slot, class, self.step(), read);
                }
            },
        );
    }

    /// Rows of neighbouring elements of the group's width.
    #[inline(always)]
    fn load_dense(&self, tile: Tile, slot: &[Cell<Packet>]) {
        if tile.packets == 0 {
            return;
        }
        for (row, cells) in self.rows(tile).zip(slot.chunks_exact(tile.packets)) {
            let whole = row.len / self.lanes;
            for (i, cell) in cells[..whole].iter().enumerate() {
                // SAFETY: the row has `row.len` elements from `first` on, so this packet's 64 bytes are among them.
                cell.set(unsafe { row.first.cast::<Packet>().add(i).read_unaligned() });
            }
            let rest = row.len % self.lanes * self.spec.dtype.size();
            if rest > 0 {
                cells[whole].set(Packet::ZERO);
                // SAFETY: these `rest` bytes are the row's last elements; the cell is larger, and no reference to its
                // content exists.
                unsafe {
                    let from = row.first.add(whole * PACKET_BYTES);
                    copy_part(from, cells[whole].as_ptr().cast(), rest);
                }
            }
        }
    }

    /// Rows of neighbouring bools, a packet's at a time: put together from lanes on the stack a packet would be read
    /// before they are all written, and the read would wait.
    #[inline(always)]
    fn load_bools<W: Wide>(&self, tile: Tile, slot: &[Cell<Packet>]) {
        if tile.packets == 0 {
            return;
        }
        let lanes = const { PACKET_BYTES / size_of::<W::Bits>() };
        for (row, cells) in self.rows(tile).zip(slot.chunks_exact(tile.packets)) {
            let whole = row.len / lanes;
            for (i, cell) in cells[..whole].iter().enumerate() {
                // SAFETY: the row has `row.len` bools from `first` on, so this packet's are among them.
                cell.set(W::mask_of(unsafe {
                    bools(row.first.add(i * lanes), lanes)
                }));
            }
            let rest = row.len % lanes;
            if rest > 0 {
                // SAFETY: these are the row's last bools.
                cells[whole].set(W::mask_of(unsafe {
                    bools(row.first.add(whole * lanes), rest)
                }));
            }
        }
    }

    /// Any class and stride; `read` gets the address of an element.
    #[inline(always)]
    fn load_with<B: Pod>(
        &self,
        tile: Tile,
        slot: &[Cell<Packet>],
        class: Class,
        step: isize,
        read: impl Fn(*const u8) -> B,
    ) {
        match class {
            // No extent is 0 here: blocks without rows do not exist, and a scalar stands for the whole space.
            Class::Scalar => slot[0].set(splat(read(self.base))),
            Class::Column => {
                for (row, cell) in self.rows(column(tile)).zip(slot) {
                    cell.set(splat(read(row.first)));
                }
            }
            Class::Full if tile.packets == 0 => {}
            Class::Full if step == 0 => {
                for (row, cells) in self.rows(tile).zip(slot.chunks_exact(tile.packets)) {
                    let value = splat(read(row.first));
                    for cell in cells {
                        cell.set(value);
                    }
                }
            }
            Class::Full => {
                for (row, cells) in self.rows(tile).zip(slot.chunks_exact(tile.packets)) {
                    let mut at = row.first.cast_const();
                    for (i, cell) in cells.iter().enumerate() {
                        let mut packet = Packet::ZERO;
                        let lanes = lanes_of::<B>(&mut packet);
                        let valid = (row.len - i * self.lanes).min(lanes.len());
                        for lane in &mut lanes[..valid] {
                            *lane = read(at);
                            at = at.wrapping_offset(step);
                        }
                        cell.set(packet);
                    }
                }
            }
        }
    }

    /// Writes a slot's valid lanes to memory.
    #[inline(never)]
    pub(super) fn store<S: Simd, W: Wide>(
        &self,
        simd: S,
        tile: Tile,
        slot: &[Cell<Packet>],
        class: Class,
    ) {
        simd.vectorize(
            #[inline(always)]
            || {
                if self.spec.dtype == DType::Bool {
                    if class == Class::Full && self.step() == 1 {
                        return self.store_bools::<W>(tile, slot);
                    }
                    let zero = <W::Bits as bytemuck::Zeroable>::zeroed();
                    let write = |at: *mut u8, lane: W::Bits| {
                        let set = bytemuck::bytes_of(&lane) != bytemuck::bytes_of(&zero);
                        // SAFETY: called with the address of an element of the view: a byte.
                        unsafe { at.write(u8::from(set)) };
                    };
                    self.store_with(tile, slot, class, write);
                } else if class == Class::Full && self.step() == size_of::<W::Bits>() as isize {
                    self.store_dense(tile, slot);
                } else {
                    let write = |at: *mut u8, lane: W::Bits| {
                        // SAFETY: called with the address of an element of the view, which has the size of `W::Bits`
                        // by the verifier.
                        unsafe { at.cast::<W::Bits>().write_unaligned(lane) };
                    };
                    self.store_with(tile, slot, class, write);
                }
            },
        );
    }

    /// Rows of neighbouring elements of the group's width.
    #[inline(always)]
    fn store_dense(&self, tile: Tile, slot: &[Cell<Packet>]) {
        if tile.packets == 0 {
            return;
        }
        for (row, cells) in self.rows(tile).zip(slot.chunks_exact(tile.packets)) {
            let whole = row.len / self.lanes;
            for (i, cell) in cells[..whole].iter().enumerate() {
                // SAFETY: the row has `row.len` elements from `first` on, so this packet's 64 bytes are among them; no
                // other thread touches them, by the contract of `run_block`.
                unsafe {
                    row.first
                        .cast::<Packet>()
                        .add(i)
                        .write_unaligned(cell.get());
                };
            }
            let rest = row.len % self.lanes * self.spec.dtype.size();
            if rest > 0 {
                // SAFETY: these `rest` bytes are the row's last elements, which no other thread touches; the cell is larger,
                // and nobody writes it meanwhile.
                unsafe {
                    let to = row.first.add(whole * PACKET_BYTES);
                    copy_part(cells[whole].as_ptr().cast(), to, rest);
                }
            }
        }
    }

    /// Rows of neighbouring bools, as [`load_bools`](Self::load_bools).
    #[inline(always)]
    fn store_bools<W: Wide>(&self, tile: Tile, slot: &[Cell<Packet>]) {
        if tile.packets == 0 {
            return;
        }
        let lanes = const { PACKET_BYTES / size_of::<W::Bits>() };
        for (row, cells) in self.rows(tile).zip(slot.chunks_exact(tile.packets)) {
            let (whole, rest) = (row.len / lanes, row.len % lanes);
            // SAFETY: the row has `row.len` bools from `first` on, of which these are some; no other thread touches them, by
            // the contract of `run_block`.
            let write = |i: usize, count| unsafe {
                write_bools(W::bools_of(cells[i].get()), row.first.add(i * lanes), count);
            };
            (0..whole).for_each(|i| write(i, lanes));
            if rest > 0 {
                write(whole, rest);
            }
        }
    }

    /// Any class and stride; `write` gets the address of an element and its lane.
    #[inline(always)]
    fn store_with<B: Pod>(
        &self,
        tile: Tile,
        slot: &[Cell<Packet>],
        class: Class,
        write: impl Fn(*mut u8, B),
    ) {
        if class == Class::Column {
            for (row, cell) in self.rows(column(tile)).zip(slot) {
                write(row.first, lanes_of::<B>(&mut cell.get())[0]);
            }
        } else if tile.packets > 0 {
            let step = self.step();
            for (row, cells) in self.rows(tile).zip(slot.chunks_exact(tile.packets)) {
                let mut at = row.first;
                for (i, cell) in cells.iter().enumerate() {
                    let mut packet = cell.get();
                    let lanes = lanes_of::<B>(&mut packet);
                    let valid = (row.len - i * self.lanes).min(lanes.len());
                    for lane in &lanes[..valid] {
                        write(at, *lane);
                        at = at.wrapping_offset(step);
                    }
                }
            }
        }
    }
}

/// Asks for a line to be brought into the second-level cache, where the compiler offers such an instruction.
#[inline(always)]
pub(super) fn prefetch(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE, which every x86-64 has; a prefetch never faults, whatever the address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(line.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}

/// The rows of a tile without their elements.
fn column(tile: Tile) -> Tile {
    Tile {
        packet: 0,
        packets: 0,
        ..tile
    }
}

/// A packet as lanes of the size of `B`.
#[inline(always)]
fn lanes_of<B: Pod>(packet: &mut Packet) -> &mut [B] {
    bytemuck::cast_slice_mut(std::slice::from_mut(packet))
}

/// `lane` in every lane.
#[inline(always)]
fn splat<B: Pod>(lane: B) -> Packet {
    let mut packet = Packet::ZERO;
    lanes_of::<B>(&mut packet).fill(lane);
    packet
}

/// Memory of a reduction's partial results or result, with the promise that `bytes` bytes are there and that nobody
/// else writes what is accessed.
#[derive(Clone, Copy)]
pub(super) struct Flat<'g> {
    base: *mut u8,
    bytes: usize,
    group: PhantomData<&'g Group>,
}

impl Flat<'_> {
    /// # Safety
    /// `base` is valid for reads (and writes, if any are asked for) of `bytes` bytes for the lifetime, free of data
    /// races.
    pub(super) unsafe fn new(base: *mut u8, bytes: usize) -> Self {
        Self {
            base,
            bytes,
            group: PhantomData,
        }
    }

    /// Packet `index`.
    #[inline(always)]
    pub(super) fn packet(self, index: usize) -> Packet {
        let at = index * PACKET_BYTES;
        assert!(at + PACKET_BYTES <= self.bytes);
        // SAFETY: inside the memory promised, by the assertion; any bits are a packet.
        unsafe { self.base.add(at).cast::<Packet>().read_unaligned() }
    }

    /// Sets packet `index`.
    #[inline(always)]
    pub(super) fn set_packet(self, index: usize, packet: Packet) {
        let at = index * PACKET_BYTES;
        assert!(at + PACKET_BYTES <= self.bytes);
        // SAFETY: inside the memory promised, by the assertion.
        unsafe { self.base.add(at).cast::<Packet>().write_unaligned(packet) };
    }

    /// Element `index` in every lane.
    #[inline(always)]
    pub(super) fn lane<B: Pod>(self, index: usize) -> Packet {
        let at = index * size_of::<B>();
        assert!(at + size_of::<B>() <= self.bytes);
        // SAFETY: inside the memory promised, by the assertion; `B` is plain data.
        splat(unsafe { self.base.add(at).cast::<B>().read_unaligned() })
    }

    /// Sets `count` elements from `index` on to the first lanes of `packet`.
    #[inline(always)]
    pub(super) fn set_lanes<B: Pod>(self, index: usize, count: usize, mut packet: Packet) {
        let at = index * size_of::<B>();
        let lanes = &lanes_of::<B>(&mut packet)[..count];
        assert!(at + size_of_val(lanes) <= self.bytes);
        // SAFETY: inside the memory promised, by the assertion; the lanes are our own copy.
        unsafe {
            let to = self.base.add(at).cast::<B>();
            for (i, lane) in lanes.iter().enumerate() {
                to.add(i).write_unaligned(*lane);
            }
        }
    }
}
