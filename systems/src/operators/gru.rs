//! The update of a gated recurrent unit.

use connectome_components::{Field, Matrix, Signal};
use core::ops::Range;

use super::rows::{Cut, write_rows};
use crate::{
    Phase,
    kernels::sigmoid,
    layers::{BuildError, LayerBuilder},
};

/// `r = sigmoid(I_r + H_r)`, `z = sigmoid(I_z + H_z)`, `n = tanh(I_n + r * H_n)` and `Y = (1 - z) * n + z * S`, number by
/// number (Cho et al. 2014, in the form of PyTorch's `GRUCell`): the gates that the input asks for are `[I_r | I_z | I_n]`,
/// `[N, 3C]`, those that the state asks for `[H_r | H_z | H_n]`, and the state `S` is `[N, C]`.
///
/// The way back computes the gates anew.
///
/// # Errors
/// If a signal is sparse, on other rows than the others, or the gates are not three times as wide as the state.
pub fn gru(
    layer: &mut LayerBuilder,
    input_gates: Signal,
    hidden_gates: Signal,
    hidden: Signal,
) -> Result<Signal, BuildError> {
    let [from_input, from_hidden, state] =
        [layer.dense(input_gates)?, layer.dense(hidden_gates)?, layer.dense(hidden)?];
    let fits = |gates: Field| gates.domain() == state.domain() && gates.width() == 3 * state.width();
    if !fits(from_input) || !fits(from_hidden) {
        let (found, expected) = (from_input.width().max(from_hidden.width()), 3 * state.width());
        return Err(layer.refuse(format!("has gates {found} wide, and needs {expected} on the rows of its state")));
    }
    let learns = [input_gates, hidden_gates, hidden].iter().any(Signal::learns);
    let output = layer.signal(state.domain(), state.width(), learns)?;
    let fields = [from_input, from_hidden, state];
    let forward = write_rows(
        layer,
        "gru",
        Cut::Even,
        fields,
        output.value(),
        #[inline(always)]
        |_, fields, rows, output| {
            for_each_unit(fields, rows, |place, unit| output[place] = unit.output());
        },
    );
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[input_gates, hidden_gates, hidden], move |layer, gradient| {
        let fields = [from_input, from_hidden, state, gradient];
        for (gates, from_hidden) in [(input_gates, false), (hidden_gates, true)] {
            let Some(target) = layer.gradient_of(gates)? else { continue };
            let backward = write_rows(
                layer,
                "gru_gates_backward",
                Cut::Even,
                fields,
                target,
                #[inline(always)]
                move |_, [from_input, hidden_gates, state, gradient], rows, target| {
                    let width = state.width();
                    let gradient = gradient.slice(rows.clone());
                    for_each_unit([from_input, hidden_gates, state], rows, |place, unit| {
                        let (row, column) = (place / width, place % width);
                        let gates = unit.gate_gradients(gradient[place], from_hidden);
                        for (number, gate) in gates.into_iter().enumerate() {
                            target[(3 * row + number) * width + column] = gate;
                        }
                    });
                },
            );
            layer.backward(backward);
        }
        let Some(target) = layer.gradient_of(hidden)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "gru_backward",
            Cut::Even,
            fields,
            target,
            #[inline(always)]
            |_, [from_input, from_hidden, state, gradient], rows, target| {
                let gradient = gradient.slice(rows.clone());
                for_each_unit([from_input, from_hidden, state], rows, |place, unit| {
                    target[place] = unit.update * gradient[place];
                });
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

/// One number of the state and its gates.
struct Unit {
    state: f32,
    reset: f32,
    update: f32,
    candidate: f32,
    /// What the state asks of the candidate, before the reset.
    asked: f32,
}

impl Unit {
    #[inline(always)]
    fn output(&self) -> f32 {
        (1.0 - self.update) * self.candidate + self.update * self.state
    }

    /// The gradients by the gates `r`, `z` and `n` before their nonlinearities, as the input or the state has asked.
    #[inline(always)]
    fn gate_gradients(&self, gradient: f32, from_hidden: bool) -> [f32; 3] {
        let Self { state, reset, update, candidate, asked } = *self;
        let by_candidate = gradient * (1.0 - update) * (1.0 - candidate * candidate);
        let by_update = gradient * (state - candidate) * update * (1.0 - update);
        let by_reset = by_candidate * asked * reset * (1.0 - reset);
        [by_reset, by_update, if from_hidden { by_candidate * reset } else { by_candidate }]
    }
}

/// Calls `with` for each number of the state in some rows, with its place among them.
#[inline(always)]
fn for_each_unit(fields: [&Matrix; 3], rows: Range<usize>, mut with: impl FnMut(usize, Unit)) {
    let [from_input, from_hidden, state] = fields;
    let width = state.width();
    for (number, row) in rows.enumerate() {
        let (from_input, from_hidden, states) = (from_input.row(row), from_hidden.row(row), state.row(row));
        for (column, state) in states.iter().enumerate() {
            let gate = |gate: usize| (from_input[gate * width + column], from_hidden[gate * width + column]);
            let ((reset, reset_asked), (update, update_asked), (candidate, asked)) = (gate(0), gate(1), gate(2));
            let reset = sigmoid(reset + reset_asked);
            let unit = Unit {
                state: *state,
                reset,
                update: sigmoid(update + update_asked),
                candidate: (candidate + reset * asked).tanh(),
                asked,
            };
            with(number * width + column, unit);
        }
    }
}
