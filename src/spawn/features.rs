//! Features of a scene as fields.

use bevy_ecs::{component::ComponentId, entity::Entity, world::World};

use crate::components::{FeatureField, Field, FieldError};
use crate::data::{DenseRows, Features};

/// Registers the fields of the nodes' features: sparse ones, with room for so many numbers in a row as are `stored`, if
/// the model reads them so.
pub(super) fn register(
    world: &mut World,
    on: ComponentId,
    width: usize,
    stored: Option<usize>,
) -> Result<FeatureField, FieldError> {
    let Some(stored) = stored else { return Ok(Field::register(world, "features", on, width)?.into()) };
    let columns = Field::<u32>::register(world, "feature columns", on, stored)?;
    let values = Field::<f32>::register(world, "features", on, stored)?;
    Ok(FeatureField::Sparse { indices: columns, values, width })
}

/// Writes the features of each node.
pub(super) fn write(
    world: &mut World,
    input: FeatureField,
    features: &Features,
    nodes: &[Entity],
) -> Result<(), FieldError> {
    match (input, features) {
        (FeatureField::Dense(value), Features::Dense { width, values }) => {
            write_rows(world, value, *width, values, nodes)
        }
        (FeatureField::Dense(value), Features::Sparse { offsets, indices, values, .. }) => {
            let mut row = vec![0.0; value.width()];
            for (node, range) in nodes.iter().zip(offsets.windows(2)) {
                let stored = range[0]..range[1];
                row.fill(0.0);
                for (column, value) in indices[stored.clone()].iter().zip(&values[stored]) {
                    row[*column as usize] = *value;
                }
                value.set(world, *node, &row)?;
            }
            Ok(())
        }
        (
            FeatureField::Sparse { indices: columns, values, .. },
            Features::Sparse { offsets, indices, values: numbers, .. },
        ) => {
            let (mut row_columns, mut row_values) = (vec![0; columns.width()], vec![0.0; values.width()]);
            for (node, range) in nodes.iter().zip(offsets.windows(2)) {
                let range = range[0]..range[1];
                row_columns.fill(0);
                row_values.fill(0.0);
                row_columns[..range.len()].copy_from_slice(&indices[range.clone()]);
                row_values[..range.len()].copy_from_slice(&numbers[range]);
                columns.set(world, *node, &row_columns)?;
                values.set(world, *node, &row_values)?;
            }
            Ok(())
        }
        // Only sparse features are read sparse.
        (FeatureField::Sparse { .. }, Features::Dense { .. }) => Ok(()),
    }
}

/// Writes the numbers of each entity.
pub(super) fn write_dense(
    world: &mut World,
    field: Field,
    rows: &DenseRows,
    entities: &[Entity],
) -> Result<(), FieldError> {
    write_rows(world, field, rows.width, &rows.values, entities)
}

fn write_rows(
    world: &mut World,
    field: Field,
    width: usize,
    values: &[f32],
    entities: &[Entity],
) -> Result<(), FieldError> {
    let mut rows = entities.iter().zip(values.chunks_exact(width.max(1)));
    rows.try_for_each(|(entity, row)| field.set(world, *entity, row))
}
