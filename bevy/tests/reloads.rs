//! Brains whose files are edited while they run.

use bevy_app::App;
use bevy_connectome::{
    BrainBuilt, BrainFailed,
    connectome::{
        components::{FieldPool, Model, Parameter, TrainingState},
        output::write_weights,
        weights,
    },
    prelude::*,
};
use bevy_ecs::{message::Messages, prelude::*};

use crate::common::{
    BRAIN, Doubler, Guess, Own, app, assets, edit, error, set_mode, status, until, until_built, until_refused, world,
};

const FILE: &str = "doubler.brain.ron";

fn model(app: &App) -> Entity {
    app.world().resource::<ActiveBrain<Doubler>>().model
}

/// The numbers of each parameter of the brain, by name.
fn parameters(app: &App) -> Vec<(String, Vec<f32>)> {
    weights(app.world(), model(app)).into_iter().map(|tensor| (tensor.name, tensor.values)).collect()
}

fn guesses(app: &mut App) -> Vec<f32> {
    let mut nodes = app.world_mut().query::<(&Own, &Guess)>();
    nodes.iter(app.world()).map(|(_, guess)| guess.0).collect()
}

#[test]
fn weights_and_moments_are_kept_where_name_and_shape_agree() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    for _ in 0..100 {
        app.update();
    }
    let (before, old) = (parameters(&app), model(&app));
    let steps = app.world().get::<TrainingState>(old).unwrap().step;
    // A step that learns nothing shows the weights as they were taken over.
    edit(&mut app, folder.path(), FILE, BRAIN.replace("0.02", "0.0"));
    // Paused, so that nothing is learned between the edit and its build.
    set_mode(&mut app, BrainMode::Infer);
    until_built(&mut app, 2);
    assert_eq!(parameters(&app), before);
    assert_ne!(model(&app), old);
    assert!(app.world().get_entity(old).is_err());
    assert_eq!(app.world().get::<TrainingState>(model(&app)).unwrap().step, steps);

    // The first layer becomes wider: the bias of the last one is all that fits.
    edit(&mut app, folder.path(), FILE, BRAIN.replace("width: 8", "width: 9"));
    until_built(&mut app, 3);
    let after = parameters(&app);
    for ((name, old), (same, new)) in before.iter().zip(&after) {
        assert_eq!(name, same);
        assert_eq!(old == new, name == "layers.2.bias", "{name}");
    }
}

#[test]
fn a_mistake_leaves_the_brain_alive_and_is_told_once() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    let alive = model(&app);
    let mut failures = app.world().resource::<Messages<BrainFailed>>().get_cursor();
    edit(&mut app, folder.path(), FILE, BRAIN.replace("Tanh", "Tan"));
    let told = until_refused(&mut app);
    let expected = r#"doubler.brain.ron:3:31: there is no layer "Tan"
  help: did you mean "Tanh"?"#;
    assert!(told.starts_with(expected) && told.ends_with('^'), "{told}");
    let messages = app.world().resource::<Messages<BrainFailed>>();
    let failed: Vec<String> = failures.read(messages).map(|failed| failed.error.to_string()).collect();
    assert_eq!(failed, [told]);
    for _ in 0..200 {
        app.update();
    }
    assert_eq!((model(&app), status(&mut app).builds), (alive, 1));
    assert!(status(&mut app).has_run && error(&mut app) < 0.01, "{}", error(&mut app));
    // As it was.
    edit(&mut app, folder.path(), FILE, BRAIN);
    until_built(&mut app, 2);
    assert_eq!(status(&mut app).build_error, None);
}

#[test]
fn what_does_not_fit_the_world_is_shown_in_the_file() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    edit(&mut app, folder.path(), FILE, BRAIN.replace("Linear(width: 1)", "Linear(width: 3)"));
    let error = until_refused(&mut app);
    let expected = "doubler.brain.ron:3:37: Linear outputs rows of width 3, but component `Guess` has width 1\n  help: set the last";
    assert!(error.starts_with(expected), "{error}");
    app.update();
    assert!(status(&mut app).has_run);
}

#[test]
fn a_first_load_that_failed_is_mended() {
    let folder = assets("(model: [Tan])");
    let mut app = app(folder.path());
    assert!(until_refused(&mut app).contains("Tan"));
    assert!(app.world().get_resource::<ActiveBrain<Doubler>>().is_none());
    edit(&mut app, folder.path(), FILE, BRAIN);
    until_built(&mut app, 1);
    assert_eq!(status(&mut app).build_error, None);
    app.update();
    assert!(status(&mut app).has_run);
}

#[test]
fn a_file_that_is_not_there_is_told_and_may_come() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = app(folder.path());
    let error = until_refused(&mut app);
    assert!(error.contains("doubler.brain.ron") && error.contains("check its path"), "{error}");
    edit(&mut app, folder.path(), FILE, BRAIN);
    until_built(&mut app, 1);
}

#[test]
fn weights_are_an_asset() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    for _ in 0..100 {
        app.update();
    }
    let learned = weights(app.world(), model(&app));
    let file = folder.path().join("learned.safetensors");
    write_weights(&file, &learned, Default::default()).unwrap();
    let with_weights = BRAIN.replace("training", "weights: \"learned.safetensors\",\n    training");
    let other = assets(&with_weights);
    std::fs::copy(&file, other.path().join("learned.safetensors")).unwrap();

    let mut app = world(other.path());
    app.add_brain::<Doubler>(FILE, BrainMode::Infer);
    until_built(&mut app, 1);
    assert_eq!(weights(app.world(), model(&app)), learned);
    // An edit of the brain's file keeps what the brain has, and not what the file of weights has.
    let mut changed = learned.clone();
    let bias = app.world().get::<Model>(model(&app)).unwrap().parameters[3];
    let bias = app.world().get::<Parameter>(bias).unwrap().value;
    bias.matrix_mut(app.world_mut()).rows_mut().for_each(|row| row[0] = 7.0);
    changed[3].values = vec![7.0];
    edit(&mut app, other.path(), FILE, with_weights.replace("seed: 1", "seed: 2"));
    until_built(&mut app, 2);
    assert_eq!(weights(app.world(), model(&app)), changed);
    // An edit of the file of weights gives them.
    edit(&mut app, other.path(), "learned.safetensors", std::fs::read(&file).unwrap());
    until_built(&mut app, 3);
    assert_eq!(weights(app.world(), model(&app)), learned);
    // Those of another model are refused, until the brain becomes one that they fit.
    let wide = assets(&BRAIN.replace("width: 8", "width: 9"));
    let mut wider = crate::common::app(wide.path());
    until_built(&mut wider, 1);
    let others = weights(wider.world(), model(&wider));
    write_weights(&file, &others, Default::default()).unwrap();
    edit(&mut app, other.path(), "learned.safetensors", std::fs::read(&file).unwrap());
    let told = until_refused(&mut app);
    assert!(told.starts_with("learned.safetensors: ") && told.contains("layers.0"), "{told}");
    assert_eq!(weights(app.world(), model(&app)), learned);
    edit(&mut app, other.path(), FILE, with_weights.replace("width: 8", "width: 9"));
    until_built(&mut app, 4);
    assert_eq!(weights(app.world(), model(&app)), others);
}

#[test]
fn weights_that_are_not_there_are_told() {
    let folder = assets(&BRAIN.replace("training", "weights: \"learned.safetensors\",\n    training"));
    let mut app = app(folder.path());
    let told = until_refused(&mut app);
    assert!(told.contains("learned.safetensors"), "{told}");
    edit(&mut app, folder.path(), "learned.safetensors", b"no weights");
    until(&mut app, "another error", |app| status(app).build_error != Some(told.clone()));
    let told = status(&mut app).build_error.unwrap();
    assert!(told.contains("learned.safetensors") && told.contains("safetensors"), "{told}");
}

#[test]
fn a_brain_is_added_again_or_despawned() {
    let folder = assets(BRAIN);
    std::fs::write(folder.path().join("other.brain.ron"), BRAIN.replace("seed: 1", "seed: 2")).unwrap();
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    app.update();
    let first = guesses(&mut app);
    app.add_brain::<Doubler>("other.brain.ron", BrainMode::Infer);
    until_built(&mut app, 2);
    let mut built = app.world().resource::<Messages<BrainBuilt>>().get_cursor();
    let messages = app.world().resource::<Messages<BrainBuilt>>();
    let now = model(&app);
    assert!(built.read(messages).any(|built| built.model == now));
    app.update();
    assert_eq!(first.len(), guesses(&mut app).len());
    let brain = app.world().resource::<ActiveBrain<Doubler>>().brain;
    app.world_mut().despawn(brain);
    app.update();
    assert!(app.world().get_resource::<ActiveBrain<Doubler>>().is_none());
    assert!(app.world().get_entity(now).is_err());
    app.add_brain::<Doubler>(FILE, BrainMode::Train);
    until_built(&mut app, 1);
    app.update();
    assert!(status(&mut app).has_run && status(&mut app).tick_error.is_none());
}

#[test]
fn a_model_that_was_removed_is_built_again() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    let lost = model(&app);
    app.world_mut().despawn(lost);
    until_built(&mut app, 2);
    app.update();
    assert!(status(&mut app).has_run);
}

#[test]
fn a_thousand_reloads_leave_nothing_behind() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    let mut assets = app.world_mut().query::<&bevy_connectome::BrainHandle>();
    let handle = assets.single(app.world()).unwrap().0.clone();
    let count = |app: &mut App| {
        let entities = app.world_mut().query::<Entity>().iter(app.world()).count();
        let archetypes = app.world().archetypes().len();
        (entities, app.world().components().len(), archetypes, app.world().resource::<FieldPool>().len())
    };
    let reload = |app: &mut App| {
        // As the asset server does with a file that was edited.
        let mut assets = app.world_mut().resource_mut::<bevy_asset::Assets<bevy_connectome::BrainAsset>>();
        assets.get_mut(&handle).unwrap().file.training.seed += 1;
        (0..2).for_each(|_| app.update());
    };
    for _ in 0..5 {
        reload(&mut app);
    }
    let before = count(&mut app);
    for _ in 0..1000 {
        reload(&mut app);
    }
    assert_eq!(count(&mut app), before);
    assert!(status(&mut app).builds > 1000, "{}", status(&mut app).builds);
}
