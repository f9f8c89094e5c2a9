//! Every layer computes what its formula says, forward and backward, on any graph.
//!
//! The formula is written here a second time, in 64-bit floats with a dense adjacency made by its definition, and is
//! differentiated by central differences. The graphs have empty edge sets, isolated nodes, self-loops, parallel edges,
//! weights that cancel, and single nodes. A failure names the layer and which of output, input gradient and parameter
//! gradient is off, and by how much of its largest number.

use crate::common;

use common::{
    Given, Matrices, Passes, Scene, Trial, Watch,
    differences::{BACKWARD, Case, Expected, FORWARD, Formula, assert_near, cases},
    few_cases, run_layer,
};
use connectome_components::{ClassLabel, FeatureField, Split};
use connectome_systems::{
    Infer, ModelBuilder, Train,
    kernels::Activation,
    layers::{Dropout, GcnConv, Layer, Linear, MeanConv},
    run,
};
use ndarray::Array2;
use proptest::prelude::*;

/// Compares a layer with its formula, forward and backward.
fn check(
    case: &Case,
    layer: impl Layer + std::fmt::Debug + 'static,
    input: &Array2<f64>,
    parameters: &Matrices,
    formula: Formula,
) -> Result<(), TestCaseError> {
    let name = format!("{layer:?}");
    let cotangent = case.cotangent(formula(input, parameters).ncols());
    let given = Given { input: input.clone(), parameters: parameters.clone(), ..Given::default() };
    let passes = run_layer(&mut case.scene(), &given, layer, &cotangent).unwrap();
    Expected::of(formula, input, parameters, &cotangent).check(&name, &passes)
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
        run_layer(&mut case.scene(), &given, layer.clone(), &cotangent).unwrap()
    };
    let (sparse, dense) = (pass(true), pass(false));
    assert_near(&format!("{layer:?}: output from sparse"), &sparse.output, &dense.output, FORWARD)?;
    prop_assert_eq!(sparse.parameters.len(), 2);
    for (name, gradient) in &sparse.parameters {
        let what = format!("{layer:?}: gradient of the {name} from sparse");
        // Sums over many rows in another order.
        assert_near(&what, gradient, &dense.parameters[name], BACKWARD)?;
    }
    Ok(())
}

fn affine(input: &Array2<f64>, parameters: &Matrices) -> Array2<f64> {
    let weight = parameters.get("weight").unwrap_or_else(|| &parameters["lin.weight"]);
    input.dot(weight) + &parameters["bias"]
}

fn leaky(x: f64, slope: f64) -> f64 {
    if x > 0.0 { x } else { slope * x }
}

/// Whether every number is far enough from the kink of a rectifier for differences, and for the rounding of floats.
fn avoids_kink(numbers: &Array2<f64>) -> bool {
    numbers.iter().all(|number| number.abs() > 1e-4)
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn linear_is_its_formula(case in cases()) {
        check(&case, Linear::new(case.output_width), &case.input(), &case.parameters("weight"), &affine)?;
    }

    #[test]
    fn graph_conv_is_its_formula(case in cases()) {
        let adjacency = case.symmetric();
        let formula = |input: &Array2<f64>, parameters: &Matrices| affine(&adjacency.dot(input), parameters);
        check(&case, GcnConv::new(case.output_width), &case.input(), &case.parameters("lin.weight"), &formula)?;
    }

    #[test]
    fn message_passing_is_its_formula(case in cases()) {
        let adjacency = case.mean();
        let sums = |input: &Array2<f64>, parameters: &Matrices| affine(&adjacency.dot(input), parameters);
        let parameters = case.parameters("lin.weight");
        prop_assume!(avoids_kink(&sums(&case.input(), &parameters)));
        let formula = |input: &Array2<f64>, parameters: &Matrices| sums(input, parameters).mapv(|x| leaky(x, 0.01));
        check(&case, MeanConv::new(case.output_width), &case.input(), &parameters, &formula)?;
    }

    #[test]
    fn activations_are_their_formulas(case in cases(), parameter in 0.05..2.0f32, reach in 0.5..6.0f64) {
        let input = reach * case.input();
        prop_assume!(avoids_kink(&input));
        for (activation, function) in activations(parameter) {
            let formula = |input: &Array2<f64>, _: &Matrices| input.mapv(&function);
            check(&case, activation, &input, &Matrices::new(), &formula)?;
        }
    }

    #[test]
    fn sparse_signals_give_what_dense_ones_give(case in cases()) {
        check_sparse(&case, Linear::new(case.output_width), case.parameters("weight"))?;
        check_sparse(&case, GcnConv::new(case.output_width), case.parameters("lin.weight"))?;
        check_sparse(&case, MeanConv::new(case.output_width), case.parameters("lin.weight"))?;
    }

    #[test]
    fn dropout_drops_the_same_numbers_backward_as_forward(case in cases(), rate in 0.05..0.95f32) {
        let (input, cotangent) = (case.input(), case.cotangent(case.input_width));
        let mut scene = case.scene();
        let given = Given { input: input.clone(), ..Given::default() };
        let watch = Watch;
        let layers = |model: ModelBuilder| model.layer(Dropout(rate)).layer(watch).layer(Activation::Identity);
        let trial = Trial::build(&mut scene, &given, layers, &cotangent).unwrap();
        let mut earlier = Vec::new();
        for _ in 0..3 {
            let passes = trial.run(&mut scene).unwrap();
            prop_assert_eq!(&passes.output, &input, "inference drops nothing");
            let forward = watch.read(&scene, trial.model).unwrap() / &input;
            let backward = passes.input.unwrap() / &cotangent;
            assert_near("the mask backward", &backward, &forward, FORWARD)?;
            let scale = 1.0 / (1.0 - f64::from(rate));
            // The share that is dropped is rounded to 16 bits.
            let known = |factor: &f64| *factor == 0.0 || (factor / scale - 1.0).abs() < 1e-3;
            prop_assert!(forward.iter().all(known), "{rate}: {forward}");
            earlier.push(forward);
        }
        let enough = input.len() >= 20 && (0.3..0.7).contains(&rate);
        prop_assert!(!enough || earlier[0] != earlier[1] || earlier[1] != earlier[2], "the mask never changes");
    }

    #[test]
    fn dropout_of_a_sparse_signal_reaches_the_weight_gradient(case in cases(), rate in 0.05..0.95f32) {
        let (input, width) = (case.sparse_input(), case.input_width);
        let cotangent = case.cotangent(width);
        let mut scene = case.scene();
        // The weight is the identity, so the output is what was left of the input.
        let parameters = Matrices::from([("weight".to_owned(), Array2::eye(width))]);
        let given = Given { input: input.clone(), sparse: true, parameters, edges: None };
        let watch = Watch;
        let layers = |model: ModelBuilder| model.layer(Dropout(rate)).layer(Linear::new(width)).layer(watch);
        let trial = Trial::build(&mut scene, &given, layers, &cotangent).unwrap();
        let passes = trial.run(&mut scene).unwrap();
        prop_assert_eq!(&passes.output, &input, "inference drops nothing");
        let kept = watch.read(&scene, trial.model).unwrap();
        assert_near("gradient of the weight", &passes.parameters["weight"], &kept.t().dot(&cotangent), FORWARD)?;
    }
}

type Function = Box<dyn Fn(f64) -> f64>;

fn activations(parameter: f32) -> Vec<(Activation, Function)> {
    let wide = f64::from(parameter);
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    vec![
        (Activation::Identity, Box::new(|x| x)),
        (Activation::Relu, Box::new(|x| x.max(0.0))),
        (Activation::LeakyRelu(parameter), Box::new(move |x| leaky(x, wide))),
        (Activation::Elu(parameter), Box::new(move |x| if x > 0.0 { x } else { wide * x.exp_m1() })),
        (Activation::Gelu, Box::new(|x| 0.5 * x * (1.0 + error_function(x / 2f64.sqrt())))),
        (Activation::Sigmoid, Box::new(sigmoid)),
        (Activation::Silu, Box::new(move |x| x * sigmoid(x))),
        (Activation::Softplus, Box::new(|x| x.exp().ln_1p())),
        (Activation::Tanh, Box::new(f64::tanh)),
    ]
}

/// `erf x = 2/sqrt(pi) exp(-x^2) sum 2^n x^(2n+1) / (1 3 5 ... (2n+1))`, all terms of one sign.
fn error_function(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..200 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[test]
fn the_error_function_takes_its_tabulated_values() {
    for (x, value) in [(0.5, 0.520_499_877_813), (1.0, 0.842_700_792_950), (-2.0, -0.995_322_265_019)] {
        assert!((error_function(x) - value).abs() < 1e-12, "erf {x} = {}", error_function(x));
    }
}

/// A word that came after the model was built, or a category that it does not know.
#[test]
fn columns_that_the_weights_do_not_have_count_for_nothing() {
    let mut scene = Scene::new(2, &[]);
    let input = scene.sparse(&Array2::eye(2)).unwrap();
    let FeatureField::Sparse { indices: columns, .. } = input else { unreachable!("the signal is sparse") };
    for (node, column) in scene.nodes.clone().into_iter().zip([1, u32::MAX]) {
        columns.set(&mut scene.world, node, &[column]).unwrap();
    }
    let model = ModelBuilder::new(scene.graph).input(input).layer(Linear::new(1));
    let model = model.optimizer(common::STANDSTILL).build(&mut scene.world).unwrap();
    let weight = Matrices::from([("weight".to_owned(), ndarray::array![[5.0], [7.0]])]);
    scene.set_parameters(model, &weight).unwrap();
    for node in scene.nodes.clone() {
        scene.world.entity_mut(node).insert((ClassLabel(0), Split::Train));
    }
    run(&mut scene.world, Train(model)).unwrap();
    run(&mut scene.world, Infer(model)).unwrap();
    assert_eq!(scene.output(model).unwrap(), ndarray::array![[7.0], [0.0]]);
}
