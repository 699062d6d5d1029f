//! Copy, fill, cast.

use retrograde_ops::Level;
use retrograde_ops::structured::{Cast, Copy, Fill};
use retrograde_storage::{DType, Shape, View};

use crate::common::*;

fn copy(src: &Buf, dst: &Buf, threads: bool) {
    let kernel = Copy {
        src: src.raw(),
        dst: dst.raw(),
    };
    kernel.check().unwrap();
    // SAFETY: the buffers are two allocations that live on, and random destination views never repeat an element.
    run(threads, kernel.blocks(), |b| unsafe {
        kernel.run_block(Level::detect(), b);
    });
}

#[test]
fn copies_any_view_to_any_view() {
    let mut rng = Rng(1);
    for case in 0..cases(3000) {
        let (dims, dtype) = (rng.shape(0), rng.dtype());
        let view = rng.view(&dims, true);
        let src = Buf::random(dtype, view, &mut rng);
        let dst = Buf::new(dtype, rng.view(&dims, false));
        copy(&src, &dst, false);
        assert_eq!(
            src.all(),
            dst.all(),
            "case {case}: {:?} -> {:?}",
            src.view,
            dst.view
        );
        assert!(dst.rest_untouched(), "case {case}: {:?}", dst.view);
    }
}

#[test]
fn copies_in_many_blocks() {
    let mut rng = Rng(2);
    for (dims, order) in [
        (vec![100_003], vec![0]),
        (vec![401, 257], vec![1, 0]),
        (vec![7, 129, 3, 65], vec![2, 0, 3, 1]),
        (vec![33, 40, 50], vec![2, 1, 0]),
        (vec![5, 200, 100], vec![0, 2, 1]),
    ] {
        for dtype in [DType::F32, DType::I64, DType::Bool] {
            let dense = View::dense(Shape::new(&dims).unwrap());
            let src = Buf::random(dtype, dense.permute(&order), &mut rng);
            let dst = Buf::new(dtype, View::dense(src.view.shape));
            copy(&src, &dst, true);
            assert_eq!(src.all(), dst.all(), "{dims:?}");
        }
    }
}

#[test]
fn copy_rejects_what_does_not_fit() {
    let (a, b, c) = (
        Buf::dense(DType::F32, &[2, 3]),
        Buf::dense(DType::F32, &[3, 2]),
        Buf::dense(DType::U32, &[2, 3]),
    );
    let check = |src: &Buf, dst: &Buf| {
        Copy {
            src: src.raw(),
            dst: dst.raw(),
        }
        .check()
    };
    assert!(check(&a, &b).is_err());
    assert_eq!(
        check(&a, &c).unwrap_err().to_string(),
        "copy: expected one dtype"
    );
}

#[test]
fn fills() {
    let mut rng = Rng(3);
    for _ in 0..cases(500) {
        let (mut dims, dtype) = (rng.shape(0), rng.dtype());
        if rng.chance(50) {
            dims = vec![3, 40_000];
        }
        let dst = Buf::new(dtype, rng.view(&dims, false));
        let value = bits(dtype, 1.5);
        let kernel = Fill {
            dst: dst.raw(),
            bits: value,
        };
        // SAFETY: one live allocation, no element twice.
        run(true, kernel.blocks(), |b| unsafe {
            kernel.run_block(Level::detect(), b);
        });
        assert!(dst.all().iter().all(|&b| b == value), "{:?}", dst.view);
        assert!(dst.rest_untouched());
    }
}

/// Rust's `as`, pair by pair.
fn cast_oracle(from: DType, to: DType, x: u64) -> u64 {
    macro_rules! to {
        ($v:expr) => {
            match to {
                DType::F32 => u64::from(($v as f32).to_bits()),
                DType::F64 => ($v as f64).to_bits(),
                DType::U32 => u64::from($v as u32),
                DType::I64 => $v as i64 as u64,
                DType::Bool => u64::from(number(from, x) != 0.0),
            }
        };
    }
    match from {
        DType::F32 => to!(f32::from_bits(x as u32)),
        DType::F64 => to!(f64::from_bits(x)),
        DType::U32 => to!((x as u32)),
        DType::I64 => to!((x as i64)),
        DType::Bool => to!((x as u8)),
    }
}

#[test]
fn casts_as_rust_does() {
    let mut rng = Rng(4);
    let floats = [
        0.0,
        -0.0,
        0.4,
        -0.9,
        1.5,
        -1.5,
        4294967295.0,
        4294967296.0,
        1e30,
        -1e30,
        16777217.0,
        9.3e18,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        1e-40,
        1e300,
    ];
    let integers = [
        0,
        1,
        -1,
        i64::MIN,
        i64::MAX,
        1 << 32,
        (1 << 53) + 1,
        16_777_217,
        -16_777_219,
    ];
    let all = [DType::F32, DType::F64, DType::U32, DType::I64, DType::Bool];
    for from in all {
        for to in all.into_iter().filter(|&t| t != from) {
            for round in 0..cases(20) {
                let dims = if round == 0 {
                    vec![2, 35_000]
                } else {
                    rng.shape(0)
                };
                let view = rng.view(&dims, true);
                let src = Buf::from_fn(from, view, |_| match from {
                    DType::F32 => u64::from((floats[rng.below(floats.len())] as f32).to_bits()),
                    DType::F64 => floats[rng.below(floats.len())].to_bits(),
                    DType::Bool => rng.next() & 1,
                    _ if rng.chance(2) => rng.next(),
                    _ => integers[rng.below(integers.len())] as u64,
                });
                for level in Level::available() {
                    let dst = Buf::new(to, rng.view(&dims, false));
                    let kernel = Cast {
                        src: src.raw(),
                        dst: dst.raw(),
                    };
                    kernel.check().unwrap();
                    // SAFETY: two live allocations, no element written twice.
                    run(true, kernel.blocks(), |b| unsafe {
                        kernel.run_block(level, b);
                    });
                    let canonical = |b: u64| match number(to, b) {
                        x if x.is_nan() => u64::MAX,
                        _ => b,
                    };
                    for (x, y) in src.all().into_iter().zip(dst.all()) {
                        assert_eq!(
                            canonical(y),
                            canonical(cast_oracle(from, to, x)),
                            "{from} {x:#x} -> {to} at {level}"
                        );
                    }
                    assert!(dst.rest_untouched());
                }
            }
        }
    }
}
