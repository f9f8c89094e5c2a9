//! The adjacency of a graph, in the form that kernels read.

use bevy_ecs::{change_detection::Tick, component::Component, entity::Entity};
use core::ops::Range;

use crate::{Cycle, Direction, KeyOrder, Levels, Rows};

/// The adjacency of a [`Graph`](crate::Graph), derived from its entities.
///
/// Nodes, edges and subgraphs are identified by row: their index in the columns of their fields. The system
/// `rebuild_topology` derives it again when an edge was spawned, despawned or rewired, a weight was changed, a node was
/// moved to another subgraph, or a node or a subgraph changed its row.
#[derive(Component, Clone, Debug, Default)]
pub struct Topology {
    /// The rows of the nodes.
    pub nodes: Rows,
    /// The sources of messages, where these are entities of another kind than the nodes.
    pub other_sources: Option<Sources>,
    /// The rows of the edges, dangling ones included.
    pub edges: Rows,
    /// The rows of the subgraphs.
    pub subgraphs: Rows,
    /// The rows of the nodes in the order of their keys.
    pub node_order: KeyOrder,
    /// The rows of the edges that are not dangling in the order of the keys of target and source, as in
    /// [`Topology::incoming`].
    pub edge_order: KeyOrder,
    /// The rows of the subgraphs in the order of their keys.
    pub subgraph_order: KeyOrder,
    /// Whether the order of edges is derived: if a model has values on them.
    pub orders_edges: bool,
    /// Two nodes of a kind, or two subgraphs, that have one key, which no model computes with.
    pub same_keys: Option<[Entity; 2]>,
    /// The rows of source and target of each edge, `[E]`; [`Topology::NO_ROW`] twice for a dangling edge.
    pub endpoints: Vec<[u32; 2]>,
    /// The incoming edges of each node, along which messages are received.
    pub incoming: Adjacency,
    /// The outgoing edges of each node, along which gradients are received.
    pub outgoing: Adjacency,
    /// The nodes of each subgraph, in the order of their keys, which a readout aggregates. The row of an edge is that
    /// of the node itself.
    pub members: Adjacency,
    /// The subgraph of each node, if any, from which it receives a readout's gradient. The row of an edge is that of
    /// the node itself.
    pub membership: Adjacency,
    /// The normalizations whose coefficients are derived: those that layers require.
    pub normalizations: Vec<Normalization>,
    /// The levels of the nodes in each direction in which a model passes through the graph; without one the graph may have
    /// cycles.
    pub levels: Vec<Levels>,
    /// The number of seeds, if the graph holds a sample of neighborhoods: the nodes of the first rows, around which the
    /// others are there for their messages alone. Set by `Batch::load`.
    pub seeds: Option<u32>,
    /// For each number of hops around the seeds the part of the topology that the nodes within it receive messages by, as
    /// long as the rows of nodes and edges are in the order of their hops; see [`Topology::rows_within`].
    ///
    /// Its incoming edges, endpoints and edges are those that end within so many hops, and its outgoing edges are these
    /// by their sources, which are within one hop more; coefficients are those of the whole. It has no members and no
    /// levels.
    pub hops: Vec<Topology>,
    /// Number of edges with an endpoint that is not a node of the graph.
    pub dangling: usize,
    /// Number of times it has been derived.
    pub version: u64,
    /// The tick up to which changes of edges and memberships are included; none if it is to be derived again, as when that
    /// was so many ticks ago that bevy_ecs cannot tell any more what was changed since.
    pub derived_at: Option<Tick>,
}

/// The nodes that send messages along a relation.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Their rows.
    pub rows: Rows,
    /// Their rows in the order of their keys.
    pub order: KeyOrder,
}

/// One direction of the edges, or of the memberships, in compressed sparse rows (CSR).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adjacency {
    /// The entries of row `i` are `offsets[i]..offsets[i + 1]`; `[N + 1]`.
    pub offsets: Vec<u32>,
    /// The row at the other end, `[E]`; for each row in the order of their keys; see
    /// [`GraphKey`](crate::GraphKey) for parallel edges.
    pub neighbors: Vec<u32>,
    /// The row of the edge itself, `[E]`.
    pub edges: Vec<u32>,
    /// For each entry of [`Topology::normalizations`], in its order; none for memberships.
    pub coefficients: Vec<Coefficients>,
    /// Boundaries of blocks of rows with about equal work; they never depend on the number of workers.
    pub blocks: Vec<usize>,
}

impl Adjacency {
    /// The entries of a row.
    #[inline]
    pub fn entries(&self, row: usize) -> Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    /// The rows at the other end, and those of the edges themselves, of the entries of a row.
    #[inline]
    pub fn of(&self, row: usize) -> (&[u32], &[u32]) {
        let entries = self.entries(row);
        (&self.neighbors[entries.clone()], &self.edges[entries])
    }

    /// Number of entries: of edges that are not dangling, or of nodes that belong to a subgraph.
    pub fn len(&self) -> usize {
        self.neighbors.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.neighbors.is_empty()
    }
}

/// The coefficients of the messages to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Normalization {
    /// `D^-1/2 A' D^-1/2` with weighted in-degrees `D` (Kipf & Welling 2017, eq. 2), where `A'` is `A` with a self-loop
    /// of weight 1 added to each node that has none: an existing self-loop keeps its weight, of several the last one in the
    /// order of [`GraphKey`](crate::GraphKey), which without keys is that of the greatest weight. A
    /// degree that is not positive gives coefficient 0.
    Symmetric,
    /// `1 / (1 + number of incoming edges)` for the node itself and each neighbor; edge weights are ignored.
    MeanWithSelf,
    /// 1 for each neighbor and 0 for the node itself; edge weights are ignored.
    Sum,
    /// `1 / number of incoming edges` for each neighbor and 0 for the node itself; edge weights are ignored.
    Mean,
    /// The weight of the edge for each neighbor and 0 for the node itself.
    WeightedSum,
    /// `weight of the edge / number of incoming edges` for each neighbor and 0 for the node itself.
    WeightedMean,
}

/// The coefficients of messages, by one normalization.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coefficients {
    /// For each entry of the adjacency, `[E]`.
    pub edges: Vec<f32>,
    /// For the self-loop of each node, `[N]`.
    pub self_loop: Vec<f32>,
}

impl Topology {
    /// In [`Topology::endpoints`], for an endpoint without a row.
    pub const NO_ROW: u32 = u32::MAX;

    /// The rows of the nodes that send messages, and the order of their keys: those of the nodes, but in a relation.
    #[inline]
    pub fn sources(&self) -> (&Rows, &KeyOrder) {
        self.other_sources.as_ref().map_or((&self.nodes, &self.node_order), |sources| (&sources.rows, &sources.order))
    }

    /// The endpoints of each edge, where both are nodes of the graph, as algorithms of structure read them; none in a relation,
    /// whose edges begin in other nodes.
    pub fn endpoints_within(&self) -> &[[u32; 2]] {
        if self.other_sources.is_none() { &self.endpoints } else { &[] }
    }

    /// Number of nodes with a list of incoming edges: all nodes, but in one of [`Topology::hops`], beyond whose nodes no
    /// gradients of messages are known.
    #[inline(always)]
    pub fn receivers(&self) -> usize {
        self.incoming.offsets.len().saturating_sub(1)
    }

    /// Requires the coefficients of a normalization from now on; returns their index in [`Adjacency::coefficients`].
    pub fn require(&mut self, normalization: Normalization) -> usize {
        if let Some(index) = self.normalizations.iter().position(|known| *known == normalization) {
            return index;
        }
        self.normalizations.push(normalization);
        self.derived_at = None;
        self.normalizations.len() - 1
    }

    /// Requires the order of edges from now on.
    pub fn require_edge_order(&mut self) {
        if !self.orders_edges {
            self.orders_edges = true;
            self.derived_at = None;
        }
    }

    /// Requires the levels of the nodes in a direction from now on.
    pub fn require_levels(&mut self, direction: Direction) {
        if self.levels(direction).is_none() {
            self.levels.push(Levels { direction, ..Levels::default() });
            self.derived_at = None;
        }
    }

    /// Tells how many of the first nodes are seeds of a sample; none if it is no sample.
    pub fn set_seeds(&mut self, seeds: Option<u32>) {
        if self.seeds != seeds {
            self.seeds = seeds;
            self.derived_at = None;
        }
    }

    /// How many of the first rows of nodes, and of edges, are within a number of hops around the seeds: the seeds are
    /// within 0, and an edge is where its target is. None if these are all rows.
    pub fn rows_within(&self, hops: usize) -> Option<[usize; 2]> {
        let part = self.hops.get(hops)?;
        Some([part.receivers(), part.endpoints.len()])
    }

    /// The levels in a direction; none if they are not required.
    pub fn levels(&self, direction: Direction) -> Option<&Levels> {
        self.levels.iter().find(|levels| levels.direction == direction)
    }

    /// The cycle because of which there are no levels in a direction, if there is one.
    pub fn cycle(&self, direction: Direction) -> Option<&Cycle> {
        self.levels(direction)?.cycle.as_ref()
    }

    /// The edges to each node from its predecessors in a direction, and those to its successors: the incoming and the
    /// outgoing ones, or in reverse.
    #[inline]
    pub fn neighbors(&self, direction: Direction) -> [&Adjacency; 2] {
        match direction {
            Direction::Forward => [&self.incoming, &self.outgoing],
            Direction::Reverse => [&self.outgoing, &self.incoming],
        }
    }

    /// The coefficients of a normalization in one of the topology's adjacencies; none if they are not required.
    pub fn coefficients<'a>(&self, adjacency: &'a Adjacency, normalization: Normalization) -> Option<&'a Coefficients> {
        let index = self.normalizations.iter().position(|known| *known == normalization)?;
        adjacency.coefficients.get(index)
    }
}
