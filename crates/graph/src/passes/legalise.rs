//! Copies for operands that no kernel can read: a group has three axes, and a broadcast or a transpose of more than
//! three that strides keep apart does not fit; convolutions, pooling, scans and custom operations read dense memory. Rare:
//! most lists pass
//! unchanged.

use retrograde_storage::Id;

use super::group::{fits_alone, is_scalar};
use super::places::Places;
use super::rebuild::Rebuilt;
use crate::list::Value;
use crate::op::{Attr, Op};

/// The list with copies inserted, or `None` if it needs none.
pub(crate) fn legalise(built: &Rebuilt, places: &Places) -> Option<Rebuilt> {
    let old = &built.list;
    let dense = |v: Value| places.view(v).is_dense();
    let legal = |v: Value| {
        if old.op(v).reads_dense() {
            old.args(v).iter().all(|&a| dense(a))
        } else {
            fits_alone(old, places, v)
        }
    };
    let legal: Vec<bool> = old.values().map(legal).collect();
    if legal.iter().all(|&l| l) {
        return None;
    }
    Some(built.rewrite(|list, v, args| {
        if legal[v.index()] {
            return None;
        }
        if old.op(v).reads_dense() {
            let pairs = args.iter().zip(old.args(v));
            let dense: Vec<_> = pairs
                .map(|(&a, &before)| {
                    if dense(before) {
                        return a;
                    }
                    let (shape, dtype) = (list.shape(a), list.dtype(a));
                    list.push(Op::Copy, &[a], Attr::NONE, shape, dtype)
                })
                .collect();
            return Some(list.copy_row(old, v, &dense));
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
