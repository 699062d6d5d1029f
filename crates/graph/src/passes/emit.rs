//! The kernels of each step: micro-ops and slots for groups, operands with their places for the rest.

use std::collections::HashMap;

use retrograde_ops::scalar::{ScalarCode, ScalarOp};
use retrograde_ops::tile::{
    self, Class, Code, Elem, MicroOp, Outer, Over, Reduction, ViewSpec, Width,
};
use retrograde_storage::{DType, Id};

use super::fuse::{Group, ends_group, is_scalar, operand_strides, reduced_axes};
use super::memory::Place;
use super::pairs::{self, Key, Pairs};
use super::places::Places;
use crate::list::{List, Value};
use crate::op::Op;

/// A group ready to run.
#[derive(Debug)]
pub(crate) struct GroupStep {
    /// The micro-ops.
    pub group: tile::Group,
    /// By view of the group: whose memory, and the first element's position in it.
    pub bases: Vec<(Value, isize)>,
    /// By reduction: the value it computes.
    pub results: Vec<Value>,
    /// By micro-op: the instruction it serves, for listings and errors.
    pub values: Vec<Value>,
    /// Instructions without a micro-op of their own, with the one whose micro-op computes both.
    pub paired: Vec<(Value, Value)>,
}

fn elem(dtype: DType) -> Elem {
    match dtype {
        DType::F32 | DType::F64 => Elem::Float,
        DType::U32 | DType::I64 => Elem::Int,
        DType::Bool => Elem::Mask,
    }
}

/// Bits of a literal as the tile engine and the scalar interpreter want them.
fn literal_bits(list: &List, v: Value, narrow: bool) -> u64 {
    let attr = list.attr(v);
    match list.dtype(v) {
        DType::F32 if narrow => u64::from((attr.as_float() as f32).to_bits()),
        DType::F32 | DType::F64 => attr.as_float().to_bits(),
        DType::U32 => u64::from(attr.as_int() as u32),
        DType::I64 => attr.as_int() as u64,
        DType::Bool => u64::from(attr.as_int() != 0),
    }
}

/// Where a value stands while the group is being emitted.
#[derive(Clone, Copy)]
struct Slot {
    number: u16,
    /// Uses still to come; the slot is free at 0. Scalars are never freed: they are computed once for all tiles.
    uses: u32,
}

struct Emitter<'a> {
    list: &'a List,
    places: &'a Places,
    group: &'a Group,
    out: GroupStep,
    /// Slots of values computed in the group or loaded, the latter by value and strides.
    slots: HashMap<Key, Slot>,
    free: [Vec<u16>; 3],
    pairs: Pairs,
}

impl Emitter<'_> {
    fn push(&mut self, op: MicroOp, v: Value) {
        self.out.group.ops.push(op);
        self.out.values.push(v);
    }

    fn take(&mut self, class: Class) -> u16 {
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
    fn class_of_view(&self, strides: [isize; 3]) -> Class {
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
    fn locate(
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
    fn operand(&mut self, key: Key, operand: Value, v: Value, uses: u32) -> u16 {
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
    fn widen(&mut self, slot: u16, v: Value) -> u16 {
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
    fn store(&mut self, v: Value) {
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

    fn release(&mut self, key: Key) {
        let slot = self.slots.get_mut(&key).expect("operands are in slots");
        slot.uses -= 1;
        let class = self.out.group.slots[slot.number as usize];
        if slot.uses == 0 && class != Class::Scalar {
            self.free[class as usize].push(slot.number);
            self.slots.remove(&key);
        }
    }
}

/// Emits a group. `stored` says which members' elements are needed in memory, `direct` which of them overwrite an input:
/// `(input, value)`.
pub(crate) fn group(
    list: &List,
    places: &Places,
    group: &Group,
    stored: &[bool],
    direct: &[(Value, Value)],
) -> GroupStep {
    let axes = group.axes.len();
    let mut members = vec![false; list.len()];
    group.members.iter().for_each(|v| members[v.index()] = true);
    let member = |v: Value| members[v.index()] && !ends_group(list, v, group);
    let width = group.width.unwrap_or(Width::Four);
    let empty = tile::Group {
        space: group.space(),
        width,
        ops: Vec::new(),
        slots: Vec::new(),
        views: Vec::new(),
        constants: Vec::new(),
        reductions: Vec::new(),
    };
    let out = GroupStep {
        group: empty,
        bases: Vec::new(),
        results: Vec::new(),
        values: Vec::new(),
        paired: Vec::new(),
    };
    let mut emit = Emitter {
        list,
        places,
        group,
        out,
        slots: HashMap::new(),
        free: [Vec::new(), Vec::new(), Vec::new()],
        pairs: Pairs::default(),
    };

    // The shape an instruction iterates over, and how many leading axes it varies along.
    let reach = |v: Value| {
        let over = if let Op::Reduce(_) = list.op(v) {
            list.arg(v, 0)
        } else {
            v
        };
        (
            list.dims(over),
            group.vary(list.dims(over)).expect("members fit"),
        )
    };
    let mut uses: HashMap<Key, u32> = HashMap::new();
    let mut operands: Vec<Vec<Key>> = Vec::with_capacity(group.members.len());
    for &v in &group.members {
        let (dims, vary) = reach(v);
        let args = list.args(v).iter();
        let keys: Vec<Key> = args.map(|&o| emit.locate(o, dims, vary, &member)).collect();
        keys.iter().for_each(|&k| *uses.entry(k).or_default() += 1);
        operands.push(keys);
    }
    emit.pairs = Pairs::find(list, &group.members, &operands, &uses, stored, |strides| {
        emit.class_of_view(strides)
    });

    let with_keys = |i: usize| -> Vec<(Value, Key)> {
        let args = list.args(group.members[i]).iter().copied();
        args.zip(operands[i].iter().copied()).collect()
    };
    let overwrites: HashMap<Value, Value> = direct
        .iter()
        .filter(|u| members[u.1.index()])
        .map(|&(input, v)| (v, input))
        .collect();
    let mut last_load: HashMap<Value, usize> = HashMap::new();
    if !overwrites.is_empty() {
        for (i, &v) in group.members.iter().enumerate() {
            let first = emit.pairs.first.get(&v).map(|p| group.members[p.0]);
            for reader in first.into_iter().chain([v]) {
                let bases = list.args(reader).iter().map(|&a| (places.base(a), i));
                last_load.extend(bases);
            }
        }
    }
    // Stores that wait for the last load of what they overwrite: `(that member, value)`.
    let mut waiting: Vec<(usize, Value)> = Vec::new();

    for (i, &v) in group.members.iter().enumerate() {
        waiting.retain(|&(last, v)| {
            if last < i {
                emit.store(v);
                emit.release((v, [0; 3], 0));
            }
            last >= i
        });
        if emit.pairs.sunk.contains(&v) {
            continue;
        }
        let (dims, _) = reach(v);
        let mut args: Vec<(Value, Key)> = with_keys(i);
        let first = emit.pairs.first.get(&v).copied();
        if let Some((first, position)) = first {
            // The operands of the first instruction, then what is left of the second's.
            let rest = args[1 - position];
            args = with_keys(first);
            args.push(rest);
            emit.out.paired.push((group.members[first], v));
        }
        let mut slots = [0; 3];
        for (slot, &(operand, key)) in slots.iter_mut().zip(&args) {
            *slot = emit.operand(key, operand, v, uses[&key]);
        }
        let keys: Vec<Key> = args.iter().map(|a| a.1).collect();
        let [mut a, mut b, mut c] = slots;
        if matches!(list.op(v), Op::Reduce(_)) {
            a = emit.widen(a, v);
        }
        if ends_group(list, v, group) {
            let Op::Reduce(kind) = list.op(v) else {
                unreachable!("only reductions end groups")
            };
            let (from, to) = reduced_axes(dims, list.attr(v).as_axes());
            let over = match (from, to == axes) {
                (0, true) => Over::All,
                (0, false) => Over::Rows,
                _ => Over::Middle,
            };
            let class = Class::Full;
            let imm = emit.out.group.reductions.len() as u32;
            emit.out.group.reductions.push(Reduction {
                over,
                kind,
                elem: elem(list.dtype(v)),
                class,
            });
            emit.out.results.push(v);
            emit.push(
                MicroOp {
                    a,
                    imm,
                    ..MicroOp::new(Code::Reduce, 0)
                },
                v,
            );
            keys.iter().for_each(|&k| emit.release(k));
            continue;
        }
        let x = elem(list.dtype(list.arg(v, 0)));
        let y = elem(list.dtype(v));
        let (code, imm) = match list.op(v) {
            Op::Binary(outer) if first.is_some() => {
                let (first, position) = first.expect("just asked");
                if keys.len() == 2 {
                    // A square: both operands are one.
                    (b, c) = (a, b);
                }
                let inner = pairs::inner(list, group.members[first]).expect("paired for that");
                let outer = Outer::of(outer, position).expect("paired for that");
                (Code::Pair(inner, outer), 0)
            }
            Op::Unary(op) => (Code::Unary(x, op), 0),
            Op::Binary(op) => (Code::Binary(x, op), 0),
            Op::Ternary(op) => (Code::Ternary(y, op), 0),
            Op::PowI => (Code::PowI, list.attr(v).as_int() as u32),
            Op::Cast => (Code::Cast(x, y), 0),
            Op::Reduce(kind) => (Code::ReduceRow(x, kind), 0),
            other => unreachable!("{other:?} is not fusible"),
        };
        // A full result of narrower operands is computed narrow and widened where it is stored or used.
        let class = if matches!(list.op(v), Op::Reduce(_)) {
            Class::Column
        } else {
            (0..keys.len())
                .map(|i| emit.out.group.slots[slots[i] as usize])
                .max()
                .unwrap_or(Class::Scalar)
        };
        let key = (v, [0; 3], 0);
        let left = uses.get(&key).copied().unwrap_or(0) + 1;
        keys.iter().for_each(|&k| emit.release(k));
        let dst = emit.take(class);
        emit.slots.insert(
            key,
            Slot {
                number: dst,
                uses: left,
            },
        );
        emit.push(
            MicroOp {
                code,
                dst,
                a,
                b,
                c,
                imm,
            },
            v,
        );
        if stored[v.index()] {
            // Old content goes to whoever in this group still loads it, and only then is overwritten.
            match overwrites.get(&v).and_then(|input| last_load.get(input)) {
                Some(&last) if last > i => {
                    waiting.push((last, v));
                    continue;
                }
                _ => emit.store(v),
            }
        }
        emit.release(key);
    }
    for (_, v) in waiting {
        emit.store(v);
        emit.release((v, [0; 3], 0));
    }
    emit.out
}

/// A group of its own for `0, 1, 2, ...`.
pub(crate) fn iota(list: &List, v: Value) -> GroupStep {
    let dtype = list.dtype(v);
    let width = if dtype.size() == 8 {
        Width::Eight
    } else {
        Width::Four
    };
    let load = MicroOp::new(Code::Iota(tile::Axis::Inner, elem(dtype)), 0);
    let group = tile::Group {
        space: [1, 1, list.shape(v).len()],
        width,
        ops: vec![load, MicroOp::new(Code::Store, 0)],
        slots: vec![Class::Full],
        views: vec![ViewSpec {
            dtype,
            strides: [0, 0, 1],
        }],
        constants: Vec::new(),
        reductions: Vec::new(),
    };
    GroupStep {
        group,
        bases: vec![(v, 0)],
        results: Vec::new(),
        values: vec![v, v],
        paired: Vec::new(),
    }
}

/// Emits a run of scalar instructions over cells.
pub(crate) fn scalars(
    list: &List,
    places: &Places,
    steps: &[Value],
    cell: &dyn Fn(Value) -> Place,
) -> Vec<ScalarOp> {
    let at = |v: Value| match cell(places.base(v)) {
        Place::Cell(i) => i,
        other => unreachable!("{v} is a scalar, but lives in {other:?}"),
    };
    let each = steps.iter().map(|&v| {
        let args = list.args(v);
        let reg = |i: usize| args.get(i).map_or(0, |&a| at(a));
        let x = list.dtype(args[0]);
        let (code, imm) = match list.op(v) {
            Op::Unary(op) => (ScalarCode::Unary(x, op), 0),
            Op::Binary(op) => (ScalarCode::Binary(x, op), 0),
            Op::Ternary(op) => (ScalarCode::Ternary(list.dtype(v), op), 0),
            Op::PowI => (ScalarCode::PowI(x), list.attr(v).as_int() as u64),
            Op::Cast => (ScalarCode::Cast(x, list.dtype(v)), 0),
            other => unreachable!("{other:?} is not a scalar instruction"),
        };
        ScalarOp {
            code,
            dst: at(v),
            a: reg(0),
            b: reg(1),
            c: reg(2),
            imm,
        }
    });
    each.collect()
}

/// Bits that a literal's cell holds from the start.
pub(crate) fn cell_bits(list: &List, v: Value) -> u64 {
    literal_bits(list, v, true)
}
