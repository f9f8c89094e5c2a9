//! The flock of the example learns while its file is edited, once wrongly.

#[expect(dead_code, reason = "the example's report is not tested")]
#[path = "../examples/flock.rs"]
#[expect(clippy::module_inception, reason = "the example is a module of this test")]
mod flock;

use bevy_app::{App, TaskPoolPlugin};
use bevy_connectome::{ActiveBrain, prelude::*};
use bevy_ecs::prelude::*;
use bevy_time::{TimePlugin, TimeUpdateStrategy};
use flock::{Flock, Steering, boids::Wish};
use std::{fs, thread, time::Duration};

use crate::common::{asset_plugin, edit};

const FILE: &str = "flock.brain.ron";

fn status(app: &mut App) -> &BrainStatus {
    app.world_mut().query_filtered::<&BrainStatus, With<BrainOf<Flock>>>().single(app.world()).unwrap()
}

/// How far what the agents do is from what they are to do.
fn distance(app: &mut App) -> f32 {
    let mut agents = app.world_mut().query::<(&Steering, &Wish)>();
    let distances: Vec<f32> = agents.iter(app.world()).map(|(steering, wish)| steering.0.distance(wish.0)).collect();
    distances.iter().sum::<f32>() / distances.len() as f32
}

/// Frames until something is so, and then some more.
#[track_caller]
fn frames(app: &mut App, is_so: impl Fn(&BrainStatus) -> bool, more: usize) {
    let mut waited = 0;
    while !is_so(status(app)) {
        assert!(waited < 10_000, "{:?}", status(app));
        app.update();
        thread::sleep(Duration::from_millis(1));
        waited += 1;
    }
    (0..more).for_each(|_| app.update());
}

#[test]
fn a_flock_learns_while_its_brain_is_edited() {
    let folder = tempfile::tempdir().unwrap();
    let text = include_str!("../assets/flock.brain.ron");
    fs::write(folder.path().join(FILE), text).unwrap();
    let mut app = App::new();
    app.add_plugins((TaskPoolPlugin::default(), TimePlugin, asset_plugin(folder.path()), flock::plugin));
    app.insert_resource(TimeUpdateStrategy::FixedTimesteps(1));
    frames(&mut app, |status| status.builds == 1, 1);
    let untaught = distance(&mut app);
    frames(&mut app, |_| true, 300);
    let model = app.world().resource::<ActiveBrain<Flock>>().model;
    let taught = distance(&mut app);
    assert!(taught < 0.5 * untaught, "{taught} {untaught}");

    edit(&mut app, folder.path(), FILE, text.replace("SageConv", "SageConf"));
    frames(&mut app, |status| status.build_error.is_some(), 100);
    let error = status(&mut app).build_error.clone().unwrap();
    assert!(error.starts_with("flock.brain.ron:4:13: there is no layer \"SageConf\""), "{error}");
    assert_eq!(app.world().resource::<ActiveBrain<Flock>>().model, model);
    assert!(status(&mut app).has_run && status(&mut app).tick_error.is_none());

    let before = distance(&mut app);
    edit(&mut app, folder.path(), FILE, text.replace("0.01", "0.005"));
    frames(&mut app, |status| status.builds == 2, 1);
    assert_eq!(status(&mut app).build_error, None);
    // What it has learned is kept.
    assert!(distance(&mut app) < 1.5 * before, "{} {before}", distance(&mut app));
    frames(&mut app, |_| true, 200);
    assert!(distance(&mut app) < 0.25 * untaught, "{} {untaught}", distance(&mut app));
}

#[test]
fn the_flock_of_the_documentation_has_as_few_lines_as_it_says() {
    let example = include_str!("../examples/flock.rs");
    let own = example.split("#[derive(Component").nth(1).and_then(|rest| rest.split("fn main").next()).unwrap();
    let lines = own.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(lines.count() <= 25);
}
