//! Registration of fields as components, and their attachment to entities.

use bevy_ecs::{
    component::{ComponentCloneBehavior, ComponentDescriptor, ComponentId, StorageType},
    entity::{ComponentCloneCtx, Entity, SourceComponent},
    ptr::OwningPtr,
    resource::Resource,
    storage::Table,
    world::{EntityWorldMut, World},
};
use core::{alloc::Layout, ptr::NonNull};

use crate::{Element, FieldError, GraphKey};

/// The largest alignment of rows: a cache line.
const MAX_ALIGNMENT: usize = 64;

pub(crate) fn register<T: Element>(
    world: &mut World,
    name: &str,
    width: usize,
    cloned: ComponentCloneBehavior,
) -> Result<ComponentId, FieldError> {
    const {
        assert!(size_of::<T>() > 0, "an element without bytes has no column");
        assert!(align_of::<T>() <= MAX_ALIGNMENT, "the alignment of an element is at most that of a row");
    }
    let name = name.to_owned();
    if width == 0 {
        return Err(FieldError::ZeroWidth { name });
    }
    let Some(layout) = width.checked_mul(size_of::<T>()).and_then(|bytes| {
        let alignment = (1 << bytes.trailing_zeros()).min(MAX_ALIGNMENT);
        Layout::from_size_align(bytes, alignment).ok()
    }) else {
        return Err(FieldError::TooWide { name, width });
    };
    // SAFETY: elements are plain data: they need no drop, are `Send` and `Sync`, and are no relationship.
    let descriptor = unsafe {
        ComponentDescriptor::new_with_layout(
            name,
            StorageType::Table,
            layout,
            None,
            true,
            // One tick for each table records whether any row was written.
            true,
            cloned,
            None,
        )
    };
    Ok(world.register_component_with_descriptor(descriptor))
}

/// Clones copy the bytes of the component; only for components that this module registered.
pub(crate) fn copy() -> ComponentCloneBehavior {
    ComponentCloneBehavior::Custom(copy_bytes)
}

fn copy_bytes(source: &SourceComponent, target: &mut ComponentCloneCtx) {
    // SAFETY: source and target are one component, registered by this module as plain data or as a marker without data,
    // so copying its bytes is sound.
    unsafe { target.write_target_component_ptr(source.ptr()) };
}

/// The number of `f32`s in a component of plain data.
///
/// # Errors
/// If its size or alignment does not allow to read and write it as `f32`s.
pub(crate) fn f32_count<T: bytemuck::Pod>() -> Result<usize, FieldError> {
    let (size, alignment) = (size_of::<T>(), align_of::<T>());
    let aligned = (align_of::<f32>()..=MAX_ALIGNMENT).contains(&alignment);
    if size == 0 || !size.is_multiple_of(size_of::<f32>()) || !aligned {
        return Err(FieldError::NotNumbers { name: core::any::type_name::<T>().to_owned(), size, alignment });
    }
    Ok(size / size_of::<f32>())
}

/// The fields to attach to the carriers of each component.
#[derive(Resource, Default)]
pub(crate) struct AttachedFields(Vec<AttachedField>);

#[derive(Clone, Copy)]
struct AttachedField {
    domain: ComponentId,
    id: ComponentId,
    initial: Initial,
}

/// The initial value of a component.
#[derive(Clone, Copy)]
pub(super) enum Initial {
    /// All bytes are 0; only for components that this module registers.
    Zeros,
    /// Inserted by this function.
    Default(fn(EntityWorldMut)),
}

impl AttachedFields {
    pub(crate) fn zeroed(&mut self, domain: ComponentId, id: ComponentId) {
        self.0.push(AttachedField { domain, id, initial: Initial::Zeros });
    }

    pub(crate) fn defaulted(&mut self, domain: ComponentId, id: ComponentId, insert: fn(EntityWorldMut)) {
        if !self.0.iter().any(|field| field.domain == domain && field.id == id) {
            self.0.push(AttachedField { domain, id, initial: Initial::Default(insert) });
        }
    }

    /// Whether any field is attached to the carriers of `domain`.
    pub(super) fn any_on(&self, domain: ComponentId) -> bool {
        self.0.iter().any(|field| field.domain == domain)
    }

    /// All of them; one that several components have is listed as often.
    pub(super) fn ids(&self) -> impl Iterator<Item = ComponentId> {
        self.0.iter().map(|field| field.id)
    }

    fn missing_in<'a>(&'a self, domain: ComponentId, table: &'a Table) -> impl Iterator<Item = &'a AttachedField> {
        self.0.iter().filter(move |field| field.domain == domain && !table.has_column(field.id))
    }
}

/// Attaches a [`GraphKey`] to every entity that carries `domain` and has none, in the order of their indices.
///
/// Costs a check of each table if no key is missing.
pub fn attach_keys(world: &mut World, domain: ComponentId) {
    let key = world.register_component::<GraphKey>();
    let lacks_key = |table: &&Table| !table.is_empty() && table.has_column(domain) && !table.has_column(key);
    let tables = world.storages().tables.iter().filter(lacks_key);
    let mut entities: Vec<Entity> = tables.flat_map(|table| table.entities()).copied().collect();
    entities.sort_unstable_by_key(|entity| entity.index_u32());
    for entity in entities {
        // A hook or an observer of an earlier insertion may have despawned the entity.
        if let Ok(mut entity) = world.get_entity_mut(entity) {
            entity.insert_if_new(GraphKey::default());
        }
    }
}

/// Attaches missing fields to every entity that carries `domain`: zeros, or a component's default.
///
/// Costs a check of each table if no field is missing.
pub fn attach_fields(world: &mut World, domain: ComponentId) {
    // Two passes, because taking the resource out of the world would count as a change of it.
    let Some(fields) = world.get_resource::<AttachedFields>() else { return };
    let incomplete = |table: &&Table| {
        !table.is_empty() && table.has_column(domain) && fields.missing_in(domain, table).next().is_some()
    };
    let missing: Vec<(Vec<Entity>, Vec<AttachedField>)> = world
        .storages()
        .tables
        .iter()
        .filter(incomplete)
        .map(|table| (table.entities().to_vec(), fields.missing_in(domain, table).copied().collect()))
        .collect();
    for (entities, fields) in missing {
        let zeroed = |field: &AttachedField| matches!(field.initial, Initial::Zeros).then_some(field.id);
        let zeroed: Vec<ComponentId> = fields.iter().filter_map(zeroed).collect();
        let mut zeros = Zeros::new(world, &zeroed);
        for entity in entities {
            // Each insertion moves the entity, so the fields, which are wide, are inserted last. A hook or an observer
            // of an earlier insertion may have despawned the entity.
            for field in &fields {
                if let (Initial::Default(insert), Ok(entity)) = (field.initial, world.get_entity_mut(entity)) {
                    insert(entity);
                }
            }
            if world.get_entity(entity).is_ok() {
                zeros.insert(world, entity);
            }
        }
    }
}

/// Inserts fields, each of an [`Element`] type, with zeros.
pub(crate) fn insert_zeros(world: &mut World, entity: Entity, fields: &[ComponentId]) {
    Zeros::new(world, fields).insert(world, entity);
}

/// Zeroed memory from which fields are moved into an entity.
struct Zeros<'a> {
    fields: &'a [ComponentId],
    bytes: Vec<CacheLine>,
}

#[derive(Clone, Copy)]
#[repr(align(64))]
struct CacheLine(#[expect(dead_code, reason = "only its bytes matter")] [u8; MAX_ALIGNMENT]);

impl<'a> Zeros<'a> {
    fn new(world: &World, fields: &'a [ComponentId]) -> Self {
        let size = |&id: &ComponentId| world.components().get_info(id).map_or(0, |info| info.layout().size());
        let largest = fields.iter().map(size).max().unwrap_or(0);
        let bytes = vec![CacheLine([0; MAX_ALIGNMENT]); largest.div_ceil(MAX_ALIGNMENT)];
        Self { fields, bytes }
    }

    fn insert(&mut self, world: &mut World, entity: Entity) {
        let start = NonNull::from(self.bytes.as_mut_slice()).cast::<u8>();
        // SAFETY: the ids were registered in this world by this module as fields, whose elements are valid when all
        // bytes are 0 and have no drop, or as markers without data. So all may be copied from one buffer; it is as
        // large as the largest, aligned for all, and stays zeroed.
        unsafe {
            world.entity_mut(entity).insert_by_ids(self.fields, self.fields.iter().map(|_| OwningPtr::new(start)));
        }
    }
}
