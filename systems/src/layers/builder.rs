//! What a layer is given to add its fields, parameters and systems with.

use bevy_ecs::{
    component::ComponentId,
    entity::Entity,
    name::Name,
    schedule::{IntoScheduleConfigs, Schedule, SystemSet},
    system::{BoxedSystem, IntoSystem},
    world::World,
};
use connectome_components::{Field, FieldError, Normalization, Optimizer, Parameter, Signal, Topology};
use std::collections::BTreeMap;

use crate::{Phase, random::Random};

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
    /// A number of the layer's description cannot be.
    #[error("layer {layer}: {reason}")]
    Layer {
        /// The layer, counted from 0.
        layer: usize,
        /// What is wrong and what to do.
        reason: String,
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
    /// All 0, as biases do.
    Zeros,
    /// Uniform within `sqrt(6 / (rows + columns))` on either side of 0 (Glorot & Bengio 2010, eq. 16).
    Glorot,
}

/// Fields and parameters of a model by name, so that its schedules share them; and systems as they are added.
pub(crate) struct ModelParts {
    pub(crate) model: Entity,
    pub(crate) graph: Entity,
    pub(crate) nodes: ComponentId,
    pub(crate) seed: u64,
    pub(crate) optimizer: Option<Optimizer>,
    pub(crate) fields: BTreeMap<String, Field>,
    pub(crate) parameters: Vec<(Entity, Parameter)>,
}

/// Adds the fields, parameters and systems of one layer to one schedule of a model.
pub struct LayerBuilder<'a> {
    world: &'a mut World,
    parts: &'a mut ModelParts,
    schedule: &'a mut Schedule,
    mode: Mode,
    index: usize,
    /// Buffers of a model that never learns, and whether the present layer may not write them.
    buffers: &'a mut Vec<(Field, bool)>,
    /// Where the model's last layer writes, if its output has a place already.
    destination: Option<Field>,
    forward: Vec<(Phase, BoxedSystem)>,
    backward: Vec<(Phase, BoxedSystem)>,
}

impl<'a> LayerBuilder<'a> {
    pub(crate) fn new(
        world: &'a mut World,
        parts: &'a mut ModelParts,
        schedule: &'a mut Schedule,
        mode: Mode,
        index: usize,
        buffers: &'a mut Vec<(Field, bool)>,
        destination: Option<Field>,
    ) -> Self {
        let (forward, backward) = (Vec::new(), Vec::new());
        Self { world, parts, schedule, mode, index, buffers, destination, forward, backward }
    }

    /// The world that the model lives in.
    pub fn world(&mut self) -> &mut World {
        self.world
    }

    /// What the schedule is for.
    pub fn mode(&self) -> Mode {
        self.mode
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

    /// The value of a dense signal, and its gradient if one is asked for.
    ///
    /// # Errors
    /// If the signal is sparse.
    pub fn dense(&self, signal: Signal) -> Result<(Field, Option<Field>), BuildError> {
        match signal {
            Signal::Dense { value, gradient } => Ok((value, gradient)),
            Signal::Sparse { .. } => Err(BuildError::Sparse { layer: self.index }),
        }
    }

    /// A field of the nodes, `[N, width]`, known by its name within the layer.
    ///
    /// A model that learns has one field for each name. One that only infers writes into buffers that later layers use
    /// again: two are enough whatever the depth.
    ///
    /// # Errors
    /// If the field cannot be registered.
    pub fn field(&mut self, name: &str, width: usize) -> Result<Field, BuildError> {
        if self.parts.optimizer.is_some() {
            let name = format!("layers.{}.{name}", self.index);
            return self.named_field(&name, width);
        }
        if let Some((field, busy)) = self.buffers.iter_mut().find(|(field, busy)| !busy && field.width() == width) {
            *busy = true;
            return Ok(*field);
        }
        let name = format!("buffers.{}", self.buffers.len());
        let field = Field::register(self.world, &name, self.parts.nodes, width)?;
        self.buffers.push((field, true));
        Ok(field)
    }

    fn named_field(&mut self, name: &str, width: usize) -> Result<Field, BuildError> {
        if let Some(field) = self.parts.fields.get(name) {
            return Ok(*field);
        }
        let field = Field::register(self.world, name, self.parts.nodes, width)?;
        self.parts.fields.insert(name.to_owned(), field);
        Ok(field)
    }

    /// Says that the systems added from now on do not read `signal`, the layer's input: where nothing is learned, they may
    /// write into its buffer.
    pub fn release(&mut self, signal: Signal) {
        if let Signal::Dense { value, .. } = signal {
            self.buffers.iter_mut().filter(|(field, _)| *field == value).for_each(|(_, busy)| *busy = false);
        }
    }

    /// The fields of the layer's output: its value, and in training its gradient.
    ///
    /// # Errors
    /// If a field cannot be registered, as for a layer of width 0.
    pub fn output(&mut self, width: usize) -> Result<(Field, Option<Field>), BuildError> {
        let value = match self.destination {
            Some(field) if field.width() == width => field,
            Some(field) => {
                let reason = format!("the last layer is {width} wide, but its output is to be {} wide", field.width());
                return Err(BuildError::Layer { layer: self.index, reason });
            }
            None => self.field("output", width)?,
        };
        let gradient = match self.mode {
            Mode::Training => Some(self.field("gradient", width)?),
            Mode::Inference => None,
        };
        Ok((value, gradient))
    }

    /// A parameter of the layer `[rows, columns]`, known by its name: an entity of its own.
    ///
    /// # Errors
    /// If it is too large to be addressed.
    pub fn parameter(
        &mut self,
        name: &str,
        shape: [usize; 2],
        initialization: Initialization,
        weight_decay: Option<f32>,
    ) -> Result<Parameter, BuildError> {
        let name = format!("layers.{}.{name}", self.index);
        if let Some((_, parameter)) = self.parts.parameters.iter().find(|(_, parameter)| parameter.name == name) {
            return Ok(parameter.clone());
        }
        let Some(size) = shape[0].checked_mul(shape[1]) else {
            return Err(FieldError::TooWide { name, width: shape[1] }.into());
        };
        let entity = self.world.spawn(Name::new(name.clone())).id();
        let fields = parameter_fields(self.world, entity, &name, size, self.parts.optimizer);
        let (value, learned) = fields.inspect_err(|_| {
            self.world.despawn(entity);
        })?;
        let number = self.parts.parameters.len() as u32;
        if initialization == Initialization::Glorot {
            let bound = (6.0 / (shape[0] + shape[1]) as f64).sqrt() as f32;
            let random = Random::new(self.parts.seed, PARAMETERS + number, 0);
            for row in value.matrix_mut(self.world).rows_mut() {
                random.fill_uniform(row);
                row.iter_mut().for_each(|weight| *weight = bound * (2.0 * *weight - 1.0));
            }
        }
        let (gradient, moments) = learned.unzip();
        let parameter = Parameter { name, shape, value, gradient, moments, weight_decay };
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

    /// Adds a system to a phase of this layer, after those added before.
    pub fn forward<M>(&mut self, phase: impl FnOnce(usize) -> Phase, system: impl IntoSystem<(), (), M>) {
        self.forward.push((phase(self.index), Box::new(IntoSystem::into_system(system))));
    }

    /// Adds a system to the layer's backward phase, after those added before.
    pub fn backward<M>(&mut self, system: impl IntoSystem<(), (), M>) {
        self.backward.push((Phase::Backward(self.index), Box::new(IntoSystem::into_system(system))));
    }

    /// Puts the systems into the schedule, and frees the buffers that no later layer reads.
    pub(crate) fn finish(self, output: Signal) {
        let layer = self.index;
        for (backward, systems) in [(false, self.forward), (true, self.backward)] {
            for (number, (phase, system)) in systems.into_iter().enumerate() {
                let place = Place { layer, backward, number };
                self.schedule.add_systems(system.in_set(phase).in_set(place));
                if number > 0 {
                    self.schedule.configure_sets(place.after(Place { number: number - 1, ..place }));
                }
            }
        }
        for (field, busy) in self.buffers {
            *busy = matches!(output, Signal::Dense { value, .. } if value == *field);
        }
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

/// Random numbers with this purpose and above initialise parameters; those below belong to layers.
const PARAMETERS: u32 = 1 << 16;
