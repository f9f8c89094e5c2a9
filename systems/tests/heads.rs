//! A model has as many heads as it is given, and learns the sum of their losses.
//!
//! The reference is the same model with one head at a time: gradients of a sum are sums of gradients. A failure names the
//! parameter and by how much its gradient is off.

use crate::common;

use bevy_ecs::{component::Component, entity::Entity, world::World};
use common::{Scene, numbers, relative_error};
use connectome_components::{
    ClassLabel, Edge, Field, Graph, GraphNode, Loss, Metrics, Model, Optimizer, Parameter, Split, attach_fields,
};
use connectome_systems::{
    Evaluate, Head, Infer, ModelBuilder, Train,
    kernels::Activation,
    layers::{BuildError, Dropout, GcnConv, InnerProductDecoder, Linear, Readout},
    program::{Domain, Operator, Shape, Step, Value},
    run,
};
use ndarray::Array2;

const NODES: usize = 12;

/// Marks a pair of nodes that is to be told apart.
#[derive(Component)]
struct Pair;

/// A small graph with features, labels and splits.
fn scene() -> (Scene, Field) {
    let links: Vec<common::Link> =
        (0..NODES).map(|source| common::Link { source, target: (source * 5 + 1) % NODES, weight: None }).collect();
    let mut scene = Scene::new(NODES, &links);
    let input = scene.field("input", &numbers(1, 0, (NODES, 4))).unwrap();
    for (number, node) in scene.nodes.clone().into_iter().enumerate() {
        let split = if number % 4 == 3 { Split::Test } else { Split::Train };
        scene.world.entity_mut(node).insert((ClassLabel(number as u32 % 3), split));
    }
    (scene, input)
}

fn trunk(scene: &Scene, input: Field) -> ModelBuilder {
    ModelBuilder::new(scene.graph).input(input).seed(3).layer(GcnConv::new(5)).layer(Activation::Tanh)
}

fn learned(model: ModelBuilder) -> ModelBuilder {
    model.optimizer(Optimizer::sgd(0.0))
}

fn species() -> Head {
    Head::new("species").layer(Linear::new(3))
}

fn mass() -> Head {
    Head::new("mass").layer(Linear::new(2)).loss(Loss::MeanSquaredError)
}

fn parameter(world: &World, model: Entity, name: &str) -> Parameter {
    let parts = world.get::<Model>(model).unwrap();
    let mut parameters = parts.parameters.iter().filter_map(|parameter| world.get::<Parameter>(*parameter));
    parameters.find(|parameter| parameter.name == name).unwrap_or_else(|| panic!("there is no {name}")).clone()
}

fn gradient(world: &World, model: Entity, name: &str) -> Array2<f64> {
    let numbers = parameter(world, model, name).gradient.unwrap().matrix(world).row(0).to_vec();
    Array2::from_shape_fn((1, numbers.len()), |(_, column)| f64::from(numbers[column]))
}

fn set_parameter(world: &mut World, model: Entity, name: &str, seed: u64) {
    let value = parameter(world, model, name).value;
    let new = numbers(seed, 0, (1, value.width()));
    let mut matrix = value.matrix_mut(world).rows_mut();
    matrix.next().unwrap().iter_mut().zip(&new).for_each(|(number, new)| *number = *new as f32);
}

/// Gives the parameters that all models of a test share the same numbers, and the targets theirs; then trains once.
fn train(scene: &mut Scene, model: Entity, heads: &[&str]) {
    for (seed, name) in ["layers.0.lin.weight", "layers.0.bias"].into_iter().enumerate() {
        set_parameter(&mut scene.world, model, name, seed as u64);
    }
    for head in heads {
        for (seed, part) in ["weight", "bias"].into_iter().enumerate() {
            set_parameter(&mut scene.world, model, &format!("heads.{head}.0.{part}"), 9 + seed as u64);
        }
    }
    let nodes = scene.world.register_component::<GraphNode>();
    attach_fields(&mut scene.world, nodes);
    let targets: Vec<Field> =
        scene.world.get::<Model>(model).unwrap().heads.iter().filter_map(|head| head.targets).collect();
    for targets in targets {
        let new = numbers(77, 0, (NODES, targets.width()));
        for (node, row) in scene.nodes.clone().into_iter().zip(new.rows()) {
            let row: Vec<f32> = row.iter().map(|number| *number as f32).collect();
            targets.set(&mut scene.world, node, &row).unwrap();
        }
    }
    run(&mut scene.world, Train(model)).unwrap();
}

#[test]
fn the_gradient_of_several_heads_is_the_weighted_sum_of_theirs() {
    let (mut scene, input) = scene();
    let both = learned(trunk(&scene, input).head(species().weight(0.5)).head(mass().weight(3.0)));
    let both = both.build(&mut scene.world).unwrap();
    let alone = [species(), mass()].map(|head| {
        let model = learned(trunk(&scene, input).head(head));
        model.build(&mut scene.world).unwrap()
    });
    train(&mut scene, both, &["species", "mass"]);
    train(&mut scene, alone[0], &["species"]);
    train(&mut scene, alone[1], &["mass"]);
    for name in ["layers.0.lin.weight", "layers.0.bias"] {
        let found = gradient(&scene.world, both, name);
        let expected = 0.5 * gradient(&scene.world, alone[0], name) + 3.0 * gradient(&scene.world, alone[1], name);
        let error = relative_error(&found, &expected, 1e-6);
        assert!(error < 1e-5, "{name} is off by {error:e}");
    }
    for (head, model, weight) in [("species", alone[0], 0.5), ("mass", alone[1], 3.0)] {
        let name = format!("heads.{head}.0.weight");
        let error = relative_error(
            &gradient(&scene.world, both, &name),
            &(weight * gradient(&scene.world, model, &name)),
            1e-6,
        );
        assert!(error < 1e-5, "{name} is off by {error:e}");
    }
    let metrics = |model| scene.world.get::<Metrics>(model).unwrap();
    let [of_species, of_mass] = alone.map(|model| metrics(model).of(Split::Train).loss());
    assert_eq!(metrics(both).head("species").unwrap().of(Split::Train).loss(), of_species);
    assert_eq!(metrics(both).head("mass").unwrap().of(Split::Train).loss(), of_mass);
    let total = metrics(both).loss(Split::Train);
    assert!((total - 0.5 * of_species - 3.0 * of_mass).abs() < 1e-5, "{total}");
}

#[test]
fn the_short_form_is_the_one_head_output_to_the_bit() {
    let (mut scene, input) = scene();
    let short = trunk(&scene, input).layer(Linear::new(3)).loss(Loss::CrossEntropy);
    let short = learned(short).build(&mut scene.world).unwrap();
    let long = learned(trunk(&scene, input).layer(Linear::new(3)).head(Head::new("output")));
    let long = long.build(&mut scene.world).unwrap();
    for model in [short, long] {
        set_parameter(&mut scene.world, model, "layers.2.weight", 4);
        train(&mut scene, model, &[]);
    }
    for name in ["layers.0.lin.weight", "layers.2.weight", "layers.2.bias"] {
        assert_eq!(gradient(&scene.world, short, name), gradient(&scene.world, long, name), "{name}");
    }
    let parts = scene.world.get::<Model>(short).unwrap();
    assert_eq!((&*parts.heads[0].name, parts.heads[0].output), ("output", parts.output));
}

#[test]
fn two_heads_on_the_same_value_add_their_gradients() {
    let (mut scene, input) = scene();
    let head = |name| Head::new(name).loss(Loss::MeanSquaredError);
    let one = learned(trunk(&scene, input).head(head("one"))).build(&mut scene.world).unwrap();
    let two = learned(trunk(&scene, input).head(head("one")).head(head("two"))).build(&mut scene.world).unwrap();
    for model in [one, two] {
        train(&mut scene, model, &[]);
    }
    let (found, single) =
        (gradient(&scene.world, two, "layers.0.lin.weight"), gradient(&scene.world, one, "layers.0.lin.weight"));
    assert!(relative_error(&found, &(2.0 * single), 1e-6) < 1e-5);
    let parts = scene.world.get::<Model>(two).unwrap();
    assert_eq!(parts.heads[0].output, parts.heads[1].output, "one value has one column");
}

#[test]
fn heads_end_on_nodes_subgraphs_and_pairs_of_another_graph_in_one_model() {
    let (mut scene, input) = scene();
    let pairs = Graph::of::<GraphNode, Pair>(&mut scene.world);
    for [source, target] in [[0, 1], [2, 5], [3, 4]] {
        scene.world.spawn((Edge { source: scene.nodes[source], target: scene.nodes[target] }, Pair));
    }
    scene.divide(1, |_| 0);
    let model = trunk(&scene, input)
        .head(species())
        .head(Head::new("energy").layer(Readout::Sum).layer(Linear::new(1)).loss(Loss::MeanAbsoluteError))
        .head(
            Head::new("link").layer(Dropout(0.0)).layer(InnerProductDecoder { pairs }).loss(Loss::BinaryCrossEntropy),
        );
    let model = learned(model).build(&mut scene.world).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    let parts = scene.world.get::<Model>(model).unwrap();
    let rows = ["species", "energy", "link"].map(|head| parts.head(head).unwrap().output);
    assert_eq!(rows.map(|output| (output.matrix(&scene.world).row_count(), output.width())), [(12, 3), (1, 1), (3, 1)]);
}

#[test]
fn weights_of_rows_and_classes_weigh_the_mean() {
    let (mut scene, input) = scene();
    let nodes = scene.world.register_component::<GraphNode>();
    let weights = Field::register(&mut scene.world, "row weight", nodes, 1).unwrap();
    let weighted = species().row_weights(weights).class_weights([1.0, 2.0, 0.5]);
    let model = learned(trunk(&scene, input).head(weighted)).build(&mut scene.world).unwrap();
    attach_fields(&mut scene.world, nodes);
    let row_weight = |number: usize| [0.0, 1.0, 3.0][number % 2 + usize::from(number == 4)] as f32;
    for (number, node) in scene.nodes.clone().into_iter().enumerate() {
        weights.set(&mut scene.world, node, &[row_weight(number)]).unwrap();
    }
    train(&mut scene, model, &["species"]);
    let output = scene.world.get::<Model>(model).unwrap().output.matrix(&scene.world);
    let (mut sum, mut total) = (0.0, 0.0);
    for (number, logits) in output.rows().enumerate().filter(|(number, _)| number % 4 != 3) {
        let weight = f64::from(row_weight(number)) * [1.0, 2.0, 0.5][number % 3];
        let softmax = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>().ln();
        sum += weight * (softmax - f64::from(logits[number % 3]));
        total += weight;
    }
    let train = scene.world.get::<Metrics>(model).unwrap().of(Split::Train);
    assert!((f64::from(train.loss()) - sum / total).abs() < 1e-5, "{} and not {}", train.loss(), sum / total);
    let learned = (0..NODES).filter(|number| number % 4 != 3 && row_weight(*number) > 0.0).count();
    assert_eq!(train.count, learned as u64, "rows of weight 0 are not learned from");
    // The gradient by central differences of the same formula is that of every loss test; here the bias's suffices.
    let bias = gradient(&scene.world, model, "heads.species.0.bias");
    let mut expected = [0.0; 3];
    for (number, logits) in output.rows().enumerate().filter(|(number, _)| number % 4 != 3) {
        let weight = f64::from(row_weight(number)) * [1.0, 2.0, 0.5][number % 3] / total;
        let sum = logits.iter().map(|logit| f64::from(*logit).exp()).sum::<f64>();
        for class in 0..3 {
            let probability = f64::from(logits[class]).exp() / sum;
            expected[class] += weight * (probability - f64::from(u8::from(class == number % 3)));
        }
    }
    for class in 0..3 {
        assert!((bias[[0, class]] - expected[class]).abs() < 1e-5, "{bias} and not {expected:?}");
    }
}

#[test]
fn columns_of_values_have_weights_too() {
    let (mut scene, input) = scene();
    let only_second = learned(trunk(&scene, input).head(mass().class_weights([0.0, 1.0])));
    let only_second = only_second.build(&mut scene.world).unwrap();
    train(&mut scene, only_second, &["mass"]);
    let bias = gradient(&scene.world, only_second, "heads.mass.0.bias");
    assert!(bias[[0, 0]] == 0.0 && bias[[0, 1]] != 0.0, "{bias}");
}

#[test]
fn heads_tell_different_classes_of_the_same_rows_apart() {
    let (mut scene, input) = scene();
    let nodes = scene.world.register_component::<GraphNode>();
    let habitats = Field::<u32>::register(&mut scene.world, "habitat", nodes, 1).unwrap();
    let habitat = Head::new("habitat").layer(Linear::new(2)).targets(habitats);
    let model = learned(trunk(&scene, input).head(species()).head(habitat)).build(&mut scene.world).unwrap();
    attach_fields(&mut scene.world, nodes);
    for (number, node) in scene.nodes.clone().into_iter().enumerate() {
        habitats.set(&mut scene.world, node, &[number as u32 % 2]).unwrap();
    }
    run(&mut scene.world, Evaluate(model)).unwrap();
    let metrics = scene.world.get::<Metrics>(model).unwrap();
    let output = scene.world.get::<Model>(model).unwrap().head("habitat").unwrap().output;
    let rows = output.matrix(&scene.world);
    let correct = (0..NODES).filter(|row| row % 4 != 3).filter(|row| {
        let logits = rows.row(*row);
        usize::from(logits[1] > logits[0]) == row % 2
    });
    assert_eq!(metrics.head("habitat").unwrap().of(Split::Train).correct, correct.count() as u64);
}

#[test]
fn heads_that_cannot_be_are_refused_by_name() {
    let (mut scene, input) = scene();
    let mut refused = |model: ModelBuilder| learned(model).build(&mut scene.world).unwrap_err().to_string();
    let base = || ModelBuilder::new(scene.graph).input(input).layer(GcnConv::new(5));
    let message = refused(base().head(species()).head(species()));
    assert_eq!(message, "the head `species` has the name of another head; use distinct names");
    let message = refused(base().loss(Loss::CrossEntropy).head(species()));
    assert!(message.starts_with("the head `species` is given together with a loss"), "{message}");
    let message = refused(base().head(Head::new("a.b")));
    assert!(message.contains("a dot"), "{message}");
    let message = refused(base().head(species().class_weights([1.0])));
    assert!(message.contains("species") && message.contains("1 weights are given for 3"), "{message}");
    let message = refused(base().head(species().weight(f32::NAN)));
    assert!(message.contains("species") && message.contains("NaN"), "{message}");
    let message = refused(base().head(species().row_weights(input)));
    assert!(message.contains("species") && message.contains("have width 4"), "{message}");
    let nothing = ModelBuilder::new(scene.graph).input(input).layer(Activation::Relu).head(Head::new("species"));
    assert!(matches!(learned(nothing).build(&mut scene.world), Err(BuildError::Head { .. })));
}

/// The mean over all rows and columns of `(z - y)^2`, as a user writes it.
#[derive(Clone, Copy, Debug)]
struct Squared {
    gradients: usize,
}

impl Operator for Squared {
    fn name(&self) -> &'static str {
        "squared"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let gradient = Shape { width: self.gradients * inputs[0].width(), ..inputs[0].shape() };
        Ok(vec![gradient, Shape::new(Domain::Single, 1)])
    }

    fn run(&self, step: &mut Step<'_>) {
        let (output, target) = (step.input(0), step.input(1));
        let count = (output.row_count() * output.width()) as f32;
        let pairs = || output.rows().flatten().zip(target.rows().flatten());
        let sum: f32 = pairs().map(|(z, y)| (z - y) * (z - y)).sum();
        let gradients = step.output(0).rows_mut().flatten();
        gradients.zip(pairs()).for_each(|(gradient, (z, y))| *gradient = 2.0 * (z - y) / count);
        step.output(1).rows_mut().flatten().for_each(|loss| *loss = sum / count);
    }
}

#[test]
fn a_loss_of_the_users_own_is_an_operator() {
    let (mut scene, input) = scene();
    scene.nodes.iter().for_each(|node| {
        scene.world.entity_mut(*node).insert(Split::Train);
    });
    let own = Head::new("mass").layer(Linear::new(2)).operator_loss(Squared { gradients: 1 }).weight(0.5);
    let own = learned(trunk(&scene, input).head(own)).build(&mut scene.world).unwrap();
    let known = learned(trunk(&scene, input).head(mass().weight(0.5))).build(&mut scene.world).unwrap();
    for model in [own, known] {
        train(&mut scene, model, &["mass"]);
    }
    for name in ["layers.0.lin.weight", "heads.mass.0.bias"] {
        let error = relative_error(&gradient(&scene.world, own, name), &gradient(&scene.world, known, name), 1e-6);
        assert!(error < 1e-5, "{name} is off by {error:e}");
    }
    let loss = |model| scene.world.get::<Metrics>(model).unwrap().of(Split::Train).loss();
    assert!((loss(own) - loss(known)).abs() < 1e-5, "{} and not {}", loss(own), loss(known));
    // Nothing is known of its terms but their loss.
    let metrics = scene.world.get::<Metrics>(own).unwrap();
    assert_eq!(metrics.heads[0].values(Split::Train).map(|metric| metric.name).collect::<Vec<_>>(), ["loss"]);

    let wide = Head::new("mass").layer(Linear::new(2)).operator_loss(Squared { gradients: 2 });
    let refused = learned(trunk(&scene, input).head(wide)).build(&mut scene.world).unwrap_err().to_string();
    assert!(
        refused.contains("the operator squared writes [nodes, 4] and [1, 1]; write the gradient [nodes, 2]"),
        "{refused}"
    );
}
