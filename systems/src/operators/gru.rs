//! The update of a gated recurrent unit.

use connectome_components::Matrix;
use core::{array, ops::Range};

use crate::{
    error::BuildError,
    kernels::GruUnit,
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

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
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
                    let gates = match from_hidden {
                        false => unit.input_gradients(gradient[index]),
                        true => unit.hidden_gradients(gradient[index]),
                    };
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
                    target[index] = unit.state_gradient(gradient[index]);
                });
            },
        );
    })
}

/// Calls `with` for each element of the state in some rows, with its index among them.
#[inline(always)]
fn for_each_unit(values: [&Matrix; 3], rows: Range<usize>, mut with: impl FnMut(usize, GruUnit)) {
    let [from_input, from_hidden, state] = values;
    let width = state.width();
    for (index, row) in rows.enumerate() {
        let (from_input, from_hidden, states) = (from_input.row(row), from_hidden.row(row), state.row(row));
        for (feature, state) in states.iter().enumerate() {
            let gates = |terms: &[f32]| array::from_fn(|gate| terms[gate * width + feature]);
            let unit = GruUnit::new(gates(from_input), gates(from_hidden), *state);
            with(index * width + feature, unit);
        }
    }
}
