//! Layers of deep and recurrent models compute what their formulas say, forward and backward, on any graph, and need no
//! more columns than they must.
//!
//! The formulas are written here a second time, in 64-bit floats with dense matrices, and differentiated by central
//! differences. A failure names the layer and which of its arrays is off, and by how much of its largest number.

use crate::common;

use common::{
    Given, Link, Matrices, Scene, Trial, Watch,
    differences::{Case, Expected, Formula, cases},
    few_cases, numbers, random_matrices, run_layer,
};
use connectome_systems::{
    ModelBuilder,
    kernels::Activation,
    layers::{
        Appnp, BuildError, Dropout, Gcn2Conv, GcnConv, Gcnii, JumpingKnowledge, JumpingMode, Layer, Linear, Residual,
        SgConv,
    },
};
use ndarray::{Array2, Axis, concatenate};
use proptest::prelude::*;

/// Compares a layer with its formula, forward and backward.
fn check(
    case: &Case,
    layer: impl Layer + 'static,
    name: &str,
    parameters: &Matrices,
    formula: Formula,
) -> Result<(), TestCaseError> {
    let input = case.input();
    let cotangent = case.cotangent(formula(&input, parameters).ncols());
    let given = Given { input: input.clone(), parameters: parameters.clone(), ..Given::default() };
    let passes = run_layer(&mut case.scene(), &given, layer, &cotangent).unwrap();
    Expected::of(formula, &input, parameters, &cotangent).check(name, &passes)
}

fn boxed(layer: impl Layer + 'static) -> Box<dyn Layer> {
    Box::new(layer)
}

/// `(1 - beta) P + beta P W` with `P = (1 - alpha) S X + alpha X_0`.
fn gcn2(
    adjacency: &Array2<f64>,
    input: &Array2<f64>,
    initial: &Array2<f64>,
    weight: &Array2<f64>,
    [alpha, beta]: [f64; 2],
) -> Array2<f64> {
    let sums = (1.0 - alpha) * adjacency.dot(input) + alpha * initial;
    (1.0 - beta) * &sums + beta * sums.dot(weight)
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn sg_conv_is_its_formula(case in cases(), hops in 0..4usize) {
        let adjacency = case.symmetric();
        let parameters = random_matrices(case.seed,
            &[("lin.weight", case.input_width, case.output_width), ("lin.bias", 1, case.output_width)],
        );
        let formula = |input: &Array2<f64>, parameters: &Matrices| {
            let sums = (0..hops).fold(input.clone(), |sums, _| adjacency.dot(&sums));
            sums.dot(&parameters["lin.weight"]) + &parameters["lin.bias"]
        };
        check(&case, SgConv::new(case.output_width, hops), "SgConv", &parameters, &formula)?;
    }

    #[test]
    fn appnp_is_its_formula(case in cases(), hops in 0..6usize, alpha in 0.0..=1.0f32) {
        // One layer more, for the input itself is no output to learn from.
        let adjacency = case.symmetric();
        let share = f64::from(alpha);
        let parameters = random_matrices(case.seed, &[("layers.0.weight", case.input_width, case.output_width)]);
        let mut parameters = parameters;
        parameters.insert("layers.0.bias".to_owned(), numbers(case.seed, 20, (1, case.output_width)));
        parameters.insert("shortcut.weight".to_owned(), numbers(case.seed, 21, (case.input_width, case.output_width)));
        let formula = |input: &Array2<f64>, parameters: &Matrices| {
            let first = input.dot(&parameters["layers.0.weight"]) + &parameters["layers.0.bias"];
            let sums = (0..hops)
                .fold(first.clone(), |sums, _| (1.0 - share) * adjacency.dot(&sums) + share * &first);
            sums + input.dot(&parameters["shortcut.weight"])
        };
        let layers = vec![boxed(Linear::new(case.output_width)), boxed(Appnp::new(hops, alpha))];
        check(&case, Residual::new(layers).with_shortcut(), "Appnp", &parameters, &formula)?;
    }

    #[test]
    fn gcn2_conv_is_its_formula(case in cases(), alpha in 0.0..=1.0f32, beta in 0.0..1.5f32) {
        let adjacency = case.symmetric();
        let parameters = random_matrices(case.seed, &[("weight1", case.input_width, case.input_width)]);
        let formula = |input: &Array2<f64>, parameters: &Matrices| {
            gcn2(&adjacency, input, input, &parameters["weight1"], [f64::from(alpha), f64::from(beta)])
        };
        check(&case, Gcn2Conv::new(alpha, beta), "Gcn2Conv", &parameters, &formula)?;
    }

    #[test]
    fn gcnii_is_its_formula(case in cases(), alpha in 0.0..=1.0f32, lambda in 0.1..1.5f32) {
        let (adjacency, width) = (case.symmetric(), case.input_width);
        let names = ["convs.0.weight1", "convs.1.weight1", "convs.2.weight1"];
        let parameters = random_matrices(case.seed, &names.map(|name| (name, width, width)));
        let layers = |input: &Array2<f64>, parameters: &Matrices| {
            let mut before = Vec::new();
            let mut signal = input.clone();
            for (place, name) in names.iter().enumerate() {
                let beta = (f64::from(lambda) / (place + 1) as f64).ln_1p();
                before.push(gcn2(&adjacency, &signal, input, &parameters[*name], [f64::from(alpha), beta]));
                signal = before[place].mapv(|x| x.max(0.0));
            }
            (before, signal)
        };
        let (before, _) = layers(&case.input(), &parameters);
        prop_assume!(before.iter().flatten().all(|number| number.abs() > 1e-4 || *number == 0.0));
        let formula = |input: &Array2<f64>, parameters: &Matrices| layers(input, parameters).1;
        check(&case, Gcnii { alpha, lambda, ..Gcnii::new(3) }, "Gcnii", &parameters, &formula)?;
    }

    #[test]
    fn a_residual_connection_adds_its_input(case in cases()) {
        let width = case.input_width;
        let shapes = [("layers.0.lin.weight", width, 5), ("layers.0.bias", 1, 5), ("layers.2.weight", 5, width),
            ("layers.2.bias", 1, width)];
        let parameters = random_matrices(case.seed, &shapes);
        let adjacency = case.symmetric();
        let formula = |input: &Array2<f64>, parameters: &Matrices| {
            let hidden = adjacency.dot(input).dot(&parameters["layers.0.lin.weight"]) + &parameters["layers.0.bias"];
            input + hidden.mapv(f64::tanh).dot(&parameters["layers.2.weight"]) + &parameters["layers.2.bias"]
        };
        let layers = vec![boxed(GcnConv::new(5)), boxed(Activation::Tanh), boxed(Linear::new(width))];
        check(&case, Residual::new(layers), "Residual", &parameters, &formula)?;
    }

    #[test]
    fn jumping_knowledge_brings_its_blocks_together(case in cases(), takes_max: bool) {
        let width = case.output_width;
        let shapes = [("blocks.0.0.weight", case.input_width, width), ("blocks.0.0.bias", 1, width),
            ("blocks.1.1.weight", width, width), ("blocks.1.1.bias", 1, width),
            ("blocks.2.0.weight", width, width), ("blocks.2.0.bias", 1, width)];
        let parameters = random_matrices(case.seed, &shapes);
        let blocks = |input: &Array2<f64>, parameters: &Matrices| {
            let map = |input: &Array2<f64>, name: &str| {
                input.dot(&parameters[&format!("{name}.weight")]) + &parameters[&format!("{name}.bias")]
            };
            let first = map(input, "blocks.0.0");
            let second = map(&first.mapv(f64::tanh), "blocks.1.1");
            let third = map(&second, "blocks.2.0");
            [first, second, third]
        };
        let far = |a: &Array2<f64>, b: &Array2<f64>| (a - b).iter().all(|number| number.abs() > 1e-4);
        let [first, second, third] = blocks(&case.input(), &parameters);
        prop_assume!(!takes_max || (far(&first, &second) && far(&second, &third) && far(&first, &third)));
        let larger = |a: &Array2<f64>, b: &Array2<f64>| Array2::from_shape_fn(a.dim(), |place| a[place].max(b[place]));
        let formula = |input: &Array2<f64>, parameters: &Matrices| {
            let [first, second, third] = blocks(input, parameters);
            if takes_max {
                larger(&larger(&first, &second), &third)
            } else {
                concatenate(Axis(1), &[first.view(), second.view(), third.view()]).unwrap()
            }
        };
        let parts = vec![
            vec![boxed(Linear::new(width))],
            vec![boxed(Activation::Tanh), boxed(Linear::new(width))],
            vec![boxed(Linear::new(width)), boxed(Dropout(0.0))],
        ];
        let mode = if takes_max { JumpingMode::Max } else { JumpingMode::Concatenate };
        check(&case, JumpingKnowledge::new(mode, parts), "JumpingKnowledge", &parameters, &formula)?;
    }

    /// What comes back is what the mask let through, taken the other way: `<A x, y> = <x, A' y>` for one mask.
    #[test]
    fn appnp_drops_the_same_coefficients_backward_as_forward(case in cases(), rate in 0.05..0.95f32) {
        let (input, cotangent) = (case.input(), case.cotangent(case.input_width));
        let mut scene = case.scene();
        let given = Given { input: input.clone(), ..Given::default() };
        let watch = Watch;
        let layer = Appnp { dropout: rate, ..Appnp::new(3, 0.1) };
        let layers = |model: ModelBuilder| model.layer(layer).layer(watch).layer(Activation::Identity);
        let trial = Trial::build(&mut scene, &given, layers, &cotangent).unwrap();
        let mut earlier = Vec::new();
        for _ in 0..3 {
            let passes = trial.run(&mut scene).unwrap();
            let output = watch.read(&scene, trial.model).unwrap();
            let forward = (&output * &cotangent).sum();
            let backward = (&input * &passes.input.unwrap()).sum();
            let scale = output.iter().fold(1.0, |largest: f64, number| largest.max(number.abs()));
            prop_assert!((forward - backward).abs() < 1e-4 * scale * output.len() as f64, "{forward} and {backward}");
            earlier.push(output);
        }
        let enough = case.node_count >= 6 && (0.3..0.7).contains(&rate);
        prop_assert!(!enough || earlier[0] != earlier[1] || earlier[1] != earlier[2], "the mask never changes");
    }
}

/// A node by itself has one coefficient, of 1: with half of them dropped it is 0 after two hops, or was doubled by each.
#[test]
fn each_hop_of_appnp_drops_coefficients_of_its_own() {
    let mut scene = Scene::new(1, &[]);
    let given = Given { input: Array2::ones((1, 1)), ..Given::default() };
    let layer = Appnp { dropout: 0.5, ..Appnp::new(2, 0.0) };
    let trial = Trial::build(&mut scene, &given, |model| model.layer(layer), &Array2::ones((1, 1))).unwrap();
    let mut met = Vec::new();
    for _ in 0..40 {
        // The gradient is what the input was multiplied by.
        let factor = trial.run(&mut scene).unwrap().input.unwrap()[[0, 0]];
        assert!(factor == 0.0 || factor == 4.0, "{factor}");
        met.push(factor);
    }
    assert!(met.contains(&0.0) && met.contains(&4.0), "{met:?}");
}

fn ring(nodes: usize) -> Vec<Link> {
    (0..nodes).map(|source| Link { source, target: (source + 1) % nodes, weight: None }).collect()
}

/// The columns that a model of this layer has.
fn columns(layer: impl Layer + 'static, learns: bool) -> usize {
    let mut scene = Scene::new(2, &ring(2));
    let mut model = ModelBuilder::new(scene.graph).input_width(4).layer(Linear::new(5)).layer(layer);
    if learns {
        model = model.optimizer(common::STANDSTILL);
    }
    let planned = model.dry_run().unwrap();
    model.build(&mut scene.world).unwrap();
    planned.layout.shapes().count()
}

#[test]
fn inference_of_any_depth_needs_few_columns() {
    for depth in [4, 16, 64] {
        // What the stack begins with and goes back to, two that take turns, and the output, which has one of its own.
        assert_eq!(columns(Gcnii { dropout: 0.5, ..Gcnii::new(depth) }, false), 4);
        assert_eq!(columns(Appnp::new(depth, 0.1), false), 4);
        assert_eq!(columns(SgConv::new(5, depth), false), 3);
    }
}

#[test]
fn residual_connections_and_jumps_give_their_columns_back() {
    let residual = || Residual::new(vec![boxed(Linear::new(5)), boxed(Dropout(0.5)), boxed(Activation::Tanh)]);
    let hands_on = || Residual::new(vec![boxed(Dropout(0.5))]);
    // The value, what a residual connection makes of it in two columns, the largest up to here, and the output's own.
    for depth in [3, 16] {
        let block = (0..depth).flat_map(|_| [residual(), hands_on()]).collect();
        assert_eq!(columns(JumpingKnowledge::new(JumpingMode::Concatenate, [block]), false), 4, "{depth}");
        let blocks: Vec<_> = (0..depth).map(|_| vec![residual(), hands_on()]).collect();
        assert_eq!(columns(JumpingKnowledge::new(JumpingMode::Max, blocks), false), 5, "{depth}");
    }
}

#[test]
fn training_keeps_what_its_way_back_reads() {
    // Without dropout two columns for each layer, for the weights' gradient and the rectifier's.
    let per_layer = (columns(Gcnii::new(40), true) - columns(Gcnii::new(8), true)) / 32;
    assert_eq!(per_layer, 2);
    let dropped = |depth| Gcnii { dropout: 0.5, ..Gcnii::new(depth) };
    assert_eq!((columns(dropped(40), true) - columns(dropped(8), true)) / 32, 2);
    assert_eq!(columns(Appnp::new(64, 0.1), true), columns(Appnp::new(8, 0.1), true));
}

#[test]
fn a_stack_of_64_layers_is_built_in_no_time() {
    let start = std::time::Instant::now();
    columns(Gcnii { dropout: 0.5, ..Gcnii::new(64) }, true);
    println!("64 layers of GCNII are built for training, evaluation and inference in {:?}", start.elapsed());
}

#[test]
fn what_cannot_be_built_is_refused() {
    let refuse = |layer: Box<dyn Layer>, expected: &str| {
        let scene = &mut Scene::new(2, &ring(2));
        let error = ModelBuilder::new(scene.graph).input_width(4).layer(layer).build(&mut scene.world).unwrap_err();
        assert!(matches!(error, BuildError::Layer { layer: 0, .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    };
    refuse(boxed(Residual::<Linear>::new([])), "at least one");
    refuse(boxed(Residual::new([Linear::new(5)])), "`shortcut`");
    refuse(boxed(JumpingKnowledge::<Linear>::new(JumpingMode::Max, [])), "at least one");
    let unequal = [vec![Linear::new(5)], vec![Linear::new(6)]];
    refuse(boxed(JumpingKnowledge::new(JumpingMode::Max, unequal)), "5 and 6 wide");
    refuse(boxed(Gcnii::new(0)), "at least one");
    refuse(boxed(Appnp::new(3, 1.5)), "from 0 to 1");
    refuse(boxed(Appnp { dropout: 1.0, ..Appnp::new(3, 0.5) }), "below 1");
    refuse(boxed(Gcn2Conv::new(f32::NAN, 0.5)), "from 0 to 1");
    refuse(boxed(Gcn2Conv::new(0.1, -0.5)), "at least 0");
}
