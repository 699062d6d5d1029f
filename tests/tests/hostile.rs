//! Nonsense through the public API: errors, never panics (contract 4). A panic anywhere fails the test by itself.

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use retrograde::prelude::*;
use retrograde::{CustomOp, Interpolation, Order, Rope, ScanOptions, Side, Triangle, implicit};
use retrograde_tests::{cases, explores};

/// Shapes that a call may find: of every rank, with nothing in them, as large as axes go.
const SHAPES: [&[usize]; 13] = [
    &[],
    &[1],
    &[5],
    &[0],
    &[3, 4],
    &[4, 0, 3],
    &[2, 3, 4],
    &[1, 1, 1, 1, 1, 1, 1, 1],
    &[2, 1, 2, 1, 2, 1, 2, 1],
    &[3, 3],
    &[2, 4, 3, 5],
    &[4, 2, 2, 3],
    &[0, 4, 3, 3],
];

/// Numbers that a user might pass as an axis, an index or a length, sensible or not.
const NUMBERS: [isize; 16] = [
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    9,
    -1,
    -2,
    -3,
    -9,
    100,
    isize::MAX,
    isize::MIN,
    1 << 40,
];

/// One call of a method with arguments from `n`.
fn call<'t>(op: u8, x: Var<'t, f64>, y: Var<'t, f64>, n: [isize; 3]) -> Var<'t, f64> {
    let [a, b, c] = n;
    let [ua, ub, uc] = n.map(|n| n as usize);
    let small = |n: usize| n % 5;
    let rec = x.rec();
    match op % 110 {
        0 => x.sum_over(a),
        1 => x.mean_over([a, b]),
        2 => x.prod_over(keep([a, b, c])),
        3 => x.max_over(a),
        4 => x.min_over([a, b]),
        5 => x.var_over([a, b], uc),
        6 => x.std(ua),
        7 => x.norm_p_over(a, b as f64),
        8 => x.logsumexp_over([a, b]),
        9 => x.argmax_over(a).cast(),
        10 => x.argmin_over([a, b]).cast(),
        11 => x.softmax(a),
        12 => x.log_softmax(a),
        13 => x.layer_norm(y, x, b as f64),
        14 => x.rms_norm(y, y),
        15 => x.cumsum(a),
        16 => x.cumprod(a),
        17 => x.cummax(a),
        18 => x.logcumsumexp(a),
        19 => x.reshape([ua, ub]),
        20 => x.reshape([ua, retrograde::INFER, uc]),
        21 => x.transpose(a, b),
        22 => x.t(),
        23 => x.permute([a, b, c]),
        24 => x.squeeze([a, b]),
        25 => x.unsqueeze(a),
        26 => x.broadcast_to([ua, ub, uc]),
        27 => x.slice(a, b..c),
        28 => x.at(a, b),
        29 => x.slice_step(a, b.., c),
        30 => x.narrow(a, ub, uc),
        31 => x.flip([a, b]),
        32 => x.roll(a, b),
        33 => x.split(&[ua, ub, uc], a).pop().unwrap_or(x),
        34 => x.chunk(ua, b).pop().unwrap_or(x),
        35 => x.repeat([ua, ub]),
        36 => x.tile([ua, ub, uc]),
        37 => x.repeat_interleave(ua, b),
        38 => rec.concat(&[x, y, x], a),
        39 => rec.stack(&[x, y], a),
        40 => x.matmul(y),
        41 => x.dot(y),
        42 => x.outer(y),
        43 => x.powi(a as i32),
        44 => x.powf(a as f64),
        45 => x.clamp(y, a as f64),
        46 => x.mse(y),
        47 => x.bce_with_logits(y),
        48 => x.cross_entropy(y.cast()),
        49 => x.nll(y.cast()),
        50 => x.gather(a, y.cast::<i64>()),
        51 => x.index_select(a, y.cast::<i64>()),
        52 => x.embedding(y.cast::<u32>()),
        53 => x.scatter_add(a, y.cast::<i64>(), x),
        54 => y.cast::<i64>().one_hot(ua),
        55 => x.masked_fill(y.gt(0.0), x),
        56 => x.dropout(a as f64, rec.rng(1)),
        57 => rec.rng(ua as u64).uniform([small(ua), ub], 0.0, c as f64),
        58 => rec
            .rng(1)
            .randint::<i64>([small(ua)], b as i64, c as i64)
            .cast(),
        59 => rec
            .rng(1)
            .permutation(if ua > 1 << 20 && ua < 1 << 50 { 7 } else { ua })
            .cast(),
        60 => rec.linspace(
            a as f64,
            b as f64,
            if uc > 1 << 20 && uc < 1 << 50 { 7 } else { uc },
        ),
        61 => rec.eye(if ua > 1 << 10 && ua < 1 << 32 { 7 } else { ua }),
        62 => x.gt(y).count_over([a, b]).cast(),
        63 => x.fma(y, x).lerp(y, x),
        64 => x.cholesky(),
        65 => x.solve(y),
        66 => x.solve_triangular(y, Triangle::upper().transposed()),
        67 => x.inverse().det(),
        68 => x.logdet() * x.slogdet().0,
        69 => x.trace(),
        70 => x.diag(),
        71 => x.diagonal(a),
        72 => x.diag_embed(if (1 << 10..1 << 50).contains(&a.unsigned_abs()) {
            7
        } else {
            a
        }),
        73 => x.tril(a).triu(b),
        74 => x.sort(a, Order::Descending),
        75 => x.argsort(a, Order::Ascending).cast(),
        76 => x.topk(small(ub), a, Order::Descending).0,
        77 => x.searchsorted(y, Side::Right).cast(),
        78 => CustomOp::new("slices", |inputs, out| out.fill(inputs[0].len() as f64))
            .backward(|_, _, g, grads| grads[0].iter_mut().zip(g).for_each(|(to, g)| *to = *g))
            .apply([x, y]),
        79 => implicit::root(|z, p| z * p[0] - p[0]).solve(x, &[y]),
        _ => more(op % 110, x, y, n),
    }
}

/// The rest of the calls.
fn more<'t>(op: u8, x: Var<'t, f64>, y: Var<'t, f64>, n: [isize; 3]) -> Var<'t, f64> {
    let [a, b, c] = n;
    let [ua, ub, uc] = n.map(|n| n as usize);
    let rec = x.rec();
    let conv = ConvOptions::default()
        .stride([ua, 1])
        .padding([1, ub])
        .dilation([1, uc]);
    let pool = PoolOptions::kernel([ua, ub]);
    match op {
        80 => x.conv2d(y, conv),
        81 => x.conv2d(y, ConvOptions::default().groups(ua).padding(1)),
        82 => x.conv_transpose2d(y, conv.output_padding([uc, 0])),
        83 => x.conv_transpose2d(y, ConvOptions::default().groups(ua)),
        84 => x.conv1d(y, conv),
        85 => x.max_pool2d(pool.stride(uc)),
        86 => x.avg_pool2d(pool.padding(uc)),
        87 => x.avg_pool2d(pool.stride([1, uc]).padding(1).count_include_pad(false)),
        88 => x.unfold([ua, ub], conv),
        89 => x.windows(a, ub, uc),
        90 => x.adaptive_avg_pool2d([ua, ub]),
        91 => x.upsample([ua, ub], Interpolation::Nearest),
        92 => x.upsample([ua, ub], Interpolation::Bilinear),
        93 => x.scaled_dot_product_attention(y, y, Attention::causal().scale(c as f64)),
        94 => x.scaled_dot_product_attention(y, x, Attention::full().keep(y.gt(0.5))),
        95 => x.scaled_dot_product_attention(x, y, Attention::full().bias(y)),
        96 => x.rope(Rope::default().offset(ua).base(b as f64)),
        97 => x.pad([(ua, ub), (uc, 0)], 1.0),
        98 => x.scatter(a, y.cast::<i64>(), x),
        99 => x.index_add(a, y.cast::<i64>(), b as f64),
        100 => x.take(y.cast::<u32>()),
        101 => x.masked_select(y.gt(0.5)),
        102 => x.unique(),
        103 => x.normalize([a, b]) + x.cosine_similarity(y, c),
        104 => x.batch_norm(y, y, 0.1),
        105 => x.group_norm(ua, y, y, b as f64),
        106 => x.huber(y, a as f64) + x.kl_div(y),
        107 => {
            let how = ClassLoss::default().smoothing(0.1).ignore(1).weights(y);
            x.cross_entropy_by(x.argmax_over(-1), how)
        }
        108 => {
            let how = ScanOptions::new().checkpoint_every(ua);
            let how = if b < 8 { how } else { how.length(ub) };
            let (last, path) = rec.scan_with(how, y, x, |c, x| (c * x.sum(), x));
            last.sum() + path
        }
        _ => rec.einsum(["ij,jk", "...i,...i->...", "ii", "i,j"][ua % 4], &[x, y]),
    }
}

/// Whether working with `v` would take memory or time that a test should not ask for. Larger than any machine's memory
/// is refused at once. Extents of 0 do not count: what is summed over them has the others.
fn too_large(v: Var<'_, f64>) -> bool {
    let Ok(shape) = v.shape() else { return false };
    let size = shape
        .iter()
        .filter(|&&d| d > 0)
        .fold(1usize, |n, &d| n.saturating_mul(d));
    size > 1 << 14 && !(v.len().is_ok_and(|n| n >= 1 << 55))
}

#[test]
fn no_call_panics() {
    let config = Config {
        cases: cases(1500),
        rng_seed: if explores() {
            RngSeed::Random
        } else {
            RngSeed::Fixed(3)
        },
        failure_persistence: None,
        ..Config::default()
    };
    let step = (any::<[u8; 3]>(), any::<[u8; 3]>());
    let programs = (any::<[u8; 2]>(), proptest::collection::vec(step, 1..6));
    let outcome = TestRunner::new(config).run(&programs, |(shapes, steps)| {
        let tape = Tape::new();
        let [x, y] = shapes.map(|s| {
            let shape = SHAPES[usize::from(s) % SHAPES.len()];
            tape.variable(Array::from_shape_fn(shape.to_vec(), |i| {
                i.iter().sum::<usize>() as f64
            }))
        });
        let mut pool = vec![x, y];
        for ([op, a, b], numbers) in steps {
            let pick = |i: u8| pool[usize::from(i) % pool.len()];
            let n = numbers.map(|n| NUMBERS[usize::from(n) % NUMBERS.len()]);
            let v = call(op, pick(a), pick(b), n);
            if !too_large(v) {
                pool.push(v);
            }
        }
        for &v in &pool {
            // All answers are fine, errors among them.
            let (shape, value) = (v.shape(), v.value());
            if let (Ok(shape), Ok(value)) = (&shape, &value) {
                prop_assert_eq!(shape.as_slice(), value.shape());
            }
            prop_assert!(shape.is_ok() || value.is_err(), "a value without a shape");
            drop((v.item(), v.backward(), v.sum().backward(), v.grad()));
            drop(v.backward_with(&Array::<f64>::ones([2])));
            for g in v.sum().grad_of([x, y]) {
                drop(g.value());
            }
        }
        drop(format!("{tape:?}"));
        Ok(())
    });
    if let Err(e) = outcome {
        panic!("{e}");
    }
}

/// Shapes and sizes no machine has room for.
#[test]
fn impossible_sizes_are_errors() {
    let tape = Tape::new();
    let huge = usize::MAX;
    for (v, kind) in [
        (tape.rec().zeros::<f64>([huge]), ErrorKind::Shape),
        (tape.rec().zeros::<f64>([huge, 2]), ErrorKind::Shape),
        (tape.rec().arange::<f64>(huge), ErrorKind::Shape),
        (tape.rec().eye::<f64>(huge), ErrorKind::Shape),
        (tape.variable(Array::<f64>::zeros([huge])), ErrorKind::Shape),
        (tape.rec().zeros::<f64>([1 << 50]), ErrorKind::Memory),
        (tape.rec().ones::<f64>([1 << 58]), ErrorKind::Memory),
        (
            tape.rec().ones::<f64>([1 << 29, 1 << 29]).exp(),
            ErrorKind::Memory,
        ),
    ] {
        let error = v.value().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    assert!(Array::<f64>::zeros([huge]).check().is_err());
    assert!(Array::<f64>::try_zeros([huge]).is_err());
}

#[test]
fn programs_refuse_what_they_do_not_have() -> Result<()> {
    let x = Array::<f64>::ones([3]);
    let p = Program::record(&[x.clone()], |_, [x]| x.exp())?;
    assert_eq!(p.grad().unwrap_err().kind(), ErrorKind::Seed);
    assert_eq!(p.hvp().unwrap_err().kind(), ErrorKind::Seed);
    assert_eq!(p.output(1).unwrap_err().kind(), ErrorKind::Inputs);
    assert_eq!(
        p.value_and_grad_of(&[0]).unwrap_err().kind(),
        ErrorKind::Seed
    );
    assert!(p.output_shape(9).is_none() && p.input_shape(9).is_none());
    let mut ws = p.workspace()?;
    let out = p.run(&mut ws, [&x])?;
    assert_eq!(out.array::<f64>(1).unwrap_err().kind(), ErrorKind::Inputs);
    assert_eq!(out.array::<f32>(0).unwrap_err().kind(), ErrorKind::DType);
    assert!(out.item::<f64>(0).is_err(), "three elements are no item");
    let none = Program::try_record(&[x.clone()], |_, [_]| Ok(Vec::<Var<'_, f64>>::new().into()))?;
    assert_eq!(none.grad().unwrap_err().kind(), ErrorKind::Inputs);
    assert_eq!(none.run(&mut none.workspace()?, [&x])?.len(), 0);
    let backward = Program::try_record(&[x.clone()], |_, [x]| {
        x.sum().backward()?;
        Ok(x.into())
    });
    assert_eq!(backward.unwrap_err().kind(), ErrorKind::Unknown);
    Ok(())
}
