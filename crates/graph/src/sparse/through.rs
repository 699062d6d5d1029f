//! How dependencies pass through each operation: one arm an operation, so that a new one cannot be forgotten.
//!
//! An element depends on what its formula reads: no value is looked at but integers and masks that are literals or were
//! given. So a pattern holds for all floats that a program may be run with.

use retrograde_ops::Ternary;
use retrograde_ops::linalg::Linalg;
use retrograde_storage::{Id, Shape};

use super::flow::{Analysis, Deps, Flow, flow};
use super::sets::{Set, Sets};
use super::walk::Walk;
use crate::list::{Value, kept};
use crate::op::Op;

impl Flow<'_> {
    /// What the elements of `v`, a float, depend on.
    pub(super) fn through(&mut self, v: Value) -> Deps {
        if self.depends_on_nothing(v) {
            return Deps::Nothing;
        }
        let attr = self.list.attr(v);
        match self.list.op(v) {
            Op::Input | Op::Const | Op::Uniform | Op::Iota | Op::Random(_) => Deps::Nothing,
            Op::Detach | Op::ArgMax | Op::ArgMin | Op::CumArgMax => Deps::Nothing,
            Op::ArgSort | Op::SearchSorted | Op::CheckIndex => Deps::Nothing,
            Op::Division(_) => Deps::Nothing,

            Op::Ternary(Ternary::Select) => self.select(v),
            // The zeroth power is constant.
            Op::PowI if attr.as_int() == 0 => Deps::Nothing,
            Op::Unary(_) | Op::Binary(_) | Op::Ternary(_) | Op::PowI | Op::Cast => {
                self.elementwise(v)
            }

            Op::Reduce(_) | Op::LogSumExp => self.grouped(v, attr.as_axes()),
            Op::Softmax | Op::LogSoftmax => {
                let groups = self.grouped(v, attr.as_axes());
                let shape = self.list.shape(v);
                spread(&groups, kept(shape, attr.as_axes()), shape)
            }

            Op::Recurrence => self.recurrence(v),
            Op::CumMax | Op::LogCumSumExp => self.running(v),

            Op::Reshape | Op::Copy | Op::After => self.operand(v, 0),
            Op::Expand => {
                let shape = self.list.shape(self.list.arg(v, 0));
                spread(&self.operand(v, 0), shape, self.list.shape(v))
            }
            Op::Permute => {
                let (from, to) = (self.list.shape(self.list.arg(v, 0)), self.list.shape(v));
                let order = attr.as_order(to.rank());
                picked(&self.operand(v, 0), Walk::permuted(from, to, &order))
            }
            Op::Slice => {
                let (from, to) = (self.list.shape(self.list.arg(v, 0)), self.list.shape(v));
                let spec = self.list.slice_spec(v);
                let walk = Walk::sliced(from, to, &spec.start, &spec.step);
                picked(&self.operand(v, 0), walk)
            }
            Op::Unslice => self.unslice(v),
            Op::Concat => self.concat(v),

            Op::MatMul => self.matmul(v),
            Op::Linalg(op) => self.linalg(op, v),
            Op::Attention => self.attention(v),
            Op::AttentionGrad => self.attention_grad(v),
            Op::Conv2d | Op::ConvInput | Op::ConvWeight => self.convolution(v),
            Op::MaxPool | Op::MaxPoolInput | Op::SumPool | Op::SumPoolInput => self.pool(v),

            // Nobody knows what a function of the user's reads.
            Op::Custom | Op::CustomGrad => {
                let sets: Vec<Set> = (0..self.list.args(v).len())
                    .map(|i| self.whole(v, i))
                    .collect();
                Deps::all(self.sets.union_of(sets))
            }

            Op::Gather => self.gather(v),
            Op::ScatterAdd => self.scatter_add(v),
            Op::Scan => self.scan(v),
        }
    }

    /// What any element of operand `i` depends on.
    pub(super) fn whole(&mut self, v: Value, i: usize) -> Set {
        let len = self.list.shape(self.list.arg(v, i)).len();
        let deps = self.operand(v, i);
        self.joined(&deps, 0..len)
    }

    /// What any of these elements depends on.
    pub(super) fn joined(&mut self, deps: &Deps, mut elements: impl Iterator<Item = usize>) -> Set {
        match deps {
            Deps::Nothing => Sets::empty(),
            Deps::Same(set) => elements.next().map_or(Sets::empty(), |_| *set),
            Deps::Each(sets) => self.sets.union_of(elements.map(|e| sets[e])),
        }
    }

    /// Operands `from..` element by element.
    fn elementwise(&mut self, v: Value) -> Deps {
        let (count, shape) = (self.list.args(v).len(), self.list.shape(v));
        let mut all = Deps::Nothing;
        for i in 0..count {
            let deps = self.operand(v, i);
            let deps = spread(&deps, self.list.shape(self.list.arg(v, i)), shape);
            all = self.either(all, deps, shape.len());
        }
        all
    }

    /// What either depends on, of as many elements.
    fn either(&mut self, a: Deps, b: Deps, len: usize) -> Deps {
        match (a, b) {
            (Deps::Nothing, other) | (other, Deps::Nothing) => other,
            (Deps::Same(a), Deps::Same(b)) => Deps::Same(self.sets.union(a, b)),
            (a, b) => Deps::of(
                (0..len)
                    .map(|e| self.sets.union(a.at(e), b.at(e)))
                    .collect(),
            ),
        }
    }

    /// The side that is taken, where the mask is known.
    fn select(&mut self, v: Value) -> Deps {
        let Some(mask) = self.known(v, 0) else {
            return self.elementwise(v);
        };
        let shape = self.list.shape(v);
        let of = |flow: &Self, i: usize| {
            let from = flow.list.shape(flow.list.arg(v, i));
            spread(&flow.operand(v, i), from, shape)
        };
        let (on, off) = (of(self, 1), of(self, 2));
        let masks = Walk::broadcast(self.list.shape(self.list.arg(v, 0)), shape).positions();
        let taken = masks.enumerate().map(|(e, m)| {
            let side = if mask[m] == 0 { &off } else { &on };
            side.at(e)
        });
        Deps::of(taken.collect())
    }

    /// Reduced groups of operand 0, in order.
    fn grouped(&mut self, v: Value, axes: u8) -> Deps {
        let shape = self.list.shape(self.list.arg(v, 0));
        let deps = self.operand(v, 0);
        if let Deps::Same(set) = deps {
            return if shape.is_empty() {
                Deps::Nothing
            } else {
                Deps::all(set)
            };
        }
        let whole = Walk::of(shape);
        let group = whole.along(|axis| axes >> axis & 1 == 1);
        let starts = kept_starts(whole, axes);
        let groups = starts.map(|start| self.joined(&deps, group.starting_at(start).positions()));
        Deps::of(groups.collect())
    }

    /// First elements of the lines along the attribute's axis, the distance of neighbours, and steps in order.
    fn lines(&self, v: Value) -> (impl Iterator<Item = usize> + use<>, Vec<usize>) {
        let (shape, attr) = (self.list.shape(v), self.list.attr(v));
        let axis = attr.as_axis();
        let (n, stride) = (shape.dims()[axis], shape.strides()[axis] as usize);
        let mut steps: Vec<usize> = (0..n).map(|i| i * stride).collect();
        if attr.is_reverse() {
            steps.reverse();
        }
        (kept_starts(Walk::of(shape), 1 << axis), steps)
    }

    /// `r[i] = y[i] + x[i] r[i-1]`: the first `x` meets nothing.
    fn recurrence(&mut self, v: Value) -> Deps {
        let shape = self.list.shape(v);
        let [x, y] = [0, 1].map(|i| {
            let from = self.list.shape(self.list.arg(v, i));
            spread(&self.operand(v, i), from, shape)
        });
        let mut result = vec![Sets::empty(); shape.len()];
        let (starts, steps) = self.lines(v);
        for start in starts {
            let mut before = Sets::empty();
            for (i, step) in steps.iter().enumerate() {
                let e = start + step;
                if i > 0 {
                    before = self.sets.union(before, x.at(e));
                }
                before = self.sets.union(before, y.at(e));
                result[e] = before;
            }
        }
        Deps::of(result)
    }

    /// Everything so far.
    fn running(&mut self, v: Value) -> Deps {
        let x = self.operand(v, 0);
        let mut result = vec![Sets::empty(); self.list.shape(v).len()];
        let (starts, steps) = self.lines(v);
        for start in starts {
            let mut before = Sets::empty();
            for step in &steps {
                before = self.sets.union(before, x.at(start + step));
                result[start + step] = before;
            }
        }
        Deps::of(result)
    }

    fn unslice(&mut self, v: Value) -> Deps {
        let (from, to) = (self.list.shape(v), self.list.shape(self.list.arg(v, 0)));
        let (x, spec) = (self.operand(v, 0), self.list.slice_spec(v));
        let mut result = vec![Sets::empty(); from.len()];
        let places = Walk::sliced(from, to, &spec.start, &spec.step).positions();
        places
            .enumerate()
            .for_each(|(e, place)| result[place] = x.at(e));
        Deps::of(result)
    }

    fn concat(&mut self, v: Value) -> Deps {
        let (shape, axis) = (self.list.shape(v), self.list.attr(v).as_axis());
        let outer: usize = shape.dims()[..axis].iter().product();
        let inner: usize = shape.dims()[axis + 1..].iter().product();
        let parts: Vec<(Deps, usize)> = (self.list.args(v).iter().enumerate())
            .map(|(i, &x)| (self.operand(v, i), self.list.dims(x)[axis] * inner))
            .collect();
        let mut result = Vec::with_capacity(shape.len());
        for o in 0..outer {
            for (part, block) in &parts {
                result.extend((o * block..(o + 1) * block).map(|e| part.at(e)));
            }
        }
        Deps::of(result)
    }

    /// A row of `x` and a column of `y`.
    fn matmul(&mut self, v: Value) -> Deps {
        let [a, b] = [0, 1].map(|i| self.list.shape(self.list.arg(v, i)));
        let shape = self.list.shape(v);
        let [m, n] = [shape.rank() - 2, shape.rank() - 1].map(|axis| shape.dims()[axis]);
        let inner = a.dims()[a.rank() - 1];
        let (x, y) = (self.operand(v, 0), self.operand(v, 1));
        let rows: Vec<Set> = if x.is_nothing() {
            vec![Sets::empty(); a.len() / inner.max(1)]
        } else {
            let rows = 0..a.len() / inner.max(1);
            rows.map(|row| self.joined(&x, row * inner..(row + 1) * inner))
                .collect()
        };
        let columns: Vec<Set> = if y.is_nothing() {
            vec![Sets::empty(); b.len() / inner.max(1)]
        } else {
            let columns = 0..b.len() / inner.max(1);
            columns
                .map(|at| {
                    let first = at / n * (inner * n) + at % n;
                    self.joined(&y, (0..inner).map(|k| first + k * n))
                })
                .collect()
        };
        if inner == 0 {
            return Deps::Nothing;
        }
        let lead = |s: Shape| Shape::new(&s.dims()[..s.rank() - 2]).expect("fewer axes");
        let batch = lead(shape);
        let of_a = Walk::broadcast(lead(a), batch).positions();
        let of_b = Walk::broadcast(lead(b), batch).positions();
        let mut result = Vec::with_capacity(shape.len());
        for (a, b) in of_a.zip(of_b) {
            for row in &rows[a * m..(a + 1) * m] {
                for column in &columns[b * n..(b + 1) * n] {
                    result.push(self.sets.union(*row, *column));
                }
            }
        }
        Deps::of(result)
    }

    /// Any element of a matrix reaches all of its result; the columns of a right-hand side stay apart.
    fn linalg(&mut self, op: Linalg, v: Value) -> Deps {
        let (shape, matrix) = (self.list.shape(v), self.list.shape(self.list.arg(v, 0)));
        let area: usize = matrix.dims()[matrix.rank() - 2..].iter().product();
        let batch = matrix.len() / area.max(1);
        if batch == 0 || shape.len() % batch != 0 {
            return Deps::Nothing;
        }
        let each = shape.len() / batch;
        let (a, mut result) = (self.operand(v, 0), Vec::with_capacity(shape.len()));
        let columns = match op {
            Linalg::TriangularSolve | Linalg::Solve => shape.dims().last().copied().unwrap_or(1),
            Linalg::Cholesky | Linalg::Lu | Linalg::Det => 0,
            Linalg::LogAbsDet | Linalg::SignDet => 0,
            Linalg::Eigh | Linalg::Eigenvalues | Linalg::Eigenvectors => 0,
            Linalg::Svd | Linalg::LeftVectors | Linalg::SingularValues => 0,
            Linalg::RightVectors | Linalg::Qr | Linalg::Orthogonal | Linalg::Upper => 0,
        };
        for i in 0..batch {
            let all = self.joined(&a, i * area..(i + 1) * area);
            if columns == 0 {
                result.extend(std::iter::repeat_n(all, each));
                continue;
            }
            let b = self.operand(v, 1);
            let columns: Vec<Set> = (0..columns)
                .map(|j| {
                    let column = self.joined(&b, (i * each + j..(i + 1) * each).step_by(columns));
                    self.sets.union(all, column)
                })
                .collect();
            result.extend(columns.iter().cycle().take(each));
        }
        Deps::of(result)
    }

    /// Step by step, as it runs.
    fn scan(&mut self, v: Value) -> Deps {
        let spec = self.list.scan_spec(v).clone();
        let (body, pieces) = (&*spec.body, spec.pieces());
        let analysis = Analysis::of(&body.list, &body.outputs);
        let count = self.list.args(v).len();
        let mut carries: Vec<Deps> = (0..body.carries).map(|i| self.operand(v, i)).collect();
        let others: Vec<_> = (0..count)
            .map(|i| (self.operand(v, i), self.known(v, i)))
            .collect();
        let steps = body.carries..body.carries + body.steps;
        let mut result = vec![Sets::empty(); self.list.shape(v).len()];
        for step in 0..spec.length {
            let t = if spec.reverse {
                spec.length - 1 - step
            } else {
                step
            };
            let input = |x: Value| {
                let (i, n) = (x.index(), body.list.shape(x).len());
                if i < body.carries {
                    return (carries[i].clone(), None);
                }
                let (deps, known) = &others[i];
                if !steps.contains(&i) {
                    return (deps.clone(), known.clone());
                }
                let known = known.as_ref().map(|k| k[t * n..(t + 1) * n].into());
                (deps.part(t * n, n), known)
            };
            let Ok(outputs) = flow(&body.list, &analysis, &body.outputs, self.sets, input) else {
                break; // Too many sets, which our caller sees.
            };
            for (i, deps) in outputs.iter().enumerate().skip(body.carries) {
                let n = body.list.shape(body.outputs[i]).len();
                let at = pieces[i].start + t * n;
                (0..n).for_each(|e| result[at + e] = deps.at(e));
            }
            carries = outputs;
            carries.truncate(body.carries);
        }
        for (deps, piece) in carries.iter().zip(&pieces) {
            (0..piece.shape.len()).for_each(|e| result[piece.start + e] = deps.at(e));
        }
        Deps::of(result)
    }
}

/// The first element of each group that a reduction of `axes` combines, in order.
fn kept_starts(whole: Walk, axes: u8) -> impl Iterator<Item = usize> + use<> {
    let reduced = |axis: usize| axes >> axis & 1 == 1;
    // Groups of no elements have nothing to start at.
    let empty = whole.dims().contains(&0);
    let starts = whole.along(|axis| !reduced(axis)).positions();
    starts.take(if empty { 0 } else { usize::MAX })
}

/// Of the elements of a view.
fn picked(deps: &Deps, walk: Walk) -> Deps {
    match deps {
        Deps::Each(sets) => Deps::of(walk.positions().map(|p| sets[p]).collect()),
        other => other.clone(),
    }
}

/// Broadcast.
fn spread(deps: &Deps, from: Shape, to: Shape) -> Deps {
    if from == to {
        return deps.clone();
    }
    picked(deps, Walk::broadcast(from, to))
}
