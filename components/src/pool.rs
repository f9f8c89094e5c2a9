//! A pool of fields: bevy_ecs cannot unregister a component, so the fields of despawned models are reused.

use bevy_ecs::{component::ComponentId, entity::Entity, resource::Resource, world::World};

use crate::{DoubleBuffer, Field, FieldError};

/// The fields of a world that models borrow, by domain and width.
///
/// A field that was given back stays on its entities for the next model that needs one of its domain and width:
/// removing and inserting it would move all nodes to other tables, which is slow, and bevy_ecs keeps the memory of each
/// table.
#[derive(Resource, Default)]
pub struct FieldPool {
    fields: Vec<Pooled>,
    buffers: Vec<PooledBuffer>,
}

struct Pooled {
    field: Field,
    /// The component whose carriers have it; none for a detached field.
    domain: Option<ComponentId>,
    is_free: bool,
}

/// A double buffer with its owner, which stays the same, so that old and new handles read the same parity.
struct PooledBuffer {
    buffer: DoubleBuffer,
    owner: Entity,
    is_free: bool,
}

impl FieldPool {
    /// A zeroed field for the carriers of `domain`, or, without one, for the entities into which it is
    /// [inserted](Field::insert_into).
    ///
    /// # Errors
    /// As [`Field::register`].
    pub fn take(world: &mut World, domain: Option<ComponentId>, width: usize) -> Result<Field, FieldError> {
        let mut pool = world.get_resource_or_init::<Self>();
        let fits = |pooled: &&mut Pooled| pooled.is_free && pooled.domain == domain && pooled.field.width() == width;
        if let Some(pooled) = pool.fields.iter_mut().find(fits) {
            pooled.is_free = false;
            let field = pooled.field;
            field.clear(world);
            return Ok(field);
        }
        let name = format!("column {}", pool.fields.len());
        let field = match domain {
            Some(domain) => Field::register(world, &name, domain, width)?,
            None => Field::register_detached(world, &name, width)?,
        };
        world.resource_mut::<Self>().fields.push(Pooled { field, domain, is_free: false });
        Ok(field)
    }

    /// A zeroed double buffer for the carriers of `domain`, and its owner, the entity with the parity. To give it back,
    /// pass its front to [`FieldPool::give_back`].
    ///
    /// # Errors
    /// As [`Field::register`].
    pub fn take_double_buffer(
        world: &mut World,
        domain: ComponentId,
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
            *has_owner && pooled.is_free && front.domain() == domain && front.width() == width
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
        let buffer = DoubleBuffer::register(world, owner, &name, domain, width)?;
        world.resource_mut::<Self>().buffers.push(PooledBuffer { buffer, owner, is_free: false });
        Ok((buffer, owner))
    }

    /// Gives back fields that no system reads or writes any more. Fields from elsewhere are ignored.
    pub fn give_back(world: &mut World, fields: impl IntoIterator<Item = Field>) {
        let mut pool = world.get_resource_or_init::<Self>();
        for field in fields {
            pool.fields.iter_mut().filter(|pooled| pooled.field == field).for_each(|pooled| pooled.is_free = true);
            let buffers = pool.buffers.iter_mut().filter(|pooled| pooled.buffer.front == field);
            buffers.for_each(|pooled| pooled.is_free = true);
        }
    }

    /// Number of fields, borrowed ones and halves of double buffers included.
    pub fn len(&self) -> usize {
        self.fields.len() + 2 * self.buffers.len()
    }

    /// Number of fields that are borrowed.
    pub fn borrowed(&self) -> usize {
        let fields = self.fields.iter().filter(|pooled| !pooled.is_free).count();
        fields + 2 * self.buffers.iter().filter(|pooled| !pooled.is_free).count()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes detached fields of these widths and inserts them into one entity.
    ///
    /// # Errors
    /// As [`Field::register`] and [`Field::insert_into`].
    pub fn take_for(world: &mut World, entity: Entity, widths: &[usize]) -> Result<Vec<Field>, FieldError> {
        let fields = widths.iter().map(|width| Self::take(world, None, *width)).collect::<Result<Vec<Field>, _>>()?;
        Field::insert_into(world, entity, &fields)?;
        Ok(fields)
    }
}
