//! `connectome bench`.

mod measure;
mod report;
mod scaling;
mod trace;

use clap::Args;
use connectome::{
    SceneEntities, TrainError, Trainer,
    bevy_ecs::{entity::Entity, world::World},
    components::{Field, Model, Parameter, Topology},
    output::write_file,
    systems::{Infer, ScheduleTimings, Train, Workers, run},
};
use std::{error::Error, path::PathBuf, time::Duration};

use super::{SceneArguments, print_line};
use measure::measure;
use report::{Report, SystemTime};

/// Measure a scene.
#[derive(Args, Debug)]
pub struct Bench {
    #[command(flatten)]
    scene: SceneArguments,
    /// Seconds to measure each of the forward pass, the training step on a new input and on the same one, and the systems in
    /// them.
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds, allow_negative_numbers = true)]
    seconds: Duration,
    /// Also measure training with 1, 2, 4, 8 .. workers: examples in a second, with the time to extract batches, speedup and
    /// efficiency, and the serial part that explains them.
    #[arg(long)]
    scaling: bool,
    /// Print a JSON object.
    #[arg(long)]
    json: bool,
    /// A file for a trace of some steps, for Perfetto or chrome://tracing: each system with its reads and writes, and
    /// the blocks of rows that each worker computed.
    #[arg(long, value_name = "FILE.json")]
    trace: Option<PathBuf>,
}

/// Reads a time in seconds.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let help = |error: &dyn Error| format!("{error}; write a number of seconds such as 0.5");
    let seconds: f64 = text.parse().map_err(|error| help(&error))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| help(&error))
}

/// Runs whose trace is kept.
const TRACED: usize = 3;

impl Bench {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, data) = self.scene.load()?;
        let mut trainer = self.scene.trainer(&scene, &data, scene.training.seed)?;
        drop(data);
        if let Some(file) = &self.trace {
            // An error should be reported before the measurement, not after it.
            write_file(file, b"[]")?;
        }
        let workers = trainer.world().get_resource_or_init::<Workers>().clone();
        // All runs stay on the workers' threads: switching for each run would cost as much as a small one.
        let (mut report, trace) = workers.install(|| self.measure(&scene.name, &mut trainer, &workers))?;
        if self.scaling {
            report.scaling = scaling::measure(self.seconds, &mut trainer, workers.count())?;
        }
        if let (Some(file), Some(trace)) = (&self.trace, &trace) {
            write_file(file, trace.to_string().as_bytes())?;
        }
        match self.json {
            true => print_line(serde_json::to_string(&report)?)?,
            false => print_line(&report)?,
        }
        Ok(())
    }

    fn measure(
        &self,
        scene: &str,
        trainer: &mut Trainer,
        workers: &Workers,
    ) -> Result<(Report, Option<serde_json::Value>), TrainError> {
        trainer.load_batch()?;
        let SceneEntities { model, graph, kinds, relations, .. } = trainer.entities().clone();
        let world = trainer.world();
        let inputs: Vec<Field> = world.get::<Model>(model).map_or_else(Vec::new, |model| {
            let others = kinds.iter().filter_map(|kind| model.input_of(&kind.name));
            [model.input].into_iter().chain(others).map(|input| input.values()).collect()
        });
        // Inference has a new input each time. Training has the same in the step, which may keep what it summed up of it.
        let change_input = |world: &mut World| {
            for input in &inputs {
                input.matrix_mut(world);
            }
        };
        let infer = |world: &mut World| run(world, Infer(model));
        let train = |world: &mut World| run(world, Train(model));
        let forward = measure(self.seconds, world, change_input, infer)?;
        let step_new_input = measure(self.seconds, world, change_input, train)?;
        let step = measure(self.seconds, world, |_| {}, train)?;
        let peak_memory_mb = measure::peak_memory_mb();

        let clocks = [ScheduleTimings::add(world, Infer(model))?, ScheduleTimings::add(world, Train(model))?];
        let half = self.seconds / 2;
        measure(half, world, change_input, infer)?;
        measure(half, world, |_| {}, train)?;
        let mut systems = SystemTime::of("forward", &clocks[0]);
        systems.extend(SystemTime::of("step", &clocks[1]));

        let mut trace = None;
        if self.trace.is_some() {
            let (logging, log) = workers.with_log();
            world.insert_resource(logging);
            for _ in 0..TRACED {
                change_input(world);
                infer(world)?;
                train(world)?;
            }
            let [forward, step] = &clocks;
            trace = Some(trace::events(scene, &[("forward", forward), ("step", step)], &log));
        }

        let count = |graph: Entity, rows: fn(&Topology) -> usize| world.get::<Topology>(graph).map_or(0, rows);
        let edges = [graph].into_iter().chain(relations.iter().map(|relation| relation.graph));
        let parameters = world.get::<Model>(model).map(|model| model.parameters.as_slice()).unwrap_or_default();
        let parameters = parameters.iter().filter_map(|entity| world.get::<Parameter>(*entity));
        let learned = parameters.filter(|parameter| parameter.gradient.is_some());
        let report = Report {
            scene: scene.to_owned(),
            workers: workers.count(),
            nodes: count(graph, |topology| topology.nodes.len())
                + kinds.iter().map(|kind| kind.nodes.len()).sum::<usize>(),
            edges: edges.map(|graph| count(graph, |topology| topology.edges.len())).sum(),
            parameters: learned.map(|parameter| parameter.value.width()).sum(),
            forward,
            step_new_input,
            step,
            peak_memory_mb,
            systems,
            scaling: Vec::new(),
        };
        Ok((report, trace))
    }
}
