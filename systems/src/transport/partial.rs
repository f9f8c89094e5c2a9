//! Transport of a part of the mass.

use super::{
    Entropic, Problem, TransportError,
    exact::{Exact, exact},
    half_round::{Scaled, log_masses, log_sums},
    problem::check_positive,
    sinkhorn::{largest_change, plan_of, scale},
};
use crate::parallel::Workers;

/// The plan of least cost that transports `mass`, with marginals that are at most the masses of the problem.
///
/// Another row and another column take what is not transported, at no cost (Caffarelli & McCann 2010; Chapel et al.
/// 2020): a problem of [`exact`] transport with one row and one column more. Potentials are those of its first rows and
/// columns.
///
/// # Errors
/// As [`exact`], but totals may differ; and if `mass` is not above 0, or more than there is.
pub fn exact_partial(problem: Problem, mass: f64) -> Result<Exact, TransportError> {
    let mass = problem.check_part(mass)?;
    let [rows, columns] = problem.shape();
    let [source_mass, target_mass] = problem.totals();
    let more = columns + 1;
    let mut cost = vec![0.0; (rows + 1) * more];
    for (to, from) in cost.chunks_exact_mut(more).zip(problem.cost.chunks_exact(columns)) {
        to[..columns].copy_from_slice(from);
    }
    // So dear that nothing goes from the one more to the other.
    if let Some(corner) = cost.last_mut() {
        *corner = 2.0 * problem.cost.iter().fold(0.5, |largest: f32, cost| largest.max(cost.abs()));
    }
    let with = |masses: &[f32], rest: f64| masses.iter().copied().chain([rest.max(0.0) as f32]).collect::<Vec<_>>();
    let (source, target) = (with(problem.source, target_mass - mass), with(problem.target, source_mass - mass));
    let found = exact(Problem { cost: &cost, source: &source, target: &target })?;
    let plan: Vec<f32> = found.plan.chunks_exact(more).take(rows).flat_map(|row| &row[..columns]).copied().collect();
    let first = |potentials: Vec<f64>, count| potentials.into_iter().take(count).collect();
    Ok(Exact {
        value: problem.value(&plan),
        plan,
        source_potentials: first(found.source_potentials, rows),
        target_potentials: first(found.target_potentials, columns),
    })
}

/// The plan that minimizes `<C, T> + epsilon sum T (log T - 1)` among those which transport `mass`, with marginals that
/// are at most the masses of the problem (Benamou et al. 2015, section 5).
///
/// Ascent on the dual in the log domain: `f` and `g` as in [`Sinkhorn`](super::Sinkhorn), but at most 0, and a
/// multiplier of the total. Stops where a round changes no factor by more than `tolerance`; the gap is that change.
///
/// # Errors
/// As [`exact_partial`], and if `epsilon` or `tolerance` is not above 0.
pub fn entropic_partial(
    problem: Problem,
    mass: f64,
    epsilon: f32,
    (tolerance, rounds): (f32, usize),
    workers: &Workers,
) -> Result<Entropic, TransportError> {
    check_positive("epsilon", epsilon)?;
    check_positive("tolerance", tolerance)?;
    let mass = problem.check_part(mass)?;
    let [rows, columns] = problem.shape();
    let cost = Scaled::new(problem.wide_cost(), [rows, columns], epsilon);
    let [log_source, log_target] = [problem.source, problem.target].map(log_masses);
    let log_mass = log_masses(&[mass as f32])[0];
    let (mut source, mut target) = (vec![0.0; rows], vec![0.0; columns]);
    // The multiplier of the total is kept within the potentials of the rows.
    let (mut total, mut gap, mut run) = (0.0, f64::INFINITY, 0);
    let at_most = |log_masses: &[f64], sums: &[f64], shift: f64| -> Vec<f64> {
        scale(log_masses, sums, 1.0).into_iter().map(|potential| (potential - shift).min(0.0)).collect()
    };
    let mut sums = (vec![0.0; rows], vec![0.0; columns]);
    while run < rounds && gap > f64::from(tolerance) {
        log_sums(&cost.rows, &target, &mut sums.0, workers);
        let next_source = at_most(&log_source, &sums.0, total);
        log_sums(&cost.columns, &next_source, &mut sums.1, workers);
        let next_target = at_most(&log_target, &sums.1, total);
        let columns = next_target.iter().zip(&sums.1).map(|(potential, sum)| potential + sum);
        let next_total = log_mass - log_sum_exp(columns);
        gap = largest_change(&source, &next_source)
            .max(largest_change(&target, &next_target))
            .max(largest_change(&[total], &[next_total]));
        (source, target, total, run) = (next_source, next_target, next_total, run + 1);
    }
    let shifted: Vec<f64> = source.iter().map(|potential| potential + total).collect();
    let plan = plan_of(&cost, [&shifted, &target], workers);
    let in_units = |potentials: Vec<f64>| potentials.into_iter().map(|one| one * f64::from(epsilon)).collect();
    Ok(Entropic {
        value: problem.value(&plan),
        plan,
        rounds: run,
        gap,
        is_converged: gap <= f64::from(tolerance),
        source_potentials: in_units(source),
        target_potentials: in_units(target),
        history: Vec::new(),
    })
}

/// `ln sum exp(x)`.
fn log_sum_exp(exponents: impl Iterator<Item = f64>) -> f64 {
    let exponents: Vec<f64> = exponents.collect();
    let mut sum = [0.0];
    log_sums(&vec![0.0; exponents.len()], &exponents, &mut sum, &Workers::single());
    sum[0]
}
