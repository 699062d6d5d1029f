//! Sums of products by a formula of indices: parsed, then products two operands at a time.

use retrograde_ops::Reduce;
use retrograde_storage::{MAX_RANK, Shape};
use smallvec::SmallVec;

use super::{AnyVar, Float, Rec, Var};
use crate::error::{ErrorKind, Fault};
use crate::infer::{self, Few};
use crate::list::{List, Value};
use crate::op::SliceSpec;

/// An index of the formula: a letter, or below 8 an axis of the ellipsis counted from its end.
type Label = u8;

type Labels = SmallVec<[Label; MAX_RANK]>;

/// Sums of products.
///
/// ```
/// # use retrograde_graph::Tape;
/// # use retrograde_storage::{Array, Create};
/// # let tape = Tape::new();
/// let a = tape.variable(Array::from([[1.0_f64, 2.0], [3.0, 4.0]]));
/// let x = tape.variable(Array::from([1.0_f64, -1.0]));
/// let rec = tape.rec();
/// assert_eq!(rec.einsum("ij,j->i", &[a, x]).value()?, a.matmul(x).value()?);
/// assert_eq!(rec.einsum("ij,kj", &[a, a]).value()?, a.matmul(a.t()).value()?); // -> "ik"
/// assert_eq!(rec.einsum("i,ij,j->", &[x, a, x]).item()?, 0.0);
/// assert_eq!(rec.einsum("ii->i", &[a]).value()?, Array::from([1.0, 4.0]));
/// assert_eq!(rec.einsum("...j->j...", &[a]).value()?, a.t().value()?);
/// let error = rec.einsum("ij,j->k", &[a, x]).value().unwrap_err().to_string();
/// assert!(error.contains("einsum of [2, 2] f64 and [2] f64: in \"ij,j->k\": `k` is an index of no operand"), "{error}");
/// # Ok::<(), retrograde_graph::Error>(())
/// ```
impl<'t> Rec<'t> {
    /// Einstein's summation: `"bij,bjk->bik"` names an index for every axis of every operand and of the result; the
    /// result is the product of the operands' elements, summed over every index that it does not name.
    ///
    /// Indices are letters; spaces count for nothing. Axes with one index have one extent, or 1, which broadcasts. An
    /// index twice in one operand is its diagonal. `...` stands for any further axes, which broadcast from the end.
    /// Without `->` the result has the ellipsis and then, in alphabetical order, the indices that occur once (`NumPy`'s
    /// implicit mode).
    ///
    /// Operands are taken from left to right, two at a time, as matrix products where an index is summed; put those
    /// first whose product is small. Operands are read where they are: transposes and diagonals are views.
    #[track_caller]
    pub fn einsum<T: Float>(self, formula: &str, operands: &[Var<'t, T>]) -> Var<'t, T> {
        let ids: SmallVec<[AnyVar<'t>; 4]> = operands.iter().map(|&v| v.into()).collect();
        self.apply("einsum", &ids, |s| {
            let l = &mut s.list;
            let shapes: SmallVec<[Shape; 4]> = operands.iter().map(|v| l.shape(v.id)).collect();
            let Formula {
                operands: labels,
                result,
            } = Formula::parse(formula, &shapes)
                .map_err(|f| Fault::new(f.kind, format!("in {formula:?}: {}", f.reason)))?;
            let mut terms: Vec<Term> = Vec::with_capacity(operands.len());
            for (v, labels) in operands.iter().zip(labels) {
                terms.push(Term { x: v.id, labels }.diagonal(l)?);
            }
            spread(l, &mut terms, &result)?;
            let mut terms = terms.into_iter();
            let Some(mut product) = terms.next() else {
                return Err(Fault::shape(
                    "there is nothing to multiply; give an operand",
                ));
            };
            while let Some(next) = terms.next() {
                let later = |label| {
                    result.contains(&label) || terms.as_slice().iter().any(|t| t.has(label))
                };
                product = product.times(l, next, &later)?;
            }
            let product = product.summed(l, |label| result.contains(&label));
            Ok(product.ordered(l, &result))
        })
    }
}

/// Which index every axis has.
struct Formula {
    operands: SmallVec<[Labels; 4]>,
    result: Labels,
}

impl Formula {
    fn parse(text: &str, shapes: &[Shape]) -> Result<Self, Fault> {
        let (left, right) = match text.split_once("->") {
            Some((left, right)) => (left, Some(right)),
            None => (text, None),
        };
        let parts: SmallVec<[&str; 4]> = left.split(',').collect();
        if parts.len() != shapes.len() && !(shapes.is_empty() && left.trim().is_empty()) {
            return Err(argument(format!(
                "{} operands are named, but {} are given",
                parts.len(),
                shapes.len()
            )));
        }
        let mut operands = SmallVec::new();
        let mut longest = 0;
        for (&part, shape) in parts.iter().zip(shapes) {
            let axes = axes(part)?;
            let letters = axes.iter().flatten().count();
            let ellipsis = axes.len() > letters;
            if letters > shape.rank() || (letters < shape.rank() && !ellipsis) {
                return Err(argument(format!(
                    "`{}` names {letters} axes{}, but the operand {shape} has {}",
                    part.trim(),
                    if ellipsis { " beside `...`" } else { "" },
                    shape.rank()
                )));
            }
            let rest = shape.rank() - letters;
            longest = if ellipsis { longest.max(rest) } else { longest };
            operands.push(expanded(&axes, rest));
        }
        let result = match right {
            Some(right) => {
                let axes = axes(right)?;
                for (at, label) in axes.iter().enumerate() {
                    let Some(label) = label else { continue };
                    if axes[..at].contains(&Some(*label)) {
                        let letter = char::from(*label);
                        return Err(argument(format!(
                            "`{letter}` is twice in the result; for a diagonal matrix see `diag_embed`"
                        )));
                    }
                    if !operands.iter().any(|of: &Labels| of.contains(label)) {
                        let letter = char::from(*label);
                        return Err(argument(format!(
                            "`{letter}` is an index of no operand; name it in one, or leave it out of the result"
                        )));
                    }
                }
                expanded(&axes, longest)
            }
            None => {
                let mut once: Labels = (b'A'..=b'z')
                    .filter(|label| {
                        let all = operands.iter().flatten();
                        all.filter(|l| *l == label).count() == 1
                    })
                    .collect();
                let mut result = expanded(&[None], longest);
                result.append(&mut once);
                result
            }
        };
        if result.len() > MAX_RANK {
            return Err(Fault::shape(format!(
                "the result would have rank {}, the largest is {MAX_RANK}",
                result.len()
            )));
        }
        Ok(Self { operands, result })
    }
}

/// The letters of one operand; `None` is the ellipsis.
fn axes(part: &str) -> Result<SmallVec<[Option<Label>; MAX_RANK]>, Fault> {
    let mut axes = SmallVec::new();
    let mut rest = part.trim_start();
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("...") {
            if axes.contains(&None) {
                return Err(argument(format!(
                    "`{part}` has two ellipses; one is the most"
                )));
            }
            axes.push(None);
            rest = after.trim_start();
            continue;
        }
        if !c.is_ascii_alphabetic() {
            return Err(argument(format!(
                "{c:?} is not an index; indices are letters a to z and A to Z, beside `...`, `,` and `->`"
            )));
        }
        axes.push(Some(c as Label));
        rest = rest[c.len_utf8()..].trim_start();
    }
    Ok(axes)
}

/// With `rest` axes for the ellipsis.
fn expanded(axes: &[Option<Label>], rest: usize) -> Labels {
    let mut labels = Labels::new();
    for axis in axes {
        match axis {
            Some(label) => labels.push(*label),
            None => labels.extend((0..rest as Label).rev()),
        }
    }
    labels
}

fn argument(reason: String) -> Fault {
    Fault::new(ErrorKind::Shape, reason)
}

/// Checks extents. An axis of extent 1 whose index is longer elsewhere is dropped: along it the operand is constant.
fn spread(list: &mut List, terms: &mut [Term], result: &[Label]) -> Result<(), Fault> {
    let mut extents = [1usize; 128];
    for term in &*terms {
        for (&label, &extent) in term.labels.iter().zip(list.dims(term.x)) {
            let known = &mut extents[usize::from(label)];
            if extent != *known && extent != 1 && *known != 1 {
                let name = match label {
                    0..8 => "an axis of `...`".to_owned(),
                    letter => format!("`{}`", char::from(letter)),
                };
                return Err(Fault::shape(format!(
                    "{name} has extent {known} in one operand and {extent} in another; they must be equal or one of them 1"
                )));
            }
            if extent != 1 {
                *known = extent;
            }
        }
    }
    let dims: Few = result.iter().map(|&l| extents[usize::from(l)]).collect();
    infer::shape(&dims)?;
    // An axis of extent 1 in every operand stays in the first that has it.
    let mut kept = [false; 128];
    for term in terms {
        let (mut labels, mut dims) = (Labels::new(), Few::new());
        for (&label, &extent) in term.labels.iter().zip(list.dims(term.x)) {
            let at = usize::from(label);
            if extent == 1 && (extents[at] != 1 || kept[at]) {
                continue;
            }
            kept[at] = true;
            labels.push(label);
            dims.push(extent);
        }
        term.x = list.reshape(term.x, infer::shape(&dims)?);
        term.labels = labels;
    }
    Ok(())
}

/// A value and the index of each of its axes.
struct Term {
    x: Value,
    labels: Labels,
}

impl Term {
    fn has(&self, label: Label) -> bool {
        self.labels.contains(&label)
    }

    /// With no index twice: the diagonal where one is.
    fn diagonal(mut self, list: &mut List) -> Result<Self, Fault> {
        let twice = |labels: &Labels| {
            let pairs = (0..labels.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
            pairs.into_iter().find(|&(i, j)| labels[i] == labels[j])
        };
        while let Some((i, j)) = twice(&self.labels) {
            let dims = Few::from_slice(list.dims(self.x));
            let n = dims[i];
            if dims[j] != n {
                return Err(Fault::shape(format!(
                    "`{}` has extents {n} and {} in one operand; a diagonal is that of a square",
                    char::from(self.labels[i]),
                    dims[j]
                )));
            }
            // The two axes last and as one, of which the diagonal is every (n + 1)th element.
            let mut order: Few = (0..dims.len()).filter(|&a| a != i && a != j).collect();
            let mut shape: Few = order.iter().map(|&a| dims[a]).collect();
            let label = self.labels[i];
            self.labels = order.iter().map(|&a| self.labels[a]).collect();
            self.labels.push(label);
            order.extend([i, j]);
            let last = shape.len();
            shape.push(n * n);
            let square = list.permute(self.x, &order);
            let line = list.reshape(square, infer::shape(&shape)?);
            let mut spec = SliceSpec {
                start: [0; MAX_RANK],
                step: [1; MAX_RANK],
            };
            spec.step[last] = n as isize + 1;
            shape[last] = n;
            self.x = list.slice(line, spec, infer::shape(&shape)?);
        }
        Ok(self)
    }

    /// Summed over every index that is not kept.
    fn summed(self, list: &mut List, kept: impl Fn(Label) -> bool) -> Self {
        let mask = (0..self.labels.len())
            .filter(|&axis| !kept(self.labels[axis]))
            .fold(0u8, |mask, axis| mask | 1 << axis);
        if mask == 0 {
            return self;
        }
        let sum = list.reduce(Reduce::Sum, self.x, mask);
        let shape = super::axes::without(list.shape(sum), mask);
        Self {
            x: list.reshape(sum, shape),
            labels: self.labels.into_iter().filter(|&l| kept(l)).collect(),
        }
    }

    /// Axes in this order, which names each.
    fn ordered(&self, list: &mut List, order: &[Label]) -> Value {
        let place = |l: &Label| self.labels.iter().position(|own| own == l);
        let axes: Few = order.iter().filter_map(place).collect();
        if axes.iter().enumerate().all(|(i, &axis)| i == axis) {
            return self.x;
        }
        list.permute(self.x, &axes)
    }

    /// In the order of `all`, with extent 1 where this has no such index.
    fn aligned(&self, list: &mut List, all: &[Label]) -> Result<Value, Fault> {
        let own: Labels = all.iter().copied().filter(|&l| self.has(l)).collect();
        let x = self.ordered(list, &own);
        let mut dims = Few::from_elem(1, all.len());
        let mut extents = Few::from_slice(list.dims(x)).into_iter();
        for (to, &label) in dims.iter_mut().zip(all) {
            if self.has(label) {
                *to = extents.next().unwrap_or(1);
            }
        }
        Ok(list.reshape(x, infer::shape(&dims)?))
    }

    /// The product with another, summed over what nobody needs `later`.
    fn times(
        self,
        list: &mut List,
        other: Self,
        later: &dyn Fn(Label) -> bool,
    ) -> Result<Self, Fault> {
        let left = self.summed(list, |l| other.has(l) || later(l));
        let right = other.summed(list, |l| left.has(l) || later(l));
        let part = |of: &Self, keep: &dyn Fn(Label) -> bool| -> Labels {
            of.labels.iter().copied().filter(|&l| keep(l)).collect()
        };
        let batch = part(&left, &|l| right.has(l) && later(l));
        let inner = part(&left, &|l| right.has(l) && !later(l));
        let rows = part(&left, &|l| !right.has(l));
        let columns = part(&right, &|l| !left.has(l));
        let labels: Labels = [&batch[..], &rows, &columns].concat().into();
        let rank = labels.len();
        if rank > MAX_RANK {
            return Err(Fault::shape(format!(
                "a product on the way would have rank {rank}, the largest is {MAX_RANK}; put first what is summed"
            )));
        }
        if inner.is_empty() || (rows.is_empty() && columns.is_empty()) {
            // Element by element; what is summed is summed after, in the same group.
            let all: Labels = [&labels[..], &inner].concat().into();
            if all.len() <= MAX_RANK {
                let (x, y) = (left.aligned(list, &all)?, right.aligned(list, &all)?);
                infer::broadcast(list, &[x, y])?;
                let product = Self {
                    x: list.mul(x, y),
                    labels: all,
                };
                return Ok(product.summed(list, later));
            }
        }
        let matrix = |list: &mut List, of: &Self, [a, b]: [&Labels; 2]| {
            let order: Labels = [&batch[..], a, b].concat().into();
            let x = of.ordered(list, &order);
            let dims = Few::from_slice(list.dims(x));
            let (lead, last) = dims.split_at(batch.len());
            let mut dims = Few::from_slice(lead);
            if batch.len() + 2 > MAX_RANK {
                dims = Few::from_elem(lead.iter().product(), 1);
            }
            let (a, b) = last.split_at(a.len());
            dims.extend([a.iter().product(), b.iter().product()]);
            Ok::<_, Fault>(list.reshape(x, infer::shape(&dims)?))
        };
        let mut dims = Few::new();
        for &label in &labels {
            let of = if left.has(label) { &left } else { &right };
            let at = of.labels.iter().position(|&l| l == label);
            dims.push(at.map_or(1, |at| list.dims(of.x)[at]));
        }
        let shape = infer::shape(&dims)?;
        let x = matrix(list, &left, [&rows, &inner])?;
        let y = matrix(list, &right, [&inner, &columns])?;
        let product = list.matmul(x, y);
        Ok(Self {
            x: list.reshape(product, shape),
            labels,
        })
    }
}
