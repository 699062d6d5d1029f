//! The three maps against plain loops in `f64`, and the contracts on bits.

use bytemuck::Zeroable;
use retrograde_storage::Packet;

use super::{Kind, Operands, Plan, Spec};
use crate::product::Float;
use crate::{Level, Window};

/// One convolution with its numbers.
struct Case {
    spec: Spec,
    image: Vec<f64>,
    weight: Vec<f64>,
    output: Vec<f64>,
}

impl Case {
    fn new(spec: Spec) -> Self {
        let [height, width] = spec.extent;
        let w = spec.window;
        let [rows, columns] = [0, 1].map(|a| w.outputs(a, spec.extent[a]).unwrap());
        let mut state = 1u64;
        let mut numbers = |n: usize| -> Vec<f64> {
            let mut next = || {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                // Coarse: exact in `f32`.
                f64::from((state >> 52) as u32) / 2048.0 - 1.0
            };
            (0..n).map(|_| next()).collect()
        };
        Self {
            image: numbers(spec.batch * spec.channels * height * width),
            weight: numbers(spec.outputs * spec.channels / w.groups * w.area()),
            output: numbers(spec.batch * spec.outputs * rows * columns),
            spec,
        }
    }

    /// Calls `f(image element, weight element, output element)` for every product that the maps are sums of.
    fn terms(&self, mut f: impl FnMut(usize, usize, usize)) {
        let Spec {
            batch,
            channels,
            extent: [height, width],
            outputs,
            window: w,
            ..
        } = self.spec;
        let [rows, columns] = [0, 1].map(|a| w.outputs(a, self.spec.extent[a]).unwrap());
        let (per_in, per_out) = (channels / w.groups, outputs / w.groups);
        for n in 0..batch {
            for o in 0..outputs {
                for c in 0..per_in {
                    for p in 0..rows {
                        for q in 0..columns {
                            for i in 0..w.kernel[0] {
                                for j in 0..w.kernel[1] {
                                    let h = (p * w.stride[0] + i * w.dilation[0])
                                        .wrapping_sub(w.padding[0]);
                                    let x = (q * w.stride[1] + j * w.dilation[1])
                                        .wrapping_sub(w.padding[1]);
                                    if h < height && x < width {
                                        let channel = o / per_out * per_in + c;
                                        f(
                                            ((n * channels + channel) * height + h) * width + x,
                                            ((o * per_in + c) * w.kernel[0] + i) * w.kernel[1] + j,
                                            ((n * outputs + o) * rows + p) * columns + q,
                                        );
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn expected(&self, kind: Kind) -> Vec<f64> {
        let (x, w, y) = (&self.image, &self.weight, &self.output);
        let len = match kind {
            Kind::Output => y.len(),
            Kind::Image => x.len(),
            Kind::Weight => w.len(),
        };
        let mut sums = vec![0.0; len];
        self.terms(|a, b, c| match kind {
            Kind::Output => sums[c] += x[a] * w[b],
            Kind::Image => sums[a] += w[b] * y[c],
            Kind::Weight => sums[b] += x[a] * y[c],
        });
        sums
    }

    /// The result at a level, blocks run from the last to the first if `backwards`.
    fn found<T: Float>(&self, kind: Kind, level: Level, backwards: bool) -> Vec<T> {
        let plan = Plan::<T>::new(level, &Spec { kind, ..self.spec });
        let of = |x: &[f64]| -> Vec<T> { x.iter().map(|&x| T::from_f64(x)).collect() };
        let (mut x, mut w, mut y) = (of(&self.image), of(&self.weight), of(&self.output));
        let result = match kind {
            Kind::Output => &mut y,
            Kind::Image => &mut x,
            Kind::Weight => &mut w,
        };
        result.fill(T::NAN);
        let operands = Operands {
            image: x.as_mut_ptr(),
            weight: w.as_mut_ptr(),
            output: y.as_mut_ptr(),
        };
        // What memory holds before must not matter.
        let dirty = |packets: usize| -> Vec<Packet> {
            let mut memory = vec![Packet::zeroed(); packets];
            bytemuck::cast_slice_mut::<_, T>(&mut memory).fill(T::NAN);
            memory
        };
        let mut scratch = dirty(plan.scratch_packets());
        let mut shared = dirty(plan.shared_packets().unwrap());
        for (phase, blocks) in plan.blocks().into_iter().enumerate() {
            for block in 0..blocks {
                let block = if backwards { blocks - 1 - block } else { block };
                // SAFETY: vectors of the spec's lengths, each block once, scratch and shared memory as asked for.
                unsafe {
                    plan.run_block(phase, block, &operands, shared.as_mut_ptr(), &mut scratch);
                }
            }
        }
        match kind {
            Kind::Output => y,
            Kind::Image => x,
            Kind::Weight => w,
        }
    }
}

const KINDS: [Kind; 3] = [Kind::Output, Kind::Image, Kind::Weight];

fn check<T: Float>(spec: Spec) {
    let case = Case::new(spec);
    for kind in KINDS {
        let expected = case.expected(kind);
        let scale = expected.iter().fold(1.0, |m: f64, x| m.max(x.abs()));
        let mut fused: Option<Vec<T>> = None;
        for level in Level::available() {
            let found = case.found::<T>(kind, level, false);
            for (i, (x, e)) in found.iter().zip(&expected).enumerate() {
                let error = (x.to_f64() - e).abs() / scale;
                assert!(
                    error < 100.0 * T::EPSILON.to_f64(),
                    "{kind:?} {spec:?} at {level}: element {i} is {x}, not {e}"
                );
            }
            let again = case.found::<T>(kind, level, true);
            assert!(found == again, "{kind:?} {spec:?}: blocks change bits");
            if level != Level::Baseline {
                let first = fused.get_or_insert(found.clone());
                assert!(*first == found, "{kind:?} {spec:?}: levels differ");
            }
        }
    }
}

fn spec(batch: usize, channels: usize, extent: [usize; 2], outputs: usize, window: Window) -> Spec {
    Spec {
        kind: Kind::Output,
        batch,
        channels,
        extent,
        outputs,
        window,
    }
}

fn window(kernel: [usize; 2]) -> Window {
    Window {
        kernel,
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
    }
}

/// Every combination of stride, padding, dilation and groups over kernels of one tap and several.
#[test]
fn windows_of_every_kind() {
    for kernel in [[1, 1], [3, 3], [2, 4], [1, 5]] {
        for stride in [[1, 1], [2, 1], [3, 2], [5, 6]] {
            for padding in [[0, 0], [1, 2], [4, 3]] {
                for dilation in [[1, 1], [2, 3]] {
                    for groups in [1, 2] {
                        let window = Window {
                            kernel,
                            stride,
                            padding,
                            dilation,
                            groups,
                        };
                        let extent = [9, 11];
                        if (0..2).all(|a| window.outputs(a, extent[a]).is_some()) {
                            check::<f64>(spec(2, 4, extent, 6, window));
                        }
                    }
                }
            }
        }
    }
}

/// Rows of less than a vector, whole vectors, and more; planes of one element; one channel; depthwise.
#[test]
fn sizes_of_every_kind() {
    for width in [3, 16, 17, 28, 33, 70] {
        check::<f32>(spec(3, 2, [7, width], 5, window([3, 3])));
    }
    check::<f32>(spec(1, 1, [3, 3], 1, window([3, 3])));
    check::<f64>(spec(5, 3, [1, 1], 4, window([1, 1])));
    let depthwise = Window {
        groups: 6,
        padding: [1, 1],
        ..window([3, 3])
    };
    check::<f32>(spec(2, 6, [8, 9], 6, depthwise));
    check::<f32>(spec(2, 6, [8, 9], 12, depthwise));
}

/// Several chunks of channels, tiles of rows, tiles within a row, partial sums of several images.
#[test]
fn cut_in_every_direction() {
    check::<f32>(spec(1, 70, [40, 41], 3, window([3, 3])));
    check::<f64>(spec(19, 3, [12, 12], 2, window([3, 3])));
    let strided = Window {
        stride: [1, 2],
        padding: [0, 3],
        ..window([1, 7])
    };
    check::<f32>(spec(1, 60, [1, 3000], 2, strided));
    let sparse = Window {
        stride: [40, 40],
        dilation: [50, 70],
        padding: [30, 30],
        ..window([2, 2])
    };
    check::<f64>(spec(1, 2, [170, 170], 2, sparse));
}

#[test]
fn what_is_empty_is_left_alone() {
    for (batch, channels, outputs) in [(0, 2, 3), (2, 0, 3), (2, 2, 0)] {
        check::<f32>(spec(batch, channels, [5, 5], outputs, window([3, 3])));
    }
}
