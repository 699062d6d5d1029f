//! The verifier: a group that passes runs without panicking.

use std::fmt;

use super::{Axis, Class, Code, Elem, Group, MicroOp};
use crate::{Binary, Ternary, Unary};

/// Why a group cannot run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The micro-op at fault, `None` for the group as a whole.
    pub op: Option<usize>,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.op {
            Some(op) => write!(f, "micro-op {op}: {}", self.what),
            None => f.write_str(self.what),
        }
    }
}

impl std::error::Error for Malformed {}

/// What the slots hold after some of the micro-ops.
struct State<'g> {
    group: &'g Group,
    held: Vec<Option<Elem>>,
}

type Found<T = ()> = Result<T, &'static str>;

impl Group {
    /// Checks that
    /// - slots, views, constants and reductions named by micro-ops exist, and view types fit the group's width;
    /// - a slot is written before it is read, holds the kind of element its reader takes, and a `Scalar` slot is
    ///   written once;
    /// - a result's class is the widest among its operands (`Copy` may widen; `ReduceRow` goes from `Full` to
    ///   `Column`), and a load into a narrower class has no stride along the axes that it ignores;
    /// - operations exist for the kind of element they are applied to;
    /// - each reduction is fed by exactly one micro-op, of its class and kind.
    pub fn check(&self) -> Result<(), Malformed> {
        let whole = |what| Malformed { op: None, what };
        if self.slots.len() > usize::from(u16::MAX) {
            return Err(whole("more slots than a micro-op can name"));
        }
        let mut state = State {
            group: self,
            held: vec![None; self.slots.len()],
        };
        let mut fed = vec![false; self.reductions.len()];
        for (index, op) in self.ops.iter().enumerate() {
            let at = |what| Malformed {
                op: Some(index),
                what,
            };
            state.step(op).map_err(at)?;
            if op.code == Code::Reduce && std::mem::replace(&mut fed[op.imm as usize], true) {
                return Err(at("a reduction is fed twice"));
            }
        }
        if fed.contains(&false) {
            return Err(whole("a reduction is never fed"));
        }
        Ok(())
    }
}

impl State<'_> {
    fn step(&mut self, op: &MicroOp) -> Found {
        let (elem, class) = match op.code {
            Code::Load => {
                let class = self.class(op.dst)?;
                (self.load(op.imm, class)?, class)
            }
            Code::Store => return self.store(op),
            Code::Reduce => return self.reduce(op),
            Code::Const(elem) => {
                if op.imm as usize >= self.group.constants.len() {
                    return Err("no such constant");
                }
                (elem, Class::Scalar)
            }
            Code::Iota(_, Elem::Mask) => return Err("an index is no mask"),
            Code::Iota(Axis::Inner, elem) => (elem, Class::Full),
            Code::Iota(_, elem) => (elem, Class::Column),
            Code::Copy => {
                let class = self.class(op.dst)?;
                if self.class(op.a)? > class {
                    return Err("a copy to a narrower class");
                }
                (self.any(op.a)?, class)
            }
            Code::Unary(elem, what) => {
                if !unary_takes(what, elem) {
                    return Err("no such operation of one operand for this kind of element");
                }
                let class = self.operand(op.a, elem)?;
                let result = match what {
                    Unary::IsNan | Unary::IsFinite => Elem::Mask,
                    _ => elem,
                };
                (result, class)
            }
            Code::Binary(elem, what) => {
                if !binary_takes(what, elem) {
                    return Err("no such operation of two operands for this kind of element");
                }
                let class = self.operand(op.a, elem)?.max(self.operand(op.b, elem)?);
                (binary_result(what, elem), class)
            }
            Code::Ternary(elem, what) => {
                let (first, allowed) = match what {
                    Ternary::Select => (Elem::Mask, true),
                    Ternary::Fma => (elem, elem == Elem::Float),
                    Ternary::Clamp => (elem, elem != Elem::Mask),
                };
                if !allowed {
                    return Err("no such operation of three operands for this kind of element");
                }
                let class = self
                    .operand(op.a, first)?
                    .max(self.operand(op.b, elem)?)
                    .max(self.operand(op.c, elem)?);
                (elem, class)
            }
            Code::Pair(..) => {
                let class = self
                    .operand(op.a, Elem::Float)?
                    .max(self.operand(op.b, Elem::Float)?)
                    .max(self.operand(op.c, Elem::Float)?);
                (Elem::Float, class)
            }
            Code::Update(_) => {
                let scalars = self.group.uniforms.get(op.imm as usize);
                for &slot in scalars.ok_or("no such scalars")? {
                    if self.operand(slot, Elem::Float)? != Class::Scalar {
                        return Err("a scalar of an update stands in a wider slot");
                    }
                }
                let class = self
                    .operand(op.a, Elem::Float)?
                    .max(self.operand(op.b, Elem::Float)?)
                    .max(self.operand(op.c, Elem::Float)?);
                (Elem::Float, class)
            }
            Code::PowI => (Elem::Float, self.operand(op.a, Elem::Float)?),
            Code::Cast(from, to) => {
                if from == to || to == Elem::Mask {
                    return Err("no such cast");
                }
                (to, self.operand(op.a, from)?)
            }
            Code::ReduceRow(elem, _) => {
                if elem == Elem::Mask {
                    return Err("masks are not reduced");
                }
                if self.operand(op.a, elem)? != Class::Full {
                    return Err("a row reduction takes a full slot");
                }
                (elem, Class::Column)
            }
        };
        self.write(op.dst, elem, class)
    }

    /// The class of a slot.
    fn class(&self, slot: u16) -> Found<Class> {
        let class = self.group.slots.get(usize::from(slot));
        class.copied().ok_or("no such slot")
    }

    /// What a slot that is read holds.
    fn any(&self, slot: u16) -> Found<Elem> {
        let held = self.held.get(usize::from(slot)).ok_or("no such slot")?;
        held.ok_or("a slot is read before it is written")
    }

    /// The class of an operand that must hold `elem`.
    fn operand(&self, slot: u16, elem: Elem) -> Found<Class> {
        if self.any(slot)? != elem {
            return Err("an operand holds another kind of element");
        }
        self.class(slot)
    }

    fn write(&mut self, slot: u16, elem: Elem, class: Class) -> Found {
        if self.class(slot)? != class {
            return Err("the result's slot has another class");
        }
        let held = &mut self.held[usize::from(slot)];
        if class == Class::Scalar && held.is_some() {
            return Err("a scalar slot is written twice");
        }
        *held = Some(elem);
        Ok(())
    }

    /// The kind of element that view `index` gives, if it can be loaded into a slot of `class`.
    fn load(&self, index: u32, class: Class) -> Found<Elem> {
        let view = self.group.views.get(index as usize).ok_or("no such view")?;
        let ignored = match class {
            Class::Full => 3,
            Class::Column => 2,
            Class::Scalar => 0,
        };
        if (ignored..3).any(|axis| view.strides[axis] != 0 && self.group.space[axis] > 1) {
            return Err("a load into a narrower class has a stride along an axis it ignores");
        }
        self.elem_of(index)
    }

    fn elem_of(&self, view: u32) -> Found<Elem> {
        let view = self.group.views.get(view as usize).ok_or("no such view")?;
        let elem = self.group.width.elem(view.dtype);
        elem.ok_or("the view's type has another width")
    }

    fn store(&self, op: &MicroOp) -> Found {
        if self.operand(op.a, self.elem_of(op.imm)?)? == Class::Scalar {
            return Err("a scalar slot cannot be stored");
        }
        Ok(())
    }

    fn reduce(&self, op: &MicroOp) -> Found {
        let reduction = self.group.reductions.get(op.imm as usize);
        let reduction = reduction.ok_or("no such reduction")?;
        if reduction.elem == Elem::Mask {
            return Err("masks are not reduced");
        }
        if reduction.class == Class::Scalar {
            return Err("a scalar is not reduced");
        }
        if self.operand(op.a, reduction.elem)? != reduction.class {
            return Err("a reduction's operand has another class");
        }
        Ok(())
    }
}

/// Whether an operation exists for operands of this kind.
pub(crate) fn unary_takes(what: Unary, elem: Elem) -> bool {
    match elem {
        Elem::Float => what != Unary::Not,
        Elem::Int => what == Unary::Neg,
        Elem::Mask => what == Unary::Not,
    }
}

/// Whether an operation exists for operands of this kind.
pub(crate) fn binary_takes(what: Binary, elem: Elem) -> bool {
    use Binary::{Add, And, Eq, Ge, Gt, Le, Lt, Max, Min, Mul, Ne, Or, Sub, Xor};
    match elem {
        Elem::Float => !matches!(what, And | Or | Xor),
        Elem::Int => matches!(
            what,
            Add | Sub | Mul | Max | Min | Lt | Le | Gt | Ge | Eq | Ne
        ),
        Elem::Mask => matches!(what, And | Or | Xor | Eq | Ne),
    }
}

/// The kind of element that an operation on `elem` gives.
pub(crate) fn binary_result(what: Binary, elem: Elem) -> Elem {
    use Binary::{Eq, Ge, Gt, Le, Lt, Ne};
    match what {
        Lt | Le | Gt | Ge | Eq | Ne => Elem::Mask,
        _ => elem,
    }
}
