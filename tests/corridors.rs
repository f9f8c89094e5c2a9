//! A network that rewrites a running world. A failure here means that the example `corridors` no longer shows what it says.

#[expect(dead_code, reason = "the example's report is not tested")]
#[path = "../examples/corridors.rs"]
#[expect(clippy::module_inception, reason = "the example is a module of this test")]
mod corridors;

use connectome::prelude::*;
use corridors::Dungeons;

#[test]
fn a_hole_is_mended_by_what_was_learned_from_others_and_the_rewrite_is_undone() {
    let mut dungeons = Dungeons::new(1).unwrap();
    dungeons.spawn(20, [9, 9]);
    dungeons.mend().unwrap();
    assert!(dungeons.mended() < 2, "an untaught network mends {} of 20", dungeons.mended());
    for _ in 0..100 {
        dungeons.teach(16).unwrap();
    }
    dungeons.spawn(40, [9, 9]);
    let before = dungeons.snapshot().unwrap();
    let rooms = dungeons.rooms();
    let settled = dungeons.mend().unwrap();
    assert!(settled.is_settled && settled.ticks > 2, "{settled:?}");
    assert!(dungeons.mended() > 15, "{} of 40", dungeons.mended());
    let found = dungeons.rooms();
    assert_eq!(found.len(), rooms.len() + settled.counts.spawned);
    assert!(rooms.keys().all(|place| found.contains_key(place)));
    let topology = dungeons.world.get::<Topology>(dungeons.graph).unwrap();
    assert_eq!((topology.nodes.len(), topology.dangling), (found.len(), 0));

    before.restore(&mut dungeons.world).unwrap();
    assert_eq!(dungeons.rooms(), rooms);
    assert_eq!(dungeons.snapshot().unwrap().checksum().unwrap(), before.checksum().unwrap());
    // What is played again ends the same way.
    assert_eq!(dungeons.mend().unwrap(), settled);
    assert_eq!(dungeons.rooms(), found);
}

#[test]
fn a_world_is_rewritten_with_the_same_bits_by_any_number_of_workers() {
    let run = |workers| {
        let mut dungeons = Dungeons::new(workers).unwrap();
        let right: Vec<f64> = (0..3).map(|_| dungeons.teach(4).unwrap()).collect();
        dungeons.spawn(4, [9, 9]);
        let settled = dungeons.mend().unwrap();
        let mut snapshot = dungeons.snapshot().unwrap().model(dungeons.model);
        snapshot.take(&dungeons.world).unwrap();
        (right, settled, snapshot.checksum().unwrap())
    };
    let one = run(1);
    for workers in [2, 3] {
        assert_eq!(run(workers), one, "{workers} workers");
    }
}
