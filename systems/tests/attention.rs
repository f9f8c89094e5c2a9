//! Layers that attend to neighbours compute what their formulas say, forward and backward, on any graph.
//!
//! As in the test of gradients, each formula is written a second time: in 64-bit floats, arc by arc, without the tricks
//! that keep exponentials small. It is differentiated by central differences, by the features of the edges as well.

mod common;

use bevy_ecs::entity::Entity;
use common::{
    Given, Matrices, Passes, Scene,
    differences::{BACKWARD, Case, Differences, FORWARD, Formula, assert_near, cases},
    few_cases, numbers, run_layer,
};
use connectome_components::Edge;
use connectome_systems::layers::{GatConv, Layer};
use ndarray::{Array1, Array2, ArrayView1, s};
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
    fn dangling_edges_carry_nothing(case in cases(), options in options()) {
        let (layer, given) = gat_conv(&case, options);
        check_dangling(&case, options.output_columns(&case), layer, &given)?;
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
        let width = edges.ncols();
        edges.append(ndarray::Axis(0), numbers(case.seed, 8, (ends.len(), width)).view()).unwrap();
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
        let (edges, dangling) = found.view().split_at(ndarray::Axis(0), plain.nrows());
        assert_near("gradient of the edges", &edges.to_owned(), &plain, FORWARD)?;
        prop_assert!(dangling.iter().all(|number| *number == 0.0), "{dangling}");
    }
    Ok(())
}
