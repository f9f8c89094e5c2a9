//! How a model learns: optimizer, heads and losses.

use connectome_components::{
    Features, Field, GradientAccumulation, GradientClipping, LearningRateSchedule, Loss, Optimizer,
};

use super::ModelBuilder;
use crate::model::{Head, components::ComponentBinding};

impl ModelBuilder {
    /// Trains the model by this optimizer, in the schedule [`Train`](crate::Train). A
    /// [`Split`](connectome_components::Split) is inserted into the nodes, edges or subgraphs of the output, and a
    /// [`ClassLabel`](connectome_components::ClassLabel) if the loss takes classes.
    pub fn optimizer(mut self, optimizer: Optimizer) -> Self {
        self.optimizer = Some(optimizer);
        self
    }

    /// Sets the learning rate schedule; [`LearningRateSchedule::Constant`] by default. It has no effect without an
    /// [optimizer](Self::optimizer).
    pub fn learning_rate_schedule(mut self, schedule: LearningRateSchedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Appends a head. All heads read the output of the layers of the model. Without heads, the model has the one head
    /// `output`, which is configured by [`loss`](Self::loss), [`targets`](Self::targets) and
    /// [`external_gradient`](Self::external_gradient).
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use connectome_components::{Graph, Loss, Model, Optimizer};
    /// use connectome_systems::{Head, ModelBuilder, layers::{GcnConv, Linear}};
    ///
    /// let mut world = World::new();
    /// let graph = Graph::spawn(&mut world);
    /// let model = ModelBuilder::new(graph)
    ///     .input_width(3)
    ///     .layer(GcnConv::new(8))
    ///     .head(Head::new("species").layer(Linear::new(4)))
    ///     .head(Head::new("mass").layer(Linear::new(1)).loss(Loss::MeanSquaredError).weight(0.1))
    ///     .optimizer(Optimizer::adam(0.01))
    ///     .build(&mut world)?;
    /// let mass = world.get::<Model>(model).and_then(|model| model.head("mass")).unwrap();
    /// assert_eq!(mass.output.width(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn head(mut self, head: Head) -> Self {
        self.heads.push(head);
        self
    }

    /// Trains the model to predict a component of its nodes, edges or subgraphs, which is as wide as the output:
    /// minimizes a loss that takes values, by this optimizer. Training rows are those whose
    /// [`Split`](connectome_components::Split) is `Train`.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use bytemuck::{Pod, Zeroable};
    /// use connectome_components::{Edge, Graph, Loss, Metrics, Optimizer, Split};
    /// use connectome_systems::{ModelBuilder, WorldModelExt, layers::GcnConv};
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Mood(f32);
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Target(f32);
    ///
    /// let mut world = World::new();
    /// let graph = Graph::of::<Mood, Edge>(&mut world);
    /// let model = ModelBuilder::new(graph)
    ///     .reads::<Mood>()
    ///     .layer(GcnConv::new(1))
    ///     .learns::<Target>(Loss::MeanSquaredError, Optimizer::adam(0.1));
    /// let model = world.spawn_model(model)?;
    /// world.spawn((Mood(0.5), Target(1.0), Split::Train));
    /// for _ in 0..100 {
    ///     world.train(model)?;
    /// }
    /// assert!(world.get::<Metrics>(model).unwrap().of(Split::Train).loss() < 1e-2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn learns<T: Features>(self, loss: Loss, optimizer: Optimizer) -> Self {
        self.predicts::<T>().loss(loss).optimizer(optimizer)
    }

    /// Takes the target values of the first head from a component, as [`ModelBuilder::learns`] does, for a loss and an optimizer
    /// that are set elsewhere. It has no effect without an [optimizer](Self::optimizer).
    pub fn predicts<T: Features>(mut self) -> Self {
        self.target_component = Some(ComponentBinding::of::<T>());
        self
    }

    /// Sets the loss; [`Loss::CrossEntropy`] by default.
    pub fn loss(self, loss: Loss) -> Self {
        self.output_head(|head| head.loss(loss))
    }

    /// Sets the field of the target values, for a loss that takes values; by default a new field,
    /// [`Model::targets`](connectome_components::Model::targets).
    pub fn targets(self, targets: Field) -> Self {
        self.output_head(|head| head.targets(targets))
    }

    /// Replaces the loss by an external gradient with respect to the output, as for policy gradients: a system of yours
    /// in [`GraphSystems::Loss`](crate::GraphSystems::Loss) of [`Train`](crate::Train) writes all rows of
    /// [`Model::output_gradient`](connectome_components::Model::output_gradient).
    pub fn external_gradient(self) -> Self {
        self.output_head(Head::external_gradient)
    }

    /// Changes the head `output` of a model to which no [`head`](Self::head) is added.
    pub fn output_head(mut self, change: impl FnOnce(Head) -> Head) -> Self {
        self.output = change(self.output);
        self.is_output_set = true;
        self
    }

    /// As [`ModelBuilder::heads`], to change them.
    pub(in crate::model) fn heads_mut(&mut self) -> &mut [Head] {
        if self.heads.is_empty() { core::slice::from_mut(&mut self.output) } else { &mut self.heads }
    }

    /// The heads; at least one.
    pub(in crate::model) fn heads(&self) -> &[Head] {
        if self.heads.is_empty() { core::slice::from_ref(&self.output) } else { &self.heads }
    }

    /// Accumulates the gradients of this number of training passes for each optimizer step; see
    /// [`GradientAccumulation`].
    pub fn accumulate_gradients(mut self, micro_batches: u32) -> Self {
        self.accumulation = Some(GradientAccumulation::new(micro_batches));
        self
    }

    /// Clips the norm of the gradient of all parameters together; see [`GradientClipping`].
    pub fn clip_norm(mut self, norm: f32) -> Self {
        self.clipping = Some(GradientClipping::new(norm));
        self
    }
}
