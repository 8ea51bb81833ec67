//! Says in one line what to do when the page has not been built, instead of a macro's error deep in the code.

fn main() {
    println!("cargo::rerun-if-changed=web/dist/index.html");
    if !std::path::Path::new("web/dist/index.html").exists() {
        println!(
            "cargo::error=web/dist is missing: run `npm ci && npm run build` in web/ (or ./scripts/run, which does it), or take web/dist from a release"
        );
    }
}
