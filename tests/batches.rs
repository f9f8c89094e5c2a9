//! Learning batch by batch through the trainer: summed gradients, sampled neighbors, and epochs of so many steps.
//!
//! A failure shows the numbers that should have been near each other.

use connectome::{
    Trainer,
    components::{Optimizer, Split, TrainingState},
    data::GraphData,
    output::Tensor,
    scene::{EpochSchedule, HeadDescription, LayerDescription, SceneFile, Selection},
    systems::{
        Workers,
        layers::{Dropout, GinConv, Linear, Mlp, PnaConv, Readout, Residual, SageConv},
    },
    task::Task,
};

fn trainer(scene: &SceneFile, data: &GraphData) -> Trainer {
    Trainer::new(scene, data, 7, Workers::new(2).unwrap()).unwrap()
}

fn train_loss(trainer: &mut Trainer) -> f64 {
    trainer.epoch().unwrap().get(Split::Train, "loss").unwrap()
}

fn steps(trainer: &mut Trainer) -> u64 {
    let model = trainer.entities().model;
    trainer.world().get::<TrainingState>(model).unwrap().step
}

/// The largest difference between two weights, each over the largest weight of its parameter.
fn difference(found: &[Tensor], expected: &[Tensor]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(found, expected)| {
        let scale = expected.values.iter().fold(1e-3_f32, |largest, value| largest.max(value.abs()));
        let pairs = found.values.iter().zip(&expected.values);
        pairs.fold(0.0_f32, |worst, (found, expected)| worst.max((found - expected).abs() / scale))
    });
    worst.fold(0.0, f32::max)
}

/// MUTAG, and a model whose numbers for a graph do not depend on the other graphs of its batch.
fn mutag() -> (SceneFile, GraphData) {
    let (mut scene, data) = SceneFile::load("assets/mutag.ron").unwrap();
    let convolution = || LayerDescription::GinConv(GinConv::new(Mlp::new([16, 16])));
    scene.model = vec![
        convolution(),
        LayerDescription::Relu,
        convolution(),
        LayerDescription::Readout(Readout::Mean),
        LayerDescription::Linear(Linear::new(2)),
    ];
    scene.optimizer = Optimizer::sgd(0.01);
    scene.training.steps_per_epoch = None;
    (scene, data)
}

#[test]
fn four_batches_whose_gradients_are_summed_up_are_one_of_four_times_the_size() {
    let (mut scene, data) = mutag();
    let mut epoch = |batch, accumulate| {
        (scene.training.batch_size, scene.training.accumulation_steps) = (Some(batch), accumulate);
        let mut trainer = trainer(&scene, &data);
        let loss = train_loss(&mut trainer);
        (steps(&mut trainer), loss, trainer.weights())
    };
    let (at_once, summed, small) = (epoch(128, 1), epoch(32, 4), epoch(32, 1));
    // 150 graphs: 128 and the 22 that are left, for an epoch ends in a step.
    assert_eq!((at_once.0, summed.0), (2, 2));
    let loss = (summed.1 - at_once.1).abs() / at_once.1;
    let weights = difference(&summed.2, &at_once.2);
    println!("losses differ by {loss:.1e}, weights by {weights:.1e}");
    assert!(loss < 1e-6, "the loss is {}, and {} at once", summed.1, at_once.1);
    assert!(weights < 1e-6, "weights differ by {weights}");
    // The comparison tells: without summing it comes out otherwise.
    assert!(difference(&small.2, &at_once.2) > 1e-4);
}

#[test]
fn an_epoch_has_as_many_steps_as_are_asked_for() {
    let (mut scene, data) = mutag();
    // More graphs in a batch than there are to learn from are all of them.
    for (batch, expected) in [(32, 7), (100, 7), (1000, 7)] {
        (scene.training.batch_size, scene.training.steps_per_epoch) = (Some(batch), Some(7));
        let mut trainer = trainer(&scene, &data);
        trainer.epoch().unwrap();
        assert_eq!(steps(&mut trainer), expected, "batches of {batch}");
    }
}

#[test]
fn schedules_of_scenes_count_epochs_however_many_steps_an_epoch_has() {
    let (mut scene, data) = mutag();
    scene.training.schedule = EpochSchedule::Step { every: 2, factor: 0.5 };
    // All graphs at once, several batches, sums of several batches, and an epoch of another length.
    for (batch, steps, accumulation) in
        [(None, None, 1), (Some(32), None, 1), (Some(32), None, 2), (Some(32), Some(7), 3)]
    {
        (scene.training.batch_size, scene.training.steps_per_epoch) = (batch, steps);
        scene.training.accumulation_steps = accumulation;
        let mut trainer = trainer(&scene, &data);
        let rates: Vec<f32> = (0..6).map(|_| trainer.epoch().unwrap().learning_rate).collect();
        assert_eq!(rates, [0.01, 0.01, 0.005, 0.005, 0.0025, 0.0025], "{batch:?}, {steps:?}, {accumulation}");
    }
}

/// The mean of `ln(d + 1)` over some nodes.
fn mean_log_degree(data: &GraphData, nodes: impl Iterator<Item = usize>) -> f32 {
    let mut degrees = vec![0.0_f64; data.nodes];
    data.edges.iter().for_each(|[_, target]| degrees[*target as usize] += 1.0);
    let logarithms: Vec<f64> = nodes.map(|node| degrees[node].ln_1p()).collect();
    (logarithms.iter().sum::<f64>() / logarithms.len() as f64) as f32
}

/// The degrees with which those of a node are compared are those of all training graphs: neither of the first batch alone, nor of
/// graphs that are only evaluated; nor of neighbors that are sampled.
#[test]
fn degrees_are_those_of_the_training_data() {
    let found = |trainer: &Trainer| {
        let weights = trainer.weights();
        let degree = weights.iter().find(|tensor| tensor.name.ends_with("aggr_module.avg_deg_log"));
        degree.expect("the layer has it").values[0]
    };
    let convolution =
        |width| LayerDescription::Residual(Residual::new([LayerDescription::PnaConv(PnaConv::new(width))]));
    let (mut scene, data) = mutag();
    scene.model = vec![
        LayerDescription::Linear(Linear::new(4)),
        convolution(4),
        LayerDescription::Readout(Readout::Mean),
        LayerDescription::Linear(Linear::new(2)),
    ];
    scene.training.batch_size = Some(8);
    let graphs = data.graphs.as_ref().unwrap();
    let trained = (0..graphs.len()).filter(|graph| graphs.splits[*graph] == Split::Train);
    let expected = mean_log_degree(&data, trained.flat_map(|graph| graphs.nodes(graph)));
    assert!((expected - mean_log_degree(&data, 0..data.nodes)).abs() > 1e-5, "the others have other degrees");
    let mut trainer = trainer(&scene, &data);
    trainer.evaluate().unwrap();
    assert!((found(&trainer) - expected).abs() < 1e-6, "{} instead of {expected}", found(&trainer));
    trainer.epoch().unwrap();
    assert!((found(&trainer) - expected).abs() < 1e-6);

    let (mut scene, data) = cora(None);
    scene.model =
        vec![LayerDescription::Linear(Linear::new(4)), convolution(4), LayerDescription::Linear(Linear::new(7))];
    (scene.training.batch_size, scene.training.fan_outs) = (Some(70), vec![1]);
    let mut trainer = Trainer::new(&scene, &data, 7, Workers::single()).unwrap();
    trainer.epoch().unwrap();
    let expected = mean_log_degree(&data, 0..data.nodes);
    assert!((found(&trainer) - expected).abs() < 1e-6, "{} instead of {expected}", found(&trainer));
}

/// Batches in which all graphs are of a class of weight 0 change nothing, where 0 divided by 0 would spoil all.
#[test]
fn batches_without_a_weight_are_passed_over() {
    let (mut scene, data) = mutag();
    scene.heads = vec![HeadDescription {
        name: "mutagenic".to_owned(),
        nodes: Vec::new(),
        layers: Vec::new(),
        task: Task::GraphClassification,
        weight: 1.0,
        class_weights: vec![0.0, 1.0],
    }];
    scene.task = None;
    scene.training.batch_size = Some(1);
    for accumulation in [1, 2] {
        scene.training.accumulation_steps = accumulation;
        let mut trainer = trainer(&scene, &data);
        let [first, second] = [train_loss(&mut trainer), train_loss(&mut trainer)];
        assert!(second < first, "{first}, then {second}");
        assert!(trainer.weights().iter().all(|tensor| tensor.values.iter().all(|value| value.is_finite())));
    }
}

/// Cora, with layers that take means over neighbors: what they compute is the same in a batch that has all of them.
fn cora(dropout: Option<f32>) -> (SceneFile, GraphData) {
    let (mut scene, data) = SceneFile::load("assets/cora.ron").unwrap();
    let convolution = |width| LayerDescription::SageConv(SageConv::new(width));
    let dropout = || dropout.map(|share| LayerDescription::Dropout(Dropout(share)));
    let hidden = [convolution(16), LayerDescription::Relu];
    scene.model = dropout().into_iter().chain(hidden).chain(dropout()).chain([convolution(7)]).collect();
    (scene, data)
}

#[test]
fn with_all_neighbors_a_step_is_that_of_the_whole_graph() {
    let (mut scene, data) = cora(None);
    scene.optimizer = Optimizer::sgd(1.0);
    let mut train = |neighbors: Vec<usize>| {
        scene.training.fan_outs = neighbors;
        let mut trainer = trainer(&scene, &data);
        let losses: Vec<f64> = (0..5).map(|_| train_loss(&mut trainer)).collect();
        let infer = trainer.infer().unwrap();
        (losses, trainer.weights(), infer)
    };
    let (whole, sampled) = (train(Vec::new()), train(vec![1000, 1000]));
    println!("losses {:?}, of the whole graph {:?}", sampled.0, whole.0);
    for (found, expected) in sampled.0.iter().zip(&whole.0) {
        assert!((found - expected).abs() < 1e-5 * expected, "{:?}, and {:?} at once", sampled.0, whole.0);
    }
    assert!(whole.0[4] < whole.0[0], "nothing was learned: {:?}", whole.0);
    let weights = difference(&sampled.1, &whole.1);
    assert!(weights < 1e-5, "weights differ by {weights}");
    // The output comes in the order of the scene, whichever batches it was computed in.
    let ((found, width), (expected, _)) = (sampled.2, whole.2);
    assert_eq!((width, found.len()), (7, expected.len()));
    let near = found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() < 1e-4);
    assert!(near, "outputs differ");
}

#[test]
fn with_some_neighbors_it_learns_about_as_well() {
    let (mut scene, data) = cora(Some(0.5));
    scene.training.keep = Selection::Last;
    let mut accuracy = |epochs, batch, neighbors: Vec<usize>| {
        scene.training.epochs = epochs;
        (scene.training.batch_size, scene.training.fan_outs) = (batch, neighbors);
        trainer(&scene, &data).train(|_| ()).unwrap().get(Split::Test, "accuracy").unwrap()
    };
    let whole = accuracy(60, None, Vec::new());
    let sampled = accuracy(20, Some(64), vec![10, 10]);
    println!("test accuracy {sampled} with 10 neighbors, {whole} with all");
    assert!(whole > 0.75 && (sampled - whole).abs() < 0.04, "{sampled}, and {whole} with the whole graph");
}

#[test]
fn batches_of_nodes_may_go_on_from_one_shuffling_to_the_next() {
    let (mut scene, data) = cora(None);
    (scene.training.batch_size, scene.training.fan_outs) = (Some(64), vec![3, 3]);
    // 140 nodes to learn from: the third batch takes 12 of one shuffling and 52 of the next, none of them twice.
    scene.training.steps_per_epoch = Some(9);
    let mut trainer = trainer(&scene, &data);
    assert!(train_loss(&mut trainer).is_finite());
    assert_eq!(steps(&mut trainer), 9);
}

#[test]
fn sampling_gives_the_same_bits_for_any_number_of_workers() {
    let (mut scene, data) = cora(Some(0.5));
    (scene.training.batch_size, scene.training.fan_outs) = (Some(64), vec![5, 5]);
    let bits = |workers| {
        let mut trainer = Trainer::new(&scene, &data, 7, Workers::new(workers).unwrap()).unwrap();
        let losses: Vec<u64> = (0..3).map(|_| train_loss(&mut trainer).to_bits()).collect();
        let weights = trainer.weights();
        let weights: Vec<u32> = weights.iter().flat_map(|tensor| &tensor.values).map(|value| value.to_bits()).collect();
        (losses, weights)
    };
    let one = bits(1);
    for workers in [1, 2, 3, 8] {
        assert!(one == bits(workers), "{workers} workers: losses or weights differ");
    }
}
