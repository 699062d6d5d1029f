//! The workloads on Retrograde, written as a user would write them, on the public API alone.

pub mod counted;
mod gmm;
mod gpt;
pub mod growth;
mod lenet;
mod logreg;
mod mlp;
pub mod overhead;
mod programs;
mod replay;
mod scalar;
mod training;

pub use overhead::reset_often;

use crate::inputs::OPTIONS;
use crate::workload::Build;

/// Each workload of [`SPECS`](crate::spec::SPECS) by its name.
pub const RETROGRADE: &[(&str, Build)] = &[
    ("tiny", |c| Ok(Box::new(programs::tiny(c).map_err(text)?))),
    ("tiny_define_by_run", |c| {
        Ok(Box::new(scalar::TinyDefineByRun::new(c)))
    }),
    ("scalar_chain", |c| {
        Ok(Box::new(programs::scalar_chain(c).map_err(text)?))
    }),
    ("chain_4m", |c| {
        Ok(Box::new(programs::chain(c).map_err(text)?))
    }),
    ("black_scholes_1m", |c| {
        Ok(Box::new(
            programs::black_scholes::<f32>(c, OPTIONS).map_err(text)?,
        ))
    }),
    ("black_scholes_1m_f64", |c| {
        Ok(Box::new(
            programs::black_scholes::<f64>(c, OPTIONS).map_err(text)?,
        ))
    }),
    ("mc_asian", |c| {
        Ok(Box::new(programs::asian(c).map_err(text)?))
    }),
    ("mlp_b64", |c| Ok(Box::new(mlp::mlp(c, 64).map_err(text)?))),
    ("mlp_b512", |c| {
        Ok(Box::new(mlp::mlp(c, 512).map_err(text)?))
    }),
    ("lenet_b64", |c| {
        Ok(Box::new(lenet::lenet(c, 64).map_err(text)?))
    }),
    ("gpt", |c| Ok(Box::new(gpt::gpt(c).map_err(text)?))),
    ("gmm_f64", |c| Ok(Box::new(gmm::gmm(c).map_err(text)?))),
    ("logreg_hvp_f64", |c| {
        Ok(Box::new(logreg::logreg(c).map_err(text)?))
    }),
];

/// How the workload of that name is made ready.
pub fn build(name: &str) -> Option<Build> {
    RETROGRADE.iter().find(|row| row.0 == name).map(|row| row.1)
}

/// Errors end up in a row of the report.
fn text(error: retrograde::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::SPECS;

    #[test]
    fn every_workload_is_ours_too() {
        let ours: Vec<_> = RETROGRADE.iter().map(|r| r.0).collect();
        let specs: Vec<_> = SPECS.iter().map(|s| s.name).collect();
        assert_eq!(ours, specs);
    }
}
