//! The slots of a group while it is emitted: what is in them, loads and stores.

use retrograde_ops::tile::{Class, Code, MicroOp, ViewSpec};
use retrograde_storage::DType;

use super::operands::Operands;
use super::{GroupStep, elem, literal_bits};
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::fuse::Group;

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
    pub(super) group: &'a Group,
    pub(super) out: GroupStep,
    pub(super) operands: Operands,
    /// By operand: its slot, if it is in one.
    pub(super) slots: Vec<Option<Slot>>,
    pub(super) free: [Vec<u16>; 3],
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

    /// The slot of an operand, loaded now if it is not in one.
    pub(super) fn operand(&mut self, operand: u32, dtype: DType, v: Value) -> u16 {
        if let Some(slot) = self.slots[operand as usize] {
            return slot.number;
        }
        let &(base, strides, offset) = self.operands.key(operand);
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
        let uses = self.operands.uses(operand);
        self.slots[operand as usize] = Some(Slot { number, uses });
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

    /// Stores a member's elements, which are in a slot, widened if that is narrower than the value; one use less to come.
    pub(super) fn store(&mut self, member: usize) {
        let (list, group) = (self.list, self.group);
        let v = group.members[member];
        let vary = group.vary(list.dims(v)).expect("members fit");
        let full = if vary == group.axes.len() {
            Class::Full
        } else {
            Class::Column
        };
        let slot = self.slots[member].expect("computed").number;
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

    /// One use of an operand less to come.
    pub(super) fn release(&mut self, operand: u32) {
        let held = &mut self.slots[operand as usize];
        let slot = held.as_mut().expect("operands are in slots");
        slot.uses -= 1;
        let (number, uses) = (slot.number, slot.uses);
        let class = self.out.group.slots[number as usize];
        if uses == 0 && class != Class::Scalar {
            self.free[class as usize].push(number);
            *held = None;
        }
    }
}
