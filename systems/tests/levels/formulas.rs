//! Every layer by levels computes its formula, forward and backward.

use super::{acyclic, common, predecessors, sorted};
use common::{
    Given, Matrices,
    differences::{BACKWARD, Case, FORWARD, assert_near, cases, compare},
    few_cases, numbers, random_matrices, run_layer,
};
use connectome_components::Direction;
use connectome_systems::{
    kernels::Activation,
    layers::{DagAggregation, DagGru, DagNetwork, Mlp, TreeLevels},
};
use ndarray::{Array1, Array2, Axis, concatenate, s};
use proptest::prelude::*;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `first` in a direction and, if both are asked for, `second` in the other, side by side.
fn in_directions(
    (direction, bidirectional): (Direction, bool),
    pass: impl Fn(Direction, &str) -> Array2<f64>,
) -> Array2<f64> {
    let first = pass(direction, "");
    match bidirectional {
        false => first,
        true => concatenate(Axis(1), &[first.view(), pass(direction.opposite(), "_reverse").view()]).unwrap(),
    }
}

/// A state of each node, from its number and the predecessors with their edges; `state` reads those before.
fn by_levels(
    case: &Case,
    direction: Direction,
    width: usize,
    state: impl Fn(usize, &[(usize, usize)], &Array2<f64>) -> Array1<f64>,
) -> Array2<f64> {
    let predecessors = predecessors(case, direction);
    let mut states = Array2::zeros((case.node_count, width));
    for node in sorted(&predecessors) {
        let row = state(node, &predecessors[node], &states);
        states.row_mut(node).assign(&row);
    }
    states
}

fn gru(
    case: &Case,
    layer: &DagGru,
    input: &Array2<f64>,
    parameters: &Matrices,
    (direction, suffix): (Direction, &str),
) -> Array2<f64> {
    let (width, of) = (layer.width, |name: &str| &parameters[&name.replace('*', suffix)]);
    by_levels(case, direction, width, |node, predecessors, states| {
        let all = || predecessors.iter().map(|(from, _)| states.row(*from).to_owned());
        let aggregate = match layer.aggregation {
            DagAggregation::Sum => all().fold(Array1::zeros(width), |sum, state| sum + state),
            DagAggregation::Gated => all().fold(Array1::zeros(width), |sum, state| {
                let gate = (state.dot(of("gate*.weight")) + of("gate*.bias").row(0)).mapv(sigmoid);
                sum + gate * state.dot(of("map*.weight"))
            }),
            DagAggregation::Attention => {
                let scores: Vec<f64> = all().map(|state| state.dot(&of("key*").row(0)).exp()).collect();
                let terms = all().zip(&scores).map(|(state, score)| state * (score / scores.iter().sum::<f64>()));
                terms.fold(Array1::zeros(width), |sum, term| sum + term)
            }
        };
        let own = input.row(node).dot(of("weight_ih*")) + of("bias_ih*").row(0);
        let hidden = aggregate.dot(of("weight_hh*")) + of("bias_hh*").row(0);
        let part = |of: &Array1<f64>, gate: usize| of.slice(s![gate * width..(gate + 1) * width]).to_owned();
        let reset = (part(&own, 0) + part(&hidden, 0)).mapv(sigmoid);
        let update = (part(&own, 1) + part(&hidden, 1)).mapv(sigmoid);
        let candidate = (part(&own, 2) + reset * part(&hidden, 2)).mapv(f64::tanh);
        (1.0 - &update) * candidate + update * aggregate
    })
}

fn gru_shapes(layer: &DagGru, inputs: usize) -> Matrices {
    let width = layer.width;
    let mut shapes = vec![("weight_ih*", inputs, 3 * width), ("weight_hh*", width, 3 * width)];
    shapes.extend([("bias_ih*", 1, 3 * width), ("bias_hh*", 1, 3 * width)]);
    match layer.aggregation {
        DagAggregation::Sum => {}
        DagAggregation::Gated => {
            shapes.extend([("gate*.weight", width, width), ("gate*.bias", 1, width), ("map*.weight", width, width)]);
        }
        DagAggregation::Attention => shapes.push(("key*", 1, width)),
    }
    with_suffixes(&random_matrices(5, &shapes), layer.bidirectional)
}

/// Parameters of one direction or of both, halved so that sums do not grow.
fn with_suffixes(parameters: &Matrices, bidirectional: bool) -> Matrices {
    let suffixes = if bidirectional { &["", "_reverse"][..] } else { &[""] };
    let named = suffixes.iter().enumerate().flat_map(|(index, suffix)| {
        let scaled = move |value: &Array2<f64>| 0.5 * value * (1.0 - 0.25 * index as f64);
        parameters.iter().map(move |(name, value)| (name.replace('*', suffix), scaled(value)))
    });
    named.map(|(name, value)| (name, value.mapv(|number| f64::from(number as f32)))).collect()
}

fn directions() -> impl Strategy<Value = (Direction, bool)> {
    (prop::sample::select(vec![Direction::Forward, Direction::Reverse]), any::<bool>())
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn dag_network_is_its_formula(
        case in cases().prop_map(acyclic),
        way in directions(),
        activation in prop::sample::select(vec![Activation::Tanh, Activation::Silu, Activation::Sigmoid]),
    ) {
        let (direction, bidirectional) = way;
        let function = |x: f64| match activation {
            Activation::Tanh => x.tanh(),
            Activation::Silu => x * sigmoid(x),
            _ => sigmoid(x),
        };
        let formula = |input: &Array2<f64>, edges: &Array2<f64>, _: &Matrices| {
            in_directions(way, |direction, _| by_levels(&case, direction, input.ncols(), |node, predecessors, states| {
                if predecessors.is_empty() {
                    return input.row(node).to_owned();
                }
                let weighted = |sum, (from, edge): &(usize, usize)| sum + edges[[*edge, 0]] * &states.row(*from);
                predecessors.iter().fold(input.row(node).to_owned(), weighted).mapv(function)
            }))
        };
        let given = Given {
            input: case.input(),
            edges: Some(numbers(case.seed, 5, (case.links.len(), 1))),
            ..Given::default()
        };
        let cotangent = case.cotangent(case.input_width * if bidirectional { 2 } else { 1 });
        let layer = DagNetwork { direction, bidirectional, ..DagNetwork::new(activation).with_edge_features() };
        let passes = run_layer(&mut case.scene(), &given, layer, &cotangent).unwrap();
        compare("DagNetwork", &given, &cotangent, &passes, &formula)?;
        // The same weights as a component.
        let mut weighted = case.clone();
        let edges = given.edges.iter().flatten().zip(&mut weighted.links);
        edges.for_each(|(weight, link)| link.weight = Some(*weight as f32));
        let layer = DagNetwork { edge_features: false, ..layer };
        let given = Given { edges: None, ..given };
        let of_graph = run_layer(&mut weighted.scene(), &given, layer, &cotangent).unwrap();
        // Parallel edges are summed in another order.
        assert_near("output by edge weights", &of_graph.output, &passes.output, FORWARD)?;
        assert_near("gradient by edge weights", &of_graph.input.unwrap(), &passes.input.unwrap(), BACKWARD)?;
    }

    #[test]
    fn dag_gru_is_its_formula(
        case in cases().prop_map(acyclic),
        way in directions(),
        aggregation in prop::sample::select(vec![
            DagAggregation::Sum,
            DagAggregation::Gated,
            DagAggregation::Attention,
        ]),
    ) {
        let (direction, bidirectional) = way;
        let layer = DagGru { aggregation, direction, bidirectional, ..DagGru::new(case.output_width) };
        let formula = |input: &Array2<f64>, _: &Array2<f64>, parameters: &Matrices| {
            in_directions(way, |direction, suffix| gru(&case, &layer, input, parameters, (direction, suffix)))
        };
        let parameters = gru_shapes(&layer, case.input_width);
        let given = Given { input: case.input(), parameters, ..Given::default() };
        let cotangent = case.cotangent(layer.width * if bidirectional { 2 } else { 1 });
        let passes = run_layer(&mut case.scene(), &given, layer.clone(), &cotangent).unwrap();
        compare(&format!("{layer:?}"), &given, &cotangent, &passes, &formula)?;
    }

    /// Children share places, stand beyond the arity, and are shared.
    #[test]
    fn tree_levels_is_its_formula(
        case in cases().prop_map(acyclic),
        way in directions(),
        depth in 1..4usize,
        learn_missing in any::<bool>(),
    ) {
        let ((direction, bidirectional), arity, width) = (way, 2, case.output_width);
        let place = |edge: usize| edge % (arity + 1);
        let widths: Vec<usize> = (1..depth).map(|map| 2 + map).chain([width]).collect();
        let nn = Mlp::new(widths.clone()).with_activation(Activation::Tanh);
        let layer = TreeLevels { learn_missing, direction, bidirectional, ..TreeLevels::new(nn, arity) };
        let formula = |input: &Array2<f64>, _: &Array2<f64>, parameters: &Matrices| {
            in_directions(way, |direction, suffix| by_levels(&case, direction, width, |node, predecessors, states| {
                let of = |name: String| &parameters[&name];
                let mut values = input.row(node).to_vec();
                for slot in 0..arity {
                    let children = predecessors.iter().filter(|(_, edge)| place(*edge) == slot);
                    let sum = children.clone().fold(Array1::zeros(width), |sum, (from, _)| sum + states.row(*from));
                    let is_missing = learn_missing && children.count() == 0;
                    values.extend(if is_missing { of(format!("none{suffix}")).row(0).to_owned() } else { sum });
                }
                let mut values = Array1::from(values);
                for map in 0..depth {
                    let [weight, bias] = ["weight", "bias"].map(|name| of(format!("{}{suffix}.{name}", 2 * map)));
                    values = values.dot(weight) + bias.row(0);
                    if map + 1 < depth {
                        values.mapv_inplace(f64::tanh);
                    }
                }
                values
            }))
        };
        let names: Vec<[String; 2]> =
            (0..depth).map(|map| ["weight", "bias"].map(|name| format!("{}*.{name}", 2 * map))).collect();
        let mut shapes = Vec::new();
        let mut inputs = case.input_width + arity * width;
        for ([weight, bias], width) in names.iter().zip(&widths) {
            shapes.extend([(weight.as_str(), inputs, *width), (bias.as_str(), 1, *width)]);
            inputs = *width;
        }
        if learn_missing {
            shapes.push(("none*", 1, width));
        }
        let places = Array2::from_shape_fn((case.links.len(), 1), |(edge, _)| place(edge) as f64);
        let parameters = with_suffixes(&random_matrices(case.seed, &shapes), bidirectional);
        let given = Given { input: case.input(), parameters, edges: Some(places), ..Given::default() };
        let cotangent = case.cotangent(width * if bidirectional { 2 } else { 1 });
        let mut passes = run_layer(&mut case.scene(), &given, layer, &cotangent).unwrap();
        // There is no derivative with respect to a place.
        passes.edges = None;
        compare("TreeLevels", &given, &cotangent, &passes, &formula)?;
    }
}
