//! Cheap instructions computed again where they are read, instead of kept.
//!
//! An instruction joins the first group that can take it, so one of a derivative that depends on forward values alone
//! (`1 - tanh^2`) joins the forward's, and what both directions read stands in memory between them. Here a chain of
//! cheap instructions on one root is copied into each later group that reads its end, if then no more is kept: the root
//! is in memory anyway, or is no larger than what it stands for. The same operations on the same elements: no bit
//! changes.

use std::collections::HashMap;

use retrograde_ops::{Binary, Ternary, Unary};
use retrograde_storage::Id;

use super::fuse::{READY, Step, StepId, Steps, is_scalar};
use super::memory::stored;
use super::places::Places;
use super::rebuild::Rebuilt;
use crate::list::{List, Value};
use crate::op::Op;

/// Instructions of a chain at most.
const LONGEST: usize = 4;

/// Whether an instruction takes less time than its result takes through memory.
fn is_cheap(op: Op) -> bool {
    use Binary::{Add, And, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, MulStrong, Ne, Or, Sub};
    match op {
        Op::Unary(op) => matches!(
            op,
            Unary::Neg | Unary::Abs | Unary::Square | Unary::Relu | Unary::Not | Unary::Sign
        ),
        Op::Binary(op) => matches!(
            op,
            Add | Sub | Mul | MulStrong | Max | Min | Lt | Le | Gt | Ge | Eq | Ne | And | Or
        ),
        Op::Ternary(op) => op == Ternary::Select,
        Op::Reshape => true,
        _ => false,
    }
}

/// The chain that ends with `v`, from the root's first user on, and its root: the only operand that is not a scalar.
fn chain(list: &List, places: &Places, v: Value) -> Option<(Vec<Value>, Value)> {
    let len = list.shape(v).len();
    let (mut chain, mut root) = (Vec::new(), v);
    while chain.len() < LONGEST && is_cheap(list.op(root)) && list.shape(root).len() == len {
        let mut operands = list.args(root).iter().filter(|&&a| !is_scalar(list, a));
        let Some(&next) = operands.next() else { break };
        if operands.any(|&a| a != next) {
            break;
        }
        chain.push(root);
        root = next;
    }
    let whole = list.shape(root).len() == len && places.view(root).is_dense();
    chain.reverse();
    (whole && !chain.is_empty()).then_some((chain, root))
}

struct Finder<'a> {
    built: &'a Rebuilt,
    places: &'a Places,
    steps: &'a Steps,
    /// By value: whether it is in memory whatever is done here.
    pinned: Vec<bool>,
    stored: Vec<bool>,
}

impl Finder<'_> {
    fn step(&self, v: Value) -> StepId {
        self.steps.of[self.places.base(v).index()]
    }

    fn is_group(&self, step: StepId) -> bool {
        matches!(self.steps.steps[step as usize], Step::Group(_))
    }

    /// The chain to compute again for operand `u` of `w`, if it should be.
    fn again(&self, w: Value, u: Value) -> Option<(Vec<Value>, Value)> {
        let list = &self.built.list;
        let (from, to) = (self.step(u), self.step(w));
        let base = self.places.base(u);
        if from == READY || from == to || !self.is_group(from) || self.pinned[base.index()] {
            return None;
        }
        let (chain, root) = chain(list, self.places, u)?;
        let kept = self.places.base(root);
        let there = self.step(root) == READY || self.stored[kept.index()];
        let small = list.dtype(root).size() <= list.dtype(u).size();
        let new = chain.iter().any(|&v| self.places.is_base(v));
        (new && (there || small) && self.step(root) < to).then_some((chain, root))
    }

    /// What keeps `w` from joining the step of `u`: the operand that comes last, if it comes after.
    fn anchor(&self, w: Value, u: Value) -> Option<Value> {
        let others = self.built.list.args(w).iter().copied();
        let last = others.max_by_key(|&a| self.step(a))?;
        (self.step(last) > self.step(u)).then_some(last)
    }
}

/// The list with cheap chains copied to where they are read, or `None` if there is nothing to copy.
pub(crate) fn recompute(built: &Rebuilt, places: &Places, steps: &Steps) -> Option<Rebuilt> {
    let list = &built.list;
    let mut pinned = vec![false; list.len()];
    let roots = built.updates.iter().map(|u| u.1);
    for v in built.outputs.iter().copied().chain(roots) {
        pinned[places.base(v).index()] = true;
    }
    for v in list.values() {
        let step = steps.of[v.index()];
        if step != READY && !matches!(steps.steps[step as usize], Step::Group(_)) {
            let args = list.args(v).iter();
            args.for_each(|&a| pinned[places.base(a).index()] = true);
        }
    }
    let finder = Finder {
        built,
        places,
        steps,
        pinned,
        stored: stored(built, places, steps),
    };
    // By user and operand: the chain, its root and what the copies wait for.
    type Copies = Vec<(usize, Vec<Value>, Value, Value)>;
    let mut copies: HashMap<Value, Copies> = HashMap::new();
    for w in list.values() {
        let step = steps.of[w.index()];
        if step == READY || !finder.is_group(step) {
            continue;
        }
        for (i, &u) in list.args(w).iter().enumerate() {
            let Some(anchor) = finder.anchor(w, u) else {
                continue;
            };
            if let Some((chain, root)) = finder.again(w, u) {
                copies.entry(w).or_default().push((i, chain, root, anchor));
            }
        }
    }
    if copies.is_empty() {
        return None;
    }
    // Copies by step: users in one group share them.
    let mut made: HashMap<(StepId, Value), Value> = HashMap::new();
    let mut after = Vec::new();
    let mut new = built.rewrite(|new, w, args, map| {
        let copies = copies.get(&w)?;
        let mut args = args.to_vec();
        for (i, chain, root, anchor) in copies {
            let mut last = map[root.index()];
            for &v in chain {
                let key = (steps.of[w.index()], v);
                last = *made.entry(key).or_insert_with(|| {
                    let old = list.args(v).iter();
                    let own: Vec<Value> = old
                        .map(|&a| {
                            if is_scalar(list, a) {
                                map[a.index()]
                            } else {
                                last
                            }
                        })
                        .collect();
                    let copy =
                        new.push(list.op(v), &own, list.attr(v), list.shape(v), list.dtype(v));
                    after.push((copy, map[anchor.index()]));
                    copy
                });
            }
            args[*i] = last;
        }
        Some(new.push(
            list.op(w),
            &args,
            list.attr(w),
            list.shape(w),
            list.dtype(w),
        ))
    });
    new.after = after.into_iter().collect();
    Some(new)
}
