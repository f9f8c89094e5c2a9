//! Layers that attend to neighbors compute what their formulas say, forward and backward, on any graph.
//!
//! As in the test of gradients, each formula is written a second time: in 64-bit floats, arc by arc, without the tricks
//! that keep exponentials small. It is differentiated by central differences, by the features of the edges as well.

use crate::common;

mod formula;
mod given;
mod harness;
mod weights;

use common::{
    Given, Link, Matrices, Scene,
    differences::{FORWARD, assert_near, cases},
    few_cases, numbers, run_layer,
};
use connectome_components::InSubgraph;
use connectome_systems::layers::{AttentionalAggregation, GatConv, Gatv2Conv, Layer, TransformerConv};
use formula::{Arc, Leaky, affine, arcs, attention, by_head, mapped, sigmoid};
use given::{Options, gat_conv, gatv2_conv, options, res_gated_conv, transformer_conv};
use harness::{check, check_dangling, parameters};
use ndarray::{Array1, Array2, Axis, array, concatenate, s};
use proptest::prelude::*;

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn gat_conv_is_its_formula(case in cases(), options in options()) {
        let case = options.copy_links(case);
        let (layer, given) = gat_conv(&case, options);
        let leaky = Leaky::new(layer.negative_slope);
        let formula = |input: &Array2<f64>, given: &Matrices| {
            let values = input.dot(&given["lin.weight"]);
            let score = |arc: &Arc, head| {
                let edge = mapped(&arc.features, given.get("lin_edge.weight"), values.ncols());
                let edge = given.get("att_edge").map_or(0.0, |vectors| by_head(edge.view(), vectors, head));
                let source = by_head(values.row(arc.source), &given["att_src"], head);
                leaky.at(source + by_head(values.row(arc.target), &given["att_dst"], head) + edge)
            };
            let arcs = arcs(&case, given, options.flag);
            let value = |arc: &Arc| values.row(arc.source).to_owned();
            let heads = attention(case.node_count, &arcs, options.shape(&case), score, value);
            options.together(&case, heads) + &given["bias"]
        };
        formula(&case.input(), &given);
        prop_assume!(leaky.avoided_kink());
        check(&case, &mut case.scene(), layer, &given, &formula)?;
    }

    #[test]
    fn gatv2_conv_is_its_formula(case in cases(), options in options()) {
        let case = options.copy_links(case);
        let (layer, given) = gatv2_conv(&case, options);
        let leaky = Leaky::new(layer.negative_slope);
        let formula = |input: &Array2<f64>, given: &Matrices| {
            let [source, target] = ["lin_l", "lin_r"].map(|name| affine(input, given, name));
            let score = |arc: &Arc, head| {
                let edge = mapped(&arc.features, given.get("lin_edge.weight"), source.ncols());
                let sum = &source.row(arc.source) + &target.row(arc.target) + edge;
                by_head(sum.mapv(|x| leaky.at(x)).view(), &given["att"], head)
            };
            let arcs = arcs(&case, given, options.flag);
            let value = |arc: &Arc| source.row(arc.source).to_owned();
            let heads = attention(case.node_count, &arcs, options.shape(&case), score, value);
            options.together(&case, heads) + &given["bias"]
        };
        formula(&case.input(), &given);
        prop_assume!(leaky.avoided_kink());
        check(&case, &mut case.scene(), layer, &given, &formula)?;
    }

    #[test]
    fn transformer_conv_is_its_formula(case in cases(), options in options(), root in any::<bool>()) {
        let case = options.copy_links(case);
        let (layer, given) = transformer_conv(&case, options, root);
        let beta = layer.beta;
        let formula = |input: &Array2<f64>, given: &Matrices| {
            let [key, query, value] = ["lin_key", "lin_query", "lin_value"].map(|name| affine(input, given, name));
            let edge = |arc: &Arc| mapped(&arc.features, given.get("lin_edge.weight"), key.ncols());
            let score = |arc: &Arc, head: usize| {
                let place = s![head * case.output_width..(head + 1) * case.output_width];
                let key = &key.row(arc.source) + edge(arc);
                key.slice(place).dot(&query.row(arc.target).slice(place)) / (case.output_width as f64).sqrt()
            };
            let value = |arc: &Arc| &value.row(arc.source) + edge(arc);
            let heads =
                attention(case.node_count, &arcs(&case, given, false), options.shape(&case), score, value);
            let sums = options.together(&case, heads);
            if !root {
                return sums;
            }
            let skip = affine(input, given, "lin_skip");
            if !beta {
                return sums + skip;
            }
            let difference = &sums - &skip;
            let all = concatenate![Axis(1), sums, skip, difference];
            let gate = all.dot(&given["lin_beta.weight"]).mapv(sigmoid);
            &gate * &skip + (1.0 - &gate) * &sums
        };
        check(&case, &mut case.scene(), layer, &given, &formula)?;
    }

    #[test]
    fn res_gated_conv_is_its_formula(case in cases()) {
        let (layer, given) = res_gated_conv(&case);
        let formula = |input: &Array2<f64>, given: &Matrices| {
            let [key, query, value] = ["lin_key", "lin_query", "lin_value"].map(|name| affine(input, given, name));
            let mut output = input.dot(&given["lin_skip.weight"]) + &given["bias"];
            for link in &case.links {
                let gate = (&key.row(link.target) + &query.row(link.source)).mapv(sigmoid);
                let mut row = output.row_mut(link.target);
                row += &(gate * value.row(link.source));
            }
            output
        };
        check(&case, &mut case.scene(), layer, &given, &formula)?;
    }

    #[test]
    fn attention_pooling_is_its_formula(case in cases(), count in 1..=4usize) {
        let shapes = [
            ("gate_nn.weight", (case.input_width, 1)),
            ("gate_nn.bias", (1, 1)),
            ("nn.weight", (case.input_width, case.output_width)),
            ("nn.bias", (1, case.output_width)),
        ];
        let given = parameters(&case, &shapes);
        let subgraph = |node: usize| (case.seed as usize).wrapping_add(node * node) % count;
        let belongs = |node: usize| !(case.seed as usize / 8).wrapping_add(node).is_multiple_of(5);
        let mut scene = case.scene();
        scene.divide(count, subgraph);
        for node in (0..case.node_count).filter(|node| !belongs(*node)) {
            let node = scene.nodes[node];
            scene.world.entity_mut(node).remove::<InSubgraph>();
        }
        let formula = |input: &Array2<f64>, given: &Matrices| {
            let [scores, values] = ["gate_nn", "nn"].map(|name| affine(input, given, name));
            let nodes = (0..case.node_count).filter(|node| belongs(*node));
            let arc = |node| Arc { source: node, target: subgraph(node), features: Array1::zeros(0) };
            let arcs: Vec<Arc> = nodes.map(arc).collect();
            let value = |arc: &Arc| values.row(arc.source).to_owned();
            attention(count, &arcs, [1, case.output_width], |arc, _| scores[[arc.source, 0]], value)
        };
        check(&case, &mut scene, AttentionalAggregation::new(case.output_width), &given, &formula)?;
    }

    #[test]
    fn dangling_edges_carry_nothing(case in cases(), options in options()) {
        let width = options.output_columns(&case);
        let (layer, given) = gat_conv(&case, options);
        check_dangling(&case, width, layer, &given)?;
        let (layer, given) = gatv2_conv(&case, options);
        check_dangling(&case, width, layer, &given)?;
        let (layer, given) = transformer_conv(&case, options, true);
        check_dangling(&case, width, layer, &given)?;
        let (layer, given) = res_gated_conv(&case);
        check_dangling(&case, case.output_width, layer, &given)?;
    }

    #[test]
    fn sparse_signals_give_what_dense_ones_give(case in cases(), options in options()) {
        let (layer, parameters) = gat_conv(&case, Options { edge_width: 0, ..options });
        let cotangent = case.cotangent(options.output_columns(&case));
        let pass = |sparse| {
            let given = Given { input: case.sparse_input(), sparse, parameters: parameters.clone(), edges: None };
            run_layer(&mut case.scene(), &given, layer.clone(), &cotangent).unwrap()
        };
        let (sparse, dense) = (pass(true), pass(false));
        assert_near("output from sparse", &sparse.output, &dense.output, FORWARD)?;
        for (name, gradient) in &sparse.parameters {
            assert_near(&format!("gradient of the {name}"), gradient, &dense.parameters[name], FORWARD)?;
        }
    }
}

#[test]
fn scores_that_would_overflow_give_shares_all_the_same() {
    let links = [(0, 1), (2, 1), (1, 0)].map(|(source, target)| Link { source, target, weight: None });
    let given = Given {
        input: array![[1.0], [-2.0], [3.0]],
        parameters: Matrices::from([
            ("lin.weight".to_owned(), array![[1e4]]),
            ("att_src".to_owned(), array![[1e6]]),
            ("att_dst".to_owned(), array![[-1e6]]),
        ]),
        ..Given::default()
    };
    let passes = run_layer(&mut Scene::new(3, &links), &given, GatConv::new(1), &array![[1.0], [2.0], [3.0]]).unwrap();
    // Each node looks at the one with the largest score alone.
    assert_eq!(passes.output, array![[1e4], [3e4], [3e4]]);
    assert!(passes.parameters.values().flatten().chain(&passes.input.unwrap()).all(|number| number.is_finite()));
}

#[test]
fn dropout_reaches_attention_while_training_alone() {
    let links = [(0, 1), (2, 1), (1, 0), (0, 2)].map(|(source, target)| Link { source, target, weight: None });
    let given = Given { input: numbers(7, 0, (3, 4)), ..Given::default() };
    let cotangent = numbers(7, 1, (3, 6));
    let run = |dropout| {
        let layer = GatConv { heads: 2, dropout, ..GatConv::new(3) };
        run_layer(&mut Scene::new(3, &links), &given, layer, &cotangent).unwrap()
    };
    let (plain, dropped) = (run(0.0), run(0.5));
    assert_eq!(plain.output, dropped.output);
    assert_ne!(plain.input, dropped.input);
}

#[test]
fn what_cannot_be_is_refused() {
    let refused = |layer: Box<dyn Layer>| {
        let given = Given { input: numbers(7, 0, (3, 4)), ..Given::default() };
        run_layer(&mut Scene::new(3, &[]), &given, layer, &Array2::zeros((3, 1))).unwrap_err().to_string()
    };
    let no_heads = refused(Box::new(GatConv { heads: 0, ..GatConv::new(1) }));
    assert_eq!(no_heads, "layer 0 has no heads; give `heads` of at least 1");
    let no_edges = refused(Box::new(Gatv2Conv { edge_features: true, ..Gatv2Conv::new(1) }));
    assert!(no_edges.contains("reads features of the edges"), "{no_edges}");
    let no_root = refused(Box::new(TransformerConv { root: false, beta: true, ..TransformerConv::new(1) }));
    assert!(no_root.contains("remove `root: false`"), "{no_root}");
    let all = refused(Box::new(GatConv { dropout: 1.0, ..GatConv::new(1) }));
    assert!(all.contains("dropout probability 1"), "{all}");
    let too_many = refused(Box::new(TransformerConv { heads: usize::MAX, ..TransformerConv::new(2) }));
    assert!(too_many.contains("total width overflows"), "{too_many}");
}
