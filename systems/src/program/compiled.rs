//! Operations with the indices of their columns, inside and outside of a plan.

use connectome_components::{ColumnSet, Columns, Direction, Field, Topology};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{Domain, Operation, Operator, Step, Value};
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
    accumulates: bool,
    /// Whether its output has been computed, if it rests.
    settled: Option<Arc<AtomicBool>>,
    /// The graph whose topology it reads.
    pub(crate) graph: usize,
}

impl Compiled {
    /// An operation of a plan with the indices of its columns; `settled` says whether its output has been computed, if it
    /// rests.
    pub(crate) fn new(
        operation: &Operation,
        inputs: Vec<usize>,
        indices: Vec<Option<usize>>,
        outputs: Vec<usize>,
        settled: Option<Arc<AtomicBool>>,
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
            accumulates: operation.accumulates,
            settled,
            graph: operation.graph.0 as usize,
        }
    }

    /// The direction in which it passes through its graph level by level, if it does.
    pub(crate) fn direction(&self) -> Option<Direction> {
        self.operator.direction()
    }

    /// Runs it, unless it rests; the pair is the seed and the number of the training pass.
    pub(crate) fn run(
        &self,
        columns: &mut Columns,
        topology: &Topology,
        workers: &Workers,
        (seed, pass): (u64, u64),
        scratch: &mut Vec<f32>,
    ) {
        if let Some(settled) = &self.settled
            && settled.swap(true, Ordering::Relaxed)
            && topology.derived_at.is_some_and(|tick| columns.is_newer_than(self.outputs[0], tick, &self.inputs))
        {
            return;
        }
        let (columns, outputs) = columns.split_mut(&self.outputs);
        let mut step = Step {
            inputs: &self.inputs,
            indices: &self.indices,
            columns,
            outputs,
            accumulates: self.accumulates,
            topology,
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
        Self(Compiled { operator, inputs, indices, outputs, domain, domains, accumulates, settled: None, graph: 0 })
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
        self.0.run(columns, topology, workers, random, scratch);
    }
}
