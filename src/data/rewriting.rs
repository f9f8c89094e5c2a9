//! Graphs and what they are to be rewritten to.

use connectome_components::{SoftmaxGroups, Split};
use connectome_languages::{
    OrderedDag,
    mathematics::{Operation, Terms},
    rewriting::{RewriteTarget, Slot, SlotLabel, SlotLayout, SlotTarget},
};
use connectome_systems::random::{Philox, RandomStream};
use std::sync::Arc;

use super::{DenseRows, Features, GraphData, GraphSet};

/// Sources and targets of rewriting, beside the sources as the graphs of a [`GraphData`].
#[derive(Clone, Debug)]
pub struct RewriteData {
    /// What the labels of nodes stand for. Those that occur in training come first.
    pub terms: Terms,
    /// The label of the symbol that has a meaning, such as the variable of a derivative; all others are interchangeable.
    pub variable: Option<u32>,
    /// How slots are outputs of a model.
    pub coding: SlotCoding,
    /// The pairs, one for each graph.
    pub pairs: Vec<RewritePair>,
}

/// Labels follow from the graphs.
impl PartialEq for RewriteData {
    fn eq(&self, other: &Self) -> bool {
        (&self.coding, &self.pairs) == (&other.coding, &other.pairs)
    }
}

/// A graph and what it is to be rewritten to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RewritePair {
    /// The graph before.
    pub source: OrderedDag,
    /// The graph after.
    pub target: OrderedDag,
}

/// How the slots of a node are outputs of a model: for each slot a softmax over labels, then one over addresses for each child.
///
/// Labels are null, keep, forward and those that occur in training. Addresses are numbered by [`SlotLayout::index`], and the last
/// one stands for the end of the children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotCoding {
    /// The slots of a node.
    pub layout: SlotLayout,
    /// Number of labels that occur in training, and can be written.
    pub labels: u32,
    /// The most addresses of a slot.
    pub arity: u32,
    /// The most addresses among which one is chosen.
    pub candidates: u32,
}

/// Null, keep and forward.
const SPECIAL_LABELS: u32 = 3;

/// The random stream of hidden symbols.
const HIDDEN: u32 = 0x6869_6465;

/// One symbol in this number is hidden in training.
const HIDDEN_ONE_IN: u64 = 4;

const RIGHT: f32 = 1.0;
const WRONG: f32 = 0.0;
const EXCLUDED: f32 = -1.0;

impl SlotCoding {
    /// The outputs of a node, as softmax groups.
    pub fn groups(&self) -> SoftmaxGroups {
        SoftmaxGroups {
            repeats: self.layout.slots,
            leading: SPECIAL_LABELS + self.labels,
            following: self.arity,
            width: self.candidates + 1,
        }
    }

    /// Number of outputs of a node.
    pub fn width(&self) -> usize {
        self.groups().total().unwrap_or(usize::MAX)
    }

    /// The outputs of each slot: its labels, then the addresses of each child.
    fn slots<'a>(&self, row: &'a [f32]) -> impl Iterator<Item = (&'a [f32], impl Iterator<Item = &'a [f32]>)> {
        let (labels, addresses) = ((SPECIAL_LABELS + self.labels) as usize, self.candidates as usize + 1);
        row.chunks_exact(labels + self.arity as usize * addresses).map(move |slot| {
            let (labels, rest) = slot.split_at(labels);
            (labels, rest.chunks_exact(addresses))
        })
    }

    fn label_index(&self, label: SlotLabel) -> Option<usize> {
        match label {
            SlotLabel::Null => Some(0),
            SlotLabel::Keep => Some(1),
            SlotLabel::Forward => Some(2),
            SlotLabel::Vocabulary(label) => (label < self.labels).then_some((SPECIAL_LABELS + label) as usize),
        }
    }

    fn label(&self, index: usize) -> SlotLabel {
        match index {
            0 => SlotLabel::Null,
            1 => SlotLabel::Keep,
            2 => SlotLabel::Forward,
            index => SlotLabel::Vocabulary(index as u32 - SPECIAL_LABELS),
        }
    }

    /// Number of addresses among which a node with so many children chooses.
    fn candidates_of(&self, children: usize) -> usize {
        let children = u32::try_from(children).unwrap_or(u32::MAX);
        self.layout.candidates(children).min(self.candidates.into()) as usize
    }

    /// Appends the target of each output of a node with so many children: 1 for right answers, 0 for wrong ones, negative for
    /// addresses that do not exist.
    fn write(&self, slots: &[SlotTarget], children: usize, row: &mut Vec<f32>) {
        let candidates = self.candidates_of(children);
        for SlotTarget { label, addresses } in slots {
            let start = row.len();
            row.resize(start + (SPECIAL_LABELS + self.labels) as usize, WRONG);
            if let Some(label) = self.label_index(*label) {
                row[start + label] = RIGHT;
            }
            let has_end = !matches!(label, SlotLabel::Null | SlotLabel::Forward);
            for number in 0..self.arity as usize {
                let start = row.len();
                row.resize(start + candidates, WRONG);
                row.resize(start + self.candidates as usize, EXCLUDED);
                row.push(if has_end && number == addresses.len() { RIGHT } else { WRONG });
                let right = addresses.get(number).into_iter().flatten();
                for address in right.filter_map(|address| self.layout.index(*address)) {
                    if let Some(target) = row.get_mut(start + address as usize).filter(|_| address < candidates as u64)
                    {
                        *target = RIGHT;
                    }
                }
            }
        }
    }

    /// The slots of a node with so many children, from its outputs: the likeliest label, and the likeliest addresses.
    pub fn read(&self, outputs: &[f32], children: usize) -> Vec<Slot> {
        let candidates = self.candidates_of(children);
        let slots = self.slots(outputs).map(|(labels, addresses)| {
            let label = self.label(likeliest(labels));
            let limit = match label {
                SlotLabel::Null => 0,
                SlotLabel::Forward => 1,
                SlotLabel::Keep | SlotLabel::Vocabulary(_) => self.arity as usize,
            };
            let addresses = addresses.take(limit).map_while(|outputs| {
                let address = likeliest(&outputs[..candidates]);
                let is_end =
                    label != SlotLabel::Forward && (candidates == 0 || outputs[outputs.len() - 1] > outputs[address]);
                if is_end { None } else { self.layout.address(address as u64) }
            });
            Slot { label, addresses: addresses.collect() }
        });
        slots.collect()
    }
}

/// The first of the largest values.
fn likeliest(values: &[f32]) -> usize {
    let larger = |best: usize, index: usize| if values[index] > values[best] { index } else { best };
    (0..values.len()).reduce(larger).unwrap_or(0)
}

/// The most addresses of a slot.
fn address_count(target: &RewriteTarget) -> u32 {
    target.slots().iter().map(|slot| slot.addresses.len() as u32).max().unwrap_or(0)
}

impl RewriteData {
    /// Graphs to learn from, with their slots and splits. The first `labels` labels are those that occur in training. A pair
    /// without slots is only measured.
    pub fn graphs(
        terms: Terms,
        variable: Option<u32>,
        labels: u32,
        layout: SlotLayout,
        pairs: Vec<(RewritePair, Option<RewriteTarget>, Split)>,
    ) -> GraphData {
        let learned = || pairs.iter().filter(|(_, _, split)| *split == Split::Train);
        let children = |dag: &OrderedDag| dag.nodes().map(|node| dag.children(node).len()).max().unwrap_or(0) as u32;
        let most = learned().map(|(pair, ..)| children(&pair.source)).max().unwrap_or(0);
        let arity = learned().filter_map(|(_, target, _)| target.as_ref()).map(address_count).max().unwrap_or(0).max(1);
        let candidates = u32::try_from(layout.candidates(most)).unwrap_or(u32::MAX);
        let coding = SlotCoding { layout, labels, arity, candidates };
        Self { terms, variable, coding, pairs: Vec::new() }.encode(pairs)
    }

    /// Number of features of a node, which are a one-hot code: one for each label that occurs in training, and two for others.
    pub(crate) fn feature_width(&self) -> usize {
        self.coding.labels as usize + 2
    }

    /// The feature of a node: its label or, if that does not occur in training, whether it is an interchangeable symbol.
    /// Models learn of unknown symbols because some of those in training are hidden.
    pub(crate) fn feature(&self, label: u32, mut is_hidden: impl FnMut() -> bool) -> u32 {
        let operation = self.terms.operations().get(label as usize);
        let is_symbol = matches!(operation, Some(Operation::Symbol(_))) && self.variable != Some(label);
        match label < self.coding.labels && !(is_symbol && is_hidden()) {
            true => label,
            false => self.coding.labels + u32::from(is_symbol),
        }
    }

    /// Graphs of further `terms`, without targets and in the split Test, to be rewritten by a model of these data.
    pub fn inputs(&self, terms: Terms, sources: Vec<OrderedDag>) -> GraphData {
        let pair = |source| (RewritePair { source, target: OrderedDag::default() }, None, Split::Test);
        self.with_terms(terms).encode(sources.into_iter().map(pair).collect())
    }

    /// The same with further terms and without pairs.
    pub(crate) fn with_terms(&self, terms: Terms) -> Self {
        let Self { variable, coding, .. } = *self;
        Self { terms, variable, coding, pairs: Vec::new() }
    }

    fn encode(mut self, pairs: Vec<(RewritePair, Option<RewriteTarget>, Split)>) -> GraphData {
        let coding = self.coding;
        let mut set = GraphSet { node_offsets: vec![0], edge_offsets: vec![0], classes: 1, ..GraphSet::default() };
        let (mut labels, mut edges, mut places, mut targets) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, (pair, target, split)) in (0..).zip(pairs) {
            let (source, first) = (&pair.source, labels.len() as u32);
            let mut random = RandomStream::new(Philox::new(0, HIDDEN, number));
            let mut is_hidden = || split == Split::Train && random.below(HIDDEN_ONE_IN) == 0;
            labels.extend(source.labels().iter().map(|label| self.feature(*label, &mut is_hidden)));
            for node in source.nodes() {
                let children = source.children(node);
                edges.extend(children.iter().map(|child| [first + child, first + node]));
                places.extend((0..children.len()).map(|place| place as f32));
                match &target {
                    Some(target) => {
                        let slots = coding.layout.slots as usize;
                        let start = node as usize * slots;
                        coding.write(&target.slots()[start..start + slots], children.len(), &mut targets);
                    }
                    // Without a right answer there is no term of the loss.
                    None => targets.resize(targets.len() + coding.width(), WRONG),
                }
            }
            set.node_offsets.push(labels.len());
            set.edge_offsets.push(edges.len());
            set.labels.push(0);
            set.splits.push(split);
            self.pairs.push(pair);
        }
        GraphData {
            nodes: labels.len(),
            features: Features::one_hot(labels, self.feature_width()),
            edges,
            edge_features: Some(DenseRows { width: 1, values: places }),
            targets: Some(DenseRows { width: coding.width(), values: targets }),
            graphs: Some(set),
            rewriting: Some(Arc::new(self)),
            ..GraphData::default()
        }
    }
}
