//! Any scene that is written reads back equal.

use connectome::scene::{
    EpochSchedule, ExpertDescription, Gate, GraphSource, HeadDescription, LayerDescription, MixtureDescription,
    Monitor, NodeFeatures, NodeOrder, SceneEdge, SceneFile, SceneNode, Selection, Training, options,
};
use connectome::task::{Regression, Task};
use connectome_components::{GateLosses, Loss, Mixing, Optimizer, Split};
use connectome_systems::layers;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Any finite number.
fn finite() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("finite", |value| value.is_finite())
}

fn positive() -> impl Strategy<Value = f32> {
    finite().prop_map(f32::abs)
}

fn share() -> impl Strategy<Value = f32> {
    (0_u32..1 << 24).prop_map(|part| part as f32 / (1 << 24) as f32)
}

fn split() -> impl Strategy<Value = Split> {
    select(vec![Split::Unused, Split::Train, Split::Validation, Split::Test])
}

/// Layers are made from text, so that fields they may gain do not matter here.
fn with_width(name: &'static str, width: usize, decay: Option<f32>) -> LayerDescription {
    let decay = decay.map_or_else(String::new, |decay| format!(", weight_decay: {decay}"));
    options().from_str(&format!("{name}(width: {width}{decay})")).expect("the layer is fine")
}

fn wide_layer(width: impl Strategy<Value = usize>) -> impl Strategy<Value = LayerDescription> {
    (select(vec!["Linear", "GcnConv", "MeanConv"]), width, option::of(positive()))
        .prop_map(|(name, width, decay)| with_width(name, width, decay))
}

fn layer() -> impl Strategy<Value = LayerDescription> {
    use LayerDescription::{Dropout, Elu, Gelu, LeakyRelu, Relu, Sigmoid, Silu, Softplus, Tanh};
    prop_oneof![
        share().prop_map(|share| Dropout(layers::Dropout(share))),
        finite().prop_map(LeakyRelu),
        finite().prop_map(Elu),
        wide_layer(1_usize..100),
        select(vec![Relu, Gelu, Sigmoid, Silu, Softplus, Tanh]),
    ]
}

fn optimizer() -> impl Strategy<Value = Optimizer> {
    let numbers = (positive(), share(), share(), positive(), positive(), any::<bool>());
    (0..4, numbers).prop_map(|(kind, (learning_rate, first, second, epsilon, weight_decay, flag))| match kind {
        0 => Optimizer::Sgd { learning_rate, momentum: first, nesterov: flag, weight_decay },
        1 => Optimizer::Adam {
            learning_rate,
            betas: (first, second),
            epsilon: epsilon.max(1e-8),
            amsgrad: flag,
            weight_decay,
        },
        2 => Optimizer::AdamW { learning_rate, betas: (first, second), epsilon: epsilon.max(1e-8), weight_decay },
        _ => Optimizer::RmsProp { learning_rate, decay: first, epsilon: epsilon.max(1e-8), weight_decay },
    })
}

fn training() -> impl Strategy<Value = Training> {
    let schedule = prop_oneof![
        Just(EpochSchedule::Constant),
        (any::<u64>(), positive()).prop_map(|(every, factor)| EpochSchedule::Step { every, factor }),
        (any::<u64>(), positive()).prop_map(|(epochs, final_factor)| EpochSchedule::Cosine { epochs, final_factor }),
    ];
    let keep =
        select(vec![Selection::BestValidation, Selection::BestLoss, Selection::BestLossAndScore, Selection::Last]);
    let monitor = select(vec![Monitor::Loss, Monitor::Score, Monitor::LossOrScore]);
    let watch = (keep, option::of(1_u64..), monitor);
    let norm = option::of(positive().prop_filter("above 0", |norm| *norm > 0.0));
    let averaging = option::of(0.0_f32..1.0);
    (any::<u64>(), any::<u64>(), schedule, watch, norm, averaging).prop_map(
        |(epochs, seed, schedule, (keep, patience, monitor), clip_norm, averaging)| Training {
            epochs,
            seed,
            schedule,
            keep,
            patience,
            monitor,
            clip_norm,
            averaging,
            ..Training::default()
        },
    )
}

fn nodes() -> impl Strategy<Value = Vec<SceneNode>> {
    (1_usize..4, 0_usize..3, 2_usize..8).prop_flat_map(|(width, targets, count)| {
        vec(("\\PC*|.*", vec(finite(), width), 0_u32..5, split(), vec(finite(), targets)), count).prop_map(|nodes| {
            let named = nodes.into_iter().enumerate().map(|(number, (name, features, label, split, targets))| {
                // One to learn from and one to watch, whatever else there is.
                let split = [Split::Train, Split::Validation].get(number).copied().unwrap_or(split);
                SceneNode { name: format!("{name}{number}"), kind: None, features, label, split, targets }
            });
            named.collect()
        })
    })
}

fn graph() -> impl Strategy<Value = GraphSource> {
    let edges =
        (0_usize..3).prop_flat_map(|width| vec((any::<Index>(), any::<Index>(), finite(), vec(finite(), width)), 0..8));
    (nodes(), edges, any::<bool>()).prop_map(|(nodes, edges, undirected)| {
        let name = |index: Index| index.get(&nodes).name.clone();
        let named = |(source, target, weight, features)| SceneEdge {
            source: name(source),
            target: name(target),
            relation: None,
            weight,
            features,
            label: 0,
            targets: Vec::new(),
            split: Split::Unused,
        };
        GraphSource::Inline { edges: edges.into_iter().map(named).collect(), nodes, undirected }
    })
}

fn scene() -> impl Strategy<Value = SceneFile> {
    use NodeFeatures::{Degree, Given, Identity, Ones};
    let scaling = select(vec![Given, Identity, Degree, Ones]);
    let order = select(vec![NodeOrder::Given, NodeOrder::Degree, NodeOrder::ReverseCuthillMcKee]);
    let heads = (any::<bool>(), any::<bool>());
    let mixed = option::of((1_usize..3, 0_usize..3, positive()));
    let layers = (vec(layer(), 0..6), mixed);
    (".*", graph(), (scaling, order), layers, heads, optimizer(), training()).prop_map(
        |(name, graph, (features, order), (mut model, mixed), (is_default, has_heads), optimizer, training)| {
            let classes = match &graph {
                GraphSource::Inline { nodes, .. } => nodes.iter().map(|node| node.label + 1).max().unwrap_or(1),
                _ => 1,
            };
            let targets = match &graph {
                GraphSource::Inline { nodes, .. } => nodes.first().map_or(0, |node| node.targets.len()),
                _ => 0,
            };
            let regression = Task::NodeRegression(Regression { loss: Loss::Huber { delta: 0.5 } });
            let (task, width) = match targets {
                0 => (Task::NodeClassification, classes as usize),
                targets => (regression, targets),
            };
            let last = with_width("GcnConv", width, None);
            let (mut task, mut heads) = (Some(task).filter(|_| !is_default || targets > 0), Vec::new());
            match has_heads {
                true => heads.push(HeadDescription {
                    name: "one".to_owned(),
                    nodes: Vec::new(),
                    layers: vec![last],
                    task: task.take().unwrap_or_default(),
                    weight: 0.25,
                    class_weights: if classes == 1 && targets == 0 { vec![2.0] } else { Vec::new() },
                }),
                false => model.push(last),
            }
            // Experts in place of the layers before the last.
            let mixture = mixed.filter(|_| model.len() > 1 && !has_heads).map(|(count, top_k, noise)| {
                let layers = model.drain(..model.len() - 1).collect();
                let gate = if top_k == 0 { Gate::Softmax } else { Gate::TopK(top_k.min(count)) };
                MixtureDescription {
                    experts: vec![ExpertDescription { layers, count }],
                    gate,
                    gate_layers: vec![with_width("Linear", 3, None)],
                    losses: GateLosses { balance: noise, ..GateLosses::default() },
                    noise,
                    competition: None,
                    mixing: if count > 1 { Mixing::Probabilities } else { Mixing::Values },
                }
            });
            SceneFile {
                name,
                graph,
                features,
                order,
                kind: None,
                nodes: Default::default(),
                relations: Vec::new(),
                mixture,
                model,
                task,
                heads,
                optimizer,
                training,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn scenes_read_back_equal(scene in scene()) {
        let text = scene.to_ron().expect("the scene is written");
        match SceneFile::parse(&text, "x.ron") {
            Ok(read) => prop_assert_eq!(read, scene),
            Err(error) => prop_assert!(false, "{error}\n{text}"),
        }
    }

    #[test]
    fn undirected_edges_go_both_ways(scene in scene()) {
        let data = scene.read_graph("").expect("the scene is valid");
        if let GraphSource::Inline { edges, undirected, .. } = &scene.graph {
            let loops = edges.iter().filter(|edge| edge.source == edge.target).count();
            let expected = if *undirected { 2 * edges.len() - loops } else { edges.len() };
            prop_assert_eq!(data.edges.len(), expected);
            let rows = data.edge_features.map_or(expected, |rows| rows.values.len() / rows.width);
            prop_assert_eq!(rows, expected);
        }
    }
}
