//! Fields that are used again: bevy_ecs cannot forget a component, so a world keeps those of models that are gone.

use bevy_ecs::{component::ComponentId, entity::Entity, resource::Resource, world::World};

use crate::{DoubleBuffer, Field, FieldError};

/// The fields of a world that models borrow, by what carries them and their width.
///
/// A field that was given back stays on its entities for the next model that wants one like it: moving all nodes to other
/// tables is what makes rebuilding a model slow, and bevy_ecs keeps the memory of each table.
#[derive(Resource, Default)]
pub struct FieldPool {
    fields: Vec<Pooled>,
    buffers: Vec<PooledBuffer>,
}

struct Pooled {
    field: Field,
    /// The component whose carriers have it; none for one that is given to single entities.
    on: Option<ComponentId>,
    is_free: bool,
}

/// Its owner stays with it: handles of before find the storage of a half by the same parity as those of today.
struct PooledBuffer {
    buffer: DoubleBuffer,
    owner: Entity,
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
        if let Some(pooled) = pool.fields.iter_mut().find(fits) {
            pooled.is_free = false;
            let field = pooled.field;
            field.clear(world);
            return Ok(field);
        }
        let name = format!("column {}", pool.fields.len());
        let field = match on {
            Some(on) => Field::register(world, &name, on, width)?,
            None => Field::register_detached(world, &name, width)?,
        };
        world.resource_mut::<Self>().fields.push(Pooled { field, on, is_free: false });
        Ok(field)
    }

    /// A double buffer of `width` numbers for the carriers of `on`, all 0, and the entity by whose parity its halves change
    /// roles. It is given back by its front.
    ///
    /// # Errors
    /// As [`Field::register`].
    pub fn take_double_buffer(
        world: &mut World,
        on: ComponentId,
        width: usize,
    ) -> Result<(DoubleBuffer, Entity), FieldError> {
        let entities = world.entities();
        let owners: Vec<bool> = match world.get_resource::<Self>() {
            Some(pool) => pool.buffers.iter().map(|pooled| entities.contains(pooled.owner)).collect(),
            None => Vec::new(),
        };
        let mut pool = world.get_resource_or_init::<Self>();
        let fits = |(pooled, has_owner): &(&mut PooledBuffer, bool)| {
            let front = pooled.buffer.front;
            *has_owner && pooled.is_free && front.domain() == on && front.width() == width
        };
        if let Some((pooled, _)) = pool.buffers.iter_mut().zip(owners).find(fits) {
            pooled.is_free = false;
            let (buffer, owner) = (pooled.buffer, pooled.owner);
            buffer.front.clear(world);
            buffer.back.clear(world);
            return Ok((buffer, owner));
        }
        let name = format!("state {}", pool.buffers.len());
        let owner = world.spawn_empty().id();
        let buffer = DoubleBuffer::register(world, owner, &name, on, width)?;
        world.resource_mut::<Self>().buffers.push(PooledBuffer { buffer, owner, is_free: false });
        Ok((buffer, owner))
    }

    /// Gives fields back that nobody reads or writes any more. Fields of other origin are left alone.
    pub fn give_back(world: &mut World, fields: impl IntoIterator<Item = Field>) {
        let mut pool = world.get_resource_or_init::<Self>();
        for field in fields {
            pool.fields.iter_mut().filter(|pooled| pooled.field == field).for_each(|pooled| pooled.is_free = true);
            let buffers = pool.buffers.iter_mut().filter(|pooled| pooled.buffer.front == field);
            buffers.for_each(|pooled| pooled.is_free = true);
        }
    }

    /// How many fields there are, borrowed ones and halves of double buffers included.
    pub fn len(&self) -> usize {
        self.fields.len() + 2 * self.buffers.len()
    }

    /// How many of them are borrowed.
    pub fn borrowed(&self) -> usize {
        let fields = self.fields.iter().filter(|pooled| !pooled.is_free).count();
        fields + 2 * self.buffers.iter().filter(|pooled| !pooled.is_free).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
