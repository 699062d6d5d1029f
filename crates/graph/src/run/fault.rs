//! What a run met, told to the user.

use retrograde_ops::structured::{Cause, Fault};
use retrograde_storage::Id;

use crate::error::{Error, ErrorKind};
use crate::list::{List, Value};
use crate::op::Op;

/// The error of a fault that was reported at an instruction of `list`.
pub(crate) fn error(list: &List, fault: &Fault, said: Option<String>) -> Error {
    let v = Value::from_index(fault.site as usize);
    let (kind, message) = match fault.cause {
        Cause::Index => {
            let message = format!("indices of shape {}: {fault}", list.shape(v));
            (ErrorKind::Index, message)
        }
        Cause::NotPositiveDefinite | Cause::Singular => {
            let x = list.arg(v, 0);
            let (name, shape) = (list.op(v).name(), list.shape(x));
            let message = format!(
                "{name} of {shape} {}: {} is {fault}",
                list.dtype(x),
                matrix(&shape.dims()[..shape.rank() - 2], fault.position as usize)
            );
            (ErrorKind::Singular, message)
        }
        Cause::Refused | Cause::Panicked => {
            let said = said.unwrap_or_default();
            let name = list.call(v).name();
            let part = if list.op(v) == Op::CustomGrad {
                ", in its derivative,"
            } else {
                ""
            };
            let message = format!("custom operation `{name}`{part} {fault}: {said}");
            (ErrorKind::Custom, message)
        }
    };
    Error::new(kind, message).at(list.location(v))
}

/// Which matrix of a batch: `the matrix`, `matrix 3`, `matrix [0, 3]`.
fn matrix(batch: &[usize], number: usize) -> String {
    match batch {
        [] => "the matrix".to_owned(),
        [_] => format!("matrix {number}"),
        _ => {
            let mut rest = number;
            let mut at: Vec<usize> = batch
                .iter()
                .rev()
                .map(|&d| (rest % d, rest /= d).0)
                .collect();
            at.reverse();
            format!("matrix {at:?}")
        }
    }
}
