//! `inspect --json` says what `inspect` shows, and `docs/inspect.md` names each of its keys.

use serde_json::Value;
use std::{collections::BTreeSet, fs, process::Command};

fn inspect(scene: &str, options: &[&str]) -> String {
    let scene = format!("assets/{scene}.ron");
    let output =
        Command::new(env!("CARGO_BIN_EXE_connectome")).args(["inspect", &scene]).args(options).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn document(scene: &str, options: &[&str]) -> Value {
    let text = inspect(scene, &[options, &["--json"]].concat());
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a Vec<Value> {
    value.pointer(pointer).and_then(Value::as_array).unwrap_or_else(|| panic!("no list at {pointer} in {value}"))
}

/// An operation as `inspect` writes it.
fn line(operation: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let output = |value: &Value| {
        let column = if value["kind"] == "column" { format!(" @{}", value["index"]) } else { String::new() };
        format!("{} [{}, {}]{column}", text(&value["name"]), text(&value["domain"]), value["width"])
    };
    let outputs: Vec<String> = list(operation, "/writes").iter().map(output).collect();
    let inputs: String = list(operation, "/reads").iter().map(|value| format!(" {}", text(&value["name"]))).collect();
    let fused: Vec<String> = list(operation, "/fused").iter().map(text).collect();
    let by = match (operation["in_place_of"].is_null(), operation["accumulates"] == true) {
        (true, _) => "=",
        (_, true) => "+=",
        _ => "~=",
    };
    let rest = match (operation["on_change"] == true, operation["first_on_change"] == true) {
        (true, _) => "  (when an input changes)",
        (_, true) => "  (its first output when an input changes)",
        _ => "",
    };
    format!("{} {by} {}{inputs}{rest}", outputs.join(", "), fused.join(" + "))
}

#[test]
fn json_says_what_the_text_shows() {
    for scene in ["cora", "cora-gat", "mutag", "rooms", "citeseer-gcnii", "debian"] {
        let (text, document) = (inspect(scene, &[]), document(scene, &[]));
        let passes = ["/training/forward", "/training/backward", "/inference/forward"]
            .map(|pass| &document.pointer(pass).unwrap()["operations"]);
        let lines: Vec<String> =
            passes.into_iter().flat_map(|operations| operations.as_array().unwrap()).map(line).collect();
        let shown = text.lines().filter(|line| line.contains(" = ") || line.contains("+= ") || line.contains("~= "));
        let shown: Vec<&str> = shown.collect();
        assert_eq!(shown.len(), lines.len(), "{text}");
        for (shown, line) in shown.into_iter().zip(&lines) {
            assert!(shown.ends_with(&format!("  {line}")), "{shown} is not {line}");
        }
        let columns = list(&document, "/columns/shapes").len();
        assert!(text.contains(&format!("\ncolumns: {columns}, ")), "{columns} columns in {text}");
        for parameter in list(&document, "/parameters") {
            let [name, rows, columns] = ["/name", "/shape/0", "/shape/1"].map(|path| parameter.pointer(path).unwrap());
            let size = format!("{rows} x {columns}");
            let is_shown = |line: &&str| line.trim().starts_with(name.as_str().unwrap()) && line.ends_with(&size);
            assert!(text.lines().any(|line| is_shown(&line)), "{name} {size} is not in {text}");
        }
        let layers = list(&document, "/layers")
            .iter()
            .chain(list(&document, "/heads").iter().flat_map(|head| list(head, "/layers")));
        assert!(layers.map(|layer| layer.as_str().unwrap()).all(|layer| text.contains(layer)), "{text}");
        let systems = ["/training/phases", "/inference/phases"]
            .map(|phases| list(&document, phases).iter().flat_map(|phase| list(phase, "/systems")));
        for system in systems.into_iter().flatten() {
            assert!(text.contains(&format!("    {}\n", system["name"].as_str().unwrap())), "{system} is not in {text}");
        }
    }
}

/// Of a mixture the text shows the models of the document, which are those of the scene, and the picture draws them all.
#[test]
fn gate_and_experts_are_shown() {
    let (text, document) = (inspect("mutag-experts", &[]), document("mutag-experts", &[]));
    assert_eq!(document["mixture"]["choice"], "TopK(2)");
    let experts = list(&document, "/mixture/experts");
    assert_eq!(experts.iter().map(|expert| expert["numbers"].to_string()).collect::<Vec<_>>(), ["[0,1]", "[2]"]);
    let models = experts.iter().chain([&document["mixture"]["gate"], &document]);
    let mut operations = 0;
    for model in models {
        for pass in ["/training/forward", "/training/backward", "/inference/forward"] {
            for operation in list(model, &format!("{pass}/operations")) {
                assert!(text.contains(&line(operation)), "{operation} is not in {text}");
                operations += 1;
            }
        }
    }
    let shown = text.lines().filter(|line| line.contains(" = ") || line.contains("+= ") || line.contains("~= "));
    assert_eq!(shown.count(), operations);
    assert!(text.contains("experts 0 to 1: training, forward"), "{text}");
    // Each number of each model is counted, of experts that are built alike for all of them.
    let weights = |model: &Value| -> u64 {
        let sizes = list(model, "/parameters")
            .iter()
            .map(|parameter| list(parameter, "/shape").iter().map(|side| side.as_u64().unwrap()).product::<u64>());
        sizes.sum()
    };
    let of_experts = experts.iter().map(|expert| weights(expert) * list(expert, "/numbers").len() as u64);
    let all = of_experts.sum::<u64>() + weights(&document["mixture"]["gate"]) + weights(&document);
    assert!(
        text.lines().any(|line| line.trim().starts_with("together") && line.ends_with(&format!(" {all}"))),
        "{text}"
    );

    let folder = tempfile::tempdir().unwrap();
    for file in ["mixture.svg", "mixture.dot"].map(|name| folder.path().join(name)) {
        inspect("mutag-experts", &["--picture", file.to_str().unwrap()]);
        let picture = fs::read_to_string(&file).unwrap();
        for text in ["rows of experts 0 to 1", "rows of expert 2", "sum by weights", "loss", "weight_gradient"] {
            assert!(picture.contains(text), "{text} is not in {picture}");
        }
    }
}

#[test]
fn kinds_and_relations_are_shown() {
    let (text, document) = (inspect("debian", &["--infer"]), document("debian", &["--infer"]));
    let names = |list: &[Value]| list.iter().map(|of| of["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    let (kinds, relations) = (list(&document, "/graph/kinds"), list(&document, "/graph/relations"));
    assert_eq!(names(kinds), ["package", "maintainer", "source"]);
    assert_eq!((&kinds[2]["nodes"], &kinds[2]["feature_width"]), (&1246.into(), &300.into()));
    assert_eq!(names(relations), ["depends", "recommends", "suggests", "conflicts", "builds", "maintains"]);
    let builds = ["source", "target", "reverse"].map(|key| relations[4][key].as_str().unwrap());
    assert_eq!((builds, &relations[4]["edges"]), (["source", "package", "built_from"], &5161.into()));
    for line in [
        "  package: 5526 nodes (5 classes), features 2 wide, 11052 stored numbers",
        "  maintainer: 131 nodes, features 131 wide, 131 stored numbers",
        "  maintains: 953 edges from maintainer to source, back as maintained_by",
        "  splits      1122 train, 280 validation, 3273 test",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line} is not in {text}");
    }
    let domains: BTreeSet<&str> =
        list(&document, "/columns/shapes").iter().map(|shape| shape["domain"].as_str().unwrap()).collect();
    assert!(domains.contains("nodes of kind 2"), "{domains:?}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("debian.svg");
    inspect("debian", &["--picture", file.to_str().unwrap()]);
    assert!(fs::read_to_string(&file).unwrap().contains("nodes of kind 2"));
}

#[test]
fn operations_of_a_level_depend_on_none_of_it() {
    let document = document("rooms", &[]);
    for pass in ["/training/forward", "/training/backward", "/inference/forward"] {
        let pass = document.pointer(pass).unwrap();
        let (operations, levels) = (list(pass, "/operations"), list(pass, "/levels"));
        let indices = levels.iter().flat_map(|level| level.as_array().unwrap()).map(|index| index.as_u64().unwrap());
        let mut indices: Vec<u64> = indices.collect();
        indices.sort_unstable();
        assert_eq!(indices, (0..operations.len() as u64).collect::<Vec<u64>>());
        for level in levels {
            let of_level =
                || level.as_array().unwrap().iter().map(|index| &operations[index.as_u64().unwrap() as usize]);
            let names = |key| {
                of_level().flat_map(move |operation| list(operation, key)).map(|value| value["name"].as_str().unwrap())
            };
            let computed: BTreeSet<&str> = names("/writes").filter(|name| name.starts_with('%')).collect();
            assert!(names("/reads").all(|name| !computed.contains(name)), "{level}");
        }
    }
}

#[test]
fn one_plan_is_left_out() {
    let document = document("karate", &["--infer"]);
    assert!(document["training"].is_null() && document["inference"].is_object(), "{document}");
}

fn keys<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            found.insert(key);
            keys(value, found);
        }),
        Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn each_key_is_documented() {
    let documentation = fs::read_to_string("docs/inspect.md").unwrap();
    let documents = ["rooms", "mutag-experts", "debian"].map(|scene| document(scene, &[]));
    let mut found = BTreeSet::new();
    documents.iter().for_each(|document| keys(document, &mut found));
    let missing: Vec<&str> = found.into_iter().filter(|key| !documentation.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "docs/inspect.md does not name {missing:?}");
}
