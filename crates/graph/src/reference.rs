//! The oracle of the tests: a slow, plain evaluator of an instruction list, one instruction at a time, in `f64`.
//!
//! It shares no code with the kernels, passes or planner: loops over coordinates, functions of the standard library, and
//! textbook series where it has none. Every element is an `f64` whatever its type (integers are exact to 2^53), so an
//! `f32` list is evaluated as its `f64` self.

mod attention;
mod conv;
mod decomposition;
mod every;
mod linalg;
mod scan;
mod sort;
mod special;

use retrograde_ops::structured::Division;
use retrograde_ops::{Binary, Reduce, Ternary, Unary};
use retrograde_storage::{DType, Element, Id, MAX_RANK, Shape};

use crate::body::PLACEHOLDER;
use crate::list::{List, Value};
use crate::op::Op;
use crate::tape::Store;
use crate::var::{Float, Var};

pub use every::{operations, operations_on};

/// An index out of range: (instruction, element), the smallest.
pub type OutOfRange = (Value, usize);

/// The elements of every instruction's result, row-major. `leaf` gives those of [`Op::Input`], [`Op::Uniform`] and
/// [`Op::Random`].
pub fn evaluate(
    list: &List,
    mut leaf: impl FnMut(&List, Value) -> Vec<f64>,
) -> Result<Vec<Vec<f64>>, OutOfRange> {
    let mut values: Vec<Vec<f64>> = Vec::with_capacity(list.len());
    for v in list.values() {
        let result = match list.op(v) {
            Op::Input | Op::Uniform | Op::Random(_) => leaf(list, v),
            _ => instruction(list, v, &values)?,
        };
        assert_eq!(result.len(), list.shape(v).len(), "{v} {:?}", list.op(v));
        values.push(result);
    }
    Ok(values)
}

/// What [`evaluate`] makes of values on a tape, whose leaves hold data: the same recording, and nothing of what compiles
/// and runs it. `None` where it draws random numbers, reads parameters, or has an index out of range.
pub fn on_tape<T: Float>(values: &[Var<'_, T>]) -> Option<Vec<Vec<f64>>> {
    let state = values.first()?.rec.recorder.state.borrow();
    let mut complete = true;
    let leaf = |list: &List, v: Value| {
        let data = match list.op(v) {
            Op::Uniform => Some(vec![state.uniforms[list.attr(v).as_int() as usize]]),
            // What was recorded as the body of a loop is read by nobody.
            Op::Input if list.attr(v).as_int() == PLACEHOLDER => {
                Some(vec![0.0; list.shape(v).len()])
            }
            Op::Input => leaf_elements(&state.store, list, v),
            _ => None,
        };
        data.unwrap_or_else(|| {
            complete = false;
            vec![f64::NAN; list.shape(v).len()]
        })
    };
    let all = evaluate(&state.list, leaf).ok()?;
    complete.then(|| values.iter().map(|v| all[v.id.index()].clone()).collect())
}

fn leaf_elements(store: &Store, list: &List, v: Value) -> Option<Vec<f64>> {
    fn numbers<T: Element>(store: &Store, v: Value, shape: Shape) -> Option<Vec<f64>> {
        let elements = store.elements::<T>(v, shape)?;
        Some(elements.into_iter().map(T::to_f64).collect())
    }
    let shape = list.shape(v);
    match list.dtype(v) {
        DType::F32 => numbers::<f32>(store, v, shape),
        DType::F64 => numbers::<f64>(store, v, shape),
        DType::U32 => numbers::<u32>(store, v, shape),
        DType::I64 => numbers::<i64>(store, v, shape),
        DType::Bool => numbers::<bool>(store, v, shape),
    }
}

type Coordinates = [usize; MAX_RANK];

fn coordinates(shape: Shape, mut flat: usize) -> Coordinates {
    let mut at = [0; MAX_RANK];
    for axis in (0..shape.rank()).rev() {
        at[axis] = flat % shape.dims()[axis];
        flat /= shape.dims()[axis];
    }
    at
}

fn flat(shape: Shape, at: &Coordinates) -> usize {
    shape
        .dims()
        .iter()
        .zip(at)
        .fold(0, |flat, (&d, &i)| flat * d + i)
}

/// For each element of `to` the element of `from` that broadcasts to it.
fn spread(from: Shape, to: Shape) -> Vec<usize> {
    let lead = to.rank() - from.rank();
    let source = |e| {
        let at = coordinates(to, e);
        let mut source = [0; MAX_RANK];
        for axis in 0..from.rank() {
            source[axis] = if from.dims()[axis] == 1 {
                0
            } else {
                at[lead + axis]
            };
        }
        flat(from, &source)
    };
    (0..to.len()).map(source).collect()
}

fn instruction(list: &List, v: Value, values: &[Vec<f64>]) -> Result<Vec<f64>, OutOfRange> {
    let (shape, dtype, attr) = (list.shape(v), list.dtype(v), list.attr(v));
    let operand = |i: usize| &values[list.arg(v, i).index()];
    let operand_shape = |i: usize| list.shape(list.arg(v, i));
    // Operand `i`, broadcast to the result.
    let full = |i: usize| -> Vec<f64> {
        spread(operand_shape(i), shape)
            .into_iter()
            .map(|e| operand(i)[e])
            .collect()
    };
    let positions = || (0..shape.len()).map(|e| coordinates(shape, e));
    Ok(match list.op(v) {
        Op::Input | Op::Uniform | Op::Random(_) => unreachable!("leaves are given"),
        Op::Const => vec![if dtype.is_float() {
            attr.as_float()
        } else {
            attr.as_int() as f64
        }],
        Op::Iota => positions().map(|at| at[attr.as_axis()] as f64).collect(),
        Op::Unary(op) => {
            let of = |&x: &f64| match dtype {
                DType::U32 | DType::I64 => wrap(dtype, unary(op, x) as i128),
                _ => unary(op, x),
            };
            operand(0).iter().map(of).collect()
        }
        Op::Binary(op) => {
            let pairs = full(0).into_iter().zip(full(1));
            let of = |(x, y)| {
                let exact = (!dtype.is_float()).then(|| integer(op, x, y)).flatten();
                exact.map_or_else(|| binary(op, x, y), |r| wrap(dtype, r))
            };
            pairs.map(of).collect()
        }
        Op::Division(what) => {
            let (x, y) = (full(0), full(1));
            if let Some(e) = y.iter().position(|&y| y == 0.0) {
                return Err((v, e));
            }
            // Integers of `f64` are below 2^63, so only the smallest by -1 is out of range, and wraps.
            let divide = |(x, y): (f64, f64)| match what {
                Division::Quotient => x as i128 / y as i128,
                Division::Remainder => x as i128 % y as i128,
            };
            let pairs = x.into_iter().zip(y);
            pairs.map(|pair| wrap(dtype, divide(pair))).collect()
        }
        Op::Ternary(op) => {
            let triples = full(0).into_iter().zip(full(1)).zip(full(2));
            triples.map(|((x, y), z)| ternary(op, x, y, z)).collect()
        }
        Op::PowI => operand(0)
            .iter()
            .map(|&x| x.powi(attr.as_int() as i32))
            .collect(),
        Op::Cast => operand(0).iter().map(|&x| cast(x, dtype)).collect(),
        Op::Detach | Op::Copy | Op::Reshape | Op::After => operand(0).clone(),
        Op::CheckIndex => {
            let bound = attr.as_bound() as f64;
            // Signed indices may count from the end.
            let least = if dtype == DType::I64 { -bound } else { 0.0 };
            let inside = |i: f64| (least..bound).contains(&i);
            if let Some(e) = operand(0).iter().position(|&i| !inside(i)) {
                return Err((v, e));
            }
            operand(0).clone()
        }

        Op::Reduce(kind) => grouped(operand_shape(0), shape, operand(0))
            .iter()
            .map(|g| {
                let exact = (!dtype.is_float()).then(|| integers(kind, g)).flatten();
                exact.map_or_else(|| reduce(kind, g), |r| wrap(dtype, r))
            })
            .collect(),
        Op::LogSumExp => grouped(operand_shape(0), shape, operand(0))
            .iter()
            .map(|g| log_sum_exp(g))
            .collect(),
        Op::Softmax | Op::LogSoftmax => {
            let kept = crate::list::kept(shape, attr.as_axes());
            let groups = grouped(shape, kept, operand(0));
            let group_of = spread(kept, shape);
            let log = list.op(v) == Op::LogSoftmax;
            operand(0)
                .iter()
                .zip(group_of)
                .map(|(&x, g)| softmax(x, &groups[g], log))
                .collect()
        }
        Op::ArgMax | Op::ArgMin => {
            let sign = if list.op(v) == Op::ArgMax { 1.0 } else { -1.0 };
            let groups = grouped(operand_shape(0), shape, operand(0));
            groups
                .iter()
                .map(|g| running_best(g, sign).last().map_or(0, |&i| i) as f64)
                .collect()
        }

        Op::Recurrence => {
            let (x, y) = (full(0), full(1));
            let mut r = vec![0.0; shape.len()];
            for line in lines(shape, attr.as_axis(), attr.is_reverse()) {
                let product = if attr.is_strong() {
                    Binary::MulStrong
                } else {
                    Binary::Mul
                };
                let mut last = None;
                for e in line {
                    r[e] = y[e] + last.map_or(0.0, |last| binary(product, last, x[e]));
                    if matches!(dtype, DType::U32 | DType::I64) {
                        r[e] = wrap(dtype, r[e] as i128);
                    }
                    last = Some(r[e]);
                }
            }
            r
        }
        Op::CumMax | Op::CumArgMax | Op::LogCumSumExp => {
            let mut r = vec![0.0; shape.len()];
            for line in lines(shape, attr.as_axis(), attr.is_reverse()) {
                let x: Vec<f64> = line.iter().map(|&e| operand(0)[e]).collect();
                let best = running_best(&x, 1.0);
                for (i, &e) in line.iter().enumerate() {
                    r[e] = match list.op(v) {
                        Op::CumMax => x[best[i]],
                        Op::CumArgMax => best[i] as f64,
                        _ => log_sum_exp(&x[..=i]),
                    };
                }
            }
            r
        }

        Op::ArgSort => {
            let mut r = vec![0.0; shape.len()];
            for line in lines(shape, attr.as_axis(), false) {
                let x: Vec<f64> = line.iter().map(|&e| operand(0)[e]).collect();
                let order = sort::order(&x, attr.is_reverse());
                line.iter().zip(order).for_each(|(&e, i)| r[e] = i as f64);
            }
            r
        }
        Op::SearchSorted => {
            let (n, m) = (
                operand_shape(0).dims()[shape.rank() - 1],
                shape.dims()[shape.rank() - 1],
            );
            let line = |e: usize| &operand(0)[e / m * n..][..n];
            let count =
                |(e, &y): (usize, &f64)| sort::before(line(e), y, attr.as_int() == 1) as f64;
            operand(1).iter().enumerate().map(count).collect()
        }

        Op::Permute => {
            let order = attr.as_order(shape.rank());
            let source = |at: Coordinates| {
                let mut from = [0; MAX_RANK];
                for (to, &axis) in order.iter().enumerate() {
                    from[axis] = at[to];
                }
                operand(0)[flat(operand_shape(0), &from)]
            };
            positions().map(source).collect()
        }
        Op::Slice => positions()
            .map(|at| operand(0)[flat(operand_shape(0), &sliced(list, v, at))])
            .collect(),
        Op::Unslice => {
            let mut r = vec![0.0; shape.len()];
            for (e, &x) in operand(0).iter().enumerate() {
                r[flat(shape, &sliced(list, v, coordinates(operand_shape(0), e)))] = x;
            }
            r
        }
        Op::Expand => full(0),
        Op::Concat => {
            let axis = attr.as_axis();
            let element = |mut at: Coordinates| {
                for (i, &x) in list.args(v).iter().enumerate() {
                    let n = list.dims(x)[axis];
                    if at[axis] < n {
                        return operand(i)[flat(list.shape(x), &at)];
                    }
                    at[axis] -= n;
                }
                unreachable!("the extents add up")
            };
            positions().map(element).collect()
        }

        Op::MatMul => {
            let (a, b) = (operand_shape(0), operand_shape(1));
            let rank = shape.rank();
            let inner = a.dims()[a.rank() - 1];
            // Coordinates of an operand's element: the result's batch, aligned at the end, and its own matrix axes.
            let element = |i: usize, s: Shape, at: &Coordinates, row: usize, column: usize| {
                let mut own = [0; MAX_RANK];
                let lead = rank - s.rank();
                for axis in 0..s.rank() - 2 {
                    own[axis] = if s.dims()[axis] == 1 {
                        0
                    } else {
                        at[lead + axis]
                    };
                }
                own[s.rank() - 2] = row;
                own[s.rank() - 1] = column;
                operand(i)[flat(s, &own)]
            };
            let product = |at: Coordinates| {
                let term =
                    |k| element(0, a, &at, at[rank - 2], k) * element(1, b, &at, k, at[rank - 1]);
                (0..inner).map(term).sum()
            };
            positions().map(product).collect()
        }

        Op::Custom | Op::CustomGrad => {
            let operands: Vec<&[f64]> = (0..list.args(v).len()).map(|i| &operand(i)[..]).collect();
            list.call(v)
                .evaluate(list.op(v) == Op::CustomGrad, &operands)
        }
        Op::Linalg(op) => {
            let operands: Vec<_> = (list.args(v).iter())
                .map(|&x| (list.shape(x), values[x.index()].as_slice()))
                .collect();
            linalg::evaluate(op, attr.as_solver(), &operands).map_err(|at| (v, at))?
        }

        Op::Attention | Op::AttentionGrad => {
            let operands = list.args(v).iter();
            let operands: Vec<_> = operands
                .map(|&x| (list.shape(x), values[x.index()].as_slice()))
                .collect();
            let backward = list.op(v) == Op::AttentionGrad;
            let keep = list
                .args(v)
                .last()
                .is_some_and(|&m| list.dtype(m) == DType::Bool);
            attention::evaluate(&operands, backward, keep, attr.as_attention(), shape)
        }

        op if op.has_window() => {
            let shapes: Vec<Shape> = list.args(v).iter().map(|&a| list.shape(a)).collect();
            let operands: Vec<&[f64]> = (0..shapes.len()).map(|i| &operand(i)[..]).collect();
            conv::instruction(op, list.window(v), &operands, &shapes, shape)
        }
        Op::Conv2d | Op::ConvInput | Op::ConvWeight => unreachable!("these have a window"),
        Op::MaxPool | Op::MaxPoolInput | Op::SumPool | Op::SumPoolInput => {
            unreachable!("these have a window")
        }

        Op::Scan => {
            let args = list.args(v).iter();
            let operands: Vec<&[f64]> = args.map(|x| &values[x.index()][..]).collect();
            scan::scan(list, v, &operands)?
        }
        Op::Gather => {
            let axis = attr.as_axis();
            let index = spread(operand_shape(1), shape);
            let mut r = Vec::with_capacity(shape.len());
            for (e, mut at) in positions().enumerate() {
                at[axis] = place(operand(1)[index[e]], operand_shape(0).dims()[axis]);
                if at[axis] >= operand_shape(0).dims()[axis] {
                    return Err((v, e));
                }
                r.push(operand(0)[flat(operand_shape(0), &at)]);
            }
            r
        }
        Op::ScatterAdd => {
            let axis = attr.as_axis();
            let index = spread(operand_shape(1), operand_shape(0));
            let mut r = vec![0.0; shape.len()];
            for (e, &x) in operand(0).iter().enumerate() {
                let mut at = coordinates(operand_shape(0), e);
                at[axis] = place(operand(1)[index[e]], shape.dims()[axis]);
                if at[axis] >= shape.dims()[axis] {
                    return Err((v, e));
                }
                r[flat(shape, &at)] += x;
            }
            r
        }
    })
}

/// Where an index points on an axis, counted from the end if negative.
fn place(index: f64, extent: usize) -> usize {
    (if index < 0.0 {
        index + extent as f64
    } else {
        index
    }) as usize
}

/// The elements of `x` that each element of the kept shape stands for.
fn grouped(from: Shape, kept: Shape, x: &[f64]) -> Vec<Vec<f64>> {
    let mut groups = vec![Vec::new(); kept.len()];
    for (group, &x) in spread(kept, from).into_iter().zip(x) {
        groups[group].push(x);
    }
    groups
}

/// The elements along an axis, in the order of a scan, for every place on the other axes.
fn lines(shape: Shape, axis: usize, reverse: bool) -> Vec<Vec<usize>> {
    let kept = crate::list::kept(shape, 1 << axis);
    let mut lines = vec![Vec::new(); kept.len()];
    for (e, line) in spread(kept, shape).into_iter().enumerate() {
        lines[line].push(e);
    }
    if reverse {
        lines.iter_mut().for_each(|l| l.reverse());
    }
    lines
}

fn sliced(list: &List, v: Value, at: Coordinates) -> Coordinates {
    let spec = list.slice_spec(v);
    std::array::from_fn(|a| (spec.start[a] as isize + at[a] as isize * spec.step[a]) as usize)
}

/// Index of the first largest element up to each; NaN is largest.
fn running_best(x: &[f64], sign: f64) -> Vec<usize> {
    let mut best = 0;
    let step = |i: usize| {
        let better = sign * x[i] > sign * x[best] || (x[i].is_nan() && !x[best].is_nan());
        if better {
            best = i;
        }
        best
    };
    (0..x.len()).map(step).collect()
}

fn reduce(kind: Reduce, x: &[f64]) -> f64 {
    match kind {
        Reduce::Sum => x.iter().sum::<f64>() + 0.0,
        Reduce::Prod => x.iter().product(),
        Reduce::Max => x
            .iter()
            .fold(f64::NEG_INFINITY, |m, &x| binary(Binary::Max, m, x)),
        Reduce::Min => x
            .iter()
            .fold(f64::INFINITY, |m, &x| binary(Binary::Min, m, x)),
    }
}

fn log_sum_exp(x: &[f64]) -> f64 {
    let m = reduce(Reduce::Max, x);
    if m.is_infinite() || m.is_nan() {
        return m;
    }
    x.iter().map(|x| (x - m).exp()).sum::<f64>().ln() + m
}

fn softmax(x: f64, row: &[f64], log: bool) -> f64 {
    let m = reduce(Reduce::Max, row);
    if m == f64::NEG_INFINITY {
        return if log { m } else { 0.0 };
    }
    let difference = |x: f64| if x == m { 0.0 } else { x - m };
    let sum: f64 = row.iter().map(|&x| difference(x).exp()).sum();
    if log {
        difference(x) - sum.ln()
    } else {
        difference(x).exp() / sum
    }
}

fn unary(op: Unary, x: f64) -> f64 {
    let truth = |b: bool| f64::from(u8::from(b));
    match op {
        Unary::Neg => -x,
        Unary::Abs => x.abs(),
        Unary::Sign => {
            if x == 0.0 || x.is_nan() {
                x
            } else {
                x.signum()
            }
        }
        Unary::Recip => 1.0 / x,
        Unary::Square => x * x,
        Unary::Sqrt => x.sqrt(),
        Unary::Rsqrt => 1.0 / x.sqrt(),
        Unary::Cbrt => x.cbrt(),
        Unary::Exp => x.exp(),
        Unary::Exp2 => x.exp2(),
        Unary::Expm1 => x.exp_m1(),
        Unary::Ln => x.ln(),
        Unary::Log2 => x.log2(),
        Unary::Log10 => x.log10(),
        Unary::Log1p => x.ln_1p(),
        Unary::Sin => x.sin(),
        Unary::Cos => x.cos(),
        Unary::Tan => x.tan(),
        Unary::Asin => x.asin(),
        Unary::Acos => x.acos(),
        Unary::Atan => x.atan(),
        Unary::Sinh => x.sinh(),
        Unary::Cosh => x.cosh(),
        Unary::Tanh => x.tanh(),
        Unary::Asinh => x.asinh(),
        Unary::Acosh => x.acosh(),
        Unary::Atanh => x.atanh(),
        Unary::Sinc => special::sinc(x),
        Unary::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Unary::Softplus => {
            if x.is_nan() {
                x
            } else {
                x.max(0.0) + (-x.abs()).exp().ln_1p()
            }
        }
        Unary::Erf => special::erf(x),
        Unary::Erfc => special::erfc(x),
        Unary::NormalCdf => special::normal_cdf(x),
        Unary::NormalIcdf => special::normal_icdf(x),
        Unary::Lgamma => special::lgamma(x),
        Unary::Digamma => special::polygamma(0, x),
        Unary::Trigamma => special::polygamma(1, x),
        Unary::Tetragamma => special::polygamma(2, x),
        Unary::Floor => x.floor(),
        Unary::Ceil => x.ceil(),
        Unary::Round => x.round_ties_even(),
        Unary::Trunc => x.trunc(),
        Unary::Relu => {
            if x > 0.0 || x.is_nan() {
                x
            } else {
                0.0
            }
        }
        Unary::Not => truth(x == 0.0),
        Unary::IsNan => truth(x.is_nan()),
        Unary::IsFinite => truth(x.is_finite()),
    }
}

fn binary(op: Binary, x: f64, y: f64) -> f64 {
    let truth = |b: bool| f64::from(u8::from(b));
    match op {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Div => x / y,
        Binary::Rem => x % y,
        Binary::Max => {
            if x.is_nan() || y.is_nan() {
                f64::NAN
            } else {
                x.max(y)
            }
        }
        Binary::Min => {
            if x.is_nan() || y.is_nan() {
                f64::NAN
            } else {
                x.min(y)
            }
        }
        Binary::Pow => x.powf(y),
        Binary::Remainder => {
            let left = x % y;
            if left == 0.0 {
                0f64.copysign(y)
            } else if (left < 0.0) == (y < 0.0) {
                left
            } else {
                left + y
            }
        }
        Binary::Atan2 => x.atan2(y),
        Binary::Hypot => x.hypot(y),
        Binary::Copysign => x.copysign(y),
        Binary::Hardshrink if x.abs() <= y => 0.0,
        Binary::Hardshrink => x,
        Binary::MulStrong => {
            if x == 0.0 {
                0.0
            } else {
                x * y
            }
        }
        Binary::DivStrong => {
            if x == 0.0 {
                0.0
            } else {
                x / y
            }
        }
        // `y` is given only for the sake of speed.
        Binary::NormalCdfOf => unary(Unary::NormalCdf, x),
        Binary::Lt => truth(x < y),
        Binary::Le => truth(x <= y),
        Binary::Gt => truth(x > y),
        Binary::Ge => truth(x >= y),
        Binary::Eq => truth(x == y),
        Binary::Ne => truth(x != y),
        Binary::And => truth(x != 0.0 && y != 0.0),
        Binary::Or => truth(x != 0.0 || y != 0.0),
        Binary::Xor => truth((x != 0.0) != (y != 0.0)),
    }
}

fn ternary(op: Ternary, x: f64, y: f64, z: f64) -> f64 {
    match op {
        Ternary::Fma => x.mul_add(y, z),
        Ternary::Select => {
            if x == 0.0 {
                z
            } else {
                y
            }
        }
        Ternary::Clamp => binary(Binary::Min, binary(Binary::Max, x, y), z),
    }
}

/// Arithmetic of integers before it wraps; `None` for what is none.
fn integer(op: Binary, x: f64, y: f64) -> Option<i128> {
    let (x, y) = (x as i128, y as i128);
    Some(match op {
        Binary::Add => x + y,
        Binary::Sub => x - y,
        Binary::Mul => x * y,
        Binary::Max => x.max(y),
        Binary::Min => x.min(y),
        _ => return None,
    })
}

/// Sums and products of integers before they wrap, which 64 bits do without loss for both types.
fn integers(kind: Reduce, x: &[f64]) -> Option<i128> {
    let each = x.iter().map(|&x| x as i128);
    match kind {
        Reduce::Sum => Some(each.sum()),
        Reduce::Prod => Some(each.fold(1, |r, x| i128::from((r * x) as i64))),
        Reduce::Max | Reduce::Min => None,
    }
}

fn wrap(dtype: DType, x: i128) -> f64 {
    match dtype {
        DType::U32 => f64::from(x as u32),
        DType::I64 => x as i64 as f64,
        DType::F32 | DType::F64 | DType::Bool => x as f64,
    }
}

fn cast(x: f64, dtype: DType) -> f64 {
    match dtype {
        DType::F32 | DType::F64 => x,
        DType::U32 => f64::from(x as u32),
        DType::I64 => x as i64 as f64,
        DType::Bool => f64::from(u8::from(x != 0.0)),
    }
}
