//! An expert in a world of its own.

use bevy_ecs::{component::ComponentId, entity::Entity, world::World};
use connectome_components::{Field, FieldPool, Graph, Matrix, Model, Topology};

use super::part::{Part, abandon, is_trained, run_forward};
use crate::{
    batch::{Batch, BatchError, Extract},
    error::{BuildError, MixtureError},
    model::{
        ModelBuilder, Plans,
        field_copies::{CopyError, FieldCopies},
        remove_model, replace_model,
    },
    parallel::Workers,
    program::{Footprint, Operation},
};

/// An expert: a model in a world of its own, which holds copies of the rows that it computes.
///
/// So experts run beside each other without sharing a table, each with its own topology, and no system of the user's
/// world finds a copy.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) world: World,
    pub(super) model: Entity,
    graph: Entity,
    /// The graph that rows are copied from.
    pub(super) origin: Entity,
    /// Whether rows are subgraphs; otherwise nodes with their neighborhoods.
    of_subgraphs: bool,
    /// Whether it predicts nodes.
    pub(super) of_nodes: bool,
    /// How far a node's output depends on others.
    hops: usize,
    extract: Extract,
    /// The fields of the copied inputs.
    taken: Vec<Field>,
    batch: Batch,
    /// The rows that it computes in this step, in the order of their keys.
    pub(super) rows: Vec<u32>,
    /// The row of each of its first outputs, and the row for which the gate has chosen it: the same, or a node and its
    /// subgraph.
    pub(super) outputs: Vec<[u32; 2]>,
    /// The rows that its world holds, and the version of the topology from which they were copied.
    loaded: Option<(u64, Vec<u32>)>,
    /// Whether it is trained in this step.
    pub(super) trains: bool,
    /// The error of this step.
    pub(super) outcome: Result<(), BuildError>,
    /// Whether it has run forward in this training step.
    pub(super) has_run: bool,
}

impl Member {
    /// Builds an expert, number `index`, for rows of `domain` of a graph.
    pub(super) fn new(
        world: &mut World,
        builder: ModelBuilder,
        index: usize,
        (rows, domain): (Graph, ComponentId),
    ) -> Result<Self, BuildError> {
        let name = builder.name.clone();
        let mut own = World::new();
        own.insert_resource(Workers::single());
        let graph = Graph::spawn(&mut own);
        let of_subgraphs = domain == rows.subgraphs;
        let Converted { origin, builder, extract, taken } =
            Converted::new(world, (&mut own, graph), builder, index, (rows, of_subgraphs))?;
        let model = builder.build(&mut own).map_err(|error| of_expert(&name, error))?;
        Part::add_all(&mut own, model)?;
        let mut member = Self {
            name,
            world: own,
            model,
            graph,
            origin,
            of_subgraphs,
            of_nodes: false,
            hops: 0,
            extract,
            taken,
            batch: Batch::default(),
            rows: Vec::new(),
            outputs: Vec::new(),
            loaded: None,
            trains: false,
            outcome: Ok(()),
            has_run: false,
        };
        member.check()?;
        Ok(member)
    }

    /// Replaces the model; parameters of the same name and shape keep their values.
    pub(super) fn replace(
        &mut self,
        world: &mut World,
        builder: ModelBuilder,
        index: usize,
        rows: (Graph, ComponentId),
    ) -> Result<(), BuildError> {
        let name = builder.name.clone();
        let of_subgraphs = rows.1 == rows.0.subgraphs;
        let Converted { origin, builder, extract, taken } =
            Converted::new(world, (&mut self.world, self.graph), builder, index, (rows.0, of_subgraphs))?;
        let (before, width, of_nodes) = (self.model, self.width(), self.of_nodes);
        // First beside the old one, which stays if the new one does not fit.
        let trial = builder.clone().build(&mut self.world).map_err(|error| of_expert(&name, error))?;
        let found = self.world.get::<Model>(trial).map_or(0, |model| model.output.width());
        self.model = trial;
        let fits = self.check().and_then(|()| same_width(&name, found, width.unwrap_or(0)));
        let fits = fits.and_then(|()| same_rows(&name, self.of_nodes, of_nodes));
        (self.model, self.of_nodes) = (before, of_nodes);
        remove_model(&mut self.world, trial)?;
        fits?;
        Part::remove_all(&mut self.world, before);
        self.model = replace_model(&mut self.world, before, builder).map_err(|error| of_expert(&name, error))?;
        Part::add_all(&mut self.world, self.model)?;
        (self.name, self.origin, self.extract, self.loaded) = (name, origin, extract, None);
        FieldPool::give_back(&mut self.world, core::mem::replace(&mut self.taken, taken));
        self.check()
    }

    /// Checks the rows of the output, and measures how far it depends on other nodes.
    fn check(&mut self) -> Result<(), BuildError> {
        let graph = *self.world.get::<Graph>(self.graph).ok_or(BuildError::NoGraph(self.graph))?;
        let output = self.world.get::<Model>(self.model).ok_or(BuildError::NoModel(self.model))?.output;
        let fits = output.domain() == graph.nodes || self.of_subgraphs && output.domain() == graph.subgraphs;
        if !fits {
            return Err(unfit(&self.name, other_rows(self.of_subgraphs)));
        }
        self.of_nodes = output.domain() == graph.nodes;
        let plans = self.world.get::<Plans>(self.model).ok_or(BuildError::NoModel(self.model))?;
        let operations = plans.inference().program.operations();
        let reads = |operation: &Operation, footprints: &[Footprint]| {
            (0..operation.inputs.len()).any(|input| footprints.contains(&operation.operator.footprint(input)))
        };
        let reads_subgraphs = |operation: &Operation| reads(operation, &[Footprint::Members, Footprint::Membership]);
        let reaches_far = |operation: &Operation| {
            operation.operator.direction().is_some()
                || reads(operation, &[Footprint::Outgoing, Footprint::OutgoingEdges])
        };
        if !self.of_subgraphs && operations.iter().any(reads_subgraphs) {
            let reason = "reads subgraphs, to which nodes that are chosen one by one do not belong; let the gate \
                          choose for subgraphs";
            return Err(unfit(&self.name, reason));
        }
        if !self.of_subgraphs && operations.iter().any(reaches_far) {
            let reason = "reads more of a graph than a number of incoming edges away from a node; let the gate choose \
                          for subgraphs";
            return Err(unfit(&self.name, reason));
        }
        let hops = operations
            .iter()
            .filter(|operation| reads(operation, &[Footprint::Incoming, Footprint::IncomingEdges]))
            .count();
        // The coefficients of an edge may depend on the degree of its source.
        let is_normalized = operations.iter().any(|operation| operation.operator.normalization().is_some());
        self.hops = hops + usize::from(is_normalized);
        Ok(())
    }

    /// The width of its output.
    pub(super) fn width(&self) -> Option<usize> {
        self.world.get::<Model>(self.model).map(|model| model.output.width())
    }

    pub(super) fn is_trained(&self) -> bool {
        is_trained(&self.world, self.model)
    }

    /// Copies its rows from a world, and runs it forward.
    pub(super) fn forward(&mut self, world: &World, workers: &Workers) {
        self.has_run = false;
        self.outcome = self.load(world).map_err(|error| {
            self.loaded = None;
            MixtureError::Batch { name: self.name.clone(), error }.into()
        });
        if self.outcome.is_ok() {
            self.world.insert_resource(workers.clone());
            self.outcome = run_forward(&mut self.world, self.model, self.trains);
            self.has_run = self.outcome.is_ok() && self.trains;
        }
        self.name_outcome();
        // What bevy keeps of the entities that were despawned.
        self.world.clear_trackers();
    }

    fn load(&mut self, world: &World) -> Result<(), BatchError> {
        let topology = world.get::<Topology>(self.origin).ok_or(BatchError::NoGraph(self.origin))?;
        if self.loaded.as_ref().is_some_and(|(version, rows)| *version == topology.version && *rows == self.rows) {
            self.extract.refresh(world, &mut self.batch)?;
            return self.batch.write_fields(None, &mut self.world);
        }
        let known = if self.of_subgraphs { &topology.subgraphs } else { &topology.nodes };
        let entities: Vec<Entity> = self.rows.iter().map(|row| known.entities()[*row as usize]).collect();
        if self.of_subgraphs {
            self.extract.subgraphs(world, &entities, &mut self.batch)?;
        } else {
            let fan_outs = vec![usize::MAX; self.hops];
            self.extract.sample_neighbors(world, &entities, &fan_outs, 0, 0, &mut self.batch)?;
        }
        self.batch.load(&mut self.world, self.graph)?;
        self.outputs.clear();
        if self.of_subgraphs && self.of_nodes {
            let subgraphs = self.batch.subgraph_of().iter().map(|subgraph| self.rows[*subgraph as usize]);
            self.outputs.extend(self.batch.node_rows().iter().zip(subgraphs).map(|(node, subgraph)| [*node, subgraph]));
        } else {
            self.outputs.extend(self.rows.iter().map(|row| [*row; 2]));
        }
        self.loaded = Some((topology.version, self.rows.clone()));
        Ok(())
    }

    /// What it predicts; its first rows are [`Member::outputs`].
    pub(super) fn output(&self) -> Option<Matrix<'_>> {
        let trained = self.world.get::<Plans>(self.model)?.trained_output.filter(|_| self.trains);
        let output = trained.or_else(|| self.world.get::<Model>(self.model).map(|model| model.output))?;
        Some(output.matrix(&self.world))
    }

    /// Writes the gradient with respect to [`Member::outputs`], row by row; that of all others is 0.
    pub(super) fn write_gradient(&mut self, gradients: &[f32]) {
        let gradient = self.world.get::<Model>(self.model).and_then(|model| model.output_gradient);
        let Some(gradient) = gradient else { return };
        let mut rows = gradients.chunks_exact(gradient.width());
        for to in gradient.matrix_mut(&mut self.world).rows_mut() {
            match rows.next() {
                Some(row) => to.copy_from_slice(row),
                None => to.fill(0.0),
            }
        }
    }

    /// Runs a part of its training step, unless it has not run forward.
    pub(super) fn run(&mut self, part: fn(Entity) -> Part, workers: &Workers) {
        if self.has_run {
            self.world.insert_resource(workers.clone());
            self.outcome = part(self.model).run(&mut self.world, self.model);
            self.name_outcome();
        }
    }

    /// Ends its training step without a change.
    pub(super) fn abandon(&mut self) {
        if core::mem::take(&mut self.has_run) {
            abandon(&mut self.world, self.model);
        }
    }

    fn name_outcome(&mut self) {
        if let Err(error) = &mut self.outcome {
            let found = core::mem::replace(error, BuildError::Empty);
            *error = of_expert(&self.name, found);
        }
    }
}

/// An error of an expert; those of learning name it already.
pub(super) fn of_expert(name: &str, error: BuildError) -> BuildError {
    match error {
        BuildError::Learning(_) | BuildError::Mixture(_) => error,
        error => MixtureError::Expert { name: name.to_owned(), error: Box::new(error) }.into(),
    }
}

pub(super) fn unfit(name: &str, reason: impl Into<String>) -> BuildError {
    MixtureError::Unfit { model: format!("expert `{name}`"), reason: reason.into() }.into()
}

/// What is wrong with an expert that predicts other rows than the gate distributes.
pub(super) fn other_rows(of_subgraphs: bool) -> &'static str {
    match of_subgraphs {
        true => "predicts neither nodes nor the subgraphs that the gate distributes; end it on one of these",
        false => "does not predict nodes, which the gate distributes; end both on the same rows",
    }
}

/// Checks that an expert outputs as many values as the others.
pub(super) fn same_width(name: &str, found: usize, expected: usize) -> Result<(), BuildError> {
    if found == expected {
        return Ok(());
    }
    Err(unfit(name, format!("outputs {found} values and others {expected}; give all experts the same last width")))
}

/// Checks that an expert predicts the same kind of rows as the others.
pub(super) fn same_rows(name: &str, of_nodes: bool, expected: bool) -> Result<(), BuildError> {
    let rows = |of_nodes: bool| if of_nodes { "nodes" } else { "subgraphs" };
    if of_nodes == expected {
        return Ok(());
    }
    let (found, expected) = (rows(of_nodes), rows(expected));
    Err(unfit(name, format!("predicts {found} and others {expected}; end all experts on the same rows")))
}

/// The builder of a model in a world of its own, whose inputs are copies.
struct Converted {
    /// The graph that rows are copied from.
    origin: Entity,
    builder: ModelBuilder,
    extract: Extract,
    /// The fields of the copies.
    taken: Vec<Field>,
}

impl Converted {
    /// Of a builder in `world`, number `index` among the experts, for a graph in its own world.
    fn new(
        world: &mut World,
        (own, graph): (&mut World, Entity),
        mut builder: ModelBuilder,
        index: usize,
        (rows, of_subgraphs): (Graph, bool),
    ) -> Result<Self, BuildError> {
        let name = builder.name.clone();
        let origin = builder.graph;
        let found = *world.get::<Graph>(origin).ok_or(BuildError::NoGraph(origin))?;
        if found.nodes != rows.nodes || of_subgraphs && found.subgraphs != rows.subgraphs {
            return Err(unfit(
                &name,
                "is on a graph of other nodes or subgraphs than the gate; give it one over the same",
            ));
        }
        if !builder.heads.is_empty() || builder.is_output_set || builder.target_component.is_some() {
            return Err(unfit(
                &name,
                "has a head, a loss or targets of its own; give them to the model of the mixture",
            ));
        }
        if builder.written.is_some() || !builder.actors.is_empty() {
            return Err(unfit(&name, "writes components; let the model of the mixture write them"));
        }
        if !builder.input_gradients.is_empty() {
            return Err(unfit(&name, "has gradients of inputs, which are copies; remove `input_gradient`"));
        }
        if !builder.relations.is_empty() {
            return Err(unfit(
                &name,
                "reads several kinds of nodes, of which a batch of a mixture has one; remove `relation`",
            ));
        }
        let refused = |error| match error {
            CopyError::Input => unfit(
                &name,
                "has an input that cannot be copied into its world; give it fields by `input` and `edge_input`, or components that are `Pod`",
            ),
            CopyError::Batch(error) => MixtureError::Batch { name: name.clone(), error }.into(),
            CopyError::Build(error) => error,
        };
        let mut copies = FieldCopies::new(world, origin, own, graph).map_err(refused)?;
        copies.inputs(world, own, &mut builder).map_err(refused)?;
        let FieldCopies { extract, taken, .. } = copies;
        builder.graph = graph;
        builder.seed = builder.seed.wrapping_add(index as u64);
        Ok(Self { origin, builder: builder.trained_from_outside(), extract, taken })
    }
}
