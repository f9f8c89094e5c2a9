//! Dropout is done by the operation that computes its input, forward and backward: which operations are fused, that no bit
//! differs by it, and that gradients flow through the mask that was drawn.

use super::{Mode, Program, Value, assert_plan, bias, gradients::Record, moving, plan, program, weight};
use crate::common::{
    Given, Link, Matrices, Passes, Scene, Trial, Watch,
    differences::{Expected, FORWARD},
    numbers, random_matrices, relative_error,
};
use bevy_ecs::entity::Entity;
use connectome_components::Normalization;
use connectome_systems::{
    kernels::Activation,
    layers::BuildError,
    operators::{
        EdgeTerms, Reduction, Relation, activate, add, add_bias, aggregate, dropout, edge_dot, gather_endpoints,
        linear, linear_pair, mean_heads, reduce, weighted_sum,
    },
    program::{Domain, Shape},
};
use ndarray::Array2;

const RATE: f32 = 0.4;

/// What those of the elements that are retained are multiplied by: the rate is rounded to 16 bits.
const SCALE: f64 = 65536.0 / (65536.0 - 26214.0);

// --- as text ---

#[test]
fn a_map_its_activation_and_dropout_are_one_operation() {
    let (mut p, x) = moving(3);
    let (w, b, u) = (weight(&mut p, "w", [3, 2]), bias(&mut p, "b", 2), weight(&mut p, "u", [2, 2]));
    let y = linear(&mut p, x, &w, Some(&b)).unwrap();
    let y = activate(&mut p, y, Activation::Relu).unwrap();
    let y = dropout(&mut p, y, RATE).unwrap();
    let y = linear(&mut p, y, &u, None).unwrap();
    p.head("output", y);
    assert_plan(
        &p,
        Mode::Training,
        &[
            "%2 [nodes, 3] @0 = linear x v",
            "%8 [nodes, 2] @1 = linear + bias + relu + dropout %2 w b",
            "%9 [nodes, 2] @2 = linear %8 u",
            "d u [1, 4] = weight_gradient %8 %10",
            "%13 [nodes, 2] @4 = input_gradient + dropout_backward %10 u %8",
            "d b [1, 2] = bias_gradient %13",
            "d w [1, 6] = weight_gradient %2 %13",
            "%16 [nodes, 3] @0 = input_gradient %13 w",
            "d v [1, 9] = weight_gradient x %16",
        ],
    );
}

#[test]
fn without_an_activation_the_backward_pass_reads_the_gradient_alone() {
    let (mut p, x) = program(3);
    let w = weight(&mut p, "w", [3, 2]);
    let y = linear(&mut p, x, &w, None).unwrap();
    let y = dropout(&mut p, y, RATE).unwrap();
    p.head("output", y);
    assert_plan(
        &p,
        Mode::Training,
        &[
            "%3 [nodes, 2] @0 = linear + dropout x w",
            "%5 [nodes, 2] @1 ~= dropout_backward",
            "d w [1, 6] = weight_gradient x %5",
        ],
    );
}

#[test]
fn dropout_is_an_operation_where_more_than_its_output_is_needed() {
    let is_fused = |activation, after: fn(&mut Program, [Value; 2])| {
        let (mut p, x) = program(3);
        let w = weight(&mut p, "w", [3, 2]);
        let y = linear(&mut p, x, &w, None).unwrap();
        let y = activate(&mut p, y, activation).unwrap();
        let dropped = dropout(&mut p, y, RATE).unwrap();
        after(&mut p, [y, dropped]);
        plan(&p, Mode::Training).to_string().contains(" + dropout")
    };
    let output = |p: &mut Program, [_, dropped]: [Value; 2]| p.head("output", dropped);
    assert!(is_fused(Activation::Relu, output) && is_fused(Activation::LeakyRelu(0.2), output));
    // Their derivatives are computed from all of the output, or from the input.
    assert!(!is_fused(Activation::Tanh, output) && !is_fused(Activation::Gelu, output));
    // Somebody else reads it.
    assert!(!is_fused(Activation::Relu, |p, [y, dropped]| {
        let sum = add(p, [(y, 1.0), (dropped, 1.0)]).unwrap();
        p.head("output", sum);
    }));
    // What follows dropout is not done by the same operation.
    assert!(is_fused(Activation::Identity, |p, [_, dropped]| {
        let y = activate(p, dropped, Activation::Relu).unwrap();
        p.head("output", y);
        assert!(plan(p, Mode::Training).to_string().contains("= activate relu"));
    }));
}

// --- in numbers ---

#[test]
fn gradients_flow_through_the_mask_that_was_drawn() {
    let shapes = [("w", 3, 5), ("b", 1, 5), ("v", 5, 2)];
    let (input, cotangent, parameters) = (numbers(1, 0, (7, 3)), numbers(1, 1, (7, 2)), random_matrices(1, &shapes));
    for activation in [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.25)] {
        let layer = move |p: &mut Program, x: Value| {
            let (w, v) = (p.weight("w", [3, 5], None)?, p.weight("v", [5, 2], None)?);
            let b = bias(p, "b", 5);
            let y = linear(p, x, &w, Some(&b))?;
            let y = activate(p, y, activation)?;
            let y = dropout(p, y, RATE)?;
            p.keep(y);
            linear(p, y, &v, None)
        };
        let function = move |y: f64| match activation {
            Activation::Relu => y.max(0.0),
            Activation::LeakyRelu(slope) if y < 0.0 => f64::from(slope) * y,
            _ => y,
        };
        let given = Given { input: input.clone(), parameters: parameters.clone(), ..Given::default() };
        let mut scene = Scene::new(7, &[]);
        let trial = Trial::build(&mut scene, &given, |model| model.layer(Record(layer)), &cotangent).unwrap();
        let mut masks = Vec::new();
        for _ in 0..2 {
            let passes = trial.run(&mut scene).unwrap();
            let dropped = Watch.read(&scene, trial.model).unwrap();
            let mask = dropped.mapv(|value| if value == 0.0 { 0.0 } else { SCALE });
            let hidden = |x: &Array2<f64>, p: &Matrices| (x.dot(&p["w"]) + &p["b"]).mapv(function) * &mask;
            assert!(
                relative_error(&dropped, &hidden(&input, &parameters), 1.0) <= FORWARD,
                "{activation:?}: {dropped}"
            );
            let formula = |x: &Array2<f64>, p: &Matrices| hidden(x, p).dot(&p["v"]);
            let expected = Expected::of(&formula, &input, &parameters, &cotangent);
            let missing = expected.check_gradients(&format!("{activation:?}"), &passes).unwrap();
            assert!(missing.is_empty(), "{activation:?} has no gradients of {missing:?}");
            masks.push(mask);
        }
        assert_ne!(masks[0], masks[1], "the mask never changes");
    }
}

/// An operation that dropout is fused with, on a value of 6 features of the nodes.
type Record6 = fn(&mut Program, Value) -> Result<Value, BuildError>;

const OPERATIONS: [(&str, Record6); 6] = [
    ("linear", |p, x| {
        let (w, b) = (p.weight("w", [6, 5], None)?, bias(p, "b", 5));
        linear(p, x, &w, Some(&b))
    }),
    ("linear_pair", |p, x| {
        let [w, u] = [p.weight("w", [6, 5], None)?, p.weight("u", [6, 5], None)?];
        linear_pair(p, [(x, w), (x, u)], None)
    }),
    ("aggregate", |p, x| {
        let sums = aggregate(p, x, Normalization::Symmetric)?;
        let sum = add(p, [(sums, 0.75), (x, 0.5)])?;
        let b = bias(p, "b", 6);
        add_bias(p, sum, &b)
    }),
    ("gather_endpoints", |p, x| {
        gather_endpoints(p, EdgeTerms { source: Some((x, 1.5)), target: Some((x, -1.0)), edge: None })
    }),
    ("mean_heads", |p, x| mean_heads(p, x, 2)),
    ("weighted_sum", |p, x| {
        let weights = edge_dot(p, x, x)?;
        weighted_sum(p, x, weights)
    }),
];

/// An operation, an activation and dropout, and then a map to 2 features of the nodes. If it is also to be kept, what
/// dropout reads has a second reader. The first value that is kept is what dropout leaves.
fn record(
    p: &mut Program,
    x: Value,
    operation: Record6,
    activation: Activation,
    is_also_kept: bool,
) -> Result<Value, BuildError> {
    let y = operation(p, x)?;
    let y = activate(p, y, activation)?;
    let dropped = dropout(p, y, RATE)?;
    p.keep(dropped);
    if is_also_kept {
        p.keep(y);
    }
    let is_on_nodes = dropped.domain() == Domain::NODES;
    let dropped = if is_on_nodes { dropped } else { reduce(p, dropped, Relation::Edges, Reduction::Sum)? };
    let v = p.weight("v", [dropped.width(), 2], None)?;
    linear(p, dropped, &v, None)
}

/// The bits of what dropout leaves, and of all gradients.
fn bits(passes: &Passes, dropped: &Array2<f64>) -> Vec<u64> {
    let gradients = passes.input.iter().chain(passes.parameters.values());
    gradients.chain([dropped]).flatten().map(|number| number.to_bits()).collect()
}

#[test]
fn no_bit_differs_where_dropout_is_fused() {
    // Many blocks of rows, which begin in the midst of what is drawn at once.
    const NODES: usize = 3000;
    let link = |source: usize, target: usize| Link { source, target: target % NODES, weight: None };
    let links: Vec<Link> =
        (0..NODES).flat_map(|node| [link(node, 7 * node + 3), link(node, node * node + 1)]).collect();
    let cotangent = numbers(2, 1, (NODES, 2));
    let given = Given { input: numbers(2, 0, (NODES, 6)), ..Given::default() };
    for (name, operation) in OPERATIONS {
        for activation in [Activation::Identity, Activation::Relu, Activation::LeakyRelu(0.25)] {
            let [fused, alone] = [false, true].map(|is_also_kept| {
                let mut p = Program::new(Entity::PLACEHOLDER);
                let x = p.input("x", Shape::new(Domain::NODES, 6), true);
                let y = record(&mut p, x, operation, activation, is_also_kept).unwrap();
                p.head("output", y);
                let text = plan(&p, Mode::Training).to_string();
                assert_eq!(text.contains(" + dropout"), !is_also_kept, "{name}:\n{text}");
                assert_eq!(text.contains(" = dropout"), is_also_kept, "{name}:\n{text}");
                let layer = move |p: &mut Program, x| record(p, x, operation, activation, is_also_kept);
                let mut scene = Scene::new(NODES, &links);
                let trial = Trial::build(&mut scene, &given, |model| model.layer(Record(layer)), &cotangent).unwrap();
                let steps = [0; 2].map(|_| {
                    let passes = trial.run(&mut scene).unwrap();
                    bits(&passes, &Watch.read(&scene, trial.model).unwrap())
                });
                assert_ne!(steps[0], steps[1], "{name}: the mask never changes");
                steps
            });
            assert!(fused == alone, "{name} with {activation:?}: fused and alone differ");
        }
    }
}
