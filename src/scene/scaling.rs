//! Transformations of node features.

use super::description::{NodeFeatures, SceneFile};
use super::error::Fault;
use super::locate::Step;
use crate::data::Features;
use crate::data::GraphData;

impl NodeFeatures {
    /// Whether the features of the data are used.
    pub(super) fn reads_features(self) -> bool {
        matches!(self, Self::Given | Self::RowNormalized)
    }
}

/// Applies the scene's transformations to the features.
pub(super) fn scale(data: &mut GraphData, scene: &SceneFile) -> Result<(), Fault> {
    if data.kinds.is_none() {
        return scale_nodes(data, scene.features, &[]);
    }
    let of_kind = |rank: usize| [Step::Field("nodes"), Step::Ranked(rank)];
    for (place, (rank, _, described)) in scene.all_kinds().into_iter().enumerate() {
        let other = |data| place.checked_sub(1).and_then(|other| kind_at(data, other));
        match other(&mut *data) {
            Some(nodes) => scale_nodes(nodes, described.features, &of_kind(rank))?,
            None => scale_nodes(data, described.features, &of_kind(rank))?,
        }
    }
    Ok(())
}

/// The nodes of the kind in this place among those beside the graph's own.
fn kind_at(data: &mut GraphData, place: usize) -> Option<&mut GraphData> {
    data.kinds.as_mut()?.others.get_mut(place).map(|kind| &mut kind.nodes)
}

/// Transforms the features of some nodes as is said at a path.
fn scale_nodes(data: &mut GraphData, scaling: NodeFeatures, path: &[Step<'static>]) -> Result<(), Fault> {
    match scaling {
        NodeFeatures::Given => {}
        NodeFeatures::RowNormalized => {
            data.features.normalize_rows();
            check_finite(data, path)?;
        }
        // The number of nodes was checked when the graph was read.
        NodeFeatures::Identity => data.features = Features::identity(data.nodes as u32),
        NodeFeatures::Degree => data.features = degrees(data),
        NodeFeatures::Ones => data.features = Features::Dense { width: 1, values: vec![1.0; data.nodes] },
    }
    Ok(())
}

fn check_finite(data: &GraphData, path: &[Step<'static>]) -> Result<(), Fault> {
    if data.features.values().iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    let message = "the features of a node sum to almost 0, so that dividing by the sum gives infinite numbers";
    let path = [path, &[Step::Field("features")]].concat();
    Err(Fault::new(path, message, "write `features: Given`, or change the features"))
}

/// The one-hot encoding of each node's in-degree, among the degrees that occur.
fn degrees(data: &GraphData) -> Features {
    let degrees = data.degrees();
    let mut occurring = degrees.clone();
    occurring.sort_unstable();
    occurring.dedup();
    let column = |degree: &u32| occurring.partition_point(|other| other < degree) as u32;
    Features::one_hot(degrees.iter().map(column).collect(), occurring.len())
}
