//! Slots from pairs alone: an alignment of the source with the target.

use super::{RewriteTarget, SlotLayout, Step, TargetBuilder};
use crate::{DagInterner, OrderedDag};

/// The most pairs of a node of the source and one of the target that are compared.
pub(super) const MAX_COMPARISONS: usize = 1 << 24;

/// What a node costs that is deleted, inserted or relabeled.
const EDIT: f32 = 1.0;

/// What it costs that children change their order: less than an edit, but not nothing.
const REVERSAL: f32 = 0.25;

/// No slots were found that make the target of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AlignmentError {
    /// The source or the target has no nodes.
    #[error("the source or the target has no nodes")]
    Empty,
    /// There are too many pairs of nodes.
    #[error("{before} nodes of the source and {after} of the target are too many to align; use smaller graphs")]
    TooLarge {
        /// Number of nodes of the source.
        before: usize,
        /// Number of nodes of the target.
        after: usize,
    },
    /// A node that has several parents would have to become something else for each of them.
    #[error("node {node} of the source is needed as two different terms; add a role, or share less")]
    Shared {
        /// The node.
        node: u32,
    },
    /// A node would have to make more new nodes than it has slots.
    #[error("node {node} of the source needs more slots; add some")]
    Slots {
        /// The node.
        node: u32,
    },
}

/// How a node of the source comes to stand for a node of the target.
#[derive(Clone, Copy, Debug)]
enum Origin {
    /// A child stands for it.
    Child(u32),
    /// It is a new node, whose children are aligned with those of the source in their order or in reverse.
    New { is_reversed: bool },
}

/// How a child of a new node comes about.
#[derive(Clone, Copy, Debug)]
enum Part {
    /// A child of the source's node, by its index, stands for it.
    Aligned(usize),
    Inserted,
}

/// The least costs with which nodes of the source stand for nodes of the target.
struct Costs<'a> {
    source: &'a OrderedDag,
    target: &'a OrderedDag,
    /// What it costs to delete or insert all that a node reaches, as a tree.
    sizes: [Vec<f32>; 2],
    /// Row by row, one for each node of the source.
    costs: Vec<f32>,
    origins: Vec<Origin>,
}

fn sizes(dag: &OrderedDag) -> Vec<f32> {
    let mut sizes = Vec::with_capacity(dag.len());
    for node in dag.nodes() {
        let below: f32 = dag.children(node).iter().map(|child| sizes[*child as usize]).sum();
        sizes.push(EDIT + below);
    }
    sizes
}

impl<'a> Costs<'a> {
    fn new(source: &'a OrderedDag, target: &'a OrderedDag) -> Self {
        let count = source.len() * target.len();
        let mut costs = Self {
            source,
            target,
            sizes: [source, target].map(sizes),
            costs: Vec::with_capacity(count),
            origins: Vec::with_capacity(count),
        };
        for node in source.nodes() {
            for term in target.nodes() {
                let (cost, origin) = costs.cheapest(node, term);
                costs.costs.push(cost);
                costs.origins.push(origin);
            }
        }
        costs
    }

    fn cost(&self, node: u32, term: u32) -> f32 {
        self.costs[node as usize * self.target.len() + term as usize]
    }

    fn origin(&self, node: u32, term: u32) -> Origin {
        self.origins[node as usize * self.target.len() + term as usize]
    }

    fn cheapest(&self, node: u32, term: u32) -> (f32, Origin) {
        let children = self.source.children(node);
        let relabeled = if self.source.label(node) == self.target.label(term) { 0.0 } else { EDIT };
        let aligned = |is_reversed| {
            let cost = self.align(node, term, is_reversed).0 + if is_reversed { REVERSAL } else { 0.0 };
            (relabeled + cost, Origin::New { is_reversed })
        };
        let all: f32 = children.iter().map(|child| self.sizes[0][*child as usize]).sum();
        let forwarded = (0..).zip(children).map(|(index, child)| {
            let others = all - self.sizes[0][*child as usize];
            (EDIT + others + self.cost(*child, term), Origin::Child(index))
        });
        let orders = if children.len() > 1 { &[false, true][..] } else { &[false] };
        // Of equal costs the first: a child that is the term already, then a node in the order of the source.
        let candidates = forwarded.chain(orders.iter().map(|is_reversed| aligned(*is_reversed)));
        candidates.reduce(|best, next| if next.0 < best.0 { next } else { best }).unwrap_or_else(|| aligned(false))
    }

    /// The cheapest alignment of the children of a term with those of a node, in their order (Needleman & Wunsch 1970).
    fn align(&self, node: u32, term: u32, is_reversed: bool) -> (f32, Vec<Part>) {
        let (from, to) = (self.source.children(node), self.target.children(term));
        let child = |index: usize| if is_reversed { from.len() - 1 - index } else { index };
        let width = from.len() + 1;
        let mut table = vec![0.0; width * (to.len() + 1)];
        let deleted = |index: usize| self.sizes[0][from[child(index)] as usize];
        let inserted = |index: usize| self.sizes[1][to[index] as usize];
        let matched = |row: usize, column: usize| self.cost(from[child(column)], to[row]);
        for row in 0..=to.len() {
            for column in 0..width {
                let above = row.checked_sub(1).map(|row| table[row * width + column] + inserted(row));
                let left = column.checked_sub(1).map(|column| table[row * width + column] + deleted(column));
                let both = row.checked_sub(1).zip(column.checked_sub(1));
                let both = both.map(|(row, column)| table[row * width + column] + matched(row, column));
                let least = [both, above, left].into_iter().flatten().reduce(f32::min);
                table[row * width + column] = least.unwrap_or(0.0);
            }
        }
        let (mut row, mut column, mut parts) = (to.len(), from.len(), vec![Part::Inserted; to.len()]);
        while row > 0 {
            let here = table[row * width + column];
            if column > 0 && here == table[(row - 1) * width + column - 1] + matched(row - 1, column - 1) {
                parts[row - 1] = Part::Aligned(child(column - 1));
                (row, column) = (row - 1, column - 1);
            } else if here == table[(row - 1) * width + column] + inserted(row - 1) {
                row -= 1;
            } else {
                column -= 1;
            }
        }
        (table[width * (to.len() + 1) - 1], parts)
    }
}

/// The slots that make a target of a source, from the two alone: those of an edit path that inserts, deletes and relabels as few
/// nodes as possible.
///
/// Each node of the source stands, in role 0, for at most one subterm of the target, the root for the whole. It forwards a child
/// that stands for the same, or is a new node, whose children are those of the source in their order or in reverse, or are
/// made in further slots of the node. O(N M a^2) for N nodes of the source, M of the target and a children of each.
///
/// ```
/// use connectome_languages::mathematics::Terms;
/// use connectome_languages::rewriting::{SlotLabel, SlotLayout, align};
///
/// let mut terms = Terms::default();
/// let mut dag = |text| terms.read_infix(text).map(|term| terms.dag(term));
/// let (source, target) = (dag("(y + 0)*2")?, dag("2*y")?);
/// let layout = SlotLayout { slots: 2, roles: 1, result: 0, parts: 1 };
/// let slots = align(&source, &target, layout)?;
/// assert_eq!(slots.rewrite(|_| 0).decode(&source)?, target.shared());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the pair cannot be expressed by so many slots, or is too large.
pub fn align(source: &OrderedDag, target: &OrderedDag, layout: SlotLayout) -> Result<RewriteTarget, AlignmentError> {
    let (Some(root), Some(whole)) = (source.root(), target.root()) else { return Err(AlignmentError::Empty) };
    if source.len().checked_mul(target.len()).is_none_or(|count| count > MAX_COMPARISONS) {
        return Err(AlignmentError::TooLarge { before: source.len(), after: target.len() });
    }
    if layout.slots == 0 {
        return Err(AlignmentError::Slots { node: root });
    }
    let costs = Costs::new(source, target);
    let mut terms = DagInterner::default();
    let mut ids: Vec<u32> = Vec::with_capacity(target.len());
    for node in target.nodes() {
        let children: Vec<u32> = target.children(node).iter().map(|child| ids[*child as usize]).collect();
        ids.push(terms.node(target.label(node), &children));
    }
    // From the root down: which term each node stands for.
    let mut stands_for: Vec<Option<u32>> = vec![None; source.len()];
    stands_for[root as usize] = Some(whole);
    for node in source.nodes().rev() {
        let Some(term) = stands_for[node as usize] else { continue };
        let children = source.children(node);
        let needed: Vec<(u32, u32)> = match costs.origin(node, term) {
            Origin::Child(index) => vec![(children[index as usize], term)],
            Origin::New { is_reversed } => {
                let parts = costs.align(node, term, is_reversed).1;
                let aligned = parts.iter().zip(target.children(term)).filter_map(|(part, term)| match part {
                    Part::Aligned(index) => Some((children[*index], *term)),
                    Part::Inserted => None,
                });
                aligned.collect()
            }
        };
        for (child, term) in needed {
            let known = stands_for[child as usize].get_or_insert(term);
            if ids[*known as usize] != ids[term as usize] {
                return Err(AlignmentError::Shared { node: child });
            }
        }
    }
    let mut targets = TargetBuilder::new(source, layout);
    for node in source.nodes() {
        let Some(term) = stands_for[node as usize] else { continue };
        targets.begin(&terms, node);
        let too_few = AlignmentError::Slots { node };
        let forwards = matches!(costs.origin(node, term), Origin::Child(_));
        let id = ids[term as usize];
        if forwards {
            targets.set(&mut terms, 0, &Step::Forward(id)).map_err(|_| too_few)?;
            continue;
        }
        // What no address denotes is made in further slots, from the leaves up.
        let mut slot = layout.roles;
        let mut path = vec![(term, 0)];
        while let Some((made, next)) = path.last_mut() {
            if let Some(child) = target.children(*made).get(*next) {
                *next += 1;
                if targets.addresses_of(ids[*child as usize]).is_empty() {
                    path.push((*child, 0));
                }
                continue;
            }
            let made = *made;
            path.pop();
            let children = target.children(made).iter().map(|child| ids[*child as usize]).collect();
            let step = Step::New { label: target.label(made), children };
            let own = if path.is_empty() { 0 } else { slot };
            if own >= layout.slots {
                return Err(too_few);
            }
            slot += u32::from(!path.is_empty());
            targets.set(&mut terms, own, &step).map_err(|_| too_few)?;
        }
    }
    Ok(targets.finish())
}
