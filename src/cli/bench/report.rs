//! The report of a benchmark, as text and as JSON.

use connectome::systems::{GraphSystems, ScheduleTimings};
use serde::Serialize;
use std::fmt;

use super::{
    measure::{Timing, median},
    scaling::Throughput,
};

/// The result of the benchmark of a scene.
#[derive(Debug, Serialize)]
pub struct Report {
    pub scene: String,
    pub workers: usize,
    /// Nodes of the graph, or of the batch.
    pub nodes: usize,
    pub edges: usize,
    /// Number of learned values.
    pub parameters: usize,
    pub forward: Timing,
    /// The input counts as changed before each step, so that nothing computed of it alone is kept from the step before.
    pub step_new_input: Timing,
    /// The input stays the same.
    pub step: Timing,
    /// Of the whole process, after the steps.
    pub peak_memory_mb: Option<f64>,
    pub systems: Vec<SystemTime>,
    /// Training by workers, if it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<Throughput>,
}

/// The time of one system.
#[derive(Debug, Serialize)]
pub struct SystemTime {
    /// `forward` or `step`.
    schedule: &'static str,
    name: String,
    layer: Option<usize>,
    phase: Option<&'static str>,
    median_us: f64,
    /// The fraction of the sum over the systems of its schedule.
    share: f64,
}

impl SystemTime {
    /// From all readings since the last call.
    pub fn of(schedule: &'static str, clock: &ScheduleTimings) -> Vec<Self> {
        let runs = clock.take();
        let median_us = |system: usize| {
            let microseconds = |run: &Vec<_>| between(run, system) * 1e6;
            median(&mut runs.iter().map(microseconds).collect::<Vec<f64>>())
        };
        let medians: Vec<f64> = (0..clock.systems().len()).map(median_us).collect();
        let sum: f64 = medians.iter().sum();
        let time = |(system, median_us): (&connectome::systems::SystemDescription, f64)| Self {
            schedule,
            name: system.name.clone(),
            layer: system.layer,
            phase: system.phase.map(phase_name),
            median_us,
            share: median_us / sum,
        };
        clock.systems().iter().zip(medians).map(time).collect()
    }
}

fn between(run: &[std::time::Instant], system: usize) -> f64 {
    (run[system + 1] - run[system]).as_secs_f64()
}

/// The name of a phase in JSON.
pub fn phase_name(phase: GraphSystems) -> &'static str {
    match phase {
        GraphSystems::Sync => "sync",
        GraphSystems::Observe => "observe",
        GraphSystems::Forward => "forward",
        GraphSystems::Loss => "loss",
        GraphSystems::Backward => "backward",
        GraphSystems::Reduce => "reduce",
        GraphSystems::Optimize => "optimize",
        GraphSystems::Commit => "commit",
        GraphSystems::Act => "act",
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scene, workers, nodes, edges, parameters, .. } = self;
        writeln!(formatter, "{scene}: {nodes} nodes, {edges} edges, {parameters} parameters, {workers} workers")?;
        let timings = [("forward", self.forward), ("step, new input", self.step_new_input), ("step", self.step)];
        for (name, timing) in timings {
            let Timing { median_ms, min_ms, count } = timing;
            writeln!(formatter, "  {name:<15} {median_ms:>10.3} ms median {min_ms:>10.3} ms least, {count} runs")?;
        }
        if let Some(megabytes) = self.peak_memory_mb {
            writeln!(formatter, "  {:<15} {megabytes:>10.1} MB at most", "memory")?;
        }
        let width = self.systems.iter().map(|system| system.name.len()).max().unwrap_or(0);
        for schedule in ["forward", "step"] {
            write!(formatter, "\nsystems of the {schedule}, median µs and share")?;
            for system in self.systems.iter().filter(|system| system.schedule == schedule) {
                let phase = match (system.phase, system.layer) {
                    (Some(phase), Some(layer)) => format!("{layer} {phase}"),
                    (phase, _) => phase.unwrap_or("").to_owned(),
                };
                let (name, median, share) = (&system.name, system.median_us, 100.0 * system.share);
                write!(formatter, "\n  {phase:<12} {name:<width$} {median:>12.1} {share:>5.1} %")?;
            }
            if schedule == "forward" {
                writeln!(formatter)?;
            }
        }
        let Some(first) = self.scaling.first() else { return Ok(()) };
        let examples = format!("{}/s", first.examples);
        write!(formatter, "\n\ntraining by workers\n  workers {examples:>14}  speedup  efficiency  serial part")?;
        for Throughput { workers, per_second, speedup, efficiency, serial_fraction, .. } in &self.scaling {
            let efficiency = 100.0 * efficiency;
            write!(formatter, "\n  {workers:>7} {per_second:>14.1} {speedup:>8.2} {efficiency:>9.1} %")?;
            if let Some(serial) = serial_fraction {
                write!(formatter, " {:>10.1} %", 100.0 * serial)?;
            }
        }
        Ok(())
    }
}
