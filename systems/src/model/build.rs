//! Puts a model into a world, and takes it out.

use bevy_ecs::{
    entity::Entity,
    name::Name,
    schedule::{IntoScheduleConfigs, Schedule, ScheduleLabel, Schedules, SingleThreadedExecutor},
    system::{IntoSystem, Query},
    world::World,
};
use connectome_components::{
    DoubleBuffer, FeatureField, Field, FieldPool, Graph, LearningFault, Metrics, Model, ModelHead, Parameter, Parity,
    Topology, TrainingState,
};

use std::sync::{Arc, atomic::AtomicBool};

use super::{
    Evaluate, Head, HeadLoss, HeadTargets, Infer, ModelBuilder, Plans, RowAccess, Train,
    builder::{Input, Learning, domain_of},
    components::{ComponentBinding, Copied, Copies, CopyIn, RowSystem},
    dry_run::DryRun,
    emit::{Bindings, Emission},
    learning::Losses,
    life::take_out,
    plans::Emitter,
    schedules::{check_resources, finish, settings},
    timings::Readings,
};
use crate::{
    error::{BuildError, StepFault},
    operators::copy,
    optimizers::{self, LearnedParameter, LossWeighting, Moments},
    parallel::Workers,
    phases::{GraphSystems, Sets},
    program::{Column, Domain, Layout, Operation, Pass, Plan, Program},
    topology::rebuild_topologies,
};

impl ModelBuilder {
    /// Spawns the model and its parameters, and adds its schedules to the world: [`Infer`], and if it learns [`Train`]
    /// and [`Evaluate`]. Adds the resource [`Workers`] if there is none.
    ///
    /// # Errors
    /// If the graph is none, a layer cannot take its input, or two systems would race; then nothing of the model is
    /// left but the fields that its nodes may have been given.
    pub fn build(self, world: &mut World) -> Result<Entity, BuildError> {
        check_resources(world)?;
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
            copy_outputs(&mut program)?;
            planned = DryRun::new(&self, program)?;
        }
        self.check_state(&planned)?;
        let planned = Planned::from(planned);
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
            fault: StepFault::default(),
            is_watched: Arc::default(),
            emitters: Default::default(),
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

/// Lets each head end in a copy, which has a column of its own in any case.
fn copy_outputs(program: &mut Program) -> Result<(), BuildError> {
    for head in 0..program.heads.len() {
        program.heads[head].output = copy(program, program.heads[head].output)?;
    }
    Ok(())
}

/// The rows of a graph over the same nodes as the model's own.
fn graph_rows(world: &World, graph: Entity, own: Graph) -> Result<Graph, BuildError> {
    let rows = *world.get::<Graph>(graph).ok_or(BuildError::NoGraph(graph))?;
    rows.check(world)?;
    if rows.nodes == own.nodes { Ok(rows) } else { Err(BuildError::OtherNodes(graph)) }
}

/// What is planned, with plans that schedules share.
struct Planned {
    program: Program,
    training: Option<Arc<Plan>>,
    inference: Arc<Plan>,
    layout: Layout,
}

impl From<DryRun> for Planned {
    fn from(DryRun { program, training, inference, layout, .. }: DryRun) -> Self {
        Self { program, training: training.map(Arc::new), inference: Arc::new(inference), layout }
    }
}

impl Planned {
    /// The rows and the width of the output.
    fn output(&self) -> Result<(Domain, usize), BuildError> {
        let output = self.inference.output(0).ok_or(BuildError::Empty)?;
        Ok((output.domain(), output.width()))
    }
}

/// A model while it is built.
struct Construction<'a> {
    builder: &'a ModelBuilder,
    planned: &'a Planned,
    /// The rows of the graphs of the program.
    graphs: Vec<Graph>,
    model: Entity,
    borrowed: Vec<Field>,
    parameters: Vec<Entity>,
    learned: Vec<LearnedParameter>,
    readings: [Readings; 3],
    fault: StepFault,
    is_watched: Arc<AtomicBool>,
    emitters: [Option<Emitter>; 3],
    /// What is copied from components before each step.
    copies: Vec<CopyIn>,
    /// The component's column that the last operation writes.
    written: Option<Field>,
}

impl Construction<'_> {
    fn build(&mut self, world: &mut World) -> Result<(), BuildError> {
        let (builder, planned) = (self.builder, self.planned);
        let (state, owner) = match builder.input {
            Input::State(width) => {
                let (state, owner) = FieldPool::take_double_buffer(world, self.graphs[0].nodes, width)?;
                self.borrowed.push(state.front);
                (Some(state), Some(owner))
            }
            _ => (None, None),
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
            rows: self.graphs.clone(),
            fault: self.fault.clone(),
            is_watched: self.is_watched.clone(),
        };
        let bindings = Arc::new(bindings);
        self.require_normalizations(world);

        let inference = &planned.inference;
        let field = |plan: &Plan, value| bindings.field(plan.column(value)?);
        let result = inference.output(0).and_then(|output| field(inference, output)).ok_or(BuildError::Empty)?;
        let plan = planned.training.as_ref().unwrap_or(inference);
        let kept: Vec<Field> = plan.program.kept.iter().filter_map(|value| field(plan, *value)).collect();
        let coordinates = self.builder.coordinates.and(kept.last().copied());
        let mut heads = self.heads(&bindings);
        let domain = planned.output()?.0;
        if builder.learning.is_some() {
            let mut component = builder.target_component;
            for (head, parts) in builder.heads().iter().zip(&mut heads) {
                match component.take() {
                    Some(component) => parts.targets = Some(self.read_component(world, component, domain, true)?),
                    None => head.take_targets(world, parts, &mut self.borrowed)?,
                }
            }
        }
        let copies = Arc::new(Copies {
            graph: builder.graph,
            domain,
            into_fields: self.copies.clone(),
            written: builder.written.filter(|_| self.written.is_none()),
            actors: builder.actors.clone(),
        });
        if let (Some(learning), Some(training)) = (&builder.learning, &planned.training) {
            self.add_learning(world, learning, training, &bindings, &heads, &copies)?;
        }
        let infer = {
            let (bindings, plan, readings) = (bindings.clone(), inference.clone(), self.readings[0].clone());
            let output = state.map_or(result, |state| state.front);
            Emitter::new(move |world, infer, sets| {
                let emission = Emission { plan: &plan, bindings: &bindings, readings: &readings, sets };
                add_pass(world, infer, &emission, Pass::Forward)?;
                if let Some(owner) = owner {
                    let flip = IntoSystem::into_system(flip(owner)).with_name("flip");
                    infer.add_systems(flip.in_set(sets.of(GraphSystems::Commit)));
                }
                copies.add(world, infer, sets, output, false)
            })
        };
        self.emit(world, Infer(self.model), 0, infer)?;
        let model = Model {
            graph: self.builder.graph,
            input: bindings.inputs[0],
            // Once the buffers have changed roles, what was written is in front.
            output: state.map_or(result, |state| state.front),
            output_gradient: heads.first().and_then(|head| head.output_gradient),
            kept,
            targets: heads.first().and_then(|head| head.targets),
            heads,
            coordinates,
            parameters: self.parameters.clone(),
            columns: self.borrowed.clone(),
        };
        let plans = Plans {
            training: planned.training.clone(),
            inference: inference.clone(),
            layout: planned.layout.clone(),
            readings: self.readings.clone(),
            fault: self.fault.clone(),
            is_watched: self.is_watched.clone(),
            emitters: self.emitters.clone(),
            graphs: bindings.graphs.clone(),
            state_owner: owner,
            parameters: self.parameters.clone(),
            borrowed: self.borrowed.clone(),
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
        let (domain, width) = self.planned.output()?;
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
        let given = self.builder.heads().iter().filter_map(|head| match head.targets {
            Some(HeadTargets::Values(values)) => Some(values),
            _ => None,
        });
        let read = inputs.iter().map(FeatureField::values).chain(targets).chain(given);
        let is_read = read.into_iter().any(|field| field.id() == column.id());
        Ok((!is_read && state.is_none() && self.builder.actors.is_empty()).then_some(column))
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

    /// The fields of the layout's columns. The output of a recurrent model goes to the back of its state, the gradients
    /// with respect to inputs where the user wants them.
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

    /// The heads, without their targets.
    fn heads(&self, bindings: &Bindings) -> Vec<ModelHead> {
        let field = |column: Option<Column>| bindings.field(column?);
        let training = self.planned.training.as_ref();
        let inference = &self.planned.inference;
        let heads = inference.program.heads.iter().enumerate().filter_map(|(number, head)| {
            Some(ModelHead {
                name: head.name.clone(),
                output: field(inference.column(head.output))?,
                output_gradient: training.and_then(|plan| field(plan.head_gradient(number))),
                targets: None,
                labels: None,
            })
        });
        heads.collect()
    }

    /// A number for the loss of each head whose loss is an operator.
    fn loss_numbers(&mut self, world: &mut World) -> Result<Vec<Option<Field>>, BuildError> {
        let mut numbers = Vec::new();
        for head in self.builder.heads() {
            let is_operator = matches!(head.loss, HeadLoss::Operator(_));
            let number = is_operator.then(|| FieldPool::take(world, None, 1)).transpose()?;
            self.borrowed.extend(number);
            numbers.push(number);
        }
        let taken: Vec<Field> = numbers.iter().flatten().copied().collect();
        Field::insert_into(world, self.model, &taken)?;
        Ok(numbers)
    }

    fn add_learning(
        &mut self,
        world: &mut World,
        learning: &Learning,
        training: &Arc<Plan>,
        bindings: &Arc<Bindings>,
        heads: &[ModelHead],
        copies: &Arc<Copies>,
    ) -> Result<(), BuildError> {
        let (model, described) = (self.model, self.builder.heads());
        let state = TrainingState { seed: self.builder.seed, ..TrainingState::default() };
        let metrics = Metrics::new(described.iter().map(|head| (&*head.name, head.weight)));
        let mut entity = world.entity_mut(model);
        entity.insert((learning.optimizer, learning.schedule, metrics, state, LearningFault::default()));
        entity.insert(Moments::new(learning.optimizer, self.learned.len(), self.builder.accumulation.is_some()));
        self.builder.accumulation.map(|accumulation| entity.insert(accumulation));
        self.builder.clipping.map(|clipping| entity.insert(clipping));

        let losses = Arc::new(Losses {
            model,
            graph: self.builder.graph,
            heads: described.iter().map(Head::without_layers).collect(),
            parts: heads.to_vec(),
            domains: training.program.heads.iter().map(|head| head.output.domain()).collect(),
            numbers: self.loss_numbers(world)?,
        });
        let output = heads.first().ok_or(BuildError::Empty)?.output;
        let train = {
            let (bindings, plan, readings) = (bindings.clone(), training.clone(), self.readings[1].clone());
            let (learned, losses, copies) = (self.learned.clone(), losses.clone(), copies.clone());
            let weighting = if losses.are_external() { LossWeighting::Uniform } else { LossWeighting::Terms };
            let buffers = bindings.parameters.iter().zip(&bindings.gradients);
            let buffers = buffers.filter(|(_, gradient)| gradient.is_none()).map(|(buffer, _)| *buffer);
            let buffers: Vec<Field> = buffers.collect();
            Emitter::new(move |world, train, sets| {
                let emission = Emission { plan: &plan, bindings: &bindings, readings: &readings, sets };
                add_pass(world, train, &emission, Pass::Forward)?;
                let trained = |number: usize| bindings.field(plan.column(plan.output(number)?)?);
                losses.add_learning(world, train, sets, trained)?;
                add_pass(world, train, &emission, Pass::Backward)?;
                optimizers::add(world, train, model, (&learned, &buffers), weighting, sets);
                copies.add(world, train, sets, trained(0).unwrap_or(output), true)
            })
        };
        self.emit(world, Train(model), 1, train)?;
        let evaluate = {
            let (bindings, plan) = (bindings.clone(), self.planned.inference.clone());
            let (readings, copies) = (self.readings[2].clone(), copies.clone());
            Emitter::new(move |world, evaluate, sets| {
                let emission = Emission { plan: &plan, bindings: &bindings, readings: &readings, sets };
                add_pass(world, evaluate, &emission, Pass::Forward)?;
                losses.add_measures(world, evaluate, sets)?;
                copies.add(world, evaluate, sets, output, true)
            })
        };
        self.emit(world, Evaluate(model), 2, evaluate)
    }

    /// Adds a schedule of the model's own, and keeps what its systems are made by.
    fn emit(
        &mut self,
        world: &mut World,
        label: impl ScheduleLabel,
        number: usize,
        emitter: Emitter,
    ) -> Result<(), BuildError> {
        let mut schedule = self.schedule(label);
        emitter.emit(world, &mut schedule, Sets::Own)?;
        finish(world, schedule)?;
        self.emitters[number] = Some(emitter);
        Ok(())
    }

    /// A schedule with its parts in order, in which races are errors, and the topologies kept up to date.
    ///
    /// Its systems run one after another and share their rows among the workers: for a single model that costs less
    /// than an executor with threads of its own.
    fn schedule(&self, label: impl ScheduleLabel) -> Schedule {
        let mut schedule = Schedule::new(label);
        schedule.set_build_settings(settings());
        schedule.set_executor(SingleThreadedExecutor::new());
        GraphSystems::chain(&mut schedule);
        Sets::Own.order_copies(&mut schedule);
        Sets::Own.stop_at(&mut schedule, &self.fault);
        let rebuild = IntoSystem::into_system(rebuild_topologies(self.planned.program.graphs.clone()));
        schedule.add_systems(rebuild.with_name("rebuild_topology").in_set(GraphSystems::Sync));
        schedule
    }
}

fn add_pass(world: &mut World, schedule: &mut Schedule, emission: &Emission, pass: Pass) -> Result<(), BuildError> {
    let set = match pass {
        Pass::Forward => GraphSystems::Forward,
        Pass::Backward => GraphSystems::Backward,
    };
    if let Some(system) = emission.system(world, pass)? {
        schedule.add_systems(system.in_set(emission.sets.of(set)));
    }
    Ok(())
}

fn flip(owner: Entity) -> impl FnMut(Query<&mut Parity>) {
    move |mut parities| {
        if let Ok(mut parity) = parities.get_mut(owner) {
            parity.flip();
        }
    }
}
