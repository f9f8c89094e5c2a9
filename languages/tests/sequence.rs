//! Slots of sequences make the target, whatever characters it consists of.

use connectome_languages::{
    OrderedDag,
    rewriting::{AlignmentError, EditCosts, RewriteTarget, SlotLabel, SlotLayout, align_sequences},
    text::Alphabet,
};
use proptest::prelude::*;

fn aligned(alphabet: &Alphabet, lemma: &str, form: &str, slots: u32) -> Result<RewriteTarget, AlignmentError> {
    align_sequences(&alphabet.sequence(lemma), &alphabet.sequence(form), slots, &EditCosts::default())
}

fn decoded(slots: &RewriteTarget, source: &OrderedDag) -> OrderedDag {
    slots.rewrite(|_| 0).concatenate(source)
}

/// What each character becomes, after what stands before the first; `=` is a character that is kept.
fn parts(lemma: &str, form: &str) -> Vec<String> {
    let alphabet = Alphabet::new(lemma.chars().chain(form.chars()), 64);
    let slots = aligned(&alphabet, lemma, form, 16).unwrap();
    let parts = slots.slots().chunks(16).map(|slots| {
        let labels = slots.iter().filter_map(|slot| match slot.label {
            SlotLabel::Keep => Some('='),
            SlotLabel::Vocabulary(label) => alphabet.character(label),
            SlotLabel::Null | SlotLabel::Forward => None,
        });
        labels.collect()
    });
    parts.collect()
}

/// Words of few letters, which are alike, and of any characters.
fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[ab]{0,8}", "[a-e]{0,12}", any::<String>().prop_map(|text| text.chars().take(20).collect())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn slots_of_any_words_make_the_form_or_are_too_few(lemma in word(), form in word(), slots in 1_u32..24, size in 0_u32..30) {
        let alphabet = Alphabet::new(lemma.chars().chain(form.chars()), size);
        let (source, target) = (alphabet.sequence(&lemma), alphabet.sequence(&form));
        prop_assert_eq!((alphabet.word(&source), alphabet.word(&target)), (lemma.clone(), form.clone()));
        let pairs = [(&source, &target), (&target, &target), (&target, &source)];
        let learned = EditCosts::learn(pairs.into_iter(), slots);
        for costs in [EditCosts::default(), learned] {
          match align_sequences(&source, &target, slots, &costs) {
            Ok(made) => {
                prop_assert_eq!(made.slots().len(), source.len() * slots as usize);
                let result = decoded(&made, &source);
                prop_assert_eq!(&alphabet.word(&result), &form);
                prop_assert_eq!(&result, &target.shared());
            }
            Err(error) => {
                prop_assert_eq!(error, AlignmentError::Slots { node: source.len() as u32 - 1 });
                prop_assert!(form.chars().count() > slots as usize * source.len());
            }
          }
        }
    }

    /// Every choice of slots is a word.
    #[test]
    fn any_slots_make_a_sequence(lemma in word(), labels in prop::collection::vec(0_u32..40, 4..80)) {
        let alphabet = Alphabet::new(lemma.chars(), 30);
        let source = alphabet.sequence(&lemma);
        let mut rewrite = aligned(&alphabet, &lemma, &lemma, 2).unwrap().rewrite(|_| 0);
        for (slot, label) in rewrite.slots_mut().iter_mut().zip(labels) {
            slot.label = match label {
                0 => SlotLabel::Null,
                1 => SlotLabel::Keep,
                2 => SlotLabel::Forward,
                label => SlotLabel::Vocabulary(label - 3),
            };
        }
        let result = rewrite.concatenate(&source);
        let [first, last] = alphabet.markers();
        let [start, made @ .., end] = result.labels() else { panic!("{result:?}") };
        prop_assert_eq!((*start, *end), (first, last));
        prop_assert!(!made.contains(&first) && !made.contains(&last) && made.len() <= 2 * source.len());
    }
}

#[test]
fn edits_are_few_and_stand_together_at_the_end() {
    assert_eq!(parts("Haus", "Häuser"), ["", "=", "ä", "=", "=", "er"]);
    assert_eq!(parts("maikkua", "maikkunut"), ["", "=", "=", "=", "=", "=", "=", "n", "ut"]);
    assert_eq!(parts("hablar", "habló"), ["", "=", "=", "=", "=", "ó", "", ""]);
    assert_eq!(parts("tobi", "tobebo"), ["", "=", "=", "=", "e", "bo"]);
    assert_eq!(parts("moler", "muelen"), ["", "=", "ue", "=", "=", "n", ""]);
    assert_eq!(parts("aa", "aaa"), ["", "=", "=", "a"]);
    assert_eq!(parts("sagen", "gesagt"), ["ge", "=", "=", "=", "t", "", ""]);
    assert_eq!(parts("", "ab"), ["", "ab"]);
    assert_eq!(parts("ab", ""), ["", "", "", ""]);
}

/// By few edits the prefix would replace the first consonant, which would be written behind it: each word had its own ending to
/// learn.
#[test]
fn learned_costs_keep_what_differs_from_word_to_word() {
    let alphabet = Alphabet::default();
    let consonant = |number: u32| char::from_u32(0x4e00 + number).unwrap();
    let pairs: Vec<[OrderedDag; 2]> = (0..400)
        .map(|number| (consonant(number), consonant((number + 5) % 400)))
        .map(|(one, other)| {
            [format!("{one}a{other}i"), format!("ta{one}{other}a")].map(|word| alphabet.sequence(&word))
        })
        .collect();
    let costs = EditCosts::learn(pairs.iter().map(|[source, target]| (source, target)), 3);
    let written = |[source, target]: &[OrderedDag; 2], costs: &EditCosts| {
        let made = align_sequences(source, target, 3, costs).unwrap();
        assert_eq!(decoded(&made, source), *target);
        let labels = made.slots().iter().filter_map(|slot| match slot.label {
            SlotLabel::Vocabulary(label) => alphabet.character(label),
            SlotLabel::Keep | SlotLabel::Null | SlotLabel::Forward => None,
        });
        labels.collect::<String>()
    };
    for pair in &pairs {
        assert_eq!(written(pair, &costs), "taa");
        assert_ne!(written(pair, &EditCosts::default()), "taa");
    }
}

/// What is too much for a marker goes to the characters beside it.
#[test]
fn parts_that_are_too_long_are_spread() {
    let alphabet = Alphabet::default();
    let (source, target) = (alphabet.sequence("ab"), alphabet.sequence("12345ab67890"));
    let made = align_sequences(&source, &target, 4, &EditCosts::default()).unwrap();
    let counts = made.slots().chunks(4).map(|slots| slots.iter().filter(|slot| slot.label != SlotLabel::Null).count());
    assert_eq!(counts.collect::<Vec<_>>(), [4, 2, 2, 4]);
    assert_eq!(made.slots().iter().filter(|slot| slot.label == SlotLabel::Keep).count(), 2);
    assert_eq!(decoded(&made, &source), target);
}

#[test]
fn what_slots_cannot_make_is_named() {
    let alphabet = Alphabet::new("ab".chars(), 2);
    assert_eq!(aligned(&alphabet, "a", "abbbbbb", 2), Err(AlignmentError::Slots { node: 2 }));
    assert_eq!(aligned(&alphabet, "a", "ab", 0), Err(AlignmentError::Slots { node: 2 }));
    let empty = OrderedDag::default();
    assert_eq!(align_sequences(&empty, &alphabet.sequence("a"), 1, &EditCosts::default()), Err(AlignmentError::Empty));
    let long = alphabet.sequence(&"a".repeat(5_000));
    assert!(matches!(
        align_sequences(&long, &long, 1, &EditCosts::default()),
        Err(AlignmentError::TooLarge { before: 5_002, .. })
    ));
    assert_eq!(SlotLayout::sequence(3).slots, 3);
}

#[test]
fn all_characters_have_labels() {
    let alphabet = Alphabet::new("hello".chars(), 3);
    assert_eq!((alphabet.characters().as_str(), alphabet.size()), ("hel", 3));
    let all = ('\0'..=char::MAX).map(|character| alphabet.label(character));
    let mut labels: Vec<u32> = all.chain(alphabet.markers()).collect();
    assert!(('\0'..=char::MAX).all(|character| alphabet.character(alphabet.label(character)) == Some(character)));
    assert_eq!(alphabet.markers().map(|marker| alphabet.character(marker)), [None; 2]);
    labels.sort_unstable();
    labels.dedup();
    assert_eq!(labels.len(), 0x11_0000 - 0x800 + 2);
    let padded = Alphabet::new("aa".chars(), 4);
    assert_eq!((padded.character(0), padded.character(1), padded.label('b')), (Some('a'), None, 4 + 'b' as u32));
}
