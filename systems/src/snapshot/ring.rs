//! The snapshots of the last frames.

use bevy_ecs::{
    entity::{Entity, EntityHashMap},
    world::World,
};

use super::{Snapshot, SnapshotError};

/// The snapshots of the last frames that were taken, for rollback. When it is full, the buffers of the oldest one are
/// used again.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Graph, GraphNode};
/// use connectome_systems::snapshot::{Snapshot, SnapshotRing};
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// let mut ring = SnapshotRing::new(Snapshot::new(graph), 8);
/// for frame in 0..20 {
///     ring.take(&world, frame)?;
///     world.spawn(GraphNode);
/// }
/// ring.restore(&mut world, 15)?;
/// assert_eq!(world.query::<&GraphNode>().iter(&world).count(), 15);
/// # Ok::<(), connectome_systems::snapshot::SnapshotError>(())
/// ```
#[derive(Clone)]
pub struct SnapshotRing {
    /// The frames with their snapshots; none before the first round.
    slots: Vec<(Option<u64>, Snapshot)>,
    next: usize,
}

impl SnapshotRing {
    /// A ring of `capacity` frames, at least 1, each a snapshot of what `snapshot` holds.
    pub fn new(snapshot: Snapshot, capacity: usize) -> Self {
        Self { slots: vec![(None, snapshot); capacity.max(1)], next: 0 }
    }

    /// Takes the state of a world as that of a frame, in place of an earlier one of this frame, or else of the oldest.
    ///
    /// # Errors
    /// Those of [`Snapshot::take`].
    pub fn take(&mut self, world: &World, frame: u64) -> Result<(), SnapshotError> {
        let known = self.slots.iter().position(|(known, _)| *known == Some(frame));
        let index = known.unwrap_or(self.next);
        if known.is_none() {
            self.next = (self.next + 1) % self.slots.len();
        }
        let (known, snapshot) = &mut self.slots[index];
        *known = None;
        snapshot.take(world)?;
        *known = Some(frame);
        Ok(())
    }

    /// The snapshot of a frame, if the ring holds it.
    pub fn get(&self, frame: u64) -> Option<&Snapshot> {
        self.slots.iter().find(|(known, _)| *known == Some(frame)).map(|(_, snapshot)| snapshot)
    }

    /// Restores a frame; see [`Snapshot::restore`].
    ///
    /// # Errors
    /// Those of [`Snapshot::restore`], and if the ring does not hold the frame.
    pub fn restore(&self, world: &mut World, frame: u64) -> Result<EntityHashMap<Entity>, SnapshotError> {
        let missing = || SnapshotError::NoFrame { frame, capacity: self.slots.len() };
        self.get(frame).ok_or_else(missing)?.restore(world)
    }
}
