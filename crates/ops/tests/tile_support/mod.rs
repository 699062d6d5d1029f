//! What the tests of the tile engine share: a generator of numbers, buffers behind views, a runner that varies tiles,
//! blocks and their order, and an oracle that runs micro-ops one whole space at a time in plain loops.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::cell::Cell;
use std::num::NonZeroUsize;

use retrograde_ops::thresholds::BLOCK_ELEMENTS;
use retrograde_ops::tile::*;
use retrograde_ops::{Binary, Level, Reduce, Ternary, Unary};
use retrograde_storage::{DType, Packet};

/// A small generator of numbers (splitmix64).
pub(crate) struct Rng(pub u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d049bb133111eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
    /// In [0, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Bits of an element in a register of eight bytes.
pub(crate) fn float_bits(width: Width, x: f64) -> u64 {
    match width {
        Width::Four => u64::from((x as f32).to_bits()),
        Width::Eight => x.to_bits(),
    }
}

pub(crate) fn float_of(width: Width, bits: u64) -> f64 {
    match width {
        Width::Four => f64::from(f32::from_bits(bits as u32)),
        Width::Eight => f64::from_bits(bits),
    }
}

fn int_of(width: Width, bits: u64) -> i128 {
    match width {
        Width::Four => i128::from(bits as u32),
        Width::Eight => i128::from(bits as i64),
    }
}

fn int_bits(width: Width, x: i128) -> u64 {
    match width {
        Width::Four => u64::from(x as u32),
        Width::Eight => x as u64,
    }
}

/// Equal as results: the same bits, or both NaN.
pub(crate) fn same(width: Width, elem: Elem, a: u64, b: u64) -> bool {
    a == b || (elem == Elem::Float && float_of(width, a).is_nan() && float_of(width, b).is_nan())
}

/// Memory behind a view: elements of `dtype` with a margin on both sides that nothing may touch.
#[derive(Clone)]
pub(crate) struct Buffer {
    pub spec: ViewSpec,
    bytes: Vec<u8>,
    /// Bytes before the element at the origin of the space.
    origin: usize,
}

const MARGIN: isize = 5;

impl Buffer {
    pub(crate) fn new(spec: ViewSpec, space: [usize; 3], mut fill: impl FnMut() -> u64) -> Self {
        let reach = |sign: isize| -> isize {
            (0..3)
                .map(|a| spec.strides[a] * (space[a] as isize - 1).max(0))
                .filter(|r| r * sign > 0)
                .sum()
        };
        let (low, high) = (reach(-1), reach(1));
        let size = spec.dtype.size();
        let len = (high - low + 1 + 2 * MARGIN) as usize;
        let mut buffer = Self {
            spec,
            bytes: vec![0; len * size],
            origin: (MARGIN - low) as usize * size,
        };
        for i in 0..len {
            buffer.set_raw(i, fill());
        }
        buffer
    }

    fn set_raw(&mut self, index: usize, bits: u64) {
        let size = self.spec.dtype.size();
        self.bytes[index * size..][..size].copy_from_slice(&bits.to_le_bytes()[..size]);
    }

    fn at(&self, [o, m, n]: [usize; 3]) -> usize {
        let s = self.spec.strides;
        let offset = o as isize * s[0] + m as isize * s[1] + n as isize * s[2];
        (self.origin as isize + offset * self.spec.dtype.size() as isize) as usize
    }

    pub(crate) fn get(&self, position: [usize; 3]) -> u64 {
        let mut bits = [0; 8];
        let size = self.spec.dtype.size();
        bits[..size].copy_from_slice(&self.bytes[self.at(position)..][..size]);
        u64::from_le_bytes(bits)
    }

    pub(crate) fn set(&mut self, position: [usize; 3], bits: u64) {
        let (at, size) = (self.at(position), self.spec.dtype.size());
        self.bytes[at..][..size].copy_from_slice(&bits.to_le_bytes()[..size]);
    }

    pub(crate) fn base(&mut self) -> *mut u8 {
        self.bytes[self.origin..].as_mut_ptr()
    }

    /// All elements, margins too.
    pub(crate) fn raw(&self) -> Vec<u64> {
        let size = self.spec.dtype.size();
        let element = |chunk: &[u8]| {
            let mut bits = [0; 8];
            bits[..size].copy_from_slice(chunk);
            u64::from_le_bytes(bits)
        };
        self.bytes.chunks_exact(size).map(element).collect()
    }
}

/// How a test runs a group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub level: Level,
    /// `None` for what the machine suggests.
    pub sizes: Option<(usize, usize)>,
    /// Order of the blocks: a seed, or ascending.
    pub shuffle: Option<u64>,
}

/// Every level, several tiles and blocks.
pub(crate) fn ways() -> Vec<Way> {
    let mut ways = vec![];
    for level in Level::available() {
        ways.push(Way {
            level,
            sizes: None,
            shuffle: None,
        });
        for sizes in [(1, 1), (2, 700), (3, 5000), (7, 40_000), (200, 1 << 30)] {
            ways.push(Way {
                level,
                sizes: Some(sizes),
                shuffle: Some(7),
            });
        }
    }
    ways
}

/// Runs a group on buffers; gives the results of its reductions as bits.
pub(crate) fn run(group: &Group, buffers: &mut [Buffer], way: Way) -> Vec<Vec<u64>> {
    group.check().expect("a valid group");
    let request = match way.sizes {
        None => Request {
            tile_packets: group.tile_packets(&CacheSizes::detect()),
            block_elements: BLOCK_ELEMENTS,
        },
        Some((tile, block)) => Request {
            tile_packets: NonZeroUsize::new(tile).unwrap(),
            block_elements: NonZeroUsize::new(block).unwrap(),
        },
    };
    let geometry = group.geometry(request);
    // NaN as a float, a large number as an integer, half true as a mask: whatever leaks from padding or from slots
    // that are not written shows.
    let poison = Packet::from_lanes([0x7fc0_dead_7ff8_beefu64; 8]);
    let mut scratch = vec![poison; group.scratch_packets(&geometry)];
    let scratch = Cell::from_mut(&mut scratch[..]).as_slice_of_cells();
    let mut partials: Vec<Vec<Packet>> = (0..group.reductions.len())
        .map(|r| vec![poison; group.partial_bytes(r).div_ceil(64)])
        .collect();
    let bases: Vec<*mut u8> = buffers.iter_mut().map(Buffer::base).collect();
    let parts: Vec<*mut u8> = partials.iter_mut().map(|p| p.as_mut_ptr().cast()).collect();
    let mut blocks: Vec<usize> = (0..group.blocks(&geometry)).collect();
    if let Some(seed) = way.shuffle {
        let mut rng = Rng(seed);
        for i in (1..blocks.len()).rev() {
            blocks.swap(i, rng.below(i + 1));
        }
    }
    for block in blocks {
        // SAFETY: the group was checked; each base has every element of its view, by `Buffer::new`; partial results
        // have the size asked for; one thread.
        unsafe { group.run_block(way.level, &geometry, &bases, &parts, block, scratch) };
    }
    (0..group.reductions.len())
        .map(|r| {
            let size = group.width.bytes();
            let mut out = vec![0u8; group.result_len(r) * size];
            // SAFETY: all blocks ran; `out` has the result's size.
            unsafe { group.finish(way.level, &geometry, r, parts[r], out.as_mut_ptr()) };
            let element = |bytes: &[u8]| {
                let mut bits = [0; 8];
                bits[..size].copy_from_slice(bytes);
                u64::from_le_bytes(bits)
            };
            out.chunks_exact(size).map(element).collect()
        })
        .collect()
}

/// A slot's value over the whole space.
#[derive(Clone)]
struct Value {
    elem: Elem,
    class: Class,
    bits: Vec<u64>,
}

impl Value {
    fn get(&self, row: usize, n: usize, inner: usize) -> u64 {
        self.bits[match self.class {
            Class::Full => row * inner + n,
            Class::Column => row,
            Class::Scalar => 0,
        }]
    }
}

/// Runs a group by definition: each micro-op on the whole space, then the next. Masks are 0 or 1.
pub(crate) fn oracle(group: &Group, buffers: &mut [Buffer], fused: bool) -> Vec<Vec<u64>> {
    let (width, inner, rows) = (group.width, group.space[2], group.rows());
    let middle = group.space[1];
    let mut slots: Vec<Option<Value>> = vec![None; group.slots.len()];
    let mut results = vec![vec![]; group.reductions.len()];
    let position = |row: usize, n: usize| [row / middle, row % middle, n];
    for op in &group.ops {
        let class = group.slots.get(op.dst as usize).copied();
        let class = class.unwrap_or(Class::Scalar);
        let value = |slot: u16| slots[slot as usize].as_ref().expect("written");
        // Element by element over the result's class.
        let map = |elem: Elem, f: &dyn Fn(usize, usize) -> u64| {
            let bits = match class {
                Class::Full => (0..rows * inner).map(|i| f(i / inner, i % inner)).collect(),
                Class::Column => (0..rows).map(|r| f(r, 0)).collect(),
                Class::Scalar => vec![f(0, 0)],
            };
            Some(Value { elem, class, bits })
        };
        let of = |slot: u16, r: usize, n: usize| value(slot).get(r, n, inner);
        let result = match op.code {
            Code::Load => {
                let buffer = &buffers[op.imm as usize];
                let elem = width.elem(buffer.spec.dtype).unwrap();
                map(elem, &|r, n| {
                    if class == Class::Scalar {
                        buffer.get([0, 0, 0])
                    } else {
                        buffer.get(position(r, n))
                    }
                })
            }
            Code::Store => {
                let v = value(op.a).clone();
                let buffer = &mut buffers[op.imm as usize];
                let len = if v.class == Class::Full { inner } else { 1 };
                for r in 0..rows {
                    for n in 0..len {
                        buffer.set(position(r, n), v.get(r, n, inner));
                    }
                }
                continue;
            }
            Code::Const(elem) => {
                let bits = group.constants[op.imm as usize];
                let bits = match elem {
                    Elem::Float => float_bits(width, f64::from_bits(bits)),
                    Elem::Int => int_bits(width, i128::from(bits)),
                    Elem::Mask => u64::from(bits != 0),
                };
                map(elem, &|_, _| bits)
            }
            Code::Iota(axis, elem) => map(elem, &|r, n| {
                let [o, m, n] = position(r, n);
                let index = match axis {
                    Axis::Outer => o,
                    Axis::Middle => m,
                    Axis::Inner => n,
                };
                match elem {
                    Elem::Float => float_bits(width, index as f64),
                    _ => index as u64,
                }
            }),
            Code::Copy => map(value(op.a).elem, &|r, n| of(op.a, r, n)),
            Code::Unary(elem, what) => {
                let to = match what {
                    Unary::IsNan | Unary::IsFinite => Elem::Mask,
                    _ => elem,
                };
                map(to, &|r, n| unary(width, elem, what, of(op.a, r, n)))
            }
            Code::Binary(elem, what) => {
                use Binary::*;
                let to = match what {
                    Lt | Le | Gt | Ge | Eq | Ne => Elem::Mask,
                    _ => elem,
                };
                map(to, &|r, n| {
                    binary(width, elem, what, of(op.a, r, n), of(op.b, r, n))
                })
            }
            Code::Ternary(elem, what) => map(elem, &|r, n| {
                let [a, b, c] = [op.a, op.b, op.c].map(|s| of(s, r, n));
                ternary(width, elem, what, fused, [a, b, c])
            }),
            Code::Pair(inner, outer) => map(Elem::Float, &|r, n| {
                let [a, b, c] = [op.a, op.b, op.c].map(|s| of(s, r, n));
                let t = binary(width, Elem::Float, inner.binary(), a, b);
                let (outer, c_first) = outer.binary();
                let (x, y) = if c_first { (c, t) } else { (t, c) };
                binary(width, Elem::Float, outer, x, y)
            }),
            Code::Update(what) => map(Elem::Float, &|r, n| {
                let of = |slot: u16| of(slot, r, n);
                let two = |what, x, y| binary(width, Elem::Float, what, x, y);
                let (add, mul) = (|x, y| two(Binary::Add, x, y), |x, y| two(Binary::Mul, x, y));
                let [a, b, c] = [op.a, op.b, op.c].map(of);
                let [p, q, r] = group.uniforms[op.imm as usize].map(of);
                let shrunk = two(Binary::Hardshrink, a, q);
                match what {
                    Update::Gradient => add(shrunk, mul(p, b)),
                    Update::Moment => add(mul(p, shrunk), mul(r, b)),
                    Update::SquareMoment => add(mul(p, shrunk), mul(r, mul(b, b))),
                    Update::Step => {
                        let root = unary(width, Elem::Float, Unary::Sqrt, c);
                        let by = add(mul(q, root), r);
                        two(Binary::Sub, a, two(Binary::Div, mul(p, b), by))
                    }
                }
            }),
            Code::PowI => map(Elem::Float, &|r, n| {
                let x = float_of(width, of(op.a, r, n));
                float_bits(width, x.powi(op.imm as i32))
            }),
            Code::Cast(from, to) => map(to, &|r, n| cast(width, from, to, of(op.a, r, n))),
            Code::ReduceRow(elem, kind) => map(elem, &|r, _| {
                let row: Vec<u64> = (0..inner).map(|n| of(op.a, r, n)).collect();
                reduce_row(width, elem, kind, &row)
            }),
            Code::Reduce => {
                let reduction = group.reductions[op.imm as usize];
                let value = value(op.a);
                let len = if value.class == Class::Full { inner } else { 1 };
                let [outer, middle, _] = group.space;
                results[op.imm as usize] =
                    reduce(width, reduction, [outer, middle, len], &value.bits);
                continue;
            }
        };
        slots[op.dst as usize] = result;
    }
    results
}

pub(crate) fn unary(width: Width, elem: Elem, what: Unary, a: u64) -> u64 {
    if elem == Elem::Mask {
        return 1 - a;
    }
    if elem == Elem::Int {
        return int_bits(width, -int_of(width, a));
    }
    let x = float_of(width, a);
    // Functions of several roundings round each.
    let round = |x: f64| float_of(width, float_bits(width, x));
    let y = match what {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign if x == 0.0 || x.is_nan() => x,
        Unary::Sign => x.signum(),
        Unary::Recip => 1.0 / x,
        Unary::Square => x * x,
        Unary::Sqrt => x.sqrt(),
        Unary::Rsqrt => 1.0 / round(x.sqrt()),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Trunc => x.trunc(),
        Unary::Relu if x <= 0.0 => 0.0,
        Unary::Relu => x,
        Unary::IsNan => return u64::from(x.is_nan()),
        Unary::IsFinite => return u64::from(x.is_finite()),
        other => panic!("{other:?} is not among those that these tests take"),
    };
    float_bits(width, y)
}

pub(crate) fn binary(width: Width, elem: Elem, what: Binary, a: u64, b: u64) -> u64 {
    use Binary::*;
    fn compare<T: PartialOrd>(what: Binary, x: &T, y: &T) -> Option<bool> {
        Some(match what {
            Lt => x < y,
            Le => x <= y,
            Gt => x > y,
            Ge => x >= y,
            Eq => x == y,
            Ne => x != y,
            _ => return None,
        })
    }
    match elem {
        Elem::Mask => match what {
            And => a & b,
            Or => a | b,
            Xor | Ne => a ^ b,
            Eq => 1 - (a ^ b),
            _ => panic!("not a mask operation"),
        },
        Elem::Int => {
            let (x, y) = (int_of(width, a), int_of(width, b));
            if let Some(answer) = compare(what, &x, &y) {
                return u64::from(answer);
            }
            let z = match what {
                Add => x + y,
                Sub => x - y,
                Mul => x.wrapping_mul(y),
                Max => x.max(y),
                Min => x.min(y),
                _ => panic!("not an integer operation"),
            };
            int_bits(width, z)
        }
        Elem::Float => {
            let (x, y) = (float_of(width, a), float_of(width, b));
            if let Some(answer) = compare(what, &x, &y) {
                return u64::from(answer);
            }
            float_bits(
                width,
                match what {
                    Add => x + y,
                    Sub => x - y,
                    Mul => x * y,
                    Div => x / y,
                    Rem => x % y,
                    Max if x.is_nan() || x > y => x,
                    Min if x.is_nan() || x < y => x,
                    Max | Min => y,
                    Pow => x.powf(y),
                    Copysign => x.copysign(y),
                    Hardshrink if x.abs() <= y => 0.0,
                    Hardshrink => x,
                    MulStrong | DivStrong if x == 0.0 => x,
                    MulStrong => x * y,
                    DivStrong => x / y,
                    _ => panic!("not a float operation"),
                },
            )
        }
    }
}

pub(crate) fn ternary(
    width: Width,
    elem: Elem,
    what: Ternary,
    fused: bool,
    [a, b, c]: [u64; 3],
) -> u64 {
    match (what, elem) {
        (Ternary::Select, _) => [c, b][a as usize],
        (Ternary::Clamp, _) => {
            let raised = binary(width, elem, Binary::Max, a, b);
            binary(width, elem, Binary::Min, raised, c)
        }
        (Ternary::Fma, _) if !fused => {
            let product = binary(width, elem, Binary::Mul, a, b);
            binary(width, elem, Binary::Add, product, c)
        }
        (Ternary::Fma, _) if width == Width::Four => {
            let [x, y, z] = [a, b, c].map(|bits| f32::from_bits(bits as u32));
            u64::from(x.mul_add(y, z).to_bits())
        }
        (Ternary::Fma, _) => {
            let [x, y, z] = [a, b, c].map(f64::from_bits);
            x.mul_add(y, z).to_bits()
        }
    }
}

pub(crate) fn cast(width: Width, from: Elem, to: Elem, a: u64) -> u64 {
    match (from, to) {
        (Elem::Int, Elem::Float) => float_bits(width, int_of(width, a) as f64),
        (Elem::Float, Elem::Int) if width == Width::Four => u64::from(float_of(width, a) as u32),
        (Elem::Float, Elem::Int) => float_of(width, a) as i64 as u64,
        (Elem::Mask, Elem::Float) => float_bits(width, a as f64),
        (Elem::Mask, Elem::Int) => a,
        _ => panic!("no such cast"),
    }
}

/// One step of a reduction.
fn combine(width: Width, elem: Elem, kind: Reduce, a: u64, b: u64) -> u64 {
    let what = match kind {
        Reduce::Sum => Binary::Add,
        Reduce::Prod => Binary::Mul,
        Reduce::Max => Binary::Max,
        Reduce::Min => Binary::Min,
    };
    binary(width, elem, what, a, b)
}

pub(crate) fn identity(width: Width, elem: Elem, kind: Reduce) -> u64 {
    match (elem, kind, width) {
        (Elem::Float, _, _) => float_bits(
            width,
            match kind {
                Reduce::Sum => 0.0,
                Reduce::Prod => 1.0,
                Reduce::Max => f64::NEG_INFINITY,
                Reduce::Min => f64::INFINITY,
            },
        ),
        (_, Reduce::Sum, _) => 0,
        (_, Reduce::Prod, _) => 1,
        (_, Reduce::Max, Width::Four) => 0,
        (_, Reduce::Max, Width::Eight) => i64::MIN as u64,
        (_, Reduce::Min, Width::Four) => u64::from(u32::MAX),
        (_, Reduce::Min, Width::Eight) => i64::MAX as u64,
    }
}

/// Split at the largest power of two below the length, combine the halves' results.
fn tree(values: &[u64], combine: &dyn Fn(u64, u64) -> u64) -> u64 {
    if let [one] = values {
        return *one;
    }
    let half = values.len().next_power_of_two() / 2;
    let (left, right) = values.split_at(half);
    combine(tree(left, combine), tree(right, combine))
}

/// A chunk of rows (each padded to whole packets) by definition: packet `j` goes to accumulator `j % 4`, lane by lane;
/// accumulators in pairs; lane `i` with lane `i + half`. A chunk of rows of one element has no lanes to fold.
fn chunk(width: Width, elem: Elem, kind: Reduce, rows: &[&[u64]]) -> u64 {
    let lanes = width.lanes();
    let id = identity(width, elem, kind);
    let combine = |a, b| combine(width, elem, kind, a, b);
    let mut accumulators = vec![vec![id; lanes]; 4];
    for (j, packet) in rows.iter().flat_map(|row| row.chunks(lanes)).enumerate() {
        for lane in 0..lanes {
            let x = packet.get(lane).copied().unwrap_or(id);
            accumulators[j % 4][lane] = combine(accumulators[j % 4][lane], x);
        }
    }
    let mut folded: Vec<u64> = (0..lanes)
        .map(|lane| {
            let a: Vec<u64> = accumulators.iter().map(|a| a[lane]).collect();
            combine(combine(a[0], a[1]), combine(a[2], a[3]))
        })
        .collect();
    if rows.iter().all(|row| row.len() == 1) && !rows.is_empty() {
        return folded[0];
    }
    while folded.len() > 1 {
        let (low, high) = folded.split_at(folded.len() / 2);
        folded = low.iter().zip(high).map(|(&a, &b)| combine(a, b)).collect();
    }
    folded[0]
}

/// A row: chunks of 1024 elements, then the tree.
fn reduce_row(width: Width, elem: Elem, kind: Reduce, row: &[u64]) -> u64 {
    if row.is_empty() {
        return identity(width, elem, kind);
    }
    // A row of one element: the same with or without folding.
    let chunks: Vec<u64> = row
        .chunks(1024)
        .map(|c| chunk(width, elem, kind, &[c]))
        .collect();
    tree(&chunks, &|a, b| combine(width, elem, kind, a, b))
}

/// A reduction that ends a group, by definition.
pub(crate) fn reduce(
    width: Width,
    reduction: Reduction,
    [outer, middle, inner]: [usize; 3],
    bits: &[u64],
) -> Vec<u64> {
    let Reduction {
        over, kind, elem, ..
    } = reduction;
    let rows: Vec<&[u64]> = if inner == 0 {
        vec![&[]; outer * middle]
    } else {
        bits.chunks(inner).collect()
    };
    let rows_a_chunk = |rows: usize| rows.div_ceil(64).next_power_of_two().clamp(16, 1024);
    let apply = |a, b| combine(width, elem, kind, a, b);
    let id = identity(width, elem, kind);
    if over == Over::All {
        if bits.is_empty() {
            return vec![id];
        }
        let padded = inner.next_multiple_of(width.lanes());
        let chunks: Vec<u64> = if inner > 1 && padded > 1024 {
            rows.iter()
                .flat_map(|row| row.chunks(1024))
                .map(|c| chunk(width, elem, kind, &[c]))
                .collect()
        } else {
            let count = if inner == 1 {
                rows_a_chunk(rows.len())
            } else {
                // The largest power of two of rows within 1024 padded elements.
                let mut count = 1;
                while count * 2 * padded <= 1024 {
                    count *= 2;
                }
                count
            };
            rows.chunks(count)
                .map(|c| chunk(width, elem, kind, c))
                .collect()
        };
        return vec![tree(&chunks, &apply)];
    }
    let (spans, span) = match over {
        Over::Middle => (outer, middle),
        _ => (1, outer * middle),
    };
    let mut result = vec![];
    for s in 0..spans {
        let rows = &rows[s * span..(s + 1) * span];
        for column in 0..inner {
            let chunks: Vec<u64> = rows
                .chunks(rows_a_chunk(span))
                .map(|c| c.iter().fold(id, |sum, row| apply(sum, row[column])))
                .collect();
            result.push(if chunks.is_empty() {
                id
            } else {
                tree(&chunks, &apply)
            });
        }
    }
    result
}

/// The float type of a width.
pub(crate) fn float_type(width: Width) -> DType {
    match width {
        Width::Four => DType::F32,
        Width::Eight => DType::F64,
    }
}

/// The integer type of a width.
pub(crate) fn int_type(width: Width) -> DType {
    match width {
        Width::Four => DType::U32,
        Width::Eight => DType::I64,
    }
}
