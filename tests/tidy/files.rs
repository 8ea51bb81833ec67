//! Which files belong to the repository, and what shape each has. Leaves out what is built or fetched.

use std::path::{Path, PathBuf};

/// A text file, its path relative to the repository's root with `/` between folders.
pub(crate) struct TextFile {
    pub path: String,
    pub text: String,
}

/// Folders of things that are built, fetched or recorded.
const NOT_OURS: [&str; 8] = [
    ".git",
    ".cache",
    "target",
    "node_modules",
    "dist",
    "perch-data",
    "artifacts",
    ".test",
];
/// Past this a file hides a second noun.
const LINES_MAX: usize = 700;

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn text_of(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn walk(folder: &Path, into: &mut Vec<TextFile>, wanted: &dyn Fn(&str) -> bool) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !NOT_OURS.contains(&name.as_ref()) && !path.is_symlink() {
                walk(&path, into, wanted);
            }
            continue;
        }
        let relative = path
            .strip_prefix(root())
            .expect("the walk starts at the root")
            .to_string_lossy()
            .into_owned();
        if wanted(&relative)
            && let Ok(text) = std::fs::read_to_string(&path)
        {
            into.push(TextFile {
                path: relative,
                text,
            });
        }
    }
}

fn collect(folder: &str, wanted: &dyn Fn(&str) -> bool) -> Vec<TextFile> {
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found, wanted);
    found
}

/// What the binary and the library are made of.
pub(crate) fn rust_sources() -> Vec<TextFile> {
    let found = collect("src", &|path| path.ends_with(".rs"));
    assert!(!found.is_empty(), "src holds no Rust file");
    found
}

/// Every Rust file, tests and benches too.
pub(crate) fn rust_files() -> Vec<TextFile> {
    collect("", &|path| path.ends_with(".rs"))
}

pub(crate) fn documents() -> Vec<TextFile> {
    collect("", &|path| path.ends_with(".md"))
}

/// Where a package could be named by mistake.
pub(crate) fn scripts_and_documents() -> Vec<TextFile> {
    collect("", &|path| {
        path != "scripts/packages"
            && (path.starts_with("scripts/")
                || path.starts_with(".ci/")
                || path.starts_with("tests/vm/")
                || path.ends_with(".md")
                || path.ends_with(".sh"))
    })
}

/// Names of the modules directly below `src`, `main` for the binary's root; the library's root is none.
pub(crate) fn top_level_modules() -> Vec<String> {
    let mut names: Vec<String> = rust_sources()
        .iter()
        .filter_map(|file| module_of(&file.path))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// `src/live/window.rs` and `src/live.rs` belong to `live`. None for the library's root and what is not in `src`.
pub(crate) fn module_of(path: &str) -> Option<String> {
    let inside = path.strip_prefix("src/")?;
    let first = inside.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (name != "lib").then(|| name.to_owned())
}

pub(crate) fn check_shape(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    if !text.starts_with("//! ") {
        findings.push(format!(
            "{path}:1: no `//!` header that says what this file is, what it leaves out, who drives it"
        ));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        findings.push(format!(
            "{path}: {lines} lines, more than {LINES_MAX}: look for the second noun in it"
        ));
    }
    findings
}

#[test]
fn a_file_without_header_or_without_end_is_found() {
    let long = format!("//! A file.\n{}", "x\n".repeat(LINES_MAX));
    assert_eq!(check_shape("a.rs", "//! A file.\nfn x() {}\n").len(), 0);
    assert_eq!(check_shape("a.rs", "fn x() {}\n").len(), 1);
    assert_eq!(check_shape("a.rs", "").len(), 1);
    assert_eq!(check_shape("a.rs", &long).len(), 1);
}

#[test]
fn files_belong_to_the_module_that_their_path_names() {
    assert_eq!(module_of("src/live/window.rs").as_deref(), Some("live"));
    assert_eq!(module_of("src/live.rs").as_deref(), Some("live"));
    assert_eq!(module_of("src/main.rs").as_deref(), Some("main"));
    assert_eq!(module_of("src/lib.rs"), None);
    assert_eq!(module_of("tests/tidy.rs"), None);
}
