//! The slots of a group while it is emitted: what is in them, loads and stores.

use retrograde_ops::tile::{Class, Code, MicroOp, ViewSpec};
use retrograde_storage::DType;
use rustc_hash::FxHashMap;

use super::{GroupStep, elem, literal_bits};
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::fuse::{Group, is_scalar, operand_strides};
use crate::passes::pairs::{Key, Pairs};
use crate::passes::places::Places;

/// Where a value stands while the group is being emitted.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) number: u16,
    /// Uses still to come; the slot is free at 0. Scalars are never freed: they are computed once for all tiles.
    pub(super) uses: u32,
}

/// A group being emitted.
pub(super) struct Emitter<'a> {
    pub(super) list: &'a List,
    pub(super) places: &'a Places,
    pub(super) group: &'a Group,
    pub(super) out: GroupStep,
    /// Slots of values computed in the group or loaded, the latter by value and strides.
    pub(super) slots: FxHashMap<Key, Slot>,
    pub(super) free: [Vec<u16>; 3],
    pub(super) pairs: Pairs,
}

impl Emitter<'_> {
    pub(super) fn push(&mut self, op: MicroOp, v: Value) {
        self.out.group.ops.push(op);
        self.out.values.push(v);
    }

    pub(super) fn take(&mut self, class: Class) -> u16 {
        if let Some(slot) = self.free[class as usize].pop() {
            return slot;
        }
        self.out.group.slots.push(class);
        (self.out.group.slots.len() - 1) as u16
    }

    fn view(&mut self, base: Value, offset: isize, dtype: DType, strides: [isize; 3]) -> u32 {
        self.out.bases.push((base, offset));
        self.out.group.views.push(ViewSpec { dtype, strides });
        self.out.bases.len() as u32 - 1
    }

    /// The class of what is loaded with these strides.
    pub(super) fn class_of_view(&self, strides: [isize; 3]) -> Class {
        let space = self.group.space();
        let varies = |axis: usize| strides[axis] != 0 && space[axis] != 1;
        if varies(2) {
            Class::Full
        } else if varies(0) || varies(1) {
            Class::Column
        } else {
            Class::Scalar
        }
    }

    /// What identifies an operand: in-group values by themselves, memory by where and how.
    pub(super) fn locate(
        &self,
        operand: Value,
        dims: &[usize],
        vary: usize,
        member: &dyn Fn(Value) -> bool,
    ) -> Key {
        let base = self.places.base(operand);
        if member(base) {
            return (base, [0; 3], 0);
        }
        if is_scalar(self.list, operand) {
            return (base, [0; 3], self.places.view(operand).offset);
        }
        let view = self.places.view(operand);
        let by_axis = operand_strides(view, dims, self.group.axes.len(), vary)
            .expect("fits checked the operand");
        (base, self.group.strides(&by_axis), view.offset)
    }

    /// The slot of an operand, loaded now if it is not in one, and one use less to come.
    pub(super) fn operand(&mut self, key: Key, operand: Value, v: Value, uses: u32) -> u16 {
        let slot = *self.slots.get(&key).unwrap_or(&Slot {
            number: u16::MAX,
            uses: 0,
        });
        if slot.number != u16::MAX {
            return slot.number;
        }
        let (base, strides, offset) = key;
        let dtype = self.list.dtype(operand);
        let class = self.class_of_view(strides);
        let number = self.take(class);
        if self.list.op(base) == Op::Const {
            self.out
                .group
                .constants
                .push(literal_bits(self.list, base, false));
            let imm = self.out.group.constants.len() as u32 - 1;
            self.push(
                MicroOp {
                    imm,
                    ..MicroOp::new(Code::Const(elem(dtype)), number)
                },
                v,
            );
        } else {
            let imm = self.view(base, offset, dtype, strides);
            self.push(
                MicroOp {
                    imm,
                    ..MicroOp::new(Code::Load, number)
                },
                v,
            );
        }
        self.slots.insert(key, Slot { number, uses });
        number
    }

    /// `slot` as a full slot: reductions count every element, so narrower values are widened first. Free it afterwards.
    pub(super) fn widen(&mut self, slot: u16, v: Value) -> u16 {
        if self.out.group.slots[slot as usize] == Class::Full {
            return slot;
        }
        let wide = self.take(Class::Full);
        self.push(
            MicroOp {
                a: slot,
                ..MicroOp::new(Code::Copy, wide)
            },
            v,
        );
        self.free[Class::Full as usize].push(wide);
        wide
    }

    /// Stores a member's elements, which are in a slot, widened if that is narrower than the value.
    pub(super) fn store(&mut self, v: Value) {
        let (list, group) = (self.list, self.group);
        let vary = group.vary(list.dims(v)).expect("members fit");
        let full = if vary == group.axes.len() {
            Class::Full
        } else {
            Class::Column
        };
        let slot = self.slots[&(v, [0; 3], 0)].number;
        let mut source = slot;
        if self.out.group.slots[slot as usize] < full {
            source = self.take(full);
            self.push(
                MicroOp {
                    a: slot,
                    ..MicroOp::new(Code::Copy, source)
                },
                v,
            );
            self.free[full as usize].push(source);
        }
        let strides = group.strides(&group.dense(vary));
        let imm = self.view(v, 0, list.dtype(v), strides);
        self.push(
            MicroOp {
                a: source,
                imm,
                ..MicroOp::new(Code::Store, 0)
            },
            v,
        );
    }

    pub(super) fn release(&mut self, key: Key) {
        let slot = self.slots.get_mut(&key).expect("operands are in slots");
        slot.uses -= 1;
        let class = self.out.group.slots[slot.number as usize];
        if slot.uses == 0 && class != Class::Scalar {
            self.free[class as usize].push(slot.number);
            self.slots.remove(&key);
        }
    }
}
