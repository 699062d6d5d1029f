//! What the layers of the library have to know of an attention: its extents, where its gradients stand, and the
//! operations that define it.
//!
//! Operands are `[.., time, heads, features]`, the layout in which a linear layer makes them and another takes the
//! result, so that neither side copies.

use retrograde_ops::{Binary, Reduce};
use retrograde_storage::{DType, MAX_RANK, Shape};

use crate::list::{List, Value};
use crate::op::{Attr, Op, SliceSpec};

/// The extents of an [`Op::Attention`] or [`Op::AttentionGrad`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extents {
    /// Axes before the time.
    lead: Shape,
    pub heads: usize,
    pub queries: usize,
    pub keys: usize,
    /// Features of queries and keys.
    pub width: usize,
    /// Features of values.
    pub values: usize,
}

impl Extents {
    pub(crate) fn of(list: &List, v: Value) -> Self {
        let [q, k, v] = [0, 1, 2].map(|i| list.shape(list.arg(v, i)));
        Self::of_shapes([q, k, v])
    }

    /// Of queries, keys and values.
    pub(crate) fn of_shapes(shapes: [Shape; 3]) -> Self {
        let axes = shapes.map(|s| -> [usize; 3] {
            let dims = s.dims();
            [dims[s.rank() - 3], dims[s.rank() - 2], dims[s.rank() - 1]]
        });
        let [[queries, heads, width], [keys, ..], [.., values]] = axes;
        let dims = shapes[0].dims();
        Self {
            lead: Shape::new(&dims[..dims.len() - 3]).expect("fewer axes"),
            heads,
            queries,
            keys,
            width,
            values,
        }
    }

    /// Number of pairs of matrices.
    pub(crate) fn count(&self) -> usize {
        self.lead.len() * self.heads
    }

    fn shape(&self, last: &[usize]) -> Shape {
        let (mut dims, lead) = ([1; MAX_RANK], self.lead.rank());
        dims[..lead].copy_from_slice(self.lead.dims());
        dims[lead..lead + last.len()].copy_from_slice(last);
        Shape::new(&dims[..lead + last.len()]).expect("recording checked the extents")
    }

    /// Whether gradients of queries, keys and values stand side by side.
    fn is_joint(&self) -> bool {
        let alike = self.queries == self.keys && self.width == self.values;
        alike && self.lead.rank() + 4 <= MAX_RANK
    }

    /// Elements of the gradients of queries, keys and values.
    fn lengths(&self) -> [usize; 3] {
        let each = [
            self.queries * self.width,
            self.keys * self.width,
            self.keys * self.values,
        ];
        each.map(|n| n * self.count())
    }

    /// Shape of an [`Op::AttentionGrad`].
    pub(crate) fn gradients(&self) -> Shape {
        if self.is_joint() {
            self.shape(&[self.queries, 3, self.heads, self.width])
        } else {
            Shape::new(&[self.lengths().iter().sum()]).expect("recording checked the length")
        }
    }

    /// What is cut out of the gradients for queries, keys and values: the axis and, for each, start and length.
    pub(crate) fn cuts(&self) -> (usize, [(usize, usize); 3]) {
        if self.is_joint() {
            return (self.lead.rank() + 1, [(0, 1), (1, 1), (2, 1)]);
        }
        let [q, k, v] = self.lengths();
        (0, [(0, q), (q, k), (q + k, v)])
    }

    /// Shapes of queries, keys and values.
    pub(crate) fn operands(&self) -> [Shape; 3] {
        [
            self.shape(&[self.queries, self.heads, self.width]),
            self.shape(&[self.keys, self.heads, self.width]),
            self.shape(&[self.keys, self.heads, self.values]),
        ]
    }
}

/// Emission.
impl List {
    /// An attention of operands that fit, masked by a fourth if there is one.
    pub(crate) fn attention(&mut self, operands: &[Value], attr: Attr) -> Value {
        let shapes = [0, 1, 2].map(|i| self.shape(operands[i]));
        let of = Extents::of_shapes(shapes);
        let shape = of.shape(&[of.queries, of.heads, of.values]);
        self.push(
            Op::Attention,
            operands,
            attr,
            shape,
            self.dtype(operands[0]),
        )
    }

    /// The gradients of queries, keys and values, given that of the result.
    pub(crate) fn attention_grad(
        &mut self,
        [q, k, v]: [Value; 3],
        g: Value,
        mask: Option<Value>,
        attr: Attr,
    ) -> [Value; 3] {
        let of = Extents::of_shapes([q, k, v].map(|x| self.shape(x)));
        let dtype = self.dtype(q);
        let operands = [q, k, v, g, mask.unwrap_or(g)];
        let count = 4 + usize::from(mask.is_some());
        let all = self.push(
            Op::AttentionGrad,
            &operands[..count],
            attr,
            of.gradients(),
            dtype,
        );
        self.gradient_parts(all, &of)
    }

    /// The parts of an [`Op::AttentionGrad`], in the shapes of queries, keys and values.
    pub(crate) fn gradient_parts(&mut self, all: Value, of: &Extents) -> [Value; 3] {
        let (axis, cuts) = of.cuts();
        let shapes = of.operands();
        [0, 1, 2].map(|i| {
            let (start, len) = cuts[i];
            let mut spec = SliceSpec {
                start: [0; MAX_RANK],
                step: [1; MAX_RANK],
            };
            spec.start[axis] = start;
            let mut dims = self.dims(all).to_vec();
            dims[axis] = len;
            let shape = Shape::new(&dims).expect("a slice is no larger than its source");
            let part = self.slice(all, spec, shape);
            self.reshape(part, shapes[i])
        })
    }

    /// The weights `softmax(scale q k^T + mask)`, `[.., heads, queries, keys]`: all pairs in memory.
    pub(crate) fn attention_weights(
        &mut self,
        [q, k]: [Value; 2],
        mask: Option<Value>,
        attr: Attr,
    ) -> Value {
        let (causal, scaled) = attr.as_attention();
        let width = self.dims(q).last().copied().unwrap_or(1);
        let (rows, columns) = (self.heads_out(q), self.heads_out(k));
        let columns = self.transpose(columns);
        let mut x = self.matmul(rows, columns);
        if scaled {
            x = self.scale(x, 1.0 / (width.max(1) as f64).sqrt());
        }
        let hidden = self.like(f64::NEG_INFINITY, x);
        if let Some(mask) = mask {
            x = if self.dtype(mask) == DType::Bool {
                self.select(mask, x, hidden)
            } else {
                self.add(x, mask)
            };
        }
        let shape = self.shape(x);
        let rank = shape.rank();
        if causal {
            let line = |n: usize, axis: usize| {
                let mut dims = [1; 2];
                dims[axis] = n;
                Shape::new(&dims).expect("an extent of the scores")
            };
            let [queries, keys] = [shape.dims()[rank - 2], shape.dims()[rank - 1]];
            let row = self.iota(0, line(queries, 0), DType::U32);
            let column = self.iota(1, line(keys, 1), DType::U32);
            let seen = self.binary(Binary::Ge, row, column);
            x = self.select(seen, x, hidden);
        }
        self.softmax(x, 1 << (rank - 1))
    }

    /// An attention by the operations that define it.
    pub(crate) fn plain_attention(
        &mut self,
        [q, k, v]: [Value; 3],
        mask: Option<Value>,
        attr: Attr,
    ) -> Value {
        let weights = self.attention_weights([q, k], mask, attr);
        self.weighted_values(weights, v)
    }

    /// Values weighed by `[.., heads, queries, keys]`.
    pub(crate) fn weighted_values(&mut self, weights: Value, v: Value) -> Value {
        let values = self.heads_out(v);
        let result = self.matmul(weights, values);
        self.heads_out(result)
    }

    /// The gradient of what is added to the scores, `p (g v^T - sum(p g v^T))` with the weights `p`.
    pub(crate) fn score_gradient(
        &mut self,
        [q, k, v]: [Value; 3],
        g: Value,
        mask: Option<Value>,
        attr: Attr,
    ) -> Value {
        let weights = self.attention_weights([q, k], mask, attr);
        let (rows, columns) = (self.heads_out(g), self.heads_out(v));
        let columns = self.transpose(columns);
        let g = self.matmul(rows, columns);
        let weighted = self.chain(weights, g);
        let last = 1 << (self.shape(g).rank() - 1);
        let mean = self.reduce(Reduce::Sum, weighted, last);
        let centred = self.sub(g, mean);
        self.chain(weights, centred)
    }

    /// Time and heads exchanged.
    pub(crate) fn heads_out(&mut self, x: Value) -> Value {
        let rank = self.shape(x).rank();
        let mut order: [usize; MAX_RANK] = std::array::from_fn(|axis| axis);
        order.swap(rank - 3, rank - 2);
        self.permute(x, &order[..rank])
    }
}
