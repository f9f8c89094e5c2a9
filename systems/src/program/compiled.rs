//! Operations with the indices of their columns, inside and outside of a plan.

use connectome_components::{ColumnSet, Columns, Direction, Field, Topology};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Domain, Operation, Operator, Step, Value, reach::Extent};
use crate::parallel::Workers;

/// An operation with the indices of its columns.
pub(crate) struct Compiled {
    operator: Arc<dyn Operator>,
    inputs: Vec<usize>,
    indices: Vec<Option<usize>>,
    outputs: Vec<usize>,
    /// The rows of the first output or, in a sum, of the first input, and those of each input.
    domain: Domain,
    domains: Vec<Domain>,
    written: Vec<Domain>,
    /// The rows that it has in a training step on a sample; all if none.
    extent: Option<Extent>,
    accumulates: bool,
    /// Whether its output has been computed, if it rests.
    settled: Option<Arc<AtomicBool>>,
    /// The graph whose topology it reads.
    pub(crate) graph: usize,
}

impl Compiled {
    /// An operation of a plan with the indices of its columns; `settled` says whether its output has been computed, if it
    /// rests, and `extent` which rows it has in a sample.
    pub(crate) fn new(
        operation: &Operation,
        inputs: Vec<usize>,
        indices: Vec<Option<usize>>,
        outputs: Vec<usize>,
        settled: Option<Arc<AtomicBool>>,
        extent: Option<Extent>,
    ) -> Self {
        let domains: Vec<Domain> = operation.inputs.iter().map(Value::domain).collect();
        let written = operation.outputs.first().map_or(Domain::Single, Value::domain);
        let domain = if written == Domain::Single { domains.first().copied().unwrap_or(written) } else { written };
        Self {
            operator: operation.operator.clone(),
            inputs,
            indices,
            outputs,
            domain,
            domains,
            written: operation.outputs.iter().map(Value::domain).collect(),
            extent,
            accumulates: operation.accumulates,
            settled,
            graph: operation.graph.0 as usize,
        }
    }

    /// The direction in which it passes through its graph level by level, if it does.
    pub(crate) fn direction(&self) -> Option<Direction> {
        self.operator.direction()
    }

    /// Runs it, unless it rests; the pair is the seed and the number of the training pass. If the step `is_limited`, it has
    /// only the rows that the seeds of a sample need.
    pub(crate) fn run(
        &self,
        columns: &mut Columns,
        topology: &Topology,
        workers: &Workers,
        (seed, pass): (u64, u64),
        scratch: &mut Vec<f32>,
        is_limited: bool,
    ) {
        let extent = self.extent.filter(|_| is_limited);
        if let (Some(settled), Some(_)) = (&self.settled, extent) {
            // Of the rows of a sample not all are computed.
            settled.store(false, Ordering::Relaxed);
        } else if let Some(settled) = &self.settled
            && settled.swap(true, Ordering::Relaxed)
            && topology.derived_at.is_some_and(|tick| columns.is_newer_than(self.outputs[0], tick, &self.inputs))
        {
            return;
        }
        let (columns, mut outputs) = columns.split_mut(&self.outputs);
        let mut read_rows = None;
        if let Some(extent) = extent {
            for (output, domain) in
                outputs.iter_mut().zip(&self.written).filter(|(_, domain)| **domain != Domain::Single)
            {
                *output = output.take().map(|mut output| {
                    output.reborrow().fill_rows(extent.zeros(topology, *domain), 0.0);
                    output.first_rows(extent.rows(topology, *domain))
                });
            }
            let sums = self.written.first() == Some(&Domain::Single);
            read_rows = Some((extent, topology)).filter(|_| sums);
        }
        let mut step = Step {
            inputs: &self.inputs,
            indices: &self.indices,
            columns,
            outputs,
            accumulates: self.accumulates,
            topology: extent.map_or(topology, |extent| extent.topology(topology)),
            read_rows,
            domain: self.domain,
            domains: &self.domains,
            workers,
            seed,
            pass,
            scratch,
        };
        self.operator.run(&mut step);
    }
}

/// An operator that is run outside of a plan, on fields.
pub(crate) struct Alone(Compiled);

impl Alone {
    /// The operator with the indices of its columns, which are added to `set`; its inputs are on the rows of `domain`.
    pub(crate) fn new(
        operator: Arc<dyn Operator>,
        domain: Domain,
        inputs: &[Field],
        outputs: &[Field],
        set: &mut ColumnSet,
    ) -> Self {
        let inputs: Vec<usize> = inputs.iter().map(|input| set.read(*input)).collect();
        let outputs = outputs.iter().map(|output| set.write(*output)).collect();
        let indices = vec![None; inputs.len()];
        let (domains, accumulates) = (vec![domain; inputs.len()], false);
        let (written, extent, settled) = (Vec::new(), None, None);
        Self(Compiled {
            operator,
            inputs,
            indices,
            outputs,
            domain,
            domains,
            written,
            extent,
            accumulates,
            settled,
            graph: 0,
        })
    }

    /// The index of the column of output number `output`.
    pub(crate) fn output(&self, output: usize) -> usize {
        self.0.outputs[output]
    }

    /// Runs it; `random` is the seed and the number of the training pass.
    pub(crate) fn run(
        &self,
        columns: &mut Columns,
        topology: &Topology,
        workers: &Workers,
        random: (u64, u64),
        scratch: &mut Vec<f32>,
    ) {
        self.0.run(columns, topology, workers, random, scratch, false);
    }
}
