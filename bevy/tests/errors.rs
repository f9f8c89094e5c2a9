//! Bad input: an error says where and what to do, and the app goes on.

use bevy_app::{App, TaskPoolPlugin, Update};
use bevy_asset::AssetPlugin;
use bevy_connectome::prelude::*;

use crate::common::{BRAIN, Doubler, Own, Truth, app, assets, edit, error, set_mode, status, until_built};

/// Sets the fourth node's components.
fn set(app: &mut App, own: f32, truth: f32) {
    let mut nodes = app.world_mut().query::<(&mut Own, &mut Truth)>();
    let (mut node, mut wanted) = nodes.iter_mut(app.world_mut()).nth(3).unwrap();
    (node.0, wanted.0) = (own, truth);
}

#[test]
fn an_input_that_is_not_finite_is_told_and_the_tick_left_out() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    for _ in 0..100 {
        app.update();
    }
    for mode in [BrainMode::Train, BrainMode::Infer] {
        let before = error(&mut app);
        set_mode(&mut app, mode);
        set(&mut app, f32::NAN, 0.6);
        app.update();
        let told = status(&mut app).tick_error.unwrap();
        assert!(told.starts_with("brain Doubler has not run: number 0 of component `Own` of entity "), "{told}");
        assert!(told.ends_with("is NaN; mend the system that writes it"), "{told}");
        assert_eq!((status(&mut app).has_run, error(&mut app)), (false, before));
        set(&mut app, 0.3, 0.6);
        app.update();
        assert_eq!((status(&mut app).has_run, status(&mut app).tick_error), (true, None));
    }
}

#[test]
fn a_target_that_is_not_finite_is_told_and_the_step_left_out() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    set(&mut app, 0.3, f32::INFINITY);
    app.update();
    let told = status(&mut app).tick_error.unwrap();
    assert!(told.contains("inf") && told.contains("loss"), "{told}");
    set(&mut app, 0.3, 0.6);
    for _ in 0..200 {
        app.update();
    }
    assert!(error(&mut app) < 0.01, "{}", error(&mut app));
}

#[test]
fn a_brain_without_an_optimizer_is_not_trained() {
    let folder = assets(&BRAIN.replace("optimizer: Adam(learning_rate: 0.02),", ""));
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    app.update();
    assert!(status(&mut app).tick_error.unwrap().contains("write `optimizer: Adam(learning_rate: 0.01)` there"));
    set_mode(&mut app, BrainMode::Infer);
    app.update();
    assert!(status(&mut app).has_run);
}

#[test]
fn files_that_are_no_brains_are_told() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    let files: [(&[u8], &str); 7] = [
        (b"", "expected opening"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"PK\x03\x04", "archive"),
        (b"(graph: Npz(\"cora.npz\"), model: [Relu])", "the brain has no field \"graph\""),
        (b"(model: [])", "no layers"),
        (b"(model: [Linear(width: 1)], task: Rewriting)", "a brain has no data for this task"),
        (b"(model: [Linear(width: 1)], weights: \"://\")", "the weights cannot be at"),
    ];
    for (bytes, expected) in files {
        edit(&mut app, folder.path(), "doubler.brain.ron", bytes);
        let told = until_told(&mut app, expected);
        assert!(told.contains("doubler.brain.ron"), "{told}");
        app.update();
        assert!(status(&mut app).has_run);
    }
}

fn until_told(app: &mut App, part: &str) -> String {
    crate::common::until(app, part, |app| status(app).build_error.is_some_and(|error| error.contains(part)));
    status(app).build_error.unwrap()
}

#[test]
fn an_app_without_an_asset_server_or_with_a_late_one_is_told() {
    for is_late in [false, true] {
        let mut app = App::new();
        app.add_plugins(ConnectomePlugins::in_schedule(Update));
        if is_late {
            app.add_plugins((TaskPoolPlugin::default(), AssetPlugin::default()));
        }
        app.add_brain::<Doubler>("doubler.brain.ron", BrainMode::Infer);
        app.update();
        assert!(status(&mut app).build_error.unwrap().contains("add AssetPlugin before ConnectomePlugins"));
    }
}

#[test]
fn a_world_without_nodes_or_with_new_ones_goes_on() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    until_built(&mut app, 1);
    let mut nodes = app.world_mut().query_filtered::<bevy_ecs::entity::Entity, bevy_ecs::query::With<Own>>();
    let nodes: Vec<_> = nodes.iter(app.world()).collect();
    nodes.into_iter().for_each(|node| _ = app.world_mut().despawn(node));
    set_mode(&mut app, BrainMode::Infer);
    app.update();
    assert_eq!(status(&mut app).tick_error, None);
    // Without a row to learn from, a step says so.
    set_mode(&mut app, BrainMode::Train);
    app.update();
    assert!(status(&mut app).tick_error.is_some());
    app.world_mut().spawn((Own(0.5), Truth(1.0), Split::Train));
    app.update();
    assert!(status(&mut app).has_run);
}
