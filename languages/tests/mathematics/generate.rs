//! Random pairs.

use std::collections::HashSet;

use connectome_languages::mathematics::{Generator, GeneratorError, Operation, Terms, Transformation};

use super::transform::derive;

fn generate(generator: &Generator, transformation: &Transformation, count: usize) -> (Terms, Vec<[String; 2]>) {
    let mut terms = Terms::default();
    let pairs = generator.pairs(&mut terms, transformation, count, &[]).unwrap();
    let texts = pairs.iter().map(|pair| [pair.source, pair.target].map(|term| terms.prefix(term).unwrap())).collect();
    (terms, texts)
}

#[test]
fn pairs_are_distinct_in_range_and_right() {
    for (depths, nodes) in [(2..=5, 30), (7..=10, 60), (0..=2, 12)] {
        let generator = Generator::new(7, depths.clone());
        assert_eq!(generator.max_nodes, nodes);
        for transformation in [Transformation::Simplify, derive()] {
            let (mut terms, pairs) = generate(&generator, &transformation, 300);
            assert_eq!(pairs.iter().map(|[source, _]| source).collect::<HashSet<_>>().len(), 300);
            for [source, target] in &pairs {
                let source = terms.read_prefix(source).unwrap();
                let dag = terms.dag(source);
                assert!(depths.contains(&dag.depth()) && dag.tree_size() <= nodes as u64);
                let result = transformation.apply(&mut terms, source).unwrap();
                assert_eq!(&terms.prefix(result).unwrap(), target);
            }
        }
    }
}

#[test]
fn a_longer_list_begins_with_the_shorter_one_and_seeds_differ() {
    let generator = Generator::new(3, 2..=5);
    let (_, long) = generate(&generator, &Transformation::Simplify, 200);
    let (_, short) = generate(&generator, &Transformation::Simplify, 50);
    assert_eq!(short, long[..50]);
    let (_, other) = generate(&Generator { seed: 4, ..generator }, &Transformation::Simplify, 50);
    assert!(other.iter().filter(|pair| long.contains(pair)).count() < 5);
}

#[test]
fn excluded_sources_are_left_out() {
    let generator = Generator::new(3, 1..=3);
    let mut terms = Terms::default();
    let first = generator.pairs(&mut terms, &Transformation::Simplify, 100, &[]).unwrap();
    let excluded: Vec<_> = first.iter().map(|pair| pair.source).collect();
    let second = generator.pairs(&mut terms, &Transformation::Simplify, 100, &excluded).unwrap();
    assert!(second.iter().all(|pair| !excluded.contains(&pair.source)));
}

/// The same moments as 20,000 terms of an independent program: 12.57 nodes, 4.9 % simple already, and these shares of words.
#[test]
fn the_distribution_is_the_one_documented() {
    let generator = Generator::new(1, 2..=5);
    let mut terms = Terms::default();
    let count = 4_000;
    let pairs = generator.pairs(&mut terms, &Transformation::Simplify, count, &[]).unwrap();
    let simple = pairs.iter().filter(|pair| pair.source == pair.target).count() as f64 / count as f64;
    assert!((simple - SIMPLE).abs() < 0.012, "{simple}");
    let (mut words, mut shares) = (0.0, [0.0; SHARES.len()]);
    for pair in &pairs {
        for word in terms.prefix(pair.source).unwrap().split(' ') {
            words += 1.0;
            SHARES.iter().zip(&mut shares).for_each(|((name, _), share)| *share += f64::from(u8::from(*name == word)));
        }
    }
    assert!((words / count as f64 - NODES).abs() < 0.35, "{}", words / count as f64);
    for ((name, expected), found) in SHARES.iter().zip(shares) {
        let found = found / words;
        assert!((found - expected).abs() < 0.006, "{name}: {found}, not {expected}");
    }
}

/// Share of sources that are their own target.
const SIMPLE: f64 = 0.0582;
/// Mean number of words of a source.
const NODES: f64 = 12.584;
/// Shares of words.
const SHARES: [(&str, f64); 20] = [
    ("x", 0.1219),
    ("y", 0.0410),
    ("z", 0.0410),
    ("0", 0.0679),
    ("1", 0.0638),
    ("2", 0.0259),
    ("3", 0.0252),
    ("4", 0.0195),
    ("9", 0.0135),
    ("add", 0.1100),
    ("sub", 0.0850),
    ("mul", 0.1119),
    ("div", 0.0427),
    ("pow", 0.0440),
    ("neg", 0.0604),
    ("sin", 0.0147),
    ("cos", 0.0143),
    ("exp", 0.0143),
    ("ln", 0.0147),
    ("sqrt", 0.0147),
];

#[test]
fn what_cannot_be_generated_is_refused() {
    let mut terms = Terms::default();
    let mut generate = |generator: Generator| generator.pairs(&mut terms, &Transformation::Simplify, 1_000, &[]);
    let error = generate(Generator::new(1, 0..=0)).unwrap_err();
    let GeneratorError::Exhausted { found, .. } = error else { panic!("{error}") };
    // x, y, z and 0 to 9.
    assert_eq!(found, 13, "{error}");
    #[expect(clippy::reversed_empty_ranges, reason = "it is refused")]
    let reversed = Generator::new(1, 5..=2);
    assert_eq!(generate(reversed), Err(GeneratorError::NoDepth(5, 2)));
    let too_small = Generator { max_nodes: 4, ..Generator::new(1, 5..=5) };
    assert!(matches!(generate(too_small), Err(GeneratorError::Exhausted { found: 0, .. })));
    assert!(terms.operations().contains(&Operation::Number(9.into())));
}
