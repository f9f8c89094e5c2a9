//! From slots to the graph that they stand for.

use super::{Rewrite, Slot, SlotAddress, SlotLabel};
use crate::{DagInterner, OrderedDag};

/// Slots do not stand for a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRewrite {
    /// The source has no nodes, or no slot for the result.
    #[error("the source has no root with a slot for the answer")]
    NoAnswer,
    /// There are slots for another number of nodes.
    #[error("there are {found} slots, but the source needs {expected}; decode slots with their own source")]
    SlotCount {
        /// Number of slots.
        found: usize,
        /// Number of slots of a source with as many nodes.
        expected: usize,
    },
    /// A slot that is needed makes nothing.
    #[error("slot {slot} of node {node} is null, but the answer needs it")]
    Null {
        /// The node.
        node: u32,
        /// Its slot.
        slot: u32,
    },
    /// A slot needs itself.
    #[error("slot {slot} of node {node} needs itself")]
    Cycle {
        /// The node.
        node: u32,
        /// Its slot.
        slot: u32,
    },
    /// A slot that forwards has another number of addresses than one.
    #[error("slot {slot} of node {node} forwards {found} things; it can forward one")]
    Forward {
        /// The node.
        node: u32,
        /// Its slot.
        slot: u32,
        /// Number of addresses.
        found: usize,
    },
    /// An address denotes nothing.
    #[error("slot {slot} of node {node} refers to {address:?}, which does not exist")]
    Dangling {
        /// The node.
        node: u32,
        /// Its slot.
        slot: u32,
        /// The address.
        address: SlotAddress,
    },
}

/// What is known of a slot.
#[derive(Clone, Copy)]
enum State {
    Unknown,
    UnderWay,
    Term(u32),
}

impl Rewrite {
    /// The graph that the slots stand for: the answer, with equal subterms as one node each, in postorder.
    ///
    /// Two answers are equal if and only if they are the same term; compare with [`OrderedDag::shared`]. O(N K) for slots
    /// with few addresses. Nothing is required of the slots; what the answer does not need may be wrong.
    ///
    /// # Errors
    /// If the answer needs a slot that is null or needs itself, or an address that denotes nothing.
    pub fn decode(&self, source: &OrderedDag) -> Result<OrderedDag, InvalidRewrite> {
        let layout = self.layout();
        let root = source.root().filter(|_| layout.result < layout.slots).ok_or(InvalidRewrite::NoAnswer)?;
        let expected = source.len().saturating_mul(layout.slots as usize);
        if self.slots().len() != expected {
            return Err(InvalidRewrite::SlotCount { found: self.slots().len(), expected });
        }
        let mut decoder = Decoder {
            rewrite: self,
            source,
            states: vec![State::Unknown; expected],
            terms: DagInterner::default(),
            children: Vec::new(),
        };
        let answer = decoder.resolve(root as usize * layout.slots as usize + layout.result as usize)?;
        Ok(decoder.terms.term(answer))
    }
}

struct Decoder<'a> {
    rewrite: &'a Rewrite,
    source: &'a OrderedDag,
    states: Vec<State>,
    terms: DagInterner,
    /// The children of the node that is made.
    children: Vec<u32>,
}

impl Decoder<'_> {
    /// The term of a slot, by depth-first search.
    fn resolve(&mut self, first: usize) -> Result<u32, InvalidRewrite> {
        self.states[first] = State::UnderWay;
        let mut path = vec![(first, 0)];
        loop {
            let Some((slot, next)) = path.last_mut() else { unreachable!("the first slot ends the search") };
            let slot = *slot;
            if let Some(address) = self.rewrite.slots()[slot].addresses.get(*next) {
                *next += 1;
                let needed = self.slot_of(slot, *address)?;
                match self.states[needed] {
                    State::Term(_) => {}
                    State::UnderWay => {
                        let (node, slot) = self.place(needed);
                        return Err(InvalidRewrite::Cycle { node, slot });
                    }
                    State::Unknown => {
                        self.states[needed] = State::UnderWay;
                        path.push((needed, 0));
                    }
                }
                continue;
            }
            let term = self.make(slot)?;
            self.states[slot] = State::Term(term);
            path.pop();
            if path.is_empty() {
                return Ok(term);
            }
        }
    }

    /// The node and the number of a slot.
    fn place(&self, slot: usize) -> (u32, u32) {
        let slots = self.rewrite.layout().slots as usize;
        ((slot / slots) as u32, (slot % slots) as u32)
    }

    fn dangling(&self, slot: usize, address: SlotAddress) -> InvalidRewrite {
        let (node, slot) = self.place(slot);
        InvalidRewrite::Dangling { node, slot, address }
    }

    /// The slot that an address of a slot is about.
    fn slot_of(&self, slot: usize, address: SlotAddress) -> Result<usize, InvalidRewrite> {
        let layout = self.rewrite.layout();
        let (own, _) = self.place(slot);
        let child = |child: u32| self.source.children(own).get(child as usize).copied();
        let (node, number, limit) = match address {
            SlotAddress::Own(slot) => (Some(own), slot, layout.slots),
            SlotAddress::Child { child: index, role } | SlotAddress::Part { child: index, role, .. } => {
                (child(index), role, layout.roles)
            }
            SlotAddress::Node { node, role } => {
                (Some(node).filter(|node| (*node as usize) < self.source.len()), role, layout.roles)
            }
        };
        node.filter(|_| number < limit.min(layout.slots))
            .map(|node| node as usize * layout.slots as usize + number as usize)
            .ok_or_else(|| self.dangling(slot, address))
    }

    /// The term of a slot whose addresses are resolved.
    fn make(&mut self, slot: usize) -> Result<u32, InvalidRewrite> {
        let (node, number) = self.place(slot);
        let Slot { label, addresses } = &self.rewrite.slots()[slot];
        let label = match label {
            SlotLabel::Null => return Err(InvalidRewrite::Null { node, slot: number }),
            SlotLabel::Forward => {
                let [address] = addresses[..] else {
                    return Err(InvalidRewrite::Forward { node, slot: number, found: addresses.len() });
                };
                return self.term_of(slot, address);
            }
            SlotLabel::Keep => self.source.label(node),
            SlotLabel::Vocabulary(label) => *label,
        };
        let mut children = std::mem::take(&mut self.children);
        children.clear();
        for address in addresses {
            children.push(self.term_of(slot, *address)?);
        }
        let term = self.terms.node(label, &children);
        self.children = children;
        Ok(term)
    }

    /// The term that an address of a slot denotes.
    fn term_of(&self, slot: usize, address: SlotAddress) -> Result<u32, InvalidRewrite> {
        let State::Term(term) = self.states[self.slot_of(slot, address)?] else {
            unreachable!("addresses are resolved before their slot")
        };
        let SlotAddress::Part { part, .. } = address else { return Ok(term) };
        let parts = self.terms.nodes().children(term);
        parts.get(part as usize).copied().ok_or_else(|| self.dangling(slot, address))
    }
}
