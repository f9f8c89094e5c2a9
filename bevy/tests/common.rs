//! A small app: ten nodes in a ring, and a brain that learns to double what they have.

use bevy_app::{App, TaskPoolPlugin, Update};
use bevy_asset::{AssetPlugin, AssetServer};
use bevy_connectome::prelude::*;
use bevy_ecs::prelude::*;
use std::{fs, path::Path, thread, time::Duration};
use tempfile::TempDir;

#[derive(Component, Debug, Default, Features, PartialEq)]
pub struct Own(pub f32);
#[derive(Component, Debug, Default, Features, PartialEq)]
pub struct Noise(pub f32);
#[derive(Component, Debug, Default, Features, PartialEq)]
pub struct Guess(pub f32);
#[derive(Component, Debug, Default, Features, PartialEq)]
pub struct Truth(pub f32);

pub struct Doubler;

impl Brain for Doubler {
    type Node = Own;
    type Edge = Edge;
    type Input = (Own, Noise);
    type Output = Guess;

    fn connect(model: ModelBuilder) -> ModelBuilder {
        model.predicts::<Truth>()
    }
}

/// A file of the brain.
pub const BRAIN: &str = r#"(
    name: "doubler",
    model: [Linear(width: 8), Tanh, Linear(width: 1)],
    task: NodeRegression(loss: MeanSquaredError),
    optimizer: Adam(learning_rate: 0.02),
    training: (seed: 1),
)"#;

/// A folder of assets with this file of the brain.
pub fn assets(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("doubler.brain.ron"), text).unwrap();
    folder
}

pub fn asset_plugin(folder: &Path) -> AssetPlugin {
    AssetPlugin { file_path: folder.to_string_lossy().into_owned(), ..AssetPlugin::default() }
}

/// An app with ten nodes, without a brain.
pub fn world(folder: &Path) -> App {
    let mut app = App::new();
    app.add_plugins((TaskPoolPlugin::default(), asset_plugin(folder), ConnectomePlugins::in_schedule(Update)));
    let world = app.world_mut();
    let node = |number: usize| (Own(number as f32 / 10.0), Truth(number as f32 / 5.0), Split::Train);
    let nodes: Vec<Entity> = (0..10).map(|number| world.spawn(node(number)).id()).collect();
    for number in 0..10 {
        world.spawn(Edge { source: nodes[number], target: nodes[(number + 1) % 10] });
    }
    app
}

/// An app with the brain of a file.
pub fn app(folder: &Path) -> App {
    let mut app = world(folder);
    app.add_brain::<Doubler>("doubler.brain.ron", BrainMode::Train);
    app
}

pub fn status(app: &mut App) -> BrainStatus {
    let mut brains = app.world_mut().query_filtered::<&BrainStatus, With<BrainOf<Doubler>>>();
    brains.single(app.world()).unwrap().clone()
}

/// Updates an app until something is so; files are read on other threads.
#[track_caller]
pub fn until(app: &mut App, what: &str, mut is_so: impl FnMut(&mut App) -> bool) {
    for _ in 0..10_000 {
        app.update();
        if is_so(app) {
            return;
        }
        thread::sleep(Duration::from_millis(1));
    }
    panic!("{what} has not happened: {:?}", status(app));
}

#[track_caller]
pub fn until_built(app: &mut App, builds: u64) {
    until(app, &format!("build {builds}"), |app| status(app).builds == builds);
}

/// Updates an app until the file is refused, and returns why.
#[track_caller]
pub fn until_refused(app: &mut App) -> String {
    until(app, "an error", |app| status(app).build_error.is_some());
    status(app).build_error.unwrap()
}

/// Writes a file of the folder of assets, and has it loaded again as if a watcher had noticed.
pub fn edit(app: &mut App, folder: &Path, file: &str, content: impl AsRef<[u8]>) {
    fs::write(folder.join(file), content).unwrap();
    app.world().resource::<AssetServer>().reload(file.to_owned());
}

/// The mean squared error of what was guessed.
pub fn error(app: &mut App) -> f32 {
    let mut nodes = app.world_mut().query::<(&Guess, &Truth)>();
    let squares: Vec<f32> = nodes.iter(app.world()).map(|(guess, truth)| (guess.0 - truth.0).powi(2)).collect();
    squares.iter().sum::<f32>() / squares.len() as f32
}

pub fn set_mode(app: &mut App, mode: BrainMode) {
    let mut modes = app.world_mut().query::<&mut BrainMode>();
    modes.iter_mut(app.world_mut()).for_each(|mut old| *old = mode);
}
