//! The backward pass of sums over neighbors.

use connectome_components::Matrix;
use core::ops::Range;
use std::sync::Arc;

use super::{
    aggregate::Terms,
    aggregate_linear::AggregateInputGradient,
    epilogue::{Chain, PreparedChain},
};
use crate::program::{Cost, Footprint, Operation, Operator, Partition, Step, Value};

/// The gradient with respect to the values of [`aggregate`](super::aggregate), plus `blended` times that with respect to its output where they
/// are blended into it; added to what is there if the step accumulates. Then the chain is applied, whose input has the index
/// that is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct AggregateBackward {
    pub(super) terms: Terms,
    pub(super) blended: Option<f32>,
    pub(super) chain: Option<(Chain, usize)>,
}

impl Operator for AggregateBackward {
    fn name(&self) -> &'static str {
        "aggregate_backward"
    }

    fn describe(&self) -> String {
        Chain::describe(self.chain, self.name())
    }

    fn footprint(&self, input: usize) -> Footprint {
        if self.chain.is_some_and(|(_, output)| output == input) { Footprint::Same } else { Footprint::Outgoing }
    }

    fn accumulates(&self) -> bool {
        true
    }

    fn cost(&self, _: &[Value], outputs: &[Value]) -> Cost {
        let width = outputs.first().map_or(0, Value::width);
        Cost { per_row: width, per_entry: width }
    }

    fn fuse_update(&self, update: &Operation, inputs: usize) -> Option<Arc<dyn Operator>> {
        let chain = Chain::of(update, inputs).filter(|(_, input)| self.chain.is_none() && *input > 0)?;
        Some(Arc::new(Self { chain: Some(chain), ..*self }))
    }

    fn fuse_late(
        &self,
        operation: &Operation,
        next: &Operation,
        input: usize,
        keeps: bool,
    ) -> Option<Arc<dyn Operator>> {
        let fused = keeps.then(|| AggregateInputGradient::new(*self, [operation, next], input))??;
        Some(Arc::new(fused))
    }

    fn run(&self, step: &mut Step<'_>) {
        let finish = self.prepare(step);
        self.terms.sum_rows(
            step,
            Partition::Outgoing,
            [0, self.output(0), 0],
            #[inline(always)]
            |receivers, [gradient, outputs, _], rows, target| {
                finish.apply(receivers, [gradient, outputs], rows, target)
            },
        );
    }
}

impl AggregateBackward {
    /// The input of the chain, or `other` in place of a missing one.
    pub(super) fn output(&self, other: usize) -> usize {
        self.chain.map_or(other, |(_, input)| input)
    }

    /// What is done in a step with the sums.
    pub(super) fn prepare<'a>(self, step: &Step<'a>) -> FinishedSums<'a> {
        FinishedSums { blended: self.blended, chain: self.chain.map(|(chain, _)| chain.prepare(step)) }
    }
}

/// What is done in a step with the sums of [`AggregateBackward`].
#[derive(Clone, Copy, Debug)]
pub(super) struct FinishedSums<'a> {
    blended: Option<f32>,
    chain: Option<PreparedChain<'a>>,
}

impl FinishedSums<'_> {
    /// Adds the gradient where it is blended, and applies the chain to some rows, whose outputs it may read.
    #[inline(always)]
    pub(super) fn apply(
        &self,
        receivers: usize,
        [gradient, outputs]: [&Matrix; 2],
        rows: Range<usize>,
        sums: &mut [f32],
    ) {
        if let Some(blended) = self.blended {
            let terms = gradient.slice(rows.start.min(receivers)..rows.end.min(receivers));
            sums.iter_mut().zip(terms).for_each(|(sum, gradient)| *sum += blended * gradient);
        }
        if let Some(chain) = &self.chain {
            chain.apply(Some(outputs), rows, sums);
        }
    }
}
