//! Which instructions of a group run as one micro-op with the one that uses their result.

use retrograde_ops::Unary;
use retrograde_ops::tile::{Class, Inner, Outer};
use retrograde_storage::Id;

use super::emit::operands::Operands;
use crate::list::{List, Value};
use crate::op::Op;

/// The first instruction of a pair.
#[derive(Clone, Copy)]
pub(super) struct First {
    /// Its number among the members.
    pub member: usize,
    /// Which operand of the second instruction its result is.
    pub position: usize,
}

/// By member: the class of its result. `class_of_view` is the class of what is loaded with given strides.
pub(super) fn classes(
    list: &List,
    members: &[Value],
    operands: &Operands,
    class_of_view: impl Fn([isize; 3]) -> Class,
) -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::with_capacity(members.len());
    for (number, &v) in members.iter().enumerate() {
        let class_of = |&operand: &u32| match operands.member(operand) {
            Some(member) => classes[member],
            None => class_of_view(operands.key(operand).1),
        };
        classes.push(if matches!(list.op(v), Op::Reduce(_)) {
            Class::Column
        } else {
            let numbers = operands.of(number).iter();
            numbers.map(class_of).max().unwrap_or(Class::Scalar)
        });
    }
    classes
}

/// The pairs of a group.
pub(super) struct Pairs {
    /// By member: the instruction that it runs together with, if it is the second of a pair.
    pub first: Vec<Option<First>>,
    /// By member: whether it is the first of a pair, and not emitted by itself.
    pub sunk: Vec<bool>,
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
    /// same class: computed narrow once, a narrower value is not computed again for each element. Members that are
    /// `taken` are left alone.
    pub(super) fn find(
        list: &List,
        members: &[Value],
        operands: &Operands,
        stored: &[bool],
        (classes, taken): (&[Class], &[bool]),
    ) -> Self {
        let mut pairs = Self {
            first: vec![None; members.len()],
            sunk: vec![false; members.len()],
        };
        for (number, &v) in members.iter().enumerate() {
            let (Op::Binary(outer), &[x, y]) = (list.op(v), operands.of(number)) else {
                continue;
            };
            let class = classes[number];
            if !list.dtype(v).is_float() || class == Class::Scalar || taken[number] {
                continue;
            }
            let first_at = |position: usize| {
                let operand = [x, y][position];
                let member = operands.member(operand)?;
                let first = members[member];
                let fits = classes[member] == class
                    && !taken[member]
                    && operands.uses(operand) == 1
                    && !stored[first.index()]
                    && pairs.first[member].is_none()
                    && Outer::of(outer, position).is_some()
                    && inner(list, first).is_some();
                fits.then_some(First { member, position })
            };
            // The later operand first: its own operands wait for less long.
            let order = if operands.key(y).0 > operands.key(x).0 {
                [1, 0]
            } else {
                [0, 1]
            };
            let found = order.into_iter().find_map(first_at);
            if let Some(first) = found {
                pairs.first[number] = found;
                pairs.sunk[first.member] = true;
            }
        }
        pairs
    }
}
