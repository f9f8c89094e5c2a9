//! From the layers of a scene to a model.

use bevy_ecs::{change_detection::Tick, entity::Entity, world::World};
use connectome_components::FeatureField;
use connectome_systems::{
    DryRun, MixtureBuilder, MixturePart, ModelBuilder,
    layers::BuildError,
    program::{Domain, MAX_COLUMNS, MAX_OPERATIONS, MAX_PARAMETERS, ProgramLimits, RowCounts, Shape},
};

use super::description::SceneFile;
use super::heads::HeadFields;
use super::kinds::KindInputs;
use super::layer::LayerDescription;
use crate::data::{Features, GraphData, RowKind, memory::available};

/// Bytes that an operation takes while it is planned, at most: as measured it is some 2,300.
const PLANNED: usize = 4096;

/// Bytes that each pair of parameters takes, as measured; see [`table_bytes`].
const PARAMETER_PAIR: usize = 40;

/// Bytes that each pair of columns takes at most, as measured with 5,000 of them and more: the components that systems
/// access are bits of a set for each system.
const COLUMN_PAIR: usize = 2;

/// What a model is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It learns, and tells as well.
    Training,
    /// Inference only: without gradients and moments it takes less memory.
    Inference,
}

/// What a scene's model is once it is built.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// The output of each head.
    pub outputs: Vec<Output>,
    /// What it takes.
    pub size: ModelSize,
}

/// An output of a model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Output {
    /// What its rows are, and how many.
    pub rows: RowKind,
    pub count: usize,
    /// How wide it is.
    pub width: usize,
}

/// What a model has in its world.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ModelSize {
    /// Its columns, of those of each kind of rows.
    pub nodes: Columns,
    pub edges: Columns,
    pub graphs: Columns,
    /// Values of parameters, learned or not.
    pub values: usize,
    /// Values, gradients, moments and what else is kept of them, together.
    pub numbers: usize,
    /// Numbers that sums over rows are made in.
    pub scratch: usize,
    /// Bytes of its operations.
    pub programs: usize,
    /// Bytes of its columns that no row has come to, and that take memory all the same; see [`idle_bytes`].
    pub idle: usize,
    /// How many normalizations it asks of the topology.
    pub normalizations: usize,
    /// In how many directions it passes through levels.
    pub directions: usize,
    /// Bytes of its columns on nodes of other kinds and on edges of relations.
    pub beside: usize,
}

impl Plan {
    /// The same together with what another one takes, which computes before it.
    pub(super) fn after(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        Self { size: self.size.plus(&other.size), ..self }
    }
}

impl ModelSize {
    fn plus(&self, other: &Self) -> Self {
        let Self { nodes, edges, graphs, values, numbers, scratch, programs, idle, normalizations, directions, beside } =
            *self;
        Self {
            nodes: nodes.plus(other.nodes),
            edges: edges.plus(other.edges),
            graphs: graphs.plus(other.graphs),
            values: values.saturating_add(other.values),
            numbers: numbers.saturating_add(other.numbers),
            scratch: scratch.saturating_add(other.scratch),
            programs: programs.saturating_add(other.programs),
            idle: idle.saturating_add(other.idle),
            normalizations: normalizations + other.normalizations,
            directions: directions.max(other.directions),
            beside: beside.saturating_add(other.beside),
        }
    }
}

/// Some columns of `f32`s.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Columns {
    pub count: usize,
    /// Numbers in a row of all of them.
    pub width: usize,
    /// Numbers in a row of the widest of those that are copied when their table grows.
    pub copied: usize,
}

impl Columns {
    fn plus(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            width: self.width.saturating_add(other.width),
            copied: self.copied.max(other.copied),
        }
    }

    pub(super) fn add(&mut self, width: usize) {
        self.count += 1;
        self.width = self.width.saturating_add(width);
        // The allocator moves others page by page: those that are aligned to no more than it aligns anyway.
        if width.is_multiple_of(8) {
            self.copied = self.copied.max(width);
        }
    }
}

/// Bytes of a column that no row has come to, and that take memory all the same.
///
/// A column grows by doubling, and the allocator puts about every second one where two smaller ones were, so all of it has
/// been written before: two fifths of what is left over, as measured. Larger columns are fresh pages of the machine.
pub(super) fn idle_bytes(rows: usize, width: usize) -> usize {
    /// Above it the allocator asks the machine.
    const LARGEST: usize = 1 << 25;
    let row = width.saturating_mul(size_of::<f32>());
    let capacity = rows.checked_next_power_of_two().unwrap_or(rows);
    if capacity.saturating_mul(row) >= LARGEST { 0 } else { (capacity - rows).saturating_mul(row) / 5 * 2 }
}

/// The model of a scene, or the mixture that it is.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a scene has one, which is moved a few times")]
pub enum SceneModel {
    /// One model.
    Single(ModelBuilder),
    /// A mixture of experts.
    Mixture(MixtureBuilder),
}

/// The parts of a model that was planned without a world, in the order in which they compute.
pub(super) type Parts = Vec<(MixturePart, DryRun)>;

impl SceneModel {
    /// Builds the model, or the mixture, in a world; returns its entity.
    ///
    /// # Errors
    /// Those of [`ModelBuilder::build`] and [`MixtureBuilder::build`].
    pub fn build(self, world: &mut World) -> Result<Entity, BuildError> {
        match self {
            Self::Single(model) => model.build(world),
            Self::Mixture(mixture) => mixture.build(world),
        }
    }

    /// Plans it without a world; an error comes with the part that is refused.
    pub(super) fn dry_run(&self) -> Result<Parts, (MixturePart, BuildError)> {
        let whole = MixturePart::Model;
        match self {
            Self::Single(model) => Ok(vec![(whole, model.dry_run().map_err(|error| (whole, error))?)]),
            Self::Mixture(mixture) => mixture.dry_run(),
        }
    }
}

impl SceneFile {
    /// The scene's model over the nodes of `graph`, which reads `input`, and learns as the scene says from `seed`.
    pub fn model(&self, graph: Entity, input: FeatureField, seed: u64) -> SceneModel {
        let reads = |model: ModelBuilder| model.input(input);
        self.with_layers(Purpose::Training, graph, reads, seed, &HeadFields::default())
    }

    /// The layers and heads of the scene on a graph, and how they learn if that is the purpose; `connect` says what the model
    /// reads.
    pub(crate) fn with_layers(
        &self,
        purpose: Purpose,
        graph: Entity,
        connect: impl FnOnce(ModelBuilder) -> ModelBuilder,
        seed: u64,
        fields: &HeadFields,
    ) -> SceneModel {
        let part = |layers: &[LayerDescription]| self.with_part(purpose, ModelBuilder::new(graph), layers);
        let model = self.with_heads(part(&self.model).name(&self.name).seed(seed), purpose, fields);
        match &self.mixture {
            None => SceneModel::Single(connect(model)),
            Some(mixture) => SceneModel::Mixture(mixture.builder(connect(model), part, seed)),
        }
    }

    /// Gives a model layers, and makes it learn if that is the purpose.
    pub(super) fn with_part(&self, purpose: Purpose, model: ModelBuilder, layers: &[LayerDescription]) -> ModelBuilder {
        let model = layers.iter().fold(model, |model, layer| model.layer(layer.clone()));
        let model = if self.training.fan_outs.is_empty() { model } else { model.for_samples() };
        if purpose == Purpose::Training { self.learning(model) } else { model }
    }

    /// A model that learns as the scene says.
    fn learning(&self, mut builder: ModelBuilder) -> ModelBuilder {
        let training = &self.training;
        builder = builder.optimizer(self.optimizer).learning_rate_schedule(training.schedule.in_steps(1));
        if training.accumulation_steps > 1 {
            builder = builder.accumulate_gradients(u32::try_from(training.accumulation_steps).unwrap_or(u32::MAX));
        }
        if let Some(norm) = training.clip_norm {
            builder = builder.clip_norm(norm);
        }
        builder
    }

    /// What the model reads of these data: sparse features where rows store few numbers and the model can read them so.
    pub(crate) fn inputs(&self, data: &GraphData) -> (Input, KindInputs) {
        let dense = |data: &GraphData| Input {
            width: data.features.width(),
            stored: None,
            edges: data.edge_features.as_ref().map(|rows| rows.width),
        };
        let relations = data.kinds.iter().flat_map(|kinds| &kinds.relations);
        let mut kinds = KindInputs {
            kinds: data.all_kinds().skip(1).map(dense).collect(),
            relations: relations.map(|relation| relation.features.as_ref().map(|rows| rows.width)).collect(),
        };
        let mut own = dense(data);
        for (place, kind) in data.all_kinds().enumerate() {
            let Some(longest) = longest_row(&kind.features) else { continue };
            let (mut sparse, mut others) = (own, kinds.clone());
            let input = place.checked_sub(1).and_then(|other| others.kinds.get_mut(other)).unwrap_or(&mut sparse);
            input.stored = Some(longest);
            let is_refused = match self.unbuilt(&sparse, &others, available()) {
                SceneModel::Single(model) => matches!(model.record(), Err(BuildError::Sparse { .. })),
                SceneModel::Mixture(mixture) => matches!(mixture.dry_run(), Err((_, BuildError::Sparse { .. }))),
            };
            if !is_refused {
                (own, kinds) = (sparse, others);
            }
        }
        (own, kinds)
    }

    /// The model that learns, without a world; a layer is refused with which it takes more than so many bytes in any
    /// case.
    pub(super) fn unbuilt(&self, input: &Input, kinds: &KindInputs, available: usize) -> SceneModel {
        let reads = |builder: ModelBuilder| {
            let builder = self.with_unbuilt_kinds(builder.limits(limits(available)), kinds);
            let builder = match input.stored {
                Some(stored) => builder.sparse_input_width(input.width, stored),
                None => builder.input_width(input.width),
            };
            match input.edges {
                Some(width) => builder.edge_input_width(width),
                None => builder,
            }
        };
        self.with_layers(Purpose::Training, Entity::PLACEHOLDER, reads, 0, &HeadFields::default())
    }

    /// What a part of the model is that was planned for one purpose, on so many rows.
    pub(super) fn describe(&self, planned: &DryRun, purpose: Purpose, rows: &RowCounts) -> Plan {
        let output = |(domain, width)| Output {
            rows: match domain {
                Domain::Nodes(_) => RowKind::Nodes,
                Domain::Edges(_) => RowKind::Edges,
                Domain::Subgraphs(_) | Domain::Single => RowKind::Graphs,
            },
            count: rows.of(domain),
            width,
        };
        let outputs: Vec<Output> = planned.outputs().map(output).collect();
        let mut size = ModelSize {
            values: planned.parameter_count(),
            numbers: planned.stored_count(),
            scratch: planned.scratch(rows),
            programs: planned.program_bytes(),
            normalizations: planned.normalizations().len(),
            directions: planned.directions(),
            ..ModelSize::default()
        };
        let bytes = |shape: Shape| {
            let row = shape.width.saturating_mul(size_of::<f32>()).saturating_add(2 * size_of::<Tick>());
            row.saturating_mul(rows.of(shape.domain))
        };
        for shape in planned.layout.shapes() {
            size.idle = size.idle.saturating_add(idle_bytes(rows.of(shape.domain), shape.width));
            match shape.domain {
                Domain::Nodes(kind) if kind.0 > 0 => size.beside = size.beside.saturating_add(bytes(shape)),
                Domain::Edges(graph) if graph.0 > 0 => size.beside = size.beside.saturating_add(bytes(shape)),
                Domain::Nodes(_) => size.nodes.add(shape.width),
                Domain::Edges(_) => size.edges.add(shape.width),
                Domain::Subgraphs(_) => size.graphs.add(shape.width),
                Domain::Single => size.numbers = size.numbers.saturating_add(shape.width),
            }
        }
        if purpose == Purpose::Training {
            size.programs = size.programs.saturating_add(table_bytes(planned.program.parameters().len()));
            // The best values so far.
            size.numbers = size.numbers.saturating_add(size.values);
            if self.training.accumulation_steps > 1 {
                // The sum of gradients moves the parameter to another table, and the first one stays.
                size.numbers = size.numbers.saturating_add(planned.stored_count());
            }
        }
        Plan { outputs, size }
    }
}

/// Bytes that the tables of this number of parameters take beside their values, for a model that learns: each parameter
/// has a table of its own, which maps the components of all others, too. So it was measured.
fn table_bytes(parameters: usize) -> usize {
    parameters.saturating_mul(parameters).saturating_mul(PARAMETER_PAIR)
}

/// How large a program may be at most if its model is to fit in so many bytes.
fn limits(bytes: usize) -> ProgramLimits {
    ProgramLimits {
        operations: (bytes / PLANNED).min(MAX_OPERATIONS),
        parameters: (bytes / PARAMETER_PAIR).isqrt().min(MAX_PARAMETERS),
        columns: (bytes / COLUMN_PAIR).isqrt().min(MAX_COLUMNS),
        elements: bytes / size_of::<f32>(),
    }
}

/// The most numbers that a row of sparse features stores; none if they are dense, or had better be.
fn longest_row(features: &Features) -> Option<usize> {
    let Features::Sparse { width, offsets, .. } = features else { return None };
    let longest = offsets.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0).max(1);
    (2 * longest < *width).then_some(longest)
}

/// What a model reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input {
    /// Columns of the features of the nodes.
    pub width: usize,
    /// The most numbers that a row stores, if the model reads them sparse.
    pub stored: Option<usize>,
    /// Columns of the features of the edges, if there are any.
    pub edges: Option<usize>,
}
