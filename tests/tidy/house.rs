//! The plan of the house as ARCHITECTURE.md tells it: floors, what pure floors may not use, who imports heavy crates.
//! The tables there are the only place where it is written down.

use std::collections::BTreeMap;

/// What the document says.
pub(crate) struct House {
    /// Module to the number of its floor.
    pub floors: BTreeMap<String, u32>,
    /// Modules on floors that call themselves pure.
    pub pure: Vec<String>,
    /// Paths that those may not use, as segments.
    pub forbidden_to_pure: Vec<Vec<String>>,
    /// Crate to the one module that may import it.
    pub importers: BTreeMap<String, String>,
}

pub(crate) fn read() -> House {
    parse(&super::files::text_of("ARCHITECTURE.md"))
}

/// The words in `code` marks of a line.
fn marked(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The cells of a row of a table, none for other lines.
fn cells(line: &str) -> Vec<&str> {
    line.trim()
        .strip_prefix('|')
        .and_then(|rest| rest.strip_suffix('|'))
        .map(|rest| rest.split('|').map(str::trim).collect())
        .unwrap_or_default()
}

/// The rows below the header that starts with `first` and `second`.
fn table<'a>(document: &'a str, first: &str, second: &str) -> Vec<Vec<&'a str>> {
    let mut rows = document
        .lines()
        .skip_while(|line| !cells(line).starts_with(&[first, second]));
    rows.next();
    rows.next();
    rows.map(cells).take_while(|row| !row.is_empty()).collect()
}

/// Panics when the document has no such tables: then nothing would be held to anything.
pub(crate) fn parse(document: &str) -> House {
    let mut floors = BTreeMap::new();
    let mut pure = Vec::new();
    for row in table(document, "floor", "modules") {
        let floor = row[0]
            .parse()
            .unwrap_or_else(|_| panic!("floor `{}` is no number", row[0]));
        for module in marked(row[1]) {
            if row[2].starts_with("pure") {
                pure.push(module.clone());
            }
            let before = floors.insert(module.clone(), floor);
            assert!(before.is_none(), "`{module}` stands on two floors");
        }
    }
    let importers: BTreeMap<String, String> = table(document, "crate", "imported only by")
        .iter()
        .flat_map(|row| {
            let importer = marked(row[1]).remove(0);
            marked(row[0])
                .into_iter()
                .map(move |name| (name, importer.clone()))
        })
        .collect();
    let forbidden_to_pure: Vec<Vec<String>> = document
        .lines()
        .find(|line| line.starts_with("Modules on a pure floor"))
        .map(marked)
        .unwrap_or_default()
        .iter()
        .map(|path| path.split("::").map(str::to_owned).collect())
        .collect();
    assert!(
        !floors.is_empty()
            && !pure.is_empty()
            && !importers.is_empty()
            && !forbidden_to_pure.is_empty(),
        "the document lacks the table of floors, a pure floor, what it may not use, or the table of importers"
    );
    House {
        floors,
        pure,
        forbidden_to_pure,
        importers,
    }
}

/// A small house for the checks' own tests.
#[cfg(test)]
pub(crate) fn example() -> House {
    parse(
        "| floor | modules | what |\n|---|---|---|\n| 4 | `edge` `other` | edges |\n| 2 | `core` `twin` | pure cores |\n\
         | 0 | `base` | ground |\n\n\
         Modules on a pure floor use none of `tokio`, `std::fs`, `std::time::Instant`.\n\n\
         | crate | imported only by |\n|---|---|\n| `heavy` `heavy_more` | `edge` |\n",
    )
}

#[test]
fn tables_are_read_to_their_end_and_no_further() {
    let house = example();
    assert_eq!(house.floors.len(), 5);
    assert_eq!(house.floors["edge"], 4);
    assert_eq!(house.pure, ["core", "twin"]);
    assert_eq!(house.forbidden_to_pure[2], ["std", "time", "Instant"]);
    assert_eq!(house.importers["heavy_more"], "edge");
}

#[test]
#[should_panic(expected = "stands on two floors")]
fn a_module_on_two_floors_is_refused() {
    parse("| floor | modules | what |\n|---|---|---|\n| 1 | `a` | x |\n| 0 | `a` | y |\n");
}

#[test]
#[should_panic(expected = "lacks the table")]
fn a_document_without_tables_is_refused() {
    parse("# Nothing\n");
}
