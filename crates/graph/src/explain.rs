//! A value explained: the instructions it depends on, with what each computed, its local derivatives and its adjoint.
//!
//! Everything shown is computed by the engine from instructions like any other: the adjoints are one reverse sweep, a
//! local derivative is the sweep of a copy of one instruction whose operands are detached. All of it is read as one
//! value, so that explaining compiles one program, whatever the length of the recording.

use std::fmt;
use std::panic::Location;

use retrograde_storage::{DType, Id, Shape};

use crate::error::Result;
use crate::list::{List, Value};
use crate::op::{Attr, Op};
use crate::rules;
use crate::var::{Float, Var};

/// The smallest and largest of a tensor's elements; a scalar's only one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The smallest element that is not NaN (infinite if there is none).
    pub min: f64,
    /// The largest element that is not NaN (negative infinity if there is none).
    pub max: f64,
    /// How many elements are NaN.
    pub nan: usize,
    /// How many elements there are.
    pub len: usize,
}

impl Spread {
    fn of(elements: &[f64]) -> Self {
        let none = Self {
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            nan: 0,
            len: elements.len(),
        };
        elements.iter().fold(none, |s, &x| Self {
            min: s.min.min(x),
            max: s.max.max(x),
            nan: s.nan + usize::from(x.is_nan()),
            len: s.len,
        })
    }
}

/// Six significant digits, without trailing zeros.
fn number(x: f64) -> String {
    let magnitude = x.abs().log10().floor();
    if x == 0.0 || !x.is_finite() {
        return x.to_string();
    }
    if !(-4.0..6.0).contains(&magnitude) {
        return format!("{x:.5e}");
    }
    let digits = (5.0 - magnitude) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        text
    }
}

impl fmt::Display for Spread {
    /// `2.5`, `-1 to 3.25`, `0 to 1 and 2 NaN`, `NaN` or `empty`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match (self.len, self.nan) {
            (0, _) => "empty".into(),
            (len, nan) if len == nan => "NaN".into(),
            (_, nan) => {
                let mut text = number(self.min);
                if self.min < self.max {
                    text += &format!(" to {}", number(self.max));
                }
                if nan > 0 {
                    text += &format!(" and {nan} NaN");
                }
                text
            }
        };
        f.pad(&text)
    }
}

/// One instruction of an [`Explanation`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explained {
    /// The instruction's result.
    pub value: Value,
    /// The instruction as listings print it: `v2 = sin v0 : [] f64`.
    pub instruction: String,
    /// What it computed.
    pub result: Spread,
    /// For each operand that carries a derivative, in order: `d value / d operand`, every operand counted on its own
    /// (`v0 v0` has two). Between tensors it is that of the sum of the result's elements.
    pub local: Vec<(Value, Spread)>,
    /// `d explained / d value`; none where the explained value does not depend on it differentiably.
    pub adjoint: Option<Spread>,
    /// The line of the user's code that recorded it.
    pub location: Option<&'static Location<'static>>,
}

/// What [`Var::explain`] returns; prints as a table.
#[derive(Clone, Debug)]
pub struct Explanation {
    lines: Vec<Explained>,
}

impl Explanation {
    /// The instructions, operands before their users; the last is the explained value.
    pub fn lines(&self) -> &[Explained] {
        &self.lines
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let adjoint = |l: &Explained| l.adjoint.map_or("-".into(), |a| a.to_string());
        let width = |head: &str, of: &dyn Fn(&Explained) -> String| {
            let widths = self.lines.iter().map(|l| of(l).chars().count());
            widths.max().unwrap_or(0).max(head.len())
        };
        let heads = ["instruction", "value", "adjoint", "local derivatives"];
        let columns = [
            width(heads[0], &|l| l.instruction.clone()),
            width(heads[1], &|l| l.result.to_string()),
            width(heads[2], &adjoint),
        ];
        let mut row = |cells: [&str; 4]| {
            let mut line = String::new();
            for (cell, width) in cells.iter().zip(columns) {
                line += &format!("{cell:width$}  ");
            }
            line += cells[3];
            writeln!(f, "{}", line.trim_end())
        };
        row(heads)?;
        for l in &self.lines {
            let local: Vec<String> = l
                .local
                .iter()
                .map(|(x, d)| format!("d{}/d{x} = {d}", l.value))
                .collect();
            row([
                &l.instruction,
                &l.result.to_string(),
                &adjoint(l),
                &local.join(", "),
            ])?;
        }
        Ok(())
    }
}

/// A list with all that an explanation needs, and which values of it.
struct Wanted {
    list: List,
    values: Vec<Value>,
}

/// One line, its quantities as positions in [`Wanted::values`].
struct Planned {
    value: Value,
    local: Vec<(Value, usize)>,
    adjoint: Option<usize>,
}

impl Wanted {
    fn want(&mut self, v: Value) -> usize {
        self.values.push(v);
        self.values.len() - 1
    }

    /// Every wanted value as `f64` along one axis.
    fn flat(&mut self) -> Vec<Value> {
        let list = &mut self.list;
        let flatten = |&v: &Value| {
            let wide = match list.dtype(v) {
                DType::F64 => v,
                _ => list.cast(v, DType::F64),
            };
            let length = Shape::new(&[list.shape(v).len()]).expect("no longer than the value");
            list.reshape(wide, length)
        };
        self.values.iter().map(flatten).collect()
    }
}

/// The rows that `target` depends on, in order.
fn behind(list: &List, target: Value) -> Vec<Value> {
    let mut needed = vec![false; target.index() + 1];
    needed[target.index()] = true;
    for row in (0..needed.len()).rev() {
        if needed[row] {
            let args = list.args(Value::from_index(row));
            args.iter().for_each(|a| needed[a.index()] = true);
        }
    }
    (0..needed.len())
        .filter(|&row| needed[row])
        .map(Value::from_index)
        .collect()
}

/// The derivatives of one instruction with respect to each of its operands, as if nothing stood behind them.
fn local(list: &mut List, v: Value) -> Vec<(Value, Value)> {
    if !list.dtype(v).is_float() {
        return Vec::new();
    }
    let args = list.args(v).to_vec();
    let alone: Vec<Value> = args
        .iter()
        .map(|&x| {
            let (shape, dtype) = (list.shape(x), list.dtype(x));
            list.push(Op::Detach, &[x], Attr::NONE, shape, dtype)
        })
        .collect();
    let (op, attr) = (list.op(v), list.attr(v));
    let (shape, dtype) = (list.shape(v), list.dtype(v));
    let copy = list.push(op, &alone, attr, shape, dtype);
    let one = list.filled(1.0, dtype, shape);
    let derivatives = rules::reverse(list, copy, one, &alone);
    args.into_iter()
        .zip(derivatives)
        .filter_map(|(x, d)| d.map(|d| (x, d)))
        .collect()
}

impl<T: Float> Var<'_, T> {
    /// The instructions that this value depends on, each with its value, its local derivatives and its adjoint (the
    /// derivative of this value, or of the sum of its elements, with respect to the instruction's). Tensors are
    /// summarised by shape and range. The recording stays as it is; the explained values count as read.
    ///
    /// ```
    /// use retrograde_graph::Tape;
    /// use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// let tape = Tape::new();
    /// let x = tape.variable(Array::<f64>::scalar(2.0));
    /// let y = x.square().ln() * x.sin() + 1.0 / x;
    /// let explained = y.explain()?;
    /// println!("{explained}");
    /// // instruction              value      adjoint    local derivatives
    /// // v0 = input 0 : [] f64    2          0.0824...
    /// // v1 = square v0 : [] f64  4          0.227324   dv1/dv0 = 4
    /// // ...
    /// let line = &explained.lines()[1];
    /// assert_eq!(line.instruction, "v1 = square v0 : [] f64");
    /// assert_eq!((line.result.min, line.local[0].1.min), (4.0, 4.0));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Those of [`value`](Var::value).
    pub fn explain(self) -> Result<Explanation> {
        self.shape_checked()?;
        // What is recorded for the explanation is taken back afterwards.
        let recorded = self.rec.recorder.state.borrow().list.clone();
        let (mut wanted, lines) = plan(recorded.clone(), self.id);
        let parts = wanted.flat();
        self.rec.recorder.state.borrow_mut().list = wanted.list;
        let parts: Vec<Var<'_, f64>> = parts.into_iter().map(|v| self.rec.var(v)).collect();
        let read = self.rec.concat(&parts, 0).value();
        let mut state = self.rec.recorder.state.borrow_mut();
        let added = std::mem::replace(&mut state.list, recorded);
        for row in state.list.len()..added.len() {
            state.store.forget(Value::from_index(row));
        }
        let read = read?;
        let mut elements = read.as_slice();
        let spreads: Vec<Spread> = wanted
            .values
            .iter()
            .map(|&v| {
                let (own, rest) = elements.split_at(added.shape(v).len());
                elements = rest;
                Spread::of(own)
            })
            .collect();
        let lines = lines.iter().enumerate().map(|(i, line)| Explained {
            value: line.value,
            instruction: crate::print::instruction(&state.list, line.value),
            // The values of the lines themselves come first.
            result: spreads[i],
            local: line.local.iter().map(|&(x, at)| (x, spreads[at])).collect(),
            adjoint: line.adjoint.map(|at| spreads[at]),
            location: state.list.location(line.value),
        });
        Ok(Explanation {
            lines: lines.collect(),
        })
    }
}

/// Emits everything that an explanation of `target` shows.
fn plan(mut list: List, target: Value) -> (Wanted, Vec<Planned>) {
    let rows = behind(&list, target);
    let varies = |list: &List, v: Value| {
        list.dtype(v).is_float() && !matches!(list.op(v), Op::Const | Op::Uniform)
    };
    let wrt: Vec<Value> = rows.iter().copied().filter(|&v| varies(&list, v)).collect();
    let (shape, dtype) = (list.shape(target), list.dtype(target));
    let one = list.filled(1.0, dtype, shape);
    let adjoints = rules::reverse(&mut list, target, one, &wrt);
    let mut wanted = Wanted {
        list,
        values: rows.clone(),
    };
    let mut adjoint = wrt.iter().zip(adjoints).peekable();
    let lines = rows
        .iter()
        .map(|&value| {
            let own = adjoint.next_if(|a| *a.0 == value).and_then(|a| a.1);
            let local = local(&mut wanted.list, value)
                .into_iter()
                .filter(|&(x, _)| varies(&wanted.list, x))
                .collect::<Vec<_>>();
            Planned {
                value,
                adjoint: own.map(|g| wanted.want(g)),
                local: local
                    .into_iter()
                    .map(|(x, d)| (x, wanted.want(d)))
                    .collect(),
            }
        })
        .collect();
    (wanted, lines)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_have_six_digits_and_no_trailing_zeros() {
        for (x, text) in [
            (2.0, "2"),
            (-0.25, "-0.25"),
            (std::f64::consts::PI, "3.14159"),
            (123_456.7, "123457"),
            (100.0, "100"),
            (1.0e6, "1.00000e6"),
            (1.5e-7, "1.50000e-7"),
            (0.000_123_456_78, "0.000123457"),
            (0.0, "0"),
            (f64::INFINITY, "inf"),
        ] {
            assert_eq!(number(x), text);
        }
    }
}
