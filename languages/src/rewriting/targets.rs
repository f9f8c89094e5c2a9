//! What slots are to be learned.

use std::collections::HashMap;

use super::{Rewrite, Slot, SlotAddress, SlotLabel, SlotLayout};
use crate::{DagInterner, OrderedDag};

/// How a slot comes by its term, as indices of a [`DagInterner`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// It is a term that exists.
    Forward(u32),
    /// It is a node over terms that exist.
    New {
        /// The label.
        label: u32,
        /// The children, in order.
        children: Vec<u32>,
    },
}

impl Step {
    /// The term.
    ///
    /// # Panics
    /// If it consists of terms of another interner.
    #[track_caller]
    pub fn apply(&self, terms: &mut DagInterner) -> u32 {
        match self {
            Self::Forward(term) => *term,
            Self::New { label, children } => terms.node(*label, children),
        }
    }
}

/// What a slot is to be: its label and, for each address, all right ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SlotTarget {
    /// The label.
    pub label: SlotLabel,
    /// For each address those that denote the right term, in the order of [`SlotLayout::index`]; at least one.
    pub addresses: Vec<Vec<SlotAddress>>,
}

/// What all slots of a source are to be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RewriteTarget {
    layout: SlotLayout,
    slots: Vec<SlotTarget>,
}

impl RewriteTarget {
    /// Targets that are known already, K for each node.
    pub(super) fn new(layout: SlotLayout, slots: Vec<SlotTarget>) -> Self {
        Self { layout, slots }
    }

    /// How many slots a node has.
    pub fn layout(&self) -> SlotLayout {
        self.layout
    }

    /// The slots, node by node.
    pub fn slots(&self) -> &[SlotTarget] {
        &self.slots
    }

    /// The rewrite with one of the right addresses each; `choose` gives the index of one in a list of them, else the first
    /// is taken.
    ///
    /// All of them decode to the same answer.
    pub fn rewrite(&self, mut choose: impl FnMut(&[SlotAddress]) -> usize) -> Rewrite {
        let slots = self.slots.iter().map(|slot| {
            let addresses = slot.addresses.iter().map(|right| *right.get(choose(right)).unwrap_or(&right[0]));
            Slot { label: slot.label, addresses: addresses.collect() }
        });
        let nodes = self.slots.len().checked_div(self.layout.slots as usize).unwrap_or(0);
        Rewrite::new(self.layout, nodes, slots.collect()).unwrap_or_else(|error| unreachable!("{error}"))
    }
}

/// A step needs a term that no address denotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("slot {slot} of node {node} needs a term that no address denotes; make it in a slot before, or add a role")]
pub struct NoAddress {
    /// The node.
    pub node: u32,
    /// Its slot.
    pub slot: u32,
}

/// Finds the addresses of what slots are to be. Nodes are visited from the leaves up.
///
/// ```
/// use connectome_languages::rewriting::{SlotAddress, SlotLabel, SlotLayout, Step, TargetBuilder};
/// use connectome_languages::{DagInterner, OrderedDag};
///
/// // x + 0 becomes x.
/// let [x, zero, plus] = [0, 1, 2];
/// let mut source = OrderedDag::default();
/// let leaves = [source.push(x, &[])?, source.push(zero, &[])?];
/// source.push(plus, &leaves)?;
///
/// let mut terms = DagInterner::default();
/// let mut targets = TargetBuilder::new(&source, SlotLayout { slots: 1, roles: 1, result: 0, parts: 1 });
/// for (node, label) in [x, zero].into_iter().enumerate() {
///     targets.begin(&terms, node as u32);
///     targets.set(&mut terms, 0, &Step::New { label, children: vec![] })?;
/// }
/// let copy_of_x = targets.term(leaves[0], 0).unwrap();
/// targets.begin(&terms, 2);
/// targets.set(&mut terms, 0, &Step::Forward(copy_of_x))?;
/// let target = targets.finish();
/// assert_eq!(target.slots()[2].label, SlotLabel::Forward);
/// assert_eq!(target.slots()[2].addresses, [[SlotAddress::Child { child: 0, role: 0 }]]);
/// assert_eq!(target.rewrite(|_| 0).decode(&source)?.labels(), [x]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TargetBuilder<'a> {
    source: &'a OrderedDag,
    target: RewriteTarget,
    /// The term of each slot that was set.
    terms: Vec<Option<u32>>,
    /// The node that was begun.
    node: u32,
    /// The addresses of terms, seen from that node.
    addresses: HashMap<u32, Vec<SlotAddress>>,
}

impl<'a> TargetBuilder<'a> {
    /// Targets of a source, all null so far.
    pub fn new(source: &'a OrderedDag, layout: SlotLayout) -> Self {
        let count = source.len() * layout.slots as usize;
        let target = RewriteTarget { layout, slots: vec![SlotTarget::default(); count] };
        Self { source, target, terms: vec![None; count], node: 0, addresses: HashMap::new() }
    }

    /// The term of a slot; none if it is not set.
    pub fn term(&self, node: u32, slot: u32) -> Option<u32> {
        self.terms.get(self.position(node, slot)).copied().flatten()
    }

    fn position(&self, node: u32, slot: u32) -> usize {
        node as usize * self.target.layout.slots as usize + slot as usize
    }

    /// Goes on to a node, whose children have their roles.
    ///
    /// # Panics
    /// If the source has no such node.
    #[track_caller]
    pub fn begin(&mut self, terms: &DagInterner, node: u32) {
        self.node = node;
        self.addresses.clear();
        let layout = self.target.layout;
        for (child, index) in self.source.children(node).iter().zip(0..) {
            for role in 0..layout.roles {
                let Some(term) = self.term(*child, role) else { continue };
                self.addresses.entry(term).or_default().push(SlotAddress::Child { child: index, role });
                for (part, number) in terms.nodes().children(term).iter().zip(0..layout.parts) {
                    let address = SlotAddress::Part { child: index, role, part: number };
                    self.addresses.entry(*part).or_default().push(address);
                }
            }
        }
    }

    /// All addresses that denote a term, seen from the node that was begun, in the order of [`SlotLayout::index`].
    pub fn addresses_of(&self, term: u32) -> &[SlotAddress] {
        self.addresses.get(&term).map_or(&[], Vec::as_slice)
    }

    /// Sets a slot of the node that was begun, and returns its term. Slots that are set later may refer to it.
    ///
    /// A new node with the label of the slot's node becomes [`SlotLabel::Keep`].
    ///
    /// # Errors
    /// If no address denotes a term that the step needs.
    ///
    /// # Panics
    /// If the layout has no such slot, or the slot is set already.
    #[track_caller]
    pub fn set(&mut self, terms: &mut DagInterner, slot: u32, step: &Step) -> Result<u32, NoAddress> {
        assert!(slot < self.target.layout.slots, "slot {slot} of {:?}", self.target.layout);
        assert!(self.term(self.node, slot).is_none(), "slot {slot} of node {} is set already", self.node);
        let (label, needed) = match step {
            Step::Forward(term) => (SlotLabel::Forward, std::slice::from_ref(term)),
            Step::New { label, children } if *label == self.source.label(self.node) => (SlotLabel::Keep, &children[..]),
            Step::New { label, children } => (SlotLabel::Vocabulary(*label), &children[..]),
        };
        let mut addresses = Vec::with_capacity(needed.len());
        for term in needed {
            match self.addresses_of(*term) {
                [] => return Err(NoAddress { node: self.node, slot }),
                right => addresses.push(right.to_vec()),
            }
        }
        let (term, position) = (step.apply(terms), self.position(self.node, slot));
        self.target.slots[position] = SlotTarget { label, addresses };
        self.terms[position] = Some(term);
        // Own slots come first.
        let known = self.addresses.entry(term).or_default();
        let before = known.partition_point(|address| matches!(address, SlotAddress::Own(own) if *own < slot));
        known.insert(before, SlotAddress::Own(slot));
        Ok(term)
    }

    /// The targets. Slots that were not set are null.
    pub fn finish(self) -> RewriteTarget {
        self.target
    }
}
