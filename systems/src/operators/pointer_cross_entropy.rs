//! The loss of pointers that have several right answers.

use connectome_components::Topology;

use super::choice::choose;
use crate::program::{Cost, Domain, Footprint, Operator, Shape, Step, Value};

/// For each source node the softmax of the scores of its outgoing edges, and as loss the mean over the nodes with a
/// right edge of `-log sum over right edges of their probability`: any of the right edges will do.
///
/// An operator for the loss of a head on edges ([`Head::operator_loss`](crate::Head::operator_loss)): the output is the
/// scores `[E, 1]`, and targets `[E, 1]` are above 0 for right edges, 0 for wrong ones, and negative for edges that are no
/// candidates. The gradient of a candidate is its probability, less its share among the right ones, divided by the number
/// of nodes that count. Scores may be of any size. Costs 4 exponentials an edge. Border: other edges, those of nodes
/// without a right edge, and dangling ones have gradient 0; without any right edge the loss is NaN, which the step
/// reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PointerCrossEntropy;

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
        let topology = step.topology();
        choose(
            step,
            (&topology.outgoing, &topology.node_order),
            #[inline(always)]
            |topology, edge| match topology.endpoints[edge] {
                [_, Topology::NO_ROW] => None,
                [source, _] => Some(source),
            },
        );
    }
}
