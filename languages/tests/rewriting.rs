//! Slots: what they decode to, and what is refused.

use std::collections::HashMap;

use connectome_languages::{
    DagInterner, OrderedDag,
    rewriting::{
        InvalidRewrite, NoAddress, Rewrite, Slot, SlotAddress, SlotCountError, SlotLabel, SlotLayout, Step,
        TargetBuilder,
    },
};
use proptest::prelude::*;

use super::ordered_dag::dags;

fn addresses(layout: SlotLayout) -> impl Strategy<Value = SlotAddress> {
    let (child, role) = (0_u32..4, 0..layout.roles + 1);
    prop_oneof![
        1 => (0..layout.slots + 1).prop_map(SlotAddress::Own),
        6 => (child.clone(), role.clone()).prop_map(|(child, role)| SlotAddress::Child { child, role }),
        2 => (child, role.clone(), 0_u32..3).prop_map(|(child, role, part)| SlotAddress::Part { child, role, part }),
        1 => (0_u32..40, role).prop_map(|(node, role)| SlotAddress::Node { node, role }),
    ]
}

fn slots(layout: SlotLayout) -> impl Strategy<Value = Slot> {
    let label = prop_oneof![
        1 => Just(SlotLabel::Null),
        4 => Just(SlotLabel::Keep),
        4 => Just(SlotLabel::Forward),
        2 => (0_u32..6).prop_map(SlotLabel::Vocabulary),
    ];
    // What forwards has one address, as a rule.
    let addresses = prop_oneof![3 => prop::collection::vec(addresses(layout), 1), 2 => prop::collection::vec(addresses(layout), 0..3)];
    (label, addresses).prop_map(|(label, addresses)| Slot { label, addresses })
}

pub fn rewrites() -> impl Strategy<Value = (OrderedDag, Rewrite)> {
    let layout = (0_u32..4, 0_u32..3, 0_u32..3);
    (dags(), layout).prop_flat_map(|(dag, (count, roles, result))| {
        let layout = SlotLayout { slots: count, roles, result, parts: 1 };
        let nodes = dag.len();
        let slots = prop::collection::vec(slots(layout), nodes * count as usize);
        (Just(dag), slots.prop_map(move |slots| Rewrite::new(layout, nodes, slots).unwrap()))
    })
}

/// The definition, written down: what each slot stands for, as text; none if it stands for nothing.
pub struct Definition<'a> {
    pub source: &'a OrderedDag,
    pub rewrite: &'a Rewrite,
    pub known: HashMap<(u32, u32), Option<Tree>>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Tree(pub u32, pub Vec<Tree>);

impl Tree {
    pub fn size(&self) -> u64 {
        1 + self.1.iter().map(Self::size).sum::<u64>()
    }
}

impl Definition<'_> {
    pub fn slot(&mut self, node: u32, slot: u32) -> Option<Tree> {
        if let Some(known) = self.known.get(&(node, slot)) {
            return known.clone();
        }
        // A slot that needs itself stands for nothing.
        self.known.insert((node, slot), None);
        let Slot { label, addresses } = &self.rewrite.slots()[(node * self.rewrite.layout().slots + slot) as usize];
        let children: Option<Vec<Tree>> = addresses.iter().map(|address| self.address(node, *address)).collect();
        let tree = match (label, children?) {
            (SlotLabel::Null, _) => None,
            (SlotLabel::Keep, children) => Some(Tree(self.source.label(node), children)),
            (SlotLabel::Vocabulary(label), children) => Some(Tree(*label, children)),
            (SlotLabel::Forward, mut children) => children.pop().filter(|_| children.is_empty()),
        };
        self.known.insert((node, slot), tree.clone());
        tree
    }

    fn address(&mut self, node: u32, address: SlotAddress) -> Option<Tree> {
        let layout = self.rewrite.layout();
        let roles = layout.roles.min(layout.slots);
        let child = |child: u32| self.source.children(node).get(child as usize).copied();
        match address {
            SlotAddress::Own(slot) => (slot < layout.slots).then(|| self.slot(node, slot))?,
            SlotAddress::Child { child: index, role } => {
                let child = child(index)?;
                (role < roles).then(|| self.slot(child, role))?
            }
            SlotAddress::Part { child: index, role, part } => {
                let child = child(index)?;
                (role < roles).then(|| self.slot(child, role))??.1.get(part as usize).cloned()
            }
            SlotAddress::Node { node, role } => {
                ((node as usize) < self.source.len() && role < roles).then(|| self.slot(node, role))?
            }
        }
    }
}

/// The tree of the root.
pub fn tree(dag: &OrderedDag) -> Option<Tree> {
    let mut trees: Vec<Tree> = Vec::new();
    for node in dag.nodes() {
        let children = dag.children(node).iter().map(|child| trees[*child as usize].clone()).collect();
        trees.push(Tree(dag.label(node), children));
    }
    trees.pop()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the slots are, they decode to what they are defined to stand for, or to an error.
    #[test]
    fn any_slots_decode_by_their_definition((source, rewrite) in rewrites()) {
        let decoded = rewrite.decode(&source);
        let mut size = 0;
        if let Ok(answer) = &decoded {
            prop_assert_eq!(answer, &answer.shared());
            size = answer.tree_size();
        }
        // Trees that are shared much are too large to write down.
        if size < 10_000 {
            let mut definition = Definition { source: &source, rewrite: &rewrite, known: HashMap::new() };
            let layout = rewrite.layout();
            let root = source.root().filter(|_| layout.result < layout.slots);
            let expected = root.and_then(|root| definition.slot(root, layout.result));
            prop_assert_eq!(decoded.ok().as_ref().and_then(tree), expected);
        }
    }

    #[test]
    fn addresses_are_numbered(slots in 0_u32..5, roles in 0_u32..4, parts in 0_u32..3, index in 0_u64..200) {
        let layout = SlotLayout { slots, roles, result: 0, parts };
        match layout.address(index) {
            Some(address) => prop_assert_eq!(layout.index(address), Some(index)),
            None => prop_assert!(roles == 0 && index >= u64::from(slots)),
        }
    }
}

fn layout(slots: u32, roles: u32) -> SlotLayout {
    SlotLayout { slots, roles, result: 0, parts: 1 }
}

/// f(x), where f is 1 and x is 0.
fn source() -> OrderedDag {
    let mut source = OrderedDag::default();
    let x = source.push(0, &[]).unwrap();
    source.push(1, &[x]).unwrap();
    source
}

fn slot(label: SlotLabel, addresses: &[SlotAddress]) -> Slot {
    Slot { label, addresses: addresses.to_vec() }
}

#[test]
fn what_cannot_be_resolved_is_named() {
    let (keep, forward) = (SlotLabel::Keep, SlotLabel::Forward);
    let child = SlotAddress::Child { child: 0, role: 0 };
    let decode =
        |layout: SlotLayout, slots: Vec<Slot>| Rewrite::new(layout, 2, slots).unwrap().decode(&source()).unwrap_err();
    let one = layout(1, 1);
    assert_eq!(decode(one, vec![Slot::default(), slot(keep, &[child])]), InvalidRewrite::Null { node: 0, slot: 0 });
    assert_eq!(
        decode(one, vec![slot(keep, &[]), slot(forward, &[])]),
        InvalidRewrite::Forward { node: 1, slot: 0, found: 0 }
    );
    let own = SlotAddress::Own(0);
    assert_eq!(decode(one, vec![slot(keep, &[]), slot(forward, &[own])]), InvalidRewrite::Cycle { node: 1, slot: 0 });
    let other = SlotAddress::Node { node: 1, role: 0 };
    let circle = vec![slot(keep, &[other]), slot(forward, &[child])];
    assert_eq!(decode(one, circle), InvalidRewrite::Cycle { node: 1, slot: 0 });
    for address in [
        SlotAddress::Own(1),
        SlotAddress::Child { child: 1, role: 0 },
        SlotAddress::Child { child: 0, role: 1 },
        SlotAddress::Part { child: 0, role: 0, part: 0 },
        SlotAddress::Node { node: 2, role: 0 },
    ] {
        let error = decode(one, vec![slot(keep, &[]), slot(keep, &[address])]);
        assert_eq!(error, InvalidRewrite::Dangling { node: 1, slot: 0, address });
    }
    let no_result = SlotLayout { result: 1, ..one };
    assert_eq!(decode(no_result, vec![Slot::default(); 2]), InvalidRewrite::NoAnswer);
    let error = Rewrite::new(one, 1, vec![Slot::default()]).unwrap().decode(&source()).unwrap_err();
    assert_eq!(error, InvalidRewrite::SlotCount { found: 1, expected: 2 });
    assert_eq!(Rewrite::new(one, 2, vec![]), Err(SlotCountError { found: 0, nodes: 2, slots: 1 }));
}

#[test]
fn what_the_answer_does_not_need_may_be_wrong() {
    let slots = vec![Slot::default(), slot(SlotLabel::Vocabulary(5), &[])];
    let answer = Rewrite::new(layout(1, 1), 2, slots).unwrap().decode(&source()).unwrap();
    assert_eq!(answer.labels(), [5]);
}

#[test]
fn any_node_can_be_addressed_by_a_pointer() {
    // The wide form: x becomes g, f becomes a pair of x's new self and f's own second slot.
    let pointer = SlotAddress::Node { node: 0, role: 0 };
    let slots = vec![
        slot(SlotLabel::Vocabulary(6), &[]),
        Slot::default(),
        slot(SlotLabel::Vocabulary(7), &[pointer, SlotAddress::Own(1)]),
        slot(SlotLabel::Keep, &[pointer]),
    ];
    let answer = Rewrite::new(layout(2, 1), 2, slots).unwrap().decode(&source()).unwrap();
    assert_eq!((answer.labels(), answer.children(2)), (&[6, 1, 7][..], &[0, 1][..]));
}

#[test]
fn long_chains_are_decoded() {
    const LENGTH: u32 = 1_000_000;
    let mut source = OrderedDag::default();
    source.push(0, &[]).unwrap();
    for node in 1..LENGTH {
        source.push(1, &[node - 1]).unwrap();
    }
    let child = SlotAddress::Child { child: 0, role: 0 };
    let mut slots = vec![slot(SlotLabel::Keep, &[])];
    slots.resize(LENGTH as usize, slot(SlotLabel::Keep, &[child]));
    let mut rewrite = Rewrite::new(layout(1, 1), LENGTH as usize, slots).unwrap();
    assert_eq!(rewrite.decode(&source).as_ref(), Ok(&source));
    rewrite.slots_mut()[1..].iter_mut().for_each(|slot| slot.label = SlotLabel::Forward);
    assert_eq!(rewrite.decode(&source).unwrap().len(), 1);
}

#[test]
fn steps_that_no_address_expresses_are_refused() {
    let source = source();
    let mut terms = DagInterner::default();
    let mut targets = TargetBuilder::new(&source, layout(2, 1));
    let stranger = terms.node(9, &[]);
    targets.begin(&terms, 0);
    assert_eq!(targets.set(&mut terms, 0, &Step::Forward(stranger)), Err(NoAddress { node: 0, slot: 0 }));
    // A slot that is set before can be referred to, one that is no role only by its own node.
    targets.set(&mut terms, 1, &Step::New { label: 9, children: vec![] }).unwrap();
    assert_eq!(targets.set(&mut terms, 0, &Step::New { label: 0, children: vec![stranger] }).map(|_| ()), Ok(()));
    targets.begin(&terms, 1);
    assert_eq!(targets.addresses_of(stranger), [SlotAddress::Part { child: 0, role: 0, part: 0 }]);
    let error = targets.set(&mut terms, 0, &Step::Forward(99)).unwrap_err();
    assert!(error.to_string().contains("make it in a slot before"), "{error}");
}
