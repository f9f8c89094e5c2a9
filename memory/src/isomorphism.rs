//! Whether two graphs are copies of each other.

use connectome_systems::{
    Workers,
    algorithms::{LabeledGraph, ParallelGraph, weisfeiler_leman::refine},
};

/// The steps that a search may take beyond those that are proportional to the size of the graphs.
const SEARCH_STEPS: u64 = 20_000_000;

/// Whether two graphs are isomorphic: whether the nodes of one can be renumbered so that it equals the other, with all
/// labels. None if that is not known after a bounded search.
///
/// Color refinement decides almost all pairs; among nodes of one color a depth-first search decides, which follows the
/// edges of what is mapped already (L. P. Cordella et al., *A (Sub)Graph Isomorphism Algorithm for Matching Large
/// Graphs*, IEEE Transactions on Pattern Analysis and Machine Intelligence 26, 2004). It needs no backtracking on trees,
/// and little on random regular graphs; on graphs made to be hard, such as strongly regular ones of more than about 50
/// nodes, it may give up.
///
/// ```
/// use connectome_memory::are_isomorphic;
/// use connectome_systems::algorithms::LabeledGraph;
///
/// let graph = |edges: &[[u32; 2]]| LabeledGraph::new(vec![0; 6], edges.iter().map(|ends| (*ends, 0)));
/// let ring = graph(&[[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [5, 0]]);
/// let turned = graph(&[[0, 3], [3, 1], [1, 4], [4, 2], [2, 5], [5, 0]]);
/// // Colors cannot tell this one from the ring.
/// let triangles = graph(&[[0, 1], [1, 2], [2, 0], [3, 4], [4, 5], [5, 3]]);
/// assert_eq!(are_isomorphic(&ring, &turned), Some(true));
/// assert_eq!(are_isomorphic(&ring, &triangles), Some(false));
/// ```
pub fn are_isomorphic(one: &LabeledGraph, other: &LabeledGraph) -> Option<bool> {
    let same_counts = one.node_count() == other.node_count() && one.graph().edge_count() == other.graph().edge_count();
    if !same_counts {
        return Some(false);
    }
    if one == other {
        return Some(true);
    }
    let refinement = refine(&[one, other], None, &Workers::single());
    let [colors, other_colors] = &refinement.colors[..] else { return Some(false) };
    let mut counts = vec![[0_u32; 2]; refinement.count];
    colors.iter().for_each(|color| counts[*color as usize][0] += 1);
    other_colors.iter().for_each(|color| counts[*color as usize][1] += 1);
    if counts.iter().any(|[one, other]| one != other) {
        return Some(false);
    }
    let sides = [Side::new(one, colors), Side::new(other, other_colors)];
    Search::new(&sides, &counts).run()
}

/// A graph with the colors of its nodes, and its edge labels in rows.
struct Side<'a> {
    graph: &'a LabeledGraph,
    colors: &'a [u32],
    /// The labels of the edges to the neighbors of a node are `labels[offsets[i]..offsets[i + 1]]`.
    offsets: Vec<usize>,
    labels: Vec<u32>,
    /// The nodes by color, those of one in ascending order.
    by_color: Vec<u32>,
}

impl<'a> Side<'a> {
    fn new(graph: &'a LabeledGraph, colors: &'a [u32]) -> Self {
        let mut offsets = vec![0];
        for node in graph.nodes() {
            offsets.push(offsets[node as usize] + graph.graph().degree(node));
        }
        let mut next = offsets.clone();
        let mut labels = vec![0; 2 * graph.graph().edge_count()];
        // Edges in ascending order visit the neighbors of each node in ascending order.
        for (ends, label) in graph.labeled_edges() {
            for end in ends {
                labels[next[end as usize]] = label;
                next[end as usize] += 1;
            }
        }
        let mut by_color: Vec<u32> = graph.nodes().collect();
        by_color.sort_by_key(|node| colors[*node as usize]);
        Self { graph, colors, offsets, labels, by_color }
    }

    fn neighbors(&self, node: u32) -> &'a [u32] {
        self.graph.graph().neighbors(node)
    }

    fn labels(&self, node: u32) -> &[u32] {
        &self.labels[self.offsets[node as usize]..self.offsets[node as usize + 1]]
    }

    /// The label of an edge, if there is one.
    fn edge(&self, one: u32, other: u32) -> Option<u32> {
        let index = self.neighbors(one).binary_search(&other).ok()?;
        self.labels(one).get(index).copied()
    }
}

const NONE: u32 = u32::MAX;

/// A node of the first graph, in the order of the search.
struct Step {
    node: u32,
    /// A neighbor that comes before it; [`NONE`] for the first node of a component.
    parent: u32,
}

/// A depth-first search for a mapping.
struct Search<'a> {
    sides: &'a [Side<'a>; 2],
    /// Where the nodes of a color begin in `by_color`.
    color_starts: Vec<usize>,
    steps: Vec<Step>,
    /// The node of the second graph that each of the first is mapped to, and back.
    image: Vec<u32>,
    preimage: Vec<u32>,
    /// For each parent, and each color of nodes without one, the candidate after the last that was found: equal leaves
    /// find theirs at once.
    cursors: Vec<usize>,
    color_cursors: Vec<usize>,
    budget: u64,
}

impl<'a> Search<'a> {
    fn new(sides: &'a [Side<'a>; 2], counts: &[[u32; 2]]) -> Self {
        let [one, _] = sides;
        let mut color_starts = vec![0];
        counts.iter().for_each(|[count, _]| color_starts.push(color_starts[color_starts.len() - 1] + *count as usize));
        // Components begin at a node of the rarest color.
        let mut starts: Vec<u32> = one.graph.nodes().collect();
        starts.sort_by_key(|node| (counts[one.colors[*node as usize] as usize][0], *node));
        let mut is_ordered = vec![false; starts.len()];
        let mut steps: Vec<Step> = Vec::with_capacity(starts.len());
        for start in starts {
            if is_ordered[start as usize] {
                continue;
            }
            is_ordered[start as usize] = true;
            let mut next = steps.len();
            steps.push(Step { node: start, parent: NONE });
            while next < steps.len() {
                let parent = steps[next].node;
                for node in one.neighbors(parent) {
                    if !is_ordered[*node as usize] {
                        is_ordered[*node as usize] = true;
                        steps.push(Step { node: *node, parent });
                    }
                }
                next += 1;
            }
        }
        let size = steps.len();
        let edges = 2 * one.graph.graph().edge_count();
        let budget = SEARCH_STEPS + 64 * (size + edges) as u64;
        Self {
            sides,
            color_starts,
            steps,
            image: vec![NONE; size],
            preimage: vec![NONE; size],
            cursors: vec![0; size],
            color_cursors: vec![0; counts.len()],
            budget,
        }
    }

    fn run(mut self) -> Option<bool> {
        // For each mapped step the index of its candidate, and how many candidates it has tried.
        let mut tried: Vec<[usize; 2]> = Vec::with_capacity(self.steps.len());
        let mut current = [0, 0];
        while tried.len() < self.steps.len() {
            match self.next_candidate(tried.len(), current)? {
                Some((found, candidate)) => {
                    let node = self.steps[tried.len()].node;
                    self.image[node as usize] = candidate;
                    self.preimage[candidate as usize] = node;
                    *self.cursor(tried.len()) = found[0] + 1;
                    tried.push(found);
                    if tried.len() < self.steps.len() {
                        current = [*self.cursor(tried.len()), 0];
                    }
                }
                None => {
                    let Some([index, count]) = tried.pop() else { return Some(false) };
                    let node = self.steps[tried.len()].node as usize;
                    self.preimage[self.image[node] as usize] = NONE;
                    self.image[node] = NONE;
                    current = [index + 1, count];
                }
            }
        }
        Some(true)
    }

    /// The nodes of the second graph that a step may be mapped to, by its parent's image or its color.
    fn candidates(&self, step: usize) -> &'a [u32] {
        let [one, other] = self.sides;
        let Step { node, parent } = self.steps[step];
        if parent == NONE {
            let color = one.colors[node as usize] as usize;
            &other.by_color[self.color_starts[color]..self.color_starts[color + 1]]
        } else {
            other.neighbors(self.image[parent as usize])
        }
    }

    /// The cursor of the candidates of a step.
    fn cursor(&mut self, step: usize) -> &mut usize {
        let Step { node, parent } = self.steps[step];
        match parent {
            NONE => &mut self.color_cursors[self.sides[0].colors[node as usize] as usize],
            parent => &mut self.cursors[parent as usize],
        }
    }

    /// The next candidate that fits, cyclically; the outer none is that of a used-up budget.
    fn next_candidate(&mut self, step: usize, [start, mut count]: [usize; 2]) -> Option<Option<([usize; 2], u32)>> {
        let candidates = self.candidates(step);
        let mut index = start;
        while count < candidates.len() {
            index %= candidates.len();
            count += 1;
            self.budget = self.budget.checked_sub(1)?;
            if self.fits(self.steps[step].node, candidates[index])? {
                return Some(Some(([index, count], candidates[index])));
            }
            index += 1;
        }
        Some(None)
    }

    /// Whether a node can be mapped to a candidate beside all that are mapped.
    fn fits(&mut self, node: u32, candidate: u32) -> Option<bool> {
        let [one, other] = self.sides;
        if self.preimage[candidate as usize] != NONE || one.colors[node as usize] != other.colors[candidate as usize] {
            return Some(false);
        }
        self.budget = self.budget.checked_sub(one.neighbors(node).len() as u64)?;
        let mut mapped = 0;
        for (neighbor, label) in one.neighbors(node).iter().zip(one.labels(node)) {
            let image = self.image[*neighbor as usize];
            if image != NONE {
                mapped += 1;
                if other.edge(candidate, image) != Some(*label) {
                    return Some(false);
                }
            }
        }
        let images = other.neighbors(candidate).iter().filter(|node| self.preimage[**node as usize] != NONE).count();
        Some(images == mapped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connectome_systems::random::{Philox, RandomStream};

    fn shuffled(graph: &LabeledGraph, seed: u64) -> LabeledGraph {
        let mut order: Vec<u32> = graph.nodes().collect();
        RandomStream::new(Philox::new(seed, 0, 0)).shuffle(&mut order);
        graph.induced_subgraph(&order)
    }

    fn unlabeled(nodes: u32, edges: impl IntoIterator<Item = [u32; 2]>) -> LabeledGraph {
        LabeledGraph::new(vec![0; nodes as usize], edges.into_iter().map(|ends| (ends, 0)))
    }

    /// A cycle with jumps: as regular as a graph can be.
    fn circulant(nodes: u32, jumps: &[u32]) -> LabeledGraph {
        unlabeled(nodes, (0..nodes).flat_map(|node| jumps.iter().map(move |jump| [node, (node + jump) % nodes])))
    }

    #[test]
    fn any_renumbering_is_a_copy() {
        let tree = unlabeled(5_000, (1..5_000).map(|node| [(node - 1) / 3, node]));
        let star = unlabeled(20_000, (1..20_000).map(|node| [0, node]));
        let empty = unlabeled(3_000, []);
        let stars = unlabeled(6_000, (0..2_000).flat_map(|star| [[3 * star, 3 * star + 1], [3 * star, 3 * star + 2]]));
        for (number, graph) in
            [tree, star, empty, stars, circulant(200, &[1, 7]), circulant(13, &[1, 3, 4])].iter().enumerate()
        {
            for seed in 0..3 {
                assert_eq!(are_isomorphic(graph, &shuffled(graph, seed)), Some(true), "graph {number}, seed {seed}");
            }
        }
    }

    #[test]
    fn graphs_with_equal_colors_are_searched() {
        assert_eq!(are_isomorphic(&circulant(24, &[1, 5]), &circulant(24, &[1, 7])), Some(false));
        // The two strongly regular graphs with parameters (16, 6, 2, 2).
        let cell = |row: u32, column: u32| row % 4 * 4 + column % 4;
        let rook = unlabeled(
            16,
            (0..16)
                .flat_map(|node| (0..16).map(move |other| [node, other]))
                .filter(|[a, b]| (a / 4 == b / 4) != (a % 4 == b % 4)),
        );
        let shrikhande = unlabeled(
            16,
            (0..16).flat_map(|node| {
                let (row, column) = (node / 4, node % 4);
                [cell(row + 1, column), cell(row, column + 1), cell(row + 1, column + 1)].map(|other| [node, other])
            }),
        );
        assert_eq!(are_isomorphic(&rook, &shrikhande), Some(false));
        assert_eq!(are_isomorphic(&shrikhande, &shuffled(&shrikhande, 5)), Some(true));
    }

    #[test]
    fn labels_count() {
        let graph = |labels: [u32; 3], bonds: [u32; 2]| {
            LabeledGraph::new(labels.into(), [([0, 1], bonds[0]), ([1, 2], bonds[1])])
        };
        assert_eq!(are_isomorphic(&graph([1, 2, 3], [4, 5]), &graph([3, 2, 1], [5, 4])), Some(true));
        assert_eq!(are_isomorphic(&graph([1, 2, 3], [4, 5]), &graph([3, 2, 1], [4, 5])), Some(false));
        assert_eq!(are_isomorphic(&LabeledGraph::default(), &LabeledGraph::default()), Some(true));
    }
}
