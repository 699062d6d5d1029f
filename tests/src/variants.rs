//! The ways to compile and run one program that must give the same bits.

use std::num::NonZeroUsize;

use retrograde::Options;

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
