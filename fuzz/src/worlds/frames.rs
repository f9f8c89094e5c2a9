//! The last frames of a world, to which it can be rolled back.

use std::collections::VecDeque;

use bevy_ecs::{entity::Entity, world::World};
use connectome::components::Metrics;
use connectome::systems::snapshot::{Snapshot, SnapshotRing};

use super::{anew::State, event::Index, recipe::Body, record::Record};

/// The most frames that are held.
const CAPACITY: usize = 4;

/// Snapshots of a graph and a model.
pub struct Frames {
    ring: SnapshotRing,
    /// The frames in the ring, in their order.
    frames: VecDeque<Frame>,
}

/// What a frame held, beside its snapshot.
#[derive(Clone)]
struct Frame {
    number: u64,
    record: Record,
    state: State,
    /// As text, in which values that are no numbers equal themselves.
    metrics: String,
}

impl Frames {
    pub fn new(graph: Entity, model: Entity) -> Self {
        let snapshot = Snapshot::new(graph).model(model).with::<Body>();
        Self { ring: SnapshotRing::new(snapshot, CAPACITY), frames: VecDeque::new() }
    }

    /// Takes a snapshot of a world that is as recorded.
    pub fn take(&mut self, world: &World, model: Entity, record: &Record) {
        let number = self.frames.back().map_or(0, |frame| frame.number + 1);
        self.ring.take(world, number).unwrap_or_else(|error| panic!("{error}"));
        let metrics = metrics_of(world, model);
        self.frames.push_back(Frame { number, record: record.clone(), state: State::of(world, model), metrics });
        self.frames.retain(|frame| self.ring.get(frame.number).is_some());
    }

    /// Restores the frame that is this number before the latest one, and returns what the world must hold, if there is one.
    pub fn roll_back(&mut self, world: &mut World, model: Entity, frames: Index) -> Option<Record> {
        let back = usize::from(frames).checked_rem(self.frames.len())?;
        // What came after it has not happened.
        self.frames.truncate(self.frames.len() - back);
        let Frame { number, mut record, state, metrics } = self.frames.back()?.clone();
        let replaced = self.ring.restore(world, number).unwrap_or_else(|error| panic!("{error}"));
        record.replace(&replaced);
        State::of(world, model).check(&state, "rolled back");
        assert_eq!(metrics_of(world, model), metrics, "rolled back");
        Some(record)
    }

    /// Asserts that a world whose model is gone is not rolled back.
    pub fn check_refused(&self, world: &mut World) {
        for frame in &self.frames {
            let outcome = self.ring.restore(world, frame.number);
            assert!(outcome.is_err(), "the model of frame {} is gone", frame.number);
        }
    }
}

fn metrics_of(world: &World, model: Entity) -> String {
    format!("{:?}", world.get::<Metrics>(model))
}
