//! Measures what is no workload, for the report's tables: `probe NAME` prints one line of JSON.

use retrograde_benches::cli::Options;
use retrograde_benches::counting::Counting;
use retrograde_benches::tables::{ceilings, growth, independent, overhead, steady};
use retrograde_benches::{levels, main_with};
use serde::Serialize;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> ExitCode {
    main_with(|| {
        let mut args = std::env::args().skip(1);
        let name = args.next().ok_or("what to probe is missing")?;
        let options = Options::parse(args)?;
        if !levels::is_set(options.level) {
            return levels::again(options.level);
        }
        let line = match name.as_str() {
            "ceilings" => line(&ceilings::measure(&options)),
            "growth" => line(&growth::measure(&options)?),
            "independent" => line(&independent::measure(&options)?),
            "overhead" => line(&overhead::measure(&options)?),
            "steady" => line(&steady::measure(&options)?),
            _ => Err(format!("nothing to probe is called `{name}`")),
        };
        println!("{}", line?);
        Ok(true)
    })
}

fn line(found: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(found).map_err(|e| e.to_string())
}
