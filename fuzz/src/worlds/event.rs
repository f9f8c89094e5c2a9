//! What can happen to a world.

use arbitrary::Arbitrary;

use super::recipe::Kind;

/// An entity of its kind, by its index modulo how many there are.
pub type Index = u8;

/// An event. One that needs an entity where there is none does nothing.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Event {
    SpawnNode {
        features: [i8; 3],
        label: u8,
    },
    SpawnEdge {
        source: Index,
        target: Index,
        weight: Option<u8>,
    },
    /// As many edges as a larger graph needs for several blocks.
    SpawnEdges {
        count: u8,
        seed: u8,
    },
    DespawnNode(Index),
    DespawnEdge(Index),
    /// Another edge with the same endpoints and weight.
    RespawnEdge(Index),
    CloneNode(Index),
    CloneEdge(Index),
    Rewire {
        edge: Index,
        source: Index,
        target: Index,
    },
    /// To an entity that never was a node.
    RewireToStranger(Index),
    SetWeight(Index, u8),
    RemoveWeight(Index),
    SetFeatures(Index, [i8; 3]),
    /// The same, but out of its table and back in.
    InsertFeatures(Index, [i8; 3]),
    SetLabel(Index, u8),
    /// It comes last in sums, as if it had been born now.
    RenewKey(Index),
    Mark(Target, Mark),
    Disable(Target),
    Join(Index, Index),
    Leave(Index),
    /// In place, and the weights stay.
    Replace(Kind),
    /// Removed, and built from its seed.
    Rebuild(Kind, u8),
    Step(Step),
    /// A snapshot of the present frame, into a ring.
    Snapshot,
    /// Restores the frame in the ring that is this number before the latest one.
    RollBack(Index),
}

/// Whom it happens to.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Target {
    Node(Index),
    Edge(Index),
    Subgraph(Index),
}

/// A component that means nothing to the engine: with it an entity is in another table.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Mark {
    Red,
    Blue,
}

/// A step of the model.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Infer,
    Train,
    Evaluate,
}
