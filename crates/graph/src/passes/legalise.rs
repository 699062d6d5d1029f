//! Copies for operands that no group can read: a group has three axes, and a broadcast or a transpose of more than three
//! that strides keep apart does not fit. Rare: most lists pass unchanged.

use retrograde_storage::Id;

use super::group::{fits_alone, is_scalar};
use super::places::Places;
use super::rebuild::Rebuilt;
use crate::op::{Attr, Op};

/// The list with copies inserted, or `None` if it needs none.
pub(crate) fn legalise(built: &Rebuilt, places: &Places) -> Option<Rebuilt> {
    let old = &built.list;
    let legal: Vec<bool> = old.values().map(|v| fits_alone(old, places, v)).collect();
    if legal.iter().all(|&l| l) {
        return None;
    }
    Some(built.rewrite(|list, v, args, _| {
        if legal[v.index()] {
            return None;
        }
        // What the instruction iterates over: after the copies all operands are dense over it, so one axis is enough.
        let shape = if let Op::Reduce(_) = old.op(v) {
            old.shape(old.arg(v, 0))
        } else {
            old.shape(v)
        };
        let dense: Vec<_> = args
            .iter()
            .map(|&a| {
                if is_scalar(list, a) {
                    return a;
                }
                let whole = list.expand(a, shape);
                list.push(Op::Copy, &[whole], Attr::NONE, shape, list.dtype(whole))
            })
            .collect();
        Some(list.push(old.op(v), &dense, old.attr(v), old.shape(v), old.dtype(v)))
    }))
}
