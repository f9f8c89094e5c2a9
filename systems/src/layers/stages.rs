//! The stages that layers are made of: products with weights and sums over neighbours, forward and backward.

use bevy_ecs::{
    entity::Entity,
    system::{Local, ParamBuilder, Query, Res, SystemParamBuilder},
};
use connectome_components::{Adjacency, Column, ColumnMut, Field, Matrix, Parameter, Signal, Topology};

use super::LayerBuilder;
use crate::{
    Blocks, Phase, RowsMut, Workers,
    kernels::{Activation, Operand, Terms, add_rows, gather, matmul, matmul_transposed, vectorize},
};

/// What is done to an output row while it is still in the cache.
#[derive(Clone, Copy)]
pub(crate) struct Epilogue {
    pub(crate) bias: Option<Field>,
    pub(crate) activation: Activation,
}

impl Epilogue {
    /// Nothing.
    pub(crate) const NONE: Self = Self { bias: None, activation: Activation::Identity };

    /// The column to read for the bias. Without one, a column that is read anyway stands in and goes unused.
    fn column(&self, stand_in: Field) -> Field {
        self.bias.unwrap_or(stand_in)
    }

    /// The bias, from the column named above.
    fn bias<'a>(&self, column: &'a Column) -> Option<&'a [f32]> {
        self.bias.and_then(|_| column.matrix().rows().next())
    }

    /// `rows[i] = activation(rows[i] + bias)`.
    #[inline(always)]
    fn apply(&self, bias: Option<&[f32]>, rows: &mut [f32], width: usize) {
        if let Some(bias) = bias {
            for row in rows.chunks_exact_mut(width) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
        self.activation.apply(rows);
    }
}

/// `output = epilogue(input * weight)`.
pub(crate) fn transform(
    layer: &mut LayerBuilder,
    phase: fn(usize) -> Phase,
    input: Signal,
    weight: Field,
    epilogue: Epilogue,
    output: Field,
) {
    let parameters = (weight.read(), epilogue.column(weight).read());
    let workers = ParamBuilder::resource::<Workers>();
    match input {
        Signal::Dense { value, .. } => {
            let state = (value.read(), parameters, output.write(), workers).build_state(layer.world());
            let system = state.build_system(
                move |input: Column, (weight, bias): (Column, Column), mut output: ColumnMut, workers: Res<Workers>| {
                    let (input, width, bias) = (input.matrix(), output.width(), epilogue.bias(&bias));
                    let Some(weight) = weight.matrix().rows().next() else { return };
                    let weight = Operand::new(weight, width);
                    for (start, chunk) in output.matrix().chunks_mut() {
                        let blocks = product_blocks(start, chunk.len() / width, width);
                        let cost = input.width() * width;
                        workers.for_each_block(blocks, cost, RowsMut::new(chunk, width), |rows, output| {
                            matmul(Operand::new(input.slice(rows), input.width()), weight, output.data);
                            vectorize(
                                #[inline(always)]
                                || epilogue.apply(bias, output.data, width),
                            );
                        });
                    }
                },
            );
            layer.forward(phase, system.with_name("transform"));
        }
        Signal::Sparse { columns, values, .. } => {
            let state =
                ((columns.read(), values.read()), parameters, output.write(), workers).build_state(layer.world());
            let system = state.build_system(
                move |(columns, values): (Column<u32>, Column),
                      (weight, bias): (Column, Column),
                      mut output: ColumnMut,
                      workers: Res<Workers>| {
                    let (columns, values) = (columns.matrix(), values.matrix());
                    let (width, bias) = (output.width(), epilogue.bias(&bias));
                    let Some(weight) = weight.matrix().rows().next() else { return };
                    let weight = Matrix::new(width, core::iter::once(weight));
                    for (start, chunk) in output.matrix().chunks_mut() {
                        let blocks = product_blocks(start, chunk.len() / width, width);
                        let cost = values.width() * width;
                        workers.for_each_block(blocks, cost, RowsMut::new(chunk, width), |rows, output| {
                            vectorize(
                                #[inline(always)]
                                || {
                                    for (row, output) in rows.zip(output.data.chunks_exact_mut(width)) {
                                        gather(&SparseRow::new(columns.row(row), values.row(row)), &weight, output);
                                    }
                                    epilogue.apply(bias, output.data, width);
                                },
                            );
                        });
                    }
                },
            );
            layer.forward(phase, system.with_name("transform_sparse"));
        }
    }
}

/// Rows of a product that are computed together.
fn product_blocks(start: usize, rows: usize, width: usize) -> Blocks<'static> {
    Blocks::of_width(rows, width).within(start, rows)
}

/// The stored numbers of one row, without the zeros that fill it up.
struct SparseRow<'a> {
    columns: &'a [u32],
    values: &'a [f32],
}

impl<'a> SparseRow<'a> {
    #[inline(always)]
    fn new(columns: &'a [u32], values: &'a [f32]) -> Self {
        let used = values.iter().rposition(|value| *value != 0.0).map_or(0, |last| last + 1);
        Self { columns: &columns[..used], values: &values[..used] }
    }
}

impl Terms for SparseRow<'_> {
    #[inline(always)]
    fn for_each(&self, mut add: impl FnMut(usize, f32)) {
        for (column, value) in self.columns.iter().zip(self.values) {
            add(*column as usize, *value);
        }
    }
}

/// Which way signals go along the edges.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From sources to targets, as messages do.
    Forward,
    /// From targets to sources, as gradients do.
    Backward,
}

/// `output[i] = epilogue(c[i] source[i] + sum over edges c[ij] source[j])`, with the coefficients of a normalisation.
pub(crate) fn aggregate(
    layer: &mut LayerBuilder,
    direction: Direction,
    normalization: usize,
    source: Field,
    epilogue: Epilogue,
    output: Field,
) {
    let graph: Entity = layer.graph();
    let state = (
        source.read(),
        epilogue.column(source).read(),
        output.write(),
        ParamBuilder::query::<&Topology>(),
        ParamBuilder::resource::<Workers>(),
    )
        .build_state(layer.world());
    let system = state.build_system(
        move |source: Column,
              bias: Column,
              mut output: ColumnMut,
              topology: Query<&Topology>,
              workers: Res<Workers>| {
            let Ok(topology) = topology.get(graph) else { return };
            let adjacency = match direction {
                Direction::Forward => &topology.incoming,
                Direction::Backward => &topology.outgoing,
            };
            let (source, width, bias) = (source.matrix(), output.width(), epilogue.bias(&bias));
            let cost = width * (1 + adjacency.len() / topology.nodes.len().max(1));
            for (start, chunk) in output.matrix().chunks_mut() {
                let blocks = Blocks::At(&adjacency.blocks).within(start, chunk.len() / width);
                workers.for_each_block(blocks, cost, RowsMut::new(chunk, width), |rows, output| {
                    vectorize(
                        #[inline(always)]
                        || {
                            for (row, output) in rows.zip(output.data.chunks_exact_mut(width)) {
                                gather(&Neighbours { adjacency, normalization, row }, &source, output);
                            }
                            epilogue.apply(bias, output.data, width);
                        },
                    );
                });
            }
        },
    );
    match direction {
        Direction::Forward => layer.forward(Phase::Aggregate, system.with_name("aggregate")),
        Direction::Backward => layer.backward(system.with_name("aggregate_backward")),
    }
}

/// A node and its neighbours.
struct Neighbours<'a> {
    adjacency: &'a Adjacency,
    normalization: usize,
    row: usize,
}

impl Terms for Neighbours<'_> {
    #[inline(always)]
    fn for_each(&self, mut add: impl FnMut(usize, f32)) {
        let coefficients = &self.adjacency.coefficients[self.normalization];
        add(self.row, coefficients.own[self.row]);
        let entries = self.adjacency.entries(self.row);
        let neighbours = &self.adjacency.neighbours[entries.clone()];
        for (neighbour, coefficient) in neighbours.iter().zip(&coefficients.edges[entries]) {
            add(*neighbour as usize, *coefficient);
        }
    }
}

/// `gradient *= activation'`, told from the output that the activation gave.
pub(crate) fn activation_backward(layer: &mut LayerBuilder, activation: Activation, output: Field, gradient: Field) {
    if activation == Activation::Identity {
        return;
    }
    let state = (output.read(), gradient.write(), ParamBuilder::resource::<Workers>()).build_state(layer.world());
    let system = state.build_system(move |output: Column, mut gradient: ColumnMut, workers: Res<Workers>| {
        let (output, width) = (output.matrix(), output.width());
        for (start, chunk) in gradient.matrix().chunks_mut() {
            let blocks = product_blocks(start, chunk.len() / width, width);
            workers.for_each_block(blocks, 2 * width, RowsMut::new(chunk, width), |rows, gradient| {
                vectorize(
                    #[inline(always)]
                    || activation.chain_from_output(output.slice(rows), gradient.data),
                );
            });
        }
    });
    layer.backward(system.with_name("activation_backward"));
}

/// `input_gradient = output_gradient * weight^T`.
pub(crate) fn input_gradient(layer: &mut LayerBuilder, output_gradient: Field, weight: Field, input_gradient: Field) {
    let state = ((output_gradient.read(), weight.read(), input_gradient.write()), ParamBuilder::resource::<Workers>())
        .build_state(layer.world());
    let system =
        state.build_system(move |(from, weight, mut to): (Column, Column, ColumnMut), workers: Res<Workers>| {
            let (from, width) = (from.matrix(), to.width());
            let Some(weight) = weight.matrix().rows().next() else { return };
            let weight = Operand::new(weight, from.width()).transposed();
            for (start, chunk) in to.matrix().chunks_mut() {
                let blocks = product_blocks(start, chunk.len() / width, width);
                workers.for_each_block(blocks, from.width() * width, RowsMut::new(chunk, width), |rows, to| {
                    matmul(Operand::new(from.slice(rows), from.width()), weight, to.data);
                });
            }
        });
    layer.backward(system.with_name("input_gradient"));
}

/// The gradient of a weight: `input^T * output_gradient`.
///
/// Blocks of rows are multiplied side by side, and their products added in order.
pub(crate) fn weight_gradient(layer: &mut LayerBuilder, input: Signal, output_gradient: Field, weight: &Parameter) {
    let Some(gradient) = weight.gradient else { return };
    let targets = (output_gradient.read(), gradient.write());
    let rest = (ParamBuilder::resource::<Workers>(), ParamBuilder::local::<Vec<f32>>());
    match input {
        Signal::Dense { value, .. } => {
            let state = (value.read(), targets, rest).build_state(layer.world());
            let system = state.build_system(
                |input: Column,
                 (output_gradient, mut gradient): (Column, ColumnMut),
                 (workers, mut partial): (Res<Workers>, Local<Vec<f32>>)| {
                    let (input, output_gradient) = (input.matrix(), output_gradient.matrix());
                    let Some(gradient) = gradient.matrix().rows_mut().next() else { return };
                    sum_over_rows(&workers, &input, &mut partial, gradient, |rows, sum| {
                        let widths = [input.width(), output_gradient.width()];
                        matmul_transposed(input.slice(rows.clone()), output_gradient.slice(rows), widths, sum);
                    });
                },
            );
            layer.backward(system.with_name("weight_gradient"));
        }
        Signal::Sparse { columns, values, .. } => {
            let state = ((columns.read(), values.read()), targets, rest).build_state(layer.world());
            let system = state.build_system(
                |(columns, values): (Column<u32>, Column),
                 (output_gradient, mut gradient): (Column, ColumnMut),
                 (workers, mut partial): (Res<Workers>, Local<Vec<f32>>)| {
                    let (columns, values) = (columns.matrix(), values.matrix());
                    let output_gradient = output_gradient.matrix();
                    let Some(gradient) = gradient.matrix().rows_mut().next() else { return };
                    sum_over_rows(&workers, &values, &mut partial, gradient, |rows, sum| {
                        vectorize(
                            #[inline(always)]
                            || {
                                sum.fill(0.0);
                                for row in rows {
                                    let entries = SparseRow::new(columns.row(row), values.row(row));
                                    scatter(&entries, output_gradient.row(row), sum);
                                }
                            },
                        );
                    });
                },
            );
            layer.backward(system.with_name("weight_gradient_sparse"));
        }
    }
}

/// `sum[column] += value * row` for the numbers of a sparse row.
#[inline(always)]
fn scatter(entries: &SparseRow, row: &[f32], sum: &mut [f32]) {
    /// Numbers of one vector register of the widest kind.
    const TILE: usize = 16;
    let width = row.len();
    entries.for_each(
        #[inline(always)]
        |column, value| {
            let (targets, rest) = sum[column * width..(column + 1) * width].as_chunks_mut::<TILE>();
            let (numbers, rest_of_numbers) = row.as_chunks::<TILE>();
            for (target, numbers) in targets.iter_mut().zip(numbers) {
                // A copy, so that the compiler need not fear that the two overlap.
                let mut sums = *target;
                sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += value * number);
                *target = sums;
            }
            rest.iter_mut().zip(rest_of_numbers).for_each(|(sum, number)| *sum += value * number);
        },
    );
}

/// The gradient of a bias: the sum of the rows of `output_gradient`.
pub(crate) fn bias_gradient(layer: &mut LayerBuilder, output_gradient: Field, bias: &Parameter) {
    let Some(gradient) = bias.gradient else { return };
    let state = (
        (output_gradient.read(), gradient.write()),
        ParamBuilder::resource::<Workers>(),
        ParamBuilder::local::<Vec<f32>>(),
    )
        .build_state(layer.world());
    let system = state.build_system(
        |(output_gradient, mut gradient): (Column, ColumnMut), workers: Res<Workers>, mut partial: Local<Vec<f32>>| {
            let output_gradient = output_gradient.matrix();
            let Some(gradient) = gradient.matrix().rows_mut().next() else { return };
            sum_over_rows(&workers, &output_gradient, &mut partial, gradient, |rows, sum| {
                sum.fill(0.0);
                add_rows(output_gradient.slice(rows), sum);
            });
        },
    );
    layer.backward(system.with_name("bias_gradient"));
}

/// `total = sum over blocks of rows`, where `block_sum(rows, sum)` overwrites the sum of one block.
///
/// How many blocks there are depends on the number of rows alone, and they are added in order.
fn sum_over_rows(
    workers: &Workers,
    matrix: &Matrix,
    partial: &mut Vec<f32>,
    total: &mut [f32],
    block_sum: impl Fn(core::ops::Range<usize>, &mut [f32]) + Sync,
) {
    const SMALLEST_BLOCK: usize = 512;
    const MOST_BLOCKS: usize = 64;

    let size = total.len();
    let mut first = true;
    for (start, chunk) in matrix.chunks() {
        let rows = chunk.len() / matrix.width();
        let block = rows.div_ceil(MOST_BLOCKS).max(SMALLEST_BLOCK);
        let count = rows.div_ceil(block);
        partial.resize((count * size).max(partial.len()), 0.0);
        let sums = &mut partial[..count * size];
        let tasks = Blocks::Even { start: 0, rows: count, size: 1 };
        workers.for_each_block(tasks, block * size, RowsMut::new(sums, size), |task, sum| {
            let first_row = start + task.start * block;
            block_sum(first_row..(first_row + block).min(start + rows), sum.data);
        });
        let sums = &*sums;
        let columns = Blocks::of_width(size, 1);
        workers.for_each_block(columns, count, RowsMut::new(total, 1), |columns, total| {
            vectorize(
                #[inline(always)]
                || {
                    if first {
                        total.data.fill(0.0);
                    }
                    for sum in sums.chunks_exact(size) {
                        total.data.iter_mut().zip(&sum[columns.clone()]).for_each(|(total, sum)| *total += sum);
                    }
                },
            );
        });
        first = false;
    }
}
