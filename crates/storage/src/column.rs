//! Columns: a primary map hands out ids, secondary maps annotate them, and long operand lists share one pool.
//!
//! After the design of `cranelift-entity`: an entity is a row, its fields are columns, and a pass that computes something
//! about entities adds a column instead of widening a struct.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use crate::Id;

/// The column that defines its ids: pushing a value makes the id.
#[derive(Clone, Debug)]
pub struct PrimaryMap<K: Id, V> {
    rows: Vec<V>,
    key: PhantomData<K>,
}

impl<K: Id, V> Default for PrimaryMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Id, V> PrimaryMap<K, V> {
    /// An empty column; does not allocate.
    pub const fn new() -> Self {
        Self {
            rows: Vec::new(),
            key: PhantomData,
        }
    }

    /// Appends a row and returns its id.
    #[inline]
    pub fn push(&mut self, value: V) -> K {
        let key = K::from_index(self.rows.len());
        self.rows.push(value);
        key
    }

    /// The id that the next [`push`](Self::push) returns.
    #[inline]
    pub fn next_key(&self) -> K {
        K::from_index(self.rows.len())
    }

    /// The row of `key`, if there is one.
    #[inline]
    pub fn get(&self, key: K) -> Option<&V> {
        self.rows.get(key.index())
    }

    /// The row of `key`, if there is one, to change it.
    #[inline]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.rows.get_mut(key.index())
    }

    /// The last row with its id.
    pub fn last(&self) -> Option<(K, &V)> {
        let row = self.rows.last()?;
        Some((K::from_index(self.rows.len() - 1), row))
    }

    /// The number of rows.
    #[inline]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// All ids in order. The iterator does not borrow the map, so rows may be changed along the way.
    pub fn keys(&self) -> Keys<K> {
        Keys {
            rows: 0..self.rows.len(),
            key: PhantomData,
        }
    }

    /// Ids and rows in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &V)> + ExactSizeIterator {
        self.rows
            .iter()
            .enumerate()
            .map(|(i, v)| (K::from_index(i), v))
    }

    /// Ids and rows in order, to change the rows.
    pub fn iter_mut(&mut self) -> impl DoubleEndedIterator<Item = (K, &mut V)> + ExactSizeIterator {
        self.rows
            .iter_mut()
            .enumerate()
            .map(|(i, v)| (K::from_index(i), v))
    }

    /// The rows alone.
    #[inline]
    pub fn as_slice(&self) -> &[V] {
        &self.rows
    }

    /// The rows alone, to change them.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [V] {
        &mut self.rows
    }

    /// Drops all rows from number `len` on, keeping the capacity.
    pub fn truncate(&mut self, len: usize) {
        self.rows.truncate(len);
    }

    /// Drops all rows, keeping the capacity.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// Makes room for `additional` more rows.
    pub fn reserve(&mut self, additional: usize) {
        self.rows.reserve(additional);
    }

    /// Rows the column holds before it grows.
    pub fn capacity(&self) -> usize {
        self.rows.capacity()
    }
}

impl<K: Id, V> Index<K> for PrimaryMap<K, V> {
    type Output = V;
    #[inline]
    fn index(&self, key: K) -> &V {
        &self.rows[key.index()]
    }
}

impl<K: Id, V> IndexMut<K> for PrimaryMap<K, V> {
    #[inline]
    fn index_mut(&mut self, key: K) -> &mut V {
        &mut self.rows[key.index()]
    }
}

impl<K: Id, V> FromIterator<V> for PrimaryMap<K, V> {
    fn from_iter<I: IntoIterator<Item = V>>(values: I) -> Self {
        Self {
            rows: values.into_iter().collect(),
            key: PhantomData,
        }
    }
}

/// Iterator over a run of ids, see [`PrimaryMap::keys`].
#[derive(Clone, Debug)]
pub struct Keys<K: Id> {
    rows: std::ops::Range<usize>,
    key: PhantomData<K>,
}

impl<K: Id> Iterator for Keys<K> {
    type Item = K;
    fn next(&mut self) -> Option<K> {
        self.rows.next().map(K::from_index)
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.rows.size_hint()
    }
}

impl<K: Id> DoubleEndedIterator for Keys<K> {
    fn next_back(&mut self) -> Option<K> {
        self.rows.next_back().map(K::from_index)
    }
}

impl<K: Id> ExactSizeIterator for Keys<K> {}

/// A column that annotates ids made elsewhere. Rows never written read as the default; writing grows the column.
#[derive(Clone, Debug)]
pub struct SecondaryMap<K: Id, V: Clone> {
    rows: Vec<V>,
    default: V,
    key: PhantomData<K>,
}

impl<K: Id, V: Clone + Default> Default for SecondaryMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Id, V: Clone> SecondaryMap<K, V> {
    /// An empty column whose unwritten rows read as `V::default()`.
    pub fn new() -> Self
    where
        V: Default,
    {
        Self::with_default(V::default())
    }

    /// An empty column whose unwritten rows read as `default`.
    pub const fn with_default(default: V) -> Self {
        Self {
            rows: Vec::new(),
            default,
            key: PhantomData,
        }
    }

    /// The row of `key`, or the default.
    #[inline]
    pub fn get(&self, key: K) -> &V {
        self.rows.get(key.index()).unwrap_or(&self.default)
    }

    /// Makes the column `len` rows long: shorter drops rows, longer adds defaults.
    pub fn resize(&mut self, len: usize) {
        self.rows.resize(len, self.default.clone());
    }

    /// Sets every row back to the default, keeping the capacity.
    pub fn clear(&mut self) {
        self.rows.clear();
    }

    /// The number of rows held; those after it read as the default.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row is held.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows held, in order of their ids.
    #[inline]
    pub fn as_slice(&self) -> &[V] {
        &self.rows
    }

    /// The rows held, to change them.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [V] {
        &mut self.rows
    }

    /// Ids and rows held, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (K, &V)> + ExactSizeIterator {
        self.rows
            .iter()
            .enumerate()
            .map(|(i, v)| (K::from_index(i), v))
    }
}

impl<K: Id, V: Clone> Index<K> for SecondaryMap<K, V> {
    type Output = V;
    #[inline]
    fn index(&self, key: K) -> &V {
        self.get(key)
    }
}

impl<K: Id, V: Clone> IndexMut<K> for SecondaryMap<K, V> {
    #[inline]
    fn index_mut(&mut self, key: K) -> &mut V {
        if key.index() >= self.rows.len() {
            self.resize(key.index() + 1);
        }
        &mut self.rows[key.index()]
    }
}

/// Where a list stands in its [`ListPool`]: eight bytes, fit for an instruction's operand field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ListRef {
    start: u32,
    len: u32,
}

impl ListRef {
    /// The list without elements; valid for every pool.
    pub const EMPTY: Self = Self { start: 0, len: 0 };

    /// The number of elements.
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is no element.
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Lists of any length in one vector. They are released together, by [`clear`](Self::clear).
#[derive(Clone, Debug)]
pub struct ListPool<T> {
    items: Vec<T>,
}

impl<T> Default for ListPool<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ListPool<T> {
    /// An empty pool; does not allocate.
    pub const fn new() -> Self {
        Self { items: Vec::new() }
    }

    /// Stores a list.
    pub fn push(&mut self, list: impl IntoIterator<Item = T>) -> ListRef {
        let start = self.items.len();
        self.items.extend(list);
        debug_assert!(
            u32::try_from(self.items.len()).is_ok(),
            "list pool out of range"
        );
        ListRef {
            start: start as u32,
            len: (self.items.len() - start) as u32,
        }
    }

    /// The elements of a list of this pool; empty if the list is not of this pool's making.
    #[inline]
    pub fn get(&self, list: ListRef) -> &[T] {
        let start = list.start as usize;
        self.items.get(start..start + list.len()).unwrap_or(&[])
    }

    /// The elements of a list of this pool, to change them.
    #[inline]
    pub fn get_mut(&mut self, list: ListRef) -> &mut [T] {
        let start = list.start as usize;
        self.items
            .get_mut(start..start + list.len())
            .unwrap_or(&mut [])
    }

    /// The number of elements of all lists.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no element in any list.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Drops all lists, keeping the capacity. Older [`ListRef`]s mean nothing from here on.
    pub fn clear(&mut self) {
        self.items.clear();
    }
}
