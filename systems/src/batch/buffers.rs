//! The buffers of a batch.

use bevy_ecs::entity::Entity;
use connectome_components::{Field, Topology};

use super::column::{AnyBuffer, BatchElement};

/// Several graphs of a corpus, or a sample of one, as plain buffers; filled by [`Extract`](super::Extract) and loaded
/// into a world by [`Batch::load`].
///
/// Nodes, edges and subgraphs are identified by row, from 0. Reuse a batch: once its buffers are as large as the
/// largest batch, filling it does not allocate.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub(super) nodes: Origins,
    /// The number of sources of a relation, which are other entities than its nodes, all of them.
    pub(super) sources: Option<u32>,
    pub(super) edges: Origins,
    pub(super) subgraphs: Origins,
    /// The rows of source and target of each edge.
    pub(super) endpoints: Vec<[u32; 2]>,
    /// The weight of each edge; empty if the corpus has none.
    pub(super) weights: Vec<f32>,
    /// The row of each node's subgraph, or [`Batch::NO_SUBGRAPH`].
    pub(super) subgraph_of: Vec<u32>,
    pub(super) buffers: Vec<AnyBuffer>,
    /// The version of the topology that the rows are of.
    pub(super) version: u64,
    /// How many of the first nodes are the seeds of a sample.
    pub(super) seeds: Option<u32>,
    /// The whole of further graphs, whose nodes are other kinds.
    pub(super) parts: Vec<Batch>,
    /// For each row of the corpus its row here, or [`Topology::NO_ROW`], while a sample is drawn.
    pub(super) row_in_batch: Vec<u32>,
    /// The sampled edges of a node.
    pub(super) chosen: Vec<u32>,
    /// Their sources, their order, and their rows in the corpus.
    pub(super) drawn: Vec<[u32; 3]>,
}

/// The origin of rows.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    /// The rows in the corpus.
    pub(super) rows: Vec<u32>,
    /// The entities in the corpus.
    pub(super) entities: Vec<Entity>,
}

impl Batch {
    /// In [`Batch::subgraph_of`], for a node in no subgraph.
    pub const NO_SUBGRAPH: u32 = u32::MAX;

    /// The nodes of the corpus in this batch, in the order of its rows.
    pub fn nodes(&self) -> &[Entity] {
        &self.nodes.entities
    }

    /// The rows of the corpus's nodes in this batch.
    pub(crate) fn node_rows(&self) -> &[u32] {
        &self.nodes.rows
    }

    /// The edges of the corpus in this batch, in the order of its rows.
    pub fn edges(&self) -> &[Entity] {
        &self.edges.entities
    }

    /// The subgraphs of the corpus in this batch, in the order of its rows.
    pub fn subgraphs(&self) -> &[Entity] {
        &self.subgraphs.entities
    }

    /// The whole of the further graphs that were extracted with it.
    pub(crate) fn parts(&self) -> &[Self] {
        &self.parts
    }

    /// The rows of source and target of each edge, `[E]`.
    pub fn endpoints(&self) -> &[[u32; 2]] {
        &self.endpoints
    }

    /// The weight of each edge, `[E]`; none if the corpus has no weights.
    pub fn weights(&self) -> Option<&[f32]> {
        (self.weights.len() == self.endpoints.len()).then_some(&self.weights)
    }

    /// The row of each node's subgraph, `[N]`; [`Batch::NO_SUBGRAPH`] for none.
    pub fn subgraph_of(&self) -> &[u32] {
        &self.subgraph_of
    }

    /// The values for the field `to`, `[rows, width]` row by row; none if the batch does not carry it, or has left it in the
    /// corpus.
    pub fn contents<T: BatchElement>(&self, to: Field<T>) -> Option<&[T]> {
        let buffers = self.buffers.iter().filter_map(T::unwrap);
        buffers.filter(|buffer| buffer.to == to && !buffer.is_left).map(|buffer| &buffer.data[..]).next()
    }

    /// Removes all rows; the buffers keep their capacity.
    pub fn clear(&mut self) {
        // Before the rows are forgotten: what a sample has reached is less than the corpus.
        for row in &self.nodes.rows {
            if let Some(row) = self.row_in_batch.get_mut(*row as usize) {
                *row = Topology::NO_ROW;
            }
        }
        for origins in [&mut self.nodes, &mut self.edges, &mut self.subgraphs] {
            origins.rows.clear();
            origins.entities.clear();
        }
        (self.sources, self.seeds) = (None, None);
        self.parts.iter_mut().for_each(Self::clear);
        self.endpoints.clear();
        self.weights.clear();
        self.subgraph_of.clear();
        self.buffers.iter_mut().for_each(AnyBuffer::clear);
    }
}
