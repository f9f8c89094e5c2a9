//! The order of the rows is nobody's concern but the cache's: outputs come in the order of the scene and are the same
//! numbers, up to rounding, whatever a scene's `order`; and each order has the same bits for any number of workers. A
//! failure names the scene and the order.

use connectome::{
    Trainer,
    components::{Split, Topology},
    data::{DenseRows, Features, GraphData, GraphSet},
    scene::{NodeOrder, SceneFile},
    systems::{
        Workers,
        algorithms::ordering::bandwidth,
        random::{Philox, RandomStream},
    },
};

const ORDERS: [NodeOrder; 2] = [NodeOrder::Degree, NodeOrder::ReverseCuthillMcKee];

const NODES: usize = 1200;

/// Of which graph a scene is, and the scene.
const SCENES: [(&str, &str); 5] = [
    ("one graph", "model: [GcnConv(width: 16), Relu, GcnConv(width: 3)]"),
    ("edge features", "model: [GineConv(nn: (widths: [16])), Relu, GatConv(width: 3)]"),
    (
        "graphs",
        "model: [GinConv(nn: (widths: [16])), Relu, Readout(Sum), Linear(width: 2)], task: GraphClassification,
         training: (batch_size: 40)",
    ),
    ("links", "model: [GcnConv(width: 16), Relu, GcnConv(width: 4)], task: LinkPrediction()"),
    (
        "samples",
        "model: [SageConv(width: 16), Relu, SageConv(width: 3)], training: (batch_size: 100, fan_outs: [5, 5])",
    ),
];

fn scene(model: &str, order: NodeOrder) -> SceneFile {
    let text = format!(
        r#"(name: "order", graph: Npz("none.npz"), order: {order:?}, {model}, optimizer: Adam(learning_rate: 0.01))"#
    );
    SceneFile::parse(&text, "scene.ron").unwrap_or_else(|error| panic!("{error}"))
}

/// A ring of nodes in random order with edges that leap over a few, or a set of such rings.
fn graph(name: &str) -> GraphData {
    let mut draws = RandomStream::new(Philox::new(5, 1, 0));
    let size = if name == "graphs" { 12 } else { NODES };
    let mut edges = Vec::new();
    for start in (0..NODES).step_by(size) {
        let mut ring: Vec<u32> = (0..size as u32).map(|node| start as u32 + node).collect();
        draws.shuffle(&mut ring);
        for place in 0..size {
            for _ in 0..3 {
                let other = ring[(place + draws.below(4) as usize) % size];
                edges.extend([[ring[place], other], [other, ring[place]]]);
            }
        }
    }
    let numbers = |count: usize, purpose: u32| {
        let mut values = vec![0.0; count];
        Philox::new(5, purpose, 0).fill_uniform(&mut values);
        values
    };
    let edge_count = edges.len();
    let graphs = NODES / size;
    GraphData {
        nodes: NODES,
        features: Features::Dense { width: 8, values: numbers(8 * NODES, 2) },
        labels: (0..NODES as u32).map(|node| node % 3).collect(),
        splits: (0..NODES).map(|node| if node % 4 == 0 { Split::Validation } else { Split::Train }).collect(),
        classes: 3,
        weights: (name == "one graph").then(|| numbers(edge_count, 3)),
        edge_features: (name == "edge features").then(|| DenseRows { width: 8, values: numbers(8 * edge_count, 4) }),
        names: if name == "one graph" { (0..NODES).map(|node| format!("node {node}")).collect() } else { Vec::new() },
        graphs: (name == "graphs").then(|| GraphSet {
            node_offsets: (0..=NODES).step_by(size).collect(),
            edge_offsets: (0..=edge_count).step_by(6 * size).collect(),
            labels: (0..graphs as u32).map(|graph| graph % 2).collect(),
            classes: 2,
            splits: vec![Split::Train; graphs],
            ..GraphSet::default()
        }),
        edges,
        ..GraphData::default()
    }
}

/// Outputs before anything was learned, and after some epochs, and the last loss.
fn run(model: &str, data: &GraphData, order: NodeOrder, workers: usize) -> ([Vec<f32>; 2], Option<f64>) {
    let workers = Workers::new(workers).unwrap();
    let mut trainer = Trainer::new(&scene(model, order), data, 0, workers).unwrap();
    let before = trainer.infer().unwrap().0;
    let loss = (0..4).map(|_| trainer.epoch().unwrap().get(Split::Train, "loss")).last().unwrap();
    ([before, trainer.infer().unwrap().0], loss)
}

#[test]
fn outputs_come_in_the_order_of_the_scene() {
    for (name, model) in SCENES {
        let data = graph(name);
        let ([given, learned], _) = run(model, &data, NodeOrder::Given, 2);
        // Links and samples are drawn by row, and so are others.
        let drawn = ["links", "samples"].contains(&name);
        for order in ORDERS {
            let (outputs, _) = run(model, &data, order, 2);
            for (found, expected) in outputs.iter().zip([&given, &learned]).take(if drawn { 1 } else { 2 }) {
                assert_eq!(found.len(), expected.len(), "{name}, {order:?}");
                let largest = expected.iter().fold(1.0_f32, |largest, number| largest.max(number.abs()));
                let difference = found.iter().zip(expected).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
                assert!(difference < 1e-5 * largest, "{name}, {order:?}: {difference} of {largest}");
            }
        }
    }
}

#[test]
fn each_order_has_the_same_bits_for_any_number_of_workers() {
    for (name, model) in SCENES {
        let data = graph(name);
        let model = model.replacen("[", "[Dropout(0.3), ", 1);
        for order in ORDERS {
            let one = run(&model, &data, order, 1);
            for workers in [2, 3, 8] {
                assert_eq!(run(&model, &data, order, workers), one, "{name}, {order:?}, {workers} workers");
            }
        }
    }
}

#[test]
fn rows_lie_in_the_order_that_the_scene_asks_for() {
    let data = graph("one graph");
    let band = |order| {
        let mut trainer = Trainer::new(&scene(SCENES[0].1, order), &data, 0, Workers::single()).unwrap();
        let graph = trainer.entities().graph;
        let topology = trainer.world().get::<Topology>(graph).unwrap();
        let rows: Vec<u32> = (0..NODES as u32).collect();
        let by_target = topology.endpoints.is_sorted_by_key(|[source, target]| (*target, *source));
        let degrees = topology.incoming.offsets.windows(2).map(|pair| pair[1] - pair[0]);
        (bandwidth(&rows, &topology.endpoints), by_target, degrees.rev().is_sorted())
    };
    let given = band(NodeOrder::Given);
    assert!(given.0 > 1000 && given.1 && !given.2, "{given:?}");
    let narrow = band(NodeOrder::ReverseCuthillMcKee);
    assert!(narrow.0 < 20 && narrow.1, "{narrow:?}");
    let by_degree = band(NodeOrder::Degree);
    assert!(by_degree.1 && by_degree.2, "{by_degree:?}");
}
