//! Kinds of nodes, and relations between them.

use bevy_ecs::entity::Entity;

use super::{Domain, Footprint, GraphIndex, KindIndex, Operation, Operator, Program, Value, layer::Layer};
use crate::error::BuildError;

/// A kind of nodes of a program.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    pub(crate) name: String,
    /// The graph whose nodes they are; it has no edges if no relation ends in them.
    pub(crate) home: GraphIndex,
    /// What the layers so far have made of their features; that of the model's own kind is handed from layer to layer.
    features: Option<Value>,
}

impl Kind {
    pub(super) fn new(name: &str, home: GraphIndex) -> Self {
        Self { name: name.to_owned(), home, features: None }
    }
}

/// A relation of a program: edges along which nodes of one kind send messages to those of another, or of the same one.
#[derive(Clone, Debug)]
pub(crate) struct Relation {
    pub(crate) name: String,
    pub(crate) graph: GraphIndex,
}

impl Program {
    /// Names the model's own kind of nodes.
    pub(crate) fn name_kind(&mut self, name: &str) {
        name.clone_into(&mut self.kinds[0].name);
    }

    /// Adds a kind of nodes: those of the graph `home` or, without one, of the first relation that ends in them.
    pub(crate) fn add_kind(&mut self, name: &str, home: Option<Entity>) -> KindIndex {
        let kind = KindIndex(self.kinds.len() as u32);
        let home = home.map(|home| self.add_graph(home, [kind; 2]));
        self.kinds.push(Kind::new(name, home.unwrap_or_default()));
        kind
    }

    /// Adds a relation with the kinds of its sources and of its targets.
    pub(crate) fn add_relation(&mut self, name: &str, graph: Entity, ends: [KindIndex; 2]) -> GraphIndex {
        let graph = self.add_graph(graph, ends);
        let target = &mut self.kinds[ends[1].0 as usize];
        if ends[1] != KindIndex::OWN && target.home == GraphIndex::default() {
            target.home = graph;
        }
        self.relations.push(Relation { name: name.to_owned(), graph });
        graph
    }

    /// The index of a graph; of a known one the kinds stay, but for the model's own graph, which may be a relation.
    fn add_graph(&mut self, graph: Entity, ends: [KindIndex; 2]) -> GraphIndex {
        if let Some(known) = self.graphs.iter().position(|known| *known == graph) {
            self.ends[known] = ends;
            return GraphIndex(known as u32);
        }
        self.graphs.push(graph);
        self.ends.push(ends);
        self.edge_features.push(None);
        GraphIndex(self.graphs.len() as u32 - 1)
    }

    /// The index of another graph over the nodes of the model's own kind, which is added if it is new.
    pub(super) fn graph_index(&mut self, graph: Entity) -> GraphIndex {
        match self.graphs.iter().position(|known| *known == graph) {
            Some(known) => GraphIndex(known as u32),
            None => self.add_graph(graph, [KindIndex::OWN; 2]),
        }
    }

    /// Whether there are several kinds of nodes, or relations, so that layers of one kind are applied to each.
    pub fn has_kinds(&self) -> bool {
        self.kinds.len() > 1 || !self.relations.is_empty()
    }

    /// The names of the kinds of nodes.
    pub fn kind_names(&self) -> impl Iterator<Item = &str> {
        self.kinds.iter().map(|kind| &*kind.name)
    }

    /// The names of the relations, each with the kinds of its sources and of its targets.
    pub fn relation_names(&self) -> impl Iterator<Item = (&str, [&str; 2])> {
        self.relations.iter().map(|relation| {
            let ends = self.ends[relation.graph.0 as usize].map(|kind| self.kind_name(kind));
            (&*relation.name, ends)
        })
    }

    /// The name of a kind.
    pub(crate) fn kind_name(&self, kind: KindIndex) -> &str {
        &self.kinds[kind.0 as usize].name
    }

    /// The kind of this name.
    pub(crate) fn kind(&self, name: &str) -> Option<KindIndex> {
        Some(KindIndex(self.kinds.iter().position(|kind| kind.name == name)? as u32))
    }

    /// The rows of the nodes that send messages in the present graph: those that receive them, but in a relation.
    pub fn sources(&self) -> Domain {
        Domain::Nodes(self.ends[self.graph.0 as usize][0])
    }

    /// The value that the nodes of the present graph receive messages of, where that of the nodes themselves is `input`.
    ///
    /// A convolution that reads it so works in relations, too.
    ///
    /// # Errors
    /// If the graph is a relation, and its sources have no features here.
    pub fn source_features(&mut self, input: Value) -> Result<Value, BuildError> {
        self.reads_sources = true;
        match self.ends[self.graph.0 as usize] {
            [source, target] if source == target => Ok(input),
            [source, _] => self.features_of(source),
        }
    }

    /// What the layers so far have made of the features of a kind.
    pub(crate) fn features_of(&self, kind: KindIndex) -> Result<Value, BuildError> {
        let Kind { name, features, .. } = &self.kinds[kind.0 as usize];
        features.ok_or_else(|| {
            let reason = format!("reads features of the kind `{name}`, which has none here");
            self.error(format!("{reason}; give it an input, or let a relation of the layer before end in it"))
        })
    }

    /// Hands features of a kind to the layers that follow; without any the kind is left out.
    pub(crate) fn set_features(&mut self, kind: KindIndex, features: Option<Value>) {
        self.kinds[kind.0 as usize].features = features;
    }

    /// Records a layer that reads all kinds: `layer(program)` finds their features by [`Program::features_of`], and returns
    /// those of each kind that it has any for. Returns those of the model's own kind.
    ///
    /// # Errors
    /// Those of the layer; if it is within a layer of one kind, or has no features for the model's own kind.
    pub(crate) fn of_all_kinds(
        &mut self,
        input: Value,
        layer: impl FnOnce(&mut Self) -> Result<Vec<Option<Value>>, BuildError>,
    ) -> Result<Value, BuildError> {
        if self.present_kind.is_some() {
            return Err(self.error("reads all kinds of nodes within a layer of one kind; make it a layer of the model"));
        }
        if !self.has_kinds() {
            return Err(self.error("passes messages along relations, but the model has none; give it some"));
        }
        self.set_features(KindIndex::OWN, Some(input));
        let features = layer(self)?;
        for (kind, features) in (0..).map(KindIndex).zip(features) {
            self.set_features(kind, features);
        }
        let name = &self.kinds[0].name;
        self.kinds[0].features.ok_or_else(|| {
            let reason = format!("passes no messages to `{name}`, the kind of the model's output");
            self.error(format!("{reason}; add a relation that ends in it, or its reverse"))
        })
    }

    /// Records something for each kind that has features, on the graph whose nodes they are, and returns what it gives.
    pub(crate) fn map_kinds(
        &mut self,
        mut record: impl FnMut(&mut Self, KindIndex, Value) -> Result<Value, BuildError>,
    ) -> Result<Vec<Option<Value>>, BuildError> {
        let mut all = Vec::new();
        for index in 0..self.kinds.len() {
            let Some(features) = self.kinds[index].features else {
                all.push(None);
                continue;
            };
            let (kind, home) = (KindIndex(index as u32), self.kinds[index].home);
            all.push(Some(self.within(home, |program| record(program, kind, features))?));
        }
        Ok(all)
    }

    /// Records something for each relation, on its graph, and returns what it gives with the kind of the targets: `record` gets
    /// the kinds of both ends.
    pub(crate) fn map_relations<R>(
        &mut self,
        mut record: impl FnMut(&mut Self, &Relation, [KindIndex; 2]) -> Result<R, BuildError>,
    ) -> Result<Vec<(KindIndex, R)>, BuildError> {
        let mut all = Vec::new();
        for relation in self.relations.clone() {
            let ends = self.ends[relation.graph.0 as usize];
            let result = self.within(relation.graph, |program| record(program, &relation, ends))?;
            all.push((ends[1], result));
        }
        Ok(all)
    }

    /// Records operations on a graph of the program.
    pub(crate) fn within<R>(
        &mut self,
        graph: GraphIndex,
        operations: impl FnOnce(&mut Self) -> Result<R, BuildError>,
    ) -> Result<R, BuildError> {
        let before = core::mem::replace(&mut self.graph, graph);
        let result = operations(self);
        self.graph = before;
        result
    }

    /// Records a layer for each kind of nodes, with parameters of its own for each if there are several: they are called by
    /// the name of the kind. A layer that reads all kinds is recorded once.
    pub(super) fn layer_of_kinds(&mut self, layer: &dyn Layer, input: Value) -> Result<Value, BuildError> {
        if !self.has_kinds() || layer.reads_all_kinds() {
            return layer.build(input, self);
        }
        self.of_all_kinds(input, |program| {
            program.map_kinds(|program, kind, features| {
                let recorded = program.operations.len();
                program.present_kind = Some(kind);
                let name = program.kind_name(kind).to_owned();
                let output = program.nested(&name, layer, features);
                program.present_kind = None;
                let output = output?;
                match program.operations[recorded..].iter().any(reads_edges) {
                    true => Err(program.error("passes messages along edges; name the relations by `HeteroConv`")),
                    false => Ok(output),
                }
            })
        })
    }

    /// Records a layer as a part of one that reads all kinds: for each of them, with parameters of its own. The parameters'
    /// names begin with `name`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn each_kind(&mut self, name: &str, layer: &dyn Layer, input: Value) -> Result<Value, BuildError> {
        self.within_path(name, |program| program.layer_of_kinds(layer, input))
    }

    /// The graph that an operation is on: the present one, unless its rows are not of that.
    pub(super) fn graph_of(
        &self,
        present: GraphIndex,
        operator: &dyn Operator,
        inputs: &[Value],
        outputs: &[Value],
    ) -> GraphIndex {
        let written = outputs.first().map_or(Domain::Single, Value::domain);
        let domain = match written {
            Domain::Single => inputs.first().map_or(written, Value::domain),
            domain => domain,
        };
        let gathers =
            (0..inputs.len()).any(|input| !matches!(operator.footprint(input), Footprint::Same | Footprint::All));
        match domain {
            Domain::Edges(graph) => graph,
            _ if gathers => present,
            Domain::Subgraphs(graph) => graph,
            Domain::Nodes(kind) if self.ends[present.0 as usize][1] != kind => self.home(kind),
            Domain::Nodes(_) | Domain::Single => present,
        }
    }

    /// The graph whose nodes are of a kind.
    pub(crate) fn home(&self, kind: KindIndex) -> GraphIndex {
        self.kinds[kind.0 as usize].home
    }

    /// The graph in whose topology the rows of a domain are, and the order of their keys.
    pub(crate) fn graph_with(&self, domain: Domain) -> GraphIndex {
        match domain {
            Domain::Nodes(kind) => self.home(kind),
            Domain::Edges(graph) | Domain::Subgraphs(graph) => graph,
            Domain::Single => GraphIndex::default(),
        }
    }
}

/// Whether an operation depends on the edges of its graph.
fn reads_edges(operation: &Operation) -> bool {
    use Footprint::{Endpoints, Incoming, IncomingEdges, Outgoing, OutgoingEdges, Target};
    (0..operation.inputs.len()).any(|input| {
        let footprint = operation.operator.footprint(input);
        matches!(footprint, Incoming | Outgoing | IncomingEdges | OutgoingEdges | Endpoints | Target)
    })
}
