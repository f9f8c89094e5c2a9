//! Batches as plain data, for files and other processes.

use bevy_ecs::entity::Entity;
use connectome_components::{ClassLabel, EdgeKind, Split};
use serde::{Deserialize, Serialize};

use super::{Batch, Extract, buffers::Origins, column::AnyBuffer};

/// A batch without the entities that it was extracted from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SavedBatch {
    endpoints: Vec<[u32; 2]>,
    weights: Vec<f32>,
    subgraph_of: Vec<u32>,
    sources: Option<u32>,
    seeds: Option<u32>,
    parts: Vec<SavedBatch>,
    /// The number of nodes of each subgraph.
    sizes: Vec<u32>,
    buffers: Vec<SavedBuffer>,
}

/// The values of a field, row by row.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum SavedBuffer {
    Values(Vec<f32>),
    Indices(Vec<u32>),
    Labels(Vec<ClassLabel>),
    Kinds(Vec<EdgeKind>),
    Splits(Vec<Split>),
}

impl Batch {
    pub(crate) fn save(&self) -> SavedBatch {
        let mut sizes = vec![0; self.subgraphs.rows.len()];
        for subgraph in self.subgraph_of.iter().filter(|subgraph| **subgraph != Self::NO_SUBGRAPH) {
            sizes[*subgraph as usize] += 1;
        }
        let save = |buffer: &AnyBuffer| match buffer {
            AnyBuffer::Values(buffer) => SavedBuffer::Values(buffer.data.clone()),
            AnyBuffer::Indices(buffer) => SavedBuffer::Indices(buffer.data.clone()),
            AnyBuffer::Labels(buffer) => SavedBuffer::Labels(buffer.data.clone()),
            AnyBuffer::Kinds(buffer) => SavedBuffer::Kinds(buffer.data.clone()),
            AnyBuffer::Splits(buffer) => SavedBuffer::Splits(buffer.data.clone()),
        };
        SavedBatch {
            endpoints: self.endpoints.clone(),
            weights: self.weights.clone(),
            subgraph_of: self.subgraph_of.clone(),
            sources: self.sources,
            seeds: self.seeds,
            parts: self.parts.iter().map(Self::save).collect(),
            sizes,
            buffers: self.buffers.iter().map(save).collect(),
        }
    }
}

impl SavedBatch {
    /// The batch with the fields of `extract`; none if the data is not of such a batch. Its entities are
    /// [`Entity::PLACEHOLDER`].
    pub(crate) fn load(self, extract: &Extract) -> Option<Batch> {
        let Self { endpoints, weights, subgraph_of, sources, seeds, parts, sizes, buffers } = self;
        if parts.len() != extract.others().len() {
            return None;
        }
        let parts = parts.into_iter().zip(extract.others()).map(|(part, extract)| part.load(extract));
        let parts = parts.collect::<Option<Vec<Batch>>>()?;
        let [nodes, edges, subgraphs] = [subgraph_of.len(), endpoints.len(), sizes.len()];
        let mut members = vec![0; subgraphs];
        for subgraph in subgraph_of.iter().filter(|subgraph| **subgraph != Batch::NO_SUBGRAPH) {
            *members.get_mut(*subgraph as usize)? += 1;
        }
        let source_count = sources.map_or(nodes, |sources| sources as usize);
        let fits = |[source, target]: &[u32; 2]| (*source as usize) < source_count && (*target as usize) < nodes;
        let is_whole = endpoints.iter().all(fits)
            && (weights.is_empty() || weights.len() == edges)
            && members == sizes
            && buffers.len() == extract.buffers().len();
        let mut loaded = extract.buffers().to_vec();
        for (buffer, saved) in loaded.iter_mut().zip(buffers) {
            let rows = buffer.domain().of_kinds([nodes, edges, subgraphs]);
            let width = buffer.width();
            let count = match (buffer, saved) {
                (AnyBuffer::Values(buffer), SavedBuffer::Values(data)) => buffer.set(data),
                (AnyBuffer::Indices(buffer), SavedBuffer::Indices(data)) => buffer.set(data),
                (AnyBuffer::Labels(buffer), SavedBuffer::Labels(data)) => buffer.set(data),
                (AnyBuffer::Kinds(buffer), SavedBuffer::Kinds(data)) => buffer.set(data),
                (AnyBuffer::Splits(buffer), SavedBuffer::Splits(data)) => buffer.set(data),
                _ => return None,
            };
            if Some(count) != rows.checked_mul(width) {
                return None;
            }
        }
        let origins = |count: usize| {
            let rows = (0..u32::try_from(count).ok()?).collect();
            Some(Origins { rows, entities: vec![Entity::PLACEHOLDER; count] })
        };
        let (nodes, edges, subgraphs) = (origins(nodes)?, origins(edges)?, origins(subgraphs)?);
        let batch = Batch {
            nodes,
            edges,
            subgraphs,
            endpoints,
            weights,
            subgraph_of,
            sources,
            seeds,
            parts,
            buffers: loaded,
            ..Batch::default()
        };
        is_whole.then_some(batch)
    }
}
