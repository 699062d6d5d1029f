//! Forward mode as values of a recording.

use crate::error::{ErrorKind, Fault};
use crate::rules;
use crate::var::{AnyVar, Float, Var};

impl<'t, T: Float> Var<'t, T> {
    /// The derivative along a direction, as a value of the same recording: how this value changes when `wrt` change as
    /// `tangents` say, each of its value's shape. The forward counterpart of [`grad_of`](Self::grad_of): for values of
    /// any shape, at about twice the cost of the function, keeping nothing. Can be differentiated again, in both modes.
    ///
    /// ```
    /// # use retrograde_graph::Tape;
    /// # use retrograde_storage::Array;
    /// # let tape = Tape::new();
    /// let x = tape.variable(Array::<f64>::from([1.0, 2.0, 3.0]));
    /// let v = tape.constant(Array::from([1.0, 0.0, 1.0]));
    /// let y = x * x * x;
    /// assert_eq!(y.jvp_of([x], [v]).value()?, Array::from([3.0, 0.0, 27.0]));
    /// // A product with the Hessian: forward over reverse.
    /// let [gradient] = y.sum().grad_of([x]);
    /// assert_eq!(gradient.jvp_of([x], [v]).value()?, Array::from([6.0, 0.0, 18.0]));
    /// # Ok::<(), retrograde_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// A tangent of another shape than its value.
    #[track_caller]
    pub fn jvp_of<const N: usize>(self, wrt: [Var<'t, T>; N], tangents: [Var<'t, T>; N]) -> Self {
        let all = wrt.iter().chain(&tangents).copied().chain([self]);
        let operands: Vec<AnyVar<'t>> = all.map(AnyVar::from).collect();
        self.rec.apply("jvp_of", &operands, |state| {
            let list = &mut state.list;
            for (i, (w, t)) in wrt.iter().zip(&tangents).enumerate() {
                let (of, given) = (list.shape(w.id), list.shape(t.id));
                if of != given {
                    return Err(Fault::shape(format!(
                        "tangent {i} is {given}, its value is {of}; try `.expand(..)`"
                    )));
                }
            }
            let (wrt, tangents) = (wrt.map(|w| w.id), tangents.map(|t| t.id));
            let moved = rules::forward(list, &[self.id], &wrt, &tangents);
            list.refused()
                .map_err(|e| Fault::new(e.kind(), e.to_string()))?;
            moved
                .first()
                .copied()
                .ok_or_else(|| Fault::new(ErrorKind::Unknown, "no tangent was made"))
        })
    }
}
