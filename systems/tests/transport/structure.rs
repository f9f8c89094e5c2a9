//! Structural losses.

use connectome_systems::{
    Workers,
    transport::{
        FusedGromovWasserstein, MaskedGraph, MaskedGromovWasserstein, Search, Sinkhorn, SoftGraph, TransportError,
        motifs,
    },
};
use proptest::{collection::vec, prelude::*};

use super::masses;

/// Features, an adjacency that need not be symmetric, and masses.
#[derive(Clone, Debug)]
struct Graph {
    features: Vec<f32>,
    adjacency: Vec<f32>,
    mass: Vec<f32>,
}

const WIDTH: usize = 2;

impl Graph {
    fn soft(&self) -> SoftGraph<'_> {
        SoftGraph { features: &self.features, adjacency: &self.adjacency, mass: &self.mass }
    }
}

fn graphs(largest: usize) -> impl Strategy<Value = Graph> {
    (1..=largest).prop_flat_map(|nodes| {
        let weights = prop_oneof![Just(0.0_f32), 0.0..1.0_f32];
        (vec(-1.0..1.0_f32, nodes * WIDTH), vec(weights, nodes * nodes), masses(nodes)).prop_map(
            move |(features, mut adjacency, mass)| {
                (0..nodes).for_each(|node| adjacency[node * nodes + node] = 0.0);
                Graph { features, adjacency, mass }
            },
        )
    })
}

/// The formula with four indices, and that of motifs with as many.
fn plain_value(loss: FusedGromovWasserstein, [features, adjacency]: [&[f64]; 2], target: &Graph, plan: &[f32]) -> f64 {
    let (alpha, weight) = (f64::from(loss.alpha), f64::from(loss.motifs));
    let columns = target.mass.len();
    let rows = plan.len() / columns;
    let wide = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
    let (other_features, other) = (wide(&target.features), wide(&target.adjacency));
    let (motifs, other_motifs) = (plain_motifs(adjacency, rows), plain_motifs(&other, columns));
    let mut value = 0.0;
    for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
        let mass = f64::from(plan[i * columns + j]);
        let square = |x: f64| x * x;
        let distance: f64 = (0..WIDTH).map(|f| square(features[i * WIDTH + f] - other_features[j * WIDTH + f])).sum();
        let by_motifs: f64 = (0..3).map(|k| square(motifs[i][k].ln_1p() - other_motifs[j][k].ln_1p())).sum();
        value += mass * ((1.0 - alpha) * distance + weight * by_motifs);
        for (k, l) in (0..rows).flat_map(|k| (0..columns).map(move |l| (k, l))) {
            let difference = adjacency[i * rows + k] - other[j * columns + l];
            value += alpha * square(difference) * mass * f64::from(plan[k * columns + l]);
        }
    }
    value
}

fn plain_motifs(adjacency: &[f64], nodes: usize) -> Vec<[f64; 3]> {
    let at = |i: usize, j: usize| adjacency[i * nodes + j];
    let of = |i: usize| {
        let mut counts = [0.0; 3];
        for j in 0..nodes {
            counts[0] += at(i, j);
            for k in 0..nodes {
                counts[1] += at(i, j) * at(j, k) * at(k, i) / 2.0;
                for l in (k + 1..nodes).filter(|_| j < k && ![j, k].contains(&i)).filter(|l| *l != i) {
                    counts[2] += at(i, j) * at(i, k) * at(i, l) * at(j, k) * at(j, l) * at(k, l);
                }
            }
        }
        counts
    };
    (0..nodes).map(of).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|value| f64::from(*value)).collect()
}

/// Compares a gradient with the central differences of a function.
fn check_differences(at: &[f64], gradient: &[f32], value: impl Fn(&[f64]) -> f64) -> Result<(), TestCaseError> {
    let largest = gradient.iter().fold(1e-2, |largest: f64, one| largest.max(f64::from(one.abs())));
    for (index, gradient) in gradient.iter().enumerate() {
        let moved = |step: f64| {
            let mut moved = at.to_vec();
            moved[index] += step;
            value(&moved)
        };
        let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
        prop_assert!((f64::from(*gradient) - expected).abs() < 1e-4 * largest, "{index}: {gradient}, not {expected}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn gradients_are_differences_of_the_formula_with_four_indices(
        graph in graphs(6),
        target in graphs(6),
        alpha in 0.0..1.0_f32,
        weight in prop_oneof![Just(0.0_f32), 0.1..1.0_f32],
        seed in vec(0.0..1.0_f32, 36),
    ) {
        let loss = FusedGromovWasserstein::new(alpha).with_motifs(weight);
        // Marginals other than the masses are allowed for.
        let plan = &seed[..graph.mass.len() * target.mass.len()];
        let found = loss.gradient(graph.soft(), target.soft(), plan, &Workers::single()).unwrap();
        let (features, adjacency) = (wide(&graph.features), wide(&graph.adjacency));
        let value = plain_value(loss, [&features, &adjacency], &target, plan);
        prop_assert!((found.value - value).abs() < 1e-5 * value.abs().max(1.0), "{} and not {value}", found.value);
        check_differences(&features, &found.features, |moved| plain_value(loss, [moved, &adjacency], &target, plan))?;
        check_differences(&adjacency, &found.adjacency, |moved| plain_value(loss, [&features, moved], &target, plan))?;
        let counts = motifs(&graph.adjacency, graph.mass.len());
        for (found, expected) in counts.chunks(3).zip(plain_motifs(&adjacency, graph.mass.len())) {
            prop_assert!(found.iter().zip(expected).all(|(found, count)| (f64::from(*found) - count).abs() < 1e-4));
        }
    }

    #[test]
    fn plans_have_the_masses_of_both_graphs_and_the_value_they_state(
        graph in graphs(7),
        target in graphs(7),
        alpha in 0.0..1.0_f32,
    ) {
        let (loss, workers) = (FusedGromovWasserstein::new(alpha), Workers::single());
        let mut least = f64::INFINITY;
        for starts in [1, 4] {
            let search = Search { starts, ..Search::default() };
            let found = loss.plan(graph.soft(), target.soft(), &search, &workers).unwrap();
            let [rows, columns] = super::marginals(&found.plan, target.mass.len());
            prop_assert!(super::largest_difference(&rows, &graph.mass) < 1e-5);
            prop_assert!(super::largest_difference(&columns, &target.mass) < 1e-5);
            let value = plain_value(loss, [&wide(&graph.features), &wide(&graph.adjacency)], &target, &found.plan);
            prop_assert!((found.value - value).abs() < 1e-5);
            prop_assert!(found.value <= least + 1e-6);
            least = found.value;
        }
    }

    #[test]
    fn masked_gradients_are_differences_of_the_formula(
        (slots, width) in (1..5_usize, 1..4_usize),
        logits in vec(-2.0..2.0_f32, 40),
        given in vec(any::<bool>(), 30),
        seed in vec(0.0..1.0_f32, 16),
    ) {
        let (presence, rest) = logits.split_at(slots);
        let (labels, rest) = rest.split_at(slots * width);
        let edges = &rest[..slots * slots];
        let target_presence: Vec<f32> = (0..slots).map(|slot| f32::from(u8::from(given[slot]))).collect();
        let target_labels: Vec<f32> =
            (0..slots * width).map(|index| f32::from(u8::from(index % width == index / width % width))).collect();
        let target_edges: Vec<f32> = (0..slots * slots).map(|index| f32::from(u8::from(given[5 + index]))).collect();
        let loss = MaskedGromovWasserstein { presence: 1.0, labels: 0.7, edges: 1.3 };
        let graph = MaskedGraph { presence, labels, edges };
        let target = MaskedGraph { presence: &target_presence, labels: &target_labels, edges: &target_edges };
        let plan = &seed[..slots * slots];
        let found = loss.gradient(graph, target, plan, &Workers::single()).unwrap();
        let at = [wide(presence), wide(labels), wide(edges)];
        let value = |changed: usize, moved: &[f64]| {
            let mut at = at.clone();
            at[changed] = moved.to_vec();
            plain_masked(&loss, &at, &target, plan)
        };
        prop_assert!((found.value - value(0, &at[0])).abs() < 1e-5 * found.value.abs().max(1.0));
        for (index, gradient) in [found.presence, found.labels, found.edges].iter().enumerate() {
            check_differences(&at[index], gradient, |moved| value(index, moved))?;
        }
    }
}

fn plain_masked(loss: &MaskedGromovWasserstein, at: &[Vec<f64>; 3], target: &MaskedGraph, plan: &[f32]) -> f64 {
    let [presence, labels, edges] = at;
    let (slots, present) = (presence.len(), wide(target.presence));
    let width = labels.len() / slots;
    let count: f64 = present.iter().sum();
    let binary = |logit: f64, target: f32| logit.exp().ln_1p() - logit * f64::from(target);
    let mut value = 0.0;
    for (i, j) in (0..slots).flat_map(|i| (0..slots).map(move |j| (i, j))) {
        let mass = f64::from(plan[i * slots + j]);
        value += f64::from(loss.presence) / slots as f64 * mass * binary(presence[i], target.presence[j]);
        if count == 0.0 {
            continue;
        }
        let logits = &labels[i * width..(i + 1) * width];
        let log_sum = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
        let entropy: f64 =
            (0..width).map(|label| f64::from(target.labels[j * width + label]) * (log_sum - logits[label])).sum();
        value += f64::from(loss.labels) / count * mass * present[j] * entropy;
        for (k, l) in (0..slots).flat_map(|k| (0..slots).map(move |l| (k, l))) {
            let both = mass * f64::from(plan[k * slots + l]) * present[j] * present[l];
            value += f64::from(loss.edges) / (count * count)
                * both
                * binary(edges[i * slots + k], target.edges[j * slots + l]);
        }
    }
    value
}

/// A graph of a ring with chords, and features that look random.
fn ring(nodes: usize, chord: usize) -> Graph {
    let mut adjacency = vec![0.0; nodes * nodes];
    for node in 0..nodes {
        for other in [(node + 1) % nodes, (node + chord) % nodes] {
            adjacency[node * nodes + other] = 1.0;
            adjacency[other * nodes + node] = 1.0;
        }
    }
    let features = (0..nodes * WIDTH).map(|index| ((index * index * 7 + index * chord) % 101) as f32 / 101.0).collect();
    Graph { features, adjacency, mass: vec![1.0 / nodes as f32; nodes] }
}

#[test]
fn workers_change_no_bit() {
    let (graph, target) = (ring(90, 7), ring(70, 11));
    let run = |workers: usize| {
        let workers = Workers::new(workers).unwrap();
        let loss = FusedGromovWasserstein::new(0.5).with_motifs(0.1);
        let search = Search { starts: 3, ..Search::default() };
        let found = loss.plan(graph.soft(), target.soft(), &search, &workers).unwrap();
        let gradient = loss.gradient(graph.soft(), target.soft(), &found.plan, &workers).unwrap();
        let entropic = loss.entropic_plan(graph.soft(), target.soft(), &Sinkhorn::new(0.05, 20), 5, &workers);
        (found, gradient, entropic.unwrap())
    };
    let one = run(1);
    assert!([2, 3, 8].into_iter().all(|workers| run(workers) == one));
}

#[test]
fn a_graph_matches_itself_in_another_order() {
    let graph = ring(40, 9);
    let order: Vec<usize> = (0..40).map(|node| node * 7 % 40).collect();
    let adjacency = &graph.adjacency;
    let reordered = Graph {
        features: order.iter().flat_map(|node| &graph.features[node * WIDTH..][..WIDTH]).copied().collect(),
        adjacency: order.iter().flat_map(|i| order.iter().map(move |j| adjacency[i * 40 + j])).collect(),
        mass: graph.mass.clone(),
    };
    let search = Search { starts: 2, ..Search::default() };
    let found =
        FusedGromovWasserstein::new(0.5).plan(graph.soft(), reordered.soft(), &search, &Workers::single()).unwrap();
    assert!(found.value < 1e-6 && found.is_converged, "{found:?}");
    assert!(order.iter().enumerate().all(|(column, row)| found.plan[row * 40 + column] == 1.0 / 40.0));
}

#[test]
fn a_target_without_nodes_has_the_loss_of_presence_alone() {
    let zeros = [0.0; 4];
    let graph = MaskedGraph { presence: &[0.0; 2], labels: &[1.0, 2.0], edges: &[3.0; 4] };
    let target = MaskedGraph { presence: &zeros[..2], labels: &zeros[..2], edges: &zeros };
    let (loss, workers) = (MaskedGromovWasserstein::default(), Workers::single());
    let found = loss.plan(graph, target, &Search::default(), &workers).unwrap();
    assert!((found.value - 2f64.ln()).abs() < 1e-6, "{found:?}");
    let gradient = loss.gradient(graph, target, &found.plan, &workers).unwrap();
    assert_eq!((gradient.labels, gradient.edges), (vec![0.0; 2], vec![0.0; 4]));
}

#[test]
fn invalid_graphs_and_settings_are_refused() {
    let (graph, workers) = (ring(5, 2), Workers::single());
    let plan = |loss: FusedGromovWasserstein, graph: &Graph, search: Search| {
        loss.plan(graph.soft(), ring(5, 2).soft(), &search, &workers).unwrap_err().to_string()
    };
    let (loss, search) = (FusedGromovWasserstein::new(0.5), Search::default());
    let change = |change: fn(&mut Graph)| {
        let mut graph = graph.clone();
        change(&mut graph);
        graph
    };
    for (error, expected) in [
        (plan(FusedGromovWasserstein::new(1.5), &graph, search), "alpha is 1.5; give 0 to 1"),
        (plan(FusedGromovWasserstein::new(f32::NAN), &graph, search), "alpha is NaN"),
        (plan(loss.with_motifs(-1.0), &graph, search), "motifs is -1"),
        (plan(loss, &graph, Search { starts: 0, ..search }), "starts is 0; give at least 1"),
        (plan(loss, &graph, Search { tolerance: -1.0, ..search }), "tolerance is -1"),
        (plan(loss, &change(|graph| graph.adjacency.truncate(9)), search), "the adjacency has 9 elements where 25"),
        (
            plan(loss, &change(|graph| graph.features.truncate(5)), search),
            "the features of the target has 10 elements where 5",
        ),
        (plan(loss, &change(|graph| graph.features[3] = f32::NAN), search), "the features has NaN at row 1, column 1"),
        (plan(loss, &change(|graph| graph.mass[0] = 0.5), search), "the rows have the mass "),
        (plan(loss, &change(|graph| graph.mass.fill(0.0)), search), "the source has no mass"),
        (
            plan(loss.with_motifs(1.0), &change(|graph| graph.adjacency[1] = -1.0), search),
            "a weight of the adjacency is -1",
        ),
    ] {
        assert!(error.starts_with(expected), "{error}");
    }
    let large = change(|graph| graph.adjacency.fill(1e30));
    assert_eq!(loss.plan(large.soft(), large.soft(), &search, &workers), Err(TransportError::Overflow));
    let short = Search { iterations: 0, ..search };
    let found = loss.plan(graph.soft(), ring(5, 1).soft(), &short, &workers).unwrap();
    assert!(!found.is_converged && found.gap > 0.0 && found.value.is_finite(), "{found:?}");
    let none = MaskedGraph { presence: &[], labels: &[], edges: &[] };
    let refused = MaskedGromovWasserstein::default().plan(none, none, &search, &workers);
    assert_eq!(refused.unwrap_err(), TransportError::Empty { rows: 0, columns: 0 });
}
