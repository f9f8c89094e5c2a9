//! The tests of scenes, training, files and the command line: one program, since linking one for each file took longer
//! than running it. What counts the allocations of its process is beside it, in `allocations`.
//!
//! `cargo test --test main determinism::` runs those of one module.

mod averaging;
mod batches;
#[cfg(feature = "cli")]
mod bench;
#[cfg(feature = "cli")]
mod cliques;
#[cfg(feature = "cli")]
mod command;
#[path = "../systems/tests/common/mod.rs"]
mod common;
mod corridors;
mod determinism;
#[cfg(feature = "cli")]
mod distance;
mod flock;
#[cfg(feature = "import")]
mod fuzz;
#[cfg(feature = "cli")]
mod generate;
mod golden;
#[cfg(feature = "cli")]
mod graph;
#[cfg(all(feature = "cli", feature = "memory"))]
mod graph_memory;
mod import;
#[cfg(feature = "cli")]
mod inspect;
mod kernel;
mod kinds;
mod laws;
mod layer_determinism;
#[cfg(feature = "cli")]
mod limits;
mod links;
mod memory;
#[cfg(feature = "import")]
mod misuse;
mod mixtures;
mod order;
mod reference;
#[cfg(feature = "cli")]
mod regression;
mod resume;
mod rewriting;
mod runs;
mod scenes;
mod sequential;
mod tasks;
mod typed;
mod weights;
mod words;

/// Cargo no longer looks for files of tests by itself: one that is named nowhere would never run.
#[test]
fn every_file_of_tests_is_a_module() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["tests", "systems/tests"].map(|folder| root.join(folder)) {
        let named = std::fs::read_to_string(folder.join("main.rs")).unwrap();
        for entry in folder.read_dir().unwrap() {
            let path = entry.unwrap().path();
            let is_module = path.extension().is_some_and(|ending| ending == "rs") || path.join("mod.rs").exists();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let is_named = name == "main" || named.lines().any(|line| line == format!("mod {name};"));
            assert!(!is_module || is_named, "{} is not in {}", path.display(), folder.join("main.rs").display());
        }
    }
}
