//! What tests of layers share: a small world with a graph in it, a model whose gradients lie open, and comparison.
#![allow(dead_code, reason = "each test uses its part")]

pub mod differences;
pub mod kinds;

use bevy_ecs::{
    component::ComponentId, entity::Entity, schedule::IntoScheduleConfigs, system::SystemParamBuilder, world::World,
};
use connectome_components::{
    ColumnMut, Edge, EdgeWeight, FeatureField, Field, Graph, GraphNode, InSubgraph, Model, Optimizer, Parameter,
    Subgraph, attach_fields,
};
use connectome_systems::{
    GraphSystems, Infer, ModelBuilder, Train, add_systems,
    layers::{BuildError, Layer},
    operators,
    program::{Program, Value},
    random::Philox,
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

/// An edge by the numbers of its endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    pub source: usize,
    pub target: usize,
    pub weight: Option<f32>,
}

/// A world with one graph in it. Edges without a weight come first in the rows of the edges. Matrices have one row
/// for each node, in the order of `nodes`, or for each edge or subgraph.
pub struct Scene {
    pub world: World,
    pub graph: Entity,
    pub nodes: Vec<Entity>,
    pub edges: Vec<Entity>,
    pub subgraphs: Vec<Entity>,
}

impl Scene {
    pub fn new(node_count: usize, links: &[Link]) -> Self {
        let mut world = World::new();
        let graph = Graph::spawn(&mut world);
        let nodes: Vec<Entity> = (0..node_count).map(|_| world.spawn(GraphNode).id()).collect();
        let spawn = |link: &Link| {
            // The table of edges without a weight is made first in any case.
            let mut edge = world.spawn(Edge { source: nodes[link.source], target: nodes[link.target] });
            if let Some(weight) = link.weight {
                edge.insert(EdgeWeight(weight));
            }
            edge.id()
        };
        let edges = links.iter().map(spawn).collect();
        Self { world, graph, nodes, edges, subgraphs: Vec::new() }
    }

    /// Divides the nodes into `count` subgraphs; `of` says to which each of them belongs.
    pub fn divide(&mut self, count: usize, of: impl Fn(usize) -> usize) {
        self.subgraphs = (0..count).map(|_| self.world.spawn(Subgraph).id()).collect();
        for (number, node) in self.nodes.iter().enumerate() {
            self.world.entity_mut(*node).insert(InSubgraph(self.subgraphs[of(number)]));
        }
    }

    /// The entities whose rows carry a component.
    fn rows(&self, on: ComponentId) -> &[Entity] {
        match self.world.get::<Graph>(self.graph) {
            Some(graph) if graph.nodes == on => &self.nodes,
            Some(graph) if graph.edges == on => &self.edges,
            Some(graph) if graph.subgraphs == on => &self.subgraphs,
            _ => &[],
        }
    }

    /// A field of the nodes that holds `numbers`.
    pub fn field(&mut self, name: &str, numbers: &Array2<f64>) -> Result<Field, BuildError> {
        let nodes = self.world.register_component::<GraphNode>();
        self.field_on(nodes, name, numbers)
    }

    /// A field of the edges that holds `numbers`.
    pub fn edge_field(&mut self, name: &str, numbers: &Array2<f64>) -> Result<Field, BuildError> {
        let edges = self.world.register_component::<Edge>();
        self.field_on(edges, name, numbers)
    }

    /// A field of the rows that carry the component `on`.
    pub fn field_on(&mut self, on: ComponentId, name: &str, numbers: &Array2<f64>) -> Result<Field, BuildError> {
        let field = Field::register(&mut self.world, name, on, numbers.ncols())?;
        attach_fields(&mut self.world, on);
        for (entity, row) in self.rows(on).to_vec().into_iter().zip(numbers.rows()) {
            field.set(&mut self.world, entity, &row.mapv(|number| number as f32).to_vec())?;
        }
        Ok(field)
    }

    /// A sparse signal of the numbers that are not 0; rows that have fewer than others are filled up.
    pub fn sparse(&mut self, numbers: &Array2<f64>) -> Result<FeatureField, BuildError> {
        let stored = |row: ndarray::ArrayView1<f64>| -> Vec<(usize, f64)> {
            row.iter().copied().enumerate().filter(|(_, number)| *number != 0.0).collect()
        };
        let rows: Vec<_> = numbers.rows().into_iter().map(stored).collect();
        let room = rows.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let entry = |(row, place): (usize, usize)| rows[row].get(place).copied().unwrap_or((0, 0.0));
        let values = Array2::from_shape_fn((numbers.nrows(), room), |place| entry(place).1);
        let values = self.field("stored numbers", &values)?;
        let nodes = self.world.register_component::<GraphNode>();
        let columns = Field::<u32>::register(&mut self.world, "stored columns", nodes, room)?;
        attach_fields(&mut self.world, nodes);
        for (row, node) in self.nodes.clone().into_iter().enumerate() {
            let places: Vec<u32> = (0..room).map(|place| entry((row, place)).0 as u32).collect();
            columns.set(&mut self.world, node, &places)?;
        }
        Ok(FeatureField::Sparse { indices: columns, values, width: numbers.ncols() })
    }

    /// The numbers of a field.
    pub fn read(&self, field: Field) -> Result<Array2<f64>, BuildError> {
        let rows = self.rows(field.domain());
        let mut numbers = Array2::zeros((rows.len(), field.width()));
        for (entity, mut row) in rows.iter().zip(numbers.rows_mut()) {
            row.iter_mut().zip(field.get(&self.world, *entity)?).for_each(|(to, from)| *to = f64::from(*from));
        }
        Ok(numbers)
    }

    /// The parameters of a model, each with its entity.
    pub fn parameters(&self, model: Entity) -> Vec<(Entity, Parameter)> {
        let entities = self.world.get::<Model>(model).map_or(&[][..], |model| &model.parameters);
        entities.iter().filter_map(|entity| Some((*entity, self.world.get::<Parameter>(*entity)?.clone()))).collect()
    }

    /// Sets the parameters of a model that `values` has, in the shape `[rows, columns]` of the parameter.
    pub fn set_parameters(&mut self, model: Entity, values: &Matrices) -> Result<(), BuildError> {
        for (entity, parameter) in self.parameters(model) {
            if let Some(value) = values.get(name_in_layer(&parameter.name)) {
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

/// Matrices by name, such as `weight` and `nn.0.bias`.
pub type Matrices = BTreeMap<String, Array2<f64>>;

/// `nn.0.weight` of `layers.3.nn.0.weight`.
pub fn name_in_layer(name: &str) -> &str {
    name.splitn(3, '.').last().unwrap_or(name)
}

/// Lets a model built with an external gradient learn from `cotangent`: what flows back is the gradient of
/// `sum(output * cotangent)`.
pub fn seed_cotangent(world: &mut World, model: Entity, cotangent: &Array2<f64>) -> Result<(), BuildError> {
    let to = world.get::<Model>(model).and_then(|model| model.output_gradient).ok_or(BuildError::NoModel(model))?;
    let numbers: Vec<f32> = cotangent.iter().map(|number| *number as f32).collect();
    if cotangent.ncols() != to.width() {
        let reason = format!("is {} wide and meets a cotangent {} wide", to.width(), cotangent.ncols());
        return Err(BuildError::Layer { layer: 0, path: String::new(), setting: None, reason });
    }
    let seed = (to.write(),).build_state(world).build_system(move |mut to: ColumnMut| {
        let width = to.width();
        to.matrix().rows_mut().zip(numbers.chunks_exact(width)).for_each(|(to, row)| to.copy_from_slice(row));
    });
    add_systems(world, Train(model), seed.with_name("seed the cotangent").in_set(GraphSystems::Loss))
}

/// Hands its input on and keeps it; made for the first such layer of a model.
#[derive(Clone, Copy, Default)]
pub struct Watch;

impl Watch {
    /// What was handed on in the last training step.
    pub fn read(self, scene: &Scene, model: Entity) -> Result<Array2<f64>, BuildError> {
        let kept = scene.world.get::<Model>(model).and_then(|model| model.kept.first().copied());
        scene.read(kept.ok_or(BuildError::NoModel(model))?)
    }
}

impl Layer for Watch {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        program.keep(input);
        Ok(input)
    }
}

/// A layer that moves the nodes, whose input begins with so many coordinates, and whose output does.
pub struct WithCoordinates<L>(pub usize, pub L);

impl<L: Layer> Layer for WithCoordinates<L> {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let coordinates = operators::columns(program, input, 0..self.0)?;
        let features = operators::columns(program, input, self.0..input.width())?;
        program.set_coordinates(coordinates);
        let output = self.1.build(features, program)?;
        let moved = program.coordinates()?;
        operators::concatenate(program, &[moved, output])
    }
}

/// What a layer reads, beside the graph.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub input: Array2<f64>,
    /// Whether the input is a sparse signal, which has no gradient.
    pub sparse: bool,
    /// Features of the edges.
    pub edges: Option<Array2<f64>>,
    pub parameters: Matrices,
}

impl Given {
    /// All of it by name.
    pub fn arguments(&self) -> Matrices {
        let given = [(differences::INPUT, Some(&self.input)), (differences::EDGES, self.edges.as_ref())];
        let given = given.into_iter().filter_map(|(name, matrix)| Some((name.to_owned(), matrix?.clone())));
        self.parameters.clone().into_iter().chain(given).collect()
    }

    /// That of these arguments.
    pub fn from_arguments(arguments: &Matrices) -> Self {
        let edges = arguments.get(differences::EDGES).cloned();
        let input = arguments[differences::INPUT].clone();
        Self { input, sparse: false, edges, parameters: arguments.clone() }
    }
}

/// What a layer gives forward and backward.
#[derive(Clone, Debug)]
pub struct Passes {
    pub output: Array2<f64>,
    /// None for a sparse input, which has no gradient.
    pub input: Option<Array2<f64>>,
    pub edges: Option<Array2<f64>>,
    /// The gradients of the parameters.
    pub parameters: Matrices,
}

impl Passes {
    /// All gradients, those of the input and of the features of the edges under these names.
    pub fn gradients(&self) -> Matrices {
        let given = [(differences::INPUT, &self.input), (differences::EDGES, &self.edges)];
        let given = given.into_iter().filter_map(|(name, gradient)| Some((name.to_owned(), gradient.clone()?)));
        self.parameters.clone().into_iter().chain(given).collect()
    }
}

/// A model whose gradients lie open, and where.
pub struct Trial {
    pub model: Entity,
    input: Option<Field>,
    edges: Option<Field>,
}

impl Trial {
    /// Ends `layers` with a cotangent, and lets them learn at a standstill.
    pub fn build(
        scene: &mut Scene,
        given: &Given,
        layers: impl FnOnce(ModelBuilder) -> ModelBuilder,
        cotangent: &Array2<f64>,
    ) -> Result<Self, BuildError> {
        let mut builder = ModelBuilder::new(scene.graph);
        let wanted = |scene: &mut Scene, builder: ModelBuilder, by: Field, dim| -> Result<_, BuildError> {
            let into = scene.field_on(by.domain(), "wanted gradient", &Array2::zeros(dim))?;
            Ok((builder.input_gradient(by, into), into))
        };
        let (mut input, mut edges) = (None, None);
        if given.sparse {
            builder = builder.input(scene.sparse(&given.input)?);
        } else {
            let field = scene.field("input", &given.input)?;
            let (wants, into) = wanted(scene, builder.input(field), field, given.input.dim())?;
            (builder, input) = (wants, Some(into));
        }
        if let Some(features) = &given.edges {
            let field = scene.edge_field("edge input", features)?;
            let (wants, into) = wanted(scene, builder.edge_input(field), field, features.dim())?;
            (builder, edges) = (wants, Some(into));
        }
        let builder = layers(builder).external_gradient().optimizer(STANDSTILL);
        let model = builder.build(&mut scene.world)?;
        seed_cotangent(&mut scene.world, model, cotangent)?;
        scene.set_parameters(model, &given.parameters)?;
        Ok(Self { model, input, edges })
    }

    /// Runs forward and then, by a training step at a standstill, backward.
    pub fn run(&self, scene: &mut Scene) -> Result<Passes, BuildError> {
        run(&mut scene.world, Infer(self.model))?;
        let output = scene.output(self.model)?;
        run(&mut scene.world, Train(self.model))?;
        let read = |field: Option<Field>| field.map(|field| scene.read(field)).transpose();
        let parameters = parameter_gradients(scene, self.model)?;
        Ok(Passes { output, input: read(self.input)?, edges: read(self.edges)?, parameters })
    }
}

/// Runs one layer forward and backward.
pub fn run_layer(
    scene: &mut Scene,
    given: &Given,
    layer: impl Layer + 'static,
    cotangent: &Array2<f64>,
) -> Result<Passes, BuildError> {
    Trial::build(scene, given, |model| model.layer(layer), cotangent)?.run(scene)
}

pub fn parameter_gradients(scene: &Scene, model: Entity) -> Result<Matrices, BuildError> {
    let mut gradients = Matrices::new();
    for (entity, parameter) in scene.parameters(model) {
        let Some(gradient) = parameter.gradient else { continue };
        let numbers = gradient.get(&scene.world, entity)?;
        let matrix = Array2::from_shape_fn((parameter.shape[0], parameter.shape[1]), |(row, column)| {
            f64::from(numbers[row * parameter.shape[1] + column])
        });
        gradients.insert(name_in_layer(&parameter.name).to_owned(), matrix);
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
    let random = Philox::new(seed, purpose, 0);
    let mut numbers = vec![0.0; shape.0 * shape.1];
    random.fill_uniform(&mut numbers);
    Array2::from_shape_fn(shape, |(row, column)| f64::from(2.0 * numbers[row * shape.1 + column] - 1.0))
}

/// Matrices of these names and shapes, each of other numbers than the rest; purposes count from 10.
pub fn random_matrices(seed: u64, shapes: &[(&str, usize, usize)]) -> Matrices {
    let matrix = |(place, (name, rows, columns)): (usize, &(&str, usize, usize))| {
        ((*name).to_owned(), numbers(seed, 10 + place as u32, (*rows, *columns)))
    };
    shapes.iter().enumerate().map(matrix).collect()
}
