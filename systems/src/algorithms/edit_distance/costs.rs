//! What it costs to change a graph.

use serde::{Deserialize, Serialize};

use super::{LabeledGraph, Units};

/// What it costs to insert, delete and relabel nodes, or edges, of each kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum OperationCosts {
    /// The same for all labels; another label in place of an equal one costs nothing.
    Uniform {
        /// Of one that only the second graph has.
        insertion: f64,
        /// Of one that only the first graph has.
        deletion: f64,
        /// Of one for another, where their labels differ.
        substitution: f64,
    },
    /// By labels, which are less than the number of rows.
    Table {
        /// For each label, `[L]`.
        insertion: Vec<f64>,
        /// For each label, `[L]`.
        deletion: Vec<f64>,
        /// For each label of the first graph and each of the second, `[L, L]`.
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

    /// How many labels the tables know; none if all.
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

/// What it costs to make one graph into another, checked.
///
/// Internally costs are whole multiples of a [unit](EditCosts::unit), so that sums are exact and the same in any order,
/// and bounds can be rounded up.
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
    /// The most units that one operation may cost: sums over all operations stay in range.
    const MAX_UNITS: f64 = (1u64 << 36) as f64;

    /// The costs of operations on nodes and on edges.
    ///
    /// # Errors
    /// If a cost is negative, infinite or not a number, or tables are not for the same labels.
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

    /// Of nodes.
    pub fn nodes(&self) -> &OperationCosts {
        &self.nodes
    }

    /// Of edges.
    pub fn edges(&self) -> &OperationCosts {
        &self.edges
    }

    /// All costs are multiples of this: the greatest common divisor where they are decimal fractions of at most six
    /// digits, else so small a part of the largest cost (2^-36) that rounding does not show.
    pub fn unit(&self) -> f64 {
        self.unit
    }

    /// A cost in units.
    pub(super) fn units(&self, cost: f64) -> Units {
        (cost / self.unit).round() as Units
    }

    /// Whether the tables have all labels of a graph.
    pub(super) fn check_labels(&self, graph: &LabeledGraph) -> Result<(), EditError> {
        let of_nodes = graph.labels().iter().copied().max();
        let of_edges = graph.labeled_edges().map(|(_, label)| label).max();
        for (kind, costs, label) in [("node", &self.nodes, of_nodes), ("edge", &self.edges, of_edges)] {
            if let (Some(labels), Some(label)) = (costs.labels(), label)
                && label as usize >= labels
            {
                return Err(EditError::Label { kind, label, labels });
            }
        }
        Ok(())
    }
}

/// 1 for each operation.
impl Default for EditCosts {
    fn default() -> Self {
        Self { nodes: OperationCosts::UNIT, edges: OperationCosts::UNIT, unit: 1.0 }
    }
}

/// Up to there each whole number is an f64.
const MAX_WHOLE: f64 = (1u64 << 53) as f64;

/// What all costs are multiples of, as near as makes no difference.
fn unit_of(costs: &[f64]) -> f64 {
    let largest = costs.iter().copied().fold(0.0, f64::max);
    if largest == 0.0 {
        return 1.0;
    }
    for digits in 0..=6 {
        let parts = 10f64.powi(digits);
        let is_whole = |cost: &f64| (cost * parts - (cost * parts).round()).abs() <= 1e-9 * (cost * parts).min(1.0);
        if largest * parts < MAX_WHOLE && costs.iter().all(is_whole) {
            let whole = costs.iter().map(|cost| (cost * parts).round() as u64);
            let unit = whole.fold(0, greatest_divisor) as f64 / parts;
            if largest / unit <= EditCosts::MAX_UNITS {
                return unit;
            }
        }
    }
    largest / EditCosts::MAX_UNITS
}

fn greatest_divisor(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// Two graphs cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EditError {
    /// Operations cost something or nothing.
    #[error("an operation on {kind}s costs {cost}; costs must be finite and not negative")]
    Cost {
        /// Node or edge.
        kind: &'static str,
        /// What was given.
        cost: f64,
    },
    /// A table of costs lacks entries.
    #[error(
        "the {kind} cost tables are not for the same labels; give L insertions, L deletions and L rows of L substitutions"
    )]
    Uneven {
        /// Node or edge.
        kind: &'static str,
    },
    /// A label of a graph is not in a table of costs.
    #[error("the {kind} label {label} has no costs: the tables are for {labels} labels, from 0; extend them")]
    Label {
        /// Node or edge.
        kind: &'static str,
        /// The largest of the graphs' labels.
        label: u32,
        /// How many the table has.
        labels: usize,
    },
    /// More than [`MAX_NODES`](super::MAX_NODES).
    #[error("a graph of {nodes} nodes is too large for an edit distance; at most {max} are compared", max = super::MAX_NODES)]
    TooManyNodes {
        /// How many there are.
        nodes: usize,
    },
    /// A mapping that is not one of these graphs.
    #[error(
        "the mapping is wrong at node {node} of the first graph; give each node another one of the second, or none"
    )]
    Mapping {
        /// The first that is wrong.
        node: u32,
    },
    /// More than [`MAX_EDGE_LABELS`](super::MAX_EDGE_LABELS).
    #[error("the graphs have {labels} kinds of edges, more than {max}; merge labels that mean the same", max = super::MAX_EDGE_LABELS)]
    TooManyEdgeLabels {
        /// How many there are.
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
    fn costs_that_make_no_sense_are_refused() {
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
    }
}
