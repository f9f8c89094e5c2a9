//! A model cannot tell a batch from the corpus it came from: what it computes for graphs of a union, or for seeds with
//! their whole neighborhood, is what it computes in the corpus. And it learns from batches that are extracted while it
//! trains, to the same bits each time.
//!
//! A failure prints the node and both outputs.

use bevy_ecs::prelude::*;
use connectome_components::{
    ClassLabel, Edge, EdgeWeight, Field, Graph, GraphNode, InSubgraph, Metrics, Model, Optimizer, Parameter, Split,
    Subgraph, attach_fields,
};
use connectome_systems::{
    Infer, ModelBuilder, Train,
    batch::{Batch, Extract},
    kernels::Activation,
    layers::{GcnConv, MeanConv},
    random::Philox,
    run,
};

/// A world with a graph of nodes that have two features and a class.
struct Side {
    world: World,
    graph: Entity,
    features: Field,
    labels: Field<ClassLabel>,
    splits: Field<Split>,
    /// The subgraphs of a corpus.
    subgraphs: Vec<Entity>,
}

impl Side {
    fn new() -> Self {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let nodes = world.register_component::<GraphNode>();
        let features = Field::register(&mut world, "features", nodes, 2).unwrap();
        let labels = Field::of_component(&mut world, nodes).unwrap();
        let splits = Field::of_component(&mut world, nodes).unwrap();
        Self { world, graph, features, labels, splits, subgraphs: Vec::new() }
    }

    /// Graphs of 3 to 9 nodes, in each of which every node hears of three others, and has the class of the louder
    /// features among them.
    fn corpus(graphs: usize) -> Self {
        let mut side = Self::new();
        let world = &mut side.world;
        let mut numbers = vec![0.0; 64 * graphs];
        Philox::new(1, 2, 3).fill_uniform(&mut numbers);
        for numbers in numbers.chunks_exact(64) {
            let subgraph = world.spawn(Subgraph).id();
            let size = 3 + (7.0 * numbers[0]) as usize;
            let nodes: Vec<Entity> =
                (0..size).map(|_| world.spawn((GraphNode, InSubgraph(subgraph), Split::Train)).id()).collect();
            for (number, node) in nodes.iter().enumerate() {
                for step in 1..=3 {
                    let (source, weight) = (nodes[(number + step * step) % size], numbers[20 + number]);
                    world.spawn((Edge { source, target: *node }, EdgeWeight(weight)));
                }
            }
            attach_fields(world, side.features.domain());
            let features = |number: usize| [numbers[30 + 2 * number], numbers[31 + 2 * number]];
            for (number, node) in nodes.iter().enumerate() {
                side.features.set(world, *node, &features(number)).unwrap();
                let heard = (1..=3).map(|step| features((number + step * step) % size));
                let difference: f32 = heard.map(|[first, second]| second - first).sum();
                side.labels.set(world, *node, &[ClassLabel(u32::from(difference > 0.0))]).unwrap();
            }
            side.subgraphs.push(subgraph);
        }
        side
    }

    /// What goes from here into a training world.
    fn extract_into(&mut self, training: &Side) -> Extract {
        let mut extract = Extract::new(&self.world, self.graph).unwrap();
        extract.copy(&self.world, self.features, training.features).unwrap();
        extract.copy(&self.world, self.labels, training.labels).unwrap();
        extract.copy(&self.world, self.splits, training.splits).unwrap();
        extract.update(&mut self.world);
        extract
    }

    fn infer(&mut self, model: Entity) -> Vec<Vec<f32>> {
        run(&mut self.world, Infer(model)).unwrap();
        let output = self.world.get::<Model>(model).unwrap().output;
        output.matrix(&self.world).rows().map(<[f32]>::to_vec).collect()
    }
}

fn convolutions(side: &mut Side) -> Entity {
    let model = ModelBuilder::new(side.graph).input(side.features).seed(4);
    let model = model.layer(GcnConv::new(8)).layer(Activation::Tanh).layer(GcnConv::new(3));
    model.build(&mut side.world).unwrap()
}

fn messages(side: &mut Side) -> Entity {
    let model = ModelBuilder::new(side.graph).input(side.features).seed(4);
    model.layer(MeanConv::new(8)).layer(MeanConv::new(3)).build(&mut side.world).unwrap()
}

/// The output of a model for the first nodes of a batch is that for the nodes they came from.
fn assert_same_outputs(
    corpus: &mut Side,
    training: &mut Side,
    build: fn(&mut Side) -> Entity,
    batch: &Batch,
    count: usize,
) {
    let models = [build(corpus), build(training)];
    let expected = corpus.infer(models[0]);
    batch.load(&mut training.world, training.graph).unwrap();
    let found = training.infer(models[1]);
    let rows = corpus.features.matrix(&corpus.world).row_count();
    let nodes: Vec<Entity> = corpus.world.query_filtered::<Entity, With<GraphNode>>().iter(&corpus.world).collect();
    assert_eq!((nodes.len(), found.len()), (rows, batch.nodes().len()));
    for (origin, found) in batch.nodes()[..count].iter().zip(&found) {
        let row = nodes.iter().position(|node| node == origin).unwrap();
        let near = found.iter().zip(&expected[row]).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{origin}: {found:?} and not {:?}", expected[row]);
    }
}

#[test]
fn graphs_of_a_union_give_what_they_give_in_the_corpus() {
    let (mut corpus, mut training) = (Side::corpus(12), Side::new());
    let extract = corpus.extract_into(&training);
    let asked = [7, 2, 3, 11].map(|place| corpus.subgraphs[place]);
    let mut batch = Batch::default();
    extract.subgraphs(&corpus.world, &asked, &mut batch).unwrap();
    let count = batch.nodes().len();
    assert_same_outputs(&mut corpus, &mut training, convolutions, &batch, count);
}

#[test]
fn seeds_with_all_their_neighbors_give_what_they_give_in_the_corpus() {
    let (mut corpus, mut training) = (Side::corpus(12), Side::new());
    let extract = corpus.extract_into(&training);
    let mut query = corpus.world.query_filtered::<Entity, With<GraphNode>>();
    let seeds: Vec<Entity> = query.iter(&corpus.world).step_by(7).collect();
    let mut batch = Batch::default();
    extract.sample_neighbors(&corpus.world, &seeds, &[usize::MAX; 2], 0, 0, &mut batch).unwrap();
    assert_same_outputs(&mut corpus, &mut training, messages, &batch, seeds.len());
}

/// Trains on batches of eight graphs, each extracted while the one before is in use. Returns the mean loss of each pass
/// over the corpus, and all weights.
fn train(graphs: usize, epochs: usize) -> (Vec<f64>, Vec<f32>) {
    let (mut corpus, mut training) = (Side::corpus(graphs), Side::new());
    let extract = corpus.extract_into(&training);
    let model = ModelBuilder::new(training.graph).input(training.features);
    let model = model.layer(MeanConv::new(16)).layer(MeanConv::new(2));
    let model = model.optimizer(Optimizer::adam(0.01)).build(&mut training.world).unwrap();
    let batches: Vec<&[Entity]> = (0..epochs).flat_map(|_| corpus.subgraphs.chunks(8)).collect();
    let [mut present, mut next] = [Batch::default(), Batch::default()];
    extract.subgraphs(&corpus.world, batches[0], &mut present).unwrap();
    let mut losses = Vec::new();
    for step in 0..batches.len() {
        present.load(&mut training.world, training.graph).unwrap();
        let following = batches.get(step + 1).copied().unwrap_or_default();
        let (trained, extracted) = rayon::join(
            || run(&mut training.world, Train(model)),
            || extract.subgraphs(&corpus.world, following, &mut next),
        );
        trained.unwrap();
        extracted.unwrap();
        losses.push(f64::from(training.world.get::<Metrics>(model).unwrap().of(Split::Train).loss()));
        core::mem::swap(&mut present, &mut next);
    }
    let per_epoch = graphs.div_ceil(8);
    let means = losses.chunks(per_epoch).map(|losses| losses.iter().sum::<f64>() / per_epoch as f64).collect();
    let parameters = training.world.get::<Model>(model).unwrap().parameters.clone();
    let weights = parameters.into_iter().flat_map(|entity| {
        let value = training.world.get::<Parameter>(entity).unwrap().value;
        value.get(&training.world, entity).unwrap().to_vec()
    });
    (means, weights.collect())
}

#[test]
fn a_model_learns_from_batches_to_the_same_bits() {
    let (losses, weights) = train(60, 40);
    let [first, last] = [losses[0], losses[losses.len() - 1]];
    assert!(last < 0.6 * first, "the loss fell from {first} to {last} only");
    assert_eq!((losses, weights), train(60, 40));
}
