//! Dropout.

use bevy_ecs::system::{ParamBuilder, Query, Res, SystemParamBuilder};
use connectome_components::{Column, ColumnMut, Field, Signal, TrainingState};

use super::{BuildError, Layer, LayerBuilder, Mode};
use crate::{Blocks, Phase, RowsMut, Workers, kernels::drop_out, random::Random};

/// Sets each number to 0 with probability `rate` while training, and divides the others by `1 - rate` (Srivastava et al.,
/// JMLR 2014). Outside of training it is not there at all: the next layer reads its input.
///
/// Of a sparse signal only the stored numbers are drawn for. The random numbers are keyed by seed, layer, step, row and
/// column, so the backward pass draws the same mask again and none is kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout(pub f32);

impl Layer for Dropout {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        if !(0.0..1.0).contains(&self.0) {
            let reason = format!("dropout of {} is no share below 1; give a rate from 0 up to, but not, 1", self.0);
            return Err(BuildError::Layer { layer: layer.index(), reason });
        }
        if layer.mode() == Mode::Inference || self.0 == 0.0 {
            return Ok(input);
        }
        match input {
            Signal::Dense { value: features, gradient: features_gradient } => {
                let (value, gradient) = layer.output(features.width())?;
                self.drop_out(layer, features, value, false);
                if let (Some(gradient), Some(features_gradient)) = (gradient, features_gradient) {
                    self.drop_out(layer, gradient, features_gradient, true);
                }
                Ok(Signal::Dense { value, gradient })
            }
            Signal::Sparse { columns, values, width } => {
                let kept = layer.field("output", values.width())?;
                self.drop_out(layer, values, kept, false);
                Ok(Signal::Sparse { columns, values: kept, width })
            }
        }
    }
}

impl Dropout {
    fn drop_out(self, layer: &mut LayerBuilder, from: Field, to: Field, backward: bool) {
        let (model, purpose, Self(rate)) = (layer.model(), layer.index() as u32, self);
        let state =
            ((from.read(), to.write()), ParamBuilder::query::<&TrainingState>(), ParamBuilder::resource::<Workers>())
                .build_state(layer.world());
        let system = state.build_system(
            move |(from, mut to): (Column, ColumnMut), state: Query<&TrainingState>, workers: Res<Workers>| {
                let Ok(state) = state.get(model) else { return };
                let random = Random::new(state.seed, purpose, state.step);
                let (from, width) = (from.matrix(), from.width());
                for (start, chunk) in to.matrix().chunks_mut() {
                    let blocks = Blocks::of_width(0, width).within(start, chunk.len() / width);
                    workers.for_each_block(blocks, 8 * width, RowsMut::new(chunk, width), |rows, to| {
                        drop_out(rate, &random, rows.start * width, from.slice(rows), to.data);
                    });
                }
            },
        );
        if backward {
            layer.backward(system.with_name("drop_out_backward"));
        } else {
            layer.forward(Phase::Update, system.with_name("drop_out"));
        }
    }
}
