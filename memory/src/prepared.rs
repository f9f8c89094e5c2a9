//! Graphs that are checked and encoded before they are stored.

use connectome_systems::algorithms::ParallelGraph;

use crate::colors::canonical_hash;
use crate::encoding::{MAX_EDGES, MAX_NODES, write_graph, write_metadata};
use crate::error::MemoryError;
use crate::memory::{MAX_METADATA, NewGraph};
use crate::vector::GraphVector;

/// A graph that can be stored, with what is derived from it.
pub(crate) struct Prepared {
    pub hash: u64,
    pub vector: GraphVector,
    pub has_given_vector: bool,
    pub bytes: Vec<u8>,
    pub time: u64,
}

impl Prepared {
    /// Whether vectors were given with these graphs, as with those `before` them; none if there are no graphs at all.
    pub fn check_vectors(new: &[Self], before: Option<bool>) -> Result<Option<bool>, MemoryError> {
        let given = before.or(new.first().map(|new| new.has_given_vector));
        match given.filter(|given| new.iter().any(|new| new.has_given_vector != *given)) {
            Some(given) => Err(MemoryError::Vectors { given }),
            None => Ok(given),
        }
    }

    pub fn new(new: &NewGraph) -> Result<Self, MemoryError> {
        let NewGraph { graph, metadata, time, vector } = new;
        let text: usize = metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        for (what, count, max) in [
            ("nodes", graph.node_count(), MAX_NODES),
            ("edges", graph.graph().edge_count(), MAX_EDGES),
            ("bytes of metadata", text, MAX_METADATA),
        ] {
            if count > max {
                return Err(MemoryError::TooLarge { what, count, max });
            }
        }
        let (hash, [labels, refined]) = canonical_hash(graph);
        let mut bytes = Vec::new();
        write_metadata(&mut bytes, metadata);
        write_graph(&mut bytes, graph);
        let has_given_vector = vector.is_some();
        let vector = vector.unwrap_or_else(|| GraphVector::from_colors(graph, &labels, &refined));
        Ok(Self { hash, vector, has_given_vector, bytes, time: *time })
    }
}
