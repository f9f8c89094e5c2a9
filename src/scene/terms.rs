//! Terms of mathematics and what they are to be rewritten to.

use connectome_components::Split;
use connectome_languages::{
    mathematics::{Generator, Operation, Term, TermPair, Terms, Transformation},
    rewriting::{RewriteTarget, SlotLayout, align},
};
use std::path::Path;

use super::description::{SlotSource, TermPairs, TermRewrite};
use super::error::Fault;
use super::locate::Step::{self, Field};
use crate::data::{GraphData, RewriteData, RewriteLanguage, RewritePair};
use crate::suggest::quote;

/// The slots that are found from pairs alone: a node stands for one term, and makes two more at most.
const ALIGNED: SlotLayout = SlotLayout { slots: 3, roles: 1, result: 0, parts: 1 };

/// The splits, and the fields that name their pairs.
const SPLITS: [(Split, &str); 3] = [(Split::Train, "train"), (Split::Validation, "validation"), (Split::Test, "test")];

/// The sources as graphs with the slots that rewrite them, and notes on pairs without any.
pub(super) fn graphs(
    folder: &Path,
    rewrite: &TermRewrite,
    slots: SlotSource,
    sources: [Option<&TermPairs>; 3],
) -> Result<(GraphData, Vec<String>), Fault> {
    let transformation = match rewrite {
        TermRewrite::Simplify => Transformation::Simplify,
        TermRewrite::Derive(variable) => Transformation::Derive(variable.parse().map_err(|error| {
            let help = "write the symbol to derive by, such as Derive(\"x\")";
            Fault::new(field("rewrite"), format!("{error}"), help)
        })?),
    };
    let mut reader = Reader { folder, transformation, slots, terms: Terms::default(), sources: Vec::new(), labels: 0 };
    let (mut pairs, mut notes) = (Vec::new(), Vec::new());
    for ((split, name), source) in SPLITS.into_iter().zip(sources) {
        let Some(source) = source else { continue };
        let read = reader.pairs(source, name)?;
        let (mut without, mut example) = (0, None);
        let total = read.len();
        for pair in read {
            let target = reader.trace(pair);
            if target.is_none() {
                without += 1;
                example.get_or_insert(pair);
            }
            let [source, target_dag] = [pair.source, pair.target].map(|term| reader.terms.dag(term));
            pairs.push((RewritePair { source, target: target_dag, tags: Vec::new() }, target, split));
        }
        if split == Split::Train {
            reader.labels = reader.terms.operations().len() as u32;
        }
        if let Some(pair) = example {
            let [source, target] = [pair.source, pair.target].map(|term| shown(&reader.terms, term));
            notes.push(format!(
                "no slots make the target of {without} of {total} pairs of `{name}`, which are measured only, such as {source} -> \
                 {target}"
            ));
        }
    }
    if !pairs.iter().any(|(_, target, split)| *split == Split::Train && target.is_some()) {
        let message = "there is no pair to learn from";
        return Err(Fault::new(field("train"), message, "give pairs that the rules of `rewrite` make"));
    }
    let layout = reader.layout();
    let Reader { mut terms, transformation, labels, .. } = reader;
    let variable = match &transformation {
        Transformation::Simplify => None,
        Transformation::Derive(variable) => Some(terms.label(Operation::Symbol(variable.clone()))),
    };
    let language = RewriteLanguage::Terms { terms, variable };
    Ok((RewriteData::graphs(language, labels, layout, pairs), notes))
}

fn field(name: &'static str) -> [Step<'static>; 2] {
    [Field("graph"), Field(name)]
}

/// A term in a message.
fn shown(terms: &Terms, term: Term) -> String {
    terms.infix(term).map_or_else(|error| error.to_string(), |text| quote(&text).to_string())
}

struct Reader<'a> {
    folder: &'a Path,
    transformation: Transformation,
    slots: SlotSource,
    terms: Terms,
    /// The sources so far, none of which is generated again.
    sources: Vec<Term>,
    /// Number of labels that occur in training.
    labels: u32,
}

impl Reader<'_> {
    fn pairs(&mut self, source: &TermPairs, name: &'static str) -> Result<Vec<TermPair>, Fault> {
        let pairs = match source {
            TermPairs::File(file) => {
                TermPair::read_file(&mut self.terms, &self.folder.join(file)).map_err(|error| {
                    Fault::new(field(name), error.to_string(), "mend or remove the line, or give another file")
                })?
            }
            TermPairs::Generated { count, depths: (low, high), seed } => {
                let generator = Generator::new(*seed, *low..=*high);
                let pairs = generator.pairs(&mut self.terms, &self.transformation, *count, &self.sources);
                pairs.map_err(|error| Fault::new(field(name), format!("{error}"), "change count or depths"))?
            }
        };
        self.sources.extend(pairs.iter().map(|pair| pair.source));
        Ok(pairs)
    }

    fn layout(&self) -> SlotLayout {
        match self.slots {
            SlotSource::Rules => self.transformation.layout(),
            SlotSource::Pairs => ALIGNED,
        }
    }

    /// The slots that make the target of its source, if they can be found.
    fn trace(&mut self, pair: TermPair) -> Option<RewriteTarget> {
        if self.slots == SlotSource::Pairs {
            let [source, target] = [pair.source, pair.target].map(|term| self.terms.dag(term));
            return align(&source, &target, ALIGNED).ok();
        }
        let (target, slots) = self.transformation.trace(&mut self.terms, pair.source).ok()?;
        (target == pair.target).then_some(slots)
    }
}
