//! Index checks and inspection.

use retrograde_ops::Level;
use retrograde_ops::structured::{Cause, CheckIndex, Contents, ErrorCell, Fault, Inspect};
use retrograde_storage::DType;

use crate::common::*;

#[test]
fn the_first_bad_label_is_reported() {
    let mut rng = Rng(31);
    for case in 0..cases(400) {
        let mut dims = rng.shape(0);
        if case % 50 == 0 {
            dims = vec![300, 301];
        }
        let dtype = if rng.chance(2) {
            DType::U32
        } else {
            DType::I64
        };
        let view = rng.view(&dims, false);
        let (bound, bad) = (10, rng.chance(2));
        let index = Buf::from_fn(dtype, view, |_| match rng.below(60) {
            0 if bad => bits(dtype, 10.0),
            1 if bad && dtype == DType::I64 => bits(dtype, -11.0),
            2 => bits(dtype, 255.0),
            3 if dtype == DType::I64 => bits(dtype, -10.0),
            _ => rng.below(10) as u64,
        });
        let errors = ErrorCell::new();
        let kernel = CheckIndex {
            index: index.raw(),
            bound,
            ignored: Some(255),
            errors: &errors,
            site: 9,
        };
        kernel.check().unwrap();
        // SAFETY: one live allocation, read only.
        run(true, kernel.blocks(), |b| unsafe {
            kernel.run_block(Level::detect(), b);
        });
        let numbers = index.numbers();
        let first = numbers
            .iter()
            .position(|&i| i != 255.0 && !(-10.0..10.0).contains(&i));
        let expected = first.map(|at| Fault {
            site: 9,
            position: at as u64,
            value: numbers[at] as i64,
            bound: 10,
            cause: Cause::Index,
        });
        assert_eq!(errors.get(), expected, "{dims:?}");
    }
}

#[test]
fn the_smallest_site_and_position_stay() {
    let fault = |site, position| Fault {
        site,
        position,
        value: 1,
        bound: 1,
        cause: Cause::Index,
    };
    let errors = ErrorCell::new();
    // Beyond 32 bits of position too.
    for (site, position) in [
        (2, 5),
        (2, 1 << 40),
        (1, (1 << 40) + 1),
        (1, 1 << 40),
        (1, 1 << 41),
        (3, 0),
    ] {
        errors.report(fault(site, position));
    }
    assert_eq!(errors.get(), Some(fault(1, 1 << 40)));
}

fn contents(buf: &Buf) -> Contents {
    let kernel = Inspect { view: buf.raw() };
    // SAFETY: one live allocation, read only.
    let parts = (0..kernel.blocks()).map(|b| unsafe { kernel.run_block(Level::detect(), b) });
    parts.fold(Contents::EMPTY, Contents::join)
}

#[test]
fn contents_are_found() {
    let mut rng = Rng(32);
    for case in 0..cases(300) {
        let (mut dims, dtype) = (rng.shape(0), rng.dtype());
        if case % 50 == 0 {
            dims = vec![300, 301];
        }
        let (view, odd) = (rng.view(&dims, true), rng.chance(2));
        let buf = Buf::from_fn(dtype, view, |_| {
            let x = match rng.below(50) {
                0 if odd => f64::NAN,
                1 if odd => f64::INFINITY,
                2 if odd => f64::NEG_INFINITY,
                _ => rng.float(),
            };
            bits(dtype, x)
        });
        let xs = buf.numbers();
        let ordered = || xs.iter().copied().filter(|x| !x.is_nan());
        let expected = Contents {
            first_non_finite: xs.iter().position(|x| !x.is_finite()),
            nans: xs.iter().filter(|x| x.is_nan()).count(),
            infinities: xs.iter().filter(|x| x.is_infinite()).count(),
            min: ordered().fold(f64::INFINITY, |a, b| if b < a { b } else { a }),
            max: ordered().fold(f64::NEG_INFINITY, |a, b| if b > a { b } else { a }),
        };
        assert_eq!(contents(&buf), expected, "{dtype} {:?}", buf.view);
    }
}
