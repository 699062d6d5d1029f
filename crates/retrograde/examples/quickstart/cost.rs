//! What derivatives cost, read off the compiled programs.

use retrograde::prelude::*;

fn row(name: &str, program: &Program) {
    println!(
        "    {name:28} {:5} instructions {:3} groups {:9} bytes {:10.1} us",
        program.len(),
        program.groups(),
        program.arena_bytes(),
        program.cost_ns() / 1e3
    );
}

/// Prints the costs, and asserts the two claims made of them.
pub(crate) fn report() -> Result<()> {
    super::title(
        11,
        "Why a second derivative costs more: it replays the first and its own reverse",
    );
    let x = Array::<f64>::linspace(-1.0, 1.0, 4096);
    let f = Program::record(&[x], |_, [x]| (x.sin() * (x * x).exp()).tanh().sum())?;
    let (first, second) = (f.value_and_grad()?, f.hvp()?);
    row("f: R^4096 -> R", &f);
    row("f and its gradient", &first);
    row("Hessian times a vector", &second);
    println!("    estimated before anything runs; the time is that of one core");
    assert!(f.len() < first.len() && first.len() < second.len());
    assert!(f.cost_ns() < first.cost_ns() && first.cost_ns() < second.cost_ns());

    super::title(
        12,
        "When forward beats reverse: a Jacobian takes one sweep an input, or one an output",
    );
    let cases = [
        ("R^2 -> R^1000", Array::<f64>::from([0.3, 0.7]), 1000),
        ("R^1000 -> R^2", Array::<f64>::linspace(0.0, 1.0, 1000), 2),
    ];
    for (name, x, outputs) in cases {
        let inputs = x.len();
        let g = Program::record(&[x], move |t, [x]| {
            let weights = t
                .linspace::<f64>(-1.0, 1.0, inputs * outputs)
                .reshape([outputs, inputs]);
            weights.matmul(x.reshape([inputs, 1])).sin()
        })?;
        let forward = g.jvp()?.cost_ns() * inputs as f64;
        let reverse = g.vjp()?.cost_ns() * outputs as f64;
        println!(
            "    {name}: {inputs:4} forward sweeps {:9.1} us, {outputs:4} reverse sweeps {:9.1} us",
            forward / 1e3,
            reverse / 1e3
        );
        assert_eq!(forward < reverse, inputs < outputs);
    }
    println!("    `jacobian` picks the smaller side");
    Ok(())
}
