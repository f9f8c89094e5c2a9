//! The state of a model that learns is whole: restored into a new model after any pass, it makes the passes that follow those of
//! the first model, bit for bit.
//!
//! A failure names the pass after which the states differ, or the component of which nobody has said whether it is state.

use crate::common;

use bevy_ecs::entity::Entity;
use common::{Link, Scene, numbers};
use connectome_components::{ClassLabel, LearningRateSchedule, Model, Optimizer, Split};
use connectome_systems::{
    Head, ModelBuilder, ModelState, Train,
    kernels::Activation,
    layers::{BatchNorm, Dropout, GcnConv, Linear},
    run,
};

const NODES: usize = 30;
const PASSES: usize = 11;

/// All that has a state: accumulated gradients, running statistics, dropout, a schedule, clipping, two heads.
fn scene(optimizer: Optimizer, width: usize) -> (Scene, Entity) {
    let link = |source| Link { source, target: (source + 1) % NODES, weight: None };
    let mut scene = Scene::new(NODES, &(0..NODES).map(link).collect::<Vec<_>>());
    let input = scene.field("input", &numbers(1, 0, (NODES, 4))).unwrap();
    for (number, node) in scene.nodes.iter().enumerate() {
        scene.world.entity_mut(*node).insert((ClassLabel((number % 3) as u32), Split::Train));
    }
    let model = ModelBuilder::new(scene.graph)
        .input(input)
        .seed(3)
        .layer(GcnConv::new(width))
        .layer(BatchNorm::default())
        .layer(Activation::Relu)
        .layer(Dropout(0.3))
        .head(Head::new("species").layer(Linear::new(3)))
        .head(Head::new("other").layer(Linear::new(3)))
        .accumulate_gradients(3)
        .clip_norm(0.5)
        .learning_rate_schedule(LearningRateSchedule::Step { every: 2, factor: 0.5 })
        .optimizer(optimizer);
    let model = model.build(&mut scene.world).unwrap();
    (scene, model)
}

fn train((scene, model): &mut (Scene, Entity), passes: usize) -> ModelState {
    (0..passes).for_each(|_| run(&mut scene.world, Train(*model)).unwrap());
    ModelState::of(&scene.world, *model).unwrap()
}

fn optimizers() -> [Optimizer; 4] {
    let (learning_rate, weight_decay) = (0.05, 1e-3);
    [
        Optimizer::Sgd { learning_rate, momentum: 0.9, nesterov: true, weight_decay },
        Optimizer::Adam { learning_rate, betas: (0.9, 0.99), epsilon: 1e-8, amsgrad: true, weight_decay },
        Optimizer::AdamW { learning_rate, betas: (0.9, 0.99), epsilon: 1e-8, weight_decay },
        Optimizer::RmsProp { learning_rate, decay: 0.9, epsilon: 1e-8, weight_decay },
    ]
}

#[test]
fn after_any_pass_a_restored_model_goes_on_with_the_same_bits() {
    for optimizer in optimizers() {
        let whole = train(&mut scene(optimizer, 5), PASSES);
        assert_eq!((whole.training.step, whole.training.micro_batch), (3, 2), "gradients are left over");
        assert!(whole.parameters.iter().any(|parameter| parameter.accumulated.iter().any(|sum| *sum != 0.0)));
        assert!(whole.accumulated_terms > 0.0);
        for passes in 0..=PASSES {
            let state = train(&mut scene(optimizer, 5), passes);
            let mut resumed = scene(optimizer, 5);
            // What the model had learned before is overwritten.
            train(&mut resumed, 4);
            state.restore(&mut resumed.0.world, resumed.1).unwrap();
            assert!(train(&mut resumed, 0) == state, "after {passes} passes the state is not restored");
            assert!(train(&mut resumed, PASSES - passes) == whole, "resumed after {passes} passes, the state differs");
        }
    }
}

/// Components of models and parameters: those that are state, settings that a model is built with, and what each step computes
/// anew. One that is missing here may have been forgotten in `ModelState`.
#[test]
fn every_component_is_known_to_be_state_or_not() {
    const STATE: [&str; 4] = ["TrainingState", "GradientAccumulation", "Moments", "Parameter"];
    const SETTINGS: [&str; 7] =
        ["Name", "Model", "ModelMarker", "Plans", "Optimizer", "LearningRateSchedule", "GradientClipping"];
    const COMPUTED: [&str; 3] = ["Metrics", "LearningFault", "BufferCopies"];
    let mut scene = scene(optimizers()[1], 5);
    train(&mut scene, 4);
    let (scene, model) = scene;
    let parameters = scene.world.get::<Model>(model).unwrap().parameters.clone();
    let mut found = Vec::new();
    for entity in parameters.iter().copied().chain([model]) {
        for (_, info) in scene.world.inspect_entity(entity).unwrap() {
            let name = info.name().to_string();
            let name = name.rsplit("::").next().unwrap().to_owned();
            // Fields are those of `Parameter`, and of the values that a step computes.
            if info.type_id().is_some() && !found.contains(&name) {
                found.push(name);
            }
        }
    }
    let known = [&STATE[..], &SETTINGS, &COMPUTED].concat();
    let unknown: Vec<&String> = found.iter().filter(|name| !known.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "{unknown:?}: is it state? Save it in `ModelState`, or name it here");
    assert!(STATE.iter().all(|name| found.iter().any(|found| found == name)), "{found:?}");
}

#[test]
fn the_state_of_another_model_is_refused_and_changes_nothing() {
    let adam = optimizers()[1];
    let state = train(&mut scene(adam, 5), 4);
    let error = |optimizer: Optimizer, width: usize, state: &ModelState| {
        let mut other = scene(optimizer, width);
        let before = train(&mut other, 2);
        let error = state.restore(&mut other.0.world, other.1).unwrap_err().to_string();
        assert!(train(&mut other, 0) == before, "{error}");
        error
    };
    assert!(error(adam, 6, &state).contains("take a state of the same widths"), "{}", error(adam, 6, &state));
    assert!(error(Optimizer::sgd(0.1), 5, &state).contains("take a state of the same widths and optimizer"));
    let mut renamed = state.clone();
    renamed.parameters[0].name = "layers.9.weight".to_owned();
    assert!(error(adam, 5, &renamed).contains("layers.9.weight"));
    renamed.parameters.pop();
    assert!(error(adam, 5, &renamed).contains("parameters, but it has"));
    let (scene, _) = scene(adam, 5);
    assert!(ModelState::of(&scene.world, scene.graph).is_err());
}
