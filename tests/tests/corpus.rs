//! Every case of the corpus through every engine: the reference evaluator, all ways to compile and replay, threads, tiles,
//! SIMD levels, both precisions; derivatives by central differences. And every operation has a case.

use std::collections::BTreeSet;

use retrograde::prelude::*;
use retrograde::{GradCheck, Options};
use retrograde_ops::Level;
use retrograde_tests::bits::{first_difference_of_all, first_distance};
use retrograde_tests::corpus::{Build, Case, Given, INPUTS, View, families};
use retrograde_tests::explores;
use retrograde_tests::variants::variants;

/// A case on one set of inputs, seen in one way.
struct Sample<'a, T: Float> {
    build: Build<T>,
    view: View,
    set: &'a [Given],
    inputs: [Array<T>; INPUTS],
}

impl<'a, T: Float> Sample<'a, T> {
    fn new(build: Build<T>, view: View, set: &'a [Given]) -> Self {
        Self::numbered(build, view, set, 0)
    }

    /// As [`new`](Self::new), with other inputs for every number.
    fn numbered(build: Build<T>, view: View, set: &'a [Given], number: usize) -> Self {
        let mut k = 1000.0 * number as f64;
        let inputs = std::array::from_fn(|i| {
            let Some(Given {
                dims,
                range: (low, high),
            }) = set.get(i)
            else {
                return Array::scalar(T::of(0.0));
            };
            Array::from_shape_fn(view.stored(dims), |_| {
                k += 1.0;
                // Spread evenly, in no order; coarse enough that both float types hold it.
                let unit = (k * 0.618_033_988_749_895_f64).fract();
                T::of(f64::from((low + (high - low) * unit) as f32))
            })
        });
        Self {
            build,
            view,
            set,
            inputs,
        }
    }

    /// The outputs, of handles on the stored inputs.
    fn outputs<'t>(&self, stored: [Var<'t, T>; INPUTS]) -> Vec<Var<'t, T>> {
        let mut seen = stored;
        for (x, given) in seen.iter_mut().zip(self.set) {
            *x = self.view.of(*x, &given.dims);
        }
        (self.build)(&seen)
    }

    /// Outputs weighted and added up: no two elements alike.
    fn loss<'t>(&self, stored: [Var<'t, T>; INPUTS]) -> Result<Var<'t, T>> {
        let mut loss = stored[0].rec().scalar(T::of(0.0));
        for (i, out) in self.outputs(stored).into_iter().enumerate() {
            // Computed in double precision in both, so that they are the same numbers.
            let phase = out.rec().arange::<f64>(out.len()?) * 0.37 + (1.0 + i as f64);
            let weight = phase.sin().cast::<T>();
            loss += (out.flatten() * weight).sum();
        }
        Ok(loss)
    }

    fn values(&self) -> Result<Program> {
        Program::try_record(&self.inputs, |_, v| Ok(self.outputs(v).into()))
    }

    fn gradient(&self) -> Result<Program> {
        Program::try_record(&self.inputs, |_, v| Ok(self.loss(v)?.into()))?.value_and_grad()
    }

    /// Two runs in one workspace, which must agree.
    fn run(&self, p: &Program) -> Result<Vec<Array<T>>, String> {
        let run = |ws: &mut Workspace| -> Result<Vec<Array<T>>> {
            let out = p.run(ws, self.inputs.each_ref())?;
            (0..out.len()).map(|i| out.array(i)).collect()
        };
        let both = p
            .workspace()
            .and_then(|mut ws| Ok((run(&mut ws)?, run(&mut ws)?)));
        let (first, second) = both.map_err(|e| e.to_string())?;
        match first_difference_of_all(&first, &second) {
            Some(difference) => Err(format!("replayed: {difference}")),
            None => Ok(first),
        }
    }
}

/// What is run, and how much of it: everything if asked for, else what differs most.
struct Engines {
    variants: Vec<(&'static str, Options)>,
    wide: Vec<(&'static str, Options)>,
}

impl Engines {
    fn new() -> Self {
        let at = |level: Level| {
            let options = Options {
                level,
                ..Options::default()
            };
            (level.name(), options)
        };
        let levels = Level::available().into_iter();
        Self {
            variants: variants(),
            wide: levels.filter(|&l| l > Level::Baseline).map(at).collect(),
        }
    }

    /// The variants that sample number `n` is run with.
    fn of(&self, n: usize) -> Vec<&(&'static str, Options)> {
        let all = self.variants.iter().chain(&self.wide);
        let turn = |(i, _): &(usize, _)| explores() || i % 3 == n % 3;
        all.enumerate().filter(turn).map(|(_, v)| v).collect()
    }
}

/// Values and gradients of a sample, the same bits however compiled and run.
fn same_bits<T: Float>(
    sample: &Sample<'_, T>,
    engines: &Engines,
    n: usize,
) -> Result<[Vec<Array<T>>; 2], String> {
    let record = || -> Result<[Program; 2]> { Ok([sample.values()?, sample.gradient()?]) };
    let programs = record().map_err(|e| e.to_string())?;
    let again = record().map_err(|e| e.to_string())?;
    let mut results = [Vec::new(), Vec::new()];
    for ((p, again), result) in programs.iter().zip(&again).zip(&mut results) {
        let expected = sample.run(p)?;
        let compare =
            |name: &str, found: Vec<Array<T>>| match first_difference_of_all(&expected, &found) {
                Some(difference) => Err(format!("{name}: {difference}\n{}", p.listing())),
                None => Ok(()),
            };
        compare("recorded anew", sample.run(again)?)?;
        for (name, options) in engines.of(n) {
            let variant = p.with_options(*options).map_err(|e| e.to_string())?;
            let found = sample.run(&variant).map_err(|e| format!("{name}: {e}"))?;
            compare(name, found)?;
        }
        *result = expected;
    }
    Ok(results)
}

/// The lowest level is near, and so are tapes and the reference evaluator.
fn near<T: Float>(
    sample: &Sample<'_, T>,
    [values, gradient]: &[Vec<Array<T>>; 2],
    tolerance: f64,
) -> Result<(), String> {
    let text = |e: Error| e.to_string();
    let low = Options {
        level: Level::Baseline,
        ..Options::default()
    };
    let p = sample
        .gradient()
        .and_then(|p| p.with_options(low))
        .map_err(text)?;
    let found = sample.run(&p)?;
    if let Some(distance) = first_distance(gradient, &found, tolerance) {
        return Err(format!("baseline: {distance}"));
    }
    let tape = Tape::new();
    let stored = sample.inputs.each_ref().map(|x| tape.variable(x.clone()));
    let outputs = sample.outputs(stored);
    let loss = sample.loss(stored).map_err(text)?;
    let recorded: Vec<_> = outputs
        .into_iter()
        .chain([loss])
        .chain(loss.grad_of(stored))
        .collect();
    let Some(reference) = retrograde::reference::on_tape(&recorded) else {
        return Err("the reference has no value".to_owned());
    };
    let expected: Vec<_> = values.iter().chain(gradient).collect();
    for (i, (data, expected)) in reference.into_iter().zip(expected).enumerate() {
        let data = data.into_iter().map(T::of).collect();
        let data = Array::from_vec(data, expected.shape()).map_err(|e| e.to_string())?;
        let (reference, expected) = ([data], [expected.clone()]);
        if let Some(distance) = first_distance(&reference, &expected, tolerance) {
            return Err(format!("reference of {i}: {distance}"));
        }
    }
    Ok(())
}

fn derivatives(sample: &Sample<'_, f64>) -> Result<()> {
    let check = GradCheck {
        absolute: 1e-6,
        relative: 1e-5,
        ..GradCheck::default()
    };
    check.check(&sample.values()?, sample.inputs.each_ref())?;
    let loss = Program::try_record(&sample.inputs, |_, v| Ok(sample.loss(v)?.into()))?;
    check.check2(&loss, sample.inputs.each_ref())
}

/// One sample through everything.
fn check(
    case: &Case,
    set: &[Given],
    view: View,
    engines: &Engines,
    n: usize,
) -> Result<(), String> {
    let double = Sample::new(case.double, view, set);
    let found = same_bits(&double, engines, n)?;
    near(&double, &found, 1e-10)?;
    let single = Sample::new(case.single, view, set);
    let halves = same_bits(&single, engines, n).map_err(|e| format!("f32: {e}"))?;
    if case.single_tolerance > 0.0 {
        for (wide, half) in found.iter().zip(&halves) {
            let half: Vec<Array<f64>> = half.iter().map(Array::cast).collect();
            if let Some(distance) = first_distance(wide, &half, case.single_tolerance) {
                return Err(format!("f32 and f64: {distance}"));
            }
        }
    }
    if case.smooth && set.iter().all(|g| !g.dims.contains(&0)) {
        derivatives(&double).map_err(|e| e.to_string())?;
    }
    Ok(())
}

fn family(name: &str) {
    let engines = Engines::new();
    let mut wrong = Vec::new();
    let mut n = 0;
    let cases = families()
        .into_iter()
        .find(|(family, _)| *family == name)
        .expect("a family")
        .1;
    for case in &cases {
        for (i, set) in case.sets.iter().enumerate() {
            let mut views = vec![View::Dense];
            if i == 0 || explores() {
                views.extend(
                    View::OTHERS
                        .iter()
                        .filter(|v| case.repeats || **v != View::Expanded),
                );
            }
            for view in views {
                n += 1;
                if let Err(what) = check(case, set, view, &engines, n) {
                    let dims: Vec<_> = set.iter().map(|g| &g.dims).collect();
                    wrong.push(format!("{} of {dims:?}, {view:?}: {what}", case.name));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {n} samples:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

macro_rules! families {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            family(stringify!($name));
        })*

        #[test]
        fn every_family_is_run() {
            let run: BTreeSet<&str> = [$(stringify!($name)),*].into();
            let all: BTreeSet<&str> = families().into_iter().map(|(name, _)| name).collect();
            assert_eq!(run, all);
        }
    };
}
families! { control elementwise images indexing integers linalg losses products reductions rows shapes }

/// Samples of a batch.
const SAMPLES: usize = 3;

/// Cases that a batch does not run as its samples one by one, and why.
const NOT_BY_SAMPLE: [(&str, &str); 0] = [];

/// A case as a function of a batch against the same samples one by one. Within rounding: a sum of a batch may be cut
/// into other pieces than that of a sample.
fn batched(case: &Case, set: &[Given], what: Of) -> Result<Result<(), String>> {
    let samples = (0..SAMPLES).map(|i| Sample::numbered(case.double, View::Dense, set, i));
    let samples: Vec<_> = samples.collect();
    let p = match what {
        Of::Values => samples[0].values()?,
        Of::Gradients => samples[0].gradient()?,
    };
    let mut expected: Vec<Vec<Array<f64>>> = Vec::new();
    for sample in &samples {
        match sample.run(&p) {
            Ok(out) => expected.push(out),
            Err(e) => return Ok(Err(e)),
        }
    }
    // What a case does not name is one scalar for all samples.
    let mut inputs = samples[0].inputs.clone();
    let axes: [_; INPUTS] = std::array::from_fn(|i| (i < set.len()).then_some(0));
    for (i, input) in inputs.iter_mut().enumerate().take(set.len()) {
        *input = stacked(samples.iter().map(|s| &s.inputs[i]));
    }
    let batch = p.vmap(SAMPLES, &axes)?;
    let mut ws = batch.workspace()?;
    let out = batch.run(&mut ws, inputs.each_ref())?;
    for i in 0..p.output_count() {
        let expected = [stacked(expected.iter().map(|e| &e[i]))];
        if let Some(distance) = first_distance(&expected, &[out.array::<f64>(i)?], 1e-13) {
            return Ok(Err(format!("{what:?}, output {i}: {distance}")));
        }
    }
    Ok(Ok(()))
}

#[derive(Clone, Copy, Debug)]
enum Of {
    Values,
    Gradients,
}

/// With a new first axis.
fn stacked<'a>(each: impl Iterator<Item = &'a Array<f64>>) -> Array<f64> {
    let each: Vec<_> = each.collect();
    let data = each.iter().flat_map(|x| x.iter().copied()).collect();
    let dims = [&[each.len()], each[0].shape()].concat();
    Array::from_vec(data, dims).expect("of one shape")
}

/// Every case, values and gradients, is of a batch what it is of its samples, composites of many operations included.
#[test]
fn batches_are_their_samples() {
    let (mut wrong, mut n) = (Vec::new(), 0);
    let mut needed = BTreeSet::new();
    for case in families().into_iter().flat_map(|(_, cases)| cases) {
        let exempt = NOT_BY_SAMPLE.iter().any(|(name, _)| *name == case.name);
        let some = if explores() { case.sets.len() } else { 1 };
        // The batch is an axis more.
        let room = |set: &&Vec<Given>| set.iter().all(|g| g.dims.len() < 8);
        for set in case.sets[..some].iter().filter(room) {
            for what in [Of::Values, Of::Gradients] {
                n += 1;
                let found = batched(&case, set, what).unwrap_or_else(|e| Err(e.to_string()));
                match found {
                    Ok(()) => {}
                    Err(_) if exempt => {
                        needed.insert(case.name);
                    }
                    Err(what) => wrong.push(format!("{}: {what}", case.name)),
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {n}:\n\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    let useless = NOT_BY_SAMPLE
        .iter()
        .filter(|(name, _)| !needed.contains(name));
    let useless: Vec<_> = useless.collect();
    assert!(useless.is_empty(), "{useless:?} need no exemption");
}

/// Operations that no case records, and why.
const NO_CASE: [(&str, &str); 6] = [
    ("Copy", "passes insert it"),
    ("Binary(NormalCdfOf)", "lowering makes it of `NormalCdf`"),
    ("Random(Uniform)", "its bits: `ops::creation`"),
    ("Random(Normal)", "its bits: `ops::creation`"),
    ("Random(Bits)", "its bits: `ops::creation`"),
    ("Random(Permutation)", "its bits: `ops::creation`"),
];

/// Nobody adds an operation without a case: what cases record, gradients and their gradients included, is all there is.
#[test]
fn every_operation_has_a_case() -> Result<()> {
    let mut recorded = BTreeSet::new();
    for (_, cases) in families() {
        for case in cases {
            let sample = Sample::new(case.double, View::Dense, &case.sets[0]);
            let tape = Tape::new();
            let stored = sample.inputs.each_ref().map(|x| tape.variable(x.clone()));
            let loss = sample.loss(stored)?;
            let first = loss.grad_of(stored);
            if case.smooth {
                let second = first.iter().fold(loss, |sum, g| sum + g.sin().sum());
                let second = second.grad_of(stored);
                assert!(second[0].shape().is_ok(), "{}", case.name);
            }
            recorded.extend(retrograde::reference::operations_on(loss));
        }
    }
    let exempt = NO_CASE.map(|(name, _)| name.to_owned());
    let all: BTreeSet<String> = retrograde::reference::operations().into_iter().collect();
    let missing: Vec<_> = all
        .difference(&recorded)
        .filter(|op| !exempt.contains(op))
        .collect();
    assert!(missing.is_empty(), "no case records {missing:?}");
    let useless: Vec<_> = exempt.iter().filter(|op| recorded.contains(*op)).collect();
    assert!(useless.is_empty(), "{useless:?} need no exemption");
    Ok(())
}
