//! Lists and plans as text. Golden tests pin it, so that a change of what is computed is seen.

use std::fmt::Write;

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
        Op::Const | Op::PowI | Op::Uniform | Op::Input | Op::CheckIndex => {
            write!(line, " {}", attr.as_int())
        }
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
        Op::Unary(_)
        | Op::Binary(_)
        | Op::Ternary(_)
        | Op::Cast
        | Op::Detach
        | Op::Reshape
        | Op::Expand
        | Op::Copy
        | Op::MatMul => Ok(()),
    };
    let _ = write!(line, " : {} {}", list.shape(v), list.dtype(v));
    line
}

/// A list with its outputs.
pub(crate) fn list(list: &List, outputs: &[Value]) -> String {
    let mut text = String::new();
    for v in list.values() {
        let _ = writeln!(text, "{}", instruction(list, v));
    }
    let names: Vec<String> = outputs.iter().map(ToString::to_string).collect();
    let _ = writeln!(text, "return {}", names.join(" "));
    text
}

fn place(place: Place) -> String {
    match place {
        Place::Nowhere => String::new(),
        Place::External(i) => format!(" -> input {i}"),
        Place::Output(i) => format!(" -> output {i}"),
        Place::Arena(p) => format!(" -> arena {p}"),
        Place::Cell(c) => format!(" -> cell {c}"),
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

/// A plan: its phases, with the instructions that each computes and where results go.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "arena {} packets, {} cells, {} groups",
        plan.arena,
        plan.cells,
        plan.groups.len()
    );
    for (i, &(port, cell)) in plan.inputs.iter().enumerate() {
        let cell = cell.map_or(String::new(), |c| format!(" -> cell {c}"));
        let _ = writeln!(text, "input {i}: {} {}{cell}", port.shape, port.dtype);
    }
    for (phase, blocks) in &plan.phases {
        let _ = match phase {
            Phase::Group(g) => {
                let group = &plan.groups[*g];
                let _ = writeln!(
                    text,
                    "group over {:?}, {} slots:",
                    group.step.group.space,
                    group.step.group.slots.len()
                );
                let mut last = None;
                for &v in &group.step.values {
                    if last != Some(v) {
                        let _ = writeln!(
                            text,
                            "  {}{}",
                            instruction(&plan.list, v),
                            place(plan.place[v.index()])
                        );
                    }
                    last = Some(v);
                }
                Ok(())
            }
            Phase::Finish(g) => {
                writeln!(text, "finish {} reductions", plan.groups[*g].partials.len())
            }
            Phase::Scalars(s) => {
                let _ = writeln!(text, "scalars:");
                for op in &plan.scalars[*s] {
                    let _ = writeln!(
                        text,
                        "  cell {} = {:?} {} {} {}",
                        op.dst, op.code, op.a, op.b, op.c
                    );
                }
                Ok(())
            }
            Phase::Kernel(k, 0) => {
                let kernel = &plan.kernels[*k];
                let v = kernel.value;
                match kernel.copies_to() {
                    Some(to) => writeln!(text, "copy {v}{}", place(to)),
                    None => writeln!(
                        text,
                        "kernel {} ({blocks} blocks){}",
                        instruction(&plan.list, v),
                        place(plan.place[v.index()])
                    ),
                }
            }
            Phase::Kernel(..) => Ok(()),
            Phase::Poison(start, len) => writeln!(text, "poison arena {start}, {len} packets"),
        };
    }
    memory(&mut text, plan);
    text
}
