//! Fuzz targets as functions of bytes: `fuzz_targets` hands each to libFuzzer, and `cargo test` replays `seeds` through
//! them. A target panics if a promise is broken, and returns otherwise.

mod files;
mod languages;
mod mathematics;
mod readers;
mod scenes;
mod weights;
mod worlds;

pub use languages::{python, text};
pub use mathematics::mathematics;
pub use readers::{dimacs, edge_table, graphml, npz, tu_dataset};
pub use scenes::scene;
pub use weights::safetensors;
pub use worlds::world;

/// A function of the bytes of an input.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folder of seeds.
pub const TARGETS: [(&str, Target); 11] = [
    ("dimacs", dimacs),
    ("edge_table", edge_table),
    ("graphml", graphml),
    ("mathematics", mathematics),
    ("npz", npz),
    ("python", python),
    ("safetensors", safetensors),
    ("scene", scene),
    ("text", text),
    ("tu_dataset", tu_dataset),
    ("world", world),
];
