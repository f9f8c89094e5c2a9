//! Programs: what a model computes, recorded as operations on values, before there is a column, a system or a world.
//!
//! Layers write their formulas into a [`Program`]. It is plain data: the same for inference, training and evaluation. Then
//! passes follow, one file each:
//!
//! | pass | what it does |
//! | --- | --- |
//! | `specialize` | replaces what is something else outside of training, and leaves out what nobody reads |
//! | `hoist` | marks what depends on nothing that changes from step to step |
//! | `fuse` | makes one operation of neighbors that one pass over the rows can do |
//! | `differentiate` | records the operations of the backward pass, last to first |
//! | `assign` | gives each value a column, and uses columns again that nobody needs any more |
//! | `emit`, in the folder `model` | turns the operations into systems of a schedule |
//!
//! [`Plan::new`](plan::Plan::new) runs all but the last; shapes, memory and cost are read from the [`Plan`].
//!
//! Operations are fused before they are differentiated: a fused operator has a derivative of its own, which reads its output
//! where the derivatives of its parts would have read what stood between them. Afterwards those are fused of which others
//! read what stands in between: it becomes an output. So are gradients and what changes or multiplies them.

mod assign;
mod compiled;
mod cost;
mod differentiate;
mod fuse;
mod hoist;
mod kinds;
pub(crate) mod layer;
mod levels;
mod limits;
mod operator;
mod parameters;
mod plan;
mod print;
mod reach;
mod record;
mod specialize;
mod step;
mod value;

use bevy_ecs::entity::Entity;
use std::collections::BTreeMap;

use crate::error::BuildError;

pub(crate) use compiled::{Alone, Compiled};
pub use differentiate::Tape;
use kinds::{Kind, Relation};
pub(crate) use levels::LevelPass;
pub use limits::{MAX_COLUMNS, MAX_HEADS, MAX_OPERATIONS, MAX_PARAMETERS, ProgramLimits};
pub use operator::{Cost, Footprint, Fusion, InInference, Kernel, Operation, Operator, Run, kernel};
pub use parameters::{Initialization, ParameterDescription};
pub use plan::{Column, Layout, Mode, Pass, Plan, RowCounts};
pub(crate) use reach::{Extent, extents};
pub(crate) use step::partial_sums;
pub use step::{MAX_OUTPUTS, Partition, Step};
use value::ProgramId;
pub use value::{Domain, GraphIndex, KindIndex, Shape, Value, Weight};

/// What a model computes: operations on values, in the order in which layers recorded them.
#[derive(Clone, Debug)]
pub struct Program {
    id: ProgramId,
    pub(crate) values: Vec<ValueKind>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) parameters: Vec<ParameterDescription>,
    /// The index of each parameter by its name.
    parameter_indices: BTreeMap<String, usize>,
    /// Elements of all parameters together.
    parameter_elements: usize,
    pub(crate) inputs: Vec<Input>,
    /// The graphs; the first is the model's own.
    pub(crate) graphs: Vec<Entity>,
    /// The kinds of nodes that send and that receive messages in each graph.
    pub(crate) ends: Vec<[KindIndex; 2]>,
    /// The kinds of nodes; the first is the model's own.
    pub(crate) kinds: Vec<Kind>,
    pub(crate) relations: Vec<Relation>,
    pub(crate) heads: Vec<Head>,
    /// Values other than outputs of heads that are asked for.
    pub(crate) kept: Vec<Value>,
    /// Buffers as operations have changed them.
    pub(crate) updates: Vec<Value>,
    /// Features of the edges of each graph.
    edge_features: Vec<Option<Value>>,
    coordinates: Option<Value>,
    /// The graph and the layer of the operations that are recorded at the moment.
    graph: GraphIndex,
    layer: usize,
    /// What the names of parameters begin with.
    path: String,
    /// How much of it is the layer itself; the rest leads to a layer within it.
    layer_path: usize,
    /// The kind of nodes of the layer that records at the moment, if it is of one kind among several.
    present_kind: Option<KindIndex>,
    /// Whether a layer has asked for the features of the sources of the present graph.
    pub(crate) reads_sources: bool,
    random_streams: u32,
    limits: ProgramLimits,
    keeps_attention: bool,
    is_for_samples: bool,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// Given from outside: an input of this index.
    Input(usize),
    /// The parameter of this index.
    Parameter(usize),
    /// The gradient of the loss with respect to this parameter.
    ParameterGradient(usize),
    /// The gradient of the loss with respect to the output of this head, which the loss writes.
    HeadGradient(usize),
    /// Computed by an operation. A sparse one has the indices of this input.
    Computed {
        /// The input whose indices a sparse value has.
        indices: Option<usize>,
        /// Elements that are stored of a row.
        stored: usize,
    },
}

/// What is given to a program from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) value: Value,
    /// Elements that are stored of each row, if not all are.
    pub(crate) stored: Option<usize>,
    /// Whether the model itself writes it from step to step.
    pub(crate) is_state: bool,
}

/// Where a model ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// What it is called.
    pub name: String,
    /// What it predicts.
    pub output: Value,
}

impl Program {
    /// An empty program on a graph.
    pub fn new(graph: Entity) -> Self {
        Self {
            id: ProgramId::default(),
            values: Vec::new(),
            operations: Vec::new(),
            parameters: Vec::new(),
            parameter_indices: BTreeMap::new(),
            parameter_elements: 0,
            inputs: Vec::new(),
            graphs: vec![graph],
            ends: vec![[KindIndex::OWN; 2]],
            kinds: vec![Kind::new("node", GraphIndex::default())],
            relations: Vec::new(),
            heads: Vec::new(),
            kept: Vec::new(),
            updates: Vec::new(),
            edge_features: vec![None],
            coordinates: None,
            graph: GraphIndex::default(),
            layer: 0,
            path: String::new(),
            layer_path: 0,
            present_kind: None,
            reads_sources: false,
            random_streams: 0,
            limits: ProgramLimits::default(),
            keeps_attention: false,
            is_for_samples: false,
        }
    }

    /// The operations recorded so far.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The parameters, in the order in which they were asked for.
    pub fn parameters(&self) -> &[ParameterDescription] {
        &self.parameters
    }

    /// The heads.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// Values other than outputs of heads that are kept.
    pub fn kept(&self) -> &[Value] {
        &self.kept
    }

    /// Makes attention that is recorded from now on keep its weights, in [`Program::kept`].
    pub fn keep_attention(&mut self) {
        self.keeps_attention = true;
    }

    /// Whether attention keeps its weights.
    pub fn keeps_attention(&self) -> bool {
        self.keeps_attention
    }

    /// Makes convolutions that are recorded from now on sum over neighbors before they multiply, as it is best for samples of
    /// neighborhoods, in which few rows receive what many send.
    pub fn for_samples(&mut self) {
        self.is_for_samples = true;
    }

    /// Whether a value is to be summed over neighbors before it is multiplied by a matrix of so many columns, which gives the
    /// same: if it is dense, and not wider than the product, or the program is [for samples](Self::for_samples).
    pub fn sums_first(&self, value: Value, columns: usize) -> bool {
        !value.is_sparse() && (self.is_for_samples || value.width() <= columns)
    }

    /// The graph of the operations that are recorded at the moment.
    pub fn graph(&self) -> GraphIndex {
        self.graph
    }

    /// The rows of the nodes of the present graph, which receive messages.
    pub fn nodes(&self) -> Domain {
        Domain::Nodes(self.ends[self.graph.0 as usize][1])
    }

    /// The rows of the edges of the present graph.
    pub fn edges(&self) -> Domain {
        Domain::Edges(self.graph)
    }

    /// The rows of the subgraphs of the present graph. Nodes of all kinds belong to the same ones.
    pub fn subgraphs(&self) -> Domain {
        Domain::Subgraphs(if self.has_kinds() { GraphIndex::default() } else { self.graph })
    }

    /// Features of the edges of the present graph: the model's, or what the layers before have made of them.
    ///
    /// # Errors
    /// If the model has none.
    pub fn edge_features(&self) -> Result<Value, BuildError> {
        let reason = match self.relations.iter().find(|relation| relation.graph == self.graph) {
            Some(Relation { name, .. }) => {
                format!("reads features of the edges of `{name}`, which has none; give that relation some")
            }
            None => "reads features of the edges, but the model has none; give it some with `ModelBuilder::edge_input`"
                .to_owned(),
        };
        self.edge_features[self.graph.0 as usize].ok_or_else(|| self.error(reason))
    }

    /// Hands features of the edges of the present graph to the layers that follow.
    pub fn set_edge_features(&mut self, features: Value) {
        self.edge_features[self.graph.0 as usize] = Some(features);
    }

    /// Coordinates of the nodes: the model's, or what the layers before have made of them.
    ///
    /// # Errors
    /// If the model has none.
    pub fn coordinates(&self) -> Result<Value, BuildError> {
        let reason =
            "reads coordinates of the nodes, but the model has none; give it some with `ModelBuilder::coordinates`";
        self.coordinates.ok_or_else(|| self.error(reason))
    }

    /// Hands coordinates of the nodes to the layers that follow.
    pub fn set_coordinates(&mut self, coordinates: Value) {
        self.coordinates = Some(coordinates);
    }

    /// The input that holds the indices of a sparse value, and how many elements of each row are stored.
    pub(crate) fn sparse_parts(&self, value: Value) -> (Option<usize>, usize) {
        match self.values.get(value.id()) {
            Some(&ValueKind::Input(input)) => (Some(input), self.inputs[input].stored.unwrap_or(value.width())),
            Some(&ValueKind::Computed { indices, stored }) => (indices, stored),
            _ => (None, value.width()),
        }
    }

    /// Elements of a row that are stored.
    pub(crate) fn stored_width(&self, value: Value) -> usize {
        if value.is_sparse() { self.sparse_parts(value).1 } else { value.width() }
    }

    /// The value, which is to be dense.
    ///
    /// # Errors
    /// If it is sparse.
    pub fn dense(&self, value: Value) -> Result<Value, BuildError> {
        match value.is_sparse() {
            true => Err(BuildError::Sparse { layer: self.layer, path: self.nested_path() }),
            false => Ok(value),
        }
    }

    /// The error if one of the values, which a layer uses by the operation `name`, is none of this program.
    pub(crate) fn require(&self, layer: usize, name: &str, values: &[Value]) -> Result<(), BuildError> {
        if values.iter().all(|value| value.program == self.id && value.id() < self.values.len()) {
            return Ok(());
        }
        let reason = format!("reads a value of another program by {name}; record it here");
        Err(BuildError::Layer { layer, path: self.nested_path(), setting: None, reason })
    }

    /// The error that the present layer cannot be built: what it does wrong and, after a semicolon, what to do.
    pub fn error(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Layer { layer: self.layer, path: self.nested_path(), setting: None, reason: reason.into() }
    }

    /// The same, because of one of its settings.
    pub fn setting_error(&self, setting: &'static str, reason: impl Into<String>) -> BuildError {
        let (path, reason) = (self.nested_path(), reason.into());
        BuildError::Layer { layer: self.layer, path, setting: Some(setting), reason }
    }

    /// Where the layer that records at the moment lies within the present layer of the model, such as `.layers.0`;
    /// empty if it is that one.
    fn nested_path(&self) -> String {
        self.path.get(self.layer_path..).unwrap_or_default().to_owned()
    }
}
