//! The ways to compile and run one program that must give the same bits.

use std::num::NonZeroUsize;

use retrograde::Options;
use retrograde::prelude::*;

use crate::derivatives::run;

/// Name and options of each.
pub fn variants() -> Vec<(&'static str, Options)> {
    let base = Options::default();
    let tile = |packets| Options {
        tile: NonZeroUsize::new(packets),
        ..base
    };
    vec![
        (
            "unoptimised",
            Options {
                optimise: false,
                ..base
            },
        ),
        (
            "unfused",
            Options {
                fuse: false,
                ..base
            },
        ),
        (
            "unfused, poisoned",
            Options {
                fuse: false,
                share: false,
                poison: true,
                ..base
            },
        ),
        (
            "pinned, poisoned",
            Options {
                share: false,
                poison: true,
                ..base
            },
        ),
        (
            "planned, poisoned",
            Options {
                poison: true,
                ..base
            },
        ),
        ("one thread", Options { threads: 1, ..base }),
        ("two threads", Options { threads: 2, ..base }),
        ("three threads", Options { threads: 3, ..base }),
        ("five threads", Options { threads: 5, ..base }),
        ("tiles of 1", tile(1)),
        ("tiles of 8", tile(8)),
        ("tiles of 64", tile(64)),
        (
            "plain",
            Options {
                optimise: false,
                fuse: false,
                share: false,
                poison: true,
                threads: 1,
                ..base
            },
        ),
    ]
}

/// That a program gives the same bits in every variant.
#[track_caller]
pub fn assert_variants_agree(p: &Program, inputs: &[&Array<f64>]) -> Result<()> {
    let first = run(p, inputs)?;
    for (name, options) in variants() {
        let outputs = run(&p.with_options(options)?, inputs)?;
        let bits = |arrays: &[Array<f64>]| -> Vec<Vec<u64>> {
            arrays
                .iter()
                .map(|a| a.iter().map(|x| x.to_bits()).collect())
                .collect()
        };
        assert_eq!(bits(&outputs), bits(&first), "{name}");
    }
    Ok(())
}
