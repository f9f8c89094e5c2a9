//! Bytes of nodes, edges, graphs and parameters.
//!
//! bevy_ecs keeps for an entity its place in the world, in its archetype and in its table, and for each component of it
//! two ticks. Tables grow by doubling, but room that no row has come to takes no memory of the machine, so rows are
//! counted. The topology has for each edge its endpoints, and twice the neighbor, the edge's row and its coefficients.

use bevy_ecs::{archetype::ArchetypeEntity, change_detection::Tick, entity::Entity, name::Name};
use connectome_components::{ClassLabel, Edge, EdgeWeight, GraphKey, InSubgraph, Split};

use crate::scene::model::{Columns, Input, ModelSize};

/// Bytes of a number, be it an `f32` or a row's number.
pub(super) const NUMBER: usize = size_of::<f32>();

/// When a component of an entity was added, and when it was changed.
const TICKS: usize = 2 * size_of::<Tick>();

/// An entity in its table and in its archetype.
const ENTITY: usize = size_of::<Entity>() + size_of::<ArchetypeEntity>();

/// What bevy_ecs knows of each entity: generation, place, and when it was spawned. There are always as many as a power of
/// two, all of them written.
const PLACE: usize = 24;

/// How many nodes, edges, graphs and pairs of nodes there are in a world.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub nodes: usize,
    pub edges: usize,
    pub graphs: usize,
    pub pairs: usize,
}

impl Counts {
    /// All of them.
    pub fn sum(self) -> usize {
        [self.nodes, self.edges, self.graphs, self.pairs].into_iter().fold(0, usize::saturating_add)
    }

    /// What bevy_ecs knows of all of them.
    pub fn places(self) -> usize {
        self.sum().checked_next_power_of_two().map_or(usize::MAX, |places| places.saturating_mul(PLACE))
    }
}

/// What a graph carries beside what a model computes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    pub input: Input,
    /// Whether edges have weights.
    pub weighted: bool,
    /// Whether nodes belong to one graph of a set.
    pub in_sets: bool,
    /// Letters in a node's name, if nodes have names.
    pub name: Option<usize>,
    /// Values to predict of each node, edge and graph, where the task asks for them.
    pub targets: [Option<usize>; 3],
    /// Whether edges have classes and splits.
    pub labeled_edges: bool,
}

/// Bytes of one row of each kind in a world.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowBytes {
    pub node: usize,
    pub edge: usize,
    pub graph: usize,
    pub pair: usize,
}

/// Components of so many bytes, as a table has them.
fn table_row(components: &[usize]) -> usize {
    ENTITY + components.iter().map(|size| size + TICKS).sum::<usize>()
}

impl RowBytes {
    /// In the tables of a world with a graph, without what models compute.
    pub fn in_tables(carried: &Carried) -> Self {
        let column = |width: usize| width.saturating_mul(NUMBER).saturating_add(TICKS);
        let features = match carried.input.stored {
            // The numbers, and their columns.
            Some(stored) => column(stored).saturating_mul(2),
            None => column(carried.input.width),
        };
        // The markers of nodes, of graphs and of edges have no bytes but ticks.
        let key = size_of::<GraphKey>();
        let node = table_row(&[0, 0, key, size_of::<ClassLabel>(), size_of::<Split>()]);
        let place = if carried.in_sets { size_of::<InSubgraph>() + TICKS } else { 0 };
        let name = carried.name.map_or(0, |letters| size_of::<Name>() + TICKS + letters);
        let weight = if carried.weighted { size_of::<EdgeWeight>() + TICKS } else { 0 };
        let edge_features = carried.input.edges.map_or(0, column);
        let [of_node, of_edge, of_graph] = carried.targets.map(|width| width.map_or(0, column));
        let label = size_of::<ClassLabel>() + size_of::<Split>() + 2 * TICKS;
        let edge_label = if carried.labeled_edges { label } else { 0 };
        Self {
            node: (node + place + name).saturating_add(features).saturating_add(of_node),
            edge: (table_row(&[0, size_of::<Edge>()]) + weight + edge_label)
                .saturating_add(edge_features)
                .saturating_add(of_edge),
            graph: table_row(&[0, key, size_of::<ClassLabel>(), size_of::<Split>()]).saturating_add(of_graph),
            // The target, the output, and the gradient by it.
            pair: table_row(&[0, size_of::<Edge>(), size_of::<Split>(), NUMBER, NUMBER, NUMBER]),
        }
    }

    /// In the columns of a model.
    pub fn of_columns(model: &ModelSize) -> Self {
        let bytes =
            |columns: Columns| columns.width.saturating_mul(NUMBER).saturating_add(columns.count.saturating_mul(TICKS));
        Self { node: bytes(model.nodes), edge: bytes(model.edges), graph: bytes(model.graphs), pair: 0 }
    }

    /// In the topology, of which a model asks for normalizations and levels.
    pub fn in_topology(carried: &Carried, model: &ModelSize) -> Self {
        let (entity, normalizations) = (size_of::<Entity>(), model.normalizations);
        // The levels with at worst a node each, and what they are derived in.
        let levels = if model.directions > 0 { (4 + 2 * model.directions) * NUMBER } else { 0 };
        // Its key while rows are put in order, where the edges of both directions begin, and its graph; what it weighs itself,
        // for both directions.
        let node = size_of::<GraphKey>() + entity + 3 * NUMBER + 2 * normalizations * NUMBER + levels;
        let member = if carried.in_sets { 4 * NUMBER } else { 0 };
        let edge = entity + 6 * NUMBER;
        // The order of pairs, which are drawn anew in each step, and the places in it.
        let pair = edge + 2 * NUMBER;
        Self { node: node + member, edge: edge + 2 * normalizations * NUMBER, graph: entity + NUMBER, pair }
    }

    /// In the tables that a batch's rows come through while they are given their components, one after the other.
    pub fn on_the_way() -> Self {
        let (key, label, split) = (size_of::<GraphKey>(), size_of::<ClassLabel>(), size_of::<Split>());
        let place = key + size_of::<InSubgraph>() + TICKS;
        let nodes: [&[usize]; 4] = [&[place], &[place, 0], &[place, 0, label], &[place, 0, label, split]];
        let graphs: [&[usize]; 4] = [&[key], &[key, 0], &[key, 0, label], &[key, 0, label, split]];
        let sum = |tables: [&[usize]; 4]| tables.into_iter().map(table_row).sum();
        Self { node: sum(nodes), edge: table_row(&[size_of::<Edge>()]), graph: sum(graphs), pair: 0 }
    }

    /// In the buffers of two batches, of which one is computed while the other is filled.
    pub fn in_batches(carried: &Carried) -> Self {
        let origin = NUMBER + size_of::<Entity>();
        let features = carried.input.stored.map_or(carried.input.width, |stored| 2 * stored);
        let [of_node, of_edge, of_graph] = carried.targets.map(|width| width.unwrap_or(0) * NUMBER);
        let label = size_of::<ClassLabel>() + size_of::<Split>();
        let weight = if carried.weighted { NUMBER } else { 0 };
        let edge_label = if carried.labeled_edges { label } else { 0 };
        let edge_features = carried.input.edges.unwrap_or(0) * NUMBER;
        Self {
            node: 2 * (origin + NUMBER + features * NUMBER + of_node + label),
            edge: 2 * (origin + 2 * NUMBER + weight + edge_label + edge_features + of_edge),
            graph: 2 * (origin + label + of_graph),
            pair: 0,
        }
    }

    /// All rows together.
    pub fn of_all(self, counts: Counts) -> usize {
        let rows = [
            (self.node, counts.nodes),
            (self.edge, counts.edges),
            (self.graph, counts.graphs),
            (self.pair, counts.pairs),
        ];
        rows.into_iter().map(|(bytes, rows)| bytes.saturating_mul(rows)).fold(0, usize::saturating_add)
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            node: self.node.saturating_add(other.node),
            edge: self.edge.saturating_add(other.edge),
            graph: self.graph.saturating_add(other.graph),
            pair: self.pair.saturating_add(other.pair),
        }
    }
}

/// The most that a table takes while it gets so many rows: when it grows, it has twice the column of those that are copied
/// that is `copied` wide.
pub(super) fn growing(rows: usize, row: usize, copied: usize) -> usize {
    let before = rows.checked_next_power_of_two().map_or(usize::MAX, |capacity| capacity / 2);
    let twice = row.saturating_add(copied.saturating_mul(NUMBER)).saturating_mul(before);
    twice.max(rows.saturating_mul(row))
}

/// What is left behind in the heap by a table that got so many rows little by little: what its columns had before they grew
/// the last time, of which about one half is used again. So it was measured. Wide columns are given back to the machine;
/// `narrow` are the bytes of a row in the others.
pub(super) fn left_behind(rows: usize, narrow: usize) -> usize {
    narrow.saturating_mul(rows.checked_next_power_of_two().map_or(usize::MAX, |capacity| capacity / 2)) / 2
}
