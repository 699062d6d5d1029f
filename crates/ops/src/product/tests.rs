//! Products against a plain triple loop in `f64`, and the contracts on bits, tails and the epilogue.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytemuck::Zeroable;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use retrograde_storage::{Packet, Real};

use super::guard::Guarded;
use super::plan::{Method, Packing};
use super::{Float, Operands, Plan, Spec, Strides, tuning};
use crate::Level;

/// An input by strides, in memory that ends exactly where the matrix does.
#[derive(Debug)]
struct Input<T: Real> {
    data: Guarded<T>,
    base: usize,
    strides: Strides,
}

impl<T: Real> Input<T> {
    fn new(rows: usize, columns: usize, layout: Layout, mut value: impl FnMut() -> f64) -> Self {
        let (r, c) = (rows as isize, columns as isize);
        let (row, column) = match layout {
            Layout::Rows => (c, 1),
            Layout::Columns => (1, r),
            Layout::Padded => (c + 3, 1),
            Layout::Stepped => (3 * c + 1, 3),
            Layout::Reversed => (-c, -1),
            Layout::ReversedColumns => (1, -r - 1),
            Layout::SameRow => (0, 1),
            Layout::SameColumn => (1, 0),
            Layout::Constant => (0, 0),
        };
        let span = |n: isize, stride: isize| (n - 1).max(0) * stride;
        let (rs, cs) = (span(r, row), span(c, column));
        let base = (-(rs.min(0) + cs.min(0))) as usize;
        let len = base + (rs.max(0) + cs.max(0)) as usize + usize::from(r * c > 0);
        Self {
            // Reversed operands end where they begin: guard the front.
            data: Guarded::new(len, row + column > 0, &mut value),
            base,
            strides: Strides { row, column },
        }
    }

    fn pointer(&self) -> *const T {
        self.data.as_ptr().wrapping_add(self.base)
    }

    fn at(&self, i: usize, j: usize) -> f64 {
        let at =
            self.base as isize + i as isize * self.strides.row + j as isize * self.strides.column;
        self.data[at as usize].to_f64()
    }
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    Rows,
    Columns,
    Padded,
    Stepped,
    Reversed,
    ReversedColumns,
    SameRow,
    SameColumn,
    Constant,
}

const LAYOUTS: [Layout; 9] = [
    Layout::Rows,
    Layout::Columns,
    Layout::Padded,
    Layout::Stepped,
    Layout::Reversed,
    Layout::ReversedColumns,
    Layout::SameRow,
    Layout::SameColumn,
    Layout::Constant,
];

/// Strides of an output with gaps between its rows or columns.
fn output(m: usize, n: usize, row_major: bool) -> Strides {
    if row_major {
        Strides {
            row: n as isize + 2,
            column: 1,
        }
    } else {
        Strides {
            row: 1,
            column: m as isize + 2,
        }
    }
}

/// What stands in the output's gaps, and must still stand there afterwards.
const GAP: f64 = 12345.0;

/// Runs the parts of a plan backwards, and then `blocks` with the operands, what was packed, and scratch. Returns C by
/// rows.
fn run_with<T: Float>(
    plan: &Plan<T>,
    spec: &Spec,
    (a, b): (&Input<T>, &Input<T>),
    accumulate: Option<f64>,
    blocks: impl FnOnce(&Operands<T>, *const Packet, &mut [Packet]),
) -> Vec<T> {
    let (m, n) = (spec.m, spec.n);
    let at = |i: usize, j: usize| i * spec.c.row as usize + j * spec.c.column as usize;
    let len = at(m.max(1) - 1, n.max(1) - 1) + 1;
    let mut c = Guarded::<T>::new(len, true, || GAP);
    let mut inside = vec![false; c.len()];
    for i in 0..m {
        for j in 0..n {
            inside[at(i, j)] = true;
            c[at(i, j)] = accumulate.map_or(T::NAN, T::from_f64);
        }
    }
    let poison = |packets: usize| vec![Packet::from_lanes([0xffu8; 64]); packets];
    let mut packed = poison(plan.shared_packets().unwrap());
    let mut scratch = poison(plan.scratch_packets());
    let operands = Operands {
        a: a.pointer(),
        b: b.pointer(),
        c: c.as_mut_ptr(),
    };
    // SAFETY: the inputs hold every element that their strides reach, the output those of its own; the buffers have
    // the sizes asked for; parts run one by one.
    unsafe {
        for part in (0..plan.parts()).rev() {
            scratch.fill(Packet::from_lanes([0xffu8; 64]));
            plan.prepare(part, &operands, packed.as_mut_ptr(), &mut scratch);
        }
    }
    blocks(&operands, packed.as_ptr(), &mut scratch);
    for (x, inside) in c.iter().zip(inside) {
        assert!(inside || x.to_f64() == GAP, "a gap was written");
    }
    (0..m * n).map(|e| c[at(e / n, e % n)]).collect()
}

/// Runs a plan to the end: parts and blocks backwards, an epilogue that counts. Returns C by rows.
fn run<T: Float>(
    plan: &Plan<T>,
    spec: &Spec,
    a: &Input<T>,
    b: &Input<T>,
    accumulate: Option<f64>,
) -> Vec<T> {
    let (m, n) = (spec.m, spec.n);
    run_with(
        plan,
        spec,
        (a, b),
        accumulate,
        |operands, packed, scratch| {
            let mut seen = vec![0; m * n];
            for block in (0..plan.blocks()).rev() {
                scratch.fill(Packet::from_lanes([0xffu8; 64]));
                let (rows, columns) = plan.block(block);
                // SAFETY: as in `run_with`; parts were run, and blocks run one by one.
                unsafe {
                    plan.run_block(
                        block,
                        operands,
                        packed,
                        scratch,
                        accumulate.is_some(),
                        |r, c| {
                            assert!(
                                r.start >= rows.start && r.end <= rows.end,
                                "rows of the block"
                            );
                            assert!(c.start >= columns.start && c.end <= columns.end, "columns");
                            for i in r {
                                for j in c.clone() {
                                    seen[i * n + j] += 1;
                                }
                            }
                        },
                    );
                }
            }
            assert!(seen.iter().all(|&times| times == 1), "each element once");
        },
    )
}

/// Runs a plan by rows: blocks backwards, each piece by piece of the terms, or strip by strip of the columns.
fn run_strips<T: Float>(
    plan: &Plan<T>,
    spec: &Spec,
    a: &Input<T>,
    b: &Input<T>,
    by_terms: bool,
) -> Vec<T> {
    let (n, k) = (spec.n, spec.k);
    let cut = |whole: usize, unit: usize| {
        let strips = (0..whole).step_by(unit);
        strips.map(move |first| first..whole.min(first + unit))
    };
    run_with(plan, spec, (a, b), None, |operands, packed, scratch| {
        for block in (0..plan.blocks()).rev() {
            let (rows, columns) = plan.block(block);
            assert_eq!(columns, 0..n, "whole rows");
            let mut strip = |columns, terms| {
                scratch.fill(Packet::from_lanes([0xffu8; 64]));
                // SAFETY: as in `run_with`; parts were run, strips run one by one and their terms in order.
                unsafe { plan.run_strip((rows.clone(), columns, terms), operands, packed, scratch) }
            };
            if by_terms {
                cut(k, plan.piece()).for_each(|terms| strip(0..n, terms));
            } else {
                cut(n, plan.strip_unit()).for_each(|columns| strip(columns, 0..k));
            }
        }
    })
}

fn bits<T: Real>(values: &[T]) -> Vec<u8> {
    // Zeroes compare as bits too; NaN payloads do not occur in what these tests compare.
    bytemuck::cast_slice(values).to_vec()
}

/// A case against the oracle: at every level, in one block and in many, the same bits; within the error bound.
fn check<T: Float>(
    (m, n, k): (usize, usize, usize),
    (la, lb): (Layout, Layout),
    row_major: bool,
    accumulate: bool,
    seed: u64,
) {
    let mut state = seed | 1;
    let mut value = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    let a = Input::<T>::new(m, k, la, &mut value);
    let b = Input::<T>::new(k, n, lb, &mut value);
    let start = accumulate.then_some(0.375);
    let mut fused: Option<Vec<u8>> = None;
    for level in Level::available() {
        let mut spec = Spec {
            m,
            n,
            k,
            a: a.strides,
            b: b.strides,
            c: output(m, n, row_major),
            max_blocks: 1,
        };
        let one = run(&Plan::new(level, &spec), &spec, &a, &b, start);
        for (e, x) in one.iter().enumerate() {
            let (i, j) = (e / n, e % n);
            let (mut sum, mut size) = (start.unwrap_or(0.0), start.unwrap_or(0.0));
            for p in 0..k {
                let term = a.at(i, p) * b.at(p, j);
                sum += term;
                size += term.abs();
            }
            let bound = (k as f64 + 2.0) * T::EPSILON.to_f64() * size;
            let error = (x.to_f64() - sum).abs();
            assert!(error <= bound, "{level} ({i}, {j}): {x} instead of {sum}");
        }
        // As many blocks as the shape allows, whatever their size.
        spec.max_blocks = 1000;
        for (lanes, columns) in [(1, 3), (3, 1), (2, 5), (1000, 1000)] {
            for packing in [None, Some(Packing::Local), Some(Packing::Shared)] {
                let mut plan = Plan::<T>::new(level, &spec);
                plan.force_blocks(lanes, columns);
                if let Some(packing) = packing
                    && plan.method == Method::Tiles
                {
                    plan.packing = packing;
                    plan.pack_broadcast = !plan.pack_broadcast;
                    plan.group = plan.panel();
                    plan.chunk = 2 * plan.kernels.columns(plan.kernels.vectors());
                }
                let many = run(&plan, &spec, &a, &b, start);
                assert_eq!(
                    bits(&one),
                    bits(&many),
                    "{level}, blocks {lanes} x {columns}"
                );
            }
        }
        // Or blocks of whole rows, at multiples of a number of rows, whole or in strips.
        for (unit, blocks) in [(1, 1000), (3, 2), (7, 5)] {
            let Some(plan) = Plan::<T>::new(level, &spec).by_rows(unit, blocks) else {
                continue;
            };
            let begins = (0..plan.blocks()).map(|block| plan.block(block).0.start);
            assert!(begins.into_iter().all(|row| row.is_multiple_of(unit)));
            let many = run(&plan, &spec, &a, &b, start);
            assert_eq!(bits(&one), bits(&many), "{level}, {blocks} blocks of rows");
            for by_terms in [true, false].into_iter().filter(|_| !accumulate) {
                let many = run_strips(&plan, &spec, &a, &b, by_terms);
                assert_eq!(
                    bits(&one),
                    bits(&many),
                    "{level}, strips of terms: {by_terms}"
                );
            }
        }
        // Or as many parts of the terms.
        for parts in [1, 2, 3] {
            let mut plan = Plan::<T>::new(level, &spec);
            plan.force_blocks(1, 1);
            plan.cut_terms(parts);
            let many = run(&plan, &spec, &a, &b, start);
            assert_eq!(
                bits(&one),
                bits(&many),
                "{level}, {parts} parts of the terms"
            );
        }
        if level != Level::Baseline {
            let bits = bits(&one);
            assert_eq!(fused.get_or_insert_with(|| bits.clone()), &bits, "{level}");
        }
    }
}

/// Extents around nothing, one, a vector, a panel, a tile.
fn extent() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0usize..=20,
        2 => prop::sample::select(vec![31, 32, 33, 47, 48, 63, 64, 65, 80, 100, 130]),
    ]
}

fn depth() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0usize..=40,
        1 => prop::sample::select(vec![511, 512, 513, 700, 1030, 2100]),
    ]
}

fn layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(LAYOUTS.to_vec())
}

fn cases() -> u32 {
    if std::env::var_os("RETROGRADE_LONG").is_some() {
        3000
    } else {
        60
    }
}

#[test]
fn random_products_match_the_oracle_at_every_level_and_cut() {
    let mut runner = TestRunner::new(Config::with_cases(cases()));
    let strategy = (
        (extent(), extent(), depth()),
        (layout(), layout()),
        any::<(bool, bool, u64)>(),
    );
    runner
        .run(
            &strategy,
            |(shape, layouts, (row_major, accumulate, seed))| {
                check::<f32>(shape, layouts, row_major, accumulate, seed);
                check::<f64>(shape, layouts, row_major, accumulate, seed);
                Ok(())
            },
        )
        .unwrap();
}

#[test]
fn every_layout_of_both_operands() {
    for la in LAYOUTS {
        for lb in LAYOUTS {
            check::<f32>((7, 35, 19), (la, lb), true, true, 1);
            check::<f64>((35, 7, 19), (la, lb), false, false, 2);
        }
    }
}

#[test]
fn vectors_and_dot_products_in_every_layout() {
    for la in LAYOUTS {
        for lb in LAYOUTS {
            for shape in [(1, 1, 2500), (1, 37, 530), (150, 1, 33), (1, 4, 3)] {
                check::<f32>(shape, (la, lb), true, false, 3);
                check::<f64>(shape, (la, lb), false, true, 4);
            }
        }
    }
}

#[test]
fn a_vector_product_has_the_same_bits_in_every_layout() {
    let (m, k) = (70, 1100);
    let value = |i: usize, p: usize| ((i * 7919 + p * 104729) % 1000) as f64 / 500.0 - 1.0;
    for level in Level::available() {
        let mut first = None;
        for layout in [
            Layout::Rows,
            Layout::Columns,
            Layout::Stepped,
            Layout::Reversed,
        ] {
            let mut a = Input::<f32>::new(m, k, layout, || 0.0);
            for i in 0..m {
                for p in 0..k {
                    let at = a.base as isize
                        + i as isize * a.strides.row
                        + p as isize * a.strides.column;
                    a.data[at as usize] = value(i, p) as f32;
                }
            }
            let mut p = 0;
            let x = Input::new(k, 1, Layout::Rows, || {
                p += 1;
                value(p, 3)
            });
            let spec = Spec {
                m,
                n: 1,
                k,
                a: a.strides,
                b: x.strides,
                c: output(m, 1, false),
                max_blocks: 1,
            };
            let bits = bits(&run(&Plan::new(level, &spec), &spec, &a, &x, None));
            assert_eq!(
                first.get_or_insert_with(|| bits.clone()),
                &bits,
                "{layout:?}"
            );
        }
    }
}

/// Where the packed buffer of a run stands, for its threads.
struct Shared(*mut Packet);
// SAFETY: an address; the threads keep to what `Plan` says about parts and blocks.
unsafe impl Sync for Shared {}

#[test]
fn threads_that_claim_parts_and_blocks_give_the_bits_of_one() {
    // Blocks that use one packed operand, and (of few rows) blocks that each pack their own.
    let cases: &[(usize, usize, bool)] = if cfg!(miri) {
        &[(132, 16, true)]
    } else {
        &[(200, 200, true), (96, 200, false)]
    };
    let k = 600;
    let value = |i: usize| ((i * 7919) % 1000) as f64 / 500.0 - 1.0;
    let levels = Level::available();
    let runs = levels
        .into_iter()
        .flat_map(|level| cases.iter().map(move |&case| (level, case)));
    for (level, (m, n, shared)) in runs {
        let mut next = 0;
        let mut draw = || {
            next += 1;
            value(next)
        };
        let a = Input::<f32>::new(m, k, Layout::Rows, &mut draw);
        let b = Input::<f32>::new(k, n, Layout::Columns, &mut draw);
        let mut spec = Spec {
            m,
            n,
            k,
            a: a.strides,
            b: b.strides,
            c: Strides::row_major(n),
            max_blocks: 1,
        };
        let one = run(&Plan::new(level, &spec), &spec, &a, &b, None);
        spec.max_blocks = 7;
        let plan = Plan::<f32>::new(level, &spec);
        assert!(plan.blocks() > 1);
        assert_eq!(plan.parts() > 1, shared, "{m} rows");
        let mut c = vec![0f32; m * n];
        let mut packed = vec![Packet::ZERO; plan.shared_packets().unwrap()];
        let operands = Operands {
            a: a.pointer(),
            b: b.pointer(),
            c: c.as_mut_ptr(),
        };
        let shared = Shared(packed.as_mut_ptr());
        let (parts, blocks) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let ready = Barrier::new(3);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let shared = &shared;
                    let mut scratch = vec![Packet::ZERO; plan.scratch_packets()];
                    // SAFETY: each part and block is claimed once; the barrier separates packing from running.
                    unsafe {
                        while let part = parts.fetch_add(1, Relaxed)
                            && part < plan.parts()
                        {
                            plan.prepare(part, &operands, shared.0, &mut scratch);
                        }
                        ready.wait();
                        while let block = blocks.fetch_add(1, Relaxed)
                            && block < plan.blocks()
                        {
                            plan.run_block(
                                block,
                                &operands,
                                shared.0,
                                &mut scratch,
                                false,
                                |_, _| {},
                            );
                        }
                    }
                });
            }
        });
        assert_eq!(bits(&one), bits(&c), "{level}, {m} rows");
    }
}

#[test]
fn nan_and_infinity_go_through() {
    for level in Level::available() {
        for (m, n, k) in [(5, 20, 9), (40, 3, 600), (1, 33, 9), (33, 1, 9), (1, 1, 40)] {
            for (x, y, expected) in [
                (f64::NAN, 0.0, f64::NAN),
                (f64::INFINITY, 0.0, f64::NAN),
                (f64::INFINITY, 2.0, f64::INFINITY),
                (f64::NEG_INFINITY, 2.0, f64::NEG_INFINITY),
            ] {
                // Ones, but for the last term of the last row of A and the same row of B.
                let mut a = Input::<f32>::new(m, k, Layout::Rows, || 1.0);
                let mut b = Input::<f32>::new(k, n, Layout::Rows, || 1.0);
                a.data[m * k - 1] = x as f32;
                b.data[(k - 1) * n..].fill(y as f32);
                let spec = Spec {
                    m,
                    n,
                    k,
                    a: a.strides,
                    b: b.strides,
                    c: output(m, n, true),
                    max_blocks: 1,
                };
                let c = run(&Plan::new(level, &spec), &spec, &a, &b, None);
                for (e, &c) in c.iter().enumerate() {
                    let expected = if e / n == m - 1 {
                        expected as f32
                    } else {
                        (k - 1) as f32 + y as f32
                    };
                    assert!(
                        c == expected || c.is_nan() && expected.is_nan(),
                        "{c} {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn no_terms_give_zeros_or_leave_the_output() {
    check::<f32>((5, 40, 0), (Layout::Rows, Layout::Rows), true, false, 5);
    check::<f32>((5, 40, 0), (Layout::Rows, Layout::Rows), true, true, 5);
    check::<f64>((1, 40, 0), (Layout::Rows, Layout::Rows), true, false, 5);
    check::<f64>((40, 1, 0), (Layout::Rows, Layout::Rows), false, true, 5);
}

#[test]
fn empty_outputs_are_no_work() {
    for (m, n) in [(0, 5), (5, 0), (0, 1), (1, 0), (0, 0)] {
        let spec = Spec {
            m,
            n,
            k: 1000,
            a: Strides::row_major(1000),
            b: Strides::row_major(n),
            c: Strides::row_major(n),
            max_blocks: 8,
        };
        let plan = Plan::<f32>::new(Level::detect(), &spec);
        assert_eq!((plan.blocks(), plan.parts()), (0, 0));
        assert_eq!(
            (plan.shared_packets(), plan.scratch_packets()),
            (Some(0), 0)
        );
    }
}

#[test]
fn pieces_follow_from_k_and_fit() {
    for k in 0..5000 {
        let piece = tuning::piece(k);
        assert!((1..=tuning::PIECE).contains(&piece));
        assert!(k <= tuning::PIECE || piece.is_multiple_of(16));
    }
    assert_eq!(tuning::piece(784), 400);
}

#[test]
fn blocks_are_no_more_than_wanted_and_scratch_is_bounded() {
    for (m, n, k) in [
        (64, 256, 784),
        (784, 256, 64),
        (4, 4096, 4096),
        (1024, 1024, 1024),
    ] {
        for max_blocks in [1, 2, 8] {
            let spec = Spec {
                m,
                n,
                k,
                a: Strides::column_major(m),
                b: Strides::column_major(k),
                c: Strides::row_major(n),
                max_blocks,
            };
            let plan = Plan::<f32>::new(Level::detect(), &spec);
            assert!((1..=max_blocks).contains(&plan.blocks()));
            assert!(plan.scratch_packets() * 64 <= 1 << 20);
        }
    }
    assert_eq!(size_of::<Packet>(), 64);
    assert_eq!(Packet::zeroed().lanes::<[u8; 64]>(), [0; 64]);
}
