//! Small dense subgraphs that a node takes part in, counted on soft adjacencies.

use crate::kernels::{Operand, matmul};

/// How many motifs are counted of each node: degree, triangles, 4-cliques.
pub const MOTIFS: usize = 3;

/// For each node of a soft graph `A` `[n, n]` without loops its degree `sum over j of A_ij`, its triangles `(A^3)_ii /
/// 2` and its 4-cliques, the sum over nodes `j < k < l` of the products of the six weights `A_ij A_ik A_il A_jk A_jl
/// A_kl`; `[n, 3]`.
///
/// Costs `n^3` multiplications and, for the cliques, the sum of the cubes of degrees; the gradient `n` times the sum of
/// their squares.
///
/// # Panics
/// If the adjacency is not `[n, n]`.
pub fn motifs(adjacency: &[f32], nodes: usize) -> Vec<f32> {
    assert_eq!(adjacency.len(), nodes * nodes, "the adjacency is square");
    let square = square(adjacency, nodes);
    let mut around = Around::new(adjacency, nodes);
    let mut counts = Vec::with_capacity(nodes * MOTIFS);
    for node in 0..nodes {
        let row = &adjacency[node * nodes..][..nodes];
        let triangles: f64 =
            (0..nodes).map(|k| f64::from(square[node * nodes + k]) * f64::from(adjacency[k * nodes + node])).sum();
        let degree: f64 = row.iter().map(|weight| f64::from(*weight)).sum();
        counts.extend([degree, triangles / 2.0, around.cliques(node)].map(|count| count as f32));
    }
    counts
}

/// The gradient `[n, n]` with respect to the adjacency, whose elements are all free, from that with respect to the
/// counts `[n, 3]`.
///
/// # Panics
/// If the adjacency is not `[n, n]`, or the gradient not `[n, 3]`.
pub fn motifs_gradient(adjacency: &[f32], nodes: usize, gradient: &[f32]) -> Vec<f32> {
    assert_eq!(adjacency.len(), nodes * nodes, "the adjacency is square");
    assert_eq!(gradient.len(), nodes * MOTIFS, "there is a gradient for each count");
    let square = square(adjacency, nodes);
    let of_triangles = |node: usize| gradient[node * MOTIFS + 1];
    let scaled: Vec<f32> = (0..nodes * nodes).map(|index| of_triangles(index / nodes) * adjacency[index]).collect();
    let mut through = vec![0.0; nodes * nodes];
    if nodes > 0 {
        matmul(Operand::new(adjacency, nodes), Operand::new(&scaled, nodes), &mut through);
    }
    let mut target = vec![0.0; nodes * nodes];
    for (index, target) in target.iter_mut().enumerate() {
        let (from, to) = (index / nodes, index % nodes);
        let back = to * nodes + from;
        let triangles = (of_triangles(from) + of_triangles(to)) * square[back] + through[back];
        *target = gradient[from * MOTIFS] + 0.5 * triangles;
    }
    let mut around = Around::new(adjacency, nodes);
    for (node, gradient) in gradient.chunks_exact(MOTIFS).enumerate().filter(|(_, gradient)| gradient[2] != 0.0) {
        around.add_gradient(node, gradient[2], &mut target);
    }
    target
}

/// `A A`.
fn square(adjacency: &[f32], nodes: usize) -> Vec<f32> {
    let mut square = vec![0.0; nodes * nodes];
    if nodes > 0 {
        matmul(Operand::new(adjacency, nodes), Operand::new(adjacency, nodes), &mut square);
    }
    square
}

/// The edges among the neighbors of a node, one node after another.
struct Around<'a> {
    adjacency: &'a [f32],
    nodes: usize,
    /// The neighbors `k`, and their weights `a_k`.
    neighbors: Vec<usize>,
    weights: Vec<f32>,
    /// The nodes `j` whose edges to the neighbors are looked at.
    ends: Vec<usize>,
    /// The weights `S_jk` of these, those above the diagonal of the adjacency.
    among: Vec<f32>,
    /// `a_k S_kl` among the neighbors.
    scaled: Vec<f32>,
    /// `Y_jk = sum over l of S_jl a_l S_lk`: the weights of the paths by a third neighbor.
    paths: Vec<f32>,
}

impl<'a> Around<'a> {
    fn new(adjacency: &'a [f32], nodes: usize) -> Self {
        let (neighbors, ends) = (Vec::new(), Vec::new());
        let [weights, among, scaled, paths] = [const { Vec::new() }; 4];
        Self { adjacency, nodes, neighbors, weights, ends, among, scaled, paths }
    }

    /// Looks at the edges of the neighbors of a node, or of all other nodes, to its neighbors.
    fn look(&mut self, node: usize, at_all: bool) {
        let Self { adjacency, nodes, neighbors, weights, ends, among, scaled, paths } = self;
        let (row, nodes) = (&adjacency[node * *nodes..][..*nodes], *nodes);
        let others = || (0..nodes).filter(|other| *other != node);
        neighbors.clear();
        neighbors.extend(others().filter(|other| row[*other] != 0.0));
        weights.clear();
        weights.extend(neighbors.iter().map(|other| row[*other]));
        ends.clear();
        ends.extend(others().filter(|other| at_all || row[*other] != 0.0));
        let between = |one: usize, other: usize| {
            if one == other { 0.0 } else { adjacency[one.min(other) * nodes + one.max(other)] }
        };
        among.clear();
        among.extend(ends.iter().flat_map(|one| neighbors.iter().map(|other| between(*one, *other))));
        scaled.clear();
        let rows = neighbors.iter().zip(&*weights);
        scaled.extend(rows.flat_map(|(one, weight)| neighbors.iter().map(move |other| weight * between(*one, *other))));
        paths.clear();
        paths.resize(among.len(), 0.0);
        let count = neighbors.len();
        if count > 0 {
            matmul(Operand::new(among, count), Operand::new(scaled, count), paths);
        }
    }

    /// The derivative of the number of 4-cliques with respect to the weight of the edge to an end:
    /// `sum over k of a_k S_jk Y_jk / 2`.
    fn by_weight(&self, end: usize) -> f64 {
        let count = self.neighbors.len();
        let row = end * count..(end + 1) * count;
        let terms = self.weights.iter().zip(&self.among[row.clone()]).zip(&self.paths[row]);
        terms.map(|((weight, among), paths)| f64::from(weight * among) * f64::from(*paths)).sum::<f64>() / 2.0
    }

    /// The number of 4-cliques of a node: linear in each of its three weights.
    fn cliques(&mut self, node: usize) -> f64 {
        self.look(node, false);
        let terms = self.weights.iter().enumerate();
        terms.map(|(neighbor, weight)| f64::from(*weight) * self.by_weight(neighbor)).sum::<f64>() / 3.0
    }

    /// Adds the derivative of the number of 4-cliques of a node, times `factor`: also with respect to weights that are 0.
    fn add_gradient(&mut self, node: usize, factor: f32, target: &mut [f32]) {
        self.look(node, true);
        let Self { adjacency, nodes, neighbors, weights, ends, paths, .. } = &*self;
        for (place, &end) in ends.iter().enumerate() {
            target[node * nodes + end] += factor * self.by_weight(place) as f32;
            let factor = factor * adjacency[node * nodes + end];
            let paths = &paths[place * neighbors.len()..][..neighbors.len()];
            for ((&neighbor, weight), path) in neighbors.iter().zip(weights).zip(paths) {
                if end < neighbor {
                    target[end * nodes + neighbor] += factor * weight * path;
                }
            }
        }
    }
}
