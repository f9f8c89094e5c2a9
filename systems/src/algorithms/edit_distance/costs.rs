//! Costs of edit operations.

use serde::{Deserialize, Serialize};

use super::{LabeledGraph, Units};

/// The costs of inserting, deleting and substituting nodes, or edges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum OperationCosts {
    /// The same for all labels; substituting an equal label costs nothing.
    Uniform {
        /// The cost of an element that only the second graph has.
        insertion: f64,
        /// The cost of an element that only the first graph has.
        deletion: f64,
        /// The cost of changing a label.
        substitution: f64,
    },
    /// By label, for labels below `L`.
    Table {
        /// The cost for each label, `[L]`.
        insertion: Vec<f64>,
        /// The cost for each label, `[L]`.
        deletion: Vec<f64>,
        /// The cost for each label of the first graph and each of the second, `[L, L]`.
        substitution: Vec<Vec<f64>>,
    },
}

impl OperationCosts {
    /// 1 for each operation.
    pub const UNIT: Self = Self::Uniform { insertion: 1.0, deletion: 1.0, substitution: 1.0 };

    fn costs(&self) -> Vec<f64> {
        match self {
            Self::Uniform { insertion, deletion, substitution } => vec![*insertion, *deletion, *substitution],
            Self::Table { insertion, deletion, substitution } => {
                insertion.iter().chain(deletion).chain(substitution.iter().flatten()).copied().collect()
            }
        }
    }

    fn is_square(&self) -> bool {
        match self {
            Self::Uniform { .. } => true,
            Self::Table { insertion, deletion, substitution } => {
                let labels = insertion.len();
                deletion.len() == labels
                    && substitution.len() == labels
                    && substitution.iter().all(|row| row.len() == labels)
            }
        }
    }

    /// The number of labels of the tables; none if all labels have costs.
    fn labels(&self) -> Option<usize> {
        match self {
            Self::Uniform { .. } => None,
            Self::Table { insertion, .. } => Some(insertion.len()),
        }
    }

    pub(super) fn insertion(&self, label: u32) -> f64 {
        match self {
            Self::Uniform { insertion, .. } => *insertion,
            Self::Table { insertion, .. } => insertion[label as usize],
        }
    }

    pub(super) fn deletion(&self, label: u32) -> f64 {
        match self {
            Self::Uniform { deletion, .. } => *deletion,
            Self::Table { deletion, .. } => deletion[label as usize],
        }
    }

    pub(super) fn substitution(&self, from: u32, to: u32) -> f64 {
        match self {
            Self::Uniform { .. } if from == to => 0.0,
            Self::Uniform { substitution, .. } => *substitution,
            Self::Table { substitution, .. } => substitution[from as usize][to as usize],
        }
    }
}

/// Validated costs of edit operations on nodes and edges.
///
/// Internally costs are integer multiples of a [unit](EditCosts::unit), so that sums are exact and independent of their
/// order, and bounds can be rounded up.
///
/// ```
/// use connectome_systems::algorithms::edit_distance::{EditCosts, EditError, OperationCosts};
///
/// let nodes = OperationCosts::Uniform { insertion: 2.0, deletion: 2.0, substitution: 1.5 };
/// assert_eq!(EditCosts::new(nodes, OperationCosts::UNIT)?.unit(), 0.5);
/// let gain = OperationCosts::Uniform { insertion: -1.0, deletion: 1.0, substitution: 1.0 };
/// assert!(EditCosts::new(gain, OperationCosts::UNIT).is_err());
/// # Ok::<(), EditError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct EditCosts {
    nodes: OperationCosts,
    edges: OperationCosts,
    unit: f64,
}

impl EditCosts {
    /// The maximum cost of one operation in units, so that sums over all operations do not overflow.
    const MAX_UNITS: f64 = (1u64 << 36) as f64;

    /// Validates the costs of operations on nodes and on edges.
    ///
    /// # Errors
    /// If a cost is negative, infinite or NaN, or the sizes of tables differ.
    pub fn new(nodes: OperationCosts, edges: OperationCosts) -> Result<Self, EditError> {
        for (kind, costs) in [("node", &nodes), ("edge", &edges)] {
            if !costs.is_square() {
                return Err(EditError::Uneven { kind });
            }
            if let Some(cost) = costs.costs().into_iter().find(|cost| !(cost.is_finite() && *cost >= 0.0)) {
                return Err(EditError::Cost { kind, cost });
            }
        }
        let costs: Vec<f64> = [nodes.costs(), edges.costs()].concat();
        let unit = unit_of(&costs);
        Ok(Self { nodes, edges, unit })
    }

    /// The costs of operations on nodes.
    pub fn nodes(&self) -> &OperationCosts {
        &self.nodes
    }

    /// The costs of operations on edges.
    pub fn edges(&self) -> &OperationCosts {
        &self.edges
    }

    /// The unit of which all costs are multiples: their greatest common divisor if they are decimal fractions of at
    /// most six digits; otherwise 2^-36 times the largest cost, to which the others are rounded.
    pub fn unit(&self) -> f64 {
        self.unit
    }

    /// A cost in units.
    pub(super) fn units(&self, cost: f64) -> Units {
        (cost / self.unit).round() as Units
    }

    /// Checks that all labels of a graph have costs.
    pub(super) fn check_labels(&self, graph: &LabeledGraph) -> Result<(), EditError> {
        let of_nodes = graph.labels().iter().copied().max();
        let of_edges = graph.labeled_edges().map(|(_, label)| label).max();
        for (kind, costs, label) in [("node", &self.nodes, of_nodes), ("edge", &self.edges, of_edges)] {
            if let (Some(labels), Some(label)) = (costs.labels(), label)
                && label as usize >= labels
            {
                if label == LabeledGraph::NO_LABEL {
                    return Err(EditError::Unlabeled { kind });
                }
                return Err(EditError::Label { kind, label, labels });
            }
        }
        Ok(())
    }
}

/// A cost of 1 for each operation.
impl Default for EditCosts {
    fn default() -> Self {
        Self { nodes: OperationCosts::UNIT, edges: OperationCosts::UNIT, unit: 1.0 }
    }
}

/// All integers up to here are exact as `f64`.
const MAX_INTEGER: f64 = (1u64 << 53) as f64;

/// See [`EditCosts::unit`].
fn unit_of(costs: &[f64]) -> f64 {
    let largest = costs.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return 1.0;
    }
    for digits in 0..=6 {
        let scale = 10f64.powi(digits);
        let is_integer = |cost: &f64| (cost * scale - (cost * scale).round()).abs() <= 1e-9 * (cost * scale).min(1.0);
        if largest * scale < MAX_INTEGER && costs.iter().all(is_integer) {
            let integers = costs.iter().map(|cost| (cost * scale).round() as u64);
            let unit = integers.fold(0, greatest_common_divisor) as f64 / scale;
            if largest / unit <= EditCosts::MAX_UNITS {
                return unit;
            }
        }
    }
    largest / EditCosts::MAX_UNITS
}

fn greatest_common_divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// An error of the comparison of two graphs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EditError {
    /// A cost is negative or not finite.
    #[error("an operation on {kind}s costs {cost}; costs must be finite and not negative")]
    Cost {
        /// Node or edge.
        kind: &'static str,
        /// The cost.
        cost: f64,
    },
    /// The sizes of the tables of costs differ.
    #[error(
        "the {kind} cost tables differ in size; for L labels use L insertions, L deletions and L by L substitutions"
    )]
    Uneven {
        /// Node or edge.
        kind: &'static str,
    },
    /// A label of a graph is not in a table of costs.
    #[error(
        "the {kind} label {label} has no costs: the tables have {labels} labels, counted from 0; extend the tables"
    )]
    Label {
        /// Node or edge.
        kind: &'static str,
        /// The largest of the graphs' labels.
        label: u32,
        /// The number of labels of the table.
        labels: usize,
    },
    /// A node or edge without a label, and costs by label.
    #[error("a {kind} without a label has no costs in the tables; label all of them, or use uniform costs")]
    Unlabeled {
        /// Node or edge.
        kind: &'static str,
    },
    /// A graph has more nodes than [`MAX_NODES`](super::MAX_NODES).
    #[error("a graph of {nodes} nodes is too large for an edit distance; use graphs of at most {max} nodes", max = super::MAX_NODES)]
    TooManyNodes {
        /// The number of nodes.
        nodes: usize,
    },
    /// A mapping does not map nodes of the first graph to distinct nodes of the second.
    #[error(
        "the mapping is invalid at node {node} of the first graph; map each node to another one of the second, or none"
    )]
    Mapping {
        /// The first invalid node.
        node: u32,
    },
    /// The graphs have more edge labels than [`MAX_EDGE_LABELS`](super::MAX_EDGE_LABELS).
    #[error("the graphs have {labels} edge labels, more than {max}; merge equivalent labels", max = super::MAX_EDGE_LABELS)]
    TooManyEdgeLabels {
        /// The number of edge labels.
        labels: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_divides_all_costs() {
        assert_eq!(unit_of(&[1.0, 2.0, 0.0]), 1.0);
        assert_eq!(unit_of(&[4.0, 6.0]), 2.0);
        assert_eq!(unit_of(&[0.3, 0.1, 1.2]), 0.1);
        assert_eq!(unit_of(&[0.0]), 1.0);
        assert_eq!(unit_of(&[2500.0, 1e12]), 2500.0);
        assert_eq!(unit_of(&[1.0, 1e12]), 1e12 / EditCosts::MAX_UNITS);
        let third = unit_of(&[1.0, 1.0 / 3.0]);
        assert!((1.0 / 3.0 / third).round() * third - 1.0 / 3.0 < 1e-10);
    }

    #[test]
    fn invalid_costs_are_errors() {
        for cost in [-1.0, f64::NAN, f64::INFINITY] {
            let costs = OperationCosts::Uniform { insertion: 1.0, deletion: 1.0, substitution: cost };
            let error = EditCosts::new(OperationCosts::UNIT, costs).unwrap_err();
            assert!(matches!(error, EditError::Cost { kind: "edge", .. }), "{error}");
        }
        let table =
            OperationCosts::Table { insertion: vec![1.0], deletion: vec![1.0, 2.0], substitution: vec![vec![0.0]] };
        assert_eq!(EditCosts::new(table, OperationCosts::UNIT), Err(EditError::Uneven { kind: "node" }));
        let table = OperationCosts::Table { insertion: vec![1.0], deletion: vec![1.0], substitution: vec![vec![0.0]] };
        let costs = EditCosts::new(table, OperationCosts::UNIT).unwrap();
        let error = costs.check_labels(&LabeledGraph::new(vec![0, 1], [([0, 1], 7)])).unwrap_err();
        assert_eq!(error, EditError::Label { kind: "node", label: 1, labels: 1 });
        let error = costs.check_labels(&LabeledGraph::new(vec![0, LabeledGraph::NO_LABEL], [])).unwrap_err();
        assert_eq!(error, EditError::Unlabeled { kind: "node" });
    }
}
