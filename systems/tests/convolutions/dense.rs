//! What formulas are made of, dense and plain, and how layers are held to them.

use crate::common::{
    Given, Link, Matrices, Passes, Scene,
    differences::{BACKWARD, Case, EDGES, Expected, FORWARD, INPUT, assert_near},
    numbers, run_layer,
};
use bevy_ecs::entity::Entity;
use connectome_components::Edge;
use connectome_systems::{kernels::Activation, layers::Layer, operators::Reduction};
use ndarray::{Array2, Axis};
use proptest::prelude::*;

/// The graph of a case, with a dangling edge after the others if its seed is even.
pub fn scene_of(case: &Case) -> Scene {
    let mut scene = case.scene();
    if case.seed.is_multiple_of(2) {
        let stranger = scene.world.spawn_empty().id();
        let (inner, place) = (scene.nodes[0], case.seed / 2 % 3);
        let edge = match place {
            0 => Edge { source: inner, target: stranger },
            1 => Edge { source: stranger, target: inner },
            _ => Edge { source: stranger, target: Entity::PLACEHOLDER },
        };
        let edge = scene.world.spawn(edge).id();
        scene.edges.push(edge);
    }
    scene
}

/// Features of the edges, dangling ones included.
pub fn edge_features(case: &Case, width: usize) -> Array2<f64> {
    numbers(case.seed, 20, (scene_of(case).edges.len(), width))
}

/// Parameters of these names and shapes.
pub fn parameters(case: &Case, shapes: &[(&str, (usize, usize))]) -> Matrices {
    let numbered = shapes.iter().zip(30..);
    numbered.map(|((name, shape), purpose)| ((*name).to_owned(), numbers(case.seed, purpose, *shape))).collect()
}

/// Those of a linear map.
fn map_shapes(name: &str, inputs: usize, outputs: usize) -> [(String, (usize, usize)); 2] {
    [(format!("{name}.weight"), (inputs, outputs)), (format!("{name}.bias"), (1, outputs))]
}

pub fn map_parameters(case: &Case, maps: &[(&str, usize, usize)]) -> Matrices {
    let shapes: Vec<_> = maps.iter().flat_map(|(name, from, to)| map_shapes(name, *from, *to)).collect();
    let shapes: Vec<_> = shapes.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
    parameters(case, &shapes)
}

/// `given.parameters["name.weight"]` and `"name.bias"`, if there is one.
pub fn map(given: &Given, name: &str, input: &Array2<f64>) -> Array2<f64> {
    let product = input.dot(&given.parameters[&format!("{name}.weight")]);
    match given.parameters.get(&format!("{name}.bias")) {
        Some(bias) => product + bias,
        None => product,
    }
}

/// `A[target, source]`: how many edges there are.
pub fn adjacency(case: &Case) -> Array2<f64> {
    let mut adjacency = Array2::zeros((case.node_count, case.node_count));
    for link in &case.links {
        adjacency[[link.target, link.source]] += 1.0;
    }
    adjacency
}

/// Each edge's row of the node at one of its endpoints.
pub fn at_ends(case: &Case, nodes: &Array2<f64>, end: fn(&Link) -> usize) -> Array2<f64> {
    let rows: Vec<usize> = case.links.iter().map(end).collect();
    nodes.select(Axis(0), &rows)
}

/// One row for each group from those that are in it, by `choose` column by column; zeros where none are.
pub fn fold(rows: &Array2<f64>, groups: &[Option<usize>], count: usize, choose: impl Fn(&[f64]) -> f64) -> Array2<f64> {
    Array2::from_shape_fn((count, rows.ncols()), |(group, column)| {
        let members: Vec<f64> = groups
            .iter()
            .zip(rows.column(column))
            .filter(|(of, _)| **of == Some(group))
            .map(|(_, number)| *number)
            .collect();
        if members.is_empty() { 0.0 } else { choose(&members) }
    })
}

pub fn to_targets(case: &Case, edges: &Array2<f64>, choose: impl Fn(&[f64]) -> f64) -> Array2<f64> {
    let groups: Vec<_> = case.links.iter().map(|link| Some(link.target)).collect();
    fold(edges, &groups, case.node_count, choose)
}

pub fn total(numbers: &[f64]) -> f64 {
    numbers.iter().sum()
}

pub fn mean(numbers: &[f64]) -> f64 {
    total(numbers) / numbers.len() as f64
}

pub fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

pub fn smallest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::INFINITY, f64::min)
}

pub fn variance(numbers: &[f64]) -> f64 {
    let mean = mean(numbers);
    numbers.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / numbers.len() as f64
}

/// What one number is made of several.
pub type Choice = fn(&[f64]) -> f64;

pub const REDUCTIONS: [(Reduction, Choice); 4] =
    [(Reduction::Sum, total), (Reduction::Mean, mean), (Reduction::Max, largest), (Reduction::Min, smallest)];

/// Whether no two numbers of a column, other than equal ones, are close enough for their order to be in doubt.
pub fn are_apart(rows: &Array2<f64>) -> bool {
    rows.columns().into_iter().all(|column| {
        let mut sorted = column.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.windows(2).all(|pair| pair[0] == pair[1] || pair[1] - pair[0] > 1e-4)
    })
}

pub fn avoids_kink(numbers: &Array2<f64>) -> bool {
    numbers.iter().all(|number| number.abs() > 1e-4)
}

/// Output from input, features of edges, and parameters.
pub type Formula<'a> = &'a dyn Fn(&Given) -> Array2<f64>;

/// Compares the gradients of a layer with the differences of its formula.
pub fn check_gradients(
    name: &str,
    passes: &Passes,
    given: &Given,
    cotangent: &Array2<f64>,
    formula: Formula,
) -> Result<(), TestCaseError> {
    let formula = |arguments: &Matrices| formula(&Given::from_arguments(arguments));
    check_learned(name, passes, &Expected::new(given.arguments(), cotangent, formula))
}

/// Compares the gradients of a layer, which has them of all but statistics and indices.
fn check_learned(name: &str, passes: &Passes, expected: &Expected) -> Result<(), TestCaseError> {
    for missing in expected.check_gradients(name, passes)? {
        let is_given = (missing == INPUT && passes.input.is_none()) || (missing == EDGES && passes.edges.is_none());
        let is_statistic = missing.ends_with("eps") || missing.contains("running");
        prop_assert!(is_given || is_statistic, "{name} has no gradient of {missing}");
    }
    Ok(())
}

/// Compares a layer with its formula, forward and backward.
pub fn check(
    case: &Case,
    scene: &mut Scene,
    layer: impl Layer + std::fmt::Debug + 'static,
    given: &Given,
    formula: Formula,
) -> Result<(), TestCaseError> {
    let name = format!("{layer:?}");
    let cotangent = numbers(case.seed, 1, formula(given).dim());
    let passes = run_layer(scene, given, layer, &cotangent).unwrap();
    let formula = |arguments: &Matrices| formula(&Given::from_arguments(arguments));
    let expected = Expected::new(given.arguments(), &cotangent, formula);
    expected.check_output(&name, &passes.output)?;
    check_learned(&name, &passes, &expected)
}

/// The perceptron `name.0`, `name.2`, and so on, with this function between its maps.
pub fn perceptron(given: &Given, name: &str, input: &Array2<f64>, activation: Function) -> Array2<f64> {
    let mut signal = map(given, &format!("{name}0"), input);
    for place in (2..).step_by(2) {
        let next = format!("{name}{place}");
        if !given.parameters.contains_key(&format!("{next}.weight")) {
            break;
        }
        signal = map(given, &next, &signal.mapv(activation));
    }
    signal
}

pub fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

pub type Function = fn(f64) -> f64;

/// A function whose derivative is told from its output, and one whose derivative is not.
pub const SMOOTH: [(Activation, Function); 2] = [(Activation::Tanh, f64::tanh), (Activation::Silu, silu)];

/// `(X - mean) / sqrt(variance + 1e-5)` by the statistics of the rows.
pub fn normalized(input: &Array2<f64>) -> Array2<f64> {
    let mean = input.mean_axis(Axis(0)).unwrap();
    let variance = input.var_axis(Axis(0), 0.0);
    (input - &mean) / variance.mapv(|variance| (variance + 1e-5).sqrt())
}

/// Whether batch normalization does not blow up the rounding of floats.
pub fn varies(input: &Array2<f64>) -> bool {
    input.nrows() > 1 && input.var_axis(Axis(0), 0.0).iter().all(|variance| *variance > 0.05)
}

/// Compares a layer on a sparse signal with the same layer on the same numbers, dense.
pub fn check_sparse(
    case: &Case,
    layer: impl Layer + Clone + std::fmt::Debug + 'static,
    parameters: Matrices,
) -> Result<(), TestCaseError> {
    let cotangent = case.cotangent(case.output_width);
    let pass = |sparse: bool| -> Passes {
        let given = Given { input: case.sparse_input(), sparse, parameters: parameters.clone(), edges: None };
        run_layer(&mut scene_of(case), &given, layer.clone(), &cotangent).unwrap()
    };
    let (sparse, dense) = (pass(true), pass(false));
    assert_near(&format!("{layer:?}: output from sparse"), &sparse.output, &dense.output, FORWARD)?;
    prop_assert_eq!(sparse.parameters.len(), dense.parameters.len());
    for (name, gradient) in &sparse.parameters {
        let what = format!("{layer:?}: gradient of {name} from sparse");
        // Sums over many rows in another order.
        assert_near(&what, gradient, &dense.parameters[name], BACKWARD)?;
    }
    Ok(())
}
