//! Trains 784-256-128-10 on MNIST: `cargo run --release --example mnist -- PATH`, where PATH is a folder of the four IDX
//! files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte`, `t10k-labels-idx1-ubyte`, plain
//! or with `.gz`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use retrograde_nn::prelude::*;

/// Epochs, and those of a run that only shows that everything works.
const EPOCHS: u32 = 10;
const SMOKE_EPOCHS: u32 = 2;
const BATCH: usize = 64;

fn main() -> Result<()> {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        let usage = "where is MNIST? usage: cargo run --release --example mnist -- PATH";
        return Err(Error::new(ErrorKind::File, usage));
    };
    let (images, labels) = read(&folder, "train")?;
    let (held_images, held_labels) = read(&folder, "t10k")?;
    println!(
        "{} digits to train on, {} held out",
        labels.len(),
        held_labels.len()
    );

    let mut params = Params::new();
    let model = Sequential::new()
        .then(Linear::new(&mut params, "first", 784, 256, 1))
        .then(Activation::Relu)
        .then(Linear::new(&mut params, "second", 256, 128, 2))
        .then(Activation::Relu)
        .then(Linear::new(&mut params, "third", 128, 10, 3));
    let mut loader = Loader::new(&images, &labels, BATCH)?.shuffle(4);
    let mut adam = Adam::new(1e-3);
    // One tape for each of the two jobs: both replay their compiled programs.
    let (mut tape, mut judge) = (Tape::new(), Tape::new());

    let smoke = std::env::var_os("RETROGRADE_SMOKE").is_some();
    for epoch in 1..=if smoke { SMOKE_EPOCHS } else { EPOCHS } {
        let start = Instant::now();
        let (mut loss, mut batches) = (0.0, 0);
        for (images, labels) in &mut loader {
            let step = tape.train(&mut params);
            let logits = model.forward(step.input(&images));
            loss += f64::from(adam.minimise(logits.cross_entropy(step.input(&labels)))?);
            batches += 1;
        }
        let took = start.elapsed().as_secs_f64();
        let step = judge.step(&params);
        let logits = model.forward(step.input(&held_images)).value()?;
        let accuracy = accuracy(&logits, &held_labels)?;
        println!(
            "epoch {epoch:2}  loss {:.4}  {took:.2} s  accuracy {:.2}%",
            loss / f64::from(batches),
            100.0 * accuracy
        );
    }
    Ok(())
}

/// Images as rows, and labels. Checked here that labels are digits and belong to the images, so that training cannot
/// stop half-way.
fn read(folder: &Path, set: &str) -> Result<(Array<f32>, Array<u32>)> {
    let path = |kind: &str| {
        let plain = folder.join(format!("{set}-{kind}-ubyte"));
        if plain.exists() {
            plain
        } else {
            folder.join(format!("{set}-{kind}-ubyte.gz"))
        }
    };
    let images = read_images(path("images-idx3"))?;
    let labels = read_labels(path("labels-idx1"))?;
    let fault = |message: String| Error::new(ErrorKind::File, message);
    let (n, pixels) = (images.shape()[0], images.shape()[1] * images.shape()[2]);
    if n != labels.len() || n == 0 {
        return Err(fault(format!(
            "the {set} set has {n} images and {} labels",
            labels.len()
        )));
    }
    if pixels != 784 {
        return Err(fault(format!(
            "the {set} images have shape {:?}, expected 28 by 28",
            &images.shape()[1..]
        )));
    }
    if let Some(label) = labels.iter().find(|&&l| l > 9) {
        return Err(fault(format!(
            "the {set} labels have a {label}, which is no digit"
        )));
    }
    Ok((images.reshape([n, 784])?, labels))
}
