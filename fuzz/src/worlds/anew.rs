//! A world that is built anew, and takes the same step.

use std::collections::HashMap;

use bevy_ecs::{entity::Entity, world::World};
use connectome::components::{
    ClassLabel, Edge, EdgeWeight, Graph, GraphKey, GraphNode, InSubgraph, Metrics, Model, Parameter, Split, Subgraph,
    TrainingState,
};
use connectome::systems::WorldModelExt;

use super::event::Step;
use super::life::{Life, subgraph_label, take_step};
use super::record::Record;

/// What a model has learned.
#[derive(Clone, Debug)]
pub struct State {
    training: Option<TrainingState>,
    /// The name of each parameter, its values and its moments.
    parameters: Vec<(String, Vec<f32>, Vec<f32>)>,
}

impl State {
    pub fn of(world: &World, model: Entity) -> Self {
        let owners = &world.get::<Model>(model).expect("it is a model").parameters;
        let state = |owner: &Entity| {
            let parameter = world.get::<Parameter>(*owner).expect("it is a parameter");
            let numbers = |field: connectome::components::Field| {
                field.get(world, *owner).unwrap_or_else(|error| panic!("{error}")).to_vec()
            };
            let moments = parameter.moments.map(numbers).unwrap_or_default();
            (parameter.name.clone(), numbers(parameter.value), moments)
        };
        Self { training: world.get::<TrainingState>(model).copied(), parameters: owners.iter().map(state).collect() }
    }

    /// Gives a new model of the same recipe what this one has learned.
    fn insert_into(&self, world: &mut World, model: Entity) {
        let owners = world.get::<Model>(model).expect("it is a model").parameters.clone();
        for (owner, (name, values, moments)) in owners.into_iter().zip(&self.parameters) {
            let parameter = world.get::<Parameter>(owner).expect("it is a parameter").clone();
            assert_eq!(&parameter.name, name);
            let set = parameter.value.set(world, owner, values);
            let set = set.and_then(|()| parameter.moments.map_or(Ok(()), |field| field.set(world, owner, moments)));
            set.unwrap_or_else(|error| panic!("{error}"));
        }
        if let Some(training) = self.training {
            world.entity_mut(model).insert(training);
        }
    }

    /// Asserts that it has the bits of another one.
    pub fn check(&self, expected: &Self, what: &str) {
        assert_eq!(self.training, expected.training, "{what}");
        assert_eq!(self.parameters.len(), expected.parameters.len(), "{what}");
        for ((name, values, moments), (_, expected_values, expected_moments)) in
            self.parameters.iter().zip(&expected.parameters)
        {
            assert_same(values, expected_values, &format!("{what}: {name}"));
            assert_same(moments, expected_moments, &format!("{what}: moments of {name}"));
        }
    }
}

/// Takes the step in a world that is built anew, and compares.
pub fn check(life: &Life, step: Step, before: &State, outcome: Result<(), String>) {
    let (mut world, model, entities) = build(life, before);
    let anew = take_step(&mut world, model, step);
    assert_eq!(outcome.is_ok(), anew.is_ok(), "{step:?}: {outcome:?}, anew {anew:?}");
    if outcome.is_err() {
        return;
    }
    let [found_output, expected_output] = [(&life.world, life.model), (&world, model)]
        .map(|(world, model)| world.get::<Model>(model).expect("it is a model").output);
    for (entity, same) in &entities {
        let found = found_output.get(&life.world, *entity).unwrap_or_default();
        let expected = expected_output.get(&world, *same).unwrap_or_default();
        assert_same(found, expected, &format!("{step:?}: output of {entity}"));
    }
    let [found, expected] = [(&life.world, life.model), (&world, model)]
        .map(|(world, model)| world.get::<Metrics>(model).map(|metrics| metrics.of(Split::Train)).unwrap_or_default());
    if step != Step::Infer {
        assert_eq!((found.count, found.classified), (expected.count, expected.classified), "{step:?}: counted rows");
        assert_same(&[found.loss()], &[expected.loss()], &format!("{step:?}: loss"));
    }
    State::of(&life.world, life.model).check(&State::of(&world, model), &format!("{step:?}"));
}

/// Asserts that the values have the same bits.
fn assert_same(found: &[f32], expected: &[f32], what: &str) {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
    assert_eq!(bits(found), bits(expected), "{what}: {found:?}, anew {expected:?}");
}

/// A world with the entities of the record in the order of their keys, and those that take the place of each.
fn build(life: &Life, state: &State) -> (World, Entity, HashMap<Entity, Entity>) {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let Record { nodes, edges, subgraphs } = in_order(life);
    let nobody = world.spawn_empty().id();
    let mut same = HashMap::new();
    for (index, subgraph) in subgraphs.iter().enumerate() {
        let index = life.record.subgraphs.iter().position(|other| other.entity == subgraph.entity).unwrap_or(index);
        same.insert(subgraph.entity, world.spawn((Subgraph, subgraph_label(index), Split::Train)).id());
    }
    for node in nodes {
        let entity = world.spawn((GraphNode, node.body, ClassLabel(node.label), Split::Train)).id();
        let subgraph = node.subgraph.map(|index| life.record.subgraphs[index].entity);
        let subgraph = subgraph.map(|subgraph| same.get(&subgraph).copied().unwrap_or(nobody));
        subgraph.map(|subgraph| world.entity_mut(entity).insert(InSubgraph(subgraph)).id());
        same.insert(node.entity, entity);
    }
    for edge in edges {
        let [source, target] = [edge.source, edge.target].map(|end| same.get(&end).copied().unwrap_or(nobody));
        let mut spawned = world.spawn(Edge { source, target });
        edge.weight.map(|weight| spawned.insert(EdgeWeight(weight)));
    }
    let model = world.spawn_model(life.recipe.model(graph)).unwrap_or_else(|error| panic!("{error}"));
    state.insert_into(&mut world, model);
    (world, model, same)
}

/// What is recorded of entities that are not disabled, nodes and subgraphs in the order of their keys. Edges, whose order does
/// not matter, are in another one than that of their birth.
fn in_order(life: &Life) -> Record {
    let key = |entity: Entity| *life.world.get::<GraphKey>(entity).expect("a step gives keys to all");
    let mut record = life.record.clone();
    record.nodes.retain(|node| !node.disabled);
    record.edges.retain(|edge| !edge.disabled);
    record.subgraphs.retain(|subgraph| !subgraph.disabled);
    record.nodes.sort_by_key(|node| key(node.entity));
    record.edges.reverse();
    record.subgraphs.sort_by_key(|subgraph| key(subgraph.entity));
    record
}
