//! Scene files: what they say, what is refused and where the error points, and that nothing makes the reader fall over.
//!
//! A failure in `errors` prints the error as a user would see it; one in `mutations` prints the text that broke.

mod assets;
mod brains;
mod errors;
pub mod graph_files;
mod graph_sets;
mod kind_files;
mod kinds;
mod limits;
mod mutations;
mod round_trip;

use connectome::scene::{Position, SceneError};

/// Marks the place in a text where an error is expected.
const MARK: char = '§';

/// A scene that is fine, with one line for each thing a test may want to change.
const COUPLE: &str = r#"(
    name: "couple",
    graph: Inline(
        nodes: [
            (name: "Ann", features: [1.0, 0.0], label: 0, split: Train),
            (name: "Bob", features: [0.5, 0.5], label: 1, split: Validation),
        ],
        edges: [
            (source: "Ann", target: "Bob", weight: 1.0),
        ],
    ),
    features: Given,
    model: [Dropout(0.5), GcnConv(width: 4), Relu, GcnConv(width: 2, weight_decay: 0.0)],
    task: NodeClassification,
    optimizer: Adam(learning_rate: 0.01, betas: (0.9, 0.999), weight_decay: 5e-4),
    training: (epochs: 10, seed: 1, schedule: Constant, keep: Last, patience: 3),
)"#;

/// Takes the mark out of a text and tells where it was.
fn unmark(marked: &str) -> (String, Position) {
    let offset = marked.find(MARK).expect("the text marks where the error is");
    (marked.replacen(MARK, "", 1), Position::of(marked, offset))
}

/// Asserts what an error says and where it points.
#[track_caller]
fn assert_error(error: &SceneError, position: Position, message: &str, help: &str) {
    assert_eq!(error.position, position, "wrong place:\n{error}");
    assert!(error.message.contains(message), "not about {message:?}:\n{error}");
    assert!(error.help.contains(help), "no help with {help:?}:\n{error}");
}
