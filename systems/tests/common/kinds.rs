//! A world with several kinds of nodes and relations between them, and a model on them whose gradients lie open.

use super::{Matrices, STANDSTILL, name_in_layer};
use bevy_ecs::{
    component::ComponentId, entity::Entity, schedule::IntoScheduleConfigs, system::SystemParamBuilder, world::World,
};
use connectome_components::{
    Column, ColumnMut, Edge, Field, Graph, GraphKey, InSubgraph, Marker, Model, Parameter, Subgraph, attach_fields,
};
use connectome_systems::{
    EdgeRelation, GraphSystems, Head, ModelBuilder, NodeKind, Train, WorldModelExt, add_systems, layers::BuildError,
};
use ndarray::Array2;
use std::collections::BTreeMap;

/// A relation: its name, the kinds of its ends, and the endpoints of its edges by their numbers within these.
#[derive(Clone, Debug)]
pub struct Links {
    pub name: &'static str,
    pub ends: [&'static str; 2],
    pub edges: Vec<[usize; 2]>,
}

/// A world with kinds of nodes, each in order, and relations.
pub struct KindScene {
    pub world: World,
    pub nodes: BTreeMap<&'static str, Vec<Entity>>,
    markers: BTreeMap<&'static str, Marker>,
    pub relations: Vec<(Links, Entity)>,
    inputs: BTreeMap<&'static str, Field>,
    gradients: BTreeMap<&'static str, Field>,
    /// The edges of all relations, in order.
    pub edges: Vec<Vec<Entity>>,
    own: &'static str,
}

/// What a model has computed, by the kind of nodes and by the name of the parameter.
pub struct KindPasses {
    pub outputs: Matrices,
    pub inputs: Matrices,
    pub parameters: Matrices,
}

impl KindScene {
    /// The kinds with their features, the model's own first, and the relations.
    pub fn new(kinds: &[(&'static str, Array2<f64>)], relations: &[Links]) -> Self {
        Self::in_world(World::new(), kinds, relations)
    }

    /// The same in a world that has a history.
    pub fn in_world(mut world: World, kinds: &[(&'static str, Array2<f64>)], relations: &[Links]) -> Self {
        let (mut nodes, mut markers) = (BTreeMap::new(), BTreeMap::new());
        for (name, features) in kinds {
            let marker = Marker::register(&mut world, name);
            let keys = (0..features.nrows()).map(|number| GraphKey::new(number as u64));
            nodes.insert(*name, marker.spawn(&mut world, keys));
            markers.insert(*name, marker);
        }
        let subgraphs = world.register_component::<Subgraph>();
        let (mut graphs, mut edges) = (Vec::new(), Vec::new());
        for links in relations {
            let marker = Marker::register(&mut world, links.name);
            let [sources, targets] = links.ends.map(|end| &nodes[end]);
            let bundles =
                links.edges.iter().map(|[source, target]| Edge { source: sources[*source], target: targets[*target] });
            edges.push(marker.spawn(&mut world, bundles));
            let [source, target] = links.ends.map(|end| markers[end].id());
            let graph = Graph { sources: source, ..Graph::new(target, marker.id(), subgraphs) };
            graphs.push((links.clone(), world.spawn(graph).id()));
        }
        let mut scene = Self {
            world,
            nodes,
            markers,
            relations: graphs,
            inputs: BTreeMap::new(),
            gradients: BTreeMap::new(),
            edges,
            own: kinds[0].0,
        };
        for (name, features) in kinds {
            let field = scene.field(name, features);
            scene.inputs.insert(name, field);
            let gradient = scene.field(name, &Array2::zeros(features.dim()));
            scene.gradients.insert(name, gradient);
        }
        scene
    }

    /// The component of a kind.
    pub fn component(&self, kind: &str) -> ComponentId {
        self.markers[kind].id()
    }

    /// A field on the nodes of a kind that holds `numbers`.
    pub fn field(&mut self, kind: &str, numbers: &Array2<f64>) -> Field {
        let component = self.component(kind);
        let field = Field::register(&mut self.world, kind, component, numbers.ncols()).unwrap();
        attach_fields(&mut self.world, component);
        for (entity, row) in self.nodes[kind].clone().into_iter().zip(numbers.rows()) {
            field.set(&mut self.world, entity, &row.mapv(|number| number as f32).to_vec()).unwrap();
        }
        field
    }

    /// What a field on the nodes of a kind holds.
    pub fn read(&self, kind: &str, field: Field) -> Array2<f64> {
        let mut numbers = Array2::zeros((self.nodes[kind].len(), field.width()));
        for (entity, mut row) in self.nodes[kind].iter().zip(numbers.rows_mut()) {
            let found = field.get(&self.world, *entity).unwrap();
            row.iter_mut().zip(found).for_each(|(to, from)| *to = f64::from(*from));
        }
        numbers
    }

    /// Divides the nodes of all kinds into `count` subgraphs, in turn.
    pub fn divide(&mut self, count: usize) -> Vec<Entity> {
        let subgraphs: Vec<Entity> = (0..count).map(|_| self.world.spawn(Subgraph).id()).collect();
        for node in self.nodes.values().flat_map(|nodes| nodes.iter().enumerate()) {
            self.world.entity_mut(*node.1).insert(InSubgraph(subgraphs[node.0 % count]));
        }
        subgraphs
    }

    /// A graph whose nodes are of the model's own kind.
    pub fn own_graph(&mut self) -> Entity {
        let own = self.component(self.own);
        let found = self.relations.iter().find(|(links, _)| links.ends == [self.own; 2]).map(|(_, graph)| *graph);
        found.unwrap_or_else(|| {
            let subgraphs = self.world.register_component::<Subgraph>();
            let graph = Graph::new(own, own, subgraphs).without_edges(&mut self.world);
            self.world.spawn(graph).id()
        })
    }

    /// A model that reads all kinds and relations, without layers.
    pub fn builder(&mut self) -> ModelBuilder {
        let mut builder = ModelBuilder::new(self.own_graph()).kind_name(self.own).input(self.inputs[self.own]);
        for (name, input) in &self.inputs {
            builder = builder.input_gradient(*input, self.gradients[name]);
            if *name != self.own {
                builder = builder.kind(NodeKind::new(name).input(*input));
            }
        }
        for (links, graph) in &self.relations {
            builder = builder.relation(EdgeRelation::new(links.name, *graph, links.ends));
        }
        builder
    }

    /// Builds a model at a standstill whose output of each kind meets a cotangent.
    pub fn build(
        &mut self,
        layers: impl FnOnce(ModelBuilder) -> ModelBuilder,
        cotangents: &Matrices,
        parameters: &dyn Fn(&Parameter) -> Option<Vec<f32>>,
    ) -> Result<Entity, BuildError> {
        let mut builder = layers(self.builder()).optimizer(STANDSTILL);
        for kind in cotangents.keys() {
            builder = builder.head(Head::new(kind).of_kind(kind).external_gradient());
        }
        let model = self.world.spawn_model(builder)?;
        for (kind, cotangent) in cotangents {
            let head = self.world.get::<Model>(model).unwrap().head(kind).unwrap().clone();
            let to = head.output_gradient.unwrap();
            // In a field, so that each node keeps its own whatever its row is.
            let from = self.field(kind, cotangent);
            let seed = (from.read(), to.write()).build_state(&mut self.world).build_system(
                |from: Column, mut to: ColumnMut| {
                    to.matrix().rows_mut().zip(from.matrix().rows()).for_each(|(to, from)| to.copy_from_slice(from));
                },
            );
            add_systems(&mut self.world, Train(model), seed.in_set(GraphSystems::Loss))?;
        }
        for (entity, parameter) in self.parameters(model) {
            if let Some(numbers) = parameters(&parameter) {
                parameter.value.set(&mut self.world, entity, &numbers).unwrap();
            }
        }
        Ok(model)
    }

    /// Runs a model forward and backward.
    pub fn run(&mut self, model: Entity) -> Result<KindPasses, BuildError> {
        self.world.infer(model)?;
        let heads = self.world.get::<Model>(model).unwrap().heads.clone();
        let outputs = heads.iter().map(|head| (head.name.clone(), self.read(&head.name, head.output))).collect();
        self.world.train(model)?;
        let inputs = self.gradients.iter().map(|(kind, field)| ((*kind).to_owned(), self.read(kind, *field))).collect();
        let gradient = |(entity, parameter): &(Entity, Parameter)| {
            let numbers = parameter.gradient?.get(&self.world, *entity).unwrap().to_vec();
            let shape = (parameter.shape[0], parameter.shape[1]);
            let matrix = Array2::from_shape_vec(shape, numbers.into_iter().map(f64::from).collect()).unwrap();
            Some((name_in_layer(&parameter.name).to_owned(), matrix))
        };
        let parameters = self.parameters(model).iter().filter_map(gradient).collect();
        Ok(KindPasses { outputs, inputs, parameters })
    }

    /// The parameters of a model, each with its entity.
    pub fn parameters(&self, model: Entity) -> Vec<(Entity, Parameter)> {
        let entities = self.world.get::<Model>(model).map_or(&[][..], |model| &model.parameters);
        entities.iter().filter_map(|entity| Some((*entity, self.world.get::<Parameter>(*entity)?.clone()))).collect()
    }
}
