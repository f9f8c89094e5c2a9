//! The contrastive loss of two views.

use crate::{
    kernels::{Operand, exp, ln, matmul},
    parallel::Workers,
    program::{Cost, Domain, Footprint, Operator, Shape, Step, Value},
};

/// Symmetric InfoNCE of two views `X` and `Y` of the same things (van den Oord et al. 2018; Chen et al., "A simple
/// framework for contrastive learning", 2020; Radford et al. 2021): with rows of length 1, logits `X Y' / temperature`,
/// the mean of the cross-entropies of all rows and of all columns, where row `i` belongs to column `i`.
///
/// An operator for the loss of a head ([`Head::operator_loss`](crate::Head::operator_loss)): the output, `[2N, F]`, has
/// both views of each thing in rows that follow each other, such as graphs of a batch; targets are not read. Costs
/// `3 N N F` multiplications and memory of `N N` numbers. Border: a row of zeros stays as it is and has gradient 0;
/// without rows, or if the last has no partner, the loss is NaN, which the step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InfoNce {
    /// By what logits are divided, above 0.
    pub temperature: f32,
}

impl Operator for InfoNce {
    fn name(&self) -> &'static str {
        "info_nce"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let views = inputs[0].shape();
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(format!("has the temperature {}; give a finite number above 0", self.temperature));
        }
        if inputs.len() > 2 {
            return Err("counts all rows alike; leave out the weights of rows".to_owned());
        }
        Ok(vec![views, Shape::new(Domain::Single, 1)])
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn cost(&self, inputs: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 3 * inputs[0].width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let views = step.input(0);
        // Rows in the order of keys, as far as they are in it.
        let order = step.order().map(|order| order.rows.clone());
        let order = order.unwrap_or_else(|| (0..views.row_count() as u32).collect());
        let width = views.width();
        let side = |first: usize| -> Vec<f32> {
            order.iter().skip(first).step_by(2).flat_map(|row| views.row(*row as usize)).copied().collect()
        };
        let (loss, gradients) = self.compare([0, 1].map(side), width, step.workers());
        let mut ranks = vec![None; step.input(0).row_count()];
        order.iter().enumerate().for_each(|(rank, row)| ranks[*row as usize] = Some(rank));
        for (rank, gradient) in ranks.iter().zip(step.output(0).rows_mut()) {
            let known = rank.and_then(|rank| gradients[rank % 2].chunks_exact(width).nth(rank / 2));
            match known {
                Some(known) => gradient.copy_from_slice(known),
                None => gradient.fill(0.0),
            }
        }
        step.output(1).rows_mut().flatten().for_each(|output| *output = loss);
    }
}

impl InfoNce {
    /// The loss, and the gradients with respect to both views `[N, F]`.
    fn compare(&self, [x, y]: [Vec<f32>; 2], width: usize, workers: &Workers) -> (f32, [Vec<f32>; 2]) {
        let rows = x.len() / width.max(1);
        if rows == 0 || x.len() != y.len() {
            return (f32::NAN, [Vec::new(), Vec::new()]);
        }
        let ((x, x_lengths), (y, y_lengths)) = (normalized(&x, width), normalized(&y, width));
        let factor = 1.0 / self.temperature;
        let mut logits = vec![0.0; rows * rows];
        matmul(Operand::new(&x, width), Operand::new(&y, width).transposed(), &mut logits);
        logits.iter_mut().for_each(|logit| *logit *= factor);
        let log_sum = |line: &mut dyn Iterator<Item = f32>| {
            let line: Vec<f32> = line.collect();
            let most = line.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            most + ln(line.iter().map(|logit| exp(logit - most)).sum())
        };
        let row_sums = workers.map(rows, |row| log_sum(&mut logits[row * rows..][..rows].iter().copied()));
        let column_sums = workers.map(rows, |column| log_sum(&mut logits.iter().skip(column).step_by(rows).copied()));
        let own = (0..rows).map(|row| f64::from(logits[row * rows + row]));
        let terms = own.zip(row_sums.iter().zip(&column_sums));
        let total: f64 = terms.map(|(own, (row, column))| f64::from(*row) + f64::from(*column) - 2.0 * own).sum();
        // With respect to the products of rows: both softmaxes, less 1 for each on the diagonal.
        let scale = 0.5 * factor / rows as f32;
        for (row, line) in logits.chunks_exact_mut(rows).enumerate() {
            for (column, logit) in line.iter_mut().enumerate() {
                let shares = exp(*logit - row_sums[row]) + exp(*logit - column_sums[column]);
                *logit = scale * (shares - if row == column { 2.0 } else { 0.0 });
            }
        }
        let (mut by_x, mut by_y) = (vec![0.0; x.len()], vec![0.0; y.len()]);
        matmul(Operand::new(&logits, rows), Operand::new(&y, width), &mut by_x);
        matmul(Operand::new(&logits, rows).transposed(), Operand::new(&x, width), &mut by_y);
        through_lengths(&mut by_x, &x, &x_lengths);
        through_lengths(&mut by_y, &y, &y_lengths);
        ((0.5 * total / rows as f64) as f32, [by_x, by_y])
    }
}

/// Rows of length 1, and the lengths they had.
fn normalized(rows: &[f32], width: usize) -> (Vec<f32>, Vec<f32>) {
    let length = |row: &[f32]| row.iter().map(|value| value * value).sum::<f32>().sqrt();
    let lengths: Vec<f32> = rows.chunks_exact(width).map(length).collect();
    let divided = rows.chunks_exact(width).zip(&lengths).flat_map(|(row, length)| {
        let factor = if *length > 0.0 { 1.0 / length } else { 0.0 };
        row.iter().map(move |value| factor * value)
    });
    (divided.collect(), lengths)
}

/// `(G - Y (Y . G)) / length`, row by row.
fn through_lengths(gradient: &mut [f32], rows: &[f32], lengths: &[f32]) {
    let width = rows.len() / lengths.len();
    for ((gradient, row), length) in gradient.chunks_exact_mut(width).zip(rows.chunks_exact(width)).zip(lengths) {
        let along: f32 = gradient.iter().zip(row).map(|(gradient, value)| gradient * value).sum();
        let factor = if *length > 0.0 { 1.0 / length } else { 0.0 };
        gradient.iter_mut().zip(row).for_each(|(gradient, value)| *gradient = factor * (*gradient - along * value));
    }
}
