//! The loss of pointers that have several right answers.

use connectome_components::{Matrix, Topology};
use core::cell::RefCell;

use crate::{
    kernels::{exp, ln, vectorize},
    parallel::{Blocks, RowsMut},
    program::{Cost, Domain, Footprint, Operator, Partition, Shape, Step, Value},
};

/// For each source node the softmax of the scores of its outgoing edges, and as loss the mean over the nodes with a
/// right edge of `-log sum over right edges of their probability`: any of the right edges will do.
///
/// An operator for the loss of a head on edges ([`Head::operator_loss`](crate::Head::operator_loss)): the output is the
/// scores `[E, 1]`, and targets `[E, 1]` above 0 mark the right edges. The gradient of an edge is its probability, less
/// its share among the right ones, divided by the number of nodes that count. Scores may be of any size. Costs 4
/// exponentials an edge. Border: nodes without a right edge and dangling edges have gradient 0; without any right edge
/// the loss is NaN, which the step reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PointerCrossEntropy;

thread_local! {
    /// For each node the logarithms of the sums of the exponentials of its scores: of all, and of the right ones.
    static LOG_SUMS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

impl Operator for PointerCrossEntropy {
    fn name(&self) -> &'static str {
        "pointer_cross_entropy"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let scores = inputs[0].shape();
        if !(matches!(scores.domain, Domain::Edges(_)) && scores.width == 1) {
            return Err(format!("scores the edges of nodes, but its input is {scores}; give one score on each edge"));
        }
        if inputs.len() > 2 {
            return Err("counts each node once; leave out the weights of rows".to_owned());
        }
        Ok(vec![scores, Shape::new(Domain::Single, 1)])
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn cost(&self, _: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: 4, per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        LOG_SUMS.with_borrow_mut(|log_sums| {
            let (topology, scores, right) = (step.topology(), step.input(0), step.input(1));
            let nodes = topology.outgoing.offsets.len().saturating_sub(1);
            log_sums.clear();
            log_sums.resize(2 * nodes, f32::NEG_INFINITY);
            let blocks = Blocks::Boundaries(&topology.outgoing.blocks);
            step.workers().for_each_block(blocks, 16, RowsMut::new(log_sums, 2), |rows, sums| {
                vectorize(
                    #[inline(always)]
                    || {
                        for (node, sums) in rows.zip(sums.data.chunks_exact_mut(2)) {
                            sums.copy_from_slice(&log_sums_of(topology, node, [&scores, &right]));
                        }
                    },
                );
            });
            let log_sums = &log_sums[..];
            let of = |node: usize| [log_sums[2 * node], log_sums[2 * node + 1]];
            let order = topology.node_order.permutation();
            let in_order = (0..nodes).map(|rank| order.map_or(rank, |order| order[rank] as usize));
            let losses = in_order.map(of).filter(|[_, right]| *right != f32::NEG_INFINITY);
            let (count, sum) =
                losses.fold((0, 0.0), |(count, sum), [all, right]| (count + 1, sum + f64::from(all - right)));
            let scale = 1.0 / count as f32;
            step.write_rows(
                Partition::Uniform,
                [0, 1],
                #[inline(always)]
                |topology, [scores, right], rows, gradient| {
                    for (edge, gradient) in rows.zip(gradient) {
                        let [source, target] = topology.endpoints[edge];
                        *gradient = 0.0;
                        if target == Topology::NO_ROW || of(source as usize)[1] == f32::NEG_INFINITY {
                            continue;
                        }
                        let ([all, right_sum], score) = (of(source as usize), scores.row(edge)[0]);
                        let share = if right.row(edge)[0] > 0.0 { exp(score - right_sum) } else { 0.0 };
                        *gradient = scale * (exp(score - all) - share);
                    }
                },
            );
            step.output(1).rows_mut().flatten().for_each(|loss| *loss = (sum / f64::from(count)) as f32);
        });
    }
}

/// The logarithms of the sums of a node's exponentials, of all and of the right ones; minus infinity of none.
#[inline(always)]
fn log_sums_of(topology: &Topology, node: usize, [scores, right]: [&Matrix; 2]) -> [f32; 2] {
    let edges = &topology.outgoing.edges[topology.outgoing.entries(node)];
    let score = |edge: &u32| scores.row(*edge as usize)[0];
    let is_right = |edge: &u32| right.row(*edge as usize)[0] > 0.0;
    // Of each set its own largest is subtracted: the right ones may lie far below the others.
    let mut most = [f32::NEG_INFINITY; 2];
    for edge in edges {
        most[0] = most[0].max(score(edge));
        most[1] = if is_right(edge) { most[1].max(score(edge)) } else { most[1] };
    }
    let mut sums = [0.0; 2];
    for edge in edges {
        sums[0] += exp(score(edge) - most[0]);
        sums[1] += if is_right(edge) { exp(score(edge) - most[1]) } else { 0.0 };
    }
    [0, 1].map(|set| if sums[set] == 0.0 { f32::NEG_INFINITY } else { most[set] + ln(sums[set]) })
}
