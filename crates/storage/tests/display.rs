//! Printed arrays. Every golden text is what `NumPy` 2.4 prints for the same array, truth values aside.

use retrograde_storage::{Array, Create, Element};

#[track_caller]
fn prints<T: Element>(array: impl Into<Array<T>>, expected: &str) {
    assert_eq!(array.into().to_string(), expected);
}

#[test]
fn small_arrays() {
    prints(Array::arange(3), "[0. 1. 2.]");
    prints(Array::linspace(0.0, 1.0, 5), "[0.   0.25 0.5  0.75 1.  ]");
    prints([[1.0_f32, 2.0], [3.0, 4.0]], "[[1. 2.]\n [3. 4.]]");
    prints(Array::eye(3), "[[1. 0. 0.]\n [0. 1. 0.]\n [0. 0. 1.]]");
    prints([1.0 / 3.0, 2.0 / 3.0], "[0.33333333 0.66666667]");
    prints(
        Array::arange(8).reshape([2, 2, 2]).unwrap(),
        "[[[0. 1.]\n  [2. 3.]]\n\n [[4. 5.]\n  [6. 7.]]]",
    );
}

#[test]
fn exponents_where_magnitudes_are_far_apart() {
    prints([1e-5_f32, 1.0, 2500.0], "[1.0e-05 1.0e+00 2.5e+03]");
    prints(
        [1e-5, 1.0 / 3.0, 2500.0],
        "[1.00000000e-05 3.33333333e-01 2.50000000e+03]",
    );
    prints(
        [[1.5_f32, -20.25], [0.0, 1e-3]],
        "[[ 1.500e+00 -2.025e+01]\n [ 0.000e+00  1.000e-03]]",
    );
    prints([1e6_f32, 1.0], "[1.e+06 1.e+00]");
    prints([1e-300, 1e300], "[1.e-300 1.e+300]");
}

#[test]
fn values_that_are_not_finite() {
    prints([1.0, f32::NAN, f32::NEG_INFINITY], "[  1.  nan -inf]");
    prints([f32::NAN, f32::INFINITY], "[nan inf]");
}

#[test]
fn integers_and_truth() {
    prints(
        [[-1_i64, 10], [100, -1000]],
        "[[   -1    10]\n [  100 -1000]]",
    );
    prints([7_u32, 0], "[7 0]");
    prints([true, false], "[ true false]");
}

#[test]
fn scalars() {
    for (x, expected) in [
        (0.0, "0.0"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1.0 / 3.0, "0.3333333333333333"),
        (123456.789, "123456.789"),
        (1e16, "1e+16"),
        (1e-5, "1e-05"),
        (-0.0, "-0.0"),
        (1e100, "1e+100"),
        (1.25e-7, "1.25e-07"),
        (f64::NAN, "nan"),
        (f64::NEG_INFINITY, "-inf"),
    ] {
        prints(Array::scalar(x), expected);
    }
    for (x, expected) in [
        (1.0_f32 / 3.0, "0.33333334"),
        (1e6, "1e+06"),
        (1234567.0, "1.234567e+06"),
    ] {
        prints(Array::scalar(x), expected);
    }
    prints(Array::scalar(true), "true");
}

#[test]
fn long_lines_wrap() {
    prints(
        Array::arange(30),
        "[ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17.\n 18. 19. 20. 21. 22. 23. \
         24. 25. 26. 27. 28. 29.]",
    );
    // A fifteenth word would end exactly one column too far.
    prints(
        (100..118_u8).map(f32::from).collect::<Array>(),
        "[100. 101. 102. 103. 104. 105. 106. 107. 108. 109. 110. 111. 112. 113.\n 114. 115. 116. 117.]",
    );
}

#[test]
fn large_arrays_show_their_edges() {
    prints(
        Array::arange(1001),
        "[   0.    1.    2. ...  998.  999. 1000.]",
    );
    prints(
        Array::<i64>::arange(10_000).reshape([100, 100]).unwrap(),
        "\
[[   0    1    2 ...   97   98   99]
 [ 100  101  102 ...  197  198  199]
 [ 200  201  202 ...  297  298  299]
 ...
 [9700 9701 9702 ... 9797 9798 9799]
 [9800 9801 9802 ... 9897 9898 9899]
 [9900 9901 9902 ... 9997 9998 9999]]",
    );
    prints(
        Array::<i64>::arange(1600).reshape([8, 2, 100]).unwrap(),
        "\
[[[   0    1    2 ...   97   98   99]
  [ 100  101  102 ...  197  198  199]]

 [[ 200  201  202 ...  297  298  299]
  [ 300  301  302 ...  397  398  399]]

 [[ 400  401  402 ...  497  498  499]
  [ 500  501  502 ...  597  598  599]]

 ...

 [[1000 1001 1002 ... 1097 1098 1099]
  [1100 1101 1102 ... 1197 1198 1199]]

 [[1200 1201 1202 ... 1297 1298 1299]
  [1300 1301 1302 ... 1397 1398 1399]]

 [[1400 1401 1402 ... 1497 1498 1499]
  [1500 1501 1502 ... 1597 1598 1599]]]",
    );
    prints(
        Array::arange(2000).reshape([500, 4]).unwrap(),
        "\
[[0.000e+00 1.000e+00 2.000e+00 3.000e+00]
 [4.000e+00 5.000e+00 6.000e+00 7.000e+00]
 [8.000e+00 9.000e+00 1.000e+01 1.100e+01]
 ...
 [1.988e+03 1.989e+03 1.990e+03 1.991e+03]
 [1.992e+03 1.993e+03 1.994e+03 1.995e+03]
 [1.996e+03 1.997e+03 1.998e+03 1.999e+03]]",
    );
}

#[test]
fn empty_arrays() {
    prints(Array::zeros([0]), "[]");
    prints(Array::zeros([2, 0, 3]), "[]");
}

#[test]
fn a_precision_may_be_given() {
    let array = Array::from([1.0 / 3.0, 2.5, 100.0]);
    assert_eq!(format!("{array:.3}"), "[  0.333   2.5   100.   ]");
}

#[test]
fn debug_tells_type_shape_and_all_digits() {
    let x = 0.1 + 0.2;
    assert_eq!(
        format!("{:?}", Array::from([x])),
        "Array<f64>[1] [0.30000000000000004]"
    );
    assert_eq!(
        format!("{:?}", Array::<u32>::zeros([2, 1])),
        "Array<u32>[2, 1]\n[[0]\n [0]]"
    );
    assert_eq!(
        format!("{:?}", Array::zeros([2, 0])),
        "Array<f32>[2, 0]\n[]"
    );
    assert_eq!(format!("{:?}", Array::scalar(1.5_f32)), "Array<f32>[] 1.5");
}

#[test]
fn an_array_that_holds_an_error_prints_it() {
    let a = Array::arange(2) + Array::arange(3);
    let message = "cannot add arrays of shapes [2] and [3]: the shapes must be equal";
    assert_eq!(a.to_string(), format!("invalid array: {message}"));
    assert_eq!(format!("{a:?}"), format!("invalid array of f32: {message}"));
}
