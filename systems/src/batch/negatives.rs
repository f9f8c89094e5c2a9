//! Negative sampling for link prediction.

use bevy_ecs::{entity::Entity, system::Query};
use connectome_components::{Edge, Topology, TrainingState};

use crate::random::{Philox, RandomStream};

/// The random stream of negative samples; those of a model's operations are counted from 0.
const NEGATIVES: u32 = 0x4E65_0000;

/// The maximum number of draws for a pair that is not adjacent.
const ATTEMPTS: usize = 64;

/// A system that rewires the edges `pairs` in each training step: each to two random distinct nodes of `graph` that are
/// not adjacent in either direction (negative sampling); in a relation, to a source and a node that it has no edge to.
///
/// Pairs are drawn one after the other from a random stream keyed by the model's seed and step. If 64 draws find no
/// such pair, because the graph is dense, the edge stays unchanged.
pub fn sample_negatives(
    model: Entity,
    graph: Entity,
    pairs: Vec<Entity>,
) -> impl FnMut(Query<&TrainingState>, Query<&Topology>, Query<&mut Edge>) {
    move |states, topologies, mut edges| {
        let (Ok(state), Ok(topology)) = (states.get(model), topologies.get(graph)) else { return };
        let is_relation = topology.other_sources.is_some();
        let ends = [topology.sources(), (&topology.nodes, &topology.node_order)];
        if ends.iter().any(|(rows, _)| rows.len() < if is_relation { 1 } else { 2 }) {
            return;
        }
        let mut random = RandomStream::new(Philox::new(state.seed, NEGATIVES, state.micro_step()));
        for pair in &pairs {
            let mut draw = || {
                let [source, target] = ends.map(|(rows, order)| {
                    let rank = random.below(rows.len() as u64) as usize;
                    order.permutation().map_or(rank, |order| order[rank] as usize)
                });
                let is_within = !is_relation && (source == target || is_edge(topology, target, source));
                let [sources, targets] = ends.map(|(rows, _)| rows.entities());
                let negative = Edge { source: sources[source], target: targets[target] };
                (!is_within && !is_edge(topology, source, target)).then_some(negative)
            };
            let negative = (0..ATTEMPTS).find_map(|_| draw());
            if let (Some(negative), Ok(mut edge)) = (negative, edges.get_mut(*pair)) {
                *edge = negative;
            }
        }
    }
}

fn is_edge(topology: &Topology, source: usize, target: usize) -> bool {
    topology.incoming.neighbors[topology.incoming.entries(target)].contains(&(source as u32))
}
