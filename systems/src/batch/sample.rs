//! Neighbor sampling.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::Topology;
use core::mem::replace;

use super::{Batch, BatchError};
use crate::random::{Philox, RandomStream};

/// The random stream of neighbor sampling, distinct from those of layers and parameters.
const NEIGHBORS: u32 = u32::MAX;

/// The random numbers of one sampled batch.
pub(super) fn random(seed: u64, step: u64) -> Philox {
    Philox::new(seed, NEIGHBORS, step)
}

/// Selects the rows of the seeds and of the nodes and edges sampled around them.
pub(super) fn collect(
    corpus: &World,
    topology: &Topology,
    seeds: &[Entity],
    fan_outs: &[usize],
    random: Philox,
    batch: &mut Batch,
) -> Result<(), BatchError> {
    let Batch { nodes, edges, endpoints, subgraph_of, row_in_batch, chosen, drawn, .. } = batch;
    let Topology { incoming, nodes: known, node_order, .. } = topology;
    row_in_batch.resize(known.len(), Topology::NO_ROW);
    for (index, seed) in seeds.iter().enumerate() {
        let row = known.row_of(corpus, *seed).ok_or(BatchError::NoNode(*seed))?;
        nodes.rows.push(row as u32);
        if replace(&mut row_in_batch[row], index as u32) != Topology::NO_ROW {
            return Err(BatchError::SeedTwice(*seed));
        }
    }
    batch.seeds = Some(seeds.len() as u32);
    let mut frontier = 0..nodes.rows.len();
    for fan_out in fan_outs {
        let [first_node, first_edge] = [nodes.rows.len(), edges.rows.len()];
        for target in frontier {
            let row = nodes.rows[target];
            let entries = incoming.entries(row as usize);
            choose(entries.len(), *fan_out, &mut RandomStream::of_row(random, node_order.rank(row)), chosen);
            edges.rows.extend(chosen.iter().map(|index| entries.start as u32 + index));
            endpoints.extend(chosen.iter().map(|_| [Topology::NO_ROW, target as u32]));
        }
        let (edges, endpoints) = (&mut edges.rows[first_edge..], &mut endpoints[first_edge..]);
        // A pass of its own without branches, so that the processor waits for many entries at once.
        for (edge, [source, _]) in edges.iter_mut().zip(&mut *endpoints) {
            let entry = *edge as usize;
            (*edge, *source) = (incoming.edges[entry], incoming.neighbors[entry]);
        }
        for [source, _] in &mut *endpoints {
            let row = &mut row_in_batch[*source as usize];
            if *row == Topology::NO_ROW {
                *row = nodes.rows.len() as u32;
                nodes.rows.push(*source);
            }
            *source = *row;
        }
        sort_by_source(edges, endpoints, drawn);
        frontier = first_node..nodes.rows.len();
    }
    subgraph_of.resize(nodes.rows.len(), Batch::NO_SUBGRAPH);
    Ok(())
}

/// Sorts the edges of each target by their sources, as a topology has them, which then need not sort them; parallel edges stay
/// in their order.
fn sort_by_source(edges: &mut [u32], endpoints: &mut [[u32; 2]], drawn: &mut Vec<[u32; 3]>) {
    let mut rest = edges;
    for endpoints in endpoints.chunk_by_mut(|one, other| one[1] == other[1]) {
        let edges = rest.split_off_mut(..endpoints.len()).unwrap_or_default();
        drawn.clear();
        drawn.extend(
            (0..).zip(endpoints.iter().zip(&*edges)).map(|(place, ([source, _], edge))| [*source, place, *edge]),
        );
        drawn.sort_unstable();
        for (([source, _], edge), drawn) in endpoints.iter_mut().zip(edges).zip(&*drawn) {
            [*source, _, *edge] = *drawn;
        }
    }
}

/// Samples up to `size` distinct integers below `count`, in ascending order; all sets are equally likely (Floyd, in
/// Bentley, "Programming pearls: a sample of brilliance", CACM 1987).
pub(crate) fn choose(count: usize, size: usize, random: &mut RandomStream, chosen: &mut Vec<u32>) {
    chosen.clear();
    if count <= size {
        chosen.extend(0..count as u32);
        return;
    }
    for last in (count - size) as u32..count as u32 {
        let drawn = random.below(u64::from(last) + 1) as u32;
        match chosen.binary_search(&drawn) {
            Err(index) => chosen.insert(index, drawn),
            // It is in the set already, and `last` is not.
            Ok(_) => chosen.push(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sets_are_equally_likely() {
        // 10 sets of 2 integers below 5.
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
    fn samples_larger_than_a_block_of_random_numbers_are_distinct() {
        let mut chosen = Vec::new();
        choose(1000, 990, &mut RandomStream::of_row(random(7, 0), 3), &mut chosen);
        assert!(chosen.len() == 990 && chosen.is_sorted_by(|a, b| a < b) && chosen[989] < 1000);
        choose(3, usize::MAX, &mut RandomStream::of_row(random(7, 0), 3), &mut chosen);
        assert_eq!(chosen, [0, 1, 2]);
        choose(3, 0, &mut RandomStream::of_row(random(7, 0), 3), &mut chosen);
        assert!(chosen.is_empty());
    }
}
