//! Edits are carried out.

use bevy_ecs::{
    bundle::Bundle,
    entity::{Entity, EntityHashSet},
    schedule::ScheduleLabel,
    world::World,
};
use connectome_components::{ClassLabel, Edge, Graph};
use connectome_systems::{WorldModelExt, layers::BuildError};

use super::{CommittedEdits, EditCounts, EditNode, EntityDag, EntityDagError, GraphEdits, InvalidRewrite, Rewrite};

/// Edits are refused; nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The entity has no `Graph`.
    #[error("entity {0} is no graph of this world; pass the entity that `Graph::spawn` returned")]
    NoGraph(Entity),
    /// An entity was despawned since the edits were made.
    #[error(
        "entity {0}, which edits are about, is gone; despawn it before the edits are made, or after they are committed"
    )]
    Missing(Entity),
    /// An entity is no edge.
    #[error("entity {0} has no `Edge`; rewire or disconnect edges alone")]
    NoEdge(Entity),
    /// An edge leads from or to a new node that is not spawned.
    #[error("an edge has the new node {number} as an endpoint, but {spawned} are spawned, counted from 0")]
    NoNode {
        /// The number of the node.
        number: u32,
        /// How many nodes are spawned.
        spawned: usize,
    },
    /// An edge leads from or to a node that the same edits despawn.
    #[error("entity {0} is despawned by the edits that lead an edge from or to it; disconnect the edge")]
    Despawned(Entity),
    /// The graph is none of terms.
    #[error(transparent)]
    NoTerms(#[from] EntityDagError),
    /// There are slots for other nodes.
    #[error(transparent)]
    Slots(#[from] InvalidRewrite),
}

impl<N: Bundle, E: Bundle> GraphEdits<N, E> {
    /// Carries out the edits, and returns how many, and the new nodes.
    ///
    /// New nodes are spawned in their order, then nodes are relabeled, edges rewired, spawned and despawned, and nodes
    /// despawned. O(edits).
    ///
    /// # Errors
    /// If the graph or an entity is gone, or an edge would have no endpoint; nothing is changed then.
    pub fn apply(self, world: &mut World, graph: Entity) -> Result<(EditCounts, Vec<Entity>), EditError> {
        let nodes = world.get::<Graph>(graph).ok_or(EditError::NoGraph(graph))?.nodes;
        self.check(world)?;
        let counts = self.counts();
        let spawned: Vec<Entity> = self.spawned.into_iter().map(|node| world.spawn(node).id()).collect();
        let entity = |node: EditNode| match node {
            EditNode::Entity(entity) => entity,
            EditNode::New(number) => spawned[number as usize],
        };
        let edge = |ends: [EditNode; 2]| {
            let [source, target] = ends.map(entity);
            Edge { source, target }
        };
        // Hooks and observers of yours may despawn what is changed later.
        for (node, label) in self.relabeled {
            if let Ok(mut node) = world.get_entity_mut(node) {
                node.insert(ClassLabel(label));
            }
        }
        for (rewired, ends) in self.rewired {
            if let Some(mut rewired) = world.get_mut::<Edge>(rewired) {
                *rewired = edge(ends);
            }
        }
        self.connected.into_iter().for_each(|(ends, rest)| _ = world.spawn((edge(ends), rest)));
        for edge in self.disconnected {
            match world.get_entity_mut(edge) {
                Ok(mut edge) if edge.contains_id(nodes) => _ = edge.remove::<Edge>(),
                Ok(edge) => edge.despawn(),
                Err(_) => {}
            }
        }
        for node in self.despawned {
            if let Ok(node) = world.get_entity_mut(node) {
                node.despawn();
            }
        }
        Ok((counts, spawned))
    }

    /// Checks that all can be carried out.
    fn check(&self, world: &World) -> Result<(), EditError> {
        let exists = |entity: Entity| match world.get_entity(entity) {
            Ok(_) => Ok(()),
            Err(_) => Err(EditError::Missing(entity)),
        };
        let relabeled = self.relabeled.iter().map(|(node, _)| *node);
        relabeled.chain(self.despawned.iter().copied()).try_for_each(exists)?;
        for edge in self.rewired.iter().map(|(edge, _)| *edge).chain(self.disconnected.iter().copied()) {
            exists(edge)?;
            world.get::<Edge>(edge).ok_or(EditError::NoEdge(edge))?;
        }
        let (despawned, spawned): (EntityHashSet, _) = (self.despawned.iter().copied().collect(), self.spawned.len());
        let rewired = self.rewired.iter().map(|(_, ends)| ends);
        for end in rewired.chain(self.connected.iter().map(|(ends, _)| ends)).flatten() {
            match *end {
                EditNode::New(number) if number as usize >= spawned => {
                    return Err(EditError::NoNode { number, spawned });
                }
                EditNode::Entity(entity) if despawned.contains(&entity) => return Err(EditError::Despawned(entity)),
                EditNode::Entity(entity) => exists(entity)?,
                EditNode::New(_) => {}
            }
        }
        Ok(())
    }
}

/// A system that carries out the [`GraphEdits`] of a graph, all or none, and counts them in [`CommittedEdits`].
///
/// It is exclusive: put it into [`Act`](connectome_systems::GraphSystems::Act) after the systems that make the edits. The
/// topology follows in the next step. It does nothing if the graph has no edits of these types.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Graph, GraphNode};
/// use connectome_languages::rewriting::{CommittedEdits, GraphEdits, commit_edits, run_until_settled};
/// use connectome_systems::{GraphSystems, Infer, ModelBuilder, WorldModelExt, layers::GcnConv};
///
/// type Edits = GraphEdits<GraphNode, ()>;
///
/// // Five nodes are enough.
/// fn grow(mut edits: Single<&mut Edits>, nodes: Query<&GraphNode>) {
///     if nodes.iter().len() < 5 {
///         edits.spawn(GraphNode);
///     }
/// }
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// world.entity_mut(graph).insert(Edits::default());
/// let model = world.spawn_model(ModelBuilder::new(graph).layer(GcnConv::new(1)))?;
/// let systems = (grow, commit_edits::<GraphNode, ()>(graph)).chain().in_set(GraphSystems::Act);
/// world.add_model_systems(Infer(model), systems)?;
/// let settled = run_until_settled(&mut world, graph, Infer(model), 100)?;
/// assert_eq!((settled.ticks, settled.counts.spawned, settled.is_settled), (6, 5, true));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn commit_edits<N: Bundle, E: Bundle>(graph: Entity) -> impl FnMut(&mut World) {
    move |world| {
        let Some(mut edits) = world.get_mut::<GraphEdits<N, E>>(graph) else { return };
        let edits = std::mem::take(&mut *edits);
        let invalid = edits.invalid;
        let applied = edits.apply(world, graph);
        record(world, graph, invalid, applied);
    }
}

/// A system that rewrites all terms of a graph by slots, in one pass, and counts it in [`CommittedEdits`].
///
/// `slots` gives the slots of the nodes of the terms, in their order; out of the output of a model, as a rule. `node` and `edge`
/// give the components of new entities; see [`EntityDag::rewrite`]. The system is exclusive: put it into
/// [`Act`](connectome_systems::GraphSystems::Act). Terms with an invalid answer stay as they are, and are counted.
pub fn rewrite_terms<N: Bundle, E: Bundle>(
    graph: Entity,
    mut slots: impl FnMut(&World, &EntityDag) -> Rewrite,
    mut node: impl FnMut(u32) -> N,
    mut edge: impl FnMut(u32) -> E,
) -> impl FnMut(&mut World) {
    move |world| {
        let mut invalid = 0;
        let mut rewrite = || {
            let terms = EntityDag::read(world, graph)?;
            let edits = terms.rewrite(&slots(world, &terms), &mut node, &mut edge)?.edits;
            invalid = edits.invalid;
            edits.apply(world, graph)
        };
        let applied = rewrite();
        record(world, graph, invalid, applied);
    }
}

/// Writes down what a pass has done.
fn record(world: &mut World, graph: Entity, invalid: usize, applied: Result<(EditCounts, Vec<Entity>), EditError>) {
    let (last, spawned, refused) = match applied {
        Ok((counts, spawned)) => (counts, spawned, None),
        Err(error) => (EditCounts { invalid, ..EditCounts::default() }, Vec::new(), Some(error)),
    };
    // A hook or an observer may have despawned the graph.
    let Ok(mut graph) = world.get_entity_mut(graph) else { return };
    let mut committed = graph.entry::<CommittedEdits>().or_default();
    let mut committed = committed.get_mut();
    committed.passes += 1;
    committed.total += last;
    (committed.last, committed.spawned, committed.refused) = (last, spawned, refused);
}

/// How edits came to an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// How often the schedule has run.
    pub ticks: usize,
    /// What was changed.
    pub counts: EditCounts,
    /// Whether the last tick changed nothing; otherwise the limit of ticks was reached.
    pub is_settled: bool,
}

/// Edits did not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The schedule could not be run.
    #[error(transparent)]
    Schedule(#[from] BuildError),
    /// The edits of a tick were refused.
    #[error(transparent)]
    Edits(#[from] EditError),
    /// The schedule commits no edits.
    #[error(
        "the schedule commits no edits of graph {0}; give the graph `GraphEdits`, and add `commit_edits` to the schedule"
    )]
    NoCommit(Entity),
}

/// Runs a schedule of a model until a tick changes nothing of a graph, `limit` times at most.
///
/// # Errors
/// Those of the schedule; if edits are refused; and if the schedule has neither [`commit_edits`] nor [`rewrite_terms`] of the graph.
pub fn run_until_settled(
    world: &mut World,
    graph: Entity,
    schedule: impl ScheduleLabel,
    limit: usize,
) -> Result<Settled, SettleError> {
    let schedule = schedule.intern();
    let passes = |world: &World| world.get::<CommittedEdits>(graph).map_or(0, |committed| committed.passes);
    let mut settled = Settled::default();
    while settled.ticks < limit && !settled.is_settled {
        let before = passes(world);
        world.run_model(schedule)?;
        settled.ticks += 1;
        let committed = world.get::<CommittedEdits>(graph).filter(|committed| committed.passes > before);
        let committed = committed.ok_or(SettleError::NoCommit(graph))?;
        if let Some(error) = &committed.refused {
            return Err(error.clone().into());
        }
        settled.counts += committed.last;
        settled.is_settled = committed.last.changes() == 0;
    }
    Ok(settled)
}
