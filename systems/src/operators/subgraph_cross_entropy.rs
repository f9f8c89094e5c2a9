//! The loss of a choice among the nodes of a subgraph.

use crate::{
    kernels::vectorize,
    parallel::{Blocks, RowsMut},
    program::{Cost, Domain, Footprint, Operator, Partition, Shape, Step, Value},
};

use super::pointer_cross_entropy::LogSums;

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
        let mut log_sums = vec![LogSums::NONE; subgraphs];
        let blocks = Blocks::Boundaries(&members.blocks);
        step.workers().for_each_block(blocks, 16, RowsMut::new(&mut log_sums, 1), |rows, sums| {
            vectorize(
                #[inline(always)]
                || {
                    for (subgraph, sums) in rows.zip(&mut *sums.data) {
                        *sums = LogSums::new(members.of(subgraph).0, [&scores, &targets]);
                    }
                },
            );
        });
        let (loss, count) = LogSums::mean_loss(&log_sums, topology.subgraph_order.permutation());
        let scale = 1.0 / count as f32;
        step.write_rows(
            Partition::Uniform,
            [0, 1],
            #[inline(always)]
            |topology, [scores, targets], rows, gradient| {
                for (node, gradient) in rows.zip(gradient) {
                    let subgraph = topology.membership.of(node).0.first().copied();
                    let sums = subgraph.map_or(LogSums::NONE, |subgraph| log_sums[subgraph as usize]);
                    *gradient = scale * sums.gradient(scores.row(node)[0], targets.row(node)[0]);
                }
            },
        );
        step.output(1).rows_mut().flatten().for_each(|output| *output = loss);
    }
}
