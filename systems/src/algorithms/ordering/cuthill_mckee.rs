//! The order of Cuthill and McKee.

use super::inner;

/// The maximum number of searches for a better start; more rarely find one.
const MAX_SEARCHES: usize = 8;

/// The reverse Cuthill-McKee order, which reduces the bandwidth: breadth first from a peripheral node, neighbors of low
/// degree first, reversed (E. Cuthill and J. McKee, *Reducing the bandwidth of sparse symmetric matrices*, 1969;
/// reversed by A. George, *Computer implementation of the finite element method*, 1971).
///
/// Each component starts at a pseudo-peripheral node, found by repeated searches from the far end of the last one (A.
/// George and J. Liu, 1979). Components are ordered by their node of lowest degree. Directions of edges, self-loops and
/// parallel edges are ignored. Costs `E log d` for nodes of degree `d`, without recursion.
pub fn reverse_cuthill_mckee(nodes: usize, edges: &[[u32; 2]]) -> Vec<u32> {
    let graph = Neighbors::of(nodes, edges);
    let mut starts: Vec<u32> = (0..nodes as u32).collect();
    starts.sort_by_key(|node| graph.degree(*node));
    let mut order = Vec::with_capacity(nodes);
    let mut search = Search { seen_in: vec![0; nodes], number: 0, found: Vec::new(), last_level: 0 };
    let mut placed = vec![false; nodes];
    for start in starts {
        if placed[start as usize] {
            continue;
        }
        let root = search.peripheral_node(&graph, start);
        let mut next = order.len();
        order.push(root);
        placed[root as usize] = true;
        while let Some(node) = order.get(next).copied() {
            next += 1;
            for neighbor in graph.of_node(node) {
                if !core::mem::replace(&mut placed[*neighbor as usize], true) {
                    order.push(*neighbor);
                }
            }
        }
    }
    order.reverse();
    order
}

/// The distinct neighbors of each node without itself, by ascending degree.
struct Neighbors {
    /// Those of node `i` are the `degrees[i]` neighbors from `starts[i]` on.
    starts: Vec<usize>,
    degrees: Vec<u32>,
    neighbors: Vec<u32>,
}

impl Neighbors {
    fn of(nodes: usize, edges: &[[u32; 2]]) -> Self {
        let edges = || inner(nodes, edges).filter(|[one, other]| one != other);
        let mut starts = vec![0; nodes + 1];
        for end in edges().flatten() {
            starts[*end as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut neighbors = vec![0; starts[nodes]];
        let mut degrees = vec![0; nodes];
        for &[one, other] in edges() {
            for [node, neighbor] in [[one, other], [other, one]] {
                let degree = &mut degrees[node as usize];
                neighbors[starts[node as usize] + *degree as usize] = neighbor;
                *degree += 1;
            }
        }
        for (node, degree) in degrees.iter_mut().enumerate() {
            *degree = sort_and_dedup(&mut neighbors[starts[node]..starts[node + 1]]);
        }
        for (node, degree) in degrees.iter().enumerate() {
            // Stable: neighbors of the same degree stay sorted by index.
            neighbors[starts[node]..][..*degree as usize].sort_by_key(|neighbor| degrees[*neighbor as usize]);
        }
        Self { starts, degrees, neighbors }
    }

    fn degree(&self, node: u32) -> u32 {
        self.degrees[node as usize]
    }

    fn of_node(&self, node: u32) -> &[u32] {
        &self.neighbors[self.starts[node as usize]..][..self.degree(node) as usize]
    }
}

/// Moves the distinct nodes to the front, sorted; returns their number.
fn sort_and_dedup(nodes: &mut [u32]) -> u32 {
    nodes.sort_unstable();
    let mut count = 0;
    for index in 0..nodes.len() {
        if count == 0 || nodes[count - 1] != nodes[index] {
            nodes[count] = nodes[index];
            count += 1;
        }
    }
    count as u32
}

/// Breadth-first searches.
struct Search {
    /// The last search that reached each node.
    seen_in: Vec<u32>,
    /// The number of the current search.
    number: u32,
    /// The nodes in the order in which they were found.
    found: Vec<u32>,
    /// The index of the first node of the last level, whose nodes are the farthest away.
    last_level: usize,
}

impl Search {
    /// A pseudo-peripheral node of the component.
    fn peripheral_node(&mut self, graph: &Neighbors, start: u32) -> u32 {
        let (mut root, mut depth) = (start, self.run(graph, start));
        for _ in 1..MAX_SEARCHES {
            let farthest = &self.found[self.last_level..];
            let Some(candidate) = farthest.iter().copied().min_by_key(|node| (graph.degree(*node), *node)) else {
                break;
            };
            let deeper = self.run(graph, candidate);
            if deeper <= depth {
                break;
            }
            (root, depth) = (candidate, deeper);
        }
        root
    }

    /// Finds all nodes of a component; returns the distance of the farthest ones.
    fn run(&mut self, graph: &Neighbors, root: u32) -> usize {
        self.number = self.number.wrapping_add(1);
        self.found.clear();
        self.found.push(root);
        self.seen_in[root as usize] = self.number;
        let (mut depth, mut level) = (0, 0..1);
        loop {
            for index in level.clone() {
                for neighbor in graph.of_node(self.found[index]) {
                    if core::mem::replace(&mut self.seen_in[*neighbor as usize], self.number) != self.number {
                        self.found.push(*neighbor);
                    }
                }
            }
            if self.found.len() == level.end {
                self.last_level = level.start;
                return depth;
            }
            depth += 1;
            level = level.end..self.found.len();
        }
    }
}
