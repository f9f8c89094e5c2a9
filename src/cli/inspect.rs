//! `connectome inspect`.

use clap::Args;
use connectome::components::{Parameter, Split};
use connectome::scene::{Task, Usage, options};
use connectome::systems::Train;
use std::{error::Error, fmt::Write};

use super::{SceneArguments, print_line};

/// Show what a scene holds.
#[derive(Args, Debug)]
pub struct Inspect {
    #[command(flatten)]
    scene: SceneArguments,
}

impl Inspect {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, data) = self.scene.load()?;
        let memory = scene.memory(&data)?;
        let mut trainer = self.scene.trainer(&scene, &data, scene.training.seed)?;
        let model = trainer.entities().model;
        let world = trainer.world();

        let mut text = String::new();
        writeln!(text, "{}", scene.name)?;
        match &data.graphs {
            Some(graphs) => {
                writeln!(text, "  graphs      {} ({} classes)", graphs.len(), graphs.classes)?;
                writeln!(text, "  nodes       {}", data.nodes)?;
            }
            None => match (scene.task, &data.targets) {
                (Task::NodeRegression { .. }, Some(targets)) => {
                    writeln!(text, "  nodes       {} ({} targets)", data.nodes, targets.width)?
                }
                _ => writeln!(text, "  nodes       {} ({} classes)", data.nodes, data.classes)?,
            },
        }
        let weighted = if data.weights.is_some() { ", weighted" } else { "" };
        writeln!(text, "  edges       {} directed{weighted}", data.edges.len())?;
        let stored = data.features.values().len();
        writeln!(text, "  features    {} wide, {stored} stored numbers", data.features.width())?;
        let of_split = |split| data.graphs.as_ref().map_or_else(|| data.count(split), |graphs| graphs.count(split));
        let splits = [Split::Train, Split::Validation, Split::Test].map(of_split);
        writeln!(text, "  splits      {} train, {} validation, {} test", splits[0], splits[1], splits[2])?;
        for (usage, purpose) in [(memory.training, "train"), (memory.inference, "infer")] {
            let Usage { peak, node, edge, parameter, resting } = usage;
            let each = format!("{node} bytes a node, {edge} an edge, {parameter} a parameter");
            writeln!(text, "  memory      {:.1} MB to {purpose}: {each}", peak as f64 / 1e6)?;
            if let Some([node, edge]) = resting {
                writeln!(text, "              at rest {node} bytes a node, {edge} an edge")?;
            }
        }
        writeln!(text, "\nlayers")?;
        for (number, layer) in scene.model.iter().enumerate() {
            writeln!(text, "  {number} {}", options().to_string(layer)?)?;
        }
        writeln!(text, "\nparameters")?;
        let mut parameters: Vec<Parameter> = world.query::<&Parameter>().iter(world).cloned().collect();
        parameters.sort_by(|a, b| a.name.cmp(&b.name));
        let width = parameters.iter().map(|parameter| parameter.name.len()).max().unwrap_or(0);
        for parameter in &parameters {
            writeln!(text, "  {:<width$}  {} x {}", parameter.name, parameter.shape[0], parameter.shape[1])?;
        }
        let count: usize = parameters.iter().map(|parameter| parameter.value.width()).sum();
        writeln!(text, "  {:<width$}  {count}", "together")?;
        writeln!(text, "\ntraining schedule: each system with what it reads (<-) and writes (->)")?;
        for system in connectome::systems::describe_schedule(world, Train(model)) {
            let (reads, writes) = (system.reads.join(", "), system.writes.join(", "));
            writeln!(text, "  {}\n    <- {reads}\n    -> {writes}", system.name)?;
        }
        print_line(text.trim_end())?;
        Ok(())
    }
}
