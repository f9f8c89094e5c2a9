//! The basis of the network simplex: a spanning tree of rows and columns whose arcs carry the flow.

/// No node.
const NONE: u32 = u32::MAX;

/// A spanning tree of the `n` rows, nodes `0..n`, and `m` columns, nodes `n..n + m`. The root is the first row.
///
/// Each arc of the tree leads from a row to a column and is kept at the node below it. On it the potentials add up to
/// the cost.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    rows: usize,
    parent: Vec<u32>,
    /// The flow of the arc to the parent.
    flow: Vec<i64>,
    depth: Vec<u32>,
    potential: Vec<f64>,
    first_child: Vec<u32>,
    next: Vec<u32>,
    previous: Vec<u32>,
}

impl Tree {
    /// The tree of these arcs `(row, column, flow)`, of which there are `n + m - 1` that connect everything.
    pub(super) fn new([rows, columns]: [usize; 2], arcs: &[(usize, usize, i64)]) -> Self {
        let nodes = rows + columns;
        let nothing = vec![NONE; nodes];
        let mut tree = Self {
            rows,
            parent: nothing.clone(),
            flow: vec![0; nodes],
            depth: vec![0; nodes],
            potential: vec![0.0; nodes],
            first_child: nothing.clone(),
            next: nothing.clone(),
            previous: nothing,
        };
        let mut neighbors = vec![Vec::new(); nodes];
        for &(row, column, flow) in arcs {
            neighbors[row].push((rows + column, flow));
            neighbors[rows + column].push((row, flow));
        }
        let mut stack = vec![0];
        while let Some(node) = stack.pop() {
            for &(child, flow) in &neighbors[node] {
                if tree.parent[node] != child as u32 {
                    tree.attach(child, node, flow);
                    stack.push(child);
                }
            }
        }
        tree
    }

    /// The potentials of the rows, and those of the columns.
    pub(super) fn potentials(&self) -> (&[f64], &[f64]) {
        self.potential.split_at(self.rows)
    }

    /// The arcs `(row, column, flow)`.
    pub(super) fn arcs(&self) -> impl Iterator<Item = (usize, usize, i64)> {
        (1..self.parent.len()).map(|node| {
            let (row, column) = self.ends(node);
            (row, column, self.flow[node])
        })
    }

    /// The row and the column of the arc to the parent of a node.
    fn ends(&self, node: usize) -> (usize, usize) {
        let parent = self.parent[node] as usize;
        if node < self.rows { (node, parent - self.rows) } else { (parent, node - self.rows) }
    }

    /// Computes all potentials and depths for a cost `[n, m]`.
    pub(super) fn price(&mut self, cost: &[f64]) {
        self.update(0, cost);
    }

    /// Brings the arc from `row` to `column` into the tree: pushes as much flow around its cycle as possible, and
    /// removes the arc that is empty then.
    pub(super) fn pivot(&mut self, row: usize, column: usize, cost: &[f64]) {
        let column = self.rows + column;
        let (leaving, is_at_row, flow) = self.narrowest(row, column);
        self.push(row, column, flow);
        let (inside, outside) = if is_at_row { (row, column) } else { (column, row) };
        let (mut node, mut parent, mut flow) = (inside, outside, flow);
        loop {
            let (next, carried) = (self.parent[node], self.flow[node]);
            self.detach(node);
            self.attach(node, parent, flow);
            if node == leaving {
                break;
            }
            (node, parent, flow) = (next as usize, node, carried);
        }
        self.update(inside, cost);
    }

    /// The node below the arc of the cycle that limits the flow, whether it is on the side of the row, and that flow.
    fn narrowest(&self, row: usize, column: usize) -> (usize, bool, i64) {
        let (mut above_row, mut above_column) = (row, column);
        let mut narrowest = (row, true, i64::MAX);
        while above_row != above_column {
            let is_at_row = self.depth[above_row] >= self.depth[above_column];
            let node = if is_at_row { &mut above_row } else { &mut above_column };
            if (*node < self.rows) == is_at_row && self.flow[*node] < narrowest.2 {
                narrowest = (*node, is_at_row, self.flow[*node]);
            }
            *node = self.parent[*node] as usize;
        }
        narrowest
    }

    /// Pushes flow from the row to the column, and from there through the tree back to the row.
    fn push(&mut self, row: usize, column: usize, flow: i64) {
        let (mut above_row, mut above_column) = (row, column);
        while above_row != above_column {
            let is_at_row = self.depth[above_row] >= self.depth[above_column];
            let node = if is_at_row { &mut above_row } else { &mut above_column };
            self.flow[*node] += if (*node < self.rows) == is_at_row { -flow } else { flow };
            *node = self.parent[*node] as usize;
        }
    }

    fn attach(&mut self, node: usize, parent: usize, flow: i64) {
        let sibling = self.first_child[parent];
        self.parent[node] = parent as u32;
        self.flow[node] = flow;
        self.previous[node] = NONE;
        self.next[node] = sibling;
        self.first_child[parent] = node as u32;
        if sibling != NONE {
            self.previous[sibling as usize] = node as u32;
        }
    }

    fn detach(&mut self, node: usize) {
        let (previous, next) = (self.previous[node], self.next[node]);
        match previous {
            NONE => self.first_child[self.parent[node] as usize] = next,
            previous => self.next[previous as usize] = next,
        }
        if next != NONE {
            self.previous[next as usize] = previous;
        }
    }

    /// Computes potentials and depths from a node downward.
    fn update(&mut self, top: usize, cost: &[f64]) {
        let columns = self.parent.len() - self.rows;
        let mut node = top;
        loop {
            let parent = self.parent[node];
            if parent != NONE {
                let (row, column) = self.ends(node);
                self.depth[node] = self.depth[parent as usize] + 1;
                self.potential[node] = cost[row * columns + column] - self.potential[parent as usize];
            }
            if self.first_child[node] != NONE {
                node = self.first_child[node] as usize;
                continue;
            }
            while node != top && self.next[node] == NONE {
                node = self.parent[node] as usize;
            }
            if node == top {
                return;
            }
            node = self.next[node] as usize;
        }
    }
}
