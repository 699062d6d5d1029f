//! Assigns every instruction to a step. Elementwise instructions over one iteration space, and the reductions that end
//! them or run along their rows, share a step: a *group*, replayed tile by tile in one pass over memory.
//!
//! Greedy, in list order: an instruction joins the earliest group that can take it, after all its operands; else it
//! opens a step at the end. Joining an early step is safe because nobody that comes later has been placed yet.
//!
//! A group's *axes* are the extents above 1 of its full shape. Every member is either full (varies along all axes) or,
//! if the group has row reductions, a column (varies along a prefix of the axes, constant along the rest). Adjacent axes
//! are merged unless a *cut* keeps them apart; a reduction makes the axes it spans *solid*, so that the order in which
//! it adds depends on its own operand's shape alone and never on what it was fused with.

use retrograde_ops::tile::Width;
use retrograde_storage::{DType, Id, MAX_RANK, View};

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

/// How many elements of the innermost extents make a row of a sum over everything. Shapes with a tiny last extent would
/// waste most lanes of a packet on padding.
const SUM_ROW: usize = 32;

/// Members of one group at most: slot numbers are 16 bits, and a group this long gains nothing from growing.
const MEMBERS: usize = 12_000;

/// A fused group being built.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Extents above 1 of the full shape, outermost first.
    pub axes: Vec<usize>,
    /// Bit `i`: axes `i` and `i + 1` must not be merged.
    pub cuts: u8,
    /// Bit `i`: axes `i` and `i + 1` must be merged.
    solid: u8,
    /// Columns vary along axes `..column` only.
    pub column: Option<usize>,
    /// In list order.
    pub members: Vec<Value>,
    /// Size of a lane.
    pub width: Option<Width>,
}

/// Result of the pass.
pub(crate) struct Steps {
    /// In order of execution.
    pub steps: Vec<Step>,
    /// By value: the step that computes it.
    pub of: Vec<StepId>,
    /// By update: whether its step may write the memory it updates, because nobody reads the old content afterwards.
    pub direct: Vec<bool>,
}

/// Extents above 1, with the axis each stands on.
fn wide(dims: &[usize]) -> impl Iterator<Item = (usize, usize)> + '_ {
    dims.iter().copied().enumerate().filter(|&(_, d)| d != 1)
}

/// Whether `v` is one element, kept in a scalar cell.
pub(crate) fn is_scalar(list: &List, v: Value) -> bool {
    list.dims(v).iter().all(|&d| d == 1)
}

fn lane(dtype: DType) -> Option<Width> {
    match dtype {
        DType::F32 | DType::U32 => Some(Width::Four),
        DType::F64 | DType::I64 => Some(Width::Eight),
        DType::Bool => None,
    }
}

impl Group {
    fn open(list: &List, full: Value) -> Self {
        Self {
            axes: wide(list.dims(full)).map(|(_, d)| d).collect(),
            cuts: 0,
            solid: 0,
            column: None,
            members: Vec::new(),
            width: None,
        }
    }

    /// Merged extents `[o, m, n]`.
    pub(crate) fn space(&self) -> [usize; 3] {
        let mut space = [1; 3];
        for (axis, &extent) in self.axes.iter().enumerate() {
            space[self.segment(axis)] *= extent;
        }
        space
    }

    /// Which of `o`, `m`, `n` an axis is merged into.
    pub(crate) fn segment(&self, axis: usize) -> usize {
        2 - (self.cuts >> axis).count_ones() as usize
    }

    /// Strides over `[o, m, n]` of a value whose stride along each axis is known.
    pub(crate) fn strides(&self, by_axis: &[isize]) -> [isize; 3] {
        let mut strides = [0; 3];
        for (axis, &stride) in by_axis.iter().enumerate() {
            // The last axis of a segment has the step between neighbours.
            strides[self.segment(axis)] = stride;
        }
        strides
    }

    /// Strides by axis of a dense result that varies along the first `vary` axes.
    pub(crate) fn dense(&self, vary: usize) -> Vec<isize> {
        let mut strides = vec![0; self.axes.len()];
        let mut step = 1;
        for axis in (0..vary).rev() {
            strides[axis] = step;
            step *= self.axes[axis] as isize;
        }
        strides
    }

    /// How many leading axes a member of these extents varies along: all, or the column prefix.
    pub(crate) fn vary(&self, dims: &[usize]) -> Option<usize> {
        let is_prefix = |n: usize| {
            wide(dims)
                .map(|(_, d)| d)
                .eq(self.axes[..n].iter().copied())
        };
        [Some(self.axes.len()), self.column]
            .into_iter()
            .flatten()
            .find(|&n| is_prefix(n))
    }

    /// Boundaries that these strides cannot be merged across.
    fn cuts_of(&self, by_axis: &[isize]) -> u8 {
        if self.axes.contains(&0) {
            // No element is ever addressed: any strides will do.
            return 0;
        }
        (0..self.axes.len().saturating_sub(1))
            .filter(|&i| by_axis[i] != by_axis[i + 1] * self.axes[i + 1] as isize)
            .fold(0, |cuts, i| cuts | 1 << i)
    }

    fn accepts(&self, cuts: u8, solid: u8) -> bool {
        cuts & solid == 0 && cuts.count_ones() <= 2
    }
}

/// Boundaries inside `from..to`.
fn inside(from: usize, to: usize) -> u8 {
    (from + 1..to).fold(0, |bits, axis| bits | 1 << (axis - 1))
}

/// The boundary before `axis`, if there is one inside `0..end`.
fn before(axis: usize, end: usize) -> u8 {
    if axis == 0 || axis >= end {
        0
    } else {
        1 << (axis - 1)
    }
}

pub(crate) struct Fuser<'a> {
    list: &'a List,
    places: &'a Places,
    fuse: bool,
    steps: Vec<Step>,
    of: Vec<StepId>,
    /// By value: the first step that may overwrite its memory element by element as a group runs...
    overwrite_in: Vec<StepId>,
    /// ...and the first that may overwrite it in any order.
    overwrite_by: Vec<StepId>,
}

/// Strides by axis of an operand, given how the dims of its user map to axes.
pub(crate) fn operand_strides(
    view: &View,
    user_dims: &[usize],
    axes: usize,
    vary: usize,
) -> Option<Vec<isize>> {
    let mut strides = vec![0; axes];
    let lead = user_dims.len() - view.shape.rank();
    let mut axis = 0;
    for (d, &extent) in user_dims.iter().enumerate() {
        if extent == 1 {
            continue;
        }
        if axis >= vary {
            return None;
        }
        if d >= lead && view.shape.dims()[d - lead] != 1 {
            strides[axis] = view.strides[d - lead];
        }
        axis += 1;
    }
    Some(strides)
}

impl Fuser<'_> {
    /// Whether an operand computed in the group is seen by its user at the same place of the iteration space.
    fn aligned(&self, group: &Group, operand: Value, by_axis: &[isize]) -> bool {
        let base = self.places.base(operand);
        let Some(vary) = group.vary(self.list.dims(base)) else {
            return false;
        };
        self.places.view(operand).offset == 0 && by_axis == group.dense(vary)
    }

    /// The cuts and solid boundaries that `v` adds to a group, or `None` if the group cannot take it.
    fn fits(&self, step: StepId, group: &Group, v: Value) -> Option<(u8, u8, Option<usize>)> {
        let list = self.list;
        if group.members.len() >= MEMBERS {
            return None;
        }
        let axes = group.axes.len();
        let (mut cuts, mut solid, mut column) = (group.cuts, group.solid, group.column);
        // The shape that operands broadcast to, and how many leading axes it spans.
        let (dims, vary) = if let Op::Reduce(_) = list.op(v) {
            let dims = list.dims(list.arg(v, 0));
            if group.vary(dims) != Some(axes) {
                return None;
            }
            let (from, to) = reduced_axes(dims, list.attr(v).as_axes());
            if from > 0 && to == axes {
                if column.is_some_and(|c| c != from) {
                    return None;
                }
                column = Some(from);
                cuts |= before(from, axes);
                solid |= inside(from, axes);
            } else if from == 0 && to == axes {
                let row = sum_row_start(&group.axes);
                cuts |= before(row, axes);
                solid |= inside(row, axes);
            } else {
                cuts |= before(from, axes) | before(to, axes);
                solid |= inside(to, axes);
                if from > 0 {
                    solid |= inside(from, to) | inside(0, from);
                }
            }
            (dims, axes)
        } else {
            let dims = list.dims(v);
            (dims, group.vary(dims)?)
        };
        if vary < axes && dims.len() > MAX_RANK {
            return None;
        }
        for &operand in list.args(v) {
            if let Some(width) = lane(list.dtype(operand))
                && group.width.is_some_and(|w| w != width)
            {
                return None;
            }
            if is_scalar(list, operand) {
                continue;
            }
            let by_axis = operand_strides(self.places.view(operand), dims, axes, vary)?;
            let base = self.places.base(operand);
            if self.of[base.index()] == step && step != READY {
                if !self.aligned(group, operand, &by_axis) || ends_group(list, base, group) {
                    return None;
                }
            } else {
                cuts |= group.cuts_of(&by_axis);
            }
        }
        if let Some(width) = lane(list.dtype(v))
            && group.width.is_some_and(|w| w != width)
        {
            return None;
        }
        group.accepts(cuts, solid).then_some((cuts, solid, column))
    }

    fn join(&mut self, step: StepId, v: Value, (cuts, solid, column): (u8, u8, Option<usize>)) {
        let list = self.list;
        let Step::Group(group) = &mut self.steps[step as usize] else {
            unreachable!("only groups are joined")
        };
        (group.cuts, group.solid, group.column) = (cuts, solid, column);
        let operands = list.args(v).iter().copied().chain([v]);
        group.width = group
            .width
            .or_else(|| operands.filter_map(|o| lane(list.dtype(o))).next());
        group.members.push(v);
        self.of[v.index()] = step;
    }

    fn place(&mut self, v: Value, earliest: StepId) {
        let list = self.list;
        let fusible = list.op(v).is_elementwise() || matches!(list.op(v), Op::Reduce(_));
        let full = if let Op::Reduce(_) = list.op(v) {
            list.arg(v, 0)
        } else {
            v
        };
        if is_scalar(list, v) && list.op(v).is_elementwise() {
            let start = earliest.max(1);
            let found = (start..self.steps.len() as StepId)
                .find(|&s| matches!(self.steps[s as usize], Step::Scalars(_)));
            let step = found.unwrap_or_else(|| self.push(Step::Scalars(Vec::new())));
            let Step::Scalars(values) = &mut self.steps[step as usize] else {
                unreachable!("just found")
            };
            values.push(v);
            self.of[v.index()] = step;
        } else if fusible && !is_scalar(list, full) && !width_changes(list, v) {
            if self.fuse {
                for step in earliest.max(1)..self.steps.len() as StepId {
                    if let Step::Group(group) = &self.steps[step as usize]
                        && let Some(found) = self.fits(step, group, v)
                    {
                        return self.join(step, v, found);
                    }
                }
            }
            let step = self.push(Step::Group(Group::open(list, full)));
            let Step::Group(group) = &self.steps[step as usize] else {
                unreachable!("just pushed")
            };
            match self.fits(step, group, v) {
                Some(found) => self.join(step, v, found),
                None => unreachable!("legalise made every instruction fit a group of its own"),
            }
        } else {
            let step = self.push(Step::Kernel(v));
            self.of[v.index()] = step;
        }
    }

    fn push(&mut self, step: Step) -> StepId {
        self.steps.push(step);
        self.steps.len() as StepId - 1
    }
}

/// The wide axes that a reduction spans, as a range (lowering has made them adjacent).
pub(crate) fn reduced_axes(dims: &[usize], mask: u8) -> (usize, usize) {
    let mut range = None;
    for (nth, (axis, _)) in wide(dims).enumerate() {
        if mask >> axis & 1 == 1 {
            range = Some((range.map_or(nth, |(from, _)| from), nth + 1));
        }
    }
    range.unwrap_or((0, 0))
}

/// First of the innermost axes that make a row of a sum over everything.
fn sum_row_start(axes: &[usize]) -> usize {
    let mut row = 1;
    let mut start = axes.len();
    while start > 0 && row < SUM_ROW {
        start -= 1;
        row *= axes[start].max(1);
    }
    start
}

/// Whether `v` is a reduction whose result is only known when the whole group has run.
pub(crate) fn ends_group(list: &List, v: Value, group: &Group) -> bool {
    matches!(list.op(v), Op::Reduce(_)) && {
        let (from, to) = reduced_axes(list.dims(list.arg(v, 0)), list.attr(v).as_axes());
        from == 0 || to != group.axes.len()
    }
}

/// Whether `v` converts between lanes of different size, which no group can hold.
fn width_changes(list: &List, v: Value) -> bool {
    let widths: Vec<_> = list
        .args(v)
        .iter()
        .chain([&v])
        .filter_map(|&o| lane(list.dtype(o)))
        .collect();
    widths.windows(2).any(|w| w[0] != w[1])
}

/// Whether `v` would fit a group of its own. If not, its operands have more than three axes that strides keep apart, and
/// must be copied into dense memory first.
pub(crate) fn fits_alone(list: &List, places: &Places, v: Value) -> bool {
    let full = if let Op::Reduce(_) = list.op(v) {
        list.arg(v, 0)
    } else {
        v
    };
    let fusible = list.op(v).is_elementwise() || matches!(list.op(v), Op::Reduce(_));
    if !fusible || is_scalar(list, full) || width_changes(list, v) {
        return true;
    }
    // No step is READY + 1 yet, so every operand counts as memory.
    let none = Vec::new();
    let alone = Fuser {
        list,
        places,
        fuse: false,
        steps: none,
        of: vec![READY; list.len()],
        overwrite_in: Vec::new(),
        overwrite_by: Vec::new(),
    };
    alone.fits(READY + 1, &Group::open(list, full), v).is_some()
}

/// Runs the pass.
pub(crate) fn assign(built: &Rebuilt, places: &Places, fuse: bool) -> Steps {
    let list = &built.list;
    let mut needed = vec![false; list.len()];
    built
        .outputs
        .iter()
        .chain(built.updates.iter().map(|(_, v)| v))
        .for_each(|v| needed[v.index()] = true);
    for row in (0..list.len()).rev() {
        if needed[row] {
            list.args(Value::from_index(row))
                .iter()
                .for_each(|a| needed[a.index()] = true);
        }
    }
    let mut fuser = Fuser {
        list,
        places,
        fuse,
        // Step 0 is a place for what is ready: it computes nothing.
        steps: vec![Step::Scalars(Vec::new())],
        of: vec![READY; list.len()],
        overwrite_in: vec![READY; list.len()],
        overwrite_by: vec![READY; list.len()],
    };
    for v in list.values() {
        if !needed[v.index()]
            || matches!(list.op(v), Op::Input | Op::Const | Op::Uniform)
            || !(places.is_base(v) || list.op(v) == Op::CheckIndex)
        {
            continue;
        }
        // After the steps of all operands: the same step only where it is a group that hands them over in slots, or
        // the scalar interpreter, which runs in order.
        let mut earliest = READY;
        for &operand in list.args(v) {
            let base = places.base(operand);
            let step = fuser.of[base.index()];
            let shares = step != READY
                && match &fuser.steps[step as usize] {
                    Step::Group(group) => !ends_group(list, base, group),
                    Step::Scalars(_) => is_scalar(list, v) && list.op(v).is_elementwise(),
                    Step::Kernel(_) => false,
                };
            earliest = earliest.max(if step == READY || shares {
                step
            } else {
                step + 1
            });
        }
        // Memory that receives an update must have been read by everybody who wants the old content.
        for &(input, value) in &built.updates {
            if value == v {
                earliest = earliest.max(fuser.overwrite_in[input.index()]);
            }
        }
        fuser.place(v, earliest);
        let step = fuser.of[v.index()];
        for &operand in list.args(v) {
            let base = places.base(operand).index();
            fuser.overwrite_by[base] = fuser.overwrite_by[base].max(step + 1);
            // A group reads element i of a dense full operand in the tile that may then write element i.
            let in_place = matches!(&fuser.steps[step as usize], Step::Group(_))
                && places.view(operand).is_dense()
                && list.shape(operand) == list.shape(v);
            let after = if in_place { step } else { step + 1 };
            fuser.overwrite_in[base] = fuser.overwrite_in[base].max(after);
        }
    }
    // An update goes straight to its memory where everybody who reads the old content is done; else it is copied last.
    let direct = built.updates.iter().map(|&(input, v)| {
        let step = fuser.of[v.index()];
        let limit = match &fuser.steps[step as usize] {
            Step::Group(group) if group.members.contains(&v) && !ends_group(list, v, group) => {
                fuser.overwrite_in[input.index()]
            }
            _ => fuser.overwrite_by[input.index()],
        };
        step != READY && places.is_base(v) && step >= limit
    });
    Steps {
        direct: direct.collect(),
        steps: fuser.steps,
        of: fuser.of,
    }
}
