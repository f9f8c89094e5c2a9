//! How much memory a scene will need, known before any of it is taken.

mod beside;
mod fault;
mod usage;

use connectome_components::Split;
use connectome_systems::{
    MemoryBudget, MixturePart,
    layers::BuildError,
    program::{Domain, Program, RowCounts},
};

use self::beside::Beside;
pub(in crate::scene) use self::fault::build_fault;
use self::fault::fault;
use self::usage::{Carried, Counts, NUMBER, RowBytes, growing, left_behind};
use crate::data::memory::available;
use crate::data::{Features, GraphData, GraphSet, Hidden, RowKind, undirected_edges};
use crate::scene::description::SceneFile;
use crate::scene::error::Fault;
use crate::scene::kinds::KindInputs;
use crate::scene::locate::Step::Field;
use crate::scene::model::{Columns, Input, ModelSize, Plan, Purpose, SceneModel, idle_bytes};

/// What a scene takes of the memory of the machine, in bytes, beside the program itself, which is some 10 MB.
///
/// For graphs that come batch by batch it is the most that batches can come to: all that is in reach if neighbors are
/// drawn, and the largest graphs of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// To train.
    pub training: Usage,
    /// To tell outputs, as [`Trainer::for_inference`](crate::Trainer::for_inference) does.
    pub inference: Usage,
}

/// Bytes that are taken for one purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The most at once.
    pub peak: usize,
    /// Of it, for each node that is computed, as an entity with its features and all that the model computes there.
    pub node: usize,
    /// The same for each edge.
    pub edge: usize,
    /// For each number of a parameter, with gradient and moments.
    pub parameter: usize,
    /// For each node and each edge that rests in a corpus, if they come from there batch by batch.
    pub resting: Option<[usize; 2]>,
}

/// How large a graph is, as far as memory goes.
#[derive(Clone, Debug)]
pub(in crate::scene) struct Extent {
    /// What is computed at once: all, or the largest batch.
    computed: Counts,
    /// What waits for it, if that comes batch by batch.
    resting: Option<Counts>,
    /// Pairs of nodes that are drawn while training.
    drawn: usize,
    carried: Carried,
    /// Nodes of other kinds, and edges of relations.
    beside: Beside,
    /// Bytes of what was loaded: features, and all else.
    features: usize,
    others: usize,
    /// What the model reads of other kinds and of relations.
    kinds: KindInputs,
}

impl Extent {
    /// The size of a graph, of which `scene` reads the features.
    pub fn of(data: &GraphData, scene: &SceneFile) -> Self {
        // Each edge once, as many without one as are hidden, and one drawn for each other.
        let links = scene.all_heads().iter().find_map(|head| head.task.links());
        let (pairs, drawn) = links.map_or((0, 0), |links| {
            let edges = undirected_edges(data).len();
            (2 * edges, edges - Hidden::of(edges, links.validation, links.test).both())
        });
        let all = Counts {
            nodes: data.nodes,
            edges: data.edges.len(),
            graphs: data.graphs.as_ref().map_or(0, GraphSet::len),
            pairs,
        };
        let batch = match &data.graphs {
            Some(graphs) => Some(largest_batch(graphs, scene.training.batch_size.unwrap_or(graphs.len()))),
            None => (!scene.training.fan_outs.is_empty()).then_some(all),
        };
        let (input, kinds) = scene.inputs(data);
        Self {
            computed: batch.unwrap_or(all),
            resting: batch.map(|_| all),
            drawn,
            carried: Carried {
                input,
                targets: RowKind::ALL.map(|rows| {
                    let targets = data.labels_of(rows).filter(|_| scene.reads_targets(rows, None))?.targets;
                    targets.map(|targets| targets.width)
                }),
                labeled_edges: scene.predicts(RowKind::Edges),
                weighted: data.weights.is_some(),
                in_sets: data.graphs.is_some(),
                // A letter more or less than the mean makes no difference.
                name: data.names.iter().map(String::len).sum::<usize>().checked_div(data.names.len()),
            },
            beside: Beside::of(data, scene, &kinds),
            features: features(&data.features),
            others: others(data),
            kinds,
        }
    }

    /// The same without what is there for training alone.
    fn for_inference(&self) -> Self {
        let computed = Counts { pairs: self.computed.pairs - self.drawn, ..self.computed };
        Self { computed, drawn: 0, ..self.clone() }
    }

    /// A row of each kind in the world that computes, once it runs.
    fn computed_row(&self, model: &ModelSize) -> RowBytes {
        let Self { carried, resting, .. } = self;
        let rows =
            RowBytes::in_tables(carried).plus(RowBytes::of_columns(model)).plus(RowBytes::in_topology(carried, model));
        match resting {
            None => rows,
            Some(_) => rows.plus(RowBytes::on_the_way()).plus(RowBytes::in_batches(carried)),
        }
    }

    fn resting_row(&self) -> RowBytes {
        RowBytes::in_tables(&self.carried).plus(RowBytes::in_topology(&self.carried, &ModelSize::default()))
    }

    /// What is taken once the model runs.
    fn running(&self, model: &ModelSize) -> usize {
        let computed = self.computed_row(model).of_all(self.computed).saturating_add(self.places());
        let resting =
            self.resting.map_or(0, |counts| self.resting_row().of_all(counts).saturating_add(counts.places()));
        let (sums, programs) = (model.scratch.saturating_mul(NUMBER), model.programs);
        let Input { width, stored, edges } = self.carried.input;
        let inputs = [
            (self.computed.nodes, stored.map_or(width, |stored| 2 * stored)),
            (self.computed.edges, edges.unwrap_or(0)),
        ];
        let idle =
            inputs.into_iter().map(|(rows, width)| idle_bytes(rows, width)).fold(model.idle, usize::saturating_add);
        let beside = self.beside.bytes(&self.carried, model);
        let parts = [computed, resting, beside, self.parameters(model), sums, programs, idle, self.left_behind(model)];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// What the tables left behind that were filled when the data came.
    fn left_behind(&self, model: &ModelSize) -> usize {
        let counts = self.resting.unwrap_or(self.computed);
        let model = if self.resting.is_some() { ModelSize::default() } else { *model };
        // Without the numbers of the columns.
        let ticks = |columns: Columns| Columns { width: 0, ..columns };
        let ticks = ModelSize { nodes: ticks(model.nodes), edges: ticks(model.edges), ..ModelSize::default() };
        let input = Input {
            width: 0,
            stored: self.carried.input.stored.map(|_| 0),
            edges: self.carried.input.edges.map(|_| 0),
        };
        let carried = Carried { input, ..self.carried };
        let row = RowBytes::in_tables(&carried).plus(RowBytes::of_columns(&ticks));
        // Edges that have no fields come all at once.
        let edges = if model.edges.count > 0 || input.edges.is_some() { counts.edges } else { 0 };
        let tables = [(counts.nodes, row.node), (edges, row.edge), (counts.pairs, row.pair)];
        tables.into_iter().map(|(rows, narrow)| left_behind(rows, narrow)).fold(0, usize::saturating_add)
    }

    /// The most that is taken while the data come into the world: first the nodes, then the edges.
    fn loading(&self, model: &ModelSize) -> usize {
        let counts = self.resting.unwrap_or(self.computed);
        let model = if self.resting.is_some() { ModelSize::default() } else { *model };
        let rows = RowBytes::in_tables(&self.carried).plus(RowBytes::of_columns(&model));
        let Input { width, stored, edges } = self.carried.input;
        let [mut of_nodes, mut of_edges] = [model.nodes, model.edges];
        of_nodes.add(stored.unwrap_or(width));
        of_edges.add(edges.unwrap_or(1));
        let nodes = growing(counts.nodes, rows.node, of_nodes.copied).saturating_add(self.features);
        let edges = growing(counts.edges, rows.edge, of_edges.copied)
            .saturating_add(rows.node.saturating_mul(counts.nodes))
            .saturating_add(self.places().max(counts.places()));
        let left = self.left_behind(&model);
        let beside = self.beside.bytes(&self.carried, &model);
        nodes.max(edges.saturating_add(left)).saturating_add(self.others).saturating_add(beside)
    }

    /// What an expert takes if it computes all rows, with the copies of them in a world of its own.
    fn expert(&self, model: &ModelSize) -> usize {
        let row = self.computed_row(model);
        let row = match self.resting {
            // Those of a corpus have these already.
            Some(_) => row,
            None => row.plus(RowBytes::on_the_way()).plus(RowBytes::in_batches(&self.carried)),
        };
        let rows = row.of_all(self.computed).saturating_add(self.computed.places());
        let parts = [rows, self.parameters(model), model.scratch.saturating_mul(NUMBER), model.programs, model.idle];
        parts.into_iter().fold(0, usize::saturating_add)
    }

    /// What bevy_ecs knows of all entities that are computed.
    fn places(&self) -> usize {
        let Counts { nodes, edges, .. } = self.computed;
        Counts { nodes: nodes + self.beside.nodes, edges: edges + self.beside.edges, ..self.computed }.places()
    }

    fn parameters(&self, model: &ModelSize) -> usize {
        model.numbers.saturating_mul(NUMBER)
    }

    fn usage(&self, model: &ModelSize) -> Usage {
        let row = self.computed_row(model);
        let place = self.computed.places() / self.computed.sum().max(1);
        let resting = self.resting.map(|counts| {
            let (row, place) = (self.resting_row(), counts.places() / counts.sum().max(1));
            [row.node.saturating_add(place), row.edge.saturating_add(place)]
        });
        Usage {
            peak: self.running(model).max(self.loading(model)),
            node: row.node.saturating_add(place),
            edge: row.edge.saturating_add(place),
            parameter: self.parameters(model) / model.values.max(1),
            resting,
        }
    }
}

/// The nodes, edges and graphs of so many graphs, if the largest meet.
fn largest_batch(graphs: &GraphSet, size: usize) -> Counts {
    let largest = |count: fn(&GraphSet, usize) -> usize| {
        let mut sizes: Vec<usize> = (0..graphs.len()).map(|graph| count(graphs, graph)).collect();
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        sizes.iter().take(size).sum()
    };
    Counts {
        nodes: largest(|graphs, graph| graphs.nodes(graph).len()),
        edges: largest(|graphs, graph| graphs.edges(graph).len()),
        graphs: size.min(graphs.len()),
        pairs: 0,
    }
}

fn features(features: &Features) -> usize {
    match features {
        Features::Dense { values, .. } => size_of_val(&values[..]),
        Features::Sparse { offsets, indices, values, .. } => {
            size_of_val(&offsets[..]) + size_of_val(&indices[..]) + size_of_val(&values[..])
        }
    }
}

/// Bytes of what was loaded beside the features of the nodes; of other kinds of nodes all.
fn others(data: &GraphData) -> usize {
    let kinds = data.kinds.iter().flat_map(|kinds| &kinds.others);
    let kinds = kinds.map(|kind| features(&kind.nodes.features) + others(&kind.nodes)).sum::<usize>();
    let relations = data.kinds.iter().flat_map(|kinds| &kinds.relations);
    let relations = relations.map(|relation| {
        let numbers = relation.features.as_ref().map_or(0, |rows| rows.values.len());
        let numbers = numbers + relation.weights.as_ref().map_or(0, Vec::len);
        numbers * NUMBER + size_of_val(&relation.edges[..])
    });
    let beside = kinds + relations.sum::<usize>();
    let names: usize = data.names.iter().map(|name| size_of::<String>() + name.len()).sum();
    let labels = || RowKind::ALL.into_iter().filter_map(|rows| data.labels_of(rows));
    let targets = labels().filter_map(|labels| labels.targets);
    let values = targets.chain(&data.edge_features).map(|rows| rows.values.len()).sum::<usize>();
    let values = values + data.weights.as_ref().map_or(0, Vec::len);
    let classes = labels().map(|labels| labels.labels.len() * (NUMBER + size_of::<Split>())).sum::<usize>();
    let splits = data.alternative_splits.iter().map(|splits| size_of_val(&splits[..])).sum::<usize>();
    names + values * NUMBER + classes + splits + size_of_val(&data.edges[..]) + beside
}

/// What the model of a scene is on a graph of this size, and the memory that it takes; or the layer that cannot be.
pub(in crate::scene) fn estimate(scene: &SceneFile, extent: Extent) -> Result<(Plan, Memory), Fault> {
    let available = available().saturating_add(extent.features).saturating_add(extent.others);
    let before = extent.running(&ModelSize::default());
    let Counts { nodes, edges, graphs, .. } = extent.computed;
    let rows = RowCounts { nodes, edges, subgraphs: graphs.max(1), ..extent.beside.counts.clone() };
    let place = |(part, error)| fault(scene, part, error, before, available);
    let parts = scene.unbuilt(&extent.carried.input, &extent.kinds, available).dry_run().map_err(place)?;
    let budget = MemoryBudget { rows, bytes: available.saturating_sub(before) };
    let (mut training, mut inference) = (None, None);
    let mut apart = [0usize; 2];
    for (part, planned) in &parts {
        let place = |error| place((*part, error));
        let is_of_graphs = planned.outputs().any(|(domain, _)| matches!(domain, Domain::Subgraphs(_)));
        if *part == MixturePart::Gate && is_of_graphs && !extent.carried.in_sets {
            let message = "the gate chooses for graphs, but the scene has only one";
            let help = "remove its readout, so that it chooses for nodes";
            return Err(Fault::new(scene.layers_of(*part).1, message, help));
        }
        planned.check(&budget).map_err(place)?;
        let learning = scene.describe(planned, Purpose::Training, &budget.rows);
        let telling = scene.describe(&planned.for_inference().map_err(place)?, Purpose::Inference, &budget.rows);
        match part {
            MixturePart::Expert(_) => {
                apart[0] = apart[0].saturating_add(extent.expert(&learning.size));
                apart[1] = apart[1].saturating_add(extent.expert(&telling.size));
            }
            MixturePart::Gate | MixturePart::Model => {
                training = Some(learning.after(training));
                inference = Some(telling.after(inference));
            }
        }
    }
    let (training, inference) = (training.unwrap_or_default(), inference.unwrap_or_default());
    let mut memory =
        Memory { training: extent.usage(&training.size), inference: extent.for_inference().usage(&inference.size) };
    memory.training.peak = memory.training.peak.saturating_add(apart[0]);
    memory.inference.peak = memory.inference.peak.saturating_add(apart[1]);
    // What is predicted is collected before it is written.
    let collected = training.outputs.iter().map(|output| {
        let rows = match (extent.resting, output.rows) {
            (None, _) => output.count,
            (Some(counts), RowKind::Nodes) => counts.nodes,
            (Some(counts), RowKind::Edges) => counts.edges,
            (Some(counts), RowKind::Graphs) => counts.graphs,
        };
        rows.saturating_mul(output.width).saturating_mul(NUMBER)
    });
    memory.inference.peak = collected.fold(memory.inference.peak, usize::saturating_add);
    if memory.training.peak > available {
        let [needed, available] = [memory.training.peak, available].map(megabytes);
        let message = format!("the graph with its model needs {needed} of memory, but {available} are available");
        return Err(Fault::new([Field("graph")], message, "make the graph smaller, or the layers narrower"));
    }
    Ok((training, memory))
}

/// Whether the model of a scene is too large for any graph. What else may be wrong with it, its graph will show.
pub(in crate::scene) fn check_size(scene: &SceneFile) -> Result<(), Fault> {
    let budget = MemoryBudget { rows: RowCounts { nodes: 1, ..RowCounts::default() }, bytes: available() };
    let model = scene.unbuilt(&Input { width: 1, stored: None, edges: None }, &KindInputs::default(), budget.bytes);
    let is_small = |program: &Program| program.most_bytes().is_some_and(|bytes| bytes <= budget.bytes);
    let checked = match &model {
        // Almost always: to plan it costs more than to record it.
        SceneModel::Single(single) if single.record().is_ok_and(|program| is_small(&program)) => return Ok(()),
        model => model.dry_run().and_then(|parts| {
            parts.iter().try_for_each(|(part, planned)| planned.check(&budget).map_err(|error| (*part, error)))
        }),
    };
    match checked {
        Err((
            part,
            error @ (BuildError::TooLarge { .. }
            | BuildError::TooManyOperations { .. }
            | BuildError::TooManyColumns { .. }
            | BuildError::TooManyParameters { .. }),
        )) => Err(fault(scene, part, error, 0, budget.bytes)),
        _ => Ok(()),
    }
}

fn megabytes(bytes: usize) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}
