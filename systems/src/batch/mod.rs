//! Mini-batch training on many graphs, or on samples of a large one, with two worlds.
//!
//! The data stays in a *corpus* world. [`Extract`] copies some of it into a [`Batch`] of plain buffers: the disjoint
//! union of several graphs, or a sampled neighborhood. [`Batch::load`] loads it into the graph of a training world.
//! Extraction only reads the corpus, so the next batch can be extracted on another thread during a training step, as a
//! renderer extracts a frame; training memory grows with the batch, not with the corpus. A game that trains outside of
//! its frame uses its live world as the corpus.
//!
//! ```
//! use bevy_ecs::prelude::*;
//! use connectome_components::{Edge, Field, Graph, InSubgraph, GraphNode, Subgraph};
//! use connectome_systems::batch::{Batch, Extract};
//!
//! // A corpus of three graphs: one node, two and three, in a ring.
//! let mut corpus = World::new();
//! let examples = Graph::spawn(&mut corpus);
//! let nodes = corpus.register_component::<GraphNode>();
//! let mass = Field::<f32>::register(&mut corpus, "mass", nodes, 1)?;
//! let mut graphs = Vec::new();
//! for size in 1..=3 {
//!     let graph = corpus.spawn(Subgraph).id();
//!     let ring: Vec<Entity> = (0..size).map(|_| corpus.spawn((GraphNode, InSubgraph(graph))).id()).collect();
//!     for (index, source) in ring.iter().enumerate() {
//!         corpus.spawn(Edge { source: *source, target: ring[(index + 1) % size] });
//!     }
//!     graphs.push(graph);
//! }
//!
//! // The training world, with a field for each one that it needs of the corpus.
//! let mut world = World::new();
//! let graph = Graph::spawn(&mut world);
//! let nodes = world.register_component::<GraphNode>();
//! let input = Field::<f32>::register(&mut world, "input", nodes, 1)?;
//!
//! let mut extract = Extract::new(&corpus, examples)?;
//! extract.copy(&corpus, mass, input)?;
//! extract.update(&mut corpus);
//! let [mut current, mut next] = [Batch::default(), Batch::default()];
//! extract.subgraphs(&corpus, &graphs[..2], &mut current)?;
//! current.load(&mut world, graph)?;
//! std::thread::scope(|scope| {
//!     let extracted = scope.spawn(|| extract.subgraphs(&corpus, &graphs[2..], &mut next));
//!     // Meanwhile the training world takes a step: `world.train(model)`.
//!     assert_eq!(input.matrix(&world).row_count(), 3);
//!     extracted.join()
//! }).map_err(|_| "the thread panicked")??;
//! next.load(&mut world, graph)?;
//! assert_eq!(input.matrix(&world).row_count(), 3);
//! assert_eq!(next.endpoints(), [[2, 0], [0, 1], [1, 2]]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod buffers;
mod column;
mod extract;
mod load;
pub(crate) mod negatives;
mod sample;
mod saved;
mod union;
mod whole;

pub use crate::error::BatchError;
pub use buffers::Batch;
pub use column::{BatchElement, Domain};
pub use extract::Extract;
pub(crate) use sample::choose;
pub(crate) use saved::SavedBatch;
