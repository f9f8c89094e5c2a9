//! Metrics of classification.

use connectome_components::{ClassCounts, HeadMetrics, MAX_CONFUSED, Split};

use super::{
    row::RowLoss,
    systems::{Rows, blocks},
    weights::TermWeights,
};
use crate::parallel::{RowsMut, Workers};

/// The measurement of a head's counts by class and of its ranking.
pub(super) struct Quality<'a, L: RowLoss> {
    pub(super) loss: L,
    pub(super) rows: &'a Rows<'a, L::Target>,
    pub(super) weights: &'a TermWeights<'a>,
    pub(super) workers: &'a Workers,
}

impl<L: RowLoss> Quality<'_, L> {
    /// Measures the rows of all splits; `predictions` is a buffer for the class of each row.
    pub(super) fn measure(&self, predictions: &mut Vec<u32>, metrics: &mut HeadMetrics) {
        let count = self.rows.output.row_count();
        if count == 0 {
            return;
        }
        if self.loss.class(self.rows.target.row(0)).is_some() {
            self.count_classes(predictions, metrics);
        } else {
            for row in self.used_rows() {
                let counts = &mut metrics.classes[self.rows.split(row) as usize];
                self.loss.count(self.rows.output.row(row), self.rows.target.row(row), counts);
            }
        }
        for row in self.used_rows() {
            // Either all rows have a rank or none.
            let rank = self.loss.rank(self.rows.output.row(row), self.rows.target.row(row));
            let Some((score, positive)) = rank else { break };
            metrics.ranking.push(self.rows.split(row), score, positive);
        }
        metrics.ranking.sort();
    }

    fn used_rows(&self) -> impl Iterator<Item = usize> {
        self.rows.in_order().filter(|row| self.rows.split(*row) != Split::Unused && self.weights.row(*row) != 0.0)
    }

    /// Predicts classes in parallel, and counts them sequentially.
    fn count_classes(&self, predictions: &mut Vec<u32>, metrics: &mut HeadMetrics) {
        let (count, width) = (self.rows.output.row_count(), self.rows.output.width());
        predictions.clear();
        predictions.resize(count, u32::MAX);
        let output = RowsMut::new(&mut predictions[..], 1);
        self.workers.for_each_block(blocks(0, count), width, output, |rows, predictions| {
            for (row, prediction) in rows.zip(predictions.data.iter_mut()) {
                *prediction = self.loss.predicted(self.rows.output.row(row)).unwrap_or(u32::MAX);
            }
        });
        for row in self.used_rows() {
            let split = self.rows.split(row) as usize;
            let actual = self.loss.class(self.rows.target.row(row)).unwrap_or(u32::MAX) as usize;
            let predicted = predictions[row] as usize;
            let classes = &mut metrics.classes[split];
            classes.resize(width, ClassCounts::default());
            if let Some(counts) = classes.get_mut(actual) {
                counts.actual += 1;
                counts.correct += u64::from(actual == predicted);
            }
            if let Some(counts) = classes.get_mut(predicted) {
                counts.predicted += 1;
            }
            if width <= MAX_CONFUSED {
                let confusion = &mut metrics.confusion[split];
                confusion.resize(width * width, 0);
                if actual < width && predicted < width {
                    confusion[actual * width + predicted] += 1;
                }
            }
        }
    }
}
