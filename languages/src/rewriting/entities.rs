//! Terms of a world, whose nodes and edges are entities.

use bevy_ecs::{bundle::Bundle, entity::Entity, world::World};
use connectome_components::{ClassLabel, Edge, EdgeKind, EdgePosition, Graph, GraphKey, GraphNode, Topology};
use connectome_systems::{Scratch, update_topology};

use super::{EditNode, GraphEdits, InvalidRewrite, Rewrite, SlotLabel, decode::Decoder};
use crate::OrderedDag;

/// All terms of a graph in a world: nodes with a [`ClassLabel`], and edges from children to parents with an
/// [`EdgePosition`], as [`LanguageGraph::spawn`](crate::LanguageGraph::spawn) leaves them.
///
/// Its nodes are in postorder, root by root, so that equal worlds give equal numbers, whatever their history.
///
/// ```
/// use bevy_ecs::world::World;
/// use connectome_components::Graph;
/// use connectome_languages::mathematics::Terms;
/// use connectome_languages::rewriting::{EntityDag, SlotLayout, align};
///
/// // (y + 0)*2 becomes 2*y in a world.
/// let mut terms = Terms::default();
/// let [source, target] = ["(y + 0)*2", "2*y"].map(|text| terms.read_infix(text));
/// let (source, target) = (terms.dag(source?), terms.dag(target?));
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// EntityDag::spawn(&source, &mut world, EntityDag::node, EntityDag::edge);
///
/// let entities = EntityDag::read(&mut world, graph)?;
/// assert_eq!(entities.dag, source);
/// let slots = align(&entities.dag, &target, SlotLayout { slots: 2, roles: 1, result: 0, parts: 1 })?.rewrite(|_| 0);
/// let rewritten = entities.rewrite(&slots, EntityDag::node, EntityDag::edge)?;
/// let (counts, _) = rewritten.edits.apply(&mut world, graph)?;
/// // 0 and the sum are gone; y, 2 and the product are the entities that they were.
/// assert_eq!((counts.despawned, counts.disconnected, counts.rewired), (2, 2, 2));
/// assert_eq!(EntityDag::read(&mut world, graph)?.dag.shared(), target.shared());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityDag {
    /// The terms.
    pub dag: OrderedDag,
    /// The entity of each node.
    pub nodes: Vec<Entity>,
    /// The entities of the edges to each node from its children, in order.
    pub edges: Vec<Vec<Entity>>,
    /// The nodes without parents, in the order of their keys.
    pub roots: Vec<u32>,
}

/// A graph in a world is no term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EntityDagError {
    /// The entity has no `Graph`.
    #[error("entity {0} is no graph of this world; pass the entity that `Graph::spawn` returned")]
    NoGraph(Entity),
    /// A node has no label.
    #[error("node {0} has no `ClassLabel`; give it one")]
    NoLabel(Entity),
    /// A node is on a cycle, or what it reaches is.
    #[error("node {0} stands above or on a cycle of edges; a term has none")]
    Cycle(Entity),
    /// A child is missing, or there are several in one place.
    #[error(
        "the edges to node {node} have other positions than 0 to {last}; give each child an `EdgePosition`, in order"
    )]
    Positions {
        /// The node.
        node: Entity,
        /// Number of its children, less 1.
        last: usize,
    },
}

/// What becomes of the terms of a world.
#[derive(Clone, Debug, PartialEq)]
pub struct EntityRewrite<N: Send + Sync + 'static, E: Send + Sync + 'static> {
    /// The changes that make it so.
    pub edits: GraphEdits<N, E>,
    /// The node that each root becomes, or why its answer is invalid; such a term stays as it is.
    pub answers: Vec<Result<EditNode, InvalidRewrite>>,
}

impl EntityDag {
    /// The components of a plain node with a label.
    pub fn node(label: u32) -> (GraphNode, ClassLabel) {
        (GraphNode, ClassLabel(label))
    }

    /// The components of a plain edge, by its position. Its key orders it among parallel ones.
    pub fn edge(position: u32) -> (EdgeKind, EdgePosition, GraphKey) {
        (EdgeKind(0), EdgePosition(position), GraphKey::default())
    }

    /// Spawns a graph: `node` gives the components of a node with a label, `edge` those of an edge to a parent, by its
    /// position.
    pub fn spawn<N: Bundle, E: Bundle>(
        dag: &OrderedDag,
        world: &mut World,
        mut node: impl FnMut(u32) -> N,
        mut edge: impl FnMut(u32) -> E,
    ) -> Vec<Entity> {
        let nodes: Vec<Entity> = dag.labels().iter().map(|label| world.spawn(node(*label)).id()).collect();
        for parent in dag.nodes() {
            for (child, position) in dag.children(parent).iter().zip(0..) {
                let [source, target] = [*child, parent].map(|end| nodes[end as usize]);
                world.spawn((Edge { source, target }, edge(position)));
            }
        }
        nodes
    }

    /// Reads the terms of a graph as they are now, after its [`Topology`] is updated.
    ///
    /// O(nodes and edges).
    ///
    /// # Errors
    /// If a node has no label, children lack a place, or there is a cycle.
    pub fn read(world: &mut World, graph: Entity) -> Result<Self, EntityDagError> {
        let no_graph = EntityDagError::NoGraph(graph);
        world.get::<Graph>(graph).ok_or(no_graph)?;
        update_topology(world, graph, &mut Scratch::default());
        let topology = world.get::<Topology>(graph).ok_or(no_graph)?;
        let reader =
            Reader { world, topology, states: vec![State::Unknown; topology.nodes.len()], terms: Self::default() };
        reader.read()
    }

    /// What slots make of the terms: the root of each becomes its answer.
    ///
    /// A node stands for the first of its own slots that keeps its label, or else for the first with a label of the
    /// vocabulary, by which it is relabeled: its entity stays, with all other components. Other slots that an answer needs
    /// become new entities; what no answer needs is despawned. An edge to a node that stays is kept by its position. If
    /// the answer of a root is invalid, all that this root reaches stays as it is. A root whose answer is part of another
    /// answer is no root any longer.
    ///
    /// `node` gives the components of a new node, by its label, and `edge` those of a new edge, by its position. O(N K).
    ///
    /// # Errors
    /// If the slots are not those of so many nodes.
    pub fn rewrite<N: Send + Sync + 'static, E: Send + Sync + 'static>(
        &self,
        slots: &Rewrite,
        mut node: impl FnMut(u32) -> N,
        mut edge: impl FnMut(u32) -> E,
    ) -> Result<EntityRewrite<N, E>, InvalidRewrite> {
        let mut decoder = Decoder::new(slots, &self.dag)?;
        let answers: Vec<Result<u32, InvalidRewrite>> = self.roots.iter().map(|root| decoder.answer(*root)).collect();
        let Decoder { nodes: made, makers, .. } = decoder;
        let invalid = self.roots.iter().zip(&answers).filter(|(_, answer)| answer.is_err());
        let is_pinned = reached(&self.dag, invalid.map(|(root, _)| *root));
        let is_needed = reached(&made, answers.iter().flatten().copied());
        // Which made node the entity of a node becomes: one that keeps its label before others, then by the slot.
        let mut becomes: Vec<Option<u32>> = vec![None; self.dag.len()];
        let preference = |made: u32| {
            let (node, slot) = makers[made as usize];
            let index = node as usize * slots.layout().slots as usize + slot as usize;
            (slots.slots()[index].label != SlotLabel::Keep, slot)
        };
        for new in made.nodes().filter(|new| is_needed[*new as usize]) {
            let (node, _) = makers[new as usize];
            let best = &mut becomes[node as usize];
            if !is_pinned[node as usize] && best.is_none_or(|best| preference(new) < preference(best)) {
                *best = Some(new);
            }
        }
        let invalid = answers.iter().filter(|answer| answer.is_err()).count();
        let mut edits = GraphEdits { invalid, ..GraphEdits::default() };
        let mut entities: Vec<Option<EditNode>> = vec![None; made.len()];
        for new in made.nodes().filter(|new| is_needed[*new as usize]) {
            let (old, label) = (makers[new as usize].0, made.label(new));
            let stays = becomes[old as usize] == Some(new);
            let entity = if stays { self.nodes[old as usize].into() } else { edits.spawn(node(label)) };
            entities[new as usize] = Some(entity);
            if stays && label != self.dag.label(old) {
                edits.relabel(self.nodes[old as usize], label);
            }
            // Children are made before their parents.
            let children = made.children(new).iter().filter_map(|child| entities[*child as usize]);
            let kept: &[Entity] = if stays { &self.edges[old as usize] } else { &[] };
            for (child, position) in children.zip(0..) {
                match kept.get(position as usize) {
                    None => edits.connect(child, entity, edge(position)),
                    Some(kept) => {
                        let before = self.dag.children(old)[position as usize];
                        if child != self.nodes[before as usize].into() {
                            edits.rewire(*kept, child, entity);
                        }
                    }
                }
            }
            kept.iter().skip(made.children(new).len()).for_each(|edge| edits.disconnect(*edge));
        }
        for old in self.dag.nodes().filter(|old| becomes[*old as usize].is_none() && !is_pinned[*old as usize]) {
            self.edges[old as usize].iter().for_each(|edge| edits.disconnect(*edge));
            edits.despawn(self.nodes[old as usize]);
        }
        let answer = |answer: Result<u32, InvalidRewrite>| {
            answer.map(|made| entities[made as usize].unwrap_or_else(|| unreachable!("an answer is needed")))
        };
        let answers = answers.into_iter().map(answer).collect();
        Ok(EntityRewrite { edits, answers })
    }
}

/// Which nodes some nodes reach, themselves included.
fn reached(dag: &OrderedDag, from: impl Iterator<Item = u32>) -> Vec<bool> {
    let mut is_reached = vec![false; dag.len()];
    from.for_each(|node| is_reached[node as usize] = true);
    for node in dag.nodes().rev() {
        if is_reached[node as usize] {
            dag.children(node).iter().for_each(|child| is_reached[*child as usize] = true);
        }
    }
    is_reached
}

/// Reads terms by depth-first search from their roots.
struct Reader<'a> {
    world: &'a World,
    topology: &'a Topology,
    /// What is known of each row.
    states: Vec<State>,
    terms: EntityDag,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    UnderWay,
    /// It has this number.
    Read(u32),
}

impl Reader<'_> {
    fn read(mut self) -> Result<EntityDag, EntityDagError> {
        let topology = self.topology;
        let by_key = || {
            let order = topology.node_order.permutation();
            (0..topology.nodes.len()).map(move |rank| order.map_or(rank, |order| order[rank] as usize))
        };
        for root in by_key().filter(|row| topology.outgoing.entries(*row).is_empty()) {
            let root = self.read_term(root)?;
            self.terms.roots.push(root);
        }
        match by_key().find(|row| self.states[*row] == State::Unknown) {
            Some(row) => Err(EntityDagError::Cycle(self.entity(row))),
            None => Ok(self.terms),
        }
    }

    fn entity(&self, row: usize) -> Entity {
        self.topology.nodes.entities()[row]
    }

    /// Reads what a root reaches and was not read before; returns the number of the root.
    fn read_term(&mut self, root: usize) -> Result<u32, EntityDagError> {
        let mut path = vec![(root, self.children(root)?, 0)];
        self.states[root] = State::UnderWay;
        loop {
            let Some((row, children, next)) = path.last_mut() else { unreachable!("the root ends the search") };
            if let Some((child, _)) = children.get(*next).copied() {
                *next += 1;
                match self.states[child] {
                    State::Read(_) => {}
                    State::UnderWay => return Err(EntityDagError::Cycle(self.entity(child))),
                    State::Unknown => {
                        self.states[child] = State::UnderWay;
                        path.push((child, self.children(child)?, 0));
                    }
                }
                continue;
            }
            let row = *row;
            let (_, children, _) = path.pop().unwrap_or_default();
            let number = self.add(row, &children)?;
            self.states[row] = State::Read(number);
            if path.is_empty() {
                return Ok(number);
            }
        }
    }

    /// The rows of the children of a row, and the edges from them, in order.
    fn children(&self, row: usize) -> Result<Vec<(usize, Entity)>, EntityDagError> {
        let (sources, edges) = self.topology.incoming.of(row);
        let position = |edge: Entity| self.world.get::<EdgePosition>(edge).copied().unwrap_or_default().0;
        let edges = edges.iter().map(|edge| self.topology.edges.entities()[*edge as usize]);
        let children = sources.iter().zip(edges).map(|(source, edge)| (position(edge), (*source as usize, edge)));
        let mut children: Vec<(u32, (usize, Entity))> = children.collect();
        children.sort_by_key(|(position, _)| *position);
        if children.iter().zip(0..).any(|((position, _), expected)| *position != expected) {
            return Err(EntityDagError::Positions { node: self.entity(row), last: children.len() - 1 });
        }
        Ok(children.into_iter().map(|(_, child)| child).collect())
    }

    /// Adds a row whose children were added.
    fn add(&mut self, row: usize, children: &[(usize, Entity)]) -> Result<u32, EntityDagError> {
        let entity = self.entity(row);
        let label = self.world.get::<ClassLabel>(entity).ok_or(EntityDagError::NoLabel(entity))?.0;
        let numbers = children.iter().filter_map(|(child, _)| match self.states[*child] {
            State::Read(number) => Some(number),
            State::Unknown | State::UnderWay => None,
        });
        let numbers: Vec<u32> = numbers.collect();
        let EntityDag { dag, nodes, edges, .. } = &mut self.terms;
        // Rows are numbered by `u32`, too.
        let number = dag.push(label, &numbers).unwrap_or_else(|error| unreachable!("{error}"));
        nodes.push(entity);
        edges.push(children.iter().map(|(_, edge)| *edge).collect());
        Ok(number)
    }
}
