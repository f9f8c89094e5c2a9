//! The inputs of models.

use connectome_components::{FeatureField, Features};

use super::components::ComponentBinding;
use crate::program::Domain;

/// An input of a model.
#[derive(Clone, Copy, Debug)]
pub(super) enum Input {
    /// A new field of this width.
    Width(usize),
    /// Sparse features of this width, with `stored` values for each row: for a dry run.
    Sparse { width: usize, stored: usize },
    /// What experts predict: for a dry run.
    Predicted { domain: Domain, width: usize },
    /// Existing fields.
    Given(FeatureField),
    /// A user-defined component.
    Component(ComponentBinding),
    /// User-defined components side by side, of this width together.
    Components(usize),
    /// The result, of this width, of a function of components.
    Observed(usize),
    /// The previous output of the model, of this width.
    State(usize),
}

impl Input {
    /// Reads a component, beside those that it reads already.
    pub(super) fn add_component<T: Features>(&mut self, components: &mut Vec<ComponentBinding>) {
        if !matches!(self, Self::Component(_) | Self::Components(_)) {
            components.clear();
        }
        components.push(ComponentBinding::of::<T>());
        *self = match components[..] {
            [only] => Self::Component(only),
            ref several => Self::Components(several.iter().map(|component| component.width).sum()),
        };
    }

    pub(super) fn width(&self) -> usize {
        match self {
            Self::Width(width) | Self::State(width) => *width,
            Self::Sparse { width, .. } | Self::Predicted { width, .. } => *width,
            Self::Components(width) | Self::Observed(width) => *width,
            Self::Component(component) => component.width,
            Self::Given(features) => features.width(),
        }
    }

    /// The existing fields, if these are the input.
    pub(super) fn given(&self) -> Option<FeatureField> {
        match self {
            Self::Given(features) => Some(*features),
            _ => None,
        }
    }
}
