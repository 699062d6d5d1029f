//! Which instructions of a group are an optimiser's arithmetic, and run as one micro-op.
//!
//! Recognised by their formulas, so that every rule profits that is written with them; see [`Update`].

use retrograde_ops::tile::{Class, Update};
use retrograde_ops::{Binary, Unary};
use retrograde_storage::Id;

use super::emit::operands::Operands;
use super::fuse::is_scalar;
use crate::list::{List, Value};
use crate::op::Op;

/// Instructions that run as one micro-op.
pub(super) struct Found {
    pub what: Update,
    /// The members besides the last, which gives the result.
    pub inner: Vec<usize>,
    /// All that they read, by value and number of the operand, as often as they do.
    pub args: Vec<(Value, u32)>,
    /// Which of those are `a`, `b` and `c`.
    pub operands: [usize; 3],
    /// Which are `p`, `q` and `r`.
    pub scalars: [usize; 3],
}

/// The formulas found in a group.
pub(super) struct Updates {
    /// By member: the formula that it ends.
    pub at: Vec<Option<Found>>,
    /// By member: whether it is part of a formula.
    pub taken: Vec<bool>,
}

impl Updates {
    /// Formulas whose values in between have one use and are not `stored`, all of class [`Class::Full`].
    pub(super) fn find(
        list: &List,
        members: &[Value],
        operands: &Operands,
        stored: &[bool],
        classes: &[Class],
    ) -> Self {
        let mut updates = Self {
            at: members.iter().map(|_| None).collect(),
            taken: vec![false; members.len()],
        };
        let floats = |v: Value| list.dtype(v).is_float();
        for (number, &v) in members.iter().enumerate() {
            let ends = matches!(list.op(v), Op::Binary(Binary::Add | Binary::Sub));
            if !ends || !floats(v) || classes[number] != Class::Full {
                continue;
            }
            let taken = &updates.taken;
            let is_inner = |operand: u32| {
                let member = operands.member(operand)?;
                let free = operands.uses(operand) == 1
                    && !stored[members[member].index()]
                    && !taken[member]
                    && classes[member] == Class::Full;
                free.then_some(member)
            };
            let matcher = || Matcher {
                list,
                members,
                operands,
                is_inner: &is_inner,
                inner: Vec::new(),
                args: Vec::new(),
            };
            let found = if list.op(v) == Op::Binary(Binary::Sub) {
                matcher().step(number)
            } else {
                matcher()
                    .moment(number)
                    .or_else(|| matcher().gradient(number))
            };
            if let Some(mut found) = found {
                found.inner.sort_unstable();
                let parts = found.inner.iter().copied().chain([number]);
                parts.for_each(|member| updates.taken[member] = true);
                updates.at[number] = Some(found);
            }
        }
        updates
    }
}

/// Takes a formula apart, from its last instruction on.
struct Matcher<'a> {
    list: &'a List,
    members: &'a [Value],
    operands: &'a Operands,
    /// The member that computes an operand, if the formula may swallow it.
    is_inner: &'a dyn Fn(u32) -> Option<usize>,
    inner: Vec<usize>,
    args: Vec<(Value, u32)>,
}

impl Matcher<'_> {
    /// Both operands of a member.
    fn two(&self, member: usize) -> Option<[(Value, u32); 2]> {
        let (values, numbers) = (
            self.list.args(self.members[member]),
            self.operands.of(member),
        );
        match (values, numbers) {
            (&[x, y], &[i, j]) => Some([(x, i), (y, j)]),
            _ => None,
        }
    }

    /// The member that computes an operand with this operation, swallowed.
    fn swallow(&mut self, operand: (Value, u32), op: Op) -> Option<usize> {
        let member = (self.is_inner)(operand.1)?;
        if self.list.op(self.members[member]) != op {
            return None;
        }
        self.inner.push(member);
        Some(member)
    }

    fn read(&mut self, operand: (Value, u32)) -> usize {
        self.args.push(operand);
        self.args.len() - 1
    }

    fn scalar(&mut self, operand: (Value, u32)) -> Option<usize> {
        is_scalar(self.list, operand.0).then(|| self.read(operand))
    }

    fn full(&mut self, operand: (Value, u32)) -> Option<usize> {
        (!is_scalar(self.list, operand.0)).then(|| self.read(operand))
    }

    /// `p x` with a scalar `p`: which argument that is, and `x`.
    fn scaled(&mut self, operand: (Value, u32)) -> Option<(usize, (Value, u32))> {
        let member = self.swallow(operand, Op::Binary(Binary::Mul))?;
        let [p, x] = self.two(member)?;
        Some((self.scalar(p)?, x))
    }

    /// `shrink(a, q)`: `a` and `q`.
    fn shrunk(&mut self, operand: (Value, u32)) -> Option<[usize; 2]> {
        let member = self.swallow(operand, Op::Binary(Binary::Hardshrink))?;
        let [a, q] = self.two(member)?;
        Some([self.full(a)?, self.scalar(q)?])
    }

    fn found(self, what: Update, operands: [usize; 3], scalars: [usize; 3]) -> Found {
        Found {
            what,
            inner: self.inner,
            args: self.args,
            operands,
            scalars,
        }
    }

    /// `shrink(a, q) + p b`
    fn gradient(mut self, member: usize) -> Option<Found> {
        let [x, y] = self.two(member)?;
        let [a, q] = self.shrunk(x)?;
        let (p, b) = self.scaled(y)?;
        let b = self.full(b)?;
        Some(self.found(Update::Gradient, [a, b, a], [p, q, q]))
    }

    /// `p shrink(a, q) + r b` or `p shrink(a, q) + r (b b)`
    fn moment(mut self, member: usize) -> Option<Found> {
        let [x, y] = self.two(member)?;
        let (p, x) = self.scaled(x)?;
        let [a, q] = self.shrunk(x)?;
        let (r, y) = self.scaled(y)?;
        let (what, b) = if let Some(square) = self.swallow(y, Op::Unary(Unary::Square)) {
            let x = (
                self.list.arg(self.members[square], 0),
                self.operands.of(square)[0],
            );
            (Update::SquareMoment, self.full(x)?)
        } else if let Some(square) = self
            .squares(y)
            .and_then(|()| self.swallow(y, Op::Binary(Binary::Mul)))
        {
            // Read twice.
            let [x, again] = self.two(square)?;
            self.read(again);
            (Update::SquareMoment, self.full(x)?)
        } else {
            (Update::Moment, self.full(y)?)
        };
        Some(self.found(what, [a, b, a], [p, q, r]))
    }

    /// Whether an operand is the product of something with itself.
    fn squares(&self, operand: (Value, u32)) -> Option<()> {
        let [x, y] = self.two((self.is_inner)(operand.1)?)?;
        (x.1 == y.1).then_some(())
    }

    /// `a - (p b) / (q sqrt(c) + r)`
    fn step(mut self, member: usize) -> Option<Found> {
        let [a, d] = self.two(member)?;
        let a = self.full(a)?;
        let quotient = self.swallow(d, Op::Binary(Binary::Div))?;
        let [over, under] = self.two(quotient)?;
        let (p, b) = self.scaled(over)?;
        let b = self.full(b)?;
        let sum = self.swallow(under, Op::Binary(Binary::Add))?;
        let [root, r] = self.two(sum)?;
        let (q, root) = self.scaled(root)?;
        let root = self.swallow(root, Op::Unary(Unary::Sqrt))?;
        let c = (
            self.list.arg(self.members[root], 0),
            self.operands.of(root)[0],
        );
        let (c, r) = (self.full(c)?, self.scalar(r)?);
        Some(self.found(Update::Step, [a, b, c], [p, q, r]))
    }
}
