//! Checks, in debug builds, of what a plan must keep: a plan that passes computes every value before it is read, reads
//! what is updated before it is overwritten, and can fail only before it has updated anything.

use retrograde_ops::tile::Code;
use retrograde_storage::Id;

use super::fuse::{Failing, READY, Step, Steps};
use super::memory::Place;
use super::places::Places;
use crate::list::{List, Value};
use crate::op::Op;
use crate::run::plan::{Phase, Plan};

/// Steps and groups agree: every operand comes from an earlier step or the same group.
pub(crate) fn steps(list: &List, places: &Places, steps: &Steps) {
    for v in list.values() {
        let step = steps.of[v.index()];
        if step == READY {
            continue;
        }
        for &operand in list.args(v) {
            let from = steps.of[places.base(operand).index()];
            let same = from == step && !matches!(steps.steps[step as usize], Step::Kernel(_));
            assert!(
                from < step || same,
                "{v} in step {step} reads {operand} of step {from}"
            );
        }
    }
}

/// What happens to memory, in order of execution.
enum Event {
    /// This value's memory is read.
    Read(Value),
    /// This place is written.
    Write(Place),
}

/// Reads and writes of one phase. Blocks of a phase run side by side, but an element of a group is handled by one tile,
/// in the order of the micro-ops.
fn events(plan: &Plan, places: &Places, phase: &Phase) -> Vec<Event> {
    let list = &plan.list;
    let operands = |v: Value| {
        list.args(v)
            .iter()
            .map(|&a| Event::Read(places.base(a)))
            .collect::<Vec<_>>()
    };
    match *phase {
        Phase::Group(g) => {
            let step = &plan.groups[g].step;
            let ops = step.group.ops.iter().filter_map(|op| {
                let base = || step.bases[op.imm as usize].0;
                match op.code {
                    Code::Load => Some(Event::Read(base())),
                    Code::Store => Some(Event::Write(plan.place[base().index()])),
                    _ => None,
                }
            });
            ops.collect()
        }
        Phase::Finish(g) => {
            let results = plan.groups[g].step.results.iter();
            results
                .map(|v| Event::Write(plan.place[v.index()]))
                .collect()
        }
        Phase::Kernel(k, _) => {
            let kernel = &plan.kernels[k];
            match kernel.copies_to() {
                Some(to) => vec![Event::Read(places.base(kernel.value)), Event::Write(to)],
                None => {
                    let mut events = operands(kernel.value);
                    events.push(Event::Write(plan.place[kernel.value.index()]));
                    events
                }
            }
        }
        // Cells are no external memory, what poisoning fills is dead, and what a chain does is told by the phases of its
        // groups and kernels behind it.
        Phase::Scalars(_) | Phase::Chain(_) | Phase::Poison(..) => Vec::new(),
    }
}

/// Old content of memory that is updated is read before it is overwritten, and what may fail comes before both.
pub(crate) fn updates(plan: &Plan, places: &Places) {
    let list = &plan.list;
    let mut written = vec![false; plan.externals.len()];
    let mut failing = Failing::default();
    for (number, (phase, _)) in plan.phases.iter().enumerate() {
        if let Phase::Kernel(k, _) = *phase {
            let v = plan.kernels[k].value;
            let fails = plan.kernels[k].copies_to().is_none() && failing.may_fail(list, v);
            assert!(
                !fails || number < plan.commit,
                "{v} may fail after an update"
            );
            // Blocks of both run side by side, so neither comes first.
            if let Some(then) = &plan.kernels[k].then {
                let after = events(plan, places, &Phase::Group(then.group));
                for event in events(plan, places, phase) {
                    let Event::Read(operand) = event else {
                        continue;
                    };
                    let overwritten = after.iter().any(|e| match e {
                        Event::Write(to) => *to == plan.place[operand.index()],
                        Event::Read(_) => false,
                    });
                    assert!(
                        !overwritten,
                        "{operand} is overwritten while blocks of {v} read it"
                    );
                }
            }
        }
        for event in events(plan, places, phase) {
            match event {
                Event::Read(v) if list.op(v) == Op::Input => {
                    let external = list.attr(v).as_int() as usize;
                    let scalar = matches!(plan.place[v.index()], Place::Cell(_));
                    assert!(
                        scalar || !written[external],
                        "{v} is read after it was overwritten"
                    );
                }
                Event::Write(Place::External(external)) => {
                    assert!(number >= plan.commit, "an update before the commit");
                    written[external as usize] = true;
                }
                Event::Read(_) | Event::Write(_) => {}
            }
        }
    }
}
