//! Tells the library how it is optimised, which it cannot see by itself: a debug build of a dependency is slow, and
//! `build_info` should say so.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let level = std::env::var("OPT_LEVEL").unwrap_or_default();
    println!("cargo::rustc-env=RETROGRADE_OPT_LEVEL={level}");
}
