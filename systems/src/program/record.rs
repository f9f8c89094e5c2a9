//! Records what layers ask for into a program.

use bevy_ecs::entity::Entity;

use super::{
    Head, Input, KindIndex, MAX_OUTPUTS, Operation, Operator, Program, Run, Shape, Value, ValueKind, Weight,
    layer::Layer,
};
use crate::error::BuildError;

impl Program {
    /// A value that is given from outside, `[rows of domain, width]`.
    pub fn input(&mut self, name: &str, shape: Shape, requires_gradient: bool) -> Value {
        let (value, name) =
            (self.add_value(ValueKind::Input(self.inputs.len()), shape, requires_gradient), name.to_owned());
        self.inputs.push(Input { name, value, stored: None, is_state: false });
        value
    }

    /// A value that is given from outside and of which at most `stored` elements of each row are not 0.
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

    /// Records operations on another graph over the same nodes.
    ///
    /// # Errors
    /// Those of the operations.
    pub fn on_graph<R>(
        &mut self,
        graph: Entity,
        operations: impl FnOnce(&mut Self) -> Result<R, BuildError>,
    ) -> Result<R, BuildError> {
        let graph = self.graph_index(graph);
        self.within(graph, operations)
    }

    /// Records an operation; its outputs have the shapes that the operator says.
    ///
    /// The outputs require a gradient if an input does.
    ///
    /// # Errors
    /// If the operator cannot be applied to these inputs, an input is a value of another program, a value would have width 0,
    /// there are too many outputs, or the [limits](super::ProgramLimits) of the program are exceeded.
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
        self.check_operations()?;
        shapes.iter().try_for_each(|shape| self.check_width(shape.width))?;
        let requires_gradient = inputs.iter().any(Value::requires_gradient);
        let outputs: Vec<Value> = shapes
            .into_iter()
            .map(|shape| {
                let kind = ValueKind::Computed { indices: None, stored: shape.width };
                self.add_value(kind, shape, requires_gradient)
            })
            .collect();
        let graph = self.graph_of(self.graph, &operator, inputs, &outputs);
        self.operations.push(Operation {
            operator: std::sync::Arc::new(operator),
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            in_place_of: None,
            accumulates: false,
            run: Run::Always,
            parts: None,
            graph,
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

    /// Records an operation that changes its first input element by element and, of a sparse one, only what is stored; the
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
    /// input: it finds the values in its output.
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

    pub(crate) fn add_value(&mut self, kind: ValueKind, shape: Shape, requires_gradient: bool) -> Value {
        self.values.push(kind);
        Value { id: self.values.len() as u32 - 1, program: self.id, shape, sparse: false, requires_gradient }
    }

    /// Records a layer as a part of this one; its parameters' names begin with `name`.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn nested(&mut self, name: &str, layer: &dyn Layer, input: Value) -> Result<Value, BuildError> {
        self.within_path(name, |program| layer.build(input, program))
    }

    /// Records operations whose parameters' names begin with `name`.
    pub(crate) fn within_path<R>(
        &mut self,
        name: &str,
        operations: impl FnOnce(&mut Self) -> Result<R, BuildError>,
    ) -> Result<R, BuildError> {
        let path = self.path_to(name);
        let before = core::mem::replace(&mut self.path, path);
        let result = operations(self);
        self.path = before;
        result
    }

    /// What the names of the parameters of a layer within the present one begin with.
    fn path_to(&self, name: &str) -> String {
        if self.path.is_empty() { format!("layers.{name}") } else { format!("{}.{name}", self.path) }
    }

    /// Records the layers of a model, one after another.
    ///
    /// # Errors
    /// Those of the layers.
    pub fn layers(&mut self, layers: &[impl Layer], input: Value) -> Result<Value, BuildError> {
        layers.iter().enumerate().try_fold(input, |value, (index, layer)| self.outermost(index, index, layer, value))
    }

    /// Records a layer of the model, the `layer`th of all of them, which is called by `index` among those beside it.
    fn outermost(
        &mut self,
        layer: usize,
        index: usize,
        recorded: &dyn Layer,
        input: Value,
    ) -> Result<Value, BuildError> {
        self.layer = layer;
        let name = index.to_string();
        self.layer_path = self.path_to(&name).len();
        self.within_path(&name, |program| match program.present_kind {
            Some(_) => recorded.build(input, program),
            None => program.layer_of_kinds(recorded, input),
        })
    }

    /// Records the layers of a head on the nodes of a kind, one after another; the names of their parameters begin with
    /// `heads.` and its own. Layers of a model are counted through all of it: `first` is the index of the first of these.
    ///
    /// # Errors
    /// Those of the layers.
    pub(crate) fn head_layers(
        &mut self,
        (name, kind): (&str, KindIndex),
        first: usize,
        layers: &[impl Layer],
        input: Value,
    ) -> Result<Value, BuildError> {
        self.path = format!("heads.{name}");
        self.present_kind = Some(kind);
        let output = self.within(self.home(kind), |program| {
            layers
                .iter()
                .enumerate()
                .try_fold(input, |value, (index, layer)| program.outermost(first + index, index, layer, value))
        });
        self.present_kind = None;
        self.path.clear();
        output
    }

    /// Ends the model in a value.
    pub fn head(&mut self, name: &str, output: Value) {
        self.heads.push(Head { name: name.to_owned(), output });
    }

    /// Keeps a value in a column of its own, which stays readable after each step.
    pub fn keep(&mut self, value: Value) {
        self.kept.push(value);
    }

    /// A stream of random numbers that no other operation of the program draws from.
    pub fn random_stream(&mut self) -> u32 {
        self.random_streams += 1;
        self.random_streams - 1
    }
}
