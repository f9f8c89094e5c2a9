//! The fields of a model.

use bevy_ecs::{component::ComponentId, name::Name, world::World};
use connectome_components::{DoubleBuffer, FeatureField, Field, FieldPool, ModelHead, Parameter, Topology};
use std::sync::Arc;

use super::Construction;
use crate::{
    error::BuildError,
    model::{
        HeadLoss, HeadTargets, RowAccess,
        components::{ComponentBinding, Copied, CopyIn, RowSystem},
        emit::Bindings,
        input::Input,
        kinds::{InputOf, ModelInput},
        plans::Carried,
    },
    optimizers::LearnedParameter,
    program::{Column, Domain, Operation, Plan, Shape},
};

impl Construction<'_> {
    /// The fields of the inputs.
    pub(super) fn inputs(
        &mut self,
        world: &mut World,
        state: Option<DoubleBuffer>,
    ) -> Result<Vec<FeatureField>, BuildError> {
        let builder = self.builder;
        let given = builder.inputs().into_iter().zip(&self.planned.program.inputs);
        let inputs = given.map(|(given, input)| match (*given.input, state) {
            (Input::Given(features), _) => Ok(features),
            (Input::State(_), Some(state)) => Ok(state.front.into()),
            (Input::Component(binding), _) => {
                Ok(self.read_component(world, binding, input.value.domain(), false)?.into())
            }
            (Input::Components(width), _) => {
                Ok(self.read_components(world, given.components, Shape::new(input.value.domain(), width))?.into())
            }
            (Input::Observed(width), _) => {
                let field = self.take(world, Domain::NODES, width)?;
                let rows = RowAccess::new(self.builder.graph, field, Domain::NODES);
                let observed = |observe: &RowSystem| CopyIn::Observed { observe: Arc::clone(observe), rows };
                self.copies.extend(self.builder.observer.as_ref().map(observed));
                Ok(field.into())
            }
            _ => Ok(self.take(world, input.value.domain(), input.value.width())?.into()),
        });
        inputs.collect()
    }

    /// The inputs of the kinds of nodes beside the model's own, by name.
    pub(super) fn inputs_of_kinds(&self, inputs: &[FeatureField]) -> Vec<(String, FeatureField)> {
        let of_kind = |(input, field): (ModelInput, &FeatureField)| match input.of {
            InputOf::Kind(kind) => Some((self.builder.kinds[kind].name.clone(), *field)),
            _ => None,
        };
        self.builder.inputs().into_iter().zip(inputs).filter_map(of_kind).collect()
    }

    /// Takes a field of a domain from the pool.
    fn take(&mut self, world: &mut World, domain: Domain, width: usize) -> Result<Field, BuildError> {
        let field = FieldPool::take(world, self.component(domain), width)?;
        self.borrowed.push(field);
        Ok(field)
    }

    /// The field of a component that the model reads: its column, or a field into which it is copied.
    pub(super) fn read_component(
        &mut self,
        world: &mut World,
        binding: ComponentBinding,
        domain: Domain,
        is_target: bool,
    ) -> Result<Field, BuildError> {
        let marker = self.component(domain).ok_or_else(|| {
            self.last_error("outputs a single row, which belongs to no entity; read `Model::output` instead")
        })?;
        if let Some(column) = (binding.column)(world, marker)? {
            return Ok(column);
        }
        let field = self.take(world, domain, binding.width)?;
        self.copies.push(CopyIn::Component { binding, copied: Copied { field, domain: marker, first: 0 }, is_target });
        Ok(field)
    }

    /// A field into which components are copied, side by side.
    fn read_components(
        &mut self,
        world: &mut World,
        components: &[ComponentBinding],
        shape: Shape,
    ) -> Result<Field, BuildError> {
        let field = self.take(world, shape.domain, shape.width)?;
        let mut first = 0;
        for binding in components {
            let copied = Copied { field, domain: field.domain(), first };
            self.copies.push(CopyIn::Component { binding: *binding, copied, is_target: false });
            first += binding.width;
        }
        Ok(field)
    }

    /// The column of the component that receives the output, if an operation can write it directly: not if the model
    /// reads it, or user-defined functions may write it while they read the output.
    pub(super) fn written_column(
        &mut self,
        world: &mut World,
        state: Option<DoubleBuffer>,
        inputs: &[FeatureField],
    ) -> Result<Option<Field>, BuildError> {
        let Some(binding) = self.builder.written else { return Ok(None) };
        let (domain, width) = self.planned.output()?;
        if width != binding.width {
            let ComponentBinding { name, width: expected, .. } = binding;
            let reason = format!(
                "outputs rows of width {width}, but component `{name}` has width {expected}; set the last width to that"
            );
            return Err(self.last_error(reason));
        }
        let marker = self.component(domain).ok_or_else(|| {
            self.last_error("outputs a single row, which belongs to no entity; read `Model::output` instead")
        })?;
        let Some(column) = (binding.column)(world, marker)? else { return Ok(None) };
        let targets =
            self.builder.target_component.map(|targets| (targets.column)(world, marker)).transpose()?.flatten();
        let given = self.builder.heads().iter().filter_map(|head| match head.targets {
            Some(HeadTargets::Values(values)) => Some(values),
            _ => None,
        });
        let read = inputs.iter().map(FeatureField::values).chain(targets).chain(given);
        let is_read = read.into_iter().any(|field| field.id() == column.id());
        Ok((!is_read && state.is_none() && self.builder.actors.is_empty()).then_some(column))
    }

    /// An error of the last layer.
    fn last_error(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Layer {
            layer: self.builder.layers.len() - 1,
            path: String::new(),
            setting: None,
            reason: reason.into(),
        }
    }

    /// Spawns the parameters; returns the fields of their values, and of their gradients if they are trained.
    pub(super) fn spawn_parameters(
        &mut self,
        world: &mut World,
    ) -> Result<(Vec<Field>, Vec<Option<Field>>), BuildError> {
        let (mut values, mut gradients) = (Vec::new(), Vec::new());

        for (index, description) in self.planned.program.parameters().iter().enumerate() {
            let size = description.size();
            let optimizer = self.builder.optimizer.filter(|_| description.is_learned);
            let mut take = |width: Option<usize>| {
                let field = width.map(|width| FieldPool::take(world, None, width)).transpose();
                field.inspect(|field| self.borrowed.extend(*field))
            };
            let Some(value) = take(Some(size))? else { continue };
            let gradient = take(optimizer.map(|_| size))?;
            let moments = take(optimizer.map(|optimizer| size.saturating_mul(optimizer.moments())))?;
            let sum = take(optimizer.and(self.builder.accumulation).map(|_| size))?;
            let weight_decay = description.weight_decay;
            let parameter = Parameter {
                name: description.name.clone(),
                shape: description.shape,
                layout: description.layout.clone(),
                value,
                gradient,
                moments,
                accumulated: sum,
                weight_decay,
            };
            let entity = world.spawn((Name::new(description.name.clone()), parameter)).id();
            self.parameters.push(entity);
            let fields: Vec<Field> = [Some(value), gradient, moments, sum].into_iter().flatten().collect();
            Field::insert_into(world, entity, &fields)?;
            if let (Some(gradient), Some(moments)) = (gradient, moments) {
                self.learned.push(LearnedParameter { value, gradient, moments, sum, weight_decay });
            }
            for row in value.matrix_mut(world).rows_mut() {
                description.initialize(self.builder.seed, index as u32, row);
            }
            values.push(value);
            gradients.push(gradient);
        }
        Ok((values, gradients))
    }

    /// The fields of the layout's columns. The output of a recurrent model is the back of its state, and requested
    /// gradients with respect to inputs are the fields given for them.
    pub(super) fn columns(&mut self, world: &mut World, state: Option<DoubleBuffer>) -> Result<Vec<Field>, BuildError> {
        let mut fixed: Vec<(Column, Field)> = Vec::new();
        let inference = &self.planned.inference;
        if let Some(state) = state {
            let output = inference.output(0).and_then(|output| inference.column(output));
            fixed.extend(output.map(|output| (output, state.back)));
        }
        if let Some(written) = self.written {
            let output = inference.output(0).and_then(|output| inference.column(output));
            fixed.extend(output.map(|output| (output, written)));
        }
        for (input, gradient) in self.planned.training.iter().flat_map(|plan| self.input_gradients(plan)) {
            fixed.push((input, gradient));
        }
        let mut columns = Vec::new();
        let mut single = Vec::new();
        for (index, shape) in self.planned.layout.shapes().enumerate() {
            let known = fixed.iter().find(|(column, _)| *column == Column::Layout(index)).map(|(_, field)| *field);
            let field = match known {
                Some(field) => field,
                None => {
                    let marker = self.component(shape.domain);
                    let field = FieldPool::take(world, marker, shape.width)?;
                    self.borrowed.push(field);
                    if marker.is_none() {
                        single.push(field);
                    }
                    field
                }
            };
            columns.push(field);
        }
        if !single.is_empty() {
            Field::insert_into(world, self.model, &single)?;
        }
        Ok(columns)
    }

    /// The columns of the requested gradients with respect to inputs, and the fields given for them.
    fn input_gradients(&self, plan: &Plan) -> Vec<(Column, Field)> {
        let given = self.builder.inputs().into_iter();
        let given: Vec<Option<Field>> =
            given.map(|input| input.input.given().map(|features| features.values())).collect();
        let gradients = plan.input_gradients.iter().filter_map(|(value, gradient)| {
            let Some(Column::Input(index)) = plan.column(*value) else { return None };
            let field = given[index]?;
            let (_, into) = self.builder.input_gradients.iter().find(|(input, _)| *input == field)?;
            Some((plan.column(*gradient)?, *into))
        });
        gradients.collect()
    }

    /// The component that marks the rows of a domain; none for a single row.
    fn component(&self, domain: Domain) -> Option<ComponentId> {
        match domain {
            Domain::Nodes(_) => Some(self.graphs[self.planned.program.graph_with(domain).0 as usize].nodes),
            Domain::Edges(graph) => Some(self.graphs[graph.0 as usize].edges),
            Domain::Subgraphs(graph) => Some(self.graphs[graph.0 as usize].subgraphs),
            Domain::Single => None,
        }
    }

    /// Requires what operations read of the topologies: coefficients, levels, and the order of edges if there are values on them.
    pub(super) fn require_of_topologies(&self, world: &mut World) {
        let operations = self.planned.program.operations();
        let values = operations.iter().flat_map(|operation| operation.inputs.iter().chain(&operation.outputs));
        for value in values {
            if let Domain::Edges(graph) = value.domain()
                && let Some(mut topology) = world.get_mut::<Topology>(self.planned.program.graphs[graph.0 as usize])
            {
                topology.require_edge_order();
            }
        }
        let required = |operation: &Operation| Some((operation.graph, operation.operator.normalization()?));
        for (graph, normalization) in operations.iter().filter_map(required) {
            let graph = self.planned.program.graphs[graph.0 as usize];
            if let Some(mut topology) = world.get_mut::<Topology>(graph) {
                topology.require(normalization);
            }
        }
        let passes = |operation: &Operation| Some((operation.graph, operation.operator.direction()?));
        for (graph, direction) in operations.iter().filter_map(passes) {
            let graph = self.planned.program.graphs[graph.0 as usize];
            if let Some(mut topology) = world.get_mut::<Topology>(graph) {
                topology.require_levels(direction);
            }
        }
    }

    /// The heads, without their targets.
    pub(super) fn heads(&self, bindings: &Bindings) -> Vec<ModelHead> {
        let field = |column: Option<Column>| bindings.field(column?);
        let training = self.planned.training.as_ref();
        let inference = &self.planned.inference;
        let heads = inference.program.heads.iter().enumerate().filter_map(|(index, head)| {
            Some(ModelHead {
                name: head.name.clone(),
                output: field(inference.column(head.output))?,
                output_gradient: training.and_then(|plan| field(plan.head_gradient(index))),
                targets: None,
                labels: None,
            })
        });
        heads.collect()
    }

    /// For each head whose loss is an operator, the field of the value of the loss.
    pub(super) fn loss_values(&mut self, world: &mut World) -> Result<Vec<Option<Field>>, BuildError> {
        let mut values = Vec::new();
        for head in self.builder.heads() {
            let is_operator = matches!(head.loss, HeadLoss::Operator(_));
            let value = is_operator.then(|| FieldPool::take(world, None, 1)).transpose()?;
            self.borrowed.extend(value);
            values.push(value);
        }
        let taken: Vec<Field> = values.iter().flatten().copied().collect();
        Field::insert_into(world, self.model, &taken)?;
        Ok(values)
    }

    /// The fields whose values one step leaves to the next, beside parameters, moments and accumulated gradients.
    pub(super) fn carried(&self, bindings: &Bindings, heads: &[ModelHead], output: Field) -> Carried {
        let mut carried = Carried::default();
        for input in &bindings.inputs {
            carried.add(input.values());
            if let FeatureField::Sparse { indices, .. } = input {
                carried.indices.push(*indices);
            }
        }
        carried.add(output);
        heads.iter().flat_map(|head| [Some(head.output), head.targets]).flatten().for_each(|field| carried.add(field));
        for head in self.builder.heads() {
            head.row_weights.into_iter().for_each(|weights| carried.add(weights));
            if let Some(HeadTargets::Indices(indices)) = head.targets {
                carried.indices.push(indices);
            }
        }
        carried.add_settled(&bindings.columns, &bindings.settled);
        carried
    }
}
