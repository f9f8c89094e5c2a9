//! Fused Gromov-Wasserstein: the distance of two graphs with features and masses.

use super::{
    super::{
        Entropic, Sinkhorn, TransportError,
        half_round::Scaled,
        problem::{check_masses, check_matrix, check_totals},
    },
    conditional_gradient::{Matching, Search, independent, minimize},
    motifs::{MOTIFS, motifs, motifs_gradient},
    quadratic::{Quadratic, Square, multiply, symmetric_sum},
};
use crate::{
    kernels::{Operand, ln, matmul},
    parallel::Workers,
};

/// A graph of weights: nodes with features and masses, and an adjacency.
#[derive(Clone, Copy, Debug)]
pub struct SoftGraph<'a> {
    /// `X`, `[n, F]`.
    pub features: &'a [f32],
    /// `A`, `[n, n]`; need not be symmetric.
    pub adjacency: &'a [f32],
    /// `p`, `[n]`.
    pub mass: &'a [f32],
}

/// Fused Gromov-Wasserstein (Vayer et al., "Optimal transport for structured data", ICML 2019), with a term of motifs:
///
/// `(1 - alpha) sum abs(x_i - y_j)^2 T_ij + alpha sum (A_ik - B_jl)^2 T_ij T_kl + motifs sum abs(m_i - m*_j)^2 T_ij`,
///
/// where `m` are the logarithms of 1 + degree, triangles and 4-cliques of a node (see [`motifs`]). Costs
/// `n n m + n m m` multiplications for a step or a gradient, and no more memory than a few matrices.
///
/// ```
/// use connectome_systems::{Workers, transport::{FusedGromovWasserstein, Search, SoftGraph}};
///
/// let path = [0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0];
/// let turned = [0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
/// let mass = [1.0 / 3.0; 3];
/// let graph = SoftGraph { features: &[2.0, 1.0, 3.0], adjacency: &path, mass: &mass };
/// let target = SoftGraph { features: &[1.0, 2.0, 3.0], adjacency: &turned, mass: &mass };
/// let search = Search { starts: 3, ..Search::default() };
/// let found = FusedGromovWasserstein::new(0.5).plan(graph, target, &search, &Workers::single())?;
/// assert!(found.value.abs() < 1e-6);
/// # Ok::<(), connectome_systems::transport::TransportError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FusedGromovWasserstein {
    /// The weight of edges, from 0 to 1; that of features is the rest.
    pub alpha: f32,
    /// The weight of motifs, not negative.
    pub motifs: f32,
}

/// The derivative of a structural loss with respect to the first graph, while the plan is held fixed.
///
/// At the plan of least value it is the derivative of that value (envelope theorem).
#[derive(Clone, Debug, PartialEq)]
pub struct StructuralGradient {
    /// The value of the plan.
    pub value: f64,
    /// With respect to the features, `[n, F]`.
    pub features: Vec<f32>,
    /// With respect to the adjacency, `[n, n]`, whose elements are all free.
    pub adjacency: Vec<f32>,
}

impl FusedGromovWasserstein {
    /// Without motifs.
    pub fn new(alpha: f32) -> Self {
        Self { alpha, motifs: 0.0 }
    }

    /// The same with motifs of this weight.
    pub fn with_motifs(self, motifs: f32) -> Self {
        Self { motifs, ..self }
    }

    /// A plan with the masses of both graphs that is a local minimum.
    ///
    /// # Errors
    /// If arrays do not fit, an element is not finite, masses are negative or all 0, the totals differ, or a setting is
    /// out of range. That it has not converged is no error, see [`Matching::is_converged`].
    pub fn plan(
        &self,
        graph: SoftGraph,
        target: SoftGraph,
        search: &Search,
        workers: &Workers,
    ) -> Result<Matching, TransportError> {
        let objective = self.objective(&graph, &target)?;
        minimize(&objective, [graph.mass, target.mass], search, workers)
    }

    /// A plan by entropic steps: from `p q'` on, the plan of `sinkhorn` for the gradient of the objective, `steps`
    /// times (Peyré, Cuturi & Solomon 2016, eq. 9). The value is that of this objective, without entropy; the gap that
    /// of the last step.
    ///
    /// # Errors
    /// As [`FusedGromovWasserstein::plan`].
    pub fn entropic_plan(
        &self,
        graph: SoftGraph,
        target: SoftGraph,
        sinkhorn: &Sinkhorn,
        steps: usize,
        workers: &Workers,
    ) -> Result<Entropic, TransportError> {
        let objective = self.objective(&graph, &target)?;
        let masses = [graph.mass, target.mass];
        if steps == 0 {
            return Err(TransportError::Setting { setting: "steps", value: 0.0, expected: "at least 1" });
        }
        let mut plan = independent(masses);
        let mut step = || {
            let gradient = objective.gradient(&objective.at(core::mem::take(&mut plan), workers));
            let found = sinkhorn.run(&Scaled::new(gradient, objective.shape, sinkhorn.epsilon), masses, workers);
            plan = found.plan.iter().map(|mass| f64::from(*mass)).collect();
            found
        };
        sinkhorn.check_settings()?;
        let found = (1..steps).fold(step(), |_, _| step());
        let value = objective.value(&objective.at(plan, workers));
        if value.is_finite() { Ok(Entropic { value, ..found }) } else { Err(TransportError::Overflow) }
    }

    /// The value of a plan, and the gradient with respect to the first graph while the plan is held fixed:
    /// `dX_i = 2 (1 - alpha) (r_i x_i - (T Y)_i)` and `dA = 2 alpha (A o r r' - T B T')` with `r = T 1`, and what
    /// comes through the motifs.
    ///
    /// # Errors
    /// As [`FusedGromovWasserstein::plan`], and if the plan does not fit or is not finite.
    pub fn gradient(
        &self,
        graph: SoftGraph,
        target: SoftGraph,
        plan: &[f32],
        workers: &Workers,
    ) -> Result<StructuralGradient, TransportError> {
        let objective = self.objective(&graph, &target)?;
        let [rows, columns] = objective.shape;
        check_matrix("the plan", plan, objective.shape)?;
        let value = objective.value(&objective.at(plan.iter().map(|mass| f64::from(*mass)).collect(), workers));
        let sums: Vec<f32> = plan.chunks_exact(columns).map(|row| row.iter().sum()).collect();
        let width = graph.features.len() / rows;
        let by_features = 2.0 * (1.0 - self.alpha);
        let features = residual(graph.features, target.features, [width, columns], plan, &sums, by_features);
        let mut adjacency = pushed(target.adjacency, plan, objective.shape, workers);
        for (index, (gradient, weight)) in adjacency.iter_mut().zip(graph.adjacency).enumerate() {
            let [from, to] = [index / rows, index % rows].map(|node| sums[node]);
            *gradient = 2.0 * self.alpha * (weight * from * to - *gradient);
        }
        if self.motifs > 0.0 {
            let counts = motifs(graph.adjacency, rows);
            let (one, other) = (logarithms(&counts), logarithms(&motifs(target.adjacency, columns)));
            let mut gradient = residual(&one, &other, [MOTIFS, columns], plan, &sums, 2.0 * self.motifs);
            gradient.iter_mut().zip(&counts).for_each(|(gradient, count)| *gradient /= 1.0 + count);
            let through = motifs_gradient(graph.adjacency, rows, &gradient);
            adjacency.iter_mut().zip(&through).for_each(|(gradient, through)| *gradient += through);
        }
        Ok(StructuralGradient { value, features, adjacency })
    }

    /// The gradient `[n, m]` of the value with respect to a plan, all of whose elements are free.
    ///
    /// # Errors
    /// As [`FusedGromovWasserstein::gradient`].
    pub fn plan_gradient(
        &self,
        graph: SoftGraph,
        target: SoftGraph,
        plan: &[f32],
        workers: &Workers,
    ) -> Result<Vec<f64>, TransportError> {
        let objective = self.objective(&graph, &target)?;
        check_matrix("the plan", plan, objective.shape)?;
        Ok(objective.gradient(&objective.at(plan.iter().map(|mass| f64::from(*mass)).collect(), workers)))
    }

    fn objective<'a>(&self, graph: &SoftGraph<'a>, target: &SoftGraph<'a>) -> Result<Quadratic<'a>, TransportError> {
        let width = self.check(graph, target)?;
        let [rows, columns] = [graph.mass.len(), target.mass.len()];
        let mut linear = vec![0.0; rows * columns];
        add_distances(graph.features, target.features, width, 1.0 - f64::from(self.alpha), &mut linear);
        if self.motifs > 0.0 {
            let [one, other] =
                [(graph, rows), (target, columns)].map(|(graph, nodes)| logarithms(&motifs(graph.adjacency, nodes)));
            add_distances(&one, &other, MOTIFS, self.motifs.into(), &mut linear);
        }
        Ok(Quadratic {
            shape: [rows, columns],
            linear,
            weight: self.alpha.into(),
            cross: 2.0,
            first: symmetric_sum(graph.adjacency, rows, square),
            second: symmetric_sum(target.adjacency, columns, square),
            left: Square::new(graph.adjacency, rows),
            right: Square::new(target.adjacency, columns),
            mask: &[],
        })
    }

    /// Checks everything; returns the width of the features.
    fn check(&self, graph: &SoftGraph, target: &SoftGraph) -> Result<usize, TransportError> {
        let Self { alpha, motifs } = *self;
        if !(0.0..=1.0).contains(&alpha) {
            return Err(TransportError::Setting { setting: "alpha", value: alpha.into(), expected: "0 to 1" });
        }
        if !(motifs.is_finite() && motifs >= 0.0) {
            let expected = "a finite number that is not negative";
            return Err(TransportError::Setting { setting: "motifs", value: motifs.into(), expected });
        }
        let [rows, columns] = [graph.mass.len(), target.mass.len()];
        check_masses(graph.mass, target.mass)?;
        check_totals(graph.mass, target.mass)?;
        let width = graph.features.len() / rows;
        check_matrix("the features", graph.features, [rows, width])?;
        check_matrix("the features of the target", target.features, [columns, width])?;
        check_matrix("the adjacency", graph.adjacency, [rows, rows])?;
        check_matrix("the adjacency of the target", target.adjacency, [columns, columns])?;
        if let Some(weight) = [graph, target].iter().flat_map(|graph| graph.adjacency).find(|weight| **weight < 0.0)
            && motifs > 0.0
        {
            let expected = "weights that are not negative where motifs are counted";
            return Err(TransportError::Setting {
                setting: "a weight of the adjacency",
                value: (*weight).into(),
                expected,
            });
        }
        Ok(width)
    }
}

/// `ln(1 + count)`.
fn logarithms(counts: &[f32]) -> Vec<f32> {
    counts.iter().map(|count| ln(1.0 + count)).collect()
}

fn square(weight: f32) -> f64 {
    f64::from(weight) * f64::from(weight)
}

/// `target_ij += factor abs(x_i - y_j)^2`.
fn add_distances(rows: &[f32], columns: &[f32], width: usize, factor: f64, target: &mut [f64]) {
    if width == 0 || factor == 0.0 {
        return;
    }
    let count = columns.len() / width;
    for (row, target) in rows.chunks_exact(width).zip(target.chunks_exact_mut(count)) {
        for (column, target) in columns.chunks_exact(width).zip(target) {
            let differences = row.iter().zip(column).map(|(one, other)| f64::from(*one) - f64::from(*other));
            *target += factor * differences.map(|difference| difference * difference).sum::<f64>();
        }
    }
}

/// `factor (r_i x_i - (T Y)_i)`.
fn residual(x: &[f32], y: &[f32], [width, columns]: [usize; 2], plan: &[f32], sums: &[f32], factor: f32) -> Vec<f32> {
    let mut gradient = vec![0.0; x.len()];
    if width > 0 {
        matmul(Operand::new(plan, columns), Operand::new(y, width), &mut gradient);
        for ((gradient, x), sum) in gradient.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(sums) {
            gradient.iter_mut().zip(x).for_each(|(gradient, x)| *gradient = factor * (sum * x - *gradient));
        }
    }
    gradient
}

/// `T B T'`.
pub(super) fn pushed(adjacency: &[f32], plan: &[f32], [rows, columns]: [usize; 2], workers: &Workers) -> Vec<f32> {
    let mut between = vec![0.0; plan.len()];
    multiply(plan, columns, adjacency, &mut between, workers);
    let mut pushed = vec![0.0; rows * rows];
    matmul(Operand::new(&between, columns), Operand::new(plan, columns).transposed(), &mut pushed);
    pushed
}
