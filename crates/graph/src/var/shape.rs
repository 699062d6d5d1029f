//! Shapes: views cost nothing where strides can say them.

use retrograde_storage::{Element, IntoShape, MAX_RANK};

use super::{Rec, Var, check};
use crate::error::Fault;
use crate::op::{Attr, Op, SliceSpec};

impl<'t, T: Element> Var<'t, T> {
    /// The same elements, row-major, under another shape of as many.
    #[track_caller]
    pub fn reshape(self, shape: impl IntoShape) -> Self {
        let shape = shape.into_shape();
        self.rec.apply("reshape", &[self.into()], |r| {
            let shape = shape.map_err(|e| Fault::shape(e.to_string()))?;
            let have = r.list.shape(self.id);
            if have.len() != shape.len() {
                return Err(Fault::shape(format!("{shape} has {} elements, the operand {}", shape.len(), have.len())));
            }
            Ok(r.list.reshape(self.id, shape))
        })
    }
    /// All elements in one axis.
    #[track_caller]
    pub fn flatten(self) -> Self {
        let n = self.shape_checked().map_or(1, |s| s.len());
        self.reshape([n])
    }
    /// Axis `i` of the result is axis `order[i]` of this.
    #[track_caller]
    pub fn permute(self, order: &[isize]) -> Self {
        self.rec.apply("permute", &[self.into()], |r| {
            let rank = r.list.shape(self.id).rank();
            if order.len() != rank {
                return Err(Fault::axis(format!("the order has {} axes, the operand {rank}", order.len())));
            }
            check::axes(rank, order)?;
            let order: Vec<usize> = order.iter().map(|&a| check::axis(rank, a)).collect::<Result<_, _>>()?;
            Ok(r.list.permute(self.id, &order))
        })
    }
    /// Two axes exchanged.
    #[track_caller]
    pub fn transpose(self, a: isize, b: isize) -> Self {
        self.rec.apply("transpose", &[self.into()], |r| {
            let rank = r.list.shape(self.id).rank();
            let (a, b) = (check::axis(rank, a)?, check::axis(rank, b)?);
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(a, b);
            Ok(r.list.permute(self.id, &order))
        })
    }
    /// The last two axes exchanged; a vector or scalar stays as it is.
    #[track_caller]
    pub fn t(self) -> Self {
        if self.shape_checked().is_ok_and(|s| s.rank() < 2) { self } else { self.transpose(-1, -2) }
    }
    /// Without an axis of extent 1.
    #[track_caller]
    pub fn squeeze(self, axis: isize) -> Self {
        self.rec.apply("squeeze", &[self.into()], |r| {
            let mut dims = r.list.dims(self.id).to_vec();
            let axis = check::axis(dims.len(), axis)?;
            if dims[axis] != 1 {
                return Err(Fault::shape(format!("axis {axis} has extent {}, expected 1", dims[axis])));
            }
            dims.remove(axis);
            Ok(r.list.reshape(self.id, check::shape(&dims)?))
        })
    }
    /// With a new axis of extent 1 before `axis` (`-1`: at the end).
    #[track_caller]
    pub fn unsqueeze(self, axis: isize) -> Self {
        self.rec.apply("unsqueeze", &[self.into()], |r| {
            let mut dims = r.list.dims(self.id).to_vec();
            let axis = check::axis(dims.len() + 1, axis)?;
            dims.insert(axis, 1);
            Ok(r.list.reshape(self.id, check::shape(&dims)?))
        })
    }
    /// Repeated along axes of extent 1, and along new leading ones, to `shape`; costs no memory.
    #[track_caller]
    pub fn expand(self, shape: impl IntoShape) -> Self {
        let shape = shape.into_shape();
        self.rec.apply("expand", &[self.into()], |r| {
            let shape = shape.map_err(|e| Fault::shape(e.to_string()))?;
            let have = r.list.shape(self.id);
            if have.broadcast(&shape) != Some(shape) {
                return Err(Fault::shape(format!("{have} does not broadcast to {shape}")));
            }
            Ok(r.list.expand(self.id, shape))
        })
    }
    /// As [`expand`](Self::expand), NumPy's name.
    #[track_caller]
    pub fn broadcast_to(self, shape: impl IntoShape) -> Self {
        self.expand(shape)
    }
    /// `len` elements from `start` on along an axis.
    #[track_caller]
    pub fn narrow(self, axis: isize, start: usize, len: usize) -> Self {
        self.slice_step(axis, start as isize, 1, len)
    }
    /// The elements of a range along an axis; negative ends count from the end.
    #[track_caller]
    pub fn slice(self, axis: isize, range: std::ops::Range<isize>) -> Self {
        let extent = self.shape_checked().ok().and_then(|s| {
            let rank = s.rank();
            check::axis(rank, axis).ok().map(|a| s.dims()[a] as isize)
        });
        let from_end = |i: isize| if i < 0 { i + extent.unwrap_or(0) } else { i };
        let (start, end) = (from_end(range.start), from_end(range.end));
        self.slice_step(axis, start, 1, (end - start).max(0) as usize)
    }
    /// `len` elements `start, start + step, ...` along an axis; `start` counts from the end if negative, so does `step`.
    #[track_caller]
    pub fn slice_step(self, axis: isize, start: isize, step: isize, len: usize) -> Self {
        self.rec.apply("slice", &[self.into()], |r| {
            let mut dims = r.list.dims(self.id).to_vec();
            let axis = check::axis(dims.len(), axis)?;
            let extent = dims[axis] as isize;
            let first = if start < 0 { start + extent } else { start };
            let last = (len as isize - 1).checked_mul(step).and_then(|d| d.checked_add(first));
            let inside = |i: isize| (0..extent).contains(&i);
            let fits = len == 0 && (0..=extent).contains(&first) || inside(first) && last.is_some_and(inside);
            check::domain(step != 0 && fits, || {
                format!("elements {start}, {start} + {step}, ... ({len} of them) are not in an axis of {extent}")
            })?;
            let mut spec = SliceSpec { start: [0; MAX_RANK], step: [1; MAX_RANK] };
            (spec.start[axis], spec.step[axis]) = (first as usize, step);
            dims[axis] = len;
            let shape = check::shape(&dims)?;
            Ok(r.list.slice(self.id, spec, shape))
        })
    }
    /// One index of an axis, which is dropped.
    #[track_caller]
    pub fn at(self, axis: isize, index: isize) -> Self {
        self.slice_step(axis, index, 1, 1).squeeze(axis)
    }
    /// The order of elements along an axis reversed.
    #[track_caller]
    pub fn flip(self, axis: isize) -> Self {
        let extent = self.shape_checked().ok().and_then(|s| check::axis(s.rank(), axis).ok().map(|a| s.dims()[a]));
        match extent {
            Some(0) => self,
            other => self.slice_step(axis, -1, -1, other.unwrap_or(1)),
        }
    }
    /// Elements moved `shift` places along an axis, those pushed out coming in at the other end.
    #[track_caller]
    pub fn roll(self, axis: isize, shift: isize) -> Self {
        let extent = self.shape_checked().ok().and_then(|s| check::axis(s.rank(), axis).ok().map(|a| s.dims()[a]));
        match extent {
            Some(n) if n > 0 => {
                let cut = n - shift.rem_euclid(n as isize) as usize;
                if cut == n {
                    return self;
                }
                self.rec.concat(&[self.narrow(axis, cut, n - cut), self.narrow(axis, 0, cut)], axis)
            }
            _ => self.narrow(axis, 0, 0),
        }
    }
    /// Pieces of `size` along an axis, the last one shorter if need be.
    #[track_caller]
    pub fn split(self, axis: isize, size: usize) -> crate::Result<Vec<Self>> {
        let shape = self.shape_checked()?;
        let fault = |f: Fault| crate::Error::new(f.kind, format!("split of {shape}: {}", f.reason));
        let extent = shape.dims()[check::axis(shape.rank(), axis).map_err(fault)?];
        check::domain(size > 0, || "pieces must have an element at least".into()).map_err(fault)?;
        Ok((0..extent).step_by(size).map(|s| self.narrow(axis, s, size.min(extent - s))).collect())
    }
    /// At most `pieces` pieces of equal size along an axis, the last one shorter if need be.
    #[track_caller]
    pub fn chunk(self, axis: isize, pieces: usize) -> crate::Result<Vec<Self>> {
        let shape = self.shape_checked()?;
        let extent = check::axis(shape.rank(), axis).map_or(1, |a| shape.dims()[a]);
        self.split(axis, extent.div_ceil(pieces.max(1)).max(1))
    }
    /// The whole repeated along each axis (`times` for the last axes).
    #[track_caller]
    pub fn tile(self, times: &[usize]) -> Self {
        let rank = self.shape_checked().map_or(0, |s| s.rank()).max(times.len());
        let mut x = self;
        while x.shape_checked().is_ok_and(|s| s.rank() < rank) {
            x = x.unsqueeze(0);
        }
        for (back, &n) in times.iter().rev().enumerate() {
            x = self.rec.concat(&vec![x; n.max(1)], -(back as isize) - 1);
            if n == 0 {
                x = x.narrow(-(back as isize) - 1, 0, 0);
            }
        }
        x
    }
    /// Each element repeated `n` times along an axis.
    #[track_caller]
    pub fn repeat(self, axis: isize, n: usize) -> Self {
        self.rec.apply("repeat", &[self.into()], |r| {
            let mut dims = r.list.dims(self.id).to_vec();
            let axis = check::axis(dims.len(), axis)?;
            let mut wide = dims.clone();
            wide.insert(axis + 1, 1);
            let x = r.list.reshape(self.id, check::shape(&wide)?);
            wide[axis + 1] = n;
            let x = r.list.expand(x, check::shape(&wide)?);
            dims[axis] *= n;
            Ok(r.list.reshape(x, check::shape(&dims)?))
        })
    }
}

impl<'t> Rec<'t> {
    /// Operands joined along an axis; other extents must be equal.
    #[track_caller]
    pub fn concat<T: Element>(self, parts: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
        let operands: Vec<super::AnyVar<'t>> = parts.iter().map(|&p| p.into()).collect();
        self.apply("concat", &operands, |r| {
            let ids: Vec<_> = parts.iter().map(|p| p.id).collect();
            let Some(&first) = ids.first() else {
                return Err(Fault::shape("expected one operand at least"));
            };
            let mut dims = r.list.dims(first).to_vec();
            let axis = check::axis(dims.len(), axis)?;
            let mut total = 0;
            for &v in &ids {
                let other = r.list.dims(v);
                let fits = other.len() == dims.len() && (0..dims.len()).all(|i| i == axis || other[i] == dims[i]);
                if !fits {
                    return Err(Fault::shape(format!("extents must be equal on all axes but {axis}")));
                }
                total += other[axis];
            }
            dims[axis] = total;
            let shape = check::shape(&dims)?;
            Ok(r.list.push(Op::Concat, &ids, Attr::axis(axis, false), shape, T::DTYPE))
        })
    }
    /// Operands of one shape joined along a new axis.
    #[track_caller]
    pub fn stack<T: Element>(self, parts: &[Var<'t, T>], axis: isize) -> Var<'t, T> {
        let wide: Vec<Var<'t, T>> = parts.iter().map(|p| p.unsqueeze(axis)).collect();
        self.concat(&wide, axis)
    }
}
