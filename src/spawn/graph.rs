//! The graph of a scene as entities.

use std::{borrow::Cow, iter::repeat_n};

use bevy_ecs::{entity::Entity, name::Name, world::World};

use super::{GraphEntities, SceneEntities, features, kinds::KindsInWorld, order::Order};
use crate::components::{
    ClassLabel, Edge, EdgeWeight, Field, FieldError, Graph, GraphKey, GraphNode, InSubgraph, Marker,
};
use crate::data::{Features, GraphData, RowKind};
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
        let rows = Graph::new(node_marker.id(), edge_marker.id(), subgraph_marker.id());
        let graph = world.spawn((Name::new(name.clone()), rows)).id();
        let (input, kind_inputs) = scene.inputs(data);
        let input = features::register(world, node_marker.id(), input.width, input.stored)?;
        let kinds = KindsInWorld::declare(world, (scene, data), &kind_inputs, rows)?;
        let of_edges = data.edge_features.as_ref();
        let register = |width| Field::register(world, "edge features", edge_marker.id(), width);
        let edge_input = of_edges.map(|rows| rows.width).map(register).transpose()?;
        let mut targets = [None; 3];
        for (rows, marker) in RowKind::ALL.into_iter().zip([node_marker, edge_marker, subgraph_marker]) {
            let labels = data.labels_of(rows).filter(|_| scene.reads_targets(rows, None));
            let width = labels.and_then(|labels| labels.targets).map(|targets| targets.width);
            targets[rows as usize] =
                width.map(|width| Field::register(world, "targets", marker.id(), width)).transpose()?;
        }
        let (nodes, edges, subgraphs, order) = (Vec::new(), Vec::new(), Vec::new(), scene.order);
        let labeled_edges = scene.predicts(RowKind::Edges);
        Ok(Self {
            graph,
            nodes,
            edges,
            subgraphs,
            labeled_edges,
            node_marker,
            edge_marker,
            subgraph_marker,
            order,
            input,
            edge_input,
            targets,
            kinds,
            groups: data.rewriting.as_ref().map(|rewriting| rewriting.coding.groups()),
        })
    }

    /// Spawns the nodes, edges and subgraphs of `data` with all that they carry. What is given away is dropped as soon as
    /// it is in the world, so that most of it is never there twice.
    pub fn fill(&mut self, world: &mut World, mut data: Cow<GraphData>) -> Result<(), FieldError> {
        if let Some(set) = &data.graphs {
            let bundles = set.labels.iter().zip(&set.splits);
            let bundles = bundles.map(|(label, split)| (ClassLabel(*label), *split, GraphKey::default()));
            self.subgraphs = self.subgraph_marker.spawn(world, bundles);
        }
        let order = Order::of(self.order, &data);
        self.nodes = self.spawn_nodes(world, &data, &order);
        features::write(world, self.input, &data.features, &self.nodes)?;
        self.write_targets(world, &data, RowKind::Nodes, &self.nodes)?;
        self.write_targets(world, &data, RowKind::Graphs, &self.subgraphs)?;
        if let Cow::Owned(data) = &mut data {
            data.features = Features::default();
        }
        let edge_rows = self.edge_input.zip(data.edge_features.as_ref());
        if edge_rows.is_none() && !self.labeled_edges {
            self.spawn_edges(world, &data, &order, |_, _| ());
        } else {
            let mut edges = vec![Entity::PLACEHOLDER; data.edges.len()];
            self.spawn_edges(world, &data, &order, |number, edge| edges[number] = edge);
            edge_rows.map_or(Ok(()), |(field, rows)| features::write_dense(world, field, rows, &edges))?;
            self.write_targets(world, &data, RowKind::Edges, &edges)?;
            self.edges = if self.labeled_edges { edges } else { Vec::new() };
        }
        if let Some(kinds) = &data.kinds {
            self.kinds.fill(world, &self.nodes, kinds)?;
        }
        drop((data, order));
        // The first run would do it as well, but could not use the memory of the data again.
        update_topology(world, self.graph, &mut Scratch::default());
        Ok(())
    }

    /// Writes the values that are to be predicted of some rows.
    fn write_targets(
        &self,
        world: &mut World,
        data: &GraphData,
        rows: RowKind,
        entities: &[Entity],
    ) -> Result<(), FieldError> {
        let targets = data.labels_of(rows).and_then(|labels| labels.targets);
        match self.targets[rows as usize].zip(targets) {
            Some((field, targets)) => features::write_dense(world, field, targets, entities),
            None => Ok(()),
        }
    }

    /// Returns the nodes by their numbers.
    fn spawn_nodes(&self, world: &mut World, data: &GraphData, order: &Order) -> Vec<Entity> {
        let marker = self.node_marker;
        let numbers = (0..data.nodes).map(|row| order.node(row));
        let splits = data.splits_of(RowKind::Nodes);
        let nodes = numbers.clone().map(|number| {
            let label = data.labels.get(number).copied().unwrap_or_default();
            (GraphNode, ClassLabel(label), splits.get(number).copied().unwrap_or_default())
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
        let weights = data.weights.as_ref();
        let weights = weights.map(|weights| numbers.clone().map(|number| EdgeWeight(weights[number])));
        let labels = data.edge_labels.as_ref().filter(|_| self.labeled_edges);
        let labels = labels.map(|labels| {
            let splits = data.splits_of(RowKind::Edges);
            numbers.map(move |number| {
                let label = labels.labels.get(number).copied().unwrap_or_default();
                (ClassLabel(label), splits.get(number).copied().unwrap_or_default())
            })
        });
        match (weights, labels) {
            (None, None) => self.edge_marker.spawn_each(world, edges, show),
            (Some(weights), None) => self.edge_marker.spawn_each(world, edges.zip(weights), show),
            (None, Some(labels)) => self.edge_marker.spawn_each(world, edges.zip(labels), show),
            (Some(weights), Some(labels)) => {
                self.edge_marker.spawn_each(world, edges.zip(weights).zip(labels), show);
            }
        }
    }

    /// Together with the model on it.
    pub fn with_model(self, model: Entity) -> SceneEntities {
        let Self { graph, nodes, edges, subgraphs, node_marker, edge_marker, subgraph_marker, kinds, .. } = self;
        let KindsInWorld { kinds, relations, .. } = kinds;
        SceneEntities {
            graph,
            model,
            nodes,
            edges,
            subgraphs,
            node_marker,
            edge_marker,
            subgraph_marker,
            kinds,
            relations,
        }
    }
}
