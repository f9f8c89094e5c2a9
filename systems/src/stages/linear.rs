//! Products with weights, of dense and of sparse signals.

use bevy_ecs::system::{BoxedSystem, Local, ParamBuilder, Res, SystemParamBuilder};
use connectome_components::{Column, ColumnMut, Field, Matrix, Parameter, Signal};
use core::ops::Range;

use super::{
    epilogue::{Blend, Epilogue, scale},
    rows::{Cut, sum_over_rows, sum_rows, write_rows},
};
use crate::{
    Blocks, Phase, RowsMut, Workers,
    kernels::{Operand, SparseRow, gather_rows, matmul_onto, matmul_transposed, vectorize},
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

/// `Y = f(X W + b)`: `X` is `[N, F]`, dense or sparse, `W` `[F, width]`, `b` `[width]`; and what else the epilogue adds.
///
/// # Errors
/// If the weights are not those of a map from `F` inputs, or the epilogue blends in what has another shape.
pub fn linear(
    layer: &mut LayerBuilder,
    input: Signal,
    weight: impl Into<Weight>,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    map(layer, &[(input, weight.into())], epilogue)
}

/// `Y = f(X W + Z V + b)`, the map of two signals put side by side: as [`linear`] of both, in one pass over the rows if both
/// are dense.
///
/// # Errors
/// Those of [`linear`]; and if the signals are on different rows, or the weights of different width.
pub fn linear_of_two(
    layer: &mut LayerBuilder,
    terms: [(Signal, Weight); 2],
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    if terms.iter().all(|(input, _)| layer.dense(*input).is_ok()) {
        return map(layer, &terms, epilogue);
    }
    let epilogue = layer.in_passing(epilogue);
    if epilogue.blend.is_some() {
        return Err(layer.refuse("blends a signal into the map of two, of which one is sparse; add it by itself"));
    }
    let [(input, weight), (other, other_weight)] = terms;
    let sum = linear(layer, other, other_weight, Epilogue::default())?;
    let blend = Some(Blend { own: 1.0, signal: sum, factor: 1.0 });
    let output = linear(layer, input, weight, Epilogue { blend, ..epilogue })?;
    layer.release(sum);
    Ok(output)
}

/// The sum of the maps of one or two signals.
fn map(layer: &mut LayerBuilder, terms: &[(Signal, Weight)], epilogue: Epilogue) -> Result<Signal, BuildError> {
    let epilogue = layer.in_passing(epilogue);
    let [(first, first_weight), ..] = terms else { return Err(layer.refuse("maps nothing")) };
    let (on, width) = (first.value().domain(), first_weight.parameter.shape[1]);
    for (input, weight) in terms {
        if weight.rows.len() != input.width() || weight.rows.end > weight.parameter.shape[0] {
            let (found, expected) = (input.width(), weight.rows.len());
            return Err(layer.refuse(format!("has weights for {expected} inputs, but its input is {found} wide")));
        }
        if input.value().domain() != on || weight.parameter.shape[1] != width {
            return Err(layer.refuse("adds maps to different widths, or of different rows"));
        }
    }
    epilogue.check(layer, on, width)?;
    let output = layer.signal(on, width, true)?;
    match *first {
        Signal::Dense { .. } => {
            let system = multiply(layer, terms, &epilogue, output.value());
            layer.forward(Phase::Update, system);
        }
        Signal::Sparse { columns, values, .. } => {
            let system = multiply_sparse(layer, columns, values, first_weight, &epilogue, output.value());
            layer.forward(Phase::Update, system);
        }
    }
    let mut keeps = epilogue.keeps(output);
    keeps.extend(terms.iter().map(|(input, _)| *input));
    let terms = terms.to_vec();
    layer.on_backward(output, &keeps, move |layer, gradient| {
        epilogue.backward(layer, output.value(), gradient)?;
        let own = epilogue.own_factor();
        for (input, weight) in &terms {
            weight_gradient(layer, *input, gradient, weight, own)?;
        }
        for (place, (input, weight)) in terms.iter().enumerate() {
            if let Some((target, adds)) = layer.gradient_onto(*input)? {
                let blended = epilogue.factor_of(*input).filter(|_| place == 0);
                let system = multiply_transposed(layer, gradient, weight, (own, blended), (target, adds));
                layer.backward(system);
            }
        }
        epilogue.backward_blend(layer, terms.first().map(|(input, _)| *input), gradient)
    });
    Ok(output)
}

/// The products of one or two dense signals, added up.
fn multiply(layer: &mut LayerBuilder, terms: &[(Signal, Weight)], epilogue: &Epilogue, output: Field) -> BoxedSystem {
    let field = |place: usize| {
        let (input, weight) = &terms[place.min(terms.len() - 1)];
        [input.value(), weight.parameter.value]
    };
    let ([input, weight], [other, other_weight]) = (field(0), field(1));
    let numbers: Vec<Range<usize>> = terms.iter().map(|(_, weight)| weight.numbers()).collect();
    let (finish, [bias, blended]) = (epilogue.finish(), epilogue.fields(weight, input));
    write_rows(
        layer,
        "transform",
        Cut::Product,
        [input, weight, other, other_weight, bias, blended],
        output,
        #[inline(always)]
        move |_, [input, weight, other, other_weight, bias, blended], rows, output| {
            let pairs = [[input, weight], [other, other_weight]].into_iter().zip(&numbers);
            for (place, ([input, weight], numbers)) in pairs.enumerate() {
                let Some(weight) = weight.rows().next() else { return };
                let values = Operand::new(input.slice(rows.clone()), input.width());
                let weight = Operand::new(&weight[numbers.clone()], numbers.len() / input.width());
                matmul_onto(values, weight, 1.0, place > 0, output);
            }
            let width = output.len() / rows.len().max(1);
            finish.apply([bias, blended], rows, output, width);
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
    let (numbers, inputs) = (weight.numbers(), weight.rows.len());
    let value = weight.parameter.value;
    let (finish, [bias, blended]) = (epilogue.finish(), epilogue.fields(value, values));
    let state = (
        (columns.read(), values.read()),
        (value.read(), bias.read(), blended.read()),
        output.write(),
        ParamBuilder::resource::<Workers>(),
    )
        .build_state(layer.world());
    let system = state.build_system(
        move |(columns, values): (Column<u32>, Column),
              (weight, bias, blended): (Column, Column, Column),
              mut output: ColumnMut,
              workers: Res<Workers>| {
            let (columns, values) = (columns.matrix(), values.matrix());
            let (weight, bias, blended) = (weight.matrix(), bias.matrix(), blended.matrix());
            let width = output.width();
            let Some(weight) = weight.rows().next() else { return };
            let weight = Matrix::new(width, core::iter::once(&weight[numbers.clone()]));
            for (start, chunk) in output.matrix().chunks_mut() {
                let rows = chunk.len() / width;
                let blocks = Blocks::of_width(rows, width).within(start, rows);
                let cost = values.width() * width;
                workers.for_each_block(blocks, cost, RowsMut::new(chunk, width), |rows, output| {
                    vectorize(
                        #[inline(always)]
                        || {
                            let terms = |row| StoredEntries::new(columns.row(row), values.row(row), inputs);
                            gather_rows(rows.clone(), terms, &weight, false, output.data);
                            finish.apply([&bias, &blended], rows, output.data, width);
                        },
                    );
                });
            }
        },
    );
    Box::new(system.with_name("transform_sparse"))
}

/// `target = own * gradient * weight^T`, and where the input is blended into the output that times `gradient` besides; or
/// both are added to what is there.
fn multiply_transposed(
    layer: &mut LayerBuilder,
    gradient: Field,
    weight: &Weight,
    (own, blended): (f32, Option<f32>),
    (target, adds): (Field, bool),
) -> BoxedSystem {
    let numbers = weight.numbers();
    write_rows(
        layer,
        "input_gradient",
        Cut::Product,
        [gradient, weight.parameter.value],
        target,
        #[inline(always)]
        move |_, [gradient, weight], rows, target| {
            let Some(weight) = weight.rows().next() else { return };
            let weight = Operand::new(&weight[numbers.clone()], gradient.width()).transposed();
            let values = Operand::new(gradient.slice(rows.clone()), gradient.width());
            matmul_onto(values, weight, own, adds, target);
            if let Some(factor) = blended {
                let terms = target.iter_mut().zip(gradient.slice(rows));
                terms.for_each(|(target, gradient)| *target += factor * gradient);
            }
        },
    )
}

/// The gradient of a weight: `own * input^T * gradient`.
///
/// Blocks of rows are multiplied side by side, and their products added in order.
fn weight_gradient(
    layer: &mut LayerBuilder,
    input: Signal,
    gradient: Field,
    weight: &Weight,
    own: f32,
) -> Result<(), BuildError> {
    let Some(total) = layer.gradient_of_parameter(&weight.parameter, weight.rows.clone())? else { return Ok(()) };
    let (numbers, inputs) = (weight.numbers(), weight.rows.len());
    match input {
        Signal::Dense { value, .. } => {
            let system = sum_rows(
                layer,
                "weight_gradient",
                [value, gradient],
                total,
                numbers,
                #[inline(always)]
                move |[input, gradient], rows, sum| {
                    let widths = [input.width(), gradient.width()];
                    matmul_transposed(input.slice(rows.clone()), gradient.slice(rows), widths, sum);
                    scale(own, sum);
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
                                    scatter(
                                        &StoredEntries::new(columns.row(row), values.row(row), inputs),
                                        gradient.row(row),
                                        sum,
                                    );
                                }
                                scale(own, sum);
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

/// The stored numbers of one row, without the zeros that fill it up. Columns that the weights do not have count for
/// nothing.
struct StoredEntries<'a> {
    columns: &'a [u32],
    values: &'a [f32],
    inputs: usize,
}

impl<'a> StoredEntries<'a> {
    #[inline(always)]
    fn new(columns: &'a [u32], values: &'a [f32], inputs: usize) -> Self {
        let used = values.iter().rposition(|value| *value != 0.0).map_or(0, |last| last + 1);
        Self { columns: &columns[..used], values: &values[..used], inputs }
    }
}

impl SparseRow for StoredEntries<'_> {
    #[inline(always)]
    fn for_each_ahead(&self, mut add: impl FnMut(usize, f32, usize)) {
        for (column, value) in self.columns.iter().zip(self.values) {
            if (*column as usize) < self.inputs {
                // Weights are in the cache.
                add(*column as usize, *value, 0);
            }
        }
    }
}

/// `sum[column] += value * row` for the numbers of a sparse row.
#[inline(always)]
fn scatter(entries: &StoredEntries, row: &[f32], sum: &mut [f32]) {
    /// Numbers of one vector register of the widest kind.
    const TILE: usize = 16;
    let width = row.len();
    entries.for_each_ahead(
        #[inline(always)]
        |column, value, _| {
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
