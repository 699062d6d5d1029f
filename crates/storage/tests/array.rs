//! Host arrays: what may be written, what comes out, and what is an error instead of a panic.

use retrograde_storage::{
    AnyArray, Array, ArrayError, ArrayRef, Create, DType, Element, IntoShape, Shape, ShapeError,
};

fn generic<T: Element>() -> Array<T> {
    Array::<T>::arange(2)
}

#[test]
fn creation_means_f32_unless_said() {
    // That these compile is half of the test: nothing here but `f64` and `u32` names a type.
    let all = [
        Array::zeros([2]),
        Array::ones([2]),
        Array::full(2, 3.0),
        Array::arange(2),
        Array::linspace(0.0, 1.0, 2),
        Array::eye(1),
    ];
    assert!(all.iter().all(|a| a.dtype() == DType::F32));
    assert_eq!(Array::<f64>::ones(3), Array::from([1.0_f64; 3]));
    assert_eq!(Array::<u32>::full([1, 2], 7), Array::from([[7_u32, 7]]));
    assert_eq!(generic::<bool>(), Array::from([false, true]));
}

#[test]
fn creation() {
    assert_eq!(Array::arange(0).shape(), [0]);
    assert_eq!(Array::eye(0).shape(), [0, 0]);
    assert_eq!(
        Array::eye(3),
        Array::from([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    );
    assert_eq!(Array::linspace(2.0, 3.0, 0).len(), 0);
    assert_eq!(Array::linspace(2.0, 3.0, 1), Array::from([2.0_f32]));
    // 0.2 + (0.9 - 0.2) is not 0.9 in floating point; the last element is the end all the same.
    let ends = Array::<f64>::linspace(0.2, 0.9, 3);
    assert_eq!((ends[0], ends[2]), (0.2, 0.9));
    let line = Array::<f64>::linspace(0.1, 0.7, 7);
    line.assert_close(
        &Array::from([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]),
        1e-15,
        0.0,
    );
    assert_eq!(
        Array::<i64>::linspace(0.0, 10.0, 3),
        Array::from([0_i64, 5, 10])
    );
    let f = Array::from_shape_fn([2, 3], |i| (10 * i[0] + i[1]) as u32);
    assert_eq!(f, Array::from([[0_u32, 1, 2], [10, 11, 12]]));
    assert_eq!(
        Array::from_shape_fn((), |i| i.len() as i64),
        Array::scalar(0_i64)
    );
    let deep = Array::from([[[[1_i64, 2]], [[3, 4]]]]);
    assert_eq!((deep.shape(), deep[[0, 1, 0, 1]]), (&[1, 2, 1, 2][..], 4));
    assert_eq!(Array::from([[0_u32; 0]; 3]).shape(), [3, 0]);
    assert_eq!(
        (0..3).map(f64::from).collect::<Array<f64>>(),
        Array::<f64>::arange(3)
    );
}

#[test]
fn whatever_names_a_shape() {
    let expected = Shape::new(&[2, 3]).unwrap();
    assert_eq!([2, 3].into_shape(), Ok(expected));
    assert_eq!((&[2, 3]).into_shape(), Ok(expected));
    assert_eq!(vec![2, 3].into_shape(), Ok(expected));
    assert_eq!((&vec![2, 3]).into_shape(), Ok(expected));
    assert_eq!([2, 3][..].into_shape(), Ok(expected));
    assert_eq!(expected.into_shape(), Ok(expected));
    assert_eq!(5.into_shape(), [5].into_shape());
    assert_eq!(().into_shape(), Ok(Shape::SCALAR));
    assert_eq!([0; 0].into_shape(), Ok(Shape::SCALAR));
}

#[test]
#[cfg_attr(miri, ignore = "Miri ends a test whose memory cannot be had")]
fn what_does_not_fit_memory_is_an_error() {
    for shape in [
        &[usize::MAX][..],
        &[1 << 40, 1 << 40],
        &[0, usize::MAX],
        &[1 << 58],
        &[1; 9],
    ] {
        for array in [
            Array::zeros(shape),
            Array::ones(shape),
            Array::from_shape_fn(shape, |_| 0.0),
        ] {
            assert!(array.check().is_err(), "{shape:?}");
            assert_eq!((array.shape(), array.len()), (&[0][..], 0));
        }
        assert!(Array::<bool>::try_zeros(shape).is_err() || shape == [1 << 58]);
        assert!(Array::<f64>::try_full(shape, 1.0).is_err());
    }
    assert!(Array::arange(usize::MAX).check().is_err());
    assert!(Array::arange(1 << 58).check().is_err());
    assert!(Array::linspace(0.0, 1.0, usize::MAX).check().is_err());
    assert!(Array::eye(usize::MAX).check().is_err());
    assert!(Array::eye(1 << 29).check().is_err());
}

#[test]
fn errors_name_shapes_and_expectations() {
    let message = |error: ArrayError| error.to_string();
    assert_eq!(
        message(
            Array::try_zeros([usize::MAX])
                .map(|_: Array| ())
                .unwrap_err()
        ),
        "[18446744073709551615] is not a shape: the number of elements overflows the address space"
    );
    assert_eq!(
        message([1; 9].into_shape().unwrap_err()),
        "[1, 1, 1, 1, 1, 1, 1, 1, 1] is not a shape: rank 9 is more than the largest supported rank 8"
    );
    assert_eq!(
        message(Array::from_vec(vec![1.0; 5], [2, 3]).unwrap_err()),
        "shape [2, 3] holds 6 elements, but 5 were given"
    );
    assert_eq!(
        message(Array::arange(6).reshape([4, 2]).unwrap_err()),
        "cannot reshape [6] (6 elements) to [4, 2] (8 elements)"
    );
    assert_eq!(
        message(Array::arange(6).item().unwrap_err()),
        "expected exactly one element, but shape [6] has 6"
    );
    assert_eq!(
        message(
            AnyArray::from(Array::arange(2))
                .downcast::<u32>()
                .unwrap_err()
        ),
        "expected an array of u32, found one of f32"
    );
    assert_eq!(
        message(Array::arange(2).max_abs_diff(&Array::eye(2)).unwrap_err()),
        "cannot compare arrays of shapes [2] and [2, 2]: the shapes must be equal"
    );
}

#[test]
fn access() {
    let mut m = Array::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert_eq!(
        (m.rank(), m.len(), m.is_empty(), m.shape_of().rank()),
        (2, 6, false, 2)
    );
    assert_eq!(
        (m[[1, 2]], m.get(&[0, 1]), m.get(&[0, 3]), m.get(&[0])),
        (6.0, Some(&2.0), None, None)
    );
    m[[0, 0]] = 9.0;
    *m.get_mut(&[1, 0]).unwrap() = 8.0;
    m.iter_mut().for_each(|x| *x += 1.0);
    assert_eq!(m.as_slice(), [10.0, 3.0, 4.0, 9.0, 6.0, 7.0]);
    for x in &mut m {
        *x -= 1.0;
    }
    assert_eq!((&m).into_iter().sum::<f64>(), 33.0);
    assert_eq!(m.as_bytes()[..8], 9.0_f64.to_ne_bytes());
    assert_eq!(m.clone().into_iter().next_back(), Some(6.0));
    let flat = m.reshape(6).unwrap();
    assert_eq!(flat[5], 6.0);
    assert_eq!(flat.into_vec(), [9.0, 2.0, 3.0, 8.0, 5.0, 6.0]);
    assert_eq!(Array::from([[[2_u32]]]).item(), Ok(2));
    assert!(Array::zeros([0]).item().is_err());
}

#[test]
#[should_panic(expected = "index [1, 3] is out of bounds of an array of shape [2, 3]")]
fn an_index_out_of_bounds_says_so() {
    let _ = Array::zeros([2, 3])[[1, 3]];
}

#[test]
#[should_panic(expected = "index [0] is out of bounds of an array of shape [2, 3]")]
fn an_index_of_another_rank_says_so() {
    let _ = Array::zeros([2, 3])[0];
}

#[test]
fn rows_go_along_the_outermost_axis() {
    let a = Array::arange(12).reshape([3, 2, 2]).unwrap();
    let rows: Vec<_> = a.rows().map(ArrayRef::to_array).collect();
    assert_eq!(rows[1], Array::from([[4.0, 5.0], [6.0, 7.0]]));
    assert_eq!((a.rows().len(), rows.len()), (3, 3));
    assert_eq!(a.rows().rev().nth(1).unwrap().get(&[1, 0]), Some(&6.0));
    assert_eq!(a.rows().nth(2).unwrap().as_slice(), [8.0, 9.0, 10.0, 11.0]);
    assert_eq!(
        Array::arange(3)
            .rows()
            .map(|r| r.item().unwrap())
            .sum::<f32>(),
        3.0
    );
    assert_eq!(
        Array::zeros([3, 0])
            .rows()
            .map(|r| r.len())
            .collect::<Vec<_>>(),
        [0, 0, 0]
    );
    assert_eq!(Array::zeros([0, 3]).rows().count(), 0);
    assert_eq!(Array::scalar(1_u32).rows().count(), 0);
}

#[test]
fn borrowed_arrays() {
    let data = [1_i64, 2, 3, 4];
    let v = ArrayRef::new(&data, [2, 2]).unwrap();
    assert_eq!(
        (v.shape(), v.rank(), v.len(), v.get(&[1, 0])),
        (&[2, 2][..], 2, 4, Some(&3))
    );
    assert_eq!(v.to_array(), Array::from([[1_i64, 2], [3, 4]]));
    assert_eq!(v.to_string(), "[[1 2]\n [3 4]]");
    assert!(ArrayRef::new(&data, [3]).is_err());
    assert_eq!(ArrayRef::from(&data[..]).shape(), [4]);
    let bad = Array::zeros([usize::MAX]);
    assert!(bad.view().check().is_err() && bad.view().to_array().check().is_err());
}

#[test]
fn arithmetic() {
    let (a, b) = (Array::from([1.0_f32, 2.0]), Array::from([4.0_f32, 8.0]));
    assert_eq!(&a + &b, Array::from([5.0, 10.0]));
    assert_eq!(&b - a.clone(), Array::from([3.0, 6.0]));
    assert_eq!(a.clone() * &b, Array::from([4.0, 16.0]));
    assert_eq!(b.clone() / a.clone(), Array::from([4.0, 4.0]));
    assert_eq!(-&a, Array::from([-1.0, -2.0]));
    assert_eq!(-a.clone(), 0.0 - &a);
    assert_eq!(4.0 * &a, &a * 4.0);
    assert_eq!(4.0 * a.clone(), b);
    assert_eq!(8.0 / &b, Array::from([2.0, 1.0]));
    assert_eq!(b.clone() / 4.0, a);
    assert_eq!(1.0 - a.clone() + 1.0, Array::from([1.0, 0.0]));
    assert_eq!(2.0 * Array::<f64>::arange(2), Array::from([0.0_f64, 2.0]));
}

#[test]
fn arithmetic_passes_the_first_error_on() {
    let (two, three) = (Array::arange(2), Array::arange(3));
    let bad = &two * &three;
    let first = bad.error().cloned();
    assert!(matches!(
        first,
        Some(ArrayError::Mismatch {
            operation: "multiply",
            ..
        })
    ));
    let later = -((1.0 - (Array::zeros([1]) + bad)) / Array::zeros([usize::MAX]));
    assert_eq!(later.error().cloned(), first);
    assert_eq!(later.map(|x| x > 0.0).error().cloned(), first);
    assert_eq!(later.cast::<f32>().error().cloned(), first);
    assert_eq!(later.clone().reshape(0).err(), first);
    assert_eq!(later.item().err(), first);
    assert_eq!(later.zip_map(&two, |x, _| x).err(), first);
    assert_eq!(two.zip_map(&later, |x, _| x).err(), first);
    assert_eq!(AnyArray::from(later.clone()).check().err(), first);
    assert_ne!(later, later, "an error equals nothing");
    assert!(!later.allclose(&later, 1.0, 1.0));
}

#[test]
fn maps() {
    let a = Array::from([[1.0, -2.0]]);
    assert_eq!(a.map(|x| x > 0.0), Array::from([[true, false]]));
    let picked = a.zip_map(
        &Array::from([[false, true]]),
        |x, keep| if keep { x } else { 0.0 },
    );
    assert_eq!(picked, Ok(Array::from([[0.0, -2.0]])));
    assert!(a.zip_map(&Array::from([1.0, 2.0]), |x, y| x + y).is_err());
}

#[test]
fn casts() {
    let x = Array::from([-1.9, 0.0, 2.9, f64::NAN, 1e30]);
    assert_eq!(x.cast::<i64>(), Array::from([-1, 0, 2, 0, i64::MAX]));
    assert_eq!(x.cast::<u32>(), Array::from([0, 0, 2, 0, u32::MAX]));
    assert_eq!(
        x.cast::<bool>(),
        Array::from([true, false, true, true, true])
    );
    assert_eq!(
        Array::from([true, false]).cast::<f32>(),
        Array::from([1.0_f32, 0.0])
    );
    let large = Array::from([i64::MAX - 1]);
    assert_eq!(large.cast::<i64>(), large, "the same type is exact");
    // Of one size and alignment, but not of one type.
    assert_eq!(Array::from([1.0_f32]).cast::<u32>(), Array::from([1_u32]));
}

#[test]
fn closeness() {
    let a = Array::from([1.0, 100.0, f64::INFINITY]);
    let b = Array::from([1.0 + 1e-9, 100.0 + 1e-7, f64::INFINITY]);
    assert!(a.allclose(&b, 1e-8, 0.0) && a.allclose(&b, 0.0, 2e-7) && !a.allclose(&b, 1e-10, 0.0));
    assert!((a.max_abs_diff(&b).unwrap() - 1e-7).abs() < 1e-13);
    let nan = Array::from([1.0, f64::NAN, f64::INFINITY]);
    assert!(!nan.allclose(&nan, 1.0, 1.0) && !a.allclose(&nan, 1.0, 1.0) && nan != nan);
    assert!(a.max_abs_diff(&nan).unwrap().is_nan());
    let finite = Array::from([1.0, 100.0, 1e300]);
    assert!(!a.allclose(&finite, 1.0, 1.0) && !finite.allclose(&a, 1.0, 1.0));
    assert_ne!(Array::from([[1.0, 2.0]]), Array::from([1.0, 2.0]));
    assert_eq!(Array::zeros([0]).max_abs_diff(&Array::zeros([0])), Ok(0.0));
    assert!(Array::from([u32::MAX]).allclose(&Array::from([u32::MAX]), 0.0, 0.0));
}

#[test]
#[should_panic(
    expected = "2 of 4 elements differ by more than 1e-6 + 1e-3 * |expected|; the worst is at [1, 0]: 3, expected 4"
)]
fn a_failed_comparison_shows_the_worst() {
    let (a, b) = (
        Array::from([[1.0, 2.1], [3.0, 4.0]]),
        Array::from([[1.0, 2.0], [4.0, 4.0]]),
    );
    a.assert_close(&b, 1e-3, 1e-6);
}

#[test]
fn any_array_keeps_its_type() {
    fn there_and_back<T: Element>(array: Array<T>) {
        let mut any = AnyArray::from(array.clone());
        assert_eq!(
            (any.dtype(), any.shape(), any.len()),
            (T::DTYPE, array.shape(), array.len())
        );
        assert_eq!(any.as_bytes().len(), array.len() * T::DTYPE.size());
        assert_eq!(any.downcast_ref::<T>(), Some(&array));
        assert!(any.downcast_mut::<T>().is_some());
        let others = [
            any.downcast_ref::<f32>().is_some(),
            any.downcast_ref::<f64>().is_some(),
            any.downcast_ref::<u32>().is_some(),
            any.downcast_ref::<i64>().is_some(),
            any.downcast_ref::<bool>().is_some(),
        ];
        assert_eq!(others.iter().filter(|&&is| is).count(), 1);
        assert_eq!(any.to_string(), array.to_string());
        assert_eq!(any.downcast::<T>(), Ok(array));
    }
    there_and_back(Array::eye(2));
    there_and_back(Array::<f64>::arange(3));
    there_and_back(Array::<u32>::arange(3));
    there_and_back(Array::<i64>::arange(3));
    there_and_back(Array::from([[true, false]]));
}

#[test]
fn arrays_cross_threads_and_errors_are_errors() {
    fn sendable<T: Send + Sync + 'static>() {}
    sendable::<Array>();
    sendable::<AnyArray>();
    sendable::<ArrayRef<'static, bool>>();
    sendable::<ArrayError>();
    let source = ArrayError::Shape {
        dims: [1; 9].into(),
        source: ShapeError::Rank(9),
    };
    assert!(std::error::Error::source(&source).is_some());
}
