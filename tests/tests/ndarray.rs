//! The feature `ndarray`: this package asks for it, so that `cargo test --workspace` builds and tests it.

use ::ndarray::{ArrayD, ArrayViewD, array};
use retrograde::prelude::*;

#[test]
fn arrays_of_ndarray_go_in_and_come_out() -> Result<()> {
    let theirs = array![[1.0_f64, 2.0], [3.0, 4.0]];
    let tape = Tape::new();
    // Strides other than row-major are copied into order.
    let x = tape.variable(Array::try_from(&theirs.t())?);
    let y = (x * x).sum_over(1);
    y.sum().backward()?;
    let gradient = ArrayD::try_from(x.grad()?)?;
    assert_eq!(gradient, (2.0 * &theirs.t()).into_dyn());
    let value = y.value()?;
    let seen = ArrayViewD::try_from(value.view())?;
    assert_eq!(seen, array![10.0, 20.0].into_dyn());
    Ok(())
}

#[test]
fn inputs_are_borrowed() -> Result<()> {
    let theirs = array![[1.0_f64, 2.0], [3.0, 4.0]];
    let f = Program::record(&[Array::try_from(&theirs)?], |_, [x]| x.sum())?;
    let mut ws = f.workspace()?;
    let out = f.run(&mut ws, [ArrayRef::try_from(&theirs)?])?;
    assert_eq!(out.item::<f64>(0)?, 10.0);
    assert!(ArrayRef::try_from(&theirs.t()).is_err(), "not row-major");
    Ok(())
}

#[test]
fn the_build_says_so() {
    assert_eq!(retrograde::build_info().features, ["ndarray"]);
    assert!(
        retrograde::build_info()
            .to_string()
            .contains("features    ndarray\n")
    );
}
