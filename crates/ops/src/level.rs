//! The SIMD level: one choice decides kernels and products alike.

use std::fmt;

/// An instruction-set level, widest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    /// 128-bit vectors that every machine of the architecture has: SSE2 on x86-64. No fused multiply-add.
    Baseline,
    /// `AArch64`'s 128-bit vectors with fused multiply-add.
    Neon,
    /// 256-bit vectors with fused multiply-add (x86-64-v3).
    Avx2,
    /// 512-bit vectors (Ice Lake and later).
    Avx512,
}

impl Level {
    /// The widest level of this machine.
    pub fn detect() -> Self {
        let found = fearless_simd::Level::new();
        #[cfg(target_arch = "x86_64")]
        {
            if found.as_avx512().is_some() {
                return Self::Avx512;
            }
            if found.as_avx2().is_some() {
                return Self::Avx2;
            }
        }
        #[cfg(target_arch = "aarch64")]
        if found.as_neon().is_some() {
            return Self::Neon;
        }
        let _ = found;
        Self::Baseline
    }

    /// Every level this machine can run, narrowest first.
    pub fn available() -> Vec<Self> {
        let best = Self::detect();
        [Self::Baseline, Self::Neon, Self::Avx2, Self::Avx512]
            .into_iter()
            .filter(|&l| l.runs_on(best))
            .collect()
    }

    /// Whether a machine whose widest level is `best` can run this one.
    pub fn runs_on(self, best: Self) -> bool {
        match self {
            Self::Baseline => true,
            Self::Neon => best == Self::Neon,
            Self::Avx2 => best >= Self::Avx2,
            Self::Avx512 => best == Self::Avx512,
        }
    }

    /// The name used in reports and by `RETROGRADE_LEVEL`: `sse2`, `neon`, `avx2`, `avx512` (`scalar` off x86-64).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baseline if cfg!(target_arch = "x86_64") => "sse2",
            Self::Baseline => "scalar",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The level of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Baseline, Self::Neon, Self::Avx2, Self::Avx512]
            .into_iter()
            .find(|l| l.name() == name)
    }

    /// The library's token for this level, or its baseline where the machine lacks it (never a wider one).
    pub fn token(self) -> fearless_simd::Level {
        let best = fearless_simd::Level::new();
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => best.as_avx512().map_or(
                fearless_simd::Level::baseline(),
                fearless_simd::Level::Avx512,
            ),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => best
                .as_avx2()
                .map_or(fearless_simd::Level::baseline(), fearless_simd::Level::Avx2),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => best
                .as_neon()
                .map_or(fearless_simd::Level::baseline(), fearless_simd::Level::Neon),
            _ => {
                let _ = best;
                fearless_simd::Level::baseline()
            }
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Runs `$body` with `$simd` bound to the token of a [`Level`], compiled once for each of our levels.
///
/// Our own rather than `fearless_simd::dispatch!`: that one compiles SSE4.2 too, which would be a fourth copy of every
/// kernel for machines older than 2013 that SSE2 serves. Exported for the tests of this crate.
#[doc(hidden)]
#[macro_export]
macro_rules! at_level {
    ($level:expr, $simd:ident => $body:expr) => {{
        match $level.token() {
            #[cfg(target_arch = "x86_64")]
            fearless_simd::Level::Avx512($simd) => $body,
            #[cfg(target_arch = "x86_64")]
            fearless_simd::Level::Avx2($simd) => $body,
            #[cfg(target_arch = "x86_64")]
            fearless_simd::Level::Sse2($simd) => $body,
            #[cfg(target_arch = "aarch64")]
            fearless_simd::Level::Neon($simd) => $body,
            #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
            other => fearless_simd::dispatch!(other, $simd => $body),
            #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
            _ => unreachable!("Level::token returns the levels above only"),
        }
    }};
}
