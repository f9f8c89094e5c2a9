//! Layers against the reference.

use crate::{
    Comparison, Result,
    case::Case,
    common::{Given, Scene, Trial, name_in_layer},
    floor_of_zeros,
    printed::Printed,
};
use connectome_components::Parameter;
use connectome_systems::layers::{
    AttentionPooling, GatConv, Gatv2Conv, GraphConv, Layer, Linear, ResGatedConv, TransformerConv,
};
use ndarray::Array2;

/// The layer that a class of PyTorch or PyTorch Geometric is here, told from its text and the shapes of the case; none
/// if the engine has no such layer.
pub fn layer(class: &Printed, case: &Case) -> Result<Option<Box<dyn Layer>>> {
    let width = case.matrix("out")?.ncols();
    Ok(match class.name.as_str() {
        "GATv2Conv" => Some(Box::new(gatv2_conv(case, width)?)),
        "GCNConv" => Some(Box::new(GraphConv::new(width))),
        "AttentionalAggregation" if case.has("param.gate_nn.weight") && case.has("param.nn.weight") => {
            Some(Box::new(AttentionPooling::new(width)))
        }
        "GATConv" => Some(Box::new(gat_conv(case, width)?)),
        "Linear" => Some(Box::new(Linear::new(width))),
        "ResGatedGraphConv" => Some(Box::new(ResGatedConv::new(width))),
        "TransformerConv" => Some(Box::new(transformer_conv(class, case, width)?)),
        _ => class.activation().map(|activation| Box::new(activation) as Box<dyn Layer>),
    })
}

/// Heads and the columns of each, from the shape of a parameter `[1, H, C]`.
fn heads(case: &Case, vectors: &str) -> Result<[usize; 2]> {
    match case.floats(vectors)?.shape() {
        [1, heads, columns] => Ok([*heads, *columns]),
        shape => Err(format!("`{vectors}` is {shape:?} and not a vector for each head").into()),
    }
}

fn gat_conv(case: &Case, out: usize) -> Result<GatConv> {
    let [heads, width] = heads(case, "param.att_src")?;
    let edges = case.has("param.lin_edge.weight");
    Ok(GatConv { heads, edges, mean: out != heads * width, self_loops: adds_self_loops(case)?, ..GatConv::new(width) })
}

fn gatv2_conv(case: &Case, out: usize) -> Result<Gatv2Conv> {
    let [heads, width] = heads(case, "param.att")?;
    let edges = case.has("param.lin_edge.weight");
    let self_loops = adds_self_loops(case)?;
    Ok(Gatv2Conv { heads, edges, mean: out != heads * width, self_loops, ..Gatv2Conv::new(width) })
}

fn transformer_conv(class: &Printed, case: &Case, out: usize) -> Result<TransformerConv> {
    let columns = case.matrix("param.lin_key.weight")?.nrows();
    let heads = class.number("heads").map_or(1, |heads| heads as usize).max(1);
    Ok(TransformerConv {
        heads,
        mean: out != columns,
        beta: case.has("param.lin_beta.weight"),
        root: case.has("param.lin_skip.weight"),
        edges: case.has("param.lin_edge.weight"),
        ..TransformerConv::new(columns / heads)
    })
}

/// Whether nodes attend to themselves, which neither the text of a layer nor its shapes say: if not, the row of a node
/// to which no edge comes is the bias alone.
fn adds_self_loops(case: &Case) -> Result<bool> {
    let (out, bias) = (case.matrix("out")?, case.matrix("param.bias")?);
    let links = case.links(out.nrows())?;
    let apart = (0..out.nrows()).find(|node| links.iter().all(|link| link.target != *node));
    let apart = apart.ok_or("whether self-loops are added cannot be told, for edges come to every node")?;
    Ok(out.row(apart) != bias.row(0))
}

/// Compares a layer forward, and backward from the cotangent. Parameters have the names and shapes of the file: so does
/// a weight file that PyTorch has written.
pub fn check(case: &Case, layer: Box<dyn Layer>, comparison: &mut Comparison) -> Result<()> {
    let (x, out) = (case.matrix("x")?, case.matrix("out")?);
    let cotangent = case.matrix_of("cotangent", out.dim())?;
    let edges = case.has("edge_attr").then(|| case.matrix("edge_attr")).transpose()?;
    let given = Given { input: x.clone(), edges: edges.clone(), ..Given::default() };
    let mut scene = Scene::new(x.nrows(), &case.links(x.nrows())?);
    if case.has("batch") {
        let graphs =
            case.integers("batch")?.iter().map(|graph| Ok(usize::try_from(*graph)?)).collect::<Result<Vec<_>>>()?;
        let count = graphs.iter().max().map_or(0, |last| last + 1);
        if graphs.len() != x.nrows() {
            return Err("`batch` is not one for each node".into());
        }
        scene.divide(count, |node| graphs[node]);
    }
    let trial = Trial::build(&mut scene, &given, |model| model.layer(layer), &cotangent)?;
    let parameters = scene.parameters(trial.model);
    for name in case.parameters() {
        if !parameters.iter().any(|(_, parameter)| name_in_layer(&parameter.name) == name) {
            return Err(format!("the layer has no parameter `{name}`").into());
        }
    }
    for (entity, parameter) in &parameters {
        let kind = if parameter.gradient.is_some() { "param" } else { "buffer" };
        let numbers = stored_numbers(case, kind, parameter)?;
        parameter.value.set(&mut scene.world, *entity, &numbers)?;
    }
    let passes = trial.run(&mut scene)?;
    if passes.output.dim() != out.dim() {
        return Err(format!("`out` is {:?} and the layer's output {:?}", out.dim(), passes.output.dim()).into());
    }
    comparison.compare("out", &passes.output, &out);
    let gradient = passes.input.ok_or("the input has no gradient")?;
    comparison.compare("grad.x", &gradient, &case.matrix_of("grad.x", x.dim())?);
    if let (Some(gradient), Some(edges)) = (passes.edges, edges) {
        comparison.compare("grad.edge_attr", &gradient, &case.matrix_of("grad.edge_attr", edges.dim())?);
    }
    let scale = cotangent.iter().fold(0.0, |largest: f64, number| largest.max(number.abs()));
    for (_, parameter) in parameters.iter().filter(|(_, parameter)| parameter.gradient.is_some()) {
        let name = name_in_layer(&parameter.name);
        let numbers = stored_numbers(case, "grad.param", parameter)?.into_iter().map(f64::from).collect();
        let expected = Array2::from_shape_vec((parameter.shape[0], parameter.shape[1]), numbers)?;
        let gradient = passes.parameters.get(name).ok_or_else(|| format!("`{name}` has no gradient"))?;
        let floor = floor_of_zeros(&expected, scale);
        comparison.compare_above(floor, &format!("grad.param.{name}"), gradient, &expected);
    }
    Ok(())
}

/// The array of a parameter in our shape.
fn stored_numbers(case: &Case, kind: &str, parameter: &Parameter) -> Result<Vec<f32>> {
    let array = format!("{kind}.{}", name_in_layer(&parameter.name));
    let numbers: Vec<f32> =
        case.numbers(&array, &parameter.stored.shape)?.into_iter().map(|number| number as f32).collect();
    Ok(parameter.from_stored(&numbers))
}
