//! Graphs and what they are to be rewritten to.

mod coding;
mod language;

use connectome_components::Split;
use connectome_languages::{
    OrderedDag,
    mathematics::Terms,
    rewriting::{InvalidRewrite, Rewrite, RewriteTarget, Slot, SlotLayout},
};
use connectome_systems::random::{Philox, RandomStream};
use std::sync::Arc;

use super::{DenseRows, Features, GraphData, GraphSet};

pub use coding::SlotCoding;
pub(crate) use language::known_tags;
pub use language::{RewriteLanguage, RewriteTextError};

/// Sources and targets of rewriting, beside the sources as the graphs of a [`GraphData`].
#[derive(Clone, Debug)]
pub struct RewriteData {
    /// What the labels of nodes stand for.
    pub language: RewriteLanguage,
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
    /// What is asked for, as distinct numbers below [`RewriteLanguage::tags`]: a feature of every node.
    pub tags: Vec<u32>,
}

/// The random stream of hidden symbols.
const HIDDEN: u32 = 0x6869_6465;

/// The most addresses of a slot.
fn address_count(target: &RewriteTarget) -> u32 {
    target.slots().iter().map(|slot| slot.addresses.len() as u32).max().unwrap_or(0)
}

impl RewriteData {
    /// Graphs to learn from, with their slots and splits. The first `labels` labels are those that occur in training. A pair
    /// without slots is only measured.
    pub fn graphs(
        language: RewriteLanguage,
        labels: u32,
        layout: SlotLayout,
        pairs: Vec<(RewritePair, Option<RewriteTarget>, Split)>,
    ) -> GraphData {
        let learned = || pairs.iter().filter(|(_, _, split)| *split == Split::Train);
        let children = |dag: &OrderedDag| dag.nodes().map(|node| dag.children(node).len()).max().unwrap_or(0) as u32;
        let most = learned().map(|(pair, ..)| children(&pair.source)).max().unwrap_or(0);
        let arity = learned().filter_map(|(_, target, _)| target.as_ref()).map(address_count).max().unwrap_or(0);
        // Without roles there is nothing to refer to.
        let arity = arity.max(layout.roles.min(1));
        let candidates = u32::try_from(layout.candidates(most)).unwrap_or(u32::MAX);
        let coding = SlotCoding { layout, labels, arity, candidates };
        Self { language, coding, pairs: Vec::new() }.encode(pairs)
    }

    /// Graphs of further sources, in the split Test and without slots, to be rewritten by a model of these data; `language` is that
    /// of these data, with which the sources were [read](RewriteLanguage::read).
    pub fn inputs(&self, language: RewriteLanguage, sources: Vec<RewritePair>) -> GraphData {
        let pairs = sources.into_iter().map(|source| (source, None, Split::Test)).collect();
        self.with_language(language).encode(pairs)
    }

    /// The terms, if terms are rewritten.
    pub fn terms(&self) -> Option<&Terms> {
        match &self.language {
            RewriteLanguage::Terms { terms, .. } => Some(terms),
            RewriteLanguage::Words { .. } => None,
        }
    }

    /// The same with further terms and without pairs; none if no terms are rewritten.
    pub(crate) fn with_terms(&self, terms: Terms) -> Option<Self> {
        match self.language {
            RewriteLanguage::Terms { variable, .. } => {
                Some(self.with_language(RewriteLanguage::Terms { terms, variable }))
            }
            RewriteLanguage::Words { .. } => None,
        }
    }

    /// The same with a language of the same kind, and without pairs.
    fn with_language(&self, language: RewriteLanguage) -> Self {
        Self { language, coding: self.coding, pairs: Vec::new() }
    }

    /// What the slots of a graph stand for.
    ///
    /// # Errors
    /// If they stand for nothing.
    pub fn decode(&self, graph: usize, slots: Vec<Slot>) -> Result<OrderedDag, InvalidRewrite> {
        let source = self.pairs.get(graph).map(|pair| &pair.source).ok_or(InvalidRewrite::NoAnswer)?;
        let rewrite = Rewrite::new(self.coding.layout, source.len(), slots).map_err(|_| InvalidRewrite::NoAnswer)?;
        self.language.decode(source, &rewrite)
    }

    /// Number of features of a node: one for each label that occurs in training, two for others, and one for each tag.
    pub(crate) fn feature_width(&self) -> usize {
        self.coding.labels as usize + 2 + self.language.tags().map_or(0, |tags| tags.len())
    }

    /// The feature of a label or, if that does not occur in training, whether it is interchangeable. Models learn of unknown
    /// labels because some of those in training are hidden.
    pub(crate) fn feature(&self, label: u32, mut is_hidden: impl FnMut() -> bool) -> u32 {
        let is_interchangeable = self.language.is_interchangeable(label);
        match label < self.coding.labels && !(is_interchangeable && is_hidden()) {
            true => label,
            false => self.coding.labels + u32::from(is_interchangeable),
        }
    }

    fn encode(mut self, pairs: Vec<(RewritePair, Option<RewriteTarget>, Split)>) -> GraphData {
        let coding = self.coding;
        let mut set = GraphSet { node_offsets: vec![0], edge_offsets: vec![0], classes: 1, ..GraphSet::default() };
        let (mut offsets, mut features) = (vec![0], Vec::new());
        let (mut edges, mut places, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (pair, target, split)) in (0..).zip(pairs) {
            let (source, first) = (&pair.source, offsets.len() as u32 - 1);
            let mut random = RandomStream::new(Philox::new(0, HIDDEN, number));
            let hidden_one_in = self.language.hidden_one_in();
            let mut is_hidden = || split == Split::Train && random.below(hidden_one_in) == 0;
            for node in source.nodes() {
                features.push(self.feature(source.label(node), &mut is_hidden));
                features.extend(pair.tags.iter().map(|tag| coding.labels + 2 + tag));
                offsets.push(features.len());
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
                    None => targets.resize(targets.len() + coding.width(), coding::WRONG),
                }
            }
            set.node_offsets.push(offsets.len() - 1);
            set.edge_offsets.push(edges.len());
            set.labels.push(0);
            set.splits.push(split);
            self.pairs.push(pair);
        }
        let values = vec![1.0; features.len()];
        GraphData {
            nodes: offsets.len() - 1,
            features: Features::Sparse { width: self.feature_width(), offsets, indices: features, values },
            edges,
            edge_features: Some(DenseRows { width: 1, values: places }),
            targets: Some(DenseRows { width: coding.width(), values: targets }),
            graphs: Some(set),
            rewriting: Some(Arc::new(self)),
            ..GraphData::default()
        }
    }
}
