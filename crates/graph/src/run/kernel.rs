//! Kernels of instructions that are not fused: which kernel an op runs, with what operands, in which phases.

use retrograde_ops::Level;
use retrograde_ops::product::{Operands, Plan as ProductPlan, Spec, Strides};
use retrograde_ops::structured as kernels;
use retrograde_ops::structured::RawView;
use retrograde_storage::{DType, Packet, Shape, View};

use super::bind::Bindings;
use crate::list::{List, Value};
use crate::op::{Draw, Op};
use crate::passes::memory::Place;
use crate::passes::places::Places;

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

    fn with(self, view: View) -> Self {
        Self { view, ..self }
    }

    fn raw(&self, bindings: &Bindings<'_>) -> RawView {
        RawView::new(bindings.address(self.at), self.dtype, &self.view)
    }

    fn bytes(&self) -> f64 {
        (self.view.shape.len() * self.dtype.size()) as f64
    }
}

/// A kernel with its operands. `value` is the instruction it serves.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub value: Value,
    kind: Kind,
    /// First packet in the arena of the memory that all blocks share, if it needs any.
    pub shared: Option<usize>,
}

#[derive(Debug)]
enum Kind {
    Copy {
        src: Operand,
        dst: Operand,
    },
    Fill {
        dst: Operand,
        bits: u64,
    },
    Cast {
        src: Operand,
        dst: Operand,
    },
    Gather {
        src: Operand,
        index: Operand,
        dst: Operand,
        axis: usize,
    },
    ScatterAdd {
        src: Operand,
        index: Operand,
        dst: Operand,
        axis: usize,
    },
    Random {
        dst: Operand,
        draw: kernels::Draw,
        stream: u32,
        ordinal: u32,
    },
    Lines {
        walk: kernels::Walk,
        x: Operand,
        y: Option<Operand>,
        dst: Operand,
        axis: usize,
    },
    Permutation {
        dst: Operand,
        stream: u32,
        ordinal: u32,
    },
    Product32(Product<f32>),
    Product64(Product<f64>),
}

/// A product for each index of the batch axes.
#[derive(Debug)]
struct Product<T: retrograde_ops::product::Float> {
    plan: ProductPlan<T>,
    operands: [Operand; 3],
    /// Batch axes of A, B and C: extents, and strides of each.
    batch: View,
    batch_b: View,
    batch_c: View,
    spec: Spec,
}

/// Blocks wanted of a product at most: a few for each of many cores. Bits do not depend on it.
const PRODUCT_BLOCKS: usize = 8;
/// Nanoseconds a multiply-add of a product takes: 80 GFLOP/s.
const PRODUCT_NS: f64 = 0.025;
/// Nanoseconds a byte takes through a whole-buffer kernel.
const BYTE_NS: f64 = 0.2;

impl<T: retrograde_ops::product::Float> Product<T> {
    fn new(level: Level, a: Operand, b: Operand, c: Operand) -> Self {
        let matrix = |x: &Operand| {
            let rank = x.view.shape.rank();
            let dims = x.view.shape.dims();
            (
                dims[rank - 2],
                dims[rank - 1],
                Strides {
                    row: x.view.strides[rank - 2],
                    column: x.view.strides[rank - 1],
                },
            )
        };
        let ((m, k, sa), (_, n, sb), (_, _, sc)) = (matrix(&a), matrix(&b), matrix(&c));
        let lead = |x: &Operand| {
            let rank = x.view.shape.rank() - 2;
            let shape = Shape::new(&x.view.shape.dims()[..rank]).expect("fewer axes");
            let mut strides = [0; retrograde_storage::MAX_RANK];
            strides[..rank].copy_from_slice(&x.view.strides[..rank]);
            View {
                shape,
                offset: x.view.offset,
                strides,
            }
        };
        let batch_c = lead(&c);
        let count = batch_c.shape.len();
        // With a batch, each product is one block: enough to share out, and nothing to pack for others.
        let max_blocks = if count > 1 { 1 } else { PRODUCT_BLOCKS };
        let spec = Spec {
            m,
            n,
            k,
            a: sa,
            b: sb,
            c: sc,
            max_blocks,
        };
        Self {
            plan: ProductPlan::new(level, &spec),
            batch: lead(&a).expand(batch_c.shape),
            batch_b: lead(&b).expand(batch_c.shape),
            batch_c,
            operands: [a, b, c],
            spec,
        }
    }

    fn blocks(&self) -> usize {
        self.plan.blocks() * self.batch_c.shape.len()
    }

    /// Where the matrices of batch index `i` start.
    fn addresses(&self, bindings: &Bindings<'_>, i: usize) -> Operands<T> {
        let base = |x: usize| bindings.address(self.operands[x].at).cast::<T>();
        Operands {
            a: base(0).wrapping_offset(position(&self.batch, i)),
            b: base(1).wrapping_offset(position(&self.batch_b, i)),
            c: base(2).wrapping_offset(position(&self.batch_c, i)),
        }
    }

    /// # Safety
    /// The block contract of [`kernels`], and `shared` is the memory asked for by [`Kernel::shared_packets`].
    unsafe fn run(
        &self,
        bindings: &Bindings<'_>,
        phase: usize,
        block: usize,
        shared: *mut Packet,
        scratch: &mut [Packet],
    ) {
        let packs = self.plan.pack_parts() > 0;
        if packs && phase == 0 {
            // SAFETY: the caller's contract; only a product without batch packs.
            unsafe { self.plan.pack(block, &self.addresses(bindings, 0), shared) }
        } else {
            let each = self.plan.blocks();
            let operands = self.addresses(bindings, block / each);
            // SAFETY: the caller's contract; packing, if any, was the phase before.
            unsafe {
                self.plan
                    .run_block(block % each, &operands, shared, scratch, false, |_, _| {})
            }
        }
    }
}

/// Position of the element of row-major number `i`.
fn position(view: &View, i: usize) -> isize {
    let (mut rest, mut at) = (i, view.offset);
    for (axis, &d) in view.shape.dims().iter().enumerate().rev() {
        at += (rest % d) as isize * view.strides[axis];
        rest /= d;
    }
    at
}

impl Kernel {
    fn new(value: Value, kind: Kind) -> Self {
        Self {
            value,
            kind,
            shared: None,
        }
    }

    /// Copies a value to where it is wanted besides its own place.
    pub(crate) fn copy_out(list: &List, places: &Places, v: Value, to: Place) -> Self {
        let src = Operand::of(list, places, v);
        let dst = Operand {
            at: Memory::Place(to),
            dtype: src.dtype,
            view: View::dense(list.shape(v)),
        };
        Self::new(v, Kind::Copy { src, dst })
    }

    /// Where a kernel of [`copy_out`](Self::copy_out) copies to; `None` for one that computes its value.
    pub(crate) fn copies_to(&self) -> Option<Place> {
        match &self.kind {
            Kind::Copy { dst, .. } => match dst.at {
                Memory::Place(to) => Some(to),
                _ => None,
            },
            _ => None,
        }
    }

    /// Packets that all blocks share.
    pub(crate) fn shared_packets(&self) -> usize {
        match &self.kind {
            Kind::Product32(p) => p.plan.packed_packets().unwrap_or(usize::MAX),
            Kind::Product64(p) => p.plan.packed_packets().unwrap_or(usize::MAX),
            _ => 0,
        }
    }

    /// Packets that each running thread needs.
    pub(crate) fn scratch(&self) -> usize {
        match &self.kind {
            Kind::Product32(p) => p.plan.scratch_packets(),
            Kind::Product64(p) => p.plan.scratch_packets(),
            _ => 0,
        }
    }

    /// Estimated nanoseconds on one core.
    pub(crate) fn cost_ns(&self) -> f64 {
        let product = |s: &Spec, batch: &View| {
            s.m as f64 * s.n as f64 * s.k as f64 * batch.shape.len() as f64 * PRODUCT_NS
        };
        match &self.kind {
            Kind::Product32(p) => product(&p.spec, &p.batch_c),
            Kind::Product64(p) => product(&p.spec, &p.batch_c) * 2.0,
            Kind::Copy { dst, .. }
            | Kind::Fill { dst, .. }
            | Kind::Cast { dst, .. }
            | Kind::Gather { dst, .. } => dst.bytes() * BYTE_NS,
            Kind::Random { dst, .. } | Kind::Permutation { dst, .. } => dst.bytes(),
            Kind::Lines { x, .. } => x.bytes(),
            Kind::ScatterAdd { src, dst, .. } => (src.bytes() + dst.bytes()) * BYTE_NS,
        }
    }

    /// Blocks of each phase.
    pub(crate) fn phases(&self) -> Vec<usize> {
        // Blocks depend on shapes alone, so any address will do.
        let bindings = Bindings::nowhere();
        match &self.kind {
            Kind::Product32(p) => product_phases(p.plan.pack_parts(), p.blocks()),
            Kind::Product64(p) => product_phases(p.plan.pack_parts(), p.blocks()),
            Kind::Copy { src, dst } => vec![
                kernels::Copy {
                    src: src.raw(&bindings),
                    dst: dst.raw(&bindings),
                }
                .blocks(),
            ],
            Kind::Fill { dst, bits } => vec![
                kernels::Fill {
                    dst: dst.raw(&bindings),
                    bits: *bits,
                }
                .blocks(),
            ],
            Kind::Cast { src, dst } => vec![
                kernels::Cast {
                    src: src.raw(&bindings),
                    dst: dst.raw(&bindings),
                }
                .blocks(),
            ],
            Kind::Random { .. } => vec![self.random(&bindings).map_or(0, |r| r.blocks())],
            Kind::Permutation { .. } => vec![self.permutation(&bindings).map_or(0, |p| p.blocks())],
            Kind::Lines { .. } => vec![self.lines(&bindings).map_or(0, |l| l.blocks())],
            Kind::Gather {
                src,
                index,
                dst,
                axis,
            } => {
                let (src, index, dst) =
                    (src.raw(&bindings), index.raw(&bindings), dst.raw(&bindings));
                vec![
                    kernels::Gather {
                        src,
                        index,
                        dst,
                        axis: *axis,
                        errors: bindings.errors,
                        site: 0,
                    }
                    .blocks(),
                ]
            }
            Kind::ScatterAdd {
                src,
                index,
                dst,
                axis,
            } => {
                let (src, index, dst) =
                    (src.raw(&bindings), index.raw(&bindings), dst.raw(&bindings));
                let combine = kernels::Combine::Add;
                let errors = bindings.errors;
                vec![
                    kernels::Scatter {
                        src,
                        index,
                        base: None,
                        dst,
                        axis: *axis,
                        combine,
                        errors,
                        site: 0,
                    }
                    .blocks(),
                ]
            }
        }
    }

    fn random(&self, bindings: &Bindings<'_>) -> Option<kernels::Random> {
        let Kind::Random {
            dst,
            draw,
            stream,
            ordinal,
        } = &self.kind
        else {
            return None;
        };
        Some(kernels::Random {
            counter: counter(bindings, *stream, *ordinal),
            draw: *draw,
            dst: dst.raw(bindings),
        })
    }

    fn permutation(&self, bindings: &Bindings<'_>) -> Option<kernels::Permutation> {
        let Kind::Permutation {
            dst,
            stream,
            ordinal,
        } = &self.kind
        else {
            return None;
        };
        Some(kernels::Permutation {
            counter: counter(bindings, *stream, *ordinal),
            dst: dst.raw(bindings),
        })
    }

    fn lines(&self, bindings: &Bindings<'_>) -> Option<kernels::Lines> {
        let Kind::Lines {
            walk,
            x,
            y,
            dst,
            axis,
        } = &self.kind
        else {
            return None;
        };
        let y = y.as_ref().map(|y| y.raw(bindings));
        Some(kernels::Lines {
            walk: *walk,
            x: x.raw(bindings),
            y,
            dst: dst.raw(bindings),
            axis: *axis,
        })
    }

    /// Runs one block of one phase.
    ///
    /// # Safety
    /// The block contract of [`kernels`]: the bindings' memory is live, sources are written by nobody and destinations
    /// touched by nobody else while blocks of this phase run; `shared` is this kernel's shared memory.
    pub(crate) unsafe fn run(
        &self,
        bindings: &Bindings<'_>,
        phase: usize,
        block: usize,
        shared: *mut Packet,
        scratch: &mut [Packet],
    ) {
        let (level, errors) = (bindings.level, bindings.errors);
        let site = retrograde_storage::Id::index(self.value) as u32;
        // SAFETY: in all arms, the caller's contract is the kernel's.
        unsafe {
            match &self.kind {
                Kind::Product32(p) => p.run(bindings, phase, block, shared, scratch),
                Kind::Product64(p) => p.run(bindings, phase, block, shared, scratch),
                Kind::Copy { src, dst } => kernels::Copy {
                    src: src.raw(bindings),
                    dst: dst.raw(bindings),
                }
                .run_block(level, block),
                Kind::Fill { dst, bits } => kernels::Fill {
                    dst: dst.raw(bindings),
                    bits: *bits,
                }
                .run_block(level, block),
                Kind::Cast { src, dst } => kernels::Cast {
                    src: src.raw(bindings),
                    dst: dst.raw(bindings),
                }
                .run_block(level, block),
                Kind::Random { .. } => self
                    .random(bindings)
                    .into_iter()
                    .for_each(|r| r.run_block(level, block)),
                Kind::Permutation { .. } => self
                    .permutation(bindings)
                    .into_iter()
                    .for_each(|p| p.run_block(level, block)),
                Kind::Lines { .. } => self
                    .lines(bindings)
                    .into_iter()
                    .for_each(|l| l.run_block(level, block)),
                Kind::Gather {
                    src,
                    index,
                    dst,
                    axis,
                } => {
                    let (src, index, dst) =
                        (src.raw(bindings), index.raw(bindings), dst.raw(bindings));
                    kernels::Gather {
                        src,
                        index,
                        dst,
                        axis: *axis,
                        errors,
                        site,
                    }
                    .run_block(level, block);
                }
                Kind::ScatterAdd {
                    src,
                    index,
                    dst,
                    axis,
                } => {
                    let (src, index, dst) =
                        (src.raw(bindings), index.raw(bindings), dst.raw(bindings));
                    let combine = kernels::Combine::Add;
                    kernels::Scatter {
                        src,
                        index,
                        base: None,
                        dst,
                        axis: *axis,
                        combine,
                        errors,
                        site,
                    }
                    .run_block(level, block);
                }
            }
        }
    }
}

/// The numbers of a draw: its stream's seed, its ordinal, the run.
fn counter(bindings: &Bindings<'_>, stream: u32, ordinal: u32) -> kernels::Counter {
    let key = bindings
        .seeds
        .get(stream as usize)
        .copied()
        .unwrap_or_default();
    kernels::Counter {
        key,
        ordinal,
        step: bindings.step,
    }
}

fn product_phases(packs: usize, blocks: usize) -> Vec<usize> {
    if packs > 0 {
        vec![packs, blocks]
    } else {
        vec![blocks]
    }
}

/// The kernels that compute `v`, in order.
pub(crate) fn kernels(list: &List, places: &Places, v: Value, level: Level) -> Vec<Kernel> {
    let arg = |i: usize| Operand::of(list, places, list.arg(v, i));
    let dst = Operand {
        at: Memory::Value(v),
        dtype: list.dtype(v),
        view: View::dense(list.shape(v)),
    };
    let axis = list.attr(v).as_axis();
    let kinds = match list.op(v) {
        Op::MatMul if dst.dtype == DType::F64 => {
            vec![Kind::Product64(Product::new(level, arg(0), arg(1), dst))]
        }
        Op::MatMul => vec![Kind::Product32(Product::new(level, arg(0), arg(1), dst))],
        Op::Cast => vec![Kind::Cast { src: arg(0), dst }],
        Op::Slice => {
            let (spec, source) = (list.slice_spec(v), arg(0));
            let window = (0..dst.view.shape.rank()).fold(source.view, |view, axis| {
                view.slice(
                    axis,
                    spec.start[axis],
                    spec.step[axis],
                    dst.view.shape.dims()[axis],
                )
            });
            vec![Kind::Copy {
                src: source.with(window),
                dst,
            }]
        }
        Op::Reshape | Op::Expand | Op::Permute | Op::Detach | Op::Copy => {
            let source = arg(0);
            // A reshape that strides cannot say: the elements in row-major order, written densely under the old shape.
            vec![Kind::Copy {
                src: source,
                dst: dst.with(View::dense(source.view.shape)),
            }]
        }
        Op::Unslice => {
            let spec = list.slice_spec(v);
            let source = arg(0);
            let window = (0..list.shape(v).rank()).fold(dst.view, |view, axis| {
                view.slice(
                    axis,
                    spec.start[axis],
                    spec.step[axis],
                    source.view.shape.dims()[axis],
                )
            });
            vec![
                Kind::Fill { dst, bits: 0 },
                Kind::Copy {
                    src: source,
                    dst: dst.with(window),
                },
            ]
        }
        Op::Concat => {
            let mut start = 0;
            let parts = list.args(v).iter().map(|&a| {
                let src = Operand::of(list, places, a);
                let len = src.view.shape.dims()[axis];
                let window = dst.view.slice(axis, start, 1, len);
                start += len;
                Kind::Copy {
                    src,
                    dst: dst.with(window),
                }
            });
            parts.collect()
        }
        Op::Random(draw) => {
            let (stream, ordinal) = list.attr(v).as_draw();
            vec![match draw {
                Draw::Uniform => Kind::Random {
                    dst,
                    draw: kernels::Draw::Uniform,
                    stream,
                    ordinal,
                },
                Draw::Normal => Kind::Random {
                    dst,
                    draw: kernels::Draw::Normal,
                    stream,
                    ordinal,
                },
                Draw::Bits => Kind::Random {
                    dst,
                    draw: kernels::Draw::Bits,
                    stream,
                    ordinal,
                },
                Draw::Permutation => Kind::Permutation {
                    dst,
                    stream,
                    ordinal,
                },
            }]
        }
        Op::Recurrence => {
            let broad = |x: Operand| x.with(x.view.expand(dst.view.shape));
            let walk = kernels::Walk::Recurrence {
                reverse: list.attr(v).is_reverse(),
                strong: list.attr(v).is_strong(),
            };
            vec![Kind::Lines {
                walk,
                x: broad(arg(0)),
                y: Some(broad(arg(1))),
                dst,
                axis,
            }]
        }
        Op::CumMax => vec![Kind::Lines {
            walk: kernels::Walk::CumMax,
            x: arg(0),
            y: None,
            dst,
            axis,
        }],
        Op::CumArgMax => vec![Kind::Lines {
            walk: kernels::Walk::CumArgMax,
            x: arg(0),
            y: None,
            dst,
            axis,
        }],
        Op::LogCumSumExp => vec![Kind::Lines {
            walk: kernels::Walk::LogCumSumExp,
            x: arg(0),
            y: None,
            dst,
            axis,
        }],
        Op::ArgMax => vec![Kind::Lines {
            walk: kernels::Walk::ArgMax,
            x: arg(0),
            y: None,
            dst,
            axis,
        }],
        Op::ArgMin => vec![Kind::Lines {
            walk: kernels::Walk::ArgMin,
            x: arg(0),
            y: None,
            dst,
            axis,
        }],
        Op::Gather => {
            let index = arg(1);
            let index = index.with(index.view.expand(dst.view.shape));
            vec![Kind::Gather {
                src: arg(0),
                index,
                dst,
                axis,
            }]
        }
        Op::CheckIndex => {
            // Reads the only element of a repeated axis as long as the bound: what remains is the check of the index.
            let index = arg(0);
            let flat = |x: &Operand, shape: &[usize]| {
                Shape::new(shape).ok().and_then(|s| x.view.reshape(s))
            };
            let n = index.view.shape.len();
            let mut repeated = View::dense(
                Shape::new(&[list.attr(v).as_int() as usize]).expect("a bound is an extent"),
            );
            repeated.strides[0] = 0;
            repeated.offset = index.view.offset;
            let line = dst.with(View::dense(Shape::new(&[n]).expect("as many as before")));
            let mut kinds = Vec::new();
            if let (Some(view), true) = (flat(&index, &[n]), n > 0) {
                kinds.push(Kind::Gather {
                    src: index.with(repeated),
                    index: index.with(view),
                    dst: line,
                    axis: 0,
                });
            }
            kinds.push(Kind::Copy { src: index, dst });
            kinds
        }
        Op::ScatterAdd => {
            let (src, index) = (arg(0), arg(1));
            let index = index.with(index.view.expand(src.view.shape));
            vec![Kind::ScatterAdd {
                src,
                index,
                dst,
                axis,
            }]
        }
        other => unreachable!("{other:?} has no kernel of its own"),
    };
    kinds.into_iter().map(|kind| Kernel::new(v, kind)).collect()
}
