//! Kernels of instructions that are not fused.
//!
//! [`choose`] says which kernels an instruction runs, with what operands; [`structured`], [`product`], [`attention`] and
//! [`conv`] are the kinds there are, each a [`Work`].

mod attention;
mod choose;
mod conv;
mod custom;
mod linalg;
mod product;
mod scan;
mod sort;
mod structured;

use std::ops::Range;

use retrograde_ops::structured::{Mismatch, RawView};
use retrograde_storage::{DType, Id, Packet, View};

use super::bind::Bindings;
use super::chain::Chained;
use super::plan::Plan;
use crate::list::{List, Value};
use crate::passes::memory::Place;
use crate::passes::places::Places;
use attention::Attention;
use conv::Conv;
use custom::Custom;
use linalg::Matrices;
use product::Product;
use scan::Scan;
use sort::Ordering;
use structured::Structured;

pub(crate) use choose::kernels;

/// Whose memory an operand stands in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Memory {
    /// Of a value.
    Value(Value),
    /// A place that is no value's: an output or update that is copied at the end.
    Place(Place),
}

/// Strided elements somewhere.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub at: Memory,
    pub dtype: DType,
    pub view: View,
}

impl Operand {
    /// The elements of `v`, through its view.
    fn of(list: &List, places: &Places, v: Value) -> Self {
        Self {
            at: Memory::Value(places.base(v)),
            dtype: list.dtype(v),
            view: *places.view(v),
        }
    }

    /// The memory that `v`'s elements are computed into.
    fn result(list: &List, v: Value) -> Self {
        Self {
            at: Memory::Value(v),
            dtype: list.dtype(v),
            view: View::dense(list.shape(v)),
        }
    }

    fn with(self, view: View) -> Self {
        Self { view, ..self }
    }

    fn raw(&self, bindings: &Bindings<'_>) -> RawView {
        RawView::new(bindings.address(self.at), self.dtype, &self.view)
    }

    /// The address of the first element.
    fn first(&self, bindings: &Bindings<'_>) -> *mut u8 {
        let offset = self.view.offset * self.dtype.size() as isize;
        bindings.address(self.at).wrapping_offset(offset)
    }

    fn bytes(&self) -> f64 {
        (self.view.shape.len() * self.dtype.size()) as f64
    }
}

/// What the planner asks of a kernel, and the running of its blocks.
trait Work {
    /// Whether the operands are such as the kernel runs on.
    fn check(&self) -> Result<(), Mismatch>;
    /// Blocks of each phase.
    fn phases(&self) -> Vec<usize>;
    /// Estimated nanoseconds on one core.
    fn cost_ns(&self) -> f64;
    /// The elements of the result that a block of the last phase writes, if they are one run of its memory.
    fn writes(&self, _block: usize) -> Option<Range<usize>> {
        None
    }
    /// Packets that all blocks share.
    fn shared_packets(&self) -> usize {
        0
    }
    /// Packets that each running thread needs.
    fn scratch_packets(&self) -> usize {
        0
    }
    /// Runs one block of one phase.
    ///
    /// # Safety
    /// The contract of [`Kernel::run`].
    unsafe fn run(&self, at: Block<'_>, scratch: &mut [Packet]);
    /// See [`Kernel::rows`].
    fn rows(&self) -> Option<Rows> {
        None
    }
    /// Of what has [`rows`](Self::rows).
    ///
    /// # Safety
    /// The contract of [`Kernel::run_strip`].
    unsafe fn run_strip(
        &self,
        _bindings: &Bindings<'_>,
        _strip: Strip,
        _shared: *mut Packet,
        _scratch: &mut [Packet],
    ) {
        unreachable!("only products have rows");
    }
}

/// Rows, columns and terms of a part of a product.
type Strip = (Range<usize>, Range<usize>, Range<usize>);

/// One block of a kernel in one run.
#[derive(Clone, Copy)]
struct Block<'a> {
    bindings: &'a Bindings<'a>,
    /// The instruction's number, for reports.
    site: u32,
    phase: usize,
    block: usize,
    /// The memory that all blocks share.
    shared: *mut Packet,
}

/// A product `C[m, n] = A[m, k] B[k, n]` that can be cut into blocks of whole rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    /// The value that A is, if it is one as it stands in memory, row after row.
    pub a: Option<Value>,
    /// Whose memory B stands in.
    pub b: Value,
    /// Terms at whose multiples it can be interrupted.
    pub piece: usize,
    /// Columns at whose multiples it can be cut.
    pub strip: usize,
    /// Its blocks, if nobody asks for others...
    pub blocks: usize,
    /// ...and whether they are whole rows: else rows are too few for that.
    pub by_rows: bool,
}

/// A kernel with its operands. `value` is the instruction it serves.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub value: Value,
    kind: Kind,
    /// First packet in the arena of the memory that all blocks share, if it needs any.
    pub shared: Option<usize>,
    /// What each block of the last phase goes on with: see [`chain`](super::chain).
    pub then: Option<Chained>,
    /// The kernel whose block runs before each of this one's: see [`beside`](super::chain::beside).
    pub beside: Option<usize>,
    /// Whether it runs as a link of a longer chain: see [`Chain`](super::chain::Chain).
    pub in_chain: bool,
    /// If it only copies a scalar to an output: its cell, the output and the bytes.
    pub scalar: Option<(u32, u32, usize)>,
}

#[derive(Debug)]
enum Kind {
    Structured(Structured),
    Linalg(Matrices),
    Ordering(Ordering),
    Custom(Custom),
    Product32(Product<f32>),
    Product64(Product<f64>),
    Attention32(Attention<f32>),
    Attention64(Attention<f64>),
    Conv32(Box<Conv<f32>>),
    Conv64(Box<Conv<f64>>),
    Scan(Box<Scan>),
}

impl Kernel {
    fn new(value: Value, kind: Kind) -> Self {
        Self {
            value,
            kind,
            shared: None,
            then: None,
            beside: None,
            in_chain: false,
            scalar: None,
        }
    }

    /// Copies a value to where it is wanted besides its own place.
    pub(crate) fn copy_out(list: &List, places: &Places, v: Value, to: Place) -> Self {
        let src = Operand::of(list, places, v);
        let dst = Operand {
            at: Memory::Place(to),
            ..Operand::result(list, v)
        };
        Self::new(v, Kind::Structured(Structured::Copy { src, dst }))
    }

    /// Where a kernel of [`copy_out`](Self::copy_out) copies to; `None` for one that computes its value.
    pub(crate) fn copies_to(&self) -> Option<Place> {
        match &self.kind {
            Kind::Structured(Structured::Copy { dst, .. }) => match dst.at {
                Memory::Place(to) => Some(to),
                Memory::Value(_) => None,
            },
            _ => None,
        }
    }

    /// Of a kernel of [`copy_out`](Self::copy_out) that copies a scalar to an output: its cell, the output and the
    /// bytes. Known once values have places.
    pub(crate) fn scalar_copy(&self, place: &[Place]) -> Option<(u32, u32, usize)> {
        let Kind::Structured(Structured::Copy { src, dst }) = &self.kind else {
            return None;
        };
        // A scalar may as well be spread over an output of many elements.
        if dst.view.shape.len() != 1 {
            return None;
        }
        match (src.at, dst.at) {
            (Memory::Value(v), Memory::Place(Place::Output(output))) => match place[v.index()] {
                Place::Cell(cell) => Some((cell, output, src.dtype.size())),
                _ => None,
            },
            _ => None,
        }
    }

    /// The plan of a step, of a scan.
    pub(crate) fn body(&self) -> Option<&Plan> {
        match &self.kind {
            Kind::Scan(scan) => Some(scan.plan()),
            _ => None,
        }
    }

    fn work(&self) -> &dyn Work {
        match &self.kind {
            Kind::Structured(work) => work,
            Kind::Linalg(work) => work,
            Kind::Ordering(work) => work,
            Kind::Custom(work) => work,
            Kind::Product32(work) => work,
            Kind::Product64(work) => work,
            Kind::Attention32(work) => work,
            Kind::Attention64(work) => work,
            Kind::Conv32(work) => &**work,
            Kind::Conv64(work) => &**work,
            Kind::Scan(work) => &**work,
        }
    }

    /// Whether the operands are such as the kernel runs on; else the planner is at fault.
    pub(crate) fn check(&self) -> Result<(), Mismatch> {
        self.work().check()
    }

    /// Packets that all blocks share.
    pub(crate) fn shared_packets(&self) -> usize {
        self.work().shared_packets()
    }

    /// Packets that each running thread needs.
    pub(crate) fn scratch_packets(&self) -> usize {
        self.work().scratch_packets()
    }

    /// Estimated nanoseconds on one core.
    pub(crate) fn cost_ns(&self) -> f64 {
        self.work().cost_ns()
    }

    /// Blocks of each phase.
    pub(crate) fn phases(&self) -> Vec<usize> {
        self.work().phases()
    }

    /// The elements of its value that a block of the last phase writes, if they are one run of memory.
    pub(crate) fn writes(&self, block: usize) -> Option<Range<usize>> {
        self.work().writes(block)
    }

    /// What there is to know of a product that can be cut into blocks of rows.
    pub(crate) fn rows(&self) -> Option<Rows> {
        self.work().rows()
    }

    /// Cuts a product that has [`rows`](Self::rows) into that many blocks, which begin at multiples of `unit` rows. It then
    /// has another number of [`phases`](Self::phases).
    pub(crate) fn cut_by_rows(&mut self, unit: usize, blocks: usize) {
        match &mut self.kind {
            Kind::Product32(product) => product.cut_by_rows(unit, blocks),
            Kind::Product64(product) => product.cut_by_rows(unit, blocks),
            _ => {}
        }
    }

    /// Runs rows and columns of a product [cut by rows](Self::cut_by_rows), or what some of its terms contribute to them.
    ///
    /// # Safety
    /// As [`run`](Self::run) for the last phase; the ranges are such as
    /// [`Plan::run_strip`](retrograde_ops::product::Plan::run_strip) takes, and earlier terms have been run.
    pub(crate) unsafe fn run_strip(
        &self,
        bindings: &Bindings<'_>,
        strip: Strip,
        shared: *mut Packet,
        scratch: &mut [Packet],
    ) {
        // SAFETY: passed on.
        unsafe { self.work().run_strip(bindings, strip, shared, scratch) }
    }

    /// Whether each block reads rows of a matrix that the same block of `other` reads, and both are as many.
    pub(crate) fn shares_rows(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Product32(a), Kind::Product32(b)) => a.shares_rows(b),
            (Kind::Product64(a), Kind::Product64(b)) => a.shares_rows(b),
            _ => false,
        }
    }

    /// Runs one block of one phase.
    ///
    /// # Safety
    /// The [block contract](retrograde_ops::structured): [`check`](Self::check) passed, the bindings' memory is live,
    /// sources are written by nobody and destinations touched by nobody else while blocks of this phase run. `shared`
    /// is this kernel's shared memory, and phases before this one are complete.
    pub(crate) unsafe fn run(
        &self,
        bindings: &Bindings<'_>,
        phase: usize,
        block: usize,
        shared: *mut Packet,
        scratch: &mut [Packet],
    ) {
        let at = Block {
            bindings,
            site: self.value.index() as u32,
            phase,
            block,
            shared,
        };
        // SAFETY: the caller's contract is the same.
        unsafe { self.work().run(at, scratch) }
    }
}
