//! What happens to entities in a world that lives: nodes and edges are disabled, replaced, cloned and moved between
//! many tables, models and graphs are despawned, and ticks wrap around. What a model computes is then what the formula
//! says, or the error says why it cannot be.
//!
//! The cases are those of public reports about entity component systems and engines on them.

use bevy_ecs::{entity_disabling::Disabled, prelude::*};
use connectome_components::{Edge, Field, Graph, GraphNode, Model, Topology};
use connectome_systems::{
    Evaluate, GraphSystems, Infer, ModelBuilder, Scratch, add_systems, layers::Appnp, run, update_topology,
};

/// A graph, and the buffers of its updates.
struct Live {
    world: World,
    graph: Entity,
    scratch: Scratch,
}

impl Live {
    fn new() -> Self {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        Self { world, graph, scratch: Scratch::default() }
    }

    fn nodes<const N: usize>(&mut self) -> [Entity; N] {
        [(); N].map(|()| self.world.spawn(GraphNode).id())
    }

    fn edge(&mut self, source: Entity, target: Entity) -> Entity {
        self.world.spawn(Edge { source, target }).id()
    }

    fn update(&mut self) {
        update_topology(&mut self.world, self.graph, &mut self.scratch);
    }

    fn topology(&self) -> &Topology {
        self.world.get(self.graph).unwrap()
    }

    /// Source and target of each edge that is not dangling.
    fn pairs(&self) -> Vec<[Entity; 2]> {
        let Topology { nodes, endpoints, .. } = self.topology();
        let joined = endpoints.iter().filter(|endpoints| !endpoints.contains(&Topology::NO_ROW));
        joined.map(|rows| rows.map(|row| nodes.entities()[row as usize])).collect()
    }

    /// One hop of propagation without a fraction of the input: `sum of s[ij] x[j]`.
    fn propagation(&mut self) -> Propagation {
        let model = ModelBuilder::new(self.graph).input_width(1).layer(Appnp::new(1, 0.0));
        let model = model.build(&mut self.world).unwrap();
        let Model { input, output, .. } = self.world.get(model).unwrap();
        Propagation { model, input: input.values(), output: *output }
    }

    fn set(&mut self, field: Field, values: &[(Entity, f32)]) {
        values.iter().for_each(|(node, value)| field.set(&mut self.world, *node, &[*value]).unwrap());
    }

    fn get(&self, field: Field, node: Entity) -> f32 {
        field.get(&self.world, node).unwrap()[0]
    }

    fn infer(&mut self, propagation: &Propagation) {
        run(&mut self.world, Infer(propagation.model)).unwrap();
    }
}

struct Propagation {
    model: Entity,
    input: Field,
    output: Field,
}

#[track_caller]
fn assert_close(found: f32, expected: f64) {
    assert!((f64::from(found) - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} for {expected}");
}

#[test]
fn a_disabled_edge_carries_no_messages() {
    let mut live = Live::new();
    let [a, b] = live.nodes();
    let edge = live.edge(a, b);
    live.update();
    assert_eq!(live.pairs(), [[a, b]]);
    live.world.entity_mut(edge).insert(Disabled);
    live.update();
    let seen = live.world.query::<&Edge>().iter(&live.world).count();
    assert_eq!((live.pairs().len(), seen), (0, 0));
}

#[test]
fn an_entity_in_the_place_of_another_is_another() {
    let mut live = Live::new();
    let [a, b, c] = live.nodes();
    let edge = live.edge(a, b);
    live.update();
    let id = live.world.despawn_no_free(edge).unwrap();
    live.world.spawn_at(id, Edge { source: b, target: c }).unwrap();
    live.update();
    assert_eq!(live.pairs(), [[b, c]]);
}

#[test]
fn changes_are_seen_however_often_trackers_are_cleared() {
    let mut live = Live::new();
    let [a, b] = live.nodes();
    let edge = live.edge(a, b);
    live.update();
    live.world.despawn(edge);
    (0..5).for_each(|_| live.world.clear_trackers());
    live.update();
    assert_eq!(live.pairs(), <[[Entity; 2]; 0]>::default());
    let edge = live.edge(a, b);
    live.update();
    live.world.get_mut::<Edge>(edge).unwrap().target = a;
    (0..5).for_each(|_| live.world.clear_trackers());
    live.update();
    assert_eq!(live.pairs(), [[a, a]]);
}

/// Counts ticks up, and checks them as often as an app does, or a schedule when it runs.
fn advance(world: &mut World, ticks: u64) {
    const BETWEEN_CHECKS: u64 = 100_000_000;
    let mut left = ticks;
    while left > 0 {
        let next = left.min(BETWEEN_CHECKS);
        (0..next).for_each(|_| _ = world.increment_change_tick());
        left -= next;
        world.check_change_ticks();
    }
}

/// So many ticks there are; then they begin again.
const TICKS: u64 = 1 << 32;

/// A graph that nobody changed for so many ticks, of which one edge is rewired then, or `early` after the derivation.
fn rewired_after(ticks: u64, early: bool, updates: bool) {
    let mut live = Live::new();
    let [a, b] = live.nodes();
    let edge = live.edge(a, b);
    live.update();
    let rewire = |live: &mut Live| live.world.get_mut::<Edge>(edge).unwrap().target = a;
    if early {
        rewire(&mut live);
    }
    let mut left = ticks;
    while left > 0 {
        let next = left.min(TICKS / 3);
        advance(&mut live.world, next);
        left -= next;
        if updates {
            live.update();
        }
    }
    if !early {
        rewire(&mut live);
    }
    advance(&mut live.world, 20);
    live.update();
    assert_eq!(live.pairs(), [[a, a]], "rewired after {ticks} ticks, at once: {early}, with updates: {updates}");
    // Once is enough.
    let version = live.topology().version;
    live.update();
    assert_eq!(live.topology().version, version);
}

#[test]
fn an_edge_is_seen_that_is_rewired_when_ticks_wrap_around() {
    for ticks in [TICKS - 10, TICKS - (1 << 20)] {
        rewired_after(ticks, false, true);
        rewired_after(ticks, false, false);
    }
    // Too old to be compared, before and after a check has found that.
    for ticks in [TICKS - 10, TICKS - 1_037_000_000, 3_300_000_000] {
        rewired_after(ticks, true, false);
    }
}

#[test]
fn two_models_of_a_graph_and_what_is_despawned() {
    let mut live = Live::new();
    let [one, other] = [(); 2].map(|()| live.propagation());
    let [a, b] = live.nodes();
    live.edge(a, b);
    let infer = |live: &mut Live| [&one, &other].map(|model| live.infer(model));
    infer(&mut live);
    live.set(one.input, &[(a, 1.0)]);
    live.set(other.input, &[(a, 10.0)]);
    infer(&mut live);
    assert_close(live.get(one.output, b), 0.5_f64.sqrt());
    assert_close(live.get(other.output, b), 10.0 * 0.5_f64.sqrt());
    let [c] = live.nodes();
    live.edge(c, b);
    live.infer(&other);
    live.set(other.input, &[(c, 10.0)]);
    live.set(one.input, &[(c, 1.0)]);
    live.infer(&other);
    live.infer(&one);
    assert_close(live.get(one.output, b), 2.0 / 3_f64.sqrt());
    assert_close(live.get(other.output, b), 20.0 / 3_f64.sqrt());

    live.world.despawn(one.model);
    let error = run(&mut live.world, Infer(one.model)).unwrap_err();
    assert!(error.to_string().contains("is not a model any more"), "{error}");
    live.infer(&other);
    live.world.despawn(live.graph);
    let error = run(&mut live.world, Infer(other.model)).unwrap_err();
    assert!(error.to_string().contains("is no graph"), "{error}");
}

#[test]
fn a_world_without_nodes_and_one_with_a_first_node() {
    let mut live = Live::new();
    let model = live.propagation();
    live.infer(&model);
    let [a] = live.nodes();
    live.infer(&model);
    live.set(model.input, &[(a, 3.0)]);
    live.infer(&model);
    assert_close(live.get(model.output, a), 3.0);
    live.world.despawn(a);
    live.infer(&model);
    let error = run(&mut live.world, Evaluate(model.model)).unwrap_err();
    assert!(error.to_string().contains("has no schedule"), "{error}");
}

/// A relation that takes part in relations: a node that is an edge from another one to itself.
#[test]
fn a_node_that_is_an_edge() {
    let mut live = Live::new();
    let model = live.propagation();
    let [a, b, c] = live.nodes();
    live.world.entity_mut(c).insert(Edge { source: a, target: c });
    live.edge(c, b);
    live.infer(&model);
    live.set(model.input, &[(a, 1.0), (b, 2.0), (c, 4.0)]);
    live.infer(&model);
    for (node, expected) in [(a, 1.0), (b, 3.0), (c, 2.0 + 0.5_f64.sqrt())] {
        assert_close(live.get(model.output, node), expected);
    }
}

#[derive(Component, Clone)]
struct Mark<const N: usize>;

/// Puts an entity into one of 64 tables.
fn mark(world: &mut World, entity: Entity, number: usize) {
    let mut entity = world.entity_mut(entity);
    let has = |bit: usize| number >> bit & 1 == 1;
    has(0).then(|| entity.insert(Mark::<0>));
    has(1).then(|| entity.insert(Mark::<1>));
    has(2).then(|| entity.insert(Mark::<2>));
    has(3).then(|| entity.insert(Mark::<3>));
    has(4).then(|| entity.insert(Mark::<4>));
    has(5).then(|| entity.insert(Mark::<5>));
}

#[test]
fn nodes_and_edges_in_64_tables_each() {
    const NODES: usize = 640;
    let mut live = Live::new();
    let model = live.propagation();
    let nodes: [Entity; NODES] = live.nodes();
    let ends = (0..3000).map(|k| [(k * 7919 + 13) % NODES, (k * k * 31 + 5 * k) % NODES]);
    let ends: Vec<[usize; 2]> = ends.filter(|[source, target]| source != target).collect();
    let edges: Vec<Entity> = ends.iter().map(|ends| ends.map(|end| nodes[end])).map(|[a, b]| live.edge(a, b)).collect();
    live.infer(&model);
    for (number, node) in nodes.iter().enumerate() {
        live.set(model.input, &[(*node, number as f32)]);
    }
    nodes.iter().chain(&edges).enumerate().for_each(|(number, entity)| mark(&mut live.world, *entity, number));
    live.infer(&model);

    let mut degrees = [1.0_f64; NODES];
    ends.iter().for_each(|[_, target]| degrees[*target] += 1.0);
    let mut expected: Vec<f64> = (0..NODES).map(|node| node as f64 / degrees[node]).collect();
    for [source, target] in &ends {
        expected[*target] += *source as f64 / (degrees[*source] * degrees[*target]).sqrt();
    }
    let check = |live: &Live| {
        for (node, expected) in nodes.iter().zip(&expected) {
            let found = f64::from(live.get(model.output, *node));
            assert!((found - expected).abs() <= 1e-5 * expected.max(1.0), "{found} for {expected}");
        }
    };
    check(&live);
    // Half of the nodes go back to the first table.
    for node in &nodes[..NODES / 2] {
        live.world.entity_mut(*node).remove::<(Mark<0>, Mark<1>, Mark<2>, Mark<3>, Mark<4>, Mark<5>)>();
    }
    live.infer(&model);
    check(&live);
}

#[test]
fn a_clone_takes_part_with_the_values_of_its_original() {
    let mut live = Live::new();
    let model = live.propagation();
    let [a, b] = live.nodes();
    let edge = live.edge(a, b);
    live.infer(&model);
    live.set(model.input, &[(a, 1.0), (b, 5.0)]);
    let clone = live.world.entity_mut(a).clone_and_spawn();
    live.world.entity_mut(edge).clone_and_spawn();
    live.infer(&model);
    assert_eq!((live.topology().nodes.len(), live.topology().edges.len()), (3, 2));
    assert_close(live.get(model.input, clone), 1.0);
    // Two edges and itself.
    assert_close(live.get(model.output, b), 5.0 / 3.0 + 2.0 / 3_f64.sqrt());
}

/// A system moves a node to another table and despawns another one, by commands, which wait for the end of the step.
#[test]
fn commands_of_a_system_that_observes() {
    let mut live = Live::new();
    let model = live.propagation();
    let nodes: [Entity; 5] = live.nodes();
    live.edge(nodes[0], nodes[1]);
    live.infer(&model);
    nodes.iter().for_each(|node| live.set(model.input, &[(*node, 1.0)]));
    let change = move |mut commands: Commands, present: Query<Entity, With<GraphNode>>| {
        if present.contains(nodes[3]) {
            commands.entity(nodes[3]).despawn();
            commands.entity(nodes[1]).insert(Mark::<1>);
        }
    };
    add_systems(&mut live.world, Infer(model.model), change.in_set(GraphSystems::Observe)).unwrap();
    for _ in 0..2 {
        live.infer(&model);
        assert_close(live.get(model.output, nodes[1]), 0.5 + 0.5_f64.sqrt());
    }
    assert!(live.world.get_entity(nodes[3]).is_err());
}
