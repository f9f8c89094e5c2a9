//! What the rows of an output are to become.

use bevy_ecs::{component::ComponentId, world::World};
use connectome_components::{ClassLabel, Field, FieldError, Loss, Split};

/// What each row is to become, and which part of the data it belongs to.
#[derive(Clone, Copy, Debug)]
pub enum Targets {
    /// One class for each row.
    Classes {
        /// The class, a column of the output.
        labels: Field<ClassLabel>,
        /// The part of the data.
        splits: Field<Split>,
    },
    /// The same, in a field of its own: for a head that tells other classes apart than the [`ClassLabel`]s.
    Indices {
        /// The class, a column of the output.
        labels: Field<u32>,
        /// The part of the data.
        splits: Field<Split>,
    },
    /// As many numbers for each row as the output has.
    Values {
        /// The numbers.
        values: Field,
        /// The part of the data.
        splits: Field<Split>,
    },
}

/// A loss cannot be taken of these fields.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LossError {
    /// Classes were given where numbers are needed, or the other way round.
    #[error("{loss:?} takes {} as targets; give those or another loss", if loss.is_classification() { "classes" } else { "numbers" })]
    WrongKind {
        /// The loss.
        loss: Loss,
    },
    /// Two fields have rows of different entities.
    #[error("`{field}` lies on other entities than the output `{output}`; register it on the component of the output")]
    OtherRows {
        /// The field that does not fit.
        field: String,
        /// The output.
        output: String,
    },
    /// Two fields have rows of different length.
    #[error(
        "`{field}` is {width} wide and the output `{output}` is {expected} wide; they are compared number by number"
    )]
    OtherWidth {
        /// The field that does not fit.
        field: String,
        /// Its width.
        width: usize,
        /// The output.
        output: String,
        /// The output's width.
        expected: usize,
    },
    /// Where the Huber loss becomes straight is no difference.
    #[error("a delta of {0} is no difference between numbers; give one above 0")]
    Delta(f32),
    /// The weight of a head, a class or a column cannot be one.
    #[error("a loss has the weight {0}; give it a finite number that is not negative")]
    Weight(f32),
    /// There are not as many weights as classes or columns.
    #[error("{found} weights are given for {expected} classes or columns; give one for each")]
    ClassWeights {
        /// How many are given.
        found: usize,
        /// The width of the output.
        expected: usize,
    },
    /// An operator is no loss of such rows.
    #[error("the operator {name} {reason}")]
    Operator {
        /// The operator.
        name: &'static str,
        /// What is wrong; and, after a semicolon, what to do.
        reason: String,
    },
    /// The weights of rows are not one number for each.
    #[error("the row weights `{field}` are {width} wide; give one number for each row")]
    RowWeights {
        /// The field.
        field: String,
        /// Its width.
        width: usize,
    },
}

impl Targets {
    /// The targets that `loss` needs for the rows of `output`, on the same entities: [`ClassLabel`]s or a new field
    /// `target`, and [`Split`]s.
    ///
    /// # Errors
    /// If the output lies on a component without table columns.
    pub fn register(world: &mut World, loss: Loss, output: Field) -> Result<Self, FieldError> {
        let splits = Field::of_component(world, output.domain())?;
        if loss.is_classification() {
            return Ok(Self::Classes { labels: Field::of_component(world, output.domain())?, splits });
        }
        Ok(Self::Values { values: Field::register(world, "target", output.domain(), output.width())?, splits })
    }

    /// The part of the data that each row belongs to.
    pub fn splits(&self) -> Field<Split> {
        let (Self::Classes { splits, .. } | Self::Indices { splits, .. } | Self::Values { splits, .. }) = self;
        *splits
    }

    /// Whether rows of `output` can be compared with these by `loss`.
    pub(super) fn check(&self, world: &World, loss: Loss, output: Field) -> Result<(), LossError> {
        match loss {
            Loss::Huber { delta } if !(delta > 0.0 && delta.is_finite()) => return Err(LossError::Delta(delta)),
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

/// Whether two fields have rows of the same entities and as many numbers in each.
pub(super) fn same_shape(world: &World, field: Field, output: Field) -> Result<(), LossError> {
    same_rows(world, field, output)?;
    if field.width() == output.width() {
        return Ok(());
    }
    let (name, width, expected) = (field.name(world), field.width(), output.width());
    Err(LossError::OtherWidth { field: name, width, output: output.name(world), expected })
}

pub(super) fn same_rows<T: Send + Sync + 'static>(
    world: &World,
    field: Field<T>,
    output: Field,
) -> Result<(), LossError> {
    let on = |id: ComponentId| id == output.domain();
    if on(field.domain()) {
        return Ok(());
    }
    Err(LossError::OtherRows { field: field.name(world), output: output.name(world) })
}
