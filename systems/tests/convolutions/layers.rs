//! The convolutions themselves.

use super::{
    common::{
        Given, Matrices,
        differences::{Case, cases},
        few_cases, run_layer,
    },
    dense::*,
};
use connectome_systems::{
    kernels::Activation,
    layers::{
        BatchNorm, BuildError, EdgeConv, EdgeDecoder, Embedding, GinConv, GineConv, GraphConv, Layer, Mlp, NnConv,
        PnaConv, SageConv,
    },
    operators::{Reduction, Relation, reduce},
    program::{Program, Value},
};
use ndarray::{Array2, Axis, concatenate, s};
use proptest::prelude::*;

/// The rows of edges that a layer ends on, summed at the targets: a value on the nodes, as those of other layers.
#[derive(Clone, Debug)]
struct SumOfEdges(EdgeDecoder);

impl Layer for SumOfEdges {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let edges = self.0.build(input, program)?;
        reduce(program, edges, Relation::Edges, Reduction::Sum)
    }
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn gin_conv_is_its_formula(case in cases(), hidden in 1..12usize, train_epsilon: bool) {
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
            let layer = GinConv { train_epsilon, ..GinConv::new(nn) };
            check(&case, &mut scene_of(&case), layer, &given, &formula)?;
        }
    }

    #[test]
    fn gine_conv_is_its_formula(case in cases(), edge_width in 1..6usize, train_epsilon: bool, edge_features: bool) {
        let width = case.input_width;
        let edge_width = if edge_features { edge_width } else { width };
        let mut given = Given { input: case.input(), ..Given::default() };
        given.edges = Some(super::dense::edge_features(&case, edge_width));
        given.parameters = map_parameters(&case, &[("nn.0", width, 4), ("nn.2", 4, case.output_width)]);
        given.parameters.extend(parameters(&case, &[("eps", (1, 1))]));
        if edge_features {
            given.parameters.extend(map_parameters(&case, &[("lin", edge_width, width)]));
        }
        let met = |given: &Given| {
            let edges = given.edges.as_ref().unwrap();
            let edges = if edge_features { map(given, "lin", edges) } else { edges.clone() };
            at_ends(&case, &given.input, |link| link.source) + edges.slice(s![..case.links.len(), ..])
        };
        prop_assume!(avoids_kink(&met(&given)));
        let formula = |given: &Given| {
            let sums = to_targets(&case, &met(given).mapv(|x| x.max(0.0)), total);
            let own = (1.0 + given.parameters["eps"][[0, 0]]) * &given.input;
            perceptron(given, "nn.", &(own + sums), f64::tanh)
        };
        let nn = Mlp::new([4, case.output_width]).with_activation(Activation::Tanh);
        let layer = GineConv { train_epsilon, edge_features, ..GineConv::new(nn) };
        check(&case, &mut scene_of(&case), layer, &given, &formula)?;
    }

    #[test]
    fn edge_conv_is_its_formula(case in cases(), hidden in 1..8usize, maps in 1..=3usize) {
        let (width, to) = (case.input_width, case.output_width);
        let all = [("nn.0", 2 * width, hidden), ("nn.2", hidden, to), ("nn.4", to, to)];
        let mut given = Given { input: case.input(), ..Given::default() };
        given.parameters = map_parameters(&case, &all[..maps]);
        let messages = |given: &Given| {
            let (own, sent) = (at_ends(&case, &given.input, |link| link.target), at_ends(&case, &given.input, |link| link.source));
            perceptron(given, "nn.", &concatenate![Axis(1), own, &sent - &own], silu)
        };
        prop_assume!(are_apart(&messages(&given)));
        let nn = Mlp::new(&[hidden, to, to][..maps]).with_activation(Activation::Silu);
        for (aggregation, choose) in REDUCTIONS {
            let layer = EdgeConv::new(nn.clone()).with_aggregation(aggregation);
            let formula = |given: &Given| to_targets(&case, &messages(given), choose);
            check(&case, &mut scene_of(&case), layer, &given, &formula)?;
        }
    }

    #[test]
    fn edge_decoder_is_its_formula(case in cases(), hidden in 1..8usize, edge_width in 1..4usize, edge_features: bool) {
        let (width, to) = (case.input_width, case.output_width);
        let read = 2 * width + if edge_features { edge_width } else { 0 };
        let mut given = Given { input: case.input(), ..Given::default() };
        given.edges = Some(super::dense::edge_features(&case, edge_width));
        given.parameters = map_parameters(&case, &[("nn.0", read, hidden), ("nn.2", hidden, to)]);
        let formula = |given: &Given| {
            let source = at_ends(&case, &given.input, |link| link.source);
            let target = at_ends(&case, &given.input, |link| link.target);
            let edges = given.edges.as_ref().unwrap().slice(s![..case.links.len(), ..]).to_owned();
            let all = if edge_features { concatenate![Axis(1), source, target, edges] } else { concatenate![Axis(1), source, target] };
            to_targets(&case, &perceptron(given, "nn.", &all, silu), total)
        };
        let nn = Mlp::new([hidden, to]).with_activation(Activation::Silu);
        let layer = SumOfEdges(EdgeDecoder { edge_features, ..EdgeDecoder::new(nn) });
        check(&case, &mut scene_of(&case), layer, &given, &formula)?;
    }

    #[test]
    fn batch_norm_between_maps_of_edges_leaves_dangling_ones_out(case in cases(), hidden in 1..3usize) {
        let (width, to) = (case.input_width, case.output_width);
        let mut given = Given { input: case.input(), ..Given::default() };
        given.parameters = map_parameters(&case, &[("nn.0", 2 * width, hidden), ("nn.3", hidden, to)]);
        given.parameters.extend(parameters(&case, &[("nn.1.weight", (1, hidden)), ("nn.1.bias", (1, hidden))]));
        let first = |given: &Given| {
            let own = at_ends(&case, &given.input, |link| link.target);
            let sent = at_ends(&case, &given.input, |link| link.source);
            map(given, "nn.0", &concatenate![Axis(1), own, &sent - &own])
        };
        prop_assume!(varies(&first(&given)));
        let formula = |given: &Given| {
            let hidden = normalized(&first(given)) * &given.parameters["nn.1.weight"] + &given.parameters["nn.1.bias"];
            to_targets(&case, &map(given, "nn.3", &hidden.mapv(f64::tanh)), total)
        };
        let nn = Mlp { batch_norm: true, ..Mlp::new([hidden, to]).with_activation(Activation::Tanh) };
        let layer = EdgeConv::new(nn).with_aggregation(Reduction::Sum);
        let cotangent = case.cotangent(to);
        let passes = run_layer(&mut scene_of(&case), &given, layer, &cotangent).unwrap();
        check_gradients("edge conv with batch norm", &passes, &given, &cotangent, &formula)?;
    }

    #[test]
    fn nn_conv_is_its_formula(case in cases(), edge_width in 1..6usize, hidden in 1..5usize) {
        let (from, to) = (case.input_width, case.output_width);
        let mut given = Given { input: case.input(), edges: Some(edge_features(&case, edge_width)), ..Given::default() };
        given.parameters = map_parameters(&case, &[("nn.0", edge_width, hidden), ("nn.2", hidden, from * to)]);
        given.parameters.extend(parameters(&case, &[("lin.weight", (from, to)), ("bias", (1, to))]));
        let messages = |given: &Given| {
            let matrices = perceptron(given, "nn.", given.edges.as_ref().unwrap(), f64::tanh);
            let sent = at_ends(&case, &given.input, |link| link.source);
            Array2::from_shape_fn((case.links.len(), to), |(edge, column)| {
                (0..from).map(|row| sent[[edge, row]] * matrices[[edge, row * to + column]]).sum()
            })
        };
        prop_assume!(are_apart(&messages(&given)));
        let nn = Mlp::new([hidden, from * to]).with_activation(Activation::Tanh);
        for (aggregation, choose) in REDUCTIONS {
            let layer = NnConv::new(to, nn.clone()).with_aggregation(aggregation);
            let formula = |given: &Given| {
                to_targets(&case, &messages(given), choose) + map(given, "lin", &given.input) + &given.parameters["bias"]
            };
            check(&case, &mut scene_of(&case), layer, &given, &formula)?;
        }
    }

    #[test]
    fn pna_conv_is_its_formula(case in cases(), edge_width in 1..6usize, edge_features: bool, measured: bool) {
        let (from, to) = (case.input_width, case.output_width);
        let mut given = Given { input: case.input(), ..Given::default() };
        let parts = if edge_features { 3 } else { 2 };
        let maps = [("pre_nns.0.0", parts * from, from), ("post_nns.0.0", 13 * from, to), ("lin", to, to)];
        given.parameters = map_parameters(&case, &maps);
        if edge_features {
            given.edges = Some(super::dense::edge_features(&case, edge_width));
            given.parameters.extend(map_parameters(&case, &[("edge_encoder", edge_width, from)]));
        }
        let degrees = adjacency(&case).sum_axis(Axis(1)).insert_axis(Axis(1));
        let scale = if measured { degrees.mapv(f64::ln_1p).mean().unwrap() } else { 1.25 };
        let messages = |given: &Given| {
            let mut endpoints = vec![at_ends(&case, &given.input, |link| link.target), at_ends(&case, &given.input, |link| link.source)];
            if let Some(edges) = &given.edges {
                endpoints.push(map(given, "edge_encoder", &edges.slice(s![..case.links.len(), ..]).to_owned()));
            }
            let endpoints: Vec<_> = endpoints.iter().map(|end| end.view()).collect();
            map(given, "pre_nns.0.0", &ndarray::concatenate(Axis(1), &endpoints).unwrap())
        };
        prop_assume!(are_apart(&messages(&given)));
        let variances = to_targets(&case, &messages(&given), variance);
        prop_assume!(variances.iter().all(|variance| *variance < 1e-9 || *variance > 1e-2));
        let formula = |given: &Given| {
            let messages = messages(given);
            let deviation = |numbers: &[f64]| if variance(numbers) > 1e-5 { variance(numbers).sqrt() } else { 0.0 };
            let [mean, min, max] = [mean, smallest, largest].map(|choose| to_targets(&case, &messages, choose));
            let all = concatenate![Axis(1), mean, min, max, to_targets(&case, &messages, deviation)];
            let logarithms = degrees.mapv(f64::ln_1p);
            let (more, less) = if scale > 0.0 {
                (&all * &(&logarithms / scale), &all * &logarithms.mapv(|log| scale / log.max(2f64.ln())))
            } else {
                (all.clone(), all.clone())
            };
            map(given, "lin", &map(given, "post_nns.0.0", &concatenate![Axis(1), given.input, all, more, less]))
        };
        let average_log_degree = if measured { 0.0 } else { 1.25 };
        let layer = PnaConv { average_log_degree, edge_features, ..PnaConv::new(to) };
        check(&case, &mut scene_of(&case), layer, &given, &formula)?;
    }

    #[test]
    fn graph_conv_is_its_formula(case in cases()) {
        let (from, to) = (case.input_width, case.output_width);
        let mut given = Given { input: case.input(), ..Given::default() };
        given.parameters = map_parameters(&case, &[("lin_rel", from, to)]);
        given.parameters.extend(parameters(&case, &[("lin_root.weight", (from, to))]));
        let weights = case.links.iter().map(|link| f64::from(link.weight.unwrap_or(1.0)));
        let weights = Array2::from_shape_vec((case.links.len(), 1), weights.collect()).unwrap();
        for (aggregation, choose) in REDUCTIONS.into_iter().take(2) {
            let formula = |given: &Given| {
                let sent = at_ends(&case, &given.input, |link| link.source) * &weights;
                map(given, "lin_rel", &to_targets(&case, &sent, choose)) + map(given, "lin_root", &given.input)
            };
            let layer = GraphConv::new(to).with_aggregation(aggregation);
            check(&case, &mut scene_of(&case), layer, &given, &formula)?;
        }
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
        for (aggregation, choose) in REDUCTIONS {
            let sums = |given: &Given| {
                let sent = at_ends(&case, &projected(given), |link| link.source);
                let neighbors = map(given, "lin_l", &to_targets(&case, &sent, choose));
                if root_weight { neighbors + map(given, "lin_r", &given.input) } else { neighbors }
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
    fn sparse_signals_give_what_dense_ones_give(case in cases()) {
        let maps = [("nn.0", case.input_width, 3), ("nn.2", 3, case.output_width)];
        let nn = Mlp::new([3, case.output_width]).with_activation(Activation::Tanh);
        check_sparse(&case, GinConv::new(nn).train_epsilon(), map_parameters(&case, &maps))?;
        let maps = [("lin_l", case.input_width, case.output_width)];
        check_sparse(&case, SageConv::new(case.output_width), map_parameters(&case, &maps))?;
        let maps = [("lin_rel", case.input_width, case.output_width)];
        check_sparse(&case, GraphConv::new(case.output_width), map_parameters(&case, &maps))?;
        check_sparse(&case, Embedding::new(case.output_width), Matrices::new())?;
    }
}

#[test]
fn layers_that_cannot_be_are_refused_with_what_to_do() {
    let case = Case { node_count: 2, links: Vec::new(), input_width: 3, output_width: 3, seed: 7 };
    let refusal = |layer: Box<dyn Layer>| {
        let given = Given { input: case.input(), edges: Some(Array2::zeros((0, 2))), ..Given::default() };
        run_layer(&mut case.scene(), &given, layer, &case.cotangent(3)).unwrap_err().to_string()
    };
    let unmapped = GineConv { edge_features: false, ..GineConv::new(Mlp::new([3])) };
    let refused: [(Box<dyn Layer>, &str); 7] = [
        (Box::new(Mlp::new([])), "give at least one width"),
        (Box::new(BatchNorm { momentum: 1.5, ..BatchNorm::new() }), "give one from 0 to 1"),
        (Box::new(BatchNorm { epsilon: 0.0, ..BatchNorm::new() }), "give more than 0"),
        (Box::new(NnConv::new(2, Mlp::new([5]))), "set the last width of `nn` to 6"),
        (
            Box::new(PnaConv { average_log_degree: f32::NAN, ..PnaConv::new(3) }),
            "or 0 to measure it on the first graph",
        ),
        (Box::new(GraphConv::new(3).with_aggregation(Reduction::Max)), "use `SageConv`"),
        (Box::new(unmapped), "use equal widths, or set `edge_features`"),
    ];
    for (layer, advice) in refused {
        let refusal = refusal(layer);
        assert!(refusal.contains(advice), "{refusal}");
    }
}
