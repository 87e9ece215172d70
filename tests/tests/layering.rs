//! ARCHITECTURE.md's order of crates, read from the manifests, from what Cargo builds, and from the sources (I1, I2, I5, I6).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "tests say what they expect by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const PURE: [&str; 5] = ["model", "plan", "proto", "door", "session"];
/// What a pure crate may not even reach through others: browser, GPU, event loops, randomness.
const IMPURE_CRATES: [&str; 8] = [
    "getrandom",
    "js-sys",
    "rand",
    "tokio",
    "wasm-bindgen",
    "web-sys",
    "web-time",
    "wgpu",
];
const IMPURE_PATHS: [&str; 7] = [
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Direct dependencies of a package, for all targets, without those of its tests.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            let (table, name) = match section.split_once("dependencies.") {
                Some((before, name)) => (format!("{before}dependencies"), Some(name)),
                None => (section.to_owned(), None),
            };
            inside = table == "dependencies" || table.ends_with(".dependencies");
            found.extend(name.filter(|_| inside).map(str::to_owned));
            inside &= name.is_none();
        } else if inside && line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            let end = line.find(['.', '=', ' ']).expect("a key has a value");
            found.insert(line[..end].to_owned());
        }
    }
    found
}

/// Our own packages: where they are, and what they depend on.
fn packages() -> BTreeMap<String, (PathBuf, BTreeSet<String>)> {
    let root = read(&workspace().join("Cargo.toml"));
    let (_, members) = root
        .split_once("members = [")
        .expect("a workspace has members");
    let (members, _) = members.split_once(']').expect("a list ends");
    let folders = members.split('"').skip(1).step_by(2);
    folders
        .map(|folder| {
            let folder = workspace().join(folder);
            let manifest = read(&folder.join("Cargo.toml"));
            let name = manifest
                .lines()
                .find_map(|line| line.strip_prefix("name = \""))
                .expect("a package has a name");
            let name = name.trim_end_matches('"').to_owned();
            (name, (folder, dependencies(&manifest)))
        })
        .collect()
}

/// Everything that Cargo builds into `of`, for this machine or for a browser; the lock file also has what only features bring.
fn built(of: &[&str]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for target in [None, Some("wasm32-unknown-unknown")] {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["tree", "--locked", "--edges", "normal", "--prefix", "none"]);
        cargo
            .args(of)
            .args(target.iter().flat_map(|target| ["--target", target]));
        let told = cargo.current_dir(workspace()).output().expect("cargo runs");
        let errors = String::from_utf8_lossy(&told.stderr);
        assert!(told.status.success(), "cargo tree {of:?}: {errors}");
        let lines = String::from_utf8(told.stdout).expect("names of packages");
        names.extend(
            lines
                .lines()
                .filter_map(|line| Some(line.split(' ').next()?.to_owned())),
        );
    }
    names
}

/// Every Rust source under `folder`, without comments.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = read(&path);
                let code = text
                    .lines()
                    .map(|line| line.split("//").next().unwrap_or(line));
                let code = code.collect::<Vec<_>>().join("\n");
                found.push((path, code));
            }
        }
    }
    assert!(!found.is_empty(), "{} has no sources", folder.display());
    found
}

#[test]
fn dependencies_between_our_crates_follow_the_architecture() {
    let ours = packages();
    let allowed = |name: &str| match name {
        "model" => &[][..],
        // Text reads vocabularies out of model files; the server chunks and hashes the files.
        "plan" | "engine" | "text" | "signaling-server" => &["model"][..],
        "proto" => &["model", "plan"][..],
        "door" => &["plan", "proto"][..],
        "session" => &["model", "plan", "proto", "door"][..],
        // The edges of the workspace may use what they like, except each other.
        _ => &[
            "model", "plan", "proto", "door", "session", "engine", "text",
        ][..],
    };
    for (name, (_, needed)) in &ours {
        for needed in needed.iter().filter(|needed| ours.contains_key(*needed)) {
            assert!(
                allowed(name).contains(&needed.as_str()),
                "{name} may not depend on {needed}"
            );
        }
    }
}

#[test]
fn the_server_reaches_nothing_that_understands_prompts() {
    let reached = built(&["--package", "signaling-server"]);
    assert!(reached.contains("tokio"), "nothing was read");
    for name in [
        "text",
        "session",
        "door",
        "engine",
        "plan",
        "proto",
        "tokenizers",
        "wgpu",
    ] {
        assert!(!reached.contains(name), "signaling-server reaches {name}");
    }
}

#[test]
fn pure_crates_reach_no_browser_gpu_event_loop_or_randomness() {
    for name in PURE {
        let reached = built(&["--package", name]);
        assert!(reached.contains("serde"), "nothing was read");
        for impure in IMPURE_CRATES {
            assert!(!reached.contains(impure), "{name} reaches {impure}");
        }
    }
}

#[test]
fn pure_crates_use_no_clock_thread_or_file() {
    let ours = packages();
    for name in PURE {
        for (path, code) in sources(&ours[name].0.join("src")) {
            for impure in IMPURE_PATHS {
                assert!(!code.contains(impure), "{} uses {impure}", path.display());
            }
        }
    }
}

#[test]
fn the_session_is_the_same_code_everywhere() {
    let (folder, _) = &packages()["session"];
    assert!(
        !read(&folder.join("Cargo.toml")).contains("[features]"),
        "session has features"
    );
    for (path, code) in sources(&folder.join("src")) {
        let branches = code.matches("cfg").count() - code.matches("#[cfg(test)]").count();
        assert_eq!(branches, 0, "{} has a cfg branch", path.display());
    }
}

/// Burn takes minutes to compile and weighs more than everything else: nobody has it who did not ask, and one module uses it.
#[test]
fn one_module_of_the_engine_names_burn_and_nothing_has_it_by_default() {
    let of_burn = |name: &&String| name.starts_with("burn-") || name.starts_with("cubecl");
    let default = built(&["--workspace"]);
    assert!(default.contains("wgpu"), "nothing was read");
    assert_eq!(default.iter().find(of_burn), None);
    for (name, (folder, needed)) in packages() {
        assert!(
            name == "engine" || !needed.iter().any(|needed| of_burn(&needed)),
            "{name} depends on Burn"
        );
        for (path, code) in sources(&folder.join("src")) {
            let names_it = code.contains("burn_") || code.contains("cubecl");
            let may = path.starts_with(workspace().join("crates/engine/src/burn"));
            assert!(!names_it || may, "{} names Burn", path.display());
        }
    }
}

#[test]
fn there_is_one_wgpu() {
    let lock = read(&workspace().join("Cargo.lock"));
    assert_eq!(lock.matches("name = \"wgpu\"\n").count(), 1);
}

#[test]
fn manifests_are_read_as_cargo_reads_them() {
    let manifest = "
[package]
name = \"a\"
[dependencies]
b.workspace = true
c = { version = \"1\", features = [
    \"d\",
] }
[dependencies.e]
features = [\"f\"]
[dev-dependencies]
g = \"1\"
[target.'cfg(unix)'.dependencies]
h = \"1\"
[target.'cfg(unix)'.dev-dependencies.i]
version = \"1\"
";
    let expected = ["b", "c", "e", "h"].map(str::to_owned);
    assert_eq!(dependencies(manifest), BTreeSet::from(expected));
}
