//! References: `core-math`, which rounds correctly, and double-word arithmetic for what it lacks.

/// An unevaluated sum of two doubles, the second below half an ulp of the first.
#[derive(Clone, Copy)]
pub struct Two(pub f64, pub f64);

fn two_sum(a: f64, b: f64) -> Two {
    let s = a + b;
    let back = s - a;
    Two(s, (a - (s - back)) + (b - back))
}

impl Two {
    fn add(self, o: Two) -> Two {
        let Two(s, e) = two_sum(self.0, o.0);
        let Two(t, f) = two_sum(self.1, o.1);
        let Two(s, e) = two_sum(s, e + t);
        two_sum(s, e + f)
    }

    fn mul(self, o: Two) -> Two {
        let p = self.0 * o.0;
        let e = self.0.mul_add(o.0, -p);
        two_sum(p, e + (self.0 * o.1 + self.1 * o.0))
    }

    fn neg(self) -> Two {
        Two(-self.0, -self.1)
    }

    fn div(self, o: Two) -> Two {
        let q = self.0 / o.0;
        let r = self.add(o.mul(Two(q, 0.0)).neg());
        let q2 = r.0 / o.0;
        let r = r.add(o.mul(Two(q2, 0.0)).neg());
        two_sum(q, q2).add(Two(r.0 / o.0, 0.0))
    }
}

/// `e^x` for `-700 < x <= 0`, to some 2^-95: Taylor's series of `x` reduced by `2^10`, squared up as `e^r - 1`.
pub fn exp_two(x: Two) -> Two {
    const LN2: [f64; 3] = [
        0.6931471805599453,
        2.3190468138462996e-17,
        5.707708438416212e-34,
    ];
    let n = (x.0 / LN2[0]).round();
    let n_ln2 = Two(n, 0.0)
        .mul(Two(LN2[0], LN2[1]))
        .add(Two(n * LN2[2], 0.0));
    let r = x.add(n_ln2.neg());
    let r = Two(r.0 / 1024.0, r.1 / 1024.0);
    let mut sum = Two(0.0, 0.0);
    for k in (2..=12).rev() {
        sum = r.mul(Two(1.0, 0.0).add(sum)).div(Two(f64::from(k), 0.0));
    }
    // e^r - 1 = r (1 + sum).
    let mut e = r.mul(Two(1.0, 0.0).add(sum));
    for _ in 0..10 {
        e = e.add(e).add(e.mul(e));
    }
    let Two(h, l) = Two(1.0, 0.0).add(e);
    let scale =
        |v: f64| v * 2f64.powi((n / 2.0) as i32) * 2f64.powi((n - (n / 2.0).trunc()) as i32);
    Two(scale(h), scale(l))
}

/// `1 / (1 + e^-x)`.
pub fn sigmoid(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x < -700.0 {
        // 1 + e^x is 1 but for 2^-1000.
        return core_math::exp(x);
    }
    let one = Two(1.0, 0.0);
    let e = exp_two(Two(-x.abs().min(700.0), 0.0));
    let d = one.add(e);
    if x < 0.0 { e.div(d).0 } else { one.div(d).0 }
}

/// `ln(1 + e^x)`.
pub fn softplus(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x < -700.0 {
        return core_math::exp(x);
    }
    if x > 700.0 {
        return x;
    }
    let e = exp_two(Two(-x.abs(), 0.0));
    // One step of Newton's on e^y = 1 + e doubles the digits; 1 - e^-y (1 + e) measures how far y is off.
    let y = core_math::log1p(e.0);
    let tail = if y < 1e-16 {
        // ln(1 + e) = e - e^2 / 2.
        e.add(Two(-y, 0.0)).add(Two(-0.5 * y * y, 0.0))
    } else {
        Two(1.0, 0.0)
            .add(e)
            .mul(exp_two(Two(-y, 0.0)))
            .add(Two(-1.0, 0.0))
    };
    Two(x.max(0.0), 0.0).add(Two(y, 0.0)).add(tail).0
}

/// The normal distribution function: `erfc(z + t) = erfc(z) - 2 / sqrt(pi) e^(-z^2) t` with `z + t = -x / sqrt(2)`.
pub fn normal_cdf(x: f64) -> f64 {
    const FRAC_1_SQRT_2: [f64; 2] = [0.7071067811865476, -4.833646656726457e-17];
    if x.is_infinite() {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let Two(z, t) = Two(-x, 0.0).mul(Two(FRAC_1_SQRT_2[0], FRAC_1_SQRT_2[1]));
    let slope = std::f64::consts::FRAC_2_SQRT_PI * core_math::exp(-z * z);
    0.5 * (core_math::erfc(z) - slope * t)
}

const PI: Two = Two(3.141592653589793, 1.2246467991473532e-16);

/// `sin(pi x) / (pi x)`, the sine of the fraction by Taylor's series.
pub fn sinc(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() {
        return if x == 0.0 { 1.0 } else { x };
    }
    if x.is_infinite() {
        return 0.0;
    }
    let turns = (x / 2.0).round_ties_even() * 2.0;
    let rest = x - turns;
    // sin(pi rest) = sin(pi (+-1 - rest)), exact beyond a half.
    let part = if rest.abs() > 0.5 {
        1_f64.copysign(rest) - rest
    } else {
        rest
    };
    if part == 0.0 {
        return 0.0;
    }
    if part.abs() < 1e-140 {
        return part / x;
    }
    let angle = PI.mul(Two(part, 0.0));
    let square = angle.mul(angle).neg();
    let mut sum = Two(1.0, 0.0);
    for k in (1..=16).rev() {
        let k = f64::from(2 * k);
        sum = square
            .mul(sum)
            .div(Two(k * (k + 1.0), 0.0))
            .add(Two(1.0, 0.0));
    }
    angle.mul(sum).div(PI.mul(Two(x, 0.0))).0
}

/// The quantile of the normal distribution: Newton's steps, the last of them on values in two words or, in the tails, where
/// one is enough.
pub fn normal_icdf(p: f64) -> f64 {
    const PEAK: Two = Two(0.3989422804014327, -2.4923272022777433e-17);
    if !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p == 0.0 || p == 1.0 {
        return f64::INFINITY.copysign(p - 0.5);
    }
    if p > 0.98 {
        return -normal_icdf(1.0 - p);
    }
    let density = |x: f64| PEAK.0 * core_math::exp(-0.5 * x * x);
    if p < 1e-280 {
        // Newton's steps on the logarithm of the asymptotic series: x^2 / 2 is what counts.
        let log = core_math::log(p);
        let mut x = -(-2.0 * log).sqrt();
        for _ in 0..20 {
            let t = 1.0 / (x * x);
            let odd = [9.0, 7.0, 5.0, 3.0, 1.0];
            let series = odd.iter().fold(1.0, |inner, k| 1.0 - k * t * inner);
            let small = core_math::log(-x) - core_math::log(PEAK.0) - core_math::log(series);
            let Two(square, tail) = Two(x, 0.0).mul(Two(x, 0.0));
            x += ((-0.5 * square - log) - 0.5 * tail - small) / (x * (1.0 + t));
        }
        return x;
    }
    if p < 0.02 {
        // Of the logarithm, which is nearly a parabola.
        let mut x = -(-2.0 * core_math::log(p)).sqrt();
        for _ in 0..60 {
            let below = normal_cdf(x);
            let step = (core_math::log(below) - core_math::log(p)) * below / density(x);
            x -= step;
            if step.abs() < 1e-9 {
                break;
            }
        }
        return x - (normal_cdf(x) - p) / density(x);
    }
    let q = two_sum(p, -0.5);
    // The distribution function less a half: the density times x + x^3 / 3 + x^5 / 15 + ...
    let above_half = |x: f64| {
        let square = Two(x, 0.0).mul(Two(x, 0.0));
        let mut sum = Two(1.0, 0.0);
        for k in (1..=60).rev() {
            sum = square
                .mul(sum)
                .div(Two(f64::from(2 * k + 1), 0.0))
                .add(Two(1.0, 0.0));
        }
        let bell = exp_two(Two(-0.5 * square.0, -0.5 * square.1));
        Two(x, 0.0).mul(sum).mul(bell).mul(PEAK)
    };
    let mut x = q.0 / PEAK.0;
    for _ in 0..60 {
        let step = above_half(x).add(q.neg()).0 / density(x);
        x -= step;
        if step.abs() < 1e-9 * x.abs() {
            break;
        }
    }
    let rest = above_half(x).add(q.neg()).0 / density(x);
    x - rest
}

/// Bernoulli's numbers `B_2, B_4, ...` as fractions.
const BERNOULLI: [(f64, f64); 13] = [
    (1.0, 6.0),
    (-1.0, 30.0),
    (1.0, 42.0),
    (-1.0, 30.0),
    (5.0, 66.0),
    (-691.0, 2730.0),
    (7.0, 6.0),
    (-3617.0, 510.0),
    (43867.0, 798.0),
    (-174611.0, 330.0),
    (854513.0, 138.0),
    (-236364091.0, 2730.0),
    (8553103.0, 6.0),
];

/// The digamma function and its first two derivatives: `(-1)^(n+1) n! sum of (x + k)^(-n-1)` up to 32, then Euler's and
/// Maclaurin's terms. Left of 0, where the terms alternate in sign, the digits are those of the largest.
fn polygamma(n: i32, x: f64) -> f64 {
    let one = Two(1.0, 0.0);
    let two_power = |y: Two, n: i32| (0..n).fold(one, |power, _| power.mul(y));
    let sign = if n == 1 { 1.0 } else { -1.0 };
    let factorial = if n == 2 { 2.0 } else { 1.0 };
    if x.is_nan() {
        return x;
    }
    if x.abs() < 1e-60 {
        // The first term alone.
        return sign * factorial * (1.0 / x).powi(n + 1);
    }
    if x > 1e60 {
        // The integral alone.
        return match n {
            0 => core_math::log(x),
            1 => 1.0 / x,
            _ => -1.0 / x / x,
        };
    }
    if x < 0.0 && x == x.floor() {
        return if n == 1 { f64::INFINITY } else { f64::NAN };
    }
    let mut y = Two(x, 0.0);
    let mut sum = Two(0.0, 0.0);
    while y.0 < 32.0 {
        sum = sum.add(one.div(two_power(y, n + 1)));
        y = y.add(one);
    }
    let integral = match n {
        0 => {
            // One of Newton's steps on e^l = y, with e^-l y - 1 = d: ln(1 + d) = d - d^2 / 2.
            let l = core_math::log(y.0);
            let d = exp_two(Two(-l, 0.0)).mul(y).add(one.neg());
            Two(l, 0.0).add(d).add(d.mul(d).mul(Two(-0.5, 0.0))).neg()
        }
        _ => one.div(two_power(y, n)).div(Two(f64::from(n), 0.0)),
    };
    let half = one.div(two_power(y, n + 1));
    sum = sum.add(integral).add(Two(0.5 * half.0, 0.5 * half.1));
    // Powers of large numbers overflow, and one term is more than enough for them.
    let terms = if y.0 > 1e9 { 1 } else { BERNOULLI.len() };
    for (k, (top, bottom)) in (1..).zip(BERNOULLI).take(terms) {
        // B (n + 1) ... (n + 2 k - 1) / ((2 k)! y^(n + 2 k)).
        let mut term = Two(top, 0.0).div(Two(bottom * f64::from(2 * k), 0.0));
        for i in 1..2 * k {
            term = term
                .mul(Two(f64::from(n + i), 0.0))
                .div(Two(f64::from(i), 0.0));
        }
        sum = sum.add(term.div(two_power(y, n + 2 * k)));
    }
    sign * factorial * sum.0
}

/// See [`polygamma`].
pub fn digamma(x: f64) -> f64 {
    polygamma(0, x)
}

/// See [`polygamma`].
pub fn trigamma(x: f64) -> f64 {
    polygamma(1, x)
}

/// See [`polygamma`].
pub fn tetragamma(x: f64) -> f64 {
    polygamma(2, x)
}
