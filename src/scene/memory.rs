//! How much memory a scene will need, known before any of it is taken.

use super::data::GraphData;
use super::description::Scene;
use super::error::Fault;
use super::features::Features;
use super::layer::LayerDescription;
use super::locate::Step::{Field, Index};

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
    /// Columns of the features.
    width: usize,
    /// Bytes of the features of nodes and edges.
    features: usize,
}

impl Extent {
    /// The least a graph that is not yet read can be: its model alone may already be too large.
    pub const SMALLEST: Self = Self { nodes: 1, edges: 0, width: 1, features: 0 };

    /// The size of a graph.
    pub fn of(data: &GraphData) -> Self {
        let stored = data.features.values().len();
        let bytes_each = match data.features {
            Features::Dense { .. } => NUMBER,
            Features::Sparse { .. } => 2 * NUMBER,
        };
        let of_edges = data.edge_features.as_ref().map_or(0, |rows| rows.values.len());
        Self {
            nodes: data.nodes,
            edges: data.edges.len(),
            width: data.features.width(),
            features: stored.saturating_mul(bytes_each).saturating_add(of_edges.saturating_mul(NUMBER)),
        }
    }
}

/// Bytes that training the scene on a graph of this size takes, or the layer that is too large for the machine.
pub(super) fn estimate(scene: &Scene, extent: Extent) -> Result<usize, Fault> {
    let available = available();
    let entities = extent.nodes.saturating_mul(NODE).saturating_add(extent.edges.saturating_mul(EDGE));
    let mut total = extent.features.saturating_add(entities);
    let mut width = extent.width;
    for (number, layer) in scene.model.iter().enumerate() {
        let sum = layer_bytes(scene, layer, extent, width).and_then(|bytes| total.checked_add(bytes));
        total = sum.filter(|&sum| sum <= available).ok_or_else(|| too_large(number, layer, sum, available))?;
        width = layer.width().unwrap_or(width);
    }
    Ok(total)
}

/// Values and gradients for each node, the messages of a convolution, and parameters with their gradients and the
/// optimizer's moments. None if the number overflows.
fn layer_bytes(scene: &Scene, layer: &LayerDescription, extent: Extent, input: usize) -> Option<usize> {
    let output = layer.width().unwrap_or(input);
    let fields = match layer {
        LayerDescription::GraphConv(_) | LayerDescription::MessagePassing(_) => 3,
        _ => 2,
    };
    let values = extent.nodes.checked_mul(output)?.checked_mul(fields * NUMBER)?;
    let copies = scene.optimizer.moments().checked_add(2)?;
    let parameters = parameters(layer, input)?.checked_mul(copies)?.checked_mul(NUMBER)?;
    values.checked_add(parameters)
}

/// How many numbers the layer learns: a weight matrix and a bias.
fn parameters(layer: &LayerDescription, input: usize) -> Option<usize> {
    let Some(output) = layer.width() else { return Some(0) };
    input.checked_mul(output)?.checked_add(output)
}

fn too_large(number: usize, layer: &LayerDescription, needed: Option<usize>, available: usize) -> Fault {
    let needed = needed.map_or_else(|| "more than can be counted".to_owned(), megabytes);
    let message = format!(
        "with layer {number} ({}) the model needs {needed} of memory, but {} are available",
        layer.name(),
        megabytes(available),
    );
    Fault::new(
        [Field("model"), Index(number), Field("width")],
        message,
        "make the layer narrower, or the graph smaller",
    )
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
