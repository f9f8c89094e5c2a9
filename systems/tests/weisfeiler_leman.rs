//! NodeColor refinement against a plain one on texts: the same partition and rounds, kernels, verdicts, and the same bits for
//! any number of workers and any order of the nodes.

use std::collections::BTreeMap;

use bevy_ecs::prelude::*;
use connectome_components::{Edge, Graph, GraphNode, NodeColor, Topology};
use connectome_systems::Workers;
use connectome_systems::algorithms::weisfeiler_leman::{
    ColorRefinement, Difference, GramMatrix, refine, refine_colors, refute_isomorphism, subtree_kernel, subtree_kernels,
};
use connectome_systems::algorithms::{LabeledGraph, ParallelGraph};
use proptest::collection::vec;
use proptest::prelude::*;

fn unlabeled(nodes: usize, edges: &[[u32; 2]]) -> LabeledGraph {
    LabeledGraph::new(vec![0; nodes], edges.iter().map(|endpoints| (*endpoints, 0)))
}

fn ring(nodes: u32) -> Vec<[u32; 2]> {
    (0..nodes).map(|node| [node, (node + 1) % nodes]).collect()
}

/// Graphs of up to 12 nodes; edges may be loops, repeated, or lead nowhere.
fn graph() -> impl Strategy<Value = LabeledGraph> {
    let edges = vec(([0..12_u32, 0..12_u32], 0..2_u32), 0..24);
    (vec(0..3_u32, 0..=12), edges).prop_map(|(labels, edges)| LabeledGraph::new(labels, edges))
}

/// A graph, and the new number of each of its nodes.
fn graph_and_order() -> impl Strategy<Value = (LabeledGraph, Vec<u32>)> {
    graph().prop_flat_map(|graph| {
        let order: Vec<u32> = graph.nodes().collect();
        (Just(graph), Just(order).prop_shuffle())
    })
}

fn renumbered(graph: &LabeledGraph, order: &[u32]) -> LabeledGraph {
    let mut labels = vec![0; order.len()];
    graph.labels().iter().zip(order).for_each(|(label, place)| labels[*place as usize] = *label);
    LabeledGraph::new(
        labels,
        graph.labeled_edges().map(|(endpoints, label)| (endpoints.map(|end| order[end as usize]), label)),
    )
}

/// What a node sees in each round, written out: the colors of all nodes of all graphs, round after round.
fn texts(graphs: &[LabeledGraph], rounds: usize) -> Vec<Vec<Vec<String>>> {
    let mut all = vec![graphs.iter().map(|graph| graph.labels().iter().map(u32::to_string).collect()).collect()];
    for _ in 0..rounds {
        let last: &Vec<Vec<String>> = &all[all.len() - 1];
        let mut next = Vec::new();
        for (graph, colors) in graphs.iter().zip(last) {
            let mut seen = vec![Vec::new(); colors.len()];
            for ([one, other], label) in graph.labeled_edges() {
                seen[one as usize].push(format!("{label}:{}", colors[other as usize]));
                seen[other as usize].push(format!("{label}:{}", colors[one as usize]));
            }
            seen.iter_mut().for_each(|seen| seen.sort());
            next.push(colors.iter().zip(seen).map(|(own, seen)| format!("{own}({})", seen.join(","))).collect());
        }
        all.push(shorten(next));
    }
    all
}

/// The same texts by short names; nested ones would grow without end.
fn shorten(colors: Vec<Vec<String>>) -> Vec<Vec<String>> {
    let mut names = BTreeMap::new();
    colors.iter().flatten().for_each(|color| {
        let count = names.len();
        names.entry(color.clone()).or_insert(count);
    });
    colors.iter().map(|colors| colors.iter().map(|color| names[color].to_string()).collect()).collect()
}

/// Whether two ways to color tell the same nodes apart.
fn are_one_partition<A: Ord, B: Ord>(one: &[A], other: &[B]) -> bool {
    let mut pairs: Vec<_> = one.iter().zip(other).collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut ones: Vec<_> = pairs.iter().map(|pair| pair.0).collect();
    let mut others: Vec<_> = pairs.iter().map(|pair| pair.1).collect();
    ones.dedup();
    others.sort_unstable();
    others.dedup();
    one.len() == other.len() && ones.len() == pairs.len() && others.len() == pairs.len()
}

fn count<T: Ord>(colors: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    colors.into_iter().for_each(|color| *counts.entry(color).or_default() += 1);
    counts
}

/// Whether `x' K x` is not below 0 for any x: by elimination, each pivot must be none, and nothing may stand beside a 0.
fn is_positive_semidefinite(gram: &GramMatrix) -> bool {
    let size = gram.size();
    let mut rows: Vec<Vec<f64>> = (0..size).map(|row| gram.row(row).to_vec()).collect();
    let largest = (0..size).map(|row| rows[row][row]).fold(1.0, f64::max);
    (0..size).all(|pivot| {
        let own = rows[pivot].clone();
        if own[pivot].abs() <= 1e-9 * largest {
            return own[pivot..].iter().all(|value| value.abs() <= 1e-6 * largest);
        }
        for row in rows.iter_mut().skip(pivot + 1) {
            let factor = row[pivot] / own[pivot];
            row.iter_mut().zip(&own).for_each(|(value, own)| *value -= factor * own);
        }
        own[pivot] > 0.0
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn refinement_tells_apart_what_texts_do(graphs in vec(graph(), 0..4), most in prop::option::of(0..4_usize)) {
        let nodes: usize = graphs.iter().map(ParallelGraph::node_count).sum();
        let texts = texts(&graphs, nodes + 1);
        let counts: Vec<usize> = texts.iter().map(|colors| count(colors.iter().flatten()).len()).collect();
        let all = (0..nodes).find(|round| counts[*round] == counts[round + 1]).unwrap_or(0);
        let refinement = refine(&graphs, most, &Workers::single());
        let rounds = most.map_or(all, |most| most.min(all));
        prop_assert_eq!(refinement.rounds, rounds);
        prop_assert_eq!(refinement.is_stable, most.is_none_or(|most| most > all));
        prop_assert_eq!(refinement.count, counts[rounds]);
        prop_assert_eq!(refinement.colors.iter().map(Vec::len).collect::<Vec<_>>(),
            graphs.iter().map(ParallelGraph::node_count).collect::<Vec<_>>());
        prop_assert!(are_one_partition(&refinement.colors.concat(), &texts[rounds].concat()));
        prop_assert!(refinement.colors.iter().flatten().all(|color| (*color as usize) < refinement.count));
    }

    #[test]
    fn kernels_are_those_of_texts(graphs in vec(graph(), 0..5), iterations in 0..16_usize) {
        let gram = subtree_kernels(&graphs, iterations, &Workers::single());
        let texts = texts(&graphs, iterations);
        prop_assert_eq!(gram.size(), graphs.len());
        for one in 0..graphs.len() {
            for other in 0..graphs.len() {
                let common = |colors: &Vec<Vec<String>>| -> u64 {
                    let others = count(&colors[other]);
                    count(&colors[one]).iter().map(|(color, nodes)| nodes * others.get(color).unwrap_or(&0)).sum()
                };
                prop_assert_eq!(gram.row(one)[other], texts.iter().map(common).sum::<u64>() as f64);
            }
        }
        prop_assert!(is_positive_semidefinite(&gram));
        if let [one, other, ..] = &graphs[..] {
            prop_assert_eq!(subtree_kernel(one, other, iterations, &Workers::single()), gram.row(0)[1]);
        }
        let normalized = gram.clone().normalized();
        for (number, graph) in graphs.iter().enumerate() {
            let expected = if graph.node_count() > 0 { 1.0 } else { 0.0 };
            prop_assert_eq!(normalized.row(number)[number], expected);
            prop_assert!(normalized.row(number).iter().all(|value| (0.0..=1.0 + 1e-12).contains(value)));
        }
        prop_assert!(is_positive_semidefinite(&normalized));
    }

    #[test]
    fn numbers_of_nodes_do_not_matter((graph, order) in graph_and_order(), other in graph()) {
        let shuffled = renumbered(&graph, &order);
        let workers = Workers::single();
        let refine = |graph| refine(&[graph], None, &workers);
        let (plain, new) = (refine(&graph), refine(&shuffled));
        prop_assert_eq!((plain.count, plain.rounds), (new.count, new.rounds));
        for node in graph.nodes() {
            prop_assert_eq!(plain.colors[0][node as usize], new.colors[0][order[node as usize] as usize]);
        }
        prop_assert_eq!(refute_isomorphism(&graph, &shuffled, &workers), None);
        prop_assert_eq!(refute_isomorphism(&graph, &other, &workers), refute_isomorphism(&shuffled, &other, &workers));
        let kernels = |graph: &LabeledGraph| subtree_kernels(&[graph, &other], 3, &workers);
        prop_assert_eq!(kernels(&graph), kernels(&shuffled));
    }

    #[test]
    fn whatever_is_refuted_differs_in_its_texts(one in graph(), other in graph()) {
        let refuted = refute_isomorphism(&one, &other, &Workers::single()).is_some();
        let colors = texts(&[one.clone(), other.clone()], one.node_count() + other.node_count());
        let last = &colors[colors.len() - 1];
        let edge_labels = |graph: &LabeledGraph| count(graph.labeled_edges().map(|(_, label)| label).collect::<Vec<_>>());
        let differ = count(&last[0]) != count(&last[1]) || edge_labels(&one) != edge_labels(&other);
        prop_assert_eq!(refuted, differ);
    }
}

#[test]
fn regular_graphs_of_one_degree_are_not_told_apart() {
    let workers = Workers::single();
    let refute = |one: &LabeledGraph, other: &LabeledGraph| refute_isomorphism(one, other, &workers);
    let rings = unlabeled(6, &[[0, 1], [1, 2], [2, 0], [3, 4], [4, 5], [5, 3]]);
    assert_eq!(refute(&unlabeled(6, &ring(6)), &rings), None);
    // Two squares of four joined by all rungs, or twisted: the cube and the Möbius-Wagner graph, each of degree 3.
    let cube = [[0, 4], [1, 5], [2, 6], [3, 7], [4, 5], [5, 6], [6, 7], [7, 4], [0, 1], [1, 2], [2, 3], [3, 0]];
    let wagner: Vec<[u32; 2]> = ring(8).into_iter().chain((0..4).map(|node| [node, node + 4])).collect();
    assert_eq!(refute(&unlabeled(8, &cube), &unlabeled(8, &wagner)), None);
}

#[test]
fn differences_are_told() {
    let workers = Workers::single();
    let (path, star) = (unlabeled(4, &[[0, 1], [1, 2], [2, 3]]), unlabeled(4, &[[0, 1], [0, 2], [0, 3]]));
    let told = |one: &LabeledGraph, other: &LabeledGraph| refute_isomorphism(one, other, &workers);
    assert!(matches!(told(&path, &star), Some(Difference::NodeColor { round: 1, .. })), "{:?}", told(&path, &star));
    assert_eq!(told(&path, &unlabeled(3, &[])), Some(Difference::Nodes([4, 3])));
    assert_eq!(told(&path, &unlabeled(4, &ring(4))), Some(Difference::Edges([3, 4])));
    let labeled = LabeledGraph::new(vec![0, 0, 0, 1], path.labeled_edges());
    assert_eq!(told(&path, &labeled), Some(Difference::NodeLabel { label: 0, counts: [4, 3] }));
    let double =
        LabeledGraph::new(vec![0; 4], path.edges().map(|endpoints| (endpoints, u32::from(endpoints == [0, 1]))));
    assert_eq!(told(&path, &double), Some(Difference::EdgeLabel { label: 0, counts: [3, 2] }));
    // The same labels of edges at other places.
    let inner =
        LabeledGraph::new(vec![0; 4], path.edges().map(|endpoints| (endpoints, u32::from(endpoints == [1, 2]))));
    assert!(matches!(told(&double, &inner), Some(Difference::NodeColor { round: 1, .. })));
    // Trees that differ far from where all is alike: it takes rounds to see.
    let legs = |lengths: [u32; 3]| {
        let mut edges = Vec::new();
        for length in lengths {
            let first = edges.len() as u32 + 1;
            edges.extend((0..length).map(|step| [if step == 0 { 0 } else { first + step - 1 }, first + step]));
        }
        unlabeled(edges.len() + 1, &edges)
    };
    assert!(matches!(told(&legs([3, 5, 6]), &legs([4, 4, 6])), Some(Difference::NodeColor { round: 3, .. })));
}

#[test]
fn empty_graphs_and_lone_nodes_have_colors() {
    let workers = Workers::single();
    let empty = ColorRefinement { colors: Vec::new(), count: 0, rounds: 0, is_stable: true };
    assert_eq!(refine(&[] as &[LabeledGraph], None, &workers), empty);
    let graphs = [unlabeled(0, &[]), LabeledGraph::new(vec![7, 3], []), unlabeled(1, &[[0, 0]])];
    let refinement = refine(&graphs, None, &workers);
    assert_eq!(refinement.colors, [vec![], vec![2, 1], vec![0]]);
    assert_eq!((refinement.rounds, refinement.is_stable), (0, true));
    assert_eq!(subtree_kernels(&[] as &[LabeledGraph], 3, &workers).size(), 0);
}

#[test]
fn iterations_without_end_cost_nothing() {
    let workers = Workers::single();
    let kernels = subtree_kernels(&[unlabeled(3, &[[0, 1]]), unlabeled(2, &[])], 1_000_000_000, &workers);
    assert_eq!(kernels.row(0), [9.0 + 5.0 * 1e9, 6.0 + 2.0 * 1e9]);
}

/// A graph large enough that workers share it: some hubs, many leaves, few labels.
fn large() -> LabeledGraph {
    let nodes = 60_000_u32;
    let other = |node: u32, step: u32| node.wrapping_mul(2_654_435_761).rotate_left(step) % (1 + node / (1 + step % 3));
    let edges = (1..nodes).flat_map(|node| (0..3).map(move |step| ([node, other(node, step)], node % 2)));
    LabeledGraph::new((0..nodes).map(|node| node % 3).collect(), edges)
}

#[test]
fn any_number_of_workers_gives_the_same() {
    let graph = large();
    let plain = LabeledGraph::of(graph.graph(), Vec::new());
    let run = |workers: usize| {
        let workers = Workers::new(workers).unwrap();
        let pair = [&graph, &plain];
        (refine(&pair, None, &workers), subtree_kernels(&pair, 4, &workers), refine(&[&plain], None, &workers))
    };
    let one = run(1);
    assert!(one.0.rounds > 2 && one.0.count > 1000, "{} rounds, {} colors", one.0.rounds, one.0.count);
    for workers in [2, 3, 8] {
        assert!(one == run(workers), "{workers} workers");
    }
}

#[test]
fn nodes_of_the_world_get_colors_that_follow_the_edges() {
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let nodes: Vec<Entity> = (0..4).map(|_| world.spawn(GraphNode).id()).collect();
    let edge = |world: &mut World, [source, target]: [usize; 2]| {
        world.spawn(Edge { source: nodes[source], target: nodes[target] }).id()
    };
    // A path in both directions, with a loop and a parallel edge, which do not count.
    let edges = [[0, 1], [1, 0], [1, 2], [1, 2], [2, 3], [3, 3]].map(|endpoints| edge(&mut world, endpoints));
    let mut schedule = Schedule::default();
    schedule.add_systems(refine_colors(graph));
    let mut run = |world: &mut World| {
        schedule.run(world);
        let topology = world.get::<Topology>(graph).unwrap();
        assert!(
            topology.nodes.fit(world, &[world.component_id::<GraphNode>().unwrap()]),
            "rows are those of the world"
        );
        nodes.iter().map(|node| world.get::<NodeColor>(*node).map(|color| color.0)).collect::<Vec<_>>()
    };
    let path = run(&mut world);
    assert!(path.iter().all(Option::is_some));
    assert!(path[0] == path[3] && path[1] == path[2] && path[0] != path[1], "{path:?}");
    // Nothing happens as long as nothing changes.
    world.get_mut::<NodeColor>(nodes[0]).unwrap().0 = 77;
    assert_eq!(run(&mut world)[0], Some(77));
    // Without its last edge the path is shorter, and a node is alone.
    world.despawn(edges[4]);
    let shorter = run(&mut world);
    assert!(shorter[0] == shorter[2] && shorter[0] != shorter[1] && shorter[3] != shorter[1], "{shorter:?}");
    assert_ne!(shorter[0], shorter[3]);
    world.despawn(nodes[3]);
    assert_eq!(run(&mut world)[3], None);
    // The graph may go.
    world.despawn(graph);
    let mut schedule = Schedule::default();
    schedule.add_systems(refine_colors(graph));
    schedule.run(&mut world);
}
