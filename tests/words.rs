//! Words and their inflected forms: slots as outputs of a model, files, what a model learns of them, the command.

use connectome::{
    Trainer,
    components::Split,
    data::{Features, GraphData, RewriteData},
    scene::SceneFile,
    systems::Workers,
};
use std::{fmt::Write, fs, path::Path};

const SCENE: &str = r#"(
    name: "words",
    graph: Words(slots: 4, characters: 20, train: "train.tsv", test: "test.tsv"),
    model: [
        Embedding(width: 32),
        DagGru(width: 32, bidirectional: true),
        Linear(width: 64),
        Relu,
        Linear(width: 88),
    ],
    task: Rewriting,
    optimizer: Adam(learning_rate: 0.01),
    training: (epochs: 12, batch_size: 16, keep: Last),
)"#;

/// Invented words: the plural ends in `ka` after a word with `o`, else in `ke`; the definite form begins with `al-`; the past
/// loses its last letter.
fn words(first: usize, count: usize) -> String {
    const ONSETS: [&str; 7] = ["b", "d", "g", "l", "m", "n", "t"];
    const VOWELS: [&str; 3] = ["i", "o", "u"];
    let mut lines = String::new();
    for number in first..first + count {
        let syllable = |place: usize| {
            // No word occurs twice.
            let number = number * 7919 / 21_usize.pow(place as u32);
            format!("{}{}", ONSETS[number % 7], VOWELS[number / 7 % 3])
        };
        let lemma: String = (0..2 + number % 2).map(syllable).collect();
        let (form, tags) = match number % 4 {
            0 => (format!("{lemma}k{}", if lemma.contains('o') { "a" } else { "e" }), "N;PL"),
            1 => (format!("al-{lemma}"), "N;DEF"),
            2 => (format!("al-{lemma}k{}", if lemma.contains('o') { "a" } else { "e" }), "N;DEF;PL"),
            _ => (lemma[..lemma.len() - 1].to_owned(), "V;PST"),
        };
        writeln!(lines, "{lemma}\t{form}\t{tags}").unwrap();
    }
    lines
}

/// The graphs of a scene with this file to learn from, and notes; or the error.
fn load(change: (&str, &str), train: &str, test: &str) -> Result<(SceneFile, GraphData, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), change, train, test);
    SceneFile::load_with_notes(folder.path().join("words.ron")).map_err(|error| error.to_string())
}

fn write(folder: &Path, (from, to): (&str, &str), train: &str, test: &str) {
    assert!(SCENE.contains(from), "{from}");
    fs::write(folder.join("words.ron"), SCENE.replace(from, to)).unwrap();
    fs::write(folder.join("train.tsv"), train).unwrap();
    fs::write(folder.join("test.tsv"), test).unwrap();
}

const SAME: (&str, &str) = ("", "");

fn rewriting(data: &GraphData) -> &RewriteData {
    data.rewriting.as_ref().unwrap()
}

/// Outputs that are the targets choose right answers everywhere.
#[test]
fn the_slots_of_every_word_come_back_from_outputs_and_make_the_form() {
    let (_, data, notes) = load(SAME, &words(0, 50), &words(50, 20)).unwrap();
    assert!(notes.is_empty(), "{notes:?}");
    let RewriteData { coding, pairs, .. } = rewriting(&data);
    assert_eq!((coding.width(), pairs.len(), coding.arity), (88, 70, 0));
    let mut rows = data.targets.as_ref().unwrap().values.chunks_exact(coding.width());
    for (graph, pair) in pairs.iter().enumerate() {
        let slots = pair.source.nodes().flat_map(|_| coding.read(rows.next().unwrap(), 1)).collect();
        assert_eq!(rewriting(&data).decode(graph, slots).unwrap(), pair.target, "word {graph}");
    }
    assert!(rows.next().is_none());
    // The first word, of four letters between markers: a label and two tags each.
    let Features::Sparse { width, offsets, .. } = &data.features else { panic!("codes are sparse") };
    assert_eq!((*width, &offsets[..6]), (20 + 2 + 5, &[0, 3, 6, 9, 12, 15][..]));
    assert_eq!(data.edges[..6], [[0, 1], [1, 2], [2, 3], [3, 4], [4, 5], [6, 7]]);
}

#[test]
fn words_are_held_out_evenly_and_characters_do_not_depend_on_it() {
    let change = ("train: \"train.tsv\"", "train: \"train.tsv\", held_out: 10");
    let (_, all, _) = load(SAME, &words(0, 95), &words(95, 5)).unwrap();
    let (_, data, _) = load(change, &words(0, 95), &words(95, 5)).unwrap();
    let splits = &data.graphs.as_ref().unwrap().splits;
    let held: Vec<usize> = (0..100).filter(|word| splits[*word] == Split::Validation).collect();
    assert_eq!(held, [9, 18, 28, 37, 47, 56, 66, 75, 85, 94]);
    assert_eq!(splits.iter().filter(|split| **split == Split::Test).count(), 5);
    assert_eq!((data.features.width(), &data.targets), (all.features.width(), &all.targets));
}

#[test]
fn what_is_wrong_with_words_is_named() {
    let good = words(0, 8);
    let error = |change, train: &str| load(change, train, &good).unwrap_err();
    let wrong = error(("\"train.tsv\"", "\"none.tsv\""), &good);
    assert!(
        wrong.contains("none.tsv") && wrong.contains("CoNLL-SIGMORPHON 2017") && wrong.contains("words.ron:3:"),
        "{wrong}"
    );
    let wrong = error(SAME, &format!("{good}x\ty\n"));
    assert!(wrong.contains("train.tsv:9: the line has 2 fields"), "{wrong}");
    let long = "x".repeat(1 << 20);
    for line in [format!("{long}\ty\tN\n"), format!("y\t{long}\tN\n"), format!("x\ty\t{}N\n", "N;".repeat(1 << 19))] {
        let wrong = error(SAME, &line);
        assert!(wrong.contains("train.tsv:1: ") && wrong.contains("at most") && wrong.len() < 1_000, "{wrong}");
    }
    for (nothing, change) in
        [("", SAME), ("a\tabcdefghijklm\tN\n", SAME), (&*good, ("slots: 4", "slots: 4, held_out: 8"))]
    {
        let wrong = error(change, nothing);
        assert!(wrong.contains("no word to learn from"), "{wrong}");
    }
    for (from, to) in
        [("slots: 4", "slots: 0"), ("slots: 4", "slots: 65"), ("characters: 20", "characters: 4000000000")]
    {
        let wrong = error((from, to), &good);
        assert!(wrong.contains("write 1 to ") && wrong.contains("words.ron:3:"), "{wrong}");
    }
    let wrong = error(("width: 88", "width: 87"), &good);
    assert!(wrong.contains("write width: 88"), "{wrong}");
}

#[test]
fn forms_that_slots_cannot_make_and_new_tags_are_counted() {
    let test = "bado\tbadoxxxxx\tN;PL\nbado\tbadoж\tN;PL\nbado\tbadoka\tN;NEW;PL\nbadж\tbadжka\tN;PL\n";
    let (_, data, notes) = load(SAME, &words(0, 40), test).unwrap();
    let [forms, tags] = &notes[..] else { panic!("{notes:?}") };
    assert!(forms.contains("2 of 4 words of `test`") && forms.contains("\"badoxxxxx\""), "{forms}");
    assert!(tags.contains("1 of 4 words of `test`") && tags.contains("\"NEW\""), "{tags}");
    // What is unknown is kept.
    assert_eq!(rewriting(&data).pairs.len(), 44);
}

/// Every Unicode character, each in a word: the alphabet is as large as it may be, and the rest can be kept.
#[test]
fn any_number_of_characters_fits() {
    let every: Vec<char> = ('\u{21}'..='\u{d7ff}').filter(|character| !character.is_whitespace()).collect();
    let lines = every.chunks(100).map(|part| part.iter().collect::<String>());
    let lines: String = lines.map(|word| format!("{word}\t{word}x\tN\n")).collect();
    let (_, data, _) = load(SAME, &lines, &words(0, 3)).unwrap();
    assert_eq!(data.targets.as_ref().unwrap().width, 88);
    // 60 letters of 65,536 labels take 250 MB each word.
    let change = ("slots: 4, characters: 20", "slots: 16, characters: 65536");
    let wrong = load(change, &lines.repeat(20), &words(0, 3)).unwrap_err();
    assert!(wrong.contains("fewer slots or characters"), "{wrong}");
}

/// New stems, some of them with a character that never occurs in training.
#[cfg(feature = "cli")]
#[test]
fn a_rule_of_inflection_is_learned_and_the_command_applies_it() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), SAME, &words(0, 400), &words(400, 100));
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connectome"));
        let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, printed, told) = run(&["train", "words.ron", "--output", "run"]);
    assert!(code == Some(0) && printed.contains("test exact match 100.0"), "{printed}{told}");
    let weights = "run/weights.safetensors";
    let (code, printed, told) =
        run(&["rewrite", "words.ron", "--weights", weights, "miжo N;PL", "tugi DEF;N", "al tugi V;PST"]);
    assert_eq!((code, printed.as_str()), (Some(0), "miжoka\nal-tugi\nal tug\n"), "{told}");
    let (code, _, told) = run(&["rewrite", "words.ron", "--weights", weights, "tugi N;PI"]);
    assert!(code == Some(2) && told.contains("did you mean PL?"), "{told}");
    let (code, _, told) = run(&["rewrite", "words.ron", "--weights", weights, "tugi"]);
    assert!(code == Some(2) && told.contains("there are no tags"), "{told}");
    fs::write(folder.path().join("other.tsv"), "bogo\tbogoka\tN;PL\n").unwrap();
    let (code, printed, told) = run(&["evaluate", "words.ron", "--weights", weights, "--data", "other.tsv"]);
    assert!(
        code == Some(0) && printed.contains("of 1, invalid 0.0") && printed.contains("exact match 100.0"),
        "{printed}{told}"
    );
    let (code, _, told) = run(&["evaluate", "words.ron", "--weights", weights, "--data", "none.tsv"]);
    assert!(code == Some(2) && told.contains("none.tsv"), "{told}");
}

#[test]
fn words_are_learned_by_any_number_of_workers_alike() {
    let (scene, data, _) = load(("epochs: 12", "epochs: 2"), &words(0, 100), &words(100, 30)).unwrap();
    let run = |workers| {
        let mut trainer = Trainer::new(&scene, &data, 0, Workers::new(workers).unwrap()).unwrap();
        let metrics = trainer.train(|_| {}).unwrap().metrics;
        (metrics, trainer.weights(), trainer.rewrite(&[Split::Test]).unwrap())
    };
    let expected = run(1);
    assert!(run(3) == expected, "3 workers give other bits");
}
