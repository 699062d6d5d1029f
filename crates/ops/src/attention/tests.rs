//! Attention against plain loops in `f64`, over strided operands, every level, cuts and masks.

use retrograde_storage::{Packet, Shape, View};

use super::{
    Backward, BackwardPointers, Element, Forward, ForwardPointers, Mask, Spec, sizes::TILE_QUERIES,
};
use crate::{Level, math};

/// Numbers between -1 and 1: splitmix64, so that failures repeat.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
    fn many<T: Element>(&mut self, n: usize) -> Vec<T> {
        (0..n).map(|_| <T as math::Real>::of(self.next())).collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Hide {
    Nothing,
    /// Pairs by a table of bools.
    Keep,
    /// Pairs by additions, some of them negative infinity.
    Bias,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    batch: usize,
    heads: usize,
    queries: usize,
    keys: usize,
    d: usize,
    dv: usize,
    causal: bool,
    hide: Hide,
}

/// Operands, `[batch, time, heads, features]` as layers make them, and the gradient of the result.
#[derive(Clone)]
struct Data<T> {
    q: Vec<T>,
    k: Vec<T>,
    v: Vec<T>,
    g: Vec<T>,
    keep: Vec<u8>,
    bias: Vec<T>,
}

/// Result and gradients.
#[derive(Clone, Debug, PartialEq)]
struct Found<T> {
    out: Vec<T>,
    grads: [Vec<T>; 3],
}

impl Case {
    fn data<T: Element>(&self, seed: u64) -> Data<T> {
        let mut numbers = Numbers(seed);
        let each = self.batch * self.heads;
        let pairs = each * self.queries * self.keys;
        let hidden: Vec<bool> = (0..pairs).map(|_| numbers.next() < -0.4).collect();
        let bias: Vec<T> = numbers.many(pairs);
        let none = -<T as math::Real>::INFINITY;
        Data {
            q: numbers.many(each * self.queries * self.d),
            k: numbers.many(each * self.keys * self.d),
            v: numbers.many(each * self.keys * self.dv),
            g: numbers.many(each * self.queries * self.dv),
            keep: hidden.iter().map(|&h| u8::from(!h)).collect(),
            bias: bias
                .into_iter()
                .zip(hidden)
                .map(|(b, h)| if h { none } else { b })
                .collect(),
        }
    }

    /// Features of a time and head.
    fn at(&self, times: usize, features: usize, b: usize, t: usize, h: usize) -> usize {
        ((b * times + t) * self.heads + h) * features
    }

    fn pair(&self, b: usize, h: usize, i: usize, j: usize) -> usize {
        ((b * self.heads + h) * self.queries + i) * self.keys + j
    }

    /// `[batch, time, heads, features]` as `[batch, heads, time, features]`.
    fn view(&self, times: usize, features: usize) -> View {
        let shape = Shape::new(&[self.batch, times, self.heads, features]).unwrap();
        View::dense(shape).permute(&[0, 2, 1, 3])
    }

    fn expected<T: Element>(&self, data: &Data<T>) -> Found<f64> {
        let wide = |x: &[T]| -> Vec<f64> { x.iter().map(|x| x.to_f64()).collect() };
        let (q, k, v, g) = (wide(&data.q), wide(&data.k), wide(&data.v), wide(&data.g));
        let mut out = vec![0.0; g.len()];
        let mut grads = [vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]];
        let scale = 1.0 / (self.d as f64).sqrt();
        for b in 0..self.batch {
            for h in 0..self.heads {
                for i in 0..self.queries {
                    let bias = |j: usize| match self.hide {
                        Hide::Nothing => 0.0,
                        Hide::Keep if data.keep[self.pair(b, h, i, j)] == 0 => f64::NEG_INFINITY,
                        Hide::Keep => 0.0,
                        Hide::Bias => data.bias[self.pair(b, h, i, j)].to_f64(),
                    };
                    let at_q = self.at(self.queries, self.d, b, i, h);
                    let at_g = self.at(self.queries, self.dv, b, i, h);
                    let at_k = |j: usize| self.at(self.keys, self.d, b, j, h);
                    let at_v = |j: usize| self.at(self.keys, self.dv, b, j, h);
                    let seen: Vec<usize> = (0..self.keys)
                        .filter(|&j| (!self.causal || j <= i) && bias(j) > f64::NEG_INFINITY)
                        .collect();
                    let dot =
                        |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };
                    let scores: Vec<f64> = seen
                        .iter()
                        .map(|&j| {
                            let (q, k) = (&q[at_q..at_q + self.d], &k[at_k(j)..at_k(j) + self.d]);
                            scale * dot(q, k) + bias(j)
                        })
                        .collect();
                    let total: f64 = scores.iter().map(|s| s.exp()).sum();
                    let weights: Vec<f64> = scores.iter().map(|s| s.exp() / total).collect();
                    let g = &g[at_g..at_g + self.dv];
                    let inner: Vec<f64> = seen
                        .iter()
                        .map(|&j| dot(g, &v[at_v(j)..at_v(j) + self.dv]))
                        .collect();
                    let mean = dot(&weights, &inner);
                    for ((&j, w), inner) in seen.iter().zip(&weights).zip(&inner) {
                        let score = scale * w * (inner - mean);
                        for c in 0..self.dv {
                            out[at_g + c] += w * v[at_v(j) + c];
                            grads[2][at_v(j) + c] += w * g[c];
                        }
                        for c in 0..self.d {
                            grads[0][at_q + c] += score * k[at_k(j) + c];
                            grads[1][at_k(j) + c] += score * q[at_q + c];
                        }
                    }
                }
            }
        }
        Found { out, grads }
    }

    /// By the kernels, blocks in the order that `order` makes of it. Scratch and results start as NaN.
    fn found<T: Element>(
        &self,
        data: &Data<T>,
        level: Level,
        order: fn(Vec<usize>) -> Vec<usize>,
    ) -> Found<T> {
        let pairs = Shape::new(&[self.batch, self.heads, self.queries, self.keys]).unwrap();
        let (mask, at) = match self.hide {
            Hide::Nothing => (None, std::ptr::null()),
            Hide::Keep => (Some(Mask::Keep(View::dense(pairs))), data.keep.as_ptr()),
            Hide::Bias => (
                Some(Mask::Bias(View::dense(pairs))),
                data.bias.as_ptr().cast(),
            ),
        };
        let spec = Spec {
            q: self.view(self.queries, self.d),
            k: self.view(self.keys, self.d),
            v: self.view(self.keys, self.dv),
            mask,
            causal: self.causal,
            scaled: true,
        };
        let nan = <T as math::Real>::NAN;
        let scratch = |packets: usize| {
            let mut scratch = vec![Packet::ZERO; packets];
            bytemuck::cast_slice_mut::<_, T>(&mut scratch).fill(nan);
            scratch
        };

        let view = self.view(self.queries, self.dv);
        let mut out = vec![nan; data.g.len()];
        let plan = Forward::<T>::new(level, &spec, &view);
        let pointers = ForwardPointers {
            q: data.q.as_ptr(),
            k: data.k.as_ptr(),
            v: data.v.as_ptr(),
            mask: at,
            out: out.as_mut_ptr(),
        };
        let mut buffer = scratch(plan.scratch_packets());
        for block in order((0..plan.blocks()).collect()) {
            // SAFETY: the views are those of the buffers, which live and are apart.
            unsafe { plan.run_block(block, &pointers, &mut buffer) };
        }

        let lengths = [data.q.len(), data.k.len(), data.v.len()];
        let mut grads = vec![nan; lengths.iter().sum()];
        let mut views = [spec.q, spec.k, spec.v];
        views[1].offset += lengths[0] as isize;
        views[2].offset += (lengths[0] + lengths[1]) as isize;
        let plan = Backward::<T>::new(level, &spec, &view, &views);
        let pointers = BackwardPointers {
            q: data.q.as_ptr(),
            k: data.k.as_ptr(),
            v: data.v.as_ptr(),
            mask: at,
            g: data.g.as_ptr(),
            out: grads.as_mut_ptr(),
        };
        let mut buffer = scratch(plan.scratch_packets());
        for block in order((0..plan.blocks()).collect()) {
            // SAFETY: as above.
            unsafe { plan.run_block(block, &pointers, &mut buffer) };
        }
        let (q, rest) = grads.split_at(lengths[0]);
        let (k, v) = rest.split_at(lengths[1]);
        Found {
            out,
            grads: [q.to_vec(), k.to_vec(), v.to_vec()],
        }
    }

    fn check<T: Element>(&self, data: &Data<T>, tolerance: f64) {
        let expected = self.expected(data);
        for level in Level::available() {
            let found = self.found(data, level, |blocks| blocks);
            let pairs = [
                &found.out,
                &found.grads[0],
                &found.grads[1],
                &found.grads[2],
            ];
            let right = [
                &expected.out,
                &expected.grads[0],
                &expected.grads[1],
                &expected.grads[2],
            ];
            for (what, (found, right)) in pairs.into_iter().zip(right).enumerate() {
                let scale = right.iter().fold(0.0_f64, |m, x| m.max(x.abs())).max(0.1);
                for (e, (f, r)) in found.iter().zip(right).enumerate() {
                    let error = (f.to_f64() - r).abs();
                    assert!(
                        error <= tolerance * scale,
                        "{self:?} {level} result {what} element {e}: {f:?} is not {r}"
                    );
                }
            }
        }
    }
}

const PLAIN: Case = Case {
    batch: 2,
    heads: 3,
    queries: 5,
    keys: 7,
    d: 4,
    dv: 6,
    causal: false,
    hide: Hide::Nothing,
};

/// Extents around packets and tiles, odd ones, ones, and more queries than keys and the reverse.
#[test]
fn agrees_with_plain_loops() {
    let times = [
        (1, 1),
        (1, 9),
        (9, 1),
        (17, 16),
        (TILE_QUERIES, TILE_QUERIES),
        (TILE_QUERIES + 1, 33),
        (70, 2 * TILE_QUERIES + 3),
    ];
    let features = [(1, 1), (4, 6), (32, 32), (5, 17)];
    for (n, (queries, keys)) in times.into_iter().enumerate() {
        for (m, (d, dv)) in features.into_iter().enumerate() {
            for causal in [false, true] {
                let hide = [Hide::Nothing, Hide::Keep, Hide::Bias][(n + m) % 3];
                let case = Case {
                    queries,
                    keys,
                    d,
                    dv,
                    causal,
                    hide,
                    ..PLAIN
                };
                case.check::<f64>(&case.data(7), 1e-13);
                case.check::<f32>(&case.data(8), 1e-5);
            }
        }
    }
}

#[test]
fn long_sequences_go_by_many_tiles() {
    for (causal, hide) in [(true, Hide::Nothing), (false, Hide::Keep)] {
        let case = Case {
            batch: 1,
            heads: 2,
            queries: 300,
            keys: 301,
            d: 8,
            dv: 8,
            causal,
            hide,
        };
        case.check::<f32>(&case.data(3), 1e-5);
        case.check::<f64>(&case.data(4), 1e-13);
    }
}

/// Memory is linear in the numbers of queries and keys.
#[test]
fn scratch_is_linear_in_the_keys() {
    let packets = |n: usize| {
        let case = Case {
            queries: n,
            keys: n,
            ..PLAIN
        };
        let view = |f| case.view(n, f);
        let spec = Spec {
            q: view(case.d),
            k: view(case.d),
            v: view(case.dv),
            mask: None,
            causal: true,
            scaled: true,
        };
        let views = [spec.q, spec.k, spec.v];
        let backward = Backward::<f32>::new(Level::detect(), &spec, &view(case.dv), &views);
        backward.scratch_packets()
    };
    assert!(packets(8192) <= 4 * packets(2048) + 1024);
    assert!(packets(8192) * retrograde_storage::PACKET_BYTES < 8 << 20);
}

#[test]
fn bits_do_not_depend_on_the_order_of_blocks_nor_on_levels_with_fma() {
    let case = Case {
        queries: 150,
        keys: 150,
        causal: true,
        d: 32,
        dv: 32,
        ..PLAIN
    };
    let data = case.data::<f32>(11);
    let best = Level::detect();
    let forwards = case.found(&data, best, |blocks| blocks);
    let backwards = case.found(&data, best, |mut blocks| {
        blocks.reverse();
        blocks
    });
    assert_eq!(forwards, backwards);
    for level in Level::available()
        .into_iter()
        .filter(|&l| l > Level::Baseline)
    {
        assert_eq!(
            case.found(&data, level, |blocks| blocks),
            forwards,
            "{level}"
        );
    }
}

/// What a query does not see is absent: infinities and NaN in it change no bit.
#[test]
fn masked_keys_contribute_nothing_whatever_they_hold() {
    for bad in [f64::INFINITY, f64::NAN] {
        for hide in [Hide::Nothing, Hide::Keep, Hide::Bias] {
            let case = Case {
                queries: 6,
                keys: 6,
                causal: true,
                hide,
                ..PLAIN
            };
            let mut data = case.data::<f64>(21);
            // The last key of the first head is seen by nobody.
            for i in 0..6 {
                data.keep[case.pair(0, 0, i, 5)] = 0;
                data.bias[case.pair(0, 0, i, 5)] = f64::NEG_INFINITY;
            }
            let last = if hide == Hide::Nothing { 5 } else { 6 };
            let clean = case.found(&data, Level::detect(), |blocks| blocks);
            let (at_k, at_v) = (case.at(6, 4, 0, 5, 0), case.at(6, 6, 0, 5, 0));
            data.k[at_k..at_k + 4].fill(bad);
            data.v[at_v..at_v + 6].fill(bad);
            let found = case.found(&data, Level::detect(), |blocks| blocks);
            let close = |a: f64, b: f64| (a - b).abs() < 1e-14;
            for i in 0..last {
                let (q, o) = (case.at(6, 4, 0, i, 0), case.at(6, 6, 0, i, 0));
                for c in 0..4 {
                    assert!(
                        close(found.grads[0][q + c], clean.grads[0][q + c]),
                        "{hide:?}"
                    );
                }
                for c in 0..6 {
                    assert!(close(found.out[o + c], clean.out[o + c]), "{hide:?}");
                }
            }
            if hide != Hide::Nothing {
                assert_eq!(found.grads[1][at_k..at_k + 4], [0.0; 4]);
                assert_eq!(found.grads[2][at_v..at_v + 6], [0.0; 6]);
            }
        }
    }
}

#[test]
fn a_query_that_sees_nothing_gives_zeros() {
    let case = Case {
        hide: Hide::Keep,
        ..PLAIN
    };
    let mut data = case.data::<f32>(5);
    for j in 0..case.keys {
        data.keep[case.pair(1, 2, 3, j)] = 0;
    }
    let found = case.found(&data, Level::detect(), |blocks| blocks);
    let (o, q) = (case.at(5, 6, 1, 3, 2), case.at(5, 4, 1, 3, 2));
    assert_eq!(found.out[o..o + 6], [0.0; 6]);
    assert_eq!(found.grads[0][q..q + 4], [0.0; 4]);
    case.check(&data, 1e-5);
}

/// As softmax has it: infinite scores share the weight, NaN spreads over its row alone.
#[test]
fn scores_that_are_not_finite() {
    let case = Case {
        batch: 1,
        heads: 1,
        queries: 2,
        keys: 3,
        d: 1,
        dv: 1,
        ..PLAIN
    };
    let mut data = case.data::<f64>(1);
    data.q = vec![1.0, f64::NAN];
    data.k = vec![f64::INFINITY, 1.0, f64::INFINITY];
    data.v = vec![2.0, 100.0, 4.0];
    let found = case.found(&data, Level::detect(), |blocks| blocks);
    assert_eq!(found.out[0], 3.0);
    assert!(found.out[1].is_nan());
}
