//! Optimal transport and structural losses against the reference.

use super::{Comparison, Result, case::Case};
use connectome_systems::{
    Workers,
    transport::{
        Entropic, FusedGromovWasserstein, MaskedGraph, MaskedGromovWasserstein, Problem, Search, Sinkhorn, SoftGraph,
        entropic_partial, exact, exact_partial, motifs,
    },
};
use ndarray::Array2;

/// What of transport a case is about; none if it is about something else.
pub fn check(case: &Case) -> Option<fn(&Case, &mut Comparison) -> Result<()>> {
    let starts_with = |name: &str| case.meta.case.starts_with(name);
    if starts_with("sinkhorn") {
        Some(sinkhorn)
    } else if starts_with("partial_transport") {
        Some(partial)
    } else if starts_with("transport_exact") {
        Some(exactly)
    } else if starts_with("fgw_entropic") {
        Some(entropic)
    } else if starts_with("fgw") || ["gw_only", "wasserstein_only"].contains(&&*case.meta.case) {
        Some(fused)
    } else if starts_with("pmfgw") {
        Some(masked)
    } else if starts_with("motif_term") {
        Some(motif_term)
    } else {
        None
    }
}

fn floats(case: &Case, name: &str) -> Result<Vec<f32>> {
    Ok(case.floats(name)?.iter().map(|number| *number as f32).collect())
}

fn scalar(case: &Case, name: &str) -> Result<f64> {
    Ok(case.floats(name)?.sum())
}

impl Comparison {
    /// Compares numbers with an array of the case.
    pub fn numbers<T: Copy + Into<f64>>(&mut self, case: &Case, name: &str, found: &[T]) -> Result<()> {
        let expected = case.matrix(name)?;
        let found = found.iter().map(|number| (*number).into()).collect();
        self.compare(name, &Array2::from_shape_vec(expected.dim(), found)?, &expected);
        Ok(())
    }

    pub fn number(&mut self, case: &Case, name: &str, found: f64) -> Result<()> {
        self.compare(name, &Array2::from_elem((1, 1), found), &Array2::from_elem((1, 1), scalar(case, name)?));
        Ok(())
    }
}

fn sinkhorn(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let workers = Workers::single();
    let (cost, source, target) = (floats(case, "cost")?, floats(case, "p")?, floats(case, "q")?);
    let problem = Problem { cost: &cost, source: &source, target: &target };
    let mut solver = Sinkhorn::new(scalar(case, "epsilon")? as f32, case.integers("rounds")?.sum() as usize);
    if case.has("rho") {
        solver = solver.unbalanced(scalar(case, "rho")? as f32);
    }
    let found = solver.solve(problem, &workers)?;
    comparison.numbers(case, "plan", &found.plan)?;
    if case.has("f") {
        comparison.numbers(case, "f", &found.source_potentials)?;
        comparison.numbers(case, "g", &found.target_potentials)?;
    }
    let gradient = solver.gradient(problem, &found, &floats(case, "cotangent")?, &workers)?;
    comparison.numbers(case, "grad.cost", &gradient)?;
    let until_converged = Sinkhorn { tolerance: Some(1e-6), rounds: 100_000, ..solver };
    let found = until_converged.solve(problem, &workers)?.converged()?;
    comparison.numbers(case, "plan_converged", &found.plan)?;
    if case.has("value_converged") {
        comparison.number(case, "value_converged", found.value)?;
    }
    Ok(())
}

fn partial(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let (cost, source, target) = (floats(case, "cost")?, floats(case, "p")?, floats(case, "q")?);
    let problem = Problem { cost: &cost, source: &source, target: &target };
    let mass = scalar(case, "mass")?;
    let found = exact_partial(problem, mass)?;
    comparison.numbers(case, "plan", &found.plan)?;
    comparison.number(case, "value", found.value)?;
    let found = entropic_partial(problem, mass, 0.05, (1e-6, 10_000), &Workers::single())?.converged()?;
    comparison.numbers(case, "plan_entropic", &found.plan)
}

fn exactly(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let (cost, source, target) = (floats(case, "cost")?, floats(case, "p")?, floats(case, "q")?);
    let found = exact(Problem { cost: &cost, source: &source, target: &target })?;
    comparison.numbers(case, "plan", &found.plan)?;
    comparison.number(case, "value", found.value)
}

/// The arrays of two soft graphs.
struct Graphs {
    arrays: [Vec<f32>; 6],
}

impl Graphs {
    fn new(case: &Case) -> Result<Self> {
        let names = ["features", "adjacency", "p", "target_features", "target_adjacency", "q"];
        let mut arrays = [const { Vec::new() }; 6];
        for (array, name) in arrays.iter_mut().zip(names) {
            *array = floats(case, name)?;
        }
        Ok(Self { arrays })
    }

    fn pair(&self) -> [SoftGraph<'_>; 2] {
        let [features, adjacency, mass, target_features, target_adjacency, target_mass] = &self.arrays;
        let target = SoftGraph { features: target_features, adjacency: target_adjacency, mass: target_mass };
        [SoftGraph { features, adjacency, mass }, target]
    }
}

fn fused(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let workers = Workers::single();
    let graphs = Graphs::new(case)?;
    let [graph, target] = graphs.pair();
    let loss = FusedGromovWasserstein::new(scalar(case, "alpha")? as f32);
    let plan = floats(case, "plan")?;
    let found = loss.gradient(graph, target, &plan, &workers)?;
    comparison.number(case, "value", found.value)?;
    compare_gradients(case, comparison, "", &found.features, &found.adjacency)?;
    comparison.numbers(case, "grad.plan", &loss.plan_gradient(graph, target, &plan, &workers)?)?;
    let best = loss.gradient(graph, target, &floats(case, "plan_best")?, &workers)?;
    comparison.number(case, "value_best", best.value)?;
    compare_gradients(case, comparison, "best.", &best.features, &best.adjacency)?;
    for (starts, bound) in [(1, "value_start"), (24, "value_best")] {
        let found = loss.plan(graph, target, &Search { starts, ..Search::default() }, &workers)?;
        let value = value(graph, target, f64::from(loss.alpha), &found.plan);
        comparison.number(case, bound, value.max(scalar(case, bound)?))?;
        if value > scalar(case, bound)? + 1e-6 {
            return Err(format!("{starts} starts end at {value}, above `{bound}`").into());
        }
        if (value - found.value).abs() > 1e-6 * value.abs().max(1.0) {
            return Err(format!("the value is {value} and not {}", found.value).into());
        }
    }
    Ok(())
}

/// The formula with four indices.
fn value(graph: SoftGraph, target: SoftGraph, alpha: f64, plan: &[f32]) -> f64 {
    let [rows, columns] = [graph.mass.len(), target.mass.len()];
    let width = graph.features.len() / rows;
    let (plan, square) = (|i: usize, j: usize| f64::from(plan[i * columns + j]), |x: f64| x * x);
    let mut value = 0.0;
    for (i, j) in (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))) {
        for feature in 0..width {
            let [x, y] = [graph.features[i * width + feature], target.features[j * width + feature]].map(f64::from);
            value += (1.0 - alpha) * square(x - y) * plan(i, j);
        }
        for (k, l) in (0..rows).flat_map(|k| (0..columns).map(move |l| (k, l))) {
            let [a, b] = [graph.adjacency[i * rows + k], target.adjacency[j * columns + l]].map(f64::from);
            value += alpha * square(a - b) * plan(i, j) * plan(k, l);
        }
    }
    value
}

/// Where a weight is 0 the reference holds zeros, by which no error can be measured.
fn compare_gradients(
    case: &Case,
    comparison: &mut Comparison,
    prefix: &str,
    features: &[f32],
    adjacency: &[f32],
) -> Result<()> {
    for (name, found) in [("grad.features", features), ("grad.adjacency", adjacency)] {
        let name = format!("{prefix}{name}");
        let expected = case.matrix(&name)?;
        let found = found.iter().map(|number| f64::from(*number)).collect();
        let is_zero = expected.iter().all(|number| *number == 0.0);
        let floor = if is_zero { 1.0 } else { f64::MIN_POSITIVE };
        comparison.compare_above(floor, &name, &Array2::from_shape_vec(expected.dim(), found)?, &expected);
    }
    Ok(())
}

fn entropic(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let workers = Workers::single();
    let graphs = Graphs::new(case)?;
    let [graph, target] = graphs.pair();
    let loss = FusedGromovWasserstein::new(scalar(case, "alpha")? as f32);
    let solver = Sinkhorn::new(scalar(case, "epsilon")? as f32, case.integers("rounds")?.sum() as usize);
    let steps = case.integers("outer")?.sum() as usize;
    let Entropic { plan, value, .. } = loss.entropic_plan(graph, target, &solver, steps, &workers)?;
    comparison.numbers(case, "plan", &plan)?;
    comparison.number(case, "value", value)?;
    let found = loss.gradient(graph, target, &plan, &workers)?;
    compare_gradients(case, comparison, "", &found.features, &found.adjacency)
}

fn masked(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let workers = Workers::single();
    let (presence, labels, edges) = (floats(case, "presence")?, floats(case, "labels")?, floats(case, "edges")?);
    let (target_presence, target_edges) = (floats(case, "target_presence")?, floats(case, "target_edges")?);
    let width = labels.len() / presence.len();
    let mut target_labels = vec![0.0; labels.len()];
    for (slot, label) in case.integers("target_labels")?.iter().enumerate() {
        target_labels[slot * width + usize::try_from(*label)?] = 1.0;
    }
    let weight = |name| scalar(case, name).map(|weight| weight as f32);
    let loss =
        MaskedGromovWasserstein { presence: weight("alpha_h")?, labels: weight("alpha_f")?, edges: weight("alpha_a")? };
    let graph = MaskedGraph { presence: &presence, labels: &labels, edges: &edges };
    let target = MaskedGraph { presence: &target_presence, labels: &target_labels, edges: &target_edges };
    let found = loss.gradient(graph, target, &floats(case, "plan")?, &workers)?;
    comparison.number(case, "value", found.value)?;
    comparison.numbers(case, "grad.presence", &found.presence)?;
    comparison.numbers(case, "grad.labels", &found.labels)?;
    comparison.numbers(case, "grad.edges", &found.edges)?;
    let best = loss.plan(graph, target, &Search { starts: 4, ..Search::default() }, &workers)?;
    if best.value > found.value {
        return Err(format!("the best plan has the value {}, the one given {}", best.value, found.value).into());
    }
    Ok(())
}

fn motif_term(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let (adjacency, target, plan) =
        (floats(case, "adjacency")?, floats(case, "target_adjacency")?, floats(case, "plan")?);
    let [rows, columns] = [case.matrix("adjacency")?.nrows(), case.matrix("target_adjacency")?.nrows()];
    comparison.numbers(case, "motifs", &motifs(&adjacency, rows))?;
    comparison.numbers(case, "target_motifs", &motifs(&target, columns))?;
    let masses: Vec<f32> = plan.chunks_exact(columns).map(|row| row.iter().sum()).collect();
    let target_masses: Vec<f32> = (0..columns).map(|j| plan.iter().skip(j).step_by(columns).sum()).collect();
    let graph = SoftGraph { features: &[], adjacency: &adjacency, mass: &masses };
    let target = SoftGraph { features: &[], adjacency: &target, mass: &target_masses };
    let found = FusedGromovWasserstein::new(0.0).with_motifs(1.0).gradient(graph, target, &plan, &Workers::single())?;
    comparison.number(case, "value", found.value)?;
    comparison.numbers(case, "grad.adjacency", &found.adjacency)
}
