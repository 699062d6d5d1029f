//! Assigns every instruction to a step. Elementwise instructions over one iteration space, and the reductions that end
//! them or run along their rows, share a step: a [`Group`], replayed tile by tile in one pass over memory.
//!
//! Greedy, in list order: an instruction joins the earliest group that can take it, after all its operands; else it
//! opens a step at the end. Joining an early step is safe because nobody that comes later has been placed yet.

use retrograde_storage::{Id, MAX_RANK};
use rustc_hash::{FxHashMap, FxHashSet};

pub(crate) use super::group::{Group, ends_group, is_scalar, operand_strides, reduced_axes};
use super::group::{extents, is_fusible, iterated};
use super::places::Places;
use super::rebuild::Rebuilt;
use crate::list::{List, Value};
use crate::op::Op;

/// Number of a step; leaves are ready before all steps.
pub(crate) type StepId = u32;
/// The step of leaves and of values that need no step.
pub(crate) const READY: StepId = 0;

/// A step of a program, before its kernels are made.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Fused elementwise instructions and reductions.
    Group(Group),
    /// Instructions on single elements, run by the scalar interpreter.
    Scalars(Vec<Value>),
    /// One instruction with a kernel of its own.
    Kernel(Value),
}

/// Result of the pass.
pub(crate) struct Steps {
    /// In order of execution.
    pub steps: Vec<Step>,
    /// By value: the step that computes it.
    pub of: Vec<StepId>,
    /// By update: whether its step may write the memory it updates: nobody reads the old content afterwards, and nothing
    /// that comes later can fail.
    pub direct: Vec<bool>,
}

/// Steps by extents, in order.
type ByAxes = FxHashMap<Vec<usize>, Vec<StepId>>;

/// The groups that may take an instruction, found by its extents above 1: among thousands of groups few have its shape.
#[derive(Default)]
struct Candidates {
    /// By axes: the groups that have them, in order.
    full: ByAxes,
    /// By leading axes: the groups whose columns vary along these, in order.
    column: ByAxes,
}

impl Candidates {
    fn add(map: &mut ByAxes, axes: &[usize], step: StepId) {
        let steps = map.entry(axes.to_vec()).or_default();
        // Nearly always at the end.
        let at = steps.partition_point(|&s| s < step);
        if steps.get(at) != Some(&step) {
            steps.insert(at, step);
        }
    }

    fn remove(map: &mut ByAxes, axes: &[usize], step: StepId) {
        if let Some(steps) = map.get_mut(axes)
            && let Ok(at) = steps.binary_search(&step)
        {
            steps.remove(at);
        }
    }

    /// Groups of these axes from `earliest` on, those first that come first.
    fn of(&self, axes: &[usize], earliest: StepId) -> impl Iterator<Item = StepId> {
        let (mut full, mut column) = (
            from(&self.full, axes, earliest),
            from(&self.column, axes, earliest),
        );
        std::iter::from_fn(move || match (full.peek(), column.peek()) {
            (Some(a), Some(b)) if b < a => column.next().copied(),
            (Some(_), _) => full.next().copied(),
            _ => column.next().copied(),
        })
    }
}

/// The steps under `axes` from `earliest` on.
fn from<'a>(
    map: &'a ByAxes,
    axes: &[usize],
    earliest: StepId,
) -> std::iter::Peekable<std::slice::Iter<'a, StepId>> {
    let steps = map.get(axes).map_or(&[][..], Vec::as_slice);
    let first = steps.partition_point(|&s| s < earliest);
    steps[first..].iter().peekable()
}

/// Tells what may fail when asked in list order: a scatter cannot where a gather before it has looked at the same indices.
#[derive(Default)]
pub(crate) struct Failing {
    /// Indices, and below what they are.
    looked_at: FxHashSet<(Value, usize)>,
}

impl Failing {
    /// Whether `v`, which is run, may fail although nothing before it has.
    pub(crate) fn may_fail(&mut self, list: &List, v: Value) -> bool {
        let indices = |indexed: Value| {
            let axis = list.attr(v).as_axis();
            (list.arg(v, 1), list.dims(indexed)[axis])
        };
        match list.op(v) {
            Op::Gather if !list.shape(v).is_empty() => {
                self.looked_at.insert(indices(list.arg(v, 0)));
                true
            }
            Op::ScatterAdd => !self.looked_at.contains(&indices(v)),
            _ => list.may_fail(v),
        }
    }
}

struct Fuser<'a> {
    list: &'a List,
    places: &'a Places,
    fuse: bool,
    steps: Vec<Step>,
    of: Vec<StepId>,
    candidates: Candidates,
    /// The steps of scalar instructions, in order.
    scalars: Vec<StepId>,
    /// By value: the first step that may overwrite its memory element by element as a group runs...
    overwrite_in: Vec<StepId>,
    /// ...and the first that may overwrite it in any order.
    overwrite_by: Vec<StepId>,
    /// The first step after everything that may fail: a run that fails has updated nothing.
    checked: StepId,
    failing: Failing,
}

impl<'a> Fuser<'a> {
    fn new(list: &'a List, places: &'a Places, fuse: bool) -> Self {
        Self {
            list,
            places,
            fuse,
            // Step 0 is a place for what is ready: it computes nothing.
            steps: vec![Step::Scalars(Vec::new())],
            of: vec![READY; list.len()],
            candidates: Candidates::default(),
            scalars: Vec::new(),
            overwrite_in: vec![READY; list.len()],
            overwrite_by: vec![READY; list.len()],
            checked: READY,
            failing: Failing::default(),
        }
    }

    /// The first step that may compute `v`, after the steps of all operands: the same step only where it is a group that
    /// hands them over in slots, or the scalar interpreter, which runs in order. `waits` is one operand more.
    fn earliest(&self, v: Value, waits: Option<Value>) -> StepId {
        let list = self.list;
        let operands = list.args(v).iter().copied();
        let fences = operands.clone().flat_map(|x| fences(list, x));
        let after = operands.chain(fences).chain(waits).map(|operand| {
            let base = self.places.base(operand);
            let step = self.of[base.index()];
            let shares = match &self.steps[step as usize] {
                _ if step == READY => true,
                Step::Group(group) => !ends_group(list, base, group),
                Step::Scalars(_) => is_scalar(list, v) && list.op(v).is_elementwise(),
                Step::Kernel(_) => false,
            };
            if shares { step } else { step + 1 }
        });
        after.max().unwrap_or(READY)
    }

    /// Places `v` in a step from `earliest` on.
    fn place(&mut self, v: Value, earliest: StepId) {
        let step = if is_scalar(self.list, v) && self.list.op(v).is_elementwise() {
            self.with_scalars(v, earliest)
        } else if is_fusible(self.list, v) {
            self.with_group(v, earliest)
        } else {
            self.push(Step::Kernel(v))
        };
        self.of[v.index()] = step;
    }

    fn with_scalars(&mut self, v: Value, earliest: StepId) -> StepId {
        let at = self.scalars.partition_point(|&s| s < earliest);
        if let Some(&step) = self.scalars.get(at)
            && let Step::Scalars(values) = &mut self.steps[step as usize]
        {
            values.push(v);
            return step;
        }
        let step = self.push(Step::Scalars(vec![v]));
        self.scalars.push(step);
        step
    }

    fn with_group(&mut self, v: Value, earliest: StepId) -> StepId {
        let (list, places) = (self.list, self.places);
        if self.fuse {
            let mut axes = [0; MAX_RANK];
            let wide = extents(list.dims(iterated(list, v)));
            let rank = wide.zip(&mut axes).map(|(d, to)| *to = d).count();
            let axes = &axes[..rank];
            let (of, steps) = (&self.of, &mut self.steps);
            let mut changed = false;
            let joined = self.candidates.of(axes, earliest).find(|&step| {
                let Step::Group(group) = &mut steps[step as usize] else {
                    return false;
                };
                let inside = |base: Value| of[base.index()] == step;
                let Some(fit) = group.fits(list, places, v, inside) else {
                    return false;
                };
                let column = group.column;
                group.join(list, v, fit);
                changed = group.column != column || group.is_full();
                true
            });
            if let Some(step) = joined {
                if changed {
                    self.offer(step);
                }
                return step;
            }
        }
        let mut own = Group::open(list, v);
        // What fits no group, though legalising should have seen to it, is left to the kernels, which refuse it.
        let Some(fit) = own.fits(list, places, v, |_| false) else {
            return self.push(Step::Kernel(v));
        };
        own.join(list, v, fit);
        let step = self.push(Step::Group(own));
        self.offer(step);
        step
    }

    /// Lets the group of `step` be found by what it may take now.
    fn offer(&mut self, step: StepId) {
        let Step::Group(group) = &self.steps[step as usize] else {
            return;
        };
        let Candidates { full, column } = &mut self.candidates;
        let (axes, columns) = (&group.axes, group.column.map(|n| &group.axes[..n]));
        if group.is_full() {
            Candidates::remove(full, axes, step);
            columns
                .into_iter()
                .for_each(|c| Candidates::remove(column, c, step));
        } else {
            Candidates::add(full, axes, step);
            columns
                .into_iter()
                .for_each(|c| Candidates::add(column, c, step));
        }
    }

    fn push(&mut self, step: Step) -> StepId {
        self.steps.push(step);
        self.steps.len() as StepId - 1
    }

    /// Notes that `v`, now placed, reads its operands: from when on their memory may be overwritten. And from when on
    /// nothing fails any more.
    fn reads(&mut self, v: Value) {
        let (list, places) = (self.list, self.places);
        let step = self.of[v.index()];
        if self.failing.may_fail(list, v) {
            self.checked = self.checked.max(step + 1);
        }
        let in_group = matches!(&self.steps[step as usize], Step::Group(_));
        for &operand in list.args(v) {
            let base = places.base(operand).index();
            self.overwrite_by[base] = self.overwrite_by[base].max(step + 1);
            // A group reads element i of a dense full operand in the tile that may then write element i.
            let in_place =
                in_group && places.view(operand).is_dense() && list.shape(operand) == list.shape(v);
            let after = if in_place { step } else { step + 1 };
            self.overwrite_in[base] = self.overwrite_in[base].max(after);
        }
    }

    /// Whether `v` may go straight to the memory of `input`, because everybody who reads the old content is done.
    fn is_direct(&self, input: Value, v: Value) -> bool {
        let step = self.of[v.index()];
        let limit = match &self.steps[step as usize] {
            // A column is stored by one tile of its row, while others may still load it.
            Step::Group(group)
                if !ends_group(self.list, v, group)
                    && group.vary(self.list.dims(v)) == Some(group.axes.len()) =>
            {
                &self.overwrite_in
            }
            _ => &self.overwrite_by,
        };
        step != READY && self.places.is_base(v) && step >= limit[input.index()].max(self.checked)
    }
}

/// What is to be there before instructions that read `x` are run.
pub(super) fn fences(list: &List, mut x: Value) -> impl Iterator<Item = Value> {
    std::iter::from_fn(move || {
        while list.op(x).is_view() {
            let before = x;
            x = list.arg(x, 0);
            if list.op(before) == Op::After {
                return Some(list.arg(before, 1));
            }
        }
        None
    })
}

/// Runs the pass.
pub(crate) fn assign(built: &Rebuilt, places: &Places, fuse: bool) -> Steps {
    let list = &built.list;
    let needed = needed(built);
    // Memory that receives a value, by value.
    let mut receivers: Vec<(Value, Value)> = built.updates.iter().map(|&(to, v)| (v, to)).collect();
    receivers.sort_unstable();
    let mut receivers = receivers.into_iter().peekable();
    let mut fuser = Fuser::new(list, places, fuse);
    for v in list.values() {
        // A check has a step, although its result is its operand.
        let has_step = places.is_base(v) || list.op(v) == Op::CheckIndex;
        let mut earliest = fuser.earliest(v, built.after.get(&v).copied());
        while let Some((value, input)) = receivers.next_if(|r| r.0 <= v) {
            if value == v {
                // It must have been read by everybody who wants the old content.
                earliest = earliest
                    .max(fuser.overwrite_in[input.index()])
                    .max(fuser.checked);
            }
        }
        if needed[v.index()]
            && has_step
            && !matches!(list.op(v), Op::Input | Op::Const | Op::Uniform)
        {
            // Step 0 is no step to join.
            fuser.place(v, earliest.max(READY + 1));
            fuser.reads(v);
        }
    }
    let direct = built.updates.iter();
    Steps {
        direct: direct
            .map(|&(input, v)| fuser.is_direct(input, v))
            .collect(),
        steps: fuser.steps,
        of: fuser.of,
    }
}

/// By value: whether an output or update needs it.
fn needed(built: &Rebuilt) -> Vec<bool> {
    let list = &built.list;
    let mut needed = vec![false; list.len()];
    let updated = built.updates.iter().map(|(_, v)| v);
    for v in built.outputs.iter().chain(updated) {
        needed[v.index()] = true;
    }
    for v in list.values().rev() {
        if needed[v.index()] {
            let args = list.args(v).iter();
            args.for_each(|a| needed[a.index()] = true);
        }
    }
    needed
}
