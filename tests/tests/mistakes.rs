//! Mistakes: the whole message and the user's line, and that everything else goes on.

use retrograde::prelude::*;
use retrograde::{Order, Side, Triangle};

#[test]
fn backward_of_what_is_no_scalar() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::linspace(0.5, 2.0, 4));
    let y = x * x;
    let error = y.backward().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Seed);
    let text = error.to_string();
    assert!(text.starts_with("backward of [4] f64: only a scalar has a gradient; use `.sum().backward()`, or give a seed"), "{text}");
    assert_eq!(
        y.backward_with(&Array::<f64>::ones([3]))
            .unwrap_err()
            .kind(),
        ErrorKind::Seed
    );

    y.backward_with(&Array::<f64>::ones([4]))?;
    let seeded = x.grad()?;
    tape.zero_grad();
    y.sum().backward()?;
    assert_eq!(x.grad()?, seeded);
    Ok(())
}

#[test]
fn foreign_handle_is_caught() {
    let (one, two) = (Tape::new(), Tape::new());
    let (x, y) = (
        one.variable(Array::arange(3)),
        two.variable(Array::arange(3)),
    );
    let error = (x + y).value().unwrap_err();
    let line = line!() - 1;
    assert_eq!(error.kind(), ErrorKind::Foreign);
    let expected = format!(
        "add: an operand belongs to another tape; record both on one tape, or pass the value as an input\n  at {}:{line}:",
        file!()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert_eq!(
        (x + y).sum().backward().unwrap_err().kind(),
        ErrorKind::Foreign,
        "later uses report it"
    );
}

#[test]
fn foreign_workspace_and_wrong_inputs() -> Result<()> {
    let x = Array::arange(3);
    let p = Program::record(&[x.clone()], |_, [x]| x.sum())?;
    let q = Program::record(&[x.clone()], |_, [x]| x.exp())?;
    assert_eq!(
        p.run(&mut q.workspace()?, [&x]).unwrap_err().kind(),
        ErrorKind::Foreign
    );
    let mut ws = p.workspace()?;
    assert_eq!(
        p.run(&mut ws, [&x, &x]).unwrap_err().to_string(),
        "the program takes 1 inputs, given were 2"
    );
    assert_eq!(
        p.run(&mut ws, [&Array::arange(4)]).unwrap_err().to_string(),
        "input 0 is [4] f32, the program was recorded for [3] f32"
    );
    assert_eq!(
        p.run(&mut ws, [&Array::<f64>::arange(3)])
            .unwrap_err()
            .kind(),
        ErrorKind::Inputs
    );
    assert_eq!(p.run(&mut ws, [&x])?.item::<f32>(0)?, 3.0, "still usable");
    Ok(())
}

/// Seeds are no inputs of the user's.
#[test]
fn jacobians_count_the_users_inputs() -> Result<()> {
    let x = Array::<f64>::arange(3);
    let both = [x.clone(), x.clone()];
    let p = Program::record(&both, |_, [x, y]| x * y.sum())?;
    let expected = "the program takes 2 inputs, given were 1";
    let dense = p.jacobian(0)?.run::<f64>([&x]).unwrap_err();
    assert_eq!(dense.to_string(), expected);
    let sparse = p.sparse_jacobian(0)?.run::<f64>([&x]).unwrap_err();
    assert_eq!(sparse.to_string(), expected);
    let shape = p
        .jacobian(0)?
        .run::<f64>([&x, &Array::<f64>::arange(2)])
        .unwrap_err();
    assert_eq!(
        shape.to_string(),
        "input 1 is [2] f64, the program was recorded for [3] f64"
    );
    let wide = Program::record(&[Array::<f64>::ones([1; 5])], |_, [x]| x.sin())?;
    let error = wide.jacobian(0)?.run::<f64>([&Array::<f64>::ones([1; 5])]);
    let text = error.unwrap_err().to_string();
    let start = "the Jacobian of [1, 1, 1, 1, 1] by [1, 1, 1, 1, 1]: ";
    assert!(
        text.starts_with(start) && text.contains("rank 10"),
        "{text}"
    );
    Ok(())
}

#[test]
fn guard_reports_another_branch() -> Result<()> {
    let x = Array::<f64>::from([1.0, 2.0]);
    let read_at = std::cell::Cell::new(0);
    let p = Program::try_record(&[x.clone()], |_, [x]| {
        let positive = x.sum().gt(0.0).item()?;
        read_at.set(line!() - 1);
        Ok(if positive { x.sum() } else { -x.sum() }.into())
    })?;
    let line = read_at.get();
    let mut ws = p.workspace()?;
    assert_eq!(p.run(&mut ws, [&x])?.item::<f64>(0)?, 3.0);
    let error = p.run(&mut ws, [&-x.clone()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Guard);
    let text = error.to_string();
    assert!(
        text.starts_with("the recorded branch does not hold for these inputs: "),
        "{text}"
    );
    let place = format!("\n  at {}:{line}:", file!());
    assert!(text.contains(&place), "{text} does not name {place}");
    assert_eq!(p.run(&mut ws, [&x])?.item::<f64>(0)?, 3.0);
    Ok(())
}

#[test]
fn floats_do_not_steer_a_recording() {
    let x = Array::<f64>::from([1.0]);
    let p = Program::try_record(&[x], |_, [x]| {
        let v = x.item()?;
        Ok((x * v).into())
    });
    let error = p.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unknown);
    let expected = "a float read while a program is recorded could steer it unseen; compare first: `x.lt(1.0).item()?`";
    assert!(error.to_string().starts_with(expected), "{error}");
}

/// The whole message: the operation and its operands, what was expected, what to try, the user's line.
#[test]
fn mistakes_name_shapes_and_lines() {
    let tape = Tape::new();
    let (x, y) = (
        tape.variable(Array::ones([3, 4])),
        tape.variable(Array::ones([3, 5])),
    );
    let refused = |value: Var<'_, f32>, line: u32, kind: ErrorKind, message: &str| {
        // What depends on it reports the same.
        for error in [
            value.shape().unwrap_err(),
            value.exp().value().unwrap_err(),
            value.sum().backward().unwrap_err(),
        ] {
            assert_eq!(error.kind(), kind, "{error}");
            let text = error.to_string();
            let (reason, at) = text.split_once("\n  at ").expect("the user's line");
            assert_eq!(reason, message);
            let (place, _column) = at.rsplit_once(':').expect("file:line:column");
            assert_eq!(place, format!("{}:{line}", file!()));
        }
    };
    refused(
        x + y,
        line!() - 1,
        ErrorKind::Shape,
        "add of [3, 4] f32 and [3, 5] f32: [3, 4] and [3, 5] do not broadcast: counted from the end, axis -1 has extents \
         4 and 5, which must be equal or one of them 1; try `reshape`, `unsqueeze` or `transpose`",
    );
    refused(
        x.matmul(y),
        line!() - 1,
        ErrorKind::Shape,
        "matmul of [3, 4] f32 and [3, 5] f32: the inner extents must be equal, but 4 is not 3",
    );
    refused(
        x.sum_over(2),
        line!() - 1,
        ErrorKind::Axis,
        "sum of [3, 4] f32: axis 2 is out of range: rank 2 has axes 0 to 1 (or -2 to -1)",
    );
    refused(
        x.sum_over([0, -2]),
        line!() - 1,
        ErrorKind::Axis,
        "sum of [3, 4] f32: axis 0 is given twice in [0, -2]; name each axis once",
    );
    refused(
        x.reshape([5]),
        line!() - 1,
        ErrorKind::Shape,
        "reshape of [3, 4] f32: [5] has 5 elements, but the operand has 12; one extent may be `INFER`",
    );
    refused(
        x.narrow(0, 2, 2),
        line!() - 1,
        ErrorKind::Index,
        "narrow of [3, 4] f32: 2 elements from 2 do not lie within axis 0 of extent 3",
    );
    refused(
        x.at(-1, -5),
        line!() - 1,
        ErrorKind::Index,
        "at of [3, 4] f32: index -5 does not lie within axis 1 of extent 4; it may be negative to count from the end",
    );
    assert_eq!(x.sum().item().expect("unrelated values go on"), 12.0);
}

/// An axis that is not there, and a choice among nothing: every operator says its name, its operand, the axis and the line.
#[test]
fn axes_that_are_not_there() {
    let tape = Tape::new();
    let x = tape.variable(Array::<f64>::ones([2, 3]));
    let index = tape.rec().zeros::<u32>([2, 3]);
    let (few, order) = (index.at(0, 0), Order::Ascending);
    let mask = x.gt(0.0);
    let first = line!();
    let outside = [
        ("sum", x.sum_over(2)),
        ("mean", x.mean_over([0, 2])),
        ("prod", x.prod_over(2)),
        ("max", x.max_over(2)),
        ("min", x.min_over(keep(2))),
        ("argmax", x.argmax_over(2).cast()),
        ("argmin", x.argmin_over(2).cast()),
        ("var", x.var_over(2, 1)),
        ("std", x.std_over(2, 1)),
        ("norm", x.norm_over(2)),
        ("norm_p", x.norm_p_over(2, 3.0)),
        ("logsumexp", x.logsumexp_over(2)),
        ("count", mask.count_over(2).cast()),
        ("any", mask.any_over(2).cast()),
        ("all", mask.all_over(2).cast()),
        ("cumsum", x.cumsum(2)),
        ("cumprod", x.cumprod(2)),
        ("cummax", x.cummax(2)),
        ("logcumsumexp", x.logcumsumexp(2)),
        ("softmax", x.softmax(2)),
        ("log_softmax", x.log_softmax(2)),
        ("normalize", x.normalize(2)),
        ("cosine_similarity", x.cosine_similarity(x, 2)),
        ("sort", x.sort(2, order)),
        ("argsort", x.argsort(2, order).cast()),
        ("topk", x.topk(1, 2, order).0),
        ("gather", x.gather(2, index)),
        ("index_select", x.index_select(2, few)),
        ("scatter", x.scatter(2, index, x)),
        ("scatter_add", x.scatter_add(2, index, x)),
        ("index_add", x.index_add(2, few, 1.0)),
        ("slice", x.slice(2, ..)),
        ("at", x.at(2, 0)),
        ("narrow", x.narrow(2, 0, 1)),
        ("flip", x.flip(2)),
        ("roll", x.roll(1, 2)),
        ("split", x.split(&[1, 1], 2)[0]),
        ("chunk", x.chunk(1, 2)[0]),
        ("repeat_interleave", x.repeat_interleave(2, 2)),
        ("transpose", x.transpose(0, 2)),
        ("permute", x.permute([0, 2])),
        ("squeeze", x.squeeze(2)),
        ("unflatten", x.unflatten(2, [1, 1])),
        ("flatten_axes", x.flatten_axes(0, 2)),
        ("windows", x.windows(2, 1, 1)),
        ("concat", tape.rec().concat(&[x, x], 2)),
    ];
    let last = line!();
    let told = |name: &str, value: Var<'_, f64>, kind: ErrorKind, reason: &str| {
        let error = value.value().unwrap_err();
        let text = error.to_string();
        let named = text.starts_with(&format!("{name} of ")) && text.contains(reason);
        assert!(error.kind() == kind && named, "{name}: {text}");
        let at = error.location().expect("the user's line");
        assert!(at.file() == file!(), "{text}");
        at.line()
    };
    for (name, value) in outside {
        let reason = "axis 2 is out of range: rank 2 has axes 0 to 1 (or -2 to -1)";
        let line = told(name, value, ErrorKind::Axis, reason);
        assert!((first..last).contains(&line), "{name} at {line}");
    }
    for (name, value) in [
        ("sum", x.sum_over([1, -1])),
        ("normalize", x.normalize([1, -1])),
        ("flip", x.flip([1, -1])),
        ("permute", x.permute([1, -1])),
    ] {
        told(
            name,
            value,
            ErrorKind::Axis,
            "axis 1 is given twice in [1, -1]; name each axis once",
        );
    }
    let new = "a new axis of rank 2 goes to 0 to 2 (or -3 to -1), not to 3";
    told("unsqueeze", x.unsqueeze(3), ErrorKind::Axis, new);
    told("stack", tape.rec().stack(&[x, x], 3), ErrorKind::Axis, new);

    let none = x.narrow(1, 0, 0);
    for (name, value) in [
        ("max", none.max()),
        ("max", none.max_over(-1)),
        ("min", none.min()),
        ("min", none.min_over([0, 1])),
        ("argmax", none.argmax().cast()),
        ("argmax", none.argmax_over(1).cast()),
        ("argmin", none.argmin().cast()),
        ("argmin", none.argmin_over(1).cast()),
        ("norm_p", none.norm_p(f64::INFINITY)),
        ("max", none.cast::<i64>().max().cast()),
    ] {
        told(
            name,
            value,
            ErrorKind::Shape,
            "has extent 0: there is no element to choose",
        );
    }
}

/// Operands that do not fit each other, by the operation that they are of.
#[test]
fn operands_that_do_not_fit() {
    let tape = Tape::new();
    let array = |dims: &[usize]| tape.variable(Array::<f64>::ones(dims.to_vec()));
    let (x, y, z) = (array(&[2, 3]), array(&[2, 4]), array(&[5]));
    let mask = y.gt(0.0);
    for (name, value, reason) in [
        ("sub", x - y, "do not broadcast"),
        ("div", x / y, "do not broadcast"),
        ("rem", x % y, "do not broadcast"),
        ("remainder", x.remainder(y), "do not broadcast"),
        ("pow", x.pow(y), "do not broadcast"),
        ("maximum", x.maximum(y), "do not broadcast"),
        ("minimum", x.minimum(y), "do not broadcast"),
        ("clamp", x.clamp(0.0, y), "do not broadcast"),
        ("lerp", x.lerp(y, 0.5), "do not broadcast"),
        ("fma", x.fma(1.0, y), "do not broadcast"),
        ("copysign", x.copysign(y), "do not broadcast"),
        ("atan2", x.atan2(y), "do not broadcast"),
        ("hypot", x.hypot(y), "do not broadcast"),
        ("hardshrink", x.hardshrink(y), "do not broadcast"),
        ("lt", x.lt(y).cast(), "do not broadcast"),
        ("eq", x.eq(y).cast(), "do not broadcast"),
        ("and", x.gt(0.0).and(mask).cast(), "do not broadcast"),
        ("select", mask.select(x, 0.0), "do not broadcast"),
        ("masked_fill", x.masked_fill(mask, 0.0), "do not broadcast"),
        (
            "cosine_similarity",
            x.cosine_similarity(y, 0),
            "do not broadcast",
        ),
        ("mse", x.mse(y), "both must have one shape"),
        ("l1", x.l1(y), "both must have one shape"),
        ("huber", x.huber(y, 1.0), "both must have one shape"),
        ("bce", x.bce(y), "both must have one shape"),
        (
            "bce_with_logits",
            x.bce_with_logits(y),
            "both must have one shape",
        ),
        ("kl_div", x.kl_div(y), "both must have one shape"),
        ("hinge", x.hinge(y), "both must have one shape"),
        (
            "cosine_embedding",
            x.cosine_embedding(y, z, 0.0),
            "both must have one shape",
        ),
        (
            "cross_entropy",
            x.cross_entropy(z.cast()),
            "the labels must have shape [2], not [5]",
        ),
        (
            "nll",
            x.nll(z.cast()),
            "the labels must have shape [2], not [5]",
        ),
        ("outer", x.outer(z), "both must be vectors"),
        ("dot", z.dot(x.at(0, 0)), "both must have one shape"),
        (
            "linear",
            x.linear(y, None),
            "the weight must have shape [outputs, 3]",
        ),
        ("bmm", x.bmm(y), "expected [b, m, k] and [b, k, n]"),
        (
            "layer_norm",
            x.layer_norm(z, z, 0.1),
            "must have the shape of a row, [3], not [5]",
        ),
        (
            "rms_norm",
            x.rms_norm(z, 0.1),
            "must have the shape of a row, [3], not [5]",
        ),
        (
            "batch_norm",
            x.batch_norm(z, z, 0.1),
            "must have shape [3], not [5]",
        ),
        (
            "batch_norm_by",
            x.batch_norm_by(z, z, z, z, 0.1),
            "must have shape [3], not [5]",
        ),
        (
            "group_norm",
            x.group_norm(2, x.at(0, 0), x.at(0, 0), 0.1),
            "2 groups do not divide 3 channels",
        ),
        ("solve", x.solve(y), "must be square"),
        (
            "solve_triangular",
            x.solve_triangular(y, Triangle::lower()),
            "must be square",
        ),
        ("inverse", x.inverse(), "must be square"),
        ("det", x.det(), "must be square"),
        ("logdet", x.logdet(), "must be square"),
        ("cholesky", x.cholesky(), "must be square"),
        ("eigh", x.eigh().0, "must be square"),
        ("eigvalsh", x.eigvalsh(), "must be square"),
        ("svd", z.svd().1, "expected rank 2 at least"),
        ("svdvals", z.svdvals(), "expected rank 2 at least"),
        ("qr", z.qr().0, "expected rank 2 at least"),
        ("trace", z.trace(), "expected rank 2 at least"),
        ("tril", z.tril(0), "expected rank 2 at least"),
        (
            "topk",
            x.topk(4, 1, Order::Descending).0,
            "axis 1 has 3 elements, fewer than the 4 asked for",
        ),
        (
            "searchsorted",
            array(&[3, 2]).searchsorted(x, Side::Left).cast(),
            "do not broadcast",
        ),
        (
            "embedding",
            z.embedding(z.cast::<u32>()),
            "the table must have shape [rows, width]",
        ),
        (
            "index_select",
            x.index_select(0, mask.cast::<u32>()),
            "the index must be a vector",
        ),
        (
            "index_add",
            x.index_add(0, z.cast::<u32>(), y),
            "does not broadcast to [5, 3]",
        ),
        (
            "scatter_add",
            x.scatter_add(0, z.cast::<u32>(), y),
            "the index must have the rank of [2, 3]",
        ),
        (
            "scatter",
            x.scatter(0, z.cast::<u32>(), y),
            "the index must have the rank of [2, 3]",
        ),
        (
            "scaled_dot_product_attention",
            x.scaled_dot_product_attention(y, y, Attention::full()),
            "as many features",
        ),
    ] {
        let text = value.value().unwrap_err().to_string();
        let named = text.starts_with(&format!("{name} of ")) && text.contains(reason);
        assert!(named && text.contains(file!()), "{name}: {text}");
    }
}

/// Arguments that no answer could be right for: of draws, of cuts into no pieces.
#[test]
fn arguments_out_of_their_domain() -> Result<()> {
    let tape = Tape::new();
    let (x, rng) = (tape.variable(Array::ones([3, 4])), tape.rec().rng(1));
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for (value, part) in [
        (
            rng.uniform([3], 2.0, 1.0),
            "uniform: the bounds must be finite and in order, but 2 and 1",
        ),
        (rng.uniform([3], nan, 1.0), "but NaN and 1 were given"),
        (rng.uniform([3], 0.0, inf), "but 0 and inf were given"),
        (
            rng.normal([3], 0.0, -1.0),
            "normal: the mean must be finite",
        ),
        (rng.normal([3], 0.0, nan), "but 0 and NaN were given"),
        (rng.normal([3], inf, 1.0), "but inf and 1 were given"),
        (
            x.chunk(0, 0)[0],
            "chunk of [3, 4] f32: axis 0 of extent 3 cannot be cut into 0 pieces",
        ),
        (x.chunk(4, 0)[0], "cannot be cut into 4 pieces"),
        (
            x.split(&[], 1)[0],
            "split of [3, 4] f32: the pieces [] add up to 0, but axis 1 has extent 4",
        ),
    ] {
        let error = value.value().unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(file!()), "{error}");
    }
    assert_eq!(
        rng.uniform([2], 3.0_f32, 3.0).value()?,
        Array::from([3.0_f32, 3.0])
    );
    assert_eq!(
        rng.normal([2], 3.0_f32, 0.0).value()?,
        Array::from([3.0_f32, 3.0])
    );
    assert!(tape.variable(Array::zeros([0])).split(&[], 0).is_empty());
    Ok(())
}

/// Convolutions and pooling: every number that does not fit is named.
#[test]
fn windows_that_do_not_fit() {
    let tape = Tape::new();
    let array = |dims: &[usize]| tape.constant(Array::<f32>::ones(dims.to_vec()));
    let (x, w) = (array(&[2, 4, 6, 5]), array(&[6, 4, 3, 3]));
    let conv = ConvOptions::default();
    let pool = PoolOptions::kernel(2);
    let big = usize::MAX;
    for (value, message) in [
        (
            x.conv2d(w, conv.stride([1, 0])),
            "conv2d of [2, 4, 6, 5] f32 and [6, 4, 3, 3] f32: the stride is [1, 0]; it must be 1 at least on both axes",
        ),
        (
            x.conv2d(w, conv.dilation(0)),
            "the dilation is [0, 0]; it must be 1 at least on both axes",
        ),
        (
            x.conv2d(w, conv.groups(0)),
            "there must be one group at least, not 0",
        ),
        (
            x.conv2d(w, conv.groups(3)),
            "3 groups do not divide 4 channels",
        ),
        (
            x.conv2d(w, conv.groups(4)),
            "4 groups do not divide 6 outputs",
        ),
        (
            x.conv2d(w, conv.groups(2)),
            "the images have 4 channels, so with 2 groups the weight must have shape [outputs, 2, rows, columns]",
        ),
        (
            x.conv2d(array(&[6, 5, 3, 3]), conv),
            "the images have 4 channels, so with 1 groups the weight must have shape [outputs, 4, rows, columns]",
        ),
        (
            x.conv2d(array(&[6, 4, 3, 6]), conv),
            "a kernel of 6 does not fit 5 columns",
        ),
        (
            x.conv2d(w, conv.dilation([4, 1]).padding(1)),
            "a kernel of 3 taps 4 apart does not fit 6 rows with padding 1 on either side",
        ),
        (
            x.conv2d(array(&[6, 4, 0, 3]), conv),
            "the kernel is [0, 3]; it must be 1 at least on both axes",
        ),
        (
            x.conv2d(array(&[6, 4, 3]), conv),
            "the weight must have shape [outputs, channels / groups, rows, columns], but [6, 4, 3] has rank 3",
        ),
        (
            array(&[4, 6, 5]).conv2d(w, conv),
            "the images must have shape [batch, channels, height, width], but [4, 6, 5] has rank 3",
        ),
        (
            x.conv2d(w, conv.output_padding(1)),
            "output_padding is [1, 1], but only a transposed convolution has any",
        ),
        (
            x.conv2d(w, conv.padding(big)),
            "a kernel of 3 does not fit 6 rows with padding",
        ),
        (
            x.conv2d(w, conv.dilation(big)),
            "a kernel of 3 taps 18446744073709551615 apart does not fit 6 rows",
        ),
        (
            x.conv2d(w, conv.padding(big / 8)),
            "conv2d of [2, 4, 6, 5] f32",
        ),
        (
            x.conv1d(w, conv),
            "conv1d of [2, 4, 6, 5] f32 and [6, 4, 3, 3] f32: the images must have shape [batch, channels, length]",
        ),
        (
            x.conv_transpose2d(w, conv),
            "the images have 4 channels, so the weight must have shape [4, outputs / groups, rows, columns]",
        ),
        (
            x.conv_transpose2d(array(&[4, 1, 3, 3]), conv.output_padding(1)),
            "output_padding is [1, 1]; it must be less than the stride, [1, 1]",
        ),
        (
            x.conv_transpose2d(array(&[4, 1, 1, 1]), conv.padding(3)),
            "6 rows with stride 1, dilation 1 and padding 3 leave no rows of the result",
        ),
        (
            x.conv_transpose2d(array(&[4, 1, 1, 1]), conv.stride(big)),
            "leave no rows of the result",
        ),
        (
            x.conv_transpose2d(array(&[4, 1, 1, 1]), conv.stride([0, 1])),
            "conv_transpose2d of [2, 4, 6, 5] f32 and [4, 1, 1, 1] f32: the stride is [0, 1]",
        ),
        (
            x.conv_transpose2d(array(&[4, 1, 1, 1]), conv.dilation([1, 0])),
            "the dilation is [1, 0]",
        ),
        (
            x.conv_transpose2d(array(&[4, 1, 1, 1]), conv.groups(0)),
            "there must be one group at least, not 0",
        ),
        (
            x.conv_transpose2d(array(&[4, 1, 1, 1]), conv.groups(3)),
            "3 groups do not divide 4 inputs",
        ),
        (
            x.max_pool2d(PoolOptions::kernel([7, 1])),
            "max_pool2d of [2, 4, 6, 5] f32: a kernel of 7 does not fit 6 rows",
        ),
        (
            x.max_pool2d(pool.padding(2)),
            "the padding is [2, 2]; half the kernel, [2, 2], is the most",
        ),
        (
            x.max_pool2d(pool.stride([0, 1])),
            "the stride is [0, 1]; it must be 1 at least on both axes",
        ),
        (
            x.avg_pool2d(PoolOptions::kernel([1, 0])),
            "avg_pool2d of [2, 4, 6, 5] f32: the kernel is [1, 0]",
        ),
        (
            array(&[2, 2]).avg_pool2d(pool),
            "the images must have shape [batch, channels, height, width], but [2, 2] has rank 2",
        ),
        (
            array(&[1, 1, 0, 4]).max_pool2d(pool.padding(1)),
            "axis 2 has extent 0: there is no element to choose",
        ),
    ] {
        let error = value.value().unwrap_err().to_string();
        assert!(
            error.contains(message) && error.contains(file!()),
            "{error}"
        );
    }
}

/// As many threads as there are numbers: no more take part than a run has seats for.
#[test]
fn any_number_of_threads_may_be_asked_for() -> Result<()> {
    let x = Array::<f64>::ones([100_000]);
    let p = Program::record(&[x.clone()], |_, [x]| x.exp().sum())?;
    let many = p.with_options(retrograde::Options {
        threads: usize::MAX,
        ..p.options()
    })?;
    let (mut one, mut two) = (p.workspace()?, many.workspace()?);
    let (a, b) = (p.run(&mut one, [&x])?, many.run(&mut two, [&x])?);
    assert_eq!(a.item::<f64>(0)?, b.item::<f64>(0)?);
    Ok(())
}
