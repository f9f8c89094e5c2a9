//! Residual connections.

use serde::{Deserialize, Serialize};

use super::{Layer, sequence::in_sequence};
use crate::{
    error::BuildError,
    operators::{add, linear},
    program::{Program, Value},
};

/// `Y = X + F(X)`, or with a `shortcut` `Y = X W + F(X)`, where `F` is a sequence of layers (He et al., "Deep
/// residual learning for image recognition", CVPR 2016, eq. 1 and 2).
///
/// `X` is `[N, F]` on any domain, `F(X)` `[N, G]` on the same rows. Without a shortcut `G` is `F`; with one `W` is
/// `[F, G]`, called `shortcut.weight`, and `X` may be sparse. The layers' parameters are called `layers.0.*` and so on.
/// Costs `N F` additions, or `N F G` multiplications, besides the layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residual<L> {
    /// The layers whose output is added to their input.
    pub layers: Vec<L>,
    /// Whether the input goes through a linear map, which is needed if the layers change the width.
    #[serde(default)]
    pub shortcut: bool,
    /// Weight decay of the shortcut; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl<L: Layer> Residual<L> {
    /// A residual connection around these layers, without a shortcut.
    pub fn new(layers: impl Into<Vec<L>>) -> Self {
        Self { layers: layers.into(), shortcut: false, weight_decay: None }
    }

    /// The same with a linear map of the input.
    pub fn with_shortcut(self) -> Self {
        Self { shortcut: true, ..self }
    }
}

impl<L: Layer> Layer for Residual<L> {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        if self.layers.is_empty() {
            return Err(program.error("has no layers; give at least one"));
        }
        let value = in_sequence(program, "layers", &self.layers, input)?;
        let (width, found) = (input.width(), value.width());
        if self.shortcut {
            let weight = program.weight("shortcut.weight", [width, found], self.weight_decay)?;
            let mapped = linear(program, input, &weight, None)?;
            return add(program, [(mapped, 1.0), (value, 1.0)]);
        }
        if width != found {
            return Err(program.error(format!(
                "adds its input of width {width} to the output of its layers of width {found}; use equal widths, or \
                 set `shortcut`"
            )));
        }
        add(program, [(input, 1.0), (value, 1.0)])
    }
}
