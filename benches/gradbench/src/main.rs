//! GradBench's protocol on standard input and output: a message a line in, a response a line out.

use std::io::{self, BufRead, Write};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().split(b'\n') {
        let line = line?;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        writeln!(out, "{}", retrograde_gradbench::answer(&line))?;
        out.flush()?;
    }
    Ok(())
}
