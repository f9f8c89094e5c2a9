//! Layers that pool compute their dense formulas and the derivatives of these, on subgraphs of any size; losses on
//! graphs and on candidate edges are what their plain form says, and coarse graphs are spawned as they were computed.

use crate::common;

use bevy_ecs::component::Component;
use common::{
    Given, Link, Matrices, STANDSTILL, Scene,
    differences::{BACKWARD, Case, Expected, FORWARD, Formula, INPUT, assert_near, cases},
    few_cases, numbers, run_layer,
};
use connectome_components::{Edge, EdgeWeight, Graph, InSubgraph, Metrics, Model, Split};
use connectome_systems::{
    Head, Infer, ModelBuilder, PoolingError, Train, Workers,
    layers::{BuildError, DiffPool, Layer, QueryPool, Set2Set, TopKPooling},
    operators::{
        MemberAssignment, PointerCrossEntropy, StructuralDistance, StructureLoss, SubgraphCrossEntropy, scale,
        score_clusters,
    },
    program::{Operator, Program, Value},
    run, spawn_clusters,
    transport::{FusedGromovWasserstein, MaskedGromovWasserstein, Search, SoftGraph},
};
use ndarray::{Array2, Axis, concatenate, s};
use proptest::prelude::*;

/// Three subgraphs, of which the last has no nodes; every fifth node is in none.
const SUBGRAPHS: usize = 3;

/// Of scores in which sums of exponentials would overflow; a power of two, so that floats hold them exactly.
const LARGE: f64 = 1024.0;

fn subgraph_of(node: usize) -> Option<usize> {
    (node % 5 != 4).then_some(node % 2)
}

fn scene(case: &Case) -> Scene {
    let mut scene = case.scene();
    scene.divide(SUBGRAPHS, |node| subgraph_of(node).unwrap_or(0));
    for (node, entity) in scene.nodes.iter().enumerate() {
        if subgraph_of(node).is_none() {
            // A graph is no subgraph. Without the component the node would have another row.
            scene.world.entity_mut(*entity).insert(InSubgraph(scene.graph));
        }
    }
    scene
}

fn members(case: &Case, subgraph: usize) -> Vec<usize> {
    (0..case.node_count).filter(|node| subgraph_of(*node) == Some(subgraph)).collect()
}

fn check(
    case: &Case,
    layer: impl Layer + std::fmt::Debug + 'static,
    shapes: &[(&str, [usize; 2])],
    formula: Formula,
) -> Result<(), TestCaseError> {
    let name = format!("{layer:?}");
    let parameters: Matrices = (10..)
        .zip(shapes)
        .map(|(purpose, (name, [rows, columns]))| ((*name).to_owned(), numbers(case.seed, purpose, (*rows, *columns))))
        .collect();
    let input = case.input();
    let cotangent = numbers(case.seed, 1, formula(&input, &parameters).dim());
    let given = Given { input: input.clone(), parameters: parameters.clone(), ..Given::default() };
    let passes = run_layer(&mut scene(case), &given, layer, &cotangent).unwrap();
    Expected::of(formula, &input, &parameters, &cotangent).check(&name, &passes)?;
    Ok(())
}

/// Each subgraph's `[S' X | S' A S]`, cluster by cluster.
fn coarse(case: &Case, x: &Array2<f64>, assignment: &Array2<f64>) -> Array2<f64> {
    let mut adjacency = Array2::zeros((case.node_count, case.node_count));
    for link in &case.links {
        adjacency[[link.target, link.source]] += f64::from(link.weight.unwrap_or(1.0));
    }
    let rows = concatenate(Axis(1), &[x.view(), adjacency.dot(assignment).view()]).unwrap();
    let (clusters, width) = (assignment.ncols(), rows.ncols());
    let mut output = Array2::zeros((SUBGRAPHS, clusters * width));
    for subgraph in 0..SUBGRAPHS {
        for node in members(case, subgraph) {
            for ((cluster, feature), _) in Array2::<f64>::zeros((clusters, width)).indexed_iter() {
                output[[subgraph, cluster * width + feature]] += assignment[[node, cluster]] * rows[[node, feature]];
            }
        }
    }
    output
}

fn softmax(scores: &Array2<f64>, axis: Axis) -> Array2<f64> {
    let shares = scores.mapv(f64::exp);
    let sums = shares.sum_axis(axis).insert_axis(axis);
    shares / sums
}

/// What `assign` makes of the scores of each subgraph's nodes, `[n, K]`.
fn by_subgraph(case: &Case, scores: &Array2<f64>, assign: impl Fn(Array2<f64>) -> Array2<f64>) -> Array2<f64> {
    let mut output = Array2::zeros(scores.dim());
    for subgraph in 0..SUBGRAPHS {
        let members = members(case, subgraph);
        let found = assign(scores.select(Axis(0), &members));
        members.iter().zip(found.rows()).for_each(|(node, row)| output.row_mut(*node).assign(&row));
    }
    output
}

fn sinkhorn(scores: Array2<f64>, epsilon: f64, rounds: usize) -> Array2<f64> {
    let (nodes, slots) = scores.dim();
    let (mut f, mut g) = (vec![0.0; slots], vec![0.0; nodes]);
    let kernel = scores.mapv(|score| score / epsilon);
    for _ in 0..rounds {
        for (slot, f) in f.iter_mut().enumerate() {
            *f = -(0..nodes).map(|node| (g[node] + kernel[[node, slot]]).exp()).sum::<f64>().ln();
        }
        for (node, g) in g.iter_mut().enumerate() {
            let sum: f64 = (0..slots).map(|slot| (f[slot] + kernel[[node, slot]]).exp()).sum();
            *g = (slots as f64 / nodes as f64).ln() - sum.ln();
        }
    }
    Array2::from_shape_fn((nodes, slots), |(node, slot)| (f[slot] + g[node] + kernel[[node, slot]]).exp())
}

/// The scores of nodes for the clusters into which they are pooled.
#[derive(Debug)]
struct Scored(DiffPool);

impl Layer for Scored {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let assignment = self.0.assignment(program, input)?;
        let clusters = connectome_systems::operators::pool_clusters(program, assignment, input)?;
        score_clusters(program, clusters, input)
    }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn diff_pool_pools_nodes_and_edges(case in cases()) {
        let clusters = case.output_width.min(4);
        let shape = [("weight", [case.input_width, clusters])];
        check(&case, DiffPool::new(clusters), &shape, &|x, parameters| {
            coarse(&case, x, &softmax(&x.dot(&parameters["weight"]), Axis(1)))
        })?;
        check(&case, Scored(DiffPool::new(clusters)), &shape, &|x, parameters| {
            let pooled = coarse(&case, x, &softmax(&x.dot(&parameters["weight"]), Axis(1)));
            let width = case.input_width + clusters;
            Array2::from_shape_fn((case.node_count, clusters), |(node, cluster)| match subgraph_of(node) {
                Some(subgraph) => {
                    pooled.slice(s![subgraph, cluster * width..cluster * width + case.input_width]).dot(&x.row(node))
                }
                None => 0.0,
            })
        })?;
    }

    #[test]
    fn query_pool_shares_nodes_among_queries(case in cases()) {
        let queries = case.output_width.min(4);
        let shape = [("query", [case.input_width, queries])];
        let scores = |x: &Array2<f64>, parameters: &Matrices| {
            x.dot(&parameters["query"]) / (case.input_width as f64).sqrt()
        };
        check(&case, QueryPool::new(queries), &shape, &|x, parameters| {
            let shares = by_subgraph(&case, &scores(x, parameters), |scores| softmax(&scores, Axis(0)));
            coarse(&case, x, &shares)
        })?;
        let (epsilon, rounds) = (0.5, 4);
        let layer = QueryPool::new(queries).with_assignment(MemberAssignment::Sinkhorn { epsilon, rounds });
        check(&case, layer, &shape, &|x, parameters| {
            let plan = |scores: Array2<f64>| sinkhorn(scores, f64::from(epsilon), rounds);
            coarse(&case, x, &by_subgraph(&case, &scores(x, parameters), plan))
        })?;
    }

    #[test]
    fn top_k_pooling_keeps_the_best_half(case in cases()) {
        check(&case, TopKPooling::new(0.5), &[("weight", [1, case.input_width])], &|x, parameters| {
            let direction = parameters["weight"].row(0);
            let scores = x.dot(&direction) / direction.dot(&direction).sqrt();
            let mut output = Array2::zeros(x.dim());
            for subgraph in 0..SUBGRAPHS {
                let mut members = members(&case, subgraph);
                members.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]));
                for node in &members[..members.len().div_ceil(2)] {
                    output.row_mut(*node).assign(&(&x.row(*node) * scores[*node].tanh()));
                }
            }
            output
        })?;
    }

    #[test]
    fn set2set_reads_nodes_by_its_memory(case in cases()) {
        let width = case.input_width.min(4);
        let case = Case { input_width: width, ..case };
        let shapes = [
            ("lstm.weight_ih_l0", [2 * width, 4 * width]),
            ("lstm.weight_hh_l0", [width, 4 * width]),
            ("lstm.bias_ih_l0", [1, 4 * width]),
            ("lstm.bias_hh_l0", [1, 4 * width]),
        ];
        check(&case, Set2Set::new(3), &shapes, &|x, parameters| {
            let [from_read, from_hidden, bias, other] =
                ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|name| &parameters[&format!("lstm.{name}_l0")]);
            let mut output = Array2::zeros((SUBGRAPHS, 2 * width));
            for subgraph in 0..SUBGRAPHS {
                let x = x.select(Axis(0), &members(&case, subgraph));
                let zeros = |width| Array2::<f64>::zeros((1, width));
                let (mut read, mut hidden, mut cell) = (zeros(2 * width), zeros(width), zeros(width));
                for _ in 0..3 {
                    let gates = read.dot(from_read) + hidden.dot(from_hidden) + bias + other;
                    let gate = |index: usize| gates.slice(s![.., index * width..(index + 1) * width]).to_owned();
                    let sigmoid = |gate: Array2<f64>| gate.mapv(|value| 1.0 / (1.0 + (-value).exp()));
                    cell = sigmoid(gate(1)) * &cell + sigmoid(gate(0)) * gate(2).mapv(f64::tanh);
                    hidden = sigmoid(gate(3)) * cell.mapv(f64::tanh);
                    let shares = softmax(&x.dot(&hidden.t()), Axis(0));
                    read = concatenate(Axis(1), &[hidden.view(), shares.t().dot(&x).view()]).unwrap();
                }
                output.row_mut(subgraph).assign(&read.row(0));
            }
            output
        })?;
    }

    #[test]
    fn any_of_the_right_edges_will_do(case in cases(), large in prop::bool::ANY) {
        let scores = numbers(case.seed, 5, (case.links.len(), 1)) * if large { LARGE } else { 1.0 };
        let right = numbers(case.seed, 6, (case.links.len(), 1)).mapv(|number| if number > 0.3 { 1.0 } else { 0.0 });
        let of = |scores: &Array2<f64>| {
            let mut losses = Vec::new();
            for node in 0..case.node_count {
                let edges: Vec<usize> = (0..case.links.len()).filter(|edge| case.links[*edge].source == node).collect();
                let score = |edge: &usize| scores[[*edge, 0]];
                let log_sum = |edges: &[usize]| {
                    let most = edges.iter().map(score).fold(f64::NEG_INFINITY, f64::max);
                    most + edges.iter().map(|edge| (score(edge) - most).exp()).sum::<f64>().ln()
                };
                let right: Vec<usize> = edges.iter().copied().filter(|edge| right[[*edge, 0]] > 0.0).collect();
                if !right.is_empty() {
                    losses.push(log_sum(&edges) - log_sum(&right));
                }
            }
            losses.iter().sum::<f64>() / losses.len() as f64
        };
        prop_assume!(right.iter().any(|right| *right > 0.0));
        let mut scene = case.scene();
        let [output, into] = ["scores", "gradient"].map(|name| scene.edge_field(name, &scores).unwrap());
        let targets = scene.edge_field("right", &right).unwrap();
        let nodes = scene.field("nodes", &Array2::zeros((case.node_count, 1))).unwrap();
        let model = ModelBuilder::new(scene.graph)
            .input(nodes)
            .edge_input(output)
            .input_gradient(output, into)
            .head(Head::new("pointer").layer(OfEdges).operator_loss(PointerCrossEntropy).targets(targets))
            .optimizer(STANDSTILL)
            .build(&mut scene.world)
            .unwrap();
        run(&mut scene.world, Train(model)).unwrap();
        let loss = f64::from(scene.world.get::<Metrics>(model).unwrap().of(Split::Train).loss());
        let expected = of(&scores);
        prop_assert!((loss - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{loss} and not {expected}");
        let arguments = Matrices::from([(INPUT.to_owned(), scores.clone())]);
        let loss_of = |arguments: &Matrices| Array2::from_elem((1, 1), of(&arguments[INPUT]));
        let gradients = Expected::new(arguments, &Array2::ones((1, 1)), loss_of).gradients;
        assert_near("gradient of the scores", &scene.read(into).unwrap(), &gradients[INPUT].values, BACKWARD)?;
    }

    #[test]
    fn any_of_the_right_nodes_of_a_subgraph_will_do(case in cases(), large in prop::bool::ANY) {
        let scores = numbers(case.seed, 5, (case.node_count, 1)) * if large { LARGE } else { 1.0 };
        // Right, wrong, and no candidates.
        let targets = numbers(case.seed, 6, (case.node_count, 1)).mapv(|number| {
            if number > 0.3 { 1.0 } else if number > -0.5 { 0.0 } else { -1.0 }
        });
        let of = |scores: &Array2<f64>| {
            let mut losses = Vec::new();
            for subgraph in 0..SUBGRAPHS {
                let log_sum = |least: f64| {
                    let nodes = members(&case, subgraph).into_iter().filter(|node| targets[[*node, 0]] >= least);
                    let scores: Vec<f64> = nodes.map(|node| scores[[node, 0]]).collect();
                    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    (!scores.is_empty()).then(|| most + scores.iter().map(|score| (score - most).exp()).sum::<f64>().ln())
                };
                losses.extend(log_sum(1.0).zip(log_sum(0.0)).map(|(right, all)| all - right));
            }
            (losses.iter().sum::<f64>() / losses.len() as f64, losses.len())
        };
        prop_assume!(of(&scores).1 > 0);
        let mut scene = scene(&case);
        let (loss, gradient) = step(&mut scene, &scores, &targets, SubgraphCrossEntropy);
        let expected = of(&scores).0;
        prop_assert!((loss - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{loss} and not {expected}");
        let arguments = Matrices::from([(INPUT.to_owned(), scores.clone())]);
        let loss_of = |arguments: &Matrices| Array2::from_elem((1, 1), of(&arguments[INPUT]).0);
        let gradients = Expected::new(arguments, &Array2::ones((1, 1)), loss_of).gradients;
        assert_near("gradient of the scores", &gradient, &gradients[INPUT].values, BACKWARD)?;
    }
}

/// The features of the edges.
struct OfEdges;

impl Layer for OfEdges {
    fn build(&self, _: Value, program: &mut Program) -> Result<Value, BuildError> {
        let edges = program.edge_features()?;
        scale(program, edges, 1.0)
    }
}

/// Hands its input on.
struct Same;

impl Layer for Same {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        scale(program, input, 1.0)
    }
}

/// The loss of a step, and the gradient of the output.
fn step(scene: &mut Scene, output: &Array2<f64>, targets: &Array2<f64>, loss: impl Operator) -> (f64, Array2<f64>) {
    let input = scene.field("input", output).unwrap();
    let into = scene.field("wanted gradient", &Array2::zeros(output.dim())).unwrap();
    let targets = scene.field("targets", targets).unwrap();
    let model = ModelBuilder::new(scene.graph)
        .input(input)
        .input_gradient(input, into)
        .head(Head::new("graph").layer(Same).operator_loss(loss).targets(targets))
        .optimizer(STANDSTILL)
        .build(&mut scene.world)
        .unwrap();
    let loss = match run(&mut scene.world, Train(model)) {
        Ok(()) => f64::from(scene.world.get::<Metrics>(model).unwrap().of(Split::Train).loss()),
        Err(_) => f64::NAN,
    };
    (loss, scene.read(into).unwrap())
}

#[test]
fn the_loss_of_graphs_is_the_mean_of_their_distances() {
    const FEATURES: usize = 2;
    const SLOTS: usize = 4;
    let rows = |purpose| numbers(3, purpose, (7, 1 + FEATURES + SLOTS)).mapv(|number| 0.5 + 0.5 * number);
    let (output, mut targets) = (rows(1), rows(2));
    // The first graph has four nodes, the second three; a node of the target is missing.
    targets[[4, 0]] = 0.0;
    let mut scene = Scene::new(7, &[]);
    scene.divide(2, |node| usize::from(node >= 4));
    let distance = FusedGromovWasserstein::new(0.5).with_motifs(0.2);
    let search = Search::default();
    let loss = StructureLoss { features: FEATURES, distance: StructuralDistance::Fused(distance), search };
    let (found, gradient) = step(&mut scene, &output, &targets, loss);
    let part = |values: &Array2<f64>, nodes: std::ops::Range<usize>, columns: std::ops::Range<usize>| -> Vec<f32> {
        values.slice(s![nodes, columns]).iter().map(|value| *value as f32).collect()
    };
    let (mut total, mut expected) = (0.0, Array2::zeros(output.dim()));
    for nodes in [0..4, 4..7] {
        let count = nodes.len();
        let parts = |values: &Array2<f64>| {
            let mass = part(values, nodes.clone(), 0..1);
            let sum: f32 = mass.iter().sum();
            let mass: Vec<f32> = mass.iter().map(|mass| mass / sum).collect();
            (mass, part(values, nodes.clone(), 1..3), part(values, nodes.clone(), 3..3 + count))
        };
        let ((mass, features, adjacency), (target_mass, target_features, target_adjacency)) =
            (parts(&output), parts(&targets));
        let graph = SoftGraph { features: &features, adjacency: &adjacency, mass: &mass };
        let target = SoftGraph { features: &target_features, adjacency: &target_adjacency, mass: &target_mass };
        let plan = distance.plan(graph, target, &search, &Workers::single()).unwrap().plan;
        let one = distance.gradient(graph, target, &plan, &Workers::single()).unwrap();
        total += one.value / 2.0;
        for (place, node) in nodes.enumerate() {
            (0..2).for_each(|f| expected[[node, 1 + f]] = f64::from(one.features[place * 2 + f]) / 2.0);
            (0..count).for_each(|k| expected[[node, 3 + k]] = f64::from(one.adjacency[place * count + k]) / 2.0);
        }
    }
    assert!((found - total).abs() < 1e-6, "{found} and not {total}");
    assert_near("gradient", &gradient, &expected, FORWARD).unwrap();
    let masked = StructuralDistance::Masked(MaskedGromovWasserstein::default());
    let targets = targets.mapv(f64::round);
    let (found, gradient) = step(&mut scene, &output, &targets, StructureLoss { distance: masked, ..loss });
    assert!(found.is_finite() && gradient.iter().all(|gradient| gradient.is_finite()));
    // More nodes than slots.
    scene.divide(1, |_| 0);
    assert!(step(&mut scene, &output, &targets, loss).0.is_nan());
}

#[derive(Component, Default)]
struct Cluster;

#[derive(Component, Default)]
struct BetweenClusters;

#[test]
fn clusters_become_a_graph_of_their_own() {
    let links: Vec<Link> = (0..6).map(|node| Link { source: node, target: (node + 1) % 6, weight: None }).collect();
    let mut scene = Scene::new(6, &links);
    scene.divide(1, |_| 0);
    let input = scene.field("input", &numbers(1, 1, (6, 3))).unwrap();
    let model = ModelBuilder::new(scene.graph).input(input).layer(DiffPool::new(2)).build(&mut scene.world).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    let output = scene.world.get::<Model>(model).unwrap().output;
    let row = output.get(&scene.world, scene.subgraphs[0]).unwrap().to_vec();
    let from = (output, scene.subgraphs[0]);
    let graph = Graph::of::<Cluster, BetweenClusters>(&mut scene.world);
    let (coarse, features) = spawn_clusters::<Cluster, BetweenClusters>(&mut scene.world, from, 2, 0.0, None).unwrap();
    assert_eq!(features, [row[..3].to_vec(), row[5..8].to_vec()]);
    assert_eq!((coarse.nodes.len(), coarse.edges.len()), (2, 4));
    let weight = |source: usize, target: usize| {
        let ends = Edge { source: coarse.nodes[source], target: coarse.nodes[target] };
        let edge = coarse.edges.iter().find(|edge| scene.world.get::<Edge>(**edge) == Some(&ends)).unwrap();
        scene.world.get::<EdgeWeight>(*edge).unwrap().0
    };
    assert_eq!([weight(0, 0), weight(1, 0), weight(0, 1), weight(1, 1)], [row[3], row[4], row[8], row[9]]);
    let topology = {
        connectome_systems::update_topology(&mut scene.world, graph, &mut Default::default());
        scene.world.get::<connectome_components::Topology>(graph).unwrap()
    };
    assert_eq!((topology.nodes.len(), topology.edges.len()), (2, 4));
    let refused = spawn_clusters::<Cluster, BetweenClusters>(&mut scene.world, from, 3, 0.0, None).unwrap_err();
    assert!(matches!(refused, PoolingError::Clusters { width: 10, clusters: 3 }), "{refused}");
}
