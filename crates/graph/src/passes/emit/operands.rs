//! What the members of a group read: an operand has one number for all who find it in the same way.

use rustc_hash::FxHashMap;

use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::fuse::{Group, ends_group, is_scalar, operand_strides};
use crate::passes::places::Places;

/// What identifies an operand in memory: whose, with which strides over the group's space, and where it begins.
pub(crate) type Key = (Value, [isize; 3], isize);

/// The operands of a group by number. Results of members come first: member `i` is operand `i`.
pub(crate) struct Operands {
    members: usize,
    /// By number.
    keys: Vec<Key>,
    /// By number: how many operands of members it is.
    uses: Vec<u32>,
    /// Numbers of all members' operands, one member after another.
    numbers: Vec<u32>,
    /// By member: where its own begin; and the end.
    starts: Vec<u32>,
}

impl Operands {
    /// The operands of a group's members; `inside` says which values are members.
    pub(super) fn find(
        list: &List,
        places: &Places,
        group: &Group,
        inside: impl Fn(Value) -> bool,
    ) -> Self {
        let count = group.members.len();
        let mut operands = Self {
            members: count,
            keys: group.members.iter().map(|&v| (v, [0; 3], 0)).collect(),
            uses: vec![0; count],
            numbers: Vec::with_capacity(2 * count),
            starts: Vec::with_capacity(count + 1),
        };
        let own = group.members.iter().enumerate();
        let own: FxHashMap<Value, u32> = own.map(|(i, &v)| (v, i as u32)).collect();
        let mut memory: FxHashMap<Key, u32> = FxHashMap::default();
        for &v in &group.members {
            // What the instruction iterates over, and how many leading axes it varies along.
            let over = match list.op(v) {
                Op::Reduce(_) => list.arg(v, 0),
                _ => v,
            };
            let dims = list.dims(over);
            let vary = group.vary(dims).expect("members fit");
            operands.starts.push(operands.numbers.len() as u32);
            for &operand in list.args(v) {
                let base = places.base(operand);
                let number = if inside(base) && !ends_group(list, base, group) {
                    own[&base]
                } else {
                    let view = places.view(operand);
                    let strides = if is_scalar(list, operand) {
                        [0; 3]
                    } else {
                        let by_axis = operand_strides(view, dims, vary);
                        group.strides(&by_axis.expect("fits checked the operand"))
                    };
                    let key = (base, strides, view.offset);
                    let keys = &mut operands.keys;
                    let number = memory.entry(key).or_insert_with(|| {
                        keys.push(key);
                        keys.len() as u32 - 1
                    });
                    *number
                };
                operands.uses.resize(operands.keys.len(), 0);
                operands.uses[number as usize] += 1;
                operands.numbers.push(number);
            }
        }
        operands.starts.push(operands.numbers.len() as u32);
        operands
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Numbers of a member's operands.
    pub(crate) fn of(&self, member: usize) -> &[u32] {
        &self.numbers[self.starts[member] as usize..self.starts[member + 1] as usize]
    }

    /// How an operand is found.
    pub(crate) fn key(&self, number: u32) -> &Key {
        &self.keys[number as usize]
    }

    /// How many operands of members it is.
    pub(crate) fn uses(&self, number: u32) -> u32 {
        self.uses[number as usize]
    }

    /// The member whose result it is.
    pub(crate) fn member(&self, number: u32) -> Option<usize> {
        Some(number as usize).filter(|&n| n < self.members)
    }
}
