//! A corpus world of examples, from which batches are loaded into the training world.

use bevy_ecs::{
    component::ComponentId,
    entity::{Entity, EntityHashMap},
    schedule::ScheduleLabel,
    world::World,
};
use std::borrow::Cow;

use super::{TrainError, degrees::set_mean_degrees, order::Shuffled};
use crate::components::{ClassLabel, FeatureField, Field, Split};
use crate::data::GraphData;
use crate::scene::{SceneFile, model::Purpose};
use crate::spawn::{GraphEntities, SceneEntities, build_model};
use crate::systems::{
    LearningError, Workers,
    batch::{Batch, BatchError, Extract},
    layers::BuildError,
    run,
};

/// The examples of a pass.
#[derive(Clone, Copy)]
pub(super) enum Examples<'a> {
    /// The training examples, in the random order of this epoch.
    Epoch(u64),
    /// Those of its first batches.
    Batches { epoch: u64, count: usize },
    /// Those of some splits.
    Of(&'a [Split]),
    /// All, in the order of the scene.
    All,
}

/// A batch of a pass.
#[derive(Clone, Copy)]
pub(super) struct Step {
    /// Number of examples.
    pub examples: usize,
    /// Whether they are nodes, whose neighbors are in the batch as well.
    pub is_sampled: bool,
    /// Whether it is the last one of the pass.
    pub is_last: bool,
}

impl Step {
    /// How many rows of nodes count: of a sample the examples, which come first; the others are their neighbors.
    pub fn counted(self) -> usize {
        if self.is_sampled { self.examples } else { usize::MAX }
    }
}

/// A set of graphs, or one graph of which each batch takes some nodes with their neighbors.
pub(super) struct Corpus {
    world: World,
    /// The graph of the training world.
    place: GraphEntities,
    extract: Extract,
    /// The present batch, and the next one, which is extracted meanwhile.
    batches: [Batch; 2],
    /// Numbers of sampled neighbors, layer by layer; empty if examples are graphs.
    fan_outs: Vec<usize>,
    /// Graphs or nodes, in the order of the scene.
    examples: Vec<Entity>,
    /// The nodes of a set of graphs and, if something of them is predicted, its edges, in the order of the scene.
    nodes: Vec<Entity>,
    edges: Vec<Entity>,
    /// Those of each split.
    by_split: [Vec<Entity>; 4],
    /// Examples in a batch.
    size: usize,
    /// Batches in an epoch, if it is not one pass.
    steps: Option<u64>,
    seed: u64,
    /// Buffers for the order of the training examples, and for the examples of one batch.
    order: Vec<Entity>,
    asked: Vec<Entity>,
}

impl Corpus {
    /// Spawns the graphs of a scene into a corpus world, and the model into `training`, which has no nodes yet.
    pub fn spawn(
        training: &mut World,
        scene: &SceneFile,
        data: Cow<GraphData>,
        purpose: Purpose,
        seed: u64,
    ) -> Result<(Self, SceneEntities), TrainError> {
        let place = GraphEntities::declare(training, scene, &data).map_err(BatchError::from)?;
        let model = build_model(training, scene, &place, None, purpose, seed)?;
        set_mean_degrees(training, model, &data);

        let corpus = Self::of_graphs(training, &place, scene, data, seed)?;
        Ok((corpus, place.with_model(model)))
    }

    /// Takes other graphs of the same kind in place of all.
    pub fn replace(&mut self, training: &mut World, scene: &SceneFile, data: GraphData) -> Result<(), TrainError> {
        let place = self.place.clone();
        // Both would not be needed at once.
        self.world = World::new();
        *self = Self::of_graphs(training, &place, scene, Cow::Owned(data), self.seed)?;
        Ok(())
    }

    fn of_graphs(
        training: &mut World,
        place: &GraphEntities,
        scene: &SceneFile,
        data: Cow<GraphData>,
        seed: u64,
    ) -> Result<Self, TrainError> {
        let mut world = World::new();
        let mut source = GraphEntities::declare(&mut world, scene, &data).map_err(BatchError::from)?;
        let mut extract = Extract::new(&world, source.graph)?.leave_values();
        copy_fields(&mut extract, (&mut world, &source), (training, place))?;
        source.fill(&mut world, data).map_err(BatchError::from)?;
        extract.update(&mut world);

        let plan = &scene.training;
        let fan_outs = plan.fan_outs.clone();
        let (nodes, edges) = (source.nodes, source.edges);
        let (nodes, examples) = if fan_outs.is_empty() { (nodes, source.subgraphs) } else { (Vec::new(), nodes) };
        let mut by_split = [const { Vec::new() }; 4];
        for example in &examples {
            let split = world.get::<Split>(*example).copied().unwrap_or_default();
            by_split[split as usize].push(*example);
        }
        let size = plan.batch_size.unwrap_or(examples.len()).max(1);
        Ok(Self {
            world,
            place: place.clone(),
            extract,
            batches: [Batch::default(), Batch::default()],
            fan_outs,
            // Allocated here, so that the memory of training does not depend on the size of the corpus.
            order: Vec::with_capacity(by_split[Split::Train as usize].len()),
            asked: Vec::new(),
            examples,
            nodes,
            edges,
            by_split,
            size,
            steps: plan.steps_per_epoch,
            seed,
        })
    }

    /// Runs a schedule of the model on one batch of examples after the other: `prepare` gets the training world before
    /// each run, `show` after it, with the batch. The next batch is extracted meanwhile.
    ///
    /// Neighbors are sampled anew in each epoch; evaluation takes all. A batch without anything to learn from, as where all its
    /// rows are of classes of weight 0, changes nothing.
    pub fn pass(
        &mut self,
        training: &mut World,
        graph: Entity,
        label: impl ScheduleLabel + Copy,
        examples: Examples,
        mut prepare: impl FnMut(&mut World, Step),
        mut show: impl FnMut(&World, &Batch, Step),
    ) -> Result<(), TrainError> {
        let workers = training.get_resource_or_init::<Workers>().clone();
        let all_neighbors = vec![usize::MAX; self.fan_outs.len()];
        let size = self.batch_size(&examples);
        let Self { world, extract, batches: [present, next], order, asked, fan_outs, examples: all, by_split, .. } =
            self;
        let (corpus, steps, seed): (&World, _, _) = (world, self.steps, self.seed);
        let (epoch, most) = match examples {
            Examples::Epoch(epoch) => (Some(epoch), usize::MAX),
            Examples::Batches { epoch, count } => (Some(epoch), count.saturating_mul(size)),
            Examples::Of(_) | Examples::All => (None, usize::MAX),
        };
        let learned = &by_split[Split::Train as usize];
        let mut examples: Box<dyn Iterator<Item = Entity>> = match examples {
            Examples::Epoch(epoch) | Examples::Batches { epoch, .. } => {
                // A node has one row in a batch; a graph may have several.
                let distinct_in = (!fan_outs.is_empty()).then_some(size);
                let wanted = steps
                    .map_or(learned.len(), |steps| usize::try_from(steps).unwrap_or(usize::MAX).saturating_mul(size));
                Box::new(Shuffled::new(learned, order, (seed, epoch), distinct_in).take(wanted.min(most)))
            }
            Examples::Of(splits) => Box::new(splits.iter().flat_map(|split| &by_split[*split as usize]).copied()),
            Examples::All => Box::new(all.iter().copied()),
        };
        // Returns their number.
        let mut ask = |asked: &mut Vec<Entity>| {
            asked.clear();
            asked.extend(examples.by_ref().take(size));
            asked.len()
        };
        let fill = |number: u64, examples: &[Entity], batch: &mut Batch| match epoch {
            _ if fan_outs.is_empty() => extract.subgraphs(corpus, examples, batch),
            None => extract.sample_neighbors(corpus, examples, &all_neighbors, seed, 0, batch),
            Some(epoch) => extract.sample_neighbors(corpus, examples, fan_outs, seed, epoch << 32 | number, batch),
        };
        let mut count = ask(asked);
        if count == 0 {
            return Ok(());
        }
        fill(0, asked, present)?;
        for number in 1.. {
            let following = ask(asked);
            let step = Step { examples: count, is_sampled: !fan_outs.is_empty(), is_last: following == 0 };
            extract.load(corpus, present, training, graph)?;
            prepare(training, step);
            let (computed, extracted) =
                workers.join(|| run(training, label), || if step.is_last { Ok(()) } else { fill(number, asked, next) });
            match computed {
                Err(BuildError::Learning(LearningError::NoRows { .. })) if epoch.is_some() => {}
                computed => computed?,
            }
            show(training, present, step);
            // The world records despawned entities until this call: without it memory would grow whenever a batch is
            // smaller than the one before.
            training.clear_trackers();
            extracted?;
            if step.is_last {
                break;
            }
            count = following;
            core::mem::swap(present, next);
        }
        Ok(())
    }

    /// The numbers of the nodes, or else the edges, of a set of graphs in the scene.
    pub fn numbers(&self, of_edges: bool) -> EntityHashMap<u32> {
        let entities = if of_edges { &self.edges } else { &self.nodes };
        entities.iter().copied().zip(0..).collect()
    }

    /// Optimizer steps in an epoch, if `accumulation` batches make one; the last one may have fewer.
    pub fn steps_per_epoch(&self, accumulation: usize) -> u64 {
        let batches = self.steps.unwrap_or_else(|| {
            let learned = self.by_split[Split::Train as usize].len();
            learned.div_ceil(self.batch_size(&Examples::Epoch(0))) as u64
        });
        batches.div_ceil(accumulation.max(1) as u64)
    }

    /// Loads the first batch of the first epoch into the training world.
    pub fn load_first(&mut self, training: &mut World, graph: Entity) -> Result<(), TrainError> {
        let size = self.batch_size(&Examples::Epoch(0));
        let Self { world, extract, batches: [batch, _], order, asked, fan_outs, by_split, seed, .. } = self;
        let distinct_in = (!fan_outs.is_empty()).then_some(size);
        asked.clear();
        asked.extend(Shuffled::new(&by_split[Split::Train as usize], order, (*seed, 0), distinct_in).take(size));
        match fan_outs.is_empty() {
            true => extract.subgraphs(world, asked, batch)?,
            false => extract.sample_neighbors(world, asked, fan_outs, *seed, 0, batch)?,
        }
        extract.load(world, batch, training, graph)?;
        training.clear_trackers();
        Ok(())
    }

    /// Examples in a batch; in an epoch no more than there are training examples.
    fn batch_size(&self, examples: &Examples) -> usize {
        match examples {
            Examples::Epoch(_) | Examples::Batches { .. } => {
                self.size.min(self.by_split[Split::Train as usize].len()).max(1)
            }
            Examples::Of(_) | Examples::All => self.size,
        }
    }
}

/// Copies all fields of a scene's graphs into batches.
fn copy_fields(
    extract: &mut Extract,
    (corpus, from): (&mut World, &GraphEntities),
    (training, to): (&mut World, &GraphEntities),
) -> Result<(), BatchError> {
    if let (FeatureField::Sparse { indices: from, .. }, FeatureField::Sparse { indices: to, .. }) =
        (from.input, to.input)
    {
        extract.copy(corpus, from, to)?;
    }
    extract.copy(corpus, from.input.values(), to.input.values())?;
    if let (Some(from), Some(to)) = (from.edge_input, to.edge_input) {
        extract.copy(corpus, from, to)?;
    }
    for (from, to) in from.targets.into_iter().flatten().zip(to.targets.into_iter().flatten()) {
        extract.copy(corpus, from, to)?;
    }
    // Targets of nodes are copied as well, for sampled neighbors are not examples.
    copy_targets(extract, (corpus, from.node_marker.id()), (training, to.node_marker.id()))?;
    if from.labeled_edges {
        copy_targets(extract, (corpus, from.edge_marker.id()), (training, to.edge_marker.id()))?;
    }
    copy_targets(extract, (corpus, from.subgraph_marker.id()), (training, to.subgraph_marker.id()))
}

/// Copies classes and splits into batches.
fn copy_targets(
    extract: &mut Extract,
    (corpus, from): (&mut World, ComponentId),
    (training, to): (&mut World, ComponentId),
) -> Result<(), BatchError> {
    let marks = [from, to];
    let labels =
        [Field::<ClassLabel>::of_component(corpus, marks[0])?, Field::<ClassLabel>::of_component(training, marks[1])?];
    extract.copy(corpus, labels[0], labels[1])?;
    let splits = [Field::<Split>::of_component(corpus, marks[0])?, Field::<Split>::of_component(training, marks[1])?];
    extract.copy(corpus, splits[0], splits[1])
}
