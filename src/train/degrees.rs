//! The mean degrees that [`PnaConv`](crate::systems::layers::PnaConv) compares those of nodes with.

use bevy_ecs::{entity::Entity, world::World};

use crate::components::Split;
use crate::data::GraphData;
use crate::parts::parameters;

/// What the name of a buffer ends with, and what of a degree is averaged.
type MeanDegree = (&'static str, fn(f64) -> f64);

const MEANS: [MeanDegree; 2] = [("aggr_module.avg_deg_lin", |degree| degree), ("aggr_module.avg_deg_log", f64::ln_1p)];

/// Sets the mean degrees of a model to those of the data that it learns from: of the training graphs of a set, or of the whole of
/// one graph. Its first batch, on which the model would measure them itself, is only a part, and sampled neighbors are fewer than
/// there are. What the scene gives is kept.
pub(super) fn set_mean_degrees(world: &mut World, model: Entity, data: &GraphData) {
    let mut degrees = None;
    for of in parameters(world, model) {
        let mean = MEANS.iter().find(|(name, _)| of.parameter.name.ends_with(name));
        let Some((_, value)) = mean.filter(|_| of.numbers(world, model) == [0.0]) else { continue };
        let degrees = degrees.get_or_insert_with(|| training_degrees(data));
        let sum: f64 = degrees.iter().map(|degree| value(f64::from(*degree))).sum();
        of.numbers_mut(world, model).fill((sum / degrees.len().max(1) as f64) as f32);
    }
}

/// How many edges enter each node to learn from.
fn training_degrees(data: &GraphData) -> Vec<u32> {
    let degrees = data.degrees();
    let Some(graphs) = &data.graphs else { return degrees };
    let trained = (0..graphs.len()).filter(|&graph| graphs.splits[graph] == Split::Train);
    trained.flat_map(|graph| &degrees[graphs.nodes(graph)]).copied().collect()
}
