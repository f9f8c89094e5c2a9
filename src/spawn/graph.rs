//! The graph of a scene as entities.

use std::{borrow::Cow, iter::repeat_n};

use bevy_ecs::{entity::Entity, name::Name, world::World};

use super::{GraphEntities, SceneEntities, features, order::Order};
use crate::components::{ClassLabel, Edge, EdgeWeight, Field, FieldError, Graph, GraphNode, InSubgraph, Marker};
use crate::data::{Features, GraphData};
use crate::scene::{NodeOrder, SceneFile};
use crate::systems::{Scratch, update_topology};

impl GraphEntities {
    /// Spawns the graph of a scene, without nodes and edges yet, and registers the fields in which `data` will lie.
    ///
    /// The models on it are to be built next, and then [`GraphEntities::fill`] brings the nodes and edges: so each is
    /// spawned with all the fields that it will have, and none is moved.
    pub fn declare(world: &mut World, scene: &SceneFile, data: &GraphData) -> Result<Self, FieldError> {
        let name = &scene.name;
        let node_marker = Marker::register(world, &format!("node of {name}"));
        let edge_marker = Marker::register(world, &format!("edge of {name}"));
        let subgraph_marker = Marker::register(world, &format!("subgraph of {name}"));
        let graph = Graph { nodes: node_marker.id(), edges: edge_marker.id(), subgraphs: subgraph_marker.id() };
        let graph = world.spawn((Name::new(name.clone()), graph)).id();
        let stored = scene.stored_features(&data.features);
        let input = features::register(world, node_marker.id(), data.features.width(), stored)?;
        let of_edges = data.edge_features.as_ref();
        let register = |width| Field::register(world, "edge features", edge_marker.id(), width);
        let edge_input = of_edges.map(|rows| rows.width).map(register).transpose()?;
        let targets = data.targets.as_ref().filter(|_| scene.task.regression_loss().is_some());
        let register = |width| Field::register(world, "targets", node_marker.id(), width);
        let targets = targets.map(|rows| rows.width).map(register).transpose()?;
        let (nodes, subgraphs, order) = (Vec::new(), Vec::new(), scene.order);
        Ok(Self {
            graph,
            nodes,
            subgraphs,
            node_marker,
            edge_marker,
            subgraph_marker,
            order,
            input,
            edge_input,
            targets,
        })
    }

    /// Spawns the nodes, edges and subgraphs of `data` with all that they carry. What is given away is dropped as soon as
    /// it is in the world, so that most of it is never there twice.
    pub fn fill(&mut self, world: &mut World, mut data: Cow<GraphData>) -> Result<(), FieldError> {
        if let Some(set) = &data.graphs {
            let bundles = set.labels.iter().zip(&set.splits).map(|(label, split)| (ClassLabel(*label), *split));
            self.subgraphs = self.subgraph_marker.spawn(world, bundles);
        }
        let order = Order::of(self.order, &data);
        self.nodes = self.spawn_nodes(world, &data, &order);
        features::write(world, self.input, &data.features, &self.nodes)?;
        if let Some((field, rows)) = self.targets.zip(data.targets.as_ref()) {
            features::write_dense(world, field, rows, &self.nodes)?;
        }
        if let Cow::Owned(data) = &mut data {
            data.features = Features::default();
        }
        match (self.edge_input, &data.edge_features) {
            (Some(field), Some(rows)) => {
                let mut edges = vec![Entity::PLACEHOLDER; data.edges.len()];
                self.spawn_edges(world, &data, &order, |number, edge| edges[number] = edge);
                features::write_dense(world, field, rows, &edges)?;
            }
            _ => self.spawn_edges(world, &data, &order, |_, _| ()),
        }
        drop((data, order));
        // The first run would do it as well, but could not use the memory of the data again.
        update_topology(world, self.graph, &mut Scratch::default());
        Ok(())
    }

    /// Returns the nodes by their numbers.
    fn spawn_nodes(&self, world: &mut World, data: &GraphData, order: &Order) -> Vec<Entity> {
        let marker = self.node_marker;
        let numbers = (0..data.nodes).map(|row| order.node(row));
        let nodes = numbers.clone().map(|number| {
            let label = data.labels.get(number).copied().unwrap_or_default();
            (GraphNode, ClassLabel(label), data.splits.get(number).copied().unwrap_or_default())
        });
        let names = numbers.clone().filter_map(|number| data.names.get(number)).map(|name| Name::new(name.clone()));
        let has_names = !data.names.is_empty();
        let spawned = match &data.graphs {
            None if has_names => marker.spawn(world, nodes.zip(names)),
            None => marker.spawn(world, nodes),
            Some(set) => {
                let graphs = self.subgraphs.iter().enumerate();
                let places = graphs.flat_map(|(graph, entity)| repeat_n(InSubgraph(*entity), set.nodes(graph).len()));
                match has_names {
                    true => marker.spawn(world, nodes.zip(places).zip(names)),
                    false => marker.spawn(world, nodes.zip(places)),
                }
            }
        };
        if self.order == NodeOrder::Given {
            return spawned;
        }
        let mut nodes = vec![Entity::PLACEHOLDER; spawned.len()];
        numbers.zip(&spawned).for_each(|(number, node)| nodes[number] = *node);
        nodes
    }

    /// Shows each edge with its number.
    fn spawn_edges(&self, world: &mut World, data: &GraphData, order: &Order, mut show: impl FnMut(usize, Entity)) {
        let numbers = (0..data.edges.len()).map(|row| order.edge(row));
        let edges = numbers.clone().map(|number| {
            let [source, target] = data.edges[number].map(|end| self.nodes[end as usize]);
            Edge { source, target }
        });
        let mut rows = numbers.clone();
        let show = |edge| rows.next().into_iter().for_each(|number| show(number, edge));
        match &data.weights {
            None => self.edge_marker.spawn_each(world, edges, show),
            Some(weights) => {
                let weights = numbers.map(|number| EdgeWeight(weights[number]));
                self.edge_marker.spawn_each(world, edges.zip(weights), show)
            }
        }
    }

    /// Together with the model on it.
    pub fn with_model(self, model: Entity) -> SceneEntities {
        let Self { graph, nodes, subgraphs, node_marker, edge_marker, subgraph_marker, .. } = self;
        SceneEntities { graph, model, nodes, subgraphs, node_marker, edge_marker, subgraph_marker }
    }
}
