//! What the plugin costs over the bare engine in a tick, and whether a thousand reloads leave memory behind.

use bevy_app::{App, TaskPoolPlugin, Update};
use bevy_asset::{AssetPlugin, Assets};
use bevy_connectome::{BrainAsset, BrainHandle, connectome::systems::WorldModelExt, prelude::*};
use bevy_ecs::prelude::*;
use std::{fs, time::Instant};

#[derive(Component, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Senses([f32; 16]);

#[derive(Component, Clone, Copy, Default, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
struct Action([f32; 4]);

struct Agent;

impl Brain for Agent {
    type Node = Senses;
    type Edge = Edge;
    type Input = (Senses,);
    type Output = Action;
}

const BRAIN: &str = "(model: [SageConv(width: 32), Tanh, Linear(width: 4)], optimizer: Adam(learning_rate: 0.01))";

/// An app of agents with eight edges each, whose brain is built.
fn app(agents: usize) -> App {
    let folder = std::env::temp_dir().join(format!("connectome-brains-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder for the brain");
    fs::write(folder.join("agent.brain.ron"), BRAIN).expect("room for the brain");
    let assets = AssetPlugin { file_path: folder.to_string_lossy().into_owned(), ..AssetPlugin::default() };
    let mut app = App::new();
    app.add_plugins((TaskPoolPlugin::default(), assets, ConnectomePlugins::in_schedule(Update)));
    app.add_brain::<Agent>("agent.brain.ron", BrainMode::Infer);
    let world = app.world_mut();
    let nodes: Vec<Entity> = (0..agents).map(|number| world.spawn(Senses([number as f32 / 1e4; 16])).id()).collect();
    for number in 0..agents {
        for step in 1..=8 {
            world.spawn(Edge { source: nodes[(number * 7 + step * 13) % agents], target: nodes[number] });
        }
    }
    while !app.world().contains_resource::<ActiveBrain<Agent>>() {
        app.update();
    }
    app.update();
    let _ = fs::remove_dir_all(folder);
    app
}

/// The median of the times of some calls, in microseconds.
fn median(calls: usize, mut call: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..calls)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[calls / 2]
}

/// Resident memory in kilobytes, where the system says.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn main() {
    println!("agents   engine µs   brain schedule µs   app frame µs");
    for agents in [100, 1_000, 10_000] {
        let mut app = app(agents);
        let model = app.world().resource::<ActiveBrain<Agent>>().model;
        let calls = 2_000_000 / agents.max(1_000);
        let engine = median(calls, || app.world_mut().infer(model).expect("the brain is built"));
        let schedule = median(calls, || app.world_mut().run_schedule(BrainSchedule));
        let frame = median(calls, || app.update());
        println!("{agents:>6} {engine:>11.1} {schedule:>19.1} {frame:>14.1}");
    }
    let mut app = app(1_000);
    let handle = app.world_mut().query::<&BrainHandle>().single(app.world()).expect("one brain").0.clone();
    let start = Instant::now();
    for reload in 0..=1_000 {
        if reload % 200 == 0 {
            println!(
                "{reload:>5} reloads: {:.1} MB, {} entities",
                memory() as f64 / 1e3,
                app.world().entities().count_spawned()
            );
        }
        let mut assets = app.world_mut().resource_mut::<Assets<BrainAsset>>();
        assets.get_mut(&handle).expect("the brain is loaded").file.training.seed += 1;
        app.update();
    }
    println!("{:.2} ms a reload and a tick", start.elapsed().as_secs_f64());
}
