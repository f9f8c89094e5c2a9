//! Fields that are used again: bevy_ecs cannot forget a component, so a world keeps those of models that are gone.

use bevy_ecs::{component::ComponentId, entity::Entity, resource::Resource, world::World};

use crate::{Field, FieldError};

/// The fields of a world that models borrow, by what carries them and their width.
///
/// A field that was given back stays on its entities for the next model that wants one like it: moving all nodes to other
/// tables is what makes rebuilding a model slow, and bevy_ecs keeps the memory of each table.
#[derive(Resource, Default)]
pub struct FieldPool(Vec<Pooled>);

struct Pooled {
    field: Field,
    /// The component whose carriers have it; none for one that is given to single entities.
    on: Option<ComponentId>,
    is_free: bool,
}

impl FieldPool {
    /// A field of `width` numbers for the carriers of `on`, or for single entities that are given it by [`Field::insert_into`]. All its
    /// numbers are 0.
    ///
    /// # Errors
    /// As [`Field::register`].
    pub fn take(world: &mut World, on: Option<ComponentId>, width: usize) -> Result<Field, FieldError> {
        let mut pool = world.get_resource_or_init::<Self>();
        let fits = |pooled: &&mut Pooled| pooled.is_free && pooled.on == on && pooled.field.width() == width;
        if let Some(pooled) = pool.0.iter_mut().find(fits) {
            pooled.is_free = false;
            let field = pooled.field;
            field.matrix_mut(world).chunks_mut().for_each(|(_, numbers)| numbers.fill(0.0));
            return Ok(field);
        }
        let name = format!("column {}", pool.0.len());
        let field = match on {
            Some(on) => Field::register(world, &name, on, width)?,
            None => Field::register_detached(world, &name, width)?,
        };
        world.resource_mut::<Self>().0.push(Pooled { field, on, is_free: false });
        Ok(field)
    }

    /// Gives fields back that nobody reads or writes any more. Fields of other origin are left alone.
    pub fn give_back(world: &mut World, fields: impl IntoIterator<Item = Field>) {
        let mut pool = world.get_resource_or_init::<Self>();
        for field in fields {
            pool.0.iter_mut().filter(|pooled| pooled.field == field).for_each(|pooled| pooled.is_free = true);
        }
    }

    /// How many fields there are, borrowed ones included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes fields for one entity and gives them to it.
    ///
    /// # Errors
    /// As [`Field::register`] and [`Field::insert_into`].
    pub fn take_for(world: &mut World, entity: Entity, widths: &[usize]) -> Result<Vec<Field>, FieldError> {
        let fields = widths.iter().map(|width| Self::take(world, None, *width)).collect::<Result<Vec<Field>, _>>()?;
        Field::insert_into(world, entity, &fields)?;
        Ok(fields)
    }
}
