//! Features of a scene as fields.

use bevy_ecs::{component::ComponentId, entity::Entity, world::World};

use crate::components::{Field, FieldError, Signal, attach_fields};
use crate::scene::{DenseRows, Features};

use super::Shape;

/// Makes the features fields of the nodes: sparse if the model can read them so.
pub(super) fn node_features(
    world: &mut World,
    on: ComponentId,
    features: &Features,
    shape: Shape,
    nodes: &[Entity],
) -> Result<Signal, FieldError> {
    let width = features.width();
    let Some(stored) = shape.stored else {
        let value = Field::register(world, "features", on, width)?;
        attach_fields(world, on);
        let mut row = vec![0.0; width];
        for (number, node) in nodes.iter().enumerate() {
            match features {
                Features::Dense { values, .. } => row.copy_from_slice(&values[number * width..(number + 1) * width]),
                Features::Sparse { offsets, indices, values, .. } => {
                    let stored = offsets[number]..offsets[number + 1];
                    row.fill(0.0);
                    for (column, value) in indices[stored.clone()].iter().zip(&values[stored]) {
                        row[*column as usize] = *value;
                    }
                }
            }
            value.set(world, *node, &row)?;
        }
        return Ok(value.into());
    };
    let columns = Field::<u32>::register(world, "feature columns", on, stored)?;
    let values = Field::<f32>::register(world, "features", on, stored)?;
    attach_fields(world, on);
    if let Features::Sparse { offsets, indices, values: numbers, .. } = features {
        let (mut row_columns, mut row_values) = (vec![0; stored], vec![0.0; stored]);
        for (node, range) in nodes.iter().zip(offsets.windows(2)) {
            let range = range[0]..range[1];
            row_columns.fill(0);
            row_values.fill(0.0);
            row_columns[..range.len()].copy_from_slice(&indices[range.clone()]);
            row_values[..range.len()].copy_from_slice(&numbers[range]);
            columns.set(world, *node, &row_columns)?;
            values.set(world, *node, &row_values)?;
        }
    }
    Ok(Signal::Sparse { columns, values, width })
}

/// Makes numbers a field of the entities that carry `on`.
pub(super) fn dense(
    world: &mut World,
    name: &str,
    on: ComponentId,
    rows: &DenseRows,
    entities: &[Entity],
) -> Result<Field, FieldError> {
    let field = Field::register(world, name, on, rows.width)?;
    attach_fields(world, on);
    for (entity, row) in entities.iter().zip(rows.values.chunks_exact(rows.width)) {
        field.set(world, *entity, row)?;
    }
    Ok(field)
}
