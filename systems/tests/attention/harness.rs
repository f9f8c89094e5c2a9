//! GraphPair of layers with their formulas, by the features of the edges as well.

use crate::common::{
    Given, Matrices, Passes, Scene,
    differences::{Case, EDGES, Expected, FORWARD, Formula, assert_near},
    numbers, run_layer,
};
use bevy_ecs::entity::Entity;
use connectome_components::Edge;
use connectome_systems::layers::Layer;
use ndarray::Array2;
use proptest::prelude::*;
use std::fmt::Debug;

/// Parameters of these shapes. Numbers are small enough that no share of attention is nearly 0.
pub fn parameters(case: &Case, shapes: &[(&str, (usize, usize))]) -> Matrices {
    let matrix = |(purpose, (name, shape)): (usize, &(&str, _))| {
        ((*name).to_owned(), 0.5 * numbers(case.seed, 10 + purpose as u32, *shape))
    };
    shapes.iter().enumerate().map(matrix).collect()
}

/// Features of the edges, so many for each; none for a width of 0.
pub fn give_edges(case: &Case, width: usize, parameters: &mut Matrices) {
    if width > 0 {
        parameters.insert(EDGES.to_owned(), numbers(case.seed, 9, (case.links.len(), width)));
    }
}

fn run_given(
    scene: &mut Scene,
    input: &Array2<f64>,
    given: &Matrices,
    layer: impl Layer + 'static,
    cotangent: &Array2<f64>,
) -> Passes {
    let mut parameters = given.clone();
    let edges = parameters.remove(EDGES);
    run_layer(scene, &Given { input: input.clone(), parameters, edges, sparse: false }, layer, cotangent).unwrap()
}

/// Compares a layer with its formula, forward and backward.
pub fn check(
    case: &Case,
    scene: &mut Scene,
    layer: impl Layer + Debug + 'static,
    given: &Matrices,
    formula: Formula,
) -> Result<(), TestCaseError> {
    let (name, input) = (format!("{layer:?}"), case.input());
    let cotangent = numbers(case.seed, 1, formula(&input, given).dim());
    let passes = run_given(scene, &input, given, layer, &cotangent);
    Expected::of(formula, &input, given, &cotangent).check(&name, &passes)
}

/// Compares a layer on a graph with one where edges lead to and from an entity that is no node.
pub fn check_dangling(
    case: &Case,
    width: usize,
    layer: impl Layer + Clone + 'static,
    given: &Matrices,
) -> Result<(), TestCaseError> {
    let mut scene = case.scene();
    let stranger = scene.world.spawn_empty().id();
    let node = scene.nodes[0];
    let endpoints: [[Entity; 2]; 3] = [[stranger, node], [node, stranger], [stranger, stranger]];
    let dangling = endpoints.map(|[source, target]| scene.world.spawn(Edge { source, target }).id());
    scene.edges.extend(dangling);
    let mut with_dangling = given.clone();
    if let Some(edges) = with_dangling.get_mut(EDGES) {
        let (known, width) = edges.dim();
        let more = numbers(case.seed, 8, (endpoints.len(), width));
        *edges =
            Array2::from_shape_fn((known + endpoints.len(), width), |(row, column)| match row.checked_sub(known) {
                Some(row) => more[[row, column]],
                None => edges[[row, column]],
            });
    }
    let input = case.input();
    let cotangent = numbers(case.seed, 1, (case.node_count, width));
    let plain = run_given(&mut case.scene(), &input, given, layer.clone(), &cotangent);
    let found = run_given(&mut scene, &input, &with_dangling, layer, &cotangent);
    assert_near("output", &found.output, &plain.output, FORWARD)?;
    assert_near("gradient of the input", &found.input.unwrap(), &plain.input.unwrap(), FORWARD)?;
    for (name, gradient) in &found.parameters {
        assert_near(&format!("gradient of the {name}"), gradient, &plain.parameters[name], FORWARD)?;
    }
    if let (Some(found), Some(plain)) = (found.edges, plain.edges) {
        let known = Array2::from_shape_fn(plain.dim(), |place| found[place]);
        assert_near("gradient of the edges", &known, &plain, FORWARD)?;
        prop_assert!(found.rows().into_iter().skip(plain.nrows()).flatten().all(|number| *number == 0.0), "{found}");
    }
    Ok(())
}
