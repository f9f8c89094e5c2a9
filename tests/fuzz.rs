//! What the fuzzer began with and what it found: each input keeps the promises of its target.
//!
//! The targets are functions of bytes in `fuzz/src`, their inputs in `fuzz/seeds`. A failure names the input; with
//! `CONNECTOME_FUZZ_PRINT=1` the target `world` prints what happens in it.

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::{fs, path::Path};

/// Runs a target on each of its inputs.
fn replay(name: &str) {
    let (_, target) = targets::TARGETS.into_iter().find(|(target, _)| *target == name).expect("it is a target");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let mut paths: Vec<_> = folder.read_dir().expect("it has inputs").map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    assert!(paths.len() >= 5, "{} inputs in {}", paths.len(), folder.display());
    for path in paths {
        println!("{}", path.display());
        target(&fs::read(path).expect("the input is read"));
    }
}

#[test]
fn dimacs() {
    replay("dimacs");
}

#[test]
fn edge_tables() {
    replay("edge_table");
}

#[test]
fn graphml() {
    replay("graphml");
}

#[test]
fn mathematics() {
    replay("mathematics");
}

#[test]
fn npz() {
    replay("npz");
}

#[test]
fn python() {
    replay("python");
}

#[test]
fn safetensors() {
    replay("safetensors");
}

#[test]
fn scenes() {
    replay("scene");
}

#[test]
fn texts() {
    replay("text");
}

#[test]
fn tu_datasets() {
    replay("tu_dataset");
}

#[test]
fn worlds() {
    replay("world");
}

#[test]
fn every_target_is_replayed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut names: Vec<String> = folder
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort_unstable();
    assert_eq!(names, targets::TARGETS.map(|(name, _)| name));
}
