//! The report: what was measured, compared and by what machine, as Markdown and as a page.

mod bars;
mod facts;
mod html;
mod markdown;
pub mod plot;

pub use facts::{date, facts};

use crate::figure::{Figure, duration};
use crate::spec::Spec;
use crate::tables::Table;

/// Name of our rows.
const OURS: &str = "retrograde";
/// Name of the reference's rows, which count for no ratio.
const HAND: &str = "hand";

/// Everything one run found.
pub struct Report {
    /// Machine, build and method, as label and value.
    pub facts: Vec<(String, String)>,
    /// One a workload.
    pub comparisons: Vec<Comparison>,
    /// What else was measured.
    pub tables: Vec<Table>,
    /// Peers that were not measured, and why.
    pub skipped: Vec<(&'static str, String)>,
    /// Short batches: the figures are a smoke test.
    pub quick: bool,
}

impl Report {
    /// What is short of its aim, a sentence each: marks missed, failures, and what the tables find.
    pub fn weak(&self) -> Vec<String> {
        let of_workloads = self.comparisons.iter().filter_map(|c| {
            let name = c.spec.name;
            match (c.ours(), c.is_met()) {
                (None, _) => Some(format!("{name}: no valid figure of ours")),
                (_, Some(false)) => Some(format!("{name}: {}", c.verdict())),
                _ => None,
            }
        });
        let of_tables = self.tables.iter().flat_map(|t| t.weak.iter().cloned());
        of_workloads.chain(of_tables).collect()
    }
}

/// One workload: everybody's figures.
pub struct Comparison {
    /// The workload.
    pub spec: Spec,
    /// Every figure in the order measured; ours more than once.
    pub figures: Vec<Figure>,
}

/// Somebody's best valid time.
pub struct Standing<'a> {
    /// The figure it comes from.
    pub figure: &'a Figure,
    /// Seconds a step.
    pub best: f64,
}

impl Comparison {
    /// Of one workload's figures.
    pub fn new(spec: &Spec, figures: Vec<Figure>) -> Self {
        Self {
            spec: *spec,
            figures,
        }
    }

    /// The best valid time of ours.
    pub fn ours(&self) -> Option<Standing<'_>> {
        self.best_of(|name| name == OURS)
    }

    /// The best valid time of any peer.
    pub fn best_peer(&self) -> Option<Standing<'_>> {
        self.best_of(|name| name != OURS && name != HAND)
    }

    /// How many times faster ours is than the best peer.
    pub fn ratio(&self) -> Option<f64> {
        Some(self.best_peer()?.best / self.ours()?.best)
    }

    /// Whether the mark is met, where there is a peer.
    pub fn is_met(&self) -> Option<bool> {
        self.ratio().map(|r| r >= self.spec.mark)
    }

    /// Everybody's best valid time, fastest first.
    pub fn standings(&self) -> Vec<Standing<'_>> {
        let mut names: Vec<&str> = self.figures.iter().map(|f| f.peer.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let mut all: Vec<_> = names
            .iter()
            .filter_map(|n| self.best_of(|m| m == *n))
            .collect();
        all.sort_by(|a, b| a.best.total_cmp(&b.best));
        all
    }

    /// One line: the ratio, against whom, and whether the mark is met.
    pub fn verdict(&self) -> String {
        match (self.ours(), self.best_peer()) {
            (Some(ours), Some(peer)) => {
                let ratio = peer.best / ours.best;
                let mark = self.spec.mark;
                let met = if ratio >= mark { "met" } else { "missed" };
                format!(
                    "{ratio:.2}x the best peer ({}, {}), mark {mark}x {met}",
                    peer.figure.peer,
                    duration(peer.best)
                )
            }
            (Some(_), None) => "no peer measured".into(),
            (None, _) => "no figure of ours".into(),
        }
    }

    fn best_of(&self, wanted: impl Fn(&str) -> bool) -> Option<Standing<'_>> {
        self.figures
            .iter()
            .filter(|f| wanted(&f.peer))
            .filter_map(|figure| figure.valid_best().map(|best| Standing { figure, best }))
            .min_by(|a, b| a.best.total_cmp(&b.best))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::figure::Check;
    use crate::spec;

    pub(crate) fn figure(peer: &str, best: f64, check: Check) -> Figure {
        Figure {
            peer: peer.into(),
            threads: 2,
            level: "avx512".into(),
            workload: "mlp_b64".into(),
            best_s: Some(best),
            median_s: Some(best * 1.1),
            check,
            error: Some(1e-7),
            ..Figure::default()
        }
    }

    pub(crate) fn comparison() -> Comparison {
        let figures = vec![
            figure("retrograde", 0.5e-3, Check::Pass),
            figure("hand", 0.1e-3, Check::Pass),
            figure("torch", 0.8e-3, Check::Pass),
            figure("jax", 0.1e-3, Check::Fail),
            figure("retrograde", 0.4e-3, Check::Pass),
        ];
        Comparison::new(spec::find("mlp_b64").unwrap(), figures)
    }

    /// Of one comparison and one table.
    pub(crate) fn report() -> Report {
        let table = Table {
            title: "Growth".into(),
            about: "`x` grows".into(),
            head: vec!["n", "ms"],
            rows: vec![vec!["1".into(), "2".into()]],
            weak: vec!["it grows".into()],
            ..Table::default()
        };
        Report {
            facts: Vec::new(),
            comparisons: vec![comparison()],
            tables: vec![table],
            skipped: Vec::new(),
            quick: false,
        }
    }

    #[test]
    fn ratio_is_of_the_best_valid_figures() {
        let c = comparison();
        assert!((c.ratio().unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(
            c.verdict(),
            "2.00x the best peer (torch, 800 us), mark 2x met"
        );
        let order: Vec<_> = c
            .standings()
            .iter()
            .map(|s| s.figure.peer.clone())
            .collect();
        assert_eq!(order, ["hand", "retrograde", "torch"]);
    }

    #[test]
    fn a_wrong_result_of_ours_is_no_figure() {
        let mut c = comparison();
        c.figures.retain(|f| f.peer != "retrograde");
        c.figures.push(figure("retrograde", 1e-9, Check::Fail));
        assert_eq!(
            (c.ratio(), c.verdict().as_str()),
            (None, "no figure of ours")
        );
    }
}
