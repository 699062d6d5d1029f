//! What comes out: the closure's results while recording, the workspace's outputs after a run.

use std::marker::PhantomData;

use bytemuck::Pod;
use retrograde_storage::{Array, DType, Element, Packet, Shape};

use crate::error::{Error, ErrorKind, Result};
use crate::list::Value;
use crate::recorder::Recorder;
use crate::run::plan::Port;
use crate::tape::decode;
use crate::var::{AnyVar, Float, Var};

/// What a closure given to [`Program::try_record`](super::Program::try_record) returns: one value, or several of one
/// type.
pub struct Outs<'t>(Vec<AnyVar<'t>>);

impl<'t, T> From<Var<'t, T>> for Outs<'t> {
    fn from(v: Var<'t, T>) -> Self {
        Outs(vec![v.into()])
    }
}
impl<'t, T, const M: usize> From<[Var<'t, T>; M]> for Outs<'t> {
    fn from(v: [Var<'t, T>; M]) -> Self {
        Outs(v.map(AnyVar::from).to_vec())
    }
}
impl<'t, T> From<Vec<Var<'t, T>>> for Outs<'t> {
    fn from(v: Vec<Var<'t, T>>) -> Self {
        Outs(v.into_iter().map(AnyVar::from).collect())
    }
}

impl Outs<'_> {
    /// The values, which must be of this recording.
    pub(super) fn values(&self, recorder: &Recorder) -> Result<Vec<Value>> {
        let own = |v: &AnyVar<'_>| std::ptr::eq(v.rec.recorder, recorder);
        if !self.0.iter().all(own) {
            let message =
                "the closure returns a value of another tape; only what it records can be a result";
            return Err(Error::new(ErrorKind::Foreign, message));
        }
        Ok(self.0.iter().map(|v| v.id).collect())
    }
}

/// Outputs of the last run, borrowed from its workspace.
#[derive(Clone, Copy, Debug)]
pub struct OutputsRef<'w> {
    /// Of the outputs, and of more behind them.
    pub(super) ports: &'w [Port],
    pub(super) memory: &'w [Vec<Packet>],
    pub(super) count: usize,
}

impl<'w> OutputsRef<'w> {
    /// The number of outputs.
    pub fn len(&self) -> usize {
        self.count
    }
    /// Whether there is no output.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
    /// Output `i`, its memory padded.
    pub(super) fn of_any_type(&self, i: usize) -> (Port, &'w [u8]) {
        (self.ports[i], bytemuck::cast_slice(&self.memory[i]))
    }
    fn port<T: Element>(&self, i: usize) -> Result<(Shape, &'w [u8])> {
        if i >= self.count {
            return Err(no_output(i, self.count));
        }
        let (port, bytes) = self.of_any_type(i);
        if port.dtype != T::DTYPE {
            return Err(Error::new(
                ErrorKind::DType,
                format!("output {i} is {}, asked for was {}", port.dtype, T::DTYPE),
            ));
        }
        Ok((port.shape, &bytes[..port.shape.len() * T::DTYPE.size()]))
    }
    /// A copy of output `i`.
    pub fn array<T: Element>(&self, i: usize) -> Result<Array<T>> {
        let (shape, bytes) = self.port::<T>(i)?;
        Ok(Array::from_vec(decode(bytes), shape)?)
    }
    /// Elements of output `i`, row-major.
    pub fn slice<T: Element + Pod>(&self, i: usize) -> Result<&'w [T]> {
        Ok(bytemuck::cast_slice(self.port::<T>(i)?.1))
    }
    /// Elements of output `i`, as [`slice`](Self::slice) gives them, of a type that only a bound says is one of floats.
    pub(super) fn floats<T: Float>(&self, i: usize) -> Result<&'w [T]> {
        Ok(bytemuck::checked::cast_slice(self.port::<T>(i)?.1))
    }
    /// The only element of output `i`.
    pub fn item<T: Element>(&self, i: usize) -> Result<T> {
        let (shape, bytes) = self.port::<T>(i)?;
        if shape.len() != 1 {
            let message = format!("output {i} is {shape}: only one element is an item");
            return Err(Error::new(ErrorKind::Shape, message));
        }
        Ok(T::from_bytes(bytes))
    }
}

/// There is no output of that number.
pub(super) fn no_output(i: usize, count: usize) -> Error {
    let message = format!("output {i} does not exist: the program has {count}");
    Error::new(ErrorKind::Inputs, message)
}

/// Memory of the caller's that receives an output: see [`Program::run_into`](super::Program::run_into).
pub struct OutputMut<'a> {
    dtype: DType,
    /// A slice takes any shape of as many elements.
    shape: Option<Shape>,
    len: usize,
    first: *mut u8,
    life: PhantomData<&'a mut u8>,
}

impl<'a, T: Element + Pod> From<&'a mut [T]> for OutputMut<'a> {
    fn from(x: &'a mut [T]) -> Self {
        Self {
            dtype: T::DTYPE,
            shape: None,
            len: x.len(),
            first: x.as_mut_ptr().cast(),
            life: PhantomData,
        }
    }
}

impl<'a, T: Element + Pod> From<&'a mut Array<T>> for OutputMut<'a> {
    fn from(x: &'a mut Array<T>) -> Self {
        Self {
            shape: Some(x.shape_of()),
            ..x.as_mut_slice().into()
        }
    }
}

impl OutputMut<'_> {
    /// The first element, if output `i` fits.
    pub(super) fn address(&self, i: usize, port: Port) -> Result<*mut u8> {
        let fits = self
            .shape
            .map_or(self.len == port.shape.len(), |s| s == port.shape);
        if fits && self.dtype == port.dtype {
            return Ok(self.first);
        }
        let given = match self.shape {
            Some(shape) => shape.to_string(),
            None => format!("a slice of {}", self.len),
        };
        let message = format!(
            "output {i} is {} {}, given for it was {given} {}",
            port.shape, port.dtype, self.dtype
        );
        Err(Error::new(ErrorKind::Inputs, message))
    }
}
