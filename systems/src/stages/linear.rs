//! Products with weights, of dense and of sparse signals.

use bevy_ecs::system::{BoxedSystem, Local, ParamBuilder, Res, SystemParamBuilder};
use connectome_components::{Column, ColumnMut, Field, Matrix, Parameter, Signal};
use core::ops::Range;

use super::rows::{Cut, sum_over_rows, sum_rows, write_rows};
use crate::{
    Blocks, Phase, RowsMut, Workers,
    kernels::{Activation, Operand, Terms, add_rows, gather, matmul, matmul_transposed, vectorize},
    layers::{BuildError, LayerBuilder},
};

/// Some rows of a parameter, as the weights of a linear map from so many inputs.
///
/// The map of several signals put side by side is the sum of a map of each, by its own rows of the weights.
#[derive(Clone, Debug)]
pub struct Weight {
    parameter: Parameter,
    rows: Range<usize>,
}

impl Weight {
    /// The rows `rows` of a parameter.
    pub fn rows(parameter: &Parameter, rows: Range<usize>) -> Self {
        Self { parameter: parameter.clone(), rows }
    }

    /// The numbers among those of the parameter.
    fn numbers(&self) -> Range<usize> {
        let width = self.parameter.shape[1];
        self.rows.start * width..self.rows.end * width
    }
}

impl From<&Parameter> for Weight {
    fn from(parameter: &Parameter) -> Self {
        Self::rows(parameter, 0..parameter.shape[0])
    }
}

/// What is done to an output row while it is still in the cache: `f(y + b)`.
#[derive(Clone, Debug, Default)]
pub struct Epilogue {
    /// Added to each row.
    pub bias: Option<Parameter>,
    /// Applied to each number; its derivative is told from its output.
    pub activation: Activation,
}

impl Epilogue {
    /// Adds a bias.
    pub fn bias(bias: &Parameter) -> Self {
        Self { bias: Some(bias.clone()), activation: Activation::Identity }
    }

    /// Whether it has a gradient of its own.
    pub(super) fn learns(&self) -> bool {
        self.bias.is_some()
    }

    pub(super) fn bias_field(&self) -> Option<Field> {
        self.bias.as_ref().map(|bias| bias.value)
    }

    /// What its way back reads.
    pub(super) fn keeps(&self, output: Signal) -> Vec<Signal> {
        if self.activation == Activation::Identity { Vec::new() } else { vec![output] }
    }

    /// `rows[i] = activation(rows[i] + bias)`.
    #[inline(always)]
    pub(super) fn apply(bias: Option<&[f32]>, activation: Activation, rows: &mut [f32], width: usize) {
        if let Some(bias) = bias {
            for row in rows.chunks_exact_mut(width) {
                row.iter_mut().zip(bias).for_each(|(value, bias)| *value += bias);
            }
        }
        activation.apply(rows);
    }

    /// Makes the gradient by `f(y + b)` that by `y`, in place, and takes the gradient of the bias.
    pub(super) fn backward(&self, layer: &mut LayerBuilder, output: Field, gradient: Field) -> Result<(), BuildError> {
        let activation = self.activation;
        if activation != Activation::Identity {
            let system = write_rows(
                layer,
                "activation_backward",
                Cut::Even,
                [output],
                gradient,
                #[inline(always)]
                move |_, [output], rows, gradient| {
                    activation.chain_from_output(output.slice(rows), gradient);
                },
            );
            layer.backward(system);
        }
        match &self.bias {
            Some(bias) => bias_gradient(layer, gradient, bias),
            None => Ok(()),
        }
    }
}

/// `Y = f(X W + b)`: `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`.
///
/// # Errors
/// If the weights are not those of a map from `F` inputs.
pub fn linear(
    layer: &mut LayerBuilder,
    input: Signal,
    weight: impl Into<Weight>,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    let weight = weight.into();
    if weight.rows.len() != input.width() || weight.rows.end > weight.parameter.shape[0] {
        let (found, expected) = (input.width(), weight.rows.len());
        return Err(layer.refuse(format!("has weights for {expected} inputs, but its input is {found} wide")));
    }
    let width = weight.parameter.shape[1];
    let output = layer.signal(input.value().on(), width, true)?;
    match input {
        Signal::Dense { value, .. } => {
            let system = multiply(layer, value, &weight, &epilogue, output.value());
            layer.forward(Phase::Update, system);
        }
        Signal::Sparse { columns, values, .. } => {
            let system = multiply_sparse(layer, columns, values, &weight, &epilogue, output.value());
            layer.forward(Phase::Update, system);
        }
    }
    let mut keeps = epilogue.keeps(output);
    keeps.push(input);
    layer.on_backward(output, &keeps, move |layer, gradient| {
        epilogue.backward(layer, output.value(), gradient)?;
        weight_gradient(layer, input, gradient, &weight)?;
        if let Some(target) = layer.gradient_of(input)? {
            let system = multiply_transposed(layer, gradient, &weight, target);
            layer.backward(system);
        }
        Ok(())
    });
    Ok(output)
}

fn multiply(
    layer: &mut LayerBuilder,
    input: Field,
    weight: &Weight,
    epilogue: &Epilogue,
    output: Field,
) -> BoxedSystem {
    let numbers = weight.numbers();
    let (bias, activation) = (epilogue.bias_field(), epilogue.activation);
    let value = weight.parameter.value;
    write_rows(
        layer,
        "transform",
        Cut::Even,
        [input, value, bias.unwrap_or(value)],
        output,
        #[inline(always)]
        move |_, [input, weight, bias_column], rows, output| {
            let Some(weight) = weight.rows().next() else { return };
            let width = numbers.len() / input.width();
            matmul(
                Operand::new(input.slice(rows), input.width()),
                Operand::new(&weight[numbers.clone()], width),
                output,
            );
            Epilogue::apply(bias.and_then(|_| bias_column.rows().next()), activation, output, width);
        },
    )
}

fn multiply_sparse(
    layer: &mut LayerBuilder,
    columns: Field<u32>,
    values: Field,
    weight: &Weight,
    epilogue: &Epilogue,
    output: Field,
) -> BoxedSystem {
    let numbers = weight.numbers();
    let (bias, activation) = (epilogue.bias_field(), epilogue.activation);
    let value = weight.parameter.value;
    let state = (
        (columns.read(), values.read()),
        (value.read(), bias.unwrap_or(value).read()),
        output.write(),
        ParamBuilder::resource::<Workers>(),
    )
        .build_state(layer.world());
    let system = state.build_system(
        move |(columns, values): (Column<u32>, Column),
              (weight, bias_column): (Column, Column),
              mut output: ColumnMut,
              workers: Res<Workers>| {
            let (columns, values) = (columns.matrix(), values.matrix());
            let (weight, bias_column, width) = (weight.matrix(), bias_column.matrix(), output.width());
            let Some(weight) = weight.rows().next() else { return };
            let weight = Matrix::new(width, core::iter::once(&weight[numbers.clone()]));
            let bias = bias.and_then(|_| bias_column.rows().next());
            for (start, chunk) in output.matrix().chunks_mut() {
                let rows = chunk.len() / width;
                let blocks = Blocks::of_width(rows, width).within(start, rows);
                let cost = values.width() * width;
                workers.for_each_block(blocks, cost, RowsMut::new(chunk, width), |rows, output| {
                    vectorize(
                        #[inline(always)]
                        || {
                            for (row, output) in rows.zip(output.data.chunks_exact_mut(width)) {
                                gather(&SparseRow::new(columns.row(row), values.row(row)), &weight, output);
                            }
                            Epilogue::apply(bias, activation, output.data, width);
                        },
                    );
                });
            }
        },
    );
    Box::new(system.with_name("transform_sparse"))
}

/// `target = gradient * weight^T`.
fn multiply_transposed(layer: &mut LayerBuilder, gradient: Field, weight: &Weight, target: Field) -> BoxedSystem {
    let numbers = weight.numbers();
    write_rows(
        layer,
        "input_gradient",
        Cut::Even,
        [gradient, weight.parameter.value],
        target,
        #[inline(always)]
        move |_, [gradient, weight], rows, target| {
            let Some(weight) = weight.rows().next() else { return };
            let weight = Operand::new(&weight[numbers.clone()], gradient.width()).transposed();
            matmul(Operand::new(gradient.slice(rows), gradient.width()), weight, target);
        },
    )
}

/// The gradient of a weight: `input^T * gradient`.
///
/// Blocks of rows are multiplied side by side, and their products added in order.
fn weight_gradient(
    layer: &mut LayerBuilder,
    input: Signal,
    gradient: Field,
    weight: &Weight,
) -> Result<(), BuildError> {
    let Some(total) = layer.gradient_of_parameter(&weight.parameter, weight.rows.clone())? else { return Ok(()) };
    let numbers = weight.numbers();
    match input {
        Signal::Dense { value, .. } => {
            let system = sum_rows(
                layer,
                "weight_gradient",
                [value, gradient],
                total,
                numbers,
                #[inline(always)]
                |[input, gradient], rows, sum| {
                    let widths = [input.width(), gradient.width()];
                    matmul_transposed(input.slice(rows.clone()), gradient.slice(rows), widths, sum);
                },
            );
            layer.backward(system);
        }
        Signal::Sparse { columns, values, .. } => {
            let state = (
                (columns.read(), values.read()),
                (gradient.read(), total.write()),
                (ParamBuilder::resource::<Workers>(), ParamBuilder::local::<Vec<f32>>()),
            )
                .build_state(layer.world());
            let system = state.build_system(
                move |(columns, values): (Column<u32>, Column),
                      (gradient, mut total): (Column, ColumnMut),
                      (workers, mut partial): (Res<Workers>, Local<Vec<f32>>)| {
                    let (columns, values, gradient) = (columns.matrix(), values.matrix(), gradient.matrix());
                    let Some(total) = total.matrix().rows_mut().next() else { return };
                    let Some(total) = total.get_mut(numbers.clone()) else { return };
                    sum_over_rows(&workers, &values, &mut partial, total, |rows, sum| {
                        vectorize(
                            #[inline(always)]
                            || {
                                sum.fill(0.0);
                                for row in rows {
                                    scatter(&SparseRow::new(columns.row(row), values.row(row)), gradient.row(row), sum);
                                }
                            },
                        );
                    });
                },
            );
            layer.backward(system.with_name("weight_gradient_sparse"));
        }
    }
    Ok(())
}

/// The gradient of a bias: the sum of the rows of `gradient`.
fn bias_gradient(layer: &mut LayerBuilder, gradient: Field, bias: &Parameter) -> Result<(), BuildError> {
    let Some(total) = layer.gradient_of_parameter(bias, 0..1)? else { return Ok(()) };
    let system = sum_rows(
        layer,
        "bias_gradient",
        [gradient],
        total,
        0..bias.shape[1],
        #[inline(always)]
        |[gradient], rows, sum| {
            sum.fill(0.0);
            add_rows(gradient.slice(rows), sum);
        },
    );
    layer.backward(system);
    Ok(())
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
