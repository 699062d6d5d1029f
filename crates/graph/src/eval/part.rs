//! The part of a recording that a read needs, as a list of its own: instructions whose values are not known yet, with what
//! is known as inputs. So a read costs what is new since the last one, whatever stands before it, and the reads of a loop
//! whose steps are alike find one program.

use retrograde_storage::{Id, Packed};

use crate::list::{List, Value};
use crate::op::{Attr, Op};
use crate::passes::gates;

/// Kept from read to read only to keep its memory.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// Mask-exact already (see [`gates`]); the target is the last row.
    pub list: List,
    /// Scalars that are data, numbered anew.
    pub uniforms: Vec<f64>,
    /// What the read computes and keeps: rows of the list, and the recording's values that they stand for. Views and
    /// leaves are left out, the target is not.
    pub outputs: Vec<Value>,
    pub results: Vec<Value>,
    /// By row of the list: the value of the recording.
    rows: Vec<Value>,
    /// By row of the list: whether it can be structurally zero.
    zeros: Vec<bool>,
    /// By value of the recording: its row. Empty between reads.
    at: Vec<Packed<Value>>,
    todo: Vec<Value>,
    args: Vec<Value>,
}

impl Part {
    /// The value of the recording that a row stands for.
    pub(crate) fn recorded(&self, row: Value) -> Value {
        self.rows[row.index()]
    }

    /// The last row.
    pub(crate) fn target(&self) -> Value {
        Value::from_index(self.rows.len().saturating_sub(1))
    }

    /// Copies what `target` needs of a recording whose column of zeros reaches to its end; `known` says which values
    /// need not be computed.
    pub(crate) fn take(
        &mut self,
        from: &List,
        uniforms: &[f64],
        target: Value,
        known: impl Fn(Value) -> bool,
    ) {
        self.list.clear();
        self.uniforms.clear();
        self.outputs.clear();
        self.results.clear();
        self.zeros.clear();
        let given = |v: Value| from.op(v) == Op::Input || known(v);
        self.collect(from, target, given);
        for row in 0..self.rows.len() {
            let v = self.rows[row];
            self.zeros.push(from.zeros[v.index()]);
            self.list.set_location(from.location(v));
            self.at[v.index()] = Packed::some(self.copy(from, uniforms, v, given(v)));
            if !given(v) && (v == target || is_kept(from, v)) {
                self.outputs.push(Value::from_index(row));
                self.results.push(v);
            }
        }
        for v in &self.rows {
            self.at[v.index()] = Packed::NONE;
        }
    }

    /// Puts the values that are needed into `rows`, in order.
    fn collect(&mut self, from: &List, target: Value, given: impl Fn(Value) -> bool) {
        let Self { rows, at, todo, .. } = self;
        rows.clear();
        if at.len() < from.len() {
            at.resize(from.len(), Packed::NONE);
        }
        let mut need = |v: Value, todo: &mut Vec<Value>| {
            let seen = &mut at[v.index()];
            if seen.get().is_none() {
                *seen = Packed::some(v);
                rows.push(v);
                todo.push(v);
            }
        };
        need(target, todo);
        while let Some(v) = todo.pop() {
            if !given(v) {
                from.args(v).iter().for_each(|&a| need(a, todo));
            }
        }
        rows.sort_unstable();
    }

    fn copy(&mut self, from: &List, uniforms: &[f64], v: Value, given: bool) -> Value {
        let (shape, dtype) = (from.shape(v), from.dtype(v));
        if given {
            let number = Attr::int(self.list.len() as i64);
            return self.list.push(Op::Input, &[], number, shape, dtype);
        }
        if from.op(v) == Op::Uniform {
            let number = Attr::int(self.uniforms.len() as i64);
            self.uniforms.push(uniforms[from.attr(v).as_int() as usize]);
            return self.list.push(Op::Uniform, &[], number, shape, dtype);
        }
        self.args.clear();
        let at = |a: &Value| self.at[a.index()].get().expect("operands come first");
        self.args.extend(from.args(v).iter().map(at));
        let row = self.list.copy_row(from, v, &self.args);
        gates::downgrade_row(&mut self.list, row, &self.zeros);
        row
    }
}

/// Whether a read keeps a value on its way: nothing is evaluated twice, so a loop over reads stays linear. Of a scan its
/// pieces, which are slices: most of it nobody asks for.
fn is_kept(list: &List, v: Value) -> bool {
    let (op, of) = (list.op(v), list.args(v).first());
    let piece = op == Op::Slice && of.is_some_and(|&x| list.op(x) == Op::Scan);
    let computed = !(op.is_leaf() || op.is_view() || op == Op::Scan);
    computed || piece
}

#[cfg(test)]
mod tests {
    use retrograde_storage::Array;

    use crate::{Result, Tape, Var};

    fn step<'t>(x: Var<'t, f64>, y: Var<'t, f64>) -> Var<'t, f64> {
        let [slope] = (x * y).sin().grad_of([y]);
        y + 0.1 * slope
    }

    /// Rows that `reads` reads copy, of a loop that asks in every step.
    fn rows(reads: usize) -> Result<usize> {
        let tape = Tape::new();
        let x = tape.variable(Array::scalar(0.3));
        let (mut y, mut rows) = (x, 0);
        for _ in 0..reads {
            y = step(x, y);
            assert!(y.lt(100.0).item()?);
            rows += tape.rec().recorder.state.borrow().buffers.part.rows.len();
        }
        Ok(rows)
    }

    #[test]
    fn a_read_copies_what_is_new() -> Result<()> {
        assert!(rows(40)? < 40 * 20);
        // Every step but the first copies as many.
        let [few, many] = [rows(40)?, rows(160)?];
        assert_eq!((many - few) % 120, 0, "{few} and {many} rows");
        assert_eq!((many - few) / 120, rows(41)? - few);
        Ok(())
    }

    /// What was recorded is read whole if nothing was read before.
    #[test]
    fn a_first_read_takes_everything() -> Result<()> {
        let tape = Tape::new();
        let x = tape.variable(Array::scalar(0.3));
        let y = (0..50).fold(x, |y, _| step(x, y));
        let late = y.value()?;
        let other = Tape::new();
        let x = other.variable(Array::scalar(0.3));
        let mut y = x;
        for _ in 0..50 {
            y = step(x, y);
            y.value()?;
        }
        assert_eq!(late, y.value()?, "read late or early, the same bits");
        Ok(())
    }
}
