//! Derivatives of programs against differences: gradients against central differences of the value, products with the
//! Hessian against central differences of the gradient.

use retrograde::prelude::*;

/// A function of one value.
pub type Function = for<'t> fn(Var<'t, f64>) -> Var<'t, f64>;
/// The same in single precision.
pub type Single = for<'t> fn(Var<'t, f32>) -> Var<'t, f32>;
/// A function of two values.
pub type Pair = for<'t> fn(Var<'t, f64>, Var<'t, f64>) -> Var<'t, f64>;

/// Spread over a range, no two elements equal, in no order.
pub fn samples(shape: &[usize], (low, high): (f64, f64)) -> Array<f64> {
    let mut k = 0.0f64;
    Array::from_shape_fn(shape.to_vec(), |_| {
        k += 1.0;
        low + (high - low) * (k * 0.618_033_988_749_895).fract()
    })
}

/// The outputs of one run in new memory.
pub fn run(p: &Program, inputs: &[&Array<f64>]) -> Result<Vec<Array<f64>>> {
    let mut ws = p.workspace()?;
    let out = p.run(&mut ws, inputs)?;
    (0..out.len()).map(|i| out.array(i)).collect()
}

/// Gradients of a scalar program against central differences, and products with its Hessian against differences of them.
pub fn check_derivatives(name: &str, value: &Program, inputs: &[&Array<f64>]) -> Result<()> {
    const H: f64 = 1e-6;
    let gradient = value.grad()?;
    let analytic = run(&gradient, inputs)?;
    let direction: Vec<Array<f64>> = inputs
        .iter()
        .map(|x| samples(x.shape(), (-1.0, 1.0)))
        .collect();
    let second = value.hvp()?;
    let feed: Vec<&Array<f64>> = inputs.iter().copied().chain(&direction).collect();
    let bent = run(&second, &feed)?;
    let moved = |by: f64| -> Vec<Array<f64>> {
        inputs
            .iter()
            .zip(&direction)
            .map(|(x, d)| Array::clone(x) + &(d.clone() * by))
            .collect()
    };
    let (up, down) = (moved(H), moved(-H));
    let (up, down): (Vec<_>, Vec<_>) = (up.iter().collect(), down.iter().collect());
    let (above, below) = (run(&gradient, &up)?, run(&gradient, &down)?);
    for (k, x) in inputs.iter().enumerate() {
        assert_eq!(
            analytic[k].shape(),
            x.shape(),
            "{name}: the gradient has the operand's shape"
        );
        for i in 0..x.len().min(24) {
            let at = |by: f64| -> Result<f64> {
                let mut x = Array::clone(x);
                x.as_mut_slice()[i] += by;
                let moved: Vec<&Array<f64>> = inputs
                    .iter()
                    .enumerate()
                    .map(|(j, &y)| if j == k { &x } else { y })
                    .collect();
                Ok(run(value, &moved)?[0].item()?)
            };
            let (a, n) = (analytic[k].as_slice()[i], (at(H)? - at(-H)?) / (2.0 * H));
            assert!(
                (a - n).abs() <= 1e-6 + 1e-6 * n.abs(),
                "{name}: gradient {i} of input {k} {:?}: {a}, by differences {n}",
                x.shape()
            );
        }
        for i in 0..x.len() {
            let (a, n) = (
                bent[k].as_slice()[i],
                (above[k].as_slice()[i] - below[k].as_slice()[i]) / (2.0 * H),
            );
            assert!(
                (a - n).abs() <= 1e-6 + 1e-6 * n.abs(),
                "{name}: second order {i} of input {k} {:?}: {a}, by differences {n}",
                x.shape()
            );
        }
    }
    Ok(())
}
