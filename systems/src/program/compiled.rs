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
    /// Whether its first output has been computed, if that rests.
    settled: Option<Arc<AtomicBool>>,
    /// How many of its inputs that output depends on.
    inputs_of_first: usize,
    /// What is run while it rests.
    then: Option<Box<Compiled>>,
    /// The graph whose topology it reads.
    pub(crate) graph: usize,
}

impl Compiled {
    /// An operation of a plan with the indices of its columns; `settled` says whether its first output has been computed, if
    /// that rests, `then` is what is run while it does, and `extent` which rows it has in a sample.
    pub(crate) fn new(
        operation: &Operation,
        inputs: Vec<usize>,
        indices: Vec<Option<usize>>,
        outputs: Vec<usize>,
        settled: Option<Arc<AtomicBool>>,
        then: Option<Self>,
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
            inputs_of_first: operation.parts.as_ref().map_or(operation.inputs.len(), |parts| parts[0].inputs.len()),
            then: then.map(Box::new),
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
        if self.rests(columns, topology, extent.is_some()) {
            if let Some(then) = &self.then {
                then.run(columns, topology, workers, (seed, pass), scratch, is_limited);
            }
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

    /// Whether the first output is what would be computed.
    fn rests(&self, columns: &Columns, topology: &Topology, is_limited: bool) -> bool {
        let Some(settled) = &self.settled else { return false };
        // Of the rows of a sample not all are computed.
        let was_settled = settled.swap(!is_limited, Ordering::Relaxed);
        let inputs = &self.inputs[..self.inputs_of_first];
        let is_newer = |tick| columns.is_newer_than(self.outputs[0], tick, inputs);
        was_settled && !is_limited && topology.derived_at.is_some_and(is_newer)
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
            inputs_of_first: 0,
            then: None,
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
