//! Fields: components of run-time width, whose table columns are matrices.

use bevy_ecs::{
    component::{Component, ComponentCloneBehavior, ComponentId, Mutable, StorageType},
    entity::Entity,
    world::{EntityWorldMut, World, WorldId},
};
use core::{fmt, marker::PhantomData};

use crate::{FieldError, column};

/// An element of a field. Zeroed bytes are a valid value; registering a field of elements without bytes or with an
/// alignment above 64 does not compile.
pub trait Element: bytemuck::Pod + Send + Sync {}
impl Element for f32 {}
impl Element for u32 {}

/// A named component of `width` elements on every entity that carries the component [`Field::domain`].
///
/// bevy_ecs stores one component of all entities of a table contiguously, so the field of `N` entities *is* an `[N,
/// width]` row-major matrix. Systems read and write it through [`Column`](crate::Column) and
/// [`ColumnMut`](crate::ColumnMut), which declare the access to the scheduler; one entity's row is read with
/// [`Field::get`].
///
/// Cloning an entity clones its row. [`Disabled`](bevy_ecs::entity_disabling::Disabled) entities have no row, as
/// queries skip them. The handle is small and `Copy`; it is used only in the world that made it.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Field, GraphNode, attach_fields};
///
/// let mut world = World::new();
/// let nodes = world.register_component::<GraphNode>();
/// let mass = Field::<f32>::register(&mut world, "mass", nodes, 3)?;
/// let node = world.spawn(GraphNode).id();
/// attach_fields(&mut world, nodes);
/// mass.set(&mut world, node, &[1.0, 2.0, 3.0])?;
/// assert_eq!(mass.get(&world, node)?, [1.0, 2.0, 3.0]);
/// # Ok::<(), connectome_components::FieldError>(())
/// ```
pub struct Field<T = f32> {
    pub(crate) id: ComponentId,
    /// The other half of a [`DoubleBuffer`]; `None` for an ordinary field.
    pub(crate) buffer: Option<Buffer>,
    pub(crate) world: WorldId,
    domain: ComponentId,
    width: usize,
    /// Whether only the entities have it into which it was inserted.
    is_detached: bool,
    element: PhantomData<fn() -> T>,
}

/// The other half of a double buffer: `twin` is the storage instead of the field's component while `owner` has odd
/// parity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffer {
    pub(crate) twin: ComponentId,
    pub(crate) owner: Entity,
}

impl<T: Element> Field<T> {
    /// Registers a field of `width` elements for the entities that carry the component `domain`.
    ///
    /// # Errors
    /// If the width is 0, a row does not fit into the address space, or `domain` is in sparse-set storage.
    pub fn register(world: &mut World, name: &str, domain: ComponentId, width: usize) -> Result<Self, FieldError> {
        check_storage(world, domain)?;
        let id = column::register::<T>(world, name, width, column::copy())?;
        world.get_resource_or_init::<column::AttachedFields>().zeroed(domain, id);
        Ok(Self { id, buffer: None, world: world.id(), domain, width, is_detached: false, element: PhantomData })
    }

    /// Registers a field of one entity, and inserts it with zeros.
    ///
    /// # Errors
    /// As [`Field::register`]; and if `entity` is not alive.
    pub fn register_on(world: &mut World, entity: Entity, name: &str, width: usize) -> Result<Self, FieldError> {
        if world.get_entity(entity).is_err() {
            return Err(FieldError::NotOnEntity { entity, name: name.to_owned() });
        }
        let field = Self::register_detached(world, name, width)?;
        column::insert_zeros(world, entity, &[field.id]);
        Ok(field)
    }

    /// Registers a field for the entities into which [`Field::insert_into`] inserts it; a clone of such an entity does
    /// not have it.
    ///
    /// # Errors
    /// If the width is 0, or a row does not fit into the address space.
    pub fn register_detached(world: &mut World, name: &str, width: usize) -> Result<Self, FieldError> {
        let id = column::register::<T>(world, name, width, ComponentCloneBehavior::Ignore)?;
        Ok(Self { id, buffer: None, world: world.id(), domain: id, width, is_detached: true, element: PhantomData })
    }

    /// Inserts several fields into one entity at once, with zeros. Inserted one by one, each would move the entity to
    /// another table, and bevy_ecs keeps the memory of each.
    ///
    /// # Errors
    /// If the entity is not alive.
    pub fn insert_into(world: &mut World, entity: Entity, fields: &[Self]) -> Result<(), FieldError> {
        if world.get_entity(entity).is_err() {
            let name = fields.first().map_or_else(String::new, |field| field.name(world));
            return Err(FieldError::NotOnEntity { entity, name });
        }
        fields.iter().for_each(|field| field.assert_world(world.id()));
        let ids: Vec<ComponentId> = fields.iter().map(|field| field.id).collect();
        column::insert_zeros(world, entity, &ids);
        Ok(())
    }
}

impl<T: Component<Mutability = Mutable> + Default> Field<T> {
    /// The column of an ordinary, mutable component, a field of width 1, for the entities that carry the component
    /// `domain`.
    ///
    /// When fields are attached, `T::default()` is inserted into entities with `domain` but without `T`, so that the
    /// rows of all fields agree. Writing through a [`ColumnMut`](crate::ColumnMut) does not update the change ticks;
    /// [`ColumnMut::set_changed`](crate::ColumnMut::set_changed) does.
    ///
    /// # Errors
    /// If `T` or `domain` is in sparse-set storage.
    pub fn of_component(world: &mut World, domain: ComponentId) -> Result<Self, FieldError> {
        let id = attach_component::<T>(world, domain)?;
        Ok(Self { id, buffer: None, world: world.id(), domain, width: 1, is_detached: false, element: PhantomData })
    }
}

impl Field<f32> {
    /// The column of an ordinary, mutable component that consists of `f32`s, for the entities that carry the component
    /// `domain`; its width is the number of `f32`s. It reads and writes the component itself, not a copy.
    ///
    /// Otherwise as [`Field::of_component`]; a system that uses both panics as one that uses a field twice. Other
    /// members of 4 bytes, such as `u32`, are not detected; their bits are read as `f32`s.
    ///
    /// ```
    /// use bevy_ecs::prelude::*;
    /// use bytemuck::{Pod, Zeroable};
    /// use connectome_components::{Field, GraphNode, attach_fields};
    /// use glam::{Vec3, vec3};
    ///
    /// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    /// #[repr(transparent)]
    /// struct Position(Vec3);
    ///
    /// let mut world = World::new();
    /// let nodes = world.register_component::<GraphNode>();
    /// let positions = Field::from_f32s::<Position>(&mut world, nodes)?;
    /// let node = world.spawn((GraphNode, Position(vec3(1.0, 2.0, 3.0)))).id();
    /// assert_eq!(positions.matrix(&world).row(0), [1.0, 2.0, 3.0]);
    /// positions.set(&mut world, node, &[4.0, 5.0, 6.0])?;
    /// assert_eq!(world.get::<Position>(node).unwrap().0, vec3(4.0, 5.0, 6.0));
    /// # Ok::<(), connectome_components::FieldError>(())
    /// ```
    ///
    /// # Errors
    /// If `T` or `domain` is in sparse-set storage; if the size of `T` is 0 or no multiple of 4, or `T` is aligned to
    /// less than 4 or more than 64 bytes.
    pub fn from_f32s<T>(world: &mut World, domain: ComponentId) -> Result<Self, FieldError>
    where
        T: Component<Mutability = Mutable> + Default + bytemuck::Pod,
    {
        let width = column::f32_count::<T>()?;
        let id = attach_component::<T>(world, domain)?;
        Ok(Self { id, buffer: None, world: world.id(), domain, width, is_detached: false, element: PhantomData })
    }
}

/// Registers a component `T` to be attached to all carriers of `domain`.
fn attach_component<T: Component + Default>(world: &mut World, domain: ComponentId) -> Result<ComponentId, FieldError> {
    check_storage(world, domain)?;
    if T::STORAGE_TYPE != StorageType::Table {
        return Err(FieldError::NotInTable { name: core::any::type_name::<T>().to_owned() });
    }
    let id = world.register_component::<T>();
    let insert = |mut entity: EntityWorldMut| {
        entity.insert(T::default());
    };
    world.get_resource_or_init::<column::AttachedFields>().defaulted(domain, id, insert);
    Ok(id)
}

impl<T: Send + Sync + 'static> Field<T> {
    /// Width of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The component whose carriers have this field: that of the nodes, the edges or the subgraphs of a graph.
    pub fn domain(&self) -> ComponentId {
        self.domain
    }

    /// Whether only the entities have it into which it was inserted, as for the weights of a parameter.
    pub fn is_detached(&self) -> bool {
        self.is_detached
    }

    /// The component that the field is to the scheduler.
    pub fn id(&self) -> ComponentId {
        self.id
    }

    /// Whether `world` is the one that made it.
    pub fn is_of(&self, world: &World) -> bool {
        self.world == world.id()
    }

    /// The name it was registered with.
    pub fn name(&self, world: &World) -> String {
        world.components().get_name(self.id).map_or_else(|| format!("{:?}", self.id), |name| name.to_string())
    }
}

/// Checks that a component is in table storage: rows are those of tables.
pub(crate) fn check_storage(world: &World, component: ComponentId) -> Result<(), FieldError> {
    match world.components().get_info(component) {
        Some(info) if info.storage_type() != StorageType::Table => {
            Err(FieldError::NotInTable { name: info.name().to_string() })
        }
        _ => Ok(()),
    }
}

// Derived implementations would require the same of `T`.
impl<T> Clone for Field<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Field<T> {}
impl<T> PartialEq for Field<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.id, self.domain, self.world) == (other.id, other.domain, other.world)
    }
}
impl<T> Eq for Field<T> {}
impl<T> fmt::Debug for Field<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Field").field("id", &self.id).field("width", &self.width).finish_non_exhaustive()
    }
}

/// Whether the double buffers of an entity have changed roles an odd number of times.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "reflect", derive(bevy_reflect::Reflect), reflect(bevy_ecs::reflect::Component))]
pub struct Parity(pub(crate) bool);

impl Parity {
    /// Swaps front and back, without a copy.
    pub fn flip(&mut self) {
        self.0 = !self.0;
    }
}

/// Two fields of one width that swap roles when the [`Parity`] of their owner is flipped.
///
/// Systems of a step read `front` and write `back`; the step's commit flips the parity, and the written half becomes
/// the front. To the scheduler the two roles are two fields, so a reader of the front and a writer of the back run in
/// parallel, and every user of either is ordered against the flip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DoubleBuffer {
    /// Read in a step.
    pub front: Field,
    /// Written in a step.
    pub back: Field,
}

impl DoubleBuffer {
    /// Registers both halves, and inserts a [`Parity`] into `owner` if it has none.
    ///
    /// # Errors
    /// As [`Field::register`]; and if `owner` is not alive.
    pub fn register(
        world: &mut World,
        owner: Entity,
        name: &str,
        domain: ComponentId,
        width: usize,
    ) -> Result<Self, FieldError> {
        let front = Field::register(world, &format!("{name}.front"), domain, width)?;
        let back = Field::register(world, &format!("{name}.back"), domain, width)?;
        let mut entity = world
            .get_entity_mut(owner)
            .map_err(|_| FieldError::NotOnEntity { entity: owner, name: "Parity".to_owned() })?;
        if !entity.contains::<Parity>() {
            entity.insert(Parity::default());
        }
        let half = |field: Field, twin: Field| Field { buffer: Some(Buffer { twin: twin.id, owner }), ..field };
        Ok(Self { front: half(front, back), back: half(back, front) })
    }
}
