//! Whole-library tests: what is promised to users, whatever code keeps the promise.
//!
//! # Contracts and their tests
//!
//! Each row names the tests that guard a contract and what was broken, once, to see them fail.
//!
//! | contract | tests | seen to fail with |
//! |---|---|---|
//! | 1. The same bits for any thread count, tile and run | `engines`: `options_*`; `ops`: `long_sums_..`, `random_bits_..` | accumulators chosen by a packet's place in its tile instead of its chunk |
//! | 2. Planned = pinned and poisoned = unfused = unoptimised = tape = recording anew; levels agree | `corpus`; `engines`; `properties`: `a_replay_..`, `tapes_agree_with_the_reference` | buffers freed one step early; a folded sum with the wrong sign |
//! | 3. A steady state allocates nothing, nothing recurses, memory stays flat | `allocations`; `scale` | a vector allocated in every run; a tape whose reset keeps its data |
//! | 4. No panic through the public API | `hostile` | `x.at(0, isize::MAX)` adding 1 to its index |
//! | 5. A branch masked off contributes exactly zero | `semantics`: `inactive_branches_..`; `properties`: `a_masked_branch_..`; the graph's `kinks` | gates that take a select's result for dense; adjoint recurrences by plain products |
//! | 6. Gradients accumulate until zeroed | `semantics`: `gradients_accumulate_..`; `properties`: `backward_accumulates` | a gradient slot that is overwritten |
//! | 7. Every operator: values, both derivatives, `f32`, edge cases | `corpus`; `ops`; `properties`; the graph's `differences` and `kinks` | a wrong slope of `tan`, `relu'(0) = 1`, a softmax rule without its mean |
//!
//! # Edge cases of operators
//!
//! | case | tests in `ops` unless said |
//! |---|---|
//! | all operators, ranks, views, engines, precisions, levels | `corpus` (the cases are in [`corpus`]) |
//! | ranks, extents of 1 and 0, lengths around lanes, chunks and blocks | `corpus`, `reductions`, `rows`, `moves::of_nothing`, `lengths` |
//! | broadcast pairs in both orders | `binary` |
//! | one value as both operands, fan-out | `unary` (`x / x`, ..), `products`, `structured` |
//! | constants on either side | `semantics::constants_cost_nothing` |
//! | views as operands | `unary::unary_of_views`, `moves` |
//! | differences, closed forms, forward against reverse, symmetric second order | `derivatives`, `unary::slopes_in_closed_form`, `linalg`, `properties` |
//! | where there is no derivative: by run, compiled, of a batch, forward | `kinks` |
//! | linear in the seed, a zero seed, ends of domains | `properties`, `special`, `kinks` |
//! | infinities and NaN | `special`, `rows::extreme_rows`, `losses::extreme_logits`, `sorting` |
//! | indices: repeated, negative, none, out of range | `indexing` |
//! | windows: stride, padding, dilation, groups, ties | `conv`, `pool` |
//! | long sums | `reductions::long_sums_..` |
//! | replays, options, threads | `engines`, `properties`, `hostile::calls_agree_..` |
//! | branches and loops on values | `properties::branches` |
//! | a million instructions, 100,000 steps | `scale` |
//! | wrong input | `mistakes`, `hostile`, [`misuse`] (what must not compile), `vmap::mistakes`, the graph's `var::tests` |
//!
//! Oracles are loops in `f64` beside the tests, the standard library's functions, and the reference evaluator of the
//! graph crate, which shares no code with passes, planner and kernels.
//!
//! `RETROGRADE_CASES=5000` tries that many new random programs; without it they are few and always the same.
//! `UPDATE=1` rewrites the golden listings.

pub mod bits;
pub mod calls;
pub mod corpus;
pub mod derivatives;
pub mod misuse;
pub mod random;
pub mod variants;

/// How many random cases a test tries: `few`, or as many as `RETROGRADE_CASES` asks for, which are then new ones each
/// time.
pub fn cases(few: u32) -> u32 {
    asked().unwrap_or(few)
}

/// Whether `RETROGRADE_CASES` asks for new random cases.
pub fn explores() -> bool {
    asked().is_some()
}

fn asked() -> Option<u32> {
    std::env::var("RETROGRADE_CASES").ok()?.parse().ok()
}
