//! Which instructions of a group run as one micro-op with the one that uses their result.

use retrograde_ops::Unary;
use retrograde_ops::tile::{Class, Inner, Outer};
use retrograde_storage::Id;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::list::{List, Value};
use crate::op::Op;

/// An operand as emission knows it: members of the group by themselves, memory by where and how.
pub(crate) type Key = (Value, [isize; 3], isize);

/// The pairs of a group.
#[derive(Default)]
pub(super) struct Pairs {
    /// By second instruction: the number of the first one among the members, and which operand its result is.
    pub first: FxHashMap<Value, (usize, usize)>,
    /// The first ones: not emitted by themselves.
    pub sunk: FxHashSet<Value>,
}

/// The instruction as the first of a pair, if it can be one.
pub(super) fn inner(list: &List, v: Value) -> Option<Inner> {
    match list.op(v) {
        Op::Binary(op) => Inner::of(op),
        Op::Unary(Unary::Square) => Some(Inner::Mul),
        _ => None,
    }
}

impl Pairs {
    /// Pairs of float arithmetic in which the first result has one use and is not `stored`, and both results have the
    /// same class: computed narrow once, a narrower value is not computed again for each element. `keys` are the
    /// operands by member, `class_of_view` is the class of what is loaded with given strides.
    pub(super) fn find(
        list: &List,
        members: &[Value],
        keys: &[Vec<Key>],
        uses: &FxHashMap<Key, u32>,
        stored: &[bool],
        class_of_view: impl Fn([isize; 3]) -> Class,
    ) -> Self {
        let mut pairs = Self::default();
        let mut classes: FxHashMap<Value, (usize, Class)> = FxHashMap::default();
        for (number, (&v, keys)) in members.iter().zip(keys).enumerate() {
            let class_of = |key: &Key| match classes.get(&key.0) {
                Some(&(_, class)) => class,
                None => class_of_view(key.1),
            };
            let class = if matches!(list.op(v), Op::Reduce(_)) {
                Class::Column
            } else {
                keys.iter().map(class_of).max().unwrap_or(Class::Scalar)
            };
            classes.insert(v, (number, class));
            let Op::Binary(outer) = list.op(v) else {
                continue;
            };
            if !list.dtype(v).is_float() || class == Class::Scalar {
                continue;
            }
            // The later operand first: its own operands wait for less long.
            let mut operands: Vec<(usize, Key)> = keys.iter().copied().enumerate().collect();
            operands.sort_by_key(|o| std::cmp::Reverse(o.1.0));
            let found = operands.into_iter().find_map(|(position, key)| {
                let first = key.0;
                let &(number, its) = classes.get(&first)?;
                let fits = its == class
                    && uses[&key] == 1
                    && !stored[first.index()]
                    && !pairs.first.contains_key(&first)
                    && Outer::of(outer, position).is_some()
                    && inner(list, first).is_some();
                fits.then_some((number, position))
            });
            if let Some((first, position)) = found {
                pairs.first.insert(v, (first, position));
                pairs.sunk.insert(members[first]);
            }
        }
        pairs
    }
}
