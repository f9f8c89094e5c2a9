//! Networks over directed acyclic graphs: each operator passes through all levels of the graph in one operation.
//!
//! The backward pass walks from the last level to the first, and computes what cannot be known at once: how the loss
//! depends on the state of each node by way of its successors. Everything else, such as the gradients with respect to
//! parameters, follows from all rows together.

mod gru;
mod messages;
mod network;
mod slots;
mod tree;

use connectome_components::{Adjacency, Direction, Matrix, Topology};

pub use gru::{DagGruCell, dag_gru};
pub use messages::Messages;
pub use network::dag_network;
pub use tree::{TreeCell, tree_levels};

use crate::{
    error::BuildError,
    kernels::{Operand, SparseRow, for_each_ahead, matmul},
    program::{Cost, Domain, Footprint, Operator, Partition, Program, Shape, Step, Value, Weight, kernel},
};

/// The terms of a sum over the predecessors, or the successors, of a node.
struct Terms<'a, F> {
    adjacency: &'a Adjacency,
    row: usize,
    /// The row that is the first of the matrix from which is gathered.
    first: usize,
    /// The coefficient of a neighbor, given its row, the index of the entry, and the row of the edge.
    coefficient: F,
}

impl<F: Fn(usize, usize, usize) -> f32> SparseRow for Terms<'_, F> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
        let Adjacency { neighbors, edges, .. } = self.adjacency;
        let entries = self.adjacency.entries(self.row);
        let edges = entries.clone().zip(&edges[entries.clone()]);
        for_each_ahead(
            neighbors,
            entries,
            edges,
            #[inline(always)]
            |neighbor, (entry, edge), soon| {
                let coefficient = (self.coefficient)(neighbor, entry, *edge as usize);
                add(neighbor - self.first, coefficient, soon.saturating_sub(self.first));
            },
        );
    }
}

/// The rows that a sum is for: some of a level, or all of a block.
#[derive(Clone, Copy)]
enum Rows<'a> {
    Listed(&'a [u32]),
    From(usize),
}

impl Rows<'_> {
    /// The row with this index among them.
    #[inline(always)]
    fn at(self, index: usize) -> usize {
        match self {
            Self::Listed(rows) => rows[index] as usize,
            Self::From(first) => first + index,
        }
    }
}

/// How the work on all rows is divided where they gather from predecessors, and where they do from successors.
fn partitions(direction: Direction) -> [Partition; 2] {
    match direction {
        Direction::Forward => [Partition::Incoming, Partition::Outgoing],
        Direction::Reverse => [Partition::Outgoing, Partition::Incoming],
    }
}

/// The predecessor and the successor of each edge; none if it is dangling.
#[inline(always)]
fn ends(topology: &Topology, edge: usize, direction: Direction) -> Option<[usize; 2]> {
    match (topology.endpoints[edge], direction) {
        ([Topology::NO_ROW, _], _) => None,
        ([source, target], Direction::Forward) => Some([source as usize, target as usize]),
        ([source, target], Direction::Reverse) => Some([target as usize, source as usize]),
    }
}

/// On which rows a row of a backward pass depends, where it gathers from predecessors or successors.
fn footprint(partition: Partition) -> Footprint {
    if partition == Partition::Incoming { Footprint::Incoming } else { Footprint::Outgoing }
}

/// The elements of a parameter.
#[inline(always)]
fn elements<'a>(matrix: &Matrix<'a>, weight: &Weight) -> &'a [f32] {
    matrix.rows().next().map_or(&[], |row| &row[weight.range()])
}

/// `values[i] += bias` for each row.
#[inline(always)]
fn add_bias(values: &mut [f32], bias: &[f32]) {
    for row in values.chunks_exact_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
    }
}

/// The transpose of weights, in a single row: products with few rows read it as it lies.
fn transpose(weight: &Weight) -> (impl Operator + use<>, Shape) {
    let (range, [rows, columns]) = (weight.range(), weight.shape());
    let operator = kernel("transpose", Footprint::All, move |step: &mut Step<'_>| {
        let weight = step.input(0);
        let Some(weight) = weight.rows().next().map(|row| &row[range.clone()]) else { return };
        let Some(target) = step.output(0).rows_mut().next() else { return };
        for (row, elements) in weight.chunks_exact(columns).enumerate() {
            target[row..].iter_mut().step_by(rows).zip(elements).for_each(|(target, element)| *target = *element);
        }
    });
    (operator, Shape::new(Domain::Single, rows * columns))
}

/// `X W + b` of each row, or without a bias: reads `X`, the weights, and the bias if there is one.
fn product(weight: &Weight, bias: Option<&Weight>) -> impl Operator + use<> {
    let (weight, bias) = (*weight, bias.copied());
    let cost = Cost { per_row: weight.range().len(), per_entry: 0 };
    kernel("linear", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Product,
            [0, 1, if bias.is_some() { 2 } else { 1 }],
            #[inline(always)]
            |_, [values, weights, biases], rows, output| {
                let weights = Operand::new(elements(weights, &weight), weight.shape()[1]);
                matmul(Operand::new(values.slice(rows), values.width()), weights, output);
                if let Some(bias) = &bias {
                    add_bias(output, elements(biases, bias));
                }
            },
        );
    })
    .with_cost(cost)
}

/// The error of an operator on a relation between two kinds, in which nodes have no levels.
fn of_one_kind(program: &Program) -> Result<(), BuildError> {
    match program.sources() == program.nodes() {
        true => Ok(()),
        false => {
            Err(program.error("passes through levels, which a relation between two kinds has none of; use a graph"))
        }
    }
}

/// The error of an operator whose input is not on nodes.
fn on_nodes(input: &Value) -> Result<(), String> {
    match input.domain() {
        Domain::Nodes(_) => Ok(()),
        _ => {
            Err("passes through the levels of nodes, but its input is on other rows; give a value on nodes".to_owned())
        }
    }
}
