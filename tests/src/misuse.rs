//! What must not compile, as documentation tests: each example that fails stands beside a twin that compiles and differs
//! in the one thing that is wrong, so that nothing else can be the reason.
//!
//! The named error codes are checked by rustdoc on nightly only (`RUSTC_BOOTSTRAP=1` makes a stable one check them);
//! a stable rustdoc checks that the example fails, and the twins do the rest. No compiler's wording is pinned, so that
//! any toolchain from the stated minimum on passes.
//!
//! # A variable does not outlive its tape
//! ```
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let x = tape.variable(Array::arange(3));
//! drop(x.shape());
//! drop(tape);
//! ```
//! ```compile_fail,E0505
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let x = tape.variable(Array::arange(3));
//! drop(tape);
//! drop(x.shape());
//! ```
//! Nor the scope of its tape:
//! ```compile_fail,E0597
//! use retrograde::prelude::*;
//! let x = {
//!     let tape = Tape::new();
//!     tape.variable(Array::arange(3))
//! };
//! drop(x.shape());
//! ```
//! Nor the closure that a program is recorded by:
//! ```
//! use retrograde::prelude::*;
//! let kept = std::cell::RefCell::new(None);
//! let x = [Array::<f64>::zeros([2])];
//! Program::record(&x, |_, [x]| {
//!     *kept.borrow_mut() = Some(x.shape());
//!     x.sum()
//! })?;
//! # Ok::<(), Error>(())
//! ```
//! ```compile_fail,E0521
//! use retrograde::prelude::*;
//! let kept = std::cell::RefCell::new(None);
//! let x = [Array::<f64>::zeros([2])];
//! Program::record(&x, |_, [x]| {
//!     *kept.borrow_mut() = Some(x);
//!     x.sum()
//! })?;
//! # Ok::<(), Error>(())
//! ```
//!
//! # Nor survives the next step
//! ```
//! use retrograde::prelude::*;
//! let params = Params::<f32>::new();
//! let mut tape = Tape::new();
//! let x = tape.step(&params).scalar(1.0f32);
//! drop(x.item());
//! let next = tape.step(&params);
//! drop(next.scalar(1.0f32).item());
//! ```
//! ```compile_fail,E0499
//! use retrograde::prelude::*;
//! let params = Params::<f32>::new();
//! let mut tape = Tape::new();
//! let x = tape.step(&params).scalar(1.0f32);
//! let next = tape.step(&params);
//! drop(x.item());
//! drop(next.scalar(1.0f32).item());
//! ```
//! Nor a reset:
//! ```compile_fail,E0502
//! use retrograde::prelude::*;
//! let mut tape = Tape::new();
//! let x = tape.variable(Array::arange(3));
//! tape.reset();
//! drop(x.item());
//! ```
//!
//! # Parameters are the training step's while it lives
//! ```
//! use retrograde::prelude::*;
//! let mut params = Params::<f32>::new();
//! let w = params.insert("w", Array::zeros([2]));
//! let mut tape = Tape::new();
//! let step = tape.train(&mut params);
//! drop(step.param::<f32>(w).sum().item());
//! params.set(w, &Array::ones([2]))?;
//! # Ok::<(), Error>(())
//! ```
//! ```compile_fail,E0499
//! use retrograde::prelude::*;
//! let mut params = Params::<f32>::new();
//! let w = params.insert("w", Array::zeros([2]));
//! let mut tape = Tape::new();
//! let step = tape.train(&mut params);
//! params.set(w, &Array::ones([2]))?;
//! drop(step.param::<f32>(w).sum().item());
//! # Ok::<(), Error>(())
//! ```
//!
//! # Variables are not ordered
//! A comparison gives a mask; an `if` needs its value read, which may fail.
//! ```
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let (x, y) = (tape.rec().scalar(1.0f32), tape.rec().scalar(2.0f32));
//! if x.lt(y).item()? {}
//! # Ok::<(), Error>(())
//! ```
//! ```compile_fail,E0369
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let (x, y) = (tape.rec().scalar(1.0f32), tape.rec().scalar(2.0f32));
//! if x < y {}
//! # Ok::<(), Error>(())
//! ```
//! ```compile_fail,E0369
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let (x, y) = (tape.rec().scalar(1.0f32), tape.rec().scalar(2.0f32));
//! if x == y {}
//! # Ok::<(), Error>(())
//! ```
//! ```compile_fail,E0308
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let (x, y) = (tape.rec().scalar(1.0f32), tape.rec().scalar(2.0f32));
//! if x.lt(y) {}
//! # Ok::<(), Error>(())
//! ```
//!
//! # One element type at a time
//! ```
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let (x, y) = (tape.rec().scalar(1.0f32), tape.rec().scalar(2.0f64));
//! let z: Var<'_, f64> = x.cast::<f64>() * y * 2.0;
//! let w: Var<'_, f32> = 2.0f32 * x;
//! ```
//! ```compile_fail,E0277
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let (x, y) = (tape.rec().scalar(1.0f32), tape.rec().scalar(2.0f64));
//! let z = x * y;
//! ```
//! ```compile_fail,E0277
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let x = tape.rec().scalar(1.0f32);
//! let w = 2.0f64 * x;
//! ```
//! ```compile_fail,E0277
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let x = tape.rec().scalar(1.0f32);
//! let w = x * 2.0f64;
//! ```
//! Integers have no gradient:
//! ```compile_fail,E0599
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let n = tape.rec().scalar(1u32);
//! drop(n.backward());
//! ```
//!
//! # Threads
//! A program is shared, a workspace is moved, a recording stays.
//! ```
//! use retrograde::prelude::*;
//! let x = Array::<f64>::zeros([2]);
//! let p = Program::record(&[x.clone()], |_, [x]| x.sum())?;
//! let mut ws = p.workspace()?;
//! std::thread::scope(|scope| {
//!     scope.spawn(|| drop(p.run(&mut ws, [&x])));
//! });
//! let tape = Tape::new();
//! std::thread::scope(|scope| {
//!     scope.spawn(move || tape.len());
//! });
//! # Ok::<(), Error>(())
//! ```
//! ```compile_fail,E0277
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! std::thread::scope(|scope| {
//!     scope.spawn(|| tape.len());
//! });
//! ```
//! ```compile_fail,E0277
//! use retrograde::prelude::*;
//! let tape = Tape::new();
//! let x = tape.variable(Array::arange(3));
//! std::thread::scope(|scope| {
//!     scope.spawn(move || drop(x.item()));
//! });
//! ```
//! One workspace serves one run at a time:
//! ```compile_fail,E0499
//! use retrograde::prelude::*;
//! let x = Array::<f64>::zeros([2]);
//! let p = Program::record(&[x.clone()], |_, [x]| x.sum())?;
//! let mut ws = p.workspace()?;
//! std::thread::scope(|scope| {
//!     scope.spawn(|| drop(p.run(&mut ws, [&x])));
//!     scope.spawn(|| drop(p.run(&mut ws, [&x])));
//! });
//! # Ok::<(), Error>(())
//! ```
//!
//! # Outputs are borrowed from their workspace
//! ```
//! use retrograde::prelude::*;
//! let x = Array::<f64>::zeros([2]);
//! let p = Program::record(&[x.clone()], |_, [x]| x.exp())?;
//! let mut ws = p.workspace()?;
//! let first = p.run(&mut ws, [&x])?;
//! assert_eq!(first.slice::<f64>(0)?, [1.0, 1.0]);
//! let second = p.run(&mut ws, [&x])?;
//! # Ok::<(), Error>(())
//! ```
//! ```compile_fail,E0499
//! use retrograde::prelude::*;
//! let x = Array::<f64>::zeros([2]);
//! let p = Program::record(&[x.clone()], |_, [x]| x.exp())?;
//! let mut ws = p.workspace()?;
//! let first = p.run(&mut ws, [&x])?;
//! let second = p.run(&mut ws, [&x])?;
//! assert_eq!(first.slice::<f64>(0)?, [1.0, 1.0]);
//! # Ok::<(), Error>(())
//! ```
//! ```compile_fail,E0505
//! use retrograde::prelude::*;
//! let x = Array::<f64>::zeros([2]);
//! let p = Program::record(&[x.clone()], |_, [x]| x.exp())?;
//! let mut ws = p.workspace()?;
//! let first = p.run(&mut ws, [&x])?;
//! drop(ws);
//! assert_eq!(first.slice::<f64>(0)?, [1.0, 1.0]);
//! # Ok::<(), Error>(())
//! ```
