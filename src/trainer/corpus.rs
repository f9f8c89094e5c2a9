//! Examples that rest in a world of their own and come to the training world batch by batch, as a renderer extracts frames.

use bevy_ecs::{component::ComponentId, entity::Entity, schedule::ScheduleLabel, world::World};

use super::TrainError;
use crate::components::{Field, Label, Metrics, Model, Signal, Split, attach_fields};
use crate::scene::{GraphData, Scene};
use crate::spawn::{GraphEntities, SceneEntities, Shape, model, spawn_graph, without_rows};
use crate::systems::{
    Workers,
    batch::{Batch, BatchError, Extract},
    random::{Draws, Random},
    run,
};

/// What the random numbers here are for; the stages of a model count their purposes from 0.
const ORDER: u32 = 0x0BDE_0000;

/// A set of graphs, or one graph of which each batch takes some nodes with their neighbours.
pub(super) struct Corpus {
    world: World,
    extract: Extract,
    /// The batch that is computed, and the one that is extracted meanwhile.
    batches: [Batch; 2],
    /// How many neighbours are drawn, layer by layer; none where examples are graphs.
    fan_outs: Vec<usize>,
    /// Graphs or nodes, in the order of the scene.
    examples: Vec<Entity>,
    /// Those of each split.
    by_split: [Vec<Entity>; 4],
    /// Examples in a batch.
    size: usize,
    /// Batches in an epoch, if it is not just one pass.
    steps: Option<u64>,
    seed: u64,
}

impl Corpus {
    /// Spawns the graphs of a scene into a world of their own, and the model into `training`, where no node is yet.
    pub fn spawn(
        training: &mut World,
        scene: &Scene,
        data: &GraphData,
        seed: u64,
    ) -> Result<(Self, SceneEntities), TrainError> {
        let shape = Shape::of(scene, data);
        let place = spawn_graph(training, &scene.name, &without_rows(data), shape).map_err(BatchError::from)?;
        let model = model(scene, &place, seed).build(training)?;

        let mut world = World::new();
        let source = spawn_graph(&mut world, &scene.name, data, shape).map_err(BatchError::from)?;
        let mut extract = Extract::new(&world, source.graph)?;
        copy_fields(&mut extract, (&mut world, &source), (training, &place))?;
        for marker in [source.node_marker, source.subgraph_marker] {
            attach_fields(&mut world, marker.id());
        }
        extract.update(&mut world);

        let plan = &scene.training;
        let fan_outs = plan.neighbours.clone();
        let examples = if fan_outs.is_empty() { source.subgraphs } else { source.nodes };
        let mut by_split = [const { Vec::new() }; 4];
        for example in &examples {
            let split = world.get::<Split>(*example).copied().unwrap_or_default();
            by_split[split as usize].push(*example);
        }
        let size = plan.batch.unwrap_or(examples.len()).max(1);
        let batches = [Batch::default(), Batch::default()];
        let corpus = Self { world, extract, batches, fan_outs, examples, by_split, size, steps: plan.steps, seed };
        Ok((corpus, place.with_model(training, model)))
    }

    /// What is to be learned from in the order in which an epoch goes through it, another one in each.
    pub fn training_order(&self, epoch: u64) -> Vec<Entity> {
        let examples = &self.by_split[Split::Train as usize];
        let wanted = self.steps.map_or(examples.len(), |steps| {
            usize::try_from(steps).unwrap_or(usize::MAX).saturating_mul(self.size.min(examples.len()))
        });
        let mut draws = Draws::new(Random::new(self.seed, ORDER, epoch));
        let mut order = Vec::new();
        while order.len() < wanted && !examples.is_empty() {
            let start = order.len();
            order.extend_from_slice(examples);
            draws.shuffle(&mut order[start..]);
        }
        order.truncate(wanted);
        order
    }

    /// The examples of some splits.
    pub fn of(&self, splits: &[Split]) -> Vec<Entity> {
        splits.iter().flat_map(|split| &self.by_split[*split as usize]).copied().collect()
    }

    /// All examples, in the order of the scene.
    pub fn all(&self) -> &[Entity] {
        &self.examples
    }

    /// Runs a schedule of the model on one batch of `order` after the other, and shows the training world each time with the
    /// number of examples in the batch. The next batch is extracted meanwhile.
    ///
    /// Neighbours are drawn anew in each `epoch`; without one, all are taken.
    pub fn pass(
        &mut self,
        training: &mut World,
        graph: Entity,
        label: impl ScheduleLabel + Copy,
        order: &[Entity],
        epoch: Option<u64>,
        mut show: impl FnMut(&World, usize),
    ) -> Result<(), TrainError> {
        let workers = training.get_resource_or_init::<Workers>().clone();
        let all = vec![usize::MAX; self.fan_outs.len()];
        let Self { world, extract, batches: [present, next], fan_outs, size, seed, .. } = self;
        let (corpus, seed): (&World, u64) = (world, *seed);
        let fill = |number: usize, examples: &[Entity], batch: &mut Batch| match epoch {
            _ if fan_outs.is_empty() => extract.subgraphs(corpus, examples, batch),
            None => extract.neighbourhood(corpus, examples, &all, seed, 0, batch),
            Some(epoch) => extract.neighbourhood(corpus, examples, fan_outs, seed, epoch << 32 | number as u64, batch),
        };
        let mut chunks = order.chunks(*size).enumerate();
        let Some((number, mut examples)) = chunks.next() else { return Ok(()) };
        fill(number, examples, present)?;
        loop {
            present.load(training, graph)?;
            let following = chunks.next();
            let (computed, extracted) = workers.join(
                || run(training, label),
                || following.map_or(Ok(()), |(number, examples)| fill(number, examples, next)),
            );
            computed?;
            show(training, examples.len());
            extracted?;
            let Some((_, following)) = following else { return Ok(()) };
            examples = following;
            core::mem::swap(present, next);
        }
    }
}

/// Lets batches carry all that the graphs of a scene carry.
fn copy_fields(
    extract: &mut Extract,
    (corpus, from): (&mut World, &GraphEntities),
    (training, to): (&mut World, &GraphEntities),
) -> Result<(), BatchError> {
    if let (Signal::Sparse { columns: from, .. }, Signal::Sparse { columns: to, .. }) = (from.input, to.input) {
        extract.copy(corpus, from, to)?;
    }
    extract.copy(corpus, from.input.value(), to.input.value())?;
    if let (Some(from), Some(to)) = (from.edge_input, to.edge_input) {
        extract.copy(corpus, from, to)?;
    }
    // What is told of the nodes is carried along as well, for their neighbours are no examples.
    copy_targets(extract, (corpus, from.node_marker.id()), (training, to.node_marker.id()))?;
    copy_targets(extract, (corpus, from.subgraph_marker.id()), (training, to.subgraph_marker.id()))
}

/// Lets batches carry classes and splits.
fn copy_targets(
    extract: &mut Extract,
    (corpus, from): (&mut World, ComponentId),
    (training, to): (&mut World, ComponentId),
) -> Result<(), BatchError> {
    let marks = [from, to];
    let labels = [Field::<Label>::of_component(corpus, marks[0])?, Field::<Label>::of_component(training, marks[1])?];
    extract.copy(corpus, labels[0], labels[1])?;
    let splits = [Field::<Split>::of_component(corpus, marks[0])?, Field::<Split>::of_component(training, marks[1])?];
    extract.copy(corpus, splits[0], splits[1])
}

/// The metrics and the output of a model, as they are after a run.
pub(super) fn metrics_of(world: &World, model: Entity) -> Metrics {
    world.get::<Metrics>(model).copied().unwrap_or_default()
}

/// The rows of a model's output, and their width.
pub(super) fn output_of(world: &World, model: Entity) -> (Vec<f32>, usize) {
    let Some(output) = world.get::<Model>(model).map(|model| model.output) else { return (Vec::new(), 1) };
    (output.matrix(world).rows().flatten().copied().collect(), output.width())
}
