//! Perceptrons, batch normalization, readouts and embeddings.

use super::{
    common::{
        Given, Matrices, Scene, Trial, Watch,
        differences::{Case, FORWARD, assert_near, cases},
        few_cases, run_layer,
    },
    dense::*,
};
use bevy_ecs::entity::Entity;
use connectome_components::{InSubgraph, Subgraph};
use connectome_systems::{
    ModelBuilder,
    kernels::Activation,
    layers::{BatchNorm, Embedding, Mlp, Readout},
};
use ndarray::{Array2, Axis};
use proptest::prelude::*;

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
        let (mut scene, watch) = (case.scene(), Watch);
        let cotangent = case.cotangent(case.input_width);
        let build = |model: ModelBuilder| model.layer(BatchNorm::new()).layer(watch);
        let trial = Trial::build(&mut scene, &given, build, &cotangent).unwrap();
        let passes = trial.run(&mut scene).unwrap();
        assert_near("output", &passes.output, &by_running(&given), FORWARD)?;
        assert_near("output in training", &watch.read(&scene, trial.model).unwrap(), &by_batch(&given), FORWARD)?;
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
    fn readouts_are_their_formula(case in cases(), count in 1..5usize) {
        prop_assume!(are_apart(&case.input()));
        // The last one of them stands for nodes that are in none.
        let groups: Vec<Option<usize>> = (0..case.node_count)
            .map(|node| Some((case.seed as usize >> node) % (count + 1)).filter(|group| *group < count))
            .collect();
        let choices: [(Readout, Choice); 3] =
            [(Readout::Sum, total), (Readout::Mean, mean), (Readout::Max, largest)];
        for (readout, choose) in choices {
            let mut scene = scene_of(&case);
            scene.subgraphs = (0..count).map(|_| scene.world.spawn(Subgraph).id()).collect();
            for (node, group) in scene.nodes.iter().zip(&groups) {
                if let Some(group) = group {
                    scene.world.entity_mut(*node).insert(InSubgraph(scene.subgraphs[*group]));
                }
            }
            let given = Given { input: case.input(), ..Given::default() };
            check(&case, &mut scene, readout, &given, &|given| fold(&given.input, &groups, count, choose))?;
        }
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
    let (mut scene, watch) = (case.scene(), Watch);
    let build = |model: ModelBuilder| model.layer(BatchNorm::new()).layer(watch);
    let trial = Trial::build(&mut scene, &given, build, &case.cotangent(3)).unwrap();
    trial.run(&mut scene).unwrap();
    assert_near("output", &watch.read(&scene, trial.model).unwrap(), &normalized(&given.input), FORWARD).unwrap();
    let expected = 0.9 + 0.1 * given.input.var_axis(Axis(0), 1.0).insert_axis(Axis(0));
    assert_near("variance", &statistic(&scene, trial.model, "running_var"), &expected, FORWARD).unwrap();
}

#[test]
fn batch_norm_of_one_row_is_the_bias_and_leaves_the_running_variance() {
    let case = Case { node_count: 1, links: Vec::new(), input_width: 3, output_width: 3, seed: 7 };
    let bias = Array2::from_shape_fn((1, 3), |(_, column)| column as f64);
    let parameters = Matrices::from([("bias".to_owned(), bias.clone())]);
    let given = Given { input: case.input(), parameters, ..Given::default() };
    let (mut scene, watch) = (case.scene(), Watch);
    let build = |model: ModelBuilder| model.layer(BatchNorm::new()).layer(watch);
    let trial = Trial::build(&mut scene, &given, build, &case.cotangent(3)).unwrap();
    trial.run(&mut scene).unwrap();
    assert_eq!(watch.read(&scene, trial.model).unwrap(), bias);
    assert_eq!(statistic(&scene, trial.model, "running_var"), Array2::<f64>::ones((1, 3)));
}
