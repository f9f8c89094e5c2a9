//! Sums over neighbors that are multiplied while they are in the cache, and attention with self-loops alone that have features.

use super::{Mode, Program, Value, bias, gradients::Record, plan};
use crate::common::{Given, Link, Scene, Trial, differences::Expected, numbers, random_matrices};
use bevy_ecs::entity::Entity;
use connectome_components::Normalization;
use connectome_systems::{
    kernels::Activation,
    layers::BuildError,
    operators::{Attention, Relation, Scores, activate, add, aggregate, attend, linear, linear_pair, scale},
    program::{Domain, Shape},
};
use ndarray::{Array2, s};

/// The one whose gradients are summed and multiplied in one pass as well.
const SUMS_OF_A_MAP: &str = "a map of the sums of a map";

/// Maps of sums over neighbors, which are scaled by 1 if they are to be made apart.
type RecordSums = fn(&mut Program, Value, bool) -> Result<Value, BuildError>;

const MAPS: [(&str, RecordSums); 4] = [
    ("a map", |p, x, is_apart| {
        let sums = sums(p, x, Normalization::Symmetric, is_apart)?;
        let (w, b) = (p.weight("w", [x.width(), 5], None)?, bias(p, "b", 5));
        linear(p, sums, &w, Some(&b))
    }),
    ("a map of two values", |p, x, is_apart| {
        let sums = sums(p, x, Normalization::Mean, is_apart)?;
        let [w, v] = [p.weight("w", [x.width(), 5], None)?, p.weight("v", [x.width(), 5], None)?];
        linear_pair(p, [(x, w), (sums, v)], None)
    }),
    (SUMS_OF_A_MAP, |p, x, is_apart| {
        let w = p.weight("w", [x.width(), 70], None)?;
        let y = linear(p, x, &w, None)?;
        let y = activate(p, y, Activation::Relu)?;
        let y = if is_apart { scale(p, y, 1.0)? } else { y };
        let sums = sums(p, y, Normalization::Symmetric, is_apart)?;
        let v = p.weight("v", [70, 5], None)?;
        linear(p, sums, &v, None)
    }),
    ("a map that is added to the sums' own input", |p, x, is_apart| {
        let w = p.weight("w", [x.width(), 5], None)?;
        let y = linear(p, x, &w, None)?;
        let sums = sums(p, y, Normalization::Sum, is_apart)?;
        let v = p.weight("v", [5, 5], None)?;
        let z = linear(p, sums, &v, None)?;
        add(p, [(z, 0.5), (y, 2.0)])
    }),
];

fn sums(p: &mut Program, x: Value, normalization: Normalization, is_apart: bool) -> Result<Value, BuildError> {
    let sums = aggregate(p, x, normalization)?;
    if is_apart { scale(p, sums, 1.0) } else { Ok(sums) }
}

/// Many blocks of rows, of which some are cut again; a node with many neighbors, and some without any.
fn links(nodes: usize) -> Vec<Link> {
    let link = |source: usize, target: usize| Link { source: source % nodes, target, weight: None };
    let few = (0..nodes).filter(|node| node % 9 > 0).flat_map(|node| (0..node % 13).map(move |i| (node, i)));
    let few = few.map(|(node, i)| link(7 * node + 31 * i * i, node));
    let many = (0..nodes).map(|node| link(3 * node, nodes / 2));
    few.chain(many).collect()
}

#[test]
fn sums_have_the_same_bits_whether_they_are_multiplied_in_one_pass_or_not() {
    const NODES: usize = 1500;
    let cotangent = numbers(3, 1, (NODES, 5));
    for width in [3, 130] {
        let given = Given { input: numbers(3, 0, (NODES, width)), ..Given::default() };
        for (name, map) in MAPS {
            let [together, apart] = [false, true].map(|is_apart| {
                let mut p = Program::new(Entity::PLACEHOLDER);
                let x = p.input("x", Shape::new(Domain::NODES, width), true);
                let y = map(&mut p, x, is_apart).unwrap();
                p.head("output", y);
                for mode in [Mode::Training, Mode::Inference] {
                    assert_eq!(plan(&p, mode).to_string().contains("aggregate_linear"), !is_apart, "{name}");
                }
                let text = plan(&p, Mode::Training).to_string();
                let is_fused = !is_apart && name == SUMS_OF_A_MAP;
                assert_eq!(text.contains(" + input_gradient"), is_fused, "{name}:\n{text}");
                let layer = move |p: &mut Program, x| map(p, x, is_apart);
                let mut scene = Scene::new(NODES, &links(NODES));
                let trial = Trial::build(&mut scene, &given, |model| model.layer(Record(layer)), &cotangent).unwrap();
                let passes = trial.run(&mut scene).unwrap();
                let numbers = passes.gradients().into_values().chain([passes.output.clone()]);
                numbers.flat_map(|matrix| matrix.into_iter().map(f64::to_bits)).collect::<Vec<_>>()
            });
            assert!(together == apart, "{name} of {width} features: in one pass and apart differ");
        }
    }
}

#[test]
fn self_loops_have_features_where_edges_have_none() {
    const HEADS: usize = 2;
    let layer = |p: &mut Program, x: Value| {
        let [sources, loops] =
            [p.weight("s", [3, HEADS], None)?, p.weight("e", [3, HEADS], None)?].map(|w| linear(p, x, &w, None));
        let w = p.weight("w", [3, 2 * HEADS], None)?;
        let values = linear(p, x, &w, None)?;
        let scores = Scores::Decomposed { sources: sources?, targets: None, slope: 1.0 };
        let self_loop_edges = Some(loops?);
        let attention =
            Attention { heads: HEADS, scores, edges: None, add_self_loops: true, self_loop_edges, dropout: 0.0 };
        attend(p, values, attention, Relation::Neighbors, None)
    };
    let arcs = [(0, 1), (2, 1), (3, 1), (1, 0), (4, 4), (0, 3)];
    let formula = move |x: &Array2<f64>, p: &crate::common::Matrices| {
        let (sources, loops, values) = (x.dot(&p["s"]), x.dot(&p["e"]), x.dot(&p["w"]));
        let mut output = Array2::zeros((5, 2 * HEADS));
        for target in 0..5 {
            for head in 0..HEADS {
                let others = arcs.iter().filter(|(source, to)| *to == target && source != to);
                let others = others.map(|(source, _)| (*source, sources[[*source, head]].exp()));
                let own = (target, (sources[[target, head]] + loops[[target, head]]).exp());
                let terms: Vec<(usize, f64)> = others.chain([own]).collect();
                let total: f64 = terms.iter().map(|(_, weight)| weight).sum();
                let place = s![head * 2..(head + 1) * 2];
                let mut row = output.row_mut(target);
                let mut row = row.slice_mut(place);
                terms
                    .iter()
                    .for_each(|(source, weight)| row.scaled_add(weight / total, &values.row(*source).slice(place)));
            }
        }
        output
    };
    let shapes = [("s", 3, HEADS), ("e", 3, HEADS), ("w", 3, 2 * HEADS)];
    let (input, cotangent, parameters) =
        (numbers(4, 0, (5, 3)), numbers(4, 1, (5, 2 * HEADS)), random_matrices(4, &shapes));
    let given = Given { input: input.clone(), parameters: parameters.clone(), ..Given::default() };
    let links: Vec<Link> = arcs.map(|(source, target)| Link { source, target, weight: None }).to_vec();
    let mut scene = Scene::new(5, &links);
    let trial = Trial::build(&mut scene, &given, |model| model.layer(Record(layer)), &cotangent).unwrap();
    let passes = trial.run(&mut scene).unwrap();
    Expected::of(&formula, &input, &parameters, &cotangent).check("attention", &passes).unwrap();
}
