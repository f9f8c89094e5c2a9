//! Where the nodes of a picture stand.
//!
//! Trees and directed acyclic graphs stand in layers, parents above children, each parent in the middle of the children that
//! come to it first. Graphs without a tree stand in the layers of a breadth-first search from their first nodes, and chains in
//! lines, as text does. Nodes beside a tree, such as variables, stand below it, near the nodes they are joined with.

use std::collections::VecDeque;

use super::Shown;

/// Room between boxes, sideways and between layers.
pub const GAP: [f64; 2] = [12.0, 34.0];

/// The height of a box.
pub const HEIGHT: f64 = 20.0;

/// The width of lines of text.
const LINE_WIDTH: f64 = 1_200.0;

/// The nodes of a picture: the middle of each.
pub struct Layout {
    pub middles: Vec<[f64; 2]>,
    /// Whether each node stands beside the tree.
    pub is_beside: Vec<bool>,
}

impl Layout {
    /// Places boxes of these widths.
    pub fn of(graph: &Shown, widths: &[f64]) -> Self {
        let forest = Forest::of(graph);
        let mut layout = Self { middles: vec![[0.0; 2]; widths.len()], is_beside: vec![false; widths.len()] };
        let depth = forest.layers.iter().flatten().max().map_or(0, |deepest| deepest + 1);
        Trees::new(&forest, widths, depth).place(&mut layout.middles);
        layout.place_beside(graph, &forest, widths, row(depth));
        layout
    }

    /// Places what is in no tree: near what it is joined with, or else in lines.
    fn place_beside(&mut self, graph: &Shown, forest: &Forest, widths: &[f64], bottom: f64) {
        let mut sums = vec![(0.0, 0_usize); widths.len()];
        for edge in &graph.edges {
            let [source, target] = edge.ends.map(|end| end as usize);
            for (node, other) in [(source, target), (target, source)] {
                if forest.layers[node].is_none() && forest.layers[other].is_some() {
                    sums[node] = (sums[node].0 + self.middles[other][0], sums[node].1 + 1);
                }
            }
        }
        let beside: Vec<usize> = (0..widths.len()).filter(|node| forest.layers[*node].is_none()).collect();
        let (mut near, far): (Vec<usize>, Vec<usize>) = beside.into_iter().partition(|node| sums[*node].1 > 0);
        let wish = |node: usize| sums[node].0 / sums[node].1 as f64;
        near.sort_by(|one, other| wish(*one).total_cmp(&wish(*other)));
        let mut left = 0.0_f64;
        for node in &near {
            let start = left.max(wish(*node) - widths[*node] / 2.0);
            self.middles[*node] = [start + widths[*node] / 2.0, bottom + HEIGHT];
            self.is_beside[*node] = true;
            left = start + widths[*node] + GAP[0];
        }
        let (mut left, mut y) = (0.0, if near.is_empty() { bottom } else { bottom + 2.0 * (HEIGHT + GAP[1]) });
        for node in far {
            if left > 0.0 && left + widths[node] > LINE_WIDTH {
                (left, y) = (0.0, y + HEIGHT + GAP[1]);
            }
            self.middles[node] = [left + widths[node] / 2.0, y];
            // Arrows between characters need more room than boxes of a layer.
            left += widths[node] + 1.5 * GAP[0];
        }
    }
}

fn row(layer: usize) -> f64 {
    layer as f64 * (HEIGHT + GAP[1])
}

/// The trees while they are placed, leaf by leaf from the left to the right.
struct Trees<'a> {
    forest: &'a Forest,
    widths: &'a [f64],
    /// The nodes, parents before children.
    order: Vec<u32>,
    /// Where each node is in that order, and where what is below it ends.
    ranges: Vec<[usize; 2]>,
    /// Where the next box of each layer may begin.
    free: Vec<f64>,
    /// Where the next leaf may begin.
    next: f64,
}

impl<'a> Trees<'a> {
    fn new(forest: &'a Forest, widths: &'a [f64], depth: usize) -> Self {
        let order = forest.preorder();
        let mut ranges = vec![[0; 2]; widths.len()];
        for (place, node) in order.iter().enumerate().rev() {
            let last = forest.children[*node as usize].last();
            ranges[*node as usize] = [place, last.map_or(place + 1, |child| ranges[*child as usize][1])];
        }
        Self { forest, widths, order, ranges, free: vec![0.0; depth], next: 0.0 }
    }

    fn place(mut self, middles: &mut [[f64; 2]]) {
        for place in 0..self.order.len() {
            let mut node = self.order[place] as usize;
            if !self.forest.children[node].is_empty() {
                continue;
            }
            let layer = self.layer(node);
            let left = self.next.max(self.free[layer]);
            middles[node] = [left + self.widths[node] / 2.0, row(layer)];
            self.next = self.occupy(node, middles);
            // A parent is placed when the last leaf below it is.
            while let Some(parent) = self.forest.parents[node] {
                node = parent as usize;
                if self.ranges[node][1] != place + 1 {
                    break;
                }
                self.place_parent(node, middles);
            }
        }
    }

    /// Places a parent in the middle of its children, and moves all of them if there is no room.
    fn place_parent(&mut self, parent: usize, middles: &mut [[f64; 2]]) {
        let children = &self.forest.children[parent];
        let [Some(first), Some(last)] = [children.first(), children.last()] else { return };
        let layer = self.layer(parent);
        let middle = (middles[*first as usize][0] + middles[*last as usize][0]) / 2.0;
        let shift = (self.free[layer] - (middle - self.widths[parent] / 2.0)).max(0.0);
        middles[parent] = [middle, row(layer)];
        let [start, end] = self.ranges[parent];
        for place in start..end {
            let node = self.order[place] as usize;
            middles[node][0] += shift;
            self.occupy(node, middles);
        }
        self.next += shift;
    }

    /// Takes the room of a box, and returns where it ends.
    fn occupy(&mut self, node: usize, middles: &[[f64; 2]]) -> f64 {
        let (layer, end) = (self.layer(node), middles[node][0] + self.widths[node] / 2.0 + GAP[0]);
        self.free[layer] = self.free[layer].max(end);
        end
    }

    fn layer(&self, node: usize) -> usize {
        self.forest.layers[node].unwrap_or_default()
    }
}

/// A tree for each part of the graph that has one.
struct Forest {
    /// None for a root, and beside the trees.
    parents: Vec<Option<u32>>,
    children: Vec<Vec<u32>>,
    /// None for a node beside the trees.
    layers: Vec<Option<usize>>,
}

impl Forest {
    fn of(graph: &Shown) -> Self {
        let is_tree = |relation: usize| graph.relations[relation].is_tree;
        let tree: Vec<[u32; 2]> =
            graph.edges.iter().filter(|edge| is_tree(edge.relation)).map(|edge| edge.ends).collect();
        if !tree.is_empty() {
            Self::by_longest_paths(graph.labels.len(), &tree)
        } else if graph.relations.iter().all(|relation| !relation.is_directed) {
            Self::by_breadth(graph)
        } else {
            let nodes = graph.labels.len();
            Self { parents: vec![None; nodes], children: vec![Vec::new(); nodes], layers: vec![None; nodes] }
        }
    }

    /// Each node is a layer below the lowest of its parents, and a child of the lowest.
    fn by_longest_paths(nodes: usize, edges: &[[u32; 2]]) -> Self {
        let (mut below, mut waiting) = (vec![Vec::new(); nodes], vec![0_usize; nodes]);
        let mut is_joined = vec![false; nodes];
        for [child, parent] in edges {
            below[*parent as usize].push(*child);
            waiting[*child as usize] += 1;
            is_joined[*child as usize] = true;
            is_joined[*parent as usize] = true;
        }
        let (mut parents, mut layers) = (vec![None; nodes], vec![None; nodes]);
        let roots = (0..nodes).filter(|node| is_joined[*node] && waiting[*node] == 0);
        let mut ready: VecDeque<usize> = roots.collect();
        ready.iter().for_each(|root| layers[*root] = Some(0));
        while let Some(node) = ready.pop_front() {
            for child in &below[node] {
                let child = *child as usize;
                let layer = layers[node].map(|layer: usize| layer + 1);
                if layer > layers[child] {
                    (layers[child], parents[child]) = (layer, Some(node as u32));
                }
                waiting[child] -= 1;
                if waiting[child] == 0 {
                    ready.push_back(child);
                }
            }
        }
        // What is left is on a cycle or below one.
        for node in (0..nodes).filter(|node| waiting[*node] > 0) {
            (layers[node], parents[node]) = (None, None);
        }
        Self::with_children(parents, layers, &below)
    }

    /// The layers of a breadth-first search from the first node of each component.
    fn by_breadth(graph: &Shown) -> Self {
        let nodes = graph.labels.len();
        let mut around = vec![Vec::new(); nodes];
        for edge in &graph.edges {
            let [source, target] = edge.ends;
            around[source as usize].push(target);
            around[target as usize].push(source);
        }
        let (mut parents, mut layers) = (vec![None; nodes], vec![None; nodes]);
        for root in 0..nodes {
            if layers[root].is_some() {
                continue;
            }
            layers[root] = Some(0);
            let mut ready = VecDeque::from([root]);
            while let Some(node) = ready.pop_front() {
                for other in &around[node] {
                    let other = *other as usize;
                    if layers[other].is_none() {
                        (layers[other], parents[other]) = (layers[node].map(|layer| layer + 1), Some(node as u32));
                        ready.push_back(other);
                    }
                }
            }
        }
        Self::with_children(parents, layers, &around)
    }

    /// Children in the order of the edges to them.
    fn with_children(parents: Vec<Option<u32>>, layers: Vec<Option<usize>>, below: &[Vec<u32>]) -> Self {
        let children = below.iter().enumerate().map(|(node, below)| {
            let mut children: Vec<u32> = Vec::new();
            for child in below.iter().filter(|child| parents[**child as usize] == Some(node as u32)) {
                // An operand may be one twice.
                if !children.contains(child) {
                    children.push(*child);
                }
            }
            children
        });
        Self { children: children.collect(), parents, layers }
    }

    /// The nodes of all trees, parents before children.
    fn preorder(&self) -> Vec<u32> {
        let is_root = |node: &u32| self.layers[*node as usize].is_some() && self.parents[*node as usize].is_none();
        let mut stack: Vec<u32> = (0..self.parents.len() as u32).filter(is_root).collect();
        stack.reverse();
        let mut order = Vec::new();
        while let Some(node) = stack.pop() {
            order.push(node);
            stack.extend(self.children[node as usize].iter().rev());
        }
        order
    }
}
