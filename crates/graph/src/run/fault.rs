//! What a run met, told to the user.

use retrograde_ops::Binary;
use retrograde_ops::linalg::Linalg;
use retrograde_ops::structured::{Cause, Fault};
use retrograde_storage::Id;

use crate::error::{Error, ErrorKind};
use crate::list::{List, Value};
use crate::op::Op;

fn kind(cause: Cause) -> ErrorKind {
    match cause {
        Cause::Index => ErrorKind::Index,
        Cause::NotPositiveDefinite | Cause::Singular => ErrorKind::Singular,
        Cause::DivisionByZero => ErrorKind::Division,
        Cause::Refused | Cause::Panicked => ErrorKind::Custom,
    }
}

/// The error of a fault that was reported at an instruction of `list`.
pub(crate) fn error(list: &List, fault: &Fault, said: Option<String>) -> Error {
    let v = Value::from_index(fault.site as usize);
    if list.op(v) == Op::Scan {
        let message = format!("in a step of a scan, {}", said.unwrap_or_default());
        let at = list.scan_spec(v).body.fault_location();
        return Error::new(kind(fault.cause), message).at(at.or_else(|| list.location(v)));
    }
    let message = match fault.cause {
        Cause::Index => {
            let name = match list.op(v) {
                Op::CheckIndex => list.attr(v).as_indexing().name().to_owned(),
                other => other.name(),
            };
            format!("{name} with indices of shape {}: {fault}", list.shape(v))
        }
        Cause::NotPositiveDefinite | Cause::Singular => {
            let x = list.arg(v, 0);
            let (name, shape) = (name_of_system(list, v), list.shape(x));
            let which = matrix(&shape.dims()[..shape.rank() - 2], fault.position as usize);
            format!("{name} of {shape} {}: {which} is {fault}", list.dtype(x))
        }
        Cause::DivisionByZero => {
            let (x, y) = (list.arg(v, 0), list.arg(v, 1));
            let of = |v: Value| format!("{} {}", list.shape(v), list.dtype(v));
            let (name, shape) = (list.op(v).name(), list.shape(v));
            let which = place(shape.dims(), fault.position as usize);
            format!(
                "{name} of {} and {}: element {which} divides {} by zero, which integers have no number for; \
                 make the zeros something else first, as `y.eq(0).select(1, y)` does, or divide floats",
                of(x),
                of(y),
                fault.value
            )
        }
        Cause::Refused | Cause::Panicked => {
            let said = said.unwrap_or_default();
            let name = list.call(v).name();
            let part = if list.op(v) == Op::CustomGrad {
                ", in its derivative,"
            } else {
                ""
            };
            format!("custom operation `{name}`{part} {fault}: {said}")
        }
    };
    Error::new(kind(fault.cause), message).at(list.location(v))
}

/// What the user asked for: a system with the identity on the right is an inverse, the user's or that behind the
/// derivative of a determinant.
fn name_of_system(list: &List, v: Value) -> String {
    let op = list.op(v);
    if op == Op::Linalg(Linalg::Solve) && is_identity(list, list.arg(v, 1)) {
        return "inverse".to_owned();
    }
    op.name()
}

/// Whether `v` is made as [`List::identity_like`] makes it: where the numbers of rows and columns are equal.
fn is_identity(list: &List, mut v: Value) -> bool {
    while matches!(
        list.op(v),
        Op::Expand | Op::Reshape | Op::Copy | Op::After | Op::Cast
    ) {
        v = list.arg(v, 0);
    }
    let counts = |&x: &Value| list.op(x) == Op::Iota;
    list.op(v) == Op::Binary(Binary::Eq) && list.args(v).iter().all(counts)
}

/// Which matrix of a batch: `the matrix`, `matrix 3`, `matrix [0, 3]`.
fn matrix(batch: &[usize], number: usize) -> String {
    match batch {
        [] => "the matrix".to_owned(),
        [_] => format!("matrix {number}"),
        _ => format!("matrix {}", place(batch, number)),
    }
}

/// The coordinates of an element: `[0, 3]`.
fn place(dims: &[usize], number: usize) -> String {
    let mut rest = number;
    let mut at: Vec<usize> = dims
        .iter()
        .rev()
        .map(|&d| (rest % d, rest /= d).0)
        .collect();
    at.reverse();
    format!("{at:?}")
}
