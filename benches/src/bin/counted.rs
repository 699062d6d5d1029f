//! Does one of the pieces of work whose instructions `cargo xtask instructions` counts; `--list` prints their names.

use retrograde_benches::main_with;
use retrograde_benches::ours::counted::COUNTED;
use std::process::ExitCode;

fn main() -> ExitCode {
    main_with(|| {
        let wanted = std::env::args().nth(1).ok_or("a name is missing")?;
        if wanted == "--list" {
            for piece in &COUNTED {
                println!("{}", piece.name);
            }
            return Ok(true);
        }
        let piece = COUNTED.iter().find(|p| p.name == wanted);
        piece
            .ok_or_else(|| format!("nothing that is counted is called `{wanted}`"))?
            .run()?;
        Ok(true)
    })
}
