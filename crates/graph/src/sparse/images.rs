//! Dependencies through windows over images, and through attention.

use retrograde_ops::Window;
use retrograde_storage::{DType, Shape};

use super::flow::{Deps, Flow};
use super::sets::{Set, Sets};
use crate::attention::Extents;
use crate::list::Value;
use crate::op::Op;

/// Every product of a window and an image: place of the output, tap, place in the image. Those in the padding are left
/// out.
fn products(w: &Window, extent: [usize; 2], outputs: [usize; 2]) -> Vec<[usize; 3]> {
    let along = |axis: usize, p: usize, tap: usize| {
        let at = (p * w.stride[axis] + tap * w.dilation[axis]).checked_sub(w.padding[axis]);
        at.filter(|&at| at < extent[axis])
    };
    let mut products = Vec::new();
    for p in 0..outputs[0] {
        for q in 0..outputs[1] {
            for i in 0..w.kernel[0] {
                let Some(row) = along(0, p, i) else { continue };
                for j in 0..w.kernel[1] {
                    if let Some(column) = along(1, q, j) {
                        let (out, tap) = (p * outputs[1] + q, i * w.kernel[1] + j);
                        products.push([out, tap, row * extent[1] + column]);
                    }
                }
            }
        }
    }
    products
}

/// What of a product is where in [`products`].
const OUTPUT: usize = 0;
const TAP: usize = 1;
const IMAGE: usize = 2;

impl Flow<'_> {
    /// What each of `len` sums of products takes from one of the factors, of which `planes` are added up beforehand: first
    /// elements of planes of as many elements as there are places `from`.
    fn through_products(
        &mut self,
        products: &[[usize; 3]],
        (to, len): (usize, usize),
        (from, of): (usize, usize),
        deps: &Deps,
        planes: impl Iterator<Item = usize> + Clone,
    ) -> Deps {
        match deps {
            Deps::Nothing => return Deps::Nothing,
            Deps::Same(set) => {
                let terms = products.iter().map(|p| (p[to], *set));
                return self.added(len, terms.collect());
            }
            Deps::Each(_) => {}
        }
        let joint: Vec<Set> = (0..of)
            .map(|at| self.joined(deps, planes.clone().map(|first| first + at)))
            .collect();
        let terms = products.iter().map(|p| (p[to], joint[p[from]]));
        self.added(len, terms.filter(|t| t.1 != Sets::empty()).collect())
    }

    /// A convolution or one of its adjoints: all three have the same products, and differ in which of image, weight and
    /// output is the sum.
    pub(super) fn convolution(&mut self, v: Value) -> Deps {
        let [x, y] = [0, 1].map(|i| self.list.shape(self.list.arg(v, i)));
        let (w, own) = (*self.list.window(v), self.list.shape(v));
        let (a, b) = (self.operand(v, 0), self.operand(v, 1));
        let (image, weight, output) = match self.list.op(v) {
            Op::Conv2d => (x, y, own),
            Op::ConvInput => (own, y, x),
            _ => (x, own, y),
        };
        let (&[_, channels, height, width], &[_, per_group, ..], &[batch, outputs, rows, columns]) =
            (image.dims(), weight.dims(), output.dims())
        else {
            unreachable!("images, weights and outputs have four axes")
        };
        let products = products(&w, [height, width], [rows, columns]);
        let (pixels, places, area) = (height * width, rows * columns, w.area());
        let group_size = (outputs / w.groups).max(1);
        // Planes of the image, the weight and the output.
        let pixel = |n: usize, c: usize| (n * channels + c) * pixels;
        let tap = |o: usize, c: usize| (o * per_group + c) * area;
        let place = |n: usize, o: usize| (n * outputs + o) * places;
        let mut result = Vec::with_capacity(own.len());
        match self.list.op(v) {
            Op::Conv2d => {
                let (to, taps) = ((OUTPUT, places), (TAP, area));
                let weights: Vec<Deps> = (0..outputs)
                    .map(|o| {
                        let planes = (0..per_group).map(|c| tap(o, c));
                        self.through_products(&products, to, taps, &b, planes)
                    })
                    .collect();
                for n in 0..batch {
                    for group in weights.chunks(group_size) {
                        let g = result.len() / places.max(1) % outputs / group_size;
                        let planes = (g * per_group..(g + 1) * per_group).map(|c| pixel(n, c));
                        let seen =
                            self.through_products(&products, to, (IMAGE, pixels), &a, planes);
                        for weight in group {
                            let both = (0..places).map(|p| (seen.at(p), weight.at(p)));
                            result.extend(both.map(|(x, w)| self.sets.union(x, w)));
                        }
                    }
                }
            }
            Op::ConvInput => {
                let to = (IMAGE, pixels);
                let of_group = |g: usize| g * group_size..(g + 1) * group_size;
                let weights: Vec<Deps> = (0..channels)
                    .map(|c| {
                        let planes = of_group(c / per_group).map(|o| tap(o, c % per_group));
                        self.through_products(&products, to, (TAP, area), &b, planes)
                    })
                    .collect();
                for n in 0..batch {
                    for (g, group) in weights.chunks(per_group.max(1)).enumerate() {
                        let planes = of_group(g).map(|o| place(n, o));
                        let seen =
                            self.through_products(&products, to, (OUTPUT, places), &a, planes);
                        for weight in group {
                            let both = (0..pixels).map(|p| (seen.at(p), weight.at(p)));
                            result.extend(both.map(|(x, w)| self.sets.union(x, w)));
                        }
                    }
                }
            }
            _ => {
                let to = (TAP, area);
                let seen: Vec<Deps> = (0..channels)
                    .map(|c| {
                        let planes = (0..batch).map(|n| pixel(n, c));
                        self.through_products(&products, to, (IMAGE, pixels), &a, planes)
                    })
                    .collect();
                for o in 0..outputs {
                    let planes = (0..batch).map(|n| place(n, o));
                    let given = self.through_products(&products, to, (OUTPUT, places), &b, planes);
                    let first = o / group_size * per_group;
                    for x in &seen[first..first + per_group] {
                        let both = (0..area).map(|t| (x.at(t), given.at(t)));
                        result.extend(both.map(|(x, g)| self.sets.union(x, g)));
                    }
                }
            }
        }
        Deps::of(result)
    }

    /// Which element of a window is the largest is not known: any may be.
    pub(super) fn pool(&mut self, v: Value) -> Deps {
        let (x, own) = (self.list.shape(self.list.arg(v, 0)), self.list.shape(v));
        let (w, op, deps) = (*self.list.window(v), self.list.op(v), self.operand(v, 0));
        let spreads = matches!(op, Op::MaxPoolInput | Op::SumPoolInput);
        let (image, pooled) = if spreads { (own, x) } else { (x, own) };
        let (extent, outputs) = (last_two(image), last_two(pooled));
        let products = products(&w, extent, outputs);
        let (pixels, places) = (extent[0] * extent[1], outputs[0] * outputs[1]);
        let [to, from] = if spreads {
            [(IMAGE, pixels), (OUTPUT, places)]
        } else {
            [(OUTPUT, places), (IMAGE, pixels)]
        };
        let mut result = Vec::with_capacity(own.len());
        for plane in 0..pooled.len() / places.max(1) {
            let first = std::iter::once(plane * from.1);
            let sums = self.through_products(&products, to, from, &deps, first);
            result.extend((0..to.1).map(|e| sums.at(e)));
        }
        Deps::of(result)
    }

    /// A query's row, the keys and one feature of the values that it may see.
    pub(super) fn attention(&mut self, v: Value) -> Deps {
        let of = Extents::of(self.list, v);
        let (causal, _) = self.list.attr(v).as_attention();
        let (h, lead) = (of.heads, of.count() / of.heads.max(1));
        let [q, k, y] = [0, 1, 2].map(|i| self.operand(v, i));
        let mask = self.float_mask(v, 3);
        let mut result = Vec::with_capacity(self.list.shape(v).len());
        for at in 0..lead * of.queries * h {
            let (b, i, head) = (at / (of.queries * h), at / h % of.queries, at % h);
            let keys = if causal { of.keys.min(i + 1) } else { of.keys };
            let row = |t: usize, times: usize, width: usize| ((b * times + t) * h + head) * width;
            let from = row(i, of.queries, of.width);
            let query = self.joined(&q, from..from + of.width);
            let seen = (0..keys).flat_map(|t| {
                let from = row(t, of.keys, of.width);
                from..from + of.width
            });
            let seen = self.joined(&k, seen);
            let scores = self.sets.union_of([query, seen, mask]);
            for j in 0..of.values {
                let column = (0..keys).map(|t| row(t, of.keys, of.values) + j);
                let column = self.joined(&y, column);
                result.push(self.sets.union(scores, column));
            }
        }
        Deps::of(result)
    }

    /// What any element of operand `i` depends on, a mask that is added to the scores.
    fn float_mask(&mut self, v: Value, i: usize) -> Set {
        match self.list.args(v).get(i) {
            Some(&mask) if self.list.dtype(mask) != DType::Bool => self.whole(v, i),
            _ => Sets::empty(),
        }
    }

    /// All that stands in one place of the leading axes, and in one head, together.
    pub(super) fn attention_grad(&mut self, v: Value) -> Deps {
        let (of, own) = (Extents::of(self.list, v), self.list.shape(v));
        let (h, lead) = (of.heads, of.count() / of.heads.max(1));
        let mask = self.float_mask(v, 4);
        let mut all = vec![mask; lead * h];
        for i in 0..4 {
            let deps = self.operand(v, i);
            let shape = self.list.shape(self.list.arg(v, i));
            let &[.., time, _, width] = shape.dims() else {
                unreachable!("an attention's operands have three axes")
            };
            for (at, set) in all.iter_mut().enumerate() {
                let (b, head) = (at / h, at % h);
                let rows = (0..time).map(|t| ((b * time + t) * h + head) * width);
                let part = self.joined(&deps, rows.flat_map(|from| from..from + width));
                *set = self.sets.union(*set, part);
            }
        }
        let mut result = vec![Sets::empty(); own.len()];
        let (_, cuts) = of.cuts();
        for ((start, _), shape) in cuts.into_iter().zip(of.operands()) {
            let &[.., time, _, width] = shape.dims() else {
                unreachable!("an attention's operands have three axes")
            };
            for e in 0..shape.len() {
                let (b, t, head) = (
                    e / (time * h * width),
                    e / (h * width) % time,
                    e / width % h,
                );
                // One after the other in a vector, or side by side on an axis behind the time.
                let at = if own.rank() == 1 {
                    start + e
                } else {
                    ((b * time + t) * 3 + start) * h * width + e % (h * width)
                };
                result[at] = all[b * h + head];
            }
        }
        Deps::of(result)
    }
}

/// Rows and columns.
fn last_two(shape: Shape) -> [usize; 2] {
    [2, 1].map(|i| shape.dims()[shape.rank() - i])
}
