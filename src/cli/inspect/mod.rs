//! `connectome inspect`.

mod json;
mod kinds;
mod parts;
mod picture;
mod program;

use bevy_ecs::world::World;
use clap::Args;
use connectome::components::{Parameter, Split};
use connectome::data::{GraphData, RowKind};
use connectome::output::write_file;
use connectome::scene::{Memory, SceneFile, Usage, options};
use connectome::spawn;
use connectome::systems::program::{Pass, Plan, RowCounts};
use connectome::systems::{GraphSystems, Plans, SystemDescription};
use std::{
    error::Error,
    fmt::Write,
    path::{Path, PathBuf},
};

use super::{SceneArguments, print_line};
use parts::Part;

/// Show what a scene holds, what its model computes, and what that takes.
#[derive(Args, Debug)]
pub struct Inspect {
    #[command(flatten)]
    scene: SceneArguments,
    /// Show training alone.
    #[arg(long, conflicts_with = "infer")]
    train: bool,
    /// Show inference alone.
    #[arg(long)]
    infer: bool,
    /// Draw what the model computes, in training unless `--infer` is given: to a file that ends in `.svg`, or in `.dot` for
    /// Graphviz.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Print the same as one JSON document, which `docs/inspect.md` describes.
    #[arg(long)]
    json: bool,
}

/// A scene and what is known of it before it runs.
struct Inspected {
    scene: SceneFile,
    data: GraphData,
    memory: Memory,
    rows: RowCounts,
}

impl Inspected {
    fn new(scene: SceneFile, data: GraphData) -> Result<Self, Box<dyn Error>> {
        let memory = scene.memory(&data)?;
        let rows = data.row_counts();
        Ok(Self { scene, data, memory, rows })
    }

    /// How many rows of what is predicted belong to a split.
    fn count(&self, split: Split) -> usize {
        let rows = match (&self.data.graphs, self.scene.tasks().first()) {
            (None, Some((_, task))) => task.rows(),
            _ => RowKind::Graphs,
        };
        let kind = self.scene.heads.first().and_then(|head| head.nodes.first());
        let nodes = self.data.of_kind(kind.map(String::as_str));
        nodes.splits_of(rows).iter().filter(|other| **other == split).count()
    }
}

impl Inspect {
    pub fn run(self) -> Result<(), Box<dyn Error>> {
        let (scene, data) = self.scene.load()?;
        // The schedules of a model are the same whatever the graph: one without nodes takes no memory.
        let mut world = World::new();
        let entities = spawn(&mut world, &scene, data.without_rows(), scene.training.seed)?;
        let inspected = Inspected::new(scene, data)?;
        let parts = Part::all(&world, entities.model, &inspected.scene);
        if let Some(file) = &self.picture {
            self.draw(&parts, file)?;
        }
        if self.json {
            let document = json::Document::new(&inspected, &parts, [!self.infer, !self.train])?;
            return Ok(print_line(serde_json::to_string(&document)?)?);
        }
        let (mut text, rows) = (String::new(), &inspected.rows);
        write_graph(&mut text, &inspected, &parts)?;
        write_parameters(&mut text, &parts)?;
        for part in &parts {
            let heading = part.heading();
            program::write_columns(&mut text, &heading, part.plans.layout(), rows)?;
            let [training, inference] = part.shown([!self.infer, !self.train]);
            if let Some((plan, systems)) = training {
                let titles = ["training, forward", "training, backward"].map(|title| format!("{heading}{title}"));
                program::write_plan(&mut text, plan, rows, &titles)?;
                write_phases(&mut text, &format!("{heading}training"), &systems)?;
            }
            if let Some((plan, systems)) = inference {
                let titles = [format!("{heading}inference"), String::new()];
                program::write_plan(&mut text, plan, rows, &titles)?;
                write_phases(&mut text, &format!("{heading}inference"), &systems)?;
            }
        }
        print_line(text.trim_end())?;
        Ok(())
    }

    fn draw(&self, parts: &[Part], file: &Path) -> Result<(), Box<dyn Error>> {
        let plan = |plans: &Plans| plans.training().filter(|_| !self.infer).unwrap_or(plans.inference()).clone();
        let plans: Vec<(String, Plan)> = parts.iter().map(|part| (part.title.clone(), plan(part.plans))).collect();
        let picture = match file.extension().and_then(|extension| extension.to_str()) {
            Some("svg") => picture::svg(&plans),
            Some("dot") => picture::dot(&plans),
            _ => return Err(format!("cannot draw {}; end its name in .svg or .dot", file.display()).into()),
        };
        Ok(write_file(file, picture.as_bytes())?)
    }
}

fn write_graph(text: &mut String, inspected: &Inspected, parts: &[Part]) -> Result<(), Box<dyn Error>> {
    let Inspected { scene, data, memory, .. } = inspected;
    writeln!(text, "{}", scene.name)?;
    let predicted = scene.predicted(data);
    let of = |rows: RowKind| -> String {
        let columns = predicted.iter().filter(|column| column.rows == rows);
        let columns: Vec<String> = columns.map(|column| format!("{} {}", column.count, column.name)).collect();
        if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) }
    };
    if let Some(graphs) = &data.graphs {
        writeln!(text, "  graphs      {}{}", graphs.len(), of(RowKind::Graphs))?;
    }
    match &data.kinds {
        Some(kinds) => kinds::write(text, inspected, kinds)?,
        None => {
            writeln!(text, "  nodes       {}{}", data.nodes, of(RowKind::Nodes))?;
            let weighted = if data.weights.is_some() { ", weighted" } else { "" };
            writeln!(text, "  edges       {} directed{weighted}{}", data.edges.len(), of(RowKind::Edges))?;
            let stored = data.features.values().len();
            writeln!(text, "  features    {} wide, {stored} stored numbers", data.features.width())?;
        }
    }
    let splits = [Split::Train, Split::Validation, Split::Test].map(|split| inspected.count(split));
    writeln!(text, "  splits      {} train, {} validation, {} test", splits[0], splits[1], splits[2])?;
    for (usage, purpose) in [(memory.training, "train"), (memory.inference, "infer")] {
        let Usage { peak, node, edge, parameter, resting } = usage;
        let each = format!("{node} bytes a node, {edge} an edge, {parameter} a parameter");
        writeln!(text, "  memory      {:.1} MB to {purpose}: {each}", peak as f64 / 1e6)?;
        if let Some([node, edge]) = resting {
            writeln!(text, "              at rest {node} bytes a node, {edge} an edge")?;
        }
    }
    for part in parts {
        writeln!(text, "\n{}", if part.title.is_empty() { "layers" } else { &part.title })?;
        for (number, layer) in part.layers.iter().enumerate() {
            writeln!(text, "  {number} {}", options().to_string(layer)?)?;
        }
        if part.prefix == "gate." {
            let (Some(mixture), number) = (&scene.mixture, part.layers.len()) else { continue };
            let (count, gate) = (mixture.expert_count(), options().to_string(&mixture.gate)?);
            writeln!(text, "  {number} a logit for each of {count} experts, of which {gate} is taken")?;
        }
    }
    for head in &scene.heads {
        let of = head.nodes.first().map_or_else(String::new, |kind| format!(" of {kind}"));
        writeln!(text, "\nhead {}{of}: {}", head.name, options().to_string(&head.task)?)?;
        for (number, layer) in head.layers.iter().enumerate() {
            writeln!(text, "  {number} {}", options().to_string(layer)?)?;
        }
    }
    Ok(())
}

fn write_parameters(text: &mut String, parts: &[Part]) -> Result<(), Box<dyn Error>> {
    writeln!(text, "\nparameters")?;
    let parameters: Vec<(usize, String, Parameter)> = parts
        .iter()
        .flat_map(|part| {
            let times = part.experts.len().max(1);
            part.parameters().into_iter().map(move |(name, parameter)| (times, name, parameter))
        })
        .collect();
    let width = parameters.iter().map(|(_, name, _)| name.len()).max().unwrap_or(0);
    for (times, name, parameter) in &parameters {
        let each = if *times > 1 { format!(", {times} times") } else { String::new() };
        writeln!(text, "  {name:<width$}  {} x {}{each}", parameter.shape[0], parameter.shape[1])?;
    }
    let count: usize = parameters.iter().map(|(times, _, parameter)| times * parameter.value.width()).sum();
    writeln!(text, "  {:<width$}  {count}", "together")?;
    Ok(())
}

/// The systems of a schedule by phase; the operations of the model stand above.
fn write_phases(text: &mut String, schedule: &str, systems: &[SystemDescription]) -> Result<(), Box<dyn Error>> {
    writeln!(text, "\n{schedule}, phases: each system with what it reads (<-) and writes (->)")?;
    for phase in [None].into_iter().chain(GraphSystems::ALL.map(Some)) {
        let pass = match phase {
            Some(GraphSystems::Forward) => Some(Pass::Forward),
            Some(GraphSystems::Backward) => Some(Pass::Backward),
            _ => None,
        };
        let [operations, others]: [Vec<&SystemDescription>; 2] = {
            let (operations, others) =
                systems.iter().filter(|system| system.phase == phase).partition(|system| system.layer.is_some());
            [operations, others]
        };
        if phase.is_none() && others.is_empty() {
            continue;
        }
        writeln!(text, "  {}", phase.map_or_else(|| "no phase".to_owned(), |phase| format!("{phase:?}")))?;
        if pass.is_some() && !operations.is_empty() {
            writeln!(text, "    the operations above: {}", operations.len())?;
        }
        for system in others {
            let (reads, writes) = (system.reads.join(", "), system.writes.join(", "));
            writeln!(text, "    {}\n      <- {reads}\n      -> {writes}", system.name)?;
        }
    }
    Ok(())
}
