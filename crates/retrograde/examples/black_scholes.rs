//! A portfolio of European calls: prices and Greeks by differentiating the pricing formula, compared with the closed
//! forms of the Greeks, and how many options a second that makes.
//!
//! `cargo run --release --example black_scholes`

use std::time::Instant;

use retrograde::prelude::*;

/// Spot, strike, rate, volatility and years to expiry of every option.
const INPUTS: usize = 5;
const NAMES: [&str; 7] = [
    "price",
    "delta",
    "dual delta",
    "rho",
    "vega",
    "-theta",
    "gamma",
];

/// `S N(d1) - K e^(-rT) N(d2)`.
fn call<T: Float>([s, k, r, v, t]: [Var<'_, T>; INPUTS]) -> Var<'_, T> {
    let spread = v * t.sqrt();
    let d1 = ((s / k).ln() + (r + T::of(0.5) * (v * v)) * t) / spread;
    let d2 = d1 - spread;
    s * d1.normal_cdf() - k * (-(r * t)).exp() * d2.normal_cdf()
}

/// Price, its five first derivatives and gamma, one value an option: one program.
///
/// Options do not depend on each other, so the gradient of their sum holds each one's own derivatives; gamma is the
/// gradient of the sum of the deltas, which are values like any other.
fn greeks<T: Float>(book: &[Array<T>; INPUTS]) -> Result<Program> {
    Program::try_record(book, |_, inputs| {
        let price = call(inputs);
        let [delta, dual, rho, vega, theta] = price.sum().grad_of(inputs);
        let [gamma] = delta.sum().grad_of([inputs[0]]);
        Ok([price, delta, dual, rho, vega, theta, gamma].into())
    })
}

/// The same by the textbook's formulas.
fn closed_form([s, k, r, v, t]: [f64; INPUTS]) -> [f64; 7] {
    let root = t.sqrt();
    let d1 = ((s / k).ln() + (r + 0.5 * v * v) * t) / (v * root);
    let d2 = d1 - v * root;
    let (n1, n2) = (normal_cdf(d1), normal_cdf(d2));
    let density = (-0.5 * d1 * d1).exp() / std::f64::consts::TAU.sqrt();
    let discount = (-r * t).exp();
    [
        s * n1 - k * discount * n2,
        n1,
        -discount * n2,
        k * t * discount * n2,
        s * density * root,
        s * density * v / (2.0 * root) + r * k * discount * n2,
        density / (s * v * root),
    ]
}

/// The normal distribution function, independent of the library's: the Taylor series `1/2 + phi(x) sum x^(2i+1) / (2i+1)!!`.
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum, mut i) = (x, x, 1.0);
    while term.abs() > 1e-18 * sum.abs() {
        i += 2.0;
        term *= x * x / i;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// A book of `n` options, spread over markets by irrational steps.
fn book<T: Float>(n: usize) -> [Array<T>; INPUTS] {
    let spread = |step: f64, low: f64, high: f64| {
        Array::from_shape_fn([n], |i| {
            T::of(low + (high - low) * (i[0] as f64 * step).fract())
        })
    };
    [
        spread(0.618_033_988_7, 80.0, 120.0),
        spread(0.414_213_562_3, 80.0, 120.0),
        spread(0.732_050_807_5, 0.0, 0.06),
        spread(0.236_067_977_4, 0.1, 0.5),
        spread(0.645_751_311_0, 0.25, 2.0),
    ]
}

fn main() -> Result<()> {
    let smoke = std::env::var_os("RETROGRADE_SMOKE").is_some();

    let small = book::<f64>(10_000);
    let program = greeks(&small)?;
    let mut ws = program.workspace()?;
    let out = program.run(&mut ws, small.each_ref())?;
    let mut worst = [0.0_f64; 7];
    for i in 0..small[0].len() {
        let exact = closed_form(small.each_ref().map(|a| a.as_slice()[i]));
        for (j, exact) in exact.into_iter().enumerate() {
            let error = (out.slice::<f64>(j)?[i] - exact).abs() / exact.abs().max(1.0);
            worst[j] = worst[j].max(error);
        }
    }
    println!(
        "10,000 calls in f64, the first of them and the largest difference to the closed form:"
    );
    for (j, name) in NAMES.iter().enumerate() {
        println!(
            "  {name:10} {:12.6}   {:.1e}",
            out.slice::<f64>(j)?[0],
            worst[j]
        );
    }
    assert!(worst.iter().all(|&e| e < 1e-12), "{worst:?}");

    let n = if smoke { 10_000 } else { 1_000_000 };
    let large = book::<f32>(n);
    let program = greeks(&large)?;
    println!(
        "\nthe program: {} instructions in {} fused group(s), {} bytes of planned memory besides inputs and results",
        program.len(),
        program.groups(),
        program.arena_bytes()
    );
    let mut ws = program.workspace()?;
    let mut best = f64::INFINITY;
    for _ in 0..if smoke { 3 } else { 20 } {
        let start = Instant::now();
        program.run(&mut ws, large.each_ref())?;
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!(
        "{n} options in f32, price and six Greeks: {:.2} ms a run, {:.0} million options a second",
        best * 1e3,
        n as f64 / best / 1e6
    );
    let out = program.run(&mut ws, large.each_ref())?;
    let totals: Vec<f64> = (0..NAMES.len())
        .map(|j| Ok(out.slice::<f32>(j)?.iter().map(|&x| f64::from(x)).sum()))
        .collect::<Result<_>>()?;
    println!("the portfolio:");
    for (name, total) in NAMES.iter().zip(totals) {
        assert!(total.is_finite());
        println!("  {name:10} {total:18.2}");
    }
    Ok(())
}
