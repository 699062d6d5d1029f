//! The pages that map other libraries' names to ours name only what there is. (Their links, which `cargo doc` checks, are
//! written by hand; this finds a stale one without building the documentation.)

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// `crates/`.
fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates")
}

/// The text of every source file below a folder.
fn sources(folder: &Path, texts: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the folder of a crate") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            sources(&path, texts);
        } else if path.extension().is_some_and(|e| e == "rs") {
            texts.push(fs::read_to_string(path).expect("text"));
        }
    }
}

/// The identifier that `text` begins with.
fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The type that a line `impl<..> Type<..> {` is about, or the trait that is declared.
fn subject(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix("pub trait ") {
        return Some(identifier(rest));
    }
    let mut rest = line.strip_prefix("impl")?;
    if rest.starts_with('<') {
        let mut depth = 0;
        let close = rest.find(|c| {
            depth += i32::from(c == '<') - i32::from(c == '>');
            depth == 0
        })?;
        rest = &rest[close + 1..];
    }
    let rest = rest.split_once(" for ").map_or(rest, |(_, of)| of);
    Some(identifier(rest.trim_start()))
}

/// Public items as `name`, methods as `Type::name`.
fn items(texts: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for text in texts {
        let (mut of, mut is_table) = (None, false);
        for line in text.lines() {
            if line == "}" {
                (of, is_table) = (None, false);
            }
            if let Some(subject) = subject(line) {
                of = Some(subject);
            }
            // A typed id: `Name, "prefix"`.
            if let Some((name, _)) = line.trim().split_once(", \"")
                && identifier(name) == name
            {
                found.insert(name.to_owned());
            }
            if line.starts_with("unary_methods! {") {
                (of, is_table) = (Some("Var"), true);
            }
            let inner = line.trim_start();
            let word = [
                "pub fn ",
                "fn ",
                "pub struct ",
                "pub enum ",
                "pub trait ",
                "pub mod ",
                "pub const ",
                "pub type ",
            ]
            .iter()
            .find_map(|start| inner.strip_prefix(start))
            .or_else(|| inner.contains(" => ").then_some(inner).filter(|_| is_table));
            if let Some(word) = word {
                let name = identifier(word);
                found.insert(of.map_or_else(|| name.to_owned(), |of| format!("{of}::{name}")));
                if line.starts_with("pub trait ") {
                    found.insert(name.to_owned());
                }
            }
        }
    }
    found
}

/// The names linked on a page: what stands between ``[` `` and `` `] ``.
fn linked(page: &str) -> Vec<&str> {
    page.split("[`")
        .skip(1)
        .filter_map(|rest| rest.split_once("`]"))
        .map(|(name, _)| name)
        .collect()
}

fn check(page: &str, least: usize, folders: &[&str]) {
    let mut texts = Vec::new();
    for folder in folders {
        sources(&crates().join(folder).join("src"), &mut texts);
    }
    let items = items(&texts);
    let page = fs::read_to_string(crates().join(page)).expect("the page");
    let names = linked(&page);
    assert!(
        names.len() >= least,
        "the page links only {} names",
        names.len()
    );
    let missing: Vec<_> = names
        .iter()
        .filter(|name| {
            // `module::item` is found as the item.
            let last = name.rsplit("::").next().unwrap_or(name);
            !items.contains(**name)
                && !(name.starts_with(char::is_lowercase) && items.contains(last))
        })
        .collect();
    assert!(missing.is_empty(), "no such names: {missing:?}");
}

#[test]
fn of_the_engine() {
    check(
        "retrograde/docs/names.md",
        200,
        &["storage", "graph", "retrograde"],
    );
}

#[test]
fn of_training() {
    check("nn/docs/names.md", 30, &["nn", "retrograde"]);
}

#[test]
fn the_search_knows_what_is_missing() {
    let text = "impl<'t, T: Float> Var<'t, T> {\n    pub fn exp(self) -> Self {\n    }\n}\nunary_methods! {\n    ln => Ln, 1.0 => 0.0, 1.0;\n}\npub fn root() {}\n";
    let found = items(&[text.to_owned()]);
    let expected = ["Var::exp", "Var::ln", "root"];
    assert_eq!(
        found.iter().map(String::as_str).collect::<Vec<_>>(),
        expected
    );
}
