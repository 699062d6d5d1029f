//! Arithmetic of float arrays, for checking results and preparing data: arrays of equal shape, and arrays with numbers.
//!
//! Arrays of different shapes give an array that holds the error, see [`Array`].

use std::ops::{Add, Div, Mul, Neg, Sub};

use super::{Array, ArrayError};
use crate::Real;

/// `left op right` in the memory of `left`.
fn combine<T: Real>(
    mut left: Array<T>,
    right: &Array<T>,
    operation: &'static str,
    f: impl Fn(T, T) -> T,
) -> Array<T> {
    if left.fault.is_some() {
        return left;
    }
    if let Some(error) = right.error() {
        return Array::invalid(error.clone());
    }
    if left.shape != right.shape {
        return Array::invalid(ArrayError::Mismatch {
            operation,
            left: left.shape().into(),
            right: right.shape().into(),
        });
    }
    for (x, &y) in left.data.iter_mut().zip(&right.data) {
        *x = f(*x, y);
    }
    left
}

/// `f` on every element in place.
fn each<T: Real>(mut array: Array<T>, f: impl Fn(T) -> T) -> Array<T> {
    for x in &mut array.data {
        *x = f(*x);
    }
    array
}

macro_rules! operators {
    ($($operator:ident $method:ident $verb:literal),*) => {$(
        impl<T: Real> $operator<&Array<T>> for Array<T> {
            type Output = Array<T>;
            fn $method(self, right: &Array<T>) -> Array<T> { combine(self, right, $verb, T::$method) }
        }
        impl<T: Real> $operator for Array<T> {
            type Output = Array<T>;
            fn $method(self, right: Array<T>) -> Array<T> { combine(self, &right, $verb, T::$method) }
        }
        impl<T: Real> $operator<&Array<T>> for &Array<T> {
            type Output = Array<T>;
            fn $method(self, right: &Array<T>) -> Array<T> { combine(self.clone(), right, $verb, T::$method) }
        }
        impl<T: Real> $operator<Array<T>> for &Array<T> {
            type Output = Array<T>;
            fn $method(self, right: Array<T>) -> Array<T> { combine(self.clone(), &right, $verb, T::$method) }
        }
        impl<T: Real> $operator<T> for Array<T> {
            type Output = Array<T>;
            fn $method(self, right: T) -> Array<T> { each(self, |x| x.$method(right)) }
        }
        impl<T: Real> $operator<T> for &Array<T> {
            type Output = Array<T>;
            fn $method(self, right: T) -> Array<T> { each(self.clone(), |x| x.$method(right)) }
        }
        operators!(@ $operator $method f32);
        operators!(@ $operator $method f64);
    )*};
    (@ $operator:ident $method:ident $t:ty) => {
        impl $operator<Array<$t>> for $t {
            type Output = Array<$t>;
            fn $method(self, right: Array<$t>) -> Array<$t> { each(right, |x| self.$method(x)) }
        }
        impl $operator<&Array<$t>> for $t {
            type Output = Array<$t>;
            fn $method(self, right: &Array<$t>) -> Array<$t> { each(right.clone(), |x| self.$method(x)) }
        }
    };
}
operators!(Add add "add", Sub sub "subtract", Mul mul "multiply", Div div "divide");

impl<T: Real> Neg for Array<T> {
    type Output = Self;
    fn neg(self) -> Self {
        each(self, T::neg)
    }
}

impl<T: Real> Neg for &Array<T> {
    type Output = Array<T>;
    fn neg(self) -> Array<T> {
        each(self.clone(), T::neg)
    }
}
