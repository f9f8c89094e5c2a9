//! The same bits for any number of workers, layer by layer: output, loss, gradients and weights of three training
//! steps, on a graph that is large enough for the workers to share every stage.
//!
//! Every layer that a scene may name must have a case here. A failure names the case and the number of workers.

use bevy_ecs::{entity::Entity, world::World};
use connectome::{
    components::{Metrics, Model, Parameter, Split},
    data::{DenseRows, EdgeLabels, Features, GraphData, GraphKinds, GraphSet, NodesOfKind, RelationEdges},
    scene::{LayerDescription, SceneFile},
    spawn,
    systems::{
        Evaluate, Train, Workers,
        random::{Philox, RandomStream},
        run,
    },
};
use serde::{Deserialize, de::IntoDeserializer, de::value::Error};
use std::{cmp::Ordering, collections::BTreeSet};

const NODES: usize = 4_000;
const EDGES: usize = 24_000;
const SUBGRAPHS: usize = 40;
const CLASSES: usize = 3;
const FEATURES: usize = 24;
const EDGE_FEATURES: usize = 6;
const STEPS: usize = 3;

/// Models, each with the layer under test between two maps: gradients go through it to the first one.
const CASES: &[&str] = &[
    "[Linear(width: 32), Dropout(0.4), Linear(width: 3)]",
    "[Linear(width: 32), Linear(width: 3)]",
    "[Linear(width: 16), Mlp(widths: [32, 16], batch_norm: true), Linear(width: 3)]",
    "[Linear(width: 16), Mlp(widths: [32, 16, 8], activation: Tanh), Linear(width: 3)]",
    "[Embedding(width: 32), Linear(width: 3)]",
    "[Linear(width: 32), BatchNorm(), Linear(width: 3)]",
    "[Linear(width: 32), BatchNorm(frozen: true), Linear(width: 3)]",
    "[GcnConv(width: 32), GcnConv(width: 8), Linear(width: 3)]",
    "[Linear(width: 32), GraphConv(width: 16), Linear(width: 3)]",
    "[Linear(width: 16), GraphConv(width: 32, aggregation: Mean), Linear(width: 3)]",
    "[Linear(width: 32), SageConv(width: 16), Linear(width: 3)]",
    "[Linear(width: 16), SageConv(width: 32, aggregation: Max, normalize: true), Linear(width: 3)]",
    "[Linear(width: 16), SageConv(width: 32, aggregation: Min, project: true), Linear(width: 3)]",
    "[Linear(width: 32), SageConv(width: 16, aggregation: Sum, root_weight: false), Linear(width: 3)]",
    "[Linear(width: 16), GinConv(nn: (widths: [32, 16]), epsilon: 0.1, train_epsilon: true), Linear(width: 3)]",
    "[Linear(width: 32), GinConv(nn: (widths: [16, 8], batch_norm: true)), Linear(width: 3)]",
    "[Linear(width: 16), GineConv(nn: (widths: [32, 16]), train_epsilon: true), Linear(width: 3)]",
    "[Linear(width: 6), GineConv(nn: (widths: [16]), edge_features: false), Linear(width: 3)]",
    "[Linear(width: 16), GatConv(width: 8, heads: 4, edge_features: true, dropout: 0.3), Linear(width: 3)]",
    "[Linear(width: 16), GatConv(width: 16, heads: 2, concat: false, add_self_loops: false), Linear(width: 3)]",
    "[Linear(width: 16), Gatv2Conv(width: 8, heads: 4, edge_features: true, dropout: 0.3), Linear(width: 3)]",
    "[Linear(width: 16), Gatv2Conv(width: 16, heads: 2, concat: false), Linear(width: 3)]",
    "[Linear(width: 16), TransformerConv(width: 8, heads: 4, beta: true, dropout: 0.3), Linear(width: 3)]",
    "[Linear(width: 16), TransformerConv(width: 16, heads: 2, concat: false, edge_features: true), Linear(width: 3)]",
    "[Linear(width: 16), ResGatedGraphConv(width: 16), Linear(width: 3)]",
    "[Linear(width: 16), EdgeConv(nn: (widths: [16, 16])), Linear(width: 3)]",
    "[Linear(width: 16), EdgeDecoder(nn: (widths: [16, 16]), edge_features: true), Linear(width: 3)]",
    "[Linear(width: 8), NnConv(width: 8, nn: (widths: [8, 64])), Linear(width: 3)]",
    "[Linear(width: 16), PnaConv(width: 16, edge_features: true), Linear(width: 3)]",
    "[Linear(width: 16), PnaConv(width: 16, average_log_degree: 1.5), Linear(width: 3)]",
    "[Linear(width: 16), GatedGraphConv(width: 16, layers: 2), Linear(width: 3)]",
    "[Linear(width: 16), GraphNetBlock(hidden: [16]), GraphNetBlock(hidden: [16]), Linear(width: 3)]",
    "[Linear(width: 16), DagNetwork(activation: Tanh, edge_features: true, bidirectional: true), Linear(width: 3)]",
    "[Linear(width: 16), DagNetwork(activation: Silu, direction: Reverse), Linear(width: 3)]",
    "[Linear(width: 16), DagGru(width: 16), Linear(width: 3)]",
    "[Linear(width: 16), DagGru(width: 16, aggregation: Gated, bidirectional: true), Linear(width: 3)]",
    "[Linear(width: 16), DagGru(width: 16, aggregation: Attention, direction: Reverse), Linear(width: 3)]",
    "[Linear(width: 16), TreeLevels(nn: (widths: [16, 8], activation: Tanh), arity: 3), Linear(width: 3)]",
    "[Linear(width: 32), LayerNorm(), Linear(width: 3)]",
    "[Linear(width: 32), GraphNorm(), Linear(width: 3)]",
    "[Linear(width: 32), AttentionalAggregation(width: 16), Linear(width: 3)]",
    "[Linear(width: 16), Set2Set(steps: 3), Linear(width: 3)]",
    "[Linear(width: 16), DiffPool(clusters: 4), Linear(width: 3)]",
    "[Linear(width: 16), QueryPool(queries: 3, assignment: Softmax), Linear(width: 3)]",
    "[Linear(width: 16), QueryPool(queries: 3, assignment: Sinkhorn(epsilon: 0.5, rounds: 5)), Linear(width: 3)]",
    "[Linear(width: 16), TopKPooling(ratio: 0.5), Linear(width: 3)]",
    "[SgConv(width: 16, hops: 2), Linear(width: 3)]",
    "[Linear(width: 32), SgConv(width: 16, hops: 3), Linear(width: 3)]",
    "[Linear(width: 16), Appnp(hops: 4, dropout: 0.2), Linear(width: 3)]",
    "[Linear(width: 16), Gcnii(layers: 3, dropout: 0.2), Linear(width: 3)]",
    "[Linear(width: 16), MeanConv(width: 16), Linear(width: 3)]",
    "[Linear(width: 16), Residual(layers: [GcnConv(width: 16), Relu]), Linear(width: 3)]",
    "[Linear(width: 16), Residual(layers: [SageConv(width: 32)], shortcut: true), Linear(width: 3)]",
    "[JumpingKnowledge(blocks: [[Linear(width: 16)], [GcnConv(width: 16), Relu], [SageConv(width: 16)]]), Linear(width: 3)]",
    "[JumpingKnowledge(mode: Max, blocks: [[Linear(width: 16)], [GcnConv(width: 16), Tanh]]), Linear(width: 3)]",
    "[Linear(width: 16), HeteroConv(convolution: SageConv(width: 16)), Linear(width: 3)]",
    "[Linear(width: 16), HeteroConv(convolution: GatConv(width: 8, add_self_loops: false), aggregation: Mean), Linear(width: 3)]",
    "[Linear(width: 16), HeteroConv(convolution: GraphConv(width: 16), aggregation: Max), Linear(width: 3)]",
    "[Linear(width: 16), HeteroConv(convolution: SageConv(width: 16), relations: {\"on\": GcnConv(width: 16)},
        aggregation: Attention(8)), Linear(width: 3)]",
    "[Linear(width: 16), RgcnConv(width: 32), Relu, RgcnConv(width: 8), Linear(width: 3)]",
    "[Linear(width: 16), Dropout(0.3), RgcnConv(width: 16, bases: 2), Linear(width: 3)]",
    "[Linear(width: 16), HgtConv(width: 16, heads: 2), BatchNorm(), HgtConv(width: 24, heads: 4), Linear(width: 3)]",
    "[Linear(width: 32), Readout(Sum), Linear(width: 3)]",
    "[Linear(width: 32), Readout(Mean), Linear(width: 3)]",
    "[Linear(width: 32), Readout(Max), BatchNorm(), Linear(width: 3)]",
    "[Linear(width: 32), LeakyRelu(0.1), Linear(width: 32), Elu(0.8), Linear(width: 3)]",
    "[Linear(width: 32), Relu, Linear(width: 32), Gelu, Linear(width: 32), Silu, Linear(width: 3)]",
    "[Linear(width: 32), Sigmoid, Linear(width: 32), Softplus, Linear(width: 32), Tanh, Linear(width: 3)]",
];

/// The names that a scene may give to layers, as the reader of scenes tells them.
fn every_layer() -> BTreeSet<String> {
    let unknown: &str = "no layer";
    let refused = LayerDescription::deserialize(IntoDeserializer::<Error>::into_deserializer(unknown));
    let message = refused.unwrap_err().to_string();
    message.split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

fn names_in(layers: &[LayerDescription], names: &mut BTreeSet<String>) {
    for layer in layers {
        names.insert(layer.name().to_owned());
        match layer {
            LayerDescription::Residual(residual) => names_in(&residual.layers, names),
            LayerDescription::JumpingKnowledge(jumping) => {
                jumping.blocks.iter().for_each(|block| names_in(block, names));
            }
            LayerDescription::HeteroConv(convolution) => {
                convolution.convolution.iter().for_each(|layer| names_in(std::slice::from_ref(layer), names));
                convolution.relations.values().for_each(|layer| names_in(std::slice::from_ref(layer), names));
            }
            _ => {}
        }
    }
}

/// A random graph of several subgraphs, where few nodes are the endpoints of many edges.
fn data() -> GraphData {
    let mut draws = RandomStream::new(Philox::new(5, 1, 0));
    let mut below = |end: usize| draws.below(end as u64) as u32;
    let edges = (0..EDGES)
        .map(|number| match number % 4 {
            0 => [below(NODES), below(40)],
            1 => [below(40), below(NODES)],
            _ => [below(NODES), below(NODES)],
        })
        .collect();
    let mut classes = |count: usize| (0..count).map(|_| below(CLASSES)).collect::<Vec<_>>();
    let (labels, graph_labels) = (classes(NODES), classes(SUBGRAPHS));
    let numbers = |purpose, count: usize| {
        let mut numbers = vec![0.0; count];
        Philox::new(5, purpose, 0).fill_uniform(&mut numbers);
        numbers
    };
    let splits =
        |count: usize| (0..count).map(|number| [Split::Train, Split::Train, Split::Test][number % 3]).collect();
    GraphData {
        nodes: NODES,
        features: Features::Dense { width: FEATURES, values: numbers(2, NODES * FEATURES) },
        labels,
        splits: splits(NODES),
        classes: CLASSES,
        edges,
        weights: Some(numbers(3, EDGES)),
        edge_features: Some(DenseRows { width: EDGE_FEATURES, values: numbers(4, EDGES * EDGE_FEATURES) }),
        graphs: Some(GraphSet {
            node_offsets: (0..=SUBGRAPHS).map(|graph| graph * graph * NODES / (SUBGRAPHS * SUBGRAPHS)).collect(),
            edge_offsets: vec![0; SUBGRAPHS + 1],
            labels: graph_labels,
            classes: CLASSES,
            splits: splits(SUBGRAPHS),
            ..GraphSet::default()
        }),
        ..GraphData::default()
    }
}

/// The same without cycles, of five levels, with the place of a child for each edge.
fn acyclic(data: &GraphData) -> GraphData {
    const LEVEL: u32 = NODES as u32 / 5;
    let edges = data.edges.iter().map(|&[one, other]| match (one / LEVEL).cmp(&(other / LEVEL)) {
        Ordering::Less => [one, other],
        Ordering::Equal => [one % LEVEL, LEVEL + other % LEVEL],
        Ordering::Greater => [other, one],
    });
    let places = DenseRows { width: 1, values: (0..EDGES).map(|edge| (edge % 3) as f32).collect() };
    GraphData { edges: edges.collect(), edge_features: Some(places), graphs: None, ..data.clone() }
}

/// The same with categories for features.
fn categories(data: &GraphData) -> GraphData {
    let columns = data.labels.iter().zip(0..).map(|(label, node)| (7 * label + node) % 50).collect();
    GraphData { features: Features::one_hot(columns, 50), ..data.clone() }
}

/// The same as one graph, with classes for edges.
fn with_edge_labels(data: &GraphData) -> GraphData {
    let labels = EdgeLabels {
        labels: data.edges.iter().map(|[source, target]| (source + target) % CLASSES as u32).collect(),
        classes: CLASSES,
        targets: None,
        splits: (0..EDGES).map(|edge| if edge % 5 == 0 { Split::Test } else { Split::Train }).collect(),
    };
    GraphData { edge_labels: Some(labels), graphs: None, ..data.clone() }
}

/// Whether a case needs several kinds of nodes.
fn has_kinds(case: &str) -> bool {
    ["HeteroConv", "RgcnConv", "HgtConv"].iter().any(|layer| case.contains(layer))
}

/// The same nodes with another kind beside them, and three relations, one of them with nodes of many edges.
fn with_kinds(data: &GraphData) -> GraphData {
    let others = NODES / 3;
    let features = Features::Dense { width: 8, values: (0..8 * others).map(|value| (value as f32).sin()).collect() };
    let nodes = GraphData { nodes: others, features, ..GraphData::default() };
    let relation = |name: &str, ends: [usize; 2], edges: &[[u32; 2]], counts: [u32; 2]| RelationEdges {
        name: name.to_owned(),
        ends,
        reverse: (name != "on").then(|| format!("{name}_back")),
        edges: edges.iter().map(|[source, target]| [source % counts[0], target % counts[1]]).collect(),
        ..RelationEdges::default()
    };
    let [own, other] = [NODES as u32, others as u32];
    let (first, rest) = data.edges.split_at(EDGES / 2);
    let relations = vec![
        relation("on", [0, 0], first, [own, own]),
        relation("of", [1, 0], rest, [other, own]),
        relation("among", [1, 1], &rest[..EDGES / 4], [other, other]),
    ];
    let others = vec![NodesOfKind { name: "other".to_owned(), nodes }];
    let kinds = Some(Box::new(GraphKinds { own: "own".to_owned(), others, relations }));
    GraphData { edges: Vec::new(), weights: None, edge_features: None, graphs: None, kinds, ..data.clone() }
}

/// What some training steps and a measurement compute, as bits, each with its name.
fn trace(scene: &SceneFile, data: &GraphData, workers: usize) -> Vec<(String, Vec<u32>)> {
    let mut world = World::new();
    world.insert_resource(Workers::new(workers).unwrap());
    let entity = spawn(&mut world, scene, data, 9).unwrap().model;
    let model: Model = world.get::<Model>(entity).unwrap().clone();
    let mut trace = Vec::new();
    let loss = |world: &World| world.get::<Metrics>(entity).unwrap().of(Split::Train).loss().to_bits();
    for step in 0..STEPS {
        run(&mut world, Train(entity)).unwrap();
        trace.push((format!("loss of step {step}"), vec![loss(&world)]));
    }
    for owner in &model.parameters {
        trace.extend(numbers_of(&world, *owner));
    }
    run(&mut world, Evaluate(entity)).unwrap();
    trace.push(("loss".to_owned(), vec![loss(&world)]));
    let output = model.output.matrix(&world);
    trace.push(("output".to_owned(), output.rows().flatten().map(|number| number.to_bits()).collect()));
    trace
}

/// A parameter, its gradient and its moments.
fn numbers_of(world: &World, owner: Entity) -> Vec<(String, Vec<u32>)> {
    let parameter = world.get::<Parameter>(owner).unwrap();
    let fields = [("value", Some(parameter.value)), ("gradient", parameter.gradient), ("moments", parameter.moments)];
    let numbers = fields.into_iter().filter_map(|(kind, field)| {
        let numbers = field?.get(world, owner).unwrap();
        Some((format!("{kind} of {}", parameter.name), numbers.iter().map(|number| number.to_bits()).collect()))
    });
    numbers.collect()
}

fn scene(model: &str) -> SceneFile {
    let task = if model.contains("EdgeDecoder") { "EdgeClassification" } else { "NodeClassification" };
    let kinds = r#"kind: "own", nodes: {"own": (), "other": ()}, relations: [
        (name: "on", source: "own", target: "own"),
        (name: "of", source: "other", target: "own", reverse: "of_back"),
        (name: "among", source: "other", target: "other", reverse: "among_back"),
    ],"#;
    let kinds = if has_kinds(model) { kinds } else { "" };
    let text = format!(
        r#"(name: "case", graph: Npz("none.npz"), {kinds} model: {model}, task: {task},
            optimizer: Adam(learning_rate: 0.01, weight_decay: 1e-4))"#
    );
    SceneFile::parse(&text, model).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_layer_gives_the_same_bits_for_any_number_of_workers() {
    let dense = data();
    let sparse = categories(&dense);
    let labeled = with_edge_labels(&dense);
    let (acyclic, kinds) = (acyclic(&dense), with_kinds(&dense));
    for case in CASES {
        let scene = scene(case);
        let data = match case {
            case if has_kinds(case) => &kinds,
            case if case.contains("Embedding") => &sparse,
            case if case.contains("EdgeDecoder") => &labeled,
            case if case.contains("Dag") || case.contains("Tree") => &acyclic,
            _ => &dense,
        };
        let one = trace(&scene, data, 1);
        assert_ne!(one[0], (one[0].0.clone(), one[STEPS - 1].1.clone()), "{case}: nothing was learned");
        for (name, numbers) in &one {
            assert!(numbers.iter().all(|bits| f32::from_bits(*bits).is_finite()), "{case}: {name} left the numbers");
        }
        for workers in [1, 2, 3, 8] {
            for (expected, found) in one.iter().zip(trace(&scene, data, workers)) {
                assert!(*expected == found, "{case}: {workers} workers: {} differs", expected.0);
            }
        }
    }
}

#[test]
fn every_layer_has_a_case() {
    let mut covered = BTreeSet::new();
    CASES.iter().for_each(|case| names_in(&scene(case).model, &mut covered));
    let every = every_layer();
    assert!(every.len() > 20 && every.contains("Linear"), "{every:?}");
    let missing: Vec<_> = every.difference(&covered).collect();
    assert!(missing.is_empty(), "add cases for {missing:?}");
}
