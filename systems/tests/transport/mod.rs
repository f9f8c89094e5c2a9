//! Optimal transport: plans are proved optimal by their potentials, gradients are the finite differences of plain
//! implementations in 64 bits, and nothing depends on the number of workers.
//!
//! Reference values are in `tests/reference`.

mod structure;

use connectome_systems::{
    Workers,
    transport::{Entropic, Problem, Sinkhorn, TransportError, entropic_partial, exact, exact_partial},
};
use proptest::{collection::vec, prelude::*};

/// Masses of which some are 0, all of total 1.
fn masses(count: usize) -> impl Strategy<Value = Vec<f32>> {
    (vec(0..6_u32, count), 0..count, any::<bool>()).prop_map(move |(mut masses, positive, is_uniform)| {
        masses[positive] += 1;
        let masses = if is_uniform { vec![1; count] } else { masses };
        let total: u32 = masses.iter().sum();
        masses.into_iter().map(|mass| mass as f32 / total as f32).collect()
    })
}

#[derive(Clone, Debug)]
struct Given {
    cost: Vec<f32>,
    source: Vec<f32>,
    target: Vec<f32>,
}

impl Given {
    fn problem(&self) -> Problem<'_> {
        Problem { cost: &self.cost, source: &self.source, target: &self.target }
    }
}

/// Costs with ties, some negative.
fn problems(largest: usize) -> impl Strategy<Value = Given> {
    (1..=largest, 1..=largest).prop_flat_map(|(rows, columns)| {
        let costs = prop_oneof![(-3..4_i32).prop_map(|cost| cost as f32), -2.0..3.0_f32];
        (vec(costs, rows * columns), masses(rows), masses(columns)).prop_map(|(cost, source, target)| Given {
            cost,
            source,
            target,
        })
    })
}

/// The sums of the rows and of the columns of a plan.
fn marginals(plan: &[f32], columns: usize) -> [Vec<f64>; 2] {
    let wide = |mass: &f32| f64::from(*mass);
    let rows = plan.chunks_exact(columns).map(|row| row.iter().map(wide).sum()).collect();
    let columns = (0..columns).map(|j| plan.iter().skip(j).step_by(columns).map(wide).sum()).collect();
    [rows, columns]
}

fn largest_difference(found: &[f64], expected: &[f32]) -> f64 {
    found.iter().zip(expected).map(|(found, expected)| (found - f64::from(*expected)).abs()).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// By duality: potentials whose sums are at most the cost prove that nothing is below their value.
    #[test]
    fn potentials_prove_that_exact_plans_are_optimal(given in problems(12)) {
        let columns = given.target.len();
        let found = exact(given.problem()).unwrap();
        prop_assert!(found.plan.iter().all(|mass| *mass >= 0.0));
        prop_assert!(found.plan.iter().filter(|mass| **mass > 0.0).count() < given.source.len() + columns);
        let [rows, sums] = marginals(&found.plan, columns);
        prop_assert!(largest_difference(&rows, &given.source) < 1e-6);
        prop_assert!(largest_difference(&sums, &given.target) < 1e-6);
        for (index, (cost, mass)) in given.cost.iter().zip(&found.plan).enumerate() {
            let bound = found.source_potentials[index / columns] + found.target_potentials[index % columns];
            prop_assert!(bound <= f64::from(*cost) + 1e-9);
            prop_assert!(*mass == 0.0 || (bound - f64::from(*cost)).abs() < 1e-9);
        }
    }

    /// Of two masses of one unit each and three places, by trying all pairs.
    #[test]
    fn a_part_of_the_mass_goes_where_it_is_cheapest(cost in vec(-2.0..3.0_f32, 6)) {
        let problem = Problem { cost: &cost, source: &[1.0; 2], target: &[1.0; 3] };
        let least = cost.iter().copied().fold(f32::INFINITY, f32::min);
        let found = exact_partial(problem, 1.0).unwrap();
        prop_assert!((found.value - f64::from(least)).abs() < 1e-6);
        let pairs = (0..3).flat_map(|one| (0..3).filter(move |other| *other != one).map(move |other| [one, other]));
        let both = pairs.map(|[one, other]| cost[one] + cost[3 + other]).fold(f32::INFINITY, f32::min);
        prop_assert!((exact_partial(problem, 2.0).unwrap().value - f64::from(both)).abs() < 1e-6);
    }

    #[test]
    fn entropic_plans_approach_the_exact_ones(given in problems(6)) {
        let workers = Workers::single();
        let exact = exact(given.problem()).unwrap();
        let found = Sinkhorn::to_tolerance(0.02, 1e-4, 20_000).solve(given.problem(), &workers).unwrap();
        let [rows, columns] = marginals(&found.plan, given.target.len());
        prop_assert!(largest_difference(&columns, &given.target) < 1e-5);
        if found.is_converged {
            prop_assert!(largest_difference(&rows, &given.source) < 2e-4);
            // The entropy of a plan of mass 1 is at most the logarithm of the number of its elements.
            let slack = 0.02 * (given.cost.len() as f64).ln() + 1e-3;
            prop_assert!(found.value >= exact.value - 1e-3 && found.value <= exact.value + slack);
        }
        let part = entropic_partial(given.problem(), 0.5, 0.05, (1e-5, 20_000), &workers).unwrap();
        let [rows, columns] = marginals(&part.plan, given.target.len());
        prop_assert!((rows.iter().sum::<f64>() - 0.5).abs() < 1e-4);
        let is_below = |found: &[f64], most: &[f32]| {
            found.iter().zip(most).all(|(found, most)| *found <= f64::from(*most) + 1e-3)
        };
        if part.is_converged {
            prop_assert!(is_below(&rows, &given.source) && is_below(&columns, &given.target));
        }
    }

    #[test]
    fn gradients_go_through_all_rounds(
        given in problems(5),
        cotangent in vec(-1.0..1.0_f32, 25),
        rounds in 1..12_usize,
        rho in prop_oneof![Just(None), (0.1..2.0_f32).prop_map(Some)],
    ) {
        let workers = Workers::single();
        let cotangent = &cotangent[..given.cost.len()];
        let solver = Sinkhorn::new(0.3, rounds);
        let solver = rho.map_or(solver, |rho| solver.unbalanced(rho));
        let found = solver.solve(given.problem(), &workers).unwrap();
        let gradient = solver.gradient(given.problem(), &found, cotangent, &workers).unwrap();
        let cost: Vec<f64> = given.cost.iter().map(|cost| f64::from(*cost)).collect();
        let total = |cost: &[f64]| -> f64 {
            let plan = plain_sinkhorn(cost, &given, 0.3, rounds, rho);
            plan.iter().zip(cotangent).map(|(mass, factor)| mass * f64::from(*factor)).sum()
        };
        // Terms of up to one over the regularization, in 32 bits, may all but cancel.
        let largest = gradient.iter().fold(0.02, |largest: f64, one| largest.max(f64::from(one.abs())));
        for index in 0..cost.len() {
            let moved = |step: f64| {
                let mut cost = cost.clone();
                cost[index] += step;
                total(&cost)
            };
            let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            prop_assert!((f64::from(gradient[index]) - expected).abs() < 1e-4 * largest, "{index}: {expected}");
        }
    }
}

fn plain_sinkhorn(cost: &[f64], given: &Given, epsilon: f32, rounds: usize, rho: Option<f32>) -> Vec<f64> {
    let (epsilon, columns) = (f64::from(epsilon), given.target.len());
    let relaxation = rho.map_or(1.0, |rho| f64::from(rho) / (f64::from(rho) + epsilon));
    let (mut f, mut g) = (vec![0.0; given.source.len()], vec![0.0; columns]);
    for _ in 0..rounds {
        for (i, f) in f.iter_mut().enumerate() {
            let sum: f64 = (0..columns).map(|j| ((g[j] - cost[i * columns + j]) / epsilon).exp()).sum();
            *f = relaxation * epsilon * (f64::from(given.source[i]).ln() - sum.ln());
        }
        for (j, g) in g.iter_mut().enumerate() {
            let sum: f64 = (0..f.len()).map(|i| ((f[i] - cost[i * columns + j]) / epsilon).exp()).sum();
            *g = relaxation * epsilon * (f64::from(given.target[j]).ln() - sum.ln());
        }
    }
    (0..cost.len()).map(|index| ((f[index / columns] + g[index % columns] - cost[index]) / epsilon).exp()).collect()
}

/// Costs and masses that look random.
fn scattered(rows: usize, columns: usize) -> Given {
    let wave = |index: usize, period: usize| ((index * index * 7 + index * 13) % period) as f32 / period as f32;
    let masses = |count: usize, period| {
        let masses: Vec<f32> = (0..count).map(|index| 0.2 + wave(index, period)).collect();
        let total: f32 = masses.iter().sum();
        masses.into_iter().map(|mass| mass / total).collect()
    };
    let cost = (0..rows * columns).map(|index| wave(index, 1009)).collect();
    Given { cost, source: masses(rows, 101), target: masses(columns, 97) }
}

#[test]
fn workers_change_no_bit() {
    let given = scattered(300, 200);
    let cotangent: Vec<f32> = given.cost.iter().map(|cost| cost - 0.5).collect();
    let run = |workers: usize| {
        let workers = Workers::new(workers).unwrap();
        let solver = Sinkhorn::new(0.05, 30);
        let found = solver.solve(given.problem(), &workers).unwrap();
        let gradient = solver.gradient(given.problem(), &found, &cotangent, &workers).unwrap();
        (found, gradient)
    };
    let one = run(1);
    assert!([2, 3, 8].into_iter().all(|workers| run(workers) == one));
}

#[test]
fn a_plan_of_many_rows_is_exact() {
    let given = scattered(150, 230);
    let found = exact(given.problem()).unwrap();
    let bound: f64 = [(&found.source_potentials, &given.source), (&found.target_potentials, &given.target)]
        .into_iter()
        .flat_map(|(potentials, masses)| potentials.iter().zip(masses))
        .map(|(potential, mass)| potential * f64::from(*mass))
        .sum();
    assert!((found.value - bound).abs() < 1e-6, "{} and not {bound}", found.value);
}

#[test]
fn a_plan_that_does_not_converge_has_a_gap_and_is_an_error_on_demand() {
    let given = scattered(20, 20);
    let found = Sinkhorn::to_tolerance(1e-3, 1e-9, 5).solve(given.problem(), &Workers::single()).unwrap();
    assert!(!found.is_converged && found.rounds == 5 && found.gap > 1e-3 && found.value.is_finite());
    let error = found.converged().unwrap_err().to_string();
    assert!(error.starts_with("the plan did not converge within 5 rounds: its value is "), "{error}");
}

#[test]
fn invalid_problems_are_refused() {
    let workers = Workers::single();
    let half = [0.5; 2];
    let solve = |cost: &[f32], source: &[f32], target: &[f32]| exact(Problem { cost, source, target }).unwrap_err();
    let zeros = [0.0; 4];
    for (error, expected) in [
        (solve(&[], &[], &[]), "there is nothing to transport: the cost is [0, 0]"),
        (solve(&[], &half, &[]), "there is nothing to transport: the cost is [2, 0]"),
        (solve(&zeros[..3], &half, &half), "the cost has 3 elements where 4 are expected"),
        (solve(&[0.0, f32::NAN, 0.0, 0.0], &half, &half), "the cost has NaN at row 0, column 1"),
        (solve(&[0.0, 0.0, f32::INFINITY, 0.0], &half, &half), "the cost has inf at row 1, column 0"),
        (solve(&zeros, &[0.5, -0.5], &half), "the source has the mass -0.5 at index 1"),
        (solve(&zeros, &half, &[f32::NAN, 0.5]), "the target has the mass NaN at index 0"),
        (solve(&zeros, &[0.0; 2], &half), "the source has no mass"),
        (solve(&zeros, &half, &[0.5, 0.6]), "the rows have the mass 1 and the columns 1.1"),
    ] {
        assert!(error.to_string().starts_with(expected), "{error}");
    }
    let problem = Problem { cost: &zeros, source: &half, target: &half };
    let entropic = |solver: Sinkhorn| solver.solve(problem, &workers).unwrap_err();
    for (error, setting) in [
        (entropic(Sinkhorn::new(0.0, 10)), "epsilon"),
        (entropic(Sinkhorn::new(f32::NAN, 10)), "epsilon"),
        (entropic(Sinkhorn::new(0.1, 0)), "rounds"),
        (entropic(Sinkhorn::new(0.1, 10).unbalanced(-1.0)), "rho"),
        (entropic(Sinkhorn::to_tolerance(0.1, f32::NAN, 10)), "tolerance"),
        (entropic_partial(problem, 0.5, 0.0, (1e-6, 10), &workers).unwrap_err(), "epsilon"),
    ] {
        assert!(matches!(error, TransportError::Setting { setting: found, .. } if found == setting), "{error}");
    }
    for mass in [0.0, -1.0, 1.5, f64::NAN] {
        assert!(matches!(exact_partial(problem, mass), Err(TransportError::Part { .. })));
    }
    let Entropic { plan, .. } = Sinkhorn::new(1e-30, 3).solve(problem, &workers).unwrap();
    assert!(plan.iter().all(|mass| *mass == 0.25), "{plan:?}");
}
