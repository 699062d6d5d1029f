//! The IDX format of the MNIST family: `0 0 type rank`, the extents as big-endian `u32`, then the elements.
//!
//! Files may be compressed by gzip; that is seen from their first bytes, not from their names.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use retrograde::{Array, Error, ErrorKind, Result};

/// The code of unsigned bytes.
const UNSIGNED_BYTE: u8 = 0x08;

/// Images `[n, height, width]`, bytes 0 to 255 scaled to `[0, 1]`. The file must have rank 3.
pub fn read_images(path: impl AsRef<Path>) -> Result<Array<f32>> {
    let (dims, bytes) = read(path.as_ref(), 3, "images")?;
    Ok(Array::from_vec(
        bytes.into_iter().map(|b| f32::from(b) / 255.0).collect(),
        dims,
    )?)
}

/// Labels `[n]`. The file must have rank 1.
pub fn read_labels(path: impl AsRef<Path>) -> Result<Array<u32>> {
    let (dims, bytes) = read(path.as_ref(), 1, "labels")?;
    Ok(Array::from_vec(
        bytes.into_iter().map(u32::from).collect(),
        dims,
    )?)
}

fn read(path: &Path, rank: u8, what: &str) -> Result<(Vec<usize>, Vec<u8>)> {
    let fault =
        |reason: String| Error::new(ErrorKind::File, format!("{}: {reason}", path.display()));
    let io = |e: std::io::Error| fault(e.to_string());
    let mut file = BufReader::new(File::open(path).map_err(io)?);
    let mut magic = Vec::new();
    file.by_ref().take(2).read_to_end(&mut magic).map_err(io)?;
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    let packed = magic == [0x1f, 0x8b];
    let source: &mut dyn Read = if packed {
        &mut MultiGzDecoder::new(file)
    } else {
        &mut file
    };
    parse(source, rank, what).map_err(fault)
}

/// Reads one array. The message of an error does not name the file.
fn parse(source: &mut dyn Read, rank: u8, what: &str) -> Result<(Vec<usize>, Vec<u8>), String> {
    let mut take = |n: u64| {
        let mut bytes = Vec::new();
        // Grows as data arrives: a header that promises more than there is does not reserve it.
        match source.take(n).read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(format!("the compressed data end early ({e})"))
            }
            Err(e) => Err(format!("cannot be read: {e}")),
        }
    };
    let magic = take(4)?;
    let &[0, 0, kind, found] = &magic[..] else {
        return Err(format!(
            "not an IDX file: it starts with {magic:02x?}, expected 00 00, a type and a rank"
        ));
    };
    if kind != UNSIGNED_BYTE {
        return Err(format!(
            "elements have type code {kind:#04x}, expected {UNSIGNED_BYTE:#04x} (unsigned bytes)"
        ));
    }
    if found != rank {
        return Err(format!(
            "an IDX file of rank {found}, expected {what}, which have rank {rank}"
        ));
    }
    let extents = take(4 * u64::from(rank))?;
    if extents.len() != 4 * usize::from(rank) {
        return Err("truncated: the file ends within the header".into());
    }
    let dims: Vec<usize> = extents
        .chunks_exact(4)
        .map(|b| b.iter().fold(0, |n, &b| n << 8 | usize::from(b)))
        .collect();
    let count = dims
        .iter()
        .try_fold(1u64, |n, &d| n.checked_mul(d as u64))
        .filter(|&n| n < u64::MAX);
    let Some(count) = count else {
        return Err(format!("the header's extents {dims:?} overflow"));
    };
    // One more than there should be: what follows the elements is found out too.
    let data = take(count + 1)?;
    match data.len() as u64 {
        n if n == count => Ok((dims, data)),
        n if n < count => Err(format!(
            "truncated: the header says {dims:?}, {count} bytes, but only {n} follow"
        )),
        _ => Err(format!(
            "the header says {dims:?}, {count} bytes, but more follow"
        )),
    }
}
