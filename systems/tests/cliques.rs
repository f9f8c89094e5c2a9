//! Cliques against brute force: every subset of up to 12 nodes is tried. A failure shows the edges of the graph.

use connectome_systems::{
    Workers,
    algorithms::{
        ParallelGraph, SimpleGraph,
        cliques::{
            CliqueKind, Cliques, Completeness, Limits, SizeError, count_cliques, list_cliques, maximum_clique,
            visit_cliques,
        },
    },
    random::Philox,
};
use core::{ops::ControlFlow, time::Duration};
use proptest::prelude::*;
use std::collections::BTreeSet;

const ALL: Limits = Limits { max_count: None, time: None };

fn workers(count: usize) -> Workers {
    Workers::new(count).unwrap_or_else(|error| panic!("{error}"))
}

fn of_size(size: usize) -> CliqueKind {
    CliqueKind::of_size(size).unwrap_or_else(|error| panic!("{error}"))
}

fn sorted(cliques: &Cliques) -> Vec<Vec<u32>> {
    assert_eq!(cliques.completeness(), Completeness::All);
    assert!(cliques.iter().all(|clique| clique.is_sorted_by(|one, next| one < next)));
    let mut cliques: Vec<Vec<u32>> = cliques.iter().map(<[u32]>::to_vec).collect();
    cliques.sort();
    cliques
}

/// Every clique but the empty one, in rising order.
fn brute_force(graph: &SimpleGraph) -> Vec<Vec<u32>> {
    let nodes = graph.node_count();
    let members = |set: u32| graph.nodes().filter(move |node| set >> node & 1 == 1).collect::<Vec<_>>();
    let joined = |clique: &Vec<u32>| {
        clique
            .iter()
            .enumerate()
            .all(|(place, one)| clique[place + 1..].iter().all(|other| graph.has_edge(*one, *other)))
    };
    let mut cliques: Vec<_> = (1..1_u32 << nodes).map(members).filter(joined).collect();
    cliques.sort();
    cliques
}

fn is_maximal(graph: &SimpleGraph, clique: &[u32]) -> bool {
    !graph.nodes().any(|node| clique.iter().all(|member| graph.has_edge(node, *member)))
}

/// A graph in which each pair is joined with a probability.
fn random_graph(nodes: u32, probability: f32, seed: u64) -> SimpleGraph {
    let pairs: Vec<[u32; 2]> = (0..nodes).flat_map(|one| (0..one).map(move |other| [other, one])).collect();
    let mut draws = vec![0.0; pairs.len()];
    Philox::new(seed, 0, 0).fill_uniform(&mut draws);
    let edges = pairs.into_iter().zip(draws).filter(|(_, draw)| *draw < probability);
    SimpleGraph::new(nodes as usize, edges.map(|(pair, _)| pair))
}

/// Blobs, sparse and dense, side by side.
fn uneven_graph() -> SimpleGraph {
    let mut edges = Vec::new();
    let mut start = 0;
    for (nodes, probability) in [(30, 0.9), (60, 0.6), (100, 0.3), (160, 0.2)] {
        edges.extend(random_graph(nodes, probability, 5).edges().map(|endpoints| endpoints.map(|end| start + end)));
        start += nodes;
    }
    SimpleGraph::new(start as usize + 3, edges)
}

/// Two halves without edges within them, all joined to the other half and to one more node.
fn double_cone(half: u32) -> SimpleGraph {
    let between = (0..half).flat_map(|one| (half..2 * half).map(move |other| [one, other]));
    SimpleGraph::new(2 * half as usize + 1, between.chain((0..2 * half).map(|node| [node, 2 * half])))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn all_are_found_as_by_trying_every_set(
        nodes in 0..=12_usize,
        edges in proptest::collection::vec([0..12_u32, 0..12_u32], 0..90),
        count in 1..=3_usize,
    ) {
        let graph = SimpleGraph::new(nodes, edges);
        let workers = workers(count);
        let expected = brute_force(&graph);
        for size in 1..=13 {
            let of_size: Vec<_> = expected.iter().filter(|clique| clique.len() == size).cloned().collect();
            let kind = CliqueKind::of_size(size)?;
            prop_assert_eq!(sorted(&list_cliques(&graph, kind, &workers, ALL)), of_size.clone());
            prop_assert_eq!(count_cliques(&graph, kind, &workers, ALL).count, of_size.len() as u64);
        }
        let maximal: Vec<_> = expected.iter().filter(|clique| is_maximal(&graph, clique)).cloned().collect();
        prop_assert_eq!(sorted(&list_cliques(&graph, CliqueKind::maximal(), &workers, ALL)), maximal.clone());
        prop_assert_eq!(count_cliques(&graph, CliqueKind::maximal(), &workers, ALL).count, maximal.len() as u64);
        let largest = maximum_clique(&graph, &workers, None);
        prop_assert_eq!(largest.completeness, Completeness::All);
        prop_assert_eq!(largest.nodes.len(), maximal.iter().map(Vec::len).max().unwrap_or(0));
        prop_assert!(nodes == 0 || maximal.contains(&largest.nodes));
    }
}

#[test]
fn any_number_of_workers_finds_the_same_in_the_same_order() {
    let graphs = [
        uneven_graph(),
        double_cone(130),
        random_graph(150, 0.7, 1),
        random_graph(90, 0.85, 2),
        random_graph(600, 0.1, 3),
    ];
    let kinds = [CliqueKind::maximal(), of_size(1), of_size(2), of_size(3), of_size(4)];
    let [one, others @ ..] = [1, 2, 3, 8].map(workers);
    for graph in &graphs {
        let largest = maximum_clique(graph, &one, None);
        for kind in kinds {
            // One graph alone has ten million.
            let limits = Limits { max_count: Some(100_000), ..ALL };
            let expected = list_cliques(graph, kind, &one, limits);
            let count = count_cliques(graph, kind, &one, limits);
            assert_eq!((count.count, count.completeness), (expected.len() as u64, expected.completeness()), "{kind:?}");
            for workers in &others {
                assert_eq!(
                    list_cliques(graph, kind, workers, limits),
                    expected,
                    "{kind:?}, {} workers",
                    workers.count()
                );
                assert_eq!(count_cliques(graph, kind, workers, limits), count, "{kind:?}, {} workers", workers.count());
            }
        }
        for workers in &others {
            assert_eq!(maximum_clique(graph, workers, None), largest, "{} workers", workers.count());
        }
    }
}

#[test]
fn a_maximum_clique_is_as_large_as_the_largest_maximal_one() {
    for (nodes, probability) in [(40, 0.9), (60, 0.8), (90, 0.7), (140, 0.5), (300, 0.3), (700, 0.1)] {
        for seed in 0..5 {
            let graph = random_graph(nodes, probability, seed);
            let mut largest = 0;
            visit_cliques(&graph, CliqueKind::maximal(), &workers(2), ALL, |clique| {
                largest = largest.max(clique.len());
                ControlFlow::Continue(())
            });
            let found = maximum_clique(&graph, &workers(2), None).nodes;
            assert_eq!(found.len(), largest, "{nodes} nodes, seed {seed}");
            assert!(found.iter().all(|one| found.iter().all(|other| one == other || graph.has_edge(*one, *other))));
        }
    }
}

#[test]
fn sets_of_each_width_find_what_is_there() {
    let workers = workers(2);
    for half in [20, 64, 100, 200, 400, 600] {
        let graph = double_cone(half);
        let triangles = (half * half) as usize;
        for kind in [CliqueKind::maximal(), of_size(3)] {
            let found = list_cliques(&graph, kind, &workers, ALL);
            assert_eq!(found.len(), triangles);
            assert!(found.iter().all(|clique| clique.len() == 3 && clique[0] < half && clique[1] >= half));
            assert!(found.iter().collect::<BTreeSet<_>>().len() == triangles, "none comes twice");
        }
        assert!(list_cliques(&graph, of_size(4), &workers, ALL).is_empty());
        assert_eq!(maximum_clique(&graph, &workers, None).nodes.len(), 3);
    }
}

#[test]
fn a_whole_graph_may_be_a_clique() {
    // Deeper than any stack of calls would like to be, and wider than the sets of fixed width.
    let nodes = 1500;
    let graph = SimpleGraph::new(nodes, (0..nodes as u32).flat_map(|one| (0..one).map(move |other| [other, one])));
    let maximal = list_cliques(&graph, CliqueKind::maximal(), &workers(2), ALL);
    assert_eq!((maximal.len(), maximal.get(0).map(<[u32]>::len)), (1, Some(nodes)));
    assert_eq!(maximum_clique(&graph, &workers(2), None).nodes.len(), nodes);
    assert_eq!(count_cliques(&graph, of_size(2), &workers(2), ALL).count, (nodes * (nodes - 1) / 2) as u64);
}

#[test]
fn the_first_ones_come_where_not_all_are_wanted() {
    let graph = random_graph(80, 0.6, 4);
    for kind in [CliqueKind::maximal(), of_size(4)] {
        let all = list_cliques(&graph, kind, &workers(1), ALL);
        for count in [1, 2, 8] {
            let workers = workers(count);
            for most in [0, 1, 17, all.len() - 1] {
                let first = list_cliques(&graph, kind, &workers, Limits { max_count: Some(most), ..ALL });
                assert_eq!((first.len(), first.completeness()), (most, Completeness::LimitReached));
                assert!(first.iter().eq(all.iter().take(most)));
                let counted = count_cliques(&graph, kind, &workers, Limits { max_count: Some(most), ..ALL });
                assert_eq!((counted.count, counted.completeness), (most as u64, Completeness::LimitReached));
            }
            // As many as there are is no cut.
            let limits = Limits { max_count: Some(all.len()), ..ALL };
            assert_eq!(list_cliques(&graph, kind, &workers, limits), all);
            assert!(count_cliques(&graph, kind, &workers, limits).completeness.is_complete());
        }
    }
}

#[test]
fn a_visitor_sees_all_and_may_break_off() {
    let graph = random_graph(80, 0.6, 4);
    let all = list_cliques(&graph, CliqueKind::maximal(), &workers(1), ALL);
    for count in [1, 2, 8] {
        let workers = workers(count);
        let mut seen: Vec<Vec<u32>> = Vec::new();
        let end = visit_cliques(&graph, CliqueKind::maximal(), &workers, ALL, |clique| {
            seen.push(clique.to_vec());
            ControlFlow::Continue(())
        });
        assert_eq!(end, Completeness::All);
        assert!(seen.iter().map(Vec::as_slice).eq(all.iter()));
        let mut seen = 0;
        let end = visit_cliques(&graph, CliqueKind::maximal(), &workers, ALL, |_| {
            seen += 1;
            if seen == 10 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((seen, end), (10, Completeness::Stopped));
    }
}

#[test]
fn a_search_that_runs_out_of_time_says_so() {
    // Three to the power of 300 maximal cliques, and the largest one among them is hard to prove.
    let groups = SimpleGraph::new(
        900,
        (0..900_u32).flat_map(|one| (0..one).filter(move |other| other / 3 != one / 3).map(move |other| [other, one])),
    );
    let limits = Limits { time: Some(Duration::from_millis(30)), max_count: None };
    for count in [1, 2] {
        let workers = workers(count);
        let found = visit_cliques(&groups, CliqueKind::maximal(), &workers, limits, |clique| {
            assert_eq!(clique.len(), 300);
            ControlFlow::Continue(())
        });
        assert_eq!(found, Completeness::TimedOut);
        for kind in [CliqueKind::maximal(), of_size(50)] {
            let counted = count_cliques(&groups, kind, &workers, limits);
            assert_eq!(counted.completeness, Completeness::TimedOut);
        }
        let hard = random_graph(400, 0.9, 6);
        let cut = maximum_clique(&hard, &workers, Some(Duration::from_millis(30)));
        assert_eq!(cut.completeness, Completeness::TimedOut);
        assert!(cut.nodes.iter().all(|one| cut.nodes.iter().all(|other| one == other || hard.has_edge(*one, *other))));
        assert!(cut.nodes.len() > 20, "{}", cut.nodes.len());
        let none = list_cliques(&hard, of_size(1), &workers, Limits { time: Some(Duration::ZERO), max_count: None });
        assert_eq!((none.len(), none.completeness()), (0, Completeness::TimedOut));
    }
}

#[test]
fn sizes_have_bounds() {
    assert_eq!(CliqueKind::of_size(0), Err(SizeError(0)));
    assert_eq!(CliqueKind::of_size(CliqueKind::MAX_NODES + 1), Err(SizeError(1025)));
    assert!(SizeError(1025).to_string().contains("use a size of 1 to 1024"));
    let triangle = SimpleGraph::new(3, [[0, 1], [1, 2], [2, 0]]);
    assert!(list_cliques(&triangle, of_size(CliqueKind::MAX_NODES), &workers(1), ALL).is_empty());
}

#[test]
fn graphs_may_be_empty() {
    for (graph, nodes) in
        [(SimpleGraph::default(), 0), (SimpleGraph::new(1, [[0, 0]]), 1), (SimpleGraph::new(3, []), 3)]
    {
        for count in [1, 2] {
            let workers = workers(count);
            let single: Vec<Vec<u32>> = (0..nodes).map(|node| vec![node]).collect();
            assert_eq!(sorted(&list_cliques(&graph, CliqueKind::maximal(), &workers, ALL)), single);
            assert_eq!(sorted(&list_cliques(&graph, of_size(1), &workers, ALL)), single);
            assert!(list_cliques(&graph, of_size(2), &workers, ALL).is_empty());
            assert_eq!(maximum_clique(&graph, &workers, None).nodes.len(), single.len().min(1));
        }
    }
}
