//! Heads brought together.

use connectome_components::Signal;

use super::{
    epilogue::Epilogue,
    rows::{Cut, write_rows},
    weighted_sum::check_heads,
};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// `Y[i, c] = f(1/H sum over h of X[i, h c] + b[c])`: `X` is `[N, H C]`, the result `[N, C]`.
///
/// # Errors
/// If the signal is sparse, or the heads do not divide its columns.
pub fn mean_heads(
    layer: &mut LayerBuilder,
    input: Signal,
    heads: usize,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    check_heads(layer, values, heads)?;
    let columns = values.width() / heads;
    let share = 1.0 / heads as f32;
    let output = layer.signal(values.domain(), columns, input.learns() || epilogue.learns())?;
    epilogue.check(layer, values.domain(), columns)?;
    let (finish, [bias, blended]) = (epilogue.finish(), epilogue.fields(values, values));
    let forward = write_rows(
        layer,
        "mean_heads",
        Cut::Even,
        [values, bias, blended],
        output.value(),
        #[inline(always)]
        move |_, [values, bias, blended], rows, output| {
            for (row, output) in rows.clone().zip(output.chunks_exact_mut(columns)) {
                output.fill(0.0);
                for head in values.row(row).chunks_exact(columns) {
                    output.iter_mut().zip(head).for_each(|(sum, value)| *sum += value);
                }
                output.iter_mut().for_each(|sum| *sum *= share);
            }
            finish.apply([bias, blended], rows, output, columns);
        },
    );
    layer.forward(Phase::Update, forward);
    let keeps = epilogue.keeps(output);
    layer.on_backward(output, &keeps, move |layer, gradient| {
        epilogue.backward(layer, output.value(), gradient)?;
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "mean_heads_backward",
            Cut::Even,
            [gradient],
            target,
            #[inline(always)]
            move |_, [gradient], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(heads * columns)) {
                    for head in target.chunks_exact_mut(columns) {
                        head.iter_mut().zip(gradient.row(row)).for_each(|(target, number)| *target = share * number);
                    }
                }
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}
