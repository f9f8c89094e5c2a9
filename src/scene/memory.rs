//! How much memory a scene will need, known before any of it is taken.

use connectome_systems::layers::{BuildError, Room};

use super::data::GraphData;
use super::description::Scene;
use super::error::Fault;
use super::graph_set::GraphSet;
use super::layer::LayerDescription;
use super::locate::Step::{Field, Index};
use super::model::{Input, Plan};

/// Bytes of an `f32`.
const NUMBER: usize = 4;

/// Bytes of a node and of an edge as entities, with their ticks and their places in the topology.
const NODE: usize = 128;
const EDGE: usize = 160;

/// How large a graph is, as far as memory goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    nodes: usize,
    edges: usize,
    /// What is computed at once: nodes, edges and graphs of the largest batch, or of all.
    batch: [usize; 3],
    input: Input,
    /// Bytes of the features of nodes and edges, and of the targets.
    features: usize,
}

impl Extent {
    /// The least a graph that is not yet read can be: its model alone may already be too large.
    pub const SMALLEST: Self = Self {
        nodes: 1,
        edges: 0,
        batch: [1, 0, 0],
        input: Input { width: 1, stored: None, edges: None },
        features: 0,
    };

    /// The size of a graph, of which `scene` reads the features.
    pub fn of(data: &GraphData, scene: &Scene) -> Self {
        let stored = scene.stored_features(&data.features);
        let width = data.features.width();
        let of_edges = data.edge_features.as_ref();
        let numbers = data.nodes.saturating_mul(stored.map_or(width, |stored| 2 * stored));
        let regression = scene.task.regression_loss().and(data.targets.as_ref());
        let targets = regression.map_or(0, |rows| rows.values.len());
        let of_edge = of_edges.map_or(0, |rows| rows.values.len());
        Self {
            nodes: data.nodes,
            edges: data.edges.len(),
            batch: match &data.graphs {
                Some(graphs) => largest_batch(graphs, scene.training.batch.unwrap_or(graphs.len())),
                None => [data.nodes, data.edges.len(), 1],
            },
            input: Input { width, stored, edges: of_edges.map(|rows| rows.width) },
            features: numbers.saturating_add(of_edge).saturating_add(targets).saturating_mul(NUMBER),
        }
    }
}

/// The nodes, edges and graphs of so many graphs, if the largest meet.
fn largest_batch(graphs: &GraphSet, size: usize) -> [usize; 3] {
    let largest = |count: fn(&GraphSet, usize) -> usize| {
        let mut sizes: Vec<usize> = (0..graphs.len()).map(|graph| count(graphs, graph)).collect();
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        sizes.iter().take(size).sum()
    };
    let nodes = largest(|graphs, graph| graphs.nodes(graph).len());
    [nodes, largest(|graphs, graph| graphs.edges(graph).len()), size.min(graphs.len())]
}

/// What the model of a scene is on a graph of this size, and the bytes that training takes; or the layer that cannot be.
pub(super) fn estimate(scene: &Scene, extent: Extent) -> Result<(Plan, usize), Fault> {
    let available = available();
    let entities = extent.nodes.saturating_mul(NODE).saturating_add(extent.edges.saturating_mul(EDGE));
    let before = extent.features.saturating_add(entities);
    let [nodes, edges, subgraphs] = extent.batch;
    let room = Room { nodes, edges, subgraphs, bytes: available.saturating_sub(before) };
    let plan = scene.plan(&extent.input, room).map_err(|error| fault(scene, error, before, available))?;
    Ok((plan, before.saturating_add(plan.bytes)))
}

/// Whether the model of a scene is too large for any graph. What else may be wrong with it, its graph will show.
pub(super) fn check_size(scene: &Scene) -> Result<(), Fault> {
    let room = Room { nodes: 1, edges: 0, subgraphs: 0, bytes: available() };
    match scene.plan(&Extent::SMALLEST.input, room) {
        Err(error @ BuildError::TooLarge { .. }) => Err(fault(scene, error, 0, room.bytes)),
        _ => Ok(()),
    }
}

/// Where in the scene it lies that its model cannot be built.
fn fault(scene: &Scene, error: BuildError, before: usize, available: usize) -> Fault {
    let name = |layer: usize| scene.model.get(layer).map_or("the model", LayerDescription::name);
    match error {
        BuildError::Layer { layer, setting, reason } => {
            let (reason, help) =
                reason.split_once("; ").unwrap_or((&reason, "change the layer, or what comes before it"));
            let path = [&[Field("model"), Index(layer)][..], setting.map(Field).as_slice()].concat();
            Fault::new(path, format!("{} {reason}", name(layer)), help)
        }
        BuildError::Sparse { layer } => {
            let message = format!("{} reads every number of its input, but the features are sparse", name(layer));
            Fault::new([Field("model"), Index(layer)], message, "put a Linear or GraphConv before it")
        }
        BuildError::TooLarge { layer, needed } => {
            let needed = needed.and_then(|needed| needed.checked_add(before));
            let needed = needed.map_or_else(|| "more than can be counted".to_owned(), megabytes);
            let message = format!(
                "with layer {layer} ({}) the model needs {needed} of memory, but {} are available",
                name(layer),
                megabytes(available),
            );
            let help = "make the layer narrower, or the graph smaller";
            Fault::new([Field("model"), Index(layer), Field("width")], message, help)
        }
        error => Fault::new([Field("model")], error.to_string(), "change the model"),
    }
}

fn megabytes(bytes: usize) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}

/// Bytes that this machine can still hand out, as far as it tells.
pub(crate) fn available() -> usize {
    std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|table| kilobytes(&table)?.checked_mul(1024))
        .unwrap_or(isize::MAX as usize)
}

fn kilobytes(table: &str) -> Option<usize> {
    let line = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_memory_is_read() {
        assert_eq!(kilobytes("MemTotal:  9 kB\nMemAvailable:   12345 kB\n"), Some(12345));
        assert_eq!(kilobytes("MemTotal:  9 kB\n"), None);
        assert_eq!(kilobytes("MemAvailable: much\n"), None);
    }
}
