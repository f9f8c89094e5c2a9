//! Perceptrons over ordered trees, whose nodes read the states of their children by place.

use connectome_components::{Direction, Matrix};

use super::{add_bias, elements, footprint, of_one_kind, on_nodes, partitions, product, slots::Slots, transpose};
use crate::{
    error::BuildError,
    kernels::{Activation, Operand, matmul},
    operators::{epilogue::bias_gradient, linear::weight_gradient},
    program::{
        Cost, Domain, Footprint, LevelPass, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, Weight,
        kernel,
    },
};

/// The weights of [`tree_levels`].
#[derive(Clone, Debug)]
pub struct TreeCell {
    /// `W`, `[K C, D]`: the rows of the first map by which the children are multiplied.
    pub children: Weight,
    /// The state of a missing child, `[C]`; zeros without.
    pub missing: Option<Weight>,
    /// The weights and the bias of each further map, the first of which is `[D, ..]`, the last `[.., C]`.
    pub maps: Vec<[Weight; 2]>,
    /// The activation between maps.
    pub activation: Activation,
    /// `K`.
    pub arity: usize,
}

/// `H[v] = W_n f(.. f(I[v] + sum over places k of H[child of v at k] W_k) ..) + b_n`, level by level: a perceptron of each
/// node whose first map is that of `[x, child 0, child 1, ..]`, where `I`, `[N, D]`, is the part of `x`, with the bias.
///
/// The children of a node are its predecessors; the place of each is a value on edges, `[E, 1]`. Several children at one
/// place are added; a child whose place is not one of `0..K` is not read. Costs `N (K C D + ..)` multiplications.
///
/// # Errors
/// If a value is sparse or on other rows, or the weights do not fit each other.
pub fn tree_levels(
    program: &mut Program,
    input: Value,
    places: Value,
    cell: TreeCell,
    direction: Direction,
) -> Result<Value, BuildError> {
    of_one_kind(program)?;
    let mut inputs = vec![program.dense(input)?, program.dense(places)?, cell.children.value()];
    inputs.extend(cell.missing.map(|missing| missing.value()));
    inputs.extend(cell.maps.iter().flatten().map(Weight::value));
    let edges = program.edges();
    program.record_one(TreeLevels { cell, direction, edges }, &inputs)
}

/// [`tree_levels`]: reads the part of the input, the places, the weights of the children, the state of a missing child if
/// there is one, and then weights and bias of each further map.
#[derive(Clone, Debug)]
struct TreeLevels {
    cell: TreeCell,
    direction: Direction,
    edges: Domain,
}

impl Operator for TreeLevels {
    fn name(&self) -> &'static str {
        "tree_levels"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        on_nodes(&inputs[0])?;
        if inputs[1].shape() != Shape::new(self.edges, 1) {
            let found = inputs[1].shape();
            return Err(format!(
                "reads the place of each child from a value of shape {found}; give one of width 1 on edges"
            ));
        }
        let (TreeCell { children, maps, missing, arity, .. }, width) = (&self.cell, self.width());
        let chained = maps.iter().try_fold(children.shape()[1], |inputs, [weight, bias]| {
            let [rows, columns] = weight.shape();
            (rows == inputs && bias.range().len() == columns).then_some(columns)
        });
        let fits = chained == Some(width)
            && children.shape() == [arity * width, inputs[0].width()]
            && missing.is_none_or(|missing| missing.range().len() == width);
        match fits {
            true => Ok(vec![Shape::new(inputs[0].domain(), width)]),
            false => {
                Err("has weights that do not fit each other; give each map the width of the one before".to_owned())
            }
        }
    }

    fn direction(&self) -> Option<Direction> {
        Some(self.direction)
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn cost(&self, _: &[Value], _: &[Value]) -> Cost {
        let maps = self.cell.maps.iter().map(|[weight, _]| weight.range().len());
        Cost { per_row: self.cell.children.range().len() + maps.sum::<usize>(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (cell, width, [inner, hidden]) = (&self.cell, self.width(), self.cell.children.shape());
        let (input, places) = (step.input(0), step.input(1));
        let children = elements(&step.input(2), &cell.children);
        let missing = cell.missing.map(|missing| elements(&step.input(3), &missing));
        let first = 3 + usize::from(missing.is_some());
        let maps: Vec<[&[f32]; 2]> = (first..)
            .step_by(2)
            .zip(&cell.maps)
            .map(|(index, [weight, bias])| {
                [elements(&step.input(index), weight), elements(&step.input(index + 1), bias)]
            })
            .collect();
        let slots = Slots { arity: cell.arity, width, missing };
        step.write_levels(
            self.pass(false),
            #[inline(always)]
            |topology, written, rows, [output], buffer| {
                let [predecessors, _] = topology.neighbors(self.direction);
                let (states, mut rest) = buffer.split_at_mut(rows.len() * inner);
                for (row, states) in rows.iter().zip(states.chunks_exact_mut(inner)) {
                    slots.fill(predecessors.of(*row as usize), &places, written.output(0), states);
                }
                let mut output = Some(output);
                let mut target = |width: usize, is_last: bool| match output.take_if(|_| is_last) {
                    Some(output) => output,
                    None => {
                        let (target, others) = core::mem::take(&mut rest).split_at_mut(rows.len() * width);
                        rest = others;
                        target
                    }
                };
                let mut values = target(hidden, maps.is_empty());
                matmul(Operand::new(states, inner), Operand::new(children, hidden), values);
                for (row, values) in rows.iter().zip(values.chunks_exact_mut(hidden)) {
                    values.iter_mut().zip(input.row(*row as usize)).for_each(|(value, input)| *value += input);
                }
                for (index, [weight, bias]) in maps.iter().enumerate() {
                    cell.activation.apply(values);
                    let (inner, next) = (values.len() / rows.len(), target(bias.len(), index + 1 == maps.len()));
                    matmul(Operand::new(values, inner), Operand::new(weight, bias.len()), next);
                    add_bias(next, bias);
                    values = next;
                }
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let TreeCell { children, missing, maps, activation, .. } = &self.cell;
        let &[input, places, ..] = &operation.inputs[..] else { return Ok(()) };
        let (states, domain) = (operation.outputs[0], input.domain());
        let shape = |width: usize| Shape::new(domain, width);
        let [inner, _] = children.shape();
        // What the walk reads: the sums before each activation, of all nodes at once.
        let inputs: Vec<Value> = [states, places].into_iter().chain(missing.map(|missing| missing.value())).collect();
        let of_children = tape.compute(self.children(), &inputs, shape(inner))?;
        let mut sums = tape.compute(product(children, None), &[of_children, children.value()], input.shape())?;
        sums = tape.update(sums, add(), &[input])?;
        let mut hidden = Vec::new();
        for (index, [weight, bias]) in maps.iter().enumerate() {
            let activated = tape.compute(activate(*activation), &[sums], sums.shape())?;
            let (transpose, transposed) = transpose(weight);
            let transposed = tape.compute(transpose, &[weight.value()], transposed)?;
            hidden.push((sums, activated, transposed));
            if index + 1 < maps.len() {
                let inputs = [activated, weight.value(), bias.value()];
                sums = tape.compute(product(weight, Some(bias)), &inputs, shape(bias.range().len()))?;
            }
        }
        let (transpose, transposed) = transpose(children);
        let transposed = tape.compute(transpose, &[children.value()], transposed)?;
        let known = hidden.iter().flat_map(|(sums, _, transposed)| [*sums, *transposed]);
        let inputs: Vec<Value> = [gradient, places, transposed].into_iter().chain(known).collect();
        let shapes = [shape(inner), input.shape()];
        let [by_children, by_input] = tape.compute_pair(self.clone().backward(), &inputs, shapes)?;
        // What follows from it for all nodes at once.
        let of_weights = weight_gradient(children, 1.0);
        tape.weight_gradient(children.value(), children.range(), of_weights, &[of_children, by_input])?;
        if let Some(missing) = missing {
            let by_missing = tape.compute(self.by_missing(), &[by_children, places], states.shape())?;
            bias_gradient(missing.value(), by_missing, tape)?;
        }
        let mut by = tape.compute(self.by_states(), &[gradient, by_children, places], states.shape())?;
        for (index, ([weight, bias], (sums, activated, transposed))) in maps.iter().zip(hidden).enumerate().rev() {
            let of_weights = weight_gradient(weight, 1.0);
            tape.weight_gradient(weight.value(), weight.range(), of_weights, &[activated, by])?;
            bias_gradient(bias.value(), by, tape)?;
            if index > 0 {
                by = tape.compute(chain(*activation), &[by, transposed, sums], sums.shape())?;
            }
        }
        tape.add_term(input, by_input)
    }
}

impl TreeLevels {
    /// The width of the states.
    fn width(&self) -> usize {
        self.cell.maps.last().map_or(self.cell.children.shape()[1], |[weight, _]| weight.shape()[1])
    }

    fn pass(&self, descends: bool) -> LevelPass {
        let (TreeCell { children, maps, .. }, [inner, hidden]) = (&self.cell, self.cell.children.shape());
        let widths = maps.iter().map(|[weight, _]| weight.shape()[1]).sum::<usize>() + hidden;
        let products = maps.iter().map(|[weight, _]| weight.range().len()).sum::<usize>() + children.range().len();
        LevelPass {
            direction: self.direction,
            descends,
            block: [32, 128],
            // A row multiplies with all weights, a vector at once.
            cost: products / 8 + widths,
            buffer: inner + widths,
        }
    }

    fn slots<'a>(&self, missing: Option<&'a [f32]>) -> Slots<'a> {
        Slots { arity: self.cell.arity, width: self.width(), missing }
    }

    /// The states of the children of each node, by place: reads the states, the places, and the state of a missing child if
    /// there is one.
    fn children(&self) -> impl Operator + use<> {
        let ([partition, _], slots, missing) = (partitions(self.direction), self.slots(None), self.cell.missing);
        kernel("tree_children", footprint(partition), move |step: &mut Step<'_>| {
            step.write_rows(
                partition,
                [0, 1, if missing.is_some() { 2 } else { 1 }],
                #[inline(always)]
                move |topology, [states, places, rows_of_missing], rows, output| {
                    let Some(adjacency) = partition.adjacency(topology) else { return };
                    let missing = missing.map(|missing| elements(rows_of_missing, &missing));
                    let slots = Slots { missing, ..slots };
                    for (row, output) in rows.zip(output.chunks_exact_mut(slots.arity * slots.width)) {
                        slots.fill(adjacency.of(row), places, (states, 0), output);
                    }
                },
            );
        })
    }

    /// The gradients with respect to the states of the children of each node, by place, and to the part of the input. Reads
    /// the gradient with respect to the states, the places, the transposed weights of the children, and of each further map
    /// the sums before the activation before it, and its transposed weights.
    fn backward(self) -> impl Operator {
        let direction = self.direction;
        kernel("tree_levels_backward", Footprint::All, move |step: &mut Step<'_>| {
            let [inner, hidden] = self.cell.children.shape();
            let (gradients, places, slots) = (step.input(0), step.input(1), self.slots(None));
            let row = |input: usize| step.input(input).rows().next().unwrap_or_default();
            let children = row(2);
            let maps: Vec<(Matrix, &[f32])> =
                (3..).step_by(2).take(self.cell.maps.len()).map(|index| (step.input(index), row(index + 1))).collect();
            step.write_levels(
                self.pass(true),
                #[inline(always)]
                |topology, written, rows, [by_children, by_input], buffer| {
                    let [_, successors] = topology.neighbors(direction);
                    let (mut by, mut rest) = buffer.split_at_mut(rows.len() * slots.width);
                    for (row, by) in rows.iter().zip(by.chunks_exact_mut(slots.width)) {
                        by.copy_from_slice(gradients.row(*row as usize));
                        slots.add_gradients(successors.of(*row as usize), &places, written.output(0), by);
                    }
                    for (sums, weight) in maps.iter().rev() {
                        let (inner, width) = (by.len() / rows.len(), sums.width());
                        let (next, others) = core::mem::take(&mut rest).split_at_mut(rows.len() * width);
                        matmul(Operand::new(by, inner), Operand::new(weight, width), next);
                        for (row, next) in rows.iter().zip(next.chunks_exact_mut(width)) {
                            self.cell.activation.chain(sums.row(*row as usize), next);
                        }
                        (by, rest) = (next, others);
                    }
                    by_input.copy_from_slice(by);
                    matmul(Operand::new(by_input, hidden), Operand::new(children, inner), by_children);
                },
            );
        })
        .by_levels(direction)
    }

    /// The gradients with respect to the states: reads those from outside, those of the children of each node, and places.
    fn by_states(&self) -> impl Operator + use<> {
        let ([_, partition], slots) = (partitions(self.direction), self.slots(None));
        kernel("tree_states", footprint(partition), move |step: &mut Step<'_>| {
            step.write_rows(
                partition,
                [0, 1, 2],
                #[inline(always)]
                move |topology, [gradients, by_children, places], rows, output| {
                    let Some(adjacency) = partition.adjacency(topology) else { return };
                    output.copy_from_slice(gradients.slice(rows.clone()));
                    for (row, output) in rows.zip(output.chunks_exact_mut(slots.width)) {
                        slots.add_gradients(adjacency.of(row), places, (by_children, 0), output);
                    }
                },
            );
        })
    }

    /// The sum of the gradients with respect to the missing children of each node: reads those of the children by place, and
    /// the places.
    fn by_missing(&self) -> impl Operator + use<> {
        let ([partition, _], slots) = (partitions(self.direction), self.slots(None));
        kernel("tree_missing", footprint(partition), move |step: &mut Step<'_>| {
            step.write_rows(
                partition,
                [0, 1],
                #[inline(always)]
                move |topology, [by_children, places], rows, output| {
                    let Some(adjacency) = partition.adjacency(topology) else { return };
                    for (row, output) in rows.zip(output.chunks_exact_mut(slots.width)) {
                        output.fill(0.0);
                        let (_, edges) = adjacency.of(row);
                        let parts = by_children.row(row).chunks_exact(slots.width);
                        for (_, part) in parts.enumerate().filter(|(slot, _)| !slots.has_child(*slot, edges, places)) {
                            output.iter_mut().zip(part).for_each(|(sum, term)| *sum += term);
                        }
                    }
                },
            );
        })
    }
}

/// Adds a value in place.
fn add() -> impl Operator {
    kernel("tree_sums", Footprint::Same, |step: &mut Step<'_>| {
        let values = step.input(0);
        step.write_blocks(2 * values.width(), |rows, output| {
            output.iter_mut().zip(values.slice(rows)).for_each(|(sum, value)| *sum += value);
        });
    })
}

/// `f(X)`.
fn activate(activation: Activation) -> impl Operator {
    kernel("tree_activation", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            move |_, [values], rows, output| {
                output.copy_from_slice(values.slice(rows));
                activation.apply(output);
            },
        );
    })
}

/// `f'(X) * (G W)`: reads `G`, the transposed weights `W` and `X`.
fn chain(activation: Activation) -> impl Operator {
    kernel("tree_chain", Footprint::Same, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Product,
            [0, 1, 2],
            #[inline(always)]
            move |_, [gradients, weight, sums], rows, output| {
                let weight = weight.rows().next().unwrap_or_default();
                let gradients = Operand::new(gradients.slice(rows.clone()), gradients.width());
                matmul(gradients, Operand::new(weight, sums.width()), output);
                activation.chain(sums.slice(rows), output);
            },
        );
    })
}
