//! Recording: appending instructions to a list, with the user's mistakes kept beside it instead of thrown.

use std::cell::RefCell;
use std::panic::Location;

use retrograde_storage::{DType, Element, Shape};

use crate::error::{Error, Fault};
use crate::list::{List, Value};
use crate::op::{Attr, Op};

/// A list being recorded.
///
/// Interior mutability, because `Var`'s operators take `self` by value and share the tape; no borrow is held while user
/// code runs. Not `Sync`: a tape belongs to one thread at a time.
#[derive(Debug, Default)]
pub struct Recorder {
    pub(crate) state: RefCell<Recording>,
}

/// What has been recorded.
#[derive(Debug, Default)]
pub(crate) struct Recording {
    /// The instructions.
    pub list: List,
    /// Mistakes: (value that has none, why). Sorted by value, short: empty in correct programs.
    pub poison: Vec<(Value, Error)>,
    /// Scalars that are data, by the number in [`Op::Uniform`]'s attribute.
    pub uniforms: Vec<f64>,
    /// Seeds of random streams, by the number in [`Op::Random`]'s attribute, with the next ordinal of each.
    pub streams: Vec<(u64, u32)>,
    /// Set while an update rule is recorded, which is done only to compile it: its literals are part of the program.
    pub literals_are_fixed: bool,
    /// Leaves and evaluated values (see `tape`).
    pub store: crate::tape::Store,
    /// What evaluation needs for a moment (see `eval`).
    pub buffers: crate::eval::Buffers,
}

impl Recording {
    /// Why `v` has no value, if it has none.
    pub(crate) fn poison_of(&self, v: Value) -> Option<&Error> {
        if self.poison.is_empty() {
            return None;
        }
        self.poison
            .binary_search_by_key(&v, |p| p.0)
            .ok()
            .map(|i| &self.poison[i].1)
    }

    /// A value that has none: a rank-0 placeholder, remembered with the reason.
    pub(crate) fn push_poison(&mut self, error: Error, dtype: DType) -> Value {
        let v = self
            .list
            .push(Op::Const, &[], Attr::NONE, Shape::SCALAR, dtype);
        self.poison.push((v, error));
        v
    }

    /// A scalar literal: part of the program where it is structural (0, 1, -1, 2, 0.5), data otherwise, so that an
    /// annealed weight or a learning rate does not make a new program each step.
    pub(crate) fn scalar(&mut self, x: f64, dtype: DType) -> Value {
        if !dtype.is_float() {
            return self.list.int(x as i64, dtype);
        }
        let structural =
            x == 1.0 || x == -1.0 || x == 2.0 || x == 0.5 || (x == 0.0 && x.is_sign_positive());
        if structural || self.literals_are_fixed {
            return self.list.float(x, dtype);
        }
        self.uniforms.push(x);
        self.list.push(
            Op::Uniform,
            &[],
            Attr::int(self.uniforms.len() as i64 - 1),
            Shape::SCALAR,
            dtype,
        )
    }

    /// [`scalar`](Self::scalar) of any element: an `i64` not by way of a float, which does not hold all of them.
    pub(crate) fn literal<T: Element>(&mut self, x: T) -> Value {
        if T::DTYPE == DType::I64 {
            let x = i64::from_bytes(bytemuck::bytes_of(&x));
            return self.list.int(x, T::DTYPE);
        }
        self.scalar(x.to_f64(), T::DTYPE)
    }

    /// Describes operands for an error: `[3, 4] f32 and [5] f32`.
    pub(crate) fn describe(&self, operands: &[Value]) -> String {
        let each: Vec<String> = operands
            .iter()
            .map(|&v| format!("{} {}", self.list.shape(v), self.list.dtype(v)))
            .collect();
        match each.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [init @ .., last] => format!("{} and {last}", init.join(", ")),
        }
    }

    /// Appends what `build` emits, or a poisoned value if an operand is poisoned or `build` refuses.
    pub(crate) fn apply(
        &mut self,
        name: &str,
        operands: &[Value],
        dtype: DType,
        at: &'static Location<'static>,
        build: impl FnOnce(&mut Self) -> Result<Value, Fault>,
    ) -> Value {
        if let Some(error) = operands.iter().find_map(|&v| self.poison_of(v)) {
            let error = error.clone();
            return self.push_poison(error, dtype);
        }
        let before = self.list.len();
        self.list.set_location(Some(at));
        let built = build(self);
        match built {
            Ok(v) => v,
            Err(fault) => {
                self.list.truncate(before);
                let error = self.refusal(name, operands, &fault, at);
                self.push_poison(error, dtype)
            }
        }
    }

    /// Why an operation is not recorded, with its name, operands and line.
    pub(crate) fn refusal(
        &self,
        name: &str,
        operands: &[Value],
        Fault { kind, reason }: &Fault,
        at: &'static Location<'static>,
    ) -> Error {
        let message = match operands {
            [] => format!("{name}: {reason}"),
            _ => format!("{name} of {}: {reason}", self.describe(operands)),
        };
        Error::new(*kind, message).at(Some(at))
    }
}

impl Recorder {
    /// The number of instructions recorded.
    pub fn len(&self) -> usize {
        self.state.borrow().list.len()
    }
    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
