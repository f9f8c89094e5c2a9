//! What a model's schedules are laid out with: columns that are used again, and the way back.

use bevy_ecs::{component::ComponentId, entity::Entity, world::World};
use connectome_components::{Field, FieldError, Graph};

use super::{BuildError, LayerBuilder};

/// The columns of a model. One that nobody needs any more is used again, by later layers and by gradients.
#[derive(Default)]
pub(crate) struct Columns(Vec<Slot>);

struct Slot {
    field: Field,
    /// How many still need what it holds.
    users: usize,
    /// What it holds from step to step, if it is not to be used again at all.
    constant: Option<Constant>,
}

/// A sum over neighbours that changes only with what it is the sum of.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Constant {
    pub(crate) graph: Entity,
    pub(crate) input: Field,
    /// Where its coefficients stand among those of the graph.
    pub(crate) coefficients: usize,
    /// What the rows themselves are multiplied by, if not by their coefficient.
    pub(crate) own: Option<Field>,
}

impl Columns {
    /// A column that is free; it has one user from now on.
    pub(crate) fn take_free(&mut self, on: ComponentId, width: usize) -> Option<Field> {
        let is_free = |slot: &Slot| slot.users == 0 && slot.constant.is_none();
        let fits = |slot: &&mut Slot| is_free(slot) && slot.field.domain() == on && slot.field.width() == width;
        let slot = self.0.iter_mut().find(fits)?;
        slot.users = 1;
        Some(slot.field)
    }

    /// A new column, which has one user.
    pub(crate) fn take_new(
        &mut self,
        world: &mut World,
        name: &str,
        on: ComponentId,
        width: usize,
    ) -> Result<Field, FieldError> {
        let field = Field::register(world, name, on, width)?;
        self.0.push(Slot { field, users: 1, constant: None });
        Ok(field)
    }

    /// Says that a column holds a constant from now on, for all schedules of the model.
    pub(crate) fn set_constant(&mut self, field: Field, constant: Constant) {
        if let Some(slot) = self.0.iter_mut().find(|slot| slot.field == field) {
            slot.constant = Some(constant);
        }
    }

    /// The column that holds a constant.
    pub(crate) fn constant(&self, constant: &Constant) -> Option<Field> {
        let slot = self.0.iter().find(|slot| slot.constant.as_ref() == Some(constant))?;
        Some(slot.field)
    }

    /// Whether a column holds a constant.
    pub(crate) fn is_constant(&self, field: Field) -> bool {
        self.0.iter().any(|slot| slot.field == field && slot.constant.is_some())
    }

    /// All of them.
    pub(crate) fn fields(&self) -> impl Iterator<Item = Field> {
        self.0.iter().map(|slot| slot.field)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// One user more; fields that are no columns of the model are nobody's concern.
    pub(crate) fn hold(&mut self, field: Field) {
        self.0.iter_mut().filter(|slot| slot.field == field).for_each(|slot| slot.users += 1);
    }

    /// One user less.
    pub(crate) fn release(&mut self, field: Field) {
        let slots = self.0.iter_mut().filter(|slot| slot.field == field);
        slots.for_each(|slot| slot.users = slot.users.saturating_sub(1));
    }

    /// All are free: another schedule begins.
    pub(crate) fn release_all(&mut self) {
        self.0.iter_mut().for_each(|slot| slot.users = 0);
    }
}

/// What one stage does on the way back: given the gradients by its outputs, it adds the systems that compute those by its
/// inputs and parameters.
type Backward = Box<dyn FnOnce(&mut LayerBuilder, &[Option<Field>]) -> Result<(), BuildError>>;

/// The stages of a training schedule in the order of the forward pass, to be gone through backward.
#[derive(Default)]
pub(crate) struct Tape(pub(crate) Vec<Step>);

/// A stage on the tape.
pub(crate) struct Step {
    pub(crate) layer: usize,
    /// The graph it is on, and its rows.
    pub(crate) graph: (Entity, Graph),
    /// What it computed. A stage whose outputs have no gradient is left out, unless it has no outputs.
    pub(crate) outputs: Vec<Field>,
    /// What its way back reads of the forward pass.
    pub(crate) keeps: Vec<Field>,
    pub(crate) backward: Backward,
}

/// The gradients that wait for the stage which computed what they belong to. A column that holds several signals one
/// after the other in the forward pass meets their gradients in the opposite order, one at a time.
#[derive(Default)]
pub(crate) struct Gradients(Vec<(Field, Field)>);

impl Gradients {
    pub(crate) fn of(&self, value: Field) -> Option<Field> {
        self.0.iter().find(|(known, _)| *known == value).map(|(_, gradient)| *gradient)
    }

    pub(crate) fn insert(&mut self, value: Field, gradient: Field) {
        self.0.push((value, gradient));
    }

    pub(crate) fn remove(&mut self, value: Field) -> Option<Field> {
        let place = self.0.iter().position(|(known, _)| *known == value)?;
        Some(self.0.swap_remove(place).1)
    }
}
