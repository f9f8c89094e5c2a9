//! Each column brought to mean 0 and variance 1 over all rows.

use bevy_ecs::system::{BoxedSystem, ParamBuilder, Query, SystemParamBuilder};
use connectome_components::{Column, ColumnMut, Field, Matrix, Parameter, Signal, Topology};

use super::{
    concatenate::take_columns,
    rows::{Cut, sum_rows_in_graph, write_rows},
};
use crate::{
    Phase,
    kernels::add_rows,
    layers::{BuildError, LayerBuilder, Mode},
};

/// What a batch normalisation learns and remembers; the parameters are as wide as its input.
#[derive(Clone, Debug)]
pub struct BatchNormalizer {
    /// `w`.
    pub weight: Parameter,
    /// `b`.
    pub bias: Parameter,
    /// The running mean.
    pub mean: Parameter,
    /// The running variance.
    pub variance: Parameter,
    /// Added to each variance.
    pub epsilon: f32,
    /// The share of a training step in the running statistics.
    pub momentum: f32,
    /// Whether training too goes by the running statistics, and leaves them as they are.
    pub frozen: bool,
}

/// `Y = w (X - mean) / sqrt(variance + epsilon) + b`, column by column (Ioffe & Szegedy, ICML 2015, algorithm 1).
///
/// In training mean and variance are those of all rows, dangling edges left out, gradients go through them, and the running ones move towards them,
/// the variance over `N - 1`. Elsewhere they are the running ones. The variance is taken of the differences from the mean,
/// corrected by what rounding has left of their sum (Chan, Golub & LeVeque 1983, eq. 1.7).
///
/// # Errors
/// If the signal is sparse, or the parameters are not of its width.
pub fn batch_norm(layer: &mut LayerBuilder, input: Signal, normalizer: BatchNormalizer) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let width = values.width();
    let BatchNormalizer { weight, bias, mean, variance, .. } = &normalizer;
    if [weight, bias, mean, variance].iter().any(|parameter| parameter.shape != [1, width]) {
        let found = weight.shape[1];
        return Err(layer.refuse(format!("normalises {found} columns, but its input is {width} wide")));
    }
    let by_batch = layer.mode() == Mode::Training && !normalizer.frozen;
    let statistics = numbers(layer, "batch_norm.statistics", 2 * width)?;
    let settle = if by_batch {
        measure(layer, values, &normalizer, statistics)?
    } else {
        recall(layer, &normalizer, statistics)
    };
    layer.forward(Phase::Update, settle);
    let output = layer.signal(values.domain(), width, true)?;
    let forward = write_rows(
        layer,
        "batch_norm",
        Cut::Even,
        [values, statistics, weight.value, bias.value],
        output.value(),
        #[inline(always)]
        move |_, [values, statistics, weight, bias], rows, output| {
            let (mean, scale) = halves(statistics);
            let columns = mean.iter().zip(scale).zip(only_row(weight).iter().zip(only_row(bias)));
            for (output, values) in output.chunks_exact_mut(width).zip(values.slice(rows).chunks_exact(width)) {
                for ((output, value), ((mean, scale), (weight, bias))) in
                    output.iter_mut().zip(values).zip(columns.clone())
                {
                    *output = (value - mean) * (scale * weight) + bias;
                }
            }
        },
    );
    layer.forward(Phase::Update, forward);
    layer.on_backward(output, &[input], move |layer, gradient| {
        let totals = numbers(layer, "batch_norm.totals", 2 * width)?;
        let sums = totals_of(layer, [gradient, values, statistics], totals);
        layer.backward(sums);
        for (parameter, columns) in [(&normalizer.bias, 0..width), (&normalizer.weight, width..2 * width)] {
            if let Some(target) = layer.gradient_of_parameter(parameter, 0..1)? {
                let take = take_columns(layer, "batch_norm_backward", totals, columns, target);
                layer.backward(take);
            }
        }
        if let Some(target) = layer.gradient_of(input)? {
            let inputs = [gradient, values, statistics, normalizer.weight.value, totals];
            let backward = input_gradient(layer, inputs, by_batch, target);
            layer.backward(backward);
        }
        Ok(())
    });
    Ok(output)
}

/// A row of numbers that the model has beside its parameters, for what is computed over all rows.
fn numbers(layer: &mut LayerBuilder, name: &str, width: usize) -> Result<Field, BuildError> {
    let model = layer.model();
    Ok(Field::register_on(layer.world(), model, name, width)?)
}

/// Mean and `1 / sqrt(variance + epsilon)` of all rows; moves the running statistics towards them.
fn measure(
    layer: &mut LayerBuilder,
    values: Field,
    normalizer: &BatchNormalizer,
    statistics: Field,
) -> Result<BoxedSystem, BuildError> {
    let width = values.width();
    let sums = numbers(layer, "batch_norm.sums", width)?;
    let population = Population::of(layer, values);
    let graph = layer.graph();
    let add = sum_rows_in_graph(
        layer,
        "batch_norm_sums",
        [values],
        sums,
        0..width,
        #[inline(always)]
        move |topology, [values], rows, sum| {
            sum.fill(0.0);
            match population {
                Population::All => add_rows(values.slice(rows), sum),
                Population::Edges => {
                    let present = rows.filter(|row| population.has(topology, *row));
                    present.for_each(|row| add_rows(values.row(row), sum));
                }
            }
        },
    );
    layer.forward(Phase::Update, add);
    let deviations = numbers(layer, "batch_norm.deviations", 2 * width)?;
    let add = sum_rows_in_graph(
        layer,
        "batch_norm_deviations",
        [values, sums],
        deviations,
        0..2 * width,
        #[inline(always)]
        move |topology, [values, sums], rows, sum| {
            sum.fill(0.0);
            let (sums, share) = (only_row(sums), population.share(topology, values));
            let (first, second) = sum.split_at_mut(width);
            for row in rows.filter(|row| population.has(topology, *row)) {
                let totals = first.iter_mut().zip(second.iter_mut());
                for ((first, second), (value, sum)) in totals.zip(values.row(row).iter().zip(sums)) {
                    let deviation = value - share * sum;
                    *first += deviation;
                    *second += deviation * deviation;
                }
            }
        },
    );
    layer.forward(Phase::Update, add);
    let (epsilon, momentum) = (normalizer.epsilon, normalizer.momentum);
    let state = (
        (values.read(), sums.read(), deviations.read()),
        (statistics.write(), normalizer.mean.value.write(), normalizer.variance.value.write()),
        ParamBuilder::query::<&Topology>(),
    )
        .build_state(layer.world());
    let system = state.build_system(
        move |(values, sums, deviations): (Column, Column, Column),
              (mut statistics, mut mean, mut variance): (ColumnMut, ColumnMut, ColumnMut),
              topology: Query<&Topology>| {
            let Ok(topology) = topology.get(graph) else { return };
            let (values, sums, deviations) = (values.matrix(), sums.matrix(), deviations.matrix());
            let count = population.count(topology, &values) as f32;
            if count == 0.0 {
                return;
            }
            let share = population.share(topology, &values);
            let (first, second) = halves(&deviations);
            let columns = only_row(&sums).iter().zip(first.iter().zip(second));
            let [Some(statistics), Some(running_mean), Some(running_variance)] =
                [&mut statistics, &mut mean, &mut variance].map(|column| column.matrix().rows_mut().next())
            else {
                return;
            };
            let (mean, scale) = statistics.split_at_mut(width);
            let (statistics, running) = (mean.iter_mut().zip(scale), running_mean.iter_mut().zip(running_variance));
            for (((mean, scale), (running_mean, running_variance)), (sum, (first, second))) in
                statistics.zip(running).zip(columns)
            {
                let squares = (second - first * first / count).max(0.0);
                *mean = share * sum + first / count;
                *scale = 1.0 / (squares / count + epsilon).sqrt();
                *running_mean += momentum * (*mean - *running_mean);
                // The variance over N - 1 of a single row is unknown.
                if count > 1.0 {
                    *running_variance += momentum * (squares / (count - 1.0) - *running_variance);
                }
            }
        },
    );
    Ok(Box::new(system.with_name("batch_norm_statistics")))
}

/// The running mean and `1 / sqrt(running variance + epsilon)`.
fn recall(layer: &mut LayerBuilder, normalizer: &BatchNormalizer, statistics: Field) -> BoxedSystem {
    let epsilon = normalizer.epsilon;
    write_rows(
        layer,
        "batch_norm_statistics",
        Cut::Even,
        [normalizer.mean.value, normalizer.variance.value],
        statistics,
        #[inline(always)]
        move |_, [running_mean, running_variance], _, statistics| {
            let (mean, scale) = statistics.split_at_mut(statistics.len() / 2);
            mean.copy_from_slice(only_row(running_mean));
            for (scale, variance) in scale.iter_mut().zip(only_row(running_variance)) {
                *scale = 1.0 / (variance + epsilon).sqrt();
            }
        },
    )
}

/// The sums of gradients, and of gradients times normalised values.
fn totals_of(layer: &mut LayerBuilder, inputs: [Field; 3], totals: Field) -> BoxedSystem {
    let width = inputs[0].width();
    let population = Population::of(layer, inputs[0]);
    sum_rows_in_graph(
        layer,
        "batch_norm_totals",
        inputs,
        totals,
        0..2 * width,
        #[inline(always)]
        move |topology, [gradient, values, statistics], rows, sum| {
            sum.fill(0.0);
            let (mean, scale) = halves(statistics);
            let columns = mean.iter().zip(scale);
            let (first, second) = sum.split_at_mut(width);
            for row in rows.filter(|row| population.has(topology, *row)) {
                let (gradient, values) = (gradient.row(row), values.row(row));
                let totals = first.iter_mut().zip(second.iter_mut());
                for (((first, second), (gradient, value)), (mean, scale)) in
                    totals.zip(gradient.iter().zip(values)).zip(columns.clone())
                {
                    *first += gradient;
                    *second += gradient * ((value - mean) * scale);
                }
            }
        },
    )
}

/// `w s (G - mean of G - Z mean of (G Z))` with `s = 1 / sqrt(variance + epsilon)` and the normalised values `Z`; the
/// means are left out where the statistics are given.
fn input_gradient(layer: &mut LayerBuilder, inputs: [Field; 5], by_batch: bool, target: Field) -> BoxedSystem {
    let width = target.width();
    let population = Population::of(layer, target);
    write_rows(
        layer,
        "batch_norm_backward",
        Cut::Even,
        inputs,
        target,
        #[inline(always)]
        move |topology, [gradient, values, statistics, weight, totals], rows, target| {
            let share = if by_batch { population.share(topology, values) } else { 0.0 };
            let ((mean, scale), (first, second)) = (halves(statistics), halves(totals));
            let columns = mean.iter().zip(scale).zip(only_row(weight)).zip(first.iter().zip(second));
            for (row, target) in rows.zip(target.chunks_exact_mut(width)) {
                if !population.has(topology, row) {
                    target.fill(0.0);
                    continue;
                }
                let (gradient, values) = (gradient.row(row), values.row(row));
                let terms = target.iter_mut().zip(gradient.iter().zip(values));
                for ((target, (gradient, value)), (((mean, scale), weight), (first, second))) in
                    terms.zip(columns.clone())
                {
                    let normalized = (value - mean) * scale;
                    *target = weight * scale * (gradient - share * (first + normalized * second));
                }
            }
        },
    )
}

/// Whose mean and variance are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Population {
    /// All rows.
    All,
    /// Those of the edges that are not dangling, for these carry nothing.
    Edges,
}

impl Population {
    fn of(layer: &LayerBuilder, rows: Field) -> Self {
        if rows.domain() == layer.rows().edges { Self::Edges } else { Self::All }
    }

    #[inline(always)]
    fn has(self, topology: &Topology, row: usize) -> bool {
        self == Self::All || topology.endpoints[row][0] != Topology::NO_ROW
    }

    #[inline(always)]
    fn count(self, topology: &Topology, values: &Matrix) -> usize {
        match self {
            Self::All => values.row_count(),
            Self::Edges => topology.incoming.len(),
        }
    }

    /// What each row adds to a mean.
    #[inline(always)]
    fn share(self, topology: &Topology, values: &Matrix) -> f32 {
        1.0 / self.count(topology, values).max(1) as f32
    }
}

#[inline(always)]
fn only_row<'a>(matrix: &Matrix<'a>) -> &'a [f32] {
    matrix.rows().next().unwrap_or(&[])
}

/// The two rows that lie side by side in the only row.
#[inline(always)]
fn halves<'a>(matrix: &Matrix<'a>) -> (&'a [f32], &'a [f32]) {
    let row = only_row(matrix);
    row.split_at(row.len() / 2)
}
