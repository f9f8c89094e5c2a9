//! What a layer is given to add its fields, parameters and systems with.

use bevy_ecs::{
    component::ComponentId,
    entity::Entity,
    name::Name,
    schedule::{IntoScheduleConfigs, Schedule, SystemSet},
    system::{IntoSystem, ScheduleSystem},
    world::World,
};
use connectome_components::{Field, FieldError, Graph, Normalization, Optimizer, Parameter, Signal, Stored, Topology};
use core::ops::Range;

use super::{
    Layer,
    tape::{Columns, Gradients, Step, Tape},
};
use crate::{Phase, random::Random, stages, topology::rebuild_topology};

/// A model could not be built.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BuildError {
    /// A field could not be registered.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The entity given as a graph carries no [`Graph`](connectome_components::Graph).
    #[error("entity {0} is no graph; spawn one with `Graph::spawn` or `Graph::of`")]
    NoGraph(Entity),
    /// The entity given as a model carries no [`Model`](connectome_components::Model).
    #[error("entity {0} is no model any more, so its schedules cannot run; build the model anew")]
    NoModel(Entity),
    /// A parameter of the model was despawned.
    #[error("parameter {parameter} of model {model} is gone, so its schedules cannot run; build the model anew")]
    NoParameter {
        /// The model.
        model: Entity,
        /// The entity of the parameter.
        parameter: Entity,
    },
    /// The layer reads every number of its input, but the input is sparse.
    #[error("layer {layer} needs a dense signal; put a Linear or GraphConv before it, or give dense features")]
    Sparse {
        /// The layer, counted from 0.
        layer: usize,
    },
    /// The layer cannot be as it is described, or not on this input.
    #[error("layer {layer} {reason}")]
    Layer {
        /// The layer, counted from 0.
        layer: usize,
        /// The setting that is to be changed, if it is one.
        setting: Option<&'static str>,
        /// What the layer does wrong; and, after a semicolon, what to do.
        reason: String,
    },
    /// The model would take more than the [`Room`] it is given.
    #[error(
        "with layer {layer} the model takes more memory than it may; make the layer narrower, or the graph smaller"
    )]
    TooLarge {
        /// The layer, counted from 0.
        layer: usize,
        /// Bytes that the model takes up to there; none if they are more than can be counted.
        needed: Option<usize>,
    },
    /// The model has no layers.
    #[error("the model has no layers; add at least one")]
    Empty,
    /// The model reads its own output, and is to learn.
    #[error("a recurrent model cannot learn yet; leave out `learn`, or give it an input")]
    Recurrent,
    /// There is no such schedule in the world.
    #[error(
        "the world has no schedule {0}; build the model first, let it learn if it is to train, and mend what `add_systems` refused"
    )]
    NoSchedule(String),
    /// Systems without an order touch the same field, or their order goes round in a circle.
    #[error("the schedule cannot be built:\n{0}")]
    Schedule(String),
}

/// What a schedule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forward with dropout, loss, backward, optimizer. Every activation is kept.
    Training,
    /// Forward alone.
    Inference,
}

/// How weights begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialization {
    /// All the same, as biases begin with 0 and scales with 1.
    Constant(f32),
    /// Uniform within `sqrt(6 / (rows + columns))` on either side of 0 (Glorot & Bengio 2010, eq. 16).
    Glorot,
    /// Uniform within this bound on either side of 0.
    Uniform(f32),
}

impl Initialization {
    /// All 0.
    pub const ZEROS: Self = Self::Constant(0.0);
}

/// How much memory a model may take, and on how many rows it will work: so that one which is too large for the machine
/// is refused before any of it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Nodes of the graph.
    pub nodes: usize,
    /// Edges of the graph.
    pub edges: usize,
    /// Subgraphs of the graph.
    pub subgraphs: usize,
    /// Bytes for columns and parameters.
    pub bytes: usize,
}

/// What the schedules of a model share.
pub(crate) struct ModelParts {
    pub(crate) model: Entity,
    pub(crate) graph: Entity,
    /// The components by which the rows of the graph are known.
    pub(crate) rows: Graph,
    /// Features of the edges, if there are any.
    pub(crate) edges: Option<Signal>,
    /// Where the nodes are, if they are anywhere.
    pub(crate) coordinates: Option<Signal>,
    /// Where the gradients by given fields go.
    pub(crate) wanted: Vec<(Field, Field)>,
    pub(crate) seed: u64,
    pub(crate) optimizer: Option<Optimizer>,
    pub(crate) room: Option<Room>,
    /// Bytes taken so far; none if they are more than can be counted.
    pub(crate) taken: Option<usize>,
    pub(crate) columns: Columns,
    /// For the gradient of a parameter that several stages have, a field for the second and further ones.
    pub(crate) shared: Vec<(Field, Field)>,
    pub(crate) parameters: Vec<(Entity, Parameter)>,
}

/// Adds the fields, parameters and systems of a model's layers to one of its schedules.
///
/// Layers are made of stages. A stage adds its systems to the forward pass at once and says with
/// [`LayerBuilder::on_backward`] what it will add to the backward pass; that is asked for in the opposite order, once all
/// layers stand.
pub struct LayerBuilder<'a> {
    world: &'a mut World,
    parts: &'a mut ModelParts,
    schedule: &'a mut Schedule,
    mode: Mode,
    tape: Tape,
    gradients: Gradients,
    /// Gradients that are to be added to others of the same signal when the present stage is done.
    sums: Vec<(Field, Field)>,
    parameter_sums: Vec<(Field, Field, Range<usize>)>,
    /// The numbers of each parameter whose gradient is written already.
    written: Vec<(Field, Range<usize>)>,
    /// The present layer, counted from 0, and how many systems it has, forward or backward.
    index: usize,
    systems: usize,
    /// How far the forward systems of the layer have come: a layer of several rounds does the further ones in `Update`.
    reached: Phase,
    /// Whether stages compute what is sent along the edges.
    sends: bool,
    /// The present layer and those that it is a part of.
    frames: Vec<Frame>,
    edges: Option<Signal>,
    coordinates: Option<Signal>,
    /// Further graphs whose topology the schedule keeps up to date.
    graphs: Vec<Entity>,
    /// Where a recurrent model's state goes, and whether the next stage writes there.
    place: Option<Field>,
    destination: Option<Field>,
    purposes: u32,
}

/// A layer while it is built.
struct Frame {
    /// What its parameters' names begin with.
    path: String,
    /// Its input, until it is released.
    input: Option<Field>,
    /// What its stages computed and no one released yet.
    created: Vec<Field>,
}

impl<'a> LayerBuilder<'a> {
    pub(crate) fn new(world: &'a mut World, parts: &'a mut ModelParts, schedule: &'a mut Schedule, mode: Mode) -> Self {
        parts.columns.release_all();
        let (edges, coordinates) = (parts.edges, parts.coordinates);
        Self {
            world,
            parts,
            schedule,
            mode,
            tape: Tape::default(),
            gradients: Gradients::default(),
            sums: Vec::new(),
            parameter_sums: Vec::new(),
            written: Vec::new(),
            index: 0,
            systems: 0,
            reached: Phase::Message(0),
            sends: false,
            frames: Vec::new(),
            edges,
            coordinates,
            graphs: Vec::new(),
            place: None,
            destination: None,
            purposes: 0,
        }
    }

    /// The world that the model lives in.
    pub fn world(&mut self) -> &mut World {
        self.world
    }

    /// What the schedule is for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Says that the stages from now on compute what is sent along the edges, up to the next aggregation.
    pub fn messages(&mut self) {
        self.sends = self.reached == Phase::Message(self.index);
    }

    /// The layer's number, counted from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The model's entity.
    pub fn model(&self) -> Entity {
        self.parts.model
    }

    /// The graph's entity.
    pub fn graph(&self) -> Entity {
        self.parts.graph
    }

    /// The components by which the nodes, edges and subgraphs of the graph are known.
    pub fn rows(&self) -> Graph {
        self.parts.rows
    }

    /// What the edges carry: the model's edge features, or what the layers before have made of them.
    ///
    /// # Errors
    /// If the model has none.
    pub fn edges(&self) -> Result<Signal, BuildError> {
        let reason =
            "reads features of the edges, but the model has none; give it some with `ModelBuilder::edge_input`";
        self.edges.ok_or_else(|| self.refuse(reason))
    }

    /// Hands features of the edges to the layers that follow.
    pub fn set_edges(&mut self, edges: Signal) {
        self.hold(edges);
        if let Some(before) = self.edges.replace(edges) {
            self.parts.columns.release(before.value());
        }
    }

    /// Where the nodes are: the model's coordinates, or what the layers before have made of them.
    ///
    /// # Errors
    /// If the model has none.
    pub fn coordinates(&self) -> Result<Signal, BuildError> {
        let reason =
            "reads coordinates of the nodes, but the model has none; give it some with `ModelBuilder::coordinates`";
        self.coordinates.ok_or_else(|| self.refuse(reason))
    }

    /// Hands coordinates of the nodes to the layers that follow.
    pub fn set_coordinates(&mut self, coordinates: Signal) {
        self.hold(coordinates);
        if let Some(before) = self.coordinates.replace(coordinates) {
            self.parts.columns.release(before.value());
        }
    }

    /// Adds stages on another graph over the same nodes, whose topology is kept up to date as well.
    ///
    /// # Errors
    /// If the entity is no graph, or its nodes are others; and those of the stages.
    pub fn over<R>(
        &mut self,
        graph: Entity,
        stages: impl FnOnce(&mut Self) -> Result<R, BuildError>,
    ) -> Result<R, BuildError> {
        let rows = *self.world.get::<Graph>(graph).ok_or(BuildError::NoGraph(graph))?;
        rows.check(self.world)?;
        if rows.nodes != self.parts.rows.nodes {
            return Err(
                self.refuse(format!("reads graph {graph}, which has other nodes; make one over the same nodes"))
            );
        }
        if graph != self.parts.graph && !self.graphs.contains(&graph) {
            // One after the other, for each may change the whole world.
            let rebuild = IntoSystem::into_system(rebuild_topology(graph)).with_name("rebuild_topology");
            self.schedule.add_systems(rebuild.in_set(Phase::Prepare).in_set(Rebuild(self.graphs.len() + 1)));
            self.schedule.configure_sets(Rebuild(self.graphs.len() + 1).after(Rebuild(self.graphs.len())));
            self.graphs.push(graph);
        }
        let own = (self.parts.graph, self.parts.rows);
        (self.parts.graph, self.parts.rows) = (graph, rows);
        let result = stages(self);
        (self.parts.graph, self.parts.rows) = own;
        result
    }

    /// The error that this layer cannot be built: what it does wrong and, after a semicolon, what to do.
    pub fn refuse(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Layer { layer: self.index, setting: None, reason: reason.into() }
    }

    /// The same, because of one of its settings.
    pub fn refuse_setting(&self, setting: &'static str, reason: impl Into<String>) -> BuildError {
        BuildError::Layer { layer: self.index, setting: Some(setting), reason: reason.into() }
    }

    /// Takes room for so many numbers.
    fn charge(&mut self, rows: usize, width: usize) -> Result<(), BuildError> {
        let bytes = rows.checked_mul(width).and_then(|numbers| numbers.checked_mul(size_of::<f32>()));
        let parts = &mut self.parts;
        parts.taken = parts.taken.zip(bytes).and_then(|(taken, bytes)| taken.checked_add(bytes));
        match (parts.room, parts.taken) {
            (None, _) => Ok(()),
            (Some(room), Some(taken)) if taken <= room.bytes => Ok(()),
            (Some(_), needed) => Err(BuildError::TooLarge { layer: self.index, needed }),
        }
    }

    /// The field of a dense signal.
    ///
    /// # Errors
    /// If the signal is sparse.
    pub fn dense(&self, signal: Signal) -> Result<Field, BuildError> {
        match signal {
            Signal::Dense { value, .. } => Ok(value),
            Signal::Sparse { .. } => Err(BuildError::Sparse { layer: self.index }),
        }
    }

    /// A random-number purpose that no other stage of the schedule has.
    pub fn purpose(&mut self) -> u32 {
        self.purposes += 1;
        self.purposes - 1
    }

    /// A column for what a stage computes, `[N, width]` on the rows of component `on`. Other signals may have used it
    /// before, so every number is to be written.
    ///
    /// `learns` says whether the gradient by it is of use: whether an input of the stage learns, or the stage has
    /// parameters.
    ///
    /// # Errors
    /// If the field cannot be registered, as for width 0.
    pub fn signal(&mut self, on: ComponentId, width: usize, learns: bool) -> Result<Signal, BuildError> {
        let learns = learns && self.mode == Mode::Training;
        if let Some(value) = self.destination.take_if(|field| field.width() == width && field.on() == on) {
            return Ok(Signal::Dense { value, learns });
        }
        let value = self.take(on, width)?;
        if let Some(frame) = self.frames.last_mut() {
            frame.created.push(value);
        }
        Ok(Signal::Dense { value, learns })
    }

    fn take(&mut self, on: ComponentId, width: usize) -> Result<Field, BuildError> {
        if width == 0 {
            return Err(self.refuse_setting("width", "has width 0; a layer is at least 1 wide"));
        }
        if let Some(field) = self.parts.columns.take_free(on, width) {
            return Ok(field);
        }
        let (graph, room) = (self.parts.rows, self.parts.room);
        let rows = room.map_or(0, |room| match on {
            on if on == graph.nodes => room.nodes,
            on if on == graph.edges => room.edges,
            _ => room.subgraphs,
        });
        self.charge(rows, width)?;
        let name = format!("columns.{}", self.parts.columns.len());
        Ok(self.parts.columns.take_new(self.world, &name, on, width)?)
    }

    /// Keeps a signal for a stage that comes after others which would release it, as the far end of a residual
    /// connection. Each `hold` is ended by a [`LayerBuilder::release`].
    pub fn hold(&mut self, signal: Signal) {
        self.parts.columns.hold(signal.value());
    }

    /// Says that no forward system added from now on reads `signal`, so that its column may be used again.
    ///
    /// A layer releases all that it computed, except its output, when it is done.
    pub fn release(&mut self, signal: Signal) {
        let field = signal.value();
        if let Some(frame) = self.frames.last_mut() {
            if frame.input == Some(field) {
                frame.input = None;
            } else if let Some(place) = frame.created.iter().position(|created| *created == field) {
                frame.created.swap_remove(place);
            }
        }
        self.parts.columns.release(field);
    }

    /// Builds a layer as a part of this one; its parameters' names begin with `name`.
    ///
    /// `input` is released by it: hold it before if it is read again.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn nested(&mut self, name: &str, part: &dyn Layer, input: Signal) -> Result<Signal, BuildError> {
        let path = match self.frames.last() {
            Some(frame) => format!("{}.{name}", frame.path),
            None => format!("layers.{name}"),
        };
        if let Some(outer) = self.frames.last_mut() {
            // The part owns it from now on.
            outer.created.retain(|created| *created != input.value());
            outer.input.take_if(|field| *field == input.value());
        }
        self.frames.push(Frame { path, input: Some(input.value()), created: Vec::new() });
        let output = part.build(input, self)?;
        if let Some(frame) = self.frames.pop() {
            let unused = frame.created.iter().chain(&frame.input).filter(|field| **field != output.value());
            unused.for_each(|field| self.parts.columns.release(*field));
        }
        if let Some(outer) = self.frames.last_mut() {
            outer.created.push(output.value());
        }
        Ok(output)
    }

    /// Builds the model's layers, one after the other; the last one writes to `destination` if there is one.
    pub(crate) fn build(
        &mut self,
        layers: &[Box<dyn Layer>],
        input: Signal,
        destination: Option<Field>,
    ) -> Result<Signal, BuildError> {
        let mut signal = input;
        for (index, layer) in layers.iter().enumerate() {
            (self.index, self.systems, self.reached, self.sends) = (index, 0, Phase::Message(index), false);
            self.place = destination.filter(|_| index + 1 == layers.len());
            signal = self.nested(&index.to_string(), &**layer, signal)?;
            if let Some(place) = self.place {
                signal = self.arrive(signal, input, place)?;
            }
        }
        Ok(signal)
    }

    /// Says that the next stage is the layer's last one. What a recurrent model's last layer computes then goes where
    /// the next step reads it, without a copy.
    pub fn last_stage(&mut self) {
        if let [_] = self.frames.as_slice() {
            self.destination = self.place;
        }
    }

    /// Brings the output of a recurrent model to its place, if it is not there already.
    fn arrive(&mut self, output: Signal, input: Signal, place: Field) -> Result<Signal, BuildError> {
        let value = self.dense(output)?;
        if output == input {
            let reason = "hands its input on, so the next state is never written; end with a layer that computes";
            return Err(self.refuse(reason));
        }
        if value.width() != place.width() {
            let (found, expected) = (value.width(), place.width());
            return Err(self.refuse(format!("is {found} wide, but the model's state is {expected} wide")));
        }
        if value != place {
            self.destination = Some(place);
            return stages::scale(self, output, 1.0);
        }
        Ok(output)
    }

    /// A parameter of the layer `[rows, columns]`, known by its name: an entity of its own. Weight files hold it in the
    /// shape `stored`.
    ///
    /// # Errors
    /// If it is too large to be addressed.
    pub fn parameter(
        &mut self,
        name: &str,
        shape: [usize; 2],
        stored: Stored,
        initialization: Initialization,
        weight_decay: Option<f32>,
    ) -> Result<Parameter, BuildError> {
        let optimizer = self.parts.optimizer;
        self.add_parameter(name, shape, stored, initialization, weight_decay, optimizer)
    }

    /// The weights of a linear map, `[inputs, outputs]`; `[outputs, inputs]` in files.
    ///
    /// # Errors
    /// If they are too many to be addressed.
    pub fn weight(
        &mut self,
        name: &str,
        shape: [usize; 2],
        weight_decay: Option<f32>,
    ) -> Result<Parameter, BuildError> {
        let stored = Stored { shape: vec![shape[1], shape[0]], transposed: true };
        self.parameter(name, shape, stored, Initialization::Glorot, weight_decay)
    }

    /// A vector of `width` numbers, such as a bias.
    ///
    /// # Errors
    /// If it is too long to be addressed.
    pub fn vector(
        &mut self,
        name: &str,
        width: usize,
        initialization: Initialization,
        weight_decay: Option<f32>,
    ) -> Result<Parameter, BuildError> {
        let stored = Stored { shape: vec![width], transposed: false };
        self.parameter(name, [1, width], stored, initialization, weight_decay)
    }

    /// A vector of `width` numbers that is saved with the weights but not learned, such as running statistics.
    ///
    /// # Errors
    /// If it is too long to be addressed.
    pub fn statistics(
        &mut self,
        name: &str,
        width: usize,
        initialization: Initialization,
    ) -> Result<Parameter, BuildError> {
        let stored = Stored { shape: vec![width], transposed: false };
        self.add_parameter(name, [1, width], stored, initialization, None, None)
    }

    fn add_parameter(
        &mut self,
        name: &str,
        shape: [usize; 2],
        stored: Stored,
        initialization: Initialization,
        weight_decay: Option<f32>,
        optimizer: Option<Optimizer>,
    ) -> Result<Parameter, BuildError> {
        let path = self.frames.last().map_or("", |frame| &frame.path);
        let name = format!("{path}.{name}");
        if let Some((_, parameter)) = self.parts.parameters.iter().find(|(_, parameter)| parameter.name == name) {
            return Ok(parameter.clone());
        }
        if shape.contains(&0) {
            return Err(self.refuse_setting("width", "has width 0; a layer is at least 1 wide"));
        }
        if weight_decay.is_some_and(|decay| !(decay.is_finite() && decay >= 0.0)) {
            let reason = format!(
                "has the weight decay {}; write a finite number that is not negative",
                weight_decay.unwrap_or_default()
            );
            return Err(self.refuse_setting("weight_decay", reason));
        }
        let copies = optimizer.map_or(1, |optimizer| 2 + optimizer.moments());
        let size = shape[0].saturating_mul(shape[1]);
        self.charge(copies, size)?;
        let entity = self.world.spawn(Name::new(name.clone())).id();
        let fields = parameter_fields(self.world, entity, &name, size, optimizer);
        let (value, learned) = fields.inspect_err(|_| {
            self.world.despawn(entity);
        })?;
        let number = self.parts.parameters.len() as u32;
        let random = Random::new(self.parts.seed, PARAMETERS + number, 0);
        let bound = match initialization {
            Initialization::Constant(_) => 0.0,
            Initialization::Glorot => (6.0 / (shape[0] + shape[1]) as f64).sqrt() as f32,
            Initialization::Uniform(bound) => bound,
        };
        for row in value.matrix_mut(self.world).rows_mut() {
            match initialization {
                Initialization::Constant(number) => row.fill(number),
                Initialization::Glorot | Initialization::Uniform(_) => {
                    random.fill_uniform(row);
                    row.iter_mut().for_each(|weight| *weight = bound * (2.0 * *weight - 1.0));
                }
            }
        }
        let (gradient, moments) = learned.unzip();
        let parameter = Parameter { name, shape, stored, value, gradient, moments, weight_decay };
        self.world.entity_mut(entity).insert(parameter.clone());
        self.parts.parameters.push((entity, parameter.clone()));
        Ok(parameter)
    }

    /// Asks for a normalisation of the graph; returns its place in [`Adjacency::coefficients`].
    ///
    /// [`Adjacency::coefficients`]: connectome_components::Adjacency::coefficients
    pub fn require(&mut self, normalization: Normalization) -> usize {
        let graph = self.parts.graph;
        self.world.get_mut::<Topology>(graph).map_or(0, |mut topology| topology.require(normalization))
    }

    /// Adds a system to a phase of this layer, after those added before. A system that comes after one of a later phase
    /// joins that phase.
    pub fn forward<M>(
        &mut self,
        phase: impl FnOnce(usize) -> Phase,
        system: impl IntoScheduleConfigs<ScheduleSystem, M>,
    ) {
        let phase = phase(self.index);
        self.sends &= rank(phase) != rank(Phase::Aggregate(0));
        if !self.sends && rank(phase) > rank(self.reached) {
            self.reached = phase;
        }
        self.add(if self.sends { Phase::Message(self.index) } else { self.reached }, false, system);
    }

    /// Adds a system to the layer's backward phase, after those added before; to be called on the way back.
    pub fn backward<M>(&mut self, system: impl IntoScheduleConfigs<ScheduleSystem, M>) {
        self.add(Phase::Backward(self.index), true, system);
    }

    fn add<M>(&mut self, phase: Phase, backward: bool, system: impl IntoScheduleConfigs<ScheduleSystem, M>) {
        let place = Place { layer: self.index, backward, number: self.systems };
        self.systems += 1;
        self.schedule.add_systems(system.in_set(phase).in_set(place));
        if place.number > 0 {
            self.schedule.configure_sets(place.after(Place { number: place.number - 1, ..place }));
        }
    }

    /// Says what a stage does on the way back: with the gradient by its `output`, it adds the systems that compute the
    /// gradients by its inputs ([`LayerBuilder::gradient_of`]) and parameters
    /// ([`LayerBuilder::gradient_of_parameter`]). They may overwrite the gradient that they are given.
    ///
    /// `keeps` are the signals of the forward pass that they read. Nothing happens if the output does not learn.
    pub fn on_backward(
        &mut self,
        output: Signal,
        keeps: &[Signal],
        backward: impl FnOnce(&mut LayerBuilder, Field) -> Result<(), BuildError> + 'static,
    ) {
        self.on_backward_of(&[output], keeps, move |layer, gradients| match gradients {
            [Some(gradient)] => backward(layer, *gradient),
            _ => Ok(()),
        });
    }

    /// As [`LayerBuilder::on_backward`] for a stage with several outputs, of which some may have no gradient, or with
    /// none, as a loss has.
    pub fn on_backward_of(
        &mut self,
        outputs: &[Signal],
        keeps: &[Signal],
        backward: impl FnOnce(&mut LayerBuilder, &[Option<Field>]) -> Result<(), BuildError> + 'static,
    ) {
        let learns = outputs.is_empty() || outputs.iter().any(Signal::learns);
        if self.mode == Mode::Inference || !learns {
            return;
        }
        keeps.iter().for_each(|signal| self.parts.columns.hold(signal.value()));
        let keeps = keeps.iter().map(Signal::value).collect();
        let outputs = outputs.iter().map(Signal::value).collect();
        let graph = (self.parts.graph, self.parts.rows);
        self.tape.0.push(Step { layer: self.index, graph, outputs, keeps, backward: Box::new(backward) });
    }

    /// The field for the gradient of the loss by `signal`, which the caller's system is to write in full. None if
    /// nobody asks for it. To be called on the way back.
    ///
    /// Where several stages read one signal each is given a field of its own, and their sum is taken.
    ///
    /// # Errors
    /// If the field cannot be registered.
    pub fn gradient_of(&mut self, signal: Signal) -> Result<Option<Field>, BuildError> {
        let Signal::Dense { value, learns: true } = signal else { return Ok(None) };
        if let Some(total) = self.gradients.of(value) {
            let part = self.take(value.on(), value.width())?;
            self.sums.push((part, total));
            return Ok(Some(part));
        }
        let wanted = self.parts.wanted.iter().find(|(known, _)| *known == value).map(|(_, gradient)| *gradient);
        let gradient = match wanted {
            Some(gradient) => gradient,
            None => self.take(value.on(), value.width())?,
        };
        self.gradients.insert(value, gradient);
        Ok(Some(gradient))
    }

    /// The field for the gradient of the loss by some rows of a parameter, in which the caller's system is to write just
    /// these rows. None if the parameter does not learn. To be called on the way back.
    ///
    /// # Errors
    /// If the field cannot be registered.
    pub fn gradient_of_parameter(
        &mut self,
        parameter: &Parameter,
        rows: Range<usize>,
    ) -> Result<Option<Field>, BuildError> {
        let Some(total) = parameter.gradient else { return Ok(None) };
        let numbers = rows.start * parameter.shape[1]..rows.end * parameter.shape[1];
        if !self.written.contains(&(total, numbers.clone())) {
            self.written.push((total, numbers));
            return Ok(Some(total));
        }
        let owner = self.parts.parameters.iter().find(|(_, known)| known.name == parameter.name);
        let Some((owner, _)) = owner else { return Ok(None) };
        let part = match self.parts.shared.iter().find(|(known, _)| *known == total) {
            Some((_, part)) => *part,
            None => {
                let name = format!("{}.part", parameter.name);
                let part = Field::register_for(self.world, *owner, &name, total.width())?;
                self.parts.shared.push((total, part));
                part
            }
        };
        self.parameter_sums.push((part, total, numbers));
        Ok(Some(part))
    }

    /// Goes through the tape backward, once the gradient by the model's output has been asked for.
    pub(crate) fn unroll(&mut self) -> Result<(), BuildError> {
        let mut systems = 0;
        let own = (self.parts.graph, self.parts.rows);
        while let Some(Step { layer, graph, outputs, keeps, backward }) = self.tape.0.pop() {
            self.systems = if layer == self.index { systems } else { 0 };
            self.index = layer;
            (self.parts.graph, self.parts.rows) = graph;
            let gradients: Vec<Option<Field>> = outputs.iter().map(|output| self.gradients.remove(*output)).collect();
            if outputs.is_empty() || gradients.iter().any(Option::is_some) {
                backward(self, &gradients)?;
                for (part, total) in core::mem::take(&mut self.sums) {
                    stages::add_gradient(self, part, total);
                    self.parts.columns.release(part);
                }
                for (part, total, numbers) in core::mem::take(&mut self.parameter_sums) {
                    stages::add_parameter_gradient(self, part, total, numbers);
                }
            }
            keeps.iter().chain(gradients.iter().flatten()).for_each(|field| self.parts.columns.release(*field));
            systems = self.systems;
        }
        (self.parts.graph, self.parts.rows) = own;
        Ok(())
    }
}

/// The order of the phases within a layer.
fn rank(phase: Phase) -> usize {
    match phase {
        Phase::Message(_) => 0,
        Phase::Aggregate(_) => 1,
        _ => 2,
    }
}

/// The value of a parameter; and if it learns, its gradient and the optimizer's moments.
fn parameter_fields(
    world: &mut World,
    entity: Entity,
    name: &str,
    size: usize,
    optimizer: Option<Optimizer>,
) -> Result<(Field, Option<(Field, Field)>), FieldError> {
    let mut field = |part: &str, width| Field::register_for(world, entity, &format!("{name}.{part}"), width);
    let value = field("value", size)?;
    let Some(optimizer) = optimizer else { return Ok((value, None)) };
    let moments = size.saturating_mul(optimizer.moments());
    Ok((value, Some((field("gradient", size)?, field("moments", moments)?))))
}

/// The place of a system among those of its layer.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    layer: usize,
    backward: bool,
    number: usize,
}

/// The place of a graph among those whose topology a schedule keeps up to date; the model's own is the first.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rebuild(pub(crate) usize);

/// Random numbers with this purpose and above initialise parameters; those below belong to layers.
const PARAMETERS: u32 = 1 << 16;
