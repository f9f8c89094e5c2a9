//! A pair of graphs in the form that the search reads: dense, in units, the smaller one first.

use core::cmp::Reverse;

use super::{
    EditCosts, EditError, LabeledGraph, MAX_EDGE_LABELS, MAX_NODES, Units,
    assignment::{FORBIDDEN, NONE},
};
use crate::algorithms::ParallelGraph;

/// Two graphs to compare. The nodes of the smaller one are *rows*, those of the other *columns*: each row is assigned a
/// distinct column or none.
///
/// Costs are relative to those of inserting all columns and their edges: each assigned row adds the difference, so that
/// columns without a row and the edges among them add nothing (the compact form of the quadratic assignment problem of
/// Bougleux et al., 2017).
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// Whether the rows are the nodes of the second graph.
    pub swapped: bool,
    /// The node of each row, in the order in which the search fixes them.
    pub nodes: Vec<u32>,
    pub rows: usize,
    pub columns: usize,
    /// Number of kinds of edges: the labels, and 0 for no edge.
    pub kinds: usize,
    /// The kind of edge between rows, `[rows, rows]`.
    row_edges: Vec<u16>,
    /// The kind of edge between columns, `[columns, columns]`.
    column_edges: Vec<u16>,
    /// The neighbors of each row, with the kinds of the edges.
    pub row_neighbors: Vec<Vec<(u32, u16)>>,
    pub column_neighbors: Vec<Vec<(u32, u16)>>,
    /// The cost of substituting a row by a column, minus that of inserting the column, `[rows, columns]`.
    pub node_gain: Vec<Units>,
    /// The cost of an unassigned row, which is deleted, `[rows]`.
    pub node_unassigned: Vec<Units>,
    /// The cost of substituting an edge of one kind by one of another, minus that of inserting the latter, `[kinds,
    /// kinds]`.
    edge_gain: Vec<Units>,
    /// The cost of inserting an edge of each kind, `[kinds]`.
    pub edge_inserted: Vec<Units>,
    /// The cost of inserting all columns and their edges.
    pub inserted: Units,
    /// Whether rows may be unassigned; otherwise some optimal solution assigns all rows.
    pub optional: bool,
    pub least: EdgeCosts,
}

/// The minimum costs of operations on edges over all kinds.
#[derive(Clone, Copy, Debug)]
pub(super) struct EdgeCosts {
    pub insertion: Units,
    pub deletion: Units,
    /// Of a substitution by the same kind.
    pub same: Units,
    /// Of a substitution by another kind.
    pub different: Units,
}

impl Problem {
    pub fn new(first: &LabeledGraph, second: &LabeledGraph, costs: &EditCosts) -> Result<Self, EditError> {
        let graphs = [first, second];
        for graph in graphs {
            if graph.node_count() > MAX_NODES {
                return Err(EditError::TooManyNodes { nodes: graph.node_count() });
            }
            costs.check_labels(graph)?;
        }
        let swapped = first.node_count() > second.node_count();
        let [small, large] = if swapped { [second, first] } else { [first, second] };
        let directed = DirectedCosts { costs, swapped };

        let mut labels: Vec<u32> =
            graphs.iter().flat_map(|graph| graph.labeled_edges()).map(|(_, label)| label).collect();
        labels.sort_unstable();
        labels.dedup();
        if labels.len() > MAX_EDGE_LABELS {
            return Err(EditError::TooManyEdgeLabels { labels: labels.len() });
        }
        let kinds = labels.len() + 1;
        let kind_of = |label: u32| labels.partition_point(|other| *other < label) as u16 + 1;

        let nodes = decision_order(small, large);
        let mut row_of = vec![0; nodes.len()];
        nodes.iter().enumerate().for_each(|(row, node)| row_of[*node as usize] = row as u32);
        let (row_edges, row_neighbors) = dense(small, |node| row_of[node as usize], kind_of);
        let (column_edges, column_neighbors) = dense(large, |node| node, kind_of);

        let deletions: Vec<Units> =
            nodes.iter().map(|node| directed.deletion(true, small.labels()[*node as usize])).collect();
        let insertions: Vec<Units> = large.labels().iter().map(|label| directed.insertion(true, *label)).collect();
        let mut node_gain = Vec::with_capacity(nodes.len() * insertions.len());
        let mut optional = false;
        for (row, node) in nodes.iter().enumerate() {
            for (column, label) in large.labels().iter().enumerate() {
                let gain = directed.substitution(true, small.labels()[*node as usize], *label) - insertions[column];
                optional |= gain > deletions[row];
                node_gain.push(gain);
            }
        }
        let node_unassigned = if optional { deletions } else { vec![FORBIDDEN; nodes.len()] };

        let mut edge_inserted = vec![0];
        edge_inserted.extend(labels.iter().map(|label| directed.insertion(false, *label)));
        let mut edge_gain = vec![0; kinds];
        let mut least = EdgeCosts { insertion: FORBIDDEN, deletion: FORBIDDEN, same: FORBIDDEN, different: FORBIDDEN };
        for from in &labels {
            let deletion = directed.deletion(false, *from);
            least.deletion = least.deletion.min(deletion);
            least.insertion = least.insertion.min(directed.insertion(false, *from));
            edge_gain.push(deletion);
            for (to, insertion) in labels.iter().zip(&edge_inserted[1..]) {
                // An edge may also be deleted and the other inserted.
                let cost = directed.substitution(false, *from, *to).min(deletion + insertion);
                let least = if from == to { &mut least.same } else { &mut least.different };
                *least = cost.min(*least);
                edge_gain.push(cost - insertion);
            }
        }
        least.different = least.different.min(least.deletion + least.insertion);
        least.same = least.same.min(least.different);

        let mut inserted = insertions.iter().sum();
        for (_, label) in large.labeled_edges() {
            inserted += directed.insertion(false, label);
        }
        Ok(Self {
            swapped,
            rows: nodes.len(),
            columns: insertions.len(),
            nodes,
            kinds,
            row_edges,
            column_edges,
            row_neighbors,
            column_neighbors,
            node_gain,
            node_unassigned,
            edge_gain,
            edge_inserted,
            inserted,
            optional,
            least,
        })
    }

    /// The kind of edge between two rows; 0 for none.
    #[inline]
    pub fn row_edge(&self, one: usize, other: usize) -> usize {
        self.row_edges[one * self.rows + other] as usize
    }

    /// The kinds of the edges of a column.
    #[inline]
    pub fn column_edges(&self, column: u32) -> &[u16] {
        &self.column_edges[column as usize * self.columns..][..self.columns]
    }

    /// The relative costs of substituting an edge of a kind, for each kind of its counterpart in the other graph.
    #[inline]
    pub fn edge_gains(&self, kind: usize) -> &[Units] {
        &self.edge_gain[kind * self.kinds..][..self.kinds]
    }

    /// The relative cost of an edge of a kind whose endpoints are assigned to two columns, either of which may be
    /// [`NONE`].
    #[inline]
    pub fn edge_gain(&self, kind: usize, one: u32, other: u32) -> Units {
        let counterpart = if one == NONE || other == NONE { 0 } else { self.column_edges(one)[other as usize] };
        self.edge_gains(kind)[counterpart as usize]
    }

    /// The relative cost of a row with this column, which may be [`NONE`].
    #[inline]
    pub fn row_gain(&self, row: usize, column: u32) -> Units {
        if column == NONE { self.node_unassigned[row] } else { self.node_gain[row * self.columns + column as usize] }
    }

    /// For each node of the first graph the node of the second that it is mapped to, if any.
    pub fn mapping(&self, column_of: &[u32]) -> Vec<Option<u32>> {
        let pairs = self.nodes.iter().zip(column_of).filter(|(_, column)| **column != NONE);
        let mut mapping = vec![None; if self.swapped { self.columns } else { self.rows }];
        for (&node, &column) in pairs {
            let [from, to] = if self.swapped { [column, node] } else { [node, column] };
            mapping[from as usize] = Some(to);
        }
        mapping
    }
}

/// Costs in units of edits from the rows' graph to the columns' graph.
struct DirectedCosts<'a> {
    costs: &'a EditCosts,
    swapped: bool,
}

impl DirectedCosts<'_> {
    fn insertion(&self, of_node: bool, label: u32) -> Units {
        let costs = if of_node { self.costs.nodes() } else { self.costs.edges() };
        self.costs.units(if self.swapped { costs.deletion(label) } else { costs.insertion(label) })
    }

    fn deletion(&self, of_node: bool, label: u32) -> Units {
        Self { costs: self.costs, swapped: !self.swapped }.insertion(of_node, label)
    }

    fn substitution(&self, of_node: bool, from: u32, to: u32) -> Units {
        let costs = if of_node { self.costs.nodes() } else { self.costs.edges() };
        let [from, to] = if self.swapped { [to, from] } else { [from, to] };
        self.costs.units(costs.substitution(from, to))
    }
}

/// The kinds of edges as a matrix, and the neighbors of each node.
fn dense(
    graph: &LabeledGraph,
    index_of: impl Fn(u32) -> u32,
    kind_of: impl Fn(u32) -> u16,
) -> (Vec<u16>, Vec<Vec<(u32, u16)>>) {
    let nodes = graph.node_count();
    let mut kinds = vec![0; nodes * nodes];
    let mut neighbors = vec![Vec::new(); nodes];
    for (endpoints, label) in graph.labeled_edges() {
        let [one, other] = endpoints.map(&index_of);
        let kind = kind_of(label);
        for (from, to) in [(one, other), (other, one)] {
            kinds[from as usize * nodes + to as usize] = kind;
            neighbors[from as usize].push((to, kind));
        }
    }
    (kinds, neighbors)
}

/// The order in which the search fixes nodes: greedily by the number of edges to earlier ones, so that costs are known
/// early; then by degree and rarity of the label.
fn decision_order(graph: &LabeledGraph, other: &LabeledGraph) -> Vec<u32> {
    let count = |label: u32| other.labels().iter().filter(|other| **other == label).count();
    let rarity: Vec<Reverse<usize>> = graph.labels().iter().map(|label| Reverse(count(*label))).collect();
    let mut known = vec![0; graph.node_count()];
    let mut waiting: Vec<u32> = graph.nodes().collect();
    let mut order = Vec::with_capacity(waiting.len());
    let key = |known: &[usize], node: u32| {
        (known[node as usize], graph.graph().degree(node), rarity[node as usize], Reverse(node))
    };
    while let Some(index) = (0..waiting.len()).max_by_key(|index| key(&known, waiting[*index])) {
        let node = waiting.swap_remove(index);
        graph.graph().neighbors(node).iter().for_each(|neighbor| known[*neighbor as usize] += 1);
        order.push(node);
    }
    order
}
