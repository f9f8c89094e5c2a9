//! Conversions from and to [petgraph], with the feature `petgraph`.
//!
//! | from | to | by |
//! | --- | --- | --- |
//! | petgraph's [`Graph`] | input of the algorithms here | [`ParallelGraph`], which it implements |
//! | petgraph's [`Graph`] | entities of a world | [`spawn_petgraph`] |
//! | petgraph's [`Graph`] | [`LabeledGraph`] | [`LabeledGraph::of_petgraph`] |
//! | the [`Topology`] of a graph of the world | petgraph's [`DiGraph`] of entities | [`topology_to_petgraph`] |
//! | [`LabeledGraph`] | petgraph's [`UnGraph`] of labels | [`LabeledGraph::to_petgraph`] |
//! | any [`ParallelGraph`] | petgraph's [`DiGraph`] without weights | [`to_petgraph`] |
//!
//! Nodes and edges keep their order, so that indices are the same on both sides.
//!
//! ```
//! use connectome_systems::{Workers, algorithms::{ParallelGraph, SimpleGraph, petgraph::to_petgraph}};
//! use petgraph::graph::UnGraph;
//!
//! let ring = UnGraph::<(), ()>::from_edges([(0, 1), (1, 2), (2, 0)]);
//! let degrees = SimpleGraph::of(&ring);
//! assert_eq!(ring.par_map_nodes(&Workers::single(), |node| degrees.degree(node)), [2, 2, 2]);
//! // And back, for an algorithm of petgraph.
//! assert_eq!(petgraph::algo::connected_components(&to_petgraph(&degrees)), 1);
//! ```

use ::petgraph::{
    Directed, EdgeType, Graph, Undirected,
    graph::{DiGraph, Edge as PetEdge, IndexType, NodeIndex, UnGraph},
};
use bevy_ecs::{
    bundle::{Bundle, NoBundleEffect},
    entity::Entity,
    world::World,
};
use connectome_components::{Edge, Topology};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::{LabeledGraph, ParallelGraph};

/// Nodes and edges keep their indices. The graph must have fewer than 2^32 nodes.
impl<N: Sync, E: Sync, Ty: EdgeType + Sync, Ix: IndexType + Sync> ParallelGraph for Graph<N, E, Ty, Ix> {
    fn node_count(&self) -> usize {
        Self::node_count(self)
    }

    fn edges(&self) -> impl Iterator<Item = [u32; 2]> {
        self.raw_edges().iter().map(endpoints)
    }

    fn par_edges(&self) -> impl ParallelIterator<Item = [u32; 2]> {
        self.raw_edges().par_iter().map(endpoints)
    }
}

fn endpoints<E, Ix: IndexType>(edge: &PetEdge<E, Ix>) -> [u32; 2] {
    [edge.source(), edge.target()].map(|end| end.index() as u32)
}

/// Converts a graph to petgraph, without weights.
pub fn to_petgraph(graph: &impl ParallelGraph) -> DiGraph<(), ()> {
    with_weights::<_, _, Directed>(graph.nodes().map(|_| ()), graph.edges().map(|endpoints| (endpoints, ())))
}

/// Converts a graph of the world to petgraph: the weights of nodes and edges are their entities, in the order of their
/// rows. Dangling edges are skipped.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Edge, Graph, GraphNode, Topology};
/// use connectome_systems::{Scratch, algorithms::petgraph::topology_to_petgraph, update_topology};
///
/// let mut world = World::new();
/// let graph = Graph::spawn(&mut world);
/// let [ann, bob, cid] = [(); 3].map(|()| world.spawn(GraphNode).id());
/// for [source, target] in [[ann, bob], [bob, cid]] {
///     world.spawn(Edge { source, target });
/// }
/// update_topology(&mut world, graph, &mut Scratch::default());
///
/// let friends = topology_to_petgraph(world.get::<Topology>(graph).ok_or("it is a graph")?);
/// let order = petgraph::algo::toposort(&friends, None).map_err(|_| "nobody is their own friend's friend")?;
/// assert_eq!(order.into_iter().map(|node| friends[node]).collect::<Vec<_>>(), [ann, bob, cid]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn topology_to_petgraph(topology: &Topology) -> DiGraph<Entity, Entity> {
    let is_whole = |(endpoints, _): &([u32; 2], Entity)| *endpoints != [Topology::NO_ROW; 2];
    let edges =
        topology.endpoints_within().iter().copied().zip(topology.edges.entities().iter().copied()).filter(is_whole);
    with_weights::<_, _, Directed>(topology.nodes.entities().iter().copied(), edges)
}

/// Spawns the nodes of a petgraph graph, then its edges, with the bundles that `node` and `edge` return for their
/// weights. Returns the entities of both, in the order of their indices.
///
/// Edges get an [`Edge`]; the bundle of a node must have the component that marks nodes of the graph, such as
/// [`GraphNode`](connectome_components::GraphNode). An undirected edge becomes two directed ones, one after the other;
/// an undirected self-loop becomes one.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use connectome_components::{Edge, EdgeWeight, ClassLabel, GraphNode};
/// use connectome_systems::algorithms::petgraph::spawn_petgraph;
/// use petgraph::graph::UnGraph;
///
/// let mut molecule = UnGraph::<u32, f32>::default();
/// let [carbon, oxygen] = [6, 8].map(|element| molecule.add_node(element));
/// molecule.add_edge(carbon, oxygen, 2.0);
///
/// let mut world = World::new();
/// let atom = |element: &u32| (GraphNode, ClassLabel(*element));
/// let (atoms, bonds) = spawn_petgraph(&mut world, &molecule, atom, |order| EdgeWeight(*order));
/// assert_eq!(world.get::<ClassLabel>(atoms[1]), Some(&ClassLabel(8)));
/// assert_eq!(world.get::<Edge>(bonds[1]), Some(&Edge { source: atoms[1], target: atoms[0] }));
/// ```
pub fn spawn_petgraph<N, E, Ty, Ix, NodeBundle, EdgeBundle>(
    world: &mut World,
    graph: &Graph<N, E, Ty, Ix>,
    node: impl FnMut(&N) -> NodeBundle,
    mut edge: impl FnMut(&E) -> EdgeBundle,
) -> (Vec<Entity>, Vec<Entity>)
where
    Ty: EdgeType,
    Ix: IndexType,
    NodeBundle: Bundle<Effect: NoBundleEffect>,
    EdgeBundle: Bundle<Effect: NoBundleEffect>,
{
    let nodes: Vec<Entity> = world.spawn_batch(graph.node_weights().map(node)).collect();
    let directions = |edge: &PetEdge<E, Ix>| {
        let [source, target] = [edge.source(), edge.target()];
        let is_both = !graph.is_directed() && source != target;
        [Some([source, target]), is_both.then_some([target, source])].into_iter().flatten()
    };
    let edges = graph.raw_edges().iter().flat_map(|edge| directions(edge).map(move |endpoints| (endpoints, edge)));
    let bundles = edges.map(|(endpoints, of)| {
        let [source, target] = endpoints.map(|end| nodes[end.index()]);
        (Edge { source, target }, edge(&of.weight))
    });
    let edges = world.spawn_batch(bundles).collect();
    (nodes, edges)
}

impl LabeledGraph {
    /// Converts a graph whose weights are labels. Directions and self-loops are ignored; of several edges between two
    /// nodes the first is kept.
    pub fn of_petgraph<Ty: EdgeType, Ix: IndexType>(graph: &Graph<u32, u32, Ty, Ix>) -> Self {
        let edges = graph.raw_edges().iter().map(|edge| (endpoints(edge), edge.weight));
        Self::new(graph.node_weights().copied().collect(), edges)
    }

    /// Converts the graph to petgraph, with labels as weights.
    pub fn to_petgraph(&self) -> UnGraph<u32, u32> {
        with_weights::<_, _, Undirected>(self.labels().iter().copied(), self.labeled_edges())
    }
}

fn with_weights<N, E, Ty: EdgeType>(
    nodes: impl Iterator<Item = N>,
    edges: impl Iterator<Item = ([u32; 2], E)>,
) -> Graph<N, E, Ty> {
    let mut graph = Graph::with_capacity(nodes.size_hint().0, edges.size_hint().0);
    nodes.for_each(|node| {
        graph.add_node(node);
    });
    edges.for_each(|([source, target], weight)| {
        graph.add_edge(NodeIndex::from(source), NodeIndex::from(target), weight);
    });
    graph
}

#[cfg(test)]
mod tests {
    use bevy_ecs::world::World;
    use connectome_components::{ClassLabel, EdgeWeight, Graph as WorldGraph, GraphNode};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        parallel::Workers,
        topology::{Scratch, update_topology},
    };

    /// Calls the trait's method `edges`; petgraph's graph has another one.
    fn all_endpoints(graph: &impl ParallelGraph) -> Vec<[u32; 2]> {
        graph.edges().collect()
    }

    proptest! {
        #[test]
        fn graphs_survive_the_round_trip_through_a_world(
            labels in vec(0..9_u32, 1..12),
            edges in vec(([0..12_u32, 0..12_u32], 0..9_u16), 0..20),
        ) {
            let count = labels.len() as u32;
            let edges: Vec<_> = edges.into_iter().map(|(endpoints, weight)| (endpoints.map(|end| end % count), weight)).collect();
            let given: Graph<u32, u16, Directed> = with_weights(labels.iter().copied(), edges.iter().copied());
            prop_assert_eq!(all_endpoints(&given), edges.iter().map(|(endpoints, _)| *endpoints).collect::<Vec<_>>());
            prop_assert_eq!(given.par_edges().collect::<Vec<_>>(), all_endpoints(&given));
            let mut world = World::new();
            let graph = WorldGraph::spawn(&mut world);
            let weight = |weight: &u16| EdgeWeight(f32::from(*weight));
            let (nodes, spawned) = spawn_petgraph(&mut world, &given, |label| (GraphNode, ClassLabel(*label)), weight);
            prop_assert_eq!((nodes.len(), spawned.len()), (labels.len(), edges.len()));
            update_topology(&mut world, graph, &mut Scratch::default());
            let back = topology_to_petgraph(world.get::<Topology>(graph).unwrap());
            let back = back.map(
                |_, node| world.get::<ClassLabel>(*node).unwrap().0,
                |_, edge| world.get::<EdgeWeight>(*edge).unwrap().0 as u16,
            );
            let contents = |graph: &Graph<u32, u16>| {
                let nodes: Vec<u32> = graph.node_weights().copied().collect();
                let edges: Vec<_> = all_endpoints(graph).into_iter().zip(graph.edge_weights().copied()).collect();
                (nodes, edges)
            };
            prop_assert_eq!(contents(&back), contents(&given));
        }

        #[test]
        fn labeled_graphs_survive_the_round_trip(
            labels in vec(0..3_u32, 0..12),
            edges in vec(([0..12_u32, 0..12], 0..3_u32), 0..20),
        ) {
            let graph = LabeledGraph::new(labels, edges);
            prop_assert_eq!(&LabeledGraph::of_petgraph(&graph.to_petgraph()), &graph);
            let plain = to_petgraph(graph.graph());
            prop_assert_eq!(all_endpoints(&plain), all_endpoints(&graph));
            let degrees = plain.par_map_nodes(&Workers::single(), |node| graph.graph().degree(node));
            prop_assert_eq!(degrees.iter().sum::<usize>(), 2 * plain.edge_count());
        }
    }

    #[test]
    fn an_undirected_edge_becomes_two_and_a_self_loop_one() {
        let mut world = World::new();
        let loops = UnGraph::<(), ()>::from_edges([(0, 1), (1, 1)]);
        let (nodes, edges) = spawn_petgraph(&mut world, &loops, |()| GraphNode, |()| ());
        let endpoints: Vec<Edge> = edges.iter().map(|edge| *world.get(*edge).unwrap()).collect();
        let edge = |source: usize, target: usize| Edge { source: nodes[source], target: nodes[target] };
        assert_eq!(endpoints, [edge(0, 1), edge(1, 0), edge(1, 1)]);
    }
}
