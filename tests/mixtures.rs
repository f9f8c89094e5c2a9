//! Mixtures of experts in scenes: they learn, whatever the gate chooses for, say who computes what, and are refused with the place
//! of what is wrong.

use crate::tasks::{data, scene};
use connectome::{
    Trainer,
    components::Split,
    scene::{SceneFile, Training},
    systems::Workers,
};

const GRAPHS: &str = "mixture: (
        experts: [(layers: [GcnConv(width: 8), Relu, Readout(Sum)], count: 2), (layers: [Linear(width: 8), Readout(Sum)])],
        gate: TopK(2), gate_layers: [Linear(width: 4), Tanh, Readout(Mean)], losses: (importance: 0.1), noise: 0.5,
    ),
    model: [Linear(width: 2)], task: GraphClassification, training: (epochs: 60, batch_size: 6)";

const NODES: &str = "mixture: (
        experts: [(layers: [GcnConv(width: 8), Relu, Linear(width: 2)], count: 3)], gate: TopK(1), losses: (balance: 0.01, z: 0.001),
    ),
    model: [], task: NodeClassification, training: (epochs: 80)";

const SAMPLED: &str = "mixture: (
        experts: [(layers: [SageConv(width: 8), Relu, Linear(width: 2)], count: 2)], mixing: Probabilities,
    ),
    model: [], task: NodeClassification, training: (epochs: 30, batch_size: 10, fan_outs: [5])";

const MEMBERS: &str = "mixture: (
        experts: [(layers: [Linear(width: 8), Tanh], count: 2)], gate_layers: [Readout(Mean)],
    ),
    model: [Linear(width: 2)], task: NodeMultiLabel, training: (epochs: 60, batch_size: 4)";

const COMPETING: &str = "mixture: (
        experts: [(layers: [GcnConv(width: 8), Relu, Readout(Sum), Linear(width: 2)], count: 2)], gate_layers: [Readout(Mean)],
        competition: 1.0, gate: TopK(1),
    ),
    model: [], task: GraphClassification, training: (epochs: 60, batch_size: 6)";

/// All cases, each with the number of graphs that it is for and the metric that it is to be good at.
const CASES: [(&str, usize, &str); 5] = [
    (GRAPHS, 40, "accuracy"),
    (NODES, 1, "accuracy"),
    (SAMPLED, 1, "accuracy"),
    (MEMBERS, 8, "f1_micro"),
    (COMPETING, 40, "accuracy"),
];

fn trainer(scene: &SceneFile, graphs: usize, workers: usize) -> Trainer {
    Trainer::new(scene, data(graphs), 3, Workers::new(workers).unwrap()).unwrap()
}

#[test]
fn mixtures_learn_and_say_who_computes_what() {
    for (rest, graphs, metric) in CASES {
        let scene = scene(rest);
        let experts = scene.mixture.as_ref().unwrap().expert_count();
        let mut trainer = trainer(&scene, graphs, 2);
        let summary = trainer.train(|report| {
            for split in [Split::Train, Split::Validation, Split::Test] {
                let loads = (0..experts).map(|expert| report.get(split, &format!("load_of_expert_{expert}")).unwrap());
                assert!((loads.sum::<f64>() - 1.0).abs() < 1e-6, "{rest}");
                assert!((0.0..=1.0).contains(&report.get(split, "specialization").unwrap()), "{rest}");
            }
        });
        let summary = summary.unwrap();
        let reached = summary.get(Split::Train, metric).unwrap();
        assert!(reached > 0.85, "{rest}: {reached}");

        let weights = trainer.expert_weights().unwrap().unwrap();
        assert_eq!(weights.width, experts);
        let rows = if rest.contains("Readout") { graphs } else { 60 * graphs };
        assert_eq!(weights.values.len(), rows * experts, "{rest}");
        for row in weights.values.chunks_exact(experts) {
            let used = row.iter().filter(|weight| **weight > 0.0).count();
            let most = if rest.contains("TopK(2)") {
                2
            } else if rest.contains("TopK(1)") {
                1
            } else {
                experts
            };
            assert!((1..=most).contains(&used), "{row:?}");
        }
    }
}

/// Weights, predictions and reports have the same bits with any number of workers, and after weights went through a file.
#[test]
fn workers_and_files_change_no_bit() {
    for (rest, graphs, _) in CASES {
        let scene = SceneFile { training: Training { epochs: 4, ..scene(rest).training }, ..scene(rest) };
        let learned = |workers: usize| {
            let mut trainer = trainer(&scene, graphs, workers);
            let mut metrics = Vec::new();
            trainer.train(|report| metrics.push(report.metrics.clone())).unwrap();
            let outputs = trainer.outputs().unwrap();
            (trainer.weights(), outputs, metrics, trainer.expert_weights().unwrap())
        };
        let expected = learned(1);
        assert!([2, 3, 8].into_iter().all(|workers| learned(workers) == expected), "{rest}");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weights.safetensors");
        connectome::output::write_weights(&file, &expected.0, Default::default()).unwrap();
        let mut read = Trainer::for_inference(&scene, data(graphs), Workers::single()).unwrap();
        read.load_weights(&file, &[]).unwrap();
        assert_eq!(read.outputs().unwrap(), expected.1, "{rest}");
    }
}

/// A trained mixture is spawned into a world of the user's, whose component gate and experts read.
#[test]
fn a_trained_mixture_is_spawned_into_a_live_world() {
    use bevy_ecs::prelude::*;
    use bytemuck::{Pod, Zeroable};
    use connectome::prelude::*;

    #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    #[repr(C)]
    struct Seen([f32; 2]);

    let scene = scene(NODES);
    let mut trainer = trainer(&scene, 1, 1);
    trainer.train(|_| {}).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [scene_file, weights] = ["scene.ron", "weights.safetensors"].map(|name| folder.path().join(name));
    std::fs::write(&scene_file, scene.to_ron().unwrap()).unwrap();
    connectome::output::write_weights(&weights, &trainer.weights(), Default::default()).unwrap();

    let mut world = World::new();
    let graph = Graph::of::<Seen, Edge>(&mut world);
    let model = world.spawn_trained(graph, &scene_file, &weights, |model| model.reads::<Seen>()).unwrap();
    let data = data(1);
    let connectome::data::Features::Dense { values, .. } = &data.features else { panic!("they are dense") };
    let nodes: Vec<Entity> = values.chunks_exact(2).map(|row| world.spawn(Seen([row[0], row[1]])).id()).collect();
    world.spawn_batch(
        data.edges
            .iter()
            .map(|[source, target]| Edge { source: nodes[*source as usize], target: nodes[*target as usize] })
            .collect::<Vec<_>>(),
    );
    world.infer(model).unwrap();
    let output = world.get::<Model>(model).unwrap().output;
    let found: Vec<f32> = nodes.iter().flat_map(|node| output.get(&world, *node).unwrap().to_vec()).collect();
    let expected = &trainer.outputs().unwrap()[0].values;
    // The edges may be summed in another order.
    assert!(found.iter().zip(expected).all(|(one, other)| (one - other).abs() <= 1e-4 * (1.0 + other.abs())));
    assert_eq!(world.get::<MixtureOfExperts>(model).unwrap().experts.len(), 3);
}

#[test]
fn mixtures_that_make_no_sense_are_refused_at_the_place() {
    let refused = |rest: &str| {
        let text = format!("(name: \"x\", graph: Npz(\"none.npz\"), optimizer: Adam(learning_rate: 0.02),\n{rest})");
        SceneFile::parse(&text, "x.ron").unwrap_err().to_string()
    };
    let mixture = |mixture: &str| refused(&format!("mixture: ({mixture}),\nmodel: [Linear(width: 2)]"));
    let error = mixture("experts: []");
    assert!(error.starts_with("x.ron:2:20: the mixture has no experts"), "{error}");
    let error = mixture("experts: [(layers: [])]");
    assert!(error.contains("x.ron:2:30: the expert has no layers"), "{error}");
    let error = mixture("experts: [(layers: [Relu], count: 3)], gate: TopK(4)");
    assert!(error.contains("x.ron:2:61: each row is computed by 4 of 3 experts"), "{error}");
    assert!(error.contains("write from 1 to 3"), "{error}");
    let error = mixture("experts: [(layers: [Relu], count: 3)], gate: TopK(0)");
    assert!(error.contains("each row is computed by 0 of 3 experts"), "{error}");
    let error = mixture("experts: [(layers: [Relu])], gate: Top(2)");
    assert!(error.contains("TopK"), "{error}");
    let error = mixture("experts: [(layers: [Relu])], noise: -1.0");
    assert!(error.contains("the noise is -1"), "{error}");
    let error = mixture("experts: [(layers: [Relu])], losses: (balance: -2.0)");
    assert!(error.contains("the weight of the loss is -2"), "{error}");
    let error = mixture("experts: [(layers: [Relu])], competition: 0.0");
    assert!(error.contains("a sharpness of 0") && error.contains("write `model: []`"), "{error}");
    let error = mixture("experts: [(layers: [Dropout(1.5)])]");
    assert!(error.contains("the dropout probability is 1.5"), "{error}");
    let error = mixture("experts: [(layers: [Relu], count: 5000)]");
    assert!(error.contains("5000 experts"), "{error}");
    let error =
        refused("mixture: (experts: [(layers: [Relu])]), model: [], training: (batch_size: 2, accumulation_steps: 2)");
    assert!(error.contains("remove accumulation_steps"), "{error}");
}

/// What shows only beside a graph is refused before training, too.
#[test]
fn experts_that_do_not_fit_are_refused_at_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let couple = "graph: Inline(nodes: [(name: \"a\", split: Train, features: [1.0]), (name: \"b\", features: [2.0], label: 1)], \
                  edges: [(source: \"a\", target: \"b\")])";
    let refused = |rest: &str| {
        let file = folder.path().join("x.ron");
        let text = format!("(name: \"x\", {couple}, optimizer: Adam(learning_rate: 0.02),\n{rest})");
        std::fs::write(&file, text).unwrap();
        SceneFile::load(&file).unwrap_err().to_string()
    };
    let error = refused("mixture: (experts: [(layers: [Linear(width: 2)]), (layers: [Linear(width: 3)])]), model: []");
    assert!(error.contains("x.ron:2:60: expert `expert 1` outputs 3 values and others 2"), "{error}");
    let error = refused("mixture: (experts: [(layers: [Linear(width: 5)])]), model: []");
    assert!(error.contains("x.ron:2:45: the model's output is 5 wide, but the nodes have 2 classes"), "{error}");
    let error = refused("mixture: (experts: [(layers: [Linear(width: 2), Readout(Mean)])]), model: []");
    assert!(error.contains("expert `expert 0` does not predict nodes"), "{error}");
    let error = refused("mixture: (experts: [(layers: [NnConv(width: 2, nn: (widths: [2]))])]), model: []");
    assert!(error.contains("x.ron:2:31"), "{error}");
    let error = refused(
        "mixture: (experts: [(layers: [Linear(width: 2)])], gate_layers: [EdgeDecoder(nn: (widths: [2]))]), model: []",
    );
    assert!(error.contains("the gate chooses for neither nodes nor subgraphs"), "{error}");
    let error = refused("mixture: (experts: [(layers: [Linear(width: 2)])], gate_layers: [Readout(Mean)]), model: []");
    assert!(error.contains("the gate chooses for graphs, but the scene has only one"), "{error}");
    let error = refused("mixture: (experts: [(layers: [Linear(width: 900000000000)])]), model: []");
    assert!(error.contains("x.ron:2:45"), "{error}");
}
