//! What a game programmer meets: derived features, and models that were trained on the command line, in a world of the
//! user's. A failure shows the component, or the error that was expected to name what is wrong.

use bevy_ecs::prelude::*;
use bytemuck::{Pod, Zeroable};
use connectome::{Trainer, output::write_weights, prelude::*};
use glam::{Vec2, Vec3};
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Component, Debug, Default, PartialEq, Features)]
struct Ship {
    #[features(skip)]
    name: String,
    #[features(scale = 0.5)]
    place: Vec3,
    fuel: f32,
    #[features(scale = -10.0)]
    sails: [f32; 2],
}

#[derive(Component, Clone, Debug, Default, PartialEq, Features)]
struct Wind(Vec2, #[features(skip)] u8);

fn ship() -> Ship {
    Ship { name: "Argo".to_owned(), place: Vec3::new(2.0, 4.0, 6.0), fuel: 7.0, sails: [0.5, 0.25] }
}

#[test]
fn derived_features_are_the_fields_in_their_order() {
    assert_eq!((Ship::WIDTH, Wind::WIDTH), (6, 2));
    let mut row = [0.0; Ship::WIDTH];
    ship().read(&mut row);
    assert_eq!(row, [1.0, 2.0, 3.0, 7.0, -5.0, -2.5]);
    let mut copy = Ship { name: "Argo".to_owned(), ..Ship::default() };
    copy.write(&row);
    assert_eq!(copy, ship());
    let mut wind = Wind(Vec2::ZERO, 3);
    wind.write(&[1.0, 2.0]);
    assert_eq!(wind, Wind(Vec2::new(1.0, 2.0), 3));
}

#[test]
fn a_model_reads_and_writes_derived_features() {
    let mut world = World::new();
    let graph = Graph::of::<Ship, Edge>(&mut world);
    let model = ModelBuilder::new(graph).reads::<Ship>().layer(Linear::new(2)).writes::<Wind>();
    let model = world.spawn_model(model).unwrap();
    let ship = world.spawn((ship(), Wind(Vec2::ZERO, 9))).id();
    world.infer(model).unwrap();
    let Model { input, output, .. } = world.get(model).unwrap();
    assert_eq!(input.values().get(&world, ship).unwrap(), [1.0, 2.0, 3.0, 7.0, -5.0, -2.5]);
    let output = output.get(&world, ship).unwrap();
    assert!(output.iter().any(|number| *number != 0.0));
    assert_eq!(*world.get::<Wind>(ship).unwrap(), Wind(Vec2::from_slice(output), 9));
}

#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Warmth(f32);

#[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
struct Forecast(f32);

/// What `connectome train assets/rooms.ron --output` leaves behind.
fn trained_rooms(folder: &tempfile::TempDir) -> PathBuf {
    let (scene, data) = SceneFile::load("assets/rooms.ron").unwrap();
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::single()).unwrap();
    trainer.train(|_| {}).unwrap();
    let file = folder.path().join("weights.safetensors");
    write_weights(&file, &trainer.weights(), BTreeMap::new()).unwrap();
    file
}

#[test]
fn a_model_trained_on_the_command_line_infers_in_a_world_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let weights = trained_rooms(&folder);
    let mut world = World::new();
    let graph = Graph::of::<Warmth, Edge>(&mut world);
    let [cellar, hall, attic] = [4.0, 1.0, 3.0].map(|warmth| world.spawn(Warmth(warmth)).id());
    for source in [cellar, attic] {
        world.spawn(Edge { source, target: hall });
    }
    let connect = |model: ModelBuilder| model.reads::<Warmth>().writes::<Forecast>();
    let model = world.spawn_trained(graph, "assets/rooms.ron", &weights, connect).unwrap();
    world.infer(model).unwrap();
    let forecast = world.get::<Forecast>(hall).unwrap().0;
    // Half of its own warmth, and half of the mean of its neighbors'.
    assert!((forecast - (0.5 * 1.0 + 0.5 * 3.5)).abs() < 0.02, "{forecast}");
    assert!(world.train(model).is_err(), "it infers only");
}

#[test]
fn a_trained_model_that_does_not_fit_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let weights = trained_rooms(&folder);
    let mut world = World::new();
    let graph = Graph::spawn(&mut world);
    let warmth = |model: ModelBuilder| model.reads::<Warmth>();
    let wrong_width = world.spawn_trained(graph, "assets/rooms.ron", &weights, |model| model.reads::<Ship>());
    let wrong_scene = world.spawn_trained(graph, "assets/roms.ron", &weights, warmth);
    let wrong_file = world.spawn_trained(graph, "assets/rooms.ron", folder.path().join("none"), warmth);
    for (result, words) in [(wrong_width, "shape"), (wrong_scene, "roms.ron"), (wrong_file, "none")] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(world.query::<&Model>().iter(&world).count(), 0);
}
