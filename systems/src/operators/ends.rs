//! From nodes to edges: what stands at both ends of an edge, added up.

use connectome_components::{Field, Signal, Topology};

use super::{
    epilogue::Epilogue,
    relation::Uniform,
    rows::{Cut, write_rows},
};
use crate::{
    Phase,
    kernels::{Activation, gather_rows},
    layers::{BuildError, LayerBuilder},
};

/// What an edge takes from its ends and from itself, each times a factor. All are of one width.
///
/// A linear map of sender, receiver and edge put side by side is the sum of a map of each, two of them on nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct EdgeTerms {
    /// From the node where it starts.
    pub source: Option<(Signal, f32)>,
    /// From the node where it ends.
    pub target: Option<(Signal, f32)>,
    /// From the edge itself.
    pub edge: Option<(Signal, f32)>,
    /// Applied to the sum; its derivative is told from its output.
    pub activation: Activation,
}

/// `Z[e] = f(s S[source of e] + t T[target of e] + c E[e])`, on edges; `f(0)` for dangling ones.
///
/// # Errors
/// If a signal is sparse, not on the rows where it belongs, or of another width than the others; or if there is none.
pub fn gather_ends(layer: &mut LayerBuilder, terms: EdgeTerms) -> Result<Signal, BuildError> {
    let EdgeTerms { source, target, edge, activation } = terms;
    let epilogue = Epilogue { activation, ..Epilogue::default() };
    let rows = layer.rows();
    let given = [(source, rows.nodes), (target, rows.nodes), (edge, rows.edges)];
    let mut fields: Vec<Field> = Vec::new();
    let mut learns = false;
    for ((signal, _), on) in given.iter().filter_map(|(term, on)| Some((term.as_ref()?, *on))) {
        let field = layer.dense(*signal)?;
        if field.domain() != on || fields.first().is_some_and(|first| first.width() != field.width()) {
            return Err(layer.refuse("adds signals to edges that are of different width or not on nodes and edges"));
        }
        learns |= signal.learns();
        fields.push(field);
    }
    let Some(first) = fields.first().copied() else { return Err(layer.refuse("adds nothing to its edges")) };
    let output = layer.signal(rows.edges, first.width(), learns)?;
    let field = |term: Option<(Signal, f32)>| term.map_or(first, |(signal, _)| signal.value());
    let factors = [source, target, edge].map(|term| term.map(|(_, factor)| factor));
    let forward = write_rows(
        layer,
        "gather_ends",
        Cut::Even,
        [field(source), field(target), field(edge)],
        output.value(),
        #[inline(always)]
        move |topology, matrices, rows, output| {
            let width = matrices[0].width();
            for (row, output) in rows.zip(output.chunks_exact_mut(width)) {
                output.fill(0.0);
                let [from, to] = topology.endpoints[row];
                if from == Topology::NO_ROW {
                    continue;
                }
                for ((matrix, factor), row) in matrices.iter().zip(factors).zip([from as usize, to as usize, row]) {
                    let Some(factor) = factor else { continue };
                    output.iter_mut().zip(matrix.row(row)).for_each(|(output, number)| *output += factor * number);
                }
            }
            activation.apply(output);
        },
    );
    layer.forward(Phase::Message, forward);
    layer.on_backward(output, &epilogue.keeps(output), move |layer, gradient| {
        epilogue.backward(layer, output.value(), gradient)?;
        if let Some((signal, factor)) = source {
            node_gradient(layer, Cut::Outgoing, signal, factor, gradient)?;
        }
        if let Some((signal, factor)) = target {
            node_gradient(layer, Cut::Incoming, signal, factor, gradient)?;
        }
        let Some((signal, factor)) = edge else { return Ok(()) };
        let Some(target) = layer.gradient_of(signal)? else { return Ok(()) };
        let backward = write_rows(
            layer,
            "gather_ends_backward",
            Cut::Even,
            [gradient],
            target,
            #[inline(always)]
            move |topology, [gradient], rows, target| {
                for (row, target) in rows.zip(target.chunks_exact_mut(gradient.width())) {
                    let factor = if topology.endpoints[row][0] == Topology::NO_ROW { 0.0 } else { factor };
                    target.iter_mut().zip(gradient.row(row)).for_each(|(target, number)| *target = factor * number);
                }
            },
        );
        layer.backward(backward);
        Ok(())
    });
    Ok(output)
}

/// The gradient of what edges took from their ends on one side: the sum over these edges.
fn node_gradient(
    layer: &mut LayerBuilder,
    cut: Cut,
    signal: Signal,
    factor: f32,
    gradient: Field,
) -> Result<(), BuildError> {
    let Some((target, adds)) = layer.gradient_onto(signal)? else { return Ok(()) };
    let backward = write_rows(
        layer,
        "gather_ends_backward",
        cut,
        [gradient],
        target,
        #[inline(always)]
        move |topology, [gradient], rows, target| {
            let adjacency = cut.adjacency(topology).unwrap_or(&topology.incoming);
            let terms = |row| Uniform { rows: &adjacency.edges[adjacency.entries(row)], coefficient: factor };
            gather_rows(rows, terms, gradient, adds, target);
        },
    );
    layer.backward(backward);
    Ok(())
}
