//! The layers a scene can ask for.

use connectome_systems::kernels::Activation;
use connectome_systems::layers::{GraphConv, Linear, MessagePassing};
use serde::{Deserialize, Serialize};

/// One layer of a model.
///
/// In a scene file a model reads `[Dropout(0.5), GraphConv(width: 16), Relu, GraphConv(width: 7)]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum LayerDescription {
    /// While training, sets each value to 0 with this probability and scales up the rest.
    Dropout(f32),
    /// Each node by itself.
    Linear(Linear),
    /// Neighbours averaged by degree.
    GraphConv(GraphConv),
    /// Messages along edges.
    MessagePassing(MessagePassing),
    /// [`Activation::Relu`].
    Relu,
    /// [`Activation::LeakyRelu`] with this slope.
    LeakyRelu(f32),
    /// [`Activation::Elu`] with this alpha.
    Elu(f32),
    /// [`Activation::Gelu`].
    Gelu,
    /// [`Activation::Sigmoid`].
    Sigmoid,
    /// [`Activation::Silu`].
    Silu,
    /// [`Activation::Softplus`].
    Softplus,
    /// [`Activation::Tanh`].
    Tanh,
}

impl LayerDescription {
    /// How wide its output is; none if it keeps the width of its input.
    pub fn width(&self) -> Option<usize> {
        match self {
            Self::Linear(layer) => Some(layer.width),
            Self::GraphConv(layer) => Some(layer.width),
            Self::MessagePassing(layer) => Some(layer.width),
            _ => None,
        }
    }

    /// The decay it sets for its own parameters.
    pub fn weight_decay(&self) -> Option<f32> {
        match self {
            Self::Linear(layer) => layer.weight_decay,
            Self::GraphConv(layer) => layer.weight_decay,
            Self::MessagePassing(layer) => layer.weight_decay,
            _ => None,
        }
    }

    /// The activation it stands for, if it is one.
    pub fn activation(&self) -> Option<Activation> {
        match *self {
            Self::Relu => Some(Activation::Relu),
            Self::LeakyRelu(slope) => Some(Activation::LeakyRelu(slope)),
            Self::Elu(alpha) => Some(Activation::Elu(alpha)),
            Self::Gelu => Some(Activation::Gelu),
            Self::Sigmoid => Some(Activation::Sigmoid),
            Self::Silu => Some(Activation::Silu),
            Self::Softplus => Some(Activation::Softplus),
            Self::Tanh => Some(Activation::Tanh),
            Self::Dropout(_) | Self::Linear(_) | Self::GraphConv(_) | Self::MessagePassing(_) => None,
        }
    }

    /// What scene files call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Dropout(_) => "Dropout",
            Self::Linear(_) => "Linear",
            Self::GraphConv(_) => "GraphConv",
            Self::MessagePassing(_) => "MessagePassing",
            Self::Relu => "Relu",
            Self::LeakyRelu(_) => "LeakyRelu",
            Self::Elu(_) => "Elu",
            Self::Gelu => "Gelu",
            Self::Sigmoid => "Sigmoid",
            Self::Silu => "Silu",
            Self::Softplus => "Softplus",
            Self::Tanh => "Tanh",
        }
    }
}

/// How wide the output of `model` is on an input of `width` columns.
pub fn output_width(model: &[LayerDescription], width: usize) -> usize {
    model.iter().filter_map(LayerDescription::width).next_back().unwrap_or(width)
}
