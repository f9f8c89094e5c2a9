//! Words and their inflected forms.

use connectome_components::Split;
use connectome_languages::{
    OrderedDag, Records, Vocabulary,
    rewriting::{EditCosts, RewriteTarget, SlotLabel, SlotLayout, align_sequences},
    text::{Alphabet, Inflection},
};
use std::{cmp::Reverse, collections::BTreeMap, fs, path::Path};

use super::error::Fault;
use super::locate::Step::{self, Field};
use crate::data::{GraphData, RewriteData, RewriteLanguage, RewritePair, known_tags, memory::available};
use crate::suggest::quote;

/// The most slots of a character.
const MAX_SLOTS: u32 = 64;

/// The most characters that can be written: as many as scripts have.
const MAX_ALPHABET: u32 = 1 << 16;

/// The targets of slots may take one part in this number of the memory: they are copied into tables that grow.
const PART_OF_MEMORY: usize = 4;

/// Where words with their forms are found.
const WHERE: &str = "put a file of lemmas, forms and tags there, such as german-train-high of the shared task CoNLL-SIGMORPHON 2017 \
                     (github.com/sigmorphon/conll2017, all/task1)";

/// The splits, and the fields that name their files.
const SPLITS: [(Split, &str); 3] = [(Split::Train, "train"), (Split::Validation, "validation"), (Split::Test, "test")];

/// The lemmas as graphs with the slots that make their forms, and notes on words without any.
pub(super) fn graphs(
    folder: &Path,
    (slots, size): (u32, u32),
    held_out: usize,
    files: [Option<&String>; 3],
) -> Result<(GraphData, Vec<String>), Fault> {
    for (name, count, most) in [("slots", slots, MAX_SLOTS), ("characters", size, MAX_ALPHABET)] {
        if !(1..=most).contains(&count) {
            return Err(Fault::new(field(name), format!("{name} is {count}"), format!("write 1 to {most}")));
        }
    }
    let limit = available() / PART_OF_MEMORY;
    let mut reader = Reader { folder, targets: slots as usize * (size as usize + 2), limit, left: limit };
    let mut words = Vec::new();
    for ((split, name), file) in SPLITS.into_iter().zip(files) {
        if let Some(file) = file {
            words.push((split, name, reader.words(file, name)?));
        }
    }
    let learned = || words.iter().filter(|(split, ..)| *split == Split::Train).flat_map(|(.., words)| words);
    let alphabet = Alphabet::new(ranked(learned(), slots), size);
    let sequences = |word: &Inflection| [&word.lemma, &word.form].map(|text| alphabet.sequence(text));
    let learned_from: Vec<[OrderedDag; 2]> = learned().map(sequences).collect();
    let costs = EditCosts::learn(learned_from.iter().map(|[source, target]| (source, target)), slots);
    drop(learned_from);
    let mut tags = Vocabulary::default();
    learned().flat_map(|word| &word.tags).for_each(|tag| _ = tags.add(tag));
    let (mut pairs, mut notes) = (Vec::new(), Vec::new());
    for (split, name, words) in words {
        let total = words.len();
        let (mut without, mut untagged) = (Counted::default(), Counted::default());
        for (number, word) in words.into_iter().enumerate() {
            let [source, target] = sequences(&word);
            let made = align_sequences(&source, &target, slots, &costs).ok().filter(|made| is_written(made, size));
            if made.is_none() {
                without.count(|| format!("{} -> {}", quote(&word.lemma), quote(&word.form)));
            }
            let (known, unknown) = known_tags(&tags, &word);
            if let Some(tag) = unknown.first() {
                untagged.count(|| quote(tag));
            }
            let is_held_out = split == Split::Train && is_chosen(number, held_out, total);
            let split = if is_held_out { Split::Validation } else { split };
            pairs.push((RewritePair { source, target, tags: known }, made, split));
        }
        if let Some(example) = without.example {
            let count = without.count;
            notes.push(format!(
                "no slots make the form of {count} of {total} words of `{name}`, which are measured only, such as {example}"
            ));
        }
        if let Some(example) = untagged.example {
            let count = untagged.count;
            notes.push(format!(
                "{count} of {total} words of `{name}` have tags that do not occur in training, such as {example}"
            ));
        }
    }
    if !pairs.iter().any(|(_, made, split)| *split == Split::Train && made.is_some()) {
        let help = "give words whose forms so many slots can make, and hold fewer of them out";
        return Err(Fault::new(field("train"), "there is no word to learn from", help));
    }
    let language = RewriteLanguage::Words { alphabet, tags };
    Ok((RewriteData::graphs(language, size, SlotLayout::sequence(slots), pairs), notes))
}

fn field(name: &'static str) -> [Step<'static>; 2] {
    [Field("graph"), Field(name)]
}

/// The characters of words, those first that slots write most often; of others the most frequent.
fn ranked<'a>(words: impl Iterator<Item = &'a Inflection>, slots: u32) -> impl Iterator<Item = char> {
    let every = Alphabet::default();
    let mut counts: BTreeMap<char, [u64; 2]> = BTreeMap::new();
    for word in words {
        let [source, target] = [&word.lemma, &word.form].map(|text| every.sequence(text));
        let made = align_sequences(&source, &target, slots, &EditCosts::default());
        let written = made.iter().flat_map(RewriteTarget::slots).filter_map(|slot| match slot.label {
            SlotLabel::Vocabulary(label) => every.character(label),
            SlotLabel::Null | SlotLabel::Keep | SlotLabel::Forward => None,
        });
        written.for_each(|character| counts.entry(character).or_default()[0] += 1);
        let all = word.lemma.chars().chain(word.form.chars());
        all.for_each(|character| counts.entry(character).or_default()[1] += 1);
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts.into_iter().map(|(character, _)| character)
}

/// Whether slots write only characters that they can.
fn is_written(made: &RewriteTarget, size: u32) -> bool {
    made.slots().iter().all(|slot| !matches!(slot.label, SlotLabel::Vocabulary(label) if label >= size))
}

/// Whether an item is one of `chosen` of `total` items that are spread evenly.
fn is_chosen(number: usize, chosen: usize, total: usize) -> bool {
    let before = |number: usize| number as u128 * chosen.min(total) as u128 / total.max(1) as u128;
    before(number + 1) > before(number)
}

/// Words that something is wrong with.
#[derive(Default)]
struct Counted {
    count: usize,
    example: Option<String>,
}

impl Counted {
    fn count(&mut self, example: impl FnOnce() -> String) {
        self.count += 1;
        self.example.get_or_insert_with(example);
    }
}

struct Reader<'a> {
    folder: &'a Path,
    /// Number of targets of a character.
    targets: usize,
    /// Bytes that all targets may take, and what is left of them.
    limit: usize,
    left: usize,
}

impl Reader<'_> {
    fn words(&mut self, file: &str, name: &'static str) -> Result<Vec<Inflection>, Fault> {
        let path = self.folder.join(file);
        let help =
            if fs::exists(&path).unwrap_or(false) { "mend or remove the line, or give another file" } else { WHERE };
        let fault = |error: &dyn std::fmt::Display| Fault::new(field(name), error.to_string(), help);
        let mut words = Vec::new();
        for word in Records::open(&path).map_err(|error| fault(&error))?.of::<Inflection>() {
            let word = word.map_err(|error| fault(&error))?;
            let targets = (word.lemma.chars().count() + 2).saturating_mul(self.targets);
            let Some(left) = self.left.checked_sub(targets.saturating_mul(size_of::<f32>())) else {
                let megabytes = self.limit / 1_000_000;
                let message = format!("the slots of all words take more than {megabytes} MB, a part of the memory");
                return Err(Fault::new(field(name), message, "write fewer slots or characters, or give fewer words"));
            };
            self.left = left;
            words.push(word);
        }
        Ok(words)
    }
}
