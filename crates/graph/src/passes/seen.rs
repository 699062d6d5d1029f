//! Which instruction of a list computes what another one asks for: a hash table that holds rows alone.
//!
//! A table with the instructions themselves as keys would be ten times as large, and a lookup in a list of a million
//! instructions is a miss of all caches.

use std::hash::{Hash, Hasher};

use retrograde_storage::Id;
use rustc_hash::FxHasher;

use crate::list::{List, Value};
use crate::op::Op;

/// A slot that holds nothing.
const EMPTY: u32 = u32::MAX;

/// Instructions of one list, found by operation, operands, attribute, shape and type. Lookups only: the order of a hash
/// table decides nothing.
pub(super) struct Seen {
    /// Upper half of the hash, and the row; their number is a power of two, and at most half of them are taken.
    slots: Vec<(u32, u32)>,
    taken: usize,
}

impl Seen {
    /// A table for about so many instructions.
    pub(super) fn with_capacity(instructions: usize) -> Self {
        Self {
            slots: vec![(0, EMPTY); (2 * instructions).next_power_of_two().max(16)],
            taken: 0,
        }
    }

    /// The first instruction that computes what `v` does, which is `v` itself if it is new.
    pub(super) fn first(&mut self, list: &List, v: Value) -> Value {
        // These are compared by more than a row holds, or are what they are.
        if matches!(list.op(v), Op::Concat | Op::Input) {
            return v;
        }
        if 2 * (self.taken + 1) > self.slots.len() {
            self.grow();
        }
        let hash = hash(list, v);
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let (its, row) = self.slots[at];
            if row == EMPTY {
                self.slots[at] = (hash, v.index() as u32);
                self.taken += 1;
                return v;
            }
            let other = Value::from_index(row as usize);
            if its == hash && same(list, other, v) {
                return other;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let slots = vec![(0, EMPTY); 2 * self.slots.len()];
        let mask = slots.len() - 1;
        let old = std::mem::replace(&mut self.slots, slots);
        for (hash, row) in old.into_iter().filter(|slot| slot.1 != EMPTY) {
            let mut at = hash as usize & mask;
            while self.slots[at].1 != EMPTY {
                at = (at + 1) & mask;
            }
            self.slots[at] = (hash, row);
        }
    }
}

fn hash(list: &List, v: Value) -> u32 {
    let mut hasher = FxHasher::default();
    (list.op(v), list.attr(v), list.shape_id(v), list.dtype(v)).hash(&mut hasher);
    list.args(v).iter().for_each(|a| a.hash(&mut hasher));
    (hasher.finish() >> 32) as u32
}

fn same(list: &List, a: Value, b: Value) -> bool {
    list.op(a) == list.op(b)
        && list.args(a) == list.args(b)
        && list.attr(a) == list.attr(b)
        && list.shape_id(a) == list.shape_id(b)
        && list.dtype(a) == list.dtype(b)
}

#[cfg(test)]
mod tests {
    use retrograde_storage::{DType, Shape};

    use super::*;
    use crate::op::Attr;

    #[test]
    fn equal_instructions_are_found_and_others_are_not() {
        let mut list = List::default();
        let mut seen = Seen::with_capacity(1);
        let x = list.push(Op::Input, &[], Attr::int(0), Shape::SCALAR, DType::F32);
        let mut rows = vec![x];
        let count = if cfg!(miri) { 50 } else { 500 };
        for _ in 0..count {
            let last = rows[rows.len() - 1];
            let sum = list.add(last, x);
            assert_eq!(seen.first(&list, sum), sum);
            rows.push(sum);
        }
        for &row in &rows[..count] {
            let again = list.add(row, x);
            let found = seen.first(&list, again);
            assert!(found < again && list.args(found) == [row, x]);
            let other = list.mul(row, x);
            assert_eq!(seen.first(&list, other), other);
        }
        let y = list.push(Op::Input, &[], Attr::int(0), Shape::SCALAR, DType::F32);
        assert_eq!(
            [x, y].map(|v| seen.first(&list, v)),
            [x, y],
            "inputs are never one"
        );
    }
}
