//! Graphs that are rewritten: slots as outputs of a model, what a model learns of them, pairs in files, the command.

use bevy_ecs::world::World;
use connectome::{
    Rename, Trainer, WorldTrainedExt,
    components::{EdgePosition, Graph, Split},
    data::{Features, GraphData, RewriteData, RewriteLanguage, RewritePair},
    languages::rewriting::{CommittedEdits, EntityDag, Rewrite, run_until_settled},
    scene::{GraphSource, SceneFile, SlotSource, TermPairs, TermRewrite, options},
    systems::{Infer, Workers, WorldModelExt, snapshot::Snapshot},
};
use std::fs;

const SCENE: &str = r#"(
    name: "terms",
    graph: Terms(
        rewrite: REWRITE,
        slots: SLOTS,
        train: Generated(count: 400, depths: (1, 4), seed: 1),
        validation: Generated(count: 50, depths: (1, 4), seed: 2),
        test: Generated(count: 100, depths: (2, 6), seed: 3),
    ),
    model: [
        JumpingKnowledge(blocks: [[Embedding(width: 32)], [TreeLevels(nn: (widths: [64, 32]), arity: 2)]]),
        Linear(width: WIDTH),
    ],
    task: Rewriting,
    optimizer: Adam(learning_rate: 0.01),
    training: (epochs: 15, batch_size: 16),
)"#;

fn scene(rewrite: &str) -> (SceneFile, GraphData) {
    scene_of(rewrite, "Rules")
}

fn scene_of(rewrite: &str, slots: &str) -> (SceneFile, GraphData) {
    let text = SCENE.replace("REWRITE", rewrite).replace("SLOTS", slots);
    let text = |width: usize| text.replace("WIDTH", &width.to_string());
    let error =
        SceneFile::parse(&text(1), "terms.ron").and_then(|scene| scene.read_graph(".")).unwrap_err().to_string();
    let (_, width) = error.split_once("write width: ").expect(&error);
    let width = width.split(|letter: char| !letter.is_ascii_digit()).next().unwrap().parse().unwrap();
    let scene = SceneFile::parse(&text(width), "terms.ron").unwrap();
    let data = scene.read_graph(".").unwrap();
    (scene, data)
}

fn rewriting(data: &GraphData) -> &RewriteData {
    data.rewriting.as_ref().unwrap()
}

/// Outputs that are the targets choose right answers everywhere.
#[test]
fn the_slots_of_every_pair_come_back_from_outputs_and_make_the_target() {
    for (rewrite, slots_of) in [("Simplify", "Rules"), ("Derive(\"x\")", "Rules"), ("Simplify", "Pairs")] {
        let (_, data) = scene_of(rewrite, slots_of);
        let (pairs, coding) = (&rewriting(&data).pairs, rewriting(&data).coding);
        let mut rows = data.targets.as_ref().unwrap().values.chunks_exact(coding.width());
        let (mut learned, set) = (0, data.graphs.as_ref().unwrap());
        for (graph, pair) in pairs.iter().enumerate() {
            let source = &pair.source;
            let slots = source.nodes().flat_map(|node| coding.read(rows.next().unwrap(), source.children(node).len()));
            let result = Rewrite::new(coding.layout, source.len(), slots.collect()).unwrap().decode(source);
            let has_new_label = pair.target.labels().iter().any(|label| *label >= coding.labels);
            // A pair that slots cannot express has no right outputs.
            let is_expressed = result.is_ok() || slots_of == "Rules";
            if is_expressed && (set.splits[graph] == Split::Train || !has_new_label && result.is_ok()) {
                assert_eq!(result.as_ref(), Ok(&pair.target.shared()), "{rewrite}, pair {graph}");
                learned += 1;
            }
        }
        assert!(learned > 500, "{rewrite}: {learned} of {}", pairs.len());
        assert!(rows.next().is_none());
    }
}

#[test]
fn terms_are_simplified_after_a_few_epochs_by_any_number_of_workers_alike() {
    let (scene, data) = scene("Simplify");
    let run = |workers| {
        let mut trainer = Trainer::new(&scene, &data, 0, Workers::new(workers).unwrap()).unwrap();
        let summary = trainer.train(|_| {}).unwrap();
        (summary.metrics, trainer.weights(), trainer.rewrite(&[Split::Test]).unwrap())
    };
    let (metrics, weights, (results, score)) = run(1);
    assert_eq!(results.iter().map(|result| result.graph).collect::<Vec<_>>(), (450..550).collect::<Vec<_>>());
    assert!(score.exact > 50 && score.exact + score.invalid <= 100, "{score:?}");
    assert_eq!(metrics.get(Split::Test, "exact_match"), Some(score.exact as f64 / 100.0));
    let wrong = (100 - score.exact - score.invalid) as u64;
    assert!(score.edits >= wrong && score.bounds == 0, "{score:?}");
    assert_eq!(metrics.get(Split::Test, "edit_distance"), Some(score.edits as f64 / wrong as f64));
    let accuracy = metrics.get(Split::Test, "accuracy").unwrap();
    let right = (score.labels[0] + score.addresses[0]) as f64 / (score.labels[1] + score.addresses[1]) as f64;
    assert!((accuracy - right).abs() < 1e-6, "{accuracy} and {right}");
    for workers in [2, 3, 8] {
        let (others, other_weights, other_results) = run(workers);
        assert!((&others, &other_weights) == (&metrics, &weights), "{workers} workers give other bits");
        assert_eq!(other_results, (results.clone(), score));
    }
}

/// A label that does not occur in training is kept by whoever keeps labels, and read as unknown.
#[test]
fn inputs_of_new_symbols_are_graphs_of_the_same_model() {
    let (scene, data) = scene("Simplify");
    let mut language = rewriting(&data).language.clone();
    let source = language.read("never_seen + 0").unwrap();
    let inputs = rewriting(&data).inputs(language, vec![source]);
    assert_eq!(inputs.features.width(), data.features.width());
    let Features::Sparse { indices, .. } = &inputs.features else { panic!("one-hot codes are sparse") };
    assert!(indices.contains(&(rewriting(&data).coding.labels + 1)), "{indices:?}");
    let mut trainer = Trainer::for_inference(&scene, inputs, Workers::single()).unwrap();
    let (results, score) = trainer.rewrite(&[Split::Test]).unwrap();
    assert_eq!((results.len(), score.graphs, score.labels, score.addresses), (1, 1, [0, 0], [0, 0]));
}

/// Reads a scene whose training pairs are in a file.
fn read(lines: &str, rewrite: TermRewrite) -> Result<(GraphData, SceneFile), String> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("pairs.jsonl"), lines).unwrap();
    let (mut scene, _) = scene("Simplify");
    let train = TermPairs::File("pairs.jsonl".to_owned());
    scene.graph = GraphSource::Terms { rewrite, slots: SlotSource::Rules, train, validation: None, test: None };
    match scene.read_graph(folder.path()) {
        Ok(data) => Ok((data, scene)),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn pairs_that_cannot_be_read_or_learned_are_named() {
    const GOOD: &str = "{\"source\":\"add x 0\",\"target\":\"x\"}\n";
    let simplify = |lines: &str| read(lines, TermRewrite::Simplify).unwrap_err();
    let error = simplify(&format!("{GOOD}\n{{\"source\":\"add x\",\"target\":\"x\"}}\n"));
    assert!(error.contains("pairs.jsonl:3: source:"), "{error}");
    let error = simplify(&format!("{GOOD}[1, 2]\n"));
    assert!(error.contains("pairs.jsonl:2:"), "{error}");
    for nothing in ["", "{\"source\":\"add x 0\",\"target\":\"y\"}\n"] {
        assert!(simplify(nothing).contains("no pair to learn from"), "{nothing}");
    }
    let error = read(GOOD, TermRewrite::Derive("2x".to_owned())).unwrap_err();
    assert!(error.contains("2x") && error.contains("Derive(\"x\")"), "{error}");
    let generated: TermPairs = options().from_str("Generated(count: 1000, depths: (1, 1), seed: 0)").unwrap();
    let (mut scene, _) = scene("Simplify");
    let GraphSource::Terms { train, .. } = &mut scene.graph else { panic!("{:?}", scene.graph) };
    *train = generated;
    let error = scene.read_graph(".").unwrap_err().to_string();
    assert!(error.contains("distinct terms") && error.contains("train"), "{error}");
}

#[test]
fn a_task_of_rewriting_needs_pairs() {
    let text = fs::read_to_string("assets/karate.ron").unwrap();
    let mut scene = SceneFile::parse(&text, "karate.ron").unwrap();
    scene.task = Some(connectome::task::Task::Rewriting);
    let error = scene.read_graph("assets").unwrap_err().to_string();
    assert!(error.contains("rewritten to") && error.contains("Terms("), "{error}");
}

/// A trained network rewrites the terms of a world as it does those of a scene, pass by pass, and nothing else of them.
#[test]
fn the_terms_of_a_world_are_rewritten_tick_by_tick() {
    let folder = tempfile::tempdir().unwrap();
    let (file, weights) = (folder.path().join("terms.ron"), folder.path().join("weights.safetensors"));
    let (scene, data) = scene("Simplify");
    fs::write(&file, scene.to_ron().unwrap()).unwrap();
    let mut trainer = Trainer::new(&scene, &data, 0, Workers::single()).unwrap();
    trainer.train(|_| {}).unwrap();
    connectome::output::write_weights(&weights, &trainer.weights(), Default::default()).unwrap();
    let rewriting = rewriting(&data);
    let mut terms = rewriting.terms().unwrap().clone();
    let texts = ["x + 0", "(never_seen + 0)*1", "y*1 + 0", "sin(x)", "x*(y + 0)"];
    let sources = texts.map(|text| {
        let term = terms.read_infix(text).unwrap();
        terms.dag(term)
    });
    let pairs = sources.iter().map(|source| RewritePair { source: source.clone(), ..RewritePair::default() });
    let language = RewriteLanguage::Terms { terms: terms.clone(), variable: None };
    let inputs = rewriting.inputs(language, pairs.collect());
    let mut trainer = Trainer::for_inference(&scene, inputs, Workers::single()).unwrap();
    trainer.load_weights(&weights, &[] as &[Rename]).unwrap();
    let expected = trainer.rewrite(&[Split::Test]).unwrap().0;

    let run = |workers: usize| {
        let mut world = World::new();
        world.insert_resource(Workers::new(workers).unwrap());
        let graph = Graph::spawn(&mut world);
        let roots = sources.each_ref().map(|source| {
            let nodes = EntityDag::spawn(source, &mut world, EntityDag::node, EntityDag::edge);
            nodes[nodes.len() - 1]
        });
        let model = world.spawn_rewriter(graph, &file, &weights, terms.clone(), rewriting).unwrap();
        let mut snapshot = Snapshot::new(graph).with_saved::<EdgePosition>();
        snapshot.take(&world).unwrap();
        let before = EntityDag::read(&mut world, graph).unwrap();
        assert_eq!(before.roots.iter().map(|root| before.nodes[*root as usize]).collect::<Vec<_>>(), roots);
        world.infer(model).unwrap();
        let first = world.get::<CommittedEdits>(graph).unwrap().clone();
        assert_eq!(first.refused, None);
        let after = EntityDag::read(&mut world, graph).unwrap();
        let settled = run_until_settled(&mut world, graph, Infer(model), 20).unwrap();
        assert!(settled.is_settled, "{settled:?}");
        let last = EntityDag::read(&mut world, graph).unwrap();
        snapshot.restore(&mut world).unwrap();
        assert_eq!(EntityDag::read(&mut world, graph).unwrap().dag, before.dag);
        (first.total, after, settled, last.dag)
    };
    let (counts, after, settled, last) = run(1);
    // Roots follow keys: a term whose root is new comes last.
    let found = after.roots.iter().map(|root| after.dag.reachable_from(*root).shared());
    let mut found: Vec<_> = found.map(|term| format!("{term:?}")).collect();
    let results = expected.iter().zip(&sources).map(|(rewritten, source)| match &rewritten.result {
        Ok(result) => format!("{result:?}"),
        Err(_) => format!("{:?}", source.shared()),
    });
    let mut results: Vec<String> = results.collect();
    found.sort();
    results.sort();
    assert_eq!(found, results);
    assert!(counts.despawned >= 4 && counts.invalid == expected.iter().filter(|one| one.result.is_err()).count());
    for workers in [2, 3] {
        assert_eq!(run(workers), (counts, after.clone(), settled, last.clone()), "{workers} workers");
    }
}

#[cfg(feature = "cli")]
#[test]
fn the_command_rewrites_terms_and_measures_other_pairs() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let (scene, _) = scene("Simplify");
    fs::write(folder.path().join("terms.ron"), scene.to_ron().unwrap()).unwrap();
    fs::write(folder.path().join("other.jsonl"), "{\"source\":\"add x 0\",\"target\":\"x\"}\n").unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connectome"));
        let output = command.args(arguments).current_dir(folder.path()).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, printed, told) = run(&["train", "terms.ron", "--output", "run"]);
    assert!(code == Some(0) && printed.contains("test exact match"), "{printed}{told}");
    let weights = "run/weights.safetensors";
    let (code, printed, told) = run(&["rewrite", "terms.ron", "--weights", weights, "x + 0", "y*1"]);
    assert_eq!((code, printed.as_str()), (Some(0), "x\ny\n"), "{told}");
    let drawn = ["--repeat", "3", "--picture", "terms.svg", "(x + 0)*1", "0"];
    let (code, printed, told) = run(&[&["rewrite", "terms.ron", "--weights", weights][..], &drawn].concat());
    assert_eq!((code, printed.as_str()), (Some(0), "x\n0\n"), "{told}");
    let picture = fs::read_to_string(folder.path().join("terms.svg")).unwrap();
    // Five nodes and what they become, a row for each term, with an arrow in each.
    assert_eq!((picture.matches("<rect x=").count(), picture.matches("url(#becomes)").count()), (8, 2), "{picture}");
    assert!(picture.contains(">mul</text>") && picture.ends_with("</svg>\n"), "{picture}");
    let (code, _, told) = run(&["rewrite", "terms.ron", "--weights", weights, "x +"]);
    assert!(code == Some(2) && told.contains("x +"), "{told}");
    let (code, printed, told) = run(&["evaluate", "terms.ron", "--weights", weights, "--data", "other.jsonl"]);
    assert!(code == Some(0) && printed.contains("exact match 100.0 % of 1,"), "{printed}{told}");
    fs::write(folder.path().join("wrong.jsonl"), "{\"source\":\"add x 0\",\"target\":\"y\"}\n").unwrap();
    let (code, printed, told) = run(&["evaluate", "terms.ron", "--weights", weights, "--data", "wrong.jsonl"]);
    assert!(code == Some(0) && printed.contains("exact match 0.0 % of 1,"), "{printed}{told}");
    assert!(printed.contains("edits to mend a wrong result 1.0000"), "{printed}");
    assert!(told.contains("no slots make the target of 1 of 1 pairs"), "{told}");
    let (code, _, told) = run(&["evaluate", "terms.ron", "--weights", weights, "--data", "none.jsonl"]);
    assert!(code == Some(2) && told.contains("none.jsonl"), "{told}");
}
