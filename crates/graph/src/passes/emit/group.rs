//! A group as micro-ops.

use retrograde_ops::tile::{self, Class, Code, MicroOp, Outer, Over, Reduction, Width};
use retrograde_storage::Id;
use rustc_hash::FxHashMap;

use super::slots::{Emitter, Slot};
use super::{GroupStep, elem};
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::fuse::{Group, ends_group, reduced_axes};
use crate::passes::pairs::{self, Key, Pairs};
use crate::passes::places::Places;

/// Emits a group. `inside` says which values are its members, `stored` which members' elements are needed in memory,
/// `direct` the input that a value overwrites.
pub(crate) fn group(
    list: &List,
    places: &Places,
    group: &Group,
    inside: impl Fn(Value) -> bool,
    stored: &[bool],
    direct: &FxHashMap<Value, Value>,
) -> GroupStep {
    let axes = group.axes.len();
    let member = |v: Value| inside(v) && !ends_group(list, v, group);
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
        slots: FxHashMap::default(),
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
    let mut uses: FxHashMap<Key, u32> = FxHashMap::default();
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
    let mut last_load: FxHashMap<Value, usize> = FxHashMap::default();
    if group.members.iter().any(|v| direct.contains_key(v)) {
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
            match direct.get(&v).and_then(|input| last_load.get(input)) {
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
