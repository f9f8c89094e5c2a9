//! Networks over directed acyclic graphs against the reference. Their cases name no class of PyTorch.

use super::{
    Comparison, Result,
    case::Case,
    common::{Given, Link, Scene, Trial},
    layers,
};
use connectome_systems::{
    kernels::Activation,
    layers::{DagAggregation, DagGru, DagNetwork, Layer, Mlp, TreeLevels},
};
use ndarray::Array2;

/// Runs a case, if it is one of these; `None` if it is not.
pub fn check(case: &Case, comparison: &mut Comparison) -> Option<Result<()>> {
    let (kind, variant) = case.meta.case.strip_prefix("dag_")?.split_once('_').unwrap_or(("children", ""));
    match kind {
        "network" => Some(check_network(case, variant, comparison)),
        "gru" => Some(check_gru(case, variant, comparison)),
        _ => Some(check_children(case, comparison)),
    }
}

/// A vector as a column.
fn column(case: &Case, name: &str) -> Result<Array2<f64>> {
    Ok(case.matrix(name)?.reversed_axes())
}

/// Here the bias of a node is its input, unless it has no predecessors.
fn check_network(case: &Case, activation: &str, comparison: &mut Comparison) -> Result<()> {
    let activation = match activation {
        "tanh" => Activation::Tanh,
        "relu" => Activation::Relu,
        "sigmoid" => Activation::Sigmoid,
        "leaky_relu" => Activation::LeakyRelu(0.01),
        "linear" => Activation::Identity,
        other => return Err(format!("the activation {other} is not known").into()),
    };
    let (x, bias) = (column(case, "x")?, column(case, "bias")?);
    let levels = case.integers("level")?;
    let links = case.links(x.nrows())?;
    let is_source = |node: usize| links.iter().all(|link| link.target != node);
    if (0..x.nrows()).any(|node| is_source(node) != (levels[[node]] == 0)) {
        return Err("`level` is not 0 just where no edges end".into());
    }
    let input = Array2::from_shape_fn(x.dim(), |at| if is_source(at.0) { x[at] } else { bias[at] });
    let given = Given { input, edges: Some(column(case, "weight")?), ..Given::default() };
    let layer = DagNetwork::new(activation).with_edge_features();
    let mut scene = Scene::new(x.nrows(), &links);
    let trial = Trial::build(&mut scene, &given, |model| model.layer(layer), &column(case, "cotangent")?)?;
    let passes = trial.run(&mut scene)?;
    comparison.compare("out", &passes.output, &column(case, "out")?);
    let expected = column(case, "grad.x")? + column(case, "grad.bias")?;
    comparison.compare("grad.x + grad.bias", &passes.input.ok_or("the input has no gradient")?, &expected);
    let weights = passes.edges.ok_or("the weights have no gradient")?;
    comparison.compare("grad.weight", &weights, &column(case, "grad.weight")?);
    Ok(())
}

fn check_gru(case: &Case, aggregation: &str, comparison: &mut Comparison) -> Result<()> {
    let aggregation = match aggregation {
        "sum" => DagAggregation::Sum,
        "gated" => DagAggregation::Gated,
        "attention" => DagAggregation::Attention,
        other => return Err(format!("the aggregation {other} is not known").into()),
    };
    let layer = DagGru::new(case.matrix("out")?.ncols()).with_aggregation(aggregation);
    layers::check(case, Box::new(layer) as Box<dyn Layer>, comparison)
}

fn check_children(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let children = case.integers("children")?;
    let [nodes, arity] = *children.shape() else { return Err("`children` is no matrix".into()) };
    let mut links = Vec::new();
    let mut places = Vec::new();
    for ((target, place), child) in children.indexed_iter().map(|(at, child)| ((at[0], at[1]), *child)) {
        let Ok(source) = usize::try_from(child) else { continue };
        if source >= nodes {
            return Err(format!("`children` names node {source} of {nodes}").into());
        }
        links.push(Link { source, target, weight: None });
        places.push(place as f64);
    }
    let widths = ["param.0.bias", "param.2.bias"].map(|bias| Ok(case.matrix(bias)?.ncols()));
    let widths = widths.into_iter().collect::<Result<Vec<_>>>()?;
    let layer = Box::new(TreeLevels::new(Mlp::new(widths), arity));
    let edges = Array2::from_shape_vec((places.len(), 1), places)?;
    layers::check_on(case, layer, (Scene::new(nodes, &links), Some(edges)), comparison)
}
