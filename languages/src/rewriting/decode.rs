//! From slots to the graph that they stand for.

use super::{Rewrite, Slot, SlotAddress, SlotLabel};
use crate::OrderedDag;

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
    /// It stands for this node.
    Node(u32),
    Invalid(InvalidRewrite),
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
        let root = source.root().ok_or(InvalidRewrite::NoAnswer)?;
        let mut decoder = Decoder::new(self, source)?;
        let answer = decoder.answer(root)?;
        Ok(decoder.nodes.reachable_from(answer).shared())
    }
}

/// Resolves the slots that answers need. A slot is resolved once, whatever needs it.
pub(super) struct Decoder<'a> {
    rewrite: &'a Rewrite,
    source: &'a OrderedDag,
    states: Vec<State>,
    /// The nodes that slots make, one for each slot that makes one.
    pub(super) nodes: OrderedDag,
    /// The slot that makes each of them: its node and its number.
    pub(super) makers: Vec<(u32, u32)>,
    /// The children of the node that is made.
    children: Vec<u32>,
}

impl<'a> Decoder<'a> {
    /// Resolves nothing yet.
    pub(super) fn new(rewrite: &'a Rewrite, source: &'a OrderedDag) -> Result<Self, InvalidRewrite> {
        let layout = rewrite.layout();
        if layout.result >= layout.slots {
            return Err(InvalidRewrite::NoAnswer);
        }
        let (found, expected) = (rewrite.slots().len(), source.len().saturating_mul(layout.slots as usize));
        if found != expected {
            return Err(InvalidRewrite::SlotCount { found, expected });
        }
        let (states, nodes) = (vec![State::Unknown; expected], OrderedDag::default());
        Ok(Self { rewrite, source, states, nodes, makers: Vec::new(), children: Vec::new() })
    }

    /// The node that the answer for a root is.
    pub(super) fn answer(&mut self, root: u32) -> Result<u32, InvalidRewrite> {
        let layout = self.rewrite.layout();
        self.resolve(root as usize * layout.slots as usize + layout.result as usize)
    }

    /// What a slot stands for, by depth-first search.
    fn resolve(&mut self, first: usize) -> Result<u32, InvalidRewrite> {
        let mut path = Vec::new();
        let result = self.follow(first, &mut path);
        if let Err(error) = result {
            // Each slot of the path needs the one that is wrong.
            path.iter().for_each(|(slot, _)| self.states[*slot] = State::Invalid(error));
        }
        result
    }

    /// Resolves a slot and those that it needs; at an error the slots under way are on the path.
    fn follow(&mut self, first: usize, path: &mut Vec<(usize, usize)>) -> Result<u32, InvalidRewrite> {
        match self.states[first] {
            State::Node(node) => return Ok(node),
            State::Invalid(error) => return Err(error),
            State::Unknown | State::UnderWay => self.states[first] = State::UnderWay,
        }
        path.push((first, 0));
        loop {
            let Some((slot, next)) = path.last_mut() else { unreachable!("the first slot ends the search") };
            let slot = *slot;
            if let Some(address) = self.rewrite.slots()[slot].addresses.get(*next) {
                *next += 1;
                let needed = self.slot_of(slot, *address)?;
                match self.states[needed] {
                    State::Node(_) => {}
                    State::Invalid(error) => return Err(error),
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
            let node = self.make(slot)?;
            self.states[slot] = State::Node(node);
            path.pop();
            if path.is_empty() {
                return Ok(node);
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

    /// What a slot stands for whose addresses are resolved.
    fn make(&mut self, slot: usize) -> Result<u32, InvalidRewrite> {
        let (node, number) = self.place(slot);
        let Slot { label, addresses } = &self.rewrite.slots()[slot];
        let label = match label {
            SlotLabel::Null => return Err(InvalidRewrite::Null { node, slot: number }),
            SlotLabel::Forward => {
                let [address] = addresses[..] else {
                    return Err(InvalidRewrite::Forward { node, slot: number, found: addresses.len() });
                };
                return self.node_of(slot, address);
            }
            SlotLabel::Keep => self.source.label(node),
            SlotLabel::Vocabulary(label) => *label,
        };
        let mut children = std::mem::take(&mut self.children);
        children.clear();
        for address in addresses {
            children.push(self.node_of(slot, *address)?);
        }
        // 2^32 addresses do not fit into the slots of any source that fits into memory.
        let made = self.nodes.push(label, &children).unwrap_or_else(|error| unreachable!("{error}"));
        self.makers.push((node, number));
        self.children = children;
        Ok(made)
    }

    /// The node that an address of a slot denotes.
    fn node_of(&self, slot: usize, address: SlotAddress) -> Result<u32, InvalidRewrite> {
        let State::Node(node) = self.states[self.slot_of(slot, address)?] else {
            unreachable!("addresses are resolved before their slot")
        };
        let SlotAddress::Part { part, .. } = address else { return Ok(node) };
        let parts = self.nodes.children(node);
        parts.get(part as usize).copied().ok_or_else(|| self.dangling(slot, address))
    }
}
