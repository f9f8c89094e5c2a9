//! Models that were trained on the command line, in a world of the user's.

use bevy_ecs::{entity::Entity, world::World};
use std::path::Path;

use crate::data::RewriteData;
use crate::languages::mathematics::Terms;
use crate::output::OutputError;
use crate::rewriter;
use crate::scene::{RelationDescription, SceneError, SceneFile, SceneModel, heads::HeadFields, model::Purpose};
use crate::systems::{ModelBuilder, WorldModelExt, layers::BuildError};
use crate::weights::load_weights;

/// A trained model could not be spawned.
#[derive(Debug, thiserror::Error)]
pub enum SpawnTrainedError {
    /// The scene could not be read.
    #[error(transparent)]
    Scene(#[from] SceneError),
    /// The model of the scene does not fit what it is to read and write.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The weights could not be read, or are not those of the model: above all if it reads a component of another width.
    #[error(transparent)]
    Weights(#[from] OutputError),
    /// The model was given other kinds or relations than those of the scene, or in another order: weights are by their order.
    #[error("the model reads {found}, but the scene has {expected}; give it these, in this order")]
    Kinds {
        /// Those of the scene.
        expected: String,
        /// Those of the model.
        found: String,
    },
    /// A world of terms was to be rewritten by what is made for words.
    #[error("the scene rewrites no terms; give one whose graph is Terms")]
    NoTerms,
}

/// Brings models that the command `connectome` has trained into a world.
pub trait WorldTrainedExt {
    /// Spawns the model of a scene with weights that were trained for it, on a graph of this world. It infers only.
    ///
    /// Of the scene file only the model is read; its graph need not be there. `connect` says what the model reads and writes in
    /// this world, for one by [`ModelBuilder::reads`] and [`ModelBuilder::writes`]. What it reads is to be scaled as the
    /// scene's features were. Where the scene has kinds of nodes, it also gives the model these, by
    /// [`kind_name`](ModelBuilder::kind_name) and [`kind`](ModelBuilder::kind), and the relations with their reverses in the order
    /// of the scene, by [`relation`](ModelBuilder::relation). The weights are the file `weights.safetensors` that `connectome train SCENE --output FOLDER`
    /// leaves in the folder.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use bytemuck::{Pod, Zeroable};
    /// use connectome::prelude::*;
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Warmth(f32);
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(C)]
    /// struct Forecast(f32);
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let weights_file = folder.path().join("weights.safetensors");
    /// # let (scene, data) = SceneFile::load("assets/rooms.ron")?;
    /// # let mut trainer = connectome::Trainer::new(&scene, &data, 0, Workers::single())?;
    /// # trainer.train(|_| {})?;
    /// # connectome::output::write_weights(&weights_file, &trainer.weights(), Default::default())?;
    /// // connectome train assets/rooms.ron --output rooms
    /// # let _ = stringify!(
    /// let weights_file = "rooms/weights.safetensors";
    /// # );
    /// let mut world = World::new();
    /// let graph = Graph::of::<Warmth, Edge>(&mut world);
    /// let model = world.spawn_trained(graph, "assets/rooms.ron", &weights_file, |model| {
    ///     model.reads::<Warmth>().writes::<Forecast>()
    /// })?;
    ///
    /// let [hall, cellar] = [4.0, 2.0].map(|warmth| world.spawn(Warmth(warmth)).id());
    /// world.spawn(Edge { source: cellar, target: hall });
    /// world.infer(model)?;
    /// // Half of the room's own and half of its neighbors', as the scene has taught it.
    /// assert!((world.get::<Forecast>(hall).unwrap().0 - 3.0).abs() < 0.1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the scene or the weights cannot be read, or the model does not fit to one of them or to what it reads and writes; then
    /// the world is left without it.
    fn spawn_trained(
        &mut self,
        graph: Entity,
        scene: impl AsRef<Path>,
        weights: impl AsRef<Path>,
        connect: impl FnOnce(ModelBuilder) -> ModelBuilder,
    ) -> Result<Entity, SpawnTrainedError>;

    /// Spawns the model of a scene of rewriting, which rewrites the terms of a graph of this world: each run of its schedule
    /// `Infer` is one pass over all of them, at whose end entities are spawned, despawned, relabeled and rewired; see
    /// [`rewrite_terms`](crate::languages::rewriting::rewrite_terms).
    ///
    /// The graph has plain nodes, as [`EntityDag::node`](crate::languages::rewriting::EntityDag::node) and
    /// [`LanguageGraph::spawn`](crate::languages::LanguageGraph::spawn) make them. Their labels are those of `terms`, which is a
    /// copy of [`RewriteData::terms`] to which terms of yours may have been added.
    ///
    /// ```no_run
    /// use bevy_ecs::world::World;
    /// use connectome::languages::rewriting::{EntityDag, run_until_settled};
    /// use connectome::prelude::*;
    ///
    /// // connectome train assets/simplify.ron --output simplify
    /// let (_, data) = SceneFile::load("assets/simplify.ron")?;
    /// let rewriting = data.rewriting.ok_or("the scene rewrites nothing")?;
    /// let mut terms = rewriting.terms().ok_or("the scene rewrites no terms")?.clone();
    /// let term = terms.read_infix("(x + 0)*1")?;
    ///
    /// let mut world = World::new();
    /// let graph = Graph::spawn(&mut world);
    /// EntityDag::spawn(&terms.dag(term), &mut world, EntityDag::node, EntityDag::edge);
    /// let (scene, weights) = ("assets/simplify.ron", "simplify/weights.safetensors");
    /// let model = world.spawn_rewriter(graph, scene, weights, terms.clone(), &rewriting)?;
    /// let settled = run_until_settled(&mut world, graph, Infer(model), 100)?;
    /// println!("{settled:?}");
    /// let x = terms.of_dag(&EntityDag::read(&mut world, graph)?.dag)?;
    /// assert_eq!(terms.infix(x)?, "x");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`spawn_trained`](Self::spawn_trained), and if the scene rewrites no terms.
    fn spawn_rewriter(
        &mut self,
        graph: Entity,
        scene: impl AsRef<Path>,
        weights: impl AsRef<Path>,
        terms: Terms,
        rewriting: &RewriteData,
    ) -> Result<Entity, SpawnTrainedError>;
}

/// Checks that a model has the kinds and relations of its scene, in the same order.
fn check_kinds(scene: &SceneFile, model: &SceneModel) -> Result<(), SpawnTrainedError> {
    let (SceneModel::Single(model), Some(own)) = (model, &scene.kind) else { return Ok(()) };
    let program = model.record()?;
    let relation = |name: &str, [source, target]: [&str; 2]| format!("`{name}` from `{source}` to `{target}`");
    let mut expected = vec![format!("nodes of the kind `{own}`")];
    for RelationDescription { name, source, target, reverse } in &scene.relations {
        expected.push(relation(name, [source, target]));
        expected.extend(reverse.iter().map(|name| relation(name, [target, source])));
    }
    let found = program.kind_names().take(1).map(|name| format!("nodes of the kind `{name}`"));
    let found: Vec<String> = found.chain(program.relation_names().map(|(name, ends)| relation(name, ends))).collect();
    if found == expected {
        return Ok(());
    }
    Err(SpawnTrainedError::Kinds { expected: expected.join(", "), found: found.join(", ") })
}

impl WorldTrainedExt for World {
    fn spawn_trained(
        &mut self,
        graph: Entity,
        scene: impl AsRef<Path>,
        weights: impl AsRef<Path>,
        connect: impl FnOnce(ModelBuilder) -> ModelBuilder,
    ) -> Result<Entity, SpawnTrainedError> {
        let scene = SceneFile::load_model(scene)?;
        let seed = scene.training.seed;
        let model = scene.with_layers(Purpose::Inference, graph, connect, seed, &HeadFields::default());
        check_kinds(&scene, &model)?;
        let model = model.build(self)?;
        match load_weights(self, model, weights.as_ref(), &[]) {
            Ok(()) => Ok(model),
            Err(error) => {
                self.remove_model(model)?;
                Err(error.into())
            }
        }
    }

    fn spawn_rewriter(
        &mut self,
        graph: Entity,
        scene: impl AsRef<Path>,
        weights: impl AsRef<Path>,
        terms: Terms,
        rewriting: &RewriteData,
    ) -> Result<Entity, SpawnTrainedError> {
        let rewriting = rewriting.with_terms(terms).ok_or(SpawnTrainedError::NoTerms)?;
        let inputs = rewriter::Inputs::register(self, graph, rewriting)?;
        let model = self.spawn_trained(graph, scene, weights, |model| inputs.connect(model))?;
        if let Err(error) = inputs.add_systems(self, model) {
            self.remove_model(model)?;
            return Err(error.into());
        }
        Ok(model)
    }
}
