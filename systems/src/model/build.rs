//! Puts a model into a world, and takes it out.

use bevy_ecs::{
    entity::Entity,
    name::Name,
    schedule::{IntoScheduleConfigs, Schedule, ScheduleLabel, Schedules, SingleThreadedExecutor, SystemSet},
    system::{IntoSystem, Query},
    world::World,
};
use connectome_components::{
    DoubleBuffer, FeatureField, Field, FieldPool, Graph, Metrics, Model, Parameter, Parity, Topology, TrainingState,
};

use std::sync::Arc;

use super::{
    Evaluate, Infer, ModelBuilder, Plans, RowAccess, Train,
    builder::{Input, Learning, domain_of},
    components::{ComponentBinding, Copied, CopyIn, RowSystem, add_copies_in, add_copies_out},
    dry_run::DryRun,
    finish,
    schedules::settings,
};
use crate::{
    GraphSystems, Workers,
    clock::Readings,
    layers::BuildError,
    loss::{LossError, Targets, loss_and_gradient, measure},
    optimize::{self, LearnedParameter, LossWeighting},
    program::{Bindings, Column, Domain, Emission, Operation, Pass, Plan},
    topology::rebuild_topology,
};

impl ModelBuilder {
    /// Spawns the model and its parameters, and adds its schedules to the world: [`Infer`], and if it learns [`Train`] and
    /// [`Evaluate`]. Adds the resource [`Workers`] if there is none.
    ///
    /// # Errors
    /// If the graph is none, a layer cannot take its input, or two systems would race; then nothing of the model is left but
    /// the fields that its nodes may have been given.
    pub fn build(self, world: &mut World) -> Result<Entity, BuildError> {
        let graph = world.get::<Graph>(self.graph).ok_or(BuildError::NoGraph(self.graph))?;
        graph.check(world)?;
        let rows = *graph;
        if matches!(self.input, Input::State(_)) && self.learning.is_some() {
            return Err(BuildError::Recurrent);
        }
        let program = self.program(|field| domain_of(world, rows, field))?;
        let mut planned = DryRun::new(&self, program)?;
        if self.written.is_some() && !planned.computes_output() {
            let mut program = planned.program;
            program.copy_outputs()?;
            planned = DryRun::new(&self, program)?;
        }
        self.check_state(&planned)?;
        let graphs = planned.program.graphs.iter().map(|graph| graph_rows(world, *graph, rows));
        let graphs = graphs.collect::<Result<Vec<Graph>, BuildError>>()?;
        world.init_resource::<Workers>();
        world.init_resource::<Schedules>();
        let model = world.spawn(Name::new(self.name.clone())).id();
        let mut construction = Construction {
            builder: &self,
            planned: &planned,
            graphs,
            model,
            borrowed: Vec::new(),
            parameters: Vec::new(),
            learned: Vec::new(),
            readings: Default::default(),
            copies: Vec::new(),
            written: None,
        };
        match construction.build(world) {
            Ok(()) => Ok(model),
            Err(error) => {
                let Construction { borrowed, parameters, .. } = construction;
                take_out(world, model, parameters, borrowed);
                Err(error)
            }
        }
    }
}

/// Takes a model out of the world: its schedules, its parameters and its entity. Its columns stay on their entities for the
/// models that come.
///
/// # Errors
/// If the entity is no model.
pub fn remove_model(world: &mut World, model: Entity) -> Result<(), BuildError> {
    let parts = world.get::<Model>(model).cloned().ok_or(BuildError::NoModel(model))?;
    take_out(world, model, parts.parameters, parts.columns);
    Ok(())
}

/// Builds a model in place of another one, which is taken out. Parameters of the same name and shape keep their values.
///
/// # Errors
/// Those of [`ModelBuilder::build`], and if the entity is no model: then it stays as it was.
pub fn replace_model(world: &mut World, before: Entity, model: ModelBuilder) -> Result<Entity, BuildError> {
    let known = world.get::<Model>(before).ok_or(BuildError::NoModel(before))?.parameters.clone();
    let after = model.build(world)?;
    let new = world.get::<Model>(after).map(|model| model.parameters.clone()).unwrap_or_default();
    for target in new {
        let Some(to) = world.get::<Parameter>(target).cloned() else { continue };
        let same = |from: &&Parameter| from.name == to.name && from.shape == to.shape;
        let Some(from) = known.iter().filter_map(|entity| world.get::<Parameter>(*entity)).find(same).cloned() else {
            continue;
        };
        let mut pairs = vec![(from.value, to.value)];
        pairs.extend(from.moments.zip(to.moments).filter(|(from, to)| from.width() == to.width()));
        for (from, to) in pairs {
            let numbers: Vec<f32> = from.matrix(world).rows().flatten().copied().collect();
            to.matrix_mut(world).rows_mut().for_each(|row| row.copy_from_slice(&numbers));
        }
    }
    remove_model(world, before)?;
    Ok(after)
}

fn take_out(world: &mut World, model: Entity, parameters: Vec<Entity>, borrowed: Vec<Field>) {
    let mut schedules = world.resource_mut::<Schedules>();
    schedules.remove(Infer(model));
    schedules.remove(Train(model));
    schedules.remove(Evaluate(model));
    parameters.into_iter().chain([model]).for_each(|entity| {
        world.despawn(entity);
    });
    FieldPool::give_back(world, borrowed);
}

/// The rows of a graph over the same nodes as the model's own.
fn graph_rows(world: &World, graph: Entity, own: Graph) -> Result<Graph, BuildError> {
    let rows = *world.get::<Graph>(graph).ok_or(BuildError::NoGraph(graph))?;
    rows.check(world)?;
    if rows.nodes == own.nodes { Ok(rows) } else { Err(BuildError::OtherNodes(graph)) }
}

/// A model while it is built.
struct Construction<'a> {
    builder: &'a ModelBuilder,
    planned: &'a DryRun,
    /// The rows of the graphs of the program.
    graphs: Vec<Graph>,
    model: Entity,
    borrowed: Vec<Field>,
    parameters: Vec<Entity>,
    learned: Vec<LearnedParameter>,
    readings: [Readings; 3],
    /// What is copied from components before each step.
    copies: Vec<CopyIn>,
    /// The component's column that the last operation writes.
    written: Option<Field>,
}

impl Construction<'_> {
    fn build(&mut self, world: &mut World) -> Result<(), BuildError> {
        let state = match self.builder.input {
            Input::State(width) => {
                Some(DoubleBuffer::register(world, self.model, "state", self.graphs[0].nodes, width)?)
            }
            _ => None,
        };
        let inputs = self.inputs(world, state)?;
        let (parameters, gradients) = self.spawn_parameters(world)?;
        self.written = self.written_column(world, state, &inputs)?;
        let columns = self.columns(world, state)?;
        let graphs = self.planned.program.graphs.clone();
        let settled = columns.iter().map(|_| Arc::default()).collect();
        let bindings = Bindings {
            model: self.model,
            graphs,
            inputs,
            parameters,
            gradients,
            columns,
            settled,
            written: self.written,
        };
        self.require_normalizations(world);

        let inference = &self.planned.inference;
        let output = |plan: &Plan| bindings.field(plan.column(plan.output(0)?)?).ok_or(()).ok();
        let result = output(inference).ok_or(BuildError::Empty)?;
        let field = |plan: &Plan, value| bindings.field(plan.column(value)?);
        let plan = self.planned.training.as_ref().unwrap_or(inference);
        let kept: Vec<Field> = plan.program.kept.iter().filter_map(|value| field(plan, *value)).collect();
        let coordinates = self.builder.coordinates.and(kept.last().copied());
        let mut targets = None;
        if let (Some(learning), Some(training)) = (&self.builder.learning, &self.planned.training) {
            targets = Some(self.add_learning(world, learning, training, &bindings, result)?);
        }
        let mut infer = self.schedule(Infer(self.model));
        self.add_pass(
            world,
            &mut infer,
            &Emission { plan: inference, bindings: &bindings, readings: &self.readings[0] },
            Pass::Forward,
        );
        if state.is_some() {
            let flip = IntoSystem::into_system(flip(self.model)).with_name("flip");
            infer.add_systems(flip.in_set(GraphSystems::Commit));
        }
        self.add_copies(world, &mut infer, state.map_or(result, |state| state.front), false)?;
        finish(world, infer)?;
        let model = Model {
            graph: self.builder.graph,
            input: bindings.inputs[0],
            // Once the buffers have changed roles, what was written is in front.
            output: state.map_or(result, |state| state.front),
            output_gradient: self.planned.training.as_ref().and_then(|plan| bindings.field(plan.head_gradient(0)?)),
            kept,
            targets: targets.flatten().and_then(|targets| match targets {
                Targets::Numbers { values, .. } => Some(values),
                Targets::Classes { .. } => None,
            }),
            coordinates,
            parameters: self.parameters.clone(),
            columns: self.borrowed.clone(),
        };
        let plans = Plans {
            training: self.planned.training.clone().map(Arc::new),
            inference: Arc::new(self.planned.inference.clone()),
            readings: self.readings.clone(),
        };
        world.entity_mut(self.model).insert((model, plans));
        Ok(())
    }

    /// The fields of what is given from outside.
    fn inputs(&mut self, world: &mut World, state: Option<DoubleBuffer>) -> Result<Vec<FeatureField>, BuildError> {
        let given = [Some(self.builder.input), self.builder.edges, self.builder.coordinates].into_iter().flatten();
        let inputs = given.zip(&self.planned.program.inputs).map(|(given, input)| match (given, state) {
            (Input::Given(features), _) => Ok(features),
            (Input::State(_), Some(state)) => Ok(state.front.into()),
            (Input::Component(binding), _) => {
                Ok(self.read_component(world, binding, input.value.domain(), false)?.into())
            }
            (Input::Observed(width), _) => {
                let field = self.take(world, Domain::Nodes, width)?;
                let rows = RowAccess::new(self.builder.graph, field, Domain::Nodes);
                let observed = |observe: &RowSystem| CopyIn::Observed { observe: Arc::clone(observe), rows };
                self.copies.extend(self.builder.observer.as_ref().map(observed));
                Ok(field.into())
            }
            _ => Ok(self.take(world, input.value.domain(), input.value.width())?.into()),
        });
        inputs.collect()
    }

    /// Borrows a field for the rows of a domain.
    fn take(&mut self, world: &mut World, domain: Domain, width: usize) -> Result<Field, BuildError> {
        let field = FieldPool::take(world, self.component(domain), width)?;
        self.borrowed.push(field);
        Ok(field)
    }

    /// The field of a component that the model reads: its own column, or one that it is copied into.
    fn read_component(
        &mut self,
        world: &mut World,
        binding: ComponentBinding,
        domain: Domain,
        is_target: bool,
    ) -> Result<Field, BuildError> {
        let on = self.component(domain).ok_or_else(|| self.last_error("has a single row, which is no entity's"))?;
        if let Some(column) = (binding.column)(world, on)? {
            return Ok(column);
        }
        let field = self.take(world, domain, binding.width)?;
        self.copies.push(CopyIn::Component { binding, copied: Copied { field, domain: on }, is_target });
        Ok(field)
    }

    /// The column of the component that the output is to go to, if an operation can write it: not if the model itself reads
    /// it, or functions of the user's may write it while they read the output.
    fn written_column(
        &mut self,
        world: &mut World,
        state: Option<DoubleBuffer>,
        inputs: &[FeatureField],
    ) -> Result<Option<Field>, BuildError> {
        let Some(binding) = self.builder.written else { return Ok(None) };
        let (domain, width) = self.planned.output().ok_or(BuildError::Empty)?;
        if width != binding.width {
            let ComponentBinding { name, width: held, .. } = binding;
            let reason =
                format!("hands on rows {width} wide, but component `{name}` holds {held}; make the last layer as wide");
            return Err(self.last_error(reason));
        }
        let on = self.component(domain).ok_or_else(|| {
            self.last_error("hands on a single row, which no component holds; read `Model::output` instead")
        })?;
        let Some(column) = (binding.column)(world, on)? else { return Ok(None) };
        let targets = self.builder.target_component.map(|targets| (targets.column)(world, on)).transpose()?.flatten();
        let read = inputs.iter().map(FeatureField::values).chain(targets).chain(self.builder.targets);
        let is_read = read.into_iter().any(|field| field.id() == column.id());
        Ok((!is_read && state.is_none() && self.builder.actors.is_empty()).then_some(column))
    }

    /// Adds the systems that copy components in and out; `output` is that of the schedule.
    fn add_copies(
        &self,
        world: &mut World,
        schedule: &mut Schedule,
        output: Field,
        learns: bool,
    ) -> Result<(), BuildError> {
        add_copies_in(world, schedule, &self.copies, learns)?;
        let written = self.builder.written.filter(|_| self.written.is_none());
        let written = written.map(|binding| (binding, Copied { field: output, domain: output.domain() }));
        let (domain, _) = self.planned.output().ok_or(BuildError::Empty)?;
        let rows = RowAccess::new(self.builder.graph, output, domain);
        Ok(add_copies_out(world, schedule, written, &self.builder.actors, &rows)?)
    }

    /// The error that the last layer does not fit.
    fn last_error(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Layer { layer: self.builder.layers.len() - 1, setting: None, reason: reason.into() }
    }

    /// Spawns the parameters: the fields of their numbers, and of the gradients of those that learn.
    fn spawn_parameters(&mut self, world: &mut World) -> Result<(Vec<Field>, Vec<Option<Field>>), BuildError> {
        let (mut values, mut gradients) = (Vec::new(), Vec::new());
        let learning = self.builder.learning;
        for (number, description) in self.planned.program.parameters().iter().enumerate() {
            let size = description.size();
            let optimizer = learning.filter(|_| description.is_learned).map(|learning| learning.optimizer);
            let mut take = |width: Option<usize>| {
                let field = width.map(|width| FieldPool::take(world, None, width)).transpose();
                field.inspect(|field| self.borrowed.extend(*field))
            };
            let Some(value) = take(Some(size))? else { continue };
            let gradient = take(optimizer.map(|_| size))?;
            let moments = take(optimizer.map(|optimizer| size.saturating_mul(optimizer.moments())))?;
            let sum = take(optimizer.and(self.builder.accumulation).map(|_| size))?;
            let weight_decay = description.weight_decay;
            let parameter = Parameter {
                name: description.name.clone(),
                shape: description.shape,
                layout: description.layout.clone(),
                value,
                gradient,
                moments,
                weight_decay,
            };
            let entity = world.spawn((Name::new(description.name.clone()), parameter)).id();
            self.parameters.push(entity);
            let fields: Vec<Field> = [Some(value), gradient, moments, sum].into_iter().flatten().collect();
            Field::insert_into(world, entity, &fields)?;
            if let (Some(gradient), Some(moments)) = (gradient, moments) {
                self.learned.push(LearnedParameter { value, gradient, moments, sum, weight_decay });
            }
            for row in value.matrix_mut(world).rows_mut() {
                description.initialize(self.builder.seed, number as u32, row);
            }
            values.push(value);
            gradients.push(gradient);
        }
        Ok((values, gradients))
    }

    /// The fields of the layout's columns. The output of a recurrent model goes to the back of its state, the gradients with
    /// respect to inputs where the user wants them.
    fn columns(&mut self, world: &mut World, state: Option<DoubleBuffer>) -> Result<Vec<Field>, BuildError> {
        let mut fixed: Vec<(Column, Field)> = Vec::new();
        let inference = &self.planned.inference;
        if let Some(state) = state {
            let output = inference.output(0).and_then(|output| inference.column(output));
            fixed.extend(output.map(|output| (output, state.back)));
        }
        if let Some(written) = self.written {
            let output = inference.output(0).and_then(|output| inference.column(output));
            fixed.extend(output.map(|output| (output, written)));
        }
        for (input, gradient) in self.planned.training.iter().flat_map(|plan| self.wanted_gradients(plan)) {
            fixed.push((input, gradient));
        }
        let mut columns = Vec::new();
        let mut single = Vec::new();
        for (place, shape) in self.planned.layout.shapes().enumerate() {
            let known = fixed.iter().find(|(column, _)| *column == Column::Layout(place)).map(|(_, field)| *field);
            let field = match known {
                Some(field) => field,
                None => {
                    let on = self.component(shape.domain);
                    let field = FieldPool::take(world, on, shape.width)?;
                    self.borrowed.push(field);
                    if on.is_none() {
                        single.push(field);
                    }
                    field
                }
            };
            columns.push(field);
        }
        if !single.is_empty() {
            Field::insert_into(world, self.model, &single)?;
        }
        Ok(columns)
    }

    /// The columns of the gradients with respect to inputs, and the fields that the user wants them in.
    fn wanted_gradients(&self, plan: &Plan) -> Vec<(Column, Field)> {
        let given = [Some(self.builder.input), self.builder.edges, self.builder.coordinates].into_iter().flatten();
        let given: Vec<Option<Field>> = given.map(|input| input.given().map(|features| features.values())).collect();
        let gradients = plan.input_gradients.iter().filter_map(|(value, gradient)| {
            let Some(Column::Input(number)) = plan.column(*value) else { return None };
            let field = given[number]?;
            let (_, into) = self.builder.wanted.iter().find(|(wanted, _)| *wanted == field)?;
            Some((plan.column(*gradient)?, *into))
        });
        gradients.collect()
    }

    /// The component whose carriers are the rows of a domain; none for single rows.
    fn component(&self, domain: Domain) -> Option<bevy_ecs::component::ComponentId> {
        match domain {
            Domain::Nodes => Some(self.graphs[0].nodes),
            Domain::Edges(graph) => Some(self.graphs[graph.0 as usize].edges),
            Domain::Subgraphs(graph) => Some(self.graphs[graph.0 as usize].subgraphs),
            Domain::Single => None,
        }
    }

    /// Asks the topologies for the coefficients that operations read.
    fn require_normalizations(&self, world: &mut World) {
        let operations = self.planned.program.operations().iter();
        let asked = |operation: &Operation| Some((operation.graph, operation.operator.normalization()?));
        for (graph, normalization) in operations.filter_map(asked) {
            let graph = self.planned.program.graphs[graph.0 as usize];
            if let Some(mut topology) = world.get_mut::<Topology>(graph) {
                topology.require(normalization);
            }
        }
    }

    fn add_learning(
        &mut self,
        world: &mut World,
        learning: &Learning,
        training: &Plan,
        bindings: &Bindings,
        output: Field,
    ) -> Result<Option<Targets>, BuildError> {
        let model = self.model;
        let last = self.builder.layers.len() - 1;
        let unfit = |error: LossError| BuildError::Layer { layer: last, setting: None, reason: error.to_string() };
        let state = TrainingState { seed: self.builder.seed, ..TrainingState::default() };
        let mut entity = world.entity_mut(model);
        entity.insert((learning.optimizer, learning.schedule, Metrics::default(), state));
        self.builder.accumulation.map(|accumulation| entity.insert(accumulation));
        self.builder.clipping.map(|clipping| entity.insert(clipping));

        let mut train = self.schedule(Train(model));
        let readings = self.readings[1].clone();
        let emission = Emission { plan: training, bindings, readings: &readings };
        self.add_pass(world, &mut train, &emission, Pass::Forward);
        let gradient = training.head_gradient(0).and_then(|column| bindings.field(column));
        let Some(gradient) = gradient else {
            let reason =
                "hands on nothing that can be learned, so there is nothing to learn; add a layer with parameters";
            return Err(BuildError::Layer { layer: last, setting: None, reason: reason.to_owned() });
        };
        let weighting = if self.builder.is_external { LossWeighting::Uniform } else { LossWeighting::Terms };
        let trained = training.output(0).and_then(|output| bindings.field(training.column(output)?)).unwrap_or(output);
        let targets = if self.builder.is_external { None } else { Some(self.targets(world, output)?) };
        if let Some(targets) = targets {
            let system =
                loss_and_gradient(world, model, self.builder.loss, trained, gradient, targets).map_err(unfit)?;
            train.add_systems(system.in_set(GraphSystems::Loss));
        }
        self.add_pass(world, &mut train, &emission, Pass::Backward);
        optimize::add(world, &mut train, model, &self.learned, weighting);
        self.add_copies(world, &mut train, trained, true)?;
        finish(world, train)?;

        let mut evaluate = self.schedule(Evaluate(model));
        let emission = Emission { plan: &self.planned.inference, bindings, readings: &self.readings[2] };
        self.add_pass(world, &mut evaluate, &emission, Pass::Forward);
        if let Some(targets) = targets {
            let system = measure(world, model, self.builder.loss, output, targets).map_err(unfit)?;
            evaluate.add_systems(system.in_set(GraphSystems::Loss));
        }
        self.add_copies(world, &mut evaluate, output, true)?;
        finish(world, evaluate)?;
        Ok(targets)
    }

    fn add_pass(&self, world: &mut World, schedule: &mut Schedule, emission: &Emission, pass: Pass) {
        let set = match pass {
            Pass::Forward => GraphSystems::Forward,
            Pass::Backward => GraphSystems::Backward,
        };
        if let Some(system) = emission.system(world, pass) {
            schedule.add_systems(system.in_set(set));
        }
    }

    /// What the rows of `output` are to become.
    fn targets(&mut self, world: &mut World, output: Field) -> Result<Targets, BuildError> {
        let mut targets = self.builder.targets;
        if let Some(component) = self.builder.target_component {
            let loss = self.builder.loss;
            if loss.is_classification() {
                return Err(self.last_error(LossError::WrongKind { loss }.to_string()));
            }
            let (domain, _) = self.planned.output().ok_or(BuildError::Empty)?;
            targets = Some(self.read_component(world, component, domain, true)?);
        }
        Ok(match targets {
            Some(values) if !self.builder.loss.is_classification() => {
                Targets::Numbers { values, splits: Field::of_component(world, output.domain())? }
            }
            _ => Targets::register(world, self.builder.loss, output)?,
        })
    }

    /// A schedule with its parts in order, in which races are errors, and the topologies kept up to date.
    ///
    /// Its systems run one after another and share their rows among the workers: for a single model that costs less than
    /// an executor with threads of its own.
    fn schedule(&self, label: impl ScheduleLabel) -> Schedule {
        let mut schedule = Schedule::new(label);
        schedule.set_build_settings(settings());
        schedule.set_executor(SingleThreadedExecutor::new());
        GraphSystems::chain(&mut schedule);
        for (number, graph) in self.planned.program.graphs.iter().enumerate() {
            let rebuild = IntoSystem::into_system(rebuild_topology(*graph)).with_name("rebuild_topology");
            schedule.add_systems(rebuild.in_set(GraphSystems::Sync).in_set(Rebuild(number)));
            if let Some(before) = number.checked_sub(1) {
                // One after the other, for each may change the whole world.
                schedule.configure_sets(Rebuild(number).after(Rebuild(before)));
            }
        }
        schedule
    }
}

/// The place of a graph among those whose topology a schedule keeps up to date.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Rebuild(usize);

fn flip(model: Entity) -> impl FnMut(Query<&mut Parity>) {
    move |mut parities| {
        if let Ok(mut parity) = parities.get_mut(model) {
            parity.flip();
        }
    }
}
