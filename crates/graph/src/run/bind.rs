//! Addresses of one run: where externals, outputs, the arena and the cells are.

use retrograde_ops::Level;
use retrograde_ops::structured::ErrorCell;
use retrograde_storage::{Id, PACKET_BYTES};

use super::kernel::Memory;
use crate::list::Value;
use crate::passes::memory::Place;

/// Everything a running thread needs to find memory. Copied by threads freely; see [`Bindings::address`] for what it
/// promises (nothing) and [`super::phase`] for what makes using it sound.
#[derive(Clone, Copy)]
pub(crate) struct Bindings<'a> {
    pub level: Level,
    pub place: &'a [Place],
    pub externals: &'a [*mut u8],
    pub outputs: &'a [*mut u8],
    pub arena: *mut u8,
    pub cells: *mut u8,
    /// Seeds of the random streams.
    pub seeds: &'a [u64],
    /// Number of the run, for random draws.
    pub step: u64,
    pub errors: &'a ErrorCell,
    /// The part of a chain that is being run.
    pub window: Window,
}

/// Where the running thread keeps what its part of a chain hands on, and which part that is.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub memory: *mut u8,
    /// First row.
    pub row: usize,
    /// First column, of values that are computed strip by strip.
    pub column: usize,
}

impl Window {
    /// No part of any chain.
    pub(crate) const NONE: Self = Self {
        memory: std::ptr::null_mut(),
        row: 0,
        column: 0,
    };
}

/// Serves [`Bindings::nowhere`], to which nothing is ever reported.
static NO_ERRORS: ErrorCell = ErrorCell::new();

impl Bindings<'static> {
    /// Addresses of nothing, for asking kernels what does not depend on addresses.
    pub(crate) fn nowhere() -> Self {
        let dangling = PACKET_BYTES as *mut u8;
        Self {
            level: Level::Baseline,
            place: &[],
            externals: &[],
            outputs: &[],
            arena: dangling,
            cells: dangling,
            seeds: &[],
            step: 0,
            errors: &NO_ERRORS,
            window: Window::NONE,
        }
    }
}

impl Bindings<'_> {
    /// The address of a place. Computed without access; may be dereferenced under the contract of whoever uses it.
    pub(crate) fn place(&self, place: Place) -> *mut u8 {
        match place {
            Place::Nowhere => self.arena,
            Place::External(i) => self
                .externals
                .get(i as usize)
                .copied()
                .unwrap_or(self.arena),
            Place::Output(i) => self.outputs.get(i as usize).copied().unwrap_or(self.arena),
            Place::Arena(packet) => self.arena.wrapping_add(packet as usize * PACKET_BYTES),
            Place::Cell(i) => self.cells.wrapping_add(i as usize * 8),
            // Rows and columns are counted as in a whole tensor.
            Place::Window(at) => {
                let Window {
                    memory,
                    row,
                    column,
                } = self.window;
                memory
                    .wrapping_add(at.packet as usize * PACKET_BYTES)
                    .wrapping_sub(row * at.row_bytes as usize)
                    .wrapping_sub(column * at.column_bytes as usize)
            }
        }
    }

    /// The address of a value's first element.
    pub(crate) fn value(&self, v: Value) -> *mut u8 {
        self.place
            .get(v.index())
            .map_or(self.arena, |&p| self.place(p))
    }

    /// The address of an operand's base.
    pub(crate) fn address(&self, at: Memory) -> *mut u8 {
        match at {
            Memory::Value(v) => self.value(v),
            Memory::Place(p) => self.place(p),
        }
    }
}
