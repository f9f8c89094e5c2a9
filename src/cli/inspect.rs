//! `connectome inspect`.

use clap::Args;
use connectome::components::{Parameter, Split};
use connectome::systems::Train;
use std::error::Error;

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

        print_line(&scene.name)?;
        print_line(format_args!("  nodes       {} ({} classes)", data.nodes, data.classes))?;
        print_line(format_args!(
            "  edges       {} directed{}",
            data.edges.len(),
            if data.weights.is_some() { ", weighted" } else { "" }
        ))?;
        let stored = data.features.values().len();
        print_line(format_args!("  features    {} wide, {stored} stored numbers", data.features.width()))?;
        let splits = [Split::Train, Split::Validation, Split::Test].map(|split| data.count(split));
        print_line(format_args!("  splits      {} train, {} validation, {} test", splits[0], splits[1], splits[2]))?;
        print_line(format_args!("  memory      about {:.1} MB to train", memory as f64 / 1e6))?;
        print_line(format_args!("\nlayers"))?;
        for (number, layer) in scene.model.iter().enumerate() {
            print_line(format_args!("  {number} {layer:?}"))?;
        }
        print_line(format_args!("\nparameters"))?;
        let mut parameters: Vec<Parameter> = world.query::<&Parameter>().iter(world).cloned().collect();
        parameters.sort_by(|a, b| a.name.cmp(&b.name));
        for parameter in &parameters {
            print_line(format_args!("  {:<20} {} x {}", parameter.name, parameter.shape[0], parameter.shape[1]))?;
        }
        let count: usize = parameters.iter().map(|parameter| parameter.value.width()).sum();
        print_line(format_args!("  {:<20} {count}", "together"))?;
        print_line(format_args!("\ntraining schedule: each system with what it reads (<-) and writes (->)"))?;
        for system in connectome::systems::describe(world, Train(model)) {
            print_line(format_args!("  {}", system.name))?;
            print_line(format_args!("    <- {}", system.reads.join(", ")))?;
            print_line(format_args!("    -> {}", system.writes.join(", ")))?;
        }
        Ok(())
    }
}
