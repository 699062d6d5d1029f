//! The listing in `docs/mlp_step.md` is what the program prints today.
//!
//! After a change of what is compiled, `RETROGRADE_BLESS=1 cargo test -p retrograde-nn --test mlp_step` writes the new
//! listing into the page; read its explanations again then.

use retrograde_nn::prelude::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mlp_step.md");

/// The step of the page's example.
fn listing() -> Result<String> {
    let mut params = Params::new();
    let model = Sequential::new()
        .then(Linear::new(&mut params, "first", 3, 5, 1))
        .then(Activation::Relu)
        .then(Linear::new(&mut params, "second", 5, 4, 2));
    let (x, labels) = (
        normal::<f32>([8, 3], 1.0, 3),
        Array::from([0_u32, 1, 2, 3, 0, 1, 2, 3]),
    );
    let mut tape = Tape::new();
    let step = tape.train(&mut params);
    let loss = model
        .forward(step.input(&x))
        .cross_entropy(step.input(&labels));
    Sgd::new(0.1).minimise(loss)?;
    let program = tape.last_program().expect("a step has run");
    Ok(shown(&program.listing))
}

/// What the page shows of a listing: without numbers of packets, which depend on the machine's SIMD level.
fn shown(listing: &str) -> String {
    let lines = listing.lines().filter(|l| !l.starts_with("arena "));
    lines
        .map(|l| match l.split_once(" -> arena ") {
            Some((line, _)) => format!("{line} -> arena\n"),
            None => format!("{l}\n"),
        })
        .collect()
}

#[test]
fn the_page_shows_the_program() -> Result<()> {
    let page = std::fs::read_to_string(PAGE).expect("the page is in the repository");
    let (before, rest) = page.split_once("```text\n").expect("a listing");
    let (old, after) = rest.split_once("```\n").expect("the listing's end");
    let new = listing()?;
    if std::env::var_os("RETROGRADE_BLESS").is_some() {
        std::fs::write(PAGE, format!("{before}```text\n{new}```\n{after}"))
            .expect("can be written");
        return Ok(());
    }
    assert_eq!(
        old, new,
        "RETROGRADE_BLESS=1 writes the new listing into the page"
    );
    // Whoever reads the explanations finds in the listing what they name.
    for part in [
        "matmul",
        "relu",
        "reduce_max",
        "divstrong",
        "checkindex",
        "iota",
        "permute",
        "-> input",
    ] {
        assert!(new.contains(part), "{part} is explained but not there");
    }
    Ok(())
}
