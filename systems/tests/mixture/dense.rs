//! A mixture computes what a loop over all experts and all rows would.

use super::*;
use common::STANDSTILL;

/// The weights of a row's experts and the losses of all rows, as their formulas say.
fn weights_of(logits: &[f64], top_k: usize) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    let probabilities: Vec<f64> = logits.iter().map(|logit| logit.exp() / sum).collect();
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|one, other| logits[*other].total_cmp(&logits[*one]));
    let chosen = &order[..top_k];
    let kept: f64 = if top_k == 1 { 1.0 } else { chosen.iter().map(|expert| probabilities[*expert]).sum() };
    let weight = |expert: usize| if chosen.contains(&expert) { probabilities[expert] / kept } else { 0.0 };
    (0..logits.len()).map(weight).collect()
}

/// Balance, importance and z over some rows.
fn losses_of(logits: &[Vec<f64>]) -> [f64; 3] {
    let (experts, count) = (logits[0].len(), logits.len() as f64);
    let mut means = vec![0.0; experts];
    let mut shares = vec![0.0; experts];
    let mut z = 0.0;
    for row in logits {
        let probabilities = weights_of(row, experts);
        means.iter_mut().zip(&probabilities).for_each(|(mean, probability)| *mean += probability / count);
        let first = (0..experts).fold(0, |first, expert| if row[expert] > row[first] { expert } else { first });
        shares[first] += 1.0 / count;
        z += row.iter().map(|logit| logit.exp()).sum::<f64>().ln().powi(2) / count;
    }
    let width = experts as f64;
    let balance = width * shares.iter().zip(&means).map(|(share, mean)| share * mean).sum::<f64>();
    let mean = means.iter().sum::<f64>() / width;
    let variance = means.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / width;
    [balance, variance / mean.powi(2), z]
}

/// The gradient of the losses with respect to logit `expert` of row `row`, with the shares held fixed.
fn slope(logits: &[Vec<f64>], [row, expert]: [usize; 2], objective: impl Fn(&[Vec<f64>]) -> f64) -> f64 {
    let step = 1e-6;
    let moved = |by: f64| {
        let mut moved = logits.to_vec();
        moved[row][expert] += by;
        objective(&moved)
    };
    (moved(step) - moved(-step)) / (2.0 * step)
}

fn rows_of(values: &[f32], width: usize) -> Vec<Vec<f64>> {
    values.chunks_exact(width).map(|row| row.iter().map(|value| f64::from(*value)).collect()).collect()
}

/// The experts of a mixture as models of the world itself, each of which has inferred all rows.
fn experts_on_all_rows(corpus: &mut Corpus, experts: usize) -> Vec<Entity> {
    let spawn = |index: u64| {
        let expert = corpus.expert(STANDSTILL).seed(corpus.seed.wrapping_add(index)).external_gradient();
        let model = corpus.scene.world.spawn_model(expert).unwrap();
        corpus.scene.world.infer(model).unwrap();
        model
    };
    (0..experts as u64).map(spawn).collect()
}

fn check(rows: Rows, mixing: Mixing, [experts, top_k, graphs]: [usize; 3], seed: u64) {
    let mut corpus = Corpus::new(graphs, rows, seed);
    let builder = corpus.builder(experts, STANDSTILL).top_k(top_k).mixing(mixing);
    let mixture = corpus.spawn(builder);
    let dense = experts_on_all_rows(&mut corpus, experts);
    let world = &mut corpus.scene.world;
    world.train(mixture).unwrap();

    let gate = component(world, mixture).gate;
    let logits = rows_of(&output(world, gate), experts);
    let predicted: Vec<Vec<Vec<f64>>> = dense.iter().map(|model| rows_of(&output(world, *model), OUTPUTS)).collect();
    let weights: Vec<Vec<f64>> = logits.iter().map(|logits| weights_of(logits, top_k)).collect();
    let outputs = if rows == Rows::Members { corpus.of.len() } else { logits.len() };
    let chosen = |row: usize| if rows == Rows::Members { corpus.of[row] } else { row };
    // Of a row, with another output of one of the experts.
    let mix = |weights: &[Vec<f64>], row: usize, other: Option<(usize, &[f64])>| -> Vec<f64> {
        let mut sum = vec![0.0; OUTPUTS];
        for (expert, weight) in weights[chosen(row)].iter().enumerate() {
            let predicted =
                other.filter(|(other, _)| *other == expert).map_or(&predicted[expert][row][..], |(_, row)| row);
            let values = if mixing == Mixing::Values { predicted.to_vec() } else { weights_of(predicted, OUTPUTS) };
            sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
        }
        if mixing == Mixing::Probabilities { sum.into_iter().map(f64::ln).collect() } else { sum }
    };
    let expected: Vec<f32> = (0..outputs).flat_map(|row| mix(&weights, row, None)).map(|value| value as f32).collect();
    assert_close(&output(world, mixture), &expected, "the output");
    let field = component(world, mixture).weights;
    let found: Vec<f32> = field.matrix(world).rows().flatten().copied().collect();
    assert_close(&found, &weights.concat().iter().map(|weight| *weight as f32).collect::<Vec<_>>(), "the weights");

    // Of the rows that are trained; subgraphs have no split where nodes are predicted.
    let is_train = |row: &usize| rows == Rows::Members || row % 5 != 4;
    let trained: Vec<usize> = (0..logits.len()).filter(is_train).collect();
    let select = |logits: &[Vec<f64>]| trained.iter().map(|row| logits[*row].clone()).collect::<Vec<_>>();
    let losses = losses_of(&select(&logits));
    let found = component(world, mixture).losses;
    assert_close(&[found.balance, found.importance, found.z], &losses.map(|loss| loss as f32), "the losses");

    let gradient = world.get::<Model>(mixture).unwrap().output_gradient.unwrap();
    let cotangent: Vec<f32> = gradient.matrix(world).rows().flatten().copied().collect();
    let along = |row: usize, mixed: &[f64]| -> f64 {
        mixed.iter().zip(&cotangent[row * OUTPUTS..]).map(|(value, slope)| value * f64::from(*slope)).sum()
    };
    let objective = |moved: &[Vec<f64>]| {
        let weights: Vec<Vec<f64>> = moved.iter().map(|logits| weights_of(logits, top_k)).collect();
        let mixed: f64 = (0..outputs).map(|row| along(row, &mix(&weights, row, None))).sum();
        let [balance, importance, z] = losses_of(&select(moved));
        mixed + 0.3 * balance + 0.2 * importance + 0.1 * z
    };
    let cells = (0..logits.len()).flat_map(|row| (0..experts).map(move |expert| [row, expert]));
    let expected: Vec<f32> = cells.map(|cell| slope(&logits, cell, objective) as f32).collect();
    let gradient = world.get::<Model>(gate).unwrap().output_gradient.unwrap();
    let found: Vec<f32> = gradient.matrix(world).rows().flatten().copied().collect();
    assert_close(&found, &expected, "the gradient of the logits");

    // What flows into an expert is what flows into the same model on all rows. Where probabilities are mixed it is a difference of
    // what flows into the mixture.
    let terms = cotangent.iter().fold(1e-2f32, |most, value| most.max(value.abs()));
    for (index, model) in dense.iter().enumerate() {
        let to = world.get::<Model>(*model).unwrap().output_gradient.unwrap();
        let cotangent = Array2::from_shape_fn((outputs, OUTPUTS), |(row, column)| {
            let [more, less] = [1e-6, -1e-6].map(|step| {
                let mut moved = predicted[index][row].clone();
                moved[column] += step;
                along(row, &mix(&weights, row, Some((index, &moved))))
            });
            (more - less) / 2e-6
        });
        assert_eq!(to.width(), OUTPUTS);
        common::seed_cotangent(world, *model, &cotangent).unwrap();
        world.train(*model).unwrap();
        let expected = read(world, *model, |parameter| parameter.gradient);
        if component(world, mixture).experts[index].rows == 0 {
            continue;
        }
        let (own, model) = expert_world(world, mixture, index).unwrap();
        for ((name, found), (_, expected)) in read(own, model, |parameter| parameter.gradient).iter().zip(&expected) {
            let what = format!("the gradient of {name} of expert {index}");
            assert_close_in_sums(found, expected, terms, &what);
        }
    }
}

/// Experts that compete minimize the negative logarithm of the sum of what each of them makes likely.
fn check_competition(rows: Rows, [experts, graphs]: [usize; 2], sharpness: f32, seed: u64) {
    let mut corpus = Corpus::new(graphs, rows, seed);
    let builder = corpus.builder(experts, STANDSTILL).top_k(1).competition(sharpness);
    let mixture = corpus.spawn(builder);
    let dense = experts_on_all_rows(&mut corpus, experts);
    let world = &mut corpus.scene.world;
    world.train(mixture).unwrap();
    let gate = component(world, mixture).gate;
    let logits = rows_of(&output(world, gate), experts);
    let predicted: Vec<Vec<Vec<f64>>> = dense.iter().map(|model| rows_of(&output(world, *model), OUTPUTS)).collect();
    let outputs = if rows == Rows::Members { corpus.of.len() } else { logits.len() };
    let chosen = |row: usize| if rows == Rows::Members { corpus.of[row] } else { row };
    let target = |row: usize, column: usize| f64::from(number(seed, 50_000 + 2 * row + column));
    // In sums over rows; the losses of the gate are added below.
    let likelihood = |logits: &[Vec<f64>], predicted: &[Vec<Vec<f64>>]| -> f64 {
        let mut losses = vec![vec![0.0; experts]; logits.len()];
        let mut is_learned = vec![false; logits.len()];
        for row in (0..outputs).filter(|row| row % 5 != 4) {
            is_learned[chosen(row)] = true;
            for (expert, predicted) in predicted.iter().enumerate() {
                let errors = (0..OUTPUTS).map(|column| predicted[row][column] - target(row, column));
                losses[chosen(row)][expert] += errors.map(|error| error * error).sum::<f64>();
            }
        }
        let learned = (0..logits.len()).filter(|row| is_learned[*row]);
        let of_row = |row: usize| {
            let terms = weights_of(&logits[row], experts).into_iter().zip(&losses[row]);
            -terms.map(|(weight, loss)| weight * (-f64::from(sharpness) * loss).exp()).sum::<f64>().ln()
        };
        learned.map(of_row).sum()
    };
    let learned = (0..outputs).filter(|row| row % 5 != 4);
    let rows_learned: std::collections::BTreeSet<usize> = learned.clone().map(chosen).collect();
    let terms = (OUTPUTS * learned.count()) as f64;

    let is_train = |row: &usize| rows == Rows::Members || row % 5 != 4;
    let trained: Vec<usize> = (0..logits.len()).filter(is_train).collect();
    let objective = |moved: &[Vec<f64>]| {
        let select: Vec<Vec<f64>> = trained.iter().map(|row| moved[*row].clone()).collect();
        let [balance, importance, z] = losses_of(&select);
        likelihood(moved, &predicted) / rows_learned.len() as f64 + 0.3 * balance + 0.2 * importance + 0.1 * z
    };
    let cells = (0..logits.len()).flat_map(|row| (0..experts).map(move |expert| [row, expert]));
    let expected: Vec<f32> = cells.map(|cell| slope(&logits, cell, objective) as f32).collect();
    let gradient = world.get::<Model>(gate).unwrap().output_gradient.unwrap();
    let found: Vec<f32> = gradient.matrix(world).rows().flatten().copied().collect();
    assert_close(&found, &expected, "the gradient of the logits");

    for (index, model) in dense.iter().enumerate() {
        let cotangent = Array2::from_shape_fn((outputs, OUTPUTS), |(row, column)| {
            let [more, less] = [1e-5, -1e-5].map(|step| {
                let mut moved = predicted.clone();
                moved[index][row][column] += step;
                likelihood(&logits, &moved)
            });
            (more - less) / 2e-5 / (f64::from(sharpness) * terms)
        });
        common::seed_cotangent(world, *model, &cotangent).unwrap();
        world.train(*model).unwrap();
        let expected = read(world, *model, |parameter| parameter.gradient);
        assert_eq!(component(world, mixture).experts[index].rows, logits.len(), "all experts learn all rows");
        let (own, model) = expert_world(world, mixture, index).unwrap();
        for ((name, found), (_, expected)) in read(own, model, |parameter| parameter.gradient).iter().zip(&expected) {
            assert_close_in_sums(found, expected, 1.0, &format!("the gradient of {name} of expert {index}"));
        }
    }
    // Trained or not, each row is told by one expert.
    world.infer(mixture).unwrap();
    let told: usize = component(world, mixture).experts.iter().map(|expert| expert.rows).sum();
    assert_eq!(told, logits.len());
}

proptest! {
    #![proptest_config(few_cases())]

    #[test]
    fn competing_experts_share_rows_by_their_posteriors(
        experts in 1..4usize, graphs in 2..9usize, sharpness in 0.1..4.0f32, rows in 0..3usize, seed in 0..1000u64,
    ) {
        check_competition([Rows::Subgraphs, Rows::Nodes, Rows::Members][rows], [experts, graphs], sharpness, seed);
    }

    #[test]
    fn a_mixture_over_graphs_is_a_loop_over_experts(
        experts in 1..5usize, top_k in 0..4usize, graphs in 1..9usize, seed in 0..1000u64,
    ) {
        check(Rows::Subgraphs, Mixing::Values, [experts, 1 + top_k % experts, graphs], seed);
    }

    #[test]
    fn a_mixture_of_probabilities_is_a_loop_over_experts(
        experts in 1..5usize, top_k in 0..4usize, graphs in 1..9usize, seed in 0..1000u64,
    ) {
        check(Rows::Subgraphs, Mixing::Probabilities, [experts, 1 + top_k % experts, graphs], seed);
    }

    #[test]
    fn a_mixture_of_predictions_of_nodes_over_graphs_is_a_loop_over_experts(
        experts in 1..4usize, top_k in 0..3usize, graphs in 1..7usize, seed in 0..1000u64,
    ) {
        check(Rows::Members, Mixing::Values, [experts, 1 + top_k % experts, graphs], seed);
    }

    #[test]
    fn a_mixture_over_nodes_is_a_loop_over_experts(
        experts in 1..4usize, top_k in 0..3usize, graphs in 1..5usize, seed in 0..1000u64,
    ) {
        check(Rows::Nodes, Mixing::Values, [experts, 1 + top_k % experts, graphs], seed);
    }
}
