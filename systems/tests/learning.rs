//! Nothing learns in silence: what keeps a step from being applied is an error of `run` that says where, and the model keeps its
//! last finite numbers.

use crate::common;

use bevy_ecs::entity::Entity;
use common::{Scene, numbers, parameter_gradients};
use connectome_components::{
    ClassLabel, Field, GradientAccumulation, GraphNode, Loss, Model, Optimizer, Parameter, Split, TrainingState,
    attach_fields,
};
use connectome_systems::{
    Evaluate, Head, LearningError, ModelBuilder, Train, Workers,
    kernels::Activation,
    layers::{BatchNorm, BuildError, Linear},
    run,
};

const NODES: usize = 8;

/// Nodes with three classes, all of them to learn from, and a model with running statistics.
fn scene(optimizer: Optimizer, change: impl Fn(ModelBuilder) -> ModelBuilder) -> (Scene, Entity, Field) {
    let mut scene = Scene::new(NODES, &[]);
    let input = scene.field("input", &numbers(5, 0, (NODES, 4))).unwrap();
    for (number, node) in scene.nodes.iter().enumerate() {
        scene.world.entity_mut(*node).insert((ClassLabel(number as u32 % 3), Split::Train));
    }
    let model = ModelBuilder::new(scene.graph).name("rabbits").input(input);
    let model = change(model.layer(Linear::new(6)).layer(BatchNorm::default()).layer(Activation::Tanh));
    let model = model.optimizer(optimizer).build(&mut scene.world).unwrap();
    (scene, model, input)
}

fn classes(model: ModelBuilder) -> ModelBuilder {
    model.head(Head::new("species").layer(Linear::new(3)))
}

/// All that training changes: parameters, buffers and moments.
fn state(scene: &Scene, model: Entity) -> Vec<u32> {
    let parameters = &scene.world.get::<Model>(model).unwrap().parameters;
    let fields = parameters.iter().flat_map(|entity| {
        let parameter = scene.world.get::<Parameter>(*entity).unwrap();
        [Some(parameter.value), parameter.moments].into_iter().flatten()
    });
    fields.flat_map(|field| field.matrix(&scene.world).row(0)).map(|number| number.to_bits()).collect()
}

fn train(scene: &mut Scene, model: Entity) -> Result<(), LearningError> {
    match run(&mut scene.world, Train(model)) {
        Ok(()) => Ok(()),
        Err(BuildError::Learning(error)) => Err(error),
        Err(error) => panic!("{error}"),
    }
}

fn message(error: LearningError) -> String {
    error.to_string()
}

#[test]
fn without_a_row_to_learn_from_training_is_an_error_and_moves_nothing() {
    let (mut scene, model, _) = scene(Optimizer::adam(0.1), classes);
    train(&mut scene, model).unwrap();
    scene.nodes.iter().for_each(|node| {
        scene.world.entity_mut(*node).insert(Split::Test);
    });
    let before = state(&scene, model);
    let error = message(train(&mut scene, model).unwrap_err());
    assert_eq!(
        error,
        "model `rabbits` has no training rows for its head `species`; give rows with targets the `Split::Train`, and a row weight and a class weight above 0 if they have weights"
    );
    assert_eq!(state(&scene, model), before);
    run(&mut scene.world, Evaluate(model)).unwrap();
}

#[test]
fn the_head_without_rows_is_named() {
    let (mut scene, model, _) = scene(Optimizer::adam(0.1), |model| {
        let masked = Head::new("age").layer(Linear::new(1)).loss(Loss::MeanSquaredError);
        classes(model).head(masked)
    });
    let nodes = scene.world.register_component::<GraphNode>();
    attach_fields(&mut scene.world, nodes);
    train(&mut scene, model).unwrap();
    scene.nodes.iter().for_each(|node| {
        scene.world.entity_mut(*node).insert(Split::Unused);
    });
    assert!(matches!(train(&mut scene, model), Err(LearningError::NoRows { head, .. }) if head == "species"));
}

#[test]
fn a_label_that_is_no_class_is_an_error_that_names_its_entity() {
    let (mut scene, model, _) = scene(Optimizer::sgd(0.1), classes);
    let before = state(&scene, model);
    let node = scene.nodes[5];
    scene.world.entity_mut(node).insert(ClassLabel(3));
    let error = message(train(&mut scene, model).unwrap_err());
    let expected = format!(
        "model `rabbits` cannot learn the label 3 of {node} for its head `species`, which has 3 classes; use labels from 0 to 2, or widen the head"
    );
    assert_eq!(error, expected);
    assert_eq!(state(&scene, model), before);
    let evaluated = run(&mut scene.world, Evaluate(model)).unwrap_err().to_string();
    assert_eq!(evaluated, expected);
    scene.world.entity_mut(node).insert(ClassLabel(2));
    train(&mut scene, model).unwrap();
    assert_ne!(state(&scene, model), before, "learning goes on");
}

#[test]
fn a_loss_that_is_not_finite_leaves_parameters_moments_and_buffers_as_they_were() {
    for number in [f32::NAN, f32::INFINITY] {
        for clip in [false, true] {
            let (mut scene, model, input) =
                scene(Optimizer::adam(0.1), |model| classes(if clip { model.clip_norm(1.0) } else { model }));
            train(&mut scene, model).unwrap();
            let before = state(&scene, model);
            let kept = input.get(&scene.world, scene.nodes[2]).unwrap().to_vec();
            input.set(&mut scene.world, scene.nodes[2], &[number; 4]).unwrap();
            let error = train(&mut scene, model).unwrap_err();
            assert!(
                matches!(&error, LearningError::Loss { model, head, .. } if model == "rabbits" && head == "species")
            );
            assert!(message(error).contains("; lower the learning rate"));
            assert_eq!(state(&scene, model), before, "{number}");
            input.set(&mut scene.world, scene.nodes[2], &kept).unwrap();
            train(&mut scene, model).unwrap();
            assert_ne!(state(&scene, model), before, "learning goes on");
        }
    }
}

#[test]
fn the_row_whose_loss_is_not_finite_is_named() {
    let (mut scene, model, _) =
        scene(Optimizer::sgd(0.1), |model| model.layer(Linear::new(1)).loss(Loss::MeanSquaredError));
    let nodes = scene.world.register_component::<GraphNode>();
    attach_fields(&mut scene.world, nodes);
    let targets = scene.world.get::<Model>(model).unwrap().targets.unwrap();
    let node = scene.nodes[3];
    targets.set(&mut scene.world, node, &[f32::INFINITY]).unwrap();
    assert!(matches!(train(&mut scene, model), Err(LearningError::Loss { entity, .. }) if entity == node));
}

#[test]
fn a_gradient_from_outside_that_is_not_finite_is_an_error() {
    let (mut scene, model, _) = scene(Optimizer::sgd(0.1), |model| model.layer(Linear::new(3)).external_gradient());
    let nodes = scene.world.register_component::<GraphNode>();
    attach_fields(&mut scene.world, nodes);
    let before = state(&scene, model);
    let gradient = scene.world.get::<Model>(model).unwrap().output_gradient.unwrap();
    common::seed_cotangent(&mut scene.world, model, &(f64::NAN * numbers(0, 0, (NODES, gradient.width())))).unwrap();
    let error = train(&mut scene, model).unwrap_err();
    assert!(matches!(&error, LearningError::Gradient { parameter, .. } if parameter.starts_with("layers.")), "{error}");
    assert_eq!(state(&scene, model), before);
}

#[test]
fn a_step_that_leads_out_of_the_numbers_is_not_applied() {
    let steep = Optimizer::Sgd { learning_rate: 3e38, momentum: 0.0, nesterov: false, weight_decay: 1e10 };
    let (mut scene, model, _) = scene(steep, classes);
    let before = state(&scene, model);
    let error = train(&mut scene, model).unwrap_err();
    assert!(matches!(error, LearningError::Step { .. }), "{error}");
    assert_eq!(state(&scene, model), before);
    assert!(!parameter_gradients(&scene, model).unwrap().is_empty());
}

#[test]
fn a_fault_in_one_of_several_passes_begins_the_step_anew() {
    let (mut scene, model, input) = scene(Optimizer::sgd(0.1), |model| classes(model.accumulate_gradients(3)));
    let before = state(&scene, model);
    train(&mut scene, model).unwrap();
    let kept = input.get(&scene.world, scene.nodes[2]).unwrap().to_vec();
    input.set(&mut scene.world, scene.nodes[2], &[f32::NAN; 4]).unwrap();
    train(&mut scene, model).unwrap_err();
    assert_eq!(scene.world.get::<GradientAccumulation>(model).unwrap().terms, 0.0);
    assert_eq!(scene.world.get::<TrainingState>(model).unwrap().micro_batch, 0);
    input.set(&mut scene.world, scene.nodes[2], &kept).unwrap();
    (0..3).for_each(|_| train(&mut scene, model).unwrap());
    let after = state(&scene, model);
    assert!(after != before && after.iter().all(|bits| f32::from_bits(*bits).is_finite()));
}

#[test]
fn a_row_weight_below_zero_is_an_error_that_names_its_entity() {
    let (mut scene, _, input) = scene(Optimizer::sgd(0.1), classes);
    let nodes = scene.world.register_component::<GraphNode>();
    let weights = Field::register(&mut scene.world, "row weight", nodes, 1).unwrap();
    let head = Head::new("species").layer(Linear::new(3)).row_weights(weights);
    let model = ModelBuilder::new(scene.graph).input(input).head(head);
    let model = model.optimizer(Optimizer::sgd(0.1)).build(&mut scene.world).unwrap();
    attach_fields(&mut scene.world, nodes);
    for (node, weight) in scene.nodes.clone().into_iter().zip([1.0, 1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0]) {
        weights.set(&mut scene.world, node, &[weight]).unwrap();
    }
    let node = scene.nodes[2];
    assert!(matches!(train(&mut scene, model), Err(LearningError::RowWeight { entity, .. }) if entity == node));
}

#[test]
fn any_number_of_workers_finds_the_same_fault() {
    let fault = |workers| {
        let (mut scene, model, input) = scene(Optimizer::sgd(0.1), |model| model.layer(Linear::new(3)));
        scene.world.insert_resource(Workers::new(workers).unwrap());
        input.set(&mut scene.world, scene.nodes[4], &[f32::NAN; 4]).unwrap();
        train(&mut scene, model).unwrap_err().to_string()
    };
    assert_eq!(fault(1), fault(3));
}
