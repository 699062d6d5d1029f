//! No error exceeds the published bound.

use retrograde_ops::Level;

use crate::support::functions::{Function, Map, functions};
use crate::support::measure::{Points, Ulp, Worst};
use crate::{double_pairs, single_pairs};

/// The largest error of `kernel` at `level` over the points, with its arguments.
fn worst<T: Ulp>(f: &Function, kernel: Map<T>, level: Level, points: &Points<T>) -> (f64, String) {
    let mut worst = Worst::default();
    points.note_errors(kernel, level, &mut worst);
    (worst.error, worst.at(f.domain.is_two()))
}

#[test]
fn errors_stay_within_the_bounds() {
    let mut beyond = Vec::new();
    for f in functions() {
        let single = Points::new(single_pairs(f.domain), f.exact);
        let double = Points::new(double_pairs(f.domain), f.exact);
        for level in Level::available() {
            let bounds = f.bounds(level);
            let found = [
                ("f32", worst(&f, f.single, level, &single), bounds.single),
                ("f64", worst(&f, f.double, level, &double), bounds.double),
            ];
            for (dtype, (error, at), bound) in found {
                if error > bound {
                    beyond.push(format!(
                        "{} in {dtype} at {level}: {error:.2} ulp at {at}, bound {bound}",
                        f.name
                    ));
                }
            }
        }
    }
    assert!(beyond.is_empty(), "{}", beyond.join("\n"));
}

#[test]
fn the_measure_tells_one_step() {
    assert_eq!(1_f32.distance(1.0 + f64::from(f32::EPSILON)), 1.0);
    assert_eq!(1_f32.distance(1.0 + 0.25 * f64::from(f32::EPSILON)), 0.25);
    assert_eq!(f32::MIN_POSITIVE.distance(0.0), f64::from(1 << 23));
    assert_eq!(f32::INFINITY.distance(f64::from(f32::MAX)), 1.0);
    assert_eq!(f32::NAN.distance(1.0), f64::INFINITY);
    assert_eq!(1_f64.distance(1.0 + f64::EPSILON), 1.0);
    assert_eq!((-f64::from_bits(1)).distance(f64::from_bits(1)), 2.0);
    assert_eq!(1_f64.distance(f64::NAN), f64::INFINITY);
}
