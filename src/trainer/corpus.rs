//! Examples that rest in a world of their own and come to the training world batch by batch, as a renderer extracts frames.

use bevy_ecs::{entity::Entity, schedule::ScheduleLabel, world::World};

use super::TrainError;
use crate::components::{Field, Label, Metrics, Model, Signal, Split};
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

/// A set of graphs, and which of them are computed at once.
pub(super) struct Corpus {
    world: World,
    extract: Extract,
    /// The batch that is computed, and the one that is extracted meanwhile.
    batches: [Batch; 2],
    /// The graphs of each split.
    graphs: [Vec<Entity>; 4],
    /// Graphs in a batch.
    size: usize,
    /// Batches in an epoch, if it is not just one pass.
    steps: Option<u64>,
    seed: u64,
}

impl Corpus {
    /// Spawns the graphs of a set into a world of their own, and the model into `training`, where there are no graphs yet.
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
        extract.update(&mut world);

        let mut graphs = [const { Vec::new() }; 4];
        for subgraph in &source.subgraphs {
            let split = world.get::<Split>(*subgraph).copied().unwrap_or_default();
            graphs[split as usize].push(*subgraph);
        }
        let plan = &scene.training;
        let size = plan.batch.unwrap_or(source.subgraphs.len()).max(1);
        let batches = [Batch::default(), Batch::default()];
        let corpus = Self { world, extract, batches, graphs, size, steps: plan.steps, seed };
        let entities = SceneEntities { subgraphs: source.subgraphs, ..place.with_model(training, model) };
        Ok((corpus, entities))
    }

    /// The training graphs in the order in which an epoch goes through them, another one in each.
    pub fn training_order(&self, epoch: u64) -> Vec<Entity> {
        let graphs = &self.graphs[Split::Train as usize];
        let wanted = self.steps.map_or(graphs.len(), |steps| {
            usize::try_from(steps).unwrap_or(usize::MAX).saturating_mul(self.size.min(graphs.len()))
        });
        let mut draws = Draws::new(Random::new(self.seed, ORDER, epoch));
        let mut order = Vec::new();
        while order.len() < wanted && !graphs.is_empty() {
            let start = order.len();
            order.extend_from_slice(graphs);
            draws.shuffle(&mut order[start..]);
        }
        order.truncate(wanted);
        order
    }

    /// The graphs of some splits.
    pub fn of(&self, splits: &[Split]) -> Vec<Entity> {
        splits.iter().flat_map(|split| &self.graphs[*split as usize]).copied().collect()
    }

    /// Runs a schedule of the model on one batch of `order` after the other, and shows the training world each time. The next
    /// batch is extracted meanwhile.
    pub fn pass(
        &mut self,
        training: &mut World,
        graph: Entity,
        label: impl ScheduleLabel + Copy,
        order: &[Entity],
        mut show: impl FnMut(&World),
    ) -> Result<(), TrainError> {
        let workers = training.get_resource_or_init::<Workers>().clone();
        let Self { world, extract, batches: [present, next], size, .. } = self;
        let corpus: &World = world;
        let mut chunks = order.chunks(*size);
        let Some(first) = chunks.next() else { return Ok(()) };
        extract.subgraphs(corpus, first, present)?;
        loop {
            present.load(training, graph)?;
            let following = chunks.next();
            let (computed, extracted) = workers.join(
                || run(training, label),
                || following.map_or(Ok(()), |following| extract.subgraphs(corpus, following, next)),
            );
            computed?;
            show(training);
            extracted?;
            if following.is_none() {
                return Ok(());
            }
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
    let marks = [from.subgraph_marker.id(), to.subgraph_marker.id()];
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
