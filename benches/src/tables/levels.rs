//! Every instruction-set level that this machine has.

use super::{Context, Table};
use crate::cli::Options;
use crate::figure::duration;
use retrograde_ops::Level;

pub(super) fn table(context: &Context<'_>) -> Table {
    let levels = Level::available();
    let mut table = Table {
        title: "Instruction-set levels".into(),
        about: "The same build, forced to each level that this machine has: which one is used is decided when a program \
                starts. The last column is the widest level's gain over the narrowest."
            .into(),
        head: vec!["workload"],
        ..Table::default()
    };
    table.head.extend(levels.iter().map(|l| l.name()));
    table.head.push("gain");
    for spec in &context.options.workloads {
        let mut row = vec![spec.name.to_owned()];
        let mut times = Vec::new();
        for &level in &levels {
            (context.progress)(&format!("{} at {level}", spec.name));
            let options = Options {
                level,
                ..context.options.clone()
            };
            match context.ours_on(spec.name, &options) {
                Ok(figure) => {
                    row.push(figure.valid_best().map_or("wrong".into(), duration));
                    times.extend(figure.valid_best());
                }
                Err(message) => row.push(message),
            }
        }
        match times.as_slice() {
            [narrowest, .., widest] if times.len() == levels.len() => {
                row.push(format!("{:.2}", narrowest / widest));
                if *widest > 1.1 * narrowest {
                    let name = spec.name;
                    table.weak.push(format!(
                        "{name}: the widest level is slower than the narrowest"
                    ));
                }
            }
            _ => row.push("-".into()),
        }
        table.rows.push(row);
    }
    table
}
