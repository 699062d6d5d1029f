//! Small pieces of work whose instructions are counted: a guard that does not depend on how busy a machine is.

use super::{build, programs, text};
use crate::workload::{Config, Workload};

/// Options of the small `black_scholes`.
const OPTIONS: usize = 4096;

/// A piece: its name, how it is made ready, what is counted and how often that is done.
pub struct Counted {
    /// The name in the table of counts.
    pub name: &'static str,
    make: fn(&Config) -> Result<Box<dyn Workload>, String>,
    work: fn(&mut dyn Workload) -> Result<(), String>,
    times: usize,
}

/// One thread: helpers spin by the clock.
const ALONE: Config = Config { threads: 1 };

fn by_name(name: &str, config: &Config) -> Result<Box<dyn Workload>, String> {
    build(name).ok_or("the workload is gone")?(config)
}

/// What is counted.
pub const COUNTED: [Counted; 7] = [
    Counted {
        name: "tiny",
        make: |c| by_name("tiny", c),
        work: |w| w.step(),
        times: 200,
    },
    Counted {
        name: "tiny_define_by_run",
        make: |c| by_name("tiny_define_by_run", c),
        work: |w| w.step(),
        times: 200,
    },
    Counted {
        name: "scalar_chain",
        make: |c| by_name("scalar_chain", c),
        work: |w| w.step(),
        times: 20,
    },
    Counted {
        name: "scalar_chain_compile",
        make: |c| by_name("scalar_chain", c),
        work: |w| w.compile(),
        times: 2,
    },
    Counted {
        name: "black_scholes_4k",
        make: |c| {
            let work = programs::black_scholes::<f32>(c, OPTIONS).map_err(text)?;
            Ok(Box::new(work))
        },
        work: |w| w.step(),
        times: 20,
    },
    Counted {
        name: "mlp_b64",
        make: |c| by_name("mlp_b64", c),
        work: |w| w.step(),
        times: 2,
    },
    Counted {
        name: "mlp_b64_compile",
        make: |c| by_name("mlp_b64", c),
        work: |w| w.compile(),
        times: 2,
    },
];

impl Counted {
    /// Makes it ready, does it twice, and then as often as it counts, within [`counted_region`].
    ///
    /// # Errors
    /// What stops it.
    pub fn run(&self) -> Result<(), String> {
        let mut work = (self.make)(&ALONE)?;
        work.reset()?;
        (self.work)(work.as_mut())?;
        (self.work)(work.as_mut())?;
        counted_region(work.as_mut(), self.work, self.times)
    }
}

/// The counter runs while this does: it knows it by its name.
#[inline(never)]
fn counted_region(
    work: &mut dyn Workload,
    each: fn(&mut dyn Workload) -> Result<(), String>,
    times: usize,
) -> Result<(), String> {
    for _ in 0..times {
        each(work)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_runs() {
        for piece in &COUNTED {
            assert_eq!(piece.run(), Ok(()), "{}", piece.name);
        }
    }
}
