//! The edit distance of a comparison follows the two graphs of the world that it is about, whatever becomes of them. A
//! failure names what was done last.

use bevy_ecs::{prelude::*, schedule::Schedule};
use connectome_components::{ClassLabel, Edge, EdgeKind, EditDistance, Graph, GraphPair, Topology};
use connectome_systems::{
    Workers,
    algorithms::edit_distance::{EditCosts, EditError, OperationCosts, SearchBudget, compare_graphs},
    rebuild_topology,
};

#[derive(Component, Clone, Copy)]
struct Room;
#[derive(Component, Clone, Copy)]
struct Door;
#[derive(Component, Clone, Copy)]
struct Cave;
#[derive(Component, Clone, Copy)]
struct Tunnel;

/// A path of three rooms and one of three caves, all of label 0, and a comparison of them.
struct Scene {
    world: World,
    schedule: Schedule,
    caves: Vec<Entity>,
    tunnels: Vec<Entity>,
    graphs: [Entity; 2],
    comparison: Entity,
}

impl Scene {
    fn new(workers: usize, costs: EditCosts) -> Self {
        let mut world = World::new();
        world.insert_resource(Workers::new(workers).unwrap());
        let graphs = [Graph::of::<Room, Door>(&mut world), Graph::of::<Cave, Tunnel>(&mut world)];
        let rooms: Vec<Entity> = world.spawn_batch([(Room, ClassLabel(0)); 3]).collect();
        let caves: Vec<Entity> = world.spawn_batch([(Cave, ClassLabel(0)); 3]).collect();
        let mut tunnels = Vec::new();
        for place in 1..3 {
            world.spawn((Edge { source: rooms[place - 1], target: rooms[place] }, Door));
            tunnels.push(world.spawn((Edge { source: caves[place], target: caves[place - 1] }, Tunnel)).id());
        }
        let comparison = world.spawn(GraphPair { graphs }).id();
        let mut schedule = Schedule::default();
        let topologies = graphs.map(rebuild_topology);
        let [one, other] = topologies;
        schedule.add_systems((one, other, compare_graphs(costs, SearchBudget::EXACT)).chain());
        Self { world, schedule, caves, tunnels, graphs, comparison }
    }

    #[track_caller]
    fn check(&mut self, expected: Option<f64>) {
        self.schedule.run(&mut self.world);
        let found = self.world.get::<EditDistance>(self.comparison);
        assert!(found.is_none_or(EditDistance::is_exact), "{found:?}");
        assert_eq!(found.map(|distance| distance.upper), expected);
    }

    /// When the distance was written last.
    fn written(&self) -> u32 {
        let entity = self.world.entity(self.comparison);
        entity.get_change_ticks::<EditDistance>().map_or(0, |ticks| ticks.changed.get())
    }
}

#[test]
fn the_distance_follows_both_graphs() {
    for workers in [1, 3] {
        let mut scene = Scene::new(workers, EditCosts::default());
        scene.check(Some(0.0));
        let written = scene.written();
        scene.check(Some(0.0));
        assert_eq!(scene.written(), written, "nothing has changed");

        // A ring in place of a path.
        let last = Edge { source: scene.caves[2], target: scene.caves[0] };
        scene.world.spawn((last, Tunnel));
        scene.check(Some(1.0));
        scene.world.get_mut::<ClassLabel>(scene.caves[1]).unwrap().0 = 4;
        scene.check(Some(2.0));
        // The tunnel of its own kind is the one that closes the ring.
        scene.world.entity_mut(scene.tunnels[0]).insert(EdgeKind(1));
        scene.check(Some(2.0));
        scene.world.entity_mut(scene.tunnels[1]).insert(EdgeKind(1));
        scene.check(Some(3.0));
        for tunnel in scene.tunnels.clone() {
            scene.world.entity_mut(tunnel).remove::<EdgeKind>();
        }
        scene.check(Some(2.0));
        scene.world.despawn(scene.tunnels[0]);
        scene.check(Some(1.0));
        let lonely = scene.world.spawn(Cave).id();
        scene.check(Some(2.0));
        scene.world.despawn(lonely);
        scene.check(Some(1.0));

        // What the user takes away is written again.
        scene.world.entity_mut(scene.comparison).remove::<EditDistance>();
        scene.check(Some(1.0));
        // A graph compared with itself.
        scene.world.entity_mut(scene.comparison).insert(GraphPair { graphs: [scene.graphs[1]; 2] });
        scene.check(Some(0.0));
        scene.world.entity_mut(scene.comparison).insert(GraphPair { graphs: scene.graphs });
        scene.check(Some(1.0));
        let other = scene.world.spawn(GraphPair { graphs: [scene.graphs[1]; 2] }).id();
        scene.check(Some(1.0));
        assert_eq!(scene.world.get::<EditDistance>(other), Some(&EditDistance { lower: 0.0, upper: 0.0 }));
        scene.world.entity_mut(scene.graphs[0]).remove::<(Graph, Topology)>();
        scene.check(None);
    }
}

#[test]
fn graphs_that_cannot_be_compared_lose_their_distance() {
    let table = OperationCosts::Table { insertion: vec![1.0], deletion: vec![1.0], substitution: vec![vec![0.0]] };
    let costs = EditCosts::new(table, OperationCosts::UNIT).unwrap();
    let mut scene = Scene::new(1, costs.clone());
    scene.check(Some(0.0));
    scene.world.get_mut::<ClassLabel>(scene.caves[1]).unwrap().0 = 4;
    let mut compared = Default::default();
    let update = connectome_systems::algorithms::edit_distance::update_edit_distances;
    let found = update(&mut scene.world, &costs, SearchBudget::EXACT, &mut compared);
    assert_eq!(found, Err(EditError::Label { kind: "node", label: 4, labels: 1 }));
    assert_eq!(scene.world.get::<EditDistance>(scene.comparison), None);
    scene.world.get_mut::<ClassLabel>(scene.caves[1]).unwrap().0 = 0;
    scene.check(Some(0.0));
}
