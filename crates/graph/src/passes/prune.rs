//! Which pieces of scans are used, and what is left of the scans.

use rustc_hash::FxHashMap;

use crate::body::Pruned;
use crate::list::{List, Value};
use crate::op::Op;

/// What is left of every scan. Users stand after their operands: in a walk from the last row to the first, all uses of
/// a scan are known when it is met.
#[derive(Default)]
pub(super) struct Scans {
    used: FxHashMap<Value, Vec<bool>>,
    left: FxHashMap<Value, Pruned>,
}

impl Scans {
    /// Notes what `v` needs of its operands; `need` is told which.
    pub(super) fn visit(&mut self, list: &List, v: Value, mut need: impl FnMut(Value)) {
        if list.op(v) == Op::Scan {
            // Without a use it is a result itself.
            let used = self.used.remove(&v).unwrap_or_default();
            let spec = list.scan_spec(v);
            let whole = vec![true; spec.body.outputs.len()];
            let left = spec.pruned(if used.is_empty() { &whole } else { &used });
            left.operands.iter().for_each(|&i| need(list.arg(v, i)));
            self.left.insert(v, left);
            return;
        }
        for &x in list.args(v) {
            if list.op(x) == Op::Scan {
                self.note(list, v, x);
            }
            need(x);
        }
    }

    /// All of a scan is used.
    pub(super) fn keep(&mut self, list: &List, v: Value) {
        if list.op(v) == Op::Scan {
            let count = list.scan_spec(v).body.outputs.len();
            self.used.insert(v, vec![true; count]);
        }
    }

    fn note(&mut self, list: &List, v: Value, scan: Value) {
        let spec = list.scan_spec(scan);
        let count = spec.body.outputs.len();
        let used = self.used.entry(scan).or_insert_with(|| vec![false; count]);
        let piece = (list.op(v) == Op::Slice)
            .then(|| spec.piece_at(list.slice_spec(v).start[0], list.shape(v).len()));
        match piece.flatten() {
            Some(piece) => used[piece] = true,
            None => used.fill(true),
        }
    }

    /// What is left of a scan.
    pub(super) fn left(&self, scan: Value) -> Option<&Pruned> {
        self.left.get(&scan)
    }

    /// Where the slice `v` of a scan starts now.
    pub(super) fn start(&self, list: &List, v: Value) -> Option<usize> {
        let scan = list.arg(v, 0);
        let left = self.left.get(&scan)?;
        let start = list.slice_spec(v).start[0];
        let piece = list.scan_spec(scan).piece_at(start, list.shape(v).len())?;
        Some(left.spec.pieces()[left.pieces[piece]?].start)
    }
}
