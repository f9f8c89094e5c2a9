//! Sequences: each node makes a part of the result, and there are no addresses.

use std::collections::BTreeMap;

use super::{AlignmentError, Rewrite, RewriteTarget, SlotLabel, SlotLayout, SlotTarget, alignment::MAX_COMPARISONS};
use crate::OrderedDag;

/// What a node costs that is deleted and, on average, one that is written.
const EDIT: u32 = 16;

/// What a run of edits costs beside them: edits that follow each other are one change, such as a suffix.
const OPEN: u32 = EDIT;

/// How often costs are learned from the slots that the costs before lead to.
const ROUNDS: usize = 4;

/// What edits of sequences cost, for [`align_sequences`]. By default all cost the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditCosts {
    /// What it costs to write a label.
    written: BTreeMap<u32, u32>,
    /// The same for all other labels; none if these are all alike.
    others: Option<u32>,
}

impl EditCosts {
    /// The costs under which slots write labels that are often written: endings and the like, but not what could be kept.
    ///
    /// Hard expectation-maximization over the edits (after Ristad & Yianilos, "Learning string-edit distance", 1998): pairs are
    /// aligned, then a label that is `n` of `N` written ones costs `-ln (n / N)`, measured by the mean of all written ones. The same
    /// costs for the same pairs in the same order. O(N M) for each pair.
    pub fn learn<'a>(pairs: impl Iterator<Item = (&'a OrderedDag, &'a OrderedDag)> + Clone, slots: u32) -> Self {
        let mut costs = Self::default();
        for _ in 0..ROUNDS {
            let mut counts: BTreeMap<u32, u32> = BTreeMap::new();
            for (source, target) in pairs.clone() {
                let Ok(made) = align_sequences(source, target, slots, &costs) else { continue };
                for slot in made.slots() {
                    if let SlotLabel::Vocabulary(label) = slot.label {
                        *counts.entry(label).or_default() += 1;
                    }
                }
            }
            let total: u64 = counts.values().map(|count| u64::from(*count)).sum();
            let surprise = |count: u32| ((total + 1) as f64 / f64::from(count + 1)).ln();
            let mean = counts.values().map(|count| f64::from(*count) * surprise(*count)).sum::<f64>() / total as f64;
            // Nothing is written, or always the same.
            if mean.is_nan() || mean <= 0.0 {
                break;
            }
            let cost = |count: u32| ((f64::from(EDIT) * surprise(count) / mean).round() as u32).max(1);
            costs.others = Some(cost(0));
            costs.written = counts.into_iter().map(|(label, count)| (label, cost(count))).collect();
        }
        costs
    }

    fn written(&self, label: u32) -> u32 {
        self.written.get(&label).copied().or(self.others).unwrap_or(EDIT)
    }
}

/// How a cell of the table is reached from one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Keep,
    Replace,
    Delete,
    Insert,
}

/// The least costs of cells whose last move is not, or is, an edit, row by row; a row for each number of nodes of the source.
struct Costs<'a> {
    source: &'a [u32],
    target: &'a [u32],
    /// What it costs to write each node of the target.
    written: Vec<u32>,
    kept: Vec<u32>,
    edited: Vec<u32>,
}

/// A cost that no sum reaches.
const NEVER: u32 = u32::MAX / 2;

impl<'a> Costs<'a> {
    fn new(source: &'a [u32], target: &'a [u32], edits: &EditCosts) -> Self {
        let count = (source.len() + 1) * (target.len() + 1);
        let written = target.iter().map(|label| edits.written(*label)).collect();
        let mut costs = Self { source, target, written, kept: vec![NEVER; count], edited: vec![NEVER; count] };
        costs.kept[0] = 0;
        for row in 0..=source.len() {
            for column in 0..=target.len() {
                let cell = costs.cell(row, column);
                for (step, before) in costs.moves(row, column).into_iter().flatten() {
                    let cost = costs.cost(step, before, column);
                    let table = if step == Move::Keep { &mut costs.kept } else { &mut costs.edited };
                    table[cell] = table[cell].min(cost);
                }
            }
        }
        costs
    }

    /// The least cost of a path that ends in a move from a cell to this column.
    fn cost(&self, step: Move, before: usize, column: usize) -> u32 {
        let (kept, edited) = (self.kept[before], self.edited[before]);
        match step {
            Move::Keep => kept.min(edited),
            Move::Delete => edited.min(kept + OPEN) + EDIT,
            Move::Insert | Move::Replace => edited.min(kept + OPEN) + self.written[column - 1],
        }
    }

    fn cell(&self, row: usize, column: usize) -> usize {
        row * (self.target.len() + 1) + column
    }

    /// The moves to a cell, with the cell before. Those that come first are taken later in the sequences, of equal costs.
    fn moves(&self, row: usize, column: usize) -> [Option<(Move, usize)>; 3] {
        let (before, left) = (row.checked_sub(1), column.checked_sub(1));
        let both = before.zip(left).map(|(row, column)| {
            let is_same = self.source[row] == self.target[column];
            (if is_same { Move::Keep } else { Move::Replace }, self.cell(row, column))
        });
        [
            left.map(|column| (Move::Insert, self.cell(row, column))),
            before.map(|row| (Move::Delete, self.cell(row, column))),
            both,
        ]
    }

    /// The moves of a cheapest path, from the last to the first.
    fn path(&self) -> Vec<Move> {
        let (mut row, mut column) = (self.source.len(), self.target.len());
        let mut is_edited = self.edited[self.edited.len() - 1] <= self.kept[self.kept.len() - 1];
        let mut path = Vec::with_capacity(row + column);
        while row + column > 0 {
            let cell = self.cell(row, column);
            let cost = if is_edited { self.edited[cell] } else { self.kept[cell] };
            let fits = |(step, before): &(Move, usize)| {
                (*step == Move::Keep) != is_edited && cost == self.cost(*step, *before, column)
            };
            let Some((step, before)) = self.moves(row, column).into_iter().flatten().find(fits) else { break };
            let opened = if is_edited { OPEN } else { 0 };
            is_edited = self.edited[before] <= self.kept[before] + opened;
            row -= usize::from(step != Move::Insert);
            column -= usize::from(step != Move::Delete);
            path.push(step);
        }
        path
    }

    /// Where the part of the target ends that each node makes: a marker, the nodes of the source, and another marker.
    ///
    /// Within a run of edits the nodes make one each from the left to the right. What is left belongs to the marker behind, if the
    /// run is the last, else to the node before.
    fn ends(&self) -> Vec<usize> {
        let mut ends = vec![0];
        // The nodes of a run of edits, and the end of what it makes.
        let (mut nodes, mut end) = (0, 0);
        let close = |ends: &mut Vec<usize>, nodes: usize, end: usize| {
            let start = ends.last().copied().unwrap_or(0);
            ends.extend((1..=nodes).map(|made| (start + made).min(end)));
        };
        for step in self.path().into_iter().rev() {
            if step == Move::Keep {
                close(&mut ends, std::mem::take(&mut nodes), end);
                ends.last_mut().into_iter().for_each(|last| *last = end);
                end += 1;
                ends.push(end);
                continue;
            }
            nodes += usize::from(step != Move::Insert);
            end += usize::from(step != Move::Delete);
        }
        close(&mut ends, nodes, end);
        ends.push(end);
        ends
    }
}

/// The slots that make a sequence of another one, by as few and as long runs of edits as possible.
///
/// Both stand between two markers. A run of edits costs an edit more than these (Gotoh, "An improved algorithm for matching biological
/// sequences", 1982); of equal costs the last insertions are taken, so that suffixes stand at the end. The first marker makes what
/// comes before all nodes, the last one what comes after them, a node what takes its place. If that is more than its slots,
/// the nodes beside it make the rest. Slots of a node are filled from the first on. O(N M) for N nodes of the source and M of the
/// target.
///
/// # Errors
/// If all slots together are too few, a sequence has no markers, or both are too large.
pub fn align_sequences(
    source: &OrderedDag,
    target: &OrderedDag,
    slots: u32,
    costs: &EditCosts,
) -> Result<RewriteTarget, AlignmentError> {
    let ([_, before @ .., _], [_, after @ .., _]) = (source.labels(), target.labels()) else {
        return Err(AlignmentError::Empty);
    };
    if source.len().checked_mul(target.len()).is_none_or(|count| count > MAX_COMPARISONS) {
        return Err(AlignmentError::TooLarge { before: source.len(), after: target.len() });
    }
    let slots_of_node = slots as usize;
    if source.len() * slots_of_node < after.len() {
        return Err(AlignmentError::Slots { node: source.len() as u32 - 1 });
    }
    let mut ends = Costs::new(before, after, costs).ends();
    // To the right, then from the end to the left.
    let mut start = 0;
    for end in &mut ends {
        *end = (*end).min(start + slots_of_node);
        start = *end;
    }
    let mut next = after.len();
    for end in ends.iter_mut().rev() {
        *end = (*end).max(next);
        next = end.saturating_sub(slots_of_node);
    }
    let mut targets = Vec::with_capacity(source.len() * slots_of_node);
    let mut start = 0;
    for (node, end) in ends.into_iter().enumerate() {
        let mut own = node.checked_sub(1).and_then(|node| before.get(node)).copied();
        for label in &after[start..end] {
            let is_kept = own.take_if(|own| *own == *label).is_some();
            let label = if is_kept { SlotLabel::Keep } else { SlotLabel::Vocabulary(*label) };
            targets.push(SlotTarget { label, addresses: Vec::new() });
        }
        targets.resize((node + 1) * slots_of_node, SlotTarget::default());
        start = end;
    }
    Ok(RewriteTarget::new(SlotLayout::sequence(slots), targets))
}

impl SlotLayout {
    /// That of sequences: there are no roles, for nobody refers to a slot.
    pub fn sequence(slots: u32) -> Self {
        Self { slots, roles: 0, result: 0, parts: 0 }
    }
}

impl Rewrite {
    /// The sequence of all that the slots make, in their order, between the markers of the source, its first and last nodes.
    ///
    /// Addresses are not read, and slots that forward, or keep a marker, make nothing: every choice of slots is a sequence.
    /// O(N K).
    pub fn concatenate(&self, source: &OrderedDag) -> OrderedDag {
        let [first, own @ .., last] = source.labels() else { return source.clone() };
        let kept = std::iter::once(None).chain(own.iter().copied().map(Some)).chain([None]);
        let slots = self.slots().chunks(self.layout().slots.max(1) as usize);
        let made = slots.zip(kept).flat_map(|(slots, kept)| {
            slots.iter().filter_map(move |slot| match slot.label {
                SlotLabel::Keep => kept,
                SlotLabel::Vocabulary(label) => Some(label),
                SlotLabel::Null | SlotLabel::Forward => None,
            })
        });
        OrderedDag::chain([*first].into_iter().chain(made).chain([*last]))
    }
}
