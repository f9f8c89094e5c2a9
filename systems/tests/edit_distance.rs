//! The edit distance is that of a plain search, its bounds enclose it, and its path makes one graph into the other for
//! this cost, for any costs and any number of workers. A failure names the graphs, the costs or the number of workers.

use connectome_systems::{
    Workers,
    algorithms::{
        LabeledGraph, ParallelGraph,
        edit_distance::{
            EditComparison, EditCosts, EditError, EditOperation, MAX_NODES, OperationCosts, SearchBudget, StopReason,
            edit_distance, edit_distances, edit_path, pairwise_edit_distances,
        },
    },
    random::Philox,
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, time::Duration};

const LABELS: u32 = 3;

fn insertion(costs: &OperationCosts, label: u32) -> f64 {
    match costs {
        OperationCosts::Uniform { insertion, .. } => *insertion,
        OperationCosts::Table { insertion, .. } => insertion[label as usize],
    }
}

fn deletion(costs: &OperationCosts, label: u32) -> f64 {
    match costs {
        OperationCosts::Uniform { deletion, .. } => *deletion,
        OperationCosts::Table { deletion, .. } => deletion[label as usize],
    }
}

fn substitution(costs: &OperationCosts, from: u32, to: u32) -> f64 {
    match costs {
        OperationCosts::Uniform { substitution, .. } => f64::from(from != to) * substitution,
        OperationCosts::Table { substitution, .. } => substitution[from as usize][to as usize],
    }
}

/// Tries all mappings, node by node, as long as they cost less than the best one; half a cost here or there is none.
struct Plain<'a> {
    graphs: [&'a LabeledGraph; 2],
    edges: [BTreeMap<[u32; 2], u32>; 2],
    costs: &'a EditCosts,
    best: f64,
}

impl<'a> Plain<'a> {
    /// The distance, if it is less than `limit`.
    fn distance(first: &'a LabeledGraph, second: &'a LabeledGraph, costs: &'a EditCosts, limit: f64) -> f64 {
        let edges = [first, second].map(|graph| graph.labeled_edges().collect());
        let mut plain = Self { graphs: [first, second], edges, costs, best: limit };
        plain.decide(0.0, &mut Vec::new());
        plain.best
    }

    fn edge(&self, graph: usize, one: Option<u32>, other: Option<u32>) -> Option<u32> {
        let (one, other) = (one?, other?);
        self.edges[graph].get(&[one.min(other), one.max(other)]).copied()
    }

    fn decide(&mut self, cost: f64, mapping: &mut Vec<Option<u32>>) {
        if cost >= self.best - 1e-6 {
            return;
        }
        let ([first, second], node) = (self.graphs, mapping.len() as u32);
        if mapping.len() == first.node_count() {
            let is_new = |node: &u32| !mapping.contains(&Some(*node));
            let nodes = second.nodes().filter(is_new).map(|node| second.labels()[node as usize]);
            let edges =
                second.labeled_edges().filter(|(endpoints, _)| endpoints.iter().any(is_new)).map(|(_, label)| label);
            let nodes: f64 = nodes.map(|label| insertion(self.costs.nodes(), label)).sum();
            let edges: f64 = edges.map(|label| insertion(self.costs.edges(), label)).sum();
            self.best = self.best.min(cost + nodes + edges);
            return;
        }
        let label = first.labels()[node as usize];
        for with in second.nodes().map(Some).chain([None]) {
            if with.is_some() && mapping.contains(&with) {
                continue;
            }
            let mut sum = cost
                + match with {
                    Some(with) => substitution(self.costs.nodes(), label, second.labels()[with as usize]),
                    None => deletion(self.costs.nodes(), label),
                };
            for (other, other_with) in (0..).zip(&*mapping) {
                let costs = self.costs.edges();
                sum += match (self.edge(0, Some(node), Some(other)), self.edge(1, with, *other_with)) {
                    (Some(from), Some(to)) => {
                        substitution(costs, from, to).min(deletion(costs, from) + insertion(costs, to))
                    }
                    (Some(from), None) => deletion(costs, from),
                    (None, Some(to)) => insertion(costs, to),
                    (None, None) => 0.0,
                };
            }
            mapping.push(with);
            self.decide(sum, mapping);
            mapping.pop();
        }
    }
}

/// Takes the steps of the path one by one; the result must be the second graph, and their cost the upper bound.
fn check_path(first: &LabeledGraph, second: &LabeledGraph, costs: &EditCosts, found: &EditComparison) {
    let path = edit_path(first, second, costs, &found.mapping).unwrap();
    let sum: f64 = path.iter().map(|(_, cost)| cost).sum();
    assert!((sum - found.upper).abs() < 1e-6, "{path:?} costs {sum}, not {}", found.upper);
    let mut nodes: BTreeMap<u32, u32> = (0..).zip(first.labels().iter().copied()).collect();
    let mut edges: BTreeMap<[u32; 2], u32> = first.labeled_edges().collect();
    let wanted: BTreeMap<[u32; 2], u32> = second.labeled_edges().collect();
    let sorted = |[one, other]: [u32; 2]| [one.min(other), one.max(other)];
    let (mut new_nodes, mut new_edges) = (BTreeMap::new(), BTreeMap::new());
    for (operation, _) in path {
        match operation {
            EditOperation::DeleteEdge { endpoints } => assert!(edges.remove(&endpoints).is_some(), "{endpoints:?}"),
            EditOperation::DeleteNode { node } => {
                assert!(nodes.remove(&node).is_some() && !edges.keys().flatten().any(|end| *end == node), "{node}");
            }
            EditOperation::SubstituteNode { node, with } => {
                assert_eq!(found.mapping[node as usize], Some(with));
                *nodes.get_mut(&node).unwrap() = second.labels()[with as usize];
            }
            EditOperation::SubstituteEdge { endpoints, with } => {
                assert_eq!(endpoints.map(|end| found.mapping[end as usize]), with.map(Some));
                *edges.get_mut(&endpoints).unwrap() = wanted[&sorted(with)];
            }
            EditOperation::InsertNode { node } => {
                assert_eq!(new_nodes.insert(node, second.labels()[node as usize]), None);
            }
            EditOperation::InsertEdge { endpoints } => {
                assert_eq!(new_edges.insert(endpoints, wanted[&endpoints]), None)
            }
        }
    }
    let renamed = |node: u32| found.mapping[node as usize].unwrap();
    for (node, label) in nodes {
        assert_eq!(new_nodes.insert(renamed(node), label), None, "node {node}");
    }
    for (endpoints, label) in edges {
        assert_eq!(new_edges.insert(sorted(endpoints.map(renamed)), label), None, "edge {endpoints:?}");
    }
    assert!(new_nodes.into_iter().eq((0..).zip(second.labels().iter().copied())));
    assert_eq!(new_edges, wanted);
}

fn check_exact(first: &LabeledGraph, second: &LabeledGraph, costs: &EditCosts) -> EditComparison {
    let found = edit_distance(first, second, costs, SearchBudget::EXACT, &Workers::single()).unwrap();
    assert!(found.distance().is_some() && found.stop_reason.is_none(), "{found:?}");
    check_path(first, second, costs, &found);
    let bounds = edit_distance(first, second, costs, SearchBudget::BOUNDS, &Workers::single()).unwrap();
    assert!(bounds.lower <= found.upper && found.upper <= bounds.upper, "{bounds:?} are not about {found:?}");
    assert_eq!(bounds.stop_reason, (bounds.lower < bounds.upper).then_some(StopReason::Expansions));
    check_path(first, second, costs, &bounds);
    found
}

/// Labeled graphs; loops, parallel edges and ends that are no nodes are among what they are made of.
fn graphs(nodes: core::ops::RangeInclusive<usize>) -> impl Strategy<Value = LabeledGraph> {
    (vec(0..LABELS, nodes), vec(([0_u32..13, 0_u32..13], 0..LABELS), 0..50)).prop_map(|(labels, edges)| {
        let nodes = labels.len().max(1) as u32;
        let inner = edges.into_iter().map(|(endpoints, label)| (endpoints.map(|end| end % (nodes + 1)), label));
        LabeledGraph::new(labels, inner.take(2 * nodes as usize))
    })
}

fn operation_costs() -> impl Strategy<Value = OperationCosts> {
    // Relabeling may cost more than deleting and inserting, and equal labels may cost something.
    let cost = || prop_oneof![(0..9_u32).prop_map(|halves| f64::from(halves) / 2.0), 0.0..3.0];
    let labels = LABELS as usize;
    let uniform = [cost(), cost(), cost()].prop_map(|[insertion, deletion, substitution]| OperationCosts::Uniform {
        insertion,
        deletion,
        substitution,
    });
    let table = (vec(cost(), labels), vec(cost(), labels), vec(vec(cost(), labels), labels))
        .prop_map(|(insertion, deletion, substitution)| OperationCosts::Table { insertion, deletion, substitution });
    prop_oneof![Just(OperationCosts::UNIT), uniform, table]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_distance_is_that_of_a_plain_search(
        first in graphs(0..=5),
        second in graphs(0..=5),
        nodes in operation_costs(),
        edges in operation_costs(),
    ) {
        let costs = EditCosts::new(nodes, edges).unwrap();
        let found = check_exact(&first, &second, &costs);
        let expected = Plain::distance(&first, &second, &costs, f64::MAX);
        prop_assert!((found.upper - expected).abs() < 1e-6, "{} in place of {}", found.upper, expected);
    }
}

/// Changes labels, takes edges away and mixes the nodes; returns by how much the distance can have grown at most.
fn edited(graph: &LabeledGraph, changes: &[u32], keys: &[u32]) -> (LabeledGraph, usize) {
    let mut labels = graph.labels().to_vec();
    let mut edges: Vec<([u32; 2], u32)> = graph.labeled_edges().collect();
    for change in changes {
        if !edges.is_empty() && change % 2 == 0 {
            edges.remove(*change as usize % edges.len());
        } else if !labels.is_empty() {
            let place = *change as usize % labels.len();
            labels[place] = (labels[place] + 1) % LABELS;
        }
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|node| keys[*node]);
    let place = |node: u32| order.iter().position(|other| *other == node as usize).unwrap() as u32;
    let edges = edges.into_iter().map(|(endpoints, label)| (endpoints.map(place), label));
    (LabeledGraph::new(order.iter().map(|node| labels[*node]).collect(), edges), changes.len())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn near_graphs_of_twelve_nodes_are_found_near(
        graph in graphs(8..=12),
        changes in vec(any::<u32>(), 0..4),
        keys in vec(any::<u32>(), 12),
    ) {
        let costs = EditCosts::default();
        let (other, most) = edited(&graph, &changes, &keys);
        let found = check_exact(&graph, &other, &costs);
        prop_assert!(found.upper <= most as f64);
        // Nothing is cheaper.
        prop_assert_eq!(Plain::distance(&graph, &other, &costs, found.upper), found.upper);
        prop_assert_eq!(check_exact(&other, &graph, &costs).upper, found.upper);
    }
}

/// A graph of `nodes` nodes and half as many edges again.
fn random_graph(nodes: u32, seed: u64) -> LabeledGraph {
    let mut draws = vec![0.0; 6 * nodes as usize];
    Philox::new(seed, 0, 0).fill_uniform(&mut draws);
    let below = |draw: f32, count: u32| ((draw * count as f32) as u32).min(count - 1);
    let labels = (0..nodes as usize).map(|node| below(draws[node], LABELS)).collect();
    let triples = draws[nodes as usize..].chunks_exact(3).take(3 * nodes as usize / 2);
    let edges = triples.map(|draw| ([below(draw[0], nodes), below(draw[1], nodes)], below(draw[2], 2)));
    LabeledGraph::new(labels, edges)
}

#[test]
fn any_number_of_workers_finds_the_same() {
    let costs = EditCosts::default();
    let [one, other] = [random_graph(13, 1), random_graph(13, 2)];
    for expansions in [None, Some(0), Some(1), Some(700), Some(3_000)] {
        let budget = SearchBudget { expansions, time: None };
        let expected = edit_distance(&one, &other, &costs, budget, &Workers::single()).unwrap();
        assert!(expansions.is_some() || expected.expansions > 3_000, "{expected:?} was too easy");
        assert!(expansions.is_none_or(|most| expected.expansions <= most), "{expected:?}");
        assert_eq!(expected.stop_reason.is_none(), expected.distance().is_some(), "{expected:?}");
        for workers in [2, 3, 8] {
            let found = edit_distance(&one, &other, &costs, budget, &Workers::new(workers).unwrap()).unwrap();
            assert_eq!(found, expected, "{workers} workers, {expansions:?} expansions");
        }
    }
}

#[test]
fn bounds_close_in_as_more_is_searched() {
    let costs = EditCosts::default();
    let [one, other] = [random_graph(14, 1), random_graph(14, 2)];
    let exact = check_exact(&one, &other, &costs);
    assert!(exact.expansions > 1_000, "{exact:?} was too easy");
    let mut before = edit_distance(&one, &other, &costs, SearchBudget::BOUNDS, &Workers::single()).unwrap();
    for part in 1..8 {
        let budget = SearchBudget { expansions: Some(exact.expansions * part / 8), time: None };
        let found = edit_distance(&one, &other, &costs, budget, &Workers::single()).unwrap();
        check_path(&one, &other, &costs, &found);
        assert!(found.lower <= exact.upper && exact.upper <= found.upper, "{found:?}");
        assert!(before.lower <= found.lower, "{found:?} after {before:?}");
        assert_eq!(found.stop_reason, Some(StopReason::Expansions), "{found:?}");
        before = found;
    }
}

#[test]
fn time_that_is_over_is_told() {
    let budget = SearchBudget { expansions: None, time: Some(Duration::ZERO) };
    let [one, other] = [random_graph(30, 5), random_graph(30, 6)];
    let found = edit_distance(&one, &other, &EditCosts::default(), budget, &Workers::single()).unwrap();
    assert_eq!((found.stop_reason, found.distance()), (Some(StopReason::Time), None));
    check_path(&one, &other, &EditCosts::default(), &found);
}

#[test]
fn graphs_that_are_too_large_to_search_have_bounds() {
    let [one, other] = [random_graph(250, 1), random_graph(220, 2)];
    let find = |workers| {
        edit_distance(&one, &other, &EditCosts::default(), SearchBudget::EXACT, &Workers::new(workers).unwrap())
            .unwrap()
    };
    let found = find(1);
    assert!(
        found.stop_reason == Some(StopReason::Size) && found.lower < found.upper,
        "{} to {}",
        found.lower,
        found.upper
    );
    check_path(&one, &other, &EditCosts::default(), &found);
    assert_eq!(find(3), found);
    // Those that differ by little need no search.
    let (near, most) = edited(&one, &[2, 3, 4, 5], &(0..250).rev().collect::<Vec<u32>>());
    assert!(check_exact(&one, &near, &EditCosts::default()).upper <= most as f64);
}

#[test]
fn the_smallest_graphs_have_distances() {
    let costs = EditCosts::default();
    let empty = LabeledGraph::default();
    let single = LabeledGraph::new(vec![1], [([0, 0], 1)]);
    let pair = LabeledGraph::new(vec![1, 2], [([0, 1], 1), ([1, 0], 2)]);
    let apart = LabeledGraph::new(vec![2, 1], []);
    let graphs = [empty, single, pair, apart];
    let expected = [0, 1, 3, 2, 0, 2, 1, 0, 1, 0].map(f64::from);
    let mut place = 0;
    for one in 0..4 {
        for other in one..4 {
            assert_eq!(check_exact(&graphs[one], &graphs[other], &costs).upper, expected[place], "{one} and {other}");
            assert_eq!(check_exact(&graphs[other], &graphs[one], &costs).upper, expected[place], "{other} and {one}");
            place += 1;
        }
    }
}

#[test]
fn many_are_compared_as_each_pair_is() {
    let costs = EditCosts::default();
    let graphs: Vec<LabeledGraph> = (0..6).map(|seed| random_graph(4 + seed as u32, seed)).collect();
    let workers = Workers::new(3).unwrap();
    let one = |one: usize, other: usize| {
        edit_distance(&graphs[one], &graphs[other], &costs, SearchBudget::EXACT, &Workers::single()).unwrap()
    };
    let expected: Vec<_> = (0..6).map(|other| one(2, other)).collect();
    assert_eq!(edit_distances(&graphs[2], &graphs, &costs, SearchBudget::EXACT, &workers).unwrap(), expected);
    let expected: Vec<_> = (0..6).flat_map(|first| (first + 1..6).map(move |other| [first, other])).collect();
    let expected: Vec<_> = expected.into_iter().map(|[first, other]| one(first, other)).collect();
    assert_eq!(pairwise_edit_distances(&graphs, &costs, SearchBudget::EXACT, &workers).unwrap(), expected);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let [small, large] = [1, MAX_NODES + 1].map(|nodes| LabeledGraph::new(vec![5; nodes], []));
    let refused = |costs: &EditCosts, other| {
        edit_distance(&small, other, costs, SearchBudget::BOUNDS, &Workers::single()).unwrap_err()
    };
    assert_eq!(refused(&EditCosts::default(), &large), EditError::TooManyNodes { nodes: MAX_NODES + 1 });
    let edges = (0..1_100).map(|edge| ([edge % 60, 60 + edge / 60], edge));
    let colorful = LabeledGraph::new(vec![0; 120], edges);
    assert_eq!(refused(&EditCosts::default(), &colorful), EditError::TooManyEdgeLabels { labels: 1_100 });
    let table =
        OperationCosts::Table { insertion: vec![1.0; 2], deletion: vec![1.0; 2], substitution: vec![vec![1.0; 2]; 2] };
    let costs = EditCosts::new(table, OperationCosts::UNIT).unwrap();
    assert_eq!(refused(&costs, &small), EditError::Label { kind: "node", label: 5, labels: 2 });

    let pair = LabeledGraph::new(vec![0, 0], []);
    for (mapping, node) in [(vec![Some(0), Some(0)], 1), (vec![Some(2), None], 0), (vec![None], 1), (vec![None; 3], 2)]
    {
        let error = edit_path(&pair, &pair, &EditCosts::default(), &mapping).unwrap_err();
        assert_eq!(error, EditError::Mapping { node }, "{mapping:?}");
    }
}
