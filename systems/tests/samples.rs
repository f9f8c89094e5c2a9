//! A training step on a sample computes the rows that its seeds need, and what it learns is what it would learn from all
//! rows: the gradients are those of the same sample whose graph is not told that it is one. Before the step all columns
//! are filled with NaN, by a step on such features, so that a row that is read without being computed is found.
//!
//! Outputs beyond the seeds are 0 after a limited step, by which it is told from one on all rows. A failure prints the case
//! and the parameter.

use bevy_ecs::prelude::*;
use connectome_components::{
    ClassLabel, Edge, EdgeWeight, Field, Graph, GraphNode, Metrics, Model, Optimizer, Parameter, Split, Topology,
    attach_fields,
};
use connectome_systems::{
    Evaluate, Infer, ModelBuilder, Train, Workers,
    batch::{Batch, Extract},
    kernels::Activation,
    layers::*,
    operators::Reduction,
    random::{Philox, RandomStream},
    run,
};
use std::sync::Arc;

const NODES: u64 = 1_500;
const EDGES: usize = 9_000;
const SEEDS: usize = 40;
const WIDTH: usize = 6;
const EDGE_WIDTH: usize = 3;
const CLASSES: u32 = 4;

/// A world with a graph, and its fields.
struct Side {
    world: World,
    graph: Entity,
    features: Field,
    lengths: Field,
    labels: Field<ClassLabel>,
    splits: Field<Split>,
}

impl Side {
    fn new() -> Self {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let [nodes, edges] = [world.register_component::<GraphNode>(), world.register_component::<Edge>()];
        Self {
            features: Field::register(&mut world, "features", nodes, WIDTH).unwrap(),
            lengths: Field::register(&mut world, "lengths", edges, EDGE_WIDTH).unwrap(),
            labels: Field::of_component(&mut world, nodes).unwrap(),
            splits: Field::of_component(&mut world, nodes).unwrap(),
            graph,
            world,
        }
    }

    /// A random graph with a few hubs, self-loops and weights.
    fn corpus() -> (Self, Vec<Entity>) {
        let mut side = Self::new();
        let mut draws = RandomStream::new(Philox::new(3, 1, 0));
        let labels = (0..NODES).map(|_| ClassLabel(draws.below(u64::from(CLASSES)) as u32)).collect::<Vec<_>>();
        let spawn = |label: &ClassLabel| side.world.spawn((GraphNode, *label, Split::Train)).id();
        let nodes: Vec<Entity> = labels.iter().map(spawn).collect();
        for number in 0..EDGES {
            let source = draws.below(if number % 4 == 0 { 30 } else { NODES });
            let target = if number % 40 == 1 { source } else { draws.below(NODES) };
            let [source, target] = [source, target].map(|node| nodes[node as usize]);
            side.world.spawn((Edge { source, target }, EdgeWeight(0.5 + draws.below(8) as f32 / 8.0)));
        }
        for field in [side.features, side.lengths] {
            attach_fields(&mut side.world, field.domain());
            let mut purpose = field.width() as u32;
            for chunk in field.matrix_mut(&mut side.world).rows_mut() {
                purpose += 1;
                Philox::new(5, purpose, field.width() as u64).fill_uniform(chunk);
                chunk.iter_mut().for_each(|value| *value -= 0.5);
            }
        }
        (side, nodes)
    }

    fn extract_into(&mut self, training: &Side) -> Extract {
        let mut extract = Extract::new(&self.world, self.graph).unwrap();
        extract.copy(&self.world, self.features, training.features).unwrap();
        extract.copy(&self.world, self.lengths, training.lengths).unwrap();
        extract.copy(&self.world, self.labels, training.labels).unwrap();
        extract.copy(&self.world, self.splits, training.splits).unwrap();
        extract.update(&mut self.world);
        extract
    }

    fn set_seeds(&mut self, seeds: Option<u32>) {
        self.world.get_mut::<Topology>(self.graph).unwrap().set_seeds(seeds);
    }

    fn outputs(&self, model: Entity) -> Vec<Vec<f32>> {
        let output = self.world.get::<Model>(model).unwrap().output;
        output.matrix(&self.world).rows().map(<[f32]>::to_vec).collect()
    }

    /// The number of rows up to the last whose output is not 0.
    fn computed(&self, model: Entity) -> usize {
        let is_computed = |row: &Vec<f32>| row.iter().any(|value| *value != 0.0);
        self.outputs(model).iter().rposition(is_computed).map_or(0, |row| row + 1)
    }

    fn gradients(&self, model: Entity) -> Vec<(String, Vec<f32>)> {
        let parameters = self.world.get::<Model>(model).unwrap().parameters.iter();
        let gradient = |entity: &Entity| {
            let parameter = self.world.get::<Parameter>(*entity)?;
            Some((parameter.name.clone(), parameter.gradient?.get(&self.world, *entity).unwrap().to_vec()))
        };
        parameters.filter_map(gradient).collect()
    }
}

type Layers = Vec<Arc<dyn Layer>>;

fn stack(layers: impl IntoIterator<Item = Arc<dyn Layer>>) -> Layers {
    layers.into_iter().collect()
}

macro_rules! layers {
    ($($layer:expr),* $(,)?) => { stack([$(Arc::new($layer) as Arc<dyn Layer>),*]) };
}

fn cases() -> Vec<(&'static str, Layers)> {
    let act = Activation::Tanh;
    let nn = || Mlp { activation: act, ..Mlp::new([8, 8]) };
    let gat = GatConv { heads: 2, edge_features: true, dropout: 0.3, ..GatConv::new(4) };
    let gat2 = Gatv2Conv { heads: 2, edge_features: true, dropout: 0.3, ..Gatv2Conv::new(4) };
    let transformer =
        TransformerConv { heads: 2, edge_features: true, dropout: 0.3, beta: true, ..TransformerConv::new(4) };
    let plain_gat = GatConv { heads: 2, add_self_loops: false, ..GatConv::new(4) };
    let residual = || Residual::new(vec![Arc::new(GcnConv::new(8)) as Arc<dyn Layer>, Arc::new(act)]);
    let blocks =
        || -> Vec<Layers> { vec![layers![Linear::new(8)], layers![GcnConv::new(8), act], layers![SageConv::new(8)]] };
    let sage = |reduction| SageConv::new(8).with_aggregation(reduction);
    vec![
        ("mean", layers![SageConv::new(8), act, SageConv::new(8)]),
        ("max", layers![sage(Reduction::Max), act, sage(Reduction::Max).normalized()]),
        ("min", layers![SageConv { project: true, ..sage(Reduction::Min) }, act, sage(Reduction::Min)]),
        ("sum", layers![sage(Reduction::Sum), act, SageConv { root_weight: false, ..sage(Reduction::Sum) }]),
        ("three", layers![SageConv::new(8), act, SageConv::new(8), act, SageConv::new(8)]),
        ("gcn", layers![Dropout(0.3), GcnConv::new(8), Activation::Relu, Dropout(0.3), GcnConv::new(8)]),
        ("graph", layers![GraphConv::new(8), act, GraphConv::new(8).with_aggregation(Reduction::Mean)]),
        ("gin", layers![GinConv::new(nn()).train_epsilon(), act, GinConv::new(nn()).train_epsilon()]),
        ("gin norm", layers![GinConv::new(Mlp { batch_norm: true, ..nn() }), act, GinConv::new(nn())]),
        ("gine", layers![GineConv::new(nn()).train_epsilon(), act, GineConv::new(nn())]),
        ("gat", layers![gat.clone(), act, gat]),
        ("plain gat", layers![plain_gat.clone(), act, plain_gat]),
        ("gatv2", layers![gat2.clone(), act, gat2]),
        ("transformer", layers![transformer.clone(), act, transformer]),
        ("batch norm", layers![SageConv::new(8), BatchNorm::new(), act, SageConv::new(8)]),
        ("last batch norm", layers![SageConv::new(8), act, SageConv::new(8), BatchNorm::new()]),
        ("layer norm", layers![SageConv::new(8), LayerNorm::new(), act, Dropout(0.5), SageConv::new(8)]),
        ("graph norm", layers![SageConv::new(8), GraphNorm::new(), act, SageConv::new(8)]),
        ("residual", layers![Linear::new(8), residual(), residual(), SageConv::new(8)]),
        ("jumping", layers![JumpingKnowledge::new(JumpingMode::Concatenate, blocks()), SageConv::new(8)]),
        ("jumping max", layers![JumpingKnowledge::new(JumpingMode::Max, blocks()), SageConv::new(8)]),
        ("nn", layers![Linear::new(4), NnConv::new(4, Mlp::new([8, 16])), act, NnConv::new(4, Mlp::new([16]))]),
        ("pna", layers![PnaConv { edge_features: true, ..PnaConv::new(8) }, act, PnaConv::new(8)]),
        ("edge", layers![EdgeConv::new(nn()), act, EdgeConv::new(nn()).with_aggregation(Reduction::Mean)]),
        ("gates", layers![Linear::new(8), ResGatedGraphConv::new(8), act, GatedGraphConv::new(8, 2)]),
        ("blocks", layers![Linear::new(8), GraphNetBlock::new([8]), GraphNetBlock::new([8])]),
        ("sg", layers![SgConv::new(8, 1), act, SgConv::new(8, 2)]),
        ("appnp", layers![Linear::new(8), act, Appnp { dropout: 0.2, ..Appnp::new(2, 0.1) }]),
        ("gcnii", layers![Linear::new(8), Gcnii { dropout: 0.2, ..Gcnii::new(2) }]),
        ("means", layers![MeanConv::new(8), act, MeanConv::new(8)]),
    ]
}

fn build(side: &mut Side, layers: &Layers) -> Entity {
    let model = ModelBuilder::new(side.graph).input(side.features).edge_input(side.lengths).seed(4);
    let model = layers.iter().fold(model, |model, layer| model.layer(layer.clone()));
    let standstill = Optimizer::Sgd { learning_rate: 0.0, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    model.layer(Linear::new(CLASSES as usize)).optimizer(standstill).build(&mut side.world).unwrap()
}

struct Sample {
    corpus: Side,
    nodes: Vec<Entity>,
    fan_outs: Vec<usize>,
}

impl Sample {
    fn new(fan_outs: &[usize]) -> Self {
        let (corpus, nodes) = Side::corpus();
        Self { corpus, nodes, fan_outs: fan_outs.to_vec() }
    }

    /// A training world with a model and the sample of this number, whose columns were full of NaN before.
    fn load(&mut self, layers: &Layers, workers: usize, number: u64) -> (Side, Entity) {
        let mut side = Side::new();
        side.world.insert_resource(Workers::new(workers).unwrap());
        let model = build(&mut side, layers);
        let extract = self.corpus.extract_into(&side);
        let first = number as usize * SEEDS;
        let mut batch = Batch::default();
        let seeds = &self.nodes[first..first + SEEDS];
        extract.sample_neighbors(&self.corpus.world, seeds, &self.fan_outs, 1, number, &mut batch).unwrap();
        batch.load(&mut side.world, side.graph).unwrap();
        for field in [side.features, side.lengths] {
            field.matrix_mut(&mut side.world).rows_mut().for_each(|row| row.fill(f32::NAN));
        }
        side.set_seeds(None);
        run(&mut side.world, Infer(model)).unwrap();
        run(&mut side.world, Train(model)).unwrap_err();
        batch.load(&mut side.world, side.graph).unwrap();
        (side, model)
    }
}

/// The hops of the sample around the seeds are told apart, so that the test does not compare all rows with all rows.
fn assert_has_hops(side: &Side, count: usize) {
    let topology = side.world.get::<Topology>(side.graph).unwrap();
    assert_eq!(topology.hops.len(), count);
    let rows: Vec<usize> = (0..count).map(|hops| topology.rows_within(hops).unwrap()[0]).collect();
    assert!(rows[0] == SEEDS && rows.is_sorted() && rows[count - 1] < topology.nodes.len(), "{rows:?}");
}

#[test]
fn gradients_of_a_sample_are_those_of_all_its_rows() {
    for (name, layers) in cases() {
        let mut sample = Sample::new(if name == "three" { &[4, 4, 3] } else { &[5, 4] });
        let (mut side, model) = sample.load(&layers, 1, 0);
        run(&mut side.world, Train(model)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_has_hops(&side, sample.fan_outs.len());
        assert_eq!(side.computed(model), SEEDS, "{name}");
        let (found, loss) = (side.gradients(model), side.world.get::<Metrics>(model).unwrap().of(Split::Train).loss());

        let (mut whole, model) = sample.load(&layers, 1, 0);
        whole.set_seeds(None);
        run(&mut whole.world, Train(model)).unwrap();
        assert!(whole.computed(model) > 2 * SEEDS, "{name}");
        let expected_loss = whole.world.get::<Metrics>(model).unwrap().of(Split::Train).loss();
        assert_eq!(loss.to_bits(), expected_loss.to_bits(), "{name}");
        for ((parameter, found), (_, expected)) in found.iter().zip(&whole.gradients(model)) {
            let largest = expected.iter().fold(1e-3f32, |largest, value| largest.max(value.abs()));
            let errors: Vec<f32> =
                found.iter().zip(expected).map(|(found, expected)| (found - expected).abs() / largest).collect();
            assert!(errors.iter().all(|error| *error <= 2e-6), "{name}, {parameter}: {errors:?}");
            assert!(expected.iter().any(|value| *value != 0.0), "{name}, {parameter} has no gradient");
        }
    }
}

/// The bits of the gradients of a step, and of its output.
fn bits(side: &mut Side, model: Entity) -> Vec<u32> {
    run(&mut side.world, Train(model)).unwrap();
    let gradients = side.gradients(model).into_iter().flat_map(|(_, gradient)| gradient);
    gradients.chain(side.outputs(model).into_iter().flatten()).map(f32::to_bits).collect()
}

#[test]
fn any_number_of_workers_gives_the_same_bits() {
    for (name, layers) in cases() {
        let mut sample = Sample::new(&[5, 4]);
        let mut expected: Option<Vec<u32>> = None;
        for workers in [1, 2, 3, 8] {
            let (mut side, model) = sample.load(&layers, workers, 1);
            let found = bits(&mut side, model);
            let expected = expected.get_or_insert_with(|| found.clone());
            assert!(found == *expected, "{name} with {workers} workers");
        }
    }
}

/// The gradients, unlimited, of a sample that was changed after it was loaded, which are to be those of a step.
fn assert_follows(change: impl Fn(&mut Side), is_limited: bool) {
    let mut sample = Sample::new(&[5, 4]);
    let layers = layers![SageConv::new(8), Activation::Tanh, GcnConv::new(8)];
    let (mut side, model) = sample.load(&layers, 1, 2);
    change(&mut side);
    let found = bits(&mut side, model);
    let computed = side.computed(model);
    let (mut whole, whole_model) = sample.load(&layers, 1, 2);
    change(&mut whole);
    whole.set_seeds(None);
    let expected = bits(&mut whole, whole_model);
    if !is_limited {
        assert!(computed > SEEDS && found == expected, "{computed} rows");
        return;
    }
    assert_eq!(computed, SEEDS);
    for ((name, found), (_, expected)) in side.gradients(model).iter().zip(&whole.gradients(whole_model)) {
        let near = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-5);
        assert!(near, "{name}: {found:?} and not {expected:?}");
    }
}

fn last_node(side: &Side) -> Entity {
    side.world.get::<Topology>(side.graph).unwrap().nodes.entities()[side.features.matrix(&side.world).row_count() - 1]
}

#[test]
fn a_sample_with_other_training_nodes_has_all_rows() {
    assert_follows(
        |side| {
            let last = last_node(side);
            side.splits.set(&mut side.world, last, &[Split::Train]).unwrap();
        },
        false,
    );
}

#[test]
fn a_sample_with_a_dangling_edge_has_all_rows() {
    assert_follows(
        |side| {
            let (target, source) = (last_node(side), side.world.spawn_empty().id());
            side.world.spawn((Edge { source, target }, EdgeWeight(1.0)));
        },
        false,
    );
}

#[test]
fn a_sample_whose_seed_hears_of_a_far_node_reaches_it() {
    assert_follows(
        |side| {
            let source = last_node(side);
            let edge = side.world.get::<Topology>(side.graph).unwrap().edges.entities()[0];
            side.world.get_mut::<Edge>(edge).unwrap().source = source;
        },
        true,
    );
}

#[test]
fn evaluation_after_a_limited_step_has_all_rows() {
    let mut sample = Sample::new(&[5, 4]);
    // The aggregated input is computed when it changes, for both.
    let layers = layers![SageConv::new(8), Activation::Tanh, SageConv::new(8)];
    let (mut side, model) = sample.load(&layers, 1, 3);
    run(&mut side.world, Train(model)).unwrap();
    assert_eq!(side.computed(model), SEEDS);
    run(&mut side.world, Evaluate(model)).unwrap();
    let found = side.outputs(model);
    let (mut fresh, model) = sample.load(&layers, 1, 3);
    run(&mut fresh.world, Evaluate(model)).unwrap();
    assert!(found == fresh.outputs(model));
}

#[test]
fn a_model_for_samples_sums_before_it_multiplies() {
    let layers = layers![SageConv::new(3), GcnConv::new(2), GinConv::new(Mlp::new([2])), GraphConv::new(1)];
    let build = |side: &mut Side, is_for_samples: bool| {
        let model = ModelBuilder::new(side.graph).input(side.features).seed(4);
        let model = layers.iter().fold(model, |model, layer| model.layer(layer.clone()));
        let model = if is_for_samples { model.for_samples() } else { model };
        let program = model.record().unwrap();
        let of_layers: Vec<&str> = program.operations().iter().map(|operation| operation.operator.name()).collect();
        let first = ["aggregate", "linear"].map(|name| of_layers.iter().position(|other| *other == name).unwrap());
        assert_eq!(first[0] < first[1], is_for_samples, "{of_layers:?}");
        model.build(&mut side.world).unwrap()
    };
    let mut sample = Sample::new(&[5, 4]);
    let (mut side, _) = sample.load(&layers, 1, 0);
    let [one, other] = [false, true].map(|is_for_samples| {
        let model = build(&mut side, is_for_samples);
        run(&mut side.world, Infer(model)).unwrap();
        side.outputs(model).concat()
    });
    let largest = one.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    let error = one.iter().zip(&other).map(|(one, other)| (one - other).abs()).fold(0f32, f32::max);
    assert!(error <= 1e-5 * largest && one != other, "{error} of {largest}");
}

#[test]
fn a_batch_that_is_no_sample_has_no_seeds() {
    let mut sample = Sample::new(&[5, 4]);
    let layers = layers![SageConv::new(8)];
    let (mut side, model) = sample.load(&layers, 1, 3);
    run(&mut side.world, Train(model)).unwrap();
    assert_eq!(side.computed(model), SEEDS);
    let extract = sample.corpus.extract_into(&side);
    let mut batch = Batch::default();
    extract.whole(&sample.corpus.world, &mut batch).unwrap();
    batch.load(&mut side.world, side.graph).unwrap();
    run(&mut side.world, Train(model)).unwrap();
    assert!(side.world.get::<Topology>(side.graph).unwrap().hops.is_empty());
    assert_eq!(side.computed(model), NODES as usize);
}
