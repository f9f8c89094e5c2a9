//! The losses of single rows, apart from their mean.

use bevy_ecs::world::World;
use connectome_components::{Field, Loss, SplitMetrics};

use super::{LossError, LossVisitor, Targets, row::RowLoss, visit};

/// A loss with its targets, for whoever needs it row by row.
pub(crate) trait LossByRow: Send + Sync {
    /// Shows the sums over the terms of each of some rows, which are given with the outputs for them.
    fn measure(
        &self,
        world: &World,
        outputs: &mut dyn Iterator<Item = (u32, &[f32])>,
        show: &mut dyn FnMut(&SplitMetrics),
    );

    /// Appends `scale * d loss / d output` of each row, which is given with its scale and the output for it.
    fn differentiate(
        &self,
        world: &World,
        outputs: &mut dyn Iterator<Item = (u32, f32, &[f32])>,
        gradients: &mut Vec<f32>,
    );
}

/// A loss by row.
///
/// # Errors
/// If the targets do not fit the loss or the output.
pub(crate) fn loss_by_row(
    world: &World,
    loss: Loss,
    targets: Targets,
    output: Field,
) -> Result<Box<dyn LossByRow>, LossError> {
    targets.check(world, loss, output)?;
    visit(loss, targets, Boxed)
}

struct Boxed;

impl LossVisitor for Boxed {
    type Output = Box<dyn LossByRow>;

    fn visit<L: RowLoss>(self, loss: L, targets: Field<L::Target>) -> Self::Output {
        Box::new(Typed { loss, targets })
    }
}

struct Typed<L: RowLoss> {
    loss: L,
    targets: Field<L::Target>,
}

impl<L: RowLoss> LossByRow for Typed<L> {
    fn measure(
        &self,
        world: &World,
        outputs: &mut dyn Iterator<Item = (u32, &[f32])>,
        show: &mut dyn FnMut(&SplitMetrics),
    ) {
        let targets = self.targets.matrix(world);
        for (row, output) in outputs {
            show(&self.loss.measure(output, targets.row(row as usize)));
        }
    }

    fn differentiate(
        &self,
        world: &World,
        outputs: &mut dyn Iterator<Item = (u32, f32, &[f32])>,
        gradients: &mut Vec<f32>,
    ) {
        let targets = self.targets.matrix(world);
        for (row, scale, output) in outputs {
            let start = gradients.len();
            gradients.resize(start + output.len(), 0.0);
            if scale != 0.0 {
                self.loss.differentiate(output, targets.row(row as usize), scale, &mut gradients[start..]);
            }
        }
    }
}
