//! Entropic transport by Sinkhorn's rounds in the log domain.

use super::{
    Problem, TransportError,
    half_round::{EXPONENTIAL, Scaled, log_masses, log_sums},
    problem::check_positive,
};
use crate::{
    kernels::{exp, vectorize},
    parallel::{Blocks, RowsMut, Workers},
};

/// Entropic optimal transport: minimizes `<C, T> + epsilon sum T (log T - 1)` under the marginals (Cuturi 2013), in the
/// log domain (Peyré & Cuturi 2019, section 4.4).
///
/// With `g = 0` at first, a round is `f_i = epsilon (log p_i - log sum over j of exp((g_j - C_ij) / epsilon))`, and
/// `g_j` likewise; `T_ij = exp((f_i + g_j - C_ij) / epsilon)`. Costs `2 n m` exponentials a round.
///
/// ```
/// use connectome_systems::{Workers, transport::{Problem, Sinkhorn}};
///
/// let problem = Problem { cost: &[0.0, 1.0, 1.0, 0.0], source: &[0.5, 0.5], target: &[0.5, 0.5] };
/// let found = Sinkhorn::to_tolerance(0.1, 1e-6, 1000).solve(problem, &Workers::single())?.converged()?;
/// assert!((found.plan[0] - 0.5 / (1.0 + (-10f32).exp())).abs() < 1e-6);
/// # Ok::<(), connectome_systems::transport::TransportError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sinkhorn {
    /// The weight of the entropy, above 0. The smaller, the nearer to the exact plan, and the more rounds.
    pub epsilon: f32,
    /// The most rounds.
    pub rounds: usize,
    /// The gap at which it has converged, and stops; none to run all rounds.
    pub tolerance: Option<f32>,
    /// How the marginals are held.
    pub marginals: Marginals,
}

/// How a plan holds its marginals.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Marginals {
    /// They are the masses.
    Balanced,
    /// They may differ from the masses, for `rho KL(T 1 | p) + rho KL(T' 1 | q)` more (Chizat et al. 2018): each
    /// potential is multiplied by `rho / (rho + epsilon)`.
    Unbalanced {
        /// The weight of the difference, above 0.
        rho: f32,
    },
}

/// An entropic plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Entropic {
    /// `T`, `[n, m]`.
    pub plan: Vec<f32>,
    /// `<C, T>`.
    pub value: f64,
    /// The rounds that were run.
    pub rounds: usize,
    /// By what part the mass of a row is changed at most if there is another round; 0 at the optimum. Rows without mass
    /// do not count.
    pub gap: f64,
    /// Whether the gap is within the tolerance; true without one.
    pub is_converged: bool,
    /// `f`, `[n]`.
    pub source_potentials: Vec<f64>,
    /// `g`, `[m]`.
    pub target_potentials: Vec<f64>,
    /// Of each round, from the first: the logarithms of the sums that rows were divided by, and of those of the
    /// columns; what the gradient needs to go through all rounds.
    pub(super) history: Vec<[Vec<f64>; 2]>,
}

impl Entropic {
    /// The same if it has converged.
    ///
    /// # Errors
    /// With the value and the gap if it has not.
    pub fn converged(self) -> Result<Self, TransportError> {
        let &Self { rounds, value, gap, .. } = &self;
        if self.is_converged { Ok(self) } else { Err(TransportError::NotConverged { rounds, value, gap }) }
    }
}

impl Sinkhorn {
    /// Balanced, with this number of rounds.
    pub fn new(epsilon: f32, rounds: usize) -> Self {
        Self { epsilon, rounds, tolerance: None, marginals: Marginals::Balanced }
    }

    /// Balanced, until the gap is at most `tolerance`, or `rounds` are run.
    pub fn to_tolerance(epsilon: f32, tolerance: f32, rounds: usize) -> Self {
        Self { tolerance: Some(tolerance), ..Self::new(epsilon, rounds) }
    }

    /// The same with relaxed marginals.
    pub fn unbalanced(self, rho: f32) -> Self {
        Self { marginals: Marginals::Unbalanced { rho }, ..self }
    }

    /// `rho / (rho + epsilon)`, or 1.
    pub(super) fn relaxation(&self) -> f64 {
        match self.marginals {
            Marginals::Balanced => 1.0,
            Marginals::Unbalanced { rho } => f64::from(rho) / (f64::from(rho) + f64::from(self.epsilon)),
        }
    }

    /// The plan after the rounds. Memory: the cost once more, and `rounds (n + m)` numbers for the gradient.
    ///
    /// # Errors
    /// If the arrays do not fit, an element is not finite, masses are negative or all 0, totals differ while marginals
    /// are balanced, or a setting is out of range. That it has not converged is no error, see [`Entropic::converged`].
    pub fn solve(&self, problem: Problem, workers: &Workers) -> Result<Entropic, TransportError> {
        self.check(&problem)?;
        let cost = Scaled::new(problem.wide_cost(), problem.shape(), self.epsilon);
        Ok(self.run(&cost, [problem.source, problem.target], workers))
    }

    /// The same for a cost that is scaled already; everything is to be checked.
    pub(super) fn run(&self, cost: &Scaled, masses: [&[f32]; 2], workers: &Workers) -> Entropic {
        let (epsilon, relaxation) = (f64::from(self.epsilon), self.relaxation());
        let [rows, columns] = masses.map(<[f32]>::len);
        let [log_source, log_target] = masses.map(log_masses);
        let tolerance = self.tolerance.map_or(0.0, f64::from);
        // Potentials in units of epsilon.
        let (mut source, mut target) = (vec![0.0; rows], vec![0.0; columns]);
        let (mut history, mut gap, mut is_converged) = (Vec::new(), f64::INFINITY, false);
        loop {
            let mut row_sums = vec![0.0; rows];
            log_sums(&cost.rows, &target, &mut row_sums, workers);
            let next = scale(&log_source, &row_sums, relaxation);
            if !history.is_empty() {
                gap = largest_change(&source, &next);
                is_converged = gap <= tolerance;
            }
            if history.len() == self.rounds || is_converged && self.tolerance.is_some() {
                break;
            }
            source = next;
            let mut column_sums = vec![0.0; columns];
            log_sums(&cost.columns, &source, &mut column_sums, workers);
            target = scale(&log_target, &column_sums, relaxation);
            history.push([row_sums, column_sums]);
        }
        let plan = plan_of(cost, [&source, &target], workers);
        let in_units = |potentials: Vec<f64>| potentials.into_iter().map(|potential| potential * epsilon).collect();
        Entropic {
            value: epsilon * cost.value(&plan),
            plan,
            rounds: history.len(),
            gap,
            is_converged: is_converged || self.tolerance.is_none(),
            source_potentials: in_units(source),
            target_potentials: in_units(target),
            history,
        }
    }

    pub(super) fn check(&self, problem: &Problem) -> Result<(), TransportError> {
        self.check_settings()?;
        match self.marginals {
            Marginals::Balanced => problem.check_balanced(),
            Marginals::Unbalanced { .. } => problem.check(),
        }
    }

    pub(super) fn check_settings(&self) -> Result<(), TransportError> {
        check_positive("epsilon", self.epsilon)?;
        if let Marginals::Unbalanced { rho } = self.marginals {
            check_positive("rho", rho)?;
        }
        if let Some(tolerance) = self.tolerance.filter(|tolerance| !(tolerance.is_finite() && *tolerance >= 0.0)) {
            let expected = "a finite number that is not negative";
            return Err(TransportError::Setting { setting: "tolerance", value: tolerance.into(), expected });
        }
        if self.rounds == 0 {
            return Err(TransportError::Setting { setting: "rounds", value: 0.0, expected: "at least 1" });
        }
        Ok(())
    }
}

/// `relaxation (log mass - log sum)`; minus infinity where there is no mass.
pub(super) fn scale(log_masses: &[f64], log_sums: &[f64], relaxation: f64) -> Vec<f64> {
    log_masses.iter().zip(log_sums).map(|(mass, sum)| relaxation * (mass - sum)).collect()
}

/// The largest `exp(abs(next - before)) - 1`, where both are finite.
pub(super) fn largest_change(before: &[f64], next: &[f64]) -> f64 {
    let changes = before.iter().zip(next).map(|(before, next)| (next - before).abs());
    // Beyond 1 it only has to be large.
    let relative = |change: f64| if change < 1.0 { crate::kernels::exp_m1(change as f32).into() } else { 2.0 * change };
    changes.filter(|change| change.is_finite()).map(relative).fold(0.0, f64::max)
}

/// `T_ij = exp(f_i + g_j - C_ij)` of a cost and potentials in units of epsilon.
pub(super) fn plan_of(cost: &Scaled, [source, target]: [&[f64]; 2], workers: &Workers) -> Vec<f32> {
    let width = target.len();
    let mut plan = vec![0.0; cost.rows.len()];
    let blocks = Blocks::of_width(source.len(), width);
    workers.for_each_block(blocks, EXPONENTIAL * width, RowsMut::new(&mut plan, width), |rows, plan| {
        vectorize(
            #[inline(always)]
            || {
                for (row, plan) in rows.zip(plan.data.chunks_exact_mut(width)) {
                    let (cost, source) = (&cost.rows[row * width..][..width], source[row]);
                    for ((mass, cost), target) in plan.iter_mut().zip(cost).zip(target) {
                        *mass = exp((source + target - cost) as f32);
                    }
                }
            },
        );
    });
    plan
}
