//! The special cases of powers, and integer powers.

use fearless_simd::Simd;
use retrograde_ops::Level;
use retrograde_ops::math::{self, Lanes};

use crate::effort;
use crate::support::functions::{Map, functions};
use crate::support::kernels::{Kernel, Sample, run};
use crate::support::measure::{Points, Ulp};
use crate::support::samples::Random;

const INF: f64 = f64::INFINITY;
const NAN: f64 = f64::NAN;

/// IEEE 754's table of `pow`: base, exponent, power.
const SPECIAL: [(f64, f64, f64); 40] = [
    (NAN, 0.0, 1.0),
    (NAN, -0.0, 1.0),
    (INF, 0.0, 1.0),
    (0.0, 0.0, 1.0),
    (-3.0, 0.0, 1.0),
    (1.0, NAN, 1.0),
    (1.0, INF, 1.0),
    (1.0, -INF, 1.0),
    (-1.0, INF, 1.0),
    (-1.0, -INF, 1.0),
    (-1.0, 3.0, -1.0),
    (-1.0, 4.0, 1.0),
    (NAN, 1.0, NAN),
    (2.0, NAN, NAN),
    (-2.0, 0.5, NAN),
    (-2.0, -1.5, NAN),
    (0.0, 3.0, 0.0),
    (-0.0, 3.0, -0.0),
    (-0.0, 2.0, 0.0),
    (-0.0, 0.5, 0.0),
    (0.0, -3.0, INF),
    (-0.0, -3.0, -INF),
    (-0.0, -2.0, INF),
    (-0.0, -0.5, INF),
    (0.0, INF, 0.0),
    (0.0, -INF, INF),
    (0.5, INF, 0.0),
    (-0.5, INF, 0.0),
    (0.5, -INF, INF),
    (2.0, INF, INF),
    (-2.0, INF, INF),
    (2.0, -INF, 0.0),
    (INF, 2.0, INF),
    (INF, -2.0, 0.0),
    (-INF, 3.0, -INF),
    (-INF, 2.0, INF),
    (-INF, 0.5, INF),
    (-INF, -3.0, -0.0),
    (-INF, -2.0, 0.0),
    (-INF, -0.5, 0.0),
];

/// A power at a level in a type: what came out and what should, for the pair of that index.
struct Case {
    index: usize,
    /// The arguments, the type and the level.
    place: String,
    got: f64,
    exact: f64,
    error: f64,
}

fn cases<T: Ulp>(kernel: Map<T>, points: &Points<T>, each: &mut impl FnMut(Case)) {
    let dtype = if size_of::<T>() == 4 { "f32" } else { "f64" };
    for level in Level::available() {
        let mut out = vec![T::default(); points.xs.len()];
        kernel(level, &points.xs, &points.ys, &mut out);
        for (index, &got) in out.iter().enumerate() {
            let name = points.name(index, true);
            each(Case {
                index,
                place: format!("({name}) in {dtype} at {level}"),
                got: got.into(),
                exact: T::round(points.exact[index]).into(),
                error: got.distance(points.exact[index]),
            });
        }
    }
}

/// `pow` of every pair at every level in both types.
fn powers(pairs: &[(f64, f64)], mut each: impl FnMut(Case)) {
    let functions = functions();
    let f = functions
        .iter()
        .find(|f| f.name == "pow")
        .expect("pow is in the table");
    let single = pairs.iter().map(|&(x, y)| (x as f32, y as f32)).collect();
    cases(f.single, &Points::new(single, f.exact), &mut each);
    cases(f.double, &Points::new(pairs.to_vec(), f.exact), &mut each);
}

#[test]
fn the_special_cases() {
    let pairs = SPECIAL.map(|(x, y, _)| (x, y));
    powers(&pairs, |case| {
        // Points are filled up to whole vectors.
        let Some(&(_, _, expected)) = SPECIAL.get(case.index) else {
            return;
        };
        assert!(
            case.got.to_bits() == expected.to_bits() || (case.got.is_nan() && expected.is_nan()),
            "pow{} is {}, not {expected}",
            case.place,
            case.got
        );
    });
}

/// Odd, even and fractional exponents, small, at the end of the integers and beyond, with bases at every limit.
#[test]
fn limits_crossed_with_limits() {
    let magnitudes = [
        0.0,
        1e-300,
        1e-42,
        1e-30,
        0.1,
        0.5,
        0.999_999_94,
        1.0,
        1.000_000_2,
        1.5,
        2.0,
        3.0,
        7.0,
        1e10,
        8_388_607.0,
        8_388_607.5,
        8_388_609.0,
        16_777_215.0,
        16_777_216.0,
        1e30,
        3e38,
        9_007_199_254_740_991.0,
        9_007_199_254_740_992.0,
        1e300,
        INF,
    ];
    let values: Vec<f64> = magnitudes
        .into_iter()
        .flat_map(|m| [m, -m])
        .chain([NAN])
        .collect();
    let pairs: Vec<_> = values
        .iter()
        .flat_map(|&x| values.iter().map(move |&y| (x, y)))
        .collect();
    powers(&pairs, |case| {
        let Case {
            place,
            got,
            exact,
            error,
            ..
        } = case;
        assert!(
            error <= 4.0,
            "pow{place} is {got:e}, not {exact:e}: {error} ulp"
        );
        if got == 0.0 && exact == 0.0 {
            let signs = [got, exact].map(f64::is_sign_negative);
            assert_eq!(signs[0], signs[1], "the sign of pow{place}");
        }
    });
}

struct PowI<const N: i32>;
impl<const N: i32> Kernel for PowI<N> {
    #[inline(always)]
    fn call<S: Simd, V: Lanes<S>>(simd: S, x: V, _: V) -> V {
        math::powi(simd, x, N)
    }
}

/// Half an ulp for each multiplication, and one for the reciprocal.
fn integer_power<const N: i32>() {
    fn check<T: Ulp + Sample, const N: i32>() {
        let mut random = Random(6);
        let point = |_| (T::round(random.within(4.0)), T::default());
        let pairs = (0..4096 * effort()).map(point).collect();
        let points = Points::new(pairs, |x, _| core_math::pow(x, f64::from(N)));
        let bound = 0.5 * f64::from(N.unsigned_abs()) + 1.0;
        cases(run::<T, PowI<N>>, &points, &mut |case| {
            let Case { place, error, .. } = case;
            assert!(error <= bound, "{place}, power {N}: {error} ulp");
        });
    }
    check::<f32, N>();
    check::<f64, N>();
}

#[test]
fn integer_powers() {
    integer_power::<0>();
    integer_power::<1>();
    integer_power::<2>();
    integer_power::<3>();
    integer_power::<7>();
    integer_power::<-1>();
    integer_power::<-2>();
    integer_power::<-5>();
}
