//! The fields of a model: those it borrows, and those it makes.

use bevy_ecs::{component::ComponentId, name::Name, world::World};
use connectome_components::{DoubleBuffer, FeatureField, Field, FieldPool, ModelHead, Parameter, Topology};
use std::sync::Arc;

use super::Construction;
use crate::{
    error::BuildError,
    model::{
        HeadLoss, HeadTargets, RowAccess,
        builder::Input,
        components::{ComponentBinding, Copied, CopyIn, RowSystem},
        emit::Bindings,
    },
    optimizers::LearnedParameter,
    program::{Column, Domain, Operation, Plan},
};

impl Construction<'_> {
    /// The fields of what is given from outside.
    pub(super) fn inputs(
        &mut self,
        world: &mut World,
        state: Option<DoubleBuffer>,
    ) -> Result<Vec<FeatureField>, BuildError> {
        let given = [Some(self.builder.input), self.builder.edges, self.builder.coordinates].into_iter().flatten();
        let inputs = given.zip(&self.planned.program.inputs).map(|(given, input)| match (given, state) {
            (Input::Given(features), _) => Ok(features),
            (Input::State(_), Some(state)) => Ok(state.front.into()),
            (Input::Component(binding), _) => {
                Ok(self.read_component(world, binding, input.value.domain(), false)?.into())
            }
            (Input::Observed(width), _) => {
                let field = self.take(world, Domain::Nodes, width)?;
                let rows = RowAccess::new(self.builder.graph, field, Domain::Nodes);
                let observed = |observe: &RowSystem| CopyIn::Observed { observe: Arc::clone(observe), rows };
                self.copies.extend(self.builder.observer.as_ref().map(observed));
                Ok(field.into())
            }
            _ => Ok(self.take(world, input.value.domain(), input.value.width())?.into()),
        });
        inputs.collect()
    }

    /// Borrows a field for the rows of a domain.
    fn take(&mut self, world: &mut World, domain: Domain, width: usize) -> Result<Field, BuildError> {
        let field = FieldPool::take(world, self.component(domain), width)?;
        self.borrowed.push(field);
        Ok(field)
    }

    /// The field of a component that the model reads: its own column, or one that it is copied into.
    pub(super) fn read_component(
        &mut self,
        world: &mut World,
        binding: ComponentBinding,
        domain: Domain,
        is_target: bool,
    ) -> Result<Field, BuildError> {
        let on = self.component(domain).ok_or_else(|| self.last_error("has a single row, which is no entity's"))?;
        if let Some(column) = (binding.column)(world, on)? {
            return Ok(column);
        }
        let field = self.take(world, domain, binding.width)?;
        self.copies.push(CopyIn::Component { binding, copied: Copied { field, domain: on }, is_target });
        Ok(field)
    }

    /// The column of the component that the output is to go to, if an operation can write it: not if the model itself reads
    /// it, or functions of the user's may write it while they read the output.
    pub(super) fn written_column(
        &mut self,
        world: &mut World,
        state: Option<DoubleBuffer>,
        inputs: &[FeatureField],
    ) -> Result<Option<Field>, BuildError> {
        let Some(binding) = self.builder.written else { return Ok(None) };
        let (domain, width) = self.planned.output()?;
        if width != binding.width {
            let ComponentBinding { name, width: held, .. } = binding;
            let reason =
                format!("hands on rows {width} wide, but component `{name}` holds {held}; make the last layer as wide");
            return Err(self.last_error(reason));
        }
        let on = self.component(domain).ok_or_else(|| {
            self.last_error("hands on a single row, which no component holds; read `Model::output` instead")
        })?;
        let Some(column) = (binding.column)(world, on)? else { return Ok(None) };
        let targets = self.builder.target_component.map(|targets| (targets.column)(world, on)).transpose()?.flatten();
        let given = self.builder.heads().iter().filter_map(|head| match head.targets {
            Some(HeadTargets::Values(values)) => Some(values),
            _ => None,
        });
        let read = inputs.iter().map(FeatureField::values).chain(targets).chain(given);
        let is_read = read.into_iter().any(|field| field.id() == column.id());
        Ok((!is_read && state.is_none() && self.builder.actors.is_empty()).then_some(column))
    }

    /// The error that the last layer does not fit.
    fn last_error(&self, reason: impl Into<String>) -> BuildError {
        BuildError::Layer { layer: self.builder.layers.len() - 1, setting: None, reason: reason.into() }
    }

    /// Spawns the parameters: the fields of their numbers, and of the gradients of those that learn.
    pub(super) fn spawn_parameters(
        &mut self,
        world: &mut World,
    ) -> Result<(Vec<Field>, Vec<Option<Field>>), BuildError> {
        let (mut values, mut gradients) = (Vec::new(), Vec::new());
        let learning = self.builder.learning;
        for (number, description) in self.planned.program.parameters().iter().enumerate() {
            let size = description.size();
            let optimizer = learning.filter(|_| description.is_learned).map(|learning| learning.optimizer);
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
                description.initialize(self.builder.seed, number as u32, row);
            }
            values.push(value);
            gradients.push(gradient);
        }
        Ok((values, gradients))
    }

    /// The fields of the layout's columns. The output of a recurrent model goes to the back of its state, the gradients
    /// with respect to inputs where the user wants them.
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
        for (input, gradient) in self.planned.training.iter().flat_map(|plan| self.wanted_gradients(plan)) {
            fixed.push((input, gradient));
        }
        let mut columns = Vec::new();
        let mut single = Vec::new();
        for (place, shape) in self.planned.layout.shapes().enumerate() {
            let known = fixed.iter().find(|(column, _)| *column == Column::Layout(place)).map(|(_, field)| *field);
            let field = match known {
                Some(field) => field,
                None => {
                    let on = self.component(shape.domain);
                    let field = FieldPool::take(world, on, shape.width)?;
                    self.borrowed.push(field);
                    if on.is_none() {
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

    /// The columns of the gradients with respect to inputs, and the fields that the user wants them in.
    fn wanted_gradients(&self, plan: &Plan) -> Vec<(Column, Field)> {
        let given = [Some(self.builder.input), self.builder.edges, self.builder.coordinates].into_iter().flatten();
        let given: Vec<Option<Field>> = given.map(|input| input.given().map(|features| features.values())).collect();
        let gradients = plan.input_gradients.iter().filter_map(|(value, gradient)| {
            let Some(Column::Input(number)) = plan.column(*value) else { return None };
            let field = given[number]?;
            let (_, into) = self.builder.wanted.iter().find(|(wanted, _)| *wanted == field)?;
            Some((plan.column(*gradient)?, *into))
        });
        gradients.collect()
    }

    /// The component whose carriers are the rows of a domain; none for single rows.
    fn component(&self, domain: Domain) -> Option<ComponentId> {
        match domain {
            Domain::Nodes => Some(self.graphs[0].nodes),
            Domain::Edges(graph) => Some(self.graphs[graph.0 as usize].edges),
            Domain::Subgraphs(graph) => Some(self.graphs[graph.0 as usize].subgraphs),
            Domain::Single => None,
        }
    }

    /// Asks the topologies for the coefficients that operations read.
    pub(super) fn require_normalizations(&self, world: &mut World) {
        let operations = self.planned.program.operations().iter();
        let asked = |operation: &Operation| Some((operation.graph, operation.operator.normalization()?));
        for (graph, normalization) in operations.filter_map(asked) {
            let graph = self.planned.program.graphs[graph.0 as usize];
            if let Some(mut topology) = world.get_mut::<Topology>(graph) {
                topology.require(normalization);
            }
        }
    }

    /// The heads, without their targets.
    pub(super) fn heads(&self, bindings: &Bindings) -> Vec<ModelHead> {
        let field = |column: Option<Column>| bindings.field(column?);
        let training = self.planned.training.as_ref();
        let inference = &self.planned.inference;
        let heads = inference.program.heads.iter().enumerate().filter_map(|(number, head)| {
            Some(ModelHead {
                name: head.name.clone(),
                output: field(inference.column(head.output))?,
                output_gradient: training.and_then(|plan| field(plan.head_gradient(number))),
                targets: None,
                labels: None,
            })
        });
        heads.collect()
    }

    /// A number for the loss of each head whose loss is an operator.
    pub(super) fn loss_numbers(&mut self, world: &mut World) -> Result<Vec<Option<Field>>, BuildError> {
        let mut numbers = Vec::new();
        for head in self.builder.heads() {
            let is_operator = matches!(head.loss, HeadLoss::Operator(_));
            let number = is_operator.then(|| FieldPool::take(world, None, 1)).transpose()?;
            self.borrowed.extend(number);
            numbers.push(number);
        }
        let taken: Vec<Field> = numbers.iter().flatten().copied().collect();
        Field::insert_into(world, self.model, &taken)?;
        Ok(numbers)
    }
}
