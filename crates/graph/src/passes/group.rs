//! What a fused group can take: its iteration space, and how the operands of its members are read over it.
//!
//! A group's *axes* are the extents above 1 of its full shape. Every member is either full (varies along all axes) or,
//! if the group has row reductions, a column (varies along a prefix of the axes, constant along the rest). Adjacent axes
//! are merged unless a *cut* keeps them apart; a reduction makes the axes it spans *solid*, so that the order in which
//! it adds depends on its own operand's shape alone and never on what it was fused with.

use retrograde_ops::tile::Width;
use retrograde_storage::{DType, MAX_RANK, View};

use super::places::Places;
use crate::list::{List, Value};
use crate::op::Op;

/// How many elements of the innermost extents make a row of a sum over everything. Shapes with a tiny last extent would
/// waste most lanes of a packet on padding.
const SUM_ROW: usize = 32;

/// Members of one group at most: slot numbers are 16 bits, and a group this long gains nothing from growing.
const MEMBERS: usize = 12_000;

/// Strides by axis of a group; 0 beyond its axes.
pub(crate) type ByAxis = [isize; MAX_RANK];

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

/// What a group becomes with one more member.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fit {
    cuts: u8,
    solid: u8,
    column: Option<usize>,
}

impl Group {
    /// A group for `v`, without members yet.
    pub(super) fn open(list: &List, v: Value) -> Self {
        Self {
            axes: extents(list.dims(iterated(list, v))).collect(),
            cuts: 0,
            solid: 0,
            column: None,
            members: Vec::new(),
            width: None,
        }
    }

    /// Whether it takes no more members, whatever they are.
    pub(super) fn is_full(&self) -> bool {
        self.members.len() >= MEMBERS
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
    pub(crate) fn strides(&self, by_axis: &ByAxis) -> [isize; 3] {
        let mut strides = [0; 3];
        for (axis, &stride) in by_axis[..self.axes.len()].iter().enumerate() {
            // The last axis of a segment has the step between neighbours.
            strides[self.segment(axis)] = stride;
        }
        strides
    }

    /// Strides by axis of a dense result that varies along the first `vary` axes.
    pub(crate) fn dense(&self, vary: usize) -> ByAxis {
        let mut strides = [0; MAX_RANK];
        let mut step = 1;
        for axis in (0..vary).rev() {
            strides[axis] = step;
            step *= self.axes[axis] as isize;
        }
        strides
    }

    /// How many leading axes a member of these extents varies along: all, or the column prefix.
    pub(crate) fn vary(&self, dims: &[usize]) -> Option<usize> {
        [Some(self.axes.len()), self.column]
            .into_iter()
            .flatten()
            .find(|&n| extents(dims).eq(self.axes[..n].iter().copied()))
    }

    /// Boundaries that these strides cannot be merged across.
    fn cuts_of(&self, by_axis: &ByAxis) -> u8 {
        if self.axes.contains(&0) {
            // No element is ever addressed: any strides will do.
            return 0;
        }
        (0..self.axes.len().saturating_sub(1))
            .filter(|&i| by_axis[i] != by_axis[i + 1] * self.axes[i + 1] as isize)
            .fold(0, |cuts, i| cuts | 1 << i)
    }

    /// Whether an operand computed in the group is seen by its user at the same place of the iteration space.
    fn aligned(&self, list: &List, places: &Places, operand: Value, by_axis: &ByAxis) -> bool {
        let vary = self.vary(list.dims(places.base(operand)));
        places.view(operand).offset == 0 && vary.is_some_and(|vary| *by_axis == self.dense(vary))
    }

    /// Whether a value of this type can live in the group's lanes.
    fn has_lanes_for(&self, dtype: DType) -> bool {
        match (lane(dtype), self.width) {
            (Some(lane), Some(width)) => lane == width,
            _ => true,
        }
    }

    /// What the group becomes when `v` joins, or `None` if it cannot take it. `inside` tells whether a base is computed
    /// in the group.
    pub(super) fn fits(
        &self,
        list: &List,
        places: &Places,
        v: Value,
        inside: impl Fn(Value) -> bool,
    ) -> Option<Fit> {
        if self.is_full() || !self.has_lanes_for(list.dtype(v)) {
            return None;
        }
        let axes = self.axes.len();
        // The shape that operands broadcast to, and how many leading axes it spans.
        let dims = list.dims(iterated(list, v));
        let vary = self.vary(dims)?;
        let mut fit = Fit {
            cuts: self.cuts,
            solid: self.solid,
            column: self.column,
        };
        if let Op::Reduce(_) = list.op(v) {
            if vary != axes {
                return None;
            }
            self.reduce(&mut fit, reduced_axes(dims, list.attr(v).as_axes()))?;
        }
        for &operand in list.args(v) {
            if !self.has_lanes_for(list.dtype(operand)) {
                return None;
            }
            if is_scalar(list, operand) {
                continue;
            }
            let by_axis = operand_strides(places.view(operand), dims, vary)?;
            let base = places.base(operand);
            if !inside(base) {
                fit.cuts |= self.cuts_of(&by_axis);
            } else if !self.aligned(list, places, operand, &by_axis) || ends_group(list, base, self)
            {
                return None;
            }
        }
        (fit.cuts & fit.solid == 0 && fit.cuts.count_ones() <= 2).then_some(fit)
    }

    /// Adds what a reduction over axes `from..to` asks for.
    fn reduce(&self, fit: &mut Fit, (from, to): (usize, usize)) -> Option<()> {
        let axes = self.axes.len();
        if from > 0 && to == axes {
            if fit.column.is_some_and(|c| c != from) {
                return None;
            }
            fit.column = Some(from);
            fit.cuts |= before(from, axes);
            fit.solid |= inner(from, axes);
        } else if from == 0 && to == axes {
            let row = sum_row_start(&self.axes);
            fit.cuts |= before(row, axes);
            fit.solid |= inner(row, axes);
        } else {
            fit.cuts |= before(from, axes) | before(to, axes);
            fit.solid |= inner(to, axes);
            if from > 0 {
                fit.solid |= inner(from, to) | inner(0, from);
            }
        }
        Some(())
    }

    /// Adds a member that [`fits`](Self::fits).
    pub(super) fn join(&mut self, list: &List, v: Value, fit: Fit) {
        (self.cuts, self.solid, self.column) = (fit.cuts, fit.solid, fit.column);
        let mut operands = list.args(v).iter().copied().chain([v]);
        self.width = self
            .width
            .or_else(|| operands.find_map(|o| lane(list.dtype(o))));
        self.members.push(v);
    }
}

/// What an instruction iterates over: its own elements, or those it reduces.
pub(super) fn iterated(list: &List, v: Value) -> Value {
    match list.op(v) {
        Op::Reduce(_) => list.arg(v, 0),
        _ => v,
    }
}

/// Extents above 1.
pub(super) fn extents(dims: &[usize]) -> impl Iterator<Item = usize> + '_ {
    dims.iter().copied().filter(|&d| d != 1)
}

/// Whether `v` is one element, kept in a scalar cell.
pub(crate) fn is_scalar(list: &List, v: Value) -> bool {
    list.dims(v).iter().all(|&d| d == 1)
}

/// Size of the lanes that hold a type; masks fit any.
fn lane(dtype: DType) -> Option<Width> {
    match dtype {
        DType::F32 | DType::U32 => Some(Width::Four),
        DType::F64 | DType::I64 => Some(Width::Eight),
        DType::Bool => None,
    }
}

/// Boundaries inside `from..to`.
fn inner(from: usize, to: usize) -> u8 {
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

/// Strides by axis of an operand, given how the dims of its user map to axes.
pub(crate) fn operand_strides(view: &View, user_dims: &[usize], vary: usize) -> Option<ByAxis> {
    let mut strides = [0; MAX_RANK];
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

/// The axes of a group that a reduction spans, as a range (lowering has made them adjacent).
pub(crate) fn reduced_axes(dims: &[usize], mask: u8) -> (usize, usize) {
    let wide = (0..dims.len()).filter(|&axis| dims[axis] != 1);
    let mut range = None;
    for (nth, axis) in wide.enumerate() {
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

/// Whether `v` is of the kind that groups hold: elementwise or a reduction, of many elements, with lanes of one size.
pub(super) fn is_fusible(list: &List, v: Value) -> bool {
    let fuses = list.op(v).is_elementwise() || matches!(list.op(v), Op::Reduce(_));
    fuses && !is_scalar(list, iterated(list, v)) && {
        let operands = list.args(v).iter().chain([&v]);
        let mut lanes = operands.filter_map(|&o| lane(list.dtype(o)));
        lanes
            .next()
            .is_none_or(|first| lanes.all(|lane| lane == first))
    }
}

/// Whether `v` would fit a group of its own. If not, its operands have more than three axes that strides keep apart, and
/// must be copied into dense memory first.
pub(crate) fn fits_alone(list: &List, places: &Places, v: Value) -> bool {
    !is_fusible(list, v)
        || Group::open(list, v)
            .fits(list, places, v, |_| false)
            .is_some()
}
