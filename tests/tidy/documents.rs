//! What documents may not get wrong unnoticed: paths that they cite, and names of packages, which stand in one list.

use super::files::root;
use std::path::Path;

/// Where a cited path may point without being there: what is built or recorded.
const MADE_LATER: [&str; 6] = [
    "target/",
    "web/dist",
    "web/node_modules",
    ".cache",
    "perch-data",
    "fuzz/corpus",
];
/// Folders whose name alone makes a word a path of the repository, besides those that are there.
const FOLDERS: [&str; 11] = [
    "src/",
    "web/",
    "tests/",
    "scripts/",
    "benches/",
    "systemd/",
    "docs/",
    "board/",
    "fuzz/",
    ".ci/",
    "yocto-layer/",
];
/// A word with such an end and without a folder is a file at the root or beside the document.
const ENDS: [&str; 5] = [".md", ".toml", ".rs", ".mjs", ".lock"];

/// The paths that a line cites: first words in `code` marks, and targets of links.
fn cited(line: &str) -> Vec<&str> {
    let in_code = line.split('`').skip(1).step_by(2);
    let in_links = line
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    in_code
        .filter_map(|code| code.split_whitespace().next())
        .map(|word| word.strip_prefix("./").unwrap_or(word))
        .filter(|word| {
            !word.contains(['*', '<', '{', '$', ':', '…'])
                && (FOLDERS.iter().any(|folder| word.starts_with(folder))
                    || (!word.contains('/') && ENDS.iter().any(|end| word.ends_with(end))))
        })
        .chain(in_links.filter(|target| !target.contains(':') && !target.starts_with('#')))
        .map(|path| path.split('#').next().unwrap_or(path))
        .filter(|path| !MADE_LATER.iter().any(|made| path.starts_with(made)))
        .collect()
}

pub(crate) fn check_citations(document: &str, text: &str) -> Vec<String> {
    let beside = root().join(document);
    let beside = beside.parent().unwrap_or(Path::new("."));
    let mut findings = Vec::new();
    let mut fenced = false;
    for (n, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for path in cited(line) {
            if !root().join(path).exists() && !beside.join(path).exists() {
                findings.push(format!("{document}:{}: there is no `{path}`", n + 1));
            }
        }
    }
    findings
}

/// Names of libraries and plugins in the list: words that stand for nothing but a package.
fn packages(list: &str) -> impl Iterator<Item = &str> {
    list.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().nth(1))
        .flat_map(|names| names.split('|'))
        .filter(|name| name.starts_with("lib") || name.starts_with("gstreamer1.0-"))
}

pub(crate) fn check_packages(list: &str, file: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (n, line) in text.lines().enumerate() {
        for name in packages(list) {
            if line.contains(name) {
                findings.push(format!(
                    "{file}:{}: names the package {name}; scripts/packages is the place for it",
                    n + 1
                ));
            }
        }
    }
    findings
}

#[test]
fn a_path_that_is_not_there_is_found() {
    let check = |text, expected: usize| {
        let findings = check_citations("README.md", text);
        assert_eq!(findings.len(), expected, "{text}: {findings:?}");
    };
    check("see `src/lib.rs`, `./scripts/run --x`, `Cargo.toml`", 0);
    check("see `src/gone.rs` and `gone.toml`", 2);
    check("run `docs/gone`", 1);
    check(
        "`web/dist`, `target/x`, `/etc/perch/perch.toml`, `src/*.rs`",
        0,
    );
    check(
        "[here](src/lib.rs#x) [there](https://example.org/src) [up](#top)",
        0,
    );
    check("![gone](docs/gone.jpg)", 1);
    check("```\n`src/gone.rs`\n```\n", 0);
}

#[test]
fn a_package_named_twice_is_found() {
    let list = "# purpose\nbuild libx-dev - why\nrun gstreamer1.0-a|b cmd why\nrun git git why\n";
    assert_eq!(check_packages(list, "a", "apt install git x").len(), 0);
    assert_eq!(
        check_packages(list, "a", "needs libx-dev\nand gstreamer1.0-a").len(),
        2
    );
}
