//! The heads of a model builder.

use connectome_components::{ClassLabel, Field, Loss};
use std::sync::Arc;

use crate::{
    error::{BuildError, KindError},
    layers::Layer,
    operators::concatenate,
    program::{KindIndex, Operator, Program, Value},
};

/// An output of a model: layers on the output of the model's layers, a loss and its targets.
///
/// A model has any number of heads. It minimizes the sum of their losses, each times the weight of the head; the loss
/// of a head is the weighted mean over its rows. The rows are those of the output of its layers: nodes, edges or
/// subgraphs, also of another graph over the same nodes, as with
/// [`InnerProductDecoder`](crate::layers::InnerProductDecoder).
///
/// Parameters of its layers are named `heads.NAME.0.weight` and so on, by the index of the layer in the head.
#[derive(Clone)]
pub struct Head {
    pub(super) name: String,
    /// The kinds of nodes that it reads; the model's own if none.
    kinds: Vec<String>,
    pub(super) layers: Vec<Arc<dyn Layer>>,
    pub(super) loss: HeadLoss,
    pub(super) weight: f32,
    pub(super) targets: Option<HeadTargets>,
    pub(super) row_weights: Option<Field>,
    pub(super) class_weights: Arc<[f32]>,
}

/// The loss of a head.
#[derive(Clone, Debug)]
pub enum HeadLoss {
    /// A built-in loss.
    Given(Loss),
    /// A user-defined operator; see [`Head::operator_loss`].
    Operator(Arc<dyn Operator>),
    /// No loss but an external gradient; see [`Head::external_gradient`].
    External,
}

/// The targets of a head.
#[derive(Clone, Copy, Debug)]
pub enum HeadTargets {
    /// One value for each output dimension, as wide as the output.
    Values(Field),
    /// The class of each row, as a [`ClassLabel`].
    Classes(Field<ClassLabel>),
    /// The class of each row, as a field of width 1.
    Indices(Field<u32>),
}

impl From<Field> for HeadTargets {
    fn from(values: Field) -> Self {
        Self::Values(values)
    }
}

impl From<Field<ClassLabel>> for HeadTargets {
    fn from(labels: Field<ClassLabel>) -> Self {
        Self::Classes(labels)
    }
}

impl From<Field<u32>> for HeadTargets {
    fn from(labels: Field<u32>) -> Self {
        Self::Indices(labels)
    }
}

impl Head {
    /// A head without layers, with the cross-entropy of the rows' [`ClassLabel`]s as loss.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            kinds: Vec::new(),
            layers: Vec::new(),
            loss: HeadLoss::Given(Loss::CrossEntropy),
            weight: 1.0,
            targets: None,
            row_weights: None,
            class_weights: Arc::from([]),
        }
    }

    /// The same head, without its layers.
    pub(super) fn without_layers(&self) -> Self {
        Self { layers: Vec::new(), ..self.clone() }
    }

    /// Reads nodes of another kind than the model's own.
    pub fn of_kind(self, kind: &str) -> Self {
        self.of_kinds([kind])
    }

    /// Reads several kinds side by side, which are on the same rows, as after a readout of each.
    pub fn of_kinds<'a>(mut self, kinds: impl IntoIterator<Item = &'a str>) -> Self {
        self.kinds = kinds.into_iter().map(str::to_owned).collect();
        self
    }

    /// The value that its layers begin with, and the kind of nodes that they are of.
    pub(super) fn input(&self, program: &mut Program) -> Result<(KindIndex, Value), BuildError> {
        let mut found = Vec::new();
        for name in &self.kinds {
            let kind = program.kind(name).ok_or_else(|| KindError::UnknownInHead {
                head: self.name.clone(),
                kind: name.clone(),
                known: program.kind_names().map(|name| format!("`{name}`")).collect::<Vec<String>>().join(", "),
            })?;
            found.push((kind, program.features_of(kind)?));
        }
        match found[..] {
            [] => Ok((KindIndex::OWN, program.features_of(KindIndex::OWN)?)),
            [only] => Ok(only),
            [(kind, _), ..] => {
                let values: Vec<Value> = found.iter().map(|(_, value)| *value).collect();
                Ok((kind, concatenate(program, &values)?))
            }
        }
    }

    /// Appends a layer.
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Arc::new(layer));
        self
    }

    /// Sets the loss.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = HeadLoss::Given(loss);
        self
    }

    /// Sets an operator as loss. Its inputs are the output, targets of the same shape and, if the head has them, the
    /// row weights; its outputs are the gradient with respect to the output, of the same shape, and the loss, a single
    /// value. It reads all rows, whatever their [`Split`](connectome_components::Split), and the loss is the only
    /// metric.
    pub fn operator_loss(mut self, operator: impl Operator) -> Self {
        self.loss = HeadLoss::Operator(Arc::new(operator));
        self
    }

    /// Replaces the loss by an external gradient with respect to the output; see
    /// [`ModelBuilder::external_gradient`](crate::ModelBuilder::external_gradient).
    pub fn external_gradient(mut self) -> Self {
        self.loss = HeadLoss::External;
        self
    }

    /// Sets the weight of the loss in the objective of the model; 1 by default.
    pub fn weight(mut self, weight: f32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the targets: values or classes, as the loss takes. By default values are a new field,
    /// [`ModelHead::targets`](connectome_components::ModelHead::targets), and classes the rows' [`ClassLabel`]s.
    pub fn targets(mut self, targets: impl Into<HeadTargets>) -> Self {
        self.targets = Some(targets.into());
        self
    }

    /// Sets the weight of each row: a field of width 1 on its rows. A row of weight 0 belongs to no split for this
    /// head, so that heads on the same rows can be trained on different ones.
    pub fn row_weights(mut self, weights: Field) -> Self {
        self.row_weights = Some(weights);
        self
    }

    /// Sets the weight of each class or, for a loss that takes values, of each output dimension.
    pub fn class_weights(mut self, weights: impl Into<Vec<f32>>) -> Self {
        self.class_weights = weights.into().into();
        self
    }
}
