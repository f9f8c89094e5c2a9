//! What the heads of a scene's model predict.

use bevy_ecs::{entity::Entity, world::World};
use std::collections::HashMap;

use super::{
    TrainError, Trainer,
    corpus::{Examples, Step},
};
use crate::components::{Edge, Field, MixtureOfExperts, Model, Rows};
use crate::spawn::SceneEntities;
use crate::systems::{Infer, batch::Batch, run};

/// The output of one head of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct HeadOutput {
    /// The head.
    pub name: String,
    /// Row after row.
    pub values: Vec<f32>,
    /// Values in a row.
    pub width: usize,
}

impl HeadOutput {
    /// Adds the rows of entities, in this order.
    fn add_rows(&mut self, world: &World, field: Field, entities: &[Entity]) {
        self.values.extend(entities.iter().filter_map(|entity| field.get(world, *entity).ok()).flatten());
    }
}

/// The outputs of all heads.
fn heads_of(world: &World, model: Entity) -> Vec<(String, Field)> {
    let heads = world.get::<Model>(model).into_iter().flat_map(|model| &model.heads);
    heads.map(|head| (head.name.clone(), head.output)).collect()
}

impl Trainer {
    /// The output of the first head, row by row, and its width; see [`Trainer::outputs`].
    ///
    /// # Errors
    /// If the schedules were taken out of the world.
    pub fn infer(&mut self) -> Result<(Vec<f32>, usize), TrainError> {
        let first = self.outputs()?.into_iter().next();
        Ok(first.map_or((Vec::new(), 1), |output| (output.values, output.width)))
    }

    /// The output of each head for the nodes, edges or graphs of the scene, in its order, or for the pairs of nodes whose links
    /// are predicted.
    ///
    /// # Errors
    /// If the schedules were taken out of the world.
    pub fn outputs(&mut self) -> Result<Vec<HeadOutput>, TrainError> {
        let fields = heads_of(&self.world, self.entities.model);
        self.collect(fields)
    }

    /// The weights of the experts for the nodes or graphs of the scene, in its order; none unless the model is a mixture.
    ///
    /// # Errors
    /// If the schedules were taken out of the world.
    pub fn expert_weights(&mut self) -> Result<Option<HeadOutput>, TrainError> {
        let mixture = self.world.get::<MixtureOfExperts>(self.entities.model);
        let fields = mixture.map(|mixture| ("expert_weights".to_owned(), mixture.weights)).into_iter().collect();
        Ok(self.collect(fields)?.into_iter().next())
    }

    /// Runs the model on all examples and collects the rows of some fields.
    fn collect(&mut self, fields: Vec<(String, Field)>) -> Result<Vec<HeadOutput>, TrainError> {
        let empty = |(name, field): &(String, Field)| HeadOutput {
            name: name.clone(),
            values: Vec::new(),
            width: field.width(),
        };
        let mut outputs: Vec<HeadOutput> = fields.iter().map(empty).collect();
        if outputs.is_empty() {
            return Ok(outputs);
        }
        let SceneEntities { graph, model, ref nodes, ref edges, ref kinds, node_marker, edge_marker, .. } =
            self.entities;
        if let Some(corpus) = &mut self.corpus {
            let [nodes, edges] = [false, true].map(|of_edges| corpus.numbers(of_edges));
            let show = |world: &World, batch: &Batch, step: Step| {
                for (collected, (_, field)) in outputs.iter_mut().zip(&fields) {
                    let (matrix, width) = (field.matrix(world), field.width());
                    let (numbers, entities) = match field.domain() {
                        // Of the nodes of a sample the examples come first; the others are their neighbors.
                        domain if domain == node_marker.id() && step.is_sampled => {
                            collected.values.extend(matrix.rows().take(step.examples).flatten());
                            continue;
                        }
                        domain if domain == node_marker.id() => (&nodes, batch.nodes()),
                        domain if domain == edge_marker.id() => (&edges, batch.edges()),
                        _ => {
                            collected.values.extend(matrix.rows().flatten());
                            continue;
                        }
                    };
                    collected.values.resize(numbers.len() * width, f32::NAN);
                    for (row, entity) in matrix.rows().zip(entities) {
                        if let Some(number) = numbers.get(entity) {
                            let start = *number as usize * width;
                            collected.values[start..start + width].copy_from_slice(row);
                        }
                    }
                }
            };
            corpus.pass(&mut self.world, graph, Infer(model), Examples::All, |_, _| {}, show)?;
            return Ok(outputs);
        }
        run(&mut self.world, Infer(model))?;
        for (collected, (_, output)) in outputs.iter_mut().zip(&fields) {
            let entities = match output.domain() {
                domain if domain == node_marker.id() => nodes,
                domain if domain == edge_marker.id() => edges,
                domain => {
                    if let Some(kind) = kinds.iter().find(|kind| kind.marker.id() == domain) {
                        collected.add_rows(&self.world, *output, &kind.nodes);
                        continue;
                    }
                    collected.values.extend(output.matrix(&self.world).rows().flatten());
                    continue;
                }
            };
            collected.add_rows(&self.world, *output, entities);
        }
        Ok(outputs)
    }

    /// The numbers of the two nodes of each row of an output where links are predicted; nothing otherwise.
    pub fn pairs(&self) -> Vec<[u32; 2]> {
        let numbers: HashMap<Entity, u32> = self.entities.nodes.iter().copied().zip(0..).collect();
        let rows = self.pair_rows();
        let edges = rows.iter().filter_map(|row| self.world.get::<Edge>(*row));
        edges.filter_map(|edge| Some([*numbers.get(&edge.source)?, *numbers.get(&edge.target)?])).collect()
    }

    /// The entities of the rows of an output where links are predicted.
    pub(super) fn pair_rows(&self) -> Vec<Entity> {
        let tasks = self.scene.tasks();
        let number = tasks.iter().position(|(_, task)| task.links().is_some());
        let heads = heads_of(&self.world, self.entities.model);
        let Some((_, output)) = number.and_then(|number| heads.get(number)) else { return Vec::new() };
        let mut rows = Rows::default();
        rows.update(&self.world, &[output.domain(), output.id()]);
        rows.entities().to_vec()
    }
}
