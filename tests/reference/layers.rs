//! Layers against the reference.

use super::{
    Comparison, Result,
    case::Case,
    common::{Given, Scene, Trial, WithCoordinates, name_in_layer},
    floor_of_zeros,
    printed::Printed,
};
use connectome_components::Parameter;
use connectome_systems::{
    kernels::Activation,
    layers::{
        Appnp, AttentionalAggregation, BatchNorm, BuildError, EdgeConv, EgnnConv, GatConv, GatedGraphConv, Gatv2Conv,
        Gcn2Conv, GcnConv, GinConv, GineConv, GraphNetBlock, GraphNorm, Layer, LayerNorm, Linear, Mlp, NnConv, PnaConv,
        Readout, ResGatedGraphConv, SageConv, SgConv, TransformerConv,
    },
    operators::Reduction,
    program::{Operation, Operator, Partition, Program, Shape, Step, Tape, Value},
};
use ndarray::Array2;

/// The layer that a class of PyTorch or PyTorch Geometric is here, told from its text and the shapes of the case; none
/// if the engine has no such layer.
pub fn layer(class: &Printed, case: &Case) -> Result<Option<Box<dyn Layer>>> {
    let width = case.matrix("out")?.ncols();
    Ok(match class.name.as_str() {
        "BatchNorm1d" => Some(Box::new(BatchNorm { epsilon: class.required("eps")?, ..BatchNorm::new().frozen() })),
        "APPNP" => appnp(class).map(|layer| Box::new(layer) as Box<dyn Layer>),
        "EGNNLayer" => {
            let hidden = case.matrix("param.phi_e.0.bias")?.ncols();
            Some(Box::new(WithCoordinates(3, EgnnConv::new(hidden))))
        }
        "GatedGraphConv" => {
            let rounds = class.count("num_layers");
            rounds.map(|rounds| Box::new(GatedGraphConv::new(width, rounds)) as Box<dyn Layer>)
        }
        "GCN2Conv" => gcn2_conv(class, case).map(|layer| Box::new(layer) as Box<dyn Layer>),
        "EdgeConv" => Some(Box::new(EdgeConv::new(mlp(case, "nn")?).with_aggregation(reduction_of_case(case)?))),
        "GCNConv" => Some(Box::new(GcnConv::new(width))),
        "GINConv" => {
            let layer = GinConv::new(mlp(case, "nn")?);
            Some(Box::new(if case.has("param.eps") { layer.train_epsilon() } else { layer }))
        }
        "GINEConv" => {
            let layer = GineConv { edge_features: case.has("param.lin.weight"), ..GineConv::new(mlp(case, "nn")?) };
            Some(Box::new(if case.has("param.eps") { layer.train_epsilon() } else { layer }))
        }
        "GATConv" => Some(Box::new(gat_conv(case, width)?)),
        "GraphNorm" => Some(Box::new(GraphNorm::new())),
        "InteractionBlock" => {
            let hidden = case.matrix("param.edge.0.bias")?.ncols();
            Some(Box::new(GraphNetBlock::new([hidden])))
        }
        "LayerNorm" => {
            let norm = class.number("eps").map(|epsilon| LayerNorm { epsilon, ..LayerNorm::new() });
            norm.map(|norm| Box::new(norm) as Box<dyn Layer>)
        }
        "Linear" => Some(Box::new(Linear::new(width))),
        "NNConv" => {
            let aggregation = reduction(class.text("aggr")).ok_or(UNKNOWN_AGGREGATION)?;
            Some(Box::new(NnConv::new(width, mlp(case, "nn")?).with_aggregation(aggregation)))
        }
        "PNAConv" if class.text("towers") == "1" => {
            let edge_features = case.has("param.edge_encoder.weight");
            Some(Box::new(PnaConv { edge_features, ..PnaConv::new(width) }))
        }
        "Pool" => match case.meta.case.as_str() {
            "pool_add" => Some(Box::new(Readout::Sum)),
            "pool_mean" => Some(Box::new(Readout::Mean)),
            "pool_max" => Some(Box::new(Readout::Max)),
            _ => None,
        },
        "SAGEConv" => {
            let aggregation = reduction(class.text("aggr")).ok_or(UNKNOWN_AGGREGATION)?;
            let layer = SageConv {
                project: case.has("param.lin.weight"),
                root_weight: case.has("param.lin_r.weight"),
                normalize: case.meta.case.ends_with("_l2"),
                ..SageConv::new(width).with_aggregation(aggregation)
            };
            Some(Box::new(layer))
        }
        "SGConv" => class.count("K").map(|hops| Box::new(SgConv::new(width, hops)) as Box<dyn Layer>),
        "GATv2Conv" => Some(Box::new(gatv2_conv(case, width)?)),
        "AttentionalAggregation" if case.has("param.gate_nn.weight") && case.has("param.nn.weight") => {
            Some(Box::new(AttentionalAggregation::new(width)))
        }
        "ResGatedGraphConv" => Some(Box::new(ResGatedGraphConv::new(width))),
        "TransformerConv" => Some(Box::new(transformer_conv(class, case, width)?)),
        _ => class.activation().map(|activation| Box::new(activation) as Box<dyn Layer>),
    })
}

const UNKNOWN_AGGREGATION: &str = "an aggregation that the engine does not have";

/// From the last word of a case such as `edge_conv_max`.
fn reduction_of_case(case: &Case) -> Result<Reduction> {
    let word = case.meta.case.rsplit('_').next().unwrap_or_default();
    Ok(reduction(word).ok_or(UNKNOWN_AGGREGATION)?)
}

fn reduction(name: &str) -> Option<Reduction> {
    match name {
        "add" | "sum" => Some(Reduction::Sum),
        "mean" => Some(Reduction::Mean),
        "max" => Some(Reduction::Max),
        "min" => Some(Reduction::Min),
        _ => None,
    }
}

/// The perceptron that the parameters `name.0.weight`, `name.2.weight`, and so on belong to, with the activation that the
/// text of the class has in second place.
fn mlp(case: &Case, name: &str) -> Result<Mlp> {
    let widths = (0..)
        .map(|map| format!("param.{name}.{}.weight", 2 * map))
        .take_while(|weight| case.has(weight))
        .map(|weight| Ok(case.matrix(&weight)?.nrows()))
        .collect::<Result<Vec<_>>>()?;
    let (_, rest) = case.meta.class.split_once("(1): ").unwrap_or_default();
    let line = rest.lines().next().unwrap_or_default();
    let activation = Printed::of_class(line).activation().unwrap_or(Activation::Identity);
    Ok(Mlp::new(widths).with_activation(activation))
}

fn appnp(class: &Printed) -> Option<Appnp> {
    Some(Appnp::new(class.count("K")?, class.number("alpha")?))
}

fn gcn2_conv(class: &Printed, case: &Case) -> Option<FromInitial> {
    let convolution = Gcn2Conv::new(class.number("alpha")?, class.number("beta")?);
    (case.meta.note == "x_0 = 0.7 x + 0.1").then_some(FromInitial(convolution))
}

/// A convolution with the initial value `0.7 x + 0.1`.
struct FromInitial(Gcn2Conv);

impl Layer for FromInitial {
    fn build(&self, input: Value, program: &mut Program) -> std::result::Result<Value, BuildError> {
        let initial = program.record_one(Affine { factor: 0.7, offset: 0.1 }, &[program.dense(input)?])?;
        self.0.convolve(program, input, initial)
    }
}

/// `factor x + offset`, an operator of the test's own.
#[derive(Clone, Copy, Debug)]
struct Affine {
    factor: f32,
    offset: f32,
}

impl Operator for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn shapes(&self, inputs: &[Value]) -> std::result::Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn run(&self, step: &mut Step<'_>) {
        let Self { factor, offset } = *self;
        step.write_rows(Partition::Uniform, [0], |_, [from], rows, to| {
            to.iter_mut().zip(from.slice(rows)).for_each(|(to, from)| *to = factor * from + offset);
        });
    }

    fn differentiate(
        &self,
        operation: &Operation,
        gradient: Value,
        tape: &mut Tape<'_>,
    ) -> std::result::Result<(), BuildError> {
        tape.gradient(operation.inputs[0], Self { offset: 0.0, ..*self }, &[gradient])
    }
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
    Ok(GatConv {
        heads,
        edge_features: edges,
        concat: out == heads * width,
        add_self_loops: adds_self_loops(case)?,
        ..GatConv::new(width)
    })
}

fn gatv2_conv(case: &Case, out: usize) -> Result<Gatv2Conv> {
    let [heads, width] = heads(case, "param.att")?;
    let edges = case.has("param.lin_edge.weight");
    let add_self_loops = adds_self_loops(case)?;
    Ok(Gatv2Conv { heads, edge_features: edges, concat: out == heads * width, add_self_loops, ..Gatv2Conv::new(width) })
}

fn transformer_conv(class: &Printed, case: &Case, out: usize) -> Result<TransformerConv> {
    let columns = case.matrix("param.lin_key.weight")?.nrows();
    let heads = class.number("heads").map_or(1, |heads| heads as usize).max(1);
    Ok(TransformerConv {
        heads,
        concat: out == columns,
        beta: case.has("param.lin_beta.weight"),
        root: case.has("param.lin_skip.weight"),
        edge_features: case.has("param.lin_edge.weight"),
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
    let x = case.matrix("x")?;
    let edges = case.has("edge_attr").then(|| case.matrix("edge_attr")).transpose()?;
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
    check_on(case, layer, (scene, edges), comparison)
}

/// The same on a graph, with these features of edges.
pub fn check_on(
    case: &Case,
    layer: Box<dyn Layer>,
    (mut scene, edges): (Scene, Option<Array2<f64>>),
    comparison: &mut Comparison,
) -> Result<()> {
    let (x, out) = (case.matrix("x")?, case.matrix("out")?);
    let cotangent = case.matrix_of("cotangent", out.dim())?;
    let given = Given { input: x.clone(), edges: edges.clone(), ..Given::default() };
    let trial = Trial::build(&mut scene, &given, |model| model.layer(layer), &cotangent)?;
    let parameters = scene.parameters(trial.model);
    for name in case.parameters() {
        let is_known = parameters.iter().any(|(_, parameter)| name_in_layer(&parameter.name) == name);
        if !is_known && !is_without_effect(case, name)? {
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
    if let (Some(gradient), Some(edges), true) = (passes.edges, edges, case.has("edge_attr")) {
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

/// Whether the output does not depend on a parameter, such as on a term of all scores of a softmax alike: a layer need not
/// have it.
fn is_without_effect(case: &Case, name: &str) -> Result<bool> {
    let gradient = case.matrix(&format!("grad.param.{name}"))?;
    Ok(floor_of_zeros(&gradient, 1.0) == 1.0)
}

/// The array of a parameter in our shape.
fn stored_numbers(case: &Case, kind: &str, parameter: &Parameter) -> Result<Vec<f32>> {
    let array = format!("{kind}.{}", name_in_layer(&parameter.name));
    let numbers: Vec<f32> =
        case.numbers(&array, &parameter.layout.shape)?.into_iter().map(|number| number as f32).collect();
    Ok(parameter.from_stored(&numbers))
}
