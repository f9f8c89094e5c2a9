//! Passes over the nodes of a graph one after another: what networks by levels are measured against.

use connectome::{
    components::Matrix,
    systems::kernels::{
        Activation, Operand, SparseRow, add_rows, dot, gather_rows, gru_cell, gru_cell_backward, matmul, matmul_onto,
        matmul_transposed,
    },
};
use pulp::Arch;
use std::ops::Range;

use super::{Links, WIDTH};

/// A network that is computed forward, and then backward from some gradient.
pub trait Sequential {
    fn forward(&mut self);
    fn backward(&mut self);
}

/// One direction of the edges, by node.
struct Adjacency {
    offsets: Vec<usize>,
    neighbors: Vec<u32>,
    edges: Vec<u32>,
}

impl Adjacency {
    fn new(links: &Links, at: usize) -> Self {
        let mut edges: Vec<u32> = (0..links.edges.len() as u32).collect();
        edges.sort_by_key(|edge| (links.edges[*edge as usize][at], links.edges[*edge as usize][1 - at]));
        let mut offsets = vec![0; links.nodes + 1];
        links.edges.iter().for_each(|ends| offsets[ends[at] as usize + 1] += 1);
        (0..links.nodes).for_each(|node| offsets[node + 1] += offsets[node]);
        let neighbors = edges.iter().map(|edge| links.edges[*edge as usize][1 - at]).collect();
        Self { offsets, neighbors, edges }
    }

    #[inline(always)]
    fn entries(&self, node: usize) -> Range<usize> {
        self.offsets[node]..self.offsets[node + 1]
    }
}

/// A sum over the neighbors of a node, of which the first in the matrix is `first`.
struct Terms<'a, F> {
    adjacency: &'a Adjacency,
    node: usize,
    first: usize,
    coefficient: F,
}

impl<F: Fn(usize) -> f32> SparseRow for Terms<'_, F> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
        let entries = self.adjacency.entries(self.node);
        let neighbors = &self.adjacency.neighbors[entries.clone()];
        for (neighbor, edge) in neighbors.iter().zip(&self.adjacency.edges[entries]) {
            let row = *neighbor as usize - self.first;
            add(row, (self.coefficient)(*edge as usize), row);
        }
    }
}

/// The sum over the neighbors of a node, in a matrix that begins with the node `first`.
#[inline(always)]
fn sum(
    adjacency: &Adjacency,
    (node, first): (usize, usize),
    coefficient: impl Fn(usize) -> f32 + Copy,
    source: &[f32],
    output: &mut [f32],
) {
    let source = Matrix::new(WIDTH, std::iter::once(source));
    gather_rows(0..1, |_| Terms { adjacency, node, first, coefficient }, &source, false, output);
}

#[inline(always)]
fn row(values: &[f32], node: usize, width: usize) -> &[f32] {
    &values[node * width..(node + 1) * width]
}

#[inline(always)]
fn add(output: &mut [f32], values: &[f32]) {
    output.iter_mut().zip(values).for_each(|(output, value)| *output += value);
}

/// `DagNetwork` with tanh.
pub struct Network {
    incoming: Adjacency,
    outgoing: Adjacency,
    ends: Vec<[u32; 2]>,
    values: Vec<f32>,
    weights: Vec<f32>,
    states: Vec<f32>,
    gradients: Vec<f32>,
    by_values: Vec<f32>,
    by_weights: Vec<f32>,
}

impl Network {
    pub fn new(links: &Links, values: Vec<f32>, weights: Vec<f32>) -> Self {
        let size = values.len();
        Self {
            incoming: Adjacency::new(links, 1),
            outgoing: Adjacency::new(links, 0),
            ends: links.edges.clone(),
            values,
            by_weights: vec![0.0; weights.len()],
            weights,
            states: vec![0.0; size],
            gradients: vec![0.1; size],
            by_values: vec![0.0; size],
        }
    }
}

impl Sequential for Network {
    fn forward(&mut self) {
        let Self { incoming, values, weights, states, .. } = self;
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for node in 0..values.len() / WIDTH {
                    let (before, rest) = states.split_at_mut(node * WIDTH);
                    let state = &mut rest[..WIDTH];
                    if incoming.entries(node).is_empty() {
                        state.copy_from_slice(row(values, node, WIDTH));
                        continue;
                    }
                    sum(incoming, (node, 0), |edge| weights[edge], before, state);
                    add(state, row(values, node, WIDTH));
                    Activation::Tanh.apply(state);
                }
            },
        );
    }

    fn backward(&mut self) {
        let Self { incoming, outgoing, ends, values, weights, states, gradients, by_values, by_weights } = self;
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for node in (0..values.len() / WIDTH).rev() {
                    let (before, after) = by_values.split_at_mut((node + 1) * WIDTH);
                    let by_value = &mut before[node * WIDTH..];
                    sum(outgoing, (node, node + 1), |edge| weights[edge], after, by_value);
                    add(by_value, row(gradients, node, WIDTH));
                    if !incoming.entries(node).is_empty() {
                        Activation::Tanh.chain_from_output(row(states, node, WIDTH), by_value);
                    }
                }
                for ([source, target], by_weight) in ends.iter().zip(by_weights) {
                    *by_weight = dot(row(states, *source as usize, WIDTH), row(by_values, *target as usize, WIDTH));
                }
            },
        );
    }
}

const GATES: usize = 3 * WIDTH;

/// `DagGru` with sums.
pub struct Gru {
    incoming: Adjacency,
    outgoing: Adjacency,
    values: Vec<f32>,
    weights: [Vec<f32>; 2],
    biases: [Vec<f32>; 2],
    transposed: Vec<f32>,
    input_gates: Vec<f32>,
    hidden_gates: Vec<f32>,
    aggregates: Vec<f32>,
    states: Vec<f32>,
    gradients: Vec<f32>,
    by_input: Vec<f32>,
    by_hidden: Vec<f32>,
    by_aggregates: Vec<f32>,
    by_weights: [Vec<f32>; 2],
    by_biases: [Vec<f32>; 2],
}

impl Gru {
    pub fn new(links: &Links, values: Vec<f32>, weights: [Vec<f32>; 2]) -> Self {
        let (size, gates) = (values.len(), 3 * values.len());
        let transposed = (0..GATES * WIDTH).map(|at| weights[1][at % WIDTH * GATES + at / WIDTH]).collect();
        Self {
            incoming: Adjacency::new(links, 1),
            outgoing: Adjacency::new(links, 0),
            values,
            weights,
            biases: [vec![0.1; GATES], vec![0.1; GATES]],
            transposed,
            input_gates: vec![0.0; gates],
            hidden_gates: vec![0.0; gates],
            aggregates: vec![0.0; size],
            states: vec![0.0; size],
            gradients: vec![0.1; size],
            by_input: vec![0.0; gates],
            by_hidden: vec![0.0; gates],
            by_aggregates: vec![0.0; size],
            by_weights: [vec![0.0; WIDTH * GATES], vec![0.0; WIDTH * GATES]],
            by_biases: [vec![0.0; GATES], vec![0.0; GATES]],
        }
    }
}

/// Rows that are multiplied at once, and stay in the cache until the bias is added.
const ROWS: usize = 256;

impl Sequential for Gru {
    fn forward(&mut self) {
        let Self { incoming, values, weights, biases, input_gates, hidden_gates, aggregates, states, .. } = self;
        Arch::new().dispatch(
            #[inline(always)]
            || {
                for (values, gates) in values.chunks(ROWS * WIDTH).zip(input_gates.chunks_mut(ROWS * GATES)) {
                    matmul(Operand::new(values, WIDTH), Operand::new(&weights[0], GATES), gates);
                    gates.chunks_exact_mut(GATES).for_each(|gates| add(gates, &biases[0]));
                }
                for node in 0..values.len() / WIDTH {
                    let (before, rest) = states.split_at_mut(node * WIDTH);
                    let aggregate = &mut aggregates[node * WIDTH..(node + 1) * WIDTH];
                    let gates = &mut hidden_gates[node * GATES..(node + 1) * GATES];
                    if incoming.entries(node).is_empty() {
                        aggregate.fill(0.0);
                        gates.copy_from_slice(&biases[1]);
                    } else {
                        sum(incoming, (node, 0), |_| 1.0, before, aggregate);
                        matmul(Operand::new(aggregate, WIDTH), Operand::new(&weights[1], GATES), gates);
                        add(gates, &biases[1]);
                    }
                    gru_cell(row(input_gates, node, GATES), gates, aggregate, &mut rest[..WIDTH]);
                }
            },
        );
    }

    fn backward(&mut self) {
        let Self { incoming, outgoing, values, transposed, input_gates, hidden_gates, aggregates, gradients, .. } =
            self;
        let (by_aggregates, by_inputs, by_hiddens) = (&mut self.by_aggregates, &mut self.by_input, &mut self.by_hidden);
        Arch::new().dispatch(
            #[inline(always)]
            || {
                let mut gradient = [0.0; WIDTH];
                for node in (0..values.len() / WIDTH).rev() {
                    let (before, after) = by_aggregates.split_at_mut((node + 1) * WIDTH);
                    let by_aggregate = &mut before[node * WIDTH..];
                    sum(outgoing, (node, node + 1), |_| 1.0, after, &mut gradient);
                    add(&mut gradient, row(gradients, node, WIDTH));
                    let by_hidden = &mut by_hiddens[node * GATES..(node + 1) * GATES];
                    let by_input = &mut by_inputs[node * GATES..(node + 1) * GATES];
                    let known = [row(input_gates, node, GATES), row(hidden_gates, node, GATES)];
                    let known = [known[0], known[1], row(aggregates, node, WIDTH), &gradient];
                    gru_cell_backward(known, [by_input, by_hidden, by_aggregate]);
                    if !incoming.entries(node).is_empty() {
                        let transposed = Operand::new(transposed, WIDTH);
                        matmul_onto(Operand::new(by_hidden, GATES), transposed, 1.0, true, by_aggregate);
                    }
                }
            },
        );
        let [by_input_weights, by_hidden_weights] = &mut self.by_weights;
        matmul_transposed(&self.values, &self.by_input, [WIDTH, GATES], by_input_weights);
        matmul_transposed(&self.aggregates, &self.by_hidden, [WIDTH, GATES], by_hidden_weights);
        for (by_bias, by) in self.by_biases.iter_mut().zip([&self.by_input, &self.by_hidden]) {
            by_bias.fill(0.0);
            add_rows(by, by_bias);
        }
    }
}
