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
