//! The update of a long short-term memory.

use connectome_components::Matrix;
use core::ops::Range;

use crate::{
    error::BuildError,
    kernels::{sigmoid, tanh},
    program::{Cost, Footprint, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
};

/// `i, f, o = sigmoid(G_i), sigmoid(G_f), sigmoid(G_o)`, `n = tanh(G_n)`, `C' = f * C + i * n` and `H = o * tanh(C')`,
/// elementwise (Hochreiter & Schmidhuber 1997, in the form of PyTorch's `LSTMCell`): the gates are
/// `[G_i | G_f | G_n | G_o]`, `[N, 4C]`, the cell `C` is `[N, C]`. Returns the hidden state `H` and the cell `C'`.
///
/// The backward pass recomputes the gates.
///
/// # Errors
/// If a value is sparse, they are on different rows, or the gates are not four times as wide as the cell.
pub fn lstm(program: &mut Program, gates: Value, cell: Value) -> Result<[Value; 2], BuildError> {
    let inputs = [program.dense(gates)?, program.dense(cell)?];
    let outputs = program.record(Lstm, &inputs)?;
    Ok([outputs[0], outputs[1]])
}

/// [`lstm`]: reads the gates and the cell.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Lstm;

impl Operator for Lstm {
    fn name(&self) -> &'static str {
        "lstm"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let (gates, cell) = (inputs[0].shape(), inputs[1].shape());
        if gates.domain == cell.domain && gates.width == 4 * cell.width {
            return Ok(vec![cell, cell]);
        }
        let (found, expected) = (gates.width, 4 * cell.width);
        Err(format!("has gates of width {found}, but needs {expected} on the rows of its cell; give them that width"))
    }

    fn cost(&self, _: &[Value], outputs: &[Value]) -> Cost {
        Cost { per_row: 4 * outputs.first().map_or(0, Value::width), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_row_groups(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |_, values, rows, [hidden, cells]| {
                for_each_unit(values, rows, |index, unit| {
                    hidden[index] = unit.output * unit.squashed;
                    cells[index] = unit.next;
                });
            },
        );
    }

    fn differentiate_outputs(
        &self,
        operation: &Operation,
        gradients: &[Option<Value>],
        tape: &mut Tape<'_>,
    ) -> Result<(), BuildError> {
        let (&[gates, cell], &[hidden_gradient, cell_gradient]) = (&operation.inputs[..], gradients) else {
            return Ok(());
        };
        let known = [hidden_gradient, cell_gradient];
        let inputs: Vec<Value> = [gates, cell].into_iter().chain(known.into_iter().flatten()).collect();
        // Where the gradients are among the inputs.
        let places = [hidden_gradient.map(|_| 2), cell_gradient.map(|_| 2 + usize::from(hidden_gradient.is_some()))];
        tape.gradient(gates, backward(places, true), &inputs)?;
        tape.gradient(cell, backward(places, false), &inputs)
    }
}

/// The gradient with respect to the gates, or to the cell, from that with respect to the hidden state and the next
/// cell.
fn backward(places: [Option<usize>; 2], of_gates: bool) -> impl Operator {
    let name = if of_gates { "lstm_gates_backward" } else { "lstm_backward" };
    kernel(name, Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1, places[0].unwrap_or(0), places[1].unwrap_or(0)],
            #[inline(always)]
            move |_, [gates, cell, by_hidden, by_next], rows, target| {
                let (width, first) = (cell.width(), rows.start);
                for_each_unit([gates, cell], rows, |index, unit| {
                    let (row, feature) = (index / width, index % width);
                    let of = |place: Option<usize>, gradient: &Matrix| {
                        place.map_or(0.0, |_| gradient.row(first + row)[feature])
                    };
                    let (by_hidden, by_next) = (of(places[0], by_hidden), of(places[1], by_next));
                    // With respect to the next cell, by both outputs.
                    let total = by_next + by_hidden * unit.output * (1.0 - unit.squashed * unit.squashed);
                    if !of_gates {
                        target[index] = total * unit.forget;
                        return;
                    }
                    let gradients = [
                        total * unit.candidate * unit.input * (1.0 - unit.input),
                        total * unit.cell * unit.forget * (1.0 - unit.forget),
                        total * unit.input * (1.0 - unit.candidate * unit.candidate),
                        by_hidden * unit.squashed * unit.output * (1.0 - unit.output),
                    ];
                    for (position, gradient) in gradients.into_iter().enumerate() {
                        target[(4 * row + position) * width + feature] = gradient;
                    }
                });
            },
        );
    })
}

/// One element of the cell and its gates.
struct Unit {
    cell: f32,
    input: f32,
    forget: f32,
    candidate: f32,
    output: f32,
    /// The next cell, and its hyperbolic tangent.
    next: f32,
    squashed: f32,
}

/// Calls `with` for each element of the cell in some rows, with its index among them.
#[inline(always)]
fn for_each_unit([gates, cell]: [&Matrix; 2], rows: Range<usize>, mut with: impl FnMut(usize, Unit)) {
    let width = cell.width();
    for (index, row) in rows.enumerate() {
        let gates = gates.row(row);
        for (feature, &cell) in cell.row(row).iter().enumerate() {
            let gate = |position: usize| gates[position * width + feature];
            let [input, forget, output] = [0, 1, 3].map(|position| sigmoid(gate(position)));
            let candidate = tanh(gate(2));
            let next = forget * cell + input * candidate;
            with(index * width + feature, Unit { cell, input, forget, candidate, output, next, squashed: tanh(next) });
        }
    }
}
