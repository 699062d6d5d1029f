//! Programs from programs: gradients, products with Jacobians and Hessians. Each appends instructions to the recording.

use super::{Program, Recorded};
use crate::error::{Error, ErrorKind, Result};
use crate::list::Value;
use crate::op::{Attr, Op};
use crate::rules;

impl Program {
    /// The first output (a scalar) and its gradient with respect to every input of its type, in order.
    ///
    /// # Errors
    /// The first output is not a scalar, or not a float.
    pub fn value_and_grad(&self) -> Result<Self> {
        self.derive(Recorded::value_and_grad)
    }

    /// As [`value_and_grad`](Self::value_and_grad), with respect to the inputs of those numbers alone: nothing is
    /// computed or kept for the others.
    pub fn value_and_grad_of(&self, inputs: &[usize]) -> Result<Self> {
        self.derive(|r| r.value_and_grad_of(inputs))
    }

    /// The gradient of the first output (a scalar) with respect to every input of its type, in order. The gradient of a
    /// gradient is that of one of its outputs, or of a number made of them.
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::{Array, Create};
    /// # fn main() -> retrograde_graph::Result<()> {
    /// let x = Array::<f64>::scalar(2.0);
    /// let mut f = Program::record(&[x.clone()], |_, [x]| x.powi(4))?;
    /// for derivative in [32.0, 48.0, 48.0, 24.0, 0.0] {
    ///     f = f.grad()?;
    ///     let mut ws = f.workspace()?;
    ///     assert_eq!(f.run(&mut ws, &[&x])?.item::<f64>(0)?, derivative);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn grad(&self) -> Result<Self> {
        self.derive(Recorded::grad)
    }

    /// Vector-Jacobian product: takes the inputs and then a seed of the first output's shape; gives the first output and
    /// `seed^T J` for every input of its type.
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// let x = Array::<f64>::from([1.0, 2.0, 3.0]);
    /// let f = Program::record(&[x.clone()], |_, [x]| x.square())?.vjp()?;
    /// let mut ws = f.workspace()?;
    /// let out = f.run(&mut ws, &[&x, &Array::from([1.0, 0.0, -1.0])])?;
    /// assert_eq!(out.array::<f64>(0)?, Array::from([1.0, 4.0, 9.0]));
    /// assert_eq!(out.array::<f64>(1)?, Array::from([2.0, 0.0, -6.0]));
    /// # Ok(()) }
    /// ```
    pub fn vjp(&self) -> Result<Self> {
        self.derive(|r| r.vjp(&r.differentiable()))
    }

    /// As [`vjp`](Self::vjp), with respect to the inputs of those numbers alone: nothing is computed or kept for the
    /// others.
    pub fn vjp_of(&self, inputs: &[usize]) -> Result<Self> {
        self.derive(|r| r.vjp(&r.chosen("vjp_of", inputs)?))
    }

    /// Jacobian-vector product: takes the inputs and then a tangent for each input of the first output's type; gives
    /// every output of that type's tangent. Values come first: `[outputs.., tangents..]`. For many tangents at one
    /// point see [`linearize`](Self::linearize).
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// let (x, a) = (Array::<f64>::from([1.0, 2.0]), Array::<f64>::from([3.0, 4.0]));
    /// let f = Program::record(&[x.clone(), a.clone()], |_, [x, a]| (a * x).sum())?.jvp()?;
    /// let mut ws = f.workspace()?;
    /// let (dx, da) = (Array::from([1.0, 0.0]), Array::from([0.0, 10.0]));
    /// let out = f.run(&mut ws, &[&x, &a, &dx, &da])?;
    /// assert_eq!(out.item::<f64>(0)?, 11.0);
    /// assert_eq!(out.item::<f64>(1)?, 3.0 * 1.0 + 2.0 * 10.0);
    /// # Ok(()) }
    /// ```
    pub fn jvp(&self) -> Result<Self> {
        self.derive(Recorded::jvp)
    }

    /// As [`jvp`](Self::jvp), with respect to the inputs of those numbers alone: the others are data and take no tangent.
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// let [x, a] = [2.0, 3.0].map(Array::<f64>::scalar);
    /// let f = Program::record(&[x.clone(), a.clone()], |_, [x, a]| a * x * x)?;
    /// let (forward, reverse) = (f.jvp_of(&[0])?, f.vjp_of(&[0])?);
    /// let seed = Array::scalar(1.0);
    /// for by_x in [forward, reverse] {
    ///     let mut ws = by_x.workspace()?;
    ///     let out = by_x.run(&mut ws, &[&x, &a, &seed])?;
    ///     assert_eq!((out.len(), out.item::<f64>(1)?), (2, 2.0 * 3.0 * 2.0));
    /// }
    /// # Ok(()) }
    /// ```
    pub fn jvp_of(&self, inputs: &[usize]) -> Result<Self> {
        self.derive(|r| r.tangents_of(&r.chosen("jvp_of", inputs)?))
    }

    /// Hessian-vector product of the first output (a scalar): takes the inputs and then a vector for each input of its
    /// type; gives `H v` for each. Forward over reverse.
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::Array;
    /// # fn main() -> retrograde_graph::Result<()> {
    /// // Of x^2 y the Hessian is [[2 y, 2 x], [2 x, 0]].
    /// let [x, y] = [3.0, 5.0].map(Array::<f64>::scalar);
    /// let product = Program::record(&[x.clone(), y.clone()], |_, [x, y]| x * x * y)?.hvp()?;
    /// let mut ws = product.workspace()?;
    /// let out = product.run(&mut ws, &[&x, &y, &Array::scalar(1.0), &Array::scalar(10.0)])?;
    /// assert_eq!(out.item::<f64>(0)?, 2.0 * 5.0 + 10.0 * 2.0 * 3.0);
    /// assert_eq!(out.item::<f64>(1)?, 2.0 * 3.0);
    /// # Ok(()) }
    /// ```
    pub fn hvp(&self) -> Result<Self> {
        self.derive(|r| r.hvp(&r.differentiable()))
    }

    /// As [`hvp`](Self::hvp), with respect to the inputs of those numbers alone: the others are data, they take no vector
    /// and have no product.
    ///
    /// ```
    /// # use retrograde_graph::Program;
    /// # use retrograde_storage::{Array, Create};
    /// # fn main() -> retrograde_graph::Result<()> {
    /// // sum(a x^3) by x alone: the Hessian's diagonal is 6 a x.
    /// let [a, x, v] = [[1.0_f64, 2.0], [3.0, 4.0], [1.0, 0.5]].map(Array::from);
    /// let f = Program::record(&[a.clone(), x.clone()], |_, [a, x]| (a * x.powi(3)).sum())?;
    /// let product = f.hvp_of(&[1])?;
    /// let mut ws = product.workspace()?;
    /// let out = product.run(&mut ws, [&a, &x, &v])?;
    /// assert_eq!(out.array::<f64>(0)?, Array::from([18.0, 24.0]));
    /// let error = f.hvp_of(&[2]).unwrap_err();
    /// assert!(error.to_string().contains("hvp_of: input 2 does not exist"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// An input that does not exist or is not of the output's type; an output that is no scalar.
    pub fn hvp_of(&self, inputs: &[usize]) -> Result<Self> {
        self.derive(|r| r.hvp(&r.chosen("hvp_of", inputs)?))
    }
}

impl Recorded {
    /// The first output, which must be one of floats.
    pub(super) fn float_output(&self, what: &str) -> Result<Value> {
        let Some(&y) = self.outputs.first() else {
            let message = format!("{what}: the program has no output");
            return Err(Error::new(ErrorKind::Inputs, message));
        };
        let dtype = self.list.dtype(y);
        if !dtype.is_float() {
            let message = format!("{what}: the output is {dtype}, which has no gradient");
            return Err(Error::new(ErrorKind::DType, message));
        }
        Ok(y)
    }

    /// The first output, which must be one float.
    fn scalar_output(&self, what: &str) -> Result<Value> {
        let y = self.float_output(what)?;
        if self.list.shape(y).len() != 1 {
            let message = format!(
                "{what} of {} {}: only a scalar has a gradient; record `.sum()`, or use `vjp` with a seed",
                self.list.shape(y),
                self.list.dtype(y)
            );
            return Err(Error::new(ErrorKind::Seed, message));
        }
        Ok(y)
    }

    /// Inputs of the type of the first output: those that get gradients.
    pub(super) fn differentiable(&self) -> Vec<Value> {
        let dtype = self.outputs.first().map(|&v| self.list.dtype(v));
        let of_type = |v: &Value| Some(self.list.dtype(*v)) == dtype;
        let inputs = self.inputs.iter().copied();
        inputs
            .filter(|v| of_type(v) && self.list.dtype(*v).is_float())
            .collect()
    }

    /// A copy that derivatives are appended to.
    fn to_differentiate(&self) -> Self {
        Self {
            primal: self.list.len(),
            ..self.clone()
        }
    }

    /// Appends the adjoints of `wrt` for the adjoint `seed` of `y`: zeros where there is no influence.
    fn reverse(&mut self, y: Value, seed: Value, wrt: &[Value]) -> Vec<Value> {
        let list = &mut self.list;
        let grads = rules::reverse(list, y, seed, wrt);
        let pairs = wrt.iter().zip(grads);
        pairs
            .map(|(&w, g)| g.unwrap_or_else(|| list.zeros_like(w)))
            .collect()
    }

    /// A further input, a seed or tangent of `v`.
    fn given_like(&mut self, v: Value) -> Value {
        let (shape, dtype) = (self.list.shape(v), self.list.dtype(v));
        let number = Attr::int(self.inputs.len() as i64);
        let input = self.list.push(Op::Input, &[], number, shape, dtype);
        self.inputs.push(input);
        self.given.push(input);
        input
    }

    pub(super) fn gradients(&self, what: &str, keep_value: bool, wrt: &[Value]) -> Result<Self> {
        let y = self.scalar_output(what)?;
        let mut new = self.to_differentiate();
        let one = new.list.like(1.0, y);
        let seed = new.list.expand(one, new.list.shape(y));
        let grads = new.reverse(y, seed, wrt);
        new.outputs = if keep_value {
            [y].into_iter().chain(grads).collect()
        } else {
            grads
        };
        Ok(new)
    }

    pub(super) fn value_and_grad(&self) -> Result<Self> {
        self.gradients("value_and_grad", true, &self.differentiable())
    }

    pub(super) fn value_and_grad_of(&self, inputs: &[usize]) -> Result<Self> {
        let wanted = self.chosen("value_and_grad_of", inputs)?;
        self.gradients("value_and_grad_of", true, &wanted)
    }

    /// The inputs of those numbers, each of which must have a gradient.
    pub(super) fn chosen(&self, what: &str, inputs: &[usize]) -> Result<Vec<Value>> {
        let possible = self.differentiable();
        let chosen = inputs.iter().map(|&i| {
            let v = self.inputs.get(i).copied().ok_or_else(|| {
                let message = format!(
                    "{what}: input {i} does not exist, the program has {}",
                    self.inputs.len()
                );
                Error::new(ErrorKind::Inputs, message)
            })?;
            if possible.contains(&v) {
                return Ok(v);
            }
            let message = format!(
                "{what}: input {i} is {}, which has no gradient here",
                self.list.dtype(v)
            );
            Err(Error::new(ErrorKind::DType, message))
        });
        chosen.collect()
    }

    pub(super) fn grad(&self) -> Result<Self> {
        self.gradients("grad", false, &self.differentiable())
    }

    /// Appends an input, the adjoint of `y`, and the adjoints of `wrt` that follow from it.
    pub(super) fn pullback(&self, y: Value, wrt: &[Value]) -> (Self, Vec<Value>) {
        let mut new = self.to_differentiate();
        let seed = new.given_like(y);
        let grads = new.reverse(y, seed, wrt);
        (new, grads)
    }

    /// Appends an input for each of `wrt`, its tangent, and the tangents of `of` that follow from them.
    pub(super) fn pushforward(&self, of: &[Value], wrt: &[Value]) -> (Self, Vec<Value>) {
        let mut new = self.to_differentiate();
        let tangents: Vec<Value> = wrt.iter().map(|&w| new.given_like(w)).collect();
        let moved = rules::forward(&mut new.list, of, wrt, &tangents);
        (new, moved)
    }

    pub(super) fn vjp(&self, wrt: &[Value]) -> Result<Self> {
        let y = self.float_output("vjp")?;
        let (mut new, grads) = self.pullback(y, wrt);
        new.outputs = [y].into_iter().chain(grads).collect();
        Ok(new)
    }

    pub(super) fn jvp(&self) -> Result<Self> {
        self.tangents_of(&self.differentiable())
    }

    /// Appends a tangent for each of `wrt`, and as outputs those of the outputs.
    fn tangents_of(&self, wrt: &[Value]) -> Result<Self> {
        let dtype = self.list.dtype(self.float_output("jvp")?);
        let outputs = self.outputs.iter().copied();
        let of: Vec<Value> = outputs.filter(|&v| self.list.dtype(v) == dtype).collect();
        let (mut new, moved) = self.pushforward(&of, wrt);
        new.outputs.extend(moved);
        Ok(new)
    }

    pub(super) fn hvp(&self, wrt: &[Value]) -> Result<Self> {
        let gradient = self.gradients("hvp", false, wrt)?;
        if gradient.outputs.is_empty() {
            return Ok(gradient);
        }
        let mut both = gradient.tangents_of(wrt)?;
        both.outputs.drain(..gradient.outputs.len());
        Ok(both)
    }
}
