//! Views: which values need no memory of their own because strides over another value say them.

use retrograde_storage::{Id, View};

use super::group::is_scalar;
use crate::list::{List, Value};
use crate::op::Op;

/// For every value, the value whose memory it lives in, and how its elements are found there.
pub(crate) struct Places {
    base: Vec<Value>,
    /// By value: its number among the views. Most values are dense and share the view of their shape.
    view: Vec<u32>,
    views: Vec<View>,
}

/// The elements of `v`, a view of an operand whose elements are at `from`; `None` if it is no view or no strides say it.
fn seen_through(list: &List, v: Value, from: &View) -> Option<View> {
    let shape = list.shape(v);
    Some(match list.op(v) {
        // The check has a step of its own; what comes out of it is what went in.
        Op::Detach | Op::CheckIndex | Op::After => *from,
        Op::Reshape => from.reshape(shape)?,
        Op::Permute => from.permute(&list.attr(v).as_order(shape.rank())),
        Op::Expand => from.expand(shape),
        Op::Slice => {
            let spec = list.slice_spec(v);
            (0..shape.rank()).fold(*from, |view, axis| {
                view.slice(axis, spec.start[axis], spec.step[axis], shape.dims()[axis])
            })
        }
        _ => return None,
    })
}

/// The value that `v` is a strided view of, and where its elements stand there.
pub(super) fn resolve(list: &List, v: Value) -> (Value, View) {
    let mut chain = vec![v];
    while let Some(&last) = chain.last()
        && list.op(last).is_view()
    {
        chain.push(list.arg(last, 0));
    }
    let mut place: Option<(Value, View)> = None;
    for &v in chain.iter().rev() {
        let through = place.and_then(|(base, from)| Some((base, seen_through(list, v, &from)?)));
        place = Some(through.unwrap_or_else(|| (v, View::dense(list.shape(v)))));
    }
    place.expect("the chain has a value")
}

impl Places {
    /// Resolves every view of the list. A reshape that no strides can say becomes a base of its own: a copy.
    pub(crate) fn resolve(list: &List) -> Self {
        let mut places = Self {
            base: Vec::with_capacity(list.len()),
            view: Vec::with_capacity(list.len()),
            views: Vec::new(),
        };
        // By shape: the number of the dense view of it.
        let mut dense: Vec<Option<u32>> = Vec::new();
        for v in list.values() {
            let through = if list.op(v).is_view() || list.op(v) == Op::CheckIndex {
                places.through(list, v)
            } else {
                None
            };
            // One element out of many is copied to a cell of its own: scalars are all found alike.
            let through = through.filter(|(base, _)| is_scalar(list, *base) || !is_scalar(list, v));
            let mut add = |view| {
                places.views.push(view);
                places.views.len() as u32 - 1
            };
            let (base, view) = match through {
                Some((base, view)) => (base, add(view)),
                None => {
                    let shape = list.shape_id(v).index();
                    if dense.len() <= shape {
                        dense.resize(shape + 1, None);
                    }
                    let known = &mut dense[shape];
                    (
                        v,
                        *known.get_or_insert_with(|| add(View::dense(list.shape(v)))),
                    )
                }
            };
            places.base.push(base);
            places.view.push(view);
        }
        places
    }

    fn through(&self, list: &List, v: Value) -> Option<(Value, View)> {
        let x = list.arg(v, 0);
        Some((self.base(x), seen_through(list, v, self.view(x))?))
    }

    /// The value in whose memory `v` lives: `v` itself unless it is a view.
    pub(crate) fn base(&self, v: Value) -> Value {
        self.base[v.index()]
    }
    /// Where the elements of `v` stand in the memory of its base.
    pub(crate) fn view(&self, v: Value) -> &View {
        &self.views[self.view[v.index()] as usize]
    }
    /// Whether `v` has memory of its own.
    pub(crate) fn is_base(&self, v: Value) -> bool {
        self.base(v) == v
    }
}
