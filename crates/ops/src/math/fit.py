"""Derives the coefficients of `coefficients.rs`, `special.rs` and `pow.rs`: weighted Remez exchange in 60 digits (needs mpmath).

Prints each table with the base-2 logarithm of the largest weighted error before the coefficients are rounded.
"""

import struct

from mpmath import (asin, atan, cbrt, cos, digamma, erf, erfc, erfinv, euler, exp, findroot, log, loggamma, lu_solve, matrix,
                    mp, mpf, pi, polygamma, sin, sinh, sqrt, tanh)

mp.dps = 60
GRID = 400
NEAR_ZERO = mpf(10) ** -12


def remez(f, weight, low, high, degree):
    """The polynomial p that minimises max |weight (f - p)| on [low, high], constant first, and that maximum."""
    middle, half, n = (low + high) / 2, (high - low) / 2, degree + 2
    points = [middle - half * cos(pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    grid = [middle - half * cos(pi * i / mpf(GRID)) for i in range(GRID + 1)]
    values = [(f(x), weight(x)) for x in grid]
    for _ in range(12):
        system, right = matrix(n, n), matrix(n, 1)
        for i, x in enumerate(points):
            for j in range(degree + 1):
                system[i, j] = x**j
            system[i, degree + 1] = (-1) ** i / weight(x)
            right[i] = f(x)
        solution = lu_solve(system, right)
        p = [solution[i] for i in range(degree + 1)]
        errors = [w * (fx - mp.polyval(p[::-1], x)) for x, (fx, w) in zip(grid, values)]
        extrema = [0]
        for i in range(1, len(grid)):
            if (errors[i] > 0) != (errors[extrema[-1]] > 0):
                extrema.append(i)
            elif abs(errors[i]) > abs(errors[extrema[-1]]):
                extrema[-1] = i
        while len(extrema) > n:
            extrema.pop(0 if abs(errors[extrema[0]]) < abs(errors[extrema[-1]]) else -1)
        worst = max(abs(e) for e in errors)
        if len(extrema) < n or worst < abs(solution[degree + 1]) * mpf("1.001"):
            break
        points = [grid[i] for i in extrema]
    return p, worst


def single(x):
    return struct.unpack("f", struct.pack("f", float(x)))[0]


def show(name, fit, is_single):
    p, worst = fit
    print(f"{name}: 2^{float(log(worst, 2)):.1f}")
    for c in p:
        print("   ", mp.nstr(mpf(single(c)), 10) if is_single else repr(float(c)))


def or_series(f, series):
    """`f`, but its series where the closed form cancels."""
    return lambda x: series(x) if abs(x) < NEAR_ZERO else f(x)


SINGLE, DOUBLE = True, False
ZERO = mpf(10) ** -25

# exp and expm1: half an octave and a little for the rounding of the reduction.
octave = log(2) / 2 * mpf("1.0005")
exp_q = or_series(lambda r: (exp(r) - 1 - r) / r**2, lambda r: mpf(1) / 2 + r / 6)
by_exp = lambda r: r * r / exp(r) + ZERO
by_expm1 = lambda r: abs(r) + ZERO
show("f32 EXP", remez(exp_q, by_exp, -octave, octave, 4), SINGLE)
show("f32 EXPM1", remez(exp_q, by_expm1, -octave, octave, 5), SINGLE)
show("f64 EXP", remez(exp_q, by_exp, -octave, octave, 9), DOUBLE)
show("f64 EXPM1", remez(exp_q, by_expm1, -octave, octave, 10), DOUBLE)
show("EXP_SHORT", remez(exp_q, by_exp, -octave, octave, 5), DOUBLE)

# Logarithms: 1 + f = (1 + s) / (1 - s) in the octave around 1, z = s^2 up to (3 - 2 sqrt 2)^2.
low, high = sqrt(mpf(1) / 2) - 1, sqrt(mpf(2)) - 1
ln_p = or_series(lambda f: (log(1 + f) - f + f * f / 2) / f**3, lambda f: mpf(1) / 3 - f / 4)
show("LN_SINGLE", remez(ln_p, lambda f: f * f + ZERO, low, high, 8), SINGLE)
atanh = lambda z: log((1 + sqrt(z)) / (1 - sqrt(z))) / sqrt(z)
ln_r = or_series(lambda z: (atanh(z) - 2) / z, lambda z: mpf(2) / 3 + 2 * z / 5)
ln_f = or_series(lambda z: (ln_r(z) - mpf(2) / 3) / z, lambda z: mpf(2) / 5 + 2 * z / 7)
show("LN_DOUBLE", remez(ln_r, lambda z: z, ZERO, mpf("0.0295"), 7), DOUBLE)
show("LN_SHORT", remez(ln_r, lambda z: z, ZERO, mpf("0.0295"), 4), DOUBLE)
show("LN_FIFTH", remez(ln_f, lambda z: z * z + ZERO, mpf(10) ** -9, mpf("0.0295"), 6), DOUBLE)

# Sine and cosine on an eighth of a turn and a little.
eighth = (pi / 4 * mpf("1.01")) ** 2
sin_p = or_series(lambda z: (sin(sqrt(z)) / sqrt(z) - 1) / z, lambda z: -mpf(1) / 6 + z / 120)
cos_p = or_series(lambda z: (cos(sqrt(z)) - 1 + z / 2) / z**2, lambda z: mpf(1) / 24 - z / 720)
show("f32 SIN", remez(sin_p, lambda z: z, ZERO, eighth, 2), SINGLE)
show("f32 COS", remez(cos_p, lambda z: z * z, ZERO, eighth, 2), SINGLE)
show("f64 SIN", remez(sin_p, lambda z: z, ZERO, eighth, 5), DOUBLE)
show("f64 COS", remez(cos_p, lambda z: z * z, ZERO, eighth, 5), DOUBLE)

# The error function: a polynomial in z = x^2 below 1; above, the logarithm of the complement.
erf_p = or_series(lambda z: erf(sqrt(z)) / sqrt(z) - 1, lambda z: 2 / sqrt(pi) * (1 - z / 3) - 1)
show("f32 ERF", remez(erf_p, lambda z: mpf(1), ZERO, mpf(1), 6), SINGLE)
show("f64 ERF", remez(erf_p, lambda z: mpf(1), ZERO, mpf(1), 11), DOUBLE)
ln_erfc, by_erf = lambda x: log(erfc(x)), lambda x: erfc(x) / erf(x)
show("f32 LN_ERFC", remez(ln_erfc, by_erf, mpf(1), mpf(4), 7), SINGLE)
show("f64 LN_ERFC", remez(ln_erfc, by_erf, mpf(1), mpf(6), 17), DOUBLE)

# The hyperbolic tangent near zero.
tanh_p = or_series(lambda z: (tanh(sqrt(z)) / sqrt(z) - 1) / z, lambda z: -mpf(1) / 3 + 2 * z / 15)
show("f32 TANH", remez(tanh_p, lambda z: z, ZERO, mpf("0.55") ** 2, 4), SINGLE)
show("f64 TANH", remez(tanh_p, lambda z: z, ZERO, mpf("0.55") ** 2, 10), DOUBLE)

# ln(1 + f) for f in [0, 1]: as LN_DOUBLE, z up to 1 / 9.
show("f32 LOG1P", remez(ln_r, lambda z: z, ZERO, mpf(1) / 9, 4), SINGLE)
show("f64 LOG1P", remez(ln_r, lambda z: z, ZERO, mpf(1) / 9, 9), DOUBLE)


def complement(k):
    """G of e^(y^2) erfc(y) = q G(q), q = 1 / (1 + k y)."""

    def g(q):
        y = (1 / q - 1) / k
        return exp(y * y) * erfc(y) / q

    return g


def roundest_center(g, is_single, candidates):
    """The fraction of 1024 among the candidates where `g` is closest to a float: the leading coefficient loses nothing by rounding."""
    def loss(i):
        value = g(mpf(i) / 1024)
        return abs(value - (mpf(single(value)) if is_single else mpf(float(value))))

    return mpf(min(range(*candidates), key=loss)) / 1024


for name, k, y_max, degree, is_single, candidates in [
    ("f32 ERFC", mpf(3) / 8, mpf("10.3"), 10, SINGLE, (520, 600)),
    ("f64 ERFC", mpf(1) / 4, mpf("27.6"), 22, DOUBLE, (440, 500)),
]:
    g = complement(k)
    center = roundest_center(g, is_single, candidates)
    low = 1 / (1 + k * y_max)
    shifted = lambda v: g(v + center)
    print("center", center * 1024, "/ 1024")
    show(name, remez(shifted, lambda v: 1 / shifted(v), low - center, 1 - center, degree), is_single)
    # How the relative error of q multiplies, 1 + a q + b q^2.
    slope = lambda q: 1 + q * mp.diff(g, q) / g(q)
    fit = remez(lambda q: (slope(q) - 1) / q, lambda q: q / slope(q), low, mpf(1), 1)
    show(name + " sensitivity", fit, is_single)


def both(name, f, weight, low, high, single_degree, double_degree):
    """Tables of one function in either type."""
    show("f32 " + name, remez(f, weight, low, high, single_degree), SINGLE)
    show("f64 " + name, remez(f, weight, low, high, double_degree), DOUBLE)


# Inverse trigonometric functions, the hyperbolic sine, the cube root.
atan_p = or_series(lambda z: (atan(sqrt(z)) / sqrt(z) - 1) / z, lambda z: -mpf(1) / 3 + z / 5)
asin_p = or_series(lambda z: (asin(sqrt(z)) / sqrt(z) - 1) / z, lambda z: mpf(1) / 6 + 3 * z / 40)
sinh_p = or_series(lambda z: (sinh(sqrt(z)) / sqrt(z) - 1) / z, lambda z: mpf(1) / 6 + z / 120)
both("ATAN", atan_p, lambda z: z * sqrt(z + ZERO) / atan(sqrt(z + ZERO)), ZERO, mpf(1), 9, 21)
both("ASIN", asin_p, lambda z: z, ZERO, mpf(1) / 4, 5, 12)
both("SINH", sinh_p, lambda z: z, ZERO, mpf("1.01"), 3, 6)
both("CBRT", cbrt, lambda m: 1 / cbrt(m), sqrt(mpf(1) / 2), sqrt(mpf(2)), 3, 6)


def lgamma_q(v):
    """lgamma(x) / ((x - 1) (x - 2)) at x = v + 7/4."""
    x = v + mpf(7) / 4
    if abs(x - 1) < NEAR_ZERO:
        return (-euler + pi**2 / 12 * (x - 1)) / (x - 2)
    if abs(x - 2) < NEAR_ZERO:
        return (1 - euler + (pi**2 / 6 - 1) / 2 * (x - 2)) / (x - 1)
    return loggamma(x) / ((x - 1) * (x - 2))


def tail(f, limit):
    """f(1 / u, u) as a function of w = u^2, where most digits of it cancel, with its limit at 0."""

    def g(w):
        if w < NEAR_ZERO:
            return limit
        with mp.workdps(90):
            u = sqrt(w)
            return f(1 / u, u)

    return g


both("LGAMMA", lgamma_q, lambda v: 1 / lgamma_q(v), -mpf(3) / 4, mpf(3) / 4, 12, 25)
stirling = tail(lambda x, u: (loggamma(x) - ((x - mpf(1) / 2) * log(x) - x + log(2 * pi) / 2)) / u, mpf(1) / 12)
by_lgamma = lambda w: sqrt(w + ZERO) / loggamma(1 / sqrt(w + ZERO))
both("STIRLING", stirling, by_lgamma, ZERO, 1 / mpf("6.5") ** 2, 1, 6)
root = findroot(digamma, mpf("1.46163"))
digamma_r = lambda v: polygamma(1, root) if abs(v + mpf(3) / 2 - root) < NEAR_ZERO else digamma(v + mpf(3) / 2) / (v + mpf(3) / 2 - root)
both("DIGAMMA", digamma_r, lambda v: 1 / digamma_r(v), -mpf(1) / 2, mpf(1) / 2, 11, 23)
digamma_tail = tail(lambda x, u: (log(x) - u / 2 - digamma(x)) * x * x, mpf(1) / 12)
both("DIGAMMA_TAIL", digamma_tail, lambda w: (w + ZERO) / digamma(1 / sqrt(w + ZERO)), ZERO, mpf(1) / 36, 2, 7)
trigamma_tail = tail(lambda x, u: (polygamma(1, x) - u - u * u / 2) * x**3, mpf(1) / 6)
both("TRIGAMMA_TAIL", trigamma_tail, lambda w: w + ZERO, ZERO, mpf(1) / 16, 3, 10)
tetragamma_tail = tail(lambda x, u: (-polygamma(2, x) - u * u - u**3) * x**4, mpf(1) / 2)
both("TETRAGAMMA_TAIL", tetragamma_tail, lambda w: w + ZERO, ZERO, mpf(1) / 16, 4, 11)


def rational(f, weight, low, high, top, bottom):
    """Numerator and denominator near the minimax of |weight (n / d - f)|, constant first, and that maximum: least squares
    on Chebyshev's points, linear but for the weight, which is that of the denominator before."""
    count = 3 * (top + bottom + 2)
    points = [(low + high) / 2 - (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]
    values = [(x, f(x), weight(x)) for x in points]
    d = [mpf(1)]
    for _ in range(6):
        system, right = matrix(count, top + bottom + 1), matrix(count, 1)
        for i, (x, fx, w) in enumerate(values):
            w /= mp.polyval(d[::-1], x)
            for j in range(top + 1):
                system[i, j] = w * x**j
            for j in range(bottom):
                system[i, top + 1 + j] = -w * fx * x ** (j + 1)
            right[i] = w * fx
        solution = lu_solve(system, right)
        n = [solution[j] for j in range(top + 1)]
        d = [mpf(1)] + [solution[top + 1 + j] for j in range(bottom)]
    grid = [low + (high - low) * i / mpf(300) for i in range(301)]
    return n, d, max(abs(weight(x) * (mp.polyval(n[::-1], x) / mp.polyval(d[::-1], x) - f(x))) for x in grid)


def quantile(r):
    """The quantile of the upper tail e^(-r^2), by Newton's steps on its logarithm."""
    x = sqrt(mpf(2)) * r
    for _ in range(200):
        upper = erfc(x / sqrt(mpf(2))) / 2
        step = (log(upper) + r * r) * upper / (exp(-x * x / 2) / sqrt(2 * pi))
        x += step
        if abs(step) < mpf(10) ** -40:
            return x


def central(z):
    q = sqrt(max(mpf("0.180625") - z, 0))
    return sqrt(mpf(2)) * erfinv(2 * q) / q if q > NEAR_ZERO else sqrt(2 * pi)


# Around the middle the quantile over q; in the tails what it lacks of sqrt(2) r.
for name, start, low, high, single_degrees, double_degrees in [
    ("QUANTILE", None, mpf(0), mpf("0.180625"), (4, 4), (8, 8)),
    ("QUANTILE_MIDDLE", mpf("1.6"), mpf(0), mpf("3.4"), None, (7, 7)),
    ("QUANTILE_MIDDLE", mpf("1.6"), mpf(0), mpf("8.6"), (4, 4), None),
    ("QUANTILE_FAR", mpf(5), mpf(0), mpf("22.4"), None, (7, 7)),
]:
    if start is None:
        f, weight = central, lambda z: 1 / central(z)
    else:
        f, weight = lambda x: quantile(x + start) - sqrt(mpf(2)) * (x + start), lambda x: 1 / quantile(x + start)
    for degrees, is_single in [(single_degrees, SINGLE), (double_degrees, DOUBLE)]:
        if degrees:
            n, d, worst = rational(f, weight, low, high, *degrees)
            show(name + " over", (n, worst), is_single)
            show(name + " under", (d, worst), is_single)
