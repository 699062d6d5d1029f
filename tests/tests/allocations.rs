//! A steady state allocates nothing: the whole process is counted, on every thread.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use retrograde::prelude::*;
use retrograde::{CustomOp, Options, Order, Update, UpdateRule};

/// The system's allocator, counting.
struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on unchanged to the system's allocator; counting has no other effect.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, p: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(p, layout) }
    }
    unsafe fn realloc(&self, p: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(p, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Tests of one process run at once, and what one allocates the other would count.
static ALONE: Mutex<()> = Mutex::new(());

/// Trials at most.
const TRIALS: usize = 300;

/// Allocations of `runs` runs after a warm-up: the fewest of many trials, because the test harness's own threads may
/// allocate meanwhile, and so does calling a helper thread that the system has put aside (the pool boxes the call). What
/// a run itself does, every trial does.
fn steady(p: &Program, inputs: &[&Array<f32>], runs: usize) -> Result<usize> {
    let mut ws = p.workspace()?;
    steadily(runs, || p.run(&mut ws, inputs).map(drop))
}

/// As [`steady`], of anything.
fn steadily(runs: usize, mut run: impl FnMut() -> Result<()>) -> Result<usize> {
    for _ in 0..20 {
        run()?;
    }
    let mut fewest = usize::MAX;
    for _ in 0..TRIALS {
        let before = COUNT.load(Ordering::Relaxed);
        for _ in 0..runs {
            run()?;
        }
        fewest = fewest.min(COUNT.load(Ordering::Relaxed) - before);
        if fewest == 0 {
            break;
        }
    }
    Ok(fewest)
}

#[test]
fn counting_counts() {
    let _alone = ALONE.lock();
    let before = COUNT.load(Ordering::Relaxed);
    std::hint::black_box(vec![1u8; 100]);
    assert!(COUNT.load(Ordering::Relaxed) > before);
}

#[test]
fn small_program() -> Result<()> {
    let _alone = ALONE.lock();
    let x = Array::linspace(-1.0, 1.0, 8);
    let p = Program::record(&[x.clone()], |_, [x]| (x.tanh() * x).sum())?.value_and_grad()?;
    assert_eq!(steady(&p, &[&x], 20)?, 0);
    Ok(())
}

/// Groups of several blocks, reductions, rows, products, copies.
fn large(threads: usize) -> Result<usize> {
    let _alone = ALONE.lock();
    let x = Array::from_shape_fn([400, 300], |i| ((i[0] * 7 + i[1]) as f32 * 0.1).sin());
    let w = Array::from_shape_fn([300, 64], |i| ((i[0] + 5 * i[1]) as f32 * 0.3).cos());
    let options = Options {
        threads,
        ..Options::default()
    };
    let inputs = [x, w];
    let p = Program::try_record_with(&inputs, options, |_, [x, w]| {
        let hidden = (x.t().flip(0).t().matmul(w) + x.sum_over(keep(1))).relu();
        Ok((hidden.log_softmax(1).square().sum() + x.exp().mean()).into())
    })?;
    // On one thread nothing else allocates; two need a run without an interruption.
    let runs = if threads == 1 { 20 } else { 1 };
    steady(&p.value_and_grad()?, &[&inputs[0], &inputs[1]], runs)
}

/// A loop over tensors, with checkpoints, around one over scalars.
#[test]
fn loops() -> Result<()> {
    let _alone = ALONE.lock();
    let xs = Array::from_shape_fn([30, 40], |i| ((i[0] + 3 * i[1]) as f32 * 0.2).sin());
    let w = Array::from_shape_fn([40, 40], |i| ((i[0] + 5 * i[1]) as f32 * 0.3).cos() * 0.1);
    let p = Program::record(&[xs.clone(), w.clone()], |t, [xs, w]| {
        let options = ScanOptions::new().checkpoint_every(7);
        let zero = xs.narrow(0, 0, 1).squeeze(0) * 0.0;
        let (h, sums) = t.scan_with(options, zero, xs, |h, x| {
            let h = (w.matmul(h) + x).tanh();
            let inner = ScanOptions::new().length(5);
            let (s, ()) = t.scan_with(inner, h.mean(), (), |s, ()| (s * 0.5 + s.sin(), ()));
            (h, s)
        });
        h.sum() + sums.sum()
    })?;
    let options = Options {
        threads: 1,
        ..Options::default()
    };
    let p = p.value_and_grad()?.with_options(options)?;
    assert_eq!(steady(&p, &[&xs, &w], 5)?, 0);
    Ok(())
}

#[test]
fn large_program_on_one_thread() -> Result<()> {
    assert_eq!(large(1)?, 0);
    Ok(())
}

#[test]
fn large_program_on_two_threads() -> Result<()> {
    assert_eq!(large(2)?, 0);
    Ok(())
}

#[test]
fn sparse_jacobian() -> Result<()> {
    let _alone = ALONE.lock();
    let x = Array::linspace(-1.0, 1.0, 100);
    let options = Options {
        threads: 1,
        ..Options::default()
    };
    let f = Program::try_record_with(&[x.clone()], options, |_, [x]| {
        Ok((x.slice(0, 1..) * x.slice(0, ..-1)).sin().into())
    })?;
    let jacobian = f.sparse_jacobian(0)?;
    let (mut ws, mut matrix) = (jacobian.workspace::<f32>()?, jacobian.matrix()?);
    let fewest = steadily(5, || jacobian.run_into(&mut ws, [&x], &mut matrix))?;
    assert_eq!(fewest, 0);
    Ok(())
}

/// Paths that were met before, in turn: guards are walked and workspaces found without allocation.
#[test]
fn dynamic_program_on_known_paths() -> Result<()> {
    let _alone = ALONE.lock();
    let f = Program::record_dynamic(&[Array::scalar(1.0f32)], |_, [x]| {
        let mut b = x;
        while b.abs().lt(100.0).item()? {
            b = b * 3.0;
        }
        Ok(if b.gt(0.0).item()? { b } else { b * b }.into())
    })?
    .value_and_grad()?;
    let inputs = [1.0f32, -50.0, 7.0, 500.0, 7.0, -0.1].map(Array::scalar);
    let mut ws = f.workspace();
    let mut round = || -> Result<usize> {
        let before = COUNT.load(Ordering::Relaxed);
        for x in &inputs {
            f.run(&mut ws, [x])?;
        }
        Ok(COUNT.load(Ordering::Relaxed) - before)
    };
    assert!(round()? > 0, "paths are recorded");
    let steady = (0..5).map(|_| round()).collect::<Result<Vec<_>>>()?;
    assert_eq!(steady.into_iter().min(), Some(0));
    Ok(())
}

/// A batch whose samples take several paths, a shared input, a custom operation called for each sample; tangents of a
/// linearised program.
#[test]
fn batches() -> Result<()> {
    let _alone = ALONE.lock();
    let op = CustomOp::<f32>::new("third_power", |inputs, out| {
        let pairs = out.iter_mut().zip(inputs[0].iter());
        pairs.for_each(|(y, x)| *y = x * x * x);
    });
    let f = Program::record_dynamic(
        &[Array::scalar(1.0f32), Array::scalar(2.0)],
        move |_, [x, a]| {
            let mut b = op.apply([x]).detach() + x;
            while b.abs().lt(100.0).item()? {
                b = b * (a + 1.0);
            }
            Ok(if b.gt(0.0).item()? { b } else { b * b }.into())
        },
    )?;
    let batch = f.value_and_grad()?.vmap(&[Some(0), None])?;
    let (x, a) = (
        Array::from([1.0f32, -50.0, 7.0, 500.0, 7.0, -0.1]),
        Array::scalar(2.0f32),
    );
    let mut ws = batch.workspace();
    assert_eq!(fewest(|| batch.run(&mut ws, [&x, &a]).map(|_| ()))?, 0);
    let curve = Program::record(&[x.clone()], |_, [x]| x.sin().cumsum(0))?;
    let mut at = curve.linearize()?.at([&x])?;
    assert_eq!(fewest(|| at.push([&x]).map(|_| ()))?, 0);
    assert_eq!(fewest(|| at.move_to([&x]))?, 0);
    Ok(())
}

/// Allocations of one call after a warm-up, the fewest of many: see [`steady`].
fn fewest(mut call: impl FnMut() -> Result<()>) -> Result<usize> {
    for _ in 0..5 {
        call()?;
    }
    let mut fewest = usize::MAX;
    for _ in 0..TRIALS {
        let before = COUNT.load(Ordering::Relaxed);
        call()?;
        fewest = fewest.min(COUNT.load(Ordering::Relaxed) - before);
        if fewest == 0 {
            break;
        }
    }
    Ok(fewest)
}

/// Descent with a moment.
struct Descent;

impl UpdateRule<f32> for Descent {
    fn columns(&self) -> usize {
        1
    }
    fn identity(&self) -> u64 {
        1
    }
    fn scalars(&self, _: u32, to: &mut Vec<f64>) {
        to.extend([0.01, 0.9]);
    }
    fn update<'t>(&self, of: Update<'_, 't, f32>) -> (Var<'t>, Vec<Var<'t>>) {
        let moment = of.state[0] * of.scalars[1] + of.grad;
        (of.value - of.scalars[0] * moment, vec![moment])
    }
}

/// A network's parameters, and data.
struct Net {
    params: Params,
    rows: [Param; 4],
    x: Array<f32>,
    labels: Array<u32>,
}

impl Net {
    fn new() -> Self {
        let mut params = Params::new();
        let random = |dims: [usize; 2]| {
            Array::from_shape_fn(dims, |i| ((i[0] * 7 + i[1] * 3) as f32).sin() / 4.0)
        };
        let rows = [
            params.insert("a.weight", random([20, 30])),
            params.insert("a.bias", Array::zeros([30])),
            params.insert("b.weight", random([30, 5])),
            params.insert("b.bias", Array::zeros([5])),
        ];
        Self {
            params,
            rows,
            x: random([64, 20]),
            labels: Array::from_shape_fn([64], |i| (i[0] % 5) as u32),
        }
    }

    /// Logits and loss.
    fn record<'t>(
        step: Rec<'t>,
        rows: [Param; 4],
        x: &'t Array<f32>,
        labels: &'t Array<u32>,
    ) -> [Var<'t>; 2] {
        let [wa, ba, wb, bb] = rows.map(|p| step.param::<f32>(p));
        let hidden = (step.input(x).matmul(wa) + ba).relu() * 0.7;
        let logits = hidden.matmul(wb) + bb;
        [logits, logits.cross_entropy(step.input(labels))]
    }
}

#[test]
fn fused_training_step() -> Result<()> {
    let _alone = ALONE.lock();
    let mut net = Net::new();
    let mut tape = Tape::new();
    let mut losses = Vec::with_capacity(1000);
    let count = fewest(|| {
        let step = tape.train(&mut net.params);
        let [_, loss] = Net::record(step, net.rows, &net.x, &net.labels);
        losses.push(loss.minimise_with(&Descent)?);
        Ok(())
    })?;
    assert_eq!(count, 0);
    assert!(losses.last() < losses.first(), "{losses:?}");
    Ok(())
}

/// Two allocations are the gradients that are handed out, their column and its ranges; one more is an array read.
#[test]
fn recorded_backward() -> Result<()> {
    let _alone = ALONE.lock();
    let net = Net::new();
    let mut tape = Tape::new();
    let count = fewest(|| {
        let step = tape.step(&net.params);
        let [logits, loss] = Net::record(step, net.rows, &net.x, &net.labels);
        let grads = loss.backward()?;
        assert!(grads.loss() > 0.0 && grads.slice(net.rows[1]).is_some());
        std::hint::black_box(logits);
        Ok(())
    })?;
    let extra = fewest(|| {
        let step = tape.step(&net.params);
        let [logits, loss] = Net::record(step, net.rows, &net.x, &net.labels);
        let grads = loss.backward()?;
        std::hint::black_box((logits.value()?, grads));
        Ok(())
    })?;
    assert_eq!((count, extra), (2, 3));
    Ok(())
}

/// Gradients of variables stay on the tape.
#[test]
fn backward_of_variables() -> Result<()> {
    let _alone = ALONE.lock();
    let (x, y) = (
        Array::linspace(-1.0, 1.0, 600),
        Array::linspace(0.5, 2.0, 600),
    );
    let mut tape = Tape::new();
    let count = fewest(|| {
        tape.reset();
        let rec = tape.rec();
        let (x, y) = (rec.variable(&x), rec.variable(&y));
        (x * y).sin().sum().backward()?;
        (x / y).sum().backward()?;
        Ok(())
    })?;
    assert_eq!(count, 0);
    Ok(())
}

/// Convolutions and pooling with their gradients: scratch and partial sums are planned, like everything.
#[test]
fn convolution_step() -> Result<()> {
    let _alone = ALONE.lock();
    let random = |dims: [usize; 4]| {
        Array::from_shape_fn(dims, |i| ((i[0] * 7 + i[2] * 3 + i[3]) as f32).sin() / 4.0)
    };
    let mut params = Params::new();
    let weights = [
        params.insert("a", random([6, 1, 5, 5])),
        params.insert("b", random([16, 6, 5, 5])),
    ];
    let x = random([8, 1, 28, 28]);
    let mut tape = Tape::new();
    let mut losses = Vec::with_capacity(1000);
    let count = fewest(|| {
        let step = tape.train(&mut params);
        let [a, b] = weights.map(|w| step.param::<f32>(w));
        let y = step.input(&x).conv2d(a, ConvOptions::default().padding(2));
        let y = y.relu().max_pool2d(PoolOptions::kernel(2));
        let y = y.conv2d(b, ConvOptions::default().stride(2));
        let loss = y.avg_pool2d(PoolOptions::kernel(5)).square().mean();
        losses.push(loss.minimise_with(&Descent)?);
        Ok(())
    })?;
    assert_eq!(count, 0);
    assert!(losses.last() < losses.first(), "{losses:?}");
    Ok(())
}

/// Factorisations work in scratch, sorting in place, a custom operation on slices.
#[test]
fn linear_algebra_sorting_and_custom_operations() -> Result<()> {
    let _alone = ALONE.lock();
    let copy = CustomOp::<f32>::new("copy", |inputs, out| {
        out.copy_from_slice(inputs[0].as_slice());
    })
    .derivative(|_, _, g| vec![g]);
    // One block of a factorisation, part of one, several and a part.
    for (batch, n) in [(20, 3), (3, 40), (2, 32), (1, 100), (1, 200)] {
        let x = Array::from_shape_fn([batch, n, n], |i| {
            ((i[0] + 3 * i[1] + 7 * i[2]) % 11) as f32
        });
        let p = Program::record(&[x.clone()], |_, [x]| {
            let a = x.matmul(x.t()) + x.rec().eye(n) * 10.0;
            let solved = a.cholesky().matmul(a.solve(copy.apply([x])));
            let sorted = (solved.sort(1, Order::Ascending) * a.logdet().sum()).sum();
            if n > 100 {
                return sorted;
            }
            let ((w, v), (u, s, vh), (q, r)) = (a.eigh(), x.svd(), a.qr());
            sorted + (v * w.unsqueeze(1) + u * s.unsqueeze(1) + vh + q.matmul(r)).sum()
        })?;
        for threads in [1, 2] {
            let options = Options {
                threads,
                ..Options::default()
            };
            let p = p.value_and_grad()?.with_options(options)?;
            assert_eq!(
                steady(&p, &[&x], 3)?,
                0,
                "{batch} of {n}, {threads} threads"
            );
        }
    }
    Ok(())
}
