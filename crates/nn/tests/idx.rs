//! IDX files, right and wrong.

use std::io::Write;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use retrograde_nn::prelude::*;

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("the test's folder can be written");
    path
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).expect("memory");
    out.finish().expect("memory")
}

fn idx(kind: u8, extents: &[u32], data: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 0, kind, extents.len() as u8];
    out.extend(extents.iter().flat_map(|e| e.to_be_bytes()));
    out.extend(data);
    out
}

fn images() -> Vec<u8> {
    idx(
        8,
        &[2, 2, 3],
        &[0, 51, 102, 153, 204, 255, 1, 2, 3, 4, 5, 6],
    )
}

#[track_caller]
fn refused(name: &str, bytes: &[u8], part: &str) {
    let error = read_images(file(name, bytes)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File);
    let text = error.to_string();
    assert!(
        text.contains(&format!("{name}: ")),
        "names the file: {text}"
    );
    assert!(text.contains(part), "{text:?} does not say {part:?}");
}

#[test]
fn plain_and_compressed_files() -> Result<()> {
    let labels = idx(8, &[4], &[7, 0, 9, 255]);
    for packed in [false, true] {
        let (images, labels) = if packed {
            (gzip(&images()), gzip(&labels))
        } else {
            (images(), labels.clone())
        };
        // The name does not matter.
        let x = read_images(file(&format!("right-images-{packed}"), &images))?;
        assert_eq!(x.shape(), [2, 2, 3]);
        let expected = [
            0.0, 51.0, 102.0, 153.0, 204.0, 255.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0_f32,
        ];
        assert!(x.iter().zip(expected).all(|(&x, e)| x == e / 255.0));
        let y = read_labels(file(&format!("right-labels-{packed}"), &labels))?;
        assert_eq!(y, Array::from([7_u32, 0, 9, 255]));
    }
    let none = read_images(file("no-images", &idx(8, &[0, 28, 28], &[])))?;
    assert_eq!(none.shape(), [0, 28, 28]);
    Ok(())
}

#[test]
fn truncated_anywhere() {
    let whole = images();
    for n in 0..whole.len() {
        let part = match n {
            0..4 => "not an IDX file",
            4..16 => "truncated: the file ends within the header",
            _ => "truncated: the header says [2, 2, 3], 12 bytes, but only",
        };
        refused("truncated.idx", &whole[..n], part);
    }
    let packed = gzip(&whole);
    for n in 2..packed.len() {
        let error = read_images(file("truncated.gz", &packed[..n])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::File, "{n}: {error}");
    }
    refused(
        "half.gz",
        &packed[..packed.len() - 9],
        "the compressed data end early",
    );
}

#[test]
fn damaged_compression() {
    let mut packed = gzip(&images());
    let at = packed.len() - 6;
    packed[at] ^= 1;
    refused("checksum.gz", &packed, "cannot be read");
}

#[test]
fn of_the_wrong_kind() {
    refused(
        "text",
        b"label,pixel0,pixel1\n",
        "not an IDX file: it starts with [6c, 61, 62, 65]",
    );
    refused(
        "labels-as-images",
        &idx(8, &[3], &[1, 2, 3]),
        "an IDX file of rank 1, expected images, which have rank 3",
    );
    refused(
        "floats",
        &idx(0x0d, &[1, 1, 1], &[0; 4]),
        "elements have type code 0x0d, expected 0x08 (unsigned bytes)",
    );
    let mut longer = images();
    longer.push(0);
    refused(
        "longer",
        &longer,
        "the header says [2, 2, 3], 12 bytes, but more follow",
    );
    let error = read_labels(file("images-as-labels", &images())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("an IDX file of rank 3, expected labels, which have rank 1"),
        "{error}"
    );
}

#[test]
fn headers_that_promise_too_much() {
    // Nothing is reserved for what does not come.
    refused(
        "huge",
        &idx(8, &[u32::MAX, 1, 1], &[1]),
        "but only 1 follow",
    );
    refused("overflow", &idx(8, &[u32::MAX; 3], &[1]), "overflow");
}

#[test]
fn files_that_are_not_there() {
    let error = read_images("/nowhere/train-images-idx3-ubyte").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File);
    assert!(
        error
            .to_string()
            .contains("/nowhere/train-images-idx3-ubyte: "),
        "{error}"
    );
    assert_eq!(
        read_labels(env!("CARGO_TARGET_TMPDIR")).unwrap_err().kind(),
        ErrorKind::File
    );
}
