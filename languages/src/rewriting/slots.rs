//! Slots, their labels and addresses.

/// What a slot makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotLabel {
    /// Nothing.
    #[default]
    Null,
    /// A node with the label of the slot's own node.
    Keep,
    /// What its only address denotes.
    Forward,
    /// A node with this label.
    Vocabulary(u32),
}

/// What a child of a slot is, seen from the slot's node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SlotAddress {
    /// Another slot of the same node.
    Own(u32),
    /// A role of a child.
    Child {
        /// Which child, counted from 0.
        child: u32,
        /// Which of its roles.
        role: u32,
    },
    /// A child of what a role of a child stands for.
    Part {
        /// Which child, counted from 0.
        child: u32,
        /// Which of its roles.
        role: u32,
        /// Which child of what that stands for.
        part: u32,
    },
    /// A role of any node of the source.
    Node {
        /// The node.
        node: u32,
        /// Which of its roles.
        role: u32,
    },
}

/// A slot of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Slot {
    /// What it makes.
    pub label: SlotLabel,
    /// What the children of the new node are, in order, or the one thing to forward.
    pub addresses: Vec<SlotAddress>,
}

/// How many slots a node has, and what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotLayout {
    /// Number of slots of each node, K.
    pub slots: u32,
    /// Number of slots that other nodes may refer to, R: the first ones.
    pub roles: u32,
    /// The slot of the root that is the answer.
    pub result: u32,
    /// Number of children of a role that can be addressed as its parts.
    pub parts: u32,
}

impl SlotLayout {
    /// The number of an address among those of any node, for classifiers; none for [`SlotAddress::Node`] and for slots,
    /// roles and parts that do not exist.
    ///
    /// Own slots come first, then child by child and role by role the role and its parts, so a node with `n` children has
    /// the numbers below `K + n R (1 + parts)`.
    ///
    /// ```
    /// use connectome_languages::rewriting::{SlotAddress, SlotLayout};
    ///
    /// let layout = SlotLayout { slots: 3, roles: 2, result: 1, parts: 1 };
    /// assert_eq!(layout.index(SlotAddress::Own(2)), Some(2));
    /// assert_eq!(layout.index(SlotAddress::Part { child: 1, role: 0, part: 0 }), Some(3 + 4 + 1));
    /// assert_eq!(layout.address(8), Some(SlotAddress::Part { child: 1, role: 0, part: 0 }));
    /// assert_eq!(layout.candidates(2), 3 + 2 * 4);
    /// ```
    pub fn index(&self, address: SlotAddress) -> Option<u64> {
        let (child, role, place) = match address {
            SlotAddress::Own(slot) => return (slot < self.slots).then_some(slot.into()),
            SlotAddress::Child { child, role } => (child, role, 0),
            SlotAddress::Part { child, role, part } if part < self.parts => (child, role, 1 + u64::from(part)),
            SlotAddress::Part { .. } | SlotAddress::Node { .. } => return None,
        };
        let before = u64::from(child) * u64::from(self.roles) + u64::from(role);
        let index = before.checked_mul(self.role_addresses())?.checked_add(u64::from(self.slots) + place)?;
        (role < self.roles).then_some(index)
    }

    /// The address with a number; none if its child does not fit a `u32`, or there are no roles.
    pub fn address(&self, index: u64) -> Option<SlotAddress> {
        let Some(index) = index.checked_sub(self.slots.into()) else {
            return Some(SlotAddress::Own(index as u32));
        };
        let (before, place) = (index / self.role_addresses(), index % self.role_addresses());
        let child = u32::try_from(before.checked_div(self.roles.into())?).ok()?;
        let role = (before % u64::from(self.roles)) as u32;
        Some(match place.checked_sub(1) {
            None => SlotAddress::Child { child, role },
            Some(part) => SlotAddress::Part { child, role, part: part as u32 },
        })
    }

    /// How many numbers the addresses of a node with so many children have.
    pub fn candidates(&self, children: u32) -> u64 {
        let roles = u64::from(children) * u64::from(self.roles);
        roles.saturating_mul(self.role_addresses()).saturating_add(self.slots.into())
    }

    /// A role and its parts.
    fn role_addresses(&self) -> u64 {
        1 + u64::from(self.parts)
    }
}

/// The slots of all nodes of a source: what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rewrite {
    layout: SlotLayout,
    slots: Vec<Slot>,
}

/// The number of slots is not the one of nodes times that of slots of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {found} slots, but {nodes} nodes with {slots} each; give each node all of its slots")]
pub struct SlotCountError {
    /// Number of slots.
    pub found: usize,
    /// Number of nodes.
    pub nodes: usize,
    /// Number of slots of each node.
    pub slots: u32,
}

impl Rewrite {
    /// The slots of a source with so many nodes: all of the first node, then all of the second, and so on.
    ///
    /// # Errors
    /// If there are not K for each node.
    pub fn new(layout: SlotLayout, nodes: usize, slots: Vec<Slot>) -> Result<Self, SlotCountError> {
        if nodes.checked_mul(layout.slots as usize) != Some(slots.len()) {
            return Err(SlotCountError { found: slots.len(), nodes, slots: layout.slots });
        }
        Ok(Self { layout, slots })
    }

    /// How many slots a node has.
    pub fn layout(&self) -> SlotLayout {
        self.layout
    }

    /// The slots, node by node.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The slots, node by node, for changes of their labels and addresses.
    pub fn slots_mut(&mut self) -> &mut [Slot] {
        &mut self.slots
    }
}
