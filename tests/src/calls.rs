//! Calls of every method, with arguments that may fit or not: what fuzzing is made of.

use retrograde::prelude::*;
use retrograde::{CustomOp, Interpolation, Order, Rope, ScanOptions, Side, Triangle, implicit};

/// An operation, which values it takes, which numbers.
pub type Step = ([u8; 3], [u8; 3]);

/// Shapes that a call may find: of every rank, with nothing in them, as large as axes go.
pub const SHAPES: [&[usize]; 13] = [
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
pub const NUMBERS: [isize; 16] = [
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

/// How many operations there are.
const OPERATIONS: u8 = 113;

/// One call of a method with arguments from `n`.
fn call<'t>(op: u8, x: Var<'t, f64>, y: Var<'t, f64>, n: [isize; 3]) -> Var<'t, f64> {
    let [a, b, c] = n;
    let [ua, ub, uc] = n.map(|n| n as usize);
    let small = |n: usize| n % 5;
    let rec = x.rec();
    match op % OPERATIONS {
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
        _ => more(op % OPERATIONS, x, y, n),
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
        109 => x.eigh().1 * x.eigvalsh(),
        110 => x.svd().0.matmul(x.svd().2) * x.svdvals(),
        111 => x.qr().0.matmul(x.qr().1),
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

/// The operands and what the calls make of them, in order; the errors among them too, but not what would take too much
/// memory, nor operations for which `skip` holds.
pub fn results<'t>(
    operands: [Var<'t, f64>; 2],
    steps: &[Step],
    numbers: &[isize],
    skip: impl Fn(u8) -> bool,
) -> Vec<Var<'t, f64>> {
    let mut pool = operands.to_vec();
    for ([op, a, b], n) in steps {
        let pick = |i: &u8| pool[usize::from(*i) % pool.len()];
        let n = n.map(|n| numbers[usize::from(n) % numbers.len()]);
        if skip(op % OPERATIONS) {
            continue;
        }
        let v = call(*op, pick(a), pick(b), n);
        if !too_large(v) {
            pool.push(v);
        }
    }
    pool
}
