//! Groups go up to the products that they go on with.
//!
//! Fusion puts an instruction into the first group that can take it. So the updates of all weights of one shape share a
//! group at the end, and the gradient of an activation waits until the weight's gradient is computed, though all it needs
//! is the product before. Right behind its product a group runs block by block with it (`run/chain.rs`): what the product
//! computed comes from the cache, and no thread waits for another in between.

use retrograde_storage::Id;
use rustc_hash::{FxHashMap, FxHashSet};

use super::fuse::{Failing, READY, Step, StepId, Steps, fences};
use super::group::{Group, is_scalar};
use super::places::Places;
use super::rebuild::Rebuilt;
use crate::list::{List, Value};
use crate::op::Op;

/// Elements from which a group is worth a step of its own.
const LEAST_ELEMENTS: usize = 4096;

/// Moves groups, or the parts of them that have nothing to do with the rest, right behind the product whose result they
/// read, if all else they need is there by then.
pub(crate) fn hoist(built: &Rebuilt, places: &Places, steps: &mut Steps) {
    let list = &built.list;
    if !list.values().any(|v| list.op(v) == Op::MatMul) {
        return;
    }
    let reading = Reading::new(built, places, steps);
    // By step: what goes right behind it, in order; and what stays of groups that are taken apart.
    let mut behind: FxHashMap<StepId, Vec<Group>> = FxHashMap::default();
    let mut rest: FxHashMap<StepId, Option<Group>> = FxHashMap::default();
    for (number, step) in steps.steps.iter().enumerate().skip(READY as usize + 1) {
        let (Step::Group(group), number) = (step, number as StepId) else {
            continue;
        };
        if group.axes.iter().product::<usize>() < LEAST_ELEMENTS {
            continue;
        }
        let parts = apart(list, places, group);
        let goal = |part: &[Value]| {
            let product = reading.product(part, number)?;
            (parts.len() > 1 || product + 1 < number).then_some(product)
        };
        let goals: Vec<Option<StepId>> = parts.iter().map(|part| goal(part)).collect();
        if goals.iter().all(Option::is_none) {
            continue;
        }
        let stay = parts.iter().zip(&goals).filter(|(_, goal)| goal.is_none());
        let mut stay: Vec<Value> = stay.flat_map(|(part, _)| part.iter().copied()).collect();
        stay.sort_unstable();
        let formed: Option<Vec<Group>> = (parts.iter().zip(&goals))
            .filter(|(_, goal)| goal.is_some())
            .map(|(part, _)| form(list, places, part))
            .collect();
        let left = if stay.is_empty() {
            Some(None)
        } else {
            form(list, places, &stay).map(Some)
        };
        if let (Some(formed), Some(left)) = (formed, left) {
            for (goal, group) in goals.into_iter().flatten().zip(formed) {
                behind.entry(goal).or_default().push(group);
            }
            rest.insert(number, left);
        }
    }
    if rest.is_empty() {
        return;
    }
    let mut ordered = Vec::with_capacity(steps.steps.len());
    for (number, step) in std::mem::take(&mut steps.steps).into_iter().enumerate() {
        let number = number as StepId;
        match rest.remove(&number) {
            None => ordered.push(step),
            Some(left) => ordered.extend(left.map(Step::Group)),
        }
        let behind = behind.remove(&number).into_iter().flatten();
        ordered.extend(behind.map(Step::Group));
    }
    for (number, step) in ordered.iter().enumerate().skip(READY as usize + 1) {
        let values = match step {
            Step::Group(group) => &group.members[..],
            Step::Scalars(values) => &values[..],
            Step::Kernel(v) => std::slice::from_ref(v),
        };
        values
            .iter()
            .for_each(|v| steps.of[v.index()] = number as StepId);
    }
    steps.steps = ordered;
}

/// Who reads what, and when.
struct Reading<'a> {
    built: &'a Rebuilt,
    places: &'a Places,
    steps: &'a Steps,
    /// By input that is overwritten: the values that read it.
    readers: FxHashMap<Value, Vec<Value>>,
    /// By value that overwrites memory: the input that stands there.
    overwrites: FxHashMap<Value, Value>,
    /// The last step that may fail.
    checked: StepId,
}

impl<'a> Reading<'a> {
    fn new(built: &'a Rebuilt, places: &'a Places, steps: &'a Steps) -> Self {
        let list = &built.list;
        let direct = built.updates.iter().zip(&steps.direct);
        let direct = direct.filter(|(_, direct)| **direct);
        let overwrites: FxHashMap<Value, Value> =
            direct.map(|(&(input, v), _)| (v, input)).collect();
        let mut readers: FxHashMap<Value, Vec<Value>> = overwrites
            .values()
            .map(|&input| (input, Vec::new()))
            .collect();
        let (mut checked, mut failing) = (READY, Failing::default());
        for v in list.values().filter(|v| steps.of[v.index()] != READY) {
            if failing.may_fail(list, v) {
                checked = checked.max(steps.of[v.index()]);
            }
            for &operand in list.args(v) {
                if let Some(readers) = readers.get_mut(&places.base(operand)) {
                    readers.push(v);
                }
            }
        }
        Self {
            built,
            places,
            steps,
            readers,
            overwrites,
            checked,
        }
    }

    /// The step of the product that `part` of the group in step `own` reads, if the part may run right behind it.
    fn product(&self, part: &[Value], own: StepId) -> Option<StepId> {
        let list = &self.built.list;
        let members: FxHashSet<Value> = part.iter().copied().collect();
        let step_of = |v: Value| self.steps.of[self.places.base(v).index()];
        let mut last = READY;
        let mut product = None;
        for &v in part {
            let operands = list.args(v).iter().copied();
            let others = operands.clone().flat_map(|x| fences(list, x));
            for x in operands
                .chain(others)
                .chain(self.built.after.get(&v).copied())
            {
                let base = self.places.base(x);
                if members.contains(&base) {
                    continue;
                }
                let step = step_of(x);
                if step >= last && list.op(base) == Op::MatMul && step != READY {
                    product = Some(step);
                }
                last = last.max(step);
            }
            if let Some(input) = self.overwrites.get(&v) {
                // Everybody else has read the old content by then, and nothing fails afterwards.
                let readers = self.readers[input].iter();
                let others = readers.filter(|reader| !members.contains(reader));
                let read = others.map(|&reader| self.steps.of[reader.index()]).max();
                last = last.max(read.unwrap_or(READY)).max(self.checked);
            }
        }
        product.filter(|&step| step == last && step < own)
    }
}

/// The members of a group by what hangs together: by results handed over, or by reading the same memory.
fn apart(list: &List, places: &Places, group: &Group) -> Vec<Vec<Value>> {
    let mut root: FxHashMap<Value, Value> = FxHashMap::default();
    for &v in &group.members {
        for &operand in list.args(v) {
            if !is_scalar(list, operand) {
                let (a, b) = (find(&mut root, v), find(&mut root, places.base(operand)));
                root.insert(a, b);
            }
        }
    }
    let mut parts: Vec<Vec<Value>> = Vec::new();
    let mut of: FxHashMap<Value, usize> = FxHashMap::default();
    for &v in &group.members {
        let number = *of.entry(find(&mut root, v)).or_insert_with(|| {
            parts.push(Vec::new());
            parts.len() - 1
        });
        parts[number].push(v);
    }
    parts
}

/// The value that stands for all that hang together with `v`.
fn find(root: &mut FxHashMap<Value, Value>, mut v: Value) -> Value {
    while let Some(&up) = root.get(&v)
        && up != v
    {
        // Halving the way for those who come later.
        let further = root.get(&up).copied().unwrap_or(up);
        root.insert(v, further);
        v = further;
    }
    v
}

/// A group of these members, in list order.
fn form(list: &List, places: &Places, members: &[Value]) -> Option<Group> {
    let mut group = Group::open(list, *members.first()?);
    for (i, &v) in members.iter().enumerate() {
        let inside = |base: Value| members[..i].binary_search(&base).is_ok();
        let fit = group.fits(list, places, v, inside)?;
        group.join(list, v, fit);
    }
    Some(group)
}
