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
//! | `emit` | turns the operations into systems of a schedule |
//!
//! [`Plan::new`](plan::Plan::new) runs all but the last; shapes, memory and cost are read from the [`Plan`].
//!
//! Operations are fused before they are differentiated: a fused operator has a derivative of its own, which reads its output
//! where the derivatives of its parts would have read what stood between them.

mod assign;
mod cost;
mod differentiate;
mod emit;
mod fuse;
mod hoist;
mod operator;
mod parameters;
mod plan;
mod print;
mod specialize;
mod step;
mod value;

use bevy_ecs::entity::Entity;
use std::collections::BTreeMap;

use crate::{error::BuildError, layers::Layer, operators::copy};

pub use differentiate::Tape;
pub(crate) use emit::{Alone, Bindings, Emission};
pub use operator::{Cost, Footprint, Fusion, InInference, Kernel, Operation, Operator, Run, kernel};
pub use parameters::{Initialization, ParameterDescription};
pub use plan::{Column, Layout, Mode, Pass, Plan, RowCounts};
pub(crate) use step::partial_sums;
pub use step::{MAX_OUTPUTS, Partition, Step};
pub use value::{Domain, GraphIndex, Shape, Value, Weight};

/// The most operations of a program: more are refused before anything is built, for a schedule of them would hardly end.
pub const MAX_OPERATIONS: usize = 1 << 17;

/// What a model computes: operations on values, in the order in which layers recorded them.
#[derive(Clone, Debug, Default)]
pub struct Program {
    pub(crate) values: Vec<ValueKind>,
    pub(crate) operations: Vec<Operation>,
    pub(crate) parameters: Vec<ParameterDescription>,
    /// The number of each parameter by its name.
    parameter_numbers: BTreeMap<String, usize>,
    pub(crate) inputs: Vec<Input>,
    /// The graphs; the first is the model's own.
    pub(crate) graphs: Vec<Entity>,
    pub(crate) heads: Vec<Head>,
    /// Values other than outputs of heads that are asked for.
    pub(crate) kept: Vec<Value>,
    /// Buffers as operations have changed them.
    pub(crate) updates: Vec<Value>,
    edge_features: Option<Value>,
    coordinates: Option<Value>,
    /// The graph and the layer of the operations that are recorded at the moment.
    graph: GraphIndex,
    layer: usize,
    /// What the names of parameters begin with.
    path: String,
    random_streams: u32,
    max_operations: Option<usize>,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ValueKind {
    /// Given from outside: an input of this number.
    Input(usize),
    /// The parameter of this number.
    Parameter(usize),
    /// The gradient of the loss with respect to this parameter.
    ParameterGradient(usize),
    /// The gradient of the loss with respect to the output of this head, which the loss writes.
    HeadGradient(usize),
    /// Computed by an operation. A sparse one has the indices of this input.
    Computed {
        /// The input whose indices a sparse value has.
        indices: Option<usize>,
        /// Numbers that are stored of a row.
        stored: usize,
    },
}

/// What is given to a program from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) name: String,
    pub(crate) value: Value,
    /// Numbers that are stored of each row, if not all are.
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
        Self { graphs: vec![graph], ..Self::default() }
    }

    /// The same with fewer operations at most.
    pub fn with_max_operations(self, operations: usize) -> Self {
        Self { max_operations: Some(operations.min(MAX_OPERATIONS)), ..self }
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

    /// The graph of the operations that are recorded at the moment.
    pub fn graph(&self) -> GraphIndex {
        self.graph
    }

    /// The rows of nodes.
    pub fn nodes(&self) -> Domain {
        Domain::Nodes
    }

    /// The rows of the edges of the present graph.
    pub fn edges(&self) -> Domain {
        Domain::Edges(self.graph)
    }

    /// The rows of the subgraphs of the present graph.
    pub fn subgraphs(&self) -> Domain {
        Domain::Subgraphs(self.graph)
    }

    /// A value that is given from outside, `[rows of domain, width]`.
    pub fn input(&mut self, name: &str, shape: Shape, requires_gradient: bool) -> Value {
        let (value, name) =
            (self.add_value(ValueKind::Input(self.inputs.len()), shape, requires_gradient), name.to_owned());
        self.inputs.push(Input { name, value, stored: None, is_state: false });
        value
    }

    /// A value that is given from outside and of which at most `stored` numbers of each row are not 0.
    pub fn sparse_input(&mut self, name: &str, shape: Shape, stored: usize) -> Value {
        let value = Value { sparse: true, ..self.add_value(ValueKind::Input(self.inputs.len()), shape, false) };
        self.inputs.push(Input { name: name.to_owned(), value, stored: Some(stored), is_state: false });
        value
    }

    /// A value that the model itself writes from step to step.
    pub(crate) fn state(&mut self, name: &str, shape: Shape) -> Value {
        let value = self.input(name, shape, false);
        if let Some(input) = self.inputs.last_mut() {
            input.is_state = true;
        }
        value
    }

    /// Features of the edges: the model's, or what the layers before have made of them.
    ///
    /// # Errors
    /// If the model has none.
    pub fn edge_features(&self) -> Result<Value, BuildError> {
        let reason =
            "reads features of the edges, but the model has none; give it some with `ModelBuilder::edge_input`";
        self.edge_features.ok_or_else(|| self.error(reason))
    }

    /// Hands features of the edges to the layers that follow.
    pub fn set_edge_features(&mut self, features: Value) {
        self.edge_features = Some(features);
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

    /// Records operations on another graph over the same nodes.
    ///
    /// # Errors
    /// Those of the operations.
    pub fn on_graph<R>(
        &mut self,
        graph: Entity,
        operations: impl FnOnce(&mut Self) -> Result<R, BuildError>,
    ) -> Result<R, BuildError> {
        let known = self.graphs.iter().position(|known| *known == graph);
        let index = known.unwrap_or_else(|| {
            self.graphs.push(graph);
            self.graphs.len() - 1
        });
        let before = core::mem::replace(&mut self.graph, GraphIndex(index as u32));
        let result = operations(self);
        self.graph = before;
        result
    }

    /// Records an operation; its outputs have the shapes that the operator says.
    ///
    /// The outputs require a gradient if an input does.
    ///
    /// # Errors
    /// If the operator cannot be applied to these inputs, an input is a value of another program, a value would have width 0,
    /// or there are too many outputs or operations.
    pub fn record(&mut self, operator: impl Operator, inputs: &[Value]) -> Result<Vec<Value>, BuildError> {
        self.require(self.layer, operator.name(), inputs)?;
        let shapes = operator.shapes(inputs).map_err(|reason| self.error(reason))?;
        if shapes.iter().any(|shape| shape.width == 0) {
            return Err(self.setting_error("width", "has width 0; a layer is at least 1 wide"));
        }
        if shapes.len() > MAX_OUTPUTS {
            let (name, found) = (operator.name(), shapes.len());
            let reason = format!("records {name} with {found} outputs; use operations of at most {MAX_OUTPUTS}");
            return Err(self.error(reason));
        }
        let most = self.max_operations.unwrap_or(MAX_OPERATIONS);
        if self.operations.len() >= most {
            return Err(BuildError::TooManyOperations { layer: self.layer, most });
        }
        let requires_gradient = inputs.iter().any(Value::requires_gradient);
        let outputs: Vec<Value> = shapes
            .into_iter()
            .map(|shape| {
                let kind = ValueKind::Computed { indices: None, stored: shape.width };
                self.add_value(kind, shape, requires_gradient)
            })
            .collect();
        self.operations.push(Operation {
            operator: std::sync::Arc::new(operator),
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            in_place_of: None,
            accumulates: false,
            run: Run::Always,
            graph: self.graph,
            layer: self.layer,
            recorded: self.operations.len(),
        });
        Ok(outputs)
    }

    /// Records an operation with one output.
    ///
    /// # Errors
    /// As [`Program::record`].
    pub fn record_one(&mut self, operator: impl Operator, inputs: &[Value]) -> Result<Value, BuildError> {
        let outputs = self.record(operator, inputs)?;
        outputs.first().copied().ok_or_else(|| self.error("records an operation without outputs; give it one"))
    }

    /// Records an operation that changes its input number 0 number by number and, of a sparse one, only what is stored; the
    /// output is as sparse as that.
    pub(crate) fn record_like(&mut self, operator: impl Operator, inputs: &[Value]) -> Result<Value, BuildError> {
        let output = self.record_one(operator, inputs)?;
        let Some(input) = inputs.first().filter(|input| input.is_sparse()) else { return Ok(output) };
        let (indices, stored) = self.sparse_parts(*input);
        self.values[output.id()] = ValueKind::Computed { indices, stored };
        let sparse = Value { sparse: true, requires_gradient: false, ..output };
        if let Some(operation) = self.operations.last_mut() {
            operation.outputs[0] = sparse;
        }
        Ok(sparse)
    }

    /// Records an operation that changes a buffer in place, by its only output, and returns the buffer as it is then. Outside
    /// of training an operator that is the identity there leaves it as it is.
    ///
    /// # Errors
    /// As [`Program::record`]; and if the operator has not just one output, as long as the buffer, or reads the buffer as an
    /// input: it finds the numbers in its output.
    pub fn record_update(
        &mut self,
        operator: impl Operator,
        inputs: &[Value],
        buffer: Weight,
    ) -> Result<Weight, BuildError> {
        self.require(self.layer, operator.name(), &[buffer.value])?;
        if inputs.contains(&buffer.value) {
            let reason = format!("reads a buffer that {} changes in place; read it in the output", operator.name());
            return Err(self.error(reason));
        }
        let output = self.record_one(operator, inputs)?.detached();
        if output.shape() != buffer.value.shape() {
            return Err(
                self.error("updates a buffer by an operation of another shape; give it the shape of the buffer")
            );
        }
        if let Some(operation) = self.operations.last_mut() {
            operation.in_place_of = Some(buffer.value);
            operation.outputs[0] = output;
        }
        self.updates.push(output);
        // Who asks for the buffer from now on reads it as it is then.
        if let Some(known) = self.parameters.iter_mut().find(|known| known.weight.value == buffer.value) {
            known.weight.value = output;
        }
        Ok(Weight { value: output, ..buffer })
    }

    /// The input that holds the indices of a sparse value, and how many numbers of each row are stored.
    pub(crate) fn sparse_parts(&self, value: Value) -> (Option<usize>, usize) {
        match self.values.get(value.id()) {
            Some(&ValueKind::Input(input)) => (Some(input), self.inputs[input].stored.unwrap_or(value.width())),
            Some(&ValueKind::Computed { indices, stored }) => (indices, stored),
            _ => (None, value.width()),
        }
    }

    /// Numbers of a row that are stored.
    pub(crate) fn stored_width(&self, value: Value) -> usize {
        if value.is_sparse() { self.sparse_parts(value).1 } else { value.width() }
    }

    pub(crate) fn add_value(&mut self, kind: ValueKind, shape: Shape, requires_gradient: bool) -> Value {
        self.values.push(kind);
        Value { id: self.values.len() as u32 - 1, shape, sparse: false, requires_gradient }
    }

    /// The value, which is to be dense.
    ///
    /// # Errors
    /// If it is sparse.
    pub fn dense(&self, value: Value) -> Result<Value, BuildError> {
        if value.is_sparse() { Err(BuildError::Sparse { layer: self.layer }) } else { Ok(value) }
    }

    /// Records a layer as a part of this one; its parameters' names begin with `name`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn nested(&mut self, name: &str, layer: &dyn Layer, input: Value) -> Result<Value, BuildError> {
        let length = self.path.len();
        self.path.push_str(if self.path.is_empty() { "layers." } else { "." });
        self.path.push_str(name);
        let output = layer.build(input, self);
        self.path.truncate(length);
        output
    }

    /// Records the layers of a model, one after another.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn layers(&mut self, layers: &[Box<dyn Layer>], input: Value) -> Result<Value, BuildError> {
        layers.iter().enumerate().try_fold(input, |value, (index, layer)| {
            self.layer = index;
            self.nested(&index.to_string(), &**layer, value)
        })
    }

    /// Records the layers of a head, one after another; the names of their parameters begin with `heads.` and its own. Layers
    /// of a model are counted through all of it: `first` is the number of the first of these.
    ///
    /// # Errors
    /// Those of the layers.
    pub(crate) fn head_layers(
        &mut self,
        name: &str,
        first: usize,
        layers: &[Box<dyn Layer>],
        input: Value,
    ) -> Result<Value, BuildError> {
        self.path = format!("heads.{name}");
        let output = layers.iter().enumerate().try_fold(input, |value, (index, layer)| {
            self.layer = first + index;
            self.nested(&index.to_string(), &**layer, value)
        });
        self.path.clear();
        output
    }

    /// Ends the model in a value.
    pub fn head(&mut self, name: &str, output: Value) {
        self.heads.push(Head { name: name.to_owned(), output });
    }

    /// Lets each head end in a copy, which has a column of its own in any case.
    pub(crate) fn copy_outputs(&mut self) -> Result<(), BuildError> {
        for head in 0..self.heads.len() {
            self.heads[head].output = copy(self, self.heads[head].output)?;
        }
        Ok(())
    }

    /// Keeps a value in a column of its own, which stays readable after each step.
    pub fn keep(&mut self, value: Value) {
        self.kept.push(value);
    }

    /// The error if one of the values, which a layer uses by the operation `name`, is none of this program.
    pub(crate) fn require(&self, layer: usize, name: &str, values: &[Value]) -> Result<(), BuildError> {
        if values.iter().all(|value| value.id() < self.values.len()) {
            return Ok(());
        }
        let reason = format!("reads a value of another program by {name}; record it here");
        Err(BuildError::Layer { layer, setting: None, reason })
    }

    /// A number for random numbers that no other operation of the program draws.
    pub fn random_stream(&mut self) -> u32 {
        self.random_streams += 1;
        self.random_streams - 1
    }

    /// The error that the present layer cannot be built: what it does wrong and, after a semicolon, what to do.
    pub fn error(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Layer { layer: self.layer, setting: None, reason: reason.into() }
    }

    /// The same, because of one of its settings.
    pub fn setting_error(&self, setting: &'static str, reason: impl Into<String>) -> BuildError {
        BuildError::Layer { layer: self.layer, setting: Some(setting), reason: reason.into() }
    }
}
