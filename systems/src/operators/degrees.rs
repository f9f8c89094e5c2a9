//! Factors for each node by how many edges come to it.

use bevy_ecs::system::{ParamBuilder, Query, SystemParamBuilder};
use connectome_components::{ColumnMut, Parameter, Signal, Topology};

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// A factor made of the number `d` of edges that come to a node, and the mean `m` of `ln(d + 1)` over many nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DegreeScaler {
    /// 1 if there is such an edge, 0 if not.
    Presence,
    /// `ln(d + 1) / m` (Corso et al., NeurIPS 2020, eq. 5 with exponent 1).
    Amplification,
    /// `m / ln(d + 1)`, where 1 stands in for a `d` of 0 (the same with exponent -1).
    Attenuation,
}

impl DegreeScaler {
    #[inline(always)]
    fn factor(self, degree: usize, mean: f32) -> f32 {
        let log = |degree: usize| (degree as f32).ln_1p();
        match self {
            Self::Presence => f32::from(u8::from(degree > 0)),
            // The mean is 0 on a graph without edges: there is nothing to compare with.
            _ if mean <= 0.0 => 1.0,
            Self::Amplification => log(degree) / mean,
            Self::Attenuation => mean / log(degree.max(1)),
        }
    }
}

/// The factor of each node, `[N, 1]`; `mean` is the number `m`.
///
/// # Errors
/// If the field cannot be registered.
pub fn degree_factors(layer: &mut LayerBuilder, scaler: DegreeScaler, mean: &Parameter) -> Result<Signal, BuildError> {
    let nodes = layer.rows().nodes;
    let output = layer.signal(nodes, 1, false)?;
    let forward = write_rows(
        layer,
        "degree_factors",
        Cut::Even,
        [mean.value],
        output.value(),
        #[inline(always)]
        move |topology, [mean], rows, output| {
            let Some([mean]) = mean.rows().next() else { return };
            for (row, output) in rows.zip(output) {
                *output = scaler.factor(topology.incoming.entries(row).len(), *mean);
            }
        },
    );
    layer.forward(Phase::Update, forward);
    Ok(output)
}

/// Takes the means of `d` and of `ln(d + 1)` over the nodes of the present graph, each unless it is known, that is more
/// than 0.
pub fn measure_degrees(layer: &mut LayerBuilder, mean: &Parameter, mean_of_logarithms: &Parameter) {
    let graph = layer.graph();
    let state = (mean.value.write(), mean_of_logarithms.value.write(), ParamBuilder::query::<&Topology>())
        .build_state(layer.world());
    let system = state.build_system(
        move |mut mean: ColumnMut, mut mean_of_logarithms: ColumnMut, topology: Query<&Topology>| {
            let Ok(topology) = topology.get(graph) else { return };
            measure(&mut mean, &topology.incoming.offsets, |degree| degree);
            measure(&mut mean_of_logarithms, &topology.incoming.offsets, f64::ln_1p);
        },
    );
    layer.forward(Phase::Update, system.with_name("measure_degrees"));
}

/// The mean of a function of the degrees, unless it is known.
fn measure(mean: &mut ColumnMut, offsets: &[u32], of: impl Fn(f64) -> f64) {
    if let (Some(mean @ ..=0.0), 2..) = (mean.matrix().rows_mut().flatten().next(), offsets.len()) {
        let degrees = offsets.windows(2).map(|pair| of(f64::from(pair[1] - pair[0])));
        *mean = (degrees.sum::<f64>() / (offsets.len() - 1) as f64) as f32;
    }
}
