//! Gated recurrent units over directed acyclic graphs.

use connectome_components::Direction;

use super::{
    Messages, Rows, add_bias, elements, footprint,
    messages::{Known, Prepared, attended_sums, gated_backward, log_sum_exp, score_gradient, sum},
    of_one_kind, on_nodes, partitions, product, transpose,
};
use crate::{
    error::BuildError,
    kernels::{Operand, dot, gru_cell, gru_cell_backward, matmul, matmul_onto, sigmoid, vectorize},
    operators::{epilogue::bias_gradient, linear::weight_gradient},
    program::{
        Cost, Footprint, LevelPass, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight, kernel,
    },
};

/// The weights of [`dag_gru`].
#[derive(Clone, Copy, Debug)]
pub struct DagGruCell {
    /// `W`, `[C, 3C]`.
    pub hidden: Weight,
    /// `b`, `[3C]`.
    pub bias: Weight,
    /// How the states of predecessors are aggregated.
    pub messages: Messages,
}

/// `H[v] = GRU(I[v], M[v] W + b, M[v])`, level by level: the input's terms of the gates are `I`, `[N, 3C]`, and the state
/// before `M[v]` is aggregated from the predecessors of `v`, 0 without any; see [`gru`](crate::operators::gru) for the cell,
/// and [`Messages`] for the aggregates. `H` is `[N, C]`.
///
/// Costs `3 N C^2 + E C` multiplications; with gates `2 N C^2` more. The backward pass recomputes `M` and the gates, and
/// needs `4 N C` numbers for these and as many for gradients.
///
/// # Errors
/// If a value is sparse or not on nodes, or the weights do not fit each other.
pub fn dag_gru(
    program: &mut Program,
    input_gates: Value,
    cell: DagGruCell,
    direction: Direction,
) -> Result<Value, BuildError> {
    of_one_kind(program)?;
    let mut inputs = vec![program.dense(input_gates)?, cell.hidden.value(), cell.bias.value()];
    inputs.extend(cell.messages.values());
    let outputs = program.record(DagGru { cell, direction }, &inputs)?;
    Ok(outputs.first().copied().unwrap_or(input_gates))
}

/// [`dag_gru`]: reads the input's terms of the gates, the weights, the bias, and the weights of the messages. Its second
/// output, if there is one, is what nodes send beside their states.
#[derive(Clone, Copy, Debug)]
struct DagGru {
    cell: DagGruCell,
    direction: Direction,
}

impl Operator for DagGru {
    fn name(&self) -> &'static str {
        "dag_gru"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        on_nodes(&inputs[0])?;
        let (found, width) = (inputs[0].width(), self.width());
        let fits = self.cell.hidden.shape()[1] == 3 * width && self.cell.bias.range().len() == 3 * width;
        if found != 3 * width || !fits || !self.cell.messages.fit(width) {
            return Err(format!(
                "has gates of width {found} for a state of width {width}; give gates of three times that width, and \
                 weights that fit"
            ));
        }
        let state = Shape::new(inputs[0].domain(), width);
        Ok([Some(state), self.cell.messages.sent(state)].into_iter().flatten().collect())
    }

    fn direction(&self) -> Option<Direction> {
        Some(self.direction)
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn cost(&self, _: &[Value], _: &[Value]) -> Cost {
        let messages: usize = match self.cell.messages {
            Messages::Gated { gate, map, .. } => gate.range().len() + map.range().len(),
            Messages::Sum | Messages::Attention { .. } => 0,
        };
        Cost { per_row: self.cell.hidden.range().len() + messages, per_entry: self.width() }
    }

    fn run(&self, step: &mut Step<'_>) {
        match self.cell.messages {
            Messages::Sum => self.forward::<1>(step),
            Messages::Gated { .. } | Messages::Attention { .. } => self.forward::<2>(step),
        }
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let (DagGruCell { hidden, bias, messages }, width) = (self.cell, self.width());
        let (input_gates, states) = (operation.inputs[0], operation.outputs[0]);
        let sent = operation.outputs.get(1).copied().unwrap_or(states);
        let [state_shape, gate_shape] = [states.shape(), input_gates.shape()];
        let [predecessors, successors] = partitions(self.direction);
        let score_shape = Shape { width: 1, ..state_shape };
        // What the walk reads: known of all nodes at once.
        let (aggregates, mut known) = match messages {
            Messages::Attention { key } => {
                let shapes = [state_shape, score_shape];
                let [aggregates, logarithms] = tape.compute_pair(self.attend(), &[states, sent], shapes)?;
                (aggregates, vec![states, sent, logarithms, key.value()])
            }
            Messages::Sum | Messages::Gated { .. } => {
                (tape.compute(gather(predecessors), &[sent], state_shape)?, Vec::new())
            }
        };
        if let Messages::Gated { gate, bias, map } = messages {
            let gates = product(&gate, Some(&bias));
            let gates = tape.compute(gates, &[states, gate.value(), bias.value()], state_shape)?;
            let maps = tape.compute(product(&map, None), &[states, map.value()], state_shape)?;
            known.extend([gates, maps]);
            for weight in [gate, map] {
                let (transpose, shape) = transpose(&weight);
                known.push(tape.compute(transpose, &[weight.value()], shape)?);
            }
        }
        let gates = product(&hidden, Some(&bias));
        let hidden_gates = tape.compute(gates, &[aggregates, hidden.value(), bias.value()], gate_shape)?;
        let (transpose, shape) = transpose(&hidden);
        let transposed = tape.compute(transpose, &[hidden.value()], shape)?;
        let inputs: Vec<Value> = [gradient, input_gates, hidden_gates, aggregates, transposed]
            .into_iter()
            .chain(known.iter().copied())
            .collect();
        let with_products = width + usize::from(matches!(messages, Messages::Attention { .. }));
        let shapes = [Shape { width: with_products, ..state_shape }, gate_shape];
        let [by_aggregates, by_input] = tape.compute_pair(self.backward(), &inputs, shapes)?;
        // What follows from it for all nodes at once.
        let by_hidden = tape.update(hidden_gates, hidden_gradient(), &[by_input, input_gates])?;
        let of_weights = weight_gradient(&hidden, 1.0);
        tape.weight_gradient(hidden.value(), hidden.range(), of_weights, &[aggregates, by_hidden])?;
        bias_gradient(bias.value(), by_hidden, tape)?;
        match (messages, &known[..]) {
            (Messages::Gated { gate, bias, map }, &[gates, maps, ..]) => {
                let by_sent = tape.compute(gather(successors), &[by_aggregates], state_shape)?;
                let [by_gates, by_maps] =
                    tape.compute_pair(gated_gradients(), &[gates, maps, by_sent], [state_shape; 2])?;
                for (weight, by) in [(gate, by_gates), (map, by_maps)] {
                    let of_weights = weight_gradient(&weight, 1.0);
                    tape.weight_gradient(weight.value(), weight.range(), of_weights, &[states, by])?;
                }
                bias_gradient(bias.value(), by_gates, tape)?;
            }
            (Messages::Attention { key }, &[.., logarithms, _]) => {
                let sums = tape.compute(self.attended(), &[by_aggregates, sent, logarithms], by_aggregates.shape())?;
                let by_scores = tape.compute(score_gradients(), &[sums, states], score_shape)?;
                let of_key = weight_gradient(&key, 1.0);
                tape.weight_gradient(key.value(), key.range(), of_key, &[by_scores, states])?;
            }
            _ => {}
        }
        tape.add_term(input_gates, by_input)
    }
}

impl DagGru {
    fn width(&self) -> usize {
        self.cell.hidden.shape()[0]
    }

    fn pass(&self, descends: bool) -> LevelPass {
        let width = self.width();
        // A row multiplies with all weights, a vector at once.
        let cost = width * width / 4;
        LevelPass { direction: self.direction, descends, block: [32, 128], cost, buffer: 7 * width + 1 }
    }

    fn forward<const K: usize>(&self, step: &mut Step<'_>) {
        let (width, input_gates) = (self.width(), step.input(0));
        let weight = elements(&step.input(1), &self.cell.hidden);
        let bias = elements(&step.input(2), &self.cell.bias);
        let messages = self.cell.messages.prepare(step, 3);
        let direction = self.direction;
        step.write_levels(
            self.pass(false),
            #[inline(always)]
            |topology, written, rows, outputs: [&mut [f32]; K], buffer| {
                let [predecessors, _] = topology.neighbors(direction);
                let (aggregates, gates) = buffer.split_at_mut(rows.len() * width);
                let (gates, _) = gates.split_at_mut(rows.len() * 3 * width);
                // Either all nodes of a level have predecessors or none.
                if predecessors.entries(rows[0] as usize).is_empty() {
                    aggregates.fill(0.0);
                    gates.chunks_exact_mut(3 * width).for_each(|gates| gates.copy_from_slice(bias));
                } else {
                    let ((states, first), (sent, _)) = (written.output(0), written.output(K - 1));
                    messages.aggregate(predecessors, Rows::Listed(rows), [states, sent], first, aggregates);
                    matmul(Operand::new(aggregates, width), Operand::new(weight, 3 * width), gates);
                    add_bias(gates, bias);
                }
                let mut outputs = outputs.into_iter();
                let Some(states) = outputs.next() else { return };
                let known = gates.chunks_exact(3 * width).zip(aggregates.chunks_exact(width));
                for ((row, (gates, aggregate)), state) in rows.iter().zip(known).zip(states.chunks_exact_mut(width)) {
                    gru_cell(input_gates.row(*row as usize), gates, aggregate, state);
                }
                if let Some(sent) = outputs.next() {
                    messages.send(states, gates, sent);
                }
            },
        );
    }

    /// The gradients with respect to the aggregates, with another column of their dot product with these for attention, and
    /// to the input's terms of the gates. Reads the gradient with respect to the states, both terms of the gates, the
    /// aggregates, the transposed weights, and then what [`Known`] says.
    fn backward(self) -> impl Operator {
        kernel("dag_gru_backward", Footprint::All, move |step: &mut Step<'_>| {
            let width = self.width();
            let [gradients, input_gates, hidden_gates, aggregates] = [0, 1, 2, 3].map(|input| step.input(input));
            let weight = step.input(4).rows().next().unwrap_or_default();
            let known = self.known(step, 5);
            let has_products = matches!(known, Known::Attention { .. });
            step.write_levels(
                self.pass(true),
                #[inline(always)]
                |topology, written, rows, [by_aggregates, by_input], buffer| {
                    let [predecessors, successors] = topology.neighbors(self.direction);
                    let (gradient, buffer) = buffer.split_at_mut(rows.len() * width);
                    known.backward(successors, rows, written.output(0), buffer, gradient);
                    let (by_hidden, buffer) = buffer.split_at_mut(rows.len() * 3 * width);
                    let (with_products, by_aggregates) = match has_products {
                        true => (Some(by_aggregates), &mut buffer[..rows.len() * width]),
                        false => (None, by_aggregates),
                    };
                    for (index, row) in rows.iter().enumerate() {
                        let (row, units, gates) = (*row as usize, index * width, 3 * index * width);
                        let gradient = &mut gradient[units..units + width];
                        gradient.iter_mut().zip(gradients.row(row)).for_each(|(sum, term)| *sum += term);
                        gru_cell_backward(
                            [input_gates.row(row), hidden_gates.row(row), aggregates.row(row), gradient],
                            [
                                &mut by_input[gates..gates + 3 * width],
                                &mut by_hidden[gates..gates + 3 * width],
                                &mut by_aggregates[units..units + width],
                            ],
                        );
                    }
                    // Nobody reads those of nodes without predecessors.
                    if predecessors.entries(rows[0] as usize).is_empty() {
                        by_aggregates.fill(0.0);
                    } else {
                        let (by_hidden, weight) = (Operand::new(by_hidden, 3 * width), Operand::new(weight, width));
                        matmul_onto(by_hidden, weight, 1.0, true, by_aggregates);
                    }
                    let Some(with_products) = with_products else { return };
                    let targets = with_products.chunks_exact_mut(width + 1).zip(by_aggregates.chunks_exact(width));
                    for (row, (target, by_aggregate)) in rows.iter().zip(targets) {
                        target[..width].copy_from_slice(by_aggregate);
                        target[width] = dot(by_aggregate, aggregates.row(*row as usize));
                    }
                },
            );
        })
        .by_levels(self.direction)
    }

    /// What is known of the messages, of which the first is input number `first`.
    fn known<'a>(&self, step: &Step<'a>, first: usize) -> Known<'a> {
        let matrix = |input: usize| step.input(first + input);
        let row = |input: usize| matrix(input).rows().next().unwrap_or_default();
        match &self.cell.messages {
            Messages::Sum => Known::Sum,
            Messages::Gated { .. } => Known::Gated { gates: matrix(0), maps: matrix(1), gate: row(2), map: row(3) },
            Messages::Attention { key } => Known::Attention {
                states: matrix(0),
                scores: matrix(1),
                logarithms: matrix(2),
                key: elements(&matrix(3), key),
            },
        }
    }

    /// The aggregates of attention and the logarithms of the sums of the exponentials of the scores, from states and scores.
    fn attend(self) -> impl Operator {
        let [partition, _] = partitions(self.direction);
        kernel("dag_gru_attend", footprint(partition), move |step: &mut Step<'_>| {
            step.write_row_groups(
                partition,
                [0, 1],
                #[inline(always)]
                |topology, [states, scores], rows, [aggregates, logarithms]| {
                    let [predecessors, _] = topology.neighbors(self.direction);
                    let messages = Prepared::Attention { key: &[] };
                    messages.aggregate(predecessors, Rows::From(rows.start), [states, scores], 0, aggregates);
                    for (row, logarithm) in rows.zip(logarithms) {
                        *logarithm = log_sum_exp(predecessors, row, (scores, 0));
                    }
                },
            );
        })
    }

    /// The [`attended_sums`] of the gradients with respect to the aggregates: reads these, the scores and the logarithms.
    fn attended(self) -> impl Operator {
        let [_, partition] = partitions(self.direction);
        kernel("dag_gru_attended", footprint(partition), move |step: &mut Step<'_>| {
            step.write_rows(
                partition,
                [0, 1, 2],
                #[inline(always)]
                |topology, [gradients, scores, logarithms], rows, output| {
                    let [_, successors] = topology.neighbors(self.direction);
                    attended_sums(successors, Rows::From(rows.start), (gradients, 0), [scores, logarithms], output);
                },
            );
        })
    }
}

/// The gradients with respect to the scores: reads the attended sums and the states.
fn score_gradients() -> impl Operator {
    kernel("dag_gru_scores", Footprint::Same, |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |_, [sums, states], rows, output| {
                for (row, output) in rows.zip(output) {
                    *output = score_gradient(sums.row(row), states.row(row));
                }
            },
        );
    })
}

/// The sums over predecessors, or over successors.
fn gather(partition: Partition) -> impl Operator {
    kernel("dag_gather", footprint(partition), move |step: &mut Step<'_>| {
        step.write_rows(
            partition,
            [0],
            #[inline(always)]
            move |topology, [values], rows, output| {
                let adjacency = partition.adjacency(topology).unwrap_or(&topology.incoming);
                sum(adjacency, Rows::From(rows.start), (values, 0), output);
            },
        );
    })
}

/// Turns the state's terms of the gates into the gradients with respect to them: reads those with respect to the input's
/// terms, which differ in the candidate alone, and these terms.
fn hidden_gradient() -> impl Operator {
    kernel("dag_gru_gates", Footprint::Same, |step: &mut Step<'_>| {
        let (gradients, input_gates) = (step.input(0), step.input(1));
        let width = gradients.width() / 3;
        step.write_blocks(2 * gradients.width(), |rows, output| {
            vectorize(
                #[inline(always)]
                || {
                    for (row, gates) in rows.zip(output.chunks_exact_mut(3 * width)) {
                        let (gradient, input) = (gradients.row(row), input_gates.row(row));
                        let (reset, candidate) = gates.split_at_mut(2 * width);
                        let resets = reset[..width].iter().zip(&input[..width]);
                        for ((candidate, gradient), (hidden, input)) in
                            candidate.iter_mut().zip(&gradient[2 * width..]).zip(resets)
                        {
                            *candidate = gradient * sigmoid(input + hidden);
                        }
                        reset.copy_from_slice(&gradient[..2 * width]);
                    }
                },
            );
        });
    })
}

/// The gradients with respect to gates and maps: reads both, and the gradient with respect to what is sent.
fn gated_gradients() -> impl Operator {
    kernel("dag_gru_messages", Footprint::Same, |step: &mut Step<'_>| {
        step.write_row_groups(
            Partition::Uniform,
            [0, 1, 2],
            #[inline(always)]
            |_, [gates, maps, gradients], rows, [by_gates, by_maps]| {
                by_maps.copy_from_slice(gradients.slice(rows.clone()));
                gated_backward([gates.slice(rows.clone()), maps.slice(rows)], by_gates, by_maps);
            },
        );
    })
}
