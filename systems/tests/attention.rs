//! Layers that attend to neighbours compute what their formulas say, forward and backward, on any graph.
//!
//! As in the test of gradients, each formula is written a second time: in 64-bit floats, arc by arc, without the tricks
//! that keep exponentials small. It is differentiated by central differences, by the features of the edges as well.

mod common;

use bevy_ecs::entity::Entity;
use common::{
    Given, Link, Matrices, Passes, Scene,
    differences::{BACKWARD, Case, Differences, FORWARD, Formula, assert_near, cases},
    few_cases, numbers, run_layer,
};
use connectome_components::{Edge, InGraph};
use connectome_systems::layers::{AttentionPooling, GatConv, Gatv2Conv, Layer, ResGatedConv, TransformerConv};
use ndarray::{Array1, Array2, ArrayView1, Axis, array, concatenate, s};
use proptest::prelude::*;
use std::{cell::Cell, fmt::Debug};

/// Under this name the parameters of a formula hold the features of the edges.
const EDGES: &str = "edges";

/// Parameters of these shapes. Numbers are small enough that no share of attention is nearly 0.
fn parameters(case: &Case, shapes: &[(&str, (usize, usize))]) -> Matrices {
    let matrix = |(purpose, (name, shape)): (usize, &(&str, _))| {
        ((*name).to_owned(), 0.5 * numbers(case.seed, 10 + purpose as u32, *shape))
    };
    shapes.iter().enumerate().map(matrix).collect()
}

/// Features of the edges, so many for each; none for a width of 0.
fn give_edges(case: &Case, width: usize, parameters: &mut Matrices) {
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
fn check(
    case: &Case,
    scene: &mut Scene,
    layer: impl Layer + Debug + 'static,
    given: &Matrices,
    formula: Formula,
) -> Result<(), TestCaseError> {
    let (name, input) = (format!("{layer:?}"), case.input());
    let expected = formula(&input, given);
    let cotangent = numbers(case.seed, 1, expected.dim());
    let passes = run_given(scene, &input, given, layer, &cotangent);
    assert_near(&format!("{name}: output"), &passes.output, &expected, FORWARD)?;
    let differences = Differences { formula, cotangent: &cotangent };
    let expected = differences.by_input(&input, given);
    assert_near(&format!("{name}: gradient of the input"), &passes.input.unwrap(), &expected, BACKWARD)?;
    let mut gradients = passes.parameters;
    gradients.extend(passes.edges.map(|edges| (EDGES.to_owned(), edges)));
    prop_assert_eq!(gradients.keys().collect::<Vec<_>>(), given.keys().collect::<Vec<_>>());
    for (parameter, gradient) in &gradients {
        let expected = differences.by_parameter(parameter, &input, given);
        assert_near(&format!("{name}: gradient of the {parameter}"), gradient, &expected, BACKWARD)?;
    }
    Ok(())
}

/// An edge as attention sees it, or a self-loop that was added.
struct Arc {
    source: usize,
    target: usize,
    features: Array1<f64>,
}

/// The edges; if nodes attend to themselves, a loop for each in place of those the graph has, with the mean features.
fn arcs(case: &Case, given: &Matrices, self_loops: bool) -> Vec<Arc> {
    let features = given.get(EDGES).cloned().unwrap_or_else(|| Array2::zeros((case.links.len(), 0)));
    let edges = case.links.iter().zip(features.rows());
    let mut arcs: Vec<Arc> = edges
        .filter(|(link, _)| !self_loops || link.source != link.target)
        .map(|(link, features)| Arc { source: link.source, target: link.target, features: features.to_owned() })
        .collect();
    if self_loops {
        let loops: Vec<Arc> = (0..case.node_count)
            .map(|node| {
                let (mut sum, mut count) = (Array1::zeros(features.ncols()), 0);
                for arc in arcs.iter().filter(|arc| arc.target == node) {
                    sum += &arc.features;
                    count += 1;
                }
                Arc { source: node, target: node, features: sum / f64::from(count.max(1)) }
            })
            .collect();
        arcs.extend(loops);
    }
    arcs
}

/// `sum over the arcs to a node of exp(score) value / sum of exp(score)`, for each head.
fn attention(
    rows: usize,
    arcs: &[Arc],
    [heads, columns]: [usize; 2],
    score: impl Fn(&Arc, usize) -> f64,
    value: impl Fn(&Arc) -> Array1<f64>,
) -> Array2<f64> {
    let mut output = Array2::zeros((rows, heads * columns));
    for head in 0..heads {
        let place = s![head * columns..(head + 1) * columns];
        let mut sums = Array1::<f64>::zeros(rows);
        arcs.iter().for_each(|arc| sums[arc.target] += score(arc, head).exp());
        for arc in arcs {
            let weight = score(arc, head).exp() / sums[arc.target];
            let mut row = output.row_mut(arc.target);
            row.slice_mut(place).scaled_add(weight, &value(arc).slice(place));
        }
    }
    output
}

fn mean_of_heads(rows: &Array2<f64>, [heads, columns]: [usize; 2]) -> Array2<f64> {
    let share = 1.0 / heads as f64;
    Array2::from_shape_fn((rows.nrows(), columns), |(row, column)| {
        (0..heads).map(|head| share * rows[[row, head * columns + column]]).sum()
    })
}

/// The part of a row that belongs to a head, times the head's vector.
fn by_head(row: ArrayView1<f64>, vectors: &Array2<f64>, head: usize) -> f64 {
    let columns = vectors.ncols();
    row.slice(s![head * columns..(head + 1) * columns]).dot(&vectors.row(head))
}

/// `features * weight`, zeros for no features.
fn mapped(features: &Array1<f64>, weight: Option<&Array2<f64>>, width: usize) -> Array1<f64> {
    weight.map_or_else(|| Array1::zeros(width), |weight| features.dot(weight))
}

/// The rectifier of the scores, which remembers how near to its kink it came.
struct Leaky {
    slope: f64,
    nearest: Cell<f64>,
}

impl Leaky {
    fn new(slope: f32) -> Self {
        Self { slope: f64::from(slope), nearest: Cell::new(f64::INFINITY) }
    }

    fn at(&self, x: f64) -> f64 {
        self.nearest.set(self.nearest.get().min(x.abs()));
        if x > 0.0 { x } else { self.slope * x }
    }

    /// Whether it stayed far enough from it for differences, and for the rounding of floats.
    fn avoided_kink(&self) -> bool {
        self.nearest.get() > 1e-4
    }
}

/// What the layers with heads can be asked for, beside widths.
#[derive(Clone, Copy, Debug)]
struct Options {
    heads: usize,
    mean: bool,
    edge_width: usize,
    flag: bool,
}

impl Options {
    fn shape(&self, case: &Case) -> [usize; 2] {
        [self.heads, case.output_width]
    }

    fn columns(&self, case: &Case) -> usize {
        self.heads * case.output_width
    }

    fn output_columns(&self, case: &Case) -> usize {
        if self.mean { case.output_width } else { self.columns(case) }
    }

    fn together(&self, case: &Case, heads: Array2<f64>) -> Array2<f64> {
        if self.mean { mean_of_heads(&heads, self.shape(case)) } else { heads }
    }
}

fn options() -> impl Strategy<Value = Options> {
    let flags = (any::<bool>(), any::<bool>());
    (1..=3usize, 0..=2usize, flags).prop_map(|(heads, edge_width, (mean, flag))| Options {
        heads,
        mean,
        edge_width,
        flag,
    })
}

fn gat_conv(case: &Case, options: Options) -> (GatConv, Matrices) {
    let (columns, vectors) = (options.columns(case), (options.heads, case.output_width));
    let layer = GatConv {
        heads: options.heads,
        mean: options.mean,
        edges: options.edge_width > 0,
        self_loops: options.flag,
        ..GatConv::new(case.output_width)
    };
    let mut shapes = vec![
        ("lin.weight", (case.input_width, columns)),
        ("att_src", vectors),
        ("att_dst", vectors),
        ("bias", (1, options.output_columns(case))),
    ];
    if layer.edges {
        shapes.extend([("lin_edge.weight", (options.edge_width, columns)), ("att_edge", vectors)]);
    }
    let mut given = parameters(case, &shapes);
    give_edges(case, options.edge_width, &mut given);
    (layer, given)
}

fn gatv2_conv(case: &Case, options: Options) -> (Gatv2Conv, Matrices) {
    let columns = options.columns(case);
    let layer = Gatv2Conv {
        heads: options.heads,
        mean: options.mean,
        edges: options.edge_width > 0,
        self_loops: options.flag,
        ..Gatv2Conv::new(case.output_width)
    };
    let mut shapes = vec![
        ("lin_l.weight", (case.input_width, columns)),
        ("lin_l.bias", (1, columns)),
        ("lin_r.weight", (case.input_width, columns)),
        ("lin_r.bias", (1, columns)),
        ("att", (options.heads, case.output_width)),
        ("bias", (1, options.output_columns(case))),
    ];
    if layer.edges {
        shapes.push(("lin_edge.weight", (options.edge_width, columns)));
    }
    let mut given = parameters(case, &shapes);
    give_edges(case, options.edge_width, &mut given);
    (layer, given)
}

fn transformer_conv(case: &Case, options: Options, root: bool) -> (TransformerConv, Matrices) {
    let (columns, output_columns) = (options.columns(case), options.output_columns(case));
    let layer = TransformerConv {
        heads: options.heads,
        mean: options.mean,
        beta: options.flag && root,
        root,
        edges: options.edge_width > 0,
        ..TransformerConv::new(case.output_width)
    };
    let mut shapes = vec![
        ("lin_key.weight", (case.input_width, columns)),
        ("lin_key.bias", (1, columns)),
        ("lin_query.weight", (case.input_width, columns)),
        ("lin_query.bias", (1, columns)),
        ("lin_value.weight", (case.input_width, columns)),
        ("lin_value.bias", (1, columns)),
    ];
    if root {
        shapes
            .extend([("lin_skip.weight", (case.input_width, output_columns)), ("lin_skip.bias", (1, output_columns))]);
    }
    if layer.beta {
        shapes.push(("lin_beta.weight", (3 * output_columns, 1)));
    }
    if layer.edges {
        shapes.push(("lin_edge.weight", (options.edge_width, columns)));
    }
    let mut given = parameters(case, &shapes);
    give_edges(case, options.edge_width, &mut given);
    (layer, given)
}

fn res_gated_conv(case: &Case) -> (ResGatedConv, Matrices) {
    let (weight, bias) = ((case.input_width, case.output_width), (1, case.output_width));
    let shapes = [
        ("bias", bias),
        ("lin_key.weight", weight),
        ("lin_key.bias", bias),
        ("lin_query.weight", weight),
        ("lin_query.bias", bias),
        ("lin_value.weight", weight),
        ("lin_value.bias", bias),
        ("lin_skip.weight", weight),
    ];
    (ResGatedConv::new(case.output_width), parameters(case, &shapes))
}

/// `input * W + b`.
fn affine(input: &Array2<f64>, given: &Matrices, name: &str) -> Array2<f64> {
    input.dot(&given[&format!("{name}.weight")]) + &given[&format!("{name}.bias")]
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn gat_conv_is_its_formula(case in cases(), options in options()) {
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
            scene.world.entity_mut(node).remove::<InGraph>();
        }
        let formula = |input: &Array2<f64>, given: &Matrices| {
            let [scores, values] = ["gate_nn", "nn"].map(|name| affine(input, given, name));
            let nodes = (0..case.node_count).filter(|node| belongs(*node));
            let arc = |node| Arc { source: node, target: subgraph(node), features: Array1::zeros(0) };
            let arcs: Vec<Arc> = nodes.map(arc).collect();
            let value = |arc: &Arc| values.row(arc.source).to_owned();
            attention(count, &arcs, [1, case.output_width], |arc, _| scores[[arc.source, 0]], value)
        };
        check(&case, &mut scene, AttentionPooling::new(case.output_width), &given, &formula)?;
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

/// Compares a layer on a graph with one where edges lead to and from an entity that is no node.
fn check_dangling(
    case: &Case,
    width: usize,
    layer: impl Layer + Clone + 'static,
    given: &Matrices,
) -> Result<(), TestCaseError> {
    let mut scene = case.scene();
    let stranger = scene.world.spawn_empty().id();
    let node = scene.nodes[0];
    let ends: [[Entity; 2]; 3] = [[stranger, node], [node, stranger], [stranger, stranger]];
    let dangling = ends.map(|[source, target]| scene.world.spawn(Edge { source, target }).id());
    scene.edges.extend(dangling);
    let mut with_dangling = given.clone();
    if let Some(edges) = with_dangling.get_mut(EDGES) {
        let (known, width) = edges.dim();
        let more = numbers(case.seed, 8, (ends.len(), width));
        *edges = Array2::from_shape_fn((known + ends.len(), width), |(row, column)| match row.checked_sub(known) {
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
    assert_eq!(no_heads, "layer 0: has no heads; give `heads` of at least 1");
    let no_edges = refused(Box::new(Gatv2Conv { edges: true, ..Gatv2Conv::new(1) }));
    assert!(no_edges.contains("reads features of the edges"), "{no_edges}");
    let no_root = refused(Box::new(TransformerConv { root: false, beta: true, ..TransformerConv::new(1) }));
    assert!(no_root.contains("leave out `root: false`"), "{no_root}");
    let all = refused(Box::new(GatConv { dropout: 1.0, ..GatConv::new(1) }));
    assert!(all.contains("dropout of 1"), "{all}");
    let too_many = refused(Box::new(TransformerConv { heads: usize::MAX, ..TransformerConv::new(2) }));
    assert!(too_many.contains("can be counted"), "{too_many}");
}
