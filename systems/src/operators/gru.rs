//! The update of a gated recurrent unit.

use connectome_components::Matrix;
use core::ops::Range;

use crate::{
    error::BuildError,
    kernels::sigmoid,
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `r = sigmoid(I_r + H_r)`, `z = sigmoid(I_z + H_z)`, `n = tanh(I_n + r * H_n)` and `Y = (1 - z) * n + z * S`,
/// elementwise (Cho et al. 2014, in the form of PyTorch's `GRUCell`): the input's terms of the gates are
/// `[I_r | I_z | I_n]`, `[N, 3C]`, the state's `[H_r | H_z | H_n]`, and the state `S` is `[N, C]`.
///
/// The backward pass recomputes the gates.
///
/// # Errors
/// If a value is sparse, on other rows than the others, or the gates are not three times as wide as the state.
pub fn gru(program: &mut Program, input_gates: Value, hidden_gates: Value, hidden: Value) -> Result<Value, BuildError> {
    let inputs = [program.dense(input_gates)?, program.dense(hidden_gates)?, program.dense(hidden)?];
    program.record_one(Gru, &inputs)
}

/// [`gru`]: reads the gates of the input, those of the state, and the state.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Gru;

impl Operator for Gru {
    fn name(&self) -> &'static str {
        "gru"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let state = inputs[2].shape();
        let fits = |gates: &Value| gates.domain() == state.domain && gates.width() == 3 * state.width;
        if inputs[..2].iter().all(fits) {
            return Ok(vec![state]);
        }
        let (found, expected) = (inputs[0].width().max(inputs[1].width()), 3 * state.width);
        Err(format!(
            "has gates of shape {found}, but needs {expected} on the rows of its state; give both gates that width"
        ))
    }

    fn cost(&self, _: &[Value], outputs: &[Value]) -> Cost {
        Cost { per_row: 3 * outputs.first().map_or(0, Value::width), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2],
            #[inline(always)]
            |_, values, rows, output| {
                for_each_unit(values, rows, |index, unit| output[index] = unit.output());
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[input_gates, hidden_gates, state] = &operation.inputs[..] else { return Ok(()) };
        let inputs = [input_gates, hidden_gates, state, gradient];
        for (gates, from_hidden) in [(input_gates, false), (hidden_gates, true)] {
            tape.gradient(gates, gate_gradient(from_hidden), &inputs)?;
        }
        tape.gradient(state, state_gradient(), &inputs)
    }
}

/// The gradient with respect to the input's or the state's terms of the gates.
fn gate_gradient(from_hidden: bool) -> impl Operator {
    kernel("gru_gates_backward", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2, 3],
            #[inline(always)]
            move |_, [input_gates, hidden_gates, state, gradient], rows, target| {
                let width = state.width();
                let gradient = gradient.slice(rows.clone());
                for_each_unit([input_gates, hidden_gates, state], rows, |index, unit| {
                    let (row, feature) = (index / width, index % width);
                    let gates = unit.gate_gradients(gradient[index], from_hidden);
                    for (position, gate) in gates.into_iter().enumerate() {
                        target[(3 * row + position) * width + feature] = gate;
                    }
                });
            },
        );
    })
}

/// The gradient with respect to the state, except through the gates.
fn state_gradient() -> impl Operator {
    kernel("gru_backward", Footprint::Same, |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1, 2, 3],
            #[inline(always)]
            |_, [input_gates, hidden_gates, state, gradient], rows, target| {
                let gradient = gradient.slice(rows.clone());
                for_each_unit([input_gates, hidden_gates, state], rows, |index, unit| {
                    target[index] = unit.update * gradient[index];
                });
            },
        );
    })
}

/// One element of the state and its gates.
struct Unit {
    state: f32,
    reset: f32,
    update: f32,
    candidate: f32,
    /// The state's term of the candidate, before the reset gate.
    hidden_candidate: f32,
}

impl Unit {
    #[inline(always)]
    fn output(&self) -> f32 {
        (1.0 - self.update) * self.candidate + self.update * self.state
    }

    /// The gradients with respect to the input's or the state's terms of `r`, `z` and `n`.
    #[inline(always)]
    fn gate_gradients(&self, gradient: f32, from_hidden: bool) -> [f32; 3] {
        let Self { state, reset, update, candidate, hidden_candidate } = *self;
        let by_candidate = gradient * (1.0 - update) * (1.0 - candidate * candidate);
        let by_update = gradient * (state - candidate) * update * (1.0 - update);
        let by_reset = by_candidate * hidden_candidate * reset * (1.0 - reset);
        [by_reset, by_update, if from_hidden { by_candidate * reset } else { by_candidate }]
    }
}

/// Calls `with` for each element of the state in some rows, with its index among them.
#[inline(always)]
fn for_each_unit(values: [&Matrix; 3], rows: Range<usize>, mut with: impl FnMut(usize, Unit)) {
    let [from_input, from_hidden, state] = values;
    let width = state.width();
    for (index, row) in rows.enumerate() {
        let (from_input, from_hidden, states) = (from_input.row(row), from_hidden.row(row), state.row(row));
        for (feature, state) in states.iter().enumerate() {
            let gate = |gate: usize| (from_input[gate * width + feature], from_hidden[gate * width + feature]);
            let ((reset, hidden_reset), (update, hidden_update), (candidate, hidden_candidate)) =
                (gate(0), gate(1), gate(2));
            let reset = sigmoid(reset + hidden_reset);
            let unit = Unit {
                state: *state,
                reset,
                update: sigmoid(update + hidden_update),
                candidate: (candidate + reset * hidden_candidate).tanh(),
                hidden_candidate,
            };
            with(index * width + feature, unit);
        }
    }
}
