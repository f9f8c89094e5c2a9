//! Markers: components without data, created at run time.

use bevy_ecs::{
    bundle::{Bundle, NoBundleEffect},
    component::{Component, ComponentDescriptor, ComponentId, StorageType},
    entity::Entity,
    resource::Resource,
    world::{World, WorldId},
};
use core::alloc::Layout;

use super::{
    make::Defaults,
    register::{AttachedFields, Initial, attach_fields, copy, insert_zeros},
};
use crate::FieldError;

/// Number of entities spawned before they are moved to the table with their fields. The table they leave keeps its
/// memory, so it must stay small.
const CHUNK: usize = 4096;

/// A component without data, created at run time, that marks the nodes, the edges or the subgraphs of one graph.
///
/// In Rust code a component type of your own does the same; a loaded scene has no types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    id: ComponentId,
    world: WorldId,
    /// Which [`Mark`] it is, if any.
    mark: Option<usize>,
}

/// The type of a world's first markers: bevy_ecs spawns in batches, four times as fast, only with types.
#[derive(Component, Clone)]
struct Mark<const NUMBER: usize>;

/// Number of markers of a world.
#[derive(Resource, Default)]
struct MarkerCount(usize);

/// Evaluates `$do` with the type of mark `$number`, or `$else` if there is none.
macro_rules! with_mark {
    ($number:expr, $mark:ident => $do:expr, $else:expr) => {
        with_mark!(@ $number, $mark => $do, $else, 0 1 2 3 4 5 6 7)
    };
    (@ $number:expr, $mark:ident => $do:expr, $else:expr, $($literal:literal)*) => {
        match $number {
            $(Some($literal) => { type $mark = Mark<$literal>; $do })*
            _ => $else,
        }
    };
}

impl Marker {
    /// Registers a marker. The first eight of a world are Rust types, whose name replaces `name`.
    pub fn register(world: &mut World, name: &str) -> Self {
        let mut count = world.get_resource_or_init::<MarkerCount>();
        let number = Some(count.0);
        count.0 += 1;
        let id = with_mark!(number, M => world.register_component::<M>(), return Self::untyped(world, name));
        Self::new(world, id, number)
    }

    /// Registers a marker that is no Rust type: of few entities, which are not spawned in batches.
    pub(crate) fn untyped(world: &mut World, name: &str) -> Self {
        // SAFETY: the component has no data.
        let descriptor = unsafe {
            ComponentDescriptor::new_with_layout(
                name.to_owned(),
                StorageType::Table,
                Layout::new::<()>(),
                None,
                true,
                false,
                copy(),
                None,
            )
        };
        let id = world.register_component_with_descriptor(descriptor);
        Self::new(world, id, None)
    }

    fn new(world: &mut World, id: ComponentId, mark: Option<usize>) -> Self {
        // A marker has no bytes to set.
        world.get_resource_or_init::<Defaults>().add(id, Initial::Zeros);
        Self { id, world: world.id(), mark }
    }

    /// The component.
    pub fn id(&self) -> ComponentId {
        self.id
    }

    /// Marks an entity.
    ///
    /// # Errors
    /// If it is not alive.
    #[track_caller]
    pub fn insert(&self, world: &mut World, entity: Entity) -> Result<(), FieldError> {
        self.assert_world(world);
        if world.get_entity(entity).is_err() {
            return Err(FieldError::NotOnEntity { entity, name: "marker".to_owned() });
        }
        insert_zeros(world, entity, &[self.id]);
        Ok(())
    }

    /// Spawns a marked entity for each of the bundles, in order, and attaches the fields registered for the marker; see
    /// [`attach_fields`].
    ///
    /// Register all fields before, above all those of models: fields that are attached later move the entities, and the
    /// table they leave keeps its memory.
    #[track_caller]
    pub fn spawn<B>(&self, world: &mut World, bundles: impl IntoIterator<Item = B>) -> Vec<Entity>
    where
        B: Bundle<Effect: NoBundleEffect>,
    {
        let bundles = bundles.into_iter();
        let mut entities = Vec::with_capacity(bundles.size_hint().0);
        self.spawn_each(world, bundles, |entity| entities.push(entity));
        entities
    }

    /// As [`Marker::spawn`], but passes the entities one by one instead of collecting them.
    #[track_caller]
    pub fn spawn_each<B>(&self, world: &mut World, bundles: impl IntoIterator<Item = B>, mut visit: impl FnMut(Entity))
    where
        B: Bundle<Effect: NoBundleEffect>,
    {
        self.assert_world(world);
        let moves = world.get_resource::<AttachedFields>().is_some_and(|fields| fields.any_on(self.id));
        let chunk = if moves || self.mark.is_none() { CHUNK } else { usize::MAX };
        let mut bundles = bundles.into_iter();
        loop {
            let bundles = bundles.by_ref().take(chunk);
            let mut count = 0;
            let mut count_and_visit = |entity: Entity| {
                count += 1;
                visit(entity);
            };
            with_mark!(self.mark, M => {
                world.spawn_batch(bundles.map(|bundle| (bundle, M {}))).for_each(count_and_visit);
            }, {
                let entities: Vec<Entity> = world.spawn_batch(bundles).collect();
                for entity in entities {
                    // A hook or an observer of the bundle may have despawned it.
                    if world.get_entity(entity).is_ok() {
                        insert_zeros(world, entity, &[self.id]);
                    }
                    count_and_visit(entity);
                }
            });
            if count == 0 {
                return;
            }
            attach_fields(world, self.id);
        }
    }

    #[track_caller]
    fn assert_world(&self, world: &World) {
        assert_eq!(self.world, world.id(), "a marker is used in a world other than its own");
    }
}
