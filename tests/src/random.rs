//! Random programs: a few numbers that decide shapes, operators and operands.
//!
//! What a step does follows from its numbers and the shapes so far alone, so a description builds the same program on a
//! tape and in a recording, in either float type, and shrinks by dropping steps.

use proptest::prelude::*;
use retrograde::prelude::*;

/// A program.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Which of [`SHAPES`] the inputs are made of.
    pub shape: usize,
    /// Seed of the inputs' elements.
    pub data: u64,
    /// Operator, two operands, a parameter.
    pub steps: Vec<[u8; 4]>,
    /// No jumps and no kinks: rounding moves results a little, never far.
    pub smooth: bool,
    /// Whether products may be drawn.
    pub products: bool,
}

/// Extents that inputs are made of: scalars, ones, zeros, part packets, more than a tile, more than a block.
const SHAPES: &[&[usize]] = &[
    &[],
    &[1],
    &[7],
    &[17],
    &[33],
    &[4, 5],
    &[1, 6],
    &[6, 1],
    &[3, 1, 5],
    &[2, 3, 4],
    &[0, 3],
    &[2, 1, 3, 2],
    &[40, 26],
    &[23, 23],
    &[1030],
    &[2, 2, 9, 5],
    &[300, 257],
];

/// No value grows larger than this.
const LARGEST: usize = 90_000;

/// Recipes of up to `steps` steps.
pub fn recipes(steps: usize, smooth: bool, products: bool) -> impl Strategy<Value = Recipe> {
    let steps = prop::collection::vec(any::<[u8; 4]>(), 1..=steps);
    (0..SHAPES.len(), any::<u64>(), steps).prop_map(move |(shape, data, steps)| Recipe {
        shape,
        data,
        steps,
        smooth,
        products,
    })
}

/// How many inputs a recipe has.
pub const INPUTS: usize = 3;

impl Recipe {
    /// The inputs: the shape itself, a part of it that broadcasts, and its transpose.
    pub fn inputs<T: Float>(&self) -> [Array<T>; INPUTS] {
        let dims = SHAPES[self.shape].to_vec();
        let mut part: Vec<usize> = dims.get((self.data % 2) as usize..).unwrap_or(&[]).to_vec();
        if let Some(d) = part.get_mut((self.data / 2 % 3) as usize) {
            *d = 1;
        }
        let turned: Vec<usize> = dims.iter().rev().copied().collect();
        let mut state = self.data | 1;
        [dims, part, turned].map(|shape| {
            Array::from_shape_fn(shape, |_| {
                // SplitMix64: independent of the library's own generator.
                state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
                let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
                // Coarse enough that both float types hold it.
                let unit = ((z ^ (z >> 31)) >> 44) as f64 / f64::from(1 << 20);
                T::of(3.0 * unit - 1.5)
            })
        })
    }

    /// Every value computed, the last ones last; and a scalar that depends on several of them.
    pub fn build<'t, T: Float>(
        &self,
        inputs: [Var<'t, T>; INPUTS],
    ) -> Result<(Var<'t, T>, Vec<Var<'t, T>>)> {
        let mut pool = inputs.to_vec();
        for &step in &self.steps {
            let x = pool[usize::from(step[1]) % pool.len()];
            let y = self.partner(&pool, x, step[2])?;
            let made = self.step(x, y, step)?;
            if let Some(v) = made
                && v.len()? <= LARGEST
            {
                pool.push(v);
            }
        }
        let mut loss = inputs[0].rec().scalar(T::of(0.0));
        for (i, &v) in pool.iter().enumerate().rev().take(4) {
            let weighted = if i % 2 == 0 { v * v } else { v.sin() };
            loss += weighted.sum() * T::of(0.01 + i as f64 * 0.003);
        }
        Ok((loss, pool))
    }

    /// A value that `x` can be combined with.
    fn partner<'t, T: Float>(
        &self,
        pool: &[Var<'t, T>],
        x: Var<'t, T>,
        choice: u8,
    ) -> Result<Var<'t, T>> {
        let shape = x.shape()?;
        let mut fitting = Vec::new();
        for &v in pool {
            let other = v.shape()?;
            let fits = shape
                .iter()
                .rev()
                .zip(other.iter().rev())
                .all(|(&a, &b)| a == b || a == 1 || b == 1);
            let size: usize = (0..shape.len().max(other.len()))
                .map(|i| {
                    let at = |s: &[usize]| s.len().checked_sub(i + 1).map_or(1, |i| s[i]);
                    if at(&shape) == 1 {
                        at(&other)
                    } else {
                        at(&shape)
                    }
                })
                .product();
            if fits && size <= LARGEST {
                fitting.push(v);
            }
        }
        Ok(fitting[usize::from(choice) % fitting.len()])
    }

    fn step<'t, T: Float>(
        &self,
        x: Var<'t, T>,
        y: Var<'t, T>,
        [op, _, _, k]: [u8; 4],
    ) -> Result<Option<Var<'t, T>>> {
        let shape = x.shape()?;
        let (rank, k) = (shape.len(), usize::from(k));
        let axis = if rank == 0 { 0 } else { (k % rank) as isize };
        // Literals that are part of a program's structure, which folding sees, and others.
        let number = T::of(if k % 3 == 0 {
            [0.0, 1.0, -1.0, 2.0, 0.5][k % 5]
        } else {
            0.25 * (k % 16) as f64 - 1.7
        });
        let has_axis = rank > 0;
        let extent = shape.get(axis as usize).copied().unwrap_or(0);
        Ok(Some(match op % 61 {
            0..=3 => x + y,
            4..=5 => x - y,
            6..=9 => x * y,
            10 => x / (y * y + T::of(0.5)),
            11 => x + number,
            12 => (x.rec().scalar(T::of(0.5)) + number) * x,
            13 => x.tanh(),
            14 => x.sigmoid(),
            15 => (-(x * x)).exp(),
            16 => x.sin() * y.cos(),
            17 => (x * x + T::of(0.25)).sqrt(),
            18 => (x.square() + T::of(1.0)).ln(),
            19 => match k % 12 {
                0..=2 => x.erf(),
                3 => x.erfc(),
                4 => x.atan2(y.square() + T::of(0.5)),
                5 => x.hypot(y.square() + T::of(0.5)),
                6 => x.asinh() * y.atan(),
                7 => x.sinc(),
                8 => (x.square() + T::of(0.25)).cbrt(),
                9 => (x.square() + T::of(1.0)).log2(),
                10 => x.tanh().sinh() + y.tanh().exp2(),
                _ => (x.tanh() + T::of(2.0)).lgamma(),
            },
            20 => x.softplus(),
            21 => x.normal_cdf(),
            22 => x.gelu(),
            23 => x.square().log1p().rsqrt().minimum(T::of(2.0)),
            24 => x.tanh().powi((k % 5) as i32),
            25 => x.tanh().fma(y.tanh(), x),
            26 if !self.smooth => x.relu(),
            27 if !self.smooth => x.maximum(y),
            28 if !self.smooth => x.gt(y).select(x, y),
            29 if !self.smooth => x.clamp(T::of(-0.5), T::of(0.75)).abs(),
            30 if !self.smooth => x.floor() + x.fract(),
            31 => x.sum(),
            32 if has_axis => x.sum_over(axis),
            33 if has_axis => x.mean_over(keep(axis)),
            34 if has_axis && extent > 0 && !self.smooth => x.max_over(axis),
            35 if has_axis && extent > 0 => x.tanh().prod_over(keep(axis)),
            36 if has_axis && extent > 0 => x.logsumexp_over(axis),
            37 if has_axis && extent > 0 => x.softmax(axis),
            38 if has_axis && extent > 0 => x.log_softmax(axis),
            39 if rank > 1 => x.transpose(axis, (axis + 1) % rank as isize),
            40 => x.flatten(),
            41 if has_axis && extent > 1 => x.narrow(axis, 1, extent - 1),
            42 if has_axis && extent > 2 => x.slice_step(axis, .., -2),
            43 if has_axis => x.flip(axis),
            44 if rank < 5 => x.unsqueeze(axis),
            45 if rank < 5 => {
                let mut wide = vec![2 + k % 3];
                wide.extend(&shape);
                if wide.iter().product::<usize>() > LARGEST {
                    return Ok(None);
                }
                x.expand(wide)
            }
            46 if has_axis => x.rec().concat(&[x, x.tanh()], axis),
            47 if has_axis && extent > 0 => x.roll(1 + k as isize % 3, axis),
            48..=49 if self.products && rank >= 2 => x.matmul(x.t()) * T::of(0.125),
            50 if self.products && rank == 1 => x.dot(x),
            51 if self.products && rank == 1 && extent <= 260 => x.outer(x),
            52 if has_axis => x.cumsum(axis),
            53 if has_axis => x.tanh().cumprod(axis),
            54 if has_axis => x.logcumsumexp(axis),
            55 if has_axis && !self.smooth => x.cummax(axis),
            56 if has_axis && extent > 0 => {
                let index = [k % extent, extent - 1, k / 3 % extent].map(|i| i as i64);
                let index =
                    index.map(|i| x.rec().scalar(i - extent as i64 * i64::from(k % 2 == 0)));
                x.index_select(axis, x.rec().stack(&index, 0))
            }
            57..=58 if self.products && rank == 4 && x.len()? > 0 => {
                // Its own corner as weight: as many outputs as channels, or one a group.
                let groups = if k % 2 == 0 { 1 } else { shape[1] };
                let taps = [2.min(shape[2]), 2.min(shape[3])];
                let weight = x
                    .narrow(0, 0, 1)
                    .narrow(2, 0, taps[0])
                    .narrow(3, 0, taps[1])
                    .tanh();
                let weight = if groups == 1 {
                    weight
                } else {
                    weight.transpose(0, 1)
                };
                let options = ConvOptions::default()
                    .stride([1 + k % 2, 1 + k % 3])
                    .padding([k % 3, k / 3 % 2])
                    .groups(groups);
                x.conv2d(weight, options)
            }
            59 if rank == 4 && x.len()? > 0 && !self.smooth => {
                x.max_pool2d(PoolOptions::kernel([1, 2.min(shape[3])]).stride(1 + k % 2))
            }
            60 if rank == 4 && x.len()? > 0 => {
                let kernel = [2.min(shape[2]), 2.min(shape[3])];
                let padding = [k % 2, k / 2 % 2];
                let padding = [padding[0].min(kernel[0] / 2), padding[1].min(kernel[1] / 2)];
                let options = PoolOptions::kernel(kernel)
                    .stride(1 + k % 3)
                    .padding(padding);
                x.avg_pool2d(options.count_include_pad(k % 5 > 0))
            }
            _ => return Ok(None),
        }))
    }
}
