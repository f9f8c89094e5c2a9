//! Dropout, whose mask is drawn again on the way back.

use bevy_ecs::{
    component::ComponentId,
    system::{BoxedSystem, ParamBuilder, Query, Res, SystemParamBuilder},
};
use connectome_components::{Column, ColumnMut, Field, Signal, TrainingState};
use core::ops::Range;

use crate::{
    Blocks, Phase, RowsMut, Workers, kernels,
    layers::{BuildError, LayerBuilder, Mode},
    random::Philox,
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
    if !drops(layer, rate)? {
        return Ok(input);
    }
    let purpose = layer.purpose();
    let values = input.value();
    let output = layer.signal(values.domain(), values.width(), input.learns())?;
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

/// A column `[N, width]` of zeros, with probability `rate`, and of `1 / (1 - rate)`: what dropout multiplies by. None outside
/// of training.
///
/// # Errors
/// If the rate is no share below 1.
pub(super) fn draw_mask(
    layer: &mut LayerBuilder,
    on: ComponentId,
    width: usize,
    rate: f32,
) -> Result<Option<Signal>, BuildError> {
    if !drops(layer, rate)? {
        return Ok(None);
    }
    let purpose = layer.purpose();
    let output = layer.signal(on, width, false)?;
    let forward = mask(layer, rate, purpose, output.value());
    layer.forward(Phase::Message, forward);
    Ok(Some(output))
}

/// Whether anything is dropped at all.
fn drops(layer: &LayerBuilder, rate: f32) -> Result<bool, BuildError> {
    if !(0.0..1.0).contains(&rate) {
        return Err(
            layer.refuse(format!("dropout of {rate} is no share below 1; give a rate from 0 up to, but not, 1"))
        );
    }
    Ok(layer.mode() == Mode::Training && rate > 0.0)
}

/// `to = from * mask / (1 - rate)`.
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
        move |(from, to): (Column, ColumnMut), state: Query<&TrainingState>, workers: Res<Workers>| {
            let (Ok(state), from) = (state.get(model), from.matrix()) else { return };
            let random = Philox::new(state.seed, purpose, state.micro_step());
            for_each_block(&workers, to, |rows, place, to| {
                kernels::dropout(rate, &random, place, from.slice(rows), to);
            });
        },
    );
    Box::new(system.with_name(name))
}

/// `to = mask / (1 - rate)`.
fn mask(layer: &mut LayerBuilder, rate: f32, purpose: u32, to: Field) -> BoxedSystem {
    const ONES: [f32; 1024] = [1.0; 1024];
    let model = layer.model();
    let state = (to.write(), ParamBuilder::query::<&TrainingState>(), ParamBuilder::resource::<Workers>())
        .build_state(layer.world());
    let system = state.build_system(move |to: ColumnMut, state: Query<&TrainingState>, workers: Res<Workers>| {
        let Ok(state) = state.get(model) else { return };
        let random = Philox::new(state.seed, purpose, state.micro_step());
        for_each_block(&workers, to, |_, place, to| {
            for (number, to) in to.chunks_mut(ONES.len()).enumerate() {
                kernels::dropout(rate, &random, place + number * ONES.len(), &ONES[..to.len()], to);
            }
        });
    });
    Box::new(system.with_name("draw_mask"))
}

/// Calls `body` with the rows of each block, the place of its first number, and its numbers.
fn for_each_block(workers: &Workers, mut to: ColumnMut, body: impl Fn(Range<usize>, usize, &mut [f32]) + Sync) {
    let width = to.width();
    for (start, chunk) in to.matrix().chunks_mut() {
        let blocks = Blocks::of_width(0, width).within(start, chunk.len() / width);
        workers.for_each_block(blocks, 8 * width, RowsMut::new(chunk, width), |rows, to| {
            let place = rows.start * width;
            body(rows, place, to.data);
        });
    }
}
