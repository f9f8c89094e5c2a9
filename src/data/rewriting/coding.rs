//! Slots as outputs of a model.

use connectome_components::SoftmaxGroups;
use connectome_languages::rewriting::{Slot, SlotLabel, SlotLayout, SlotTarget};

/// How the slots of a node are outputs of a model: for each slot a softmax over labels, then one over addresses for each child.
///
/// Labels are null, keep, forward if there are addresses, and those that occur in training. Addresses are numbered by [`SlotLayout::index`], and the last
/// one stands for the end of the children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotCoding {
    /// The slots of a node.
    pub layout: SlotLayout,
    /// Number of labels that occur in training, and can be written.
    pub labels: u32,
    /// The most addresses of a slot; none in sequences.
    pub arity: u32,
    /// The most addresses among which one is chosen.
    pub candidates: u32,
}

const RIGHT: f32 = 1.0;
pub(super) const WRONG: f32 = 0.0;
const EXCLUDED: f32 = -1.0;

impl SlotCoding {
    /// Number of labels that are none of the vocabulary: null, keep and, if there is something to forward, forward.
    fn special_labels(&self) -> u32 {
        2 + u32::from(self.arity > 0)
    }

    /// Number of labels of a slot.
    fn label_count(&self) -> u32 {
        self.special_labels().saturating_add(self.labels)
    }

    /// The outputs of a node, as softmax groups.
    pub fn groups(&self) -> SoftmaxGroups {
        SoftmaxGroups {
            repeats: self.layout.slots,
            leading: self.label_count(),
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
        let (labels, addresses) = (self.label_count() as usize, self.candidates as usize + 1);
        row.chunks_exact(labels + self.arity as usize * addresses).map(move |slot| {
            let (labels, rest) = slot.split_at(labels);
            (labels, rest.chunks_exact(addresses))
        })
    }

    fn label_index(&self, label: SlotLabel) -> Option<usize> {
        match label {
            SlotLabel::Null => Some(0),
            SlotLabel::Keep => Some(1),
            SlotLabel::Forward => (self.arity > 0).then_some(2),
            SlotLabel::Vocabulary(label) => (label < self.labels).then_some((self.special_labels() + label) as usize),
        }
    }

    fn label(&self, index: usize) -> SlotLabel {
        match (index, (index as u32).checked_sub(self.special_labels())) {
            (_, Some(label)) => SlotLabel::Vocabulary(label),
            (0, None) => SlotLabel::Null,
            (1, None) => SlotLabel::Keep,
            (_, None) => SlotLabel::Forward,
        }
    }

    /// Number of addresses among which a node with so many children chooses.
    fn candidates_of(&self, children: usize) -> usize {
        let children = u32::try_from(children).unwrap_or(u32::MAX);
        self.layout.candidates(children).min(self.candidates.into()) as usize
    }

    /// Appends the target of each output of a node with so many children: 1 for right answers, 0 for wrong ones, negative for
    /// addresses that do not exist.
    pub(super) fn write(&self, slots: &[SlotTarget], children: usize, row: &mut Vec<f32>) {
        let candidates = self.candidates_of(children);
        for SlotTarget { label, addresses } in slots {
            let start = row.len();
            row.resize(start + self.label_count() as usize, WRONG);
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
