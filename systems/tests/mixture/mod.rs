//! Mixtures of experts: what they compute, that nothing but the data decides its bits, and how experts come and go.

mod bits;
mod dense;
mod errors;
mod life;

use crate::common;

use bevy_ecs::prelude::*;
use common::{Link, Scene, few_cases};
use connectome_components::{
    Field, GateLosses, Graph, GraphNode, Loss, Metrics, Mixing, MixtureOfExperts, Model, Optimizer, Parameter, Split,
    Subgraph, attach_fields,
};
use connectome_systems::{
    Infer, MixtureBuilder, ModelBuilder, Train, Workers, WorldModelExt, add_expert, expert_world, expert_world_mut,
    kernels::Activation,
    layers::{BatchNorm, BuildError, Dropout, GcnConv, GraphConv, GraphNorm, Linear, Readout},
    random::Philox,
    remove_expert, replace_expert, run,
};
use ndarray::Array2;
use proptest::prelude::*;

/// Features of nodes, and of what is predicted.
const FEATURES: usize = 3;
const OUTPUTS: usize = 2;

/// What a gate chooses for, and what is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rows {
    Subgraphs,
    Nodes,
    /// Nodes are predicted by the experts that are chosen for their subgraph.
    Members,
}

/// A world of graphs, whose nodes have features, and targets on the rows.
struct Corpus {
    scene: Scene,
    input: Field,
    rows: Rows,
    /// The subgraph of each node.
    of: Vec<usize>,
    seed: u64,
}

/// A number between -1 and 1.
fn number(seed: u64, index: usize) -> f32 {
    let mut number = [0.0];
    Philox::new(seed, 0, index as u64).fill_uniform(&mut number);
    2.0 * number[0] - 1.0
}

impl Corpus {
    /// So many graphs of 1 to 5 nodes each.
    fn new(graphs: usize, rows: Rows, seed: u64) -> Self {
        let draw = |index: usize, below: usize| (number(seed, index).abs() * below as f32) as usize % below;
        let mut of = Vec::new();
        let mut links = Vec::new();
        for graph in 0..graphs {
            let (start, size) = (of.len(), 1 + draw(1000 + graph, 5));
            of.extend((0..size).map(|_| graph));
            for link in 0..draw(2000 + graph, 9) {
                let [source, target] = [0, 1].map(|end| start + draw(3000 + 100 * graph + 2 * link + end, size));
                links.push(Link { source, target, weight: None });
            }
        }
        let mut scene = Scene::new(of.len(), &links);
        scene.divide(graphs, |node| of[node]);
        let numbers = Array2::from_shape_fn((of.len(), FEATURES), |(row, column)| {
            f64::from(number(seed, 10_000 + row * FEATURES + column))
        });
        let input = scene.field("features", &numbers).unwrap();
        Self { scene, input, rows, of, seed }
    }

    fn adam() -> Optimizer {
        Optimizer::adam(0.05)
    }

    fn gate(&self, optimizer: Optimizer) -> ModelBuilder {
        let gate = ModelBuilder::new(self.scene.graph).name("gate").input(self.input).seed(self.seed);
        let gate = if self.rows != Rows::Nodes { gate.layer(Readout::Mean) } else { gate };
        gate.optimizer(optimizer)
    }

    /// An expert of two layers that pass messages.
    fn expert(&self, optimizer: Optimizer) -> ModelBuilder {
        let expert = ModelBuilder::new(self.scene.graph).name("expert").input(self.input).seed(self.seed);
        let expert = expert.layer(GcnConv::new(4)).layer(Activation::Tanh).layer(GraphConv::new(4));
        let expert = if self.rows == Rows::Subgraphs { expert.layer(Readout::Sum) } else { expert };
        expert.layer(Linear::new(OUTPUTS)).optimizer(optimizer)
    }

    fn model(&self, optimizer: Optimizer) -> ModelBuilder {
        ModelBuilder::new(self.scene.graph).name("mixture").loss(Loss::MeanSquaredError).optimizer(optimizer)
    }

    /// A mixture of such experts.
    fn builder(&self, experts: usize, optimizer: Optimizer) -> MixtureBuilder {
        let mixture = MixtureBuilder::new(self.gate(optimizer), self.model(optimizer));
        let weights = GateLosses { balance: 0.3, importance: 0.2, z: 0.1 };
        (0..experts).fold(mixture, |mixture, _| mixture.expert(self.expert(optimizer))).loss_weights(weights)
    }

    /// Gives the rows targets; every fifth one is held out.
    fn label(&mut self, mixture: Entity) {
        let world = &mut self.scene.world;
        let targets = world.get::<Model>(mixture).unwrap().targets.unwrap();
        attach_fields(world, targets.domain());
        let entities = if self.rows == Rows::Subgraphs { &self.scene.subgraphs } else { &self.scene.nodes };
        for (row, entity) in entities.iter().enumerate() {
            let split = if row % 5 == 4 { Split::Validation } else { Split::Train };
            world.entity_mut(*entity).insert(split);
            let values = [0, 1].map(|column| number(self.seed, 50_000 + 2 * row + column));
            targets.set(world, *entity, &values).unwrap();
        }
    }

    /// A mixture with targets.
    fn spawn(&mut self, builder: MixtureBuilder) -> Entity {
        let mixture = self.scene.world.spawn_mixture(builder).unwrap();
        self.label(mixture);
        mixture
    }
}

/// Parameters, or their gradients, by name.
fn read(world: &World, model: Entity, field: impl Fn(&Parameter) -> Option<Field>) -> Vec<(String, Vec<f32>)> {
    let parameters = &world.get::<Model>(model).unwrap().parameters;
    let parameters = parameters.iter().map(|entity| world.get::<Parameter>(*entity).unwrap());
    let values = |field: Field| field.matrix(world).rows().flatten().copied().collect();
    parameters.filter_map(|parameter| Some((parameter.name.clone(), values(field(parameter)?)))).collect()
}

fn values(world: &World, model: Entity) -> Vec<(String, Vec<f32>)> {
    read(world, model, |parameter| Some(parameter.value))
}

/// The parameters and moments of gate, model and experts.
fn state(world: &World, mixture: Entity) -> Vec<Vec<f32>> {
    let component = world.get::<MixtureOfExperts>(mixture).unwrap();
    let all = |world: &World, model: Entity| {
        let moments = read(world, model, |parameter| parameter.moments);
        values(world, model).into_iter().chain(moments).map(|(_, values)| values).collect::<Vec<_>>()
    };
    let own = [component.gate, mixture].into_iter().flat_map(|model| all(world, model));
    let experts = (0..component.experts.len()).flat_map(|index| {
        let (world, model) = expert_world(world, mixture, index).unwrap();
        all(world, model)
    });
    own.chain(experts).collect()
}

fn output(world: &World, mixture: Entity) -> Vec<f32> {
    world.get::<Model>(mixture).unwrap().output.matrix(world).rows().flatten().copied().collect()
}

fn component(world: &World, mixture: Entity) -> &MixtureOfExperts {
    world.get::<MixtureOfExperts>(mixture).unwrap()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_close_in_sums(found, expected, 1e-2, what);
}

/// The same for sums, whose terms have this size and may cancel.
#[track_caller]
fn assert_close_in_sums(found: &[f32], expected: &[f32], terms: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(terms, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 2e-5 * scale, "{what}: {found} instead of {expected}");
    }
}
