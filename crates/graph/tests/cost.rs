//! Costs are known before a run, and say what derivatives keep.

use retrograde_graph::{Direction, Options, Program, Result};
use retrograde_storage::{Array, Create};

#[test]
fn of_a_product() -> Result<()> {
    let (x, w) = (Array::<f64>::ones([8, 16]), Array::<f64>::ones([16, 4]));
    let p = Program::record(&[x, w], |_, [x, w]| x.matmul(w))?;
    let cost = p.cost();
    assert_eq!(cost.flops, 2 * 8 * 16 * 4);
    assert_eq!(cost.bytes, 8 * (8 * 16 + 16 * 4 + 8 * 4));
    assert_eq!(
        (cost.input_bytes, cost.output_bytes),
        (8 * (8 * 16 + 16 * 4), 8 * 8 * 4)
    );
    assert_eq!((cost.instructions, cost.steps), (1, 1));
    assert!(cost.saved.is_empty() && cost.guards.is_empty());
    // A derivative takes two more products of the size, one for each operand; the seed makes it a sum of outputs.
    let p = Program::record(
        &[Array::<f64>::ones([8, 16]), Array::<f64>::ones([16, 4])],
        |_, [x, w]| x.matmul(w).square().sum(),
    )?;
    let (value, gradient) = (p.cost().flops, p.value_and_grad()?.cost().flops);
    assert!(
        gradient > 3 * 2 * 8 * 16 * 4 && gradient < 3 * value + 500,
        "{gradient} {value}"
    );
    Ok(())
}

#[test]
fn fusion_saves_traffic_and_not_operations() -> Result<()> {
    let x = Array::<f64>::linspace(0.0, 1.0, 10_000);
    let p = Program::record(&[x], |_, [x]| ((x * x + 0.5).tanh() * x.sigmoid()).sum())?;
    let g = p.value_and_grad()?;
    let apart = g.with_options(Options {
        fuse: false,
        ..g.options()
    })?;
    assert_eq!(g.cost().flops, apart.cost().flops);
    assert!(
        g.cost().bytes * 5 < apart.cost().bytes,
        "{} {}",
        g.cost(),
        apart.cost()
    );
    assert!(g.cost().arena_bytes < apart.cost().arena_bytes);
    assert!(
        g.cost().saved_bytes() < 100,
        "one group keeps everything in its tiles: {}",
        g.cost()
    );
    assert!(apart.cost().saved_bytes() >= 80_000);
    Ok(())
}

#[test]
fn what_is_saved_and_where_it_was_recorded() -> Result<()> {
    let x = Array::<f64>::ones([64, 32]);
    let w = Array::<f64>::ones([32, 16]);
    let line = std::cell::Cell::new(0);
    let p = Program::try_record(&[x, w], |_, [x, w]| {
        let hidden = x.matmul(w);
        let (active, at) = (hidden.tanh(), line!());
        line.set(at);
        // The product of the next layer keeps a boundary between the groups.
        Ok(active.matmul(w.t()).square().sum().into())
    })?;
    assert!(
        p.cost().saved.is_empty(),
        "nothing is kept without a derivative"
    );
    let cost = p.value_and_grad()?.cost();
    let tanh = cost.saved.iter().find(|s| s.op == "tanh");
    let tanh = tanh.unwrap_or_else(|| panic!("the derivative of tanh is made of tanh: {cost}"));
    assert_eq!(
        (tanh.bytes, tanh.shape.dims()),
        (64 * 16 * 8, &[64, 16][..])
    );
    assert_eq!(
        tanh.location.map(std::panic::Location::line),
        Some(line.get())
    );
    assert!(cost.saved.is_sorted_by_key(|s| std::cmp::Reverse(s.bytes)));
    let text = cost.to_string();
    assert!(
        text.contains(&format!(
            "tanh [64, 16] f64  crates/graph/tests/cost.rs:{}",
            line.get()
        )),
        "{text}"
    );
    for row in ["flops", "bytes moved", "arena", "each thread", "saved"] {
        assert!(text.contains(row), "{text}");
    }
    Ok(())
}

#[test]
fn guards_cost_what_only_they_need() -> Result<()> {
    let x = Array::<f64>::ones([100]);
    let line = line!() + 4;
    let p = Program::try_record(&[x], |_, [x]| {
        let shared = x.exp();
        // The exponentials are needed anyway; squares, their sum and the comparison are not.
        let small = shared.square().sum().lt(1e6).item()?;
        let free = (shared.sum() * 1.0).gt(0.0).item()?;
        Ok(if small && free { shared.sum() } else { x.sum() }.into())
    })?;
    let cost = p.cost();
    let [square, free] = cost.guards.as_slice() else {
        panic!("{cost}")
    };
    assert_eq!((square.instructions, square.flops), (3, 201));
    assert_eq!((free.instructions, free.flops), (1, 1));
    assert_eq!(square.location.line(), line);
    assert!(
        cost.to_string()
            .contains("guard: 3 instructions, 201 flops"),
        "{cost}"
    );
    Ok(())
}

#[test]
fn second_derivatives_and_directions() -> Result<()> {
    let x = Array::<f64>::linspace(0.1, 1.0, 50);
    let f = Program::record(&[x.clone()], |_, [x]| (x.ln() * x.cumsum(0)).sum())?;
    let (value, gradient, hvp) = (f.cost(), f.grad()?.cost(), f.hvp()?.cost());
    assert!(value.flops < gradient.flops && gradient.flops < hvp.flops);
    assert_eq!(f.jacobian(0)?.direction(), Direction::Reverse);
    let curve = Program::record(&[Array::<f64>::ones([2])], |t, [a]| {
        (a.at(0, 0) * t.arange::<f64>(50)).sin() * a.at(0, 1)
    })?;
    assert_eq!(curve.jacobian(0)?.direction(), Direction::Forward);
    Ok(())
}

#[test]
fn programs_without_work() -> Result<()> {
    let p = Program::record(&[Array::<f64>::arange(3)], |_, [x]| x)?;
    assert_eq!(p.cost().flops, 0);
    let p = Program::record(&[Array::<f64>::arange(0)], |_, [x]| x.exp().sum())?;
    assert_eq!(p.value_and_grad()?.cost().flops, 0);
    Ok(())
}

#[test]
fn equal_literals_are_one() -> Result<()> {
    let x = [Array::<f64>::scalar(1.5), Array::<f64>::scalar(2.5)];
    let twice = Program::record(&x, |_, [x, y]| 0.3 * x + 0.3 * x * y)?;
    let once = Program::record(&x, |_, [x, y]| {
        let third = 0.3 * x;
        third + third * y
    })?;
    assert_eq!(twice.cost().instructions, once.cost().instructions);
    let cells = |p: &Program| p.to_string().lines().next().map(str::to_owned);
    assert_eq!(cells(&twice), cells(&once), "nothing is left of the second");
    Ok(())
}

#[test]
fn a_direction_that_is_zero_costs_nothing() -> Result<()> {
    let x = [Array::<f64>::scalar(1.5), Array::<f64>::scalar(2.5)];
    let along_x = Program::record(&x, |_, [x, y]| (x * y.sin()).exp().jvp_of([x], [x * 3.0]))?;
    let along_both = Program::record(&x, |t, [x, y]| {
        (x * y.sin()).exp().jvp_of([x, y], [x * 3.0, t.scalar(0.0)])
    })?;
    assert_eq!(along_both.cost().instructions, along_x.cost().instructions);
    // Another direction is not.
    let given = Program::record(&x, |_, [x, y]| {
        (x * y.sin()).exp().jvp_of([x, y], [x * 3.0, y])
    })?;
    assert!(given.cost().instructions > along_x.cost().instructions);
    Ok(())
}
