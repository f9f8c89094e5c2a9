//! A world that is rolled back and played again is, bit by bit, one that was never disturbed; so is one that is loaded
//! from bytes.
//!
//! A game spawns, despawns, rewires, moves and disables nodes and edges by chance, while one model infers with a state
//! and another one learns. A failure names the frame; the checksum, outputs and weights are compared by keys.

use bevy_ecs::{entity_disabling::Disabled, prelude::*};
use connectome_components::{
    ClassLabel, Edge, EdgeWeight, Field, Graph, GraphKey, GraphNode, InSubgraph, Metrics, Model, Optimizer, Parameter,
    Split, Subgraph, Topology, TrainingState, register_default,
};
use connectome_systems::{
    Infer, ModelBuilder, Train, Workers, WorldModelExt,
    kernels::Activation,
    layers::{BatchNorm, Dropout, GcnConv, GraphNorm, Linear, Readout},
    random::Philox,
    run,
    snapshot::{Snapshot, SnapshotError, SnapshotRing},
};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// Where a node is; the models read and write it.
#[derive(Component, Clone, Copy, Default, Debug, PartialEq, Serialize, Deserialize)]
struct Position([f32; 2]);

/// Another node that a node follows.
#[derive(Component, Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Follows(#[entities] Entity);

/// A component that owns memory and cannot be saved.
#[derive(Component, Clone, Debug, PartialEq)]
struct Rumor(String);

/// A component that no snapshot holds.
#[derive(Component)]
struct Marked;

struct Game {
    world: World,
    graph: Entity,
    walker: Entity,
    learner: Entity,
    /// The state of the walker.
    state: Field,
}

/// Entities with `C` in the order of their keys.
fn by_key<C: Component>(world: &mut World) -> Vec<Entity> {
    let mut query = world.query_filtered::<(Entity, &GraphKey), With<C>>();
    let mut entities: Vec<(GraphKey, Entity)> = query.iter(world).map(|(entity, key)| (*key, entity)).collect();
    entities.sort_unstable();
    entities.into_iter().map(|(_, entity)| entity).collect()
}

/// Edges in the order in which they are summed; those that are in one place are the same.
fn edges(world: &mut World) -> Vec<Entity> {
    let mut query = world.query::<(Entity, &Edge, Option<&EdgeWeight>)>();
    let key = |entity: Entity| world.get::<GraphKey>(entity).copied();
    let place = |(entity, edge, weight): (Entity, &Edge, Option<&EdgeWeight>)| {
        let weight = weight.map(|weight| weight.0.to_bits());
        ([edge.target, edge.source, entity].map(key), weight, entity)
    };
    let mut edges: Vec<_> = query.query(world).iter().map(place).collect();
    edges.sort_unstable();
    edges.into_iter().map(|(.., entity)| entity).collect()
}

/// One of some entities.
fn pick(entities: &[Entity], draw: f32) -> Entity {
    entities[((draw * entities.len() as f32) as usize).min(entities.len() - 1)]
}

impl Game {
    /// The models without a graph.
    fn empty() -> Self {
        let mut world = World::new();
        world.insert_resource(Workers::new(2).unwrap());
        let graph = Graph::spawn(&mut world);
        let walker = ModelBuilder::new(graph).recurrent(3).seed(1).layer(GcnConv::new(3)).layer(Activation::Tanh);
        let walker = walker.act(|output: &[f32], position: &mut Position| position.0[0] += 0.1 * output[0]);
        let walker = walker.build(&mut world).unwrap();
        let learner = ModelBuilder::new(graph).observe(|position: &Position| position.0).seed(2);
        let learner = learner.layer(Dropout(0.2)).layer(GcnConv::new(5)).layer(BatchNorm::new());
        let learner = learner.layer(GraphNorm::new()).layer(Activation::Elu(1.0)).layer(Linear::new(3));
        let learner = learner.optimizer(Optimizer::adam(0.02)).accumulate_gradients(2).clip_norm(1.0);
        let learner = learner.build(&mut world).unwrap();
        let state = world.get::<Model>(walker).unwrap().input.values();
        Self { world, graph, walker, learner, state }
    }

    fn new() -> Self {
        let mut game = Self::empty();
        for _ in 0..3 {
            game.world.spawn(Subgraph);
        }
        for number in 0..30 {
            game.spawn_node(number, None);
        }
        for number in 0..90 {
            game.spawn_edge(number);
        }
        game
    }

    /// What a snapshot of it is to hold.
    fn snapshot(&self) -> Snapshot {
        let snapshot = Snapshot::new(self.graph).model(self.walker).model(self.learner);
        snapshot.with_saved::<Position>().with_saved::<Follows>()
    }

    fn spawn_node(&mut self, seed: u64, key: Option<GraphKey>) {
        let mut draws = [0.0; 6];
        Philox::new(seed, 1, 0).fill_uniform(&mut draws);
        let split = if draws[0] < 0.7 { Split::Train } else { Split::Test };
        let subgraph = pick(&by_key::<Subgraph>(&mut self.world), draws[1]);
        let nodes = by_key::<GraphNode>(&mut self.world);
        let label = ClassLabel((draws[4] * 3.0) as u32);
        let rumor = Rumor(format!("heard in {seed}"));
        let bundle = (GraphNode, Position([draws[2], draws[3]]), label, split, InSubgraph(subgraph), rumor);
        let mut node = self.world.spawn(bundle);
        key.map(|key| node.insert(key));
        if !nodes.is_empty() && draws[5] < 0.5 {
            node.insert(Follows(pick(&nodes, draws[5] * 2.0)));
        }
    }

    fn spawn_edge(&mut self, seed: u64) {
        let mut draws = [0.0; 3];
        Philox::new(seed, 2, 0).fill_uniform(&mut draws);
        let nodes = by_key::<GraphNode>(&mut self.world);
        let edge = Edge { source: pick(&nodes, draws[0]), target: pick(&nodes, draws[1]) };
        let mut edge = self.world.spawn(edge);
        if draws[2] < 0.5 {
            edge.insert(EdgeWeight(0.5 + draws[2]));
        }
        if draws[2] > 0.4 && draws[2] < 0.8 {
            edge.insert(GraphKey::new(seed));
        }
    }

    /// Everything that happens in a frame; the seed stands for the inputs of the players.
    fn play(&mut self, seed: u64) {
        let mut draws = [0.0; 40];
        Philox::new(seed, 0, 0).fill_uniform(&mut draws);
        let mut draws = draws.into_iter();
        let mut draw = || draws.next().unwrap();
        if draw() < 0.3 {
            let key = (draw() < 0.5).then(|| GraphKey::new(1000 + seed));
            self.spawn_node(seed, key);
            self.spawn_edge(seed + 1);
        }
        if draw() < 0.4 {
            self.spawn_edge(seed + 2);
        }
        let [nodes, all] = [by_key::<GraphNode>(&mut self.world), edges(&mut self.world)];
        let [node, other, edge, last] = [pick(&nodes, draw()), pick(&nodes, draw()), pick(&all, draw()), all[0]];
        let subgraph = pick(&by_key::<Subgraph>(&mut self.world), draw());
        let disabled: Vec<Entity> = by_key::<Disabled>(&mut self.world);
        let world = &mut self.world;
        if draw() < 0.5 {
            world.get_mut::<Edge>(edge).unwrap().target = other;
        }
        if draw() < 0.3 {
            world.entity_mut(node).insert((InSubgraph(subgraph), Follows(other), Marked));
        }
        if draw() < 0.2 {
            world.entity_mut(node).remove::<(InSubgraph, Follows, Rumor, Marked)>();
        }
        if draw() < 0.2 {
            world.entity_mut(other).insert(Disabled);
        }
        if let Some(disabled) = disabled.first().filter(|_| draw() < 0.5) {
            world.entity_mut(*disabled).remove::<Disabled>();
        }
        if draw() < 0.3 {
            world.entity_mut(edge).insert(EdgeWeight(draw()));
        }
        if draw() < 0.1 {
            world.entity_mut(edge).remove::<EdgeWeight>();
        }
        if let Some(mut position) = world.get_mut::<Position>(other) {
            position.0 = [draw(), draw()];
        }
        // It has no state before the first step.
        _ = self.state.set(world, node, &[draw(), draw(), draw()]);
        // About as many come as go.
        if draw() < 0.8 && all.len() > 60 {
            world.despawn(last);
        }
        if draw() < 0.4 && nodes.len() > 20 {
            // Its edges are left dangling.
            world.despawn(node);
        }
        if draw() < 0.02 {
            let subgraphs = by_key::<Subgraph>(world);
            world.despawn(subgraphs[0]);
            world.spawn(Subgraph);
        }
        run(world, Infer(self.walker)).unwrap();
        run(world, Train(self.learner)).unwrap();
    }

    /// The checksum, the bits of all outputs by key, and those of all weights.
    fn trace(&mut self) -> (u64, Vec<u32>, Vec<u32>) {
        let mut snapshot = self.snapshot();
        snapshot.take(&self.world).unwrap();
        let (mut outputs, mut weights) = (Vec::new(), Vec::new());
        for node in by_key::<GraphNode>(&mut self.world) {
            for model in [self.walker, self.learner] {
                let output = self.world.get::<Model>(model).unwrap().output;
                outputs.extend(output.get(&self.world, node).unwrap().iter().map(|value| value.to_bits()));
            }
        }
        for parameter in &self.world.get::<Model>(self.learner).unwrap().parameters {
            let value = self.world.get::<Parameter>(*parameter).unwrap().value;
            weights.extend(value.matrix(&self.world).rows().flatten().map(|value| value.to_bits()));
        }
        (snapshot.checksum().unwrap(), outputs, weights)
    }
}

/// How many frames are played; by default so many that a test takes seconds.
fn frames() -> u64 {
    std::env::var("SNAPSHOT_FRAMES").ok().and_then(|frames| frames.parse().ok()).unwrap_or(300)
}

#[test]
fn frames_that_are_rolled_back_and_played_again_change_nothing() {
    let seed = |frame: u64| frame * 10;
    let (mut undisturbed, mut game) = (Game::new(), Game::new());
    let mut ring = SnapshotRing::new(game.snapshot().with::<Rumor>(), 9);
    let mut respawned = 0;
    for frame in 0..frames() {
        undisturbed.play(seed(frame));
        let mut draws = [0.0; 2];
        Philox::new(frame, 9, 0).fill_uniform(&mut draws);
        ring.take(&game.world, frame).unwrap();
        // Frames with other inputs than those that will turn out to be right.
        for wrong in 0..1 + (draws[0] * 3.0) as u64 {
            game.play(1_000_000 + frame * 10 + wrong);
        }
        let first = frame.saturating_sub((draws[1] * 9.0) as u64);
        respawned += ring.restore(&mut game.world, first).unwrap().len();
        for again in first..=frame {
            ring.take(&game.world, again).unwrap();
            game.play(seed(again));
        }
        let (expected, found) = (undisturbed.trace(), game.trace());
        assert!(expected.1 == found.1, "outputs after frame {frame}");
        assert!(expected.2 == found.2, "weights after frame {frame}");
        assert_eq!(expected.0, found.0, "checksum after frame {frame}");
    }
    assert!(respawned > 100, "only {respawned} entities were spawned again");
    let state = undisturbed.world.get::<TrainingState>(undisturbed.learner);
    assert_eq!(state.unwrap().step, frames() / 2, "each pass was applied");
}

#[test]
fn a_restored_world_has_the_checksum_that_was_taken() {
    let mut game = Game::new();
    (0..20).for_each(|frame| game.play(frame));
    let mut snapshot = game.snapshot().with::<Rumor>();
    snapshot.take(&game.world).unwrap();
    let expected = game.trace();
    (20..60).for_each(|frame| game.play(frame));
    assert_ne!(game.trace().0, expected.0);
    snapshot.restore(&mut game.world).unwrap();
    assert!(game.trace() == expected);
    // A second time, from where the first has led.
    snapshot.restore(&mut game.world).unwrap();
    assert!(game.trace() == expected);
}

#[test]
fn metrics_are_those_of_the_restored_frame() {
    let mut game = Game::new();
    game.play(0);
    game.world.evaluate(game.learner).unwrap();
    let mut metrics = game.world.get_mut::<Metrics>(game.learner).unwrap();
    metrics.head_mut(0).add("height", Split::Train, 3.0, 2.0);
    let expected = metrics.clone();
    let mut snapshot = game.snapshot();
    snapshot.take(&game.world).unwrap();
    let (bytes, checksum) = (snapshot.to_bytes().unwrap(), snapshot.checksum());
    game.play(1);
    assert_ne!(*game.world.get::<Metrics>(game.learner).unwrap(), expected);
    snapshot.restore(&mut game.world).unwrap();
    assert_eq!(*game.world.get::<Metrics>(game.learner).unwrap(), expected);
    let mut other = Game::empty();
    let mut loaded = other.snapshot();
    loaded.load(&other.world, &bytes).unwrap();
    loaded.restore(&mut other.world).unwrap();
    let found = other.world.get::<Metrics>(other.learner).unwrap();
    assert_eq!(*found, expected);
    assert_eq!(found.heads[0].values(Split::Train).last().unwrap().name, "height");
    // Whoever looks at them has the same world.
    *game.world.get_mut::<Metrics>(game.learner).unwrap() = Metrics::default();
    snapshot.take(&game.world).unwrap();
    assert_eq!(snapshot.checksum(), checksum);
}

#[test]
fn a_world_loaded_from_bytes_goes_on_as_the_one_that_was_saved() {
    let mut game = Game::new();
    (0..30).for_each(|frame| game.play(frame));
    let mut snapshot = game.snapshot();
    snapshot.take(&game.world).unwrap();
    let bytes = snapshot.to_bytes().unwrap();
    // One with a graph of its own, which the snapshot replaces, and one without.
    for (name, mut other) in [("empty", Game::empty()), ("played", Game::new())] {
        if name == "played" {
            (0..7).for_each(|frame| other.play(frame));
        }
        let mut loaded = other.snapshot();
        loaded.load(&other.world, &bytes).unwrap();
        assert_eq!(loaded.checksum(), snapshot.checksum(), "{name}");
        assert_eq!(loaded.to_bytes().unwrap(), bytes, "{name}");
        loaded.restore(&mut other.world).unwrap();
        let mut again = Game::empty();
        let mut saved = again.snapshot();
        saved.load(&again.world, &bytes).unwrap();
        saved.restore(&mut again.world).unwrap();
        for frame in 30..50 {
            assert!(again.trace() == other.trace(), "{name}, frame {frame}");
            again.play(frame);
            other.play(frame);
        }
    }
    let saved = game.trace();
    let mut loaded = game.snapshot();
    loaded.load(&game.world, &bytes).unwrap();
    (30..40).for_each(|frame| game.play(frame));
    let expected = game.trace();
    loaded.restore(&mut game.world).unwrap();
    assert!(game.trace() == saved);
    (30..40).for_each(|frame| game.play(frame));
    assert!(game.trace() == expected);
}

#[test]
fn damaged_bytes_are_an_error() {
    let mut game = Game::new();
    game.play(0);
    let mut snapshot = game.snapshot();
    snapshot.take(&game.world).unwrap();
    let bytes = snapshot.to_bytes().unwrap();
    let checksum = snapshot.checksum();
    for length in (0..bytes.len()).step_by(7) {
        assert!(snapshot.load(&game.world, &bytes[..length]).is_err(), "the first {length} bytes");
    }
    let mut refused = 0;
    for place in (0..bytes.len()).step_by(3) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        assert!(snapshot.load(&game.world, &damaged).is_err(), "byte {place}");
        // The same with the checksum that belongs to it, which may be read, but never panics.
        let fixed = xxh3_64(&damaged[20..]).to_le_bytes();
        damaged[12..20].copy_from_slice(&fixed);
        let mut loaded = snapshot.clone();
        match loaded.load(&game.world, &damaged) {
            Ok(()) if place % 39 == 0 => _ = loaded.restore(&mut game.world),
            Ok(()) => {}
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 0);
    assert_eq!(snapshot.checksum(), checksum, "a snapshot that could not be loaded is unchanged");
    let mut newer = bytes.clone();
    newer[8] += 1;
    assert_eq!(snapshot.load(&game.world, &newer), Err(SnapshotError::Version { found: 4, expected: 3 }));
    let mut other = Snapshot::new(game.graph).model(game.walker).model(game.learner).with_saved::<Follows>();
    assert!(matches!(other.load(&game.world, &bytes), Err(SnapshotError::Mismatch { .. })));
    let mut other = Snapshot::new(game.graph).model(game.walker).with_saved::<Position>().with_saved::<Follows>();
    assert!(matches!(other.load(&game.world, &bytes), Err(SnapshotError::Mismatch { .. })));
}

#[test]
fn born_keys_from_bytes_keep_their_order_and_come_before_later_ones() {
    let [first, second] = [GraphKey::default(), GraphKey::default()];
    let far = GraphKey::from_bits(second.to_bits() + 1_000_000);
    assert!(first < second && second < far && far < GraphKey::default());
    assert_eq!(GraphKey::from_bits(7), GraphKey::new(7));
    assert_eq!((GraphKey::new(7).given(), far.given()), (Some(7), None));
}

#[test]
fn nothing_is_marked_as_changed_that_is_as_it_was() {
    let mut game = Game::new();
    game.play(0);
    let version = |game: &Game| game.world.get::<Topology>(game.graph).unwrap().version;
    run(&mut game.world, Infer(game.walker)).unwrap();
    let mut snapshot = game.snapshot();
    snapshot.take(&game.world).unwrap();
    run(&mut game.world, Train(game.learner)).unwrap();
    let before = version(&game);
    assert!(snapshot.restore(&mut game.world).unwrap().is_empty());
    run(&mut game.world, Infer(game.walker)).unwrap();
    assert_eq!(version(&game), before, "the topology was derived again, though no edge has changed");
    let edge = edges(&mut game.world)[0];
    let target = game.world.get::<Edge>(edge).unwrap().target;
    game.world.get_mut::<Edge>(edge).unwrap().target = edge;
    run(&mut game.world, Infer(game.walker)).unwrap();
    assert!(snapshot.restore(&mut game.world).unwrap().is_empty());
    assert_eq!(game.world.get::<Edge>(edge).unwrap().target, target);
    run(&mut game.world, Infer(game.walker)).unwrap();
    assert_eq!(version(&game), before + 2);
}

/// Columns that were not written since are not looked at, so it counts whether a write is seen.
#[test]
fn every_write_after_a_snapshot_is_undone() {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes = [(); 3].map(|()| world.spawn(GraphNode).id());
    let [one, other] = [[0, 1], [1, 2]].map(|[source, target]| {
        world.spawn((Edge { source: nodes[source], target: nodes[target] }, EdgeWeight(1.0))).id()
    });
    let mut snapshot = Snapshot::new(graph);
    snapshot.take(&world).unwrap();
    let expected = snapshot.checksum().unwrap();
    let writes: [fn(&mut World, Entity, Entity); 4] = [
        // At the very tick of the snapshot.
        |world, edge, node| world.get_mut::<Edge>(edge).unwrap().target = node,
        |world, edge, _| world.get_mut::<EdgeWeight>(edge).unwrap().0 = 2.0,
        |world, edge, node| {
            world.increment_change_tick();
            world.get_mut::<Edge>(edge).unwrap().target = node;
        },
        // While the edge is in another table.
        |world, edge, node| {
            world.entity_mut(edge).insert(Marked);
            world.increment_change_tick();
            world.get_mut::<Edge>(edge).unwrap().source = node;
            world.increment_change_tick();
            world.entity_mut(edge).remove::<Marked>();
        },
    ];
    for (number, write) in writes.into_iter().enumerate() {
        // The last row returns to its place, so that all rows are where they were.
        write(&mut world, other, nodes[0]);
        snapshot.restore(&mut world).unwrap();
        let mut found = Snapshot::new(graph);
        found.take(&world).unwrap();
        assert_eq!(found.checksum().unwrap(), expected, "write {number} is not undone");
        assert!(world.get_entity(one).is_ok());
    }
}

/// The snapshot is taken after an input was written and before the output follows.
#[test]
fn an_output_that_rests_follows_the_restored_input() {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let model = ModelBuilder::new(graph).input_width(2).layer(Readout::Sum).build(&mut world).unwrap();
    let subgraph = world.spawn(Subgraph).id();
    let node = world.spawn((GraphNode, InSubgraph(subgraph))).id();
    run(&mut world, Infer(model)).unwrap();
    let Model { output, input, .. } = *world.get::<Model>(model).unwrap();
    let input = input.values();
    input.set(&mut world, node, &[1.0, 2.0]).unwrap();
    run(&mut world, Infer(model)).unwrap();
    input.set(&mut world, node, &[3.0, 4.0]).unwrap();
    let mut snapshot = Snapshot::new(graph).model(model);
    snapshot.take(&world).unwrap();
    run(&mut world, Infer(model)).unwrap();
    assert_eq!(output.get(&world, subgraph).unwrap(), [3.0, 4.0]);
    snapshot.restore(&mut world).unwrap();
    assert_eq!(output.get(&world, subgraph).unwrap(), [1.0, 2.0]);
    run(&mut world, Infer(model)).unwrap();
    assert_eq!(output.get(&world, subgraph).unwrap(), [3.0, 4.0]);
}

#[test]
fn the_checksum_follows_keys_and_no_rows() {
    let checksum = |game: &Game| {
        let mut snapshot = game.snapshot();
        snapshot.take(&game.world).unwrap();
        snapshot.checksum().unwrap()
    };
    let mut game = Game::new();
    game.play(0);
    let expected = checksum(&game);
    let world = &mut game.world;
    let [nodes, edges] = [by_key::<GraphNode>(world), edges(world)];
    for entity in [nodes[3], edges[5]] {
        world.entity_mut(entity).insert(Marked);
    }
    // An edge again.
    let is_plain =
        |edge: &Entity| !world.entity(*edge).contains::<EdgeWeight>() && !world.entity(*edge).contains::<GraphKey>();
    let again = edges.iter().copied().find(is_plain).unwrap();
    let edge = *world.get::<Edge>(again).unwrap();
    world.despawn(again);
    world.spawn(edge);
    assert_eq!(checksum(&game), expected, "moved rows");
    let world = &mut game.world;
    let node = nodes[3];
    let position = *world.get::<Position>(node).unwrap();
    world.get_mut::<Position>(node).unwrap().0[1] += 1.0;
    assert_ne!(checksum(&game), expected, "another position");
    *game.world.get_mut::<Position>(node).unwrap() = position;
    assert_eq!(checksum(&game), expected);
    let weights = game.world.get::<Model>(game.learner).unwrap().parameters[0];
    let weights = game.world.get::<Parameter>(weights).unwrap().value;
    weights.matrix_mut(&mut game.world).rows_mut().for_each(|row| row[0] = -row[0]);
    assert_ne!(checksum(&game), expected, "another weight");
}

#[test]
fn a_snapshot_that_does_not_fit_is_refused() {
    let mut game = Game::new();
    game.play(0);
    let mut snapshot = game.snapshot();
    assert_eq!(snapshot.restore(&mut game.world).err(), Some(SnapshotError::Empty));
    assert_eq!(snapshot.to_bytes(), Err(SnapshotError::Empty));
    snapshot.take(&game.world).unwrap();
    assert_eq!(snapshot.restore(&mut World::new()).err(), Some(SnapshotError::OtherWorld));
    let node = by_key::<GraphNode>(&mut game.world)[0];
    assert_eq!(Snapshot::new(node).take(&game.world), Err(SnapshotError::NoGraph(node)));
    assert_eq!(Snapshot::new(game.graph).model(node).take(&game.world), Err(SnapshotError::NoModel(node)));
    let second = Graph::of::<GraphNode, Marked>(&mut game.world);
    assert_eq!(
        Snapshot::new(second).model(game.walker).take(&game.world),
        Err(SnapshotError::OtherGraph { model: game.walker, graph: game.graph })
    );
    let mut rumors = game.snapshot().with::<Rumor>();
    rumors.take(&game.world).unwrap();
    assert!(matches!(rumors.to_bytes(), Err(SnapshotError::NotSaved(name)) if name.contains("Rumor")));
    let ring = SnapshotRing::new(game.snapshot(), 4);
    assert_eq!(ring.restore(&mut game.world, 3).err(), Some(SnapshotError::NoFrame { frame: 3, capacity: 4 }));
    game.world.remove_model(game.walker).unwrap();
    assert_eq!(snapshot.restore(&mut game.world).err(), Some(SnapshotError::NoModel(game.walker)));
}

#[test]
fn components_of_the_user_mark_nodes_and_edges() {
    #[derive(Component, Clone, Debug, PartialEq)]
    struct Citizen;
    #[derive(Component, Clone)]
    struct Friendship;

    let mut world = World::new();
    let graph = Graph::of::<Citizen, Friendship>(&mut world);
    let [ann, bob] = [0, 1].map(|_| world.spawn(Citizen).id());
    let friends = world.spawn((Friendship, Edge { source: ann, target: bob })).id();
    let mut snapshot = Snapshot::new(graph).with::<Citizen>();
    snapshot.take(&world).unwrap();
    world.despawn(friends);
    let count = world.entities().count_spawned();
    assert!(matches!(snapshot.restore(&mut world), Err(SnapshotError::Field(_))), "friendships have no default");
    assert_eq!(world.entities().count_spawned(), count, "the world is unchanged");
    world.spawn((Friendship, Edge { source: bob, target: bob }));
    let mut snapshot = Snapshot::new(graph).with::<Citizen>().with::<Friendship>();
    snapshot.take(&world).unwrap();
    world.entity_mut(ann).remove::<Citizen>();
    world.despawn(bob);
    let replaced = snapshot.restore(&mut world).unwrap();
    assert_eq!(world.get(ann), Some(&Citizen));
    let bob = replaced[&bob];
    assert_eq!(world.get(bob), Some(&Citizen));
    let edges: Vec<Edge> = world.query_filtered::<&Edge, With<Friendship>>().iter(&world).copied().collect();
    assert_eq!(edges, [Edge { source: bob, target: bob }]);
}

/// A component that marks nodes, and that a model reads in place.
#[derive(Component, Clone, Copy, Default, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Place([f32; 2]);

#[test]
fn a_component_that_marks_the_nodes_and_is_an_input_is_held_row_by_row() {
    let mut world = World::new();
    register_default::<Place>(&mut world);
    let graph = Graph::of::<Place, Edge>(&mut world);
    let model = ModelBuilder::new(graph).reads::<Place>().layer(Linear::new(2)).build(&mut world).unwrap();
    let nodes: Vec<Entity> = (0..5).map(|number| world.spawn(Place([number as f32, 1.0])).id()).collect();
    run(&mut world, Infer(model)).unwrap();
    let mut snapshot = Snapshot::new(graph).model(model);
    snapshot.take(&world).unwrap();
    nodes.iter().for_each(|node| world.get_mut::<Place>(*node).unwrap().0[0] = 9.0);
    world.despawn(nodes[2]);
    let replaced = snapshot.restore(&mut world).unwrap();
    for (number, node) in nodes.iter().enumerate() {
        let node = replaced.get(node).unwrap_or(node);
        assert_eq!(world.get(*node), Some(&Place([number as f32, 1.0])));
    }
}
