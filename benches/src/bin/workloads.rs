//! Measures workloads on Retrograde, or with `--hand` the reference's plain loops: one JSON line a figure.

use retrograde_benches::cli::Options;
use retrograde_benches::ours::RETROGRADE;
use retrograde_benches::serve::{Maker, Who, registry, serve};
use retrograde_benches::spec::Spec;
use retrograde_benches::{levels, main_with};
use std::process::ExitCode;

fn main() -> ExitCode {
    main_with(|| {
        let options = Options::parse(std::env::args().skip(1))?;
        // The level is read from the environment once, when the library first needs it.
        if !options.list && !levels::is_set(options.level) {
            return levels::again(options.level);
        }
        let mut who = Who {
            name: "retrograde",
            version: env!("CARGO_PKG_VERSION"),
            level: options.level.name().into(),
            threads: options.threads,
        };
        if options.hand {
            who.name = "hand";
            who.level = "as built".into();
            who.threads = 1;
            return serve(&who, &options, by_hand);
        }
        serve(&who, &options, registry(RETROGRADE))
    })
}

fn by_hand(spec: &Spec) -> Option<Maker> {
    let reference = spec.reference;
    Some(Box::new(move |_| Ok(reference())))
}
