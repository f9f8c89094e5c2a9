//! Kinds of nodes of a model, and relations between them.

use bevy_ecs::{component::ComponentId, entity::Entity, world::World};
use connectome_components::{FeatureField, Features, Graph};

use super::{ModelBuilder, components::ComponentBinding, describe::component_name, input::Input};
use crate::{
    error::{BuildError, KindError},
    program::{Domain, GraphIndex, KindIndex, Program},
};

/// A kind of nodes of a model beside that of its graph, and what the model reads of them.
#[derive(Clone)]
pub struct NodeKind {
    pub(super) name: String,
    pub(super) input: Option<Input>,
    pub(super) components: Vec<ComponentBinding>,
}

impl NodeKind {
    /// A kind of nodes: those that relations of this name begin or end in. It is to be given an input.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), input: None, components: Vec::new() }
    }

    /// Reads a component of the nodes; called several times, the components side by side. See [`ModelBuilder::reads`].
    pub fn reads<T: Features>(mut self) -> Self {
        let mut input = self.input.unwrap_or(Input::Width(1));
        input.add_component::<T>(&mut self.components);
        Self { input: Some(input), ..self }
    }

    /// Reads existing fields of the nodes.
    pub fn input(self, features: impl Into<FeatureField>) -> Self {
        Self { input: Some(Input::Given(features.into())), ..self }
    }

    /// Reads a new field of this width; see [`Model::input_of`](connectome_components::Model::input_of).
    pub fn input_width(self, width: usize) -> Self {
        Self { input: Some(Input::Width(width)), ..self }
    }

    /// Reads sparse features; see [`ModelBuilder::sparse_input_width`].
    pub fn sparse_input_width(self, width: usize, stored: usize) -> Self {
        Self { input: Some(Input::Sparse { width, stored }), ..self }
    }
}

/// A relation of a model: a graph, with the names of the kinds that its edges lead from and to.
#[derive(Clone)]
pub struct EdgeRelation {
    pub(super) name: String,
    pub(super) graph: Entity,
    pub(super) ends: [String; 2],
    pub(super) edges: Option<Input>,
}

impl EdgeRelation {
    /// The relation of a graph, as [`Graph::relation`], [`Graph::reversed`] and [`Graph::of`] spawn it; `ends` are the kinds
    /// of its sources and of its targets.
    pub fn new(name: &str, graph: Entity, ends: [&str; 2]) -> Self {
        Self { name: name.to_owned(), graph, ends: ends.map(str::to_owned), edges: None }
    }

    /// Reads a component of the edges as edge features; see [`ModelBuilder::reads`].
    pub fn reads<T: Features>(self) -> Self {
        Self { edges: Some(Input::Component(ComponentBinding::of::<T>())), ..self }
    }

    /// Reads existing fields as edge features.
    pub fn input(self, features: impl Into<FeatureField>) -> Self {
        Self { edges: Some(Input::Given(features.into())), ..self }
    }

    /// Reads edge features of this width. Only for a dry run; to build the model, use [`EdgeRelation::input`].
    pub fn input_width(self, width: usize) -> Self {
        Self { edges: Some(Input::Width(width)), ..self }
    }
}

/// An input of a model.
pub(super) struct ModelInput<'a> {
    pub(super) name: String,
    pub(super) input: &'a Input,
    pub(super) of: InputOf,
    /// The components that it consists of, if it does.
    pub(super) components: &'a [ComponentBinding],
}

/// What a model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputOf {
    /// The nodes of its own kind.
    Nodes,
    /// The edges of its own graph.
    Edges,
    /// The coordinates of its nodes.
    Coordinates,
    /// The nodes of another kind, by its index among those.
    Kind(usize),
    /// The edges of the relation of this index.
    Relation(usize),
}

/// The components of the kinds of nodes in a world, and graphs of those that no relation ends in.
#[derive(Clone, Debug, Default)]
pub(super) struct KindsInWorld {
    /// The component of each kind, the model's own first.
    components: Vec<ComponentId>,
    /// The graph of each kind beside the model's own that no relation ends in.
    pub(super) homes: Vec<Entity>,
}

impl ModelBuilder {
    /// What it reads, in the order of the inputs of its program.
    pub(super) fn inputs(&self) -> Vec<ModelInput<'_>> {
        let own = ModelInput {
            name: "input".to_owned(),
            input: &self.input,
            of: InputOf::Nodes,
            components: &self.components,
        };
        let other = |name: &str, input, of| ModelInput { name: name.to_owned(), input, of, components: &[] };
        let edges = self.edges.iter().map(|edges| other("edge features", edges, InputOf::Edges));
        let coordinates = self.coordinates.iter().map(|input| other("coordinates", input, InputOf::Coordinates));
        let kinds = self.kinds.iter().enumerate().filter_map(|(index, kind)| {
            let (input, components) = (kind.input.as_ref()?, &kind.components[..]);
            Some(ModelInput { name: format!("input of {}", kind.name), input, of: InputOf::Kind(index), components })
        });
        let relations = self.relations.iter().enumerate().filter_map(|(index, relation)| {
            let name = format!("edge features of {}", relation.name);
            Some(other(&name, relation.edges.as_ref()?, InputOf::Relation(index)))
        });
        core::iter::once(own).chain(edges).chain(coordinates).chain(kinds).chain(relations).collect()
    }

    /// The kinds of the ends of a relation: 0 for the model's own.
    fn ends(&self, relation: &EdgeRelation) -> Result<[usize; 2], KindError> {
        let names = || core::iter::once(&self.own_kind).chain(self.kinds.iter().map(|kind| &kind.name));
        let [source, target] = &relation.ends;
        let index = |kind: &String| {
            names().position(|name| name == kind).ok_or_else(|| KindError::Unknown {
                relation: relation.name.clone(),
                kind: kind.clone(),
                known: names().map(|name| format!("`{name}`")).collect::<Vec<String>>().join(", "),
            })
        };
        Ok([index(source)?, index(target)?])
    }

    /// Whether some relation ends in a kind beside the model's own, or the model's own graph does.
    fn is_target(&self, kind: usize) -> bool {
        self.relations.iter().any(|relation| relation.ends[1] == self.kinds[kind].name)
    }

    /// Checks names, and that each kind has an input and is in a relation.
    fn check_kinds(&self) -> Result<(), KindError> {
        let names = core::iter::once(&self.own_kind).chain(self.kinds.iter().map(|kind| &kind.name));
        let relations = self.relations.iter().map(|relation| &relation.name);
        for (what, names) in [("kind", names.collect::<Vec<_>>()), ("relation", relations.collect())] {
            for (index, name) in names.iter().enumerate() {
                if name.is_empty() || name.contains('.') {
                    return Err(KindError::Name { what, name: (*name).clone() });
                }
                if names[..index].contains(name) {
                    return Err(KindError::SameName { what, name: (*name).clone() });
                }
            }
        }
        for (index, relation) in self.relations.iter().enumerate() {
            self.ends(relation)?;
            if let Some(other) = self.relations[..index].iter().find(|other| other.graph == relation.graph) {
                return Err(KindError::SameGraph { relation: relation.name.clone(), other: other.name.clone() });
            }
        }
        for kind in &self.kinds {
            if kind.input.is_none() {
                return Err(KindError::NoInput { kind: kind.name.clone() });
            }
            if !self.relations.iter().any(|relation| relation.ends.contains(&kind.name)) {
                return Err(KindError::Unrelated { kind: kind.name.clone() });
            }
        }
        Ok(())
    }

    /// Adds the kinds and the relations to its program; `homes` are the graphs of the kinds that no relation ends in. Returns
    /// the graph of each relation.
    pub(super) fn add_kinds(&self, program: &mut Program, homes: &[Entity]) -> Result<Vec<GraphIndex>, BuildError> {
        self.check_kinds()?;
        program.name_kind(&self.own_kind);
        let mut homes = homes.iter();
        for (index, kind) in self.kinds.iter().enumerate() {
            let home = match self.is_target(index) {
                true => None,
                // In a dry run it is no entity of a world.
                false => Some(homes.next().copied().unwrap_or(placeholder(index))),
            };
            program.add_kind(&kind.name, home);
        }
        let mut graphs = Vec::new();
        for relation in &self.relations {
            let ends = self.ends(relation)?;
            if relation.graph == self.graph && ends[1] != 0 {
                let (relation, kind) = (relation.name.clone(), self.own_kind.clone());
                return Err(KindError::OwnGraph { relation, kind }.into());
            }
            graphs.push(program.add_relation(&relation.name, relation.graph, ends.map(|kind| KindIndex(kind as u32))));
        }
        Ok(graphs)
    }

    /// Finds the components of all kinds in a world, and checks the graphs of the relations.
    pub(super) fn kinds_in(&self, world: &mut World) -> Result<KindsInWorld, BuildError> {
        self.check_kinds()?;
        let graph_of = |world: &World, graph: Entity| {
            let rows = *world.get::<Graph>(graph).ok_or(BuildError::NoGraph(graph))?;
            rows.check(world)?;
            Ok::<_, BuildError>(rows)
        };
        let own = graph_of(world, self.graph)?;
        if own.is_relation() && !self.relations.iter().any(|relation| relation.graph == self.graph) {
            return Err(KindError::RelationAlone { graph: self.graph }.into());
        }
        let mut components = vec![None; 1 + self.kinds.len()];
        components[0] = Some(own.nodes);
        for relation in &self.relations {
            let (rows, ends) = (graph_of(world, relation.graph)?, self.ends(relation)?);
            for (kind, found) in ends.into_iter().zip([rows.sources, rows.nodes]) {
                let known = *components[kind].get_or_insert(found);
                let is_other =
                    components.iter().enumerate().any(|(other, known)| other != kind && *known == Some(found));
                if known != found || is_other {
                    let name = kind.checked_sub(1).map_or(&self.own_kind, |kind| &self.kinds[kind].name);
                    let found = component_name(world, found);
                    return Err(
                        KindError::OtherNodes { relation: relation.name.clone(), kind: name.clone(), found }.into()
                    );
                }
            }
            if rows.subgraphs != own.subgraphs {
                return Err(KindError::OtherSubgraphs { relation: relation.name.clone() }.into());
            }
        }
        let components: Vec<ComponentId> = components.into_iter().flatten().collect();
        let mut homes = Vec::new();
        for (index, component) in components.iter().skip(1).enumerate() {
            if !self.is_target(index) {
                homes.push(home(world, Graph { nodes: *component, ..own }));
            }
        }
        Ok(KindsInWorld { components, homes })
    }
}

impl KindsInWorld {
    /// The kind whose nodes have a component.
    pub(super) fn domain(&self, component: ComponentId) -> Option<Domain> {
        let kind = self.components.iter().position(|known| *known == component)?;
        Some(Domain::Nodes(KindIndex(kind as u32)))
    }

    /// The component of a kind.
    pub(super) fn component(&self, kind: KindIndex) -> Option<ComponentId> {
        self.components.get(kind.0 as usize).copied()
    }
}

/// The graph without edges of a kind of nodes; the same one for all models of a world.
fn home(world: &mut World, graph: Graph) -> Entity {
    let graph = graph.without_edges(world);
    let mut graphs = world.query::<(Entity, &Graph)>();
    let known = graphs.iter(world).find(|(_, known)| **known == graph).map(|(entity, _)| entity);
    known.unwrap_or_else(|| world.spawn(graph).id())
}

/// Stands for the graph of a kind in a dry run.
fn placeholder(kind: usize) -> Entity {
    Entity::from_raw_u32(u32::MAX - 1 - kind as u32).unwrap_or(Entity::PLACEHOLDER)
}
