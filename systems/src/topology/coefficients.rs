//! Derives what messages are multiplied by.

use bevy_ecs::world::World;
use connectome_components::{Adjacency, Coefficients, Normalization, Topology};

/// What the symmetric normalisation is made of.
#[derive(Default)]
pub(super) struct Degrees {
    /// The weight of each edge, by its row.
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
                degrees.weights.clear();
                degrees.weights.extend(edges.weights(world));
                weigh(incoming, degrees);
                symmetric(incoming, place, degrees);
                symmetric(outgoing, place, degrees);
            }
            Normalization::Mean => {
                let share = |count| 1.0 / (1 + count) as f32;
                by_count(incoming, outgoing, place, share, share);
            }
            Normalization::Sum => by_count(incoming, outgoing, place, |_| 1.0, |_| 0.0),
            Normalization::NeighbourMean => by_count(incoming, outgoing, place, |count| 1.0 / count as f32, |_| 0.0),
        }
    }
}

/// The weight of each node's self-loop, and one over the root of its degree.
fn weigh(incoming: &Adjacency, degrees: &mut Degrees) {
    let Degrees { weights, own_weights, inverse_roots } = degrees;
    own_weights.clear();
    inverse_roots.clear();
    for row in 0..incoming.offsets.len() - 1 {
        let (mut own, mut others) = (1.0, 0.0);
        let entries = incoming.entries(row);
        for (neighbour, edge) in incoming.neighbours[entries.clone()].iter().zip(&incoming.edges[entries]) {
            let weight = weights[*edge as usize];
            if *neighbour as usize == row {
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

/// The coefficients of either adjacency.
fn symmetric(adjacency: &mut Adjacency, place: usize, degrees: &Degrees) {
    let mut coefficients = core::mem::take(&mut adjacency.coefficients[place]);
    let Degrees { weights, own_weights, inverse_roots } = degrees;
    let own = own_weights.iter().zip(inverse_roots).map(|(weight, root)| weight * root * root);
    coefficients.own.clear();
    coefficients.own.extend(own);
    coefficients.edges.resize(adjacency.len(), 0.0);
    for (row, root) in inverse_roots.iter().enumerate() {
        let entries = adjacency.entries(row);
        let ends = adjacency.neighbours[entries.clone()].iter().zip(&adjacency.edges[entries.clone()]);
        for (coefficient, (neighbour, edge)) in coefficients.edges[entries].iter_mut().zip(ends) {
            let neighbour = *neighbour as usize;
            let weight = weights[*edge as usize];
            *coefficient = if neighbour == row { 0.0 } else { root * weight * inverse_roots[neighbour] };
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
        coefficients.own.clear();
        coefficients.edges.clear();
    }
    for row in 0..incoming.offsets.len() - 1 {
        let count = incoming.entries(row).len();
        forth.own.push(own(count));
        forth.edges.extend(core::iter::repeat_n(share(count), count));
    }
    back.own.extend_from_slice(&forth.own);
    back.edges.extend(outgoing.neighbours.iter().map(|target| share(incoming.entries(*target as usize).len())));
    incoming.coefficients[place] = forth;
    outgoing.coefficients[place] = back;
}
