//! Kinds of nodes and relations in scenes.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use bevy_ecs::entity::Entity;
use connectome_components::{FeatureField, Field};
use connectome_systems::{EdgeRelation, ModelBuilder, NodeKind};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::description::{NodeFeatures, SceneFile};
use super::error::Fault;
use super::locate::Step::{Field as Named, Index, Ranked};
use super::model::Input;
use crate::data::npz::{self, KindPlace, KindRequest, KindToRead, RelationToRead};
use crate::data::{GraphData, Problem};
use std::path::Path;

/// What is read of the nodes of a kind.
///
/// ```
/// use connectome::scene::SceneFile;
///
/// let scene = r#"(
///     name: "debian",
///     graph: Npz("debian.npz"),
///     kind: "package",
///     nodes: {"package": (), "source": (), "maintainer": (features: Identity)},
///     relations: [
///         (name: "depends", source: "package", target: "package", reverse: "needed_by"),
///         (name: "builds", source: "source", target: "package", reverse: "built_from"),
///         (name: "maintains", source: "maintainer", target: "source", reverse: "maintained_by"),
///     ],
///     model: [HeteroConv(convolution: SageConv(width: 32)), Relu, Dropout(0.5), HeteroConv(convolution: SageConv(width: 5))],
///     task: NodeClassification,
///     optimizer: Adam(learning_rate: 0.01),
/// )"#;
/// let scene = SceneFile::parse(scene, "debian.ron")?;
/// assert_eq!(scene.nodes.keys().collect::<Vec<_>>(), ["maintainer", "package", "source"]);
/// # Ok::<(), connectome::scene::SceneError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeKindDescription {
    /// What is done to their features before the model sees them; all but [`NodeFeatures::Degree`] is possible, for there is a
    /// degree for each relation.
    #[serde(default)]
    pub features: NodeFeatures,
}

/// A relation: edges that all lead from nodes of one kind to nodes of one kind, maybe the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelationDescription {
    /// What its edges are called, and no others.
    pub name: String,
    /// The kind of nodes that its edges leave.
    pub source: String,
    /// The kind of nodes that its edges enter.
    pub target: String,
    /// What the relation is called along which messages go back, from the targets to the sources of the same edges; without it
    /// they do not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reverse: Option<String>,
}

/// Reads a map in which no key is twice: of two values for one key neither is the right one.
pub(super) fn each_once<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct Entries<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Entries<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("a map")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut entries = BTreeMap::new();
            while let Some(key) = map.next_key::<String>()? {
                if entries.contains_key(&key) {
                    return Err(A::Error::custom(format!("two entries have the name {key:?}")));
                }
                entries.insert(key, map.next_value()?);
            }
            Ok(entries)
        }
    }

    deserializer.deserialize_map(Entries(PhantomData))
}

/// What a model reads of the kinds of nodes beside its own, and of the relations, before there is a world.
#[derive(Clone, Debug, Default)]
pub(crate) struct KindInputs {
    /// Columns of the features of each kind's nodes, and the most numbers that a row stores, if the model reads them sparse.
    pub kinds: Vec<Input>,
    /// Columns of the features of each relation's edges, if there are any.
    pub relations: Vec<Option<usize>>,
}

/// A relation of a scene in a world: the graph of its edges, and that of the same edges reversed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RelationGraphs {
    pub graph: Entity,
    pub reversed: Option<Entity>,
    /// The features of its edges.
    pub input: Option<Field>,
}

impl SceneFile {
    /// Whether it names kinds of nodes.
    pub(crate) fn has_kinds(&self) -> bool {
        self.kind.is_some() || !self.nodes.is_empty() || !self.relations.is_empty()
    }

    /// The kinds beside the scene's own, with their places among all by name.
    pub(crate) fn other_kinds(&self) -> impl Iterator<Item = (usize, &str, NodeKindDescription)> {
        let all = self.nodes.iter().enumerate().map(|(rank, (name, described))| (rank, &**name, *described));
        all.filter(|(_, name, _)| Some(*name) != self.kind.as_deref())
    }

    /// All kinds, first the scene's own, then those by name: the place of each among all by name, name and description.
    pub(super) fn all_kinds(&self) -> Vec<(usize, &str, NodeKindDescription)> {
        let own = self.kind.as_deref().unwrap_or_default();
        let rank = self.nodes.keys().position(|name| name == own);
        let own = rank.map(|rank| (rank, own, self.nodes[own]));
        own.into_iter().chain(self.other_kinds()).collect()
    }

    /// The places of the kinds of a relation's ends, where the scene's own comes first.
    pub(super) fn ends_of(&self, relation: &RelationDescription) -> [usize; 2] {
        let kinds = self.all_kinds();
        let place = |end: &str| kinds.iter().position(|(_, name, _)| *name == end).unwrap_or(0);
        [place(&relation.source), place(&relation.target)]
    }

    /// Gives a model the kinds and relations of the scene that are in a world; `kinds` are the features of those beside its own.
    pub(crate) fn with_kinds(
        &self,
        model: ModelBuilder,
        kinds: &[FeatureField],
        relations: &[RelationGraphs],
    ) -> ModelBuilder {
        let Some(own) = &self.kind else { return model };
        let model = self
            .other_kinds()
            .zip(kinds)
            .fold(model.kind_name(own), |model, ((_, name, _), input)| model.kind(NodeKind::new(name).input(*input)));
        self.relations.iter().zip(relations).fold(model, |model, (relation, graphs)| {
            let RelationDescription { name, source, target, reverse } = relation;
            let reads = |relation: EdgeRelation| match graphs.input {
                Some(input) => relation.input(input),
                None => relation,
            };
            let model = model.relation(reads(EdgeRelation::new(name, graphs.graph, [source, target])));
            match reverse.as_ref().zip(graphs.reversed) {
                Some((name, graph)) => model.relation(reads(EdgeRelation::new(name, graph, [target, source]))),
                None => model,
            }
        })
    }

    /// The same without a world.
    pub(super) fn with_unbuilt_kinds(&self, model: ModelBuilder, inputs: &KindInputs) -> ModelBuilder {
        let Some(own) = &self.kind else { return model };
        let narrow = Input { width: 1, stored: None, edges: None };
        let widths = inputs.kinds.iter().chain(std::iter::repeat(&narrow));
        let model = self.other_kinds().zip(widths).fold(model.kind_name(own), |model, ((_, name, _), input)| {
            let kind = NodeKind::new(name);
            model.kind(match input.stored {
                Some(stored) => kind.sparse_input_width(input.width, stored),
                None => kind.input_width(input.width),
            })
        });
        let widths = inputs.relations.iter().copied().chain(std::iter::repeat(None));
        let mut graphs = (0..).map(|number| Entity::from_raw_u32(number).unwrap_or(Entity::PLACEHOLDER));
        self.relations.iter().zip(widths).fold(model, |model, (relation, width)| {
            let RelationDescription { name, source, target, reverse } = relation;
            let directions = [(Some(name), [source, target]), (reverse.as_ref(), [target, source])];
            directions.into_iter().fold(model, |model, (name, ends)| {
                let Some((name, graph)) = name.zip(graphs.next()) else { return model };
                let relation = EdgeRelation::new(name, graph, ends.map(String::as_str));
                model.relation(match width {
                    Some(width) => relation.input_width(width),
                    None => relation,
                })
            })
        })
    }

    /// Reads the kinds and relations of the scene from a graph file.
    pub(super) fn read_kinds(&self, path: &Path) -> Result<(GraphData, Vec<String>), Fault> {
        let kinds = self.all_kinds();
        let request = KindRequest {
            kinds: kinds
                .iter()
                .map(|(_, name, described)| KindToRead { name, with_features: described.features.reads_features() })
                .collect(),
            relations: self
                .relations
                .iter()
                .map(|relation| RelationToRead {
                    name: &relation.name,
                    ends: self.ends_of(relation),
                    reverse: relation.reverse.as_deref(),
                })
                .collect(),
        };
        npz::graph_with_kinds(path, &request).map_err(|(place, Problem { message, help })| {
            let message = format!("{}: {message}", path.display());
            let rank = |kind: usize| Ranked(kinds.get(kind).map_or(0, |(rank, ..)| *rank));
            match place {
                KindPlace::File => Fault::new([Named("graph")], message, help),
                KindPlace::Kind(kind) => Fault::new([Named("nodes"), rank(kind)], message, help),
                KindPlace::Features(kind) => Fault::new([Named("nodes"), rank(kind), Named("features")], message, help),
                KindPlace::Relation(relation) => {
                    Fault::new([Named("relations"), Index(relation), Named("name")], message, help)
                }
            }
        })
    }
}
