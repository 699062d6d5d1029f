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
