//! Random fused groups against plain loops: exact equality, for every level, tile size, block size and block order.
//!
//! Only operations with one correct answer take part; `tile_ops.rs` covers the others.

mod tile_support;

use retrograde_ops::tile::*;
use retrograde_ops::{Binary, Level, Reduce, Ternary, Unary};
use retrograde_storage::DType;
use tile_support::*;

/// A value that later micro-ops may read.
#[derive(Clone, Copy)]
struct Live {
    slot: u16,
    elem: Elem,
    class: Class,
}

struct Generator {
    rng: Rng,
    group: Group,
    buffers: Vec<Buffer>,
    /// Views whose positions are all different elements, and whether they hold a `Full` value.
    injective: Vec<u32>,
    live: Vec<Live>,
}

impl Generator {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let width = rng.pick(&[Width::Four, Width::Eight]);
        let extents = [0, 1, 1, 2, 3, 5, 8, 13, 33, 70];
        let inners = [
            0, 1, 1, 2, 7, 8, 15, 16, 17, 31, 100, 128, 513, 1024, 1025, 3000,
        ];
        let outer = rng.pick(&extents[..8]);
        let middle = rng.pick(&extents);
        let mut inner = rng.pick(&inners);
        if outer * middle * inner > 30_000 {
            inner = rng.pick(&inners[..10]);
        }
        let group = Group {
            space: [outer, middle, inner],
            width,
            ops: vec![],
            slots: vec![],
            views: vec![],
            constants: vec![],
            uniforms: vec![],
            reductions: vec![],
        };
        Self {
            rng,
            group,
            buffers: vec![],
            injective: vec![],
            live: vec![],
        }
    }

    fn element(rng: &mut Rng, dtype: DType) -> u64 {
        let small = rng.below(17) as i64 - 8;
        match dtype {
            DType::F32 => u64::from((small as f32 * 0.25).to_bits()),
            DType::F64 => (small as f64 * 0.25).to_bits(),
            DType::U32 => u64::from(if rng.one_in(5) {
                u32::MAX
            } else {
                small.unsigned_abs() as u32
            }),
            DType::I64 => (if rng.one_in(5) { i64::MIN } else { small }) as u64,
            DType::Bool => rng.next() & 1,
        }
    }

    /// A new view: any strides, or only those that keep positions apart.
    fn view(&mut self, elem: Elem, class: Class, apart: bool) -> u32 {
        let width = self.group.width;
        let dtype = match elem {
            Elem::Float => float_type(width),
            Elem::Int => int_type(width),
            Elem::Mask => DType::Bool,
        };
        let mut strides = [0isize; 3];
        let axes = match class {
            Class::Full => 3,
            Class::Column => 2,
            Class::Scalar => 0,
        };
        let mut order = [0, 1, 2];
        if self.rng.one_in(3) {
            order.swap(self.rng.below(3), self.rng.below(3));
        }
        // Innermost first: each axis steps over the one before it.
        let mut step = if self.rng.one_in(4) { 2 } else { 1 };
        for &axis in order.iter().rev().filter(|&&a| a < axes) {
            strides[axis] = step;
            step *= self.group.space[axis].max(1) as isize;
            step += isize::from(self.rng.one_in(5));
            if self.rng.one_in(5) {
                strides[axis] = -strides[axis];
            }
            if !apart && self.rng.one_in(5) {
                strides[axis] = 0;
            }
        }
        let spec = ViewSpec { dtype, strides };
        let space = self.group.space;
        let rng = &mut self.rng;
        let buffer = Buffer::new(spec, space, || Self::element(rng, dtype));
        self.group.views.push(spec);
        self.buffers.push(buffer);
        self.group.views.len() as u32 - 1
    }

    /// A slot for a result: a new one, or that of a value that nobody reads any more.
    fn result(&mut self, elem: Elem, class: Class) -> u16 {
        let dead = if class != Class::Scalar && self.rng.one_in(3) {
            self.live.iter().position(|l| l.class == class)
        } else {
            None
        };
        let slot = if let Some(index) = dead {
            self.live.swap_remove(index).slot
        } else {
            self.group.slots.push(class);
            self.group.slots.len() as u16 - 1
        };
        self.live.push(Live { slot, elem, class });
        slot
    }

    fn operand(&mut self, elem: Elem) -> Option<Live> {
        let of: Vec<Live> = self
            .live
            .iter()
            .copied()
            .filter(|l| l.elem == elem)
            .collect();
        (!of.is_empty()).then(|| self.rng.pick(&of))
    }

    fn load(&mut self) {
        let elem = self
            .rng
            .pick(&[Elem::Float, Elem::Float, Elem::Int, Elem::Mask]);
        let class = self
            .rng
            .pick(&[Class::Full, Class::Full, Class::Column, Class::Scalar]);
        let apart = self.rng.one_in(2);
        let imm = self.view(elem, class, apart);
        if apart && class == Class::Full {
            self.injective.push(imm);
        }
        let dst = self.result(elem, class);
        self.push(MicroOp {
            imm,
            ..MicroOp::new(Code::Load, dst)
        });
    }

    fn push(&mut self, op: MicroOp) {
        self.group.ops.push(op);
    }

    fn step(&mut self) -> Option<()> {
        const FLOATS: [Unary; 13] = [
            Unary::Neg,
            Unary::Abs,
            Unary::Sign,
            Unary::Recip,
            Unary::Square,
            Unary::Sqrt,
            Unary::Rsqrt,
            Unary::Floor,
            Unary::Ceil,
            Unary::Round,
            Unary::Trunc,
            Unary::Relu,
            Unary::IsNan,
        ];
        use Binary::*;
        let elem = self
            .rng
            .pick(&[Elem::Float, Elem::Float, Elem::Int, Elem::Mask]);
        match self.rng.below(17) {
            0 | 1 => self.load(),
            2 => {
                let constant = match elem {
                    Elem::Float => (self.rng.below(9) as f64 - 4.0).to_bits(),
                    _ => self.rng.next() >> self.rng.below(64),
                };
                self.group.constants.push(constant);
                let imm = self.group.constants.len() as u32 - 1;
                let dst = self.result(elem, Class::Scalar);
                self.push(MicroOp {
                    imm,
                    ..MicroOp::new(Code::Const(elem), dst)
                });
            }
            3 => {
                let elem = self.rng.pick(&[Elem::Float, Elem::Int]);
                let axis = self.rng.pick(&[Axis::Outer, Axis::Middle, Axis::Inner]);
                let class = if axis == Axis::Inner {
                    Class::Full
                } else {
                    Class::Column
                };
                let dst = self.result(elem, class);
                self.push(MicroOp::new(Code::Iota(axis, elem), dst));
            }
            4 => {
                let a = self.operand(elem)?;
                let class = self.rng.pick(&[Class::Full, Class::Column]).max(a.class);
                let dst = self.result(elem, class);
                self.push(MicroOp {
                    a: a.slot,
                    ..MicroOp::new(Code::Copy, dst)
                });
            }
            5 | 6 => {
                let a = self.operand(elem)?;
                let what = match elem {
                    Elem::Float => self.rng.pick(&FLOATS),
                    Elem::Int => Unary::Neg,
                    Elem::Mask => Unary::Not,
                };
                let to = if what == Unary::IsNan {
                    Elem::Mask
                } else {
                    elem
                };
                let dst = self.result(to, a.class);
                self.push(MicroOp {
                    a: a.slot,
                    ..MicroOp::new(Code::Unary(elem, what), dst)
                });
            }
            7..=10 => {
                let (a, b) = (self.operand(elem)?, self.operand(elem)?);
                let what = match elem {
                    Elem::Float => self.rng.pick(&[
                        Add, Sub, Mul, Div, Rem, Max, Min, MulStrong, DivStrong, Lt, Le, Gt, Ge,
                        Eq, Ne,
                    ]),
                    Elem::Int => self
                        .rng
                        .pick(&[Add, Sub, Mul, Max, Min, Lt, Le, Gt, Ge, Eq, Ne]),
                    Elem::Mask => self.rng.pick(&[And, Or, Xor, Eq, Ne]),
                };
                let to = if matches!(what, Lt | Le | Gt | Ge | Eq | Ne) {
                    Elem::Mask
                } else {
                    elem
                };
                let dst = self.result(to, a.class.max(b.class));
                self.push(MicroOp {
                    a: a.slot,
                    b: b.slot,
                    ..MicroOp::new(Code::Binary(elem, what), dst)
                });
            }
            16 => {
                let float = Elem::Float;
                let [a, b, c] = [(); 3].map(|()| self.operand(float));
                let (a, b, c) = (a?, b?, c?);
                let scalars = [(); 3].map(|()| {
                    let constant = (self.rng.below(9) as f64 - 4.0).to_bits();
                    self.group.constants.push(constant);
                    let imm = self.group.constants.len() as u32 - 1;
                    let slot = self.result(float, Class::Scalar);
                    self.push(MicroOp {
                        imm,
                        ..MicroOp::new(Code::Const(float), slot)
                    });
                    slot
                });
                self.group.uniforms.push(scalars);
                let all = [
                    Update::Gradient,
                    Update::Moment,
                    Update::SquareMoment,
                    Update::Step,
                ];
                let code = Code::Update(self.rng.pick(&all));
                let dst = self.result(float, a.class.max(b.class).max(c.class));
                self.push(MicroOp {
                    a: a.slot,
                    b: b.slot,
                    c: c.slot,
                    imm: self.group.uniforms.len() as u32 - 1,
                    ..MicroOp::new(code, dst)
                });
            }
            11 if self.rng.one_in(2) => {
                use retrograde_ops::tile::{Inner, Outer};
                let float = Elem::Float;
                let [a, b, c] = [(); 3].map(|()| self.operand(float));
                let (a, b, c) = (a?, b?, c?);
                let inner = [
                    Inner::Add,
                    Inner::Sub,
                    Inner::Mul,
                    Inner::Div,
                    Inner::MulStrong,
                ];
                let outer = [
                    Outer::Add,
                    Outer::Sub,
                    Outer::SubFrom,
                    Outer::Mul,
                    Outer::Div,
                    Outer::DivInto,
                ];
                let code = Code::Pair(self.rng.pick(&inner), self.rng.pick(&outer));
                let dst = self.result(float, a.class.max(b.class).max(c.class));
                self.push(MicroOp {
                    a: a.slot,
                    b: b.slot,
                    c: c.slot,
                    ..MicroOp::new(code, dst)
                });
            }
            11 => {
                let what = self
                    .rng
                    .pick(&[Ternary::Select, Ternary::Clamp, Ternary::Fma]);
                let elem = match what {
                    Ternary::Select => elem,
                    Ternary::Clamp => self.rng.pick(&[Elem::Float, Elem::Int]),
                    Ternary::Fma => Elem::Float,
                };
                let first = if what == Ternary::Select {
                    Elem::Mask
                } else {
                    elem
                };
                let (a, b, c) = (
                    self.operand(first)?,
                    self.operand(elem)?,
                    self.operand(elem)?,
                );
                let dst = self.result(elem, a.class.max(b.class).max(c.class));
                self.push(MicroOp {
                    a: a.slot,
                    b: b.slot,
                    c: c.slot,
                    ..MicroOp::new(Code::Ternary(elem, what), dst)
                });
            }
            12 => {
                let from = elem;
                let to = match from {
                    Elem::Float => Elem::Int,
                    Elem::Int => Elem::Float,
                    Elem::Mask => self.rng.pick(&[Elem::Float, Elem::Int]),
                };
                let a = self.operand(from)?;
                let dst = self.result(to, a.class);
                self.push(MicroOp {
                    a: a.slot,
                    ..MicroOp::new(Code::Cast(from, to), dst)
                });
            }
            13 => {
                let elem = self.rng.pick(&[Elem::Float, Elem::Int]);
                let kind = self.kind();
                let a = self.operand(elem).filter(|a| a.class == Class::Full)?;
                let dst = self.result(elem, Class::Column);
                self.push(MicroOp {
                    a: a.slot,
                    ..MicroOp::new(Code::ReduceRow(elem, kind), dst)
                });
            }
            14 => {
                let elem = self.rng.pick(&[Elem::Float, Elem::Int]);
                let kind = self.kind();
                let a = self.operand(elem).filter(|a| a.class != Class::Scalar)?;
                let over = self.rng.pick(&[Over::All, Over::Rows, Over::Middle]);
                self.group.reductions.push(Reduction {
                    over,
                    kind,
                    elem,
                    class: a.class,
                });
                let imm = self.group.reductions.len() as u32 - 1;
                self.push(MicroOp {
                    a: a.slot,
                    imm,
                    ..MicroOp::new(Code::Reduce, 0)
                });
            }
            _ => {
                let a = self.operand(elem).filter(|a| a.class != Class::Scalar)?;
                let reuse = self.injective.iter().copied().find(|&v| {
                    a.class == Class::Full
                        && self.group.width.elem(self.group.views[v as usize].dtype) == Some(elem)
                });
                let imm = match reuse {
                    Some(view) if self.rng.one_in(2) => view,
                    _ => self.view(elem, a.class, true),
                };
                self.push(MicroOp {
                    a: a.slot,
                    imm,
                    ..MicroOp::new(Code::Store, 0)
                });
            }
        }
        Some(())
    }

    fn kind(&mut self) -> Reduce {
        self.rng.pick(&[
            Reduce::Sum,
            Reduce::Sum,
            Reduce::Prod,
            Reduce::Max,
            Reduce::Min,
        ])
    }
}

fn random_group(seed: u64) -> (Group, Vec<Buffer>) {
    let mut g = Generator::new(seed);
    for _ in 0..3 {
        g.load();
    }
    for _ in 0..g.rng.below(30) + 5 {
        let _ = g.step();
    }
    // Whatever is left is stored, so that no result goes unseen.
    for live in g.live.clone() {
        if live.class != Class::Scalar {
            let imm = g.view(live.elem, live.class, true);
            g.push(MicroOp {
                a: live.slot,
                imm,
                ..MicroOp::new(Code::Store, 0)
            });
        }
    }
    (g.group, g.buffers)
}

#[test]
fn random_groups_equal_plain_loops_exactly() {
    let long = std::env::var_os("RETROGRADE_LONG").is_some();
    let cases = match () {
        () if long => 5000,
        () if cfg!(miri) => 4,
        () => 300,
    };
    let ways = ways();
    for seed in 0..cases {
        let (group, buffers) = random_group(seed);
        group
            .check()
            .unwrap_or_else(|e| panic!("seed {seed}: {e}\n{group:#?}"));
        for fused in [false, true] {
            let mut expected = buffers.clone();
            let results = oracle(&group, &mut expected, fused);
            for way in ways
                .iter()
                .filter(|w| (w.level != Level::Baseline) == fused)
            {
                let mut found = buffers.clone();
                let found_results = run(&group, &mut found, *way);
                for (view, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let elem = group.width.elem(found.spec.dtype).unwrap();
                    for (i, (f, e)) in found.raw().into_iter().zip(expected.raw()).enumerate() {
                        assert!(
                            same(group.width, elem, f, e),
                            "seed {seed}, {way:?}: view {view}, element {i}: {f:x}, expected {e:x}\n{group:#?}"
                        );
                    }
                }
                for (r, (found, expected)) in found_results.iter().zip(&results).enumerate() {
                    assert_eq!(found.len(), expected.len(), "seed {seed}: reduction {r}");
                    for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
                        assert!(
                            same(group.width, group.reductions[r].elem, f, e),
                            "seed {seed}, {way:?}: reduction {r}, element {i}: {f:x}, expected {e:x}\n{group:#?}"
                        );
                    }
                }
            }
        }
    }
}
