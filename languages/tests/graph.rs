//! The graph of any language.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{ClassLabel, Edge, EdgeKind, EdgePosition, Graph, GraphKey, Topology};
use connectome_languages::{EdgeError, LanguageEdge, LanguageGraph, Relation, Span, Vocabulary};
use connectome_systems::{
    Scratch,
    algorithms::{LabeledGraph, ParallelGraph},
    update_topology,
};

const RELATIONS: &[Relation] = &[Relation::ordered("child"), Relation::unordered("next")];
const CHILD: u32 = 0;
const NEXT: u32 = 1;

/// `b - a`, whose leaves stand in a row.
fn difference() -> LanguageGraph {
    let mut graph = LanguageGraph::new(RELATIONS);
    let minus = graph.add_node("-", Some(Span { start: 2, end: 3 }));
    let [b, a] = [("b", 0), ("a", 4)].map(|(name, start)| graph.add_node(name, Some(Span { start, end: start + 1 })));
    let edges = [([b, minus], CHILD, 0), ([a, minus], CHILD, 1), ([b, a], NEXT, 0)];
    for ([source, target], relation, position) in edges {
        assert_eq!(graph.add_edge(LanguageEdge { source, target, relation, position }), Ok(()));
    }
    graph
}

#[test]
fn labels_and_positions_are_kept_for_algorithms() {
    let graph = difference();
    let names: Vec<String> =
        graph.language_edges().iter().map(|edge| graph.edge_label_name(graph.edge_label(edge))).collect();
    assert_eq!(names, ["child 0", "child 1", "next"]);
    // relation + 2 position
    let expected = LabeledGraph::new(vec![0, 1, 2], [([0, 1], 0), ([0, 2], 2), ([1, 2], 1)]);
    assert_eq!(graph.to_labeled(), expected);
    assert_eq!(graph.edges().collect::<Vec<_>>(), [[1, 0], [2, 0], [1, 2]]);
    assert_eq!(graph.spans()[2].and_then(|span| span.text("b - a")), Some("a"));
    assert_eq!(graph.spans()[2].and_then(|span| span.text("b")), None);
}

#[test]
fn a_shared_vocabulary_gives_the_same_label_the_same_number() {
    let (mut one, mut other) = (difference(), LanguageGraph::new(&[]));
    for name in ["a", "c"] {
        other.add_node(name, None);
    }
    let mut vocabulary = Vocabulary::default();
    one.relabel(&mut vocabulary);
    other.relabel(&mut vocabulary);
    assert_eq!(vocabulary.names().collect::<Vec<_>>(), ["-", "b", "a", "c"]);
    assert_eq!((one.labels(), other.labels()), ([0, 1, 2].as_slice(), [2, 3].as_slice()));
    assert_eq!((other.label(1), other.label(2)), (Some("c"), None));
}

#[test]
fn edges_without_nodes_or_relation_are_errors() {
    let mut graph = difference();
    let outside = LanguageEdge { source: 3, target: 0, relation: CHILD, position: 0 };
    assert_eq!(graph.add_edge(outside), Err(EdgeError::Endpoint { edge: outside, nodes: 3 }));
    let unknown = LanguageEdge { source: 1, target: 0, relation: 2, position: 0 };
    assert_eq!(graph.add_edge(unknown), Err(EdgeError::Relation { edge: unknown, relations: 2 }));
    assert_eq!(graph, difference());
}

#[test]
fn a_graph_becomes_entities_in_order() {
    let (graph, mut world) = (difference(), World::new());
    let entity = Graph::spawn(&mut world);
    let spawned = graph.spawn(&mut world);
    let labels: Vec<u32> = spawned.nodes.iter().map(|node| world.get::<ClassLabel>(*node).unwrap().0).collect();
    assert_eq!(labels, graph.labels());
    let number = |node: Entity| spawned.nodes.iter().position(|other| *other == node).unwrap() as u32;
    for (entity, expected) in spawned.edges.iter().zip(graph.language_edges()) {
        let Edge { source, target } = *world.get(*entity).unwrap();
        let (relation, position) =
            (world.get::<EdgeKind>(*entity).unwrap().0, world.get::<EdgePosition>(*entity).unwrap().0);
        let [source, target] = [source, target].map(number);
        assert_eq!(LanguageEdge { source, target, relation, position }, *expected);
    }
    let keys =
        |entities: &[Entity]| entities.iter().map(|one| *world.get::<GraphKey>(*one).unwrap()).collect::<Vec<_>>();
    assert!(keys(&spawned.nodes).is_sorted() && keys(&spawned.edges).is_sorted());
    update_topology(&mut world, entity, &mut Scratch::default());
    let topology = world.get::<Topology>(entity).unwrap();
    assert_eq!((topology.node_count(), topology.edges().count()), (3, 3));
}

#[test]
fn a_graph_without_nodes_becomes_nothing() {
    let graph = LanguageGraph::new(&[]);
    assert_eq!(graph.to_labeled().node_count(), 0);
    assert!(graph.spawn(&mut World::new()).nodes.is_empty());
}
