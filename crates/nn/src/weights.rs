//! Parameters on disk, in the safetensors format.
//!
//! Every tensor's CRC-32 is kept in the file's metadata, so that damage is noticed and the tensor named; files without it
//! (written by other programs) are read as well.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use flate2::Crc;
use retrograde::{DType, Error, ErrorKind, Float, Param, Params, Result};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

/// The key of the checksums in a file's metadata: lines of a checksum in hexadecimal, a space, a name.
const CHECKSUMS: &str = "crc32";

fn dtype<T: Float>() -> Dtype {
    if T::DTYPE == DType::F64 {
        Dtype::F64
    } else {
        Dtype::F32
    }
}

fn fault(path: &Path, reason: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::File, format!("{}: {reason}", path.display()))
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Elements as the file has them: little-endian.
fn encode<T: Float>(values: &[T]) -> Vec<u8> {
    if T::DTYPE == DType::F64 {
        values
            .iter()
            .flat_map(|x| x.to_f64().to_le_bytes())
            .collect()
    } else {
        values
            .iter()
            .flat_map(|x| (x.to_f64() as f32).to_le_bytes())
            .collect()
    }
}

/// Writes all parameters. The file appears at `path` whole or not at all: it is written beside it and then renamed.
pub fn save<T: Float>(params: &Params<T>, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    params.check()?;
    let mut tensors = Vec::with_capacity(params.len());
    let mut sums = String::new();
    for p in params.ids() {
        let bytes = encode(params.slice(p)?);
        let name = params.name(p)?;
        sums += &format!("{:08x} {name}\n", checksum(&bytes));
        tensors.push((name, params.shape(p)?.to_vec(), bytes));
    }
    let views = tensors
        .iter()
        .map(|(name, shape, bytes)| {
            Ok((*name, TensorView::new(dtype::<T>(), shape.clone(), bytes)?))
        })
        .collect::<Result<Vec<_>, SafeTensorError>>();
    let metadata = HashMap::from([(CHECKSUMS.to_string(), sums)]);
    let file = views
        .and_then(|v| safetensors::serialize(v, Some(metadata)))
        .map_err(|e| fault(path, e))?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.partial", std::process::id()));
    let written = fs::write(&beside, file).and_then(|()| fs::rename(&beside, path));
    written.map_err(|e| {
        // What was written is of no use; that it may not exist is no further error.
        let _ = fs::remove_file(&beside);
        fault(path, e)
    })
}

/// Reads all parameters from a file that has exactly the table's names, with its shapes and element type.
///
/// # Errors
/// If the file cannot be read or is damaged, or a tensor is missing, unknown or of another shape or type. The message
/// names the tensor, and no parameter has changed.
pub fn load<T: Float>(params: &mut Params<T>, path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    params.check()?;
    let bytes = fs::read(path).map_err(|e| fault(path, e))?;
    let staged = stage(params, &bytes).map_err(|reason| fault(path, reason))?;
    for (p, values) in staged {
        params.slice_mut(p)?.copy_from_slice(&values);
    }
    Ok(())
}

/// Everything the file says, checked against the table.
fn stage<T: Float>(params: &Params<T>, bytes: &[u8]) -> Result<Vec<(Param, Vec<T>)>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|e| damaged(params, bytes, &e))?;
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|e| damaged(params, bytes, &e))?;
    let sums = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(CHECKSUMS))
        .map_or("", String::as_str);
    let sums: HashMap<&str, &str> = sums
        .lines()
        .filter_map(|l| l.split_once(' '))
        .map(|(sum, name)| (name, sum))
        .collect();
    let mut staged = Vec::with_capacity(params.len());
    for p in params.ids() {
        let (name, shape) = (params.name(p), params.shape(p));
        let (name, shape) = (
            name.map_err(|e| e.to_string())?,
            shape.map_err(|e| e.to_string())?,
        );
        let tensor = file
            .tensor(name)
            .map_err(|_| format!("has no tensor {name:?}"))?;
        if tensor.dtype() != dtype::<T>() {
            return Err(format!(
                "tensor {name:?} has elements {:?}, expected {:?}",
                tensor.dtype(),
                dtype::<T>()
            ));
        }
        if tensor.shape() != shape {
            return Err(format!(
                "tensor {name:?} has shape {:?}, expected {shape:?}",
                tensor.shape()
            ));
        }
        let sum = format!("{:08x}", checksum(tensor.data()));
        if sums.get(name).is_some_and(|&expected| expected != sum) {
            return Err(format!(
                "tensor {name:?} is damaged: its checksum is {sum}, expected {}",
                sums[name]
            ));
        }
        let values = tensor
            .data()
            .chunks_exact(T::DTYPE.size())
            .map(|b| match b {
                &[a, b, c, d] => T::of(f32::from_le_bytes([a, b, c, d]).into()),
                _ => T::of(b.try_into().map_or(f64::NAN, f64::from_le_bytes)),
            });
        staged.push((p, values.collect()));
    }
    match file.names().into_iter().find(|n| params.find(n).is_none()) {
        Some(name) => Err(format!("tensor {name:?} is no parameter of this model")),
        None => Ok(staged),
    }
}

/// What is wrong with a file that cannot be parsed. Where it is cut short, the header still says whose data are missing.
fn damaged<T: Float>(params: &Params<T>, bytes: &[u8], error: &SafeTensorError) -> String {
    if let (SafeTensorError::MetadataIncompleteBuffer, Some(header)) =
        (error, bytes.first_chunk::<8>())
    {
        let start = 8 + u64::from_le_bytes(*header) as usize;
        let data = params.count() * T::DTYPE.size();
        let mut whole = bytes.to_vec();
        whole.resize(start + data, 0);
        if let Ok((_, metadata)) = SafeTensors::read_metadata(&whole) {
            let have = bytes.len() - start;
            let mut cut: Vec<_> = metadata
                .tensors()
                .into_iter()
                .filter(|(_, t)| t.data_offsets.1 > have)
                .collect();
            cut.sort_by_key(|(_, t)| t.data_offsets.0);
            return match cut.first() {
                Some((name, _)) => format!("truncated: the data of tensor {name:?} are incomplete"),
                None => format!(
                    "{} bytes too long: more follow the last tensor",
                    have - data
                ),
            };
        }
    }
    format!("is not a safetensors file, or damaged: {error}")
}
