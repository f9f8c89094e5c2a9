//! What happens to gradients before a step: several passes make one, and long gradients are shortened.

use crate::common;

use bevy_ecs::{entity::Entity, world::World};
use common::{Matrices, STANDSTILL, Scene, numbers, parameter_gradients, relative_error};
use connectome_components::{
    ClassLabel, GradientAccumulation, GradientClipping, Metrics, Model, Optimizer, Parameter, Split, TrainingState,
    attach_fields,
};
use connectome_systems::{
    ModelBuilder, Train, Workers,
    kernels::Activation,
    layers::{BuildError, Dropout, Linear},
    run,
};
use ndarray::Array2;

const NODES: usize = 60;

/// A network of two layers over some labeled nodes, all of them for training.
fn scene(optimizer: Optimizer, hidden: usize, change: impl Fn(ModelBuilder) -> ModelBuilder) -> (Scene, Entity) {
    let mut scene = Scene::new(NODES, &[]);
    let input = scene.field("input", &numbers(5, 0, (NODES, 300))).unwrap();
    for (number, node) in scene.nodes.iter().enumerate() {
        scene.world.entity_mut(*node).insert((ClassLabel(number as u32 % 7), Split::Train));
    }
    let model = ModelBuilder::new(scene.graph).input(input).seed(9).layer(Linear::new(hidden)).layer(Activation::Tanh);
    let model = change(model.layer(Linear::new(7))).optimizer(optimizer);
    let model = model.build(&mut scene.world).unwrap();
    (scene, model)
}

fn train_on(scene: &mut Scene, model: Entity, chosen: impl Fn(usize) -> bool) {
    try_train_on(scene, model, chosen).unwrap();
}

fn try_train_on(scene: &mut Scene, model: Entity, chosen: impl Fn(usize) -> bool) -> Result<(), BuildError> {
    for (number, node) in scene.nodes.iter().enumerate() {
        let split = if chosen(number) { Split::Train } else { Split::Unused };
        scene.world.entity_mut(*node).insert(split);
    }
    run(&mut scene.world, Train(model))
}

/// The value, or another field, of every parameter.
fn bits(world: &World, model: Entity, gradients: bool) -> Vec<u32> {
    let parameters = &world.get::<Model>(model).unwrap().parameters;
    let numbers = parameters.iter().flat_map(|entity| {
        let parameter = world.get::<Parameter>(*entity).unwrap();
        let field = if gradients { parameter.gradient.unwrap() } else { parameter.value };
        field.get(world, *entity).unwrap()
    });
    numbers.map(|number| number.to_bits()).collect()
}

fn as_matrix(bits: &[u32]) -> Array2<f64> {
    Array2::from_shape_fn((1, bits.len()), |(_, place)| f64::from(f32::from_bits(bits[place])))
}

fn momentum(learning_rate: f32) -> Optimizer {
    Optimizer::Sgd { learning_rate, momentum: 0.9, nesterov: false, weight_decay: 0.01 }
}

/// Nodes of four micro-batches, of 1, 0, 20 and 39 nodes.
fn part_of(node: usize) -> usize {
    match node {
        0 => 0,
        1..=20 => 2,
        _ => 3,
    }
}

#[test]
fn four_micro_batches_are_one_large_batch() {
    for optimizer in [momentum(0.3), Optimizer::adam(0.01)] {
        let (mut whole, large) = scene(optimizer, 16, |model| model);
        let (mut parts, small) = scene(optimizer, 16, |model| model.accumulate_gradients(4));
        for step in 1..=5 {
            train_on(&mut whole, large, |_| true);
            for part in 0..4 {
                let state = *parts.world.get::<TrainingState>(small).unwrap();
                assert_eq!((state.step, state.micro_batch), (step - 1, part));
                let before = bits(&parts.world, small, false);
                train_on(&mut parts, small, |node| part_of(node) == part as usize);
                assert_eq!(bits(&parts.world, small, false) == before, part < 3, "only the last pass moves weights");
            }
            let error = |gradients| {
                let [found, expected] = [(&parts, small), (&whole, large)]
                    .map(|(scene, model)| as_matrix(&bits(&scene.world, model, gradients)));
                relative_error(&found, &expected, 0.0)
            };
            assert!(step > 1 || error(true) < 1e-6, "{optimizer:?}: the gradient is off by {:e}", error(true));
            // Adam divides gradients by their size, so the last bits of one that hardly matters move its weight visibly.
            let tolerance = if matches!(optimizer, Optimizer::Adam { .. }) { 1e-4 } else { 1e-6 };
            assert!(error(true) < tolerance, "{optimizer:?}, step {step}: gradients are off by {:e}", error(true));
            assert!(error(false) < tolerance, "{optimizer:?}, step {step}: weights are off by {:e}", error(false));
        }
        assert_eq!(parts.world.get::<GradientAccumulation>(small).unwrap().terms, 0.0);
    }
}

#[test]
fn a_single_micro_batch_is_a_step_to_the_bit() {
    for micro_batches in [0, 1] {
        let dropped = |model: ModelBuilder| model.layer(Dropout(0.5));
        let (mut plain, one) = scene(momentum(0.3), 8, dropped);
        let (mut accumulated, other) =
            scene(momentum(0.3), 8, |model| dropped(model).accumulate_gradients(micro_batches));
        for _ in 0..4 {
            train_on(&mut plain, one, |node| node % 3 == 0);
            train_on(&mut accumulated, other, |node| node % 3 == 0);
        }
        assert_eq!(bits(&plain.world, one, false), bits(&accumulated.world, other, false));
        assert_eq!(plain.world.get::<TrainingState>(one), accumulated.world.get::<TrainingState>(other));
    }
}

#[test]
fn micro_batches_without_training_nodes_move_nothing_and_a_step_of_them_is_an_error() {
    let optimizer = Optimizer::sgd(1.0);
    let (mut scene, model) = scene(optimizer, 4, |model| model.accumulate_gradients(2));
    let before = bits(&scene.world, model, false);
    let passes = [0; 4].map(|_| try_train_on(&mut scene, model, |_| false).is_ok());
    assert_eq!(passes, [true, false, true, false]);
    assert_eq!(bits(&scene.world, model, false), before);
    assert!(scene.world.get::<Metrics>(model).unwrap().of(Split::Train).loss().is_nan());
}

#[test]
fn every_pass_has_random_numbers_of_its_own() {
    let mut passes: Vec<u64> = (0..20)
        .flat_map(|step| (0..5).map(move |micro_batch| TrainingState { seed: 0, step, micro_batch }.micro_step()))
        .collect();
    assert_eq!(TrainingState { seed: 3, step: 77, micro_batch: 0 }.micro_step(), 77);
    passes.sort_unstable();
    passes.dedup();
    assert_eq!(passes.len(), 100);
}

#[test]
fn passes_weigh_alike_where_the_gradient_comes_from_outside() {
    let mut scene = Scene::new(3, &[]);
    let input = scene.field("input", &numbers(1, 0, (3, 2))).unwrap();
    let model = ModelBuilder::new(scene.graph).input(input).layer(Linear::new(2)).external_gradient();
    let model = model.optimizer(STANDSTILL).accumulate_gradients(2).build(&mut scene.world).unwrap();
    let cotangent = scene.world.get::<Model>(model).unwrap().output_gradient.unwrap();
    attach_fields(&mut scene.world, cotangent.domain());
    let mut pass = |slope: f32| -> Matrices {
        for node in &scene.nodes {
            cotangent.set(&mut scene.world, *node, &[slope, 2.0 * slope]).unwrap();
        }
        run(&mut scene.world, Train(model)).unwrap();
        parameter_gradients(&scene, model).unwrap()
    };
    pass(1.0);
    let mean = pass(5.0);
    assert_eq!(mean["bias"], ndarray::array![[9.0, 18.0]]);
}

#[test]
fn long_gradients_are_shortened_and_short_ones_left_alone() {
    for (norm, is_long) in [(0.05, true), (50.0, false)] {
        let (mut plain, reference) = scene(Optimizer::sgd(1.0), 128, |model| model);
        let (mut clipped, model) = scene(Optimizer::sgd(1.0), 128, |model| model.clip_norm(norm));
        let start = as_matrix(&bits(&plain.world, reference, false));
        train_on(&mut plain, reference, |_| true);
        train_on(&mut clipped, model, |_| true);
        let gradient = as_matrix(&bits(&clipped.world, model, true));
        assert_eq!(gradient, as_matrix(&bits(&plain.world, reference, true)), "the field is left as it is");
        let total = gradient.iter().map(|number| number * number).sum::<f64>().sqrt();
        let measured = clipped.world.get::<GradientClipping>(model).unwrap().measured;
        assert!((measured / total - 1.0).abs() < 1e-12, "{measured} and not {total}");
        assert_eq!(total > f64::from(norm), is_long, "the test tests nothing: {total}");
        let scale = (f64::from(norm) / (total + 1e-6)).min(1.0);
        let expected = start - scale * gradient;
        let found = bits(&clipped.world, model, false);
        let error = relative_error(&as_matrix(&found), &expected, 0.0);
        assert!(error < 1e-6, "weights are off by {error:e}");
        assert_eq!(found == bits(&plain.world, reference, false), !is_long);
    }
}

#[test]
fn a_gradient_without_direction_moves_nothing_when_clipped() {
    for number in [f32::NAN, f32::INFINITY] {
        let (mut scene, model) = scene(momentum(0.1), 4, |model| model.clip_norm(1.0));
        let input = scene.world.get::<Model>(model).unwrap().input.values();
        train_on(&mut scene, model, |_| true);
        let before = bits(&scene.world, model, false);
        let kept = input.get(&scene.world, scene.nodes[0]).unwrap().to_vec();
        input.set(&mut scene.world, scene.nodes[0], &[number; 300]).unwrap();
        assert!(try_train_on(&mut scene, model, |_| true).is_err());
        assert_eq!(bits(&scene.world, model, false), before, "{number}");
        assert!(!scene.world.get::<GradientClipping>(model).unwrap().measured.is_finite());
        input.set(&mut scene.world, scene.nodes[0], &kept).unwrap();
        train_on(&mut scene, model, |_| true);
        assert_ne!(bits(&scene.world, model, false), before, "{number}: learning goes on");
        assert!(scene.world.get::<Metrics>(model).unwrap().of(Split::Train).loss().is_finite());
        assert_eq!(scene.world.get::<TrainingState>(model).unwrap().step, 3);
    }
}

#[test]
fn any_number_of_workers_gives_the_same_bits() {
    let trace = |workers: usize| {
        let (mut scene, model) =
            scene(Optimizer::adam(0.01), 128, |model| model.accumulate_gradients(3).clip_norm(0.02));
        scene.world.insert_resource(Workers::new(workers).unwrap());
        let passes = (0..9).map(|pass| {
            train_on(&mut scene, model, |node| node % 4 == pass % 4);
            let measured = scene.world.get::<GradientClipping>(model).unwrap().measured;
            (bits(&scene.world, model, false), bits(&scene.world, model, true), measured.to_bits())
        });
        passes.collect::<Vec<_>>()
    };
    let one = trace(1);
    for workers in [2, 3, 8] {
        assert!(trace(workers) == one, "{workers} workers give other bits than one");
    }
}
