//! Derives what messages are multiplied by.

use bevy_ecs::world::World;
use connectome_components::{Adjacency, Coefficients, EdgeWeight, Normalization, Rows, Topology};

/// What the symmetric normalization is made of.
#[derive(Default)]
pub(super) struct Degrees {
    /// The weight of each edge, by its row; empty if no edge has one.
    weights: Vec<f32>,
    /// The weight of each node's self-loop.
    own_weights: Vec<f32>,
    /// One over the root of each node's degree.
    inverse_roots: Vec<f32>,
}

/// Derives the coefficients that were asked for.
pub(super) fn derive(topology: &mut Topology, world: &World, degrees: &mut Degrees) {
    let Topology { edges, incoming, outgoing, normalizations, .. } = topology;
    incoming.coefficients.resize_with(normalizations.len(), Coefficients::default);
    outgoing.coefficients.resize_with(normalizations.len(), Coefficients::default);
    for (place, normalization) in normalizations.iter().enumerate() {
        match normalization {
            Normalization::Symmetric => {
                degrees.take_weights(edges, world);
                if degrees.weights.is_empty() {
                    symmetric(incoming, outgoing, place, degrees, |_, _| 1.0);
                } else {
                    symmetric(incoming, outgoing, place, degrees, |weights, edge| weights[edge as usize]);
                }
            }
            Normalization::MeanWithSelf => {
                let share = |count| 1.0 / (1 + count) as f32;
                by_count(incoming, outgoing, place, share, share);
            }
            Normalization::Sum => by_count(incoming, outgoing, place, |_| 1.0, |_| 0.0),
            Normalization::Mean => by_count(incoming, outgoing, place, |count| 1.0 / count as f32, |_| 0.0),
        }
    }
}

impl Degrees {
    fn take_weights(&mut self, edges: &Rows, world: &World) {
        self.weights.clear();
        if edges.components::<EdgeWeight>(world).any(|(_, weights)| !weights.is_empty()) {
            self.weights.extend(edges.weights(world));
        }
    }
}

/// The coefficients of both directions. `weight` finds the weight of an edge among those that were taken.
fn symmetric(
    incoming: &mut Adjacency,
    outgoing: &mut Adjacency,
    place: usize,
    degrees: &mut Degrees,
    weight: impl Fn(&[f32], u32) -> f32 + Copy,
) {
    weigh(incoming, degrees, weight);
    multiply(incoming, place, degrees, weight);
    multiply(outgoing, place, degrees, weight);
}

/// The weight of each node's self-loop, and one over the root of its degree.
fn weigh(incoming: &Adjacency, degrees: &mut Degrees, weight: impl Fn(&[f32], u32) -> f32) {
    let Degrees { weights, own_weights, inverse_roots } = degrees;
    own_weights.clear();
    inverse_roots.clear();
    for row in 0..incoming.offsets.len() - 1 {
        let (mut own, mut others) = (1.0, 0.0);
        let entries = incoming.entries(row);
        for (neighbor, edge) in incoming.neighbors[entries.clone()].iter().zip(&incoming.edges[entries]) {
            let weight = weight(weights, *edge);
            if *neighbor as usize == row {
                own = weight;
            } else {
                others += f64::from(weight);
            }
        }
        let degree = others + f64::from(own);
        own_weights.push(own);
        inverse_roots.push(if degree > 0.0 { degree.sqrt().recip() as f32 } else { 0.0 });
    }
}

/// The coefficients of one direction.
fn multiply(adjacency: &mut Adjacency, place: usize, degrees: &Degrees, weight: impl Fn(&[f32], u32) -> f32) {
    let mut coefficients = core::mem::take(&mut adjacency.coefficients[place]);
    let Degrees { weights, own_weights, inverse_roots } = degrees;
    let own = own_weights.iter().zip(inverse_roots).map(|(weight, root)| weight * root * root);
    coefficients.self_loop.clear();
    coefficients.self_loop.extend(own);
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
    adjacency.coefficients[place] = coefficients;
}

/// Coefficients that depend on the number of edges that come in at the target alone: `share` of it for each of them,
/// `own` of it for the target itself.
fn by_count(
    incoming: &mut Adjacency,
    outgoing: &mut Adjacency,
    place: usize,
    share: impl Fn(usize) -> f32,
    own: impl Fn(usize) -> f32,
) {
    let [mut forth, mut back] =
        [&mut *incoming, &mut *outgoing].map(|adjacency| core::mem::take(&mut adjacency.coefficients[place]));
    for coefficients in [&mut forth, &mut back] {
        coefficients.self_loop.clear();
        coefficients.edges.clear();
    }
    for row in 0..incoming.offsets.len() - 1 {
        let count = incoming.entries(row).len();
        forth.self_loop.push(own(count));
        forth.edges.extend(core::iter::repeat_n(share(count), count));
    }
    back.self_loop.extend_from_slice(&forth.self_loop);
    back.edges.extend(outgoing.neighbors.iter().map(|target| share(incoming.entries(*target as usize).len())));
    incoming.coefficients[place] = forth;
    outgoing.coefficients[place] = back;
}
