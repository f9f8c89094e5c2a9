//! Layers of several kinds of nodes.

use super::{
    Comparison, Result,
    case::Case,
    common::{
        Matrices,
        kinds::{KindScene, Links},
        name_in_layer,
    },
    floor_of_zeros,
};
use connectome_components::Parameter;
use connectome_systems::{
    ModelBuilder,
    layers::{HeteroConv, HgtConv, Linear, RelationAggregation, RgcnConv, SageConv},
};
use ndarray::Array2;

const KINDS: [&str; 3] = ["paper", "author", "venue"];

/// The relations, in the order of the weights of all.
const RELATIONS: [(&str, [&str; 2]); 4] = [
    ("cites", ["paper", "paper"]),
    ("writes", ["author", "paper"]),
    ("written_by", ["paper", "author"]),
    ("publishes", ["venue", "paper"]),
];

/// The check of a case, if it is of several kinds.
pub fn check(case: &Case) -> Option<fn(&Case, &mut Comparison) -> Result<()>> {
    let name = case.meta.case.as_str();
    let starts = ["hetero_conv", "rgcn_conv", "hgt_conv", "per_kind"];
    starts.iter().any(|start| name.starts_with(start)).then_some(kinds)
}

/// The model with the layer of a case.
fn with_layer(case: &Case, builder: ModelBuilder) -> Result<ModelBuilder> {
    let hetero = |aggregation| HeteroConv::new(SageConv::new(4)).with_aggregation(aggregation);
    Ok(match case.meta.case.as_str() {
        "hetero_conv_sum" => builder.layer(hetero(RelationAggregation::Sum)),
        "hetero_conv_mean" => builder.layer(hetero(RelationAggregation::Mean)),
        "hetero_conv_max" => builder.layer(hetero(RelationAggregation::Max)),
        "hetero_conv_attention" => builder.layer(hetero(RelationAggregation::Attention(6))),
        "rgcn_conv" => builder.layer(RgcnConv::new(6)),
        "rgcn_conv_bases" => builder.layer(RgcnConv::new(6).with_bases(2)),
        "hgt_conv" | "hgt_conv_skip" => builder.layer(HgtConv::new(6, 2)),
        "per_kind_linear" => builder.layer(Linear::new(4)),
        other => return Err(format!("the layer of {other} is not known").into()),
    })
}

fn kinds(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let features =
        KINDS.into_iter().map(|kind| Ok((kind, case.matrix(&format!("x.{kind}"))?))).collect::<Result<Vec<_>>>()?;
    let links = RELATIONS.into_iter().map(|(name, ends)| links(case, name, ends)).collect::<Result<Vec<_>>>()?;
    let mut scene = KindScene::new(&features, &links);
    let has_output = |kind: &&str| case.has(&format!("out.{kind}"));
    let cotangents: Matrices = KINDS
        .into_iter()
        .filter(has_output)
        .map(|kind| Ok((kind.to_owned(), case.matrix(&format!("cotangent.{kind}"))?)))
        .collect::<Result<_>>()?;
    let given = |parameter: &Parameter| stored(case, "param", parameter).ok();
    let builder = with_layer(case, scene.builder())?;
    let model = scene.build(|_| builder, &cotangents, &given)?;
    let parameters = scene.parameters(model);
    for (_, parameter) in &parameters {
        stored(case, "param", parameter)?;
    }
    let passes = scene.run(model)?;
    for (kind, output) in &passes.outputs {
        comparison.compare(&format!("out.{kind}"), output, &case.matrix(&format!("out.{kind}"))?);
    }
    for (kind, gradient) in &passes.inputs {
        let array = format!("grad.x.{kind}");
        let expected = case.matrix(&array)?;
        comparison.compare_above(floor_of_zeros(&expected, 1.0), &array, gradient, &expected);
    }
    for (_, parameter) in &parameters {
        let numbers = stored(case, "grad.param", parameter)?.into_iter().map(f64::from).collect();
        let expected = Array2::from_shape_vec((parameter.shape[0], parameter.shape[1]), numbers)?;
        let name = name_in_layer(&parameter.name);
        let found = passes.parameters.get(name).ok_or_else(|| format!("`{name}` has no gradient"))?;
        comparison.compare_above(floor_of_zeros(&expected, 1.0), &format!("grad.param.{name}"), found, &expected);
    }
    Ok(())
}

fn links(case: &Case, name: &'static str, ends: [&'static str; 2]) -> Result<Links> {
    let endpoints = case.integers(&format!("edge_index.{name}"))?;
    let edges = (0..endpoints.shape()[1])
        .map(|edge| Ok([usize::try_from(endpoints[[0, edge]])?, usize::try_from(endpoints[[1, edge]])?]))
        .collect::<Result<_>>()?;
    Ok(Links { name, ends, edges })
}

/// The array of a parameter in our shape.
fn stored(case: &Case, kind: &str, parameter: &Parameter) -> Result<Vec<f32>> {
    let array = format!("{kind}.{}", name_in_layer(&parameter.name));
    let numbers: Vec<f32> =
        case.numbers(&array, &parameter.layout.shape)?.into_iter().map(|number| number as f32).collect();
    Ok(parameter.from_stored(&numbers))
}
