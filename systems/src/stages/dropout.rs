//! Dropout, whose mask is drawn again on the way back.

use bevy_ecs::system::{BoxedSystem, ParamBuilder, Query, Res, SystemParamBuilder};
use connectome_components::{Column, ColumnMut, Field, Signal, TrainingState};

use crate::{
    Blocks, Phase, RowsMut, Workers, kernels,
    layers::{BuildError, LayerBuilder, Mode},
    random::Random,
};

/// Sets each number to 0 with probability `rate` while training, and divides the others by `1 - rate` (Srivastava et al.,
/// JMLR 2014). Outside of training it is not there at all: the signal itself is returned.
///
/// Of a sparse signal only the stored numbers are drawn for. The random numbers are keyed by seed, stage, step and place,
/// so the backward pass draws the same mask again and none is kept.
///
/// # Errors
/// If the rate is no share below 1.
pub fn drop_out(layer: &mut LayerBuilder, input: Signal, rate: f32) -> Result<Signal, BuildError> {
    if !(0.0..1.0).contains(&rate) {
        return Err(
            layer.refuse(format!("dropout of {rate} is no share below 1; give a rate from 0 up to, but not, 1"))
        );
    }
    if layer.mode() == Mode::Inference || rate == 0.0 {
        return Ok(input);
    }
    let purpose = layer.purpose();
    let values = input.value();
    let output = layer.signal(values.on(), values.width(), input.learns())?;
    let forward = masked(layer, "drop_out", values, rate, purpose, output.value());
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[], move |layer, gradient| {
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = masked(layer, "drop_out_backward", gradient, rate, purpose, target);
        layer.backward(backward);
        Ok(())
    });
    Ok(match input {
        Signal::Sparse { columns, width, .. } => Signal::Sparse { columns, values: output.value(), width },
        Signal::Dense { .. } => output,
    })
}

fn masked(
    layer: &mut LayerBuilder,
    name: &'static str,
    from: Field,
    rate: f32,
    purpose: u32,
    to: Field,
) -> BoxedSystem {
    let model = layer.model();
    let state =
        ((from.read(), to.write()), ParamBuilder::query::<&TrainingState>(), ParamBuilder::resource::<Workers>())
            .build_state(layer.world());
    let system = state.build_system(
        move |(from, mut to): (Column, ColumnMut), state: Query<&TrainingState>, workers: Res<Workers>| {
            let Ok(state) = state.get(model) else { return };
            let random = Random::new(state.seed, purpose, state.pass());
            let (from, width) = (from.matrix(), from.width());
            for (start, chunk) in to.matrix().chunks_mut() {
                let blocks = Blocks::of_width(0, width).within(start, chunk.len() / width);
                workers.for_each_block(blocks, 8 * width, RowsMut::new(chunk, width), |rows, to| {
                    kernels::drop_out(rate, &random, rows.start * width, from.slice(rows), to.data);
                });
            }
        },
    );
    Box::new(system.with_name(name))
}
