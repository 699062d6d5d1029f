//! Operations that move elements: which one goes where, of every element type, and their adjoints.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{check_derivatives, samples};

type Move = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
type Source = fn(&[usize]) -> [usize; 3];

/// Operation on `[2, 4, 3]`, extents of the result, and where each of its elements comes from.
const TABLE: [(&str, Move, &[usize], Source); 24] = [
    (
        "reshape",
        |x| x.reshape([8, 3]),
        &[8, 3],
        |i| [i[0] / 4, i[0] % 4, i[1]],
    ),
    (
        "flatten",
        |x| x.flatten(),
        &[24],
        |i| [i[0] / 12, i[0] / 3 % 4, i[0] % 3],
    ),
    (
        "transpose",
        |x| x.transpose(0, -1),
        &[3, 4, 2],
        |i| [i[2], i[1], i[0]],
    ),
    ("t", |x| x.t(), &[2, 3, 4], |i| [i[0], i[2], i[1]]),
    (
        "permute",
        |x| x.permute([1, 2, 0]),
        &[4, 3, 2],
        |i| [i[2], i[0], i[1]],
    ),
    (
        "permute of negative axes",
        |x| x.permute([-1, 0, -2]),
        &[3, 2, 4],
        |i| [i[1], i[2], i[0]],
    ),
    (
        "unsqueeze, squeeze",
        |x| x.unsqueeze(1).unsqueeze(-1).squeeze(1),
        &[2, 4, 3, 1],
        |i| [i[0], i[1], i[2]],
    ),
    (
        "broadcast_to",
        |x| x.broadcast_to([2, 2, 4, 3]),
        &[2, 2, 4, 3],
        |i| [i[1], i[2], i[3]],
    ),
    (
        "expand of one",
        |x| x.narrow(1, 2, 1).expand([2, 5, 3]),
        &[2, 5, 3],
        |i| [i[0], 2, i[2]],
    ),
    (
        "slice",
        |x| x.slice(1, 1..3),
        &[2, 2, 3],
        |i| [i[0], i[1] + 1, i[2]],
    ),
    (
        "slice from the end",
        |x| x.slice(-1, -2..),
        &[2, 4, 2],
        |i| [i[0], i[1], i[2] + 1],
    ),
    (
        "slice with a step",
        |x| x.slice_step(1, .., 3),
        &[2, 2, 3],
        |i| [i[0], 3 * i[1], i[2]],
    ),
    (
        "slice backwards",
        |x| x.slice_step(1, 1..4, -2),
        &[2, 2, 3],
        |i| [i[0], 3 - 2 * i[1], i[2]],
    ),
    ("at", |x| x.at(1, -1), &[2, 3], |i| [i[0], 3, i[1]]),
    (
        "narrow",
        |x| x.narrow(2, 1, 2),
        &[2, 4, 2],
        |i| [i[0], i[1], i[2] + 1],
    ),
    (
        "pad and back",
        |x| x.pad([(2, 1), (0, 3)], 9.0).narrow(1, 2, 4).narrow(2, 0, 3),
        &[2, 4, 3],
        |i| [i[0], i[1], i[2]],
    ),
    (
        "unflatten and flatten_axes",
        |x| x.unflatten(1, [2, 2]).transpose(1, 2).flatten_axes(1, -2),
        &[2, 4, 3],
        |i| [i[0], i[1] % 2 * 2 + i[1] / 2, i[2]],
    ),
    (
        "flip",
        |x| x.flip([0, 2]),
        &[2, 4, 3],
        |i| [1 - i[0], i[1], 2 - i[2]],
    ),
    (
        "roll",
        |x| x.roll(1, 1),
        &[2, 4, 3],
        |i| [i[0], (i[1] + 3) % 4, i[2]],
    ),
    (
        "roll back",
        |x| x.roll(-5, -1),
        &[2, 4, 3],
        |i| [i[0], i[1], (i[2] + 5) % 3],
    ),
    (
        "repeat",
        |x| x.repeat([2, 1, 1, 2]),
        &[2, 2, 4, 6],
        |i| [i[1], i[2], i[3] % 3],
    ),
    (
        "tile",
        |x| x.tile([3, 1]),
        &[2, 12, 3],
        |i| [i[0], i[1] % 4, i[2]],
    ),
    (
        "repeat_interleave",
        |x| x.repeat_interleave(2, 1),
        &[2, 8, 3],
        |i| [i[0], i[1] / 2, i[2]],
    ),
    (
        "views of views",
        |x| x.t().flip(1).slice_step(2, .., 2).transpose(0, 2),
        &[2, 3, 2],
        |i| [i[2], 2 * i[0], 2 - i[1]],
    ),
];

#[test]
fn every_element_comes_from_its_place() -> Result<()> {
    let x = samples(&[2, 4, 3], (-1.0, 1.0));
    for (name, op, extents, source) in TABLE {
        let p = Program::record(&[x.clone()], |_, [x]| op(x))?;
        let found = p.run(&mut p.workspace()?, [&x])?.array::<f64>(0)?;
        let expected = Array::from_shape_fn(extents.to_vec(), |i| x[source(i)]);
        assert_eq!(found, expected, "{name}");
        // As an operand of what comes after, where it may be a view and nothing moves.
        let p = Program::record(&[x.clone()], |_, [x]| op(x.exp()) * 2.0 + op(x))?;
        let found = p.run(&mut p.workspace()?, [&x])?.array::<f64>(0)?;
        let expected = expected.map(|x: f64| x.exp() * 2.0 + x);
        found.assert_close(&expected, 1e-15, 1e-15);
        let weighted = Program::record(&[x.clone()], |_, [x]| (op(x).sin() * op(x * x)).sum())?;
        check_derivatives(name, &weighted, &[&x])?;
    }
    Ok(())
}

#[test]
fn pieces_and_joins() -> Result<()> {
    let x = samples(&[2, 5], (-1.0, 1.0));
    let tape = Tape::new();
    let v = tape.variable(x.clone());
    for (pieces, starts) in [
        (v.split(&[1, 0, 4], 1), vec![0, 1, 1, 5]),
        (v.chunk(2, 1), vec![0, 3, 5]),
        (v.chunk(5, -1), vec![0, 1, 2, 3, 4, 5]),
    ] {
        assert_eq!(pieces.len() + 1, starts.len());
        for (piece, bounds) in pieces.iter().zip(starts.windows(2)) {
            let expected =
                Array::from_shape_fn([2, bounds[1] - bounds[0]], |i| x[[i[0], bounds[0] + i[1]]]);
            assert_eq!(piece.value()?, expected);
        }
        assert_eq!(tape.rec().concat(&pieces, 1).value()?, x);
    }
    let stacked = tape.rec().stack(&[v, v * 2.0, v], -1).value()?;
    assert_eq!(
        stacked,
        Array::from_shape_fn([2, 5, 3], |i| x[[i[0], i[1]]] * [1.0, 2.0, 1.0][i[2]])
    );
    let joined = tape.rec().concat(&[v.narrow(0, 0, 0), v, v.flip(0)], 0);
    assert_eq!(
        joined.value()?,
        Array::from_shape_fn([4, 5], |i| x[[[0, 1, 1, 0][i[0]], i[1]]])
    );
    (joined * joined).sum().backward()?;
    assert_eq!(v.grad()?, 4.0 * x, "each element stands in the join twice");
    Ok(())
}

/// Extents of 0 in every place go through every move.
#[test]
fn of_nothing() -> Result<()> {
    for shape in [[0, 4, 3], [2, 0, 3], [2, 4, 0]] {
        let x = Array::<f64>::zeros(shape);
        let tape = Tape::new();
        let v = tape.variable(x.clone());
        let [a, b, c] = shape;
        for (made, extents) in [
            (v.flatten(), vec![0]),
            (v.permute([2, 0, 1]), vec![c, a, b]),
            (v.flip(..), shape.to_vec()),
            (v.roll(3, 1), shape.to_vec()),
            (v.repeat([2, 1, 2]), vec![2 * a, b, 2 * c]),
            (v.repeat_interleave(2, 0), vec![2 * a, b, c]),
            (v.pad([(1, 0), (2, 3)], 0.0), vec![a, b + 1, c + 5]),
            (v.unflatten(1, [1, retrograde::INFER]), vec![a, 1, b, c]),
            (v.flatten_axes(0, 1), vec![a * b, c]),
            (v.broadcast_to([2, a, b, c]), vec![2, a, b, c]),
            (v.slice_step(1, .., -2), vec![a, b.div_ceil(2), c]),
            (tape.rec().concat(&[v, v], 2), vec![a, b, 2 * c]),
            (tape.rec().stack(&[v, v], 0), vec![2, a, b, c]),
            (v + 1.0, shape.to_vec()),
        ] {
            assert_eq!(made.value()?, Array::<f64>::zeros(extents));
            made.sum().backward()?;
            assert_eq!(v.grad()?, x, "a gradient of no elements");
        }
        assert_eq!((v.sum() + v.exp().sum()).item()?, 0.0);
    }
    Ok(())
}

#[test]
fn every_element_type_moves() -> Result<()> {
    fn check<T: Element>(f: impl Fn(usize) -> T) -> Result<()> {
        let tape = Tape::new();
        let x = Array::from_shape_fn([3, 4], |i| f(4 * i[0] + i[1]));
        let v = tape.constant(x.clone());
        let moved = tape
            .rec()
            .concat(&[v.t().flip(0), v.t()], 1)
            .slice_step(1, .., 2);
        let expected = Array::from_shape_fn([4, 3], |i| {
            let column = 2 * i[1];
            x[if column < 3 {
                [column, 3 - i[0]]
            } else {
                [column - 3, i[0]]
            }]
        });
        assert_eq!(moved.value()?, expected);
        Ok(())
    }
    check(|i| i as f32)?;
    check(|i| i as f64)?;
    check(|i| u32::MAX - i as u32)?;
    check(|i| i64::MIN + i as i64)?;
    check(|i| i % 3 == 0)
}

/// What stands in the room is the value, and has no gradient.
#[test]
fn padding() -> Result<()> {
    let tape = Tape::new();
    let x = tape.variable(Array::from([[1.0, 2.0]]));
    let y = x.pad([(1, 0), (0, 2)], -1.0);
    let expected = Array::from([[-1.0; 4], [1.0, 2.0, -1.0, -1.0]]);
    assert_eq!(y.value()?, expected);
    (y * y).sum().backward()?;
    assert_eq!(x.grad()?, Array::from([[2.0, 4.0]]));
    let flags = tape.constant(Array::from([true]));
    assert_eq!(
        flags.pad([(1, 1)], false).value()?,
        Array::from([false, true, false])
    );
    for wrong in [
        x.pad([(0, 0); 3], 0.0),
        x.pad([(usize::MAX, 1)], 0.0),
        x.pad([(usize::MAX / 2, usize::MAX / 2)], 0.0),
    ] {
        let message = wrong.value().unwrap_err().to_string();
        assert!(message.contains("pad"), "{message}");
    }
    Ok(())
}
