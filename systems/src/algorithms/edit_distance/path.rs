//! Edit paths.

use std::collections::BTreeMap;

use super::{EditCosts, EditError, LabeledGraph};
use crate::algorithms::ParallelGraph;

/// One operation of an edit path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditOperation {
    /// Deletes an edge of the first graph.
    DeleteEdge {
        /// Nodes of the first graph.
        endpoints: [u32; 2],
    },
    /// Deletes a node of the first graph, whose edges were deleted before.
    DeleteNode {
        /// A node of the first graph.
        node: u32,
    },
    /// Gives a node the label of one of the second graph.
    SubstituteNode {
        /// A node of the first graph.
        node: u32,
        /// A node of the second graph.
        with: u32,
    },
    /// Gives an edge the label of one of the second graph.
    SubstituteEdge {
        /// Nodes of the first graph.
        endpoints: [u32; 2],
        /// The nodes of the second graph that they are mapped to.
        with: [u32; 2],
    },
    /// Inserts a node of the second graph.
    InsertNode {
        /// A node of the second graph.
        node: u32,
    },
    /// Inserts an edge of the second graph.
    InsertEdge {
        /// Nodes of the second graph.
        endpoints: [u32; 2],
    },
}

/// The operations that transform the first graph into the second under a mapping of its nodes (`None` for deleted
/// ones), each with its cost; deletions come first and insertions last. Substitutions of equal labels at no cost are
/// omitted. An edge is deleted and another inserted if that is cheaper than substituting it.
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
/// If the mapping does not fit the graphs or maps two nodes to the same one; if a label has no costs.
pub fn edit_path(
    first: &LabeledGraph,
    second: &LabeledGraph,
    costs: &EditCosts,
    mapping: &[Option<u32>],
) -> Result<Vec<(EditOperation, f64)>, EditError> {
    let mut origin = vec![None; second.node_count()];
    for (node, with) in (0..).zip(mapping).filter_map(|(node, with)| with.map(|with| (node, with))) {
        match origin.get_mut(with as usize) {
            Some(unmapped @ None) => *unmapped = Some(node),
            _ => return Err(EditError::Mapping { node }),
        }
    }
    if mapping.len() != first.node_count() {
        return Err(EditError::Mapping { node: mapping.len().min(first.node_count()) as u32 });
    }
    [first, second].into_iter().try_for_each(|graph| costs.check_labels(graph))?;

    let (nodes, edges) = (costs.nodes(), costs.edges());
    // Grouped, so that each operation is valid after those before it.
    let [mut deleted_edges, mut deleted_nodes, mut substituted, mut inserted_nodes, mut inserted_edges] =
        [const { Vec::new() }; 5];
    for (node, with) in (0..).zip(mapping) {
        let label = first.labels()[node as usize];
        let Some(with) = *with else {
            deleted_nodes.push((EditOperation::DeleteNode { node }, nodes.deletion(label)));
            continue;
        };
        let to = second.labels()[with as usize];
        let cost = nodes.substitution(label, to);
        if label != to || cost > 0.0 {
            substituted.push((EditOperation::SubstituteNode { node, with }, cost));
        }
    }
    for (node, _) in (0..).zip(&origin).filter(|(_, origin)| origin.is_none()) {
        inserted_nodes.push((EditOperation::InsertNode { node }, nodes.insertion(second.labels()[node as usize])));
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
                    substituted.push((EditOperation::SubstituteEdge { endpoints, with: [one, other] }, cost));
                }
                continue;
            }
        }
        deleted_edges.push((EditOperation::DeleteEdge { endpoints }, deletion));
    }
    inserted_edges.extend(
        waiting.into_iter().map(|(endpoints, label)| (EditOperation::InsertEdge { endpoints }, edges.insertion(label))),
    );
    Ok([deleted_edges, deleted_nodes, substituted, inserted_nodes, inserted_edges].concat())
}
