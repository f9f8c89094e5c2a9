//! Metrics are those of their formulas, and those of batches can be merged.
//!
//! Each is computed here a second time from outputs and targets, row by row. A failure names the metric.

use crate::common;

use bevy_ecs::{entity::Entity, world::World};
use common::{Scene, numbers};
use connectome_components::{ClassLabel, Field, GraphNode, Loss, Metrics, Model, Optimizer, Split, attach_fields};
use connectome_systems::{Evaluate, Head, ModelBuilder, layers::Linear, run};

const NODES: usize = 90;

/// Nodes of which two thirds are of the training split, and a model with one head of each kind.
fn scene() -> (Scene, Entity) {
    let mut scene = Scene::new(NODES, &[]);
    let input = scene.field("input", &numbers(5, 0, (NODES, 4))).unwrap();
    for (number, node) in scene.nodes.iter().enumerate() {
        let split = if number % 3 == 0 { Split::Validation } else { Split::Train };
        scene.world.entity_mut(*node).insert((ClassLabel((number * number) as u32 % 4), split));
    }
    let head = |name, width, loss| Head::new(name).layer(Linear::new(width)).loss(loss);
    let model = ModelBuilder::new(scene.graph)
        .input(input)
        .head(head("class", 4, Loss::CrossEntropy))
        .head(head("labels", 3, Loss::BinaryCrossEntropy))
        .head(head("link", 1, Loss::BinaryCrossEntropy))
        .head(head("value", 2, Loss::MeanSquaredError))
        .optimizer(Optimizer::sgd(0.1));
    let model = model.build(&mut scene.world).unwrap();
    let nodes = scene.world.register_component::<GraphNode>();
    attach_fields(&mut scene.world, nodes);
    for head in ["labels", "link", "value"] {
        let targets = scene.world.get::<Model>(model).unwrap().head(head).unwrap().targets.unwrap();
        let given = numbers(7, 1, (NODES, targets.width()));
        for (node, row) in scene.nodes.clone().into_iter().zip(given.rows()) {
            let target = |number: &f64| if head == "value" { *number as f32 } else { f32::from(*number > 0.3) };
            let row: Vec<f32> = row.iter().map(target).collect();
            targets.set(&mut scene.world, node, &row).unwrap();
        }
    }
    run(&mut scene.world, Evaluate(model)).unwrap();
    (scene, model)
}

fn rows(world: &World, field: Field) -> Vec<Vec<f32>> {
    field.matrix(world).rows().map(<[f32]>::to_vec).collect()
}

/// Outputs and targets of the training rows.
fn pairs(scene: &Scene, model: Entity, head: &str) -> Vec<(Vec<f32>, Vec<f32>)> {
    let parts = scene.world.get::<Model>(model).unwrap().head(head).unwrap();
    let targets = parts.targets.map_or_else(
        || (0..NODES).map(|number| vec![(number * number % 4) as f32]).collect(),
        |targets| rows(&scene.world, targets),
    );
    let all = rows(&scene.world, parts.output).into_iter().zip(targets).enumerate();
    all.filter(|(number, _)| number % 3 != 0).map(|(_, pair)| pair).collect()
}

fn value(metrics: &Metrics, head: &str, split: Split, name: &str) -> f64 {
    let mut values = metrics.head(head).unwrap().values(split);
    let found = values.find(|value| value.name == name);
    found.unwrap_or_else(|| panic!("{head} has no {name}")).value
}

fn assert_near(what: &str, found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-5, "{what} is {found} and not {expected}");
}

/// F1 from counts of right, predicted and actual ones; none if there are none.
fn f1([correct, predicted, actual]: [usize; 3]) -> Option<f64> {
    let (precision, recall) = (correct as f64 / predicted as f64, correct as f64 / actual as f64);
    match (predicted + actual, correct) {
        (0, _) => None,
        (_, 0) => Some(0.0),
        _ => Some(2.0 * precision * recall / (precision + recall)),
    }
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let numbers: Vec<f64> = numbers.collect();
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

#[test]
fn classes_have_a_confusion_matrix_and_f1() {
    let (scene, model) = scene();
    let metrics = scene.world.get::<Metrics>(model).unwrap();
    let mut confusion = [[0usize; 4]; 4];
    for (logits, label) in pairs(&scene, model, "class") {
        let best = (0..4).rev().max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
        confusion[label[0] as usize][best] += 1;
    }
    let found: Vec<usize> =
        metrics.head("class").unwrap().confusion[Split::Train as usize].iter().map(|count| *count as usize).collect();
    assert_eq!(found, confusion.concat());
    let of = |class: usize| {
        let predicted = confusion.iter().map(|row| row[class]).sum();
        f1([confusion[class][class], predicted, confusion[class].iter().sum()])
    };
    assert_near("f1_macro", value(metrics, "class", Split::Train, "f1_macro"), mean((0..4).filter_map(of)));
    let accuracy = (0..4).map(|class| confusion[class][class]).sum::<usize>() as f64 / 60.0;
    assert_near("f1_micro", value(metrics, "class", Split::Train, "f1_micro"), accuracy);
    assert_near("accuracy", value(metrics, "class", Split::Train, "accuracy"), accuracy);
}

#[test]
fn several_labels_of_a_row_have_f1() {
    let (scene, model) = scene();
    let metrics = scene.world.get::<Metrics>(model).unwrap();
    let mut counts = [[0; 3]; 3];
    for (outputs, targets) in pairs(&scene, model, "labels") {
        for column in 0..3 {
            let (predicted, actual) = (outputs[column] > 0.0, targets[column] == 1.0);
            counts[column][0] += usize::from(predicted && actual);
            counts[column][1] += usize::from(predicted);
            counts[column][2] += usize::from(actual);
        }
    }
    let together = [0, 1, 2].map(|what| counts.iter().map(|column| column[what]).sum());
    assert_near("f1_micro", value(metrics, "labels", Split::Train, "f1_micro"), f1(together).unwrap());
    let macro_f1 = mean(counts.into_iter().filter_map(f1));
    assert_near("f1_macro", value(metrics, "labels", Split::Train, "f1_macro"), macro_f1);
}

#[test]
fn values_have_errors_and_r2() {
    let (scene, model) = scene();
    let metrics = scene.world.get::<Metrics>(model).unwrap();
    let pairs = pairs(&scene, model, "value");
    let terms: Vec<(f64, f64)> = pairs
        .iter()
        .flat_map(|(outputs, targets)| outputs.iter().zip(targets))
        .map(|(output, target)| (f64::from(*output), f64::from(*target)))
        .collect();
    let squares = mean(terms.iter().map(|(z, y)| (z - y).powi(2)));
    let center = mean(terms.iter().map(|(_, y)| *y));
    let spread = mean(terms.iter().map(|(_, y)| (y - center).powi(2)));
    let of = |name| value(metrics, "value", Split::Train, name);
    assert_near("mean_absolute_error", of("mean_absolute_error"), mean(terms.iter().map(|(z, y)| (z - y).abs())));
    assert_near("root_mean_squared_error", of("root_mean_squared_error"), squares.sqrt());
    assert_near("r2", of("r2"), 1.0 - squares / spread);
}

#[test]
fn what_is_not_measured_is_not_listed() {
    let (scene, model) = scene();
    let metrics = scene.world.get::<Metrics>(model).unwrap();
    let names =
        |head, split| -> Vec<&str> { metrics.head(head).unwrap().values(split).map(|value| value.name).collect() };
    assert_eq!(names("class", Split::Train), ["loss", "accuracy", "f1_micro", "f1_macro"]);
    assert_eq!(
        names("link", Split::Validation),
        ["loss", "accuracy", "f1_micro", "f1_macro", "area_under_curve", "average_precision"]
    );
    assert_eq!(names("value", Split::Train), ["loss", "mean_absolute_error", "root_mean_squared_error", "r2"]);
    assert_eq!(names("value", Split::Test), [""; 0]);
}

#[test]
fn metrics_of_two_halves_merged_are_those_of_the_whole() {
    let (mut scene, model) = scene();
    let whole = scene.world.get::<Metrics>(model).unwrap().clone();
    let mut merged = Metrics::default();
    for half in 0..2 {
        for (number, node) in scene.nodes.iter().enumerate() {
            let split = if number % 3 == 0 { Split::Validation } else { Split::Train };
            scene.world.entity_mut(*node).insert(if (number < 40) == (half == 0) { split } else { Split::Unused });
        }
        run(&mut scene.world, Evaluate(model)).unwrap();
        let metrics = scene.world.get_mut::<Metrics>(model).unwrap().into_inner();
        metrics.heads[0].add("halves", Split::Train, f64::from(half), 1.0);
        merged.merge(metrics);
    }
    for head in ["class", "labels", "link", "value"] {
        for split in [Split::Train, Split::Validation] {
            for expected in whole.head(head).unwrap().values(split) {
                assert_near(expected.name, value(&merged, head, split, expected.name), expected.value);
            }
        }
    }
    assert_near("the user's own metric", value(&merged, "class", Split::Train, "halves"), 0.5);
}
