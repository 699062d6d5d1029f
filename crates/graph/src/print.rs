//! Lists and plans as text. Golden tests pin it, so that a change of what is computed is seen.

use std::fmt::Write;

use retrograde_ops::Window;
use retrograde_storage::Id;

use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::memory::Place;
use crate::run::plan::{Phase, Plan};

/// One instruction: `v3 = mul v1 v2 : [4] f32`.
pub(crate) fn instruction(list: &List, v: Value) -> String {
    let mut line = format!("{v} = {}", list.op(v).name());
    for a in list.args(v) {
        let _ = write!(line, " {a}");
    }
    let attr = list.attr(v);
    let rank = list.shape(v).rank();
    let _ = match list.op(v) {
        Op::Const if list.dtype(v).is_float() => write!(line, " {}", attr.as_float()),
        Op::Const | Op::PowI | Op::Uniform | Op::Input => write!(line, " {}", attr.as_int()),
        Op::CheckIndex => write!(line, " {}", attr.as_bound()),
        Op::Reduce(_) | Op::LogSumExp | Op::Softmax | Op::LogSoftmax => {
            let axes: Vec<usize> = (0..8).filter(|i| attr.as_axes() >> i & 1 == 1).collect();
            write!(line, " over {axes:?}")
        }
        Op::Permute => write!(line, " {:?}", attr.as_order(rank)),
        Op::Slice | Op::Unslice => {
            let spec = list.slice_spec(v);
            write!(
                line,
                " from {:?} step {:?}",
                &spec.start[..rank],
                &spec.step[..rank]
            )
        }
        op if op.has_window() => write!(line, "{}", window(op, list.window(v))),
        Op::ArgSort => {
            let order = if attr.is_reverse() { " descending" } else { "" };
            write!(line, " axis {}{order}", attr.as_axis())
        }
        Op::Custom | Op::CustomGrad => write!(line, " `{}`", list.call(v).name()),
        Op::SearchSorted => write!(line, "{}", if attr.as_int() == 1 { " right" } else { "" }),
        Op::Recurrence => {
            let reverse = if attr.is_reverse() { " reverse" } else { "" };
            let strong = if attr.is_strong() { " strong" } else { "" };
            write!(line, " axis {}{reverse}{strong}", attr.as_axis())
        }
        Op::Iota
        | Op::ArgMax
        | Op::ArgMin
        | Op::CumMax
        | Op::CumArgMax
        | Op::LogCumSumExp
        | Op::Concat
        | Op::Gather
        | Op::ScatterAdd => write!(line, " axis {}", attr.as_axis()),
        Op::Random(_) => write!(line, " {:?}", attr.as_draw()),
        Op::Attention | Op::AttentionGrad => {
            let (causal, scaled) = attr.as_attention();
            let causal = if causal { " causal" } else { "" };
            write!(line, "{causal}{}", if scaled { " scaled" } else { "" })
        }
        Op::Linalg(_) => {
            let how = attr.as_solver();
            let words = [
                (how.upper, " upper"),
                (how.unit, " unit"),
                (how.transposed, " transposed"),
            ];
            words
                .iter()
                .filter(|w| w.0)
                .try_for_each(|w| write!(line, "{}", w.1))
        }
        Op::Unary(_)
        | Op::Division(_)
        | Op::Binary(_)
        | Op::Ternary(_)
        | Op::Cast
        | Op::Detach
        | Op::Reshape
        | Op::Expand
        | Op::Copy
        | Op::After
        | Op::MatMul => Ok(()),
        Op::Scan => {
            let spec = list.scan_spec(v);
            let reverse = if spec.reverse { " reverse" } else { "" };
            write!(line, " {} steps{reverse}", spec.length)
        }
        Op::Conv2d | Op::ConvInput | Op::ConvWeight => Ok(()),
        Op::MaxPool | Op::MaxPoolInput | Op::SumPool | Op::SumPoolInput => Ok(()),
    };
    let _ = write!(line, " : {} {}", list.shape(v), list.dtype(v));
    line
}

/// What of a window is not as usual: ` kernel [2, 2] stride [2, 2]`.
fn window(op: Op, window: &Window) -> String {
    let mut text = String::new();
    let of_weight = matches!(op, Op::Conv2d | Op::ConvInput | Op::ConvWeight);
    let usual = [
        (
            "kernel",
            window.kernel,
            if of_weight { window.kernel } else { [0, 0] },
        ),
        ("stride", window.stride, [1, 1]),
        ("padding", window.padding, [0, 0]),
        ("dilation", window.dilation, [1, 1]),
    ];
    for (name, pair, usual) in usual {
        if pair != usual {
            let _ = write!(text, " {name} {pair:?}");
        }
    }
    if window.groups != 1 {
        let _ = write!(text, " groups {}", window.groups);
    }
    text
}

/// A list with its outputs.
pub(crate) fn list(list: &List, outputs: &[Value]) -> String {
    let mut text = String::new();
    lines(&mut text, list, outputs, 0);
    text
}

/// The lines of a list, bodies of scans indented below them.
fn lines(text: &mut String, list: &List, outputs: &[Value], indent: usize) {
    for v in list.values() {
        let _ = writeln!(text, "{:indent$}{}", "", instruction(list, v));
        if list.op(v) == Op::Scan {
            let body = &list.scan_spec(v).body;
            lines(text, &body.list, &body.outputs, indent + 4);
        }
    }
    let names: Vec<String> = outputs.iter().map(ToString::to_string).collect();
    let _ = writeln!(text, "{:indent$}return {}", "", names.join(" "));
}

fn place(place: Place) -> String {
    match place {
        Place::Nowhere => String::new(),
        Place::External(i) => format!(" -> input {i}"),
        Place::Output(i) => format!(" -> output {i}"),
        Place::Arena(p) => format!(" -> arena {p}"),
        Place::Cell(c) => format!(" -> cell {c}"),
        Place::Window(_) => " -> window".into(),
    }
}

/// Who stands where in the arena, and from which step to which.
fn memory(text: &mut String, plan: &Plan) {
    for (v, span) in &plan.spans {
        let name = v
            .get()
            .map_or("partial results".to_string(), |v| v.to_string());
        let (start, end) = (span.start, span.start + span.len);
        let _ = writeln!(
            text,
            "arena {start}..{end}: {name}, steps {} to {}",
            span.born, span.dies
        );
    }
}

/// A plan's text as it grows: what no step computes (literals, numbers that are data, views) is shown before its first
/// user, so that every operand on a line stands on a line above.
struct Listing<'a> {
    plan: &'a Plan,
    text: String,
    /// By value: whether it has a line.
    shown: Vec<bool>,
    last_kernel: Option<Value>,
}

impl Listing<'_> {
    /// Operands of `v` that have no line yet, theirs first; from here on they count as shown.
    fn missing(&mut self, v: Value) -> Vec<Value> {
        let list = &self.plan.list;
        let (mut found, mut waiting) = (Vec::new(), list.args(v).to_vec());
        while let Some(x) = waiting.pop() {
            if !std::mem::replace(&mut self.shown[x.index()], true) {
                found.push(x);
                waiting.extend(list.args(x));
            }
        }
        // Operands point only backwards.
        found.sort_unstable();
        found
    }

    fn line(&mut self, lead: &str, v: Value, tail: &str) {
        let indent = if lead.trim().is_empty() { lead } else { "" };
        for x in self.missing(v) {
            let (line, place) = (
                instruction(&self.plan.list, x),
                place(self.plan.place[x.index()]),
            );
            let _ = writeln!(self.text, "{indent}{line}{place}");
        }
        self.shown[v.index()] = true;
        let (line, place) = (
            instruction(&self.plan.list, v),
            place(self.plan.place[v.index()]),
        );
        let _ = writeln!(self.text, "{lead}{line}{tail}{place}");
    }

    fn head(&mut self) {
        let plan = self.plan;
        let _ = writeln!(
            self.text,
            "arena {} packets, {} cells, {} groups",
            plan.arena,
            plan.cells,
            plan.groups.len()
        );
        let values = plan.list.values();
        for (v, &at) in values.zip(&plan.place) {
            // An updated value goes back to the memory of an input, but is computed like any other.
            let (Place::External(i), Op::Input) = (at, plan.list.op(v)) else {
                continue;
            };
            self.shown[v.index()] = true;
            let (port, cell) = plan.inputs[i as usize];
            let cell = cell.map_or(String::new(), |c| format!(" -> cell {c}"));
            let _ = writeln!(
                self.text,
                "input {i}: {v} : {} {}{cell}",
                port.shape, port.dtype
            );
        }
    }

    fn phase(&mut self, phase: &Phase, blocks: usize) {
        let plan = self.plan;
        match phase {
            Phase::Group(g) => {
                let step = &plan.groups[*g].step;
                let _ = writeln!(
                    self.text,
                    "group over {:?}, {} slots{}:",
                    step.group.space,
                    step.group.slots.len(),
                    if blocks == 0 {
                        ", with the blocks above"
                    } else {
                        ""
                    }
                );
                let mut last = None;
                for &v in &step.values {
                    if last != Some(v) {
                        for (first, _) in step.paired.iter().filter(|p| p.1 == v) {
                            self.line("  ", *first, &format!(" (with {v})"));
                        }
                        self.line("  ", v, "");
                    }
                    last = Some(v);
                }
            }
            Phase::Finish(g) => {
                let names: Vec<String> = plan.groups[*g]
                    .step
                    .results
                    .iter()
                    .map(ToString::to_string)
                    .collect();
                let _ = writeln!(self.text, "finish {}", names.join(" "));
            }
            Phase::Scalars(s) => {
                let _ = writeln!(self.text, "scalars:");
                for &v in &plan.scalars[*s].values {
                    self.line("  ", v, "");
                }
            }
            Phase::Kernel(k, 0) if plan.kernels[*k].copies_to().is_some() => {
                let kernel = &plan.kernels[*k];
                let to = kernel.copies_to().map_or(String::new(), place);
                let _ = writeln!(self.text, "copy {}{to}", kernel.value);
            }
            Phase::Chain(c) => {
                let chain = &plan.chains[*c];
                let _ = writeln!(
                    self.text,
                    "chain of {blocks} blocks of {} rows",
                    chain.unit()
                );
            }
            Phase::Kernel(k, _) if plan.kernels[*k].in_chain => {
                // What blocks share is computed before the chain.
                if blocks == 0 {
                    self.line(
                        "kernel ",
                        plan.kernels[*k].value,
                        " (with the blocks above)",
                    );
                }
            }
            // An instruction may take several kernels in a row (zeros, then a copy): one line.
            Phase::Kernel(k, 0) if self.last_kernel != Some(plan.kernels[*k].value) => {
                let v = plan.kernels[*k].value;
                self.last_kernel = Some(v);
                let with = plan.kernels.iter().any(|other| other.beside == Some(*k));
                let blocks = if with {
                    " (with the blocks of the next kernel)".into()
                } else {
                    format!(" ({blocks} blocks)")
                };
                self.line("kernel ", v, &blocks);
                if let Some(body) = plan.kernels[*k].body() {
                    for line in self::plan(body).lines() {
                        let _ = writeln!(self.text, "    {line}");
                    }
                }
            }
            Phase::Kernel(..) => {}
            Phase::Poison(start, len) => {
                let _ = writeln!(self.text, "poison arena {start}, {len} packets");
            }
        }
    }
}

/// A plan: its phases, with the instructions that each computes and where results go.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut listing = Listing {
        plan,
        text: String::new(),
        shown: vec![false; plan.list.len()],
        last_kernel: None,
    };
    listing.head();
    for (phase, blocks) in &plan.phases {
        listing.phase(phase, *blocks);
    }
    memory(&mut listing.text, plan);
    listing.text
}
