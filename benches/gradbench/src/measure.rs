//! What evals share: reading inputs, timing runs, keeping a compiled program from run to run.

use std::fmt;
use std::time::Instant;

use retrograde::prelude::*;
use retrograde::{Feed, OutputMut};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A function of an eval: an input to its output and timings.
pub(crate) type Function = fn(&Value) -> Result<Evaluated, Failure>;

/// What a function found.
pub(crate) struct Evaluated {
    pub output: Value,
    /// One entry a run.
    pub nanoseconds: Vec<u64>,
}

/// Why a function cannot be evaluated, for a reader of the response.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<retrograde::Error> for Failure {
    fn from(e: retrograde::Error) -> Self {
        Self(e.to_string())
    }
}

impl From<retrograde::ArrayError> for Failure {
    fn from(e: retrograde::ArrayError) -> Self {
        Self(e.to_string())
    }
}

/// An input in the form that its eval specifies.
pub(crate) fn read<I: DeserializeOwned>(input: &Value) -> Result<I, Failure> {
    I::deserialize(input).map_err(|e| Failure::new(format!("input: {e}")))
}

/// How often to run: at least so many times, and at least for so long.
struct Runs {
    count: u64,
    seconds: f64,
}

impl Runs {
    /// One run where the input does not say, as GradBench's own tools do.
    fn of(input: &Value) -> Self {
        Self {
            count: input.get("min_runs").and_then(Value::as_u64).unwrap_or(1),
            seconds: input
                .get("min_seconds")
                .and_then(Value::as_f64)
                .unwrap_or(0.0),
        }
    }
}

/// The times of all runs, in nanoseconds.
pub(crate) struct Times(Vec<u64>);

impl Times {
    /// With what the last run found.
    pub(crate) fn output(self, output: impl Into<Value>) -> Evaluated {
        Evaluated {
            output: output.into(),
            nanoseconds: self.0,
        }
    }
}

/// Runs `f` as often as the input asks for, and once at least.
pub(crate) fn timed(
    input: &Value,
    mut f: impl FnMut() -> Result<(), Failure>,
) -> Result<Times, Failure> {
    let runs = Runs::of(input);
    let (mut nanoseconds, mut seconds) = (Vec::new(), 0.0);
    loop {
        let start = Instant::now();
        f()?;
        let elapsed = start.elapsed();
        nanoseconds.push(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX));
        seconds += elapsed.as_secs_f64();
        if nanoseconds.len() as u64 >= runs.count && seconds >= runs.seconds {
            return Ok(Times(nanoseconds));
        }
    }
}

/// A program that is recorded when it first runs.
#[derive(Default)]
pub(crate) struct Replay(Option<(Program, Workspace)>);

impl Replay {
    /// Runs the program, which `record` makes the first time.
    pub(crate) fn run(
        &mut self,
        record: impl FnOnce() -> retrograde::Result<Program>,
        inputs: impl Feed,
        outputs: &mut [OutputMut<'_>],
    ) -> Result<(), Failure> {
        let (program, workspace) = match self.0.take() {
            Some(kept) => self.0.insert(kept),
            None => {
                let program = record()?;
                let workspace = program.workspace()?;
                self.0.insert((program, workspace))
            }
        };
        program.run_into(workspace, inputs, outputs)?;
        Ok(())
    }
}

/// A program that branches on its inputs, with its memory.
pub(crate) struct Branching {
    program: Dynamic,
    workspace: DynamicWorkspace,
}

impl Branching {
    /// Paths that are kept: loops end after many numbers of steps.
    const PATHS: usize = 1024;

    /// A closure of scalars; `example` is what it is recorded on first.
    pub(crate) fn new<const N: usize>(
        example: [f64; N],
        f: impl for<'t> Fn([Var<'t, f64>; N]) -> retrograde::Result<Vec<Var<'t, f64>>>
        + Send
        + Sync
        + 'static,
    ) -> retrograde::Result<Self> {
        let example = example.map(Array::scalar);
        let (options, paths) = (retrograde::Options::default(), Self::PATHS);
        let program =
            Program::record_dynamic_with(&example, options, paths, move |_, v| Ok(f(v)?.into()))?;
        let workspace = program.workspace();
        Ok(Self { program, workspace })
    }

    /// Its scalar results.
    pub(crate) fn run<const N: usize, const M: usize>(
        &mut self,
        inputs: [f64; N],
    ) -> retrograde::Result<[f64; M]> {
        let inputs = inputs.map(Array::scalar);
        let out = self.program.run(&mut self.workspace, &inputs)?;
        let mut results = [0.0; M];
        for (i, result) in results.iter_mut().enumerate() {
            *result = out.item(i)?;
        }
        Ok(results)
    }
}

/// Rows of equal length as a matrix of `columns`.
pub(crate) fn matrix(
    name: &str,
    rows: &[Vec<f64>],
    shape: [usize; 2],
) -> Result<Array<f64>, Failure> {
    let fits = rows.len() == shape[0] && rows.iter().all(|row| row.len() == shape[1]);
    if !fits {
        let message = format!("`{name}` must be {} rows of {} numbers", shape[0], shape[1]);
        return Err(Failure::new(message));
    }
    Ok(Array::from_vec(rows.concat(), shape)?)
}

/// A matrix as a list of its rows.
pub(crate) fn rows(matrix: &Array<f64>) -> Value {
    let columns = matrix.shape().last().copied().unwrap_or(0).max(1);
    let row = |row: &[f64]| Value::from(row.to_vec());
    match matrix.len() {
        0 => vec![Value::Array(Vec::new()); matrix.shape().first().copied().unwrap_or(0)].into(),
        _ => Value::Array(matrix.as_slice().chunks(columns).map(row).collect()),
    }
}
