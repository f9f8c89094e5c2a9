//! Systems by the type of a brain: written before it is loaded, skipped without it, and races among them found.

use bevy_app::App;
use bevy_connectome::prelude::*;
use bevy_ecs::prelude::*;

use crate::common::{BRAIN, Doubler, Guess, Noise, Own, app, assets, status, until_built, world};

#[derive(Resource, Default)]
struct Count(usize);

fn write_input(mut nodes: Input<Doubler>, mut count: ResMut<Count>) {
    for (_, (mut own, mut noise)) in nodes.iter_mut() {
        (own.0, noise.0) = (0.5, 0.25);
    }
    count.0 += 1;
}

fn write_noise(mut nodes: Query<&mut Noise>) {
    nodes.iter_mut().for_each(|mut noise| noise.0 = 0.0);
}

fn write_own(mut nodes: Query<&mut Own>) {
    nodes.iter_mut().for_each(|mut own| own.0 += 0.0);
}

fn read_output(output: Output<Doubler>, nodes: Query<Entity, With<Own>>, mut count: ResMut<Count>) {
    count.0 += nodes.iter().filter(|node| output.of(*node).is_some()).count();
}

fn write_output(mut outputs: Query<&mut Guess>) {
    outputs.iter_mut().for_each(|mut guess| guess.0 = 0.0);
}

/// Why the brain did not run, after some frames.
fn tick_error(app: &mut App) -> Option<String> {
    until_built(app, 1);
    app.update();
    status(app).tick_error
}

#[test]
fn a_system_is_skipped_until_the_brain_is_there() {
    let folder = assets(BRAIN);
    let mut app = world(folder.path());
    app.init_resource::<Count>().add_systems(BrainSchedule, read_output.in_set(BrainSystems::Act));
    for _ in 0..3 {
        app.update();
    }
    assert_eq!(app.world().resource::<Count>().0, 0);
    app.add_brain::<Doubler>("doubler.brain.ron", BrainMode::Infer);
    until_built(&mut app, 1);
    app.world_mut().resource_mut::<Count>().0 = 0;
    app.update();
    assert_eq!(app.world().resource::<Count>().0, 10);
}

#[test]
fn inputs_are_written_by_a_system() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    app.init_resource::<Count>().add_systems(BrainSchedule, write_input.in_set(BrainSystems::Observe));
    until_built(&mut app, 1);
    app.update();
    assert!(app.world().resource::<Count>().0 > 0);
    let mut guesses = app.world_mut().query::<&Guess>();
    let guesses: Vec<f32> = guesses.iter(app.world()).map(|guess| guess.0).collect();
    assert!(
        guesses.len() == 10 && guesses[0] != 0.0 && guesses.iter().all(|guess| *guess == guesses[0]),
        "{guesses:?}"
    );
}

#[test]
fn two_systems_write_parts_of_one_input() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    app.add_systems(BrainSchedule, (write_noise, write_own).in_set(BrainSystems::Observe));
    assert_eq!(tick_error(&mut app), None);
}

#[test]
fn systems_that_write_the_same_part_race() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    app.init_resource::<Count>();
    app.add_systems(BrainSchedule, (write_noise, write_input).in_set(BrainSystems::Observe));
    let error = tick_error(&mut app).unwrap();
    for name in ["write_noise", "write_input", "Noise"] {
        assert!(error.contains(name), "{name}: {error}");
    }
    assert!(!status(&mut app).has_run);
}

#[test]
fn a_system_that_writes_the_output_beside_its_reader_races() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    app.init_resource::<Count>();
    app.add_systems(BrainSchedule, (read_output, write_output).in_set(BrainSystems::Act));
    let error = tick_error(&mut app).unwrap();
    for name in ["read_output", "write_output", "Guess"] {
        assert!(error.contains(name), "{name}: {error}");
    }
}

#[test]
fn a_race_is_found_before_the_brain_is_loaded() {
    let folder = assets(BRAIN);
    let mut app = world(folder.path());
    app.add_brain::<Doubler>("missing.brain.ron", BrainMode::Infer).init_resource::<Count>();
    app.add_systems(BrainSchedule, (read_output, write_output).in_set(BrainSystems::Act));
    app.update();
    assert!(status(&mut app).tick_error.unwrap().contains("write_output"));
}

#[test]
fn a_system_without_an_order_races_with_the_brains() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    app.add_systems(BrainSchedule, write_noise);
    let error = tick_error(&mut app).unwrap();
    assert!(error.contains("write_noise") && error.contains("run_brains"), "{error}");
}
