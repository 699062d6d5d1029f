//! Gradient over value, of our own replay.

use super::{Table, or_dash};
use crate::figure::duration;
use crate::report::Comparison;

/// The bound on the operations of a reverse sweep over those of the function (Griewank and Walther 2008, chapter 4).
const BOUND: f64 = 5.0;

pub(super) fn table(comparisons: &[Comparison]) -> Table {
    let mut table = Table {
        title: "Gradient over value".into(),
        about: "How much longer value and all derivatives take than the value alone, both replayed by Retrograde. Theory \
                bounds the operations of a gradient by 4 to 5 times those of the function; tools that record a tape take 4 \
                to 30 times as long. A training step counts its update too; the Hessian-vector product is compared with \
                the plain loss."
            .into(),
        head: vec!["workload", "value", "value and derivatives", "ratio"],
        ..Table::default()
    };
    for comparison in comparisons {
        let Some(ours) = comparison.ours() else {
            continue;
        };
        let ratio = ours.figure.primal_s.map(|value| ours.best / value);
        table.rows.push(vec![
            comparison.spec.name.into(),
            or_dash(ours.figure.primal_s.map(duration)),
            duration(ours.best),
            or_dash(ratio.map(|r| format!("{r:.2}"))),
        ]);
        if let Some(r) = ratio.filter(|&r| r > BOUND) {
            let name = comparison.spec.name;
            table.weak.push(format!(
                "{name}: derivatives take {r:.1} times as long as the value alone, more than the {BOUND} of theory"
            ));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Check;
    use crate::report::tests::figure;
    use crate::spec;

    #[test]
    fn a_dear_gradient_is_named() {
        let of = |primal_s| {
            let mut ours = figure("retrograde", 1e-3, Check::Pass);
            ours.primal_s = primal_s;
            table(&[Comparison::new(spec::find("mlp_b64").unwrap(), vec![ours])])
        };
        assert_eq!(of(Some(4e-4)).rows[0][3], "2.50");
        assert!(of(Some(4e-4)).weak.is_empty());
        assert!(of(Some(1e-4)).weak[0].contains("10.0 times as long"));
        assert_eq!(of(None).rows[0][3], "-");
    }
}
