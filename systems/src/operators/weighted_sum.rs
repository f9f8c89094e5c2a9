//! Sums over neighbors, weighted by values of the edges.

use connectome_components::{Adjacency, Matrix};
use std::sync::Arc;

use super::{
    epilogue::{Epilogue, scale},
    relation::Relation,
};
use crate::{
    error::BuildError,
    kernels::{HeadTerms, add_heads, for_each_ahead, multiply_heads},
    program::{
        Cost, Domain, Footprint, Fusion, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel,
    },
};

/// `Y[i, h] = sum over edges e from j to i of W[e, h] X[j, h]`: of the `H C` features of `X` on nodes, head `h` has the
/// features `h C` to `(h + 1) C`; `W` is `[E, H]` on edges. Zeros where no edge ends.
///
/// No column of size `[E, H C]` is needed, forward or backward. Costs `E H C` multiplications, and twice as many
/// backward.
///
/// # Errors
/// If a value is sparse, or on the wrong rows, or the width of `X` is not a multiple of the heads.
pub fn weighted_sum(program: &mut Program, input: Value, weights: Value) -> Result<Value, BuildError> {
    let inputs = [program.dense(input)?, program.dense(weights)?];
    let domains = [program.sources(), program.nodes(), program.edges()];
    program.record_one(WeightedSum { domains, epilogue: Epilogue::default() }, &inputs)
}

/// [`weighted_sum`]: reads the values and the weights, and then the inputs of the epilogue.
#[derive(Clone, Copy, Debug)]
struct WeightedSum {
    /// The rows that send values, those that receive them, and the edges.
    domains: [Domain; 3],
    epilogue: Epilogue,
}

impl Operator for WeightedSum {
    fn name(&self) -> &'static str {
        "weighted_sum"
    }

    fn describe(&self) -> String {
        self.epilogue.describe(self.name())
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let [from, to, edges] = self.domains;
        if [inputs[0].domain(), inputs[1].domain()] != [from, edges] {
            return Err("sums neighbors by weights of edges, but its inputs are on other rows; give values on nodes and weights on edges".to_owned());
        }
        check_heads(inputs[0].width(), inputs[1].width())?;
        Ok(vec![Shape::new(to, inputs[0].width())])
    }

    fn footprint(&self, input: usize) -> Footprint {
        match input {
            0 => Footprint::Incoming,
            1 => Footprint::IncomingEdges,
            _ => Footprint::Same,
        }
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 0, per_entry: inputs[0].width() }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (width, heads) = (step.input(0).width(), step.input(1).width());
        let (epilogue, [bias, blended]) = self.epilogue.prepare(step);
        step.write_rows(
            Partition::Incoming,
            [0, 1, bias, blended],
            #[inline(always)]
            move |topology, [values, weights, bias, blended], rows, output| {
                for (row, output) in rows.clone().zip(output.chunks_exact_mut(width)) {
                    output.fill(0.0);
                    add_heads(&Linked { adjacency: &topology.incoming, row, weights }, values, heads, output);
                }
                epilogue.apply([bias, blended], rows, output, width);
            },
        );
    }

    fn differentiate(&self, operation: &Operation, gradient: Value, tape: &mut Tape<'_>) -> Result<(), BuildError> {
        let &[values, weights, ..] = &operation.inputs[..] else { return Ok(()) };
        let (gradient, factor) = self.epilogue.backward(operation, gradient, tape)?;
        let [width, heads] = [values.width(), weights.width()];
        tape.gradient(weights, weights_gradient(heads, factor, width), &[values, gradient])?;
        tape.gradient(values, values_gradient(heads, factor, width), &[gradient, weights])?;
        self.epilogue.backward_blend(operation, None, gradient, tape)
    }

    fn fuse(&self, next: &Operation, input: usize, context: Fusion<'_>) -> Option<Arc<dyn Operator>> {
        let epilogue = self.epilogue.absorb(next, input, context)?;
        Some(Arc::new(Self { epilogue, ..*self }))
    }
}

/// `target[e, h] = factor * X[j, h] . gradient[i, h]` for the edges `e` from `j` to `i`.
fn weights_gradient(heads: usize, factor: f32, width: usize) -> impl Operator {
    kernel("weighted_sum_backward", Footprint::Endpoints, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            move |topology, [values, gradient], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(heads)) {
                    let Some([source, to]) = Relation::Neighbors.ends(topology, row) else {
                        target.fill(0.0);
                        continue;
                    };
                    multiply_heads(values.row(source), gradient.row(to), target);
                    scale(factor, target);
                }
            },
        );
    })
    .reading([1], Footprint::Target)
    .with_cost(Cost { per_row: width, per_entry: 0 })
}

/// `target[j, h] = factor * sum over edges e from j to i of W[e, h] gradient[i, h]`.
fn values_gradient(heads: usize, factor: f32, width: usize) -> impl Operator {
    kernel("weighted_sum_backward", Footprint::Outgoing, move |step: &mut Step<'_>| {
        step.write_rows(
            Partition::Outgoing,
            [0, 1],
            #[inline(always)]
            move |topology, [gradient, weights], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                    target.fill(0.0);
                    add_heads(&Linked { adjacency: &topology.outgoing, row, weights }, gradient, heads, target);
                    scale(factor, target);
                }
            },
        );
    })
    .with_cost(Cost { per_row: 0, per_entry: width })
}

/// Checks that a width can be divided among this number of heads.
pub(super) fn check_heads(width: usize, heads: usize) -> Result<(), String> {
    if width.is_multiple_of(heads) {
        return Ok(());
    }
    Err(format!("divides {width} features among {heads} heads; give a number of heads that divides them evenly"))
}

/// The neighbors of a row with the weights of their edges.
struct Linked<'a> {
    adjacency: &'a Adjacency,
    row: usize,
    weights: &'a Matrix<'a>,
}

impl HeadTerms<1> for Linked<'_> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, [&[f32]; 1], usize)) {
        let Self { adjacency: Adjacency { neighbors, edges, .. }, weights, .. } = self;
        let entries = self.adjacency.entries(self.row);
        for_each_ahead(
            neighbors,
            entries.clone(),
            edges[entries].iter(),
            #[inline(always)]
            |row, edge, soon| add(row, [weights.row(*edge as usize)], soon),
        );
    }
}
