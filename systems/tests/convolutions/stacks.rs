//! Three layers of one kind above each other, all of one width: what a layer computes lies where others compute too, so
//! one that does not keep what it reads on the way back is found out. The graphs are always the same.

use super::{
    common::{Given, Link, Matrices, Trial, differences::Case, name_in_layer},
    dense::*,
};
use connectome_components::Parameter;
use connectome_systems::{
    kernels::Activation,
    layers::{EdgeConv, GinConv, GineConv, Layer, Mlp, NnConv, PnaConv, SageConv},
    operators::Reduction,
};
use ndarray::{Array2, Axis, concatenate, s};

const WIDTH: usize = 4;

fn case_of(seed: u64) -> Case {
    // Each node but the last has a neighbor or two, some edges are parallel, and some loops.
    let endpoints = [(0, 1), (1, 2), (2, 0), (3, 1), (4, 3), (4, 3), (5, 5), (0, 4), (6, 2), (2, 6), (3, 5), (1, 0)];
    let links = endpoints.map(|(source, target)| Link { source, target, weight: None }).to_vec();
    Case { node_count: 8, links, input_width: WIDTH, output_width: WIDTH, seed }
}

fn perceptron_of(widths: impl Into<Vec<usize>>) -> Mlp {
    Mlp::new(widths).with_activation(Activation::Tanh)
}

/// Compares the gradients by the input, by the features of edges, and by the parameters of the lowest layer with the
/// differences of the formula applied three times; all three layers begin with the same parameters.
fn check_stack(case: &Case, layer: impl Layer + Clone + std::fmt::Debug + 'static, given: &Given, formula: Formula) {
    let name = format!("three of {layer:?}");
    let above = |below: Array2<f64>, edges: &Option<Array2<f64>>| {
        formula(&Given { input: below.mapv(f64::tanh), edges: edges.clone(), ..given.clone() })
    };
    let stacked = |lowest: &Given| above(above(formula(lowest), &lowest.edges), &lowest.edges);
    let cotangent = case.cotangent(WIDTH);
    let mut scene = scene_of(case);
    let trial = Trial::build(
        &mut scene,
        given,
        |model| {
            let model = model.layer(layer.clone()).layer(Activation::Tanh).layer(layer.clone());
            model.layer(Activation::Tanh).layer(layer.clone())
        },
        &cotangent,
    )
    .unwrap();
    let mut passes = trial.run(&mut scene).unwrap();
    passes.parameters = Matrices::new();
    for (entity, parameter) in scene.parameters(trial.model) {
        if let (true, Some(gradient)) = (parameter.name.starts_with("layers.0."), parameter.gradient) {
            let Parameter { name, shape, .. } = &parameter;
            let numbers = gradient.get(&scene.world, entity).unwrap().iter().map(|number| f64::from(*number));
            let matrix = Array2::from_shape_vec((shape[0], shape[1]), numbers.collect()).unwrap();
            passes.parameters.insert(name_in_layer(name).to_owned(), matrix);
        }
    }
    check_gradients(&name, &passes, given, &cotangent, &stacked).unwrap();
}

fn given_of(case: &Case, maps: &[(&str, usize, usize)]) -> Given {
    Given { input: case.input(), parameters: map_parameters(case, maps), ..Given::default() }
}

#[test]
fn stacks_of_gin_convs() {
    for seed in 0..4 {
        let case = case_of(seed);
        let adjacency = adjacency(&case);
        let mut given = given_of(&case, &[("nn.0", WIDTH, WIDTH), ("nn.2", WIDTH, WIDTH)]);
        given.parameters.extend(parameters(&case, &[("eps", (1, 1))]));
        let formula = |given: &Given| {
            let own = (1.0 + given.parameters["eps"][[0, 0]]) * &given.input;
            perceptron(given, "nn.", &(own + adjacency.dot(&given.input)), f64::tanh)
        };
        check_stack(&case, GinConv::new(perceptron_of([WIDTH, WIDTH])).train_epsilon(), &given, &formula);
    }
}

#[test]
fn stacks_of_gine_convs() {
    for seed in 0..4 {
        let case = case_of(seed);
        let mut given = given_of(&case, &[("nn.0", WIDTH, WIDTH), ("nn.2", WIDTH, WIDTH), ("lin", WIDTH, WIDTH)]);
        given.parameters.extend(parameters(&case, &[("eps", (1, 1))]));
        given.edges = Some(edge_features(&case, WIDTH));
        let formula = |given: &Given| {
            let edges = map(given, "lin", given.edges.as_ref().unwrap());
            let met = at_ends(&case, &given.input, |link| link.source) + edges.slice(s![..case.links.len(), ..]);
            let own = (1.0 + given.parameters["eps"][[0, 0]]) * &given.input;
            let sums = to_targets(&case, &met.mapv(|x| x.max(0.0)), total);
            perceptron(given, "nn.", &(own + sums), f64::tanh)
        };
        check_stack(&case, GineConv::new(perceptron_of([WIDTH, WIDTH])).train_epsilon(), &given, &formula);
    }
}

#[test]
fn stacks_of_sage_convs() {
    for seed in 0..4 {
        let case = case_of(seed);
        let mut given = given_of(&case, &[("lin_l", WIDTH, WIDTH)]);
        given.parameters.extend(parameters(&case, &[("lin_r.weight", (WIDTH, WIDTH))]));
        for (aggregation, choose) in REDUCTIONS {
            let formula = |given: &Given| {
                let sent = at_ends(&case, &given.input, |link| link.source);
                let neighbors = map(given, "lin_l", &to_targets(&case, &sent, choose));
                let sums = neighbors + map(given, "lin_r", &given.input);
                &sums / &sums.map_axis(Axis(1), |row| row.dot(&row).sqrt()).insert_axis(Axis(1))
            };
            let layer = SageConv::new(WIDTH).with_aggregation(aggregation).normalized();
            check_stack(&case, layer, &given, &formula);
        }
    }
}

#[test]
fn stacks_of_edge_convs_with_batch_norm() {
    for seed in 0..4 {
        let case = case_of(seed);
        let mut given = given_of(&case, &[("nn.0", 2 * WIDTH, WIDTH), ("nn.3", WIDTH, WIDTH)]);
        given.parameters.extend(parameters(&case, &[("nn.1.weight", (1, WIDTH)), ("nn.1.bias", (1, WIDTH))]));
        let formula = |given: &Given| {
            let own = at_ends(&case, &given.input, |link| link.target);
            let sent = at_ends(&case, &given.input, |link| link.source);
            let hidden = normalized(&map(given, "nn.0", &concatenate![Axis(1), own, &sent - &own]));
            let hidden = hidden * &given.parameters["nn.1.weight"] + &given.parameters["nn.1.bias"];
            to_targets(&case, &map(given, "nn.3", &hidden.mapv(f64::tanh)), total)
        };
        let nn = Mlp { batch_norm: true, ..perceptron_of([WIDTH, WIDTH]) };
        check_stack(&case, EdgeConv::new(nn).with_aggregation(Reduction::Sum), &given, &formula);
    }
}

#[test]
fn stacks_of_nn_convs() {
    for seed in 0..4 {
        let case = case_of(seed);
        let mut given = given_of(&case, &[("nn.0", WIDTH, WIDTH), ("nn.2", WIDTH, WIDTH * WIDTH)]);
        given.parameters.extend(parameters(&case, &[("lin.weight", (WIDTH, WIDTH)), ("bias", (1, WIDTH))]));
        given.edges = Some(edge_features(&case, WIDTH));
        let formula = |given: &Given| {
            let matrices = perceptron(given, "nn.", given.edges.as_ref().unwrap(), f64::tanh);
            let sent = at_ends(&case, &given.input, |link| link.source);
            let messages = Array2::from_shape_fn((case.links.len(), WIDTH), |(edge, column)| {
                (0..WIDTH).map(|row| sent[[edge, row]] * matrices[[edge, row * WIDTH + column]]).sum()
            });
            to_targets(&case, &messages, total) + map(given, "lin", &given.input) + &given.parameters["bias"]
        };
        check_stack(&case, NnConv::new(WIDTH, perceptron_of([WIDTH, WIDTH * WIDTH])), &given, &formula);
    }
}

#[test]
fn stacks_of_pna_convs() {
    for seed in 0..4 {
        let case = case_of(seed);
        let maps = [("pre_nns.0.0", 2 * WIDTH, WIDTH), ("post_nns.0.0", 13 * WIDTH, WIDTH), ("lin", WIDTH, WIDTH)];
        let mut given = given_of(&case, &maps);
        // So that the functions between the layers do not flatten.
        given.parameters.values_mut().for_each(|value| *value *= 0.5);
        let logarithms = adjacency(&case).sum_axis(Axis(1)).insert_axis(Axis(1)).mapv(f64::ln_1p);
        let formula = |given: &Given| {
            let own = at_ends(&case, &given.input, |link| link.target);
            let sent = at_ends(&case, &given.input, |link| link.source);
            let messages = map(given, "pre_nns.0.0", &concatenate![Axis(1), own, sent]);
            let deviation = |numbers: &[f64]| if variance(numbers) > 1e-5 { variance(numbers).sqrt() } else { 0.0 };
            let [mean, min, max] = [mean, smallest, largest].map(|choose| to_targets(&case, &messages, choose));
            let all = concatenate![Axis(1), mean, min, max, to_targets(&case, &messages, deviation)];
            let less = &all * &logarithms.mapv(|log| 1.25 / log.max(2f64.ln()));
            let more = &all * &(&logarithms / 1.25);
            map(given, "lin", &map(given, "post_nns.0.0", &concatenate![Axis(1), given.input, all, more, less]))
        };
        let layer = PnaConv { average_log_degree: 1.25, ..PnaConv::new(WIDTH) };
        check_stack(&case, layer, &given, &formula);
    }
}
