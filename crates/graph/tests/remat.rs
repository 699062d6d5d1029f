//! Recomputation: what the way back needs of an activation is computed again, not stored, with the same bits.

use retrograde_graph::{Options, Params, Result, Tape, Update, UpdateRule, Var};
use retrograde_storage::Array;

/// Plain descent.
struct Descent;

impl UpdateRule<f32> for Descent {
    fn columns(&self) -> usize {
        0
    }
    fn identity(&self) -> u64 {
        1
    }
    fn scalars(&self, _: u32, to: &mut Vec<f64>) {
        to.push(0.1);
    }
    fn update<'t>(&self, of: Update<'_, 't, f32>) -> (Var<'t, f32>, Vec<Var<'t, f32>>) {
        (of.value - of.scalars[0] * of.grad, Vec::new())
    }
}

const BATCH: usize = 64;
const WIDTH: usize = 128;

fn samples(dims: [usize; 2], modulus: usize) -> Array<f32> {
    Array::from_shape_fn(dims, |i| {
        let position = i[0] * dims[1] + i[1];
        (position * 37 % modulus) as f32 / modulus as f32 - 0.5
    })
}

/// Two steps of two layers with gelu: the listing, and the bits of the weights afterwards.
fn trained(options: Options) -> Result<(String, Vec<u32>)> {
    let (x, y) = (samples([BATCH, WIDTH], 101), samples([BATCH, WIDTH], 103));
    let mut params = Params::new();
    let ids = [107, 109].map(|modulus| {
        let name = format!("w{modulus}");
        params.insert(&name, samples([WIDTH, WIDTH], modulus))
    });
    let mut tape = Tape::with_options(options);
    for _ in 0..2 {
        let step = tape.train(&mut params);
        let mut hidden = step.input(&x);
        for id in ids {
            hidden = hidden.matmul(step.param(id)).gelu();
        }
        (hidden - step.input(&y))
            .square()
            .mean()
            .minimise_with(&Descent)?;
    }
    let mut bits = Vec::new();
    for id in ids {
        bits.extend(params.slice(id)?.iter().map(|v| v.to_bits()));
    }
    let listing = tape.last_program().expect("steps have run").listing;
    Ok((listing, bits))
}

/// The lines of activations: results of groups as large as a layer.
fn activations(listing: &str) -> impl Iterator<Item = &str> {
    listing
        .lines()
        .filter(|l| l.starts_with("  ") && l.contains(&format!(": [{BATCH}, {WIDTH}] f32")))
}

fn stored(listing: &str) -> usize {
    activations(listing)
        .filter(|l| l.contains(" -> arena "))
        .count()
}

fn count(listing: &str, what: &str) -> usize {
    activations(listing).filter(|l| l.contains(what)).count()
}

#[test]
fn the_way_back_computes_activations_again() -> Result<()> {
    let (again, bits) = trained(Options::default())?;
    // Without folding nothing is computed again; without groups everything is stored.
    let (kept, expected) = trained(Options {
        optimise: false,
        ..Options::default()
    })?;
    let (unfused, unfused_bits) = trained(Options {
        fuse: false,
        ..Options::default()
    })?;
    assert!(bits == expected, "{again}\n{kept}");
    assert!(bits == unfused_bits, "{again}\n{unfused}");
    assert!(
        stored(&again) < stored(&kept) && stored(&kept) < stored(&unfused),
        "{} {} {}\n{again}",
        stored(&again),
        stored(&kept),
        stored(&unfused)
    );
    // The exponential of each layer's density once on the way there and, but for the last, whose way back follows at
    // once, once on the way back. (Stored, it would be there twice.)
    assert_eq!(count(&again, "= exp "), 3, "{again}");
    Ok(())
}

#[test]
fn the_same_bits_on_any_number_of_threads() -> Result<()> {
    let on = |threads| {
        trained(Options {
            threads,
            ..Options::default()
        })
    };
    let (_, expected) = on(1)?;
    for threads in [2, 3] {
        let (listing, bits) = on(threads)?;
        assert!(bits == expected, "{threads} threads\n{listing}");
    }
    Ok(())
}
