//! Typed ids: four bytes, printed like an intermediate representation (`v7`, `i3`), with optional ids as small.
//!
//! After the design of `cranelift-entity`: an id is a row number that only fits the column it was made for.

use std::fmt;

/// A row number of one kind of entity.
pub trait Id: Copy + Eq + Ord + std::hash::Hash + fmt::Debug {
    /// The id of row `index`. The largest `u32` is reserved, see [`Packed`].
    fn from_index(index: usize) -> Self;
    /// The row.
    fn index(self) -> usize;
}

/// Defines an [`Id`] type with its printed prefix.
///
/// ```
/// use retrograde_storage::{Id, entity_id};
/// entity_id!(
///     /// A value of a program.
///     Value, "v"
/// );
/// assert_eq!(Value::from_index(7).to_string(), "v7");
/// ```
#[macro_export]
macro_rules! entity_id {
    ($(#[$meta:meta])* $name:ident, $prefix:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(u32);

        impl $crate::Id for $name {
            #[inline]
            fn from_index(index: usize) -> Self {
                debug_assert!(index < u32::MAX as usize, "entity index out of range");
                Self(index as u32)
            }
            #[inline]
            fn index(self) -> usize { self.0 as usize }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, concat!($prefix, "{}"), self.0) }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { std::fmt::Display::fmt(self, f) }
        }
    };
}

/// An optional id in four bytes: the reserved row `u32::MAX` stands for none.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Packed<I: Id>(u32, std::marker::PhantomData<I>);

impl<I: Id> Packed<I> {
    /// No id.
    pub const NONE: Self = Self(u32::MAX, std::marker::PhantomData);

    /// An id.
    pub fn some(id: I) -> Self {
        Self(id.index() as u32, std::marker::PhantomData)
    }

    /// As an ordinary option.
    pub fn get(self) -> Option<I> {
        (self.0 != u32::MAX).then(|| I::from_index(self.0 as usize))
    }
}

impl<I: Id> Default for Packed<I> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<I: Id> From<Option<I>> for Packed<I> {
    fn from(id: Option<I>) -> Self {
        id.map_or(Self::NONE, Self::some)
    }
}

impl<I: Id> fmt::Debug for Packed<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
