//! A scan, step by step.

use retrograde_storage::Id;

use super::{OutOfRange, evaluate};
use crate::list::{List, Value};

/// The vector of a scan's pieces, from the elements of its operands.
pub(super) fn scan(list: &List, v: Value, operands: &[&[f64]]) -> Result<Vec<f64>, OutOfRange> {
    let spec = list.scan_spec(v);
    let (body, pieces) = (&*spec.body, spec.pieces());
    let mut carries: Vec<Vec<f64>> = operands[..body.carries]
        .iter()
        .map(|x| x.to_vec())
        .collect();
    let mut result = vec![0.0; list.shape(v).len()];
    for step in 0..spec.length {
        let t = if spec.reverse {
            spec.length - 1 - step
        } else {
            step
        };
        let leaf = |list: &List, input: Value| {
            let (i, n) = (input.index(), list.shape(input).len());
            if i < body.carries {
                carries[i].clone()
            } else if i < body.carries + body.steps {
                operands[i][t * n..(t + 1) * n].to_vec()
            } else {
                operands[i].to_vec()
            }
        };
        let values = evaluate(&body.list, leaf).map_err(|(_, element)| (v, element))?;
        for (i, output) in body.outputs.iter().enumerate() {
            let x = &values[output.index()];
            let at = pieces[i].start + if i < body.carries { 0 } else { t * x.len() };
            result[at..at + x.len()].copy_from_slice(x);
        }
        let next = body.outputs[..body.carries].iter();
        carries = next.map(|o| values[o.index()].clone()).collect();
    }
    Ok(result)
}
