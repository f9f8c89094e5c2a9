//! Directed acyclic graphs of labeled nodes with ordered children.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    ops::Range,
};

use hashbrown::HashTable;

/// A directed acyclic graph of labeled nodes with ordered children, whose last node is the root.
///
/// Children come before their parents: a node has a greater index than all of its children, so a loop over the indices
/// goes from the leaves up, and there are no cycles. A node may be a child of several nodes, or several times of one. Labels
/// are numbers, such as indices of a vocabulary.
///
/// Two graphs are equal if they have the same nodes in the same order. Graphs that [`shared`](Self::shared) returned are
/// equal if and only if their roots stand for the same tree.
///
/// ```
/// use connectome_languages::OrderedDag;
///
/// const X: u32 = 0;
/// const PLUS: u32 = 1;
/// let mut sum = OrderedDag::default();
/// let (left, right) = (sum.push(X, &[])?, sum.push(X, &[])?);
/// let root = sum.push(PLUS, &[left, right])?;
/// assert_eq!((sum.root(), sum.children(root), sum.len()), (Some(root), &[0, 1][..], 3));
/// assert_eq!(sum.shared().len(), 2);
/// assert!(sum.push(PLUS, &[7, 0]).is_err());
/// # Ok::<(), connectome_languages::DagError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OrderedDag {
    labels: Vec<u32>,
    /// Where the children of each node end; they begin where those of the node before end.
    ends: Vec<u32>,
    children: Vec<u32>,
}

/// A node cannot be added to an [`OrderedDag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DagError {
    /// A child comes not before its parent.
    #[error("node {node} has the child {child}, which comes not before it; add children before their parents")]
    Child {
        /// The index that the node would have.
        node: usize,
        /// The child.
        child: u32,
    },
    /// There are too many nodes or children to count.
    #[error("the graph has more than {} nodes or children; divide it", u32::MAX)]
    TooLarge,
}

impl OrderedDag {
    /// Adds a node, which becomes the root, and returns its index.
    ///
    /// # Errors
    /// If a child is no node, or if there are 2^32 nodes or children.
    pub fn push(&mut self, label: u32, children: &[u32]) -> Result<u32, DagError> {
        let node = self.len();
        if let Some(child) = children.iter().copied().find(|child| *child as usize >= node) {
            return Err(DagError::Child { node, child });
        }
        let index = u32::try_from(node).map_err(|_| DagError::TooLarge)?;
        let end = u32::try_from(self.children.len() + children.len()).map_err(|_| DagError::TooLarge)?;
        self.children.extend_from_slice(children);
        self.ends.push(end);
        self.labels.push(label);
        Ok(index)
    }

    /// A node for each label, each but the first with the one before as its only child.
    ///
    /// Border: labels beyond 2^32 are left out.
    pub fn chain(labels: impl IntoIterator<Item = u32>) -> Self {
        let mut chain = Self::default();
        for label in labels {
            let before = chain.root();
            if chain.push(label, before.as_slice()).is_err() {
                break;
            }
        }
        chain
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The last node; none if there are no nodes.
    pub fn root(&self) -> Option<u32> {
        self.len().checked_sub(1).map(|root| root as u32)
    }

    /// The nodes, from the leaves up.
    pub fn nodes(&self) -> Range<u32> {
        0..self.len() as u32
    }

    /// The label of each node.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The label of a node.
    ///
    /// # Panics
    /// If there is no such node.
    #[track_caller]
    pub fn label(&self, node: u32) -> u32 {
        self.labels[node as usize]
    }

    /// The children of a node, in order.
    ///
    /// # Panics
    /// If there is no such node.
    #[track_caller]
    pub fn children(&self, node: u32) -> &[u32] {
        let node = node as usize;
        let start = node.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.children[start as usize..self.ends[node] as usize]
    }

    /// Number of edges on a longest path from the root down; 0 if there are no nodes.
    pub fn depth(&self) -> u32 {
        let mut depths = Vec::with_capacity(self.len());
        for node in self.nodes() {
            let deepest = self.children(node).iter().map(|child| depths[*child as usize] + 1).max();
            depths.push(deepest.unwrap_or(0));
        }
        depths.last().copied().unwrap_or(0)
    }

    /// Number of nodes of the tree that the root stands for, in which nothing is shared; at most `u64::MAX`.
    pub fn tree_size(&self) -> u64 {
        let mut sizes: Vec<u64> = Vec::with_capacity(self.len());
        for node in self.nodes() {
            let below = self.children(node).iter().map(|child| sizes[*child as usize]);
            sizes.push(below.fold(1, u64::saturating_add));
        }
        sizes.last().copied().unwrap_or(0)
    }

    /// The nodes that a node reaches, itself included, in postorder: children from first to last, then the node.
    ///
    /// O(nodes and children that it reaches).
    ///
    /// # Panics
    /// If there is no such node.
    #[track_caller]
    pub fn reachable_from(&self, node: u32) -> OrderedDag {
        let mut reached = OrderedDag::default();
        let mut indices = HashMap::new();
        let mut path = vec![(node, 0)];
        while let Some((node, next)) = path.last_mut() {
            if let Some(child) = self.children(*node).get(*next) {
                *next += 1;
                if !indices.contains_key(child) {
                    path.push((*child, 0));
                }
                continue;
            }
            reached.children.extend(self.children(*node).iter().map(|child| indices[child]));
            reached.ends.push(reached.children.len() as u32);
            reached.labels.push(self.label(*node));
            indices.insert(*node, reached.len() as u32 - 1);
            path.pop();
        }
        reached
    }

    /// The same term with equal subterms as one node each, without what the root does not reach, in postorder.
    pub fn shared(&self) -> OrderedDag {
        let mut interner = DagInterner::default();
        let (mut indices, mut children) = (Vec::with_capacity(self.len()), Vec::new());
        for node in self.nodes() {
            children.clear();
            children.extend(self.children(node).iter().map(|child| indices[*child as usize]));
            indices.push(interner.node(self.label(node), &children));
        }
        indices.last().map_or_else(OrderedDag::default, |root| interner.term(*root))
    }
}

/// Nodes with ordered children, each of which exists once: equal terms have equal indices (hash-consing).
///
/// ```
/// use connectome_languages::DagInterner;
///
/// let mut nodes = DagInterner::default();
/// let [one, another] = [(); 2].map(|()| nodes.node(5, &[]));
/// assert_eq!(one, another);
/// assert_eq!(nodes.node(6, &[one, another]), nodes.node(6, &[one, one]));
/// ```
#[derive(Clone, Debug, Default)]
pub struct DagInterner {
    nodes: OrderedDag,
    table: HashTable<u32>,
    /// Its keys differ from run to run, so no input can be made to collide; nothing depends on the order of the table.
    hasher: RandomState,
}

impl DagInterner {
    /// The index of the node with this label and these children, which is added if it is new.
    ///
    /// # Panics
    /// If a child is no node, or if there are 2^32 nodes or children, which take 40 GB.
    #[track_caller]
    pub fn node(&mut self, label: u32, children: &[u32]) -> u32 {
        let Self { nodes, table, hasher } = self;
        let hash = hasher.hash_one((label, children));
        let is_same = |node: &u32| nodes.label(*node) == label && nodes.children(*node) == children;
        if let Some(node) = table.find(hash, is_same) {
            return *node;
        }
        let node = nodes.push(label, children).unwrap_or_else(|error| panic!("{error}"));
        table.insert_unique(hash, node, |node| hasher.hash_one((nodes.label(*node), nodes.children(*node))));
        node
    }

    /// All nodes.
    pub fn nodes(&self) -> &OrderedDag {
        &self.nodes
    }

    /// What a node reaches, as a graph of its own, in which equal subterms are one node.
    ///
    /// # Panics
    /// If there is no such node.
    #[track_caller]
    pub fn term(&self, node: u32) -> OrderedDag {
        self.nodes.reachable_from(node)
    }
}
