//! In which order the nodes and edges of a scene come into the world.

use crate::data::GraphData;
use crate::scene::NodeOrder;
use crate::systems::algorithms::ordering::{order_by_degree, positions, reverse_cuthill_mckee};

/// The numbers of nodes and edges in the data, in the order of their rows; as they are, if there are none.
///
/// Edges are sorted by target, and those of one target by source: in this order their keys are followed by sums over edges,
/// which read rows in place then.
#[derive(Default)]
pub(super) struct Order {
    nodes: Option<Vec<u32>>,
    edges: Option<Vec<u32>>,
}

impl Order {
    /// What a scene asks for. The nodes of a set stay graph after graph, in the order of the set.
    pub fn of(order: NodeOrder, data: &GraphData) -> Self {
        let mut nodes = match order {
            NodeOrder::Given => None,
            NodeOrder::Degree => Some(order_by_degree(data.nodes, &data.edges)),
            NodeOrder::ReverseCuthillMcKee => Some(reverse_cuthill_mckee(data.nodes, &data.edges)),
        };
        if let (Some(nodes), Some(set)) = (&mut nodes, &data.graphs) {
            // Stable: within a graph the order is kept.
            nodes.sort_by_key(|node| set.node_offsets.partition_point(|start| *start <= *node as usize));
        }
        let places = nodes.as_ref().map(|nodes| positions(nodes));
        let place = |node: u32| places.as_ref().map_or(node, |places| places[node as usize]);
        let is_sorted = data.edges.is_sorted_by_key(|[source, target]| [place(*target), place(*source)]);
        let edges = (!is_sorted).then(|| {
            let by = |end: usize, edges| sort(edges, data.nodes, |edge| place(data.edges[edge as usize][end]));
            by(1, by(0, (0..data.edges.len() as u32).collect()))
        });
        Self { nodes, edges }
    }

    /// The number of the node in a row.
    pub fn node(&self, row: usize) -> usize {
        number(&self.nodes, row)
    }

    /// The number of the edge in a row.
    pub fn edge(&self, row: usize) -> usize {
        number(&self.edges, row)
    }
}

fn number(order: &Option<Vec<u32>>, row: usize) -> usize {
    order.as_ref().map_or(row, |order| order[row] as usize)
}

/// Sorts numbers by a key below `keys`, and keeps the order of those with the same one.
fn sort(numbers: Vec<u32>, keys: usize, key: impl Fn(u32) -> u32) -> Vec<u32> {
    let mut next = vec![0_u32; keys + 1];
    numbers.iter().for_each(|number| next[key(*number) as usize + 1] += 1);
    for key in 0..keys {
        next[key + 1] += next[key];
    }
    let mut sorted = vec![0; numbers.len()];
    for number in numbers {
        let place = &mut next[key(number) as usize];
        sorted[*place as usize] = number;
        *place += 1;
    }
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::GraphSet;

    #[test]
    fn edges_are_sorted_by_the_places_of_their_ends() {
        // A star around node 3, one edge twice, a loop, and a node alone.
        let edges = vec![[0, 3], [3, 3], [2, 3], [3, 2], [0, 3]];
        let data = GraphData { nodes: 5, edges, ..GraphData::default() };
        let order = Order::of(NodeOrder::Degree, &data);
        assert_eq!([0, 1, 2, 3, 4].map(|row| order.node(row)), [3, 0, 2, 1, 4]);
        assert_eq!([0, 1, 2, 3, 4].map(|row| order.edge(row)), [1, 0, 4, 2, 3]);
        let order = Order::of(NodeOrder::Given, &data);
        assert_eq!([0, 1, 2, 3, 4].map(|row| order.node(row)), [0, 1, 2, 3, 4]);
        assert_eq!([0, 1, 2, 3, 4].map(|row| order.edge(row)), [3, 0, 4, 2, 1]);
        let sorted = GraphData { nodes: 2, edges: vec![[1, 0], [0, 1], [1, 1]], ..GraphData::default() };
        assert!(Order::of(NodeOrder::Given, &sorted).edges.is_none());
    }

    #[test]
    fn graphs_of_a_set_stay_in_their_order() {
        let set = GraphSet { node_offsets: vec![0, 2, 2, 5], ..GraphSet::default() };
        let edges = vec![[1, 0], [3, 4], [3, 3]];
        let data = GraphData { nodes: 5, edges, graphs: Some(set), ..GraphData::default() };
        for order in [NodeOrder::Degree, NodeOrder::ReverseCuthillMcKee] {
            let order = Order::of(order, &data);
            let mut nodes = [0, 1, 2, 3, 4].map(|row| order.node(row));
            assert!(nodes[..2].iter().all(|node| *node < 2), "{nodes:?}");
            nodes.sort_unstable();
            assert_eq!(nodes, [0, 1, 2, 3, 4]);
        }
    }
}
