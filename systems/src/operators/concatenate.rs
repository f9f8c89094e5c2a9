//! Signals put side by side, and taken apart.

use connectome_components::{Field, Signal};
use core::ops::Range;

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// The columns of the first signal, then those of the second, and so on, all on the same rows.
///
/// # Errors
/// If there is none, one is sparse, or they are on different rows.
pub fn concatenate(layer: &mut LayerBuilder, signals: &[Signal]) -> Result<Signal, BuildError> {
    let fields = signals.iter().map(|signal| layer.dense(*signal)).collect::<Result<Vec<Field>, BuildError>>()?;
    let Some(on) = fields.first().map(Field::domain) else { return Err(layer.refuse("puts no signals side by side")) };
    if fields.iter().any(|field| field.domain() != on) {
        return Err(layer.refuse("puts signals on different rows side by side"));
    }
    let width = fields.iter().map(Field::width).sum();
    let output = layer.signal(on, width, signals.iter().any(Signal::learns))?;
    let mut start = 0;
    let mut places = Vec::new();
    for (signal, field) in signals.iter().zip(fields) {
        let columns = start..start + field.width();
        start = columns.end;
        let place = columns.clone();
        let forward = write_rows(
            layer,
            "concatenate",
            Cut::Even,
            [field],
            output.value(),
            #[inline(always)]
            move |_, [values], rows, output| {
                for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                    output[place.clone()].copy_from_slice(values.row(row));
                }
            },
        );
        layer.forward(Phase::Update, forward);
        places.push((*signal, columns));
    }
    layer.on_backward(output, &[], move |layer, gradient| {
        for (signal, columns) in places {
            if let Some(target) = layer.gradient_of(signal)? {
                let backward = take_columns(layer, "concatenate_backward", gradient, columns, target);
                layer.backward(backward);
            }
        }
        Ok(())
    });
    Ok(output)
}

/// Some columns of a signal.
///
/// # Errors
/// If the signal is sparse, or has not all these columns.
pub fn columns(layer: &mut LayerBuilder, input: Signal, columns: Range<usize>) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    if columns.end > values.width() {
        let (end, width) = (columns.end, values.width());
        return Err(layer.refuse(format!("takes columns up to {end} of a signal {width} wide")));
    }
    let output = layer.signal(values.domain(), columns.len(), input.learns())?;
    let forward = take_columns(layer, "columns", values, columns.clone(), output.value());
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[], move |layer, gradient| {
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = put_columns(layer, "columns_backward", gradient, columns, target);
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

/// The signal with zeros behind, `width` columns altogether; the signal itself if it has these.
///
/// # Errors
/// If the signal is sparse or wider.
pub fn pad(layer: &mut LayerBuilder, input: Signal, width: usize) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let columns = 0..values.width();
    if columns.end > width {
        return Err(layer.refuse(format!("widens a signal to {width}, but it is {} wide already", columns.end)));
    }
    if columns.end == width {
        return Ok(input);
    }
    let output = layer.signal(values.domain(), width, input.learns())?;
    let forward = put_columns(layer, "pad", values, columns.clone(), output.value());
    layer.forward(Phase::Message, forward);
    layer.on_backward(output, &[], move |layer, gradient| {
        let Some(target) = layer.gradient_of(input)? else { return Ok(()) };
        let backward = take_columns(layer, "pad_backward", gradient, columns, target);
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

/// Writes all columns of `to`: those of `from` where they belong, zeros in the others.
fn put_columns(
    layer: &mut LayerBuilder,
    name: &'static str,
    from: Field,
    columns: Range<usize>,
    to: Field,
) -> bevy_ecs::system::BoxedSystem {
    let width = to.width();
    write_rows(
        layer,
        name,
        Cut::Even,
        [from],
        to,
        #[inline(always)]
        move |_, [from], rows, to| {
            for (row, to) in rows.zip(to.chunks_exact_mut(width)) {
                to.fill(0.0);
                to[columns.clone()].copy_from_slice(from.row(row));
            }
        },
    )
}

/// Some columns of `from`, of which `to` has just these.
pub(super) fn take_columns(
    layer: &mut LayerBuilder,
    name: &'static str,
    from: Field,
    columns: Range<usize>,
    to: Field,
) -> bevy_ecs::system::BoxedSystem {
    write_rows(
        layer,
        name,
        Cut::Even,
        [from],
        to,
        #[inline(always)]
        move |_, [from], rows, to| {
            for (row, to) in rows.zip(to.chunks_exact_mut(columns.len())) {
                to.copy_from_slice(&from.row(row)[columns.clone()]);
            }
        },
    )
}
