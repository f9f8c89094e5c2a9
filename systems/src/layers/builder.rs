//! What a layer is given to add its fields, parameters and systems with.

use bevy_ecs::{
    entity::Entity,
    schedule::{IntoScheduleConfigs, Schedule, SystemSet},
    system::{IntoSystem, ScheduleSystem},
    world::World,
};
use connectome_components::{Field, Graph, Normalization, Optimizer, Parameter, Signal, Topology};
use core::ops::Range;

use super::{
    BuildError, Layer, Room,
    tape::{Columns, Gradients, Tape},
};
use crate::{
    Phase,
    kernels::Activation,
    stages::{self, Epilogue},
    topology::rebuild_topology,
};

/// What a schedule is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Forward with dropout, loss, backward, optimizer. Every activation is kept.
    Training,
    /// Forward alone.
    Inference,
}

/// What the schedules of a model share.
pub(crate) struct ModelParts {
    pub(crate) model: Entity,
    pub(crate) graph: Entity,
    /// The components by which the rows of the graph are known.
    pub(crate) rows: Graph,
    /// What the model reads and does not write.
    pub(crate) input: Option<Field>,
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
    pub(super) world: &'a mut World,
    pub(super) parts: &'a mut ModelParts,
    pub(super) schedule: &'a mut Schedule,
    pub(super) mode: Mode,
    pub(super) tape: Tape,
    pub(super) gradients: Gradients,
    /// Gradients that are to be added to others of the same signal when the present stage is done.
    pub(super) sums: Vec<(Field, Field)>,
    pub(super) parameter_sums: Vec<(Field, Field, Range<usize>)>,
    /// The numbers of each parameter whose gradient is written already.
    pub(super) written: Vec<(Field, Range<usize>)>,
    /// The present layer, counted from 0, and how many systems it has, forward or backward.
    pub(super) index: usize,
    pub(super) systems: usize,
    /// How far the forward systems of the layer have come: a layer of several rounds does the further ones in `Update`.
    pub(super) reached: Phase,
    /// Whether stages compute what is sent along the edges.
    pub(super) sends: bool,
    /// The present layer and those that it is a part of.
    pub(super) frames: Vec<Frame>,
    pub(super) edges: Option<Signal>,
    pub(super) coordinates: Option<Signal>,
    /// Further graphs whose topology the schedule keeps up to date.
    pub(super) graphs: Vec<Entity>,
    /// Where a recurrent model's state goes, and whether the next stage writes there.
    pub(super) place: Option<Field>,
    pub(super) destination: Option<Field>,
    /// The activation that is the next layer, and whether the next stage is the one that it is applied to.
    pub(super) following: Option<Activation>,
    pub(super) ends_layer: bool,
    /// Whether the next part is the last of its layer.
    pub(super) ends_frame: bool,
    pub(super) purposes: u32,
}

/// A layer while it is built.
pub(super) struct Frame {
    /// What its parameters' names begin with.
    pub(super) path: String,
    /// Whether its output is that of the layer which it is a part of.
    pub(super) is_last: bool,
    /// Its input, until it is released.
    pub(super) input: Option<Field>,
    /// What its stages computed and no one released yet.
    pub(super) created: Vec<Field>,
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
            following: None,
            ends_layer: false,
            ends_frame: true,
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

    /// A random-number purpose that no other stage of the schedule has.
    pub fn purpose(&mut self) -> u32 {
        self.purposes += 1;
        self.purposes - 1
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
        let is_last = core::mem::take(&mut self.ends_frame);
        self.frames.push(Frame { path, is_last, input: Some(input.value()), created: Vec::new() });
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
        let mut is_done = false;
        for (index, layer) in layers.iter().enumerate() {
            if core::mem::take(&mut is_done) {
                continue;
            }
            (self.index, self.systems, self.reached, self.sends) = (index, 0, Phase::Message(index), false);
            self.place = destination.filter(|_| index + 1 == layers.len());
            let following = layers.get(index + 1).and_then(|layer| layer.activation());
            self.following = following.filter(|activation| activation.derivative_from_output());
            (self.ends_layer, self.ends_frame) = (false, true);
            let passes = self.following.is_some();
            signal = self.nested(&index.to_string(), &**layer, signal)?;
            is_done = passes && self.following.is_none();
            let place = self.place.or(destination.filter(|_| is_done && index + 2 == layers.len()));
            if let Some(place) = place {
                signal = self.arrive(signal, input, place)?;
            }
        }
        Ok(signal)
    }

    /// Says that the next stage is the layer's last one. What a recurrent model's last layer computes then goes where
    /// the next step reads it, without a copy.
    ///
    /// An activation that is the next layer may be applied by it in passing.
    pub fn last_stage(&mut self) {
        if self.frames.iter().all(|frame| frame.is_last) {
            self.destination = self.place;
            self.ends_layer = true;
        }
    }

    /// Says that the next nested part is the layer's last one.
    pub fn last_part(&mut self) {
        self.ends_frame = true;
    }

    /// What a stage does in passing: its epilogue, and if that has no activation and the stage is a layer's last one, the
    /// activation that comes next.
    pub(crate) fn in_passing(&mut self, epilogue: Epilogue) -> Epilogue {
        let applies = self.ends_layer && epilogue.activation == Activation::Identity;
        match self.following.take_if(|_| applies) {
            Some(activation) => Epilogue { activation, ..epilogue },
            None => epilogue,
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
        self.ends_layer = false;
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

    pub(super) fn add<M>(&mut self, phase: Phase, backward: bool, system: impl IntoScheduleConfigs<ScheduleSystem, M>) {
        let place = Place { layer: self.index, backward, number: self.systems };
        self.systems += 1;
        self.schedule.add_systems(system.in_set(phase).in_set(place));
        if place.number > 0 {
            self.schedule.configure_sets(place.after(Place { number: place.number - 1, ..place }));
        }
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
