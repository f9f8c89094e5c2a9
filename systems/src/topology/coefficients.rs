//! Derivation of the coefficients of messages.

use bevy_ecs::world::World;
use connectome_components::{Adjacency, Coefficients, EdgeWeight, Normalization, Rows, Topology};

/// Weights and degrees from which coefficients are derived.
#[derive(Default)]
pub(super) struct Degrees {
    /// The weight of each edge, by its row; empty if no edge has one.
    weights: Vec<f32>,
    /// The weight of the self-loop of each node.
    self_loop_weights: Vec<f32>,
    /// One over the root of the weighted in-degree of each node.
    inverse_roots: Vec<f32>,
}

/// Derives the coefficients of all required normalizations.
pub(super) fn derive(topology: &mut Topology, world: &World, degrees: &mut Degrees) {
    let Topology { edges, incoming, outgoing, normalizations, other_sources, .. } = topology;
    incoming.coefficients.resize_with(normalizations.len(), Coefficients::default);
    outgoing.coefficients.resize_with(normalizations.len(), Coefficients::default);
    for (index, normalization) in normalizations.iter().enumerate() {
        match normalization {
            // No operator reads them: a node of another kind has no self-loop.
            Normalization::Symmetric | Normalization::MeanWithSelf if other_sources.is_some() => continue,
            Normalization::Symmetric => {
                degrees.read_weights(edges, world);
                if degrees.weights.is_empty() {
                    symmetric(incoming, outgoing, index, degrees, |_, _| 1.0);
                } else {
                    symmetric(incoming, outgoing, index, degrees, |weights, edge| weights[edge as usize]);
                }
            }
            Normalization::MeanWithSelf => {
                let inverse = |count| 1.0 / (1 + count) as f32;
                by_count(incoming, outgoing, index, inverse, inverse);
            }
            Normalization::Sum | Normalization::WeightedSum => by_count(incoming, outgoing, index, |_| 1.0, |_| 0.0),
            Normalization::Mean | Normalization::WeightedMean => {
                by_count(incoming, outgoing, index, |count| 1.0 / count as f32, |_| 0.0);
            }
        }
        if matches!(normalization, Normalization::WeightedSum | Normalization::WeightedMean) {
            degrees.read_weights(edges, world);
            multiply_by_weights(incoming, index, &degrees.weights);
            multiply_by_weights(outgoing, index, &degrees.weights);
        }
    }
}

impl Degrees {
    fn read_weights(&mut self, edges: &Rows, world: &World) {
        self.weights.clear();
        if edges.components::<EdgeWeight>(world).any(|(_, weights)| !weights.is_empty()) {
            self.weights.extend(edges.weights(world));
        }
    }
}

/// The symmetric coefficients of both directions. `weight` returns the weight of an edge.
fn symmetric(
    incoming: &mut Adjacency,
    outgoing: &mut Adjacency,
    index: usize,
    degrees: &mut Degrees,
    weight: impl Fn(&[f32], u32) -> f32 + Copy,
) {
    derive_degrees(incoming, degrees, weight);
    multiply(incoming, index, degrees, weight);
    multiply(outgoing, index, degrees, weight);
}

/// Derives the weight of the self-loop of each node, and one over the root of its degree.
fn derive_degrees(incoming: &Adjacency, degrees: &mut Degrees, weight: impl Fn(&[f32], u32) -> f32) {
    let Degrees { weights, self_loop_weights, inverse_roots } = degrees;
    self_loop_weights.clear();
    inverse_roots.clear();
    for row in 0..incoming.offsets.len() - 1 {
        let (mut self_loop, mut others) = (1.0, 0.0);
        let entries = incoming.entries(row);
        for (neighbor, edge) in incoming.neighbors[entries.clone()].iter().zip(&incoming.edges[entries]) {
            let weight = weight(weights, *edge);
            if *neighbor as usize == row {
                self_loop = weight;
            } else {
                others += f64::from(weight);
            }
        }
        let degree = others + f64::from(self_loop);
        self_loop_weights.push(self_loop);
        inverse_roots.push(if degree > 0.0 { degree.sqrt().recip() as f32 } else { 0.0 });
    }
}

/// The coefficients of one direction.
fn multiply(adjacency: &mut Adjacency, index: usize, degrees: &Degrees, weight: impl Fn(&[f32], u32) -> f32) {
    let mut coefficients = core::mem::take(&mut adjacency.coefficients[index]);
    let Degrees { weights, self_loop_weights, inverse_roots } = degrees;
    let self_loops = self_loop_weights.iter().zip(inverse_roots).map(|(weight, root)| weight * root * root);
    coefficients.self_loop.clear();
    coefficients.self_loop.extend(self_loops);
    coefficients.edges.resize(adjacency.len(), 0.0);
    for (row, root) in inverse_roots.iter().enumerate() {
        let entries = adjacency.entries(row);
        let endpoints = adjacency.neighbors[entries.clone()].iter().zip(&adjacency.edges[entries.clone()]);
        for (coefficient, (neighbor, edge)) in coefficients.edges[entries].iter_mut().zip(endpoints) {
            let neighbor = *neighbor as usize;
            let product = root * weight(weights, *edge) * inverse_roots[neighbor];
            *coefficient = if neighbor == row { 0.0 } else { product };
        }
    }
    adjacency.coefficients[index] = coefficients;
}

/// Multiplies the coefficients of one direction by the edge weights, by their rows; empty weights are all 1.
fn multiply_by_weights(adjacency: &mut Adjacency, index: usize, weights: &[f32]) {
    if weights.is_empty() {
        return;
    }
    let Adjacency { edges, coefficients, .. } = adjacency;
    for (coefficient, edge) in coefficients[index].edges.iter_mut().zip(edges) {
        *coefficient *= weights[*edge as usize];
    }
}

/// Coefficients that depend on the in-degree of the target alone: `edge(count)` for each incoming edge and
/// `self_loop(count)` for the target itself.
fn by_count(
    incoming: &mut Adjacency,
    outgoing: &mut Adjacency,
    index: usize,
    edge: impl Fn(usize) -> f32,
    self_loop: impl Fn(usize) -> f32,
) {
    let [mut forward, mut backward] =
        [&mut *incoming, &mut *outgoing].map(|adjacency| core::mem::take(&mut adjacency.coefficients[index]));
    for coefficients in [&mut forward, &mut backward] {
        coefficients.self_loop.clear();
        coefficients.edges.clear();
    }
    for row in 0..incoming.offsets.len() - 1 {
        let count = incoming.entries(row).len();
        forward.self_loop.push(self_loop(count));
        forward.edges.extend(core::iter::repeat_n(edge(count), count));
    }
    backward.self_loop.extend_from_slice(&forward.self_loop);
    // In a relation there are as many as sources, and all are 0.
    backward.self_loop.resize(outgoing.offsets.len() - 1, 0.0);
    backward.edges.extend(outgoing.neighbors.iter().map(|target| edge(incoming.entries(*target as usize).len())));
    incoming.coefficients[index] = forward;
    outgoing.coefficients[index] = backward;
}
