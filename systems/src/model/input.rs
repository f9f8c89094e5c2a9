//! The inputs of models.

use connectome_components::FeatureField;

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
