//! Bytes of the kinds of nodes beside that of the task, and of relations.

use connectome_systems::program::RowCounts;

use super::usage::{Carried, RowBytes, left_behind};
use crate::data::{GraphData, RowKind};
use crate::scene::description::SceneFile;
use crate::scene::kinds::KindInputs;
use crate::scene::model::{Input, ModelSize};

/// The nodes of other kinds and the edges of relations.
#[derive(Clone, Debug, Default)]
pub(super) struct Beside {
    /// How many of them are in the world.
    pub nodes: usize,
    pub edges: usize,
    /// How many of them, and of the nodes of the task, the graphs of the relations have in their topologies together.
    rows: [usize; 2],
    /// Bytes of their tables, and what these left behind, without what the model computes.
    tables: usize,
    /// How many rows a model has of each.
    pub counts: RowCounts,
}

impl Beside {
    /// Those of a graph, of which the model reads `inputs`.
    pub fn of(data: &GraphData, scene: &SceneFile, inputs: &KindInputs) -> Self {
        let Some(kinds) = &data.kinds else { return Self::default() };
        let mut beside = Self { counts: data.row_counts(), ..Self::default() };
        let none = Input { width: 0, stored: None, edges: None };
        for (kind, input) in kinds.others.iter().zip(&inputs.kinds) {
            let (name, nodes) = (&kind.name, &kind.nodes);
            let targets = nodes.targets.as_ref().filter(|_| scene.reads_targets(RowKind::Nodes, Some(name)));
            let letters = nodes.names.iter().map(String::len).sum::<usize>();
            let carried = Carried {
                input: *input,
                weighted: false,
                in_sets: false,
                name: letters.checked_div(nodes.names.len()),
                targets: [targets.map(|targets| targets.width), None, None],
                labeled_edges: false,
            };
            beside.add(RowBytes::in_tables(&carried).node, nodes.nodes);
            let narrow = RowBytes::in_tables(&Carried { input: none, ..carried }).node;
            beside.tables = beside.tables.saturating_add(left_behind(nodes.nodes, narrow));
            beside.nodes += nodes.nodes;
        }
        let counts = beside.counts.kinds.clone();
        let nodes = |kind: usize| kind.checked_sub(1).map_or(data.nodes, |other| counts[other]);
        for (relation, width) in kinds.relations.iter().zip(&inputs.relations) {
            let (input, weighted) = (Input { edges: *width, ..none }, relation.weights.is_some());
            let carried =
                Carried { input, weighted, in_sets: false, name: None, targets: [None; 3], labeled_edges: false };
            beside.add(RowBytes::in_tables(&carried).edge, relation.edges.len());
            beside.edges += relation.edges.len();
            let ends = nodes(relation.ends[0]) + nodes(relation.ends[1]);
            beside.rows[0] += ends * relation.directions();
            beside.rows[1] += relation.edges.len() * relation.directions();
        }
        beside
    }

    fn add(&mut self, row: usize, rows: usize) {
        self.tables = self.tables.saturating_add(row.saturating_mul(rows));
    }

    /// What they take once a model runs.
    pub fn bytes(&self, carried: &Carried, model: &ModelSize) -> usize {
        let row = RowBytes::in_topology(carried, model);
        let [nodes, edges] = [row.node.saturating_mul(self.rows[0]), row.edge.saturating_mul(self.rows[1])];
        [self.tables, nodes, edges, model.beside].into_iter().fold(0, usize::saturating_add)
    }
}
