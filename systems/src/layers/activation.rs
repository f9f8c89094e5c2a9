//! Activations as layers.

use bevy_ecs::system::{ParamBuilder, Res, SystemParamBuilder};
use connectome_components::{Column, ColumnMut, Signal};

use super::{BuildError, Layer, LayerBuilder};
use crate::{
    Blocks, Phase, RowsMut, Workers,
    kernels::{Activation, vectorize},
};

/// `Y = f(X)`, number by number; `[N, F]` to `[N, F]`.
impl Layer for Activation {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let (input, input_gradient) = layer.dense(input)?;
        let (value, gradient) = layer.output(input.width())?;
        let activation = *self;
        let forward = (input.read(), value.write(), ParamBuilder::resource::<Workers>())
            .build_state(layer.world())
            .build_system(move |input: Column, mut output: ColumnMut, workers: Res<Workers>| {
                let (input, width) = (input.matrix(), input.width());
                for (start, chunk) in output.matrix().chunks_mut() {
                    let blocks = Blocks::of_width(0, width).within(start, chunk.len() / width);
                    workers.for_each_block(blocks, 2 * width, RowsMut::new(chunk, width), |rows, output| {
                        vectorize(
                            #[inline(always)]
                            || {
                                output.data.copy_from_slice(input.slice(rows));
                                activation.apply(output.data);
                            },
                        );
                    });
                }
            });
        layer.forward(Phase::Update, forward.with_name("activate"));
        if let (Some(gradient), Some(input_gradient)) = (gradient, input_gradient) {
            let state = ((input.read(), gradient.read(), input_gradient.write()), ParamBuilder::resource::<Workers>())
                .build_state(layer.world());
            let backward = state.build_system(
                move |(input, gradient, mut input_gradient): (Column, Column, ColumnMut), workers: Res<Workers>| {
                    let (input, gradient, width) = (input.matrix(), gradient.matrix(), input.width());
                    for (start, chunk) in input_gradient.matrix().chunks_mut() {
                        let blocks = Blocks::of_width(0, width).within(start, chunk.len() / width);
                        workers.for_each_block(blocks, 3 * width, RowsMut::new(chunk, width), |rows, output| {
                            vectorize(
                                #[inline(always)]
                                || {
                                    output.data.copy_from_slice(gradient.slice(rows.clone()));
                                    activation.chain(input.slice(rows), output.data);
                                },
                            );
                        });
                    }
                },
            );
            layer.backward(backward.with_name("activate_backward"));
        }
        Ok(Signal::Dense { value, gradient })
    }
}
