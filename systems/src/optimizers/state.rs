//! The state of a model that learns, between two steps.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{Field, GradientAccumulation, Model, Parameter, TrainingState};

use super::Moments;
use crate::error::BuildError;

/// What a model has learned so far: all that its next steps depend on, beside its settings and what it reads.
///
/// Restored into a model that was built in the same way, it makes the next steps of that model those of this one, bit
/// for bit. Random numbers are counted from seed and step, so they have no state of their own; gradients, metrics and
/// intermediate values are computed again in each step. Its size is that of the parameters and their moments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelState {
    /// The seed, and how many steps were taken.
    pub training: TrainingState,
    /// The weight of the terms in the accumulated gradients; see [`GradientAccumulation::terms`].
    pub accumulated_terms: f64,
    /// Parameters and buffers, such as running statistics, in the order of the layers.
    pub parameters: Vec<ParameterState>,
}

/// The state of a parameter or a buffer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterState {
    /// Its name in weight files.
    pub name: String,
    /// Rows and columns.
    pub shape: [usize; 2],
    /// The values, row by row.
    pub values: Vec<f32>,
    /// The moments of the optimizer, one after the other; empty for a buffer.
    pub moments: Vec<f32>,
    /// The step at which the moments were 0.
    pub moments_since: u64,
    /// The sum of gradients since the last step; empty if none are accumulated.
    pub accumulated: Vec<f32>,
}

impl ModelState {
    /// Copies the state of a model.
    ///
    /// # Errors
    /// If the entity is no model that learns.
    pub fn of(world: &World, model: Entity) -> Result<Self, BuildError> {
        let entities = &world.get::<Model>(model).ok_or(BuildError::NoModel(model))?.parameters;
        let (Some(training), Some(moments)) = (world.get::<TrainingState>(model), world.get::<Moments>(model)) else {
            return Err(BuildError::CannotLearn { model, reason: "it has no optimizer; build it with one".to_owned() });
        };
        let mut since = moments.since().iter();
        let parameters = entities.iter().filter_map(|entity| world.get::<Parameter>(*entity)).map(|parameter| {
            // By name, so that whoever adds a field decides here whether it is state.
            let Parameter { name, shape, layout: _, value, gradient: _, moments, accumulated, weight_decay: _ } =
                parameter;
            let copy = |field: &Option<Field>| field.map_or(Vec::new(), |field| row(world, field).to_vec());
            ParameterState {
                name: name.clone(),
                shape: *shape,
                values: row(world, *value).to_vec(),
                moments: copy(moments),
                moments_since: moments.and_then(|_| since.next().copied()).unwrap_or(0),
                accumulated: copy(accumulated),
            }
        });
        let parameters = parameters.collect();
        let accumulated_terms = world.get::<GradientAccumulation>(model).map_or(0.0, |accumulation| {
            let GradientAccumulation { micro_batches: _, terms } = accumulation;
            *terms
        });
        Ok(Self { training: *training, accumulated_terms, parameters })
    }

    /// Gives the state to a model of the same parameters and an optimizer of the same kind.
    ///
    /// # Errors
    /// If the entity is no model that learns, or one of other parameters; it stays unchanged then.
    pub fn restore(&self, world: &mut World, model: Entity) -> Result<(), BuildError> {
        let Self { training, accumulated_terms, parameters } = self;
        let present = Self::of(world, model)?;
        let mismatch = |reason: String| Err(BuildError::CannotLearn { model, reason });
        if present.parameters.len() != parameters.len() {
            let counts = (parameters.len(), present.parameters.len());
            return mismatch(format!(
                "the state has {} parameters, but it has {}; take a state of the same layers",
                counts.0, counts.1
            ));
        }
        for (present, given) in present.parameters.iter().zip(parameters) {
            if let Some(reason) = present.difference(given) {
                return mismatch(reason);
            }
        }
        let entities = world.get::<Model>(model).map(|model| model.parameters.clone()).unwrap_or_default();
        for (entity, given) in entities.into_iter().zip(parameters) {
            let Some(Parameter { value, moments, accumulated, .. }) = world.get::<Parameter>(entity).cloned() else {
                continue;
            };
            let ParameterState {
                name: _,
                shape: _,
                values,
                moments: given_moments,
                moments_since: _,
                accumulated: sum,
            } = given;
            for (field, values) in [(Some(value), values), (moments, given_moments), (accumulated, sum)] {
                let rows = field.map(|field| field.matrix_mut(world));
                rows.into_iter().flat_map(|rows| rows.rows_mut()).for_each(|row| row.copy_from_slice(values));
            }
        }
        if let Some(mut state) = world.get_mut::<TrainingState>(model) {
            *state = *training;
        }
        if let Some(mut accumulation) = world.get_mut::<GradientAccumulation>(model) {
            accumulation.terms = *accumulated_terms;
        }
        if let Some(mut moments) = world.get_mut::<Moments>(model) {
            let learned = parameters.iter().filter(|parameter| !parameter.moments.is_empty());
            moments.set_since(learned.map(|parameter| parameter.moments_since));
        }
        Ok(())
    }
}

impl ParameterState {
    /// What differs between a parameter and the state that is given for it, if something does.
    fn difference(&self, given: &Self) -> Option<String> {
        let name = &self.name;
        if *name != given.name {
            let expected = &given.name;
            return Some(format!("the state has `{expected}` where it has `{name}`; take a state of the same layers"));
        }
        let sizes = |state: &Self| [state.values.len(), state.moments.len(), state.accumulated.len()];
        if (self.shape, sizes(self)) == (given.shape, sizes(given)) {
            return None;
        }
        Some(format!(
            "`{name}` has shape {:?} and sizes {:?} of values, moments and sums, but {:?} and {:?} in the state; \
             take a state of the same widths and optimizer",
            self.shape,
            sizes(self),
            given.shape,
            sizes(given),
        ))
    }
}

/// The only row of a field.
fn row(world: &World, field: Field) -> &[f32] {
    field.matrix(world).rows().next().unwrap_or(&[])
}
