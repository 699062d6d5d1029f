//! What comes out: the closure's results while recording, the workspace's outputs after a run.

use std::marker::PhantomData;

use retrograde_storage::{Array, Element, Shape};

use super::run::Workspace;
use crate::error::{Error, ErrorKind, Result};
use crate::list::Value;
use crate::tape::decode;
use crate::var::Var;

/// What a closure given to [`Program::try_record`](super::Program::try_record) returns: one value, or several of one
/// type.
pub struct Outs<'t>(pub(super) Vec<Value>, PhantomData<&'t ()>);

impl<'t, T> From<Var<'t, T>> for Outs<'t> {
    fn from(v: Var<'t, T>) -> Self {
        Outs(vec![v.id], PhantomData)
    }
}
impl<'t, T, const M: usize> From<[Var<'t, T>; M]> for Outs<'t> {
    fn from(v: [Var<'t, T>; M]) -> Self {
        Outs(v.iter().map(|v| v.id).collect(), PhantomData)
    }
}
impl<'t, T> From<Vec<Var<'t, T>>> for Outs<'t> {
    fn from(v: Vec<Var<'t, T>>) -> Self {
        Outs(v.iter().map(|v| v.id).collect(), PhantomData)
    }
}

/// Outputs of the last run, borrowed from its workspace.
#[derive(Clone, Copy, Debug)]
pub struct OutputsRef<'w> {
    pub(super) ws: &'w Workspace,
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
    fn port<T: Element>(&self, i: usize) -> Result<(Shape, &'w [u8])> {
        if i >= self.count {
            return Err(no_output(i, self.count));
        }
        let (port, bytes) = self.ws.output(i);
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
    pub fn slice<T: Element + bytemuck::Pod>(&self, i: usize) -> Result<&'w [T]> {
        Ok(bytemuck::cast_slice(self.port::<T>(i)?.1))
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
