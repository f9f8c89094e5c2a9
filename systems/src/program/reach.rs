//! How many hops around the seeds of a sample the rows of each operation are needed.
//!
//! Where the loss counts seeds alone, the last layer is needed for these, the one before for nodes within one hop, and so
//! on: whatever an operation reads by its [`Footprint`]. Gradients are 0 beyond. What depends on all rows, as the
//! statistics of a batch norm, keeps all rows, so that limits change no result.

use connectome_components::Topology;

use super::{Domain, Footprint, Operation, Pass, Plan, Value, ValueKind};

/// The hop that stands for all rows.
const ALL: u32 = u32::MAX;

/// How often the analysis is repeated at most.
const MAX_ROUNDS: usize = 64;

/// The rows of an operation in a training step on a sample, by hops around the seeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The rows that it writes; those that it reads, if it writes a single one.
    rows: u32,
    /// The part of the topology that it reads.
    topology: u32,
    /// The rows that are 0: from within so many hops to within so many.
    zeros: [u32; 2],
}

impl Extent {
    /// The part of a topology that it reads.
    pub(crate) fn topology(self, topology: &Topology) -> &Topology {
        topology.hops.get(self.topology as usize).unwrap_or(topology)
    }

    /// How many of the first rows it writes, or else reads.
    pub(crate) fn rows(self, topology: &Topology, domain: Domain) -> usize {
        rows_within(topology, self.rows, domain)
    }

    /// The rows that are 0 beside these.
    pub(crate) fn zeros(self, topology: &Topology, domain: Domain) -> core::ops::Range<usize> {
        let [start, end] = self.zeros.map(|hops| rows_within(topology, hops, domain));
        start..end
    }
}

fn rows_within(topology: &Topology, hops: u32, domain: Domain) -> usize {
    let counts = topology.rows_within(hops as usize);
    match (domain, counts) {
        (Domain::Nodes(_), Some([nodes, _])) => nodes,
        (Domain::Edges(_), Some([_, edges])) => edges,
        _ => usize::MAX,
    }
}

/// The extents of the operations of both passes; none if they all have all rows. `counts_seeds` says of each head
/// whether its loss counts seeds alone.
///
/// Costs a few passes over the operations.
pub(crate) fn extents(plan: &Plan, counts_seeds: impl Fn(usize) -> bool) -> Option<[Vec<Extent>; 2]> {
    let program = &plan.program;
    let counts_seeds = |head: usize| program.heads[head].output.domain() == Domain::NODES && counts_seeds(head);
    let is_limited = plan.mode() == super::Mode::Training
        && !program.has_kinds()
        && program.graphs.len() == 1
        && (0..program.heads.len()).any(counts_seeds);
    if !is_limited {
        return None;
    }
    let mut analysis = Analysis::new(plan, counts_seeds);
    for _ in 0..MAX_ROUNDS {
        analysis.has_changed = false;
        let (forward, backward) = (analysis.forward(), analysis.backward());
        if !analysis.has_changed {
            return Some([forward, backward]);
        }
    }
    None
}

struct Analysis<'a> {
    plan: &'a Plan,
    /// For each value the hops within which its rows are read.
    needed: Vec<u32>,
    /// For each value of the backward pass the hops within which its rows are written; it is 0 beyond.
    written: Vec<u32>,
    is_backward: Vec<bool>,
    is_head: Vec<bool>,
    /// Whether a value was found to be needed farther than was known.
    has_changed: bool,
}

impl<'a> Analysis<'a> {
    fn new(plan: &'a Plan, counts_seeds: impl Fn(usize) -> bool) -> Self {
        let program = &plan.program;
        let count = program.values.len();
        let (mut needed, mut written) = (vec![0; count], vec![0; count]);
        let [mut is_backward, mut is_head] = [vec![false; count], vec![false; count]];
        for (index, head) in program.heads.iter().enumerate() {
            is_head[head.output.id()] = true;
            if !counts_seeds(index) {
                needed[head.output.id()] = ALL;
            }
        }
        for (value, kind) in program.values.iter().enumerate() {
            if let ValueKind::HeadGradient(head) = *kind {
                is_backward[value] = true;
                written[value] = if counts_seeds(head) { 0 } else { ALL };
            }
        }
        for output in plan.backward.iter().flat_map(|operation| &operation.outputs) {
            is_backward[output.id()] = true;
        }
        let gradients = plan.input_gradients().iter().map(|(_, gradient)| gradient);
        program.kept.iter().chain(&program.updates).chain(gradients).for_each(|value| needed[value.id()] = ALL);
        Self { plan, needed, written, is_backward, is_head, has_changed: false }
    }

    fn require(&mut self, value: Value, hops: u32) {
        let needed = &mut self.needed[value.id()];
        if *needed < hops {
            *needed = hops;
            self.has_changed = true;
        }
    }

    /// The extents of the forward operations, which are needed as far as their outputs are.
    fn forward(&mut self) -> Vec<Extent> {
        let operations = self.plan.operations(Pass::Forward);
        let mut extents: Vec<Extent> =
            operations.iter().rev().map(|operation| self.forward_extent(operation)).collect();
        extents.reverse();
        extents
    }

    fn forward_extent(&mut self, operation: &Operation) -> Extent {
        let needed = operation.outputs.iter().map(|output| self.needed[output.id()]).max().unwrap_or(ALL);
        let hops = if is_local(operation, Pass::Forward) && operation.in_place_of.is_none() { needed } else { ALL };
        operation.outputs.iter().for_each(|output| self.require(*output, hops));
        self.require_inputs(operation, [hops, hops]);
        let is_head = operation.outputs.iter().any(|output| self.is_head[output.id()]);
        // The rows of a head's output are seen after the step.
        Extent { rows: hops, topology: hops, zeros: [hops, if is_head { ALL } else { hops }] }
    }

    /// The extents of the operations of the backward pass, whose outputs are 0 where the gradients that they read are.
    fn backward(&mut self) -> Vec<Extent> {
        for (value, kind) in self.plan.program.values.iter().enumerate() {
            if matches!(kind, ValueKind::HeadGradient(_)) {
                // The loss writes all rows.
                self.written[value] = self.written[value].max(self.needed[value]);
            }
        }
        let operations = self.plan.operations(Pass::Backward);
        operations.iter().map(|operation| self.backward_extent(operation)).collect()
    }

    fn backward_extent(&mut self, operation: &Operation) -> Extent {
        let [rows, topology] = self.gradient_hops(operation).unwrap_or([ALL; 2]);
        self.require_inputs(operation, [rows, topology]);
        if let Some(gradient) = operation.in_place_of.filter(|_| !operation.accumulates) {
            self.require_row(gradient, rows);
        }
        let before = operation.in_place_of.filter(|value| has_rows(*value)).map(|value| self.written[value.id()]);
        let before = before.unwrap_or(rows);
        let needed = operation.outputs.iter().map(|output| self.needed[output.id()]).max().unwrap_or(rows);
        let written = needed.max(before).max(rows);
        operation.outputs.iter().for_each(|output| self.written[output.id()] = written);
        Extent { rows, topology, zeros: [before, written] }
    }

    /// The hops within which an operation of the backward pass computes rows, and those within which it reads gradients of
    /// others; none if these are all rows.
    fn gradient_hops(&self, operation: &Operation) -> Option<[u32; 2]> {
        let to = operation.outputs.first()?.domain();
        let is_single = to == Domain::Single;
        // What depends on a sum over all rows is not 0 where the gradient of its own row is.
        let reads_sums = |value: &Value| value.domain() == Domain::Single && self.is_backward[value.id()];
        if !is_single && (!is_local(operation, Pass::Backward) || operation.inputs.iter().any(reads_sums)) {
            return None;
        }
        let (mut of_row, mut of_targets) = (None, None);
        if let Some(gradient) = operation.in_place_of.filter(|value| !operation.accumulates && has_rows(*value)) {
            of_row = Some(self.written[gradient.id()]);
        }
        for (index, input) in operation.inputs.iter().enumerate() {
            if !self.is_backward[input.id()] || !has_rows(*input) {
                continue;
            }
            let hops = Some(self.written[input.id()]);
            let footprint = operation.operator.footprint(index);
            match (to, footprint, input.domain()) {
                (_, _, Domain::Subgraphs(_)) => return None,
                (Domain::Single, ..)
                | (Domain::Nodes(_), Footprint::Same, Domain::Nodes(_))
                | (Domain::Nodes(_), Footprint::Incoming | Footprint::IncomingEdges, Domain::Edges(_))
                | (Domain::Edges(_), Footprint::Target, Domain::Nodes(_))
                | (Domain::Edges(_), _, Domain::Edges(_)) => of_row = of_row.max(hops),
                (Domain::Nodes(_), Footprint::Outgoing | Footprint::OutgoingEdges, _) => {
                    of_targets = of_targets.max(hops);
                }
                _ => return None,
            }
        }
        match (of_row, of_targets) {
            (Some(rows), None) => Some([rows, rows]),
            (rows, Some(targets)) => {
                let rows = targets.saturating_add(1).max(rows.unwrap_or(0));
                Some([rows, if rows == ALL { ALL } else { rows - 1 }])
            }
            (None, None) => None,
        }
    }

    /// What an operation needs of its inputs to compute rows within so many hops, with the gradients of targets within so
    /// many.
    fn require_inputs(&mut self, operation: &Operation, [rows, targets]: [u32; 2]) {
        let Some(to) = operation.outputs.first().map(Value::domain) else { return };
        for (index, input) in operation.inputs.iter().enumerate() {
            let hops = match (to, operation.operator.footprint(index), input.domain()) {
                (Domain::Single, ..) => rows,
                (_, Footprint::Outgoing | Footprint::OutgoingEdges, _) => targets,
                (_, footprint, from) => read_hops(footprint, [from, to], rows),
            };
            self.require_row(*input, hops);
        }
    }

    fn require_row(&mut self, value: Value, hops: u32) {
        // A gradient is 0 where it is not written, which has to be written where it is read.
        if has_rows(value) && (!self.is_backward[value.id()] || self.written[value.id()] < hops) {
            self.require(value, hops);
        }
    }
}

fn has_rows(value: Value) -> bool {
    value.domain() != Domain::Single
}

/// Whether a row of the outputs depends on rows around it alone.
fn is_local(operation: &Operation, pass: Pass) -> bool {
    let Some(to) = operation.outputs.first().map(Value::domain) else { return false };
    let reads_nearby = |(index, input): (usize, &Value)| match (to, operation.operator.footprint(index), input.domain())
    {
        (_, _, Domain::Single) => true,
        // Gradients, which are 0 beyond.
        (Domain::Nodes(_), Footprint::Outgoing | Footprint::OutgoingEdges, Domain::Nodes(_) | Domain::Edges(_)) => {
            pass == Pass::Backward
        }
        (_, footprint, from) => read_hops(footprint, [from, to], 0) != ALL,
    };
    matches!(to, Domain::Nodes(_) | Domain::Edges(_))
        && operation.operator.direction().is_none()
        && operation.inputs.iter().enumerate().all(reads_nearby)
}

/// The hops within which rows of `from` are read for rows of `to` within so many.
fn read_hops(footprint: Footprint, [from, to]: [Domain; 2], hops: u32) -> u32 {
    use Footprint::{Endpoints, Incoming, IncomingEdges, Same, Target};
    match (from, footprint, to) {
        (Domain::Nodes(_), Same, Domain::Nodes(_))
        | (Domain::Edges(_), Incoming | IncomingEdges, Domain::Nodes(_))
        | (Domain::Edges(_), Same | Endpoints | Target, Domain::Edges(_))
        | (Domain::Nodes(_), Target, Domain::Edges(_)) => hops,
        (Domain::Nodes(_), Incoming | IncomingEdges, Domain::Nodes(_))
        | (Domain::Nodes(_), Endpoints, Domain::Edges(_)) => hops.saturating_add(1),
        _ => ALL,
    }
}
