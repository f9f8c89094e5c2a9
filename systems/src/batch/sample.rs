//! Samples neighborhoods of nodes.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::Topology;

use super::{Batch, BatchError};
use crate::random::{Philox, RandomStream};

/// The random stream of neighbor sampling, apart from those of layers and parameters.
const NEIGHBORS: u32 = u32::MAX;

/// The random numbers of the neighbors of one batch.
pub(super) fn random(seed: u64, step: u64) -> Philox {
    Philox::new(seed, NEIGHBORS, step)
}

/// Chooses the rows of the seeds, and of the edges and nodes that are sampled around them.
pub(super) fn collect(
    corpus: &World,
    topology: &Topology,
    seeds: &[Entity],
    fan_outs: &[usize],
    random: Philox,
    batch: &mut Batch,
) -> Result<(), BatchError> {
    let Batch { nodes, edges, endpoints, subgraph_of, numbers, chosen, .. } = batch;
    let Topology { incoming, nodes: known, .. } = topology;
    for (number, seed) in seeds.iter().enumerate() {
        let row = known.row_of(corpus, *seed).ok_or(BatchError::NoNode(*seed))?;
        if numbers.insert(*seed, number as u32).is_some() {
            return Err(BatchError::SeedTwice(*seed));
        }
        nodes.rows.push(row as u32);
    }
    let mut frontier = 0..nodes.rows.len();
    for fan_out in fan_outs {
        let reached = nodes.rows.len();
        for target in frontier {
            let row = nodes.rows[target];
            let entries = incoming.entries(row as usize);
            choose(entries.len(), *fan_out, &mut RandomStream::of_row(random, row), chosen);
            for entry in chosen.iter().map(|place| entries.start + *place as usize) {
                let source = incoming.neighbors[entry];
                let number = *numbers.entry(known.entities()[source as usize]).or_insert_with(|| {
                    nodes.rows.push(source);
                    nodes.rows.len() as u32 - 1
                });
                edges.rows.push(incoming.edges[entry]);
                endpoints.push([number, target as u32]);
            }
        }
        frontier = reached..nodes.rows.len();
    }
    subgraph_of.resize(nodes.rows.len(), Batch::NO_SUBGRAPH);
    Ok(())
}

/// Up to `most` distinct integers below `count`, in ascending order; all sets are equally likely (Floyd,
/// in Bentley, "Programming pearls: a sample of brilliance", CACM 1987).
fn choose(count: usize, most: usize, draws: &mut RandomStream, chosen: &mut Vec<u32>) {
    chosen.clear();
    if count <= most {
        chosen.extend(0..count as u32);
        return;
    }
    for last in (count - most) as u32..count as u32 {
        let drawn = draws.below(u64::from(last) + 1) as u32;
        match chosen.binary_search(&drawn) {
            Err(place) => chosen.insert(place, drawn),
            // It is in already, and the new last one is not.
            Ok(_) => chosen.push(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_is_drawn_about_as_often_as_any_other() {
        // 10 sets of 2 numbers below 5.
        let mut counts = [[0; 5]; 5];
        let mut chosen = Vec::new();
        for row in 0..10_000 {
            choose(5, 2, &mut RandomStream::of_row(random(7, 0), row), &mut chosen);
            assert!(chosen[0] < chosen[1] && chosen.len() == 2, "{chosen:?}");
            counts[chosen[0] as usize][chosen[1] as usize] += 1;
        }
        let drawn: Vec<i32> = counts.into_iter().flatten().filter(|count| *count > 0).collect();
        assert!(drawn.len() == 10 && drawn.iter().all(|count| (900..1100).contains(count)), "{drawn:?}");
    }

    #[test]
    fn more_draws_than_one_block_holds_are_all_different() {
        let mut chosen = Vec::new();
        choose(1000, 990, &mut RandomStream::of_row(random(7, 0), 3), &mut chosen);
        assert!(chosen.len() == 990 && chosen.is_sorted_by(|a, b| a < b) && chosen[989] < 1000);
        choose(3, usize::MAX, &mut RandomStream::of_row(random(7, 0), 3), &mut chosen);
        assert_eq!(chosen, [0, 1, 2]);
        choose(3, 0, &mut RandomStream::of_row(random(7, 0), 3), &mut chosen);
        assert!(chosen.is_empty());
    }
}
