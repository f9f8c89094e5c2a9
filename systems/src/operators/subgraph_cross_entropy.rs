//! The loss of a choice among the nodes of a subgraph.

use super::choice::choose;
use crate::program::{Cost, Domain, Footprint, Operator, Shape, Step, Value};

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
        if !matches!(scores, Shape { domain: Domain::Nodes(_), width: 1 }) {
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
        let topology = step.topology();
        choose(
            step,
            (&topology.members, &topology.subgraph_order),
            #[inline(always)]
            |topology, node| topology.membership.of(node).0.first().copied(),
        );
    }
}
