//! The loss of a choice among the nodes of a subgraph.

use crate::{
    kernels::{exp, vectorize},
    parallel::{Blocks, RowsMut},
    program::{Cost, Domain, Footprint, Operator, Partition, Shape, Step, Value},
};

use super::pointer_cross_entropy::{LogSums, is_candidate, is_right};

/// For each subgraph the softmax of the scores of its nodes, and as loss the mean over the subgraphs with a right node of
/// `-log sum over right nodes of their probability`: any of the right nodes will do.
///
/// An operator for the loss of a head on nodes ([`Head::operator_loss`](crate::Head::operator_loss)): the output is the
/// scores `[N, 1]`, and targets `[N, 1]` are above 0 for right nodes, 0 for wrong ones, and negative for nodes that are
/// no candidates. The gradient of a candidate is its probability, less its share among the right ones, divided by the
/// number of subgraphs that count. Costs 4 exponentials a node. Border: other nodes, those of a subgraph without a right
/// one, and those of no subgraph have gradient 0; without any right node the loss is NaN, which the step reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubgraphCrossEntropy;

impl Operator for SubgraphCrossEntropy {
    fn name(&self) -> &'static str {
        "subgraph_cross_entropy"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let scores = inputs[0].shape();
        if scores != Shape::new(Domain::Nodes, 1) {
            return Err(format!("scores nodes, but its input is {scores}; give one score for each node"));
        }
        if inputs.len() > 2 {
            return Err("counts each subgraph once; leave out the weights of rows".to_owned());
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
        let (topology, scores, targets) = (step.topology(), step.input(0), step.input(1));
        let members = &topology.members;
        let subgraphs = members.offsets.len().saturating_sub(1);
        let mut log_sums = vec![f32::NEG_INFINITY; 2 * subgraphs];
        let blocks = Blocks::Boundaries(&members.blocks);
        step.workers().for_each_block(blocks, 16, RowsMut::new(&mut log_sums, 2), |rows, sums| {
            vectorize(
                #[inline(always)]
                || {
                    for (subgraph, sums) in rows.zip(sums.data.chunks_exact_mut(2)) {
                        let LogSums { all, right } = LogSums::new(members.of(subgraph).0, [&scores, &targets]);
                        sums.copy_from_slice(&[all, right]);
                    }
                },
            );
        });
        let of = |subgraph: usize| LogSums { all: log_sums[2 * subgraph], right: log_sums[2 * subgraph + 1] };
        let (loss, count) = LogSums::mean_loss(subgraphs, topology.subgraph_order.permutation(), of);
        let scale = 1.0 / count as f32;
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |topology, [scores, targets], rows, gradient| {
                for (node, gradient) in rows.zip(gradient) {
                    *gradient = 0.0;
                    let (score, target) = (scores.row(node)[0], targets.row(node)[0]);
                    let sums = topology.membership.of(node).0.first().map(|subgraph| of(*subgraph as usize));
                    let Some(sums) = sums.filter(|sums| is_candidate(target) && sums.right != f32::NEG_INFINITY) else {
                        continue;
                    };
                    let share = if is_right(target) { exp(score - sums.right) } else { 0.0 };
                    *gradient = scale * (exp(score - sums.all) - share);
                }
            },
        );
        step.output(1).rows_mut().flatten().for_each(|output| *output = loss);
    }
}
