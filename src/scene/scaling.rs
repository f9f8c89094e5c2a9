//! Transformations of node features.

use super::description::NodeFeatures;
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

/// Applies the scene's transformation to the features.
pub(super) fn scale(data: &mut GraphData, scaling: NodeFeatures) -> Result<(), Fault> {
    match scaling {
        NodeFeatures::Given => {}
        NodeFeatures::RowNormalized => {
            data.features.normalize_rows();
            check_finite(data)?;
        }
        // The number of nodes was checked when the graph was read.
        NodeFeatures::Identity => data.features = Features::identity(data.nodes as u32),
        NodeFeatures::Degree => data.features = degrees(data),
        NodeFeatures::Ones => data.features = Features::Dense { width: 1, values: vec![1.0; data.nodes] },
    }
    Ok(())
}

fn check_finite(data: &GraphData) -> Result<(), Fault> {
    if data.features.values().iter().all(|value| value.is_finite()) {
        return Ok(());
    }
    let message = "the features of a node sum to almost 0, so that dividing by the sum gives infinite numbers";
    Err(Fault::new([Step::Field("features")], message, "write `features: Given`, or change the features"))
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
