//! Where a NaN comes from: an opt-in check of every run.
//!
//! Beside the plan stands an *audit*: the same instructions, none fused, folded or shared, each value kept. All engines
//! give the same bits, so what went wrong in the one went wrong in the other, and can be looked at in recording order.
//! Slow, simple, and nothing of it exists when the option is off.

use retrograde_ops::Ternary;
use retrograde_storage::{DType, Element, Id, MAX_RANK, Packet, Shape, packets_for};

use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::rebuild::Job;
use crate::run::options::Options;
use crate::run::plan::Plan;
use crate::run::workspace::{Given, Memory};
use crate::tape::decode;

/// Whether runs look for numbers that are none ([`Options::check`](crate::Options)).
///
/// With a check, every run also computes all values one by one and keeps them. If a result (an output, a value read, a
/// gradient, an updated parameter) holds NaN, the run is an error of kind [`ErrorKind::NotFinite`] that names the first
/// operation, in recording order, whose result has one where its operands had none, with their ranges and the line that
/// recorded it. NaN that does not reach a result, such as in a branch that is masked off, is no error. Parameters are
/// not updated with NaN: they are left as they were.
///
/// ```
/// use retrograde_graph::{Check, Options, Tape};
/// use retrograde_storage::Array;
/// let tape = Tape::with_options(Options { check: Check::Nan, ..Options::default() });
/// let x = tape.variable(Array::<f64>::from([1.0, -0.5]));
/// let y = x.ln().sum().exp();
/// let error = y.backward().unwrap_err().to_string();
/// assert!(error.starts_with("ln of [2] f64 gives NaN"), "{error}");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Results are what they are.
    #[default]
    Off,
    /// NaN is an error.
    Nan,
    /// NaN and infinities are errors.
    NonFinite,
}

impl Check {
    fn is_bad(self, x: f64) -> bool {
        match self {
            Self::Off => false,
            Self::Nan => x.is_nan(),
            Self::NonFinite => !x.is_finite(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Off | Self::Nan => "NaN",
            Self::NonFinite => "infinity or NaN",
        }
    }
}

/// A plan that keeps every value, and what to look for.
#[derive(Debug)]
pub(crate) struct Audit {
    plan: Plan,
    list: List,
    /// By output of the plan: the row of the list.
    rows: Vec<Value>,
    /// What must be free of NaN.
    roots: Vec<Value>,
    /// Rows from here on are derivatives.
    primal: usize,
    check: Check,
    updates: bool,
}

/// Memory of an audit.
#[derive(Debug)]
pub(crate) struct AuditMemory {
    memory: Memory,
    values: Vec<Vec<Packet>>,
}

impl Plan {
    /// Adds an audit to the plan that was compiled from `job`, if the options ask for one: `asked` and what the updates
    /// write must be free of NaN; rows of the list from `primal` on are derivatives.
    pub(crate) fn watch(&mut self, job: &Job<'_>, asked: &[Value], primal: usize) -> Result<()> {
        if self.options.check != Check::Off {
            self.audit = Some(Box::new(Audit::new(self, job, asked, primal)?));
        }
        Ok(())
    }
}

impl Audit {
    fn new(plan: &Plan, job: &Job<'_>, asked: &[Value], primal: usize) -> Result<Self> {
        let known = |v: Value| job.known.get(v.index()).copied().unwrap_or(false);
        let mut needed = vec![false; job.list.len()];
        let updates = job.updates.iter().flat_map(|&(a, b)| [a, b]);
        for v in job.outputs.iter().copied().chain(updates) {
            needed[v.index()] = true;
        }
        for v in job.list.values().rev() {
            if needed[v.index()] && !known(v) {
                let args = job.list.args(v).iter();
                args.for_each(|a| needed[a.index()] = true);
            }
        }
        let rows: Vec<Value> = job.list.values().filter(|v| needed[v.index()]).collect();
        let all = Job {
            outputs: &rows,
            updates: &[],
            ..*job
        };
        let options = Options {
            optimise: false,
            fuse: false,
            share: false,
            check: Check::Off,
            ..plan.options
        };
        let audit = Plan::compile(&all, options)?;
        debug_assert_eq!(
            audit.externals, plan.externals,
            "the same leaves are needed"
        );
        let written = job.updates.iter().map(|u| u.1);
        Ok(Self {
            plan: audit,
            list: job.list.clone(),
            rows,
            roots: asked.iter().copied().chain(written).collect(),
            primal,
            check: plan.options.check,
            updates: !job.updates.is_empty(),
        })
    }

    /// Whether the audit comes before the run: the run overwrites what it reads.
    pub(crate) fn precedes(&self) -> bool {
        self.updates
    }

    /// Computes every value and looks for NaN in what was asked for.
    ///
    /// # Safety
    /// Externals as for [`Memory::run`]; outputs of `given` are not used.
    pub(crate) unsafe fn run(&self, m: &mut AuditMemory, given: &mut Given<'_>) -> Result<()> {
        let values = &mut m.values;
        let given = Given {
            externals: &mut *given.externals,
            outputs: &mut |i| values[i].as_mut_ptr().cast(),
            ..*given
        };
        // SAFETY: the audit's externals are the plan's, in its order, and are only read; outputs are our own, sized for
        // their ports.
        unsafe { m.memory.run(&self.plan, given)? };
        self.search(&m.values)
    }

    fn search(&self, memory: &[Vec<Packet>]) -> Result<()> {
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); self.list.len()];
        for (&v, memory) in self.rows.iter().zip(memory) {
            let dtype = self.list.dtype(v);
            let bytes: &[u8] = bytemuck::cast_slice(memory);
            values[v.index()] = numbers(dtype, &bytes[..self.list.shape(v).len() * dtype.size()]);
        }
        let search = Search {
            audit: self,
            values: &values,
        };
        search
            .origin()
            .map_or(Ok(()), |found| Err(search.report(found)))
    }
}

impl AuditMemory {
    pub(crate) fn new(audit: &Audit) -> Result<Self> {
        let ports = audit.plan.outputs.iter();
        let packets = ports.map(|p| packets_for(p.shape.len(), p.dtype.size()).unwrap_or(0));
        Ok(Self {
            values: packets.map(|n| vec![Packet::ZERO; n]).collect(),
            memory: Memory::new(&audit.plan)?,
        })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let values = self.values.iter().map(|v| size_of_val(v.as_slice()));
        self.memory.bytes() + values.sum::<usize>()
    }
}

/// Elements as `f64`.
fn numbers(dtype: DType, bytes: &[u8]) -> Vec<f64> {
    fn of<T: Element>(bytes: &[u8]) -> Vec<f64> {
        decode::<T>(bytes).into_iter().map(T::to_f64).collect()
    }
    match dtype {
        DType::F32 => of::<f32>(bytes),
        DType::F64 => of::<f64>(bytes),
        DType::U32 => of::<u32>(bytes),
        DType::I64 => of::<i64>(bytes),
        DType::Bool => of::<bool>(bytes),
    }
}

/// The values of a run, by row of the list; empty where a row is not needed.
struct Search<'a> {
    audit: &'a Audit,
    values: &'a [Vec<f64>],
}

impl Search<'_> {
    fn is_bad(&self, v: Value, e: usize) -> bool {
        self.audit.list.dtype(v).is_float() && self.audit.check.is_bad(self.values[v.index()][e])
    }

    fn bad(&self, v: Value) -> Vec<usize> {
        (0..self.values[v.index()].len())
            .filter(|&e| self.is_bad(v, e))
            .collect()
    }

    /// The first value, in recording order, that has a bad element which reaches a root and which no operand explains:
    /// a walk back from the roots' bad elements through those of their operands. With the element.
    fn origin(&self) -> Option<(Value, usize)> {
        let list = &self.audit.list;
        let mut reached: Vec<Vec<usize>> = vec![Vec::new(); list.len()];
        for &v in &self.audit.roots {
            reached[v.index()].extend(self.bad(v));
        }
        let mut found = None;
        for v in list.values().rev() {
            let mut elements = std::mem::take(&mut reached[v.index()]);
            elements.sort_unstable();
            elements.dedup();
            let Some(&first) = elements.first() else {
                continue;
            };
            // What was computed before this program counts as given.
            let leaf = self.audit.plan.externals.contains(&v);
            let args = if leaf { &[][..] } else { list.args(v) };
            if self.reads_element(v) {
                for &e in elements.iter().rev() {
                    let mut explained = false;
                    for (i, &a) in args.iter().enumerate() {
                        if let Some(from) = self.source(v, e, i)
                            && self.is_bad(a, from)
                        {
                            explained = true;
                            reached[a.index()].push(from);
                        }
                    }
                    if !explained {
                        found = Some((v, e));
                    }
                }
            } else {
                let mut explained = false;
                for &a in args {
                    let bad = self.bad(a);
                    explained |= !bad.is_empty();
                    reached[a.index()].extend(bad);
                }
                if !explained {
                    found = Some((v, first));
                }
            }
        }
        found
    }

    /// Whether an element of `v` is computed from one element of each operand.
    fn reads_element(&self, v: Value) -> bool {
        let op = self.audit.list.op(v);
        op.is_elementwise() || op.is_view() || op == Op::Copy
    }

    /// The element of operand `i` that element `e` of `v` is computed from; none from the side that a select did not
    /// take.
    fn source(&self, v: Value, e: usize, i: usize) -> Option<usize> {
        let list = &self.audit.list;
        let (shape, from) = (list.shape(v), list.shape(list.arg(v, i)));
        match list.op(v) {
            Op::After if i > 0 => None,
            Op::Reshape => Some(e),
            Op::Permute => {
                let (at, mut source) = (shape.index_of(e), [0; MAX_RANK]);
                let order = list.attr(v).as_order(shape.rank());
                order.iter().zip(at).for_each(|(&axis, x)| source[axis] = x);
                from.position(&source[..from.rank()])
            }
            Op::Slice => {
                let (spec, mut at) = (list.slice_spec(v), shape.index_of(e));
                for axis in 0..shape.rank() {
                    let moved = at[axis] as isize * spec.step[axis];
                    at[axis] = spec.start[axis].wrapping_add_signed(moved);
                }
                from.position(&at[..from.rank()])
            }
            Op::Ternary(Ternary::Select) if i > 0 => {
                let mask = list.arg(v, 0);
                let taken =
                    self.values[mask.index()][broadcast(shape, e, list.shape(mask))?] != 0.0;
                if taken == (i == 1) {
                    broadcast(shape, e, from)
                } else {
                    None
                }
            }
            _ => broadcast(shape, e, from),
        }
    }

    fn report(&self, (v, e): (Value, usize)) -> Error {
        let (list, name) = (&self.audit.list, self.audit.check.name());
        let (shape, dtype) = (list.shape(v), list.dtype(v));
        let values = &self.values[v.index()];
        let count = self.bad(v).len();
        let at = &shape.index_of(e)[..shape.rank()];
        let mut message = if self.audit.plan.externals.contains(&v) {
            format!("an input of {shape} {dtype} holds {name}")
        } else {
            let derivative = if v.index() < self.audit.primal {
                ""
            } else {
                ", in the derivative of what this line records,"
            };
            let operands = list.args(v).iter();
            let operands: Vec<String> = operands
                .map(|&a| format!("{} {}", list.shape(a), list.dtype(a)))
                .collect();
            let of = if operands.is_empty() { "" } else { " of " };
            let (op, operands) = (list.op(v).name(), operands.join(" and "));
            format!("{op}{of}{operands}{derivative} gives {name}")
        };
        message += &format!(
            ": {count} of {} elements, the first {} at {at:?}",
            values.len(),
            values[e]
        );
        if !self.audit.plan.externals.contains(&v) {
            for (i, &a) in list.args(v).iter().enumerate() {
                message += &format!("\n  operand {i}: {}", self.range(a));
                if self.reads_element(v)
                    && let Some(from) = self.source(v, e, i)
                {
                    message += &format!(", {} there", self.values[a.index()][from]);
                }
            }
        }
        Error::new(ErrorKind::NotFinite, message).at(list.location(v))
    }

    /// The range of a value's elements.
    fn range(&self, v: Value) -> String {
        let values = &self.values[v.index()];
        let nan = values.iter().filter(|x| x.is_nan()).count();
        // These ignore NaN.
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if nan == values.len() {
            format!("{nan} NaN and nothing else")
        } else {
            format!("from {min} to {max}, {nan} NaN")
        }
    }
}

/// The element of `from` that broadcasts to element `e` of `to`.
fn broadcast(to: Shape, e: usize, from: Shape) -> Option<usize> {
    let mut at = to.index_of(e);
    let lead = to.rank() - from.rank();
    at.copy_within(lead..to.rank(), 0);
    for (x, &extent) in at.iter_mut().zip(from.dims()) {
        if extent == 1 {
            *x = 0;
        }
    }
    from.position(&at[..from.rank()])
}
