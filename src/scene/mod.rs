//! Scene files: a graph, a model and how it learns, written in [RON](https://github.com/ron-rs/ron).
//!
//! ```
//! use connectome::scene::SceneFile;
//!
//! let text = r#"(
//!     name: "couple",
//!     graph: Inline(
//!         nodes: [(name: "Ann", split: Train), (name: "Bob", label: 1)],
//!         edges: [(source: "Ann", target: "Bob")],
//!         undirected: true,
//!     ),
//!     features: Identity,
//!     model: [GcnConv(width: 8), Relu, Dropout(0.5), GcnConv(width: 2, weight_decay: 0.0)],
//!     optimizer: Adam(learning_rate: 0.01, weight_decay: 5e-4),
//!     training: (epochs: 100, seed: 7),
//! )"#;
//! let scene = SceneFile::parse(text, "couple.ron")?;
//! assert_eq!(scene, SceneFile::parse(&scene.to_ron()?, "again.ron")?);
//!
//! let error = SceneFile::parse(&text.replace(r#"target: "Bob""#, r#"target: "Rob""#), "couple.ron").unwrap_err();
//! assert_eq!(error.to_string(), r#"
//! couple.ron:5:41: edge 0 names the target "Rob", but no node has that name
//!   help: did you mean "Bob"?
//!   |
//! 5 |         edges: [(source: "Ann", target: "Rob")],
//!   |                                         ^
//! "#.trim());
//! # Ok::<(), connectome::scene::SceneError>(())
//! ```
//!
//! A scene is checked once, when it is loaded; whatever is built from it may trust it. No text and no graph file
//! makes loading panic, and none makes it take more memory than the machine has available.

#![forbid(unsafe_code)]

mod brain;
pub(crate) mod check;
mod description;
mod error;
#[cfg(feature = "import")]
mod functions;
pub(crate) mod heads;
mod inline;
mod inline_kinds;
pub(crate) mod kinds;
mod layer;
mod load;
mod locate;
mod mixture;
pub(crate) mod model;
mod renamed;
mod scaling;
mod schedule;
mod syntax;
mod terms;
mod tokens;
mod words;

pub use self::brain::{BrainFile, BrainTraining};
pub use self::check::memory::{Memory, Usage};
pub use self::description::{
    GraphSource, Monitor, NodeFeatures, NodeOrder, SceneEdge, SceneFile, SceneNode, Selection, SlotSource, TermPairs,
    TermRewrite, Training,
};
pub use self::error::SceneError;
pub use self::heads::{HeadDescription, PredictedColumns};
pub use self::kinds::{NodeKindDescription, RelationDescription};
pub use self::layer::LayerDescription;
pub use self::locate::{Position, Step, locate};
pub use self::mixture::{ExpertDescription, Gate, MixtureDescription};
pub use self::model::SceneModel;
pub use self::schedule::EpochSchedule;
pub use self::syntax::options;
