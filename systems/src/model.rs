//! Builds a model: its entity, its parameters and its schedules.

use bevy_ecs::{
    component::ComponentId,
    entity::Entity,
    name::Name,
    schedule::{
        IntoScheduleConfigs, LogLevel, Schedule, ScheduleBuildSettings, ScheduleLabel, Schedules,
        SingleThreadedExecutor,
    },
    system::{IntoSystem, Query, ScheduleSystem},
    world::World,
};
use connectome_components::{
    DoubleBuffer, Field, GradientAccumulation, GradientClipping, Graph, LearningRateSchedule, Loss, Metrics, Model,
    Optimizer, Parameter, Parity, Signal, TrainingState,
};
use core::any::Any;

use crate::{
    Phase, Workers,
    layers::{BuildError, Columns, Layer, LayerBuilder, Mode, ModelParts, Rebuild, Room},
    loss::{LossError, Targets, loss_and_gradient, measure},
    optimize::{self, PassWeight},
    topology::rebuild_topology,
};

/// Runs the layers of a model forward: observe, compute, act.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Infer(pub Entity);

/// One training step of a model: forward with dropout, loss, backward, optimizer.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Train(pub Entity);

/// Runs the layers of a model forward and measures loss and accuracy on every split.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Evaluate(pub Entity);

/// Describes a model; [`ModelBuilder::build`] puts it into a world.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Edge, Graph, Model, GraphNode};
/// use connectome_systems::{Infer, ModelBuilder, kernels::Activation, layers::{GcnConv, Linear}, run};
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// let model = ModelBuilder::new(graph)
///     .input_width(3)
///     .layer(GcnConv::new(8))
///     .layer(Activation::Relu)
///     .layer(Linear::new(2))
///     .build(&mut world)?;
///
/// let [a, b] = [world.spawn(GraphNode).id(), world.spawn(GraphNode).id()];
/// world.spawn(Edge { source: a, target: b });
/// run(&mut world, Infer(model))?;
/// let output = world.get::<Model>(model).map(|model| model.output).unwrap();
/// assert_eq!(output.get(&world, b)?.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ModelBuilder {
    name: String,
    graph: Entity,
    input: Input,
    edges: Option<Signal>,
    coordinates: Option<Signal>,
    wanted: Vec<(Field, Field)>,
    layers: Vec<Box<dyn Layer>>,
    seed: u64,
    room: Option<Room>,
    learning: Option<Learning>,
    loss: Loss,
    targets: Option<Field>,
    accumulation: Option<GradientAccumulation>,
    clipping: Option<GradientClipping>,
}

enum Input {
    Width(usize),
    Signal(Signal),
    Recurrent(usize),
}

struct Learning {
    optimizer: Optimizer,
    schedule: LearningRateSchedule,
}

impl ModelBuilder {
    /// A model over the nodes of `graph`, with an input of width 1, no layers, and nothing to learn.
    pub fn new(graph: Entity) -> Self {
        Self {
            name: "model".to_owned(),
            graph,
            input: Input::Width(1),
            edges: None,
            coordinates: None,
            wanted: Vec::new(),
            layers: Vec::new(),
            seed: 0,
            room: None,
            learning: None,
            loss: Loss::CrossEntropy,
            targets: None,
            accumulation: None,
            clipping: None,
        }
    }

    /// The name of its entity.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Reads a field of its own, so many numbers wide.
    pub fn input_width(mut self, width: usize) -> Self {
        self.input = Input::Width(width);
        self
    }

    /// Reads fields that exist already.
    pub fn input(mut self, signal: impl Into<Signal>) -> Self {
        self.input = Input::Signal(signal.into());
        self
    }

    /// Features of the edges, for the layers that read them.
    pub fn edge_input(mut self, signal: impl Into<Signal>) -> Self {
        self.edges = Some(signal.into());
        self
    }

    /// Where the nodes are, for the layers that move them: a field of the nodes such as `[N, 3]`. Where they have moved to
    /// is [`Model::coordinates`]; a system of yours in [`Phase::Act`] can bring it back.
    pub fn coordinates(mut self, signal: impl Into<Signal>) -> Self {
        self.coordinates = Some(signal.into());
        self
    }

    /// Asks each training step for the gradient of the loss by a field that the model reads, the input, the features of
    /// the edges or the coordinates, and where it goes: a field of the same width on the same rows.
    pub fn gradient(mut self, by: Field, into: Field) -> Self {
        self.wanted.push((by, into));
        self
    }

    /// Reads its own last output: a state of so many numbers for each node, in two buffers that change roles at
    /// [`Phase::Commit`]. Such a model does not learn yet.
    pub fn recurrent(mut self, width: usize) -> Self {
        self.input = Input::Recurrent(width);
        self
    }

    /// Adds a layer after those added before.
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// What the random numbers of the weights and of training are keyed by.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Lets the model learn the targets of the rows that its output has: nodes, edges or subgraphs. Of these rows each
    /// has a [`Split`](connectome_components::Split), and a [`ClassLabel`](connectome_components::ClassLabel) if the loss takes
    /// classes.
    pub fn learn(mut self, optimizer: Optimizer, schedule: LearningRateSchedule) -> Self {
        self.learning = Some(Learning { optimizer, schedule });
        self
    }

    /// Builds only a plan of the model: refuses it if it takes more memory than there is, and gives its parameters no numbers,
    /// so that the plan itself takes hardly any.
    pub fn planned(mut self, room: Room) -> Self {
        self.room = Some(room);
        self
    }

    /// What is to become small; [`Loss::CrossEntropy`] if nothing is said.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = loss;
        self
    }

    /// The numbers that the output is to become, for a loss that takes numbers; without, the model has a field of its own
    /// for them, [`Model::targets`].
    pub fn targets_in(mut self, targets: Field) -> Self {
        self.targets = Some(targets);
        self
    }

    /// Lets so many training passes make one step of the optimizer; see [`GradientAccumulation`].
    pub fn accumulate(mut self, micro_batches: u32) -> Self {
        self.accumulation = Some(GradientAccumulation::new(micro_batches));
        self
    }

    /// Shortens the gradient of all parameters together to this length; see [`GradientClipping`].
    pub fn clip(mut self, norm: f32) -> Self {
        self.clipping = Some(GradientClipping::new(norm));
        self
    }

    /// Spawns the model and its parameters, and adds its schedules to the world: [`Infer`], and if it learns [`Train`] and
    /// [`Evaluate`]. Adds the resource [`Workers`] if there is none.
    ///
    /// # Errors
    /// If the graph is none, a layer cannot take its input, or two systems would race; then nothing of the model is left but
    /// the fields that its nodes may have been given.
    pub fn build(self, world: &mut World) -> Result<Entity, BuildError> {
        if self.layers.is_empty() {
            return Err(BuildError::Empty);
        }
        world.init_resource::<Workers>();
        world.init_resource::<Schedules>();
        let graph = world.get::<Graph>(self.graph).ok_or(BuildError::NoGraph(self.graph))?;
        graph.check(world)?;
        let rows = *graph;
        let model = world.spawn(Name::new(self.name.clone())).id();
        let mut parts = ModelParts {
            model,
            graph: self.graph,
            rows,
            input: None,
            edges: self.edges.map(|edges| self.learning_input(edges)),
            coordinates: self.coordinates.map(|coordinates| self.learning_input(coordinates)),
            wanted: self.wanted.clone(),
            seed: self.seed,
            optimizer: self.learning.as_ref().map(|learning| learning.optimizer),
            room: self.room,
            taken: Some(0),
            columns: Columns::default(),
            shared: Vec::new(),
            parameters: Vec::new(),
        };
        if let Err(error) = self.add_schedules(world, &mut parts) {
            let mut schedules = world.resource_mut::<Schedules>();
            schedules.remove(Train(model));
            schedules.remove(Evaluate(model));
            for (parameter, _) in parts.parameters {
                world.despawn(parameter);
            }
            world.despawn(model);
            return Err(error);
        }
        Ok(model)
    }

    fn add_schedules(&self, world: &mut World, parts: &mut ModelParts) -> Result<(), BuildError> {
        let (input, destination) = self.input_signal(world, parts.model, parts.rows.nodes)?;
        // A state is written by the model itself.
        parts.input = destination.is_none().then_some(input.value());
        let learning = self.learning.as_ref();
        let targets = learning.map(|learning| self.add_learning(world, parts, input, learning)).transpose()?;
        let mut infer = self.schedule(Infer(parts.model));
        let mut layers = LayerBuilder::new(world, parts, &mut infer, Mode::Inference);
        let mut output = dense(layers.build(&self.layers, input, destination)?)?;
        let coordinates = self.coordinates.and_then(|_| layers.coordinates().ok()).map(|signal| signal.value());
        if destination.is_some() {
            let flip = IntoSystem::into_system(flip(parts.model)).with_name("flip");
            infer.add_systems(flip.in_set(Phase::Commit));
            // Once the buffers have changed roles, what was written is in front.
            output = dense(input)?;
        }
        finish(world, infer)?;
        let parameters = parts.parameters.iter().map(|(entity, _)| *entity).collect();
        let columns = parts.columns.fields().collect();
        let targets = targets.and_then(|targets| match targets {
            Targets::Numbers { values, .. } => Some(values),
            Targets::Classes { .. } => None,
        });
        let model = Model { graph: self.graph, input, output, targets, coordinates, parameters, columns };
        world.entity_mut(parts.model).insert(model);
        Ok(())
    }

    fn add_learning(
        &self,
        world: &mut World,
        parts: &mut ModelParts,
        input: Signal,
        learning: &Learning,
    ) -> Result<Targets, BuildError> {
        let model = parts.model;
        let unfit = |error: LossError| BuildError::Layer {
            layer: self.layers.len() - 1,
            setting: None,
            reason: error.to_string(),
        };
        let state = TrainingState { seed: self.seed, ..TrainingState::default() };
        let mut entity = world.entity_mut(model);
        entity.insert((learning.optimizer, learning.schedule, Metrics::default(), state));
        self.accumulation.map(|accumulation| entity.insert(accumulation));
        self.clipping.map(|clipping| entity.insert(clipping));

        let mut train = self.schedule(Train(model));
        let mut layers = LayerBuilder::new(world, parts, &mut train, Mode::Training);
        let output = layers.build(&self.layers, input, None)?;
        // A last layer of the user's that hands on nothing to learn from is a loss of its own.
        let gradient = layers.gradient_of(output)?;
        layers.unroll()?;
        if output == input && parts.parameters.is_empty() {
            let reason = "hands the model's input on, so there is nothing to learn; add a layer with parameters";
            return Err(BuildError::Layer { layer: self.layers.len() - 1, setting: None, reason: reason.to_owned() });
        }
        let targets = self.targets(world, dense(output)?)?;
        let mut weight = PassWeight::Alike;
        if let Some(gradient) = gradient {
            let system =
                loss_and_gradient(world, model, self.loss, output.value(), gradient, targets).map_err(unfit)?;
            train.add_systems(system.in_set(Phase::Loss));
            weight = PassWeight::Terms;
        }
        optimize::add(world, &mut train, model, &parts.parameters, weight)?;
        finish(world, train)?;

        let mut evaluate = self.schedule(Evaluate(model));
        let mut layers = LayerBuilder::new(world, parts, &mut evaluate, Mode::Inference);
        let output = layers.build(&self.layers, input, None)?;
        let system = measure(world, model, self.loss, dense(output)?, targets).map_err(unfit)?;
        evaluate.add_systems(system.in_set(Phase::Loss));
        finish(world, evaluate)?;
        Ok(targets)
    }

    /// What the rows of `output` are to become.
    fn targets(&self, world: &mut World, output: Field) -> Result<Targets, BuildError> {
        Ok(match self.targets {
            Some(values) if !self.loss.is_classification() => {
                Targets::Numbers { values, splits: Field::of_component(world, output.domain())? }
            }
            _ => Targets::register(world, self.loss, output)?,
        })
    }

    /// What the first layer reads, and where the last one writes if that is settled.
    fn input_signal(
        &self,
        world: &mut World,
        model: Entity,
        nodes: ComponentId,
    ) -> Result<(Signal, Option<Field>), BuildError> {
        match self.input {
            Input::Signal(signal) => Ok((self.learning_input(signal), None)),
            Input::Width(width) => Ok((Field::register(world, "input", nodes, width)?.into(), None)),
            Input::Recurrent(_) if self.learning.is_some() => Err(BuildError::Recurrent),
            Input::Recurrent(width) => {
                let state = DoubleBuffer::register(world, model, "state", nodes, width)?;
                Ok((state.front.into(), Some(state.back)))
            }
        }
    }

    /// A given signal; it learns if its gradient was asked for.
    fn learning_input(&self, signal: Signal) -> Signal {
        match signal {
            Signal::Dense { value, .. } => {
                Signal::Dense { value, learns: self.wanted.iter().any(|(wanted, _)| *wanted == value) }
            }
            sparse => sparse,
        }
    }

    /// A schedule with the phases in order, in which races are errors, and the topology kept up to date.
    ///
    /// Its systems run one after another and share their rows among the workers: for a single model that costs less than
    /// an executor with threads of its own.
    fn schedule(&self, label: impl ScheduleLabel) -> Schedule {
        let mut schedule = Schedule::new(label);
        schedule.set_build_settings(ScheduleBuildSettings {
            ambiguity_detection: LogLevel::Error,
            // Nodes that come, go or move in the midst of a step would have rows that the topology does not know.
            auto_insert_apply_deferred: false,
            ..ScheduleBuildSettings::default()
        });
        schedule.set_executor(SingleThreadedExecutor::new());
        Phase::chain(&mut schedule, self.layers.len());
        let rebuild = IntoSystem::into_system(rebuild_topology(self.graph)).with_name("rebuild_topology");
        schedule.add_systems(rebuild.in_set(Phase::Prepare).in_set(Rebuild(0)));
        schedule
    }
}

fn dense(signal: Signal) -> Result<Field, BuildError> {
    match signal {
        Signal::Dense { value, .. } => Ok(value),
        Signal::Sparse { .. } => Err(BuildError::Sparse { layer: 0 }),
    }
}

/// Builds the schedule, so that races come to light now, and adds it to the world.
pub(crate) fn finish(world: &mut World, mut schedule: Schedule) -> Result<(), BuildError> {
    if let Err(error) = schedule.initialize(world) {
        return Err(BuildError::Schedule(error.to_string(schedule.graph(), world)));
    }
    world.resource_mut::<Schedules>().insert(schedule);
    Ok(())
}

fn flip(model: Entity) -> impl FnMut(Query<&mut Parity>) {
    move |mut parities| {
        if let Ok(mut parity) = parities.get_mut(model) {
            parity.flip();
        }
    }
}

/// Adds systems of the user's to a schedule of a model, and checks it for races.
///
/// Order them by [`Phase`]: `add_systems(world, Infer(model), steer.in_set(Phase::Act))`. Their commands are applied when
/// the whole step is done, so that no node comes or goes in the midst of it; exclusive systems that spawn, despawn or
/// insert belong before [`Phase::Prepare`] or into [`Phase::Act`].
///
/// # Errors
/// If there is no such schedule, or two systems would race: then the schedule is taken out, for it cannot run.
pub fn add_systems<M>(
    world: &mut World,
    label: impl ScheduleLabel,
    systems: impl IntoScheduleConfigs<ScheduleSystem, M>,
) -> Result<(), BuildError> {
    let Some(mut schedule) = world.get_resource_or_init::<Schedules>().remove(label.intern()) else {
        return Err(BuildError::NoSchedule(format!("{label:?}")));
    };
    schedule.add_systems(systems);
    finish(world, schedule)
}

/// Runs a schedule of a model with the world's [`Workers`].
///
/// With more than one worker the systems run on one of the pool's threads, so they cannot take `NonSend` data.
///
/// # Errors
/// If there is no such schedule, as [`Train`] of a model that does not learn; or if the model, its graph or one of its
/// parameters has been despawned.
pub fn run(world: &mut World, label: impl ScheduleLabel) -> Result<(), BuildError> {
    let model = model_of(&label);
    let label = label.intern();
    let exists = world.get_resource::<Schedules>().is_some_and(|schedules| schedules.contains(label));
    if let (true, Some(model)) = (exists, model) {
        check_parts(world, model)?;
    }
    let workers = world.get_resource_or_init::<Workers>().clone();
    workers.install(|| world.try_run_schedule(label)).map_err(|_| BuildError::NoSchedule(format!("{label:?}")))
}

/// The model that a schedule of this module belongs to.
fn model_of(label: &dyn Any) -> Option<Entity> {
    let train = label.downcast_ref().map(|Train(model)| *model);
    let evaluate = || label.downcast_ref().map(|Evaluate(model)| *model);
    let infer = || label.downcast_ref().map(|Infer(model)| *model);
    train.or_else(evaluate).or_else(infer)
}

/// Whether all that the systems of a model read is still there.
fn check_parts(world: &World, entity: Entity) -> Result<(), BuildError> {
    let model = world.get::<Model>(entity).ok_or(BuildError::NoModel(entity))?;
    if world.get::<Graph>(model.graph).is_none() {
        return Err(BuildError::NoGraph(model.graph));
    }
    match model.parameters.iter().find(|parameter| world.get::<Parameter>(**parameter).is_none()) {
        Some(parameter) => Err(BuildError::NoParameter { model: entity, parameter: *parameter }),
        None => Ok(()),
    }
}
