//! Derivatives as instructions: a sweep over the list that emits the adjoint of every value into the same list.
//!
//! One rule an operation, one file a family. Rules are right for operands of any value, because:
//!
//! - a local derivative `d` meets an adjoint `g` as [`List::chain`]`(g, d)` (or `DivStrong`): exactly zero where `g` is
//!   zero, whatever `d` is. The adjoint that comes out of a `select` is zero on the side not taken, and so stays zero
//!   all the way down. A later pass turns these into plain products where `g` cannot be structurally zero;
//! - rules emit only operations that have rules, so a derivative has a derivative;
//! - no rule tests the *value* of an adjoint: what is emitted is linear in it (see [`forward`]).
//!
//! Conventions where a derivative does not exist are stated at each rule.

mod attention;
mod body;
mod conv;
mod custom;
pub(crate) mod decomposition;
mod elementwise;
mod index;
pub(crate) mod linalg;
mod product;
mod reduce;
mod region;
mod row;
mod scan;
mod shape;
#[cfg(test)]
mod tests;

use retrograde_ops::{Binary, Ternary, Unary};
use retrograde_storage::{DType, Id, Packed, Shape};

use crate::list::{List, Value};
use crate::op::{Attr, Op};
use crate::passes::fold::literal;

/// A sweep from outputs to inputs: the list, and columns over its rows `base..=top`.
struct Sweep<'a> {
    list: &'a mut List,
    /// The first row that can need an adjoint: the smallest row asked for.
    base: usize,
    /// Whether a row depends on a value asked for, through operands that pass derivatives on.
    depends: Vec<bool>,
    /// Per row, the newest contribution to its adjoint: head of a list in `links`.
    heads: Vec<Packed<Link>>,
    links: Vec<(Value, Packed<Link>)>,
    /// Sums of one value's contributions, one a shape; empty between turns.
    sums: Vec<Value>,
}

retrograde_storage::entity_id!(
    /// A contribution to an adjoint that waits for its value's turn.
    Link, "c"
);

/// Emits the adjoints of `wrt`, given the adjoint `seed` (of `of`'s shape) of `of`: `seed^T d of / d wrt`. `None` where
/// `of` does not depend on a value differentiably, so that the gradient is structurally zero.
///
/// A value of `wrt` that depends on another is no barrier: the other's adjoint includes what flows through it.
pub(crate) fn reverse(
    list: &mut List,
    of: Value,
    seed: Value,
    wrt: &[Value],
) -> Vec<Option<Value>> {
    reverse_from(list, &[(of, seed)], wrt)
}

/// [`reverse`] from several outputs, each with its seed: the sum of their gradients.
pub(crate) fn reverse_from(
    list: &mut List,
    roots: &[(Value, Value)],
    wrt: &[Value],
) -> Vec<Option<Value>> {
    sweep(list, roots, wrt, true)
}

/// [`reverse_from`]; `again` tells whether regions are computed again.
fn sweep(
    list: &mut List,
    roots: &[(Value, Value)],
    wrt: &[Value],
    again: bool,
) -> Vec<Option<Value>> {
    debug_assert!(
        roots
            .iter()
            .all(|&(of, seed)| list.shape(of) == list.shape(seed)),
        "a seed has its value's shape"
    );
    let Some(mut sweep) = Sweep::new(list, roots, wrt) else {
        return vec![None; wrt.len()];
    };
    let (base, rows) = (sweep.base, sweep.heads.len());
    let mut wanted = vec![false; rows];
    for v in wrt.iter().filter(|v| v.index() < base + rows) {
        wanted[v.index() - base] = true;
    }
    // After its turn a row's adjoint is complete, for all users of a value stand after it.
    let mut adjoint = vec![Packed::<Value>::NONE; rows];
    sweep.run(&wanted, again, |sweep, v| {
        let g = sweep.collect(v);
        adjoint[v.index() - base] = Packed::some(g);
        Some(g)
    });
    wrt.iter()
        .map(|v| adjoint.get(v.index() - base).and_then(|g| g.get()))
        .collect()
}

impl<'a> Sweep<'a> {
    /// A sweep before its first row; none where nothing can depend on `wrt`. Seeds may be broader than their values.
    fn new(list: &'a mut List, roots: &[(Value, Value)], wrt: &[Value]) -> Option<Self> {
        let base = wrt.iter().map(|v| v.index()).min()?;
        let top = roots.iter().map(|r| r.0.index()).max()?;
        if top < base {
            return None;
        }
        let mut sweep = Sweep {
            depends: depends(list, base, top, wrt),
            list,
            base,
            heads: vec![Packed::NONE; top + 1 - base],
            links: Vec::new(),
            sums: Vec::new(),
        };
        for &(of, seed) in roots {
            sweep.give(of, seed);
        }
        Some(sweep)
    }

    /// Visits all rows, from the last to the first. `take` is asked for the adjoint of each wanted row that has one; with
    /// `None` the sweep goes no further there.
    fn run(
        &mut self,
        wanted: &[bool],
        again: bool,
        mut take: impl FnMut(&mut Self, Value) -> Option<Value>,
    ) {
        let (base, top) = (self.base, self.base + self.heads.len() - 1);
        let mut regions = if again {
            self.list.outermost(base, top)
        } else {
            Vec::new()
        };
        for row in (base..=top).rev() {
            let v = Value::from_index(row);
            if let Some(region) = regions.pop_if(|r| row < r.end) {
                self.region(region, wanted);
            }
            if self.heads[row - base].get().is_none() {
                continue;
            }
            self.list.set_location(self.list.location(v));
            let g = if wanted[row - base] {
                take(self, v)
            } else if self.list.op(v) == Op::Scan {
                // By pieces: the whole is never made.
                self.scan(v);
                None
            } else {
                Some(self.collect(v))
            };
            if let Some(g) = g
                && self.list.args(v).iter().any(|&x| self.wants(x))
            {
                self.rule(v, g);
            }
        }
    }

    /// What `v` has been given, the oldest first; `v` keeps nothing of it.
    fn given(&mut self, v: Value) -> Vec<Value> {
        let head = &mut self.heads[v.index() - self.base];
        let (mut next, mut given) = (std::mem::replace(head, Packed::NONE), Vec::new());
        while let Some(link) = next.get() {
            let (g, rest) = self.links[link.index()];
            given.push(g);
            next = rest;
        }
        given.reverse();
        given
    }
}

/// Emits the tangents of `of`, given the tangents of `wrt` (each of its value's shape): `d of / d wrt tangents`.
///
/// The reverse sweep is linear in its seed, so its transpose is the forward derivative: sweep from `of` with a
/// placeholder `u` as seed, which gives `J^T u`; then sweep from those gradients, seeded with the tangents, back to `u`,
/// which gives `J tangents`. The second sweep passes through operations that are linear in what depends on `u`, and
/// rules of linear operations do not read that operand: nothing in the result depends on `u`, and dead-code elimination
/// removes it with the whole first sweep (`tangents_do_not_depend_on_the_placeholder` tests it for every rule).
/// The placeholder is an [`Op::Input`] without a leaf's number (-1), so running it by mistake cannot go unnoticed.
pub(crate) fn forward(
    list: &mut List,
    of: &[Value],
    wrt: &[Value],
    tangents: &[Value],
) -> Vec<Value> {
    let seeds: Vec<Value> = of
        .iter()
        .map(|&v| list.push(Op::Input, &[], Attr::int(-1), list.shape(v), list.dtype(v)))
        .collect();
    let roots: Vec<_> = of.iter().copied().zip(seeds.iter().copied()).collect();
    // Nothing is kept of the first sweep, so nothing is computed again.
    let gradients = sweep(list, &roots, wrt, false);
    // Along a direction that is zero nothing changes: a unit vector's tangents cost one input's.
    let roots: Vec<_> = gradients
        .iter()
        .zip(tangents)
        .filter_map(|(g, &t)| g.map(|g| (g, t)))
        .filter(|&(_, t)| literal(list, t) != Some(0.0))
        .collect();
    let results = sweep(list, &roots, &seeds, false);
    let pairs = of.iter().zip(results);
    pairs
        .map(|(&v, t)| t.unwrap_or_else(|| list.zeros_like(v)))
        .collect()
}

/// Whether rows `base..=top` depend on `wrt`: one pass, operands stand before their users.
fn depends(list: &List, base: usize, top: usize, wrt: &[Value]) -> Vec<bool> {
    let mut depends = vec![false; top + 1 - base];
    for v in wrt {
        if v.index() <= top && list.dtype(*v).is_float() {
            depends[v.index() - base] = true;
        }
    }
    for row in base..=top {
        if depends[row - base] {
            continue;
        }
        let v = Value::from_index(row);
        let op = list.op(v);
        depends[row - base] = list.dtype(v).is_float()
            && list.args(v).iter().enumerate().any(|(i, x)| {
                x.index() >= base && depends[x.index() - base] && passes(list, op, i, *x)
            });
    }
    depends
}

/// Whether a derivative passes from the result of `op` to its operand `i`, which is `x`.
pub(crate) fn passes(list: &List, op: Op, i: usize, x: Value) -> bool {
    let structural = match op {
        Op::Detach
        | Op::ArgMax
        | Op::ArgMin
        | Op::CumArgMax
        | Op::ArgSort
        | Op::SearchSorted
        | Op::CheckIndex
        | Op::Division(_)
        | Op::Input
        | Op::Const
        | Op::Uniform
        | Op::Iota
        | Op::Random(_) => false,
        Op::Unary(u) => !matches!(
            u,
            Unary::Sign
                | Unary::Floor
                | Unary::Ceil
                | Unary::Round
                | Unary::Trunc
                | Unary::Not
                | Unary::IsNan
                | Unary::IsFinite
        ),
        Op::Binary(Binary::Copysign | Binary::Hardshrink)
        | Op::MaxPool
        | Op::MaxPoolInput
        | Op::After => i == 0,
        Op::Binary(_) => true,
        Op::Linalg(op) => linalg::passes(op, i),
        Op::Ternary(Ternary::Select | Ternary::Fma | Ternary::Clamp) => true,
        Op::PowI
        | Op::Cast
        | Op::Reduce(_)
        | Op::LogSumExp
        | Op::Softmax
        | Op::LogSoftmax
        | Op::Recurrence
        | Op::CumMax
        | Op::LogCumSumExp
        | Op::Reshape
        | Op::Permute
        | Op::Slice
        | Op::Unslice
        | Op::Expand
        | Op::Copy
        | Op::Concat
        | Op::MatMul
        | Op::Attention
        | Op::AttentionGrad
        | Op::Custom
        | Op::CustomGrad
        | Op::Conv2d
        | Op::ConvInput
        | Op::ConvWeight
        | Op::SumPool
        | Op::SumPoolInput
        | Op::Gather
        | Op::ScatterAdd
        | Op::Scan => true,
    };
    structural && list.dtype(x).is_float()
}

impl Sweep<'_> {
    /// Whether `x` needs an adjoint.
    fn wants(&self, x: Value) -> bool {
        x.index() >= self.base && self.depends.get(x.index() - self.base).is_some_and(|&d| d)
    }

    /// Adds `g` to the adjoint of `x`, if `x` needs one. `g` may be broader than `x`: what broadcasting added is summed
    /// when `x`'s turn comes, once for all contributions of one shape.
    fn give(&mut self, x: Value, g: Value) {
        if !self.wants(x) {
            return;
        }
        debug_assert_eq!(
            self.list.dtype(x),
            self.list.dtype(g),
            "an adjoint has its value's type"
        );
        let head = &mut self.heads[x.index() - self.base];
        self.links.push((g, *head));
        *head = Packed::some(Link::from_index(self.links.len() - 1));
    }

    /// The adjoint of `v`: its contributions, added while they are broad, then reduced to `v`'s shape.
    fn collect(&mut self, v: Value) -> Value {
        // Newest first, which is the order of the users from the last to the first.
        let shape = self.list.shape(v);
        let mut next = self.heads[v.index() - self.base];
        debug_assert!(
            next.get().is_some(),
            "a value's turn comes only if it has a contribution"
        );
        if let Some(whole) = self.joined(v) {
            return whole;
        }
        let mut sums = std::mem::take(&mut self.sums);
        while let Some(link) = next.get() {
            let (g, rest) = self.links[link.index()];
            next = rest;
            let of = self.list.shape(g);
            match sums.iter_mut().find(|s| self.list.shape(**s) == of) {
                Some(sum) => *sum = self.list.add(g, *sum),
                None => sums.push(g),
            }
        }
        let mut total = self.list.sum_to(sums[0], shape);
        for &g in &sums[1..] {
            let g = self.list.sum_to(g, shape);
            total = self.list.add(total, g);
        }
        sums.clear();
        self.sums = sums;
        total
    }

    /// Gives each operand of `v` its share of the adjoint `g`.
    fn rule(&mut self, v: Value, g: Value) {
        let x = self.list.arg(v, 0);
        match self.list.op(v) {
            // Nothing behind these.
            Op::Input | Op::Const | Op::Uniform | Op::Iota | Op::Random(_) => {}
            Op::Detach | Op::ArgMax | Op::ArgMin | Op::CumArgMax => {}
            Op::ArgSort | Op::SearchSorted => {}
            // Of integers, which have no derivatives.
            Op::CheckIndex | Op::Division(_) => {}

            Op::Unary(op) => self.unary(op, v, x, g),
            Op::Binary(op) => self.binary(op, v, g),
            Op::Ternary(op) => self.ternary(op, v, g),
            Op::PowI => self.powi(v, x, g),
            Op::Cast => self.cast(x, g),

            Op::Reduce(kind) => self.reduce(kind, v, x, g),
            Op::LogSumExp => self.log_sum_exp(v, x, g),
            Op::Softmax => self.softmax(v, x, g),
            Op::LogSoftmax => self.log_softmax(v, x, g),

            Op::Recurrence => self.recurrence(v, g),
            Op::CumMax => self.cum_max(v, x, g),
            Op::LogCumSumExp => self.log_cum_sum_exp(v, x, g),

            Op::Reshape => self.reshape(x, g),
            Op::Permute => self.permute(v, x, g),
            Op::Slice => self.slice(v, x, g),
            Op::Unslice => self.unslice(v, x, g),
            Op::Expand | Op::Copy | Op::After => self.give(x, g),
            Op::Concat => self.concat(v, g),

            Op::MatMul => self.matmul(v, g),
            Op::Linalg(op) => self.linalg(op, v, g),
            Op::Attention => self.attention(v, g),
            Op::AttentionGrad => self.attention_grad(v, g),

            Op::Conv2d => self.conv2d(v, g),
            Op::ConvInput => self.conv_input(v, g),
            Op::ConvWeight => self.conv_weight(v, g),
            Op::MaxPool => self.pool(Op::MaxPoolInput, v, g),
            Op::MaxPoolInput => self.pool(Op::MaxPool, v, g),
            Op::SumPool => self.pool(Op::SumPoolInput, v, g),
            Op::SumPoolInput => self.pool(Op::SumPool, v, g),

            Op::Custom => self.custom(v, g),
            Op::CustomGrad => self.custom_grad(v),

            Op::Gather => self.gather(v, g),
            Op::ScatterAdd => self.scatter_add(v, g),

            Op::Scan => self.scan(v),
        }
    }
}

/// Emission that several rules share.
impl List {
    /// By value up to `target`: whether it is a float that `target` is computed from, by floats and without a detach.
    pub(crate) fn differentiably_used(&self, target: Value) -> Vec<bool> {
        let mut used = vec![false; self.len()];
        used[target.index()] = true;
        for row in (0..=target.index()).rev() {
            let v = Value::from_index(row);
            if used[row] && self.dtype(v).is_float() && self.op(v) != Op::Detach {
                self.args(v).iter().for_each(|a| used[a.index()] = true);
            }
        }
        used
    }

    /// Zeros of `v`'s shape and type.
    pub(crate) fn zeros_like(&mut self, v: Value) -> Value {
        let (shape, dtype) = (self.shape(v), self.dtype(v));
        let zero = if dtype.is_float() {
            self.float(0.0, dtype)
        } else {
            self.int(0, dtype)
        };
        self.expand(zero, shape)
    }
    /// `mask ? g : 0`.
    fn keep(&mut self, mask: Value, g: Value) -> Value {
        let zero = self.like(0.0, g);
        self.select(mask, g, zero)
    }
    /// `mask ? 0 : g`.
    fn drop(&mut self, mask: Value, g: Value) -> Value {
        let zero = self.like(0.0, g);
        self.select(mask, zero, g)
    }
    /// `-x`.
    pub(crate) fn neg(&mut self, x: Value) -> Value {
        self.unary(Unary::Neg, x)
    }
    /// `g / d`, exactly 0 where the adjoint `g` is 0.
    pub(crate) fn divide_chain(&mut self, g: Value, d: Value) -> Value {
        self.binary(Binary::DivStrong, g, d)
    }
    /// `f x`, where `f` is a multiplication by a constant.
    pub(crate) fn scale(&mut self, x: Value, factor: f64) -> Value {
        let factor = self.like(factor, x);
        self.mul(x, factor)
    }
    /// A literal 1 of a number's type.
    pub(crate) fn one(&mut self, dtype: DType) -> Value {
        if dtype.is_float() {
            self.float(1.0, dtype)
        } else {
            self.int(1, dtype)
        }
    }

    /// A float literal of `dtype` in the given shape.
    pub(crate) fn filled(&mut self, x: f64, dtype: DType, shape: Shape) -> Value {
        let x = self.float(x, dtype);
        self.expand(x, shape)
    }
}
