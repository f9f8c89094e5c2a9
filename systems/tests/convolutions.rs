//! Convolutions, their parts and readouts compute what their formulas say, forward and backward, on any graph.
//!
//! As in `gradients.rs` each formula is written here a second time, dense and in 64-bit floats, and differentiated by
//! central differences. Half of the graphs have a dangling edge, which is to carry nothing.

mod common;

use bevy_ecs::entity::Entity;
use common::{
    Given, Matrices, Passes, Scene, Trial, Watch,
    differences::{BACKWARD, Case, FORWARD, assert_near, cases, differences},
    few_cases, numbers, run_layer,
};
use connectome_components::{Edge, InGraph, Subgraph};
use connectome_systems::{
    kernels::Activation,
    layers::{BatchNorm, Embedding, GinConv, GineConv, Layer, Mlp, Readout, SageConv},
    stages::Reduction,
};
use ndarray::{Array2, Axis};
use proptest::prelude::*;

/// The graph of a case, with a dangling edge after the others if its seed is even.
fn scene_of(case: &Case) -> Scene {
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
fn edge_features(case: &Case, width: usize) -> Array2<f64> {
    numbers(case.seed, 20, (scene_of(case).edges.len(), width))
}

/// Parameters of these names and shapes.
fn parameters(case: &Case, shapes: &[(&str, (usize, usize))]) -> Matrices {
    let numbered = shapes.iter().zip(30..);
    numbered.map(|((name, shape), purpose)| ((*name).to_owned(), numbers(case.seed, purpose, *shape))).collect()
}

/// Those of a linear map.
fn map_shapes(name: &str, inputs: usize, outputs: usize) -> [(String, (usize, usize)); 2] {
    [(format!("{name}.weight"), (inputs, outputs)), (format!("{name}.bias"), (1, outputs))]
}

fn map_parameters(case: &Case, maps: &[(&str, usize, usize)]) -> Matrices {
    let shapes: Vec<_> = maps.iter().flat_map(|(name, from, to)| map_shapes(name, *from, *to)).collect();
    let shapes: Vec<_> = shapes.iter().map(|(name, shape)| (name.as_str(), *shape)).collect();
    parameters(case, &shapes)
}

/// `given.parameters["name.weight"]` and `"name.bias"`, if there is one.
fn map(given: &Given, name: &str, input: &Array2<f64>) -> Array2<f64> {
    let product = input.dot(&given.parameters[&format!("{name}.weight")]);
    match given.parameters.get(&format!("{name}.bias")) {
        Some(bias) => product + bias,
        None => product,
    }
}

/// `A[target, source]`: how many edges there are.
fn adjacency(case: &Case) -> Array2<f64> {
    let mut adjacency = Array2::zeros((case.node_count, case.node_count));
    for link in &case.links {
        adjacency[[link.target, link.source]] += 1.0;
    }
    adjacency
}

/// Each edge's row of the node at one of its ends.
fn at_ends(case: &Case, nodes: &Array2<f64>, end: fn(&common::Link) -> usize) -> Array2<f64> {
    let rows: Vec<usize> = case.links.iter().map(end).collect();
    nodes.select(Axis(0), &rows)
}

/// One row for each group from those that are in it, by `choose` column by column; zeros where none are.
fn fold(rows: &Array2<f64>, groups: &[Option<usize>], count: usize, choose: impl Fn(&[f64]) -> f64) -> Array2<f64> {
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

fn to_targets(case: &Case, edges: &Array2<f64>, choose: impl Fn(&[f64]) -> f64) -> Array2<f64> {
    let groups: Vec<_> = case.links.iter().map(|link| Some(link.target)).collect();
    fold(edges, &groups, case.node_count, choose)
}

fn total(numbers: &[f64]) -> f64 {
    numbers.iter().sum()
}

fn mean(numbers: &[f64]) -> f64 {
    total(numbers) / numbers.len() as f64
}

fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn smallest(numbers: &[f64]) -> f64 {
    numbers.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Whether no two numbers of a column, other than equal ones, are close enough for their order to be in doubt.
fn are_apart(rows: &Array2<f64>) -> bool {
    rows.columns().into_iter().all(|column| {
        let mut sorted = column.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.windows(2).all(|pair| pair[0] == pair[1] || pair[1] - pair[0] > 1e-4)
    })
}

fn avoids_kink(numbers: &Array2<f64>) -> bool {
    numbers.iter().all(|number| number.abs() > 1e-4)
}

/// Output from input, features of edges, and parameters.
type Formula<'a> = &'a dyn Fn(&Given) -> Array2<f64>;

/// Compares the gradients of a layer with the differences of its formula.
fn check_gradients(
    name: &str,
    passes: &Passes,
    given: &Given,
    cotangent: &Array2<f64>,
    formula: Formula,
) -> Result<(), TestCaseError> {
    let loss = |given: &Given| (formula(given) * cotangent).sum();
    if let Some(gradient) = &passes.input {
        let expected = differences(&given.input, |input| loss(&Given { input: input.clone(), ..given.clone() }));
        assert_near(&format!("{name}: gradient of the input"), gradient, &expected, BACKWARD)?;
    }
    if let (Some(gradient), Some(edges)) = (&passes.edges, &given.edges) {
        let expected = differences(edges, |edges| loss(&Given { edges: Some(edges.clone()), ..given.clone() }));
        assert_near(&format!("{name}: gradient of the edges"), gradient, &expected, BACKWARD)?;
    }
    for (parameter, value) in &given.parameters {
        let Some(gradient) = passes.parameters.get(parameter) else {
            let is_statistic = parameter.ends_with("eps") || parameter.contains("running");
            prop_assert!(is_statistic, "{name} has no parameter {parameter}");
            continue;
        };
        let expected = differences(value, |value| {
            let mut moved = given.clone();
            moved.parameters.insert(parameter.clone(), value.clone());
            loss(&moved)
        });
        assert_near(&format!("{name}: gradient of {parameter}"), gradient, &expected, BACKWARD)?;
    }
    let known = passes.parameters.keys().all(|parameter| given.parameters.contains_key(parameter));
    prop_assert!(known, "{name} has parameters {:?}", passes.parameters.keys());
    Ok(())
}

/// Compares a layer with its formula, forward and backward.
fn check(
    case: &Case,
    scene: &mut Scene,
    layer: impl Layer + std::fmt::Debug + 'static,
    given: &Given,
    formula: Formula,
) -> Result<(), TestCaseError> {
    let name = format!("{layer:?}");
    let expected = formula(given);
    let cotangent = numbers(case.seed, 1, expected.dim());
    let passes = run_layer(scene, given, layer, &cotangent).unwrap();
    assert_near(&format!("{name}: output"), &passes.output, &expected, FORWARD)?;
    check_gradients(&name, &passes, given, &cotangent, formula)
}

/// The perceptron `name.0`, `name.2`, and so on, with this function between its maps.
fn perceptron(given: &Given, name: &str, input: &Array2<f64>, activation: fn(f64) -> f64) -> Array2<f64> {
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

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// A function whose derivative is told from its output, and one whose derivative is not.
const SMOOTH: [(Activation, fn(f64) -> f64); 2] = [(Activation::Tanh, f64::tanh), (Activation::Silu, silu)];

/// `(X - mean) / sqrt(variance + 1e-5)` by the statistics of the rows.
fn normalized(input: &Array2<f64>) -> Array2<f64> {
    let mean = input.mean_axis(Axis(0)).unwrap();
    let variance = input.var_axis(Axis(0), 0.0);
    (input - &mean) / variance.mapv(|variance| (variance + 1e-5).sqrt())
}

/// Whether batch normalisation does not blow up the rounding of floats.
fn varies(input: &Array2<f64>) -> bool {
    input.nrows() > 1 && input.var_axis(Axis(0), 0.0).iter().all(|variance| *variance > 0.01)
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn perceptrons_are_their_formula(case in cases(), hidden in 1..12usize) {
        for (activation, function) in SMOOTH {
            let (first, last) = (case.input_width, case.output_width);
            let maps = [("0", first, hidden), ("2", hidden, hidden + 1), ("4", hidden + 1, last)];
            let given = Given { input: case.input(), parameters: map_parameters(&case, &maps), ..Given::default() };
            let layer = Mlp::new([hidden, hidden + 1, last]).with_activation(activation);
            check(&case, &mut scene_of(&case), layer, &given, &|given| perceptron(given, "", &given.input, function))?;
        }
    }

    #[test]
    fn batch_norm_is_its_formula_in_training_and_outside_of_it(case in cases()) {
        prop_assume!(varies(&case.input()));
        let row = (1, case.input_width);
        let names = [("weight", row), ("bias", row), ("running_mean", row), ("running_var", row)];
        let mut given = Given { input: case.input(), parameters: parameters(&case, &names), ..Given::default() };
        given.parameters.get_mut("running_var").unwrap().mapv_inplace(|number| number.abs() + 0.5);
        let affine = |given: &Given, normalized: Array2<f64>| {
            normalized * &given.parameters["weight"] + &given.parameters["bias"]
        };
        let by_running = |given: &Given| {
            let scale = given.parameters["running_var"].mapv(|variance| (variance + 1e-5).sqrt());
            affine(given, (&given.input - &given.parameters["running_mean"]) / scale)
        };
        check(&case, &mut case.scene(), BatchNorm::new().frozen(), &given, &by_running)?;

        let by_batch = |given: &Given| affine(given, normalized(&given.input));
        let (mut scene, watch) = (case.scene(), Watch::default());
        let cotangent = case.cotangent(case.input_width);
        let build = |model: connectome_systems::ModelBuilder| model.layer(BatchNorm::new()).layer(watch.clone());
        let trial = Trial::build(&mut scene, &given, build, &cotangent).unwrap();
        let passes = trial.run(&mut scene).unwrap();
        assert_near("output", &passes.output, &by_running(&given), FORWARD)?;
        assert_near("output in training", &watch.read(&scene).unwrap(), &by_batch(&given), FORWARD)?;
        check_gradients("batch norm", &passes, &given, &cotangent, &by_batch)?;
        let statistics = [
            ("running_mean", case.input().mean_axis(Axis(0)).unwrap()),
            ("running_var", case.input().var_axis(Axis(0), 1.0)),
        ];
        for (name, batch) in statistics {
            let expected = 0.9 * &given.parameters[name] + 0.1 * batch;
            assert_near(name, &statistic(&scene, trial.model, name), &expected, FORWARD)?;
        }
    }

    #[test]
    fn perceptrons_with_batch_norm_are_their_formula(case in cases(), hidden in 1..9usize) {
        let row = (1, hidden);
        let mut given = Given { input: case.input(), ..Given::default() };
        given.parameters = map_parameters(&case, &[("0", case.input_width, hidden), ("3", hidden, case.output_width)]);
        given.parameters.extend(parameters(&case, &[("1.weight", row), ("1.bias", row)]));
        prop_assume!(varies(&map(&given, "0", &given.input)));
        let formula = |given: &Given| {
            let hidden = normalized(&map(given, "0", &given.input));
            let hidden = hidden * &given.parameters["1.weight"] + &given.parameters["1.bias"];
            map(given, "3", &hidden.mapv(f64::tanh))
        };
        let cotangent = case.cotangent(case.output_width);
        let layer = Mlp { batch_norm: true, ..Mlp::new([hidden, case.output_width]).with_activation(Activation::Tanh) };
        let passes = run_layer(&mut case.scene(), &given, layer, &cotangent).unwrap();
        // The bias of the map before is subtracted again with the mean: its gradient is 0 but for rounding.
        check_gradients("perceptron with batch norm", &passes, &given, &cotangent, &formula)?;
    }

    #[test]
    fn gin_conv_is_its_formula(case in cases(), hidden in 1..12usize, train_eps: bool) {
        let maps = [("nn.0", case.input_width, hidden), ("nn.2", hidden, case.output_width)];
        let mut given = Given { input: case.input(), parameters: map_parameters(&case, &maps), ..Given::default() };
        given.parameters.extend(parameters(&case, &[("eps", (1, 1))]));
        let adjacency = adjacency(&case);
        for (activation, function) in SMOOTH {
            let formula = |given: &Given| {
                let own = (1.0 + given.parameters["eps"][[0, 0]]) * &given.input;
                perceptron(given, "nn.", &(own + adjacency.dot(&given.input)), function)
            };
            let nn = Mlp::new([hidden, case.output_width]).with_activation(activation);
            let layer = GinConv { train_eps, ..GinConv::new(nn) };
            check(&case, &mut scene_of(&case), layer, &given, &formula)?;
        }
    }

    #[test]
    fn gine_conv_is_its_formula(case in cases(), edge_width in 1..6usize, train_eps: bool, map_edges: bool) {
        let width = case.input_width;
        let edge_width = if map_edges { edge_width } else { width };
        let mut given = Given { input: case.input(), ..Given::default() };
        given.edges = Some(edge_features(&case, edge_width));
        given.parameters = map_parameters(&case, &[("nn.0", width, 4), ("nn.2", 4, case.output_width)]);
        given.parameters.extend(parameters(&case, &[("eps", (1, 1))]));
        if map_edges {
            given.parameters.extend(map_parameters(&case, &[("lin", edge_width, width)]));
        }
        let met = |given: &Given| {
            let edges = given.edges.as_ref().unwrap();
            let edges = if map_edges { map(given, "lin", edges) } else { edges.clone() };
            at_ends(&case, &given.input, |link| link.source) + edges.slice(ndarray::s![..case.links.len(), ..])
        };
        prop_assume!(avoids_kink(&met(&given)));
        let formula = |given: &Given| {
            let sums = to_targets(&case, &met(given).mapv(|x| x.max(0.0)), total);
            let own = (1.0 + given.parameters["eps"][[0, 0]]) * &given.input;
            perceptron(given, "nn.", &(own + sums), f64::tanh)
        };
        let nn = Mlp::new([4, case.output_width]).with_activation(Activation::Tanh);
        let layer = GineConv { train_eps, map_edges, ..GineConv::new(nn) };
        check(&case, &mut scene_of(&case), layer, &given, &formula)?;
    }

    #[test]
    fn sage_conv_is_its_formula(case in cases(), root_weight: bool, normalize: bool, project: bool) {
        let (from, to) = (case.input_width, case.output_width);
        let mut given = Given { input: case.input(), ..Given::default() };
        given.parameters = map_parameters(&case, &[("lin_l", from, to)]);
        if root_weight {
            given.parameters.extend(parameters(&case, &[("lin_r.weight", (from, to))]));
        }
        if project {
            given.parameters.extend(map_parameters(&case, &[("lin", from, from)]));
            prop_assume!(avoids_kink(&map(&given, "lin", &given.input)));
        }
        let projected = |given: &Given| match project {
            true => map(given, "lin", &given.input).mapv(|x| x.max(0.0)),
            false => given.input.clone(),
        };
        prop_assume!(are_apart(&projected(&given)));
        let choices: [(Reduction, fn(&[f64]) -> f64); 4] = [
            (Reduction::Sum, total),
            (Reduction::Mean, mean),
            (Reduction::Max, largest),
            (Reduction::Min, smallest),
        ];
        for (aggregation, choose) in choices {
            let sums = |given: &Given| {
                let sent = at_ends(&case, &projected(given), |link| link.source);
                let neighbours = map(given, "lin_l", &to_targets(&case, &sent, choose));
                if root_weight { neighbours + map(given, "lin_r", &given.input) } else { neighbours }
            };
            let lengths = |sums: &Array2<f64>| sums.map_axis(Axis(1), |row| row.dot(&row).sqrt()).insert_axis(Axis(1));
            prop_assume!(!normalize || lengths(&sums(&given)).iter().all(|length| *length > 0.05));
            let formula = |given: &Given| {
                let sums = sums(given);
                if normalize { &sums / &lengths(&sums) } else { sums }
            };
            let layer = SageConv { aggregation, project, root_weight, normalize, ..SageConv::new(to) };
            check(&case, &mut scene_of(&case), layer, &given, &formula)?;
        }
    }

    #[test]
    fn readouts_are_their_formula(case in cases(), count in 1..5usize) {
        prop_assume!(are_apart(&case.input()));
        // The last one of them stands for nodes that are in none.
        let groups: Vec<Option<usize>> = (0..case.node_count)
            .map(|node| Some((case.seed as usize >> node) % (count + 1)).filter(|group| *group < count))
            .collect();
        let choices: [(Readout, fn(&[f64]) -> f64); 3] =
            [(Readout::Sum, total), (Readout::Mean, mean), (Readout::Max, largest)];
        for (readout, choose) in choices {
            let mut scene = scene_of(&case);
            scene.subgraphs = (0..count).map(|_| scene.world.spawn(Subgraph).id()).collect();
            for (node, group) in scene.nodes.iter().zip(&groups) {
                if let Some(group) = group {
                    scene.world.entity_mut(*node).insert(InGraph(scene.subgraphs[*group]));
                }
            }
            let given = Given { input: case.input(), ..Given::default() };
            check(&case, &mut scene, readout, &given, &|given| fold(&given.input, &groups, count, choose))?;
        }
    }

    #[test]
    fn sparse_signals_give_what_dense_ones_give(case in cases()) {
        let maps = [("nn.0", case.input_width, 3), ("nn.2", 3, case.output_width)];
        let nn = Mlp::new([3, case.output_width]).with_activation(Activation::Tanh);
        check_sparse(&case, GinConv::new(nn).train_eps(), map_parameters(&case, &maps))?;
        let maps = [("lin_l", case.input_width, case.output_width)];
        check_sparse(&case, SageConv::new(case.output_width), map_parameters(&case, &maps))?;
        check_sparse(&case, Embedding::new(case.output_width), Matrices::new())?;
    }

    #[test]
    fn embeddings_are_rows_of_their_table(case in cases()) {
        let categories = case.input_width;
        let of = |node: usize| (case.seed as usize >> node) % categories;
        let input = Array2::from_shape_fn((case.node_count, categories), |(node, column)| {
            if of(node) == column { 1.0 } else { 0.0 }
        });
        let mut given = Given { input, sparse: true, ..Given::default() };
        given.parameters = parameters(&case, &[("weight", (categories, case.output_width))]);
        let rows: Vec<usize> = (0..case.node_count).map(of).collect();
        let formula = |given: &Given| given.parameters["weight"].select(Axis(0), &rows);
        check(&case, &mut scene_of(&case), Embedding::new(case.output_width), &given, &formula)?;
    }
}

/// Compares a layer on a sparse signal with the same layer on the same numbers, dense.
fn check_sparse(
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
        assert_near(&what, gradient, &dense.parameters[name], FORWARD)?;
    }
    Ok(())
}

/// A parameter that is not learned.
fn statistic(scene: &Scene, model: Entity, name: &str) -> Array2<f64> {
    let parameters = scene.parameters(model);
    let (entity, parameter) = parameters.iter().find(|(_, parameter)| parameter.name.ends_with(name)).unwrap();
    let numbers = parameter.value.get(&scene.world, *entity).unwrap();
    Array2::from_shape_fn((1, numbers.len()), |(_, column)| f64::from(numbers[column]))
}

#[test]
fn batch_norm_of_many_rows_far_from_zero_is_exact() {
    let case = Case { node_count: 5000, links: Vec::new(), input_width: 3, output_width: 3, seed: 7 };
    let input = case.input() + 100.0;
    let given = Given { input: input.mapv(|number| f64::from(number as f32)), ..Given::default() };
    let (mut scene, watch) = (case.scene(), Watch::default());
    let build = |model: connectome_systems::ModelBuilder| model.layer(BatchNorm::new()).layer(watch.clone());
    let trial = Trial::build(&mut scene, &given, build, &case.cotangent(3)).unwrap();
    trial.run(&mut scene).unwrap();
    assert_near("output", &watch.read(&scene).unwrap(), &normalized(&given.input), FORWARD).unwrap();
    let expected = 0.9 + 0.1 * given.input.var_axis(Axis(0), 1.0).insert_axis(Axis(0));
    assert_near("variance", &statistic(&scene, trial.model, "running_var"), &expected, FORWARD).unwrap();
}

#[test]
fn batch_norm_of_one_row_is_the_bias_and_leaves_the_running_variance() {
    let case = Case { node_count: 1, links: Vec::new(), input_width: 3, output_width: 3, seed: 7 };
    let bias = Array2::from_shape_fn((1, 3), |(_, column)| column as f64);
    let parameters = Matrices::from([("bias".to_owned(), bias.clone())]);
    let given = Given { input: case.input(), parameters, ..Given::default() };
    let (mut scene, watch) = (case.scene(), Watch::default());
    let build = |model: connectome_systems::ModelBuilder| model.layer(BatchNorm::new()).layer(watch.clone());
    let trial = Trial::build(&mut scene, &given, build, &case.cotangent(3)).unwrap();
    trial.run(&mut scene).unwrap();
    assert_eq!(watch.read(&scene).unwrap(), bias);
    assert_eq!(statistic(&scene, trial.model, "running_var"), Array2::<f64>::ones((1, 3)));
}

#[test]
fn layers_that_cannot_be_are_refused_with_what_to_do() {
    let case = Case { node_count: 2, links: Vec::new(), input_width: 3, output_width: 3, seed: 7 };
    let refusal = |layer: Box<dyn Layer>| {
        let given = Given { input: case.input(), edges: Some(Array2::zeros((0, 2))), ..Given::default() };
        run_layer(&mut case.scene(), &given, layer, &case.cotangent(3)).unwrap_err().to_string()
    };
    let unmapped = GineConv { map_edges: false, ..GineConv::new(Mlp::new([3])) };
    let refused: [(Box<dyn Layer>, &str); 4] = [
        (Box::new(Mlp::new([])), "give at least one width"),
        (Box::new(BatchNorm { momentum: 1.5, ..BatchNorm::new() }), "give one from 0 to 1"),
        (Box::new(BatchNorm { epsilon: 0.0, ..BatchNorm::new() }), "give more than 0"),
        (Box::new(unmapped), "give both one width, or `map_edges`"),
    ];
    for (layer, advice) in refused {
        let refusal = refusal(layer);
        assert!(refusal.contains(advice), "{refusal}");
    }
}
