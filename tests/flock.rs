//! A network that lives in a world of moving agents: it learns there, steers there, and keeps its graph while agents come
//! and go. A failure here means that the example `flock` no longer shows what it says.

#[expect(dead_code, reason = "the example's report is not tested")]
#[path = "../examples/flock.rs"]
#[expect(clippy::module_inception, reason = "the example is a module of this test")]
mod flock;

use bevy_ecs::prelude::{Changed, Entity};
use connectome::prelude::*;
use flock::{Flock, Position};

#[test]
fn the_flock_learns_to_fly_alone() {
    let mut flock = Flock::new(1).unwrap();
    let (train, infer) = (Train(flock.model), Infer(flock.model));
    let untaught = flock.live(infer, 50).unwrap();
    for _ in 0..3 {
        flock.scatter();
        flock.live(train, 100).unwrap();
    }
    flock.scatter();
    let alone = flock.live(infer, 150).unwrap();
    assert!(untaught.agreement < 0.3, "chance would be 1 in 8, not {}", untaught.agreement);
    assert!(alone.agreement > 0.7, "{}", alone.agreement);
    assert!(untaught.order < 0.5 && alone.order > 0.9, "{} {}", untaught.order, alone.order);
    assert!(flock.gone > 50 && flock.born > 350, "{} {}", flock.gone, flock.born);
}

#[test]
fn edges_follow_the_agents_and_never_dangle() {
    let mut flock = Flock::new(1).unwrap();
    let train = Train(flock.model);
    for tick in 0..60 {
        flock.live(train, 1).unwrap();
        let world = &mut flock.world;
        let topology = world.query::<&Topology>().single(world).unwrap();
        let agents = topology.nodes.len();
        assert_eq!(topology.dangling, 0, "tick {tick}");
        assert_eq!((topology.edges.len(), topology.incoming.len()), (7 * agents, 7 * agents), "tick {tick}");
        for row in 0..agents {
            let mut sources = topology.incoming.neighbors[topology.incoming.entries(row)].to_vec();
            sources.sort_unstable();
            sources.dedup();
            assert!(sources.len() == 7 && sources.contains(&(row as u32)), "tick {tick}: {row} hears {sources:?}");
        }
    }
}

#[test]
fn an_edge_is_written_only_when_its_agent_is_lost_from_sight() {
    let mut flock = Flock::new(1).unwrap();
    let infer = Infer(flock.model);
    flock.live(infer, 20).unwrap();
    flock.world.clear_trackers();
    flock.live(infer, 1).unwrap();
    let mut changed = flock.world.query_filtered::<(), Changed<Edge>>();
    let changed = changed.iter(&flock.world).count();
    let all = flock.world.query::<&Edge>().iter(&flock.world).count();
    assert!(changed > 0 && changed < all / 5, "{changed} of {all}");
}

#[test]
fn any_number_of_workers_flies_the_same_way() {
    let positions = |workers| {
        let mut flock = Flock::new(workers).unwrap();
        let (train, infer) = (Train(flock.model), Infer(flock.model));
        flock.live(train, 60).unwrap();
        flock.live(infer, 60).unwrap();
        let mut positions = flock.world.query::<(Entity, &Position)>();
        let bits = |(agent, position): (Entity, &Position)| (agent, position.0.to_array().map(f32::to_bits));
        positions.iter(&flock.world).map(bits).collect::<Vec<_>>()
    };
    assert_eq!(positions(1), positions(2));
}
