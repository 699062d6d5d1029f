//! A function's derivative at a point: what depends on the point is computed once, for any number of tangents.
//!
//! The list of a Jacobian-vector product falls into rows that depend on the tangents and rows that do not. The first
//! program computes the outputs and those of the others that are read from the tangents' side; the second takes these and
//! the tangents.

use retrograde_storage::Id;

use super::feed::{self, Feed, FeedPort, Followed};
use super::outputs::OutputsRef;
use super::run::Workspace;
use super::{Program, Recorded};
use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Value};
use crate::op::{Attr, Op};
use crate::passes::gates;

/// A program split into its values and its derivative: see [`Program::linearize`].
#[derive(Clone, Debug)]
pub struct Linearized {
    /// Outputs, then what the tangents meet.
    values: Program,
    /// Of what they meet, and the tangents.
    tangents: Program,
    outputs: usize,
}

/// A program's values at a point, and its derivative there, a linear function: see [`Program::linearize`].
#[derive(Debug)]
pub struct Linear {
    of: Linearized,
    values: Workspace,
    tangents: Workspace,
}

impl Program {
    /// The program as values and a linear function of tangents, so that many tangents at one point cost what depends on
    /// the point once: the same bits as [`jvp`](Self::jvp). What is kept of the point is
    /// [`kept_bytes`](Linearized::kept_bytes).
    ///
    /// ```
    /// use retrograde_graph::Program;
    /// use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// let x = Array::<f64>::from([0.0, 1.0, 2.0]);
    /// let f = Program::record(&[x.clone()], |_, [x]| x.exp().cumsum(0))?;
    /// let mut at_x = f.linearize()?.at(&[&x])?;
    /// assert_eq!(at_x.values().array::<f64>(0)?.as_slice()[0], 1.0);
    /// for i in 0..3 {
    ///     let mut unit = Array::<f64>::from([0.0, 0.0, 0.0]);
    ///     unit.as_mut_slice()[i] = 1.0;
    ///     let column: Array<f64> = at_x.push(&[&unit])?.array(0)?;
    ///     assert!((column.as_slice()[2] - x.as_slice()[i].exp()).abs() < 1e-14);
    /// }
    /// at_x.move_to(&[&(x + 1.0)])?;
    /// assert!((at_x.values().array::<f64>(0)?.as_slice()[0] - 1.0f64.exp()).abs() < 1e-14);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`jvp`](Self::jvp).
    pub fn linearize(&self) -> Result<Linearized> {
        let mut whole = self.recorded.jvp()?;
        whole.list.refused()?;
        let recorded = &self.recorded;
        let (values, tangents) = whole.split(recorded.inputs.len(), recorded.outputs.len());
        let options = self.plan.options;
        Ok(Linearized {
            outputs: self.recorded.outputs.len(),
            values: Self::compile(values, options)?.checked()?,
            tangents: Self::compile(tangents, options)?.checked()?,
        })
    }
}

impl Recorded {
    /// What depends on no tangent, and what does. The first inputs and outputs, so many of each, do not.
    fn split(mut self, inputs: usize, outputs: usize) -> (Self, Self) {
        // Which adjoints can be structurally zero is decided on the whole.
        gates::downgrade_given(&mut self.list, &self.given);
        let (from, point, given) = (&self.list, inputs, &self.inputs[inputs..]);
        let mut moves = vec![false; from.len()];
        given.iter().for_each(|v| moves[v.index()] = true);
        for v in from.values() {
            let of_moving = from.args(v).iter().any(|a| moves[a.index()]);
            moves[v.index()] |= of_moving;
        }
        let tangents = &self.outputs[outputs..];
        let mut needed = vec![false; from.len()];
        tangents.iter().for_each(|v| needed[v.index()] = true);
        for v in from.values().rev() {
            if needed[v.index()] && moves[v.index()] {
                from.args(v).iter().for_each(|a| needed[a.index()] = true);
            }
        }
        // Literals, and views of them, are part of either program.
        let mut literal = vec![false; from.len()];
        for v in from.values() {
            literal[v.index()] = match from.op(v) {
                Op::Const | Op::Iota | Op::Uniform => true,
                op => op.is_view() && from.args(v).iter().all(|a| literal[a.index()]),
            };
        }
        let kept: Vec<Value> = from
            .values()
            .filter(|v| needed[v.index()] && !moves[v.index()] && !literal[v.index()])
            .collect();

        let mut list = List::default();
        let mut map = vec![Value::from_index(0); from.len()];
        let mut inputs = Vec::new();
        for &v in kept.iter().chain(given) {
            let number = Attr::int(inputs.len() as i64);
            let input = list.push(Op::Input, &[], number, from.shape(v), from.dtype(v));
            map[v.index()] = input;
            inputs.push(input);
        }
        for v in from.values() {
            let own = literal[v.index()] || (needed[v.index()] && moves[v.index()]);
            if own && !given.contains(&v) {
                let args: Vec<Value> = from.args(v).iter().map(|a| map[a.index()]).collect();
                list.set_location(from.location(v));
                map[v.index()] = list.copy_row(from, v, &args);
            }
        }
        let linear = Self {
            outputs: tangents.iter().map(|v| map[v.index()]).collect(),
            given: inputs.clone(),
            inputs,
            uniforms: self.uniforms.clone(),
            seeds: self.seeds.clone(),
            guards: Vec::new(),
            segments: Vec::new(),
            primal: list.len(),
            list,
        };
        let values = Self {
            outputs: self.outputs[..outputs]
                .iter()
                .chain(&kept)
                .copied()
                .collect(),
            inputs: self.inputs[..point].to_vec(),
            given: self
                .given
                .iter()
                .copied()
                .filter(|v| !given.contains(v))
                .collect(),
            ..self
        };
        (values, linear)
    }
}

impl Linearized {
    /// The values and the derivative at these inputs.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn at(&self, inputs: impl Feed) -> Result<Linear> {
        let mut linear = Linear {
            values: self.values.workspace()?,
            tangents: self.tangents.workspace()?,
            of: self.clone(),
        };
        linear.move_to(inputs)?;
        Ok(linear)
    }

    /// That tangents are what the derivative takes, by their own numbers.
    fn check_tangents(&self, tangents: &dyn Feed) -> Result<()> {
        let recorded = &self.tangents.recorded;
        let kept = self.values.recorded.outputs.len() - self.outputs;
        let expected = &recorded.inputs[kept..];
        if tangents.count() != expected.len() {
            let message = format!(
                "the derivative takes {} tangents, given were {}",
                expected.len(),
                tangents.count()
            );
            return Err(Error::new(ErrorKind::Inputs, message));
        }
        for (i, &v) in expected.iter().enumerate() {
            let (port, list) = (feed::port(tangents, i)?, &recorded.list);
            if (port.shape(), port.dtype()) != (list.shape(v), list.dtype(v)) {
                let message = format!(
                    "tangent {i} is {} {}, its input is {} {}",
                    port.shape(),
                    port.dtype(),
                    list.shape(v),
                    list.dtype(v)
                );
                return Err(Error::new(ErrorKind::Inputs, message));
            }
        }
        Ok(())
    }

    /// Bytes kept of a point for its tangents.
    pub fn kept_bytes(&self) -> usize {
        let recorded = &self.values.recorded;
        let kept = recorded.outputs[self.outputs..].iter();
        let bytes = |&v: &Value| recorded.list.shape(v).len() * recorded.list.dtype(v).size();
        kept.map(bytes).sum()
    }

    /// The program that is run once for a point: its outputs are the function's, then what is kept.
    pub fn values(&self) -> &Program {
        &self.values
    }

    /// The program that is run for every tangent: of what is kept, and the tangents.
    pub fn tangents(&self) -> &Program {
        &self.tangents
    }
}

impl Linear {
    /// The function's outputs at the point.
    pub fn values(&self) -> OutputsRef<'_> {
        OutputsRef {
            count: self.of.outputs,
            ..self.of.values.outputs_of(&self.values)
        }
    }

    /// The derivative applied to a tangent for each input of the first output's type: every output of that type's
    /// tangent. A steady state allocates nothing.
    ///
    /// # Errors
    /// Tangents of another number, type or shape than the inputs.
    pub fn push(&mut self, tangents: impl Feed) -> Result<OutputsRef<'_>> {
        self.of.check_tangents(&tangents)?;
        let kept = self.of.values.outputs_of(&self.values);
        let feed = Followed {
            first: &|i| {
                let at = self.of.outputs + i;
                (at < kept.count).then(|| {
                    let (port, bytes) = kept.of_any_type(at);
                    FeedPort::new(port.dtype, port.shape, bytes)
                })
            },
            count: kept.count - self.of.outputs,
            then: &tangents,
        };
        self.of.tangents.run(&mut self.tangents, feed)
    }

    /// Goes to another point.
    ///
    /// # Errors
    /// As [`Program::run`]; the point is none then, until the next that succeeds.
    pub fn move_to(&mut self, inputs: impl Feed) -> Result<()> {
        self.of.values.run(&mut self.values, inputs).map(|_| ())
    }
}
