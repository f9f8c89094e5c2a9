//! Recording of the program that a model builder describes.

use bevy_ecs::{entity::Entity, world::World};
use connectome_components::{FeatureField, Field, Graph};

use super::{
    DryRun, ModelBuilder,
    input::Input,
    kinds::{InputOf, KindsInWorld, ModelInput},
};
use crate::{
    error::BuildError,
    program::{Column, Domain, GraphIndex, KindIndex, MAX_HEADS, Program, Shape, Value},
};

impl ModelBuilder {
    /// Records the program of the model without a world. Existing fields count as fields of nodes, or of edges for edge
    /// features.
    ///
    /// # Errors
    /// If a layer does not fit its input, or the [limits](Self::limits) are exceeded.
    pub fn record(&self) -> Result<Program, BuildError> {
        self.program(&[], |_, default| Ok(default))
    }

    /// Records the program of the model; `domain` returns the domain of an existing field, of which by default the second
    /// argument is. `homes` are the graphs of the kinds of nodes that no relation ends in.
    pub(super) fn program(
        &self,
        homes: &[Entity],
        domain: impl Fn(Field, Domain) -> Result<Domain, BuildError>,
    ) -> Result<Program, BuildError> {
        self.check_heads()?;
        let mut program = Program::new(self.graph).with_limits(self.limits);
        let relations = self.add_kinds(&mut program, homes)?;
        if self.keeps_attention {
            program.keep_attention();
        }
        if self.is_for_samples {
            program.for_samples();
        }
        let has_gradient = |field: Field| self.input_gradients.iter().any(|(input, _)| *input == field);
        let mut add = |name: &str, input: &Input, default: Domain| -> Result<Value, BuildError> {
            let domain = match input {
                Input::Predicted { domain, .. } => *domain,
                input => input.given().map_or(Ok(default), |features| domain(features.values(), default))?,
            };
            let shape = Shape::new(domain, input.width());
            Ok(match input {
                Input::Sparse { stored, .. } => program.sparse_input(name, shape, *stored),
                Input::Given(FeatureField::Sparse { values, .. }) => program.sparse_input(name, shape, values.width()),
                Input::Given(FeatureField::Dense(value)) => program.input(name, shape, has_gradient(*value)),
                // What experts predict gets a gradient, as in training.
                Input::Predicted { .. } => program.input(name, shape, self.optimizer.is_some()),
                Input::Width(_) | Input::Component(_) | Input::Components(_) | Input::Observed(_) => {
                    program.input(name, shape, false)
                }
                Input::State(_) => program.state(name, shape),
            })
        };
        let mut values = Vec::new();
        for ModelInput { name, input, of, .. } in self.inputs() {
            let default = match of {
                InputOf::Nodes | InputOf::Coordinates => Domain::NODES,
                InputOf::Edges => Domain::Edges(GraphIndex(0)),
                InputOf::Kind(kind) => Domain::Nodes(KindIndex(kind as u32 + 1)),
                InputOf::Relation(relation) => Domain::Edges(relations[relation]),
            };
            values.push((of, add(&name, input, default)?));
        }
        let (_, input) = values[0];
        for (of, value) in &values {
            match *of {
                InputOf::Nodes => program.set_features(KindIndex::OWN, Some(*value)),
                InputOf::Edges => program.set_edge_features(*value),
                InputOf::Coordinates => program.set_coordinates(*value),
                InputOf::Kind(kind) => program.set_features(KindIndex(kind as u32 + 1), Some(*value)),
                InputOf::Relation(relation) => program.within(relations[relation], |program| {
                    program.set_edge_features(*value);
                    Ok(())
                })?,
            }
        }
        let trunk = program.layers(&self.layers, input)?;
        program.set_features(KindIndex::OWN, Some(trunk));
        let mut first = self.layers.len();
        for head in self.heads() {
            let (kind, read) = head.input(&mut program)?;
            let mut output = program.head_layers((&head.name, kind), first, &head.layers, read)?;
            first += head.layers.len();
            output = program.dense(output)?;
            if let Input::State(width) = self.input {
                output = self.next_state(&program, input, output, width)?;
            }
            program.head(&head.name, output);
        }
        if self.coordinates.is_some() {
            let moved = program.coordinates()?;
            program.keep(moved);
        }
        Ok(program)
    }

    fn check_heads(&self) -> Result<(), BuildError> {
        if self.layers.is_empty() && self.heads().iter().any(|head| head.layers.is_empty()) {
            return Err(BuildError::Empty);
        }
        let error =
            |head: &str, reason: &str| Err(BuildError::Head { head: head.to_owned(), reason: reason.to_owned() });
        if let (Some(head), true) = (self.heads.first(), self.is_output_set) {
            let reason =
                "is given together with a loss, targets or an external gradient of the model; set them on a head";
            return error(&head.name, reason);
        }
        if let Some(head) = self.heads.get(MAX_HEADS) {
            return error(&head.name, &format!("is one of more than {MAX_HEADS} heads; use fewer, or several models"));
        }
        for (index, head) in self.heads.iter().enumerate() {
            if self.heads[..index].iter().any(|other| other.name == head.name) {
                return error(&head.name, "has the name of another head; use distinct names");
            }
            if head.name.is_empty() || head.name.contains('.') {
                return error(
                    &head.name,
                    "has an empty name or one with a dot, which separates the names of parameters; rename it",
                );
            }
            if matches!(self.input, Input::State(_)) {
                return error(&head.name, "belongs to a recurrent model, whose output is its next state; remove it");
            }
        }
        Ok(())
    }

    /// The output of a recurrent model, which must have the shape of its state.
    fn next_state(&self, program: &Program, input: Value, output: Value, width: usize) -> Result<Value, BuildError> {
        if output.shape() != input.shape() {
            let found = output.width();
            return Err(
                program.error(format!("has output width {found}, but the state of the model has width {width}"))
            );
        }
        Ok(output)
    }

    /// Checks that a recurrent model computes its state in inference.
    pub(super) fn check_state(&self, planned: &DryRun) -> Result<(), BuildError> {
        let output = planned.inference.output(0).and_then(|output| planned.inference.column(output));
        match (self.input, output) {
            (Input::State(_), Some(Column::Layout(_))) => Ok(()),
            (Input::State(_), _) => {
                let reason = "returns its input, so the next state is never written; end with a layer that computes";
                Err(BuildError::Layer {
                    layer: self.layers.len() - 1,
                    path: String::new(),
                    setting: None,
                    reason: reason.to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// The domain of a field on the nodes, edges or subgraphs of a model, of which `default` is expected.
pub(super) fn domain_of(
    world: &World,
    (graph, kinds): (Graph, &KindsInWorld),
    field: Field,
    default: Domain,
) -> Result<Domain, BuildError> {
    let found = match field.domain() {
        domain if domain == graph.edges => Some(Domain::Edges(GraphIndex(0))),
        domain if domain == graph.subgraphs => Some(Domain::Subgraphs(GraphIndex(0))),
        domain => kinds.domain(domain),
    };
    match default {
        // Another graph's, whose component is compared when its columns are.
        Domain::Edges(graph) if graph != GraphIndex(0) && found.is_none() => Ok(default),
        Domain::Nodes(kind) if kind != KindIndex::OWN && found != Some(default) => {
            Err(BuildError::OtherRows { field: field.name(world) })
        }
        _ => found.ok_or_else(|| BuildError::OtherRows { field: field.name(world) }),
    }
}
