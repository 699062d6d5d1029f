//! Convolutions and pooling by their definitions.

use retrograde_ops::Window;
use retrograde_storage::Shape;

use crate::op::Op;

/// A window over an image of known extents.
struct Sliding<'a> {
    window: &'a Window,
    extent: [usize; 2],
}

impl Sliding<'_> {
    /// Calls `f(tap, position in the plane, if any)` for every tap of the window at output `(p, q)`, in order.
    fn taps(&self, p: usize, q: usize, mut f: impl FnMut(usize, Option<usize>)) {
        let w = self.window;
        for i in 0..w.kernel[0] {
            for j in 0..w.kernel[1] {
                let row = (p * w.stride[0] + i * w.dilation[0]).checked_sub(w.padding[0]);
                let column = (q * w.stride[1] + j * w.dilation[1]).checked_sub(w.padding[1]);
                let inside = row
                    .zip(column)
                    .filter(|&(row, column)| row < self.extent[0] && column < self.extent[1]);
                let at = inside.map(|(row, column)| row * self.extent[1] + column);
                f(i * w.kernel[1] + j, at);
            }
        }
    }
}

/// The elements of an operation with a window.
pub(super) fn instruction(
    op: Op,
    window: &Window,
    operands: &[&[f64]],
    shapes: &[Shape],
    shape: Shape,
) -> Vec<f64> {
    let mut result = vec![0.0; shape.len()];
    match op {
        Op::Conv2d => {
            let [x, w] = [operands[0], operands[1]];
            terms(window, shapes[0], shapes[1], shape, |image, tap, out| {
                result[out] += image.map_or(0.0, |at| x[at]) * w[tap];
            });
        }
        Op::ConvInput => {
            let [y, w] = [operands[0], operands[1]];
            terms(window, shape, shapes[1], shapes[0], |image, tap, out| {
                if let Some(at) = image {
                    result[at] += y[out] * w[tap];
                }
            });
        }
        Op::ConvWeight => {
            let [x, y] = [operands[0], operands[1]];
            terms(window, shapes[0], shape, shapes[1], |image, tap, out| {
                result[tap] += image.map_or(0.0, |at| x[at]) * y[out];
            });
        }
        _ => {
            let (image, pooled) = match op {
                Op::MaxPoolInput | Op::SumPoolInput => (shape, shapes[0]),
                _ => (shapes[0], shape),
            };
            let (rows, columns) = (pooled.dims()[2], pooled.dims()[3]);
            let extent = [image.dims()[2], image.dims()[3]];
            let (x, sliding) = (operands[0], Sliding { window, extent });
            for out in 0..pooled.len() {
                let (q, p) = (out % columns, out / columns % rows);
                let plane = out / columns / rows * extent[0] * extent[1];
                let mut best: Option<usize> = None;
                sliding.taps(p, q, |_, at| {
                    let Some(at) = at else { return };
                    match op {
                        Op::SumPool => result[out] += x[plane + at],
                        Op::SumPoolInput => result[plane + at] += x[out],
                        _ => {
                            let by = &operands[1][plane..];
                            let better = best.is_none_or(|best| {
                                by[at] > by[best] || (by[at].is_nan() && !by[best].is_nan())
                            });
                            if better {
                                best = Some(at);
                            }
                        }
                    }
                });
                match best {
                    Some(best) if op == Op::MaxPool => result[out] = x[plane + best],
                    Some(best) => result[plane + best] += x[out],
                    None => {}
                }
            }
        }
    }
    result
}

/// Calls `f(image element, if not in the padding, weight element, output element)` for every product of a convolution.
fn terms(
    window: &Window,
    image: Shape,
    weight: Shape,
    output: Shape,
    mut f: impl FnMut(Option<usize>, usize, usize),
) {
    let (channels, extent) = (image.dims()[1], [image.dims()[2], image.dims()[3]]);
    let per_group = weight.dims()[1];
    let &[batch, outputs, rows, columns] = output.dims() else {
        unreachable!("an output has four axes")
    };
    let sliding = Sliding { window, extent };
    for n in 0..batch {
        for o in 0..outputs {
            let group = o / (outputs / window.groups);
            for c in 0..per_group {
                let plane = (n * channels + group * per_group + c) * extent[0] * extent[1];
                for p in 0..rows {
                    for q in 0..columns {
                        let out = ((n * outputs + o) * rows + p) * columns + q;
                        sliding.taps(p, q, |tap, at| {
                            let tap = (o * per_group + c) * window.area() + tap;
                            f(at.map(|at| plane + at), tap, out);
                        });
                    }
                }
            }
        }
    }
}
