//! Who is connected to whom, in the form in which kernels read it.

use bevy_ecs::{change_detection::Tick, component::Component, entity::Entity, storage::TableId, world::World};
use core::ops::Range;

use crate::{Edge, EdgeWeight, column};

/// The adjacency of a [`Graph`](crate::Graph), derived from its edge entities and never the truth itself.
///
/// Nodes and edges are named by row: their place in the columns of their fields. The system `rebuild_topology` derives
/// it anew when an edge was spawned, despawned or rewired, a weight was changed, or a node changed its row.
#[derive(Component, Clone, Debug, Default)]
pub struct Topology {
    /// The rows of the nodes.
    pub nodes: Rows,
    /// The rows of the edges, dangling ones included.
    pub edges: Rows,
    /// For each node the edges that end there, by which messages come in.
    pub incoming: Adjacency,
    /// For each node the edges that start there, by which gradients come back.
    pub outgoing: Adjacency,
    /// Which coefficients are derived; layers ask for those they read.
    pub normalizations: Vec<Normalization>,
    /// How many edges carry no messages because an end of theirs is no node of the graph.
    pub dangling: usize,
    /// How often it has been derived.
    pub version: u64,
    /// The tick after which changed edges have not been seen.
    pub derived_at: Option<Tick>,
}

/// One direction of the edges in compressed sparse rows (CSR).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adjacency {
    /// The entries of node `i` are `offsets[i]..offsets[i + 1]`; `[N + 1]`.
    pub offsets: Vec<u32>,
    /// The node at the other end, `[E]`; in the order of the edges' rows for each node.
    pub neighbours: Vec<u32>,
    /// The row of the edge itself, `[E]`.
    pub edges: Vec<u32>,
    /// For each entry of [`Topology::normalizations`], in its order.
    pub coefficients: Vec<Coefficients>,
    /// Boundaries of blocks of rows with about equal work; they never depend on the number of workers.
    pub blocks: Vec<usize>,
}

impl Adjacency {
    /// The entries of node `row`.
    #[inline]
    pub fn entries(&self, row: usize) -> Range<usize> {
        self.offsets[row] as usize..self.offsets[row + 1] as usize
    }

    /// Number of edges that are not dangling.
    pub fn len(&self) -> usize {
        self.neighbours.len()
    }

    /// Whether there is no edge.
    pub fn is_empty(&self) -> bool {
        self.neighbours.is_empty()
    }
}

/// How the messages that meet at a node are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Normalization {
    /// `D^-1/2 (A + I) D^-1/2` with weighted degrees by target (Kipf & Welling 2017, eq. 2). A node with self-loops of
    /// its own keeps the last one's weight in place of the added 1. A degree that is not positive gives coefficient 0.
    Symmetric,
    /// `1 / (1 + number of incoming edges)` for the node itself and each neighbour; weights of edges are left out.
    Mean,
}

/// What each message is multiplied by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Coefficients {
    /// For each entry of the adjacency, `[E]`.
    pub edges: Vec<f32>,
    /// For the node's own features, `[N]`.
    pub own: Vec<f32>,
}

impl Topology {
    /// Asks that the coefficients of a normalisation be derived from now on; returns where they stand in
    /// [`Adjacency::coefficients`].
    pub fn require(&mut self, normalization: Normalization) -> usize {
        if let Some(place) = self.normalizations.iter().position(|known| *known == normalization) {
            return place;
        }
        self.normalizations.push(normalization);
        self.derived_at = None;
        self.normalizations.len() - 1
    }
}

/// Which entity lies in which row of the columns: tables one after the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    tables: Vec<(TableId, Range<usize>)>,
    entities: Vec<Entity>,
}

impl Rows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// The entities in the order of their rows.
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// The tables with the rows that each of them holds.
    pub fn tables(&self) -> &[(TableId, Range<usize>)] {
        &self.tables
    }

    /// Takes the rows of the world's tables that carry all of `components`; says whether any row changed.
    pub fn update(&mut self, world: &World, components: &[bevy_ecs::component::ComponentId]) -> bool {
        let mut start = 0;
        let mut place = 0;
        let mut changed = false;
        for (index, table) in world.storages().tables.iter().enumerate() {
            if table.is_empty() || !components.iter().all(|id| table.has_column(*id)) {
                continue;
            }
            let entities = table.entities();
            let rows = start..start + entities.len();
            let known = self.tables.get(place) == Some(&(TableId::from_usize(index), rows.clone()));
            if !known || self.entities.get(rows.clone()) != Some(entities) {
                changed = true;
                self.tables.truncate(place);
                self.entities.truncate(start);
                self.tables.push((TableId::from_usize(index), rows.clone()));
                self.entities.extend_from_slice(entities);
            }
            start = rows.end;
            place += 1;
        }
        changed |= place < self.tables.len();
        self.tables.truncate(place);
        self.entities.truncate(start);
        changed
    }

    /// Whether an [`Edge`] or [`EdgeWeight`] in these rows was written after `tick`.
    pub fn edges_changed_since(&self, world: &World, tick: Tick) -> bool {
        let watched = [world.component_id::<Edge>(), world.component_id::<EdgeWeight>()];
        let now = world.read_change_tick();
        self.tables.iter().any(|(table, _)| {
            let table = world.storages().tables.get(*table);
            let ticks = watched.iter().flatten().filter_map(|id| table?.get_summary_tick(*id));
            ticks.into_iter().any(|written| written.get().is_newer_than(tick, now))
        })
    }

    /// The edges in the order of their rows, each with its weight.
    pub fn weighted_edges<'w>(&'w self, world: &'w World) -> impl Iterator<Item = (&'w Edge, f32)> {
        self.tables.iter().flat_map(|(table, _)| {
            let weights = column::components::<EdgeWeight>(world, *table);
            let edges = column::components::<Edge>(world, *table);
            edges.iter().enumerate().map(|(row, edge)| (edge, weights.get(row).map_or(1.0, |weight| weight.0)))
        })
    }
}
