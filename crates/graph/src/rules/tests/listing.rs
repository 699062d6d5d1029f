//! What a sweep emits: no more than needed, at the lines of the primal.

use retrograde_ops::{Binary, Reduce};
use retrograde_storage::{DType, Id};

use crate::op::Op;
use crate::recorder::Recorder;
use crate::rules::{depends, forward, reverse};
use crate::testing::{leaf, rec};

#[test]
fn the_gradient_of_a_dot_product() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = leaf::<f64>(rec, 0, &[4]);
    let y = 2.0 * x.dot(x);
    let before = recorder.len();
    let mut state = recorder.state.borrow_mut();
    let one = state.list.float(1.0, DType::F64);
    reverse(&mut state.list, y.id, one, &[x.id]);
    let emitted: Vec<Op> = state
        .list
        .values()
        .skip(before)
        .map(|v| state.list.op(v))
        .collect();
    assert_eq!(
        emitted,
        [
            Op::Const,
            Op::Binary(Binary::MulStrong),
            Op::Reshape,
            Op::Expand,
            Op::Binary(Binary::MulStrong),
            Op::Binary(Binary::MulStrong),
            Op::Binary(Binary::Add),
        ]
    );
}

#[test]
fn constants_get_no_adjoint_and_unrelated_values_are_not_visited() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = leaf::<f64>(rec, 0, &[2]);
    let c = leaf::<f64>(rec, 1, &[2]);
    let stopped = x.detach() * c;
    let aside = x.exp();
    let mask = x.gt(c);
    let y = (c * x + stopped).sum();
    let mut state = recorder.state.borrow_mut();
    let column = depends(&state.list, x.id.index(), y.id.index(), &[x.id]);
    let at = |v: usize| column[v - x.id.index()];
    assert!(at(x.id.index()) && at(aside.id.index()) && at(y.id.index()));
    assert!(!at(c.id.index()) && !at(stopped.id.index()) && !at(mask.id.index()));
    let before = state.list.len();
    let one = state.list.float(1.0, DType::F64);
    let found = reverse(&mut state.list, y.id, one, &[x.id, stopped.id]);
    assert!(found.iter().all(Option::is_some));
    // Seed, reshape and expand of the sum, and one product.
    assert_eq!(state.list.len() - before, 4);
    let none = reverse(&mut state.list, stopped.id, stopped.id, &[x.id]);
    assert_eq!(none, [None]);
    assert_eq!(reverse(&mut state.list, x.id, x.id, &[y.id]), [None]);
    assert_eq!(reverse(&mut state.list, x.id, c.id, &[x.id]), [Some(c.id)]);
    assert_eq!(reverse(&mut state.list, x.id, c.id, &[]), []);
}

#[test]
fn a_broadcast_scalar_costs_one_reduction() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = leaf::<f64>(rec, 0, &[1000]);
    let s = leaf::<f64>(rec, 1, &[]);
    let mut y = x;
    for _ in 0..64 {
        y = (y * s).sin();
    }
    let y = y.sum();
    let before = recorder.len();
    let mut state = recorder.state.borrow_mut();
    let one = state.list.float(1.0, DType::F64);
    reverse(&mut state.list, y.id, one, &[s.id]);
    let sums = state
        .list
        .values()
        .skip(before)
        .filter(|&v| state.list.op(v) == Op::Reduce(Reduce::Sum))
        .count();
    assert_eq!(sums, 1);
}

#[test]
fn adjoints_stand_at_the_line_of_their_primal() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = leaf::<f64>(rec, 0, &[]);
    let u = x.sin();
    let y = u.exp();
    let (sin_line, exp_line) = (line!() - 2, line!() - 1);
    let before = recorder.len();
    let mut state = recorder.state.borrow_mut();
    reverse(&mut state.list, y.id, x.id, &[x.id]);
    let lines: Vec<u32> = state
        .list
        .values()
        .skip(before)
        .map(|v| state.list.location(v).unwrap().line())
        .collect();
    assert_eq!(lines, [exp_line, sin_line, sin_line]);
    assert!(
        state
            .list
            .location(y.id)
            .unwrap()
            .file()
            .ends_with("listing.rs")
    );
}

#[test]
fn tangents_of_several_outputs_and_of_independent_ones() {
    let recorder = Recorder::default();
    let rec = rec(&recorder);
    let x = leaf::<f64>(rec, 0, &[]);
    let t = leaf::<f64>(rec, 1, &[]);
    let (y, z, w) = (x.sin(), x.sin().square(), t.cos());
    let found = forward(
        &mut recorder.state.borrow_mut().list,
        &[y.id, z.id, w.id, x.id],
        &[x.id],
        &[t.id],
    );
    let all = crate::testing::values(&recorder, &[vec![0.7], vec![2.0]]);
    let at = |i: usize| all[found[i].index()][0];
    // The standard library promises no bits of a cosine.
    assert!((at(0) - 2.0 * 0.7f64.cos()).abs() < 1e-14);
    assert!((at(1) - 4.0 * 0.7f64.sin() * 0.7f64.cos()).abs() < 1e-14);
    assert_eq!(at(2), 0.0);
    assert_eq!(at(3), 2.0);
}
