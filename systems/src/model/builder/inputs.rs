//! What a model reads and where it writes: inputs, components, kinds of nodes and relations.

use connectome_components::{FeatureField, Features, Field};
use std::sync::Arc;

use super::ModelBuilder;
use crate::model::{
    Act, Observe,
    components::ComponentBinding,
    input::Input,
    kinds::{EdgeRelation, NodeKind},
};

impl ModelBuilder {
    /// Reads a new field of this width, [`Model::input`](connectome_components::Model::input).
    pub fn input_width(mut self, width: usize) -> Self {
        self.input = Input::Width(width);
        self
    }

    /// Reads sparse features, of whose `width` values in a row at most `stored` are not 0. Only for a dry run; to build
    /// the model, use [`ModelBuilder::input`].
    pub fn sparse_input_width(mut self, width: usize, stored: usize) -> Self {
        self.input = Input::Sparse { width, stored };
        self
    }

    /// Reads existing fields.
    pub fn input(mut self, features: impl Into<FeatureField>) -> Self {
        self.input = Input::Given(features.into());
        self
    }

    /// Reads a component of the nodes: in place if it is `Pod`, otherwise copied by [`Features`]. Its default is
    /// inserted into nodes that lack it.
    ///
    /// Called several times, the input is the components side by side, in this order; each is copied. So systems that write
    /// different ones of them do not conflict.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use bytemuck::{Pod, Zeroable};
    /// use connectome_components::{Edge, Graph};
    /// use connectome_systems::{ModelBuilder, WorldModelExt, layers::GcnConv};
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Mood(f32);
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Steering([f32; 2]);
    ///
    /// let mut world = World::new();
    /// let graph = Graph::of::<Mood, Edge>(&mut world);
    /// let model = ModelBuilder::new(graph).reads::<Mood>().layer(GcnConv::new(2)).writes::<Steering>();
    /// let model = world.spawn_model(model)?;
    /// let [ann, bob] = [0.2, 0.9].map(|mood| world.spawn(Mood(mood)).id());
    /// world.spawn(Edge { source: ann, target: bob });
    /// world.infer(model)?;
    /// assert_ne!(world.get::<Steering>(bob).unwrap().0, [0.0; 2]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reads<T: Features>(mut self) -> Self {
        self.input.add_component::<T>(&mut self.components);
        self
    }

    /// Reads the array that a function computes from components of each node, such as `|(position, speed): (&Position,
    /// &Speed)| [position.x, position.y, speed.0]`. The parameter needs a type annotation. The input of nodes that lack
    /// one of the components is 0.
    ///
    /// It is called after the systems in [`GraphSystems::Observe`](crate::GraphSystems::Observe), in all schedules of
    /// the model.
    pub fn observe<Marker, const WIDTH: usize>(mut self, observe: impl Observe<Marker, WIDTH>) -> Self {
        let observe = Arc::new(observe);
        self.observer = Some(Arc::new(move |world, rows| Arc::clone(&observe).system(world, rows)));
        self.input = Input::Observed(WIDTH);
        self
    }

    /// Writes the output to a component of its nodes, edges or subgraphs, in all schedules of the model: in place if it
    /// is `Pod`, otherwise copied by [`Features`]. It is marked as changed, for `Changed<T>`. Its default is inserted
    /// into entities that lack it.
    ///
    /// If the model also reads the component, or calls functions by [`ModelBuilder::act`], the output is always copied,
    /// before [`GraphSystems::Act`](crate::GraphSystems::Act).
    pub fn writes<T: Features>(mut self) -> Self {
        self.written = Some(ComponentBinding::of::<T>());
        self
    }

    /// Calls a function with each row of the output and components of its entity, such as `|output: &[f32], steering:
    /// &mut Steering| steering.0 = output[0]`. The parameters need type annotations; in a tuple of components, mutable
    /// ones come first. Entities that lack one of them are skipped.
    ///
    /// It is called before the systems in [`GraphSystems::Act`](crate::GraphSystems::Act), in all schedules of the
    /// model; several functions in the order in which they were added.
    pub fn act<Marker>(mut self, act: impl Act<Marker>) -> Self {
        let act = Arc::new(act);
        self.actors.push(Arc::new(move |world, rows| Arc::clone(&act).system(world, rows)));
        self
    }

    /// Reads a component of the edges as edge features; see [`ModelBuilder::reads`].
    pub fn reads_edges<T: Features>(mut self) -> Self {
        self.edges = Some(Input::Component(ComponentBinding::of::<T>()));
        self
    }

    /// Reads existing fields as edge features, for the layers that read them.
    pub fn edge_input(mut self, features: impl Into<FeatureField>) -> Self {
        self.edges = Some(Input::Given(features.into()));
        self
    }

    /// Reads a new field of this width as edge features.
    pub fn edge_input_width(mut self, width: usize) -> Self {
        self.edges = Some(Input::Width(width));
        self
    }

    /// Reads an existing field, such as `[N, 3]`, as coordinates of the nodes, for the layers that update them. The
    /// result is [`Model::coordinates`](connectome_components::Model::coordinates); a system of yours in
    /// [`GraphSystems::Act`](crate::GraphSystems::Act) may copy it back.
    pub fn coordinates(mut self, features: impl Into<FeatureField>) -> Self {
        self.coordinates = Some(Input::Given(features.into()));
        self
    }

    /// Writes the gradient of the loss with respect to an input in each training step: `input` is a field given for
    /// node features, edge features or coordinates, `gradient` a field of the same width on the same rows.
    pub fn input_gradient(mut self, input: Field, gradient: Field) -> Self {
        self.input_gradients.push((input, gradient));
        self
    }

    /// Names the kind of the nodes of the model's graph, for relations; `node` by default.
    pub fn kind_name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.own_kind);
        self
    }

    /// Adds another kind of nodes with what is read of them. Layers are applied to each kind with parameters of its own, but
    /// for those that pass messages along relations.
    pub fn kind(mut self, kind: NodeKind) -> Self {
        self.kinds.push(kind);
        self
    }

    /// Adds a relation, along which layers as [`HeteroConv`](crate::layers::HeteroConv) pass messages from nodes of one kind to
    /// those of another, or of the same.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use bytemuck::{Pod, Zeroable};
    /// use connectome_components::{Edge, Graph};
    /// use connectome_systems::{
    ///     EdgeRelation, ModelBuilder, NodeKind, WorldModelExt,
    ///     layers::{HeteroConv, Linear, SageConv},
    /// };
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Player([f32; 3]);
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Item([f32; 5]);
    /// #[derive(Component)]
    /// struct Owns;
    ///
    /// let mut world = World::new();
    /// let owns = Graph::relation::<Player, Owns, Item>(&mut world);
    /// let owned_by = Graph::reversed(&mut world, owns).unwrap();
    /// let model = ModelBuilder::new(owned_by)
    ///     .kind_name("player")
    ///     .reads::<Player>()
    ///     .kind(NodeKind::new("item").reads::<Item>())
    ///     .relation(EdgeRelation::new("owns", owns, ["player", "item"]))
    ///     .relation(EdgeRelation::new("owned_by", owned_by, ["item", "player"]))
    ///     .layer(HeteroConv::new(SageConv::new(8)))
    ///     .layer(Linear::new(2));
    /// let model = world.spawn_model(model)?;
    /// let (player, sword) = (world.spawn(Player::default()).id(), world.spawn(Item::default()).id());
    /// world.spawn((Edge { source: player, target: sword }, Owns));
    /// world.infer(model)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn relation(mut self, relation: EdgeRelation) -> Self {
        self.relations.push(relation);
        self
    }

    /// Reads the previous output of the model: a state of this width for each node, double-buffered and swapped in
    /// [`GraphSystems::Commit`](crate::GraphSystems::Commit). Such a model cannot be trained yet.
    pub fn recurrent(mut self, width: usize) -> Self {
        self.input = Input::State(width);
        self
    }
}
