//! Attention and its gradient, over operands `[.., time, heads, features]`.

use retrograde_ops::Level;
use retrograde_ops::attention::{
    Backward, BackwardPointers, Element, Forward, ForwardPointers, Mask, Spec,
};
use retrograde_ops::structured::Mismatch;
use retrograde_storage::{DType, Packet, View};

use super::{Block, Operand, Work};
use crate::attention::Extents;
use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::places::Places;
use crate::run::bind::Bindings;

/// An attention or its gradient, with operands that have no addresses yet.
#[derive(Debug)]
pub(super) struct Attention<T: Element> {
    /// Queries, keys, values.
    operands: [Operand; 3],
    mask: Option<Operand>,
    /// The gradient of the result, for [`Plan::Backward`].
    g: Option<Operand>,
    out: Operand,
    plan: Plan<T>,
    cost: f64,
}

#[derive(Debug)]
enum Plan<T: Element> {
    Forward(Box<Forward<T>>),
    Backward(Box<Backward<T>>),
}

/// Nanoseconds that a score takes: a product's terms at 80 GFLOP/s, and its exponential.
const SCORE_NS: f64 = 0.5;
/// Nanoseconds of a multiply-add in products of a tile's size.
const TERM_NS: f64 = 0.03;

impl<T: Element> Attention<T> {
    /// The kernel of `v`, an [`Op::Attention`] or [`Op::AttentionGrad`].
    pub(super) fn new(level: Level, list: &List, places: &Places, v: Value) -> Self {
        let arg = |i: usize| Operand::of(list, places, list.arg(v, i));
        let args = list.args(v).len();
        let backward = list.op(v) == Op::AttentionGrad;
        let (operands, out) = ([arg(0), arg(1), arg(2)], Operand::result(list, v));
        let first = 3 + usize::from(backward);
        let mask = (args > first).then(|| arg(first));
        let g = backward.then(|| arg(3));
        let (causal, scaled) = list.attr(v).as_attention();
        let extents = Extents::of(list, v);
        let spec = Spec {
            q: heads_out(&operands[0].view),
            k: heads_out(&operands[1].view),
            v: heads_out(&operands[2].view),
            mask: mask.map(|m| match m.dtype {
                DType::Bool => Mask::Keep(m.view),
                _ => Mask::Bias(m.view),
            }),
            causal,
            scaled,
        };
        let plan = if let Some(g) = g {
            let (axis, cuts) = extents.cuts();
            let shapes = extents.operands();
            let parts = [0, 1, 2].map(|i| {
                let (start, len) = cuts[i];
                let cut = out.view.slice(axis, start, 1, len);
                heads_out(&cut.reshape(shapes[i]).expect("a cut of a dense result"))
            });
            let plan = Backward::new(level, &spec, &heads_out(&g.view), &parts);
            Plan::Backward(Box::new(plan))
        } else {
            let plan = Forward::new(level, &spec, &heads_out(&out.view));
            Plan::Forward(Box::new(plan))
        };
        let scores = (extents.count() * extents.queries * extents.keys) as f64;
        let width = (extents.width + extents.values) as f64;
        let products = if backward { 2.5 } else { 1.0 };
        Self {
            operands,
            mask,
            g,
            out,
            plan,
            cost: scores * (SCORE_NS + products * width * TERM_NS),
        }
    }
}

/// `[.., time, heads, features]` as `[.., heads, time, features]`.
fn heads_out(view: &View) -> View {
    let rank = view.shape.rank();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 3, rank - 2);
    view.permute(&order)
}

impl<T: Element> Work for Attention<T> {
    /// The plan took extents and strides from the operands' own views: nothing is left to check.
    fn check(&self) -> Result<(), Mismatch> {
        Ok(())
    }

    fn phases(&self) -> Vec<usize> {
        vec![match &self.plan {
            Plan::Forward(plan) => plan.blocks(),
            Plan::Backward(plan) => plan.blocks(),
        }]
    }

    fn cost_ns(&self) -> f64 {
        self.cost
    }

    fn scratch_packets(&self) -> usize {
        match &self.plan {
            Plan::Forward(plan) => plan.scratch_packets(),
            Plan::Backward(plan) => plan.scratch_packets(),
        }
    }

    unsafe fn run(&self, at: Block<'_>, scratch: &mut [Packet]) {
        let address = |x: &Operand, bindings: &Bindings<'_>| bindings.address(x.at);
        let [q, k, v] = self
            .operands
            .each_ref()
            .map(|x| address(x, at.bindings).cast::<T>().cast_const());
        let mask = self.mask.as_ref();
        let mask = mask.map_or(std::ptr::null(), |m| address(m, at.bindings).cast_const());
        let out = address(&self.out, at.bindings).cast::<T>();
        // SAFETY: the caller's contract; extents and strides are the views' that the plan was made of, the result is
        // dense and each of its elements addressed once.
        unsafe {
            match (&self.plan, &self.g) {
                (Plan::Backward(plan), Some(g)) => {
                    let g = address(g, at.bindings).cast::<T>().cast_const();
                    let pointers = BackwardPointers {
                        q,
                        k,
                        v,
                        mask,
                        g,
                        out,
                    };
                    plan.run_block(at.block, &pointers, scratch);
                }
                (Plan::Forward(plan), _) => {
                    let pointers = ForwardPointers { q, k, v, mask, out };
                    plan.run_block(at.block, &pointers, scratch);
                }
                (Plan::Backward(_), None) => unreachable!("made with its gradient"),
            }
        }
    }
}
