//! Files of weights: what is saved comes back, and a file that is damaged or of another model changes nothing.

use std::path::PathBuf;

use retrograde_nn::prelude::*;
use safetensors::tensor::{Dtype, TensorView};

/// A path of this test's own.
fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.safetensors"))
}

fn model<T: Float>() -> Params<T> {
    let mut params = Params::empty();
    params.insert("a.weight", normal([3, 5], 1.0, 1));
    params.insert("a.bias", normal([5], 1.0, 2));
    params.insert(
        "scale",
        Array::from_vec(vec![T::of(2.5)], []).expect("a scalar"),
    );
    params
}

/// Other values under the same names.
fn other<T: Float>() -> Params<T> {
    let mut params = model::<T>();
    params
        .values_mut()
        .iter_mut()
        .for_each(|x| *x = *x + T::of(1.0));
    params
}

/// Loading `bytes` fails with a message of these parts, and no parameter has changed.
#[track_caller]
fn refused(name: &str, bytes: &[u8], parts: &[&str]) {
    let path = path(name);
    std::fs::write(&path, bytes).expect("the test's folder can be written");
    let mut params = other::<f32>();
    let before = params.values().to_vec();
    let error = load(&mut params, &path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File);
    let text = error.to_string();
    assert!(
        text.contains(&format!("{name}.safetensors: ")),
        "names the file: {text}"
    );
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    assert_eq!(params.values(), before, "{text}");
}

fn saved(name: &str) -> Vec<u8> {
    let path = path(name);
    save(&model::<f32>(), &path).expect("can be saved");
    std::fs::read(path).expect("was saved")
}

/// A file as another program writes it: no checksums.
fn foreign(tensors: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
    let data: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, dtype, shape)| vec![0; shape.iter().product::<usize>() * dtype.bitsize() / 8])
        .collect();
    let views = tensors
        .iter()
        .zip(&data)
        .map(|((name, dtype, shape), data)| {
            (
                *name,
                TensorView::new(*dtype, shape.to_vec(), data).expect("a valid tensor"),
            )
        });
    safetensors::serialize(views, None).expect("valid tensors")
}

#[test]
fn what_is_saved_comes_back() -> Result<()> {
    fn round<T: Float>(name: &str) -> Result<()> {
        let (mut from, path) = (model::<T>(), path(name));
        // Values that a detour through another type or text would lose.
        from.values_mut()[..4].copy_from_slice(&[f64::NAN, -0.0, 1e-40, f64::INFINITY].map(T::of));
        save(&from, &path)?;
        let mut to = other::<T>();
        load(&mut to, &path)?;
        let bits = |p: &Params<T>| -> Vec<u64> {
            p.values().iter().map(|x| x.to_f64().to_bits()).collect()
        };
        for p in from.ids() {
            let range = from.range(p)?;
            assert_eq!(bits(&from)[range.clone()], bits(&to)[range]);
        }
        Ok(())
    }
    round::<f32>("round32")?;
    round::<f64>("round64")
}

#[test]
fn saving_replaces_a_file_and_leaves_nothing_beside_it() -> Result<()> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("beside");
    std::fs::create_dir_all(&folder).expect("can be made");
    let path = folder.join("w.safetensors");
    save(&other::<f32>(), &path)?;
    save(&model::<f32>(), &path)?;
    let mut params = other::<f32>();
    load(&mut params, &path)?;
    assert_eq!(params.values()[..15], model::<f32>().values()[..15]);
    assert_eq!(std::fs::read_dir(&folder).expect("exists").count(), 1);
    Ok(())
}

#[test]
fn other_programs_read_the_file_and_theirs_are_read() -> Result<()> {
    let bytes = saved("read");
    let file = safetensors::SafeTensors::deserialize(&bytes).expect("a valid file");
    let weight = file.tensor("a.weight").expect("is there");
    assert_eq!((weight.dtype(), weight.shape()), (Dtype::F32, &[3, 5][..]));
    let path = path("theirs");
    let theirs = foreign(&[
        ("a.bias", Dtype::F32, &[5]),
        ("scale", Dtype::F32, &[]),
        ("a.weight", Dtype::F32, &[3, 5]),
    ]);
    std::fs::write(&path, theirs).expect("can be written");
    let mut params = other::<f32>();
    load(&mut params, &path)?;
    for p in params.ids() {
        assert!(params.slice(p)?.iter().all(|&x| x == 0.0));
    }
    Ok(())
}

#[test]
fn damage_is_found_and_the_tensor_named() {
    let whole = saved("whole");
    let data = whole.len() - 21 * 4;
    // The file holds the tensors by name and size as its header says; every byte of data belongs to one.
    for at in data..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        refused(
            "flipped",
            &damaged,
            &["tensor \"", "is damaged: its checksum is"],
        );
    }
    for cut in [1, 20, 21 * 4] {
        let kept = &whole[..whole.len() - cut];
        refused(
            "cut",
            kept,
            &["truncated: the data of tensor \"", "are incomplete"],
        );
    }
    let mut longer = whole.clone();
    longer.extend([0; 3]);
    refused("longer", &longer, &["3 bytes too long"]);
}

/// Whatever byte of the file is wrong, loading fails or gives what was saved; it never panics.
#[test]
fn no_byte_of_the_header_can_be_wrong_unseen() -> Result<()> {
    let whole = saved("header");
    let path = path("header-damaged");
    let right = model::<f32>();
    for at in 0..whole.len() {
        for flip in [1, 0x80] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            std::fs::write(&path, &damaged).expect("can be written");
            let mut params = other::<f32>();
            let before = params.values().to_vec();
            match load(&mut params, &path) {
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::File);
                    assert_eq!(params.values(), before, "byte {at}");
                }
                Ok(()) => {
                    for p in right.ids() {
                        assert_eq!(params.slice(p)?, right.slice(p)?, "byte {at}");
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn what_is_no_such_file() {
    for bytes in [
        &b""[..],
        b"1234567",
        b"not a safetensors file at all",
        &[0xff; 64],
    ] {
        refused("junk", bytes, &["is not a safetensors file, or damaged"]);
    }
    let mut params = model::<f32>();
    let error = load(&mut params, path("there-is-none")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::File);
    assert!(
        error.to_string().contains("there-is-none.safetensors"),
        "{error}"
    );
    let nowhere = PathBuf::from("/nowhere/at/all.safetensors");
    assert_eq!(save(&params, nowhere).unwrap_err().kind(), ErrorKind::File);
}

#[test]
fn files_of_another_model() {
    let right: [(&str, Dtype, &[usize]); 3] = [
        ("a.weight", Dtype::F32, &[3, 5]),
        ("a.bias", Dtype::F32, &[5]),
        ("scale", Dtype::F32, &[]),
    ];
    let with = |i: usize, tensor| {
        let mut tensors = right;
        tensors[i] = tensor;
        foreign(&tensors)
    };
    refused(
        "missing",
        &foreign(&right[..2]),
        &["has no tensor \"scale\""],
    );
    refused(
        "shape",
        &with(0, ("a.weight", Dtype::F32, &[5, 3])),
        &["tensor \"a.weight\" has shape [5, 3], expected [3, 5]"],
    );
    refused(
        "type",
        &with(1, ("a.bias", Dtype::F64, &[5])),
        &["tensor \"a.bias\" has elements F64, expected F32"],
    );
    let more = [
        right[0],
        right[1],
        right[2],
        ("b.weight", Dtype::F32, &[2][..]),
    ];
    refused(
        "unknown",
        &foreign(&more),
        &["tensor \"b.weight\" is no parameter of this model"],
    );
}
