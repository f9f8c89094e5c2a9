//! A memory for the entities of a world.

use bevy_ecs::{
    component::Component,
    entity::Entity,
    query::{With, Without},
    system::Local,
    world::World,
};
use connectome_systems::algorithms::LabeledGraph;

use crate::error::MemoryError;
use crate::find::{Answer, Query};
use crate::memory::{Change, NewGraph};
use crate::service::{MemoryHandle, Pending};

/// What an entity asks a memory; [`ask_memory`] answers it by a [`MemoryAnswer`]. Do not replace it before the answer is
/// there: that would be the answer to the first request.
#[derive(Component, Clone, Debug)]
pub enum MemoryRequest {
    /// To store graphs, in one transaction.
    Put(Vec<NewGraph>),
    /// To find the most similar graphs.
    Find(LabeledGraph, Box<Query>),
    /// To count a use of graphs.
    MarkUsed(Vec<u64>),
}

/// The answer to a [`MemoryRequest`]; remove it to ask again.
#[derive(Component, Clone, Debug, PartialEq)]
pub enum MemoryAnswer {
    /// What storing, or counting a use, changed.
    Changed(Result<Change, MemoryError>),
    /// The graphs that were found.
    Found(Result<Answer, MemoryError>),
}

/// The answers that are on their way to entities, between runs of [`ask_memory`].
#[derive(Default)]
pub struct AskedMemory(Vec<(Entity, Asked)>);

/// An answer that is on its way.
enum Asked {
    Change(Pending<Change>),
    Find(Pending<Answer>),
}

impl Asked {
    fn try_take(&self) -> Option<MemoryAnswer> {
        match self {
            Self::Change(pending) => pending.try_take().map(MemoryAnswer::Changed),
            Self::Find(pending) => pending.try_take().map(MemoryAnswer::Found),
        }
    }
}

/// A system that asks a memory what entities request, and inserts its answers as they come. It never waits: while the
/// queue is full, requests stay for a later run.
///
/// Requests are sent in the order of their entities. In which run an answer arrives depends on the machine; what it says
/// depends on the order of the requests alone, if nobody else changes the memory.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_memory::{GraphMemory, MemoryAnswer, MemoryRequest, MemoryService, ask_memory};
/// use connectome_systems::algorithms::LabeledGraph;
///
/// let folder = tempfile::tempdir()?;
/// let service = MemoryService::start(GraphMemory::create(&folder.path().join("memory"))?, 16, true)?;
/// let mut world = World::new();
/// let mut schedule = Schedule::default();
/// schedule.add_systems(ask_memory(service.handle()));
/// let seen = LabeledGraph::new(vec![1, 2], [([0, 1], 0)]);
/// let agent = world.spawn(MemoryRequest::Put(vec![seen.into()])).id();
/// while world.get::<MemoryAnswer>(agent).is_none() {
///     schedule.run(&mut world);
/// }
/// assert!(matches!(world.get(agent), Some(MemoryAnswer::Changed(Ok(change))) if change.ids == [0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn ask_memory(memory: MemoryHandle) -> impl FnMut(&mut World, Local<AskedMemory>) {
    move |world, mut asked| {
        let AskedMemory(asked) = &mut *asked;
        asked.retain(|(entity, pending)| match pending.try_take() {
            Some(answer) => {
                // The entity may be gone by now, or may have taken its request back.
                if let Ok(mut entity) = world.get_entity_mut(*entity)
                    && entity.take::<MemoryRequest>().is_some()
                {
                    entity.insert(answer);
                }
                false
            }
            None => true,
        });
        let is_new = |entity: &Entity| asked.iter().all(|(other, _)| other != entity);
        let mut requests = world.query_filtered::<Entity, (With<MemoryRequest>, Without<MemoryAnswer>)>();
        let mut new: Vec<Entity> = requests.iter(world).filter(is_new).collect();
        new.sort_unstable_by_key(|entity| entity.index());
        for entity in new {
            let Some(request) = world.get::<MemoryRequest>(entity).cloned() else { continue };
            let is_search = matches!(request, MemoryRequest::Find(..));
            let pending = match request {
                MemoryRequest::Put(graphs) => memory.put(graphs).map(Asked::Change),
                MemoryRequest::Find(graph, query) => memory.find(graph, *query).map(Asked::Find),
                MemoryRequest::MarkUsed(ids) => memory.mark_used(ids).map(Asked::Change),
            };
            match pending {
                Ok(pending) => asked.push((entity, pending)),
                Err(MemoryError::Busy) => break,
                Err(error) if is_search => _ = world.entity_mut(entity).insert(MemoryAnswer::Found(Err(error))),
                Err(error) => _ = world.entity_mut(entity).insert(MemoryAnswer::Changed(Err(error))),
            }
        }
    }
}
