//! Holds the repository to what its documents promise: the floors of ARCHITECTURE.md, the shape of source files, the
//! paths that documents cite, the one list of packages, the licences. Reads files only; needs nothing but cargo.

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/files.rs"]
mod files;
#[path = "tidy/floors.rs"]
mod floors;
#[path = "tidy/house.rs"]
mod house;
#[path = "tidy/licences.rs"]
mod licences;
#[path = "tidy/rust_paths.rs"]
mod rust_paths;

/// Fails with every finding on a line of its own, so that one run shows all there is to mend.
fn none(findings: Vec<String>) {
    assert!(
        findings.is_empty(),
        "{} findings:\n  {}\n",
        findings.len(),
        findings.join("\n  ")
    );
}

#[test]
fn modules_import_only_from_lower_floors() {
    let house = house::read();
    none(
        files::rust_sources()
            .iter()
            .flat_map(|file| floors::check_edges(&house, &file.path, &file.text))
            .collect(),
    );
}

#[test]
fn pure_floors_touch_neither_world_nor_clock() {
    let house = house::read();
    none(
        files::rust_sources()
            .iter()
            .flat_map(|file| floors::check_purity(&house, &file.path, &file.text))
            .collect(),
    );
}

#[test]
fn heavy_crates_have_one_importer() {
    let house = house::read();
    none(
        files::rust_sources()
            .iter()
            .flat_map(|file| floors::check_importers(&house, &file.path, &file.text))
            .collect(),
    );
}

#[test]
fn unsafe_code_is_only_where_the_kernel_is_met() {
    none(
        files::rust_files()
            .iter()
            .flat_map(|file| floors::check_unsafe(&file.path, &file.text))
            .collect(),
    );
}

#[test]
fn the_table_of_floors_lists_the_modules_that_exist() {
    none(floors::check_table(
        &house::read(),
        &files::top_level_modules(),
    ));
}

#[test]
fn every_rust_file_says_what_it_is_and_is_no_longer_than_it_can_be_read() {
    none(
        files::rust_files()
            .iter()
            .flat_map(|file| files::check_shape(&file.path, &file.text))
            .collect(),
    );
}

#[test]
fn paths_that_documents_cite_exist() {
    none(
        files::documents()
            .iter()
            .flat_map(|file| documents::check_citations(&file.path, &file.text))
            .collect(),
    );
}

#[test]
fn packages_are_named_in_one_list_only() {
    let list = files::text_of("scripts/packages");
    none(
        files::scripts_and_documents()
            .iter()
            .flat_map(|file| documents::check_packages(&list, &file.path, &file.text))
            .collect(),
    );
}

#[test]
fn licences_and_sources_of_all_dependencies_are_allowed() {
    none(licences::check(
        &files::text_of("deny.toml"),
        &licences::metadata(),
    ));
}
