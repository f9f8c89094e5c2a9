//! Draws pairs of nodes that no edge joins, for models that learn to tell edges.

use bevy_ecs::{entity::Entity, system::Query};
use connectome_components::{Edge, Topology, TrainingState};

use crate::random::{Philox, RandomStream};

/// The random stream of negative samples; those of a model's operations count from 0.
const NEGATIVES: u32 = 0x4E65_0000;

/// How often a pair is drawn anew that the graph has.
const ATTEMPTS: usize = 64;

/// Rewires the edges `pairs` anew in each training step: each to two different nodes of `graph` that no edge of it
/// joins, in either direction (negative sampling).
///
/// Pairs are drawn one after the other from a stream that is keyed by the model's seed and step. In a graph so dense
/// that 64 draws find no free pair, a pair stays as it was.
pub fn sample_negatives(
    model: Entity,
    graph: Entity,
    pairs: Vec<Entity>,
) -> impl FnMut(Query<&TrainingState>, Query<&Topology>, Query<&mut Edge>) {
    move |states, topologies, mut edges| {
        let (Ok(state), Ok(topology)) = (states.get(model), topologies.get(graph)) else { return };
        let nodes = topology.nodes.entities();
        if nodes.len() < 2 {
            return;
        }
        let mut draws = RandomStream::new(Philox::new(state.seed, NEGATIVES, state.micro_step()));
        for pair in &pairs {
            let mut draw = || {
                let [source, target] = [(); 2].map(|()| draws.below(nodes.len() as u64) as usize);
                let joined = source == target || joins(topology, source, target) || joins(topology, target, source);
                (!joined).then(|| Edge { source: nodes[source], target: nodes[target] })
            };
            let free = (0..ATTEMPTS).find_map(|_| draw());
            if let (Some(free), Ok(mut edge)) = (free, edges.get_mut(*pair)) {
                *edge = free;
            }
        }
    }
}

fn joins(topology: &Topology, source: usize, target: usize) -> bool {
    topology.incoming.neighbors[topology.incoming.entries(target)].contains(&(source as u32))
}
