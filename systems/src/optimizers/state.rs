//! The state of a model that learns, between two steps.

use bevy_ecs::{
    change_detection::DetectChangesMut,
    component::{Component, Mutable},
    entity::Entity,
    world::World,
};
use connectome_components::{Field, GradientAccumulation, Model, Parameter, TrainingState};
use serde::{Deserialize, Serialize};

use super::Moments;
use crate::error::BuildError;

/// What a model has learned so far: all that its next steps depend on, beside its settings and what it reads.
///
/// Restored into a model that was built in the same way, it makes the next steps of that model those of this one, bit
/// for bit. Random numbers are counted from seed and step, so they have no state of their own; gradients, metrics and
/// intermediate values are computed again in each step. Its size is that of the parameters and their moments.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelState {
    /// The seed, and how many steps were taken.
    pub training: TrainingState,
    /// The weight of the terms in the accumulated gradients; see [`GradientAccumulation::terms`].
    pub accumulated_terms: f64,
    /// Parameters and buffers, such as running statistics, in the order of the layers.
    pub parameters: Vec<ParameterState>,
}

/// The state of a parameter or a buffer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
        check_learns(world, model)?;
        let mut state = Self::default();
        state.take(world, model);
        Ok(state)
    }

    /// Gives the state to a model of the same parameters and an optimizer of the same kind.
    ///
    /// # Errors
    /// If the entity is no model that learns, or one of other parameters; it stays unchanged then.
    pub fn restore(&self, world: &mut World, model: Entity) -> Result<(), BuildError> {
        self.check(world, model)?;
        self.write(world, model);
        Ok(())
    }

    /// Checks that [`restore`](Self::restore) can give the state to a model, and changes nothing.
    ///
    /// # Errors
    /// Those of [`restore`](Self::restore).
    pub fn check(&self, world: &World, model: Entity) -> Result<(), BuildError> {
        check_learns(world, model)?;
        self.mismatch(world, model).map_or(Ok(()), |reason| Err(BuildError::CannotLearn { model, reason }))
    }

    /// Copies the state of a model, which need not learn, in place of this one; warm buffers do not allocate.
    pub(crate) fn take(&mut self, world: &World, model: Entity) {
        let Self { training, accumulated_terms, parameters } = self;
        *training = world.get(model).copied().unwrap_or_default();
        *accumulated_terms = world.get::<GradientAccumulation>(model).map_or(0.0, |accumulation| {
            let GradientAccumulation { micro_batches: _, terms } = accumulation;
            *terms
        });
        let mut since = world.get::<Moments>(model).map_or(&[][..], Moments::since).iter().copied();
        let mut count = 0;
        for parameter in parameters_of(world, model) {
            if parameters.len() == count {
                parameters.push(ParameterState::default());
            }
            parameters[count].take(world, parameter, &mut since);
            count += 1;
        }
        parameters.truncate(count);
    }

    /// Why the state is not one of this model, if it is not.
    pub(crate) fn mismatch(&self, world: &World, model: Entity) -> Option<String> {
        let (given, present) = (self.parameters.len(), parameters_of(world, model).count());
        if given != present {
            return Some(format!(
                "the state has {given} parameters, but it has {present}; take a state of the same layers"
            ));
        }
        self.parameters.iter().zip(parameters_of(world, model)).find_map(|(given, present)| given.mismatch(present))
    }

    /// Whether it is a state of the same parameters.
    pub(crate) fn has_shapes_of(&self, other: &Self) -> bool {
        let shape = |parameter: &ParameterState| {
            let ParameterState { name, shape, values, moments, moments_since: _, accumulated } = parameter;
            (name.clone(), *shape, values.len(), moments.len(), accumulated.len())
        };
        self.parameters.iter().map(shape).eq(other.parameters.iter().map(shape))
    }

    /// Gives the state to a model whose parameters match; values that are there already are not written again.
    pub(crate) fn write(&self, world: &mut World, model: Entity) {
        let Self { training, accumulated_terms, parameters } = self;
        let mut given = parameters.iter();
        for index in 0.. {
            let Some(entity) = world.get::<Model>(model).and_then(|model| model.parameters.get(index)) else { break };
            let Some(Parameter { value, moments, accumulated, .. }) = world.get(*entity) else { continue };
            let fields = [Some(*value), *moments, *accumulated];
            let Some(ParameterState { name: _, shape: _, values, moments, moments_since: _, accumulated }) =
                given.next()
            else {
                break;
            };
            for (field, values) in fields.into_iter().zip([values, moments, accumulated]) {
                field.into_iter().for_each(|field| write_row(world, field, values));
            }
        }
        if let Some(mut moments) = world.get_mut::<Moments>(model) {
            let learned = parameters.iter().filter(|parameter| !parameter.moments.is_empty());
            moments.set_since(learned.map(|parameter| parameter.moments_since));
            set_component(world, model, Some(*training));
        }
        if let Some(mut accumulation) = world.get_mut::<GradientAccumulation>(model) {
            let terms = *accumulated_terms;
            accumulation.set_if_neq(GradientAccumulation { terms, ..*accumulation });
        }
    }
}

impl ParameterState {
    fn take(&mut self, world: &World, parameter: &Parameter, since: &mut impl Iterator<Item = u64>) {
        // By name, so that whoever adds a field decides here whether it is state.
        let Parameter { name, shape, layout: _, value, gradient: _, moments, accumulated, weight_decay: _ } = parameter;
        self.name.clone_from(name);
        self.shape = *shape;
        self.moments_since = moments.and_then(|_| since.next()).unwrap_or(0);
        let fields = [Some(*value), *moments, *accumulated];
        for (field, values) in fields.into_iter().zip([&mut self.values, &mut self.moments, &mut self.accumulated]) {
            values.clear();
            values.extend_from_slice(field.map_or(&[], |field| row(world, field)));
        }
    }

    /// What differs in the parameter that the state is given to, if something does.
    fn mismatch(&self, present: &Parameter) -> Option<String> {
        let (expected, name) = (&self.name, &present.name);
        if expected != name {
            return Some(format!("the state has `{expected}` where it has `{name}`; take a state of the same layers"));
        }
        let given = [self.values.len(), self.moments.len(), self.accumulated.len()];
        let fields = [Some(present.value), present.moments, present.accumulated];
        let sizes = fields.map(|field| field.map_or(0, |field| field.width()));
        if (self.shape, given) == (present.shape, sizes) {
            return None;
        }
        Some(format!(
            "`{name}` has shape {:?} and sizes {sizes:?} of values, moments and sums, but {:?} and {given:?} in the \
             state; take a state of the same widths and optimizer",
            present.shape, self.shape,
        ))
    }
}

fn check_learns(world: &World, model: Entity) -> Result<(), BuildError> {
    world.get::<Model>(model).ok_or(BuildError::NoModel(model))?;
    if world.get::<TrainingState>(model).is_none() || world.get::<Moments>(model).is_none() {
        return Err(BuildError::CannotLearn { model, reason: "it has no optimizer; build it with one".to_owned() });
    }
    Ok(())
}

/// The parameters and buffers of a model, in the order of its layers.
fn parameters_of(world: &World, model: Entity) -> impl Iterator<Item = &Parameter> {
    let entities = world.get::<Model>(model).map_or(&[][..], |model| &model.parameters);
    entities.iter().filter_map(|entity| world.get(*entity))
}

/// The only row of a field.
fn row(world: &World, field: Field) -> &[f32] {
    field.matrix(world).rows().next().unwrap_or(&[])
}

/// Writes the only row of a field, unless it has these bits.
pub(crate) fn write_row(world: &mut World, field: Field, values: &[f32]) {
    let is_same = |row: &[f32]| row.iter().zip(values).all(|(one, other)| one.to_bits() == other.to_bits());
    if field.width() == values.len() && !field.matrix(world).rows().all(is_same) {
        field.matrix_mut(world).rows_mut().for_each(|row| row.copy_from_slice(values));
    }
}

/// Sets a component of an entity, or removes it.
pub(crate) fn set_component<T>(world: &mut World, entity: Entity, value: Option<T>)
where
    T: Component<Mutability = Mutable> + PartialEq,
{
    let Ok(mut entity) = world.get_entity_mut(entity) else { return };
    match (value, entity.get_mut::<T>()) {
        (Some(value), Some(mut known)) => _ = known.set_if_neq(value),
        (Some(value), None) => _ = entity.insert(value),
        (None, Some(_)) => _ = entity.remove::<T>(),
        (None, None) => {}
    }
}
