//! Graphs of text.

use connectome_languages::{
    LanguageEdge, Record, Records, SourceError, decode,
    text::{Inflection, TextGraph, TextOptions, TextUnit},
};
use connectome_systems::algorithms::ParallelGraph;
use proptest::prelude::*;

const UNITS: [TextUnit; 2] = [TextUnit::ScalarValue, TextUnit::GraphemeCluster];

fn graph(text: &str, unit: TextUnit) -> TextGraph {
    TextGraph::new(text, &TextOptions { unit, ..TextOptions::default() }).expect("it is short enough")
}

/// Checks that the bytes come back, and that the nodes cover them one after another.
fn check(text: &str) {
    for unit in UNITS {
        let graph = graph(text, unit);
        assert_eq!(graph.text(), text, "{unit:?}");
        let mut end = 0;
        for span in graph.graph().spans() {
            let span = span.expect("characters stand in the text");
            assert!(span.start == end && span.end > end, "{text:?}: {span:?} after {end}");
            end = span.end;
        }
        assert_eq!(end as usize, text.len());
        let chain: Vec<[u32; 2]> = (1..graph.character_count()).map(|node| [node - 1, node]).collect();
        assert_eq!(graph.graph().edges().collect::<Vec<_>>(), chain);
    }
}

/// Characters that join with others.
fn joining() -> impl Strategy<Value = char> {
    prop::sample::select(
        "\0\r\n\t e\u{301}\u{308}\u{200d}\u{200b}\u{fe0f}\u{feff}🇩🇪🇫👩👧🏽❤가\u{1100}\u{1161}\u{11a8}שלום\u{202e}\u{5b0}العربية\u{64b}हि\u{94d}क\u{e0067}"
            .chars()
            .collect::<Vec<_>>(),
    )
}

proptest! {
    #[test]
    fn text_comes_back(text in prop::collection::vec(prop_oneof![any::<char>(), joining()], 0..40)) {
        check(&text.into_iter().collect::<String>());
    }
}

#[test]
fn every_scalar_value_comes_back() {
    let all: String = ('\0'..=char::MAX).collect();
    assert_eq!(all.chars().count(), 0x11_0000 - 0x800);
    let graph = graph(&all, TextUnit::ScalarValue);
    assert_eq!(graph.graph().vocabulary().len(), 0x11_0000 - 0x800);
    assert!(graph.text() == all && self::graph(&all, TextUnit::GraphemeCluster).text() == all);
}

#[test]
fn grapheme_clusters_are_nodes() {
    let clusters = [
        ("", 0),
        ("\0", 1),
        ("\r\n", 1),
        // é in NFC and in NFD.
        ("\u{e9}", 1),
        ("e\u{301}", 1),
        // Two flags, a family, a skin tone.
        ("🇩🇪🇫🇷", 2),
        ("👨‍👩‍👧", 1),
        ("👋🏽", 1),
        ("שָׁלוֹם", 4),
        ("한국", 2),
        ("\u{1112}\u{1161}\u{11ab}", 1),
    ];
    for (text, expected) in clusters {
        check(text);
        assert_eq!(graph(text, TextUnit::GraphemeCluster).character_count(), expected, "{text:?}");
        assert_eq!(graph(text, TextUnit::ScalarValue).character_count() as usize, text.chars().count(), "{text:?}");
    }
}

#[test]
fn windows_and_tags_join_characters() {
    let options = TextOptions { window: 2, tags: vec!["PL".to_owned()], ..TextOptions::default() };
    let graph = TextGraph::new("abca", &options).expect("it is short");
    let edges = graph.graph().language_edges();
    let of = |relation: u32| edges.iter().filter(move |edge| edge.relation == relation);
    // Into b: a before it, c and a after it.
    let into_b: Vec<(u32, u32)> =
        of(TextGraph::WINDOW).filter(|edge| edge.target == 1).map(|edge| (edge.source, edge.position)).collect();
    assert_eq!(into_b, [(0, 1), (2, 2), (3, 3)]);
    assert_eq!(of(TextGraph::WINDOW).count(), 10);
    let tags: Vec<[u32; 2]> = of(TextGraph::TAG).map(|edge| [edge.source, edge.target]).collect();
    assert_eq!(tags, [[4, 0], [0, 4], [4, 1], [1, 4], [4, 2], [2, 4], [4, 3], [3, 4]]);
    assert_eq!((graph.graph().label(4), graph.text().as_str()), (Some("tag PL"), "abca"));
    assert_eq!(graph.graph().labels(), [0, 1, 2, 0, 3]);
    let next = LanguageEdge { source: 2, target: 3, relation: TextGraph::NEXT, position: 0 };
    assert_eq!(of(TextGraph::NEXT).next_back(), Some(&next));
    let alone = TextGraph::new("", &options).expect("it is short");
    assert_eq!((alone.graph().node_count(), alone.graph().edges().count()), (1, 0));
}

#[test]
fn windows_are_as_narrow_as_their_text() {
    let options = TextOptions { window: usize::MAX, ..TextOptions::default() };
    let graph = TextGraph::new("abc", &options).expect("it is short");
    assert_eq!(graph.graph().edges().count(), 2 + 6);
    let long = "a".repeat(1 << 20);
    assert_eq!(TextGraph::new(&long, &options), Err(SourceError::TooManyEdges { edges: ((2 << 20) - 1) << 20 }));
    assert_eq!(self::graph(&long, TextUnit::GraphemeCluster).character_count(), 1 << 20);
}

#[test]
fn the_first_byte_that_is_no_text_is_named() {
    assert_eq!(decode(b"ab\xff"), Err(SourceError::NotUtf8 { offset: 2, byte: 0xff }));
    assert_eq!(decode("é".as_bytes().split_last().unwrap().1), Err(SourceError::NotUtf8 { offset: 0, byte: 0xc3 }));
    // A surrogate.
    assert_eq!(decode(b"\xed\xa0\x80"), Err(SourceError::NotUtf8 { offset: 0, byte: 0xed }));
    assert_eq!(decode("\u{feff}a".as_bytes()), Ok("\u{feff}a"));
}

#[test]
fn inflections_are_read_line_by_line() {
    let file = "gehen\tging\tV;PST\r\n\nein\n\u{5d0}\t\u{5d1}\tN\nx\ty\tN;;PL\n\ty\tN\n";
    let read: Vec<_> = Records::new("words", file.as_bytes()).of::<Inflection>().collect();
    let expected = Inflection { lemma: "gehen".into(), form: "ging".into(), tags: vec!["V".into(), "PST".into()] };
    assert_eq!(read[0], Ok(expected));
    assert_eq!(read[2].as_ref().map(|word| word.lemma.as_str()), Ok("\u{5d0}"));
    let errors: Vec<String> = read.iter().filter_map(|one| one.as_ref().err().map(ToString::to_string)).collect();
    assert_eq!(
        errors,
        [
            "words:3: the line has 1 fields, not 3; write lemma, form and tags, parted by tabs",
            "words:5: a tag in \"N;;PL\" is empty; write tags parted by single semicolons",
            "words:6: the lemma is empty; write lemma, form and tags, parted by tabs",
        ]
    );
    let word = Inflection::parse("Haus\tHäuser\tN;PL").expect("it is right");
    let graph = word.graph(&TextOptions::default()).expect("it is short");
    assert_eq!((graph.character_count(), graph.graph().node_count()), (4, 6));
}

#[test]
fn files_that_cannot_be_read_are_errors() {
    for path in ["no such file", env!("CARGO_MANIFEST_DIR")] {
        let error = match Records::open(path.as_ref()) {
            Err(error) => error,
            Ok(records) => records.of::<Inflection>().next().expect("it is an error").unwrap_err(),
        };
        assert!(error.file == path && error.message.contains("cannot be read"), "{error}");
    }
    let broken: &[u8] = b"a\tb\tc\n\xff\n\na\tb\tc";
    let read: Vec<_> = Records::new("words", broken).of::<Inflection>().collect();
    let error = "words:2: byte 0 is 0xff, which is not UTF-8 there; save the text as UTF-8";
    assert!(read[0].is_ok() && read[2].is_ok() && read.len() == 3);
    assert_eq!(read[1].as_ref().map_err(ToString::to_string), Err(error.to_owned()));
}
