//! Who may use whom: imports go down, siblings keep apart, pure floors touch nothing, heavy crates have one importer,
//! `unsafe` has one place. Code of tests is free of these rules.

use super::files::module_of;
use super::house::House;
use super::rust_paths::{RustPath, paths, words};

/// The one module that may hold `unsafe` code: the edge to the kernel's camera interface.
const UNSAFE_ALLOWED_IN: &str = "capture";

/// The one test that may: what lies below SQLite is written in C.
const UNSAFE_ALLOWED_IN_TEST: &str = "src/store/tests/faulty_index.rs";

/// A file that only tests compile.
fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// The module of a file that these rules hold for.
fn ruled(path: &str) -> Option<String> {
    module_of(path).filter(|_| !is_test(path))
}

/// The path from the crate's root down, when it leads into this crate: `crate::…`, `perch::…`, `super::…`.
fn inside(path: &RustPath, file: &str) -> Option<Vec<String>> {
    let segments = &path.segments;
    match segments.first()?.as_str() {
        "crate" | "perch" => Some(segments[1..].to_vec()),
        "super" => {
            let mut here: Vec<&str> = file
                .strip_prefix("src/")?
                .strip_suffix(".rs")?
                .split('/')
                .filter(|part| *part != "mod")
                .collect();
            let ups = segments.iter().take_while(|part| *part == "super").count();
            here.truncate(here.len().saturating_sub(ups));
            let rest = segments[ups..].iter().map(String::as_str);
            Some(here.into_iter().chain(rest).map(str::to_owned).collect())
        }
        _ => None,
    }
}

pub(crate) fn check_edges(house: &House, file: &str, text: &str) -> Vec<String> {
    let Some(module) = ruled(file) else {
        return Vec::new();
    };
    let Some(&floor) = house.floors.get(&module) else {
        return vec![format!(
            "{file}: ARCHITECTURE.md puts `{module}` on no floor"
        )];
    };
    let mut findings = Vec::new();
    for path in paths(text) {
        let target = inside(&path, file).and_then(|segments| segments.first().cloned());
        let Some((target, &below)) = target
            .as_ref()
            .and_then(|target| house.floors.get_key_value(target))
        else {
            continue;
        };
        if *target == module || below < floor || module == "main" {
            continue;
        }
        let why = if below == floor {
            "a sibling"
        } else {
            "a higher floor"
        };
        findings.push(format!(
            "{file}:{}: `{module}` (floor {floor}) uses `{target}` (floor {below}): {why}",
            path.line
        ));
    }
    findings
}

/// A `use` of something above what is forbidden would let it in under a shorter name.
fn lets_in(path: &RustPath, forbidden: &[String]) -> bool {
    path.segments.starts_with(forbidden)
        || (path.imported && !path.segments.is_empty() && forbidden.starts_with(&path.segments))
}

pub(crate) fn check_purity(house: &House, file: &str, text: &str) -> Vec<String> {
    let Some(module) = ruled(file).filter(|module| house.pure.contains(module)) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    for path in paths(text) {
        if let Some(forbidden) = house
            .forbidden_to_pure
            .iter()
            .find(|forbidden| lets_in(&path, forbidden))
        {
            findings.push(format!(
                "{file}:{}: `{module}` is pure and uses `{}`",
                path.line,
                forbidden.join("::")
            ));
        }
    }
    findings
}

pub(crate) fn check_importers(house: &House, file: &str, text: &str) -> Vec<String> {
    let Some(module) = ruled(file).filter(|module| module != "main") else {
        return Vec::new();
    };
    paths(text)
        .iter()
        .filter_map(|path| {
            let name = path.segments.first()?;
            let importer = house.importers.get(name)?;
            (*importer != module).then(|| {
                format!(
                    "{file}:{}: `{module}` uses `{name}`, which only `{importer}` may",
                    path.line
                )
            })
        })
        .collect()
}

pub(crate) fn check_unsafe(file: &str, text: &str) -> Vec<String> {
    if module_of(file).as_deref() == Some(UNSAFE_ALLOWED_IN) || file == UNSAFE_ALLOWED_IN_TEST {
        return Vec::new();
    }
    words(text)
        .iter()
        .filter(|word| word.text == "unsafe")
        .map(|word| {
            format!(
                "{file}:{}: `unsafe` outside of {UNSAFE_ALLOWED_IN}",
                word.line
            )
        })
        .collect()
}

/// The table names the modules that exist, and no others.
pub(crate) fn check_table(house: &House, modules: &[String]) -> Vec<String> {
    let missing = modules
        .iter()
        .filter(|module| !house.floors.contains_key(*module))
        .map(|module| format!("src/{module}: ARCHITECTURE.md puts it on no floor"));
    let gone = house
        .floors
        .keys()
        .filter(|module| !modules.contains(module))
        .map(|module| format!("ARCHITECTURE.md: there is no module `{module}`"));
    missing.chain(gone).collect()
}

#[cfg(test)]
mod tests {
    use super::super::house::example;
    use super::*;

    #[track_caller]
    fn check(findings: Vec<String>, expected: &[&str]) {
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.contains(expected), "{finding}");
        }
    }

    #[test]
    fn imports_go_down() {
        let edges = |file, text| check_edges(&example(), file, text);
        check(
            edges("src/edge/a.rs", "use crate::{base::X, core::Y};"),
            &[],
        );
        check(edges("src/edge/a.rs", "use crate::edge::b::X;"), &[]);
        check(
            edges("src/core/a.rs", "\nfn f() { crate::edge::go() }"),
            &["a.rs:2: `core` (floor 2) uses `edge` (floor 4): a higher floor"],
        );
        check(edges("src/edge.rs", "use crate::other::X;"), &["a sibling"]);
        check(
            edges("src/core/mod.rs", "pub use crate::{base, twin};"),
            &["a sibling"],
        );
        check(edges("src/new/mod.rs", ""), &["on no floor"]);
    }

    #[test]
    fn super_is_no_way_around() {
        let edges = |file, text| check_edges(&example(), file, text);
        check(edges("src/core/a.rs", "use super::edge::X;"), &[]);
        check(
            edges("src/core/a.rs", "use super::super::edge::X;"),
            &["a higher floor"],
        );
        check(
            edges("src/core/mod.rs", "use super::edge::X;"),
            &["a higher floor"],
        );
    }

    #[test]
    fn tests_may_use_what_they_like() {
        let house = example();
        check(
            check_edges(&house, "src/core/tests/a.rs", "use crate::edge::X;"),
            &[],
        );
        check(
            check_purity(
                &house,
                "src/core/a.rs",
                "#[cfg(test)]\nmod tests { use std::fs; }",
            ),
            &[],
        );
    }

    #[test]
    fn pure_modules_touch_nothing() {
        let purity = |text| check_purity(&example(), "src/core/a.rs", text);
        check(purity("use std::time::Duration;"), &[]);
        check(purity("use tokio::sync::watch;"), &["uses `tokio`"]);
        check(purity("fn f() { std::fs::read(x) }"), &["uses `std::fs`"]);
        check(
            purity("use std::{collections::X, time::{Duration, Instant}};"),
            &["uses `std::time::Instant`"],
        );
        check(purity("use std::time;"), &["uses `std::time::Instant`"]);
        check(
            check_purity(&example(), "src/edge/a.rs", "use std::fs;"),
            &[],
        );
    }

    #[test]
    fn heavy_crates_come_in_at_one_place() {
        let importers = |file, text| check_importers(&example(), file, text);
        check(importers("src/edge/a.rs", "use heavy::X;"), &[]);
        check(
            importers("src/other/a.rs", "use heavy_more as h;"),
            &["`other` uses `heavy_more`, which only `edge` may"],
        );
        check(
            importers("src/base/a.rs", "fn f() { heavy::go() }"),
            &["only `edge`"],
        );
    }

    #[test]
    fn unsafe_has_one_place() {
        let code = "fn f() { unsafe { g() } }";
        check(check_unsafe("src/capture/a.rs", code), &[]);
        check(check_unsafe(UNSAFE_ALLOWED_IN_TEST, code), &[]);
        check(check_unsafe("src/edge/a.rs", code), &["`unsafe` outside"]);
        check(
            check_unsafe("src/edge/tests/a.rs", code),
            &["`unsafe` outside"],
        );
        check(
            check_unsafe("src/edge/a.rs", "#![deny(unsafe_code)] // unsafe"),
            &[],
        );
    }

    #[test]
    fn the_table_and_the_folders_agree() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        check(
            check_table(
                &example(),
                &names(&["base", "core", "edge", "other", "twin"]),
            ),
            &[],
        );
        check(
            check_table(&example(), &names(&["base", "core", "edge", "new", "twin"])),
            &["src/new", "no module `other`"],
        );
    }
}
