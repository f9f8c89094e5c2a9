//! The loss of predicted graphs.

use connectome_components::{Matrix, Topology};

use crate::{
    parallel::Workers,
    program::{Domain, Footprint, Operator, Shape, Step, Value},
    transport::{FusedGromovWasserstein, MaskedGraph, MaskedGromovWasserstein, Search, SoftGraph, TransportError},
};

/// The mean over all subgraphs of the structural distance between the graph that a model predicts and a target.
///
/// An operator for the loss of a head on nodes ([`Head::operator_loss`](crate::Head::operator_loss)). Output and
/// targets are `[N, 1 + F + S]`: of each node its presence, its `features`, and its edges to the nodes of its subgraph,
/// in the order of their keys, as far as there are as many. A plan is found in each step, and held fixed by the
/// gradient. Border: a subgraph without nodes does not count, and one with more than `S` nodes, or of which no plan can
/// be computed, makes the loss NaN, which the step reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StructureLoss {
    /// The number of features of a node, `F`.
    pub features: usize,
    /// How two graphs are compared.
    pub distance: StructuralDistance,
    /// How plans are searched for.
    pub search: Search,
}

/// How two graphs are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StructuralDistance {
    /// Nodes have masses in proportion to their presence, which gets no gradient: a target of fewer nodes has presence
    /// 0 elsewhere.
    Fused(FusedGromovWasserstein),
    /// All of the output are logits; presence and edges of the target are 0 or 1, and its features the probabilities of
    /// labels.
    Masked(MaskedGromovWasserstein),
}

/// The value of one subgraph, and the gradient of its rows `[n, 1 + F + n]`.
type OfSubgraph = Result<(f64, Vec<f32>), TransportError>;

impl Operator for StructureLoss {
    fn name(&self) -> &'static str {
        "structure_loss"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let output = inputs[0].shape();
        if !matches!(output.domain, Domain::Nodes(_)) || output.width < self.features.saturating_add(2) {
            let features = self.features;
            return Err(format!(
                "compares graphs of nodes with {features} features, but its input is {output}; \
                 give [nodes, 1 + features + slots]"
            ));
        }
        if inputs.len() > 2 {
            return Err("counts all graphs alike; leave out the weights of rows".to_owned());
        }
        Ok(vec![output, Shape::new(Domain::Single, 1)])
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::All
    }

    fn run(&self, step: &mut Step<'_>) {
        let (topology, workers) = (step.topology(), step.workers());
        let (output, targets) = (step.input(0), step.input(1));
        let order = topology.subgraph_order.permutation();
        let subgraphs = topology.members.offsets.len().saturating_sub(1);
        let in_order: Vec<usize> = (0..subgraphs)
            .map(|rank| order.map_or(rank, |order| order[rank] as usize))
            .filter(|subgraph| !topology.members.entries(*subgraph).is_empty())
            .collect();
        let found = workers.map(in_order.len(), |index| {
            // The only subgraph has all workers.
            let one = Workers::single();
            let workers = if in_order.len() == 1 { workers } else { &one };
            self.compare(topology, [&output, &targets], in_order[index], workers)
        });
        let mut total = 0.0;
        // Of each node where its gradient is.
        let mut places = vec![None; output.row_count()];
        for (index, subgraph) in in_order.iter().enumerate() {
            total += found[index].as_ref().map_or(f64::NAN, |(value, _)| *value);
            let members = &topology.members.neighbors[topology.members.entries(*subgraph)];
            members.iter().enumerate().for_each(|(place, node)| places[*node as usize] = Some((index, place)));
        }
        let count = in_order.len() as f64;
        let factor = (1.0 / count) as f32;
        for (place, target) in places.iter().zip(step.output(0).rows_mut()) {
            target.fill(0.0);
            let Some((index, place)) = *place else { continue };
            let Ok((_, gradient)) = &found[index] else { continue };
            let width = 1 + self.features + topology.members.entries(in_order[index]).len();
            let gradient = &gradient[place * width..][..width];
            target.iter_mut().zip(gradient).for_each(|(target, gradient)| *target = factor * gradient);
        }
        step.output(1).rows_mut().flatten().for_each(|loss| *loss = (total / count) as f32);
    }
}

impl StructureLoss {
    fn compare(&self, topology: &Topology, values: [&Matrix; 2], subgraph: usize, workers: &Workers) -> OfSubgraph {
        let members = &topology.members.neighbors[topology.members.entries(subgraph)];
        let nodes = members.len();
        let slots = values[0].width() - 1 - self.features;
        if nodes > slots {
            return Err(TransportError::Length { name: "the subgraph", found: nodes, expected: slots });
        }
        let part = |values: &Matrix, start: usize, width: usize| -> Vec<f32> {
            members.iter().flat_map(|node| &values.row(*node as usize)[start..start + width]).copied().collect()
        };
        let parts =
            |values| [part(values, 0, 1), part(values, 1, self.features), part(values, 1 + self.features, nodes)];
        let ([presence, features, edges], [target_presence, target_features, target_edges]) =
            (parts(values[0]), parts(values[1]));
        let (value, by_presence, by_features, by_edges) = match self.distance {
            StructuralDistance::Fused(distance) => {
                let [mass, target_mass] = [presence, target_presence].map(shares);
                let graph = SoftGraph { features: &features, adjacency: &edges, mass: &mass };
                let target = SoftGraph { features: &target_features, adjacency: &target_edges, mass: &target_mass };
                let plan = distance.plan(graph, target, &self.search, workers)?.plan;
                let found = distance.gradient(graph, target, &plan, workers)?;
                (found.value, vec![0.0; nodes], found.features, found.adjacency)
            }
            StructuralDistance::Masked(distance) => {
                let graph = MaskedGraph { presence: &presence, labels: &features, edges: &edges };
                let target = MaskedGraph { presence: &target_presence, labels: &target_features, edges: &target_edges };
                let plan = distance.plan(graph, target, &self.search, workers)?.plan;
                let found = distance.gradient(graph, target, &plan, workers)?;
                (found.value, found.presence, found.labels, found.edges)
            }
        };
        let row = |node: usize| {
            let features = &by_features[node * self.features..][..self.features];
            let edges = &by_edges[node * nodes..][..nodes];
            core::iter::once(by_presence[node]).chain(features.iter().chain(edges).copied())
        };
        Ok((value, (0..nodes).flat_map(row).collect()))
    }
}

/// Masses divided by their total, if it is above 0.
fn shares(mut masses: Vec<f32>) -> Vec<f32> {
    let total: f32 = masses.iter().sum();
    if total > 0.0 {
        masses.iter_mut().for_each(|mass| *mass /= total);
    }
    masses
}
