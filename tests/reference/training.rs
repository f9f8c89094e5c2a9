//! Losses and optimizers against the reference.

use super::{
    Comparison, Result,
    case::Case,
    common::{Matrices, Scene},
};
use bevy_ecs::{entity::Entity, schedule::Schedule};
use connectome_components::{ClassLabel, Loss, Metrics, Optimizer, Split, TensorLayout, attach_fields};
use connectome_systems::{
    ModelBuilder, Targets, Train, Workers,
    layers::{BuildError, Layer},
    loss_and_gradient, measure,
    program::{Footprint, Initialization, Operation, Operator, Partition, Program, Shape, Step, Tape, Value, kernel},
    run,
};
use ndarray::Array2;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// The mean over all nodes, and over all columns where targets are numbers.
pub fn check_loss(case: &Case, loss: Loss, comparison: &mut Comparison) -> Result<()> {
    let (x, out) = (case.matrix("x")?, case.floats("out")?.sum());
    let mut scene = Scene::new(x.nrows(), &[]);
    let (output, gradient) = (scene.field("x", &x)?, scene.field("gradient", &Array2::zeros(x.dim()))?);
    scene.world.init_resource::<Workers>();
    let model = scene.world.spawn(Metrics::default()).id();
    let targets = Targets::register(&mut scene.world, loss, output)?;
    attach_fields(&mut scene.world, output.domain());
    match targets {
        Targets::Classes { labels, .. } => {
            let classes = case.integers("y")?;
            if classes.shape() != [x.nrows()] {
                return Err(format!("`y` is {:?} for {} nodes", classes.shape(), x.nrows()).into());
            }
            for (node, class) in scene.nodes.iter().zip(&classes) {
                labels.set(&mut scene.world, *node, &[ClassLabel(u32::try_from(*class)?)])?;
            }
        }
        Targets::Indices { .. } => return Err("a loss of classes has labels of its own".into()),
        Targets::Values { values, .. } => {
            let given = case.matrix_of("target", x.dim())?;
            for (node, row) in scene.nodes.iter().zip(given.rows()) {
                // Where the loss is binary, a number of the reference stands for whether it is positive.
                let number = |given: &f64| match loss {
                    Loss::BinaryCrossEntropy => f32::from(*given > 0.0),
                    _ => *given as f32,
                };
                values.set(&mut scene.world, *node, &row.iter().map(number).collect::<Vec<_>>())?;
            }
        }
    }
    for node in &scene.nodes {
        targets.splits().set(&mut scene.world, *node, &[Split::Train])?;
    }
    for (array, system) in [
        ("out", loss_and_gradient(&mut scene.world, model, loss, output, gradient, targets)?),
        ("out, measured", measure(&mut scene.world, model, loss, output, targets)?),
    ] {
        let mut schedule = Schedule::default();
        schedule.add_systems(system);
        schedule.run(&mut scene.world);
        let metrics = scene.world.get::<Metrics>(model).ok_or("the model has no metrics")?;
        let found = metrics.of(Split::Train).loss_sum / metrics.of(Split::Train).count as f64;
        comparison.compare(array, &Array2::from_elem((1, 1), found), &Array2::from_elem((1, 1), out));
    }
    comparison.compare("grad.x", &scene.read(gradient)?, &case.matrix_of("grad.x", x.dim())?);
    Ok(())
}

/// Steps with the gradient `sin(w + t)`.
pub fn check_optimizer(case: &Case, optimizer: Optimizer, comparison: &mut Comparison) -> Result<()> {
    let (start, trajectory) = (case.matrix("w0")?, case.floats("trajectory")?);
    if trajectory.ndim() == 0 || trajectory.len() != trajectory.shape()[0] * start.len() {
        return Err(format!("`trajectory` is {:?} for weights of {:?}", trajectory.shape(), start.dim()).into());
    }
    let mut scene = Scene::new(0, &[]);
    let model = ModelBuilder::new(scene.graph)
        .layer(Wave { shape: start.dim().into(), step: Arc::default() })
        .external_gradient()
        .optimizer(optimizer)
        .build(&mut scene.world)?;
    scene.set_parameters(model, &Matrices::from([("weight".to_owned(), start.clone())]))?;
    let mut found = Vec::new();
    for _ in 0..trajectory.shape()[0] {
        run(&mut scene.world, Train(model)).unwrap();
        found.extend(weights(&scene, model)?);
    }
    let shape = (trajectory.shape()[0], start.len());
    let expected = Array2::from_shape_vec(shape, trajectory.iter().copied().collect())?;
    comparison.compare("trajectory", &Array2::from_shape_vec(shape, found)?, &expected);
    Ok(())
}

fn weights(scene: &Scene, model: Entity) -> Result<Vec<f64>> {
    let parameters = scene.parameters(model);
    let (entity, parameter) = parameters.first().ok_or("the model has no parameter")?;
    Ok(parameter.value.get(&scene.world, *entity)?.iter().map(|weight| f64::from(*weight)).collect())
}

/// A layer that has a parameter `w` whose gradient in step `t` is `sin(w + t)`, whatever comes back through it.
struct Wave {
    shape: [usize; 2],
    step: Arc<AtomicU64>,
}

impl Layer for Wave {
    fn build(&self, input: Value, program: &mut Program) -> std::result::Result<Value, BuildError> {
        let layout = TensorLayout { shape: self.shape.to_vec(), transposed: false };
        let parameter = program.parameter("weight", self.shape, layout, Initialization::ZEROS, None)?;
        program.record_one(Waving { step: self.step.clone() }, &[program.dense(input)?, parameter.value()])
    }
}

/// Hands its first input on; its second one has the gradient of a wave.
#[derive(Debug)]
struct Waving {
    step: Arc<AtomicU64>,
}

impl Operator for Waving {
    fn name(&self) -> &'static str {
        "wave"
    }

    fn shapes(&self, inputs: &[Value]) -> std::result::Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape()])
    }

    fn run(&self, step: &mut Step<'_>) {
        step.write_rows(Partition::Uniform, [0], |_, [from], rows, to| to.copy_from_slice(from.slice(rows)));
    }

    fn differentiate(
        &self,
        operation: &Operation,
        _: Value,
        tape: &mut Tape<'_>,
    ) -> std::result::Result<(), BuildError> {
        let (weights, counter) = (operation.inputs[1], self.step.clone());
        let wave = kernel("wave_backward", Footprint::All, move |step: &mut Step<'_>| {
            let number = counter.fetch_add(1, Ordering::Relaxed);
            let weights = step.input(0);
            for (gradient, weight) in step.output(0).rows_mut().flatten().zip(weights.rows().flatten()) {
                *gradient = (f64::from(*weight) + number as f64).sin() as f32;
            }
        });
        tape.weight_gradient(weights, 0..weights.width(), wave, &[weights])
    }
}
