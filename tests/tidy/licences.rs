//! The licences, bans and sources of deny.toml, held against what cargo says of every dependency. cargo-deny does this
//! and more; this holds where it is not installed.

use super::files::root;
use serde_json::Value;
use std::collections::BTreeMap;

/// What `cargo metadata` says of the packages that are built for one of deny.toml's targets.
pub(crate) fn metadata() -> Vec<Value> {
    let deny = parse(&super::files::text_of("deny.toml"));
    let mut packages = BTreeMap::new();
    for target in list(&deny, &["graph", "targets"]) {
        let output = std::process::Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .args(["--filter-platform", &target])
            .current_dir(root())
            .output()
            .expect("cargo that built this test can be run");
        assert!(
            output.status.success(),
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let all: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
        let nodes = all["resolve"]["nodes"]
            .as_array()
            .expect("a resolved graph");
        let used: Vec<&Value> = nodes.iter().map(|node| &node["id"]).collect();
        for package in all["packages"].as_array().expect("packages") {
            if used.contains(&&package["id"]) {
                packages.insert(package["id"].to_string(), package.clone());
            }
        }
    }
    packages.into_values().collect()
}

fn parse(deny: &str) -> toml::Table {
    deny.parse().unwrap_or_else(|e| panic!("deny.toml: {e}"))
}

/// The strings of a list, or the `name` of its tables.
fn list(deny: &toml::Table, keys: &[&str]) -> Vec<String> {
    let (last, above) = keys.split_last().expect("a key");
    let mut table = deny;
    for key in above {
        table = table[*key].as_table().expect("a table of deny.toml");
    }
    table[*last]
        .as_array()
        .expect("a list of deny.toml")
        .iter()
        .filter_map(|value| value.as_str().or_else(|| value.get("name")?.as_str()))
        .map(str::to_owned)
        .collect()
}

pub(crate) fn check(deny: &str, packages: &[Value]) -> Vec<String> {
    let deny = parse(deny);
    let allowed = list(&deny, &["licenses", "allow"]);
    let banned = list(&deny, &["bans", "deny"]);
    let sources = list(&deny, &["sources", "allow-registry"]);
    let mut findings = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let version = package["version"].as_str().unwrap_or_default();
        match package["license"].as_str() {
            Some(licence) if permits(licence, &allowed) => {}
            Some(licence) => findings.push(format!(
                "{name} {version}: `{licence}` is not among the licences that deny.toml allows"
            )),
            None => findings.push(format!("{name} {version}: names no licence")),
        }
        if banned.iter().any(|banned| banned == name) {
            findings.push(format!("{name} {version}: banned by deny.toml"));
        }
        // Without a source it is this very repository.
        if let Some(source) = package["source"].as_str()
            && !sources
                .iter()
                .any(|allowed| source.strip_prefix("registry+") == Some(allowed))
        {
            findings.push(format!("{name} {version}: comes from {source}"));
        }
    }
    findings
}

/// Whether an SPDX expression (annex D of its specification) can be met with allowed licences alone. `/` is the
/// older way to write OR.
fn permits(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (met, rest) = any_of(&words, allowed);
    met && rest.is_empty()
}

fn any_of<'a, 'w>(words: &'a [&'w str], allowed: &[String]) -> (bool, &'a [&'w str]) {
    let (mut met, mut rest) = all_of(words, allowed);
    while let ["OR", after @ ..] = rest {
        let (next, after) = all_of(after, allowed);
        (met, rest) = (met || next, after);
    }
    (met, rest)
}

fn all_of<'a, 'w>(words: &'a [&'w str], allowed: &[String]) -> (bool, &'a [&'w str]) {
    let (mut met, mut rest) = one(words, allowed);
    while let ["AND", after @ ..] = rest {
        let (next, after) = one(after, allowed);
        (met, rest) = (met && next, after);
    }
    (met, rest)
}

fn one<'a, 'w>(words: &'a [&'w str], allowed: &[String]) -> (bool, &'a [&'w str]) {
    let is_allowed = |licence: &str| allowed.iter().any(|allowed| allowed == licence);
    match words {
        ["(", inner @ ..] => {
            let (met, rest) = any_of(inner, allowed);
            match rest {
                [")", after @ ..] => (met, after),
                _ => (false, rest),
            }
        }
        [licence, "WITH", exception, rest @ ..] => {
            (is_allowed(&format!("{licence} WITH {exception}")), rest)
        }
        [licence, rest @ ..] => (is_allowed(licence), rest),
        [] => (false, &[]),
    }
}

#[test]
fn an_expression_of_licences_is_met_or_not() {
    let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    let check = |expression, expected| {
        assert_eq!(permits(expression, &allowed), expected, "{expression}");
    };
    check("MIT", true);
    check("MIT/GPL-3.0", true);
    check("GPL-3.0 OR MIT", true);
    check("GPL-3.0", false);
    check("MIT AND GPL-3.0", false);
    check("(MIT OR GPL-3.0) AND Apache-2.0", true);
    check("(MIT AND GPL-3.0) OR GPL-2.0", false);
    check("Apache-2.0 WITH LLVM-exception", true);
    check("MIT WITH LLVM-exception", false);
    check("(MIT", false);
    check("MIT nonsense", false);
    check("", false);
}

#[test]
fn a_dependency_that_may_not_come_in_is_found() {
    let deny = "[licenses]\nallow = [\"MIT\"]\n[bans]\ndeny = [{ name = \"bad\" }]\n\
                [sources]\nallow-registry = [\"https://index\"]\n";
    let check = |package: Value, expected: &[&str]| {
        let findings = check(deny, &[package]);
        assert_eq!(findings.len(), expected.len(), "{findings:?}");
        for (finding, expected) in findings.iter().zip(expected) {
            assert!(finding.contains(expected), "{finding}");
        }
    };
    let package = |name: &str, licence: Value, source: Value| serde_json::json!({"name": name, "version": "1.0.0", "license": licence, "source": source});
    let index = || Value::from("registry+https://index");
    check(package("good", "MIT".into(), index()), &[]);
    check(package("ours", "MIT".into(), Value::Null), &[]);
    check(package("bad", "MIT".into(), index()), &["banned"]);
    check(package("x", "GPL-3.0".into(), index()), &["not among"]);
    check(package("x", Value::Null, index()), &["no licence"]);
    check(
        package("x", "MIT".into(), "git+https://other".into()),
        &["comes from"],
    );
}
