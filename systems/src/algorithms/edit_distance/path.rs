//! The operations that make one graph into another.

use std::collections::BTreeMap;

use super::{EditCosts, EditError, LabeledGraph};
use crate::algorithms::ParallelGraph;

/// One step of an edit path. What goes or changes is numbered as in the first graph, what comes as in the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOperation {
    /// An edge of the first graph goes.
    DeleteEdge {
        /// Nodes of the first graph.
        endpoints: [u32; 2],
    },
    /// A node of the first graph, which has no edges any more, goes.
    DeleteNode {
        /// Of the first graph.
        node: u32,
    },
    /// A node gets the label of one of the second graph.
    SubstituteNode {
        /// Of the first graph.
        node: u32,
        /// Of the second graph.
        with: u32,
    },
    /// An edge gets the label of one of the second graph.
    SubstituteEdge {
        /// Nodes of the first graph.
        endpoints: [u32; 2],
        /// The nodes of the second graph that they become.
        with: [u32; 2],
    },
    /// A node of the second graph comes.
    InsertNode {
        /// Of the second graph.
        node: u32,
    },
    /// An edge of the second graph comes.
    InsertEdge {
        /// Nodes of the second graph.
        endpoints: [u32; 2],
    },
}

/// The operations that make the first graph into the second by a mapping of its nodes (`None` for those that are
/// deleted), each with its cost; deletions come first and insertions last. Nodes and edges that become equal ones for
/// nothing are left out. An edge is deleted and another inserted where that is cheaper than substituting it.
///
/// ```
/// use connectome_systems::{Workers, algorithms::{LabeledGraph, edit_distance::{EditCosts, SearchBudget, EditOperation, edit_distance, edit_path}}};
///
/// let [water, peroxide] = [LabeledGraph::new(vec![1, 8, 1], [([0, 1], 1), ([1, 2], 1)]),
///     LabeledGraph::new(vec![1, 8, 8, 1], [([0, 1], 1), ([1, 2], 1), ([2, 3], 1)])];
/// let costs = EditCosts::default();
/// let found = edit_distance(&water, &peroxide, &costs, SearchBudget::EXACT, &Workers::single())?;
/// let path = edit_path(&water, &peroxide, &costs, &found.mapping)?;
/// assert_eq!(path.iter().map(|(_, cost)| cost).sum::<f64>(), found.upper);
/// assert!(path.iter().any(|(operation, _)| matches!(operation, EditOperation::InsertNode { .. })));
/// # Ok::<(), connectome_systems::algorithms::edit_distance::EditError>(())
/// ```
///
/// # Errors
/// If the mapping is not of these graphs, or two nodes become the same one; if a label has no costs.
pub fn edit_path(
    first: &LabeledGraph,
    second: &LabeledGraph,
    costs: &EditCosts,
    mapping: &[Option<u32>],
) -> Result<Vec<(EditOperation, f64)>, EditError> {
    let mut origin = vec![None; second.node_count()];
    for (node, with) in (0..).zip(mapping).filter_map(|(node, with)| with.map(|with| (node, with))) {
        match origin.get_mut(with as usize) {
            Some(place @ None) => *place = Some(node),
            _ => return Err(EditError::Mapping { node }),
        }
    }
    if mapping.len() != first.node_count() {
        return Err(EditError::Mapping { node: mapping.len().min(first.node_count()) as u32 });
    }
    [first, second].into_iter().try_for_each(|graph| costs.check_labels(graph))?;

    let (nodes, edges) = (costs.nodes(), costs.edges());
    // Grouped, so that each step can be taken after those before it.
    let [mut edges_gone, mut nodes_gone, mut changed, mut nodes_come, mut edges_come] = [const { Vec::new() }; 5];
    for (node, with) in (0..).zip(mapping) {
        let label = first.labels()[node as usize];
        let Some(with) = *with else {
            nodes_gone.push((EditOperation::DeleteNode { node }, nodes.deletion(label)));
            continue;
        };
        let to = second.labels()[with as usize];
        let cost = nodes.substitution(label, to);
        if label != to || cost > 0.0 {
            changed.push((EditOperation::SubstituteNode { node, with }, cost));
        }
    }
    for (node, _) in (0..).zip(&origin).filter(|(_, origin)| origin.is_none()) {
        nodes_come.push((EditOperation::InsertNode { node }, nodes.insertion(second.labels()[node as usize])));
    }
    let mut waiting: BTreeMap<[u32; 2], u32> = second.labeled_edges().collect();
    for (endpoints, label) in first.labeled_edges() {
        let deletion = edges.deletion(label);
        if let [Some(one), Some(other)] = endpoints.map(|end| mapping[end as usize])
            && let Some(&to) = waiting.get(&[one.min(other), one.max(other)])
        {
            let cost = edges.substitution(label, to);
            if cost <= deletion + edges.insertion(to) {
                waiting.remove(&[one.min(other), one.max(other)]);
                if label != to || cost > 0.0 {
                    changed.push((EditOperation::SubstituteEdge { endpoints, with: [one, other] }, cost));
                }
                continue;
            }
        }
        edges_gone.push((EditOperation::DeleteEdge { endpoints }, deletion));
    }
    edges_come.extend(
        waiting.into_iter().map(|(endpoints, label)| (EditOperation::InsertEdge { endpoints }, edges.insertion(label))),
    );
    Ok([edges_gone, nodes_gone, changed, nodes_come, edges_come].concat())
}
