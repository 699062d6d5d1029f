//! Times the products on one core against `gemm`: `cargo bench -p retrograde-ops --bench product -- [level]`.
//!
//! GFLOP/s, best of many runs. `whole` packs in every run, `packed` reuses what was packed once (where the plan packs
//! a shared operand at all), `gemm` is `gemm::gemm` on the same memory.

use std::time::Instant;

use gemm::Parallelism;
use retrograde_ops::Level;
use retrograde_ops::product::{Float, Operands, Plan, Spec, Strides};
use retrograde_storage::Packet;

struct Case {
    name: &'static str,
    shape: (usize, usize, usize),
    a_transposed: bool,
    b_transposed: bool,
    c_columns: bool,
}

const fn case(name: &'static str, m: usize, n: usize, k: usize) -> Case {
    Case {
        name,
        shape: (m, n, k),
        a_transposed: false,
        b_transposed: false,
        c_columns: false,
    }
}

const CASES: &[Case] = &[
    Case {
        c_columns: true,
        a_transposed: true,
        b_transposed: true,
        ..case("column-major", 256, 64, 512)
    },
    case("square", 256, 256, 256),
    case("square", 1024, 1024, 1024),
    case("forward 1, batch 64", 64, 256, 784),
    case("forward 1, half", 32, 256, 784),
    case("forward 2", 64, 128, 256),
    case("forward 3", 64, 10, 128),
    Case {
        a_transposed: true,
        ..case("dW 1", 784, 256, 64)
    },
    Case {
        a_transposed: true,
        ..case("dW 1, half", 392, 256, 64)
    },
    Case {
        a_transposed: true,
        ..case("dW 2", 256, 128, 64)
    },
    Case {
        a_transposed: true,
        ..case("dW 3", 128, 10, 64)
    },
    Case {
        b_transposed: true,
        ..case("dX 2", 64, 256, 128)
    },
    Case {
        b_transposed: true,
        ..case("dX 3", 64, 128, 10)
    },
    case("forward 1, batch 512", 512, 256, 784),
    Case {
        a_transposed: true,
        ..case("dW 1, batch 512", 784, 256, 512)
    },
    Case {
        b_transposed: true,
        ..case("dX 2, batch 512", 512, 256, 128)
    },
    Case {
        a_transposed: true,
        ..case("dW, stride 4 KiB", 1024, 256, 512)
    },
    Case {
        a_transposed: true,
        ..case("dW, stride 4 KiB", 1024, 64, 512)
    },
    Case {
        b_transposed: true,
        ..case("dX, stride 4 KiB", 64, 1024, 1024)
    },
    case("both 4 KiB", 64, 1024, 1024),
    Case {
        a_transposed: true,
        ..case("dW, odd width", 785, 100, 64)
    },
    case("forward, odd width", 64, 100, 784),
    case("wide, few rows", 4, 4096, 1024),
    case("attention head", 32, 64, 64),
    Case {
        b_transposed: true,
        ..case("attention scores", 64, 64, 32)
    },
    case("small", 4, 4, 4),
    case("small", 8, 8, 8),
    case("small", 16, 16, 16),
    case("matrix-vector", 784, 1, 256),
    Case {
        a_transposed: true,
        ..case("transposed-vector", 784, 1, 256)
    },
    case("vector-matrix", 1, 256, 784),
    case("dot", 1, 1, 4096),
    case("outer", 256, 256, 1),
];

fn best(terms: usize, mut run: impl FnMut()) -> f64 {
    run();
    let repeats = (4_000_000 / terms).clamp(1, 20_000);
    let mut best = f64::MAX;
    for _ in 0..40 {
        let start = Instant::now();
        for _ in 0..repeats {
            run();
        }
        best = best.min(start.elapsed().as_secs_f64() / repeats as f64);
    }
    best
}

fn strides(rows: usize, columns: usize, transposed: bool) -> Strides {
    if transposed {
        Strides::column_major(rows)
    } else {
        Strides::row_major(columns)
    }
}

fn time<T: Float>(level: Level, case: &Case) {
    let (m, n, k) = case.shape;
    let fill = |len: usize| -> Vec<T> {
        (0..len)
            .map(|i| T::from_f64(((i * 7919) % 1000) as f64 / 500.0 - 1.0))
            .collect()
    };
    let (a, b) = (fill(m * k), fill(k * n));
    let mut c = fill(m * n);
    let spec = Spec {
        m,
        n,
        k,
        a: strides(m, k, case.a_transposed),
        b: strides(k, n, case.b_transposed),
        c: strides(m, n, case.c_columns),
        max_blocks: std::env::var("BLOCKS").map_or(1, |n| n.parse().unwrap()),
    };
    let plan = Plan::<T>::new(level, &spec);
    let mut packed = vec![Packet::ZERO; plan.shared_packets().unwrap()];
    let mut scratch = vec![Packet::ZERO; plan.scratch_packets()];
    let operands = Operands {
        a: a.as_ptr(),
        b: b.as_ptr(),
        c: c.as_mut_ptr(),
    };
    let terms = m * n * k;
    let mut run = |pack: bool| {
        // SAFETY: the vectors hold the matrices, the buffers have the sizes asked for, everything runs on this thread.
        unsafe {
            if pack {
                for part in 0..plan.parts() {
                    plan.prepare(part, &operands, packed.as_mut_ptr(), &mut scratch);
                }
            }
            for block in 0..plan.blocks() {
                plan.run_block(
                    block,
                    &operands,
                    packed.as_ptr(),
                    &mut scratch,
                    false,
                    |_, _| {},
                );
            }
        }
    };
    let whole = best(terms, || run(true));
    let packed = best(terms, || run(false));
    let reference = best(terms, || reference(&spec, &operands));
    let speed = |seconds: f64| 2.0 * terms as f64 / seconds / 1e9;
    println!(
        "{:22} {m:4} x {n:4} x {k:4}  {:9.2} us  whole {:6.1}  packed {:6.1}  gemm {:6.1}",
        case.name,
        whole * 1e6,
        speed(whole),
        speed(packed),
        speed(reference),
    );
}

fn reference<T: Float>(spec: &Spec, operands: &Operands<T>) {
    // SAFETY: as for the plan.
    unsafe {
        gemm::gemm(
            spec.m,
            spec.n,
            spec.k,
            operands.c,
            spec.c.column,
            spec.c.row,
            false,
            operands.a,
            spec.a.column,
            spec.a.row,
            operands.b,
            spec.b.column,
            spec.b.row,
            T::from_f64(0.0),
            T::from_f64(1.0),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

fn main() {
    let level = std::env::args()
        .find_map(|name| Level::from_name(&name))
        .unwrap_or_else(Level::detect);
    println!("{level}, f32");
    for case in CASES {
        time::<f32>(level, case);
    }
    println!("{level}, f64");
    for case in CASES {
        time::<f64>(level, case);
    }
}
