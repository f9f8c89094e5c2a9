//! What tests of layers share: a small world with a graph in it, a model whose gradients lie open, and comparison.
#![allow(dead_code, reason = "each test uses its part")]

use bevy_ecs::{entity::Entity, system::SystemParamBuilder, world::World};
use connectome_components::{
    Column, ColumnMut, Edge, EdgeWeight, Field, Graph, LearningRateSchedule, Model, Node, Optimizer, Parameter, Signal,
    attach_fields,
};
use connectome_systems::{
    Infer, ModelBuilder, Train,
    layers::{BuildError, Layer, LayerBuilder, Mode},
    random::Random,
    run,
};
use ndarray::Array2;
use proptest::test_runner::Config;
use std::collections::BTreeMap;

/// An optimizer that leaves every weight where it is, so that gradients can be read after a step.
pub const STANDSTILL: Optimizer =
    Optimizer::Sgd { learning_rate: 0.0, momentum: 0.0, nesterov: false, weight_decay: 0.0 };

/// 32 cases, or as many as the environment variable `PROPTEST_CASES` asks for.
pub fn few_cases() -> Config {
    let given = Config::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { 32 };
    Config { cases, failure_persistence: None, ..given }
}

/// An edge by the numbers of its ends.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub source: usize,
    pub target: usize,
    pub weight: Option<f32>,
}

/// A world with one graph in it. Edges without a weight come first in the rows of the edges. Matrices have one row
/// for each node, in the order of `nodes`.
pub struct Scene {
    pub world: World,
    pub graph: Entity,
    pub nodes: Vec<Entity>,
}

impl Scene {
    pub fn new(node_count: usize, links: &[Link]) -> Self {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let nodes: Vec<Entity> = (0..node_count).map(|_| world.spawn(Node).id()).collect();
        for link in links {
            // The table of edges without a weight is made first in any case.
            let mut edge = world.spawn(Edge { source: nodes[link.source], target: nodes[link.target] });
            if let Some(weight) = link.weight {
                edge.insert(EdgeWeight(weight));
            }
        }
        Self { world, graph, nodes }
    }

    /// A field of the nodes that holds `numbers`.
    pub fn field(&mut self, name: &str, numbers: &Array2<f64>) -> Result<Field, BuildError> {
        let nodes = self.world.register_component::<Node>();
        let field = Field::register(&mut self.world, name, nodes, numbers.ncols())?;
        attach_fields(&mut self.world, nodes);
        for (node, row) in self.nodes.iter().zip(numbers.rows()) {
            field.set(&mut self.world, *node, &row.mapv(|number| number as f32).to_vec())?;
        }
        Ok(field)
    }

    /// A dense signal with a gradient of its own, which the first layer of a model fills.
    pub fn dense(&mut self, numbers: &Array2<f64>) -> Result<Signal, BuildError> {
        let gradient = self.field("input gradient", &Array2::zeros(numbers.dim()))?;
        Ok(Signal::Dense { value: self.field("input", numbers)?, gradient: Some(gradient) })
    }

    /// A sparse signal of the numbers that are not 0; rows that have fewer than others are filled up.
    pub fn sparse(&mut self, numbers: &Array2<f64>) -> Result<Signal, BuildError> {
        let stored = |row: ndarray::ArrayView1<f64>| -> Vec<(usize, f64)> {
            row.iter().copied().enumerate().filter(|(_, number)| *number != 0.0).collect()
        };
        let rows: Vec<_> = numbers.rows().into_iter().map(stored).collect();
        let room = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let entry = |(row, place): (usize, usize)| rows[row].get(place).copied().unwrap_or((0, 0.0));
        let values = Array2::from_shape_fn((numbers.nrows(), room), |place| entry(place).1);
        let values = self.field("stored numbers", &values)?;
        let nodes = self.world.register_component::<Node>();
        let columns = Field::<u32>::register(&mut self.world, "stored columns", nodes, room)?;
        attach_fields(&mut self.world, nodes);
        for (row, node) in self.nodes.clone().into_iter().enumerate() {
            let places: Vec<u32> = (0..room).map(|place| entry((row, place)).0 as u32).collect();
            columns.set(&mut self.world, node, &places)?;
        }
        Ok(Signal::Sparse { columns, values, width: numbers.ncols() })
    }

    /// The numbers of a field.
    pub fn read(&self, field: Field) -> Result<Array2<f64>, BuildError> {
        let mut numbers = Array2::zeros((self.nodes.len(), field.width()));
        for (node, mut row) in self.nodes.iter().zip(numbers.rows_mut()) {
            row.iter_mut().zip(field.get(&self.world, *node)?).for_each(|(to, from)| *to = f64::from(*from));
        }
        Ok(numbers)
    }

    /// The parameters of a model, each with its entity.
    pub fn parameters(&self, model: Entity) -> Vec<(Entity, Parameter)> {
        let entities = self.world.get::<Model>(model).map_or(&[][..], |model| &model.parameters);
        entities.iter().filter_map(|entity| Some((*entity, self.world.get::<Parameter>(*entity)?.clone()))).collect()
    }

    /// Sets the parameters of a model that `values` has, by the last part of their names.
    pub fn set_parameters(&mut self, model: Entity, values: &Matrices) -> Result<(), BuildError> {
        for (entity, parameter) in self.parameters(model) {
            if let Some(value) = values.get(last_part(&parameter.name)) {
                let numbers: Vec<f32> = value.iter().map(|number| *number as f32).collect();
                parameter.value.set(&mut self.world, entity, &numbers)?;
            }
        }
        Ok(())
    }

    /// What the output field of a model holds.
    pub fn output(&self, model: Entity) -> Result<Array2<f64>, BuildError> {
        let output = self.world.get::<Model>(model).map(|model| model.output);
        self.read(output.ok_or(BuildError::NoGraph(model))?)
    }
}

/// Matrices by name, such as `weight` and `bias`.
pub type Matrices = BTreeMap<String, Array2<f64>>;

/// `weight` of `layers.0.weight`.
pub fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The end of a model instead of a loss: the gradient of what comes in is the field, so what flows back is the gradient
/// of `sum(signal * field)`.
pub struct Cotangent(pub Field);

impl Layer for Cotangent {
    fn build(&self, input: Signal, layer: &mut LayerBuilder) -> Result<Signal, BuildError> {
        let (value, gradient) = layer.dense(input)?;
        if value.width() != self.0.width() {
            let reason = format!("a cotangent of width {} meets a signal of {}", self.0.width(), value.width());
            return Err(BuildError::Layer { layer: layer.index(), reason });
        }
        if let (Mode::Training, Some(gradient)) = (layer.mode(), gradient) {
            let seed = (self.0.read(), gradient.write()).build_state(layer.world()).build_system(
                |from: Column, mut to: ColumnMut| {
                    to.matrix().rows_mut().zip(from.matrix().rows()).for_each(|(to, from)| to.copy_from_slice(from));
                },
            );
            layer.backward(seed.with_name("seed the cotangent"));
        }
        // Without a gradient the model adds no loss after it.
        Ok(Signal::Dense { value, gradient: None })
    }
}

/// Ends a model with a cotangent, and lets it learn at a standstill.
pub fn build_with_cotangent(
    scene: &mut Scene,
    model: ModelBuilder,
    cotangent: &Array2<f64>,
) -> Result<Entity, BuildError> {
    let cotangent = scene.field("cotangent", cotangent)?;
    let model = model.layer(Cotangent(cotangent)).learn(STANDSTILL, LearningRateSchedule::Constant);
    model.build(&mut scene.world)
}

/// What a layer gives forward and backward.
pub struct Passes {
    pub output: Array2<f64>,
    /// None for a sparse input, which has no gradient.
    pub input: Option<Array2<f64>>,
    /// The gradients of the parameters.
    pub parameters: Matrices,
}

/// Runs one layer forward and then, by a training step at a standstill, backward.
pub fn run_layer(
    scene: &mut Scene,
    input: Signal,
    layer: impl Layer + 'static,
    parameters: &Matrices,
    cotangent: &Array2<f64>,
) -> Result<Passes, BuildError> {
    let model = ModelBuilder::new(scene.graph).input(input).layer(layer);
    let model = build_with_cotangent(scene, model, cotangent)?;
    scene.set_parameters(model, parameters)?;
    run(&mut scene.world, Infer(model)).unwrap();
    let output = scene.output(model)?;
    run(&mut scene.world, Train(model)).unwrap();
    Ok(Passes { output, input: input_gradient(scene, input)?, parameters: parameter_gradients(scene, model)? })
}

pub fn input_gradient(scene: &Scene, input: Signal) -> Result<Option<Array2<f64>>, BuildError> {
    match input {
        Signal::Dense { gradient: Some(gradient), .. } => scene.read(gradient).map(Some),
        _ => Ok(None),
    }
}

pub fn parameter_gradients(scene: &Scene, model: Entity) -> Result<Matrices, BuildError> {
    let mut gradients = Matrices::new();
    for (entity, parameter) in scene.parameters(model) {
        let Some(gradient) = parameter.gradient else { continue };
        let numbers = gradient.get(&scene.world, entity)?;
        let matrix = Array2::from_shape_fn((parameter.shape[0], parameter.shape[1]), |(row, column)| {
            f64::from(numbers[row * parameter.shape[1] + column])
        });
        gradients.insert(last_part(&parameter.name).to_owned(), matrix);
    }
    Ok(gradients)
}

/// The largest difference over the largest expected magnitude, which counts as `floor` if it is smaller. Infinite if
/// the shapes differ or a number is none.
pub fn relative_error(found: &Array2<f64>, expected: &Array2<f64>, floor: f64) -> f64 {
    if found.dim() != expected.dim() {
        return f64::INFINITY;
    }
    let scale = expected.iter().fold(floor, |largest, number| largest.max(number.abs()));
    let worst = found.iter().zip(expected).map(|(found, expected)| {
        let difference = (found - expected).abs();
        if difference.is_nan() { f64::INFINITY } else { difference }
    });
    worst.fold(0.0, f64::max) / scale
}

/// Numbers between -1 and 1 that a float holds exactly, the same ones for the same seed and purpose.
pub fn numbers(seed: u64, purpose: u32, shape: (usize, usize)) -> Array2<f64> {
    let random = Random::new(seed, purpose, 0);
    let mut numbers = vec![0.0; shape.0 * shape.1];
    random.fill_uniform(&mut numbers);
    Array2::from_shape_fn(shape, |(row, column)| f64::from(2.0 * numbers[row * shape.1 + column] - 1.0))
}
