//! What every element of a list's outputs depends on: one pass over the rows, each asked once.

use std::rc::Rc;

use retrograde_storage::Id;

use super::known::{self, Known};
use super::sets::{Set, Sets};
use crate::list::{List, Value};
use crate::op::Op;
use crate::rules::passes;

/// What the elements of one value depend on.
#[derive(Clone, Debug)]
pub(crate) enum Deps {
    /// On nothing.
    Nothing,
    /// Every element on the same.
    Same(Set),
    /// Element by element.
    Each(Rc<[Set]>),
}

impl Deps {
    /// In the smallest form.
    pub(super) fn of(sets: Vec<Set>) -> Self {
        match sets.first() {
            None => Self::Nothing,
            Some(&first) if sets.iter().all(|&s| s == first) => Self::all(first),
            Some(_) => Self::Each(sets.into()),
        }
    }

    /// Every element on this.
    pub(super) fn all(set: Set) -> Self {
        if set == Sets::empty() {
            Self::Nothing
        } else {
            Self::Same(set)
        }
    }

    /// What element `i` depends on.
    pub(crate) fn at(&self, i: usize) -> Set {
        match self {
            Self::Nothing => Sets::empty(),
            Self::Same(set) => *set,
            Self::Each(sets) => sets[i],
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    /// Of elements `start..start + len`.
    pub(super) fn part(&self, start: usize, len: usize) -> Self {
        match self {
            Self::Each(sets) => Self::of(sets[start..start + len].to_vec()),
            other => other.clone(),
        }
    }
}

/// Which rows of a list matter, and how long.
pub(super) struct Analysis {
    /// Whether an output depends on the row by way of derivatives.
    needed: Vec<bool>,
    /// Whether the row's elements decide on dependencies.
    wanted: Vec<bool>,
    /// By row: the last one that reads it.
    last: Vec<usize>,
}

impl Analysis {
    pub(super) fn of(list: &List, outputs: &[Value]) -> Self {
        let mut needed = vec![false; list.len()];
        outputs.iter().for_each(|v| needed[v.index()] = true);
        for v in list.values().rev().filter(|&v| list.dtype(v).is_float()) {
            if needed[v.index()] {
                for (i, &x) in list.args(v).iter().enumerate() {
                    needed[x.index()] |= passes(list, list.op(v), i, x);
                }
            }
        }
        let wanted = known::wanted(list, &needed);
        let mut last = vec![0; list.len()];
        for v in list.values() {
            if needed[v.index()] || wanted[v.index()] {
                list.args(v)
                    .iter()
                    .for_each(|a| last[a.index()] = v.index());
            }
        }
        outputs.iter().for_each(|v| last[v.index()] = usize::MAX);
        Self {
            needed,
            wanted,
            last,
        }
    }
}

/// A pass over a list.
pub(super) struct Flow<'a> {
    pub list: &'a List,
    pub sets: &'a mut Sets,
    deps: Vec<Deps>,
    known: Vec<Known>,
}

/// What the outputs depend on, given what the inputs do; the row where the sets became too many.
pub(super) fn flow(
    list: &List,
    analysis: &Analysis,
    outputs: &[Value],
    sets: &mut Sets,
    input: impl Fn(Value) -> (Deps, Known),
) -> Result<Vec<Deps>, Value> {
    let mut flow = Flow {
        list,
        sets,
        deps: vec![Deps::Nothing; list.len()],
        known: vec![None; list.len()],
    };
    for v in list.values() {
        let row = v.index();
        if !analysis.needed[row] && !analysis.wanted[row] {
            continue;
        }
        if list.op(v) == Op::Input {
            (flow.deps[row], flow.known[row]) = input(v);
        } else {
            if analysis.wanted[row] {
                flow.known[row] = known::evaluate(list, v, |x| flow.known[x.index()].clone());
            }
            if analysis.needed[row] && list.dtype(v).is_float() {
                flow.deps[row] = flow.through(v);
            }
        }
        if flow.sets.is_full() {
            return Err(v);
        }
        for a in list
            .args(v)
            .iter()
            .filter(|a| analysis.last[a.index()] == row)
        {
            flow.deps[a.index()] = Deps::Nothing;
            flow.known[a.index()] = None;
        }
    }
    let outputs = outputs.iter();
    Ok(outputs.map(|v| flow.deps[v.index()].clone()).collect())
}

impl Flow<'_> {
    /// What operand `i` of `v` depends on, as far as derivatives pass to it.
    pub(super) fn operand(&self, v: Value, i: usize) -> Deps {
        let x = self.list.arg(v, i);
        if passes(self.list, self.list.op(v), i, x) {
            self.deps[x.index()].clone()
        } else {
            Deps::Nothing
        }
    }

    /// Elements of operand `i` of `v`, where they are known.
    pub(super) fn known(&self, v: Value, i: usize) -> Known {
        self.known[self.list.arg(v, i).index()].clone()
    }

    /// Whether every operand of `v` depends on nothing.
    pub(super) fn depends_on_nothing(&self, v: Value) -> bool {
        let mut args = 0..self.list.args(v).len();
        args.all(|i| self.operand(v, i).is_nothing())
    }
}
