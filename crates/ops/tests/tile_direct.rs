//! Steps that read and write memory themselves: partial packets, memory that is not aligned, and stores that would
//! overtake a load of the same memory.

use std::cell::Cell;
use std::num::NonZeroUsize;

use retrograde_ops::tile::*;
use retrograde_ops::{Binary, Level};
use retrograde_storage::{DType, Packet};

const ADD: Code = Code::Binary(Elem::Float, Binary::Add);

fn op(code: Code, dst: u16, a: u16, b: u16, imm: u32) -> MicroOp {
    MicroOp {
        a,
        b,
        imm,
        ..MicroOp::new(code, dst)
    }
}

/// A group over `n` floats with dense views and full slots.
fn group(n: usize, views: usize, slots: usize, ops: Vec<MicroOp>) -> Group {
    let view = ViewSpec {
        dtype: DType::F32,
        strides: [0, 0, 1],
    };
    Group {
        space: [1, 1, n],
        width: Width::Four,
        ops,
        slots: vec![Class::Full; slots],
        views: vec![view; views],
        constants: Vec::new(),
        uniforms: Vec::new(),
        reductions: Vec::new(),
    }
}

/// Runs all blocks with tiles of `tile` packets.
fn run(group: &Group, tile: usize, bases: &[*mut f32]) {
    group.check().expect("well-formed");
    let geometry = group.geometry(Request {
        tile_packets: NonZeroUsize::new(tile).expect("not 0"),
        block_elements: NonZeroUsize::new(4096).expect("not 0"),
    });
    let scratch = vec![Cell::new(Packet::ZERO); group.scratch_packets(&geometry)];
    let bases: Vec<*mut u8> = bases.iter().map(|b| b.cast()).collect();
    for block in 0..group.blocks(&geometry) {
        // SAFETY: the callers pass the addresses of `n` floats for each view, which nobody else uses.
        unsafe { group.run_block(Level::detect(), &geometry, &bases, &[], block, &scratch) };
    }
}

fn numbers(n: usize, first: f32) -> Vec<f32> {
    (0..n).map(|i| first + i as f32).collect()
}

/// The sizes to try: small ones only under Miri, which is some hundred times slower.
fn sizes(all: &[usize]) -> impl Iterator<Item = usize> {
    all.iter().copied().filter(|&n| !cfg!(miri) || n <= 100)
}

#[test]
fn sums_of_unaligned_memory_touch_nothing_beyond_it() {
    for n in sizes(&[1, 15, 16, 17, 1000, 5000]) {
        for offset in [0, 1, 3] {
            for tile in [1, 3, 8, 64] {
                let mut a = numbers(n + offset, 1.0);
                let mut b = numbers(n + offset, -7.0);
                // What stands around the result must stay.
                let mut c = vec![-1.0f32; n + offset + 40];
                let (from, to) = (offset, offset + n);
                let bases = [
                    a[offset..].as_mut_ptr(),
                    b[offset..].as_mut_ptr(),
                    c[from..].as_mut_ptr(),
                ];
                let ops = vec![
                    op(Code::Load, 0, 0, 0, 0),
                    op(Code::Load, 1, 0, 0, 1),
                    op(ADD, 2, 0, 1, 0),
                    op(Code::Store, 0, 2, 0, 2),
                ];
                run(&group(n, 3, 3, ops), tile, &bases);
                let want: Vec<f32> = a[from..]
                    .iter()
                    .zip(&b[from..])
                    .map(|(x, y)| x + y)
                    .collect();
                assert_eq!(c[from..to], want);
                assert!(c[..from].iter().chain(&c[to..]).all(|&x| x == -1.0));
            }
        }
    }
}

/// `x += y` in place, and `z = x + y` of the *old* `x`, computed after the store.
#[test]
fn a_store_does_not_overtake_a_load_of_the_same_memory() {
    for n in sizes(&[16, 100, 4096]) {
        for tile in [1, 4, 64] {
            let (old, mut x) = (numbers(n, 1.0), numbers(n, 1.0));
            let (mut y, mut z) = (numbers(n, 100.0), vec![0.0f32; n]);
            let ops = vec![
                op(Code::Load, 0, 0, 0, 0),
                op(Code::Load, 1, 0, 0, 1),
                op(ADD, 2, 0, 1, 0),
                op(Code::Store, 0, 2, 0, 2),
                op(ADD, 3, 0, 1, 0),
                op(Code::Store, 0, 3, 0, 3),
            ];
            let at = x.as_mut_ptr();
            run(
                &group(n, 4, 4, ops),
                tile,
                &[at, y.as_mut_ptr(), at, z.as_mut_ptr()],
            );
            let want: Vec<f32> = old.iter().zip(&y).map(|(x, y)| x + y).collect();
            assert_eq!(x, want);
            assert_eq!(z, want, "n = {n}, tile = {tile}");
        }
    }
}

/// A copy of `x` is loaded before `x` is overwritten and stored after.
#[test]
fn a_value_that_is_copied_is_the_old_one() {
    let n = 256;
    let (old, mut x, mut copy) = (numbers(n, 1.0), numbers(n, 1.0), vec![0.0f32; n]);
    let ops = vec![
        op(Code::Load, 0, 0, 0, 0),
        op(ADD, 1, 0, 0, 0),
        op(Code::Store, 0, 1, 0, 1),
        op(Code::Store, 0, 0, 0, 2),
    ];
    let at = x.as_mut_ptr();
    run(&group(n, 3, 2, ops), 4, &[at, at, copy.as_mut_ptr()]);
    assert_eq!(copy, old);
    assert_eq!(x, old.iter().map(|x| x + x).collect::<Vec<_>>());
}

/// Adam's update, in place, with decay of the value (decoupled) or added to the gradient: the four micro-ops in one loop
/// where packets are whole, one after another in the last tile, and elsewhere than in place. All with the bits of the
/// formula.
#[test]
fn adam_is_its_formula() {
    const SCALARS: [f32; 11] = [
        0.5, 0.01, 0.9, 1e-3, 0.1, 0.99, 1e-3, 0.01, 0.125, 1.5, 1e-8,
    ];
    let [
        floor,
        decay,
        b1,
        small1,
        c1,
        b2,
        small2,
        c2,
        rate,
        root,
        eps,
    ] = SCALARS;
    let shrink = |x: f32, floor: f32| if x.abs() <= floor { 0.0 } else { x };
    let scalar = |i: u16| 9 + i;
    let three = |code, dst, [a, b, c]: [u16; 3], imm| MicroOp {
        c,
        ..op(code, dst, a, b, imm)
    };
    for decoupled in [false, true] {
        let mut ops: Vec<MicroOp> = (0..11u32)
            .map(|i| op(Code::Const(Elem::Float), 9 + i as u16, 0, 0, i))
            .collect();
        // Gradient, value, moments.
        ops.extend((0..4).map(|i| op(Code::Load, i as u16, 0, 0, i)));
        if decoupled {
            let shrink = Code::Binary(Elem::Float, Binary::Hardshrink);
            ops.push(op(shrink, 4, 0, scalar(0), 0));
            ops.push(op(
                Code::Binary(Elem::Float, Binary::Mul),
                8,
                scalar(1),
                1,
                0,
            ));
        } else {
            ops.push(three(Code::Update(Update::Gradient), 4, [0, 1, 0], 0));
        }
        let from = if decoupled { 8 } else { 1 };
        ops.extend([
            three(Code::Update(Update::Moment), 5, [2, 4, 2], 1),
            three(Code::Update(Update::SquareMoment), 6, [3, 4, 3], 2),
            three(Code::Update(Update::Step), 7, [from, 5, 6], 3),
            op(Code::Store, 0, 7, 0, 4),
            op(Code::Store, 0, 5, 0, 5),
            op(Code::Store, 0, 6, 0, 6),
        ]);
        for n in sizes(&[16, 48, 1000, 5000]) {
            let mut update = group(n, 7, 20, ops.clone());
            update.slots[9..].fill(Class::Scalar);
            update.constants = SCALARS.map(|x| f64::from(x).to_bits()).to_vec();
            update.uniforms = [[1, 0, 0], [2, 3, 4], [5, 6, 7], [8, 9, 10]]
                .map(|of: [u16; 3]| of.map(scalar))
                .to_vec();
            // In place, or each result where another operand was.
            for crossed in [false, true] {
                for tile in [1, 8, 24] {
                    let numbers = |by: f32| -> Vec<f32> {
                        (0..n).map(|i| (i % 37) as f32 * by - 2.0 * by).collect()
                    };
                    let (mut g, mut w) = (numbers(0.25), numbers(-0.5));
                    let (mut m, mut v) = (numbers(0.125), numbers(0.0625));
                    v.iter_mut().for_each(|v| *v *= *v);
                    let want: Vec<[f32; 3]> = (0..n)
                        .map(|i| {
                            let gradient = shrink(g[i], floor);
                            let (from, gradient) = if decoupled {
                                (decay * w[i], gradient)
                            } else {
                                (w[i], gradient + decay * w[i])
                            };
                            let m = b1 * shrink(m[i], small1) + c1 * gradient;
                            let v = b2 * shrink(v[i], small2) + c2 * (gradient * gradient);
                            [from - (rate * m) / (root * v.sqrt() + eps), m, v]
                        })
                        .collect();
                    let at = [&mut g, &mut w, &mut m, &mut v].map(Vec::as_mut_ptr);
                    // Crossed: the second moment goes where the value was, which is read later.
                    let to = if crossed {
                        [at[3], at[0], at[1]]
                    } else {
                        [at[1], at[2], at[3]]
                    };
                    run(&update, tile, &[&at[..], &to[..]].concat());
                    let got = if crossed { [&v, &g, &w] } else { [&w, &m, &v] };
                    for i in 0..n {
                        let got = got.map(|x| x[i].to_bits());
                        assert_eq!(
                            got,
                            want[i].map(f32::to_bits),
                            "element {i} of {n}, decoupled {decoupled}, crossed {crossed}"
                        );
                    }
                }
            }
        }
    }
}
