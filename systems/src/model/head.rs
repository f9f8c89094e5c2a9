//! The heads of a model, as they are described.

use connectome_components::{ClassLabel, Field, Loss};
use std::sync::Arc;

use crate::{layers::Layer, program::Operator};

/// Where a model ends: layers on what its own layers compute, a loss and what that takes.
///
/// A model has any number of heads. It minimizes the sum of their losses, each times the weight of the head, and a head's
/// loss is the weighted mean over its rows. The rows are those that its layers end on: nodes, edges or subgraphs, also of
/// another graph over the same nodes, as by [`InnerProductDecoder`](crate::layers::InnerProductDecoder).
///
/// Parameters of its layers are named `heads.NAME.0.weight` and so on, by the number of the layer in the head.
pub struct Head {
    pub(super) name: String,
    pub(super) layers: Vec<Box<dyn Layer>>,
    pub(super) loss: HeadLoss,
    pub(super) weight: f32,
    pub(super) targets: Option<HeadTargets>,
    pub(super) row_weights: Option<Field>,
    pub(super) class_weights: Arc<[f32]>,
}

/// What a head minimizes.
#[derive(Clone, Debug)]
pub enum HeadLoss {
    /// A loss of this crate.
    Given(Loss),
    /// An operator of the user's; see [`Head::operator_loss`].
    Operator(Arc<dyn Operator>),
    /// Nothing: the gradient comes from outside, see [`Head::external_gradient`].
    External,
}

/// What the rows of a head are to become.
#[derive(Clone, Copy, Debug)]
pub enum HeadTargets {
    /// As many numbers for each row as the output has.
    Values(Field),
    /// The class of each row.
    Classes(Field<ClassLabel>),
    /// The same in a field of its own, `[rows, 1]`.
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
    /// A head that hands on what the layers of the model compute, and minimizes the cross-entropy of the rows'
    /// [`ClassLabel`]s.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
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
        Self {
            name: self.name.clone(),
            layers: Vec::new(),
            loss: self.loss.clone(),
            weight: self.weight,
            targets: self.targets,
            row_weights: self.row_weights,
            class_weights: self.class_weights.clone(),
        }
    }

    /// Adds a layer after those added before.
    pub fn layer(mut self, layer: impl Layer + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// What is minimized.
    pub fn loss(mut self, loss: Loss) -> Self {
        self.loss = HeadLoss::Given(loss);
        self
    }

    /// Minimizes what an operator says. Its inputs are the output, targets as wide as that and, if the head has them, the row
    /// weights; its outputs the gradient with respect to the output, in the shape of that, and the loss, a single number. It is
    /// given all rows, whatever their [`Split`](connectome_components::Split), and nothing of it is measured but the loss.
    pub fn operator_loss(mut self, operator: impl Operator) -> Self {
        self.loss = HeadLoss::Operator(Arc::new(operator));
        self
    }

    /// Takes the gradient with respect to the output from outside in place of a loss; see
    /// [`ModelBuilder::external_gradient`](crate::ModelBuilder::external_gradient).
    pub fn external_gradient(mut self) -> Self {
        self.loss = HeadLoss::External;
        self
    }

    /// What its loss is multiplied by; 1 if nothing is said.
    pub fn weight(mut self, weight: f32) -> Self {
        self.weight = weight;
        self
    }

    /// What the rows are to become: values for a loss that takes values, else classes. Without, a head has a field of its own
    /// for values, [`ModelHead::targets`](connectome_components::ModelHead::targets), and takes the rows' [`ClassLabel`]s as
    /// classes.
    pub fn targets(mut self, targets: impl Into<HeadTargets>) -> Self {
        self.targets = Some(targets.into());
        self
    }

    /// How much each row counts: a field of width 1 on its rows. A row of weight 0 belongs to no part of the data for this
    /// head, so that heads on the same rows can learn from different ones.
    pub fn row_weights(mut self, weights: Field) -> Self {
        self.row_weights = Some(weights);
        self
    }

    /// How much each class counts or, for a loss that takes values, each column.
    pub fn class_weights(mut self, weights: impl Into<Vec<f32>>) -> Self {
        self.class_weights = weights.into().into();
        self
    }
}
