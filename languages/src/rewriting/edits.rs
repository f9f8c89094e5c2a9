//! Changes of a graph of entities, as data.

use bevy_ecs::{component::Component, entity::Entity};
use std::ops::AddAssign;

use super::EditError;

/// A node that edits are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EditNode {
    /// It exists.
    Entity(Entity),
    /// It is spawned by the same edits: the node of this number, counted from 0.
    New(u32),
}

impl From<Entity> for EditNode {
    fn from(entity: Entity) -> Self {
        Self::Entity(entity)
    }
}

/// Changes of a [`Graph`](connectome_components::Graph) in a world that are made all at once, or not at all.
///
/// `N` is the bundle of components of a new node, with the graph's own component if it has one; `E` is what a new edge carries
/// beside [`Edge`](connectome_components::Edge). What is not mentioned stays: an entity that is kept or relabeled keeps all
/// of its other components.
///
/// It is a component of the graph. Systems of yours add edits to it in [`Act`](connectome_systems::GraphSystems::Act), and
/// [`commit_edits`](super::commit_edits) carries them out and leaves it empty; [`GraphEdits::apply`] carries them out by hand.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Edge, Graph, GraphNode};
/// use connectome_languages::rewriting::GraphEdits;
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// let [ann, bob] = [(); 2].map(|()| world.spawn(GraphNode).id());
/// let edge = world.spawn(Edge { source: ann, target: bob }).id();
///
/// // A node between the two.
/// let mut edits = GraphEdits::<GraphNode, ()>::default();
/// let middle = edits.spawn(GraphNode);
/// edits.rewire(edge, ann.into(), middle);
/// edits.connect(middle, bob.into(), ());
/// let (counts, spawned) = edits.apply(&mut world, graph)?;
/// assert_eq!((counts.spawned, counts.rewired, counts.connected), (1, 1, 1));
/// assert_eq!(world.get(edge), Some(&Edge { source: ann, target: spawned[0] }));
/// # Ok::<(), connectome_languages::rewriting::EditError>(())
/// ```
#[derive(Component, Clone, Debug, PartialEq)]
#[require(CommittedEdits)]
pub struct GraphEdits<N: Send + Sync + 'static, E: Send + Sync + 'static> {
    /// The new nodes, in order.
    pub(super) spawned: Vec<N>,
    pub(super) relabeled: Vec<(Entity, u32)>,
    pub(super) rewired: Vec<(Entity, [EditNode; 2])>,
    pub(super) connected: Vec<([EditNode; 2], E)>,
    pub(super) disconnected: Vec<Entity>,
    pub(super) despawned: Vec<Entity>,
    /// Number of answers that stand for no change, because they are invalid.
    pub invalid: usize,
}

impl<N: Send + Sync + 'static, E: Send + Sync + 'static> Default for GraphEdits<N, E> {
    fn default() -> Self {
        Self {
            spawned: Vec::new(),
            relabeled: Vec::new(),
            rewired: Vec::new(),
            connected: Vec::new(),
            disconnected: Vec::new(),
            despawned: Vec::new(),
            invalid: 0,
        }
    }
}

impl<N: Send + Sync + 'static, E: Send + Sync + 'static> GraphEdits<N, E> {
    /// Spawns a node. Keys of birth follow the order of calls.
    pub fn spawn(&mut self, node: N) -> EditNode {
        self.spawned.push(node);
        EditNode::New(self.spawned.len() as u32 - 1)
    }

    /// Gives a node another [`ClassLabel`](connectome_components::ClassLabel).
    pub fn relabel(&mut self, node: Entity, label: u32) {
        self.relabeled.push((node, label));
    }

    /// Despawns a node. Edges that are left without an endpoint dangle: disconnect them, or add
    /// [`despawn_dangling_edges`](connectome_systems::despawn_dangling_edges).
    pub fn despawn(&mut self, node: Entity) {
        self.despawned.push(node);
    }

    /// Spawns an edge.
    pub fn connect(&mut self, source: EditNode, target: EditNode, edge: E) {
        self.connected.push(([source, target], edge));
    }

    /// Gives an edge other endpoints.
    pub fn rewire(&mut self, edge: Entity, source: EditNode, target: EditNode) {
        self.rewired.push((edge, [source, target]));
    }

    /// Despawns an edge; if its entity is a node as well, it only loses its [`Edge`](connectome_components::Edge).
    pub fn disconnect(&mut self, edge: Entity) {
        self.disconnected.push(edge);
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.counts().changes() == 0
    }

    /// How many edits there are.
    pub fn counts(&self) -> EditCounts {
        EditCounts {
            spawned: self.spawned.len(),
            relabeled: self.relabeled.len(),
            despawned: self.despawned.len(),
            connected: self.connected.len(),
            rewired: self.rewired.len(),
            disconnected: self.disconnected.len(),
            invalid: self.invalid,
        }
    }
}

/// How many edits of each kind there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EditCounts {
    /// New nodes.
    pub spawned: usize,
    /// Nodes with another label.
    pub relabeled: usize,
    /// Nodes that are gone.
    pub despawned: usize,
    /// New edges.
    pub connected: usize,
    /// Edges with other endpoints.
    pub rewired: usize,
    /// Edges that are gone.
    pub disconnected: usize,
    /// Answers that changed nothing, because they are invalid.
    pub invalid: usize,
}

impl EditCounts {
    /// Number of changes: all but invalid answers.
    pub fn changes(&self) -> usize {
        let nodes = self.spawned + self.relabeled + self.despawned;
        nodes + self.connected + self.rewired + self.disconnected
    }
}

impl AddAssign for EditCounts {
    fn add_assign(&mut self, other: Self) {
        self.spawned += other.spawned;
        self.relabeled += other.relabeled;
        self.despawned += other.despawned;
        self.connected += other.connected;
        self.rewired += other.rewired;
        self.disconnected += other.disconnected;
        self.invalid += other.invalid;
    }
}

/// What [`commit_edits`](super::commit_edits) has done to a graph: a component of the graph.
#[derive(Component, Clone, Debug, Default, PartialEq)]
pub struct CommittedEdits {
    /// Number of times it has run.
    pub passes: u64,
    /// The changes of the last pass.
    pub last: EditCounts,
    /// The changes of all passes.
    pub total: EditCounts,
    /// The nodes that the last pass has spawned, in their order.
    pub spawned: Vec<Entity>,
    /// Why the edits of the last pass were refused, and nothing was changed.
    pub refused: Option<EditError>,
}
