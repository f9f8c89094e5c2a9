//! The targets of outputs.

use bevy_ecs::world::World;
use connectome_components::{ClassLabel, Field, FieldError, Loss, SoftmaxGroups, Split};

/// The target and the split of each row.
#[derive(Clone, Copy, Debug)]
pub enum Targets {
    /// One class for each row, as a [`ClassLabel`].
    Classes {
        /// The class, below the width of the output.
        labels: Field<ClassLabel>,
        /// The split.
        splits: Field<Split>,
    },
    /// One class for each row, as a `u32`: for heads with other classes than the [`ClassLabel`]s.
    Indices {
        /// The class, below the width of the output.
        labels: Field<u32>,
        /// The split.
        splits: Field<Split>,
    },
    /// One value for each output dimension of each row.
    Values {
        /// The values, as wide as the output.
        values: Field,
        /// The split.
        splits: Field<Split>,
    },
}

/// A loss does not fit its fields.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LossError {
    /// The targets are classes and the loss takes values, or the other way round.
    #[error("{loss:?} takes {} as targets; use those or another loss", if loss.is_classification() { "classes" } else { "values" })]
    WrongKind {
        /// The loss.
        loss: Loss,
    },
    /// A field has another domain than the output.
    #[error("`{field}` is on other entities than the output `{output}`; register it for the domain of the output")]
    OtherRows {
        /// The field that does not fit.
        field: String,
        /// The output.
        output: String,
    },
    /// A field has another width than expected for the output.
    #[error("`{field}` has width {width}, but needs {expected} for the output `{output}`; change its width")]
    OtherWidth {
        /// The field that does not fit.
        field: String,
        /// Its width.
        width: usize,
        /// The output.
        output: String,
        /// The width that it must have.
        expected: usize,
    },
    /// The delta of a Huber loss is not positive and finite.
    #[error("the Huber loss has a delta of {0}; use a finite one above 0")]
    Delta(f32),
    /// The weight of a head, a class or an output dimension is negative or not finite.
    #[error("a loss has the weight {0}; use a finite weight that is not negative")]
    Weight(f32),
    /// The groups of a softmax do not make up the output.
    #[error(
        "{groups:?} do not make up an output of width {width}; their outputs are repeats (leading + following width)"
    )]
    Groups {
        /// The groups.
        groups: SoftmaxGroups,
        /// The width of the output.
        width: usize,
    },
    /// Outputs of a loss of sets have weights.
    #[error("a loss of sets of answers takes no weights of classes; leave `class_weights` out")]
    SetWeights,
    /// The number of weights differs from that of classes or output dimensions.
    #[error("{found} weights are given for {expected} classes or output dimensions; give one for each")]
    ClassWeights {
        /// The number of weights.
        found: usize,
        /// The width of the output.
        expected: usize,
    },
    /// An operator does not compute a loss of such rows.
    #[error("the operator {name} {reason}")]
    Operator {
        /// The operator.
        name: &'static str,
        /// What is wrong, as the predicate of the sentence; and, after a semicolon, a fix.
        reason: String,
    },
    /// The field of row weights has a width other than 1.
    #[error("the row weights `{field}` have width {width}; use a field of width 1")]
    RowWeights {
        /// The field.
        field: String,
        /// Its width.
        width: usize,
    },
}

impl Targets {
    /// Registers the targets that `loss` needs for `output`, in its domain: [`ClassLabel`]s or a new field `target`,
    /// and [`Split`]s.
    ///
    /// # Errors
    /// If the domain of the output is in sparse-set storage.
    pub fn register(world: &mut World, loss: Loss, output: Field) -> Result<Self, FieldError> {
        let splits = Field::of_component(world, output.domain())?;
        if loss.is_classification() {
            return Ok(Self::Classes { labels: Field::of_component(world, output.domain())?, splits });
        }
        Ok(Self::Values { values: Field::register(world, "target", output.domain(), output.width())?, splits })
    }

    /// The split of each row.
    pub fn splits(&self) -> Field<Split> {
        let (Self::Classes { splits, .. } | Self::Indices { splits, .. } | Self::Values { splits, .. }) = self;
        *splits
    }

    /// Checks that the targets fit `loss` and `output`.
    pub(super) fn check(&self, world: &World, loss: Loss, output: Field) -> Result<(), LossError> {
        match loss {
            Loss::Huber { delta } if !(delta > 0.0 && delta.is_finite()) => return Err(LossError::Delta(delta)),
            Loss::SetCrossEntropy(groups) if groups.total() != Some(output.width()) => {
                return Err(LossError::Groups { groups, width: output.width() });
            }
            _ => {}
        }
        if loss.is_classification() == matches!(self, Self::Values { .. }) {
            return Err(LossError::WrongKind { loss });
        }
        same_rows(world, self.splits(), output)?;
        match *self {
            Self::Classes { labels, .. } => same_rows(world, labels, output),
            Self::Indices { labels, .. } => {
                same_rows(world, labels, output)?;
                if labels.width() == 1 {
                    return Ok(());
                }
                let (field, width) = (labels.name(world), labels.width());
                Err(LossError::OtherWidth { field, width, output: output.name(world), expected: 1 })
            }
            Self::Values { values, .. } => same_shape(world, values, output),
        }
    }
}

/// Checks that two fields have the same domain and width.
pub(super) fn same_shape(world: &World, field: Field, output: Field) -> Result<(), LossError> {
    same_rows(world, field, output)?;
    if field.width() == output.width() {
        return Ok(());
    }
    let (name, width, expected) = (field.name(world), field.width(), output.width());
    Err(LossError::OtherWidth { field: name, width, output: output.name(world), expected })
}

/// Checks that two fields have the same domain.
pub(super) fn same_rows<T: Send + Sync + 'static>(
    world: &World,
    field: Field<T>,
    output: Field,
) -> Result<(), LossError> {
    if field.domain() == output.domain() {
        return Ok(());
    }
    Err(LossError::OtherRows { field: field.name(world), output: output.name(world) })
}
