//! The weights after a few epochs are, bit for bit, those that were written down, for any number of workers: a change that
//! was to leave the numbers alone has left them alone. A failure names the scene and what its weights are now.
//!
//! A change that is to change numbers writes them down anew: `CONNECTOME_GOLDEN=write cargo test --test main golden::`.

use connectome::{Trainer, scene::SceneFile, systems::Workers};
use std::{fmt::Write, fs};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/golden/weights.txt");

/// Scenes and how many epochs each learns: convolutions, attention, graphs in batches, links, propagation.
const SCENES: [(&str, u64); 5] = [("cora", 10), ("cora-gat", 5), ("mutag", 2), ("cora-links", 5), ("cora-appnp", 5)];

/// Folds bytes into a 64-bit hash of Fowler, Noll and Vo, variant 1a.
fn hash(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A hash of the names, shapes and bits of all weights.
fn weights(name: &str, epochs: u64, workers: usize) -> u64 {
    let (scene, data) = SceneFile::load(format!("assets/{name}.ron")).unwrap();
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::new(workers).unwrap()).unwrap();
    (0..epochs).for_each(|_| _ = trainer.epoch().unwrap());
    let mut sum = 0xcbf2_9ce4_8422_2325;
    for tensor in trainer.weights() {
        sum = hash(sum, format!("{} {:?} ", tensor.name, tensor.shape).as_bytes());
        sum = tensor.values.iter().fold(sum, |sum, number| hash(sum, &number.to_le_bytes()));
    }
    sum
}

#[test]
fn weights_are_what_they_were() {
    let mut found = String::from("# scene epochs hash: see tests/golden.rs\n");
    for (name, epochs) in SCENES {
        let [one, two, three] = [1, 2, 3].map(|workers| weights(name, epochs, workers));
        assert!(one == two && one == three, "{name}: {one:016x}, {two:016x} and {three:016x} by 1, 2 and 3 workers");
        writeln!(found, "{name} {epochs} {one:016x}").unwrap();
    }
    if std::env::var_os("CONNECTOME_GOLDEN").is_some_and(|wish| wish == "write") {
        fs::write(FILE, &found).unwrap();
    }
    let written = fs::read_to_string(FILE).unwrap();
    assert!(written == found, "written down are\n{written}found are\n{found}");
}
