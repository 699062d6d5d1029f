//! The rule of a scan: a scan the other way round, whose body is a sweep over the body.
//!
//! Its carries are the adjoints of the carries and the sums of the constants' adjoints; its per-step inputs are the
//! adjoints of what was stacked, the carries that each step was given, from which it computes the step again, and the
//! step's own inputs. What the sweep does not read of these is not passed.

use std::sync::Arc;

use retrograde_storage::{Id, Packed};

use super::{Sweep, depends, reverse_from};
use crate::body::{Body, ScanSpec};
use crate::list::{List, Value};
use crate::op::Op;

/// The body of a scan's adjoint, and what its inputs and outputs are.
struct Adjoint {
    body: Body,
    /// Operands, of which [`Self::kept`] are left.
    operands: Vec<Operand>,
    kept: Vec<usize>,
    /// By result: the scan's operand that it is the gradient of.
    results: Vec<usize>,
}

/// What an input of the adjoint's body is given.
#[derive(Clone, Copy)]
enum Operand {
    /// The adjoint of a piece: of a last carry, or stacked.
    Seed(usize),
    /// The adjoint that an operand has from later users: the sum goes on from there.
    Sum(usize),
    /// The carries before every step.
    Stack(usize),
    /// The scan's own operand.
    Same(usize),
}

impl Body {
    /// Inputs whose derivatives are needed, given those that are wanted: carries that depend on one are, too.
    fn active(&self, wanted: &[bool]) -> Vec<bool> {
        let mut active = wanted.to_vec();
        let top = self.list.len() - 1;
        loop {
            let inputs = (0..self.inputs()).filter(|&i| active[i]);
            let inputs: Vec<Value> = inputs.map(Value::from_index).collect();
            let depends = depends(&self.list, 0, top, &inputs);
            let more = (0..self.carries)
                .filter(|&i| !active[i] && depends[self.outputs[i].index()])
                .collect::<Vec<_>>();
            if more.is_empty() {
                return active;
            }
            more.into_iter().for_each(|i| active[i] = true);
        }
    }

    /// The sweep over the body, for those inputs, with those pieces having adjoints.
    fn adjoint(&self, active: &[bool], seeded: &[bool]) -> Adjoint {
        let (carries, steps) = (self.carries, self.carries + self.steps);
        let count = self.inputs();
        let own = |i: usize| Value::from_index(i);
        let mut list = List::default();
        let mut operands = Vec::new();
        let mut input = |list: &mut List, like: Value, operand: Operand| {
            operands.push(operand);
            list.body_input(self.list.shape(like), self.list.dtype(like))
        };
        let (mut roots, mut adjoints) = (Vec::new(), Vec::new());
        for i in (0..carries).filter(|&i| active[i]) {
            adjoints.push((i, input(&mut list, own(i), Operand::Seed(i))));
        }
        for i in (steps..count).filter(|&i| active[i]) {
            adjoints.push((i, input(&mut list, own(i), Operand::Sum(i))));
        }
        let first_step = adjoints.len();
        let mut seeds = Vec::new();
        for j in (carries..self.outputs.len()).filter(|&j| seeded[j]) {
            seeds.push((j, input(&mut list, self.outputs[j], Operand::Seed(j))));
        }
        let mut map: Vec<Value> = Vec::with_capacity(self.list.len());
        for i in 0..count {
            let operand = if i < carries {
                Operand::Stack(i)
            } else {
                Operand::Same(i)
            };
            map.push(input(&mut list, own(i), operand));
        }
        let counts = [first_step, seeds.len() + steps, count - steps];
        for v in self.list.values().skip(count) {
            let args: Vec<Value> = self.list.args(v).iter().map(|a| map[a.index()]).collect();
            list.set_location(self.list.location(v));
            map.push(list.copy_row(&self.list, v, &args));
        }
        // The sums of constants go on; adjoints of what was stacked come before those of the next step.
        for &(i, sum) in adjoints.iter().filter(|a| a.0 >= steps) {
            roots.push((map[i], sum));
        }
        for &(j, seed) in &seeds {
            roots.push((map[self.outputs[j].index()], seed));
        }
        for &(i, next) in adjoints.iter().filter(|a| a.0 < carries) {
            roots.push((map[self.outputs[i].index()], next));
        }
        let each: Vec<usize> = adjoints
            .iter()
            .map(|a| a.0)
            .chain((carries..steps).filter(|&i| active[i]))
            .collect();
        let wrt: Vec<Value> = each.iter().map(|&i| map[i]).collect();
        let found = reverse_from(&mut list, &roots, &wrt);
        let (mut outputs, mut results) = (Vec::new(), Vec::new());
        for ((&i, &x), g) in each.iter().zip(&wrt).zip(found) {
            let is_step = (carries..steps).contains(&i);
            let g = match g {
                Some(g) => g,
                None if is_step => continue,
                None => list.zeros_like(x),
            };
            outputs.push(g);
            results.push(i);
        }
        let (body, kept) = Self::new(&list, counts, &outputs);
        Adjoint {
            body: body.stacking(),
            operands,
            kept,
            results,
        }
    }
}

impl Sweep<'_> {
    /// Gives a scan's operands their shares of what its pieces were given.
    pub(super) fn scan(&mut self, v: Value) {
        let spec = self.list.scan_spec(v).clone();
        let args = self.list.args(v).to_vec();
        let wanted: Vec<bool> = args.iter().map(|&a| self.wants(a)).collect();
        let active = spec.body.active(&wanted);
        let seeds = self.piece_adjoints(v, &spec);
        let seeded: Vec<bool> = seeds.iter().map(Option::is_some).collect();
        let adjoint = spec.body.adjoint(&active, &seeded);
        if adjoint.results.is_empty() {
            return;
        }
        let pieces = spec.pieces();
        // Inputs that the sweep reads, in order.
        let operands: Vec<Value> = adjoint
            .kept
            .iter()
            .map(|&i| match adjoint.operands[i] {
                Operand::Seed(p) => seeds[p].unwrap_or_else(|| self.list.zeros_like(args[p])),
                Operand::Sum(i) => self.taken(args[i]),
                Operand::Stack(i) => {
                    let piece = spec.body.stack_of(i);
                    let piece = piece.expect("scans of recordings put out all carries");
                    self.list.piece(v, pieces[piece])
                }
                Operand::Same(i) => args[i],
            })
            .collect();
        let spec = ScanSpec {
            body: Arc::new(adjoint.body),
            length: spec.length,
            reverse: !spec.reverse,
        };
        let pieces = spec.pieces();
        let whole = self.list.scan_of(spec, &operands);
        for (&i, &piece) in adjoint.results.iter().zip(&pieces) {
            if self.wants(args[i]) {
                let g = self.list.piece(whole, piece);
                self.give(args[i], g);
            }
        }
    }

    /// What `x` has been given so far, taken from it, or zeros.
    fn taken(&mut self, x: Value) -> Value {
        let given = |s: &Self| s.wants(x) && s.heads[x.index() - s.base].get().is_some();
        if !given(self) {
            return self.list.zeros_like(x);
        }
        let sum = self.collect(x);
        self.heads[x.index() - self.base] = Packed::NONE;
        sum
    }

    /// By piece of a scan: its adjoint, the sum of what it was given.
    fn piece_adjoints(&mut self, v: Value, spec: &ScanSpec) -> Vec<Option<Value>> {
        let pieces = spec.pieces();
        let mut sums: Vec<Option<Value>> = vec![None; pieces.len()];
        let mut next = self.heads[v.index() - self.base];
        while let Some(link) = next.get() {
            let (g, rest) = self.links[link.index()];
            next = rest;
            let list = &mut *self.list;
            // Pieces are slices, so that what they are given comes as zeros with one piece.
            let of = (list.op(g) == Op::Unslice).then(|| {
                let (part, start) = (list.arg(g, 0), list.slice_spec(g).start[0]);
                let piece = spec.piece_at(start, list.shape(part).len());
                piece.map(|p| (p, part))
            });
            let parts: Vec<(usize, Value)> = match of.flatten() {
                Some((p, part)) => vec![(p, list.reshape(part, pieces[p].shape))],
                None => (0..pieces.len())
                    .map(|p| (p, list.piece(g, pieces[p])))
                    .collect(),
            };
            for (p, part) in parts {
                sums[p] = Some(match sums[p] {
                    Some(sum) => list.add(part, sum),
                    None => part,
                });
            }
        }
        sums
    }
}
