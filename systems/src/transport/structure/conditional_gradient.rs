//! Plans that fit edges, by the conditional gradient.

use super::{
    super::{NetworkSimplex, TransportError},
    quadratic::{Quadratic, dot},
};
use crate::{parallel::Workers, random::Philox};

/// How a plan is searched for.
///
/// The objective is not convex: the search ends in a local minimum, which depends on where it starts. It starts from `p
/// q'`, then from the plan that is best without edges, then from random vertices; the best result counts, the first of
/// equals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Search {
    /// How often it starts; at least 1.
    pub starts: usize,
    /// The most steps from a start.
    pub iterations: usize,
    /// A start has converged, and stops, where the gap is at most this part of the value.
    pub tolerance: f32,
}

impl Default for Search {
    fn default() -> Self {
        Self { starts: 1, iterations: 1000, tolerance: 1e-6 }
    }
}

/// A plan, and how good it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Matching {
    /// `T`, `[n, m]`.
    pub plan: Vec<f32>,
    /// The value of the objective.
    pub value: f64,
    /// By how much a step along the gradient would decrease the value at first, at most; 0 at a local minimum.
    pub gap: f64,
    /// The steps that led to it.
    pub iterations: usize,
    /// Whether the gap is within the tolerance.
    pub is_converged: bool,
}

/// Minimizes the objective over the plans with these masses, by the conditional gradient of Frank & Wolfe with an exact
/// line search (Vayer et al. 2019, algorithms 1 and 2). Each step solves a problem of exact transport, from the basis
/// of the one before.
pub(super) fn minimize(
    objective: &Quadratic,
    masses: [&[f32]; 2],
    search: &Search,
    workers: &Workers,
) -> Result<Matching, TransportError> {
    check(search)?;
    let found = workers.map(search.starts, |start| descend(objective, masses, search, start, workers));
    let mut found = found.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter();
    let first = found.next().ok_or(NO_START)?;
    let best = found.fold(first, |best, other| if other.value < best.value { other } else { best });
    if best.value.is_finite() { Ok(best) } else { Err(TransportError::Overflow) }
}

const NO_START: TransportError = TransportError::Setting { setting: "starts", value: 0.0, expected: "at least 1" };

fn check(search: &Search) -> Result<(), TransportError> {
    if search.starts == 0 {
        return Err(NO_START);
    }
    if search.tolerance.is_finite() && search.tolerance >= 0.0 {
        return Ok(());
    }
    let expected = "a finite number that is not negative";
    Err(TransportError::Setting { setting: "tolerance", value: search.tolerance.into(), expected })
}

fn descend(
    objective: &Quadratic,
    masses: [&[f32]; 2],
    search: &Search,
    start: usize,
    workers: &Workers,
) -> Result<Matching, TransportError> {
    /// A step that improves the value by no more than this part of it is the last.
    const LEAST_IMPROVEMENT: f64 = 1e-9;

    let mut simplex = NetworkSimplex::new(&objective.linear, masses);
    let plan = match start {
        0 => independent(masses),
        1 => vertex(&mut simplex, &objective.linear)?,
        _ => vertex(&mut simplex, &random_cost(objective.linear.len(), start))?,
    };
    let mut point = objective.at(plan, workers);
    let mut value = objective.value(&point);
    let mut iterations = 0;
    let is_small = |gap: f64, value: f64| gap <= f64::from(search.tolerance) * value.abs().max(1e-30);
    let gap = loop {
        let gradient = objective.gradient(&point);
        let next = vertex(&mut simplex, &gradient)?;
        let gap = (dot(&gradient, &point.plan) - dot(&gradient, &next)).max(0.0);
        if iterations == search.iterations || is_small(gap, value) {
            break gap;
        }
        let next = objective.at(next, workers);
        let [slope, curvature] = objective.along(&point, &next, &gradient);
        let step = lowest(slope, curvature);
        let improvement = -(slope + curvature * step) * step;
        if improvement.is_nan() || improvement <= LEAST_IMPROVEMENT * value.abs() {
            break gap;
        }
        point.blend(&next, step);
        value -= improvement;
        iterations += 1;
    };
    let value = objective.value(&point);
    let plan = point.plan.iter().map(|mass| *mass as f32).collect();
    Ok(Matching { plan, value, gap, iterations, is_converged: is_small(gap, value) })
}

/// Where `slope t + curvature t^2` is lowest between 0 and 1.
fn lowest(slope: f64, curvature: f64) -> f64 {
    if curvature > 0.0 {
        (-slope / (2.0 * curvature)).clamp(0.0, 1.0)
    } else if slope + curvature < 0.0 {
        1.0
    } else {
        0.0
    }
}

/// `p q'`, divided by the total.
pub(super) fn independent([source, target]: [&[f32]; 2]) -> Vec<f64> {
    let total: f64 = target.iter().map(|mass| f64::from(*mass)).sum();
    let row = |source: f64| target.iter().map(move |target| source * f64::from(*target) / total);
    source.iter().flat_map(|source| row(f64::from(*source))).collect()
}

/// The plan of least cost.
fn vertex(simplex: &mut NetworkSimplex, cost: &[f64]) -> Result<Vec<f64>, TransportError> {
    simplex.minimize(cost)?;
    let mut plan = vec![0.0; cost.len()];
    let columns = simplex.columns();
    simplex.flows().for_each(|(row, column, mass)| plan[row * columns + column] = mass);
    Ok(plan)
}

/// A cost whose best plan is a random vertex.
fn random_cost(length: usize, start: usize) -> Vec<f64> {
    let mut cost = vec![0.0; length];
    Philox::new(0, 0, start as u64).fill_uniform(&mut cost);
    cost.into_iter().map(f64::from).collect()
}
