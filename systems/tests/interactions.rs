//! Normalizations, gated updates and layers that change edges and coordinates compute what their formulas say, forward
//! and backward, on any graph; dangling edges carry nothing; and moving the nodes together moves them together.
//!
//! The formulas are written here a second time, in 64-bit floats with dense matrices and loops over the edges, and
//! differentiated by central differences. A failure names the layer and which of its arrays is off, and by how much of
//! its largest number.

use crate::common;

use common::{
    Given, Link, Matrices, Scene, WithCoordinates,
    differences::{Case, assert_near, cases, compare},
    few_cases, numbers, random_matrices, run_layer,
};
use connectome_components::{Edge, InSubgraph, Model};
use connectome_systems::{
    Infer, ModelBuilder,
    kernels::Activation,
    layers::{
        BuildError, EgnnConv, GatedGraphConv, GraphNetBlock, GraphNorm, JumpingKnowledge, JumpingMode, Layer, LayerNorm,
    },
    run,
};
use ndarray::{Array2, Axis, concatenate, s};
use proptest::prelude::*;
use std::cell::Cell;

/// How many edges go from each node to each.
fn counts(case: &Case) -> Array2<f64> {
    let mut adjacency = Array2::zeros((case.node_count, case.node_count));
    case.links.iter().for_each(|link| adjacency[[link.target, link.source]] += 1.0);
    adjacency
}

/// For each edge the row of a matrix that one of its endpoints has.
fn endpoints(case: &Case, matrix: &Array2<f64>, end: impl Fn(&Link) -> usize) -> Array2<f64> {
    Array2::from_shape_fn((case.links.len(), matrix.ncols()), |(edge, column)| matrix[[end(&case.links[edge]), column]])
}

/// For each node the sum of the rows of the edges that go there.
fn sum_incoming(case: &Case, edges: &Array2<f64>) -> Array2<f64> {
    let mut sums = Array2::zeros((case.node_count, edges.ncols()));
    for (link, row) in case.links.iter().zip(edges.rows()) {
        let mut sum = sums.row_mut(link.target);
        sum += &row;
    }
    sums
}

fn beside(matrices: &[&Array2<f64>]) -> Array2<f64> {
    let views: Vec<_> = matrices.iter().map(|matrix| matrix.view()).collect();
    concatenate(Axis(1), &views).unwrap()
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn silu(x: f64) -> f64 {
    x * sigmoid(x)
}

/// A layer normalization, which notes the least variance that it meets.
fn norm(input: &Array2<f64>, weight: &Array2<f64>, bias: &Array2<f64>, least: &Cell<f64>) -> Array2<f64> {
    let mean = input.mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    let centered = input - &mean;
    let variance = (&centered * &centered).mean_axis(Axis(1)).unwrap().insert_axis(Axis(1));
    variance.iter().for_each(|variance| least.set(least.get().min(*variance)));
    centered / (variance + 1e-5).mapv(f64::sqrt) * weight + bias
}

/// A case whose rows are wide enough to be normalized.
fn wide(mut case: Case) -> Case {
    case.input_width += 2;
    case
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn layer_norm_is_its_formula(case in cases().prop_map(wide)) {
        let least = Cell::new(f64::MAX);
        let parameters = random_matrices(case.seed, &[("weight", 1, case.input_width), ("bias", 1, case.input_width)]);
        let given = Given { input: case.input(), parameters, ..Given::default() };
        let formula = |input: &Array2<f64>, _: &Array2<f64>, parameters: &Matrices| {
            norm(input, &parameters["weight"], &parameters["bias"], &least)
        };
        formula(&given.input, &Array2::default((0, 0)), &given.parameters);
        prop_assume!(least.get() > 0.01);
        let cotangent = case.cotangent(case.input_width);
        let passes = run_layer(&mut case.scene(), &given, LayerNorm::new(), &cotangent).unwrap();
        compare("LayerNorm", &given, &cotangent, &passes, &formula)?;
    }

    #[test]
    fn graph_norm_is_its_formula(case in cases(), count in 0..4usize) {
        let width = case.input_width;
        // Every fourth node belongs nowhere; a graph without subgraphs is one segment.
        let subgraph = |node: usize| if count == 0 { Some(0) } else { (node % 4 != 3).then_some(node % count) };
        let least = Cell::new(f64::MAX);
        let parameters = random_matrices(case.seed, &[("weight", 1, width), ("bias", 1, width), ("mean_scale", 1, width)]);
        let given = Given { input: case.input(), parameters, ..Given::default() };
        let formula = |input: &Array2<f64>, _: &Array2<f64>, parameters: &Matrices| {
            let mut output = Array2::zeros(input.dim()) + &parameters["bias"];
            for number in 0..count.max(1) {
                let nodes: Vec<usize> = (0..case.node_count).filter(|node| subgraph(*node) == Some(number)).collect();
                let Some(mean) = input.select(Axis(0), &nodes).mean_axis(Axis(0)) else { continue };
                let centered = input.select(Axis(0), &nodes) - &parameters["mean_scale"] * &mean.insert_axis(Axis(0));
                let variance = (&centered * &centered).mean_axis(Axis(0)).unwrap().insert_axis(Axis(0));
                variance.iter().for_each(|variance| least.set(least.get().min(*variance)));
                let normal = centered / (variance + 1e-5).mapv(f64::sqrt) * &parameters["weight"];
                for (node, row) in nodes.iter().zip(normal.rows()) {
                    let mut output = output.row_mut(*node);
                    output += &row;
                }
            }
            output
        };
        formula(&given.input, &Array2::default((0, 0)), &given.parameters);
        prop_assume!(least.get() > 0.001);
        let cotangent = case.cotangent(width);
        let mut scene = case.scene();
        if count > 0 {
            scene.divide(count, |node| node % count);
        }
        let strays = scene.nodes.iter().enumerate().filter(|(number, _)| subgraph(*number).is_none());
        for (_, node) in strays {
            // The graph's entity is no subgraph. Without the component the node would change its row.
            scene.world.entity_mut(*node).insert(InSubgraph(scene.graph));
        }
        let passes = run_layer(&mut scene, &given, GraphNorm::new(), &cotangent).unwrap();
        compare("GraphNorm", &given, &cotangent, &passes, &formula)?;
    }

    #[test]
    fn gated_graph_conv_is_its_formula(case in cases(), rounds in 1..4usize) {
        let (adjacency, width) = (counts(&case), case.input_width.max(case.output_width));
        let shapes = [("weight", rounds * width, width), ("rnn.weight_ih", width, 3 * width),
            ("rnn.weight_hh", width, 3 * width), ("rnn.bias_ih", 1, 3 * width), ("rnn.bias_hh", 1, 3 * width)];
        // Sums over neighbors must not grow beyond where floats have digits enough.
        let parameters = random_matrices(case.seed, &shapes).into_iter().map(|(name, value)| (name, 0.3 * value));
        let parameters: Matrices = parameters.map(|(name, value)| (name, value.mapv(|x| f64::from(x as f32)))).collect();
        let given = Given { input: case.input(), parameters, ..Given::default() };
        let formula = |input: &Array2<f64>, _: &Array2<f64>, parameters: &Matrices| {
            let mut state = Array2::zeros((case.node_count, width));
            state.slice_mut(s![.., ..case.input_width]).assign(input);
            for round in 0..rounds {
                let own = parameters["weight"].slice(s![round * width..(round + 1) * width, ..]).to_owned();
                let sums = adjacency.dot(&state.dot(&own));
                let asked = sums.dot(&parameters["rnn.weight_ih"]) + &parameters["rnn.bias_ih"];
                let hidden = state.dot(&parameters["rnn.weight_hh"]) + &parameters["rnn.bias_hh"];
                state = Array2::from_shape_fn(state.dim(), |(row, column)| {
                    let gate = |number: usize| [row, number * width + column];
                    let reset = sigmoid(asked[gate(0)] + hidden[gate(0)]);
                    let update = sigmoid(asked[gate(1)] + hidden[gate(1)]);
                    let candidate = (asked[gate(2)] + reset * hidden[gate(2)]).tanh();
                    (1.0 - update) * candidate + update * state[[row, column]]
                });
            }
            state
        };
        let cotangent = case.cotangent(width);
        let passes = run_layer(&mut case.scene(), &given, GatedGraphConv::new(width, rounds), &cotangent).unwrap();
        compare("GatedGraphConv", &given, &cotangent, &passes, &formula)?;
    }

    /// Two blocks, of which the second reads what the first has made of the edges.
    #[test]
    fn interaction_blocks_are_their_formula(case in cases().prop_map(wide)) {
        let (width, edge_width, hidden) = (case.input_width, case.output_width + 2, 4);
        let least = Cell::new(f64::MAX);
        let mut parameters = Matrices::new();
        for block in 0..2 {
            let shapes = [("edge", edge_width + 2 * width, edge_width), ("node", width + edge_width, width)];
            for (place, (name, inputs, outputs)) in shapes.into_iter().enumerate() {
                let arrays = [("0.weight", inputs, hidden), ("0.bias", 1, hidden), ("2.weight", hidden, outputs),
                    ("2.bias", 1, outputs), ("3.weight", 1, outputs), ("3.bias", 1, outputs)];
                for (number, (array, rows, columns)) in arrays.into_iter().enumerate() {
                    let purpose = 20 + 20 * block + 10 * place as u32 + number as u32;
                    let value = numbers(case.seed, purpose, (rows, columns));
                    parameters.insert(format!("blocks.0.{block}.{name}.{array}"), value);
                }
            }
        }
        let edges = numbers(case.seed, 5, (case.links.len(), edge_width));
        let given = Given { input: case.input(), edges: Some(edges), parameters, ..Given::default() };
        let formula = |input: &Array2<f64>, edges: &Array2<f64>, parameters: &Matrices| {
            let (mut nodes, mut edges) = (input.clone(), edges.clone());
            for block in 0..2 {
                let mapped = |name: &str, input: &Array2<f64>| {
                    let value = |array: &str| &parameters[&format!("blocks.0.{block}.{name}.{array}")];
                    let hidden = (input.dot(value("0.weight")) + value("0.bias")).mapv(f64::tanh);
                    norm(&(hidden.dot(value("2.weight")) + value("2.bias")), value("3.weight"), value("3.bias"), &least)
                };
                let sources = endpoints(&case, &nodes, |link| link.source);
                let targets = endpoints(&case, &nodes, |link| link.target);
                let sent = mapped("edge", &beside(&[&edges, &sources, &targets]));
                nodes = &nodes + &mapped("node", &beside(&[&nodes, &sum_incoming(&case, &sent)]));
                edges = edges + sent;
            }
            nodes
        };
        formula(&given.input, given.edges.as_ref().unwrap(), &given.parameters);
        prop_assume!(least.get() > 0.03);
        let block = GraphNetBlock { activation: Activation::Tanh, ..GraphNetBlock::new([hidden]) };
        let blocks = JumpingKnowledge::new(JumpingMode::Concatenate, [vec![block.clone(), block]]);
        let cotangent = case.cotangent(width);
        let passes = run_layer(&mut case.scene(), &given, blocks, &cotangent).unwrap();
        compare("GraphNetBlock", &given, &cotangent, &passes, &formula)?;
    }

    #[test]
    fn egnn_is_its_formula(mut case in cases(), dimensions in 1..4usize) {
        let (width, hidden) = (case.input_width, 4);
        case.input_width += dimensions;
        let parameters = random_matrices(case.seed, &egnn_shapes(width, hidden));
        let given = Given { input: case.input(), parameters, ..Given::default() };
        let formula = |input: &Array2<f64>, _: &Array2<f64>, parameters: &Matrices| {
            let places = input.slice(s![.., ..dimensions]).to_owned();
            let features = input.slice(s![.., dimensions..]).to_owned();
            let (moved, features) = egnn(&case, &places, &features, parameters);
            beside(&[&moved, &features])
        };
        let cotangent = case.cotangent(case.input_width);
        let layer = WithCoordinates(dimensions, EgnnConv::new(hidden));
        let passes = run_layer(&mut case.scene(), &given, layer, &cotangent).unwrap();
        compare("EgnnConv", &given, &cotangent, &passes, &formula)?;
    }

    /// Turned or mirrored and moved inputs give features that are the same, and coordinates turned or mirrored and moved.
    #[test]
    fn egnn_is_equivariant(case in cases(), angles in [0.0..6.0f64, 0.0..6.0, 0.0..6.0], shift in [-2.0..2.0f64, -2.0..2.0, -2.0..2.0], mirrors: bool) {
        let mut turn = rotation(angles);
        if mirrors {
            turn.row_mut(0).mapv_inplace(|x| -x);
        }
        let shift = Array2::from_shape_vec((1, 3), shift.to_vec()).unwrap();
        let places = numbers(case.seed, 6, (case.node_count, 3));
        let [plain, turned] = [places.clone(), places.dot(&turn) + &shift].map(|places| {
            let mut scene = case.scene();
            let [input, coordinates] = [("input", &case.input()), ("coordinates", &places)]
                .map(|(name, numbers)| scene.field(name, numbers).unwrap());
            let model = ModelBuilder::new(scene.graph).input(input).coordinates(coordinates);
            let model = model.layer(EgnnConv::new(4)).layer(EgnnConv::new(4)).build(&mut scene.world).unwrap();
            let shapes = egnn_shapes(case.input_width, 4);
            scene.set_parameters(model, &random_matrices(case.seed, &shapes)).unwrap();
            run(&mut scene.world, Infer(model)).unwrap();
            let moved = scene.world.get::<Model>(model).unwrap().coordinates.unwrap();
            (scene.output(model).unwrap(), scene.read(moved).unwrap())
        });
        // Floats far from 0 have fewer digits behind the point.
        assert_near("features", &turned.0, &plain.0, 1e-3)?;
        assert_near("coordinates", &turned.1, &(plain.1.dot(&turn) + &shift), 1e-3)?;
    }
}

fn egnn_shapes(width: usize, hidden: usize) -> [(&'static str, usize, usize); 11] {
    [
        ("phi_e.0.weight", 2 * width + 1, hidden),
        ("phi_e.0.bias", 1, hidden),
        ("phi_e.2.weight", hidden, hidden),
        ("phi_e.2.bias", 1, hidden),
        ("phi_x.0.weight", hidden, hidden),
        ("phi_x.0.bias", 1, hidden),
        ("phi_x.2.weight", hidden, 1),
        ("phi_h.0.weight", width + hidden, hidden),
        ("phi_h.0.bias", 1, hidden),
        ("phi_h.2.weight", hidden, width),
        ("phi_h.2.bias", 1, width),
    ]
}

/// The coordinates and the features after one layer.
fn egnn(
    case: &Case,
    places: &Array2<f64>,
    features: &Array2<f64>,
    parameters: &Matrices,
) -> (Array2<f64>, Array2<f64>) {
    let map = |input: &Array2<f64>, name: &str| {
        let product = input.dot(&parameters[&format!("{name}.weight")]);
        parameters.get(&format!("{name}.bias")).map_or_else(|| product.clone(), |bias| &product + bias)
    };
    let of_target = |matrix: &Array2<f64>| endpoints(case, matrix, |link| link.target);
    let of_source = |matrix: &Array2<f64>| endpoints(case, matrix, |link| link.source);
    let spans = of_target(places) - of_source(places);
    let lengths = (&spans * &spans).sum_axis(Axis(1)).insert_axis(Axis(1));
    let read = beside(&[&of_target(features), &of_source(features), &lengths]);
    let messages = map(&map(&read, "phi_e.0").mapv(silu), "phi_e.2").mapv(silu);
    let pulls = map(&map(&messages, "phi_x.0").mapv(silu), "phi_x.2");
    let degrees = counts(case).sum_axis(Axis(1)).mapv(|degree| degree.max(1.0)).insert_axis(Axis(1));
    let moved = places + &(sum_incoming(case, &(spans * pulls)) / degrees);
    let read = beside(&[features, &sum_incoming(case, &messages)]);
    (moved, features + &map(&map(&read, "phi_h.0").mapv(silu), "phi_h.2"))
}

/// Turns about the three axes, one after the other.
fn rotation(angles: [f64; 3]) -> Array2<f64> {
    let turns = angles.into_iter().enumerate().map(|(axis, angle)| {
        let (next, last) = ((axis + 1) % 3, (axis + 2) % 3);
        let mut turn = Array2::eye(3);
        (turn[[next, next]], turn[[last, last]]) = (angle.cos(), angle.cos());
        (turn[[next, last]], turn[[last, next]]) = (angle.sin(), -angle.sin());
        turn
    });
    turns.fold(Array2::eye(3), |product, turn| product.dot(&turn))
}

/// A ring of four nodes, with edges besides whose endpoints are no nodes.
fn with_dangling(dangling: usize) -> Scene {
    let links: Vec<Link> = (0..4).map(|source| Link { source, target: (source + 1) % 4, weight: None }).collect();
    let mut scene = Scene::new(4, &links);
    for number in 0..dangling {
        let nowhere = scene.world.spawn_empty().id();
        let endpoints = [scene.nodes[number % 4], nowhere];
        let edge = scene.world.spawn(Edge { source: endpoints[number % 2], target: endpoints[1 - number % 2] }).id();
        scene.edges.push(edge);
    }
    scene
}

#[test]
fn dangling_edges_carry_nothing() {
    for name in ["GraphNetBlock", "EgnnConv", "GatedGraphConv"] {
        let layer = || -> Box<dyn Layer> {
            match name {
                "GraphNetBlock" => Box::new(GraphNetBlock::new([5])),
                "EgnnConv" => Box::new(WithCoordinates(3, EgnnConv::new(5))),
                _ => Box::new(GatedGraphConv::new(7, 2)),
            }
        };
        let [plain, dangling] = [0, 3].map(|count| {
            let (input, edges) = (numbers(1, 0, (4, 6)), numbers(1, 1, (7, 4)));
            let edges = edges.slice(s![..4 + count, ..]).to_owned();
            let given = Given { input, edges: Some(edges), ..Given::default() };
            let width = if name == "GatedGraphConv" { 7 } else { 6 };
            run_layer(&mut with_dangling(count), &given, layer(), &numbers(1, 2, (4, width))).unwrap()
        });
        assert_eq!(plain.output, dangling.output, "{name}");
        assert_eq!(plain.input, dangling.input, "{name}");
        if name == "GraphNetBlock" {
            let (plain, dangling) = (plain.edges.unwrap(), dangling.edges.unwrap());
            assert_eq!(plain, dangling.slice(s![..4, ..]));
            assert!(dangling.slice(s![4.., ..]).iter().all(|number| *number == 0.0), "{dangling}");
        }
    }
}

#[test]
fn what_cannot_be_built_is_refused() {
    let refuse = |layer: Box<dyn Layer>, expected: &str| {
        let scene = &mut with_dangling(1);
        let error = ModelBuilder::new(scene.graph).input_width(4).layer(layer).build(&mut scene.world).unwrap_err();
        assert!(matches!(error, BuildError::Layer { layer: 0, .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    refuse(Box::new(LayerNorm { epsilon: -1.0, ..LayerNorm::new() }), "epsilon");
    refuse(Box::new(GraphNorm { epsilon: f32::NAN, ..GraphNorm::new() }), "epsilon");
    refuse(Box::new(GatedGraphConv::new(3, 2)), "width 4");
    refuse(Box::new(GatedGraphConv::new(4, 0)), "at least one");
    refuse(Box::new(GraphNetBlock::new([5])), "`ModelBuilder::edge_input`");
    refuse(Box::new(EgnnConv::new(5)), "`ModelBuilder::coordinates`");
}
