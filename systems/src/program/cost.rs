//! What the operations of a plan cost, and which of them could run beside each other.

use super::{Column, Domain, Footprint, GraphIndex, Operation, Pass, Plan, RowCounts, Value};

/// How many rows are gathered by all rows of a graph together.
fn entries(footprint: Footprint, graph: GraphIndex, rows: &RowCounts) -> usize {
    let edges = rows.of(Domain::Edges(graph));
    match footprint {
        Footprint::Incoming | Footprint::Outgoing => edges.saturating_add(rows.nodes),
        Footprint::IncomingEdges | Footprint::OutgoingEdges | Footprint::Target => edges,
        Footprint::Endpoints => edges.saturating_mul(2),
        Footprint::Members | Footprint::Membership => rows.nodes,
        Footprint::Same | Footprint::All => 0,
    }
}

impl Plan {
    /// Multiplications of an operation on so many rows: an estimate, from [`Operator::cost`](super::Operator::cost). Of a
    /// sparse input those with what is stored.
    pub fn multiplications(&self, operation: &Operation, rows: &RowCounts) -> usize {
        let Operation { operator, inputs, outputs, .. } = operation;
        let cost = operator.cost(inputs, outputs);
        let of = |value: Option<&Value>| value.map_or(0, |value| rows.of(value.domain()));
        let count = of(outputs.first()).max(of(inputs.first()));
        let per_row = match inputs.first().filter(|input| input.is_sparse()) {
            Some(input) => cost.per_row.saturating_mul(self.program.stored_width(*input)) / input.width(),
            None => cost.per_row,
        };
        let entries = (0..inputs.len()).map(|input| entries(operator.footprint(input), operation.graph, rows)).max();
        let per_entry = cost.per_entry.saturating_mul(entries.unwrap_or(0));
        per_row.saturating_mul(count).saturating_add(per_entry)
    }

    /// Bytes of the rows that an operation reads and writes, each of them once.
    pub fn bytes_moved(&self, operation: &Operation, rows: &RowCounts) -> usize {
        let bytes = |value: &Value| {
            let elements = rows.of(value.domain()).saturating_mul(self.program.stored_width(*value));
            // The elements, and of a sparse value their indices.
            elements.saturating_mul(size_of::<f32>() * (1 + usize::from(value.is_sparse())))
        };
        operation.inputs.iter().chain(&operation.outputs).map(bytes).fold(0, usize::saturating_add)
    }

    /// For each operation of a pass how many others have to run before it, one after the other, by what it reads: those of
    /// one level could run beside each other, if each had columns of its own. What is changed in place waits for all that
    /// read it before.
    pub fn levels(&self, pass: Pass) -> Vec<usize> {
        // The first level at which each value stands, and the first at which it may be changed.
        let mut written = vec![0; self.program.values.len()];
        let mut is_read = vec![0; self.program.values.len()];
        let level_of = |operation: &Operation| {
            let inputs = operation.inputs.iter().map(|input| written[input.id()]).max().unwrap_or(0);
            let changed = operation.in_place_of.map_or(0, |value| written[value.id()].max(is_read[value.id()]));
            let level = inputs.max(changed);
            operation.outputs.iter().for_each(|output| written[output.id()] = level + 1);
            operation.inputs.iter().for_each(|input| is_read[input.id()] = is_read[input.id()].max(level + 1));
            level
        };
        self.operations(pass).iter().map(level_of).collect()
    }

    /// Whether a value is a parameter or a buffer.
    pub fn is_parameter(&self, value: Value) -> bool {
        matches!(self.column(value), Some(Column::Parameter(_)))
    }
}
