//! Gather and scatter.

use retrograde_ops::Level;
use retrograde_ops::structured::{Combine, ErrorCell, Gather, Scatter};
use retrograde_storage::{DType, Shape, View};

use crate::common::*;

/// An index for `shape` with extent `n` on the axis: a full view, or a vector along `axis` expanded to it.
fn index(rng: &mut Rng, dims: &[usize], axis: usize, n: usize, bad: bool) -> Buf {
    let dtype = if rng.chance(2) {
        DType::U32
    } else {
        DType::I64
    };
    let mut view = rng.view(dims, true);
    if rng.chance(2) {
        for other in (0..dims.len()).filter(|&a| a != axis) {
            if view.strides[other] < 0 {
                view.offset += (dims[other] as isize - 1).max(0) * view.strides[other];
            }
            view.strides[other] = 0;
        }
    }
    Buf::from_fn(dtype, view, |_| {
        let valid = rng.below(n.max(1)) as i64;
        let i = match dtype {
            DType::U32 if bad && rng.chance(9) => valid + n as i64,
            DType::I64 if bad && rng.chance(9) => valid + n as i64,
            DType::I64 if bad && rng.chance(9) => valid - 2 * n as i64 - 1,
            DType::I64 if rng.chance(3) => valid - n as i64,
            _ => valid,
        };
        bits(dtype, i as f64)
    })
}

/// The place an index means, by plain arithmetic.
fn place(i: f64, n: usize) -> Option<usize> {
    let i = if i < 0.0 { i + n as f64 } else { i };
    (i >= 0.0 && i < n as f64).then_some(i as usize)
}

/// The first bad index: among distinct stored elements, in row-major order.
fn first_bad(index: &Buf, n: usize) -> Option<(u64, i64)> {
    let mut view = index.view;
    for axis in 0..view.shape.rank() {
        if view.strides[axis] == 0 && !view.shape.is_empty() {
            view = view.slice(axis, 0, 1, 1);
        }
    }
    let all = index.numbers();
    let every = positions(&index.view);
    positions(&view)
        .into_iter()
        .enumerate()
        .find_map(|(p, at)| {
            let i = all[every.iter().position(|&q| q == at).unwrap()];
            place(i, n).is_none().then_some((p as u64, i as i64))
        })
}

#[test]
fn gathers() {
    let mut rng = Rng(11);
    for case in 0..cases(3000) {
        let (dims, dtype) = (rng.shape(1), rng.dtype());
        let axis = rng.below(dims.len());
        let n = if rng.chance(20) { 0 } else { 1 + rng.below(9) };
        let mut from = dims.clone();
        from[axis] = n;
        let view = rng.view(&from, true);
        let src = Buf::random(dtype, view, &mut rng);
        let bad = rng.chance(3);
        let index = index(&mut rng, &dims, axis, n, bad);
        let dst = Buf::new(dtype, rng.view(&dims, false));
        let errors = ErrorCell::new();
        let kernel = Gather {
            src: src.raw(),
            index: index.raw(),
            dst: dst.raw(),
            axis,
            errors: &errors,
            site: 7,
        };
        kernel.check().unwrap();
        // SAFETY: three live allocations, no element written twice.
        run(false, kernel.blocks(), |b| unsafe {
            kernel.run_block(Level::detect(), b);
        });
        let (_, k, inner) = split(&dims, axis);
        let values = src.all();
        let expected: Vec<u64> = index
            .numbers()
            .into_iter()
            .enumerate()
            .map(|(at, i)| {
                let (o, e) = (at / (k * inner), at % inner);
                place(i, n).map_or(0, |p| values[(o * n + p) * inner + e])
            })
            .collect();
        assert_eq!(
            dst.all(),
            expected,
            "case {case}: {dims:?} along {axis} of {n}"
        );
        assert!(dst.rest_untouched());
        let fault = errors.get().map(|f| {
            assert_eq!((f.site, f.bound), (7, n as u64));
            (f.position, f.value)
        });
        assert_eq!(fault, first_bad(&index, n), "case {case}");
    }
}

#[test]
fn gathers_rows_in_many_blocks_and_reports_the_first_of_many_errors() {
    let mut rng = Rng(12);
    let (rows, width, n) = (3000, 37, 500);
    let table = View::dense(Shape::new(&[n, width]).unwrap());
    let src = Buf::random(DType::F32, table, &mut rng);
    let mut view = View::dense(Shape::new(&[rows, width]).unwrap());
    view.strides[0] = 1;
    view.strides[1] = 0;
    let index = Buf::from_fn(DType::U32, view, |at| {
        let row = (at / width) as u64;
        if row > 1200 && row.is_multiple_of(3) {
            500 + row
        } else {
            row * 7 % 500
        }
    });
    for _ in 0..20 {
        let dst = Buf::dense(DType::F32, &[rows, width]);
        let mut errors = ErrorCell::new();
        let kernel = Gather {
            src: src.raw(),
            index: index.raw(),
            dst: dst.raw(),
            axis: 0,
            errors: &errors,
            site: 0,
        };
        assert!(kernel.blocks() > 2);
        // SAFETY: three live allocations, no element written twice.
        run(true, kernel.blocks(), |b| unsafe {
            kernel.run_block(Level::detect(), b);
        });
        let fault = errors.take().unwrap();
        assert_eq!(
            (fault.position, fault.value, fault.bound),
            (1203, 1703, 500)
        );
        assert_eq!(
            fault.to_string(),
            "index 1703 at position 1203 is out of range for an axis of 500 elements"
        );
        assert!(errors.is_clear());
        let (values, out) = (src.all(), dst.all());
        for row in 0..rows {
            let i = row * 7 % 500;
            let bad = row > 1200 && row % 3 == 0;
            for c in 0..width {
                let want = if bad { 0 } else { values[i * width + c] };
                assert_eq!(out[row * width + c], want);
            }
        }
    }
}

/// Naive scatter in the order of positions, on numbers; exact for `f32` because each addition rounds to it.
fn scatter_oracle(
    start: Vec<f64>,
    dims: &[usize],
    axis: usize,
    n: usize,
    src: &[f64],
    index: &[f64],
    combine: Combine,
    round: impl Fn(f64) -> f64,
) -> Vec<f64> {
    let (_, k, inner) = split(dims, axis);
    let mut out = start;
    for (at, (&x, &i)) in src.iter().zip(index).enumerate() {
        let (o, e) = (at / (k * inner), at % inner);
        if let Some(p) = place(i, n) {
            let y = &mut out[(o * n + p) * inner + e];
            *y = match combine {
                Combine::Add => round(*y + x),
                Combine::Set => x,
            };
        }
    }
    out
}

fn check_scatter(rng: &mut Rng, dims: &[usize], axis: usize, n: usize, threads: bool, what: &str) {
    let dtype = rng.dtype();
    let combine = if dtype == DType::Bool || rng.chance(4) {
        Combine::Set
    } else {
        Combine::Add
    };
    let mut to = dims.to_vec();
    to[axis] = n;
    let view = rng.view(dims, true);
    // Sums of thirds round, so that the order of additions shows.
    let src = Buf::from_fn(dtype, view, |_| match dtype {
        DType::F32 | DType::F64 => bits(dtype, rng.float() / 3.0),
        DType::Bool => rng.next() & 1,
        _ => rng.next() & 0xffff,
    });
    let bad = rng.chance(3);
    let index = index(rng, dims, axis, n, bad);
    let base_view = rng.view(&to, true);
    let base = rng.chance(2).then(|| {
        Buf::from_fn(dtype, base_view, |_| {
            rng.next() & u64::from(dtype != DType::F64)
        })
    });
    let dst = Buf::new(dtype, rng.view(&to, false));
    let errors = ErrorCell::new();
    let kernel = Scatter {
        src: src.raw(),
        index: index.raw(),
        base: base.as_ref().map(Buf::raw),
        dst: dst.raw(),
        axis,
        combine,
        errors: &errors,
        site: 3,
    };
    kernel.check().unwrap();
    for level in Level::available() {
        // SAFETY: live allocations apart from each other, no element written twice.
        run(threads, kernel.blocks(), |b| unsafe {
            kernel.run_block(level, b);
        });
        let start = base
            .as_ref()
            .map_or(vec![0.0; to.iter().product()], Buf::numbers);
        let expected = scatter_oracle(
            start,
            dims,
            axis,
            n,
            &src.numbers(),
            &index.numbers(),
            combine,
            |x| {
                if dtype == DType::F32 {
                    f64::from(x as f32)
                } else {
                    x
                }
            },
        );
        assert_eq!(
            dst.numbers(),
            expected,
            "{what}: {dtype} {dims:?} along {axis} to {n}"
        );
        assert!(dst.rest_untouched());
    }
    let fault = errors.get().map(|f| (f.position, f.value));
    if !threads {
        assert_eq!(fault, first_bad(&index, n), "{what}");
    }
}

#[test]
fn scatters() {
    let mut rng = Rng(13);
    for case in 0..cases(2000) {
        let dims = rng.shape(1);
        let axis = rng.below(dims.len());
        let n = if rng.chance(20) { 0 } else { 1 + rng.below(9) };
        check_scatter(&mut rng, &dims, axis, n, false, &format!("case {case}"));
    }
}

#[test]
fn scatters_in_many_blocks() {
    let mut rng = Rng(14);
    for (dims, axis, n) in [
        (vec![900, 65], 0, 70),
        (vec![90_000], 0, 50),
        (vec![50, 30, 64], 1, 9),
        (vec![3, 40_000], 0, 5),
        (vec![5, 20_000], 1, 33),
        (vec![2, 300, 100], 1, 11),
    ] {
        for _ in 0..3 {
            check_scatter(&mut rng, &dims, axis, n, true, "large");
        }
    }
}

#[test]
fn scatter_is_the_adjoint_of_gather() {
    // <u, gather(x)> = <scatter_add(u), x>, in integers so that it is exact.
    let mut rng = Rng(15);
    for _ in 0..cases(200) {
        let dims = rng.shape(1);
        let axis = rng.below(dims.len());
        let mut from = dims.clone();
        from[axis] = 1 + rng.below(5);
        let views = [from.as_slice(), &dims].map(|d| View::dense(Shape::new(d).unwrap()));
        let [x, u] = views.map(|v| Buf::from_fn(DType::I64, v, |_| rng.next() & 0xff));
        let index = index(&mut rng, &dims, axis, from[axis], false);
        let (y, g) = (Buf::dense(DType::I64, &dims), Buf::dense(DType::I64, &from));
        let errors = ErrorCell::new();
        let forward = Gather {
            src: x.raw(),
            index: index.raw(),
            dst: y.raw(),
            axis,
            errors: &errors,
            site: 0,
        };
        let backward = Scatter {
            src: u.raw(),
            index: index.raw(),
            base: None,
            dst: g.raw(),
            axis,
            combine: Combine::Add,
            errors: &errors,
            site: 0,
        };
        // SAFETY: live allocations, no element written twice.
        run(false, forward.blocks(), |b| unsafe {
            forward.run_block(Level::detect(), b);
        });
        // SAFETY: as above.
        run(false, backward.blocks(), |b| unsafe {
            backward.run_block(Level::detect(), b);
        });
        let dot = |a: &Buf, b: &Buf| -> f64 {
            a.numbers()
                .iter()
                .zip(b.numbers())
                .map(|(a, b)| a * b)
                .sum()
        };
        assert_eq!(dot(&u, &y), dot(&g, &x));
        assert!(errors.is_clear());
    }
}
