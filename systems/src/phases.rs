//! The order of a step: read all, then write all.

use bevy_ecs::schedule::{IntoScheduleConfigs, Schedule, SystemSet};

/// The ordered sets of a model's schedules. Put your own systems into `Observe` and `Act`, or order them
/// `.after(Phase::Update(0))` and `.before(Phase::Message(1))`.
///
/// A system of one phase never reads what the same phase writes.
///
/// 1. `Prepare`: new nodes are given their fields, and the topology follows the edges.
/// 2. `Observe`: the user's components become input fields.
/// 3. For each layer, counted from 0: `Message` reads node fields and writes what is sent; `Aggregate` reads that, with
///    one owner for each target row; `Update` writes the layer's output.
/// 4. When learning or measuring: `Loss` compares the output with the target.
/// 5. When learning: `Backward` of each layer, last to first; then `Optimize`.
/// 6. `Commit`: front and back change roles, steps are counted.
/// 7. `Act`: output fields become the user's components.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Fields and topology follow the world.
    Prepare,
    /// The user's components to input fields.
    Observe,
    /// What the nodes of a layer send.
    Message(usize),
    /// Sums over the messages that meet at a node.
    Aggregate(usize),
    /// The next activations.
    Update(usize),
    /// The output against the target.
    Loss,
    /// The gradients of a layer's input and parameters.
    Backward(usize),
    /// Parameters follow their gradients.
    Optimize,
    /// Buffers change roles, steps are counted.
    Commit,
    /// Output fields to the user's components.
    Act,
}

impl Phase {
    /// The layer it belongs to, counted from 0.
    pub fn layer(&self) -> Option<usize> {
        match *self {
            Self::Message(layer) | Self::Aggregate(layer) | Self::Update(layer) | Self::Backward(layer) => Some(layer),
            _ => None,
        }
    }

    /// All phases of a model with so many layers, in order.
    pub fn sequence(layers: usize) -> impl Iterator<Item = Phase> {
        let forward = (0..layers).flat_map(|layer| [Self::Message(layer), Self::Aggregate(layer), Self::Update(layer)]);
        [Self::Prepare, Self::Observe]
            .into_iter()
            .chain(forward)
            .chain([Self::Loss])
            .chain((0..layers).rev().map(Self::Backward))
            .chain([Self::Optimize, Self::Commit, Self::Act])
    }

    /// Chains all phases in a schedule.
    pub fn chain(schedule: &mut Schedule, layers: usize) {
        let mut sequence = Self::sequence(layers).peekable();
        while let Some(phase) = sequence.next() {
            if let Some(next) = sequence.peek() {
                schedule.configure_sets((phase, *next).chain());
            }
        }
    }
}
