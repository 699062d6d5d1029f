//! Handles that go into and come out of closures together.

use retrograde_storage::{DType, Element};

use super::{Rec, Var};
use crate::list::Value;

/// A handle of a bundle.
#[derive(Clone, Copy)]
pub struct Member<'t> {
    pub(crate) rec: Rec<'t>,
    pub(crate) id: Value,
    pub(crate) dtype: DType,
}

mod sealed {
    /// What is taken apart must be put together the same way.
    pub trait Sealed {}
}
use sealed::Sealed;

/// Several handles as one: a [`Var`], an array, a vector or a tuple of bundles, or `()`. Sealed.
pub trait Vars<'t>: Sealed + Clone {
    /// Appends its handles, in order.
    #[doc(hidden)]
    fn members(&self, to: &mut Vec<Member<'t>>);
    /// A bundle of as many others.
    #[doc(hidden)]
    fn with(&self, rec: Rec<'t>, next: &mut dyn FnMut() -> Value) -> Self;
}

impl<T: Element> Sealed for Var<'_, T> {}
impl<'t, T: Element> Vars<'t> for Var<'t, T> {
    fn members(&self, to: &mut Vec<Member<'t>>) {
        to.push(Member {
            rec: self.rec,
            id: self.id,
            dtype: T::DTYPE,
        });
    }
    fn with(&self, rec: Rec<'t>, next: &mut dyn FnMut() -> Value) -> Self {
        rec.var(next())
    }
}

impl<V: Sealed, const N: usize> Sealed for [V; N] {}
impl<'t, V: Vars<'t>, const N: usize> Vars<'t> for [V; N] {
    fn members(&self, to: &mut Vec<Member<'t>>) {
        self.iter().for_each(|v| v.members(to));
    }
    fn with(&self, rec: Rec<'t>, next: &mut dyn FnMut() -> Value) -> Self {
        std::array::from_fn(|i| self[i].with(rec, next))
    }
}

impl<V: Sealed> Sealed for Vec<V> {}
impl<'t, V: Vars<'t>> Vars<'t> for Vec<V> {
    fn members(&self, to: &mut Vec<Member<'t>>) {
        self.iter().for_each(|v| v.members(to));
    }
    fn with(&self, rec: Rec<'t>, next: &mut dyn FnMut() -> Value) -> Self {
        self.iter().map(|v| v.with(rec, next)).collect()
    }
}

macro_rules! tuples {
    ($(($($v:ident $i:tt),*)),*) => {$(
        impl<$($v: Sealed),*> Sealed for ($($v,)*) {}
        #[allow(unused_variables, clippy::unused_unit, reason = "of the empty tuple")]
        impl<'t, $($v: Vars<'t>),*> Vars<'t> for ($($v,)*) {
            fn members(&self, to: &mut Vec<Member<'t>>) {
                $(self.$i.members(to);)*
            }
            fn with(&self, rec: Rec<'t>, next: &mut dyn FnMut() -> Value) -> Self {
                ($(self.$i.with(rec, next),)*)
            }
        }
    )*};
}
tuples!(
    (),
    (A 0),
    (A 0, B 1),
    (A 0, B 1, C 2),
    (A 0, B 1, C 2, D 3),
    (A 0, B 1, C 2, D 3, E 4),
    (A 0, B 1, C 2, D 3, E 4, F 5)
);
