//! A group as micro-ops.

use retrograde_ops::tile::{self, Class, Code, MicroOp, Outer, Over, Reduction, Width};
use retrograde_storage::Id;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::operands::Operands;
use super::slots::{Emitter, Slot};
use super::{GroupStep, elem};
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::fuse::{Group, ends_group, reduced_axes};
use crate::passes::pairs::{self, Pairs};
use crate::passes::places::Places;
use crate::passes::updates::Updates;

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
    let width = group.width.unwrap_or(Width::Four);
    let empty = tile::Group {
        space: group.space(),
        width,
        ops: Vec::new(),
        slots: Vec::new(),
        views: Vec::new(),
        constants: Vec::new(),
        uniforms: Vec::new(),
        reductions: Vec::new(),
    };
    let out = GroupStep {
        group: empty,
        bases: Vec::new(),
        results: Vec::new(),
        values: Vec::new(),
        paired: Vec::new(),
    };
    let operands = Operands::find(list, places, group, inside);
    let mut emit = Emitter {
        list,
        group,
        out,
        slots: vec![None; operands.len()],
        operands,
        free: [Vec::new(), Vec::new(), Vec::new()],
    };
    let classes = pairs::classes(list, &group.members, &emit.operands, |strides| {
        emit.class_of_view(strides)
    });
    let updates = Updates::find(list, &group.members, &emit.operands, stored, &classes);
    let found = (&classes[..], &updates.taken[..]);
    let pairs = Pairs::find(list, &group.members, &emit.operands, stored, found);
    let mut last_load: FxHashMap<Value, usize> = FxHashMap::default();
    if group.members.iter().any(|v| direct.contains_key(v)) {
        for (i, &v) in group.members.iter().enumerate() {
            let first = pairs.first[i].map(|p| p.member);
            let inner = updates.at[i].iter().flat_map(|update| &update.inner);
            let with = first.into_iter().chain(inner.copied());
            for reader in with.map(|member| group.members[member]).chain([v]) {
                let bases = list.args(reader).iter().map(|&a| (places.base(a), i));
                last_load.extend(bases);
            }
        }
    }
    // Stores that wait for the last load of what they overwrite: `(that member, the member stored)`.
    let mut waiting: Vec<(usize, usize)> = Vec::new();

    for (i, &v) in group.members.iter().enumerate() {
        waiting.retain(|&(last, stored)| {
            if last < i {
                emit.store(stored);
                emit.release(stored as u32);
            }
            last >= i
        });
        if pairs.sunk[i] || updates.taken[i] && updates.at[i].is_none() {
            continue;
        }
        // Operands with their numbers; of a pair those of the first instruction, then what is left of the second's.
        let mut own = [(v, 0); 3];
        let mut count = 0;
        let mut add = |member: usize, skipped: Option<usize>| {
            let values = list.args(group.members[member]).iter().copied();
            let all = values.zip(emit.operands.of(member).iter().copied());
            for (position, arg) in all.enumerate() {
                if Some(position) != skipped {
                    own[count] = arg;
                    count += 1;
                }
            }
        };
        let (update, pair) = (updates.at[i].as_ref(), pairs.first[i]);
        if let Some(update) = update {
            let inner = update.inner.iter().map(|&member| group.members[member]);
            emit.out.paired.extend(inner.map(|first| (first, v)));
        } else if let Some(first) = pair {
            add(first.member, None);
            add(i, Some(first.position));
            emit.out.paired.push((group.members[first.member], v));
        } else {
            add(i, None);
        }
        let args = update.map_or(&own[..count], |update| &update.args);
        let slots: SmallVec<[u16; 8]> = args
            .iter()
            .map(|&(operand, number)| emit.operand(number, list.dtype(operand), v))
            .collect();
        let slot = |arg: usize| slots.get(arg).copied().unwrap_or(0);
        let [mut a, mut b, mut c] = update.map_or([0, 1, 2], |u| u.operands).map(slot);
        if matches!(list.op(v), Op::Reduce(_)) {
            a = emit.widen(a, v);
        }
        if ends_group(list, v, group) {
            let Op::Reduce(kind) = list.op(v) else {
                unreachable!("only reductions end groups")
            };
            let (from, to) = reduced_axes(list.dims(list.arg(v, 0)), list.attr(v).as_axes());
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
            args.iter().for_each(|arg| emit.release(arg.1));
            continue;
        }
        let x = elem(list.dtype(list.arg(v, 0)));
        let y = elem(list.dtype(v));
        let (code, imm) = match list.op(v) {
            Op::Binary(outer) => match (update, pair) {
                (Some(update), _) => {
                    let uniforms = &mut emit.out.group.uniforms;
                    uniforms.push(update.scalars.map(slot));
                    (Code::Update(update.what), uniforms.len() as u32 - 1)
                }
                (None, Some(first)) => {
                    if count == 2 {
                        // A square: both operands are one.
                        (b, c) = (a, b);
                    }
                    let inner = pairs::inner(list, group.members[first.member]);
                    let outer = Outer::of(outer, first.position);
                    let both = inner.zip(outer).expect("paired for that");
                    (Code::Pair(both.0, both.1), 0)
                }
                (None, None) => (Code::Binary(x, outer), 0),
            },
            Op::Unary(op) => (Code::Unary(x, op), 0),
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
            slots
                .iter()
                .map(|&slot| emit.out.group.slots[slot as usize])
                .max()
                .unwrap_or(Class::Scalar)
        };
        // One use more, until it is stored.
        let uses = emit.operands.uses(i as u32) + 1;
        args.iter().for_each(|arg| emit.release(arg.1));
        let number = emit.take(class);
        emit.slots[i] = Some(Slot { number, uses });
        emit.push(
            MicroOp {
                code,
                dst: number,
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
                    waiting.push((last, i));
                    continue;
                }
                _ => emit.store(i),
            }
        }
        emit.release(i as u32);
    }
    for (_, member) in waiting {
        emit.store(member);
        emit.release(member as u32);
    }
    emit.out
}
