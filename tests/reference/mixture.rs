//! Mixtures of experts.

use super::{Comparison, Result, case::Case, common};
use bevy_ecs::{entity::Entity, world::World};
use common::{STANDSTILL, Scene, seed_cotangent};
use connectome_components::{GateLosses, MixtureOfExperts, Model, Parameter};
use connectome_systems::{MixtureBuilder, ModelBuilder, WorldModelExt, expert_world, expert_world_mut, layers::Linear};
use ndarray::{Array2, Axis, Ix3, array};

/// The check of a case, if it is of a mixture.
pub fn check(case: &Case) -> Option<fn(&Case, &mut Comparison) -> Result<()>> {
    case.meta.case.starts_with("experts_").then_some(mixture)
}

/// Linear experts of nodes, and a linear gate.
fn mixture(case: &Case, comparison: &mut Comparison) -> Result<()> {
    let x = case.matrix("x")?;
    let weights = case.floats("param.weight")?.into_dimensionality::<Ix3>()?;
    let biases = case.matrix("param.bias")?;
    let (experts, width, _) = weights.dim();
    let mut scene = Scene::new(x.nrows(), &[]);
    let input = scene.field("x", &x)?;
    let model = || ModelBuilder::new(scene.graph).optimizer(STANDSTILL);
    let mut builder = MixtureBuilder::new(model().input(input), model().external_gradient());
    builder = (0..experts).fold(builder, |builder, _| builder.expert(model().input(input).layer(Linear::new(width))));
    builder = builder.loss_weights(GateLosses { balance: 0.1, importance: 0.2, z: 0.05 });
    builder = match case.meta.case.as_str() {
        "experts_softmax" => builder,
        "experts_top_2" => builder.top_k(2),
        "experts_top_1" => builder.top_k(1),
        other => return Err(format!("the gate of {other} is not known").into()),
    };
    let world = &mut scene.world;
    let mixture = world.spawn_mixture(builder)?;
    let gate = world.get::<MixtureOfExperts>(mixture).map(|mixture| mixture.gate).ok_or("there is no gate")?;
    write(world, gate, "weight", &case.matrix("param.gate")?.reversed_axes())?;
    for expert in 0..experts {
        let (own, model) = expert_world_mut(world, mixture, expert)?;
        write(own, model, "weight", &weights.index_axis(Axis(0), expert).to_owned().reversed_axes())?;
        write(own, model, "bias", &biases.row(expert).insert_axis(Axis(0)).to_owned())?;
    }
    seed_cotangent(world, mixture, &case.matrix("cotangent")?)?;
    world.train(mixture)?;

    comparison.compare("out", &scene.output(mixture)?, &case.matrix("out")?);
    let component = scene.world.get::<MixtureOfExperts>(mixture).cloned().ok_or("there is no mixture")?;
    comparison.compare("gate", &scene.read(component.weights)?, &case.matrix("gate")?);
    let GateLosses { balance, importance, z } = component.losses;
    for (name, found) in [("balance", balance), ("importance", importance), ("z", z)] {
        comparison.compare(name, &array![[f64::from(found)]], &array![[case.floats(name)?.sum()]]);
    }
    let expected = case.matrix("grad.param.gate")?.reversed_axes();
    comparison.compare("grad.param.gate", &gradient(&scene.world, gate, "weight", expected.dim())?, &expected);
    let expected = case.floats("grad.param.weight")?.into_dimensionality::<Ix3>()?;
    let biases = case.matrix("grad.param.bias")?;
    for expert in 0..experts {
        let (own, model) = expert_world(&scene.world, mixture, expert)?;
        let expected = expected.index_axis(Axis(0), expert).to_owned().reversed_axes();
        comparison.compare("grad.param.weight", &gradient(own, model, "weight", expected.dim())?, &expected);
        let expected = biases.row(expert).insert_axis(Axis(0)).to_owned();
        comparison.compare("grad.param.bias", &gradient(own, model, "bias", expected.dim())?, &expected);
    }
    Ok(())
}

fn parameter(world: &World, model: Entity, name: &str) -> Result<(Entity, Parameter)> {
    let parameters = world.get::<Model>(model).map_or(&[][..], |model| &model.parameters);
    let mut parameters =
        parameters.iter().filter_map(|entity| Some((*entity, world.get::<Parameter>(*entity)?.clone())));
    parameters.find(|(_, parameter)| parameter.name.ends_with(name)).ok_or_else(|| format!("no `{name}`").into())
}

fn write(world: &mut World, model: Entity, name: &str, values: &Array2<f64>) -> Result<()> {
    let (entity, parameter) = parameter(world, model, name)?;
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    Ok(parameter.value.set(world, entity, &values)?)
}

fn gradient(world: &World, model: Entity, name: &str, shape: (usize, usize)) -> Result<Array2<f64>> {
    let (entity, parameter) = parameter(world, model, name)?;
    let gradient = parameter.gradient.ok_or("it has no gradient")?.get(world, entity)?;
    Ok(Array2::from_shape_vec(shape, gradient.iter().map(|value| f64::from(*value)).collect())?)
}
