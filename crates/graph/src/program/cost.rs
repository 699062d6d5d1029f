//! What a run of a program takes, known before it runs.

use std::fmt;
use std::panic::Location;

use retrograde_ops::Ternary;
use retrograde_ops::linalg::Linalg;
use retrograde_storage::{DType, Id, PACKET_BYTES, Shape};

use super::Program;
use super::budget::{self, Recomputed};
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::memory::Place;
use crate::run::plan::{Phase, Plan};

/// What a run takes: see [`Program::cost`]. Displays as a table.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Cost {
    /// Arithmetic operations: one an element for an elementwise instruction (an exponential as much as an addition) and
    /// for each element that a reduction reads, two for each multiplication of a matrix product and what it is added to.
    pub flops: u64,
    /// Bytes read from and written to memory: what passes from one step to another. What stays inside a fused group is
    /// not moved.
    pub bytes: u64,
    /// Estimated time on one core, in nanoseconds.
    pub time_ns: f64,
    /// Instructions after optimisation, leaves and views left out.
    pub instructions: usize,
    /// Steps that the instructions are fused to.
    pub steps: usize,
    /// The largest amount of memory that values between inputs and outputs take at once.
    pub arena_bytes: usize,
    /// Memory of each thread beside that: tiles, packed operands, rows on their way from a step to the next.
    pub thread_bytes: usize,
    /// Bytes of all inputs.
    pub input_bytes: usize,
    /// Bytes of all outputs.
    pub output_bytes: usize,
    /// Values that the function computed and its derivative reads from memory, largest first. (Of a second derivative:
    /// what the gradient computed and the second one reads.) A value that is used only within its group is not kept.
    pub saved: Vec<Saved>,
    /// What is computed again to fit [`Options::memory_budget`](crate::Options::memory_budget).
    pub recomputed: Vec<Recomputed>,
    /// What each guard adds to a run.
    pub guards: Vec<GuardCost>,
}

/// A value that is kept for the derivative.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Saved {
    /// What computes it.
    pub op: String,
    /// Its extents.
    pub shape: Shape,
    /// Its element type.
    pub dtype: DType,
    /// Its size in memory.
    pub bytes: usize,
    /// The line that recorded it.
    pub location: Option<&'static Location<'static>>,
}

/// What is computed for one guard and for nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GuardCost {
    /// The line that reads the value.
    pub location: &'static Location<'static>,
    /// Instructions that only this guard needs.
    pub instructions: usize,
    /// Their arithmetic operations.
    pub flops: u64,
}

impl Program {
    /// What a run takes: operations, memory traffic, memory, what the derivative keeps and what guards add. Follows from
    /// the program alone; nothing is run. See the [type's documentation](Program#what-derivatives-cost) for an example.
    pub fn cost(&self) -> Cost {
        let plan = &*self.plan;
        let (list, outputs) = (&plan.list, self.recorded.outputs.len());
        let needed = needed_by(plan, outputs);
        let live = || {
            list.values()
                .filter(|v| needed[v.index()] != Needed::Nobody)
        };
        let mut guards: Vec<GuardCost> = self
            .guards()
            .map(|location| GuardCost {
                location,
                instructions: 0,
                flops: 0,
            })
            .collect();
        for v in live() {
            if let Needed::Guard(i) = needed[v.index()]
                && works(list, v)
            {
                guards[i].instructions += 1;
                guards[i].flops = guards[i].flops.saturating_add(flops(list, v));
            }
        }
        let total = |values: &[Value]| {
            let list = &self.recorded.list;
            values.iter().map(|&v| bytes(list, v)).sum()
        };
        Cost {
            flops: sum(live().map(|v| flops(list, v))),
            bytes: moved(plan),
            time_ns: plan.cost,
            instructions: live().filter(|&v| works(list, v)).count(),
            steps: steps(plan),
            arena_bytes: plan.arena * PACKET_BYTES,
            thread_bytes: (plan.scratch + plan.windows) * PACKET_BYTES,
            input_bytes: total(&self.recorded.inputs),
            output_bytes: total(&self.recorded.outputs),
            saved: saved(plan, self.recorded.primal, &needed),
            recomputed: self.recorded.recomputed(),
            guards,
        }
    }
}

/// Arithmetic operations of a plan, and the bytes that its steps read and write, counted as [`Cost`] does.
pub(crate) fn work(plan: &Plan) -> (u64, u64) {
    let operations = plan.list.values().map(|v| flops(&plan.list, v));
    (operations.sum(), moved(plan))
}

fn bytes(list: &List, v: Value) -> usize {
    list.shape(v).len() * list.dtype(v).size()
}

/// Whether a row computes something.
fn works(list: &List, v: Value) -> bool {
    !list.op(v).is_leaf() && !list.op(v).is_view()
}

/// Who needs a row.
#[derive(Clone, Copy, PartialEq)]
enum Needed {
    Nobody,
    Guard(usize),
    Others,
}

/// By row: what needs it. The first `outputs` results are outputs, the others guards.
fn needed_by(plan: &Plan, outputs: usize) -> Vec<Needed> {
    let mut needed = vec![Needed::Nobody; plan.list.len()];
    let meet = |to: &mut Needed, by: Needed| {
        if *to == Needed::Nobody {
            *to = by;
        } else if *to != by {
            *to = Needed::Others;
        }
    };
    for (i, v) in plan.results.iter().enumerate() {
        let by = i.checked_sub(outputs).map_or(Needed::Others, Needed::Guard);
        meet(&mut needed[v.index()], by);
    }
    for v in plan.list.values().rev() {
        let by = needed[v.index()];
        if by != Needed::Nobody {
            let args = plan.list.args(v).iter();
            args.for_each(|a| meet(&mut needed[a.index()], by));
        }
    }
    needed
}

/// The sum, or the most there can be: windows of pools may be beyond any image.
fn sum(counts: impl Iterator<Item = u64>) -> u64 {
    counts.fold(0, u64::saturating_add)
}

pub(super) fn flops(list: &List, v: Value) -> u64 {
    let len = list.shape(v).len() as u64;
    let operand = || list.shape(list.arg(v, 0)).len() as u64;
    match list.op(v) {
        Op::Ternary(Ternary::Fma) | Op::Recurrence => 2 * len,
        Op::Unary(_) | Op::Binary(_) | Op::Ternary(_) | Op::PowI | Op::Division(_) => len,
        Op::CumMax | Op::CumArgMax | Op::LogCumSumExp => len,
        Op::Reduce(_) | Op::ArgMax | Op::ArgMin | Op::ScatterAdd => operand(),
        // Composites: a maximum, a difference, an exponential, a sum, a logarithm or quotient.
        Op::LogSumExp | Op::Softmax | Op::LogSoftmax => 5 * operand(),
        Op::MatMul => {
            let inner = list.dims(list.arg(v, 0)).last().copied().unwrap_or(0);
            2 * len * inner as u64
        }
        // By score: two products of a row and a column forward, five for the gradient, and five operations of a softmax,
        // four of its gradient. A causal mask is not counted on.
        Op::Attention | Op::AttentionGrad => {
            let of = crate::attention::Extents::of(list, v);
            let scores = (of.count() * of.queries * of.keys) as u64;
            let (d, dv) = (of.width as u64, of.values as u64);
            if list.op(v) == Op::Attention {
                scores * (2 * d + 2 * dv + 5)
            } else {
                scores * (6 * d + 4 * dv + 9)
            }
        }
        Op::Conv2d | Op::ConvInput | Op::ConvWeight => {
            // Every output is a sum over the taps of its row of the weight.
            let (outputs, weight) = match list.op(v) {
                Op::Conv2d => (v, list.arg(v, 1)),
                Op::ConvInput => (list.arg(v, 0), list.arg(v, 1)),
                _ => (list.arg(v, 1), v),
            };
            let taps: usize = list.dims(weight)[1..].iter().product();
            2 * list.shape(outputs).len() as u64 * taps as u64
        }
        // Nobody knows: one operation an element, as for others of that kind.
        Op::Custom | Op::CustomGrad => len,
        // Comparisons.
        Op::ArgSort => len * levels(list.dims(v)[list.attr(v).as_axis()]),
        Op::SearchSorted => len * levels(list.dims(list.arg(v, 0)).last().copied().unwrap_or(1)),
        Op::Linalg(op) => {
            // The first operand is a matrix, or the factors of one.
            let (matrices, m, n) = linalg_extents(list, list.arg(v, 0));
            let terms = match op {
                Linalg::Cholesky => n * n * n / 3,
                Linalg::Lu => 2 * n * n * n / 3,
                Linalg::TriangularSolve => return len * n,
                Linalg::Solve => return len * n * 2,
                Linalg::Det | Linalg::LogAbsDet | Linalg::SignDet => n,
                // What their iterations take on the average.
                Linalg::Eigh => 9 * n * n * n,
                Linalg::Svd => 16 * m * n * m.min(n),
                Linalg::Qr => 4 * n * n * (m - n / 3),
                // Views.
                Linalg::Eigenvalues | Linalg::Eigenvectors => 0,
                Linalg::LeftVectors | Linalg::SingularValues | Linalg::RightVectors => 0,
                Linalg::Orthogonal | Linalg::Upper => 0,
            };
            matrices * terms
        }
        Op::MaxPool | Op::SumPool => len.saturating_mul(list.window(v).area() as u64),
        Op::MaxPoolInput | Op::SumPoolInput => {
            operand().saturating_mul(list.window(v).area() as u64)
        }
        Op::Scan => {
            let (spec, each) = (list.scan_spec(v), &list.scan_spec(v).body.list);
            (spec.length as u64).saturating_mul(sum(each.values().map(|v| flops(each, v))))
        }
        Op::Input | Op::Const | Op::Uniform | Op::Iota | Op::Random(_) => 0,
        Op::Cast | Op::Detach | Op::Reshape | Op::Permute | Op::Slice | Op::Unslice => 0,
        Op::Expand | Op::Copy | Op::After | Op::Concat | Op::Gather | Op::CheckIndex => 0,
    }
}

/// Halvings of `n` elements.
fn levels(n: usize) -> u64 {
    n.next_power_of_two().ilog2().into()
}

/// How many matrices there are, of how many rows and columns.
fn linalg_extents(list: &List, x: Value) -> (u64, u64, u64) {
    let (lead, last) = list.dims(x).split_at(list.shape(x).rank() - 2);
    (
        lead.iter().product::<usize>() as u64,
        last[0] as u64,
        last[1] as u64,
    )
}

fn steps(plan: &Plan) -> usize {
    let own = |phase: &Phase| match phase {
        Phase::Group(_) | Phase::Scalars(_) | Phase::Kernel(_, 0) => true,
        Phase::Finish(_) | Phase::Kernel(..) | Phase::Chain(_) | Phase::Poison(..) => false,
    };
    plan.phases.iter().filter(|(p, _)| own(p)).count()
}

/// The value that `v` is a view of.
fn root(list: &List, mut v: Value) -> Value {
    while list.op(v).is_view() {
        v = list.arg(v, 0);
    }
    v
}

/// Bytes that steps read and write.
fn moved(plan: &Plan) -> u64 {
    let list = &plan.list;
    let mut computed = vec![false; list.len()];
    let mut total = 0;
    for (phase, _) in &plan.phases {
        match *phase {
            Phase::Group(g) => {
                let step = &plan.groups[g].step;
                // No more than the space of a larger tensor that the group reads a part of, and no tensor twice.
                let space: usize = step.group.space.iter().product();
                let mut bases: Vec<Value> = step.bases.iter().map(|b| b.0).collect();
                bases.sort_unstable();
                bases.dedup();
                let elements = |v: Value| list.shape(v).len().min(space.max(1));
                let seen = bases.iter().map(|&v| elements(v) * list.dtype(v).size());
                let results = step.results.iter().map(|&v| bytes(list, v));
                total += seen.sum::<usize>() + results.sum::<usize>();
            }
            Phase::Kernel(k, 0) => {
                let v = plan.kernels[k].value;
                let op = list.op(v);
                // Results that could not be written in place are copied at the end.
                let copy = std::mem::replace(&mut computed[v.index()], true) || op.is_view();
                total += bytes(list, v);
                total += if copy {
                    bytes(list, v)
                } else {
                    let args = list.args(v).iter();
                    args.map(|&a| bytes(list, a).min(bytes(list, root(list, a))))
                        .sum::<usize>()
                };
            }
            Phase::Finish(_)
            | Phase::Scalars(_)
            | Phase::Kernel(..)
            | Phase::Chain(_)
            | Phase::Poison(..) => {}
        }
    }
    total as u64
}

/// Values computed before row `primal` of the recording and read from memory by what was recorded after it.
fn saved(plan: &Plan, primal: usize, needed: &[Needed]) -> Vec<Saved> {
    let list = &plan.list;
    let is_primal = |v: Value| plan.origin[v.index()].index() < primal;
    let mut read = vec![false; list.len()];
    for v in list.values() {
        if needed[v.index()] != Needed::Nobody && !list.op(v).is_view() && !is_primal(v) {
            let args = list.args(v).iter();
            args.for_each(|&a| read[root(list, a).index()] = true);
        }
    }
    let kept = list.values().filter(|&v| {
        let in_memory = matches!(
            plan.place[v.index()],
            Place::Arena(_) | Place::Output(_) | Place::Cell(_)
        );
        read[v.index()] && in_memory && is_primal(v) && !list.op(v).is_leaf()
    });
    let mut saved: Vec<Saved> = kept
        .map(|v| Saved {
            op: list.op(v).name(),
            shape: list.shape(v),
            dtype: list.dtype(v),
            bytes: bytes(list, v),
            location: list.location(v),
        })
        .collect();
    saved.sort_by_key(|s| std::cmp::Reverse(s.bytes));
    saved
}

impl super::Recorded {
    fn recomputed(&self) -> Vec<Recomputed> {
        let of = |&region| budget::price(&self.list, &self.outputs, region);
        self.segments.iter().map(of).collect()
    }
}

impl Cost {
    /// Bytes of all values kept for the derivative.
    pub fn saved_bytes(&self) -> usize {
        self.saved.iter().map(|s| s.bytes).sum()
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |name: &str, value: String| writeln!(f, "{name:<14}{value:>16}");
        line("flops", self.flops.to_string())?;
        line("bytes moved", self.bytes.to_string())?;
        line("time", format!("{:.1} us", self.time_ns / 1e3))?;
        line("instructions", self.instructions.to_string())?;
        line("steps", self.steps.to_string())?;
        line("arena", format!("{} B", self.arena_bytes))?;
        line("each thread", format!("{} B", self.thread_bytes))?;
        line("inputs", format!("{} B", self.input_bytes))?;
        line("outputs", format!("{} B", self.output_bytes))?;
        line("saved", format!("{} B", self.saved_bytes()))?;
        for s in &self.saved {
            write!(f, "{:>12} B  {} {} {}", s.bytes, s.op, s.shape, s.dtype)?;
            match s.location {
                Some(at) => writeln!(f, "  {}:{}", at.file(), at.line())?,
                None => writeln!(f)?,
            }
        }
        for r in &self.recomputed {
            write!(
                f,
                "computed again: {} instructions, {} flops, {} B",
                r.instructions, r.flops, r.bytes
            )?;
            match (r.first, r.last) {
                (Some(a), Some(b)) => {
                    writeln!(
                        f,
                        "  {}:{} to {}:{}",
                        a.file(),
                        a.line(),
                        b.file(),
                        b.line()
                    )?;
                }
                _ => writeln!(f)?,
            }
        }
        for g in &self.guards {
            writeln!(
                f,
                "guard: {} instructions, {} flops  {}:{}",
                g.instructions,
                g.flops,
                g.location.file(),
                g.location.line()
            )?;
        }
        Ok(())
    }
}
