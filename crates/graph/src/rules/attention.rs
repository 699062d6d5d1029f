//! Rules of attention and of its gradient.

use super::{Sweep, reverse_from};
use crate::attention::Extents;
use crate::list::Value;
use crate::op::{Attr, Op};

impl Sweep<'_> {
    /// One instruction for queries, keys and values; what is added to the scores has the gradient of the scores, which
    /// is emitted with all pairs in memory.
    pub(super) fn attention(&mut self, v: Value, g: Value) {
        let operands = [0, 1, 2].map(|i| self.list.arg(v, i));
        let mask = self.list.args(v).get(3).copied();
        let attr = self.list.attr(v);
        if operands.iter().any(|&x| self.wants(x)) {
            let parts = self.list.attention_grad(operands, g, mask, attr);
            operands
                .iter()
                .zip(parts)
                .for_each(|(&x, part)| self.give(x, part));
        }
        if let Some(bias) = mask.filter(|&m| self.wants(m)) {
            let scores = self.list.score_gradient(operands, g, mask, attr);
            self.give(bias, scores);
        }
    }

    /// The gradients are those of the operations that define an attention, so their derivative is that of what a sweep
    /// over these operations emits. It takes memory for all pairs of queries and keys.
    pub(super) fn attention_grad(&mut self, v: Value, g: Value) {
        let list = &mut *self.list;
        let (args, attr) = (list.args(v).to_vec(), list.attr(v));
        let extents = Extents::of(list, v);
        let seeds = list.gradient_parts(g, &extents);
        // Under names of their own, so that the sweeps end here and do not go on to what the operands come from.
        let own: Vec<Value> = args.iter().map(|&x| list.renamed(x)).collect();
        let [q, k, v] = [own[0], own[1], own[2]];
        let result = list.plain_attention([q, k, v], own.get(4).copied(), attr);
        let gradients = reverse_from(list, &[(result, own[3])], &[q, k, v]);
        let pairs = gradients.into_iter().zip(seeds);
        let roots: Vec<_> = pairs.filter_map(|(x, seed)| x.map(|x| (x, seed))).collect();
        let wanted: Vec<usize> = (0..args.len()).filter(|&i| self.wants(args[i])).collect();
        let wrt: Vec<Value> = wanted.iter().map(|&i| own[i]).collect();
        let found = reverse_from(self.list, &roots, &wrt);
        for (&i, g) in wanted.iter().zip(found) {
            if let Some(g) = g {
                self.give(args[i], g);
            }
        }
    }
}

impl crate::list::List {
    /// The same value in a row of its own.
    fn renamed(&mut self, x: Value) -> Value {
        let (shape, dtype) = (self.shape(x), self.dtype(x));
        self.push(Op::Reshape, &[x], Attr::NONE, shape, dtype)
    }
}
