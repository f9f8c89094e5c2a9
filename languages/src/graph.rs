//! The graph of any language.

use std::ops::Range;

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{ClassLabel, Edge, EdgeKind, EdgePosition, GraphKey, GraphNode};
use connectome_systems::algorithms::{LabeledGraph, ParallelGraph};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use thiserror::Error;

use crate::Vocabulary;

/// A kind of edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// What it is called.
    pub name: &'static str,
    /// Whether its edges into one node have an order, which [`LanguageEdge::position`] tells.
    pub is_ordered: bool,
}

impl Relation {
    /// A relation whose edges into one node have an order, such as children and their parent.
    pub const fn ordered(name: &'static str) -> Self {
        Self { name, is_ordered: true }
    }

    /// A relation whose edges have no order.
    pub const fn unordered(name: &'static str) -> Self {
        Self { name, is_ordered: false }
    }
}

/// The bytes of a source that a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// The same as a range.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The text of this span; none if the source is another one.
    pub fn text(self, source: &str) -> Option<&str> {
        source.get(self.range())
    }
}

/// A directed edge between nodes of a [`LanguageGraph`], along which messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanguageEdge {
    /// The node that sends messages: in a syntax tree the child.
    pub source: u32,
    /// The node that receives them: in a syntax tree the parent.
    pub target: u32,
    /// The index of its [`Relation`].
    pub relation: u32,
    /// Its position among the edges of its relation into the target, counted from 0; 0 if those have no order.
    pub position: u32,
}

/// An edge does not fit to its graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EdgeError {
    /// An endpoint is no node.
    #[error("{edge:?} has an endpoint that is none of the {nodes} nodes; add the nodes before their edges")]
    Endpoint {
        /// The edge.
        edge: LanguageEdge,
        /// How many nodes there are.
        nodes: usize,
    },
    /// The relation is none of the graph.
    #[error("{edge:?} has none of the {relations} relations, which are numbered from 0")]
    Relation {
        /// The edge.
        edge: LanguageEdge,
        /// How many relations there are.
        relations: usize,
    },
}

/// A graph of a text, an expression or a program: labeled nodes in order, and typed edges.
///
/// Nodes are numbered from 0, fewer than 2^32 of them, and in the order of their source where they stand in one. Labels are
/// names, which are compared by value: a node has the index of its label in a [`Vocabulary`]. Edges are directed; in syntax
/// they go **from child to parent**, so that messages flow from the leaves up.
///
/// ```
/// use connectome_languages::{LanguageEdge, LanguageGraph, Relation};
/// use connectome_systems::algorithms::ParallelGraph;
///
/// const RELATIONS: &[Relation] = &[Relation::ordered("child")];
///
/// // x - x, in which both operands are one node.
/// let mut graph = LanguageGraph::new(RELATIONS);
/// let [x, minus] = ["x", "-"].map(|label| graph.add_node(label, None));
/// for position in [0, 1] {
///     graph.add_edge(LanguageEdge { source: x, target: minus, relation: 0, position })?;
/// }
/// assert_eq!((graph.node_count(), graph.label(minus)), (2, Some("-")));
/// assert_eq!(graph.edge_label_name(graph.edge_label(&graph.language_edges()[1])), "child 1");
/// # Ok::<(), connectome_languages::EdgeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanguageGraph {
    vocabulary: Vocabulary,
    /// One for each node.
    labels: Vec<u32>,
    /// One for each node.
    spans: Vec<Option<Span>>,
    relations: &'static [Relation],
    edges: Vec<LanguageEdge>,
}

/// What a [`LanguageGraph`] became in a world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanguageEntities {
    /// The nodes, in their order.
    pub nodes: Vec<Entity>,
    /// The edges, in their order.
    pub edges: Vec<Entity>,
}

impl LanguageGraph {
    /// A graph without nodes, whose edges will be of these relations.
    pub fn new(relations: &'static [Relation]) -> Self {
        Self { relations, ..Self::default() }
    }

    /// Adds a node, and returns its number.
    pub fn add_node(&mut self, label: &str, span: Option<Span>) -> u32 {
        self.labels.push(self.vocabulary.add(label));
        self.spans.push(span);
        self.labels.len() as u32 - 1
    }

    /// Adds an edge.
    ///
    /// # Errors
    /// If its endpoints are no nodes, or there is no such relation.
    pub fn add_edge(&mut self, edge: LanguageEdge) -> Result<(), EdgeError> {
        let (nodes, relations) = (self.node_count(), self.relations.len());
        if edge.source.max(edge.target) as usize >= nodes {
            return Err(EdgeError::Endpoint { edge, nodes });
        }
        if edge.relation as usize >= relations {
            return Err(EdgeError::Relation { edge, relations });
        }
        self.edges.push(edge);
        Ok(())
    }

    /// Adds an edge that a reader knows to be right.
    pub(crate) fn connect(&mut self, [source, target]: [u32; 2], relation: u32, position: u32) {
        let added = self.add_edge(LanguageEdge { source, target, relation, position });
        debug_assert_eq!(added, Ok(()));
    }

    /// The names of the labels.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The relations of the edges.
    pub fn relations(&self) -> &'static [Relation] {
        self.relations
    }

    /// The index of the label of each node in the [`Vocabulary`].
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The label of a node; none if there is no such node.
    pub fn label(&self, node: u32) -> Option<&str> {
        self.labels.get(node as usize).and_then(|label| self.vocabulary.name(*label))
    }

    /// The bytes of the source that each node stands for, if there are any.
    pub fn spans(&self) -> &[Option<Span>] {
        &self.spans
    }

    /// The edges, in the order in which they were added, with all that is known of them.
    pub fn language_edges(&self) -> &[LanguageEdge] {
        &self.edges
    }

    /// Numbers the labels as a vocabulary does, to which those that it lacks are added: graphs with one vocabulary have the
    /// same number for the same label.
    pub fn relabel(&mut self, vocabulary: &mut Vocabulary) {
        let indices: Vec<u32> = self.vocabulary.names().map(|name| vocabulary.add(name)).collect();
        self.labels.iter_mut().for_each(|label| *label = indices[*label as usize]);
        self.vocabulary.clone_from(vocabulary);
    }

    /// A number for the relation and, if it has an order, the position of an edge: `relation + position R` of `R` relations.
    /// Graphs of one language have the same number for the same.
    pub fn edge_label(&self, edge: &LanguageEdge) -> u32 {
        let label = u64::from(edge.relation) + u64::from(edge.position) * self.relations.len() as u64;
        // Such positions do not fit into memory.
        label.min(u64::from(LabeledGraph::NO_LABEL - 1)) as u32
    }

    /// What an [`edge_label`](Self::edge_label) stands for: `next`, or `child 1` for one of ordered edges.
    pub fn edge_label_name(&self, label: u32) -> String {
        let count = self.relations.len() as u32;
        let relation = label.checked_rem(count).and_then(|relation| self.relations.get(relation as usize));
        match relation {
            Some(Relation { name, is_ordered: true }) => format!("{name} {}", label / count),
            Some(Relation { name, is_ordered: false }) => (*name).to_owned(),
            None => label.to_string(),
        }
    }

    /// The graph for algorithms: undirected, without self-loops, and with the first of several edges between two nodes.
    ///
    /// Labels of nodes are their indices in the [`Vocabulary`], those of edges [`edge_label`](Self::edge_label). Graphs
    /// that are to be compared are [relabeled](Self::relabel) by one vocabulary.
    pub fn to_labeled(&self) -> LabeledGraph {
        let edges = self.edges.iter().map(|edge| ([edge.source, edge.target], self.edge_label(edge)));
        LabeledGraph::new(self.labels.clone(), edges)
    }

    /// Spawns the nodes and edges, whose keys follow their order.
    ///
    /// A node is a [`GraphNode`] with its label as [`ClassLabel`]; an edge is an [`Edge`] with its relation as [`EdgeKind`],
    /// an [`EdgePosition`], and a [`GraphKey`] that orders parallel edges.
    ///
    /// ```
    /// use bevy_ecs::world::World;
    /// use connectome_components::{ClassLabel, Edge, Graph};
    /// use connectome_languages::LanguageGraph;
    ///
    /// let mut graph = LanguageGraph::new(&[]);
    /// graph.add_node("a", None);
    /// let mut world = World::new();
    /// Graph::spawn(&mut world);
    /// let spawned = graph.spawn(&mut world);
    /// assert_eq!(world.get::<ClassLabel>(spawned.nodes[0]), Some(&ClassLabel(0)));
    /// ```
    pub fn spawn(&self, world: &mut World) -> LanguageEntities {
        let labels = self.labels.iter().map(|label| (GraphNode, ClassLabel(*label)));
        let nodes: Vec<Entity> = world.spawn_batch(labels.collect::<Vec<_>>()).collect();
        let edges = self.edges.iter().map(|edge| {
            let [source, target] = [edge.source, edge.target].map(|end| nodes[end as usize]);
            let order = (EdgePosition(edge.position), GraphKey::default());
            (Edge { source, target }, EdgeKind(edge.relation), order)
        });
        let edges = world.spawn_batch(edges.collect::<Vec<_>>()).collect();
        LanguageEntities { nodes, edges }
    }
}

impl ParallelGraph for LanguageGraph {
    fn node_count(&self) -> usize {
        self.labels.len()
    }

    fn edges(&self) -> impl Iterator<Item = [u32; 2]> {
        self.edges.iter().map(|edge| [edge.source, edge.target])
    }

    fn par_edges(&self) -> impl ParallelIterator<Item = [u32; 2]> {
        self.edges.par_iter().map(|edge| [edge.source, edge.target])
    }
}
