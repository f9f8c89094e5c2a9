//! Algorithms on the structure of a graph: parallel, with the same results in the same order for any number of workers.
//!
//! All but those of [`ordering`] read a [`ParallelGraph`]: the [`Topology`](connectome_components::Topology) of a graph
//! of the world, data loaded from a file, or a type of your own. Systems write the results to the world as components,
//! and the feature `petgraph` converts graphs from and to petgraph.
//!
//! ```
//! use bevy_ecs::prelude::*;
//! use connectome_components::{Edge, Graph, GraphNode, Topology};
//! use connectome_systems::{
//!     Scratch, Workers,
//!     algorithms::{SimpleGraph, cliques::maximum_clique},
//!     update_topology,
//! };
//!
//! let mut world = World::new();
//! let graph = Graph::spawn(&mut world);
//! let people: Vec<Entity> = (0..5).map(|_| world.spawn(GraphNode).id()).collect();
//! for [source, target] in [[0, 1], [1, 2], [2, 0], [2, 3], [3, 4]] {
//!     world.spawn(Edge { source: people[source], target: people[target] });
//! }
//! update_topology(&mut world, graph, &mut Scratch::default());
//! let topology = world.get::<Topology>(graph).ok_or("the graph has no topology")?;
//! assert_eq!(maximum_clique(&SimpleGraph::of(topology), &Workers::new(2)?, None).nodes, [0, 1, 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cliques;
pub mod edit_distance;
mod labeled_graph;
pub mod ordering;
mod parallel_graph;
#[cfg(feature = "petgraph")]
pub mod petgraph;
mod simple_graph;
pub mod weisfeiler_leman;

pub use labeled_graph::LabeledGraph;
pub use parallel_graph::ParallelGraph;
pub use simple_graph::SimpleGraph;
